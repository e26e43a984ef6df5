// SPDX-License-Identifier: BSD-2-Clause
/* test_wfp_arbitrate.c - actions, rights, vetoes, absorbing: what they amount to. */
#include "wfp_fixture.h"

#define LAYER NBL_LAYER_INBOUND_MAC_FRAME_NATIVE

/* Three sub-layers, the highest first. */
static void three_sublayers(void)
{
	for (uint16_t i = 1; i <= 3; i++)
		ck_assert_int_eq(nbl_wfp_sublayer_add(fix.wfp, i, (uint16_t)(100 - i * 10)), 0);
}

enum answer { SOFT_PERMIT, HARD_PERMIT, SOFT_BLOCK, HARD_BLOCK };

/* What the tables of the documentation say of answers without a veto, highest sub-layer first. */
static enum fate_of oracle(const enum answer *answers, int n)
{
	enum answer verdict = SOFT_PERMIT;

	for (int i = 0; i < n; i++) {
		if (verdict == HARD_PERMIT || verdict == HARD_BLOCK)
			continue;	/* final, but the rest is still asked */
		verdict = answers[i];
	}
	return verdict == SOFT_BLOCK || verdict == HARD_BLOCK ? DROPPED : PASSED;
}

START_TEST(CL_06_all_64_combinations_of_three_sublayers_agree_with_the_oracle)
{
	enum answer answers[3] = { (enum answer)(_i & 3), (enum answer)(_i >> 2 & 3),
				   (enum answer)(_i >> 4) };
	struct script scripts[3] = { 0 };

	three_sublayers();
	for (int i = 0; i < 3; i++) {
		bool hard = answers[i] == HARD_PERMIT || answers[i] == HARD_BLOCK;

		scripts[i].action =
			answers[i] <= HARD_PERMIT ? NBL_ACTION_PERMIT : NBL_ACTION_BLOCK;
		scripts[i].flags = answers[i] == SOFT_BLOCK ? NBL_CLASSIFY_SOFT : 0;
		scripts[i].right = hard ? SCRIPT_CLEAR_RIGHT : SCRIPT_KEEP_RIGHT;
	}
	/* added from the lowest up: weight decides, not age */
	for (int i = 2; i >= 0; i--)
		script_start(&scripts[i], LAYER, (uint16_t)(i + 1), 1);
	/* who blocks over a hard permit vetoes: a callout that follows the rules looks first */
	for (int i = 1; i < 3; i++) {
		bool hard_above = false;

		for (int k = 0; k < i; k++) {
			if (answers[k] == HARD_PERMIT || answers[k] == HARD_BLOCK) {
				hard_above = true;
				break;
			}
		}
		if (hard_above && answers[i] >= SOFT_BLOCK)
			scripts[i].action = NBL_ACTION_NONE;
	}
	ck_assert_int_eq(classify_one(LAYER), oracle(answers, 3));
	ck_assert_uint_eq(counts().vetoes, 0);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(scripts[i].n_calls, 1);	/* all are asked (AMB-16) */
}
END_TEST

START_TEST(CL_06_all_64_combinations_of_callouts_that_do_not_look_agree_with_the_oracle_of_vetoes)
{
	enum answer answers[3] = { (enum answer)(_i & 3), (enum answer)(_i >> 2 & 3),
				   (enum answer)(_i >> 4) }, verdict = SOFT_PERMIT;
	struct script scripts[3] = { 0 };
	uint64_t vetoes = 0, ignored = 0;

	three_sublayers();
	for (int i = 0; i < 3; i++) {
		bool blocks = answers[i] >= SOFT_BLOCK;

		scripts[i].action = blocks ? NBL_ACTION_BLOCK : NBL_ACTION_PERMIT;
		scripts[i].flags = answers[i] == SOFT_BLOCK ? NBL_CLASSIFY_SOFT : 0;
		scripts[i].right = answers[i] & 1 ? SCRIPT_CLEAR_RIGHT : SCRIPT_KEEP_RIGHT;
		script_start(&scripts[i], LAYER, (uint16_t)(i + 1), 1);
		if (verdict == HARD_PERMIT && blocks) {
			vetoes++;
			verdict = HARD_BLOCK;
		} else if (verdict == HARD_BLOCK) {
			ignored += !blocks;
		} else if (verdict != HARD_PERMIT) {
			verdict = answers[i];
		}
	}
	ck_assert_int_eq(classify_one(LAYER), verdict >= SOFT_BLOCK ? DROPPED : PASSED);
	ck_assert_uint_eq(counts().vetoes, vetoes);
	ck_assert_uint_eq(counts().no_right, ignored);
	ck_assert_uint_eq(counts().blocked, verdict >= SOFT_BLOCK);
}
END_TEST

