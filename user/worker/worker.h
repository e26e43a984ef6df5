/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker.h - one adapter's packets: its memory, lanes and stack, in one process.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "edge/handover.h"
#include "stack/ports.h"
#include "stack/stack.h"
#include "worker/tap.h"

struct worker {
	struct nbl_memory memory;
	struct nbl *nbls;
	struct nbl_pool *pool;
	struct nbl_lane *lanes;
	uint32_t n_lanes;
	struct nbl_ports ports;		/* one for each queue of the lower port */
	struct nbl_stack stack;
	struct nbl_bindings *bindings;	/* above it */
	struct tap *tap;		/* one of them; NULL: none */
	struct nbl_progress *progress;	/* map of the progress words of all lanes */
	int kept[HANDOVER_MAX_KEPT];
	uint32_t n_kept;
	bool fail_closed;
	uint64_t until_ms;		/* of the request being done */
};

/*
 * Receives an adapter on 'socket' and gets it ready to run, lanes not yet started
 * (fills 'w'). 0, or negative errno with a sentence in 'why': -ENOTSUP when this
 * kernel cannot map the rings again.
 */
NBL_MUST_CHECK int worker_take_over(struct worker *w, int socket, char *why, size_t why_size);

NBL_MUST_CHECK int worker_start(struct worker *w);	/* starts the lanes */

/*
 * What has to be done now and then, while lanes run: restarts that modules want, their limits.
 * True if that changed which modules are in the stack, or whether it is down: the keeper is to know.
 */
bool worker_tick(struct worker *w);

/*
 * Does one request (borrows; takes 'fd', the descriptor that came with it or -1; fills ret).
 * WORKER_STOP is the caller's.
 */
void worker_serve(struct worker *w, const struct worker_request *request, int fd,
		  struct worker_reply *ret);

/*
 * Milliseconds that may be spent waiting for others, so that the keeper gets its answer
 * until then.
 */
uint32_t worker_time_left(uint64_t until_ms);

/* The stack's ids as they are now, into ret. */
void worker_name_modules(const struct worker *w, struct worker_reply *ret);

/*
 * Has the modules pass on what they hold, waits until the rings are empty and all
 * sent packets completed, at most timeout_ms, and stops the lanes.
 */
void worker_finish(struct worker *w, uint32_t timeout_ms);

/* Lets go of what only had to stay open: without a keeper, packets then take the kernel's path. */
void worker_let_go(struct worker *w);

#endif
