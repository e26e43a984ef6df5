/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chaos_module.h - a module that does everything a module may do, by chance.
 *
 * What each call of a handler does is drawn from a seed: pass, hold, reference, derive,
 * edit, drop, in any grouping and order, and all of it undone in time. It breaks no
 * rule, so whatever is found broken is the engine's fault. What one module can see by
 * itself it checks itself (INV-6, INV-9); the rest is told to a watch, if there is one.
 */
#ifndef SIM_CHAOS_MODULE_H
#define SIM_CHAOS_MODULE_H

#include <nbl/module.h>

#define CHAOS_N_MODULES 3

enum chaos_path {
	CHAOS_RECEIVE,
	CHAOS_RETURN,
	CHAOS_SEND,
	CHAOS_COMPLETE,
	CHAOS_N_PATHS,
	/* a borrowed chain, back when the handler it went to returned */
	CHAOS_LENT = CHAOS_N_PATHS,
};

enum chaos_action {
	CHAOS_PASS, CHAOS_HOLD, CHAOS_DROP, CHAOS_LET_GO,
	CHAOS_REFERENCE, CHAOS_DEREFERENCE,
	CHAOS_CLONE, CHAOS_DEEP_CLONE, CHAOS_COPY, CHAOS_FRAGMENT, CHAOS_REASSEMBLE, CHAOS_PARTIAL,
	CHAOS_EDIT, CHAOS_FREE, CHAOS_MOVE_WINDOW, CHAOS_PUSH_CONTEXT, CHAOS_UNDO, CHAOS_BORROW,
	CHAOS_ORIGINATE_SEND, CHAOS_ORIGINATE_RECEIVE, CHAOS_INJECT, CHAOS_GET_BACK, CHAOS_CANCEL,
	CHAOS_N_ACTIONS
};

/* Who is told (borrows everything): the model. On the lane's thread. */
struct chaos_watch {
	/* the module owns 'n' from now on; it does no more */
	void (*enter)(const struct nbl_filter *f, struct nbl *n, enum chaos_path path);
	void (*leave)(const struct nbl_filter *f, struct nbl *n, enum chaos_path path);
	void (*reference)(const struct nbl_filter *f, struct nbl *n);
	void (*dereference)(const struct nbl_filter *f, struct nbl *n);		/* is about to */
	void (*derive)(const struct nbl_filter *f, struct nbl *n, struct nbl *const *parents,
		       uint32_t n_parents);
	void (*free)(const struct nbl_filter *f, struct nbl *n);		/* is about to */
	void (*originate)(const struct nbl_filter *f, struct nbl *n, bool went);
	/*
	 * puts 'n' at an end of the stack, outside all modules;
	 * chaos_inject_ended() says that it is back
	 */
	void (*inject)(const struct nbl_filter *f, struct nbl *n, bool is_send);
	void (*act)(const struct nbl_filter *f, enum chaos_action action, const struct nbl *n);
	/* a rule was broken: number of the invariant, and what happened */
	void (*broke)(const struct nbl_filter *f, int invariant, const char *what);
};

/*
 * Set before the first handler call; NULL, as in a worker: broken rules are counted as violations.
 */
extern const struct chaos_watch *chaos_watch;

/*
 * Where its clones and copies come from; NULL, as in a worker:
 * its filter's pool, or the default ones.
 */
extern struct nbl_pool *chaos_pool;

extern const struct nbl_module chaos_modules[CHAOS_N_MODULES];

/* What one of them has on its hands on a lane. */
struct chaos_stock {
	uint32_t held, references, own, out;
};

/* Fills ret_stock. Lane at rest. */
void chaos_get_stock(const struct nbl_filter *f, struct chaos_stock *ret_stock);

/* Drops some references and frees some NBLs, as a thread of the module's own might. */
void chaos_stir_elsewhere(struct nbl_filter *f);

/* 'n', injected for 'f', has come to the end of its path. Lane thread. */
void chaos_inject_ended(struct nbl_filter *f, struct nbl *n);

const char *chaos_action_name(enum chaos_action action);

#endif
