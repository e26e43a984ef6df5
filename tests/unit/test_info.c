// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_info.c - information slots, flags, scratch, and what
 * of them survives a descriptor's next use.
 */
#define NBL_DEBUG 1	/* for nbl_hand_off(), which is inline; the library is as it was built */

#include "unit.h"

#include <nbl/cancel.h>
#include <nbl/checks.h>
#include <nbl/info.h>
#include <nbl/inject.h>

#define EVERY_SLOT_BUT_WFP(i) for (int i = 0; i < NBL_N_INFO; i++) if (i != NBL_INFO_WFP)

/*
 * A receive NBL, and its next life in the same descriptor after it went home as the engine does it.
 */
static void recycle(struct nbl *n)
{
	if (nbl_claim_is_sole(n)) {
		n->home->release(n->home, n);
		atomic_store(&n->claims, 0);
	} else {
		nbl_release(n);
	}
	ck_assert(unit_is_home(n));
	nbl_arm_receive(n, 64, 100);
	unit.home.armed[n->segment.frame]++;
}

START_TEST(DM_08_a_slot_holds_what_was_set_and_a_lower_module_reads_it)
{
	struct nbl *n = unit_receive(64, 100);

	EVERY_SLOT_BUT_WFP(i) {
		ck_assert_uint_eq(nbl_info_get(n, (enum nbl_info)i), 0);
		ck_assert_int_eq(nbl_info_set(n, (enum nbl_info)i, 1000 + (uint64_t)i), 0);
	}
	EVERY_SLOT_BUT_WFP(i)
		ck_assert_uint_eq(nbl_info_get(n, (enum nbl_info)i), 1000 + (uint64_t)i);
	ck_assert_int_eq(nbl_info_set(n, NBL_N_INFO, 1), -EINVAL);
	ck_assert_int_eq(nbl_info_set(n, (enum nbl_info)-1, 1), -EINVAL);
	ck_assert_uint_eq(nbl_info_get(n, NBL_N_INFO), 0);
	nbl_release(n);
}
END_TEST

START_TEST(DM_08_the_next_packet_in_the_descriptor_reads_zeros_whichever_way_the_last_went_home)
{
	struct nbl *n = unit_receive(64, 100);

	EVERY_SLOT_BUT_WFP(i)
		nbl_info_set(n, (enum nbl_info)i, ~0ull);
	nbl_scratch_set(n, n);
	ck_assert(!nbl_claim_is_sole(n));
	if (_i) {
		struct nbl *clone = unit_clone(n);

		nbl_release(n);
		nbl_free_clone(clone);
		nbl_arm_receive(n, 64, 100);
		unit.home.armed[n->segment.frame]++;
	} else {
		recycle(n);
	}
	for (int i = 0; i < NBL_N_INFO; i++)
		ck_assert_uint_eq(nbl_info_get(n, (enum nbl_info)i), 0);
	ck_assert_ptr_null(nbl_scratch(n));
	/* and from here on it costs nothing again */
	ck_assert(nbl_claim_is_sole(n));
	nbl_release(n);
}
END_TEST

/* The filter engine's record, in these tests: a number, and who was told what. */
static struct {
	uint64_t inherited, dropped;
	const struct nbl *last_from, *last_dropped;
	int n_inherited, n_dropped;
} lineage;

static uint64_t lineage_inherit(uint64_t record, const struct nbl *from, struct nbl *to)
{
	(void)to;
	lineage.n_inherited++;
	lineage.last_from = from;
	return record + 1;
}

static void lineage_drop(uint64_t record, struct nbl *n)
{
	lineage.n_dropped++;
	lineage.dropped = record;
	lineage.last_dropped = n;
}

static const struct nbl_lineage_ops lineage_ops = {
	.inherit = lineage_inherit, .drop = lineage_drop };

