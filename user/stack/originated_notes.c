/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * originated_notes.c - what is noted of NBLs that are being sent, until their completion.
 *
 * A ring entry tells the kernel a frame, and a completion tells it back. For a received
 * frame sent by itself that is enough (transmit.c): its NBL is known. Others (originated.c)
 * may be sent in several frames, and one frame for several of them at once, so each entry
 * is noted by its frame, and leads to what is being sent.
 */
#include <errno.h>
#include <stdlib.h>

#include <nbl/cancel.h>

#include "core/nbl_internal.h"
#include "core/pool_internal.h"
#include "stack/lane.h"
#include "stack/originated_internal.h"

#define NONE		UINT32_MAX

/* ---- notes ---- */

int nbl_lane_sends_new(struct nbl_lane *lane)
{
	struct nbl_lane_sends *s = calloc(1, sizeof(*s));
	uint32_t n = 0;

	lane->sends = s;
	if (!s)
		return -ENOMEM;
	for (uint32_t i = 0; i < lane->n_queues; i++)
		n += 2 * (lane->queues[i].q.tx.ring.size + lane->queues[i].q.completion.ring.size);
	s->sends = calloc(n, sizeof(*s->sends));
	s->entries = calloc(n, sizeof(*s->entries));
	s->first = calloc(lane->memory->ledger.n_frames, sizeof(*s->first));
	if (!s->sends || !s->entries || !s->first)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		s->sends[i].next_free = s->entries[i].next = i + 1 < n ? i + 1 : NONE;
	s->free_send = s->free_entry = n ? 0 : NONE;
	s->n_entries = s->n_free = n;
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

	return s->n_open + s->n_waiting;
}

uint32_t nbl_sends_open(struct nbl_lane_sends *s, struct nbl *n, enum nbl_side side)
{
	uint32_t i = s->free_send;

	s->free_send = s->sends[i].next_free;
	s->sends[i] = (struct send){ .nbl = n, .side = (uint8_t)side, .next_free = NONE };
	s->n_open++;
	return i;
}

struct entry *nbl_sends_note(struct nbl_lane_sends *s, uint32_t send, uint32_t frame)
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

void nbl_sends_note_plain(struct nbl_lane *lane, uint32_t frame)
{
	struct nbl_ledger_entry e = nbl_ledger_get(&lane->memory->ledger, frame);
	struct nbl_lane_sends *s = lane->sends;
	uint32_t i = s->free_entry;

	if (s->first[frame] || e.state != NBL_FRAME_TX || e.reason || i == NONE)
		return;
	s->free_entry = s->entries[i].next;
	s->n_free--;
	s->entries[i] = (struct entry){ .send = NONE, .frame = frame, .queue = e.holder,
					.slot = e.slot };
	s->first[frame] = i + 1;
}

/*
 * The link to the oldest entry of 'frame' on queue number
 * 'queue', or NULL: completions keep that order.
 */
static uint32_t *find_entry(struct nbl_lane_sends *s, uint32_t frame, uint16_t queue)
{
	uint32_t *link = &s->first[frame], *found = NULL;

	for (; *link; link = &s->entries[*link - 1].next)
		if (s->entries[*link - 1].queue == queue)
			found = link;
	return found;
}

/* ---- completing ---- */

/* What became of 'n', all of it sent or refused by the device. */
static void note_end(struct nbl_lane *lane, const struct send *send,
		     const struct nbl_lane_queue *lq)
{
	struct nbl *n = send->nbl;
	bool was_lent = n->status == NBL_STATUS_SENT_WHILE_LENT;

	n->status = send->failed ? NBL_STATUS_FAILURE : NBL_STATUS_SUCCESS;
	n->outcome = send->failed ? NBL_OUTCOME_TX_DEVICE :
		     lq->q.to_host ? NBL_OUTCOME_TO_HOST : NBL_OUTCOME_TO_WIRE;
	if (send->failed)
		n->holder = send->side == NBL_LOWER ? NBL_PLACE_LOWER : NBL_PLACE_UPPER;
	nbl_cancel_clear(n);
	nbl_lane_end_send(lane, n, (enum nbl_side)send->side, was_lent);
}

