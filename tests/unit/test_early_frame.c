// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_early_frame.c - a frame goes home before its descriptor
 * once only deep clones are left (AMB-01).
 */
#include "unit.h"

#include <nbl/fragment.h>
#include <nbl/raw.h>

/* A home that can part with frames: like a lane with descriptors to spare. */
struct spare_home {
	struct nbl_home home;
	struct nbl n;
	uint8_t frame[256];
	_Atomic uint32_t n_frames, n_released;
	_Atomic uint32_t n_wrong;	/* a frame after its descriptor, or twice */
};

static void spare_release_frame(struct nbl_home *home, struct nbl *n)
{
	struct spare_home *h = (struct spare_home *)home;

	if (n->segment.frame != 5 || h->n_frames++ || h->n_released)
		h->n_wrong++;
	/* the next packet is written there at once */
	memset(h->frame, 0xdd, sizeof(h->frame));
}

static void spare_release(struct nbl_home *home, struct nbl *n)
{
	struct spare_home *h = (struct spare_home *)home;

	if (n->segment.frame != NBL_NO_FRAME)
		h->n_frames++;
	if (h->n_released++ || h->n_frames != 1)
		h->n_wrong++;
}

static struct nbl *spare_receive(struct spare_home *h, bool can_part)
{
	memset(h, 0, sizeof(*h));
	h->home.release = spare_release;
	h->home.release_frame = can_part ? spare_release_frame : NULL;
	nbl_init_receive(&h->n, &h->home, h->frame, sizeof(h->frame), 5);
	nbl_arm_receive(&h->n, 64, 100);
	for (uint32_t i = 0; i < 100; i++)
		h->frame[64 + i] = unit_pattern(i);
	return &h->n;
}

/* The _i-th ordering of 0..n-1. */
static void order_of(int number, int *order, int n)
{
	for (int i = 0; i < n; i++)
		order[i] = i;
	for (int i = 0; i < n; i++) {
		int pick = i + number % (n - i), swap = order[i];

		number /= n - i;
		order[i] = order[pick];
		order[pick] = swap;
	}
}

START_TEST(AMB_01_the_frame_goes_with_the_last_who_reads_it_and_the_descriptor_with_the_last_of_all)
{
	static struct spare_home h;
	struct nbl *n = spare_receive(&h, true), *shallow, *deep[2];
	int order[5], readers = 3;

	order_of(_i, order, 5);
	nbl_reference(n, false);
	shallow = unit_clone(n);
	deep[0] = unit_deep_clone(n);
	deep[1] = unit_deep_clone(n);
	ck_assert_uint_eq(n->child_ref_count, 3);
	for (int i = 0; i < 5; i++) {
		ck_assert_uint_eq(h.n_released, 0);
		if (order[i] == 0)
			nbl_release(n);
		else if (order[i] == 1)
			ck_assert_int_eq(nbl_dereference(n), 0);
		else if (order[i] == 2)
			ck_assert_int_eq(nbl_free_clone(shallow), 0);
		else
			ck_assert_int_eq(nbl_free_clone(deep[order[i] - 3]), 0);
		readers -= order[i] < 3;
		ck_assert_uint_eq(h.n_frames, readers ? 0 : 1);
	}
	ck_assert_uint_eq(h.n_released, 1);
	ck_assert_uint_eq(h.n_wrong, 0);
	ck_assert_uint_eq(n->child_ref_count, 0);
}
END_TEST

