/* SPDX-License-Identifier: BSD-2-Clause */
/* transmit.c - from the stack into the TX ring, and back from the completion ring. */
#include <errno.h>

#include "core/nbl_internal.h"
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

	if (frame < lane->memory->ledger.n_frames)
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
static bool make_room(struct nbl_lane *lane, struct nbl_lane_queue *lq)
{
	nbl_producer_publish(&lq->q.tx);
	nbl_lane_reap(lane, lq);
	if (!lq->stuck)
		nbl_lane_kick(lane, lq);
	return nbl_producer_room(&lq->q.tx, 1) > 0;
}

/* What is wrong with sending 'n' on 'lq' as it is, or NBL_OUTCOME_RETURNED for nothing. Rule: TX-12. */
static enum nbl_outcome check(const struct nbl *n, const struct nbl_lane_queue *lq)
{
	const struct nbl_nb *nb = &n->nb;

	/* One NB, all of it in its receive frame. */
	if (n->first_nb != nb || nb->next || nb->current_segment != &n->segment ||
	    nb->data_length > nbl_nb_segment_room(nb))
		return NBL_OUTCOME_TX_INVALID;
	if (nb->data_length < SHORTEST_PACKET || nb->data_length > lq->q.max_length)
		return NBL_OUTCOME_TX_INVALID;
	return NBL_OUTCOME_RETURNED;
}

static enum nbl_outcome put(struct nbl_lane *lane, struct nbl *n)
{
	struct nbl_lane_queue *lq;
	enum nbl_outcome wrong;
	uint32_t frame = n->segment.frame;
	uint32_t slot;
	struct xdp_desc *desc;

	if (NBL_UNLIKELY(n->kind != NBL_KIND_RECEIVE))
		return NBL_OUTCOME_TX_INVALID;
	lq = nbl_lane_home_queue(n)->across;
	wrong = check(n, lq);
	if (NBL_UNLIKELY(wrong != NBL_OUTCOME_RETURNED))
		return wrong;
	if (!nbl_producer_room(&lq->q.tx, 1) && !make_room(lane, lq))
		return NBL_OUTCOME_TX_RING_FULL;
	slot = lq->q.tx.next;
	if (!nbl_lane_move(lane, frame, NBL_IN_HANDS, NBL_FRAME_TX, slot))
		return NBL_OUTCOME_RETURNED;	/* counted; the frame stays in quarantine */
	desc = nbl_queue_tx(&lq->q, slot);
	desc->addr = (uint64_t)frame << lane->frame_shift |
		     (uint64_t)(nbl_nb_data(&n->nb) - n->segment.base);
	desc->len = n->nb.data_length;
	desc->options = 0;
	lq->q.tx.next = slot + 1;
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

void nbl_lane_transmit(struct nbl_lane *lane, struct nbl_chain chain, enum nbl_side side)
{
	struct nbl_chain refused = NBL_CHAIN_EMPTY;
	struct nbl *next;

	for (struct nbl *n = chain.head; n; n = next) {
		enum nbl_outcome wrong;

		next = n->next;
		wrong = put(lane, n);
		if (NBL_LIKELY(wrong == NBL_OUTCOME_RETURNED))
			continue;
		n->outcome = wrong;
		n->status = wrong == NBL_OUTCOME_TX_INVALID ? NBL_STATUS_INVALID_LENGTH
							    : NBL_STATUS_RESOURCES;
		n->holder = side == NBL_LOWER ? NBL_PLACE_LOWER : NBL_PLACE_UPPER;
		nbl_chain_append(&refused, n);
	}
	hand_back(lane, refused, side);
}

/* The NBL of a frame the kernel says it sent on 'lq', or NULL if it was given no such frame there. */
static struct nbl *sent_on(const struct nbl_lane *lane, const struct nbl_lane_queue *lq,
			   uint64_t frame)
{
	struct nbl *n = frame < lane->memory->ledger.n_frames ? &lane->nbls[frame] : NULL;

	/* frames of pools have no home queue */
	return n && n->home && nbl_lane_home_queue(n)->across == lq ? n : NULL;
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

/*
 * Takes all completions of 'lq'. Frames go home here if no module wants to see
 * them back, else they wait in lane->done for nbl_lane_hand_back(): this runs
 * inside handlers too (make_room) and must call none.
 */
uint32_t nbl_lane_reap(struct nbl_lane *lane, struct nbl_lane_queue *lq)
{
	enum nbl_side side = nbl_lane_queue_side(lq);
	bool unseen = side == NBL_UPPER ? lane->returns_unseen : lane->completes_unseen;
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

		if (NBL_UNLIKELY(!nbl)) {
			lane->figures.violations++;
			continue;
		}
		/* Nobody wants to see it and nobody else has a claim: the short way. */
		if (NBL_LIKELY(unseen && nbl_claim_is_sole(nbl))) {
			if (!nbl_lane_shift(lane, (uint32_t)frame, NBL_FROM(NBL_FRAME_TX),
					    NBL_FRAME_FREE, 0))
				continue;
			note_sent(nbl, lq);
			nbl_lane_finish(lane, nbl);
			n_finished++;
			continue;
		}
		if (!nbl_lane_move(lane, (uint32_t)frame, NBL_FROM(NBL_FRAME_TX), NBL_FRAME_HAND,
				   NBL_HAND_SENT))
			continue;
		note_sent(nbl, lq);
		nbl_chain_append(unseen ? &home : &lane->done[side], nbl);
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
			while (lane->n_burst < NBL_BURST && (n = nbl_chain_pop(&lane->done[side]))) {
				lane->burst[lane->n_burst++].frame = n->segment.frame;
				nbl_chain_append(&chain, n);
			}
			hand_back(lane, chain, (enum nbl_side)side);
			nbl_lane_mark_held(lane);
		}
	}
}
