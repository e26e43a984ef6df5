/* SPDX-License-Identifier: BSD-2-Clause */
/* chaos_module.c - the handlers: what comes in, what is decided, what goes out. */
#include "sim/chaos_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct chaos_watch *chaos_watch;
struct nbl_pool *chaos_pool;

/* The seed of an adapter's modules in a worker; the simulator gives each life another. */
struct context {
	uint64_t seed;
};

static struct chaos *chaos_of(struct nbl_filter *f)
{
	struct chaos *c = f->lane_state;
	const struct context *context = f->context;

	if (NBL_UNLIKELY(!c->is_set_up)) {
		c->is_set_up = true;
		c->f = f;
		c->random = sim_random(context->seed + f->id * 1000003u + f->lane);
		c->most_held = sim_below(&c->random, CHAOS_MAX_HELD) + 1;
		c->boldness = 10 + sim_below(&c->random, 80);
	}
	if (!f->wake_ns)
		f->wake_ns = f->now_ns + 1 + sim_below(&c->random, 1000000);
	return c;
}

void chaos_broke(const struct chaos *c, int invariant, const char *what)
{
	if (chaos_watch)
		chaos_watch->broke(c->f, invariant, what);
	else
		nbl_violation(what, c->f->id);
}

/* ---- passing on ---- */

/* The way back from 'path', for what goes no further. */
static enum chaos_path way_back(enum chaos_path path)
{
	return path == CHAOS_RECEIVE ? CHAOS_RETURN : path == CHAOS_SEND ? CHAOS_COMPLETE : path;
}

static bool is_forward(enum chaos_path path)
{
	return path == CHAOS_RECEIVE || path == CHAOS_SEND;
}

static void pass(struct chaos *c, struct nbl_chain chain, enum chaos_path path)
{
	struct nbl_filter *f = c->f;

	if (chaos_watch)
		for (struct nbl *n = chain.head; n; n = n->next)
			chaos_watch->leave(f, n, path);
	switch (path) {
	case CHAOS_RECEIVE: nbl_filter_indicate(f, chain, 0, 0); break;
	case CHAOS_RETURN: nbl_filter_return(f, chain); break;
	case CHAOS_SEND: nbl_filter_send(f, chain, 0, 0); break;
	default: nbl_filter_complete(f, chain); break;
	}
}

/* Some of 'chain' first, or all of it: any grouping, any order (RX-10). */
static void pass_in_groups(struct chaos *c, struct nbl_chain chain, enum chaos_path path)
{
	while (chain.n_nbls > 1 && sim_once_in(&c->random, 4)) {
		uint32_t n = 1 + sim_below(&c->random, chain.n_nbls - 1);
		struct nbl_chain some = NBL_CHAIN_EMPTY;

		while (n--)
			nbl_chain_append(&some, nbl_chain_pop(&chain));
		pass(c, some, path);
	}
	if (chain.head)
		pass(c, chain, path);
}

void chaos_flush(struct chaos *c, struct chaos_out *out)
{
	uint32_t first = sim_below(&c->random, CHAOS_N_PATHS);

	for (uint32_t i = 0; i < CHAOS_N_PATHS; i++) {
		enum chaos_path path = (enum chaos_path)((first + i) % CHAOS_N_PATHS);

		if (out->chains[path].head)
			pass_in_groups(c, nbl_chain_take(&out->chains[path]), path);
	}
}

static void put_out(struct chaos *c, struct nbl *n, enum chaos_path path, struct chaos_out *out)
{
	struct nbl_chain *chain = &out->chains[path];

	if (is_forward(path))
		chaos_mark(c, n);
	/* at the front now and then: only the links between NBLs are ours */
	if (chain->head && sim_once_in(&c->random, 8)) {
		n->next = chain->head;
		chain->head = n;
		chain->n_nbls++;
		return;
	}
	nbl_chain_append(chain, n);
}

void chaos_let_go(struct chaos *c, uint32_t i, struct chaos_out *out)
{
	struct chaos_held h = c->held[i];
	bool turns_back = is_forward(h.path) && sim_once_in(&c->random, 4);

	c->held[i] = c->held[--c->n_held];
	chaos_act(c, turns_back ? CHAOS_DROP : CHAOS_LET_GO, h.n);
	if (!chaos_span_is_same(&h.span))
		chaos_broke(c, 9, "INV-9: bytes changed under their owner");
	put_out(c, h.n, turns_back ? way_back(h.path) : h.path, out);
}

/* ---- deciding ---- */

static bool may_hold(const struct chaos *c)
{
	return c->n_held < c->most_held && !c->is_pausing;
}

