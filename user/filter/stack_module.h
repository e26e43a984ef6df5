/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stack_module.h - the filter engine as a module of a stack, named "filter".
 *
 *   stack_module.c   packets: what is shown to the engine, and what becomes of it
 *   stack_attach.c   its options: rules (rule.h), callouts by name; figures
 *   stack_inject.c   injected NBLs: into the lanes, and back to whoever injected them
 *
 * One engine per stack; each lane classifies in a slot of its own. Callouts that
 * decide later are worked off by the timer of lane 0: no thread is made for them.
 */
#ifndef FILTER_STACK_MODULE_H
#define FILTER_STACK_MODULE_H

#include "filter/wfp.h"
#include "stack/stack.h"

#define FILTER_MAX_RULES	64
#define FILTER_MAX_CALLOUTS	8
#define FILTER_RULE_TEXT_MAX	512

extern const struct nbl_module nbl_module_filter;

/*
 * The callouts its option "callouts" may name (borrows for ever; ended by NULL; NULL =
 * none). Before it is attached.
 */
void filter_set_callout_kinds(const struct nbl_callout_kind *const *kinds);

/*
 * Says which stack (borrows until replaced; NULL = none) it is put in from now on: into its
 * lanes it injects, and they give injected NBLs back. Before it is attached; without
 * lanes nothing can be injected (IN-03).
 */
void filter_set_stack(const struct nbl_stack *s);

/* ---- figures: control thread, lanes at rest ---- */

struct filter_rule_figures {
	const char *text;		/* returned borrowed, until it is detached */
	struct nbl_wfp_filter_counts counts;
};

struct filter_callout_figures {
	const char *name;		/* likewise */
	struct nbl_wfp_callout_counts engine;
	struct nbl_callout_kind_counts own;
};

/* All of the engine's counts (borrows the module's context, fills). */
void filter_get_counts(const void *context, struct nbl_wfp_counts *ret);
/* Rule or callout number 'i' from 0 (borrows the context, fills). -ENOENT: there are no more. */
int filter_get_rule(const void *context, uint32_t i, struct filter_rule_figures *ret);
int filter_get_callout(const void *context, uint32_t i, struct filter_callout_figures *ret);

/* The engine of a context. Returns borrowed, until it is detached. */
struct nbl_wfp *filter_get_engine(const void *context);

#endif
