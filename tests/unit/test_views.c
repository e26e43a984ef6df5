/* SPDX-License-Identifier: BSD-2-Clause */
/* test_views.c - who has which NBL: the lists, one NBL, the history, and what they do not trust. */
#include <nbl/derive.h>
#include <nbl/holding.h>
#include <nbl/info.h>

#include "stack/history.h"
#include "unit/lane_probe.h"

#define PROBE_ID 1	/* the first module in */

static struct nbl *kept_nbl(uint32_t number)
{
	struct nbl *n = probe.kept.head;

	while (number--)
		n = n->next;
	return n;
}

static uint32_t lane_ms(void)
{
	return (uint32_t)(rig.lane.now_ns / 1000000);
}

static struct nbl_view_page *pending(uint64_t cursor, uint32_t later_ms)
{
	static struct nbl_view_page page;

	nbl_view_pending(&rig.lane, 1, cursor, lane_ms() + later_ms, &page);
	return &page;
}

/* The row of 'n' on the first page, which must have it. */
static const struct nbl_view_row *row_of(const struct nbl *n)
{
	const struct nbl_view_page *page = pending(0, 0);
	struct nbl_view_id id = nbl_view_id_of(&rig.lane, n);

	for (uint32_t i = 0; i < page->n_rows; i++)
		if (page->rows[i].id.pool == id.pool && page->rows[i].id.index == id.index)
			return &page->rows[i];
	ck_abort_msg("pool %u, index %u is not listed", id.pool, id.index);
}

static const struct nbl_view_hold *holds(void)
{
	static struct nbl_view_hold all[NBL_VIEW_HOLDERS];

	nbl_view_holds(&rig.lane, 1, lane_ms() + 500, all);
	return all;
}

static void keep_packets(uint32_t n)
{
	probe.receive = keep;
	rig_deliver(&rig, 0, n);
	rig_turn(&rig);
	ck_assert_uint_eq(probe.kept.n_nbls, n);
}

static void hold_packets(uint32_t n)
{
	begin(RIG_SHAPE(0), only_probe);
	keep_packets(n);
}

static void let_go(void)
{
	struct nbl_chain chain = probe.kept;
	struct nbl_lane *before = nbl_lane_enter(&rig.lane);

	probe.kept = NBL_CHAIN_EMPTY;
	nbl_filter_indicate(probe.filter, chain, 0, 0);
	nbl_lane_publish_tx(&rig.lane);
	nbl_lane_enter(before);
}

/* All goes on its way; then nothing is listed, and all adds up. */
static void end_clean(void)
{
	let_go();
	rig_settle(&rig);
	ck_assert_uint_eq(pending(0, 0)->n_total, 0);
	rig_check(&rig);
	end();
}

/* ---- the list ---- */

START_TEST(HP_05_every_nbl_of_a_seeded_scenario_is_listed_with_its_holder)
{
	const struct nbl_option ms = { "ms", "1000" };
	const struct nbl_view_page *page;

	begin(RIG_SHAPE(0), only_probe);
	rig_add(&rig, &nbl_module_delay, &ms, 1);
	probe.receive = pass_up;
	rig_deliver(&rig, 0, 3);
	rig_turn(&rig);
	probe.receive = keep;
	rig_deliver(&rig, 0, 5);
	rig_turn(&rig);
	page = pending(0, 0);
	ck_assert_uint_eq(page->n_total, 8);
	ck_assert_uint_eq(page->n_rows, 8);
	ck_assert_uint_eq(page->by_holder[PROBE_ID][NBL_LOWER], 5);
	ck_assert_uint_eq(page->by_holder[PROBE_ID + 1][NBL_LOWER], 3);
	for (uint32_t i = 0; i < 8; i++) {
		const struct nbl_view_row *row = &page->rows[i];
		bool delayed = row->references;

		ck_assert_uint_eq(nbl_view_holder(row), delayed ? PROBE_ID + 1 : PROBE_ID);
		ck_assert_uint_eq(row->n_reference_holders, delayed ? 1 : 0);
		ck_assert(row->owner_pending);
		ck_assert_uint_eq(row->kind, NBL_KIND_RECEIVE);
		ck_assert_uint_eq(row->state, NBL_FRAME_HELD);
		ck_assert_uint_eq(row->side, NBL_LOWER);
		ck_assert_uint_eq(row->n_frames, 1);
		ck_assert_uint_eq(row->length, RIG_LENGTH);
	}
	end_clean();
}
END_TEST

