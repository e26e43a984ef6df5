// SPDX-License-Identifier: BSD-2-Clause
/* test_pool.c - pools, their quota, and the list of free indexes under them. */
#include "unit.h"

START_TEST(PL_01_frames_without_a_size_are_the_one_illegal_combination_of_four)
{
	static const struct {
		uint32_t n_frames, frame_size;
		int result;
	} cases[] = { { 0, 0, 0 }, { 0, 256, 0 }, { 4, 256, 0 }, { 4, 0, -EINVAL } };
	struct nbl_pool_params params = {
		.n_nbls = 4,
		.n_frames = cases[_i].n_frames,
		.frame_size = cases[_i].frame_size,
	};
	struct nbl_pool *pool = NULL;

	ck_assert_int_eq(nbl_pool_new(&params, &pool), cases[_i].result);
	if (cases[_i].result < 0)
		ck_assert_ptr_null(pool);
	else
		unit_assert_full(pool);
	ck_assert_int_eq(nbl_pool_free(pool), 0);
}
END_TEST

START_TEST(PL_01_impossible_pools_are_refused)
{
	static uint8_t frames[256];
	const struct nbl_pool_params cases[] = {
		{ .n_nbls = 0 },
		{ .n_nbls = UINT32_MAX },
		{ .n_nbls = 1, .n_frames = 1, .frame_size = 64, .headroom = 64 },
		{ .n_nbls = 1, .n_frames = UINT32_MAX, .frame_size = 64 },
		{ .n_nbls = 1, .n_frames = 4, .frame_size = 64, .frames = frames,
		  .first_frame = UINT32_MAX - 3 },
	};
	struct nbl_pool *pool = NULL;

	ck_assert_int_eq(nbl_pool_new(&cases[_i], &pool), -EINVAL);
	ck_assert_ptr_null(pool);
}
END_TEST

START_TEST(PL_02_an_allocated_nbl_has_one_nb_and_no_bytes)
{
	struct nbl *n = nbl_pool_alloc(unit.pool);

	ck_assert_ptr_nonnull(n);
	ck_assert_ptr_eq(n->first_nb, &n->nb);
	ck_assert_ptr_null(n->nb.next);
	ck_assert_ptr_null(n->nb.first_segment);
	ck_assert_uint_eq(n->nb.data_offset, 0);
	ck_assert_uint_eq(n->nb.data_length, 0);
	ck_assert(nbl_nb_is_sound(&n->nb));
	ck_assert_int_eq(nbl_free(n), 0);
}
END_TEST

START_TEST(PL_02_a_reused_nbl_shows_nothing_of_its_last_use)
{
	struct nbl_pool *pool = unit_pool_new(1, 0, 0, 0);
	struct nbl *n = nbl_pool_alloc(pool);

	n->info[NBL_INFO_HASH] = 7;
	n->scratch = n->protocol_reserved[1] = n;
	n->nbl_flags = NBL_FLAG_IS_IPV4;
	n->outcome = NBL_OUTCOME_CONSUMED;
	((uint8_t *)n->context)[0] = 9;
	ck_assert_int_eq(nbl_free(n), 0);
	n = nbl_pool_alloc(pool);
	ck_assert_uint_eq(n->info[NBL_INFO_HASH], 0);
	ck_assert_ptr_null(n->scratch);
	ck_assert_ptr_null(n->protocol_reserved[1]);
	ck_assert_uint_eq(n->nbl_flags, 0);
	ck_assert_uint_eq(n->outcome, NBL_OUTCOME_RETURNED);
	ck_assert_uint_eq(((uint8_t *)n->context)[0], 0);
	ck_assert_int_eq(nbl_free(n), 0);
	ck_assert_int_eq(nbl_pool_free(pool), 0);
}
END_TEST

START_TEST(PL_03_frames_go_back_with_the_nbl_they_were_allocated_with_and_no_others)
{
	struct nbl *n = unit_receive(64, 300), *copy, *other;

	ck_assert_int_eq(nbl_alloc_copy(n, unit.data, unit.data, &copy), 0);
	ck_assert_int_eq(nbl_alloc_copy(n, unit.data, unit.data, &other), 0);
	nbl_release(n);
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES - 4);
	copy->nb.next = &other->nb;
	ck_assert_int_eq(nbl_free(copy), 0);
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES - 2);
	unit_assert_pattern(&other->nb, 300);
	ck_assert_int_eq(nbl_free(other), 0);
}
END_TEST

