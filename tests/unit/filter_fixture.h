/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * filter_fixture.h - the filter module on a lane whose kernel is the test: real frames
 * in, what leaves kept as bytes, time set by the test.
 *
 * finish() claims that every frame is home, the audit finds nothing, every injection
 * was completed, and the pool is whole.
 */
#ifndef FILTER_FIXTURE_H
#define FILTER_FIXTURE_H

#include "unit/lane_fixture.h"
#include "unit/wfp_packets.h"

#include <nbl/tag.h>

#include "filter/view.h"
#include "filter/wfp_internal.h"
#include "modules/callouts.h"

#define LOWER 0
#define UPPER 1
#define MOST_SEEN 1024

static struct rig rig;
static uint64_t clock_now;
static uint64_t random_state;

/* What the kernel sent, in order, since the last clear. */
static struct {
	uint32_t n;
	struct { uint32_t queue; struct bytes_out o; } packets[MOST_SEEN];
	uint64_t n_all;			/* also those there was no place for */
} sent;

/* ---- a callout that is the test's ---- */

static struct {
	void (*classify)(const struct nbl_classify_in *in, struct nbl_classify_out *out);
	uint32_t id;
	uint32_t n_flow_deleted;
} probe;

static void probe_classify(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	out->action = NBL_ACTION_CONTINUE;
	probe.classify(in, out);
}

static void probe_flow_deleted(void *context, enum nbl_layer layer, uint64_t flow_context)
{
	probe.n_flow_deleted++;
}

static int probe_start(const struct nbl_callout_start *start, void **ret_context, char *error,
		       size_t error_size)
{
	const struct nbl_callout c = {
		.version = NBL_CALLOUT_VERSION, .size = sizeof(c), .name = "probe",
		.layers = (1u << NBL_N_LAYERS) - 1, .owner = start->owner,
		.classify = probe_classify, .flow_deleted = probe_flow_deleted,
	};

	*ret_context = &probe;
	return nbl_callout_register(start->wfp, &c, &probe.id);
}

static struct filter_fixture {
	struct nbl_wfp *wfp;
} fix;

static int probe_stop(void *context)
{
	return nbl_callout_unregister(fix.wfp, probe.id);
}

static uint32_t probe_get_id(const void *context)
{
	return probe.id;
}

static void probe_counts(const void *context, struct nbl_callout_kind_counts *ret)
{
	memset(ret, 0, sizeof(*ret));
}

static const struct nbl_callout_kind probe_kind = {
	.name = "probe", .start = probe_start, .stop = probe_stop, .id = probe_get_id,
	.get_counts = probe_counts,
};

static const struct nbl_callout_kind *const fixture_kinds[] = {
	&probe_kind, &callout_inspect_inline, &callout_modify_inline, &callout_inspect_oob,
	&callout_modify_oob, NULL
};

/* The answer of one who keeps the packet. */
RIG_UNUSED static void absorb(struct nbl_classify_out *out)
{
	out->action = NBL_ACTION_BLOCK;
	out->flags = NBL_CLASSIFY_ABSORB;
	out->rights = 0;
}

/* ---- up and down ---- */

static uint64_t fixture_clock(void)
{
	return clock_now;
}

static struct nbl_filter *filter(void)
{
	int i = nbl_stack_find(&rig.stack, "filter");

	ck_assert_int_ge(i, 0);
	return &rig.stack.modules[i].filters[0].f;
}

static void turn(void)
{
	clock_now += 1000;
	rig_turn(&rig);
}

/* Two options: NULL = not given. */
RIG_UNUSED static void begin_shaped(const struct rig_shape *shape, const char *rules,
				    const char *callouts)
{
	struct nbl_option options[2];
	uint32_t n = 0;

	memset(&sent, 0, sizeof(sent));
	clock_now = 1000000000;
	random_state = 88172645463325252ull;
	if (callouts)
		options[n++] = (struct nbl_option){ "callouts", callouts };
	if (rules)
		options[n++] = (struct nbl_option){ "rule", rules };
	filter_set_callout_kinds(fixture_kinds);
	rig_make(&rig, shape);
	rig_up(&rig, NULL, NBL_TAKEOVER_FRESH);
	rig.lane.clock_ns = fixture_clock;
	filter_set_stack(&rig.stack);
	rig_add(&rig, &nbl_module_filter, options, n);
	fix.wfp = filter_get_engine(filter()->context);
	turn();		/* posts the frames */
}

