// SPDX-License-Identifier: BSD-2-Clause
/*
 * lineage.c - who injected an NBL before, and with which context (IN-09, IN-10).
 *
 * What an NBL carries is read through its parents, so clones inherit at no cost.
 * Other holders of an ancestor may read while it is injected again: hence atomics.
 */
#include "filter/wfp_internal.h"

bool wfp_has_flag(const struct nbl *n, uint32_t flag)
{
	return __atomic_load_n(&n->nbl_flags, __ATOMIC_ACQUIRE) & flag;
}

void wfp_set_flag(struct nbl *n, uint32_t flag, bool on)
{
	if (on)
		__atomic_fetch_or(&n->nbl_flags, flag, __ATOMIC_RELEASE);
	else
		__atomic_fetch_and(&n->nbl_flags, ~flag, __ATOMIC_RELEASE);
}

static uint64_t pack(struct wfp_record r)
{
	return (uint64_t)r.pending | (uint64_t)r.original << 1 | (uint64_t)r.substitute << 2 |
	       (uint64_t)(r.path & 7) << 3 | (uint64_t)(r.engine & 15) << 8 |
	       (uint64_t)(r.depth & 15) << 12 | (uint64_t)r.aside << 16 | (uint64_t)r.older << 32;
}

static struct wfp_record unpack(uint64_t v)
{
	return (struct wfp_record){
		.pending = v & 1,
		.original = v >> 1 & 1,
		.substitute = v >> 2 & 1,
		.path = v >> 3 & 7,
		.engine = v >> 8 & 15,
		.depth = v >> 12 & 15,
		.aside = (uint16_t)(v >> 16),
		.older = (uint32_t)(v >> 32),
	};
}

struct wfp_record wfp_record_get(const struct nbl *n)
{
	if (!wfp_has_flag(n, WFP_FLAG_INJECTED | WFP_FLAG_TAGGED))
		return (struct wfp_record){ 0 };
	return unpack(__atomic_load_n(&n->info[NBL_INFO_WFP], __ATOMIC_RELAXED));
}

void wfp_record_set(struct nbl *n, struct wfp_record r)
{
	__atomic_store_n(&n->info[NBL_INFO_WFP], pack(r), __ATOMIC_RELAXED);
	/* so that the core looks into the slot when it goes home */
	wfp_set_flag(n, NBL_FLAG_HAS_INFO, true);
}