START_TEST(PL_04_an_exhausted_pool_says_null_and_recovers_with_the_first_free)
{
	struct nbl *n[UNIT_N_NBLS];
	struct nbl_pool_counts c;

	for (uint32_t i = 0; i < UNIT_N_NBLS; i++) {
		n[i] = nbl_pool_alloc(unit.pool);
		ck_assert_ptr_nonnull(n[i]);
		for (uint32_t j = 0; j < i; j++)
			ck_assert_ptr_ne(n[i], n[j]);
	}
	ck_assert_ptr_null(nbl_pool_alloc(unit.pool));
	ck_assert_ptr_null(nbl_pool_alloc(unit.pool));
	nbl_pool_get_counts(unit.pool, &c);
	ck_assert_uint_eq(c.nbls_free, 0);
	ck_assert_uint_eq(c.exhausted, 2);
	ck_assert_int_eq(nbl_free(n[3]), 0);
	n[3] = nbl_pool_alloc(unit.pool);
	ck_assert_ptr_nonnull(n[3]);
	for (uint32_t i = 0; i < UNIT_N_NBLS; i++)
		ck_assert_int_eq(nbl_free(n[i]), 0);
	nbl_pool_get_counts(unit.pool, &c);
	ck_assert_uint_eq(c.nbls_free, UNIT_N_NBLS);
	ck_assert_uint_eq(c.exhausted, 2);
}
END_TEST

START_TEST(PL_05_a_pool_with_anything_out_is_busy_and_stays_usable)
{
	struct nbl_pool *pool = unit_pool_new(4, 4, 128, 0);
	struct nbl *n = unit_receive(0, 100), *held;

	held = nbl_pool_alloc(pool);
	ck_assert_int_eq(nbl_pool_free(pool), -EBUSY);
	ck_assert_int_eq(nbl_free(held), 0);

	/* a frame lent to a descriptor of another pool */
	ck_assert_int_eq(nbl_alloc_copy(n, unit.pool, pool, &held), 0);
	ck_assert_int_eq(nbl_pool_free(pool), -EBUSY);
	ck_assert_int_eq(nbl_free(held), 0);

	/* a segment a retreat prepended */
	ck_assert_int_eq(nbl_nb_retreat(&n->nb, 20, 0, pool), 0);
	ck_assert_int_eq(nbl_pool_free(pool), -EBUSY);
	ck_assert_int_eq(nbl_nb_advance(&n->nb, 20, true), 0);

	/* a released NBL somebody still references */
	held = nbl_pool_alloc(pool);
	nbl_reference(held, false);
	ck_assert_int_eq(nbl_free(held), 0);
	ck_assert_int_eq(nbl_pool_free(pool), -EBUSY);
	ck_assert_int_eq(nbl_dereference(held), 0);

	ck_assert_int_eq(nbl_pool_free(pool), 0);
	nbl_release(n);
}
END_TEST

START_TEST(freeing_null_or_the_wrong_kind_frees_nothing)
{
	struct nbl *n = unit_receive(64, 100), *clone = nbl_alloc_clone(n, unit.pool);

	ck_assert_int_eq(nbl_pool_free(NULL), 0);
	ck_assert_int_eq(nbl_free(NULL), 0);
	ck_assert_int_eq(nbl_free_clone(NULL), 0);
	nbl_release(NULL);
	unit_expect_violations(0);

	ck_assert_int_eq(nbl_free(n), -EINVAL);
	ck_assert_int_eq(nbl_free(clone), -EINVAL);
	unit_expect_violations(2);
	ck_assert(!unit_is_home(n));
	unit_assert_pattern(&clone->nb, 100);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	nbl_release(n);
}
END_TEST

START_TEST(a_second_free_is_refused_and_counted)
{
	struct nbl *n = nbl_pool_alloc(unit.pool);

	ck_assert_int_eq(nbl_free(n), 0);
	ck_assert(n->nbl_flags & NBL_FLAG_FREED);
	ck_assert_int_eq(nbl_free(n), -EINVAL);
	unit_expect_violations(1);

	/* with a reference alive it has not gone anywhere, and must not by the second free */
	n = nbl_pool_alloc(unit.pool);
	nbl_reference(n, false);
	ck_assert_int_eq(nbl_free(n), 0);
	ck_assert_int_eq(nbl_free(n), -EINVAL);
	nbl_release(n);
	unit_expect_violations(3);
	ck_assert(!(n->nbl_flags & NBL_FLAG_FREED));
	ck_assert_int_eq(nbl_dereference(n), 0);
	ck_assert(n->nbl_flags & NBL_FLAG_FREED);
}
END_TEST

/* What frame_used() was told, by frame number. */
struct told {
	int used[64];
	int n_calls;
};

static void tell(void *arg, uint32_t frame, bool used)
{
	struct told *told = arg;

	ck_assert_uint_lt(frame, N_ELEMENTS(told->used));
	ck_assert_int_eq(told->used[frame], !used);
	told->used[frame] = used;
	told->n_calls++;
}

