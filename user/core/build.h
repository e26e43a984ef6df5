/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * build.h - putting an NBL together from a pool's pieces, NB by NB, segment by segment.
 *
 * The records of the NBL hold all it has taken so far, so nbl_pool_give() undoes
 * it at any point. All calls return 0 or -ENOBUFS when a pool is exhausted.
 */
#ifndef CORE_BUILD_H
#define CORE_BUILD_H

#include "core/pool_internal.h"

struct nbl_builder {
	struct pool_nbl *p;		/* borrowed */
	struct nb_record *nb;		/* the NB being made, NULL before the first */
	struct nbl_segment *last;	/* its last segment, NULL before the first */
};

/* Begins the next NB. */
NBL_MUST_CHECK int nbl_build_nb(struct nbl_builder *b);

/*
 * Appends segments over the used bytes [offset, offset + length) of 'src' and nothing
 * else (DV-02).
 */
NBL_MUST_CHECK int nbl_build_share(struct nbl_builder *b, const struct nbl_nb *src, uint32_t offset,
				   uint32_t length);

/* Gives the NB the window of all bytes shared so far. */
void nbl_build_end(struct nbl_builder *b, uint32_t length);

/*
 * Gives the NB frames for 'length' bytes behind the data pool's headroom; the bytes
 * come later. -EMSGSIZE if that takes more segments than the pool allows (AMB-05).
 */
NBL_MUST_CHECK int nbl_build_frames(struct nbl_builder *b, uint32_t length);

/* Makes the NB look at the segments of 'src' themselves, headroom and all (DV-03). */
void nbl_build_original(struct nbl_builder *b, const struct nbl_nb *src);

/*
 * False, counted, if 'n' is unknown, back in its pool or a window lies: its bytes cannot
 * be walked.
 */
bool nbl_is_usable(const struct nbl *n);

/* Default pools in the place of NULL: those of the memory 'n' lies in (PL-06). */
void nbl_default_pools(const struct nbl *n, struct nbl_pool **nbl_pool,
		       struct nbl_pool **data_pool);

/* The flags and slots that describe the bytes go from 'from' to 'to' (DV-10). */
void nbl_inherit(struct nbl *to, const struct nbl *from);

/*
 * Makes 'p', which shares bytes of 'n', its child: sealed, watched unless its holder
 * will write (RF-07), with its claim and lineage (keeps 'n'). -EINVAL, counted, if nobody has
 * a claim on 'n': 'p' is given back then (takes 'p' on error).
 */
NBL_MUST_CHECK int nbl_build_adopt(struct pool_nbl *p, struct nbl *n, bool will_write);

/* The end of a reassembled NBL: dereferences the parts it was made of. */
void nbl_drop_parts(struct pool_nbl *p);

#endif
