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
		{ .state = 0xff }, { .reason = 0xff }, { .holder = 0xffff }, { .slot = 0xffffffffu },
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
	const struct rig_test tests[] = {
		{ a_move_is_made_if_and_only_if_its_mask_names_the_state,
		  NBL_N_FRAME_STATES * NBL_N_FRAME_STATES },
		{ a_state_that_does_not_exist_is_never_moved_from, 1 },
		{ a_hold_is_made_from_hand_only, NBL_N_FRAME_STATES },
		{ an_entry_is_read_as_it_was_written, 1 },
		{ counts_are_of_the_run_asked_for_and_end_with_the_ledger, 1 },
		{ every_state_has_a_name_of_its_own, 1 },
	};

	return rig_run("ledger", tests, N_ELEMENTS(tests));
}
