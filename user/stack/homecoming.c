/* SPDX-License-Identifier: BSD-2-Clause */
/* homecoming.c - how a frame comes home, and goes out to the fill ring again. */
#include "core/nbl_internal.h"
#include "stack/lane.h"

/* Counts the packet's one outcome and frees its frame. The last claim on 'n' is gone. */
static void come_home(struct nbl_lane *lane, struct nbl *n)
{
	struct nbl_lane_queue *lq = nbl_lane_home_queue(n);
	uint32_t frame = n->segment.frame;
	/* modules write it */
	enum nbl_outcome outcome = n->outcome < NBL_N_OUTCOMES ? (enum nbl_outcome)n->outcome
							       : NBL_OUTCOME_RETURNED;

	/* Whoever comes with a reference or a return from now on is refused and counted. */
	atomic_store_explicit(&n->claims, 0, memory_order_relaxed);
	if (!nbl_lane_move(lane, frame, NBL_IN_HANDS, NBL_FRAME_FREE, 0))
		return;
	lane->figures.outcomes[outcome]++;
	if (NBL_UNLIKELY(nbl_outcome_is_drop(outcome))) {
		lane->figures.drops[n->holder < NBL_N_PLACES ? n->holder : 0][outcome]++;
		lane->drops_changed = 2;
	}
	lq->free[lq->n_free++] = frame;
}

void nbl_lane_bring_home(struct nbl_lane *lane, struct nbl_chain chain, uint16_t place)
{
	struct nbl *next;

	for (struct nbl *n = chain.head; n; n = next) {
		next = n->next;
		if (n->outcome == NBL_OUTCOME_RETURNED)
			n->holder = place;
		/* Nobody else can claim it any more, so no atomic subtraction is needed. */
		if (NBL_LIKELY(nbl_claim_is_sole(n))) {
			come_home(lane, n);
			continue;
		}
		if (n->kind == NBL_KIND_RECEIVE)
			nbl_lane_mark_kept(lane, n);
		nbl_release(n);
	}
}

void nbl_lane_release_home(struct nbl_home *home, struct nbl *n)
{
	struct nbl_lane_queue *lq = nbl_lane_home_queue(n);

	(void)home;
	if (nbl_lane_is_current(lq->lane))
		come_home(lq->lane, n);
	else if (nbl_returns_push(&lq->lane->returns, n))
		nbl_lane_wake(lq->lane);
}

uint32_t nbl_lane_take_returns(struct nbl_lane *lane)
{
	struct nbl *next;
	uint32_t n_taken = 0;

	for (struct nbl *n = nbl_returns_take(&lane->returns); n; n = next, n_taken++) {
		next = n->next;
		come_home(lane, n);
	}
	return n_taken;
}

/*
 * How many frames to post. Where nothing but the RX ring takes them, more than
 * fit there would only wear out the cache: the kernel goes through all in turn.
 */
static uint32_t fill_wanted(const struct nbl_lane_queue *lq)
{
	uint32_t most = lq->q.most_posted ? lq->q.most_posted : UINT32_MAX;
	uint32_t left = lq->n_posted < most ? most - lq->n_posted : 0;

	return left < lq->n_free ? left : lq->n_free;
}

uint32_t nbl_lane_fill(struct nbl_lane *lane, struct nbl_lane_queue *lq)
{
	uint32_t wanted = fill_wanted(lq), room, n;

	if (!wanted)
		return 0;
	room = nbl_producer_room(&lq->q.fill, wanted);
	n = wanted < room ? wanted : room;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t frame = lq->free[--lq->n_free];
		uint32_t slot = lq->q.fill.next;

		if (!nbl_lane_move(lane, frame, NBL_FROM(NBL_FRAME_FREE), NBL_FRAME_FILL, slot))
			continue;
		*nbl_producer_address(&lq->q.fill, slot) = (uint64_t)frame << lane->frame_shift;
		lq->q.fill.next = slot + 1;
		lq->n_posted++;
	}
	if (nbl_producer_is_published(&lq->q.fill))
		return 0;
	nbl_producer_publish(&lq->q.fill);
	if (nbl_producer_wants_wakeup(&lq->q.fill))
		lq->q.ops->wake_fill(&lq->q);
	return n;
}