START_TEST(DM_10_nobody_but_the_engine_sets_its_slot_and_no_helper_copies_it)
{
	struct nbl *a = unit_receive(64, 100), *b = unit_receive(64, 100);

	ck_assert_int_eq(nbl_info_set(a, NBL_INFO_WFP, 7), -EPERM);
	unit_expect_violations(1);
	ck_assert_uint_eq(nbl_info_get(a, NBL_INFO_WFP), 0);
	nbl_info_set_lineage(a, 7);
	nbl_info_set_lineage(b, 8);
	nbl_info_copy_receive(b, a);
	nbl_info_copy_send(b, a);
	ck_assert_uint_eq(nbl_info_get(b, NBL_INFO_WFP), 8);
	nbl_release(a);
	nbl_release(b);
}
END_TEST

START_TEST(DM_10_clones_inherit_lineage_through_the_engine_and_copies_do_not)
{
	struct nbl *n = unit_receive(64, 100), *clone, *deep, *copy;

	memset(&lineage, 0, sizeof(lineage));
	nbl_set_lineage_ops(&lineage_ops);
	clone = unit_clone(n);
	ck_assert_int_eq(lineage.n_inherited, 0);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert_int_eq(lineage.n_dropped, 0);
	nbl_info_set_lineage(n, 100);
	clone = unit_clone(n);
	deep = unit_deep_clone(clone);
	ck_assert_uint_eq(nbl_info_get(clone, NBL_INFO_WFP), 101);
	ck_assert_uint_eq(nbl_info_get(deep, NBL_INFO_WFP), 102);
	ck_assert_ptr_eq(lineage.last_from, clone);
	ck_assert_int_eq(nbl_alloc_copy(n, unit.pool, unit.data, &copy), 0);
	ck_assert_uint_eq(nbl_info_get(copy, NBL_INFO_WFP), 0);
	ck_assert_int_eq(lineage.n_inherited, 2);
	ck_assert_int_eq(nbl_free_clone(deep), 0);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert_int_eq(nbl_free(copy), 0);
	ck_assert_int_eq(lineage.n_dropped, 2);
	nbl_release(n);
	ck_assert_int_eq(lineage.n_dropped, 3);
	ck_assert_uint_eq(lineage.dropped, 100);
	nbl_set_lineage_ops(NULL);
}
END_TEST

START_TEST(BUG_05_cloning_and_freeing_the_clone_leaves_the_record_on_the_original)
{
	struct nbl *n = unit_receive(64, 100), was, *clone;

	memset(&lineage, 0, sizeof(lineage));
	nbl_set_lineage_ops(&lineage_ops);
	nbl_info_set_lineage(n, 100);
	nbl_info_set(n, NBL_INFO_HASH, 5);
	memcpy(&was, n, sizeof(was));
	clone = _i ? unit_deep_clone(n) : unit_clone(n);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert_mem_eq(n, &was, sizeof(was));
	ck_assert_ptr_eq(lineage.last_dropped, clone);
	ck_assert_int_eq(lineage.n_dropped, 1);
	nbl_release(n);
	nbl_set_lineage_ops(NULL);
}
END_TEST

START_TEST(DM_11_scratch_begins_empty_and_is_lost_when_the_owner_changes)
{
	struct nbl *n = unit_receive(64, 100);

	ck_assert_ptr_null(nbl_scratch(n));
	nbl_scratch_set(n, n);
	ck_assert_ptr_eq(nbl_scratch(n), n);
	nbl_hand_off(n);
	ck_assert_ptr_eq(nbl_scratch(n), NBL_SCRATCH_POISON);
	/* the poison does not reach the next packet either */
	recycle(n);
	ck_assert_ptr_null(nbl_scratch(n));
	nbl_release(n);
}
END_TEST

