// SPDX-License-Identifier: BSD-2-Clause
/* test_wfp_reinject.c - what is injected goes round again; who injected it, and who may. */
#include "wfp_inject_fixture.h"

/* ---- IN-08: going round again ---- */

static uint8_t met[64];
static uint32_t n_met;

static void notes_the_layer(struct script *s, const struct nbl_classify_in *in)
{
	met[n_met++ % 64] = (uint8_t)in->layer;
}

/* What the stack does with what it was given: classify again, then as if sent. */
static void run_stack_once(void)
{
	struct nbl *n = fix.queued[0].n;
	enum nbl_inject_path path = fix.queued[0].path;
	struct nbl_wfp_result r;

	memmove(&fix.queued[0], &fix.queued[1], --fix.n_queued * sizeof(fix.queued[0]));
	r = nbl_wfp_classify_injected(fix.wfp, path, chain_of(n), &fix.env);
	ck_assert_ptr_null(nbl_inject_complete_chain(fix.wfp, r.passed, 0).head);
	ck_assert_ptr_null(nbl_inject_complete_chain(fix.wfp, r.dropped, -EPERM).head);
	ck_assert_ptr_null(nbl_inject_complete_chain(fix.wfp, r.absorbed, 0).head);
}

START_TEST(IN_08_each_path_re_enters_at_its_layer_and_forwarded_packets_are_not_classified_again)
{
	static const struct { int n; uint8_t layers[8];
	} expected[NBL_N_INJECT_PATHS] = {
		[NBL_PATH_MAC_SEND] = { 2,
					{ NBL_LAYER_OUTBOUND_MAC_FRAME_ETHERNET,
					  NBL_LAYER_OUTBOUND_MAC_FRAME_NATIVE } },
		[NBL_PATH_MAC_RECEIVE] = { 5,
					   { NBL_LAYER_INBOUND_MAC_FRAME_NATIVE,
					     NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET,
					     NBL_LAYER_INBOUND_IPPACKET_V4,
					     NBL_LAYER_INBOUND_TRANSPORT_V4,
					     NBL_LAYER_DATAGRAM_DATA_V4 } },
		[NBL_PATH_NETWORK_SEND] = { 3,
					    { NBL_LAYER_OUTBOUND_IPPACKET_V4,
					      NBL_LAYER_OUTBOUND_MAC_FRAME_ETHERNET,
					      NBL_LAYER_OUTBOUND_MAC_FRAME_NATIVE } },
		[NBL_PATH_NETWORK_RECEIVE] = { 3,
					       { NBL_LAYER_INBOUND_IPPACKET_V4,
						 NBL_LAYER_INBOUND_TRANSPORT_V4,
						 NBL_LAYER_DATAGRAM_DATA_V4 } },
		[NBL_PATH_FORWARD] = { 0, { 0 } },
		[NBL_PATH_TRANSPORT_SEND] = { 5,
					      { NBL_LAYER_DATAGRAM_DATA_V4,
						NBL_LAYER_OUTBOUND_TRANSPORT_V4,
						NBL_LAYER_OUTBOUND_IPPACKET_V4,
						NBL_LAYER_OUTBOUND_MAC_FRAME_ETHERNET,
						NBL_LAYER_OUTBOUND_MAC_FRAME_NATIVE } },
		[NBL_PATH_TRANSPORT_RECEIVE] = { 2,
						 { NBL_LAYER_INBOUND_TRANSPORT_V4,
						   NBL_LAYER_DATAGRAM_DATA_V4 } },
	};
	struct script s = { .action = NBL_ACTION_CONTINUE, .more = notes_the_layer };
	struct nbl_headers headers = headers_of(&RECIPE_UDP4);
	struct nbl_inject_target to = { .port = 2, .headers = &headers };
	struct nbl *n = clone_behind(&RECIPE_UDP4, _i <= NBL_PATH_MAC_RECEIVE ? 0
						   : _i <= NBL_PATH_FORWARD   ? 14
									      : 34);
	uint32_t h;
	int r = -1;

	begin(&s);
	for (int i = 0; i < NBL_N_LAYERS; i++)
		add_filter((enum nbl_layer)i, WFP_ACTION_CALLOUT_UNKNOWN, s.id, 0, 1, 0);
	h = handle_new(ALL_TYPES);
	switch (_i) {
	case NBL_PATH_MAC_SEND:
		r = nbl_inject_mac_send(fix.wfp, h, NULL, &to, chain_of(n), completed, &done);
		break;
	case NBL_PATH_MAC_RECEIVE:
		r = nbl_inject_mac_receive(fix.wfp, h, NULL, &to, chain_of(n), completed, &done);
		break;
	case NBL_PATH_NETWORK_SEND:
		r = nbl_inject_network_send(fix.wfp, h, NULL, &to, n, completed, &done);
		break;
	case NBL_PATH_NETWORK_RECEIVE:
		r = nbl_inject_network_receive(fix.wfp, h, NULL, &to, n, completed, &done);
		break;
	case NBL_PATH_FORWARD:
		r = nbl_inject_forward(fix.wfp, h, NULL, &to, chain_of(n), completed, &done);
		break;
	case NBL_PATH_TRANSPORT_SEND:
		r = nbl_inject_transport_send(fix.wfp, h, NULL, &to, n, completed, &done);
		break;
	case NBL_PATH_TRANSPORT_RECEIVE:
		r = nbl_inject_transport_receive(fix.wfp, h, NULL, &to, n, completed, &done);
		break;
	default:
		break;
	}
	ck_assert_int_eq(r, 0);
	/* AMB-06: also when forwarded */
	ck_assert_int_eq(nbl_inject_query(fix.wfp, h, n, NULL), NBL_INJECTED_BY_SELF);
	n_met = 0;
	run_stack_once();
	ck_assert_uint_eq(n_met, (uint32_t)expected[_i].n);
	ck_assert_mem_eq(met, expected[_i].layers, n_met);
	ck_assert_uint_eq(done.n_nbls, 1);
}
END_TEST

