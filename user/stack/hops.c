/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/hops.h"

#include "stack/binding.h"

#include "core/nbl_internal.h"
#include "stack/history.h"

void nbl_blame(struct nbl_filter *f, const char *what)
{
	nbl_violation(what, f->id);
	nbl_engine_part(f)->lane->figures.modules[f->id].faults++;
}

/* ---- accounts ---- */

/* True once somebody has decided that 'n' is dropped: its holder is where, and stays so. */
static bool is_dropped(const struct nbl *n)
{
	return n->outcome != NBL_OUTCOME_RETURNED &&
	       nbl_outcome_is_drop((enum nbl_outcome)n->outcome);
}

/* Counts the chain in; a module that may keep packets is noted as their holder. */
struct nbl_call nbl_hop_enter(struct nbl_filter *to, const struct nbl_chain *chain,
			      bool is_way_back)
{
	nbl_engine_part(to)->depth++;
	to->packets += chain->n_nbls;
	to->held += chain->n_nbls;
	if (to->module->flags & NBL_MODULE_HOLDS)
		for (struct nbl *n = chain->head; n; n = n->next)
			if (!is_dropped(n))
				n->holder = to->id;
	return nbl_call_begin(to, is_way_back);
}

/* True if a module of 'lane' that says it holds packets has some on account 'id'. */
static bool is_a_holders(const struct nbl_lane *lane, uint16_t id)
{
	for (uint32_t i = 0; i < lane->n_filters; i++) {
		const struct nbl_filter *f = &lane->filters[i]->f;

		if (f->id == id)
			return f->module->flags & NBL_MODULE_HOLDS && f->held > 0;
	}
	return false;
}

/* A module kept packets and had not said so: those of the burst that nobody else has are its. */
static void note_kept(struct nbl_filter *f)
{
	struct nbl_lane *lane = nbl_engine_part(f)->lane;

	for (uint32_t i = 0; i < lane->n_burst; i++) {
		uint32_t frame = lane->burst[i].frame;
		struct nbl_ledger_entry e = nbl_ledger_get(&lane->memory->ledger, frame);
		struct nbl *n = &lane->nbls[frame];

		if (e.state == NBL_FRAME_HAND && e.slot != NBL_HAND_SENT &&
		    !is_a_holders(lane, n->holder))
			n->holder = f->id;
	}
}

/*
 * A module that did not say it holds must have passed all on when the outermost
 * of its handlers ends; and none passes on more than it got. Each time it is
 * more than before counts.
 */
void nbl_hop_leave(struct nbl_filter *to, struct nbl_call before)
{
	struct nbl_lane_filter *lf = nbl_engine_part(to);
	bool may_hold = to->module->flags & NBL_MODULE_HOLDS;
	int64_t wrong = to->held < 0 ? -to->held : may_hold ? 0 : to->held;

	nbl_call_end(to, before);
	if (--lf->depth || NBL_LIKELY(wrong == lf->complained))
		return;
	if (wrong > lf->complained) {
		lf->lane->figures.modules[to->id].faults++;
		if (to->held > 0)
			note_kept(to);
	}
	lf->complained = wrong;
}

/* Who hands over: a module, or where its path begins. */
static uint16_t giver_of(uint16_t holder, enum nbl_transfer_path path)
{
	bool is_up = path == NBL_TRANSFER_RECEIVE || path == NBL_TRANSFER_COMPLETE;

	if (holder && holder != NBL_HOLDER_OF_NBL)
		return holder;
	return is_up ? NBL_PLACE_LOWER : NBL_PLACE_UPPER;
}

/* Notes that a chain came to 'to' in the call that began 'before'. */
static inline void note_transfer(struct nbl_filter *to, struct nbl_call before,
				 enum nbl_transfer_path path, const struct nbl_chain *chain)
{
	struct nbl_lane *lane = nbl_engine_part(to)->lane;

	if (NBL_UNLIKELY(lane->history))
		nbl_history_add(lane, giver_of(before.holder, path), to->id, path, chain);
}

/* What 'giver' gives back without saying why is its drop, whoever passes it on later. */
static void note_drops(const struct nbl_chain *chain, uint32_t giver)
{
	for (struct nbl *n = chain->head; n; n = n->next) {
		if (n->outcome != NBL_OUTCOME_RETURNED)
			continue;
		n->outcome = NBL_OUTCOME_DROP_NOTED;
		n->holder = (uint16_t)giver;
	}
}

/* ---- up ---- */

