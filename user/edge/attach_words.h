/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attach_words.h - the words of `attach` and of `module add` as configurations.
 *
 *   attach IF host     [KEY VALUE ...]
 *   attach IF pair IF2 [KEY VALUE ...]
 *   module add NAME MODULE [before OTHER | after OTHER] [KEY=VALUE ...]
 *   module set NAME MODULE KEY=VALUE ...
 *
 * The keys are those of settings.h. Words are borrowed, errors sentences.
 */
#ifndef EDGE_ATTACH_WORDS_H
#define EDGE_ATTACH_WORDS_H

#include "edge/adapter_conf.h"

/*
 * Parses the words behind `attach` (fills ret). 0, or -EINVAL with a sentence in
 * 'error' (fills).
 */
NBL_MUST_CHECK int attach_words_parse(const char *const *words, size_t n_words,
				      struct adapter_conf *ret, char *error, size_t error_size);

/* What `module add` says; the words it was parsed from stay borrowed. */
struct module_words {
	const char *adapter;
	const char *before, *after;	/* another module, or NULL; not both */
	struct module_conf conf;
};

/*
 * Parses the words behind `module add` (fills ret). 0, or -EINVAL with a sentence in
 * 'error' (fills).
 */
NBL_MUST_CHECK int module_words_parse(const char *const *words, size_t n_words,
				      struct module_words *ret, char *error, size_t error_size);

/* The same behind `module set`: options only, at least one. */
NBL_MUST_CHECK int module_set_words_parse(const char *const *words, size_t n_words,
					  struct module_words *ret, char *error,
					  size_t error_size);

#endif
