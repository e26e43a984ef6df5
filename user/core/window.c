// SPDX-License-Identifier: BSD-2-Clause
/* window.c - moving, viewing and copying the used data of an NB. */
#include <errno.h>
#include <string.h>

#include <nbl/pool.h>
#include <nbl/window.h>

#include "core/nbl_internal.h"
#include "core/pool_internal.h"

/* A place in a list of segments. A boundary is the beginning of the later segment, if any. */
struct place {
	struct nbl_segment *segment;
	uint32_t offset;
};

static struct place place_at(struct nbl_segment *s, uint32_t offset)
{
	while (s && s->next && offset >= s->length) {
		offset -= s->length;
		s = s->next;
	}
	return (struct place){ .segment = s, .offset = offset };
}

static void set_current(struct nbl_nb *nb, struct place at)
{
	nb->current_segment = at.segment;
	nb->current_offset = at.offset;
}

bool nbl_nb_is_sound(const struct nbl_nb *nb)
{
	struct place at = place_at(nb->first_segment, nb->data_offset);
	uint64_t needed, room = 0;

	if (at.segment != nb->current_segment || at.offset != nb->current_offset)
		return false;
	if (!at.segment)
		return !nb->data_offset && !nb->data_length;
	if (at.offset > at.segment->length || nb->data_length > UINT32_MAX - nb->data_offset)
		return false;
	needed = (uint64_t)at.offset + nb->data_length;
	for (const struct nbl_segment *s = at.segment; s && room < needed; s = s->next)
		room += s->length;
	return room >= needed;
}

bool nbl_nb_place(struct nbl_nb *nb)
{
	set_current(nb, place_at(nb->first_segment, nb->data_offset));
	return nbl_nb_is_sound(nb);
}

/* True if a frame of 'pool' has room in front of 'nb', or an error. */
static int can_prepend(const struct nbl_nb *nb, uint32_t delta, uint32_t backfill,
		       const struct nbl_pool *pool)
{
	uint32_t size;

	if (delta > UINT32_MAX - nb->data_length || __builtin_add_overflow(delta, backfill, &size))
		return -EINVAL;
	if (!pool || !pool->free_frames.n)
		return -ENOBUFS;
	if (size > pool->frame_size || nb->data_length > UINT32_MAX - pool->frame_size)
		return -EINVAL;
	return 1;
}

/* 0: only offsets move; 1: a segment is needed; or an error. */
static int retreat_needs_segment(const struct nbl_nb *nb, uint32_t delta, uint32_t backfill,
				 const struct nbl_pool *pool)
{
	return delta <= nb->data_offset ? 0 : can_prepend(nb, delta, backfill, pool);
}

static void retreat_in_place(struct nbl_nb *nb, uint32_t delta)
{
	nb->data_offset -= delta;
	nb->data_length += delta;
	if (delta <= nb->current_offset)
		nb->current_offset -= delta;
	else
		set_current(nb, place_at(nb->first_segment, nb->data_offset));
}

/*
 * Puts 's' where the used data begins. The unused bytes before it are set aside,
 * so that all new bytes are in 's' alone: a header stays in one piece, and bytes
 * shared with others are not written. No existing segment is changed.
 */
static void retreat_into_segment(struct nbl_nb *nb, uint32_t delta, struct pool_segment *s)
{
	struct nbl_segment *current = nb->current_segment;
	struct retreat_record *old = &s->retreat;

	old->first_segment = nb->first_segment;
	old->data_offset = nb->data_offset;
	old->below = nb->flags;
	s->segment.next = current;
	if (nb->current_offset) {
		old->rest = *current;
		old->rest.base += nb->current_offset;
		old->rest.length -= nb->current_offset;
		s->segment.next = &old->rest;
	}
	nb->flags = nbl_pool_segment_handle(s);
	nb->first_segment = &s->segment;
	nb->data_offset = s->segment.length - delta;
	nb->data_length += delta;
	set_current(nb, (struct place){ .segment = &s->segment, .offset = nb->data_offset });
}

