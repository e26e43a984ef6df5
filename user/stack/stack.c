/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/stack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stack/hops.h"

void nbl_stack_init(struct nbl_stack *s, struct nbl_lane *lanes, uint32_t n_lanes)
{
	*s = (struct nbl_stack){
		.lanes = lanes, .n_lanes = n_lanes, .open = true,
		.pause_timeout_ms = NBL_PAUSE_TIMEOUT_MS, .drain_ms = NBL_DRAIN_MS,
	};
	pthread_mutex_init(&s->mutex, NULL);
	nbl_stack_link(s);
}

int nbl_stack_go(struct nbl_stack *s, struct nbl_stack_module *sm, enum nbl_module_event event)
{
	int r = nbl_module_life_go(&sm->life, event);

	if (r < 0)
		return r;
	for (uint32_t l = 0; sm->filters && l < s->n_lanes; l++)
		sm->filters[l].f.state = (uint8_t)sm->life.state;
	if (sm->filters)
		nbl_limits_set_gates(s, sm);
	return 0;
}

static void free_module(struct nbl_stack *s, struct nbl_stack_module *sm)
{
	nbl_stack_go(s, sm, NBL_MODULE_DETACH);
	if (sm->module->detach)
		sm->module->detach(sm->context);
	nbl_limits_end(sm);
	free(sm->filters);
	free(sm->lane_states);
}

void nbl_stack_done(struct nbl_stack *s)
{
	for (uint32_t i = 0; i < s->n_modules; i++) {
		/* nothing passes any more, whatever is held */
		nbl_module_life_go(&s->modules[i].life, NBL_MODULE_PAUSE);
		nbl_module_life_go(&s->modules[i].life, NBL_MODULE_PAUSE_DONE);
		free_module(s, &s->modules[i]);
	}
	s->n_modules = 0;
	nbl_stack_link(s);
	pthread_mutex_destroy(&s->mutex);
}

int nbl_stack_find(const struct nbl_stack *s, const char *name)
{
	for (uint32_t i = 0; i < s->n_modules; i++)
		if (!strcmp(s->modules[i].module->name, name))
			return (int)i;
	return -ENOENT;
}

/* ---- putting in ---- */

static bool id_is_unused(const struct nbl_stack *s, uint16_t id)
{
	for (uint32_t i = 0; i < s->n_modules; i++)
		if (s->modules[i].id == id)
			return false;
	return id <= NBL_MAX_MODULES;
}

