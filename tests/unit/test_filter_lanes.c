// SPDX-License-Identifier: BSD-2-Clause
/* test_filter_lanes.c - what callouts keep on one lane and decide on another. */
#include "unit/lane_fixture.h"
#include "unit/wfp_packets.h"

#include "filter/wfp.h"
#include "filter/stack_module.h"
#include "modules/callouts.h"

#define N_LANES 2u
#define N_PACKETS 20

static struct rig rig;
static struct nbl_lane lanes[N_LANES];

static void begin(const struct nbl_option *options, uint32_t n_options)
{
	struct nbl_queue queues[RIG_MAX_QUEUES];
	uint32_t n_frames;

	rig_make(&rig, RIG_SHAPE(.n_lower = N_LANES, .n_upper = N_LANES));
	n_frames = nbl_memory_n_frames(&rig.memory.shape);
	rig.nbls = aligned_alloc(NBL_CACHE_LINE, n_frames * sizeof(*rig.nbls));
	memset(rig.nbls, 0, n_frames * sizeof(*rig.nbls));
	rig_adopt_queues(&rig, queues);
	for (uint32_t l = 0; l < N_LANES; l++) {
		const struct nbl_queue own[] = { queues[l], queues[N_LANES + l] };

		/* the memory has one block for figures, which both may publish to */
		ck_assert_int_eq(nbl_lane_init(&lanes[l], 0, &rig.memory, rig.nbls, own, 2, 1,
					       &rig.world->progress[l]), 0);
		lanes[l].index = l;
	}
	ck_assert_int_eq(nbl_lanes_make_pool(lanes, N_LANES, &rig.memory, NBL_TAKEOVER_FRESH,
					     &rig.pool), 0);
	nbl_set_default_pools(rig.pool, rig.pool);
	nbl_stack_init(&rig.stack, lanes, N_LANES);
	for (uint32_t l = 0; l < N_LANES; l++)
		nbl_lane_adopt(&lanes[l], NBL_TAKEOVER_FRESH);
	filter_set_stack(&rig.stack);
	rig_add(&rig, &nbl_module_filter, options, n_options);
}

static void end(void)
{
	struct nbl_pool_counts p;

	nbl_pool_get_counts(rig.pool, &p);
	ck_assert_uint_eq(p.nbls_free, p.n_nbls);
	ck_assert_uint_eq(p.frames_free, p.n_frames);
	for (uint32_t l = 0; l < N_LANES; l++) {
		struct nbl_audit audit = { 0 };

		ck_assert_uint_eq(nbl_figures_in_flight(&lanes[l].figures), 0);
		ck_assert_int_eq(nbl_lane_audit(&lanes[l], &audit), 0);
		ck_assert_msg(!audit.mismatches, "%s", audit.first);
	}
	nbl_stack_done(&rig.stack);
	for (uint32_t l = 0; l < N_LANES; l++)
		nbl_lane_done(&lanes[l]);
	nbl_set_default_pools(NULL, NULL);
	ck_assert_int_eq(nbl_pool_free(rig.pool), 0);
	free(rig.nbls);
	rig_free(&rig);
}

static void turn(uint32_t l)
{
	nbl_lane_enter(&lanes[l]);
	nbl_lane_turn(&lanes[l]);
	nbl_lane_enter(NULL);
}

static struct recipe numbered(uint32_t i)
{
	struct recipe r = RECIPE_UDP4;

	r.source_port = (uint16_t)(2000 + i);
	return r;
}

/* The kernel takes what lies on 'queue', in order from 'first' on. Returns how many. */
static uint32_t taken(uint32_t queue, uint32_t first)
{
	struct nbl_mem_packet p;
	struct bytes_out o;
	uint32_t n = 0;

	for (; nbl_mem_port_take(rig.ports[queue], &p); n++) {
		const struct recipe r = numbered(first + n);

		cook(&o, &r);
		ck_assert_uint_eq(p.length, o.n);
		/* behind the addresses, which the callout may write */
		ck_assert_mem_eq((const uint8_t *)p.bytes + 12, o.b + 12, o.n - 12);
	}
	nbl_mem_port_complete(rig.ports[queue], UINT32_MAX);
	return n;
}

