/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_world.c - lives, deaths and what happens between them. */
#include "sim/sim_world.h"

#include "core/holding_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FRAMES_PER_QUEUE 48
#define N_POOL_FRAMES	40
#define MUST(condition) do { if (!(condition)) { perror(#condition); abort(); } } while (0)

static struct sim_world *world;

__attribute__((noreturn)) void sim_broke(struct sim_world *w, int invariant, const char *what)
{
	w->progress->seed = w->seed;
	w->progress->action = w->action;
	w->progress->invariant = invariant;
	snprintf(w->progress->what, sizeof(w->progress->what), "%s", what);
	fflush(stdout);
	_exit(SIM_BROKEN);
}

static void note(struct sim_world *w, const char *who, const char *what, uint32_t number)
{
	w->action++;
	w->progress->action = w->action;
	w->history = sim_digest(what, (uint32_t)strlen(what), w->history ^ number);
	if (w->options.history)
		printf("%llu\t%s\t%s\t%u\n", (unsigned long long)w->action, who, what, number);
}

/* ---- the moments ---- */

void __cyg_profile_func_enter(void *function, void *site);
void __cyg_profile_func_exit(void *function, void *site);

static void next_moment(struct sim_world *w)
{
	w->fuse = 1 + sim_below(&w->random, 400);
}

static void moment(struct sim_world *w)
{
	w->in_lane = false;
	next_moment(w);
	note(w, "kernel", "step", 0);
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
	note(world, "control", "waits", 0);
	sim_kernel_drain(&world->kernel);
	world->in_lane = in_lane;
	return 0;
}

static uint64_t clock_ns(void)
{
	return world->now_ns;
}

/* ---- what the modules and the kernel tell ---- */

/* What 'n' is called in the history: its frame, or 10000 and its place in the pool. */
static uint32_t number_of(const struct nbl *n)
{
	return n->kind == NBL_KIND_RECEIVE ? (uint32_t)(n - world->nbls) : 10000 + n->pool_slot;
}

static const char *path_name(enum chaos_path path)
{
	static const char *const names[] = { "receive", "return", "send", "complete", "lent" };

	return names[path];
}

static void on_enter(const struct nbl_filter *f, struct nbl *n, enum chaos_path path)
{
	if (world->options.history)
		printf("\t%s\tis handed by %s, %u + %u\t%u\n", f->module->name, path_name(path),
		       n->first_nb->data_offset, n->first_nb->data_length, number_of(n));
	model_enter(&world->model, f->id, n, path);
}

static void on_leave(const struct nbl_filter *f, struct nbl *n, enum chaos_path path)
{
	if (world->options.history)
		printf("\t%s\thands on by %s, %u + %u\t%u\n", f->module->name, path_name(path),
		       n->first_nb->data_offset, n->first_nb->data_length, number_of(n));
	model_leave(&world->model, f->id, n, path);
}

static void on_reference(const struct nbl_filter *f, struct nbl *n)
{
	(void)f;
	model_reference(&world->model, n);
}

static void on_dereference(const struct nbl_filter *f, struct nbl *n)
{
	(void)f;
	model_dereference(&world->model, n);
}

static void on_derive(const struct nbl_filter *f, struct nbl *n, struct nbl *const *parents,
		      uint32_t n_parents)
{
	if (world->options.history)
		printf("\t%s\tgot kind %d, the first part of it is\t%u\tas\t%u\n", f->module->name,
		       n->kind, n_parents ? number_of(parents[0]) : 0, number_of(n));
	model_derive(&world->model, f->id, n, parents, n_parents);
}

static void on_free(const struct nbl_filter *f, struct nbl *n)
{
	model_free(&world->model, f->id, n);
}

static void on_originate(const struct nbl_filter *f, struct nbl *n, bool went)
{
	model_originate(&world->model, f->id, n, went);
}

static void on_act(const struct nbl_filter *f, enum chaos_action action, const struct nbl *n)
{
	world->progress->acts[action]++;
	note(world, f->module->name, chaos_action_name(action), number_of(n));
}

static void on_broken(const struct nbl_filter *f, int invariant, const char *what)
{
	(void)f;
	sim_broke(world, invariant, what);
}

