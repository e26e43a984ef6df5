/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_world.c - one seed after the other, each a world of its own. */
#include "sim/sim_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES_PER_QUEUE 48
#define N_POOL_FRAMES	40

void sim_world_init(struct sim_world *w, const struct sim_options *options,
		    struct sim_progress *progress)
{
	struct nbl_memory_shape shape = {
		.frame_size = 2048, .frames_per_queue = FRAMES_PER_QUEUE,
		.n_pool_frames = N_POOL_FRAMES, .n_lanes = 1,
		.lane_block_size = NBL_LANE_BLOCK_SIZE,
	};
	uint32_t most = SIM_MAX_QUEUES * FRAMES_PER_QUEUE + N_POOL_FRAMES;

	w->options = *options;
	w->progress = progress;
	for (shape.n_queues = 2; shape.n_queues <= SIM_MAX_QUEUES; shape.n_queues++)
		SIM_MUST(!nbl_memory_create(&shape, &w->memories[shape.n_queues]));
	w->nbls = aligned_alloc(NBL_CACHE_LINE, most * sizeof(*w->nbls));
	w->kernel.places = calloc(most, sizeof(*w->kernel.places));
	w->kernel.sends = calloc(most, sizeof(*w->kernel.sends));
	w->kernel.digests = calloc(most, sizeof(*w->kernel.digests));
	w->kernel.lengths = calloc(most, sizeof(*w->kernel.lengths));
	w->model.of_frames = calloc(most, sizeof(*w->model.of_frames));
	SIM_MUST(w->nbls && w->kernel.places && w->kernel.sends && w->kernel.digests &&
	     w->kernel.lengths && w->model.of_frames);
	w->model.nbls = w->nbls;
	w->model.digests = w->kernel.digests;
	w->model.lengths = w->kernel.lengths;
	w->model.tolerates_lies = options->lies;
	sim_watch_init(w);
	sim_moments_init(w);
}

static void begin(struct sim_world *w, uint64_t seed)
{
	uint32_t n_upper;

	w->seed = seed;
	w->random = sim_random(seed);
	w->action = w->history = w->lives = 0;
	w->n_lower = 1 + sim_below(&w->random, 2);
	n_upper = 1 + sim_below(&w->random, 2);
	w->n_queues = w->n_lower + n_upper;
	w->memory = &w->memories[w->n_queues];
	w->now_ns = 1000000000ull + sim_next(&w->random) % 1000000000000ull;
	w->no_limits = sim_once_in(&w->random, 2);
	w->calm = sim_once_in(&w->random, 2) ? 40 << sim_below(&w->random, 4) : 0;
	memset(w->memory->lane_blocks, 0, NBL_LANE_BLOCK_SIZE);
	w->kernel.memory = w->memory;
	w->kernel.lies = w->options.lies;
	sim_kernel_begin(&w->kernel, seed + 1, w->n_queues);
	w->model.n_frames = w->n_queues * FRAMES_PER_QUEUE;
	model_clear(&w->model);
	w->n_modules = 1 + sim_below(&w->random, CHAOS_N_MODULES);
	for (uint32_t i = 0; i < w->n_modules; i++)
		w->order[i] = i;
	sim_next_moment(w);
}

uint64_t sim_world_run(struct sim_world *w, uint64_t seed)
{
	begin(w, seed);
	sim_begin_life(w);
	while (w->action < w->options.n_actions)
		sim_act(w);
	w->calm = 0;
	sim_settle(w);
	sim_check_end(w);
	w->progress->n_violations += w->lane.figures.violations + nbl_violations() -
		w->violations_before;
	sim_end_life(w);
	w->progress->n_seeds++;
	w->progress->n_actions += w->action;
	w->progress->n_delivered += w->kernel.counts.delivered;
	w->progress->n_sent += w->kernel.counts.sent;
	w->progress->n_lies += w->kernel.counts.lies;
	return w->history;
}