START_TEST(HP_05_ages_count_from_when_a_packet_was_kept)
{
	hold_packets(1);
	ck_assert_uint_eq(pending(0, 0)->rows[0].age_ms, 0);
	ck_assert_uint_eq(pending(0, 700)->rows[0].age_ms, 700);
	/* a clock that went on meanwhile is no reason for ages of weeks */
	ck_assert_uint_eq(pending(0, (uint32_t)-5)->rows[0].age_ms, 0);
	ck_assert_uint_eq(holds()[PROBE_ID].oldest_ms, 500);
	end_clean();
}
END_TEST

START_TEST(HP_01_the_oldest_of_several_is_what_holds_tells)
{
	hold_packets(1);
	rig_sleep_ns(20000000);
	rig_deliver(&rig, 0, 4);
	rig_turn(&rig);
	/* asked 500 ms after the four came */
	ck_assert_uint_ge(holds()[PROBE_ID].oldest_ms, 520);
	ck_assert_uint_eq(pending(0, 500)->rows[4].age_ms, 500);
	end_clean();
}
END_TEST

START_TEST(RF_04_the_three_reasons_that_keep_an_nbl_are_told_apart)
{
	const struct nbl_option ms = { "ms", "1" };
	struct nbl *n, *clone;

	begin(RIG_SHAPE(0), only_probe);
	rig_add(&rig, &nbl_module_delay, &ms, 1);
	keep_packets(1);
	n = kept_nbl(0);
	nbl_reference(n, false);
	clone = nbl_alloc_clone(n, rig.pool);
	ck_assert_ptr_nonnull(clone);
	ck_assert(row_of(n)->owner_pending);
	ck_assert_uint_eq(row_of(n)->references, 1);
	ck_assert_uint_eq(row_of(n)->children, 1);
	let_go();
	ck_assert_uint_eq(nbl_view_holder(row_of(n)), PROBE_ID + 1);
	rig_settle(&rig);
	/* its owner is done; who references it has it now, not who had it last */
	ck_assert_uint_eq(row_of(n)->holder, PROBE_ID + 1);
	ck_assert(!row_of(n)->owner_pending);
	ck_assert_uint_eq(nbl_view_holder(row_of(n)), PROBE_ID);
	ck_assert_int_eq(nbl_dereference(n), 0);
	ck_assert_uint_eq(row_of(n)->references, 0);
	ck_assert_uint_eq(row_of(n)->children, 1);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	rig_settle(&rig);
	ck_assert_uint_eq(pending(0, 0)->n_total, 0);
	rig_check(&rig);
	end();
}
END_TEST

