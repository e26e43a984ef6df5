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

enum nbl_pool_flags {
	/*
	 * For finding uses after free: an NBL is used once, and its memory traps from
	 * the moment it was freed. Allocating and freeing call the system, and
	 * after NBL_POOL_VERIFY_LIVES * n_nbls allocations the pool is exhausted
	 * for good. Rule: PL-07.
	 */
	NBL_POOL_VERIFY = 1u << 0,
};

#define NBL_POOL_VERIFY_LIVES 256

struct nbl_pool_params {
	const char *name;		/* for messages; copied */
	uint32_t n_nbls;		/* quota of descriptors, at least 1 */
	uint32_t n_frames;		/* quota of data frames; 0 = descriptors only (clones) */
	uint32_t frame_size;		/* bytes; required with n_frames */
	uint32_t headroom;		/* bytes free in front in nbl_alloc_copy() and clones */
	/* borrows until nbl_pool_free(): n_frames * frame_size bytes; NULL = heap */
	uint8_t *frames;
	uint32_t first_frame;		/* of frames[0] in the adapter's memory; not for heap */
	/* told of each frame taken (true) and given back (false), on that thread; may be NULL */
	void (*frame_used)(void *arg, uint32_t frame, bool used);
	void *arg;
	uint32_t flags;			/* enum nbl_pool_flags */
	uint32_t context_size;		/* room per NBL (context.h); a multiple of a pointer's */
	uint32_t n_extra_nbs;		/* NBs beside one per NBL; 0 = two per NBL */
	uint32_t n_extra_segments;	/* segments beside one per NB and frame; 0 = two per NBL */
	uint32_t max_segments;		/* of one NB over these frames; 0 = any (AMB-05) */

	/* inherited by what is allocated from it (PL-06) */
	uint32_t memory;		/* the memory of its frames (PL-06); 0 = the only one */
	uint32_t protocol_id;		/* for NBL_INFO_PROTOCOL_ID, 0 = none */
};

#define NBL_MAX_MEMORIES 16

struct nbl_pool_counts {
	uint32_t n_nbls, nbls_free;
	uint32_t n_frames, frames_free;
	uint64_t exhausted;		/* allocations refused for want of either */
	uint64_t retreats;		/* segments given where headroom did not suffice (PL-08) */
};

/*
 * Makes a pool (borrows 'params'; fills ret_pool: owned, nbl_pool_free()).
 * Returns 0; -EINVAL for an impossible combination; -ENOMEM, and with
 * NBL_POOL_VERIFY other negative errno of mmap(). Outside of handlers: it allocates.
 * Rule: PL-01. Restates NdisAllocateNetBufferListPool and NdisAllocateNetBufferPool.
 */
NBL_API NBL_MUST_CHECK int nbl_pool_new(const struct nbl_pool_params *params,
					struct nbl_pool **ret_pool);

/*
 * Frees 'pool' (takes on success; NULL is fine). -EBUSY while NBLs or frames are out:
 * nothing changes then, and nbl_pool_visit() in holding.h tells which. Outside of handlers.
 * Rule: PL-05. Restates NdisFreeNetBufferListPool.
 */
NBL_API int nbl_pool_free(struct nbl_pool *pool);

/* How full the pool is (fills). Any thread; a snapshot only at rest. PL-04. */
NBL_API void nbl_pool_get_counts(const struct nbl_pool *pool, struct nbl_pool_counts *ret_counts);

/*
 * An NBL with one NB and no bytes (window 0, 0; no segment). Returns owned,
 * nbl_free(); NULL when the pool is exhausted.
 * Rule: PL-02. Restates NdisAllocateNetBufferAndNetBufferList.
 */
NBL_API struct nbl *nbl_pool_alloc(struct nbl_pool *pool);

/*
 * The same over 'length' bytes that begin 'offset' bytes into the segments from 'first'
 * on (borrows until 'n' is freed, which frees none of them; NULL with 0, 0). Fills
 * ret_nbl: owned, nbl_free(). Returns 0; -EINVAL if the bytes do not lie in the
 * segments; -ENOBUFS.
 * Rule: PL-02. Restates NdisAllocateNetBufferAndNetBufferList.
 */
NBL_API NBL_MUST_CHECK int nbl_pool_alloc_over(struct nbl_pool *pool, struct nbl_segment *first,
					       uint32_t offset, uint32_t length,
					       struct nbl **ret_nbl);

/*
 * An NBL from 'nbl_pool' with room for 'length' bytes in frames of 'data_pool' (borrows
 * both), behind its headroom. The bytes are whatever the frames held. Fills ret_nbl:
 * owned, nbl_free(), which frees the frames with it. Returns 0; -ENOBUFS; -EMSGSIZE if it takes
 * more segments than 'data_pool' allows; -EDQUOT beyond the holder's limit.
 * Rules: PL-03, PL-08. Restates NdisAllocateNetBufferList from a pool with a DataSize.
 */
NBL_API NBL_MUST_CHECK int nbl_pool_alloc_data(struct nbl_pool *nbl_pool,
					       struct nbl_pool *data_pool, uint32_t length,
					       struct nbl **ret_nbl);

/*
 * Which memory the bytes of 'n' (borrows) lie in: what it can be sent from
 * without a copy. Rule: PL-06.
 */
NBL_API uint32_t nbl_memory_of(const struct nbl *n);

/*
 * Gives 'n' back to its pool with the frames it was allocated with (takes).
 * For NBLs of nbl_pool_alloc() and nbl_alloc_copy(): -EINVAL for any other kind, and
 * while a module has it out (TX-01); 'n' unchanged. While references or children live, the pool
 * gets it at the last of them (RF-04). Restates NdisFreeNetBufferList and FwpsFreeNetBufferList.
 */
NBL_API int nbl_free(struct nbl *n);

#endif
