// SPDX-License-Identifier: BSD-2-Clause
/* classify_filter.c - one filter at one layer: what it matches, and who is asked. */
#include "filter/classify_internal.h"

#include <nbl/window.h>

_Thread_local struct wfp_current *wfp_current;

/* Those a callout is called with. */
struct call {
	uint32_t n;
	struct shown *packets[WFP_BURST];
	const struct wfp_packet *parsed[WFP_BURST];
	struct nbl_classify_metadata metadata[WFP_BURST];
	struct nbl_classify_in in[WFP_BURST];
	struct nbl_classify_out out[WFP_BURST];
	uint32_t references[WFP_BURST], children[WFP_BURST];	/* before */
	uint32_t flags[WFP_BURST];	/* nbl_flags before */
};

/* ---- windows ---- */

static uint64_t sum_others(const struct nbl *n)
{
	uint64_t sum = 0;

	for (const struct nbl_nb *nb = n->first_nb->next; nb; nb = nb->next)
		sum = sum * 31 + ((uint64_t)nb->data_offset << 32 | nb->data_length);
	return sum;
}

bool wfp_window_move(struct shown *s)
{
	s->before = *s->n->first_nb;
	if (nbl_advance(s->n, s->offset, false) < 0)
		return false;
	s->moved = true;
	if (NBL_UNLIKELY(s->n->first_nb->next))
		s->others = sum_others(s->n);
	return true;
}

/*
 * Puts the used data back to where the layer shows it; where
 * that is not known, nobody gets the packet.
 */
static void restore_shown(const struct block *b, struct shown *s)
{
	struct nbl_nb *nb = s->n->first_nb;

	if (NBL_UNLIKELY(nb->next && sum_others(s->n) != s->others)) {
		wfp_count(&b->counts->windows_left, 1);
		s->verdict = (struct wfp_verdict){ .action = NBL_ACTION_BLOCK, .decided = true };
		s->others = sum_others(s->n);
	}
	if (NBL_LIKELY(nb->data_offset == s->before.data_offset + s->offset &&
		       nb->data_length == s->before.data_length - s->offset))
		return;
	wfp_count(&b->counts->windows_left, 1);
	if (nb->flags != s->before.flags)
		nbl_nb_drop_prepended(nb);
	*nb = s->before;
	nbl_nb_advance(nb, s->offset, false);
}

/* ---- asking callouts ---- */

static uint32_t references_of(const struct nbl *n)
{
	return atomic_load_explicit(&n->references, memory_order_relaxed);
}

static uint32_t children_of(const struct nbl *n)
{
	return atomic_load_explicit(&n->child_ref_count, memory_order_relaxed);
}

static void fill_metadata(const struct shown *s, struct nbl_classify_metadata *m)
{
	const struct wfp_packet *p = &s->packet;

	*m = (struct nbl_classify_metadata){
		.mac_header_size = p->mac_size,
		.ip_header_size = p->ip_size,
		.transport_header_size = p->transport_size,
		.data_offset = (uint16_t)s->offset,
		.ip_total_size = p->ip_total,
		.fragment_offset = p->fragment_offset,
		.flow = s->flow ? atomic_load_explicit(&s->flow->id, memory_order_relaxed) : 0,
	};
}

static void add_to_call(const struct block *b, struct call *c, const struct wfp_entry *e,
			struct shown *s, uint64_t flow_context)
{
	uint32_t i = c->n++;

	if (!s->moved)
		wfp_window_move(s);		/* of one NB, which was found to be long enough */
	c->packets[i] = s;
	c->parsed[i] = &s->packet;
	fill_metadata(s, &c->metadata[i]);
	c->in[i] = (struct nbl_classify_in){
		.wfp = b->wfp,
		.layer = b->layer,
		.callout = e->filter->callout,
		.context = e->callout->is.context,
		.values = &s->packet.values,
		.metadata = &c->metadata[i],
		.n = s->n,
		.filter = &e->filter->info,
		.flow_context = flow_context,
		.now_ns = b->env->now_ns,
		.previous = (enum nbl_action)s->verdict.action,
	};
	c->out[i] = (struct nbl_classify_out){
		.action = NBL_ACTION_NONE,
		.rights = s->verdict.write && e->filter->action != WFP_ACTION_CALLOUT_INSPECTION ?
			  NBL_RIGHT_ACTION_WRITE : 0,
	};
	c->references[i] = references_of(s->n);
	c->children[i] = children_of(s->n);
	c->flags[i] = __atomic_load_n(&s->n->nbl_flags, __ATOMIC_RELAXED);
}

