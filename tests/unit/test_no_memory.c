/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_no_memory.c - calls for which there is no memory, and calls that ask for none.
 *
 * The Makefile links this program with --wrap. Check allocates, too: no assertion
 * between begin_failing() and end_failing().
 */
#include "unit/lane_probe.h"
#include "unit/wfp_fixture.h"

#define NATIVE NBL_LAYER_INBOUND_MAC_FRAME_NATIVE

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static bool counting;
static uint32_t n_asked, fails_at;	/* the call that fails, from 1; 0 = none */

static bool fails(void)
{
	return counting && ++n_asked == fails_at;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

static void begin_failing(uint32_t at)
{
	n_asked = 0;
	fails_at = at;
	counting = true;
}

/* Returns how many allocations were asked for. */
static uint32_t end_failing(void)
{
	counting = false;
	return n_asked;
}

/*
 * A commit whose allocation number 'at' fails; returns how many it asks for, or 0 if it succeeded.
 */
static uint32_t commit_fails_at(uint32_t at)
{
	struct wfp_snapshot *old = NULL;
	uint32_t asked;
	int r;

	begin_failing(at);
	r = nbl_wfp_commit(fix.wfp, &old);
	asked = end_failing();
	if (!r) {
		nbl_wfp_snapshot_free(old);
		return 0;
	}
	ck_assert_int_eq(r, -ENOMEM);
	ck_assert_ptr_null(old);
	return asked;
}

START_TEST(BUG_04_a_removal_that_fails_keeps_nothing_from_ending_later)
{
	struct script s = { .action = NBL_ACTION_BLOCK };
	uint32_t n_failed = 0;
	uint64_t filter;

	ck_assert_int_eq(nbl_wfp_sublayer_add(fix.wfp, 5, 1), 0);
	filter = script_start(&s, NATIVE, 5, 1);
	ck_assert_int_eq(nbl_wfp_filter_delete(fix.wfp, filter), 0);
	while (commit_fails_at(n_failed + 1)) {
		n_failed++;
		/* as before: in force, not told as gone, and not deleted a second time */
		ck_assert_int_eq(classify_one(NATIVE), DROPPED);
		ck_assert_uint_eq(s.n_calls, n_failed);
		ck_assert_uint_eq(s.n_notified[NBL_CALLOUT_FILTER_DELETED], 0);
		ck_assert_int_eq(nbl_wfp_filter_delete(fix.wfp, filter), -ENOENT);
	}
	ck_assert_uint_eq(n_failed, 2);		/* that is all it asks for */
	ck_assert_int_eq(classify_one(NATIVE), PASSED);
	ck_assert_uint_eq(s.n_notified[NBL_CALLOUT_FILTER_DELETED], 1);
	ck_assert_int_eq(nbl_wfp_sublayer_delete(fix.wfp, 5), 0);
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, s.id), 0);
}
END_TEST

START_TEST(BUG_04_an_addition_that_fails_leaves_nothing_behind)
{
	struct script s = { .action = NBL_ACTION_CONTINUE }, other = s;
	struct nbl_callout c = script_callout(&other);
	struct nbl_wfp_filter_spec spec = { .layer = NATIVE, .sublayer = 5,
					    .action = WFP_ACTION_CALLOUT_UNKNOWN };
	uint64_t filter = 0;
	uint32_t id = 0;
	int r;

	ck_assert_int_eq(nbl_wfp_sublayer_add(fix.wfp, 5, 1), 0);
	spec.callout = script_register(&s);
	begin_failing(1);
	r = nbl_wfp_filter_add(fix.wfp, &spec, &filter);
	ck_assert_uint_eq(end_failing(), 1);
	ck_assert_int_eq(r, -ENOMEM);
	ck_assert_uint_eq(filter, 0);
	begin_failing(1);
	r = nbl_callout_register(fix.wfp, &c, &id);
	ck_assert_uint_eq(end_failing(), 1);
	ck_assert_int_eq(r, -ENOMEM);
	ck_assert_uint_eq(id, 0);
	begin_failing(1);
	r = nbl_wfp_sublayer_add(fix.wfp, 6, 1);
	ck_assert_uint_eq(end_failing(), 1);
	ck_assert_int_eq(r, -ENOMEM);
	ck_assert_int_eq(nbl_wfp_sublayer_delete(fix.wfp, 6), -ENOENT);
	/* the filter that is not there keeps neither sub-layer nor callout */
	fix_commit();
	ck_assert_int_eq(classify_one(NATIVE), PASSED);
	ck_assert_uint_eq(s.n_calls, 0);
	ck_assert_int_eq(nbl_wfp_sublayer_delete(fix.wfp, 5), 0);
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, s.id), 0);
	/* and the place of the callout that was refused can be had */
	ck_assert_int_eq(nbl_callout_register(fix.wfp, &c, &other.id), 0);
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, other.id), 0);
}
END_TEST

