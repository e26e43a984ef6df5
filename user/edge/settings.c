/* SPDX-License-Identifier: BSD-2-Clause */
#include "edge/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "edge/text.h"

#define MAX_QUEUE 63	/* bits of adapter_conf.queues */

/* The field of 'conf' that 's' keeps its number in: a bool or a uint32_t or an enumeration. */
static void number_write(const struct setting *s, struct adapter_conf *conf, uint32_t number)
{
	uint8_t *field = (uint8_t *)conf + s->offset;

	if (s->size == sizeof(bool))
		*field = (uint8_t)number;
	else
		memcpy(field, &number, sizeof(number));
}

static uint32_t number_read(const struct setting *s, const struct adapter_conf *conf)
{
	const uint8_t *field = (const uint8_t *)conf + s->offset;
	uint32_t number;

	if (s->size == sizeof(bool))
		return *field;
	memcpy(&number, field, sizeof(number));
	return number;
}

static int choice_parse(const struct setting *s, struct adapter_conf *conf, const char *value,
			char *error, size_t error_size)
{
	char suggestion[64];
	uint32_t n;

	for (n = 0; s->words[n]; n++) {
		if (!strcmp(s->words[n], value)) {
			number_write(s, conf, n);
			return 0;
		}
	}
	snprintf(error, error_size, "%s: \"%.64s\" is not %s%s", s->key, value, s->values,
		 text_suggest(suggestion, sizeof(suggestion), text_nearest(value, s->words, n)));
	return -EINVAL;
}

static void choice_print(const struct setting *s, const struct adapter_conf *conf, char *dst)
{
	snprintf(dst, SETTING_TEXT_MAX, "%s", s->words[number_read(s, conf)]);
}

static int number_parse(const struct setting *s, struct adapter_conf *conf, const char *value,
			char *error, size_t error_size)
{
	unsigned long number;

	if (!text_to_number(value, s->min, s->max, &number)) {
		snprintf(error, error_size, "%s: \"%.64s\" is not %s", s->key, value, s->values);
		return -EINVAL;
	}
	number_write(s, conf, (uint32_t)number);
	return 0;
}

static void number_print(const struct setting *s, const struct adapter_conf *conf, char *dst)
{
	snprintf(dst, SETTING_TEXT_MAX, "%" PRIu32, number_read(s, conf));
}

static int ring_parse(const struct setting *s, struct adapter_conf *conf, const char *value,
		      char *error, size_t error_size)
{
	unsigned long number;

	if (text_to_number(value, s->min, s->max, &number) && !(number & (number - 1)))
		return number_parse(s, conf, value, error, error_size);
	snprintf(error, error_size, "%s: \"%.64s\" is not %s", s->key, value, s->values);
	return -EINVAL;
}

static int name_parse(const struct setting *s, struct adapter_conf *conf, const char *value,
		      char *error, size_t error_size)
{
	if (!text_is_name(value) || strlen(value) >= s->size) {
		snprintf(error, error_size, "%s: \"%.64s\" is not %s", s->key, value, s->values);
		return -EINVAL;
	}
	memset((char *)conf + s->offset, 0, s->size);
	memcpy((char *)conf + s->offset, value, strlen(value));
	return 0;
}

static void name_print(const struct setting *s, const struct adapter_conf *conf, char *dst)
{
	snprintf(dst, SETTING_TEXT_MAX, "%s", (const char *)conf + s->offset);
}

/* Reads "N" or "N-M" at '*at' into the mask and moves past it. */
static bool queue_range_parse(const char **at, uint64_t *mask)
{
	unsigned int first, last;
	int used = 0, more = 0;

	if (**at < '0' || **at > '9' || sscanf(*at, "%2u%n", &first, &used) != 1)
		return false;
	*at += used;
	last = first;
	if (**at == '-') {
		if ((*at)[1] < '0' || (*at)[1] > '9' || sscanf(*at + 1, "%2u%n", &last, &more) != 1)
			return false;
		*at += 1 + more;
	}
	if (first > last || last > MAX_QUEUE)
		return false;
	for (unsigned int q = first; q <= last; q++)
		*mask |= UINT64_C(1) << q;
	return true;
}

static bool queue_list_parse(const char *list, uint64_t *ret_mask)
{
	uint64_t mask = 0;

	for (;;) {
		if (!queue_range_parse(&list, &mask))
			return false;
		if (!*list)
			break;
		if (*list++ != ',')
			return false;
	}
	*ret_mask = mask;
	return true;
}

static int queues_parse(const struct setting *s, struct adapter_conf *conf, const char *value,
			char *error, size_t error_size)
{
	uint64_t mask;

	if (!strcmp(value, "all")) {
		conf->queues = 0;
		return 0;
	}
	if (!queue_list_parse(value, &mask)) {
		snprintf(error, error_size, "%s: \"%.64s\" is not %s", s->key, value, s->values);
		return -EINVAL;
	}
	conf->queues = mask;
	return 0;
}

