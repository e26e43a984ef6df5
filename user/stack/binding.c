/* SPDX-License-Identifier: BSD-2-Clause */
/* binding.c - opening and closing bindings; what they send and return. */
#include "stack/binding.h"
#include "stack/hops.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <nbl/cancel.h>
#include <nbl/parse.h>

#include "core/nbl_internal.h"

#define NUMBER_BITS	8
#define GENERATIONS	((NBL_HANDLE_PORT >> NUMBER_BITS) - 1)

/* ---- who wants what ---- */

static void add_type(struct nbl_bindings *bs, uint16_t type, uint32_t who)
{
	uint16_t type_be = htons(type);

	for (uint32_t i = 0; i < bs->n_types; i++)
		if (bs->types[i].type_be == type_be) {
			bs->types[i].wanted_by |= who;
			return;
		}
	bs->types[bs->n_types++] = (struct nbl_binding_type){ type_be, who };
}

static void add_receiver(struct nbl_bindings *bs, uint32_t number, const uint16_t *types,
			 uint32_t n_types)
{
	if (!n_types)
		bs->wanted_by_all |= 1u << number;
	for (uint32_t i = 0; i < n_types; i++)
		add_type(bs, types[i], 1u << number);
}

bool nbl_bindings_want_types(const struct nbl_lane *lane)
{
	if (lane->bindings && lane->bindings->n_types)
		return true;
	for (uint32_t i = 0; i < lane->n_filters; i++)
		if (lane->filters[i]->f.module->flags & NBL_MODULE_WANTS_TYPES)
			return true;
	return false;
}

/* After any change: the tables of types, and whether lanes need to look at all. */
static void refresh(struct nbl_bindings *bs)
{
	uint32_t n_open = 0;

	bs->n_types = 0;
	bs->wanted_by_all = 0;
	add_receiver(bs, NBL_MAX_BINDINGS, bs->upper_types, bs->n_upper_types);
	for (uint32_t i = 0; i < NBL_MAX_BINDINGS; i++) {
		const struct nbl_binding *b = &bs->bindings[i];

		if (!b->handle)
			continue;
		add_receiver(bs, i, b->types, b->params.n_types);
		n_open++;
	}
	for (uint32_t l = 0; l < bs->n_lanes; l++) {
		bs->lanes[l].bindings = n_open || bs->n_upper_types ? bs : NULL;
		bs->lanes[l].parses = nbl_bindings_want_types(&bs->lanes[l]);
	}
}

bool nbl_binding_wants(const struct nbl_binding *b, uint16_t type_be)
{
	bool wants = !b->params.n_types;

	for (uint32_t i = 0; i < b->params.n_types; i++)
		wants |= htons(b->types[i]) == type_be;
	return wants;
}

/* ---- opening and closing ---- */

struct nbl_binding *nbl_bindings_find(struct nbl_bindings *bs, uint32_t handle)
{
	uint32_t number = handle & ((1u << NUMBER_BITS) - 1);

	if (number < NBL_MAX_BINDINGS && bs->bindings[number].handle == handle)
		return &bs->bindings[number];
	nbl_violation("SH-08: handle of a binding that is closed", 0);
	return NULL;
}

/* Comes from send_complete()'s side of the stack, or is a loopback clone that was seen. */
static void end_one(struct nbl_binding *b, struct nbl_lane *lane, struct nbl *n,
		    struct nbl_chain *completed)
{
	if (n->nbl_flags & NBL_FLAG_BINDING_SENDS) {
		n->nbl_flags &= ~(uint32_t)(NBL_FLAG_BINDING_SENDS | NBL_FLAG_CHECK_FOR_LOOPBACK);
		nbl_cancel_clear(n);
		atomic_fetch_sub_explicit(&b->lanes[lane->index].sending, 1, memory_order_relaxed);
		nbl_chain_append(completed, n);
		return;
	}
	if (n->nbl_flags & NBL_FLAG_LOOPBACK)
		atomic_fetch_sub_explicit(&b->lanes[lane->index].looping, 1, memory_order_relaxed);
	nbl_release(n);
}

static void complete(struct nbl_binding *b, struct nbl_lane *lane, struct nbl_chain chain)
{
	if (!nbl_chain_is_empty(&chain))
		b->params.send_complete(b->params.arg, lane, chain);
}

