/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handover.h - what keeper and worker say to each other.
 *
 * One SOCK_SEQPACKET pair per worker, on the worker's descriptor HANDOVER_FD.
 * First the keeper hands over an adapter: struct handover with descriptors. The
 * worker answers with one struct worker_reply when packets run; from then on one
 * reply to each struct worker_request. End of file tells either side that the
 * other is gone. Plain structs: both ends are of one build, and say so.
 */
#ifndef EDGE_HANDOVER_H
#define EDGE_HANDOVER_H

#include "edge/tap_conf.h"
#include "filter/view.h"
#include "port/queue.h"
#include "stack/history.h"
#include "stack/limits.h"

#define HANDOVER_FD		3
#define HANDOVER_VERSION	4u
#define HANDOVER_ANSWER_MS	2000	/* the keeper waits so long for an answer */
#define HANDOVER_MAX_QUEUES	(NBL_N_SIDES * NBL_MAX_QUEUES)
#define HANDOVER_MAX_KEPT	4	/* links, program array */

/* One queue; its socket is among the descriptors, in this order. */
struct handover_queue {
	struct nbl_ring_sizes sizes;
	uint32_t max_length;	/* longest packet it may send */
	uint32_t most_posted;	/* frames out for receive at most; 0 = no limit */
	uint16_t index;		/* the interface's queue number */
	uint16_t number;	/* among all queues of the adapter */
	uint16_t lane;
	uint8_t side;		/* enum nbl_side */
	uint8_t to_host;
	uint8_t sg;		/* it may send a packet in several ring entries, */
	uint16_t max_segments;	/* of so many */
};

/*
 * Descriptors that come with it, in order: the memory, the progress map, n_kept
 * that only have to stay open (dropping them is what bypasses the worker when the
 * keeper is gone), one socket per queue, then the tap's device if there is one.
 */
struct handover {
	uint32_t version;
	uint32_t takeover;	/* enum nbl_takeover */
	uint32_t fail_closed;	/* without a keeper, go on: nothing may pass unfiltered */
	char name[ADAPTER_NAME_MAX];
	uint32_t n_lanes;
	uint32_t n_kept;
	uint32_t n_modules;
	struct module_conf modules[ADAPTER_MAX_MODULES];	/* from the lower port upward */
	uint16_t module_ids[ADAPTER_MAX_MODULES]; /* as under the worker before; 0: any */
	uint32_t has_tap;	/* above them */
	struct tap_conf tap;
	uint32_t n_queues;
	struct handover_queue queues[HANDOVER_MAX_QUEUES];
};

enum worker_op {
	WORKER_MODULE_ADD,	/* module at position */
	WORKER_MODULE_REMOVE,	/* module.name; force: whatever it holds */
	WORKER_AUDIT,
	WORKER_TAP_OPEN,	/* tap; its device comes with it */
	WORKER_TAP_CLOSE,
	WORKER_MODULE_SET,	/* module instead of was, at the same place */
	WORKER_VIEW_PENDING,	/* a page from view.cursor on */
	WORKER_VIEW_NBL,	/* view.id */
	WORKER_VIEW_HOLDS,
	WORKER_VIEW_POOLS,
	WORKER_VIEW_FILTER,	/* module "filter", rules from view.cursor on */
	WORKER_VIEW_HISTORY,	/* a page of view.lane from view.cursor on */
	WORKER_HISTORY,		/* view.on */
	WORKER_STOP,		/* finish what is in hand, then exit; bypass was set before */
};

struct worker_request {
	uint32_t op;		/* enum worker_op */
	uint32_t number;	/* comes back with the reply */
	uint64_t until_ms;	/* monotonic: so long the keeper waits for the reply */
	uint32_t position;
	bool force;
	struct module_conf module, was;
	struct {
		uint64_t cursor;
		struct nbl_view_id id;
		uint32_t lane;
		bool on;
	} view;
	struct tap_conf tap;
};

struct worker_reply {
	int32_t result;		/* 0 or negative errno */
	uint32_t number;	/* of the request; 0 = none: the stack changed by itself */
	char text[256];		/* a sentence when result < 0 */
	uint16_t module_ids[ADAPTER_MAX_MODULES]; /* of the stack now, from the lower port upward */
	char module_names[ADAPTER_MAX_MODULES][NBL_MODULE_NAME_MAX];
	uint32_t n_modules;
	bool is_down;		/* a mandatory module did not restart */
	union {			/* by the request's op */
		struct nbl_view_pools pools;
		struct nbl_view_page pending;
		struct nbl_view_nbl nbl;
		struct {
			struct nbl_view_hold holds[NBL_VIEW_HOLDERS];
			struct nbl_module_report reports[ADAPTER_MAX_MODULES];	/* n_modules */
		};
		struct filter_view filter;
		struct nbl_history_page history;
		struct nbl_audit audit;
	};
};

/*
 * Sends one message of 'size' bytes with 'n_fds' descriptors (borrows all).
 * 0 or negative errno (-EPIPE: the other side is gone).
 */
NBL_MUST_CHECK int handover_send(int socket, const void *message, size_t size, const int *fds,
				 uint32_t n_fds);

/*
 * Receives one message of exactly 'size' bytes (fills 'message'), waiting at most
 * timeout_ms (-1: for ever), and up to max_fds descriptors (fills 'fds': owned,
 * close-on-exec; ret_n_fds their number). 0; -EPIPE: the other side is gone;
 * -ETIMEDOUT; -EPROTO: a message of another shape, its descriptors closed.
 */
NBL_MUST_CHECK int handover_receive(int socket, void *message, size_t size, int timeout_ms,
				    int *fds, uint32_t max_fds, uint32_t *ret_n_fds);

#endif