static void count_time(const struct block *b, const struct wfp_callout *callout, uint64_t ns)
{
	struct wfp_callout_slot_counts *counts = &callout->counts[b->env->slot];
	uint32_t bucket = ns ? 64 - (uint32_t)__builtin_clzll(ns) : 0;

	wfp_count(&counts->times[bucket < WFP_N_TIMES ? bucket : WFP_N_TIMES - 1], 1);
	if (ns > callout->is.budget_ns)
		wfp_count(&counts->over_budget, 1);
}

static void call(const struct block *b, const struct wfp_callout *callout, struct call *c,
		 struct wfp_current *current)
{
	const struct nbl_wfp_ops *ops = &b->wfp->params.ops;
	struct wfp_current *outer = wfp_current;
	uint64_t began = ops->clock ? ops->clock(ops->arg) : 0;

	wfp_current = current;
	if (current->batch)
		callout->is.classify_batch(c->in, c->out, c->n);
	else
		callout->is.classify(c->in, c->out);
	wfp_current = outer;
	wfp_count(&callout->counts[b->env->slot].calls, 1);
	if (ops->clock)
		count_time(b, callout, ops->clock(ops->arg) - began);
}

/* True if the packet was referenced with intend_to_modify in this call, by whatever function. */
static bool announced_writes(const struct call *c, uint32_t i, const struct wfp_current *current)
{
	const struct nbl *n = c->packets[i]->n;

	if (current->modifies)
		return true;
	if (!(__atomic_load_n(&n->nbl_flags, __ATOMIC_RELAXED) & NBL_FLAG_WILL_MODIFY))
		return false;
	/* the mark may be older than this call: then a new reference is taken for one with it */
	return !(c->flags[i] & NBL_FLAG_WILL_MODIFY) ||
	       references_of(n) > c->references[i] + current->n_plain;
}

static bool held_more(const struct call *c, uint32_t i)
{
	const struct nbl *n = c->packets[i]->n;

	return references_of(n) > c->references[i] || children_of(n) > c->children[i];
}

static void count_remarks(const struct block *b, const struct wfp_callout *callout,
			  uint32_t remarks)
{
	struct wfp_counts *counts = b->counts;

	if (NBL_LIKELY(!remarks))
		return;
	wfp_count(&counts->vetoes, !!(remarks & WFP_REMARK_VETO));
	wfp_count(&counts->rights_kept, !!(remarks & WFP_REMARK_RIGHT_KEPT));
	wfp_count(&counts->no_right, !!(remarks & WFP_REMARK_NO_RIGHT));
	wfp_count(&counts->pends_refused, !!(remarks & WFP_REMARK_PEND_REFUSED));
	wfp_count(&counts->wrong_actions, !!(remarks & WFP_REMARK_ACTION));
	if (remarks & ~(uint32_t)WFP_REMARK_VETO)
		wfp_count(&callout->counts[b->env->slot].deviations, 1);
}

/* ---- one filter ---- */

static void count_answer(const struct block *b, const struct wfp_entry *e, const struct shown *s,
			 enum nbl_action before)
{
	struct wfp_filter_slot_counts *counts = &e->filter->counts[b->env->slot];

	if (s->verdict.action == before)
		return;
	if (s->verdict.action == NBL_ACTION_PERMIT)
		wfp_count(&counts->permitted, 1);
	else if (s->verdict.absorbed)
		wfp_count(&counts->absorbed, 1);
	else
		wfp_count(&counts->blocked, 1);
}

static void take_answer(const struct block *b, const struct wfp_entry *e, const struct call *c,
			uint32_t i, bool modifies)
{
	struct shown *s = c->packets[i];
	enum nbl_action before = (enum nbl_action)s->verdict.action;
	struct wfp_answer answer = {
		.out = c->out[i],
		.modifies = modifies,
		.inspects = e->filter->action == WFP_ACTION_CALLOUT_INSPECTION,
		.must_decide = e->filter->action == WFP_ACTION_CALLOUT_TERMINATING,
		.clears = e->filter->info.flags & NBL_WFP_CLEAR_ACTION_RIGHT,
	};

	count_remarks(b, e->callout, wfp_arbitrate_callout(&s->verdict, &answer));
	count_answer(b, e, s, before);
	restore_shown(b, s);
}

