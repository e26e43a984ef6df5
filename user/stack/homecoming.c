/* SPDX-License-Identifier: BSD-2-Clause */
/* homecoming.c - how a frame comes home, and goes out to the fill ring again. */
#include "core/nbl_internal.h"
#include "stack/lane.h"

/* In overload one in so many frames is posted, but two turns of them: one here, one coming. */
#define OVERLOAD_PART	4u
#define OVERLOAD_LEAST	(2 * NBL_TURN_BURSTS * NBL_BURST)

/* 'frame' is on a free list and not free any more. */
static void unlist(struct nbl_lane_queue *lq, uint32_t frame)
{
	for (uint32_t i = 0; i < lq->n_free; i++)
		if (lq->free[i] == frame) {
			lq->free[i] = lq->free[--lq->n_free];
			return;
		}
}

void nbl_lane_refused(struct nbl_lane *lane, uint32_t frame, int was)
{
	lane->figures.violations++;
	if (nbl_lane_is_pool_frame(lane, frame))
		return;
	if (was < NBL_N_FRAME_STATES)
		lane->figures.frames[was]--;
	if (was == NBL_FRAME_FREE)
		unlist(nbl_lane_home_queue(&lane->nbls[frame]), frame);
	if (was == NBL_FRAME_FILL)
		nbl_lane_home_queue(&lane->nbls[frame])->n_posted--;
	lane->figures.frames[NBL_FRAME_QUARANTINE]++;
	if (was == NBL_FRAME_HAND || was == NBL_FRAME_HELD || was == NBL_FRAME_TX) {
		lane->figures.outcomes[NBL_OUTCOME_QUARANTINED]++;
		lane->figures.drops[NBL_PLACE_WORKER][NBL_OUTCOME_QUARANTINED]++;
		lane->drops_changed = 2;
	}
}

void nbl_lane_finish(struct nbl_lane *lane, struct nbl *n)
{
	struct nbl_lane_queue *lq = nbl_lane_home_queue(n);
	/* modules write it */
	enum nbl_outcome outcome = n->outcome < NBL_N_OUTCOMES ? (enum nbl_outcome)n->outcome
							       : NBL_OUTCOME_RETURNED;

	/* Whoever comes with a reference or a return from now on is refused and counted. */
	atomic_store_explicit(&n->claims, 0, memory_order_relaxed);
	if (NBL_UNLIKELY(n->source_handle != lq->handle)) {
		lane->figures.violations++;	/* SH-03 */
		n->source_handle = lq->handle;
	}
	lane->figures.outcomes[outcome]++;
	if (NBL_UNLIKELY(nbl_outcome_is_drop(outcome))) {
		lane->figures.drops[n->holder < NBL_N_PLACES ? n->holder : 0][outcome]++;
		lane->drops_changed = 2;
	}
	lq->free[lq->n_free++] = n->segment.frame;
}

/* The last claim on 'n' is gone: its frame is free, or broke a rule and stays where it is. */
static void come_home(struct nbl_lane *lane, struct nbl *n)
{
	if (nbl_lane_move(lane, n->segment.frame, NBL_IN_HANDS, NBL_FRAME_FREE, 0))
		nbl_lane_finish(lane, n);
	else
		atomic_store_explicit(&n->claims, 0, memory_order_relaxed);
}

void nbl_lane_set_end(struct nbl_lane *lane, enum nbl_origin origin, nbl_end_fn end, void *arg)
{
	lane->ends[origin].end = end;
	lane->ends[origin].arg = arg;
}

/* Whose 'n' is at the end of its path. */
static enum nbl_origin ends_at(const struct nbl_lane *lane, const struct nbl *n)
{
	if (nbl_lane_is_flagged(n, NBL_FLAG_INJECTED) && lane->ends[NBL_ORIGIN_WFP].end)
		return NBL_ORIGIN_WFP;
	return n->kind == NBL_KIND_RECEIVE ? NBL_ORIGIN_PORT : nbl_handle_origin(n->source_handle);
}

/* True if 'n' came by this lane: another's frames and figures are its own to touch. */
static inline bool is_from(const struct nbl_lane *lane, const struct nbl *n)
{
	return n->kind == NBL_KIND_RECEIVE && nbl_lane_home_queue(n)->lane == lane;
}

