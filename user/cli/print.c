/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/print.h"

#include <inttypes.h>
#include <string.h>

#include "cli/table.h"
#include "edge/text.h"

#define TEXT_SIZE 256

uint64_t get_number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

const char *get_text(const json_t *object, const char *key)
{
	static char texts[8][TEXT_SIZE];
	static unsigned int next;
	const char *text = json_string_value(json_object_get(object, key));

	next = (next + 1) % 8;
	return text_escape(texts[next], TEXT_SIZE, text ? text : "");
}

/* ---- changes ---- */

static void port_mode_print(const json_t *port)
{
	printf("%s %s+%s", get_text(port, "ifname"), get_text(port, "xdp"), get_text(port, "copy"));
}

static void attached_print(const struct answer *a)
{
	const json_t *adapter = json_object_get(a->data, "adapter");

	if (!adapter) {
		printf("%s: attached already, nothing changed\n", get_text(a->data, "name"));
		return;
	}
	printf("%s: attached: %s, ", get_text(a->data, "name"), get_text(adapter, "layout"));
	port_mode_print(json_object_get(adapter, "lower"));
	printf(", ");
	port_mode_print(json_object_get(adapter, "upper"));
	printf("\n");
}

static void detached_print(const struct answer *a)
{
	printf("%s: detached, interfaces restored\n", get_text(a->data, "name"));
}

static void changed_print(const struct answer *a)
{
	printf("%s: done\n", get_text(a->data, "name"));
}

/* ---- drops ---- */

static uint64_t drops_sum(const json_t *rows)
{
	uint64_t sum = 0;
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		sum += get_number(row, "packets");
	return sum;
}

static void drop_rows_print(const json_t *rows)
{
	struct table *t = table_new("PLACE|REASON|>PACKETS");
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		table_row(t);
		table_text(t, get_text(row, "place"));
		table_text(t, get_text(row, "reason"));
		table_number(t, get_number(row, "packets"));
	}
	table_print(t, "  ");
}

/* Of NBLs that no port received: by reason alone. */
static void originated_drops_print(const json_t *originated)
{
	const json_t *rows = json_object_get(originated, "drops"), *row;
	size_t i;

	if (json_array_size(rows))
		printf("  originated, not among these:");
	json_array_foreach(rows, i, row)
		printf("  %s %" PRIu64, get_text(row, "reason"), get_number(row, "nbls"));
	if (json_array_size(rows))
		printf("\n");
}

static void adapter_drops_print(const json_t *adapter)
{
	const json_t *outcomes = json_object_get(adapter, "outcomes");
	const json_t *rows = json_object_get(adapter, "drops");
	uint64_t dropped = get_number(outcomes, "dropped"), sum = drops_sum(rows);

	printf("%s: received %" PRIu64 " = to-wire %" PRIu64 " + to-host %" PRIu64
	       " + consumed %" PRIu64 " + offloaded %" PRIu64 " + in-flight %" PRIu64 " + dropped %"
	       PRIu64 "\n", get_text(adapter, "name"), get_number(adapter, "received"),
	       get_number(outcomes, "to_wire"), get_number(outcomes, "to_host"),
	       get_number(outcomes, "consumed"), get_number(outcomes, "offloaded"),
	       get_number(adapter, "in_flight"), dropped);
	if (json_array_size(rows))
		drop_rows_print(rows);
	if (sum != dropped)
		printf("  WARNING: the rows sum to %" PRIu64 ", not to %" PRIu64 "\n", sum,
		       dropped);
	originated_drops_print(json_object_get(adapter, "originated"));
}

/* ---- modules, audit ---- */

static void modules_print(const struct answer *a)
{
	const json_t *modules = json_object_get(a->data, "modules"), *m;
	struct table *t;
	size_t i;

	if (!json_array_size(modules)) {
		printf("%s: no modules\n", get_text(a->data, "name"));
		return;
	}
	t = table_new("MODULE|STATE|>PACKETS|>HELD|>OLDEST ms|>FAULTS");
	json_array_foreach(modules, i, m) {
		table_row(t);
		table_text(t, get_text(m, "name"));
		table_text(t, get_text(m, "state"));
		table_number(t, get_number(m, "packets"));
		table_number(t, get_number(m, "held"));
		table_number(t, get_number(m, "oldest_ms"));
		table_number(t, get_number(m, "faults"));
	}
	table_print(t, "");
	json_array_foreach(modules, i, m)
		if (!strcmp(get_text(m, "name"), "filter"))
			filter_print(m);
}

static void adapter_audit_print(const json_t *adapter)
{
	printf("%s: %" PRIu64 " frames, %" PRIu64 " mismatches, %" PRIu64 " violations, %" PRIu64
	       " quarantined: %s\n",
	       get_text(adapter, "name"), get_number(adapter, "frames"),
	       get_number(adapter, "mismatches"), get_number(adapter, "violations"),
	       get_number(adapter, "quarantined"),
	       get_number(adapter, "mismatches") ? "WRONG" : "ok");
}

/* ---- the way in ---- */

static void adapters_print(const struct answer *a, void (*print)(const json_t *adapter))
{
	const json_t *adapters = json_object_get(a->data, "adapters"), *adapter;
	size_t i;

	if (!json_array_size(adapters))
		printf("no adapters\n");
	json_array_foreach(adapters, i, adapter)
		print(adapter);
}

static void drops_print(const struct answer *a)
{
	adapters_print(a, adapter_drops_print);
}

static void all_holds_print(const struct answer *a)
{
	adapters_print(a, holds_print);
}

static void all_pending_print(const struct answer *a)
{
	adapters_print(a, pending_print);
}

static void all_nbls_print(const struct answer *a)
{
	adapters_print(a, nbl_print);
}

static void all_pools_print(const struct answer *a)
{
	adapters_print(a, pools_print);
}

/* Switching answers like any change. */
static void all_histories_print(const struct answer *a)
{
	if (json_object_get(a->data, "adapters"))
		adapters_print(a, history_print);
	else
		changed_print(a);
}

static void audit_print(const struct answer *a)
{
	adapters_print(a, adapter_audit_print);
}

void answer_print(enum verb_id id, const struct answer *a)
{
	static void (*const printers[N_VERBS])(const struct answer *a) = {
		[VERB_ATTACH] = attached_print,
		[VERB_DETACH] = detached_print,
		[VERB_SHOW] = show_print,
		[VERB_DROPS] = drops_print,
		[VERB_HOLDS] = all_holds_print,
		[VERB_MODULE_LIST] = modules_print,
		[VERB_MODULE_ADD] = changed_print,
		[VERB_MODULE_SET] = changed_print,
		[VERB_MODULE_REMOVE] = changed_print,
		[VERB_PENDINGNBLS] = all_pending_print,
		[VERB_NBL] = all_nbls_print,
		[VERB_NBLLOG] = all_histories_print,
		[VERB_NBLPOOL] = all_pools_print,
		[VERB_AUDIT] = audit_print,
	};

	if (printers[id])
		printers[id](a);
}
