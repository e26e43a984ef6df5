// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_reasm_bounds.c - the module reasm: what never completes
 * stays within bounds of time and number.
 */
#include "reasm_fixture.h"

START_TEST(HP_01_what_never_completes_is_dropped_after_its_time)
{
	struct fix_datagram g = { .version = 4, .id = 1, .length = 3 * PART };

	fix_open("timeout=50");
	fix_give_part(&g, 0, PART);
	ck_assert_uint_eq(fix.f.wake_ns, fix.f.now_ns + 50 * MS);
	fix_wait(30);
	fix_give_part(&g, PART, PART);	/* that does not make it younger */
	fix_wait(19);
	ck_assert_uint_eq(fix_figures()->n_held, 2);
	fix_wait(1);
	ck_assert_uint_eq(fix_figures()->n_held, 0);
	ck_assert_uint_eq(dropped(REASM_TIMEOUT), 2);
	ck_assert_uint_eq(fix_figures()->n_timeouts, 1);
	ck_assert_uint_eq(fix.f.wake_ns, 0);
	/* its last fragment is the first of another now */
	fix_give_part(&g, 2 * PART, PART);
	ck_assert_uint_eq(fix_figures()->n_held, 1);
	ck_assert_uint_ne(fix.f.wake_ns, 0);
	fix_close();
}
END_TEST

START_TEST(a_dropped_datagram_is_remembered_for_its_time_and_then_forgotten)
{
	struct fix_datagram g = { .version = 4, .id = 1, .length = 2 * PART };

	fix_open("timeout=50");
	fix_give_part(&g, 0, PART);
	fix_wait(20);
	fix_give_part(&g, 8, PART);
	ck_assert_uint_eq(dropped(REASM_OVERLAP), 2);
	fix_wait(49);
	fix_give_part(&g, 0, PART);
	ck_assert_uint_eq(dropped(REASM_LATE), 1);
	fix_wait(1);
	fix_give_part(&g, 0, PART);
	fix_give_part(&g, PART, PART);
	fix_check_datagram(&g, fix_only_one(REASM_UP), PART + 20);
	fix_close();
}
END_TEST

START_TEST(HP_04_at_the_bound_the_oldest_goes_first)
{
	struct fix_datagram g = { .version = 4, .length = 3 * PART };

	fix_open(_i ? "max-datagrams=10" : "max-frames=10");
	for (g.id = 0; g.id < 10; g.id++)
		fix_give_part(&g, 0, PART);
	ck_assert_uint_eq(fix_figures()->n_evicted, 0);
	g.id = 10;
	fix_give_part(&g, 0, PART);
	ck_assert_uint_eq(fix_figures()->n_evicted, 1);
	ck_assert_uint_eq(fix.outcomes[NBL_OUTCOME_MODULE_LIMIT], 1);
	ck_assert_uint_eq(fix_figures()->n_held, 10);
	ck_assert_uint_eq(fix_figures()->frames_most, 10);
	/* number 0 went: its rest makes nothing, that of number 9 does */
	for (g.id = 9; g.id; g.id = 0) {
		fix_give_part(&g, PART, PART);
		fix_give_part(&g, 2 * PART, PART);
		ck_assert_uint_eq(fix.went[REASM_UP].n, 1);
	}
	fix_give_part(&g, PART, PART);
	fix_give_part(&g, 2 * PART, PART);
	ck_assert_uint_eq(fix.went[REASM_UP].n, 1);
	fix_close();
}
END_TEST

START_TEST(what_is_on_its_way_counts_and_is_not_dropped)
{
	struct fix_datagram g = { .version = 4, .length = 5 * 8, .protocol = 200 };

	fix_open("max-frames=10");
	for (g.id = 0; g.id < 2; g.id++)
		for (uint32_t i = 0; i < 5; i++)
			fix_give_part(&g, 8 * i, 8);
	ck_assert_uint_eq(fix.went[REASM_UP].n, 2);
	fix_give_part(&g, 0, 8);
	ck_assert_uint_eq(dropped(REASM_LIMIT), 1);
	fix_end_all();
	fix_give_part(&g, 0, 8);
	ck_assert_uint_eq(fix_figures()->n_held, 1);
	/* one that needs more than all */
	g.length = 12 * 8;
	for (uint32_t i = 1; i < 12; i++)
		fix_give_part(&g, 8 * i, 8);
	ck_assert_uint_eq(fix.went[REASM_UP].n, 0);
	ck_assert_uint_le(fix_figures()->frames_most, 10);
	fix_close();
}
END_TEST

