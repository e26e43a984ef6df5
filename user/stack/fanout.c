/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fanout.c - one chain, shown to all who want part of it.
 *
 * Nothing is allocated: a burst's pointers are noted on the stack, which is the order that
 * everybody sees and to which the links are restored, and sub-chains are built on the
 * links. An NBL is lent to all who want it but the last; that one may keep it, if it
 * said that it keeps packets. Others who keep get copies.
 */
#include "core/nbl_internal.h"
#include "stack/binding.h"

#include <nbl/derive.h>
#include <nbl/holding.h>
#include <nbl/parse.h>

#define UPPER NBL_MAX_BINDINGS

struct burst {
	struct nbl_lane *lane;
	struct nbl_bindings *bs;
	uint32_t port, flags;
	uint32_t n;
	struct nbl *nbls[NBL_BURST];		/* in order; NULL once somebody keeps it */
	uint32_t wanted_by[NBL_BURST];		/* bit per binding */
};

/* Part of a burst on its way to one receiver, and whether it is lent. */
struct run {
	struct nbl_chain chain;
	struct nbl *first[NBL_BURST];		/* what of it is lent, as it was linked */
	uint32_t flags;
};

/* ---- who wants what ---- */

/* The binding whose send 'n' or what it was derived from is, 0 if none's. Rule: TX-17. */
static uint32_t sender_of(const struct nbl *n)
{
	for (; n; n = n->parent)
		if (nbl_handle_origin(n->source_handle) == NBL_ORIGIN_BINDING)
			return n->source_handle;
	return 0;
}

static uint32_t wanted_by_type(const struct nbl_bindings *bs, uint16_t type_be)
{
	for (uint32_t i = 0; i < bs->n_types; i++)
		if (bs->types[i].type_be == type_be)
			return bs->types[i].wanted_by | bs->wanted_by_all;
	return bs->wanted_by_all;
}

/* Packets that loop are for their sender alone, or for bindings if nobody knows it. Rule: TX-14. */
static uint32_t looped_to(struct nbl_bindings *bs, const struct nbl *n, uint32_t wanted)
{
	uint32_t handle = sender_of(n);
	const struct nbl_binding *b = handle ? nbl_bindings_find(bs, handle) : NULL;

	wanted &= ~(1u << UPPER);
	if (!handle)
		return wanted;
	return b ? wanted & 1u << (b - bs->bindings) : 0;
}

static uint32_t who_wants(struct nbl_bindings *bs, struct nbl *n)
{
	uint32_t wanted;

	/* modules may indicate what nobody has looked at yet */
	if (NBL_UNLIKELY(!n->frame_type_be && bs->n_types))
		n->frame_type_be = nbl_frame_type_parse(n);
	wanted = wanted_by_type(bs, n->frame_type_be);
	if (NBL_UNLIKELY(n->nbl_flags & NBL_FLAG_LOOPBACK))
		wanted = looped_to(bs, n, wanted);
	return wanted;
}

/* ---- runs ---- */

static bool is_lent(const struct run *r)
{
	return r->flags & NBL_RECEIVE_RESOURCES;
}

/*
 * What may be promised of 'chain': what was promised of the whole is true of a part, and
 * types are compared. Rule: PT-08.
 */
static uint32_t promises(const struct burst *b, const struct nbl_chain *chain)
{
	uint32_t flags = b->flags & ~(uint32_t)NBL_RECEIVE_RESOURCES;
	uint16_t type_be = chain->head->frame_type_be;

	if (!b->bs->n_types)
		return flags;
	flags &= ~(uint32_t)NBL_RECEIVE_SINGLE_ETHER_TYPE;
	for (const struct nbl *n = chain->head; n; n = n->next)
		if (!type_be || n->frame_type_be != type_be)
			return flags;
	return flags | NBL_RECEIVE_SINGLE_ETHER_TYPE;
}

/* Others may read and set flags at this moment. */
static void mark_borrowed(const struct run *r, bool borrowed)
{
	for (uint32_t i = 0; i < r->chain.n_nbls; i++)
		if (borrowed)
			__atomic_fetch_or(&r->first[i]->nbl_flags, (uint32_t)NBL_FLAG_BORROWED,
					  __ATOMIC_RELAXED);
		else
			__atomic_fetch_and(&r->first[i]->nbl_flags, ~(uint32_t)NBL_FLAG_BORROWED,
					   __ATOMIC_RELAXED);
}

/*
 * What was lent must come back linked as it was; the order noted is right in any case. Rule: RX-05.
 */
static void check_links(struct nbl_lane *lane, const struct run *r)
{
	uint32_t n = r->chain.n_nbls;

	for (uint32_t i = 0; i < n; i++)
		if (r->first[i]->next != (i + 1 < n ? r->first[i + 1] : NULL)) {
			lane->figures.violations++;
			return;
		}
}

/* Shows 'r' to 'to' and empties it. */
static void show(struct burst *b, struct nbl_binding *to, struct run *r)
{
	bool marks = is_lent(r) && !(b->flags & NBL_RECEIVE_RESOURCES);

	if (nbl_chain_is_empty(&r->chain))
		return;
	to->lanes[b->lane->index].packets += r->chain.n_nbls;
	if (!is_lent(r))
		atomic_fetch_add_explicit(&to->lanes[b->lane->index].given, r->chain.n_nbls,
					  memory_order_relaxed);
	if (marks)
		mark_borrowed(r, true);
	to->params.receive(to->params.arg, b->lane, r->chain, b->port,
			   promises(b, &r->chain) | r->flags);
	if (is_lent(r))
		check_links(b->lane, r);
	if (marks)
		mark_borrowed(r, false);
	r->chain = NBL_CHAIN_EMPTY;
}

