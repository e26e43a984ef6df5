/* SPDX-License-Identifier: BSD-2-Clause */
/* test_lane.c - one lane: its turn, its rings full and empty, and what a successor finds. */
#include "unit/lane_probe.h"

/* ---- forwarding ---- */

static const struct rig_shape shapes[] = {
	{ .n_lower = 1, .n_upper = 1 },
	{ .n_lower = 2, .n_upper = 1 },
	{ .n_lower = 1, .n_upper = 2 },
	{ .n_lower = 3, .n_upper = 2 },
	{ .n_frames = 100, .rings = { .rx = 64, .tx = 128, .fill = 64, .completion = 128 } },
	{ .n_lower = 2, .n_frames = 64, .start_at = 0xffffffffu - 5000 },
};

START_TEST(packets_cross_both_ways_in_order_and_unchanged)
{
	struct rig_random random = rig_random(0x5eed0002 + (unsigned int)_i);

	begin(&shapes[_i], no_modules);
	for (int i = 0; i < 4000; i++) {
		uint32_t q = rig_random_below(&random, rig.n_queues);

		rig_deliver(&rig, q, rig_random_below(&random, 70));
		rig_turn(&rig);
		q = rig_random_below(&random, rig.n_queues);
		rig_take(&rig, q, rig_random_below(&random, 200));
		rig_complete(&rig, q, rig_random_below(&random, 200));
		if (i % 64 == 0)
			rig_check(&rig);
	}
	rig_settle(&rig);
	ck_assert_uint_gt(rig_delivered(&rig), 20000);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	ck_assert_uint_eq(rig_left(&rig) + outcome(NBL_OUTCOME_TX_RING_FULL), rig_delivered(&rig));
	rig_check(&rig);
	end();
}
END_TEST

START_TEST(outcomes_say_which_side_a_packet_left_on)
{
	begin(RIG_SHAPE(0), no_modules);
	rig_deliver(&rig, 0, 5);
	rig_deliver(&rig, 1, 3);
	rig_settle(&rig);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TO_HOST), 5);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TO_WIRE), 3);
	ck_assert_uint_eq(rig.lane.figures.queues[0].rx_packets, 5);
	ck_assert_uint_eq(rig.lane.figures.queues[0].rx_bytes, 5 * RIG_LENGTH);
	ck_assert_uint_eq(rig.lane.figures.queues[0].tx_packets, 3);
	ck_assert_uint_eq(rig.lane.figures.queues[1].tx_bytes, 5 * RIG_LENGTH);
	rig_check_all_left(&rig);
	end();
}
END_TEST

static uint32_t seen_consumer, seen_producer, seen_burst;

static void look_at_rings(struct nbl_filter *f, struct nbl_chain chain)
{
	seen_consumer = *lane_queue(0)->q.rx.ring.consumer;
	seen_burst = chain.n_nbls;
	ck_assert(nbl_chain_is_sound(&chain));
	nbl_filter_indicate(f, chain, 0, 0);
	seen_producer = *lane_queue(1)->q.tx.ring.producer;
}