/* _i: the callout, and the lane packets come by. */
START_TEST(CL_08_what_lane_0_decides_goes_on_by_the_lane_it_came_by_in_order)
{
	uint32_t l = (uint32_t)_i & 1, other = 1 - l;
	const char *name = _i & 2 ? "modify-oob" : "inspect-oob";
	const struct nbl_option options[] = {
		{ "callouts", name },
		{ "rule", _i & 2 ? "inbound-mac callout:modify-oob"
				 : "inbound-mac callout:inspect-oob" },
	};
	struct bytes_out o;
	uint32_t n = 0;

	filter_set_callout_kinds(callout_kinds);
	begin(options, 2);
	for (uint32_t i = 0; i < N_LANES; i++)
		turn(i);	/* posts the frames */
	for (uint32_t i = 0; i < N_PACKETS; i++) {
		const struct recipe r = numbered(i);

		cook(&o, &r);
		ck_assert(nbl_mem_port_deliver(rig.ports[l], o.b, o.n));
	}
	/* kept by lane 1, and with nobody to decide */
	for (int i = 0; l && i < 8; i++)
		turn(l);
	ck_assert_uint_eq(taken(N_LANES + l, 0), 0);
	for (int i = 0; i < 32; i++) {
		turn(0);
		turn(1);
		n += taken(N_LANES + l, n);
		ck_assert_uint_eq(taken(N_LANES + other, 0), 0);
	}
	ck_assert_uint_eq(n, N_PACKETS);
	ck_assert_uint_eq(lanes[l].figures.originated.entered, N_PACKETS);
	ck_assert_uint_eq(lanes[other].figures.originated.entered, 0);
	end();
}
END_TEST

/* ---- flows ---- */

static struct {
	struct nbl_wfp *wfp;
	uint32_t id, n_deleted;
} holder;

static void associate(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	uint64_t flow;

	out->action = NBL_ACTION_CONTINUE;
	ck_assert_int_eq(nbl_flow_associate(in, 1, &flow), 0);
}

static void deleted(void *context, enum nbl_layer layer, uint64_t flow_context)
{
	holder.n_deleted++;
}

static int holder_start(const struct nbl_callout_start *start, void **ret_context, char *error,
			size_t error_size)
{
	const struct nbl_callout c = {
		.version = NBL_CALLOUT_VERSION, .size = sizeof(c), .name = "holder",
		.layers = 1u << NBL_LAYER_INBOUND_TRANSPORT_V4, .owner = start->owner,
		.classify = associate, .flow_deleted = deleted,
	};

	*ret_context = &holder;
	holder.wfp = start->wfp;
	return nbl_callout_register(start->wfp, &c, &holder.id);
}

static int holder_stop(void *context)
{
	return nbl_callout_unregister(holder.wfp, holder.id);
}

static uint32_t holder_id(const void *context)
{
	return holder.id;
}

static void holder_count(const void *context, struct nbl_callout_kind_counts *ret)
{
	memset(ret, 0, sizeof(*ret));
}

/* It has something to do, but not soon. */
static uint64_t holder_run(void *context, uint64_t now_ns)
{
	return now_ns + 3600000000000;
}

static const struct nbl_callout_kind holder_kind = {
	.name = "holder", .start = holder_start, .stop = holder_stop, .id = holder_id,
	.get_counts = holder_count, .run = holder_run,
};

static uint64_t time_ns;

static uint64_t read_time(void)
{
	return time_ns;
}

/* _i: the lane they come by. Twice, as lane 0 stops looking when there are none. */
START_TEST(CL_13_flows_of_any_lane_end_though_lane_0_has_no_packets)
{
	static const struct nbl_callout_kind *const kinds[] = { &holder_kind, NULL };
	const struct nbl_option options[] = { { "callouts", "holder" },
					      { "rule", "inbound-transport4 inspect:holder" } };
	struct bytes_out o;

	filter_set_callout_kinds(kinds);
	begin(options, 2);
	time_ns = 1000000000;
	for (uint32_t i = 0; i < N_LANES; i++) {
		lanes[i].clock_ns = read_time;
		turn(i);
	}
	for (uint32_t i = 0; i < 2; i++) {
		const struct recipe r = numbered(i);

		cook(&o, &r);
		ck_assert(nbl_mem_port_deliver(rig.ports[_i], o.b, o.n));
		turn((uint32_t)_i);
		ck_assert_uint_eq(taken(N_LANES + (uint32_t)_i, i), 1);
		ck_assert(nbl_wfp_has_flows(holder.wfp));
		/* three minutes; flows live for one */
		for (int k = 0; k < 180; k++) {
			time_ns += 1000000000;
			turn(0);
			turn(1);
		}
		ck_assert_uint_eq(holder.n_deleted, i + 1);
	}
	end();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ CL_08_what_lane_0_decides_goes_on_by_the_lane_it_came_by_in_order, 4 },
		{ CL_13_flows_of_any_lane_end_though_lane_0_has_no_packets, N_LANES },
	};

	return rig_run("filter_lanes", tests, N_ELEMENTS(tests));
}
