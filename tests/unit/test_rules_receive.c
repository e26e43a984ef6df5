/* SPDX-License-Identifier: BSD-2-Clause */
/* test_rules_receive.c - packets of several ring entries, and what holding does to receiving. */
#include <nbl/fragment.h>
#include <nbl/holding.h>

#include "unit/lane_send.h"

#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1u << 0)
#endif

#define PIECE 600u

/* Delivers a packet in 'n' entries of PIECE bytes; the last goes on, too, if it is not 'whole'. */
static void deliver_pieces(uint32_t n, bool whole)
{
	struct nbl_ring *rx = &lane_queue(0)->q.rx.ring;
	uint8_t bytes[PIECE];

	for (uint32_t i = 0; i < n; i++) {
		uint32_t slot = *rx->producer & (rx->size - 1);

		memset(bytes, (int)(i + 1), sizeof(bytes));
		ck_assert(nbl_mem_port_deliver(rig.ports[0], bytes, sizeof(bytes)));
		if (i + 1 < n || !whole)
			((struct xdp_desc *)rx->entries)[slot].options = XDP_PKT_CONTD;
	}
}

/* The bytes of 'nb' are those of 'n' pieces. */
static void check_pieces(const struct nbl_nb *nb, uint32_t n)
{
	const struct nbl_segment *s = nb->current_segment;
	uint32_t offset = nb->current_offset;

	ck_assert(nbl_nb_is_sound(nb));
	ck_assert_uint_eq(nb->data_length, n * PIECE);
	for (uint32_t i = 0; i < n * PIECE; i++) {
		while (offset == s->length) {
			s = s->next;
			offset = 0;
		}
		ck_assert_uint_eq(s->base[offset++], i / PIECE + 1);
	}
}

static uint64_t frames_at_home(void)
{
	return lane_queue(0)->n_free + lane_queue(0)->n_posted;
}

/* _i: the module drops it; lends it to nobody and sends it on in pieces; sends it on as a copy. */
START_TEST(DM_02_a_packet_of_three_entries_is_one_nbl_with_one_nb_of_three_segments)
{
	struct nbl_mem_packet p;
	struct nbl *n;

	begin_sends(RIG_SHAPE(0), only_probe);
	lane_queue(1)->q.sg = _i == 1;
	lane_queue(1)->q.max_segments = 4;
	lane_queue(1)->q.max_length = 2000;
	probe.receive = keep;
	deliver_pieces(3, true);
	ck_assert_uint_eq(rig_deliver(&rig, 0, 1), 1);
	rig_turn(&rig);
	nbl_lane_enter(&rig.lane);
	ck_assert_uint_eq(probe.kept.n_nbls, 2);
	n = nbl_chain_pop(&probe.kept);
	ck_assert_ptr_null(n->first_nb->next);
	ck_assert_uint_eq(nbl_nb_n_segments(n->first_nb), 3);
	check_pieces(n->first_nb, 3);
	ck_assert_uint_eq(n->source_handle, nbl_handle_of_queue(0));
	ck_assert_uint_eq(lane_queue(0)->figures->rx_packets, 2);
	return_one(nbl_chain_pop(&probe.kept));
	rig_check(&rig);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 3);
	if (_i) {
		nbl_filter_indicate(probe.filter, one(n), 0, 0);
		nbl_lane_publish_tx(&rig.lane);
		for (uint32_t i = 0; i < (_i == 1 ? 3u : 1u); i++) {
			ck_assert(nbl_mem_port_take(rig.ports[1], &p));
			ck_assert_uint_eq(p.length, _i == 1 ? PIECE : 3 * PIECE);
			ck_assert_uint_eq(p.bytes[p.length - 1], _i == 1 ? i + 1 : 3);
		}
		ck_assert(!nbl_mem_port_take(rig.ports[1], &p));
	} else {
		return_one(n);
	}
	rig_settle(&rig);
	/* one packet of three frames: the first counts for all */
	ck_assert_uint_eq(outcome(NBL_OUTCOME_CONSUMED), 2);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TO_HOST), !!_i);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_RETURNED), 2 - !!_i);
	ck_assert_uint_eq(rig.lane.figures.drops[probe.filter->id][NBL_OUTCOME_RETURNED],
			  2 - !!_i);
	ck_assert_uint_eq(frames_at_home(), 256);
	end_whole(0);
}
END_TEST

/*
 * _i: its end never comes; one of its frames was not the kernel's to give; no descriptor is left.
 */
