// SPDX-License-Identifier: BSD-2-Clause
/*
 * reasm_out.c - a whole datagram goes on, and its fragments go home after it.
 *
 *   pieces  --nbl_alloc_reassembled-->  whole  --nbl_alloc_fragments-->  own
 *
 * No byte of payload is copied on the way: the pieces stay, referenced, until what was
 * originated over them comes back. Only headers are new.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include <nbl/fragment.h>
#include <nbl/info.h>
#include <nbl/parse.h>
#include <nbl/window.h>

#include "modules/reasm.h"

#define IPV6_HEADER 40u
#define FRAGMENT_HEADER 8u
#define IPV4_DF 0x4000u
#define IPV4_MF 0x2000u
#define LONGEST 65535u

/* The headers of the first fragment, which those of all that is made follow. */
struct headers {
	struct reasm_fragment first;
	uint8_t bytes[REASM_MAX_HEADER];
	uint32_t length;
};

void reasm_pass(struct nbl_filter *f, struct nbl_chain chain, enum reasm_direction direction,
		uint32_t port, uint32_t flags)
{
	if (direction == REASM_UP)
		nbl_filter_indicate(f, chain, port, flags);
	else
		nbl_filter_send(f, chain, port, flags);
}

void reasm_give_back(struct nbl_filter *f, struct reasm_batch *batch)
{
	struct nbl_chain up = nbl_chain_take(&batch->back[REASM_UP]);
	struct nbl_chain down = nbl_chain_take(&batch->back[REASM_DOWN]);

	if (up.head)
		nbl_filter_return(f, up);
	if (down.head)
		nbl_filter_complete(f, down);
}

/* ---- headers ---- */

static bool read_headers(const struct reasm_datagram *d, struct headers *h)
{
	const uint8_t *bytes;

	if (!reasm_parse(d->pieces.head, false, &h->first))
		return false;
	h->length = h->first.payload_at;
	bytes = reasm_bytes_at(d->pieces.head->first_nb, 0, h->length, h->bytes);
	if (!bytes)
		return false;
	if (bytes != h->bytes)
		memcpy(h->bytes, bytes, h->length);
	if (d->ecn & 1u << REASM_ECN_CE)
		h->bytes[h->first.ip_at + 1] |= h->first.key.version == 4 ? 0x03 : 0x30;
	return true;
}

/* What the length field of the whole would say. */
static uint32_t whole_length(const struct reasm_datagram *d, const struct headers *h)
{
	uint32_t header = h->length - h->first.ip_at;

	return d->end +
	       (h->first.key.version == 4 ? header : header - FRAGMENT_HEADER - IPV6_HEADER);
}

static void finish_ipv4(uint8_t *ip, uint32_t header_length, uint32_t length, uint32_t flags)
{
	reasm_put16(ip + 2, header_length + length);
	reasm_put16(ip + 6, (reasm_get16(ip + 6) & IPV4_DF) | flags);
	reasm_put16(ip + 10, 0);
	reasm_put16(ip + 10, reasm_header_sum(ip, header_length));
}

/* Options that are for the first fragment alone become no-operations in the others. */
static void blank_options(uint8_t *ip, uint32_t header_length)
{
	for (uint32_t at = 20, length; at < header_length && ip[at]; at += length) {
		length = ip[at] == 1 || at + 1 == header_length ? 1 : ip[at + 1];
		if (length < 1 || length > header_length - at)
			length = header_length - at;
		if (!(ip[at] & 0x80))
			memset(ip + at, 1, length);
	}
}

/* Writes the headers of the fragment whose payload begins at 'offset' in front of it. */
static void write_fragment(struct headers *h, uint8_t *to, uint32_t offset, uint32_t length,
			   bool more)
{
	uint8_t *ip = h->bytes + h->first.ip_at;
	uint32_t ip_length = h->length - h->first.ip_at;

	if (h->first.key.version == 4) {
		finish_ipv4(ip, ip_length, length, (more ? IPV4_MF : 0) | offset >> 3);
		memcpy(to, h->bytes, h->length);
		if (!offset)
			blank_options(ip, ip_length);
		return;
	}
	reasm_put16(ip + 4, ip_length - IPV6_HEADER + length);
	reasm_put16(h->bytes + h->length - 6, offset | more);
	memcpy(to, h->bytes, h->length);
}

