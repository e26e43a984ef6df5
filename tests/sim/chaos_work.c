/* SPDX-License-Identifier: BSD-2-Clause */
/* chaos_work.c - what a chaos module does to NBLs. */
#include "sim/chaos_internal.h"

#include <stdlib.h>
#include <string.h>

/* Evaluates 'call' with its cost on the account of the module. */
#define ON_ACCOUNT(c, call) do { \
	uint16_t before_ = nbl_holder_enter((c)->f->id); \
	call; \
	nbl_holder_enter(before_); \
} while (0)

/* NULL: the default pools. */
static struct nbl_pool *pool_of_module(const struct chaos *c)
{
	return chaos_pool ? chaos_pool : c->f->pool;
}

/* ---- bytes ---- */

struct chaos_span chaos_span(const struct nbl *n)
{
	const struct nbl_nb *nb = n->first_nb;
	struct chaos_span s = { .at = NULL };

	/*
	 * clones of nothing have no segment; what a retreat put in front goes when that is undone
	 */
	if (nb->current_segment && !nb->flags) {
		s.at = nbl_nb_data(nb);
		s.length = nbl_nb_segment_room(nb);
	}
	if (s.length > nb->data_length)
		s.length = nb->data_length;
	s.digest = sim_digest(s.at, s.length, 0);
	return s;
}

bool chaos_span_is_same(const struct chaos_span *s)
{
	return sim_digest(s->at, s->length, 0) == s->digest;
}

static void look_again(struct chaos_span *s)
{
	s->digest = sim_digest(s->at, s->length, 0);
}

/* Writes somewhere into the used bytes at the front of 'n'. */
static void write_bytes(struct chaos *c, struct nbl *n)
{
	struct chaos_span s = chaos_span(n);
	uint8_t *at = s.length ? nbl_nb_data(n->first_nb) : NULL;

	for (uint32_t i = sim_below(&c->random, 8); i && s.length; i--)
		at[sim_below(&c->random, s.length)] ^= (uint8_t)(1 + sim_below(&c->random, 255));
	chaos_act(c, CHAOS_EDIT, n);
}

/* It wrote to bytes that others of its own show, too: of 'n' or a clone of it. */
static void forgive_one(struct chaos *c, const struct nbl *n)
{
	for (uint32_t i = 0; i < c->n_refs; i++)
		if (c->refs[i].n == n)
			look_again(&c->refs[i].span);
	for (uint32_t i = 0; i < c->n_held; i++)
		if (c->held[i].n == n)
			look_again(&c->held[i].span);
	for (uint32_t i = 0; i < c->n_own; i++)
		if (c->own[i].n == n || c->own[i].n->parent == n)
			look_again(&c->own[i].span);
}

static void forgive(struct chaos *c, const struct nbl *n)
{
	forgive_one(c, n);
	while ((n->kind == NBL_KIND_CLONE || n->kind == NBL_KIND_FRAGMENTS) && n->parent) {
		n = n->parent;
		forgive_one(c, n);
	}
}

/* ---- references ---- */

static void reference(struct chaos *c, struct nbl *n)
{
	bool will_modify = sim_once_in(&c->random, 3);

	if (c->n_refs == CHAOS_MAX_REFS)
		return;
	chaos_act(c, CHAOS_REFERENCE, n);
	ON_ACCOUNT(c, nbl_reference(n, will_modify));
	if (chaos_watch)
		chaos_watch->reference(c->f, n);
	c->refs[c->n_refs++] = (struct chaos_ref){
		.n = n, .span = chaos_span(n), .will_modify = will_modify };
}

static void dereference(struct chaos *c, uint32_t i)
{
	struct chaos_ref ref = c->refs[i];
	int r;

	c->refs[i] = c->refs[--c->n_refs];
	chaos_act(c, CHAOS_DEREFERENCE, ref.n);
	if (!chaos_span_is_same(&ref.span))
		chaos_broke(c, 9, "INV-9: bytes changed under a reference");
	if (chaos_watch)
		chaos_watch->dereference(c->f, ref.n);
	ON_ACCOUNT(c, r = nbl_dereference(ref.n));
	if (r < 0)
		chaos_broke(c, 2, "INV-2: a reference was lost");
}