START_TEST(CL_06_all_64_combinations_of_plain_filters_agree_with_the_oracle)
{
	enum answer answers[3] = { (enum answer)(_i & 3), (enum answer)(_i >> 2 & 3),
				   (enum answer)(_i >> 4) };
	struct script soft[3] = { 0 };

	three_sublayers();
	for (int i = 0; i < 3; i++) {
		/* plain filters have no soft block: there it is a callout */
		soft[i].action = NBL_ACTION_BLOCK;
		soft[i].flags = NBL_CLASSIFY_SOFT;
		for (int k = 0; k < i; k++) {
			if (answers[k] == HARD_PERMIT || answers[k] == HARD_BLOCK)
				soft[i].action = NBL_ACTION_NONE;
		}
		if (answers[i] == SOFT_BLOCK)
			script_start(&soft[i], LAYER, (uint16_t)(i + 1), 1);
		else
			add_filter(LAYER,
				   answers[i] == HARD_BLOCK ? WFP_ACTION_BLOCK : WFP_ACTION_PERMIT,
				   0, (uint16_t)(i + 1), 1,
				   answers[i] == HARD_PERMIT ? NBL_WFP_CLEAR_ACTION_RIGHT : 0);
	}
	ck_assert_int_eq(classify_one(LAYER), oracle(answers, 3));
}
END_TEST

START_TEST(CL_06_within_a_sublayer_the_first_permit_or_block_by_weight_ends_it)
{
	struct script first = { .action = NBL_ACTION_CONTINUE },
		      second = { .action = NBL_ACTION_PERMIT },
		      third = { .action = NBL_ACTION_BLOCK };

	script_start(&third, LAYER, 0, 10);
	script_start(&first, LAYER, 0, 30);
	script_start(&second, LAYER, 0, 20);
	ck_assert_int_eq(classify_one(LAYER), PASSED);
	ck_assert_uint_eq(first.n_calls, 1);
	ck_assert_uint_eq(second.n_calls, 1);
	ck_assert_uint_eq(third.n_calls, 0);
}
END_TEST

START_TEST(CL_06_of_two_filters_with_one_weight_the_older_comes_first)
{
	add_filter(LAYER, WFP_ACTION_BLOCK, 0, 0, 5, 0);
	add_filter(LAYER, WFP_ACTION_PERMIT, 0, 0, 5, 0);
	ck_assert_int_eq(classify_one(LAYER), DROPPED);
}
END_TEST

START_TEST(AMB_16_callouts_below_a_hard_block_still_see_the_packet_and_cannot_undo_it)
{
	struct script below = { .action = NBL_ACTION_PERMIT };

	three_sublayers();
	add_filter(LAYER, WFP_ACTION_BLOCK, 0, 1, 1, 0);
	script_start(&below, LAYER, 2, 1);
	ck_assert_int_eq(classify_one(LAYER), DROPPED);
	ck_assert_uint_eq(below.n_calls, 1);
	ck_assert_int_eq(below.previous, NBL_ACTION_BLOCK);
	ck_assert_uint_eq(below.rights, 0);
	ck_assert_uint_eq(counts().no_right, 1);
	ck_assert_uint_eq(deviations(&below), 1);
}
END_TEST

