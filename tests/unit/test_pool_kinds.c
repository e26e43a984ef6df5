// SPDX-License-Identifier: BSD-2-Clause
/* test_pool_kinds.c - what pools hand out and pass on: data, attributes, NBLs that trap. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#include <nbl/checks.h>
#include <nbl/holding.h>
#include <nbl/info.h>

START_TEST(PL_02_an_nbl_over_segments_of_the_caller_has_their_window_and_frees_none)
{
	uint8_t bytes[2][50];
	struct nbl_segment second = { .base = bytes[1], .length = 50, .frame = NBL_NO_FRAME };
	struct nbl_segment first = { .next = &second, .base = bytes[0], .length = 50,
				     .frame = NBL_NO_FRAME };
	struct nbl *n = NULL;

	ck_assert_int_eq(nbl_pool_alloc_over(unit.pool, &first, 60, 40, &n), 0);
	ck_assert_ptr_eq(nbl_nb_data(&n->nb), bytes[1] + 10);
	ck_assert(nbl_nb_is_sound(&n->nb));
	ck_assert_int_eq(nbl_free(n), 0);
	unit_expect_violations(0);
}
END_TEST

START_TEST(PL_02_bytes_that_lie_in_no_segment_are_refused)
{
	static const uint32_t windows[][2] = { { 0, 101 }, { 101, 0 }, { 60, 41 },
					       { UINT32_MAX, 2 },
					       { 2, UINT32_MAX } };
	uint8_t bytes[100];
	struct nbl_segment s = { .base = bytes, .length = 100, .frame = NBL_NO_FRAME };
	struct nbl *n = NULL;

	ck_assert_int_eq(nbl_pool_alloc_over(unit.pool, &s, windows[_i][0], windows[_i][1], &n),
			 -EINVAL);
	ck_assert_int_eq(nbl_pool_alloc_over(unit.pool, NULL, 0, 1, &n), -EINVAL);
	ck_assert_int_eq(nbl_pool_alloc_over(unit.pool, NULL, 1, 0, &n), -EINVAL);
	ck_assert_ptr_null(n);
	unit_assert_full(unit.pool);
	ck_assert_int_eq(nbl_pool_alloc_over(unit.pool, NULL, 0, 0, &n), 0);
	ck_assert_int_eq(nbl_free(n), 0);
}
END_TEST

START_TEST(PL_03_an_nbl_with_data_comes_and_goes_with_its_frames)
{
	static const uint32_t lengths[] = { 0, 100, 224, 225, 1000 }, frames[] = { 1, 1, 1, 2, 5 };
	struct nbl *n = NULL;

	ck_assert_int_eq(nbl_pool_alloc_data(unit.pool, unit.data, lengths[_i], &n), 0);
	ck_assert_uint_eq(n->kind, NBL_KIND_FRESH);
	ck_assert_uint_eq(n->nb.data_length, lengths[_i]);
	ck_assert_uint_eq(n->nb.data_offset, UNIT_DATA_HEADROOM);
	ck_assert(nbl_nb_is_sound(&n->nb));
	ck_assert_ptr_nonnull(n->context);
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES - frames[_i]);
	for (uint32_t i = 0; i < lengths[_i]; i++)
		*unit_byte(&n->nb, i) = unit_pattern(i);
	unit_assert_pattern(&n->nb, lengths[_i]);
	ck_assert_int_eq(nbl_free(n), 0);
	unit_assert_full(unit.data);
}
END_TEST

START_TEST(PL_03_data_that_does_not_fit_the_pool_takes_nothing)
{
	struct nbl *n = NULL;

	ck_assert_int_eq(nbl_pool_alloc_data(unit.pool, unit.data, 24 * 256 - 31, &n), -ENOBUFS);
	ck_assert_int_eq(nbl_pool_alloc_data(unit.pool, unit.pool, 10, &n), -ENOBUFS);
	ck_assert_int_eq(nbl_pool_alloc_data(unit.pool, unit.data, UINT32_MAX, &n), -ENOBUFS);
	ck_assert_ptr_null(n);
	unit_assert_full(unit.pool);
	unit_assert_full(unit.data);
}
END_TEST

static uint32_t n_seen;
static const struct nbl *seen;

static void see(void *arg, const struct nbl *n, const struct nbl_pins *pins)
{
	(void)arg;
	(void)pins;
	n_seen++;
	seen = n;
}

START_TEST(PL_03_the_frame_of_an_nb_attached_later_stays_and_the_leak_report_names_it)
{
	struct nbl *n, *other;

	n_seen = 0;
	ck_assert_int_eq(nbl_pool_alloc_data(unit.data, unit.data, 100, &n), 0);
	ck_assert_int_eq(nbl_pool_alloc_data(unit.data, unit.data, 100, &other), 0);
	n->nb.next = &other->nb;
	ck_assert_int_eq(nbl_free(n), 0);
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES - 1);
	ck_assert_int_eq(nbl_pool_free(unit.data), -EBUSY);
	ck_assert_uint_eq(nbl_pool_visit(unit.data, see, NULL), 1);
	ck_assert_uint_eq(n_seen, 1);
	ck_assert_ptr_eq(seen, other);
	ck_assert_int_eq(nbl_free(other), 0);
}
END_TEST

/* Two memories, each with a pool over frames in it. */
struct memory {
	uint8_t frames[8 * 256];
	struct nbl_pool *pool;
};

