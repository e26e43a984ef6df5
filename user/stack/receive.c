/* SPDX-License-Identifier: BSD-2-Clause */
/* receive.c - from the RX ring into the stack. */
#include <nbl/info.h>
#include <nbl/parse.h>

#include "core/nbl_internal.h"
#include "stack/lane.h"

bool nbl_lane_believes(const struct nbl_lane *lane, const struct nbl_lane_queue *lq,
		       const struct xdp_desc *desc)
{
	uint64_t frame = desc->addr >> lane->frame_shift;
	uint64_t offset = desc->addr & ((1u << lane->frame_shift) - 1);

	return frame - lq->first_frame < lq->n_frames &&
	       offset + desc->len <= 1u << lane->frame_shift;
}

/*
 * The burst's chain, its frames moved to HAND from a state in the mask 'from'.
 * Entries that the ledger refuses are left out: the frame is quarantined, the
 * packet never existed for the stack.
 */
static struct nbl_chain take_burst(struct nbl_lane *lane, struct nbl_lane_queue *lq,
				   const struct xdp_desc *descs, uint32_t n,
				   enum nbl_frame_state from)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	uint64_t bytes = 0;

	lane->n_burst = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct xdp_desc *desc = &descs[i];
		uint32_t frame = (uint32_t)(desc->addr >> lane->frame_shift);
		struct nbl *nbl;

		if (NBL_UNLIKELY(!nbl_lane_believes(lane, lq, desc))) {
			lane->figures.violations++;
			continue;
		}
		if (!nbl_lane_shift(lane, frame, NBL_FROM(from), NBL_FRAME_HAND, 0))
			continue;
		nbl = &lane->nbls[frame];
		nbl_arm_receive(nbl, (uint32_t)desc->addr & ((1u << lane->frame_shift) - 1),
				desc->len);
		lane->burst[lane->n_burst++].frame = frame;
		bytes += desc->len;
		nbl_chain_append(&chain, nbl);
	}
	nbl_lane_count(lane, from, NBL_FRAME_HAND, chain.n_nbls);
	lq->n_posted -= chain.n_nbls;
	lane->figures.received += chain.n_nbls;
	lq->figures->rx_packets += chain.n_nbls;
	lq->figures->rx_bytes += bytes;
	return chain;
}

/* What modules want to find filled. Rules: DM-09, AR-07. */
static void describe(const struct nbl_lane *lane, const struct nbl_chain *chain)
{
	for (struct nbl *n = chain->head; n; n = n->next) {
		if (lane->harvests)
			nbl_metadata_harvest(n);
		if (lane->parses)
			nbl_parse(n);
	}
}

/* Why a module still has 'n'. */
static enum nbl_hold_reason hold_reason(const struct nbl *n)
{
	if (atomic_load_explicit(&n->references, memory_order_relaxed))
		return NBL_HOLD_REFERENCE;
	if (atomic_load_explicit(&n->child_ref_count, memory_order_relaxed))
		return NBL_HOLD_CLONE;
	return NBL_HOLD_PENDING;
}

void nbl_lane_mark_kept(struct nbl_lane *lane, const struct nbl *n)
{
	struct nbl_ledger *ledger = &lane->memory->ledger;
	uint32_t frame = n->segment.frame;

	if (nbl_ledger_get(ledger, frame).state != NBL_FRAME_HAND)
		return;
	nbl_ledger_hold(ledger, frame, n->holder, hold_reason(n),
			(uint32_t)(lane->now_ns / 1000000));
	lane->figures.frames[NBL_FRAME_HAND]--;
	lane->figures.frames[NBL_FRAME_HELD]++;
}

void nbl_lane_mark_held(struct nbl_lane *lane)
{
	if (NBL_LIKELY(!lane->figures.frames[NBL_FRAME_HAND]))
		return;
	for (uint32_t i = 0; i < lane->n_burst; i++)
		nbl_lane_mark_kept(lane, &lane->nbls[lane->burst[i].frame]);
}

bool nbl_lane_is_short(const struct nbl_lane *lane, struct nbl_lane_queue *lq)
{
	uint64_t n_held = lane->figures.frames[NBL_FRAME_HELD], n_out;

	if (NBL_LIKELY(!n_held && !lq->short_of_frames))
		return false;
	/* of this queue's frames at most so many, the burst in hand aside */
	n_out = lq->n_frames - lq->n_free - lq->n_posted;
	n_out -= n_out < lane->figures.frames[NBL_FRAME_HAND] ? n_out
							      : lane->figures.frames[NBL_FRAME_HAND];
	if (n_held > n_out)
		n_held = n_out;
	/* two marks, so that it does not change with every packet */
	lq->short_of_frames = lq->n_frames - n_held <
			      (lq->short_of_frames ? lq->n_frames / 4 : lq->n_frames / 8);
	return lq->short_of_frames;
}

