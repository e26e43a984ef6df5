/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit.c - the ledger against all that tells the same story another way: the
 * four rings and the free list, index by index; the descriptors' claims and the
 * modules' holds; the notes of sends; the figures.
 *
 * The kernel goes on moving frames meanwhile, but only one way: from FILL to RX
 * and from TX to COMPLETION. Looking at RX before FILL, and at COMPLETION before
 * TX, a frame it moves is seen once or, in its hands, not at all.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <nbl/holding.h>

#include "core/nbl_internal.h"
#include "core/pool_internal.h"
#include "stack/lane.h"

struct auditor {
	struct nbl_lane *lane;
	struct nbl_audit *audit;
	uint8_t *seen;		/* one per frame */
};

/*
 * Where the auditor looks: the name of a ring or list, and
 * what the ledger must say of frames there.
 */
struct view {
	const char *name;
	const struct nbl_lane_queue *lq;
	enum nbl_frame_state state;
	bool names_slot;		/* the ledger entry names the slot, too */
	bool is_sent;			/* the ledger entry names the queue, and counts sends */
};

static void mismatch(struct auditor *a, const char *where, uint32_t slot, uint64_t frame,
		     const char *what)
{
	if (!a->audit->mismatches++)
		snprintf(a->audit->first, sizeof(a->audit->first),
			 "lane %u, %s, slot %u, frame %llu: %s", a->lane->index, where, slot,
			 (unsigned long long)frame, what);
}

static void differ(struct auditor *a, const char *what, uint64_t one, uint64_t other)
{
	if (!a->audit->mismatches++)
		snprintf(a->audit->first, sizeof(a->audit->first), "lane %u, %s: %llu and %llu",
			 a->lane->index, what, (unsigned long long)one, (unsigned long long)other);
}

/* The lane's queue that is the home of 'frame', or NULL. */
static const struct nbl_lane_queue *home_of(const struct nbl_lane *lane, uint64_t frame)
{
	for (uint32_t i = 0; i < lane->n_queues; i++)
		if (frame - lane->queues[i].first_frame < lane->queues[i].n_frames)
			return &lane->queues[i];
	return NULL;
}

/*
 * A frame in a TX or completion ring: any of the lane's or the pool's, as often as the ledger says.
 */
static void look_at_sent(struct auditor *a, const struct view *v, uint32_t slot, uint64_t frame)
{
	struct nbl_ledger_entry e;

	if (!home_of(a->lane, frame) && !nbl_lane_is_pool_frame(a->lane, frame)) {
		mismatch(a, v->name, slot, frame, "no such frame in this lane");
		return;
	}
	e = nbl_ledger_get(&a->lane->memory->ledger, (uint32_t)frame);
	if (e.state != v->state)
		mismatch(a, v->name, slot, frame,
			 nbl_frame_state_name((enum nbl_frame_state)e.state));
	else if (e.reason == NBL_SENDS_UNKNOWN)
		return;
	else if (++a->seen[frame] > nbl_ledger_n_sends(e))
		mismatch(a, v->name, slot, frame, "it is in a ring or the free list already");
	else if (!e.reason && e.holder != v->lq->q.number)
		mismatch(a, v->name, slot, frame, "it belongs to another queue");
	else if (!e.reason && v->names_slot && e.slot != slot)
		mismatch(a, v->name, slot, frame, "the ledger names another slot");
}

static void look(struct auditor *a, const struct view *v, uint32_t slot, uint64_t address)
{
	uint64_t frame = address >> a->lane->frame_shift;
	const struct nbl_lane_queue *home = home_of(a->lane, frame);
	struct nbl_ledger_entry e;

	if (v->is_sent) {
		look_at_sent(a, v, slot, frame);
		return;
	}
	if (!home) {
		mismatch(a, v->name, slot, frame, "no such frame in this lane");
		return;
	}
	e = nbl_ledger_get(&a->lane->memory->ledger, (uint32_t)frame);
	if (a->seen[frame]++)
		mismatch(a, v->name, slot, frame, "it is in a ring or the free list already");
	else if (home != v->lq)
		mismatch(a, v->name, slot, frame, "it belongs to another queue");
	else if (e.state != v->state)
		mismatch(a, v->name, slot, frame,
			 nbl_frame_state_name((enum nbl_frame_state)e.state));
	else if (v->names_slot && e.slot != slot)
		mismatch(a, v->name, slot, frame, "the ledger names another slot");
}

