// SPDX-License-Identifier: BSD-2-Clause
/* test_intent.c - announced writes: when a clone shares its bytes and when it is made deep. */
#include "unit.h"

#include <nbl/fragment.h>
#include <nbl/holding.h>
#include <nbl/info.h>

#define A 3
#define B 4

static uint64_t copies_before;

/* The pool behind clones that are made deep, and where the count of those begins. */
static void begin(void)
{
	nbl_set_default_pools(unit.pool, unit.data);
	copies_before = nbl_hidden_copies();
}

static uint64_t n_copies(void)
{
	return nbl_hidden_copies() - copies_before;
}

static void reference_as(uint16_t holder, struct nbl *n, bool intend_to_modify)
{
	nbl_holder_enter(holder);
	nbl_reference(n, intend_to_modify);
	nbl_holder_enter(NBL_HOLDER_OF_NBL);
}

static struct nbl *clone_as(uint16_t holder, struct nbl *n)
{
	struct nbl *clone;

	nbl_holder_enter(holder);
	clone = unit_clone(n);
	nbl_holder_enter(NBL_HOLDER_OF_NBL);
	return clone;
}

static void dereference_as(uint16_t holder, struct nbl *n)
{
	nbl_holder_enter(holder);
	ck_assert_int_eq(nbl_dereference(n), 0);
	nbl_holder_enter(NBL_HOLDER_OF_NBL);
}

/* Writes through the clone; true if 'n' shows it. */
static bool shows(struct nbl *n, struct nbl *clone)
{
	bool seen;

	*unit_byte(&clone->nb, 40) ^= 0xff;
	seen = *unit_byte(&n->nb, 40) != unit_pattern(40);
	*unit_byte(&clone->nb, 40) ^= 0xff;
	return seen;
}

START_TEST(RF_06_one_holder_on_one_thread_shares_and_copies_nothing)
{
	struct nbl *n = unit_receive(64, 100), *clone;

	begin();
	n->holder = A;
	reference_as(A, n, true);
	reference_as(A, n, false);
	if (_i)		/* its owner blocked and absorbed it */
		nbl_release(n);
	clone = clone_as(A, n);
	ck_assert_uint_eq(clone->kind, NBL_KIND_CLONE);
	ck_assert(shows(n, clone));
	ck_assert_uint_eq(n_copies(), 0);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	dereference_as(A, n);
	dereference_as(A, n);
	if (!_i)
		nbl_release(n);
}
END_TEST

START_TEST(RF_06_with_two_holders_the_one_who_writes_gets_bytes_of_its_own)
{
	struct nbl *n = unit_receive(64, 100), *clone;

	begin();
	n->holder = A;
	reference_as(A, n, true);
	reference_as(B, n, false);
	nbl_release(n);
	clone = clone_as(A, n);
	ck_assert_uint_eq(clone->kind, NBL_KIND_DEEP_CLONE);
	ck_assert_ptr_eq(clone->parent, n);
	*unit_byte(&clone->nb, 40) ^= 0xff;
	unit_assert_pattern(&n->nb, 100);
	ck_assert_uint_eq(n_copies(), 1);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	dereference_as(B, n);
	/* alone again */
	clone = clone_as(A, n);
	ck_assert_uint_eq(clone->kind, NBL_KIND_CLONE);
	ck_assert_uint_eq(n_copies(), 1);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	dereference_as(A, n);
}
END_TEST

START_TEST(AMB_02_the_mark_outlasts_clones_and_the_reference_that_left_it)
{
	struct nbl *n = unit_receive(64, 100), *clone;

	begin();
	n->holder = A;
	reference_as(A, n, true);
	reference_as(B, n, false);
	for (uint64_t i = 0; i < 3; i++) {
		if (i == 2)		/* it was announced, whether or not A still has it */
			dereference_as(A, n);
		clone = clone_as(A, n);
		ck_assert_uint_eq(clone->kind, NBL_KIND_DEEP_CLONE);
		ck_assert(!shows(n, clone));
		ck_assert_uint_eq(n_copies(), i + 1);
		ck_assert_int_eq(nbl_free_clone(clone), 0);
		ck_assert(n->nbl_flags & NBL_FLAG_WILL_MODIFY);
	}
	dereference_as(B, n);
	nbl_release(n);
}
END_TEST

