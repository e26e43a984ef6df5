/* SPDX-License-Identifier: BSD-2-Clause */
/* test_audit.c - what the audit counts and tells, and that it may look at any time. */
#include "unit/audit_fixture.h"

/* A packet given back twice is stopped where it happens, so there is no mismatch but a count. */
START_TEST(a_double_return_is_counted)
{
	uint64_t before = nbl_violations();
	struct nbl_chain once = NBL_CHAIN_EMPTY;
	struct nbl *n;

	begin();
	n = nbl_chain_pop(&kept);
	nbl_chain_append(&once, n);
	nbl_lane_enter(&rig.lane);
	nbl_filter_return(&rig.stack.modules[0].filters[0].f, once);
	rig_check(&rig);
	nbl_release(n);
	ck_assert_uint_eq(nbl_violations(), before + 1);
}
END_TEST

START_TEST(what_was_found_adds_up_over_lanes_and_the_first_is_told)
{
	struct nbl_audit audit = { .mismatches = 1, .first = "another lane's", .frames = 1000 };

	begin();
	rig.lane.figures.received++;	/* one packet too many */
	ck_assert_int_eq(nbl_lane_audit(&rig.lane, &audit), 0);
	ck_assert_uint_eq(audit.mismatches, 2);
	ck_assert_uint_eq(audit.frames, 1300);
	ck_assert_str_eq(audit.first, "another lane's");
}
END_TEST

START_TEST(frames_in_quarantine_are_told_and_are_no_mismatch)
{
	struct nbl_audit audit = { 0 };

	begin();
	nbl_lane_move(&rig.lane, kept.head->segment.frame, 0, NBL_FRAME_FREE, 0);
	ck_assert_int_eq(nbl_lane_audit(&rig.lane, &audit), 0);
	ck_assert_msg(!audit.mismatches, "%s", audit.first);
	ck_assert_uint_eq(audit.quarantined, 1);
	ck_assert_uint_eq(audit.violations, 1);
}
END_TEST

static void *run_kernel(void *arg)
{
	struct rig *r = arg;

	while (!r->world->ready)
		for (uint32_t q = 0; q < r->n_queues; q++) {
			rig_take(r, q, 3);
			rig_complete(r, q, 3);
			rig_deliver(r, q, 2);
		}
	return NULL;
}

START_TEST(the_kernel_may_go_on_while_the_audit_looks)
{
	pthread_t kernel;

	rig_make(&rig, RIG_SHAPE(.n_lower = 2, .n_frames = 128));
	rig_up(&rig, NULL, NBL_TAKEOVER_FRESH);
	rig_turn(&rig);
	ck_assert_int_eq(pthread_create(&kernel, NULL, run_kernel, &rig), 0);
	for (int i = 0; i < 20000; i++) {
		const char *fault;

		rig_turn(&rig);
		fault = rig_fault(&rig, 0);
		if (fault)
			ck_abort_msg("after %d audits: %s", i, fault);
	}
	rig.world->ready = 1;
	pthread_join(kernel, NULL);
	rig_settle(&rig);
	rig_check_all_left(&rig);
}
END_TEST

START_TEST(frames_of_the_pool_are_audited_against_its_own_count)
{
	struct nbl_audit audit = { 0 };
	struct nbl *n;

	rig_make(&rig, RIG_SHAPE(0));
	rig_up(&rig, NULL, NBL_TAKEOVER_FRESH);
	ck_assert_int_eq(nbl_pool_alloc_data(rig.pool, rig.pool, 100, &n), 0);
	nbl_pool_memory_audit(&rig.lane, &audit);
	ck_assert_uint_eq(audit.frames, 32);
	ck_assert_msg(!audit.mismatches, "%s", audit.first);
	/* a frame that is out, and the ledger says it is free */
	nbl_ledger_set(&rig.memory.ledger, n->segment.frame,
		       (struct nbl_ledger_entry){ .state = NBL_FRAME_FREE });
	nbl_pool_memory_audit(&rig.lane, &audit);
	ck_assert_uint_eq(audit.mismatches, 1);
	nbl_ledger_set(&rig.memory.ledger, n->segment.frame,
		       (struct nbl_ledger_entry){ .state = NBL_FRAME_FILL });
	nbl_pool_memory_audit(&rig.lane, &audit);
	ck_assert_uint_eq(audit.mismatches, 2);
	ck_assert_int_eq(nbl_free(n), 0);
	rig_down(&rig);
	rig_free(&rig);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ frames_of_the_pool_are_audited_against_its_own_count, 1 },
		{ a_double_return_is_counted, 1 },
		{ what_was_found_adds_up_over_lanes_and_the_first_is_told, 1 },
		{ frames_in_quarantine_are_told_and_are_no_mismatch, 1 },
		{ the_kernel_may_go_on_while_the_audit_looks, 1 },
	};

	return rig_run("audit", tests, N_ELEMENTS(tests));
}