/* At rest nothing is written but not published, or read but not given back. */
static void look_at_indices(struct auditor *a, const struct nbl_queue *q)
{
	if (nbl_ring_load(q->rx.ring.consumer) != q->rx.next)
		differ(a, "rx entries read and given back", q->rx.next, *q->rx.ring.consumer);
	if (nbl_ring_load(q->completion.ring.consumer) != q->completion.next)
		differ(a, "completions read and given back", q->completion.next,
		       *q->completion.ring.consumer);
	if (!nbl_producer_is_published(&q->fill))
		differ(a, "fill entries written and published", q->fill.next,
		       *q->fill.ring.producer);
	if (!nbl_producer_is_published(&q->tx))
		differ(a, "tx entries written and published", q->tx.next, *q->tx.ring.producer);
}

/* False if the rings cannot be gone through: more is in one than it holds. */
static bool are_indices_possible(struct auditor *a, const struct nbl_queue *q)
{
	const struct nbl_ring *const rings[] = { &q->rx.ring, &q->fill.ring, &q->completion.ring,
						 &q->tx.ring };

	for (int i = 0; i < 4; i++) {
		if (nbl_ring_used(rings[i]) <= rings[i]->size)
			continue;
		differ(a, "entries of a ring by its indices, and its size", nbl_ring_used(rings[i]),
		       rings[i]->size);
		return false;
	}
	return true;
}

static void look_at_queue(struct auditor *a, const struct nbl_lane_queue *lq)
{
	const struct view rx = { "rx ring", lq, NBL_FRAME_FILL, false, false };
	const struct view fill = { "fill ring", lq, NBL_FRAME_FILL, true, false };
	const struct view completion = { "completion ring", lq, NBL_FRAME_TX, false, true };
	const struct view tx = { "tx ring", lq, NBL_FRAME_TX, true, true };
	const struct view list = { "free list", lq, NBL_FRAME_FREE, false, false };
	const struct nbl_queue *q = &lq->q;
	uint32_t end = nbl_ring_load(q->rx.ring.producer);

	look_at_indices(a, q);
	if (!are_indices_possible(a, q))
		return;
	for (uint32_t s = q->rx.next; s != end; s++)
		look(a, &rx, s, nbl_queue_rx(q, s)->addr);
	for (uint32_t s = nbl_ring_load(q->fill.ring.consumer); s != q->fill.next; s++)
		look(a, &fill, s,
		     ((const uint64_t *)q->fill.ring.entries)[s & (q->fill.ring.size - 1)]);
	end = nbl_ring_load(q->completion.ring.producer);
	for (uint32_t s = q->completion.next; s != end; s++)
		look(a, &completion, s, nbl_consumer_address(&q->completion, s));
	for (uint32_t s = nbl_ring_load(q->tx.ring.consumer); s != q->tx.next; s++)
		look(a, &tx, s,
		     ((const struct xdp_desc *)q->tx.ring.entries)[s & (q->tx.ring.size - 1)].addr);
	for (uint32_t i = 0; i < lq->n_free; i++)
		look(a, &list, i, (uint64_t)lq->free[i] << a->lane->frame_shift);
}

/* True if somebody has 'n', a received frame's, though clones of it may be with the kernel. */
static bool is_in_hands(const struct nbl_lane *lane, const struct nbl *n)
{
	struct nbl_ledger_entry e = nbl_ledger_get(&lane->memory->ledger, n->segment.frame);

	return e.state == NBL_FRAME_HAND || e.state == NBL_FRAME_HELD ||
	       (e.state == NBL_FRAME_TX && e.reason != NBL_SENDS_UNKNOWN &&
		nbl_lane_is_flagged(n, NBL_FLAG_LENT) && !nbl_lane_is_sending(lane, n));
}

