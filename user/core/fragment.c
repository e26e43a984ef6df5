// SPDX-License-Identifier: BSD-2-Clause
/* fragment.c - clones that cut packets up, put them together, or have headers of their own. */
#include <errno.h>

#include <nbl/fragment.h>
#include <nbl/window.h>

#include "core/build.h"
#include "core/holding_internal.h"
#include "core/nbl_internal.h"

/* Begins an NBL of 'kind' made of 'n', with the pools it needs in place of NULL. */
static int begin(struct nbl_builder *b, const struct nbl *n, enum nbl_kind kind,
		 struct nbl_pool *nbl_pool, struct nbl_pool **data_pool)
{
	if (!nbl_is_usable(n))
		return -EINVAL;
	nbl_default_pools(n, &nbl_pool, data_pool);
	if (!nbl_pool)
		return -ENOBUFS;
	*b = (struct nbl_builder){ .nb = NULL };
	return nbl_pool_take_nbl(nbl_pool, kind, nbl_holder_of(n), &b->p);
}

/* Puts 'delta' bytes of its own in front of each NB of 'n'; its way home frees them. */
static int add_headers(struct nbl *n, uint32_t delta, uint32_t backfill, struct nbl_pool *data_pool)
{
	int r = 0;

	for (struct nbl_nb *nb = n->first_nb; delta && nb && !r; nb = nb->next)
		r = nbl_nb_prepend(nb, delta, backfill, data_pool);
	return r;
}

/* Cuts 'nb' up. */
static int cut(struct nbl_builder *b, const struct nbl_nb *nb,
	       const struct nbl_fragment_params *params)
{
	uint32_t offset = params->start_offset, left = nb->data_length - offset;
	int r = 0;

	while (left && !r) {
		uint32_t length = left < params->max_length ? left : params->max_length;

		r = nbl_build_nb(b);
		if (!r)
			r = nbl_build_share(b, nb, offset, length);
		if (r < 0)
			return r;
		nbl_build_end(b, length);
		offset += length;
		left -= length;
	}
	return r;
}

/* True if every packet of 'n' has more than 'length' bytes. */
static bool is_longer(const struct nbl *n, uint32_t length)
{
	for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next)
		if (nb->data_length <= length)
			return false;
	return n->first_nb;
}

/* Makes what was built the child of 'n' and gives it headers. Takes it on error. */
static int finish(struct pool_nbl *p, struct nbl *n, const struct nbl_fragment_params *params,
		  struct nbl_pool *data_pool)
{
	int r;

	nbl_inherit(&p->nbl, n);
	/* what the original's headers proved is not true of what has none yet, or another's */
	if (p->nbl.kind != NBL_KIND_CLONE)
		p->nbl.nbl_flags &= ~(uint32_t)NBL_FLAGS_PROTOCOL;
	p->delta = params->delta;
	r = nbl_build_adopt(p, n, false);
	if (r < 0)
		return r;
	r = add_headers(&p->nbl, params->delta, params->backfill, data_pool);
	if (r < 0)
		nbl_claim_end_owner(&p->nbl);
	return r;
}

int nbl_alloc_fragments(struct nbl *n, const struct nbl_fragment_params *params,
			struct nbl_pool *nbl_pool, struct nbl_pool *data_pool,
			struct nbl **ret_fragments)
{
	struct nbl_builder b;
	int r;

	r = begin(&b, n, NBL_KIND_FRAGMENTS, nbl_pool, &data_pool);
	if (r < 0)
		return r;
	if (!params->max_length || !is_longer(n, params->start_offset))
		r = -EINVAL;
	for (const struct nbl_nb *nb = n->first_nb; nb && !r; nb = nb->next)
		r = cut(&b, nb, params);
	if (r < 0) {
		nbl_pool_give(b.p);
		return r;
	}
	r = finish(b.p, n, params, data_pool);
	if (!r)
		*ret_fragments = &b.p->nbl;
	return r;
}

/* Appends all packets of 'part' to the one NB of 'b'. Returns 0 or an error; adds to 'length'. */
static int append(struct nbl_builder *b, const struct nbl *part, uint32_t start_offset,
		  uint32_t *length)
{
	if (!nbl_is_usable(part) || !is_longer(part, start_offset))
		return -EINVAL;
	for (const struct nbl_nb *nb = part->first_nb; nb; nb = nb->next) {
		uint32_t more = nb->data_length - start_offset;
		int r;

		if (__builtin_add_overflow(*length, more, length))
			return -EINVAL;
		r = nbl_build_share(b, nb, start_offset, more);
		if (r < 0)
			return r;
	}
	return 0;
}

/* On the account of 'p', whoever ends it: else it would look like another's reference. */
static bool reference_part(const struct pool_nbl *p, struct nbl *part)
{
	uint16_t before = nbl_holder_enter(p->charged_to);
	bool is_taken = nbl_claim_reference(part);

	if (is_taken)
		__atomic_fetch_or(&part->nbl_flags, (uint32_t)NBL_FLAG_IS_PART, __ATOMIC_RELAXED);
	nbl_holder_enter(before);
	return is_taken;
}