/* CL-02: one callout for each action. */
START_TEST(CL_02_each_of_the_five_actions_means_what_it_says)
{
	static const struct {
		enum nbl_action action;
		enum fate_of alone, behind_block;
	} cases[] = {
		{ NBL_ACTION_NONE, PASSED, DROPPED },
		{ NBL_ACTION_NONE_NO_MATCH, PASSED, DROPPED },
		{ NBL_ACTION_CONTINUE, PASSED, DROPPED },
		{ NBL_ACTION_PERMIT, PASSED, PASSED },
		{ NBL_ACTION_BLOCK, DROPPED, DROPPED },
	};
	struct script above = { .action = NBL_ACTION_BLOCK, .flags = NBL_CLASSIFY_SOFT };
	struct script s = { .action = cases[_i].action };

	three_sublayers();
	if (s.action == NBL_ACTION_BLOCK)
		s.right = SCRIPT_CLEAR_RIGHT;
	script_start(&s, LAYER, 2, 1);
	ck_assert_int_eq(classify_one(LAYER), cases[_i].alone);
	script_start(&above, LAYER, 1, 1);
	ck_assert_int_eq(classify_one(LAYER), cases[_i].behind_block);
	ck_assert_int_eq(s.previous, NBL_ACTION_BLOCK);
	ck_assert_uint_eq(deviations(&s), 0);
}
END_TEST

START_TEST(CL_02_an_action_there_is_not_counts_as_none)
{
	struct script s = { .action = (enum nbl_action)77 };

	script_start(&s, LAYER, 0, 1);
	ck_assert_int_eq(classify_one(LAYER), PASSED);
	ck_assert_uint_eq(counts().wrong_actions, 1);
}
END_TEST

START_TEST(CL_02_a_terminating_callout_must_decide_and_an_inspecting_one_may_not)
{
	struct script terminating = { .action = NBL_ACTION_CONTINUE },
		      inspecting = { .action = NBL_ACTION_BLOCK };

	script_register(&terminating);
	script_register(&inspecting);
	add_filter(LAYER, WFP_ACTION_CALLOUT_TERMINATING, terminating.id, 0, 2, 0);
	add_filter(LAYER, WFP_ACTION_CALLOUT_INSPECTION, inspecting.id, 0, 1, 0);
	ck_assert_int_eq(classify_one(LAYER), PASSED);
	ck_assert_uint_eq(counts().wrong_actions, 2);
	inspecting.action = NBL_ACTION_CONTINUE;
	terminating.action = NBL_ACTION_BLOCK;
	terminating.right = SCRIPT_CLEAR_RIGHT;
	ck_assert_int_eq(classify_one(LAYER), DROPPED);
	ck_assert_uint_eq(counts().wrong_actions, 2);
}
END_TEST

START_TEST(CL_03_without_the_right_block_over_permit_is_a_veto_and_an_event)
{
	struct script veto = { .action = NBL_ACTION_BLOCK };

	three_sublayers();
	add_filter(LAYER, WFP_ACTION_PERMIT, 0, 1, 1, NBL_WFP_CLEAR_ACTION_RIGHT);
	script_start(&veto, LAYER, 2, 1);
	ck_assert_int_eq(classify_one(LAYER), DROPPED);
	ck_assert_uint_eq(veto.rights, 0);
	ck_assert_int_eq(veto.previous, NBL_ACTION_PERMIT);
	ck_assert_uint_eq(counts().vetoes, 1);
	ck_assert_uint_eq(counts().no_right, 0);
	ck_assert_uint_eq(deviations(&veto), 0);
}
END_TEST

START_TEST(CL_03_a_veto_is_final_and_a_plain_filter_has_none)
{
	struct script veto = { .action = NBL_ACTION_BLOCK },
		      after = { .action = NBL_ACTION_PERMIT };

	three_sublayers();
	add_filter(LAYER, WFP_ACTION_PERMIT, 0, 1, 1, NBL_WFP_CLEAR_ACTION_RIGHT);
	uint64_t plain = add_filter(LAYER, WFP_ACTION_BLOCK, 0, 2, 1, 0);

	ck_assert_int_eq(classify_one(LAYER), PASSED);
	ck_assert_uint_eq(counts().vetoes, 0);
	delete_filter(plain);
	script_start(&veto, LAYER, 2, 1);
	script_start(&after, LAYER, 3, 1);
	ck_assert_int_eq(classify_one(LAYER), DROPPED);
}
END_TEST

