// SPDX-License-Identifier: BSD-2-Clause
/*
 * reasm_place.c - where a fragment belongs among those that are there.
 *
 * No two may overlap: which of both a receiver would believe, nobody knows, so both are
 * dropped with their datagram (RFC 5722). The very same fragment again is only dropped.
 */
#include <string.h>

#include <nbl/info.h>

#include "modules/reasm.h"

#define COMPARED_AT_ONCE 256u

static void place_set(struct nbl *n, struct reasm_place place)
{
	void *scratch;

	_Static_assert(sizeof(place) == sizeof(scratch), "a place fits into scratch");
	memcpy(&scratch, &place, sizeof(scratch));
	nbl_scratch_set(n, scratch);
}

struct reasm_place reasm_place_of(const struct nbl *n)
{
	void *scratch = nbl_scratch(n);
	struct reasm_place place;

	memcpy(&place, &scratch, sizeof(place));
	return place;
}

static uint32_t end_of(struct reasm_place place)
{
	return (uint32_t)place.offset + place.length;
}

uint16_t reasm_n_frames(const struct nbl *n)
{
	uint16_t n_frames = 0;

	for (const struct nbl_segment *s = n->first_nb->first_segment; s && n_frames < UINT16_MAX;
	     s = s->next)
		n_frames++;
	return n_frames ? n_frames : 1;
}

static bool same_bytes(const struct nbl *a, uint32_t a_at, const struct nbl *b, uint32_t b_at,
		       uint32_t length)
{
	uint8_t a_storage[COMPARED_AT_ONCE], b_storage[COMPARED_AT_ONCE];

	for (uint32_t n; length; length -= n, a_at += n, b_at += n) {
		const uint8_t *x, *y;

		n = length < COMPARED_AT_ONCE ? length : COMPARED_AT_ONCE;
		x = reasm_bytes_at(a->first_nb, a_at, n, a_storage);
		y = reasm_bytes_at(b->first_nb, b_at, n, b_storage);
		if (!x || !y || memcmp(x, y, n))
			return false;
	}
	return true;
}

/* What 'n' is to a piece that it overlaps. */
static enum reasm_reason judge_overlap(const struct reasm_datagram *d, const struct nbl *piece,
				       const struct nbl *n, const struct reasm_fragment *fragment)
{
	struct reasm_place place = reasm_place_of(piece);
	bool is_last = d->end && end_of(place) == d->end;

	if (place.offset != fragment->offset || place.length != fragment->length ||
	    is_last == fragment->more)
		return REASM_OVERLAP;
	return same_bytes(piece, place.payload_at, n, fragment->payload_at, fragment->length)
		       ? REASM_DUPLICATE
		       : REASM_OVERLAP;
}

/* The piece behind which 'fragment' belongs, NULL = in front; or why it belongs nowhere. */
static enum reasm_reason find_place(const struct reasm_datagram *d, const struct nbl *n,
				    const struct reasm_fragment *fragment, struct nbl **ret_before)
{
	uint32_t end = fragment->offset + fragment->length;
	struct nbl *before = NULL, *p = d->pieces.head;

	/* mostly they come in order */
	if (p && end_of(reasm_place_of(d->pieces.tail)) <= fragment->offset) {
		before = d->pieces.tail;
		p = NULL;
	}
	for (; p; p = p->next) {
		struct reasm_place place = reasm_place_of(p);

		if (place.offset >= end)
			break;
		if (end_of(place) > fragment->offset)
			return judge_overlap(d, p, n, fragment);
		before = p;
	}
	*ret_before = before;
	return REASM_FINE;
}

/* True if 'fragment' and what is there do not agree on where the datagram ends. */
static bool contradicts_end(const struct reasm_datagram *d, const struct reasm_fragment *fragment)
{
	uint32_t end = fragment->offset + fragment->length;

	if (d->end)
		return end > d->end || (!fragment->more && end != d->end);
	return !fragment->more && d->pieces.head && end_of(reasm_place_of(d->pieces.tail)) > end;
}

/*
 * True if some said that their sender heeds congestion and others not: then it could not be told
 * of what one of them met (RFC 3168, 5.3).
 */
static bool contradicts_ecn(const struct reasm_datagram *d, const struct reasm_fragment *fragment)
{
	uint8_t all = d->ecn | (uint8_t)(1u << fragment->ecn);

	return all & 1 && all != 1;
}

static void insert(struct reasm_datagram *d, struct nbl *n, struct nbl *before)
{
	if (before == d->pieces.tail || !d->pieces.head) {
		nbl_chain_append(&d->pieces, n);
		return;
	}
	n->next = before ? before->next : d->pieces.head;
	if (before)
		before->next = n;
	else
		d->pieces.head = n;
	d->pieces.n_nbls++;
}

/* What 'fragment' is for the datagram beside its bytes. */
static void note_header(struct reasm_datagram *d, const struct reasm_fragment *fragment)
{
	uint32_t length = fragment->payload_at - fragment->ip_at + fragment->length;

	d->ecn |= (uint8_t)(1u << fragment->ecn);
	if (length > d->longest)
		d->longest = length;
}

enum reasm_reason reasm_keep(struct reasm_lane *l, struct reasm_datagram *d, struct nbl *n,
			     const struct reasm_fragment *fragment)
{
	struct reasm_place place = { .offset = fragment->offset,
				     .length = (uint16_t)fragment->length,
				     .payload_at = (uint16_t)fragment->payload_at,
				     .n_frames = reasm_n_frames(n) };
	struct nbl *before = NULL;
	enum reasm_reason reason;

	reason = find_place(d, n, fragment, &before);
	if (reason == REASM_FINE && contradicts_end(d, fragment))
		reason = REASM_LENGTH;
	if (reason == REASM_FINE && contradicts_ecn(d, fragment))
		reason = REASM_ECN;
	if (reason == REASM_FINE && d->pieces.n_nbls == REASM_MAX_PIECES)
		reason = REASM_TOO_MANY;
	if (reason != REASM_FINE)
		return reason;
	nbl_reference(n, false);
	place_set(n, place);
	insert(d, n, before);
	note_header(d, fragment);
	d->received += fragment->length;
	if (!fragment->more)
		d->end = fragment->offset + fragment->length;
	d->n_frames += place.n_frames;
	l->figures.n_held++;
	l->figures.frames_held += place.n_frames;
	if (l->figures.frames_held > l->figures.frames_most)
		l->figures.frames_most = l->figures.frames_held;
	return REASM_FINE;
}

static void remove_piece(struct reasm_lane *l, struct reasm_datagram *d, struct nbl *n)
{
	struct reasm_place place = reasm_place_of(n);

	d->received -= place.length;
	if (end_of(place) == d->end)
		d->end = 0;
	d->n_frames -= place.n_frames;
	l->figures.n_held--;
	l->figures.frames_held -= place.n_frames;
	nbl_dereference(n);
}

void reasm_cancel(struct reasm_lane *l, struct reasm_datagram *d, uint64_t cancel_id,
		  struct reasm_batch *batch)
{
	struct nbl_chain kept = NBL_CHAIN_EMPTY;
	struct nbl *n;

	while ((n = nbl_chain_pop(&d->pieces))) {
		if (nbl_info_get(n, NBL_INFO_CANCEL_ID) != cancel_id) {
			nbl_chain_append(&kept, n);
			continue;
		}
		remove_piece(l, d, n);
		reasm_refuse(l, n, REASM_DOWN, REASM_CANCELLED, batch);
	}
	d->pieces = kept;
}