START_TEST(DM_15_engine_bits_survive_whoever_writes_the_others)
{
	struct nbl *n = unit_receive(64, 100);
	uint32_t engine;

	nbl_reference(n, true);
	nbl_info_set(n, NBL_INFO_HASH, 1);
	engine = n->nbl_flags;
	ck_assert_uint_eq(engine & ~NBL_FLAGS_OF_ENGINE, 0);
	ck_assert_int_eq(nbl_flags_write(n, ~NBL_FLAGS_OF_ENGINE, ~0u), 0);
	ck_assert_uint_eq(n->nbl_flags, engine | ~NBL_FLAGS_OF_ENGINE);
	ck_assert_int_eq(nbl_flags_write(n, NBL_FLAGS_SCRATCH, 0x00ab0000), 0);
	ck_assert_uint_eq(n->nbl_flags & NBL_FLAGS_SCRATCH, 0x00ab0000);
	ck_assert_int_eq(nbl_flags_write(n, NBL_FLAGS_OF_ENGINE | NBL_FLAGS_SCRATCH, 0), -EPERM);
	unit_expect_violations(1);
	ck_assert_uint_eq(n->nbl_flags & NBL_FLAGS_OF_ENGINE, engine);
	ck_assert_int_eq(nbl_flags_write(n, ~NBL_FLAGS_OF_ENGINE, 0), 0);
	ck_assert_uint_eq(n->nbl_flags, engine);
	ck_assert_int_eq(nbl_dereference(n), 0);
	nbl_release(n);
}
END_TEST

START_TEST(DM_15_the_ranges_cover_all_bits_once)
{
	static const uint32_t ranges[] = { NBL_FLAGS_OF_PACKETS, NBL_FLAGS_OF_PROTOCOL,
					   NBL_FLAGS_OF_MINIPORT, NBL_FLAGS_SCRATCH,
					   NBL_FLAGS_OF_ENGINE };
	uint32_t all = 0;

	for (size_t i = 0; i < N_ELEMENTS(ranges); i++) {
		ck_assert_uint_eq(all & ranges[i], 0);
		all |= ranges[i];
	}
	ck_assert_uint_eq(all, ~0u);
	ck_assert_uint_eq((NBL_FLAG_RECEIVE_READ_ONLY | NBL_FLAG_LOOPBACK) & ~NBL_FLAGS_OF_PACKETS,
			  0);
	ck_assert_uint_eq((NBL_FLAG_WILL_MODIFY | NBL_FLAG_FREED | NBL_FLAG_HAS_INFO |
			   NBL_FLAG_HAS_CONTEXT | NBL_FLAG_BORROWED | NBL_FLAG_LENT |
			   NBL_FLAG_INJECTED | NBL_FLAG_TAGGED | NBL_FLAG_WENT_PAST |
			   NBL_FLAG_IS_PART) & ~NBL_FLAGS_OF_ENGINE, 0);
}
END_TEST

START_TEST(DM_14_an_nbl_others_can_see_or_that_is_read_only_is_not_writable)
{
	struct nbl *n = unit_receive(64, 100), *clone, *deep;

	ck_assert(nbl_is_writable(n));
	nbl_reference(n, false);
	ck_assert(!nbl_is_writable(n));
	ck_assert_int_eq(nbl_dereference(n), 0);
	clone = unit_clone(n);
	deep = unit_deep_clone(clone);
	ck_assert(!nbl_is_writable(n));
	ck_assert(nbl_is_writable(deep));
	ck_assert_int_eq(nbl_free_clone(deep), 0);
	ck_assert(!nbl_is_writable(clone));
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	ck_assert(nbl_is_writable(n));
	nbl_flags_write(n, NBL_FLAGS_OF_PACKETS,
			_i ? NBL_FLAG_SEND_READ_ONLY : NBL_FLAG_RECEIVE_READ_ONLY);
	ck_assert(!nbl_is_writable(n));
	nbl_release(n);
}
END_TEST

/* Which slots arrive, written out again so that a slip in the library's table shows. */
static const struct {
	enum nbl_info slot;
	bool receive, send;
} copied[] = {
	{ NBL_INFO_CHECKSUM, true, true },
	{ NBL_INFO_VLAN, true, true },
	{ NBL_INFO_HASH, true, true },
	{ NBL_INFO_HASH_TYPE, true, true },
	{ NBL_INFO_TIMESTAMP, true, false },
	{ NBL_INFO_METADATA, true, false },
	{ NBL_INFO_MEDIA, true, false },
	{ NBL_INFO_FILTERING, true, false },
	{ NBL_INFO_CANCEL_ID, false, true },
	{ NBL_INFO_SEGMENTATION, false, true },
	{ NBL_INFO_PROTOCOL_ID, false, true },
	{ NBL_INFO_TX_REQUEST, false, true },
	{ NBL_INFO_WFP, false, false },
};