/* True if 'to' may not simply be given packets: perhaps it is at its limit, or gets none. */
static inline bool is_barred(const struct nbl_filter *to, const struct nbl_lane_filter *lf)
{
	return __atomic_load_n(&lf->gate, __ATOMIC_RELAXED) != NBL_GATE_OPEN ||
	       to->held >= lf->most_held ||
	       (int64_t)lf->lane->figures.frames[NBL_FRAME_HELD] >= lf->most_held;
}

/* What 'lf' must be treated as now. */
static enum nbl_gate gate_of(const struct nbl_lane_filter *lf)
{
	enum nbl_gate gate = (enum nbl_gate)__atomic_load_n(&lf->gate, __ATOMIC_RELAXED), now;

	if (gate >= NBL_GATE_PAST)
		return gate;
	now = nbl_limits_gate(lf);
	return now > gate ? now : gate;
}

static void set_ends(const struct nbl_chain *chain, enum nbl_status status,
		     enum nbl_outcome outcome, uint16_t place)
{
	for (struct nbl *n = chain->head; n; n = n->next) {
		n->status = status;
		n->outcome = (uint8_t)outcome;
		n->holder = place;
	}
}

static void run_receive(struct nbl_filter *to, struct nbl_chain chain, uint32_t port,
			uint32_t flags)
{
	struct nbl_call before = nbl_hop_enter(to, &chain, false);

	note_transfer(to, before, NBL_TRANSFER_RECEIVE, &chain);
	to->module->receive(to, chain, port, flags);
	nbl_hop_leave(to, before);
}

/* Past 'to', or if nothing may pass unfiltered, back. */
static void receive_past(struct nbl_filter *to, struct nbl_chain chain, uint32_t port,
			 uint32_t flags)
{
	struct nbl_lane_filter *lf = nbl_engine_part(to);

	lf->skipped += chain.n_nbls;
	if (!lf->stack->fail_closed) {
		to->indicate.handle(to->indicate.to, chain, port, flags);
		return;
	}
	set_ends(&chain, NBL_STATUS_RESOURCES, NBL_OUTCOME_MODULE_LIMIT, to->id);
	if (!(flags & NBL_RECEIVE_RESOURCES))
		to->give_back.handle(to->give_back.to, chain, 0, 0);
}

/* The flag is only cleared on NBLs of one's own (RX-08): the others are lent still. */
static uint32_t put_flag_back(struct nbl_filter *from, const struct nbl_chain *chain,
			      uint32_t flags)
{
	if (!chain->head || !(chain->head->nbl_flags & NBL_FLAG_BORROWED) ||
	    flags & NBL_RECEIVE_RESOURCES)
		return flags;
	if (from) {
		nbl_blame(from, "RX-08: lent NBLs indicated as if they were its own");
		from->held += chain->n_nbls;
	}
	return flags | NBL_RECEIVE_RESOURCES;
}

static void receive_specially(struct nbl_filter *to, struct nbl_chain chain, uint32_t port,
			      uint32_t flags)
{
	struct nbl_lane_filter *lf = nbl_engine_part(to);
	enum nbl_gate gate = gate_of(lf);

	if (!chain.head)
		return;
	flags = put_flag_back(lf->below ? &lf->below->f : NULL, &chain, flags);
	if (gate == NBL_GATE_SHUT) {
		if (!(flags & NBL_RECEIVE_RESOURCES))
			to->give_back.handle(to->give_back.to, chain, 0, 0);
	} else if (gate == NBL_GATE_PAST) {
		receive_past(to, chain, port, flags);
	} else if (flags & NBL_RECEIVE_RESOURCES) {
		nbl_hop_lent(to, chain, port, flags);
	} else if (gate == NBL_GATE_LIMITED) {
		lf->lent += chain.n_nbls;
		nbl_hop_lend(to, chain, port, flags);
	} else {
		run_receive(to, chain, port, flags);
	}
}

void nbl_hop_receive(struct nbl_filter *to, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	if (NBL_UNLIKELY(!chain.head || flags & NBL_RECEIVE_RESOURCES ||
			 chain.head->nbl_flags & NBL_FLAG_BORROWED ||
			 is_barred(to, nbl_engine_part(to))))
		receive_specially(to, chain, port, flags);
	else
		run_receive(to, chain, port, flags);
}

/* ---- down ---- */

