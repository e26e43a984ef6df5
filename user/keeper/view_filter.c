/* SPDX-License-Identifier: BSD-2-Clause */
/* view_filter.c - which rule of the filter module matched how often, and what its callouts did. */
#include <string.h>

#include "edge/control.h"
#include "keeper/views_internal.h"

static json_t *report_engine(const struct nbl_wfp_counts *c)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o,"
			 " s:o, s:o, s:o, s:o, s:o}",
			 "classified", view_number(c->classified),
			 "blocked", view_number(c->blocked),
			 "absorbed", view_number(c->absorbed),
			 "vetoes", view_number(c->vetoes),
			 "rights_kept", view_number(c->rights_kept),
			 "no_right", view_number(c->no_right),
			 "pends_refused", view_number(c->pends_refused),
			 "wrong_actions", view_number(c->wrong_actions),
			 "windows_left", view_number(c->windows_left),
			 "batch_held", view_number(c->batch_held),
			 "injected", view_number(c->injected),
			 "completed", view_number(c->completed),
			 "copied", view_number(c->copied),
			 "loops", view_number(c->loops),
			 "completions_refused", view_number(c->completions_refused),
			 "flows", view_number(c->flows),
			 "flow_contexts", view_number(c->flow_contexts),
			 "flows_refused", view_number(c->flows_refused),
			 "tag_contexts", view_number(c->tag_contexts));
}

static json_t *report_callout(struct filter_view_callout *c)
{
	c->name[sizeof(c->name) - 1] = '\0';
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "name", control_text(c->name),
			 "calls", view_number(c->calls),
			 "p50_ns", view_number(c->p50_ns),
			 "p99_ns", view_number(c->p99_ns),
			 "over_budget", view_number(c->over_budget),
			 "deviations", view_number(c->deviations),
			 "held", view_number(c->holds),
			 "seen", view_number(c->own.seen),
			 "skipped", view_number(c->own.skipped),
			 "missed", view_number(c->own.missed),
			 "injected", view_number(c->own.injected),
			 "completed", view_number(c->own.completed),
			 "failed", view_number(c->own.failed),
			 "discarded", view_number(c->own.discarded));
}

static json_t *report_rule(struct filter_view_rule *r)
{
	r->text[sizeof(r->text) - 1] = '\0';
	return json_pack("{s:o, s:o, s:o, s:o, s:o}",
			 "rule", control_text(r->text),
			 "matched", view_number(r->counts.matched),
			 "permitted", view_number(r->counts.permitted),
			 "blocked", view_number(r->counts.blocked),
			 "absorbed", view_number(r->counts.absorbed));
}

/* What a first page tells, without its rules. */
static json_t *report_first(struct filter_view *v)
{
	json_t *callouts = json_array();

	for (uint32_t i = 0; i < v->n_callouts && i < FILTER_MAX_CALLOUTS; i++)
		json_array_append_new(callouts, report_callout(&v->callouts[i]));
	return json_pack("{s:o, s:o, s:o}", "engine", report_engine(&v->engine),
			 "callouts", callouts, "filters", json_array());
}

/*
 * All pages, or NULL: some, or those of a worker and its successor, would be taken for the whole.
 * A worker that takes its time over each is given up after one has become late.
 */
static json_t *report_filter(struct adapter *a)
{
	struct worker_request request = { .op = WORKER_VIEW_FILTER };
	uint64_t end = monotonic_us() + HANDOVER_ANSWER_MS * 1000;
	uint32_t generation = a->generation;
	struct worker_reply reply;
	struct filter_view *v = &reply.filter;
	struct refusal ignored;
	json_t *told = NULL;

	do {
		if (!worker_ask(a, &request, &reply, &ignored) || a->generation != generation ||
		    monotonic_us() > end) {
			json_decref(told);
			return NULL;
		}
		if (!told)
			told = report_first(v);
		for (uint32_t i = 0; i < v->n_rules && i < FILTER_VIEW_RULES; i++)
			json_array_append_new(json_object_get(told, "filters"),
					      report_rule(&v->rules[i]));
		request.view.cursor += FILTER_VIEW_RULES;
	} while (v->n_rules >= FILTER_VIEW_RULES && request.view.cursor < FILTER_MAX_RULES);
	return told;
}

void view_filter_add(struct adapter *a, json_t *modules)
{
	json_t *module, *told;
	size_t i;

	/* a hung one would keep us waiting */
	if (a->bypass)
		return;
	json_array_foreach(modules, i, module) {
		const char *name = json_string_value(json_object_get(module, "name"));

		if (!name || strcmp(name, "filter"))
			continue;
		told = report_filter(a);
		if (told)
			json_object_update(module, told);
		json_decref(told);
		return;
	}
}
