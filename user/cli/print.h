/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * print.h - answers of nbld as text for people.
 */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "edge/verbs.h"

/* An answer, and how it is wanted (all borrowed). */
struct answer {
	json_t *data;
	bool statistics;	/* -s */
	json_t *earlier;	/* the same data, asked for before; NULL = no rates */
	double seconds;		/* between the two */
};

/* Prints the answer to the command 'id' to standard output. */
void answer_print(enum verb_id id, const struct answer *a);

/* `show`. */
void show_print(const struct answer *a);

/* What module "filter" did, rule by rule: a module of `module list`. */
void filter_print(const json_t *module);

/* One adapter of `holds`, `pendingnbls`, `nbl`, `nbllog`, `nblpool`. */
void holds_print(const json_t *adapter);
void pending_print(const json_t *adapter);
void nbl_print(const json_t *adapter);
void history_print(const json_t *adapter);
void pools_print(const json_t *adapter);

/* Numbers and texts of an object; 0 and "" for what is not there. Texts are safe on a terminal: */
uint64_t get_number(const json_t *object, const char *key);
/* returns borrowed, until eight more are asked for. */
const char *get_text(const json_t *object, const char *key);

/* Prints 'data' (takes) as the one object that -j promises. */
void json_print(json_t *data);

/* The commands, or one of them, explained. Returns the exit status. */
int help_print(const char *const *words, size_t n_words, bool json);

#endif
