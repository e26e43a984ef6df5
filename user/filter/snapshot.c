// SPDX-License-Identifier: BSD-2-Clause
/* snapshot.c - the filters in force, as ordered arrays that lanes read through one pointer. */
#include "filter/wfp_internal.h"

#include <stdlib.h>

/* What filters are ordered by: their sub-layer's weight is not in them. */
struct ranked {
	struct wfp_filter *filter;
	uint16_t sublayer_weight;
};

static int rank(const void *left, const void *right)
{
	const struct ranked *a = left, *b = right;
	const struct nbl_wfp_filter *x = &a->filter->info, *y = &b->filter->info;

	if (a->filter->layer != b->filter->layer)
		return a->filter->layer < b->filter->layer ? -1 : 1;
	if (a->sublayer_weight != b->sublayer_weight)
		return a->sublayer_weight > b->sublayer_weight ? -1 : 1;
	if (x->sublayer != y->sublayer)
		return x->sublayer < y->sublayer ? -1 : 1;
	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* All filters that are to be in force, in order. Fills ret_n; NULL if there is no memory. */
static struct ranked *rank_filters(const struct nbl_wfp *wfp, uint32_t *ret_n)
{
	struct ranked *ranked;
	uint32_t n = 0;

	for (struct wfp_filter *f = wfp->filters; f; f = f->next)
		n += !f->deleted;
	ranked = calloc(n + 1u, sizeof(*ranked));
	if (!ranked)
		return NULL;
	*ret_n = n;
	for (struct wfp_filter *f = wfp->filters; f; f = f->next) {
		if (!f->deleted)
			ranked[--n] = (struct ranked){ f, f->sublayer->weight };
	}
	qsort(ranked, *ret_n, sizeof(*ranked), rank);
	return ranked;
}

static void make_gate(struct wfp_snapshot *s, enum wfp_way way)
{
	struct wfp_gate *g = &s->gates[way];

	*g = WFP_GATE_SHUT;
	for (const uint8_t *layer = wfp_ways[way]; *layer != NBL_N_LAYERS; layer++) {
		uint32_t i = s->first[*layer], end = s->first[*layer + 1];

		g->n_mac_layers += i != end && wfp_layers[*layer].mac;
		for (; i != end; i++)
			wfp_gate_admit(g, s->entries[i].filter);
	}
}

static struct wfp_snapshot *snapshot_new(struct nbl_wfp *wfp)
{
	struct wfp_snapshot *s;
	struct ranked *ranked;
	uint32_t n, layer = 0;

	ranked = rank_filters(wfp, &n);
	if (!ranked)
		return NULL;
	s = calloc(1, sizeof(*s) + n * sizeof(s->entries[0]));
	for (uint32_t i = 0; s && i < n; i++) {
		struct wfp_filter *f = ranked[i].filter;
		struct wfp_entry *e = &s->entries[i];

		while (layer < f->layer)
			s->first[++layer] = i;
		e->filter = f;
		e->callout = f->callout ? &wfp->callouts[WFP_INDEX(f->callout)] : NULL;
		e->begins_sublayer = i == s->first[layer] ||
				     f->info.sublayer != ranked[i - 1].filter->info.sublayer;
	}
	while (s && layer < NBL_N_LAYERS)
		s->first[++layer] = n;
	for (int way = 0; s && way < WFP_N_WAYS; way++)
		make_gate(s, (enum wfp_way)way);
	free(ranked);
	return s;
}

static void tell_callout(const struct nbl_wfp *wfp, const struct wfp_filter *f,
			 enum nbl_callout_event event)
{
	const struct wfp_callout *callout = f->callout ? wfp_callout_find(wfp, f->callout) : NULL;

	if (callout && callout->is.notify)
		callout->is.notify(callout->is.context, event, &f->info);
}

/* Takes what was deleted out of the list and hangs it on 'old'; the rest is in force. */
static void settle(struct nbl_wfp *wfp, struct wfp_snapshot *old)
{
	struct wfp_filter **at = &wfp->filters;

	while (*at) {
		struct wfp_filter *f = *at;

		if (f->added && !f->deleted)
			tell_callout(wfp, f, NBL_CALLOUT_FILTER_ADDED);
		if (!f->deleted) {
			f->added = false;
			at = &f->next;
			continue;
		}
		if (!f->added)
			tell_callout(wfp, f, NBL_CALLOUT_FILTER_DELETED);
		*at = f->next;
		f->next = old->deleted;
		old->deleted = f;
	}
}

static uint32_t layers_wanted(const struct wfp_snapshot *s)
{
	uint32_t wanted = 0;

	for (int i = 0; i < NBL_N_LAYERS; i++) {
		if (s->first[i] != s->first[i + 1])
			wanted |= NBL_LAYER_BIT(i);
	}
	return wanted;
}

int nbl_wfp_commit(struct nbl_wfp *wfp, struct wfp_snapshot **ret_old)
{
	struct wfp_snapshot *new = snapshot_new(wfp), *old;

	if (!new)
		return -ENOMEM;
	atomic_store_explicit(&wfp->layers_wanted, layers_wanted(new), memory_order_relaxed);
	old = atomic_exchange(&wfp->snapshot, new);
	if (old) {
		old->epoch = wfp_next_epoch(wfp);
		settle(wfp, old);
	}
	*ret_old = old;
	return 0;
}

bool nbl_wfp_is_quiet(struct nbl_wfp *wfp, const struct wfp_snapshot *old)
{
	return wfp_is_past(wfp, old->epoch);
}

void nbl_wfp_snapshot_free(struct wfp_snapshot *old)
{
	struct wfp_filter *f;

	if (!old)
		return;
	while ((f = old->deleted)) {
		old->deleted = f->next;
		free(f);
	}
	free(old);
}

bool nbl_wfp_wants(const struct nbl_wfp *wfp, enum wfp_way way)
{
	uint32_t wanted = atomic_load_explicit(&wfp->layers_wanted, memory_order_relaxed);

	for (const uint8_t *layer = wfp_ways[way]; *layer != NBL_N_LAYERS; layer++) {
		if (wanted & NBL_LAYER_BIT(*layer))
			return true;
	}
	return false;
}
