// SPDX-License-Identifier: BSD-2-Clause
/* nbl.c - who has a claim on an NBL, and the way home when nobody has. */
#include <errno.h>
#include <string.h>

#include <nbl/derive.h>

#include "core/holding_internal.h"
#include "core/nbl_internal.h"
#include "core/pool_internal.h"
#include "core/slab.h"

#define MAX_CLAIMS UINT16_MAX	/* as many references without a place are counted (holding.c) */
#define MAX_DEEP (1024u)			/* of 2047; those beyond keep the bytes, too */

static _Atomic bool is_strict;

/* Its address tells threads apart. */
static __thread char this_thread;

void nbl_set_strict_parent_pin(bool strict)
{
	atomic_store(&is_strict, strict);
}

void nbl_init_receive(struct nbl *n, struct nbl_home *home, uint8_t *base, uint32_t frame_size,
		      uint32_t frame)
{
	memset(n, 0, sizeof(*n));
	n->home = home;
	n->kind = NBL_KIND_RECEIVE;
	n->first_nb = &n->nb;
	n->nb.first_segment = &n->segment;
	n->nb.current_segment = &n->segment;
	n->segment.base = base;
	n->segment.length = frame_size;
	n->segment.frame = frame;
	nbl_slab_add(n, sizeof(*n), 1);
}

/* ---- the word of claims ---- */

static uint32_t total(uint32_t claims)
{
	return claims & (NBL_CLAIM_DEEP - 1);
}

static uint32_t deep(uint32_t claims)
{
	return (claims & ~NBL_CLAIM_OWNER_GONE) / NBL_CLAIM_DEEP;
}

/* True if somebody needs the descriptor but nobody its bytes. */
static bool only_deep(uint32_t claims)
{
	return total(claims) && total(claims) == deep(claims);
}

/*
 * False, counted, if nobody has a claim on the bytes of 'n'. What is refused is never added, not
 * even for a moment: the lane arms the descriptor by a plain store of its owner's claim, and
 * taking back what was added before that would take the owner's. Whoever comes without a claim
 * just after that is not told from one who has it: the packet is another, the counts are right.
 */
static bool claim_add(struct nbl *n, uint32_t claim)
{
	uint32_t claims = atomic_load_explicit(&n->claims, memory_order_relaxed);

	do {
		if (NBL_UNLIKELY(total(claims) == deep(claims) || total(claims) >= MAX_CLAIMS)) {
			nbl_violation("RF-04: claim on an NBL that nobody holds", nbl_holder_of(n));
			return false;
		}
	} while (!atomic_compare_exchange_weak_explicit(&n->claims, &claims, claims + claim,
							memory_order_acquire,
							memory_order_relaxed));
	return true;
}

/*
 * 'claims' with one less that needs bytes. If only deep ones would be left, it
 * becomes one of them, so that the descriptor stays while the frame is given up.
 */
static uint32_t less_bytes(uint32_t claims)
{
	return deep(claims) && total(claims) == deep(claims) + 1 ? claims + NBL_CLAIM_DEEP
								 : claims - 1;
}

/* Drops a reference's or a child's claim. Returns what is left. */
static uint32_t claim_drop(struct nbl *n, enum nbl_parent_claim claim)
{
	uint32_t left, claims = atomic_load_explicit(&n->claims, memory_order_relaxed);

	do {
		left = claim == NBL_PARENT_DEEP ? claims - 1 - NBL_CLAIM_DEEP : less_bytes(claims);
	} while (!atomic_compare_exchange_weak_explicit(&n->claims, &claims, left,
							memory_order_acq_rel,
							memory_order_relaxed));
	return left;
}

/* ---- the way home ---- */

/* True if the bytes of 'n' are its one parent's. */
static bool shares_bytes(const struct nbl *n)
{
	return (n->kind == NBL_KIND_CLONE || n->kind == NBL_KIND_FRAGMENTS) &&
	       n->parent_claim == NBL_PARENT_BYTES;
}

/*
 * 'n' needs only the descriptor of its parent from now on.
 * True if that was the last who needed more.
 */
static bool turn_deep(struct nbl *n)
{
	uint32_t now, claims = atomic_load_explicit(&n->parent->claims, memory_order_relaxed);

	do {
		if (deep(claims) >= MAX_DEEP)
			return false;
		now = claims + NBL_CLAIM_DEEP;
	} while (!atomic_compare_exchange_weak_explicit(&n->parent->claims, &claims, now,
							memory_order_acq_rel,
							memory_order_relaxed));
	n->parent_claim = NBL_PARENT_DEEP;
	return only_deep(now);
}

/*
 * Only deep clones need 'n', and nobody can read its bytes any more: gives up the
 * frame, here or, where 'n' shares it, further up.
 */
static void give_up_bytes(struct nbl *n)
{
	while (shares_bytes(n)) {
		nbl_pool_check_bytes(pool_nbl_of(n));
		if (!turn_deep(n))
			return;
		n = n->parent;
	}
	nbl_nb_drop_prepended(&n->nb);
	n->home->release_frame(n->home, n);
	n->nb.first_segment = n->nb.current_segment = NULL;
	n->nb.data_offset = n->nb.data_length = n->nb.current_offset = 0;
	n->segment.frame = NBL_NO_FRAME;
}

static void tidy(struct nbl *n)
{
	uint32_t flags = __atomic_load_n(&n->nbl_flags, __ATOMIC_RELAXED);

	if (n->nb.flags)
		nbl_nb_drop_prepended(&n->nb);
	if (flags & NBL_FLAG_HAS_CONTEXT)
		nbl_context_drop(n);
	if (n->kind != NBL_KIND_RECEIVE)
		nbl_info_drop_lineage(n);
	else if (flags & NBL_FLAG_HAS_INFO)
		nbl_info_clear(n);
	if (flags & NBL_FLAG_WILL_MODIFY)
		n->intent_thread = 0;
	/* the library's own children are gone by now */
	if (atomic_load_explicit(&n->child_ref_count, memory_order_relaxed)) {
		nbl_violation("DV-05: parent given back before its children", n->holder);
		n->child_ref_count = 0;
	}
}

