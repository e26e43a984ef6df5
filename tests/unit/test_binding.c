/* SPDX-License-Identifier: BSD-2-Clause */
/* test_binding.c - who above the stack gets which packets, lent or to keep. */
#include "unit/binding_fixture.h"

START_TEST(RX_02_each_binding_gets_its_own_of_a_mixed_chain_in_order_with_their_count)
{
	struct receiver *r[3];

	begin_bindings(no_modules);
	r[0] = open_receiver(0, 0, TYPES(ARP));
	r[1] = open_receiver(1, 0, TYPES(IPV6));
	r[2] = open_receiver(2, 0, TYPES(IPV4));
	deliver(mixed, 12, 0);
	settle();
	saw(r[0], ARP, NUMBERS(0, 3, 6, 9));
	saw(r[1], IPV6, NUMBERS(1, 4, 7, 10));
	saw(r[2], IPV4, NUMBERS(2, 5, 8, 11));
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(r[i]->n_calls, 1);
		ck_assert_uint_eq(r[i]->calls[0], 4);
	}
	/* and the upper port all of them */
	ck_assert_uint_eq(left[NBL_UPPER].n, 12);
	for (uint32_t i = 0; i < 12; i++)
		ck_assert_uint_eq(left[NBL_UPPER].notes[i].number, i);
	check_home();
	end_bindings();
}
END_TEST

START_TEST(PT_05_a_binding_without_types_gets_everything_and_one_with_types_only_those)
{
	static const uint16_t types[] = { IPV4, 0x05dc, OTHER, IPV4, ARP, IPV6 };
	struct receiver *all, *two;

	begin_bindings(no_modules);
	all = open_receiver(0, 0, NULL, 0);
	two = open_receiver(1, 0, TYPES(IPV6, OTHER));
	deliver(types, 6, 0);
	settle();
	saw(all, 0, NUMBERS(0, 1, 2, 3, 4, 5));
	saw(two, 0, NUMBERS(2, 5));
	check_home();
	end_bindings();
}
END_TEST

START_TEST(PT_05_the_upper_port_gets_only_the_types_it_is_told)
{
	begin_bindings(no_modules);
	ck_assert_int_eq(nbl_bindings_set_upper_types(bindings, TYPES(IPV4, ARP)), 0);
	deliver(mixed, 6, 0);
	settle();
	ck_assert_uint_eq(left[NBL_UPPER].n, 4);
	for (uint32_t i = 0; i < 4; i++)
		ck_assert_uint_ne(left[NBL_UPPER].notes[i].type, IPV6);
	check_home();
	ck_assert_int_eq(nbl_bindings_set_upper_types(bindings, NULL, 0), 0);
	ck_assert_ptr_null(rig.lane.bindings);
	deliver(mixed, 6, 0);
	settle();
	ck_assert_uint_eq(left[NBL_UPPER].n, 10);
	check_home();
	end_bindings();
}
END_TEST

START_TEST(AMB_12_a_type_that_is_not_listed_is_not_delivered_not_even_the_one_behind_a_tag)
{
	struct receiver *tags;
	struct frame f;

	begin_bindings(no_modules);
	tags = open_receiver(0, 0, TYPES(0x8100));
	make_frame(&f, 0x8100, 0);
	f.body[0] = 8;		/* whatever lies behind the tag */
	f.pad[0] = f.pad[1] = 0;
	((uint8_t *)&f.number)[0] = 0x08;
	((uint8_t *)&f.number)[1] = 0x00;
	ck_assert(nbl_mem_port_deliver(rig.ports[0], &f, sizeof(f)));
	settle();
	ck_assert_uint_eq(tags->n, 0);
	check_home();
	end_bindings();
}
END_TEST

