// SPDX-License-Identifier: BSD-2-Clause
/* test_reasm_hold.c - the module reasm: what it may not hold, and letting go. */
#include "reasm_fixture.h"

static const struct fix_datagram shapes[] = {
	{ .version = 4, .id = 0x1234, .length = 4 * PART - 3, .salt = 1 },
	{ .version = 6, .id = 0x12345678, .length = 4 * PART - 3, .salt = 2 },
};

START_TEST(RX_04_borrowed_fragments_are_not_held_and_their_chain_stays_as_it_was)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	struct nbl *given[4];

	fix_open("");
	for (uint32_t i = 0; i < 4; i++) {
		given[i] = part(&shapes[0], i);
		nbl_chain_append(&chain, given[i]);
	}
	fix_give_chain(REASM_UP, chain, NBL_RECEIVE_RESOURCES);
	ck_assert(nbl_chain_is_sound(&chain));
	for (struct nbl *n = chain.head, **expected = given; n; n = n->next, expected++) {
		ck_assert_ptr_eq(n, *expected);
		ck_assert_uint_eq(n->references, 0);
	}
	ck_assert_uint_eq(fix_figures()->n_held, 0);
	ck_assert_int_eq(fix.f.held, 4);	/* the caller's again */
	fix.f.held = 0;
	for (int i = 0; i < 4; i++)
		nbl_release(given[i]);
	fix_close();
}
END_TEST

START_TEST(HP_03_when_the_engine_is_short_of_frames_half_of_those_held_are_given_back)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	struct fix_datagram g = shapes[0];

	fix_open("");
	for (g.id = 0; g.id < 100; g.id++)
		fix_give(REASM_UP, part(&g, 0));
	nbl_chain_append(&chain, fix_plain(1));
	for (uint32_t held = 100; held; held /= 2) {
		ck_assert_uint_eq(fix_figures()->n_held, held);
		fix_give_chain(REASM_UP, chain, NBL_RECEIVE_RESOURCES);
		fix.f.held--;
	}
	ck_assert_uint_eq(fix_figures()->n_evicted, 100);
	ck_assert_uint_eq(fix.outcomes[NBL_OUTCOME_MODULE_LIMIT], 100);
	nbl_release(chain.head);
	fix_close();
}
END_TEST

START_TEST(FS_05_pause_passes_on_what_it_holds_oldest_first_and_nothing_is_lost)
{
	struct fix_datagram g = shapes[_i];
	struct nbl *given[30];

	fix_open("");
	for (uint32_t i = 0; i < 30; i++) {
		g.id = i / 3;
		given[i] = part(&g, i % 3);
		fix_give(_i % 2 ? REASM_DOWN : REASM_UP, given[i]);
	}
	ck_assert_int_eq(nbl_module_reasm.pause(&fix.f), 0);
	ck_assert_uint_eq(fix.went[_i % 2].n, 30);
	for (int i = 0; i < 30; i++) {
		ck_assert_ptr_eq(fix.went[_i % 2].nbls[i], given[i]);
		ck_assert_uint_eq(given[i]->references, 0);
	}
	ck_assert_uint_eq(fix_figures()->n_passed, 30);
	ck_assert_uint_eq(fix.n_paused, 0);
	fix_close();
}
END_TEST

START_TEST(FS_04_pause_is_pending_until_the_last_of_its_own_came_back)
{
	struct fix_datagram g = shapes[0];

	fix_open("");
	for (g.id = 0; g.id < 3; g.id++)
		for (uint32_t i = 0; i < 4; i++)
			fix_give(g.id % 2 ? REASM_DOWN : REASM_UP, part(&g, i));
	ck_assert_int_eq(nbl_module_reasm.pause(&fix.f), NBL_PENDING);
	fix.f.state = NBL_MODULE_PAUSING;
	fix_end_some(REASM_UP, 1);
	ck_assert_uint_eq(fix.n_paused, 0);
	fix_end_some(REASM_DOWN, 0);
	ck_assert_uint_eq(fix.n_paused, 0);
	fix_end_some(REASM_UP, 0);
	ck_assert_uint_eq(fix.n_paused, 1);
	ck_assert_uint_eq(fix.n_free, FIX_N_FRAMES);
	fix_close();
	ck_assert_uint_eq(fix.n_paused, 1);
}
END_TEST

