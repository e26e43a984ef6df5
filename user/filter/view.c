/* SPDX-License-Identifier: BSD-2-Clause */
#include "filter/view.h"

#include <stdio.h>
#include <string.h>

static void fill_callouts(const void *context, struct filter_view *ret)
{
	struct filter_callout_figures f;

	while (ret->n_callouts < FILTER_MAX_CALLOUTS &&
	       !filter_get_callout(context, ret->n_callouts, &f)) {
		struct filter_view_callout *c = &ret->callouts[ret->n_callouts++];

		*c = (struct filter_view_callout){
			.calls = f.engine.calls,
			.over_budget = f.engine.over_budget,
			.deviations = f.engine.deviations,
			.p50_ns = f.engine.p50_ns,
			.p99_ns = f.engine.p99_ns,
			.holds = f.engine.holds,
			.flow_contexts = f.engine.flow_contexts,
			.own = f.own,
		};
		snprintf(c->name, sizeof(c->name), "%s", f.name);
	}
}

static void fill_rules(const void *context, uint32_t first, struct filter_view *ret)
{
	struct filter_rule_figures f;

	for (uint32_t i = first; !filter_get_rule(context, i, &f); i++) {
		struct filter_view_rule *r = &ret->rules[ret->n_rules++];

		r->counts = f.counts;
		snprintf(r->text, sizeof(r->text), "%s", f.text);
		if (ret->n_rules == FILTER_VIEW_RULES)
			return;
	}
}

void filter_view(const void *context, uint32_t first, struct filter_view *ret)
{
	memset(ret, 0, sizeof(*ret));
	filter_get_counts(context, &ret->engine);
	fill_callouts(context, ret);
	fill_rules(context, first, ret);
}