int nbl_nb_prepend(struct nbl_nb *nb, uint32_t delta, uint32_t backfill, struct nbl_pool *pool)
{
	int r = can_prepend(nb, delta, backfill, pool);
	struct pool_segment *s;

	if (r < 0)
		return r;
	s = nbl_pool_take_frame_segment(pool);
	if (!s)
		return -ENOBUFS;
	retreat_into_segment(nb, delta, s);
	return 0;
}

/* One more retreat that the headroom did not suffice for (PL-08). */
static void count_slow(struct nbl_pool *pool)
{
	atomic_fetch_add_explicit(&pool->retreats, 1, memory_order_relaxed);
}

int nbl_nb_retreat(struct nbl_nb *nb, uint32_t delta, uint32_t backfill, struct nbl_pool *pool)
{
	int r;

	if (delta <= nb->data_offset) {
		retreat_in_place(nb, delta);
		return 0;
	}
	r = nbl_nb_prepend(nb, delta, backfill, pool);
	if (!r)
		count_slow(pool);
	return r;
}

/* Reserves the segments all NBs of 'n' need. On error nothing is reserved. */
static int reserve_segments(const struct nbl *n, uint32_t delta, uint32_t backfill,
			    struct nbl_pool *pool, struct pool_segment **ret_reserved)
{
	struct pool_segment *s, *reserved = NULL;
	int r = 0;

	for (const struct nbl_nb *nb = n->first_nb; nb && r >= 0; nb = nb->next) {
		r = retreat_needs_segment(nb, delta, backfill, pool);
		if (r <= 0)
			continue;
		s = nbl_pool_take_frame_segment(pool);
		if (!s) {
			r = -ENOBUFS;
			continue;
		}
		s->more = reserved;
		reserved = s;
	}
	if (r >= 0) {
		*ret_reserved = reserved;
		return 0;
	}
	while ((s = reserved)) {
		reserved = s->more;
		nbl_pool_give_frame_segment(s);
	}
	return r;
}

int nbl_retreat(struct nbl *n, uint32_t delta, uint32_t backfill, struct nbl_pool *pool)
{
	struct pool_segment *s, *reserved = NULL;
	int r;

	r = reserve_segments(n, delta, backfill, pool, &reserved);
	if (r < 0)
		return r;
	for (struct nbl_nb *nb = n->first_nb; nb; nb = nb->next) {
		if (delta <= nb->data_offset) {
			retreat_in_place(nb, delta);
			continue;
		}
		s = reserved;
		reserved = s->more;
		retreat_into_segment(nb, delta, s);
		count_slow(pool);
	}
	return 0;
}

/*
 * The segment of a retreat that the list of 'nb' begins with, or NULL; fills ret_link with where
 * its handle is noted. Newer ones may only be kept.
 */
static struct pool_segment *prepended_first(struct nbl_nb *nb, uint32_t **ret_link)
{
	struct pool_segment *s;

	for (*ret_link = &nb->flags; **ret_link; *ret_link = &s->retreat.below) {
		s = nbl_pool_segment_of_handle(**ret_link);
		if (nb->first_segment == &s->segment)
			return s;
	}
	return NULL;
}

/*
 * Takes 's', which the list begins with, off. The used data begins behind it. It is given back,
 * or if it is kept, when 'nb' goes home.
 */
static void unprepend(struct nbl_nb *nb, struct pool_segment *s, uint32_t *link, bool keep)
{
	nb->first_segment = s->retreat.first_segment;
	nb->data_offset = s->retreat.data_offset + nb->data_offset - s->segment.length;
	set_current(nb, place_at(nb->first_segment, nb->data_offset));
	if (keep)
		return;
	*link = s->retreat.below;
	nbl_pool_give_frame_segment(s);
}

/* 'keep': others may show the bytes of segments that hold no used byte any more. */
static int advance(struct nbl_nb *nb, uint32_t delta, bool free_segments, bool keep)
{
	struct pool_segment *s;
	uint32_t *link;

	if (delta > nb->data_length)
		return -EINVAL;
	nb->data_offset += delta;
	nb->data_length -= delta;
	set_current(nb, place_at(nb->current_segment, nb->current_offset + delta));
	if (!free_segments)
		return 0;
	while ((s = prepended_first(nb, &link)) && nb->data_offset >= s->segment.length)
		unprepend(nb, s, link, keep);
	return 0;
}

