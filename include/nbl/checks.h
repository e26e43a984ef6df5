/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * checks.h - catching modules that break the rules.
 *
 * Broken rules are always counted and never acted upon. The checks that cost
 * something are off until nbl_set_checks() turns them on; built with NBL_DEBUG,
 * the first is on from the start.
 */
#ifndef NBL_CHECKS_H
#define NBL_CHECKS_H

#include <nbl/nbl.h>

enum nbl_checks {
	NBL_CHECK_KNOWN	= 1u << 0,	/* refuse NBLs that lie in no slab of the engine (DM-16) */
	NBL_CHECK_BYTES	= 1u << 1,	/* compare bytes nobody announced writes to (RF-07) */
	NBL_CHECK_ABORT	= 1u << 2,	/* abort() at the first broken rule (RF-02) */
};

#ifdef NBL_DEBUG
#define NBL_CHECKS_DEFAULT ((uint32_t)NBL_CHECK_KNOWN)
#else
#define NBL_CHECKS_DEFAULT 0u
#endif

/*
 * Turns on exactly the checks in the mask; returns the mask before. Before lanes run, or
 * for tests. Rules: DM-16, RF-07, RF-02.
 */
NBL_API uint32_t nbl_set_checks(uint32_t checks);

struct nbl_violation {
	uint64_t number;		/* nbl_violations() with it; 0 = there was none */
	const char *what;		/* the rule and what was done; borrowed, for ever */
	uint16_t holder;		/* who had the NBL, 0 = not known */
};

/*
 * The last broken rule (fills ret_last). Any thread; one of them if two break rules at once.
 * Rule: RF-02.
 */
NBL_API void nbl_get_last_violation(struct nbl_violation *ret_last);

/*
 * True if 'n' points at an NBL of the engine: one of a pool, or bound to a receive
 * frame. Borrows nothing: it reads nothing of it. Any thread. Rule: DM-16.
 */
NBL_API bool nbl_is_known(const struct nbl *n);

/* What nothing but a stale pointer holds (DM-11). */
#define NBL_SCRATCH_POISON ((void *)(uintptr_t)0x5c7a7c4dead0dead)

/*
 * For the engine, where 'n' (borrows) passes from one owner to the next: with
 * NBL_DEBUG whatever the last owner left in its scratch is lost. Costs nothing
 * without. Rule: DM-11.
 */
static inline void nbl_hand_off(struct nbl *n)
{
#ifdef NBL_DEBUG
	n->scratch = NBL_SCRATCH_POISON;
	/* others may read and set flags at this moment */
	__atomic_fetch_or(&n->nbl_flags, (uint32_t)NBL_FLAG_HAS_INFO, __ATOMIC_RELAXED);
#else
	(void)n;
#endif
}

/* What of an NBL a borrower must give back as it was (INV-6). */
enum nbl_shape_part {
	NBL_SHAPE_LINKS		= 1u << 0,	/* NBs, segments, their pointers (DM-01, DV-11) */
	NBL_SHAPE_WINDOW	= 1u << 1,	/* where used data is, and how much (AR-04) */
	NBL_SHAPE_SOURCE_HANDLE	= 1u << 2,	/* (SH-03) */
	NBL_SHAPE_RESERVED	= 1u << 3,	/* protocol_ and miniport_reserved (DM-12) */
};

#define NBL_SHAPE_STEPS 12	/* links compared one by one; those after are folded */

/* A note of an NBL's shape. The fields are the checker's. */
struct nbl_shape {
	const struct nbl *n;
	const void *steps[NBL_SHAPE_STEPS];
	uint32_t n_steps;
	uint64_t links, windows;
	uint32_t source_handle;
	void *reserved[6];
};

/* Notes what 'n' (borrows) looks like at hand-over (fills ret_shape). Its owner's thread. INV-6. */
NBL_API void nbl_shape_record(const struct nbl *n, struct nbl_shape *ret_shape);

/*
 * What is different about the NBL that 'shape' (borrows) is of, at hand-back: a
 * mask of enum nbl_shape_part, 0 = nothing; each difference is counted as a
 * violation. Follows no link among the first NBL_SHAPE_STEPS that was not there
 * before. The owner's thread. Rules: DV-11, AR-04, SH-03, DM-12.
 */
NBL_API uint32_t nbl_shape_differs(const struct nbl_shape *shape);

#endif
