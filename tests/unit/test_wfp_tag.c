// SPDX-License-Identifier: BSD-2-Clause
/* test_wfp_tag.c - numbers on NBLs and what is told of them. */
#include "wfp_fixture.h"

static struct {
	uint32_t n[NBL_TAG_REMOVED + 1];
	struct nbl *nbl, *other;
	uint64_t context;
	uint32_t tag;
	bool copies;			/* puts the number on clones too */
} told;

static void notify(void *arg, enum nbl_tag_event event, struct nbl *n, struct nbl *other,
		   uint64_t context)
{
	ck_assert_ptr_eq(arg, &told);
	told.n[event]++;
	told.nbl = n;
	told.other = other;
	told.context = context;
	if (told.copies && other)
		ck_assert_int_eq(nbl_tag_associate(fix.wfp, told.tag, other, context + 1), 0);
}

static uint32_t start(struct script *s)
{
	memset(&told, 0, sizeof(told));
	script_register(s);
	ck_assert_int_eq(nbl_tag_create(fix.wfp, s->id, notify, &told, &told.tag), 0);
	return told.tag;
}

START_TEST(TG_01_a_clone_by_either_function_is_told_with_the_new_nbl_and_carries_no_number)
{
	struct script s = { 0 };
	uint32_t tag = start(&s);
	struct nbl *n = cooked(&RECIPE_UDP4, 64), *clone = NULL;

	ck_assert_int_eq(nbl_tag_associate(fix.wfp, tag, n, 5), 0);
	ck_assert_int_eq(_i ? nbl_callout_deep_clone(fix.wfp, s.id, n, unit.pool, unit.data, &clone)
			    : nbl_callout_clone(fix.wfp, s.id, n, unit.pool, &clone), 0);
	ck_assert_uint_eq(told.n[NBL_TAG_CLONED], 1);
	ck_assert_ptr_eq(told.nbl, n);
	ck_assert_ptr_eq(told.other, clone);
	ck_assert_uint_eq(told.context, 5);
	ck_assert_int_eq(nbl_tag_retrieve(fix.wfp, tag, clone, false, NULL), -ENOENT);
	ck_assert_int_eq(nbl_callout_free(fix.wfp, s.id, clone), 0);
	ck_assert_uint_eq(told.n[NBL_TAG_REMOVED], 0);
	nbl_wfp_leave(fix.wfp, n, NBL_TAG_RECEIVE_COMPLETE);
	ck_assert_uint_eq(told.n[NBL_TAG_RECEIVE_COMPLETE], 1);
	nbl_release(n);
}
END_TEST

START_TEST(TG_01_a_copy_is_told_as_duplicated)
{
	struct script s = { 0 };
	uint32_t tag = start(&s);
	struct nbl *n = cooked(&RECIPE_UDP4, 64), *copy = NULL;

	ck_assert_int_eq(nbl_tag_associate(fix.wfp, tag, n, 5), 0);
	ck_assert_int_eq(nbl_callout_copy(fix.wfp, s.id, n, unit.pool, unit.data, &copy), 0);
	ck_assert_uint_eq(told.n[NBL_TAG_DUPLICATED], 1);
	ck_assert_ptr_eq(told.other, copy);
	ck_assert_int_eq(nbl_callout_free(fix.wfp, s.id, copy), 0);
	ck_assert_int_eq(nbl_tag_retrieve(fix.wfp, tag, n, true, NULL), 0);
	nbl_release(n);
}
END_TEST

static void freed_by_completion(void *context, struct nbl_chain chain, int status)
{
	struct script *s = context;

	/* the number is gone before its owner has the NBL again */
	ck_assert_int_eq(nbl_tag_retrieve(fix.wfp, told.tag, chain.head, false, NULL), -ENOENT);
	ck_assert(!nbl_wfp_is_tagged(chain.head));
	ck_assert_int_eq(nbl_callout_free(fix.wfp, s->id, chain.head), 0);
}

START_TEST(TG_01_a_tagged_clone_that_is_sent_tells_send_complete_once_and_the_number_is_gone)
{
	struct script s = { 0 };
	uint32_t tag = start(&s), handle;
	struct nbl *n = cooked(&RECIPE_UDP4, 64), *clone = NULL;
	struct nbl_inject_target target = { 0 };

	ck_assert_int_eq(nbl_inject_handle_create(fix.wfp, NBL_FAMILY_UNSPEC, NBL_INJECT_L2,
						  FIX_OWNER, &handle),
			 0);
	ck_assert_int_eq(nbl_tag_associate(fix.wfp, tag, n, 5), 0);
	told.copies = true;
	ck_assert_int_eq(nbl_callout_clone(fix.wfp, s.id, n, unit.pool, &clone), 0);
	nbl_wfp_leave(fix.wfp, n, NBL_TAG_RECEIVE_COMPLETE);
	nbl_release(n);
	ck_assert_int_eq((_i ? nbl_inject_mac_receive
			     : nbl_inject_mac_send)(fix.wfp, handle, NULL, &target, chain_of(clone),
						    freed_by_completion, &s),
			 0);
	ck_assert_uint_eq(counts().tag_contexts, 1);
	fix_complete_all();
	ck_assert_uint_eq(told.n[NBL_TAG_SEND_COMPLETE], _i ? 0 : 1);
	ck_assert_uint_eq(told.n[NBL_TAG_RECEIVE_COMPLETE], _i ? 2 : 1);
	ck_assert_uint_eq(told.context, 6);
	ck_assert_uint_eq(counts().tag_contexts, 0);
}
END_TEST

