/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * adapter_internal.h - struct adapter, for the files of the keeper that run it:
 *
 *   adapter.c   attach and detach, in order and back
 *   modules.c   its modules: add, remove, set
 *   worker_link.c   its worker: start, replace, ask
 *   bypass.c    packets past the worker; hung workers
 *   figures.c   snapshots
 *   state.c     what must be undone if the keeper dies
 */
#ifndef KEEPER_ADAPTER_INTERNAL_H
#define KEEPER_ADAPTER_INTERNAL_H

#include <systemd/sd-event.h>

#include "edge/handover.h"
#include "keeper/port.h"
#include "keeper/spawn.h"
#include "port/leg.h"
#include "port/wire.h"

struct adapter {
	struct adapter *next;
	struct keeper *keeper;
	struct adapter_conf conf;	/* its modules are those of the stack now */
	struct port ports[NBL_N_SIDES];
	struct leg leg;			/* host layout; nic_ifindex 0: none */
	struct wire wire;		/* pair, fail open; ends[].ifindex 0: none */
	struct tap_conf tap;		/* if there is one, */
	int tap_fd;			/* its device; 0: none */
	struct programs *programs;
	struct nbl_memory memory;
	uint32_t n_lanes;

	struct spawned worker;		/* pid 0: none */
	sd_event_source *worker_ended, *worker_says;
	uint16_t module_ids[ADAPTER_MAX_MODULES];	/* in the order of conf.modules */
	uint32_t n_asked;		/* number of the last request to a worker */
	uint32_t generation;		/* workers that ran so far */
	uint32_t n_deaths;		/* of them, ended by death */
	uint32_t n_crashes;		/* of these, by its own fault */
	uint64_t recent_crashes[5];	/* monotonic ms, a ring */
	sd_event_source *retry;		/* armed while waiting to start a worker again */

	const char *bypass;		/* NULL, "start", "dead", "hang", "mandatory" */
	bool stack_is_down;		/* a mandatory module did not restart: nothing passes */
	uint32_t hung_ticks;		/* seconds in a row with packets past a hung worker */
};

/* ---- worker_link.c ---- */

/* Starts a worker and hands the adapter over. False with 'refusal' filled; nothing runs then. */
bool worker_begin(struct adapter *a, enum nbl_takeover takeover, struct refusal *refusal);

/* Has the worker finish and end; kills it if it does not within 2 s. No worker is fine. */
void worker_end(struct adapter *a);

/*
 * Asks the worker and waits at most HANDOVER_ANSWER_MS (fills ret); if it is ended from outside
 * meanwhile, its successor, but not for WORKER_TAP_OPEN. False with 'refusal' filled. Modules that
 * the worker says it has no longer, other than the one it removed as asked, are forgotten.
 */
bool worker_ask(struct adapter *a, const struct worker_request *request, struct worker_reply *ret,
		struct refusal *refusal);

/* ---- bypass.c ---- */

/* Tells the programs what to do with packets: RUN if 'bypass' is NULL. */
void adapter_set_bypass(struct adapter *a, const char *bypass);

/*
 * Looks for hung workers once a second from now on, and replaces them; more calls change nothing.
 */
void bypass_watch(struct keeper *k);

/* ---- figures.c ---- */

/*
 * The name of an enum nbl_place: a module's, an interface's, "worker". Returns borrowed, until the
 * next change.
 */
const char *adapter_place_name(const struct adapter *a, int place);

/* ---- state.c ---- */

/* Writes down all that a successor would have to undo. Errors are logged. */
void state_save(const struct keeper *k);

/* Microseconds of the monotonic clock. */
uint64_t monotonic_us(void);

#endif
