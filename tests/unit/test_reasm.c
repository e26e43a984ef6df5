// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_reasm.c - the module reasm: datagrams put together by reference, and what becomes of them.
 */
#include "reasm_fixture.h"

static const struct fix_datagram shapes[] = {
	{ .version = 4, .id = 0x1234, .length = 4 * PART - 3, .salt = 1 },
	{ .version = 6, .id = 0x12345678, .length = 4 * PART - 3, .salt = 2 },
	{ .version = 4, .n_tags = 1, .id = 7, .length = 4 * PART - 8, .salt = 3 },
	{ .version = 6, .n_tags = 2, .id = 8, .length = 4 * PART, .salt = 4 },
	{ .version = 4, .n_options = 16, .id = 9, .length = 4 * PART - 1, .salt = 5, .ecn = 2 },
	{ .version = 6, .n_options = 16, .id = 10, .length = 4 * PART - 2, .salt = 6 },
};

#define N_SHAPES ((int)N_ELEMENTS(shapes))

START_TEST(DV_09_fragments_in_any_order_of_arrival_become_one_datagram)
{
	const struct fix_datagram *g = &shapes[_i % N_SHAPES];
	enum reasm_direction direction = _i / N_SHAPES ? REASM_DOWN : REASM_UP;

	fix_open("");
	for (uint32_t order = 0; order < 256; order++) {
		uint32_t at[4] = { order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6 };

		if ((1u << at[0] | 1u << at[1] | 1u << at[2] | 1u << at[3]) != 15)
			continue;
		for (int i = 0; i < 4; i++) {
			ck_assert_uint_eq(fix.went[direction].n, 0);
			fix_give(direction, part(g, at[i]));
		}
		ck_assert_uint_eq(fix_check_datagram(g, fix_only_one(direction), longest(g)), 4);
		ck_assert_uint_eq(fix.n_back[direction], 0);
		fix_end_all();
		ck_assert_uint_eq(fix.outcomes[NBL_OUTCOME_CONSUMED], 4);
		fix.n_back[direction] = fix.outcomes[NBL_OUTCOME_CONSUMED] = 0;
	}
	ck_assert_uint_eq(fix_figures()->n_cut, 24);
	ck_assert_uint_eq(fix_figures()->n_used, 96);
	fix_close();
}
END_TEST

START_TEST(DV_09_64_KiB_in_random_order_are_byte_equal)
{
	struct fix_datagram g = { .version = _i ? 6 : 4, .id = 77, .salt = 3, .n_tags = 1 };
	uint32_t n, order[REASM_MAX_PIECES], size = _i ? 1448 : 1480;

	g.length = 65535 - (_i ? 0 : 20);
	n = (g.length + size - 1) / size;
	ck_assert_uint_ge(n, 45);
	fix_open("");
	srand(5);
	for (int round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < n; i++) {
			uint32_t j = (uint32_t)rand() % (i + 1);

			order[i] = order[j];
			order[j] = i;
		}
		for (uint32_t i = 0; i < n; i++) {
			uint32_t at = order[i] * size;

			fix_give_part(&g, at, g.length - at < size ? g.length - at : size);
		}
		ck_assert_uint_eq(fix_check_datagram(&g, fix_only_one(REASM_UP),
						     size + (_i ? 48 : 20)), n);
		fix_end_all();
	}
	fix_close();
}
END_TEST

START_TEST(IN_05_three_fragments_are_referenced_reassembled_injected_and_dereferenced_at_its_end)
{
	const struct fix_datagram g = { .version = 4, .id = 1, .length = 3 * PART };
	struct nbl *parts[3], *own;

	fix_open("");
	for (uint32_t i = 0; i < 3; i++) {
		parts[i] = part(&g, i);
		fix_give(REASM_UP, parts[i]);
		ck_assert_uint_eq(parts[i]->references, i < 2 ? 1 : 2);
	}
	own = fix_only_one(REASM_UP);
	ck_assert_uint_eq(own->parent->kind, NBL_KIND_REASSEMBLED);
	ck_assert_ptr_eq(own->parent->parent, parts[0]);
	ck_assert_uint_eq(parts[0]->child_ref_count, 1);
	/* ours, and those of the reassembled one */
	ck_assert_uint_eq(parts[0]->references, 1);
	ck_assert_uint_eq(parts[1]->references, 2);
	ck_assert_uint_eq(parts[2]->references, 2);
	ck_assert_uint_eq(fix.n_back[REASM_UP], 0);
	fix_end_all();
	ck_assert_uint_eq(fix.n_back[REASM_UP], 3);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(parts[i]->references, 0);
	ck_assert_uint_eq(fix.n_free, FIX_N_FRAMES);
	fix_close();
}
END_TEST

