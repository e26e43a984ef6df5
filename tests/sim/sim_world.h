/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim_world.h - one adapter in one thread: a lane with chaos modules between simulated
 * kernels, the model beside it, and the deaths of its worker.
 *
 * Time is the world's own. The lane is the real one; it is built so that each of its
 * functions, ring operations included, tells when it begins (-finstrument-functions): there the
 * kernel may do something, or the worker die, by longjmp() out of the lane. A
 * successor then adopts what lies in memory and rings.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <nbl/holding.h>

#include "sim/chaos_module.h"
#include "sim/sim_kernel.h"
#include "sim/sim_model.h"
#include "stack/stack.h"

struct sim_options {
	uint32_t n_actions;		/* per seed */
	bool lies, history, verbose;
};

/* What is shared with the process that judges. */
struct sim_progress {
	uint64_t seed, action;		/* where it is */
	int invariant;			/* broken; 0 = none */
	char what[160];
	uint64_t n_actions, n_seeds, n_deaths, n_delivered, n_sent, n_lies, n_violations;
	uint64_t acts[CHAOS_N_ACTIONS];
};

struct sim_world {
	struct sim_options options;
	struct sim_progress *progress;
	uint64_t seed, action, history;
	struct sim_random random;
	struct sim_kernel kernel;
	struct model model;
	struct nbl_memory memories[SIM_MAX_QUEUES + 1];	/* by number of queues */
	struct nbl_memory *memory;
	struct nbl_progress turns;
	/* what dies with the worker */
	struct nbl *nbls;
	struct nbl_lane lane;
	struct nbl_stack stack;
	struct nbl_pool *pool;
	uint64_t violations_before;
	struct nbl_holding holdings[NBL_MAX_MODULES + 1]; /* what the dead left on the accounts */
	uint32_t order[CHAOS_N_MODULES], n_modules; /* in the stack, from the lower port upward */
	uint32_t changing, changing_at;	/* which module goes where */
	uint32_t n_lower, n_queues;
	uint64_t now_ns;
	uint32_t lives;
	bool no_limits;			/* modules may hold all there is */
	bool at_rest;			/* all rings were read */
	/* the moments between */
	volatile bool in_lane;
	uint32_t fuse;
	uint32_t calm;			/* once in so many moments the worker dies; 0 = never */
	jmp_buf death;
};

/* Makes the world's memory (borrows 'progress' and 'options'). Once in a process. */
void sim_world_init(struct sim_world *w, const struct sim_options *options,
		    struct sim_progress *progress);

/*
 * Lives through one seed. Returns a digest of its history. Does not return when an invariant
 * is broken: the process ends with SIM_BROKEN, and 'progress' says what.
 */
uint64_t sim_world_run(struct sim_world *w, uint64_t seed);

#define SIM_BROKEN 3

#define SIM_MUST(condition) do { if (!(condition)) { perror(#condition); abort(); } } while (0)

/* ---- between the files of the world ---- */

/* sim_moment.c. The clock is the world's, for a lane to borrow. */
void sim_moments_init(struct sim_world *w);
void sim_next_moment(struct sim_world *w);
uint64_t sim_clock_ns(void);
/* One more action in the history: 'who' and 'what' are words. */
void sim_note(struct sim_world *w, const char *who, const char *what, uint32_t number);
__attribute__((noreturn)) void sim_broke(struct sim_world *w, int invariant, const char *what);

/* sim_watch.c: modules and kernel tell this world's model. sim_on_end(): what was injected ends. */
void sim_watch_init(struct sim_world *w);
void sim_on_end(void *arg, struct nbl_lane *lane, struct nbl_chain chain);

/* sim_life.c */
void sim_begin_life(struct sim_world *w);
/* As a process that ended: nothing is handed on. Its pool is lost with what is out. */
void sim_end_life(struct sim_world *w);
/* Runs 'work' in the lane. False if the worker died of it: then sim_succeed() has to be called. */
bool sim_survives(struct sim_world *w, void (*work)(struct sim_world *w));
/* The worker is dead: the next one takes over, and may die of that, too. */
void sim_succeed(struct sim_world *w);
/* Puts module 'which' of chaos_modules into the stack. */
void sim_insert(struct sim_world *w, uint32_t which, uint32_t position);

/* sim_act.c */
void sim_act(struct sim_world *w);
/* Everything comes to rest: the kernel is done, nothing is held. */
void sim_settle(struct sim_world *w);

/* sim_checks.c */
void sim_check_turn(struct sim_world *w);
void sim_check_all(struct sim_world *w);
void sim_check_end(struct sim_world *w);

/*
 * Frames that a dead worker sent nobody knows how often: with a completion that lies the kernel
 * never seems to be done with them, and they stay out. 0 if it does not lie.
 */
uint32_t sim_n_unknown(const struct sim_world *w);

#endif