/* Gives 'n', which has more to it than a frame, back where it is from, or into 'ended'. */
static void bring_other(struct nbl_lane *lane, struct nbl *n, struct nbl_chain *ended)
{
	enum nbl_origin origin;

	if (nbl_lane_is_flagged(n, NBL_FLAG_BORROWED)) {
		/* it is the engine's again when the handler returns, and not before */
		nbl_violation("RX-04: a borrowed NBL was returned", n->holder);
		return;
	}
	nbl_lane_note_ended(lane, n);
	origin = ends_at(lane, n);
	if (n->kind == NBL_KIND_REASSEMBLED && origin == NBL_ORIGIN_PORT) {
		/* received in several frames, of which the first is counted for all (DM-02) */
		n->parent->outcome = n->outcome;
		n->parent->holder = n->holder;
	}
	if (n->kind != NBL_KIND_RECEIVE)
		n->holder = NBL_PLACE_WORKER;	/* nor does who passed it on last own it (RF-06) */
	if (lane->ends[origin].end) {
		nbl_chain_append(&ended[origin], n);
		return;
	}
	if (is_from(lane, n))
		nbl_lane_mark_kept(lane, n);
	nbl_release(n);
}

void nbl_lane_bring_home(struct nbl_lane *lane, struct nbl_chain chain, uint16_t place)
{
	struct nbl_chain ended[NBL_N_ORIGINS] = { NBL_CHAIN_EMPTY };
	struct nbl *next;

	if (!chain.head)
		return;
	for (struct nbl *n = chain.head; n; n = next) {
		next = n->next;
		if (n->outcome == NBL_OUTCOME_RETURNED)
			n->holder = place;
		/* Nobody else can claim it any more, so no atomic subtraction is needed. */
		if (NBL_LIKELY(nbl_claim_is_sole(n) && is_from(lane, n)))
			come_home(lane, n);
		else
			bring_other(lane, n, ended);
	}
	for (int i = 0; i < NBL_N_ORIGINS; i++)
		if (NBL_UNLIKELY(!nbl_chain_is_empty(&ended[i])))
			lane->ends[i].end(lane->ends[i].arg, lane, ended[i]);
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

/* ---- posting ---- */

void nbl_lane_note_backlog(const struct nbl_lane *lane, struct nbl_lane_queue *lq, bool stands)
{
	if (NBL_LIKELY(!stands)) {
		lq->standing_ns = 0;
		lq->overloaded = false;
	} else if (!lq->standing_ns) {
		lq->standing_ns = lane->now_ns;
	} else if (!lq->overloaded && lane->now_ns - lq->standing_ns >= NBL_OVERLOAD_NS) {
		lq->overloaded = true;
		lq->figures->overloads++;
	}
}

/*
 * How many frames are to be out at most. Where nothing but the RX ring takes them, more than
 * fit there would only wear out the cache: the kernel goes through all in turn. So many
 * last over a burst. In overload they are no help: as much is lost, and what is not
 * waits behind all of them.
 */
static uint32_t most_posted(const struct nbl_lane_queue *lq)
{
	uint32_t most = lq->q.most_posted ? lq->q.most_posted : UINT32_MAX;
	uint32_t few = lq->q.most_posted / OVERLOAD_PART;

	if (NBL_LIKELY(!lq->overloaded || !lq->q.most_posted))
		return most;
	few = few < OVERLOAD_LEAST ? OVERLOAD_LEAST : few;
	return few < most ? few : most;
}

static uint32_t fill_wanted(const struct nbl_lane_queue *lq)
{
	uint32_t most = most_posted(lq);
	uint32_t left = lq->n_posted < most ? most - lq->n_posted : 0;

	return left < lq->n_free ? left : lq->n_free;
}

uint32_t nbl_lane_fill(struct nbl_lane *lane, struct nbl_lane_queue *lq)
{
	uint32_t wanted = fill_wanted(lq), first = lq->q.fill.next, room, n;

	if (!wanted)
		return 0;
	room = nbl_producer_room(&lq->q.fill, wanted);
	n = wanted < room ? wanted : room;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t frame = lq->free[--lq->n_free];
		uint32_t slot = lq->q.fill.next;

		if (!nbl_lane_shift(lane, frame, NBL_FROM(NBL_FRAME_FREE), NBL_FRAME_FILL, slot))
			continue;
		*nbl_producer_address(&lq->q.fill, slot) = (uint64_t)frame << lane->frame_shift;
		lq->q.fill.next = slot + 1;
	}
	lq->n_posted += lq->q.fill.next - first;
	nbl_lane_count(lane, NBL_FRAME_FREE, NBL_FRAME_FILL, lq->q.fill.next - first);
	if (nbl_producer_is_published(&lq->q.fill))
		return 0;
	nbl_producer_publish(&lq->q.fill);
	if (nbl_producer_wants_wakeup(&lq->q.fill))
		lq->q.ops->wake_fill(&lq->q);
	return n;
}
