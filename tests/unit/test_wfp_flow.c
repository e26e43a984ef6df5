// SPDX-License-Identifier: BSD-2-Clause
/* test_wfp_flow.c - contexts on flows: who is called, and told of the end, once. */
#include "wfp_fixture.h"

#define LAYER NBL_LAYER_INBOUND_IPPACKET_V4

static uint64_t last_flow;
static int last_result;

static void associates(struct script *s, const struct nbl_classify_in *in)
{
	last_result = nbl_flow_associate(in, (uint64_t)(uintptr_t)s->data, &last_flow);
}

static enum fate_of classify_recipe(enum nbl_layer layer, const struct recipe *r)
{
	struct nbl *n = cooked(r, 64);
	enum fate_of fate = send_through(layer, n);

	if (fate == PASSED)
		nbl_release(n);
	return fate;
}

static uint64_t start_conditional(struct script *s, enum nbl_layer layer)
{
	struct nbl_callout c = script_callout(s);

	c.flags = NBL_CALLOUT_CONDITIONAL_ON_FLOW;
	ck_assert_int_eq(nbl_callout_register(fix.wfp, &c, &s->id), 0);
	return add_filter(layer, WFP_ACTION_CALLOUT_UNKNOWN, s->id, 0, 1, 0);
}

/* Puts 'context' of a callout on the flow of 'r', by way of its classify. */
static void tag_flow(struct script *s, const struct recipe *r, uint64_t context)
{
	s->more = associates;
	s->data = (void *)(uintptr_t)context;
	ck_assert_int_eq(classify_recipe(LAYER, r), PASSED);
	ck_assert_int_eq(last_result, 0);
	s->more = NULL;
	s->n_calls = 0;
}

START_TEST(CL_13_a_context_is_handed_to_its_callout_for_both_directions_of_the_flow_only)
{
	struct script s = { .action = NBL_ACTION_CONTINUE };
	struct recipe there = RECIPE_UDP4, back = RECIPE_UDP4, other = RECIPE_UDP4;

	back.source_port = there.destination_port;
	back.destination_port = there.source_port;
	back.source = there.destination;
	back.destination = there.source;
	other.source_port++;
	script_start(&s, LAYER, 0, 1);
	tag_flow(&s, &there, 0x1234);
	classify_recipe(LAYER, &there);
	ck_assert_uint_eq(s.flow_context, 0x1234);
	ck_assert_uint_eq(s.metadata.flow, last_flow);
	classify_recipe(LAYER, &back);
	ck_assert_uint_eq(s.flow_context, 0x1234);
	classify_recipe(LAYER, &other);
	ck_assert_uint_eq(s.flow_context, 0);
	ck_assert_uint_eq(s.metadata.flow, 0);
	nbl_wfp_age(fix.wfp, UINT64_MAX);
}
END_TEST

/* The flag is what is tried: the same callout without it sees everything. */
START_TEST(CL_13_a_conditional_callout_is_not_called_for_flows_without_its_context)
{
	struct script s = { .action = NBL_ACTION_CONTINUE },
		      witness = { .action = NBL_ACTION_CONTINUE };
	struct recipe tagged = RECIPE_UDP4, other = RECIPE_UDP4;
	struct nbl_classify_in in;
	struct wfp_packet packet;
	const struct wfp_packet *packets[] = { &packet };
	struct wfp_current current = { .in = &in, .packets = packets, .n_in = 1, .may_hold = true };
	struct nbl *n = cooked(&tagged, 64);
	uint64_t flow;

	other.source_port++;
	start_conditional(&s, LAYER);
	script_start(&witness, LAYER, 0, 0);
	classify_recipe(LAYER, &tagged);
	ck_assert_uint_eq(s.n_calls, 0);
	ck_assert_uint_eq(witness.n_calls, 1);

	/* as if the callout associated from a classify at a layer where it is not conditional */
	in = (struct nbl_classify_in){
		.wfp = fix.wfp, .layer = LAYER, .callout = s.id, .n = n, .now_ns = 1
	};
	wfp_parse_frame(&n->nb, &packet);
	wfp_current = &current;
	ck_assert_int_eq(nbl_flow_associate(&in, 5, &flow), 0);
	wfp_current = NULL;
	nbl_release(n);

	classify_recipe(LAYER, &tagged);
	classify_recipe(LAYER, &other);
	ck_assert_uint_eq(s.n_calls, 1);
	ck_assert_uint_eq(s.flow_context, 5);
	ck_assert_uint_eq(witness.n_calls, 3);
	ck_assert_int_eq(nbl_flow_remove(fix.wfp, flow, LAYER, s.id), 0);
	classify_recipe(LAYER, &tagged);
	ck_assert_uint_eq(s.n_calls, 1);
	nbl_wfp_age(fix.wfp, 1);
	ck_assert_uint_eq(s.n_flow_deleted, 1);
}
END_TEST

