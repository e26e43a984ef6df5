// SPDX-License-Identifier: BSD-2-Clause
/* pool_new.c - making and freeing pools, and finding them again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/holding_internal.h"
#include "core/nbl_internal.h"
#include "core/pool_internal.h"
#include "core/slab.h"

#define HANDLE_SLOT_BITS 20

/* Extra pieces per NBL, for packets of several NBs or segments, unless the caller says. */
#define EXTRA_NBS 2
#define EXTRA_SEGMENTS 2
#define MAX_CONTEXT_SIZE 32768u

/* All pools by id, so that the 32 bits of nb.flags can name a segment of any of them. */
static struct nbl_pool *_Atomic pools[POOL_MAX_POOLS + 1];

static bool pool_register(struct nbl_pool *pool)
{
	for (uint32_t id = 1; id <= POOL_MAX_POOLS; id++) {
		struct nbl_pool *none = NULL;

		if (atomic_compare_exchange_strong(&pools[id], &none, pool)) {
			pool->id = id;
			return true;
		}
	}
	return false;
}

struct nbl_pool *nbl_pool_next(const struct nbl_pool *pool)
{
	struct nbl_pool *next = NULL;

	for (uint32_t id = pool ? pool->id + 1 : 1; id <= POOL_MAX_POOLS && !next; id++)
		next = atomic_load(&pools[id]);
	return next;
}

uint32_t nbl_pool_segment_handle(const struct pool_segment *s)
{
	return s->pool->id << HANDLE_SLOT_BITS | s->slot;
}

struct pool_segment *nbl_pool_segment_of_handle(uint32_t handle)
{
	struct nbl_pool *pool = atomic_load_explicit(&pools[handle >> HANDLE_SLOT_BITS],
						     memory_order_relaxed);

	return &pool->segments[handle & ((1u << HANDLE_SLOT_BITS) - 1)];
}

static bool frames_are_possible(const struct nbl_pool_params *params)
{
	size_t size;

	if (!params->n_frames)
		return true;
	return params->n_frames < POOL_NONE && params->frame_size &&
	       params->headroom < params->frame_size &&
	       (!params->frames || params->first_frame < NBL_NO_FRAME - params->n_frames) &&
	       !__builtin_mul_overflow((size_t)params->n_frames, params->frame_size, &size);
}

static bool params_are_possible(const struct nbl_pool_params *params)
{
	return params->n_nbls && params->n_nbls <= UINT32_MAX / (EXTRA_NBS + 1) &&
	       params->context_size % sizeof(void *) == 0 &&
	       params->context_size <= MAX_CONTEXT_SIZE &&
	       params->memory < NBL_MAX_MEMORIES && !(params->flags & ~NBL_POOL_VERIFY) &&
	       frames_are_possible(params);
}

/* How many of each piece a pool has beside its NBLs and frames. */
struct pieces {
	uint64_t n_nbs, n_segments;
};

static struct pieces pieces_of(const struct nbl_pool_params *params)
{
	struct pieces n = { .n_nbs = params->n_extra_nbs, .n_segments = params->n_extra_segments };

	if (!n.n_nbs)
		n.n_nbs = (uint64_t)params->n_nbls * EXTRA_NBS;
	if (!n.n_segments)
		n.n_segments = (uint64_t)params->n_nbls * EXTRA_SEGMENTS;
	/* a segment for each frame: then frames run out first where one pool gives both */
	n.n_segments += params->n_frames;
	if (n.n_segments > POOL_MAX_SEGMENTS)
		n.n_segments = POOL_MAX_SEGMENTS;
	return n;
}

static void pool_destroy(struct nbl_pool *pool)
{
	if (pool->live)
		nbl_pool_verify_close(pool);
	else
		free(pool->slots);
	free(pool->nbs);
	free(pool->segments);
	free(pool->heap);
	free(pool->next);
	free(pool);
}

static void *alloc_lines(size_t size)
{
	size_t lines = (size + NBL_CACHE_LINE - 1) / NBL_CACHE_LINE;
	void *p = aligned_alloc(NBL_CACHE_LINE, lines * NBL_CACHE_LINE);

	if (p)
		memset(p, 0, size);
	return p;
}

static size_t whole_lines(size_t size)
{
	return (size + NBL_CACHE_LINE - 1) & ~(size_t)(NBL_CACHE_LINE - 1);
}

/* The memory the NBLs lie in, and makes it known (DM-16). */
static int pool_alloc_slots(struct nbl_pool *pool, const struct nbl_pool_params *params)
{
	pool->stride = whole_lines(sizeof(struct pool_nbl) + params->context_size);
	if (params->flags & NBL_POOL_VERIFY) {
		pool->max_lives = (uint64_t)params->n_nbls * NBL_POOL_VERIFY_LIVES;
		pool->live = calloc(params->n_nbls, sizeof(*pool->live));
		return pool->live ? nbl_pool_verify_open(pool) : -ENOMEM;
	}
	pool->slots = alloc_lines(params->n_nbls * pool->stride);
	return pool->slots ? nbl_slab_add(pool->slots, pool->stride, params->n_nbls) : -ENOMEM;
}

static int pool_alloc_arrays(struct nbl_pool *pool, const struct nbl_pool_params *params,
			     struct pieces n)
{
	uint64_t n_next = params->n_nbls + n.n_nbs + n.n_segments + params->n_frames;

