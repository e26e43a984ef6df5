/* SPDX-License-Identifier: BSD-2-Clause */
/* test_lane_rules.c - modules that break the rules, kernels that lie, lanes that share a memory. */
#include "unit/lane_probe.h"

/* ---- module mistakes ---- */

static void give_back_nonsense(struct nbl_filter *f, struct nbl_chain chain)
{
	for (struct nbl *n = chain.head; n; n = n->next) {
		n->outcome = 0xee;
		n->holder = 0xeeee;
	}
	nbl_filter_return(f, chain);
}

START_TEST(an_outcome_that_does_not_exist_counts_as_returned)
{
	begin(RIG_SHAPE(0), only_probe);
	probe.receive = give_back_nonsense;
	rig_deliver(&rig, 0, 5);
	rig_turn(&rig);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_RETURNED), 5);
	rig_check(&rig);
	end();
}
END_TEST

static void give_back_twice(struct nbl_filter *f, struct nbl_chain chain)
{
	struct nbl *n = nbl_chain_pop(&chain);
	struct nbl_chain again = NBL_CHAIN_EMPTY, once = NBL_CHAIN_EMPTY;

	nbl_chain_append(&once, n);
	nbl_filter_return(f, once);
	nbl_chain_append(&again, n);
	nbl_filter_return(f, again);
	f->held++;		/* so that only the packet is wrong here */
	nbl_filter_indicate(f, chain, 0, 0);
}

START_TEST(a_packet_given_back_twice_is_counted_and_its_frame_unharmed)
{
	begin(RIG_SHAPE(0), only_probe);
	probe.receive = give_back_twice;
	rig_deliver(&rig, 0, 10);
	rig_turn(&rig);
	ck_assert_uint_eq(frames_in(NBL_FRAME_QUARANTINE), 0);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_RETURNED), 1);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_left(&rig), 9);
	rig_check_with(&rig, 1);
	end();
}
END_TEST

static void send_twice(struct nbl_filter *f, struct nbl_chain chain)
{
	struct nbl *n = nbl_chain_pop(&chain);
	struct nbl_chain once = NBL_CHAIN_EMPTY, again = NBL_CHAIN_EMPTY;

	nbl_chain_append(&once, n);
	nbl_filter_indicate(f, once, 0, 0);
	nbl_chain_append(&again, n);
	nbl_filter_indicate(f, again, 0, 0);
	f->held++;
	nbl_filter_indicate(f, chain, 0, 0);
}

START_TEST(a_packet_sent_twice_leaves_once_and_its_frame_is_put_aside)
{
	begin(RIG_SHAPE(0), only_probe);
	probe.receive = send_twice;
	rig_deliver(&rig, 0, 10);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	ck_assert_uint_eq(rig_left(&rig), 10);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_QUARANTINED), 1);
	ck_assert_uint_eq(frames_in(NBL_FRAME_QUARANTINE), 1);
	rig_check_with(&rig, 2);	/* the second sending, and the completion */
	end();
}
END_TEST

static void touch_after_return(struct nbl_filter *f, struct nbl_chain chain)
{
	struct nbl *n = chain.head;

	nbl_filter_return(f, chain);
	nbl_reference(n, false);
	nbl_dereference(n);
}

START_TEST(a_reference_to_a_packet_that_went_home_is_refused)
{
	begin(RIG_SHAPE(0), only_probe);
	probe.receive = touch_after_return;
	rig_deliver(&rig, 0, 1);
	rig_turn(&rig);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_RETURNED), 1);
	rig_settle(&rig);
	rig_check_with(&rig, 2);
	end();
}
END_TEST

/* ---- a kernel that lies ---- */

/* Gets packets into all states: frames of queue 0 free, posted, kept, sent. */
static void fill_states(void)
{
	begin(RIG_SHAPE(.n_frames = 100, .rings = { .rx = 64, .tx = 64, .fill = 64,
						    .completion = 64 }), only_probe);
	probe.receive = pass_up;
	rig_deliver(&rig, 0, 8);
	rig_turn(&rig);
	probe.receive = keep;
	rig_deliver(&rig, 0, 8);
	rig_turn(&rig);
	ck_assert_uint_eq(frames_in(NBL_FRAME_TX), 8);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 8);
}

