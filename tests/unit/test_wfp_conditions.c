// SPDX-License-Identifier: BSD-2-Clause
/* test_wfp_conditions.c - what filters ask of a packet, alone and together. */
#include "wfp_fixture.h"

#define NATIVE NBL_LAYER_INBOUND_MAC_FRAME_NATIVE

/* ---- conditions ---- */

static const struct {
	struct nbl_wfp_condition c;
	bool matches;
} conditions[] = {
	{ { .field = NBL_FIELD_MAC_SOURCE, .low = 0x404142434445 }, true },
	{ { .field = NBL_FIELD_MAC_SOURCE, .low = 0x404142434446 }, false },
	{ { .field = NBL_FIELD_MAC_DESTINATION, .match = WFP_MATCH_RANGE, .low = 0x202122232400,
	    .high = 0x2021222324ff }, true },
	{ { .field = NBL_FIELD_MAC_LOCAL, .low = 0x202122232425 }, true },
	{ { .field = NBL_FIELD_MAC_REMOTE, .low = 0x404142434445 }, true },
	{ { .field = NBL_FIELD_ETHER_TYPE, .low = 0x0800 }, true },
	{ { .field = NBL_FIELD_ETHER_TYPE, .low = 0x8100 }, false },
	{ { .field = NBL_FIELD_VLAN_ID, .low = 100 }, true },
	{ { .field = NBL_FIELD_VLAN_ID, .match = WFP_MATCH_RANGE, .low = 101, .high = 200 },
	  false },
	{ { .field = NBL_FIELD_IP_VERSION, .low = 4 }, true },
	{ { .field = NBL_FIELD_IP_SOURCE, .ip_version = 4, .address = { 10, 0, 0, 1 } }, true },
	{ { .field = NBL_FIELD_IP_SOURCE, .ip_version = 4, .address = { 10, 0, 0, 2 } }, false },
	{ { .field = NBL_FIELD_IP_SOURCE, .ip_version = 4, .match = WFP_MATCH_PREFIX,
	    .prefix_size = 31, .address = { 10, 0, 0, 0 } }, true },
	{ { .field = NBL_FIELD_IP_SOURCE, .ip_version = 4, .match = WFP_MATCH_PREFIX,
	    .prefix_size = 30, .address = { 10, 0, 0, 4 } }, false },
	{ { .field = NBL_FIELD_IP_SOURCE, .ip_version = 4, .match = WFP_MATCH_PREFIX,
	    .prefix_size = 0, .address = { 99 } }, true },
	{ { .field = NBL_FIELD_IP_SOURCE, .ip_version = 6, .match = WFP_MATCH_PREFIX,
	    .prefix_size = 0 }, false },
	{ { .field = NBL_FIELD_IP_LOCAL, .ip_version = 4, .address = { 10, 0, 0, 2 } }, true },
	{ { .field = NBL_FIELD_IP_REMOTE, .ip_version = 4, .address = { 10, 0, 0, 2 } }, false },
	{ { .field = NBL_FIELD_IP_PROTOCOL, .low = 17 }, true },
	{ { .field = NBL_FIELD_IP_FRAGMENT, .low = 0 }, true },
	{ { .field = NBL_FIELD_PORT_SOURCE, .low = 1000 }, true },
	{ { .field = NBL_FIELD_PORT_DESTINATION, .match = WFP_MATCH_RANGE, .low = 50, .high = 53 },
	  true },
	{ { .field = NBL_FIELD_PORT_DESTINATION, .match = WFP_MATCH_RANGE, .low = 54, .high = 60 },
	  false },
	{ { .field = NBL_FIELD_PORT_LOCAL, .low = 53 }, true },
	{ { .field = NBL_FIELD_PORT_REMOTE, .low = 1000 }, true },
	{ { .field = NBL_FIELD_PORT_DESTINATION, .match = WFP_MATCH_FLAGS_ALL_SET, .low = 0x31 },
	  true },
	{ { .field = NBL_FIELD_PORT_DESTINATION, .match = WFP_MATCH_FLAGS_ALL_SET, .low = 0x33 },
	  false },
	{ { .field = NBL_FIELD_PORT_DESTINATION, .match = WFP_MATCH_FLAGS_ANY_SET, .low = 0x42 },
	  false },
	{ { .field = NBL_FIELD_PORT_DESTINATION, .match = WFP_MATCH_FLAGS_ANY_SET, .low = 0x41 },
	  true },
	{ { .field = NBL_FIELD_PORT_DESTINATION, .match = WFP_MATCH_FLAGS_NONE_SET, .low = 0x42 },
	  true },
	{ { .field = NBL_FIELD_PORT_DESTINATION, .match = WFP_MATCH_FLAGS_NONE_SET,
	    .low = 0x40 | 1 }, false },
	/* no ICMP there */
	{ { .field = NBL_FIELD_ICMP_TYPE, .match = WFP_MATCH_FLAGS_NONE_SET, .low = 0xff }, false },
	{ { .field = NBL_FIELD_TCP_FLAGS, .match = WFP_MATCH_RANGE, .high = 255 }, false },
	{ { .field = NBL_FIELD_DIRECTION, .low = NBL_DIRECTION_INBOUND }, true },
	{ { .field = NBL_FIELD_INTERFACE, .low = 3 }, true },
	{ { .field = NBL_FIELD_QUEUE, .low = 1 }, true },
	{ { .field = NBL_FIELD_PORT, .low = 2 }, true },
	{ { .field = NBL_FIELD_PORT, .low = 0 }, false },
};

static struct recipe tagged_udp4(void)
{
	struct recipe r = RECIPE_UDP4;

	r.n_tags = 1;
	r.vlan = 100;
	return r;
}

