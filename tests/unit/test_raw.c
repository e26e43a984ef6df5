// SPDX-License-Identifier: BSD-2-Clause
/* test_raw.c - clones as plain NDIS makes them: the caller counts. */
#include "unit.h"

#include <nbl/raw.h>

START_TEST(DV_04_a_raw_clone_leaves_parent_and_count_to_its_maker)
{
	struct nbl *n = unit_receive(64, 100), *clone = nbl_raw_alloc_clone(n, unit.pool, 0);

	ck_assert_ptr_nonnull(clone);
	ck_assert_ptr_null(clone->parent);
	ck_assert_uint_eq(n->child_ref_count, 0);
	ck_assert(nbl_claim_is_sole(n));
	unit_assert_pattern(&clone->nb, 100);
	ck_assert_uint_eq(clone->nb.data_offset, 0);
	/* as drivers do it by hand */
	clone->parent = n;
	atomic_fetch_add(&n->child_ref_count, 1);
	ck_assert_int_eq(nbl_raw_free_clone(clone, 0), 0);
	atomic_fetch_sub(&n->child_ref_count, 1);
	ck_assert_uint_eq(n->claims, 1);
	nbl_release(n);
	ck_assert(unit_is_home(n));
}
END_TEST

START_TEST(DV_04_asked_to_count_raw_clones_are_children_like_native_ones)
{
	struct nbl *n = unit_receive(64, 100), *raw, *native;

	nbl_raw_count_children(true);
	raw = nbl_raw_alloc_clone(n, unit.pool, _i ? NBL_CLONE_ORIGINAL_SEGMENTS : 0);
	nbl_raw_count_children(false);
	native = unit_clone(n);
	ck_assert_ptr_eq(raw->parent, n);
	ck_assert_uint_eq(n->child_ref_count, 2);
	nbl_release(n);
	ck_assert_int_eq(nbl_free_clone(native), 0);
	ck_assert(!unit_is_home(n));
	ck_assert_int_eq(nbl_raw_free_clone(raw, _i ? NBL_CLONE_ORIGINAL_SEGMENTS : 0), 0);
	ck_assert(unit_is_home(n));
}
END_TEST

START_TEST(DV_03_with_the_original_segments_headroom_and_header_are_the_parents)
{
	static const uint32_t sizes[] = { 60, 100 };
	struct nbl *n = unit_receive_over(20, sizes, 2, 130), *clone;

	ck_assert_int_eq(nbl_nb_advance(&n->nb, 14, false), 0);
	clone = nbl_raw_alloc_clone(n, unit.data, NBL_CLONE_ORIGINAL_SEGMENTS);
	ck_assert_ptr_nonnull(clone);
	ck_assert_ptr_eq(clone->nb.first_segment, n->nb.first_segment);
	ck_assert_ptr_eq(clone->nb.current_segment, n->nb.current_segment);
	ck_assert_uint_eq(clone->nb.data_offset, 34);
	ck_assert_uint_eq(clone->nb.data_length, 116);
	ck_assert(freelist_is_full(&unit.data->free_segments));
	/* the hazard that the flag brings: its retreat is over the parent's header */
	ck_assert_int_eq(nbl_nb_retreat(&clone->nb, 14, 0, NULL), 0);
	memset(nbl_nb_data(&clone->nb), 0, 14);
	ck_assert_int_eq(nbl_nb_retreat(&n->nb, 14, 0, NULL), 0);
	ck_assert_uint_eq(*unit_byte(&n->nb, 3), 0);
	for (uint32_t i = 0; i < 14; i++)
		*unit_byte(&n->nb, i) = unit_pattern(i);
	unit_assert_pattern(&n->nb, 130);
	/* a segment it needed beyond is its own, and does not stay with the parent */
	ck_assert_int_eq(nbl_nb_retreat(&clone->nb, 40, 0, unit.data), 0);
	ck_assert_uint_eq(unit_n_segments(&n->nb), 2);
	ck_assert_int_eq(nbl_raw_free_clone(clone, NBL_CLONE_ORIGINAL_SEGMENTS), 0);
	unit_assert_pattern(&n->nb, 130);
	unit_expect_violations(0);
	nbl_release(n);
}
END_TEST

