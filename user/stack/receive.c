/* SPDX-License-Identifier: BSD-2-Clause */
/* receive.c - from the RX ring into the stack. */
#include <nbl/fragment.h>
#include <nbl/info.h>
#include <nbl/parse.h>

#include "core/nbl_internal.h"
#include "stack/lane.h"

#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1u << 0)		/* since 6.6: the packet goes on in the next entry */
#endif

bool nbl_lane_believes(const struct nbl_lane *lane, const struct nbl_lane_queue *lq,
		       const struct xdp_desc *desc)
{
	uint64_t frame = desc->addr >> lane->frame_shift;
	uint64_t offset = desc->addr & ((1u << lane->frame_shift) - 1);

	return frame - lq->first_frame < lq->n_frames &&
	       offset + desc->len <= 1u << lane->frame_shift;
}

/*
 * The NBL of one entry, its frame moved to HAND from a state in the mask 'from'; NULL if the
 * ledger refuses: the frame is quarantined, the packet never existed for the stack.
 */
static struct nbl *take_entry(struct nbl_lane *lane, const struct nbl_lane_queue *lq,
			      const struct xdp_desc *desc, enum nbl_frame_state from)
{
	uint32_t frame = (uint32_t)(desc->addr >> lane->frame_shift);
	struct nbl *nbl;

	if (NBL_UNLIKELY(!nbl_lane_believes(lane, lq, desc))) {
		lane->figures.violations++;
		return NULL;
	}
	if (!nbl_lane_shift(lane, frame, NBL_FROM(from), NBL_FRAME_HAND, 0))
		return NULL;
	nbl = &lane->nbls[frame];
	nbl_arm_receive(nbl, (uint32_t)desc->addr & ((1u << lane->frame_shift) - 1), desc->len);
	lane->burst[lane->n_burst++].frame = frame;
	return nbl;
}

/* Counts that 'n_frames' were taken, 'n_packets' of 'bytes' with them. */
static void count_taken(struct nbl_lane *lane, struct nbl_lane_queue *lq, enum nbl_frame_state from,
			uint32_t n_frames, uint32_t n_packets, uint64_t bytes)
{
	nbl_lane_count(lane, from, NBL_FRAME_HAND, n_frames);
	lq->n_posted -= n_frames;
	lane->figures.received += n_frames;
	lq->figures->rx_packets += n_packets;
	lq->figures->rx_bytes += bytes;
}

/* The burst's chain, an NBL for each entry. */
static struct nbl_chain take_burst(struct nbl_lane *lane, struct nbl_lane_queue *lq,
				   const struct xdp_desc *descs, uint32_t n,
				   enum nbl_frame_state from)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct nbl *nbl = take_entry(lane, lq, &descs[i], from);

		if (NBL_UNLIKELY(!nbl))
			continue;
		bytes += descs[i].len;
		nbl_chain_append(&chain, nbl);
	}
	count_taken(lane, lq, from, chain.n_nbls, chain.n_nbls, bytes);
	return chain;
}

/* ---- packets of several entries ---- */

/* One NBL over all 'parts' (keeps), or NULL. Rule: DM-02. */
static struct nbl *put_together(const struct nbl_lane *lane, const struct nbl_lane_queue *lq,
				struct nbl *const *parts, uint32_t n)
{
	const struct nbl_fragment_params all = { .max_length = UINT32_MAX };
	struct nbl *whole;

	if (lane->harvests)
		nbl_metadata_harvest(parts[0]);
	parts[0]->holder = NBL_PLACE_WORKER;	/* not who had its frame last */
	if (!lane->pool || nbl_alloc_reassembled(parts, n, &all, lane->pool, lane->pool, &whole))
		return NULL;
	whole->source_handle = lq->handle;
	for (uint32_t i = 1; i < n; i++)
		parts[i]->outcome = NBL_OUTCOME_CONSUMED;	/* it counts with the first */
	return whole;
}

/*
 * A packet in the entries descs[0..n-1], which ends with them if 'is_whole'. Its frames are
 * claimed by the NBL returned alone; NULL: it is dropped, its frames are home.
 */
