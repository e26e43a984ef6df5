/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_lane_pool.c - the adapter's pool over the adapter's
 * memory, and what a successor makes of it.
 */
#include "unit/lane_send.h"

#define FIRST		512u		/* of the pool's frames */
#define N_POOL		32u

static struct nbl_ledger_entry entry_of(uint32_t frame)
{
	return nbl_ledger_get(&rig.memory.ledger, frame);
}

static void set(uint32_t frame, uint8_t state, uint8_t reason, uint16_t holder, uint32_t slot)
{
	nbl_ledger_set(&rig.memory.ledger, frame,
		       (struct nbl_ledger_entry){ state, reason, holder, slot });
}

static uint32_t n_free(void)
{
	struct nbl_pool_counts c;

	nbl_pool_get_counts(rig.pool, &c);
	return c.frames_free;
}

/* The worker dies here, and the next begins. */
static void die_and_adopt(void)
{
	nbl_lane_enter(NULL);
	rig_down(&rig);
	rig_up(&rig, no_modules, NBL_TAKEOVER_REPLAY);
	note_ends();
	ended.frees = true;
}

START_TEST(frames_taken_and_given_are_told_in_the_ledger)
{
	struct nbl *n;

	begin_sends(RIG_SHAPE(0), no_modules);
	check_pool_is_whole();
	n = fresh(5000, 0);
	ck_assert_uint_eq(n_free(), N_POOL - 3);
	for (const struct nbl_segment *s = n->nb.first_segment; s; s = s->next) {
		ck_assert_uint_ge(s->frame, FIRST);
		ck_assert_uint_eq(entry_of(s->frame).state, NBL_FRAME_HELD);
		ck_assert_uint_eq(entry_of(s->frame).reason, NBL_HOLD_POOL);
		ck_assert_ptr_eq(s->base, rig.memory.frames + (size_t)s->frame * 2048);
		ck_assert(nbl_lane_is_pool_frame(&rig.lane, s->frame));
	}
	ck_assert(!nbl_lane_is_pool_frame(&rig.lane, FIRST - 1));
	ck_assert(!nbl_lane_is_pool_frame(&rig.lane, FIRST + N_POOL));
	free_any(n);
	end_whole(0);
}
END_TEST

START_TEST(a_successor_gets_every_frame_that_the_kernel_does_not_have)
{
	begin_sends(RIG_SHAPE(0), no_modules);
	fresh(60, 1);					/* held by the dead */
	transmit_one(fresh(60, 2), NBL_LOWER);		/* with the kernel */
	transmit_one(fresh(60, 3), NBL_UPPER);
	ck_assert_uint_eq(taken(1, 60, NULL), 3);	/* done, and nobody has looked */
	rig_complete(&rig, 1, 1);
	nbl_lane_transmit(&rig.lane, one(fresh(60, 4)), NBL_LOWER);	/* never shown */
	die_and_adopt();
	ck_assert_uint_eq(rig.n_pools_lost, 1);
	ck_assert_uint_eq(n_free(), N_POOL - 2);
	rig_check(&rig);
	rig_turn(&rig);
	ck_assert_uint_eq(n_free(), N_POOL - 1);
	ck_assert_uint_eq(taken(0, 60, NULL), 2);
	ck_assert(nothing_on(0));
	rig_complete(&rig, 0, 1);
	rig_turn(&rig);
	ck_assert_uint_eq(n_free(), N_POOL);
	end_whole(0);
}
END_TEST

START_TEST(a_frame_still_out_is_not_written_by_the_successor)
{
	uint64_t address;
	struct nbl *none;

	begin_sends(RIG_SHAPE(0), no_modules);
	transmit_one(fresh(60, 2), NBL_LOWER);
	ck_assert_uint_eq(taken(0, 60, &address), 2);
	die_and_adopt();
	for (uint32_t i = 0; i < N_POOL - 1; i++)
		ck_assert_uint_ne(fresh(60, 9)->segment.frame, address >> 11);
	ck_assert_int_eq(nbl_pool_alloc_data(rig.pool, rig.pool, 60, &none), -ENOBUFS);
	ck_assert(nbl_mem_port_complete_raw(rig.ports[0], address));
	rig_turn(&rig);
	nbl_lane_enter(&rig.lane);
	ck_assert_uint_eq(fresh(60, 9)->segment.frame, address >> 11);
	rig_check(&rig);
	end();
}
END_TEST

START_TEST(what_is_beyond_help_stays_out_and_all_else_is_free)
{
	begin_sends(RIG_SHAPE(0), no_modules);
	set(FIRST + 3, NBL_FRAME_QUARANTINE, 0, 0, 0);
	set(FIRST + 4, 0x7f, 3, 2, 1);		/* a state there is not */
	set(FIRST + 5, NBL_FRAME_TX, 0, 99, 0);	/* a queue there is not */
	set(FIRST + 6, NBL_FRAME_FILL, 0, 0, 0);
	set(FIRST + 7, NBL_FRAME_HAND, 0, 0, 0);
	die_and_adopt();
	ck_assert_uint_eq(n_free(), N_POOL - 2);
	ck_assert_uint_eq(entry_of(FIRST + 3).state, NBL_FRAME_QUARANTINE);
	ck_assert_uint_eq(entry_of(FIRST + 4).state, NBL_FRAME_QUARANTINE);
	rig_check(&rig);
	end();
}
END_TEST

