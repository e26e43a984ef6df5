// SPDX-License-Identifier: BSD-2-Clause
/*
 * reasm.c - puts IP fragments together by reference, checks them, and sends the datagram on.
 *
 * It shows how to originate: fragments are referenced and kept; when a datagram is whole,
 * one NBL over all of them is made without a copy and goes on as the module's own; when
 * that comes back, the fragments are dereferenced and given back. What is not a
 * fragment passes untouched, in order.
 */
#include "modules/reasm.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "modules/modules.h"
#include "modules/option.h"

#define DEFAULT_FRAMES		1024
#define DEFAULT_DATAGRAMS	256
#define DEFAULT_TIMEOUT_MS	1000
#define LONGEST_TIMEOUT_MS	60000

static const char *const reason_names[REASM_N_REASONS] = {
	[REASM_FINE] = "fine", [REASM_DUPLICATE] = "duplicate", [REASM_CHECKSUM] = "checksum",
	[REASM_HEADER] = "header", [REASM_LATE] = "late", [REASM_LIMIT] = "limit",
	[REASM_OVERLAP] = "overlap", [REASM_LENGTH] = "length", [REASM_EMPTY] = "empty",
	[REASM_TOO_LONG] = "too-long", [REASM_TINY] = "tiny", [REASM_TOO_MANY] = "too-many",
	[REASM_ECN] = "ecn",
	[REASM_EVICTED] = "evicted", [REASM_TIMEOUT] = "timeout", [REASM_CANCELLED] = "cancelled",
};

const char *reasm_reason_name(enum reasm_reason reason)
{
	return (unsigned int)reason < REASM_N_REASONS ? reason_names[reason] : "?";
}

const struct reasm_figures *reasm_figures_of(const struct nbl_filter *f)
{
	return &reasm_lane_of(f)->figures;
}

/* ---- fragments ---- */

/* Makes room for 'n_frames' frames more. False if there is not so much, or 'd' itself had to go. */
static bool make_room(struct nbl_filter *f, const struct reasm_datagram *d, uint32_t n_frames,
		      struct reasm_batch *batch)
{
	struct reasm_lane *l = reasm_lane_of(f);
	const struct reasm *c = f->context;

	while (l->figures.frames_held + n_frames > c->max_frames)
		if (!reasm_evict(l, c, batch))
			return false;
	return d->state == REASM_COLLECTING;
}

/* Keeps or drops 'n' (takes), which is of 'd'. Returns 'd', taken off, if that makes it whole. */
static struct reasm_datagram *add_to(struct nbl_filter *f, struct reasm_datagram *d, struct nbl *n,
				     const struct reasm_fragment *fragment,
				     struct reasm_batch *batch)
{
	enum reasm_direction direction = reasm_direction_of(d);
	enum reasm_reason reason = fragment->fault;
	struct reasm_lane *l = reasm_lane_of(f);

	if (d->state == REASM_DEAD) {
		reasm_refuse(l, n, direction, REASM_LATE, batch);
		return NULL;
	}
	if (reason == REASM_FINE && !make_room(f, d, reasm_n_frames(n), batch)) {
		if (d->state == REASM_COLLECTING && !d->pieces.head)
			reasm_close(l, f->context, d);
		reasm_refuse(l, n, direction, REASM_LIMIT, batch);
		return NULL;
	}
	if (reason == REASM_FINE)
		reason = reasm_keep(l, d, n, fragment);
	if (reason != REASM_FINE)
		reasm_refuse(l, n, direction, reason, batch);
	if (reason >= REASM_OVERLAP)
		reasm_kill(l, f->context, d, reason, f->now_ns, batch);
	if (reason != REASM_FINE || !reasm_is_complete(d))
		return NULL;
	reasm_take_off(l, f->context, d);
	return d;
}

