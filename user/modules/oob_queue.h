/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * oob_queue.h - packets on their way from classify functions to the thread that decides.
 *
 * Bounded, in order, without locks: many lanes put, one thread takes. NBLs are not
 * chained by their next, for an original's is still its path's.
 */
#ifndef MODULES_OOB_QUEUE_H
#define MODULES_OOB_QUEUE_H

#include <stdatomic.h>

#include <nbl/nbl.h>

struct oob_item {
	struct nbl *n;
	uint64_t due_ns;		/* when it may be decided about */
	uint32_t port;
	bool inbound;
};

/* Items are numbered as they are put in; number i goes to place i & mask. */
struct oob_place {
	/* i: free, for item i. i + 1: item i is in. Taking it out makes it i + number of places */
	_Atomic uint64_t turn;
	struct oob_item item;
};

struct oob_queue {
	struct oob_place *places;
	uint64_t mask;
	_Atomic uint64_t put;		/* number of the next item */
	uint64_t taken;			/* of the oldest that is in; the taker's */
};

/* Makes room for at least 'limit' items. 0, -EINVAL, -ENOMEM. oob_queue_done() frees it. */
NBL_MUST_CHECK int oob_queue_init(struct oob_queue *q, uint32_t limit);
void oob_queue_done(struct oob_queue *q);	/* a zeroed one is fine */

/* Puts 'item' in. False if it is full. Any thread. */
bool oob_queue_put(struct oob_queue *q, struct oob_item item);

/* The oldest item, left in (returns borrowed until oob_queue_drop()), or NULL. The taker. */
const struct oob_item *oob_queue_first(struct oob_queue *q);

/* Takes the oldest item out, which must be there. The taker. */
void oob_queue_drop(struct oob_queue *q);

#endif
