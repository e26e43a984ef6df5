// SPDX-License-Identifier: BSD-2-Clause
/* stack_attach.c - the filter module's options: callouts and rules; its figures. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/nbl_internal.h"
#include "filter/rule.h"
#include "filter/stack_module_internal.h"

#define N_FLOWS		16384u
#define FLOW_IDLE_NS	60000000000ull
#define N_TAG_CONTEXTS	16384u
#define MOST_OPTIONS	8	/* of one callout */
#define WORDS_MAX	512

static const struct nbl_callout_kind *const *kinds;

void filter_set_callout_kinds(const struct nbl_callout_kind *const *k)
{
	kinds = k;
}

struct maker {
	struct filter *c;
	char *error;
	size_t error_size;
};

static int __attribute__((format(printf, 2, 3)))
fail(const struct maker *m, const char *format, ...)
{
	va_list args;
	int n = snprintf(m->error, m->error_size, "filter: ");

	if (n < 0 || (size_t)n >= m->error_size)
		return -EINVAL;
	va_start(args, format);
	vsnprintf(m->error + n, m->error_size - (size_t)n, format, args);
	va_end(args);
	return -EINVAL;
}

/* ---- callouts ---- */

static const struct nbl_callout_kind *kind_find(const char *name)
{
	for (const struct nbl_callout_kind *const *k = kinds; k && *k; k++) {
		if (!strcmp((*k)->name, name))
			return *k;
	}
	return NULL;
}

static const struct filter_loaded *loaded_find(const struct filter *c, const char *name)
{
	for (uint32_t i = 0; i < c->n_callouts; i++) {
		if (!strcmp(c->callouts[i].kind->name, name))
			return &c->callouts[i];
	}
	return NULL;
}

static int callout_start(const struct maker *m, const struct nbl_callout_kind *kind,
			 const struct nbl_option *options, uint32_t n_options)
{
	struct filter *c = m->c;
	struct nbl_callout_start start = {
		.wfp = c->wfp, .owner = FILTER_OWNER, .options = options, .n_options = n_options,
	};
	char why[160] = "";
	void *context = NULL;
	int r = kind->start(&start, &context, why, sizeof(why));

	if (r < 0) {
		fail(m, "callouts: %s", why);
		return r;
	}
	c->callouts[c->n_callouts++] = (struct filter_loaded){ kind, context };
	return 0;
}

/* One callout: its name, and options behind it. Writes into 'text'. */
static int callout_add(const struct maker *m, char *text)
{
	struct nbl_option options[MOST_OPTIONS];
	char *rest = NULL, *name = strtok_r(text, " \t", &rest), *word;
	const struct nbl_callout_kind *kind;
	uint32_t n = 0;

	if (!name)
		return fail(m, "callouts: a name is missing");
	kind = kind_find(name);
	if (!kind)
		return fail(m, "callouts: no callout is named '%.64s'", name);
	if (loaded_find(m->c, name))
		return fail(m, "callouts: '%s' is given twice", name);
	if (m->c->n_callouts == FILTER_MAX_CALLOUTS)
		return fail(m, "callouts: '%s' is one more than %d", name, FILTER_MAX_CALLOUTS);
	while ((word = strtok_r(NULL, " \t", &rest))) {
		char *equals = strchr(word, '=');

		if (!equals || n == MOST_OPTIONS)
			return fail(m, "callouts: %s: '%.64s' is %s", name, word,
				    equals ? "one option too many" : "not KEY=VALUE");
		*equals = '\0';
		options[n++] = (struct nbl_option){ word, equals + 1 };
	}
	return callout_start(m, kind, options, n);
}

static int callouts_add(const struct maker *m, const char *value)
{
	char text[WORDS_MAX], *rest = NULL;
	int r = 0;

	if (strlen(value) >= sizeof(text))
		return fail(m, "callouts: longer than %d bytes", WORDS_MAX - 1);
	strcpy(text, value);
	for (char *one = strtok_r(text, ",;", &rest); one && !r; one = strtok_r(NULL, ",;", &rest))
		r = callout_add(m, one);
	return r;
}

