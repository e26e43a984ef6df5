/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ledger.c - which moves a frame may make, from every state to every state. */
#include "unit/lane_fixture.h"

#define N_FRAMES 8

static struct nbl_ledger new_ledger(void)
{
	static _Atomic uint64_t entries[N_FRAMES];

	for (uint32_t f = 0; f < N_FRAMES; f++)
		entries[f] = 0;
	return (struct nbl_ledger){ .entries = entries, .n_frames = N_FRAMES };
}

/* All pairs of states, and for each every mask of states it may be allowed from. */
START_TEST(a_move_is_made_if_and_only_if_its_mask_names_the_state)
{
	enum nbl_frame_state from = (enum nbl_frame_state)(_i / NBL_N_FRAME_STATES);
	enum nbl_frame_state to = (enum nbl_frame_state)(_i % NBL_N_FRAME_STATES);

	for (uint32_t mask = 0; mask < 1u << NBL_N_FRAME_STATES; mask++) {
		struct nbl_ledger l = new_ledger();
		struct nbl_ledger_entry e = { (uint8_t)from, 1, 7, 99 };
		int was;

		nbl_ledger_set(&l, 3, e);
		was = nbl_ledger_move(&l, 3, mask, to, 0xfffffffeu);
		e = nbl_ledger_get(&l, 3);
		if (mask & NBL_FROM(from)) {
			ck_assert_int_eq(was, (int)from);
			ck_assert_uint_eq(e.state, to);
			ck_assert_uint_eq(e.slot, 0xfffffffeu);
			ck_assert_uint_eq(e.holder, 0);
			ck_assert_uint_eq(e.reason, 0);
			ck_assert_uint_eq(l.violations, 0);
		} else {
			ck_assert_int_eq(was, -1 - (int)from);
			ck_assert_uint_eq(e.state, NBL_FRAME_QUARANTINE);
			ck_assert_uint_eq(l.violations, 1);
		}
	}
}
END_TEST

START_TEST(a_state_that_does_not_exist_is_never_moved_from)
{
	for (uint32_t state = NBL_N_FRAME_STATES; state < 256; state++) {
		struct nbl_ledger l = new_ledger();

		nbl_ledger_set(&l, 0, (struct nbl_ledger_entry){ .state = (uint8_t)state });
		ck_assert_int_eq(nbl_ledger_move(&l, 0, UINT32_MAX, NBL_FRAME_FREE, 0),
				 -1 - (int)state);
		ck_assert_uint_eq(nbl_ledger_get(&l, 0).state, NBL_FRAME_QUARANTINE);
		ck_assert_uint_eq(l.violations, 1);
	}
}
END_TEST

START_TEST(a_hold_is_made_from_hand_only)
{
	struct nbl_ledger l = new_ledger();
	struct nbl_ledger_entry e;
	bool held;

	nbl_ledger_set(&l, 2, (struct nbl_ledger_entry){ .state = (uint8_t)_i });
	held = nbl_ledger_hold(&l, 2, 0xabcd, NBL_HOLD_CLONE, 0x12345678);
	e = nbl_ledger_get(&l, 2);
	ck_assert(held == (_i == NBL_FRAME_HAND));
	if (held) {
		ck_assert_uint_eq(e.state, NBL_FRAME_HELD);
		ck_assert_uint_eq(e.reason, NBL_HOLD_CLONE);
		ck_assert_uint_eq(e.holder, 0xabcd);
		ck_assert_uint_eq(e.slot, 0x12345678);
	} else {
		ck_assert_uint_eq(e.state, NBL_FRAME_QUARANTINE);
	}
	ck_assert_uint_eq(l.violations, !held);
}
END_TEST

START_TEST(an_entry_is_read_as_it_was_written)
{
	const struct nbl_ledger_entry all_ones = { 0xff, 0xff, 0xffff, 0xffffffffu };
	const struct nbl_ledger_entry each[] = {
		{ .state = 0xff }, { .reason = 0xff }, { .holder = 0xffff },
		{ .slot = 0xffffffffu },
		all_ones,
	};
	struct nbl_ledger l = new_ledger();

	for (size_t i = 0; i < N_ELEMENTS(each); i++) {
		struct nbl_ledger_entry e;

		nbl_ledger_set(&l, 1, each[i]);
		e = nbl_ledger_get(&l, 1);
		ck_assert_uint_eq(e.state, each[i].state);
		ck_assert_uint_eq(e.reason, each[i].reason);
		ck_assert_uint_eq(e.holder, each[i].holder);
		ck_assert_uint_eq(e.slot, each[i].slot);
		ck_assert_uint_eq(l.entries[0], 0);
		ck_assert_uint_eq(l.entries[2], 0);
	}
}
END_TEST

