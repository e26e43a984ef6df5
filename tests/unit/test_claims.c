// SPDX-License-Identifier: BSD-2-Clause
/* test_claims.c - owners, references and children: when an NBL goes home. */
#include "unit.h"

START_TEST(arming_a_receive_nbl_touches_its_first_two_cache_lines_only)
{
	static struct nbl n;
	uint8_t frame[128];
	struct nbl was;

	nbl_init_receive(&n, &unit.home.home, frame, sizeof(frame), 5);
	memset((uint8_t *)&n + 2 * NBL_CACHE_LINE, 0x77, sizeof(n) - 2 * NBL_CACHE_LINE);
	n.source_handle = 3;
	n.outcome = NBL_OUTCOME_CONSUMED;
	n.status = NBL_STATUS_FAILURE;
	/* what the last packet may have left */
	n.next = n.parent = &n;
	n.first_nb = NULL;
	n.nbl_flags = NBL_FLAG_IS_IPV4;
	n.claims = n.references = 7;
	n.frame_type_be = 9;
	n.nb = (struct nbl_nb){ .next = &n.nb, .data_offset = 1, .flags = 1 };
	n.segment.next = &n.segment;
	memcpy(&was, &n, sizeof(n));
	nbl_arm_receive(&n, 16, 64);
	ck_assert_mem_eq((uint8_t *)&n + 2 * NBL_CACHE_LINE, (uint8_t *)&was + 2 * NBL_CACHE_LINE,
			 sizeof(n) - 2 * NBL_CACHE_LINE);
	ck_assert(nbl_nb_is_sound(&n.nb));
	ck_assert_ptr_null(n.next);
	ck_assert_ptr_null(n.parent);
	ck_assert_ptr_eq(n.first_nb, &n.nb);
	ck_assert_ptr_null(n.nb.next);
	ck_assert_uint_eq(n.nb.flags, 0);
	ck_assert_uint_eq(unit_n_segments(&n.nb), 1);
	ck_assert_uint_eq(n.nbl_flags, 0);
	ck_assert_uint_eq(n.frame_type_be, 0);
	ck_assert_uint_eq(n.references, 0);
	ck_assert_ptr_eq(nbl_nb_data(&n.nb), frame + 16);
	ck_assert_uint_eq(n.nb.data_length, 64);
	ck_assert_uint_eq(n.segment.frame, 5);
	ck_assert_uint_eq(n.kind, NBL_KIND_RECEIVE);
	ck_assert_uint_eq(n.source_handle, 3);
	ck_assert_uint_eq(n.outcome, NBL_OUTCOME_RETURNED);
	ck_assert_int_eq(n.status, NBL_STATUS_SUCCESS);
	ck_assert(nbl_claim_is_sole(&n));
}
END_TEST

START_TEST(DM_05_parent_and_child_count_start_empty_and_follow_clones)
{
	struct nbl *n = unit_receive(64, 100), *fresh = nbl_pool_alloc(unit.pool), *clone, *deep;

	ck_assert_ptr_null(n->parent);
	ck_assert_uint_eq(n->child_ref_count, 0);
	ck_assert_ptr_null(fresh->parent);
	ck_assert_uint_eq(fresh->child_ref_count, 0);
	clone = unit_clone(n);
	deep = unit_deep_clone(n);
	ck_assert_ptr_eq(clone->parent, n);
	ck_assert_ptr_eq(deep->parent, n);
	ck_assert_uint_eq(clone->child_ref_count, 0);
	ck_assert_uint_eq(n->child_ref_count, 2);
	ck_assert_ptr_null(n->parent);
	ck_assert(!nbl_claim_is_sole(n));
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert_uint_eq(n->child_ref_count, 1);
	ck_assert_int_eq(nbl_free_clone(deep), 0);
	ck_assert_uint_eq(n->child_ref_count, 0);
	ck_assert(nbl_claim_is_sole(n));
	ck_assert_int_eq(nbl_free(fresh), 0);
	nbl_release(n);
}
END_TEST

START_TEST(DV_05_a_parent_with_a_child_goes_home_only_when_the_child_is_freed)
{
	struct nbl *n = unit_receive(64, 100), *child = _i ? unit_deep_clone(n) : unit_clone(n);

	nbl_release(n);
	ck_assert(!unit_is_home(n));
	unit_assert_pattern(&child->nb, 100);
	ck_assert_int_eq(nbl_free_clone(child), 0);
	ck_assert_uint_eq(unit_n_released(n), 1);
}
END_TEST