START_TEST(DV_10_the_helpers_copy_exactly_the_slots_of_their_direction)
{
	struct nbl *from = unit_receive(64, 100), *to = unit_receive(64, 100);

	ck_assert_uint_eq(N_ELEMENTS(copied), NBL_N_INFO);
	EVERY_SLOT_BUT_WFP(i) {
		nbl_info_set(from, (enum nbl_info)i, 100 + (uint64_t)i);
		nbl_info_set(to, (enum nbl_info)i, 500);
	}
	nbl_info_set_lineage(from, 100 + NBL_INFO_WFP);
	nbl_info_set_lineage(to, 500);
	from->frame_type_be = 0xdd86;
	from->source_handle = 9;
	from->nbl_flags |= NBL_FLAG_IS_IPV4;
	from->holder = 3;
	if (_i)
		nbl_info_copy_send(to, from);
	else
		nbl_info_copy_receive(to, from);
	for (size_t i = 0; i < N_ELEMENTS(copied); i++) {
		bool arrives = _i ? copied[i].send : copied[i].receive;

		ck_assert_uint_eq(nbl_info_get(to, copied[i].slot),
				  arrives ? 100 + (uint64_t)copied[i].slot : 500);
	}
	ck_assert_uint_eq(to->frame_type_be, 0xdd86);
	ck_assert_uint_eq(to->source_handle, 0);
	ck_assert_uint_eq(to->nbl_flags & NBL_FLAG_IS_IPV4, 0);
	ck_assert_uint_eq(to->holder, 0);
	nbl_release(from);
	nbl_release(to);
}
END_TEST

START_TEST(DV_10_what_a_helper_copied_is_cleared_with_the_descriptor)
{
	struct nbl *from = unit_receive(64, 100), *to = unit_receive(64, 100);

	nbl_info_set(from, NBL_INFO_HASH, 5);
	if (_i)
		nbl_info_copy_send(to, from);
	else
		nbl_info_copy_receive(to, from);
	recycle(to);
	ck_assert_uint_eq(nbl_info_get(to, NBL_INFO_HASH), 0);
	nbl_release(from);
	nbl_release(to);
}
END_TEST

static void leave_metadata(struct nbl *n, uint32_t valid)
{
	const struct nbl_metadata m = {
		.timestamp = 11, .cookie = 12, .hash = 13, .vlan_tci = 14, .hash_type = 15,
		.checksum = NBL_CHECKSUM_L4_GOOD | NBL_CHECKSUM_REQUEST_TRANSPORT,
		.valid = valid, .magic = NBL_METADATA_MAGIC };

	memcpy(nbl_nb_data(&n->nb) - sizeof(m), &m, sizeof(m));
}

START_TEST(AR_07_what_the_xdp_program_left_survives_a_retreat_over_it)
{
	struct nbl *n = unit_receive(64, 100);

	leave_metadata(n, ~0u);
	ck_assert(nbl_metadata_harvest(n));
	ck_assert_int_eq(nbl_nb_retreat(&n->nb, 64, 0, NULL), 0);
	memset(nbl_nb_data(&n->nb), 0x5a, 64);
	ck_assert_uint_eq(nbl_info_get(n, NBL_INFO_TIMESTAMP), 11);
	ck_assert_uint_eq(nbl_info_get(n, NBL_INFO_METADATA), 12);
	ck_assert_uint_eq(nbl_info_get(n, NBL_INFO_HASH), 13);
	ck_assert_uint_eq(nbl_info_get(n, NBL_INFO_VLAN), 14);
	ck_assert_uint_eq(nbl_info_get(n, NBL_INFO_HASH_TYPE), 15);
	/* nothing that arrives asks for anything of a port */
	ck_assert_uint_eq(nbl_info_get(n, NBL_INFO_CHECKSUM), NBL_CHECKSUM_L4_GOOD);
	nbl_release(n);
}
END_TEST

