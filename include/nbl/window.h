/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * window.h - moving, viewing and copying the used data of an NB.
 *
 * Whoever changed a window restores it before giving the NBL back (AR-04).
 * All calls borrow their NBs, never block, and may run on the thread that owns
 * the NBL.
 */
#ifndef NBL_WINDOW_H
#define NBL_WINDOW_H

#include <nbl/nbl.h>

/*
 * Grows the used data at the front by 'delta' bytes. Within the unused bytes in
 * front only offsets move; otherwise a segment with room for delta + 'backfill'
 * bytes is prepended from 'pool' (NULL: no pool, so no new segment). A shallow
 * clone never grows into its parent's bytes: it always takes a new segment (DV-02).
 * Returns 0; -ENOBUFS if the pool is NULL or exhausted; -EINVAL on overflow, or if
 * delta + backfill exceeds the pool's frame; 'nb' unchanged then.
 * Rule: AR-01. Restates NdisRetreatNetBufferDataStart.
 */
NBL_API NBL_MUST_CHECK int nbl_nb_retreat(struct nbl_nb *nb, uint32_t delta, uint32_t backfill,
					  struct nbl_pool *pool);

/*
 * Shrinks the used data at the front by 'delta' bytes; the inverse of retreat.
 * With 'free_segments', segments that retreats prepended and that now hold no
 * used byte go back to their pool: all of them, so only whose retreat prepended one says so, where
 * others may have retreated before. Never frees receive frames.
 * Returns 0, or -EINVAL if delta > data_length ('nb' unchanged).
 * Rule: AR-02. Restates NdisAdvanceNetBufferDataStart.
 */
NBL_API int nbl_nb_advance(struct nbl_nb *nb, uint32_t delta, bool free_segments);

/*
 * The same for every NB of 'n': all change or none does. Segments that children of 'n' or
 * a reassembled NBL may show are taken off by nbl_advance() and go back to their pool with 'n'
 * (DV-05).
 * Rule: AR-03. Restate NdisRetreatNetBufferListDataStart and NdisAdvanceNetBufferListDataStart.
 */
NBL_API NBL_MUST_CHECK int nbl_retreat(struct nbl *n, uint32_t delta, uint32_t backfill,
				       struct nbl_pool *pool);
NBL_API int nbl_advance(struct nbl *n, uint32_t delta, bool free_segments);

/*
 * The first 'length' used bytes as one contiguous run, at an address that is
 * align_offset modulo align_multiple (1, 0: any). Returns borrowed, until 'nb'
 * changes: a pointer into the packet if it is contiguous and aligned there,
 * else 'storage' (borrows, 'length' bytes) with a copy. NULL if fewer than
 * 'length' bytes are used, or a copy was needed and 'storage' is NULL.
 * Rule: AR-05. Restates NdisGetDataBuffer.
 */
NBL_API const void *nbl_nb_view(const struct nbl_nb *nb, uint32_t length, void *storage,
				uint32_t align_multiple, uint32_t align_offset);

/*
 * Copies up to 'length' bytes from 'src' at src_offset to 'dst' at dst_offset,
 * both counted from the start of used data. Copies what fits and returns that
 * number; changes no lengths. Copies nothing where the two runs overlap in memory.
 * Rule: AR-06. Restates NdisCopyFromNetBufferToNetBuffer.
 */
NBL_API uint32_t nbl_nb_copy(struct nbl_nb *dst, uint32_t dst_offset, const struct nbl_nb *src,
			     uint32_t src_offset, uint32_t length);

/*
 * True if the cached position agrees with the segments and
 * the lengths fit (walks them). Rule: DM-04.
 */
NBL_API bool nbl_nb_is_sound(const struct nbl_nb *nb);

#endif
