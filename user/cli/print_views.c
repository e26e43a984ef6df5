/* SPDX-License-Identifier: BSD-2-Clause */
/* print_views.c - who has which NBL, for people. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/print.h"
#include "cli/table.h"
#include "edge/text.h"

#define LIST_SIZE 512

/* The texts in the array 'key', "a, b", safe on a terminal, in 'dst' (fills). Returns 'dst'. */
static const char *list_text(const json_t *object, const char *key, char *dst)
{
	char clean[128];
	size_t i, used = 0;
	const json_t *item;

	*dst = '\0';
	json_array_foreach(json_object_get(object, key), i, item) {
		text_escape(clean, sizeof(clean),
			    json_string_value(item) ? json_string_value(item) : "");
		if (used + strlen(clean) + 3 > LIST_SIZE)
			break;
		used += (size_t)sprintf(dst + used, "%s%s", used ? ", " : "", clean);
	}
	return dst;
}

static void cells(struct table *t, const json_t *object, const char *const *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		table_number(t, get_number(object, keys[i]));
}

#define CELLS(t, object, ...) do { \
	static const char *const keys[] = { __VA_ARGS__ }; \
	cells(t, object, keys, sizeof(keys) / sizeof(keys[0])); \
} while (0)

static const char *or_none(const char *text)
{
	return *text ? text : "-";
}

/* ---- holds ---- */

/* "ok", and in other words what limits it. */
static void limits_print(const json_t *m)
{
	const json_t *limits = json_object_get(m, "limits");
	static const struct { const char *key, *what, *unit; } all[] = {
		{ "held", "holds at most", " packets" },
		{ "share_percent", "at most", "% of the frames" },
		{ "soft_age_ms", "warned after", " ms" },
		{ "hard_age_ms", "unhealthy after", " ms" },
	};

	if (!limits)
		return;
	printf("  %s is %s", get_text(m, "name"), get_text(m, "health"));
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (get_number(limits, all[i].key))
			printf("; %s %" PRIu64 "%s", all[i].what, get_number(limits, all[i].key),
			       all[i].unit);
	if (get_number(m, "warnings"))
		printf("; %" PRIu64 " warnings", get_number(m, "warnings"));
	if (get_number(m, "lent") || get_number(m, "skipped"))
		printf("; %" PRIu64 " packets only lent to it, %" PRIu64 " past it",
		       get_number(m, "lent"), get_number(m, "skipped"));
	printf("\n");
}

static void hold_cells(struct table *t, const json_t *m)
{
	char share[16];

	snprintf(share, sizeof(share), "%.1f%%",
		 json_number_value(json_object_get(m, "share_percent")));
	table_row(t);
	table_text(t, get_text(m, "name"));
	table_number(t, get_number(m, "held"));
	table_text(t, share);
	CELLS(t, m, "oldest_ms", "reference", "clone", "deep_clone", "copy", "pending", "refused",
	      "promoted");
}

void holds_print(const json_t *adapter)
{
	const json_t *modules = json_object_get(adapter, "modules"), *m;
	struct table *t;
	size_t i;

	printf("%s:%s\n", get_text(adapter, "name"), json_array_size(modules) ? "" : " no modules");
	if (!json_array_size(modules))
		return;
	t = table_new("MODULE|>HELD|>SHARE|>OLDEST ms|>REFERENCE|>CLONE|>DEEP CLONE|>COPY|>PENDING|"
		      ">REFUSED|>PROMOTED");
	json_array_foreach(modules, i, m)
		hold_cells(t, m);
	table_print(t, "  ");
	json_array_foreach(modules, i, m)
		limits_print(m);
	if (!json_is_true(json_object_get(adapter, "worker_answered")))
		printf("  note: no worker answers; this is what the ledger tells\n");
}

/* ---- pendingnbls ---- */

static void groups_print(const json_t *adapter)
{
	struct table *t = table_new("HOLDER|PORT|>NBLS");
	const json_t *g;
	size_t i;

	json_array_foreach(json_object_get(adapter, "holders"), i, g) {
		table_row(t);
		table_text(t, get_text(g, "holder"));
		table_text(t, or_none(get_text(g, "port")));
		table_number(t, get_number(g, "nbls"));
	}
	table_print(t, "  ");
}

static void pending_cells(struct table *t, const json_t *n)
{
	char holders[LIST_SIZE];

	table_row(t);
	table_text(t, get_text(n, "id"));
	table_text(t, get_text(n, "kind"));
	table_text(t, get_text(n, "state"));
	table_text(t, list_text(n, "holders", holders));
	table_text(t, json_is_true(json_object_get(n, "owner_pending")) ? "yes" : "no");
	table_text(t, or_none(get_text(n, "port")));
	table_text(t, or_none(get_text(n, "parent")));
	CELLS(t, n, "references", "children", "age_ms", "frames", "length");
}

void pending_print(const json_t *adapter)
{
	const json_t *nbls = json_object_get(adapter, "nbls"), *n;
	struct table *t;
	size_t i;

	printf("%s: %" PRIu64 " NBLs are not home\n", get_text(adapter, "name"),
	       get_number(adapter, "total"));
	if (!json_array_size(nbls))
		return;
	groups_print(adapter);
	printf("\n");
	t = table_new("NBL|KIND|STATE|HOLDERS|PENDING|PORT|PARENT|>REFS|>CHILDREN|>AGE ms|>FRAMES|"
		      ">BYTES");
	json_array_foreach(nbls, i, n)
		pending_cells(t, n);
	table_print(t, "  ");
	if (get_number(adapter, "more"))
		printf("  and %" PRIu64 " more\n", get_number(adapter, "more"));
}

