/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_lane_borrowed.c - lending chains when frames run short, and frames coming home in any
 * order, for ever.
 */
#include <malloc.h>

#include "unit/lane_send.h"

#define N_FRAMES 256u

/* What the module did with the last chains, and does with the next. */
static struct {
	void (*receive)(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags);
	uint32_t flags;			/* of the last chain */
	uint32_t n_borrowed;		/* chains */
	uint32_t drop_mask;
	struct nbl *seen[NBL_BURST];
} lent;

static void lent_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			 uint32_t flags)
{
	(void)port;
	probe.filter = f;
	lent.flags = flags;
	lent.n_borrowed += !!(flags & NBL_RECEIVE_RESOURCES);
	lent.receive(f, chain, flags);
}

static void lent_return(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)flags;
	nbl_filter_return(f, chain);
}

static const struct nbl_module borrower = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "borrower",
	.flags = NBL_MODULE_HOLDS, .receive = lent_receive, .receive_return = lent_return,
	.status = nbl_filter_pass_status,
};

static const struct nbl_module *const only_borrower[] = { &borrower, NULL };

/* ---- what modules do ---- */

static void hoard(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	if (flags & NBL_RECEIVE_RESOURCES)
		nbl_filter_indicate(f, chain, 0, flags);
	else
		nbl_chain_join(&probe.kept, &chain);
}

static void pass_on(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	nbl_filter_indicate(f, chain, 0, flags);
}

/* Drops by doing nothing: the chain is the engine's again. */
static void drop_all(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	if (!(flags & NBL_RECEIVE_RESOURCES))
		nbl_filter_return(f, chain);
}

/* Passes on one by one those that are not in the mask, and links the chain as it was. */
static void drop_by_mask(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	struct nbl *next;
	uint32_t i = 0;

	for (struct nbl *n = chain.head; n; n = next, i++) {
		next = n->next;
		if (!(lent.drop_mask >> i & 1))
			nbl_filter_indicate(f, one(n), 0, flags);
		n->next = next;
	}
}

static void forget_the_rest(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)f;
	(void)flags;
	chain.head->next = NULL;
}

static void give_back_borrowed(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	struct nbl *rest = chain.head->next;

	(void)flags;
	nbl_filter_return(f, one(chain.head));
	chain.head->next = rest;
}

static void clone_borrowed(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)f;
	(void)flags;
	for (struct nbl *n = chain.head; n; n = n->next)
		nbl_lane_transmit(&rig.lane, one(clone_of(n)), NBL_UPPER);
}

/* ---- shortage ---- */

/* Has the module hold all but 'left' frames of the lower queue. */
static void hold_all_but(uint32_t left)
{
	lent.receive = hoard;
	while (probe.kept.n_nbls < N_FRAMES - left) {
		uint32_t n = N_FRAMES - left - probe.kept.n_nbls;

		ck_assert_uint_gt(rig_deliver(&rig, 0, n < 64 ? n : 64), 0);
		rig_turn(&rig);
	}
	nbl_lane_enter(&rig.lane);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), probe.kept.n_nbls);
}

static void let_go(uint32_t n)
{
	while (n--)
		return_one(nbl_chain_pop(&probe.kept));
	rig_turn(&rig);
	nbl_lane_enter(&rig.lane);
}

static void begin_lent(void)
{
	memset(&lent, 0, sizeof(lent));
	begin_sends(RIG_SHAPE(.n_frames = N_FRAMES), only_borrower);
	ended.frees = true;
}

/* Begins in shortage, so that the next chain is borrowed. */
static void begin_short(void)
{
	begin_lent();
	hold_all_but(16);
	lent.receive = pass_on;
}

static void end_short(uint64_t violations)
{
	let_go(probe.kept.n_nbls);
	end_whole(violations);
}

static bool next_is_borrowed(void)
{
	lent.receive = pass_on;
	ck_assert_uint_eq(rig_deliver(&rig, 0, 1), 1);
	run_out();
	return lent.flags & NBL_RECEIVE_RESOURCES;
}