static void let_go_and_settle(uint64_t violations)
{
	probe.receive = pass_up;
	nbl_lane_enter(&rig.lane);
	if (probe.kept.head)
		nbl_filter_indicate(probe.filter, nbl_chain_take(&probe.kept), 0, 0);
	nbl_lane_publish_tx(&rig.lane);
	/* every frame goes round, so a bad one on the free list shows */
	for (int i = 0; i < 8; i++) {
		rig_deliver(&rig, 0, 60);
		rig_settle(&rig);
	}
	ck_assert_uint_eq(nbl_figures_in_flight(&rig.lane.figures), 0);
	ck_assert_uint_gt(rig_left(&rig), 300);
	ck_assert_msg(rig.lane.figures.violations >= violations, "%llu violations",
		      (unsigned long long)rig.lane.figures.violations);
	rig_check_with(&rig, rig.lane.figures.violations + nbl_violations() -
		       rig.nbl_violations_before);
}

/* Addresses that are none: RX names what was never posted, completion what was never sent. */
static uint64_t nowhere(int i)
{
	const uint64_t frames = rig.memory.ledger.n_frames;
	const uint64_t addresses[] = {
		UINT64_MAX, frames * 2048, (frames - 1) * 2048 /* a pool's */, 1ull << 43,
		(1ull << 32) * 2048, 199 * 2048 /* the other queue's */,
	};

	return addresses[i];
}

#define N_NOWHERE 6

START_TEST(an_rx_entry_out_of_range_is_counted_and_not_delivered)
{
	fill_states();
	ck_assert(nbl_mem_port_deliver_raw(rig.ports[0], nowhere(_i), 64));
	rig_deliver(&rig, 0, 3);
	rig_turn(&rig);
	ck_assert_uint_eq(rig.lane.figures.violations, 1);
	ck_assert_uint_eq(rig.lane.figures.received, 19);
	ck_assert_uint_eq(frames_in(NBL_FRAME_QUARANTINE), 0);
	rig_check_with(&rig, 1);
	let_go_and_settle(1);
	end();
}
END_TEST

START_TEST(a_completion_out_of_range_is_counted_and_changes_nothing)
{
	fill_states();
	ck_assert(nbl_mem_port_complete_raw(rig.ports[1], nowhere(_i)));
	rig_turn(&rig);
	ck_assert_uint_eq(rig.lane.figures.violations, 1);
	ck_assert_uint_eq(frames_in(NBL_FRAME_QUARANTINE), 0);
	rig_check_with(&rig, 1);
	let_go_and_settle(1);
	end();
}
END_TEST

START_TEST(a_packet_said_to_reach_past_its_frame_is_not_believed)
{
	fill_states();
	ck_assert(nbl_mem_port_deliver_raw(rig.ports[0], 20 * 2048 + 2000, 49));
	ck_assert(nbl_mem_port_deliver_raw(rig.ports[0], 20 * 2048 + 256, UINT32_MAX));
	rig_turn(&rig);
	ck_assert_uint_eq(rig.lane.figures.violations, 2);
	ck_assert_uint_eq(rig.lane.figures.received, 16);
	let_go_and_settle(2);
	end();
}
END_TEST

static const enum nbl_frame_state lied_states[] = {
	NBL_FRAME_FREE, NBL_FRAME_HELD, NBL_FRAME_TX,
};

START_TEST(an_rx_entry_for_a_frame_not_posted_puts_the_frame_aside)
{
	uint32_t frame;

	fill_states();
	frame = frame_in(lied_states[_i], 0);
	ck_assert(nbl_mem_port_deliver_raw(rig.ports[0], address_of(frame), 64));
	rig_turn(&rig);
	ck_assert_uint_eq(rig.lane.figures.received, 16);
	ck_assert_uint_eq(frames_in(NBL_FRAME_QUARANTINE), 1);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_QUARANTINED), lied_states[_i] != NBL_FRAME_FREE);
	let_go_and_settle(1);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	end();
}
END_TEST