START_TEST(RF_06_another_child_can_see_the_bytes_so_they_are_copied)
{
	struct nbl *n = unit_receive(64, 100), *first, *clone;

	begin();
	n->holder = A;
	first = unit_clone(n);
	reference_as(A, n, true);
	clone = clone_as(A, n);
	ck_assert_uint_eq(clone->kind, NBL_KIND_DEEP_CLONE);
	ck_assert(!shows(n, clone));
	unit_assert_pattern(&first->nb, 100);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert_int_eq(nbl_free_clone(first), 0);
	dereference_as(A, n);
	nbl_release(n);
}
END_TEST

START_TEST(RF_06_another_owner_can_see_the_bytes_so_they_are_copied)
{
	struct nbl *n = unit_receive(64, 100), *clone;

	begin();
	n->holder = A;
	reference_as(A, n, true);
	n->holder = B;		/* passed on */
	clone = clone_as(A, n);
	ck_assert_uint_eq(clone->kind, NBL_KIND_DEEP_CLONE);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	nbl_release(n);		/* and given back */
	clone = clone_as(A, n);
	ck_assert_uint_eq(clone->kind, NBL_KIND_CLONE);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	dereference_as(A, n);
}
END_TEST

static bool queued;

static bool is_queued(const struct nbl_home *home, const struct nbl *n)
{
	(void)home;
	(void)n;
	return queued;
}

START_TEST(RF_06_bytes_waiting_to_be_sent_are_copied)
{
	struct nbl *n = unit_receive(64, 100), *clone;

	begin();
	unit.home.home.is_queued = is_queued;
	for (int i = 0; i < 2; i++) {
		queued = i;
		reference_as(0, n, true);
		clone = unit_clone(n);
		ck_assert_uint_eq(clone->kind, queued ? NBL_KIND_DEEP_CLONE : NBL_KIND_CLONE);
		ck_assert_int_eq(nbl_free_clone(clone), 0);
		dereference_as(0, n);
	}
	ck_assert_uint_eq(n_copies(), 1);
	nbl_release(n);
}
END_TEST

START_TEST(RF_06_what_was_originated_and_is_not_back_is_copied)
{
	struct nbl *n = unit_receive(64, 100), *copy, *clone;

	begin();
	ck_assert_int_eq(nbl_alloc_copy(n, unit.pool, unit.data, &copy), 0);
	nbl_release(n);
	copy->holder = A;
	for (int i = 0; i < 2; i++) {
		copy->is_out = i;
		reference_as(A, copy, true);
		clone = clone_as(A, copy);
		ck_assert_uint_eq(clone->kind, i ? NBL_KIND_DEEP_CLONE : NBL_KIND_CLONE);
		ck_assert_int_eq(nbl_free_clone(clone), 0);
		dereference_as(A, copy);
	}
	ck_assert_uint_eq(n_copies(), 1);
	copy->is_out = false;
	ck_assert_int_eq(nbl_free(copy), 0);
}
END_TEST

START_TEST(RF_06_who_writes_flags_does_not_hide_that_a_whole_shows_a_part)
{
	const struct nbl_fragment_params join = { .delta = 0 };
	struct nbl *parts[] = { unit_receive(64, 100), unit_receive(64, 50) }, *whole, *clone;

	begin();
	for (int i = 0; i < 2; i++)
		parts[i]->holder = A;
	ck_assert_int_eq(nbl_alloc_reassembled(parts, 2, &join, unit.data, NULL, &whole), 0);
	ck_assert_int_eq(nbl_flags_write(parts[1], ~NBL_FLAGS_OF_ENGINE, 0), 0);
	reference_as(A, parts[1], true);
	clone = clone_as(A, parts[1]);
	ck_assert_uint_eq(clone->kind, NBL_KIND_DEEP_CLONE);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	dereference_as(A, parts[1]);
	ck_assert_int_eq(nbl_free_reassembled(whole, 0), 0);
	for (int i = 0; i < 2; i++)
		nbl_release(parts[i]);
}
END_TEST

static void *clone_on_another_thread(void *arg)
{
	return nbl_alloc_clone(arg, unit.pool);
}

static void *reference_on_another_thread(void *arg)
{
	nbl_reference(arg, true);
	return NULL;
}

static void *on_another_thread(void *(*work)(void *), struct nbl *n)
{
	pthread_t thread;
	void *result;

	ck_assert_int_eq(pthread_create(&thread, NULL, work, n), 0);
	pthread_join(thread, &result);
	return result;
}