static bool blocked_under(const struct nbl_wfp_condition *c, uint32_t n_conditions)
{
	struct nbl_wfp_filter_spec spec = { .layer = NATIVE, .action = WFP_ACTION_BLOCK,
					    .conditions = c, .n_conditions = n_conditions };
	struct recipe r = tagged_udp4();
	struct nbl *n = cooked(&r, 64);
	uint64_t id = add_spec(&spec);
	bool blocked = send_through(NATIVE, n) == DROPPED;

	if (!blocked)
		nbl_release(n);
	delete_filter(id);
	return blocked;
}

START_TEST(CL_01_each_kind_of_condition_matches_what_it_names_and_nothing_else)
{
	ck_assert_int_eq(blocked_under(&conditions[_i].c, 1), conditions[_i].matches);
}
END_TEST

START_TEST(CL_01_conditions_on_one_field_are_alternatives_and_on_several_must_all_hold)
{
	static const struct nbl_wfp_condition port[] = {
		{ .field = NBL_FIELD_PORT_DESTINATION, .low = 80 },
		{ .field = NBL_FIELD_IP_PROTOCOL, .low = 17 },
		{ .field = NBL_FIELD_PORT_DESTINATION, .low = 53 },
	};
	static const struct nbl_wfp_condition both[] = {
		{ .field = NBL_FIELD_PORT_DESTINATION, .low = 53 },
		{ .field = NBL_FIELD_IP_PROTOCOL, .low = 6 },
	};

	ck_assert(blocked_under(port, 3));
	ck_assert(!blocked_under(port, 2));
	ck_assert(!blocked_under(both, 2));
	ck_assert(blocked_under(NULL, 0));
}
END_TEST

START_TEST(CL_01_filters_that_make_no_sense_are_refused)
{
	static const struct nbl_wfp_condition bad[] = {
		{ .field = NBL_N_FIELDS },
		{ .field = NBL_FIELD_PORT, .match = WFP_MATCH_PREFIX },
		{ .field = NBL_FIELD_PORT, .match = 99 },
		{ .field = NBL_FIELD_PORT, .match = WFP_MATCH_RANGE, .low = 2, .high = 1 },
		{ .field = NBL_FIELD_IP_SOURCE },
		{ .field = NBL_FIELD_IP_SOURCE, .ip_version = 5 },
		{ .field = NBL_FIELD_IP_SOURCE,
		  .ip_version = 4,
		  .match = WFP_MATCH_PREFIX,
		  .prefix_size = 33 },
		{ .field = NBL_FIELD_IP_SOURCE,
		  .ip_version = 6,
		  .match = WFP_MATCH_PREFIX,
		  .prefix_size = 129 },
		{ .field = NBL_FIELD_IP_SOURCE, .ip_version = 4, .match = WFP_MATCH_RANGE },
	};
	struct nbl_wfp_condition other = { .field = NBL_FIELD_IP_SOURCE, .ip_version = 6 };
	struct nbl_wfp_filter_spec spec = { .layer = NATIVE, .n_conditions = 1 };
	uint64_t id = 0;

	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		spec.conditions = &bad[i];
		ck_assert_int_eq(nbl_wfp_filter_add(fix.wfp, &spec, &id), -EINVAL);
	}
	spec = (struct nbl_wfp_filter_spec){ .layer = NBL_LAYER_IPFORWARD_V4,
					     .conditions = &other,
					     .n_conditions = 1 };
	ck_assert_int_eq(nbl_wfp_filter_add(fix.wfp, &spec, &id), -EINVAL);
	spec = (struct nbl_wfp_filter_spec){ .layer = NATIVE, .action = (enum nbl_wfp_action)9 };
	ck_assert_int_eq(nbl_wfp_filter_add(fix.wfp, &spec, &id), -EINVAL);
	spec = (struct nbl_wfp_filter_spec){ .layer = NATIVE, .flags = 64 };
	ck_assert_int_eq(nbl_wfp_filter_add(fix.wfp, &spec, &id), -EINVAL);
	spec = (struct nbl_wfp_filter_spec){ .layer = NATIVE,
					     .action = WFP_ACTION_CALLOUT_UNKNOWN };
	ck_assert_int_eq(nbl_wfp_filter_add(fix.wfp, &spec, &id), -EINVAL);
	spec = (struct nbl_wfp_filter_spec){ .layer = NATIVE, .sublayer = 5 };
	ck_assert_int_eq(nbl_wfp_filter_add(fix.wfp, &spec, &id), -ENOENT);
	ck_assert_uint_eq(id, 0);
	ck_assert_int_eq(nbl_wfp_sublayer_add(fix.wfp, 5, 1), 0);
	ck_assert_int_eq(nbl_wfp_sublayer_add(fix.wfp, 5, 1), -EEXIST);
	ck_assert_int_eq(nbl_wfp_filter_add(fix.wfp, &spec, &id), 0);
	ck_assert_int_eq(nbl_wfp_sublayer_delete(fix.wfp, 5), -EBUSY);
	ck_assert_int_eq(nbl_wfp_sublayer_delete(fix.wfp, 6), -ENOENT);
	ck_assert_int_eq(nbl_wfp_sublayer_delete(fix.wfp, 0), -EBUSY);
	delete_filter(id);
	ck_assert_int_eq(nbl_wfp_sublayer_delete(fix.wfp, 5), 0);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ CL_01_each_kind_of_condition_matches_what_it_names_and_nothing_else,
		  N_ELEMENTS(conditions) },
		{ CL_01_conditions_on_one_field_are_alternatives_and_on_several_must_all_hold, 1 },
		{ CL_01_filters_that_make_no_sense_are_refused, 1 },
	};

	return fix_run("wfp_conditions", tests, N_ELEMENTS(tests));
}