START_TEST(frames_in_given_memory_have_their_index_and_are_told_of_both_ways)
{
	static uint8_t frames[8 * 128];
	struct told told = { .n_calls = 0 };
	struct nbl_pool_params params = {
		.n_nbls = 4, .n_frames = 8, .frame_size = 128, .headroom = 28, .frames = frames,
		.first_frame = 40, .frame_used = tell, .arg = &told,
	};
	struct nbl *n = unit_receive(0, 250), *copy;
	struct nbl_pool *pool;

	ck_assert_int_eq(nbl_pool_new(&params, &pool), 0);
	ck_assert_int_eq(nbl_alloc_copy(n, pool, pool, &copy), 0);
	ck_assert_int_eq(nbl_nb_retreat(&copy->nb, 40, 0, pool), 0);
	ck_assert_int_eq(told.n_calls, 4);
	for (const struct nbl_segment *s = copy->nb.first_segment; s; s = s->next) {
		ck_assert_uint_ge(s->frame, 40);
		ck_assert_uint_lt(s->frame, 48);
		if (s->length == 128)
			ck_assert_ptr_eq(s->base, frames + (s->frame - 40) * 128);
		ck_assert_int_eq(told.used[s->frame], 1);
	}
	ck_assert_int_eq(nbl_free(copy), 0);
	ck_assert_int_eq(told.n_calls, 8);
	for (size_t i = 0; i < N_ELEMENTS(told.used); i++)
		ck_assert_int_eq(told.used[i], 0);
	ck_assert_int_eq(nbl_pool_free(pool), 0);
	nbl_release(n);
}
END_TEST

START_TEST(frames_of_a_heap_pool_have_no_index)
{
	struct nbl *n = unit_receive(0, 300), *copy;

	ck_assert_int_eq(nbl_alloc_copy(n, unit.pool, unit.data, &copy), 0);
	for (const struct nbl_segment *s = copy->nb.first_segment; s; s = s->next)
		ck_assert_uint_eq(s->frame, NBL_NO_FRAME);
	ck_assert_int_eq(nbl_free(copy), 0);
	nbl_release(n);
}
END_TEST

START_TEST(a_list_of_free_indexes_gives_each_once_and_takes_all_back)
{
	_Atomic uint32_t next[5];
	struct freelist f;
	bool seen[5] = { false };

	freelist_init(&f, next, 5);
	for (int i = 0; i < 5; i++) {
		uint32_t got = freelist_take(&f);

		ck_assert_uint_lt(got, 5);
		ck_assert(!seen[got]);
		seen[got] = true;
		ck_assert_uint_eq(freelist_n_free(&f), 4 - i);
	}
	ck_assert_uint_eq(freelist_take(&f), FREELIST_NONE);
	freelist_give(&f, 3);
	ck_assert_uint_eq(freelist_take(&f), 3);
	for (uint32_t i = 0; i < 5; i++)
		freelist_give(&f, i);
	ck_assert(freelist_is_full(&f));

	freelist_init(&f, next, 0);
	ck_assert_uint_eq(freelist_take(&f), FREELIST_NONE);
	ck_assert(freelist_is_full(&f));
}
END_TEST

START_TEST(a_list_with_the_same_index_on_top_again_is_not_the_same_list)
{
	_Atomic uint32_t next[3];
	struct freelist f;
	uint64_t seen;
	uint32_t a, b;

	/* a thread that read this head and slept must fail when it wakes, or 'b' has two holders */
	freelist_init(&f, next, 3);
	seen = f.head;
	a = freelist_take(&f);
	b = freelist_take(&f);
	freelist_give(&f, a);
	ck_assert_uint_eq((uint32_t)f.head, (uint32_t)seen);
	ck_assert_uint_ne(f.head, seen);
	freelist_give(&f, b);
	ck_assert(freelist_is_full(&f));
}
END_TEST

#define STRESS_THREADS 4
#define STRESS_INDEXES 6		/* fewer than the threads want: the list runs empty */
#define STRESS_ROUNDS 100000

struct stress {
	struct freelist list;
	_Atomic uint32_t next[STRESS_INDEXES];
	uint64_t uses[STRESS_INDEXES];	/* not atomic: only its holder writes it */
	_Atomic uint32_t holder[STRESS_INDEXES];
	_Atomic uint32_t n_double;
	_Atomic uint64_t n_uses;
	pthread_barrier_t start;
};

