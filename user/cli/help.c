/* SPDX-License-Identifier: BSD-2-Clause */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/print.h"
#include "edge/control.h"

static const char head[] =
	"Usage: nblctl [-S SOCKET] [-j] [-s] [--timeout SECONDS] COMMAND ...\n"
	"\n"
	"Tells nbld what to do and asks what it does. Commands may be shortened.\n"
	"\n";

static const char tail[] =
	"\n"
	"  -S, --socket SOCKET    control socket (" CONTROL_PATH ")\n"
	"  -j, --json             print JSON\n"
	"  -s, --statistics       more figures; with show, rates over one second\n"
	"      --timeout SECONDS  how long to wait for an answer (30)\n"
	"\n"
	"Exit status: 0 done, 1 refused, 2 usage, 3 nbld is not running, 4 no permission,\n"
	"5 not supported, 6 configuration invalid, 7 partly done, 8 timed out.\n";

#define COLUMN 25	/* longer synopses stand on a line of their own */

static void all_print(void)
{
	const struct verb *verbs = verbs_get();
	char synopsis[128];

	fputs(head, stdout);
	for (size_t i = 0; i < N_VERBS; i++) {
		verb_synopsis(&verbs[i], synopsis, sizeof(synopsis));
		if (strlen(synopsis) > COLUMN)
			printf("  %s\n  %*s  %s\n", synopsis, COLUMN, "", verbs[i].summary);
		else
			printf("  %-*s  %s\n", COLUMN, synopsis, verbs[i].summary);
	}
	fputs(tail, stdout);
}

static void one_print(const struct verb *v)
{
	char synopsis[128];

	printf("Usage: nblctl %s\n\n", verb_synopsis(v, synopsis, sizeof(synopsis)));
	if (v->details)
		fputs(v->details, stdout);
	else
		printf("%c%s.\n", toupper((unsigned char)v->summary[0]), v->summary + 1);
}

/* As nbld answers "help", and with the details. */
static json_t *report(const struct verb *const *verbs, size_t n)
{
	json_t *commands = json_array();
	char synopsis[128];

	for (size_t i = 0; i < n; i++)
		json_array_append_new(commands, json_pack("{s:s, s:s, s:s?}",
			"command", verb_synopsis(verbs[i], synopsis, sizeof(synopsis)),
			"summary", verbs[i]->summary, "details", verbs[i]->details));
	return json_pack("{s:i, s:s, s:o}", "schema", CONTROL_SCHEMA, "version", NBL_VERSION,
			 "commands", commands);
}

int help_print(const char *const *words, size_t n_words, bool json)
{
	const struct verb *verbs[N_VERBS];
	char error[256];
	size_t n;

	if (!n_words && !json) {
		all_print();
		return STATUS_DONE;
	}
	n = verbs_match(words, n_words, verbs, error, sizeof(error));
	if (!n) {
		fprintf(stderr, "nblctl: %s\n", error);
		return STATUS_USAGE;
	}
	if (json) {
		json_print(report(verbs, n));
		return STATUS_DONE;
	}
	for (size_t i = 0; i < n; i++) {
		if (i)
			printf("\n");
		one_print(verbs[i]);
	}
	return STATUS_DONE;
}
