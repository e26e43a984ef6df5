/* SPDX-License-Identifier: BSD-2-Clause */
/* lane_send.h - NBLs that are no received frame alone, sent on the lane of lane_probe.h. */
#ifndef LANE_SEND_H
#define LANE_SEND_H

#include <nbl/cancel.h>
#include <nbl/pool.h>
#include <nbl/window.h>

#include "core/pool_internal.h"
#include "unit/lane_probe.h"

#define OWN_HANDLE	nbl_handle_of_module(3, 1)

/* NBLs that came to the end of their path, by origin. */
static struct {
	struct nbl_chain chains[NBL_N_ORIGINS];
	uint32_t n_calls;
	bool frees;			/* at once, as most originators do */
	bool in_transmit;		/* an end function must never run now */
	uint32_t n_inside;
} ended;

static void free_any(struct nbl *n)
{
	if (n->kind == NBL_KIND_FRESH)
		ck_assert_int_eq(nbl_free(n), 0);
	else
		nbl_release(n);
}

static void note_ended(void *arg, struct nbl_lane *lane, struct nbl_chain chain)
{
	enum nbl_origin origin = (enum nbl_origin)(uintptr_t)arg;
	struct nbl *n;

	ck_assert_ptr_eq(lane, &rig.lane);
	ck_assert(nbl_chain_is_sound(&chain));
	ended.n_calls++;
	ended.n_inside += ended.in_transmit;
	while ((n = nbl_chain_pop(&chain))) {
		if (ended.frees)
			free_any(n);
		else
			nbl_chain_append(&ended.chains[origin], n);
	}
}

RIG_UNUSED static void note_ends(void)
{
	memset(&ended, 0, sizeof(ended));
	for (int i = 0; i < NBL_N_ORIGINS; i++)
		if (i != NBL_ORIGIN_PORT)
			nbl_lane_set_end(&rig.lane, (enum nbl_origin)i, note_ended,
					 (void *)(uintptr_t)i);
	nbl_lane_enter(&rig.lane);
}

RIG_UNUSED static void begin_sends(const struct rig_shape *shape,
				   const struct nbl_module *const *modules)
{
	begin(shape, modules);
	note_ends();
}

/* Number 'sequence' as a packet of 'length' bytes, which are their own number after it. */
static void fill_bytes(uint8_t *bytes, uint32_t length, uint32_t sequence)
{
	for (uint32_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(i * 7 + sequence);
	memcpy(bytes, &sequence, sizeof(sequence));
}

/* A fresh NBL of the pool with such a packet. */
RIG_UNUSED static struct nbl *fresh(uint32_t length, uint32_t sequence)
{
	struct nbl *n;

	ck_assert_int_eq(nbl_pool_alloc_data(rig.pool, rig.pool, length, &n), 0);
	fill_bytes(nbl_nb_data(n->first_nb), length, sequence);
	n->source_handle = OWN_HANDLE;
	return n;
}

RIG_UNUSED static struct nbl_chain one(struct nbl *n)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	nbl_chain_append(&chain, n);
	return chain;
}

RIG_UNUSED static void transmit(struct nbl_chain chain, enum nbl_side side)
{
	ended.in_transmit = true;
	nbl_lane_transmit(&rig.lane, chain, side);
	ended.in_transmit = false;
	nbl_lane_publish_tx(&rig.lane);
}

RIG_UNUSED static void transmit_one(struct nbl *n, enum nbl_side side)
{
	transmit(one(n), side);
}

/* A packet that left port 'number': its sequence, after all of it was found unharmed. */
RIG_UNUSED static uint32_t taken(uint32_t number, uint32_t length, uint64_t *ret_address)
{
	struct nbl_mem_packet p;
	uint8_t expected[2048];
	uint32_t sequence;

	ck_assert(nbl_mem_port_take(rig.ports[number], &p));
	ck_assert_uint_eq(p.length, length);
	memcpy(&sequence, p.bytes, sizeof(sequence));
	fill_bytes(expected, length, sequence);
	ck_assert_mem_eq(p.bytes, expected, length);
	if (ret_address)
		*ret_address = p.address;
	return sequence;
}

