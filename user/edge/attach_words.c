/* SPDX-License-Identifier: BSD-2-Clause */
#include "edge/attach_words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "edge/module_conf.h"
#include "edge/settings.h"
#include "edge/text.h"

/* Words yet to be read. */
struct words {
	const char *const *at;
	size_t left;
	char *error;
	size_t error_size;
};

static const char *word_next(struct words *w)
{
	if (!w->left)
		return NULL;
	w->left--;
	return *w->at++;
}

static int setting_set(struct words *w, struct adapter_conf *conf, const struct setting *s,
		       const char *value)
{
	if (value)
		return s->parse(s, conf, value, w->error, w->error_size);
	snprintf(w->error, w->error_size, "%s: missing: %s", s->key, s->values);
	return -EINVAL;
}

static int interface_parse(struct words *w, struct adapter_conf *conf, const char *key)
{
	const char *nearest;

	return setting_set(w, conf, setting_find(key, SETTING_FILE, &nearest), word_next(w));
}

static int layout_parse(struct words *w, struct adapter_conf *conf)
{
	const char *nearest;
	int result = setting_set(w, conf, setting_find("layout", SETTING_FILE, &nearest),
				 word_next(w));

	if (result < 0 || conf->layout == LAYOUT_HOST)
		return result;
	return interface_parse(w, conf, "upper");
}

static int key_value_parse(struct words *w, struct adapter_conf *conf, uint32_t *seen)
{
	const char *key = word_next(w), *nearest;
	const struct setting *s = setting_find(key, SETTING_WORDS, &nearest);
	char suggestion[64];
	uint32_t bit;
	size_t n;

	if (!s) {
		snprintf(w->error, w->error_size, "unknown word \"%.64s\"%s", key,
			 text_suggest(suggestion, sizeof(suggestion), nearest));
		return -EINVAL;
	}
	bit = 1u << (s - settings_get(&n));
	if (*seen & bit) {
		snprintf(w->error, w->error_size, "%s: given twice", s->key);
		return -EINVAL;
	}
	*seen |= bit;
	return setting_set(w, conf, s, word_next(w));
}

int attach_words_parse(const char *const *words, size_t n_words, struct adapter_conf *ret,
		       char *error, size_t error_size)
{
	struct words w = { .at = words, .left = n_words, .error = error, .error_size = error_size };
	struct adapter_conf conf = adapter_conf_default();
	uint32_t seen = 0;
	int result;

	result = interface_parse(&w, &conf, "lower");
	if (result == 0)
		result = layout_parse(&w, &conf);
	while (result == 0 && w.left)
		result = key_value_parse(&w, &conf, &seen);
	if (result == 0)
		result = adapter_conf_complete(&conf, error, error_size);
	if (result == 0)
		*ret = conf;
	return result;
}

static int option_parse(struct words *w, struct module_conf *m, const char *word)
{
	const char *equals = strchr(word, '=');
	char key[OPTION_KEY_MAX + 1];	/* one more, so that a key too long stays too long */

	if (!equals) {
		snprintf(w->error, w->error_size,
			 "\"%.64s\" is neither KEY=VALUE nor before or after a module", word);
		return -EINVAL;
	}
	snprintf(key, sizeof(key), "%.*s", (int)(equals - word), word);
	return module_conf_add_option(m, key, equals + 1, w->error, w->error_size);
}

static int place_parse(struct words *w, struct module_words *m, const char **ret_other)
{
	const char *other = word_next(w);

	if (m->before || m->after) {
		snprintf(w->error, w->error_size, "before and after: only one, once");
		return -EINVAL;
	}
	if (!other || !text_is_key(other)) {
		snprintf(w->error, w->error_size, "before and after need the name of a module");
		return -EINVAL;
	}
	*ret_other = other;
	return 0;
}

static int module_word_parse(struct words *w, struct module_words *m)
{
	const char *word = word_next(w);

	if (!strcmp(word, "before"))
		return place_parse(w, m, &m->before);
	if (!strcmp(word, "after"))
		return place_parse(w, m, &m->after);
	return option_parse(w, &m->conf, word);
}

int module_words_parse(const char *const *words, size_t n_words, struct module_words *ret,
		       char *error, size_t error_size)
{
	struct words w = { .at = words, .left = n_words, .error = error, .error_size = error_size };
	struct module_words m = { .adapter = word_next(&w) };
	const char *name = word_next(&w);
	int result;

	if (!name) {
		snprintf(error, error_size, "needs the names of an adapter and of a module");
		return -EINVAL;
	}
	result = module_conf_init(&m.conf, name, error, error_size);
	while (result == 0 && w.left)
		result = module_word_parse(&w, &m);
	if (result == 0)
		*ret = m;
	return result;
}

int module_set_words_parse(const char *const *words, size_t n_words, struct module_words *ret,
			   char *error, size_t error_size)
{
	struct module_words m;
	int result = module_words_parse(words, n_words, &m, error, error_size);

	if (result < 0)
		return result;
	if (m.before || m.after || !m.conf.n_options) {
		snprintf(error, error_size, m.conf.n_options ? "a module keeps its place" :
			 "needs KEY=VALUE");
		return -EINVAL;
	}
	*ret = m;
	return 0;
}
