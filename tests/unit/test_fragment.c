// SPDX-License-Identifier: BSD-2-Clause
/* test_fragment.c - packets cut up, put together, and given headers of their own. */
#include "unit.h"

#include <nbl/fragment.h>

static struct nbl_pool *big;	/* descriptors for many pieces, frames for headers */

static void open_big(void)
{
	const struct nbl_pool_params params = {
		.name = "big", .n_nbls = 8, .n_frames = 24, .frame_size = 256,
		.n_extra_nbs = 40, .n_extra_segments = 40 };

	ck_assert_int_eq(nbl_pool_new(&params, &big), 0);
}

static void close_big(void)
{
	unit_assert_full(big);
	ck_assert_int_eq(nbl_pool_free(big), 0);
}

/* An NBL with packets of 'first' and 'second' bytes; n[1] only lends its NB. */
static void make_pair(struct nbl *n[2], uint32_t first, uint32_t second)
{
	uint32_t sizes[] = { 40, 300, first };

	n[0] = unit_receive_over(20, sizes, 3, first);
	n[1] = unit_receive(64, second);
	n[0]->nb.next = &n[1]->nb;
}

static void release_pair(struct nbl *n[2])
{
	n[0]->nb.next = NULL;
	nbl_release(n[0]);
	nbl_release(n[1]);
}

/* True if the used bytes of 'nb' from 'skip' on are those of the pattern from 'from' on. */
static bool continues(const struct nbl_nb *nb, uint32_t skip, uint32_t from)
{
	for (uint32_t i = skip; i < nb->data_length; i++)
		if (*unit_byte(nb, i) != unit_pattern(from + i - skip))
			return false;
	return true;
}

START_TEST(DV_08_each_packet_is_cut_by_itself_into_pieces_of_at_most_the_length)
{
	static const uint32_t lengths[] = { 1000, 1000, 1000, 100 };
	static const uint32_t from[] = { 0, 1000, 2000, 0 };
	const struct nbl_fragment_params params = { .max_length = 1000, .delta = 34,
						    .backfill = 10 };
	struct nbl *n[2], *fragments;
	const struct nbl_nb *nb;

	open_big();
	make_pair(n, 3000, 100);
	ck_assert_int_eq(nbl_alloc_fragments(n[0], &params, big, big, &fragments), 0);
	ck_assert_uint_eq(fragments->kind, NBL_KIND_FRAGMENTS);
	ck_assert_ptr_eq(fragments->parent, n[0]);
	ck_assert_uint_eq(n[0]->child_ref_count, 1);
	nb = fragments->first_nb;
	for (int i = 0; i < 4; i++, nb = nb->next) {
		ck_assert_uint_eq(nb->data_length, 34 + lengths[i]);
		ck_assert_uint_ge(nb->data_offset, 10);
		ck_assert(nbl_nb_is_sound(nb));
		ck_assert(continues(nb, 34, from[i]));
		/* a header of its own, in one piece */
		ck_assert_uint_eq(nbl_nb_segment_room(nb), 34);
		memset(nbl_nb_data(nb), 0xf0 + i, 34);
	}
	ck_assert_ptr_null(nb);
	nb = fragments->first_nb;
	for (int i = 0; i < 4; i++, nb = nb->next) {
		ck_assert_uint_eq(*unit_byte(nb, 0), 0xf0 + i);
		ck_assert(continues(nb, 34, from[i]));
	}
	unit_assert_pattern(&n[0]->nb, 3000);
	unit_assert_pattern(&n[1]->nb, 100);
	ck_assert_int_eq(nbl_free_fragments(fragments, 34), 0);
	unit_expect_violations(0);
	close_big();
	release_pair(n);
}
END_TEST

START_TEST(DV_08_the_payload_is_shared_and_pins_the_original)
{
	const struct nbl_fragment_params params = { .start_offset = 20, .max_length = 30 };
	struct nbl *n = unit_receive(64, 100), *fragments;
	uint32_t count = 0;

	open_big();
	ck_assert_int_eq(nbl_alloc_fragments(n, &params, big, NULL, &fragments), 0);
	ck_assert_ptr_eq(nbl_nb_data(fragments->first_nb), nbl_nb_data(&n->nb) + 20);
	for (const struct nbl_nb *nb = fragments->first_nb; nb; nb = nb->next, count++)
		ck_assert(continues(nb, 0, 20 + 30 * count));
	ck_assert_uint_eq(count, 3);
	ck_assert_uint_eq(unit_frames_free(big), 24);
	nbl_release(n);
	ck_assert(!unit_is_home(n));
	ck_assert_int_eq(nbl_free_fragments(fragments, 0), 0);
	ck_assert(unit_is_home(n));
	close_big();
}
END_TEST

