// SPDX-License-Identifier: BSD-2-Clause
/* test_window.c - moving the used data of an NB. */
#include "unit.h"

/* The whole of an NB's state, to show that a refused call changed nothing. */
struct nb_state {
	struct nbl_nb nb;
	uint32_t n_segments;
};

static struct nb_state state_of(const struct nbl_nb *nb)
{
	return (struct nb_state){ .nb = *nb, .n_segments = unit_n_segments(nb) };
}

static void assert_unchanged(const struct nbl_nb *nb, struct nb_state was)
{
	ck_assert_mem_eq(nb, &was.nb, sizeof(*nb));
	ck_assert_uint_eq(unit_n_segments(nb), was.n_segments);
	ck_assert(nbl_nb_is_sound(nb));
}

/* A stack of bytes beside the NB under test: what its used data should be. */
struct model {
	uint8_t bytes[8192];
	uint32_t start, length;
};

static void model_of(struct model *m, const struct nbl_nb *nb)
{
	m->start = 4096;
	m->length = nb->data_length;
	for (uint32_t i = 0; i < m->length; i++)
		m->bytes[m->start + i] = *unit_byte(nb, i);
}

static void assert_like_model(const struct nbl_nb *nb, const struct model *m)
{
	uint32_t same = 0;

	ck_assert(nbl_nb_is_sound(nb));
	ck_assert_uint_eq(nb->data_length, m->length);
	while (same < m->length && *unit_byte(nb, same) == m->bytes[m->start + same])
		same++;
	ck_assert_uint_eq(same, m->length);
}

static void model_retreat(struct model *m, struct nbl_nb *nb, struct unit_random *r)
{
	uint32_t delta = unit_random_below(r, 200), backfill = unit_random_below(r, 56);
	struct nbl_pool *pool = unit_random_below(r, 4) ? unit.data : NULL;
	struct nb_state was = state_of(nb);

	if (delta > m->start || nbl_nb_retreat(nb, delta, backfill, pool) < 0) {
		assert_unchanged(nb, was);
		return;
	}
	m->start -= delta;
	m->length += delta;
	for (uint32_t i = 0; i < delta; i++) {
		m->bytes[m->start + i] = (uint8_t)unit_random_below(r, 256);
		*unit_byte(nb, i) = m->bytes[m->start + i];
	}
}

static void model_advance(struct model *m, struct nbl_nb *nb, struct unit_random *r)
{
	uint32_t delta = unit_random_below(r, 220);
	struct nb_state was = state_of(nb);

	if (delta > m->length) {
		ck_assert_int_eq(nbl_nb_advance(nb, delta, true), -EINVAL);
		assert_unchanged(nb, was);
		return;
	}
	ck_assert_int_eq(nbl_nb_advance(nb, delta, unit_random_below(r, 2)), 0);
	m->start += delta;
	m->length -= delta;
}

static void model_view(const struct model *m, const struct nbl_nb *nb, struct unit_random *r)
{
	uint8_t storage[8192];
	uint32_t length = unit_random_below(r, m->length + 3);
	const void *view = nbl_nb_view(nb, length, storage, 1, 0);

	if (length > m->length)
		ck_assert_ptr_null(view);
	else if (length)
		ck_assert_mem_eq(view, m->bytes + m->start, length);
}

/* One shape of NBL per case: a receive frame, several segments, each kind of derived NBL. */
static struct nbl *make_shape(int shape)
{
	static const uint32_t sizes[] = { 40, 1, 100, 0, 7, 300, 50 };
	struct nbl *n = unit_receive_over(20, sizes, N_ELEMENTS(sizes), 400), *derived = NULL;

	if (shape == 0)
		return n;
	if (shape == 1) {
		nbl_release(n);
		return unit_receive(96, 500);
	}
	if (shape == 2)
		derived = nbl_alloc_clone(n, unit.pool);
	else if (shape == 3)
		ck_assert_int_eq(nbl_alloc_deep_clone(n, unit.pool, unit.data, &derived), 0);
	else if (shape == 4)
		ck_assert_int_eq(nbl_alloc_copy(n, unit.pool, unit.data, &derived), 0);
	else
		derived = nbl_pool_alloc(unit.pool);
	nbl_release(n);
	ck_assert_ptr_nonnull(derived);
	return derived;
}