START_TEST(a_completion_for_a_frame_not_sent_puts_the_frame_aside)
{
	static const enum nbl_frame_state states[] = {
		NBL_FRAME_FREE, NBL_FRAME_HELD, NBL_FRAME_FILL,
	};
	uint32_t frame;

	fill_states();
	frame = frame_in(states[_i], 0);
	ck_assert(nbl_mem_port_complete_raw(rig.ports[1], address_of(frame)));
	rig_turn(&rig);
	ck_assert_uint_eq(frames_in(NBL_FRAME_QUARANTINE), 1);
	let_go_and_settle(1);
	end();
}
END_TEST

START_TEST(the_same_frame_twice_in_a_burst_is_delivered_to_nobody_after_the_first)
{
	uint64_t address;

	fill_states();
	probe.receive = pass_up;
	rig_deliver(&rig, 0, 1);
	address = nbl_queue_rx(&lane_queue(0)->q, lane_queue(0)->q.rx.next)->addr;
	ck_assert(nbl_mem_port_deliver_raw(rig.ports[0], address, RIG_LENGTH));
	ck_assert(nbl_mem_port_deliver_raw(rig.ports[0], address, RIG_LENGTH));
	rig_turn(&rig);
	ck_assert_uint_eq(frames_in(NBL_FRAME_QUARANTINE), 1);
	ck_assert_uint_eq(frames_in(NBL_FRAME_TX), 8);
	ck_assert_uint_eq(rig.lane.figures.received, 17);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_QUARANTINED), 1);
	let_go_and_settle(1);
	end();
}
END_TEST

START_TEST(a_packet_completed_twice_goes_home_once)
{
	uint32_t frame;

	fill_states();
	frame = frame_in(NBL_FRAME_TX, 0);
	rig_take(&rig, 1, 8);
	rig_complete(&rig, 1, 8);
	ck_assert(nbl_mem_port_complete_raw(rig.ports[1], address_of(frame)));
	rig_turn(&rig);
	ck_assert_uint_eq(frames_in(NBL_FRAME_QUARANTINE), 1);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TO_HOST) + outcome(NBL_OUTCOME_QUARANTINED), 8);
	/* and a third time, when it is long gone */
	ck_assert(nbl_mem_port_complete_raw(rig.ports[1], address_of(frame)));
	rig_turn(&rig);
	ck_assert_uint_eq(frames_in(NBL_FRAME_QUARANTINE), 1);
	let_go_and_settle(2);
	end();
}
END_TEST

START_TEST(a_completion_on_the_wrong_ring_is_refused)
{
	fill_states();
	ck_assert(nbl_mem_port_complete_raw(rig.ports[0], address_of(frame_in(NBL_FRAME_TX, 0))));
	rig_turn(&rig);
	ck_assert_uint_eq(rig.lane.figures.violations, 1);
	ck_assert_uint_eq(frames_in(NBL_FRAME_TX), 8);
	let_go_and_settle(1);
	end();
}
END_TEST

START_TEST(an_rx_ring_full_of_garbage_is_emptied_and_the_lane_goes_on)
{
	struct rig_random random = rig_random(0x5eed0003);
	uint64_t garbage = 0;

	begin(RIG_SHAPE(0), no_modules);
	for (int round = 0; round < 20; round++) {
		uint64_t address, size = (uint64_t)rig.memory.ledger.n_frames * 2048;

		do {
			address = random.state;
			/* half of them far away, half in the pool's frames */
			address = rig_random_below(&random, 2) ? size + address % size
							       : size - 1 - address % 8192;
		} while (nbl_mem_port_deliver_raw(rig.ports[0], address, random.state & 0xffff) &&
			 ++garbage);
		for (int i = 0; i < 8; i++)
			rig_turn(&rig);
		ck_assert_uint_eq(nbl_ring_used(&lane_queue(0)->q.rx.ring), 0);
		rig_deliver(&rig, 0, 64);
		rig_settle(&rig);
	}
	ck_assert_uint_eq(rig.lane.figures.violations, garbage);
	ck_assert_uint_eq(rig_left(&rig), rig_delivered(&rig));
	ck_assert_uint_eq(rig.lane.figures.received, rig_delivered(&rig));
	rig_check_with(&rig, garbage);
	end();
}
END_TEST