START_TEST(RF_16_holds_counts_references_clones_deep_clones_and_copies_apart)
{
	struct nbl *n, *clone, *deep, *copy;

	hold_packets(3);
	n = kept_nbl(0);
	nbl_reference(n, false);
	clone = nbl_alloc_clone(n, rig.pool);
	ck_assert_int_eq(nbl_alloc_deep_clone(n, rig.pool, rig.pool, &deep), 0);
	ck_assert_int_eq(nbl_alloc_copy(n, rig.pool, rig.pool, &copy), 0);
	ck_assert_uint_eq(holds()[PROBE_ID].pending, 3);
	ck_assert_uint_eq(holds()[PROBE_ID].frames, 3);
	ck_assert_uint_eq(holds()[PROBE_ID].references, 1);
	ck_assert_uint_eq(holds()[PROBE_ID].clones, 1);
	ck_assert_uint_eq(holds()[PROBE_ID].deep_clones, 1);
	ck_assert_uint_eq(holds()[PROBE_ID].copies, 1);
	ck_assert_uint_eq(pending(0, 0)->n_total, 6);
	ck_assert_uint_eq(pending(0, 0)->by_holder[PROBE_ID][NBL_VIEW_POOLED], 3);
	ck_assert_uint_eq(row_of(clone)->n_frames, 0);
	ck_assert_uint_eq(row_of(deep)->n_frames, 1);
	ck_assert_uint_eq(row_of(copy)->kind, NBL_KIND_FRESH);
	ck_assert(row_of(clone)->has_parent && !row_of(copy)->has_parent);
	ck_assert_uint_eq(row_of(deep)->parent.index, nbl_view_id_of(&rig.lane, n).index);
	ck_assert_uint_eq(nbl_view_holder(row_of(copy)), PROBE_ID);
	nbl_dereference(n);
	nbl_free_clone(clone);
	nbl_free_clone(deep);
	nbl_free(copy);
	end_clean();
}
END_TEST

START_TEST(HP_05_what_is_only_being_sent_is_with_the_kernel_and_comes_last)
{
	const struct nbl_view_page *page;

	hold_packets(2);
	probe.receive = pass_up;
	rig_deliver(&rig, 0, 40);
	rig_turn(&rig);
	page = pending(0, 0);
	ck_assert_uint_eq(page->n_total, 42);
	ck_assert_uint_eq(page->by_holder[NBL_VIEW_KERNEL][NBL_LOWER], 40);
	for (uint32_t i = 0; i < NBL_VIEW_ROWS; i++)
		ck_assert_uint_eq(nbl_view_holder(&page->rows[i]),
				  i < 2 ? PROBE_ID : NBL_VIEW_KERNEL);
	ck_assert_uint_eq(holds()[PROBE_ID].frames, 2);
	end_clean();
}
END_TEST

START_TEST(HP_05_pages_tell_each_nbl_once_though_some_go_home_between_them)
{
	uint8_t seen[256] = { 0 };
	uint32_t n_seen = 0;
	uint64_t cursor = 0;

	hold_packets(100);
	do {
		const struct nbl_view_page *page = pending(cursor, 0);
		struct nbl *n = nbl_chain_pop(&probe.kept);

		ck_assert(!page->cursor || page->n_rows == NBL_VIEW_ROWS);
		ck_assert(!page->cursor || page->cursor > cursor);
		for (uint32_t i = 0; i < page->n_rows; i++)
			ck_assert_uint_eq(seen[page->rows[i].id.index]++, 0);
		n_seen += page->n_rows;
		cursor = page->cursor;
		/* the oldest, which was listed, goes on meanwhile */
		struct nbl_chain one = NBL_CHAIN_EMPTY;

		nbl_chain_append(&one, n);
		nbl_filter_return(probe.filter, one);
	} while (cursor);
	ck_assert_uint_eq(n_seen, 100);
	end_clean();
}
END_TEST

/* ---- one NBL ---- */

START_TEST(HP_05_one_nbl_is_told_with_window_flags_information_and_bytes)
{
	static struct nbl_view_nbl v;
	struct rig_packet expected;
	struct nbl *n;

	hold_packets(1);
	n = kept_nbl(0);
	ck_assert_int_eq(nbl_info_set(n, NBL_INFO_VLAN, 7), 0);
	ck_assert_int_eq(nbl_view_nbl(&rig.lane, 1, nbl_view_id_of(&rig.lane, n), lane_ms(), &v),
			 0);
	ck_assert(!v.is_home);
	ck_assert_uint_eq(v.data_offset, RIG_HEADROOM);
	ck_assert_uint_eq(v.data_length, RIG_LENGTH);
	ck_assert_uint_eq(v.n_nbs, 1);
	ck_assert_uint_eq(v.n_segments, 1);
	ck_assert_uint_eq(v.segments[0].frame, n->segment.frame);
	ck_assert_uint_eq(v.info[NBL_INFO_VLAN], 7);
	ck_assert(v.nbl_flags & NBL_FLAG_HAS_INFO);
	ck_assert_uint_eq(v.n_bytes, NBL_VIEW_BYTES);
	rig_write_packet(&expected, 0, 0);
	ck_assert_mem_eq(v.bytes, &expected, NBL_VIEW_BYTES);
	end_clean();
}
END_TEST

