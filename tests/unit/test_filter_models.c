// SPDX-License-Identifier: BSD-2-Clause
/* test_filter_models.c - the four model callouts in a stack: acceptance, holding, leaving. */
#include "filter_fixture.h"

#define N_PACKETS 8

static struct nbl_callout_kind_counts callout(uint32_t i)
{
	struct filter_callout_figures f;

	ck_assert_int_eq(filter_get_callout(filter()->context, i, &f), 0);
	return f.own;
}

/* Both ways; the kernel completes in random portions. */
static void deliver_both(const struct recipe *r)
{
	deliver(LOWER, r);
	deliver(UPPER, r);
	if (below(2))
		turn();
}

static void check_left_both(const struct bytes_out *o, int i)
{
	ck_assert_msg(left(LOWER, o), "packet %d did not leave the lower port", i);
	ck_assert_msg(left(UPPER, o), "packet %d did not leave the upper port", i);
}

static struct recipe of_kind(int i)
{
	struct recipe r = numbered(i);

	r.n_tags = i % 3;
	r.version = i & 1 ? 6 : 4;
	return r;
}

START_TEST(CL_08_inspecting_inline_sees_all_and_changes_nothing)
{
	struct bytes_out o;

	begin("inbound-mac inspect:inspect-inline; outbound-mac inspect:inspect-inline",
	      "inspect-inline");
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = of_kind(i);

		deliver_both(&r);
	}
	settle();
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = of_kind(i);

		cook(&o, &r);
		check_left_both(&o, i);
	}
	ck_assert_uint_eq(callout(0).seen, 2 * N_PACKETS);
	ck_assert_uint_eq(counts().injected, 0);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TO_WIRE) + outcome(NBL_OUTCOME_TO_HOST),
			  2 * N_PACKETS);
	finish();
}
END_TEST

/* The frame as modify-inline dscp=46 should make it. */
static void mark(struct bytes_out *o, const struct recipe *r)
{
	uint32_t ip = 14 + 4 * (uint32_t)r->n_tags;

	cook(o, r);
	if (r->version == 4) {
		o->b[ip + 1] = 46 << 2;
		set16(o, ip + 10, 0);
		set16(o, ip + 10, (uint16_t)~slow_sum(o->b + ip, 20, 0));
	} else {
		o->b[ip] = 0x60 | 46 >> 2;
		o->b[ip + 1] = (46 & 3) << 6;
	}
}

START_TEST(CL_08_modifying_inline_sends_the_marked_packet_in_place_of_the_original)
{
	struct bytes_out o;

	random_state += (uint64_t)_i * 7919;
	begin("inbound-ip4 callout:modify-inline; inbound-ip6 callout:modify-inline;"
	      "outbound-ip4 callout:modify-inline; outbound-ip6 callout:modify-inline",
	      "modify-inline dscp=46");
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = of_kind(i);

		deliver_both(&r);
	}
	settle();
	ck_assert_uint_eq(sent.n, 2 * N_PACKETS);
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = of_kind(i);

		mark(&o, &r);
		check_left_both(&o, i);
	}
	ck_assert_uint_eq(callout(0).completed, 2 * N_PACKETS);
	/*
	 * each original is its callout's, and each clone is the
	 * engine's: no packet is counted twice
	 */
	ck_assert_uint_eq(outcome(NBL_OUTCOME_CONSUMED), 2 * N_PACKETS);
	ck_assert_uint_eq(rig.lane.figures.originated.sent, 2 * N_PACKETS);
	ck_assert_uint_eq(rig.lane.figures.received, 2 * N_PACKETS);
	finish();
}
END_TEST

START_TEST(IN_08_what_is_injected_at_the_ip_layer_does_not_meet_the_layers_below_again)
{
	begin("inbound-mac inspect:inspect-inline; inbound-ip4 callout:modify-inline",
	      "inspect-inline, modify-inline dscp=46");
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = numbered(i);

		deliver(LOWER, &r);
	}
	settle();
	ck_assert_uint_eq(sent.n, N_PACKETS);
	ck_assert_uint_eq(callout(0).seen, N_PACKETS);
	ck_assert_uint_eq(callout(1).seen, N_PACKETS);
	ck_assert_uint_eq(callout(1).skipped, N_PACKETS);
	finish();
}
END_TEST

