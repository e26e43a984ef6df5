/* SPDX-License-Identifier: BSD-2-Clause */
/* transmit.c - from the stack into the TX ring, and back from the completion ring. */
#include <errno.h>

#include <nbl/cancel.h>

#include "core/nbl_internal.h"
#include "core/pool_internal.h"
#include "stack/lane.h"

#define SHORTEST_PACKET	14	/* an Ethernet header */
#define IDLE_KICKS	2	/* kicks without progress before giving up for this turn */

static uint32_t tx_waiting(const struct nbl_lane_queue *lq)
{
	return lq->q.tx.next - nbl_ring_load(lq->q.tx.ring.consumer);
}

/* The entry last taken was refused by the device: its packet was not sent. */
static void blame_last_taken(struct nbl_lane *lane, struct nbl_lane_queue *lq)
{
	uint32_t slot = nbl_ring_load(lq->q.tx.ring.consumer) - 1;
	uint64_t frame = nbl_queue_tx(&lq->q, slot)->addr >> lane->frame_shift;

	if (frame < lane->memory->ledger.n_frames &&
	    !nbl_lane_blame_originated(lane, lq, (uint32_t)frame, slot))
		lane->nbls[frame].outcome = NBL_OUTCOME_TX_DEVICE;
}

uint32_t nbl_lane_kick(struct nbl_lane *lane, struct nbl_lane_queue *lq)
{
	uint32_t waiting = tx_waiting(lq), at_first = waiting;
	int idle = 0;

	/* it took by itself what it would not when called */
	if (NBL_UNLIKELY(lq->down && !waiting))
		__atomic_store_n(&lq->down, false, __ATOMIC_RELAXED);
	while (waiting && idle < IDLE_KICKS && nbl_producer_wants_wakeup(&lq->q.tx)) {
		int r = lq->q.ops->kick(&lq->q);
		uint32_t left = tx_waiting(lq);

		lane->figures.kicks++;
		/* read by the control thread (stack.c) */
		__atomic_store_n(&lq->down, r == -ENETDOWN || r == -ENXIO, __ATOMIC_RELAXED);
		if (r == -EBUSY && left != waiting)
			blame_last_taken(lane, lq);
		idle = lq->down || !r ? IDLE_KICKS : left == waiting ? idle + 1 : 0;
		waiting = left;
	}
	lq->stuck = at_first && waiting == at_first;
	return at_first - waiting;
}

void nbl_lane_publish_tx(struct nbl_lane *lane)
{
	for (uint32_t i = 0; i < lane->n_queues; i++)
		if (!nbl_producer_is_published(&lane->queues[i].q.tx))
			nbl_producer_publish(&lane->queues[i].q.tx);
}

/*
 * Tries to get a free TX slot: the kernel may need calling, or its completions
 * taking (A16). A queue that is stuck is not called for every packet, but once a turn.
 */
bool nbl_lane_make_room(struct nbl_lane *lane, struct nbl_lane_queue *lq)
{
	nbl_producer_publish(&lq->q.tx);
	nbl_lane_reap(lane, lq);
	if (!lq->stuck)
		nbl_lane_kick(lane, lq);
	return nbl_producer_room(&lq->q.tx, 1) > 0;
}

/*
 * True if 'n' is one received frame by itself, for no port in
 * particular: its NBL is found by its frame again.
 */
static inline bool is_plain(const struct nbl *n)
{
	const struct nbl_nb *nb = &n->nb;

	return n->kind == NBL_KIND_RECEIVE && !n->port && n->first_nb == nb && !nb->next &&
	       nb->current_segment == &n->segment &&
	       nb->data_length <= nbl_nb_segment_room(nb) &&
	       !nbl_lane_is_flagged(n, NBL_FLAG_LENT);
}

/*
 * A chain on its way into TX rings: nearly all of it leaves by one queue, which is looked up once.
 */
struct sending {
	struct nbl_lane *lane;
	struct nbl_ledger *ledger;
	enum nbl_side side;
	const struct nbl_home *home;	/* of the packets that leave by 'lq'; NULL: not looked up */
	struct nbl_lane_queue *lq;	/* NULL: those take more than a ring entry */
	uint32_t most_beyond;		/* longest packet it sends, less the shortest */
	uint32_t n_put;			/* frames moved to TX, not yet counted as such */
};

static void look_up(struct sending *s, const struct nbl *n)
{
	struct nbl_lane_queue *lq = nbl_lane_home_queue(n)->across;

	s->home = n->home;
	/* those of other lanes, back where they came from, or behind others that wait: no */
	s->lq = lq->lane == s->lane && nbl_lane_queue_side(lq) == s->side && !lq->waiting.head ?
		lq : NULL;
	s->most_beyond = lq->q.max_length < SHORTEST_PACKET ? 0 :
			 lq->q.max_length - SHORTEST_PACKET;
}