START_TEST(HP_05_an_nbl_at_home_is_told_as_home_and_places_beyond_are_refused)
{
	static struct nbl_view_nbl v;
	struct nbl_view_id id = { .pool = 0, .index = 3 };

	begin(RIG_SHAPE(0), only_probe);
	ck_assert_int_eq(nbl_view_nbl(&rig.lane, 1, id, 0, &v), 0);
	ck_assert(v.is_home);
	ck_assert_uint_eq(v.n_bytes, 0);
	id.pool = 1;
	ck_assert_int_eq(nbl_view_nbl(&rig.lane, 1, id, 0, &v), 0);	/* never used */
	ck_assert(v.is_home);
	id.index = UINT32_MAX;
	ck_assert_int_eq(nbl_view_nbl(&rig.lane, 1, id, 0, &v), -ENOENT);
	id.pool = 0;
	/* the first of the pool's frames is no receive frame */
	id.index = rig.n_queues * rig.shape.n_frames;
	ck_assert_int_eq(nbl_view_nbl(&rig.lane, 1, id, 0, &v), -ENOENT);
	id.pool = 4000;
	ck_assert_int_eq(nbl_view_nbl(&rig.lane, 1, id, 0, &v), -ENOENT);
	end();
}
END_TEST

START_TEST(HP_05_links_into_memory_of_others_are_told_as_foreign_and_not_followed)
{
	/* where a read would end the test */
	uint8_t *trap = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static struct nbl_view_nbl v;
	struct nbl_view_id id;
	struct nbl *n;

	hold_packets(1);
	n = kept_nbl(0);
	id = nbl_view_id_of(&rig.lane, n);
	n->segment.next = (struct nbl_segment *)(void *)trap;
	ck_assert_int_eq(nbl_view_nbl(&rig.lane, 1, id, 0, &v), 0);
	ck_assert_uint_eq(v.n_segments, 2);
	ck_assert(v.segments[1].foreign);
	n->segment.next = &n->segment;		/* a ring ends, too */
	ck_assert_int_eq(nbl_view_nbl(&rig.lane, 1, id, 0, &v), 0);
	ck_assert_uint_eq(v.n_segments, NBL_VIEW_SEGMENTS);
	n->segment.next = NULL;
	n->nb.next = (struct nbl_nb *)(void *)(trap + 8);
	ck_assert_uint_eq(pending(0, 0)->rows[0].length, RIG_LENGTH);
	n->nb.next = NULL;
	n->segment.base = trap;
	ck_assert_int_eq(nbl_view_nbl(&rig.lane, 1, id, 0, &v), 0);
	ck_assert_uint_eq(v.n_bytes, 0);
	n->segment.base = rig.memory.frames + ((size_t)n->segment.frame << rig.lane.frame_shift);
	end_clean();
}
END_TEST

/* ---- pools ---- */

START_TEST(PL_05_the_pools_view_shows_quota_what_is_out_and_exhaustion)
{
	struct nbl *out[40] = { NULL };
	struct nbl_view_pools pools;
	uint32_t n = 0;

	hold_packets(1);
	while (!nbl_alloc_copy(kept_nbl(0), rig.pool, rig.pool, &out[n]))
		n++;
	ck_assert_uint_eq(n, rig.shape.n_pool_frames);
	nbl_view_pools(&pools);
	ck_assert_uint_eq(pools.n_pools, 1);
	ck_assert_uint_eq(pools.pools[0].counts.n_frames, n);
	ck_assert_uint_eq(pools.pools[0].counts.frames_free, 0);
	ck_assert_uint_ge(pools.pools[0].counts.exhausted, 1);
	ck_assert(!pools.pools[0].is_heap);
	ck_assert_uint_eq(pending(0, 0)->by_holder[PROBE_ID][NBL_VIEW_POOLED], n);
	while (n)
		ck_assert_int_eq(nbl_free(out[--n]), 0);
	nbl_view_pools(&pools);
	ck_assert_uint_eq(pools.pools[0].counts.frames_free, rig.shape.n_pool_frames);
	end_clean();
}
END_TEST