START_TEST(DM_02_a_packet_that_cannot_be_put_together_is_dropped_whole_and_its_frames_are_home)
{
	static struct nbl *hoard[8192];
	struct nbl_pool_counts c;
	uint32_t n_hoarded = 0;

	begin_sends(RIG_SHAPE(0), only_probe);
	probe.receive = keep;
	nbl_pool_get_counts(rig.pool, &c);
	for (; _i == 2 && n_hoarded < c.n_nbls; n_hoarded++) {
		ck_assert_uint_lt(n_hoarded, N_ELEMENTS(hoard));
		hoard[n_hoarded] = nbl_pool_alloc(rig.pool);
	}
	deliver_pieces(_i ? 3 : 5, _i);
	if (_i == 1)
		((struct xdp_desc *)lane_queue(0)->q.rx.ring.entries)[1].addr = UINT64_MAX;
	rig_turn(&rig);
	nbl_lane_enter(&rig.lane);
	ck_assert(nbl_chain_is_empty(&probe.kept));
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD) + frames_in(NBL_FRAME_HAND), 0);
	ck_assert_uint_eq(rig.lane.figures.drops[NBL_PLACE_WORKER][NBL_OUTCOME_RETURNED],
			  _i == 0 ? 5 : _i == 1 ? 2 : 3);
	ck_assert_uint_eq(rig.lane.figures.violations, _i == 2 ? 0 : 1);
	/* and the next packet comes as ever */
	ck_assert_uint_eq(rig_deliver(&rig, 0, 1), 1);
	rig_turn(&rig);
	nbl_lane_enter(&rig.lane);
	ck_assert_uint_eq(probe.kept.n_nbls, 1);
	return_one(nbl_chain_pop(&probe.kept));
	while (n_hoarded)
		free_any(hoard[--n_hoarded]);
	if (_i != 1) {	/* there the lie cost a frame: nobody knows whose it is */
		end_whole(_i == 2 ? 0 : 1);
		return;
	}
	ck_assert_uint_eq(frames_at_home(), 256);
	nbl_lane_enter(NULL);
	end();
}
END_TEST

/* _i: ended from outside, or crashed; with one, or two, of the three entries in hand. */
/* Whoever dropped what was last in the first frame has nothing to do with what is there now. */
START_TEST(DM_02_a_packet_is_put_together_on_nobodys_account)
{
	const struct nbl_holding_limits none_shared = { .copies_only = true }, no_limits = { 0 };

	begin_sends(RIG_SHAPE(0), only_probe);
	probe.receive = keep;
	nbl_lane_enter(&rig.lane);
	for (uint32_t frame = 0; frame < 256; frame++)
		rig.nbls[frame].holder = rig.stack.modules[0].id;
	nbl_holding_set_limits(rig.stack.modules[0].id, &none_shared);
	deliver_pieces(3, true);
	rig_turn(&rig);
	nbl_holding_set_limits(rig.stack.modules[0].id, &no_limits);
	nbl_lane_enter(&rig.lane);
	ck_assert_uint_eq(probe.kept.n_nbls, 1);
	check_pieces(probe.kept.head->first_nb, 3);
	return_one(nbl_chain_pop(&probe.kept));
	ck_assert_uint_eq(frames_at_home(), 256);
	end_whole(0);
}
END_TEST

START_TEST(DM_02_of_a_packet_that_a_death_tore_nothing_is_delivered)
{
	const struct nbl_ledger_entry in_hand = { .state = NBL_FRAME_HAND };

	begin_sends(RIG_SHAPE(0), only_probe);
	deliver_pieces(3, true);
	ck_assert_uint_eq(rig_deliver(&rig, 0, 1), 1);
	for (uint32_t i = 0; i <= (uint32_t)_i / 2; i++)
		nbl_ledger_set(&rig.memory.ledger,
			       (uint32_t)(nbl_queue_rx(&lane_queue(0)->q, i)->addr / 2048), in_hand);
	nbl_lane_enter(NULL);
	rig_down(&rig);
	probe.receive = keep;
	rig_up(&rig, only_probe, _i % 2 ? NBL_TAKEOVER_DROP : NBL_TAKEOVER_REPLAY);
	rig_turn(&rig);
	nbl_lane_enter(&rig.lane);
	ck_assert_uint_eq(probe.kept.n_nbls, 1);
	ck_assert_uint_eq(probe.kept.head->nb.data_length, RIG_LENGTH);
	return_one(nbl_chain_pop(&probe.kept));
	rig_settle(&rig);
	ck_assert_uint_eq(frames_at_home(), 256);
	rig_check(&rig);
	nbl_lane_enter(NULL);
	end();
}
END_TEST