START_TEST(CL_03_without_the_right_permit_over_block_is_ignored_and_a_violation)
{
	struct script blocks = { .action = NBL_ACTION_BLOCK, .right = SCRIPT_CLEAR_RIGHT };
	struct script permits = { .action = NBL_ACTION_PERMIT };

	three_sublayers();
	script_start(&blocks, LAYER, 1, 1);
	script_start(&permits, LAYER, 2, 1);
	ck_assert_int_eq(classify_one(LAYER), DROPPED);
	ck_assert_uint_eq(counts().no_right, 1);
	ck_assert_uint_eq(deviations(&permits), 1);
	ck_assert_uint_eq(deviations(&blocks), 0);
}
END_TEST

START_TEST(CL_03_the_right_cannot_be_taken_back)
{
	struct script blocks = { .action = NBL_ACTION_BLOCK, .right = SCRIPT_CLEAR_RIGHT };
	struct script takes = { .action = NBL_ACTION_PERMIT, .right = SCRIPT_SET_RIGHT };
	struct script last = { .action = NBL_ACTION_PERMIT };

	three_sublayers();
	script_start(&blocks, LAYER, 1, 1);
	script_start(&takes, LAYER, 2, 1);
	script_start(&last, LAYER, 3, 1);
	ck_assert_int_eq(classify_one(LAYER), DROPPED);
	ck_assert_uint_eq(last.rights, 0);
	ck_assert_uint_eq(deviations(&takes), 1);
}
END_TEST

/* What the callout of the next sub-layer finds of the right. */
static uint32_t right_after(struct script *s, uint16_t filter_flags)
{
	struct script next = { .action = NBL_ACTION_NONE };
	uint64_t filters[2];
	struct nbl *n = cooked(&RECIPE_UDP4, 64);
	enum fate_of fate;

	script_register(s);
	filters[0] = add_filter(LAYER, WFP_ACTION_CALLOUT_UNKNOWN, s->id, 1, 1, filter_flags);
	filters[1] = script_start(&next, LAYER, 2, 1);
	fate = send_through(LAYER, n);
	if (s->reference)
		ck_assert_int_eq(nbl_callout_dereference(fix.wfp, s->id, n), 0);
	if (s->raw_reference)
		ck_assert_int_eq(nbl_dereference(n), 0);
	if (fate == PASSED)
		nbl_release(n);
	delete_filter(filters[0]);
	delete_filter(filters[1]);
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, next.id), 0);
	return next.rights;
}

START_TEST(CL_04_the_right_is_gone_after_block_hard_permit_and_announced_writes)
{
	static const struct {
		struct script script;
		uint16_t flags;
		uint32_t right;
		uint64_t kept;
	} cases[] = {
		/* who cleared it himself */
		{ { .action = NBL_ACTION_BLOCK, .right = SCRIPT_CLEAR_RIGHT }, 0, 0, 0 },
		{ { .action = NBL_ACTION_PERMIT, .right = SCRIPT_CLEAR_RIGHT },
		  NBL_WFP_CLEAR_ACTION_RIGHT, 0, 0 },
		{ { .action = NBL_ACTION_PERMIT, .right = SCRIPT_CLEAR_RIGHT, .reference = 2 }, 0,
		  0, 0 },
		{ { .action = NBL_ACTION_CONTINUE, .right = SCRIPT_CLEAR_RIGHT, .reference = 2 }, 0,
		  0, 0 },
		/* who forgot: done for him, and counted */
		{ { .action = NBL_ACTION_BLOCK }, 0, 0, 1 },
		{ { .action = NBL_ACTION_PERMIT }, NBL_WFP_CLEAR_ACTION_RIGHT, 0, 1 },
		{ { .action = NBL_ACTION_PERMIT, .reference = 2 }, 0, 0, 1 },
		{ { .action = NBL_ACTION_CONTINUE, .raw_reference = 2 }, 0, 0, 1 },
		{ { .action = NBL_ACTION_PERMIT, .raw_reference = 2 }, 0, 0, 1 },
		/* who need not */
		{ { .action = NBL_ACTION_PERMIT }, 0, NBL_RIGHT_ACTION_WRITE, 0 },
		{ { .action = NBL_ACTION_CONTINUE, .reference = 1 }, 0, NBL_RIGHT_ACTION_WRITE, 0 },
		{ { .action = NBL_ACTION_CONTINUE, .raw_reference = 1 }, 0, NBL_RIGHT_ACTION_WRITE,
		  0 },
		{ { .action = NBL_ACTION_BLOCK, .flags = NBL_CLASSIFY_SOFT }, 0,
		  NBL_RIGHT_ACTION_WRITE, 0 },
	};
	struct script s = cases[_i].script;

	three_sublayers();
	ck_assert_uint_eq(right_after(&s, cases[_i].flags), cases[_i].right);
	ck_assert_uint_eq(counts().rights_kept, cases[_i].kept);
	ck_assert_uint_eq(deviations(&s), cases[_i].kept);
}
END_TEST

