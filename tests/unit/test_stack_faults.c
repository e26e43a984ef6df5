/* SPDX-License-Identifier: BSD-2-Clause */
/* test_stack_faults.c - catching modules that break rules. */
#include "unit/stack_fixture.h"

static uint64_t faults(uint32_t i)
{
	return rig.lane.figures.modules[rig.stack.modules[i].id].faults;
}

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
		{ keeping_packets_without_having_said_so_is_a_fault_each_time_it_is_done, 1 },
		{ what_comes_back_while_a_handler_runs_is_no_fault, 1 },
		{ passing_on_more_than_one_got_is_a_fault, 1 },
	};

	return rig_run("stack_faults", tests, N_ELEMENTS(tests));
}