START_TEST(RX_15_what_nobody_wants_goes_home_in_the_same_turn_and_is_counted)
{
	uint64_t posted;

	begin_bindings(no_modules);
	ck_assert_int_eq(nbl_bindings_set_upper_types(bindings, TYPES(ARP)), 0);
	open_receiver(0, NBL_BINDING_PENDS, TYPES(IPV6));
	posted = frames_in(NBL_FRAME_FILL);
	deliver((const uint16_t []){ OTHER, OTHER, OTHER }, 3, 0);
	rig_turn(&rig);
	ck_assert_uint_eq(rig.lane.figures.originated.unwanted, 3);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_UNWANTED), 3);
	ck_assert_uint_eq(rig.lane.figures.drops[NBL_PLACE_UPPER][NBL_OUTCOME_UNWANTED], 3);
	ck_assert_uint_eq(frames_in(NBL_FRAME_FILL), posted);
	check_home();
	end_bindings();
}
END_TEST

START_TEST(RX_14_all_but_the_last_are_lent_a_packet_and_the_last_may_keep_it)
{
	struct receiver *r[3];

	begin_bindings(no_modules);
	ck_assert_int_eq(nbl_bindings_set_upper_types(bindings, TYPES(OTHER)), 0);
	r[0] = open_receiver(0, 0, TYPES(ARP));
	r[1] = open_receiver(1, 0, NULL, 0);
	r[2] = open_receiver(2, NBL_BINDING_PENDS, TYPES(ARP));
	deliver((const uint16_t []){ ARP, ARP }, 2, 0);
	settle();
	for (int i = 0; i < 3; i++) {
		saw(r[i], ARP, NUMBERS(0, 1));
		ck_assert_uint_eq(r[i]->n_lent, i < 2 ? 2 : 0);
	}
	/* the same NBLs, no copy */
	ck_assert_ptr_eq(r[0]->notes[0].nbl, r[2]->notes[0].nbl);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 2);
	ck_assert_int_eq(nbl_binding_close(r[2]->b), -EBUSY);
	return_kept(r[2]);
	settle();
	ck_assert_uint_eq(outcome(NBL_OUTCOME_CONSUMED), 2);
	check_home();
	end_bindings();
}
END_TEST

/* ARP may be kept by it, IPv6 goes on to the upper port. */
START_TEST(RX_14_a_binding_that_is_last_for_some_sees_all_in_order)
{
	static const uint16_t types[] = { ARP, IPV6, IPV6, ARP, ARP, IPV6 };
	struct receiver *r;

	begin_bindings(no_modules);
	ck_assert_int_eq(nbl_bindings_set_upper_types(bindings, TYPES(IPV6)), 0);
	r = open_receiver(0, 0, NULL, 0);
	deliver(types, 6, 0);
	settle();
	saw(r, 0, NUMBERS(0, 1, 2, 3, 4, 5));
	ck_assert_uint_eq(r->n_lent, 6);
	ck_assert_uint_eq(left[NBL_UPPER].n, 3);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_CONSUMED), 3);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TO_HOST), 3);
	ck_assert_uint_eq(rig.lane.figures.originated.unwanted, 0);
	check_home();
	end_bindings();
}
END_TEST

/* ---- lent from below ---- */

static struct nbl *before[MAX_NOTES];
static uint32_t n_before;
static bool restored;

/* Lends what it gets, as if receive buffers were short, and looks at the chain when it is back. */
static void lend(struct nbl_filter *f, struct nbl_chain chain)
{
	struct nbl *n;

	n_before = 0;
	for (n = chain.head; n; n = n->next)
		before[n_before++] = n;
	for (uint32_t i = 0; i < n_before; i++)
		before[i]->nbl_flags |= NBL_FLAG_BORROWED;
	nbl_filter_indicate(f, chain, 0, NBL_RECEIVE_RESOURCES);
	restored = chain.head == before[0] && chain.tail == before[n_before - 1];
	n = chain.head;
	for (uint32_t i = 0; i < n_before; i++, n = n ? n->next : NULL)
		restored &= n == before[i];
	restored &= !n;
	for (uint32_t i = 0; i < n_before; i++)
		before[i]->nbl_flags &= ~(uint32_t)NBL_FLAG_BORROWED;
	/* what the upper port sent comes home by itself */
	chain = NBL_CHAIN_EMPTY;
	for (uint32_t i = 0; i < n_before; i++) {
		if (nbl_ledger_get(&rig.memory.ledger, before[i]->segment.frame).state ==
		    NBL_FRAME_TX)
			f->held--;
		else
			nbl_chain_append(&chain, before[i]);
	}
	if (chain.head)
		nbl_filter_return(f, chain);
}