/* Sends 'n' home, and each ancestor it was the last claim on: a loop, for trees may be deep. */
static void go_home(struct nbl *n)
{
	enum nbl_parent_claim claim;
	struct nbl *parent;
	uint32_t left;

	for (;;) {
		parent = n->parent;
		claim = (enum nbl_parent_claim)n->parent_claim;
		tidy(n);
		n->home->release(n->home, n);
		if (claim == NBL_PARENT_NONE)
			return;
		n = parent;
		atomic_fetch_sub_explicit(&n->child_ref_count, 1, memory_order_relaxed);
		left = claim_drop(n, claim);
		if (claim == NBL_PARENT_BYTES && only_deep(left)) {
			give_up_bytes(n);
			left = claim_drop(n, NBL_PARENT_DEEP);
		}
		if (total(left))
			return;
	}
}

/* Acts on what a dropped claim that needed bytes left behind. */
static void settle(struct nbl *n, uint32_t left)
{
	if (only_deep(left)) {
		give_up_bytes(n);
		left = claim_drop(n, NBL_PARENT_DEEP);
	}
	if (!total(left))
		go_home(n);
}

int nbl_claim_end_owner(struct nbl *n)
{
	uint32_t left, claims = atomic_load_explicit(&n->claims, memory_order_relaxed);

	do {
		if (!claims || claims & NBL_CLAIM_OWNER_GONE)
			return nbl_violation("RF-04: given back twice", nbl_holder_of(n));
		left = claims == 1 ? 0 : less_bytes(claims | NBL_CLAIM_OWNER_GONE);
	} while (!atomic_compare_exchange_weak_explicit(&n->claims, &claims, left,
							memory_order_acq_rel,
							memory_order_relaxed));
	settle(n, left);
	return 0;
}

/* True if the frame behind 'n' can be given up before its descriptor (AMB-01). */
static bool gives_frame_early(const struct nbl *n)
{
	if (atomic_load_explicit(&is_strict, memory_order_relaxed))
		return false;
	while (shares_bytes(n))
		n = n->parent;
	return n->kind == NBL_KIND_RECEIVE && n->home->release_frame;
}

int nbl_claim_add_child(struct nbl *n, struct nbl *child, bool needs_bytes)
{
	bool is_deep = !needs_bytes && gives_frame_early(n) &&
		       deep(atomic_load_explicit(&n->claims, memory_order_relaxed)) < MAX_DEEP;

	if (!claim_add(n, is_deep ? 1 + NBL_CLAIM_DEEP : 1))
		return -EINVAL;
	atomic_fetch_add_explicit(&n->child_ref_count, 1, memory_order_relaxed);
	child->parent = n;
	child->parent_claim = is_deep ? NBL_PARENT_DEEP : NBL_PARENT_BYTES;
	return 0;
}

void nbl_release(struct nbl *n)
{
	if (n && !nbl_is_foreign(n))
		nbl_claim_end_owner(n);
}

int nbl_free_clone(struct nbl *n)
{
	if (!n)
		return 0;
	if (nbl_is_foreign(n))
		return -EINVAL;
	if ((n->kind != NBL_KIND_CLONE && n->kind != NBL_KIND_DEEP_CLONE) || n->clone_flags)
		return nbl_violation("RF-13: freed as a clone and is none", nbl_holder_of(n));
	if (n->is_out)
		return nbl_violation("TX-01: freed while it is out", nbl_holder_of(n));
	return nbl_claim_end_owner(n);
}

/* ---- references ---- */

/* Where the writes that 'n' was marked for will come from, if from one thread. */
static void note_intent(struct nbl *n)
{
	uintptr_t none = 0, self = (uintptr_t)&this_thread;

	if (!atomic_compare_exchange_strong(&n->intent_thread, &none, self) && none != self)
		atomic_store(&n->intent_thread, UINTPTR_MAX);
	/* other holders may read the flags at this moment */
	__atomic_fetch_or(&n->nbl_flags, (uint32_t)NBL_FLAG_WILL_MODIFY, __ATOMIC_RELEASE);
}

bool nbl_intent_is_here(const struct nbl *n)
{
	uintptr_t thread = atomic_load(&n->intent_thread);

	return !thread || thread == (uintptr_t)&this_thread;
}

bool nbl_claim_reference(struct nbl *n)
{
	if (nbl_is_foreign(n) || !claim_add(n, 1))
		return false;
	atomic_fetch_add_explicit(&n->references, 1, memory_order_relaxed);
	nbl_holding_add_reference(n, nbl_holder_of(n));
	return true;
}

void nbl_reference(struct nbl *n, bool intend_to_modify)
{
	if (nbl_claim_reference(n) && intend_to_modify)
		note_intent(n);
}

int nbl_dereference(struct nbl *n)
{
	uint32_t references;

	if (nbl_is_foreign(n))
		return -EINVAL;
	references = atomic_load_explicit(&n->references, memory_order_relaxed);
	do {
		if (!references)
			return nbl_violation("RF-02: dereference without a reference",
					     nbl_holder_of(n));
	} while (!atomic_compare_exchange_weak_explicit(&n->references, &references, references - 1,
							memory_order_relaxed,
							memory_order_relaxed));
	nbl_holding_drop_reference(n, nbl_holder_of(n));
	settle(n, claim_drop(n, NBL_PARENT_BYTES));
	return 0;
}