START_TEST(counts_are_of_the_run_asked_for_and_end_with_the_ledger)
{
	struct nbl_ledger l = new_ledger();
	uint32_t counts[NBL_N_FRAME_STATES];

	/* two of these states do not exist */
	for (uint32_t f = 0; f < N_FRAMES; f++)
		nbl_ledger_set(&l, f, (struct nbl_ledger_entry){ .state = (uint8_t)f });
	nbl_ledger_count(&l, 0, N_FRAMES, counts);
	for (int s = 0; s < NBL_N_FRAME_STATES; s++)
		ck_assert_uint_eq(counts[s], s == NBL_FRAME_QUARANTINE ? 3 : 1);
	nbl_ledger_count(&l, 1, 2, counts);
	ck_assert_uint_eq(counts[NBL_FRAME_FILL] + counts[NBL_FRAME_HAND], 2);
	ck_assert_uint_eq(counts[NBL_FRAME_FREE], 0);
	nbl_ledger_count(&l, 7, 100, counts);
	ck_assert_uint_eq(counts[NBL_FRAME_QUARANTINE], 1);
}
END_TEST

/* ---- sends ---- */

static const struct nbl_ledger_entry home = { .state = NBL_FRAME_HELD, .holder = 3 };

START_TEST(a_send_is_counted_from_hands_and_while_others_go_on_and_from_nowhere_else)
{
	struct nbl_ledger l = new_ledger();
	struct nbl_ledger_entry e;
	int was;

	nbl_ledger_set(&l, 1, (struct nbl_ledger_entry){ (uint8_t)_i, 0, 7, 8 });
	was = nbl_ledger_send(&l, 1, 5, 0xfffffff0u);
	e = nbl_ledger_get(&l, 1);
	if (_i == NBL_FRAME_HAND || _i == NBL_FRAME_HELD || _i == NBL_FRAME_TX) {
		ck_assert_int_eq(was, _i);
		ck_assert_uint_eq(e.state, NBL_FRAME_TX);
		ck_assert_uint_eq(e.reason, _i == NBL_FRAME_TX);
		ck_assert_uint_eq(e.holder, 5);
		ck_assert_uint_eq(e.slot, 0xfffffff0u);
		ck_assert_uint_eq(l.violations, 0);
	} else {
		ck_assert_int_eq(was, -1 - _i);
		ck_assert_uint_eq(e.state, NBL_FRAME_QUARANTINE);
		ck_assert_uint_eq(l.violations, 1);
	}
}
END_TEST

START_TEST(the_end_of_a_send_that_is_none_is_a_violation)
{
	struct nbl_ledger l = new_ledger();

	if (_i == NBL_FRAME_TX)
		return;
	nbl_ledger_set(&l, 1, (struct nbl_ledger_entry){ .state = (uint8_t)_i });
	ck_assert_int_eq(nbl_ledger_end_send(&l, 1, home), -1 - _i);
	ck_assert_uint_eq(nbl_ledger_get(&l, 1).state, NBL_FRAME_QUARANTINE);
	ck_assert_uint_eq(l.violations, 1);
}
END_TEST

/* Up to the most there may be, and down; and one more is refused. */
START_TEST(sends_of_one_frame_are_counted_up_and_down)
{
	struct nbl_ledger l = new_ledger();
	uint32_t n = (uint32_t)_i ? NBL_MOST_SENDS + 1 : 5;

	nbl_ledger_set(&l, 1, (struct nbl_ledger_entry){ .state = NBL_FRAME_HAND });
	for (uint32_t i = 1; i <= n; i++) {
		ck_assert_int_ge(nbl_ledger_send(&l, 1, 2, i), 0);
		ck_assert_uint_eq(nbl_ledger_n_sends(nbl_ledger_get(&l, 1)), i);
		ck_assert_uint_eq(nbl_ledger_get(&l, 1).slot, i);
	}
	for (uint32_t i = n; i > 1; i--) {
		ck_assert_int_eq(nbl_ledger_end_send(&l, 1, home), NBL_FRAME_TX);
		ck_assert_uint_eq(nbl_ledger_n_sends(nbl_ledger_get(&l, 1)), i - 1);
		ck_assert_uint_eq(nbl_ledger_get(&l, 1).slot, n);
	}
	/* which of them it is that is left, the entry cannot say */
	ck_assert_uint_eq(nbl_ledger_get(&l, 1).reason, NBL_SENDS_LAST);
	ck_assert_int_eq(nbl_ledger_send(&l, 1, 2, 9), NBL_FRAME_TX);
	ck_assert_uint_eq(nbl_ledger_get(&l, 1).reason, 1);
	ck_assert_int_eq(nbl_ledger_end_send(&l, 1, home), NBL_FRAME_TX);
	ck_assert_int_eq(nbl_ledger_end_send(&l, 1, home), NBL_FRAME_HELD);
	ck_assert_uint_eq(nbl_ledger_get(&l, 1).holder, 3);
	ck_assert_uint_eq(nbl_ledger_get(&l, 0).state, NBL_FRAME_FREE);
	ck_assert_uint_eq(l.violations, 0);
}
END_TEST

