/* SPDX-License-Identifier: BSD-2-Clause */
#include "keeper/commands.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "edge/attach_words.h"
#include "edge/control.h"
#include "edge/log.h"
#include "edge/verbs.h"
#include "keeper/report.h"
#include "keeper/views.h"

/* One command being obeyed: its words behind the verb, and what becomes of it. */
struct command {
	struct keeper *keeper;
	const struct commander *commander;
	const char *const *words;
	size_t n_words;
	uint32_t nbl_pool, nbl_index;	/* of `nbl` */
	int status;			/* enum exit_status */
	char error[REASON_SIZE + 64];	/* "" = none */
	json_t *data;			/* owned */
};

static void __attribute__((format(printf, 3, 4)))
refuse(struct command *c, int status, const char *format, ...)
{
	va_list args;

	c->status = status;
	va_start(args, format);
	vsnprintf(c->error, sizeof(c->error), format, args);
	va_end(args);
}

static void refuse_as(struct command *c, const struct refusal *refusal)
{
	refuse(c, refusal->exit_status, "%s", refusal->reason);
}

static bool may_change(struct command *c, const struct verb *v)
{
	if (!c->commander->may_change) {
		refuse(c, STATUS_PERMISSION,
		       "%s: refused (EPERM): user %u is neither root nor in the control socket's "
		       "group. Try: sudo nblctl %s",
		       v->name, c->commander->uid, v->name);
		return false;
	}
	if (c->keeper->stopping) {
		refuse(c, STATUS_REFUSED, "%s: refused (ESHUTDOWN): nbld is stopping", v->name);
		return false;
	}
	return true;
}

/* Returns borrowed, until detached; NULL, with the command refused, if there is none. */
static struct adapter *adapter_named(struct command *c, const char *name)
{
	struct adapter *a = keeper_find(c->keeper, name);

	if (!a)
		refuse(c, STATUS_REFUSED, "%.64s: no such adapter (ENOENT). Try: nblctl show",
		       name);
	return a;
}

/* Returns borrowed, until the next call. */
static const struct adapter_snapshot *snapshot(struct adapter *a)
{
	static struct adapter_snapshot s;	/* large; the keeper has one thread */

	adapter_snapshot(a, &s);
	return &s;
}

/* ---- commands that change something ---- */

/* The answer to a change: its adapter, and whether anything changed. */
static void answer_change(struct command *c, const char *name, bool changed)
{
	c->data = report_new();
	json_object_set_new(c->data, "name", control_text(name));
	json_object_set_new(c->data, "changed", json_boolean(changed));
}

static void attach_again(struct command *c, const struct adapter *a,
			 const struct adapter_conf *conf)
{
	if (!adapter_conf_equal_ports(adapter_get_conf(a), conf)) {
		refuse(c, STATUS_REFUSED,
		       "%s: attached already, with other settings (EEXIST). Try: nblctl detach %s",
		       conf->name, conf->name);
		return;
	}
	answer_change(c, conf->name, false);
}

static void answer_attached(struct command *c, struct adapter *a)
{
	const struct adapter_snapshot *s = snapshot(a);

	answer_change(c, s->name, true);
	json_object_set_new(c->data, "adapter", report_show(s));
}

static void run_attach(struct command *c)
{
	struct adapter_conf conf;
	struct refusal refusal = { .exit_status = STATUS_REFUSED };
	struct adapter *a;
	char error[256];

	if (attach_words_parse(c->words, c->n_words, &conf, error, sizeof(error)) < 0) {
		refuse(c, STATUS_USAGE, "attach: %s. Try: nblctl help attach", error);
		return;
	}
	a = keeper_find(c->keeper, conf.name);
	if (a) {
		attach_again(c, a, &conf);
		return;
	}
	if (!adapter_attach(c->keeper, &conf, &a, &refusal)) {
		refuse_as(c, &refusal);
		return;
	}
	answer_attached(c, a);
}

static void run_detach(struct command *c)
{
	struct adapter *a = adapter_named(c, c->words[0]);

	if (!a)
		return;
	adapter_detach(a);
	log_notice("%s: detached by command", c->words[0]);
	answer_change(c, c->words[0], true);
}

static void run_module_add(struct command *c)
{
	struct refusal refusal = { .exit_status = STATUS_REFUSED };
	struct module_words m;
	struct adapter *a;
	char error[256];

	if (module_words_parse(c->words, c->n_words, &m, error, sizeof(error)) < 0) {
		refuse(c, STATUS_USAGE, "module add: %s. Try: nblctl help module add", error);
		return;
	}
	a = adapter_named(c, m.adapter);
	if (!a)
		return;
	if (!adapter_module_add(a, &m.conf, m.before, m.after, &refusal)) {
		refuse_as(c, &refusal);
		return;
	}
	log_notice("%s: module %s added by command", m.adapter, m.conf.name);
	answer_change(c, m.adapter, true);
}