static void add(struct burst *b, struct nbl_binding *to, struct run *r, struct nbl *n, bool lent)
{
	if (is_lent(r) != lent)
		show(b, to, r);
	r->flags = lent ? NBL_RECEIVE_RESOURCES : 0;
	if (lent)
		r->first[r->chain.n_nbls] = n;
	nbl_chain_append(&r->chain, n);
}

/* A copy for 'to' to keep, its own for good; NULL when the pool is exhausted. Rule: RX-07. */
static struct nbl *copy_for(const struct burst *b, struct nbl_binding *to, const struct nbl *n)
{
	struct nbl_pool *pool = b->lane->pool;
	uint16_t before = nbl_holder_enter(NBL_PLACE_UPPER);
	struct nbl *copy = NULL;

	if (pool && !nbl_alloc_copy(n, pool, pool, &copy)) {
		copy->source_handle = to->handle;
		copy->holder = NBL_PLACE_UPPER;
		to->lanes[b->lane->index].copied++;
	}
	nbl_holder_enter(before);
	return copy;
}

/* ---- the bindings, the upper port ---- */

static bool is_last(uint32_t wanted_by, uint32_t number)
{
	return wanted_by >> number == 1;
}

static void show_to(struct burst *b, uint32_t number)
{
	struct nbl_binding *to = &b->bs->bindings[number];
	bool pends = to->params.flags & NBL_BINDING_PENDS, may_copy = pends;
	struct run run = { .chain = NBL_CHAIN_EMPTY };

	for (uint32_t i = 0; i < b->n; i++) {
		struct nbl *n = b->nbls[i], *copy = NULL;

		if (!(b->wanted_by[i] >> number & 1))
			continue;
		if (pends && is_last(b->wanted_by[i], number) &&
		    !(b->flags & NBL_RECEIVE_RESOURCES)) {
			n->holder = NBL_PLACE_UPPER;
			b->nbls[i] = NULL;
			add(b, to, &run, n, false);
			continue;
		}
		if (may_copy)
			copy = copy_for(b, to, n);
		if (pends && !copy) {
			may_copy = false;
			to->lanes[b->lane->index].no_copy++;
		}
		add(b, to, &run, copy ? copy : n, !copy);
	}
	show(b, to, &run);
}

/* Shows the upper port what it wants, and sends home what nobody keeps. Rule: RX-15. */
static void finish(struct burst *b)
{
	struct nbl_chain up = NBL_CHAIN_EMPTY, home = NBL_CHAIN_EMPTY;
	struct nbl_lane *lane = b->lane;

	for (uint32_t i = 0; i < b->n; i++) {
		struct nbl *n = b->nbls[i];

		if (!n)
			continue;
		if (b->wanted_by[i] >> UPPER & 1) {
			nbl_chain_append(&up, n);
			continue;
		}
		lane->figures.originated.unwanted += !b->wanted_by[i];
		if (n->outcome == NBL_OUTCOME_RETURNED) {
			n->outcome = b->wanted_by[i] ? NBL_OUTCOME_CONSUMED : NBL_OUTCOME_UNWANTED;
			n->holder = NBL_PLACE_UPPER;
		}
		nbl_chain_append(&home, n);
	}
	if (!nbl_chain_is_empty(&up))
		nbl_upper_receive(lane, up, b->port,
				  promises(b, &up) | (b->flags & NBL_RECEIVE_RESOURCES));
	if (!nbl_chain_is_empty(&home) && !(b->flags & NBL_RECEIVE_RESOURCES))
		lane->return_first.handle(lane->return_first.to, home, 0, 0);
}

/* The next burst off 'chain', and who wants it. */
static void take_burst(struct burst *b, struct nbl_chain *chain)
{
	struct nbl *n;

	for (b->n = 0; b->n < NBL_BURST && (n = nbl_chain_pop(chain)); b->n++) {
		b->nbls[b->n] = n;
		b->wanted_by[b->n] = who_wants(b->bs, n);
	}
}

/*
 * Links the burst, all of which is here, as it was: behind
 * 'before', in front of 'after'. Rule: PT-06.
 */
static struct nbl *restore(const struct burst *b, struct nbl *before, struct nbl *after)
{
	for (uint32_t i = 0; i < b->n; i++) {
		if (before)
			before->next = b->nbls[i];
		before = b->nbls[i];
	}
	before->next = after;
	return before;
}

void nbl_bindings_indicate(struct nbl_lane *lane, struct nbl_chain chain, uint32_t port,
			   uint32_t flags)
{
	struct burst b = { .lane = lane, .bs = lane->bindings, .port = port, .flags = flags };
	struct nbl *last = NULL;

	while (!nbl_chain_is_empty(&chain)) {
		uint32_t wanted = 0;

		take_burst(&b, &chain);
		for (uint32_t i = 0; i < b.n; i++)
			wanted |= b.wanted_by[i];
		for (wanted &= ~(1u << UPPER); wanted; wanted &= wanted - 1)
			show_to(&b, (uint32_t)__builtin_ctz(wanted));
		finish(&b);
		if (flags & NBL_RECEIVE_RESOURCES)
			last = restore(&b, last, chain.head);
	}
}