static void on_inject(const struct nbl_filter *f, struct nbl *n, bool is_send)
{
	n->source_handle = NBL_HANDLE_WFP | f->id;
	model_inject(&world->model, f->id, n, true);
	nbl_lane_enter_nbl(&world->lane, is_send ? NBL_ENTRY_SEND : NBL_ENTRY_RECEIVE, n);
}

static void on_end(void *arg, struct nbl_lane *lane, struct nbl_chain chain)
{
	struct sim_world *w = arg;
	struct nbl *n;

	(void)lane;
	while ((n = nbl_chain_pop(&chain))) {
		uint16_t id = nbl_handle_module_id(n->source_handle);

		model_inject(&w->model, id, n, false);
		for (uint32_t i = 0; i < w->stack.n_modules; i++)
			if (w->stack.modules[i].id == id)
				chaos_inject_ended(&w->stack.modules[i].filters[0].f, n);
	}
}

static struct chaos_watch watch = {
	.enter = on_enter, .leave = on_leave, .reference = on_reference,
	.dereference = on_dereference, .derive = on_derive, .free = on_free,
	.originate = on_originate, .inject = on_inject, .act = on_act, .broke = on_broken,
};

static void on_posted(void *arg, uint32_t frame)
{
	model_posted(arg, frame);
}

static void on_sent(void *arg, uint32_t frame, const uint8_t *bytes, uint32_t length)
{
	model_sent(arg, frame, bytes, length);
}

static void broke(void *arg, int invariant, const char *what)
{
	(void)arg;
	sim_broke(world, invariant, what);
}

static const struct sim_kernel_ops kernel_ops = {
	.posted = on_posted, .sent = on_sent, .broke = broke,
};

/* ---- lives ---- */

static void insert(struct sim_world *w, uint32_t which, uint32_t position)
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
	MUST(!nbl_lane_init(&w->lane, 0, w->memory, w->nbls, queues, w->n_queues, w->n_lower,
			    &w->turns));
	w->lane.clock_ns = clock_ns;
	nbl_stack_init(&w->stack, &w->lane, 1);
	/* what it waits for comes: what does not is found by the seed's own time limit */
	w->stack.pause_timeout_ms = w->stack.drain_ms = w->options.lies ? 2000 : UINT32_MAX;
	nbl_lane_set_end(&w->lane, NBL_ORIGIN_WFP, on_end, w);
	if (w->pool && takeover == NBL_TAKEOVER_FRESH && !nbl_pool_free(w->pool))
		w->pool = NULL;
	MUST(!nbl_lanes_make_pool(&w->lane, 1, w->memory, takeover, &w->pool));
	nbl_set_default_pools(w->pool, w->pool);
	chaos_pool = w->pool;
	w->model.pool = w->pool;
	w->violations_before = nbl_violations();
	for (uint32_t i = 0; i < w->n_modules; i++)
		insert(w, w->order[i], i);
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

/* As a process that ended: nothing is handed on. Its pool is lost with what is out. */
static void end_life(struct sim_world *w)
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

/* Runs 'work' in the lane. False if the worker died of it. */
static bool survives(struct sim_world *w, void (*work)(struct sim_world *w))
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

/* The worker is dead: the next one takes over, and may die of that, too. */
static void succeed(struct sim_world *w)
{
	bool replays, lives;

	do {
		replays = sim_once_in(&w->random, 2);
		sim_kernel_look(&w->kernel);
		note(w, "worker", "dies", w->lives++);
		w->progress->n_deaths++;
		end_life(w);
		model_clear(&w->model);
		prepare(w, replays ? NBL_TAKEOVER_REPLAY : NBL_TAKEOVER_DROP);
		w->model.is_replaying = true;
		lives = survives(w, replays ? adopt_replay : adopt_drop);
		w->model.is_replaying = false;
	} while (!lives);
	sim_check_all(w);
}

/* ---- actions ---- */

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
	if (!survives(w, what))
		succeed(w);
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

/* Everything comes to rest: the kernel is done, nothing is held. */
static void settle(struct sim_world *w)
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

	settle(w);
	sim_check_end(w);
	w->kernel.is_quiet = false;
	if (w->n_modules == CHAOS_N_MODULES || (w->n_modules && sim_once_in(&w->random, 2))) {
		uint16_t id;

		at = sim_below(&w->random, w->n_modules);
		id = w->stack.modules[at].id;
		note(w, "stack", "remove", at);
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
	note(w, "stack", "insert", at);
	insert(w, which, at);
	memmove(&w->order[at + 1], &w->order[at], (w->n_modules++ - at) * sizeof(w->order[0]));
	w->order[at] = which;
}

