/* SPDX-License-Identifier: BSD-2-Clause */
/* views.c - looks at every NBL without trusting a link in it. */
#include "stack/views.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <nbl/holding.h>

#include "core/nbl_internal.h"
#include "core/pool_internal.h"

#define MOST_LINKS 64	/* NBs of an NBL, and segments of an NB, that are followed */

struct viewer {
	const struct nbl_lane *lanes;
	uint32_t n_lanes;
	uint32_t now_ms;
	struct nbl_pool *pools[NBL_VIEW_POOLS];
	uint32_t n_pools;
};

static void begin(struct viewer *v, const struct nbl_lane *lanes, uint32_t n_lanes, uint32_t now_ms)
{
	*v = (struct viewer){ .lanes = lanes, .n_lanes = n_lanes, .now_ms = now_ms };
	for (struct nbl_pool *p = nbl_pool_next(NULL); p && v->n_pools < NBL_VIEW_POOLS;
	     p = nbl_pool_next(p))
		v->pools[v->n_pools++] = p;
}

static const struct nbl_memory *memory_of(const struct viewer *v)
{
	return v->lanes[0].memory;
}

static uint32_t n_receive_frames(const struct viewer *v)
{
	const struct nbl_memory_shape *s = &memory_of(v)->shape;

	return s->n_queues * s->frames_per_queue;
}

/* ---- what may be looked at ---- */

static bool lies_in(const void *p, const void *first, uint64_t size)
{
	return (uintptr_t)p - (uintptr_t)first < size;
}

/* True if 'p' lies in descriptors of a lane or in the pieces of a pool: memory that stays. */
static bool is_ours(const struct viewer *v, const void *p)
{
	if ((uintptr_t)p % _Alignof(void *))
		return false;
	if (lies_in(p, v->lanes[0].nbls, n_receive_frames(v) * sizeof(struct nbl)))
		return true;
	for (uint32_t i = 0; i < v->n_pools; i++) {
		const struct nbl_pool *pool = v->pools[i];

		if (lies_in(p, pool->nbs, pool->free_nbs.n * sizeof(*pool->nbs)) ||
		    lies_in(p, pool->segments, pool->free_segments.n * sizeof(*pool->segments)) ||
		    (!pool->live && lies_in(p, pool->slots, pool->free_nbls.n * pool->stride)))
			return true;
	}
	return false;
}

/* How many bytes from 'p' on lie in the frames of the adapter or of a pool. */
static size_t readable(const struct viewer *v, const uint8_t *p)
{
	const struct nbl_memory *m = memory_of(v);

	if (lies_in(p, m->frames, m->frames_size))
		return (size_t)(m->frames + m->frames_size - p);
	for (uint32_t i = 0; i < v->n_pools; i++) {
		const struct nbl_pool *pool = v->pools[i];
		size_t size = (size_t)pool->free_frames.n * pool->frame_size;

		if (lies_in(p, pool->frames, size))
			return (size_t)(pool->frames + size - p);
	}
	return 0;
}

static const struct nbl_nb *next_nb(const struct viewer *v, const struct nbl *n,
				    const struct nbl_nb *nb)
{
	const struct nbl_nb *next = nb ? nb->next : n->first_nb;

	return next == &n->nb || (next && is_ours(v, next)) ? next : NULL;
}

static uint32_t length_of(const struct viewer *v, const struct nbl *n)
{
	const struct nbl_nb *nb = NULL;
	uint32_t length = 0;

	for (int i = 0; i < MOST_LINKS && (nb = next_nb(v, n, nb)); i++)
		length += nb->data_length;
	return length;
}

/* ---- rows ---- */

struct nbl_view_id nbl_view_id_of(const struct nbl_lane *lane, const struct nbl *n)
{
	if (n->kind == NBL_KIND_RECEIVE)
		return (struct nbl_view_id){ .pool = 0, .index = (uint32_t)(n - lane->nbls) };
	return (struct nbl_view_id){ .pool = pool_of(n)->id, .index = n->pool_slot };
}

static struct nbl_view_id id_of(const struct viewer *v, const struct nbl *n)
{
	return nbl_view_id_of(&v->lanes[0], n);
}

static void fill_parent(const struct viewer *v, const struct nbl *n, struct nbl_view_row *row)
{
	const struct nbl *parent = n->parent;

	/* a VERIFY pool's NBLs are not looked into: their memory may trap by now */
	if (!parent || !is_ours(v, parent))
		return;
	row->has_parent = true;
	row->parent = id_of(v, parent);
}

static void fill_common(const struct viewer *v, const struct nbl *n, const struct nbl_pins *pins,
			struct nbl_view_row *row)
{
	*row = (struct nbl_view_row){
		.id = id_of(v, n), .references = pins->references, .children = pins->children,
		.length = length_of(v, n), .holder = pins->holder, .charged_to = pins->charged_to,
		.n_reference_holders = (uint8_t)pins->n_reference_holders,
		.kind = (uint8_t)pins->kind, .state = NBL_FRAME_HELD,
		.owner_pending = pins->owner_pending,
	};
	memcpy(row->reference_holders, pins->reference_holders, sizeof(row->reference_holders));
	fill_parent(v, n, row);
}

