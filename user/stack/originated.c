/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * originated.c - sending NBLs that are more, or other, than one received frame: clones,
 * copies, fragments, several packets. What can leave as it is does, what cannot is copied;
 * what there is no room for waits, in order. originated_notes.c has what is being sent.
 */
#include <errno.h>
#include <string.h>

#include <nbl/cancel.h>
#include <nbl/parse.h>
#include <nbl/window.h>

#include "core/nbl_internal.h"
#include "core/pool_internal.h"
#include "stack/binding.h"
#include "stack/originated_internal.h"

#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1u << 0)
#endif

#define HEADER_LENGTH	14u		/* of Ethernet without tags: the shortest packet */
#define MOST_WAITING	1024u		/* NBLs per queue that wait for room */
#define MOST_ENTRIES	256u		/* ring entries of one NBL */

/* ---- what can be sent as it is ---- */

static bool is_ours(const struct nbl_lane *lane, const struct nbl_segment *seg)
{
	const struct nbl_memory *m = lane->memory;
	const struct nbl *n;

	if (seg->frame >= m->ledger.n_frames ||
	    seg->base - m->frames < (ptrdiff_t)seg->frame << lane->frame_shift ||
	    seg->base + seg->length > m->frames + (((size_t)seg->frame + 1) << lane->frame_shift))
		return false;
	if (nbl_lane_is_pool_frame(lane, seg->frame))
		return true;
	n = &lane->nbls[seg->frame];
	/* another lane's frames are its own to move */
	return nbl_lane_home_queue(n)->lane == lane;
}

/* True if its frame may be sent, after n_before entries that may be of it, too. */
static bool may_send(const struct nbl_lane *lane, const struct nbl_segment *seg, uint32_t n_before)
{
	struct nbl_ledger_entry e;

	if (!is_ours(lane, seg))
		return false;
	e = nbl_ledger_get(&lane->memory->ledger, seg->frame);
	if (e.state == NBL_FRAME_HAND || e.state == NBL_FRAME_HELD)
		return n_before <= NBL_MOST_SENDS;
	return e.state == NBL_FRAME_TX && e.reason != NBL_SENDS_UNKNOWN &&
	       nbl_ledger_n_sends(e) + n_before <= NBL_MOST_SENDS;
}

/* A run of used bytes in one segment. */
struct piece {
	const struct nbl_segment *segment;
	uint32_t offset, length;
	uint32_t left;			/* used bytes from here on */
};

static struct piece first_piece(const struct nbl_nb *nb)
{
	struct piece p = { nb->current_segment, nb->current_offset, 0, nb->data_length };
	uint32_t room = p.segment ? p.segment->length - p.offset : 0;

	p.length = room < p.left ? room : p.left;
	return p;
}

/* False if there is none. Empty segments are passed over. */
static bool next_piece(struct piece *p)
{
	p->left -= p->length;
	while (p->left && (p->segment = p->segment->next)) {
		p->offset = 0;
		p->length = p->segment->length < p->left ? p->segment->length : p->left;
		if (p->length)
			return true;
	}
	return false;
}

/* How many ring entries 'nb', behind n_before others, takes as it is; 0 = it has to be copied. */
static uint32_t entries_as_is(const struct nbl_lane *lane, const struct nbl_lane_queue *lq,
			      const struct nbl_nb *nb, uint32_t n_before)
{
	uint32_t most = lq->q.sg && lq->q.max_segments ? lq->q.max_segments : 1, n = 0;
	struct piece p = first_piece(nb);

	/* the MAC header, tags and all, lies in the first of several (AR-08) */
	if (p.length < p.left && !nbl_nb_mac_header_is_contiguous(nb))
		return 0;
	do {
		if (++n > most || !may_send(lane, p.segment, n_before + n - 1))
			return 0;
	} while (next_piece(&p));
	return n;
}

/*
 * What sending an NBL takes. Made once, and followed: what can
 * be sent as it is changes as it is sent.
 */
struct plan {
	uint32_t n_entries, n_copies;
	uint64_t copied[MOST_ENTRIES / 64];	/* by number of the NB */
};

static bool is_copied(const struct plan *p, uint32_t i)
{
	return p->copied[i / 64] >> i % 64 & 1;
}

