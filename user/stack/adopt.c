/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * adopt.c - what a successor does with what a dead lane left.
 *
 * Nothing is asked of the dead. Rings, ledger and the last published figures
 * tell it all:
 *
 *  - a FILL or TX entry whose slot was not published never reached the kernel;
 *  - RX entries not given back are the interrupted burst, in front, then packets
 *    nobody has seen: their frames are still FILL. Of the burst, frames in HAND
 *    that were not sent run again, or are dropped; the others were dealt with;
 *  - completions not given back whose frames are no longer TX there were dealt with;
 *  - frames a dead module held are lost, and free;
 *  - a frame sent several times at once was so at most as often as the ledger says: some
 *    entries may not have been published, one completion may have been given back and not
 *    yet counted. It is free when nothing at all can be with the kernel any more.
 *
 * Ring indices tell how many packets came and were sent since the figures were
 * published; what then has no outcome was dropped with the worker.
 *
 * The successor may die too, at any point of this: what it changes leaves the
 * same story for the next one, and the burst stays on the RX ring until it has
 * run again.
 */
#include <string.h>

#include "core/nbl_internal.h"
#include "core/pool_internal.h"
#include "stack/lane.h"

#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1u << 0)
#endif

/* What the dead lane was in the middle of. It ran bursts one after the other: at most one. */
struct burst {
	struct nbl_lane_queue *from;	/* NULL: none */
	struct xdp_desc again[NBL_BURST];	/* what runs again, in order */
	uint32_t n_again;
};

static void set_state(struct nbl_lane *lane, uint32_t frame, enum nbl_frame_state state)
{
	nbl_ledger_set(&lane->memory->ledger, frame, (struct nbl_ledger_entry){ .state = state });
}

/* Only slots just ahead of the ring's index are not: the kernel may keep a frame for ages. */
static bool is_published(const struct nbl_producer *p, uint32_t slot)
{
	return slot - p->next >= p->ring.size;
}

/* The lane's queue of that number, or NULL. */
static struct nbl_lane_queue *queue_number(struct nbl_lane *lane, uint16_t number)
{
	for (uint32_t i = 0; i < lane->n_queues; i++)
		if (lane->queues[i].q.number == number)
			return &lane->queues[i];
	return NULL;
}

/* What a frame in TX really is. */
static void correct_sent(struct nbl_lane *lane, uint32_t f, struct nbl_ledger_entry e)
{
	const struct nbl_lane_queue *sender = queue_number(lane, e.holder);

	if (e.reason) {
		e.reason = NBL_SENDS_UNKNOWN;
		nbl_ledger_set(&lane->memory->ledger, f, e);
		lane->awaits_drain = true;
	} else if (!sender || !is_published(&sender->q.tx, e.slot)) {
		set_state(lane, f, NBL_FRAME_HAND);
	}
}

/* Where each frame of 'lq' really is; RX and completion rings are looked at afterwards. */
static void correct_states(struct nbl_lane *lane, struct nbl_lane_queue *lq)
{
	for (uint32_t f = lq->first_frame; f < lq->first_frame + lq->n_frames; f++) {
		struct nbl_ledger_entry e = nbl_ledger_get(&lane->memory->ledger, f);

		if (e.state == NBL_FRAME_FILL && !is_published(&lq->q.fill, e.slot))
			set_state(lane, f, NBL_FRAME_FREE);
		else if (e.state == NBL_FRAME_TX)
			correct_sent(lane, f, e);
		else if (e.state == NBL_FRAME_HELD)
			set_state(lane, f, NBL_FRAME_FREE);
		else if (e.state >= NBL_N_FRAME_STATES)
			set_state(lane, f, NBL_FRAME_QUARANTINE);
	}
}

static enum nbl_frame_state state_of(const struct nbl_lane *lane, uint64_t frame)
{
	if (frame >= lane->memory->ledger.n_frames)
		return NBL_FRAME_QUARANTINE;
	return (enum nbl_frame_state)nbl_ledger_get(&lane->memory->ledger, (uint32_t)frame).state;
}

static bool runs_again(const struct nbl_lane *lane, const struct burst *b, uint32_t frame)
{
	for (uint32_t i = 0; i < b->n_again; i++)
		if (b->again[i].addr >> lane->frame_shift == frame)
			return true;
	return false;
}

