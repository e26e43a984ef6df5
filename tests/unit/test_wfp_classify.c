// SPDX-License-Identifier: BSD-2-Clause
/* test_wfp_classify.c - layers, filters, callouts: who sees what, where, how often. */
#include "wfp_fixture.h"

#define NATIVE NBL_LAYER_INBOUND_MAC_FRAME_NATIVE

/* ---- registering ---- */

START_TEST(CL_01_callouts_for_layers_that_are_not_offered_are_refused)
{
	struct script s = { 0 };
	struct nbl_callout c = script_callout(&s);
	uint32_t id = 0;

	for (int layer = NBL_N_LAYERS; layer < NBL_N_KNOWN_LAYERS; layer++) {
		c.layers = NBL_LAYER_BIT(layer) | NBL_LAYER_BIT(NATIVE);
		ck_assert_int_eq(nbl_callout_register(fix.wfp, &c, &id), -EOPNOTSUPP);
	}
	ck_assert_uint_eq(id, 0);
	for (int layer = 0; layer < NBL_N_LAYERS; layer++) {
		c.layers = NBL_LAYER_BIT(layer);
		ck_assert_int_eq(nbl_callout_register(fix.wfp, &c, &id), 0);
		ck_assert_int_eq(nbl_callout_unregister(fix.wfp, id), 0);
	}
}
END_TEST

START_TEST(CL_01_callouts_that_do_not_make_sense_are_refused)
{
	struct script s = { 0 };
	struct nbl_callout good = script_callout(&s), bad[8];
	uint32_t id = 0;

	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		bad[i] = good;
	bad[0].version++;
	bad[1].size--;
	bad[2].name = NULL;
	bad[3].owner = 0;
	bad[4].layers = 0;
	bad[5].classify = NULL;
	bad[6].flags = 1u << 9;
	bad[7].flags = NBL_CALLOUT_CONDITIONAL_ON_FLOW;
	bad[7].flow_deleted = NULL;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		ck_assert_int_eq(nbl_callout_register(fix.wfp, &bad[i], &id), -EINVAL);
	ck_assert_uint_eq(id, 0);
	for (int i = 0; i < NBL_MAX_CALLOUTS; i++)
		ck_assert_int_eq(nbl_callout_register(fix.wfp, &good, &id), 0);
	ck_assert_int_eq(nbl_callout_register(fix.wfp, &good, &id), -ENOSPC);
}
END_TEST

START_TEST(CL_01_filters_for_a_layer_their_callout_does_not_support_are_refused)
{
	struct script s = { 0 };
	struct nbl_callout c = script_callout(&s);
	struct nbl_wfp_filter_spec spec = { .action = WFP_ACTION_CALLOUT_UNKNOWN };
	uint64_t id;

	c.layers = NBL_LAYER_BIT(NATIVE);
	ck_assert_int_eq(nbl_callout_register(fix.wfp, &c, &spec.callout), 0);
	spec.layer = NBL_LAYER_OUTBOUND_IPPACKET_V4;
	ck_assert_int_eq(nbl_wfp_filter_add(fix.wfp, &spec, &id), -EOPNOTSUPP);
	spec.layer = NBL_LAYER_ALE_AUTH_CONNECT_V4;
	ck_assert_int_eq(nbl_wfp_filter_add(fix.wfp, &spec, &id), -EOPNOTSUPP);
	spec.layer = NATIVE;
	ck_assert_int_eq(nbl_wfp_filter_add(fix.wfp, &spec, &id), 0);
}
END_TEST

static void notified(struct script *s, uint32_t added, uint32_t deleted)
{
	ck_assert_uint_eq(s->n_notified[NBL_CALLOUT_FILTER_ADDED], added);
	ck_assert_uint_eq(s->n_notified[NBL_CALLOUT_FILTER_DELETED], deleted);
}

