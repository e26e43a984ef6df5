// SPDX-License-Identifier: BSD-2-Clause
/*
 * classify.c - packets through layers: who sees them, who is asked, what becomes of them.
 *
 * Packets are taken in blocks. A block is parsed once, those aside that no filter
 * can match (gate.h); at each layer that has filters each in turn is put to all
 * packets that are still undecided. A packet's window is moved (CL-15) when the
 * first callout is asked about it, and moved back when the layer is done.
 */
#include "filter/wfp_internal.h"

#include <nbl/window.h>

_Thread_local struct wfp_current *wfp_current;

enum fate {
	FATE_PASSED,
	FATE_DROPPED,
	FATE_ABSORBED,
};

struct shown {
	struct nbl *n;
	struct wfp_packet packet;
	struct wfp_flow *flow;
	struct nbl_nb before;		/* its first NB, where the layer found it */
	uint64_t others;		/* a sum over the windows of its other NBs, as shown */
	uint32_t offset;		/* used data was moved by this */
	struct wfp_verdict verdict;
	uint8_t fate;
	bool visible;			/* at this layer */
	bool moved;			/* its window is where this layer shows it */
	bool beside;			/* the gate stopped it: not parsed, nobody sees it */
};

struct block {
	struct nbl_wfp *wfp;
	const struct wfp_snapshot *snapshot;
	const struct wfp_gate *gate;	/* NULL: all get through */
	const struct nbl_wfp_env *env;
	struct wfp_counts *counts;
	enum nbl_layer layer;
	uint32_t n, n_beside;
	struct shown packets[WFP_BURST];
};

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

static uint64_t sum_others(const struct nbl *n)
{
	uint64_t sum = 0;

	for (const struct nbl_nb *nb = n->first_nb->next; nb; nb = nb->next)
		sum = sum * 31 + ((uint64_t)nb->data_offset << 32 | nb->data_length);
	return sum;
}

/* Moves the window to where the layer shows it. False if not all of its NBs are that long. */
static bool move_window(struct shown *s)
{
	s->before = *s->n->first_nb;
	if (nbl_advance(s->n, s->offset, false) < 0)
		return false;
	s->moved = true;
	if (NBL_UNLIKELY(s->n->first_nb->next))
		s->others = sum_others(s->n);
	return true;
}

static void add_to_call(const struct block *b, struct call *c, const struct wfp_entry *e,
			struct shown *s, uint64_t flow_context)
{
	uint32_t i = c->n++;

	if (!s->moved)
		move_window(s);		/* of one NB, which was found to be long enough */
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

static void evaluate_callout(struct block *b, const struct wfp_entry *e, struct call *c)
{
	/* who reads the id sees all that was registered with it */
	bool there =
		atomic_load_explicit(&e->callout->id, memory_order_acquire) == e->filter->callout;
	bool batch = there && wfp_layers[b->layer].mac && e->callout->is.classify_batch;

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
		add_to_call(b, c, e, s, context);
		if (!batch)
			ask_callout(b, e, c, false);
	}
	if (batch)
		ask_callout(b, e, c, true);
}

static void evaluate(struct block *b, const struct wfp_entry *e, struct call *c)
{
	if (e->begins_sublayer) {
		for (uint32_t i = 0; i < b->n; i++)
			b->packets[i].verdict.decided = false;
	}
	if (e->callout) {
		evaluate_callout(b, e, c);
		return;
	}
	for (uint32_t i = 0; i < b->n; i++) {
		if (filter_matches(b, e, &b->packets[i]))
			answer_by_filter(b, e, &b->packets[i]);
	}
}

/* ---- one layer ---- */

static bool show_one(struct block *b, struct shown *s, enum nbl_direction direction)
{
	if (s->beside || s->fate != FATE_PASSED || !s->n->first_nb ||
	    !wfp_layer_shows(&wfp_layers[b->layer], direction, &s->packet, &s->offset))
		return false;
	s->packet.values.direction = direction;
	s->verdict = WFP_VERDICT_NONE;
	s->moved = false;
	return NBL_LIKELY(!s->n->first_nb->next) || move_window(s);
}