/*
 * Runs 'chain' borrowed: what its handlers did not send is the engine's again on
 * return, the chain as it was. Rules: RX-04, RX-05.
 */
static void run_borrowed(struct nbl_lane *lane, const struct nbl_hop *first, struct nbl_chain chain,
			 uint32_t flags)
{
	struct nbl *nbls[NBL_BURST];
	struct nbl_chain home = NBL_CHAIN_EMPTY;
	bool is_same = true;
	uint32_t n = 0;

	for (struct nbl *nbl = chain.head; nbl; nbl = nbl->next) {
		nbl->nbl_flags |= NBL_FLAG_BORROWED;
		nbl->holder = NBL_PLACE_WORKER;	/* not who had its frame last: he did not drop it */
		nbls[n++] = nbl;
	}
	lane->figures.originated.borrowed += n;
	first->handle(first->to, chain, 0, flags | NBL_RECEIVE_RESOURCES);
	for (uint32_t i = 0; i < n; i++) {
		struct nbl_ledger_entry e = nbl_ledger_get(&lane->memory->ledger,
							   nbls[i]->segment.frame);
		bool is_in_hands = e.state == NBL_FRAME_HAND || e.state == NBL_FRAME_HELD;

		is_same &= nbls[i]->next == (i + 1 < n ? nbls[i + 1] : NULL);
		/* others may read and set flags at this moment */
		__atomic_fetch_and(&nbls[i]->nbl_flags, ~(uint32_t)NBL_FLAG_BORROWED,
				   __ATOMIC_RELAXED);
		/* clones that were made against the rules keep the frame, but not the claim */
		if (is_in_hands || (e.state == NBL_FRAME_TX && !nbl_lane_is_sending(lane, nbls[i])))
			nbl_chain_append(&home, nbls[i]);
		else if (e.state == NBL_FRAME_TX)
			nbls[i]->status = NBL_STATUS_SENT_WHILE_LENT;
	}
	if (!is_same)
		nbl_violation("RX-05: a borrowed chain came back changed", nbls[0]->holder);
	while (home.head) {
		struct nbl_chain one = NBL_CHAIN_EMPTY;

		nbl_chain_append(&one, nbl_chain_pop(&home));
		nbl_lane_bring_home(lane, one, one.head->holder);
	}
}

void nbl_lane_run_burst(struct nbl_lane *lane, struct nbl_lane_queue *lq,
			const struct xdp_desc *descs, uint32_t n, enum nbl_frame_state from)
{
	struct nbl_chain chain = take_burst(lane, lq, descs, n, from);
	bool is_receive = nbl_lane_queue_side(lq) == NBL_LOWER;
	const struct nbl_hop *first = is_receive ? &lane->indicate_first : &lane->send_first;

	if (NBL_UNLIKELY(lane->parses || lane->harvests))
		describe(lane, &chain);
	if (nbl_chain_is_empty(&chain))
		return;
	if (NBL_UNLIKELY(is_receive && nbl_lane_is_short(lane, lq)))
		run_borrowed(lane, first, chain, NBL_RECEIVE_SINGLE_QUEUE);
	else
		first->handle(first->to, chain, 0,
			      is_receive ? (uint32_t)NBL_RECEIVE_SINGLE_QUEUE
					 : (uint32_t)NBL_SEND_SINGLE_QUEUE);
	nbl_lane_publish_tx(lane);
	nbl_lane_mark_held(lane);
}

/*
 * The RX entries are given back only after what became of them is in the ledger
 * and the TX ring: a successor finds an interrupted burst there (adopt.c).
 */
uint32_t nbl_lane_receive(struct nbl_lane *lane, struct nbl_lane_queue *lq)
{
	struct xdp_desc descs[NBL_BURST];
	uint32_t n = lane->closed ? 0 : nbl_consumer_available(&lq->q.rx, NBL_BURST);

	if (!n)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		descs[i] = *nbl_queue_rx(&lq->q, lq->q.rx.next + i);
		nbl_lane_prefetch(lane, descs[i].addr);
	}
	nbl_lane_run_burst(lane, lq, descs, n, NBL_FRAME_FILL);
	lq->q.rx.next += n;
	nbl_consumer_release(&lq->q.rx);
	return n;
}