/* Of one queue, and no frame twice: the ledger may be wrong, and the kernel may lie. */
static bool is_to_run_again(const struct nbl_lane *lane, const struct nbl_lane_queue *lq,
			    const struct burst *b, const struct xdp_desc *desc)
{
	uint32_t frame = (uint32_t)(desc->addr >> lane->frame_shift);
	struct nbl_ledger_entry e = nbl_ledger_get(&lane->memory->ledger, frame);

	return e.state == NBL_FRAME_HAND && e.slot != NBL_HAND_SENT &&
	       (!b->from || b->from == lq) && !runs_again(lane, b, frame);
}

/*
 * Passes over the interrupted burst on the RX ring, and collects in 'b' what runs
 * again. Its entries are given back only if nothing does. A packet of several entries
 * of which it had taken some is part of it, whole.
 */
static void take_interrupted_burst(struct nbl_lane *lane, struct nbl_lane_queue *lq, bool replay,
				   struct burst *b)
{
	uint32_t n = nbl_consumer_available(&lq->q.rx, NBL_BURST);
	bool goes_on = false;

	for (; n; n--, lq->q.rx.next++) {
		const struct xdp_desc *desc = nbl_queue_rx(&lq->q, lq->q.rx.next);
		bool is_torn = goes_on;

		goes_on = desc->options & XDP_PKT_CONTD;
		if (!nbl_lane_believes(lane, lq, desc)) {
			lane->figures.violations++;
			lane->figures.received--;	/* it comes to be counted with the rest */
			continue;
		}
		if (state_of(lane, desc->addr >> lane->frame_shift) == NBL_FRAME_FILL) {
			if (!is_torn)
				break;
			set_state(lane, (uint32_t)(desc->addr >> lane->frame_shift), NBL_FRAME_FREE);
		}
		if (replay && is_to_run_again(lane, lq, b, desc)) {
			b->from = lq;
			b->again[b->n_again++] = *desc;
		}
	}
	if (b->from != lq)
		nbl_consumer_release(&lq->q.rx);
}

/*
 * True if 'frame' is being sent on 'lq'; from another queue it
 * may be sent again since it came back here.
 */
static bool is_sent_on(const struct nbl_lane *lane, const struct nbl_lane_queue *lq, uint64_t frame)
{
	struct nbl_ledger_entry e;

	if (state_of(lane, frame) != NBL_FRAME_TX)
		return false;
	e = nbl_ledger_get(&lane->memory->ledger, (uint32_t)frame);
	return e.reason || e.holder == lq->q.number;
}

/* Takes completions off the ring that the dead lane had dealt with. */
static void take_finished_completions(struct nbl_lane *lane, struct nbl_lane_queue *lq)
{
	uint32_t n = nbl_consumer_available(&lq->q.completion, UINT32_MAX);

	for (; n; n--, lq->q.completion.next++) {
		uint64_t address = nbl_consumer_address(&lq->q.completion, lq->q.completion.next);

		if (is_sent_on(lane, lq, address >> lane->frame_shift))
			break;
	}
	nbl_consumer_release(&lq->q.completion);
}

/* A frame on its way out: gives it the descriptor that its completion will look for. */
static void arm_sent(struct nbl_lane *lane, uint32_t frame)
{
	struct nbl_ledger_entry e = nbl_ledger_get(&lane->memory->ledger, frame);
	struct nbl_lane_queue *sender = queue_number(lane, e.holder);
	const struct xdp_desc *desc = sender ? nbl_queue_tx(&sender->q, e.slot) : NULL;
	uint32_t offset = 0, length = 0;

	/* The entry tells offset and length, unless another has overwritten it since. */
	if (desc && desc->addr >> lane->frame_shift == frame) {
		offset = (uint32_t)desc->addr & ((1u << lane->frame_shift) - 1);
		length = desc->len;
	}
	nbl_arm_receive(&lane->nbls[frame], offset, length);
	/* modules that live now never saw it: it goes straight home (INV-5) */
	lane->nbls[frame].status = NBL_STATUS_SENT_WHILE_LENT;
	/*
	 * sent for clones nobody knows any more: it comes back on other queues, or more than once
	 */
	if (e.reason || !sender || sender != nbl_lane_home_queue(&lane->nbls[frame])->across)
		lane->nbls[frame].nbl_flags |= NBL_FLAG_LENT;
}

