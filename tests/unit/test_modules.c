/* SPDX-License-Identifier: BSD-2-Clause */
/* test_modules.c - the bundled modules: count and delay. */
#include "unit/lane_fixture.h"

static struct rig rig;

static const struct nbl_module *const no_modules[] = { NULL };
static const struct nbl_module *const only_count[] = { &nbl_module_count, NULL };

static void begin(const struct nbl_module *const *modules)
{
	rig_make(&rig, RIG_SHAPE(0));
	rig_up(&rig, modules, NBL_TAKEOVER_FRESH);
	rig_turn(&rig);
}

static void begin_delay(const char *ms, const char *limit)
{
	const struct nbl_option options[] = { { "ms", ms }, { "limit", limit } };

	begin(no_modules);
	rig_add(&rig, &nbl_module_delay, options, limit ? 2 : 1);
}

static void end(void)
{
	rig_down(&rig);
	rig_free(&rig);
}

static uint64_t frames_in(enum nbl_frame_state state)
{
	return rig.lane.figures.frames[state];
}

static struct nbl_filter *filter(uint32_t i)
{
	return &rig.stack.modules[i].filters[0].f;
}

/* ---- all ---- */

START_TEST(every_bundled_module_is_found_by_its_name_and_says_what_it_is)
{
	const struct nbl_module *m = nbl_modules[_i];

	ck_assert_ptr_eq(nbl_module_find(m->name), m);
	ck_assert_uint_eq(m->version, NBL_MODULE_VERSION);
	ck_assert_uint_eq(m->size, sizeof(*m));
	ck_assert_uint_lt(strlen(m->name), NBL_MODULE_NAME_MAX);
	ck_assert(m->help && *m->help && !strchr(m->help, '\n'));
	/* it can give back what it can hold, and free what it attached */
	ck_assert(!(m->flags & NBL_MODULE_HOLDS) || m->pause);
	ck_assert(!m->attach || m->detach);
	ck_assert(!m->options_help == !m->attach);
}
END_TEST

START_TEST(a_module_that_is_not_there_is_not_found)
{
	ck_assert_ptr_null(nbl_module_find("coun"));
	ck_assert_ptr_null(nbl_module_find("counts"));
	ck_assert_ptr_null(nbl_module_find(""));
	ck_assert_ptr_null(nbl_modules[4]);
}
END_TEST

/* ---- count ---- */

