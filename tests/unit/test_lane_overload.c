/* SPDX-License-Identifier: BSD-2-Clause */
/* test_lane_overload.c - a queue to which more comes than the lane can handle. */
#include "unit/lane_probe.h"

#define RING	2048u
#define TURN_NS	(NBL_OVERLOAD_NS / 10)
#define A_TURN	(NBL_TURN_BURSTS * NBL_BURST)
#define OFFERED	(2 * RING)	/* more than there is room for */

static uint64_t now_ns;

static uint64_t clock_ns(void)
{
	return now_ns;
}

static void begin_with(uint32_t most_posted)
{
	static const struct nbl_ring_sizes rings = { RING, RING, RING, RING };

	rig_make(&rig, RIG_SHAPE(.n_frames = 2 * RING, .rings = rings));
	rig_prepare(&rig, no_modules);
	now_ns = TURN_NS;
	rig.lane.clock_ns = clock_ns;
	lane_queue(0)->q.most_posted = most_posted;
	nbl_lane_adopt(&rig.lane, NBL_TAKEOVER_FRESH);
	rig_turn(&rig);
	ck_assert_uint_eq(lane_queue(0)->n_posted, most_posted ? most_posted : RING);
}

/* A turn while so many came, all of which the kernel then sends. Returns how many had room. */
static uint32_t turn(uint32_t n)
{
	uint32_t delivered = rig_deliver(&rig, 0, n);

	now_ns += TURN_NS;
	rig_turn(&rig);
	rig_run_kernel(&rig);
	return delivered;
}

static void finish(void)
{
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}

static uint64_t overloads(void)
{
	return lane_queue(0)->figures->overloads;
}

START_TEST(a_queue_that_stands_is_kept_short_until_it_is_emptied)
{
	begin_with(RING);
	for (int round = 1; round <= 3; round++) {
		for (int i = 0; i < 20; i++)
			turn(OFFERED);
		for (int i = 0; i < 20; i++) {
			ck_assert_uint_le(turn(OFFERED), A_TURN);
			ck_assert_uint_eq(lane_queue(0)->n_posted, RING / 4);
		}
		ck_assert_uint_eq(overloads(), round);
		rig_check(&rig);
		turn(0);
		ck_assert_uint_eq(lane_queue(0)->n_posted, RING / 4);
		turn(0);	/* which finds nothing */
		ck_assert_uint_eq(lane_queue(0)->n_posted, RING);
	}
	finish();
}
END_TEST

START_TEST(a_burst_that_ends_in_time_keeps_its_room)
{
	begin_with(RING);
	for (int round = 0; round < 5; round++) {
		/* what a ring holds: emptied one turn before the time is over */
		for (int i = 0; i < 2; i++) {
			turn(OFFERED);
			ck_assert_uint_eq(lane_queue(0)->n_posted, RING);
		}
		for (int i = 0; i < 8; i++) {
			turn(0);
			ck_assert_uint_eq(lane_queue(0)->n_posted, RING);
		}
	}
	ck_assert_uint_eq(overloads(), 0);
	finish();
}
END_TEST

START_TEST(too_few_to_spare_any_are_all_posted)
{
	begin_with(A_TURN);
	for (int i = 0; i < 30; i++) {
		turn(OFFERED);
		ck_assert_uint_eq(lane_queue(0)->n_posted, A_TURN);
	}
	finish();
}
END_TEST

/* A driver in zero-copy mode has frames out of its own. */
START_TEST(where_there_is_no_limit_all_are_posted)
{
	begin_with(0);
	for (int i = 0; i < 30; i++) {
		turn(OFFERED);
		/* in the fill ring, beside those received */
		ck_assert_uint_ge(lane_queue(0)->n_posted, RING);
	}
	ck_assert_uint_eq(overloads(), 1);
	finish();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ a_queue_that_stands_is_kept_short_until_it_is_emptied, 1 },
		{ a_burst_that_ends_in_time_keeps_its_room, 1 },
		{ too_few_to_spare_any_are_all_posted, 1 },
		{ where_there_is_no_limit_all_are_posted, 1 },
	};

	return rig_run("lane_overload", tests, sizeof(tests) / sizeof(tests[0]));
}