static void ask_callout(const struct block *b, const struct wfp_entry *e, struct call *c,
			bool batch)
{
	struct wfp_current current = {
		.in = c->in,
		.packets = c->parsed,
		.n_in = c->n,
		.batch = batch,
		.borrowed = b->env->borrowed,
		.may_hold = !batch || e->callout->is.flags & NBL_CALLOUT_BATCH_MAY_HOLD,
	};

	if (!c->n)
		return;
	call(b, e->callout, c, &current);
	for (uint32_t i = 0; i < c->n; i++) {
		if (!current.may_hold && held_more(c, i))
			wfp_count(&b->counts->batch_held, 1);
		take_answer(b, e, c, i, announced_writes(c, i, &current));
	}
	c->n = 0;
}

/* Without its callout a filter blocks, unless its flags say otherwise or it only inspects. */
static void answer_without_callout(const struct block *b, const struct wfp_entry *e,
				   struct shown *s)
{
	enum nbl_action before = (enum nbl_action)s->verdict.action;

	if (e->filter->action == WFP_ACTION_CALLOUT_INSPECTION ||
	    e->filter->info.flags & NBL_WFP_PERMIT_IF_UNREGISTERED)
		return;
	wfp_arbitrate_filter(&s->verdict, NBL_ACTION_BLOCK, false);
	count_answer(b, e, s, before);
}

static void answer_by_filter(const struct block *b, const struct wfp_entry *e, struct shown *s)
{
	enum nbl_action before = (enum nbl_action)s->verdict.action;

	wfp_arbitrate_filter(&s->verdict,
			     e->filter->action == WFP_ACTION_PERMIT ? NBL_ACTION_PERMIT
								    : NBL_ACTION_BLOCK,
			     e->filter->info.flags & NBL_WFP_CLEAR_ACTION_RIGHT);
	count_answer(b, e, s, before);
}

static bool filter_matches(const struct block *b, const struct wfp_entry *e, const struct shown *s)
{
	if (!s->visible || s->verdict.decided ||
	    !wfp_conditions_match(e->filter->conditions, e->filter->n_conditions,
				  &s->packet.values))
		return false;
	wfp_count(&e->filter->counts[b->env->slot].matched, 1);
	return true;
}

/* Kept out of the way of filters without a callout: it takes much of the stack. */
static __attribute__((noinline)) void evaluate_callout(struct block *b, const struct wfp_entry *e)
{
	/* who reads the id sees all that was registered with it */
	bool there =
		atomic_load_explicit(&e->callout->id, memory_order_acquire) == e->filter->callout;
	bool batch = there && wfp_layers[b->layer].mac && e->callout->is.classify_batch;
	struct call c;

	c.n = 0;
	for (uint32_t i = 0; i < b->n; i++) {
		struct shown *s = &b->packets[i];
		uint64_t context;

		if (!filter_matches(b, e, s))
			continue;
		if (!there) {
			answer_without_callout(b, e, s);
			continue;
		}
		context = s->flow ? wfp_flow_context(s->flow, e->filter->callout, b->layer) : 0;
		if (!context && e->callout->is.flags & NBL_CALLOUT_CONDITIONAL_ON_FLOW)
			continue;
		add_to_call(b, &c, e, s, context);
		if (!batch)
			ask_callout(b, e, &c, false);
	}
	if (batch)
		ask_callout(b, e, &c, true);
}

void wfp_block_evaluate(struct block *b, const struct wfp_entry *e)
{
	const struct shown *end = b->packets + b->n;

	if (e->begins_sublayer) {
		for (uint32_t i = 0; i < b->n; i++)
			b->packets[i].verdict.decided = false;
	}
	if (e->callout) {
		evaluate_callout(b, e);
		return;
	}
	for (struct shown *s = b->packets; s < end; s++) {
		if (filter_matches(b, e, s))
			answer_by_filter(b, e, s);
	}
}