START_TEST(CL_01_a_callout_is_told_of_its_filters_when_they_are_in_force_and_gone)
{
	struct script s = { 0 };
	struct nbl_wfp_filter_spec spec = { .layer = NATIVE, .action = WFP_ACTION_CALLOUT_UNKNOWN,
					    .context = 4711, .weight = 3 };
	uint64_t id, brief;

	spec.callout = script_register(&s);
	ck_assert_int_eq(nbl_wfp_filter_add(fix.wfp, &spec, &id), 0);
	ck_assert_int_eq(nbl_wfp_filter_add(fix.wfp, &spec, &brief), 0);
	ck_assert_int_eq(nbl_wfp_filter_delete(fix.wfp, brief), 0);
	ck_assert_int_eq(nbl_wfp_filter_delete(fix.wfp, brief), -ENOENT);
	notified(&s, 0, 0);
	fix_commit();
	notified(&s, 1, 0);
	ck_assert_uint_eq(s.filter.id, id);
	classify_one(NATIVE);
	ck_assert_uint_eq(s.filter.context, 4711);
	ck_assert_uint_eq(s.n_calls, 1);
	fix_commit();
	notified(&s, 1, 0);
	delete_filter(id);
	notified(&s, 1, 1);
	classify_one(NATIVE);
	ck_assert_uint_eq(s.n_calls, 1);
}
END_TEST

/* ---- time ---- */

static void takes_5_ms(struct script *s, const struct nbl_classify_in *in)
{
	fix.now_ns += 5000000;
}

static void takes_100_ns(struct script *s, const struct nbl_classify_in *in)
{
	fix.now_ns += 100;
}

START_TEST(CL_09_a_callout_that_takes_5_ms_is_reported_with_name_and_p99)
{
	struct script slow = { .more = takes_5_ms, .action = NBL_ACTION_CONTINUE };
	struct script quick = { .more = takes_100_ns, .action = NBL_ACTION_CONTINUE };
	struct nbl_wfp_callout_counts c;

	script_start(&slow, NATIVE, 0, 1);
	script_start(&quick, NATIVE, 0, 2);
	for (int i = 0; i < 10; i++)
		classify_one(NATIVE);
	ck_assert_int_eq(nbl_wfp_get_callout_counts(fix.wfp, slow.id, &c), 0);
	ck_assert_str_eq(c.name, "script");
	ck_assert_uint_eq(c.calls, 10);
	ck_assert_uint_eq(c.over_budget, 10);
	ck_assert_uint_ge(c.p99_ns, 5000000);
	ck_assert_uint_le(c.p99_ns, 10000000);
	ck_assert_int_eq(nbl_wfp_get_callout_counts(fix.wfp, quick.id, &c), 0);
	ck_assert_uint_eq(c.over_budget, 0);
	ck_assert_uint_eq(c.p99_ns, 128);
}
END_TEST

START_TEST(CL_09_the_histogram_tells_a_rare_slow_call_from_the_median)
{
	struct script s = { .more = takes_100_ns };
	struct nbl_wfp_callout_counts c;

	script_start(&s, NATIVE, 0, 1);
	for (int i = 0; i < 98; i++)
		classify_one(NATIVE);
	s.more = takes_5_ms;
	classify_one(NATIVE);
	classify_one(NATIVE);
	ck_assert_int_eq(nbl_wfp_get_callout_counts(fix.wfp, s.id, &c), 0);
	ck_assert_uint_eq(c.p50_ns, 128);
	ck_assert_uint_ge(c.p99_ns, 5000000);
	ck_assert_uint_eq(c.over_budget, 2);
}
END_TEST

/* ---- batches ---- */

static uint32_t start_batch(struct script *s, uint32_t flags)
{
	struct nbl_callout c = script_callout(s);

	c.classify_batch = script_classify_batch;
	c.flags = flags;
	ck_assert_int_eq(nbl_callout_register(fix.wfp, &c, &s->id), 0);
	return s->id;
}

static struct nbl_chain chain_of_n(int n)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	for (int i = 0; i < n; i++)
		nbl_chain_append(&chain, cooked(&RECIPE_UDP4, 64));
	return chain;
}

static void release_chain(struct nbl_chain chain)
{
	struct nbl *n;

	while ((n = nbl_chain_pop(&chain)))
		nbl_release(n);
}

