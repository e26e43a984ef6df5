/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * originated.c - sending NBLs that are more, or other, than one received frame: clones,
 * copies, fragments, several packets.
 *
 * A ring entry tells the kernel a frame, and a completion tells it back. For a received
 * frame sent by itself that is enough (transmit.c): its NBL is known. Here one frame may be
 * sent for several NBLs at once, and one NBL in several frames, so each entry is noted by
 * its frame, and leads to what is being sent.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <nbl/cancel.h>
#include <nbl/window.h>

#include "core/nbl_internal.h"
#include "core/pool_internal.h"
#include "stack/lane.h"

#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1u << 0)
#endif

#define HEADER_LENGTH	14u		/* of Ethernet: the shortest packet, and what lies in one segment (AR-08) */
#define MOST_WAITING	1024u		/* NBLs per side that wait for room */
#define MOST_ENTRIES	256u		/* ring entries of one NBL */
#define NONE		UINT32_MAX

/* One NBL with the kernel. */
struct send {
	struct nbl *nbl;
	uint32_t n_open;		/* entries not yet completed */
	uint32_t next_free;
	uint8_t side;
	bool failed;
};

/* One ring entry of it. */
struct entry {
	uint32_t send;
	uint32_t frame;
	uint32_t next;			/* of the same frame, or free */
	uint32_t length;
	uint16_t queue;			/* its number */
	bool is_copy;			/* the frame is ours: it goes back to the pool */
	bool ends_packet;
};

struct nbl_lane_sends {
	struct send *sends;
	struct entry *entries;
	uint32_t *first;		/* by frame: its entry, plus one; 0 = none */
	uint32_t free_send, free_entry;
	uint32_t n_free;		/* entries */
	uint32_t n_open;		/* sends */
	struct nbl_chain waiting[NBL_N_SIDES];
};

/* ---- notes ---- */

int nbl_lane_sends_new(struct nbl_lane *lane)
{
	struct nbl_lane_sends *s = calloc(1, sizeof(*s));
	uint32_t n = 0;

	lane->sends = s;
	if (!s)
		return -ENOMEM;
	for (uint32_t i = 0; i < lane->n_queues; i++)
		n += lane->queues[i].q.tx.ring.size + lane->queues[i].q.completion.ring.size;
	s->sends = calloc(n, sizeof(*s->sends));
	s->entries = calloc(n, sizeof(*s->entries));
	s->first = calloc(lane->memory->ledger.n_frames, sizeof(*s->first));
	if (!s->sends || !s->entries || !s->first)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		s->sends[i].next_free = s->entries[i].next = i + 1 < n ? i + 1 : NONE;
	s->free_send = s->free_entry = n ? 0 : NONE;
	s->n_free = n;
	return 0;
}

void nbl_lane_sends_free(struct nbl_lane_sends *s)
{
	if (!s)
		return;
	free(s->sends);
	free(s->entries);
	free(s->first);
	free(s);
}

uint32_t nbl_lane_n_originated(const struct nbl_lane *lane)
{
	const struct nbl_lane_sends *s = lane->sends;

	return s->n_open + s->waiting[NBL_LOWER].n_nbls + s->waiting[NBL_UPPER].n_nbls;
}

static uint32_t new_send(struct nbl_lane_sends *s, struct nbl *n, enum nbl_side side)
{
	uint32_t i = s->free_send;

	s->free_send = s->sends[i].next_free;
	s->sends[i] = (struct send){ .nbl = n, .side = (uint8_t)side, .next_free = NONE };
	s->n_open++;
	return i;
}

static struct entry *new_entry(struct nbl_lane_sends *s, uint32_t send, uint32_t frame)
{
	uint32_t i = s->free_entry;
	struct entry *e = &s->entries[i];

	s->free_entry = e->next;
	s->n_free--;
	*e = (struct entry){ .send = send, .frame = frame, .next = s->first[frame] };
	s->first[frame] = i + 1;
	s->sends[send].n_open++;
	return e;
}

/* The link to the oldest entry of 'frame' on queue number 'queue', or NULL: completions keep that order. */
static uint32_t *find_entry(struct nbl_lane_sends *s, uint32_t frame, uint16_t queue)
{
	uint32_t *link = &s->first[frame], *found = NULL;

	for (; *link; link = &s->entries[*link - 1].next)
		if (s->entries[*link - 1].queue == queue)
			found = link;
	return found;
}

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