START_TEST(DM_14_nothing_is_claimed_of_packets_whose_headers_are_not_written)
{
	const struct nbl_fragment_params params = { .start_offset = 14, .max_length = 50, .delta = 14 };
	const uint32_t flags = NBL_FLAG_IS_IPV4 | NBL_FLAG_IS_TCP;
	struct nbl *n = unit_receive(64, 100), *out;

	n->nbl_flags |= flags;
	ck_assert_int_eq(nbl_alloc_fragments(n, &params, unit.data, unit.data, &out), 0);
	ck_assert_uint_eq(out->nbl_flags & flags, 0);
	ck_assert_int_eq(nbl_free_fragments(out, 14), 0);
	ck_assert_int_eq(nbl_alloc_reassembled(&n, 1, &params, unit.data, unit.data, &out), 0);
	ck_assert_uint_eq(out->nbl_flags & flags, 0);
	ck_assert_int_eq(nbl_free_reassembled(out, 14), 0);
	/* a partial clone's are the original's own */
	ck_assert_int_eq(nbl_alloc_partial_clone(n, 14, 0, unit.data, unit.data, &out), 0);
	ck_assert_uint_eq(out->nbl_flags & flags, flags);
	ck_assert_int_eq(nbl_free_clone(out), 0);
	nbl_release(n);
}
END_TEST

START_TEST(DV_08_freeing_with_another_delta_or_as_another_kind_is_refused_and_counted)
{
	const struct nbl_fragment_params params = { .max_length = 50, .delta = 14 };
	struct nbl *n = unit_receive(64, 100), *fragments, *clone = unit_clone(n);

	open_big();
	ck_assert_int_eq(nbl_alloc_fragments(n, &params, big, big, &fragments), 0);
	ck_assert_int_eq(nbl_free_fragments(fragments, 13), -EINVAL);
	ck_assert_int_eq(nbl_free_reassembled(fragments, 14), -EINVAL);
	ck_assert_int_eq(nbl_free_clone(fragments), -EINVAL);
	ck_assert_int_eq(nbl_free_fragments(clone, 0), -EINVAL);
	unit_expect_violations(4);
	ck_assert_int_eq(nbl_free_fragments(fragments, 14), 0);
	ck_assert_int_eq(nbl_free_fragments(NULL, 0), 0);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	close_big();
	nbl_release(n);
}
END_TEST

START_TEST(DV_08_what_cannot_be_cut_leaves_everything_as_it_was)
{
	static const struct {
		uint32_t start_offset, max_length;
	} cases[] = { { 100, 10 }, { 0, 0 }, { 3000, 100 } };
	const struct nbl_fragment_params params = {
		.start_offset = cases[_i].start_offset, .max_length = cases[_i].max_length };
	struct nbl *n[2], *fragments = NULL;

	open_big();
	make_pair(n, 2000, 100);
	ck_assert_int_eq(nbl_alloc_fragments(n[0], &params, big, big, &fragments), -EINVAL);
	ck_assert_ptr_null(fragments);
	ck_assert_uint_eq(n[0]->child_ref_count, 0);
	ck_assert_uint_eq(n[0]->claims, 1);
	close_big();
	release_pair(n);
}
END_TEST