START_TEST(CL_10_mac_layers_show_one_at_a_time_unless_the_callout_wants_batches)
{
	struct script one = { .action = NBL_ACTION_CONTINUE },
		      batch = { .action = NBL_ACTION_CONTINUE };
	struct nbl_wfp_result r;

	script_start(&one, NATIVE, 0, 2);
	add_filter(NATIVE, WFP_ACTION_CALLOUT_UNKNOWN, start_batch(&batch, 0), 0, 1, 0);
	add_filter(NBL_LAYER_INBOUND_IPPACKET_V4, WFP_ACTION_CALLOUT_UNKNOWN, batch.id, 0, 1, 0);
	r = nbl_wfp_classify_chain(fix.wfp, NATIVE, chain_of_n(10), &fix.env);
	ck_assert_uint_eq(one.n_calls, 10);
	ck_assert_uint_eq(batch.n_calls, 1);
	ck_assert_uint_eq(batch.n_packets, 10);
	/* above the MAC layers there are no batches */
	r = nbl_wfp_classify_chain(fix.wfp, NBL_LAYER_INBOUND_IPPACKET_V4, r.passed, &fix.env);
	ck_assert_uint_eq(batch.n_calls, 11);
	release_chain(r.passed);
}
END_TEST

static int batch_results[6];

static void tries_to_hold(struct script *s, const struct nbl_classify_in *in)
{
	struct nbl *made = NULL;

	batch_results[0] = nbl_callout_reference(in->wfp, s->id, in->n, false);
	batch_results[1] = nbl_callout_clone(in->wfp, s->id, in->n, unit.pool, &made);
	batch_results[2] =
		nbl_callout_deep_clone(in->wfp, s->id, in->n, unit.pool, unit.data, &made);
	batch_results[3] = nbl_callout_copy(in->wfp, s->id, in->n, unit.pool, unit.data, &made);
	batch_results[4] = nbl_callout_dereference(in->wfp, s->id, in->n);
	batch_results[5] = nbl_callout_free(in->wfp, s->id, s->data);
	ck_assert_ptr_null(made);
}

START_TEST(CL_10_a_batch_callout_can_neither_reference_nor_clone_nor_free_and_nothing_leaks)
{
	struct script s = { .action = NBL_ACTION_CONTINUE, .more = tries_to_hold };
	struct nbl *parent = cooked(&RECIPE_UDP4, 64), *clone;
	struct nbl_chain chain = chain_of_n(2);

	start_batch(&s, 0);
	ck_assert_int_eq(nbl_callout_clone(fix.wfp, s.id, parent, unit.pool, &clone), 0);
	s.data = clone;
	add_filter(NATIVE, WFP_ACTION_CALLOUT_UNKNOWN, s.id, 0, 1, 0);
	chain = nbl_wfp_classify_chain(fix.wfp, NATIVE, chain, &fix.env).passed;
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(batch_results[i], -EINVAL);
	ck_assert_uint_eq(holds(&s), 1);
	release_chain(chain);
	ck_assert_int_eq(nbl_callout_free(fix.wfp, s.id, clone), 0);
	nbl_release(parent);
}
END_TEST

START_TEST(CL_10_a_batch_callout_that_holds_behind_the_engines_back_is_counted)
{
	struct script s = { .action = NBL_ACTION_CONTINUE, .raw_reference = 1 };
	struct nbl_chain chain;

	add_filter(NATIVE, WFP_ACTION_CALLOUT_UNKNOWN, start_batch(&s, 0), 0, 1, 0);
	chain = nbl_wfp_classify_chain(fix.wfp, NATIVE, chain_of_n(3), &fix.env).passed;
	ck_assert_uint_eq(counts().batch_held, 3);
	for (struct nbl *n = chain.head; n; n = n->next)
		nbl_dereference(n);
	release_chain(chain);
}
END_TEST

START_TEST(AMB_07_the_extension_lets_a_batch_callout_hold)
{
	struct script s = { .action = NBL_ACTION_CONTINUE, .reference = 1 };
	struct nbl_chain chain;

	add_filter(NATIVE, WFP_ACTION_CALLOUT_UNKNOWN, start_batch(&s, NBL_CALLOUT_BATCH_MAY_HOLD),
		   0, 1, 0);
	chain = nbl_wfp_classify_chain(fix.wfp, NATIVE, chain_of_n(3), &fix.env).passed;
	ck_assert_uint_eq(s.n_calls, 1);
	ck_assert_uint_eq(holds(&s), 3);
	ck_assert_uint_eq(counts().batch_held, 0);
	for (struct nbl *n = chain.head; n; n = n->next)
		ck_assert_int_eq(nbl_callout_dereference(fix.wfp, s.id, n), 0);
	release_chain(chain);
}
END_TEST

