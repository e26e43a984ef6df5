/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/stack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void link_lanes(struct nbl_stack *s)
{
	for (uint32_t l = 0; l < s->n_lanes; l++) {
		struct nbl_lane *lane = &s->lanes[l];

		for (uint32_t i = 0; i < s->n_modules; i++)
			lane->filters[i] = &s->modules[i].filters[l];
		lane->n_filters = s->n_modules;
		link_lane(lane);
	}
}

/* ---- changing ---- */

void nbl_stack_init(struct nbl_stack *s, struct nbl_lane *lanes, uint32_t n_lanes)
{
	*s = (struct nbl_stack){ .lanes = lanes, .n_lanes = n_lanes };
	link_lanes(s);
}

static void free_module(struct nbl_stack_module *sm)
{
	if (sm->module->detach)
		sm->module->detach(sm->context);
	free(sm->filters);
	free(sm->lane_states);
}

void nbl_stack_done(struct nbl_stack *s)
{
	for (uint32_t i = 0; i < s->n_modules; i++)
		free_module(&s->modules[i]);
	s->n_modules = 0;
	link_lanes(s);
}

int nbl_stack_find(const struct nbl_stack *s, const char *name)
{
	for (uint32_t i = 0; i < s->n_modules; i++)
		if (!strcmp(s->modules[i].module->name, name))
			return (int)i;
	return -ENOENT;
}

static uint16_t unused_id(const struct nbl_stack *s)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < s->n_modules; i++)
		used |= 1u << s->modules[i].id;
	for (uint16_t id = 1; id <= NBL_MAX_MODULES; id++)
		if (!(used >> id & 1))
			return id;
	return 0;
}

static int attach(struct nbl_stack_module *sm, const struct nbl_option *options,
		  uint32_t n_options, char *error, size_t error_size)
{
	const struct nbl_module *m = sm->module;

	if (m->attach)
		return m->attach(options, n_options, &sm->context, error, error_size);
	if (!n_options)
		return 0;
	snprintf(error, error_size, "module %s has no option '%s'", m->name, options[0].key);
	return -EINVAL;
}

/* A lane state starts on a cache line of its own. */
static size_t lane_state_stride(const struct nbl_module *m)
{
	return (m->lane_state_size + NBL_CACHE_LINE - 1) / NBL_CACHE_LINE * NBL_CACHE_LINE;
}

static int make_filters(struct nbl_stack *s, struct nbl_stack_module *sm)
{
	size_t stride = lane_state_stride(sm->module);

	sm->filters = calloc(s->n_lanes, sizeof(*sm->filters));
	if (!sm->filters)
		return -ENOMEM;
	if (stride) {
		sm->lane_states = aligned_alloc(NBL_CACHE_LINE, stride * s->n_lanes);
		if (!sm->lane_states)
			return -ENOMEM;
		memset(sm->lane_states, 0, stride * s->n_lanes);
	}
	for (uint32_t l = 0; l < s->n_lanes; l++) {
		sm->filters[l].lane = &s->lanes[l];
		sm->filters[l].f = (struct nbl_filter){
			.context = sm->context, .module = sm->module, .id = sm->id,
			.lane_state = stride ? sm->lane_states + l * stride : NULL,
			.handle = sm->id, .lane = (uint16_t)l,
		};
		s->lanes[l].figures.modules[sm->id] = (struct nbl_module_figures){ 0 };
	}
	return 0;
}

int nbl_stack_insert(struct nbl_stack *s, const struct nbl_module *module,
		     const struct nbl_option *options, uint32_t n_options, uint32_t position,
		     char *error, size_t error_size)
{
	struct nbl_stack_module sm = { .module = module };
	int r;

	if (s->n_modules == NBL_MAX_MODULES) {
		snprintf(error, error_size, "the stack is full: %d modules", NBL_MAX_MODULES);
		return -ENOSPC;
	}
	if (nbl_stack_find(s, module->name) >= 0) {
		snprintf(error, error_size, "module %s is in the stack already", module->name);
		return -EEXIST;
	}
	r = attach(&sm, options, n_options, error, error_size);
	if (r < 0)
		return r;
	sm.id = unused_id(s);
	r = make_filters(s, &sm);
	if (r < 0) {
		snprintf(error, error_size, "out of memory (ENOMEM)");
		free_module(&sm);
		return r;
	}
	memmove(&s->modules[position + 1], &s->modules[position],
		(s->n_modules - position) * sizeof(sm));
	s->modules[position] = sm;
	s->n_modules++;
	link_lanes(s);
	return 0;
}

/* Calls pause() on every lane and sends out what that sets free; returns what is still held. */
static uint64_t pause_module(struct nbl_stack *s, struct nbl_stack_module *sm)
{
	uint64_t held = 0;

	for (uint32_t l = 0; l < s->n_lanes; l++) {
		struct nbl_filter *f = &sm->filters[l].f;
		struct nbl_lane *before = nbl_lane_enter(&s->lanes[l]);

		s->lanes[l].n_burst = 0;
		if (sm->module->pause)
			sm->module->pause(f);
		nbl_lane_publish_tx(&s->lanes[l]);
		nbl_lane_hand_back(&s->lanes[l]);
		nbl_lane_enter(before);
		held += f->held > 0 ? (uint64_t)f->held : 0;
	}
	return held;
}

int nbl_stack_remove(struct nbl_stack *s, uint32_t i)
{
	struct nbl_stack_module sm = s->modules[i];

	if (pause_module(s, &sm))
		return -EBUSY;
	s->n_modules--;
	memmove(&s->modules[i], &s->modules[i + 1], (s->n_modules - i) * sizeof(sm));
	link_lanes(s);
	free_module(&sm);
	return 0;
}

uint64_t nbl_stack_flush(struct nbl_stack *s)
{
	uint64_t held = 0;

	/*
	 * What one module passes on the next may hold too: going up empties the paths
	 * that lead up, going down the others. Twice, for what is refused at an edge
	 * turns back.
	 */
	for (int pass = 0; pass < 4; pass++) {
		held = 0;
		for (uint32_t i = 0; i < s->n_modules; i++)
			held += pause_module(s, &s->modules[pass % 2 ? s->n_modules - 1 - i : i]);
	}
	return held;
}
