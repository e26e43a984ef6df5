/* SPDX-License-Identifier: BSD-2-Clause */
#include "edge/tap_conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/text.h"

#define LEAST_TYPE 0x600	/* below are lengths (802.3) */

static const struct {
	const char *name;
	uint16_t type;
} names[] = {
	{ "ipv4", 0x0800 }, { "arp", 0x0806 }, { "ipv6", 0x86dd }, { "lldp", 0x88cc },
	{ "mpls", 0x8847 }, { "pppoe", 0x8864 }, { "ptp", 0x88f7 }, { "lacp", 0x8809 },
};

bool tap_conf_is_tap(const struct module_conf *m)
{
	return !strcmp(m->name, TAP_MODULE);
}

/* False if 'word' is neither a name nor a number of a frame type. */
static bool type_parse(const char *word, uint16_t *ret)
{
	unsigned long value;
	size_t n_digits;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(word, names[i].name)) {
			*ret = names[i].type;
			return true;
		}
	if (strncmp(word, "0x", 2))
		return false;
	n_digits = strspn(word + 2, "0123456789abcdefABCDEF");
	if (!n_digits || n_digits > 4 || word[2 + n_digits])
		return false;
	value = strtoul(word + 2, NULL, 16);
	*ret = (uint16_t)value;
	return value >= LEAST_TYPE;
}

static int types_parse(const char *value, struct tap_conf *tap, char *error, size_t error_size)
{
	char copy[OPTION_VALUE_MAX], *rest = copy, *word;

	snprintf(copy, sizeof(copy), "%s", value);
	while ((word = strsep(&rest, ","))) {
		if (tap->n_types == NBL_MAX_BINDING_TYPES) {
			snprintf(error, error_size, "module tap: types: more than %d",
				 NBL_MAX_BINDING_TYPES);
			return -EINVAL;
		}
		if (!type_parse(word, &tap->types[tap->n_types++])) {
			snprintf(error, error_size,
				 "module tap: types: \"%.32s\" is neither a frame type such as "
				 "0x0806 nor one of arp, ipv4, ipv6, lacp, lldp, mpls, pppoe, ptp",
				 word);
			return -EINVAL;
		}
	}
	return 0;
}

static int to_parse(const char *value, struct tap_conf *tap, char *error, size_t error_size)
{
	/* '%' would be a pattern of the kernel's, ':' an alias */
	if (!text_is_name(value) || strlen(value) >= sizeof(tap->ifname) || strpbrk(value, "%:")) {
		snprintf(error, error_size, "module tap: to: \"%.32s\" is no name for a network "
			 "device", value);
		return -EINVAL;
	}
	strcpy(tap->ifname, value);
	return 0;
}

int tap_conf_parse(const struct module_conf *m, struct tap_conf *ret, char *error,
		   size_t error_size)
{
	struct tap_conf tap = { .n_types = 0 };
	int r = 0;

	for (uint32_t i = 0; i < m->n_options && !r; i++) {
		const struct module_option *o = &m->options[i];

		if (!strcmp(o->key, "to")) {
			r = to_parse(o->value, &tap, error, error_size);
		} else if (!strcmp(o->key, "types")) {
			r = types_parse(o->value, &tap, error, error_size);
		} else {
			snprintf(error, error_size,
				 "module tap has no option '%s', only to and types", o->key);
			r = -EINVAL;
		}
	}
	if (!r && !*tap.ifname) {
		snprintf(error, error_size,
			 "module tap: to: missing: the name of the device to make");
		r = -EINVAL;
	}
	if (!r)
		*ret = tap;
	return r;
}
