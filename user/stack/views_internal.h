/* SPDX-License-Identifier: BSD-2-Clause */
/* views_internal.h - what views.c (all NBLs) and view_nbl.c (one) look with. */
#ifndef STACK_VIEWS_INTERNAL_H
#define STACK_VIEWS_INTERNAL_H

#include <nbl/holding.h>

#include "core/pool_internal.h"
#include "stack/views.h"

#define VIEWER_MOST_LINKS 64	/* NBs of an NBL, and segments of an NB, that are followed */

struct viewer {
	const struct nbl_lane *lanes;
	uint32_t n_lanes;
	uint32_t now_ms;
	struct nbl_pool *pools[NBL_VIEW_POOLS];
	uint32_t n_pools;
};

/* Looks at 'lanes' and all pools (borrows as long as 'v' is used). */
void viewer_begin(struct viewer *v, const struct nbl_lane *lanes, uint32_t n_lanes,
		  uint32_t now_ms);

/* True if 'p' lies in descriptors of a lane or in the pieces of a pool: memory that stays. */
bool viewer_owns(const struct viewer *v, const void *p);

/*
 * The NB after 'nb' (NULL: the first) of 'n' (borrows all); NULL at the end, and for a foreign one.
 */
const struct nbl_nb *viewer_next_nb(const struct viewer *v, const struct nbl *n,
				    const struct nbl_nb *nb);

/* The row of a receive frame's NBL, and of a pool's NBL (fills row; borrows the others). */
void viewer_fill_receive(const struct viewer *v, uint32_t frame, struct nbl_view_row *row);
void viewer_fill_pooled(const struct viewer *v, const struct nbl *n, const struct nbl_pins *pins,
			struct nbl_view_row *row);

static inline const struct nbl_memory *viewer_memory(const struct viewer *v)
{
	return v->lanes[0].memory;
}

static inline uint32_t viewer_n_received(const struct viewer *v)
{
	const struct nbl_memory_shape *s = &viewer_memory(v)->shape;

	return s->n_queues * s->frames_per_queue;
}

static inline bool viewer_lies_in(const void *p, const void *first, uint64_t size)
{
	return (uintptr_t)p - (uintptr_t)first < size;
}

static inline bool viewer_is_out(uint8_t state)
{
	return state == NBL_FRAME_HAND || state == NBL_FRAME_HELD || state == NBL_FRAME_TX;
}

#endif