int nbl_nb_advance(struct nbl_nb *nb, uint32_t delta, bool free_segments)
{
	return advance(nb, delta, free_segments, false);
}

int nbl_advance(struct nbl *n, uint32_t delta, bool free_segments)
{
	/* what it is a part of references it, and is no child */
	bool is_shown = atomic_load_explicit(&n->child_ref_count, memory_order_acquire) ||
			__atomic_load_n(&n->nbl_flags, __ATOMIC_RELAXED) & NBL_FLAG_IS_PART;

	for (struct nbl_nb *nb = n->first_nb; nb; nb = nb->next) {
		if (delta > nb->data_length)
			return -EINVAL;
	}
	for (struct nbl_nb *nb = n->first_nb; nb; nb = nb->next)
		advance(nb, delta, free_segments, is_shown);
	return 0;
}

void nbl_nb_drop_prepended(struct nbl_nb *nb)
{
	while (nb->flags) {
		struct pool_segment *s = nbl_pool_segment_of_handle(nb->flags);

		if (nb->first_segment == &s->segment)
			nb->first_segment = s->retreat.first_segment;
		nb->flags = s->retreat.below;
		nbl_pool_give_frame_segment(s);
	}
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t place_room(struct place at)
{
	return at.segment->length - at.offset;
}

static uint8_t *place_bytes(struct place at)
{
	return at.segment->base + at.offset;
}

static struct place place_in(const struct nbl_nb *nb, uint32_t offset)
{
	return place_at(nb->current_segment, nb->current_offset + offset);
}

static struct place place_after(struct place at, uint32_t length)
{
	return place_at(at.segment, at.offset + length);
}

/* True if 'length' bytes from 'at' on touch the 'run_length' bytes at 'run'. */
static bool touches(struct place at, uint32_t length, const uint8_t *run, uint32_t run_length)
{
	while (length) {
		uint32_t n = min_u32(length, place_room(at));
		const uint8_t *bytes = place_bytes(at);

		if (bytes < run + run_length && run < bytes + n)
			return true;
		length -= n;
		at = place_after(at, n);
	}
	return false;
}

static bool overlap(struct place a, struct place b, uint32_t length)
{
	uint32_t left = length;

	while (left) {
		uint32_t n = min_u32(left, place_room(a));

		if (touches(b, length, place_bytes(a), n))
			return true;
		left -= n;
		a = place_after(a, n);
	}
	return false;
}

uint32_t nbl_nb_copy(struct nbl_nb *dst, uint32_t dst_offset, const struct nbl_nb *src,
		     uint32_t src_offset, uint32_t length)
{
	struct place to, from;
	uint32_t left;

	if (dst_offset >= dst->data_length || src_offset >= src->data_length)
		return 0;
	length = min_u32(length, dst->data_length - dst_offset);
	length = min_u32(length, src->data_length - src_offset);
	to = place_in(dst, dst_offset);
	from = place_in(src, src_offset);
	if (overlap(to, from, length))
		return 0;
	for (left = length; left;) {
		uint32_t n = min_u32(left, min_u32(place_room(to), place_room(from)));

		memcpy(place_bytes(to), place_bytes(from), n);
		to = place_after(to, n);
		from = place_after(from, n);
		left -= n;
	}
	return length;
}

const void *nbl_nb_view(const struct nbl_nb *nb, uint32_t length, void *storage,
			uint32_t align_multiple, uint32_t align_offset)
{
	uint8_t *to = storage;
	struct place at;

	if (length > nb->data_length || !nb->current_segment)
		return NULL;
	if (!align_multiple)
		align_multiple = 1;
	if (length <= nbl_nb_segment_room(nb) &&
	    (uintptr_t)nbl_nb_data(nb) % align_multiple == align_offset % align_multiple)
		return nbl_nb_data(nb);
	if (!storage)
		return NULL;
	at = place_in(nb, 0);
	while (length) {
		uint32_t n = min_u32(length, place_room(at));

		memcpy(to, place_bytes(at), n);
		to += n;
		length -= n;
		at = place_after(at, n);
	}
	return storage;
}
