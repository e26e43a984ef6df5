/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_moment.c - the moments between the lane's functions: the kernel acts, or the worker dies. */
#include "sim/sim_world.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct sim_world *world;

void sim_moments_init(struct sim_world *w)
{
	world = w;
}

__attribute__((noreturn)) void sim_broke(struct sim_world *w, int invariant, const char *what)
{
	w->progress->seed = w->seed;
	w->progress->action = w->action;
	w->progress->invariant = invariant;
	snprintf(w->progress->what, sizeof(w->progress->what), "%s", what);
	fflush(stdout);
	_exit(SIM_BROKEN);
}

void sim_note(struct sim_world *w, const char *who, const char *what, uint32_t number)
{
	w->action++;
	w->progress->action = w->action;
	w->history = sim_digest(what, (uint32_t)strlen(what), w->history ^ number);
	if (w->options.history)
		printf("%llu\t%s\t%s\t%u\n", (unsigned long long)w->action, who, what, number);
}

void __cyg_profile_func_enter(void *function, void *site);
void __cyg_profile_func_exit(void *function, void *site);

void sim_next_moment(struct sim_world *w)
{
	w->fuse = 1 + sim_below(&w->random, 400);
}

static void moment(struct sim_world *w)
{
	w->in_lane = false;
	sim_next_moment(w);
	sim_note(w, "kernel", "step", 0);
	w->kernel.is_within = true;
	sim_kernel_step(&w->kernel);
	w->kernel.is_within = false;
	if (w->calm && sim_once_in(&w->random, w->calm))
		longjmp(w->death, 1);
	w->in_lane = true;
}

void __cyg_profile_func_enter(void *function, void *site)
{
	(void)function;
	(void)site;
	if (world->in_lane && !--world->fuse)
		moment(world);
}

void __cyg_profile_func_exit(void *function, void *site)
{
	(void)function;
	(void)site;
}

/* Who pauses a stack waits a moment when nothing moves: here that is the kernel's. */
int nanosleep(const struct timespec *time, struct timespec *left)
{
	bool in_lane = world->in_lane;

	(void)time;
	(void)left;
	world->in_lane = false;
	sim_note(world, "control", "waits", 0);
	sim_kernel_drain(&world->kernel);
	world->in_lane = in_lane;
	return 0;
}

uint64_t sim_clock_ns(void)
{
	return world->now_ns;
}