START_TEST(RF_08_after_announced_writes_nobody_below_changes_the_verdict)
{
	struct script writes = { .action = NBL_ACTION_BLOCK,
				 .flags = NBL_CLASSIFY_ABSORB,
				 .reference = 2 };
	struct script below = { .action = NBL_ACTION_PERMIT };
	struct nbl *n = cooked(&RECIPE_UDP4, 64);

	three_sublayers();
	script_start(&writes, LAYER, 1, 1);
	script_start(&below, LAYER, 2, 1);
	ck_assert_int_eq(send_through(LAYER, n), ABSORBED);
	ck_assert_uint_eq(counts().rights_kept, 1);
	ck_assert(!unit_is_home(n));
	ck_assert_int_eq(nbl_callout_dereference(fix.wfp, writes.id, n), 0);
	ck_assert(unit_is_home(n));
}
END_TEST

START_TEST(RF_08_a_mark_of_an_earlier_layer_accuses_nobody_who_only_looks)
{
	struct script writes = { .action = NBL_ACTION_PERMIT,
				 .reference = 2,
				 .right = SCRIPT_CLEAR_RIGHT };
	struct script looks = { .action = NBL_ACTION_PERMIT, .reference = 1 };
	struct nbl *n = cooked(&RECIPE_UDP4, 64);

	script_start(&writes, NBL_LAYER_INBOUND_MAC_FRAME_NATIVE, 0, 1);
	script_start(&looks, NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET, 0, 1);
	ck_assert_int_eq(send_through(NBL_LAYER_INBOUND_MAC_FRAME_NATIVE, n), PASSED);
	ck_assert_int_eq(send_through(NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET, n), PASSED);
	ck_assert_uint_eq(counts().rights_kept, 0);
	nbl_callout_dereference(fix.wfp, writes.id, n);
	nbl_callout_dereference(fix.wfp, looks.id, n);
	nbl_release(n);
}
END_TEST

START_TEST(CL_05_block_is_a_policy_drop_and_absorb_is_silent_and_both_recycle_the_frame)
{
	struct script s = { .action = NBL_ACTION_BLOCK, .right = SCRIPT_CLEAR_RIGHT };
	struct nbl *n = cooked(&RECIPE_UDP4, 64);
	struct nbl_wfp_result r;
	struct nbl_wfp_filter_counts c;
	uint64_t filter = script_start(&s, LAYER, 0, 1);

	n->outcome = NBL_OUTCOME_TO_WIRE;
	r = nbl_wfp_classify_chain(fix.wfp, LAYER, chain_of(n), &fix.env);
	ck_assert_ptr_eq(r.dropped.head, n);
	ck_assert_int_eq(n->outcome, NBL_OUTCOME_BLOCKED);
	ck_assert_uint_eq(n->holder, 9);
	nbl_release(n);
	ck_assert(unit_is_home(n));
	ck_assert_uint_eq(counts().blocked, 1);

	s.flags = NBL_CLASSIFY_ABSORB;
	n = cooked(&RECIPE_UDP4, 64);
	r = nbl_wfp_classify_chain(fix.wfp, LAYER, chain_of(n), &fix.env);
	ck_assert_ptr_eq(r.absorbed.head, n);
	ck_assert_int_eq(n->outcome, NBL_OUTCOME_CONSUMED);
	nbl_release(n);
	ck_assert(unit_is_home(n));
	ck_assert_uint_eq(counts().blocked, 1);
	ck_assert_uint_eq(counts().absorbed, 1);
	ck_assert_int_eq(nbl_wfp_get_filter_counts(fix.wfp, filter, &c), 0);
	ck_assert_uint_eq(c.matched, 2);
	ck_assert_uint_eq(c.blocked, 1);
	ck_assert_uint_eq(c.absorbed, 1);
}
END_TEST