/* How many of a list from 'n' on are received frames in hands. */
static int64_t n_in_hands(const struct nbl_lane *lane, const struct nbl *n)
{
	int64_t n_found = 0;

	for (; n; n = n->next)
		n_found += n->kind == NBL_KIND_RECEIVE && is_in_hands(lane, n);
	return n_found;
}

/* Those that no module has: on their way back, waiting for room, or entered and not yet run. */
static int64_t n_under_way(const struct nbl_lane *lane)
{
	int64_t n = 0;

	for (int i = 0; i < NBL_N_SIDES; i++)
		n += n_in_hands(lane, lane->done[i].head);
	for (uint32_t i = 0; i < lane->n_queues; i++)
		n += n_in_hands(lane, lane->queues[i].waiting.head);
	for (int i = 0; i < NBL_N_ENTRIES; i++)
		n += n_in_hands(lane, atomic_load(&lane->entries[i].head));
	return n;
}

/* What modules may hold beside frames in hands: packets in quarantine, and NBLs of the pool. */
static int64_t n_others(const struct nbl_lane *lane)
{
	int64_t n = (int64_t)lane->figures.frames[NBL_FRAME_QUARANTINE];

	if (lane->pool)
		n += lane->pool->free_nbls.n - freelist_n_free(&lane->pool->free_nbls);
	return n;
}

/*
 * Frames in hands: somebody must have a claim on each, and those that have their
 * owner are in the modules' hands, or under way.
 */
static void look_at_hands(struct auditor *a)
{
	const struct nbl_lane *lane = a->lane;
	int64_t n_owned = 0, n_injected = 0, n_held = n_under_way(lane);

	for (uint32_t i = 0; i < lane->n_queues; i++) {
		const struct nbl_lane_queue *lq = &lane->queues[i];

		for (uint32_t f = lq->first_frame; f < lq->first_frame + lq->n_frames; f++) {
			uint32_t claims;

			if (!is_in_hands(lane, &lane->nbls[f]))
				continue;
			claims = atomic_load_explicit(&lane->nbls[f].claims, memory_order_relaxed);
			if (!claims)
				mismatch(a, "hands", f - lq->first_frame, f,
					 "nobody has a claim on it");
			n_owned += !(claims & NBL_CLAIM_OWNER_GONE);
			/* an absorbed original may be on a path once more (IN-12) */
			n_injected += claims & NBL_CLAIM_OWNER_GONE &&
				      lane->nbls[f].nbl_flags & NBL_FLAG_INJECTED;
		}
	}
	for (uint32_t i = 0; i < lane->n_filters; i++)
		n_held += lane->filters[i]->f.held;
	if (n_held < n_owned || n_held > n_owned + n_injected + n_others(lane))
		differ(a, "packets that modules hold and frames in hands", (uint64_t)n_held,
		       (uint64_t)n_owned);
}

static void look_at_sends(struct auditor *a)
{
	uint32_t frame;
	const char *fault = nbl_lane_sends_fault(a->lane, &frame);

	if (fault)
		mismatch(a, "sends", 0, frame, fault);
}

