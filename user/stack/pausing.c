/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pausing.c - pausing and restarting the whole stack.
 *
 * Down: the bindings, then the modules from the top, then nothing is taken off rings. A
 * module whose pause() was called is Pausing, and so may be handed packets by those below
 * it that pause after it; it is asked again until all are empty. Then all are Paused,
 * what is still being sent comes back, and the lanes rest.
 *
 * Up: the modules from the bottom, then packets enter, then the bindings.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "stack/hops.h"

#define LOOK_AGAIN_NS	500000

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- lanes at rest, and not ---- */

static void park_lanes(struct nbl_stack *s)
{
	for (uint32_t l = 0; s->lanes_run && l < s->n_lanes; l++)
		nbl_lane_park(&s->lanes[l]);
}

static void unpark_lanes(struct nbl_stack *s)
{
	for (uint32_t l = 0; s->lanes_run && l < s->n_lanes; l++) {
		nbl_lane_publish(&s->lanes[l]);
		nbl_lane_unpark(&s->lanes[l]);
	}
}

/*
 * Lets the lanes go on for a moment, or does their turns. Returns false if
 * they had nothing to do, as far as one sees.
 */
static bool let_lanes_run(struct nbl_stack *s)
{
	const struct timespec moment = { .tv_nsec = LOOK_AGAIN_NS };
	bool moved = s->lanes_run;

	unpark_lanes(s);
	if (s->lanes_run) {
		nanosleep(&moment, NULL);
	} else {
		for (uint32_t l = 0; l < s->n_lanes; l++) {
			struct nbl_lane *before = nbl_lane_enter(&s->lanes[l]);

			moved |= nbl_lane_turn(&s->lanes[l]) > 0;
			nbl_lane_enter(before);
		}
		if (!moved)
			nanosleep(&moment, NULL);
	}
	park_lanes(s);
	return moved;
}

/* ---- down ---- */

static void call_pause(struct nbl_lane_filter *lf)
{
	struct nbl_filter *f = &lf->f;
	struct nbl_lane *before = nbl_lane_enter(lf->lane);
	struct nbl_call call = nbl_call_begin(f, false);

	lf->lane->n_burst = 0;
	/* first, for its own thread may be done before pause() returns */
	atomic_store(&lf->pause_pending, true);
	if (!f->module->pause || f->module->pause(f) != NBL_PENDING)
		atomic_store(&lf->pause_pending, false);
	nbl_call_end(f, call);
	nbl_lane_publish_tx(lf->lane);
	nbl_lane_hand_back(lf->lane);
	nbl_lane_enter(before);
}

/* Asks 'sm' on those lanes where it has packets, or on all. */
static void ask_to_pause(struct nbl_stack *s, struct nbl_stack_module *sm, bool on_all)
{
	for (uint32_t l = 0; l < s->n_lanes; l++) {
		struct nbl_lane_filter *lf = &sm->filters[l];

		if (on_all || (lf->f.held > 0 && !atomic_load(&lf->pause_pending)))
			call_pause(lf);
	}
}

bool nbl_stack_is_quiet(const struct nbl_stack *s, const struct nbl_stack_module *sm)
{
	uint64_t counts[NBL_N_OUTSTANDING];

	for (uint32_t l = 0; l < s->n_lanes; l++)
		if (atomic_load(&sm->filters[l].pause_pending))
			return false;
	nbl_limits_get_outstanding(s, sm, counts);
	for (int i = 0; i < NBL_N_OUTSTANDING; i++)
		if (counts[i])
			return false;
	return true;
}

/*
 * What one passes on the next may hold too: each way once, and twice,
 * for what is refused at an edge turns back.
 */
static bool sweep(struct nbl_stack *s)
{
	bool quiet = true;

	for (int pass = 0; pass < 4; pass++)
		for (uint32_t i = 0; i < s->n_modules; i++) {
			struct nbl_stack_module *sm =
				&s->modules[pass % 2 ? i : s->n_modules - 1 - i];

			if (sm->life.state == NBL_MODULE_PAUSING)
				ask_to_pause(s, sm, false);
		}
	for (uint32_t i = 0; i < s->n_modules; i++)
		quiet &= s->modules[i].life.state != NBL_MODULE_PAUSING ||
			 nbl_stack_is_quiet(s, &s->modules[i]);
	return quiet;
}