START_TEST(with_eight_frames_left_chains_are_lent_until_there_is_room_again)
{
	begin_lent();
	/* at the mark it is not yet short */
	hold_all_but(N_FRAMES / 8);
	ck_assert(!next_is_borrowed());
	let_go(probe.kept.n_nbls);
	hold_all_but(8);
	ck_assert(next_is_borrowed());
	ck_assert_uint_eq(rig.lane.figures.originated.borrowed, lent.n_borrowed);
	/* back over the low mark it still is: hysteresis */
	let_go(N_FRAMES / 8);
	ck_assert(next_is_borrowed());
	let_go(N_FRAMES / 8);
	ck_assert(!next_is_borrowed());
	/* and down to the low mark again it is not */
	hold_all_but(N_FRAMES / 8);
	ck_assert(!next_is_borrowed());
	ck_assert_uint_eq(rig_left(&rig), 5);
	end_short(0);
}
END_TEST

START_TEST(with_half_of_the_frames_held_nothing_is_ever_lent)
{
	begin_lent();
	hold_all_but(N_FRAMES / 2);
	lent.receive = pass_on;
	for (int i = 0; i < 100; i++) {
		ck_assert_uint_eq(rig_deliver(&rig, 0, 64), 64);
		run_out();
	}
	ck_assert_uint_eq(rig.lane.figures.originated.borrowed, 0);
	ck_assert_uint_eq(lent.n_borrowed, 0);
	ck_assert_uint_eq(rig_left(&rig), 6400);
	end_short(0);
}
END_TEST

START_TEST(at_the_brink_chains_are_lent_and_no_packet_is_lost)
{
	begin_short();
	for (int i = 0; i < 100; i++) {
		ck_assert_uint_eq(rig_deliver(&rig, 0, 16), 16);
		run_out();
		rig_check(&rig);
	}
	ck_assert_uint_eq(rig.lane.figures.originated.borrowed, 1600);
	ck_assert_uint_eq(rig_left(&rig), 1600);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	end_short(0);
}
END_TEST

/* The frames of one queue run out, those of the others do not help it. */
START_TEST(each_queue_has_its_own_shortage)
{
	memset(&lent, 0, sizeof(lent));
	begin_sends(RIG_SHAPE(.n_lower = 3, .n_frames = N_FRAMES), only_borrower);
	hold_all_but(8);
	lent.receive = pass_on;
	rig_deliver(&rig, 1, 1);
	run_out();
	ck_assert(!(lent.flags & NBL_RECEIVE_RESOURCES));
	ck_assert(next_is_borrowed());
	end_short(0);
}
END_TEST

/* ---- the same linked list (RX-05) ---- */

START_TEST(dropping_over_all_masks_restores_the_list_and_passes_the_right_ones)
{
	begin_short();
	lent.receive = drop_by_mask;
	for (lent.drop_mask = 0; lent.drop_mask < 256; lent.drop_mask++) {
		uint64_t n_returned = outcome(NBL_OUTCOME_RETURNED), n_left = rig_left(&rig);
		uint32_t n_dropped = (uint32_t)__builtin_popcount(lent.drop_mask);

		ck_assert_uint_eq(rig_deliver(&rig, 0, 8), 8);
		rig_turn(&rig);
		ck_assert(lent.flags & NBL_RECEIVE_RESOURCES);
		/* what was dropped is back before anything was sent */
		ck_assert_uint_eq(outcome(NBL_OUTCOME_RETURNED) - n_returned, n_dropped);
		ck_assert_uint_eq(frames_in(NBL_FRAME_TX), 8 - n_dropped);
		rig_check(&rig);
		for (uint32_t i = 0; i < 8; i++) {
			struct nbl_mem_packet p;
			struct rig_packet packet;

			if (lent.drop_mask >> i & 1)
				continue;
			ck_assert(nbl_mem_port_take(rig.ports[1], &p));
			memcpy(&packet, p.bytes, sizeof(packet));
			ck_assert_uint_eq(packet.sequence, rig_delivered(&rig) - 8 + i);
		}
		run_out();
		ck_assert_uint_eq(rig_left(&rig), n_left);
		ck_assert_uint_eq(lane_queue(0)->n_free + lane_queue(0)->n_posted, 16);
	}
	end_short(0);
}
END_TEST

START_TEST(a_list_that_came_back_changed_is_counted_and_nothing_is_lost)
{
	begin_short();
	lent.receive = forget_the_rest;
	rig_deliver(&rig, 0, 8);
	rig_turn(&rig);
	ck_assert_uint_eq(lane_queue(0)->n_free + lane_queue(0)->n_posted, 16);
	rig_check_with(&rig, 1);
	end_short(1);
}
END_TEST