static void begin_lending(void)
{
	begin_bindings(only_probe);
	probe.receive = lend;
	ck_assert_int_eq(nbl_bindings_set_upper_types(bindings, TYPES(OTHER)), 0);
}

START_TEST(PT_06_a_lent_chain_of_mixed_types_is_restored_to_the_last_link)
{
	struct rig_random random = rig_random(0x9706 + (uint64_t)_i);
	static const uint16_t types[] = { ARP, IPV4, IPV6, OTHER };
	uint16_t some[200];

	begin_lending();
	open_receiver(0, 0, TYPES(ARP));
	open_receiver(1, 0, TYPES(IPV6, ARP));
	for (int round = 0; round < 50; round++) {
		uint32_t n = 1 + rig_random_below(&random, 64);

		for (uint32_t i = 0; i < n; i++)
			some[i] = types[rig_random_below(&random, 4)];
		receivers[0].n = receivers[0].n_calls = receivers[1].n = receivers[1].n_calls = 0;
		deliver(some, n, 0);
		restored = false;
		settle();
		ck_assert(restored);
		ck_assert_uint_eq(n_before, n);
	}
	ck_assert_uint_eq(receivers[0].n_calls, receivers[0].n > 0);
	check_home();
	end_bindings();
}
END_TEST

/* More than one burst at once: what a module kept it passes on all at once. */
static void gather_and_lend(struct nbl_filter *f, struct nbl_chain chain)
{
	nbl_chain_join(&probe.kept, &chain);
	if (probe.kept.n_nbls >= 150)
		lend(f, nbl_chain_take(&probe.kept));
}

START_TEST(PT_06_a_lent_chain_longer_than_a_burst_is_restored_too)
{
	uint16_t some[150];

	begin_lending();
	probe.receive = gather_and_lend;
	open_receiver(0, 0, TYPES(ARP));
	for (uint32_t i = 0; i < 150; i++)
		some[i] = i % 3 ? ARP : IPV4;
	deliver(some, 150, 0);
	restored = false;
	settle();
	ck_assert(restored);
	ck_assert_uint_eq(n_before, 150);
	ck_assert_uint_eq(receivers[0].n, 100);
	check_home();
	end_bindings();
}
END_TEST

static void reverse(struct receiver *r, struct nbl_chain chain)
{
	struct nbl *last = NULL, *next;

	for (struct nbl *n = chain.head; n; n = next) {
		next = n->next;
		n->next = last;
		last = n;
	}
}

START_TEST(RX_05_a_binding_that_relinks_what_it_was_lent_is_counted_and_does_no_harm)
{
	begin_lending();
	open_receiver(0, 0, TYPES(ARP))->look = reverse;
	open_receiver(1, 0, TYPES(ARP));
	deliver((const uint16_t []){ ARP, IPV4, ARP, ARP }, 4, 0);
	restored = false;
	settle();
	ck_assert(restored);
	saw(&receivers[1], ARP, NUMBERS(0, 2, 3));
	rig_check_with(&rig, 1);
	end_bindings();
}
END_TEST

static void give_back_at_once(struct receiver *r, struct nbl_chain chain)
{
	nbl_binding_return(r->b, &rig.lane, chain);
}

START_TEST(RX_04_returning_what_was_lent_is_a_violation_and_changes_nothing)
{
	begin_bindings(no_modules);
	open_receiver(0, 0, TYPES(ARP))->look = give_back_at_once;
	deliver((const uint16_t []){ ARP, ARP }, 2, 0);
	settle();
	ck_assert_uint_eq(left[NBL_UPPER].n, 2);
	rig_check_with(&rig, 2);
	ck_assert_uint_eq(rig_lost_frames(&rig), 0);
	end_bindings();
}
END_TEST