static enum nbl_outcome put_other(struct sending *s, struct nbl *n)
{
	s->home = NULL;		/* it may have to wait: then the rest does, too */
	return nbl_lane_send_originated(s->lane, n, s->side);
}

/* Moves 'frame' to TX for one that was not just received. False, counted, if it may not be sent. */
static bool move_other(struct sending *s, uint32_t frame, struct nbl_ledger_entry to)
{
	return nbl_lane_move_to(s->lane, frame, NBL_FROM(NBL_FRAME_HELD), to);
}

static inline void write_entry(const struct sending *s, struct nbl *n, struct nbl_lane_queue *lq,
			       uint32_t slot)
{
	struct xdp_desc *desc = nbl_queue_tx(&lq->q, slot);

	desc->addr = ((uint64_t)n->segment.frame << s->lane->frame_shift) + n->nb.current_offset;
	desc->len = n->nb.data_length;
	desc->options = 0;
	lq->q.tx.next = slot + 1;
	n->outcome = NBL_OUTCOME_RETURNED;	/* whatever was decided before, it is being sent */
}

static inline enum nbl_outcome put(struct sending *s, struct nbl *n)
{
	struct nbl_ledger_entry to = { .state = NBL_FRAME_TX };
	uint32_t frame = n->segment.frame;
	struct nbl_lane_queue *lq;

	if (NBL_UNLIKELY(!is_plain(n)))
		return put_other(s, n);
	if (NBL_UNLIKELY(n->home != s->home))
		look_up(s, n);
	lq = s->lq;
	if (NBL_UNLIKELY(!lq))
		return put_other(s, n);
	/* too short, or too long (TX-12) */
	if (NBL_UNLIKELY(n->nb.data_length - SHORTEST_PACKET > s->most_beyond))
		return NBL_OUTCOME_TX_INVALID;
	if (!nbl_producer_room(&lq->q.tx, 1) && !nbl_lane_make_room(s->lane, lq))
		return NBL_OUTCOME_TX_RING_FULL;
	to.holder = lq->q.number;
	to.slot = lq->q.tx.next;
	if (NBL_LIKELY(nbl_ledger_get(s->ledger, frame).state == NBL_FRAME_HAND)) {
		nbl_ledger_set(s->ledger, frame, to);
		s->n_put++;
	} else if (!move_other(s, frame, to)) {
		return NBL_OUTCOME_RETURNED;	/* counted; the frame stays in quarantine */
	}
	write_entry(s, n, lq, to.slot);
	return NBL_OUTCOME_RETURNED;
}

static void hand_back(struct nbl_lane *lane, struct nbl_chain chain, enum nbl_side side)
{
	const struct nbl_hop *first = side == NBL_UPPER ? &lane->return_first
							: &lane->complete_first;

	if (!nbl_chain_is_empty(&chain))
		first->handle(first->to, chain, 0, 0);
}

void nbl_lane_refuse(struct nbl *n, enum nbl_outcome why, enum nbl_side side)
{
	n->outcome = (uint8_t)why;
	n->status = why == NBL_OUTCOME_TX_INVALID ? NBL_STATUS_INVALID_LENGTH :
		    why == NBL_OUTCOME_DETACHED ? NBL_STATUS_FAILURE : NBL_STATUS_RESOURCES;
	n->holder = side == NBL_LOWER ? NBL_PLACE_LOWER : NBL_PLACE_UPPER;
}

/*
 * 'n' is not sent. It goes into 'refused', unless borrowed: then it
 * stays where it is in its chain (RX-05).
 */
static void refuse(struct nbl_lane *lane, struct nbl *n, enum nbl_outcome why, enum nbl_side side,
		   struct nbl_chain *refused)
{
	nbl_lane_refuse(n, why, side);
	nbl_cancel_clear(n);
	if (n->kind != NBL_KIND_RECEIVE)
		lane->figures.originated.failed++;
	if (!nbl_lane_is_flagged(n, NBL_FLAG_BORROWED))
		nbl_chain_append(refused, n);
}

void nbl_lane_transmit(struct nbl_lane *lane, struct nbl_chain chain, enum nbl_side side)
{
	struct sending s = { .lane = lane, .ledger = &lane->memory->ledger, .side = side };
	struct nbl_chain refused = NBL_CHAIN_EMPTY;
	struct nbl *next;

	for (struct nbl *n = chain.head; n; n = next) {
		enum nbl_outcome wrong;

		next = n->next;
		wrong = put(&s, n);
		if (NBL_UNLIKELY(wrong != NBL_OUTCOME_RETURNED))
			refuse(lane, n, wrong, side, &refused);
	}
	nbl_lane_count(lane, NBL_FRAME_HAND, NBL_FRAME_TX, s.n_put);
	hand_back(lane, refused, side);
}

