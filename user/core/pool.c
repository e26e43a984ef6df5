// SPDX-License-Identifier: BSD-2-Clause
/* pool.c - taking NBLs, their pieces and frames from a pool and giving them back. */
#include <errno.h>
#include <string.h>

#include <nbl/window.h>

#include "core/build.h"
#include "core/holding_internal.h"
#include "core/nbl_internal.h"
#include "core/pool_internal.h"

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
	s->part = NULL;
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

void nbl_pool_give_frame(struct nbl_pool *pool, uint32_t slot)
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

	nbl_pool_give_frame(pool, s->record.frame);
	freelist_give(&pool->free_segments, slot);
}

static enum nbl_tier tier_of(enum nbl_kind kind)
{
	if (kind == NBL_KIND_FRESH)
		return NBL_TIER_PRIVATE;
	return kind == NBL_KIND_DEEP_CLONE ? NBL_TIER_PINNED : NBL_TIER_HELD;
}

/* The NBL of a slot just taken, in whatever state its last use left it. */
static struct pool_nbl *place_of(struct nbl_pool *pool, uint32_t slot)
{
	return NBL_UNLIKELY(pool->live) ? nbl_pool_verify_take(pool, slot) : pool_slot(pool, slot);
}

static struct pool_nbl *take_place(struct nbl_pool *pool, uint32_t *ret_slot)
{
	uint32_t slot = freelist_take(&pool->free_nbls);
	struct pool_nbl *p;

	if (slot == POOL_NONE)
		return exhausted(pool);
	p = place_of(pool, slot);
	if (!p) {
		freelist_give(&pool->free_nbls, slot);
		return exhausted(pool);
	}
	*ret_slot = slot;
	return p;
}

static void begin_life(struct nbl_pool *pool, struct pool_nbl *p, uint32_t slot, enum nbl_kind kind)
{
	memset(&p->nbl, 0, sizeof(p->nbl));
	p->nbl.first_nb = &p->nbl.nb;
	p->nbl.home = &pool->home;
	p->nbl.kind = (uint8_t)kind;
	p->nbl.pool_slot = slot;
	p->nbl.info[NBL_INFO_PROTOCOL_ID] = pool->protocol_id;
	atomic_store_explicit(&p->nbl.claims, 1, memory_order_relaxed);
	nbl_bind_context(&p->nbl, p->context_room, (uint16_t)pool->context_size);
	if (kind == NBL_KIND_FRESH || kind == NBL_KIND_DEEP_CLONE) {
		memset(p->context, 0, sizeof(p->context));
		p->nbl.context = p->context;
	}
	p->data_pool = NULL;
	p->has_sum = false;
	p->delta = 0;
	p->record.built_in.frame = POOL_NONE;
	p->record.segments = NULL;
	p->record.more = NULL;
}

int nbl_pool_take_nbl(struct nbl_pool *pool, enum nbl_kind kind, uint16_t holder,
		      struct pool_nbl **ret_nbl)
{
	enum nbl_tier tier = tier_of(kind);
	struct pool_nbl *p;
	uint32_t slot;

	if (!nbl_holding_charge(holder, tier))
		return -EDQUOT;
	p = take_place(pool, &slot);
	if (!p) {
		nbl_holding_uncharge(holder, tier);
		return -ENOBUFS;
	}
	begin_life(pool, p, slot, kind);
	p->charged_to = holder;
	p->tier = (uint8_t)tier;
	p->since_ms = nbl_time_ms();
	*ret_nbl = p;
	return 0;
}

static void give_nb(struct nbl_pool *pool, struct nbl_pool *data_pool, struct nb_record *r)
{
	struct pool_segment *more;

	nbl_nb_drop_prepended(r->nb);
	nbl_pool_give_frame(data_pool, r->built_in.frame);
	for (struct pool_segment *s = r->segments; s; s = more) {
		more = s->more;
		nbl_pool_give_frame(data_pool, s->record.frame);
		freelist_give(&pool->free_segments, s->slot);
	}
	if (r->slot != POOL_NONE)
		freelist_give(&pool->free_nbs, r->slot);
}