static uint32_t show(struct block *b, enum nbl_direction direction)
{
	uint32_t n_visible = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		struct shown *s = &b->packets[i];

		s->visible = show_one(b, s, direction);
		n_visible += s->visible;
	}
	return n_visible;
}

static void settle(struct block *b, struct shown *s)
{
	if (s->verdict.action != NBL_ACTION_BLOCK)
		return;
	s->fate = s->verdict.absorbed ? FATE_ABSORBED : FATE_DROPPED;
	wfp_count(s->verdict.absorbed ? &b->counts->absorbed : &b->counts->blocked, 1);
}

static void hide(struct block *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct shown *s = &b->packets[i];

		if (!s->visible)
			continue;
		/* unused bytes in front are there: this is where it was */
		if (s->moved && nbl_retreat(s->n, s->offset, 0, NULL) < 0)
			wfp_count(&b->counts->windows_left, 1);
		settle(b, s);
	}
}

static void run_layer(struct block *b, enum nbl_layer layer, enum nbl_direction direction)
{
	const struct wfp_snapshot *snapshot = b->snapshot;
	struct call c;

	if (snapshot->first[layer] == snapshot->first[layer + 1])
		return;
	b->layer = layer;
	c.n = 0;
	wfp_count(&b->counts->classified, show(b, direction));
	for (uint32_t i = snapshot->first[layer]; i < snapshot->first[layer + 1]; i++)
		evaluate(b, &snapshot->entries[i], &c);
	hide(b);
}

/* ---- chains ---- */

static void load(struct block *b, struct nbl *n)
{
	static const struct nbl_nb empty;
	struct shown *s = &b->packets[b->n++];
	const struct nbl_wfp_env *env = b->env;

	s->n = n;
	s->fate = FATE_PASSED;
	s->beside = b->gate && wfp_gate_stops(b->gate, n);
	b->n_beside += s->beside;
	if (s->beside)
		return;
	wfp_parse_frame(n->first_nb ? n->first_nb : &empty, &s->packet);
	s->packet.values.interface = env->interface;
	s->packet.values.queue = env->queue;
	s->packet.values.port = env->port;
	s->packet.values.present |= NBL_FIELD_BIT(NBL_FIELD_DIRECTION) |
				    NBL_FIELD_BIT(NBL_FIELD_QUEUE) | NBL_FIELD_BIT(NBL_FIELD_PORT);
	if (env->interface)
		s->packet.values.present |= NBL_FIELD_BIT(NBL_FIELD_INTERFACE);
	s->flow = wfp_flow_find(b->wfp, &s->packet, env->now_ns);
}

static void unload(struct block *b, struct nbl_wfp_result *result)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct shown *s = &b->packets[i];

		if (s->fate == FATE_PASSED) {
			nbl_chain_append(&result->passed, s->n);
		} else if (s->fate == FATE_DROPPED) {
			s->n->outcome = NBL_OUTCOME_BLOCKED;
			s->n->status = NBL_STATUS_FAILURE;
			s->n->holder = b->env->holder;
			nbl_chain_append(&result->dropped, s->n);
		} else {
			s->n->outcome = NBL_OUTCOME_CONSUMED;
			s->n->holder = b->env->holder;
			nbl_chain_append(&result->absorbed, s->n);
		}
	}
	b->n = 0;
}

static enum nbl_direction direction_of(uint8_t layer, enum nbl_direction datagrams)
{
	const struct wfp_layer *l = &wfp_layers[layer];

	return l->datagram ? datagrams : (enum nbl_direction)l->direction;
}

static bool any_wanted(const struct wfp_snapshot *s, const uint8_t *layers)
{
	for (; *layers != NBL_N_LAYERS; layers++) {
		if (s->first[*layers] != s->first[*layers + 1])
			return true;
	}
	return false;
}