START_TEST(beyond_the_most_a_send_is_refused)
{
	struct nbl_ledger l = new_ledger();

	nbl_ledger_set(&l, 1, (struct nbl_ledger_entry){ NBL_FRAME_TX, NBL_MOST_SENDS, 1, 1 });
	ck_assert_int_eq(nbl_ledger_send(&l, 1, 2, 3), -1 - NBL_FRAME_TX);
	ck_assert_uint_eq(nbl_ledger_get(&l, 1).state, NBL_FRAME_QUARANTINE);
}
END_TEST

START_TEST(of_what_was_sent_nobody_knows_how_often_no_send_ends)
{
	const struct nbl_ledger_entry unknown = { NBL_FRAME_TX, NBL_SENDS_UNKNOWN, 1, 1 };
	struct nbl_ledger l = new_ledger();

	nbl_ledger_set(&l, 1, unknown);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(nbl_ledger_end_send(&l, 1, home), NBL_FRAME_TX);
	ck_assert_uint_eq(l.entries[1], nbl_ledger_pack(unknown));
	ck_assert_uint_eq(l.violations, 0);
}
END_TEST

static struct nbl_ledger shared;

static void *send_and_end(void *arg)
{
	for (int i = 0; i < 200000; i++) {
		if (nbl_ledger_send(&shared, 1, (uint16_t)(uintptr_t)arg, (uint32_t)i) < 0 ||
		    nbl_ledger_end_send(&shared, 1, home) < 0)
			abort();
	}
	return NULL;
}

START_TEST(several_lanes_count_the_sends_of_one_frame)
{
	pthread_t threads[4];

	shared = new_ledger();
	nbl_ledger_set(&shared, 1, home);
	for (uintptr_t i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, send_and_end, (void *)i), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(shared.entries[1], nbl_ledger_pack(home));
	ck_assert_uint_eq(shared.violations, 0);
}
END_TEST

START_TEST(every_state_has_a_name_of_its_own)
{
	for (int a = 0; a < NBL_N_FRAME_STATES; a++)
		for (int b = 0; b < a; b++)
			ck_assert_str_ne(nbl_frame_state_name((enum nbl_frame_state)a),
					 nbl_frame_state_name((enum nbl_frame_state)b));
	ck_assert_str_eq(nbl_frame_state_name(NBL_N_FRAME_STATES), "?");
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ a_move_is_made_if_and_only_if_its_mask_names_the_state,
		  NBL_N_FRAME_STATES * NBL_N_FRAME_STATES },
		{ a_state_that_does_not_exist_is_never_moved_from, 1 },
		{ a_hold_is_made_from_hand_only, NBL_N_FRAME_STATES },
		{ an_entry_is_read_as_it_was_written, 1 },
		{ counts_are_of_the_run_asked_for_and_end_with_the_ledger, 1 },
		{ every_state_has_a_name_of_its_own, 1 },
		{ a_send_is_counted_from_hands_and_while_others_go_on_and_from_nowhere_else,
		  NBL_N_FRAME_STATES },
		{ the_end_of_a_send_that_is_none_is_a_violation, NBL_N_FRAME_STATES },
		{ sends_of_one_frame_are_counted_up_and_down, 2 },
		{ beyond_the_most_a_send_is_refused, 1 },
		{ of_what_was_sent_nobody_knows_how_often_no_send_ends, 1 },
		{ several_lanes_count_the_sends_of_one_frame, 1 },
	};

	return rig_run("ledger", tests, N_ELEMENTS(tests));
}