START_TEST(DV_03_freeing_with_other_flags_is_refused_and_counted)
{
	struct nbl *n = unit_receive(64, 100);
	struct nbl *plain = nbl_raw_alloc_clone(n, unit.pool, 0);
	struct nbl *original = nbl_raw_alloc_clone(n, unit.pool, NBL_CLONE_ORIGINAL_SEGMENTS);
	struct nbl *deep = unit_deep_clone(n);

	ck_assert_int_eq(nbl_raw_free_clone(plain, NBL_CLONE_ORIGINAL_SEGMENTS), -EINVAL);
	ck_assert_int_eq(nbl_raw_free_clone(original, 0), -EINVAL);
	ck_assert_int_eq(nbl_free_clone(original), -EINVAL);
	ck_assert_int_eq(nbl_raw_free_clone(deep, 0), -EINVAL);
	ck_assert_int_eq(nbl_raw_free_clone(n, 0), -EINVAL);
	unit_expect_violations(5);
	ck_assert_ptr_null(nbl_raw_alloc_clone(n, unit.pool, 0x4));
	ck_assert_int_eq(nbl_raw_free_clone(NULL, 0), 0);
	ck_assert_int_eq(nbl_raw_free_clone(plain, 0), 0);
	ck_assert_int_eq(nbl_raw_free_clone(original, NBL_CLONE_ORIGINAL_SEGMENTS), 0);
	ck_assert_int_eq(nbl_free_clone(deep), 0);
	nbl_release(n);
}
END_TEST

START_TEST(TX_01_a_raw_clone_that_was_originated_is_not_freed_before_it_is_back)
{
	struct nbl *n = unit_receive(64, 100), *clone = nbl_raw_alloc_clone(n, unit.pool, 0);

	clone->is_out = true;
	ck_assert_int_eq(nbl_raw_free_clone(clone, 0), -EINVAL);
	ck_assert_int_eq(nbl_raw_release(clone), -EINVAL);
	unit_expect_violations(2);
	ck_assert_uint_eq(clone->claims, 1);
	clone->is_out = false;
	ck_assert_int_eq(nbl_raw_free_clone(clone, 0), 0);
	nbl_release(n);
}
END_TEST

START_TEST(DV_05_a_raw_return_with_children_out_is_refused_and_counted)
{
	struct nbl *n = unit_receive(64, 100), *clone = nbl_raw_alloc_clone(n, unit.pool, 0);

	atomic_fetch_add(&n->child_ref_count, 1);
	ck_assert_int_eq(nbl_raw_release(n), -EBUSY);
	unit_expect_violations(1);
	ck_assert(!unit_is_home(n));
	ck_assert_uint_eq(n->claims, 1);
	ck_assert_int_eq(nbl_raw_free_clone(clone, 0), 0);
	atomic_fetch_sub(&n->child_ref_count, 1);
	ck_assert_int_eq(nbl_raw_release(n), 0);
	ck_assert(unit_is_home(n));
	ck_assert_int_eq(nbl_raw_release(NULL), 0);
}
END_TEST

START_TEST(DV_05_a_parent_that_went_home_under_a_hand_counted_child_is_counted_once)
{
	struct nbl *n = unit_receive(64, 100);

	/* references make it go the long way, where it is noticed */
	nbl_reference(n, false);
	atomic_fetch_add(&n->child_ref_count, 1);
	nbl_release(n);
	unit_expect_violations(0);
	ck_assert_int_eq(nbl_dereference(n), 0);
	unit_expect_violations(1);
	ck_assert(unit_is_home(n));
	ck_assert_uint_eq(n->child_ref_count, 0);
}
END_TEST

START_TEST(DV_04_a_raw_clone_of_an_exhausted_pool_is_null_and_takes_nothing)
{
	static const uint32_t sizes[] = { 60, 100 };
	struct nbl *n = unit_receive_over(20, sizes, 2, 130);
	struct freelist *lists[] = { &unit.data->free_nbls, &unit.data->free_segments };
	uint32_t taken[128], n_taken = unit_hog(lists[_i], 0, taken);

	ck_assert_ptr_null(nbl_raw_alloc_clone(n, unit.data, 0));
	unit_unhog(lists[_i], taken, n_taken);
	unit_assert_full(unit.data);
	nbl_release(n);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ DV_04_a_raw_clone_leaves_parent_and_count_to_its_maker, 1 },
		{ DV_04_asked_to_count_raw_clones_are_children_like_native_ones, 2 },
		{ DV_03_with_the_original_segments_headroom_and_header_are_the_parents, 1 },
		{ DV_03_freeing_with_other_flags_is_refused_and_counted, 1 },
		{ TX_01_a_raw_clone_that_was_originated_is_not_freed_before_it_is_back, 1 },
		{ DV_05_a_raw_return_with_children_out_is_refused_and_counted, 1 },
		{ DV_05_a_parent_that_went_home_under_a_hand_counted_child_is_counted_once, 1 },
		{ DV_04_a_raw_clone_of_an_exhausted_pool_is_null_and_takes_nothing, 2 },
	};

	return unit_run("raw", tests, N_ELEMENTS(tests));
}