/* Appends what 'sm' is missing to the sentence of 'length' so far; returns its length. */
static int say_of(struct nbl_stack *s, const struct nbl_stack_module *sm, int length)
{
	int size = (int)sizeof(s->why), n = length;
	uint64_t counts[NBL_N_OUTSTANDING];
	bool pending = false;

	nbl_limits_get_outstanding(s, sm, counts);
	n += snprintf(s->why + n, (size_t)(size - n), "; module %s:", sm->module->name);
	for (int c = 0; c < NBL_N_OUTSTANDING && n < size; c++)
		if (counts[c])
			n += snprintf(s->why + n, (size_t)(size - n), " %llu %s",
				      (unsigned long long)counts[c],
				      nbl_outstanding_name((enum nbl_outstanding)c));
	for (uint32_t l = 0; l < s->n_lanes; l++)
		pending |= atomic_load(&sm->filters[l].pause_pending);
	if (pending && n < size)
		n += snprintf(s->why + n, (size_t)(size - n), " its pause is pending");
	return n < size ? n : size - 1;
}

/* The sentence about those that are not quiet: which packets are missing. Rule: FS-05. */
static void say_what_is_missing(struct nbl_stack *s, uint64_t waited_ms)
{
	int n = snprintf(s->why, sizeof(s->why),
			 "packets are still in modules' hands after %llu ms (EBUSY)",
			 (unsigned long long)waited_ms);

	for (uint32_t i = 0; i < s->n_modules; i++)
		if (!nbl_stack_is_quiet(s, &s->modules[i]))
			n = say_of(s, &s->modules[i], n);
}

static bool is_sending(const struct nbl_stack *s)
{
	for (uint32_t l = 0; l < s->n_lanes; l++) {
		const struct nbl_lane *lane = &s->lanes[l];

		if (lane->figures.frames[NBL_FRAME_TX] ||
		    (lane->sends && nbl_lane_n_originated(lane)) ||
		    lane->done[NBL_LOWER].head || lane->done[NBL_UPPER].head)
			return true;
	}
	return false;
}

/*
 * Handlers that will be others soon should get back what they passed
 * on; a port that is stuck does not keep us.
 */
static void drain(struct nbl_stack *s)
{
	uint64_t until = now_ms() + s->drain_ms;
	int idle = 0;

	/* a moment without any movement may just be the kernel's */
	while (is_sending(s) && idle < 2 && now_ms() < until)
		idle = let_lanes_run(s) ? 0 : idle + 1;
}

bool nbl_stack_pause_all(struct nbl_stack *s, uint32_t timeout_ms)
{
	uint64_t began = now_ms(), waited = 0;
	bool quiet;

	if (s->ends.pause)
		s->ends.pause(s->ends.arg);
	park_lanes(s);
	s->open = false;
	nbl_stack_link(s);
	for (uint32_t i = s->n_modules; i-- > 0;)
		if (!nbl_stack_go(s, &s->modules[i], NBL_MODULE_PAUSE))
			ask_to_pause(s, &s->modules[i], true);
	while (!(quiet = sweep(s)) && (waited = now_ms() - began) < timeout_ms)
		let_lanes_run(s);
	if (!quiet)
		say_what_is_missing(s, waited);
	drain(s);
	for (uint32_t i = s->n_modules; i-- > 0;)
		if (s->modules[i].life.state == NBL_MODULE_PAUSING)
			nbl_stack_go(s, &s->modules[i], NBL_MODULE_PAUSE_DONE);
	return quiet;
}

/* ---- up ---- */

/* What modules below 'sm' may retreat by. Rule: PL-08. */
static uint32_t headroom_below(const struct nbl_stack *s, const struct nbl_stack_module *sm)
{
	uint32_t headroom = 0;

	for (const struct nbl_stack_module *below = s->modules; below != sm; below++)
		headroom += below->headroom;
	return headroom;
}