START_TEST(PL_01_a_pool_for_which_there_is_no_memory_leaves_nothing_behind)
{
	const struct nbl_pool_params params = {
		.name = "none", .n_nbls = 4, .n_frames = 4, .frame_size = 256, .context_size = 64,
	};
	struct nbl_pool *pool = NULL;
	uint32_t at = 1;

	for (;; at++) {
		int r;

		begin_failing(at);
		r = nbl_pool_new(&params, &pool);
		end_failing();
		if (!r)
			break;
		ck_assert_int_eq(r, -ENOMEM);
		ck_assert_ptr_null(pool);
	}
	ck_assert_uint_gt(at, 3);
	unit_assert_full(pool);
	ck_assert_int_eq(nbl_pool_free(pool), 0);
}
END_TEST

START_TEST(PL_04_allocating_and_deriving_asks_the_system_for_no_memory)
{
	struct nbl *n = unit_receive(64, 200), *fresh, *clone, *deep = NULL, *copy = NULL;
	int wrong;

	begin_failing(1);
	nbl_reference(n, false);
	fresh = nbl_pool_alloc(unit.pool);
	clone = nbl_alloc_clone(n, unit.pool);
	wrong = nbl_alloc_deep_clone(n, unit.pool, unit.data, &deep);
	wrong |= nbl_alloc_copy(n, unit.pool, unit.data, &copy);
	if (clone)
		wrong |= nbl_retreat(clone, 20, 0, unit.data);
	if (clone && !wrong) {
		nbl_advance(clone, 20, true);
		wrong |= nbl_free_clone(clone) | nbl_free_clone(deep);
		wrong |= nbl_free(copy) | nbl_free(fresh) | nbl_dereference(n);
	}
	nbl_release(n);
	ck_assert_uint_eq(end_failing(), 0);
	ck_assert_int_eq(wrong, 0);
	ck_assert_ptr_nonnull(clone);
	ck_assert_ptr_nonnull(fresh);
	ck_assert(unit_is_home(n));
}
END_TEST

START_TEST(RX_16_a_million_packets_that_cross_ask_the_system_for_no_memory)
{
	uint32_t asked;

	begin(RIG_SHAPE(0), only_watching_probe);
	probe.receive = pass_up;
	begin_failing(0);
	for (int i = 0; i < 10000; i++) {
		rig_deliver(&rig, 0, 50);
		rig_deliver(&rig, 1, 50);
		rig_turn(&rig);
		rig_run_kernel(&rig);
	}
	asked = end_failing();
	rig_settle(&rig);
	ck_assert_uint_eq(asked, 0);
	ck_assert_uint_gt(rig.lane.figures.received, 900000);
	rig_check_all_left(&rig);
	end();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ BUG_04_a_removal_that_fails_keeps_nothing_from_ending_later, 1 },
		{ BUG_04_an_addition_that_fails_leaves_nothing_behind, 1 },
		{ PL_01_a_pool_for_which_there_is_no_memory_leaves_nothing_behind, 1 },
		{ PL_04_allocating_and_deriving_asks_the_system_for_no_memory, 1 },
		{ RX_16_a_million_packets_that_cross_ask_the_system_for_no_memory, 1 },
	};

	return fix_run("no_memory", tests, N_ELEMENTS(tests));
}