static void send_specially(struct nbl_filter *to, struct nbl_chain chain, uint32_t port,
			   uint32_t flags)
{
	struct nbl_lane_filter *lf = nbl_engine_part(to);

	if (gate_of(lf) == NBL_GATE_SHUT) {
		for (struct nbl *n = chain.head; n; n = n->next)
			n->status = NBL_STATUS_PAUSED;
		to->complete.handle(to->complete.to, chain, 0, 0);
		return;
	}
	lf->skipped += chain.n_nbls;
	if (!lf->stack->fail_closed) {
		for (struct nbl *n = chain.head; n; n = n->next)
			nbl_hop_note_past(lf, n);
		to->send.handle(to->send.to, chain, port, flags);
		return;
	}
	set_ends(&chain, NBL_STATUS_RESOURCES, NBL_OUTCOME_MODULE_LIMIT, to->id);
	to->complete.handle(to->complete.to, chain, 0, 0);
}

void nbl_hop_send(struct nbl_filter *to, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	struct nbl_lane_filter *lf = nbl_engine_part(to);
	struct nbl_call before;

	if (NBL_UNLIKELY(is_barred(to, lf)) && gate_of(lf) != NBL_GATE_OPEN) {
		send_specially(to, chain, port, flags);
		return;
	}
	before = nbl_hop_enter(to, &chain, false);
	to->held_sends += chain.n_nbls;
	note_transfer(to, before, NBL_TRANSFER_SEND, &chain);
	to->module->send(to, chain, port, flags);
	nbl_hop_leave(to, before);
}

/* ---- the way back ---- */

void nbl_hop_note_past(struct nbl_lane_filter *lf, struct nbl *n)
{
	if (!nbl_lane_is_flagged(n, NBL_FLAG_WENT_PAST)) {
		n->went_past = 0;
		__atomic_fetch_or(&n->nbl_flags, (uint32_t)NBL_FLAG_WENT_PAST, __ATOMIC_RELAXED);
	}
	lf->n_past += !(n->went_past >> (lf->f.id - 1) & 1);
	n->went_past |= (uint16_t)(1u << (lf->f.id - 1));
}

/* Takes what went past 'lf' out of 'chain', and off its notes. Rule: HP-04. */
static struct nbl_chain take_past(struct nbl_lane_filter *lf, struct nbl_chain *chain)
{
	struct nbl_chain past = NBL_CHAIN_EMPTY, others = NBL_CHAIN_EMPTY;
	uint16_t bit = (uint16_t)(1u << (lf->f.id - 1));
	struct nbl *n;

	while ((n = nbl_chain_pop(chain))) {
		bool is_past = nbl_lane_is_flagged(n, NBL_FLAG_WENT_PAST) && n->went_past & bit;

		if (is_past) {
			n->went_past &= (uint16_t)~bit;
			lf->n_past--;
		}
		nbl_chain_append(is_past ? &past : &others, n);
	}
	*chain = others;
	return past;
}

static void call_back(struct nbl_filter *to, struct nbl_chain chain, uint32_t flags, bool is_send)
{
	if (is_send)
		to->module->send_complete(to, chain, flags);
	else
		to->module->receive_return(to, chain, flags);
}

static void run_back(struct nbl_filter *to, struct nbl_chain chain, uint32_t flags, bool is_send)
{
	struct nbl_call before = nbl_hop_enter(to, &chain, true);

	if (is_send)
		to->held_sends += chain.n_nbls;
	note_transfer(to, before, is_send ? NBL_TRANSFER_COMPLETE : NBL_TRANSFER_RETURN, &chain);
	call_back(to, chain, flags, is_send);
	nbl_hop_leave(to, before);
}

/*
 * Takes what 'to' originated out of 'chain' and gives it back: it was never in its hands as
 * others' are. Rule: SH-05.
 */
static void end_own(struct nbl_filter *to, struct nbl_chain *chain, uint32_t flags, bool is_send)
{
	struct nbl_chain own = NBL_CHAIN_EMPTY, others = NBL_CHAIN_EMPTY;
	struct nbl_call before;
	struct nbl *n;

	while ((n = nbl_chain_pop(chain))) {
		bool is_own = n->source_handle == to->handle && n->is_out;

		n->is_out &= !is_own;
		if (is_own) {
			nbl_lane_note_ended(nbl_engine_part(to)->lane, n);
			n->holder = to->id;
		}
		nbl_chain_append(is_own ? &own : &others, n);
	}
	*chain = others;
	if (!own.head)
		return;
	to->n_originated -= own.n_nbls;
	if (is_send)
		to->n_originated_sends -= own.n_nbls;
	nbl_engine_part(to)->depth++;
	before = nbl_call_begin(to, true);
	note_transfer(to, before, is_send ? NBL_TRANSFER_COMPLETE : NBL_TRANSFER_RETURN, &own);
	call_back(to, own, flags, is_send);
	nbl_hop_leave(to, before);
}

