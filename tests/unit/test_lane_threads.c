/* SPDX-License-Identifier: BSD-2-Clause */
/* test_lane_threads.c - references, returns from other threads, and the lane's own thread. */
#include "unit/lane_probe.h"

/* ---- references, and other threads ---- */

static struct nbl *referenced[64];
static uint32_t n_referenced;

static void reference_and_pass(struct nbl_filter *f, struct nbl_chain chain)
{
	for (struct nbl *n = chain.head; n; n = n->next) {
		nbl_reference(n, false);
		referenced[n_referenced++] = n;
	}
	nbl_filter_indicate(f, chain, 0, 0);
}

START_TEST(a_referenced_packet_is_sent_and_its_frame_held_until_the_last_reference)
{
	begin(RIG_SHAPE(0), _i ? only_watching_probe : only_probe);
	probe.receive = reference_and_pass;
	rig_deliver(&rig, 0, 10);
	rig_turn(&rig);
	rig_run_kernel(&rig);
	rig_turn(&rig);
	ck_assert_uint_eq(rig_left(&rig), 10);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 10);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HAND), 0);
	ck_assert_uint_eq(nbl_ledger_get(&rig.memory.ledger, referenced[0]->segment.frame).reason,
			  NBL_HOLD_REFERENCE);
	rig_check(&rig);
	/* from the lane's own thread: home at once; from elsewhere: with the next turn */
	nbl_lane_enter(&rig.lane);
	ck_assert_int_eq(nbl_dereference(referenced[0]), 0);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 9);
	nbl_lane_enter(NULL);
	for (int i = 1; i < 10; i++)
		ck_assert_int_eq(nbl_dereference(referenced[i]), 0);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 9);
	rig_check(&rig);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

static void keep_returned(struct nbl_filter *f, struct nbl_chain chain)
{
	(void)f;
	nbl_chain_join(&probe.kept, &chain);
}

START_TEST(what_a_module_keeps_on_the_way_back_is_held_too)
{
	begin(RIG_SHAPE(0), only_watching_probe);
	probe.receive = pass_up;
	probe.receive_return = keep_returned;
	rig_deliver(&rig, 0, 150);
	for (int i = 0; i < 4; i++) {
		rig_turn(&rig);
		rig_run_kernel(&rig);
	}
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 150);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HAND), 0);
	rig_check(&rig);
	nbl_lane_enter(&rig.lane);
	nbl_filter_return(probe.filter, nbl_chain_take(&probe.kept));
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

#define N_THREADS 8
#define N_DEREFERENCES 100000

/* Hands packets to threads: a small locked ring, as a module would have one. */
static struct {
	pthread_mutex_t mutex;
	struct nbl *nbls[256];
	uint32_t first, end;
	_Atomic bool stop;
	_Atomic uint64_t n_dereferenced;
} handed = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void hand_out(struct nbl_filter *f, struct nbl_chain chain)
{
	pthread_mutex_lock(&handed.mutex);
	for (struct nbl *n = chain.head; n && handed.end - handed.first < 250; n = n->next) {
		/* two references: they end on two threads, the owner's claim on the lane */
		for (int i = 0; i < 2; i++) {
			nbl_reference(n, false);
			handed.nbls[handed.end++ % 256] = n;
		}
	}
	pthread_mutex_unlock(&handed.mutex);
	nbl_filter_indicate(f, chain, 0, 0);
}

static struct nbl *take_handed(void)
{
	struct nbl *n = NULL;

	pthread_mutex_lock(&handed.mutex);
	if (handed.first != handed.end)
		n = handed.nbls[handed.first++ % 256];
	pthread_mutex_unlock(&handed.mutex);
	return n;
}

static void *dereference_all(void *arg)
{
	struct nbl *n;

	(void)arg;
	while ((n = take_handed()) || !handed.stop) {
		if (!n) {
			sched_yield();
			continue;
		}
		/* the bytes are ours to read until the reference ends */
		if (nbl_nb_data(&n->nb)[12] != 0x21)
			abort();
		nbl_dereference(n);
		handed.n_dereferenced++;
	}
	return NULL;
}

START_TEST(frames_come_home_from_eight_threads_while_the_lane_turns)
{
	pthread_t threads[N_THREADS];
	uint64_t until = rig_now_ns() + 3000000000ull;

	begin(RIG_SHAPE(0), only_probe);
	probe.receive = hand_out;
	for (int i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, dereference_all, NULL), 0);
	while (handed.n_dereferenced < N_DEREFERENCES && rig_now_ns() < until) {
		rig_deliver(&rig, 0, 40);
		rig_turn(&rig);
		rig_run_kernel(&rig);
	}
	handed.stop = true;
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	rig_settle(&rig);
	ck_assert_uint_gt(handed.n_dereferenced, 5000);
	rig_check_all_left(&rig);
	end();
}
END_TEST

/* ---- the thread: sleep, rest, stop ---- */

