// SPDX-License-Identifier: BSD-2-Clause
/* build.c - putting an NBL together. */
#include "core/build.h"

#include <errno.h>

#include <nbl/derive.h>
#include <nbl/window.h>

#include "core/holding_internal.h"
#include "core/nbl_internal.h"

int nbl_build_nb(struct nbl_builder *b)
{
	struct pool_nb *nb;

	b->last = NULL;
	if (!b->nb) {
		b->nb = &b->p->record;
		return 0;
	}
	nb = nbl_pool_take_nb(pool_of(&b->p->nbl));
	if (!nb)
		return -ENOBUFS;
	nb->record.built_in.frame = POOL_NONE;
	nb->record.segments = NULL;
	nb->record.more = NULL;
	b->nb->more = &nb->record;
	b->nb->nb->next = &nb->nb;
	b->nb = &nb->record;
	return 0;
}

/* Appends a segment to the NB being made; fills ret_record with where its frame is to be noted. */
static struct nbl_segment *add_segment(struct nbl_builder *b, struct segment_record **ret_record)
{
	struct nbl_segment *s = b->nb->segment;
	struct pool_segment *extra;

	*ret_record = &b->nb->built_in;
	if (!b->last) {
		b->nb->nb->first_segment = s;
	} else {
		extra = nbl_pool_take_segment(pool_of(&b->p->nbl));
		if (!extra)
			return NULL;
		extra->more = b->nb->segments;
		b->nb->segments = extra;
		*ret_record = &extra->record;
		s = &extra->segment;
		b->last->next = s;
	}
	s->next = NULL;
	b->last = s;
	return s;
}

static int add_frame(struct nbl_builder *b)
{
	struct segment_record *record;
	struct nbl_segment *s = add_segment(b, &record);

	if (!s)
		return -ENOBUFS;
	record->frame = nbl_pool_take_frame(b->p->data_pool);
	if (record->frame == POOL_NONE)
		return -ENOBUFS;
	nbl_pool_map_frame(b->p->data_pool, record->frame, s);
	return 0;
}

static void set_window(struct nbl_nb *nb, uint32_t offset, uint32_t length)
{
	nb->current_segment = nb->first_segment;
	nb->current_offset = offset;
	nb->data_offset = offset;
	nb->data_length = length;
}

int nbl_build_share(struct nbl_builder *b, const struct nbl_nb *src, uint32_t offset,
		    uint32_t length)
{
	const struct nbl_segment *from = src->current_segment;
	struct segment_record *record;
	struct nbl_segment *s;

	offset += src->current_offset;
	for (; length; from = from->next) {
		uint32_t room;

		if (offset >= from->length) {
			offset -= from->length;
			continue;
		}
		s = add_segment(b, &record);
		if (!s)
			return -ENOBUFS;
		room = from->length - offset;
		s->base = from->base + offset;
		s->length = room < length ? room : length;
		s->frame = from->frame;
		length -= s->length;
		offset = 0;
	}
	return 0;
}

void nbl_build_end(struct nbl_builder *b, uint32_t length)
{
	set_window(b->nb->nb, 0, length);
}

int nbl_build_frames(struct nbl_builder *b, uint32_t length)
{
	const struct nbl_pool *data_pool = b->p->data_pool;
	uint64_t room = 0, needed = (uint64_t)data_pool->headroom + length;
	int r;

	if (needed > UINT32_MAX || !data_pool->free_frames.n)
		return -ENOBUFS;
	if (data_pool->max_segments &&
	    needed > (uint64_t)data_pool->max_segments * data_pool->frame_size)
		return -EMSGSIZE;
	do {
		r = add_frame(b);
		if (r < 0)
			return r;
		room += data_pool->frame_size;
	} while (room < needed);
	set_window(b->nb->nb, data_pool->headroom, length);
	return 0;
}

void nbl_build_original(struct nbl_builder *b, const struct nbl_nb *src)
{
	struct nbl_nb *nb = b->nb->nb;

	nb->first_segment = src->first_segment;
	nb->current_segment = src->current_segment;
	nb->current_offset = src->current_offset;
	nb->data_offset = src->data_offset;
	nb->data_length = src->data_length;
}

bool nbl_is_usable(const struct nbl *n)
{
	bool usable;

	if (nbl_is_foreign(n))
		return false;
	usable = !(__atomic_load_n(&n->nbl_flags, __ATOMIC_RELAXED) & NBL_FLAG_FREED);
	for (const struct nbl_nb *nb = n->first_nb; usable && nb; nb = nb->next)
		usable = nbl_nb_is_sound(nb);
	if (!usable)
		nbl_violation("DM-04: an NBL that is freed or whose window lies", n->holder);
	return usable;
}

void nbl_inherit(struct nbl *to, const struct nbl *from)
{
	uint32_t flags = __atomic_load_n(&from->nbl_flags, __ATOMIC_RELAXED);

	to->nbl_flags = flags & NBL_FLAGS_PROTOCOL;
	to->frame_type_be = from->frame_type_be;
	to->holder = from->holder;
	to->port = from->port;
	nbl_info_inherit(to, from);
}

int nbl_build_adopt(struct pool_nbl *p, struct nbl *n, bool will_write)
{
	int r;

	nbl_pool_seal(p, !will_write && nbl_check_is_on(NBL_CHECK_BYTES));
	r = nbl_claim_add_child(n, &p->nbl, true);
	if (r < 0) {
		nbl_drop_parts(p);
		nbl_pool_give(p);
		return r;
	}
	nbl_info_inherit_lineage(&p->nbl, n);
	return 0;
}

int nbl_pool_alloc_data(struct nbl_pool *nbl_pool, struct nbl_pool *data_pool, uint32_t length,
			struct nbl **ret_nbl)
{
	struct nbl_builder b = { .nb = NULL };
	int r;

	r = nbl_pool_take_nbl(nbl_pool, NBL_KIND_FRESH, nbl_holder_of(NULL), &b.p);
	if (r < 0)
		return r;
	b.p->data_pool = data_pool;
	r = nbl_build_nb(&b);
	if (!r)
		r = nbl_build_frames(&b, length);
	if (r < 0) {
		nbl_pool_give(b.p);
		return r;
	}
	nbl_pool_seal(b.p, false);
	*ret_nbl = &b.p->nbl;
	return 0;
}
