/* SPDX-License-Identifier: BSD-2-Clause */
/* test_stack.c - the order of modules, changing it, and catching those that break rules. */
#include "unit/lane_fixture.h"

static struct rig rig;

/* ---- modules that leave a trace ---- */

#define N_TRACERS 4

static char trace[256];

static void note(const struct nbl_filter *f, char path)
{
	size_t n = strlen(trace);

	snprintf(trace + n, sizeof(trace) - n, "%c%c ", f->module->name[0], path);
}

static void trace_receive(struct nbl_filter *f, struct nbl_chain c, uint32_t port, uint32_t flags)
{
	note(f, 'r');
	nbl_filter_indicate(f, c, port, flags);
}

static void trace_return(struct nbl_filter *f, struct nbl_chain c, uint32_t flags)
{
	(void)flags;
	note(f, 'b');
	nbl_filter_return(f, c);
}

static void trace_send(struct nbl_filter *f, struct nbl_chain c, uint32_t port, uint32_t flags)
{
	note(f, 's');
	nbl_filter_send(f, c, port, flags);
}

static void trace_complete(struct nbl_filter *f, struct nbl_chain c, uint32_t flags)
{
	(void)flags;
	note(f, 'c');
	nbl_filter_complete(f, c);
}

#define HEAD(n) .version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = n

static const struct nbl_module tracers[N_TRACERS] = {
	{ HEAD("a"), .receive = trace_receive, .receive_return = trace_return, .send = trace_send,
	  .send_complete = trace_complete, .status = nbl_filter_pass_status },
	{ HEAD("b"), .receive = trace_receive, .receive_return = trace_return, .send = trace_send,
	  .send_complete = trace_complete, .status = nbl_filter_pass_status },
	{ HEAD("c"), .receive = trace_receive, .send_complete = trace_complete,
	  .status = nbl_filter_pass_status },
	{ HEAD("d"), .receive_return = trace_return, .send = trace_send,
	  .status = nbl_filter_pass_status },
};

static const struct nbl_module *const no_modules[] = { NULL };

static void begin(void)
{
	rig_make(&rig, RIG_SHAPE(0));
	rig_up(&rig, no_modules, NBL_TAKEOVER_FRESH);
	rig.stack.pause_timeout_ms = 20;
	rig_turn(&rig);
}

static void end(void)
{
	rig_down(&rig);
	rig_free(&rig);
}

static struct nbl_filter *filter(uint32_t i)
{
	return &rig.stack.modules[i].filters[0].f;
}

static uint64_t faults(uint32_t i)
{
	return rig.lane.figures.modules[rig.stack.modules[i].id].faults;
}

static void insert(const struct nbl_module *m, uint32_t position)
{
	const struct nbl_option all = { "max-share", "100" };
	char error[64];

	ck_assert_int_eq(nbl_stack_insert(&rig.stack, m, &all, 1, position, error, sizeof(error)),
			 0);
}

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

/* ---- holding ---- */

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

/* ---- breaking rules ---- */

static struct nbl_chain stolen;
static uint32_t n_to_steal, n_to_give_back;

static void steal(struct nbl_filter *f, struct nbl_chain c, uint32_t port, uint32_t flags)
{
	struct nbl *n;

	for (; n_to_steal && (n = nbl_chain_pop(&c)); n_to_steal--)
		nbl_chain_append(&stolen, n);
	for (; n_to_give_back && (n = nbl_chain_pop(&stolen)); n_to_give_back--)
		nbl_chain_append(&c, n);
	if (c.head)
		nbl_filter_indicate(f, c, port, flags);
}

static const struct nbl_module thief = { HEAD("thief"), .receive = steal,
					 .status = nbl_filter_pass_status };