static void run_module_remove(struct command *c)
{
	struct refusal refusal = { .exit_status = STATUS_REFUSED };
	bool force = c->n_words > 2;
	struct adapter *a;

	if (force && strcmp(c->words[2], "force")) {
		refuse(c, STATUS_USAGE, "module remove: '%.64s' makes no sense. "
		       "Try: nblctl module remove %.64s %.64s force",
		       c->words[2], c->words[0], c->words[1]);
		return;
	}
	a = adapter_named(c, c->words[0]);
	if (!a)
		return;
	if (!adapter_module_remove(a, c->words[1], force, &refusal)) {
		refuse_as(c, &refusal);
		return;
	}
	log_notice("%s: module %s removed by %s", c->words[0], c->words[1],
		   force ? "force" : "command");
	answer_change(c, c->words[0], true);
}

static void run_module_set(struct command *c)
{
	struct refusal refusal = { .exit_status = STATUS_REFUSED };
	struct module_words m;
	struct adapter *a;
	char error[256];

	if (module_set_words_parse(c->words, c->n_words, &m, error, sizeof(error)) < 0) {
		refuse(c, STATUS_USAGE, "module set: %s. Try: nblctl help module set", error);
		return;
	}
	a = adapter_named(c, m.adapter);
	if (!a)
		return;
	if (!adapter_module_set(a, &m.conf, &refusal)) {
		refuse_as(c, &refusal);
		return;
	}
	log_notice("%s: options of module %s set by command", m.adapter, m.conf.name);
	answer_change(c, m.adapter, true);
}

/* ---- commands that look ---- */

/*
 * Answers with {"adapters":[...]} of the adapter named, or of all. 'add' appends one
 * adapter's element to 'adapters'.
 */
static void answer_adapters(struct command *c,
			    void (*add)(struct command *c, struct adapter *a, json_t *adapters))
{
	const char *name = c->n_words ? c->words[0] : NULL;
	struct adapter *a = c->keeper->adapters;
	json_t *adapters;

	if (name) {
		a = adapter_named(c, name);
		if (!a)
			return;
	}
	adapters = json_array();
	c->data = report_new();
	json_object_set_new(c->data, "adapters", adapters);
	for (; a; a = name ? NULL : adapter_next(a))
		add(c, a, adapters);
	/* a refusal alone is not "no adapters" */
	if (c->error[0] && !json_array_size(adapters)) {
		json_decref(c->data);
		c->data = NULL;
	}
}

static void add_show(struct command *c, struct adapter *a, json_t *adapters)
{
	(void)c;
	json_array_append_new(adapters, report_show(snapshot(a)));
}

static void add_drops(struct command *c, struct adapter *a, json_t *adapters)
{
	(void)c;
	json_array_append_new(adapters, report_drops(snapshot(a)));
}

static void add_holds(struct command *c, struct adapter *a, json_t *adapters)
{
	(void)c;
	json_array_append_new(adapters, view_holds(a));
}

/*
 * Appends 'element' (takes), or says why there is none; the other adapters are told all the same.
 */
static void add_or_refuse(struct command *c, json_t *adapters, json_t *element,
			  const struct refusal *refusal)
{
	if (element)
		json_array_append_new(adapters, element);
	else
		refuse(c, c->n_words ? refusal->exit_status : STATUS_PARTLY, "%s", refusal->reason);
}

static void add_pending(struct command *c, struct adapter *a, json_t *adapters)
{
	struct refusal refusal = { .exit_status = STATUS_REFUSED };

	add_or_refuse(c, adapters, view_pending(a, &refusal), &refusal);
}

static void add_nbl(struct command *c, struct adapter *a, json_t *adapters)
{
	struct refusal refusal = { .exit_status = STATUS_REFUSED };

	add_or_refuse(c, adapters, view_nbl(a, c->nbl_pool, c->nbl_index, &refusal), &refusal);
}

static void add_pools(struct command *c, struct adapter *a, json_t *adapters)
{
	struct refusal refusal = { .exit_status = STATUS_REFUSED };

	add_or_refuse(c, adapters, view_pools(a, &refusal), &refusal);
}

static void add_history(struct command *c, struct adapter *a, json_t *adapters)
{
	struct refusal refusal = { .exit_status = STATUS_REFUSED };

	add_or_refuse(c, adapters, view_history(a, &refusal), &refusal);
}

/*
 * An adapter in disorder, or that cannot be looked at, does not keep the others from
 * being looked at.
 */
