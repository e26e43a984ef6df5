/* SPDX-License-Identifier: BSD-2-Clause */
/* print_filter.c - which rule matched how often, for people. */
#include <stdio.h>

#include "cli/print.h"
#include "cli/table.h"
#include "edge/text.h"

static void cells(struct table *t, const json_t *object, const char *const *keys)
{
	for (; *keys; keys++)
		table_number(t, get_number(object, *keys));
}

static void rules_print(const json_t *rules)
{
	static const char *const keys[] = { "matched", "permitted", "blocked", "absorbed", NULL };
	struct table *t = table_new(">MATCHED|>PERMITTED|>BLOCKED|>ABSORBED|RULE");
	const json_t *rule;
	char text[1024];		/* a rule may be longer than get_text() has room for */
	size_t i;

	json_array_foreach(rules, i, rule) {
		const char *raw = json_string_value(json_object_get(rule, "rule"));

		table_row(t);
		cells(t, rule, keys);
		table_text(t, text_escape(text, sizeof(text), raw ? raw : ""));
	}
	table_print(t, "  ");
}

static void callouts_print(const json_t *callouts)
{
	static const char *const keys[] = { "calls", "p99_ns", "over_budget", "deviations", "held",
					    "seen", "skipped", "missed", "injected", "failed",
					    "discarded", NULL };
	struct table *t = table_new("CALLOUT|>CALLS|>P99 ns|>SLOW|>DEVIATIONS|>HELD|>SEEN|>SKIPPED|"
				    ">MISSED|>INJECTED|>FAILED|>DISCARDED");
	const json_t *callout;
	size_t i;

	json_array_foreach(callouts, i, callout) {
		table_row(t);
		table_text(t, get_text(callout, "name"));
		cells(t, callout, keys);
	}
	table_print(t, "  ");
}

void filter_print(const json_t *module)
{
	const json_t *rules = json_object_get(module, "filters");
	const json_t *callouts = json_object_get(module, "callouts");

	if (!rules)
		printf("note: no worker answers; what the rules of filter did is not known\n");
	if (json_array_size(rules)) {
		printf("\nfilter, rule by rule:\n");
		rules_print(rules);
	}
	if (json_array_size(callouts)) {
		printf("\nfilter, callout by callout:\n");
		callouts_print(callouts);
	}
}