START_TEST(AMB_17_receive_injection_takes_the_ethernet_header_and_classify_shows_what_is_behind_it)
{
	struct script s = { .action = NBL_ACTION_CONTINUE };
	struct nbl *n = fresh_clone();
	uint32_t h;

	begin(&s);
	add_filter(NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET, WFP_ACTION_CALLOUT_UNKNOWN, s.id, 0, 1, 0);
	h = handle_new(NBL_INJECT_L2);
	ck_assert_int_eq(nbl_inject_mac_receive(fix.wfp, h, NULL, &target, chain_of(n), completed,
						&done), 0);
	run_stack_once();
	ck_assert_uint_eq(s.n_calls, 1);
	ck_assert_uint_eq(s.metadata.mac_header_size, 14);
	ck_assert_uint_eq(s.metadata.data_offset, 14);
	ck_assert_uint_eq(s.first_bytes[0], 0x45);
	ck_assert_uint_eq(done.n_nbls, 1);
}
END_TEST

static struct script *completing;

static void completed_for_script(void *context, struct nbl_chain chain, int status)
{
	struct nbl *n;

	done.n_nbls += chain.n_nbls;
	while ((n = nbl_chain_pop(&chain)))
		ck_assert_int_eq(nbl_callout_free(fix.wfp, completing->id, n), 0);
}

static void injects_in_its_name(struct script *s, const struct nbl_classify_in *in)
{
	struct nbl *clone = NULL;

	ck_assert_int_eq(nbl_callout_clone(in->wfp, s->id, in->n, unit.pool, &clone), 0);
	inject_inside = nbl_inject_mac_receive(in->wfp, (uint32_t)(uintptr_t)s->data, NULL, &target,
					       chain_of(clone), completed_for_script, s);
	if (inject_inside < 0)
		ck_assert_int_eq(nbl_callout_free(in->wfp, s->id, clone), 0);
}

static void free_copies(void *context, struct nbl_chain chain, int status)
{
	struct nbl *n;

	while ((n = nbl_chain_pop(&chain)))
		ck_assert_int_eq(nbl_free(n), 0);
}

/* Plain copies have no parent: they are found out through what is being classified. */
static void injects_copies_of_its_own(struct script *s, const struct nbl_classify_in *in)
{
	struct nbl *copy = NULL;

	ck_assert_int_eq(nbl_alloc_copy(in->n, unit.pool, unit.data, &copy), 0);
	inject_inside = nbl_inject_mac_receive(in->wfp, (uint32_t)(uintptr_t)s->data, NULL, &target,
					       chain_of(copy), free_copies, s);
	if (inject_inside < 0)
		nbl_free(copy);
}