static void memory_open(struct memory *m, uint32_t number)
{
	const struct nbl_pool_params params = {
		.n_nbls = 8, .n_frames = 8, .frame_size = 256, .frames = m->frames,
		.first_frame = 100 * number, .memory = number, .protocol_id = 0x77 + number };

	ck_assert_int_eq(nbl_pool_new(&params, &m->pool), 0);
}

static bool lies_in(const struct nbl *n, const struct memory *m)
{
	for (const struct nbl_segment *s = n->nb.first_segment; s; s = s->next)
		if (s->base < m->frames || s->base + s->length > m->frames + sizeof(m->frames))
			return false;
	return true;
}

START_TEST(PL_06_a_deep_clone_lies_in_the_memory_of_its_pool_whatever_its_parents)
{
	static struct memory a, b;
	struct nbl *n, *shallow, *clone;

	memory_open(&a, 1);
	memory_open(&b, 2);
	ck_assert_int_eq(nbl_pool_alloc_data(a.pool, a.pool, 300, &n), 0);
	ck_assert_uint_eq(nbl_memory_of(n), 1);
	ck_assert_uint_eq(nbl_info_get(n, NBL_INFO_PROTOCOL_ID), 0x78);
	shallow = nbl_alloc_clone(n, b.pool);
	ck_assert_uint_eq(nbl_memory_of(shallow), 1);
	ck_assert_int_eq(nbl_alloc_deep_clone(shallow, a.pool, b.pool, &clone), 0);
	ck_assert(lies_in(clone, &b));
	ck_assert_uint_eq(nbl_memory_of(clone), 2);
	ck_assert_uint_ge(clone->nb.first_segment->frame, 200);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert_int_eq(nbl_free_clone(shallow), 0);
	ck_assert_int_eq(nbl_free(n), 0);
	ck_assert_int_eq(nbl_pool_free(a.pool), 0);
	ck_assert_int_eq(nbl_pool_free(b.pool), 0);
}
END_TEST

START_TEST(PL_06_null_stands_for_the_default_pool_of_the_parents_memory)
{
	static struct memory a, b;
	struct nbl *n, *clone, *of_a;

	memory_open(&a, 1);
	memory_open(&b, 2);
	nbl_set_default_pools(unit.pool, unit.data);
	ck_assert_int_eq(nbl_set_memory_pools(1, a.pool, a.pool), 0);
	ck_assert_int_eq(nbl_set_memory_pools(NBL_MAX_MEMORIES, a.pool, a.pool), -EINVAL);
	ck_assert_int_eq(nbl_pool_alloc_data(b.pool, a.pool, 10, &of_a), 0);
	ck_assert_int_eq(nbl_alloc_deep_clone(of_a, NULL, NULL, &clone), 0);
	ck_assert(lies_in(clone, &a));
	ck_assert_ptr_eq(clone->home, &a.pool->home);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	clone = nbl_alloc_clone(of_a, NULL);
	ck_assert_ptr_eq(clone->home, &a.pool->home);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	/* a receive frame lies where its home says; a memory without pools takes the first's */
	for (uint32_t memory = 0; memory < 3; memory++) {
		n = unit_receive(64, 10);
		unit.home.home.memory = memory;
		ck_assert_int_eq(nbl_alloc_copy(n, NULL, NULL, &clone), 0);
		ck_assert_ptr_eq(clone->home, memory == 1 ? &a.pool->home : &unit.pool->home);
		ck_assert_int_eq(nbl_free(clone), 0);
		nbl_release(n);
	}
	ck_assert_int_eq(nbl_free(of_a), 0);
	nbl_set_memory_pools(1, NULL, NULL);
	ck_assert_int_eq(nbl_pool_free(a.pool), 0);
	ck_assert_int_eq(nbl_pool_free(b.pool), 0);
}
END_TEST