/* ---- nbl ---- */

static void source_print(const json_t *nbl)
{
	const json_t *source = json_object_get(nbl, "source");

	printf("  source %s: %s", get_text(source, "handle"), get_text(source, "origin"));
	if (json_object_get(source, "queue"))
		printf(" queue %" PRIu64, get_number(source, "queue"));
	if (json_object_get(source, "module"))
		printf(" %s", get_text(source, "module"));
	printf("\n");
}

static void info_print(const json_t *nbl)
{
	json_t *info = json_object_get(nbl, "info"), *value;
	const char *key;

	if (!json_object_size(info))
		return;
	printf("  information:");
	json_object_foreach(info, key, value) {
		if (json_is_integer(value))
			printf(" %s %" JSON_INTEGER_FORMAT, key, json_integer_value(value));
		else
			printf(" %s", key);
	}
	printf("\n");
}

static void segments_print(const json_t *nbl)
{
	struct table *t = table_new("PACKET|FRAME|>LENGTH");
	const json_t *s;
	size_t i;

	json_array_foreach(json_object_get(nbl, "segments"), i, s) {
		char frame[24] = "none";

		if (json_is_true(json_object_get(s, "foreign")))
			strcpy(frame, "foreign");
		else if (json_is_integer(json_object_get(s, "frame")))
			snprintf(frame, sizeof(frame), "%" PRIu64, get_number(s, "frame"));
		table_row(t);
		table_number(t, get_number(s, "packet"));
		table_text(t, frame);
		table_number(t, get_number(s, "length"));
	}
	table_print(t, "  ");
}

static void bytes_print(const json_t *nbl)
{
	const char *hex = get_text(nbl, "bytes");

	for (size_t i = 0; hex[i] && hex[i + 1]; i += 2)
		printf("%s%.2s%s", i % 32 ? " " : "  ", hex + i,
		       i % 32 == 30 || !hex[i + 2] ? "\n" : "");
}

void nbl_print(const json_t *adapter)
{
	const json_t *n = json_object_get(adapter, "nbl");
	char list[LIST_SIZE];

	printf("%s: %s %s, %s", get_text(adapter, "name"), get_text(n, "kind"), get_text(n, "id"),
	       json_is_true(json_object_get(n, "home")) ? "home" : get_text(n, "state"));
	if (!json_is_true(json_object_get(n, "home")))
		printf(", held by %s for %" PRIu64 " ms", list_text(n, "holders", list),
		       get_number(n, "age_ms"));
	printf("\n  owner pending %s  references %" PRIu64 "  children %" PRIu64 "  parent %s\n",
	       json_is_true(json_object_get(n, "owner_pending")) ? "yes" : "no",
	       get_number(n, "references"), get_number(n, "children"),
	       or_none(get_text(n, "parent")));
	printf("  port %s  frame type %s  status %s  outcome %s\n", or_none(get_text(n, "port")),
	       get_text(n, "frame_type"), get_text(n, "status"), get_text(n, "outcome"));
	source_print(n);
	printf("  flags %s\n", or_none(list_text(n, "flags", list)));
	info_print(n);
	printf("  packets %" PRIu64 "  offset %" PRIu64 "  length %" PRIu64 "\n",
	       get_number(n, "packets"), get_number(n, "data_offset"),
	       get_number(n, "data_length"));
	if (json_array_size(json_object_get(n, "segments")))
		segments_print(n);
	bytes_print(n);
}

/* ---- nbllog, nblpool ---- */

void history_print(const json_t *adapter)
{
	const json_t *list = json_object_get(adapter, "transfers"), *transfer;
	size_t i;

	if (!json_is_true(json_object_get(adapter, "on"))) {
		printf("%s: transfers are not noted. Try: nblctl nbllog %s on\n",
		       get_text(adapter, "name"), get_text(adapter, "name"));
		return;
	}
	printf("%s: the last %zu of %" PRIu64 " transfers\n", get_text(adapter, "name"),
	       json_array_size(list), get_number(adapter, "noted"));
	json_array_foreach(list, i, transfer) {
		uint64_t ns = get_number(transfer, "time_ns");

		printf("  %" PRIu64 ".%06" PRIu64 "  %-8s  %s -> %s  %s\n", ns / 1000000000,
		       ns % 1000000000 / 1000, get_text(transfer, "id"), get_text(transfer, "from"),
		       get_text(transfer, "to"), get_text(transfer, "path"));
	}
}

void pools_print(const json_t *adapter)
{
	const json_t *pools = json_object_get(adapter, "pools"), *p;
	struct table *t;
	size_t i;

	printf("%s:%s\n", get_text(adapter, "name"), json_array_size(pools) ? "" : " no pools");
	if (!json_array_size(pools))
		return;
	t = table_new(">POOL|NAME|>NBLS|>FREE|>FRAMES|>FREE|>OF BYTES|MEMORY|>EXHAUSTED|>RETREATS");
	json_array_foreach(pools, i, p) {
		table_row(t);
		table_number(t, get_number(p, "number"));
		table_text(t, or_none(get_text(p, "name")));
		CELLS(t, p, "nbls", "nbls_free", "frames", "frames_free", "frame_size");
		table_text(t, get_text(p, "memory"));
		CELLS(t, p, "exhausted", "retreats");
	}
	table_print(t, "  ");
	printf("  hidden copies %" PRIu64 "\n", get_number(adapter, "hidden_copies"));
}