/* The kernel has sent 'n': what became of it. */
static void note_sent(struct nbl *n, const struct nbl_lane_queue *lq)
{
	if (NBL_LIKELY(n->outcome == NBL_OUTCOME_RETURNED)) {
		n->outcome = lq->q.to_host ? NBL_OUTCOME_TO_HOST : NBL_OUTCOME_TO_WIRE;
		n->status = NBL_STATUS_SUCCESS;
	} else {
		n->status = NBL_STATUS_FAILURE;
		n->holder = nbl_lane_queue_side(lq) == NBL_LOWER ?
			    NBL_PLACE_LOWER : NBL_PLACE_UPPER;
	}
}

static void count_sent(struct nbl_lane_queue *lq, uint64_t n_packets, uint64_t n_bytes)
{
	lq->figures->tx_packets += n_packets;
	lq->figures->tx_bytes += n_bytes;
}

/* The NBL of a received frame the kernel was given on 'lq', or NULL. */
static struct nbl *sent_on(const struct nbl_lane *lane, const struct nbl_lane_queue *lq,
			   uint64_t frame)
{
	struct nbl *n = frame < lane->memory->ledger.n_frames ? &lane->nbls[frame] : NULL;

	/* frames of pools have no home queue */
	return n && n->home && nbl_lane_home_queue(n)->across == lq ? n : NULL;
}

/*
 * A frame of the pool that a worker before this one sent on 'lq': nothing is known of it but that.
 */
static bool end_inherited(struct nbl_lane *lane, const struct nbl_lane_queue *lq, uint32_t frame)
{
	const struct nbl_ledger_entry to = { .state = NBL_FRAME_HELD, .reason = NBL_HOLD_POOL };
	struct nbl_ledger_entry e = nbl_ledger_get(&lane->memory->ledger, frame);

	if (!lane->pool || !nbl_lane_is_pool_frame(lane, frame) || e.state != NBL_FRAME_TX ||
	    (!e.reason && e.holder != lq->q.number))
		return false;
	if (nbl_ledger_end_send(&lane->memory->ledger, frame, to) == NBL_FRAME_HELD)
		nbl_pool_give_frame(lane->pool, frame - lane->pool->first_frame);
	return true;
}

/*
 * Where 'n' is when it was sent: an injected original may be
 * somebody's still when it has come back.
 */
static struct nbl_ledger_entry sent_state(const struct nbl_lane *lane, const struct nbl *n)
{
	if (nbl_lane_is_flagged(n, NBL_FLAG_INJECTED))
		return (struct nbl_ledger_entry){ .state = NBL_FRAME_HELD, .holder = n->holder,
						  .reason = NBL_HOLD_REFERENCE,
						  .slot = (uint32_t)(lane->now_ns / 1000000) };
	return (struct nbl_ledger_entry){ .state = NBL_FRAME_HAND, .slot = NBL_HAND_SENT };
}

void nbl_lane_end_send(struct nbl_lane *lane, struct nbl *n, enum nbl_side side, bool was_lent)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	/* a borrowed one stays in its chain (RX-05): who lent it finds it done */
	if (nbl_lane_is_flagged(n, NBL_FLAG_BORROWED))
		return;
	nbl_chain_append(&chain, n);
	/* modules were only lent it: it is not theirs to get back (RX-04) */
	if (was_lent && !nbl_lane_is_flagged(n, NBL_FLAG_INJECTED))
		nbl_lane_bring_home(lane, chain, NBL_PLACE_WORKER);
	else
		nbl_chain_join(&lane->done[side], &chain);
}

/*
 * A received frame is back that was sent by itself; is_noted: it is known that its clones were not.
 */
static void complete_received(struct nbl_lane *lane, struct nbl_lane_queue *lq, struct nbl *n,
			      bool is_noted)
{
	uint32_t frame = n->segment.frame;
	bool was_lent = n->status == NBL_STATUS_SENT_WHILE_LENT;
	bool unseen = nbl_lane_queue_side(lq) == NBL_UPPER ? lane->returns_unseen
							   : lane->completes_unseen;
	struct nbl_ledger_entry to = sent_state(lane, n);
	int now = nbl_ledger_end_send(&lane->memory->ledger, frame, to);

	if (now < 0) {
		nbl_lane_refused(lane, frame, -1 - now);
		return;
	}
	/* by a dead worker: it has left, and may yet again */
	if (now != NBL_FRAME_TX || n->outcome == NBL_OUTCOME_RETURNED) {
		note_sent(n, lq);
		count_sent(lq, 1, n->nb.data_length);
	}
	/* the frame may go on being sent for clones: the packet itself is done */
	if (now == NBL_FRAME_TX && !is_noted)
		return;
	nbl_lane_count(lane, NBL_FRAME_TX, (enum nbl_frame_state)now, 1);
	nbl_cancel_clear(n);
	/*
	 * whoever passed it on last does not own it any more, but modules on its way will (RF-06)
	 */
	if (!unseen && !nbl_outcome_is_drop((enum nbl_outcome)n->outcome))
		n->holder = NBL_PLACE_WORKER;
	nbl_lane_end_send(lane, n, nbl_lane_queue_side(lq), was_lent);
}

