/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbl_internal.h - what the engine does to NBLs and modules do not.
 *
 * Binding descriptors to receive frames, the short way home, and the claims
 * behind derive.h. The engine's words inside an NBL:
 *
 *   claims    owner + references + children; NBL_CLAIM_OWNER_GONE is added when
 *             the owner gives up its claim before the others do
 *   nb.flags  the newest segment a retreat prepended to this NB (a pool's
 *             handle, see pool_internal.h); 0 = none
 */
#ifndef CORE_NBL_INTERNAL_H
#define CORE_NBL_INTERNAL_H

#include <nbl/nbl.h>

#define NBL_CLAIM_OWNER_GONE (1u << 31)

/* What clones and copies inherit of nbl_flags: what is true of the bytes. */
#define NBL_FLAGS_PROTOCOL \
	(NBL_FLAG_IS_IPV4 | NBL_FLAG_IS_IPV6 | NBL_FLAG_IS_TCP | NBL_FLAG_IS_UDP)

/*
 * Binds 'n' for good to receive frame number 'frame': frame_size bytes at 'base'
 * (borrows base and home as long as 'n' is used). Before any nbl_arm_receive().
 */
void nbl_init_receive(struct nbl *n, struct nbl_home *home, uint8_t *base, uint32_t frame_size,
		      uint32_t frame);

/*
 * Makes 'n', bound and at home, the descriptor of a packet of data_length bytes
 * that begins data_offset bytes into its frame. The caller owns it then. Touches
 * its first two cache lines only; source_handle, holder and port stay as they were.
 */
static inline void nbl_arm_receive(struct nbl *n, uint32_t data_offset, uint32_t data_length)
{
	n->next = NULL;
	n->first_nb = &n->nb;
	n->parent = NULL;
	atomic_store_explicit(&n->claims, 1, memory_order_relaxed);
	atomic_store_explicit(&n->references, 0, memory_order_relaxed);
	n->nbl_flags = 0;
	n->frame_type_be = 0;
	n->outcome = NBL_OUTCOME_RETURNED;
	n->status = NBL_STATUS_SUCCESS;

	n->nb.next = NULL;
	n->nb.first_segment = &n->segment;
	n->nb.current_segment = &n->segment;
	n->nb.current_offset = data_offset;
	n->nb.data_offset = data_offset;
	n->nb.data_length = data_length;
	n->nb.flags = 0;
	n->segment.next = NULL;
}

/*
 * True if 'n' is a receive NBL, the caller's is the only claim on it and no
 * prepended segment hangs on it. Its owner may then take it home with no atomic
 * operation; everything else goes home by nbl_release().
 */
static inline bool nbl_claim_is_sole(const struct nbl *n)
{
	return atomic_load_explicit(&n->claims, memory_order_acquire) == 1 && !n->nb.flags &&
	       n->kind == NBL_KIND_RECEIVE;
}

/* Ends the owner's claim on 'n' as nbl_release() does (takes). -EINVAL, counted, if it was over. */
int nbl_claim_end_owner(struct nbl *n);

/* Adds a child's claim on 'n'; its way home ends it. -EINVAL, counted, if nobody has a claim. */
int nbl_claim_add_child(struct nbl *n);

/* Counts one broken rule. */
void nbl_count_violation(void);

/*
 * Gives back all segments that retreats prepended to 'nb', which is on its way
 * home, and takes them out of its list where they are still in front. Leaves the
 * window as it is.
 */
void nbl_nb_drop_prepended(struct nbl_nb *nb);

#endif