static uint32_t block_every;

static void classify_batch_masked(const struct nbl_classify_in *in, struct nbl_classify_out *out,
				  uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		bool blocks = in[i].values->vlan_id % block_every == 0;

		out[i].action = blocks ? NBL_ACTION_BLOCK : NBL_ACTION_PERMIT;
		out[i].rights = blocks ? 0 : out[i].rights;
	}
}

START_TEST(CL_10_each_packet_of_a_batch_has_a_verdict_of_its_own_and_order_is_kept)
{
	struct script s = { 0 };
	struct nbl_callout c = script_callout(&s);
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	struct nbl_wfp_result r;
	struct nbl *n;

	block_every = 3;
	c.classify_batch = classify_batch_masked;
	ck_assert_int_eq(nbl_callout_register(fix.wfp, &c, &s.id), 0);
	add_filter(NATIVE, WFP_ACTION_CALLOUT_TERMINATING, s.id, 0, 1, 0);
	for (uint16_t i = 1; i <= 12; i++) {
		struct recipe recipe = RECIPE_UDP4;

		recipe.n_tags = 1;
		recipe.vlan = i;
		n = cooked(&recipe, 64);
		n->scratch = (void *)(uintptr_t)i;
		nbl_chain_append(&chain, n);
	}
	r = nbl_wfp_classify_chain(fix.wfp, NATIVE, chain, &fix.env);
	ck_assert_uint_eq(r.passed.n_nbls, 8);
	ck_assert_uint_eq(r.dropped.n_nbls, 4);
	ck_assert(nbl_chain_is_sound(&r.passed) && nbl_chain_is_sound(&r.dropped));
	for (n = r.passed.head; n->next; n = n->next)
		ck_assert_uint_lt((uintptr_t)n->scratch, (uintptr_t)n->next->scratch);
	for (n = r.dropped.head; n; n = n->next)
		ck_assert_uint_eq((uintptr_t)n->scratch % 3, 0);
	release_chain(r.passed);
	release_chain(r.dropped);
}
END_TEST

/* _i: on the way in; on the way out. */
START_TEST(CL_11_each_fragment_is_classified_for_itself)
{
	static const enum nbl_layer layers[][4] = {
		{ NBL_LAYER_INBOUND_MAC_FRAME_NATIVE, NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET,
		  NBL_LAYER_INBOUND_IPPACKET_V4, NBL_LAYER_INBOUND_TRANSPORT_V4 },
		{ NBL_LAYER_OUTBOUND_MAC_FRAME_NATIVE, NBL_LAYER_OUTBOUND_MAC_FRAME_ETHERNET,
		  NBL_LAYER_OUTBOUND_IPPACKET_V4, NBL_LAYER_OUTBOUND_TRANSPORT_V4 },
	};
	struct script s[4] = { 0 };
	struct recipe recipe = RECIPE_UDP4;
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	for (int i = 0; i < 4; i++) {
		s[i].action = NBL_ACTION_CONTINUE;
		script_start(&s[i], layers[_i][i], 0, 1);
	}
	for (int i = 0; i < 3; i++) {
		recipe.fragment = i ? 2 : 1;
		nbl_chain_append(&chain, cooked(&recipe, 64));
	}
	chain = nbl_wfp_classify_way(fix.wfp, _i ? WFP_WAY_SEND : WFP_WAY_RECEIVE, chain,
				     &fix.env).passed;
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(s[i].n_calls, 3);
		ck_assert_uint_eq(s[i].values.ip_fragment, NBL_FRAGMENT_LATER);
		ck_assert_uint_eq(s[i].metadata.fragment_offset, 40);
	}
	ck_assert_uint_eq(s[3].n_calls, 1);	/* the others have no transport header */
	release_chain(chain);
}
END_TEST

/* ---- CL-12 ---- */