static struct reasm_datagram *add(struct nbl_filter *f, struct nbl *n,
				  struct reasm_fragment *fragment, enum reasm_direction direction,
				  uint32_t port, struct reasm_batch *batch)
{
	struct reasm_lane *l = reasm_lane_of(f);
	struct reasm_datagram *d;

	l->figures.n_fragments++;
	if (fragment->fault != REASM_FINE && fragment->fault < REASM_OVERLAP) {
		reasm_refuse(l, n, direction, fragment->fault, batch);
		return NULL;
	}
	fragment->key.direction = (uint8_t)direction;
	fragment->key.port = port;
	d = reasm_find(l, f->context, &fragment->key);
	if (!d)
		d = reasm_open(l, f->context, &fragment->key, f->now_ns, batch);
	if (d)
		return add_to(f, d, n, fragment, batch);
	reasm_refuse(l, n, direction, REASM_LIMIT, batch);
	return NULL;
}

/* True if there is a fragment in 'chain' (borrows). */
static bool has_fragment(const struct nbl_chain *chain)
{
	for (const struct nbl *n = chain->head; n; n = n->next)
		if (NBL_UNLIKELY(reasm_is_fragment(n)))
			return true;
	return false;
}

static void pass_some(struct nbl_filter *f, struct nbl_chain *some, enum reasm_direction direction,
		      uint32_t port, uint32_t flags)
{
	if (some->head)
		reasm_pass(f, nbl_chain_take(some), direction, port, flags);
}

/* A datagram leaves behind what came before its last fragment. */
static void take_apart(struct nbl_filter *f, struct nbl_chain chain, enum reasm_direction direction,
		       uint32_t port, uint32_t flags)
{
	struct reasm_batch batch = { { NBL_CHAIN_EMPTY, NBL_CHAIN_EMPTY } };
	const struct reasm *c = f->context;
	struct nbl_chain others = NBL_CHAIN_EMPTY;
	struct reasm_fragment fragment;
	struct reasm_datagram *d;
	struct nbl *n;

	while ((n = nbl_chain_pop(&chain))) {
		if (!reasm_parse(n, c->drops_tiny, &fragment)) {
			nbl_chain_append(&others, n);
			continue;
		}
		d = add(f, n, &fragment, direction, port, &batch);
		if (!d)
			continue;
		pass_some(f, &others, direction, port, flags);
		reasm_go_on(f, d, &batch);
	}
	pass_some(f, &others, direction, port, flags);
	reasm_give_back(f, &batch);
	if (!f->wake_ns)
		f->wake_ns = reasm_next_deadline(reasm_lane_of(f));
}

/* True if fragments may be kept now. */
static bool keeps(const struct nbl_filter *f)
{
	return f->state == NBL_MODULE_RUNNING;
}

/* The engine is short of frames: gives back half of those held here, the oldest first. */
static void shed(struct nbl_filter *f)
{
	struct reasm_batch batch = { { NBL_CHAIN_EMPTY, NBL_CHAIN_EMPTY } };
	struct reasm_lane *l = reasm_lane_of(f);
	uint32_t most = l->figures.frames_held / 2;

	while (l->figures.frames_held > most && reasm_evict(l, f->context, &batch))
		;
	reasm_give_back(f, &batch);
}

static void reasm_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			  uint32_t flags)
{
	/* borrowed: may not be held (RX-04) */
	if (NBL_UNLIKELY(flags & NBL_RECEIVE_RESOURCES)) {
		nbl_filter_indicate(f, chain, port, flags);
		shed(f);
		return;
	}
	if (NBL_LIKELY(!has_fragment(&chain)) || !keeps(f))
		nbl_filter_indicate(f, chain, port, flags);
	else
		take_apart(f, chain, REASM_UP, port, flags);
}

static void reasm_send(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	if (NBL_LIKELY(!has_fragment(&chain)) || !keeps(f))
		nbl_filter_send(f, chain, port, flags);
	else
		take_apart(f, chain, REASM_DOWN, port, flags);
}

/* ---- what comes back ---- */