bool wfp_injection_end(struct nbl *n)
{
	uint64_t v = __atomic_load_n(&n->info[NBL_INFO_WFP], __ATOMIC_RELAXED);

	if (!wfp_has_flag(n, WFP_FLAG_INJECTED))
		return false;
	do {
		if (!(v & 1))
			return false;
	} while (!__atomic_compare_exchange_n(&n->info[NBL_INFO_WFP], &v, v & ~1ull, true,
					      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return true;
}

static uint32_t last_handle(const struct nbl *n)
{
	return (uint32_t)(uintptr_t)__atomic_load_n(&n->protocol_reserved[3], __ATOMIC_RELAXED);
}

static void *last_context(const struct nbl *n)
{
	return __atomic_load_n(&n->protocol_reserved[2], __ATOMIC_RELAXED);
}

static uint64_t mask_of(const struct nbl *n)
{
	return (uintptr_t)__atomic_load_n(&n->miniport_reserved[0], __ATOMIC_RELAXED);
}

static void set_mask(struct nbl *n, uint64_t mask)
{
	__atomic_store_n(&n->miniport_reserved[0], (void *)(uintptr_t)mask, __ATOMIC_RELAXED);
}

/* The nearest of 'n' and its ancestors that was injected, or NULL. */
static const struct nbl *injected_ancestor(const struct nbl *n)
{
	while (n && !wfp_has_flag(n, WFP_FLAG_INJECTED))
		n = n->parent;
	return n;
}

/* A copy has no parent, but injected from inside a classify it comes of what is classified. */
static const struct nbl *lineage_source(const struct nbl *n)
{
	bool orphan = !n->parent;
	const struct nbl *source = injected_ancestor(n);

	if (!source && orphan && wfp_current && !wfp_current->batch)
		source = injected_ancestor(wfp_current->in->n);
	return source;
}

uint64_t wfp_lineage(const struct nbl *n, uint8_t *ret_depth)
{
	const struct nbl *source = lineage_source(n);

	*ret_depth = source ? wfp_record_get(source).depth : 0;
	return source ? mask_of(source) : 0;
}

/* ---- contexts of injections that are not an NBL's last ---- */

static uint32_t older_add(struct nbl_wfp *wfp, const struct nbl *n, uint32_t handle, void *context,
			  uint32_t older)
{
	uint32_t sequence = atomic_fetch_add(&wfp->older_sequence, 1) + 1;
	struct wfp_older *o;

	if (!sequence)		/* 0 stands for none */
		sequence = atomic_fetch_add(&wfp->older_sequence, 1) + 1;
	o = &wfp->older[sequence % WFP_N_OLDER];
	/* a reader that finds another sequence afterwards forgets what it read */
	atomic_store(&o->sequence, 0);
	atomic_store(&o->handle, handle);
	atomic_store(&o->older, older);
	atomic_store(&o->n, (uintptr_t)n);
	atomic_store(&o->context, (uintptr_t)context);
	atomic_store(&o->sequence, sequence);
	return sequence;
}

uint32_t wfp_older_keep(struct nbl_wfp *wfp, const struct nbl *n)
{
	struct wfp_record i = wfp_record_get(n);

	if (!i.depth || !last_handle(n))
		return i.older;
	return older_add(wfp, n, last_handle(n), last_context(n), i.older);
}

/* The context 'handle' gave in the list that begins at 'older'. True if it is there. */
static bool older_find(const struct nbl_wfp *wfp, const struct nbl *n, uint32_t older,
		       uint32_t handle, void **ret_context)
{
	for (int i = 0; older && i < NBL_MAX_INJECTIONS; i++) {
		const struct wfp_older *o = &wfp->older[older % WFP_N_OLDER];
		uint32_t sequence = atomic_load(&o->sequence), of = atomic_load(&o->handle);
		uint32_t next = atomic_load(&o->older);
		uintptr_t whose = atomic_load(&o->n), context = atomic_load(&o->context);

		if (sequence != older || atomic_load(&o->sequence) != older ||
		    whose != (uintptr_t)n)
			return false;
		if (of == handle) {
			*ret_context = (void *)context;
			return true;
		}
		older = next;
	}
	return false;
}

static void *context_of(const struct nbl_wfp *wfp, uint32_t handle, const struct nbl *n)
{
	void *context = NULL;

	for (n = injected_ancestor(n); n; n = injected_ancestor(n->parent)) {
		if (last_handle(n) == handle)
			return last_context(n);
		if (older_find(wfp, n, wfp_record_get(n).older, handle, &context))
			return context;
	}
	return NULL;
}

void wfp_lineage_inherit(struct nbl_wfp *wfp, struct nbl *to, const struct nbl *from)
{
	const struct nbl *last = injected_ancestor(from);
	struct wfp_record i = { .engine = wfp->number };

	if (!last)
		return;
	i.depth = wfp_record_get(last).depth;
	for (uint32_t k = 0; k < NBL_MAX_INJECT_HANDLES; k++) {
		uint32_t handle = atomic_load(&wfp->handles[k].id);

		if (handle && mask_of(last) >> k & 1)
			i.older =
				older_add(wfp, to, handle, context_of(wfp, handle, last), i.older);
	}
	set_mask(to, mask_of(last));
	to->protocol_reserved[2] = last_context(last);
	to->protocol_reserved[3] = (void *)(uintptr_t)last_handle(last);
	wfp_record_set(to, i);
	wfp_set_flag(to, WFP_FLAG_INJECTED, true);
}

/* ---- what the core tells ---- */

/* A child finds its lineage through its parent; what has none starts anew. */
static uint64_t inherit(uint64_t record, const struct nbl *from, struct nbl *to)
{
	(void)record;
	(void)from;
	(void)to;
	return 0;
}

/* 'n' goes home: nothing of it may be found in its next life. */
static void drop(uint64_t record, struct nbl *n)
{
	struct nbl_wfp *wfp = wfp_engine(unpack(record).engine);

	if (wfp && nbl_wfp_is_tagged(n))
		nbl_wfp_leave(wfp, n, wfp->params.ops.left
					      ? wfp->params.ops.left(wfp->params.ops.arg, n)
					      : NBL_TAG_REMOVED);
	wfp_set_flag(n, WFP_FLAG_INJECTED | WFP_FLAG_TAGGED, false);
}

void wfp_lineage_begin(void)
{
	static const struct nbl_lineage_ops ops = { .inherit = inherit, .drop = drop };

	nbl_set_lineage_ops(&ops);
}

/* ---- asking ---- */

enum nbl_injection_state nbl_inject_query(const struct nbl_wfp *wfp, uint32_t handle,
					  const struct nbl *n, void **ret_context)
{
	const struct nbl *last = injected_ancestor(n);
	uint64_t bit = 1ull << WFP_INDEX(handle);
	enum nbl_injection_state state;

	if (!last)
		state = NBL_NOT_INJECTED;
	else if (last_handle(last) == handle)
		state = NBL_INJECTED_BY_SELF;
	else if (mask_of(last) & bit)
		state = NBL_PREVIOUSLY_INJECTED_BY_SELF;
	else
		state = NBL_INJECTED_BY_OTHER;
	if (ret_context)
		*ret_context = last ? context_of(wfp, handle, n) : NULL;
	return state;
}