static uint16_t unused_id(const struct nbl_stack *s)
{
	uint16_t id = 1;

	while (!id_is_unused(s, id))
		id++;		/* may_insert() saw that there is one */
	return id;
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

/* Takes the engine's options out of 'options' and attaches with the rest. */
static int settle_and_attach(struct nbl_stack_module *sm, const struct nbl_option *options,
			     uint32_t n_options, char *error, size_t error_size)
{
	struct nbl_option *rest = malloc((n_options + 1) * sizeof(*rest));
	uint32_t n_rest;
	int r;

	if (!rest) {
		snprintf(error, error_size, "out of memory (ENOMEM)");
		return -ENOMEM;
	}
	r = nbl_module_settings_take(&sm->settings, sm->module->name, options, n_options, rest,
				     &n_rest, error, error_size);
	if (!r)
		r = attach(sm, rest, n_rest, error, error_size);
	free(rest);
	return r;
}

/* A lane state starts on a cache line of its own. */
static size_t lane_state_stride(const struct nbl_module *m)
{
	return (m->lane_state_size + NBL_CACHE_LINE - 1) / NBL_CACHE_LINE * NBL_CACHE_LINE;
}

/* Longest packet that all queues of 'side' send, bytes. */
static uint32_t longest(const struct nbl_lane *lane, enum nbl_side side)
{
	uint32_t length = UINT32_MAX;

	for (uint32_t i = 0; i < lane->n_queues; i++)
		if (lane->queues[i].q.side == side && lane->queues[i].q.max_length < length)
			length = lane->queues[i].q.max_length;
	return length;
}

/* What was counted of another module on 'id' is not to be read as that of its successor. */
static void forget_figures(struct nbl_lane *lane, uint16_t id)
{
	struct nbl_lane_figures *f = &lane->figures;

	f->modules[id] = (struct nbl_module_figures){ 0 };
	for (int o = 0; o < NBL_N_OUTCOMES; o++) {
		f->drops[NBL_PLACE_REMOVED][o] += f->drops[id][o];
		f->drops[id][o] = 0;
	}
	lane->drops_changed = 2;
}

static void init_filter(struct nbl_stack *s, const struct nbl_stack_module *sm, uint32_t l,
			void *lane_state)
{
	struct nbl_lane *lane = &s->lanes[l];
	const struct nbl_module *m = sm->module;

	sm->filters[l].lane = lane;
	sm->filters[l].stack = s;
	sm->filters[l].f = (struct nbl_filter){
		.context = sm->context, .module = m, .id = sm->id, .giver = sm->id,
		.lane_state = lane_state, .pool = lane->pool, .now_ns = lane->now_ns,
		.max_length = { longest(lane, NBL_LOWER), longest(lane, NBL_UPPER) },
		.handle = nbl_handle_of_module(sm->id, s->generation), .lane = (uint16_t)l,
		.originates = m->flags & (NBL_MODULE_ORIGINATES_SENDS |
					  NBL_MODULE_ORIGINATES_RECEIVES),
		.engine = &nbl_engine, .state = (uint8_t)sm->life.state,
	};
	forget_figures(lane, sm->id);
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
	return 0;
}

/* Lanes at rest: what they read of a module is made now. */
static void put_in(struct nbl_stack *s, struct nbl_stack_module *sm, uint32_t position)
{
	size_t stride = lane_state_stride(sm->module);

	s->generation++;
	for (uint32_t l = 0; l < s->n_lanes; l++)
		init_filter(s, sm, l, stride ? sm->lane_states + l * stride : NULL);
	nbl_limits_begin(s, sm);
	nbl_limits_set_gates(s, sm);
	memmove(&s->modules[position + 1], &s->modules[position],
		(s->n_modules - position) * sizeof(*sm));
	s->modules[position] = *sm;
	s->n_modules++;
	s->has_newcomer = true;
	nbl_stack_link(s);
}

/* 'sm' as far as Paused, not yet among the others. Nothing is left of it on failure. */
static int prepare(struct nbl_stack *s, struct nbl_stack_module *sm,
		   const struct nbl_option *options, uint32_t n_options, char *error,
		   size_t error_size)
{
	int r;

	nbl_stack_go(s, sm, NBL_MODULE_ATTACH);
	r = settle_and_attach(sm, options, n_options, error, error_size);
	if (r < 0) {
		nbl_stack_go(s, sm, NBL_MODULE_ATTACH_FAILED);
		return r;
	}
	nbl_stack_go(s, sm, NBL_MODULE_ATTACHED);
	if (!sm->id || !id_is_unused(s, sm->id))
		sm->id = unused_id(s);
	r = make_filters(s, sm);
	if (r < 0) {
		snprintf(error, error_size, "out of memory (ENOMEM)");
		free_module(s, sm);
	}
	return r;
}

static int may_insert(const struct nbl_stack *s, const struct nbl_module *module, char *error,
		      size_t error_size)
{
	if (s->n_modules == NBL_MAX_MODULES) {
		snprintf(error, error_size, "the stack is full: %d modules", NBL_MAX_MODULES);
		return -ENOSPC;
	}
	if (nbl_stack_find(s, module->name) >= 0) {
		snprintf(error, error_size, "module %s is in the stack already", module->name);
		return -EEXIST;
	}
	return nbl_module_check(module, error, error_size);
}

static int insert(struct nbl_stack *s, uint16_t id, const struct nbl_module *module,
		  const struct nbl_option *options, uint32_t n_options, uint32_t position,
		  char *error, size_t error_size)
{
	struct nbl_stack_module sm = { .module = module, .id = id,
				       .settings = NBL_MODULE_SETTINGS_DEFAULT };
	const struct nbl_module *failed = NULL;
	int r = may_insert(s, module, error, error_size);

	if (!r)
		r = prepare(s, &sm, options, n_options, error, error_size);
	if (r < 0)
		return r;
	if (!nbl_stack_pause_all(s, s->pause_timeout_ms)) {
		snprintf(error, error_size, "%s", s->why);
		free_module(s, &sm);
		nbl_stack_restart_all(s, NULL);
		return -EBUSY;
	}
	put_in(s, &sm, position);
	r = nbl_stack_restart_all(s, &failed);
	if (!r && nbl_stack_find(s, module->name) >= 0)
		return 0;
	/* of those that failed only the last has its sentence in 'why' */
	if (r < 0 || failed == module)
		snprintf(error, error_size, "%s", s->why);
	else
		snprintf(error, error_size, "module %s did not restart, nor did others: %s",
			 module->name, s->why);
	return -ENODEV;
}

int nbl_stack_insert_as(struct nbl_stack *s, uint16_t id, const struct nbl_module *module,
			const struct nbl_option *options, uint32_t n_options, uint32_t position,
			char *error, size_t error_size)
{
	int r;

	pthread_mutex_lock(&s->mutex);
	r = insert(s, id, module, options, n_options, position, error, error_size);
	pthread_mutex_unlock(&s->mutex);
	return r;
}

int nbl_stack_insert(struct nbl_stack *s, const struct nbl_module *module,
		     const struct nbl_option *options, uint32_t n_options, uint32_t position,
		     char *error, size_t error_size)
{
	return nbl_stack_insert_as(s, 0, module, options, n_options, position, error, error_size);
}

/* ---- taking out ---- */

void nbl_stack_drop(struct nbl_stack *s, uint32_t i)
{
	struct nbl_stack_module sm = s->modules[i];

	s->n_modules--;
	memmove(&s->modules[i], &s->modules[i + 1], (s->n_modules - i) * sizeof(sm));
	nbl_stack_link(s);
	free_module(s, &sm);
}

/* Restarts all; 'why' goes on to say what kept the stack from pausing, whoever does not restart. */
static int restart_unpaused(struct nbl_stack *s)
{
	char why[sizeof(s->why)];
	int r;

	memcpy(why, s->why, sizeof(why));
	r = nbl_stack_restart_all(s, NULL);
	if (r < 0)
		return r;
	memcpy(s->why, why, sizeof(why));
	return -EBUSY;
}

static int take_out(struct nbl_stack *s, uint32_t i, bool others_may_hold)
{
	int r = 0;

	pthread_mutex_lock(&s->mutex);
	if (nbl_stack_pause_all(s, s->pause_timeout_ms) ||
	    (others_may_hold && nbl_stack_is_quiet(s, &s->modules[i]))) {
		nbl_stack_drop(s, i);
		nbl_stack_restart_all(s, NULL);
	} else {
		restart_unpaused(s);
		r = -EBUSY;
	}
	pthread_mutex_unlock(&s->mutex);
	return r;
}

int nbl_stack_remove(struct nbl_stack *s, uint32_t i)
{
	/* that others still hold packets does not matter to one that holds none */
	return take_out(s, i, true);
}

int nbl_stack_remove_at_rest(struct nbl_stack *s, uint32_t i)
{
	return take_out(s, i, false);
}

/* ---- asking ---- */

static int restart(struct nbl_stack *s)
{
	if (nbl_stack_pause_all(s, s->pause_timeout_ms))
		return nbl_stack_restart_all(s, NULL);
	return restart_unpaused(s);
}

int nbl_stack_restart(struct nbl_stack *s)
{
	int r;

	pthread_mutex_lock(&s->mutex);
	r = restart(s);
	pthread_mutex_unlock(&s->mutex);
	return r;
}

int nbl_stack_set_bypass(struct nbl_stack *s, uint32_t i, uint32_t bypass)
{
	int r;

	pthread_mutex_lock(&s->mutex);
	s->modules[i].settings.bypass = bypass;
	r = restart(s);
	pthread_mutex_unlock(&s->mutex);
	return r;
}

/* The keeper says so, or the kernel did when it was last called to send by 'side'. */
static bool is_link_down(const struct nbl_stack *s, enum nbl_side side)
{
	bool down = atomic_load_explicit(&s->lanes[0].memory->link_down[side],
					 memory_order_relaxed);

	for (uint32_t l = 0; l < s->n_lanes; l++)
		for (uint32_t i = 0; i < s->lanes[l].n_queues; i++)
			if (nbl_lane_queue_side(&s->lanes[l].queues[i]) == side)
				down |= __atomic_load_n(&s->lanes[l].queues[i].down,
							__ATOMIC_RELAXED);
	return down;
}

static void indicate_links(struct nbl_stack *s)
{
	for (int side = 0; side < NBL_N_SIDES; side++) {
		bool down = is_link_down(s, (enum nbl_side)side);
		const struct nbl_status_indication si = {
			.event = down ? NBL_EVENT_LINK_DOWN : NBL_EVENT_LINK_UP,
			.side = (uint8_t)side,
		};

		/* whoever is new takes it that links are up */
		if (down == s->link_down[side] && !(down && s->has_newcomer))
			continue;
		s->link_down[side] = down;
		nbl_stack_indicate_status(s, &si);
	}
	s->has_newcomer = false;
}

void nbl_stack_tick(struct nbl_stack *s, uint32_t now_ms)
{
	indicate_links(s);
	if (atomic_exchange(&s->restart_wanted, false))
		nbl_stack_restart(s);
	nbl_stack_check_limits(s, now_ms);
}

/* Brings the lanes to rest for one look, and lets them go on. */
static void rest(struct nbl_stack *s, bool at_rest)
{
	for (uint32_t l = 0; s->lanes_run && l < s->n_lanes; l++) {
		if (at_rest)
			nbl_lane_park(&s->lanes[l]);
		else
			nbl_lane_unpark(&s->lanes[l]);
	}
}

void nbl_stack_indicate_status(struct nbl_stack *s, const struct nbl_status_indication *si)
{
	pthread_mutex_lock(&s->mutex);
	rest(s, true);
	for (uint32_t l = 0; l < s->n_lanes; l++) {
		struct nbl_lane *before = nbl_lane_enter(&s->lanes[l]);

		nbl_lane_pass_status(&s->lanes[l], NULL, si);
		nbl_lane_enter(before);
	}
	rest(s, false);
	pthread_mutex_unlock(&s->mutex);
}

int nbl_stack_request(struct nbl_stack *s, struct nbl_request *r)
{
	int result;

	pthread_mutex_lock(&s->mutex);
	rest(s, true);
	result = nbl_lane_pass_request(&s->lanes[0], s, NULL, r);
	rest(s, false);
	pthread_mutex_unlock(&s->mutex);
	return result;
}
