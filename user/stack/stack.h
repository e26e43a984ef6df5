/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stack.h - the ordered modules of an adapter, and how their handlers are linked.
 *
 * The order runs from the lower port upward. After each change every lane's
 * call tables are made anew: a handler calls straight into the next module that
 * wants that path, so a module without a handler costs nothing there (FS-11).
 * Changes are made while all lanes are parked. Control thread.
 */
#ifndef STACK_STACK_H
#define STACK_STACK_H

#include "stack/lane.h"

struct nbl_stack_module {
	const struct nbl_module *module;
	void *context;
	uint16_t id;			/* 1 .. NBL_MAX_MODULES, free for reuse after removal */
	struct nbl_lane_filter *filters;	/* one per lane */
	uint8_t *lane_states;
};

struct nbl_stack {
	struct nbl_lane *lanes;		/* borrows */
	uint32_t n_lanes;
	struct nbl_stack_module modules[NBL_MAX_MODULES];	/* from the lower port upward */
	uint32_t n_modules;
};

/* An empty stack over 'lanes' (borrows until nbl_stack_done()); links them. */
void nbl_stack_init(struct nbl_stack *s, struct nbl_lane *lanes, uint32_t n_lanes);

/* Detaches all modules; lanes at rest. */
void nbl_stack_done(struct nbl_stack *s);

/*
 * Puts 'module' (borrows, for ever) in at 'position' (0 = nearest the lower port,
 * at most n_modules), attaching it with its options. 0; -ENOSPC; -EEXIST if one of
 * that name is in; -ENOMEM; or attach()'s error. On failure 'error' has a sentence
 * and nothing changed. Rule: FS-02, FS-08.
 */
NBL_MUST_CHECK int nbl_stack_insert(struct nbl_stack *s, const struct nbl_module *module,
				    const struct nbl_option *options, uint32_t n_options,
				    uint32_t position, char *error, size_t error_size);

/*
 * Pauses module number 'i' on every lane, so that it passes on what it holds,
 * takes it out and detaches it. -EBUSY if it still holds packets after that: it
 * stays. Rule: FS-05, FS-07.
 */
NBL_MUST_CHECK int nbl_stack_remove(struct nbl_stack *s, uint32_t i);

/* Has every module pass on what it holds, without taking it out. Returns how many packets are still held. */
uint64_t nbl_stack_flush(struct nbl_stack *s);

/* Makes the call tables of all lanes anew (link.c): after any change of modules or bindings. Lanes at rest. */
void nbl_stack_link(struct nbl_stack *s);

/* The position of the module named 'name', or -ENOENT. */
int nbl_stack_find(const struct nbl_stack *s, const char *name);

#endif