START_TEST(any_lie_at_random_leaves_figures_ledger_and_rings_in_agreement)
{
	struct rig_random random = rig_random(0x5eed0004 + (unsigned int)_i);

	begin(RIG_SHAPE(.n_lower = 2, .n_frames = 120,
			.rings = { .rx = 64, .tx = 64, .fill = 128, .completion = 128 }),
			only_probe);
	probe.receive = pass_up;
	for (int i = 0; i < 3000; i++) {
		uint32_t q = rig_random_below(&random, rig.n_queues);
		uint64_t address = address_of(rig_random_below(&random, 400));

		probe.receive = rig_random_below(&random, 3) ? pass_up : keep;
		if (i % 100 == 0)
			nbl_mem_port_deliver_raw(rig.ports[q], address, 64);
		if (i % 100 == 50)
			nbl_mem_port_complete_raw(rig.ports[q], address);
		rig_deliver(&rig, q, rig_random_below(&random, 20));
		rig_turn(&rig);
		rig_run_kernel(&rig);
		nbl_lane_enter(&rig.lane);
		if (probe.kept.n_nbls > 40)
			nbl_filter_indicate(probe.filter, nbl_chain_take(&probe.kept), 0, 0);
		nbl_lane_publish_tx(&rig.lane);
		nbl_lane_publish(&rig.lane);
		ck_assert_msg(!rig_figures_fault(&rig), "%s", rig_figures_fault(&rig));
	}
	for (uint32_t i = 0; i < rig.n_queues; i++)
		ck_assert_uint_le(lane_queue(i)->n_free, lane_queue(i)->n_frames);
	if (probe.kept.head)
		nbl_filter_indicate(probe.filter, nbl_chain_take(&probe.kept), 0, 0);
	probe.receive = pass_up;
	/* frames put aside while free leave the list when they are to be posted */
	rig_settle(&rig);
	rig_settle(&rig);
	ck_assert_uint_eq(nbl_figures_in_flight(&rig.lane.figures), 0);
	ck_assert_uint_ge(rig.lane.figures.violations, 20);
	rig_check_with(&rig, rig.lane.figures.violations + nbl_violations() -
		       rig.nbl_violations_before);
	end();
}
END_TEST

/* The index that the kernel writes of one of the four rings. */
static uint32_t *kernels_index(int i)
{
	return i == 0 ? lane_queue(0)->q.rx.ring.producer :
	       i == 1 ? lane_queue(1)->q.completion.ring.producer :
	       i == 2 ? lane_queue(1)->q.tx.ring.consumer : lane_queue(0)->q.fill.ring.consumer;
}

/* _i: one of four indices, behind the other of its ring or farther ahead than it is long. */
START_TEST(an_index_that_cannot_be_is_not_believed)
{
	struct nbl_audit audit = { 0 };
	uint32_t *index, was;

	fill_states();
	nbl_lane_enter(&rig.lane);
	nbl_filter_indicate(probe.filter, nbl_chain_take(&probe.kept), 0, 0);
	probe.receive = pass_up;
	index = kernels_index(_i % 4);
	was = *index;
	*index = was + (_i / 4 ? 65 + 64 : (uint32_t)-65 - 64);
	/* the kernel itself uses those of RX and FILL */
	if (index != kernels_index(0) && index != kernels_index(3))
		rig_deliver(&rig, 0, 64);
	for (int i = 0; i < 4; i++)
		rig_turn(&rig);
	ck_assert_uint_eq(rig.lane.figures.violations, 0);
	ck_assert_uint_eq(frames_in(NBL_FRAME_QUARANTINE), 0);
	ck_assert_uint_le(lane_queue(0)->n_posted, 64);
	ck_assert_uint_le(frames_in(NBL_FRAME_TX), 64);
	ck_assert_int_eq(nbl_lane_audit(&rig.lane, &audit), 0);
	ck_assert_msg(strstr(audit.first, "entries of a ring"), "%s", audit.first);
	*index = was;
	let_go_and_settle(0);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	end();
}
END_TEST