/* ---- deriving ---- */

static void keep_own(struct chaos *c, struct nbl *n, struct nbl *const *parents, uint32_t n_parents,
		     uint32_t delta)
{
	if (chaos_watch)
		chaos_watch->derive(c->f, n, parents, n_parents);
	c->own[c->n_own++] = (struct chaos_own){ .n = n, .delta = delta, .span = chaos_span(n) };
}

/* Fills in what the headers in front of each NB of 'n' are. */
static void write_headers(struct nbl *n, uint32_t delta)
{
	for (struct nbl_nb *nb = n->first_nb; nb && delta; nb = nb->next)
		memset(nbl_nb_data(nb), 0x5a, delta);
}

/* 'announced': it owns 'n', or has a reference to it for which it announced writes. */
static void clone(struct chaos *c, struct nbl *n, bool announced)
{
	bool may_write = announced && n->nbl_flags & NBL_FLAG_WILL_MODIFY;
	struct nbl *clone;

	chaos_act(c, CHAOS_CLONE, n);
	ON_ACCOUNT(c, clone = nbl_alloc_clone(n, pool_of_module(c)));
	if (!clone)
		return;
	keep_own(c, clone, &n, 1, 0);
	/* announced: the engine has seen to it that nobody else sees this */
	if (!may_write || !sim_once_in(&c->random, 2))
		return;
	write_bytes(c, clone);
	look_again(&c->own[c->n_own - 1].span);
	if (clone->kind == NBL_KIND_CLONE)
		forgive(c, n);
}

static void deep_clone(struct chaos *c, struct nbl *n)
{
	struct nbl *clone;
	int r;

	chaos_act(c, CHAOS_DEEP_CLONE, n);
	ON_ACCOUNT(c, r = nbl_alloc_deep_clone(n, pool_of_module(c), pool_of_module(c), &clone));
	if (!r)
		keep_own(c, clone, &n, 1, 0);
}

void chaos_copy(struct chaos *c, struct nbl *n)
{
	struct nbl *copy;
	int r;

	if (c->n_own == CHAOS_MAX_OWN)
		return;
	chaos_act(c, CHAOS_COPY, n);
	ON_ACCOUNT(c, r = nbl_alloc_copy(n, pool_of_module(c), pool_of_module(c), &copy));
	if (!r)
		keep_own(c, copy, NULL, 0, 0);
}

static uint32_t shortest_nb(const struct nbl *n)
{
	uint32_t shortest = UINT32_MAX;

	for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next)
		if (nb->data_length < shortest)
			shortest = nb->data_length;
	return shortest;
}

static void fragment(struct chaos *c, struct nbl *n)
{
	struct nbl_fragment_params params = {
		.start_offset = sim_below(&c->random, 15),
		.max_length = 16 + sim_below(&c->random, 200),
		.delta = sim_below(&c->random, 2) * 14, .backfill = sim_below(&c->random, 2) * 8,
	};
	struct nbl *fragments;
	int r;

	if (shortest_nb(n) <= params.start_offset)
		return;
	chaos_act(c, CHAOS_FRAGMENT, n);
	ON_ACCOUNT(c, r = nbl_alloc_fragments(n, &params, pool_of_module(c), pool_of_module(c),
					      &fragments));
	if (r < 0)
		return;
	write_headers(fragments, params.delta);
	keep_own(c, fragments, &n, 1, params.delta);
}

/* Puts 'n' and one or two more that it references together. */
static void reassemble(struct chaos *c, struct nbl *n)
{
	struct nbl_fragment_params params = { .start_offset = sim_below(&c->random, 15),
					      .delta = sim_below(&c->random, 2) * 14 };
	struct nbl *parts[CHAOS_MAX_PARENTS] = { n }, *whole;
	uint32_t n_parts = 1;
	int r;

	while (n_parts < CHAOS_MAX_PARENTS && c->n_refs && !sim_once_in(&c->random, 3))
		parts[n_parts++] = c->refs[sim_below(&c->random, c->n_refs)].n;
	for (uint32_t i = 0; i < n_parts; i++)
		if (shortest_nb(parts[i]) <= params.start_offset)
			return;
	chaos_act(c, CHAOS_REASSEMBLE, n);
	ON_ACCOUNT(c, r = nbl_alloc_reassembled(parts, n_parts, &params, pool_of_module(c),
						pool_of_module(c), &whole));
	if (r < 0)
		return;
	write_headers(whole, params.delta);
	keep_own(c, whole, parts, n_parts, params.delta);
}

