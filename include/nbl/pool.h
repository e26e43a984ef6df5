/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.h - where NBLs that are not bound to a receive frame come from.
 *
 * A pool holds a fixed number of NBLs and of frames for their bytes: its quota.
 * Frames lie in memory the caller gives (a part of the adapter's memory, so
 * that they can be sent) or in the pool's own heap block. Allocation and
 * release may run on any thread, never block, never call the system (PL-04).
 */
#ifndef NBL_POOL_H
#define NBL_POOL_H

#include <nbl/nbl.h>

struct nbl_pool_params {
	const char *name;		/* for messages; copied */
	uint32_t n_nbls;		/* quota of descriptors, at least 1 */
	uint32_t n_frames;		/* quota of data frames; 0 = descriptors only (clones) */
	uint32_t frame_size;		/* bytes; required with n_frames */
	uint32_t headroom;		/* bytes kept free in front in nbl_alloc_copy() and clones */
	uint8_t *frames;		/* borrows until nbl_pool_free(): n_frames * frame_size bytes; NULL = heap */
	uint32_t first_frame;		/* index of frames[0] in the adapter's memory; ignored for heap */
	/* told of each frame taken (true) and given back (false), on that thread; may be NULL */
	void (*frame_used)(void *arg, uint32_t frame, bool used);
	void *arg;
};

struct nbl_pool_counts {
	uint32_t n_nbls, nbls_free;
	uint32_t n_frames, frames_free;
	uint64_t exhausted;		/* allocations refused for want of either */
};

/*
 * Makes a pool (borrows 'params'; fills ret_pool: owned, nbl_pool_free()).
 * Returns 0; -EINVAL for an impossible combination; -ENOMEM.
 * Rule: PL-01. Restates NdisAllocateNetBufferListPool and NdisAllocateNetBufferPool.
 */
NBL_API NBL_MUST_CHECK int nbl_pool_new(const struct nbl_pool_params *params, struct nbl_pool **ret_pool);

/*
 * Frees 'pool' (takes on success; NULL is fine). -EBUSY while NBLs or frames
 * are out: nothing changes then. Rule: PL-05. Restates NdisFreeNetBufferListPool.
 */
NBL_API int nbl_pool_free(struct nbl_pool *pool);

/* How full the pool is (fills). Any thread; a snapshot only at rest. */
NBL_API void nbl_pool_get_counts(const struct nbl_pool *pool, struct nbl_pool_counts *ret_counts);

/*
 * An NBL with one NB and no bytes (window 0, 0; no segment). Returns owned,
 * nbl_free(); NULL when the pool is exhausted.
 * Rule: PL-02. Restates NdisAllocateNetBufferAndNetBufferList.
 */
NBL_API struct nbl *nbl_pool_alloc(struct nbl_pool *pool);

/*
 * Gives 'n' back to its pool with the frames it was allocated with (takes).
 * For NBLs of nbl_pool_alloc() and nbl_alloc_copy(): -EINVAL for any other kind,
 * 'n' unchanged. While references or children live, the pool gets it at the last
 * of them (RF-04). Restates NdisFreeNetBufferList and FwpsFreeNetBufferList.
 */
NBL_API int nbl_free(struct nbl *n);

#endif