/* More entries than a burst takes: a packet at its end is not torn in two. */
START_TEST(DM_02_a_burst_ends_between_packets)
{
	begin_sends(RIG_SHAPE(0), only_probe);
	probe.receive = keep;
	ck_assert_uint_eq(rig_deliver(&rig, 0, NBL_BURST - 1), NBL_BURST - 1);
	deliver_pieces(2, true);
	rig_turn(&rig);
	rig_turn(&rig);
	nbl_lane_enter(&rig.lane);
	ck_assert_uint_eq(probe.kept.n_nbls, NBL_BURST);
	check_pieces(probe.kept.tail->first_nb, 2);
	nbl_filter_return(probe.filter, nbl_chain_take(&probe.kept));
	ck_assert_uint_eq(frames_at_home(), 256);
	end_whole(0);
}
END_TEST

static void pass_lent(struct nbl_filter *f, struct nbl_chain chain)
{
	ck_assert(f->borrows);
	nbl_filter_indicate(f, chain, 0, NBL_RECEIVE_RESOURCES);
}

START_TEST(DM_02_a_packet_of_three_entries_is_lent_like_any_other_when_frames_are_short)
{
	struct nbl_mem_packet p;

	begin_sends(RIG_SHAPE(0), only_probe);
	lane_queue(1)->q.max_length = 2000;
	probe.receive = keep;
	while (probe.kept.n_nbls < 240) {
		rig_deliver(&rig, 0, 48);
		rig_turn(&rig);
	}
	probe.receive = pass_lent;
	deliver_pieces(3, true);
	rig_turn(&rig);
	nbl_lane_enter(&rig.lane);
	ck_assert_uint_eq(rig.lane.figures.originated.borrowed, 1);
	/* a copy leaves, and its frames are home */
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 240);
	ck_assert(nbl_mem_port_take(rig.ports[1], &p));
	ck_assert_uint_eq(p.length, 3 * PIECE);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TO_HOST), 1);
	nbl_filter_return(probe.filter, nbl_chain_take(&probe.kept));
	end_whole(0);
}
END_TEST

/* ---- holding (HP-02, NX-02) ---- */

static void pin_and_pass(struct nbl_filter *f, struct nbl_chain chain)
{
	for (struct nbl *n = chain.head; n; n = n->next)
		nbl_reference(n, false);
	nbl_filter_indicate(f, chain, 0, f->borrows ? NBL_RECEIVE_RESOURCES : 0);
}

START_TEST(NX_02_what_is_held_starves_the_fill_ring_and_the_figures_say_so)
{
	struct nbl_lane_figures f;
	uint32_t n = 0;

	begin_sends(RIG_SHAPE(0), only_probe);
	probe.receive = pin_and_pass;
	for (int i = 0; i < 100; i++) {
		n += rig_deliver(&rig, 0, 8);
		run_out();
	}
	/* every frame is held, and nothing can come in any more */
	ck_assert_uint_eq(n, 256);
	ck_assert_uint_eq(rig_deliver(&rig, 0, 1), 0);
	ck_assert_uint_eq(frames_at_home(), 0);
	ck_assert_uint_eq(nbl_ring_used(&lane_queue(0)->q.fill.ring), 0);
	nbl_lane_publish(&rig.lane);
	rig_read(&rig, &f);
	ck_assert_uint_eq(f.frames[NBL_FRAME_HELD], 256);
	ck_assert_uint_gt(f.originated.borrowed, 0);
	/* and when they are let go receiving goes on */
	for (uint32_t i = 0; i < 256; i++)
		ck_assert_int_eq(nbl_dereference(&rig.nbls[i]), 0);
	rig_turn(&rig);
	ck_assert_uint_eq(rig_deliver(&rig, 0, 8), 8);
	probe.receive = pass_up;
	run_out();
	ck_assert_uint_eq(rig_left(&rig), 264);
	end_whole(0);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ DM_02_a_packet_of_three_entries_is_one_nbl_with_one_nb_of_three_segments, 3 },
		{ DM_02_a_packet_that_cannot_be_put_together_is_dropped_whole_and_its_frames_are_home, 3 },
		{ DM_02_a_packet_is_put_together_on_nobodys_account, 1 },
		{ DM_02_of_a_packet_that_a_death_tore_nothing_is_delivered, 4 },
		{ DM_02_a_burst_ends_between_packets, 1 },
		{ DM_02_a_packet_of_three_entries_is_lent_like_any_other_when_frames_are_short, 1 },
		{ NX_02_what_is_held_starves_the_fill_ring_and_the_figures_say_so, 1 },
	};

	return rig_run("rules_receive", tests, N_ELEMENTS(tests));
}