/* A borrowed one is its originator's again before the kernel has read it. */
static bool must_copy(const struct nbl *n)
{
	return n->kind != NBL_KIND_RECEIVE && nbl_lane_is_flagged(n, NBL_FLAG_BORROWED);
}

/* Returns NBL_OUTCOME_RETURNED if each packet of 'n' can be sent on 'lq'. Rule: TX-12. */
static enum nbl_outcome make_plan(const struct nbl_lane *lane, const struct nbl_lane_queue *lq,
				  const struct nbl *n, struct plan *ret)
{
	uint32_t ring = lq->q.tx.ring.size, most = ring < MOST_ENTRIES ? ring : MOST_ENTRIES, i = 0;

	*ret = (struct plan){ 0 };
	for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next, i++) {
		uint32_t entries;

		/* the ring will never hold it all: it may not wait for that */
		if (i == most || nb->data_length < HEADER_LENGTH ||
		    nb->data_length > lq->q.max_length || !nbl_nb_is_sound(nb))
			return NBL_OUTCOME_TX_INVALID;
		entries = must_copy(n) ? 0 : entries_as_is(lane, lq, nb, ret->n_entries);
		ret->n_entries += entries ? entries : 1;
		if (entries)
			continue;
		if (!lane->pool)
			return NBL_OUTCOME_TX_NO_FRAME;
		if (nb->data_length > lane->pool->frame_size)
			return NBL_OUTCOME_TX_INVALID;
		ret->copied[i / 64] |= 1ull << i % 64;
		ret->n_copies++;
	}
	return !i || ret->n_entries > most ? NBL_OUTCOME_TX_INVALID : NBL_OUTCOME_RETURNED;
}

/* ---- ports ---- */

/* The port that 'n' names where it leaves by 'lq'; 0 = none. */
static uint16_t port_of(const struct nbl_lane_queue *lq, const struct nbl *n)
{
	return nbl_lane_queue_side(lq) == NBL_LOWER ? n->port : 0;
}

/*
 * The queue of this lane that 'port' stands for; NULL: it is not active, or no queue of this lane.
 */
static struct nbl_lane_queue *queue_of_port(struct nbl_lane *lane, uint32_t port)
{
	int number = lane->ports ? nbl_ports_queue(lane->ports, port) : -EINVAL;

	for (uint32_t i = 0; number > 0 && i < lane->n_lower; i++)
		if (lane->queues[i].q.number + 1 == number)
			return &lane->queues[i];
	return NULL;
}

/* ---- sending ---- */

/* Writes one ring entry and notes it. The caller has seen to it that it may be sent. */
static void put_entry(struct nbl_lane *lane, struct nbl_lane_queue *lq, uint32_t send,
		      uint32_t frame, uint32_t offset, uint32_t length, bool is_copy, bool more)
{
	uint32_t slot = lq->q.tx.next;
	struct xdp_desc *desc = nbl_queue_tx(&lq->q, slot);
	struct entry *e;
	int was;

	if (!nbl_lane_is_pool_frame(lane, frame))
		nbl_sends_note_plain(lane, frame);
	e = nbl_sends_note(lane->sends, send, frame);
	was = nbl_ledger_send(&lane->memory->ledger, frame, lq->q.number, slot);
	e->slot = slot;
	e->queue = lq->q.number;
	e->length = length;
	e->is_copy = is_copy;
	e->ends_packet = !more;
	if (!nbl_lane_is_pool_frame(lane, frame)) {
		__atomic_fetch_or(&lane->nbls[frame].nbl_flags, (uint32_t)NBL_FLAG_LENT,
				  __ATOMIC_RELAXED);
		if (was >= 0 && was != NBL_FRAME_TX)
			nbl_lane_count(lane, (enum nbl_frame_state)was, NBL_FRAME_TX, 1);
	}
	if (NBL_UNLIKELY(was < 0))
		nbl_lane_refused(lane, frame, -1 - was);
	desc->addr = ((uint64_t)frame << lane->frame_shift) + offset;
	desc->len = length;
	desc->options = more ? XDP_PKT_CONTD : 0;
	lq->q.tx.next = slot + 1;
}