START_TEST(RF_05_a_clone_of_what_went_on_keeps_the_fragments_from_going_home)
{
	const struct fix_datagram g = { .version = 4, .id = 1, .length = 3 * PART };
	struct nbl *clone;

	fix_open("");
	for (uint32_t i = 0; i < 3; i++)
		fix_give(REASM_UP, part(&g, i));
	clone = nbl_alloc_clone(fix_only_one(REASM_UP), fix.pool);
	ck_assert_ptr_nonnull(clone);
	fix_end_all();
	ck_assert_uint_eq(fix.n_back[REASM_UP], 3);
	ck_assert_uint_eq(fix.n_free, FIX_N_FRAMES - 3);
	fix_check_packet(&g, clone->first_nb, 0, true, false);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert_uint_eq(fix.n_free, FIX_N_FRAMES);
	fix_close();
}
END_TEST

START_TEST(AR_04_the_windows_of_the_fragments_are_what_they_were)
{
	const struct fix_datagram g = { .version = 6, .id = 1, .length = 3 * PART };
	struct nbl *parts[3];
	struct nbl_nb before[3];

	fix_open("");
	for (uint32_t i = 0; i < 3; i++) {
		parts[i] = part(&g, i);
		before[i] = parts[i]->nb;
		fix_give(REASM_UP, parts[i]);
	}
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_mem_eq(&parts[i]->nb, &before[i], sizeof(before[i]));
	fix_close();
}
END_TEST

START_TEST(DV_08_what_goes_on_is_no_longer_than_the_longest_fragment_that_came)
{
	static const uint32_t cuts[][4] = {
		{ 8, 808, 816, 1003 }, { 800, 808, 816, 1003 }, { 8, 16, 24, 1003 }, { 504, 1003 },
	};
	const struct fix_datagram g = { .version = _i % 2 ? 6 : 4, .id = 3, .length = 1003 };
	uint32_t at = 0, most = 0;

	fix_open("");
	for (int i = 0; at < 1003; i++) {
		uint32_t length = cuts[_i / 2][i] - at;

		fix_give_part(&g, at, length);
		most = length > most ? length : most;
		at = cuts[_i / 2][i];
	}
	ck_assert_uint_eq(fix_check_datagram(&g, fix_only_one(REASM_UP), most + (_i % 2 ? 48 : 20)),
			  (1003 + most / 8 * 8 - 1) / (most / 8 * 8));
	fix_close();
}
END_TEST

START_TEST(out_whole_gives_one_packet_without_a_trace_of_fragments)
{
	const struct fix_datagram *g = &shapes[_i % N_SHAPES];
	enum reasm_direction direction = _i / N_SHAPES ? REASM_DOWN : REASM_UP;

	fix_open("out=whole");
	for (uint32_t i = 0; i < 4; i++)
		fix_give(direction, part(g, 3 - i));
	ck_assert_uint_eq(fix_check_datagram(g, fix_only_one(direction), 0), 1);
	ck_assert(fix.went[direction].nbls[0]->nbl_flags & NBL_FLAG_IS_UDP ||
		  g->version == 6 || g->protocol);
	ck_assert_uint_eq(fix_figures()->n_whole, 1);
	fix_close();
}
END_TEST

START_TEST(TX_12_what_is_too_long_for_the_port_goes_on_in_fragments)
{
	const struct fix_datagram *g = &shapes[0];
	uint32_t whole = 14 + 20 + g->length;

	fix_open("out=whole");
	for (int direction = 0; direction < 2; direction++) {
		for (int shorter = 0; shorter < 2; shorter++) {
			/* the other port's does not matter */
			fix.f.max_length[direction == REASM_UP] = whole - (uint32_t)shorter;
			fix.f.max_length[direction != REASM_UP] = shorter ? 65536 : 100;
			for (uint32_t i = 0; i < 4; i++)
				fix_give((enum reasm_direction)direction, part(g, i));
			fix_check_datagram(g, fix_only_one((enum reasm_direction)direction),
					   shorter ? longest(g) : 0);
			fix_end_all();
		}
	}
	fix_close();
}
END_TEST