START_TEST(AR_07_only_what_the_program_calls_valid_is_taken)
{
	struct nbl *n = unit_receive(64, 100);

	leave_metadata(n, 1u << _i);
	ck_assert(nbl_metadata_harvest(n));
	ck_assert_uint_eq(nbl_info_get(n, NBL_INFO_HASH), _i == 0 ? 13 : 0);
	ck_assert_uint_eq(nbl_info_get(n, NBL_INFO_TIMESTAMP), _i == 1 ? 11 : 0);
	ck_assert_uint_eq(nbl_info_get(n, NBL_INFO_VLAN), _i == 2 ? 14 : 0);
	ck_assert_uint_eq(nbl_info_get(n, NBL_INFO_CHECKSUM), _i == 3 ? NBL_CHECKSUM_L4_GOOD : 0);
	ck_assert_uint_eq(nbl_info_get(n, NBL_INFO_METADATA), _i == 4 ? 12 : 0);
	nbl_release(n);
}
END_TEST

START_TEST(AR_07_the_frames_next_packet_does_not_find_the_last_ones_metadata)
{
	struct nbl *n = unit_receive(64, 100);

	leave_metadata(n, ~0u);
	ck_assert(nbl_metadata_harvest(n));
	recycle(n);
	ck_assert(!nbl_metadata_harvest(n));
	for (int i = 0; i < NBL_N_INFO; i++)
		ck_assert_uint_eq(nbl_info_get(n, (enum nbl_info)i), 0);
	nbl_release(n);

	/* no room for any, so what lies before the frame is not read */
	n = unit_receive(31, 100);
	ck_assert(!nbl_metadata_harvest(n));
	nbl_release(n);
}
END_TEST

START_TEST(CN_05_a_completed_nbl_is_not_found_by_its_last_cancel_id)
{
	struct nbl *n = nbl_pool_alloc(unit.pool);

	nbl_info_set(n, NBL_INFO_CANCEL_ID, nbl_cancel_id(3, 99));
	nbl_info_set(n, NBL_INFO_HASH, 5);
	nbl_cancel_clear(n);
	ck_assert_uint_eq(nbl_info_get(n, NBL_INFO_CANCEL_ID), 0);
	ck_assert_uint_eq(nbl_info_get(n, NBL_INFO_HASH), 5);
	ck_assert_int_eq(nbl_free(n), 0);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ DM_08_a_slot_holds_what_was_set_and_a_lower_module_reads_it, 1 },
		{ DM_08_the_next_packet_in_the_descriptor_reads_zeros_whichever_way_the_last_went_home, 2 },
		{ DM_10_nobody_but_the_engine_sets_its_slot_and_no_helper_copies_it, 1 },
		{ DM_10_clones_inherit_lineage_through_the_engine_and_copies_do_not, 1 },
		{ BUG_05_cloning_and_freeing_the_clone_leaves_the_record_on_the_original, 2 },
		{ DM_11_scratch_begins_empty_and_is_lost_when_the_owner_changes, 1 },
		{ DM_15_engine_bits_survive_whoever_writes_the_others, 1 },
		{ DM_15_the_ranges_cover_all_bits_once, 1 },
		{ DM_14_an_nbl_others_can_see_or_that_is_read_only_is_not_writable, 2 },
		{ DV_10_the_helpers_copy_exactly_the_slots_of_their_direction, 2 },
		{ DV_10_what_a_helper_copied_is_cleared_with_the_descriptor, 2 },
		{ AR_07_what_the_xdp_program_left_survives_a_retreat_over_it, 1 },
		{ AR_07_only_what_the_program_calls_valid_is_taken, 5 },
		{ AR_07_the_frames_next_packet_does_not_find_the_last_ones_metadata, 1 },
		{ CN_05_a_completed_nbl_is_not_found_by_its_last_cancel_id, 1 },
	};

	return unit_run("info", tests, N_ELEMENTS(tests));
}