static uint32_t age(const struct viewer *v, uint32_t since_ms)
{
	int32_t ms = (int32_t)(v->now_ms - since_ms);

	return ms > 0 ? (uint32_t)ms : 0;
}

static const struct nbl_lane_queue *queue_of(const struct viewer *v, uint32_t frame)
{
	for (uint32_t l = 0; l < v->n_lanes; l++) {
		const struct nbl_lane *lane = &v->lanes[l];

		for (uint32_t i = 0; i < lane->n_queues; i++)
			if (frame - lane->queues[i].first_frame < lane->queues[i].n_frames)
				return &lane->queues[i];
	}
	return NULL;
}

static void fill_receive(const struct viewer *v, uint32_t frame, struct nbl_view_row *row)
{
	const struct nbl_lane_queue *lq = queue_of(v, frame);
	const struct nbl *n = &v->lanes[0].nbls[frame];
	struct nbl_ledger_entry e = nbl_ledger_get(&memory_of(v)->ledger, frame);
	struct nbl_pins pins;

	nbl_get_pins(n, &pins);
	fill_common(v, n, &pins, row);
	row->state = e.state;
	row->n_frames = 1;
	row->kept_by = e.state == NBL_FRAME_HELD ? e.holder : row->holder;
	row->age_ms = e.state == NBL_FRAME_HELD ? age(v, e.slot) : 0;
	if (lq) {
		row->side = lq->q.side < NBL_N_SIDES ? lq->q.side : NBL_LOWER;
		row->queue = lq->q.index;
	}
}

static bool note_frame(uint32_t slot, uint32_t *first)
{
	if (*first == POOL_NONE)
		*first = slot;
	return slot != POOL_NONE;
}

/* Frames 'p' was made with; the records are the pool's own, so they may be followed. */
static uint32_t count_frames(const struct pool_nbl *p, uint32_t *ret_first)
{
	uint32_t n = 0, links = 0;

	*ret_first = POOL_NONE;
	for (const struct nb_record *r = &p->record; r && links < MOST_LINKS; r = r->more, links++) {
		n += note_frame(r->built_in.frame, ret_first);
		for (const struct pool_segment *s = r->segments; s && links < MOST_LINKS;
		     s = s->more, links++)
			n += note_frame(s->record.frame, ret_first);
	}
	return n;
}

static void fill_pooled(const struct viewer *v, const struct nbl *n, const struct nbl_pins *pins,
			struct nbl_view_row *row)
{
	const struct pool_nbl *p = pool_nbl_of_const(n);
	const struct nbl_pool *data_pool = p->data_pool;
	uint32_t first, frame;

	fill_common(v, n, pins, row);
	row->age_ms = age(v, pins->since_ms);
	row->kept_by = pins->charged_to;
	row->n_frames = count_frames(p, &first);
	if (first == POOL_NONE || !data_pool || data_pool->heap)
		return;
	frame = data_pool->first_frame + first;
	if (frame < memory_of(v)->ledger.n_frames &&
	    nbl_ledger_get(&memory_of(v)->ledger, frame).state == NBL_FRAME_TX)
		row->state = NBL_FRAME_TX;
}

/* ---- all of them ---- */

/* The order of the view: what is held, by frame; pools; what is only being sent. */
enum { PHASE_HELD, PHASE_POOLS, PHASE_SENT };

static uint64_t position(int phase, struct nbl_view_id id)
{
	return ((uint64_t)phase << 56 | (uint64_t)id.pool << 32 | id.index) + 1;
}

struct walk {
	const struct viewer *v;
	void (*visit)(void *arg, const struct nbl_view_row *row, uint64_t position);
	void *arg;
};

static bool is_out(uint8_t state)
{
	return state == NBL_FRAME_HAND || state == NBL_FRAME_HELD || state == NBL_FRAME_TX;
}

static void walk_receive(const struct walk *w, int phase)
{
	const struct viewer *v = w->v;
	struct nbl_view_row row;

	for (uint32_t f = 0; f < n_receive_frames(v); f++) {
		if (!is_out(nbl_ledger_get(&memory_of(v)->ledger, f).state))
			continue;
		fill_receive(v, f, &row);
		if (nbl_view_is_held(&row) == (phase == PHASE_HELD))
			w->visit(w->arg, &row, position(phase, row.id));
	}
}

static void visit_pooled(void *arg, const struct nbl *n, const struct nbl_pins *pins)
{
	const struct walk *w = arg;
	struct nbl_view_row row;

	fill_pooled(w->v, n, pins, &row);
	w->visit(w->arg, &row, position(PHASE_POOLS, row.id));
}

static void walk_all(struct walk *w)
{
	walk_receive(w, PHASE_HELD);
	for (uint32_t i = 0; i < w->v->n_pools; i++)
		nbl_pool_visit(w->v->pools[i], visit_pooled, w);
	walk_receive(w, PHASE_SENT);
}

