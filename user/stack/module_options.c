/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/module_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- handlers ---- */

static const char *what_is_missing(const struct nbl_module *m)
{
	if (m->flags & NBL_MODULE_ORIGINATES_SENDS && !m->send_complete)
		return "originates sends and has no send_complete (TX-16)";
	if (m->flags & NBL_MODULE_ORIGINATES_RECEIVES && !m->receive_return)
		return "originates receives and has no receive_return (TX-16)";
	if (m->flags & NBL_MODULE_QUEUES_SENDS && !m->cancel_send)
		return "queues sends and has no cancel_send (CN-03)";
	if ((m->receive || m->receive_return) && !m->status)
		return "receives and has no status (FS-12)";
	return NULL;
}

int nbl_module_check(const struct nbl_module *m, char *error, size_t error_size)
{
	const char *missing;

	if (m->version != NBL_MODULE_VERSION || m->size != sizeof(*m)) {
		snprintf(error, error_size, "a module of version %u, not %d", m->version,
			 NBL_MODULE_VERSION);
		return -EINVAL;
	}
	missing = what_is_missing(m);
	if (!missing)
		return 0;
	snprintf(error, error_size, "module %s %s", m->name, missing);
	return -EINVAL;
}

/* ---- options ---- */

struct word {
	const char *word;
	uint32_t value;
};

static const struct word yes_or_no[] = { { "yes", 1 }, { "no", 0 }, { NULL, 0 } };
static const struct word paths[] = {
	{ "receive", NBL_MODULE_RECEIVE }, { "send", NBL_MODULE_SEND },
	{ "both", NBL_MODULE_RECEIVE | NBL_MODULE_SEND }, { "none", 0 }, { NULL, 0 },
};

/* One option of the engine's: one of its words, or a number up to 'most'. */
struct engine_option {
	const char *key;
	const char *values;		/* for the sentence */
	const struct word *words;
	uint32_t least, most;
};

enum { OPTION_MANDATORY, OPTION_BYPASS, OPTION_MAX_HELD, OPTION_MAX_SHARE, OPTION_SOFT_AGE,
       OPTION_HARD_AGE, N_OPTIONS };

static const struct engine_option engine_options[N_OPTIONS] = {
	[OPTION_MANDATORY] = { "mandatory", "yes or no", yes_or_no, 0, 0 },
	[OPTION_BYPASS] = { "bypass", "receive, send, both or none", paths, 0, 0 },
	[OPTION_MAX_HELD] = { "max-held", "a number from 0 to 1000000000", NULL, 0, 1000000000 },
	[OPTION_MAX_SHARE] = { "max-share", "a number from 1 to 100", NULL, 1, 100 },
	[OPTION_SOFT_AGE] = { "soft-age", "milliseconds from 0 to 86400000", NULL, 0, 86400000 },
	[OPTION_HARD_AGE] = { "hard-age", "milliseconds from 0 to 86400000", NULL, 0, 86400000 },
};

static bool parse(const struct engine_option *o, const char *text, uint32_t *ret_value)
{
	unsigned long value;
	char *end;

	for (const struct word *w = o->words; w && w->word; w++) {
		if (!strcmp(w->word, text)) {
			*ret_value = w->value;
			return true;
		}
	}
	if (o->words || *text < '0' || *text > '9')
		return false;
	value = strtoul(text, &end, 10);
	*ret_value = (uint32_t)value;
	return !*end && value >= o->least && value <= o->most;
}

static void apply(struct nbl_module_settings *s, int option, uint32_t value)
{
	switch (option) {
	case OPTION_MANDATORY: s->mandatory = value; break;
	case OPTION_BYPASS: s->bypass = value; break;
	case OPTION_MAX_HELD: s->limits.max_held = value; break;
	case OPTION_MAX_SHARE: s->limits.max_share = value; break;
	case OPTION_SOFT_AGE: s->limits.soft_age_ms = value; break;
	case OPTION_HARD_AGE: s->limits.hard_age_ms = value; break;
	}
}

static int find(const char *key)
{
	int i = 0;

	while (i < N_OPTIONS && strcmp(engine_options[i].key, key))
		i++;
	return i;
}

int nbl_module_settings_take(struct nbl_module_settings *settings, const char *name,
			     const struct nbl_option *options, uint32_t n_options,
			     struct nbl_option *ret_rest, uint32_t *ret_n_rest, char *error,
			     size_t error_size)
{
	uint32_t n_rest = 0, value;

	for (uint32_t i = 0; i < n_options; i++) {
		int option = find(options[i].key);

		if (option == N_OPTIONS) {
			ret_rest[n_rest++] = options[i];
			continue;
		}
		if (!parse(&engine_options[option], options[i].value, &value)) {
			snprintf(error, error_size, "%s: %s must be %s, not '%s'", name,
				 options[i].key, engine_options[option].values, options[i].value);
			return -EINVAL;
		}
		apply(settings, option, value);
	}
	*ret_n_rest = n_rest;
	return 0;
}
