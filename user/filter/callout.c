// SPDX-License-Identifier: BSD-2-Clause
/* callout.c - registering callouts, what they hold, what they took. */
#include "filter/wfp_internal.h"

#include <stdlib.h>

#include <nbl/derive.h>

/* ---- registering ---- */

struct wfp_callout *wfp_callout_find(const struct nbl_wfp *wfp, uint32_t id)
{
	const struct wfp_callout *c = &wfp->callouts[WFP_INDEX(id)];

	if (!id || (atomic_load(&c->id) != id && c->closing != id))
		return NULL;
	return (struct wfp_callout *)(uintptr_t)c;
}

static int callout_check(const struct nbl_callout *c)
{
	if (c->version != NBL_CALLOUT_VERSION || c->size != sizeof(*c))
		return -EINVAL;
	if (c->layers >> NBL_N_LAYERS)
		return -EOPNOTSUPP;
	if (!c->name || !*c->name || !c->owner || !c->layers || !c->classify ||
	    c->flags & ~(NBL_CALLOUT_CONDITIONAL_ON_FLOW | NBL_CALLOUT_BATCH_MAY_HOLD))
		return -EINVAL;
	return c->flags & NBL_CALLOUT_CONDITIONAL_ON_FLOW && !c->flow_deleted ? -EINVAL : 0;
}

static void copy_name(char *to, const char *name)
{
	size_t n = strnlen(name, NBL_CALLOUT_NAME_MAX - 1);

	memcpy(to, name, n);
	to[n] = '\0';
}

int nbl_callout_register(struct nbl_wfp *wfp, const struct nbl_callout *callout, uint32_t *ret_id)
{
	struct wfp_callout *c;
	uint32_t i;
	int r;

	r = callout_check(callout);
	if (r < 0)
		return r;
	for (i = 0; i < NBL_MAX_CALLOUTS; i++) {
		if (!atomic_load(&wfp->callouts[i].id) && !wfp->callouts[i].closing)
			break;
	}
	if (i == NBL_MAX_CALLOUTS)
		return -ENOSPC;
	c = &wfp->callouts[i];
	free(c->counts);
	c->counts = calloc(wfp->params.n_slots, sizeof(*c->counts));
	if (!c->counts)
		return -ENOMEM;
	copy_name(c->name, callout->name);
	c->is = *callout;
	c->is.name = c->name;
	if (!c->is.budget_ns)
		c->is.budget_ns = WFP_DEFAULT_BUDGET_NS;
	*ret_id = ++c->generation << WFP_INDEX_BITS | i;
	atomic_store_explicit(&c->id, *ret_id, memory_order_release);
	wfp_handles_refresh(wfp);
	return 0;
}

int nbl_callout_unregister(struct nbl_wfp *wfp, uint32_t id)
{
	struct wfp_callout *c = wfp_callout_find(wfp, id);

	if (!c)
		return -ENOENT;
	if (!c->closing) {
		c->closing = id;
		atomic_store(&c->id, 0);
		c->closing_epoch = wfp_next_epoch(wfp);
	}
	if (!wfp_is_past(wfp, c->closing_epoch) || atomic_load(&c->flow_contexts) ||
	    atomic_load(&c->holds))
		return -EBUSY;
	c->closing = 0;
	wfp_handles_refresh(wfp);
	return 0;
}

/* ---- holding ---- */

/* 0 and the callout, or why it may not hold now. */
static int may_hold(struct nbl_wfp *wfp, uint32_t id, struct wfp_callout **ret)
{
	struct wfp_callout *c = &wfp->callouts[WFP_INDEX(id)];

	if (wfp_current && !wfp_current->may_hold)
		return -EINVAL;
	/* one that closes may still let go */
	if (!id || (atomic_load(&c->id) != id && atomic_load(&c->closing) != id))
		return -ENOENT;
	*ret = c;
	return 0;
}

/*
 * True if 'n' is lent to whoever is being asked about it: what is to stay of it is a copy (RX-04).
 */
static bool is_borrowed(const struct nbl *n)
{
	if (NBL_LIKELY(!wfp_current || !wfp_current->borrowed))
		return false;
	for (uint32_t i = 0; i < wfp_current->n_in; i++) {
		if (wfp_current->in[i].n == n)
			return true;
	}
	return false;
}

int nbl_callout_reference(struct nbl_wfp *wfp, uint32_t id, struct nbl *n, bool intend_to_modify)
{
	struct wfp_callout *c;
	int r;

	r = may_hold(wfp, id, &c);
	if (r < 0)
		return r;
	if (is_borrowed(n))
		return -EBUSY;
	atomic_fetch_add(&c->holds, 1);
	nbl_reference(n, intend_to_modify);
	if (wfp_current && wfp_current->in->n == n && !wfp_current->batch) {
		wfp_current->modifies = wfp_current->modifies || intend_to_modify;
		wfp_current->n_plain += !intend_to_modify;
	}
	return 0;
}

int nbl_callout_dereference(struct nbl_wfp *wfp, uint32_t id, struct nbl *n)
{
	struct wfp_callout *c;
	int r;

	r = may_hold(wfp, id, &c);
	if (!r)
		r = nbl_dereference(n);
	if (!r)
		atomic_fetch_sub(&c->holds, 1);
	return r;
}

static int derived(struct nbl_wfp *wfp, struct wfp_callout *c, struct nbl *n, struct nbl *made,
		   enum nbl_tag_event event, struct nbl **ret)
{
	if (!made)
		return -ENOBUFS;
	atomic_fetch_add(&c->holds, 1);
	wfp_tag_tell(wfp, n, event, made);
	*ret = made;
	return 0;
}