/*
 * The completion of 'frame' in 'slot' of 'lq', which takes more than listing the frame as
 * free: somebody waits for it, or it lies.
 */
static void complete(struct nbl_lane *lane, struct nbl_lane_queue *lq, uint64_t frame,
		     uint32_t slot)
{
	struct nbl_ledger_entry e;
	struct nbl *n;
	bool is_noted;

	if (frame >= lane->memory->ledger.n_frames) {
		lane->figures.violations++;
		return;
	}
	/*
	 * Given back first where the ledger will not tell that it was dealt with: it may
	 * count too many sends, which adopt.c sees to, but never too few.
	 */
	e = nbl_ledger_get(&lane->memory->ledger, (uint32_t)frame);
	if (e.state == NBL_FRAME_TX && e.reason) {
		lq->q.completion.next = slot + 1;
		nbl_consumer_release(&lq->q.completion);
	}
	is_noted = nbl_lane_end_plain(lane, lq, (uint32_t)frame);
	if (!is_noted && (nbl_lane_end_originated(lane, lq, (uint32_t)frame) ||
			  end_inherited(lane, lq, (uint32_t)frame)))
		return;
	n = &lane->nbls[frame];
	if (n->home && nbl_lane_home_queue(n)->lane == lane &&
	    (nbl_lane_home_queue(n)->across == lq || nbl_lane_is_flagged(n, NBL_FLAG_LENT)))
		complete_received(lane, lq, n, is_noted);
	else
		lane->figures.violations++;
}

/*
 * Takes all completions of 'lq'. Frames go home here if nobody wants to see them
 * back, else they wait in lane->done for nbl_lane_hand_back(): this runs inside
 * handlers too (make_room) and must call none.
 */
uint32_t nbl_lane_reap(struct nbl_lane *lane, struct nbl_lane_queue *lq)
{
	bool unseen = nbl_lane_queue_side(lq) == NBL_UPPER ? lane->returns_unseen
							   : lane->completes_unseen;
	uint32_t n = nbl_consumer_available(&lq->q.completion, UINT32_MAX), n_finished = 0;
	uint32_t first = lq->q.completion.next;
	uint64_t n_bytes = 0;

	for (uint32_t i = 0; i < n; i++)
		nbl_lane_prefetch(lane, nbl_consumer_address(&lq->q.completion, first + i));
	for (uint32_t i = 0; i < n; i++) {
		uint64_t frame = nbl_consumer_address(&lq->q.completion, first + i) >>
				 lane->frame_shift;
		struct nbl *nbl = sent_on(lane, lq, frame);

		/* Unless nobody wants to see it and nobody else has a claim: the short way. */
		if (NBL_UNLIKELY(!nbl || !unseen || !nbl_claim_is_sole(nbl))) {
			complete(lane, lq, frame, first + i);
			continue;
		}
		if (!nbl_lane_shift(lane, (uint32_t)frame, NBL_FROM(NBL_FRAME_TX),
				    NBL_FRAME_FREE, 0))
			continue;
		note_sent(nbl, lq);
		n_bytes += nbl->nb.data_length;
		nbl_lane_finish(lane, nbl);
		n_finished++;
	}
	count_sent(lq, n_finished, n_bytes);
	nbl_lane_count(lane, NBL_FRAME_TX, NBL_FRAME_FREE, n_finished);
	lq->q.completion.next = first + n;
	if (n)
		nbl_consumer_release(&lq->q.completion);
	if (NBL_UNLIKELY(lane->awaits_drain))
		nbl_lane_note_drained(lane, lq);
	return n;
}

/* Hands completed packets back through the stack, in bursts: returns down, completions up. */
void nbl_lane_hand_back(struct nbl_lane *lane)
{
	for (int side = 0; side < NBL_N_SIDES; side++) {
		while (!nbl_chain_is_empty(&lane->done[side])) {
			struct nbl_chain chain = NBL_CHAIN_EMPTY;
			struct nbl *n;

			lane->n_burst = 0;
			while (chain.n_nbls < NBL_BURST && (n = nbl_chain_pop(&lane->done[side]))) {
				if (n->kind == NBL_KIND_RECEIVE)
					lane->burst[lane->n_burst++].frame = n->segment.frame;
				nbl_chain_append(&chain, n);
			}
			hand_back(lane, chain, (enum nbl_side)side);
			nbl_lane_publish_tx(lane);	/* what handlers sent */
			nbl_lane_mark_held(lane);
		}
	}
}