START_TEST(PL_06_attributes_that_do_not_exist_are_refused)
{
	const struct nbl_pool_params cases[] = {
		{ .n_nbls = 1, .memory = NBL_MAX_MEMORIES },
		{ .n_nbls = 1, .flags = 0x80 },
		{ .n_nbls = 1, .context_size = 4 },
		{ .n_nbls = 1, .context_size = 1 << 20 },
	};
	struct nbl_pool *pool = NULL;

	ck_assert_int_eq(nbl_pool_new(&cases[_i], &pool), -EINVAL);
	ck_assert_ptr_null(pool);
}
END_TEST

START_TEST(AMB_05_a_data_pool_with_small_frames_gives_several_or_refuses_if_it_must)
{
	const struct nbl_pool_params params = {
		.n_nbls = 4, .n_frames = 8, .frame_size = 100, .headroom = 10, .max_segments = 2 };
	struct nbl *n = unit_receive(64, 190), *clone = NULL;
	struct nbl_pool *pool;

	ck_assert_int_eq(nbl_pool_new(&params, &pool), 0);
	ck_assert_int_eq(nbl_alloc_deep_clone(n, unit.pool, pool, &clone), 0);
	ck_assert_uint_eq(unit_n_segments(&clone->nb), 2);
	unit_assert_pattern(&clone->nb, 190);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	nbl_release(n);
	n = unit_receive(64, 191);
	ck_assert_int_eq(nbl_alloc_deep_clone(n, unit.pool, pool, &clone), -EMSGSIZE);
	ck_assert_int_eq(nbl_alloc_copy(n, unit.pool, pool, &clone), -EMSGSIZE);
	ck_assert_uint_eq(n->child_ref_count, 0);
	unit_assert_full(pool);
	nbl_release(n);
	ck_assert_int_eq(nbl_pool_free(pool), 0);
}
END_TEST

START_TEST(PL_08_too_little_headroom_works_and_is_counted)
{
	struct nbl *n;
	struct nbl_pool_counts c;

	ck_assert_int_eq(nbl_pool_alloc_data(unit.pool, unit.data, 50, &n), 0);
	ck_assert_int_eq(nbl_nb_retreat(&n->nb, UNIT_DATA_HEADROOM, 0, unit.data), 0);
	nbl_pool_get_counts(unit.data, &c);
	ck_assert_uint_eq(c.retreats, 0);
	ck_assert_int_eq(nbl_nb_retreat(&n->nb, 1, 0, unit.data), 0);
	ck_assert_int_eq(nbl_nb_advance(&n->nb, 1, true), 0);
	ck_assert_int_eq(nbl_retreat(n, 1, 0, unit.data), 0);
	nbl_pool_get_counts(unit.data, &c);
	ck_assert_uint_eq(c.retreats, 2);
	ck_assert_uint_eq(n->nb.data_length, 50 + UNIT_DATA_HEADROOM + 1);
	ck_assert_int_eq(nbl_free(n), 0);
}
END_TEST

static struct nbl_pool *verify_pool(uint32_t n_nbls)
{
	const struct nbl_pool_params params = {
		.n_nbls = n_nbls, .flags = NBL_POOL_VERIFY, .context_size = 64 };
	struct nbl_pool *pool = NULL;

	ck_assert_int_eq(nbl_pool_new(&params, &pool), 0);
	return pool;
}