START_TEST(IN_08_who_injects_without_asking_is_stopped_at_the_loop_cap_and_counted)
{
	struct script s = { .action = NBL_ACTION_BLOCK,
			    .flags = NBL_CLASSIFY_ABSORB,
			    .right = SCRIPT_CLEAR_RIGHT,
			    .more = _i ? injects_copies_of_its_own : injects_in_its_name };
	uint32_t rounds = 0;

	begin(&s);
	completing = &s;
	add_filter(MAC_IN, WFP_ACTION_CALLOUT_UNKNOWN, s.id, 0, 1, 0);
	s.data = (void *)(uintptr_t)handle_new(NBL_INJECT_L2);
	ck_assert_int_eq(classify_one(MAC_IN), ABSORBED);
	while (fix.n_queued && rounds++ < 100)
		run_stack_once();
	ck_assert_uint_eq(rounds, NBL_MAX_INJECTIONS);
	ck_assert_int_eq(inject_inside, -ELOOP);
	ck_assert_uint_eq(counts().loops, 1);
	ck_assert_uint_eq(s.n_calls, NBL_MAX_INJECTIONS + 1);
}
END_TEST

START_TEST(CL_14_injecting_inside_classify_classifies_nothing_before_it_returns)
{
	struct script s = { .action = NBL_ACTION_BLOCK,
			    .flags = NBL_CLASSIFY_ABSORB,
			    .right = SCRIPT_CLEAR_RIGHT,
			    .more = injects_in_its_name };

	begin(&s);
	completing = &s;
	add_filter(MAC_IN, WFP_ACTION_CALLOUT_UNKNOWN, s.id, 0, 1, 0);
	s.data = (void *)(uintptr_t)handle_new(NBL_INJECT_L2);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(classify_one(MAC_IN), ABSORBED);
	ck_assert_uint_eq(s.n_calls, 8);
	ck_assert_uint_eq(fix.n_queued, 8);
	fix_complete_all();
	/* and completing at once inside it does no harm */
	fix.at_once = true;
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(classify_one(MAC_IN), ABSORBED);
	ck_assert_uint_eq(done.n_nbls, 1008);
}
END_TEST

/* ---- IN-09, IN-10 ---- */

START_TEST(IN_09_self_other_and_previously_are_told_apart_through_a_foreign_clone)
{
	struct script s = { 0 };
	uint32_t a, b, c;
	struct nbl *n = cooked(&RECIPE_UDP4, 64), *first = unit_clone(n), *second, *third;
	void *context = &a;
	int tag_a, tag_b;

	begin(&s);
	done.frees = false;
	a = handle_new(NBL_INJECT_L2);
	b = handle_new(NBL_INJECT_L2);
	c = handle_new(NBL_INJECT_L2);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, a, n, &context), NBL_NOT_INJECTED);
	ck_assert_ptr_null(context);
	nbl_release(n);

	ck_assert_int_eq(
		nbl_inject_mac_send(fix.wfp, a, &tag_a, &target, chain_of(first), completed, &done),
		0);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, a, first, &context), NBL_INJECTED_BY_SELF);
	ck_assert_ptr_eq(context, &tag_a);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, b, first, &context), NBL_INJECTED_BY_OTHER);
	ck_assert_ptr_null(context);

	/* B clones what A injected; A's injection is over and its clone freed before B injects */
	second = unit_clone(first);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, a, second, &context), NBL_INJECTED_BY_SELF);
	fix_complete(0, 0);
	nbl_free_clone(first);
	ck_assert_int_eq(nbl_inject_mac_send(fix.wfp, b, &tag_b, &target, chain_of(second),
					     completed, &done),
			 0);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, a, second, &context),
			 NBL_PREVIOUSLY_INJECTED_BY_SELF);
	ck_assert_ptr_eq(context, &tag_a);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, b, second, &context), NBL_INJECTED_BY_SELF);
	ck_assert_ptr_eq(context, &tag_b);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, c, second, &context), NBL_INJECTED_BY_OTHER);
	ck_assert_ptr_null(context);

	/* and through a copy, which has no parent */
	third = NULL;
	ck_assert_int_eq(nbl_callout_copy(fix.wfp, s.id, second, unit.pool, unit.data, &third), 0);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, a, third, &context),
			 NBL_PREVIOUSLY_INJECTED_BY_SELF);
	ck_assert_ptr_eq(context, &tag_a);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, b, third, &context), NBL_INJECTED_BY_SELF);
	ck_assert_ptr_eq(context, &tag_b);
	ck_assert(!nbl_inject_is_pending(third));
	fix_complete(0, 0);
	nbl_free_clone(second);
	ck_assert_int_eq(nbl_callout_free(fix.wfp, s.id, third), 0);
}
END_TEST

