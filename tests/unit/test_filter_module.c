// SPDX-License-Identifier: BSD-2-Clause
/* test_filter_module.c - rules in a stack: what is blocked, what passes, how it is counted. */
#include "filter_fixture.h"

START_TEST(CL_05_a_rule_blocks_what_it_matches_and_nothing_else_and_each_is_its_drop)
{
	bool sends = _i;
	struct recipe dns = RECIPE_UDP4, web = RECIPE_UDP4, arp = { .n_tags = 0, .payload = 46 };

	web.destination_port = 80;
	begin(sends ? "outbound-ip4 protocol=udp dport=53 block" :
		      "inbound-ip4 protocol=udp dport=53 block", NULL);
	for (int i = 0; i < 5; i++) {
		deliver(sends ? UPPER : LOWER, &dns);
		deliver(sends ? UPPER : LOWER, &web);
		deliver(sends ? UPPER : LOWER, &arp);
		deliver(sends ? LOWER : UPPER, &dns);
	}
	settle();
	ck_assert_uint_eq(sent.n, 15);
	for (int i = 0; i < 5; i++) {
		ck_assert(recipe_left(sends ? LOWER : UPPER, &web));
		ck_assert(recipe_left(sends ? LOWER : UPPER, &arp));
		ck_assert(recipe_left(sends ? UPPER : LOWER, &dns));
	}
	ck_assert_uint_eq(outcome(NBL_OUTCOME_BLOCKED), 5);
	ck_assert_uint_eq(dropped_here(NBL_OUTCOME_BLOCKED), 5);
	ck_assert_uint_eq(counts().blocked, 5);
	finish();
}
END_TEST

START_TEST(FS_11_a_way_without_rules_is_shown_to_nobody)
{
	struct recipe r = RECIPE_UDP4;

	begin(_i ? "outbound-mac ether-type=ip4 block" : NULL, NULL);
	for (int i = 0; i < 20; i++)
		deliver(LOWER, &r);
	settle();
	ck_assert_uint_eq(sent.n, 20);
	ck_assert_uint_eq(counts().classified, 0);
	finish();
}
END_TEST

START_TEST(CL_06_packets_the_gate_stops_are_counted_and_pass_in_order_with_the_others)
{
	struct recipe udp = RECIPE_UDP4;
	struct recipe lldp = { .n_tags = 0, .payload = 46 };
	struct bytes_out o;

	begin("inbound-mac ether-type=arp block", NULL);
	for (int i = 0; i < 12; i++) {
		udp.source = (uint8_t)i;
		deliver(LOWER, i % 4 == 3 ? &lldp : &udp);
	}
	settle();
	ck_assert_uint_eq(sent.n, 9);
	for (int i = 0, k = 0; i < 12; i++) {
		if (i % 4 == 3)
			continue;
		udp.source = (uint8_t)i;
		cook(&o, &udp);
		ck_assert_mem_eq(sent.packets[k].o.b, o.b, o.n);
		k++;
	}
	ck_assert_uint_eq(counts().classified, 12);
	ck_assert_uint_eq(counts().blocked, 3);
	finish();
}
END_TEST

/* Every kind of frame, through engines with and without a gate: the same are blocked. */
START_TEST(CL_06_a_gate_changes_no_verdict)
{
	static const char *const rules[] = {
		"inbound-mac ether-type=ip4 block",
		"inbound-mac ether-type=0x0600-0x0900 block",
		"inbound-mac protocol=udp block",
		"inbound-ip6 dport=53 block",
		"inbound-transport4 sport=1000 block",
		"inbound-mac vlan=100 block",
		"inbound-mac-native dst=10.0.0.2 block; inbound-ip6 protocol=tcp block",
		"datagram4 block; inbound-mac ether-type=arp block",
	};
	struct recipe r;

	begin(rules[_i], NULL);
	for (int i = 0; recipe_number(i, &r); i++) {
		uint64_t blocked = counts().blocked, with, without;
		struct wfp_snapshot *old = NULL;

		deliver(LOWER, &r);
		settle();
		with = counts().blocked - blocked;
		for (int way = 0; way < WFP_N_WAYS; way++)
			atomic_load(&fix.wfp->snapshot)->gates[way].narrow = false;
		blocked = counts().blocked;
		deliver(LOWER, &r);
		settle();
		without = counts().blocked - blocked;
		ck_assert_msg(with == without, "frame %d", i);
		ck_assert_int_eq(nbl_wfp_commit(fix.wfp, &old), 0);	/* makes gates anew */
		nbl_wfp_snapshot_free(old);
		sent.n = 0;
	}
	finish();
}
END_TEST

