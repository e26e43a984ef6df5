/* SPDX-License-Identifier: BSD-2-Clause */
/* test_binding_cancel.c - what bindings call back, and what cannot be called back any more. */
#include <nbl/cancel.h>

#include "unit/binding_sender.h"

static void tag(struct nbl_chain *chain, uint32_t which, uint64_t id)
{
	for (struct nbl *n = chain->head; n; n = n->next, which >>= 1)
		if (which & 1)
			ck_assert_int_eq(nbl_info_set(n, NBL_INFO_CANCEL_ID, id), 0);
}

static const uint16_t ten[10] = { IPV4, IPV4, IPV4, IPV4, IPV4, IPV4, IPV4, IPV4, IPV4, IPV4 };

START_TEST(CN_02_of_ten_queued_the_four_tagged_are_aborted_and_the_others_sent)
{
	int mine = nbl_cancel_alloc_partial_id(), other = nbl_cancel_alloc_partial_id();
	uint64_t id = nbl_cancel_id(mine, 1);
	struct nbl_chain chain;
	struct receiver *a;

	begin_bindings(only_sender);
	a = open_receiver(0, 0, TYPES(OTHER));
	chain = packets(ten, 10, 0);
	tag(&chain, 0x0296, id);			/* 1, 2, 4, 7, 9: one too many */
	tag(&chain, 0x0200, nbl_cancel_id(other, 1));	/* of somebody else, the same number */
	ck_assert_int_eq(nbl_binding_send(a->b, chain, 0), 0);
	if (_i)		/* queued already, or still on the way */
		settle();
	nbl_binding_cancel(a->b, &rig.lane, id);
	ck_assert_uint_eq(a->n_completed, 4);
	for (uint32_t i = 0; i < 4; i++)
		ck_assert_int_eq(a->statuses[i], NBL_STATUS_SEND_ABORTED);
	/* CN-05 */
	for (const struct nbl *n = a->completed.head; n; n = n->next)
		ck_assert_uint_eq(nbl_info_get(n, NBL_INFO_CANCEL_ID), 0);
	release_queued();
	settle();
	ck_assert_uint_eq(a->n_completed, 10);
	for (uint32_t i = 4; i < 10; i++)
		ck_assert_int_eq(a->statuses[i], NBL_STATUS_SUCCESS);
	ck_assert_uint_eq(left[NBL_LOWER].n, 6);
	for (uint32_t i = 0; i < 6; i++)
		ck_assert_uint_eq(left[NBL_LOWER].notes[i].number,
				  ((const uint32_t []){ 0, 3, 5, 6, 8, 9 })[i]);
	free_completed(a);
	check_home();
	end_bindings();
	nbl_cancel_free_partial_id(mine);
	nbl_cancel_free_partial_id(other);
}
END_TEST

START_TEST(CN_04_what_is_with_the_kernel_completes_as_sent)
{
	struct nbl_chain chain;
	struct receiver *a;

	begin_bindings(no_modules);
	a = open_receiver(0, 0, TYPES(OTHER));
	chain = packets(ten, 3, 0);
	tag(&chain, 7, 77);
	ck_assert_int_eq(nbl_binding_send(a->b, chain, 0), 0);
	rig_turn(&rig);
	nbl_binding_cancel(a->b, &rig.lane, 77);
	ck_assert_uint_eq(a->n_completed, 0);
	settle();
	ck_assert_uint_eq(a->n_completed, 3);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_int_eq(a->statuses[i], NBL_STATUS_SUCCESS);
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

START_TEST(CN_05_an_nbl_sent_again_is_not_cancelled_by_its_id_of_before)
{
	struct nbl_chain chain;
	struct receiver *a;

	begin_bindings(only_sender);
	a = open_receiver(0, 0, TYPES(OTHER));
	chain = packets(ten, 1, 0);
	tag(&chain, 1, 77);
	ck_assert_int_eq(nbl_binding_send(a->b, chain, 0), 0);
	settle();
	release_queued();
	settle();
	ck_assert_int_eq(nbl_binding_send(a->b, nbl_chain_take(&a->completed), 0), 0);
	settle();
	nbl_binding_cancel(a->b, &rig.lane, 77);
	ck_assert_uint_eq(a->n_completed, 1);
	release_queued();
	settle();
	ck_assert_int_eq(a->statuses[1], NBL_STATUS_SUCCESS);
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

START_TEST(TX_13_what_waits_for_room_on_the_ring_can_be_cancelled)
{
	struct nbl_binding_params params = { .name = "a", .arg = receivers,
					     .receive = receiver_receive,
					     .send_complete = receiver_complete };
	const uint32_t room = 8, more = 6;
	struct receiver *a = receivers;
	struct nbl_chain chain;

	rig_make(&rig, RIG_SHAPE(.rings = { 16, 8, 16, 16 }));
	rig_up(&rig, no_modules, NBL_TAKEOVER_FRESH);
	ck_assert_int_eq(nbl_bindings_new(&rig.lane, 1, &bindings), 0);
	ck_assert_int_eq(nbl_binding_open(bindings, &params, &a->b), 0);
	chain = packets(ten, 10, 0);
	ck_assert_int_eq(nbl_binding_send(a->b, chain, 0), 0);
	chain = packets(ten, room + more - 10, 10);
	tag(&chain, ~0u, 5);
	ck_assert_int_eq(nbl_binding_send(a->b, chain, 0), 0);
	rig_turn(&rig);
	nbl_binding_cancel(a->b, &rig.lane, 5);
	rig_turn(&rig);
	ck_assert_uint_eq(a->n_completed, 4);
	for (uint32_t i = 0; i < 4; i++)
		ck_assert_int_eq(a->statuses[i], NBL_STATUS_SEND_ABORTED);
	run_kernel();
	rig_turn(&rig);
	nbl_lane_publish_tx(&rig.lane);
	settle();
	ck_assert_uint_eq(left[NBL_LOWER].n, 10);
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ CN_02_of_ten_queued_the_four_tagged_are_aborted_and_the_others_sent, 2 },
		{ CN_04_what_is_with_the_kernel_completes_as_sent, 1 },
		{ CN_05_an_nbl_sent_again_is_not_cancelled_by_its_id_of_before, 1 },
		{ TX_13_what_waits_for_room_on_the_ring_can_be_cancelled, 1 },
	};

	return rig_run("binding_cancel", tests, N_ELEMENTS(tests));
}