struct collector {
	uint64_t from;
	struct nbl_view_page *page;
};

static void collect(void *arg, const struct nbl_view_row *row, uint64_t at)
{
	struct collector *c = arg;
	struct nbl_view_page *page = c->page;

	uint16_t holder = nbl_view_holder(row);

	page->n_total++;
	page->by_holder[holder <= NBL_VIEW_KERNEL ? holder : 0]
		       [row->kind == NBL_KIND_RECEIVE ? row->side : NBL_VIEW_POOLED]++;
	if (at < c->from)
		return;
	if (page->n_rows < NBL_VIEW_ROWS)
		page->rows[page->n_rows++] = *row;
	else if (!page->cursor)
		page->cursor = at;
}

void nbl_view_pending(const struct nbl_lane *lanes, uint32_t n_lanes, uint64_t cursor,
		      uint32_t now_ms, struct nbl_view_page *ret)
{
	struct collector c = { .from = cursor, .page = ret };
	struct viewer v;
	struct walk w = { .v = &v, .visit = collect, .arg = &c };

	begin(&v, lanes, n_lanes, now_ms);
	memset(ret, 0, sizeof(*ret));
	walk_all(&w);
}

/* ---- one of them ---- */

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

	for (int i = 0; s && i < MOST_LINKS; s = s->next, i++) {
		bool foreign = !is_ours(v, s);

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

	for (int i = 0; i < MOST_LINKS && (nb = next_nb(v, n, nb)); i++) {
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
	if (frame >= n_receive_frames(v))
		return -ENOENT;
	ret->is_home = !is_out(nbl_ledger_get(&memory_of(v)->ledger, frame).state);
	fill_receive(v, frame, &ret->row);
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
	fill_pooled(v, n, &pins, &ret->row);
	fill_fields(v, n, ret);
	return 0;
}

int nbl_view_nbl(const struct nbl_lane *lanes, uint32_t n_lanes, struct nbl_view_id id,
		 uint32_t now_ms, struct nbl_view_nbl *ret)
{
	struct viewer v;

	begin(&v, lanes, n_lanes, now_ms);
	memset(ret, 0, sizeof(*ret));
	if (!id.pool)
		return view_receive(&v, id.index, ret);
	for (uint32_t i = 0; i < v.n_pools; i++)
		if (v.pools[i]->id == id.pool)
			return view_pooled(&v, v.pools[i], id.index, ret);
	return -ENOENT;
}

/* ---- by holder ---- */

static struct nbl_view_hold *hold_of(struct nbl_view_hold *holds, uint16_t holder)
{
	return &holds[holder < NBL_VIEW_HOLDERS ? holder : 0];
}

static void note_age(struct nbl_view_hold *hold, const struct nbl_view_row *row)
{
	if (row->age_ms > hold->oldest_ms)
		hold->oldest_ms = row->age_ms;
}

static void add_row(void *arg, const struct nbl_view_row *row, uint64_t at)
{
	struct nbl_view_hold *holds = arg;
	uint16_t holder = nbl_view_holder(row);

	(void)at;
	if (!nbl_view_is_held(row))
		return;
	hold_of(holds, holder)->frames += row->kind == NBL_KIND_RECEIVE;
	hold_of(holds, holder)->pending += row->owner_pending && row->state != NBL_FRAME_TX &&
					   row->kind == NBL_KIND_RECEIVE;
	note_age(hold_of(holds, holder), row);
	for (uint32_t i = 0; i < row->n_reference_holders; i++)
		note_age(hold_of(holds, row->reference_holders[i]), row);
}

void nbl_view_holds(const struct nbl_lane *lanes, uint32_t n_lanes, uint32_t now_ms,
		    struct nbl_view_hold ret[NBL_VIEW_HOLDERS])
{
	struct viewer v;
	struct walk w = { .v = &v, .visit = add_row, .arg = ret };

	begin(&v, lanes, n_lanes, now_ms);
	memset(ret, 0, NBL_VIEW_HOLDERS * sizeof(*ret));
	walk_all(&w);
	for (uint16_t id = 0; id < NBL_VIEW_HOLDERS; id++) {
		struct nbl_holding h;

		nbl_holding_get(id, &h);
		ret[id].references = h.references;
		ret[id].clones = h.clones;
		ret[id].deep_clones = h.deep_clones;
		ret[id].copies = h.fresh;
		ret[id].refused = h.refused;
		ret[id].promoted = h.promoted;
		ret[id].over_limit = h.over_limit;
	}
}

/* ---- pools ---- */

void nbl_view_pools(struct nbl_view_pools *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (const struct nbl_pool *p = nbl_pool_next(NULL); p && ret->n_pools < NBL_VIEW_POOLS;
	     p = nbl_pool_next(p)) {
		struct nbl_view_pool *row = &ret->pools[ret->n_pools++];

		row->number = p->id;
		snprintf(row->name, sizeof(row->name), "%s", p->name);
		row->frame_size = p->frame_size;
		row->is_heap = p->heap;
		nbl_pool_get_counts(p, &row->counts);
	}
}
