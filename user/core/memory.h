/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.h - one adapter's memory: header, ledger, statistics, frames.
 *
 * A memfd that the keeper makes and every worker of the adapter maps in turn;
 * it outlives them all. Each queue of each port owns an equal run of frames
 * for ever (its quota and its frames' home); the pool's frames come last.
 *
 *   | header | ledger: 8 B a frame | statistics: 1 block a lane | frames |
 *
 * The frames part is what each port registers as its UMEM: frame f begins at
 * UMEM address f * frame_size.
 */
#ifndef CORE_MEMORY_H
#define CORE_MEMORY_H

#include "core/ledger.h"

#define NBL_MEMORY_MAGIC	0x6e626c64u	/* "nbld" */
#define NBL_MEMORY_LAYOUT	5u		/* counts up with any change to what lies in it */

struct nbl_memory_shape {
	uint32_t frame_size;		/* bytes, a power of two */
	uint32_t n_queues;		/* of both ports together */
	uint32_t frames_per_queue;
	uint32_t n_pool_frames;
	uint32_t n_lanes;
	uint32_t lane_block_size;	/* bytes of statistics per lane */
};

struct nbl_memory {
	int fd;				/* owned */
	uint8_t *base;			/* the whole mapping */
	size_t size;
	struct nbl_memory_shape shape;
	struct nbl_ledger ledger;
	_Atomic bool *link_down;	/* by side: as the keeper knows, no packets leave there */
	uint8_t *lane_blocks;
	uint8_t *frames;
	size_t frames_size;		/* bytes: the UMEM */
};

/*
 * Makes and maps the memory (borrows 'shape'; fills ret: owned,
 * nbl_memory_close()). 0 or negative errno.
 */
NBL_MUST_CHECK int nbl_memory_create(const struct nbl_memory_shape *shape, struct nbl_memory *ret);

/*
 * Maps the memory in 'fd' (takes 'fd'; fills ret: owned, nbl_memory_close()).
 * -EPROTO if what lies there is no memory of this layout; other negative errno.
 */
NBL_MUST_CHECK int nbl_memory_adopt(int fd, struct nbl_memory *ret);

/* Unmaps and closes. A zeroed or closed memory is fine. */
void nbl_memory_close(struct nbl_memory *m);

static inline uint32_t nbl_memory_n_frames(const struct nbl_memory_shape *s)
{
	return s->n_queues * s->frames_per_queue + s->n_pool_frames;
}

static inline void *nbl_memory_lane_block(const struct nbl_memory *m, uint32_t lane)
{
	return m->lane_blocks + (size_t)lane * m->shape.lane_block_size;
}

#endif
