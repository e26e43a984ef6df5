/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stack.h - the ordered modules of an adapter, their states, and how their handlers are linked.
 *
 *   stack.c           putting in, taking out, asking
 *   pausing.c         pausing and restarting all of it (FS-08)
 *   evict.c           taking out a module that does not let go
 *   module_state.c    what may happen to a module, and when (FS-01)
 *   module_options.c  what is asked of it beforehand
 *   limits.c          what it may hold
 *   link.c, hops.c    how one module's call becomes the next one's handler
 *   engine.c          what modules call besides
 *
 * The order runs from the lower port upward. After each change every lane's
 * call tables are made anew: a handler calls straight into the next module that
 * wants that path, so a module without a handler costs nothing there (FS-11).
 * All calls: control thread, one at a time, waiting for each other (FS-09).
 */
#ifndef STACK_STACK_H
#define STACK_STACK_H

#include "stack/lane.h"
#include "stack/limits.h"
#include "stack/module_state.h"

#define NBL_PAUSE_TIMEOUT_MS	5000
#define NBL_DRAIN_MS		100

struct nbl_stack_module {
	const struct nbl_module *module;
	void *context;
	uint16_t id;			/* 1 .. NBL_MAX_MODULES, free for reuse after removal */
	struct nbl_module_life life;
	struct nbl_module_settings settings;
	uint32_t bypass; /* enum nbl_module_paths: by its settings, or wanted when it restarted */
	uint32_t headroom;		/* bytes it retreats by, as it said (PL-08) */
	enum nbl_module_health health;
	uint32_t n_frames, oldest_ms;	/* as last checked */
	struct nbl_module_warning warning;
	uint32_t references_before, clones_before;	/* on its id when it came */
	struct nbl_lane_filter *filters;	/* one per lane */
	uint8_t *lane_states;
};

/* What lies above and below the modules. All may be NULL. Control thread but for status(). */
struct nbl_stack_ends {
	void *arg;
	/* bindings, which pause before all modules and restart after them (FS-08) */
	void (*pause)(void *arg);
	void (*restart)(void *arg);
	/*
	 * gets what the uppermost module passed on (borrows 'si'). Lane thread, or another for it
	 */
	void (*status)(void *arg, struct nbl_lane *lane, const struct nbl_status_indication *si);
	/* answers what the lowest module passed on (borrows 'r'): 0 or negative errno */
	int (*request)(void *arg, struct nbl_request *r);
};

struct nbl_stack {
	struct nbl_lane *lanes;		/* borrows */
	uint32_t n_lanes;
	struct nbl_stack_module modules[NBL_MAX_MODULES];	/* from the lower port upward */
	uint32_t n_modules;
	bool lanes_run;	/* their threads run: changes park them. Else the caller has them at rest */
	bool fail_closed; /* what a module at its limit cannot be shown is dropped, not passed */
	bool open;			/* packets may enter */
	bool link_down[NBL_N_SIDES];	/* as modules were told (NX-08) */
	bool has_newcomer;		/* who was not */
	bool is_down;			/* a mandatory module failed to restart: 'why' */
	char why[256];	/* the last sentence about a pause that took too long, or a failure */
	uint32_t pause_timeout_ms;	/* NBL_PAUSE_TIMEOUT_MS */
	uint32_t drain_ms;	/* NBL_DRAIN_MS: for what is being sent when all have paused */
	uint32_t generation;		/* of handles given (SH-08) */
	struct nbl_stack_ends ends;
	_Atomic bool restart_wanted;
	pthread_mutex_t mutex;
};

/* An empty stack over 'lanes' (borrows until nbl_stack_done()); links them. */
void nbl_stack_init(struct nbl_stack *s, struct nbl_lane *lanes, uint32_t n_lanes);

/* Detaches all modules; lanes at rest. */
void nbl_stack_done(struct nbl_stack *s);

/*
 * Puts 'module' (borrows, for ever) in at 'position' (0 = nearest the lower port,
 * at most n_modules), attaching it with its options (module.h), while the stack is
 * paused. 0; -ENOSPC; -EEXIST if one of that name is in; -EINVAL if it lacks a handler, or
 * for an option; -ENOMEM; -EBUSY if the stack did not pause in time; or attach()'s or
 * restart()'s error. On failure 'error' has a sentence and nothing changed, except that
 * a mandatory module that fails to restart is in and keeps the stack down.
 * Rules: FS-02, FS-08, FS-10, FS-12.
 */
NBL_MUST_CHECK int nbl_stack_insert(struct nbl_stack *s, const struct nbl_module *module,
				    const struct nbl_option *options, uint32_t n_options,
				    uint32_t position, char *error, size_t error_size);