static void partial_clone(struct chaos *c, struct nbl *n)
{
	uint32_t header = 1 + sim_below(&c->random, 40);
	struct nbl *clone;
	int r;

	if (shortest_nb(n) < header)
		return;
	chaos_act(c, CHAOS_PARTIAL, n);
	ON_ACCOUNT(c, r = nbl_alloc_partial_clone(n, header, 16, pool_of_module(c),
						  pool_of_module(c), &clone));
	if (r < 0)
		return;
	/* its headers are its own, whoever sees the rest */
	nbl_nb_data(clone->first_nb)[sim_below(&c->random, header)] ^= 0xff;
	keep_own(c, clone, &n, 1, 0);
}

static void derive(struct chaos *c, struct nbl *n, bool announced)
{
	if (c->n_own == CHAOS_MAX_OWN)
		return;
	switch (sim_below(&c->random, 8)) {
	case 0: case 1: case 2: clone(c, n, announced); break;
	case 3: deep_clone(c, n); break;
	case 4: chaos_copy(c, n); break;
	case 5: fragment(c, n); break;
	case 6: reassemble(c, n); break;
	case 7: partial_clone(c, n); break;
	}
}

static void free_own(struct chaos *c, uint32_t i)
{
	struct chaos_own own = c->own[i];
	int r;

	c->own[i] = c->own[--c->n_own];
	chaos_act(c, CHAOS_FREE, own.n);
	if (!chaos_span_is_same(&own.span))
		chaos_broke(c, 9, "INV-9: bytes changed under a clone or copy");
	if (chaos_watch)
		chaos_watch->free(c->f, own.n);
	switch (own.n->kind) {
	case NBL_KIND_FRAGMENTS: r = nbl_free_fragments(own.n, own.delta); break;
	case NBL_KIND_REASSEMBLED: r = nbl_free_reassembled(own.n, own.delta); break;
	case NBL_KIND_FRESH: r = nbl_free(own.n); break;
	default: r = nbl_free_clone(own.n); break;
	}
	if (r < 0)
		chaos_broke(c, 5, "INV-5: an NBL could not be freed");
}

void chaos_drop_all(struct chaos *c)
{
	while (c->n_refs)
		dereference(c, c->n_refs - 1);
	for (uint32_t i = c->n_own; i--;)
		if (!c->own[i].is_out)
			free_own(c, i);
}

/* ---- while it has it ---- */

void chaos_work_on(struct chaos *c, struct nbl *n, bool is_forward)
{
	switch (sim_below(&c->random, 4)) {
	case 0:
	case 1:
		reference(c, n);
		break;
	case 2:
		derive(c, n, true);
		break;
	case 3:
		if (is_forward && nbl_is_writable(n))
			write_bytes(c, n);
		break;
	}
}

static struct chaos_marked *find_mark(struct chaos *c, const struct nbl *n)
{
	for (uint32_t i = 0; i < c->n_marks; i++)
		if (c->marks[i].n == n)
			return &c->marks[i];
	return NULL;
}

static void move_window(struct chaos *c, struct nbl *n, struct chaos_marked *m)
{
	int32_t by = 1 + (int32_t)sim_below(&c->random, 24);
	uint32_t prepended = n->nb.flags;

	if (shortest_nb(n) <= (uint32_t)by)
		return;
	chaos_act(c, CHAOS_MOVE_WINDOW, n);
	if (sim_once_in(&c->random, 2) && !nbl_advance(n, (uint32_t)by, false))
		m->moved = by;
	else if (!nbl_retreat(n, (uint32_t)by, 0, pool_of_module(c)))
		m->moved = -by;
	m->prepended = n->nb.flags != prepended;
}