static void put_as_is(struct nbl_lane *lane, struct nbl_lane_queue *lq, uint32_t send,
		      const struct nbl_nb *nb)
{
	struct piece p = first_piece(nb);
	bool more;

	do {
		struct piece this = p;
		uint32_t base = (uint32_t)(this.segment->base - lane->memory->frames -
					   ((ptrdiff_t)this.segment->frame << lane->frame_shift));

		more = next_piece(&p);
		put_entry(lane, lq, send, this.segment->frame, base + this.offset, this.length,
			  false, more);
	} while (more);
}

static void put_copy(struct nbl_lane *lane, struct nbl_lane_queue *lq, uint32_t send,
		     const struct nbl_nb *nb, uint32_t slot)
{
	struct piece p = first_piece(nb);
	struct nbl_segment to;
	uint32_t done = 0;

	nbl_pool_map_frame(lane->pool, slot, &to);
	do {
		memcpy(to.base + done, p.segment->base + p.offset, p.length);
		done += p.length;
	} while (next_piece(&p));
	put_entry(lane, lq, send, to.frame, 0, done, true, false);
	lane->figures.originated.copied++;
}

/* Takes 'n' frames off the pool into 'slots', or none. */
static bool take_frames(struct nbl_pool *pool, uint32_t n, uint32_t *slots)
{
	for (uint32_t i = 0; i < n; i++) {
		slots[i] = nbl_pool_take_frame(pool);
		if (slots[i] != POOL_NONE)
			continue;
		while (i)
			nbl_pool_give_frame(pool, slots[--i]);
		return false;
	}
	return true;
}

static bool has_room(struct nbl_lane *lane, struct nbl_lane_queue *lq, uint32_t n)
{
	/* twice: each may be of a frame that is being sent by itself, which is noted then */
	return lane->sends->n_free >= 2 * n && nbl_producer_room(&lq->q.tx, n) >= n;
}

/* A plan that there is room for. */
static enum nbl_outcome make_plan_and_room(struct nbl_lane *lane, struct nbl_lane_queue *lq,
					   const struct nbl *n, struct plan *ret)
{
	enum nbl_outcome wrong = make_plan(lane, lq, n, ret);

	if (wrong != NBL_OUTCOME_RETURNED || has_room(lane, lq, ret->n_entries))
		return wrong;
	nbl_lane_make_room(lane, lq);
	/* what has completed meanwhile may be sent as it is now */
	wrong = make_plan(lane, lq, n, ret);
	if (wrong != NBL_OUTCOME_RETURNED || has_room(lane, lq, ret->n_entries))
		return wrong;
	return NBL_OUTCOME_TX_RING_FULL;
}

/* Writes all packets of 'n', or none. */
static enum nbl_outcome send_now(struct nbl_lane *lane, struct nbl_lane_queue *lq, struct nbl *n)
{
	uint32_t slots[MOST_ENTRIES], send, i = 0, n_copied = 0;
	bool is_lent = must_copy(n);
	struct plan plan;
	enum nbl_outcome wrong = make_plan_and_room(lane, lq, n, &plan);

	if (wrong != NBL_OUTCOME_RETURNED)
		return wrong;
	if (plan.n_copies && !take_frames(lane->pool, plan.n_copies, slots))
		return NBL_OUTCOME_TX_NO_FRAME;
	send = nbl_sends_open(lane->sends, is_lent ? NULL : n, nbl_lane_queue_side(lq));
	lane->sends->sends[send].port = port_of(lq, n);
	for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next, i++) {
		if (is_copied(&plan, i))
			put_copy(lane, lq, send, nb, slots[n_copied++]);
		else
			put_as_is(lane, lq, send, nb);
	}
	n->outcome = NBL_OUTCOME_RETURNED;
	if (NBL_UNLIKELY(lane->bindings) && nbl_lane_queue_side(lq) == NBL_LOWER)
		nbl_bindings_loop(lane, n);
	if (is_lent) {
		/* a copy leaves: it is its originator's again, and done */
		n->status = NBL_STATUS_SUCCESS;
		n->outcome = lq->q.to_host ? NBL_OUTCOME_TO_HOST : NBL_OUTCOME_TO_WIRE;
	}
	return NBL_OUTCOME_RETURNED;
}