START_TEST(CL_07_the_second_of_two_who_pend_finds_no_right_and_the_packet_is_held_once)
{
	struct script first = { .action = NBL_ACTION_BLOCK,
				.flags = NBL_CLASSIFY_ABSORB,
				.reference = 1,
				.right = SCRIPT_CLEAR_RIGHT };
	struct script polite = { .action = NBL_ACTION_NONE };
	struct nbl *n = cooked(&RECIPE_UDP4, 64);

	three_sublayers();
	script_start(&first, LAYER, 1, 1);
	script_start(&polite, LAYER, 2, 1);
	ck_assert_int_eq(send_through(LAYER, n), ABSORBED);
	ck_assert_uint_eq(polite.rights, 0);
	ck_assert_int_eq(polite.previous, NBL_ACTION_BLOCK);
	ck_assert_uint_eq(counts().pends_refused, 0);
	nbl_callout_dereference(fix.wfp, first.id, n);
}
END_TEST

START_TEST(AMB_04_absorbing_without_the_right_does_not_pend)
{
	struct script rude = { .action = NBL_ACTION_BLOCK, .flags = NBL_CLASSIFY_ABSORB };

	three_sublayers();
	/* over a hard permit: a veto, but no silent one */
	add_filter(LAYER, WFP_ACTION_PERMIT, 0, 1, 1, NBL_WFP_CLEAR_ACTION_RIGHT);
	script_start(&rude, LAYER, 2, 1);
	ck_assert_int_eq(classify_one(LAYER), DROPPED);
	ck_assert_uint_eq(counts().pends_refused, 1);
	ck_assert_uint_eq(counts().absorbed, 0);
}
END_TEST

START_TEST(AMB_04_absorbing_what_another_blocked_changes_nothing)
{
	struct script rude = { .action = NBL_ACTION_BLOCK, .flags = NBL_CLASSIFY_ABSORB };

	three_sublayers();
	add_filter(LAYER, WFP_ACTION_BLOCK, 0, 1, 1, 0);
	script_start(&rude, LAYER, 2, 1);
	ck_assert_int_eq(classify_one(LAYER), DROPPED);
	ck_assert_uint_eq(counts().pends_refused, 1);
	ck_assert_uint_eq(counts().vetoes, 0);
}
END_TEST

START_TEST(CL_07_absorb_without_a_hard_block_is_refused)
{
	struct script s = { .action = NBL_ACTION_PERMIT, .flags = NBL_CLASSIFY_ABSORB };

	script_start(&s, LAYER, 0, 1);
	ck_assert_int_eq(classify_one(LAYER), PASSED);
	ck_assert_uint_eq(counts().pends_refused, 1);
	s.action = NBL_ACTION_BLOCK;
	s.flags = NBL_CLASSIFY_ABSORB | NBL_CLASSIFY_SOFT;
	ck_assert_int_eq(classify_one(LAYER), DROPPED);
	ck_assert_uint_eq(counts().pends_refused, 2);
	ck_assert_uint_eq(counts().absorbed, 0);
}
END_TEST