static double seconds_of_processor(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

START_TEST(D5_ten_million_fragments_that_never_complete_stay_within_the_bound)
{
	struct fix_datagram g = { .version = 4, .length = 2 * PART },
	whole = { .version = 4, .length = 2 * 8,
									.protocol = 200,
									.salt = 5 };
	const uint32_t n_flood = 10000000;
	double began = seconds_of_processor();
	uint32_t passed = 0, complete = 0;

	fix_open("max-frames=512 max-datagrams=256");
	for (uint32_t i = 0; i < n_flood; i++) {
		g.id = i;
		g.salt = i >> 16;
		fix_give(REASM_UP, fix_fragment(&g, 0, 8, true));
		if (i % 1000)
			continue;
		fix_wait(1);
		fix_give(REASM_UP, fix_plain(i));
		passed++;
		whole.id = i;
		fix_give_part(&whole, 0, 8);
		fix_give_part(&whole, 8, 8);
		complete++;
		FIX_MUST(fix.went[REASM_UP].n == 2);
		FIX_MUST(FIX_N_FRAMES - fix.n_free <= 512 + 3);
		fix_end_all();
	}
	ck_assert_uint_le(fix_figures()->frames_most, 512);
	ck_assert_uint_eq(fix_figures()->n_cut, complete);
	ck_assert_uint_eq(passed, n_flood / 1000);
	ck_assert_uint_gt(fix_figures()->n_evicted, n_flood - 1000);
	printf("%.1f s, %.0f ns a fragment\n", seconds_of_processor() - began,
	       (seconds_of_processor() - began) * 1e9 / n_flood);
	fix_close();
}
END_TEST

/* ---- the table ---- */

START_TEST(keys_that_meet_in_one_bucket_stay_few_and_the_oldest_goes)
{
	const struct reasm *c;
	struct fix_datagram g = { .version = 4, .length = 2 * PART };
	struct reasm_fragment fragment;
	uint32_t met = 0, first = UINT32_MAX;

	fix_open("max-datagrams=1024");
	c = fix.f.context;
	for (g.id = 0, g.salt = 0; met < 3 * REASM_MAX_CHAIN;
	     g.id = (g.id + 1) & 0xffff, g.salt += !g.id) {
		struct nbl *n = fix_fragment(&g, 0, 8, true);
		uint32_t bucket;

		FIX_MUST(reasm_parse(n, true, &fragment));
		bucket = (uint32_t)(reasm_hash(&fragment.key, c->seed) % REASM_N_BUCKETS);
		if (first == UINT32_MAX)
			first = bucket;
		if (bucket != first) {
			nbl_release(n);
			continue;
		}
		fix_give(REASM_UP, n);
		met++;
	}
	ck_assert_uint_eq(fix_figures()->n_held, REASM_MAX_CHAIN);
	ck_assert_uint_eq(fix_figures()->n_evicted, 2 * REASM_MAX_CHAIN);
	fix_close();
}
END_TEST

START_TEST(two_attachments_hash_differently_and_each_evenly)
{
	uint32_t n[REASM_N_BUCKETS] = { 0 }, most = 0;
	struct reasm_key key = { .version = 4 };
	const struct reasm *c;
	uint64_t seed;

	fix_open("");
	c = fix.f.context;
	seed = c->seed[0];
	ck_assert_uint_ne(c->seed[0], c->seed[1]);
	for (uint32_t i = 0; i < 16 * REASM_N_BUCKETS; i++) {
		memcpy(key.id, &i, sizeof(key.id));
		n[reasm_hash(&key, c->seed) % REASM_N_BUCKETS]++;
	}
	for (int i = 0; i < REASM_N_BUCKETS; i++)
		most = n[i] > most ? n[i] : most;
	ck_assert_uint_lt(most, 50);	/* 16 on average */
	fix_close();
	fix_open("");
	c = fix.f.context;
	ck_assert_uint_ne(c->seed[0], seed);
	fix_close();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ HP_01_what_never_completes_is_dropped_after_its_time, 1 },
		{ a_dropped_datagram_is_remembered_for_its_time_and_then_forgotten, 1 },
		{ HP_04_at_the_bound_the_oldest_goes_first, 2 },
		{ what_is_on_its_way_counts_and_is_not_dropped, 1 },
		{ D5_ten_million_fragments_that_never_complete_stay_within_the_bound, 1 },
		{ keys_that_meet_in_one_bucket_stay_few_and_the_oldest_goes, 1 },
		{ two_attachments_hash_differently_and_each_evenly, 1 },
	};

	return fix_run("reasm bounds", tests, N_ELEMENTS(tests));
}