#define N_CHILDREN 8

struct child_thread {
	struct nbl *child;
	bool reference_first;
	pthread_barrier_t *barrier;
	_Atomic bool *stop;
};

/* Frees its child and drops a reference of the parent, each time all threads have a child. */
static void *free_children(void *arg)
{
	struct child_thread *t = arg;
	struct nbl *parent;

	for (;;) {
		pthread_barrier_wait(t->barrier);
		if (*t->stop)
			return NULL;
		if (t->reference_first)
			nbl_dereference(t->child->parent);
		parent = t->child->parent;
		nbl_free_clone(t->child);
		if (!t->reference_first)
			nbl_dereference(parent);
		pthread_barrier_wait(t->barrier);
	}
}

START_TEST(DV_06_eight_threads_free_eight_children_and_the_parent_goes_home_once)
{
	struct child_thread t[N_CHILDREN];
	pthread_t threads[N_CHILDREN];
	pthread_barrier_t barrier;
	_Atomic bool stop = false;

	pthread_barrier_init(&barrier, NULL, N_CHILDREN + 1);
	for (int i = 0; i < N_CHILDREN; i++) {
		t[i] = (struct child_thread){
			.reference_first = i % 4 < 2, .barrier = &barrier, .stop = &stop };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, free_children, &t[i]), 0);
	}
	for (unsigned int round = 0; round < 1000; round++) {
		struct nbl *n = unit_receive(64, 100);
		unsigned int before = unit_n_released(n);

		for (int i = 0; i < N_CHILDREN; i++) {
			nbl_reference(n, false);
			t[i].child = i % 2 ? unit_clone(n) : unit_deep_clone(n);
		}
		if (round % 2)
			nbl_release(n);
		pthread_barrier_wait(&barrier);
		if (round % 2 == 0)
			nbl_release(n);
		pthread_barrier_wait(&barrier);
		ck_assert_uint_eq(unit_n_released(n), before + 1);
		unit_assert_full(unit.pool);
	}
	stop = true;
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < N_CHILDREN; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&barrier);
}
END_TEST

#define N_EACH 2000
#define N_CROWDS 40

struct crowd_thread {
	struct nbl *children[N_EACH];
	_Atomic int *n_ready;
};

static void *free_crowd(void *arg)
{
	struct crowd_thread *t = arg;

	/* both on a processor, not one woken by the other */
	atomic_fetch_add(t->n_ready, 1);
	while (*t->n_ready < 2)
		;
	for (int i = 0; i < N_EACH; i++)
		nbl_free_clone(t->children[i]);
	return NULL;
}

