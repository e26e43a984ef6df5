// SPDX-License-Identifier: BSD-2-Clause
/* raw.c - clones as plain NDIS makes them. */
#include <errno.h>

#include <nbl/raw.h>

#include "core/build.h"
#include "core/holding_internal.h"
#include "core/nbl_internal.h"

static _Atomic bool counts_children;

void nbl_raw_count_children(bool yes)
{
	atomic_store(&counts_children, yes);
}

static int build(struct nbl_builder *b, const struct nbl *n, uint32_t flags)
{
	int r = 0;

	for (const struct nbl_nb *nb = n->first_nb; nb && !r; nb = nb->next) {
		r = nbl_build_nb(b);
		if (r < 0)
			return r;
		if (flags & NBL_CLONE_ORIGINAL_SEGMENTS) {
			nbl_build_original(b, nb);
			continue;
		}
		r = nbl_build_share(b, nb, 0, nb->data_length);
		nbl_build_end(b, nb->data_length);
	}
	return r;
}

struct nbl *nbl_raw_alloc_clone(struct nbl *n, struct nbl_pool *pool, uint32_t flags)
{
	struct nbl_builder b = { .nb = NULL };

	if (flags & ~(uint32_t)NBL_CLONE_ORIGINAL_SEGMENTS || !nbl_is_usable(n))
		return NULL;
	if (nbl_pool_take_nbl(pool, NBL_KIND_CLONE, nbl_holder_of(n), &b.p) < 0)
		return NULL;
	if (build(&b, n, flags) < 0) {
		nbl_pool_give(b.p);
		return NULL;
	}
	nbl_inherit(&b.p->nbl, n);
	b.p->nbl.clone_flags = (uint8_t)flags;
	if (!atomic_load_explicit(&counts_children, memory_order_relaxed)) {
		nbl_pool_seal(b.p, false);
		return &b.p->nbl;
	}
	/* whether it is written is not announced here */
	return nbl_build_adopt(b.p, n, true) < 0 ? NULL : &b.p->nbl;
}

int nbl_raw_free_clone(struct nbl *n, uint32_t flags)
{
	if (!n)
		return 0;
	if (nbl_is_foreign(n))
		return -EINVAL;
	if (n->kind != NBL_KIND_CLONE || n->clone_flags != flags)
		return nbl_violation("DV-03: clone freed with other flags", nbl_holder_of(n));
	if (n->is_out)
		return nbl_violation("TX-01: freed while it is out", nbl_holder_of(n));
	return nbl_claim_end_owner(n);
}

int nbl_raw_release(struct nbl *n)
{
	if (!n)
		return 0;
	if (nbl_is_foreign(n))
		return -EINVAL;
	if (atomic_load_explicit(&n->child_ref_count, memory_order_relaxed)) {
		nbl_violation("DV-05: parent given back before its children", nbl_holder_of(n));
		return -EBUSY;
	}
	if (n->is_out)
		return nbl_violation("TX-01: given back while it is out", nbl_holder_of(n));
	return nbl_claim_end_owner(n);
}