START_TEST(DM_04_random_moves_keep_the_window_sound_and_the_bytes_right)
{
	struct unit_random r = unit_random(0x5eed0100 + (uint64_t)_i);
	struct model m;

	for (int round = 0; round < 200; round++) {
		struct nbl *n = make_shape(_i);

		model_of(&m, &n->nb);
		for (int step = 0; step < 100; step++) {
			uint32_t what = unit_random_below(&r, 5);

			if (what < 2)
				model_retreat(&m, &n->nb, &r);
			else if (what < 4)
				model_advance(&m, &n->nb, &r);
			else
				model_view(&m, &n->nb, &r);
			assert_like_model(&n->nb, &m);
		}
		nbl_release(n);
		unit_assert_full(unit.data);
	}
}
END_TEST

START_TEST(DM_04_a_window_that_lies_is_not_sound)
{
	static const uint32_t sizes[] = { 50, 50 };
	struct nbl *n = unit_receive_over(20, sizes, 2, 80);
	struct nbl_nb good = n->nb, bad;

	bad = good;
	bad.data_offset++;
	ck_assert(!nbl_nb_is_sound(&bad));
	bad = good;
	bad.current_offset--;
	ck_assert(!nbl_nb_is_sound(&bad));
	bad = good;
	bad.current_segment = n->segment.next;
	ck_assert(!nbl_nb_is_sound(&bad));
	bad = good;
	bad.data_length++;
	ck_assert(!nbl_nb_is_sound(&bad));
	bad = good;
	bad.data_length = UINT32_MAX - 1;
	ck_assert(!nbl_nb_is_sound(&bad));
	bad = good;
	bad.first_segment = NULL;
	ck_assert(!nbl_nb_is_sound(&bad));
	bad = good;
	bad.data_offset = bad.current_offset = 101;
	bad.data_length = 0;
	ck_assert(!nbl_nb_is_sound(&bad));
	ck_assert(nbl_nb_is_sound(&good));
	nbl_release(n);
}
END_TEST

START_TEST(AR_01_retreat_inside_the_headroom_moves_offsets_only)
{
	struct nbl *n = unit_receive(64, 100);
	uint8_t *data = nbl_nb_data(&n->nb);

	ck_assert_int_eq(nbl_nb_retreat(&n->nb, 14, 0, NULL), 0);
	ck_assert_uint_eq(n->nb.data_offset, 50);
	ck_assert_uint_eq(n->nb.data_length, 114);
	ck_assert_uint_eq(unit_n_segments(&n->nb), 1);
	ck_assert_ptr_eq(nbl_nb_data(&n->nb), data - 14);
	ck_assert_int_eq(nbl_nb_retreat(&n->nb, 50, 99, unit.data), 0);
	ck_assert_uint_eq(n->nb.data_offset, 0);
	ck_assert_uint_eq(unit_n_segments(&n->nb), 1);
	unit_assert_full(unit.data);
	nbl_release(n);
}
END_TEST

START_TEST(AR_01_retreat_beyond_the_headroom_puts_all_new_bytes_into_one_new_segment)
{
	struct nbl *n = unit_receive(10, 100);

	ck_assert_int_eq(nbl_nb_retreat(&n->nb, 14, 20, unit.data), 0);
	ck_assert_uint_eq(unit_n_segments(&n->nb), 2);
	ck_assert_uint_ge(n->nb.data_offset, 20);
	ck_assert_uint_eq(n->nb.data_length, 114);
	ck_assert_uint_eq(nbl_nb_segment_room(&n->nb), 14);
	ck_assert(nbl_nb_is_sound(&n->nb));
	memset(nbl_nb_data(&n->nb), 0x55, 14);
	for (uint32_t i = 0; i < 10; i++)
		ck_assert_uint_eq(n->segment.base[i], 0xaa);
	ck_assert_uint_eq(*unit_byte(&n->nb, 14), unit_pattern(0));
	ck_assert_int_eq(nbl_nb_advance(&n->nb, 14, true), 0);
	ck_assert_uint_eq(n->nb.data_offset, 10);
	unit_assert_pattern(&n->nb, 100);
	nbl_release(n);
}
END_TEST