START_TEST(CL_12_a_callout_goes_only_when_nothing_of_it_is_left)
{
	struct script s = { .action = NBL_ACTION_CONTINUE };
	struct nbl *n = cooked(&RECIPE_UDP4, 64), *made[3];

	script_start(&s, NATIVE, 0, 1);
	ck_assert_int_eq(nbl_callout_reference(fix.wfp, s.id, n, false), 0);
	ck_assert_int_eq(nbl_callout_clone(fix.wfp, s.id, n, unit.pool, &made[0]), 0);
	ck_assert_int_eq(nbl_callout_deep_clone(fix.wfp, s.id, n, unit.pool, unit.data, &made[1]),
			 0);
	ck_assert_int_eq(nbl_callout_copy(fix.wfp, s.id, n, unit.pool, unit.data, &made[2]), 0);
	nbl_release(n);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(nbl_callout_unregister(fix.wfp, s.id), -EBUSY);
		ck_assert_int_eq(nbl_callout_free(fix.wfp, s.id, made[i]), 0);
	}
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, s.id), -EBUSY);
	ck_assert_int_eq(nbl_callout_dereference(fix.wfp, s.id, n), 0);
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, s.id), 0);
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, s.id), -ENOENT);
	ck_assert_int_eq(nbl_callout_reference(fix.wfp, s.id, n, false), -ENOENT);
}
END_TEST

START_TEST(CL_12_a_callout_that_goes_is_called_no_more_from_the_first_try_on)
{
	struct script s = { .action = NBL_ACTION_CONTINUE };
	struct nbl *n = cooked(&RECIPE_UDP4, 64);

	script_register(&s);
	add_filter(NATIVE, WFP_ACTION_CALLOUT_UNKNOWN, s.id, 0, 1, NBL_WFP_PERMIT_IF_UNREGISTERED);
	ck_assert_int_eq(nbl_callout_reference(fix.wfp, s.id, n, false), 0);
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, s.id), -EBUSY);
	ck_assert_int_eq(classify_one(NATIVE), PASSED);
	ck_assert_uint_eq(s.n_calls, 0);
	ck_assert_int_eq(nbl_callout_dereference(fix.wfp, s.id, n), 0);
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, s.id), 0);
	nbl_release(n);
}
END_TEST

static void unregisters_itself(struct script *s, const struct nbl_classify_in *in)
{
	ck_assert_int_eq(nbl_callout_unregister(in->wfp, s->id), -EBUSY);
}

START_TEST(CL_12_a_callout_stays_while_a_classify_of_it_runs)
{
	struct script s = { .action = NBL_ACTION_CONTINUE, .more = unregisters_itself };

	script_start(&s, NATIVE, 0, 1);
	classify_one(NATIVE);
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, s.id), 0);
}
END_TEST

/* ---- ways ---- */

static uint8_t met[64];
static uint32_t n_met;

static void notes_the_layer(struct script *s, const struct nbl_classify_in *in)
{
	met[n_met++] = (uint8_t)in->layer;
}

START_TEST(IN_08_a_way_meets_its_layers_in_order_inbound_from_the_bottom_outbound_from_the_top)
{
	static const uint8_t expected[WFP_N_WAYS][8] = {
		{ NBL_LAYER_INBOUND_MAC_FRAME_NATIVE, NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET,
		  NBL_LAYER_INBOUND_IPPACKET_V4, NBL_LAYER_INBOUND_TRANSPORT_V4,
		  NBL_LAYER_DATAGRAM_DATA_V4 },
		{ NBL_LAYER_DATAGRAM_DATA_V4, NBL_LAYER_OUTBOUND_TRANSPORT_V4,
		  NBL_LAYER_OUTBOUND_IPPACKET_V4, NBL_LAYER_OUTBOUND_MAC_FRAME_ETHERNET,
		  NBL_LAYER_OUTBOUND_MAC_FRAME_NATIVE },
		{ NBL_LAYER_INBOUND_MAC_FRAME_NATIVE, NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET,
		  NBL_LAYER_INBOUND_IPPACKET_V4, NBL_LAYER_IPFORWARD_V4,
		  NBL_LAYER_OUTBOUND_IPPACKET_V4, NBL_LAYER_OUTBOUND_MAC_FRAME_ETHERNET,
		  NBL_LAYER_OUTBOUND_MAC_FRAME_NATIVE },
	};
	static const uint32_t n_expected[] = { 5, 5, 7 };
	struct script s = { .action = NBL_ACTION_CONTINUE, .more = notes_the_layer };
	struct nbl_chain chain;

	ck_assert(!nbl_wfp_wants(fix.wfp, (enum wfp_way)_i));
	script_register(&s);
	for (int i = 0; i < NBL_N_LAYERS; i++)
		add_filter((enum nbl_layer)i, WFP_ACTION_CALLOUT_UNKNOWN, s.id, 0, 1, 0);
	ck_assert(nbl_wfp_wants(fix.wfp, (enum wfp_way)_i));
	n_met = 0;
	chain = nbl_wfp_classify_way(fix.wfp, (enum wfp_way)_i, chain_of_n(1), &fix.env).passed;
	ck_assert_uint_eq(n_met, n_expected[_i]);
	ck_assert_mem_eq(met, expected[_i], n_met);
	release_chain(chain);
}
END_TEST