static void finish_send(struct nbl_lane *lane, uint32_t i, const struct nbl_lane_queue *lq)
{
	struct nbl_lane_sends *s = lane->sends;
	struct send *send = &s->sends[i];

	nbl_sends_end_on_port(lane, send->port);
	if (send->nbl)
		note_end(lane, send, lq);
	if (send->failed)
		lane->figures.originated.failed++;
	else
		lane->figures.originated.sent++;
	send->next_free = s->free_send;
	s->free_send = i;
	s->n_open--;
}

/* Who has 'frame', which is in hands again. */
static uint16_t holder_of(const struct nbl_lane *lane, const struct entry *e, bool is_pool)
{
	const struct nbl *n = is_pool ? lane->sends->sends[e->send].nbl : &lane->nbls[e->frame];

	return n ? n->holder : NBL_PLACE_WORKER;
}

/* The frame of a completed entry, no other send of it going on, is in hands again. */
static void end_frame(struct nbl_lane *lane, const struct entry *e)
{
	bool is_pool = nbl_lane_is_pool_frame(lane, e->frame);
	struct nbl_ledger_entry to = {
		.state = NBL_FRAME_HELD,
		.reason = is_pool ? NBL_HOLD_POOL : NBL_HOLD_CLONE,
		.holder = holder_of(lane, e, is_pool),
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

/* Takes the entry that 'link' leads to off its list. */
static void unlink_entry(struct nbl_lane *lane, uint32_t *link, uint32_t frame)
{
	struct nbl_lane_sends *s = lane->sends;
	uint32_t i = *link - 1;

	*link = s->entries[i].next;
	if (!s->first[frame] && !nbl_lane_is_pool_frame(lane, frame))
		__atomic_fetch_and(&lane->nbls[frame].nbl_flags, ~(uint32_t)NBL_FLAG_LENT,
				   __ATOMIC_RELAXED);
}

static void free_entry(struct nbl_lane_sends *s, uint32_t i)
{
	s->entries[i].next = s->free_entry;
	s->free_entry = i;
	s->n_free++;
}

bool nbl_lane_end_plain(struct nbl_lane *lane, const struct nbl_lane_queue *lq, uint32_t frame)
{
	struct nbl_lane_sends *s = lane->sends;
	uint32_t *link = find_entry(s, frame, lq->q.number), i;

	if (!link || s->entries[*link - 1].send != NONE)
		return false;
	i = *link - 1;
	unlink_entry(lane, link, frame);
	free_entry(s, i);
	return true;
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
	end_frame(lane, e);
	unlink_entry(lane, link, frame);
	lq->figures->tx_packets += e->ends_packet;
	lq->figures->tx_bytes += e->length;
	lane->figures.originated.packets += e->ends_packet;
	lane->figures.originated.bytes += e->length;
	if (!--s->sends[e->send].n_open)
		finish_send(lane, e->send, lq);
	free_entry(s, i);
	return true;
}

bool nbl_lane_blame_originated(struct nbl_lane *lane, const struct nbl_lane_queue *lq,
			       uint32_t frame, uint32_t slot)
{
	struct nbl_lane_sends *s = lane->sends;

	for (uint32_t i = s->first[frame]; i; i = s->entries[i - 1].next) {
		const struct entry *e = &s->entries[i - 1];

		if (e->queue != lq->q.number || e->slot != slot)
			continue;
		if (e->send == NONE)
			return false;
		s->sends[e->send].failed = true;
		return true;
	}
	return false;
}

/* ---- asking ---- */

bool nbl_lane_is_sending(const struct nbl_lane *lane, const struct nbl *n)
{
	const struct nbl_lane_sends *s = lane->sends;
	uint32_t frame = n->segment.frame, n_others = 0;
	struct nbl_ledger_entry e = nbl_ledger_get(&lane->memory->ledger, frame);

	if (e.state != NBL_FRAME_TX)
		return false;
	for (uint32_t i = s->first[frame]; i; i = s->entries[i - 1].next, n_others++) {
		uint32_t send = s->entries[i - 1].send;

		if (send == NONE || s->sends[send].nbl == n)
			return true;
	}
	return nbl_ledger_n_sends(e) > n_others;
}
