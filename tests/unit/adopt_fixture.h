/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * adopt_fixture.h - lanes that die and are adopted: the modules they run, which take packets all
 * the ways there are, and how a lane is brought up over what another left.
 */
#ifndef ADOPT_FIXTURE_H
#define ADOPT_FIXTURE_H

#include <sys/prctl.h>

#include "unit/lane_fixture.h"

/* ---- modules ---- */

/* Sees packets on their way back too, so that frames pass through lane->done. */
static void watch_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			  uint32_t flags)
{
	nbl_filter_indicate(f, chain, port, flags);
}

static void watch_return(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)flags;
	nbl_filter_return(f, chain);
}

static void watch_send(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	nbl_filter_send(f, chain, port, flags);
}

static void watch_complete(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)flags;
	nbl_filter_complete(f, chain);
}

static const struct nbl_module watch = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "watch",
	.receive = watch_receive, .receive_return = watch_return,
	.send = watch_send, .send_complete = watch_complete,
	.status = nbl_filter_pass_status,
};

/*
 * Sends by all ways there are: as it is; by a child; by two children on two queues; by a
 * copy. Parents are kept until their children are done.
 */
static struct {
	struct nbl_lane *lane;
	struct nbl_filter *filter;
} forker;

static void send_own(struct nbl *n, enum nbl_side side)
{
	struct nbl_chain own = NBL_CHAIN_EMPTY;

	n->source_handle = nbl_handle_of_module(9, 1);
	nbl_chain_append(&own, n);
	nbl_lane_transmit(forker.lane, own, side);
}

static void fork_one(struct nbl_filter *f, struct nbl *n, uint32_t n_children)
{
	struct nbl *children[2];

	for (uint32_t i = 0; i < n_children; i++)
		RIG_MUST((children[i] = nbl_alloc_clone(n, forker.lane->pool)));
	for (uint32_t i = 0; i < n_children; i++)
		send_own(children[i], i ? NBL_LOWER : NBL_UPPER);
	(void)f;
}

static void send_copy(struct nbl_filter *f, struct nbl *n)
{
	struct nbl_chain original = NBL_CHAIN_EMPTY;
	struct nbl *copy;

	if (nbl_alloc_copy(n, forker.lane->pool, forker.lane->pool, &copy) == 0)
		send_own(copy, NBL_UPPER);
	n->outcome = NBL_OUTCOME_CONSUMED;
	nbl_chain_append(&original, n);
	nbl_filter_return(f, original);
}

static void fork_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			 uint32_t flags)
{
	struct nbl_chain plain = NBL_CHAIN_EMPTY;
	struct rig_packet p;
	struct nbl *n;

	forker.filter = f;
	/* a borrowed one may not be kept, so it has no children */
	if (flags & NBL_RECEIVE_RESOURCES) {
		nbl_filter_indicate(f, chain, port, flags);
		return;
	}
	while ((n = nbl_chain_pop(&chain))) {
		memcpy(&p, nbl_nb_data(&n->nb), sizeof(p));
		if (p.sequence % 4 == 0)
			nbl_chain_append(&plain, n);
		else if (p.sequence % 4 == 3)
			send_copy(f, n);
		else
			fork_one(f, n, p.sequence % 4);
	}
	if (plain.head)
		nbl_filter_indicate(f, plain, port, flags);
}

static void end_own(void *arg, struct nbl_lane *lane, struct nbl_chain chain)
{
	struct nbl *n;

	(void)arg;
	(void)lane;
	while ((n = nbl_chain_pop(&chain))) {
		struct nbl_chain original = NBL_CHAIN_EMPTY;
		struct nbl *parent = n->parent;

		if (!parent) {
			RIG_MUST(!nbl_free(n));
			continue;
		}
		RIG_MUST(!nbl_free_clone(n));
		if (parent->child_ref_count)
			continue;
		parent->outcome = NBL_OUTCOME_CONSUMED;
		nbl_chain_append(&original, parent);
		nbl_filter_return(forker.filter, original);
	}
}

static void set_up_forker(struct rig *r)
{
	forker.lane = &r->lane;
	nbl_lane_set_end(&r->lane, NBL_ORIGIN_MODULE, end_own, NULL);
}

static const struct nbl_module forking = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "forking",
	.flags = NBL_MODULE_HOLDS, .receive = fork_receive,
	.status = nbl_filter_pass_status,
};

static const struct nbl_module *const only_forking[] = { &forking, NULL };
static const struct nbl_module *const forking_and_watch[] = { &forking, &watch, NULL };
static const struct nbl_module *const only_count[] = { &nbl_module_count, NULL };

/* ---- bringing up ---- */

/*
 * With the pool, and whoever ends what modules originate there
 * before the interrupted burst runs again.
 */
static void bring_up(struct rig *r, const struct nbl_module *const *modules,
		     enum nbl_takeover takeover)
{
	rig_prepare(r, modules);
	set_up_forker(r);
	RIG_MUST(!nbl_lanes_make_pool(&r->lane, 1, &r->memory, takeover, &r->pool));
	nbl_lane_adopt(&r->lane, takeover);
}

static bool pool_is_whole(struct rig *r)
{
	struct nbl_pool_counts c;

	nbl_pool_get_counts(r->pool, &c);
	return c.frames_free == c.n_frames && c.nbls_free == c.n_nbls;
}

#endif
