// SPDX-License-Identifier: BSD-2-Clause
/* test_holding.c - who holds how much, up to which limit, and the list of what is out. */
#include "unit.h"

#include <nbl/fragment.h>
#include <nbl/holding.h>
#include <nbl/raw.h>

#define A 3
#define B 4

static void assert_holding(uint16_t holder, uint32_t references, uint32_t clones,
			   uint32_t deep_clones, uint32_t fresh)
{
	struct nbl_holding h;

	nbl_holding_get(holder, &h);
	ck_assert_uint_eq(h.references, references);
	ck_assert_uint_eq(h.clones, clones);
	ck_assert_uint_eq(h.deep_clones, deep_clones);
	ck_assert_uint_eq(h.fresh, fresh);
}

static void set_limits(uint16_t holder, uint32_t held, uint32_t pinned, uint32_t private)
{
	const struct nbl_holding_limits limits = { .max = { held, pinned, private } };

	nbl_holding_set_limits(holder, &limits);
}

START_TEST(RF_16_the_three_tiers_are_counted_each_for_itself)
{
	struct nbl *n = unit_receive(64, 100), *clone, *deep, *copy, *fresh;

	n->holder = A;
	nbl_reference(n, false);
	assert_holding(A, 1, 0, 0, 0);
	clone = unit_clone(n);
	assert_holding(A, 1, 1, 0, 0);
	deep = unit_deep_clone(n);
	assert_holding(A, 1, 1, 1, 0);
	ck_assert_int_eq(nbl_alloc_copy(n, unit.pool, unit.data, &copy), 0);
	assert_holding(A, 1, 1, 1, 1);
	nbl_holder_enter(A);
	fresh = nbl_pool_alloc(unit.pool);
	nbl_holder_enter(NBL_HOLDER_OF_NBL);
	assert_holding(A, 1, 1, 1, 2);
	/* whoever ends them, they end on the account they are on */
	n->holder = clone->holder = deep->holder = copy->holder = B;
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	assert_holding(A, 1, 0, 1, 2);
	ck_assert_int_eq(nbl_free_clone(deep), 0);
	assert_holding(A, 1, 0, 0, 2);
	ck_assert_int_eq(nbl_free(copy), 0);
	ck_assert_int_eq(nbl_free(fresh), 0);
	assert_holding(A, 1, 0, 0, 0);
	ck_assert_int_eq(nbl_dereference(n), 0);
	assert_holding(A, 0, 0, 0, 0);
	assert_holding(B, 0, 0, 0, 0);
	nbl_release(n);
}
END_TEST

START_TEST(RF_16_a_failed_allocation_is_on_nobodys_account)
{
	struct nbl *n = unit_receive(64, 2000), *out;
	uint32_t taken[UNIT_N_DATA_FRAMES], n_taken;

	n->holder = A;
	n_taken = unit_hog(&unit.data->free_frames, 1, taken);
	ck_assert_int_eq(nbl_alloc_deep_clone(n, unit.pool, unit.data, &out), -ENOBUFS);
	ck_assert_int_eq(nbl_alloc_copy(n, unit.pool, unit.data, &out), -ENOBUFS);
	assert_holding(A, 0, 0, 0, 0);
	unit_unhog(&unit.data->free_frames, taken, n_taken);
	n_taken = unit_hog(&unit.data->free_nbls, 0, taken);
	ck_assert_int_eq(nbl_alloc_deep_clone(n, unit.data, unit.data, &out), -ENOBUFS);
	ck_assert_int_eq(nbl_alloc_copy(n, unit.data, unit.data, &out), -ENOBUFS);
	ck_assert_ptr_null(nbl_alloc_clone(n, unit.data));
	assert_holding(A, 0, 0, 0, 0);
	unit_unhog(&unit.data->free_nbls, taken, n_taken);
	nbl_release(n);
}
END_TEST