void nbl_pool_give(struct pool_nbl *p)
{
	struct nbl_pool *pool = pool_of(&p->nbl);
	uint32_t slot = p->nbl.pool_slot;
	struct nb_record *more;

	for (struct nb_record *r = &p->record; r; r = more) {
		more = r->more;
		give_nb(pool, p->data_pool, r);
	}
	nbl_holding_uncharge(p->charged_to, (enum nbl_tier)p->tier);
	p->nbl.nbl_flags = NBL_FLAG_FREED;
	atomic_store_explicit(&p->nbl.claims, 0, memory_order_relaxed);
	if (NBL_UNLIKELY(pool->live))
		nbl_pool_verify_give(pool, p, slot);
	/* last: nbl_pool_free() may free the pool from here on */
	freelist_give(&pool->free_nbls, slot);
}

void nbl_pool_release(struct nbl_home *home, struct nbl *n)
{
	struct pool_nbl *p = pool_nbl_of(n);

	(void)home;
	if (n->kind != NBL_KIND_FRESH && !nbl_pool_is_as_made(p))
		nbl_violation("RF-14: edits of a clone not undone", p->charged_to);
	nbl_pool_check_bytes(p);
	if (n->kind == NBL_KIND_REASSEMBLED)
		nbl_drop_parts(p);
	nbl_pool_give(p);
}

struct nbl *nbl_pool_alloc(struct nbl_pool *pool)
{
	struct pool_nbl *p;

	return nbl_pool_take_nbl(pool, NBL_KIND_FRESH, nbl_holder_of(NULL), &p) < 0 ?
	       NULL : &p->nbl;
}

int nbl_pool_alloc_over(struct nbl_pool *pool, struct nbl_segment *first, uint32_t offset,
			uint32_t length, struct nbl **ret_nbl)
{
	struct pool_nbl *p;
	struct nbl_nb *nb;
	int r;

	r = nbl_pool_take_nbl(pool, NBL_KIND_FRESH, nbl_holder_of(NULL), &p);
	if (r < 0)
		return r;
	nb = &p->nbl.nb;
	nb->first_segment = first;
	nb->data_offset = offset;
	nb->data_length = length;
	if (!nbl_nb_place(nb)) {
		nbl_pool_give(p);
		return -EINVAL;
	}
	*ret_nbl = &p->nbl;
	return 0;
}

uint32_t nbl_memory_of(const struct nbl *n)
{
	const struct nbl_pool *data_pool;

	/* a shallow one's bytes are its parent's */
	while (n->kind == NBL_KIND_CLONE || n->kind == NBL_KIND_FRAGMENTS ||
	       n->kind == NBL_KIND_REASSEMBLED) {
		if (!n->parent)
			return n->home->memory;
		n = n->parent;
	}
	if (n->kind == NBL_KIND_RECEIVE)
		return n->home->memory;
	data_pool = pool_nbl_of_const(n)->data_pool;
	return data_pool ? data_pool->home.memory : n->home->memory;
}

int nbl_free(struct nbl *n)
{
	if (!n)
		return 0;
	if (nbl_is_foreign(n))
		return -EINVAL;
	if (n->kind != NBL_KIND_FRESH)
		return nbl_violation("PL-03: freed as fresh and is not", nbl_holder_of(n));
	if (n->is_out)
		return nbl_violation("TX-01: freed while it is out", nbl_holder_of(n));
	return nbl_claim_end_owner(n);
}

void nbl_pool_get_counts(const struct nbl_pool *pool, struct nbl_pool_counts *ret_counts)
{
	ret_counts->n_nbls = pool->free_nbls.n;
	ret_counts->nbls_free = freelist_n_free(&pool->free_nbls);
	ret_counts->n_frames = pool->free_frames.n;
	ret_counts->frames_free = freelist_n_free(&pool->free_frames);
	ret_counts->exhausted = atomic_load_explicit(&pool->exhausted, memory_order_relaxed);
	ret_counts->retreats = atomic_load_explicit(&pool->retreats, memory_order_relaxed);
}
