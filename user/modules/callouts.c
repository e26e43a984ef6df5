// SPDX-License-Identifier: BSD-2-Clause
/*
 * callouts.c - the model callouts as they are chosen: by name, with options.
 *
 * For one more: a NAME_start() below, MODEL(NAME), a struct nbl_callout_kind, and its line in
 * callout_kinds. Rules then name it: "inbound-mac callout:NAME".
 */
#include "modules/callouts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "modules/option.h"

#define DEFAULT_LIMIT	4096
#define MOST_LIMIT	(1u << 20)
#define LONGEST_HOLD_MS	1000
#define RETRY_NS	1000000ull	/* until a packet is tried again that its path still has */

/* ---- options ---- */

/* Options as far as they are read; what is wrong with one is said in 'error'. */
struct parser {
	const char *callout;
	struct model_params params;
	char *error;
	size_t error_size;
};

static int number(struct parser *p, const struct nbl_option *o, unsigned long least,
		  unsigned long most, unsigned long *ret)
{
	return option_number(p->callout, o, least, most, ret, p->error, p->error_size);
}

static int set_limit(struct parser *p, const struct nbl_option *o)
{
	unsigned long v;
	int r = number(p, o, 1, MOST_LIMIT, &v);

	if (!r)
		p->params.limit = (uint32_t)v;
	return r;
}

static int set_dscp(struct parser *p, const struct nbl_option *o)
{
	unsigned long v;
	int r = number(p, o, 0, 63, &v);

	if (!r)
		p->params.dscp = (uint8_t)v;
	return r;
}

static int set_hold(struct parser *p, const struct nbl_option *o)
{
	unsigned long v;
	int r = number(p, o, 0, LONGEST_HOLD_MS, &v);

	if (!r)
		p->params.hold_ns = v * 1000000ull;
	return r;
}

static bool allow_all(void *arg, const struct nbl *n)
{
	(void)arg;
	(void)n;
	return true;
}

static bool discard_all(void *arg, const struct nbl *n)
{
	(void)arg;
	(void)n;
	return false;
}

static int set_verdict(struct parser *p, const struct nbl_option *o)
{
	bool discards = !strcmp(o->value, "discard");

	p->params.allow = discards ? discard_all : allow_all;
	if (discards || !strcmp(o->value, "allow"))
		return 0;
	snprintf(p->error, p->error_size, "%s: verdict is allow or discard, not '%s'", p->callout,
		 o->value);
	return -EINVAL;
}

static int set_mac(struct parser *p, const struct nbl_option *o)
{
	uint8_t *mac = p->params.mac_source;
	int n = 0;

	if (sscanf(o->value, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
		   &mac[3], &mac[4], &mac[5], &n) == 6 && !o->value[n] && !(mac[0] & 1))
		return 0;
	snprintf(p->error, p->error_size,
		 "%s: mac is a station's address like 02:00:00:00:00:01, not '%s'", p->callout,
		 o->value);
	return -EINVAL;
}

struct known {
	const char *key;
	int (*set)(struct parser *p, const struct nbl_option *o);
};

static int parse_one(struct parser *p, const struct known *known, const struct nbl_option *o)
{
	for (; known->key; known++) {
		if (!strcmp(known->key, o->key))
			return known->set(p, o);
	}
	snprintf(p->error, p->error_size, "%s: no option '%s'", p->callout, o->key);
	return -EINVAL;
}

static int parse(struct parser *p, const struct known *known, const struct nbl_callout_start *start)
{
	int r = 0;

	p->params = (struct model_params){
		.wfp = start->wfp, .owner = start->owner, .limit = DEFAULT_LIMIT,
		.mac_source = { 0x02 }, .allow = allow_all,
	};
	for (uint32_t i = 0; i < start->n_options && !r; i++)
		r = parse_one(p, known, &start->options[i]);
	return r;
}

static int started(const struct parser *p, int r)
{
	if (r < 0)
		snprintf(p->error, p->error_size, "%s: not registered (%s)", p->callout,
			 strerrorname_np(-r));
	return r;
}