START_TEST(AMB_01_the_parent_that_is_left_is_a_descriptor_without_bytes_that_nobody_can_pin)
{
	static struct spare_home h;
	struct nbl *n = spare_receive(&h, true), *deep = unit_deep_clone(n), *out = NULL;

	n->source_handle = 42;
	nbl_release(n);
	ck_assert_uint_eq(h.n_frames, 1);
	ck_assert_ptr_eq(deep->parent, n);
	ck_assert_uint_eq(n->child_ref_count, 1);
	ck_assert_uint_eq(n->source_handle, 42);
	ck_assert_uint_eq(nbl_size(n), 0);
	ck_assert(nbl_nb_is_sound(&n->nb));
	unit_assert_pattern(&deep->nb, 100);
	nbl_reference(n, false);
	ck_assert_ptr_null(nbl_alloc_clone(n, unit.pool));
	ck_assert_int_eq(nbl_alloc_deep_clone(n, unit.pool, unit.data, &out), -EINVAL);
	nbl_release(n);
	unit_expect_violations(4);
	ck_assert_uint_eq(n->references, 0);
	ck_assert_int_eq(nbl_free_clone(deep), 0);
	ck_assert_uint_eq(h.n_released, 1);
	ck_assert_uint_eq(h.n_wrong, 0);
}
END_TEST

START_TEST(AMB_01_by_the_letter_the_frame_stays_until_the_last_deep_clone)
{
	static struct spare_home h;
	struct nbl *n = spare_receive(&h, _i), *deep;

	/* 0: the home cannot part with it; 1: it must not */
	nbl_set_strict_parent_pin(_i);
	deep = unit_deep_clone(n);
	nbl_set_strict_parent_pin(false);
	nbl_release(n);
	ck_assert_uint_eq(h.n_frames, 0);
	unit_assert_pattern(&n->nb, 100);
	ck_assert_int_eq(nbl_free_clone(deep), 0);
	ck_assert_uint_eq(h.n_frames, 1);
	ck_assert_uint_eq(h.n_released, 1);
	ck_assert_uint_eq(h.n_wrong, 0);
}
END_TEST

START_TEST(AMB_01_a_clone_in_between_does_not_keep_the_frame_for_a_deep_clone_of_it)
{
	static struct spare_home h;
	struct nbl *n = spare_receive(&h, true), *middle, *deep;
	int order[3];
	bool done[3] = { false };

	order_of(_i % 6, order, 3);
	middle = _i < 6 ? unit_clone(n) : NULL;
	if (!middle)
		ck_assert_int_eq(nbl_alloc_partial_clone(n, 20, 0, unit.pool, unit.data, &middle),
				 0);
	ck_assert_int_eq(nbl_alloc_deep_clone(middle, unit.pool, unit.data, &deep), 0);
	for (int i = 0; i < 3; i++) {
		if (order[i] == 0)
			nbl_release(n);
		else
			ck_assert_int_eq(nbl_free_clone(order[i] == 1 ? middle : deep), 0);
		done[order[i]] = true;
		ck_assert_uint_eq(h.n_frames, done[0] && done[1]);
		ck_assert_uint_eq(h.n_released, done[0] && done[1] && done[2]);
		ck_assert_uint_eq(n->child_ref_count, !(done[1] && done[2]));
	}
	ck_assert_uint_eq(h.n_wrong, 0);
	unit_expect_violations(0);
}
END_TEST

START_TEST(AMB_01_segments_a_retreat_prepended_go_back_with_the_frame)
{
	static struct spare_home h;
	struct nbl *n = spare_receive(&h, true), *deep;

	ck_assert_int_eq(nbl_nb_retreat(&n->nb, 70, 0, unit.data), 0);
	memset(nbl_nb_data(&n->nb), 0, 70);
	deep = unit_deep_clone(n);
	nbl_release(n);
	ck_assert_int_eq(nbl_free_clone(deep), 0);
	ck_assert_uint_eq(h.n_released, 1);
	unit_assert_full(unit.data);
}
END_TEST

#define N_THREADS 4

struct race {
	struct nbl *n;
	struct nbl *child[N_THREADS];
	pthread_barrier_t barrier;
	_Atomic uint32_t next;
	_Atomic bool stop;
};