START_TEST(CL_13_a_flow_that_times_out_is_told_exactly_once)
{
	struct script s = { .action = NBL_ACTION_CONTINUE };
	struct recipe r = RECIPE_UDP4;

	script_start(&s, LAYER, 0, 1);
	fix.env.now_ns = 1000;
	tag_flow(&s, &r, 99);
	nbl_wfp_age(fix.wfp, 1000 + FIX_IDLE_NS);
	ck_assert_uint_eq(s.n_flow_deleted, 0);
	/* a packet keeps it alive */
	fix.env.now_ns = 500000000;
	classify_recipe(LAYER, &r);
	nbl_wfp_age(fix.wfp, 1000 + FIX_IDLE_NS + 1);
	ck_assert_uint_eq(s.n_flow_deleted, 0);
	nbl_wfp_age(fix.wfp, 500000000 + FIX_IDLE_NS + 1);
	ck_assert_uint_eq(s.n_flow_deleted, 1);
	ck_assert_uint_eq(s.last_flow_deleted, 99);
	for (int i = 0; i < 3; i++)
		nbl_wfp_age(fix.wfp, 500000000 + FIX_IDLE_NS * 5);
	ck_assert_uint_eq(s.n_flow_deleted, 1);
	ck_assert_uint_eq(counts().flows, 0);
	ck_assert_uint_eq(counts().flow_contexts, 0);
}
END_TEST

START_TEST(CL_13_a_removed_context_is_told_exactly_once_and_found_no_more_at_once)
{
	struct script s = { .action = NBL_ACTION_CONTINUE };
	struct recipe r = RECIPE_UDP4;

	script_start(&s, LAYER, 0, 1);
	tag_flow(&s, &r, 7);
	ck_assert_int_eq(nbl_flow_remove(fix.wfp, last_flow, NBL_LAYER_INBOUND_TRANSPORT_V4, s.id),
			 -ENOENT);
	ck_assert_int_eq(nbl_flow_remove(fix.wfp, last_flow + 1, LAYER, s.id), -ENOENT);
	ck_assert_int_eq(nbl_flow_remove(fix.wfp, last_flow, LAYER, s.id), 0);
	ck_assert_int_eq(nbl_flow_remove(fix.wfp, last_flow, LAYER, s.id), -ENOENT);
	classify_recipe(LAYER, &r);
	ck_assert_uint_eq(s.flow_context, 0);
	nbl_wfp_age(fix.wfp, 1);
	nbl_wfp_age(fix.wfp, 1);
	ck_assert_uint_eq(s.n_flow_deleted, 1);
	/* the old name of the flow means nothing to the next one */
	uint64_t old = last_flow;

	tag_flow(&s, &r, 8);
	ck_assert_uint_ne(old, last_flow);
	ck_assert_int_eq(nbl_flow_remove(fix.wfp, old, LAYER, s.id), -ENOENT);
	nbl_wfp_age(fix.wfp, UINT64_MAX);
	ck_assert_uint_eq(s.n_flow_deleted, 2);
}
END_TEST

static void removes_and_ages(struct script *s, const struct nbl_classify_in *in)
{
	ck_assert_int_eq(nbl_flow_remove(in->wfp, last_flow, in->layer, s->id), 0);
	nbl_wfp_age(in->wfp, 1);
	/* this classify was given the context: its end is told later */
	ck_assert_uint_eq(s->n_flow_deleted, 0);
	ck_assert_uint_eq(in->flow_context, 11);
}