/*
 * The same with the id that the module had under a worker before, whose figures are read on;
 * with any that is free if it is none of 1 .. NBL_MAX_MODULES, or another module's.
 */
NBL_MUST_CHECK int nbl_stack_insert_as(struct nbl_stack *s, uint16_t id,
				       const struct nbl_module *module,
				       const struct nbl_option *options, uint32_t n_options,
				       uint32_t position, char *error, size_t error_size);

/*
 * Pauses the stack, so that all pass on what they hold, takes module number 'i' out
 * and detaches it. -EBUSY, with s->why telling what is missing, if it still has packets when
 * the time is up: it stays and runs on. Rules: FS-05, FS-07, FS-08.
 */
NBL_MUST_CHECK int nbl_stack_remove(struct nbl_stack *s, uint32_t i);

/*
 * The same, but -EBUSY too if other modules still have packets: for one that is to be put in
 * again, which nbl_stack_insert() would refuse then.
 */
NBL_MUST_CHECK int nbl_stack_remove_at_rest(struct nbl_stack *s, uint32_t i);

/*
 * Takes module number 'i' out whatever it holds: it is detached, then its claims end, so that
 * every frame it held goes home at once, as dropped by it. Rule: HP-04.
 */
void nbl_stack_evict(struct nbl_stack *s, uint32_t i);

/*
 * Pauses the stack and restarts it, so that restart() is asked again. -EBUSY, with s->why,
 * if it did not pause in time: it restarts all the same, with packets of before in modules'
 * hands. -ENODEV if it is down after that. Rules: FS-08, FS-10, FS-11.
 */
int nbl_stack_restart(struct nbl_stack *s);

/*
 * Sets the paths that go past module number 'i' (enum
 * nbl_module_paths), by a restart. Its errors. Rule: FS-11.
 */
int nbl_stack_set_bypass(struct nbl_stack *s, uint32_t i, uint32_t bypass);

/*
 * What has to be done now and then: restarts that modules want, limits, telling that a link went
 * down or up, as the keeper has it, or as sending on it showed (NX-08). About every 100 ms.
 */
void nbl_stack_tick(struct nbl_stack *s, uint32_t now_ms);

/*
 * Has every module that holds packets pass them on, by a pause and restart of its own that
 * wait for nothing. Lanes at rest. Returns how many packets are still held.
 */
uint64_t nbl_stack_flush(struct nbl_stack *s);

/* Tells all modules what happened below (borrows 'si'), from the lowest up. Rule: FS-13. */
void nbl_stack_indicate_status(struct nbl_stack *s, const struct nbl_status_indication *si);

/*
 * Asks from the top down (borrows 'r'). 0; -EOPNOTSUPP if nobody
 * answers; other negative errno. Rule: FS-13.
 */
int nbl_stack_request(struct nbl_stack *s, struct nbl_request *r);

/* The position of the module named 'name', or -ENOENT. */
int nbl_stack_find(const struct nbl_stack *s, const char *name);

/* ---- for the stack's own files ---- */

/* Moves 'sm' on, on all lanes. -EINVAL, counted, if its state does not allow it. */
int nbl_stack_go(struct nbl_stack *s, struct nbl_stack_module *sm, enum nbl_module_event event);

/*
 * Makes the call tables of all lanes anew (link.c): after any
 * change of modules or bindings. Lanes at rest.
 */
void nbl_stack_link(struct nbl_stack *s);

/*
 * Pauses the stack from the top down, and waits up to timeout_ms for all that modules have in
 * their hands. True if there is nothing left; else s->why says what. Lanes are at rest on
 * return, until nbl_stack_restart_all(). Rules: FS-04, FS-05, FS-08.
 */
bool nbl_stack_pause_all(struct nbl_stack *s, uint32_t timeout_ms);

/* True if 'sm' (borrows) has nothing in its hands and has answered every pause. Lanes at rest. */
bool nbl_stack_is_quiet(const struct nbl_stack *s, const struct nbl_stack_module *sm);

/*
 * Restarts all from the bottom up, and takes out optional modules that fail; packets enter
 * again, unless a mandatory one failed: -ENODEV. s->why has the last failure's sentence,
 * and ret_failed its module (NULL is fine; unchanged if there was none), even on 0.
 */
int nbl_stack_restart_all(struct nbl_stack *s, const struct nbl_module **ret_failed);

/* Takes module number 'i', paused, out of the list, detaches and frees it. */
void nbl_stack_drop(struct nbl_stack *s, uint32_t i);

/*
 * Ends the claims of module 'id', which was dropped: every frame it held goes home, as dropped by
 * it. Lanes at rest. Control thread. Allocates nothing. Rule: HP-04.
 */
void nbl_stack_take_back(struct nbl_stack *s, uint16_t id);

#endif
