/* SPDX-License-Identifier: BSD-2-Clause */
/* receive.c - from the RX ring into the stack. */
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

void nbl_lane_run_burst(struct nbl_lane *lane, struct nbl_lane_queue *lq,
			const struct xdp_desc *descs, uint32_t n, enum nbl_frame_state from)
{
	struct nbl_chain chain = take_burst(lane, lq, descs, n, from);
	const struct nbl_hop *first = nbl_lane_queue_side(lq) == NBL_LOWER ? &lane->indicate_first
									   : &lane->send_first;

	if (!nbl_chain_is_empty(&chain))
		first->handle(first->to, chain, 0, 0);
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
	uint32_t n = nbl_consumer_available(&lq->q.rx, NBL_BURST);

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
