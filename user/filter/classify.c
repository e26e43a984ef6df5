// SPDX-License-Identifier: BSD-2-Clause
/*
 * classify.c - packets through layers: who sees them, and what becomes of them.
 *
 * Packets are taken in blocks. A block is parsed once, those aside that no filter
 * can match (gate.h); at each layer that has filters each in turn is put to all
 * packets that are still undecided. A packet's window is moved (CL-15) when the
 * first callout is asked about it, and moved back when the layer is done.
 */
#include "filter/classify_internal.h"

#include <nbl/window.h>

/* ---- one layer ---- */

static bool show_one(struct block *b, struct shown *s, enum nbl_direction direction)
{
	if (s->beside || s->fate != FATE_PASSED || !s->n->first_nb ||
	    !wfp_layer_shows(&wfp_layers[b->layer], direction, &s->packet, &s->offset))
		return false;
	s->packet.values.direction = direction;
	s->verdict = WFP_VERDICT_NONE;
	s->moved = false;
	return NBL_LIKELY(!s->n->first_nb->next) || wfp_window_move(s);
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

	if (snapshot->first[layer] == snapshot->first[layer + 1])
		return;
	b->layer = layer;
	wfp_count(&b->counts->classified, show(b, direction));
	for (uint32_t i = snapshot->first[layer]; i < snapshot->first[layer + 1]; i++)
		wfp_block_evaluate(b, &snapshot->entries[i]);
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