/* What becomes of one NBL that came by 'path' and is owned now. */
static void decide(struct chaos *c, struct nbl *n, enum chaos_path path, struct chaos_out *out)
{
	if (!c->is_pausing && sim_percent(&c->random, c->boldness))
		for (uint32_t i = sim_below(&c->random, 3); i; i--)
			chaos_work_on(c, n, is_forward(path));
	if (may_hold(c) && sim_once_in(&c->random, 6)) {
		chaos_act(c, CHAOS_HOLD, n);
		c->held[c->n_held++] = (struct chaos_held){
			.n = n, .path = path, .span = chaos_span(n) };
		return;
	}
	if (is_forward(path) && sim_once_in(&c->random, 12)) {
		chaos_act(c, CHAOS_DROP, n);
		put_out(c, n, way_back(path), out);
		return;
	}
	chaos_act(c, CHAOS_PASS, n);
	put_out(c, n, path, out);
}

void chaos_check_pause(struct chaos *c)
{
	struct chaos_stock stock;

	if (!c->is_pause_pending)
		return;
	chaos_get_stock(c->f, &stock);
	if (stock.out || stock.held || stock.own)
		return;
	c->is_pause_pending = false;
	nbl_filter_pause_complete(c->f);
}

static void handle(struct nbl_filter *f, struct nbl_chain chain, enum chaos_path path)
{
	struct chaos *c = chaos_of(f);
	struct chaos_out out = { 0 };
	struct nbl *n;

	if (f->engine)
		c->is_pausing = f->state != NBL_MODULE_RUNNING;
	while ((n = nbl_chain_pop(&chain))) {
		if (chaos_watch)
			chaos_watch->enter(f, n, path);
		if (!is_forward(path) && chaos_take_back(c, n))
			continue;
		if (!is_forward(path))
			chaos_undo(c, n);
		decide(c, n, path, &out);
	}
	chaos_flush(c, &out);
	chaos_check_pause(c);
}

/* ---- borrowed chains ---- */

#define MOST_BORROWED 64

/* Indicates the run nodes[first..end) and takes it back. */
static void lend(struct chaos *c, struct nbl **nodes, uint32_t first, uint32_t end, uint32_t port,
		 uint32_t flags)
{
	struct nbl_chain run = NBL_CHAIN_EMPTY;
	const struct nbl *n;
	uint32_t i = first;

	for (; i < end; i++) {
		nbl_chain_append(&run, nodes[i]);
		if (chaos_watch)
			chaos_watch->leave(c->f, nodes[i], CHAOS_RECEIVE);
	}
	n = run.head;
	nbl_filter_indicate(c->f, run, port, flags);
	for (i = first; i < end && n == nodes[i]; i++)
		n = n->next;
	if (i < end || n)
		chaos_broke(c, 6, "INV-6: a borrowed chain is not back as it was (RX-05)");
	for (i = first; i < end; i++)
		if (chaos_watch)
			chaos_watch->enter(c->f, nodes[i], CHAOS_LENT);
}

/* Passes any runs of a borrowed chain up, copies some, keeps none, and relinks it as it was. */
static void borrow(struct chaos *c, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	struct nbl *nodes[MOST_BORROWED];
	uint32_t n = 0, drops = sim_once_in(&c->random, 2) ? 0 : 1 + sim_below(&c->random, 8);

	for (struct nbl *at = chain.head; at && n < MOST_BORROWED; at = at->next)
		nodes[n++] = at;
	for (uint32_t i = 0; i < n; i++) {
		chaos_act(c, CHAOS_BORROW, nodes[i]);
		if (chaos_watch)
			chaos_watch->enter(c->f, nodes[i], CHAOS_RECEIVE);
		if (!c->is_pausing && sim_once_in(&c->random, 8))
			chaos_copy(c, nodes[i]);
	}
	for (uint32_t first = 0, i = 0; i < n; i++) {
		bool ends = drops && sim_once_in(&c->random, drops);

		if (!ends && i + 1 < n)
			continue;
		if (i + !ends > first)
			lend(c, nodes, first, i + !ends, port, flags);
		first = i + 1;
	}
	for (uint32_t i = 0; i < n; i++) {
		nodes[i]->next = i + 1 < n ? nodes[i + 1] : NULL;
		if (chaos_watch)
			chaos_watch->leave(c->f, nodes[i], CHAOS_LENT);
	}
}

/* ---- handlers ---- */

