/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * holding.h - who holds how much, by which of the three tiers, and up to which limit.
 *
 *   tier      made by                  costs
 *   held      reference, clone         a receive frame
 *   pinned    deep clone               the parent's descriptor
 *   private   copy, fresh NBL          its pool's quota
 *
 * A holder is a module, by its id; 0 stands for nobody in particular, and ids
 * from NBL_MAX_HOLDERS on share the last place. Counts are of this process. All
 * calls may run on any thread and never block. Rules: RF-16, HP-01, HP-04, HP-05.
 */
#ifndef NBL_HOLDING_H
#define NBL_HOLDING_H

#include <nbl/nbl.h>

#define NBL_MAX_HOLDERS 64

enum nbl_tier {
	NBL_TIER_HELD,
	NBL_TIER_PINNED,
	NBL_TIER_PRIVATE,
	NBL_N_TIERS
};

/* What one holder has now, and what it was refused since it has its id. */
struct nbl_holding {
	uint32_t references, clones;	/* together the tier "held" */
	uint32_t deep_clones;		/* "pinned" */
	uint32_t fresh;			/* "private": copies, and NBLs it originates */
	uint64_t refused;		/* by a limit */
	uint64_t promoted;		/* clones that were made deep because of a limit */
	uint64_t over_limit;		/* references, which nothing can refuse, beyond the limit */
};

struct nbl_holding_limits {
	uint32_t max[NBL_N_TIERS];	/* 0 = none */
	/* clones are made deep, those of fragment.h and raw.h refused (HP-04) */
	bool copies_only;
};

/* What 'holder' has (fills ret_holding): exact when it is at rest. */
NBL_API void nbl_holding_get(uint16_t holder, struct nbl_holding *ret_holding);

/*
 * Sets the limits of 'holder' (borrows). From then on a clone beyond the first
 * is made deep, a deep clone or copy beyond its own is refused with -EDQUOT, and a
 * reference, which cannot fail, is counted. Rules: RF-16, HP-04.
 */
NBL_API void nbl_holding_set_limits(uint16_t holder, const struct nbl_holding_limits *limits);

#define NBL_HOLDER_OF_NBL UINT16_MAX	/* whoever the NBL says has it; so it is at first */

/*
 * Says on whose behalf this thread acts from now on; returns who it was before.
 * Threads of modules call it once; the engine may, around handlers.
 */
NBL_API uint16_t nbl_holder_enter(uint16_t holder);

/* Why an NBL is not home (HP-05). */
struct nbl_pins {
	enum nbl_kind kind;
	uint16_t holder;		/* who had it last */
	uint16_t charged_to;		/* who derived or allocated it; of NBLs of pools */
	bool owner_pending;		/* its owner has not given it back */
	uint32_t references, children;
	uint16_t reference_holders[3];	/* some of those who reference it */
	uint32_t n_reference_holders;
	uint32_t since_ms;		/* when it was taken off its pool (nbl_set_time_ms()) */
};

/* Describes 'n' (borrows; fills ret_pins). Any thread; a snapshot. */
NBL_API void nbl_get_pins(const struct nbl *n, struct nbl_pins *ret_pins);

/*
 * Calls 'visit' (borrows all) for each NBL of 'pool' that is out, which must not go
 * home meanwhile: the leak report behind -EBUSY of nbl_pool_free(). Returns
 * how many. Rules: PL-05, RF-02.
 */
NBL_API uint32_t nbl_pool_visit(const struct nbl_pool *pool,
				void (*visit)(void *arg, const struct nbl *n,
					      const struct nbl_pins *pins),
				void *arg);

/*
 * Tells the coarse time that ages are counted from: monotonic ms. By whoever has it, now
 * and then.
 */
NBL_API void nbl_set_time_ms(uint32_t now_ms);

#endif