static const struct known none[] = { { NULL, NULL } };
static const struct known of_modify_inline[] = { { "dscp", set_dscp }, { NULL, NULL } };
static const struct known of_inspect_oob[] = {
	{ "hold-ms", set_hold }, { "limit", set_limit }, { "verdict", set_verdict }, { NULL, NULL }
};
static const struct known of_modify_oob[] = {
	{ "mac", set_mac }, { "limit", set_limit }, { NULL, NULL }
};

/* ---- the four ---- */

#define PARSER(kind) { .callout = (kind).name, .error = error, .error_size = error_size }

static int inspect_inline_start(const struct nbl_callout_start *start, void **ret_context,
				char *error, size_t error_size)
{
	struct parser p = PARSER(callout_inspect_inline);
	struct inspect_inline *m = NULL;
	int r = parse(&p, none, start);

	if (r < 0)
		return r;
	r = inspect_inline_new(&p.params, &m);
	*ret_context = m;
	return started(&p, r);
}

static int modify_inline_start(const struct nbl_callout_start *start, void **ret_context,
			       char *error, size_t error_size)
{
	struct parser p = PARSER(callout_modify_inline);
	struct modify_inline *m = NULL;
	int r = parse(&p, of_modify_inline, start);

	if (r < 0)
		return r;
	r = modify_inline_new(&p.params, &m);
	*ret_context = m;
	return started(&p, r);
}

static int inspect_oob_start(const struct nbl_callout_start *start, void **ret_context,
			     char *error, size_t error_size)
{
	struct parser p = PARSER(callout_inspect_oob);
	struct inspect_oob *m = NULL;
	int r = parse(&p, of_inspect_oob, start);

	if (r < 0)
		return r;
	r = inspect_oob_new(&p.params, &m);
	*ret_context = m;
	return started(&p, r);
}

static int modify_oob_start(const struct nbl_callout_start *start, void **ret_context,
			    char *error, size_t error_size)
{
	struct parser p = PARSER(callout_modify_oob);
	struct modify_oob *m = NULL;
	int r = parse(&p, of_modify_oob, start);

	if (r < 0)
		return r;
	r = modify_oob_new(&p.params, &m);
	*ret_context = m;
	return started(&p, r);
}

static uint64_t inspect_oob_work(void *context, uint64_t now_ns)
{
	inspect_oob_run(context, now_ns);
	return inspect_oob_next(context);
}

static uint64_t modify_oob_work(void *context, uint64_t now_ns)
{
	modify_oob_run(context);
	return modify_oob_waits(context) && now_ns != UINT64_MAX ? now_ns + RETRY_NS : 0;
}

/* The functions of a kind get 'void *'; these hand it on as what it is. */
#define MODEL(model) \
static int model##_stop(void *context) \
{ \
	return model##_free(context); \
} \
static uint32_t model##_get_id(const void *context) \
{ \
	return model##_id(context); \
} \
static void model##_count(const void *context, struct nbl_callout_kind_counts *ret) \
{ \
	model##_get_counts(context, ret); \
}

MODEL(inspect_inline)
MODEL(modify_inline)
MODEL(inspect_oob)
MODEL(modify_oob)

#define KIND(model) .start = model##_start, .stop = model##_stop, .id = model##_get_id, \
	.get_counts = model##_count

const struct nbl_callout_kind callout_inspect_inline = {
	.name = "inspect-inline", KIND(inspect_inline),
};

const struct nbl_callout_kind callout_modify_inline = {
	.name = "modify-inline", KIND(modify_inline),
	.options_help = "dscp=0..63 (0)",
};

const struct nbl_callout_kind callout_inspect_oob = {
	.name = "inspect-oob", KIND(inspect_oob), .run = inspect_oob_work,
	.options_help =
		"hold-ms=0..1000 (0) limit=packets held (4096) verdict=allow|discard (allow)",
};

const struct nbl_callout_kind callout_modify_oob = {
	.name = "modify-oob", KIND(modify_oob), .run = modify_oob_work,
	.options_help = "mac=source address to write (02:00:00:00:00:00) limit=packets held (4096)",
};

const struct nbl_callout_kind *const callout_kinds[] = {
	&callout_inspect_inline, &callout_modify_inline, &callout_inspect_oob, &callout_modify_oob,
	NULL
};
