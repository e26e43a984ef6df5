/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * verbs.h - the commands: their names, words, help, and who may give them.
 *
 * One table for the keeper, which obeys them (commands.h), and nblctl, which
 * explains them and prints their answers.
 */
#ifndef EDGE_VERBS_H
#define EDGE_VERBS_H

#include <stdbool.h>
#include <stddef.h>

enum verb_id {
	VERB_ATTACH,
	VERB_DETACH,
	VERB_SHOW,
	VERB_DROPS,
	VERB_HOLDS,
	VERB_MODULE_LIST,
	VERB_MODULE_ADD,
	VERB_MODULE_SET,
	VERB_MODULE_REMOVE,
	VERB_PENDINGNBLS,
	VERB_NBL,
	VERB_NBLLOG,
	VERB_NBLPOOL,
	VERB_AUDIT,
	VERB_VERSION,
	VERB_HELP,
	N_VERBS
};

struct verb {
	enum verb_id id;
	const char *name;		/* first word */
	const char *object;		/* second word, or NULL */
	const char *words;		/* those that follow, as a synopsis */
	const char *summary;		/* one line */
	const char *details;		/* more lines, or NULL */
	bool changes;			/* needs full control */
	size_t min_words, max_words;	/* that follow */
};

/* The table, by enum verb_id. Returns borrowed, for ever. */
const struct verb *verbs_get(void);

/*
 * Finds the command that 'words' (borrows) begin with, also if shortened. Returns
 * borrowed, for ever, with the number of words its name took in ret_used (fills);
 * or NULL with a sentence in 'error' (fills). The number of further words is checked.
 */
const struct verb *verb_find(const char *const *words, size_t n_words, size_t *ret_used,
			     char *error, size_t error_size);

/*
 * All commands that 'words' (borrows), one or two of them, may begin: for help. Fills
 * ret, of N_VERBS elements, and returns their number; 0 with a sentence in 'error' (fills).
 */
size_t verbs_match(const char *const *words, size_t n_words, const struct verb **ret, char *error,
		   size_t error_size);

/* "module add NAME MODULE ..." in 'dst' (fills). Returns 'dst'. */
const char *verb_synopsis(const struct verb *v, char *dst, size_t size);

#endif