START_TEST(CL_08_inspecting_out_of_band_lets_go_on_or_discards)
{
	bool discards = _i & 1, waits = _i & 2;
	const char *const callouts[] = {
		"inspect-oob", "inspect-oob verdict=discard", "inspect-oob hold-ms=1",
		"inspect-oob verdict=discard hold-ms=1",
	};
	struct bytes_out o;

	begin("inbound-mac callout:inspect-oob; outbound-mac callout:inspect-oob", callouts[_i]);
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = of_kind(i);

		deliver_both(&r);
	}
	turn();
	ck_assert(!waits || rig.lane.figures.frames[NBL_FRAME_HELD] == 2 * N_PACKETS);
	settle();
	ck_assert_uint_eq(sent.n, discards ? 0 : 2 * N_PACKETS);
	for (int i = 0; i < N_PACKETS && !discards; i++) {
		struct recipe r = of_kind(i);

		cook(&o, &r);
		check_left_both(&o, i);
	}
	ck_assert_uint_eq(callout(0).discarded, discards ? 2 * N_PACKETS : 0);
	ck_assert_uint_eq(callout(0).completed, discards ? 0 : 2 * N_PACKETS);
	ck_assert_uint_eq(counts().blocked, 0);
	finish();
}
END_TEST

START_TEST(IN_05_an_injection_that_a_rule_blocks_fails_and_is_counted_as_dropped)
{
	static const char *const rules[] = {
		"inbound-mac callout:inspect-oob weight=9; inbound-mac block;"
		"outbound-mac callout:inspect-oob weight=9; outbound-mac block",
		"inbound-mac callout:inspect-oob; inbound-ip4 block;"
		"outbound-mac callout:inspect-oob; outbound-ip4 block",
	};
	const struct nbl_originated_figures *f = &rig.lane.figures.originated;

	begin(rules[_i], "inspect-oob");
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = numbered(i);

		deliver_both(&r);
	}
	settle();
	ck_assert_uint_eq(sent.n, 0);
	/* the originals are the callout's, who is told what became of its clones */
	ck_assert_uint_eq(outcome(NBL_OUTCOME_CONSUMED), f->entered);
	ck_assert_uint_eq(callout(0).failed, f->entered);
	ck_assert_uint_eq(callout(0).completed, 0);
	ck_assert_uint_ge(f->entered, N_PACKETS);
	ck_assert_uint_eq(f->outcomes[NBL_OUTCOME_BLOCKED], f->entered);
	finish();
}
END_TEST

START_TEST(CL_08_modifying_out_of_band_sends_the_edited_frame)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 0x77 };
	struct bytes_out o;

	begin("inbound-mac callout:modify-oob; outbound-mac callout:modify-oob",
	      "modify-oob mac=02:00:00:00:00:77");
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = of_kind(i);

		deliver_both(&r);
	}
	settle();
	ck_assert_uint_eq(sent.n, 2 * N_PACKETS);
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = of_kind(i);

		cook(&o, &r);
		memcpy(o.b + 6, mac, 6);
		check_left_both(&o, i);
	}
	ck_assert_uint_eq(counts().rights_kept, 0);
	finish();
}
END_TEST

START_TEST(CL_07_of_two_out_of_band_callouts_one_takes_the_packet_and_it_is_sent_once)
{
	struct recipe r = numbered(0);
	struct bytes_out o;

	begin("inbound-mac callout:inspect-oob sublayer=2; inbound-mac callout:modify-oob "
	      "sublayer=1", "inspect-oob, modify-oob mac=02:00:00:00:00:77");
	deliver(LOWER, &r);
	settle();
	/* the first takes it; its clone comes round, and the second may have that */
	ck_assert_uint_eq(callout(0).seen, 1);
	ck_assert_uint_eq(callout(0).skipped, 2);
	ck_assert_uint_eq(callout(1).seen, 1);
	ck_assert_uint_eq(callout(1).skipped, 2);
	cook(&o, &r);
	memcpy(o.b + 6, (const uint8_t[]){ 2, 0, 0, 0, 0, 0x77 }, 6);
	ck_assert(left(UPPER, &o));
	ck_assert_uint_eq(sent.n, 0);
	ck_assert_uint_eq(sent.n_all, 1);
	finish();
}
END_TEST

START_TEST(PE_01_held_50_ms_then_sent_or_discarded_and_every_frame_is_accounted_for)
{
	struct recipe r;
	uint64_t came;

	begin("inbound-mac callout:inspect-oob", _i ? "inspect-oob hold-ms=50 verdict=discard" :
						      "inspect-oob hold-ms=50");
	for (int i = 0; i < 4; i++) {
		r = numbered(i);
		deliver(LOWER, &r);
	}
	turn();
	came = clock_now;
	for (; clock_now < came + 49000000; clock_now += 1000000) {
		turn();
		kernel(true);
		ck_assert_uint_eq(sent.n, 0);
		ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 4);
		rig_check(&rig);
	}
	clock_now = came + 51000000;
	settle();
	ck_assert_uint_eq(sent.n, _i ? 0 : 4);
	for (int i = 0; i < 4 && !_i; i++) {
		r = numbered(i);
		ck_assert(recipe_left(UPPER, &r));
	}
	ck_assert_uint_eq(outcome(NBL_OUTCOME_CONSUMED), 4);
	finish();
}
END_TEST

