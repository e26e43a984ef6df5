/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_adopt_killed.c - a lane may die at any time; its successor makes it good.
 *
 * A child runs the lane over shared memory while this process plays the kernel, and is
 * killed, hundreds of times.
 */
#include "unit/adopt_fixture.h"

#define LIVES 200
#define SECONDS 4
#define MOST_LOST 64	/* per death: the burst in hand */

static void note_audit(struct rig *r)
{
	struct nbl_audit audit = { 0 };

	RIG_MUST(!nbl_lane_audit(&r->lane, &audit));
	if (audit.mismatches && !r->world->mismatches)
		memcpy(r->world->first, audit.first, sizeof(audit.first));
	r->world->mismatches += audit.mismatches;
}

/* A life: adopts, looks around, works until killed. */
static void live(struct rig *r, const struct nbl_module *const *modules,
		 enum nbl_takeover takeover)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bring_up(r, modules, takeover);
	note_audit(r);
	nbl_lane_enter(&r->lane);
	r->world->ready = 1;
	for (;;) {
		nbl_lane_turn(&r->lane);
		r->world->turns++;
		r->world->violations = nbl_violations() - r->nbl_violations_before;
	}
}

static void play_kernel(struct rig *r, struct rig_random *random)
{
	uint32_t q = rig_random_below(random, r->n_queues);

	switch (rig_random_below(random, 4)) {
	case 0:
	case 1:
		rig_deliver(r, q, rig_random_below(random, 80));
		break;
	case 2:
		rig_take(r, q, rig_random_below(random, 100));
		break;
	case 3:
		rig_complete(r, q, rig_random_below(random, 100));
		break;
	}
}

/* True if 'frame' is in a TX ring. We are its consumer, so it stays there while we look. */
static bool is_in_tx(struct rig *r, const struct nbl_queue *queues, uint64_t frame)
{
	for (uint32_t i = 0; i < r->n_queues; i++) {
		const struct nbl_ring *ring = &queues[i].tx.ring;
		uint32_t end = nbl_ring_load(ring->producer);

		for (uint32_t slot = *ring->consumer; slot != end; slot++)
			if (((const struct xdp_desc *)ring->entries)[slot & (ring->size - 1)].addr /
			    2048 == frame)
				return true;
	}
	return false;
}

/* The kernel would write the next frame of a fill ring while it is to be read from a TX ring. */
static const char *posted_while_sent(struct rig *r)
{
	struct nbl_queue queues[RIG_MAX_QUEUES];

	rig_adopt_queues(r, queues);
	for (uint32_t i = 0; i < r->n_queues; i++) {
		const struct nbl_ring *ring = &queues[i].fill.ring;
		uint32_t slot = *ring->consumer;

		if (nbl_ring_used(ring) &&
		    is_in_tx(r, queues,
			     ((const uint64_t *)ring->entries)[slot & (ring->size - 1)] / 2048))
			return "a frame is posted while it is being sent";
	}
	return NULL;
}

static void assert_no_fault(const char *fault, const char *when, int life)
{
	if (fault)
		ck_abort_msg("life %d, %s: %s", life, when, fault);
}

/* One life and its death; the kernel goes on throughout. */
static void let_live_and_kill(struct rig *r, struct rig_random *random, int life,
			      const struct nbl_module *const *modules, enum nbl_takeover takeover)
{
	uint64_t end, life_ns = 20000 + rig_random_below(random, 1u << (10 + life % 14));
	pid_t child;

	r->world->ready = 0;
	child = fork();
	if (!child)
		live(r, modules, life ? takeover : NBL_TAKEOVER_FRESH);
	while (!r->world->ready) {
		if (life)
			play_kernel(r, random);
		if (waitpid(child, NULL, WNOHANG))
			ck_abort_msg("life %d ended by itself", life);
	}
	for (end = rig_now_ns() + life_ns; rig_now_ns() < end;) {
		play_kernel(r, random);
		assert_no_fault(rig_figures_fault(r), "alive", life);
		assert_no_fault(posted_while_sent(r), "alive", life);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_no_fault(rig_figures_fault(r), "dead", life);
	ck_assert_msg(!r->world->mismatches, "%s", r->world->first);
	ck_assert_uint_eq(r->world->violations, 0);
}

static int kill_many(struct rig *r, const struct nbl_module *const *modules,
		     enum nbl_takeover takeover)
{
	struct rig_random random = rig_random(0x5eed0001);
	uint64_t end = rig_now_ns() + SECONDS * 1000000000ull;
	int life;

	rig_make(r, RIG_SHAPE(.n_lower = 2, .n_upper = 2, .n_frames = 192, .n_pool_frames = 64,
			      .start_at = 0xffffff00u));
	for (life = 0; life < LIVES && rig_now_ns() < end; life++)
		let_live_and_kill(r, &random, life, modules, takeover);
	bring_up(r, modules, takeover);
	rig_settle(r);
	rig_check(r);
	ck_assert_uint_eq(nbl_figures_in_flight(&r->lane.figures), 0);
	ck_assert_uint_eq(rig_lost_frames(r), 0);
	ck_assert_uint_eq(r->lane.figures.received, rig_delivered(r));
	ck_assert_msg(pool_is_whole(r), "frames of the pool are lost");
	printf("%d lives, %llu turns, %llu packets, %llu lost\n", life,
	       (unsigned long long)r->world->turns, (unsigned long long)rig_delivered(r),
	       (unsigned long long)(rig_delivered(r) - rig_left(r)));
	ck_assert_uint_gt(rig_delivered(r), 1000);
	return life;
}

START_TEST(killed_at_random_with_replay_loses_and_duplicates_nothing_and_keeps_order)
{
	static struct rig r;

	kill_many(&r, only_count, NBL_TAKEOVER_REPLAY);
	rig_check_all_left(&r);
	ck_assert_uint_eq(r.lane.figures.outcomes[NBL_OUTCOME_WORKER_DIED], 0);
	rig_down(&r);
	rig_free(&r);
}
END_TEST

START_TEST(killed_at_random_with_drop_loses_at_most_a_burst_a_death_and_counts_it)
{
	static struct rig r;
	int deaths = kill_many(&r, only_count, NBL_TAKEOVER_DROP);
	uint64_t lost = rig_delivered(&r) - rig_left(&r);

	ck_assert_uint_eq(rig_wrong(&r), 0);
	ck_assert_uint_le(lost, (uint64_t)deaths * MOST_LOST);
	ck_assert_uint_eq(r.lane.figures.outcomes[NBL_OUTCOME_WORKER_DIED], lost);
	rig_down(&r);
	rig_free(&r);
}
END_TEST

START_TEST(killed_at_random_while_frames_are_shared_no_frame_is_lost_or_posted_while_sent)
{
	static struct rig r;

	kill_many(&r, _i ? forking_and_watch : only_forking,
		  _i ? NBL_TAKEOVER_DROP : NBL_TAKEOVER_REPLAY);
	rig_down(&r);
	rig_free(&r);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ killed_at_random_with_replay_loses_and_duplicates_nothing_and_keeps_order, 1 },
		{ killed_at_random_with_drop_loses_at_most_a_burst_a_death_and_counts_it, 1 },
		{ killed_at_random_while_frames_are_shared_no_frame_is_lost_or_posted_while_sent,
		  2 },
	};

	return rig_run("adopt_killed", tests, N_ELEMENTS(tests));
}
