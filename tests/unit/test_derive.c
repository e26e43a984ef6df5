// SPDX-License-Identifier: BSD-2-Clause
/* test_derive.c - clones, deep clones and copies: what they are made of and how they go. */
#include "unit.h"

/* An NBL of three NBs over 3, 1 and 2 segments; 'n' + 1 and + 2 only lend their NBs. */
static void make_three(struct nbl *n[3])
{
	static const uint32_t sizes[] = { 100, 5, 300 };
	static const uint32_t two[] = { 20, 100 };

	n[0] = unit_receive_over(30, sizes, 3, 370);
	n[1] = unit_receive(64, 60);
	n[2] = unit_receive_over(0, two, 2, 90);
	n[0]->nb.next = &n[1]->nb;
	n[1]->nb.next = &n[2]->nb;
}

static void release_three(struct nbl *n[3])
{
	for (uint32_t i = 0; i < 3; i++) {
		n[i]->nb.next = NULL;
		nbl_release(n[i]);
	}
}

static void assert_three(const struct nbl *n)
{
	static const uint32_t lengths[] = { 370, 60, 90 };
	const struct nbl_nb *nb = n->first_nb;

	for (uint32_t i = 0; i < 3; i++, nb = nb->next)
		unit_assert_pattern(nb, lengths[i]);
	ck_assert_ptr_null(nb);
}

START_TEST(DV_01_a_clone_describes_the_same_bytes_and_takes_no_frame_and_no_context)
{
	struct nbl *n[3], *clone;

	make_three(n);
	n[0]->context = n;		/* the parent's own */
	clone = unit_clone(n[0]);
	n[0]->context = NULL;
	assert_three(clone);
	ck_assert_ptr_null(clone->context);
	for (const struct nbl_nb *nb = clone->first_nb; nb; nb = nb->next) {
		uint32_t covered = 0;

		for (const struct nbl_segment *s = nb->first_segment; s; s = s->next)
			covered += s->length;
		ck_assert_uint_eq(covered, nb->data_length);
	}
	unit_assert_full(unit.data);
	*unit_byte(&n[2]->nb, 50) ^= 0xff;
	ck_assert_uint_eq(*unit_byte(clone->first_nb->next->next, 50), (uint8_t)~unit_pattern(50));
	*unit_byte(clone->first_nb, 200) ^= 0xff;
	ck_assert_uint_eq(*unit_byte(&n[0]->nb, 200), (uint8_t)~unit_pattern(200));
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	release_three(n);
}
END_TEST

START_TEST(DV_02_a_clone_has_no_headroom_and_a_retreat_leaves_the_header_of_its_parent)
{
	struct nbl *n = unit_receive(64, 100), *clone;

	ck_assert_int_eq(nbl_nb_advance(&n->nb, 14, false), 0);
	clone = unit_clone(n);
	ck_assert_uint_eq(clone->nb.data_offset, 0);
	ck_assert_uint_eq(clone->nb.data_length, 86);
	ck_assert_int_eq(nbl_nb_retreat(&clone->nb, 14, 0, NULL), -ENOBUFS);
	ck_assert_int_eq(nbl_nb_retreat(&clone->nb, 14, 0, unit.data), 0);
	memset(nbl_nb_data(&clone->nb), 0, 14);
	ck_assert_int_eq(nbl_nb_retreat(&n->nb, 14, 0, NULL), 0);
	unit_assert_pattern(&n->nb, 100);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	nbl_release(n);
}
END_TEST

START_TEST(DV_02_a_clone_that_advanced_and_retreats_further_writes_no_shared_byte)
{
	struct nbl *n = unit_receive(64, 100), *clone = unit_clone(n);

	ck_assert_int_eq(nbl_nb_advance(&clone->nb, 14, false), 0);
	ck_assert_int_eq(nbl_nb_retreat(&clone->nb, 18, 0, unit.data), 0);
	ck_assert_uint_eq(clone->nb.data_length, 104);
	memset(nbl_nb_data(&clone->nb), 0, 18);
	unit_assert_pattern(&n->nb, 100);
	ck_assert_uint_eq(*unit_byte(&clone->nb, 18), unit_pattern(14));
	ck_assert_int_eq(nbl_nb_advance(&clone->nb, 18, true), 0);
	unit_assert_full(unit.data);
	ck_assert_int_eq(nbl_nb_retreat(&clone->nb, 14, 0, NULL), 0);
	unit_assert_pattern(&clone->nb, 100);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	nbl_release(n);
}
END_TEST