/* A copy that stands for a clone: no parent, its injections so far remembered (IN-10). */
static int copy_of(struct nbl_wfp *wfp, struct wfp_callout *c, struct nbl *n,
		   struct nbl_pool *nbl_pool, struct nbl_pool *data_pool, enum nbl_tag_event event,
		   struct nbl **ret)
{
	struct nbl *copy = NULL;
	int r = nbl_alloc_copy(n, nbl_pool, data_pool, &copy);

	if (r < 0)
		return r;
	wfp_lineage_inherit(wfp, copy, n);
	return derived(wfp, c, n, copy, event, ret);
}

int nbl_callout_clone(struct nbl_wfp *wfp, uint32_t id, struct nbl *n, struct nbl_pool *pool,
		      struct nbl **ret_clone)
{
	struct wfp_callout *c;
	int r;

	r = may_hold(wfp, id, &c);
	if (r < 0)
		return r;
	if (is_borrowed(n))
		return copy_of(wfp, c, n, pool, NULL, NBL_TAG_CLONED, ret_clone);
	return derived(wfp, c, n, nbl_alloc_clone(n, pool), NBL_TAG_CLONED, ret_clone);
}

int nbl_callout_deep_clone(struct nbl_wfp *wfp, uint32_t id, struct nbl *n,
			   struct nbl_pool *nbl_pool, struct nbl_pool *data_pool,
			   struct nbl **ret_clone)
{
	struct nbl *clone = NULL;
	struct wfp_callout *c;
	int r;

	r = may_hold(wfp, id, &c);
	if (!r && is_borrowed(n))
		return copy_of(wfp, c, n, nbl_pool, data_pool, NBL_TAG_CLONED, ret_clone);
	if (!r)
		r = nbl_alloc_deep_clone(n, nbl_pool, data_pool, &clone);
	return r < 0 ? r : derived(wfp, c, n, clone, NBL_TAG_CLONED, ret_clone);
}

int nbl_callout_copy(struct nbl_wfp *wfp, uint32_t id, struct nbl *n, struct nbl_pool *nbl_pool,
		     struct nbl_pool *data_pool, struct nbl **ret_copy)
{
	struct wfp_callout *c;
	int r;

	r = may_hold(wfp, id, &c);
	return r < 0 ? r : copy_of(wfp, c, n, nbl_pool, data_pool, NBL_TAG_DUPLICATED, ret_copy);
}

int nbl_callout_free(struct nbl_wfp *wfp, uint32_t id, struct nbl *n)
{
	struct wfp_callout *c;
	int r;

	if (!n)
		return 0;
	r = may_hold(wfp, id, &c);
	if (r < 0)
		return r;
	if (n->kind == NBL_KIND_RECEIVE || nbl_inject_is_pending(n))
		return -EINVAL;
	if (nbl_wfp_is_tagged(n))
		nbl_wfp_leave(wfp, n, NBL_TAG_REMOVED);
	r = n->kind == NBL_KIND_FRESH ? nbl_free(n) : nbl_free_clone(n);
	if (!r)
		atomic_fetch_sub(&c->holds, 1);
	return r;
}

bool nbl_is_let_go(const struct nbl *n)
{
	return atomic_load_explicit(&n->claims, memory_order_acquire) & NBL_CLAIM_OWNER_GONE;
}

/* ---- figures ---- */

/* The upper end of the bucket that the part 'of' 100 calls end in. */
static uint64_t percentile(const struct nbl_wfp_callout_counts *c, uint64_t of)
{
	uint64_t n = 0, seen = 0;

	for (int i = 0; i < WFP_N_TIMES; i++)
		n += c->times[i];
	for (int i = 0; i < WFP_N_TIMES; i++) {
		seen += c->times[i];
		if (n && seen * 100 >= n * of)
			return 1ull << i;
	}
	return 0;
}

int nbl_wfp_get_callout_counts(const struct nbl_wfp *wfp, uint32_t id,
			       struct nbl_wfp_callout_counts *ret)
{
	const struct wfp_callout *c = wfp_callout_find(wfp, id);

	if (!c)
		return -ENOENT;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name, c->name, sizeof(ret->name));
	for (uint32_t i = 0; i < wfp->params.n_slots; i++) {
		ret->calls += wfp_read(&c->counts[i].calls);
		ret->over_budget += wfp_read(&c->counts[i].over_budget);
		ret->deviations += wfp_read(&c->counts[i].deviations);
		for (int k = 0; k < WFP_N_TIMES; k++)
			ret->times[k] += wfp_read(&c->counts[i].times[k]);
	}
	ret->p50_ns = percentile(ret, 50);
	ret->p99_ns = percentile(ret, 99);
	ret->holds = atomic_load(&c->holds);
	ret->flow_contexts = atomic_load(&c->flow_contexts);
	return 0;
}

/* ---- what does not exist here ---- */

int nbl_pend_operation(const struct nbl_classify_in *in, uint64_t *ret_completion_context)
{
	(void)in;
	(void)ret_completion_context;
	return -EOPNOTSUPP;
}

int nbl_complete_operation(uint64_t completion_context, struct nbl *n)
{
	(void)completion_context;
	(void)n;
	return -EOPNOTSUPP;
}

int nbl_pend_classify(const struct nbl_classify_in *in, uint64_t *ret_handle)
{
	(void)in;
	(void)ret_handle;
	return -EOPNOTSUPP;
}

int nbl_complete_classify(uint64_t handle, const struct nbl_classify_out *out)
{
	(void)handle;
	(void)out;
	return -EOPNOTSUPP;
}