static bool may_send(const struct nbl_lane *lane, const struct nbl_segment *seg)
{
	struct nbl_ledger_entry e;

	if (!is_ours(lane, seg))
		return false;
	e = nbl_ledger_get(&lane->memory->ledger, seg->frame);
	return e.state == NBL_FRAME_HAND || e.state == NBL_FRAME_HELD ||
	       (e.state == NBL_FRAME_TX && e.reason < NBL_MOST_SENDS);
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

/* How many ring entries 'nb' takes as it is; 0 = it has to be copied. */
static uint32_t entries_as_is(const struct nbl_lane *lane, const struct nbl_lane_queue *lq,
			      const struct nbl_nb *nb)
{
	uint32_t most = lq->q.sg && lq->q.max_segments ? lq->q.max_segments : 1, n = 0;
	struct piece p = first_piece(nb);

	if (p.length < HEADER_LENGTH)
		return 0;
	do {
		if (++n > most || !may_send(lane, p.segment))
			return 0;
	} while (next_piece(&p));
	return n;
}

/* What sending an NBL takes. */
struct needs {
	uint32_t n_entries, n_copies;
};

/* Returns NBL_OUTCOME_RETURNED if each packet of 'n' can be sent on 'lq'. Rule: TX-12. */
static enum nbl_outcome measure(const struct nbl_lane *lane, const struct nbl_lane_queue *lq,
				const struct nbl *n, struct needs *ret)
{
	*ret = (struct needs){ 0, 0 };
	if (!n->first_nb)
		return NBL_OUTCOME_TX_INVALID;
	for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next) {
		uint32_t entries;

		if (nb->data_length < HEADER_LENGTH || nb->data_length > lq->q.max_length ||
		    !nbl_nb_is_sound(nb))
			return NBL_OUTCOME_TX_INVALID;
		entries = entries_as_is(lane, lq, nb);
		ret->n_entries += entries ? entries : 1;
		ret->n_copies += !entries;
		if (!entries && (!lane->pool || nb->data_length > lane->pool->frame_size))
			return NBL_OUTCOME_TX_INVALID;
	}
	return ret->n_entries > MOST_ENTRIES ? NBL_OUTCOME_TX_INVALID : NBL_OUTCOME_RETURNED;
}

/* ---- sending ---- */

/* Writes one ring entry and notes it. The caller has seen to it that it may be sent. */
static void put_entry(struct nbl_lane *lane, struct nbl_lane_queue *lq, uint32_t send,
		      uint32_t frame, uint32_t offset, uint32_t length, bool is_copy, bool more)
{
	uint32_t slot = lq->q.tx.next;
	struct xdp_desc *desc = nbl_queue_tx(&lq->q, slot);
	struct entry *e = new_entry(lane->sends, send, frame);
	int was = nbl_ledger_send(&lane->memory->ledger, frame, lq->q.number, slot);

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
	if (lane->sends->n_free < n)
		return false;
	if (nbl_producer_room(&lq->q.tx, n) >= n)
		return true;
	nbl_lane_make_room(lane, lq);
	return lane->sends->n_free >= n && nbl_producer_room(&lq->q.tx, n) >= n;
}

static enum nbl_outcome send_now(struct nbl_lane *lane, struct nbl_lane_queue *lq, struct nbl *n,
				 enum nbl_side side, bool *ret_full)
{
	uint32_t slots[MOST_ENTRIES], send, i = 0;
	struct needs needs;
	enum nbl_outcome wrong = measure(lane, lq, n, &needs);

	*ret_full = false;
	if (wrong != NBL_OUTCOME_RETURNED)
		return wrong;
	if (!has_room(lane, lq, needs.n_entries)) {
		*ret_full = true;
		return NBL_OUTCOME_TX_RING_FULL;
	}
	/* making room may have brought frames home, but nothing of 'n' has changed */
	if (needs.n_copies && !take_frames(lane->pool, needs.n_copies, slots))
		return NBL_OUTCOME_TX_NO_FRAME;
	send = new_send(lane->sends, n, side);
	for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next) {
		if (entries_as_is(lane, lq, nb))
			put_as_is(lane, lq, send, nb);
		else
			put_copy(lane, lq, send, nb, slots[i++]);
	}
	n->outcome = NBL_OUTCOME_RETURNED;
	return NBL_OUTCOME_RETURNED;
}

/* The queue of 'side' that 'n' leaves by: that of the flow it was derived from, else the first. */
static struct nbl_lane_queue *queue_for(struct nbl_lane *lane, const struct nbl *n,
					enum nbl_side side)
{
	struct nbl_lane_queue *lq = NULL;

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
	struct nbl_chain *waiting = &lane->sends->waiting[side];
	enum nbl_outcome outcome = NBL_OUTCOME_TX_RING_FULL;
	bool is_full = true;

	/* in order: not past what waits (TX-04) */
	if (nbl_chain_is_empty(waiting))
		outcome = send_now(lane, queue_for(lane, n, side), n, side, &is_full);
	if (outcome == NBL_OUTCOME_RETURNED || !is_full || waiting->n_nbls >= MOST_WAITING ||
	    n->nbl_flags & NBL_FLAG_BORROWED)
		return outcome;
	nbl_chain_append(waiting, n);
	return NBL_OUTCOME_RETURNED;
}