/* Frees what is left in HAND and does not run again, and lists what is free. */
static void list_frames(struct nbl_lane *lane, struct nbl_lane_queue *lq, const struct burst *b)
{
	lq->n_free = 0;
	lq->n_posted = 0;
	for (uint32_t f = lq->first_frame + lq->n_frames; f-- > lq->first_frame;) {
		if (state_of(lane, f) == NBL_FRAME_HAND && !runs_again(lane, b, f))
			set_state(lane, f, NBL_FRAME_FREE);
		if (state_of(lane, f) == NBL_FRAME_FREE)
			lq->free[lq->n_free++] = f;
		else if (state_of(lane, f) == NBL_FRAME_FILL)
			lq->n_posted++;
		else if (state_of(lane, f) == NBL_FRAME_TX)
			arm_sent(lane, f);
	}
}

static void count_frames(struct nbl_lane *lane)
{
	memset(lane->figures.frames, 0, sizeof(lane->figures.frames));
	for (uint32_t i = 0; i < lane->n_queues; i++) {
		uint32_t counts[NBL_N_FRAME_STATES];

		nbl_ledger_count(&lane->memory->ledger, lane->queues[i].first_frame,
				 lane->queues[i].n_frames, counts);
		for (int s = 0; s < NBL_N_FRAME_STATES; s++)
			lane->figures.frames[s] += counts[s];
	}
}

/*
 * Counts what was sent since the figures were published. Completions beyond 'most' were of
 * originated NBLs, which are counted apart.
 */
static void note_sent_since(struct nbl_lane *lane, const struct nbl_lane_figures *last,
			    uint64_t most)
{
	for (uint32_t i = 0; i < lane->n_queues; i++) {
		const struct nbl_lane_queue *lq = &lane->queues[i];
		uint64_t sent = lq->q.completion.next - last->queues[i].completion_consumer;

		lane->figures.queues[i].tx_packets += sent;
		if (sent > most)
			sent = most;
		most -= sent;
		lane->figures.outcomes[lq->q.to_host ? NBL_OUTCOME_TO_HOST : NBL_OUTCOME_TO_WIRE] +=
			sent;
	}
}

/* Brings the figures from when they were last published to now. */
static void settle_figures(struct nbl_lane *lane, const struct nbl_lane_figures *last)
{
	struct nbl_lane_figures *f = &lane->figures;
	uint64_t explained;

	for (uint32_t i = 0; i < lane->n_queues; i++) {
		const struct nbl_lane_queue *lq = &lane->queues[i];
		uint32_t came = lq->q.rx.next - last->queues[i].rx_consumer;

		f->received += came;
		f->queues[i].rx_packets += came;
	}
	explained = nbl_figures_in_flight(f);
	for (int i = 0; i < NBL_N_OUTCOMES; i++)
		explained += f->outcomes[i];
	if (f->received < explained) {
		f->violations++;
		f->received = explained;
	}
	note_sent_since(lane, last, f->received - explained);
	explained = nbl_figures_in_flight(f);
	for (int i = 0; i < NBL_N_OUTCOMES; i++)
		explained += f->outcomes[i];
	f->outcomes[NBL_OUTCOME_WORKER_DIED] += f->received - explained;
	f->drops[NBL_PLACE_WORKER][NBL_OUTCOME_WORKER_DIED] += f->received - explained;
	/* whether the kernel sent some of these after that is not known */
	f->originated.outcomes[NBL_OUTCOME_WORKER_DIED] += (uint64_t)f->originated.in_flight;
	f->originated.in_flight = 0;
}

static void start_fresh(struct nbl_lane *lane)
{
	const struct burst none = { .from = NULL };

	for (uint32_t i = 0; i < lane->n_queues; i++) {
		struct nbl_lane_queue *lq = &lane->queues[i];

		for (uint32_t f = lq->first_frame; f < lq->first_frame + lq->n_frames; f++)
			set_state(lane, f, NBL_FRAME_FREE);
		list_frames(lane, lq, &none);
	}
	count_frames(lane);
}

