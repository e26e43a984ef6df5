/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rules_send.c - where a send leaves, in how many pieces, when it ends, and what that proves.
 */
#include <nbl/info.h>
#include <nbl/parse.h>

#include "stack/ports.h"
#include "unit/lane_send.h"

/* ---- ports (PT-03, PT-04) ---- */

#define N_LOWER 3u

static struct nbl_ports ports;

/* Three lower queues, with ports 1 and 2 active, 3 allocated. */
static void begin_ports(const struct nbl_module *const *modules)
{
	begin_sends(RIG_SHAPE(.n_lower = N_LOWER, .rings = { 256, 4, 256, 64 }), modules);
	ck_assert_int_eq(nbl_ports_init(&ports, N_LOWER), 0);
	for (int i = 1; i <= 3; i++)
		ck_assert_int_eq(nbl_ports_alloc(&ports), i);
	ck_assert_int_eq(nbl_ports_activate(&ports, (const uint32_t[]){ 1, 2 }, 2), 0);
	rig.lane.ports = &ports;
}

static void end_ports(void)
{
	run_out();
	for (uint32_t i = 0; i <= N_LOWER; i++)
		ck_assert_uint_eq(ports.uses[i].n_out, 0);
	end_whole(0);
	nbl_ports_done(&ports);
}

static struct nbl *for_port(uint16_t port, uint32_t sequence)
{
	struct nbl *n = fresh(60, sequence);

	n->port = port;
	return n;
}

START_TEST(PT_04_what_is_sent_on_a_port_leaves_by_the_queue_of_its_number_and_no_other)
{
	uint16_t port = (uint16_t)_i;

	begin_ports(no_modules);
	transmit_one(for_port(port, 7), NBL_LOWER);
	for (uint32_t q = 0; q < N_LOWER; q++)
		if (q != (port ? port - 1u : 0u))
			ck_assert(nothing_on(q));
	ck_assert_uint_eq(taken(port ? port - 1u : 0u, 60, NULL), 7);
	ck_assert_uint_eq(ports.uses[port].n_out, !!port);
	run_out();
	ck_assert_int_eq(ended.chains[NBL_ORIGIN_MODULE].head->status, NBL_STATUS_SUCCESS);
	free_any(popped(NBL_ORIGIN_MODULE));
	end_ports();
}
END_TEST

/* A received packet may be sent on a port, too: it leaves there and comes home to its own. */
START_TEST(PT_04_a_received_packet_leaves_by_the_port_it_is_sent_on)
{
	struct nbl *n;

	begin_ports(only_probe);
	receive_and_keep(1);
	n = nbl_chain_pop(&probe.kept);
	probe.filter->held--;
	fill_bytes(nbl_nb_data(&n->nb), RIG_LENGTH, 42);
	n->port = 2;
	transmit_one(n, NBL_LOWER);
	ck_assert(nothing_on(0) && nothing_on(2) && nothing_on(3));
	ck_assert_uint_eq(taken(1, RIG_LENGTH, NULL), 42);
	rig_complete(&rig, 1, 1);
	run_out();
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TO_WIRE), 1);
	ck_assert_uint_eq(lane_queue(0)->n_free + lane_queue(0)->n_posted, 256);
	end_ports();
}
END_TEST

/* _i: the one before it in its frame was sent on a port; was given back with one in it. */
START_TEST(PT_01_the_next_packet_of_a_frame_is_for_no_port)
{
	struct nbl *first, *n;

	begin_ports(only_probe);
	receive_and_keep(1);
	first = nbl_chain_pop(&probe.kept);
	first->port = 2;
	if (_i) {
		nbl_filter_return(probe.filter, one(first));
	} else {
		probe.filter->held--;
		transmit_one(first, NBL_LOWER);
	}
	run_out();
	do {
		receive_and_keep(1);
		n = nbl_chain_pop(&probe.kept);
		ck_assert_uint_eq(n->port, 0);
		nbl_filter_return(probe.filter, one(n));
		run_out();
	} while (n != first);
	end_ports();
}
END_TEST