START_TEST(CL_08_a_full_ring_delays_what_is_injected_and_loses_none)
{
	struct rig_shape shape = { .n_frames = 128, .n_pool_frames = 128,
				   .rings = { 128, 4, 128, 4 } };
	struct recipe r;

	begin_shaped(&shape, "inbound-mac callout:inspect-oob", "inspect-oob");
	for (int i = 0; i < 60; i++) {
		r = numbered(i);
		deliver(LOWER, &r);
	}
	settle();
	ck_assert_uint_eq(sent.n, 60);
	for (int i = 0; i < 60; i++) {
		struct bytes_out o;

		r = numbered(i);
		cook(&o, &r);
		ck_assert_mem_eq(sent.packets[i].o.b, o.b, o.n);	/* in order */
	}
	finish();
}
END_TEST

START_TEST(BUG_03_without_memory_the_packet_passes_and_nothing_leaks)
{
	struct recipe r;

	begin_shaped(RIG_SHAPE(.n_pool_frames = 2), "inbound-ip4 callout:modify-inline",
		     "modify-inline dscp=1");
	for (int i = 0; i < 20; i++) {
		r = numbered(i);
		deliver(LOWER, &r);
	}
	settle();
	ck_assert_uint_eq(sent.n, 20);
	ck_assert_uint_gt(callout(0).missed, 0);
	ck_assert_uint_eq(callout(0).missed + callout(0).completed, 20);
	finish();
}
END_TEST

/* ---- leaving ---- */

static uint32_t n_paused;

static void paused(struct nbl_filter *f)
{
	n_paused++;
}

START_TEST(CL_12_taking_the_module_out_decides_what_callouts_hold)
{
	struct recipe r;

	begin("inbound-mac callout:inspect-oob", "inspect-oob hold-ms=1000");
	for (int i = 0; i < 6; i++) {
		r = numbered(i);
		deliver(LOWER, &r);
	}
	turn();
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 6);
	nbl_lane_enter(&rig.lane);
	/* sent, but the kernel has them */
	ck_assert_int_eq(nbl_module_filter.pause(filter()), NBL_PENDING);
	nbl_lane_publish_tx(&rig.lane);
	nbl_lane_enter(NULL);
	filter()->engine = &(const struct nbl_engine_ops){ .pause_complete = paused };
	n_paused = 0;
	settle();
	ck_assert_uint_eq(n_paused, 1);
	ck_assert_uint_eq(sent.n, 6);
	nbl_lane_enter(&rig.lane);
	ck_assert_int_eq(nbl_module_filter.pause(filter()), 0);
	nbl_lane_enter(NULL);
	finish();
}
END_TEST

static bool closed;

/* The end of a stack that is closed: nothing that enters there is let in. */
static void refuse(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	const struct nbl_hop *back = &rig.lane.return_first;

	closed = true;
	back->handle(back->to, chain, 0, 0);
}

START_TEST(PE_01_what_is_decided_while_the_stack_is_closed_is_sent_all_the_same)
{
	struct nbl_hop open;
	struct recipe r;

	begin("inbound-mac callout:inspect-oob", "inspect-oob hold-ms=1");
	for (int i = 0; i < 6; i++) {
		r = numbered(i);
		deliver(LOWER, &r);
		turn();
	}
	/* some are decided and wait to enter; one is still held */
	clock_now += 2000000;
	nbl_lane_enter(&rig.lane);
	filter()->wake_ns = nbl_module_filter.timer(filter(), clock_now);
	nbl_lane_enter(NULL);
	ck_assert_uint_gt(atomic_load(&rig.lane.n_entered), 0);
	open = rig.lane.indicate_first;
	rig.lane.indicate_first.handle = refuse;
	closed = false;
	filter()->engine = &(const struct nbl_engine_ops){ .pause_complete = paused };
	nbl_lane_enter(&rig.lane);
	ck_assert_int_eq(nbl_module_filter.pause(filter()), NBL_PENDING);
	nbl_lane_publish_tx(&rig.lane);
	nbl_lane_enter(NULL);
	settle();
	ck_assert(!closed);
	rig.lane.indicate_first = open;
	for (int i = 0; i < 6; i++) {
		r = numbered(i);
		ck_assert_msg(recipe_left(UPPER, &r), "packet %d", i);
	}
	finish();
}
END_TEST