/*
 * The queue of 'side' that 'n' leaves by: that of the port it names, NULL if it may not; else
 * that of the flow it was derived from, else the first. Rules: PT-01, PT-03, PT-04.
 */
static struct nbl_lane_queue *queue_for(struct nbl_lane *lane, const struct nbl *n,
					enum nbl_side side)
{
	struct nbl_lane_queue *lq = NULL;

	if (NBL_UNLIKELY(n->port && side == NBL_LOWER))
		return queue_of_port(lane, n->port);
	while (n->parent)
		n = n->parent;
	if (n->kind == NBL_KIND_RECEIVE)
		lq = nbl_lane_home_queue(n);
	if (!lq || lq->lane != lane)
		return &lane->queues[side == NBL_LOWER ? 0 : lane->n_lower];
	return nbl_lane_queue_side(lq) == side ? lq : lq->across;
}

enum nbl_outcome nbl_lane_send_originated(struct nbl_lane *lane, struct nbl *n, enum nbl_side side)
{
	struct nbl_lane_queue *lq = queue_for(lane, n, side);
	enum nbl_outcome outcome = NBL_OUTCOME_TX_RING_FULL;
	uint32_t port;

	if (!lq)
		return NBL_OUTCOME_DETACHED;
	port = port_of(lq, n);
	/* whoever passed it on last does not own it any more (RF-06) */
	n->holder = NBL_PLACE_WORKER;
	/* in order: not past what waits (TX-04) */
	if (nbl_chain_is_empty(&lq->waiting))
		outcome = send_now(lane, lq, n);
	if (outcome == NBL_OUTCOME_TX_RING_FULL && lq->waiting.n_nbls < MOST_WAITING &&
	    !nbl_lane_is_flagged(n, NBL_FLAG_BORROWED)) {
		nbl_chain_append(&lq->waiting, n);
		lane->sends->n_waiting++;
		outcome = NBL_OUTCOME_RETURNED;
	}
	if (port && outcome == NBL_OUTCOME_RETURNED)
		nbl_ports_note_sent(lane->ports, port);
	return outcome;
}

/* 'n' (takes) is not sent after all: it waits for nbl_lane_hand_back(). */
static void fail(struct nbl_lane *lane, struct nbl_lane_queue *lq, struct nbl *n)
{
	nbl_cancel_clear(n);
	nbl_sends_end_on_port(lane, port_of(lq, n));
	lane->figures.originated.failed++;
	nbl_chain_append(&lane->done[nbl_lane_queue_side(lq)], n);
}

static uint32_t send_waiting_on(struct nbl_lane *lane, struct nbl_lane_queue *lq)
{
	uint32_t n_gone = 0;

	while (lq->waiting.head) {
		struct nbl *n = lq->waiting.head;
		enum nbl_outcome outcome = send_now(lane, lq, n);

		if (outcome == NBL_OUTCOME_TX_RING_FULL)
			break;
		nbl_chain_pop(&lq->waiting);
		lane->sends->n_waiting--;
		n_gone++;
		if (outcome == NBL_OUTCOME_RETURNED)
			continue;
		nbl_lane_refuse(n, outcome, nbl_lane_queue_side(lq));
		fail(lane, lq, n);
	}
	return n_gone;
}

uint32_t nbl_lane_send_waiting(struct nbl_lane *lane)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < lane->n_queues && lane->sends->n_waiting; i++)
		n += send_waiting_on(lane, &lane->queues[i]);
	if (n)
		nbl_lane_publish_tx(lane);
	return n;
}

void nbl_lane_cancel(struct nbl_lane *lane, uint64_t cancel_id)
{
	for (uint32_t i = 0; cancel_id && i < lane->n_queues; i++) {
		struct nbl_lane_queue *lq = &lane->queues[i];
		struct nbl_chain waiting = nbl_chain_take(&lq->waiting);
		struct nbl *n;

		while ((n = nbl_chain_pop(&waiting))) {
			if (nbl_info_get(n, NBL_INFO_CANCEL_ID) != cancel_id) {
				nbl_chain_append(&lq->waiting, n);
				continue;
			}
			lane->sends->n_waiting--;
			n->status = NBL_STATUS_SEND_ABORTED;
			fail(lane, lq, n);
		}
	}
}
