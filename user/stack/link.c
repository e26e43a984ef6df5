/* SPDX-License-Identifier: BSD-2-Clause */
/* link.c - what stands between one module's call and the next one's handler, and at the edges. */
#include "stack/stack.h"

static struct nbl_lane_filter *engine_part(struct nbl_filter *f)
{
	return (struct nbl_lane_filter *)(void *)((uint8_t *)f -
						  offsetof(struct nbl_lane_filter, f));
}

/* ---- hops: what stands between one module's call and the next one's handler ---- */

/* True once somebody has decided that 'n' is dropped: its holder is where, and stays so. */
static bool is_dropped(const struct nbl *n)
{
	return n->outcome != NBL_OUTCOME_RETURNED && nbl_outcome_is_drop((enum nbl_outcome)n->outcome);
}

/* Counts the chain in; a module that may keep packets is noted as their holder. */
static void enter(struct nbl_filter *to, const struct nbl_chain *chain)
{
	engine_part(to)->depth++;
	to->packets += chain->n_nbls;
	to->held += chain->n_nbls;
	if (to->module->flags & NBL_MODULE_HOLDS)
		for (struct nbl *n = chain->head; n; n = n->next)
			if (!is_dropped(n))
				n->holder = to->id;
}

/*
 * A module that did not say it holds must have passed all on when the outermost
 * of its handlers ends; and none passes on more than it got. Each time it is
 * more than before counts.
 */
static void leave(struct nbl_filter *to)
{
	struct nbl_lane_filter *lf = engine_part(to);
	bool may_hold = to->module->flags & NBL_MODULE_HOLDS;
	int64_t wrong = to->held < 0 ? -to->held : may_hold ? 0 : to->held;

	if (--lf->depth || NBL_LIKELY(wrong == lf->complained))
		return;
	if (wrong > lf->complained)
		lf->lane->figures.modules[to->id].faults++;
	lf->complained = wrong;
}

static void hop_receive(struct nbl_filter *to, struct nbl_chain chain, uint32_t port,
			uint32_t flags)
{
	enter(to, &chain);
	to->module->receive(to, chain, port, flags);
	if (NBL_UNLIKELY(flags & NBL_RECEIVE_RESOURCES))
		to->held -= chain.n_nbls;	/* it is not the module's any more (RX-04) */
	leave(to);
}

static void hop_receive_return(struct nbl_filter *to, struct nbl_chain chain, uint32_t port,
			       uint32_t flags)
{
	(void)port;
	enter(to, &chain);
	to->module->receive_return(to, chain, flags);
	leave(to);
}

static void hop_send(struct nbl_filter *to, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	enter(to, &chain);
	to->module->send(to, chain, port, flags);
	leave(to);
}

static void hop_send_complete(struct nbl_filter *to, struct nbl_chain chain, uint32_t port,
			      uint32_t flags)
{
	(void)port;
	enter(to, &chain);
	to->module->send_complete(to, chain, flags);
	leave(to);
}

/* The edges: 'from' is who passed the chain here. */

static void edge_upper(struct nbl_filter *from, struct nbl_chain chain, uint32_t port,
		       uint32_t flags)
{
	(void)port;
	(void)flags;
	nbl_lane_transmit(engine_part(from)->lane, chain, NBL_UPPER);
}

static void edge_lower(struct nbl_filter *from, struct nbl_chain chain, uint32_t port,
		       uint32_t flags)
{
	(void)port;
	(void)flags;
	nbl_lane_transmit(engine_part(from)->lane, chain, NBL_LOWER);
}

static void edge_home(struct nbl_filter *from, struct nbl_chain chain, uint32_t port,
		      uint32_t flags)
{
	(void)port;
	(void)flags;
	nbl_lane_bring_home(engine_part(from)->lane, chain, from->id);
}

/* ---- linking ---- */

enum path { PATH_RECEIVE, PATH_RETURN, PATH_SEND, PATH_COMPLETE };

static bool handles(const struct nbl_module *m, enum path path)
{
	switch (path) {
	case PATH_RECEIVE: return m->receive;
	case PATH_RETURN: return m->receive_return;
	case PATH_SEND: return m->send;
	case PATH_COMPLETE: return m->send_complete;
	}
	return false;
}

/* The hop from 'from' along 'path', looking at filters from position 'i' on. */
static struct nbl_hop next_hop(struct nbl_lane *lane, enum path path, int i,
			       struct nbl_filter *from)
{
	static void (*const handlers[])(struct nbl_filter *, struct nbl_chain, uint32_t, uint32_t) = {
		[PATH_RECEIVE] = hop_receive, [PATH_RETURN] = hop_receive_return,
		[PATH_SEND] = hop_send, [PATH_COMPLETE] = hop_send_complete,
	};
	static void (*const edges[])(struct nbl_filter *, struct nbl_chain, uint32_t, uint32_t) = {
		[PATH_RECEIVE] = edge_upper, [PATH_RETURN] = edge_home,
		[PATH_SEND] = edge_lower, [PATH_COMPLETE] = edge_home,
	};
	int step = path == PATH_RECEIVE || path == PATH_COMPLETE ? 1 : -1;

	for (; i >= 0 && i < (int)lane->n_filters; i += step)
		if (handles(lane->filters[i]->f.module, path))
			return (struct nbl_hop){ handlers[path], &lane->filters[i]->f };
	return (struct nbl_hop){ edges[path], from };
}

static void link_lane(struct nbl_lane *lane)
{
	int top = (int)lane->n_filters - 1;
	struct nbl_filter *edge = &lane->edge.f;

	for (int i = 0; i <= top; i++) {
		struct nbl_filter *f = &lane->filters[i]->f;

		f->indicate = next_hop(lane, PATH_RECEIVE, i + 1, f);
		f->give_back = next_hop(lane, PATH_RETURN, i - 1, f);
		f->send = next_hop(lane, PATH_SEND, i - 1, f);
		f->complete = next_hop(lane, PATH_COMPLETE, i + 1, f);
	}
	lane->indicate_first = next_hop(lane, PATH_RECEIVE, 0, edge);
	lane->return_first = next_hop(lane, PATH_RETURN, top, edge);
	lane->send_first = next_hop(lane, PATH_SEND, top, edge);
	lane->complete_first = next_hop(lane, PATH_COMPLETE, 0, edge);
	lane->returns_unseen = lane->return_first.to == edge;
	lane->completes_unseen = lane->complete_first.to == edge;
}

void nbl_stack_link(struct nbl_stack *s)
{
	for (uint32_t l = 0; l < s->n_lanes; l++) {
		struct nbl_lane *lane = &s->lanes[l];

		for (uint32_t i = 0; i < s->n_modules; i++)
			lane->filters[i] = &s->modules[i].filters[l];
		lane->n_filters = s->n_modules;
		link_lane(lane);
	}
}