	pool->nbs = alloc_lines(n.n_nbs * sizeof(*pool->nbs));
	pool->segments = alloc_lines(n.n_segments * sizeof(*pool->segments));
	pool->next = calloc(n_next, sizeof(*pool->next));
	if (params->n_frames && params->frames) {
		pool->frames = params->frames;
	} else if (params->n_frames) {
		pool->heap = alloc_lines((size_t)params->n_frames * params->frame_size);
		pool->frames = pool->heap;
		if (!pool->heap)
			return -ENOMEM;
	}
	if (!pool->nbs || !pool->segments || !pool->next)
		return -ENOMEM;
	return pool_alloc_slots(pool, params);
}

void nbl_pool_bind_slot(struct pool_nbl *p, uint32_t slot)
{
	p->record.nb = &p->nbl.nb;
	p->record.segment = &p->nbl.segment;
	p->record.slot = POOL_NONE;
	p->nbl.pool_slot = slot;
}

static void pool_bind_records(struct nbl_pool *pool)
{
	for (uint32_t i = 0; i < pool->free_nbls.n && !pool->live; i++)
		nbl_pool_bind_slot(pool_slot(pool, i), i);
	for (uint32_t i = 0; i < pool->free_nbs.n; i++) {
		struct pool_nb *nb = &pool->nbs[i];

		nb->record.nb = &nb->nb;
		nb->record.segment = &nb->segment;
		nb->record.slot = i;
	}
	for (uint32_t i = 0; i < pool->free_segments.n; i++) {
		pool->segments[i].pool = pool;
		pool->segments[i].slot = i;
	}
}

static void pool_init_lists(struct nbl_pool *pool, const struct nbl_pool_params *params,
			    struct pieces n)
{
	_Atomic uint32_t *next = pool->next;

	freelist_init(&pool->free_nbls, next, params->n_nbls);
	next += params->n_nbls;
	freelist_init(&pool->free_nbs, next, (uint32_t)n.n_nbs);
	next += n.n_nbs;
	freelist_init(&pool->free_segments, next, (uint32_t)n.n_segments);
	next += n.n_segments;
	freelist_init(&pool->free_frames, next, params->n_frames);
}

int nbl_pool_new(const struct nbl_pool_params *params, struct nbl_pool **ret_pool)
{
	struct pieces n = pieces_of(params);
	struct nbl_pool *pool;
	int r;

	if (!params_are_possible(params))
		return -EINVAL;
	pool = alloc_lines(sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	r = pool_alloc_arrays(pool, params, n);
	if (!r && !pool_register(pool))
		r = -ENOMEM;
	if (r < 0) {
		pool_destroy(pool);
		return r;
	}
	pool->home.release = nbl_pool_release;
	pool->home.memory = params->memory;
	pool->protocol_id = params->protocol_id;
	pool->context_size = params->context_size;
	pool->max_segments = params->max_segments;
	pool->frame_size = params->frame_size;
	pool->headroom = params->headroom;
	pool->first_frame = params->first_frame;
	pool->frame_used = params->frame_used;
	pool->arg = params->arg;
	snprintf(pool->name, sizeof(pool->name), "%s", params->name ? params->name : "");
	pool_init_lists(pool, params, n);
	pool_bind_records(pool);
	*ret_pool = pool;
	return 0;
}

int nbl_pool_free(struct nbl_pool *pool)
{
	if (!pool)
		return 0;
	if (!freelist_is_full(&pool->free_frames) || !freelist_is_full(&pool->free_segments) ||
	    !freelist_is_full(&pool->free_nbs) || !freelist_is_full(&pool->free_nbls))
		return -EBUSY;
	atomic_store(&pools[pool->id], NULL);
	if (!pool->live)
		nbl_slab_remove(pool->slots, pool->stride * pool->free_nbls.n);
	pool_destroy(pool);
	return 0;
}

/* The NBL of a slot if it is out, else NULL. */
static const struct nbl *nbl_out(const struct nbl_pool *pool, uint32_t slot)
{
	const struct pool_nbl *p = pool->live ? pool->live[slot] : pool_slot(pool, slot);

	return p && atomic_load_explicit(&p->nbl.claims, memory_order_relaxed) ? &p->nbl : NULL;
}

uint32_t nbl_pool_visit(const struct nbl_pool *pool,
			void (*visit)(void *arg, const struct nbl *n, const struct nbl_pins *pins),
			void *arg)
{
	uint32_t n_out = 0;

	for (uint32_t i = 0; i < pool->free_nbls.n; i++) {
		const struct nbl *n = nbl_out(pool, i);
		struct nbl_pins pins;

		if (!n)
			continue;
		n_out++;
		nbl_get_pins(n, &pins);
		visit(arg, n, &pins);
	}
	return n_out;
}

void nbl_pool_withhold(struct nbl_pool *pool, bool (*is_out)(void *arg, uint32_t frame), void *arg)
{
	uint32_t slot, kept = POOL_NONE;

	/* those that stay free are linked by the list's own storage meanwhile */
	while ((slot = freelist_take(&pool->free_frames)) != POOL_NONE) {
		if (is_out(arg, pool->first_frame + slot))
			continue;
		atomic_store_explicit(&pool->free_frames.next[slot], kept, memory_order_relaxed);
		kept = slot;
	}
	while (kept != POOL_NONE) {
		slot = kept;
		kept = atomic_load_explicit(&pool->free_frames.next[slot], memory_order_relaxed);
		freelist_give(&pool->free_frames, slot);
	}
}
