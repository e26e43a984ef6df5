/* SPDX-License-Identifier: BSD-2-Clause */
/* test_lane_entry.c - NBLs that enter the stack by no ring, from any thread. */
#include "unit/lane_send.h"

/* Sees both paths, and notes what it saw. */
static struct {
	uint32_t sequences[1024];
	uint32_t n;
	uint32_t most;			/* in one chain */
} saw;

static void look(const struct nbl_chain *chain)
{
	ck_assert(nbl_chain_is_sound(chain));
	if (chain->n_nbls > saw.most)
		saw.most = chain->n_nbls;
	for (const struct nbl *n = chain->head; n; n = n->next) {
		ck_assert_uint_lt(saw.n, N_ELEMENTS(saw.sequences));
		memcpy(&saw.sequences[saw.n++], nbl_nb_data(n->first_nb), 4);
	}
}

static void look_up(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	look(&chain);
	nbl_filter_indicate(f, chain, port, flags);
}

static void look_down(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	look(&chain);
	nbl_filter_send(f, chain, port, flags);
}

static const struct nbl_module looker = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "looker",
	.receive = look_up, .send = look_down,
	.status = nbl_filter_pass_status,
};

static const struct nbl_module *const only_looker[] = { &looker, NULL };

static void begin_entries(const struct rig_shape *shape)
{
	memset(&saw, 0, sizeof(saw));
	begin_sends(shape, only_looker);
	ended.frees = true;
}

#define DEEP_POOL RIG_SHAPE(.n_pool_frames = 1024, .rings = { 256, 1024, 256, 1024 })

START_TEST(what_enters_runs_through_the_stack_in_order_and_out_of_its_side)
{
	enum nbl_entry entry = (enum nbl_entry)_i;
	uint32_t port = entry == NBL_ENTRY_RECEIVE ? 1 : 0;

	begin_entries(DEEP_POOL);
	for (uint32_t i = 0; i < 200; i++)
		nbl_lane_enter_nbl(&rig.lane, entry, fresh(60, i));
	ck_assert_uint_eq(saw.n, 0);	/* not within the call */
	ck_assert_uint_eq(atomic_load(&rig.lane.n_entered), 200);
	rig_turn(&rig);
	ck_assert_uint_eq(saw.n, 200);
	ck_assert_uint_eq(saw.most, NBL_BURST);
	ck_assert_uint_eq(atomic_load(&rig.lane.n_entered), 0);
	ck_assert_uint_eq(rig.lane.figures.originated.entered, 200);
	for (uint32_t i = 0; i < 200; i++) {
		ck_assert_uint_eq(saw.sequences[i], i);
		ck_assert_uint_eq(taken(port, 60, NULL), i);
	}
	ck_assert(nothing_on(1 - port));
	rig_check(&rig);
	rig_complete(&rig, port, 200);
	rig_turn(&rig);
	ck_assert_uint_eq(rig.lane.figures.received, 0);
	end_whole(0);
}
END_TEST

START_TEST(both_entrances_are_run_and_each_nbl_once)
{
	begin_entries(DEEP_POOL);
	nbl_lane_enter_nbl(&rig.lane, NBL_ENTRY_SEND, fresh(60, 1));
	ck_assert_uint_eq(nbl_lane_run_entered(&rig.lane), 1);
	ck_assert_uint_eq(nbl_lane_run_entered(&rig.lane), 0);
	nbl_lane_enter_nbl(&rig.lane, NBL_ENTRY_RECEIVE, fresh(60, 2));
	nbl_lane_enter_nbl(&rig.lane, NBL_ENTRY_SEND, fresh(60, 3));
	ck_assert_uint_eq(nbl_lane_run_entered(&rig.lane), 2);
	ck_assert_uint_eq(taken(0, 60, NULL), 1);
	ck_assert_uint_eq(taken(0, 60, NULL), 3);
	ck_assert_uint_eq(taken(1, 60, NULL), 2);
	for (uint32_t q = 0; q < 2; q++)
		rig_complete(&rig, q, 2);
	end_whole(0);
}
END_TEST

/* ---- originals sent again ---- */