START_TEST(CL_13_nobody_is_told_while_a_classify_may_still_use_the_context)
{
	struct script s = { .action = NBL_ACTION_CONTINUE };
	struct recipe r = RECIPE_UDP4;

	script_start(&s, LAYER, 0, 1);
	tag_flow(&s, &r, 11);
	s.more = removes_and_ages;
	classify_recipe(LAYER, &r);
	ck_assert_uint_eq(s.n_calls, 1);
	nbl_wfp_age(fix.wfp, 1);
	ck_assert_uint_eq(s.n_flow_deleted, 1);
}
END_TEST

START_TEST(CL_12_a_callout_with_flow_contexts_is_busy_until_they_are_gone)
{
	struct script s = { .action = NBL_ACTION_CONTINUE };
	struct recipe r = RECIPE_UDP4;

	script_start(&s, LAYER, 0, 1);
	tag_flow(&s, &r, 7);
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, s.id), -EBUSY);
	ck_assert_int_eq(nbl_flow_remove(fix.wfp, last_flow, LAYER, s.id), 0);
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, s.id), -EBUSY);
	nbl_wfp_age(fix.wfp, 1);
	ck_assert_uint_eq(s.n_flow_deleted, 1);
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, s.id), 0);
}
END_TEST

START_TEST(CL_13_associations_that_cannot_be_are_refused_each_for_its_reason)
{
	struct script s = { .action = NBL_ACTION_CONTINUE },
		      deaf = { .action = NBL_ACTION_CONTINUE };
	struct nbl_callout c = script_callout(&deaf);
	struct recipe r = RECIPE_UDP4, later = RECIPE_UDP4;
	struct nbl_classify_in stale = { .wfp = fix.wfp };

	script_start(&s, LAYER, 0, 1);
	tag_flow(&s, &r, 7);
	s.more = associates;
	classify_recipe(LAYER, &r);
	ck_assert_int_eq(last_result, -EEXIST);
	later.fragment = 2;
	classify_recipe(LAYER, &later);
	ck_assert_int_eq(last_result, -EOPNOTSUPP);
	s.data = NULL;
	classify_recipe(LAYER, &r);
	ck_assert_int_eq(last_result, -EINVAL);
	s.more = NULL;
	ck_assert_int_eq(nbl_flow_associate(&stale, 1, &last_flow), -EINVAL);
	c.flow_deleted = NULL;
	ck_assert_int_eq(nbl_callout_register(fix.wfp, &c, &deaf.id), 0);
	add_filter(LAYER, WFP_ACTION_CALLOUT_UNKNOWN, deaf.id, 0, 1, 0);
	deaf.more = associates;
	deaf.data = &deaf;
	classify_recipe(LAYER, &r);
	ck_assert_int_eq(last_result, -EINVAL);
	nbl_wfp_age(fix.wfp, UINT64_MAX);
}
END_TEST

START_TEST(CL_13_the_table_is_bounded_and_forgotten_flows_make_room)
{
	struct script s = { .action = NBL_ACTION_CONTINUE, .more = associates, .data = &s };
	struct recipe r = RECIPE_UDP4;
	uint32_t n_in = 0, n_refused = 0;

	script_start(&s, LAYER, 0, 1);
	fix.env.now_ns = 5;
	for (int i = 0; i < 100; i++) {
		r.source_port = (uint16_t)(2000 + i);
		classify_recipe(LAYER, &r);
		n_in += !last_result;
		n_refused += last_result == -ENOSPC;
	}
	ck_assert_uint_eq(n_in + n_refused, 100);
	ck_assert_uint_le(n_in, 16);
	ck_assert_uint_ge(n_in, 4);
	ck_assert_uint_eq(counts().flows, n_in);
	ck_assert_uint_eq(counts().flows_refused, n_refused);
	nbl_wfp_age(fix.wfp, FIX_IDLE_NS * 2);
	nbl_wfp_age(fix.wfp, FIX_IDLE_NS * 2);
	ck_assert_uint_eq(s.n_flow_deleted, n_in);
	ck_assert_uint_eq(counts().flows, 0);
	classify_recipe(LAYER, &r);
	ck_assert_int_eq(last_result, 0);
	nbl_wfp_age(fix.wfp, UINT64_MAX);
}
END_TEST