static void dereference_part(const struct pool_nbl *p, struct nbl *part)
{
	uint16_t before = nbl_holder_enter(p->charged_to);

	nbl_dereference(part);
	nbl_holder_enter(before);
}

/* The first part is the parent; each other is referenced, and noted where its bytes are. */
static int append_all(struct nbl_builder *b, struct nbl *const *parts, uint32_t n_parts,
		      uint32_t start_offset)
{
	uint32_t length = 0;
	int r;

	r = nbl_build_nb(b);
	for (uint32_t i = 0; i < n_parts && !r; i++) {
		r = append(b, parts[i], start_offset, &length);
		if (r < 0 || !i)
			continue;
		if (!reference_part(b->p, parts[i]))
			return -EINVAL;
		b->nb->segments->part = parts[i];
	}
	nbl_build_end(b, length);
	return r;
}

void nbl_drop_parts(struct pool_nbl *p)
{
	for (struct pool_segment *s = p->record.segments; s; s = s->more) {
		if (s->part)
			dereference_part(p, s->part);
		s->part = NULL;
	}
}

int nbl_alloc_reassembled(struct nbl *const *parts, uint32_t n_parts,
			  const struct nbl_fragment_params *params, struct nbl_pool *nbl_pool,
			  struct nbl_pool *data_pool, struct nbl **ret_nbl)
{
	struct nbl_builder b;
	int r;

	if (!n_parts)
		return -EINVAL;
	r = begin(&b, parts[0], NBL_KIND_REASSEMBLED, nbl_pool, &data_pool);
	if (r < 0)
		return r;
	r = append_all(&b, parts, n_parts, params->start_offset);
	if (r < 0) {
		nbl_drop_parts(b.p);
		nbl_pool_give(b.p);
		return r;
	}
	r = finish(b.p, parts[0], params, data_pool);
	if (!r)
		*ret_nbl = &b.p->nbl;
	return r;
}

static int free_made_with(struct nbl *n, enum nbl_kind kind, uint32_t delta)
{
	if (!n)
		return 0;
	if (nbl_is_foreign(n))
		return -EINVAL;
	if (n->kind != kind || pool_nbl_of(n)->delta != delta)
		return nbl_violation("DV-08: freed otherwise than it was made", nbl_holder_of(n));
	if (n->is_out)
		return nbl_violation("TX-01: freed while it is out", nbl_holder_of(n));
	return nbl_claim_end_owner(n);
}

int nbl_free_fragments(struct nbl *n, uint32_t delta)
{
	return free_made_with(n, NBL_KIND_FRAGMENTS, delta);
}

int nbl_free_reassembled(struct nbl *n, uint32_t delta)
{
	return free_made_with(n, NBL_KIND_REASSEMBLED, delta);
}

/* Shares all of 'n' but the first 'header_length' bytes of each packet. */
static int share_payload(struct nbl_builder *b, const struct nbl *n, uint32_t header_length)
{
	int r = 0;

	for (const struct nbl_nb *nb = n->first_nb; nb && !r; nb = nb->next) {
		uint32_t length = nb->data_length - header_length;

		if (nb->data_length < header_length)
			return -EINVAL;
		r = nbl_build_nb(b);
		if (!r)
			r = nbl_build_share(b, nb, header_length, length);
		if (!r)
			nbl_build_end(b, length);
	}
	return r;
}

int nbl_alloc_partial_clone(struct nbl *n, uint32_t header_length, uint32_t headroom,
			    struct nbl_pool *nbl_pool, struct nbl_pool *data_pool,
			    struct nbl **ret_clone)
{
	const struct nbl_fragment_params params = { .delta = header_length, .backfill = headroom };
	const struct nbl_nb *src;
	struct nbl_builder b;
	int r;

	r = begin(&b, n, NBL_KIND_CLONE, nbl_pool, &data_pool);
	if (r < 0)
		return r;
	r = share_payload(&b, n, header_length);
	if (r < 0) {
		nbl_pool_give(b.p);
		return r;
	}
	r = finish(b.p, n, &params, data_pool);
	if (r < 0)
		return r;
	src = n->first_nb;
	for (struct nbl_nb *nb = b.p->nbl.first_nb; nb; nb = nb->next, src = src->next)
		nbl_nb_copy(nb, 0, src, 0, header_length);
	*ret_clone = &b.p->nbl;
	return 0;
}

uint32_t nbl_nb_n_segments(const struct nbl_nb *nb)
{
	uint32_t offset = nb->current_offset, left = nb->data_length, n = 0;

	for (const struct nbl_segment *s = nb->current_segment; s && left;
	     s = s->next, offset = 0) {
		uint32_t used = s->length - offset < left ? s->length - offset : left;

		n += used > 0;
		left -= used;
	}
	return n;
}