START_TEST(keeping_packets_without_having_said_so_is_a_fault_each_time_it_is_done)
{
	begin();
	insert(&thief, 0);
	rig_deliver(&rig, 0, 10);
	rig_turn(&rig);
	ck_assert_uint_eq(faults(0), 0);
	for (uint32_t i = 1; i <= 3; i++) {
		n_to_steal = 1;
		rig_deliver(&rig, 0, 10);
		rig_turn(&rig);
		ck_assert_uint_eq(faults(0), i);
		/* behaving afterwards is no fault */
		rig_deliver(&rig, 0, 10);
		rig_turn(&rig);
		rig_turn(&rig);
		ck_assert_uint_eq(faults(0), i);
		rig_check(&rig);
	}
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 3);
	ck_assert_int_eq(nbl_stack_remove(&rig.stack, 0), -EBUSY);
	n_to_give_back = 3;
	rig_deliver(&rig, 0, 1);
	rig_turn(&rig);
	ck_assert_uint_eq(faults(0), 3);
	rig_run_kernel(&rig);
	rig_turn(&rig);
	rig_check(&rig);
	ck_assert_uint_eq(nbl_figures_in_flight(&rig.lane.figures), 0);
	ck_assert_int_eq(nbl_stack_remove(&rig.stack, 0), 0);
	end();
}
END_TEST

/* Passes on one by one, so that each may come back while the others are still in hand. */
static void one_by_one(struct nbl_filter *f, struct nbl_chain c, uint32_t port, uint32_t flags)
{
	struct nbl *n;

	while ((n = nbl_chain_pop(&c))) {
		struct nbl_chain one = NBL_CHAIN_EMPTY;

		nbl_chain_append(&one, n);
		nbl_filter_indicate(f, one, port, flags);
	}
}

static const struct nbl_module splitter = {
	HEAD("splitter"), .receive = one_by_one, .receive_return = trace_return,
	.status = nbl_filter_pass_status,
};

START_TEST(what_comes_back_while_a_handler_runs_is_no_fault)
{
	rig_make(&rig, RIG_SHAPE(.rings = { .rx = 256, .tx = 2, .fill = 256, .completion = 256 }));
	rig_up(&rig, no_modules, NBL_TAKEOVER_FRESH);
	rig_turn(&rig);
	insert(&splitter, 0);
	rig_deliver(&rig, 0, 20);
	rig_turn(&rig);
	ck_assert_uint_eq(rig.lane.figures.outcomes[NBL_OUTCOME_TX_RING_FULL], 18);
	ck_assert_uint_eq(faults(0), 0);
	ck_assert_int_eq(filter(0)->held, 0);
	rig_settle(&rig);
	rig_check(&rig);
	end();
}
END_TEST

static void miscount(struct nbl_filter *f, struct nbl_chain c, uint32_t port, uint32_t flags)
{
	f->held--;
	nbl_filter_indicate(f, c, port, flags);
}

static const struct nbl_module generous = { HEAD("generous"), .flags = NBL_MODULE_HOLDS,
					    .receive = miscount, .status = nbl_filter_pass_status };

START_TEST(passing_on_more_than_one_got_is_a_fault)
{
	begin();
	insert(&generous, 0);
	for (uint32_t i = 1; i <= 3; i++) {
		rig_deliver(&rig, 0, 2);
		rig_turn(&rig);
		ck_assert_uint_eq(faults(0), i);
	}
	end();
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
		{ a_flush_empties_all_modules_whichever_way_packets_go, 1 },
		{ removing_a_holder_has_all_pass_on_what_they_hold, 1 },
		{ a_module_that_does_not_let_go_stays_and_works, 1 },
		{ a_flush_sends_what_it_can_even_if_the_ring_is_small, 1 },
		{ modules_come_and_go_under_load_and_nothing_is_lost_or_reordered, 1 },
		{ keeping_packets_without_having_said_so_is_a_fault_each_time_it_is_done, 1 },
		{ what_comes_back_while_a_handler_runs_is_no_fault, 1 },
		{ passing_on_more_than_one_got_is_a_fault, 1 },
	};

	return rig_run("stack", tests, N_ELEMENTS(tests));
}