void chaos_mark(struct chaos *c, struct nbl *n)
{
	struct chaos_marked m = { .n = n };
	void *context;

	if (c->n_marks == CHAOS_MAX_MARKS || c->is_pausing || !sim_once_in(&c->random, 3))
		return;
	if (sim_once_in(&c->random, 4))
		move_window(c, n, &m);
	if (sim_once_in(&c->random, 4) && !nbl_context_push(n, 8, &context)) {
		m.pushed = true;
		memcpy(context, &c->f, sizeof(c->f));
		chaos_act(c, CHAOS_PUSH_CONTEXT, n);
	}
	m.has_shape = true;
	nbl_shape_record(n, &m.shape);
	c->marks[c->n_marks++] = m;
}

void chaos_undo(struct chaos *c, struct nbl *n)
{
	struct chaos_marked *at = find_mark(c, n), m;

	if (!at)
		return;
	m = *at;
	*at = c->marks[--c->n_marks];
	chaos_act(c, CHAOS_UNDO, n);
	if (m.has_shape && nbl_shape_differs(&m.shape))
		chaos_broke(c, 6, "INV-6: an NBL is not back as it was handed over");
	if (m.pushed && (!n->context || memcmp(n->context, &c->f, sizeof(c->f)) ||
			 nbl_context_pop(n, 8) < 0))
		chaos_broke(c, 6, "INV-6: its context is not on top");
	if ((m.moved > 0 && nbl_retreat(n, (uint32_t)m.moved, 0, NULL) < 0) ||
	    (m.moved < 0 && nbl_advance(n, (uint32_t)-m.moved, m.prepended) < 0))
		chaos_broke(c, 6, "INV-6: its window cannot be restored");
}

/* ---- originating ---- */

static void inject(struct chaos *c, struct chaos_own *own, bool is_send)
{
	if (!chaos_watch || !chaos_watch->inject)
		return;
	chaos_act(c, CHAOS_INJECT, own->n);
	own->is_out = true;
	chaos_watch->inject(c->f, own->n, is_send);
}

void chaos_inject_ended(struct nbl_filter *f, struct nbl *n)
{
	struct chaos *c = f->lane_state;
	uint32_t i = 0;

	while (i < c->n_own && c->own[i].n != n)
		i++;
	chaos_act(c, CHAOS_GET_BACK, n);
	if (i == c->n_own || !c->own[i].is_out) {
		chaos_broke(c, 5, "INV-5: an injection ended that was not out");
		return;
	}
	/* whoever owned it meanwhile might write to it */
	c->own[i].span = chaos_span(n);
	c->own[i].is_out = false;
	if (c->is_pausing)
		free_own(c, i);
	chaos_check_pause(c);
}

static struct chaos_own *find_own(struct chaos *c, const struct nbl *n)
{
	for (uint32_t i = 0; i < c->n_own; i++)
		if (c->own[i].n == n)
			return &c->own[i];
	return NULL;
}

/* 'own' goes, in a chain of its kind. */
static void put_own(struct chaos *c, struct chaos_own *own, bool is_send, struct nbl_chain *chain)
{
	chaos_act(c, is_send ? CHAOS_ORIGINATE_SEND : CHAOS_ORIGINATE_RECEIVE, own->n);
	nbl_filter_own(c->f, own->n);
	if (is_send && sim_once_in(&c->random, 2))
		nbl_info_set(own->n, NBL_INFO_CANCEL_ID,
			     1 + sim_below(&c->random, CHAOS_N_CANCEL_IDS));
	own->is_out = true;
	if (chaos_watch)
		chaos_watch->originate(c->f, own->n, true);
	nbl_chain_append(chain, own->n);
}

/* What did not go, or was only lent, is its own again, as one chain. */
static void take_own(struct chaos *c, const struct nbl_chain *chain)
{
	for (struct nbl *n = chain->head; n; n = n->next) {
		struct chaos_own *own = find_own(c, n);

		if (!own || !own->is_out) {
			chaos_broke(c, 5, "INV-5: a chain that was lent is not back");
			return;
		}
		own->is_out = false;
		if (chaos_watch)
			chaos_watch->originate(c->f, n, false);
	}
}

