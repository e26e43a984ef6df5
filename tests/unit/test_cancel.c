// SPDX-License-Identifier: BSD-2-Clause
/* test_cancel.c - ids by which senders call back what they sent. */
#include "unit.h"

#include <nbl/cancel.h>

#define N_SENDERS 4
#define N_IDS 1000
#define N_ROUNDS 100000

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

START_TEST(CN_01_ids_of_different_senders_never_meet_and_none_is_zero)
{
	static uint64_t ids[N_SENDERS * N_IDS];
	int partial[N_SENDERS];
	size_t count = 0;

	for (int i = 0; i < N_SENDERS; i++) {
		partial[i] = nbl_cancel_alloc_partial_id();
		ck_assert_int_gt(partial[i], 0);
		ck_assert_int_lt(partial[i], 256);
		/* the same numbers for each, and some that run over */
		for (uint64_t number = 0; number < N_IDS; number++)
			ids[count++] =
				nbl_cancel_id(partial[i], number + (number % 2 ? 1ull << 56 : 0));
	}
	qsort(ids, count, sizeof(ids[0]), compare);
	ck_assert_uint_ne(ids[0], 0);
	for (size_t i = 1; i < count; i++)
		ck_assert_uint_ne(ids[i - 1], ids[i]);
	for (int i = 0; i < N_SENDERS; i++)
		ck_assert_int_eq(nbl_cancel_free_partial_id(partial[i]), 0);
}
END_TEST

START_TEST(CN_01_each_of_255_partial_ids_is_given_once_and_then_refused)
{
	bool given[256] = { false };

	for (int i = 0; i < 255; i++) {
		int id = nbl_cancel_alloc_partial_id();

		ck_assert_int_ge(id, 1);
		ck_assert_int_le(id, 255);
		ck_assert(!given[id]);
		given[id] = true;
	}
	for (int i = 255; i < 258; i++)
		ck_assert_int_eq(nbl_cancel_alloc_partial_id(), -ENOSPC);
	ck_assert_int_eq(nbl_cancel_free_partial_id(77), 0);
	ck_assert_int_eq(nbl_cancel_free_partial_id(77), -EINVAL);
	ck_assert_int_eq(nbl_cancel_free_partial_id(0), -EINVAL);
	ck_assert_int_eq(nbl_cancel_free_partial_id(256), -EINVAL);
	ck_assert_int_eq(nbl_cancel_free_partial_id(-1), -EINVAL);
	unit_expect_violations(4);
	ck_assert_int_eq(nbl_cancel_alloc_partial_id(), 77);
	for (int id = 1; id < 256; id++)
		ck_assert_int_eq(nbl_cancel_free_partial_id(id), 0);
}
END_TEST

struct senders {
	pthread_barrier_t start;
	_Atomic uint32_t holders[256];
	_Atomic uint32_t n_double, n_got;
};

static void *take_and_give(void *arg)
{
	struct senders *s = arg;

	pthread_barrier_wait(&s->start);
	for (int i = 0; i < N_ROUNDS; i++) {
		int id = nbl_cancel_alloc_partial_id();

		if (id < 0)
			continue;
		s->n_got++;
		if (s->holders[id]++)
			s->n_double++;
		s->holders[id]--;
		nbl_cancel_free_partial_id(id);
	}
	return NULL;
}

START_TEST(CN_01_a_partial_id_has_one_holder_at_a_time_under_four_threads)
{
	struct senders s = { .n_got = 0 };
	pthread_t threads[N_SENDERS];

	pthread_barrier_init(&s.start, NULL, N_SENDERS);
	for (int i = 0; i < N_SENDERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_give, &s), 0);
	for (int i = 0; i < N_SENDERS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&s.start);
	ck_assert_uint_eq(s.n_double, 0);
	/* none was lost on the way */
	for (int i = 1; i < 256; i++)
		ck_assert_int_gt(nbl_cancel_alloc_partial_id(), 0);
	for (int id = 1; id < 256; id++)
		ck_assert_int_eq(nbl_cancel_free_partial_id(id), 0);
	ck_assert_uint_eq(s.n_got, N_SENDERS * N_ROUNDS);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ CN_01_ids_of_different_senders_never_meet_and_none_is_zero, 1 },
		{ CN_01_each_of_255_partial_ids_is_given_once_and_then_refused, 1 },
		{ CN_01_a_partial_id_has_one_holder_at_a_time_under_four_threads, 1 },
	};

	return unit_run("cancel", tests, N_ELEMENTS(tests));
}