START_TEST(RX_07_one_that_keeps_gets_a_copy_to_keep_while_others_are_lent_the_packet)
{
	struct receiver *lent, *keeps;

	begin_lending();
	lent = open_receiver(0, 0, TYPES(ARP));
	keeps = open_receiver(1, NBL_BINDING_PENDS, TYPES(ARP));
	deliver((const uint16_t []){ ARP, IPV4, ARP }, 3, 0);
	settle();
	ck_assert(restored);
	saw(lent, ARP, NUMBERS(0, 2));
	saw(keeps, ARP, NUMBERS(0, 2));
	ck_assert_uint_eq(lent->n_lent, 2);
	ck_assert_uint_eq(keeps->n_lent, 0);
	for (int i = 0; i < 2; i++)
		ck_assert_ptr_ne(lent->notes[i].nbl, keeps->notes[i].nbl);
	/* the frames are free again while the copies are kept */
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 0);
	return_kept(keeps);
	check_home();
	end_bindings();
}
END_TEST

START_TEST(RX_07_when_the_pool_is_exhausted_the_rest_is_lent_in_order)
{
	uint32_t n_frames;
	uint16_t some[64];
	struct nbl_binding_figures f;
	struct receiver *keeps;

	begin_bindings(no_modules);
	n_frames = rig.memory.shape.n_pool_frames;
	ck_assert_uint_lt(n_frames, 60);
	keeps = open_receiver(0, NBL_BINDING_PENDS, TYPES(ARP));
	for (int i = 0; i < 64; i++)
		some[i] = ARP;
	deliver(some, 64, 0);
	settle();
	for (uint32_t i = 0; i < 64; i++)
		ck_assert_uint_eq(keeps->notes[i].number, i);
	ck_assert_uint_eq(keeps->n_calls, 2);
	ck_assert_uint_eq(keeps->calls[0], n_frames);
	ck_assert_uint_eq(keeps->n_lent, 64 - n_frames);
	nbl_binding_get_figures(keeps->b, &f);
	ck_assert_uint_eq(f.copied, n_frames);
	ck_assert_uint_eq(f.no_copy, 64 - n_frames);
	ck_assert_int_eq(f.given, n_frames);
	ck_assert_uint_eq(left[NBL_UPPER].n, 64);
	return_kept(keeps);
	check_home();
	end_bindings();
}
END_TEST

START_TEST(RX_10_kept_packets_come_back_in_any_order_and_grouping)
{
	struct rig_random random = rig_random(0x1010 + (uint64_t)_i);
	struct nbl *out[256];
	uint32_t n = 0, n_before_home;
	struct receiver *keeps;
	uint16_t some[60];

	begin_bindings(only_watching_probe);
	probe.receive = pass_up;
	ck_assert_int_eq(nbl_bindings_set_upper_types(bindings, TYPES(IPV4)), 0);
	/* of IPv4 it gets copies, of ARP the packets */
	keeps = open_receiver(0, NBL_BINDING_PENDS, NULL, 0);
	for (uint32_t i = 0; i < 60; i++)
		some[i] = i % 3 ? ARP : IPV4;
	deliver(some, 60, 0);
	settle();
	n_before_home = (uint32_t)probe.n_returned;
	for (struct nbl *nbl; (nbl = nbl_chain_pop(&keeps->kept));)
		out[n++] = nbl;
	ck_assert_uint_eq(n, 60);
	while (n) {
		struct nbl_chain some_of_them = NBL_CHAIN_EMPTY;

		for (uint32_t k = 1 + rig_random_below(&random, 7); k && n; k--) {
			uint32_t i = rig_random_below(&random, n);

			nbl_chain_append(&some_of_them, out[i]);
			out[i] = out[--n];
		}
		nbl_chain_join(&keeps->kept, &some_of_them);
		return_kept(keeps);
	}
	/* what came up the stack went down it, the copies did not */
	ck_assert_uint_eq(probe.n_returned - n_before_home, 40);
	settle();
	check_home();
	end_bindings();
}
END_TEST

