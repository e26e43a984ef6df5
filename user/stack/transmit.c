/* SPDX-License-Identifier: BSD-2-Clause */
/* transmit.c - from the stack into the TX ring, and back from the completion ring. */
#include <errno.h>

#include "core/nbl_internal.h"
#include "core/pool_internal.h"
#include "stack/lane.h"

#define SHORTEST_PACKET	14	/* an Ethernet header */
#define IDLE_KICKS	2	/* kicks without progress before giving up for this turn */

static uint32_t tx_waiting(const struct nbl_lane_queue *lq)
{
	return lq->q.tx.next - nbl_ring_load(lq->q.tx.ring.consumer);
}

/* The entry last taken was refused by the device: its packet was not sent (M7). */
static void blame_last_taken(struct nbl_lane *lane, struct nbl_lane_queue *lq)
{
	uint32_t slot = nbl_ring_load(lq->q.tx.ring.consumer) - 1;
	uint64_t frame = nbl_queue_tx(&lq->q, slot)->addr >> lane->frame_shift;

	if (frame < lane->memory->ledger.n_frames &&
	    !nbl_lane_blame_originated(lane, lq, (uint32_t)frame))
		lane->nbls[frame].outcome = NBL_OUTCOME_TX_DEVICE;
}

uint32_t nbl_lane_kick(struct nbl_lane *lane, struct nbl_lane_queue *lq)
{
	uint32_t waiting = tx_waiting(lq), at_first = waiting;
	int idle = 0;

	while (waiting && idle < IDLE_KICKS && nbl_producer_wants_wakeup(&lq->q.tx)) {
		int r = lq->q.ops->kick(&lq->q);
		uint32_t left = tx_waiting(lq);

		lane->figures.kicks++;
		lq->down = r == -ENETDOWN || r == -ENXIO;
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

/* True if 'n' is one received frame of this lane, by itself: its NBL is found by its frame again. */
static bool is_plain(const struct nbl_lane *lane, const struct nbl *n)
{
	const struct nbl_nb *nb = &n->nb;

	return n->kind == NBL_KIND_RECEIVE && n->first_nb == nb && !nb->next &&
	       nb->current_segment == &n->segment &&
	       nb->data_length <= nbl_nb_segment_room(nb) && !(n->nbl_flags & NBL_FLAG_LENT) &&
	       nbl_lane_home_queue(n)->lane == lane;
}

/* What is wrong with its length, or NBL_OUTCOME_RETURNED for nothing. Rule: TX-12. */
static enum nbl_outcome check_length(const struct nbl *n, const struct nbl_lane_queue *lq)
{
	if (n->nb.data_length < SHORTEST_PACKET || n->nb.data_length > lq->q.max_length)
		return NBL_OUTCOME_TX_INVALID;
	return NBL_OUTCOME_RETURNED;
}

static enum nbl_outcome put(struct nbl_lane *lane, struct nbl *n, enum nbl_side side)
{
	struct nbl_lane_queue *lq;
	enum nbl_outcome wrong;
	uint32_t frame = n->segment.frame;
	struct nbl_ledger_entry to = { .state = NBL_FRAME_TX };
	struct xdp_desc *desc;

	if (NBL_UNLIKELY(!is_plain(lane, n)))
		return nbl_lane_send_originated(lane, n, side);
	lq = nbl_lane_home_queue(n)->across;
	wrong = check_length(n, lq);
	if (NBL_UNLIKELY(wrong != NBL_OUTCOME_RETURNED))
		return wrong;
	if (!nbl_producer_room(&lq->q.tx, 1) && !nbl_lane_make_room(lane, lq))
		return NBL_OUTCOME_TX_RING_FULL;
	to.holder = lq->q.number;
	to.slot = lq->q.tx.next;
	if (!nbl_lane_move_to(lane, frame, NBL_IN_HANDS, to))
		return NBL_OUTCOME_RETURNED;	/* counted; the frame stays in quarantine */
	desc = nbl_queue_tx(&lq->q, to.slot);
	desc->addr = (uint64_t)frame << lane->frame_shift |
		     (uint64_t)(nbl_nb_data(&n->nb) - n->segment.base);
	desc->len = n->nb.data_length;
	desc->options = 0;
	lq->q.tx.next = to.slot + 1;
	n->outcome = NBL_OUTCOME_RETURNED;	/* whatever was decided before, it is being sent */
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
	n->status = why == NBL_OUTCOME_TX_INVALID ? NBL_STATUS_INVALID_LENGTH
						  : NBL_STATUS_RESOURCES;
	n->holder = side == NBL_LOWER ? NBL_PLACE_LOWER : NBL_PLACE_UPPER;
}

void nbl_lane_transmit(struct nbl_lane *lane, struct nbl_chain chain, enum nbl_side side)
{
	struct nbl_chain refused = NBL_CHAIN_EMPTY;
	struct nbl *next;

	for (struct nbl *n = chain.head; n; n = next) {
		enum nbl_outcome wrong;

		next = n->next;
		wrong = put(lane, n, side);
		if (NBL_LIKELY(wrong == NBL_OUTCOME_RETURNED))
			continue;
		nbl_lane_refuse(n, wrong, side);
		if (n->kind != NBL_KIND_RECEIVE)
			lane->figures.originated.failed++;
		/* borrowed ones stay where they are in their chain (RX-05) */
		if (!(n->nbl_flags & NBL_FLAG_BORROWED))
			nbl_chain_append(&refused, n);
	}
	hand_back(lane, refused, side);
}

/* The kernel has sent 'n': what became of it. */
static void note_sent(struct nbl *n, struct nbl_lane_queue *lq)
{
	if (NBL_LIKELY(n->outcome == NBL_OUTCOME_RETURNED)) {
		n->outcome = lq->q.to_host ? NBL_OUTCOME_TO_HOST : NBL_OUTCOME_TO_WIRE;
		n->status = NBL_STATUS_SUCCESS;
	} else {
		n->status = NBL_STATUS_FAILURE;
		n->holder = nbl_lane_queue_side(lq) == NBL_LOWER ? NBL_PLACE_LOWER : NBL_PLACE_UPPER;
	}
	lq->figures->tx_packets++;
	lq->figures->tx_bytes += n->nb.data_length;
}

/* The NBL of a received frame the kernel was given on 'lq', or NULL. */
static struct nbl *sent_on(const struct nbl_lane *lane, const struct nbl_lane_queue *lq,
			   uint64_t frame)
{
	struct nbl *n = frame < lane->memory->ledger.n_frames ? &lane->nbls[frame] : NULL;

	/* frames of pools have no home queue */
	return n && n->home && nbl_lane_home_queue(n)->across == lq ? n : NULL;
}

/* A frame of the pool that a worker before this one sent: nothing is known of it but that. */
static bool end_inherited(struct nbl_lane *lane, uint64_t frame)
{
	const struct nbl_ledger_entry to = { .state = NBL_FRAME_HELD, .reason = NBL_HOLD_POOL };

	if (!lane->pool || !nbl_lane_is_pool_frame(lane, frame) ||
	    nbl_ledger_get(&lane->memory->ledger, (uint32_t)frame).state != NBL_FRAME_TX)
		return false;
	if (nbl_ledger_end_send(&lane->memory->ledger, (uint32_t)frame, to) == NBL_FRAME_HELD)
		nbl_pool_give_frame(lane->pool, (uint32_t)frame - lane->pool->first_frame);
	return true;
}

/* A completion on 'lq' that takes more than listing the frame as free: somebody waits for it, or it lies. */
static void complete(struct nbl_lane *lane, struct nbl_lane_queue *lq, uint64_t frame,
		     struct nbl_chain *home)
{
	enum nbl_side side = nbl_lane_queue_side(lq);
	bool unseen = side == NBL_UPPER ? lane->returns_unseen : lane->completes_unseen;
	struct nbl_ledger_entry to = { .state = NBL_FRAME_HAND, .slot = NBL_HAND_SENT };
	struct nbl *n;
	int now;

	if (frame < lane->memory->ledger.n_frames &&
	    (nbl_lane_end_originated(lane, lq, (uint32_t)frame) || end_inherited(lane, frame)))
		return;
	n = frame < lane->memory->ledger.n_frames ? &lane->nbls[frame] : NULL;
	if (!n || !n->home || nbl_lane_home_queue(n)->lane != lane ||
	    (nbl_lane_home_queue(n)->across != lq && !(n->nbl_flags & NBL_FLAG_LENT))) {
		lane->figures.violations++;
		return;
	}
	/* an injected original may be somebody's still when it has come back */
	if (n->nbl_flags & NBL_FLAG_INJECTED)
		to = (struct nbl_ledger_entry){ .state = NBL_FRAME_HELD, .holder = n->holder,
						.reason = NBL_HOLD_REFERENCE,
						.slot = (uint32_t)(lane->now_ns / 1000000) };
	now = nbl_ledger_end_send(&lane->memory->ledger, (uint32_t)frame, to);
	if (now < 0) {
		nbl_lane_refused(lane, (uint32_t)frame, -1 - now);
		return;
	}
	if (now == NBL_FRAME_TX)
		return;
	nbl_lane_count(lane, NBL_FRAME_TX, (enum nbl_frame_state)now, 1);
	note_sent(n, lq);
	if (!(n->nbl_flags & NBL_FLAG_BORROWED))
		nbl_chain_append(unseen ? home : &lane->done[side], n);
}

/*
 * Takes all completions of 'lq'. Frames go home here if no module wants to see
 * them back, else they wait in lane->done for nbl_lane_hand_back(): this runs
 * inside handlers too (make_room) and must call none.
 */
uint32_t nbl_lane_reap(struct nbl_lane *lane, struct nbl_lane_queue *lq)
{
	bool unseen = nbl_lane_queue_side(lq) == NBL_UPPER ? lane->returns_unseen
							   : lane->completes_unseen;
	uint32_t n = nbl_consumer_available(&lq->q.completion, UINT32_MAX);
	struct nbl_chain home = NBL_CHAIN_EMPTY;
	uint32_t n_finished = 0;

	for (uint32_t i = 0; i < n; i++)
		nbl_lane_prefetch(lane, nbl_consumer_address(&lq->q.completion,
							     lq->q.completion.next + i));
	for (uint32_t i = 0; i < n; i++) {
		uint64_t frame = nbl_consumer_address(&lq->q.completion, lq->q.completion.next + i) >>
				 lane->frame_shift;
		struct nbl *nbl = sent_on(lane, lq, frame);

		/* Unless nobody wants to see it and nobody else has a claim: the short way. */
		if (NBL_UNLIKELY(!nbl || !unseen || !nbl_claim_is_sole(nbl))) {
			complete(lane, lq, frame, &home);
			continue;
		}
		if (!nbl_lane_shift(lane, (uint32_t)frame, NBL_FROM(NBL_FRAME_TX),
				    NBL_FRAME_FREE, 0))
			continue;
		note_sent(nbl, lq);
		nbl_lane_finish(lane, nbl);
		n_finished++;
	}
	nbl_lane_count(lane, NBL_FRAME_TX, NBL_FRAME_FREE, n_finished);
	nbl_lane_bring_home(lane, home, NBL_PLACE_WORKER);
	lq->q.completion.next += n;
	if (n)
		nbl_consumer_release(&lq->q.completion);
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
			nbl_lane_mark_held(lane);
		}
	}
}