START_TEST(a_burst_is_sent_by_one_store_and_given_back_after_it)
{
	begin(RIG_SHAPE(0), only_probe);
	probe.receive = look_at_rings;
	rig_deliver(&rig, 0, NBL_BURST);
	rig_turn(&rig);
	ck_assert_uint_eq(seen_burst, NBL_BURST);
	ck_assert_uint_eq(seen_consumer, 0);
	ck_assert_uint_eq(seen_producer, 0);
	ck_assert_uint_eq(*lane_queue(0)->q.rx.ring.consumer, NBL_BURST);
	ck_assert_uint_eq(*lane_queue(1)->q.tx.ring.producer, NBL_BURST);
	/* Of several bursts in one turn, each is sent and given back before the next. */
	rig_deliver(&rig, 0, NBL_BURST + 36);
	rig_turn(&rig);
	ck_assert_uint_eq(seen_burst, 36);
	ck_assert_uint_eq(seen_consumer, 2 * NBL_BURST);
	ck_assert_uint_eq(seen_producer, 2 * NBL_BURST);
	ck_assert_uint_eq(*lane_queue(1)->q.tx.ring.producer, 2 * NBL_BURST + 36);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(an_idle_turn_moves_nothing_and_publishes_nothing)
{
	struct nbl_lane_block *block;
	uint64_t published, turns;

	begin(RIG_SHAPE(0), no_modules);
	rig_settle(&rig);
	rig_turn(&rig);		/* drops, published twice */
	block = nbl_memory_lane_block(&rig.memory, 0);
	published = block->published;
	turns = rig.world->progress[0].turns;
	for (int i = 0; i < 10; i++)
		ck_assert_uint_eq(rig_turn(&rig), 0);
	ck_assert_uint_eq(block->published, published);
	ck_assert_uint_eq(rig.world->progress[0].turns, turns + 10);
	ck_assert_uint_eq(rig.world->n_kicks, 0);
	rig_check(&rig);
	end();
}
END_TEST

/* ---- filling ---- */

START_TEST(every_frame_is_posted_as_far_as_the_fill_ring_goes)
{
	begin(RIG_SHAPE(.n_frames = 100, .rings = { .rx = 64, .tx = 64, .fill = 64,
						    .completion = 64 }), no_modules);
	ck_assert_uint_eq(frames_in(NBL_FRAME_FILL), 128);
	ck_assert_uint_eq(frames_in(NBL_FRAME_FREE), 72);
	ck_assert_uint_eq(lane_queue(0)->n_free, 36);
	ck_assert_uint_eq(rig_deliver(&rig, 0, 200), 64);
	rig_turn(&rig);
	ck_assert_uint_eq(lane_queue(0)->n_free, 0);
	ck_assert_uint_eq(nbl_ring_used(&lane_queue(0)->q.fill.ring), 36);
	rig_check(&rig);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

/* As a lane that goes no further with what it received. */
static void take_in_hand(uint32_t n)
{
	const struct nbl_queue *q = &lane_queue(0)->q;

	for (uint32_t i = 0; i < n; i++)
		nbl_ledger_move(&rig.memory.ledger,
				(uint32_t)(nbl_queue_rx(q, q->rx.next + i)->addr / 2048),
				NBL_FROM(NBL_FRAME_FILL), NBL_FRAME_HAND, 0);
}

START_TEST(no_more_frames_are_posted_than_the_queue_wants)
{
	rig_make(&rig, RIG_SHAPE(0));
	for (int death = 0; death < 3; death++) {
		rig_prepare(&rig, no_modules);
		lane_queue(0)->q.most_posted = 100;
		nbl_lane_adopt(&rig.lane, death ? NBL_TAKEOVER_REPLAY : NBL_TAKEOVER_FRESH);
		rig_check(&rig);
		for (int i = 0; i < 20; i++) {
			rig_turn(&rig);
			ck_assert_uint_eq(lane_queue(0)->n_posted, 100);
			ck_assert_uint_eq(lane_queue(1)->n_posted, 256);
			rig_deliver(&rig, 0, 100);
			rig_turn(&rig);
			rig_run_kernel(&rig);
		}
		/* dead with the burst in hand */
		rig_deliver(&rig, 0, 3);
		take_in_hand(3);
		rig_down(&rig);
	}
	rig_up(&rig, no_modules, NBL_TAKEOVER_REPLAY);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

static void keep_the_first(struct nbl_filter *f, struct nbl_chain chain)
{
	nbl_chain_append(&probe.kept, nbl_chain_pop(&chain));
	nbl_filter_return(f, chain);
}

START_TEST(RX_03_of_eight_packets_seven_are_home_at_once_and_the_kept_one_when_returned)
{
	const struct nbl_ring *fill;

	begin(RIG_SHAPE(.n_frames = 64), only_probe);
	fill = &lane_queue(0)->q.fill.ring;
	probe.receive = keep_the_first;
	ck_assert_uint_eq(rig_deliver(&rig, 0, 8), 8);
	for (int i = 0; i < 3; i++)
		rig_turn(&rig);
	ck_assert_uint_eq(probe.kept.n_nbls, 1);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 1);
	ck_assert_uint_eq(nbl_ring_used(fill), 63);
	rig_check(&rig);
	nbl_lane_enter(&rig.lane);
	nbl_filter_return(probe.filter, nbl_chain_take(&probe.kept));
	rig_turn(&rig);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 0);
	ck_assert_uint_eq(nbl_ring_used(fill), 64);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_RETURNED), 8);
	rig_check(&rig);
	end();
}
END_TEST

START_TEST(receiving_resumes_when_held_frames_come_back)
{
	begin(RIG_SHAPE(.n_frames = 64), only_probe);
	probe.receive = keep;
	for (int round = 0; round < 20; round++) {
		ck_assert_uint_eq(rig_deliver(&rig, 0, 100), 64);
		while (rig_turn(&rig))
			;
		ck_assert_uint_eq(rig_deliver(&rig, 0, 1), 0);
		ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 64);
		ck_assert_uint_eq(frames_in(NBL_FRAME_HAND), 0);
		rig_check(&rig);
		nbl_lane_enter(&rig.lane);
		nbl_filter_indicate(probe.filter, nbl_chain_take(&probe.kept), 0, 0);
		nbl_lane_publish_tx(&rig.lane);
		rig_settle(&rig);
	}
	rig_check_all_left(&rig);
	end();
}
END_TEST