START_TEST(IN_10_an_original_injected_by_two_in_turn_keeps_both_contexts)
{
	struct script s;
	struct nbl *n = absorbed_original(&s);
	uint32_t a = handle_new(NBL_INJECT_L2), b = handle_new(NBL_INJECT_L2);
	void *context;
	int tag_a, tag_b;

	ck_assert_int_eq(nbl_inject_mac_send(fix.wfp, a, &tag_a, &target, chain_of(n), NULL, NULL),
			 0);
	fix_complete(0, 0);
	ck_assert_int_eq(nbl_inject_mac_send(fix.wfp, b, &tag_b, &target, chain_of(n), NULL, NULL),
			 0);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, a, n, &context),
			 NBL_PREVIOUSLY_INJECTED_BY_SELF);
	ck_assert_ptr_eq(context, &tag_a);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, b, n, &context), NBL_INJECTED_BY_SELF);
	ck_assert_ptr_eq(context, &tag_b);
	fix_complete(0, 0);
	nbl_callout_dereference(fix.wfp, s.id, n);
	/* used again, it is a packet like any other */
	n = cooked(&RECIPE_UDP4, 64);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, a, n, NULL), NBL_NOT_INJECTED);
	nbl_release(n);
}
END_TEST

START_TEST(SH_07_an_injected_clone_is_originated_by_its_injector_and_the_parent_is_not)
{
	struct script s = { 0 };
	struct nbl *n = cooked(&RECIPE_UDP4, 64), *clone;
	uint32_t h;

	begin(&s);
	n->source_handle = 0x77;
	clone = unit_clone(n);
	h = handle_new(NBL_INJECT_L2);
	ck_assert_int_eq(send_mac(h, chain_of(clone)), 0);
	ck_assert_uint_eq(clone->source_handle, h);
	ck_assert_uint_ne(h & WFP_HANDLE_FLAG, 0);
	ck_assert_uint_eq(n->source_handle, 0x77);
	fix_complete(0, 0);
	nbl_release(n);
}
END_TEST

/* ---- IN-11 ---- */

START_TEST(IN_11_an_owner_injects_only_where_it_has_a_callout)
{
	struct script s = { 0 };
	struct nbl_callout c = script_callout(&s);
	struct nbl_headers headers = headers_of(&RECIPE_UDP4);
	struct nbl_inject_target to = { .port = 2, .headers = &headers };
	struct nbl *frame = fresh_clone(), *packet = clone_behind(&RECIPE_UDP4, 14);
	uint32_t h, other = 0, id;

	memset(&done, 0, sizeof(done));
	done.frees = true;
	c.layers = NBL_LAYER_BIT(MAC_OUT) | NBL_LAYER_BIT(NBL_LAYER_INBOUND_IPPACKET_V6);
	ck_assert_int_eq(nbl_callout_register(fix.wfp, &c, &s.id), 0);
	h = handle_new(ALL_TYPES);
	ck_assert_int_eq(
		nbl_inject_mac_receive(fix.wfp, h, NULL, &to, chain_of(frame), completed, &done),
		-ENOENT);
	ck_assert_int_eq(
		nbl_inject_network_receive(fix.wfp, h, NULL, &to, packet, completed, &done),
		-ENOENT);
	ck_assert_int_eq(nbl_inject_handle_create(fix.wfp, NBL_FAMILY_UNSPEC, NBL_INJECT_L2,
						  FIX_OWNER + 1, &other),
			 0);
	ck_assert_int_eq(send_mac(other, chain_of(frame)), -ENOENT);
	ck_assert_int_eq(send_mac(h, chain_of(frame)), 0);
	/* one registered later counts too */
	c.layers = NBL_LAYER_BIT(NBL_LAYER_INBOUND_IPPACKET_V4);
	ck_assert_int_eq(nbl_callout_register(fix.wfp, &c, &id), 0);
	ck_assert_int_eq(
		nbl_inject_network_receive(fix.wfp, h, NULL, &to, packet, completed, &done), 0);
	fix_complete_all();
	/* and no longer when it is gone */
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, id), 0);
	packet = clone_behind(&RECIPE_UDP4, 14);
	ck_assert_int_eq(
		nbl_inject_network_receive(fix.wfp, h, NULL, &to, packet, completed, &done),
		-ENOENT);
	nbl_free_clone(packet);
}
END_TEST