/* The end of the paths for NBLs that bindings originated. */
static void end(void *arg, struct nbl_lane *lane, struct nbl_chain chain)
{
	struct nbl_bindings *bs = arg;
	struct nbl_chain completed = NBL_CHAIN_EMPTY;
	struct nbl_binding *b, *last = NULL;
	struct nbl *n;

	while ((n = nbl_chain_pop(&chain))) {
		b = nbl_bindings_find(bs, n->source_handle);
		if (!b) {
			nbl_release(n);
			continue;
		}
		if (last != b)
			complete(last, lane, nbl_chain_take(&completed));
		last = b;
		end_one(b, lane, n, &completed);
	}
	complete(last, lane, completed);
}

int nbl_bindings_new(struct nbl_lane *lanes, uint32_t n_lanes, struct nbl_bindings **ret_bindings)
{
	struct nbl_bindings *bs = calloc(1, sizeof(*bs));

	if (!bs)
		return -ENOMEM;
	bs->lanes = lanes;
	bs->n_lanes = n_lanes;
	for (uint32_t i = 0; i < NBL_MAX_BINDINGS; i++)
		bs->bindings[i].of = bs;
	for (uint32_t l = 0; l < n_lanes; l++)
		nbl_lane_set_end(&lanes[l], NBL_ORIGIN_BINDING, end, bs);
	refresh(bs);
	*ret_bindings = bs;
	return 0;
}

int nbl_bindings_free(struct nbl_bindings *bs)
{
	if (!bs)
		return 0;
	for (uint32_t i = 0; i < NBL_MAX_BINDINGS; i++)
		if (bs->bindings[i].handle)
			return -EBUSY;
	bs->n_upper_types = 0;
	refresh(bs);
	for (uint32_t l = 0; l < bs->n_lanes; l++)
		nbl_lane_set_end(&bs->lanes[l], NBL_ORIGIN_BINDING, NULL, NULL);
	free(bs);
	return 0;
}

int nbl_bindings_set_upper_types(struct nbl_bindings *bs, const uint16_t *types, uint32_t n_types)
{
	if (n_types > NBL_MAX_BINDING_TYPES)
		return -E2BIG;
	if (n_types)
		memcpy(bs->upper_types, types, n_types * sizeof(*types));
	bs->n_upper_types = n_types;
	refresh(bs);
	return 0;
}

static int check_params(const struct nbl_bindings *bs, const struct nbl_binding_params *params)
{
	if (!params->receive || !params->name || strlen(params->name) >= NBL_BINDING_NAME_MAX)
		return -EINVAL;
	if (params->n_types > NBL_MAX_BINDING_TYPES)
		return -E2BIG;
	for (uint32_t i = 0; i < NBL_MAX_BINDINGS; i++)
		if (bs->bindings[i].handle && !strcmp(bs->bindings[i].name, params->name))
			return -EEXIST;
	return 0;
}

int nbl_binding_open(struct nbl_bindings *bs, const struct nbl_binding_params *params,
		     struct nbl_binding **ret_binding)
{
	size_t size = bs->n_lanes * sizeof(struct nbl_binding_lane);
	struct nbl_binding *b = bs->bindings;
	int r = check_params(bs, params);

	if (r < 0)
		return r;
	while (b < bs->bindings + NBL_MAX_BINDINGS && b->handle)
		b++;
	if (b == bs->bindings + NBL_MAX_BINDINGS)
		return -ENOSPC;
	b->lanes = aligned_alloc(NBL_CACHE_LINE, size);
	if (!b->lanes)
		return -ENOMEM;
	memset(b->lanes, 0, size);
	b->params = *params;
	strcpy(b->name, params->name);
	if (params->n_types)
		memcpy(b->types, params->types, params->n_types * sizeof(b->types[0]));
	b->params.name = b->name;
	b->params.types = b->types;
	b->generation = b->generation % GENERATIONS + 1;
	b->handle = NBL_HANDLE_BINDING | b->generation << NUMBER_BITS |
		(uint32_t)(b - bs->bindings);
	refresh(bs);
	*ret_binding = b;
	return 0;
}

void nbl_binding_get_figures(const struct nbl_binding *b, struct nbl_binding_figures *ret_figures)
{
	struct nbl_binding_figures f = { 0 };

	for (uint32_t l = 0; l < b->of->n_lanes; l++) {
		const struct nbl_binding_lane *bl = &b->lanes[l];

		f.packets += bl->packets;
		f.copied += bl->copied;
		f.no_copy += bl->no_copy;
		f.sent += bl->sent;
		f.looped += bl->looped;
		f.given += bl->given;
		f.sending += bl->sending;
		f.looping += bl->looping;
	}
	*ret_figures = f;
}

int nbl_binding_close(struct nbl_binding *b)
{
	struct nbl_binding_figures out;

	nbl_binding_get_figures(b, &out);
	if (out.given || out.sending || out.looping)
		return -EBUSY;
	free(b->lanes);
	b->lanes = NULL;
	b->handle = 0;
	refresh(b->of);
	return 0;
}

