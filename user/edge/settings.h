/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * settings.h - each setting of an adapter: its name, its values, its parser and printer.
 *
 * The one table behind the keys of the configuration file and the words of
 * `attach`, so that both take the same values and say the same about wrong ones.
 */
#ifndef EDGE_SETTINGS_H
#define EDGE_SETTINGS_H

#include "edge/adapter_conf.h"

#define SETTING_TEXT_MAX 256	/* of a printed value */

/* Where a setting may be given. */
enum setting_place {
	SETTING_FILE = 1u << 0,
	SETTING_WORDS = 1u << 1,
};

struct setting {
	const char *key;
	const char *values;		/* what it takes, for people */
	uint32_t places;		/* enum setting_place */

	/*
	 * Parses 'value' into 'conf'. 0, or -EINVAL with a sentence in 'error' (fills); 'conf'
	 * unchanged then.
	 */
	int (*parse)(const struct setting *s, struct adapter_conf *conf, const char *value,
		     char *error, size_t error_size);
	/*
	 * Writes the value in 'conf' as parse() takes it into 'dst' of SETTING_TEXT_MAX bytes
	 * (fills).
	 */
	void (*print)(const struct setting *s, const struct adapter_conf *conf, char *dst);

	/* for the parsers: where the value is kept, and which values are possible */
	size_t offset, size;
	const char *const *words;	/* NULL-ended, by value */
	unsigned long min, max;
};

/* The table. Fills ret_n. Returns borrowed, for ever. */
const struct setting *settings_get(size_t *ret_n);

/*
 * The setting called 'key' among those allowed in 'place'. Returns borrowed, for
 * ever; NULL if there is none, with the nearest key, or NULL, in ret_nearest (fills).
 */
const struct setting *setting_find(const char *key, enum setting_place place,
				   const char **ret_nearest);

#endif