static bool touches(const struct nbl *n, const struct nbl_segment *with)
{
	for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next) {
		for (const struct nbl_segment *s = nb->first_segment; s; s = s->next) {
			if (s->base < with->base + with->length && with->base < s->base + s->length)
				return true;
		}
	}
	return false;
}

/* True if some segment of 'a' shares a byte with one of 'b'. */
static bool share_memory(const struct nbl *a, const struct nbl *b)
{
	for (const struct nbl_nb *nb = a->first_nb; nb; nb = nb->next) {
		for (const struct nbl_segment *s = nb->first_segment; s; s = s->next) {
			if (touches(b, s))
				return true;
		}
	}
	return false;
}

START_TEST(RF_09_a_deep_clone_has_equal_bytes_of_its_own)
{
	struct nbl *n[3], *clone;

	make_three(n);
	clone = unit_deep_clone(n[0]);
	assert_three(clone);
	ck_assert(!share_memory(n[0], clone));
	for (uint32_t i = 0; i < 370; i++)
		*unit_byte(&n[0]->nb, i) = 0;
	assert_three(clone);
	for (uint32_t i = 0; i < 370; i++) {
		*unit_byte(&n[0]->nb, i) = unit_pattern(i);
		*unit_byte(clone->first_nb, i) = 0;
	}
	assert_three(n[0]);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	release_three(n);
}
END_TEST

START_TEST(RF_09_a_deep_clone_has_its_pools_headroom_and_the_frames_it_needs)
{
	/* bytes that just fill one and two frames behind the headroom, and one more */
	static const struct {
		uint32_t length, n_frames;
	} cases[] = { { 0, 1 }, { 1, 1 }, { 224, 1 }, { 225, 2 }, { 480, 2 }, { 481, 3 } };
	struct nbl *n = unit_receive(64, cases[_i].length), *clone = unit_deep_clone(n);

	ck_assert_uint_eq(clone->nb.data_offset, UNIT_DATA_HEADROOM);
	ck_assert_uint_eq(unit_n_segments(&clone->nb), cases[_i].n_frames);
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES - cases[_i].n_frames);
	unit_assert_pattern(&clone->nb, cases[_i].length);
	ck_assert_int_eq(nbl_nb_retreat(&clone->nb, UNIT_DATA_HEADROOM, 0, NULL), 0);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	nbl_release(n);
}
END_TEST

START_TEST(RF_10_a_deep_clone_has_a_context_and_a_shallow_one_has_none)
{
	struct nbl *n = unit_receive(64, 100), *clone = unit_clone(n), *deep = unit_deep_clone(n);

	ck_assert_ptr_null(clone->context);
	ck_assert_ptr_nonnull(deep->context);
	memset(deep->context, 0x5a, POOL_CONTEXT_SIZE);
	unit_assert_pattern(&deep->nb, 100);
	ck_assert_int_eq(nbl_free_clone(deep), 0);
	deep = unit_deep_clone(n);
	for (int i = 0; i < POOL_CONTEXT_SIZE; i++)
		ck_assert_uint_eq(((uint8_t *)deep->context)[i], 0);
	ck_assert_int_eq(nbl_free_clone(deep), 0);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	nbl_release(n);
}
END_TEST