/* Each way: absorbed from the receive path, then injected up, or down. */
START_TEST(an_absorbed_original_is_sent_again_and_home_once_nobody_references_it)
{
	enum nbl_entry entry = (enum nbl_entry)(_i & 1);
	uint32_t port = entry == NBL_ENTRY_RECEIVE ? 1 : 0;
	bool dereference_first = _i & 2;
	struct nbl *n;

	begin_sends(RIG_SHAPE(0), only_probe);
	receive_and_keep(1);
	n = nbl_chain_pop(&probe.kept);
	fill_bytes(nbl_nb_data(&n->nb), RIG_LENGTH, 7);
	ck_assert_uint_eq(nbl_ledger_get(&rig.memory.ledger, n->segment.frame).state,
			  NBL_FRAME_HELD);
	nbl_reference(n, false);
	n->nbl_flags |= NBL_FLAG_INJECTED;
	probe.filter->held--;
	nbl_lane_enter_nbl(&rig.lane, entry, n);
	rig_check(&rig);		/* under way, and in no module's hands */
	probe.receive = pass_up;
	rig_turn(&rig);
	nbl_lane_enter(&rig.lane);
	ck_assert_uint_eq(nbl_ledger_get(&rig.memory.ledger, n->segment.frame).state, NBL_FRAME_TX);
	ck_assert_uint_eq(taken(port, RIG_LENGTH, NULL), 7);
	if (dereference_first)
		ck_assert_int_eq(nbl_dereference(n), 0);
	rig_complete(&rig, port, 1);
	rig_turn(&rig);
	nbl_lane_enter(&rig.lane);
	ck_assert_uint_eq(ended.n_calls, 1);
	ck_assert_ptr_eq(popped(NBL_ORIGIN_WFP), n);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 1);
	ck_assert_int_eq(n->status, NBL_STATUS_SUCCESS);
	nbl_release(n);
	if (!dereference_first) {
		ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 1);
		ck_assert_int_eq(nbl_dereference(n), 0);
	}
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 0);
	ck_assert_uint_eq(outcome(port ? NBL_OUTCOME_TO_HOST : NBL_OUTCOME_TO_WIRE), 1);
	ck_assert_uint_eq(rig.lane.figures.received, 1);
	end_whole(0);
}
END_TEST

/* ---- threads ---- */

#define N_THREADS	4
#define N_EACH		20000u

static struct nbl *take_fresh(uint32_t sequence)
{
	struct nbl *n;

	while (nbl_pool_alloc_data(rig.pool, rig.pool, 60, &n) < 0)
		sched_yield();
	fill_bytes(nbl_nb_data(n->first_nb), 60, sequence);
	n->source_handle = OWN_HANDLE;
	return n;
}

static void *enter_many(void *arg)
{
	uint32_t self = (uint32_t)(uintptr_t)arg;

	for (uint32_t i = 0; i < N_EACH; i++)
		nbl_lane_enter_nbl(&rig.lane, self % 2 ? NBL_ENTRY_SEND : NBL_ENTRY_RECEIVE,
				   take_fresh(self << 24 | i));
	return NULL;
}

START_TEST(four_threads_enter_and_each_one_keeps_its_order)
{
	uint32_t next[N_THREADS] = { 0 }, n_taken = 0;
	uint64_t until = rig_now_ns() + 30000000000ull;
	pthread_t threads[N_THREADS];

	begin_sends(RIG_SHAPE(.n_pool_frames = 512), no_modules);
	ended.frees = true;
	nbl_lane_enter(NULL);
	for (uint32_t i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, enter_many,
						(void *)(uintptr_t)i), 0);
	while (n_taken < N_THREADS * N_EACH) {
		ck_assert_uint_lt(rig_now_ns(), until);
		rig_turn(&rig);
		for (uint32_t q = 0; q < 2; q++) {
			while (nbl_ring_used(&lane_queue(q)->q.tx.ring)) {
				uint32_t sequence = taken(q, 60, NULL), who = sequence >> 24;

				ck_assert_uint_eq(who % 2, 1 - q);
				ck_assert_uint_eq(sequence & 0xffffff, next[who]++);
				n_taken++;
			}
			rig_complete(&rig, q, UINT32_MAX);
		}
	}
	for (uint32_t i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	end_whole(0);
}
END_TEST