/* ---- options ---- */

START_TEST(FS_02_an_option_that_makes_no_sense_is_refused_by_name)
{
	static const struct { const char *key, *value, *says; } cases[] = {
		{ "rules", "inbound-mac block", "filter: no option 'rules'" },
		{ "rule", "inbound-mac blok", "filter: rule: 'blok' is neither" },
		{ "rule7", "inbound-mac block; x block", "filter: rule7: 'x' is not a layer" },
		{ "rule", "inbound-mac callout:nobody", "callout 'nobody' is not loaded" },
		{ "callouts", "nobody", "filter: callouts: no callout is named 'nobody'" },
		{ "callouts", "inspect-inline, inspect-inline", "'inspect-inline' is given twice" },
		{ "callouts", "inspect-inline x", "'x' is not KEY=VALUE" },
		{ "callouts", "inspect-inline x=1", "inspect-inline: no option 'x'" },
		{ "callouts", "modify-inline dscp=64",
		  "dscp must be a number from 0 to 63, not '64'" },
		{ "callouts", "inspect-oob hold-ms=1001",
		  "hold-ms must be a number from 0 to 1000" },
		{ "callouts", "inspect-oob limit=0", "limit must be a number from 1 to" },
		{ "callouts", "inspect-oob verdict=no", "verdict is allow or discard, not 'no'" },
		{ "callouts", "modify-oob mac=1:2", "mac is a station's address" },
		{ "callouts", "modify-oob mac=01:00:00:00:00:01", "mac is a station's address" },
	};
	struct nbl_option o = { cases[_i].key, cases[_i].value };
	char error[256] = "";
	void *context = NULL;

	filter_set_callout_kinds(fixture_kinds);
	ck_assert_int_eq(nbl_module_filter.attach(&o, 1, &context, error, sizeof(error)), -EINVAL);
	ck_assert_msg(strstr(error, cases[_i].says), "%s", error);
	ck_assert_ptr_null(context);
}
END_TEST

START_TEST(FS_02_a_rule_whose_callout_does_not_work_there_is_refused)
{
	const struct nbl_option o[] = { { "rule", "inbound-mac callout:modify-inline" },
					{ "callouts", "modify-inline" } };
	char error[256] = "";
	void *context = NULL;

	filter_set_callout_kinds(fixture_kinds);
	ck_assert_int_eq(nbl_module_filter.attach(o, 2, &context, error, sizeof(error)), -EINVAL);
	ck_assert_str_eq(error,
			 "filter: rule: callout 'modify-inline' does not work at layer "
			 "inbound-mac");
}
END_TEST

static struct nbl_values seen_values;

static void see_values(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	seen_values = *in->values;
}

START_TEST(CL_01_an_interface_the_stack_does_not_name_is_not_a_value)
{
	struct recipe r = RECIPE_UDP4;

	probe.classify = see_values;
	begin("inbound-ip4 inspect:probe", "probe");
	deliver(LOWER, &r);
	settle();
	ck_assert_uint_eq(seen_values.interface, 0);
	ck_assert(!(seen_values.present & NBL_FIELD_BIT(NBL_FIELD_INTERFACE)));
	ck_assert(seen_values.present & NBL_FIELD_BIT(NBL_FIELD_PORT));
	finish();
}
END_TEST

START_TEST(CL_06_figures_tell_each_rule_and_callout)
{
	struct recipe r = RECIPE_UDP4;
	struct filter_rule_figures rule;
	struct filter_callout_figures callout;

	begin("inbound-ip4 dport=53 inspect:inspect-inline weight=2; inbound-ip4 dport=53 block",
	      "inspect-inline");
	for (int i = 0; i < 3; i++)
		deliver(LOWER, &r);
	settle();
	ck_assert_int_eq(filter_get_rule(filter()->context, 0, &rule), 0);
	ck_assert_str_eq(rule.text, "inbound-ip4 dport=53 inspect:inspect-inline weight=2");
	ck_assert_uint_eq(rule.counts.matched, 3);
	ck_assert_int_eq(filter_get_rule(filter()->context, 1, &rule), 0);
	ck_assert_uint_eq(rule.counts.blocked, 3);
	ck_assert_int_eq(filter_get_rule(filter()->context, 2, &rule), -ENOENT);
	ck_assert_int_eq(filter_get_callout(filter()->context, 0, &callout), 0);
	ck_assert_str_eq(callout.name, "inspect-inline");
	ck_assert_uint_eq(callout.engine.calls, 3);
	ck_assert_uint_eq(callout.own.seen, 3);
	ck_assert_int_eq(filter_get_callout(filter()->context, 1, &callout), -ENOENT);
	finish();
}
END_TEST