START_TEST(TG_01_freeing_a_tagged_clone_without_sending_it_tells_removed)
{
	struct script s = { 0 };
	uint32_t tag = start(&s);
	struct nbl *n = cooked(&RECIPE_UDP4, 64), *clone = NULL;

	ck_assert_int_eq(nbl_callout_clone(fix.wfp, s.id, n, unit.pool, &clone), 0);
	ck_assert_int_eq(nbl_tag_associate(fix.wfp, tag, clone, 5), 0);
	ck_assert_int_eq(nbl_callout_free(fix.wfp, s.id, clone), 0);
	ck_assert_uint_eq(told.n[NBL_TAG_REMOVED], 1);
	nbl_release(n);
}
END_TEST

START_TEST(TG_01_cloning_and_freeing_leaves_the_original_bit_for_bit)
{
	/* BUG-05: a clone that was never sent took another's tag off the original */
	struct script s = { 0 };
	uint32_t tag = start(&s);
	struct nbl *n = cooked(&RECIPE_UDP4, 64), *clone = NULL;
	struct nbl before;
	uint64_t context = 0;

	ck_assert_int_eq(nbl_tag_associate(fix.wfp, tag, n, 5), 0);
	memcpy(&before, n, sizeof(before));
	ck_assert_int_eq(nbl_callout_clone(fix.wfp, s.id, n, unit.pool, &clone), 0);
	ck_assert_int_eq(nbl_callout_free(fix.wfp, s.id, clone), 0);
	ck_assert_mem_eq(&before, n, sizeof(before));
	ck_assert_int_eq(nbl_tag_retrieve(fix.wfp, tag, n, true, &context), 0);
	ck_assert_uint_eq(context, 5);
	nbl_release(n);
}
END_TEST

START_TEST(TG_01_whoever_goes_home_with_a_number_on_loses_it_and_that_is_told)
{
	struct script s = { 0 };
	uint32_t tag = start(&s);
	struct nbl *n = cooked(&RECIPE_UDP4, 64), *clone = unit_clone(n);

	ck_assert_int_eq(nbl_tag_associate(fix.wfp, tag, n, 5), 0);
	ck_assert_int_eq(nbl_tag_associate(fix.wfp, tag, clone, 6), 0);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert_uint_eq(told.n[NBL_TAG_REMOVED], 1);
	ck_assert_uint_eq(told.context, 6);
	nbl_release(n);
	ck_assert_uint_eq(told.n[NBL_TAG_REMOVED], 2);
	ck_assert_uint_eq(told.context, 5);
	ck_assert_uint_eq(counts().tag_contexts, 0);
}
END_TEST

START_TEST(TG_01_several_tags_share_an_nbl_and_come_off_in_any_order)
{
	struct script s = { 0 };
	uint32_t tags[3];
	struct nbl *n = cooked(&RECIPE_UDP4, 64);
	uint64_t context;

	tags[0] = start(&s);
	for (int i = 1; i < 3; i++)
		ck_assert_int_eq(nbl_tag_create(fix.wfp, s.id, notify, &told, &tags[i]), 0);
	for (uint64_t i = 0; i < 3; i++)
		ck_assert_int_eq(nbl_tag_associate(fix.wfp, tags[i], n, 10 + i), 0);
	for (int i = 0; i < 3; i++) {
		int k = (_i + i) % 3;

		ck_assert_int_eq(nbl_tag_destroy(fix.wfp, tags[k]), -EBUSY);
		ck_assert_int_eq(nbl_tag_retrieve(fix.wfp, tags[k], n, true, &context), 0);
		ck_assert_uint_eq(context, 10u + (uint64_t)k);
		ck_assert_int_eq(nbl_tag_destroy(fix.wfp, tags[k]), 0);
		ck_assert_int_eq(nbl_tag_retrieve(fix.wfp, tags[k], n, false, NULL), -ENOENT);
	}
	ck_assert(!nbl_wfp_is_tagged(n));
	nbl_release(n);
}
END_TEST

