/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/stack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- changing ---- */

void nbl_stack_init(struct nbl_stack *s, struct nbl_lane *lanes, uint32_t n_lanes)
{
	*s = (struct nbl_stack){ .lanes = lanes, .n_lanes = n_lanes };
	nbl_stack_link(s);
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
	nbl_stack_link(s);
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
	nbl_stack_link(s);
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
	nbl_stack_link(s);
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