/* 'past': others' do not go to the handler. */
static void back(struct nbl_filter *to, struct nbl_chain chain, uint32_t giver, uint32_t flags,
		 bool is_send, bool past)
{
	const struct nbl_hop *next = is_send ? &to->complete : &to->give_back;
	struct nbl_lane_filter *lf = nbl_engine_part(to);
	struct nbl_chain skips = NBL_CHAIN_EMPTY;

	if (NBL_UNLIKELY(giver))
		note_drops(&chain, giver);
	if (NBL_UNLIKELY(to->n_originated)) {
		end_own(to, &chain, flags, is_send);
		if (!chain.head)
			return;
	}
	if (NBL_UNLIKELY(lf->n_past))
		skips = take_past(lf, &chain);
	if (NBL_UNLIKELY(past || __atomic_load_n(&lf->gate, __ATOMIC_RELAXED) >= NBL_GATE_PAST)) {
		nbl_chain_join(&skips, &chain);
		chain = NBL_CHAIN_EMPTY;
	}
	if (NBL_UNLIKELY(skips.head))
		next->handle(next->to, skips, 0, flags);
	if (NBL_LIKELY(chain.head))
		run_back(to, chain, flags, is_send);
}

void nbl_hop_receive_return(struct nbl_filter *to, struct nbl_chain chain, uint32_t port,
			    uint32_t flags)
{
	back(to, chain, port, flags, false, false);
}

void nbl_hop_send_complete(struct nbl_filter *to, struct nbl_chain chain, uint32_t port,
			   uint32_t flags)
{
	back(to, chain, port, flags, true, false);
}

void nbl_hop_own_return(struct nbl_filter *to, struct nbl_chain chain, uint32_t port,
			uint32_t flags)
{
	back(to, chain, port, flags, false, true);
}

void nbl_hop_own_complete(struct nbl_filter *to, struct nbl_chain chain, uint32_t port,
			  uint32_t flags)
{
	back(to, chain, port, flags, true, true);
}

/* ---- the edges ---- */

void nbl_upper_receive(struct nbl_lane *lane, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	(void)port;
	(void)flags;
	nbl_lane_transmit(lane, chain, NBL_UPPER);
}

void nbl_edge_upper(struct nbl_filter *from, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	struct nbl_lane *lane = nbl_engine_part(from)->lane;

	flags = put_flag_back(from, &chain, flags);
	nbl_history_note(lane, giver_of(from->id, NBL_TRANSFER_RECEIVE), NBL_PLACE_UPPER,
			 NBL_TRANSFER_RECEIVE, &chain);
	if (NBL_UNLIKELY(lane->bindings))
		nbl_bindings_indicate(lane, chain, port, flags);
	else
		nbl_upper_receive(lane, chain, port, flags);
}

void nbl_edge_lower(struct nbl_filter *from, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	struct nbl_lane *lane = nbl_engine_part(from)->lane;

	(void)port;
	(void)flags;
	nbl_history_note(lane, giver_of(from->id, NBL_TRANSFER_SEND), NBL_PLACE_LOWER,
			 NBL_TRANSFER_SEND, &chain);
	nbl_lane_transmit(lane, chain, NBL_LOWER);
}

void nbl_edge_home(struct nbl_filter *from, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	(void)port;
	(void)flags;
	nbl_lane_bring_home(nbl_engine_part(from)->lane, chain, from->id);
}

void nbl_closed_receive(struct nbl_filter *from, struct nbl_chain chain, uint32_t port,
			uint32_t flags)
{
	const struct nbl_hop *back_to = &nbl_engine_part(from)->lane->return_first;

	(void)port;
	if (!(flags & NBL_RECEIVE_RESOURCES))
		back_to->handle(back_to->to, chain, 0, 0);
}

void nbl_closed_send(struct nbl_filter *from, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	const struct nbl_hop *back_to = &nbl_engine_part(from)->lane->complete_first;

	(void)port;
	(void)flags;
	for (struct nbl *n = chain.head; n; n = n->next)
		n->status = NBL_STATUS_PAUSED;
	back_to->handle(back_to->to, chain, 0, 0);
}