START_TEST(TG_01_numbers_and_tags_are_bounded_and_refusals_say_why)
{
	struct script s = { 0 };
	uint32_t tag = start(&s), more = 0;
	struct nbl *n[9];

	ck_assert_int_eq(nbl_tag_create(fix.wfp, s.id, NULL, NULL, &more), -EINVAL);
	ck_assert_int_eq(nbl_tag_create(fix.wfp, s.id + 64, notify, NULL, &more), -ENOENT);
	for (int i = 0; i < 9; i++) {
		n[i] = cooked(&RECIPE_UDP4, 64);
		ck_assert_int_eq(nbl_tag_associate(fix.wfp, tag, n[i], 1), i < 8 ? 0 : -ENOBUFS);
	}
	ck_assert_int_eq(nbl_tag_associate(fix.wfp, tag, n[0], 1), -EEXIST);
	ck_assert_int_eq(nbl_tag_associate(fix.wfp, tag + 64, n[0], 1), -ENOENT);
	for (int i = 0; i < 9; i++) {
		if (nbl_wfp_is_tagged(n[i]))
			nbl_wfp_leave(fix.wfp, n[i], NBL_TAG_REMOVED);
		nbl_release(n[i]);
	}
	ck_assert_uint_eq(told.n[NBL_TAG_REMOVED], 8);
	for (int i = 1; i < NBL_MAX_TAGS; i++)
		ck_assert_int_eq(nbl_tag_create(fix.wfp, s.id, notify, NULL, &more), 0);
	ck_assert_int_eq(nbl_tag_create(fix.wfp, s.id, notify, NULL, &more), -ENOSPC);
}
END_TEST

START_TEST(TG_01_a_descriptor_used_again_has_no_numbers_of_its_life_before)
{
	struct script s = { 0 };
	uint32_t tag = start(&s);
	struct nbl *n = cooked(&RECIPE_UDP4, 64);

	ck_assert_int_eq(nbl_tag_associate(fix.wfp, tag, n, 5), 0);
	nbl_wfp_leave(fix.wfp, n, NBL_TAG_REMOVED);
	n->miniport_reserved[1] = (void *)(uintptr_t)1;	/* what lies there from before */
	nbl_arm_receive(n, 64, 60);
	ck_assert_int_eq(nbl_tag_retrieve(fix.wfp, tag, n, false, NULL), -ENOENT);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, 1, n, NULL), NBL_NOT_INJECTED);
	nbl_release(n);
}
END_TEST

/* Takes the number behind it off and gives its place to the other NBL, as one who is told may. */
static void moves_the_next(void *arg, enum nbl_tag_event event, struct nbl *n, struct nbl *other,
			   uint64_t context)
{
	const uint32_t *tags = arg;

	ck_assert_int_eq(event, NBL_TAG_CLONED);
	ck_assert_uint_eq(context, 1);
	ck_assert_int_eq(nbl_tag_retrieve(fix.wfp, tags[0], n, true, NULL), 0);
	ck_assert_int_eq(nbl_tag_associate(fix.wfp, tags[2], other, 3), 0);
	ck_assert_int_eq(nbl_tag_associate(fix.wfp, tags[0], other, 4), 0);
}

START_TEST(TG_01_a_number_that_is_moved_while_another_is_told_is_not_told_where_it_was)
{
	struct script s = { 0 };
	uint32_t tags[3] = { start(&s) };
	struct nbl *n = cooked(&RECIPE_UDP4, 64), *clone = NULL;

	ck_assert_int_eq(nbl_tag_create(fix.wfp, s.id, moves_the_next, tags, &tags[1]), 0);
	ck_assert_int_eq(nbl_tag_create(fix.wfp, s.id, notify, &told, &tags[2]), 0);
	ck_assert_int_eq(nbl_tag_associate(fix.wfp, tags[0], n, 0), 0);
	ck_assert_int_eq(nbl_tag_associate(fix.wfp, tags[1], n, 1), 0);
	ck_assert_int_eq(nbl_callout_clone(fix.wfp, s.id, n, unit.pool, &clone), 0);
	ck_assert_uint_eq(told.n[NBL_TAG_CLONED], 0);
	ck_assert_int_eq(nbl_tag_retrieve(fix.wfp, tags[0], clone, true, NULL), 0);
	ck_assert_int_eq(nbl_tag_retrieve(fix.wfp, tags[2], clone, true, NULL), 0);
	ck_assert_int_eq(nbl_tag_retrieve(fix.wfp, tags[1], n, true, NULL), 0);
	ck_assert_int_eq(nbl_callout_free(fix.wfp, s.id, clone), 0);
	nbl_release(n);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ TG_01_a_clone_by_either_function_is_told_with_the_new_nbl_and_carries_no_number,
		  2 },
		{ TG_01_a_copy_is_told_as_duplicated, 1 },
		{ TG_01_a_tagged_clone_that_is_sent_tells_send_complete_once_and_the_number_is_gone,
		  2 },
		{ TG_01_freeing_a_tagged_clone_without_sending_it_tells_removed, 1 },
		{ TG_01_cloning_and_freeing_leaves_the_original_bit_for_bit, 1 },
		{ TG_01_whoever_goes_home_with_a_number_on_loses_it_and_that_is_told, 1 },
		{ TG_01_several_tags_share_an_nbl_and_come_off_in_any_order, 3 },
		{ TG_01_numbers_and_tags_are_bounded_and_refusals_say_why, 1 },
		{ TG_01_a_descriptor_used_again_has_no_numbers_of_its_life_before, 1 },
		{ TG_01_a_number_that_is_moved_while_another_is_told_is_not_told_where_it_was, 1 },
	};

	return fix_run("wfp_tag", tests, N_ELEMENTS(tests));
}
