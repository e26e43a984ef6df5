/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * returns.h - the way home across threads (DV-06).
 *
 * A receive NBL released by a thread other than its lane's is pushed here; its
 * lane takes all of them at once, each turn. Rings have one producer, so this
 * is the only road. Lock-free: many push, one takes.
 */
#ifndef CORE_RETURNS_H
#define CORE_RETURNS_H

#include <nbl/chain.h>

struct nbl_returns {
	_Atomic(struct nbl *) head;
};

/*
 * Puts 'n' (takes) on the road. Any thread. True if the road was empty: the lane may want waking.
 */
static inline bool nbl_returns_push(struct nbl_returns *r, struct nbl *n)
{
	struct nbl *head = atomic_load_explicit(&r->head, memory_order_relaxed);

	do {
		n->next = head;
		/*
		 * sequentially consistent: the caller looks next whether the lane sleeps (lane.c)
		 */
	} while (!atomic_compare_exchange_weak_explicit(&r->head, &head, n, memory_order_seq_cst,
							memory_order_relaxed));
	return !head;
}

/*
 * Takes all: returns owned the first of a list linked by next, latest first, or NULL. Owning lane.
 */
static inline struct nbl *nbl_returns_take(struct nbl_returns *r)
{
	if (!atomic_load_explicit(&r->head, memory_order_relaxed))
		return NULL;
	return atomic_exchange_explicit(&r->head, NULL, memory_order_acquire);
}

#endif
