/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * view_nbl.c - one NBL: its fields, its first bytes, its segments as far as they are the engine's.
 */
#include <errno.h>
#include <string.h>

#include "stack/views_internal.h"

/* How many bytes from 'p' on lie in the frames of the adapter or of a pool. */
static size_t readable(const struct viewer *v, const uint8_t *p)
{
	const struct nbl_memory *m = viewer_memory(v);

	if (viewer_lies_in(p, m->frames, m->frames_size))
		return (size_t)(m->frames + m->frames_size - p);
	for (uint32_t i = 0; i < v->n_pools; i++) {
		const struct nbl_pool *pool = v->pools[i];
		size_t size = (size_t)pool->free_frames.n * pool->frame_size;

		if (viewer_lies_in(p, pool->frames, size))
			return (size_t)(pool->frames + size - p);
	}
	return 0;
}

static void add_segment(struct nbl_view_nbl *ret, uint32_t nb, const struct nbl_segment *s,
			bool foreign)
{
	if (ret->n_segments == NBL_VIEW_SEGMENTS)
		return;
	ret->segments[ret->n_segments++] = (struct nbl_view_segment){
		.nb = nb, .foreign = foreign, .frame = foreign ? NBL_NO_FRAME : s->frame,
		.length = foreign ? 0 : s->length,
	};
}

/* The bytes of 's' from 'skip' on, at most as many as are still wanted of the packet. */
static void read_bytes(const struct viewer *v, const struct nbl_segment *s, uint32_t skip,
		       struct nbl_view_nbl *ret)
{
	uint32_t wanted = ret->data_length < NBL_VIEW_BYTES ? ret->data_length : NBL_VIEW_BYTES;
	size_t there;

	if (skip >= s->length || ret->n_bytes >= wanted)
		return;
	there = readable(v, s->base + skip);
	if (there > s->length - skip)
		there = s->length - skip;
	if (there > wanted - ret->n_bytes)
		there = wanted - ret->n_bytes;
	memcpy(ret->bytes + ret->n_bytes, s->base + skip, there);
	ret->n_bytes += (uint32_t)there;
}

static void fill_segments(const struct viewer *v, uint32_t number, const struct nbl_nb *nb,
			  struct nbl_view_nbl *ret)
{
	uint32_t before = nb->data_offset;
	const struct nbl_segment *s = nb->first_segment;

	for (int i = 0; s && i < VIEWER_MOST_LINKS; s = s->next, i++) {
		bool foreign = !viewer_owns(v, s);

		add_segment(ret, number, s, foreign);
		if (foreign)
			return;
		if (!number)
			read_bytes(v, s, before, ret);
		before -= before < s->length ? before : s->length;
	}
}

static void fill_packets(const struct viewer *v, const struct nbl *n, struct nbl_view_nbl *ret)
{
	const struct nbl_nb *nb = NULL;

	for (int i = 0; i < VIEWER_MOST_LINKS && (nb = viewer_next_nb(v, n, nb)); i++) {
		if (!ret->n_nbs) {
			ret->data_offset = nb->data_offset;
			ret->data_length = nb->data_length;
		}
		fill_segments(v, ret->n_nbs++, nb, ret);
	}
}

static void fill_fields(const struct viewer *v, const struct nbl *n, struct nbl_view_nbl *ret)
{
	ret->nbl_flags = __atomic_load_n(&n->nbl_flags, __ATOMIC_RELAXED);
	ret->source_handle = n->source_handle;
	ret->status = (uint32_t)n->status;
	ret->frame_type = __builtin_bswap16(n->frame_type_be);
	ret->outcome = n->outcome;
	memcpy(ret->info, n->info, sizeof(ret->info));
	if (!ret->is_home)
		fill_packets(v, n, ret);
}

static int view_receive(const struct viewer *v, uint32_t frame, struct nbl_view_nbl *ret)
{
	if (frame >= viewer_n_received(v))
		return -ENOENT;
	ret->is_home = !viewer_is_out(nbl_ledger_get(&viewer_memory(v)->ledger, frame).state);
	viewer_fill_receive(v, frame, &ret->row);
	fill_fields(v, &v->lanes[0].nbls[frame], ret);
	return 0;
}

/* The NBL in a pool's slot, NULL if it cannot be looked at. */
static const struct nbl *pooled(const struct nbl_pool *pool, uint32_t slot)
{
	const struct pool_nbl *p;

	if (slot >= pool->free_nbls.n)
		return NULL;
	p = pool->live ? pool->live[slot] : pool_slot(pool, slot);
	return p ? &p->nbl : NULL;
}

static int view_pooled(const struct viewer *v, const struct nbl_pool *pool, uint32_t slot,
		       struct nbl_view_nbl *ret)
{
	const struct nbl *n = pooled(pool, slot);
	struct nbl_pins pins;

	if (!n)
		return -ENOENT;
	ret->is_home = !atomic_load_explicit(&n->claims, memory_order_relaxed);
	if (ret->is_home && !n->home) {		/* never used */
		ret->row.id = (struct nbl_view_id){ pool->id, slot };
		return 0;
	}
	nbl_get_pins(n, &pins);
	viewer_fill_pooled(v, n, &pins, &ret->row);
	fill_fields(v, n, ret);
	return 0;
}

int nbl_view_nbl(const struct nbl_lane *lanes, uint32_t n_lanes, struct nbl_view_id id,
		 uint32_t now_ms, struct nbl_view_nbl *ret)
{
	struct viewer v;

	viewer_begin(&v, lanes, n_lanes, now_ms);
	memset(ret, 0, sizeof(*ret));
	if (!id.pool)
		return view_receive(&v, id.index, ret);
	for (uint32_t i = 0; i < v.n_pools; i++)
		if (v.pools[i]->id == id.pool)
			return view_pooled(&v, v.pools[i], id.index, ret);
	return -ENOENT;
}