START_TEST(AMB_13_block_with_a_plain_reference_gives_the_right_up_too)
{
	struct script s = { .action = NBL_ACTION_BLOCK,
			    .flags = NBL_CLASSIFY_ABSORB,
			    .reference = 1 };
	struct script below = { .action = NBL_ACTION_PERMIT };
	struct nbl *n = cooked(&RECIPE_UDP4, 64);

	three_sublayers();
	script_start(&s, LAYER, 1, 1);
	script_start(&below, LAYER, 2, 1);
	ck_assert_int_eq(send_through(LAYER, n), ABSORBED);
	ck_assert_uint_eq(below.rights, 0);
	nbl_callout_dereference(fix.wfp, s.id, n);
}
END_TEST

START_TEST(CL_06_a_filter_whose_callout_is_gone_blocks_unless_it_says_otherwise)
{
	struct script s = { .action = NBL_ACTION_PERMIT };
	static const struct {
		enum nbl_wfp_action action;
		uint16_t flags;
		enum fate_of fate;
	} cases[] = {
		{ WFP_ACTION_CALLOUT_TERMINATING, 0, DROPPED },
		{ WFP_ACTION_CALLOUT_UNKNOWN, 0, DROPPED },
		{ WFP_ACTION_CALLOUT_INSPECTION, 0, PASSED },
		{ WFP_ACTION_CALLOUT_TERMINATING, NBL_WFP_PERMIT_IF_UNREGISTERED, PASSED },
	};

	script_register(&s);
	add_filter(LAYER, cases[_i].action, s.id, 0, 1, cases[_i].flags);
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, s.id), 0);
	ck_assert_int_eq(classify_one(LAYER), cases[_i].fate);
	ck_assert_uint_eq(s.n_calls, 0);
	/* another one in its place is another one */
	script_register(&s);
	ck_assert_int_eq(classify_one(LAYER), cases[_i].fate);
	ck_assert_uint_eq(s.n_calls, 0);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ CL_06_all_64_combinations_of_three_sublayers_agree_with_the_oracle, 64 },
		{ CL_06_all_64_combinations_of_callouts_that_do_not_look_agree_with_the_oracle_of_vetoes, 64 },
		{ CL_06_all_64_combinations_of_plain_filters_agree_with_the_oracle, 64 },
		{ CL_06_within_a_sublayer_the_first_permit_or_block_by_weight_ends_it, 1 },
		{ CL_06_of_two_filters_with_one_weight_the_older_comes_first, 1 },
		{ AMB_16_callouts_below_a_hard_block_still_see_the_packet_and_cannot_undo_it, 1 },
		{ CL_02_each_of_the_five_actions_means_what_it_says, 5 },
		{ CL_02_an_action_there_is_not_counts_as_none, 1 },
		{ CL_02_a_terminating_callout_must_decide_and_an_inspecting_one_may_not, 1 },
		{ CL_03_without_the_right_block_over_permit_is_a_veto_and_an_event, 1 },
		{ CL_03_a_veto_is_final_and_a_plain_filter_has_none, 1 },
		{ CL_03_without_the_right_permit_over_block_is_ignored_and_a_violation, 1 },
		{ CL_03_the_right_cannot_be_taken_back, 1 },
		{ CL_04_the_right_is_gone_after_block_hard_permit_and_announced_writes, 13 },
		{ RF_08_after_announced_writes_nobody_below_changes_the_verdict, 1 },
		{ RF_08_a_mark_of_an_earlier_layer_accuses_nobody_who_only_looks, 1 },
		{ CL_05_block_is_a_policy_drop_and_absorb_is_silent_and_both_recycle_the_frame, 1 },
		{ CL_07_the_second_of_two_who_pend_finds_no_right_and_the_packet_is_held_once, 1 },
		{ AMB_04_absorbing_without_the_right_does_not_pend, 1 },
		{ AMB_04_absorbing_what_another_blocked_changes_nothing, 1 },
		{ CL_07_absorb_without_a_hard_block_is_refused, 1 },
		{ AMB_13_block_with_a_plain_reference_gives_the_right_up_too, 1 },
		{ CL_06_a_filter_whose_callout_is_gone_blocks_unless_it_says_otherwise, 4 },
	};

	return fix_run("wfp_arbitrate", tests, N_ELEMENTS(tests));
}