/*
 * Ends its own in 'chain' (takes), and gives the others back. They come apart (SH-05), but that
 * costs little not to rely on.
 */
static void came_back(struct nbl_filter *f, struct nbl_chain chain, enum reasm_direction direction)
{
	struct reasm_batch batch = { { NBL_CHAIN_EMPTY, NBL_CHAIN_EMPTY } };
	struct reasm_lane *l = reasm_lane_of(f);
	struct nbl *n;

	if (NBL_LIKELY(!l->n_flying))
		nbl_chain_join(&batch.back[direction], &chain);
	while ((n = nbl_chain_pop(&chain))) {
		if (nbl_filter_is_own(f, n))
			reasm_own_ended(f, n, &batch);
		else
			nbl_chain_append(&batch.back[direction], n);
	}
	reasm_give_back(f, &batch);
	if (l->pausing && !l->n_flying) {
		l->pausing = false;
		nbl_filter_pause_complete(f);
	}
}

static void reasm_receive_return(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)flags;
	came_back(f, chain, REASM_UP);
}

static void reasm_send_complete(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)flags;
	came_back(f, chain, REASM_DOWN);
}

static void reasm_cancel_send(struct nbl_filter *f, uint64_t cancel_id)
{
	struct reasm_batch batch = { { NBL_CHAIN_EMPTY, NBL_CHAIN_EMPTY } };
	struct reasm_lane *l = reasm_lane_of(f);
	uint16_t newer;

	for (uint16_t i = l->collecting.oldest; i; i = newer) {
		struct reasm_datagram *d = &l->datagrams[i];

		newer = d->newer;
		if (reasm_direction_of(d) != REASM_DOWN)
			continue;
		reasm_cancel(l, d, cancel_id, &batch);
		if (!d->pieces.head)
			reasm_close(l, f->context, d);
	}
	reasm_give_back(f, &batch);
}

static uint64_t reasm_timer(struct nbl_filter *f, uint64_t now_ns)
{
	struct reasm_batch batch = { { NBL_CHAIN_EMPTY, NBL_CHAIN_EMPTY } };
	uint64_t next = reasm_expire(reasm_lane_of(f), f->context, now_ns, &batch);

	reasm_give_back(f, &batch);
	return next;
}

/* What is not whole goes on as it is, in order; what is whole is on its way and comes back. */
static int reasm_pause(struct nbl_filter *f)
{
	struct reasm_lane *l = reasm_lane_of(f);

	while (l->collecting.oldest) {
		struct reasm_datagram *d = &l->datagrams[l->collecting.oldest];
		enum reasm_direction direction = reasm_direction_of(d);
		struct nbl_chain pieces = reasm_take_pieces(l, d);
		uint32_t port = d->key.port;

		l->figures.n_passed += pieces.n_nbls;
		reasm_close(l, f->context, d);
		reasm_pass(f, pieces, direction, port, 0);
	}
	while (l->dead.oldest)
		reasm_close(l, f->context, &l->datagrams[l->dead.oldest]);
	l->pausing = l->n_flying;
	return l->pausing ? NBL_PENDING : 0;
}

static int reasm_restart(void *context, struct nbl_restart *r, char *error, size_t error_size)
{
	struct reasm *c = context;

	(void)error;
	(void)error_size;
	c->headroom_below = r->headroom_below;
	return 0;
}

/* ---- options ---- */

/* One of two words. */
static int parse_word(const struct nbl_option *o, const char *yes, const char *no, bool *ret_value,
		      char *error, size_t error_size)
{
	if (strcmp(o->value, yes) && strcmp(o->value, no)) {
		snprintf(error, error_size, "reasm: %s must be %s or %s, not '%s'", o->key, yes, no,
			 o->value);
		return -EINVAL;
	}
	*ret_value = !strcmp(o->value, yes);
	return 0;
}