START_TEST(RF_06_a_clone_on_another_thread_than_the_announcement_is_made_deep)
{
	struct nbl *n = unit_receive(64, 100), *clone;

	begin();
	if (_i == 1)	/* two announcements, one of them elsewhere */
		on_another_thread(reference_on_another_thread, n);
	nbl_reference(n, true);
	clone = _i ? unit_clone(n) : on_another_thread(clone_on_another_thread, n);
	ck_assert_ptr_nonnull(clone);
	ck_assert_uint_eq(clone->kind, NBL_KIND_DEEP_CLONE);
	ck_assert(!shows(n, clone));
	ck_assert_uint_eq(n_copies(), 1);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert_int_eq(nbl_dereference(n), 0);
	if (_i == 1)
		ck_assert_int_eq(nbl_dereference(n), 0);
	nbl_release(n);
}
END_TEST

START_TEST(RF_06_without_an_announcement_clones_share_whoever_else_looks)
{
	struct nbl *n = unit_receive(64, 100), *clone[2];

	begin();
	reference_as(A, n, false);
	reference_as(B, n, false);
	clone[0] = clone_as(A, n);
	clone[1] = clone_as(B, n);
	ck_assert_uint_eq(clone[0]->kind, NBL_KIND_CLONE);
	ck_assert_uint_eq(clone[1]->kind, NBL_KIND_CLONE);
	ck_assert_uint_eq(n_copies(), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(nbl_free_clone(clone[i]), 0);
	dereference_as(A, n);
	dereference_as(B, n);
	nbl_release(n);
}
END_TEST

START_TEST(RF_06_with_no_frames_for_a_copy_there_is_no_clone_at_all)
{
	struct nbl *n = unit_receive(64, 100);

	nbl_reference(n, true);
	reference_as(B, n, false);
	ck_assert_ptr_null(nbl_alloc_clone(n, unit.pool));
	ck_assert_uint_eq(n->child_ref_count, 0);
	unit_assert_pattern(&n->nb, 100);
	dereference_as(B, n);
	ck_assert_int_eq(nbl_dereference(n), 0);
	nbl_release(n);
}
END_TEST

START_TEST(RF_06_the_mark_and_its_thread_are_gone_with_the_descriptors_next_packet)
{
	struct nbl *n = unit_receive(64, 100), *clone;

	begin();
	on_another_thread(reference_on_another_thread, n);
	ck_assert_int_eq(nbl_dereference(n), 0);
	ck_assert(!nbl_claim_is_sole(n));
	nbl_release(n);
	nbl_arm_receive(n, 64, 100);
	unit.home.armed[n->segment.frame]++;
	nbl_reference(n, true);
	clone = unit_clone(n);
	ck_assert_uint_eq(clone->kind, NBL_KIND_CLONE);
	ck_assert_uint_eq(n_copies(), 0);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert_int_eq(nbl_dereference(n), 0);
	nbl_release(n);
}
END_TEST

/* One who looks at an NBL while others work on it. */
struct holder {
	bool refers, writes;
	struct nbl *clone;
};

/* Lets a random one of 'holders' reference, clone and write, or let go. */
static void act(struct holder *h, uint16_t id, struct nbl *n, struct unit_random *r)
{
	nbl_holder_enter(id);
	if (!h->refers) {
		h->writes = unit_random_below(r, 2);
		nbl_reference(n, h->writes);
		h->refers = true;
	} else if (!h->clone) {
		h->clone = nbl_alloc_clone(n, unit.pool);
	} else if (h->writes && unit_random_below(r, 2)) {
		for (uint32_t i = 0; i < 100; i++)
			*unit_byte(&h->clone->nb, i) = (uint8_t)(id + unit_random_below(r, 100));
	} else {
		nbl_free_clone(h->clone);
		h->clone = NULL;
		ck_assert_int_eq(nbl_dereference(n), 0);
		h->refers = false;
	}
	nbl_holder_enter(NBL_HOLDER_OF_NBL);
}

START_TEST(INV_9_bytes_seen_without_intent_do_not_change_while_another_writes)
{
	struct unit_random r = unit_random(0x5eed0909 + (uint64_t)_i);
	uint32_t n_watched = 0;

	begin();
	for (int round = 0; round < 300; round++) {
		struct holder holders[3] = { { .refers = false } }, *watcher = &holders[0];
		struct nbl *n = unit_receive(64, 100);
		uint8_t seen[100];

		/*
		 * the first looks from the start and never writes;
		 * the last act may have been a write
		 */
		nbl_holder_enter(1);
		nbl_reference(n, false);
		nbl_holder_enter(NBL_HOLDER_OF_NBL);
		watcher->refers = true;
		for (uint32_t i = 0; i < 100; i++)
			seen[i] = *unit_byte(&n->nb, i);
		for (int step = 0; step < 30; step++) {
			uint16_t who = (uint16_t)(1 + unit_random_below(&r, 2));

			act(&holders[who], (uint16_t)(who + 1), n, &r);
			for (uint32_t i = 0; i < 100; i++)
				ck_assert_uint_eq(*unit_byte(&n->nb, i), seen[i]);
			n_watched++;
		}
		for (uint16_t who = 0; who < 3; who++) {
			nbl_free_clone(holders[who].clone);
			if (holders[who].refers)
				ck_assert_int_eq(nbl_dereference(n), 0);
		}
		nbl_release(n);
	}
	ck_assert_uint_gt(n_watched, 0);
	ck_assert_uint_gt(n_copies(), 0);
}
END_TEST

START_TEST(RF_06_who_dropped_a_packet_is_not_taken_for_its_owner)
{
	struct nbl *n = unit_receive(64, 100), *clone;

	begin();
	/* the holder of a dropped one is where it was dropped, and B has it now */
	n->holder = A;
	n->outcome = NBL_OUTCOME_BLOCKED;
	reference_as(A, n, true);
	clone = clone_as(A, n);
	ck_assert_uint_eq(clone->kind, NBL_KIND_DEEP_CLONE);
	ck_assert(!shows(n, clone));
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	dereference_as(A, n);
	nbl_release(n);
}
END_TEST

START_TEST(RF_06_a_part_of_a_reassembled_packet_is_seen_by_whoever_sees_that)
{
	const struct nbl_fragment_params params = { .start_offset = 0 };
	struct nbl *parts[2] = { unit_receive(64, 100), unit_receive(64, 100) }, *whole, *clone;

	begin();
	parts[0]->holder = parts[1]->holder = A;
	reference_as(A, parts[1], true);
	nbl_holder_enter(A);
	ck_assert_int_eq(nbl_alloc_reassembled(parts, 2, &params, unit.pool, unit.data, &whole), 0);
	nbl_holder_enter(NBL_HOLDER_OF_NBL);
	clone = clone_as(A, parts[1]);
	ck_assert_uint_eq(clone->kind, NBL_KIND_DEEP_CLONE);
	ck_assert(!shows(parts[1], clone));
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert_int_eq(nbl_free_reassembled(whole, 0), 0);
	dereference_as(A, parts[1]);
	nbl_release(parts[0]);
	nbl_release(parts[1]);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ RF_06_one_holder_on_one_thread_shares_and_copies_nothing, 2 },
		{ RF_06_with_two_holders_the_one_who_writes_gets_bytes_of_its_own, 1 },
		{ AMB_02_the_mark_outlasts_clones_and_the_reference_that_left_it, 1 },
		{ RF_06_another_child_can_see_the_bytes_so_they_are_copied, 1 },
		{ RF_06_another_owner_can_see_the_bytes_so_they_are_copied, 1 },
		{ RF_06_bytes_waiting_to_be_sent_are_copied, 1 },
		{ RF_06_what_was_originated_and_is_not_back_is_copied, 1 },
		{ RF_06_who_writes_flags_does_not_hide_that_a_whole_shows_a_part, 1 },
		{ RF_06_a_clone_on_another_thread_than_the_announcement_is_made_deep, 2 },
		{ RF_06_without_an_announcement_clones_share_whoever_else_looks, 1 },
		{ RF_06_with_no_frames_for_a_copy_there_is_no_clone_at_all, 1 },
		{ RF_06_the_mark_and_its_thread_are_gone_with_the_descriptors_next_packet, 1 },
		{ INV_9_bytes_seen_without_intent_do_not_change_while_another_writes, 2 },
		{ RF_06_who_dropped_a_packet_is_not_taken_for_its_owner, 1 },
		{ RF_06_a_part_of_a_reassembled_packet_is_seen_by_whoever_sees_that, 1 },
	};

	return unit_run("intent", tests, N_ELEMENTS(tests));
}