START_TEST(CL_06_the_view_tells_all_rules_page_by_page)
{
	struct recipe r = RECIPE_UDP4;
	struct filter_view v;
	char rules[512] = "", text[64];

	for (int i = 0; i < 11; i++)
		sprintf(rules + strlen(rules), "inbound-ip4 vlan=%d block; ", i);
	strcat(rules, "inbound-ip4 inspect:inspect-inline");
	begin(rules, "inspect-inline");
	deliver(LOWER, &r);
	settle();
	for (uint32_t first = 0; first < 16; first += FILTER_VIEW_RULES) {
		filter_view(filter()->context, first, &v);
		ck_assert_uint_eq(v.n_rules, first ? 4 : FILTER_VIEW_RULES);
		sprintf(text, "inbound-ip4 vlan=%u block", first);
		ck_assert_str_eq(v.rules[0].text, text);
	}
	ck_assert_uint_eq(v.rules[3].counts.matched, 1);
	ck_assert_uint_eq(v.n_callouts, 1);
	ck_assert_str_eq(v.callouts[0].name, "inspect-inline");
	ck_assert_uint_eq(v.callouts[0].calls, 1);
	ck_assert_uint_eq(v.engine.classified, 1);
	filter_view(filter()->context, 12, &v);
	ck_assert_uint_eq(v.n_rules, 0);
	finish();
}
END_TEST

static void associate(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	uint64_t flow;

	ck_assert_int_eq(nbl_flow_associate(in, 1, &flow), 0);
}

START_TEST(CL_13_taking_the_module_out_ends_all_flow_contexts_and_tells_of_them)
{
	probe.classify = associate;
	begin("inbound-ip4 inspect:probe", "probe");
	for (int i = 0; i < 200; i++) {
		struct recipe r = numbered(i);

		deliver(LOWER, &r);
		settle();
	}
	ck_assert_uint_eq(counts().flow_contexts, 200);
	nbl_stack_evict(&rig.stack, (uint32_t)nbl_stack_find(&rig.stack, "filter"));
	ck_assert_uint_eq(probe.n_flow_deleted, 200);
	rig_check(&rig);
	rig_down(&rig);
	rig_free(&rig);
}
END_TEST

/* ---- borrowed chains ---- */

static struct nbl_chain *lent;	/* what the lower module lends; NULL: it passes it on */
static uint32_t passed_mask;

static void upper_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			  uint32_t flags)
{
	ck_assert_uint_eq(flags, NBL_RECEIVE_RESOURCES);
	for (struct nbl *n = chain.head; n; n = n->next)
		passed_mask |= 1u << nbl_nb_data(&n->nb)[29];
}

static const struct nbl_module upper_module = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "upper",
	.flags = NBL_MODULE_HOLDS, .receive = upper_receive, .status = nbl_filter_pass_status,
};

static void lend(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	if (lent)
		*lent = chain;
	nbl_filter_indicate(f, chain, port, lent ? NBL_RECEIVE_RESOURCES : flags);
}

static const struct nbl_module lower_module = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "lower",
	.flags = NBL_MODULE_HOLDS, .receive = lend, .status = nbl_filter_pass_status,
};

static uint32_t mask_wanted;

static void block_masked(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	if (!(mask_wanted >> in->values->ip_source[3] & 1))
		return;
	if (in->values->ip_source[3] & 1) {
		absorb(out);
	} else {
		out->action = NBL_ACTION_BLOCK;
		out->rights = 0;
	}
}