START_TEST(what_is_no_fragment_passes_untouched_in_the_chain_it_came_in)
{
	struct fix_datagram atomic = { .version = 6, .id = 4, .length = 100 };
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	struct nbl *given[5], *other = fix_plain(9);

	fix_open("");
	given[0] = fix_plain(0);
	given[1] = fix_fragment(&atomic, 0, 100, false);
	given[2] = fix_receive(10);	/* not even a MAC header */
	given[3] = fix_receive(60);
	memset(nbl_nb_data(&given[3]->nb), 0xff, 60);
	given[4] = part(&shapes[0], 0);	/* several packets: made by a module here */
	given[4]->nb.next = &other->nb;
	for (int i = 0; i < 5; i++)
		nbl_chain_append(&chain, given[i]);
	fix_give_chain(REASM_UP, chain, 0);
	ck_assert_uint_eq(fix.went[REASM_UP].n, 5);
	for (int i = 0; i < 5; i++)
		ck_assert_ptr_eq(fix.went[REASM_UP].nbls[i], given[i]);
	ck_assert_uint_eq(fix_figures()->n_fragments, 0);
	ck_assert_uint_eq(fix.f.wake_ns, 0);
	fix_end_all();
	given[4]->nb.next = NULL;
	nbl_release(other);
	fix_close();
}
END_TEST

START_TEST(TX_04_a_datagram_leaves_behind_what_came_before_its_last_fragment)
{
	const struct fix_datagram g = { .version = 4, .id = 1, .length = 3 * PART };
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	struct nbl *plain[4];

	fix_open("");
	for (uint32_t i = 0; i < 4; i++) {
		plain[i] = fix_plain(i);
		nbl_chain_append(&chain, plain[i]);
		if (i < 3)
			nbl_chain_append(&chain, part(&g, i));
	}
	fix_give_chain(_i ? REASM_DOWN : REASM_UP, chain, 0);
	ck_assert_uint_eq(fix.went[_i].n, 5);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_ptr_eq(fix.went[_i].nbls[i], plain[i]);
	fix_check_datagram(&g, fix.went[_i].nbls[3], PART + 20);
	ck_assert_ptr_eq(fix.went[_i].nbls[4], plain[3]);
	fix_close();
}
END_TEST

START_TEST(datagrams_that_differ_in_anything_are_not_mixed)
{
	const struct fix_datagram g = { .version = 4, .n_tags = 1, .id = 1, .length = 2 * PART };
	struct fix_datagram others[] = { g, g, g, g, g };
	struct nbl *n;

	others[0].id = 2;
	others[1].salt = 2;
	others[2].protocol = IPPROTO_ICMP;
	others[3].n_tags = 2;
	others[4].version = 6;
	fix_open("");
	fix_give(REASM_UP, part(&g, 0));
	for (size_t i = 0; i < N_ELEMENTS(others); i++)
		fix_give(REASM_UP, part(&others[i], 1));
	fix_give(REASM_DOWN, part(&g, 1));
	n = part(&g, 1);
	nbl_info_set(n, NBL_INFO_VLAN, 9);
	fix_give(REASM_UP, n);
	ck_assert_uint_eq(fix.went[REASM_UP].n + fix.went[REASM_DOWN].n, 0);
	ck_assert_uint_eq(fix_figures()->n_held, 8);
	fix_give(REASM_UP, part(&g, 1));
	fix_check_datagram(&g, fix_only_one(REASM_UP), PART + 20);
	fix_close();
}
END_TEST

START_TEST(DM_04_headers_and_payload_may_lie_in_two_segments_wherever_they_part)
{
	const struct fix_datagram *g = &shapes[_i];

	fix_open(_i % 2 ? "" : "out=whole");
	for (uint32_t at = 1; at < 140; at++) {
		for (uint32_t i = 0; i < 4; i++)
			fix_give(REASM_UP, split(part(g, i), at));
		fix_check_datagram(g, fix_only_one(REASM_UP), _i % 2 ? longest(g) : 0);
		ck_assert_uint_eq(fix_figures()->frames_held, 8);
		fix_end_all();
	}
	fix_close();
}
END_TEST

START_TEST(padding_behind_the_ip_packet_is_no_payload)
{
	const struct fix_datagram g = { .version = _i ? 6 : 4, .id = 1, .length = PART + 5 };
	struct nbl *n = part(&g, 1);

	n->nb.data_length = 60 + 30;
	fix_open("");
	fix_give(REASM_UP, n);
	fix_give(REASM_UP, part(&g, 0));
	fix_check_datagram(&g, fix_only_one(REASM_UP), PART + (_i ? 48 : 20));
	ck_assert_uint_eq(n->nb.data_length, 60 + 30);
	fix_close();
}
END_TEST