void nbl_bindings_pause(void *bindings)
{
	struct nbl_bindings *bs = bindings;

	atomic_store(&bs->paused, true);
}

void nbl_bindings_restart(void *bindings)
{
	struct nbl_bindings *bs = bindings;

	atomic_store(&bs->paused, false);
}

/* ---- packets ---- */

void nbl_binding_return(struct nbl_binding *b, struct nbl_lane *lane, struct nbl_chain chain)
{
	struct nbl_chain down = NBL_CHAIN_EMPTY;
	struct nbl *n, *next;

	for (n = chain.head; n; n = next) {
		next = n->next;
		if (n->nbl_flags & NBL_FLAG_BORROWED) {
			nbl_violation("RX-04: a binding returned what it was lent", n->holder);
			continue;
		}
		atomic_fetch_sub_explicit(&b->lanes[lane->index].given, 1, memory_order_relaxed);
		/* a copy made for it ends here; what came up the stack goes down it again */
		if (n->source_handle == b->handle && !(n->nbl_flags & NBL_FLAG_LOOPBACK)) {
			nbl_release(n);
			continue;
		}
		if (n->outcome == NBL_OUTCOME_RETURNED)
			n->outcome = NBL_OUTCOME_CONSUMED;
		nbl_chain_append(&down, n);
	}
	if (!nbl_chain_is_empty(&down))
		lane->return_first.handle(lane->return_first.to, down, 0, 0);
}

/* What is wrong with sending 'n', or NULL. */
static const char *check_send(const struct nbl_binding *b, const struct nbl *n)
{
	if (n->kind == NBL_KIND_RECEIVE || n->nbl_flags & NBL_FLAG_LOOPBACK)
		return "SH-04: a binding sent a packet it received";
	if (n->source_handle && n->source_handle != b->handle)
		return "SH-04: a binding sent an NBL of somebody else";
	if (n->nbl_flags & NBL_FLAG_BINDING_SENDS)
		return "BUG-07: a binding sent what is out already";
	return NULL;
}

static int refuse(struct nbl_chain *chain, enum nbl_status status, int result)
{
	for (struct nbl *n = chain->head; n; n = n->next) {
		/* one that is out already is not the sender's to be told of */
		if (!(n->nbl_flags & NBL_FLAG_BINDING_SENDS))
			n->status = status;
	}
	return result;
}

int nbl_binding_send(struct nbl_binding *b, struct nbl_chain chain, uint32_t flags)
{
	struct nbl_bindings *bs = b->of;
	const char *wrong;
	struct nbl *n;

	if (!b->params.send_complete)
		return refuse(&chain, NBL_STATUS_FAILURE, -EOPNOTSUPP);
	for (n = chain.head; n; n = n->next) {
		wrong = check_send(b, n);
		if (wrong) {
			nbl_violation(wrong, n->holder);
			return refuse(&chain, NBL_STATUS_FAILURE, -EPERM);
		}
	}
	if (atomic_load_explicit(&bs->paused, memory_order_acquire))
		return refuse(&chain, NBL_STATUS_PAUSED, -ESHUTDOWN);
	while ((n = nbl_chain_pop(&chain))) {
		uint32_t l = nbl_lane_for(bs->lanes, bs->n_lanes, n);

		n->source_handle = b->handle;
		if (!n->frame_type_be)
			nbl_parse(n);
		n->nbl_flags |= NBL_FLAG_BINDING_SENDS;
		if (flags & NBL_SEND_CHECK_FOR_LOOPBACK)
			n->nbl_flags |= NBL_FLAG_CHECK_FOR_LOOPBACK;
		atomic_fetch_add_explicit(&b->lanes[l].sent, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&b->lanes[l].sending, 1, memory_order_relaxed);
		nbl_lane_enter_nbl(&bs->lanes[l], NBL_ENTRY_SEND, n);
	}
	return 0;
}

void nbl_binding_cancel(struct nbl_binding *b, struct nbl_lane *lane, uint64_t cancel_id)
{
	struct nbl_lane *before = nbl_lane_enter(lane);

	(void)b;	/* ids of different senders never meet (CN-01) */
	/* what is on its way to the modules is cancelled there */
	nbl_lane_run_entered(lane);
	nbl_lane_cancel_sends(lane, &lane->edge.f, cancel_id);
	nbl_lane_hand_back(lane);
	nbl_lane_publish_tx(lane);
	nbl_lane_enter(before);
}