static void chaos_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			  uint32_t flags)
{
	if (flags & NBL_RECEIVE_RESOURCES && chain.n_nbls <= MOST_BORROWED)
		borrow(chaos_of(f), chain, port, flags);
	else
		handle(f, chain, CHAOS_RECEIVE);
}

static void chaos_return(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)flags;
	handle(f, chain, CHAOS_RETURN);
}

static void chaos_send(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	(void)port;
	(void)flags;
	handle(f, chain, CHAOS_SEND);
}

static void chaos_complete(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)flags;
	handle(f, chain, CHAOS_COMPLETE);
}

static uint64_t chaos_timer(struct nbl_filter *f, uint64_t now_ns)
{
	struct chaos *c = chaos_of(f);
	struct chaos_out out = { 0 };

	if (f->engine)
		c->is_pausing = f->state != NBL_MODULE_RUNNING;
	for (uint32_t i = sim_below(&c->random, 6); i && !c->is_pausing; i--)
		chaos_stir(c, &out);
	chaos_flush(c, &out);
	chaos_check_pause(c);
	return now_ns + 1 + sim_below(&c->random, 300000);
}

static int chaos_pause(struct nbl_filter *f)
{
	struct chaos *c = chaos_of(f);
	struct chaos_out out = { 0 };
	struct chaos_stock stock;

	c->is_pausing = true;
	while (c->n_held)
		chaos_let_go(c, sim_below(&c->random, c->n_held), &out);
	chaos_drop_all(c);
	chaos_flush(c, &out);
	chaos_drop_all(c);
	chaos_get_stock(f, &stock);
	c->is_pausing = f->engine != NULL;
	c->is_pause_pending = f->engine && stock.out;
	return c->is_pause_pending ? NBL_PENDING : 0;
}

static void chaos_cancel(struct nbl_filter *f, uint64_t cancel_id)
{
	struct chaos *c = chaos_of(f);
	struct nbl_chain cancelled = NBL_CHAIN_EMPTY;

	for (uint32_t i = c->n_held; i--;) {
		struct nbl *n = c->held[i].n;

		if (c->held[i].path != CHAOS_SEND || n->info[NBL_INFO_CANCEL_ID] != cancel_id)
			continue;
		c->held[i] = c->held[--c->n_held];
		chaos_act(c, CHAOS_CANCEL, n);
		n->status = NBL_STATUS_SEND_ABORTED;
		nbl_chain_append(&cancelled, n);
	}
	if (cancelled.head)
		pass(c, cancelled, CHAOS_COMPLETE);
}

/* ---- attaching ---- */

static int chaos_attach(const struct nbl_option *options, uint32_t n_options, void **ret_context,
			char *error, size_t error_size)
{
	struct context *context = calloc(1, sizeof(*context));

	if (!context)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_options; i++) {
		if (!strcmp(options[i].key, "seed")) {
			context->seed = strtoull(options[i].value, NULL, 0);
			continue;
		}
		snprintf(error, error_size, "chaos: no option '%s'. Try: seed=N", options[i].key);
		free(context);
		return -EINVAL;
	}
	*ret_context = context;
	return 0;
}

#define CHAOS(its_name) { \
	.version = NBL_MODULE_VERSION, \
	.size = sizeof(struct nbl_module), \
	.name = its_name, \
	.help = "does everything a module may do, by chance", \
	.options_help = "seed=N (0)", \
	.flags = NBL_MODULE_HOLDS | NBL_MODULE_QUEUES_SENDS | NBL_MODULE_ORIGINATES_SENDS | \
		 NBL_MODULE_ORIGINATES_RECEIVES | NBL_MODULE_WANTS_TYPES, \
	.lane_state_size = sizeof(struct chaos), \
	.attach = chaos_attach, \
	.detach = free, \
	.receive = chaos_receive, \
	.receive_return = chaos_return, \
	.send = chaos_send, \
	.send_complete = chaos_complete, \
	.cancel_send = chaos_cancel, \
	.timer = chaos_timer, \
	.pause = chaos_pause, \
	.status = nbl_filter_pass_status, \
}

const struct nbl_module chaos_modules[CHAOS_N_MODULES] = {
	CHAOS("chaos-a"), CHAOS("chaos-b"), CHAOS("chaos-c"),
};

void chaos_get_stock(const struct nbl_filter *f, struct chaos_stock *ret_stock)
{
	const struct chaos *c = f->lane_state;

	*ret_stock = (struct chaos_stock){
		.held = c->n_held, .references = c->n_refs, .own = c->n_own };
	for (uint32_t i = 0; i < c->n_own; i++)
		ret_stock->out += c->own[i].is_out;
}