START_TEST(RF_16_references_are_charged_to_each_holder_in_any_order_of_their_ends)
{
	struct nbl *n = unit_receive(64, 100);
	static const uint16_t who[] = { A, B, A, 7, 8, 9, B };

	for (size_t i = 0; i < N_ELEMENTS(who); i++) {
		nbl_holder_enter(who[i]);
		nbl_reference(n, false);
	}
	ck_assert_uint_eq(n->references, N_ELEMENTS(who));
	assert_holding(A, 2, 0, 0, 0);
	assert_holding(B, 1, 0, 0, 0);	/* no place for more than three: the rest is nobody's */
	assert_holding(0, 4, 0, 0, 0);
	for (size_t i = 0; i < N_ELEMENTS(who); i++) {
		nbl_holder_enter(who[(i * 3 + (size_t)_i) % N_ELEMENTS(who)]);
		ck_assert_int_eq(nbl_dereference(n), 0);
	}
	nbl_holder_enter(NBL_HOLDER_OF_NBL);
	for (uint16_t id = 0; id < NBL_MAX_HOLDERS; id++)
		assert_holding(id, 0, 0, 0, 0);
	ck_assert_uint_eq(n->reference_holders, 0);
	nbl_release(n);
}
END_TEST

START_TEST(RF_16_each_tier_has_a_limit_of_its_own)
{
	struct nbl *n = unit_receive(64, 100), *deep[3], *copy[3], *clone[2];
	struct nbl_holding h, before;

	n->holder = A;
	nbl_holding_get(A, &before);
	set_limits(A, 0, 2, 1);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(nbl_alloc_deep_clone(n, unit.pool, unit.data, &deep[i]), 0);
	ck_assert_int_eq(nbl_alloc_deep_clone(n, unit.pool, unit.data, &deep[2]), -EDQUOT);
	ck_assert_int_eq(nbl_alloc_copy(n, unit.pool, unit.data, &copy[0]), 0);
	ck_assert_int_eq(nbl_alloc_copy(n, unit.pool, unit.data, &copy[1]), -EDQUOT);
	nbl_holder_enter(A);
	ck_assert_ptr_null(nbl_pool_alloc(unit.pool));
	nbl_holder_enter(NBL_HOLDER_OF_NBL);
	clone[0] = unit_clone(n);
	clone[1] = unit_clone(n);
	assert_holding(A, 0, 2, 2, 1);
	nbl_holding_get(A, &h);
	ck_assert_uint_eq(h.refused - before.refused, 3);
	ck_assert_int_eq(nbl_free(copy[0]), 0);
	ck_assert_int_eq(nbl_alloc_copy(n, unit.pool, unit.data, &copy[0]), 0);
	ck_assert_int_eq(nbl_free(copy[0]), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(nbl_free_clone(deep[i]), 0);
		ck_assert_int_eq(nbl_free_clone(clone[i]), 0);
	}
	set_limits(A, 0, 0, 0);
	nbl_release(n);
}
END_TEST

START_TEST(HP_04_clones_beyond_the_limit_are_made_deep_and_references_are_counted)
{
	struct nbl *n = unit_receive(64, 100), *clone[2];
	struct nbl_holding h, before;

	nbl_set_default_pools(unit.pool, unit.data);
	n->holder = A;
	nbl_holding_get(A, &before);
	set_limits(A, 2, 0, 0);
	nbl_reference(n, false);
	clone[0] = unit_clone(n);
	clone[1] = unit_clone(n);
	ck_assert_uint_eq(clone[0]->kind, NBL_KIND_CLONE);
	ck_assert_uint_eq(clone[1]->kind, NBL_KIND_DEEP_CLONE);
	unit_assert_pattern(&clone[1]->nb, 100);
	nbl_reference(n, false);
	nbl_holding_get(A, &h);
	ck_assert_uint_eq(h.promoted - before.promoted, 1);
	ck_assert_uint_eq(h.over_limit - before.over_limit, 1);
	assert_holding(A, 2, 1, 1, 0);
	/* another holder's clones are his own affair */
	n->holder = B;
	ck_assert_int_eq(nbl_free_clone(clone[1]), 0);
	clone[1] = unit_clone(n);
	ck_assert_uint_eq(clone[1]->kind, NBL_KIND_CLONE);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(nbl_free_clone(clone[i]), 0);
		ck_assert_int_eq(nbl_dereference(n), 0);
	}
	set_limits(A, 0, 0, 0);
	nbl_release(n);
}
END_TEST

