/* SPDX-License-Identifier: BSD-2-Clause */
/* test_figures.c - what a lane publishes, and what others read meanwhile. */
#include "unit/lane_probe.h"

static _Atomic bool stop_publishing;

static void *publish_all_the_time(void *arg)
{
	struct nbl_lane_figures f = { 0 };

	(void)arg;
	while (!stop_publishing) {
		f.received++;
		f.outcomes[f.received % NBL_N_OUTCOMES]++;
		f.frames[NBL_FRAME_FREE] = 512 - f.received % 7;
		f.frames[NBL_FRAME_FILL] = f.received % 7;
		f.queues[NBL_N_SIDES * NBL_MAX_QUEUES - 1].rx_packets = f.received;
		nbl_figures_publish(nbl_memory_lane_block(&rig.memory, 0), &f,
				    NBL_N_SIDES * NBL_MAX_QUEUES, true);
	}
	return NULL;
}

START_TEST(figures_are_of_one_moment_however_fast_they_are_published)
{
	uint64_t until = rig_now_ns() + 500000000, last = 0;
	struct nbl_lane_figures f;
	pthread_t thread;

	rig_make(&rig, RIG_SHAPE(0));
	ck_assert_int_eq(pthread_create(&thread, NULL, publish_all_the_time, NULL), 0);
	do
		rig_read(&rig, &f);
	while (!f.received);
	/* for a time, and until enough was published for that to tell something */
	while (rig_now_ns() < until || last <= 1000) {
		rig_read(&rig, &f);
		if (!rig_balances(&rig, &f) || f.received < last ||
		    f.queues[NBL_N_SIDES * NBL_MAX_QUEUES - 1].rx_packets != f.received)
			ck_abort_msg("torn at %llu", (unsigned long long)f.received);
		last = f.received;
	}
	stop_publishing = true;
	pthread_join(thread, NULL);
	rig_free(&rig);
}
END_TEST

static void drop_every_other(struct nbl_filter *f, struct nbl_chain chain)
{
	struct nbl_chain drop = NBL_CHAIN_EMPTY, pass = NBL_CHAIN_EMPTY;
	struct nbl *n;

	for (int i = 0; (n = nbl_chain_pop(&chain)); i++)
		nbl_chain_append(i % 2 ? &drop : &pass, n);
	if (drop.head)
		nbl_filter_return(f, drop);
	nbl_filter_indicate(f, pass, 0, 0);
}

START_TEST(drops_are_in_whatever_copy_of_the_figures_is_read)
{
	struct nbl_lane_figures f;

	begin(RIG_SHAPE(0), only_probe);
	for (int i = 0; i < 50; i++) {
		probe.receive = i % 5 ? pass_up : drop_every_other;
		rig_deliver(&rig, 0, 4);
		rig_turn(&rig);
		ck_assert_msg(!rig_figures_fault(&rig), "turn %d: %s", i, rig_figures_fault(&rig));
		rig_run_kernel(&rig);
	}
	rig_read(&rig, &f);
	ck_assert_uint_eq(f.drops[rig.stack.modules[0].id][NBL_OUTCOME_RETURNED], 20);
	rig_settle(&rig);
	rig_check(&rig);
	end();
}
END_TEST

START_TEST(module_figures_are_published)
{
	struct nbl_lane_figures f;
	uint16_t id;

	begin(RIG_SHAPE(0), only_probe);
	id = rig.stack.modules[0].id;
	probe.receive = keep;
	rig_deliver(&rig, 0, 12);
	rig_turn(&rig);
	rig_read(&rig, &f);
	ck_assert_uint_eq(f.modules[id].packets, 12);
	ck_assert_int_eq(f.modules[id].held, 12);
	ck_assert_uint_eq(f.modules[id].faults, 0);
	ck_assert_uint_eq(f.frames[NBL_FRAME_HELD], 12);
	nbl_lane_enter(&rig.lane);
	nbl_filter_return(probe.filter, nbl_chain_take(&probe.kept));
	rig_settle(&rig);
	rig_check(&rig);
	end();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ figures_are_of_one_moment_however_fast_they_are_published, 1 },
		{ drops_are_in_whatever_copy_of_the_figures_is_read, 1 },
		{ module_figures_are_published, 1 },
	};

	return rig_run("figures", tests, N_ELEMENTS(tests));
}
