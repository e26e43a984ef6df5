/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbl_internal.h - what the engine does to NBLs and modules do not.
 *
 * Binding descriptors to receive frames, the short way home, and the claims
 * behind derive.h. The engine's words inside an NBL:
 *
 *   claims        owner + references + children; NBL_CLAIM_OWNER_GONE is added when
 *                 the owner gives up its claim before the others do, NBL_CLAIM_DEEP
 *                 for each claim that needs the descriptor but not its bytes
 *   parent_claim  which of both 'n' has of its parent
 *   nb.flags      the newest segment a retreat prepended to this NB (a pool's
 *                 handle, see pool_internal.h); 0 = none
 */
#ifndef CORE_NBL_INTERNAL_H
#define CORE_NBL_INTERNAL_H

#include <nbl/checks.h>
#include <nbl/nbl.h>

#define NBL_CLAIM_OWNER_GONE (1u << 31)
#define NBL_CLAIM_DEEP (1u << 20)	/* each is counted below, too */

enum nbl_parent_claim {
	NBL_PARENT_NONE,	/* it has no parent, or its owner counts for itself (raw.h) */
	NBL_PARENT_BYTES,
	NBL_PARENT_DEEP,
};

/* What clones and copies inherit of nbl_flags: what is true of the bytes. */
#define NBL_FLAGS_PROTOCOL \
	(NBL_FLAG_IS_IPV4 | NBL_FLAG_IS_IPV6 | NBL_FLAG_IS_TCP | NBL_FLAG_IS_UDP)

/* What keeps a receive NBL from the short way home: there is something to clear. */
#define NBL_FLAGS_UNTIDY \
	(NBL_FLAG_HAS_INFO | NBL_FLAG_HAS_CONTEXT | NBL_FLAG_WILL_MODIFY | NBL_FLAG_BORROWED | \
	 NBL_FLAG_LENT | NBL_FLAG_INJECTED | NBL_FLAG_TAGGED)

/*
 * Binds 'n' for good to receive frame number 'frame': frame_size bytes at 'base'
 * (borrows base and home as long as 'n' is used), and makes it known (DM-16).
 * Before any nbl_arm_receive().
 */
void nbl_init_receive(struct nbl *n, struct nbl_home *home, uint8_t *base, uint32_t frame_size,
		      uint32_t frame);

/*
 * Gives 'n' its room for contexts: 'size' bytes at 'area', aligned like pointers
 * (borrows as long as 'n' is used). After nbl_init_receive(). Rule: DM-13.
 */
void nbl_bind_context(struct nbl *n, uint8_t *area, uint16_t size);

/*
 * Makes 'n', bound and at home, the descriptor of a packet of data_length bytes
 * that begins data_offset bytes into its frame. The caller owns it then. Touches
 * its first two cache lines only; source_handle and holder stay as they were.
 */
static inline void nbl_arm_receive(struct nbl *n, uint32_t data_offset, uint32_t data_length)
{
	n->next = NULL;
	n->first_nb = &n->nb;
	n->parent = NULL;
	atomic_store_explicit(&n->references, 0, memory_order_relaxed);
	n->nbl_flags = 0;
	n->frame_type_be = 0;
	n->outcome = NBL_OUTCOME_RETURNED;
	n->port = 0;
	n->status = NBL_STATUS_SUCCESS;

	n->nb.next = NULL;
	n->nb.first_segment = &n->segment;
	n->nb.current_segment = &n->segment;
	n->nb.current_offset = data_offset;
	n->nb.data_offset = data_offset;
	n->nb.data_length = data_length;
	n->nb.flags = 0;
	n->segment.next = NULL;
	/* last: from now on it can be claimed, and what is counted of that must stay */
	atomic_store_explicit(&n->claims, 1, memory_order_release);
}

/*
 * True if 'n' is a receive NBL, the caller's is the only claim on it and nothing
 * hangs on it that must be cleared or freed. Its owner may then take it home with
 * no atomic operation; everything else goes home by nbl_release().
 */
static inline bool nbl_claim_is_sole(const struct nbl *n)
{
	return atomic_load_explicit(&n->claims, memory_order_acquire) == 1 && !n->nb.flags &&
	       n->kind == NBL_KIND_RECEIVE && !(n->nbl_flags & NBL_FLAGS_UNTIDY);
}