START_TEST(returning_what_is_borrowed_is_a_violation_and_it_comes_home_once)
{
	begin_short();
	lent.receive = give_back_borrowed;
	rig_deliver(&rig, 0, 3);
	rig_turn(&rig);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_RETURNED), 3);
	ck_assert_uint_eq(lane_queue(0)->n_free + lane_queue(0)->n_posted, 16);
	rig_check_with(&rig, 1);
	end_short(1);
}
END_TEST

START_TEST(dropping_restores_the_fill_level_within_a_turn_in_both_modes)
{
	bool is_short = _i;

	begin_lent();
	if (is_short)
		hold_all_but(16);
	lent.receive = drop_all;
	for (int i = 0; i < 10; i++) {
		uint32_t before = nbl_ring_used(&lane_queue(0)->q.fill.ring);

		ck_assert_uint_eq(rig_deliver(&rig, 0, 12), 12);
		ck_assert_uint_eq(nbl_ring_used(&lane_queue(0)->q.fill.ring), before - 12);
		rig_turn(&rig);
		ck_assert_uint_eq(nbl_ring_used(&lane_queue(0)->q.fill.ring), before);
	}
	ck_assert_uint_eq(lent.n_borrowed, is_short ? 10 : 0);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_RETURNED), 120);
	nbl_lane_enter(&rig.lane);
	end_short(0);
}
END_TEST

/* Against the rules, but no frame may be lost by it, or be posted while it is read. */
START_TEST(a_clone_of_what_is_borrowed_keeps_the_frame_and_not_the_claim)
{
	begin_short();
	lent.receive = clone_borrowed;
	rig.world->calls_reach_kernel = _i;
	rig.world->kick_takes = rig.world->kick_completes = 64;
	rig_deliver(&rig, 0, 8);
	rig_turn(&rig);
	if (!_i) {
		ck_assert_uint_eq(frames_in(NBL_FRAME_TX), 8);
		ck_assert_uint_eq(lane_queue(0)->n_free + lane_queue(0)->n_posted, 8);
	}
	rig_check(&rig);
	run_out();
	ck_assert_uint_eq(rig_left(&rig), 8);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_RETURNED), 8);
	ck_assert_uint_eq(lane_queue(0)->n_free + lane_queue(0)->n_posted, 16);
	end_short(0);
}
END_TEST

/* The ring takes four: room is made, and completions come, while the handler runs. */
START_TEST(what_is_borrowed_and_sent_within_the_handler_comes_home_once)
{
	memset(&lent, 0, sizeof(lent));
	begin_sends(RIG_SHAPE(.n_frames = N_FRAMES, .rings = { 256, 4, 256, 64 }), only_borrower);
	ended.frees = true;
	hold_all_but(32);
	lent.receive = _i ? clone_borrowed : pass_on;
	rig.lane.queues[0].short_of_frames = true;
	rig.world->calls_reach_kernel = true;
	rig.world->kick_takes = rig.world->kick_completes = 3;
	ck_assert_uint_eq(rig_deliver(&rig, 0, 30), 30);
	rig_turn(&rig);
	ck_assert_uint_eq(lent.n_borrowed, 1);
	rig_check(&rig);
	run_out();
	ck_assert_uint_eq(rig_left(&rig), 30);
	ck_assert_uint_eq(lane_queue(0)->n_free + lane_queue(0)->n_posted, 32);
	end_short(0);
}
END_TEST

START_TEST(an_originated_nbl_that_is_lent_is_its_originators_again_at_once)
{
	struct nbl *n;

	begin_lent();
	n = fresh(100, 1);
	n->nbl_flags |= NBL_FLAG_BORROWED;	/* as its originator's indication does */
	transmit_one(n, NBL_UPPER);
	ck_assert_int_eq(n->status, NBL_STATUS_SUCCESS);
	n->nbl_flags &= ~(uint32_t)NBL_FLAG_BORROWED;
	memset(nbl_nb_data(n->first_nb), 0xee, 100);
	free_any(n);
	rig_check(&rig);
	ck_assert_uint_eq(taken(1, 100, NULL), 1);
	rig_complete(&rig, 1, 1);
	run_out();
	ck_assert_uint_eq(ended.n_calls, 0);
	ck_assert_uint_eq(rig.lane.figures.originated.sent, 1);
	end_whole(0);
}
END_TEST

/* ---- returns in any order (RX-10), and nothing allocated (RX-16) ---- */

static void keep_all(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)f;
	(void)flags;
	nbl_chain_join(&probe.kept, &chain);
}

