/* SPDX-License-Identifier: BSD-2-Clause */
/* test_binding_loopback.c - what bindings see of what they send themselves. */
#include "unit/binding_sender.h"

START_TEST(TX_14_without_the_flag_a_sender_sees_nothing_of_what_it_sends)
{
	struct receiver *a;

	begin_bindings(no_modules);
	a = open_receiver(0, 0, NULL, 0);
	ck_assert_int_eq(nbl_binding_send(a->b, packets(mixed, 3, 0), 0), 0);
	settle();
	ck_assert_uint_eq(a->n, 0);
	ck_assert_uint_eq(left[NBL_LOWER].n, 3);
	ck_assert_uint_eq(rig.lane.figures.originated.looped, 0);
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

static void is_looped_clone(struct receiver *r, struct nbl_chain chain)
{
	for (const struct nbl *n = chain.head; n; n = n->next) {
		ck_assert(n->nbl_flags & NBL_FLAG_LOOPBACK);
		ck_assert_int_eq(n->kind, NBL_KIND_CLONE);
		ck_assert_ptr_null(n->first_nb->next);
		ck_assert_uint_eq(n->source_handle, r->b->handle);
	}
}

START_TEST(TX_14_what_is_not_sent_is_not_shown_to_its_sender)
{
	struct receiver *a;
	struct nbl *n;

	begin_bindings(no_modules);
	a = open_receiver(0, 0, NULL, 0);
	n = new_packet(ARP, 1);
	n->first_nb->data_length = 10;
	ck_assert_int_eq(nbl_binding_send(a->b, only(n), NBL_SEND_CHECK_FOR_LOOPBACK), 0);
	settle();
	ck_assert_uint_eq(a->n_completed, 1);
	ck_assert_int_eq(a->statuses[0], NBL_STATUS_INVALID_LENGTH);
	ck_assert_uint_eq(a->n, 0);
	ck_assert_uint_eq(rig.lane.figures.originated.looped, 0);
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

START_TEST(TX_14_with_the_flag_its_sender_alone_sees_a_clone_of_each_of_its_types_once)
{
	struct receiver *a, *b, *c;

	begin_bindings(no_modules);
	a = open_receiver(0, _i ? NBL_BINDING_PENDS : 0, TYPES(ARP, IPV6));
	b = open_receiver(1, 0, NULL, 0);
	c = open_receiver(2, NBL_BINDING_PENDS, TYPES(ARP));
	a->look = is_looped_clone;
	ck_assert_int_eq(nbl_binding_send(a->b, packets(mixed, 6, 0),
					  NBL_SEND_CHECK_FOR_LOOPBACK), 0);
	settle();
	saw(a, 0, NUMBERS(0, 1, 3, 4));
	ck_assert_uint_eq(b->n, 0);
	ck_assert_uint_eq(c->n, 0);
	ck_assert_uint_eq(left[NBL_LOWER].n, 6);
	ck_assert_uint_eq(left[NBL_UPPER].n, 0);
	ck_assert_uint_eq(rig.lane.figures.originated.looped, 4);
	ck_assert_uint_eq(rig.lane.figures.originated.entered, 10);
	ck_assert_uint_eq(rig.lane.figures.originated.outcomes[NBL_OUTCOME_TO_WIRE], 6);
	ck_assert_uint_eq(rig.lane.figures.originated.outcomes[NBL_OUTCOME_CONSUMED],
			  _i ? 0 : 4);	/* one who keeps them has not had them yet */
	ck_assert_uint_eq(a->n_completed, 6);
	for (const struct nbl *n = a->completed.head; n; n = n->next)
		ck_assert(!(n->nbl_flags & NBL_FLAG_CHECK_FOR_LOOPBACK));
	/* sent again without the flag it is not looped again */
	ck_assert_int_eq(nbl_binding_send(a->b, nbl_chain_take(&a->completed), 0), 0);
	settle();
	ck_assert_uint_eq(a->n, 4);
	free_completed(a);
	return_kept(a);
	settle();
	check_home();
	end_bindings();
}
END_TEST

static struct nbl_segment segments[3];
static struct frame bytes[3];

/* One NBL of three packets, ARP, IPv4 and ARP, in memory of the test's own. */
static struct nbl *three_in_one(void)
{
	static struct nbl_nb nbs[3];
	struct nbl *n = nbl_pool_alloc(rig.lane.pool);

	ck_assert_ptr_nonnull(n);
	for (uint32_t i = 0; i < 3; i++) {
		make_frame(&bytes[i], i == 1 ? IPV4 : ARP, i);
		segments[i] = (struct nbl_segment){ .base = (uint8_t *)&bytes[i],
						    .length = sizeof(bytes[i]),
						    .frame = NBL_NO_FRAME };
		nbs[i] = (struct nbl_nb){ .next = i < 2 ? &nbs[i + 1] : NULL,
					  .first_segment = &segments[i],
					  .current_segment = &segments[i],
					  .data_length = sizeof(bytes[i]) };
	}
	n->first_nb = nbs;
	return n;
}

START_TEST(TX_14_of_an_nbl_of_several_packets_each_that_matches_is_an_nbl_of_its_own)
{
	struct receiver *a;

	begin_bindings(no_modules);
	a = open_receiver(0, 0, TYPES(ARP));
	a->look = is_looped_clone;
	ck_assert_int_eq(nbl_binding_send(a->b, only(three_in_one()),
					  NBL_SEND_CHECK_FOR_LOOPBACK), 0);
	settle();
	saw(a, ARP, NUMBERS(0, 2));
	ck_assert_uint_eq(left[NBL_LOWER].n, 3);
	ck_assert_uint_eq(a->n_completed, 1);
	a->completed.head->first_nb = &a->completed.head->nb;
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

/* ---- with a module in the way ---- */

START_TEST(TX_14_a_module_that_queues_a_send_keeps_its_wish_to_be_looped)
{
	struct receiver *a;

	begin_bindings(only_sender);
	a = open_receiver(0, 0, TYPES(ARP));
	ck_assert_int_eq(nbl_binding_send(a->b, packets(mixed, 1, 0), NBL_SEND_CHECK_FOR_LOOPBACK),
			 0);
	ck_assert_int_eq(nbl_binding_send(a->b, packets(mixed, 1, 1), 0), 0);
	settle();
	ck_assert_uint_eq(a->n, 0);	/* it has not left yet */
	release_queued();
	settle();
	saw(a, ARP, NUMBERS(0));
	/* the clone came up through the module and went down through it */
	ck_assert_uint_eq(sender.n_received, 1);
	ck_assert_uint_eq(sender.n_returned, 1);
	ck_assert_uint_eq(left[NBL_LOWER].n, 2);
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

static void has_new_address(struct receiver *r, struct nbl_chain chain)
{
	for (const struct nbl *n = chain.head; n; n = n->next)
		ck_assert_uint_eq(nbl_nb_data(n->first_nb)[6], 0xaa);
}

START_TEST(TX_17_a_module_that_changes_the_address_does_the_looping_itself_once)
{
	struct receiver *a, *b;

	begin_bindings(only_sender);
	sender.supplies = true;
	a = open_receiver(0, 0, TYPES(ARP));
	b = open_receiver(1, 0, TYPES(ARP));
	a->look = has_new_address;
	ck_assert_int_eq(nbl_binding_send(a->b, packets((const uint16_t []){ ARP, ARP }, 2, 0),
					  NBL_SEND_CHECK_FOR_LOOPBACK), 0);
	settle();
	saw(a, ARP, NUMBERS(0, 1));
	ck_assert_uint_eq(b->n, 0);
	ck_assert_uint_eq(rig.lane.figures.originated.looped, 0);
	ck_assert_uint_eq(left[NBL_UPPER].n, 0);
	ck_assert_uint_eq(left[NBL_LOWER].n, 2);
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ TX_14_without_the_flag_a_sender_sees_nothing_of_what_it_sends, 1 },
		{ TX_14_what_is_not_sent_is_not_shown_to_its_sender, 1 },
		{ TX_14_with_the_flag_its_sender_alone_sees_a_clone_of_each_of_its_types_once, 2 },
		{ TX_14_of_an_nbl_of_several_packets_each_that_matches_is_an_nbl_of_its_own, 1 },
		{ TX_14_a_module_that_queues_a_send_keeps_its_wish_to_be_looped, 1 },
		{ TX_17_a_module_that_changes_the_address_does_the_looping_itself_once, 1 },
	};

	return rig_run("binding_loopback", tests, N_ELEMENTS(tests));
}