/* Codepoints of RFC 3168: Not-ECT, ECT(1), ECT(0), CE; by those of the first and last fragment. */
static void try_ecn(uint8_t first, uint8_t last, uint8_t version, bool in_order)
{
	const struct fix_datagram a = { .version = version, .id = 1, .length = 2 * PART,
					.salt = first * 4u + last, .ecn = first };
	struct fix_datagram b = a, whole = a;
	uint64_t before = dropped(REASM_ECN);
	bool fits = first == last || (first && last);

	b.ecn = last;
	whole.ecn = first == 3 || last == 3 ? 3 : first;
	fix_give(REASM_UP, in_order ? part(&a, 0) : part(&b, 1));
	fix_give(REASM_UP, in_order ? part(&b, 1) : part(&a, 0));
	ck_assert_uint_eq(dropped(REASM_ECN) - before, fits ? 0 : 2);
	ck_assert_uint_eq(fix.went[REASM_UP].n, fits);
	if (fits)
		fix_check_datagram(&whole, fix_only_one(REASM_UP), longest(&a));
	fix_end_all();
}

START_TEST(RFC_3168_congestion_met_by_one_fragment_is_met_by_all_or_the_datagram_is_dropped)
{
	fix_open("");
	for (uint8_t first = 0; first < 4; first++)
		for (uint8_t last = 0; last < 4; last++)
			try_ecn(first, last, _i / 2 ? 6 : 4, _i % 2);
	fix_close();
}
END_TEST

START_TEST(DV_10_what_is_known_of_the_first_fragment_goes_along_but_not_its_checksum)
{
	const struct fix_datagram g = { .version = 4, .id = 1, .length = 2 * PART };
	struct nbl *n = part(&g, 0), *own;

	nbl_info_set(n, NBL_INFO_HASH, 0x1234);
	nbl_info_set(n, NBL_INFO_CHECKSUM, NBL_CHECKSUM_L4_GOOD);
	fix_open("");
	fix_give(REASM_UP, part(&g, 1));
	fix_give(REASM_UP, n);
	own = fix_only_one(REASM_UP);
	ck_assert_uint_eq(nbl_info_get(own, NBL_INFO_HASH), 0x1234);
	ck_assert_uint_eq(nbl_info_get(own, NBL_INFO_CHECKSUM), 0);
	/* later fragments have no UDP header (DM-14) */
	ck_assert_uint_eq(own->nbl_flags & 15, NBL_FLAG_IS_IPV4);
	fix_close();
}
END_TEST

START_TEST(DM_07_the_result_of_sending_is_that_of_each_fragment)
{
	const struct fix_datagram g = { .version = 4, .id = 1, .length = 2 * PART };

	fix_open("");
	fix_give(REASM_DOWN, part(&g, 0));
	fix_give(REASM_DOWN, part(&g, 1));
	fix_only_one(REASM_DOWN)->status = NBL_STATUS_INVALID_LENGTH;
	fix_end_all();
	ck_assert_uint_eq(fix.n_back[REASM_DOWN], 2);
	ck_assert_int_eq(fix.last_status, NBL_STATUS_INVALID_LENGTH);
	ck_assert_uint_eq(fix.n_back[REASM_UP], 0);
	fix_close();
}
END_TEST

/* Takes from 'list' until 'keep' are left. */
static uint32_t hog(struct freelist *list, uint32_t keep, uint32_t *taken)
{
	uint32_t n = 0;

	while (freelist_n_free(list) > keep)
		taken[n++] = freelist_take(list);
	return n;
}

START_TEST(RF_12_when_anything_of_the_pool_runs_out_the_fragments_go_on_as_they_came)
{
	static uint32_t taken[8192];
	static const uint32_t needs[] = { 2, 3, 3 + 4, 4 };
	struct freelist *lists[] = { &fix.pool->free_nbls, &fix.pool->free_nbs,
				     &fix.pool->free_segments, &fix.pool->free_frames };
	const struct fix_datagram *g = &shapes[0];
	struct nbl *parts[4];

	fix_open("");
	for (uint32_t keep = 0; keep <= needs[_i]; keep++) {
		uint32_t n = hog(lists[_i], keep, taken);

		for (uint32_t i = 0; i < 4; i++) {
			parts[3 - i] = part(g, 3 - i);
			fix_give(REASM_UP, parts[3 - i]);
		}
		if (keep == needs[_i]) {
			fix_check_datagram(g, fix_only_one(REASM_UP), longest(g));
		} else {
			ck_assert_uint_eq(fix.went[REASM_UP].n, 4);
			for (int i = 0; i < 4; i++)
				ck_assert_ptr_eq(fix.went[REASM_UP].nbls[i], parts[i]);
			ck_assert_uint_eq(fix_figures()->n_fallbacks, keep + 1);
		}
		fix_end_all();
		while (n)
			freelist_give(lists[_i], taken[--n]);
	}
	ck_assert_uint_eq(fix_figures()->n_passed, 4 * needs[_i]);
	fix_close();
}
END_TEST