static void free_by_two(struct crowd_thread t[2])
{
	_Atomic int n_ready = 0;
	pthread_t threads[2];

	for (int i = 0; i < 2; i++) {
		t[i].n_ready = &n_ready;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, free_crowd, &t[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

/* So many at once that a count which can lose one does. */
START_TEST(DV_06_of_thousands_of_children_freed_on_two_threads_none_is_lost)
{
	static struct crowd_thread t[2];
	struct nbl_pool *pool = unit_pool_new(2 * N_EACH, 0, 0, 0);

	for (int round = 0; round < N_CROWDS; round++) {
		struct nbl *n = unit_receive(64, 100);
		unsigned int before = unit_n_released(n);

		for (int i = 0; i < 2 * N_EACH; i++) {
			struct nbl *child = nbl_alloc_clone(n, pool);

			if (!child)
				ck_abort_msg("no clone");
			t[i % 2].children[i / 2] = child;
		}
		nbl_release(n);
		free_by_two(t);
		ck_assert_uint_eq(unit_n_released(n), before + 1);
		ck_assert_uint_eq(n->child_ref_count, 0);
		unit_assert_full(pool);
	}
	ck_assert_int_eq(nbl_pool_free(pool), 0);
}
END_TEST

/* Notes the order in which NBLs go home, then sends them on to their real one. */
struct logged_home {
	struct nbl_home home;
	struct nbl_home *real;
	struct nbl *log[4];
	uint32_t n;
};

static void logged_release(struct nbl_home *home, struct nbl *n)
{
	struct logged_home *l = (struct logged_home *)home;

	l->log[l->n++] = n;
	n->home = l->real;
	l->real->release(l->real, n);
}

START_TEST(DV_07_a_tree_goes_home_from_the_leaf_upward)
{
	struct nbl *a = unit_receive(64, 100), *b = unit_clone(a), *c = unit_clone(b);
	struct logged_home l = { .home.release = logged_release, .real = b->home };

	b->home = c->home = &l.home;
	nbl_release(a);
	ck_assert_int_eq(nbl_free_clone(b), 0);
	ck_assert_uint_eq(l.n, 0);
	ck_assert(!unit_is_home(a));
	unit_assert_pattern(&c->nb, 100);
	ck_assert_int_eq(nbl_free_clone(c), 0);
	ck_assert_uint_eq(l.n, 2);
	ck_assert_ptr_eq(l.log[0], c);
	ck_assert_ptr_eq(l.log[1], b);
	ck_assert(unit_is_home(a));
}
END_TEST

#define DEPTH 20000
#define SMALL_STACK (256 << 10)		/* no room for a call per generation */

static void *free_clone(void *arg)
{
	return nbl_free_clone(arg) ? arg : NULL;
}

START_TEST(DV_07_twenty_thousand_generations_go_home_without_recursion)
{
	struct nbl_pool *pool = unit_pool_new(DEPTH, 0, 0, 0);
	struct nbl *a = unit_receive(64, 100), *n = a;
	pthread_attr_t attr;
	pthread_t thread;
	void *failed;

	for (int i = 0; i < DEPTH; i++) {
		struct nbl *child = nbl_alloc_clone(n, pool);

		ck_assert_ptr_nonnull(child);
		nbl_release(n);
		n = child;
	}
	ck_assert(!unit_is_home(a));
	unit_assert_pattern(&n->nb, 100);
	pthread_attr_init(&attr);
	ck_assert_int_eq(pthread_attr_setstacksize(&attr, SMALL_STACK), 0);
	ck_assert_int_eq(pthread_create(&thread, &attr, free_clone, n), 0);
	pthread_join(thread, &failed);
	pthread_attr_destroy(&attr);
	ck_assert_ptr_null(failed);
	ck_assert(unit_is_home(a));
	unit_assert_full(pool);
	ck_assert_int_eq(nbl_pool_free(pool), 0);
}
END_TEST

START_TEST(RF_01_a_reference_keeps_the_nbl_after_its_owner_gave_it_back)
{
	struct nbl *n = unit_receive(64, 100);

	nbl_reference(n, false);
	nbl_reference(n, true);
	ck_assert_uint_eq(n->references, 2);
	ck_assert(n->nbl_flags & NBL_FLAG_WILL_MODIFY);
	nbl_release(n);
	unit_assert_pattern(&n->nb, 100);
	ck_assert_int_eq(nbl_dereference(n), 0);
	ck_assert(n->nbl_flags & NBL_FLAG_WILL_MODIFY);
	ck_assert(!unit_is_home(n));
	ck_assert_int_eq(nbl_dereference(n), 0);
	ck_assert_uint_eq(unit_n_released(n), 1);
}
END_TEST

START_TEST(RF_02_a_dereference_without_a_reference_is_refused_and_counted)
{
	struct nbl *n = unit_receive(64, 100);

	ck_assert_int_eq(nbl_dereference(n), -EINVAL);
	unit_expect_violations(1);
	nbl_reference(n, false);
	ck_assert_int_eq(nbl_dereference(n), 0);
	ck_assert_int_eq(nbl_dereference(n), -EINVAL);
	unit_expect_violations(2);
	ck_assert(!unit_is_home(n));
	ck_assert_uint_eq(n->claims, 1);
	nbl_release(n);
}
END_TEST

START_TEST(RF_02_a_reference_of_an_nbl_that_went_home_is_refused_and_counted)
{
	struct nbl *n = nbl_pool_alloc(unit.pool), *copy = NULL;

	ck_assert_int_eq(nbl_free(n), 0);
	nbl_reference(n, false);
	unit_expect_violations(1);
	ck_assert_ptr_null(nbl_alloc_clone(n, unit.pool));
	unit_expect_violations(2);
	ck_assert_int_eq(nbl_alloc_deep_clone(n, unit.pool, unit.data, &copy), -EINVAL);
	ck_assert_int_eq(nbl_alloc_copy(n, unit.pool, unit.data, &copy), -EINVAL);
	ck_assert_ptr_null(copy);
	unit_expect_violations(4);
}
END_TEST

/* The ways to end each claim. Claim 3 is a second child, of the other kind. */
static void end_claim(int which, struct nbl *n, struct nbl *child[2])
{
	if (which == 0)
		nbl_release(n);
	else if (which == 1)
		ck_assert_int_eq(nbl_dereference(n), 0);
	else
		ck_assert_int_eq(nbl_free_clone(child[which - 2]), 0);
}

START_TEST(RF_04_frame_goes_home_exactly_once_at_the_last_claim)
{
	int order[4] = { 0, 1, 2, 3 }, left = _i;
	struct nbl *n = unit_receive(64, 100), *child[2];

	/* the _i-th of the 24 orderings */
	for (int i = 0; i < 4; i++) {
		int pick = i + left % (4 - i), swap = order[i];

		left /= 4 - i;
		order[i] = order[pick];
		order[pick] = swap;
	}
	nbl_reference(n, false);
	child[0] = unit_clone(n);
	child[1] = unit_deep_clone(n);
	for (int i = 0; i < 4; i++) {
		ck_assert_uint_eq(unit_n_released(n), 0);
		ck_assert_uint_eq(n->claims & ~NBL_CLAIM_OWNER_GONE, 4 - i);
		end_claim(order[i], n, child);
	}
	ck_assert_uint_eq(unit_n_released(n), 1);
	ck_assert_uint_eq(n->references, 0);
	ck_assert_uint_eq(n->child_ref_count, 0);
}
END_TEST

START_TEST(RF_04_a_second_return_does_not_steal_the_claim_of_a_reference)
{
	struct nbl *n = unit_receive(64, 100);

	nbl_reference(n, false);
	nbl_release(n);
	nbl_release(n);
	unit_expect_violations(1);
	ck_assert(!unit_is_home(n));
	ck_assert_int_eq(nbl_dereference(n), 0);
	ck_assert(unit_is_home(n));
	nbl_release(n);
	unit_expect_violations(2);
	ck_assert_uint_eq(unit_n_released(n), 1);
}
END_TEST

/* Claims what is at home again and again, and is refused. */
static void *claim_in_vain(void *arg)
{
	struct { struct nbl n; _Atomic bool stop; } *home = arg;

	while (!home->stop)
		nbl_reference(&home->n, false);
	return NULL;
}

START_TEST(RF_04_a_claim_that_is_refused_never_shows_so_that_arming_cannot_meet_it)
{
	static struct { struct nbl n; _Atomic bool stop; } home;
	uint64_t refused = nbl_violations();
	uint8_t frame[128];
	uint32_t shown = 0;
	pthread_t thread;

	nbl_init_receive(&home.n, &unit.home.home, frame, sizeof(frame), 5);
	ck_assert_int_eq(pthread_create(&thread, NULL, claim_in_vain, &home), 0);
	while (nbl_violations() - refused < 2000000)
		shown += home.n.claims != 0;
	home.stop = true;
	pthread_join(thread, NULL);
	ck_assert_uint_eq(shown, 0);
	ck_assert_uint_eq(home.n.references, 0);
	unit_expect_violations((uint32_t)(nbl_violations() - refused));
}
END_TEST

static struct { struct nbl n; _Atomic bool stop; } armed;

static void be_home(struct nbl_home *home, struct nbl *n)
{
	n->claims = 0;
}

/* Claims what it has no claim on, and takes each back that it got. */
static void *claim_and_drop(void *arg)
{
	while (!armed.stop)
		if (nbl_claim_reference(&armed.n))
			nbl_dereference(&armed.n);
	return NULL;
}

START_TEST(RF_04_a_claim_that_comes_while_the_descriptor_is_armed_can_be_dropped_again)
{
	struct nbl_home home = { .release = be_home };
	uint64_t refused = nbl_violations();
	uint8_t frame[128];
	pthread_t thread;

	nbl_init_receive(&armed.n, &home, frame, sizeof(frame), 5);
	ck_assert_int_eq(pthread_create(&thread, NULL, claim_and_drop, NULL), 0);
	for (uint32_t i = 0; i < 2000000; i++) {
		nbl_arm_receive(&armed.n, 0, 100);
		ck_assert_int_eq(nbl_claim_end_owner(&armed.n), 0);
		for (uint32_t looks = 0; armed.n.claims; looks++) {
			ck_assert_uint_lt(looks, 500000);
			sched_yield();
		}
	}
	armed.stop = true;
	pthread_join(thread, NULL);
	ck_assert_uint_eq(armed.n.references, 0);
	unit_expect_violations((uint32_t)(nbl_violations() - refused));
}
END_TEST

START_TEST(RF_05_a_clone_keeps_its_original_alive_by_itself)
{
	struct nbl *n = unit_receive(64, 100), *clone;

	nbl_reference(n, true);
	nbl_release(n);
	clone = unit_clone(n);
	ck_assert_int_eq(nbl_dereference(n), 0);
	ck_assert(!unit_is_home(n));
	unit_assert_pattern(&clone->nb, 100);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert(unit_is_home(n));
}
END_TEST

START_TEST(AMB_10_freeing_a_clone_with_a_reference_or_child_is_deferred_to_the_last)
{
	struct nbl *n = unit_receive(64, 100), *clone = unit_deep_clone(n);
	struct nbl *child = unit_clone(clone);

	nbl_reference(clone, false);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert_int_eq(nbl_free_clone(child), 0);
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES - 1);
	unit_assert_pattern(&clone->nb, 100);
	ck_assert_int_eq(nbl_dereference(clone), 0);
	unit_assert_full(unit.data);
	nbl_release(n);
}
END_TEST

START_TEST(the_short_way_home_is_open_only_to_a_receive_nbl_nothing_hangs_on)
{
	struct nbl *n = unit_receive(0, 100), *clone = unit_clone(n);
	struct nbl *fresh = nbl_pool_alloc(unit.pool);

	ck_assert(!nbl_claim_is_sole(fresh));
	nbl_release(fresh);
	ck_assert(!nbl_claim_is_sole(n));
	ck_assert(!nbl_claim_is_sole(clone));
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert(nbl_claim_is_sole(n));
	nbl_reference(n, false);
	ck_assert(!nbl_claim_is_sole(n));
	ck_assert_int_eq(nbl_dereference(n), 0);
	ck_assert(nbl_claim_is_sole(n));
	nbl_release(n);
	ck_assert(!nbl_claim_is_sole(n));
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ arming_a_receive_nbl_touches_its_first_two_cache_lines_only, 1 },
		{ DM_05_parent_and_child_count_start_empty_and_follow_clones, 1 },
		{ DV_05_a_parent_with_a_child_goes_home_only_when_the_child_is_freed, 2 },
		{ DV_06_eight_threads_free_eight_children_and_the_parent_goes_home_once, 1 },
		{ DV_06_of_thousands_of_children_freed_on_two_threads_none_is_lost, 1 },
		{ DV_07_a_tree_goes_home_from_the_leaf_upward, 1 },
		{ DV_07_twenty_thousand_generations_go_home_without_recursion, 1 },
		{ RF_01_a_reference_keeps_the_nbl_after_its_owner_gave_it_back, 1 },
		{ RF_02_a_dereference_without_a_reference_is_refused_and_counted, 1 },
		{ RF_02_a_reference_of_an_nbl_that_went_home_is_refused_and_counted, 1 },
		{ RF_04_frame_goes_home_exactly_once_at_the_last_claim, 24 },
		{ RF_04_a_second_return_does_not_steal_the_claim_of_a_reference, 1 },
		{ RF_04_a_claim_that_is_refused_never_shows_so_that_arming_cannot_meet_it, 1 },
		{ RF_04_a_claim_that_comes_while_the_descriptor_is_armed_can_be_dropped_again, 1 },
		{ RF_05_a_clone_keeps_its_original_alive_by_itself, 1 },
		{ AMB_10_freeing_a_clone_with_a_reference_or_child_is_deferred_to_the_last, 1 },
		{ the_short_way_home_is_open_only_to_a_receive_nbl_nothing_hangs_on, 1 },
	};

	return unit_run("claims", tests, N_ELEMENTS(tests));
}
