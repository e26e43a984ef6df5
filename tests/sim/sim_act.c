/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_act.c - what happens in the world: turns, traffic, changes of the stack. */
#include "sim/sim_world.h"

#include <stdio.h>
#include <string.h>

static void turn(struct sim_world *w)
{
	nbl_lane_turn(&w->lane);
}

static void reap(struct sim_world *w)
{
	for (uint32_t i = 0; i < w->n_queues; i++)
		nbl_lane_reap(&w->lane, &w->lane.queues[i]);
}

static void flush(struct sim_world *w)
{
	nbl_stack_flush(&w->stack);
}

static void restart(struct sim_world *w)
{
	if (nbl_stack_restart(&w->stack) < 0)
		sim_broke(w, 8, w->stack.why);
}

static void work(struct sim_world *w, void (*what)(struct sim_world *w))
{
	if (!sim_survives(w, what))
		sim_succeed(w);
	sim_check_turn(w);
}

/* A module's thread releases something: rings are none of its business (INV-7). */
static void elsewhere(struct sim_world *w)
{
	struct nbl_lane_queue before[SIM_MAX_QUEUES];
	uint32_t words[SIM_MAX_QUEUES][4][3];

	if (!w->stack.n_modules)
		return;
	for (uint32_t i = 0; i < w->n_queues; i++) {
		before[i] = w->lane.queues[i];
		memcpy(words[i], w->kernel.queues[i].words, sizeof(words[i]));
	}
	chaos_stir_elsewhere(&w->stack.modules[sim_below(&w->random,
							 w->stack.n_modules)].filters[0].f);
	for (uint32_t i = 0; i < w->n_queues; i++)
		if (memcmp(words[i], w->kernel.queues[i].words, sizeof(words[i])) ||
		    memcmp(&before[i].q, &w->lane.queues[i].q, sizeof(before[i].q)) ||
		    before[i].n_free != w->lane.queues[i].n_free)
			sim_broke(w, 7, "a ring or free list was touched from another thread");
}

/* NBLs that modules injected or originated and have not got back. */
static uint32_t n_out(const struct sim_world *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->stack.n_modules; i++) {
		struct chaos_stock stock;

		chaos_get_stock(&w->stack.modules[i].filters[0].f, &stock);
		n += stock.out;
	}
	return n;
}

/* Packets delivered and not taken. */
static uint32_t n_unread(const struct sim_world *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->n_queues; i++)
		n += nbl_ring_used(&w->kernel.queues[i].rx);
	return n;
}

static void does_not_rest(struct sim_world *w)
{
	const uint64_t *frames = w->lane.figures.frames;
	char text[160];

	snprintf(text, sizeof(text),
		 "it does not come to rest: %llu frames in hand, %llu held, %llu being sent, %u "
		 "NBLs being sent, %u out", (unsigned long long)frames[NBL_FRAME_HAND],
		 (unsigned long long)frames[NBL_FRAME_HELD],
		 (unsigned long long)frames[NBL_FRAME_TX],
		 nbl_lane_n_originated(&w->lane), n_out(w));
	sim_broke(w, 5, text);
}

void sim_settle(struct sim_world *w)
{
	uint32_t tries = 0;
	uint64_t before;

	w->kernel.is_quiet = true;
	do {
		before = w->kernel.counts.sent;
		if (++tries > 2000)
			does_not_rest(w);
		w->now_ns += 1000000;
		sim_kernel_drain(&w->kernel);
		work(w, turn);
		work(w, restart);
	} while (nbl_figures_in_flight(&w->lane.figures) > sim_n_unknown(w) ||
		 before != w->kernel.counts.sent ||
		 nbl_lane_n_originated(&w->lane) || n_out(w) || n_unread(w));
}