/* Somebody else sees it, too. */
static void reference_as_another(struct nbl *n, bool ends)
{
	uint16_t before = nbl_holder_enter(PROBE_ID + 1);

	if (ends)
		ck_assert_int_eq(nbl_dereference(n), 0);
	else
		nbl_reference(n, false);
	nbl_holder_enter(before);
}

START_TEST(AMB_03_the_pools_view_tells_how_many_clones_were_made_deep)
{
	struct nbl_view_pools before, after;
	struct nbl *n, *clone;

	hold_packets(1);
	n = kept_nbl(0);
	nbl_view_pools(&before);
	/* who announced writes gets bytes of his own */
	nbl_reference(n, true);
	reference_as_another(n, false);
	clone = nbl_alloc_clone(n, rig.pool);
	ck_assert_ptr_nonnull(clone);
	nbl_view_pools(&after);
	ck_assert_uint_eq(clone->kind, NBL_KIND_DEEP_CLONE);
	ck_assert_uint_eq(after.hidden_copies, before.hidden_copies + 1);
	ck_assert_int_eq(nbl_free_clone(clone), 0);
	reference_as_another(n, true);
	ck_assert_int_eq(nbl_dereference(n), 0);
	end_clean();
}
END_TEST

/* ---- history ---- */

START_TEST(HP_05_a_packet_leaves_a_note_at_each_hand_it_passes)
{
	static const struct { uint16_t from, to, path; } way[] = {
		{ NBL_PLACE_LOWER, PROBE_ID, NBL_TRANSFER_RECEIVE },
		{ PROBE_ID, NBL_PLACE_UPPER, NBL_TRANSFER_RECEIVE },
		{ NBL_PLACE_UPPER, PROBE_ID, NBL_TRANSFER_RETURN },
	};
	static struct nbl_history_page page;

	begin(RIG_SHAPE(0), only_watching_probe);
	probe.receive = pass_up;
	ck_assert_int_eq(nbl_history_start(&rig.lane), 0);
	rig_deliver(&rig, 0, 1);
	rig_turn(&rig);
	rig_run_kernel(&rig);
	rig_turn(&rig);
	nbl_history_read(&rig.lane, 0, &page);
	ck_assert_uint_eq(page.n_transfers, N_ELEMENTS(way));
	for (uint32_t i = 0; i < N_ELEMENTS(way); i++) {
		ck_assert_uint_eq(page.transfers[i].from, way[i].from);
		ck_assert_uint_eq(page.transfers[i].to, way[i].to);
		ck_assert_uint_eq(page.transfers[i].path, way[i].path);
	}
	nbl_history_stop(&rig.lane);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(HP_05_transfers_are_noted_in_order_from_on_to_off)
{
	static struct nbl_history_page page;

	hold_packets(3);
	nbl_history_note(&rig.lane, 0, PROBE_ID, NBL_TRANSFER_RECEIVE, &probe.kept);
	nbl_history_read(&rig.lane, 0, &page);
	ck_assert(!page.on);
	ck_assert_uint_eq(page.n_noted, 0);
	ck_assert_int_eq(nbl_history_start(&rig.lane), 0);
	nbl_history_note(&rig.lane, NBL_PLACE_LOWER, PROBE_ID, NBL_TRANSFER_RECEIVE, &probe.kept);
	nbl_history_note(&rig.lane, PROBE_ID, NBL_PLACE_UPPER, NBL_TRANSFER_RETURN, &probe.kept);
	ck_assert_int_eq(nbl_history_start(&rig.lane), 0);	/* it goes on */
	nbl_history_read(&rig.lane, 0, &page);
	ck_assert(page.on);
	ck_assert_uint_ge(page.n_noted, 6);
	for (uint32_t i = 0; i < 6; i++) {
		const struct nbl_transfer *t = &page.transfers[page.n_transfers - 6 + i];

		ck_assert_uint_eq(t->id.index, nbl_view_id_of(&rig.lane, kept_nbl(i % 3)).index);
		ck_assert_uint_eq(t->from, i < 3 ? NBL_PLACE_LOWER : PROBE_ID);
		ck_assert_uint_eq(t->to, i < 3 ? PROBE_ID : NBL_PLACE_UPPER);
		ck_assert_uint_eq(t->path, i < 3 ? NBL_TRANSFER_RECEIVE : NBL_TRANSFER_RETURN);
		ck_assert_uint_eq(t->time_ns, rig.lane.now_ns);
	}
	nbl_history_stop(&rig.lane);
	nbl_history_stop(&rig.lane);
	nbl_history_read(&rig.lane, 0, &page);
	ck_assert(!page.on);
	end_clean();
}
END_TEST

START_TEST(HP_05_the_history_keeps_the_last_transfers_and_is_read_page_by_page)
{
	static struct nbl_history_page page;
	uint64_t first = 0, n = 0;

	hold_packets(1);
	ck_assert_int_eq(nbl_history_start(&rig.lane), 0);
	for (uint32_t i = 0; i < NBL_HISTORY_ENTRIES + 100; i++)
		nbl_history_note(&rig.lane, (uint16_t)i, 0, NBL_TRANSFER_SEND, &probe.kept);
	do {
		nbl_history_read(&rig.lane, first, &page);
		for (uint32_t i = 0; i < page.n_transfers; i++, n++)
			ck_assert_uint_eq(page.transfers[i].from, (uint16_t)(n + 100));
		ck_assert(page.next > first || !page.n_transfers);
		first = page.next;
	} while (page.n_transfers);
	ck_assert_uint_eq(n, NBL_HISTORY_ENTRIES);
	ck_assert_uint_eq(page.n_noted, NBL_HISTORY_ENTRIES + 100);
	nbl_history_stop(&rig.lane);
	end_clean();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ HP_05_every_nbl_of_a_seeded_scenario_is_listed_with_its_holder, 1 },
		{ HP_05_ages_count_from_when_a_packet_was_kept, 1 },
		{ HP_01_the_oldest_of_several_is_what_holds_tells, 1 },
		{ RF_04_the_three_reasons_that_keep_an_nbl_are_told_apart, 1 },
		{ RF_16_holds_counts_references_clones_deep_clones_and_copies_apart, 1 },
		{ HP_05_what_is_only_being_sent_is_with_the_kernel_and_comes_last, 1 },
		{ HP_05_pages_tell_each_nbl_once_though_some_go_home_between_them, 1 },
		{ HP_05_one_nbl_is_told_with_window_flags_information_and_bytes, 1 },
		{ HP_05_an_nbl_at_home_is_told_as_home_and_places_beyond_are_refused, 1 },
		{ HP_05_links_into_memory_of_others_are_told_as_foreign_and_not_followed, 1 },
		{ PL_05_the_pools_view_shows_quota_what_is_out_and_exhaustion, 1 },
		{ AMB_03_the_pools_view_tells_how_many_clones_were_made_deep, 1 },
		{ HP_05_a_packet_leaves_a_note_at_each_hand_it_passes, 1 },
		{ HP_05_transfers_are_noted_in_order_from_on_to_off, 1 },
		{ HP_05_the_history_keeps_the_last_transfers_and_is_read_page_by_page, 1 },
	};

	return rig_run("views", tests, N_ELEMENTS(tests));
}
