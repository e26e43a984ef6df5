/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fragment.h - clones that cut packets up, put them together, or have headers of their own.
 *
 * All share the payload, which must not be written, and pin what they were made
 * of like nbl_alloc_clone(). What lies in front of it, 'delta' or header bytes,
 * is the new NBL's own; where that is not written yet, the NBL says nothing of IP, TCP or UDP until
 * nbl_parse() (DM-14). Each call takes descriptors from 'nbl_pool' and memory for
 * headers from 'data_pool' (borrows; NULL = default) and returns 0; -EINVAL if a packet is
 * shorter than asked for, or as nbl_alloc_deep_clone(); -ENOBUFS; -EDQUOT: nothing is
 * allocated and nothing changed then. Any thread that holds the NBLs; none blocks.
 */
#ifndef NBL_FRAGMENT_H
#define NBL_FRAGMENT_H

#include <nbl/derive.h>

struct nbl_fragment_params {
	uint32_t start_offset;		/* used bytes of each packet that are left out in front */
	uint32_t max_length;		/* payload of one fragment, at least 1 */
	uint32_t delta;			/* header bytes in front of each result, not yet written */
	uint32_t backfill;		/* free bytes kept in front of these */
};

/*
 * An NBL of kind NBL_KIND_FRAGMENTS: each packet of 'n' (keeps: its parent) in pieces of at
 * most max_length bytes, one NB each, in order; the last piece of one packet
 * and the first of the next are never joined. Fills ret_fragments: owned, nbl_free_fragments().
 * Rule: DV-08. Restates NdisAllocateFragmentNetBufferList.
 */
NBL_API NBL_MUST_CHECK int nbl_alloc_fragments(struct nbl *n,
					       const struct nbl_fragment_params *params,
					       struct nbl_pool *nbl_pool,
					       struct nbl_pool *data_pool,
					       struct nbl **ret_fragments);

/*
 * Frees fragments (takes). -EINVAL, counted as a violation, if they are none or were made
 * with another delta: 'n' unchanged then. Restates NdisFreeFragmentNetBufferList.
 */
NBL_API int nbl_free_fragments(struct nbl *n, uint32_t delta);

/*
 * An NBL of kind NBL_KIND_REASSEMBLED with one NB: the used bytes of every packet of
 * parts[0..n_parts-1] behind start_offset, one after the other. parts[0] is its parent;
 * each other part is referenced until it goes home (keeps all). Fills ret_nbl: owned,
 * nbl_free_reassembled(). Rule: DV-09. Restates NdisAllocateReassembledNetBufferList.
 */
NBL_API NBL_MUST_CHECK int nbl_alloc_reassembled(struct nbl *const *parts, uint32_t n_parts,
						 const struct nbl_fragment_params *params,
						 struct nbl_pool *nbl_pool,
						 struct nbl_pool *data_pool, struct nbl **ret_nbl);

/*
 * Frees a reassembled NBL (takes), as nbl_free_fragments(). Restates
 * NdisFreeReassembledNetBufferList.
 */
NBL_API int nbl_free_reassembled(struct nbl *n, uint32_t delta);

/*
 * A clone of 'n' (keeps: its parent) whose first header_length bytes of each packet
 * are its own copy, in one segment behind at least 'headroom' free bytes. Fills ret_clone:
 * owned, nbl_free_clone(). Rule: DV-13.
 */
NBL_API NBL_MUST_CHECK int nbl_alloc_partial_clone(struct nbl *n, uint32_t header_length,
						   uint32_t headroom, struct nbl_pool *nbl_pool,
						   struct nbl_pool *data_pool,
						   struct nbl **ret_clone);

/* Segments that hold used bytes of 'nb' (borrows): what sending it as it is takes (DV-09). */
NBL_API uint32_t nbl_nb_n_segments(const struct nbl_nb *nb);

#endif