/* True if a process of its own that reads 'n' ends badly. */
static bool traps(const struct nbl *n)
{
	const struct rlimit no_core = { 0, 0 };
	int status;
	pid_t child;

	fflush(NULL);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGSEGV, SIG_DFL);
		_exit(*(const volatile uint8_t *)&n->kind & 0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

START_TEST(PL_07_an_nbl_of_a_verify_pool_traps_once_it_is_freed)
{
	struct nbl_pool *pool = verify_pool(2);
	struct nbl *n = nbl_pool_alloc(pool), *clone, *next;

	ck_assert_ptr_nonnull(n);
	ck_assert(nbl_is_known(n));
	ck_assert(!traps(n));
	clone = nbl_alloc_clone(n, pool);
	ck_assert_ptr_nonnull(clone);
	ck_assert_int_eq(nbl_free(n), 0);
	ck_assert(!traps(n));		/* its child keeps it */
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert(traps(clone));
	ck_assert(traps(n));
	for (int i = 0; i < 2 * NBL_POOL_VERIFY_LIVES - 2; i++) {
		next = nbl_pool_alloc(pool);
		ck_assert_ptr_nonnull(next);
		ck_assert_ptr_ne(next, n);
		ck_assert_ptr_ne(next, clone);
		ck_assert_int_eq(nbl_free(next), 0);
	}
	/* places are not used again, so now it has none */
	ck_assert_ptr_null(nbl_pool_alloc(pool));
	unit_assert_full(pool);
	ck_assert_int_eq(nbl_pool_free(pool), 0);
}
END_TEST

START_TEST(PL_07_a_verify_pool_keeps_its_quota_and_lists_what_is_out)
{
	struct nbl_pool *pool = verify_pool(3);
	struct nbl *n[3];

	for (int i = 0; i < 3; i++)
		n[i] = nbl_pool_alloc(pool);
	ck_assert_ptr_nonnull(n[2]);
	ck_assert_ptr_null(nbl_pool_alloc(pool));
	ck_assert_int_eq(nbl_free(n[1]), 0);
	n_seen = 0;
	ck_assert_uint_eq(nbl_pool_visit(pool, see, NULL), 2);
	ck_assert_int_eq(nbl_pool_free(pool), -EBUSY);
	ck_assert_int_eq(nbl_free(n[0]), 0);
	ck_assert_int_eq(nbl_free(n[2]), 0);
	ck_assert_int_eq(nbl_pool_free(pool), 0);
}
END_TEST

START_TEST(BUG_08_pieces_taken_again_show_nothing_of_their_last_use)
{
	struct nbl_pool *pool = unit_pool_new(2, 4, 256, 0);
	static const uint32_t sizes[] = { 30, 30, 100 };
	struct nbl *n = unit_receive_over(0, sizes, 3, 150), *clone;

	/* every piece that a clone takes is dirty: from the last life, or never set */
	for (int life = 0; life < 3; life++) {
		clone = nbl_alloc_clone(n, pool);
		ck_assert_ptr_nonnull(clone);
		unit_assert_pattern(&clone->nb, 150);
		ck_assert_ptr_null(clone->next);
		ck_assert_ptr_null(clone->nb.next);
		ck_assert_uint_eq(clone->nb.flags, 0);
		ck_assert_uint_eq(clone->reference_holders, 0);
		ck_assert_uint_eq(clone->intent_thread, 0);
		ck_assert_uint_eq(clone->context_used, 0);
		ck_assert_uint_eq(clone->nbl_flags, 0);
		nbl_reference(clone, true);
		ck_assert_int_eq(nbl_nb_retreat(&clone->nb, 20, 0, pool), 0);
		ck_assert_int_eq(nbl_dereference(clone), 0);
		ck_assert_int_eq(nbl_free_clone(clone), 0);
		unit_assert_full(pool);
		memset(&clone->nb, 0x41 + life, sizeof(clone->nb));
		memset(&clone->segment, 0x41 + life, sizeof(clone->segment));
		for (uint32_t i = 0; i < pool->free_segments.n; i++)
			memset(&pool->segments[i].segment, 0x41 + life,
			       sizeof(pool->segments[i].segment));
	}
	ck_assert_int_eq(nbl_pool_free(pool), 0);
	nbl_release(n);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ PL_02_an_nbl_over_segments_of_the_caller_has_their_window_and_frees_none, 1 },
		{ PL_02_bytes_that_lie_in_no_segment_are_refused, 5 },
		{ PL_03_an_nbl_with_data_comes_and_goes_with_its_frames, 5 },
		{ PL_03_data_that_does_not_fit_the_pool_takes_nothing, 1 },
		{ PL_03_the_frame_of_an_nb_attached_later_stays_and_the_leak_report_names_it, 1 },
		{ PL_06_a_deep_clone_lies_in_the_memory_of_its_pool_whatever_its_parents, 1 },
		{ PL_06_null_stands_for_the_default_pool_of_the_parents_memory, 1 },
		{ PL_06_attributes_that_do_not_exist_are_refused, 4 },
		{ AMB_05_a_data_pool_with_small_frames_gives_several_or_refuses_if_it_must, 1 },
		{ PL_08_too_little_headroom_works_and_is_counted, 1 },
		{ PL_07_an_nbl_of_a_verify_pool_traps_once_it_is_freed, 1 },
		{ PL_07_a_verify_pool_keeps_its_quota_and_lists_what_is_out, 1 },
		{ BUG_08_pieces_taken_again_show_nothing_of_their_last_use, 1 },
	};

	return unit_run("pool_kinds", tests, N_ELEMENTS(tests));
}
