/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stack_module_internal.h - what the parts of the filter module share.
 */
#ifndef FILTER_STACK_MODULE_INTERNAL_H
#define FILTER_STACK_MODULE_INTERNAL_H

#include "filter/stack_module.h"

/* Owner of the callouts and handles of an engine: they are all the module's. */
#define FILTER_OWNER 1

struct filter_line {
	char *text;
	uint64_t id;
};

struct filter_loaded {
	const struct nbl_callout_kind *kind;
	void *context;
};

/* Of the module on one lane: injected while the stack was closed, to go on from here. */
struct filter_lane {
	struct nbl_chain gathered[NBL_N_ENTRIES];
};

/* The module's context. */
struct filter {
	struct nbl_wfp *wfp;
	uint32_t n_rules, n_callouts;
	struct filter_line rules[FILTER_MAX_RULES];
	struct filter_loaded callouts[FILTER_MAX_CALLOUTS];

	struct nbl_lane *lanes;		/* of its stack; NULL in some tests */
	uint32_t n_lanes;
	/* the module on each lane; NULL before it was called */
	struct nbl_lane_filter *_Atomic on;

	uint64_t age_ns;		/* when flows are looked at next; lane 0's */
	_Atomic bool ages;		/* its timer looks at them; else who adds one calls it */
	_Atomic bool down[NBL_N_SIDES];	/* by status indications */
	/* what lane 0 injects goes to 'gathered', not to the ends of the stack */
	_Atomic bool gathers;
	_Atomic bool pausing;		/* pause() answered NBL_PENDING, which is not ended yet */
};

/* What the engine asks of the stack; 'arg' is the struct filter. */
struct nbl_wfp_ops filter_ops(struct filter *c);

/* Finds the stack, at first; has its lanes give injected NBLs back, each time it restarts. */
void filter_join(struct filter *c);

/* True if no callout holds anything and no injection is out. Any thread. */
bool filter_is_idle(const struct filter *c);

/* Adds to what was gathered for lane 'l', at rest, the injected NBLs that wait to enter it. */
void filter_gather_entered(struct filter *c, uint32_t l);

/* Ends a pause that was pending, if there is nothing left to wait for. Any thread. */
void filter_end_pause(struct filter *c);

int filter_attach(const struct nbl_option *options, uint32_t n_options, void **ret_context,
		  char *error, size_t error_size);	/* as struct nbl_module has it */
void filter_detach(void *context);			/* likewise */

#endif