START_TEST(FS_06_only_while_running_are_fragments_held_and_datagrams_originated)
{
	static const enum nbl_module_state states[] = {
		NBL_MODULE_PAUSING, NBL_MODULE_PAUSED, NBL_MODULE_RESTARTING };

	fix_open("");
	fix.f.state = (uint8_t)states[_i / 2];
	for (uint32_t i = 0; i < 4; i++)
		fix_give(_i % 2 ? REASM_DOWN : REASM_UP, part(&shapes[0], i));
	ck_assert_uint_eq(fix.went[_i % 2].n, 4);
	ck_assert_uint_eq(fix_figures()->n_held, 0);
	fix_close();
}
END_TEST

static void send_with_id(const struct fix_datagram *g, uint32_t i, uint64_t cancel_id)
{
	struct nbl *n = part(g, i);

	nbl_info_set(n, NBL_INFO_CANCEL_ID, cancel_id);
	fix_give(REASM_DOWN, n);
}

START_TEST(CN_02_cancelling_completes_the_queued_fragments_of_that_id_and_no_others)
{
	struct fix_datagram g = shapes[0], other = shapes[1];

	fix_open("");
	for (uint32_t i = 1; i < 4; i++) {
		send_with_id(&g, i, 0x0100000000000001);
		send_with_id(&other, i, 0x0100000000000002);
	}
	fix_give(REASM_UP, part(&g, 0));
	nbl_module_reasm.cancel_send(&fix.f, 0x0100000000000001);
	ck_assert_uint_eq(fix.n_back[REASM_DOWN], 3);
	ck_assert_int_eq(fix.last_status, NBL_STATUS_SEND_ABORTED);
	ck_assert_uint_eq(fix_figures()->n_held, 4);
	nbl_module_reasm.cancel_send(&fix.f, 0x0100000000000001);
	ck_assert_uint_eq(fix.n_back[REASM_DOWN], 3);
	send_with_id(&other, 0, 0x0100000000000002);
	fix_check_datagram(&other, fix_only_one(REASM_DOWN), longest(&other));
	/* it goes along, for those below */
	ck_assert_uint_eq(nbl_info_get(fix.went[REASM_DOWN].nbls[0], NBL_INFO_CANCEL_ID),
			  0x0100000000000002);
	fix_close();
}
END_TEST

START_TEST(CN_02_a_datagram_that_lost_fragments_to_cancelling_takes_them_again)
{
	struct fix_datagram g = shapes[0];

	fix_open("");
	send_with_id(&g, 3, 0x0100000000000001);
	send_with_id(&g, 1, 0x0100000000000002);
	send_with_id(&g, 0, 0x0100000000000001);
	nbl_module_reasm.cancel_send(&fix.f, 0x0100000000000001);
	ck_assert_uint_eq(fix_figures()->n_held, 1);
	g.length -= 8;		/* and may end elsewhere now */
	for (uint32_t i = 4; i--;)
		if (i != 1)
			send_with_id(&g, i, 0x0100000000000003);
	fix_check_datagram(&g, fix_only_one(REASM_DOWN), longest(&g));
	fix_close();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ RX_04_borrowed_fragments_are_not_held_and_their_chain_stays_as_it_was, 1 },
		{ HP_03_when_the_engine_is_short_of_frames_half_of_those_held_are_given_back, 1 },
		{ FS_05_pause_passes_on_what_it_holds_oldest_first_and_nothing_is_lost, 2 },
		{ FS_04_pause_is_pending_until_the_last_of_its_own_came_back, 1 },
		{ FS_06_only_while_running_are_fragments_held_and_datagrams_originated, 6 },
		{ CN_02_cancelling_completes_the_queued_fragments_of_that_id_and_no_others, 1 },
		{ CN_02_a_datagram_that_lost_fragments_to_cancelling_takes_them_again, 1 },
	};

	return fix_run("reasm holds", tests, N_ELEMENTS(tests));
}
