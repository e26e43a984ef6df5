/* SPDX-License-Identifier: BSD-2-Clause */
/* test_module_changes.c - changes of the stack by several threads, and beside a running lane. */
#include "unit/module_fixture.h"

/* ---- one at a time ---- */

static _Atomic int inside, overlaps;

static int stay_a_while(struct actor *a)
{
	if (atomic_fetch_add(&inside, 1))
		atomic_fetch_add(&overlaps, 1);
	rig_sleep_ns(100000);
	atomic_fetch_sub(&inside, 1);
	return 0;
}

static int restart_a_while(struct actor *a, struct nbl_restart *r, char *error, size_t size)
{
	return stay_a_while(a);
}

static void *change(void *arg)
{
	for (int i = 0; i < 20; i++) {
		struct nbl_request r = { .kind = NBL_REQUEST_MTU };

		nbl_stack_restart(&rig.stack);
		nbl_stack_set_bypass(&rig.stack, 0, i % 4);
		nbl_stack_request(&rig.stack, &r);
	}
	return NULL;
}

START_TEST(changes_from_several_threads_never_overlap)
{
	pthread_t threads[3];

	begin(1);
	actors[0].pause = stay_a_while;
	actors[0].restart = restart_a_while;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, change, NULL), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(overlaps, 0);
	ck_assert_uint_eq(life(0)->n_rejected, 0);
	ck_assert_int_eq(life(0)->state, NBL_MODULE_RUNNING);
	end();
}
END_TEST

START_TEST(two_instances_of_one_module_see_their_own_contexts)
{
	static struct nbl_module twin;

	begin(1);
	twin = actor_modules[0];
	twin.name = "twin";
	ck_assert_int_eq(nbl_stack_insert(&rig.stack, &twin, &(struct nbl_option){ "as", "c" }, 1,
					  1, trace, sizeof(trace)), 0);
	rig_deliver(&rig, 0, 3);
	rig_settle(&rig);
	ck_assert_ptr_eq(rig.stack.modules[0].filters[0].f.context, &actors[0]);
	ck_assert_ptr_eq(rig.stack.modules[1].filters[0].f.context, &actors[2]);
	ck_assert_uint_eq(actors[0].n_received, 3);
	ck_assert_uint_eq(actors[2].n_received, 3);
	rig_check_all_left(&rig);
	end();
}
END_TEST

/* ---- an id that is used again ---- */

/* Goes beyond its limit, which is counted, and drops what it got. */
static void clone_and_drop(struct actor *a, struct nbl_chain c, uint32_t flags)
{
	for (struct nbl *n = c.head; n; n = n->next)
		nbl_free_clone(nbl_alloc_clone(n, rig.pool));
	drop(a, c, flags);
}

START_TEST(an_id_used_again_begins_with_no_count_of_the_module_before)
{
	const struct nbl_holding_limits limits = { .copies_only = true };
	struct nbl_holding h;
	uint16_t id;

	begin(2);
	id = actors[0].f->id;
	nbl_holding_set_limits(id, &limits);
	actors[0].receive = clone_and_drop;
	rig_deliver(&rig, 0, 5);
	rig_turn(&rig);
	ck_assert_uint_eq(drops_at(id), 5);
	nbl_holding_get(id, &h);
	ck_assert_uint_eq(h.refused, 5);
	ck_assert_uint_eq(h.promoted, 5);
	ck_assert_int_eq(nbl_stack_remove(&rig.stack, 0), 0);
	add(2);
	ck_assert_uint_eq(actors[2].f->id, id);
	ck_assert_uint_eq(drops_at(id), 0);
	ck_assert_uint_eq(drops_at(NBL_PLACE_REMOVED), 5);
	nbl_holding_get(id, &h);
	ck_assert_uint_eq(h.refused + h.promoted + h.over_limit, 0);
	/* whichever copy is read, the rows sum up */
	for (int i = 0; i < 3; i++) {
		rig_turn(&rig);
		ck_assert_msg(!rig_figures_fault(&rig), "%s", rig_figures_fault(&rig));
	}
	rig_settle(&rig);
	rig_check(&rig);
	end();
}
END_TEST

START_TEST(a_module_gets_the_id_that_is_asked_for_if_it_is_free)
{
	const struct nbl_option as = { "as", "c" };
	char error[128] = "";
	uint16_t taken;

	begin(2);
	taken = actors[0].f->id;
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(nbl_stack_insert_as(&rig.stack, i ? NBL_MAX_MODULES + 1 : taken,
						     &actor_modules[2], &as, 1, 2, error,
						     sizeof(error)), 0);
		ck_assert_uint_eq(rig.stack.modules[2].id, taken + 2u);
		ck_assert_int_eq(nbl_stack_remove(&rig.stack, 2), 0);
	}
	ck_assert_int_eq(nbl_stack_insert_as(&rig.stack, NBL_MAX_MODULES, &actor_modules[2], &as, 1,
					     2, error, sizeof(error)), 0);
	ck_assert_uint_eq(rig.stack.modules[2].id, NBL_MAX_MODULES);
	ck_assert_uint_eq(rig.stack.modules[0].id, taken);
	end();
}
END_TEST

/* ---- with the lane's thread ---- */

static void *play_kernel(void *arg)
{
	while (!rig.world->ready) {
		for (uint32_t q = 0; q < rig.n_queues; q++) {
			rig_take(&rig, q, 50);
			rig_complete(&rig, q, 50);
			/* modules that hold all they get must not be told to stop (RX-06) */
			if (rig_delivered(&rig) - rig_left(&rig) < 180)
				rig_deliver(&rig, q, 20);
		}
		sched_yield();
	}
	return NULL;
}

START_TEST(changes_beside_a_running_lane_lose_and_reorder_nothing)
{
	uint64_t until = rig_now_ns() + 700000000;
	pthread_t kernel;
	int n = 0;

	begin(1);
	rig.stack.pause_timeout_ms = 2000;
	rig.stack.drain_ms = 100;
	ck_assert_int_eq(nbl_lane_start(&rig.lane), 0);
	rig.stack.lanes_run = true;
	ck_assert_int_eq(pthread_create(&kernel, NULL, play_kernel, NULL), 0);
	for (; rig_now_ns() < until; n++) {
		const struct nbl_option o[] = { { "max-share", "100" }, { "ms", "1" } };
		int i = nbl_stack_find(&rig.stack, "delay");
		char error[128];

		trace[0] = '\0';
		if (i >= 0)
			ck_assert_int_eq(nbl_stack_remove(&rig.stack, (uint32_t)i), 0);
		else
			ck_assert_int_eq(nbl_stack_insert(&rig.stack, &nbl_module_delay, o, 2,
							  (uint32_t)n / 2 % 2, error,
							  sizeof(error)), 0);
		rig_sleep_ns(3000000);
	}
	rig.world->ready = 1;
	pthread_join(kernel, NULL);
	nbl_lane_stop(&rig.lane);
	rig.stack.lanes_run = false;
	rig_settle(&rig);
	ck_assert_int_gt(n, 20);
	ck_assert_uint_gt(rig_delivered(&rig), 1000);
	rig_check_all_left(&rig);
	end();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ changes_from_several_threads_never_overlap, 1 },
		{ two_instances_of_one_module_see_their_own_contexts, 1 },
		{ an_id_used_again_begins_with_no_count_of_the_module_before, 1 },
		{ a_module_gets_the_id_that_is_asked_for_if_it_is_free, 1 },
		{ changes_beside_a_running_lane_lose_and_reorder_nothing, 1 },
	};

	return rig_run("module_changes", tests, N_ELEMENTS(tests));
}