START_TEST(HP_04_a_holder_in_copy_only_mode_gets_deep_clones)
{
	const struct nbl_holding_limits copies = { .copies_only = true };
	struct nbl *n = unit_receive(64, 100), *clone;

	nbl_set_default_pools(unit.pool, unit.data);
	n->holder = A;
	nbl_holding_set_limits(A, &copies);
	clone = unit_clone(n);
	ck_assert_uint_eq(clone->kind, NBL_KIND_DEEP_CLONE);
	*unit_byte(&clone->nb, 5) ^= 1;
	unit_assert_pattern(&n->nb, 100);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	set_limits(A, 0, 0, 0);
	nbl_release(n);
}
END_TEST

START_TEST(HP_04_a_holder_in_copy_only_mode_gets_nothing_that_shares)
{
	const struct nbl_holding_limits copies = { .copies_only = true };
	const struct nbl_fragment_params params = { .max_length = 50 };
	struct nbl *n = unit_receive(64, 100), *out = NULL;
	struct nbl_holding h;

	nbl_set_default_pools(unit.pool, unit.data);
	n->holder = A;
	nbl_holding_set_limits(A, &copies);
	ck_assert_int_eq(nbl_alloc_fragments(n, &params, unit.data, NULL, &out), -EDQUOT);
	ck_assert_int_eq(nbl_alloc_reassembled(&n, 1, &params, unit.data, NULL, &out), -EDQUOT);
	ck_assert_int_eq(nbl_alloc_partial_clone(n, 14, 0, unit.data, NULL, &out), -EDQUOT);
	ck_assert_ptr_null(nbl_raw_alloc_clone(n, unit.data, 0));
	ck_assert_ptr_null(out);
	ck_assert_uint_eq(n->claims, 1);
	unit_assert_full(unit.data);
	nbl_holding_get(A, &h);
	ck_assert_uint_eq(h.clones, 0);
	ck_assert_uint_eq(h.refused, 4);
	set_limits(A, 0, 0, 0);
	nbl_release(n);
}
END_TEST

/* More references of one NBL by one holder than its word of holders can count. */
START_TEST(RF_06_however_many_references_one_holder_has_another_does_not_look_alone)
{
	struct nbl *n = unit_receive(64, 100), *clone;
	struct nbl_holding h;
	uint32_t count = 0;

	nbl_set_default_pools(unit.pool, unit.data);
	n->holder = A;
	for (int i = 0; i < 3; i++)
		nbl_reference(n, true);
	nbl_holder_enter(9);
	while (count < 1u << 16 && nbl_claim_reference(n))
		count++;
	unit_expect_violations(count < 1u << 16);
	/* room for the clone's own claim */
	ck_assert_int_eq(nbl_dereference(n), 0);
	nbl_holder_enter(NBL_HOLDER_OF_NBL);
	clone = unit_clone(n);
	ck_assert_uint_eq(clone->kind, NBL_KIND_DEEP_CLONE);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	for (uint32_t i = 0; i < count + 2; i++)
		ck_assert_int_eq(nbl_dereference(n), 0);
	nbl_holding_get(0, &h);
	ck_assert_uint_eq(h.references, 0);
	nbl_release(n);
}
END_TEST

struct seen {
	const struct nbl *n[UNIT_N_NBLS];
	struct nbl_pins pins[UNIT_N_NBLS];
	uint32_t count;
};

