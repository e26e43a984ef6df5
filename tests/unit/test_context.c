// SPDX-License-Identifier: BSD-2-Clause
/* test_context.c - filters' contexts on NBLs: a stack in room that was there before. */
#include <malloc.h>

#include "unit.h"

#include <nbl/context.h>

#define SIZE 64u
#define N_MODULES 3
#define ROOM (N_MODULES * NBL_CONTEXT_SPACE(SIZE))

static struct nbl_pool *context_pool(uint32_t context_size)
{
	const struct nbl_pool_params params = {
		.n_nbls = 4, .n_frames = 4, .frame_size = 256, .context_size = context_size };
	struct nbl_pool *pool = NULL;

	ck_assert_int_eq(nbl_pool_new(&params, &pool), 0);
	return pool;
}

/* An NBL with room for contexts: of each kind. */
static struct nbl *with_room(int kind, struct nbl_pool *pool, struct nbl *n)
{
	struct nbl *derived = NULL;

	if (kind == NBL_KIND_FRESH)
		derived = nbl_pool_alloc(pool);
	else if (kind == NBL_KIND_CLONE)
		derived = nbl_alloc_clone(n, pool);
	else if (kind == NBL_KIND_DEEP_CLONE)
		ck_assert_int_eq(nbl_alloc_deep_clone(n, pool, pool, &derived), 0);
	else
		return n;
	ck_assert_ptr_nonnull(derived);
	return derived;
}

START_TEST(DM_13_three_modules_push_on_the_way_down_and_each_pops_its_own)
{
	static uint8_t area[ROOM] __attribute__((aligned(16)));
	struct nbl_pool *pool = context_pool(ROOM);
	struct nbl *n = unit_receive(64, 100), *carrier;
	void *context[N_MODULES], *at_first;
	size_t heap_before;

	nbl_bind_context(n, area, sizeof(area));
	carrier = with_room(_i, pool, n);
	at_first = carrier->context;
	heap_before = mallinfo2().uordblks;
	for (int i = 0; i < N_MODULES; i++) {
		ck_assert_int_eq(nbl_context_push(carrier, SIZE, &context[i]), 0);
		ck_assert_ptr_eq(carrier->context, context[i]);
		for (uint32_t j = 0; j < SIZE; j++)
			ck_assert_uint_eq(((uint8_t *)context[i])[j], 0);
		memset(context[i], 0x10 + i, SIZE);
	}
	ck_assert_uint_eq(mallinfo2().uordblks, heap_before);
	for (int i = N_MODULES; i-- > 0;) {
		ck_assert_ptr_eq(carrier->context, context[i]);
		for (uint32_t j = 0; j < SIZE; j++)
			ck_assert_uint_eq(((uint8_t *)context[i])[j], 0x10 + i);
		ck_assert_int_eq(nbl_context_pop(carrier, SIZE), 0);
	}
	ck_assert_ptr_eq(carrier->context, at_first);
	if (carrier != n)
		nbl_release(carrier);
	ck_assert(nbl_claim_is_sole(n));
	nbl_release(n);
	ck_assert_int_eq(nbl_pool_free(pool), 0);
}
END_TEST

START_TEST(DM_13_contexts_lie_in_the_room_reserved_and_are_refused_beyond_it)
{
	static uint8_t area[ROOM + 8] __attribute__((aligned(16)));
	struct nbl *n = unit_receive(64, 100);
	void *context = NULL;

	memset(area, 0xcc, sizeof(area));
	nbl_bind_context(n, area, ROOM);
	for (int i = 0; i < N_MODULES; i++) {
		ck_assert_int_eq(nbl_context_push(n, SIZE, &context), 0);
		ck_assert((uint8_t *)context >= area && (uint8_t *)context + SIZE <= area + ROOM);
		ck_assert_uint_eq((uintptr_t)context % 16, 0);
	}
	context = NULL;
	ck_assert_int_eq(nbl_context_push(n, 8, &context), -ENOBUFS);
	ck_assert_int_eq(nbl_context_push(n, UINT32_MAX & ~7u, &context), -ENOBUFS);
	ck_assert_ptr_null(context);
	for (int i = 0; i < 8; i++)
		ck_assert_uint_eq(area[ROOM + i], 0xcc);
	for (int i = 0; i < N_MODULES; i++)
		ck_assert_int_eq(nbl_context_pop(n, SIZE), 0);
	nbl_release(n);

	/* room for the bytes but not for what goes with them */
	n = unit_receive(64, 100);
	nbl_bind_context(n, area, (uint16_t)(NBL_CONTEXT_SPACE(8) - 8));
	ck_assert_int_eq(nbl_context_push(n, 8, &context), -ENOBUFS);
	nbl_bind_context(n, area, (uint16_t)NBL_CONTEXT_SPACE(8));
	ck_assert_int_eq(nbl_context_push(n, 8, &context), 0);
	ck_assert_int_eq(nbl_context_pop(n, 8), 0);
	nbl_release(n);

	/* no room at all is what an NBL has at first */
	n = unit_receive(64, 100);
	ck_assert_int_eq(nbl_context_push(n, 8, &context), -ENOBUFS);
	nbl_release(n);
}
END_TEST