uint32_t nbl_lane_send_waiting(struct nbl_lane *lane)
{
	uint32_t n_sent = 0;

	for (int side = 0; side < NBL_N_SIDES; side++) {
		struct nbl_chain *waiting = &lane->sends->waiting[side];

		while (waiting->head) {
			struct nbl *n = waiting->head;
			enum nbl_outcome outcome;
			bool is_full;

			outcome = send_now(lane, queue_for(lane, n, (enum nbl_side)side), n,
					   (enum nbl_side)side, &is_full);
			if (is_full)
				break;
			n_sent++;
			nbl_chain_pop(waiting);
			if (outcome == NBL_OUTCOME_RETURNED)
				continue;
			nbl_lane_refuse(n, outcome, (enum nbl_side)side);
			lane->figures.originated.failed++;
			nbl_chain_append(&lane->done[side], n);
		}
	}
	return n_sent;
}

void nbl_lane_cancel(struct nbl_lane *lane, uint64_t cancel_id)
{
	if (!cancel_id)
		return;
	for (int side = 0; side < NBL_N_SIDES; side++) {
		struct nbl_chain *waiting = &lane->sends->waiting[side];
		struct nbl_chain kept = NBL_CHAIN_EMPTY;
		struct nbl *n;

		while ((n = nbl_chain_pop(waiting))) {
			if (nbl_info_get(n, NBL_INFO_CANCEL_ID) != cancel_id) {
				nbl_chain_append(&kept, n);
				continue;
			}
			n->status = NBL_STATUS_SEND_ABORTED;
			lane->figures.originated.failed++;
			nbl_chain_append(&lane->done[side], n);
		}
		*waiting = kept;
	}
}

/* ---- completing ---- */

/* All of it is sent, or was refused by the device. */
static void finish_send(struct nbl_lane *lane, uint32_t i, const struct nbl_lane_queue *lq)
{
	struct nbl_lane_sends *s = lane->sends;
	struct send *send = &s->sends[i];
	struct nbl *n = send->nbl;

	n->status = send->failed ? NBL_STATUS_FAILURE : NBL_STATUS_SUCCESS;
	n->outcome = send->failed ? NBL_OUTCOME_TX_DEVICE :
		     lq->q.to_host ? NBL_OUTCOME_TO_HOST : NBL_OUTCOME_TO_WIRE;
	if (send->failed) {
		n->holder = send->side == NBL_LOWER ? NBL_PLACE_LOWER : NBL_PLACE_UPPER;
		lane->figures.originated.failed++;
	} else {
		lane->figures.originated.sent++;
	}
	nbl_cancel_clear(n);
	/* a borrowed one stays in its chain (RX-05): receive.c finds it done */
	if (!(n->nbl_flags & NBL_FLAG_BORROWED))
		nbl_chain_append(&lane->done[send->side], n);
	send->next_free = s->free_send;
	s->free_send = i;
	s->n_open--;
}

/* The frame of a completed entry, no other send of it going on, is in hands again. */
static void end_frame(struct nbl_lane *lane, const struct entry *e)
{
	bool is_pool = nbl_lane_is_pool_frame(lane, e->frame);
	struct nbl_ledger_entry to = {
		.state = NBL_FRAME_HELD,
		.reason = is_pool ? NBL_HOLD_POOL : NBL_HOLD_CLONE,
		.holder = lane->sends->sends[e->send].nbl->holder,
		.slot = (uint32_t)(lane->now_ns / 1000000),
	};
	int now = nbl_ledger_end_send(&lane->memory->ledger, e->frame, to);

	if (now == NBL_FRAME_HELD && !is_pool)
		nbl_lane_count(lane, NBL_FRAME_TX, NBL_FRAME_HELD, 1);
	if (now < 0)
		nbl_lane_refused(lane, e->frame, -1 - now);
	else if (e->is_copy)
		nbl_pool_give_frame(lane->pool, e->frame - lane->pool->first_frame);
}

bool nbl_lane_end_originated(struct nbl_lane *lane, struct nbl_lane_queue *lq, uint32_t frame)
{
	struct nbl_lane_sends *s = lane->sends;
	uint32_t *link = find_entry(s, frame, lq->q.number), i;
	struct entry *e;

	if (!link)
		return false;
	i = *link - 1;
	e = &s->entries[i];
	*link = e->next;
	end_frame(lane, e);
	if (!s->first[frame] && !nbl_lane_is_pool_frame(lane, frame))
		__atomic_fetch_and(&lane->nbls[frame].nbl_flags, ~(uint32_t)NBL_FLAG_LENT,
				   __ATOMIC_RELAXED);
	lq->figures->tx_packets += e->ends_packet;
	lq->figures->tx_bytes += e->length;
	lane->figures.originated.packets += e->ends_packet;
	lane->figures.originated.bytes += e->length;
	if (!--s->sends[e->send].n_open)
		finish_send(lane, e->send, lq);
	e->next = s->free_entry;
	s->free_entry = i;
	s->n_free++;
	return true;
}

bool nbl_lane_blame_originated(struct nbl_lane *lane, const struct nbl_lane_queue *lq, uint32_t frame)
{
	uint32_t *link = find_entry(lane->sends, frame, lq->q.number);

	if (!link)
		return false;
	lane->sends->sends[lane->sends->entries[*link - 1].send].failed = true;
	return true;
}
