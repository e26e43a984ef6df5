/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * view.h - the figures of a filter module, page by page: which rule matched how often.
 *
 * Plain structures, to be sent to another process.
 */
#ifndef FILTER_VIEW_H
#define FILTER_VIEW_H

#include "filter/stack_module.h"

#define FILTER_VIEW_RULES 8

struct filter_view_rule {
	char text[FILTER_RULE_TEXT_MAX];
	struct nbl_wfp_filter_counts counts;
};

struct filter_view_callout {
	char name[NBL_CALLOUT_NAME_MAX];
	uint64_t calls, over_budget, deviations, p50_ns, p99_ns;
	uint32_t holds, flow_contexts;
	struct nbl_callout_kind_counts own;
};

struct filter_view {
	struct nbl_wfp_counts engine;
	uint32_t n_callouts;
	struct filter_view_callout callouts[FILTER_MAX_CALLOUTS];
	uint32_t n_rules;		/* fewer than FILTER_VIEW_RULES: there are no more */
	struct filter_view_rule rules[FILTER_VIEW_RULES];	/* from the one asked for on */
};

/*
 * Fills ret with the figures of the module whose context that is (borrows), of rules from
 * number 'first' on. Control thread, lanes at rest.
 */
void filter_view(const void *context, uint32_t first, struct filter_view *ret);

#endif