/* ---- rules ---- */

/* Sub-layer N has weight N: the higher one is asked first. */
static int sublayer_need(struct nbl_wfp *wfp, uint16_t id)
{
	int r = nbl_wfp_sublayer_add(wfp, id, id);

	return r == -EEXIST ? 0 : r;
}

static int filter_install(const struct maker *m, const char *key, const struct filter_rule *rule,
			  uint64_t *ret_id)
{
	struct nbl_wfp_filter_spec spec = {
		.layer = rule->layer, .sublayer = rule->sublayer, .flags = rule->flags,
		.weight = rule->weight, .action = rule->action,
		.conditions = rule->conditions, .n_conditions = rule->n_conditions,
	};
	int r;

	if (*rule->callout) {
		const struct filter_loaded *l = loaded_find(m->c, rule->callout);

		if (!l)
			return fail(m, "%s: callout '%s' is not loaded (EINVAL). Try: callouts=%s", key,
				    rule->callout, rule->callout);
		spec.callout = l->kind->id(l->context);
	}
	r = sublayer_need(m->c->wfp, rule->sublayer);
	if (!r)
		r = nbl_wfp_filter_add(m->c->wfp, &spec, ret_id);
	if (r == -EOPNOTSUPP)
		return fail(m, "%s: callout '%s' does not work at layer %s", key, rule->callout,
			    wfp_layers[rule->layer].name);
	return r < 0 ? fail(m, "%s: not accepted (%s)", key, strerrorname_np(-r)) : 0;
}

static int rule_add(const struct maker *m, const char *key, const char *text)
{
	struct filter *c = m->c;
	struct filter_rule rule;
	char why[256] = "";
	uint64_t id = 0;
	char *copy;
	int r;

	if (c->n_rules == FILTER_MAX_RULES)
		return fail(m, "%s: '%.64s' is one more than %d rules", key, text,
			    FILTER_MAX_RULES);
	if (filter_rule_parse(text, &rule, why, sizeof(why)) < 0)
		return fail(m, "%s: %s", key, why);
	r = filter_install(m, key, &rule, &id);
	if (r < 0)
		return r;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	c->rules[c->n_rules].text = copy;
	c->rules[c->n_rules++].id = id;
	return 0;
}

/* Several rules stand behind one key, with ';' between them. */
static int rules_add(const struct maker *m, const char *key, const char *value)
{
	char text[FILTER_RULE_TEXT_MAX], *rest = NULL;
	int r = 0;

	if (strlen(value) >= sizeof(text))
		return fail(m, "%s: longer than %d bytes", key, FILTER_RULE_TEXT_MAX - 1);
	strcpy(text, value);
	for (char *one = strtok_r(text, ";", &rest); one && !r; one = strtok_r(NULL, ";", &rest)) {
		one += strspn(one, " \t");
		if (*one)
			r = rule_add(m, key, one);
	}
	return r;
}

/* ---- attaching ---- */

/* "rule", or with a number behind it. */
static bool is_rule_key(const char *key)
{
	return !strncmp(key, "rule", 4) && strspn(key + 4, "0123456789") == strlen(key + 4);
}

static int options_read(const struct maker *m, const struct nbl_option *options, uint32_t n)
{
	int r = 0;

	for (uint32_t i = 0; i < n && !r; i++) {
		if (!strcmp(options[i].key, "callouts"))
			r = callouts_add(m, options[i].value);
		else if (!is_rule_key(options[i].key))
			r = fail(m, "no option '%.64s' (EINVAL). Try: rule=, callouts=",
				 options[i].key);
	}
	/* rules name callouts, wherever these are in the line */
	for (uint32_t i = 0; i < n && !r; i++) {
		if (is_rule_key(options[i].key))
			r = rules_add(m, options[i].key, options[i].value);
	}
	return r;
}