static int parse_option(const struct nbl_option *o, struct reasm *c, char *error, size_t error_size)
{
	unsigned long value = 0;
	int r;

	if (!strcmp(o->key, "max-frames")) {
		r = option_number("reasm", o, 1, REASM_MAX_FRAMES, &value, error, error_size);
		c->max_frames = (uint32_t)value;
	} else if (!strcmp(o->key, "max-datagrams")) {
		r = option_number("reasm", o, 1, REASM_MAX_DATAGRAMS, &value, error, error_size);
		c->max_datagrams = (uint32_t)value;
	} else if (!strcmp(o->key, "timeout")) {
		r = option_number("reasm", o, 1, LONGEST_TIMEOUT_MS, &value, error, error_size);
		c->timeout_ns = value * 1000000ull;
	} else if (!strcmp(o->key, "out")) {
		r = parse_word(o, "whole", "fragments", &c->out_whole, error, error_size);
	} else if (!strcmp(o->key, "tiny")) {
		r = parse_word(o, "drop", "pass", &c->drops_tiny, error, error_size);
	} else {
		snprintf(error, error_size,
			 "reasm: no option '%s' (EINVAL). Try: max-frames=N max-datagrams=N timeout=MS "
			 "out=whole tiny=pass", o->key);
		r = -EINVAL;
	}
	return r;
}

/*
 * A seed nobody outside knows, and without a system call, which may be forbidden here: the
 * random bytes every process is given when it begins, and another for each attach.
 */
static void make_seed(struct reasm *c)
{
	static _Atomic uint64_t n_attached;
	struct reasm_key mix = { .zero = { 0 } };
	uint64_t random[2] = { 0, 0 }, n = ++n_attached;
	unsigned long at = getauxval(AT_RANDOM);

	if (at)
		memcpy(random, (const void *)at, sizeof(random));
	memcpy(mix.destination, &n, sizeof(n));
	c->seed[0] = reasm_hash(&mix, random);
	mix.zero[0] = 1;
	c->seed[1] = reasm_hash(&mix, random);
}

static int reasm_attach(const struct nbl_option *options, uint32_t n_options, void **ret_context,
			char *error, size_t error_size)
{
	struct reasm *c = calloc(1, sizeof(*c));
	int r = 0;

	if (!c) {
		snprintf(error, error_size, "reasm: out of memory (ENOMEM)");
		return -ENOMEM;
	}
	c->timeout_ns = DEFAULT_TIMEOUT_MS * 1000000ull;
	c->max_frames = DEFAULT_FRAMES;
	c->max_datagrams = DEFAULT_DATAGRAMS;
	c->drops_tiny = true;
	make_seed(c);
	for (uint32_t i = 0; i < n_options && !r; i++)
		r = parse_option(&options[i], c, error, error_size);
	if (r < 0) {
		free(c);
		return r;
	}
	*ret_context = c;
	return 0;
}

const struct nbl_module nbl_module_reasm = {
	.version = NBL_MODULE_VERSION,
	.size = sizeof(struct nbl_module),
	.name = "reasm",
	.help = "puts IP fragments together by reference, and drops datagrams whose fragments "
		"overlap",
	.options_help =
		"max-frames=held per lane (1024) max-datagrams=1..1024 (256) timeout=ms (1000) "
			"out=fragments|whole tiny=drop|pass",
	.flags = NBL_MODULE_HOLDS | NBL_MODULE_QUEUES_SENDS | NBL_MODULE_ORIGINATES_SENDS |
		 NBL_MODULE_ORIGINATES_RECEIVES,
	.lane_state_size = sizeof(struct reasm_lane),
	.attach = reasm_attach,
	.restart = reasm_restart,
	.detach = free,
	.receive = reasm_receive,
	.receive_return = reasm_receive_return,
	.send = reasm_send,
	.send_complete = reasm_send_complete,
	.cancel_send = reasm_cancel_send,
	.timer = reasm_timer,
	.pause = reasm_pause,
	.status = nbl_filter_pass_status,
};