START_TEST(DV_08_whatever_runs_out_while_cutting_nothing_is_taken)
{
	/* four NBs of one segment and one header each: the first NB is the NBL's own */
	static const uint32_t needs[] = { 1, 3, 4, 4 };
	const struct nbl_fragment_params params = { .max_length = 250, .delta = 20 };
	struct nbl *n = unit_receive(64, 1000), *fragments;
	struct freelist *lists[4];
	uint32_t taken[128];

	open_big();
	lists[0] = &big->free_nbls;
	lists[1] = &big->free_nbs;
	lists[2] = &big->free_segments;
	lists[3] = &big->free_frames;
	for (uint32_t keep = 0; keep <= needs[_i]; keep++) {
		uint32_t n_taken = unit_hog(lists[_i], keep, taken);
		bool enough = keep == needs[_i];

		ck_assert_int_eq(nbl_alloc_fragments(n, &params, big, big, &fragments),
				 enough ? 0 : -ENOBUFS);
		if (enough)
			ck_assert_int_eq(nbl_free_fragments(fragments, 20), 0);
		unit_unhog(lists[_i], taken, n_taken);
		unit_assert_full(big);
		ck_assert_uint_eq(n->child_ref_count, 0);
		ck_assert_uint_eq(n->claims, 1);
	}
	close_big();
	nbl_release(n);
}
END_TEST

/* Three referenced packets whose bytes behind 8 continue each other's. */
static void make_parts(struct nbl *parts[3])
{
	static const uint32_t two[] = { 30, 200 };

	parts[0] = unit_receive(64, 108);
	parts[1] = unit_receive_over(0, two, 2, 58);
	parts[2] = unit_receive(64, 78);
	for (uint32_t i = 0, at = 0; i < 3; i++) {
		for (uint32_t j = 8; j < parts[i]->nb.data_length; j++)
			*unit_byte(&parts[i]->nb, j) = unit_pattern(at++);
		nbl_reference(parts[i], false);
		nbl_release(parts[i]);
	}
}

START_TEST(DV_09_three_referenced_fragments_become_one_packet_and_go_when_it_does)
{
	const struct nbl_fragment_params params = { .start_offset = 8, .delta = 20, .backfill = 4 };
	struct nbl *parts[3], *whole;
	const uint8_t *payload;

	open_big();
	make_parts(parts);
	payload = nbl_nb_data(&parts[0]->nb) + 8;
	ck_assert_int_eq(nbl_alloc_reassembled(parts, 3, &params, big, big, &whole), 0);
	ck_assert_uint_eq(whole->kind, NBL_KIND_REASSEMBLED);
	ck_assert_ptr_eq(whole->parent, parts[0]);
	ck_assert_ptr_null(whole->first_nb->next);
	ck_assert_uint_eq(whole->nb.data_length, 20 + 100 + 50 + 70);
	ck_assert(nbl_nb_is_sound(&whole->nb));
	ck_assert(continues(&whole->nb, 20, 0));
	ck_assert_ptr_eq(unit_byte(&whole->nb, 20), payload);
	ck_assert_uint_eq(nbl_nb_n_segments(&whole->nb), 1 + 1 + 2 + 1);
	memset(nbl_nb_data(&whole->nb), 0, 20);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(nbl_dereference(parts[i]), 0);
		ck_assert(!unit_is_home(parts[i]));
	}
	ck_assert_int_eq(nbl_free_reassembled(whole, 19), -EINVAL);
	unit_expect_violations(1);
	ck_assert_int_eq(nbl_free_reassembled(whole, 20), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(unit_n_released(parts[i]), 1);
	close_big();
}
END_TEST

START_TEST(DV_09_cutting_and_putting_together_gives_the_packet_back)
{
	const struct nbl_fragment_params cut = { .max_length = 70 }, join = { .delta = 0 };
	struct nbl *n = unit_receive(64, 500), *fragments, *whole;

	open_big();
	ck_assert_int_eq(nbl_alloc_fragments(n, &cut, big, NULL, &fragments), 0);
	ck_assert_int_eq(nbl_alloc_reassembled(&fragments, 1, &join, big, NULL, &whole), 0);
	unit_assert_pattern(&whole->nb, 500);
	ck_assert_int_eq(nbl_free_fragments(fragments, 0), 0);
	nbl_release(n);
	unit_assert_pattern(&whole->nb, 500);
	ck_assert_int_eq(nbl_free_reassembled(whole, 0), 0);
	ck_assert(unit_is_home(n));
	close_big();
}
END_TEST