static void add_audit(struct command *c, struct adapter *a, json_t *adapters)
{
	const char *name = adapter_get_conf(a)->name;
	struct refusal refusal = { .exit_status = STATUS_REFUSED };
	struct audit_result result;

	if (!adapter_audit(a, &result, &refusal)) {
		refuse(c, c->n_words ? refusal.exit_status : STATUS_PARTLY, "%s", refusal.reason);
		return;
	}
	json_array_append_new(adapters, report_audit(name, &result));
	if (result.mismatches)
		refuse(c, STATUS_REFUSED,
		       "%s: %" PRIu64 " of %" PRIu64 " frames are not where the ledger says: %s",
		       name, result.mismatches, result.frames, result.first);
}

static void run_show(struct command *c)
{
	answer_adapters(c, add_show);
}

static void run_drops(struct command *c)
{
	answer_adapters(c, add_drops);
}

static void run_holds(struct command *c)
{
	answer_adapters(c, add_holds);
}

static void run_pending(struct command *c)
{
	answer_adapters(c, add_pending);
}

static void run_nbl(struct command *c)
{
	if (!view_parse_id(c->words[0], &c->nbl_pool, &c->nbl_index)) {
		refuse(c, STATUS_USAGE, "nbl: \"%.64s\" is no NBL's name: they are like f1234 or "
		       "p1:17. Try: nblctl pendingnbls", c->words[0]);
		return;
	}
	c->words++;
	c->n_words--;
	answer_adapters(c, add_nbl);
}

static void run_pools(struct command *c)
{
	answer_adapters(c, add_pools);
}

static void switch_history(struct command *c, bool on)
{
	struct refusal refusal = { .exit_status = STATUS_REFUSED };
	struct adapter *a;

	if (!may_change(c, &verbs_get()[VERB_NBLLOG]))
		return;
	a = adapter_named(c, c->words[0]);
	if (!a)
		return;
	if (!view_switch_history(a, on, &refusal)) {
		refuse_as(c, &refusal);
		return;
	}
	log_notice("%s: transfers are %s by command", c->words[0], on ? "noted" : "not noted");
	answer_change(c, c->words[0], true);
}

static void run_history(struct command *c)
{
	bool on = c->n_words == 2 && !strcmp(c->words[1], "on");

	if (c->n_words < 2)
		answer_adapters(c, add_history);
	else if (on || !strcmp(c->words[1], "off"))
		switch_history(c, on);
	else
		refuse(c, STATUS_USAGE, "nbllog: \"%.64s\" is neither on nor off. "
		       "Try: nblctl help nbllog", c->words[1]);
}

static void run_audit(struct command *c)
{
	answer_adapters(c, add_audit);
}

static void run_module_list(struct command *c)
{
	struct adapter *a = adapter_named(c, c->words[0]);
	json_t *modules;

	if (!a)
		return;
	c->data = report_new();
	json_object_set_new(c->data, "name", control_text(c->words[0]));
	modules = report_modules(snapshot(a));
	view_filter_add(a, modules);
	json_object_set_new(c->data, "modules", modules);
}

static void run_version(struct command *c)
{
	c->data = report_new();
}

static void run_help(struct command *c)
{
	const struct verb *verbs = verbs_get();
	json_t *list = json_array();
	char synopsis[128];

	for (size_t i = 0; i < N_VERBS; i++) {
		verb_synopsis(&verbs[i], synopsis, sizeof(synopsis));
		json_array_append_new(list, json_pack("{s:s, s:s}", "command", synopsis,
						      "summary", verbs[i].summary));
	}
	c->data = report_new();
	json_object_set_new(c->data, "commands", list);
}

/* ---- the way in ---- */

static void (*const handlers[N_VERBS])(struct command *c) = {
	[VERB_ATTACH] = run_attach,
	[VERB_DETACH] = run_detach,
	[VERB_SHOW] = run_show,
	[VERB_DROPS] = run_drops,
	[VERB_HOLDS] = run_holds,
	[VERB_MODULE_LIST] = run_module_list,
	[VERB_MODULE_ADD] = run_module_add,
	[VERB_MODULE_SET] = run_module_set,
	[VERB_MODULE_REMOVE] = run_module_remove,
	[VERB_PENDINGNBLS] = run_pending,
	[VERB_NBL] = run_nbl,
	[VERB_NBLLOG] = run_history,
	[VERB_NBLPOOL] = run_pools,
	[VERB_AUDIT] = run_audit,
	[VERB_VERSION] = run_version,
	[VERB_HELP] = run_help,
};

json_t *command_run(struct keeper *keeper, const struct commander *commander,
		    const char *const *words, size_t n_words)
{
	struct command c = {
		.keeper = keeper, .commander = commander, .status = STATUS_DONE };
	const struct verb *v;
	char error[256];
	size_t used;

	v = verb_find(words, n_words, &used, error, sizeof(error));
	if (!v) {
		refuse(&c, STATUS_USAGE, "%s", error);
	} else if (!v->changes || may_change(&c, v)) {
		c.words = words + used;
		c.n_words = n_words - used;
		handlers[v->id](&c);
	}
	return control_reply_new(c.status, *c.error ? c.error : NULL, c.data);
}
