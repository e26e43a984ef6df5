/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cancel.h - ids by which a sender can call back what has not left yet.
 *
 * Every sender has its own high byte, so that ids of different senders never
 * meet. An id goes into the slot NBL_INFO_CANCEL_ID before sending; 0 = none.
 */
#ifndef NBL_CANCEL_H
#define NBL_CANCEL_H

#include <nbl/info.h>

/*
 * A high byte nobody else has, 1..255: yours until nbl_cancel_free_partial_id(). Returns
 * -ENOSPC when all are given. Any thread. Rule: CN-01. Restates NdisGeneratePartialCancelId.
 */
NBL_API NBL_MUST_CHECK int nbl_cancel_alloc_partial_id(void);

/*
 * Gives a partial id back (takes). -EINVAL, counted as a violation, if nobody has it.
 * Any thread. Rule: CN-01.
 */
NBL_API int nbl_cancel_free_partial_id(int partial_id);

/* The id number 'number' (modulo 2^56) of the sender with 'partial_id': never 0. Rule: CN-01. */
static inline uint64_t nbl_cancel_id(int partial_id, uint64_t number)
{
	return (uint64_t)(uint8_t)partial_id << 56 | (number & ((1ull << 56) - 1));
}

/*
 * For the engine, when 'n' (borrows) completes: its id is of no use any more, and the next
 * send of the same NBL must not be taken for this one. Rule: CN-05.
 */
static inline void nbl_cancel_clear(struct nbl *n)
{
	if (NBL_UNLIKELY(n->nbl_flags & NBL_FLAG_HAS_INFO))
		n->info[NBL_INFO_CANCEL_ID] = 0;
}

#endif