static void originate(struct chaos *c, uint32_t i)
{
	bool is_send = !sim_once_in(&c->random, 3);
	bool lends = !is_send && sim_once_in(&c->random, 3);
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	int r;

	if (chaos_watch && chaos_watch->inject && (!c->f->engine || sim_once_in(&c->random, 3))) {
		inject(c, &c->own[i], is_send);
		return;
	}
	if (!c->f->engine)
		return;
	put_own(c, &c->own[i], is_send, &chain);
	for (i = 0; i < c->n_own && sim_once_in(&c->random, 2); i++)
		if (!c->own[i].is_out)
			put_own(c, &c->own[i], is_send, &chain);
	r = is_send ? nbl_filter_originate_send(c->f, chain, 0, 0)
		    : nbl_filter_originate_receive(c->f, chain, 0,
						   lends ? NBL_RECEIVE_RESOURCES : 0);
	if (r || lends)
		take_own(c, &chain);	/* else it may be back already */
}

bool chaos_take_back(struct chaos *c, struct nbl *n)
{
	uint32_t i = 0;

	if (!nbl_filter_is_own(c->f, n) || !c->f->engine)
		return false;
	while (i < c->n_own && c->own[i].n != n)
		i++;
	chaos_act(c, CHAOS_GET_BACK, n);
	if (i == c->n_own || !c->own[i].is_out) {
		chaos_broke(c, 5, "INV-5: completed what is not out");
		return true;
	}
	/* whoever owned it meanwhile might write to it */
	c->own[i].span = chaos_span(n);
	c->own[i].is_out = false;
	if (c->is_pausing)
		free_own(c, i);
	return true;
}

/* ---- between handlers ---- */

void chaos_stir(struct chaos *c, struct chaos_out *out)
{
	uint32_t which = sim_below(&c->random, 8), at = (uint32_t)sim_next(&c->random);

	if (sim_once_in(&c->random, 16)) {
		if (c->f->engine)
			nbl_filter_cancel(c->f, 1 + sim_below(&c->random, CHAOS_N_CANCEL_IDS));
	} else if (which < 2 && c->n_held) {
		chaos_let_go(c, at % c->n_held, out);
	} else if (which < 4 && c->n_refs) {
		dereference(c, at % c->n_refs);
	} else if ((which == 4 || sim_once_in(&c->random, 4)) && c->n_refs) {
		derive(c, c->refs[at % c->n_refs].n, c->refs[at % c->n_refs].will_modify);
	} else if (c->n_own && !c->own[at % c->n_own].is_out) {
		struct chaos_own *own = &c->own[at % c->n_own];

		if (which == 5 || sim_once_in(&c->random, 4)) {
			originate(c, at % c->n_own);
		} else if (which == 6 && nbl_is_writable(own->n)) {
			write_bytes(c, own->n);
			look_again(&own->span);
		} else if (which == 7 && !sim_once_in(&c->random, 3)) {
			for (uint32_t i = 1 + sim_below(&c->random, 4); i; i--)
				chaos_work_on(c, own->n, false);
		} else {
			free_own(c, at % c->n_own);
		}
	}
}

void chaos_stir_elsewhere(struct nbl_filter *f)
{
	struct chaos *c = f->lane_state;

	for (uint32_t i = 1 + sim_below(&c->random, 3); i; i--) {
		uint32_t at = (uint32_t)sim_next(&c->random);

		if (c->n_refs && at & 1)
			dereference(c, at / 2 % c->n_refs);
		else if (c->n_own && !c->own[at / 2 % c->n_own].is_out)
			free_own(c, at / 2 % c->n_own);
	}
}

const char *chaos_action_name(enum chaos_action action)
{
	static const char *const names[CHAOS_N_ACTIONS] = {
		"pass", "hold", "drop", "let-go", "reference", "dereference", "clone", "deep-clone",
		"copy", "fragment", "reassemble", "partial", "edit", "free", "move-window",
		"push-context", "undo", "borrow", "originate-send", "originate-receive", "inject",
		"get-back", "cancel",
	};

	return names[action];
}