/* ---- promises ---- */

static const uint32_t all_promises = NBL_RECEIVE_SINGLE_ETHER_TYPE | NBL_RECEIVE_SINGLE_VLAN |
				     NBL_RECEIVE_SINGLE_QUEUE;

static void promise(struct nbl_filter *f, struct nbl_chain chain)
{
	nbl_filter_indicate(f, chain, 0, all_promises);
}

START_TEST(PT_08_single_ether_type_is_promised_only_of_chains_of_one_type)
{
	struct receiver *r[3];

	begin_bindings(only_probe);
	probe.receive = promise;
	r[0] = open_receiver(0, 0, TYPES(ARP));
	r[1] = open_receiver(1, 0, TYPES(ARP, IPV4));
	r[2] = open_receiver(2, 0, TYPES(0x88cc, ARP));
	deliver((const uint16_t []){ ARP, IPV4, IPV6, ARP }, 4, 0);
	settle();
	ck_assert_uint_eq(r[0]->flags[0], all_promises | NBL_RECEIVE_RESOURCES);
	ck_assert_uint_eq(r[1]->flags[0],
			  (all_promises & ~(uint32_t)NBL_RECEIVE_SINGLE_ETHER_TYPE) |
			  NBL_RECEIVE_RESOURCES);
	ck_assert_uint_eq(r[2]->flags[0], all_promises | NBL_RECEIVE_RESOURCES);
	check_home();
	end_bindings();
}
END_TEST

START_TEST(PT_08_whenever_a_type_is_promised_it_is_true_of_the_chain)
{
	struct rig_random random = rig_random(0x0801);
	static const uint16_t types[] = { ARP, IPV4, IPV6, 0x05dc };
	uint16_t some[6];

	begin_bindings(no_modules);
	for (int i = 0; i < 4; i++)
		open_receiver(i, 0, types, (uint32_t)i);
	for (int round = 0; round < 400; round++) {
		uint32_t n = 1 + rig_random_below(&random, 6);

		for (uint32_t i = 0; i < n; i++)
			some[i] = types[rig_random_below(&random, 4)];
		deliver(some, n, 0);
		settle();
		for (int i = 0; i < 4; i++) {
			struct receiver *r = &receivers[i];

			for (uint32_t k = 1; r->n_calls && k < r->n; k++)
				if (r->flags[0] & NBL_RECEIVE_SINGLE_ETHER_TYPE)
					ck_assert_uint_eq(r->notes[k].type, r->notes[0].type);
			if (r->n && r->notes[0].type == 0x05dc)
				ck_assert(!(r->flags[0] & NBL_RECEIVE_SINGLE_ETHER_TYPE));
			r->n = r->n_calls = 0;
		}
	}
	check_home();
	end_bindings();
}
END_TEST

/* ---- opening and closing ---- */

START_TEST(without_bindings_nothing_stands_above_the_stack)
{
	begin_bindings(no_modules);
	ck_assert_ptr_null(rig.lane.bindings);
	ck_assert(!rig.lane.parses);
	open_receiver(0, 0, TYPES(ARP));
	ck_assert_ptr_eq(rig.lane.bindings, bindings);
	ck_assert(rig.lane.parses);
	open_receiver(1, 0, NULL, 0);
	close_receiver(&receivers[0]);
	ck_assert(!rig.lane.parses);
	close_receiver(&receivers[1]);
	ck_assert_ptr_null(rig.lane.bindings);
	end_bindings();
}
END_TEST