RIG_UNUSED static void begin(const char *rules, const char *callouts)
{
	begin_shaped(RIG_SHAPE(0), rules, callouts);
}

static uint32_t below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 11) % n;
}

/* ---- packets ---- */

RIG_UNUSED static void deliver(uint32_t queue, const struct recipe *r)
{
	struct bytes_out o;

	cook(&o, r);
	ck_assert(nbl_mem_port_deliver(rig.ports[queue], o.b, o.n));
}

/* The kernel sends what is there, and completes some of it, or all. */
static uint32_t kernel(bool all)
{
	struct nbl_mem_packet p;
	uint32_t moved = 0;

	for (uint32_t q = 0; q < rig.n_queues; q++) {
		while (nbl_mem_port_take(rig.ports[q], &p)) {
			if (sent.n < MOST_SEEN) {
				sent.packets[sent.n].queue = q;
				sent.packets[sent.n].o.n = p.length;
				memcpy(sent.packets[sent.n++].o.b, p.bytes, p.length);
			}
			sent.n_all++;
			moved++;
		}
		moved += nbl_mem_port_complete(rig.ports[q], all ? UINT32_MAX : below(4));
	}
	return moved;
}

/* Turns and kernel in turn until nothing is to be done; time goes on meanwhile. */
RIG_UNUSED static void settle(void)
{
	uint32_t quiet = 0;

	for (int i = 0; quiet < 8; i++) {
		uint32_t moved;

		ck_assert_int_lt(i, 100000);
		clock_now += 300000;
		moved = rig_turn(&rig);
		moved += kernel(quiet > 3);
		quiet = moved ? 0 : quiet + 1;
	}
	nbl_lane_publish(&rig.lane);
}

/* True if a packet of exactly these bytes left on 'queue'; it is then counted as seen. */
RIG_UNUSED static bool left(uint32_t queue, const struct bytes_out *o)
{
	for (uint32_t i = 0; i < sent.n; i++) {
		if (sent.packets[i].queue == queue && sent.packets[i].o.n == o->n &&
		    !memcmp(sent.packets[i].o.b, o->b, o->n)) {
			memmove(&sent.packets[i], &sent.packets[i + 1],
				(--sent.n - i) * sizeof(sent.packets[0]));
			return true;
		}
	}
	return false;
}

RIG_UNUSED static bool recipe_left(uint32_t queue, const struct recipe *r)
{
	struct bytes_out o;

	cook(&o, r);
	return left(queue, &o);
}

RIG_UNUSED static struct recipe numbered(int i)
{
	struct recipe r = RECIPE_UDP4;

	r.source = (uint8_t)(i + 1);
	r.payload = 10 + i % 8;
	return r;
}

/* ---- claims ---- */

RIG_UNUSED static uint64_t outcome(enum nbl_outcome o)
{
	return rig.lane.figures.outcomes[o];
}

RIG_UNUSED static uint64_t dropped_here(enum nbl_outcome o)
{
	return rig.lane.figures.drops[filter()->id][o];
}

RIG_UNUSED static struct nbl_wfp_counts counts(void)
{
	struct nbl_wfp_counts c;

	filter_get_counts(filter()->context, &c);
	return c;
}

RIG_UNUSED static void check_all_home_with(uint64_t violations)
{
	struct nbl_pool_counts p;

	rig_check_with(&rig, violations);
	ck_assert_uint_eq(nbl_figures_in_flight(&rig.lane.figures), 0);
	ck_assert_uint_eq(rig_lost_frames(&rig), 0);
	ck_assert_uint_eq(counts().injected, counts().completed);
	nbl_pool_get_counts(rig.pool, &p);
	ck_assert_uint_eq(p.nbls_free, p.n_nbls);
	ck_assert_uint_eq(p.frames_free, p.n_frames);
	ck_assert_int_eq(filter()->held, 0);
}

RIG_UNUSED static void check_all_home(void)
{
	check_all_home_with(0);
}

/* All is home, and taking the module down leaves nothing. */
RIG_UNUSED static void finish(void)
{
	settle();
	check_all_home();
	rig_down(&rig);
	ck_assert_uint_eq(rig.n_pools_lost, 0);
	rig_free(&rig);
	(void)unit_run;
}

#endif