static void see(void *arg, const struct nbl *n, const struct nbl_pins *pins)
{
	struct seen *seen = arg;

	ck_assert_uint_lt(seen->count, UNIT_N_NBLS);
	seen->n[seen->count] = n;
	seen->pins[seen->count++] = *pins;
}

static const struct nbl_pins *pins_of(const struct seen *seen, const struct nbl *n)
{
	for (uint32_t i = 0; i < seen->count; i++)
		if (seen->n[i] == n)
			return &seen->pins[i];
	return NULL;
}

START_TEST(HP_05_every_nbl_that_is_out_is_listed_with_its_holder_age_and_reasons)
{
	struct nbl_pool *pool = unit_pool_new(UNIT_N_NBLS, 4, 256, 0);
	struct nbl *n = unit_receive(64, 100), *clone, *copy, *gone, *grandchild;
	struct seen seen = { .count = 0 };
	const struct nbl_pins *p;

	nbl_set_time_ms(1000);
	n->holder = A;
	clone = nbl_alloc_clone(n, pool);
	gone = nbl_alloc_clone(n, pool);
	nbl_set_time_ms(1500);
	n->holder = B;
	ck_assert_int_eq(nbl_alloc_copy(n, pool, pool, &copy), 0);
	grandchild = nbl_alloc_clone(clone, pool);
	nbl_holder_enter(9);
	nbl_reference(copy, false);
	nbl_holder_enter(NBL_HOLDER_OF_NBL);
	ck_assert_int_eq(nbl_free_clone(gone), 0);
	ck_assert_int_eq(nbl_free(copy), 0);		/* its reference keeps it */
	ck_assert_int_eq(nbl_pool_free(pool), -EBUSY);
	ck_assert_uint_eq(nbl_pool_visit(pool, see, &seen), 3);
	ck_assert_uint_eq(seen.count, 3);
	ck_assert_ptr_null(pins_of(&seen, gone));

	p = pins_of(&seen, clone);
	ck_assert_int_eq(p->kind, NBL_KIND_CLONE);
	ck_assert_uint_eq(p->charged_to, A);
	ck_assert_uint_eq(p->since_ms, 1000);
	ck_assert(p->owner_pending);
	ck_assert_uint_eq(p->children, 1);
	ck_assert_uint_eq(p->references, 0);
	p = pins_of(&seen, copy);
	ck_assert_int_eq(p->kind, NBL_KIND_FRESH);
	ck_assert_uint_eq(p->charged_to, B);
	ck_assert_uint_eq(p->since_ms, 1500);
	ck_assert(!p->owner_pending);
	ck_assert_uint_eq(p->references, 1);
	ck_assert_uint_eq(p->n_reference_holders, 1);
	ck_assert_uint_eq(p->reference_holders[0], 9);

	ck_assert_int_eq(nbl_dereference(copy), 0);
	ck_assert_int_eq(nbl_free_clone(grandchild), 0);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	seen.count = 0;
	ck_assert_uint_eq(nbl_pool_visit(pool, see, &seen), 0);
	ck_assert_int_eq(nbl_pool_free(pool), 0);
	nbl_set_time_ms(0);
	nbl_release(n);
}
END_TEST

START_TEST(PL_05_a_pool_that_is_busy_tells_of_each_nbl_that_keeps_it)
{
	struct nbl_pool *pool = unit_pool_new(4, 0, 0, 0);
	struct nbl *n[3];
	struct seen seen = { .count = 0 };

	for (int i = 0; i < 3; i++)
		n[i] = nbl_pool_alloc(pool);
	nbl_reference(n[1], false);
	ck_assert_int_eq(nbl_free(n[0]), 0);
	ck_assert_int_eq(nbl_free(n[1]), 0);		/* referenced: not yet gone */
	ck_assert_int_eq(nbl_pool_free(pool), -EBUSY);
	ck_assert_uint_eq(nbl_pool_visit(pool, see, &seen), 2);
	ck_assert_ptr_null(pins_of(&seen, n[0]));
	ck_assert(!pins_of(&seen, n[1])->owner_pending);
	ck_assert(pins_of(&seen, n[2])->owner_pending);
	ck_assert_int_eq(nbl_dereference(n[1]), 0);
	ck_assert_int_eq(nbl_free(n[2]), 0);
	ck_assert_int_eq(nbl_pool_free(pool), 0);
}
END_TEST