static void change_stack(struct sim_world *w)
{
	uint32_t at, which;

	sim_settle(w);
	sim_check_end(w);
	w->kernel.is_quiet = false;
	if (w->n_modules == CHAOS_N_MODULES || (w->n_modules && sim_once_in(&w->random, 2))) {
		uint16_t id;

		at = sim_below(&w->random, w->n_modules);
		id = w->stack.modules[at].id;
		sim_note(w, "stack", "remove", at);
		if (nbl_stack_remove(&w->stack, at) < 0)
			sim_broke(w, 8, "a module that holds nothing is not removed");
		model_module_went(&w->model, id);
		memmove(&w->order[at], &w->order[at + 1],
			(--w->n_modules - at) * sizeof(w->order[0]));
		return;
	}
	for (which = 0; nbl_stack_find(&w->stack, chaos_modules[which].name) >= 0;)
		which++;
	at = sim_below(&w->random, w->n_modules + 1);
	sim_note(w, "stack", "insert", at);
	sim_insert(w, which, at);
	memmove(&w->order[at + 1], &w->order[at], (w->n_modules++ - at) * sizeof(w->order[0]));
	w->order[at] = which;
}

/* The stack changes under load: what is held, sent or out while it pauses comes back. */
static void insert_now(struct sim_world *w)
{
	sim_insert(w, w->changing, w->changing_at);
}

static void remove_now(struct sim_world *w)
{
	if (nbl_stack_remove(&w->stack, w->changing_at) < 0)
		sim_broke(w, 8, w->stack.why);
}

static void change_under_load(struct sim_world *w)
{
	uint32_t at = sim_below(&w->random, w->n_modules + 1);
	uint16_t id;

	if (at < w->n_modules && sim_once_in(&w->random, 2)) {
		id = w->stack.modules[at].id;
		sim_note(w, "stack", "remove under load", at);
		w->changing_at = at;
		if (!sim_survives(w, remove_now)) {
			sim_succeed(w);
			return;
		}
		model_module_went(&w->model, id);
		memmove(&w->order[at], &w->order[at + 1],
			(--w->n_modules - at) * sizeof(w->order[0]));
	} else if (w->n_modules < CHAOS_N_MODULES) {
		for (w->changing = 0;
		     nbl_stack_find(&w->stack, chaos_modules[w->changing].name) >= 0;)
			w->changing++;
		sim_note(w, "stack", "insert under load", at);
		w->changing_at = at;
		if (!sim_survives(w, insert_now)) {
			sim_succeed(w);
			return;
		}
		memmove(&w->order[at + 1], &w->order[at],
			(w->n_modules++ - at) * sizeof(w->order[0]));
		w->order[at] = w->changing;
	} else {
		sim_note(w, "stack", "restart under load", 0);
		work(w, restart);
	}
	sim_check_turn(w);
}

static void tick(struct sim_world *w)
{
	nbl_stack_tick(&w->stack, (uint32_t)(w->now_ns / 1000000));
}

static void tell_status(struct sim_world *w)
{
	const struct nbl_status_indication si = { .event = NBL_EVENT_LINK_UP };

	nbl_stack_indicate_status(&w->stack, &si);
}

void sim_act(struct sim_world *w)
{
	w->now_ns += sim_below(&w->random, 100000);
	switch (sim_below(&w->random, 64)) {
	case 0 ... 27:
		sim_note(w, "lane", "turn", 0);
		work(w, turn);
		break;
	case 28 ... 47:
		sim_note(w, "kernel", "step", 1);
		sim_kernel_step(&w->kernel);
		/* else what is sent meanwhile might make the lie true */
		if (w->kernel.has_lied)
			work(w, reap);
		w->kernel.has_lied = false;
		break;
	case 48 ... 55:
		sim_note(w, "peer", "sends", 0);
		sim_kernel_deliver(&w->kernel, sim_below(&w->random, w->n_queues),
				   1 + sim_below(&w->random, 40));
		break;
	case 56 ... 59:
		sim_note(w, "thread", "releases", 0);
		elsewhere(w);
		break;
	case 60:
		sim_note(w, "time", "jumps", 0);
		w->now_ns += sim_next(&w->random) >> (24 + sim_below(&w->random, 30));
		break;
	case 61:
		sim_note(w, "stack", "flush", 0);
		work(w, flush);
		break;
	case 62:
		if (sim_once_in(&w->random, 8))
			change_stack(w);
		else if (sim_once_in(&w->random, 2))
			change_under_load(w);
		else
			work(w, sim_once_in(&w->random, 2) ? tick : tell_status);
		break;
	default:
		sim_check_all(w);
		break;
	}
}