static unsigned int run_end(uint64_t mask, unsigned int first)
{
	while (first < MAX_QUEUE && mask >> (first + 1) & 1)
		first++;
	return first;
}

static void queues_print(const struct setting *s, const struct adapter_conf *conf, char *dst)
{
	char *out = dst;

	(void)s;
	if (!conf->queues) {
		snprintf(dst, SETTING_TEXT_MAX, "all");
		return;
	}
	for (unsigned int q = 0; q <= MAX_QUEUE; q++) {
		unsigned int last;

		if (!(conf->queues >> q & 1))
			continue;
		last = run_end(conf->queues, q);
		out += sprintf(out, "%s%u", out == dst ? "" : ",", q);
		if (last > q)
			out += sprintf(out, "-%u", last);
		q = last;
	}
}

#define FIELD(member) \
	.offset = offsetof(struct adapter_conf, member), \
	.size = sizeof(((struct adapter_conf *)NULL)->member)

static const char *const layout_words[] = { "host", "pair", NULL };
static const char *const fail_words[] = { "open", "closed", NULL };
static const char *const xdp_words[] = { "auto", "native", "generic", NULL };
static const char *const zerocopy_words[] = { "auto", "require", "off", NULL };

/* In the order in which a file is printed. */
static const struct setting settings[] = {
	{ .key = "name", .values = "a name of up to 31 visible characters, no '/'",
	  .places = SETTING_WORDS, .parse = name_parse, .print = name_print, FIELD(name) },
	{ .key = "lower", .values = "an interface name", .places = SETTING_FILE,
	  .parse = name_parse, .print = name_print, FIELD(lower) },
	{ .key = "layout", .values = "host or pair", .places = SETTING_FILE,
	  .parse = choice_parse, .print = choice_print, FIELD(layout), .words = layout_words },
	{ .key = "upper", .values = "an interface name", .places = SETTING_FILE,
	  .parse = name_parse, .print = name_print, FIELD(upper) },
	{ .key = "fail", .values = "open or closed", .places = SETTING_FILE | SETTING_WORDS,
	  .parse = choice_parse, .print = choice_print, FIELD(fail_closed), .words = fail_words },
	{ .key = "queues", .values = "all or a list of queues 0 to 63 like \"0-3,5\"",
	  .places = SETTING_FILE | SETTING_WORDS,
	  .parse = queues_parse, .print = queues_print, FIELD(queues) },
	{ .key = "xdp", .values = "auto, native or generic", .places = SETTING_FILE | SETTING_WORDS,
	  .parse = choice_parse, .print = choice_print, FIELD(xdp), .words = xdp_words },
	{ .key = "zerocopy", .values = "auto, require or off",
	  .places = SETTING_FILE | SETTING_WORDS,
	  .parse = choice_parse, .print = choice_print, FIELD(zerocopy), .words = zerocopy_words },
	{ .key = "hang-limit", .values = "milliseconds from 0 (never) to 60000",
	  .places = SETTING_FILE | SETTING_WORDS,
	  .parse = number_parse, .print = number_print, FIELD(hang_limit_ms), .max = 60000 },
	{ .key = "frames",
	  .values = "a number of frames per queue, 0 (as the rings need) to 1048576",
	  .places = SETTING_FILE | SETTING_WORDS,
	  .parse = number_parse, .print = number_print, FIELD(n_frames), .max = 1048576 },
	{ .key = "ring", .values = "a power of two from 64 to 32768",
	  .places = SETTING_FILE | SETTING_WORDS,
	  .parse = ring_parse, .print = number_print, FIELD(ring_size),
	  .min = 64, .max = ADAPTER_MAX_RING },
	{ .key = "pool", .values = "a number of frames from 0 (none) to 1048576",
	  .places = SETTING_FILE | SETTING_WORDS,
	  .parse = number_parse, .print = number_print, FIELD(n_pool_frames), .max = 1048576 },
};

#define N_SETTINGS (sizeof(settings) / sizeof(settings[0]))

const struct setting *settings_get(size_t *ret_n)
{
	*ret_n = N_SETTINGS;
	return settings;
}

const struct setting *setting_find(const char *key, enum setting_place place,
				   const char **ret_nearest)
{
	const char *keys[N_SETTINGS];
	size_t n_keys = 0;

	for (size_t i = 0; i < N_SETTINGS; i++) {
		if (!(settings[i].places & place))
			continue;
		if (!strcmp(settings[i].key, key))
			return &settings[i];
		keys[n_keys++] = settings[i].key;
	}
	*ret_nearest = text_nearest(key, keys, n_keys);
	return NULL;
}
