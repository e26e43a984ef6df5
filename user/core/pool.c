// SPDX-License-Identifier: BSD-2-Clause
/* pool.c - a fixed number of NBLs, their pieces and frames. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/nbl_internal.h"
#include "core/pool_internal.h"

#define HANDLE_SLOT_BITS 20

/* Extra pieces per NBL, for packets of several NBs or segments. */
#define EXTRA_NBS 2
#define EXTRA_SEGMENTS 2

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

static void *exhausted(struct nbl_pool *pool)
{
	atomic_fetch_add_explicit(&pool->exhausted, 1, memory_order_relaxed);
	return NULL;
}

struct pool_nb *nbl_pool_take_nb(struct nbl_pool *pool)
{
	uint32_t slot = freelist_take(&pool->free_nbs);

	if (slot == POOL_NONE)
		return exhausted(pool);
	memset(&pool->nbs[slot].nb, 0, sizeof(struct nbl_nb));
	return &pool->nbs[slot];
}

struct pool_segment *nbl_pool_take_segment(struct nbl_pool *pool)
{
	uint32_t slot = freelist_take(&pool->free_segments);
	struct pool_segment *s;

	if (slot == POOL_NONE)
		return exhausted(pool);
	s = &pool->segments[slot];
	s->record.frame = POOL_NONE;
	s->more = NULL;
	return s;
}

/* The number frame_used() is told. */
static uint32_t frame_number(const struct nbl_pool *pool, uint32_t slot)
{
	return pool->heap ? slot : pool->first_frame + slot;
}

uint32_t nbl_pool_take_frame(struct nbl_pool *pool)
{
	uint32_t slot = freelist_take(&pool->free_frames);

	if (slot == POOL_NONE)
		exhausted(pool);
	else if (pool->frame_used)
		pool->frame_used(pool->arg, frame_number(pool, slot), true);
	return slot;
}

static void give_frame(struct nbl_pool *pool, uint32_t slot)
{
	if (slot == POOL_NONE)
		return;
	/* told first: once on the list another thread may take it */
	if (pool->frame_used)
		pool->frame_used(pool->arg, frame_number(pool, slot), false);
	freelist_give(&pool->free_frames, slot);
}

void nbl_pool_map_frame(const struct nbl_pool *pool, uint32_t slot, struct nbl_segment *s)
{
	s->base = pool->frames + (size_t)slot * pool->frame_size;
	s->length = pool->frame_size;
	s->frame = pool->heap ? NBL_NO_FRAME : pool->first_frame + slot;
}

struct pool_segment *nbl_pool_take_frame_segment(struct nbl_pool *pool)
{
	struct pool_segment *s = nbl_pool_take_segment(pool);

	if (!s)
		return NULL;
	s->record.frame = nbl_pool_take_frame(pool);
	if (s->record.frame == POOL_NONE) {
		freelist_give(&pool->free_segments, s->slot);
		return NULL;
	}
	nbl_pool_map_frame(pool, s->record.frame, &s->segment);
	return s;
}

void nbl_pool_give_frame_segment(struct pool_segment *s)
{
	struct nbl_pool *pool = s->pool;
	uint32_t slot = s->slot;

	give_frame(pool, s->record.frame);
	freelist_give(&pool->free_segments, slot);
}

struct pool_nbl *nbl_pool_take_nbl(struct nbl_pool *pool, enum nbl_kind kind)
{
	uint32_t slot = freelist_take(&pool->free_nbls);
	struct pool_nbl *p;

	if (slot == POOL_NONE)
		return exhausted(pool);
	p = &pool->slots[slot];
	memset(&p->nbl, 0, sizeof(p->nbl));
	p->nbl.first_nb = &p->nbl.nb;
	p->nbl.home = &pool->home;
	p->nbl.kind = kind;
	p->nbl.pool_slot = slot;
	atomic_store_explicit(&p->nbl.claims, 1, memory_order_relaxed);
	if (kind != NBL_KIND_CLONE) {
		memset(p->context, 0, sizeof(p->context));
		p->nbl.context = p->context;
	}
	p->data_pool = NULL;
	p->record.built_in.frame = POOL_NONE;
	p->record.segments = NULL;
	p->record.more = NULL;
	return p;
}

