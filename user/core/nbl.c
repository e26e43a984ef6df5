// SPDX-License-Identifier: BSD-2-Clause
/* nbl.c - who has a claim on an NBL, and the way home when nobody has. */
#include <errno.h>
#include <string.h>

#include <nbl/derive.h>

#include "core/nbl_internal.h"

static _Atomic uint64_t violations;

void nbl_count_violation(void)
{
	atomic_fetch_add_explicit(&violations, 1, memory_order_relaxed);
}

uint64_t nbl_violations(void)
{
	return atomic_load_explicit(&violations, memory_order_relaxed);
}

static int violation(void)
{
	nbl_count_violation();
	return -EINVAL;
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
}

/* False, counted, if nobody has a claim on 'n'. */
static bool claim_add(struct nbl *n)
{
	uint32_t old = atomic_fetch_add_explicit(&n->claims, 1, memory_order_relaxed);

	if (NBL_LIKELY(old & ~NBL_CLAIM_OWNER_GONE))
		return true;
	atomic_fetch_sub_explicit(&n->claims, 1, memory_order_relaxed);
	nbl_count_violation();
	return false;
}

/* Drops a reference's or a child's claim. True if it was the last one. */
static bool claim_drop(struct nbl *n)
{
	return atomic_fetch_sub_explicit(&n->claims, 1, memory_order_acq_rel) ==
	       (NBL_CLAIM_OWNER_GONE | 1);
}

/* Sends 'n' home, and each ancestor it was the last claim on: a loop, for trees may be deep. */
static void go_home(struct nbl *n)
{
	struct nbl *parent;

	do {
		parent = n->parent;
		if (n->nb.flags)
			nbl_nb_drop_prepended(&n->nb);
		n->home->release(n->home, n);
		n = parent;
		if (!n)
			return;
		atomic_fetch_sub_explicit(&n->child_ref_count, 1, memory_order_relaxed);
	} while (claim_drop(n));
}

int nbl_claim_end_owner(struct nbl *n)
{
	uint32_t left, claims = atomic_load_explicit(&n->claims, memory_order_relaxed);

	do {
		if (!claims || claims & NBL_CLAIM_OWNER_GONE)
			return violation();
		left = claims == 1 ? 0 : (claims - 1) | NBL_CLAIM_OWNER_GONE;
	} while (!atomic_compare_exchange_weak_explicit(&n->claims, &claims, left,
							memory_order_acq_rel,
							memory_order_relaxed));
	if (!left)
		go_home(n);
	return 0;
}

int nbl_claim_add_child(struct nbl *n)
{
	if (!claim_add(n))
		return -EINVAL;
	atomic_fetch_add_explicit(&n->child_ref_count, 1, memory_order_relaxed);
	return 0;
}

void nbl_release(struct nbl *n)
{
	if (n)
		nbl_claim_end_owner(n);
}

int nbl_free_clone(struct nbl *n)
{
	if (!n)
		return 0;
	if (n->kind != NBL_KIND_CLONE && n->kind != NBL_KIND_DEEP_CLONE)
		return violation();
	return nbl_claim_end_owner(n);
}

void nbl_reference(struct nbl *n, bool intend_to_modify)
{
	if (!claim_add(n))
		return;
	atomic_fetch_add_explicit(&n->references, 1, memory_order_relaxed);
	/* other holders may read the flags at this moment */
	if (intend_to_modify)
		__atomic_fetch_or(&n->nbl_flags, NBL_FLAG_WILL_MODIFY, __ATOMIC_RELAXED);
}

int nbl_dereference(struct nbl *n)
{
	uint32_t references = atomic_load_explicit(&n->references, memory_order_relaxed);

	do {
		if (!references)
			return violation();
	} while (!atomic_compare_exchange_weak_explicit(&n->references, &references, references - 1,
							memory_order_relaxed,
							memory_order_relaxed));
	if (claim_drop(n))
		go_home(n);
	return 0;
}