/* ---- sending ---- */

START_TEST(a_full_tx_ring_refuses_with_an_outcome_and_keeps_order)
{
	begin(RIG_SHAPE(.rings = { .rx = 256, .tx = 16, .fill = 256, .completion = 256 }),
	      no_modules);
	rig.world->kick_result = -EAGAIN;
	rig_deliver(&rig, 0, 64);
	rig_turn(&rig);
	ck_assert_uint_eq(frames_in(NBL_FRAME_TX), 16);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TX_RING_FULL), 48);
	ck_assert_uint_eq(rig.lane.figures.drops[NBL_PLACE_UPPER][NBL_OUTCOME_TX_RING_FULL], 48);
	rig_check(&rig);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_left(&rig), 16);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	rig_check(&rig);
	end();
}
END_TEST

START_TEST(a_stuck_port_is_called_a_few_times_a_turn_not_for_every_packet)
{
	begin(RIG_SHAPE(.rings = { .rx = 256, .tx = 16, .fill = 256, .completion = 256 }),
	      no_modules);
	rig.world->kick_result = -EAGAIN;
	rig_deliver(&rig, 0, 64);
	rig_turn(&rig);
	ck_assert_uint_le(rig.world->n_kicks, 4);
	for (int i = 0; i < 10; i++) {
		rig.world->n_kicks = 0;
		rig_deliver(&rig, 0, 64);
		rig_turn(&rig);
		ck_assert_uint_le(rig.world->n_kicks, 2);
	}
	/* and it is used again as soon as it moves */
	rig.world->calls_reach_kernel = true;
	rig.world->kick_takes = rig.world->kick_completes = 100;
	rig.world->kick_result = 0;
	rig_turn(&rig);
	rig_deliver(&rig, 0, 64);
	rig_turn(&rig);
	ck_assert_uint_eq(rig_left(&rig), 16 + 64);
	rig_settle(&rig);
	rig_check(&rig);
	end();
}
END_TEST

START_TEST(eagain_is_called_again_until_all_is_sent)
{
	begin(RIG_SHAPE(0), no_modules);
	rig.world->calls_reach_kernel = true;
	rig.world->kick_takes = rig.world->kick_completes = 10;
	rig.world->kick_result = -EAGAIN;
	rig_deliver(&rig, 0, 64);
	rig_turn(&rig);
	ck_assert_uint_eq(rig_left(&rig), 64);
	ck_assert_uint_eq(rig.world->n_kicks, 7);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(ebusy_names_the_last_packet_taken_as_refused_by_the_device)
{
	begin(RIG_SHAPE(0), only_watching_probe);
	probe.receive = pass_up;
	rig.world->calls_reach_kernel = true;
	rig.world->kick_takes = 3;		/* two go well, the third does not */
	rig.world->kick_completes = 3;
	rig.world->kick_result = -EBUSY;
	rig_deliver(&rig, 0, 9);
	rig_turn(&rig);
	rig_turn(&rig);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TX_DEVICE), 3);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TO_HOST), 6);
	ck_assert_uint_eq(rig.lane.figures.drops[NBL_PLACE_UPPER][NBL_OUTCOME_TX_DEVICE], 3);
	ck_assert_uint_eq(probe.n_returned, 9);
	rig_check(&rig);
	end();
}
END_TEST

