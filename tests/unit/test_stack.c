/* SPDX-License-Identifier: BSD-2-Clause */
/* test_stack.c - the order of modules, and putting them in and out. */
#include "unit/stack_fixture.h"

/* ---- order ---- */

static const char *path_of_a_packet(uint32_t queue)
{
	trace[0] = '\0';
	rig_deliver(&rig, queue, 1);
	rig_turn(&rig);
	rig_run_kernel(&rig);
	rig_turn(&rig);
	return trace;
}

START_TEST(receives_go_up_and_returns_down_sends_go_down_and_completions_up)
{
	begin();
	for (uint32_t i = 0; i < N_TRACERS; i++)
		insert(&tracers[i], i);
	ck_assert_str_eq(path_of_a_packet(0), "ar br cr db bb ab ");
	ck_assert_str_eq(path_of_a_packet(1), "ds bs as ac bc cc ");
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

static const struct {
	uint32_t positions[N_TRACERS];	/* at which a, b, c, d are put in, one after the other */
	const char *received, *sent;
} orders[] = {
	{ { 0, 1, 2, 3 }, "ar br cr db bb ab ", "ds bs as ac bc cc " },
	{ { 0, 0, 0, 0 }, "cr br ar ab bb db ", "as bs ds cc bc ac " },
	{ { 0, 1, 0, 0 }, "cr ar br bb ab db ", "bs as ds cc ac bc " },
	{ { 0, 0, 1, 3 }, "br cr ar db ab bb ", "ds as bs bc cc ac " },
};

START_TEST(a_module_goes_where_it_is_put)
{
	begin();
	for (uint32_t i = 0; i < N_TRACERS; i++)
		insert(&tracers[i], orders[_i].positions[i]);
	ck_assert_str_eq(path_of_a_packet(0), orders[_i].received);
	ck_assert_str_eq(path_of_a_packet(1), orders[_i].sent);
	/* and is gone when taken out, the others staying in order */
	ck_assert_int_eq(nbl_stack_remove(&rig.stack, (uint32_t)nbl_stack_find(&rig.stack, "a")),
			 0);
	ck_assert_ptr_null(strchr(path_of_a_packet(0), 'a'));
	ck_assert_uint_eq(strlen(trace), strlen(orders[_i].received) - 6);
	ck_assert_int_eq(nbl_stack_find(&rig.stack, "a"), -ENOENT);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(an_empty_stack_forwards)
{
	begin();
	ck_assert_str_eq(path_of_a_packet(0), "");
	ck_assert(rig.lane.returns_unseen && rig.lane.completes_unseen);
	insert(&tracers[2], 0);
	ck_assert(rig.lane.returns_unseen && !rig.lane.completes_unseen);
	ck_assert_int_eq(nbl_stack_remove(&rig.stack, 0), 0);
	ck_assert_str_eq(path_of_a_packet(0), "");
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

/* ---- putting in ---- */

START_TEST(a_module_is_put_in_once)
{
	char error[64] = "";

	begin();
	insert(&tracers[0], 0);
	ck_assert_int_eq(nbl_stack_insert(&rig.stack, &tracers[0], NULL, 0, 1, error,
					  sizeof(error)),
			 -EEXIST);
	ck_assert_str_eq(error, "module a is in the stack already");
	ck_assert_uint_eq(rig.stack.n_modules, 1);
	end();
}
END_TEST

START_TEST(a_stack_holds_sixteen_modules_and_ids_are_used_again)
{
	static struct nbl_module many[NBL_MAX_MODULES + 1];
	static char names[NBL_MAX_MODULES + 1][8];
	uint32_t used = 0;
	char error[64] = "";

	begin();
	for (uint32_t i = 0; i <= NBL_MAX_MODULES; i++) {
		snprintf(names[i], sizeof(names[i]), "m%u", i);
		many[i] = tracers[0];
		many[i].name = names[i];
	}
	for (uint32_t i = 0; i < NBL_MAX_MODULES; i++)
		insert(&many[i], i / 2);
	ck_assert_int_eq(nbl_stack_insert(&rig.stack, &many[NBL_MAX_MODULES], NULL, 0, 0, error,
					  sizeof(error)), -ENOSPC);
	ck_assert_str_eq(error, "the stack is full: 16 modules");
	for (uint32_t i = 0; i < NBL_MAX_MODULES; i++) {
		ck_assert_uint_ge(rig.stack.modules[i].id, 1);
		ck_assert_uint_le(rig.stack.modules[i].id, NBL_MAX_MODULES);
		used |= 1u << rig.stack.modules[i].id;
	}
	ck_assert_uint_eq(used, 0x1fffe);
	rig_deliver(&rig, 0, 5);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	used = rig.stack.modules[5].id;
	ck_assert_uint_gt(rig.lane.figures.modules[used].packets, 0);
	ck_assert_int_eq(nbl_stack_remove(&rig.stack, 5), 0);
	insert(&many[NBL_MAX_MODULES], 9);
	ck_assert_uint_eq(rig.stack.modules[9].id, used);
	ck_assert_uint_eq(rig.lane.figures.modules[used].packets, 0);
	end();
}
END_TEST

static int n_attached;

static int attach(const struct nbl_option *o, uint32_t n, void **ret, char *error, size_t size)
{
	(void)o;
	if (n) {
		snprintf(error, size, "no");
		return -ENOTSUP;
	}
	n_attached++;
	*ret = &n_attached;
	return 0;
}

static void detach(void *context)
{
	ck_assert_ptr_eq(context, &n_attached);
	n_attached--;
}

static const struct nbl_module attached = {
	HEAD("attached"), .lane_state_size = 100, .attach = attach, .detach = detach,
	.receive = trace_receive, .status = nbl_filter_pass_status,
};

START_TEST(what_was_attached_is_detached_once)
{
	const struct nbl_option option = { "key", "value" };
	char error[8] = "";

	begin();
	ck_assert_int_eq(nbl_stack_insert(&rig.stack, &attached, &option, 1, 0, error,
					  sizeof(error)),
			 -ENOTSUP);
	ck_assert_str_eq(error, "no");
	ck_assert_int_eq(n_attached, 0);
	ck_assert_uint_eq(rig.stack.n_modules, 0);
	insert(&attached, 0);
	ck_assert_int_eq(n_attached, 1);
	ck_assert_ptr_eq(filter(0)->context, &n_attached);
	ck_assert_int_eq(nbl_stack_remove(&rig.stack, 0), 0);
	ck_assert_int_eq(n_attached, 0);
	insert(&attached, 0);
	end();		/* takes it out, too */
	ck_assert_int_eq(n_attached, 0);
}
END_TEST

START_TEST(each_lane_has_a_zeroed_state_on_cache_lines_of_its_own)
{
	static struct nbl_lane lanes[3];
	static struct nbl_stack s;
	char error[64];

	nbl_stack_init(&s, lanes, 3);
	ck_assert_int_eq(nbl_stack_insert(&s, &attached, NULL, 0, 0, error, sizeof(error)), 0);
	for (int l = 0; l < 3; l++) {
		const struct nbl_filter *f = &s.modules[0].filters[l].f;
		uint8_t *state = f->lane_state;

		ck_assert_uint_eq((uintptr_t)state % NBL_CACHE_LINE, 0);
		ck_assert_uint_eq(f->lane, l);
		for (int i = 0; i < 128; i++)
			ck_assert_uint_eq(state[i], 0);
		memset(state, 0xff, 100);
	}
	nbl_stack_done(&s);
	ck_assert_int_eq(n_attached, 0);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ receives_go_up_and_returns_down_sends_go_down_and_completions_up, 1 },
		{ a_module_goes_where_it_is_put, (int)N_ELEMENTS(orders) },
		{ an_empty_stack_forwards, 1 },
		{ a_module_is_put_in_once, 1 },
		{ a_stack_holds_sixteen_modules_and_ids_are_used_again, 1 },
		{ what_was_attached_is_detached_once, 1 },
		{ each_lane_has_a_zeroed_state_on_cache_lines_of_its_own, 1 },
	};

	return rig_run("stack", tests, N_ELEMENTS(tests));
}