/*
 * Ends the owner's claim on 'n' as nbl_release() does (takes). -EINVAL, counted, if it
 * was over.
 */
int nbl_claim_end_owner(struct nbl *n);

/*
 * Makes 'child' (borrows) a child of 'n' with a claim on it that the child's way
 * home ends; needs_bytes: the child shares bytes of 'n'. -EINVAL, counted, if
 * nobody has a claim or the bytes are gone. Rules: RF-11, AMB-01.
 */
int nbl_claim_add_child(struct nbl *n, struct nbl *child, bool needs_bytes);

/* nbl_reference() that tells: false, counted, if nobody has a claim on 'n'. */
bool nbl_claim_reference(struct nbl *n);

/*
 * The reading of AMB-01 by the letter: deep clones keep their parent's frame. Off at
 * first; before lanes run.
 */
void nbl_set_strict_parent_pin(bool strict);

/* True if no other thread announced writes to 'n'. Rule: RF-06. */
bool nbl_intent_is_here(const struct nbl *n);

/* Counts one broken rule: 'what' (borrows for ever) by 'holder'. Returns -EINVAL. */
int nbl_violation(const char *what, uint16_t holder);

extern _Atomic uint32_t nbl_checks;	/* enum nbl_checks, by nbl_set_checks() */

static inline bool nbl_check_is_on(enum nbl_checks check)
{
	return NBL_UNLIKELY(atomic_load_explicit(&nbl_checks, memory_order_relaxed) & check);
}

/*
 * True, counted, if NBL_CHECK_KNOWN is on and 'n' is none of the engine's: it must not
 * be touched. Rule: DM-16.
 */
static inline bool nbl_is_foreign(const struct nbl *n)
{
	return nbl_check_is_on(NBL_CHECK_KNOWN) && !nbl_is_known(n) &&
	       nbl_violation("DM-16: an NBL that is none of the engine's", 0);
}

/*
 * Gives back all segments that retreats prepended to 'nb', which is on its way
 * home, and takes them out of its list where they are still in front. Leaves the
 * window as it is.
 */
void nbl_nb_drop_prepended(struct nbl_nb *nb);

/*
 * Sets the cached position of 'nb' from its offset. False if the window does not lie in
 * its segments.
 */
bool nbl_nb_place(struct nbl_nb *nb);

/*
 * Puts a segment of its own with 'delta' bytes in front of 'nb', behind at least
 * 'backfill' free ones, from 'pool' (borrows). Returns 0, or the errors of
 * nbl_nb_retreat(); 'nb' unchanged then.
 */
NBL_MUST_CHECK int nbl_nb_prepend(struct nbl_nb *nb, uint32_t delta, uint32_t backfill,
				  struct nbl_pool *pool);

/* ---- information (info.c) ---- */

/*
 * The filter engine's record of an NBL hangs in its slot NBL_INFO_WFP (DM-10);
 * these are told where it has to follow. Any thread.
 */
struct nbl_lineage_ops {
	/* 'to' was derived from 'from' (borrows both): returns the record of 'to', 0 = none */
	uint64_t (*inherit)(uint64_t record, const struct nbl *from, struct nbl *to);
	/* 'n' (borrows) goes home: takes the record */
	void (*drop)(uint64_t record, struct nbl *n);
};

/* Sets whom to tell (borrows until replaced; NULL = nobody). Before lanes run. */
void nbl_set_lineage_ops(const struct nbl_lineage_ops *ops);

/* Puts the engine's record into 'n'. */
void nbl_info_set_lineage(struct nbl *n, uint64_t record);

/* What describes the bytes goes from 'from' to 'to', just derived from it. Rule: DV-10. */
void nbl_info_inherit(struct nbl *to, const struct nbl *from);

/*
 * 'to' is a clone of 'from' for good: the engine's record follows, by its own rule.
 * Rule: DM-10.
 */
void nbl_info_inherit_lineage(struct nbl *to, const struct nbl *from);

/*
 * Takes the engine's record off 'n'; clears all slots and scratch; drops contexts that
 * were left, counted.
 */
void nbl_info_drop_lineage(struct nbl *n);
void nbl_info_clear(struct nbl *n);
void nbl_context_drop(struct nbl *n);

#endif