static void shuffle(struct nbl **nbls, uint32_t n, struct rig_random *random)
{
	while (n > 1) {
		uint32_t i = rig_random_below(random, n--);
		struct nbl *other = nbls[i];

		nbls[i] = nbls[n];
		nbls[n] = other;
	}
}

START_TEST(ten_thousand_nbls_of_four_queues_returned_in_any_order_go_to_their_own_home)
{
	struct rig_random random = rig_random(0x5eed0010);
	uint64_t n_returned = 0;

	memset(&lent, 0, sizeof(lent));
	begin_sends(RIG_SHAPE(.n_lower = 4, .n_frames = N_FRAMES), only_borrower);
	lent.receive = keep_all;
	while (n_returned < 10000) {
		struct nbl *nbls[4 * 64 + 1];
		uint32_t n = 0;

		for (uint32_t q = 0; q < 4; q++)
			ck_assert_uint_eq(rig_deliver(&rig, q, 64), 64);
		rig_turn(&rig);
		nbl_lane_enter(&rig.lane);
		while ((nbls[n] = nbl_chain_pop(&probe.kept))) {
			uint16_t queue = (uint16_t)(nbls[n]->segment.frame / N_FRAMES);

			ck_assert_uint_eq(nbls[n++]->source_handle, nbl_handle_of_queue(queue));
		}
		ck_assert_uint_eq(n, 256);
		shuffle(nbls, n, &random);
		for (uint32_t i = 0; i < n;) {
			struct nbl_chain chain = NBL_CHAIN_EMPTY;

			for (uint32_t k = rig_random_below(&random, 20) + 1; k && i < n; k--)
				nbl_chain_append(&chain, nbls[i++]);
			nbl_filter_return(probe.filter, chain);
		}
		n_returned += n;
		rig_turn(&rig);
		for (uint32_t q = 0; q < 4; q++)
			ck_assert_uint_eq(nbl_ring_used(&lane_queue(q)->q.fill.ring), N_FRAMES);
		rig_check(&rig);	/* each frame in its own ring */
	}
	nbl_lane_enter(&rig.lane);
	end_whole(0);
}
END_TEST

START_TEST(descriptors_stay_with_their_frames_and_nothing_is_allocated)
{
	struct nbl *bound[2 * N_FRAMES];
	size_t heap;

	begin_lent();
	lent.receive = pass_on;
	for (uint32_t f = 0; f < 2 * N_FRAMES; f++)
		bound[f] = &rig.nbls[f];
	heap = mallinfo2().uordblks;
	while (rig_delivered(&rig) < 1000000) {
		rig_deliver(&rig, 0, 64);
		rig_turn(&rig);
		rig_run_kernel(&rig);
	}
	ck_assert_uint_eq(mallinfo2().uordblks, heap);
	run_out();
	for (uint32_t f = 0; f < 2 * N_FRAMES; f++) {
		ck_assert_ptr_eq(bound[f], &rig.nbls[f]);
		ck_assert_uint_eq(bound[f]->segment.frame, f);
		ck_assert_ptr_eq(bound[f]->segment.base, rig.memory.frames + f * 2048);
	}
	rig_check_all_left(&rig);
	end_whole(0);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ with_eight_frames_left_chains_are_lent_until_there_is_room_again, 1 },
		{ with_half_of_the_frames_held_nothing_is_ever_lent, 1 },
		{ at_the_brink_chains_are_lent_and_no_packet_is_lost, 1 },
		{ each_queue_has_its_own_shortage, 1 },
		{ dropping_over_all_masks_restores_the_list_and_passes_the_right_ones, 1 },
		{ a_list_that_came_back_changed_is_counted_and_nothing_is_lost, 1 },
		{ returning_what_is_borrowed_is_a_violation_and_it_comes_home_once, 1 },
		{ dropping_restores_the_fill_level_within_a_turn_in_both_modes, 2 },
		{ a_clone_of_what_is_borrowed_keeps_the_frame_and_not_the_claim, 2 },
		{ what_is_borrowed_and_sent_within_the_handler_comes_home_once, 2 },
		{ an_originated_nbl_that_is_lent_is_its_originators_again_at_once, 1 },
		{ ten_thousand_nbls_of_four_queues_returned_in_any_order_go_to_their_own_home, 1 },
		{ descriptors_stay_with_their_frames_and_nothing_is_allocated, 1 },
	};

	return rig_run("lane_borrowed", tests, N_ELEMENTS(tests));
}