START_TEST(AR_01_retreat_by_a_whole_frame_fits_and_by_one_more_does_not)
{
	struct nbl *n = unit_receive(0, 100);
	struct nb_state was = state_of(&n->nb);

	ck_assert_int_eq(nbl_nb_retreat(&n->nb, UNIT_DATA_FRAME_SIZE + 1, 0, unit.data), -EINVAL);
	assert_unchanged(&n->nb, was);
	ck_assert_int_eq(nbl_nb_retreat(&n->nb, UNIT_DATA_FRAME_SIZE, 1, unit.data), -EINVAL);
	assert_unchanged(&n->nb, was);
	ck_assert_int_eq(nbl_nb_retreat(&n->nb, UNIT_DATA_FRAME_SIZE, 0, unit.data), 0);
	ck_assert_uint_eq(n->nb.data_offset, 0);
	ck_assert(nbl_nb_is_sound(&n->nb));
	nbl_release(n);
}
END_TEST

START_TEST(AR_01_a_refused_retreat_changes_nothing)
{
	static const struct {
		uint32_t delta, backfill;
		int pool;		/* 0 none, 1 without frames, 2 exhausted, 3 full */
		int error;
	} cases[] = {
		{ 65, 0, 0, -ENOBUFS },
		{ 65, 0, 1, -ENOBUFS },
		{ 65, 0, 2, -ENOBUFS },
		{ UINT32_MAX, 0, 3, -EINVAL },
		{ UINT32_MAX - 99, 0, 3, -EINVAL },
		{ 100, UINT32_MAX, 3, -EINVAL },
	};
	struct nbl *n = unit_receive(64, 100);
	struct nb_state was = state_of(&n->nb);
	uint32_t taken[UNIT_N_DATA_FRAMES], n_taken = 0;
	struct nbl_pool *pools[] = { NULL, unit.pool, unit.data, unit.data };

	if (cases[_i].pool == 2)
		n_taken = unit_hog(&unit.data->free_frames, 0, taken);
	ck_assert_int_eq(nbl_nb_retreat(&n->nb, cases[_i].delta, cases[_i].backfill,
					pools[cases[_i].pool]), cases[_i].error);
	assert_unchanged(&n->nb, was);
	unit_unhog(&unit.data->free_frames, taken, n_taken);
	nbl_release(n);
}
END_TEST

START_TEST(AR_02_advance_with_free_undoes_a_stack_of_retreats_exactly)
{
	static const uint32_t sizes[] = { 30, 30, 200 };
	struct nbl *n = unit_receive_over(20, sizes, 3, 150);
	uint32_t deltas[] = { 14, 200, 3, 256, 90 };
	struct nb_state was[N_ELEMENTS(deltas)];

	ck_assert_int_eq(nbl_nb_advance(&n->nb, 35, false), 0);
	for (size_t i = 0; i < N_ELEMENTS(deltas); i++) {
		was[i] = state_of(&n->nb);
		ck_assert_int_eq(nbl_nb_retreat(&n->nb, deltas[i], 0, unit.data), 0);
		ck_assert(nbl_nb_is_sound(&n->nb));
	}
	ck_assert_uint_lt(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES);
	for (size_t i = N_ELEMENTS(deltas); i-- > 0;) {
		ck_assert_int_eq(nbl_nb_advance(&n->nb, deltas[i], true), 0);
		assert_unchanged(&n->nb, was[i]);
	}
	unit_assert_full(unit.data);
	ck_assert_int_eq(nbl_nb_retreat(&n->nb, 35, 0, NULL), 0);
	unit_assert_pattern(&n->nb, 150);
	nbl_release(n);
}
END_TEST

START_TEST(AR_02_advance_without_free_keeps_the_segment_for_the_next_retreat)
{
	struct nbl *n = unit_receive(0, 100);

	ck_assert_int_eq(nbl_nb_retreat(&n->nb, 50, 0, unit.data), 0);
	ck_assert_int_eq(nbl_nb_advance(&n->nb, 50, false), 0);
	unit_assert_pattern(&n->nb, 100);
	ck_assert_uint_eq(unit_n_segments(&n->nb), 2);
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES - 1);
	ck_assert_int_eq(nbl_nb_retreat(&n->nb, 50, 0, NULL), 0);
	ck_assert_int_eq(nbl_nb_advance(&n->nb, 49, true), 0);
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES - 1);
	ck_assert_int_eq(nbl_nb_advance(&n->nb, 1, true), 0);
	unit_assert_full(unit.data);
	unit_assert_pattern(&n->nb, 100);
	nbl_release(n);
}
END_TEST

