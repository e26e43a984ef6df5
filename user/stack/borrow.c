/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * borrow.c - chains a module is only lent: it may look, pass them on with RESOURCES, or do
 * nothing, which drops them; when its handler returns they are whose they were before.
 */
#include "core/nbl_internal.h"
#include "stack/hops.h"

/* What was lent, in the order it came. */
struct loan {
	struct nbl *nbls[NBL_BURST];
	uint64_t marked;		/* bit i: nbls[i] was not borrowed before */
	uint32_t n;
};

/* The first NBL_BURST of 'chain', taken off it. */
static struct nbl_chain take_piece(struct nbl_chain *chain)
{
	struct nbl_chain piece = NBL_CHAIN_EMPTY;

	if (chain->n_nbls <= NBL_BURST)
		return nbl_chain_take(chain);
	while (piece.n_nbls < NBL_BURST)
		nbl_chain_append(&piece, nbl_chain_pop(chain));
	return piece;
}

static void mark(struct loan *loan, const struct nbl_chain *chain)
{
	*loan = (struct loan){ .n = 0 };
	for (struct nbl *n = chain->head; n && loan->n < NBL_BURST; n = n->next) {
		if (!(n->nbl_flags & NBL_FLAG_BORROWED))
			loan->marked |= 1ull << loan->n;
		__atomic_fetch_or(&n->nbl_flags, (uint32_t)NBL_FLAG_BORROWED, __ATOMIC_RELAXED);
		loan->nbls[loan->n++] = n;
	}
}

/* Where what was lent is when the handler returned. */
enum whereabouts {
	IN_HANDS,
	SENT,			/* and done */
	BEING_SENT,
	GONE,			/* home, or in quarantine */
};

static enum whereabouts find(const struct nbl_lane *lane, const struct nbl *n)
{
	uint32_t claims = atomic_load_explicit(&n->claims, memory_order_relaxed);
	struct nbl_ledger_entry e;

	if (n->kind != NBL_KIND_RECEIVE)
		return IN_HANDS;
	e = nbl_ledger_get(&lane->memory->ledger, n->segment.frame);
	if (!claims || claims & NBL_CLAIM_OWNER_GONE || e.state < NBL_FRAME_HAND ||
	    e.state > NBL_FRAME_TX)
		return GONE;
	if (e.state == NBL_FRAME_TX && nbl_lane_is_sending(lane, n))
		return BEING_SENT;
	if (n->outcome == NBL_OUTCOME_TO_WIRE || n->outcome == NBL_OUTCOME_TO_HOST ||
	    (e.state == NBL_FRAME_HAND && e.slot == NBL_HAND_SENT))
		return SENT;
	return IN_HANDS;
}

/* False once 'n' has gone where it cannot be called back from: the port took it, or it is home. */
static bool is_in_hands(const struct nbl_lane *lane, const struct nbl *n)
{
	return find(lane, n) == IN_HANDS;
}

/* Puts the links back that 'to' changed, which it may not (RX-05). */
static void restore(struct nbl_filter *to, struct loan *loan)
{
	const struct nbl_lane *lane = nbl_engine_part(to)->lane;
	bool is_same = true;

	for (uint32_t i = 0; i < loan->n; i++) {
		struct nbl *n = loan->nbls[i], *next = i + 1 < loan->n ? loan->nbls[i + 1] : NULL;

		if (n->next == next || !is_in_hands(lane, n))
			continue;
		n->next = next;
		is_same = false;
	}
	if (!is_same)
		nbl_blame(to, "RX-05: a chain it was lent came back changed");
}

/* What nobody above 'to' had a hand in, it dropped: RX-09. */
static void note_drops(struct nbl_filter *to, struct loan *loan)
{
	const struct nbl_lane *lane = nbl_engine_part(to)->lane;

	for (uint32_t i = 0; i < loan->n; i++) {
		struct nbl *n = loan->nbls[i];

		if (loan->marked >> i & 1)
			__atomic_fetch_and(&n->nbl_flags, ~(uint32_t)NBL_FLAG_BORROWED,
					   __ATOMIC_RELAXED);
		if (n->kind != NBL_KIND_RECEIVE || n->outcome != NBL_OUTCOME_RETURNED ||
		    !is_in_hands(lane, n))
			continue;
		n->outcome = NBL_OUTCOME_DROP_NOTED;
		n->holder = to->id;
	}
}

static void run(struct nbl_filter *to, struct nbl_chain piece, uint32_t port, uint32_t flags,
		struct loan *loan)
{
	bool borrows = to->borrows;
	struct nbl_call before;

	mark(loan, &piece);
	before = nbl_hop_enter(to, &piece, false);
	to->borrows = true;
	to->module->receive(to, piece, port, flags | NBL_RECEIVE_RESOURCES);
	to->borrows = borrows;
	to->held -= loan->n;
	nbl_hop_leave(to, before);
	restore(to, loan);
	note_drops(to, loan);
}

void nbl_hop_lent(struct nbl_filter *to, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	struct nbl *last = NULL;
	struct loan loan;

	while (chain.head) {
		struct nbl_chain piece = take_piece(&chain);

		run(to, piece, port, flags, &loan);
		if (last)
			last->next = loan.nbls[0];
		last = loan.nbls[loan.n - 1];
	}
}

/* 'n' is being sent: neither 'to' nor those above are to get back what they were only lent. */
static void note_past(struct nbl_filter *to, struct nbl *n)
{
	struct nbl_lane *lane = nbl_engine_part(to)->lane;
	bool is_above = false;

	for (uint32_t i = 0; i < lane->n_filters; i++) {
		is_above |= &lane->filters[i]->f == to;
		if (is_above)
			nbl_hop_note_past(lane->filters[i], n);
	}
}

void nbl_hop_lend(struct nbl_filter *to, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	const struct nbl_lane *lane = nbl_engine_part(to)->lane;
	struct nbl_chain back = NBL_CHAIN_EMPTY;
	struct loan loan;

	while (chain.head) {
		struct nbl_chain piece = take_piece(&chain);

		run(to, piece, port, flags, &loan);
		for (uint32_t i = 0; i < loan.n; i++)
			switch (find(lane, loan.nbls[i])) {
			case IN_HANDS:
			case SENT:
				nbl_chain_append(&back, loan.nbls[i]);
				break;
			case BEING_SENT:
				note_past(to, loan.nbls[i]);
				break;
			case GONE:
				break;
			}
		if (back.head)
			to->give_back.handle(to->give_back.to, nbl_chain_take(&back), 0, 0);
	}
}