static int engine_make(struct filter *c)
{
	const struct nbl_wfp_params params = {
		.ops = filter_ops(c),
		.n_slots = NBL_MAX_LANES + 1,
		.n_flows = N_FLOWS,
		.flow_idle_ns = FLOW_IDLE_NS,
		.n_tag_contexts = N_TAG_CONTEXTS,
	};

	return nbl_wfp_new(&params, &c->wfp);
}

int filter_attach(const struct nbl_option *options, uint32_t n_options, void **ret_context,
		  char *error, size_t error_size)
{
	struct filter *c = calloc(1, sizeof(*c));
	const struct maker m = { .c = c, .error = error, .error_size = error_size };
	struct wfp_snapshot *old = NULL;
	int r = c ? engine_make(c) : -ENOMEM;

	if (!r)
		filter_join(c);
	if (!r)
		r = options_read(&m, options, n_options);
	if (!r)
		r = nbl_wfp_commit(c->wfp, &old);
	if (r == -ENOMEM)
		snprintf(error, error_size, "filter: out of memory (ENOMEM)");
	if (r < 0) {
		filter_detach(c);
		return r;
	}
	nbl_wfp_snapshot_free(old);	/* no lane has seen it */
	*ret_context = c;
	return 0;
}

static bool callouts_stop(struct filter *c)
{
	while (c->n_callouts) {
		const struct filter_loaded *l = &c->callouts[c->n_callouts - 1];

		if (l->kind->stop(l->context) < 0)
			return false;
		c->n_callouts--;
	}
	return true;
}

/* Nobody classifies any more: all contexts of flows end, and callouts are told before they go. */
static void flows_end(struct nbl_wfp *wfp)
{
	/* twice: the first time it goes on from where the latest look at them was */
	for (int i = 0; i < 2; i++) {
		while (!nbl_wfp_age(wfp, UINT64_MAX))
			;
	}
}

void filter_detach(void *context)
{
	struct filter *c = context;

	if (!c)
		return;
	if (c->wfp)
		flows_end(c->wfp);
	/*
	 * It was paused, so that nothing is held or out. Should somebody hold something
	 * nevertheless, engine and context stay for it, for good: its completion finds them.
	 */
	if (c->wfp && (!callouts_stop(c) || nbl_wfp_free(c->wfp) < 0)) {
		nbl_violation("CL-12: a callout still holds something when the engine goes", 0);
		atomic_store(&c->pausing, false);
		atomic_store(&c->on, NULL);
		return;
	}
	for (uint32_t l = 0; l < c->n_lanes; l++)
		nbl_lane_set_end(&c->lanes[l], NBL_ORIGIN_WFP, NULL, NULL);
	for (uint32_t i = 0; i < c->n_rules; i++)
		free(c->rules[i].text);
	free(c);
}

/* ---- figures ---- */

struct nbl_wfp *filter_get_engine(const void *context)
{
	return ((const struct filter *)context)->wfp;
}

void filter_get_counts(const void *context, struct nbl_wfp_counts *ret)
{
	nbl_wfp_get_counts(filter_get_engine(context), ret);
}

int filter_get_rule(const void *context, uint32_t i, struct filter_rule_figures *ret)
{
	const struct filter *c = context;

	if (i >= c->n_rules)
		return -ENOENT;
	ret->text = c->rules[i].text;
	return nbl_wfp_get_filter_counts(c->wfp, c->rules[i].id, &ret->counts);
}

int filter_get_callout(const void *context, uint32_t i, struct filter_callout_figures *ret)
{
	const struct filter *c = context;
	const struct filter_loaded *l;

	if (i >= c->n_callouts)
		return -ENOENT;
	l = &c->callouts[i];
	ret->name = l->kind->name;
	l->kind->get_counts(l->context, &ret->own);
	return nbl_wfp_get_callout_counts(c->wfp, l->kind->id(l->context), &ret->engine);
}