static void *stress_list(void *arg)
{
	struct stress *s = arg;
	uint64_t n_uses = 0;

	pthread_barrier_wait(&s->start);
	for (int round = 0; round < STRESS_ROUNDS; round++) {
		uint32_t got[2], n = 0;

		while (n < 2 && (got[n] = freelist_take(&s->list)) != FREELIST_NONE)
			n++;
		for (uint32_t i = 0; i < n; i++) {
			if (s->holder[got[i]]++)
				s->n_double++;
			s->uses[got[i]]++;
			n_uses++;
		}
		while (n) {
			s->holder[got[--n]]--;
			freelist_give(&s->list, got[n]);
		}
	}
	s->n_uses += n_uses;
	return NULL;
}

/* Runs 'work' in 'n' threads that start together. */
static void run_threads(void *(*work)(void *), void *arg, pthread_barrier_t *start, uint32_t n)
{
	pthread_t threads[STRESS_THREADS];

	pthread_barrier_init(start, NULL, n);
	for (uint32_t i = 0; i < n; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, arg), 0);
	for (uint32_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(start);
}

START_TEST(an_index_has_one_holder_at_a_time_under_four_threads)
{
	static struct stress s;
	uint64_t n_uses = 0;

	memset(&s, 0, sizeof(s));
	freelist_init(&s.list, s.next, STRESS_INDEXES);
	run_threads(stress_list, &s, &s.start, STRESS_THREADS);
	ck_assert_uint_eq(s.n_double, 0);
	ck_assert(freelist_is_full(&s.list));
	for (int i = 0; i < STRESS_INDEXES; i++)
		n_uses += s.uses[i];
	ck_assert_uint_eq(n_uses, s.n_uses);
	ck_assert_uint_gt(n_uses, 0);
}
END_TEST

struct pool_stress {
	struct nbl *n;
	_Atomic uint32_t n_made, n_wrong;
	pthread_barrier_t start;
};

static void *stress_pool(void *arg)
{
	struct pool_stress *s = arg;

	pthread_barrier_wait(&s->start);
	for (int round = 0; round < 3000; round++) {
		struct nbl *clone = NULL, *copy = NULL, *of_clone;

		if (!nbl_alloc_deep_clone(s->n, unit.data, unit.data, &clone)) {
			s->n_made++;
			of_clone = nbl_alloc_clone(clone, unit.pool);
			if (!unit_has_pattern(&clone->nb))
				s->n_wrong++;
			if (of_clone && nbl_nb_retreat(&of_clone->nb, 20, 0, unit.data) == 0)
				memset(nbl_nb_data(&of_clone->nb), 0, 20);
			nbl_free_clone(clone);
			nbl_free_clone(of_clone);
		}
		if (!nbl_alloc_copy(s->n, unit.pool, unit.data, &copy)) {
			s->n_made++;
			if (!unit_has_pattern(&copy->nb))
				s->n_wrong++;
			nbl_free(copy);
		}
	}
	return NULL;
}

START_TEST(PL_04_four_threads_share_two_pools_and_leave_them_full)
{
	static struct pool_stress s;

	memset(&s, 0, sizeof(s));
	s.n = unit_receive(0, 500);
	run_threads(stress_pool, &s, &s.start, STRESS_THREADS);
	ck_assert_uint_eq(s.n_wrong, 0);
	ck_assert_uint_gt(s.n_made, 0);
	ck_assert_uint_eq(s.n->child_ref_count, 0);
	nbl_release(s.n);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ PL_01_frames_without_a_size_are_the_one_illegal_combination_of_four, 4 },
		{ PL_01_impossible_pools_are_refused, 5 },
		{ PL_02_an_allocated_nbl_has_one_nb_and_no_bytes, 1 },
		{ PL_02_a_reused_nbl_shows_nothing_of_its_last_use, 1 },
		{ PL_03_frames_go_back_with_the_nbl_they_were_allocated_with_and_no_others, 1 },
		{ PL_04_an_exhausted_pool_says_null_and_recovers_with_the_first_free, 1 },
		{ PL_04_four_threads_share_two_pools_and_leave_them_full, 1 },
		{ PL_05_a_pool_with_anything_out_is_busy_and_stays_usable, 1 },
		{ freeing_null_or_the_wrong_kind_frees_nothing, 1 },
		{ a_second_free_is_refused_and_counted, 1 },
		{ frames_in_given_memory_have_their_index_and_are_told_of_both_ways, 1 },
		{ frames_of_a_heap_pool_have_no_index, 1 },
		{ a_list_of_free_indexes_gives_each_once_and_takes_all_back, 1 },
		{ a_list_with_the_same_index_on_top_again_is_not_the_same_list, 1 },
		{ an_index_has_one_holder_at_a_time_under_four_threads, 1 },
	};

	return unit_run("pool", tests, N_ELEMENTS(tests));
}