START_TEST(what_cannot_be_opened_is_refused)
{
	struct nbl_binding_params params = { .name = "x", .receive = receiver_receive };
	struct nbl_binding *b, *some[NBL_MAX_BINDINGS];
	uint16_t types[NBL_MAX_BINDING_TYPES + 1] = { 0 };
	char name[16];

	begin_bindings(no_modules);
	params.receive = NULL;
	ck_assert_int_eq(nbl_binding_open(bindings, &params, &b), -EINVAL);
	params.receive = receiver_receive;
	params.name = "a name that is longer than any name of a binding";
	ck_assert_int_eq(nbl_binding_open(bindings, &params, &b), -EINVAL);
	params.name = "x";
	params.types = types;
	params.n_types = N_ELEMENTS(types);
	ck_assert_int_eq(nbl_binding_open(bindings, &params, &b), -E2BIG);
	ck_assert_int_eq(nbl_bindings_set_upper_types(bindings, types, N_ELEMENTS(types)), -E2BIG);
	params.n_types = 0;
	ck_assert_int_eq(nbl_binding_open(bindings, &params, &some[0]), 0);
	ck_assert_int_eq(nbl_binding_open(bindings, &params, &b), -EEXIST);
	params.name = name;
	for (int i = 1; i < NBL_MAX_BINDINGS; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		ck_assert_int_eq(nbl_binding_open(bindings, &params, &some[i]), 0);
	}
	snprintf(name, sizeof(name), "more");
	ck_assert_int_eq(nbl_binding_open(bindings, &params, &b), -ENOSPC);
	ck_assert_int_eq(nbl_bindings_free(bindings), -EBUSY);
	for (int i = 0; i < NBL_MAX_BINDINGS; i++)
		ck_assert_int_eq(nbl_binding_close(some[i]), 0);
	end_bindings();
}
END_TEST

START_TEST(SH_08_the_handle_of_a_closed_binding_leads_nowhere)
{
	uint32_t old;

	begin_bindings(no_modules);
	old = open_receiver(0, 0, TYPES(ARP))->b->handle;
	ck_assert_int_eq(nbl_handle_origin(old), NBL_ORIGIN_BINDING);
	ck_assert_ptr_eq(nbl_bindings_find(bindings, old), receivers[0].b);
	close_receiver(&receivers[0]);
	ck_assert_ptr_null(nbl_bindings_find(bindings, old));
	open_receiver(0, 0, TYPES(ARP));	/* with the same number */
	ck_assert_uint_ne(receivers[0].b->handle, old);
	ck_assert_ptr_null(nbl_bindings_find(bindings, old));
	rig_check_with(&rig, 2);
	end_bindings();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ RX_02_each_binding_gets_its_own_of_a_mixed_chain_in_order_with_their_count, 1 },
		{ PT_05_a_binding_without_types_gets_everything_and_one_with_types_only_those, 1 },
		{ PT_05_the_upper_port_gets_only_the_types_it_is_told, 1 },
		{ AMB_12_a_type_that_is_not_listed_is_not_delivered_not_even_the_one_behind_a_tag,
		  1 },
		{ RX_15_what_nobody_wants_goes_home_in_the_same_turn_and_is_counted, 1 },
		{ RX_14_all_but_the_last_are_lent_a_packet_and_the_last_may_keep_it, 1 },
		{ RX_14_a_binding_that_is_last_for_some_sees_all_in_order, 1 },
		{ PT_06_a_lent_chain_of_mixed_types_is_restored_to_the_last_link, 4 },
		{ PT_06_a_lent_chain_longer_than_a_burst_is_restored_too, 1 },
		{ RX_05_a_binding_that_relinks_what_it_was_lent_is_counted_and_does_no_harm, 1 },
		{ RX_04_returning_what_was_lent_is_a_violation_and_changes_nothing, 1 },
		{ RX_07_one_that_keeps_gets_a_copy_to_keep_while_others_are_lent_the_packet, 1 },
		{ RX_07_when_the_pool_is_exhausted_the_rest_is_lent_in_order, 1 },
		{ RX_10_kept_packets_come_back_in_any_order_and_grouping, 4 },
		{ PT_08_single_ether_type_is_promised_only_of_chains_of_one_type, 1 },
		{ PT_08_whenever_a_type_is_promised_it_is_true_of_the_chain, 1 },
		{ without_bindings_nothing_stands_above_the_stack, 1 },
		{ what_cannot_be_opened_is_refused, 1 },
		{ SH_08_the_handle_of_a_closed_binding_leads_nowhere, 1 },
	};

	return rig_run("binding", tests, N_ELEMENTS(tests));
}
