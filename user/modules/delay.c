/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * delay.c - holds every packet for a time, by reference, then lets it go on.
 *
 * It shows how to hold: take the reference, keep the NBL in a queue of one's
 * own, come back by timer(), drop the reference and pass it on. Order is kept
 * in each direction. Packets beyond its limit are dropped, with their outcome
 * saying so: a module that held without bound would starve the fill ring.
 */
#include "modules/modules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nbl/info.h>

#include "modules/option.h"

#define DEFAULT_MS	10
#define LONGEST_MS	1000
#define DEFAULT_LIMIT	4096

struct delay {
	uint64_t delay_ns;
	uint32_t limit;			/* packets held per lane and direction */
};

struct direction {
	/* oldest first; scratch (ours while we own it, DM-11) is when each came */
	struct nbl_chain held;
};

struct delay_lane {
	struct direction receive, send;
};

static uint64_t came_ns(const struct nbl *n)
{
	return (uint64_t)(uintptr_t)nbl_scratch(n);
}

/* Holds what fits of 'chain'; returns the rest. */
static struct nbl_chain hold(struct nbl_filter *f, struct direction *d, struct nbl_chain chain)
{
	const struct delay *c = f->context;
	struct nbl_chain rest = NBL_CHAIN_EMPTY;
	struct nbl *n;

	while ((n = nbl_chain_pop(&chain))) {
		if (d->held.n_nbls == c->limit) {
			n->outcome = NBL_OUTCOME_MODULE_LIMIT;
			n->status = NBL_STATUS_RESOURCES;
			nbl_chain_append(&rest, n);
			continue;
		}
		nbl_reference(n, false);
		nbl_scratch_set(n, (void *)(uintptr_t)f->now_ns);
		nbl_chain_append(&d->held, n);
	}
	if (d->held.head && !f->wake_ns)
		f->wake_ns = came_ns(d->held.head) + c->delay_ns;
	return rest;
}

/* Takes what came before 'until_ns' out of 'd', dereferenced. */
static struct nbl_chain let_go(struct direction *d, uint64_t until_ns)
{
	struct nbl_chain due = NBL_CHAIN_EMPTY;

	while (d->held.head && came_ns(d->held.head) <= until_ns) {
		struct nbl *n = nbl_chain_pop(&d->held);

		nbl_dereference(n);
		nbl_chain_append(&due, n);
	}
	return due;
}

static void delay_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			  uint32_t flags)
{
	struct delay_lane *l = f->lane_state;
	struct nbl_chain rest;

	if (flags & NBL_RECEIVE_RESOURCES) {	/* borrowed: may not be held (RX-04) */
		nbl_filter_indicate(f, chain, port, flags);
		return;
	}
	rest = hold(f, &l->receive, chain);
	if (rest.head)
		nbl_filter_return(f, rest);
}

static void delay_send(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	struct delay_lane *l = f->lane_state;
	struct nbl_chain rest = hold(f, &l->send, chain);

	(void)port;
	(void)flags;
	if (rest.head)
		nbl_filter_complete(f, rest);
}

static void pass_on(struct nbl_filter *f, uint64_t until_ns)
{
	struct delay_lane *l = f->lane_state;
	struct nbl_chain up = let_go(&l->receive, until_ns);
	struct nbl_chain down = let_go(&l->send, until_ns);

	if (up.head)
		nbl_filter_indicate(f, up, 0, 0);
	if (down.head)
		nbl_filter_send(f, down, 0, 0);
}

static uint64_t next_due(const struct direction *d, uint64_t delay_ns, uint64_t sooner)
{
	uint64_t due = d->held.head ? came_ns(d->held.head) + delay_ns : 0;

	return due && (!sooner || due < sooner) ? due : sooner;
}

static uint64_t delay_timer(struct nbl_filter *f, uint64_t now_ns)
{
	const struct delay *c = f->context;
	const struct delay_lane *l = f->lane_state;

	pass_on(f, now_ns - c->delay_ns);
	return next_due(&l->send, c->delay_ns, next_due(&l->receive, c->delay_ns, 0));
}

static int delay_pause(struct nbl_filter *f)
{
	pass_on(f, UINT64_MAX);
	return 0;
}

/* Takes what carries 'cancel_id' out of 'd', dereferenced. */
static struct nbl_chain take_cancelled(struct direction *d, uint64_t cancel_id)
{
	struct nbl_chain kept = NBL_CHAIN_EMPTY, cancelled = NBL_CHAIN_EMPTY;
	struct nbl *n;

	while ((n = nbl_chain_pop(&d->held))) {
		if (nbl_info_get(n, NBL_INFO_CANCEL_ID) != cancel_id) {
			nbl_chain_append(&kept, n);
			continue;
		}
		nbl_dereference(n);
		n->status = NBL_STATUS_SEND_ABORTED;
		nbl_chain_append(&cancelled, n);
	}
	d->held = kept;
	return cancelled;
}

static void delay_cancel_send(struct nbl_filter *f, uint64_t cancel_id)
{
	struct delay_lane *l = f->lane_state;
	struct nbl_chain cancelled = take_cancelled(&l->send, cancel_id);

	if (cancelled.head)
		nbl_filter_complete(f, cancelled);
}

/* ---- options ---- */

static int delay_attach(const struct nbl_option *options, uint32_t n_options, void **ret_context,
			char *error, size_t error_size)
{
	unsigned long ms = DEFAULT_MS, limit = DEFAULT_LIMIT;
	struct delay *c;
	int r = 0;

	for (uint32_t i = 0; i < n_options && !r; i++) {
		if (!strcmp(options[i].key, "ms")) {
			r = option_number("delay", &options[i], 1, LONGEST_MS, &ms, error,
					  error_size);
		} else if (!strcmp(options[i].key, "limit")) {
			r = option_number("delay", &options[i], 1, UINT32_MAX, &limit, error,
					  error_size);
		} else {
			snprintf(error, error_size, "delay: no option '%s' (EINVAL). Try: ms=N limit=N",
				 options[i].key);
			r = -EINVAL;
		}
	}
	if (r < 0)
		return r;
	c = malloc(sizeof(*c));
	if (!c) {
		snprintf(error, error_size, "delay: out of memory (ENOMEM)");
		return -ENOMEM;
	}
	*c = (struct delay){ .delay_ns = ms * 1000000ull, .limit = (uint32_t)limit };
	*ret_context = c;
	return 0;
}

const struct nbl_module nbl_module_delay = {
	.version = NBL_MODULE_VERSION,
	.size = sizeof(struct nbl_module),
	.name = "delay",
	.help = "holds every packet for a time, then lets it go on",
	.options_help = "ms=1..1000 (10) limit=packets held per lane and direction (4096)",
	.flags = NBL_MODULE_HOLDS | NBL_MODULE_QUEUES_SENDS,
	.lane_state_size = sizeof(struct delay_lane),
	.attach = delay_attach,
	.detach = free,
	.receive = delay_receive,
	.send = delay_send,
	.timer = delay_timer,
	.cancel_send = delay_cancel_send,
	.pause = delay_pause,
	.status = nbl_filter_pass_status,
};
