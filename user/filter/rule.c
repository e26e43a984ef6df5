// SPDX-License-Identifier: BSD-2-Clause
/* rule.c - a filter as a line of text. */
#include "filter/rule.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULE_MAX 512

struct reader {
	char text[RULE_MAX];
	char *rest;
	struct filter_rule *rule;
	bool acted;			/* the action was read */
	char *error;
	size_t error_size;
};

static int __attribute__((format(printf, 2, 3))) fail(struct reader *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->error, r->error_size, format, args);
	va_end(args);
	return -EINVAL;
}

static char *next_word(struct reader *r)
{
	return strtok_r(NULL, " \t", &r->rest);
}

/* ---- layer ---- */

static int read_layer(struct reader *r, const char *word)
{
	for (int i = 0; i < NBL_N_LAYERS; i++) {
		if (strcmp(wfp_layers[i].name, word) != 0)
			continue;
		if (wfp_layers[i].direction == NBL_DIRECTION_FORWARD)
			return fail(r, "'%s': an adapter routes nothing; what crosses a pair is "
				    "inbound one way, outbound the other. Try: inbound-ip%d, "
				    "outbound-ip%d", word, wfp_layers[i].ip_version,
				    wfp_layers[i].ip_version);
		r->rule->layer = (enum nbl_layer)i;
		return 0;
	}
	return fail(r, "'%.64s' is not a layer: inbound-mac, inbound-mac-native, outbound-mac, "
		    "outbound-mac-native, or inbound-, outbound- with ip4, ip6, transport4, "
		    "transport6, or datagram4, datagram6", word);
}

/* ---- conditions ---- */

static int add_condition(struct reader *r, const struct filter_field *f, enum nbl_wfp_match match,
			 const char *value)
{
	uint8_t version = wfp_layers[r->rule->layer].ip_version;
	struct nbl_wfp_condition c;

	if (!filter_value_parse(f, match, value, &c))
		return fail(r, "'%.64s' is not a value of %s: it takes %s", value, f->name,
			    filter_value_example(f));
	if (c.ip_version && version && c.ip_version != version)
		return fail(r, "'%.64s' is an address of IPv%d, layer %s shows IPv%d", value,
			    c.ip_version, wfp_layers[r->rule->layer].name, version);
	if (r->rule->n_conditions == WFP_MAX_CONDITIONS)
		return fail(r, "'%.64s': more than %d conditions", value, WFP_MAX_CONDITIONS);
	r->rule->conditions[r->rule->n_conditions++] = c;
	return 0;
}

/* Fills ret with how a field is looked at that is followed by 'suffix'. */
static bool match_of(const char *suffix, size_t size, enum nbl_wfp_match *ret)
{
	static const struct { const char *suffix; enum nbl_wfp_match match; } known[] = {
		{ "", WFP_MATCH_EQUAL }, { ":all", WFP_MATCH_FLAGS_ALL_SET },
		{ ":any", WFP_MATCH_FLAGS_ANY_SET }, { ":none", WFP_MATCH_FLAGS_NONE_SET },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strlen(known[i].suffix) == size && !memcmp(known[i].suffix, suffix, size)) {
			*ret = known[i].match;
			return true;
		}
	}
	return false;
}

static int read_condition(struct reader *r, char *word, char *equals)
{
	size_t name_size = strcspn(word, ":=");
	const struct filter_field *f = filter_field_find(word, name_size);
	char *value, *rest = NULL;
	enum nbl_wfp_match match;
	int result = 0;

	if (!f)
		return fail(r, "'%.*s' is not a field", (int)name_size, word);
	if (!match_of(word + name_size, (size_t)(equals - word) - name_size, &match))
		return fail(r, "'%.*s': only :any, :all and :none may follow a field",
			    (int)(equals - word), word);
	value = strtok_r(equals + 1, ",", &rest);
	if (!value)
		return fail(r, "'%s=' has no value: it takes %s", f->name, filter_value_example(f));
	for (; value && !result; value = strtok_r(NULL, ",", &rest))
		result = add_condition(r, f, match, value);
	return result;
}

/* ---- action, and what may follow it ---- */

static int read_callout(struct reader *r, const char *word, enum nbl_wfp_action action)
{
	const char *name = strchr(word, ':') + 1;

	if (!*name || strlen(name) >= sizeof(r->rule->callout))
		return fail(r, "'%.64s' names no callout", word);
	r->rule->action = action;
	strcpy(r->rule->callout, name);
	return 0;
}

static int read_action(struct reader *r, const char *word)
{
	r->acted = true;
	if (!strcmp(word, "permit"))
		r->rule->action = WFP_ACTION_PERMIT;
	else if (!strcmp(word, "block"))
		r->rule->action = WFP_ACTION_BLOCK;
	else if (!strncmp(word, "callout:", 8))
		return read_callout(r, word, WFP_ACTION_CALLOUT_UNKNOWN);
	else if (!strncmp(word, "inspect:", 8))
		return read_callout(r, word, WFP_ACTION_CALLOUT_INSPECTION);
	else
		return fail(r, "'%.64s' is neither FIELD=VALUE nor an action: permit, block, "
			    "callout:NAME, inspect:NAME", word);
	return 0;
}

static int read_number(struct reader *r, const char *word, uint64_t most, uint64_t *ret)
{
	const char *value = strchr(word, '=') + 1;
	char *end;

	errno = 0;
	*ret = strtoull(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || errno || *ret > most)
		return fail(r, "'%.64s' takes a number from 0 to %llu", word,
			    (unsigned long long)most);
	return 0;
}

static int read_tail(struct reader *r, const char *word)
{
	uint64_t number = 0;
	int result;

	if (!strcmp(word, "hard")) {
		r->rule->flags |= NBL_WFP_CLEAR_ACTION_RIGHT;
		return 0;
	}
	if (!strncmp(word, "weight=", 7))
		return read_number(r, word, UINT64_MAX, &r->rule->weight);
	if (strncmp(word, "sublayer=", 9) != 0)
		return fail(r, "'%.64s' may not follow the action: only weight=N, sublayer=N, hard",
			    word);
	result = read_number(r, word, UINT16_MAX, &number);
	r->rule->sublayer = (uint16_t)number;
	return result;
}

static int read_word(struct reader *r, char *word)
{
	char *equals = strchr(word, '=');

	if (r->acted)
		return read_tail(r, word);
	return equals ? read_condition(r, word, equals) : read_action(r, word);
}

int filter_rule_parse(const char *text, struct filter_rule *ret, char *error, size_t error_size)
{
	struct filter_rule rule = { .n_conditions = 0 };
	struct reader r = { .rule = &rule, .error = error, .error_size = error_size };
	char *word;
	int result;

	if (strlen(text) >= sizeof(r.text))
		return fail(&r, "'%.32s...' is longer than %d bytes", text, RULE_MAX - 1);
	strcpy(r.text, text);
	r.rest = r.text;
	word = next_word(&r);
	if (!word)
		return fail(&r, "it is empty: LAYER [FIELD=VALUE...] ACTION");
	result = read_layer(&r, word);
	while (!result && (word = next_word(&r)))
		result = read_word(&r, word);
	if (!result && !r.acted)
		return fail(&r, "'%.64s' has no action: permit, block, callout:NAME, inspect:NAME",
			    text);
	if (!result)
		*ret = rule;
	return result;
}