START_TEST(DV_10_a_derived_nbl_inherits_what_describes_the_bytes)
{
	struct nbl *n = unit_receive(64, 100), *derived[3], was;

	n->nbl_flags = NBL_FLAG_IS_IPV4 | NBL_FLAG_IS_UDP | NBL_FLAG_LOOPBACK |
		       NBL_FLAG_WILL_MODIFY;
	n->frame_type_be = 0x0008;
	n->source_handle = 77;
	n->outcome = NBL_OUTCOME_CONSUMED;
	n->status = NBL_STATUS_FAILURE;
	n->port = 3;
	for (int i = 0; i < NBL_N_INFO; i++)
		n->info[i] = 100 + (uint64_t)i;
	memcpy(&was, n, sizeof(was));
	derived[0] = unit_clone(n);
	derived[1] = unit_deep_clone(n);
	ck_assert_int_eq(nbl_alloc_copy(n, unit.pool, unit.data, &derived[2]), 0);
	for (int i = 0; i < 3; i++) {
		const struct nbl *d = derived[i];

		ck_assert_uint_eq(d->nbl_flags, NBL_FLAG_IS_IPV4 | NBL_FLAG_IS_UDP);
		ck_assert_uint_eq(d->frame_type_be, 0x0008);
		ck_assert_uint_eq(d->port, 3);
		ck_assert_uint_eq(d->info[NBL_INFO_CHECKSUM], 100 + NBL_INFO_CHECKSUM);
		ck_assert_uint_eq(d->info[NBL_INFO_VLAN], 100 + NBL_INFO_VLAN);
		ck_assert_uint_eq(d->info[NBL_INFO_HASH], 100 + NBL_INFO_HASH);
		ck_assert_uint_eq(d->info[NBL_INFO_TIMESTAMP], 100 + NBL_INFO_TIMESTAMP);
		ck_assert_uint_eq(d->info[NBL_INFO_CANCEL_ID], 0);
		ck_assert_uint_eq(d->info[NBL_INFO_WFP], 0);
		ck_assert_uint_eq(d->source_handle, 0);
		ck_assert_uint_eq(d->outcome, NBL_OUTCOME_RETURNED);
		ck_assert_int_eq(d->status, NBL_STATUS_SUCCESS);
	}
	for (int i = 0; i < 3; i++)
		nbl_release(derived[i]);
	ck_assert_mem_eq(n, &was, sizeof(was));
	nbl_release(n);
}
END_TEST

START_TEST(RF_11_both_kinds_name_their_parent_and_the_last_free_sends_it_home)
{
	struct nbl *n = unit_receive(64, 100), *clone = unit_clone(n), *deep = unit_deep_clone(n);

	ck_assert_uint_eq(clone->kind, NBL_KIND_CLONE);
	ck_assert_uint_eq(deep->kind, NBL_KIND_DEEP_CLONE);
	ck_assert_ptr_eq(clone->parent, n);
	ck_assert_ptr_eq(deep->parent, n);
	ck_assert_uint_eq(n->child_ref_count, 2);
	nbl_release(n);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert_uint_eq(n->child_ref_count, 1);
	ck_assert(!unit_is_home(n));
	ck_assert_int_eq(nbl_free_clone(deep), 0);
	ck_assert(unit_is_home(n));
}
END_TEST

/* Derives from 'n' in one of three ways from the fixture's data pool alone. 0 or negative errno. */
static int derive_by(int way, struct nbl *n, struct nbl **ret)
{
	if (way == 1)
		return nbl_alloc_deep_clone(n, unit.data, unit.data, ret);
	if (way == 2)
		return nbl_alloc_copy(n, unit.data, unit.data, ret);
	*ret = nbl_alloc_clone(n, unit.data);
	return *ret ? 0 : -ENOBUFS;
}

START_TEST(RF_12_whatever_runs_out_at_any_step_nothing_is_taken_or_changed)
{
	/* what the NBL of make_three() takes: NBLs, NBs, segments, frames (2 + 1 + 1) */
	static const uint32_t needs[3][4] = { { 1, 2, 3, 0 }, { 1, 2, 1, 4 }, { 1, 2, 1, 4 } };
	struct freelist *lists[] = { &unit.data->free_nbls, &unit.data->free_nbs,
				     &unit.data->free_segments, &unit.data->free_frames };
	struct nbl *n[3], *derived = NULL;
	uint32_t taken[128];

	make_three(n);
	for (uint32_t list = 0; list < 4; list++) {
		for (uint32_t keep = 0; keep <= needs[_i][list]; keep++) {
			uint32_t n_taken = unit_hog(lists[list], keep, taken);
			bool enough = keep == needs[_i][list];

			ck_assert_int_eq(derive_by(_i, n[0], &derived), enough ? 0 : -ENOBUFS);
			if (enough) {
				assert_three(derived);
				nbl_release(derived);
			}
			unit_unhog(lists[list], taken, n_taken);
			unit_assert_full(unit.data);
			ck_assert_uint_eq(n[0]->child_ref_count, 0);
			ck_assert_uint_eq(n[0]->claims, 1);
			assert_three(n[0]);
		}
	}
	release_three(n);
}
END_TEST