/* _i: allocated only; not allocated; more than there are queues; on another lane; no ports. */
START_TEST(PT_03_a_send_on_a_port_that_is_not_active_fails_and_nothing_moves)
{
	struct nbl *n;

	begin_ports(no_modules);
	n = for_port(_i == 1 ? 9 : _i == 3 ? 2 : 3, 1);
	if (_i == 2)
		n->port = UINT16_MAX;
	if (_i == 3)
		lane_queue(1)->q.number = 77;
	if (_i == 4)
		rig.lane.ports = NULL;
	nbl_lane_transmit(&rig.lane, one(n), NBL_LOWER);
	lane_queue(1)->q.number = 1;
	for (uint32_t q = 0; q < N_LOWER; q++)
		ck_assert(nothing_on(q));
	ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), n);
	ck_assert_int_eq(n->status, NBL_STATUS_FAILURE);
	ck_assert_uint_eq(n->outcome, NBL_OUTCOME_DETACHED);
	/* once it is, it may */
	rig.lane.ports = &ports;
	ck_assert_int_eq(nbl_ports_activate(&ports, (const uint32_t[]){ 3 }, 1), 0);
	n->port = 3;
	transmit_one(n, NBL_LOWER);
	run_out();
	ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), n);
	ck_assert_int_eq(n->status, NBL_STATUS_SUCCESS);
	free_any(n);
	end_ports();
}
END_TEST

START_TEST(PT_03_deactivation_waits_for_what_is_sent_or_waits_and_takes_no_more)
{
	const uint32_t two = 2;
	struct nbl *late;

	begin_ports(no_modules);
	ended.frees = true;
	for (uint32_t i = 0; i < 7; i++)	/* four fit the ring, the others wait */
		transmit_one(for_port(2, i), NBL_LOWER);
	ck_assert_uint_eq(ports.uses[2].n_out, 7);
	ck_assert_int_eq(nbl_ports_deactivate(&ports, &two, 1), -EBUSY);
	ended.frees = false;
	late = for_port(2, 9);
	nbl_lane_transmit(&rig.lane, one(late), NBL_LOWER);
	ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), late);
	ck_assert_int_eq(late->status, NBL_STATUS_FAILURE);
	free_any(late);
	ended.frees = true;
	run_out();
	ck_assert_int_eq(nbl_ports_deactivate(&ports, &two, 1), 0);
	ck_assert_int_eq(nbl_ports_queue(&ports, 2), -ENETDOWN);
	end_ports();
}
END_TEST

START_TEST(PT_03_what_waits_for_a_port_and_is_cancelled_is_not_out_any_more)
{
	const uint64_t id = nbl_cancel_id(3, 1);

	begin_ports(no_modules);
	ended.frees = true;
	for (uint32_t i = 0; i < 7; i++) {
		struct nbl *n = for_port(2, i);

		nbl_info_set(n, NBL_INFO_CANCEL_ID, id);
		transmit_one(n, NBL_LOWER);
	}
	nbl_lane_cancel(&rig.lane, id);
	ck_assert_uint_eq(ports.uses[2].n_out, 4);
	end_ports();
}
END_TEST

/* ---- one frame on several rings (TX-18) ---- */

START_TEST(TX_18_one_frame_is_on_several_rings_at_once_and_nothing_is_written_in_front_of_it)
{
	uint8_t before[RIG_HEADROOM];
	uint64_t address[N_LOWER];
	struct nbl *n;

	begin_ports(only_probe);
	ck_assert_int_eq(nbl_ports_activate(&ports, (const uint32_t[]){ 3 }, 1), 0);
	receive_and_keep(1);
	n = nbl_chain_pop(&probe.kept);
	fill_bytes(nbl_nb_data(&n->nb), RIG_LENGTH, 5);
	memset(n->segment.base, 0x5a, RIG_HEADROOM);
	memcpy(before, n->segment.base, sizeof(before));
	for (uint16_t port = 1; port <= N_LOWER; port++) {
		struct nbl *clone = clone_of(n);

		clone->port = port;
		/* what is asked of the device must not be written where the others' bytes are */
		ck_assert_int_eq(nbl_info_set(clone, NBL_INFO_TX_REQUEST, NBL_TX_TIMESTAMP), 0);
		transmit_one(clone, NBL_LOWER);
	}
	ck_assert_mem_eq(n->segment.base, before, sizeof(before));
	for (uint32_t q = 0; q < N_LOWER; q++) {
		ck_assert_uint_eq(taken(q, RIG_LENGTH, &address[q]), 5);
		ck_assert_uint_eq(address[q], address[0]);
	}
	ck_assert_uint_eq(rig.lane.figures.originated.copied, 0);
	ended.frees = true;
	return_one(n);
	/* it is home after the last of them */
	for (uint32_t q = 0; q < N_LOWER; q++) {
		ck_assert_uint_eq(lane_queue(0)->n_free + lane_queue(0)->n_posted, 255);
		rig_complete(&rig, q, 1);
		rig_turn(&rig);
		nbl_lane_enter(&rig.lane);
	}
	ck_assert_uint_eq(lane_queue(0)->n_free + lane_queue(0)->n_posted, 256);
	end_ports();
}
END_TEST