START_TEST(IN_08_what_is_blocked_at_one_layer_is_not_shown_to_the_next)
{
	struct script above = { .action = NBL_ACTION_CONTINUE };
	struct nbl_wfp_result r;

	add_filter(NATIVE, WFP_ACTION_BLOCK, 0, 0, 1, 0);
	script_start(&above, NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET, 0, 1);
	r = nbl_wfp_classify_way(fix.wfp, WFP_WAY_RECEIVE, chain_of_n(2), &fix.env);
	ck_assert_uint_eq(r.dropped.n_nbls, 2);
	ck_assert_uint_eq(above.n_calls, 0);
	release_chain(r.dropped);
}
END_TEST

/* ---- snapshots ---- */

static struct wfp_snapshot *kept;

static void commits_within(struct script *s, const struct nbl_classify_in *in)
{
	ck_assert_int_eq(nbl_wfp_commit(fix.wfp, &kept), 0);
	ck_assert(!nbl_wfp_is_quiet(fix.wfp, kept));
}

START_TEST(CL_06_filters_are_in_force_from_the_commit_on_and_old_ones_live_while_they_are_used)
{
	struct script s = { .action = NBL_ACTION_CONTINUE, .more = commits_within };
	struct nbl_wfp_filter_spec spec = { .layer = NATIVE, .action = WFP_ACTION_BLOCK };
	uint64_t id;

	script_start(&s, NATIVE, 0, 1);
	ck_assert_int_eq(nbl_wfp_filter_add(fix.wfp, &spec, &id), 0);
	/* this packet began under the old filters, and ends under them */
	ck_assert_int_eq(classify_one(NATIVE), PASSED);
	ck_assert(nbl_wfp_is_quiet(fix.wfp, kept));
	nbl_wfp_snapshot_free(kept);
	s.more = NULL;
	ck_assert_int_eq(classify_one(NATIVE), DROPPED);
}
END_TEST

START_TEST(CL_06_a_chain_longer_than_a_burst_is_classified_whole_and_in_order)
{
	static struct nbl nbls[200];
	static uint8_t frames[200][128];
	static struct nbl_home home = { .release = NULL };
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	struct nbl_wfp_result r;
	struct bytes_out o;
	uint32_t i;

	add_filter(NBL_LAYER_INBOUND_IPPACKET_V4, WFP_ACTION_BLOCK, 0, 0, 1, 0);
	for (i = 0; i < 200; i++) {
		struct recipe recipe = RECIPE_UDP4;

		recipe.version = i % 3 ? 6 : 4;
		recipe.payload = 4;
		cook(&o, &recipe);
		memcpy(frames[i], o.b, o.n);
		nbl_init_receive(&nbls[i], &home, frames[i], 128, i);
		nbl_arm_receive(&nbls[i], 0, o.n);
		nbl_chain_append(&chain, &nbls[i]);
	}
	r = nbl_wfp_classify_way(fix.wfp, WFP_WAY_RECEIVE, chain, &fix.env);
	ck_assert_uint_eq(r.dropped.n_nbls, 67);
	ck_assert_uint_eq(r.passed.n_nbls, 133);
	ck_assert(nbl_chain_is_sound(&r.passed) && nbl_chain_is_sound(&r.dropped));
	for (const struct nbl *n = r.passed.head; n->next; n = n->next)
		ck_assert_uint_lt((uintptr_t)n, (uintptr_t)n->next);
	ck_assert_uint_eq(counts().classified, 67);
}
END_TEST