START_TEST(DV_09_whatever_runs_out_while_putting_together_no_part_is_pinned)
{
	const struct nbl_fragment_params params = { .start_offset = 8, .delta = 20 };
	struct nbl *parts[3], *whole = NULL;
	struct freelist *lists[3];
	uint32_t needs[] = { 1, 4, 1 }, taken[128];

	open_big();
	lists[0] = &big->free_nbls;
	lists[1] = &big->free_segments;
	lists[2] = &big->free_frames;
	make_parts(parts);
	for (uint32_t keep = 0; keep < needs[_i]; keep++) {
		uint32_t n_taken = unit_hog(lists[_i], keep, taken);

		ck_assert_int_eq(nbl_alloc_reassembled(parts, 3, &params, big, big, &whole),
				 -ENOBUFS);
		unit_unhog(lists[_i], taken, n_taken);
		unit_assert_full(big);
		for (int i = 0; i < 3; i++) {
			ck_assert_uint_eq(parts[i]->references, 1);
			ck_assert_uint_eq(parts[i]->child_ref_count, 0);
		}
	}
	ck_assert_ptr_null(whole);
	ck_assert_int_eq(nbl_alloc_reassembled(parts, 0, &params, big, big, &whole), -EINVAL);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(nbl_dereference(parts[i]), 0);
	close_big();
}
END_TEST