/* ---- sent nobody knows how often ---- */

/*
 * One frame of the pool in two clones: what the dead had sent
 * is not known, so it waits for all queues.
 */
START_TEST(a_shared_frame_is_free_when_nothing_is_with_the_kernel)
{
	bool one_unpublished = _i & 1;
	struct nbl *n;
	uint32_t frame;

	begin_sends(RIG_SHAPE(0), no_modules);
	n = fresh(60, 1);
	frame = n->segment.frame;
	transmit_one(clone_of(n), NBL_LOWER);
	transmit_one(clone_of(n), NBL_UPPER);
	nbl_lane_transmit(&rig.lane, one(clone_of(n)), NBL_UPPER);
	if (!one_unpublished)
		nbl_lane_publish_tx(&rig.lane);
	ck_assert_uint_eq(entry_of(frame).reason, 2);
	die_and_adopt();
	for (int deaths = 0; deaths < 3; deaths++) {
		ck_assert_uint_eq(n_free(), N_POOL - 1);
		ck_assert_uint_eq(entry_of(frame).state, NBL_FRAME_TX);
		ck_assert_uint_eq(entry_of(frame).reason, NBL_SENDS_UNKNOWN);
		rig_check(&rig);
		rig_turn(&rig);
		die_and_adopt();	/* what is not known is not forgotten */
	}
	rig_take(&rig, 0, 1);
	rig_complete(&rig, 0, 1);
	rig_turn(&rig);
	ck_assert_uint_eq(entry_of(frame).state, NBL_FRAME_TX);
	rig_take(&rig, 1, 2);
	rig_complete(&rig, 1, 1);
	rig_turn(&rig);
	ck_assert_uint_eq(n_free(), one_unpublished ? N_POOL : N_POOL - 1);
	rig_complete(&rig, 1, 1);
	rig_turn(&rig);
	ck_assert_uint_eq(n_free(), N_POOL);
	nbl_lane_enter(&rig.lane);
	end_whole(0);
}
END_TEST

/* The same with a received frame: it counts as packet of the dead worker, or as sent. */
START_TEST(a_received_frame_sent_for_clones_of_the_dead_is_posted_again)
{
	uint32_t n_published = (uint32_t)_i;	/* of three */
	struct nbl *n;

	begin_sends(RIG_SHAPE(0), only_probe);
	receive_and_keep(1);
	n = nbl_chain_pop(&probe.kept);
	for (uint32_t i = 0; i < 3; i++) {
		nbl_lane_transmit(&rig.lane, one(clone_of(n)), NBL_UPPER);
		if (i < n_published)
			nbl_lane_publish_tx(&rig.lane);
	}
	nbl_lane_publish(&rig.lane);
	die_and_adopt();
	rig_check(&rig);
	ck_assert_uint_eq(frames_in(NBL_FRAME_TX), 1);
	for (uint32_t i = 0; i < n_published; i++) {
		rig_turn(&rig);
		/* other packets go on meanwhile, through other frames */
		rig_check(&rig);
		ck_assert_uint_eq(frames_in(NBL_FRAME_TX), 1);
		rig_take(&rig, 1, 1);
		rig_complete(&rig, 1, 1);
	}
	rig_turn(&rig);
	ck_assert_uint_eq(frames_in(NBL_FRAME_TX), 0);
	rig_check(&rig);
	ck_assert_uint_eq(outcome(n_published ? NBL_OUTCOME_TO_HOST : NBL_OUTCOME_WORKER_DIED), 1);
	ck_assert_uint_eq(rig_lost_frames(&rig), 0);
	nbl_lane_enter(&rig.lane);
	end_whole(0);
}
END_TEST

/* A completion that the dead worker had counted, and not yet given back, must not count again. */
START_TEST(a_completion_is_counted_by_the_dead_or_by_the_successor)
{
	struct nbl *n, *clones[2];
	uint32_t frame;

	begin_sends(RIG_SHAPE(0), only_probe);
	ended.frees = true;
	receive_and_keep(1);
	n = nbl_chain_pop(&probe.kept);
	frame = n->segment.frame;
	for (int i = 0; i < 2; i++) {
		clones[i] = clone_of(n);
		transmit_one(clones[i], NBL_UPPER);
	}
	rig_take(&rig, 1, 1);
	rig_complete(&rig, 1, 1);
	/* as far as it gets before it could give back all it read */
	nbl_lane_reap(&rig.lane, lane_queue(1));
	ck_assert_uint_eq(entry_of(frame).reason, NBL_SENDS_LAST);
	die_and_adopt();
	rig_turn(&rig);
	/* the other is with the kernel: nobody may write the frame */
	ck_assert_uint_eq(entry_of(frame).state, NBL_FRAME_TX);
	rig.world->flows[0].next = 0;
	rig_run_kernel(&rig);
	rig_turn(&rig);
	ck_assert_uint_eq(frames_in(NBL_FRAME_TX), 0);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	nbl_lane_enter(&rig.lane);
	end_whole(0);
}
END_TEST