static void give_nb(struct nbl_pool *pool, struct nbl_pool *data_pool, struct nb_record *r)
{
	struct pool_segment *more;

	nbl_nb_drop_prepended(r->nb);
	give_frame(data_pool, r->built_in.frame);
	for (struct pool_segment *s = r->segments; s; s = more) {
		more = s->more;
		give_frame(data_pool, s->record.frame);
		freelist_give(&pool->free_segments, s->slot);
	}
	if (r->slot != POOL_NONE)
		freelist_give(&pool->free_nbs, r->slot);
}

void nbl_pool_give(struct pool_nbl *p)
{
	struct nbl_pool *pool = pool_of(&p->nbl);
	struct nb_record *more;

	for (struct nb_record *r = &p->record; r; r = more) {
		more = r->more;
		give_nb(pool, p->data_pool, r);
	}
	p->nbl.nbl_flags = NBL_FLAG_FREED;
	atomic_store_explicit(&p->nbl.claims, 0, memory_order_relaxed);
	/* last: nbl_pool_free() may free the pool from here on */
	freelist_give(&pool->free_nbls, p->nbl.pool_slot);
}

void nbl_pool_seal(struct pool_nbl *p)
{
	for (struct nb_record *r = &p->record; r; r = r->more) {
		r->made_next = r->nb->next;
		r->made_first = r->nb->first_segment;
		r->built_in.made = *r->segment;
		for (struct pool_segment *s = r->segments; s; s = s->more)
			s->record.made = s->segment;
	}
}

static bool segment_is_as_made(const struct nbl_segment *s, const struct nbl_segment *made)
{
	return s->next == made->next && s->base == made->base && s->length == made->length &&
	       s->frame == made->frame;
}

static bool nb_is_as_made(const struct nb_record *r)
{
	if (r->nb->next != r->made_next || r->nb->first_segment != r->made_first ||
	    !segment_is_as_made(r->segment, &r->built_in.made))
		return false;
	for (const struct pool_segment *s = r->segments; s; s = s->more) {
		if (!segment_is_as_made(&s->segment, &s->record.made))
			return false;
	}
	return true;
}

/* Compares a clone with its seal, less what retreats prepended. Never follows its links. */
static bool clone_is_as_made(struct pool_nbl *p)
{
	bool same = p->nbl.first_nb == &p->nbl.nb;

	for (struct nb_record *r = &p->record; r; r = r->more) {
		nbl_nb_drop_prepended(r->nb);
		same = same && nb_is_as_made(r);
	}
	return same;
}

static void pool_release(struct nbl_home *home, struct nbl *n)
{
	struct pool_nbl *p = pool_nbl_of(n);

	(void)home;
	if ((n->kind == NBL_KIND_CLONE || n->kind == NBL_KIND_DEEP_CLONE) && !clone_is_as_made(p))
		nbl_count_violation();
	nbl_pool_give(p);
}

struct nbl *nbl_pool_alloc(struct nbl_pool *pool)
{
	struct pool_nbl *p = nbl_pool_take_nbl(pool, NBL_KIND_FRESH);

	return p ? &p->nbl : NULL;
}

int nbl_free(struct nbl *n)
{
	if (!n)
		return 0;
	if (n->kind != NBL_KIND_FRESH) {
		nbl_count_violation();
		return -EINVAL;
	}
	return nbl_claim_end_owner(n);
}

