/* SPDX-License-Identifier: BSD-2-Clause */
/* test_stack_holding.c - flushing and changing a stack of modules that hold packets. */
#include "unit/stack_fixture.h"

struct hold_lane {
	struct nbl_chain up, down;
};

static void hold_receive(struct nbl_filter *f, struct nbl_chain c, uint32_t port, uint32_t flags)
{
	struct hold_lane *l = f->lane_state;

	(void)port;
	(void)flags;
	nbl_chain_join(&l->up, &c);
}

static void hold_send(struct nbl_filter *f, struct nbl_chain c, uint32_t port, uint32_t flags)
{
	struct hold_lane *l = f->lane_state;

	(void)port;
	(void)flags;
	nbl_chain_join(&l->down, &c);
}

static bool refuses_to_pause;

static int hold_pause(struct nbl_filter *f)
{
	struct hold_lane *l = f->lane_state;

	if (refuses_to_pause)
		return 0;
	if (l->up.head)
		nbl_filter_indicate(f, nbl_chain_take(&l->up), 0, 0);
	if (l->down.head)
		nbl_filter_send(f, nbl_chain_take(&l->down), 0, 0);
	return 0;
}

#define HOLDER(n) { HEAD(n), .flags = NBL_MODULE_HOLDS, \
		    .lane_state_size = sizeof(struct hold_lane), \
		    .receive = hold_receive, .send = hold_send, .pause = hold_pause, \
		    .status = nbl_filter_pass_status }

static const struct nbl_module holders[] = { HOLDER("h0"), HOLDER("h1"), HOLDER("h2"),
					     HOLDER("h3") };

START_TEST(a_flush_empties_all_modules_whichever_way_packets_go)
{
	begin();
	for (uint32_t i = 0; i < N_ELEMENTS(holders); i++)
		insert(&holders[i], i);
	rig_deliver(&rig, 0, 64);
	rig_deliver(&rig, 1, 64);
	rig_turn(&rig);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 128);
	rig_check(&rig);
	ck_assert_uint_eq(nbl_stack_flush(&rig.stack), 0);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 0);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_TX], 128);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(removing_a_holder_has_all_pass_on_what_they_hold)
{
	begin();
	for (uint32_t i = 0; i < 3; i++)
		insert(&holders[i], i);
	rig_deliver(&rig, 0, 40);
	rig_deliver(&rig, 1, 30);
	rig_turn(&rig);
	ck_assert_int_eq(filter(0)->held, 40);
	ck_assert_int_eq(filter(2)->held, 30);
	ck_assert_int_eq(nbl_stack_remove(&rig.stack, 0), 0);
	ck_assert_int_eq(filter(0)->held, 0);	/* h1 by now */
	ck_assert_int_eq(filter(1)->held, 0);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 0);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_TX], 70);
	rig_check(&rig);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(a_module_that_does_not_let_go_stays_and_works)
{
	begin();
	insert(&holders[0], 0);
	rig_deliver(&rig, 0, 5);
	rig_turn(&rig);
	refuses_to_pause = true;
	ck_assert_int_eq(nbl_stack_remove(&rig.stack, 0), -EBUSY);
	ck_assert_uint_eq(rig.stack.n_modules, 1);
	ck_assert_uint_eq(nbl_stack_flush(&rig.stack), 5);
	rig_deliver(&rig, 0, 5);
	rig_turn(&rig);
	ck_assert_int_eq(filter(0)->held, 10);
	refuses_to_pause = false;
	ck_assert_int_eq(nbl_stack_remove(&rig.stack, 0), 0);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(a_flush_sends_what_it_can_even_if_the_ring_is_small)
{
	rig_make(&rig, RIG_SHAPE(.rings = { .rx = 256, .tx = 8, .fill = 256, .completion = 256 }));
	rig_up(&rig, no_modules, NBL_TAKEOVER_FRESH);
	rig_turn(&rig);
	insert(&tracers[0], 0);
	insert(&holders[0], 1);
	rig.world->calls_reach_kernel = true;
	rig.world->kick_takes = rig.world->kick_completes = 8;
	rig_deliver(&rig, 0, 64);
	rig_turn(&rig);
	ck_assert_uint_eq(nbl_stack_flush(&rig.stack), 0);
	ck_assert_uint_eq(rig_left(&rig), 56);
	rig_check(&rig);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

/* ---- changing under load ---- */

static void *play_kernel(void *arg)
{
	struct rig *r = arg;

	while (!r->world->ready)
		for (uint32_t q = 0; q < r->n_queues; q++) {
			rig_take(r, q, 50);
			rig_complete(r, q, 50);
			/* modules that hold all they get must not be told to stop (RX-06) */
			if (rig_delivered(r) - rig_left(r) < 200)
				rig_deliver(r, q, 20);
			sched_yield();
		}
	return NULL;
}

START_TEST(modules_come_and_go_under_load_and_nothing_is_lost_or_reordered)
{
	struct rig_random random = rig_random(0x5eed0005);
	uint64_t until = rig_now_ns() + 1500000000;
	pthread_t kernel;
	int n_changes = 0;

	begin();
	ck_assert_int_eq(nbl_lane_start(&rig.lane), 0);
	ck_assert_int_eq(pthread_create(&kernel, NULL, play_kernel, &rig), 0);
	for (; rig_now_ns() < until; n_changes++) {
		const struct nbl_module *const all[] = { &nbl_module_count, &nbl_module_delay,
							 &holders[0], &holders[1] };
		const struct nbl_option options[] = { { "max-share", "100" }, { "ms", "1" } };
		const struct nbl_module *m = all[rig_random_below(&random, 4)];
		char error[64];
		const char *fault;
		int i;

		nbl_lane_park(&rig.lane);
		i = nbl_stack_find(&rig.stack, m->name);
		if (i >= 0)
			ck_assert_int_eq(nbl_stack_remove(&rig.stack, (uint32_t)i), 0);
		else
			ck_assert_int_eq(nbl_stack_insert(&rig.stack, m, options,
				m == &nbl_module_delay ? 2 : 1,
				rig_random_below(&random, rig.stack.n_modules + 1), error,
				sizeof(error)), 0);
		fault = rig_fault(&rig, 0);
		ck_assert_msg(!fault, "change %d: %s", n_changes, fault);
		nbl_lane_unpark(&rig.lane);
		rig_sleep_ns(rig_random_below(&random, 2000000));
	}
	rig.world->ready = 1;
	pthread_join(kernel, NULL);
	nbl_lane_stop(&rig.lane);
	rig_settle(&rig);
	ck_assert_int_gt(n_changes, 50);
	ck_assert_uint_gt(rig_delivered(&rig), 1000);
	rig_check_all_left(&rig);
	end();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ a_flush_empties_all_modules_whichever_way_packets_go, 1 },
		{ removing_a_holder_has_all_pass_on_what_they_hold, 1 },
		{ a_module_that_does_not_let_go_stays_and_works, 1 },
		{ a_flush_sends_what_it_can_even_if_the_ring_is_small, 1 },
		{ modules_come_and_go_under_load_and_nothing_is_lost_or_reordered, 1 },
	};

	return rig_run("stack_holding", tests, N_ELEMENTS(tests));
}
