// SPDX-License-Identifier: BSD-2-Clause
/* test_view.c - viewing and copying the used data of an NB. */
#include "unit.h"

START_TEST(AR_05_view_of_a_header_split_anywhere_is_right_with_and_without_storage)
{
	uint32_t split = (uint32_t)_i, sizes[] = { 10 + split, 100 };
	struct nbl *n = unit_receive_over(10, sizes, 2, 80 + (split < 20 ? split : 20));
	uint8_t storage[54], pattern[54];

	for (uint32_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = unit_pattern(i);
	for (uint32_t length = 1; length <= 54; length++) {
		/* with the split at 0 the second segment holds all */
		bool whole = length <= split || !split;
		const uint8_t *view = nbl_nb_view(&n->nb, length, NULL, 1, 0);

		if (whole)
			ck_assert_ptr_eq(view, nbl_nb_data(&n->nb));
		else
			ck_assert_ptr_null(view);
		memset(storage, 0, sizeof(storage));
		view = nbl_nb_view(&n->nb, length, storage, 1, 0);
		ck_assert_ptr_eq(view, whole ? nbl_nb_data(&n->nb) : storage);
		ck_assert_mem_eq(view, pattern, length);
	}
	ck_assert_ptr_null(nbl_nb_view(&n->nb, n->nb.data_length + 1, storage, 1, 0));
	nbl_release(n);
}
END_TEST

START_TEST(AR_05_view_copies_where_the_alignment_asked_for_is_not_there)
{
	struct nbl *n = unit_receive(64, 100);
	uint8_t storage[20];

	for (uint32_t shift = 0; shift < 8; shift++) {
		const uint8_t *data = nbl_nb_data(&n->nb);

		for (uint32_t offset = 0; offset < 4; offset++) {
			bool there = (uintptr_t)data % 4 == offset;

			ck_assert_ptr_eq(nbl_nb_view(&n->nb, 20, storage, 4, offset),
					 there ? data : storage);
			if (!there)
				ck_assert_mem_eq(storage, data, 20);
			ck_assert_ptr_eq(nbl_nb_view(&n->nb, 20, NULL, 4, offset),
					 there ? data : NULL);
		}
		ck_assert_int_eq(nbl_nb_advance(&n->nb, 1, false), 0);
	}
	nbl_release(n);
}
END_TEST

START_TEST(AR_06_copy_stops_at_what_fits_and_changes_no_lengths)
{
	static const struct {
		uint32_t dst_offset, src_offset, length, copied;
	} cases[] = {
		{ 0, 0, 200, 100 }, { 0, 0, 50, 50 }, { 90, 0, 50, 10 }, { 0, 250, 100, 50 },
		{ 100, 0, 10, 0 }, { 0, 300, 10, 0 }, { UINT32_MAX, 0, 10, 0 },
		{ 0, UINT32_MAX, 10, 0 }, { 50, 50, UINT32_MAX, 50 }, { 0, 0, 0, 0 },
	};
	struct nbl *dst = unit_receive(64, 100), *src = unit_receive(64, 300);
	uint32_t at = cases[_i].dst_offset, from = cases[_i].src_offset;

	memset(nbl_nb_data(&dst->nb), 0, 100);
	ck_assert_uint_eq(nbl_nb_copy(&dst->nb, at, &src->nb, from, cases[_i].length),
			  cases[_i].copied);
	ck_assert_uint_eq(dst->nb.data_length, 100);
	for (uint32_t i = 0; i < 100; i++) {
		bool hit = cases[_i].copied && i >= at && i - at < cases[_i].copied;

		ck_assert_uint_eq(nbl_nb_data(&dst->nb)[i], hit ? unit_pattern(from + i - at) : 0);
	}
	nbl_release(dst);
	nbl_release(src);
}
END_TEST

START_TEST(AR_06_copy_between_several_segments_on_both_sides_is_byte_exact)
{
	static const uint32_t dst_sizes[] = { 20, 3, 0, 50, 1, 60 };
	static const uint32_t src_sizes[] = { 40, 1, 17, 90 };
	struct nbl *dst = unit_receive_over(7, dst_sizes, N_ELEMENTS(dst_sizes), 120);
	struct nbl *src = unit_receive_over(11, src_sizes, N_ELEMENTS(src_sizes), 130);
	uint8_t expected[120], storage[120];

	for (uint32_t dst_offset = 0; dst_offset < 120; dst_offset += 3) {
		for (uint32_t src_offset = 0; src_offset < 130; src_offset++) {
			uint32_t n, fits = 40;

			fits = fits < 120 - dst_offset ? fits : 120 - dst_offset;
			fits = fits < 130 - src_offset ? fits : 130 - src_offset;
			memset(expected, 0, sizeof(expected));
			for (uint32_t i = 0; i < fits; i++)
				expected[dst_offset + i] = unit_pattern(src_offset + i);
			for (uint32_t i = 0; i < 120; i++)
				*unit_byte(&dst->nb, i) = 0;
			n = nbl_nb_copy(&dst->nb, dst_offset, &src->nb, src_offset, 40);
			ck_assert_uint_eq(n, fits);
			ck_assert_mem_eq(nbl_nb_view(&dst->nb, 120, storage, 1, 0), expected, 120);
		}
	}
	nbl_release(dst);
	nbl_release(src);
}
END_TEST

START_TEST(AR_06_copy_between_runs_that_overlap_in_memory_copies_nothing)
{
	static const uint32_t sizes[] = { 30, 30, 100 };
	struct nbl *n = unit_receive_over(0, sizes, 3, 150);
	struct nbl *clone = nbl_alloc_clone(n, unit.pool);

	for (uint32_t src = 0; src < 150; src += 5) {
		for (uint32_t dst = 0; dst < 150; dst += 5) {
			uint32_t room = 150 - (src > dst ? src : dst);
			uint32_t length = room < 20 ? room : 20;
			uint32_t apart = src > dst ? src - dst : dst - src;
			uint32_t copied = nbl_nb_copy(&clone->nb, dst, &n->nb, src, 20);

			ck_assert_uint_eq(copied, apart < length ? 0 : length);
			for (uint32_t i = 0; i < 150; i++)
				*unit_byte(&n->nb, i) = unit_pattern(i);
		}
	}
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	nbl_release(n);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ AR_05_view_of_a_header_split_anywhere_is_right_with_and_without_storage, 55 },
		{ AR_05_view_copies_where_the_alignment_asked_for_is_not_there, 1 },
		{ AR_06_copy_stops_at_what_fits_and_changes_no_lengths, 10 },
		{ AR_06_copy_between_several_segments_on_both_sides_is_byte_exact, 1 },
		{ AR_06_copy_between_runs_that_overlap_in_memory_copies_nothing, 1 },
	};

	return unit_run("view", tests, N_ELEMENTS(tests));
}
