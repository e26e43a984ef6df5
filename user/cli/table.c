/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/table.h"

#include <err.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
	char *cells[TABLE_MAX_COLUMNS];
};

struct table {
	size_t n_columns, n_rows, at;
	bool right[TABLE_MAX_COLUMNS];
	struct row *rows;	/* the first: headings */
};

static void *enough(void *memory)
{
	if (!memory)
		err(EXIT_FAILURE, "memory");
	return memory;
}

struct table *table_new(const char *heads)
{
	struct table *t = enough(calloc(1, sizeof(*t)));
	char *copy = enough(strdup(heads)), *rest = copy, *head;

	t->n_columns = TABLE_MAX_COLUMNS;
	table_row(t);
	while ((head = strsep(&rest, "|"))) {
		t->right[t->at] = *head == '>';
		table_text(t, head + (*head == '>'));
	}
	t->n_columns = t->at;
	free(copy);
	return t;
}

void table_row(struct table *t)
{
	t->rows = enough(reallocarray(t->rows, t->n_rows + 1, sizeof(*t->rows)));
	t->rows[t->n_rows++] = (struct row){ .cells = { NULL } };
	t->at = 0;
}

void table_text(struct table *t, const char *text)
{
	if (t->at < t->n_columns)
		t->rows[t->n_rows - 1].cells[t->at++] = enough(strdup(text));
}

void table_number(struct table *t, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	table_text(t, text);
}

static const char *cell(const struct table *t, size_t row, size_t column)
{
	const char *text = t->rows[row].cells[column];

	return text ? text : "";
}

static int column_width(const struct table *t, size_t column)
{
	size_t width = 0;

	for (size_t i = 0; i < t->n_rows; i++) {
		size_t length = strlen(cell(t, i, column));

		if (length > width)
			width = length;
	}
	return (int)width;
}

static void row_print(const struct table *t, size_t row, const int *widths, const char *indent)
{
	printf("%s", indent);
	for (size_t c = 0; c < t->n_columns; c++) {
		bool last = c + 1 == t->n_columns;

		if (t->right[c])
			printf("%*s", widths[c], cell(t, row, c));
		else
			printf("%-*s", last ? 0 : widths[c], cell(t, row, c));
		printf("%s", last ? "\n" : "  ");
	}
}

void table_print(struct table *t, const char *indent)
{
	int widths[TABLE_MAX_COLUMNS];

	for (size_t c = 0; c < t->n_columns; c++)
		widths[c] = column_width(t, c);
	for (size_t i = 0; i < t->n_rows; i++)
		row_print(t, i, widths, indent);
	for (size_t i = 0; i < t->n_rows; i++) {
		for (size_t c = 0; c < TABLE_MAX_COLUMNS; c++)
			free(t->rows[i].cells[c]);
	}
	free(t->rows);
	free(t);
}