START_TEST(what_enters_wakes_the_lane)
{
	begin_sends(RIG_SHAPE(0), no_modules);
	ended.frees = true;
	nbl_lane_enter(NULL);
	ck_assert_int_eq(nbl_lane_start(&rig.lane), 0);
	for (int i = 0; i < 20; i++) {
		uint64_t until = rig_now_ns() + 5000000000ull;

		while (!atomic_load(&rig.lane.asleep))
			ck_assert_uint_lt(rig_now_ns(), until);
		/* a lane that slept on would need its longest sleep, a second */
		until = rig_now_ns() + 500000000;
		nbl_lane_enter_nbl(&rig.lane, NBL_ENTRY_SEND, fresh(60, (uint32_t)i));
		while (!nbl_ring_used(&lane_queue(0)->q.tx.ring))
			ck_assert_uint_lt(rig_now_ns(), until);
		ck_assert_uint_eq(taken(0, 60, NULL), i);
		rig_complete(&rig, 0, 1);
	}
	nbl_lane_stop(&rig.lane);
	end_whole(0);
}
END_TEST

START_TEST(an_nbl_is_sent_on_the_lane_its_frames_belong_to)
{
	struct nbl *n, *clone, *copy;

	begin_sends(RIG_SHAPE(0), only_probe);
	receive_and_keep(1);
	n = nbl_chain_pop(&probe.kept);
	clone = clone_of(n);
	copy = fresh(60, 0);
	{
		/* the lane is number 1 of two */
		struct nbl_lane *lanes = calloc(2, sizeof(*lanes));

		lanes[0] = rig.lane;
		lanes[1] = rig.lane;
		lane_queue(0)->lane = &lanes[1];
		ck_assert_uint_eq(nbl_lane_for(lanes, 2, n), 1);
		ck_assert_uint_eq(nbl_lane_for(lanes, 2, clone), 1);
		ck_assert_uint_eq(nbl_lane_for(lanes, 2, copy), 0);
		lane_queue(0)->lane = &rig.lane;
		free(lanes);
	}
	free_any(clone);
	free_any(copy);
	return_one(n);
	end_whole(0);
}
END_TEST

/* A frame of another lane cannot be moved here: its bytes go out as a copy. */
START_TEST(what_lies_in_another_lanes_frames_is_copied)
{
	struct nbl *n, *clone;

	begin_sends(RIG_SHAPE(0), only_probe);
	ended.frees = true;
	receive_and_keep(1);
	n = nbl_chain_pop(&probe.kept);
	fill_bytes(nbl_nb_data(&n->nb), RIG_LENGTH, 5);
	clone = clone_of(n);
	lane_queue(0)->lane = NULL;
	transmit_one(clone, NBL_LOWER);
	lane_queue(0)->lane = &rig.lane;
	ck_assert_uint_eq(rig.lane.figures.originated.copied, 1);
	ck_assert_uint_eq(nbl_ledger_get(&rig.memory.ledger, n->segment.frame).state,
			  NBL_FRAME_HELD);
	ck_assert_uint_eq(taken(0, RIG_LENGTH, NULL), 5);
	rig_complete(&rig, 0, 1);
	run_out();
	return_one(n);
	end_whole(0);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ what_enters_runs_through_the_stack_in_order_and_out_of_its_side, NBL_N_ENTRIES },
		{ both_entrances_are_run_and_each_nbl_once, 1 },
		{ an_absorbed_original_is_sent_again_and_home_once_nobody_references_it, 4 },
		{ four_threads_enter_and_each_one_keeps_its_order, 1 },
		{ what_enters_wakes_the_lane, 1 },
		{ an_nbl_is_sent_on_the_lane_its_frames_belong_to, 1 },
		{ what_lies_in_another_lanes_frames_is_copied, 1 },
	};

	return rig_run("lane_entry", tests, N_ELEMENTS(tests));
}