START_TEST(IN_04_when_originating_is_refused_the_fragments_go_on_as_they_came)
{
	fix_open(_i ? "out=whole" : "");
	fix.originate_result = -ESHUTDOWN;
	for (uint32_t i = 0; i < 4; i++)
		fix_give(REASM_DOWN, part(&shapes[0], i));
	ck_assert_uint_eq(fix.went[REASM_DOWN].n, 4);
	ck_assert_uint_eq(fix_figures()->n_cut + fix_figures()->n_whole, 0);
	ck_assert_uint_eq(fix_figures()->n_fallbacks, 1);
	fix_close();
}
END_TEST

START_TEST(SH_05_what_comes_back_before_originating_returned_is_ended_there)
{
	fix_open(_i ? "out=whole" : "");
	fix.ends_at_once = true;
	for (int round = 0; round < 300; round++) {
		for (uint32_t i = 0; i < 4; i++)
			fix_give(round % 2 ? REASM_DOWN : REASM_UP, part(&shapes[0], i));
		ck_assert_uint_eq(fix.n_free, FIX_N_FRAMES);
	}
	ck_assert_uint_eq(fix.outcomes[NBL_OUTCOME_CONSUMED], 1200);
	fix_close();
}
END_TEST

START_TEST(its_own_are_found_among_others_that_come_back_with_them)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	fix_open("");
	for (uint32_t i = 0; i < 4; i++) {
		fix_give(_i % 2 ? REASM_DOWN : REASM_UP, fix_plain(i));
		fix_give(_i % 2 ? REASM_DOWN : REASM_UP, part(&shapes[0], i));
	}
	ck_assert_uint_eq(fix.went[_i % 2].n, 5);
	for (uint32_t i = 0; i < 5; i++)
		nbl_chain_append(&chain, fix.went[_i % 2].nbls[_i / 2 ? i : 4 - i]);
	fix.went[_i % 2].n = 0;
	fix.f.held += 4;
	fix.f.n_originated--;
	if (_i % 2)
		nbl_module_reasm.send_complete(&fix.f, chain, 0);
	else
		nbl_module_reasm.receive_return(&fix.f, chain, 0);
	ck_assert_uint_eq(fix.n_back[_i % 2], 8);
	ck_assert_uint_eq(fix.n_free, FIX_N_FRAMES);
	fix_close();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ DV_09_fragments_in_any_order_of_arrival_become_one_datagram, 2 * N_SHAPES },
		{ DV_09_64_KiB_in_random_order_are_byte_equal, 2 },
		{ IN_05_three_fragments_are_referenced_reassembled_injected_and_dereferenced_at_its_end, 1 },
		{ RF_05_a_clone_of_what_went_on_keeps_the_fragments_from_going_home, 1 },
		{ AR_04_the_windows_of_the_fragments_are_what_they_were, 1 },
		{ DV_08_what_goes_on_is_no_longer_than_the_longest_fragment_that_came, 8 },
		{ out_whole_gives_one_packet_without_a_trace_of_fragments, 2 * N_SHAPES },
		{ TX_12_what_is_too_long_for_the_port_goes_on_in_fragments, 1 },
		{ what_is_no_fragment_passes_untouched_in_the_chain_it_came_in, 1 },
		{ TX_04_a_datagram_leaves_behind_what_came_before_its_last_fragment, 2 },
		{ datagrams_that_differ_in_anything_are_not_mixed, 1 },
		{ DM_04_headers_and_payload_may_lie_in_two_segments_wherever_they_part, N_SHAPES },
		{ padding_behind_the_ip_packet_is_no_payload, 2 },
		{ RFC_3168_congestion_met_by_one_fragment_is_met_by_all_or_the_datagram_is_dropped,
		  4 },
		{ DV_10_what_is_known_of_the_first_fragment_goes_along_but_not_its_checksum, 1 },
		{ DM_07_the_result_of_sending_is_that_of_each_fragment, 1 },
		{ RF_12_when_anything_of_the_pool_runs_out_the_fragments_go_on_as_they_came, 4 },
		{ IN_04_when_originating_is_refused_the_fragments_go_on_as_they_came, 2 },
		{ SH_05_what_comes_back_before_originating_returned_is_ended_there, 2 },
		{ its_own_are_found_among_others_that_come_back_with_them, 4 },
	};

	return fix_run("reasm", tests, N_ELEMENTS(tests));
}
