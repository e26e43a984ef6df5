/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool_memory.c - the adapter's pool: descriptors for clones, and frames its ports can send.
 *
 * Its frames lie behind those of the queues and are in the ledger like them, so that
 * a successor, whose descriptors are new, knows which the kernel is still sending.
 */
#include <nbl/pool.h>

#include "core/pool_internal.h"
#include "stack/lane.h"

#define HEADROOM	256u	/* in front of copies: as much as the kernel leaves */
#define LEAST_NBLS	4096u
#define CONTEXT_SIZE	256u

/* The ledger's part of taking and giving frames: any thread. */
static void note_use(void *arg, uint32_t frame, bool used)
{
	const struct nbl_ledger_entry to = { .state = used ? NBL_FRAME_HELD : NBL_FRAME_FREE,
					     .reason = used ? NBL_HOLD_POOL : 0 };

	nbl_ledger_set(arg, frame, to);
}

static const struct nbl_lane_queue *queue_number(const struct nbl_lane *lanes, uint32_t n_lanes,
						 uint16_t number)
{
	for (uint32_t l = 0; l < n_lanes; l++)
		for (uint32_t i = 0; i < lanes[l].n_queues; i++)
			if (lanes[l].queues[i].q.number == number)
				return &lanes[l].queues[i];
	return NULL;
}

/* True if the entry in 'slot' of that queue's TX ring was shown to the kernel. */
static bool is_with_kernel(const struct nbl_lane_queue *lq, uint32_t slot)
{
	return lq && slot - lq->q.tx.next >= lq->q.tx.ring.size;
}

/*
 * What a dead worker's pool frame is now: free, but for
 * those the kernel has, and those beyond help.
 */
static struct nbl_ledger_entry adopted(const struct nbl_lane *lanes, uint32_t n_lanes,
				       struct nbl_ledger_entry e)
{
	if (e.state == NBL_FRAME_TX && e.reason) {
		e.reason = NBL_SENDS_UNKNOWN;
		return e;
	}
	if (e.state == NBL_FRAME_TX &&
	    is_with_kernel(queue_number(lanes, n_lanes, e.holder), e.slot))
		return e;
	e.state = e.state >= NBL_FRAME_QUARANTINE ? NBL_FRAME_QUARANTINE : NBL_FRAME_FREE;
	return (struct nbl_ledger_entry){ .state = e.state };
}

static void adopt_frames(struct nbl_lane *lanes, uint32_t n_lanes, struct nbl_memory *m,
			 bool is_fresh)
{
	uint32_t first = m->shape.n_queues * m->shape.frames_per_queue;
	bool awaits_drain = false;

	for (uint32_t f = first; f < m->ledger.n_frames; f++) {
		struct nbl_ledger_entry e = { .state = NBL_FRAME_FREE };

		if (!is_fresh)
			e = adopted(lanes, n_lanes, nbl_ledger_get(&m->ledger, f));
		nbl_ledger_set(&m->ledger, f, e);
		awaits_drain |= e.state == NBL_FRAME_TX && e.reason == NBL_SENDS_UNKNOWN;
	}
	for (uint32_t l = 0; l < n_lanes; l++)
		lanes[l].awaits_drain = awaits_drain;
}

static bool is_out(void *arg, uint32_t frame)
{
	return nbl_ledger_get(arg, frame).state != NBL_FRAME_FREE;
}

int nbl_lanes_make_pool(struct nbl_lane *lanes, uint32_t n_lanes, struct nbl_memory *memory,
			enum nbl_takeover takeover, struct nbl_pool **ret_pool)
{
	const struct nbl_memory_shape *s = &memory->shape;
	uint32_t n_received = s->n_queues * s->frames_per_queue;
	uint32_t n_nbls = s->n_pool_frames * 2 + n_received / 4;
	struct nbl_pool_params params = {
		.name = "adapter", .n_nbls = n_nbls > LEAST_NBLS ? n_nbls : LEAST_NBLS,
		.n_frames = s->n_pool_frames, .frame_size = s->frame_size,
		.headroom = s->frame_size > 2 * HEADROOM ? HEADROOM : 0,
		.frames = memory->frames + (size_t)n_received * s->frame_size,
		.first_frame = n_received, .arg = &memory->ledger,
		.context_size = CONTEXT_SIZE, .n_extra_segments = 0,
	};
	int r;

	adopt_frames(lanes, n_lanes, memory, takeover == NBL_TAKEOVER_FRESH);
	if (!s->n_pool_frames)
		params.frames = NULL;
	r = nbl_pool_new(&params, ret_pool);
	if (r < 0)
		return r;
	nbl_pool_withhold(*ret_pool, is_out, &memory->ledger);
	(*ret_pool)->frame_used = note_use;
	for (uint32_t l = 0; l < n_lanes; l++) {
		lanes[l].pool = *ret_pool;
		lanes[l].peers = lanes;
		lanes[l].n_peers = n_lanes;
	}
	return 0;
}