static int restart_module(struct nbl_stack *s, struct nbl_stack_module *sm)
{
	struct nbl_restart r = { .headroom_below = headroom_below(s, sm) };
	char error[160] = "";
	int result = 0;

	if (nbl_stack_go(s, sm, NBL_MODULE_RESTART) < 0)
		return 0;	/* it runs */
	if (sm->module->restart)
		result = sm->module->restart(sm->context, &r, error, sizeof(error));
	if (result < 0) {
		nbl_stack_go(s, sm, NBL_MODULE_RESTART_FAILED);
		snprintf(s->why, sizeof(s->why), "module %s did not restart (%s)%s%s",
			 sm->module->name, strerrorname_np(-result), error[0] ? ": " : "", error);
		return result;
	}
	sm->bypass = (sm->settings.bypass | r.bypass) & (NBL_MODULE_RECEIVE | NBL_MODULE_SEND);
	sm->headroom = r.headroom;
	return nbl_stack_go(s, sm, NBL_MODULE_RESTARTED);
}

int nbl_stack_restart_all(struct nbl_stack *s, const struct nbl_module **ret_failed)
{
	uint32_t i = 0;
	uint16_t id;

	s->is_down = false;
	while (i < s->n_modules) {
		struct nbl_stack_module *sm = &s->modules[i];

		if (!restart_module(s, sm)) {
			i++;
			continue;
		}
		if (ret_failed)
			*ret_failed = sm->module;
		s->is_down = sm->settings.mandatory;
		if (s->is_down)
			break;
		id = sm->id;
		nbl_stack_drop(s, i);
		nbl_stack_take_back(s, id);	/* it may not have let go when it paused */
	}
	s->open = !s->is_down;
	nbl_stack_link(s);
	unpark_lanes(s);
	if (s->is_down)
		return -ENODEV;
	if (s->ends.restart)
		s->ends.restart(s->ends.arg);
	return 0;
}

/* ---- one module by itself ---- */

/* Sends what others handed on outside of a turn, too. */
static void publish_lanes(struct nbl_stack *s)
{
	for (uint32_t l = 0; l < s->n_lanes; l++) {
		struct nbl_lane *before = nbl_lane_enter(&s->lanes[l]);

		nbl_lane_publish_tx(&s->lanes[l]);
		nbl_lane_hand_back(&s->lanes[l]);
		nbl_lane_enter(before);
	}
}

/* Has 'sm' pass on what it holds, if it holds any. */
static void flush(struct nbl_stack *s, struct nbl_stack_module *sm)
{
	uint64_t counts[NBL_N_OUTSTANDING];

	nbl_limits_get_outstanding(s, sm, counts);
	if (!counts[NBL_QUEUED_RECEIVE] && !counts[NBL_QUEUED_SEND])
		return;
	if (nbl_stack_go(s, sm, NBL_MODULE_PAUSE) < 0)
		return;
	ask_to_pause(s, sm, true);
	nbl_stack_go(s, sm, NBL_MODULE_PAUSE_DONE);
	if (restart_module(s, sm) < 0)
		atomic_store(&s->restart_wanted, true);	/* deals with it */
}

uint64_t nbl_stack_flush(struct nbl_stack *s)
{
	uint64_t held = 0;

	pthread_mutex_lock(&s->mutex);
	for (int pass = 0; pass < 4; pass++)
		for (uint32_t i = 0; i < s->n_modules; i++)
			flush(s, &s->modules[pass % 2 ? s->n_modules - 1 - i : i]);
	publish_lanes(s);
	for (uint32_t i = 0; i < s->n_modules; i++) {
		uint64_t counts[NBL_N_OUTSTANDING];

		nbl_limits_get_outstanding(s, &s->modules[i], counts);
		held += counts[NBL_QUEUED_RECEIVE] + counts[NBL_QUEUED_SEND];
	}
	pthread_mutex_unlock(&s->mutex);
	return held;
}
