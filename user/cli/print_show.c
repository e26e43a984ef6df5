/* SPDX-License-Identifier: BSD-2-Clause */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/print.h"

/* A sum that has to come out. */
struct sum {
	uint64_t total, sum;
};

static void part_print(struct sum *s, const json_t *object, const char *key, const char *name,
		       const char *separator)
{
	uint64_t n = get_number(object, key);

	printf("%s%s %" PRIu64, separator, name, n);
	s->sum += n;
}

static void sum_print(const struct sum *s)
{
	if (s->sum == s->total)
		printf("  ok\n");
	else
		printf("  WRONG by %" PRId64 "\n", (int64_t)(s->sum - s->total));
}

/* ---- rates ---- */

/* "12.4 M" of a figure per second. */
static void rate_print(const char *name, double rate, const char *unit)
{
	static const char *const scales[] = { "", "k", "M", "G", "T" };
	size_t i = 0;

	for (; rate >= 1000 && i < 4; i++)
		rate /= 1000;
	printf("  %s %.*f %s%s", name, i ? 1 : 0, rate, scales[i], unit);
}

static double rate_of(const struct answer *a, const json_t *now, const json_t *before,
		      const char *key)
{
	uint64_t n = get_number(now, key), was = get_number(before, key);

	return n > was ? (double)(n - was) / a->seconds : 0;
}

/* The port as it was in the earlier answer, NULL if it was not. */
static const json_t *port_before(const struct answer *a, const char *adapter_name, const char *side)
{
	const json_t *adapter;
	size_t i;

	json_array_foreach(json_object_get(a->earlier, "adapters"), i, adapter) {
		if (!strcmp(get_text(adapter, "name"), adapter_name))
			return json_object_get(adapter, side);
	}
	return NULL;
}

static void port_rates_print(const struct answer *a, const json_t *port, const json_t *before)
{
	printf("        ");
	rate_print("rx", rate_of(a, port, before, "rx_packets"), "pps");
	rate_print("", 8 * rate_of(a, port, before, "rx_bytes"), "bit/s");
	rate_print("tx", rate_of(a, port, before, "tx_packets"), "pps");
	rate_print("", 8 * rate_of(a, port, before, "tx_bytes"), "bit/s");
	printf("\n");
}

/* ---- ports ---- */

static void port_statistics_print(const struct answer *a, const char *adapter_name,
				  const json_t *port, const char *side)
{
	const json_t *before = port_before(a, adapter_name, side);

	printf("          rx %" PRIu64 " bytes  tx %" PRIu64 " bytes  overloads %" PRIu64
	       "  bypassed %" PRIu64 "  hung %" PRIu64 "  kernel: ring-full %" PRIu64
	       " fill-empty %" PRIu64 " dropped %" PRIu64 "\n",
	       get_number(port, "rx_bytes"), get_number(port, "tx_bytes"),
	       get_number(port, "overloads"),
	       get_number(port, "bypassed"), get_number(port, "hung"),
	       get_number(port, "kernel_rx_ring_full"), get_number(port, "kernel_fill_empty"),
	       get_number(port, "kernel_rx_dropped"));
	if (before)
		port_rates_print(a, port, before);
}

/* A mode that costs speed is written large. */
static const char *loud(char *dst, size_t size, const char *word, bool shout)
{
	size_t i;

	for (i = 0; word[i] && i + 1 < size; i++)
		dst[i] = (char)(shout ? toupper((unsigned char)word[i]) : word[i]);
	dst[i] = '\0';
	return dst;
}

static bool is_nic(const json_t *port)
{
	return !strcmp(get_text(port, "role"), "nic");
}

static bool is_generic(const json_t *port)
{
	return !strcmp(get_text(port, "xdp"), "generic");
}

/* A leg is a veth: it copies by nature. */
static bool copies(const json_t *port)
{
	return is_nic(port) && !strcmp(get_text(port, "copy"), "copy");
}

static void port_print(const struct answer *a, const char *adapter_name, const json_t *port,
		       const char *side)
{
	char xdp[16], copy[16];

	printf("  %s %s  %s  %s+%s  queues %" PRIu64 "  rx %" PRIu64 "  tx %" PRIu64 "%s\n", side,
	       get_text(port, "ifname"),
	       json_is_true(json_object_get(port, "up")) ? "up" : "DOWN",
	       loud(xdp, sizeof(xdp), get_text(port, "xdp"), is_generic(port)),
	       loud(copy, sizeof(copy), get_text(port, "copy"), copies(port)),
	       get_number(port, "queues"), get_number(port, "rx_packets"),
	       get_number(port, "tx_packets"), is_nic(port) ? "" : "  (to this host)");
	if (a->statistics)
		port_statistics_print(a, adapter_name, port, side);
}

static void port_warn(const json_t *port)
{
	if (is_generic(port))
		printf("  WARNING: %s runs GENERIC XDP: the kernel builds and copies each packet "
		       "first\n", get_text(port, "ifname"));
	else if (copies(port))
		printf("  note: %s runs in COPY mode: the kernel copies each packet\n",
		       get_text(port, "ifname"));
}

/* ---- sums ---- */