START_TEST(CL_13_four_callouts_have_contexts_of_their_own_on_one_flow_and_a_fifth_none)
{
	struct script s[5];
	struct recipe r = RECIPE_UDP4;

	memset(s, 0, sizeof(s));
	for (int i = 0; i < 5; i++) {
		s[i].action = NBL_ACTION_CONTINUE;
		s[i].more = associates;
		s[i].data = (void *)(uintptr_t)(i + 1);
		script_start(&s[i], LAYER, 0, (uint64_t)(10 - i));
	}
	classify_recipe(LAYER, &r);
	ck_assert_int_eq(last_result, -ENOSPC);
	for (int i = 0; i < 5; i++)
		s[i].more = NULL;
	classify_recipe(LAYER, &r);
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(s[i].flow_context, i < 4 ? (uint64_t)i + 1 : 0);
	nbl_wfp_age(fix.wfp, UINT64_MAX);
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(s[i].n_flow_deleted, i < 4);
}
END_TEST

/* While the end of one is told, a lane adds another to the same flow. */
static struct {
	struct script *other;
	struct recipe recipe;
	uint32_t n_told;
} comes_back;

static void deleted_while_another_comes(void *context, enum nbl_layer layer, uint64_t flow_context)
{
	script_flow_deleted(context, layer, flow_context);
	if (comes_back.n_told++)
		return;
	comes_back.other->more = associates;
	comes_back.other->data = (void *)(uintptr_t)33;
	ck_assert_int_eq(classify_recipe(LAYER, &comes_back.recipe), PASSED);
	ck_assert_int_eq(last_result, 0);
	comes_back.other->more = NULL;
}

/* _i: whether what ends is removed, or its flow was idle. */
START_TEST(CL_13_a_context_added_while_the_end_of_another_is_told_stays_on_its_flow)
{
	struct script a = { .action = NBL_ACTION_CONTINUE }, b = { .action = NBL_ACTION_CONTINUE };
	struct nbl_callout c = script_callout(&b);
	uint64_t now = _i ? 1000 + FIX_IDLE_NS + 1 : 2000;

	memset(&comes_back, 0, sizeof(comes_back));
	comes_back.other = &a;
	comes_back.recipe = RECIPE_UDP4;
	fix.env.now_ns = 1000;
	script_start(&a, LAYER, 0, 2);
	tag_flow(&a, &comes_back.recipe, 11);
	c.flow_deleted = deleted_while_another_comes;
	ck_assert_int_eq(nbl_callout_register(fix.wfp, &c, &b.id), 0);
	add_filter(LAYER, WFP_ACTION_CALLOUT_UNKNOWN, b.id, 0, 1, 0);
	tag_flow(&b, &comes_back.recipe, 22);
	ck_assert_int_eq(nbl_flow_remove(fix.wfp, last_flow, LAYER, a.id), 0);
	nbl_wfp_age(fix.wfp, 1500);
	ck_assert_uint_eq(a.n_flow_deleted, 1);
	if (!_i)
		ck_assert_int_eq(nbl_flow_remove(fix.wfp, last_flow, LAYER, b.id), 0);
	fix.env.now_ns = now;
	nbl_wfp_age(fix.wfp, now);
	ck_assert_uint_eq(b.n_flow_deleted, 1);
	ck_assert_uint_eq(a.n_flow_deleted, 1);
	ck_assert_uint_eq(counts().flows, 1);
	classify_recipe(LAYER, &comes_back.recipe);
	ck_assert_uint_eq(a.flow_context, 33);
	ck_assert_int_eq(nbl_flow_remove(fix.wfp, last_flow, LAYER, a.id), 0);
	nbl_wfp_age(fix.wfp, now);
	ck_assert_uint_eq(a.n_flow_deleted, 2);
	ck_assert_uint_eq(counts().flows, 0);
}
END_TEST