/* ---- the MAC header (AR-08) ---- */

/* A packet with 'n_tags' VLAN tags in two segments, the first of 'at' bytes; _i chooses both. */
START_TEST(AR_08_a_tagged_mac_header_leaves_in_one_piece)
{
	uint32_t n_tags = (uint32_t)_i % 3, at = 12 + (uint32_t)_i / 3, header = 14 + 4 * n_tags;
	struct nbl_segment rest;
	struct nbl_mem_packet p;
	uint8_t bytes[100];
	struct nbl *n;

	begin_sends(RIG_SHAPE(0), no_modules);
	lane_queue(0)->q.sg = true;
	lane_queue(0)->q.max_segments = 4;
	n = fresh(100, 1);
	for (uint32_t i = 0; i < n_tags; i++)
		memcpy(nbl_nb_data(n->first_nb) + 12 + 4 * i, "\x81\x00\x00\x01", 4);
	memcpy(nbl_nb_data(n->first_nb) + header - 2, "\x08\x00", 2);
	memcpy(bytes, nbl_nb_data(n->first_nb), sizeof(bytes));
	rest = *n->first_nb->first_segment;
	n->first_nb->first_segment->length = n->first_nb->current_offset + at;
	rest.base += n->first_nb->current_offset + at;
	rest.length = 100 - at;
	n->first_nb->first_segment->next = &rest;
	ck_assert(nbl_nb_is_sound(n->first_nb));
	transmit_one(n, NBL_LOWER);
	ck_assert(nbl_mem_port_take(rig.ports[0], &p));
	/* whole in the first entry, or copied into one */
	ck_assert_uint_eq(p.length, at < header ? 100 : at);
	ck_assert_mem_eq(p.bytes, bytes, p.length);
	ck_assert_uint_eq(rig.lane.figures.originated.copied, at < header);
	if (at >= header) {
		ck_assert(nbl_mem_port_take(rig.ports[0], &p));
		ck_assert_mem_eq(p.bytes, bytes + at, 100 - at);
	}
	run_out();
	ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), n);
	n->first_nb->first_segment->next = NULL;
	n->first_nb->first_segment->length += rest.length;
	free_any(n);
	end_whole(0);
}
END_TEST

/* ---- completions (TX-03, TX-06, NX-03) ---- */

START_TEST(TX_06_success_is_the_completion_entry_and_nothing_before_it)
{
	struct nbl *n;

	begin_sends(RIG_SHAPE(0), no_modules);
	n = fresh(60, 1);
	n->status = -1;
	transmit_one(n, NBL_LOWER);
	run_out();
	ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), n);
	n->status = -1;
	transmit_one(n, NBL_LOWER);
	/* taken off the ring, perhaps on the wire: the sender does not know */
	ck_assert_uint_eq(taken(0, 60, NULL), 1);
	for (int i = 0; i < 10; i++)
		rig_turn(&rig);
	nbl_lane_enter(&rig.lane);
	ck_assert(nbl_chain_is_empty(&ended.chains[NBL_ORIGIN_MODULE]));
	ck_assert_int_eq(n->status, -1);
	rig_complete(&rig, 0, 1);
	run_out();
	ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), n);
	ck_assert_int_eq(n->status, NBL_STATUS_SUCCESS);
	/* and it is all there is to it: a kernel that dropped the packet says the same */
	n->status = -1;
	transmit_one(n, NBL_LOWER);
	lane_queue(0)->q.tx.ring.consumer[0]++;
	ck_assert(nbl_mem_port_complete_raw(rig.ports[0],
					    (uint64_t)n->first_nb->first_segment->frame *
					    rig.memory.shape.frame_size));
	run_out();
	ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), n);
	ck_assert_int_eq(n->status, NBL_STATUS_SUCCESS);
	ck_assert_uint_eq(n->outcome, NBL_OUTCOME_TO_WIRE);
	free_any(n);
	end_whole(0);
}
END_TEST

