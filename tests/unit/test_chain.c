// SPDX-License-Identifier: BSD-2-Clause
/* test_chain.c - lists of NBLs, and the names of outcomes. */
#include "unit.h"

static struct nbl_chain chain_of(uint32_t n)
{
	struct nbl_chain c = NBL_CHAIN_EMPTY;

	for (uint32_t i = 0; i < n; i++)
		nbl_chain_append(&c, unit_receive(64, 60 + i));
	return c;
}

static void release_all(struct nbl_chain *c)
{
	for (struct nbl *n; (n = nbl_chain_pop(c));)
		nbl_release(n);
}

START_TEST(DM_01_a_chain_gives_back_its_nbls_in_the_order_they_were_appended)
{
	struct nbl_chain c = chain_of(8);

	ck_assert_uint_eq(c.n_nbls, 8);
	ck_assert(nbl_chain_is_sound(&c));
	for (uint32_t i = 0; i < 8; i++) {
		struct nbl *n = nbl_chain_pop(&c);

		ck_assert_ptr_null(n->next);
		ck_assert_uint_eq(n->nb.data_length, 60 + i);
		ck_assert(nbl_chain_is_sound(&c));
		nbl_release(n);
	}
	ck_assert(nbl_chain_is_empty(&c));
	ck_assert_ptr_null(nbl_chain_pop(&c));
}
END_TEST

START_TEST(DM_01_any_owner_may_shuffle_and_split_and_all_nbls_come_home)
{
	struct unit_random r = unit_random(0x5eed0001);
	struct nbl_chain all = chain_of(8), part[3] = { NBL_CHAIN_EMPTY };

	for (int round = 0; round < 100; round++) {
		for (struct nbl *n; (n = nbl_chain_pop(&all));)
			nbl_chain_append(&part[unit_random_below(&r, 3)], n);
		for (uint32_t i = 0; i < 3; i++) {
			ck_assert(nbl_chain_is_sound(&part[i]));
			nbl_chain_join(&all, &part[i]);
			ck_assert(nbl_chain_is_empty(&part[i]));
		}
		ck_assert_uint_eq(all.n_nbls, 8);
		ck_assert(nbl_chain_is_sound(&all));
	}
	release_all(&all);
}
END_TEST

START_TEST(taking_a_chain_leaves_an_empty_one_that_can_be_used_again)
{
	struct nbl_chain c = chain_of(2), taken = nbl_chain_take(&c);

	ck_assert(nbl_chain_is_empty(&c));
	ck_assert(nbl_chain_is_sound(&c));
	ck_assert_uint_eq(taken.n_nbls, 2);
	nbl_chain_append(&c, nbl_chain_pop(&taken));
	ck_assert(nbl_chain_is_sound(&c));
	release_all(&c);
	release_all(&taken);
}
END_TEST

START_TEST(joining_with_an_empty_chain_changes_nothing)
{
	struct nbl_chain c = chain_of(2), empty = NBL_CHAIN_EMPTY;

	nbl_chain_join(&c, &empty);
	ck_assert_uint_eq(c.n_nbls, 2);
	nbl_chain_join(&empty, &c);
	ck_assert_uint_eq(empty.n_nbls, 2);
	ck_assert(nbl_chain_is_empty(&c));
	ck_assert(nbl_chain_is_sound(&empty));
	release_all(&empty);
}
END_TEST

START_TEST(RX_01_a_chain_whose_count_tail_or_links_lie_is_not_sound)
{
	struct nbl_chain c = chain_of(3), bad;

	bad = c;
	bad.n_nbls = 2;
	ck_assert(!nbl_chain_is_sound(&bad));
	bad.n_nbls = 4;
	ck_assert(!nbl_chain_is_sound(&bad));
	bad = c;
	bad.tail = c.head;
	ck_assert(!nbl_chain_is_sound(&bad));
	bad = c;
	bad.head = NULL;
	ck_assert(!nbl_chain_is_sound(&bad));
	c.tail->next = c.head;
	ck_assert(!nbl_chain_is_sound(&c));
	c.tail->next = NULL;
	ck_assert(nbl_chain_is_sound(&c));
	release_all(&c);
}
END_TEST

START_TEST(every_outcome_has_the_name_commands_print)
{
	static const struct {
		enum nbl_outcome outcome;
		const char *name;
		bool drop;
	} cases[] = {
		{ NBL_OUTCOME_RETURNED, "returned", true },
		{ NBL_OUTCOME_TO_WIRE, "to-wire", false },
		{ NBL_OUTCOME_TO_HOST, "to-host", false },
		{ NBL_OUTCOME_CONSUMED, "consumed", false },
		{ NBL_OUTCOME_TX_RING_FULL, "tx-ring-full", true },
		{ NBL_OUTCOME_TX_INVALID, "tx-invalid", true },
		{ NBL_OUTCOME_TX_NO_FRAME, "tx-no-frame", true },
		{ NBL_OUTCOME_TX_DEVICE, "tx-device", true },
		{ NBL_OUTCOME_BLOCKED, "blocked", true },
		{ NBL_OUTCOME_MODULE_LIMIT, "module-limit", true },
		{ NBL_OUTCOME_DETACHED, "detached", true },
		{ NBL_OUTCOME_WORKER_DIED, "worker-died", true },
		{ NBL_OUTCOME_QUARANTINED, "quarantined", true },
		{ NBL_OUTCOME_UNWANTED, "unwanted", true },
	};

	ck_assert_uint_eq(N_ELEMENTS(cases), NBL_N_OUTCOMES);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		ck_assert_str_eq(nbl_outcome_name(cases[i].outcome), cases[i].name);
		ck_assert_int_eq(nbl_outcome_is_drop(cases[i].outcome), cases[i].drop);
	}
	ck_assert_str_eq(nbl_outcome_name(NBL_N_OUTCOMES), "unknown");
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ DM_01_a_chain_gives_back_its_nbls_in_the_order_they_were_appended, 1 },
		{ DM_01_any_owner_may_shuffle_and_split_and_all_nbls_come_home, 1 },
		{ taking_a_chain_leaves_an_empty_one_that_can_be_used_again, 1 },
		{ joining_with_an_empty_chain_changes_nothing, 1 },
		{ RX_01_a_chain_whose_count_tail_or_links_lie_is_not_sound, 1 },
		{ every_outcome_has_the_name_commands_print, 1 },
	};

	return unit_run("chain", tests, N_ELEMENTS(tests));
}