START_TEST(CL_06_without_filters_a_chain_is_passed_untouched)
{
	struct nbl_chain chain = chain_of_n(3);
	struct nbl_wfp_result r = nbl_wfp_classify_way(fix.wfp, WFP_WAY_RECEIVE, chain, &fix.env);

	ck_assert_ptr_eq(r.passed.head, chain.head);
	ck_assert_ptr_eq(r.passed.tail, chain.tail);
	ck_assert_uint_eq(r.passed.n_nbls, 3);
	ck_assert_uint_eq(counts().classified, 0);
	release_chain(r.passed);
}
END_TEST

START_TEST(PE_02_there_is_no_pending_of_connections_and_the_answer_says_so)
{
	struct nbl_classify_in in = { 0 };
	uint64_t context = 0;

	ck_assert_int_eq(nbl_pend_operation(&in, &context), -EOPNOTSUPP);
	ck_assert_int_eq(nbl_complete_operation(1, NULL), -EOPNOTSUPP);
	ck_assert_uint_eq(context, 0);
}
END_TEST

START_TEST(PE_03_there_is_no_pending_of_a_classify_and_the_answer_says_so)
{
	struct nbl_classify_in in = { 0 };
	struct nbl_classify_out out = { 0 };
	uint64_t handle = 0;

	ck_assert_int_eq(nbl_pend_classify(&in, &handle), -EOPNOTSUPP);
	ck_assert_int_eq(nbl_complete_classify(1, &out), -EOPNOTSUPP);
	ck_assert_uint_eq(handle, 0);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ CL_01_callouts_for_layers_that_are_not_offered_are_refused, 1 },
		{ CL_01_callouts_that_do_not_make_sense_are_refused, 1 },
		{ CL_01_filters_for_a_layer_their_callout_does_not_support_are_refused, 1 },
		{ CL_01_a_callout_is_told_of_its_filters_when_they_are_in_force_and_gone, 1 },
		{ CL_09_a_callout_that_takes_5_ms_is_reported_with_name_and_p99, 1 },
		{ CL_09_the_histogram_tells_a_rare_slow_call_from_the_median, 1 },
		{ CL_10_mac_layers_show_one_at_a_time_unless_the_callout_wants_batches, 1 },
		{ CL_10_a_batch_callout_can_neither_reference_nor_clone_nor_free_and_nothing_leaks,
		  1 },
		{ CL_10_a_batch_callout_that_holds_behind_the_engines_back_is_counted, 1 },
		{ CL_10_each_packet_of_a_batch_has_a_verdict_of_its_own_and_order_is_kept, 1 },
		{ AMB_07_the_extension_lets_a_batch_callout_hold, 1 },
		{ CL_11_each_fragment_is_classified_for_itself, 2 },
		{ CL_12_a_callout_goes_only_when_nothing_of_it_is_left, 1 },
		{ CL_12_a_callout_that_goes_is_called_no_more_from_the_first_try_on, 1 },
		{ CL_12_a_callout_stays_while_a_classify_of_it_runs, 1 },
		{ IN_08_a_way_meets_its_layers_in_order_inbound_from_the_bottom_outbound_from_the_top,
		  WFP_N_WAYS },
		{ IN_08_what_is_blocked_at_one_layer_is_not_shown_to_the_next, 1 },
		{ CL_06_filters_are_in_force_from_the_commit_on_and_old_ones_live_while_they_are_used,
		  1 },
		{ CL_06_a_chain_longer_than_a_burst_is_classified_whole_and_in_order, 1 },
		{ CL_06_without_filters_a_chain_is_passed_untouched, 1 },
		{ PE_02_there_is_no_pending_of_connections_and_the_answer_says_so, 1 },
		{ PE_03_there_is_no_pending_of_a_classify_and_the_answer_says_so, 1 },
	};

	return fix_run("wfp_classify", tests, N_ELEMENTS(tests));
}