/* The counts kept move by move against the ledger's own, and against each other. */
static void compare_counts(struct auditor *a)
{
	struct nbl_lane *lane = a->lane;
	uint64_t states[NBL_N_FRAME_STATES] = { 0 };
	uint64_t n_free = 0, explained = nbl_figures_in_flight(&lane->figures);

	for (uint32_t i = 0; i < lane->n_queues; i++) {
		uint32_t counts[NBL_N_FRAME_STATES];

		nbl_ledger_count(&lane->memory->ledger, lane->queues[i].first_frame,
				 lane->queues[i].n_frames, counts);
		for (int s = 0; s < NBL_N_FRAME_STATES; s++)
			states[s] += counts[s];
		if (counts[NBL_FRAME_FILL] != lane->queues[i].n_posted)
			differ(a, "frames posted and those counted as posted",
			       counts[NBL_FRAME_FILL], lane->queues[i].n_posted);
		n_free += lane->queues[i].n_free;
		a->audit->frames += lane->queues[i].n_frames;
	}
	for (int s = 0; s < NBL_N_FRAME_STATES; s++)
		if (states[s] != lane->figures.frames[s])
			differ(a, nbl_frame_state_name((enum nbl_frame_state)s), states[s],
			       lane->figures.frames[s]);
	if (n_free != states[NBL_FRAME_FREE])
		differ(a, "frames listed as free and free ones", n_free, states[NBL_FRAME_FREE]);
	for (int i = 0; i < NBL_N_OUTCOMES; i++)
		explained += lane->figures.outcomes[i];
	if (lane->figures.received != explained)
		differ(a, "packets received and those with an outcome or in flight",
		       lane->figures.received, explained);
	explained = (uint64_t)lane->figures.originated.in_flight;
	for (int i = 0; i < NBL_N_OUTCOMES; i++)
		explained += lane->figures.originated.outcomes[i];
	if (lane->figures.originated.entered != explained)
		differ(a, "NBLs that entered and those with an outcome or in flight",
		       lane->figures.originated.entered, explained);
	a->audit->quarantined += states[NBL_FRAME_QUARANTINE];
	a->audit->violations += lane->figures.violations;
}

int nbl_lane_audit(struct nbl_lane *lane, struct nbl_audit *audit)
{
	struct auditor a = { .lane = lane, .audit = audit };

	a.seen = calloc(lane->memory->ledger.n_frames, 1);
	if (!a.seen)
		return -ENOMEM;
	for (uint32_t i = 0; i < lane->n_queues; i++)
		look_at_queue(&a, &lane->queues[i]);
	look_at_hands(&a);
	look_at_sends(&a);
	compare_counts(&a);
	free(a.seen);
	return 0;
}

static void count_entered(void *arg, const struct nbl *n, const struct nbl_pins *pins)
{
	uint64_t *n_found = arg;

	(void)pins;
	*n_found += n->has_entered;
}

/* What has entered is of the adapter's pool, or of those that modules made. */
static void look_at_entered(struct auditor *a)
{
	uint64_t n_here = 0, n_elsewhere = 0;
	int64_t n_counted = 0;

	for (const struct nbl_pool *p = nbl_pool_next(NULL); p; p = nbl_pool_next(p))
		nbl_pool_visit(p, count_entered, p == a->lane->pool ? &n_here
									       : &n_elsewhere);
	for (uint32_t l = 0; l < a->lane->n_peers; l++)
		n_counted += a->lane->peers[l].figures.originated.in_flight;
	if (n_counted < (int64_t)n_here || n_counted > (int64_t)(n_here + n_elsewhere))
		differ(a, "NBLs counted as in flight and those that are", (uint64_t)n_counted,
		       n_here + n_elsewhere);
}

void nbl_pool_memory_audit(const struct nbl_lane *lane, struct nbl_audit *audit)
{
	const struct nbl_memory_shape *shape = &lane->memory->shape;
	struct auditor a = { .lane = (struct nbl_lane *)(uintptr_t)lane, .audit = audit };
	uint32_t counts[NBL_N_FRAME_STATES];
	struct nbl_pool_counts pool;

	if (!lane->pool)
		return;
	look_at_entered(&a);
	nbl_ledger_count(&lane->memory->ledger, shape->n_queues * shape->frames_per_queue,
			 shape->n_pool_frames, counts);
	nbl_pool_get_counts(lane->pool, &pool);
	if (counts[NBL_FRAME_FREE] != pool.frames_free)
		differ(&a, "frames the pool has and free ones of it", pool.frames_free,
		       counts[NBL_FRAME_FREE]);
	if (counts[NBL_FRAME_FILL] || counts[NBL_FRAME_HAND])
		differ(&a, "frames of the pool posted for receive, and in hands",
		       counts[NBL_FRAME_FILL], counts[NBL_FRAME_HAND]);
	audit->frames += shape->n_pool_frames;
	audit->quarantined += counts[NBL_FRAME_QUARANTINE];
}
