/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.h - rows of cells printed in columns as wide as they need to be.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdint.h>

#define TABLE_MAX_COLUMNS 12

struct table;

/*
 * A table with the headings in 'heads', separated by '|' (borrows). A heading that
 * begins with '>' is for numbers: right-aligned. Returns owned, table_print().
 * Exits when memory is short, as all of this does.
 */
struct table *table_new(const char *heads);

/* Starts a row, then fills its cells from the left ('text' is copied). */
void table_row(struct table *t);
void table_text(struct table *t, const char *text);
void table_number(struct table *t, uint64_t number);

/* Prints 't' (takes) to standard output, each line behind 'indent'. */
void table_print(struct table *t, const char *indent);

#endif