/* Far below the second a lane may sleep; far above what two busy cores need. */
#define SOON_NS 200000000ull

/* Waits until the lane thread sleeps, or what sleeps is counted. */
static void wait_asleep(void)
{
	uint64_t until = rig_now_ns() + 10 * SOON_NS;

	while (!atomic_load(&rig.lane.asleep)) {
		ck_assert_uint_lt(rig_now_ns(), until);
		rig_sleep_ns(100000);
	}
}

START_TEST(a_sleeping_lane_parks_at_once_and_does_nothing_until_unparked)
{
	uint64_t turns, before;

	begin(RIG_SHAPE(0), no_modules);
	ck_assert_int_eq(nbl_lane_start(&rig.lane), 0);
	for (int i = 0; i < 50; i++) {
		if (i % 5 == 0)
			wait_asleep();
		before = rig_now_ns();
		nbl_lane_park(&rig.lane);
		ck_assert_uint_lt(rig_now_ns() - before, SOON_NS);
		turns = rig.world->progress[0].turns;
		rig_deliver(&rig, 0, 3);
		if (i % 10 == 0)
			rig_sleep_ns(1000000);
		ck_assert_uint_eq(rig.world->progress[0].turns, turns);
		ck_assert_uint_ge(nbl_ring_used(&lane_queue(0)->q.rx.ring), 3);
		rig_run_kernel(&rig);
		nbl_lane_unpark(&rig.lane);
	}
	nbl_lane_park(&rig.lane);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	nbl_lane_unpark(&rig.lane);
	nbl_lane_stop(&rig.lane);
	end();
}
END_TEST

START_TEST(a_sleeping_lane_stops_at_once)
{
	uint64_t before;

	begin(RIG_SHAPE(0), no_modules);
	ck_assert_int_eq(nbl_lane_start(&rig.lane), 0);
	wait_asleep();
	before = rig_now_ns();
	nbl_lane_stop(&rig.lane);
	ck_assert_uint_lt(rig_now_ns() - before, SOON_NS);
	rig_check(&rig);
	end();
}
END_TEST

START_TEST(a_frame_that_comes_home_from_another_thread_wakes_the_lane)
{
	uint64_t until;

	begin(RIG_SHAPE(0), only_probe);
	probe.receive = reference_and_pass;
	rig_deliver(&rig, 0, 1);
	rig_settle(&rig);
	ck_assert_int_eq(nbl_lane_start(&rig.lane), 0);
	wait_asleep();
	nbl_dereference(referenced[0]);
	for (until = rig_now_ns() + SOON_NS; nbl_ring_used(&lane_queue(0)->q.fill.ring) < 256;)
		ck_assert_uint_lt(rig_now_ns(), until);
	nbl_lane_stop(&rig.lane);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(an_idle_lane_sleeps)
{
	struct timespec cpu;
	clockid_t clock;

	begin(RIG_SHAPE(0), no_modules);
	ck_assert_int_eq(nbl_lane_start(&rig.lane), 0);
	ck_assert_int_eq(pthread_getcpuclockid(rig.lane.thread, &clock), 0);
	rig_sleep_ns(400000000);
	clock_gettime(clock, &cpu);
	ck_assert_int_eq(cpu.tv_sec, 0);
	ck_assert_int_lt(cpu.tv_nsec, 20000000);
	nbl_lane_stop(&rig.lane);
	ck_assert_uint_ge(rig.lane.figures.sleeps, 1);
	ck_assert_uint_le(rig.lane.figures.sleeps, 10);
	end();
}
END_TEST

START_TEST(completions_are_found_without_a_wake_up)
{
	uint64_t until;

	begin(RIG_SHAPE(0), no_modules);
	rig_deliver(&rig, 0, 10);
	ck_assert_int_eq(nbl_lane_start(&rig.lane), 0);
	for (until = rig_now_ns() + 5 * SOON_NS; rig_left(&rig) < 10; rig_run_kernel(&rig))
		ck_assert_uint_lt(rig_now_ns(), until);
	for (until = rig_now_ns() + SOON_NS; nbl_ring_used(&lane_queue(0)->q.fill.ring) < 256;)
		ck_assert_uint_lt(rig_now_ns(), until);
	nbl_lane_stop(&rig.lane);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ a_referenced_packet_is_sent_and_its_frame_held_until_the_last_reference, 2 },
		{ what_a_module_keeps_on_the_way_back_is_held_too, 1 },
		{ frames_come_home_from_eight_threads_while_the_lane_turns, 1 },
		{ a_sleeping_lane_parks_at_once_and_does_nothing_until_unparked, 1 },
		{ a_sleeping_lane_stops_at_once, 1 },
		{ a_frame_that_comes_home_from_another_thread_wakes_the_lane, 1 },
		{ an_idle_lane_sleeps, 1 },
		{ completions_are_found_without_a_wake_up, 1 },
	};

	return rig_run("lane_threads", tests, N_ELEMENTS(tests));
}