START_TEST(AR_02_advance_does_not_free_a_segment_that_another_was_put_before)
{
	struct nbl *n = unit_receive(0, 100);
	struct nbl_segment foreign = { .frame = NBL_NO_FRAME };

	ck_assert_int_eq(nbl_nb_retreat(&n->nb, 50, 0, unit.data), 0);
	foreign.next = n->nb.first_segment;
	n->nb.first_segment = &foreign;
	ck_assert_int_eq(nbl_nb_advance(&n->nb, 50, true), 0);
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES - 1);
	ck_assert_ptr_eq(n->nb.first_segment, &foreign);
	n->nb.first_segment = foreign.next;
	ck_assert_int_eq(nbl_nb_advance(&n->nb, 0, true), 0);
	unit_assert_full(unit.data);
	unit_assert_pattern(&n->nb, 100);
	nbl_release(n);
}
END_TEST

START_TEST(AR_02_advance_over_all_of_a_receive_frame_frees_none_of_it)
{
	static const uint32_t sizes[] = { 50, 50, 50 };
	struct nbl *n = unit_receive_over(10, sizes, 3, 140);
	struct nb_state was = state_of(&n->nb);

	ck_assert_int_eq(nbl_nb_advance(&n->nb, 141, true), -EINVAL);
	assert_unchanged(&n->nb, was);
	ck_assert_int_eq(nbl_nb_advance(&n->nb, 140, true), 0);
	ck_assert(nbl_nb_is_sound(&n->nb));
	ck_assert_uint_eq(unit_n_segments(&n->nb), 3);
	ck_assert_int_eq(nbl_nb_retreat(&n->nb, 140, 0, NULL), 0);
	assert_unchanged(&n->nb, was);
	unit_assert_pattern(&n->nb, 140);
	nbl_release(n);
}
END_TEST

/* An NBL of three NBs: that of n[0], and those of two others until unlink_three(). */
static void link_three(struct nbl *n[3], const uint32_t headrooms[3])
{
	for (uint32_t i = 0; i < 3; i++)
		n[i] = unit_receive(headrooms[i], 100);
	n[0]->nb.next = &n[1]->nb;
	n[1]->nb.next = &n[2]->nb;
}

static void unlink_three(struct nbl *n[3])
{
	for (uint32_t i = 0; i < 3; i++) {
		n[i]->nb.next = NULL;
		nbl_release(n[i]);
	}
}

START_TEST(AR_03_retreat_of_three_nbs_changes_all_or_none_whatever_runs_out)
{
	static const uint32_t headrooms[] = { 0, 64, 5 };	/* the first and last need one */
	struct freelist *lists[] = { &unit.data->free_frames, &unit.data->free_segments };
	uint32_t taken[128];
	struct nb_state was[3];
	struct nbl *n[3];

	link_three(n, headrooms);
	for (uint32_t i = 0; i < 3; i++)
		was[i] = state_of(&n[i]->nb);
	for (uint32_t keep = 0; keep < 2; keep++) {
		uint32_t n_taken = unit_hog(lists[_i], keep, taken);

		ck_assert_int_eq(nbl_retreat(n[0], 14, 0, unit.data), -ENOBUFS);
		for (uint32_t i = 0; i < 3; i++)
			assert_unchanged(&n[i]->nb, was[i]);
		unit_unhog(lists[_i], taken, n_taken);
		unit_assert_full(unit.data);
	}
	ck_assert_int_eq(nbl_retreat(n[0], 14, 0, unit.data), 0);
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES - 2);
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(n[i]->nb.data_length, 114);
		ck_assert(nbl_nb_is_sound(&n[i]->nb));
	}
	ck_assert_int_eq(nbl_advance(n[0], 14, true), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_unchanged(&n[i]->nb, was[i]);
	unlink_three(n);
}
END_TEST

START_TEST(AR_03_a_refused_retreat_keeps_segments_that_earlier_advances_kept)
{
	static const uint32_t headrooms[] = { 0, 0, 0 };
	uint32_t taken[UNIT_N_DATA_FRAMES], n_taken;
	struct nb_state was[3];
	struct nbl *n[3];

	link_three(n, headrooms);
	ck_assert_int_eq(nbl_nb_retreat(&n[0]->nb, 50, 0, unit.data), 0);
	ck_assert_int_eq(nbl_nb_advance(&n[0]->nb, 50, false), 0);
	for (uint32_t i = 0; i < 3; i++)
		was[i] = state_of(&n[i]->nb);
	n_taken = unit_hog(&unit.data->free_frames, 1, taken);
	ck_assert_int_eq(nbl_retreat(n[0], 20, 0, unit.data), -ENOBUFS);
	for (uint32_t i = 0; i < 3; i++)
		assert_unchanged(&n[i]->nb, was[i]);
	unit_unhog(&unit.data->free_frames, taken, n_taken);
	unlink_three(n);
}
END_TEST