START_TEST(ebusy_without_progress_blames_nobody)
{
	begin(RIG_SHAPE(0), no_modules);
	rig.world->kick_result = -EBUSY;
	rig_deliver(&rig, 0, 9);
	rig_turn(&rig);
	ck_assert_uint_eq(rig.world->n_kicks, 2);
	rig.world->kick_result = 0;
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

static const int down_errors[] = { -ENETDOWN, -ENXIO };

START_TEST(packets_wait_while_the_interface_is_down_and_leave_when_it_is_up)
{
	begin(RIG_SHAPE(0), no_modules);
	rig.world->kick_result = down_errors[_i];
	rig_deliver(&rig, 0, 20);
	rig_turn(&rig);
	ck_assert(lane_queue(1)->down);
	ck_assert_uint_eq(rig.world->n_kicks, 1);
	ck_assert_uint_eq(frames_in(NBL_FRAME_TX), 20);
	rig_check(&rig);
	rig.world->kick_result = 0;
	rig_turn(&rig);
	ck_assert(!lane_queue(1)->down);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

static const struct {
	uint32_t length;
	bool is_sent;
} lengths[] = {
	{ 0, false }, { 1, false }, { 13, false }, { 14, true }, { 60, true }, { 1513, true },
	{ 1514, true }, { 1515, false }, { 1792, false },
};

START_TEST(a_packet_too_short_or_too_long_is_refused_before_the_kernel_sees_it)
{
	static const uint8_t bytes[2048];

	begin(RIG_SHAPE(0), no_modules);
	ck_assert(nbl_mem_port_deliver(rig.ports[0], bytes, lengths[_i].length));
	rig_turn(&rig);
	ck_assert_uint_eq(nbl_ring_used(&lane_queue(1)->q.tx.ring), lengths[_i].is_sent);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TX_INVALID), !lengths[_i].is_sent);
	ck_assert_uint_eq(rig.lane.figures.drops[NBL_PLACE_UPPER][NBL_OUTCOME_TX_INVALID],
			  !lengths[_i].is_sent);
	rig_settle(&rig);
	rig_check(&rig);
	end();
}
END_TEST

static void break_window(struct nbl_filter *f, struct nbl_chain chain)
{
	static struct nbl_nb second;

	/* the last bytes lie past the frame; two NBs; a used window in another segment */
	chain.head->nb.data_length = 1500;
	chain.head->nb.current_offset = 1000;
	chain.head->next->nb.next = &second;
	chain.head->next->next->first_nb = &second;
	second = (struct nbl_nb){ .data_length = 60 };
	nbl_filter_indicate(f, chain, 0, 0);
}

START_TEST(a_packet_whose_window_a_module_broke_is_refused)
{
	begin(RIG_SHAPE(0), only_probe);
	probe.receive = break_window;
	rig_deliver(&rig, 0, 3);
	rig_turn(&rig);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TX_INVALID), 3);
	ck_assert_uint_eq(frames_in(NBL_FRAME_TX), 0);
	rig_check(&rig);
	end();
}
END_TEST

static void shift_window(struct nbl_filter *f, struct nbl_chain chain)
{
	for (struct nbl *n = chain.head; n; n = n->next) {
		n->nb.current_offset -= 32;
		n->nb.data_offset -= 32;
		n->nb.data_length += 32;
		memset(nbl_nb_data(&n->nb), 0x5a, 32);
	}
	nbl_filter_indicate(f, chain, 0, 0);
}

START_TEST(a_window_a_module_moved_leaves_as_it_is)
{
	struct nbl_mem_packet packet;

	begin(RIG_SHAPE(0), only_probe);
	probe.receive = shift_window;
	rig_deliver(&rig, 0, 1);
	rig_turn(&rig);
	ck_assert(nbl_mem_port_take(rig.ports[1], &packet));
	ck_assert_uint_eq(packet.length, RIG_LENGTH + 32);
	ck_assert_uint_eq(packet.bytes[0], 0x5a);
	ck_assert_uint_eq(packet.bytes[31], 0x5a);
	ck_assert_uint_eq(packet.bytes[32], 0);
	ck_assert_uint_eq(packet.address % 2048, RIG_HEADROOM - 32);
	rig_settle(&rig);
	/* the frame is posted from its beginning again, whatever became of the window */
	rig_deliver(&rig, 0, 300);
	rig_settle(&rig);
	rig_check(&rig);
	end();
}
END_TEST

static void refuse_then_send(struct nbl_filter *f, struct nbl_chain chain)
{
	for (struct nbl *n = chain.head; n; n = n->next)
		n->outcome = NBL_OUTCOME_MODULE_LIMIT;
	nbl_filter_indicate(f, chain, 0, 0);
}