/* Runs what the dead lane had in hand, as if it had just come. */
static void run_again(struct nbl_lane *lane, const struct burst *b)
{
	struct nbl_lane *before = nbl_lane_enter(lane);

	lane->figures.received -= b->n_again;
	b->from->figures->rx_packets -= b->n_again;
	b->from->n_posted += b->n_again;
	nbl_lane_set_time(lane);
	nbl_lane_run_burst(lane, b->from, b->again, b->n_again, NBL_FRAME_HAND);
	nbl_consumer_release(&b->from->q.rx);
	lane->n_burst = 0;
	nbl_lane_hand_back(lane);	/* what was sent must be in the figures published next */
	nbl_lane_enter(before);
}

static void take_over(struct nbl_lane *lane, bool replay)
{
	struct nbl_lane_figures last;
	struct burst interrupted = { .from = NULL };

	nbl_figures_read(lane->block, &last);
	lane->figures = last;
	for (uint32_t i = 0; i < lane->n_queues; i++)
		correct_states(lane, &lane->queues[i]);
	for (uint32_t i = 0; i < lane->n_queues; i++) {
		take_interrupted_burst(lane, &lane->queues[i], replay, &interrupted);
		take_finished_completions(lane, &lane->queues[i]);
	}
	for (uint32_t i = 0; i < lane->n_queues; i++)
		list_frames(lane, &lane->queues[i], &interrupted);
	count_frames(lane);
	settle_figures(lane, &last);
	memset(lane->figures.modules, 0, sizeof(lane->figures.modules));
	if (interrupted.from)
		run_again(lane, &interrupted);
}

/* ---- what was sent nobody knows how often ---- */

static bool is_unknown(const struct nbl_lane *lane, uint32_t frame)
{
	struct nbl_ledger_entry e = nbl_ledger_get(&lane->memory->ledger, frame);

	return e.state == NBL_FRAME_TX && e.reason == NBL_SENDS_UNKNOWN;
}

static void free_unknown(struct nbl_lane *lane, const struct nbl_lane_queue *lq)
{
	for (uint32_t f = lq->first_frame; f < lq->first_frame + lq->n_frames; f++) {
		struct nbl *n = &lane->nbls[f];

		if (!is_unknown(lane, f) ||
		    !nbl_lane_move(lane, f, NBL_FROM(NBL_FRAME_TX), NBL_FRAME_FREE, 0))
			continue;
		if (n->outcome == NBL_OUTCOME_RETURNED) {
			n->outcome = NBL_OUTCOME_WORKER_DIED;
			n->holder = NBL_PLACE_WORKER;
		}
		nbl_lane_finish(lane, n);
	}
}

/* The pool's may be on the queues of any lane: the last to be drained frees them. */
static void free_unknown_of_pool(struct nbl_lane *lane)
{
	uint32_t first = lane->memory->shape.n_queues * lane->memory->shape.frames_per_queue;

	atomic_store(&lane->drained, true);
	for (uint32_t l = 0; l < lane->n_peers; l++)
		if (!atomic_load(&lane->peers[l].drained))
			return;
	if (!lane->n_peers || atomic_exchange(&lane->peers[0].pool_swept, true))
		return;
	for (uint32_t f = first; f < lane->memory->ledger.n_frames; f++)
		if (is_unknown(lane, f))
			nbl_pool_give_frame(lane->pool, f - first);
}

/* Each entry the kernel takes it completes, so the indices of both rings differ by what it has. */
void nbl_lane_note_drained(struct nbl_lane *lane, struct nbl_lane_queue *lq)
{
	uint32_t completed = nbl_ring_load(lq->q.completion.ring.producer);

	if (nbl_ring_load(lq->q.tx.ring.producer) != completed ||
	    lq->q.completion.next != completed)
		return;
	lq->drained = true;
	for (uint32_t i = 0; i < lane->n_queues; i++)
		if (!lane->queues[i].drained)
			return;
	lane->awaits_drain = false;
	for (uint32_t i = 0; i < lane->n_queues; i++)
		free_unknown(lane, &lane->queues[i]);
	free_unknown_of_pool(lane);
}

void nbl_lane_adopt(struct nbl_lane *lane, enum nbl_takeover takeover)
{
	if (takeover == NBL_TAKEOVER_FRESH)
		start_fresh(lane);
	else
		take_over(lane, takeover == NBL_TAKEOVER_REPLAY);
	lane->drops_changed = 2;
	nbl_lane_publish(lane);
}
