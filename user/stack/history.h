/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * history.h - who handed which NBL to whom: the last transfers of a lane.
 *
 * Off at first, and free of cost then: lane->history is NULL. Switched and read by the control
 * thread while the lane rests; written by the lane at each hop. Rule: HP-05.
 */
#ifndef STACK_HISTORY_H
#define STACK_HISTORY_H

#include "stack/views.h"

#define NBL_HISTORY_ENTRIES	4096u	/* of each lane; a power of two */
#define NBL_HISTORY_PAGE	96	/* entries in a page */

enum nbl_transfer_path {
	NBL_TRANSFER_RECEIVE,
	NBL_TRANSFER_RETURN,
	NBL_TRANSFER_SEND,
	NBL_TRANSFER_COMPLETE,
	NBL_N_TRANSFER_PATHS
};

/* One NBL handed over once. From and to are module ids, or ports and worker: enum nbl_place. */
struct nbl_transfer {
	uint64_t time_ns;		/* monotonic, of the lane's turn */
	struct nbl_view_id id;
	uint16_t from, to;
	uint16_t path;			/* enum nbl_transfer_path */
	uint16_t lane;
};

struct nbl_history {
	uint64_t n_noted;	/* the newest is entries[(n_noted - 1) % NBL_HISTORY_ENTRIES] */
	struct nbl_transfer entries[NBL_HISTORY_ENTRIES];
};

struct nbl_history_page {
	bool on;
	uint64_t n_noted;		/* since it was switched on */
	uint64_t next;			/* number of the transfer behind the last one here */
	uint32_t n_transfers;
	struct nbl_transfer transfers[NBL_HISTORY_PAGE];
};

/* Begins to note the transfers of 'lane', or goes on. 0 or -ENOMEM. */
NBL_MUST_CHECK int nbl_history_start(struct nbl_lane *lane);

/* Ends it and forgets them. A lane without is fine. */
void nbl_history_stop(struct nbl_lane *lane);

/*
 * Transfers from number 'first' on, or the oldest there still is, as many as fit (borrows
 * 'lane'; fills ret).
 */
void nbl_history_read(const struct nbl_lane *lane, uint64_t first, struct nbl_history_page *ret);

/* Notes each of 'chain' (borrows). For nbl_history_note() below. */
void nbl_history_add(struct nbl_lane *lane, uint16_t from, uint16_t to,
		     enum nbl_transfer_path path, const struct nbl_chain *chain);

/* Notes that 'from' hands 'chain' (borrows) to 'to', if anybody wants to know. Lane thread. */
static inline void nbl_history_note(struct nbl_lane *lane, uint16_t from, uint16_t to,
				    enum nbl_transfer_path path,
				    const struct nbl_chain *chain)
{
	if (NBL_UNLIKELY(lane->history))
		nbl_history_add(lane, from, to, path, chain);
}

#endif
