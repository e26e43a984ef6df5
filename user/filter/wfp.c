// SPDX-License-Identifier: BSD-2-Clause
/* wfp.c - making and freeing an engine, and knowing what its lanes may still be using. */
#include "filter/wfp_internal.h"

#include <stdlib.h>

static struct nbl_wfp *_Atomic engines[WFP_MAX_ENGINES + 1];

struct nbl_wfp *wfp_engine(uint8_t number)
{
	return number <= WFP_MAX_ENGINES ? atomic_load(&engines[number]) : NULL;
}

static int engine_register(struct nbl_wfp *wfp)
{
	for (uint8_t i = 1; i <= WFP_MAX_ENGINES; i++) {
		struct nbl_wfp *none = NULL;

		if (atomic_compare_exchange_strong(&engines[i], &none, wfp)) {
			wfp->number = i;
			wfp_lineage_begin();
			return 0;
		}
	}
	return -ENOMEM;
}

void wfp_enter(struct nbl_wfp *wfp, uint32_t slot)
{
	struct wfp_slot *s = &wfp->slots[slot];

	if (s->depth++)
		return;
	/* ordered before every look at what is published: see wfp_is_past() */
	atomic_store(&s->entered, atomic_load(&wfp->epoch));
}

void wfp_leave_slot(struct nbl_wfp *wfp, uint32_t slot)
{
	struct wfp_slot *s = &wfp->slots[slot];

	if (!--s->depth)
		atomic_store_explicit(&s->entered, 0, memory_order_release);
}

uint64_t wfp_next_epoch(struct nbl_wfp *wfp)
{
	return atomic_fetch_add(&wfp->epoch, 1);
}

/*
 * Either we see that a slot entered, or it sees what was published before the epoch was counted up.
 */
bool wfp_is_past(const struct nbl_wfp *wfp, uint64_t epoch)
{
	for (uint32_t i = 0; i < wfp->params.n_slots; i++) {
		uint64_t entered = atomic_load(&wfp->slots[i].entered);

		if (entered && entered <= epoch)
			return false;
	}
	return true;
}

static bool params_are_possible(const struct nbl_wfp_params *p)
{
	return p->n_slots && p->ops.ready && p->ops.submit && p->n_flows <= 1u << 24 &&
	       p->n_tag_contexts <= 1u << 24;
}

static void *alloc_lines(size_t n, size_t size)
{
	size_t bytes = (n * size + NBL_CACHE_LINE - 1) / NBL_CACHE_LINE * NBL_CACHE_LINE;
	void *p = aligned_alloc(NBL_CACHE_LINE, bytes);

	if (p)
		memset(p, 0, bytes);
	return p;
}

static void wfp_destroy(struct nbl_wfp *wfp)
{
	struct wfp_sublayer *sublayer;
	struct wfp_filter *filter;

	while ((filter = wfp->filters)) {
		wfp->filters = filter->next;
		free(filter);
	}
	while ((sublayer = wfp->sublayers)) {
		wfp->sublayers = sublayer->next;
		free(sublayer);
	}
	nbl_wfp_snapshot_free(atomic_load(&wfp->snapshot));
	if (wfp->number)
		atomic_store(&engines[wfp->number], NULL);
	for (uint32_t i = 0; i < NBL_MAX_CALLOUTS; i++)
		free(wfp->callouts[i].counts);
	wfp_flows_done(&wfp->flows);
	wfp_tags_done(wfp);
	free(wfp->slots);
	free(wfp);
}

int nbl_wfp_new(const struct nbl_wfp_params *params, struct nbl_wfp **ret)
{
	struct wfp_snapshot *none = NULL;
	struct nbl_wfp *wfp;

	if (!params_are_possible(params))
		return -EINVAL;
	wfp = alloc_lines(1, sizeof(*wfp));
	if (!wfp)
		return -ENOMEM;
	wfp->params = *params;
	wfp->next_filter = 1;
	atomic_store(&wfp->epoch, 1);
	wfp->slots = alloc_lines(params->n_slots, sizeof(*wfp->slots));
	if (!wfp->slots || wfp_flows_init(&wfp->flows, params->n_flows) < 0 ||
	    wfp_tags_init(wfp) < 0 || nbl_wfp_sublayer_add(wfp, 0, 0) < 0 ||
	    nbl_wfp_commit(wfp, &none) < 0 || engine_register(wfp) < 0) {
		wfp_destroy(wfp);
		return -ENOMEM;
	}
	*ret = wfp;
	return 0;
}

static bool is_in_use(const struct nbl_wfp *wfp)
{
	for (uint32_t i = 0; i < NBL_MAX_CALLOUTS; i++) {
		if (atomic_load(&wfp->callouts[i].id) || wfp->callouts[i].closing)
			return true;
	}
	for (uint32_t i = 0; i < NBL_MAX_INJECT_HANDLES; i++) {
		if (atomic_load(&wfp->handles[i].id))
			return true;
	}
	for (uint32_t i = 0; i < NBL_MAX_TAGS; i++) {
		if (atomic_load(&wfp->tags[i].id))
			return true;
	}
	return false;
}

int nbl_wfp_free(struct nbl_wfp *wfp)
{
	if (!wfp)
		return 0;
	if (is_in_use(wfp))
		return -EBUSY;
	wfp_destroy(wfp);
	return 0;
}

void nbl_wfp_get_counts(const struct nbl_wfp *wfp, struct nbl_wfp_counts *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (uint32_t i = 0; i < wfp->params.n_slots; i++) {
		const struct wfp_counts *c = &wfp->slots[i].counts;

		ret->classified += wfp_read(&c->classified);
		ret->blocked += wfp_read(&c->blocked);
		ret->absorbed += wfp_read(&c->absorbed);
		ret->vetoes += wfp_read(&c->vetoes);
		ret->rights_kept += wfp_read(&c->rights_kept);
		ret->no_right += wfp_read(&c->no_right);
		ret->pends_refused += wfp_read(&c->pends_refused);
		ret->wrong_actions += wfp_read(&c->wrong_actions);
		ret->windows_left += wfp_read(&c->windows_left);
		ret->batch_held += wfp_read(&c->batch_held);
	}
	ret->injected = wfp_read(&wfp->injected);
	ret->completed = wfp_read(&wfp->completed);
	ret->loops = wfp_read(&wfp->loops);
	ret->copied = wfp_read(&wfp->copied);
	ret->completions_refused = wfp_read(&wfp->completions_refused);
	ret->flows = wfp_read(&wfp->flows.n_flows);
	ret->flow_contexts = wfp_read(&wfp->flows.n_contexts);
	ret->flows_refused = wfp_read(&wfp->flows.n_refused);
	ret->tag_contexts = atomic_load(&wfp->free_tag_contexts.n_out);
}

bool nbl_wfp_has_flows(const struct nbl_wfp *wfp)
{
	return atomic_load(&wfp->flows.n_flows);
}

bool nbl_wfp_is_injecting(const struct nbl_wfp *wfp)
{
	/*
	 * Who sees one of them sees that it was counted. In this order: others that come and go
	 * between both looks must not make up for it.
	 */
	uint64_t completed = atomic_load_explicit(&wfp->completed, memory_order_acquire);

	return wfp_read(&wfp->injected) != completed;
}