START_TEST(RF_12_pools_are_independent_and_null_stands_for_the_default)
{
	struct nbl *n = unit_receive(64, 100), *clone = NULL;

	ck_assert_int_eq(nbl_alloc_deep_clone(n, NULL, unit.data, &clone), -ENOBUFS);
	ck_assert_int_eq(nbl_alloc_deep_clone(n, unit.pool, NULL, &clone), -ENOBUFS);
	ck_assert_int_eq(nbl_alloc_copy(n, NULL, NULL, &clone), -ENOBUFS);
	ck_assert_ptr_null(nbl_alloc_clone(n, NULL));
	ck_assert_int_eq(nbl_alloc_deep_clone(n, unit.data, unit.pool, &clone), -ENOBUFS);
	ck_assert_ptr_null(clone);
	nbl_set_default_pools(unit.pool, unit.data);
	ck_assert_int_eq(nbl_alloc_deep_clone(n, NULL, NULL, &clone), 0);
	ck_assert_ptr_eq(clone->home, &unit.pool->home);
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES - 1);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert_int_eq(nbl_alloc_deep_clone(n, unit.data, NULL, &clone), 0);
	ck_assert_ptr_eq(clone->home, &unit.data->home);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	nbl_set_default_pools(NULL, NULL);
	nbl_release(n);
}
END_TEST

START_TEST(RF_13_a_freed_deep_clone_gives_its_frames_to_their_own_pool)
{
	struct nbl *n = unit_receive(64, 500), *clone = unit_deep_clone(n);
	struct nbl_pool *other = unit_pool_new(2, 8, UNIT_DATA_FRAME_SIZE, 0);

	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES - 3);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES);
	/* where the pool of its descriptor has frames, too */
	ck_assert_int_eq(nbl_alloc_deep_clone(n, other, unit.data, &clone), 0);
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES - 3);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	unit_assert_full(unit.data);
	unit_assert_full(other);
	ck_assert_int_eq(nbl_pool_free(other), 0);
	ck_assert_uint_eq(unit_n_released(n), 0);
	nbl_release(n);
}
END_TEST

START_TEST(RF_13_freeing_as_a_clone_what_is_none_is_refused_and_counted)
{
	struct nbl *n = unit_receive(64, 100), *fresh = nbl_pool_alloc(unit.pool), *clone;

	ck_assert_int_eq(nbl_free_clone(n), -EINVAL);
	ck_assert_int_eq(nbl_free_clone(fresh), -EINVAL);
	unit_expect_violations(2);
	clone = unit_clone(n);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert_int_eq(nbl_free_clone(clone), -EINVAL);
	unit_expect_violations(3);
	ck_assert_uint_eq(n->child_ref_count, 0);
	ck_assert_int_eq(nbl_free(fresh), 0);
	nbl_release(n);
}
END_TEST

/* What a callout may do to a clone of make_three() and not undo; 'foreign' is its own segment. */
static void edit(int how, struct nbl *clone, struct nbl_segment *foreign)
{
	struct nbl_nb *nb = clone->first_nb;

	switch (how) {
	case 0:			/* replace the first segment */
		foreign->next = nb->first_segment->next;
		nb->first_segment = foreign;
		break;
	case 1:			/* insert one in front */
		foreign->next = nb->first_segment;
		nb->first_segment = foreign;
		break;
	case 2:			/* insert one behind the first */
		foreign->next = nb->first_segment->next;
		nb->first_segment->next = foreign;
		break;
	case 3:			/* cut off the rest */
		nb->first_segment->next = NULL;
		break;
	case 4:			/* point a segment elsewhere */
		nb->first_segment->base = foreign->base;
		break;
	case 5:			/* drop an NB from the list */
		nb->next = nb->next->next;
		break;
	case 6:			/* lose the first NB */
		clone->first_nb = nb->next;
		break;
	case 7:			/* a loop */
		nb->first_segment->next = nb->first_segment;
		break;
	case 8:			/* cut a segment short */
		nb->first_segment->length--;
		break;
	case 9:			/* point one behind the first elsewhere */
		nb->first_segment->next->base = foreign->base;
		break;
	case 10:		/* say that it is in another frame */
		nb->first_segment->frame ^= 1;
		break;
	default:		/* over the segment of a retreat */
		ck_assert_int_eq(nbl_nb_retreat(nb, 250, 0, unit.data), 0);
		foreign->next = nb->first_segment->next;
		nb->first_segment = foreign;
		break;
	}
}