START_TEST(DM_13_a_pop_of_another_size_or_of_nothing_is_refused_and_counted)
{
	struct nbl_pool *pool = context_pool(256);
	struct nbl *n = nbl_pool_alloc(pool);
	void *a, *b;

	ck_assert_int_eq(nbl_context_pop(n, 8), -EINVAL);
	ck_assert_int_eq(nbl_context_push(n, 64, &a), 0);
	ck_assert_int_eq(nbl_context_push(n, 32, &b), 0);
	ck_assert_int_eq(nbl_context_pop(n, 64), -EINVAL);	/* the wrong order */
	ck_assert_int_eq(nbl_context_pop(n, 24), -EINVAL);
	ck_assert_int_eq(nbl_context_pop(n, 40), -EINVAL);
	/* both at once */
	ck_assert_int_eq(nbl_context_pop(n, 64 + NBL_CONTEXT_SPACE(32)), -EINVAL);
	unit_expect_violations(5);
	ck_assert_ptr_eq(n->context, b);
	ck_assert_int_eq(nbl_context_pop(n, 32), 0);
	ck_assert_int_eq(nbl_context_pop(n, 64), 0);
	ck_assert_int_eq(nbl_context_pop(n, 64), -EINVAL);
	unit_expect_violations(6);
	ck_assert_int_eq(nbl_free(n), 0);
	ck_assert_int_eq(nbl_pool_free(pool), 0);
}
END_TEST

START_TEST(DM_13_sizes_that_are_no_multiple_of_a_pointers_are_refused)
{
	const struct nbl_pool_params params = { .n_nbls = 1, .context_size = 12 };
	struct nbl_pool *pool = context_pool(256), *none = NULL;
	struct nbl *n = nbl_pool_alloc(pool);
	void *context;

	ck_assert_int_eq(nbl_context_push(n, 12, &context), -EINVAL);
	ck_assert_int_eq(nbl_context_push(n, 0, &context), -EINVAL);
	ck_assert_int_eq(nbl_pool_new(&params, &none), -EINVAL);
	ck_assert_ptr_null(none);
	ck_assert_int_eq(nbl_free(n), 0);
	ck_assert_int_eq(nbl_pool_free(pool), 0);
}
END_TEST

START_TEST(DM_13_a_context_left_behind_is_counted_and_gone_with_the_next_packet)
{
	static uint8_t area[ROOM] __attribute__((aligned(16)));
	struct nbl *n = unit_receive(64, 100);
	void *context;

	nbl_bind_context(n, area, sizeof(area));
	ck_assert_int_eq(nbl_context_push(n, SIZE, &context), 0);
	ck_assert(!nbl_claim_is_sole(n));
	nbl_release(n);
	unit_expect_violations(1);
	nbl_arm_receive(n, 64, 100);
	unit.home.armed[n->segment.frame]++;
	ck_assert_ptr_null(n->context);
	for (int i = 0; i < N_MODULES; i++)
		ck_assert_int_eq(nbl_context_push(n, SIZE, &context), 0);
	for (int i = 0; i < N_MODULES; i++)
		ck_assert_int_eq(nbl_context_pop(n, SIZE), 0);
	nbl_release(n);
	unit_expect_violations(1);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ DM_13_three_modules_push_on_the_way_down_and_each_pops_its_own, 4 },
		{ DM_13_contexts_lie_in_the_room_reserved_and_are_refused_beyond_it, 1 },
		{ DM_13_a_pop_of_another_size_or_of_nothing_is_refused_and_counted, 1 },
		{ DM_13_sizes_that_are_no_multiple_of_a_pointers_are_refused, 1 },
		{ DM_13_a_context_left_behind_is_counted_and_gone_with_the_next_packet, 1 },
	};

	return unit_run("context", tests, N_ELEMENTS(tests));
}
