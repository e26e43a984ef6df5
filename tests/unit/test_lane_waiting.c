/* SPDX-License-Identifier: BSD-2-Clause */
/* test_lane_waiting.c - sends that wait for room, in order, and are called back. */
#include "unit/lane_send.h"

/* ---- waiting for room, and calling back ---- */

START_TEST(a_full_ring_is_waited_for_in_order_up_to_a_limit_and_then_refused)
{
	uint32_t n = 1024 + 4 + 3;

	begin_sends(RIG_SHAPE(.n_pool_frames = 1100, .rings = { 256, 4, 256, 4 }), no_modules);
	lane_queue(0)->q.tx.ring.flags = (uint32_t[]){ 0 };	/* nobody to call */
	for (uint32_t i = 0; i < n; i++)
		nbl_lane_transmit(&rig.lane, one(fresh(60, i)), NBL_LOWER);
	nbl_lane_publish_tx(&rig.lane);
	ck_assert_uint_eq(ended.chains[NBL_ORIGIN_MODULE].n_nbls, 3);
	for (int i = 0; i < 3; i++) {
		struct nbl *refused = popped(NBL_ORIGIN_MODULE);

		ck_assert_int_eq(refused->status, NBL_STATUS_RESOURCES);
		ck_assert_uint_eq(refused->outcome, NBL_OUTCOME_TX_RING_FULL);
		free_any(refused);
	}
	ck_assert_uint_eq(nbl_lane_n_originated(&rig.lane), n - 3);
	rig_check(&rig);
	ended.frees = true;
	for (uint32_t i = 0; i < n - 3; i++) {
		if (nothing_on(0))
			rig_turn(&rig);
		nbl_lane_enter(&rig.lane);
		ck_assert_uint_eq(taken(0, 60, NULL), i);
		rig_complete(&rig, 0, 1);
	}
	end_whole(0);
}
END_TEST

/* Takes what is there, and up to 'most'; each came later in the chain than the one before. */
static uint32_t take_in_order(uint32_t most, uint32_t *next)
{
	uint32_t n = 0;

	for (; n < most && nbl_ring_used(&lane_queue(1)->q.tx.ring); n++) {
		uint32_t sequence = taken(1, RIG_LENGTH, NULL);

		ck_assert_uint_ge(sequence, *next);
		*next = sequence + 1;
		rig_complete(&rig, 1, 1);
	}
	return n;
}

/* Received packets and originated ones, in one chain, through a ring of four. */
START_TEST(what_waits_is_overtaken_by_nobody)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	uint32_t next = 0, n_left = 0, n_refused;

	begin_sends(RIG_SHAPE(.rings = { 256, 4, 256, 64 }), only_probe);
	receive_and_keep(40);
	for (uint32_t i = 0; i < 40; i++) {
		struct nbl *n = nbl_chain_pop(&probe.kept), *copy;

		/* the number in the packet says where it is in the chain */
		fill_bytes(nbl_nb_data(&n->nb), RIG_LENGTH, i);
		if (i % 5 == 3) {
			ck_assert_int_eq(nbl_alloc_copy(n, rig.pool, rig.pool, &copy), 0);
			copy->source_handle = OWN_HANDLE;
			return_one(n);
			n = copy;
		}
		nbl_chain_append(&chain, n);
	}
	ended.frees = true;
	/*
	 * room comes up, one at a time, and the next call is made: number 8 is the first that waits
	 */
	for (uint32_t i = 0; i < 40; i++) {
		probe.filter->held -= chain.head->kind == NBL_KIND_RECEIVE;
		transmit_one(nbl_chain_pop(&chain), NBL_UPPER);
		if (i >= 8 && i % 2)
			n_left += take_in_order(1, &next);
		rig_check(&rig);
	}
	n_refused = (uint32_t)outcome(NBL_OUTCOME_TX_RING_FULL);
	ck_assert_uint_eq(n_refused, 4);	/* 4 to 7, before anything waited */
	for (int turns = 0; nbl_lane_n_originated(&rig.lane); turns++) {
		ck_assert_int_lt(turns, 100);
		rig_turn(&rig);
		n_left += take_in_order(4, &next);
	}
	ck_assert_uint_eq(n_left + n_refused, 40);
	ck_assert_uint_eq(next, 40);
	end_whole(0);
}
END_TEST

