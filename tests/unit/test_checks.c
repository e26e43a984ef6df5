// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_checks.c - catching what breaks the rules: unknown NBLs, shapes not restored, bytes written.
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#include <nbl/checks.h>
#include <nbl/fragment.h>
#include <nbl/raw.h>

#include "core/slab.h"

START_TEST(DM_16_nbls_of_pools_and_of_receive_frames_are_known_and_others_are_not)
{
	struct nbl on_stack, *n = unit_receive(64, 100), *fresh = nbl_pool_alloc(unit.pool);
	struct nbl_pool *pool = unit_pool_new(1, 0, 0, 0);
	struct nbl *gone = nbl_pool_alloc(pool), *clone = unit_clone(n);

	ck_assert(nbl_is_known(n));
	ck_assert(nbl_is_known(fresh));
	ck_assert(nbl_is_known(clone));
	ck_assert(nbl_is_known(gone));
	ck_assert(!nbl_is_known(&on_stack));
	ck_assert(!nbl_is_known(NULL));
	ck_assert(!nbl_is_known((struct nbl *)(void *)((uint8_t *)fresh + NBL_CACHE_LINE)));
	ck_assert(!nbl_is_known((struct nbl *)(void *)((uint8_t *)n + 8)));
	ck_assert_int_eq(nbl_free(gone), 0);
	ck_assert_int_eq(nbl_pool_free(pool), 0);
	ck_assert(!nbl_is_known(gone));
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert_int_eq(nbl_free(fresh), 0);
	nbl_release(n);
}
END_TEST

START_TEST(DM_16_runs_of_nbls_join_and_make_room_for_what_lies_there_later)
{
	static struct nbl nbls[6];
	const size_t size = sizeof(nbls[0]);

	ck_assert_int_eq(nbl_slab_add(&nbls[0], size, 1), 0);
	ck_assert_int_eq(nbl_slab_add(&nbls[1], size, 1), 0);
	ck_assert_int_eq(nbl_slab_add(&nbls[2], size, 1), 0);
	ck_assert_int_eq(nbl_slab_add(&nbls[1], size, 1), 0);
	for (int i = 0; i < 3; i++)
		ck_assert(nbl_is_known(&nbls[i]));
	ck_assert(!nbl_is_known(&nbls[3]));
	/* another slab over half of it: what it covers is its own from then on */
	ck_assert_int_eq(nbl_slab_add((uint8_t *)&nbls[1] + 64, 2 * size, 2), 0);
	ck_assert(nbl_is_known(&nbls[0]));
	ck_assert(!nbl_is_known(&nbls[2]));
	ck_assert(nbl_is_known((struct nbl *)(void *)((uint8_t *)&nbls[3] + 64)));
	nbl_slab_remove(nbls, sizeof(nbls));
	ck_assert(!nbl_is_known(&nbls[0]));
	ck_assert(!nbl_is_known((struct nbl *)(void *)((uint8_t *)&nbls[1] + 64)));
}
END_TEST

START_TEST(DM_16_with_the_check_on_no_call_touches_an_nbl_that_was_made_up)
{
	struct nbl on_stack, before, *out = NULL;

	memset(&on_stack, 0x41, sizeof(on_stack));	/* to follow any pointer of it would trap */
	memcpy(&before, &on_stack, sizeof(before));
	nbl_set_checks(NBL_CHECK_KNOWN);
	nbl_reference(&on_stack, true);
	ck_assert_int_eq(nbl_dereference(&on_stack), -EINVAL);
	nbl_release(&on_stack);
	ck_assert_int_eq(nbl_free(&on_stack), -EINVAL);
	ck_assert_int_eq(nbl_free_clone(&on_stack), -EINVAL);
	ck_assert_int_eq(nbl_raw_free_clone(&on_stack, 0), -EINVAL);
	ck_assert_int_eq(nbl_raw_release(&on_stack), -EINVAL);
	ck_assert_ptr_null(nbl_alloc_clone(&on_stack, unit.pool));
	ck_assert_ptr_null(nbl_raw_alloc_clone(&on_stack, unit.pool, 0));
	ck_assert_int_eq(nbl_alloc_deep_clone(&on_stack, unit.pool, unit.data, &out), -EINVAL);
	ck_assert_int_eq(nbl_alloc_copy(&on_stack, unit.pool, unit.data, &out), -EINVAL);
	nbl_set_checks(NBL_CHECKS_DEFAULT);
	unit_expect_violations(11);
	ck_assert_mem_eq(&on_stack, &before, sizeof(before));
}
END_TEST