RIG_UNUSED static bool nothing_on(uint32_t number)
{
	return !nbl_ring_used(&lane_queue(number)->q.tx.ring) &&
	       nbl_producer_is_published(&lane_queue(number)->q.tx);
}

RIG_UNUSED static struct nbl *popped(enum nbl_origin origin)
{
	struct nbl *n = nbl_chain_pop(&ended.chains[origin]);

	ck_assert_ptr_nonnull(n);
	return n;
}

/* All NBLs and frames of the pool are in it, and the ledger says so. */
RIG_UNUSED static void check_pool_is_whole(void)
{
	uint32_t first = rig.n_queues * rig.shape.n_frames;
	struct nbl_pool_counts c;

	nbl_pool_get_counts(rig.pool, &c);
	ck_assert_uint_eq(c.nbls_free, c.n_nbls);
	ck_assert_uint_eq(c.frames_free, c.n_frames);
	for (uint32_t f = first; f < rig.memory.ledger.n_frames; f++)
		ck_assert_uint_eq(nbl_ledger_get(&rig.memory.ledger, f).state, NBL_FRAME_FREE);
}

/* Turns and kernel until both have nothing to do; the probe may hold what it likes. */
RIG_UNUSED static void run_out(void)
{
	uint32_t tries = 0;

	while (rig_turn(&rig) + rig_run_kernel(&rig))
		ck_assert_uint_lt(++tries, 10000);
	nbl_lane_enter(&rig.lane);
}

/* Everything is home: nothing noted, no frame out. */
RIG_UNUSED static void end_whole(uint64_t violations)
{
	rig_settle(&rig);
	ck_assert_uint_eq(nbl_lane_n_originated(&rig.lane), 0);
	ck_assert_uint_eq(nbl_figures_in_flight(&rig.lane.figures), 0);
	ck_assert_uint_eq(rig_lost_frames(&rig), 0);
	ck_assert_uint_eq(ended.n_inside, 0);
	check_pool_is_whole();
	rig_check_with(&rig, violations);
	nbl_lane_enter(NULL);
	end();
}

/* Receives 'n' packets on queue 0, which the probe keeps. */
RIG_UNUSED static void receive_and_keep(uint32_t n)
{
	probe.receive = keep;
	ck_assert_uint_eq(rig_deliver(&rig, 0, n), n);
	rig_turn(&rig);
	nbl_lane_enter(&rig.lane);
	ck_assert_uint_eq(probe.kept.n_nbls, n);
}

RIG_UNUSED static void return_one(struct nbl *n)
{
	nbl_filter_return(probe.filter, one(n));
}

RIG_UNUSED static struct nbl *clone_of(struct nbl *n)
{
	struct nbl *clone = nbl_alloc_clone(n, rig.pool);

	ck_assert_ptr_nonnull(clone);
	clone->source_handle = OWN_HANDLE;
	return clone;
}

/* A clone of a received packet with 14 bytes of its own in front. */
RIG_UNUSED static struct nbl *with_header(struct nbl *n)
{
	struct nbl *clone = clone_of(n);

	ck_assert_int_eq(nbl_retreat(clone, 14, 0, rig.pool), 0);
	memset(nbl_nb_data(clone->first_nb), 0xa5, 14);
	return clone;
}

/* Links the packets of 'n' NBLs into the first. */
RIG_UNUSED static void join_packets(struct nbl **nbls, uint32_t n)
{
	for (uint32_t i = 0; i + 1 < n; i++)
		nbls[i]->first_nb->next = nbls[i + 1]->first_nb;
}

RIG_UNUSED static void part_packets(struct nbl **nbls, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		nbls[i]->first_nb->next = NULL;
		free_any(nbls[i]);
	}
}

#endif