START_TEST(what_waited_is_shown_to_the_kernel_though_nothing_else_is_sent)
{
	begin_sends(RIG_SHAPE(.rings = { 256, 2, 256, 64 }), no_modules);
	ended.frees = true;
	for (uint32_t i = 0; i < 3; i++)
		transmit_one(fresh(60, i), NBL_LOWER);
	for (uint32_t i = 0; i < 2; i++)
		ck_assert_uint_eq(taken(0, 60, NULL), i);
	/* room, but no completion that would have handlers run */
	rig_turn(&rig);
	rig_turn(&rig);
	ck_assert_uint_eq(nbl_ring_used(&lane_queue(0)->q.tx.ring), 1);
	ck_assert_uint_eq(taken(0, 60, NULL), 2);
	rig_complete(&rig, 0, 3);
	end_whole(0);
}
END_TEST

START_TEST(what_waits_can_be_called_back_and_what_is_sent_cannot)
{
	const uint64_t id = nbl_cancel_id(7, 1), other = nbl_cancel_id(7, 2);
	struct nbl *nbls[14];

	begin_sends(RIG_SHAPE(.rings = { 256, 4, 256, 64 }), no_modules);
	for (uint32_t i = 0; i < 14; i++) {
		nbls[i] = fresh(60, i);
		/* 10 wait, of which 4 are tagged; of the 4 sent one is, too */
		nbl_info_set(nbls[i], NBL_INFO_CANCEL_ID, i % 3 == 1 ? id : other);
		transmit_one(nbls[i], NBL_LOWER);
	}
	ck_assert_uint_eq(nbl_lane_n_originated(&rig.lane), 14);
	nbl_lane_cancel(&rig.lane, 0);
	nbl_lane_cancel(&rig.lane, nbl_cancel_id(7, 3));
	ck_assert_uint_eq(nbl_lane_n_originated(&rig.lane), 14);
	nbl_lane_cancel(&rig.lane, id);
	ck_assert_uint_eq(nbl_lane_n_originated(&rig.lane), 10);
	rig_check(&rig);
	nbl_lane_hand_back(&rig.lane);
	ck_assert_uint_eq(ended.chains[NBL_ORIGIN_MODULE].n_nbls, 4);
	for (uint32_t i = 4; i < 14; i += 3) {
		struct nbl *n = popped(NBL_ORIGIN_MODULE);

		ck_assert_ptr_eq(n, nbls[i]);
		ck_assert_int_eq(n->status, NBL_STATUS_SEND_ABORTED);
		ck_assert_uint_eq(nbl_info_get(n, NBL_INFO_CANCEL_ID), 0);
	}
	ck_assert(nbl_chain_is_empty(&ended.chains[NBL_ORIGIN_MODULE]));
	rig_settle(&rig);
	for (uint32_t i = 0; i < 14; i++) {
		if (i >= 4 && i % 3 == 1)
			continue;
		ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), nbls[i]);
		ck_assert_int_eq(nbls[i]->status, NBL_STATUS_SUCCESS);
		ck_assert_uint_eq(nbl_info_get(nbls[i], NBL_INFO_CANCEL_ID), 0);
	}
	/* sent again, the old id finds nothing */
	nbl_lane_enter(&rig.lane);
	for (uint32_t i = 0; i < 14; i++)
		transmit_one(nbls[i], NBL_LOWER);
	nbl_lane_cancel(&rig.lane, id);
	nbl_lane_cancel(&rig.lane, other);
	ck_assert_uint_eq(nbl_lane_n_originated(&rig.lane), 14);
	ended.frees = true;
	end_whole(0);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ a_full_ring_is_waited_for_in_order_up_to_a_limit_and_then_refused, 1 },
		{ what_waits_is_overtaken_by_nobody, 1 },
		{ what_waited_is_shown_to_the_kernel_though_nothing_else_is_sent, 1 },
		{ what_waits_can_be_called_back_and_what_is_sent_cannot, 1 },
	};

	return rig_run("lane_waiting", tests, N_ELEMENTS(tests));
}