/* What is sent for the dead is counted by nobody: their NBLs have an outcome all the same. */
START_TEST(nbls_on_their_way_when_a_worker_dies_are_counted_as_died)
{
	const struct nbl_originated_figures *f = &rig.lane.figures.originated;

	begin_sends(RIG_SHAPE(0), no_modules);
	for (uint32_t i = 0; i < 3; i++)
		nbl_lane_enter_nbl(&rig.lane, NBL_ENTRY_SEND, fresh(60, i));
	rig_turn(&rig);
	ck_assert_uint_eq(f->entered, 3);
	ck_assert_int_eq(f->in_flight, 3);
	rig_check(&rig);
	die_and_adopt();
	ck_assert_uint_eq(f->entered, 3);
	ck_assert_int_eq(f->in_flight, 0);
	ck_assert_uint_eq(f->outcomes[NBL_OUTCOME_WORKER_DIED], 3);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_uint_eq(taken(0, 60, NULL), i);
	rig_complete(&rig, 0, 3);
	rig_turn(&rig);
	nbl_lane_enter(&rig.lane);
	end_whole(0);
}
END_TEST

/* ---- two lanes over one pool ---- */

START_TEST(a_shared_frame_waits_for_the_queues_of_all_lanes)
{
	struct nbl_queue queues[RIG_MAX_QUEUES];
	static struct nbl_lane lanes[2];
	uint32_t n_frames, frame = 1024 + 5;
	struct nbl_pool *pool;
	struct nbl_pool_counts c;

	rig_make(&rig, RIG_SHAPE(.n_lower = 2, .n_upper = 2));
	n_frames = nbl_memory_n_frames(&rig.memory.shape);
	rig.nbls = aligned_alloc(NBL_CACHE_LINE, n_frames * sizeof(*rig.nbls));
	memset(rig.nbls, 0, n_frames * sizeof(*rig.nbls));
	rig_adopt_queues(&rig, queues);
	/* an entry of queue 3, of the second lane, that the kernel has */
	nbl_queue_tx(&queues[3], 0)->addr = frame * 2048;
	queues[3].tx.next++;
	nbl_producer_publish(&queues[3].tx);
	nbl_ledger_set(&rig.memory.ledger, frame,
		       (struct nbl_ledger_entry){ NBL_FRAME_TX, 2, 3, 0 });
	for (uint32_t l = 0; l < 2; l++) {
		const struct nbl_queue own[] = { queues[l], queues[2 + l] };

		ck_assert_int_eq(nbl_lane_init(&lanes[l], 0, &rig.memory, rig.nbls, own, 2, 1,
					       &rig.world->progress[l]), 0);
	}
	ck_assert_int_eq(nbl_lanes_make_pool(lanes, 2, &rig.memory, NBL_TAKEOVER_DROP, &pool), 0);
	for (uint32_t l = 0; l < 2; l++)
		nbl_lane_adopt(&lanes[l], NBL_TAKEOVER_DROP);
	for (int i = 0; i < 3; i++)
		for (uint32_t l = 0; l < 2; l++)
			nbl_lane_turn(&lanes[l]);
	ck_assert_uint_eq(entry_of(frame).state, NBL_FRAME_TX);
	ck_assert(nbl_mem_port_take(rig.ports[3], &(struct nbl_mem_packet){ 0 }));
	ck_assert_uint_eq(rig_complete(&rig, 3, 1), 1);
	nbl_lane_turn(&lanes[0]);
	ck_assert_uint_eq(entry_of(frame).state, NBL_FRAME_TX);
	nbl_lane_turn(&lanes[1]);
	ck_assert_uint_eq(entry_of(frame).state, NBL_FRAME_FREE);
	nbl_pool_get_counts(pool, &c);
	ck_assert_uint_eq(c.frames_free, c.n_frames);
	for (uint32_t l = 0; l < 2; l++) {
		ck_assert_uint_eq(lanes[l].figures.violations, 0);
		nbl_lane_done(&lanes[l]);
	}
	ck_assert_int_eq(nbl_pool_free(pool), 0);
	free(rig.nbls);
	rig_free(&rig);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ frames_taken_and_given_are_told_in_the_ledger, 1 },
		{ a_successor_gets_every_frame_that_the_kernel_does_not_have, 1 },
		{ a_frame_still_out_is_not_written_by_the_successor, 1 },
		{ what_is_beyond_help_stays_out_and_all_else_is_free, 1 },
		{ a_shared_frame_is_free_when_nothing_is_with_the_kernel, 2 },
		{ a_received_frame_sent_for_clones_of_the_dead_is_posted_again, 4 },
		{ a_completion_is_counted_by_the_dead_or_by_the_successor, 1 },
		{ nbls_on_their_way_when_a_worker_dies_are_counted_as_died, 1 },
		{ a_shared_frame_waits_for_the_queues_of_all_lanes, 1 },
	};

	return rig_run("lane_pool", tests, N_ELEMENTS(tests));
}