/* The stack changes under load: what is held, sent or out while it pauses comes back. */
static void insert_now(struct sim_world *w)
{
	insert(w, w->changing, w->changing_at);
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
		note(w, "stack", "remove under load", at);
		w->changing_at = at;
		if (!survives(w, remove_now)) {
			succeed(w);
			return;
		}
		model_module_went(&w->model, id);
		memmove(&w->order[at], &w->order[at + 1],
			(--w->n_modules - at) * sizeof(w->order[0]));
	} else if (w->n_modules < CHAOS_N_MODULES) {
		for (w->changing = 0;
		     nbl_stack_find(&w->stack, chaos_modules[w->changing].name) >= 0;)
			w->changing++;
		note(w, "stack", "insert under load", at);
		w->changing_at = at;
		if (!survives(w, insert_now)) {
			succeed(w);
			return;
		}
		memmove(&w->order[at + 1], &w->order[at],
			(w->n_modules++ - at) * sizeof(w->order[0]));
		w->order[at] = w->changing;
	} else {
		note(w, "stack", "restart under load", 0);
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

static void act(struct sim_world *w)
{
	w->now_ns += sim_below(&w->random, 100000);
	switch (sim_below(&w->random, 64)) {
	case 0 ... 27:
		note(w, "lane", "turn", 0);
		work(w, turn);
		break;
	case 28 ... 47:
		note(w, "kernel", "step", 1);
		sim_kernel_step(&w->kernel);
		/* else what is sent meanwhile might make the lie true */
		if (w->kernel.has_lied)
			work(w, reap);
		w->kernel.has_lied = false;
		break;
	case 48 ... 55:
		note(w, "peer", "sends", 0);
		sim_kernel_deliver(&w->kernel, sim_below(&w->random, w->n_queues),
				   1 + sim_below(&w->random, 40));
		break;
	case 56 ... 59:
		note(w, "thread", "releases", 0);
		elsewhere(w);
		break;
	case 60:
		note(w, "time", "jumps", 0);
		w->now_ns += sim_next(&w->random) >> (24 + sim_below(&w->random, 30));
		break;
	case 61:
		note(w, "stack", "flush", 0);
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

/* ---- seeds ---- */

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
		MUST(!nbl_memory_create(&shape, &w->memories[shape.n_queues]));
	w->nbls = aligned_alloc(NBL_CACHE_LINE, most * sizeof(*w->nbls));
	w->kernel.places = calloc(most, sizeof(*w->kernel.places));
	w->kernel.sends = calloc(most, sizeof(*w->kernel.sends));
	w->kernel.digests = calloc(most, sizeof(*w->kernel.digests));
	w->kernel.lengths = calloc(most, sizeof(*w->kernel.lengths));
	w->model.of_frames = calloc(most, sizeof(*w->model.of_frames));
	MUST(w->nbls && w->kernel.places && w->kernel.sends && w->kernel.digests &&
	     w->kernel.lengths && w->model.of_frames);
	w->kernel.ops = &kernel_ops;
	w->kernel.arg = &w->model;
	w->model.nbls = w->nbls;
	w->model.digests = w->kernel.digests;
	w->model.lengths = w->kernel.lengths;
	w->model.broke = broke;
	w->model.tolerates_lies = options->lies;
	chaos_watch = &watch;
	world = w;
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
	next_moment(w);
}

uint64_t sim_world_run(struct sim_world *w, uint64_t seed)
{
	uint32_t calm;

	begin(w, seed);
	calm = w->calm;
	w->calm = 0;
	prepare(w, NBL_TAKEOVER_FRESH);
	survives(w, adopt_fresh);
	w->calm = calm;
	while (w->action < w->options.n_actions)
		act(w);
	w->calm = 0;
	settle(w);
	sim_check_end(w);
	w->progress->n_violations += w->lane.figures.violations + nbl_violations() -
		w->violations_before;
	end_life(w);
	w->progress->n_seeds++;
	w->progress->n_actions += w->action;
	w->progress->n_delivered += w->kernel.counts.delivered;
	w->progress->n_sent += w->kernel.counts.sent;
	w->progress->n_lies += w->kernel.counts.lies;
	return w->history;
}