START_TEST(count_counts_both_ways_and_changes_nothing)
{
	const uint64_t *counts;

	begin(only_count);
	for (int i = 0; i < 10; i++) {
		rig_deliver(&rig, 0, 9);
		rig_deliver(&rig, 1, 4);
		rig_settle(&rig);
	}
	counts = filter(0)->lane_state;	/* packets and bytes received, then sent */
	ck_assert_uint_eq(counts[0], 90);
	ck_assert_uint_eq(counts[1], 90 * RIG_LENGTH);
	ck_assert_uint_eq(counts[2], 40);
	ck_assert_uint_eq(counts[3], 40 * RIG_LENGTH);
	ck_assert_uint_eq(filter(0)->packets, 130);
	ck_assert_int_eq(filter(0)->held, 0);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(count_takes_no_option)
{
	const struct nbl_option option = { "ms", "1" };
	char error[64] = "";

	begin(no_modules);
	ck_assert_int_eq(nbl_stack_insert(&rig.stack, &nbl_module_count, &option, 1, 0, error,
					  sizeof(error)), -EINVAL);
	ck_assert_str_eq(error, "module count has no option 'ms'");
	ck_assert_uint_eq(rig.stack.n_modules, 0);
	end();
}
END_TEST

/* ---- delay ---- */

static const struct {
	const char *key, *value;
	const char *error;		/* NULL: fine */
} options[] = {
	{ "ms", "1", NULL }, { "ms", "1000", NULL }, { "limit", "1", NULL },
	{ "limit", "4294967295", NULL }, { "ms", "007", NULL },
	{ "ms", "0", "delay: ms must be a number from 1 to 1000, not '0'" },
	{ "ms", "1001", "delay: ms must be a number from 1 to 1000, not '1001'" },
	{ "ms", "", "delay: ms must be a number from 1 to 1000, not ''" },
	{ "ms", "-1", "delay: ms must be a number from 1 to 1000, not '-1'" },
	{ "ms", "+1", "delay: ms must be a number from 1 to 1000, not '+1'" },
	{ "ms", " 1", "delay: ms must be a number from 1 to 1000, not ' 1'" },
	{ "ms", "1 ", "delay: ms must be a number from 1 to 1000, not '1 '" },
	{ "ms", "1ms", "delay: ms must be a number from 1 to 1000, not '1ms'" },
	{ "ms", "0x10", "delay: ms must be a number from 1 to 1000, not '0x10'" },
	{ "ms", "1.5", "delay: ms must be a number from 1 to 1000, not '1.5'" },
	{ "ms", "18446744073709551617",
	  "delay: ms must be a number from 1 to 1000, not '18446744073709551617'" },
	{ "limit", "0", "delay: limit must be a number from 1 to 4294967295, not '0'" },
	{ "limit", "4294967296",
	  "delay: limit must be a number from 1 to 4294967295, not '4294967296'" },
	{ "Ms", "1", "delay: no option 'Ms' (EINVAL). Try: ms=N limit=N" },
	{ "", "1", "delay: no option '' (EINVAL). Try: ms=N limit=N" },
};

START_TEST(delay_takes_or_refuses_an_option_with_one_sentence)
{
	const struct nbl_option given[] = {
		{ "limit", "5" }, { options[_i].key, options[_i].value },
	};
	char error[128] = "";
	int r;

	begin(no_modules);
	r = nbl_stack_insert(&rig.stack, &nbl_module_delay, given, 2, 0, error, sizeof(error));
	ck_assert_int_eq(r, options[_i].error ? -EINVAL : 0);
	ck_assert_str_eq(error, options[_i].error ? options[_i].error : "");
	ck_assert_uint_eq(rig.stack.n_modules, !r);
	end();
}
END_TEST

START_TEST(a_sentence_that_does_not_fit_is_cut_and_ends)
{
	const struct nbl_option option = { "ms", "a value far too long for the room there is" };
	char error[24];

	begin(no_modules);
	memset(error, 0x55, sizeof(error));
	ck_assert_int_eq(nbl_stack_insert(&rig.stack, &nbl_module_delay, &option, 1, 0, error, 16),
			 -EINVAL);
	ck_assert_str_eq(error, "delay: ms must ");
	ck_assert_uint_eq((uint8_t)error[16], 0x55);
	end();
}
END_TEST

/* Turns and sends until 'n' packets have left; returns when that was. */
static uint64_t wait_left(uint64_t n)
{
	uint64_t until = rig_now_ns() + 3000000000ull;

	while (rig_left(&rig) < n) {
		ck_assert_uint_lt(rig_now_ns(), until);
		rig_turn(&rig);
		rig_run_kernel(&rig);
	}
	return rig_now_ns();
}

START_TEST(delay_holds_every_packet_for_its_time_both_ways_in_order)
{
	uint64_t before;

	begin_delay("20", NULL);
	for (int i = 0; i < 4; i++) {
		before = rig_now_ns();
		rig_deliver(&rig, 0, 70);
		rig_deliver(&rig, 1, 10);
		rig_turn(&rig);
		ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 80);
		ck_assert_int_eq(filter(0)->held, 80);
		rig_check(&rig);
		ck_assert_uint_ge(wait_left(80 * (uint64_t)(i + 1)) - before, 20000000);
		ck_assert_int_eq(filter(0)->held, 0);
	}
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(a_trickle_leaves_as_it_came_each_packet_after_its_time)
{
	uint64_t came[40], left = 0;

	begin_delay("10", NULL);
	for (int i = 0; i < 40 || left < 40;) {
		if (i < 40) {
			came[i++] = rig_now_ns();
			rig_deliver(&rig, 0, 1);
		}
		rig_turn(&rig);
		rig_run_kernel(&rig);
		for (; left < rig_left(&rig); left++)
			ck_assert_uint_ge(rig_now_ns() - came[left], 10000000);
		rig_sleep_ns(500000);
	}
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(what_exceeds_the_limit_is_dropped_at_once_and_says_so)
{
	const struct nbl_lane_figures *f = &rig.lane.figures;

	begin_delay("1000", "20");
	rig_deliver(&rig, 0, 50);
	rig_deliver(&rig, 1, 30);
	rig_turn(&rig);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 40);
	ck_assert_uint_eq(f->outcomes[NBL_OUTCOME_MODULE_LIMIT], 30 + 10);
	ck_assert_uint_eq(f->drops[filter(0)->id][NBL_OUTCOME_MODULE_LIMIT], 40);
	rig_check(&rig);
	rig_settle(&rig);	/* pauses it: it lets go */
	ck_assert_uint_eq(rig_left(&rig), 40);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	ck_assert_uint_eq(f->modules[filter(0)->id].faults, 0);
	rig_check(&rig);
	end();
}
END_TEST

START_TEST(pause_lets_all_go_at_once_and_in_order)
{
	begin_delay("1000", NULL);
	rig_deliver(&rig, 0, 64);
	rig_deliver(&rig, 1, 64);
	rig_turn(&rig);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 128);
	ck_assert_uint_eq(nbl_stack_flush(&rig.stack), 0);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 0);
	ck_assert_uint_eq(rig_run_kernel(&rig), 256);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(removing_delay_loses_nothing)
{
	begin_delay("1000", NULL);
	for (int i = 0; i < 10; i++) {
		rig_deliver(&rig, 0, 20);
		rig_turn(&rig);
		ck_assert_int_eq(nbl_stack_remove(&rig.stack, 0), 0);
		rig_deliver(&rig, 0, 20);
		rig_turn(&rig);
		rig_add(&rig, &nbl_module_delay, NULL, 0);
	}
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(a_sleeping_lane_wakes_for_the_timer)
{
	uint64_t until;

	begin_delay("30", NULL);
	rig_deliver(&rig, 0, 5);
	ck_assert_int_eq(nbl_lane_start(&rig.lane), 0);
	for (until = rig_now_ns() + 500000000; rig_left(&rig) < 5; rig_run_kernel(&rig)) {
		ck_assert_uint_lt(rig_now_ns(), until);
		rig_sleep_ns(200000);
	}
	nbl_lane_stop(&rig.lane);
	ck_assert_uint_ge(rig.lane.figures.sleeps, 1);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(two_delays_add_up_even_after_a_sleep)
{
	const struct nbl_option short_time = { "ms", "20" }, long_time = { "ms", "60" };
	struct nbl_module other = nbl_module_delay;
	uint64_t before;

	other.name = "other";
	begin(no_modules);
	rig_add(&rig, _i ? &other : &nbl_module_delay, &long_time, 1);
	rig_add(&rig, _i ? &nbl_module_delay : &other, &short_time, 1);
	rig_deliver(&rig, 0, 5);
	rig_deliver(&rig, 1, 5);
	before = rig_now_ns();
	rig_turn(&rig);
	/*
	 * not one turn until the first is overdue: the second must not take that time for its own
	 */
	rig_sleep_ns(90000000);
	rig_turn(&rig);
	rig_run_kernel(&rig);
	ck_assert_uint_eq(rig_left(&rig), 0);
	ck_assert_uint_ge(wait_left(10) - before, 110000000);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(timers_publish_what_they_did)
{
	struct nbl_lane_figures f;

	begin_delay("10", NULL);
	rig_deliver(&rig, 0, 5);
	rig_turn(&rig);
	rig.world->kick_result = -EAGAIN;	/* the kernel takes nothing: only the timer works */
	rig_sleep_ns(12000000);
	rig_turn(&rig);
	rig_read(&rig, &f);
	ck_assert_uint_eq(f.frames[NBL_FRAME_TX], 5);
	ck_assert_int_eq(f.modules[filter(0)->id].held, 0);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ every_bundled_module_is_found_by_its_name_and_says_what_it_is, 4 },
		{ a_module_that_is_not_there_is_not_found, 1 },
		{ count_counts_both_ways_and_changes_nothing, 1 },
		{ count_takes_no_option, 1 },
		{ delay_takes_or_refuses_an_option_with_one_sentence, (int)N_ELEMENTS(options) },
		{ a_sentence_that_does_not_fit_is_cut_and_ends, 1 },
		{ delay_holds_every_packet_for_its_time_both_ways_in_order, 1 },
		{ a_trickle_leaves_as_it_came_each_packet_after_its_time, 1 },
		{ what_exceeds_the_limit_is_dropped_at_once_and_says_so, 1 },
		{ pause_lets_all_go_at_once_and_in_order, 1 },
		{ removing_delay_loses_nothing, 1 },
		{ a_sleeping_lane_wakes_for_the_timer, 1 },
		{ two_delays_add_up_even_after_a_sleep, 2 },
		{ timers_publish_what_they_did, 1 },
	};

	return rig_run("modules", tests, N_ELEMENTS(tests));
}
