// SPDX-License-Identifier: BSD-2-Clause
/* derive.c - clones, deep clones and copies of an NBL. */
#include <errno.h>

#include <nbl/derive.h>
#include <nbl/window.h>

#include "core/build.h"
#include "core/holding_internal.h"
#include "core/nbl_internal.h"

/* Of each memory; the first also stands in for those that have none. */
static struct {
	struct nbl_pool *_Atomic nbl_pool, *_Atomic data_pool;
} defaults[NBL_MAX_MEMORIES];

static _Atomic uint64_t hidden_copies;

int nbl_set_memory_pools(uint32_t memory, struct nbl_pool *nbl_pool, struct nbl_pool *data_pool)
{
	if (memory >= NBL_MAX_MEMORIES)
		return -EINVAL;
	defaults[memory].nbl_pool = nbl_pool;
	defaults[memory].data_pool = data_pool;
	return 0;
}

void nbl_set_default_pools(struct nbl_pool *nbl_pool, struct nbl_pool *data_pool)
{
	nbl_set_memory_pools(0, nbl_pool, data_pool);
}

void nbl_default_pools(const struct nbl *n, struct nbl_pool **nbl_pool, struct nbl_pool **data_pool)
{
	uint32_t memory;

	if (*nbl_pool && *data_pool)
		return;
	memory = nbl_memory_of(n);
	if (memory >= NBL_MAX_MEMORIES)
		memory = 0;
	if (!*nbl_pool)
		*nbl_pool = defaults[memory].nbl_pool;
	if (!*nbl_pool)
		*nbl_pool = defaults[0].nbl_pool;
	if (!*data_pool)
		*data_pool = defaults[memory].data_pool;
	if (!*data_pool)
		*data_pool = defaults[0].data_pool;
}

uint64_t nbl_hidden_copies(void)
{
	return atomic_load_explicit(&hidden_copies, memory_order_relaxed);
}

/*
 * An NBL of 'kind' shaped after 'n', or an error with nothing taken. It shares the
 * bytes, or with a data pool has room for them.
 */
static int derive(const struct nbl *n, enum nbl_kind kind, struct nbl_pool *nbl_pool,
		  struct nbl_pool *data_pool, struct pool_nbl **ret_nbl)
{
	struct nbl_builder b = { .nb = NULL };
	int r;

	r = nbl_pool_take_nbl(nbl_pool, kind, nbl_holder_of(n), &b.p);
	if (r < 0)
		return r;
	b.p->data_pool = data_pool;
	for (const struct nbl_nb *nb = n->first_nb; nb && !r; nb = nb->next) {
		r = nbl_build_nb(&b);
		if (r < 0)
			break;
		if (data_pool) {
			r = nbl_build_frames(&b, nb->data_length);
			continue;
		}
		r = nbl_build_share(&b, nb, 0, nb->data_length);
		nbl_build_end(&b, nb->data_length);
	}
	if (r < 0) {
		nbl_pool_give(b.p);
		return r;
	}
	nbl_inherit(&b.p->nbl, n);
	*ret_nbl = b.p;
	return 0;
}

static void copy_bytes(struct nbl *to, const struct nbl *from)
{
	const struct nbl_nb *src = from->first_nb;

	for (struct nbl_nb *nb = to->first_nb; src; nb = nb->next, src = src->next)
		nbl_nb_copy(nb, 0, src, 0, src->data_length);
}

/* An NBL of 'kind' with its own copy of the bytes of 'n' and no parent. */
static int derive_copy(const struct nbl *n, enum nbl_kind kind, struct nbl_pool *nbl_pool,
		       struct nbl_pool *data_pool, struct pool_nbl **ret_copy)
{
	struct pool_nbl *p;
	int r;

	if (!nbl_is_usable(n))
		return -EINVAL;
	nbl_default_pools(n, &nbl_pool, &data_pool);
	if (!nbl_pool || !data_pool)
		return -ENOBUFS;
	r = derive(n, kind, nbl_pool, data_pool, &p);
	if (r < 0)
		return r;
	copy_bytes(&p->nbl, n);
	nbl_pool_seal(p, false);
	*ret_copy = p;
	return 0;
}

int nbl_alloc_deep_clone(struct nbl *n, struct nbl_pool *nbl_pool, struct nbl_pool *data_pool,
			 struct nbl **ret_clone)
{
	struct pool_nbl *p;
	int r;