static void write_whole(struct headers *h, struct nbl_nb *nb, uint32_t length)
{
	uint8_t *ip = h->bytes + h->first.ip_at;

	if (h->first.key.version == 4) {
		finish_ipv4(ip, h->length - h->first.ip_at, length, 0);
		memcpy(nbl_nb_data(nb), h->bytes, h->length);
		return;
	}
	h->length -= FRAGMENT_HEADER;
	h->bytes[h->first.named_at] = h->first.next;
	reasm_put16(ip + 4, h->length - h->first.ip_at - IPV6_HEADER + length);
	memcpy(nbl_nb_data(nb), h->bytes, h->length);
}

/* ---- making ---- */

/*
 * One NBL over the payload of all pieces, whose windows are narrowed for it and put back (AR-04).
 */
static int make_whole(const struct nbl_filter *f, struct reasm_datagram *d, uint32_t delta)
{
	const struct reasm *c = f->context;
	const struct nbl_fragment_params params = { .delta = delta, .backfill = c->headroom_below };
	struct nbl *parts[REASM_MAX_PIECES];
	struct nbl_nb saved[REASM_MAX_PIECES];
	uint32_t n = 0;
	int r;

	for (struct nbl *p = d->pieces.head; p; p = p->next, n++) {
		struct reasm_place place = reasm_place_of(p);

		parts[n] = p;
		saved[n] = *p->first_nb;
		nbl_nb_advance(p->first_nb, place.payload_at, false);
		p->first_nb->data_length = place.length;
	}
	r = nbl_alloc_reassembled(parts, n, &params, f->pool, f->pool, &d->whole);
	for (uint32_t i = 0; i < n; i++)
		*parts[i]->first_nb = saved[i];
	d->whole_delta = delta;
	return r;
}

/*
 * Cuts the whole into fragments no longer than the longest that came; not where the headers of
 * the first leave so little room in that that a few would become very many.
 */
static int make_fragments(const struct nbl_filter *f, struct reasm_datagram *d, struct headers *h)
{
	const struct reasm *c = f->context;
	const struct nbl_fragment_params params = {
		.max_length = (d->longest - (h->length - h->first.ip_at)) & ~7u,
		.delta = h->length, .backfill = c->headroom_below };
	uint32_t offset = 0;
	int r;

	if (d->end > params.max_length * REASM_MAX_PIECES)
		return -EMSGSIZE;
	r = nbl_alloc_fragments(d->whole, &params, f->pool, f->pool, &d->own);
	if (r < 0)
		return r;
	d->delta = h->length;
	for (struct nbl_nb *nb = d->own->first_nb; nb; nb = nb->next) {
		uint32_t length = nb->data_length - h->length;

		write_fragment(h, nbl_nb_data(nb), offset, length, nb->next);
		offset += length;
	}
	return 0;
}

static void free_own(struct reasm_datagram *d)
{
	if (d->own != d->whole)
		nbl_free_fragments(d->own, d->delta);
	nbl_free_reassembled(d->whole, d->whole_delta);
	d->own = d->whole = NULL;
}

/* The bytes of its headers if it goes on in one piece, 0 if it may not. */
static uint32_t whole_header(const struct nbl_filter *f, const struct reasm_datagram *d,
			    const struct headers *h)
{
	const struct reasm *c = f->context;
	uint32_t header = h->length - (h->first.key.version == 4 ? 0 : FRAGMENT_HEADER);
	uint32_t most = f->max_length[reasm_direction_of(d) == REASM_UP];

	return c->out_whole && header + d->end <= most ? header : 0;
}

