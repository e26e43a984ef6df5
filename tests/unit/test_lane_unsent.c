/* SPDX-License-Identifier: BSD-2-Clause */
/* test_lane_unsent.c - sends that end without the kernel: wrong, too much, no frame. */
#include "unit/lane_send.h"

/* ---- what is not sent ---- */

static struct nbl *too_short(void)
{
	return fresh(13, 0);
}

static struct nbl *too_long(void)
{
	return fresh(1515, 0);
}

static struct nbl *longer_than_a_frame(void)
{
	lane_queue(0)->q.max_length = 9000;
	return fresh(2049, 0);
}

static struct nbl *with_no_bytes(void)
{
	struct nbl *n = nbl_pool_alloc(rig.pool);

	n->source_handle = OWN_HANDLE;
	return n;
}

static struct nbl *with_no_packet(void)
{
	struct nbl *n = with_no_bytes();

	n->first_nb = NULL;
	return n;
}

static struct nbl *with_a_window_that_lies(void)
{
	struct nbl *n = fresh(100, 0);

	n->first_nb->data_offset += 4096;
	return n;
}

/* The second packet of two is wrong: the first must not leave, either. */
static struct nbl *half_wrong(void)
{
	struct nbl *n = fresh(100, 0), *m = fresh(1515, 1);

	n->first_nb->next = m->first_nb;
	n->protocol_reserved[0] = m;
	return n;
}

static const struct {
	struct nbl *(*make)(void);
	enum nbl_status status;
} refusals[] = {
	{ too_short, NBL_STATUS_INVALID_LENGTH }, { too_long, NBL_STATUS_INVALID_LENGTH },
	{ longer_than_a_frame, NBL_STATUS_INVALID_LENGTH },
	{ with_no_bytes, NBL_STATUS_INVALID_LENGTH }, { with_no_packet, NBL_STATUS_INVALID_LENGTH },
	{ with_a_window_that_lies, NBL_STATUS_INVALID_LENGTH },
	{ half_wrong, NBL_STATUS_INVALID_LENGTH },
};

START_TEST(what_cannot_be_sent_ends_with_the_reason_and_nothing_on_the_ring)
{
	struct nbl *n, *rest;

	begin_sends(RIG_SHAPE(0), no_modules);
	n = refusals[_i].make();
	/* it is refused within the call: its end comes with it */
	nbl_lane_transmit(&rig.lane, one(n), NBL_LOWER);
	nbl_lane_publish_tx(&rig.lane);
	ck_assert(nothing_on(0) && nothing_on(1));
	ck_assert_uint_eq(ended.n_calls, 1);
	ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), n);
	ck_assert_int_eq(n->status, refusals[_i].status);
	ck_assert_uint_eq(n->outcome, NBL_OUTCOME_TX_INVALID);
	ck_assert_uint_eq(rig.lane.figures.originated.failed, 1);
	ck_assert_uint_eq(rig.lane.figures.originated.sent, 0);
	rest = n->protocol_reserved[0];
	n->first_nb = &n->nb;
	n->first_nb->next = NULL;
	free_any(n);
	if (rest)
		free_any(rest);
	end_whole(0);
}
END_TEST

START_TEST(an_nbl_of_more_packets_than_the_ring_holds_is_refused_and_stops_nobody)
{
	struct nbl *nbls[9];

	begin_sends(RIG_SHAPE(.rings = { 256, 8, 256, 256 }), no_modules);
	for (uint32_t i = 0; i < 9; i++)
		nbls[i] = fresh(60, i);
	join_packets(nbls, 9);
	nbl_lane_transmit(&rig.lane, one(nbls[0]), NBL_LOWER);
	ck_assert_int_eq(popped(NBL_ORIGIN_MODULE)->status, NBL_STATUS_INVALID_LENGTH);
	part_packets(nbls, 9);
	ended.frees = true;
	transmit_one(fresh(60, 1), NBL_LOWER);
	ck_assert_uint_eq(taken(0, 60, NULL), 1);
	end_whole(0);
}
END_TEST

START_TEST(without_a_free_frame_nothing_is_half_sent)
{
	struct nbl *n, *clones[2], *hoard[32];
	uint32_t n_hoarded = 0;

	begin_sends(RIG_SHAPE(0), only_probe);
	receive_and_keep(1);
	n = nbl_chain_pop(&probe.kept);
	for (int i = 0; i < 2; i++)
		clones[i] = with_header(n);
	join_packets(clones, 2);
	/* one frame is left, and two are needed */
	while (n_hoarded < 29)
		hoard[n_hoarded++] = fresh(60, 0);
	nbl_lane_transmit(&rig.lane, one(clones[0]), NBL_LOWER);
	nbl_lane_publish_tx(&rig.lane);
	ck_assert(nothing_on(0));
	ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), clones[0]);
	ck_assert_int_eq(clones[0]->status, NBL_STATUS_RESOURCES);
	ck_assert_uint_eq(clones[0]->outcome, NBL_OUTCOME_TX_NO_FRAME);
	ck_assert_uint_eq(rig.lane.figures.originated.copied, 0);
	hoard[n_hoarded++] = fresh(60, 0);	/* the one that was left is there still */
	rig_check(&rig);
	while (n_hoarded)
		free_any(hoard[--n_hoarded]);
	part_packets(clones, 2);
	return_one(n);
	end_whole(0);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ what_cannot_be_sent_ends_with_the_reason_and_nothing_on_the_ring,
		  (int)N_ELEMENTS(refusals) },
		{ an_nbl_of_more_packets_than_the_ring_holds_is_refused_and_stops_nobody, 1 },
		{ without_a_free_frame_nothing_is_half_sent, 1 },
	};

	return rig_run("lane_unsent", tests, N_ELEMENTS(tests));
}