START_TEST(a_packet_that_is_sent_after_all_counts_as_sent)
{
	begin(RIG_SHAPE(0), only_probe);
	probe.receive = refuse_then_send;
	rig_deliver(&rig, 0, 5);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

/* ---- what a successor finds ---- */

START_TEST(a_frame_the_kernel_kept_for_ages_is_still_the_kernels)
{
	const uint32_t slots[] = { 1, 1000, 1u << 31, (1u << 31) + 5, 0xfffffeffu };
	struct nbl_ledger_entry e = { .state = NBL_FRAME_FILL };
	uint32_t address;

	begin(RIG_SHAPE(.start_at = 0), no_modules);
	/* the kernel takes the first frame off FILL and sits on it, while its slot grows old */
	address = (uint32_t)*(const uint64_t *)lane_queue(0)->q.fill.ring.entries;
	++*lane_queue(0)->q.fill.ring.consumer;
	e.slot = *lane_queue(0)->q.fill.ring.producer - slots[_i];
	nbl_ledger_set(&rig.memory.ledger, address / 2048, e);
	rig_down(&rig);
	rig_up(&rig, no_modules, NBL_TAKEOVER_REPLAY);
	ck_assert_uint_eq(nbl_ledger_get(&rig.memory.ledger, address / 2048).state, NBL_FRAME_FILL);
	rig_check(&rig);
	rig_settle(&rig);
	end();
}
END_TEST

START_TEST(packets_sent_by_the_predecessor_come_home_to_the_successor)
{
	begin(RIG_SHAPE(0), _i ? only_watching_probe : no_modules);
	probe.receive = pass_up;
	rig_deliver(&rig, 0, 50);
	rig_turn(&rig);
	rig_take(&rig, 1, 30);
	rig_complete(&rig, 1, 10);
	rig_down(&rig);
	rig_up(&rig, _i ? only_watching_probe : no_modules, NBL_TAKEOVER_REPLAY);
	rig_check(&rig);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	ck_assert_uint_eq(rig.lane.figures.queues[1].tx_packets, 50);
	ck_assert_uint_eq(rig.lane.figures.queues[1].tx_bytes, 50 * RIG_LENGTH);
	ck_assert_uint_eq(nbl_ring_used(&lane_queue(0)->q.fill.ring), 256);
	end();
}
END_TEST

static void note_time(struct nbl_filter *f, struct nbl_chain chain)
{
	ck_assert_uint_gt(f->now_ns, 0);
	ck_assert_uint_lt(rig_now_ns() - f->now_ns, 1000000000);
	nbl_chain_join(&probe.kept, &chain);
}

START_TEST(what_runs_again_runs_at_the_right_time)
{
	begin(RIG_SHAPE(0), no_modules);
	rig_deliver(&rig, 0, 5);
	/* dead with the burst in hand */
	take_in_hand(5);
	rig_down(&rig);
	probe.receive = note_time;
	rig_up(&rig, only_probe, NBL_TAKEOVER_REPLAY);
	ck_assert_uint_eq(probe.kept.n_nbls, 5);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 5);
	ck_assert_uint_gt(nbl_ledger_get(&rig.memory.ledger, probe.kept.head->segment.frame).slot,
			  0);
	nbl_filter_indicate(probe.filter, nbl_chain_take(&probe.kept), 0, 0);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ packets_cross_both_ways_in_order_and_unchanged, (int)N_ELEMENTS(shapes) },
		{ outcomes_say_which_side_a_packet_left_on, 1 },
		{ a_burst_is_sent_by_one_store_and_given_back_after_it, 1 },
		{ an_idle_turn_moves_nothing_and_publishes_nothing, 1 },
		{ every_frame_is_posted_as_far_as_the_fill_ring_goes, 1 },
		{ no_more_frames_are_posted_than_the_queue_wants, 1 },
		{ RX_03_of_eight_packets_seven_are_home_at_once_and_the_kept_one_when_returned, 1 },
		{ receiving_resumes_when_held_frames_come_back, 1 },
		{ a_full_tx_ring_refuses_with_an_outcome_and_keeps_order, 1 },
		{ a_stuck_port_is_called_a_few_times_a_turn_not_for_every_packet, 1 },
		{ eagain_is_called_again_until_all_is_sent, 1 },
		{ ebusy_names_the_last_packet_taken_as_refused_by_the_device, 1 },
		{ ebusy_without_progress_blames_nobody, 1 },
		{ packets_wait_while_the_interface_is_down_and_leave_when_it_is_up,
		  (int)N_ELEMENTS(down_errors) },
		{ a_packet_too_short_or_too_long_is_refused_before_the_kernel_sees_it,
		  (int)N_ELEMENTS(lengths) },
		{ a_packet_whose_window_a_module_broke_is_refused, 1 },
		{ a_window_a_module_moved_leaves_as_it_is, 1 },
		{ a_packet_that_is_sent_after_all_counts_as_sent, 1 },
		{ a_frame_the_kernel_kept_for_ages_is_still_the_kernels, 5 },
		{ packets_sent_by_the_predecessor_come_home_to_the_successor, 2 },
		{ what_runs_again_runs_at_the_right_time, 1 },
	};

	return rig_run("lane", tests, N_ELEMENTS(tests));
}