START_TEST(RF_02_a_missing_dereference_is_shown_with_the_holder_who_owes_it)
{
	struct nbl *n = unit_receive(64, 100);
	struct nbl_pins pins;

	nbl_holder_enter(A);
	nbl_reference(n, false);
	nbl_holder_enter(B);
	nbl_reference(n, false);
	ck_assert_int_eq(nbl_dereference(n), 0);
	nbl_holder_enter(NBL_HOLDER_OF_NBL);
	nbl_release(n);
	nbl_get_pins(n, &pins);
	ck_assert(!pins.owner_pending);
	ck_assert_uint_eq(pins.references, 1);
	ck_assert_uint_eq(pins.n_reference_holders, 1);
	ck_assert_uint_eq(pins.reference_holders[0], A);
	nbl_holder_enter(A);
	ck_assert_int_eq(nbl_dereference(n), 0);
	nbl_holder_enter(NBL_HOLDER_OF_NBL);
}
END_TEST

#define N_THREADS 4
#define ROUNDS 3000

struct crowd {
	struct nbl *n;
	pthread_barrier_t start;
	_Atomic uint16_t next_holder;
};

/* References and dereferences on behalf of a holder of its own, derives now and then. */
static void *hold_and_let_go(void *arg)
{
	struct crowd *c = arg;
	uint16_t self = c->next_holder++;

	nbl_holder_enter(self);
	pthread_barrier_wait(&c->start);
	for (int i = 0; i < ROUNDS; i++) {
		struct nbl *clone;

		nbl_reference(c->n, false);
		nbl_reference(c->n, false);
		clone = nbl_alloc_clone(c->n, unit.pool);
		nbl_dereference(c->n);
		nbl_free_clone(clone);
		nbl_dereference(c->n);
	}
	return NULL;
}

START_TEST(RF_16_accounts_are_even_after_four_threads_held_one_nbl)
{
	struct crowd c = { .n = unit_receive(64, 100), .next_holder = 20 };
	pthread_t threads[N_THREADS];

	pthread_barrier_init(&c.start, NULL, N_THREADS);
	for (int i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, hold_and_let_go, &c), 0);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&c.start);
	for (uint16_t id = 0; id < NBL_MAX_HOLDERS; id++)
		assert_holding(id, 0, 0, 0, 0);
	ck_assert_uint_eq(c.n->reference_holders, 0);
	nbl_release(c.n);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ RF_16_the_three_tiers_are_counted_each_for_itself, 1 },
		{ RF_16_a_failed_allocation_is_on_nobodys_account, 1 },
		{ RF_16_references_are_charged_to_each_holder_in_any_order_of_their_ends, 7 },
		{ RF_16_each_tier_has_a_limit_of_its_own, 1 },
		{ HP_04_clones_beyond_the_limit_are_made_deep_and_references_are_counted, 1 },
		{ HP_04_a_holder_in_copy_only_mode_gets_deep_clones, 1 },
		{ HP_04_a_holder_in_copy_only_mode_gets_nothing_that_shares, 1 },
		{ RF_06_however_many_references_one_holder_has_another_does_not_look_alone, 1 },
		{ HP_05_every_nbl_that_is_out_is_listed_with_its_holder_age_and_reasons, 1 },
		{ PL_05_a_pool_that_is_busy_tells_of_each_nbl_that_keeps_it, 1 },
		{ RF_02_a_missing_dereference_is_shown_with_the_holder_who_owes_it, 1 },
		{ RF_16_accounts_are_even_after_four_threads_held_one_nbl, 1 },
	};

	return unit_run("holding", tests, N_ELEMENTS(tests));
}