START_TEST(RX_05_dropping_and_absorbing_over_all_masks_gives_the_lent_list_back_as_it_came)
{
	struct nbl_chain chain;
	char error[128];

	lent = &chain;
	probe.classify = block_masked;
	begin("inbound-ip4 callout:probe", "probe");
	ck_assert_int_eq(nbl_stack_insert(&rig.stack, &lower_module, NULL, 0, 0, error, 128), 0);
	ck_assert_int_eq(nbl_stack_insert(&rig.stack, &upper_module, NULL, 0, 2, error, 128), 0);
	for (mask_wanted = 0; mask_wanted < 256; mask_wanted++) {
		struct nbl *order[8];
		uint32_t n = 0;
		struct nbl_chain again = NBL_CHAIN_EMPTY;
		struct nbl_filter *lower = &rig.stack.modules[0].filters[0].f;

		for (int i = 0; i < 8; i++) {
			struct recipe r = RECIPE_UDP4;

			r.source = (uint8_t)i;
			deliver(LOWER, &r);
		}
		passed_mask = 0;
		turn();
		ck_assert_uint_eq(passed_mask, ~mask_wanted & 0xff);
		ck_assert(nbl_chain_is_sound(&chain));
		for (struct nbl *m = chain.head; m; m = m->next) {
			ck_assert_uint_eq(nbl_nb_data(&m->nb)[29], n);
			order[n++] = m;
		}
		ck_assert_uint_eq(n, 8);
		for (uint32_t i = 0; i < n; i++)
			if (mask_wanted >> i & 1)
				ck_assert_int_eq(order[i]->outcome, i & 1 ? NBL_OUTCOME_CONSUMED :
									    NBL_OUTCOME_BLOCKED);
		again = chain;
		nbl_lane_enter(&rig.lane);
		nbl_filter_return(lower, again);
		nbl_lane_enter(NULL);
	}
	ck_assert_uint_eq(outcome(NBL_OUTCOME_BLOCKED), 4 * 128);
	ck_assert_uint_eq(dropped_here(NBL_OUTCOME_BLOCKED), 4 * 128);
	finish();
}
END_TEST

START_TEST(RX_04_what_callouts_keep_of_lent_packets_are_copies)
{
	struct nbl_chain chain;
	struct nbl_pool_counts p;
	struct recipe r;
	char error[128];

	lent = &chain;
	begin("inbound-mac callout:inspect-oob", "inspect-oob hold-ms=1");
	ck_assert_int_eq(nbl_stack_insert(&rig.stack, &lower_module, NULL, 0, 0, error, 128), 0);
	for (int i = 0; i < 3; i++) {
		r = numbered(i);
		deliver(LOWER, &r);
	}
	turn();
	lent = NULL;
	ck_assert_uint_eq(chain.n_nbls, 3);
	nbl_pool_get_counts(rig.pool, &p);
	ck_assert_uint_eq(p.n_frames - p.frames_free, 3);
	for (struct nbl *n = chain.head; n; n = n->next)
		ck_assert_uint_eq(atomic_load(&n->claims), 1);	/* nothing is kept of it */
	nbl_lane_enter(&rig.lane);
	nbl_filter_return(&rig.stack.modules[0].filters[0].f, chain);
	nbl_lane_enter(NULL);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_CONSUMED), 3);
	rig_check(&rig);
	settle();
	for (int i = 0; i < 3; i++) {
		r = numbered(i);
		ck_assert_msg(recipe_left(UPPER, &r), "packet %d", i);
	}
	finish();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ CL_05_a_rule_blocks_what_it_matches_and_nothing_else_and_each_is_its_drop, 2 },
		{ FS_11_a_way_without_rules_is_shown_to_nobody, 2 },
		{ CL_06_packets_the_gate_stops_are_counted_and_pass_in_order_with_the_others, 1 },
		{ CL_06_a_gate_changes_no_verdict, 8 },
		{ FS_02_an_option_that_makes_no_sense_is_refused_by_name, 14 },
		{ FS_02_a_rule_whose_callout_does_not_work_there_is_refused, 1 },
		{ CL_01_an_interface_the_stack_does_not_name_is_not_a_value, 1 },
		{ CL_06_figures_tell_each_rule_and_callout, 1 },
		{ CL_06_the_view_tells_all_rules_page_by_page, 1 },
		{ CL_13_taking_the_module_out_ends_all_flow_contexts_and_tells_of_them, 1 },
		{ RX_05_dropping_and_absorbing_over_all_masks_gives_the_lent_list_back_as_it_came,
		  1 },
		{ RX_04_what_callouts_keep_of_lent_packets_are_copies, 1 },
	};

	return rig_run("filter_module", tests, N_ELEMENTS(tests));
}