static bool params_are_possible(const struct nbl_pool_params *params)
{
	size_t size;

	if (!params->n_nbls || params->n_nbls > UINT32_MAX / (EXTRA_NBS + 1))
		return false;
	if (!params->n_frames)
		return true;
	return params->n_frames < POOL_NONE && params->frame_size &&
	       params->headroom < params->frame_size &&
	       (!params->frames || params->first_frame < NBL_NO_FRAME - params->n_frames) &&
	       !__builtin_mul_overflow((size_t)params->n_frames, params->frame_size, &size);
}

static void pool_destroy(struct nbl_pool *pool)
{
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

static bool pool_alloc_arrays(struct nbl_pool *pool, const struct nbl_pool_params *params,
			      uint32_t n_nbs, uint32_t n_segments)
{
	uint64_t n_next = (uint64_t)params->n_nbls + n_nbs + n_segments + params->n_frames;

	pool->slots = alloc_lines(params->n_nbls * sizeof(*pool->slots));
	pool->nbs = alloc_lines(n_nbs * sizeof(*pool->nbs));
	pool->segments = alloc_lines(n_segments * sizeof(*pool->segments));
	pool->next = calloc(n_next, sizeof(*pool->next));
	if (!params->n_frames) {
		pool->frames = NULL;
	} else if (params->frames) {
		pool->frames = params->frames;
	} else {
		pool->heap = alloc_lines((size_t)params->n_frames * params->frame_size);
		pool->frames = pool->heap;
		if (!pool->heap)
			return false;
	}
	return pool->slots && pool->nbs && pool->segments && pool->next;
}

static void pool_bind_records(struct nbl_pool *pool)
{
	for (uint32_t i = 0; i < pool->free_nbls.n; i++) {
		struct pool_nbl *p = &pool->slots[i];

		p->record.nb = &p->nbl.nb;
		p->record.segment = &p->nbl.segment;
		p->record.slot = POOL_NONE;
	}
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
			    uint32_t n_nbs, uint32_t n_segments)
{
	_Atomic uint32_t *next = pool->next;

	freelist_init(&pool->free_nbls, next, params->n_nbls);
	next += params->n_nbls;
	freelist_init(&pool->free_nbs, next, n_nbs);
	next += n_nbs;
	freelist_init(&pool->free_segments, next, n_segments);
	next += n_segments;
	freelist_init(&pool->free_frames, next, params->n_frames);
}

int nbl_pool_new(const struct nbl_pool_params *params, struct nbl_pool **ret_pool)
{
	uint64_t n_nbs, n_segments;
	struct nbl_pool *pool;

	if (!params_are_possible(params))
		return -EINVAL;
	/* a segment for each frame: then frames run out first where one pool gives both */
	n_nbs = (uint64_t)params->n_nbls * EXTRA_NBS;
	n_segments = (uint64_t)params->n_nbls * EXTRA_SEGMENTS + params->n_frames;
	if (n_segments > POOL_MAX_SEGMENTS)
		n_segments = POOL_MAX_SEGMENTS;

	pool = alloc_lines(sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	if (!pool_alloc_arrays(pool, params, n_nbs, n_segments) || !pool_register(pool)) {
		pool_destroy(pool);
		return -ENOMEM;
	}
	pool->home.release = pool_release;
	pool->frame_size = params->frame_size;
	pool->headroom = params->headroom;
	pool->first_frame = params->first_frame;
	pool->frame_used = params->frame_used;
	pool->arg = params->arg;
	snprintf(pool->name, sizeof(pool->name), "%s", params->name ? params->name : "");
	pool_init_lists(pool, params, n_nbs, n_segments);
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
	pool_destroy(pool);
	return 0;
}

void nbl_pool_get_counts(const struct nbl_pool *pool, struct nbl_pool_counts *ret_counts)
{
	ret_counts->n_nbls = pool->free_nbls.n;
	ret_counts->nbls_free = freelist_n_free(&pool->free_nbls);
	ret_counts->n_frames = pool->free_frames.n;
	ret_counts->frames_free = freelist_n_free(&pool->free_frames);
	ret_counts->exhausted = atomic_load_explicit(&pool->exhausted, memory_order_relaxed);
}
