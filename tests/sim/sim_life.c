/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_life.c - the lives of a worker: it adopts what another left, works, and dies. */
#include "sim/sim_world.h"

#include "core/holding_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sim_insert(struct sim_world *w, uint32_t which, uint32_t position)
{
	char error[128] = "", seed[32];
	const struct nbl_option options[] = { { "seed", seed }, { "max-share", "100" } };

	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)(w->seed * 64 + w->lives));
	if (nbl_stack_insert(&w->stack, &chaos_modules[which], options, 1 + w->no_limits, position,
			     error, sizeof(error)) < 0)
		sim_broke(w, 8, error);
	model_module_came(&w->model, w->stack.modules[position].id);
}

/* A worker before it adopts. */
static void prepare(struct sim_world *w, enum nbl_takeover takeover)
{
	struct nbl_queue queues[SIM_MAX_QUEUES];

	memset(w->nbls, 0, nbl_memory_n_frames(&w->memory->shape) * sizeof(*w->nbls));
	for (uint32_t i = 0; i < w->n_queues; i++)
		sim_kernel_adopt(&w->kernel, i, i < w->n_lower ? NBL_LOWER : NBL_UPPER, &queues[i]);
	SIM_MUST(!nbl_lane_init(&w->lane, 0, w->memory, w->nbls, queues, w->n_queues, w->n_lower,
			    &w->turns));
	w->lane.clock_ns = sim_clock_ns;
	nbl_stack_init(&w->stack, &w->lane, 1);
	/* what it waits for comes: what does not is found by the seed's own time limit */
	w->stack.pause_timeout_ms = w->stack.drain_ms = w->options.lies ? 2000 : UINT32_MAX;
	nbl_lane_set_end(&w->lane, NBL_ORIGIN_WFP, sim_on_end, w);
	if (w->pool && takeover == NBL_TAKEOVER_FRESH && !nbl_pool_free(w->pool))
		w->pool = NULL;
	SIM_MUST(!nbl_lanes_make_pool(&w->lane, 1, w->memory, takeover, &w->pool));
	nbl_set_default_pools(w->pool, w->pool);
	chaos_pool = w->pool;
	w->model.pool = w->pool;
	w->violations_before = nbl_violations();
	for (uint32_t i = 0; i < w->n_modules; i++)
		sim_insert(w, w->order[i], i);
	for (uint16_t i = 0; i <= NBL_MAX_MODULES; i++)
		nbl_holding_get(i, &w->holdings[i]);
}

/*
 * Accounts die with their process. References cannot be told from
 * here: each life counts from what it finds.
 */
static void clear_accounts(void)
{
	for (uint16_t id = 0; id <= NBL_MAX_MODULES; id++) {
		struct nbl_holding h;

		nbl_holding_get(id, &h);
		while (h.clones--)
			nbl_holding_uncharge(id, NBL_TIER_HELD);
		while (h.deep_clones--)
			nbl_holding_uncharge(id, NBL_TIER_PINNED);
		while (h.fresh--)
			nbl_holding_uncharge(id, NBL_TIER_PRIVATE);
	}
}

void sim_end_life(struct sim_world *w)
{
	nbl_lane_enter(NULL);
	nbl_holder_enter(NBL_HOLDER_OF_NBL);
	/* it may have died of a change, with the mutex taken */
	pthread_mutex_trylock(&w->stack.mutex);
	pthread_mutex_unlock(&w->stack.mutex);
	nbl_stack_done(&w->stack);
	nbl_lane_done(&w->lane);
	nbl_set_default_pools(NULL, NULL);
	if (w->pool)
		nbl_pool_free(w->pool);
	w->pool = NULL;
	clear_accounts();
}

bool sim_survives(struct sim_world *w, void (*work)(struct sim_world *w))
{
	if (setjmp(w->death)) {
		w->in_lane = false;
		return false;
	}
	nbl_lane_enter(&w->lane);
	w->in_lane = true;
	work(w);
	w->in_lane = false;
	nbl_lane_enter(NULL);
	return true;
}

static void adopt_replay(struct sim_world *w)
{
	nbl_lane_adopt(&w->lane, NBL_TAKEOVER_REPLAY);
}

static void adopt_drop(struct sim_world *w)
{
	nbl_lane_adopt(&w->lane, NBL_TAKEOVER_DROP);
}

static void adopt_fresh(struct sim_world *w)
{
	nbl_lane_adopt(&w->lane, NBL_TAKEOVER_FRESH);
}

void sim_succeed(struct sim_world *w)
{
	bool replays, lives;

	do {
		replays = sim_once_in(&w->random, 2);
		sim_kernel_look(&w->kernel);
		sim_note(w, "worker", "dies", w->lives++);
		w->progress->n_deaths++;
		sim_end_life(w);
		model_clear(&w->model);
		prepare(w, replays ? NBL_TAKEOVER_REPLAY : NBL_TAKEOVER_DROP);
		w->model.is_replaying = true;
		lives = sim_survives(w, replays ? adopt_replay : adopt_drop);
		w->model.is_replaying = false;
	} while (!lives);
	sim_check_all(w);
}

/* Nobody dies of the first adoption. */
void sim_begin_life(struct sim_world *w)
{
	uint32_t calm = w->calm;

	w->calm = 0;
	prepare(w, NBL_TAKEOVER_FRESH);
	sim_survives(w, adopt_fresh);
	w->calm = calm;
}