/* Runs 'act' in a process of its own; returns the signal that ended it, 0 if none did. */
static int signal_of(void (*act)(struct nbl *n), struct nbl *n)
{
	const struct rlimit no_core = { 0, 0 };
	int status;
	pid_t child;

	fflush(NULL);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		act(n);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void clone_in_part_checking(struct nbl *n)
{
	struct nbl *out;

	nbl_set_checks(NBL_CHECK_KNOWN);
	if (nbl_alloc_partial_clone(n, 14, 0, unit.pool, unit.data, &out) != -EINVAL)
		abort();
}

START_TEST(DM_16_a_partial_clone_of_an_nbl_that_was_made_up_reads_nothing_of_it)
{
	ck_assert_int_eq(signal_of(clone_in_part_checking, (struct nbl *)(uintptr_t)NBL_CACHE_LINE), 0);
}
END_TEST

static void dereference_aborting(struct nbl *n)
{
	nbl_set_checks(NBL_CHECK_ABORT);
	nbl_dereference(n);
}

START_TEST(RF_02_with_the_check_on_one_dereference_too_many_aborts)
{
	struct nbl *n = unit_receive(64, 100);

	ck_assert_int_eq(signal_of(dereference_aborting, n), SIGABRT);
	nbl_reference(n, false);
	ck_assert_int_eq(signal_of(dereference_aborting, n), 0);
	ck_assert_int_eq(nbl_dereference(n), 0);
	nbl_release(n);
}
END_TEST

START_TEST(a_broken_rule_is_told_with_the_holder_who_broke_it)
{
	struct nbl *n = unit_receive(64, 100);
	struct nbl_violation last;

	n->holder = 7;
	ck_assert_int_eq(nbl_dereference(n), -EINVAL);
	nbl_get_last_violation(&last);
	ck_assert_uint_eq(last.number, nbl_violations());
	ck_assert_uint_eq(last.holder, 7);
	ck_assert(!strncmp(last.what, "RF-02", 5));
	unit_expect_violations(1);
	nbl_release(n);
}
END_TEST

/* An NBL of two NBs over two and one segments; n[1] only lends its NB. */
static void make_two(struct nbl *n[2])
{
	static const uint32_t sizes[] = { 60, 100 };

	n[0] = unit_receive_over(20, sizes, 2, 130);
	n[1] = unit_receive(64, 50);
	n[0]->nb.next = &n[1]->nb;
}

/* What a module may do and not undo. Returns what the checker has to say. */
static uint32_t break_shape(int how, struct nbl *n, struct nbl_segment *foreign)
{
	struct nbl_nb *nb = n->first_nb;

	switch (how) {
	case 0:
		nb->next = NULL;
		return NBL_SHAPE_LINKS;
	case 1:
		n->first_nb = nb->next;
		return NBL_SHAPE_LINKS;
	case 2:
		foreign->next = nb->first_segment;
		nb->first_segment = foreign;
		return NBL_SHAPE_LINKS;
	case 3:
		nb->first_segment->next = NULL;
		return NBL_SHAPE_LINKS;
	case 4:
		nb->first_segment->next->base++;
		return NBL_SHAPE_LINKS;
	case 5:
		nb->first_segment->next = nb->first_segment;
		return NBL_SHAPE_LINKS;
	case 6:
		ck_assert_int_eq(nbl_nb_advance(nb, 14, false), 0);
		return NBL_SHAPE_WINDOW;
	case 7:
		nb->next->data_length--;
		return NBL_SHAPE_WINDOW;
	case 8:			/* as long as before, but elsewhere */
		nb->data_offset += 4;
		nb->current_offset += 4;
		return NBL_SHAPE_WINDOW;
	default:
		n->source_handle++;
		n->protocol_reserved[0] = n;
		return NBL_SHAPE_SOURCE_HANDLE | NBL_SHAPE_RESERVED;
	}
}

START_TEST(DV_11_what_a_borrower_did_not_restore_is_named_and_counted)
{
	struct nbl_segment *foreign = calloc(1, sizeof(*foreign));
	struct nbl *n[2], was[2];
	struct nbl_segment extra;
	struct nbl_shape shape;
	uint32_t expected;

	make_two(n);
	nbl_shape_record(n[0], &shape);
	ck_assert_uint_eq(nbl_shape_differs(&shape), 0);
	memcpy(&was[0], n[0], sizeof(was[0]));
	memcpy(&was[1], n[1], sizeof(was[1]));
	extra = *n[0]->segment.next;
	expected = break_shape(_i, n[0], foreign);
	/* the module is gone, and its memory with it: the checker must not look there */
	free(foreign);
	ck_assert_uint_eq(nbl_shape_differs(&shape), expected);
	unit_expect_violations((uint64_t)__builtin_popcount(expected));
	memcpy(n[0], &was[0], sizeof(was[0]));
	memcpy(n[1], &was[1], sizeof(was[1]));
	*n[0]->segment.next = extra;
	ck_assert_uint_eq(nbl_shape_differs(&shape), 0);
	n[0]->nb.next = NULL;
	nbl_release(n[0]);
	nbl_release(n[1]);
}
END_TEST

START_TEST(SH_03_a_changed_source_handle_is_named)
{
	struct nbl *n = unit_receive(64, 100);
	struct nbl_shape shape;

	n->source_handle = 3;
	nbl_shape_record(n, &shape);
	n->source_handle = 4;
	ck_assert_uint_eq(nbl_shape_differs(&shape), NBL_SHAPE_SOURCE_HANDLE);
	unit_expect_violations(1);
	/* who saved it and put it back broke nothing (SH-06) */
	n->source_handle = 3;
	ck_assert_uint_eq(nbl_shape_differs(&shape), 0);
	nbl_release(n);
}
END_TEST

START_TEST(DM_12_reserved_fields_that_a_middle_driver_used_are_named)
{
	struct nbl *n = unit_receive(64, 100);
	void **field = _i < 4 ? &n->protocol_reserved[_i] : &n->miniport_reserved[_i - 4];
	struct nbl_shape shape;

	*field = &shape;
	nbl_shape_record(n, &shape);
	ck_assert_uint_eq(nbl_shape_differs(&shape), 0);
	*field = NULL;
	ck_assert_uint_eq(nbl_shape_differs(&shape), NBL_SHAPE_RESERVED);
	unit_expect_violations(1);
	nbl_release(n);
}
END_TEST

START_TEST(DM_01_an_nb_replaced_by_one_that_looks_the_same_is_named)
{
	struct nbl *n[2];
	struct nbl_shape shape;
	struct nbl_nb copy;

	make_two(n);
	nbl_shape_record(n[0], &shape);
	copy = n[1]->nb;
	n[0]->nb.next = &copy;
	ck_assert_uint_eq(nbl_shape_differs(&shape), NBL_SHAPE_LINKS);
	unit_expect_violations(1);
	n[0]->nb.next = NULL;
	nbl_release(n[0]);
	nbl_release(n[1]);
}
END_TEST

START_TEST(DM_01_relinking_nbls_is_nobodys_business_and_unlinking_nbs_is)
{
	struct nbl *n[2], *other = unit_receive(64, 100);
	struct nbl_shape shape;

	make_two(n);
	nbl_shape_record(n[0], &shape);
	n[0]->next = other;
	ck_assert_uint_eq(nbl_shape_differs(&shape), 0);
	n[0]->next = NULL;
	n[0]->nb.next = NULL;
	ck_assert_uint_eq(nbl_shape_differs(&shape), NBL_SHAPE_LINKS);
	unit_expect_violations(1);
	for (int i = 0; i < 2; i++)
		nbl_release(n[i]);
	nbl_release(other);
}
END_TEST

START_TEST(AR_04_a_window_that_was_moved_and_restored_is_as_it_was)
{
	struct nbl *n = unit_receive(0, 100);
	struct nbl_shape shape;

	nbl_shape_record(n, &shape);
	ck_assert_int_eq(nbl_nb_retreat(&n->nb, 30, 0, unit.data), 0);
	ck_assert_int_eq(nbl_nb_advance(&n->nb, 30, true), 0);
	ck_assert_int_eq(nbl_nb_advance(&n->nb, 14, false), 0);
	ck_assert_int_eq(nbl_nb_retreat(&n->nb, 14, 0, NULL), 0);
	ck_assert_uint_eq(nbl_shape_differs(&shape), 0);
	nbl_release(n);
}
END_TEST

START_TEST(DV_11_more_links_than_are_noted_one_by_one_are_compared_too)
{
	static const uint32_t sizes[] = { 20, 20, 20, 20, 20, 20, 20, 20 };
	struct nbl *a = unit_receive_over(0, sizes, 8, 160),
		*b = unit_receive_over(0, sizes, 8, 160);
	struct nbl_segment *last = &b->segment;
	struct nbl_shape shape;

	a->nb.next = &b->nb;
	while (last->next->next)
		last = last->next;
	nbl_shape_record(a, &shape);
	ck_assert_uint_gt(shape.n_steps, NBL_SHAPE_STEPS);
	ck_assert_uint_eq(nbl_shape_differs(&shape), 0);
	last->next->length--;
	ck_assert_uint_eq(nbl_shape_differs(&shape), NBL_SHAPE_LINKS);
	last->next->length++;
	unit_expect_violations(1);
	ck_assert_uint_eq(nbl_shape_differs(&shape), 0);
	a->nb.next = NULL;
	nbl_release(a);
	nbl_release(b);
}
END_TEST

START_TEST(RF_07_bytes_written_that_no_reference_announced_are_told_with_the_writer)
{
	struct nbl *n = unit_receive(64, 100), *clone;
	struct nbl_violation last;

	nbl_set_checks(NBL_CHECK_BYTES);
	n->holder = 5;
	nbl_reference(n, false);
	clone = unit_clone(n);
	*unit_byte(&clone->nb, _i ? 99 : 0) ^= 1;
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	unit_expect_violations(1);
	nbl_get_last_violation(&last);
	ck_assert_uint_eq(last.holder, 5);
	ck_assert(!strncmp(last.what, "RF-07", 5));
	nbl_set_checks(NBL_CHECKS_DEFAULT);
	/* what was delivered stays delivered */
	ck_assert_uint_eq(*unit_byte(&n->nb, _i ? 99 : 0), unit_pattern(_i ? 99 : 0) ^ 1);
	ck_assert_int_eq(nbl_dereference(n), 0);
	nbl_release(n);
}
END_TEST

START_TEST(RF_07_moving_windows_headers_of_its_own_and_announced_writes_are_fine)
{
	struct nbl *n = unit_receive(64, 100), *clone;

	nbl_set_checks(NBL_CHECK_BYTES);
	clone = unit_clone(n);
	ck_assert_int_eq(nbl_nb_advance(&clone->nb, 20, false), 0);
	ck_assert_int_eq(nbl_nb_retreat(&clone->nb, 30, 0, unit.data), 0);
	memset(nbl_nb_data(&clone->nb), 0, 30);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	nbl_reference(n, true);
	clone = unit_clone(n);
	ck_assert_uint_eq(clone->kind, NBL_KIND_CLONE);
	*unit_byte(&clone->nb, 10) ^= 1;
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	nbl_set_checks(NBL_CHECKS_DEFAULT);
	ck_assert_int_eq(nbl_dereference(n), 0);
	nbl_release(n);
	unit_expect_violations(0);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ DM_16_nbls_of_pools_and_of_receive_frames_are_known_and_others_are_not, 1 },
		{ DM_16_runs_of_nbls_join_and_make_room_for_what_lies_there_later, 1 },
		{ DM_16_with_the_check_on_no_call_touches_an_nbl_that_was_made_up, 1 },
		{ DM_16_a_partial_clone_of_an_nbl_that_was_made_up_reads_nothing_of_it, 1 },
		{ RF_02_with_the_check_on_one_dereference_too_many_aborts, 1 },
		{ a_broken_rule_is_told_with_the_holder_who_broke_it, 1 },
		{ DV_11_what_a_borrower_did_not_restore_is_named_and_counted, 10 },
		{ SH_03_a_changed_source_handle_is_named, 1 },
		{ DM_12_reserved_fields_that_a_middle_driver_used_are_named, 6 },
		{ DM_01_an_nb_replaced_by_one_that_looks_the_same_is_named, 1 },
		{ DM_01_relinking_nbls_is_nobodys_business_and_unlinking_nbs_is, 1 },
		{ AR_04_a_window_that_was_moved_and_restored_is_as_it_was, 1 },
		{ DV_11_more_links_than_are_noted_one_by_one_are_compared_too, 1 },
		{ RF_07_bytes_written_that_no_reference_announced_are_told_with_the_writer, 2 },
		{ RF_07_moving_windows_headers_of_its_own_and_announced_writes_are_fine, 1 },
	};

	return unit_run("checks", tests, N_ELEMENTS(tests));
}
