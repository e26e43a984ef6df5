/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raw.h - clones for code written against plain NDIS, which counts children itself.
 *
 * Native code uses derive.h. A raw clone does not keep its parent: whoever makes
 * it sets clone->parent, adds to the parent's child_ref_count and keeps the
 * parent from going home, as drivers do by hand. nbl_raw_count_children(true)
 * has these calls do that, for code that expects it; both would count twice
 * (AMB-09). Any thread that holds the NBL.
 */
#ifndef NBL_RAW_H
#define NBL_RAW_H

#include <nbl/pool.h>

enum nbl_clone_flags {
	/*
	 * The clone looks at the parent's segments themselves, same offset, headroom
	 * shared: a retreat of it writes over what lies in front of the parent's data.
	 * NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS.
	 */
	NBL_CLONE_ORIGINAL_SEGMENTS = 0x2,
};

/*
 * Whether raw clones become children of their original by themselves. Off at first;
 * before lanes run. Rule: DV-04.
 */
NBL_API void nbl_raw_count_children(bool yes);

/*
 * A clone of 'n' (borrows; keeps it only as said above) with its descriptor from 'pool'
 * (borrows). Returns owned, nbl_raw_free_clone() with the same 'flags' (enum
 * nbl_clone_flags); NULL if the pool is exhausted, the holder is at its limit, or a flag
 * is not known.
 * Rules: DV-03, DV-04. Restates NdisAllocateCloneNetBufferList.
 */
NBL_API struct nbl *nbl_raw_alloc_clone(struct nbl *n, struct nbl_pool *pool, uint32_t flags);

/*
 * Frees a clone (takes). -EINVAL, counted as a violation, if it is none, was made with other
 * flags or a module has it out (TX-01): 'n' unchanged then. Rule: DV-03. Restates
 * NdisFreeCloneNetBufferList.
 */
NBL_API int nbl_raw_free_clone(struct nbl *n, uint32_t flags);

/*
 * Gives 'n' back as nbl_release() (takes on success). -EBUSY, counted as a violation, while its
 * child_ref_count is not 0, and -EINVAL while a module has it out (TX-01): 'n' unchanged then.
 * Rule: DV-05.
 */
NBL_API int nbl_raw_release(struct nbl *n);

#endif