static void outcomes_print(const json_t *adapter)
{
	const json_t *outcomes = json_object_get(adapter, "outcomes");
	struct sum s = { .total = get_number(adapter, "received") };

	printf("  received %" PRIu64, s.total);
	part_print(&s, outcomes, "to_wire", "to-wire", " = ");
	part_print(&s, outcomes, "to_host", "to-host", " + ");
	part_print(&s, outcomes, "consumed", "consumed", " + ");
	part_print(&s, outcomes, "dropped", "dropped", " + ");
	part_print(&s, outcomes, "offloaded", "offloaded", " + ");
	part_print(&s, adapter, "in_flight", "in-flight", " + ");
	sum_print(&s);
	if (get_number(outcomes, "dropped"))
		printf("    why dropped: nblctl drops %s\n", get_text(adapter, "name"));
}

static void frames_print(const json_t *adapter)
{
	static const char *const states[] = { "free", "fill", "rx", "held", "tx", "completion",
					      "kernel", "quarantine" };
	const json_t *frames = json_object_get(adapter, "frames");
	struct sum s = { .total = get_number(frames, "total") };

	printf("  frames %" PRIu64, s.total);
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		part_print(&s, frames, states[i], states[i], i ? " + " : " = ");
	sum_print(&s);
	if (get_number(frames, "quarantine"))
		printf("    WARNING: frames broke a rule and are set aside. Try: nblctl audit %s\n",
		       get_text(adapter, "name"));
}

static void pool_print(const json_t *adapter, bool statistics)
{
	const json_t *pool = json_object_get(adapter, "pool");

	if (!statistics && get_number(pool, "frames") == get_number(pool, "free"))
		return;
	printf("    of them pool %" PRIu64 ": free %" PRIu64 "  held %" PRIu64 "  tx %" PRIu64 "\n",
	       get_number(pool, "frames"), get_number(pool, "free"), get_number(pool, "held"),
	       get_number(pool, "tx"));
}

static void originated_print(const json_t *adapter)
{
	const json_t *originated = json_object_get(adapter, "originated");
	struct sum s = { .total = get_number(originated, "entered") };

	printf("  originated %" PRIu64, s.total);
	part_print(&s, originated, "to_wire", "to-wire", " = ");
	part_print(&s, originated, "to_host", "to-host", " + ");
	part_print(&s, originated, "consumed", "consumed", " + ");
	part_print(&s, originated, "dropped", "dropped", " + ");
	part_print(&s, originated, "in_flight", "in-flight", " + ");
	sum_print(&s);
	printf("    sent %" PRIu64 "  failed %" PRIu64 "  packets %" PRIu64 "  bytes %" PRIu64
	       "  copied %" PRIu64 "\n", get_number(originated, "sent"),
	       get_number(originated, "failed"), get_number(originated, "packets"),
	       get_number(originated, "bytes"), get_number(adapter, "copies"));
}

/* ---- modules ---- */

static void module_print(const json_t *m, bool statistics)
{
	printf("%s", get_text(m, "name"));
	if (strcmp(get_text(m, "state"), "running"))
		printf(" [%s]", get_text(m, "state"));
	if (get_number(m, "held"))
		printf(" (%" PRIu64 " held, oldest %" PRIu64 " ms)", get_number(m, "held"),
		       get_number(m, "oldest_ms"));
	if (get_number(m, "faults"))
		printf(" (%" PRIu64 " FAULTS)", get_number(m, "faults"));
	if (statistics)
		printf(" (%" PRIu64 " packets)", get_number(m, "packets"));
	printf(" -> ");
}

static void modules_print(const json_t *adapter, bool statistics)
{
	const json_t *m;
	size_t i;

	printf("  stack: lower -> ");
	json_array_foreach(json_object_get(adapter, "modules"), i, m)
		module_print(m, statistics);
	printf("upper\n");
}

/* ---- an adapter ---- */

static void head_print(const json_t *adapter)
{
	const json_t *worker = json_object_get(adapter, "worker");
	const char *bypass = get_text(adapter, "bypass");

	printf("%s  %s  %s  fail %s  bypass %s", get_text(adapter, "name"),
	       get_text(adapter, "layout"), get_text(adapter, "state"), get_text(adapter, "fail"),
	       *bypass ? bypass : "no");
	if (get_number(worker, "pid"))
		printf("  worker %" PRIu64, get_number(worker, "pid"));
	else
		printf("  NO WORKER");
	printf(" generation %" PRIu64 " restarts %" PRIu64 "\n", get_number(worker, "generation"),
	       get_number(worker, "restarts"));
}

static void adapter_print(const struct answer *a, const json_t *adapter)
{
	const json_t *lower = json_object_get(adapter, "lower");
	const json_t *upper = json_object_get(adapter, "upper");
	const char *name = json_string_value(json_object_get(adapter, "name"));

	if (!name)
		return;
	head_print(adapter);
	port_print(a, name, lower, "lower");
	port_print(a, name, upper, "upper");
	outcomes_print(adapter);
	frames_print(adapter);
	pool_print(adapter, a->statistics);
	if (a->statistics)
		originated_print(adapter);
	modules_print(adapter, a->statistics);
	port_warn(lower);
	port_warn(upper);
}

void show_print(const struct answer *a)
{
	const json_t *adapters = json_object_get(a->data, "adapters"), *adapter;
	size_t i;

	if (!json_array_size(adapters))
		printf("no adapters. Try: nblctl help attach\n");
	json_array_foreach(adapters, i, adapter) {
		if (i)
			printf("\n");
		adapter_print(a, adapter);
	}
}