/* Makes d->own. Returns 0 or an error, with nothing made. */
static int make_own(const struct nbl_filter *f, struct reasm_datagram *d, struct headers *h)
{
	uint32_t header = whole_header(f, d, h);
	int r;

	if (!f->pool)
		return -ENOBUFS;
	r = make_whole(f, d, header);
	if (r < 0)
		return r;
	if (header) {
		write_whole(h, d->whole->first_nb, d->end);
		d->own = d->whole;
		return 0;
	}
	r = make_fragments(f, d, h);
	if (r < 0) {
		d->own = d->whole;
		free_own(d);
	}
	return r;
}

/*
 * What is known of the first fragment holds for what was made, but for what a device proved of its
 * bytes.
 */
static void describe(const struct nbl_filter *f, struct reasm_datagram *d)
{
	const struct reasm_lane *l = f->lane_state;
	struct nbl *own = d->own;

	if (reasm_direction_of(d) == REASM_UP)
		nbl_info_copy_receive(own, d->pieces.head);
	else
		nbl_info_copy_send(own, d->pieces.head);
	nbl_info_set(own, NBL_INFO_CHECKSUM, 0);
	nbl_parse(own);
	nbl_filter_own(f, own);
	own->protocol_reserved[0] = (void *)(uintptr_t)(d - l->datagrams);
}

static int originate(struct nbl_filter *f, struct reasm_datagram *d)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	nbl_chain_append(&chain, d->own);
	if (reasm_direction_of(d) == REASM_UP)
		return nbl_filter_originate_receive(f, chain, d->key.port, 0);
	return nbl_filter_originate_send(f, chain, d->key.port, 0);
}

/* The pieces go on as they came. */
static void fall_back(struct nbl_filter *f, struct reasm_datagram *d)
{
	enum reasm_direction direction = reasm_direction_of(d);
	struct reasm_lane *l = reasm_lane_of(f);
	struct nbl_chain pieces = reasm_take_pieces(l, d);
	uint32_t port = d->key.port;

	l->figures.n_fallbacks++;
	l->figures.n_passed += pieces.n_nbls;
	reasm_close(l, f->context, d);
	reasm_pass(f, pieces, direction, port, 0);
}

void reasm_go_on(struct nbl_filter *f, struct reasm_datagram *d, struct reasm_batch *batch)
{
	struct reasm_lane *l = reasm_lane_of(f);
	uint64_t *count = &l->figures.n_cut;
	struct headers h;

	if (!read_headers(d, &h) || whole_length(d, &h) > LONGEST) {
		reasm_drop(l, f->context, d, REASM_TOO_LONG, batch);
		return;
	}
	if (make_own(f, d, &h) < 0) {
		fall_back(f, d);
		return;
	}
	if (d->own == d->whole)
		count = &l->figures.n_whole;
	describe(f, d);
	/* counted first: it may be back before originating returns, and 'd' another's */
	(*count)++;
	if (originate(f, d) < 0) {
		(*count)--;
		free_own(d);
		fall_back(f, d);
	}
}

/* Whose 'own' is: by what it carries, or, had somebody overwritten that, by asking all. */
static struct reasm_datagram *datagram_of(struct reasm_lane *l, const struct nbl *own)
{
	uintptr_t number = (uintptr_t)own->protocol_reserved[0];

	if (number <= l->n_touched && l->datagrams[number].own == own)
		return &l->datagrams[number];
	for (uint32_t i = 1; i <= l->n_touched; i++)
		if (l->datagrams[i].own == own)
			return &l->datagrams[i];
	return NULL;
}

void reasm_own_ended(struct nbl_filter *f, struct nbl *own, struct reasm_batch *batch)
{
	struct reasm_lane *l = reasm_lane_of(f);
	struct reasm_datagram *d = datagram_of(l, own);
	enum nbl_status status = (enum nbl_status)own->status;
	struct nbl_chain pieces;

	if (!d)
		return;
	free_own(d);
	pieces = reasm_take_pieces(l, d);
	l->figures.n_used += pieces.n_nbls;
	for (struct nbl *n = pieces.head; n; n = n->next) {
		n->outcome = NBL_OUTCOME_CONSUMED;
		n->status = status;
	}
	nbl_chain_join(&batch->back[reasm_direction_of(d)], &pieces);
	reasm_close(l, f->context, d);
}