static struct nbl *take_pieces(struct nbl_lane *lane, struct nbl_lane_queue *lq,
			       const struct xdp_desc *descs, uint32_t n, enum nbl_frame_state from,
			       bool is_whole)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	struct nbl *parts[NBL_BURST], *whole = NULL;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct nbl *nbl = take_entry(lane, lq, &descs[i], from);

		if (!nbl)
			continue;
		parts[chain.n_nbls] = nbl;
		bytes += descs[i].len;
		nbl_chain_append(&chain, nbl);
	}
	count_taken(lane, lq, from, chain.n_nbls, 1, bytes);
	/* of a dead worker's burst some may have gone on already */
	if (is_whole && chain.n_nbls == n && from == NBL_FRAME_FILL)
		whole = put_together(lane, lq, parts, n);
	else
		lane->figures.violations += from == NBL_FRAME_FILL && !is_whole;
	nbl_lane_bring_home(lane, chain, NBL_PLACE_WORKER);
	return whole;
}

/* The burst's chain where packets may be of several entries. */
static struct nbl_chain take_burst_in_pieces(struct nbl_lane *lane, struct nbl_lane_queue *lq,
					     const struct xdp_desc *descs, uint32_t n,
					     enum nbl_frame_state from)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	for (uint32_t first = 0, end; first < n; first = end) {
		struct nbl *nbl;

		for (end = first; end < n && descs[end].options & XDP_PKT_CONTD; end++)
			;
		if (end == first) {
			struct nbl_chain single = take_burst(lane, lq, &descs[end++], 1, from);

			nbl_chain_join(&chain, &single);
			continue;
		}
		nbl = take_pieces(lane, lq, descs + first, end - first + (end < n), from, end < n);
		end += end < n;
		if (nbl)
			nbl_chain_append(&chain, nbl);
	}
	return chain;
}

/* How many of the entries are packets that end among them; all, if none does. */
static uint32_t ended_entries(const struct xdp_desc *descs, uint32_t n)
{
	uint32_t end = n;

	while (end && descs[end - 1].options & XDP_PKT_CONTD)
		end--;
	return end ? end : n;
}

static bool has_pieces(const struct xdp_desc *descs, uint32_t n)
{
	uint32_t options = 0;

	for (uint32_t i = 0; i < n; i++)
		options |= descs[i].options;
	return options & XDP_PKT_CONTD;
}

/* What modules want to find filled. Rules: DM-09, AR-07. */
static void describe(const struct nbl_lane *lane, const struct nbl_chain *chain)
{
	for (struct nbl *n = chain->head; n; n = n->next) {
		if (lane->harvests && n->kind == NBL_KIND_RECEIVE)
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

/* Where a lent packet is. One of several frames was copied, if it was sent. */
static struct nbl_ledger_entry state_of(const struct nbl_lane *lane, const struct nbl *n)
{
	if (n->kind != NBL_KIND_RECEIVE)
		return (struct nbl_ledger_entry){ .state = NBL_FRAME_HAND };
	return nbl_ledger_get(&lane->memory->ledger, n->segment.frame);
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
		struct nbl_ledger_entry e = state_of(lane, nbls[i]);
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
	bool is_receive = nbl_lane_queue_side(lq) == NBL_LOWER;
	const struct nbl_hop *first = is_receive ? &lane->indicate_first : &lane->send_first;
	struct nbl_chain chain;

	lane->n_burst = 0;
	if (NBL_UNLIKELY(has_pieces(descs, n)))
		chain = take_burst_in_pieces(lane, lq, descs, n, from);
	else
		chain = take_burst(lane, lq, descs, n, from);
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
		/* its headers, which modules read: written on another processor */
		__builtin_prefetch((const void *)((uintptr_t)lane->memory->frames + descs[i].addr));
	}
	n = ended_entries(descs, n);
	nbl_lane_run_burst(lane, lq, descs, n, NBL_FRAME_FILL);
	lq->q.rx.next += n;
	nbl_consumer_release(&lq->q.rx);
	return n;
}