#define N_SENDS 24u

/* Completions in any order and in batches of any size. */
START_TEST(TX_03_sends_of_several_calls_complete_in_any_batches_each_once)
{
	struct rig_random random = rig_random(0x5eed0300u + (uint64_t)_i);
	uint64_t addresses[N_SENDS];
	bool completed[N_SENDS] = { false };
	struct nbl *sent[N_SENDS], *out[N_SENDS];
	uint32_t n_left = N_SENDS, n_calls = 0, n_back = 0;

	begin_sends(RIG_SHAPE(0), no_modules);
	for (uint32_t i = 0; i < N_SENDS; i++)
		transmit_one(sent[i] = fresh(60, i), NBL_LOWER);
	for (uint32_t i = 0; i < N_SENDS; i++)
		addresses[i] = ((struct xdp_desc *)lane_queue(0)->q.tx.ring.entries)[i].addr;
	memcpy(out, sent, sizeof(out));
	*lane_queue(0)->q.tx.ring.consumer += N_SENDS;
	while (n_left) {
		uint32_t batch = 1 + rig_random_below(&random, n_left);
		struct nbl *n;

		for (uint32_t i = 0; i < batch; i++) {
			uint32_t k = rig_random_below(&random, n_left);

			ck_assert(nbl_mem_port_complete_raw(rig.ports[0], addresses[k]));
			for (uint32_t s = 0; s < N_SENDS; s++)
				completed[s] |= sent[s] == out[k];
			addresses[k] = addresses[--n_left];
			out[k] = out[n_left];
		}
		rig_turn(&rig);
		nbl_lane_enter(&rig.lane);
		/* one completion list of what came, whoever's calls it is of */
		ck_assert_uint_eq(ended.n_calls, ++n_calls);
		ck_assert_uint_eq(ended.chains[NBL_ORIGIN_MODULE].n_nbls, batch);
		while ((n = nbl_chain_pop(&ended.chains[NBL_ORIGIN_MODULE]))) {
			uint32_t k = 0;

			while (sent[k] != n)
				ck_assert_uint_lt(++k, N_SENDS);
			/* those that completed, and each once */
			ck_assert(completed[k]);
			completed[k] = false;
			ck_assert_int_eq(n->status, NBL_STATUS_SUCCESS);
			n_back++;
		}
	}
	ck_assert_uint_eq(n_back, N_SENDS);
	for (uint32_t i = 0; i < N_SENDS; i++)
		free_any(sent[i]);
	end_whole(0);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ PT_04_what_is_sent_on_a_port_leaves_by_the_queue_of_its_number_and_no_other, 3 },
		{ PT_04_a_received_packet_leaves_by_the_port_it_is_sent_on, 1 },
		{ PT_01_the_next_packet_of_a_frame_is_for_no_port, 2 },
		{ PT_03_a_send_on_a_port_that_is_not_active_fails_and_nothing_moves, 5 },
		{ PT_03_deactivation_waits_for_what_is_sent_or_waits_and_takes_no_more, 1 },
		{ PT_03_what_waits_for_a_port_and_is_cancelled_is_not_out_any_more, 1 },
		{ TX_18_one_frame_is_on_several_rings_at_once_and_nothing_is_written_in_front_of_it,
		  1 },
		{ AR_08_a_tagged_mac_header_leaves_in_one_piece, 3 * 12 },
		{ TX_06_success_is_the_completion_entry_and_nothing_before_it, 1 },
		{ TX_03_sends_of_several_calls_complete_in_any_batches_each_once, 10 },
	};

	return rig_run("rules_send", tests, N_ELEMENTS(tests));
}