/* _i: which part of the flow's name differs. */
START_TEST(CL_13_few_flows_find_room_in_a_large_table_whatever_they_differ_in)
{
	struct script s = { .action = NBL_ACTION_CONTINUE, .more = associates, .data = &s };
	struct nbl_wfp_params params = fix_params();
	struct recipe r = RECIPE_UDP4;

	ck_assert_int_eq(nbl_wfp_free(fix.wfp), 0);
	params.n_flows = 16384;
	fix_begin(&params);
	script_start(&s, LAYER, 0, 1);
	for (int i = 0; i < 250; i++) {
		r.source_port = (uint16_t)(2000 + (_i == 0 ? i : 0));
		r.destination_port = (uint16_t)(2000 + (_i == 1 ? i : 0));
		r.source = (uint8_t)(_i == 2 ? i : 1);
		r.destination = (uint8_t)(_i == 3 ? i : 2);
		classify_recipe(LAYER, &r);
		ck_assert_int_eq(last_result, 0);
	}
	/* 16384 flows of four, 64 told of at a time */
	for (int i = 0; i < 1000 && counts().flows; i++)
		nbl_wfp_age(fix.wfp, UINT64_MAX);
	ck_assert_uint_eq(counts().flows, 0);
}
END_TEST

START_TEST(CL_13_many_flows_that_end_at_once_are_told_of_a_few_at_a_time)
{
	struct script s = { .action = NBL_ACTION_CONTINUE, .more = associates, .data = &s };
	struct nbl_wfp_params params = fix_params();
	struct recipe r = RECIPE_UDP4;
	uint32_t n_in = 0, before = 0;
	bool all = false;

	ck_assert_int_eq(nbl_wfp_free(fix.wfp), 0);
	params.n_flows = 16384;
	fix_begin(&params);
	fix.env.now_ns = 5;
	script_start(&s, LAYER, 0, 1);
	for (int i = 0; i < 1000; i++) {
		r.source_port = (uint16_t)(2000 + i);
		classify_recipe(LAYER, &r);
		n_in += !last_result;
	}
	ck_assert_uint_gt(n_in, 900);
	for (int i = 0; !all; i++) {
		ck_assert_int_lt(i, 100);
		all = nbl_wfp_age(fix.wfp, FIX_IDLE_NS * 2);
		ck_assert_uint_lt(s.n_flow_deleted - before, WFP_FLOW_MOST_TOLD +
				  WFP_FLOW_WAYS * WFP_FLOW_CONTEXTS);
		before = s.n_flow_deleted;
	}
	ck_assert_uint_eq(s.n_flow_deleted, n_in);
	ck_assert_uint_eq(counts().flows, 0);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ CL_13_a_context_is_handed_to_its_callout_for_both_directions_of_the_flow_only,
		  1 },
		{ CL_13_a_conditional_callout_is_not_called_for_flows_without_its_context, 1 },
		{ CL_13_a_flow_that_times_out_is_told_exactly_once, 1 },
		{ CL_13_a_removed_context_is_told_exactly_once_and_found_no_more_at_once, 1 },
		{ CL_13_nobody_is_told_while_a_classify_may_still_use_the_context, 1 },
		{ CL_12_a_callout_with_flow_contexts_is_busy_until_they_are_gone, 1 },
		{ CL_13_associations_that_cannot_be_are_refused_each_for_its_reason, 1 },
		{ CL_13_the_table_is_bounded_and_forgotten_flows_make_room, 1 },
		{ CL_13_four_callouts_have_contexts_of_their_own_on_one_flow_and_a_fifth_none, 1 },
		{ CL_13_few_flows_find_room_in_a_large_table_whatever_they_differ_in, 4 },
		{ CL_13_many_flows_that_end_at_once_are_told_of_a_few_at_a_time, 1 },
		{ CL_13_a_context_added_while_the_end_of_another_is_told_stays_on_its_flow, 2 },
	};

	return fix_run("wfp_flow", tests, N_ELEMENTS(tests));
}