/* Entry i of the RX ring of queue 'q', the oldest first. */
static struct xdp_desc *rx_entry(uint32_t q, uint32_t i)
{
	const struct nbl_ring *rx = &lane_queue(q)->q.rx.ring;

	return (struct xdp_desc *)rx->entries + ((*rx->consumer + i) & (rx->size - 1));
}

/* The lane died with the first 'n' entries of the RX ring of queue 'q' in hand. */
static void die_with(uint32_t q, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		nbl_ledger_set(&rig.memory.ledger, (uint32_t)(rx_entry(q, i)->addr / 2048),
			       (struct nbl_ledger_entry){ .state = NBL_FRAME_HAND });
}

START_TEST(a_frame_named_twice_in_the_burst_of_the_dead_runs_again_once)
{
	begin(RIG_SHAPE(0), no_modules);
	rig_deliver(&rig, 0, 2);
	ck_assert(nbl_mem_port_deliver_raw(rig.ports[0], rx_entry(0, 0)->addr, RIG_LENGTH));
	die_with(0, 2);
	rig_down(&rig);
	probe.receive = keep;
	rig_up(&rig, only_probe, NBL_TAKEOVER_REPLAY);
	ck_assert_uint_eq(probe.kept.n_nbls, 2);
	ck_assert_ptr_null(probe.kept.head->next->next);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_WORKER_DIED), 1);
	let_go_and_settle(0);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	end();
}
END_TEST

START_TEST(at_most_one_burst_of_the_dead_runs_again_whatever_the_ledger_says)
{
	begin(RIG_SHAPE(.n_lower = 2), no_modules);
	for (uint32_t q = 0; q < 2; q++) {
		ck_assert_uint_eq(rig_deliver(&rig, q, NBL_BURST), NBL_BURST);
		die_with(q, NBL_BURST);
	}
	rig_down(&rig);
	probe.receive = keep;
	rig_up(&rig, only_probe, NBL_TAKEOVER_REPLAY);
	ck_assert_uint_eq(probe.kept.n_nbls, NBL_BURST);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_WORKER_DIED), NBL_BURST);
	let_go_and_settle(0);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	end();
}
END_TEST

/* ---- two lanes over one memory ---- */

