// SPDX-License-Identifier: BSD-2-Clause
/* pool_record.c - what an NBL was made of, compared with what comes back. */
#include <string.h>

#include "core/nbl_internal.h"
#include "core/pool_internal.h"

/* FNV-1a over words, for speed; the tail by bytes. */
static uint64_t fold_bytes(uint64_t sum, const uint8_t *bytes, uint32_t length)
{
	const uint64_t prime = 0x100000001b3ull;
	uint64_t word;

	for (; length >= sizeof(word); length -= sizeof(word), bytes += sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		sum = (sum ^ word) * prime;
		sum ^= sum >> 29;
	}
	for (; length; length--)
		sum = (sum ^ *bytes++) * prime;
	return sum;
}

static uint64_t fold_segment(uint64_t sum, const struct nbl_segment *s)
{
	return s->length ? fold_bytes(sum, s->base, s->length) : sum;
}

/* Of all bytes 'p' was made over, wherever its window is now. */
static uint64_t sum_of(const struct pool_nbl *p)
{
	uint64_t sum = 0xcbf29ce484222325ull;

	for (const struct nb_record *r = &p->record; r; r = r->more) {
		if (r->made_first == r->segment)
			sum = fold_segment(sum, &r->built_in.made);
		for (const struct pool_segment *s = r->segments; s; s = s->more)
			sum = fold_segment(sum, &s->record.made);
	}
	return sum;
}

void nbl_pool_check_bytes(struct pool_nbl *p)
{
	if (!p->has_sum)
		return;
	p->has_sum = false;
	if (sum_of(p) != p->sum)
		nbl_violation("RF-07: bytes written that no reference announced", p->charged_to);
}

void nbl_pool_seal(struct pool_nbl *p, bool check_bytes)
{
	for (struct nb_record *r = &p->record; r; r = r->more) {
		r->made_next = r->nb->next;
		r->made_first = r->nb->first_segment;
		r->built_in.made = *r->segment;
		for (struct pool_segment *s = r->segments; s; s = s->more)
			s->record.made = s->segment;
	}
	if (check_bytes) {
		p->sum = sum_of(p);
		p->has_sum = true;
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

bool nbl_pool_is_as_made(struct pool_nbl *p)
{
	bool same = p->nbl.first_nb == &p->nbl.nb;

	for (struct nb_record *r = &p->record; r; r = r->more) {
		nbl_nb_drop_prepended(r->nb);
		same = same && nb_is_as_made(r);
	}
	return same;
}