static void run_block(struct block *b, const uint8_t *layers, enum nbl_direction datagrams)
{
	if (b->n_beside) {
		wfp_count(&b->counts->classified, (uint64_t)b->n_beside * b->gate->n_mac_layers);
		if (b->n_beside == b->n)
			return;
	}
	for (; *layers != NBL_N_LAYERS; layers++)
		run_layer(b, (enum nbl_layer)*layers, direction_of(*layers, datagrams));
}

/* Kept out of the way of those who need no block: it is large. */
static __attribute__((noinline)) struct nbl_wfp_result
run_blocks(struct nbl_wfp *wfp, const struct wfp_snapshot *snapshot, const struct wfp_gate *gate,
	   const uint8_t *layers, enum nbl_direction datagrams, struct nbl_chain chain,
	   const struct nbl_wfp_env *env)
{
	struct nbl_wfp_result result = { 0 };
	struct block b;
	struct nbl *n;

	b.wfp = wfp;
	b.snapshot = snapshot;
	b.gate = gate;
	b.env = env;
	b.counts = &wfp->slots[env->slot].counts;
	b.n = 0;
	while (chain.head) {
		b.n_beside = 0;
		while (b.n < WFP_BURST && (n = nbl_chain_pop(&chain)))
			load(&b, n);
		run_block(&b, layers, datagrams);
		unload(&b, &result);
	}
	return result;
}

/* The gate of 'way', or NULL: any packet may match, or is a sign of life of its flow. */
static const struct wfp_gate *gate_of(const struct nbl_wfp *wfp, const struct wfp_snapshot *s,
				      enum wfp_way way)
{
	if (way == WFP_N_WAYS || !s->gates[way].narrow || wfp_read(&wfp->flows.n_flows))
		return NULL;
	return &s->gates[way];
}

/* 'way': the one that 'layers' are all of, or WFP_N_WAYS. */
static struct nbl_wfp_result run_layers(struct nbl_wfp *wfp, const uint8_t *layers,
					enum wfp_way way, enum nbl_direction datagrams,
					struct nbl_chain chain, const struct nbl_wfp_env *env)
{
	struct nbl_wfp_result result = { .passed = chain };
	const struct wfp_snapshot *snapshot;
	const struct wfp_gate *gate;

	wfp_enter(wfp, env->slot);
	snapshot = atomic_load(&wfp->snapshot);
	gate = gate_of(wfp, snapshot, way);
	if (gate && wfp_gate_stops_all(gate, &chain))
		wfp_count(&wfp->slots[env->slot].counts.classified,
			  (uint64_t)chain.n_nbls * gate->n_mac_layers);
	else if (any_wanted(snapshot, layers))
		result = run_blocks(wfp, snapshot, gate, layers, datagrams, chain, env);
	wfp_leave_slot(wfp, env->slot);
	return result;
}

struct nbl_wfp_result nbl_wfp_classify_chain(struct nbl_wfp *wfp, enum nbl_layer layer,
					     struct nbl_chain chain, const struct nbl_wfp_env *env)
{
	const uint8_t layers[] = { (uint8_t)layer, NBL_N_LAYERS };

	return run_layers(wfp, layers, WFP_N_WAYS, (enum nbl_direction)env->direction, chain,
			  env);
}

struct nbl_wfp_result nbl_wfp_classify_way(struct nbl_wfp *wfp, enum wfp_way way,
					   struct nbl_chain chain, const struct nbl_wfp_env *env)
{
	return run_layers(wfp, wfp_ways[way], way,
			  way == WFP_WAY_SEND ? NBL_DIRECTION_OUTBOUND : NBL_DIRECTION_INBOUND,
			  chain, env);
}

struct nbl_wfp_result nbl_wfp_classify_injected(struct nbl_wfp *wfp, enum nbl_inject_path path,
						struct nbl_chain chain,
						const struct nbl_wfp_env *env)
{
	bool sent = path == NBL_PATH_MAC_SEND || path == NBL_PATH_NETWORK_SEND ||
		    path == NBL_PATH_TRANSPORT_SEND;

	return run_layers(wfp, wfp_injected_way(path), WFP_N_WAYS,
			  sent ? NBL_DIRECTION_OUTBOUND : NBL_DIRECTION_INBOUND, chain, env);
}