START_TEST(DV_09_a_segment_a_part_retreated_into_stays_while_the_whole_shows_it)
{
	const struct nbl_fragment_params join = { .delta = 0 };
	struct nbl *n = unit_receive(64, 100), *parts[2], *whole;

	open_big();
	parts[0] = unit_clone(n);
	parts[1] = unit_clone(n);
	ck_assert_int_eq(nbl_retreat(parts[1], 20, 0, big), 0);
	memset(nbl_nb_data(&parts[1]->nb), 0x5a, 20);
	ck_assert_int_eq(nbl_alloc_reassembled(parts, 2, &join, big, NULL, &whole), 0);
	ck_assert_int_eq(nbl_advance(parts[1], 20, true), 0);
	unit_assert_pattern(&parts[1]->nb, 100);
	/* whoever gets the frame next writes into it */
	ck_assert_uint_eq(unit_frames_free(big), 24 - 1);
	for (uint32_t i = 100; i < 120; i++)
		ck_assert_uint_eq(*unit_byte(&whole->nb, i), 0x5a);
	ck_assert_int_eq(nbl_free_reassembled(whole, 0), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(nbl_free_clone(parts[i]), 0);
	unit_expect_violations(0);
	close_big();
	nbl_release(n);
}
END_TEST

START_TEST(DV_09_a_first_part_nobody_holds_leaves_the_others_unpinned)
{
	const struct nbl_fragment_params join = { .delta = 0 };
	struct nbl *parts[] = { unit_receive(64, 100), unit_receive(64, 50) }, *whole = NULL;

	open_big();
	nbl_release(parts[0]);
	ck_assert_int_eq(nbl_alloc_reassembled(parts, 2, &join, big, NULL, &whole), -EINVAL);
	unit_expect_violations(1);
	ck_assert_ptr_null(whole);
	ck_assert_uint_eq(parts[1]->references, 0);
	close_big();
	nbl_release(parts[1]);
	ck_assert(unit_is_home(parts[1]));
}
END_TEST

START_TEST(DV_13_a_partial_clone_has_headers_of_its_own_over_shared_payload)
{
	struct nbl *n[2], *clone;
	const struct nbl_nb *src;

	open_big();
	make_pair(n, 1500, 200);
	ck_assert_int_eq(nbl_alloc_partial_clone(n[0], 54, 64, big, big, &clone), 0);
	ck_assert_uint_eq(clone->kind, NBL_KIND_CLONE);
	ck_assert_ptr_eq(clone->parent, n[0]);
	ck_assert_uint_eq(unit_frames_free(big), 24 - 2);
	src = n[0]->first_nb;
	for (const struct nbl_nb *nb = clone->first_nb; nb; nb = nb->next, src = src->next) {
		unit_assert_pattern(nb, src->data_length);
		ck_assert_uint_ge(nb->data_offset, 64);
		ck_assert_uint_eq(nbl_nb_segment_room(nb), 54);
		memset(nbl_nb_data(nb), 0, 54);
		/* no byte of the payload was copied */
		for (uint32_t i = 54; i < nb->data_length; i++)
			ck_assert_ptr_eq(unit_byte(nb, i), unit_byte(src, i));
	}
	ck_assert_ptr_null(src);
	unit_assert_pattern(&n[0]->nb, 1500);
	unit_assert_pattern(&n[1]->nb, 200);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	unit_expect_violations(0);
	close_big();
	release_pair(n);
}
END_TEST

START_TEST(DV_13_all_of_a_packet_may_be_header_and_no_more_than_that)
{
	struct nbl *n = unit_receive(64, 100), *clone = NULL;

	ck_assert_int_eq(nbl_alloc_partial_clone(n, 101, 0, unit.data, unit.data, &clone), -EINVAL);
	ck_assert_int_eq(nbl_alloc_partial_clone(n, 60, 0, unit.data, NULL, &clone), -ENOBUFS);
	ck_assert_int_eq(nbl_alloc_partial_clone(n, 60, 250, unit.data, unit.data, &clone),
			 -EINVAL);
	ck_assert_ptr_null(clone);
	ck_assert_uint_eq(n->claims, 1);
	unit_assert_full(unit.data);
	ck_assert_int_eq(nbl_alloc_partial_clone(n, 100, 0, unit.data, unit.data, &clone), 0);
	unit_assert_pattern(&clone->nb, 100);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	nbl_release(n);
}
END_TEST

START_TEST(BUG_06_no_derivation_assumes_one_nb_or_keeps_the_link_to_the_next_nbl)
{
	const struct nbl_fragment_params params = { .max_length = 4000 };
	struct nbl *n[2], *out = NULL, *other = unit_receive(64, 100);
	uint32_t count = 0;

	open_big();
	make_pair(n, 600, 200);
	n[0]->next = other;
	if (_i == 0)
		out = nbl_alloc_clone(n[0], big);
	else if (_i == 1)
		ck_assert_int_eq(nbl_alloc_deep_clone(n[0], big, big, &out), 0);
	else if (_i == 2)
		ck_assert_int_eq(nbl_alloc_copy(n[0], big, big, &out), 0);
	else if (_i == 3)
		ck_assert_int_eq(nbl_alloc_partial_clone(n[0], 20, 0, big, big, &out), 0);
	else
		ck_assert_int_eq(nbl_alloc_fragments(n[0], &params, big, NULL, &out), 0);
	ck_assert_ptr_nonnull(out);
	ck_assert_ptr_null(out->next);
	for (const struct nbl_nb *nb = out->first_nb; nb; nb = nb->next, count++)
		unit_assert_pattern(nb, count ? 200 : 600);
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(nbl_size(out), 800);
	/* the same through the window, all NBs or none */
	ck_assert_int_eq(nbl_advance(out, 201, false), -EINVAL);
	ck_assert_uint_eq(nbl_size(out), 800);
	ck_assert_int_eq(nbl_advance(out, 200, false), 0);
	ck_assert_uint_eq(nbl_size(out), 400);
	nbl_release(out);
	n[0]->next = NULL;
	close_big();
	release_pair(n);
	nbl_release(other);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ DV_08_each_packet_is_cut_by_itself_into_pieces_of_at_most_the_length, 1 },
		{ DV_08_the_payload_is_shared_and_pins_the_original, 1 },
		{ DM_14_nothing_is_claimed_of_packets_whose_headers_are_not_written, 1 },
		{ DV_08_freeing_with_another_delta_or_as_another_kind_is_refused_and_counted, 1 },
		{ DV_08_what_cannot_be_cut_leaves_everything_as_it_was, 3 },
		{ DV_08_whatever_runs_out_while_cutting_nothing_is_taken, 4 },
		{ DV_09_three_referenced_fragments_become_one_packet_and_go_when_it_does, 1 },
		{ DV_09_cutting_and_putting_together_gives_the_packet_back, 1 },
		{ DV_09_whatever_runs_out_while_putting_together_no_part_is_pinned, 3 },
		{ DV_09_a_segment_a_part_retreated_into_stays_while_the_whole_shows_it, 1 },
		{ DV_09_a_first_part_nobody_holds_leaves_the_others_unpinned, 1 },
		{ DV_13_a_partial_clone_has_headers_of_its_own_over_shared_payload, 1 },
		{ DV_13_all_of_a_packet_may_be_header_and_no_more_than_that, 1 },
		{ BUG_06_no_derivation_assumes_one_nb_or_keeps_the_link_to_the_next_nbl, 5 },
	};

	return unit_run("fragment", tests, N_ELEMENTS(tests));
}
