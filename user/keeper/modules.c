/* SPDX-License-Identifier: BSD-2-Clause */
/* modules.c - commands that change an adapter's modules: asked of the worker, then noted here. */
#include "keeper/adapter_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "keeper/tap.h"

static int position_of(const struct adapter *a, const char *module)
{
	for (uint32_t i = 0; i < a->conf.n_modules; i++)
		if (!strcmp(a->conf.modules[i].name, module))
			return (int)i;
	return -ENOENT;
}

static bool find_module(const struct adapter *a, const char *module, int *ret_position,
			struct refusal *refusal)
{
	char why[REASON_SIZE];

	*ret_position = position_of(a, module);
	if (*ret_position >= 0)
		return true;
	snprintf(why, sizeof(why), "%s: no module '%.64s' in its stack (ENOENT). "
		 "Try: nblctl module list %s", a->conf.name, module, a->conf.name);
	refuse(refusal, -ENOENT, why);
	return false;
}

/* A tap is above all modules: neither it nor what would be above it is placed otherwise. */
static bool tap_has_its_place(const struct adapter *a, const char *before, const char *after,
			      struct refusal *refusal)
{
	char why[REASON_SIZE];

	if (!before && !after)
		return true;
	snprintf(why, sizeof(why), "%s: not added (EINVAL): a tap stands above all modules. "
		 "Try: nblctl module add, without before and after", a->conf.name);
	refuse(refusal, -EINVAL, why);
	return false;
}

static bool has_room(const struct adapter *a, struct refusal *refusal)
{
	char why[REASON_SIZE];

	if (a->conf.n_modules < ADAPTER_MAX_MODULES)
		return true;
	snprintf(why, sizeof(why),
		 "%s: not added (ENOSPC): its stack has %d modules, and no more fit. Try: nblctl "
		 "module remove", a->conf.name, ADAPTER_MAX_MODULES);
	refuse(refusal, -ENOSPC, why);
	return false;
}

/*
 * Where the worker says that the module is, others may have gone meanwhile;
 * at most 'most', the reply is not trusted.
 */
static int position_in(const struct worker_reply *reply, const char *module, uint32_t most)
{
	uint32_t i = 0;

	while (i < most && strncmp(reply->module_names[i], module, NBL_MODULE_NAME_MAX))
		i++;
	return (int)i;
}

bool adapter_module_add(struct adapter *a, const struct module_conf *conf, const char *before,
			const char *after, struct refusal *refusal)
{
	struct worker_request request = { .op = WORKER_MODULE_ADD, .module = *conf };
	struct worker_reply reply;
	int at = (int)a->conf.n_modules - (a->tap_fd != 0);

	if (!has_room(a, refusal))
		return false;
	if (tap_conf_is_tap(conf))
		return tap_has_its_place(a, before, after, refusal) && tap_add(a, conf, refusal);
	if (before && !find_module(a, before, &at, refusal))
		return false;
	if (after) {
		if (!find_module(a, after, &at, refusal))
			return false;
		at++;
		if (tap_conf_is_tap(&a->conf.modules[at - 1]))
			return tap_has_its_place(a, before, after, refusal);
	}
	request.position = (uint32_t)at;
	if (!worker_ask(a, &request, &reply, refusal))
		return false;
	at = position_in(&reply, conf->name, a->conf.n_modules - (a->tap_fd != 0));
	memmove(&a->conf.modules[at + 1], &a->conf.modules[at],
		(a->conf.n_modules - (uint32_t)at) * sizeof(*conf));
	a->conf.modules[at] = *conf;
	a->conf.n_modules++;
	return true;
}

static void forget_module(struct adapter *a, int at)
{
	a->conf.n_modules--;
	memmove(&a->conf.modules[at], &a->conf.modules[at + 1],
		(a->conf.n_modules - (uint32_t)at) * sizeof(a->conf.modules[0]));
}

bool adapter_module_remove(struct adapter *a, const char *module, bool force,
			   struct refusal *refusal)
{
	struct worker_request request = { .op = WORKER_MODULE_REMOVE, .force = force };
	struct worker_reply reply;
	int at;

	if (!find_module(a, module, &at, refusal))
		return false;
	if (tap_conf_is_tap(&a->conf.modules[at]))
		return tap_remove(a, refusal);
	request.module = a->conf.modules[at];
	if (!worker_ask(a, &request, &reply, refusal))
		return false;
	/* as a worker says: if it said before that there is none, that is forgotten already */
	at = position_of(a, request.module.name);
	if (at >= 0)
		forget_module(a, at);
	return true;
}

/* 'options' (borrows) in the place of those with the same keys in 'conf', or behind them. */
static bool merge_options(struct module_conf *conf, const struct module_conf *options,
			  struct refusal *refusal)
{
	char why[REASON_SIZE];

	for (uint32_t i = 0; i < options->n_options; i++) {
		uint32_t k = 0;

		while (k < conf->n_options && strcmp(conf->options[k].key, options->options[i].key))
			k++;
		if (k == ADAPTER_MAX_OPTIONS) {
			snprintf(why, sizeof(why), "module %s: more than %d options (ENOSPC). "
				 "Try: nblctl module add, without those you do not need",
				 conf->name, ADAPTER_MAX_OPTIONS);
			refuse(refusal, -ENOSPC, why);
			return false;
		}
		conf->options[k] = options->options[i];
		conf->n_options += k == conf->n_options;
	}
	return true;
}

bool adapter_module_set(struct adapter *a, const struct module_conf *options,
			struct refusal *refusal)
{
	struct worker_request request = { .op = WORKER_MODULE_SET };
	struct worker_reply reply;
	char why[REASON_SIZE];
	int at;

	if (!find_module(a, options->name, &at, refusal))
		return false;
	if (tap_conf_is_tap(options)) {
		snprintf(why, sizeof(why), "%s: module tap keeps its options (EINVAL): its device is "
			 "made for them. Try: nblctl module remove %s tap, and add it anew",
			 a->conf.name, a->conf.name);
		refuse(refusal, -EINVAL, why);
		return false;
	}
	request.was = request.module = a->conf.modules[at];
	if (!merge_options(&request.module, options, refusal))
		return false;
	if (!worker_ask(a, &request, &reply, refusal))
		return false;
	at = position_of(a, options->name);
	if (at >= 0)
		a->conf.modules[at] = request.module;
	return true;
}