START_TEST(RF_14_an_edit_left_in_a_clone_is_counted_and_loses_nothing)
{
	struct nbl *n[3], *clone;
	struct nbl_segment *foreign = calloc(1, sizeof(*foreign));
	uint8_t bytes[128] = { 0 };

	foreign->base = bytes;
	foreign->length = sizeof(bytes);
	foreign->frame = NBL_NO_FRAME;
	make_three(n);
	clone = _i % 2 ? unit_deep_clone(n[0]) : unit_clone(n[0]);
	edit(_i / 2, clone, foreign);
	/* gone before the clone is: nobody may follow the links to it */
	free(foreign);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	unit_expect_violations(1);
	unit_assert_full(unit.pool);
	unit_assert_full(unit.data);
	release_three(n);
}
END_TEST

START_TEST(RF_14_an_edit_that_was_undone_is_no_violation)
{
	struct nbl *n[3], *clone;
	struct nbl_segment foreign = { .frame = NBL_NO_FRAME }, *first;

	make_three(n);
	clone = _i ? unit_deep_clone(n[0]) : unit_clone(n[0]);
	first = clone->first_nb->first_segment;
	foreign.next = first->next;
	clone->first_nb->first_segment = &foreign;
	clone->first_nb->first_segment = first;
	ck_assert_int_eq(nbl_advance(clone, 40, false), 0);
	ck_assert_int_eq(nbl_nb_retreat(clone->first_nb->next, 240, 0, unit.data), 0);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	unit_expect_violations(0);
	release_three(n);
}
END_TEST

START_TEST(a_clone_of_an_nbl_whose_window_lies_is_refused_and_counted)
{
	struct nbl *n = unit_receive(64, 100), *clone = NULL;

	n->nb.data_length += 1000;
	ck_assert_ptr_null(nbl_alloc_clone(n, unit.pool));
	ck_assert_int_eq(nbl_alloc_deep_clone(n, unit.pool, unit.data, &clone), -EINVAL);
	unit_expect_violations(2);
	n->nb.data_length -= 1000;
	nbl_release(n);
}
END_TEST

START_TEST(RF_15_a_copy_pins_nothing_and_outlives_its_original)
{
	struct nbl *n[3], *copy;

	make_three(n);
	ck_assert_int_eq(nbl_alloc_copy(n[0], unit.pool, unit.data, &copy), 0);
	ck_assert_uint_eq(copy->kind, NBL_KIND_FRESH);
	ck_assert_ptr_null(copy->parent);
	ck_assert_uint_eq(n[0]->child_ref_count, 0);
	ck_assert(nbl_claim_is_sole(n[0]));
	ck_assert(!share_memory(n[0], copy));
	release_three(n);
	ck_assert(unit_is_home(n[0]));
	assert_three(copy);
	ck_assert_int_eq(nbl_free_clone(copy), -EINVAL);
	unit_expect_violations(1);
	ck_assert_int_eq(nbl_free(copy), 0);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ DV_01_a_clone_describes_the_same_bytes_and_takes_no_frame_and_no_context, 1 },
		{ DV_02_a_clone_has_no_headroom_and_a_retreat_leaves_the_header_of_its_parent, 1 },
		{ DV_02_a_clone_that_advanced_and_retreats_further_writes_no_shared_byte, 1 },
		{ RF_09_a_deep_clone_has_equal_bytes_of_its_own, 1 },
		{ RF_09_a_deep_clone_has_its_pools_headroom_and_the_frames_it_needs, 6 },
		{ RF_10_a_deep_clone_has_a_context_and_a_shallow_one_has_none, 1 },
		{ DV_10_a_derived_nbl_inherits_what_describes_the_bytes, 1 },
		{ RF_11_both_kinds_name_their_parent_and_the_last_free_sends_it_home, 1 },
		{ RF_12_whatever_runs_out_at_any_step_nothing_is_taken_or_changed, 3 },
		{ RF_12_pools_are_independent_and_null_stands_for_the_default, 1 },
		{ RF_13_a_freed_deep_clone_gives_its_frames_to_their_own_pool, 1 },
		{ RF_13_freeing_as_a_clone_what_is_none_is_refused_and_counted, 1 },
		{ RF_14_an_edit_left_in_a_clone_is_counted_and_loses_nothing, 24 },
		{ RF_14_an_edit_that_was_undone_is_no_violation, 2 },
		{ a_clone_of_an_nbl_whose_window_lies_is_refused_and_counted, 1 },
		{ RF_15_a_copy_pins_nothing_and_outlives_its_original, 1 },
	};

	return unit_run("derive", tests, N_ELEMENTS(tests));
}