static struct nbl *kept;

static void keep_one(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	kept = in->n;
	ck_assert_int_eq(nbl_callout_reference(in->wfp, probe.id, in->n, false), 0);
	absorb(out);
}

START_TEST(CL_12_a_pause_waits_until_a_pended_packet_is_let_go)
{
	struct recipe r = numbered(0);

	probe.classify = keep_one;
	begin("inbound-mac callout:probe", "probe");
	deliver(LOWER, &r);
	turn();
	filter()->engine = &(const struct nbl_engine_ops){ .pause_complete = paused };
	n_paused = 0;
	nbl_lane_enter(&rig.lane);
	ck_assert_int_eq(nbl_module_filter.pause(filter()), NBL_PENDING);
	nbl_lane_enter(NULL);
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, probe.id), -EBUSY);
	for (int i = 0; i < 100; i++, clock_now += 1000000)
		turn();
	ck_assert_uint_eq(n_paused, 0);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 1);
	ck_assert(nbl_is_let_go(kept));
	ck_assert_int_eq(nbl_callout_dereference(fix.wfp, probe.id, kept), 0);
	settle();
	ck_assert_uint_eq(n_paused, 1);
	finish();
}
END_TEST

/* A rule that says inspect: lets nobody decide: who would take packets aside sends none. */
START_TEST(CL_07_under_an_inspecting_rule_a_callout_that_absorbs_lets_packets_pass_once)
{
	static const char *const names[] = { "inspect-oob", "modify-oob", "modify-inline" };
	char rules[128];

	snprintf(rules, sizeof(rules), "%s inspect:%s", _i == 2 ? "inbound-ip4" : "inbound-mac",
		 names[_i]);
	begin(rules, names[_i]);
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = numbered(i);

		deliver(LOWER, &r);
	}
	settle();
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = numbered(i);

		ck_assert(recipe_left(UPPER, &r));
	}
	ck_assert_uint_eq(sent.n_all, N_PACKETS);
	ck_assert_uint_eq(counts().injected, 0);
	ck_assert_uint_eq(counts().rights_kept + counts().no_right + counts().wrong_actions, 0);
	finish();
}
END_TEST

/* No room is no permission: what it does not take is for the rules below to decide. */
START_TEST(RF_08_what_modify_oob_has_no_room_for_does_not_get_past_a_rule_that_blocks)
{
	begin("inbound-mac callout:modify-oob weight=2; inbound-mac block", "modify-oob limit=2");
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = numbered(i);

		deliver(LOWER, &r);
	}
	settle();
	ck_assert_uint_gt(callout(0).missed, 0);
	ck_assert_uint_eq(sent.n_all, 0);
	ck_assert_uint_eq(counts().blocked, N_PACKETS);
	finish();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ CL_08_inspecting_inline_sees_all_and_changes_nothing, 1 },
		{ CL_08_modifying_inline_sends_the_marked_packet_in_place_of_the_original, 8 },
		{ IN_08_what_is_injected_at_the_ip_layer_does_not_meet_the_layers_below_again, 1 },
		{ CL_08_inspecting_out_of_band_lets_go_on_or_discards, 4 },
		{ IN_05_an_injection_that_a_rule_blocks_fails_and_is_counted_as_dropped, 2 },
		{ CL_08_modifying_out_of_band_sends_the_edited_frame, 8 },
		{ CL_08_a_full_ring_delays_what_is_injected_and_loses_none, 1 },
		{ CL_07_of_two_out_of_band_callouts_one_takes_the_packet_and_it_is_sent_once, 1 },
		{ CL_07_under_an_inspecting_rule_a_callout_that_absorbs_lets_packets_pass_once, 3 },
		{ RF_08_what_modify_oob_has_no_room_for_does_not_get_past_a_rule_that_blocks, 1 },
		{ PE_01_held_50_ms_then_sent_or_discarded_and_every_frame_is_accounted_for, 2 },
		{ BUG_03_without_memory_the_packet_passes_and_nothing_leaks, 1 },
		{ PE_01_what_is_decided_while_the_stack_is_closed_is_sent_all_the_same, 1 },
		{ CL_12_taking_the_module_out_decides_what_callouts_hold, 1 },
		{ CL_12_a_pause_waits_until_a_pended_packet_is_let_go, 1 },
	};

	return rig_run("filter_models", tests, N_ELEMENTS(tests));
}