START_TEST(what_belongs_to_another_lane_is_refused)
{
	struct nbl_queue queues[RIG_MAX_QUEUES];
	static struct nbl_lane lanes[2];
	static struct nbl_stack stack;
	uint32_t n_frames;

	rig_make(&rig, RIG_SHAPE(.n_lower = 2, .n_upper = 2));
	n_frames = nbl_memory_n_frames(&rig.memory.shape);
	rig.nbls = aligned_alloc(NBL_CACHE_LINE, n_frames * sizeof(*rig.nbls));
	memset(rig.nbls, 0, n_frames * sizeof(*rig.nbls));
	rig_adopt_queues(&rig, queues);
	for (uint32_t l = 0; l < 2; l++) {
		const struct nbl_queue own[] = { queues[l], queues[2 + l] };

		ck_assert_int_eq(nbl_lane_init(&lanes[l], 0, &rig.memory, rig.nbls, own, 2, 1,
					       &rig.world->progress[l]), 0);
	}
	nbl_stack_init(&stack, lanes, 2);
	for (uint32_t l = 0; l < 2; l++) {
		nbl_lane_adopt(&lanes[l], NBL_TAKEOVER_FRESH);
		nbl_lane_turn(&lanes[l]);
	}
	rig_deliver(&rig, 1, 4);
	nbl_lane_turn(&lanes[1]);
	ck_assert_uint_eq(lanes[1].figures.frames[NBL_FRAME_TX], 4);
	ck_assert(nbl_mem_port_complete_raw(rig.ports[2],
					    address_of(frame_in(NBL_FRAME_TX, 256))));
	ck_assert(nbl_mem_port_deliver_raw(rig.ports[0], address_of(300), 64));
	nbl_lane_turn(&lanes[0]);
	ck_assert_uint_eq(lanes[0].figures.violations, 2);
	ck_assert_uint_eq(lanes[0].figures.received, 0);
	rig_run_kernel(&rig);
	nbl_lane_turn(&lanes[1]);
	ck_assert_uint_eq(lanes[1].figures.outcomes[NBL_OUTCOME_TO_HOST], 4);
	for (uint32_t l = 0; l < 2; l++) {
		struct nbl_audit audit = { 0 };

		ck_assert_int_eq(nbl_lane_audit(&lanes[l], &audit), 0);
		ck_assert_msg(!audit.mismatches, "%s", audit.first);
	}
	/* each audit looks at the NBLs of both */
	for (uint32_t l = 0; l < 2; l++)
		nbl_lane_done(&lanes[l]);
	free(rig.nbls);
	rig_free(&rig);
}
END_TEST

START_TEST(a_lane_without_a_queue_on_each_side_is_refused_and_its_queues_closed)
{
	struct nbl_queue queues[RIG_MAX_QUEUES];

	rig_make(&rig, RIG_SHAPE(0));
	rig.nbls = aligned_alloc(NBL_CACHE_LINE, 1024 * sizeof(*rig.nbls));
	rig_adopt_queues(&rig, queues);
	ck_assert_int_eq(nbl_lane_init(&rig.lane, 0, &rig.memory, rig.nbls, queues, 2, _i ? 2 : 0,
				       &rig.world->progress[0]), -EINVAL);
	ck_assert_ptr_null(rig.lane.queues);
	ck_assert_int_eq(rig.lane.wake_fd, -1);
	free(rig.nbls);
	rig_free(&rig);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ an_outcome_that_does_not_exist_counts_as_returned, 1 },
		{ a_packet_given_back_twice_is_counted_and_its_frame_unharmed, 1 },
		{ a_packet_sent_twice_leaves_once_and_its_frame_is_put_aside, 1 },
		{ a_reference_to_a_packet_that_went_home_is_refused, 1 },
		{ an_rx_entry_out_of_range_is_counted_and_not_delivered, N_NOWHERE },
		{ a_completion_out_of_range_is_counted_and_changes_nothing, N_NOWHERE },
		{ a_packet_said_to_reach_past_its_frame_is_not_believed, 1 },
		{ an_rx_entry_for_a_frame_not_posted_puts_the_frame_aside,
		  (int)N_ELEMENTS(lied_states) },
		{ a_completion_for_a_frame_not_sent_puts_the_frame_aside, 3 },
		{ the_same_frame_twice_in_a_burst_is_delivered_to_nobody_after_the_first, 1 },
		{ a_packet_completed_twice_goes_home_once, 1 },
		{ a_completion_on_the_wrong_ring_is_refused, 1 },
		{ an_rx_ring_full_of_garbage_is_emptied_and_the_lane_goes_on, 1 },
		{ any_lie_at_random_leaves_figures_ledger_and_rings_in_agreement, 4 },
		{ an_index_that_cannot_be_is_not_believed, 8 },
		{ a_frame_named_twice_in_the_burst_of_the_dead_runs_again_once, 1 },
		{ at_most_one_burst_of_the_dead_runs_again_whatever_the_ledger_says, 1 },
		{ what_belongs_to_another_lane_is_refused, 1 },
		{ a_lane_without_a_queue_on_each_side_is_refused_and_its_queues_closed, 2 },
	};

	return rig_run("lane_rules", tests, N_ELEMENTS(tests));
}