/* One ends a claim of each round: the owner's, a reference, or a child. */
static void *end_claims(void *arg)
{
	struct race *race = arg;
	uint32_t self = race->next++;

	for (;;) {
		pthread_barrier_wait(&race->barrier);
		if (race->stop)
			return NULL;
		if (race->child[self])
			nbl_free_clone(race->child[self]);
		else if (self)
			nbl_dereference(race->n);
		else
			nbl_release(race->n);
		pthread_barrier_wait(&race->barrier);
	}
}

START_TEST(AMB_01_frame_and_descriptor_go_once_each_whoever_comes_last)
{
	static struct spare_home h;
	struct race race = { .stop = false };
	pthread_t threads[N_THREADS];
	uint32_t n_early = 0;

	pthread_barrier_init(&race.barrier, NULL, N_THREADS + 1);
	for (int i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, end_claims, &race), 0);
	for (uint32_t round = 0; round < 3000; round++) {
		race.n = spare_receive(&h, true);
		for (uint32_t i = 0; i < N_THREADS; i++) {
			uint32_t what = i ? (round >> i) % 3 : 3;

			race.child[i] = NULL;
			if (what == 0)
				race.child[i] = unit_deep_clone(race.n);
			else if (what == 1)
				race.child[i] = unit_clone(race.n);
			else if (what == 2)
				nbl_reference(race.n, false);
		}
		pthread_barrier_wait(&race.barrier);
		pthread_barrier_wait(&race.barrier);
		ck_assert_uint_eq(h.n_released, 1);
		ck_assert_uint_eq(h.n_frames, 1);
		ck_assert_uint_eq(h.n_wrong, 0);
		n_early += race.n->segment.frame == NBL_NO_FRAME;
	}
	race.stop = true;
	pthread_barrier_wait(&race.barrier);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&race.barrier);
	ck_assert_uint_gt(n_early, 0);
	ck_assert_uint_lt(n_early, 3000);
}
END_TEST

START_TEST(AMB_01_more_deep_clones_than_are_counted_apart_keep_the_frame_to_the_end)
{
	static struct spare_home h;
	static struct nbl *deep[1100];
	struct nbl_pool *pool = unit_pool_new(1100, 1100, 164, 0);
	struct nbl *n = spare_receive(&h, true);

	for (int i = 0; i < 1100; i++)
		ck_assert_int_eq(nbl_alloc_deep_clone(n, pool, pool, &deep[i]), 0);
	nbl_release(n);
	ck_assert_uint_eq(h.n_frames, 0);
	ck_assert_uint_eq(n->child_ref_count, 1100);
	for (int i = 1099; i >= 0; i--) {
		ck_assert_uint_eq(h.n_released, 0);
		unit_assert_pattern(&deep[i]->nb, 100);
		ck_assert_int_eq(nbl_free_clone(deep[i]), 0);
	}
	ck_assert_uint_eq(h.n_frames, 1);
	ck_assert_uint_eq(h.n_released, 1);
	ck_assert_uint_eq(h.n_wrong, 0);
	ck_assert_int_eq(nbl_pool_free(pool), 0);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ AMB_01_the_frame_goes_with_the_last_who_reads_it_and_the_descriptor_with_the_last_of_all, 120 },
		{ AMB_01_the_parent_that_is_left_is_a_descriptor_without_bytes_that_nobody_can_pin,
		  1 },
		{ AMB_01_by_the_letter_the_frame_stays_until_the_last_deep_clone, 2 },
		{ AMB_01_a_clone_in_between_does_not_keep_the_frame_for_a_deep_clone_of_it, 12 },
		{ AMB_01_segments_a_retreat_prepended_go_back_with_the_frame, 1 },
		{ AMB_01_frame_and_descriptor_go_once_each_whoever_comes_last, 1 },
		{ AMB_01_more_deep_clones_than_are_counted_apart_keep_the_frame_to_the_end, 1 },
	};

	return unit_run("early_frame", tests, N_ELEMENTS(tests));
}
