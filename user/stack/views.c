/* SPDX-License-Identifier: BSD-2-Clause */
/* views.c - looks at every NBL without trusting a link in it. */
#include "stack/views_internal.h"

#include <stdio.h>
#include <string.h>

#include <nbl/derive.h>

void viewer_begin(struct viewer *v, const struct nbl_lane *lanes, uint32_t n_lanes, uint32_t now_ms)
{
	*v = (struct viewer){ .lanes = lanes, .n_lanes = n_lanes, .now_ms = now_ms };
	for (struct nbl_pool *p = nbl_pool_next(NULL); p && v->n_pools < NBL_VIEW_POOLS;
	     p = nbl_pool_next(p))
		v->pools[v->n_pools++] = p;
}

/* ---- what may be looked at ---- */

bool viewer_owns(const struct viewer *v, const void *p)
{
	if ((uintptr_t)p % _Alignof(void *))
		return false;
	if (viewer_lies_in(p, v->lanes[0].nbls, viewer_n_received(v) * sizeof(struct nbl)))
		return true;
	for (uint32_t i = 0; i < v->n_pools; i++) {
		const struct nbl_pool *pool = v->pools[i];

		if (viewer_lies_in(p, pool->nbs, pool->free_nbs.n * sizeof(*pool->nbs)) ||
		    viewer_lies_in(p, pool->segments,
				   pool->free_segments.n * sizeof(*pool->segments)) ||
		    (!pool->live &&
		     viewer_lies_in(p, pool->slots, pool->free_nbls.n * pool->stride)))
			return true;
	}
	return false;
}

const struct nbl_nb *viewer_next_nb(const struct viewer *v, const struct nbl *n,
				    const struct nbl_nb *nb)
{
	const struct nbl_nb *next = nb ? nb->next : n->first_nb;

	return next == &n->nb || (next && viewer_owns(v, next)) ? next : NULL;
}

static uint32_t length_of(const struct viewer *v, const struct nbl *n)
{
	const struct nbl_nb *nb = NULL;
	uint32_t length = 0;

	for (int i = 0; i < VIEWER_MOST_LINKS && (nb = viewer_next_nb(v, n, nb)); i++)
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
	if (!parent || !viewer_owns(v, parent))
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

void viewer_fill_receive(const struct viewer *v, uint32_t frame, struct nbl_view_row *row)
{
	const struct nbl_lane_queue *lq = queue_of(v, frame);
	const struct nbl *n = &v->lanes[0].nbls[frame];
	struct nbl_ledger_entry e = nbl_ledger_get(&viewer_memory(v)->ledger, frame);
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
	for (const struct nb_record *r = &p->record; r && links < VIEWER_MOST_LINKS;
	     r = r->more, links++) {
		n += note_frame(r->built_in.frame, ret_first);
		for (const struct pool_segment *s = r->segments; s && links < VIEWER_MOST_LINKS;
		     s = s->more, links++)
			n += note_frame(s->record.frame, ret_first);
	}
	return n;
}

void viewer_fill_pooled(const struct viewer *v, const struct nbl *n, const struct nbl_pins *pins,
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
	if (frame < viewer_memory(v)->ledger.n_frames &&
	    nbl_ledger_get(&viewer_memory(v)->ledger, frame).state == NBL_FRAME_TX)
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

static void walk_receive(const struct walk *w, int phase)
{
	const struct viewer *v = w->v;
	struct nbl_view_row row;

	for (uint32_t f = 0; f < viewer_n_received(v); f++) {
		if (!viewer_is_out(nbl_ledger_get(&viewer_memory(v)->ledger, f).state))
			continue;
		viewer_fill_receive(v, f, &row);
		if (nbl_view_is_held(&row) == (phase == PHASE_HELD))
			w->visit(w->arg, &row, position(phase, row.id));
	}
}

static void visit_pooled(void *arg, const struct nbl *n, const struct nbl_pins *pins)
{
	const struct walk *w = arg;
	struct nbl_view_row row;

	viewer_fill_pooled(w->v, n, pins, &row);
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

	viewer_begin(&v, lanes, n_lanes, now_ms);
	memset(ret, 0, sizeof(*ret));
	walk_all(&w);
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

	viewer_begin(&v, lanes, n_lanes, now_ms);
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
	ret->hidden_copies = nbl_hidden_copies();
}
