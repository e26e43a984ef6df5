// SPDX-License-Identifier: BSD-2-Clause
/* derive.c - clones, deep clones and copies of an NBL. */
#include <errno.h>

#include <nbl/derive.h>
#include <nbl/window.h>

#include "core/nbl_internal.h"
#include "core/pool_internal.h"

/* An NBL in the making: its records hold all it has taken so far. */
struct builder {
	struct pool_nbl *p;
	struct nb_record *nb;		/* the NB being made */
	struct nbl_segment *last;	/* its last segment, NULL before the first */
};

static struct nbl_pool *default_nbl_pool, *default_data_pool;

void nbl_set_default_pools(struct nbl_pool *nbl_pool, struct nbl_pool *data_pool)
{
	default_nbl_pool = nbl_pool;
	default_data_pool = data_pool;
}

static int begin_nb(struct builder *b)
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
static struct nbl_segment *add_segment(struct builder *b, struct segment_record **ret_record)
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

static int add_frame(struct builder *b)
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

/* Segments over the used bytes of 'src' and nothing else (DV-02). */
static int share_bytes(struct builder *b, const struct nbl_nb *src)
{
	const struct nbl_segment *from = src->current_segment;
	uint32_t offset = src->current_offset, left = src->data_length;
	struct segment_record *record;
	struct nbl_segment *s;

	for (; left; from = from->next, offset = 0) {
		uint32_t length = from->length - offset;

		if (!length)
			continue;
		s = add_segment(b, &record);
		if (!s)
			return -ENOBUFS;
		s->base = from->base + offset;
		s->length = length < left ? length : left;
		s->frame = from->frame;
		left -= s->length;
	}
	set_window(b->nb->nb, 0, src->data_length);
	return 0;
}

/* Frames for the used bytes of 'src' behind the data pool's headroom; the bytes come later. */
static int reserve_bytes(struct builder *b, const struct nbl_nb *src)
{
	const struct nbl_pool *data_pool = b->p->data_pool;
	uint64_t room = 0;

	if (src->data_length > UINT32_MAX - data_pool->headroom)
		return -ENOBUFS;
	do {
		if (add_frame(b) < 0)
			return -ENOBUFS;
		room += data_pool->frame_size;
	} while (room < (uint64_t)data_pool->headroom + src->data_length);
	set_window(b->nb->nb, data_pool->headroom, src->data_length);
	return 0;
}

/*
 * What describes the bytes goes along; whose it is, where it goes and what became
 * of it do not (DV-10).
 */
static void inherit(struct nbl *to, const struct nbl *from)
{
	uint32_t flags = __atomic_load_n(&from->nbl_flags, __ATOMIC_RELAXED);

	to->nbl_flags = flags & NBL_FLAGS_PROTOCOL;
	to->frame_type_be = from->frame_type_be;
	to->holder = from->holder;
	to->port = from->port;
	to->info[NBL_INFO_CHECKSUM] = from->info[NBL_INFO_CHECKSUM];
	to->info[NBL_INFO_VLAN] = from->info[NBL_INFO_VLAN];
	to->info[NBL_INFO_HASH] = from->info[NBL_INFO_HASH];
	to->info[NBL_INFO_TIMESTAMP] = from->info[NBL_INFO_TIMESTAMP];
}

/* False, counted, if 'n' is back in its pool or a window lies: its bytes cannot be walked. */
static bool is_usable(const struct nbl *n)
{
	bool usable = !(__atomic_load_n(&n->nbl_flags, __ATOMIC_RELAXED) & NBL_FLAG_FREED);

	for (const struct nbl_nb *nb = n->first_nb; usable && nb; nb = nb->next)
		usable = nbl_nb_is_sound(nb);
	if (!usable)
		nbl_count_violation();
	return usable;
}

/*
 * An NBL of 'kind' shaped after 'n', or NULL with nothing taken. It shares the
 * bytes, or with a data pool has room for them.
 */
static struct pool_nbl *derive(const struct nbl *n, enum nbl_kind kind, struct nbl_pool *nbl_pool,
			       struct nbl_pool *data_pool)
{
	struct builder b = { .p = nbl_pool_take_nbl(nbl_pool, kind) };

	if (!b.p)
		return NULL;
	b.p->data_pool = data_pool;
	for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next) {
		int r = begin_nb(&b);

		if (!r)
			r = data_pool ? reserve_bytes(&b, nb) : share_bytes(&b, nb);
		if (r < 0) {
			nbl_pool_give(b.p);
			return NULL;
		}
	}
	inherit(&b.p->nbl, n);
	nbl_pool_seal(b.p);
	return b.p;
}

static void copy_bytes(struct nbl *to, const struct nbl *from)
{
	const struct nbl_nb *src = from->first_nb;

	for (struct nbl_nb *nb = to->first_nb; src; nb = nb->next, src = src->next)
		nbl_nb_copy(nb, 0, src, 0, src->data_length);
}

struct nbl *nbl_alloc_clone(struct nbl *n, struct nbl_pool *pool)
{
	struct pool_nbl *p;

	if (!pool)
		pool = default_nbl_pool;
	if (!pool || !is_usable(n))
		return NULL;
	p = derive(n, NBL_KIND_CLONE, pool, NULL);
	if (!p)
		return NULL;
	if (nbl_claim_add_child(n) < 0) {
		nbl_pool_give(p);
		return NULL;
	}
	p->nbl.parent = n;
	return &p->nbl;
}

/* An NBL of 'kind' with its own copy of the bytes of 'n' and no parent. */
static int derive_copy(const struct nbl *n, enum nbl_kind kind, struct nbl_pool *nbl_pool,
		       struct nbl_pool *data_pool, struct nbl **ret_copy)
{
	struct pool_nbl *p;

	if (!nbl_pool)
		nbl_pool = default_nbl_pool;
	if (!data_pool)
		data_pool = default_data_pool;
	if (!nbl_pool || !data_pool)
		return -ENOBUFS;
	if (!is_usable(n))
		return -EINVAL;
	p = derive(n, kind, nbl_pool, data_pool);
	if (!p)
		return -ENOBUFS;
	copy_bytes(&p->nbl, n);
	*ret_copy = &p->nbl;
	return 0;
}

int nbl_alloc_deep_clone(struct nbl *n, struct nbl_pool *nbl_pool, struct nbl_pool *data_pool,
			 struct nbl **ret_clone)
{
	struct nbl *clone;
	int r;

	r = derive_copy(n, NBL_KIND_DEEP_CLONE, nbl_pool, data_pool, &clone);
	if (r < 0)
		return r;
	r = nbl_claim_add_child(n);
	if (r < 0) {
		nbl_pool_give(pool_nbl_of(clone));
		return r;
	}
	clone->parent = n;
	*ret_clone = clone;
	return 0;
}

int nbl_alloc_copy(const struct nbl *n, struct nbl_pool *nbl_pool, struct nbl_pool *data_pool,
		   struct nbl **ret_copy)
{
	return derive_copy(n, NBL_KIND_FRESH, nbl_pool, data_pool, ret_copy);
}