START_TEST(AR_03_advance_of_three_nbs_changes_all_or_none)
{
	static const uint32_t headrooms[] = { 64, 64, 64 };
	struct nb_state was[3];
	struct nbl *n[3];

	link_three(n, headrooms);
	ck_assert_int_eq(nbl_nb_advance(&n[2]->nb, 90, false), 0);
	for (uint32_t i = 0; i < 3; i++)
		was[i] = state_of(&n[i]->nb);
	ck_assert_int_eq(nbl_advance(n[0], 11, true), -EINVAL);
	for (uint32_t i = 0; i < 3; i++)
		assert_unchanged(&n[i]->nb, was[i]);
	ck_assert_int_eq(nbl_advance(n[0], 10, true), 0);
	ck_assert_uint_eq(n[2]->nb.data_length, 0);
	ck_assert_int_eq(nbl_retreat(n[0], 10, 0, NULL), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_unchanged(&n[i]->nb, was[i]);
	unlink_three(n);
}
END_TEST

START_TEST(AR_04_segments_of_a_retreat_nobody_undid_go_back_when_the_nbl_goes_home)
{
	struct nbl *n = unit_receive(0, 100);

	ck_assert(nbl_claim_is_sole(n));
	ck_assert_int_eq(nbl_nb_retreat(&n->nb, 14, 0, unit.data), 0);
	ck_assert_int_eq(nbl_nb_retreat(&n->nb, 250, 0, unit.data), 0);
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES - 2);
	ck_assert(!nbl_claim_is_sole(n));
	nbl_release(n);
	unit_assert_full(unit.data);
}
END_TEST

START_TEST(DV_05_undoing_a_retreat_keeps_the_segments_that_a_clone_shows_until_the_nbl_goes_home)
{
	struct nbl *n = unit_receive(0, 100), *clone;
	struct nb_state was = state_of(&n->nb);

	ck_assert_int_eq(nbl_retreat(n, 30, 0, unit.data), 0);
	memset(nbl_nb_data(&n->nb), 0x5a, 30);
	clone = unit_clone(n);
	ck_assert_int_eq(nbl_advance(n, 30, true), 0);
	was.nb.flags = n->nb.flags;	/* where the one that is kept is noted */
	assert_unchanged(&n->nb, was);
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES - 1);
	for (uint32_t i = 0; i < 30; i++)
		ck_assert_uint_eq(*unit_byte(&clone->nb, i), 0x5a);
	/* one of its own beside the one that is kept */
	ck_assert_int_eq(nbl_retreat(n, 10, 0, unit.data), 0);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert_int_eq(nbl_advance(n, 10, true), 0);
	assert_unchanged(&n->nb, was);
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES - 1);
	nbl_release(n);
	unit_assert_full(unit.data);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ DM_04_random_moves_keep_the_window_sound_and_the_bytes_right, 6 },
		{ DM_04_a_window_that_lies_is_not_sound, 1 },
		{ AR_01_retreat_inside_the_headroom_moves_offsets_only, 1 },
		{ AR_01_retreat_beyond_the_headroom_puts_all_new_bytes_into_one_new_segment, 1 },
		{ AR_01_retreat_by_a_whole_frame_fits_and_by_one_more_does_not, 1 },
		{ AR_01_a_refused_retreat_changes_nothing, 6 },
		{ AR_02_advance_with_free_undoes_a_stack_of_retreats_exactly, 1 },
		{ AR_02_advance_without_free_keeps_the_segment_for_the_next_retreat, 1 },
		{ AR_02_advance_does_not_free_a_segment_that_another_was_put_before, 1 },
		{ AR_02_advance_over_all_of_a_receive_frame_frees_none_of_it, 1 },
		{ AR_03_retreat_of_three_nbs_changes_all_or_none_whatever_runs_out, 2 },
		{ AR_03_a_refused_retreat_keeps_segments_that_earlier_advances_kept, 1 },
		{ AR_03_advance_of_three_nbs_changes_all_or_none, 1 },
		{ AR_04_segments_of_a_retreat_nobody_undid_go_back_when_the_nbl_goes_home, 1 },
		{ DV_05_undoing_a_retreat_keeps_the_segments_that_a_clone_shows_until_the_nbl_goes_home, 1 },
	};

	return unit_run("window", tests, N_ELEMENTS(tests));
}