	r = derive_copy(n, NBL_KIND_DEEP_CLONE, nbl_pool, data_pool, &p);
	if (r < 0)
		return r;
	r = nbl_claim_add_child(n, &p->nbl, false);
	if (r < 0) {
		nbl_pool_give(p);
		return r;
	}
	nbl_info_inherit_lineage(&p->nbl, n);
	*ret_clone = &p->nbl;
	return 0;
}

int nbl_alloc_copy(const struct nbl *n, struct nbl_pool *nbl_pool, struct nbl_pool *data_pool,
		   struct nbl **ret_copy)
{
	struct pool_nbl *p;
	int r;

	r = derive_copy(n, NBL_KIND_FRESH, nbl_pool, data_pool, &p);
	if (r < 0)
		return r;
	*ret_copy = &p->nbl;
	return 0;
}

/* A deep clone where a shallow one was asked for, from 'pool' if it has frames. */
static struct nbl *clone_deep_instead(struct nbl *n, struct nbl_pool *pool)
{
	struct nbl_pool *data_pool = pool && pool->free_frames.n ? pool : NULL;
	struct nbl *clone;

	if (nbl_alloc_deep_clone(n, pool, data_pool, &clone) < 0)
		return NULL;
	atomic_fetch_add_explicit(&hidden_copies, 1, memory_order_relaxed);
	return clone;
}

/* True if nobody but 'holder' sees 'n', of whom so many children are its own doing. */
static bool is_seen_only_by(const struct nbl *n, uint16_t holder, uint32_t n_children)
{
	uint32_t claims = atomic_load_explicit(&n->claims, memory_order_acquire);
	/* of what was dropped the holder is who did that, not who has it now */
	bool is_dropped = n->outcome != NBL_OUTCOME_RETURNED &&
			  nbl_outcome_is_drop((enum nbl_outcome)n->outcome);
	bool is_owner = n->holder == holder && !is_dropped;
	bool owner_gone = claims & NBL_CLAIM_OWNER_GONE;

	/* whoever is noted as its holder, it is with those below, or being sent */
	if (n->is_out)
		return false;
	/* a reference that a reassembled NBL has of it is of whoever sees that, too */
	return !(__atomic_load_n(&n->nbl_flags, __ATOMIC_RELAXED) & NBL_FLAG_IS_PART) &&
	       atomic_load_explicit(&n->child_ref_count, memory_order_relaxed) == n_children &&
	       nbl_holding_references_only_by(n, holder) && nbl_intent_is_here(n) &&
	       (is_owner || owner_gone) &&
	       !(n->home->is_queued && n->home->is_queued(n->home, n));
}

/*
 * True if the announced writes would show to nobody but the caller (RF-06): neither in 'n'
 * nor in what its bytes are shared with.
 */
static bool may_write_shared(const struct nbl *n, uint16_t holder)
{
	if (!is_seen_only_by(n, holder, 0))
		return false;
	for (; n->kind == NBL_KIND_CLONE || n->kind == NBL_KIND_FRAGMENTS; n = n->parent)
		if (!n->parent || !is_seen_only_by(n->parent, holder, 1))
			return false;
	return n->kind != NBL_KIND_REASSEMBLED;
}

static struct nbl *clone_shared(struct nbl *n, struct nbl_pool *pool, uint16_t holder,
				bool will_write)
{
	struct pool_nbl *p;
	struct nbl *deep;
	int r;

	r = derive(n, NBL_KIND_CLONE, pool, NULL, &p);
	if (r == -EDQUOT) {
		deep = clone_deep_instead(n, pool);
		if (deep)
			nbl_holding_count_promoted(holder);
		return deep;
	}
	return r < 0 || nbl_build_adopt(p, n, will_write) < 0 ? NULL : &p->nbl;
}

struct nbl *nbl_alloc_clone(struct nbl *n, struct nbl_pool *pool)
{
	struct nbl_pool *unused = pool;
	uint16_t holder;
	bool will_write;

	if (!nbl_is_usable(n))
		return NULL;
	nbl_default_pools(n, &pool, &unused);
	if (!pool)
		return NULL;
	holder = nbl_holder_of(n);
	will_write = __atomic_load_n(&n->nbl_flags, __ATOMIC_ACQUIRE) & NBL_FLAG_WILL_MODIFY;
	if (will_write && !may_write_shared(n, holder))
		return clone_deep_instead(n, pool);
	return clone_shared(n, pool, holder, will_write);
}