START_TEST(IN_11_filters_and_callouts_that_go_while_injections_are_out_lose_none)
{
	struct script s = { .action = NBL_ACTION_CONTINUE };
	uint64_t filter;
	uint32_t h;

	begin(&s);
	filter = add_filter(MAC_OUT, WFP_ACTION_CALLOUT_UNKNOWN, s.id, 0, 1, 0);
	h = handle_new(NBL_INJECT_L2);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(send_mac(h, chain_of(fresh_clone())), 0);
	run_stack_once();
	delete_filter(filter);
	run_stack_once();
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, s.id), 0);
	run_stack_once();
	fix_complete_all();
	ck_assert_uint_eq(done.n_nbls, 6);
}
END_TEST

START_TEST(IN_09_none_of_64_handles_is_taken_for_another)
{
	struct script s = { 0 };
	uint32_t h[NBL_MAX_INJECT_HANDLES];
	struct nbl *first = fresh_clone(), *second;

	begin(&s);
	done.frees = false;
	for (int i = 0; i < NBL_MAX_INJECT_HANDLES; i++)
		h[i] = handle_new(NBL_INJECT_L2);
	/* injected by _i, then a clone of it by the next */
	ck_assert_int_eq(send_mac(h[_i], chain_of(first)), 0);
	fix_complete(0, 0);
	second = unit_clone(first);
	ck_assert_int_eq(send_mac(h[(_i + 1) % NBL_MAX_INJECT_HANDLES], chain_of(second)), 0);
	for (int i = 0; i < NBL_MAX_INJECT_HANDLES; i++) {
		int by = (i - _i + NBL_MAX_INJECT_HANDLES) % NBL_MAX_INJECT_HANDLES;

		ck_assert_int_eq(nbl_inject_query(fix.wfp, h[i], second, NULL),
				 by == 0   ? NBL_PREVIOUSLY_INJECTED_BY_SELF
				 : by == 1 ? NBL_INJECTED_BY_SELF
					   : NBL_INJECTED_BY_OTHER);
	}
	fix_complete(0, 0);
	nbl_free_clone(second);
	nbl_free_clone(first);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ IN_08_each_path_re_enters_at_its_layer_and_forwarded_packets_are_not_classified_again,
		  NBL_N_INJECT_PATHS },
		{ AMB_17_receive_injection_takes_the_ethernet_header_and_classify_shows_what_is_behind_it,
		  1 },
		{ IN_08_who_injects_without_asking_is_stopped_at_the_loop_cap_and_counted, 2 },
		{ CL_14_injecting_inside_classify_classifies_nothing_before_it_returns, 1 },
		{ IN_09_self_other_and_previously_are_told_apart_through_a_foreign_clone, 1 },
		{ IN_09_none_of_64_handles_is_taken_for_another, NBL_MAX_INJECT_HANDLES },
		{ IN_10_an_original_injected_by_two_in_turn_keeps_both_contexts, 1 },
		{ SH_07_an_injected_clone_is_originated_by_its_injector_and_the_parent_is_not, 1 },
		{ IN_11_an_owner_injects_only_where_it_has_a_callout, 1 },
		{ IN_11_filters_and_callouts_that_go_while_injections_are_out_lose_none, 1 },
	};

	return fix_run("wfp_reinject", tests, N_ELEMENTS(tests));
}
