// SPDX-License-Identifier: BSD-2-Clause
/* test_parse.c - what the bytes of a packet prove, and what not. */
#include "unit.h"

#include <nbl/parse.h>

#define MAX_PACKET 160

/*
 * An NBL over 'length' bytes copied to the heap in pieces cut
 * at random, so that reading outside shows.
 */
struct packet {
	struct nbl *n;
	struct nbl_segment segments[6];
	uint8_t *pieces[6];
	uint32_t n_pieces;
};

static void packet_make(struct packet *p, const uint8_t *bytes, uint32_t length,
			struct unit_random *r)
{
	uint32_t at = 0;

	memset(p, 0, sizeof(*p));
	while (at < length || !p->n_pieces) {
		uint32_t left = length - at;
		uint32_t size = p->n_pieces == 5 || !r ? left : unit_random_below(r, left + 1);

		p->pieces[p->n_pieces] = malloc(size ? size : 1);
		memcpy(p->pieces[p->n_pieces], bytes + at, size);
		p->segments[p->n_pieces] = (struct nbl_segment){
			.base = p->pieces[p->n_pieces], .length = size, .frame = NBL_NO_FRAME };
		if (p->n_pieces)
			p->segments[p->n_pieces - 1].next = &p->segments[p->n_pieces];
		p->n_pieces++;
		at += size;
	}
	ck_assert_int_eq(nbl_pool_alloc_over(unit.pool, p->segments, 0, length, &p->n), 0);
}

static void packet_done(struct packet *p)
{
	ck_assert_int_eq(nbl_free(p->n), 0);
	for (uint32_t i = 0; i < p->n_pieces; i++)
		free(p->pieces[i]);
}

static uint16_t frame_type_of(const uint8_t *bytes, uint32_t length)
{
	struct packet p;
	uint16_t type;

	packet_make(&p, bytes, length, NULL);
	type = nbl_frame_type_parse(p.n);
	packet_done(&p);
	return (uint16_t)(type << 8 | type >> 8);
}

START_TEST(DM_09_the_frame_type_is_what_lies_behind_the_tags)
{
	static const struct {
		uint8_t types[12];
		uint32_t n_tags;
		uint16_t frame_type;
	} cases[] = {
		{ { 0x08, 0x00 }, 0, 0x0800 },
		{ { 0x81, 0x00, 0, 5, 0x86, 0xdd }, 1, 0x86dd },
		{ { 0x88, 0xa8, 0, 5, 0x81, 0x00, 0, 6, 0x86, 0xdd }, 2, 0x86dd },
		{ { 0x91, 0x00, 0, 5, 0x08, 0x06 }, 1, 0x0806 },
		{ { 0x00, 0x40 }, 0, 0 },		/* 802.3: a length */
		{ { 0x05, 0xff }, 0, 0 },
		{ { 0x06, 0x00 }, 0, 0x0600 },
	};
	uint8_t bytes[64] = { 0 };
	uint32_t header = 14 + cases[_i].n_tags * 4;

	memcpy(bytes + 12, cases[_i].types, sizeof(cases[_i].types));
	ck_assert_uint_eq(frame_type_of(bytes, 64), cases[_i].frame_type);
	for (uint32_t length = 0; length < 64; length++)
		ck_assert_uint_eq(frame_type_of(bytes, length),
				  length < header ? 0 : cases[_i].frame_type);
}
END_TEST

START_TEST(DM_09_too_many_tags_leave_no_frame_type)
{
	uint8_t bytes[64] = { 0 };

	for (uint32_t i = 0; i <= NBL_MAX_VLAN_TAGS; i++)
		bytes[12 + 4 * i] = 0x81;
	bytes[12 + 4 * NBL_MAX_VLAN_TAGS] = 0x08;
	ck_assert_uint_eq(frame_type_of(bytes, 64), 0x0800);
	bytes[12 + 4 * NBL_MAX_VLAN_TAGS] = 0x81;
	bytes[16 + 4 * NBL_MAX_VLAN_TAGS] = 0x08;
	ck_assert_uint_eq(frame_type_of(bytes, 64), 0);
}
END_TEST

/* Three headers that are whole: Ethernet, IP, and TCP or UDP. */
static uint32_t make_ipv4(uint8_t *b, uint8_t protocol)
{
	memset(b, 0, MAX_PACKET);
	b[12] = 0x08;
	b[14] = 0x45;
	b[17] = 60;			/* total length */
	b[23] = protocol;
	if (protocol == 6)
		b[34 + 12] = 0x50;
	else
		b[34 + 5] = 40;
	return 14 + 60;
}

static uint32_t make_ipv6(uint8_t *b, uint8_t protocol, bool with_options)
{
	uint8_t *l4 = b + 54 + (with_options ? 16 : 0);

	memset(b, 0, MAX_PACKET);
	b[12] = 0x86;
	b[13] = 0xdd;
	b[14] = 0x60;
	b[19] = 60;			/* payload length */
	b[20] = with_options ? 60 : protocol;
	if (with_options) {
		b[54] = 44;		/* destination options, then a first fragment */
		b[62] = protocol;
	}
	if (protocol == 6)
		l4[12] = 0x50;
	else
		l4[5] = 20;
	return 54 + 60;
}

static uint32_t flags_of(const uint8_t *bytes, uint32_t length)
{
	struct packet p;
	uint32_t flags;

	packet_make(&p, bytes, length, NULL);
	flags = nbl_flags_parse(p.n);
	packet_done(&p);
	return flags;
}

START_TEST(DM_14_whole_headers_prove_their_flags)
{
	uint8_t b[MAX_PACKET];

	ck_assert_uint_eq(flags_of(b, make_ipv4(b, 6)), NBL_FLAG_IS_IPV4 | NBL_FLAG_IS_TCP);
	ck_assert_uint_eq(flags_of(b, make_ipv4(b, 17)), NBL_FLAG_IS_IPV4 | NBL_FLAG_IS_UDP);
	ck_assert_uint_eq(flags_of(b, make_ipv4(b, 1)), NBL_FLAG_IS_IPV4);
	ck_assert_uint_eq(flags_of(b, make_ipv6(b, 6, false)), NBL_FLAG_IS_IPV6 | NBL_FLAG_IS_TCP);
	ck_assert_uint_eq(flags_of(b, make_ipv6(b, 17, true)), NBL_FLAG_IS_IPV6 | NBL_FLAG_IS_UDP);
}
END_TEST

START_TEST(DM_14_what_is_cut_short_inconsistent_or_a_later_fragment_proves_less)
{
	uint8_t b[MAX_PACKET];
	uint32_t length = make_ipv4(b, 6);

	ck_assert_uint_eq(flags_of(b, 14 + 59), 0);	/* shorter than the IP header says */
	b[20] = 0x20;					/* the first fragment */
	ck_assert_uint_eq(flags_of(b, length), NBL_FLAG_IS_IPV4 | NBL_FLAG_IS_TCP);
	b[21] = 1;					/* a later one */
	ck_assert_uint_eq(flags_of(b, length), NBL_FLAG_IS_IPV4);
	b[20] = b[21] = 0;
	b[14] = 0x44;					/* a header of 16 bytes */
	ck_assert_uint_eq(flags_of(b, length), 0);
	b[14] = 0x65;
	ck_assert_uint_eq(flags_of(b, length), 0);
	b[14] = 0x45;
	b[34 + 12] = 0x40;				/* a TCP header of 16 bytes */
	ck_assert_uint_eq(flags_of(b, length), NBL_FLAG_IS_IPV4);
	b[34 + 12] = 0xf0;				/* one of 60, in 40 */
	ck_assert_uint_eq(flags_of(b, length), NBL_FLAG_IS_IPV4);
	b[17] = 39;					/* 19 bytes of TCP */
	ck_assert_uint_eq(flags_of(b, length), NBL_FLAG_IS_IPV4);
	length = make_ipv6(b, 17, true);
	b[62 + 2] = 0x01;				/* a later fragment */
	ck_assert_uint_eq(flags_of(b, length), NBL_FLAG_IS_IPV6);
}
END_TEST

START_TEST(DM_14_flags_are_those_of_every_packet_of_the_nbl)
{
	uint8_t a[MAX_PACKET], b[MAX_PACKET];
	struct packet p, q;

	packet_make(&p, a, make_ipv4(a, 6), NULL);
	packet_make(&q, b, _i ? make_ipv6(b, 6, false) : make_ipv4(b, 17), NULL);
	p.n->nb.next = &q.n->nb;
	ck_assert_uint_eq(nbl_flags_parse(p.n), _i ? 0 : NBL_FLAG_IS_IPV4);
	ck_assert_uint_eq(nbl_frame_type_parse(p.n), _i ? 0 : 0x0008);
	p.n->nbl_flags = NBL_FLAG_LOOPBACK | NBL_FLAG_IS_IPV6 | NBL_FLAG_IS_UDP;
	nbl_parse(p.n);
	ck_assert_uint_eq(p.n->nbl_flags, NBL_FLAG_LOOPBACK | (_i ? 0 : NBL_FLAG_IS_IPV4));
	ck_assert_uint_eq(p.n->frame_type_be, _i ? 0 : 0x0008);
	p.n->nb.next = NULL;
	packet_done(&p);
	packet_done(&q);
}
END_TEST

/* The same judgement from flat bytes, with everything spelled out. */
static uint32_t reference_l4(const uint8_t *b, uint32_t length, uint8_t protocol)
{
	if (protocol == 17)
		return length >= 8 && b[4] * 256 + b[5] >= 8 ? NBL_FLAG_IS_UDP : 0;
	if (protocol != 6 || length < 20)
		return 0;
	return b[12] / 16 >= 5 && b[12] / 16 * 4u <= length ? NBL_FLAG_IS_TCP : 0;
}

static uint32_t reference_ipv6(const uint8_t *b, uint32_t length)
{
	uint32_t payload, at = 40, next = b[6];

	if (length < 40 || b[0] / 16 != 6)
		return 0;
	payload = b[4] * 256u + b[5];
	if (payload > length - 40)
		return 0;
	for (int i = 0; i < 8; i++) {
		uint32_t size;

		if (next != 0 && next != 43 && next != 44 && next != 60)
			break;
		if (at + 8 > 40 + payload)
			break;
		if (next == 44 && (b[at + 2] || b[at + 3] >= 8))
			break;
		size = next == 44 ? 8 : 8 + 8u * b[at + 1];
		next = b[at];
		if (at + size > 40 + payload) {
			next = 255;
			break;
		}
		at += size;
	}
	return NBL_FLAG_IS_IPV6 | reference_l4(b + at, 40 + payload - at, (uint8_t)next);
}

static uint32_t reference_flags(const uint8_t *b, uint32_t length)
{
	uint32_t at = 12, tags = 0, total, header;

	while (at + 2 <= length && ((b[at] == 0x81 && !b[at + 1]) ||
				    (b[at] == 0x88 && b[at + 1] == 0xa8) ||
				    (b[at] == 0x91 && !b[at + 1]))) {
		if (++tags > NBL_MAX_VLAN_TAGS)
			return 0;
		at += 4;
	}
	if (at + 2 > length)
		return 0;
	at += 2;
	if (b[at - 2] == 0x86 && b[at - 1] == 0xdd)
		return reference_ipv6(b + at, length - at);
	if (b[at - 2] != 0x08 || b[at - 1] || length < at + 20 || b[at] / 16 != 4)
		return 0;
	b += at;
	header = b[0] % 16 * 4u;
	total = b[2] * 256u + b[3];
	if (header < 20 || total < header || total > length - at)
		return 0;
	if (b[6] % 32 || b[7])
		return NBL_FLAG_IS_IPV4;
	return NBL_FLAG_IS_IPV4 | reference_l4(b + header, total - header, b[9]);
}

/* A good packet, tagged or not, with some bytes changed and its end cut off. */
static uint32_t make_fuzz(uint8_t *b, struct unit_random *r)
{
	uint8_t protocol = unit_random_below(r, 2) ? 6 : 17;
	uint32_t length = unit_random_below(r, 2) ? make_ipv4(b, protocol)
						  : make_ipv6(b, protocol, unit_random_below(r, 2));
	uint32_t n_tags = unit_random_below(r, 8);

	/* options of any length, right before the header */
	if (b[12] == 0x86 && b[20] == 60 && unit_random_below(r, 2)) {
		b[54] = protocol;
		b[55] = (uint8_t)unit_random_below(r, 10);
	}
	/* what is taken for a header by mistake should look like one now and then */
	for (uint32_t i = 55; i < length && unit_random_below(r, 2);
	     i += 1 + unit_random_below(r, 9))
		b[i] = (uint8_t)(unit_random_below(r, 2) ? 0x50 + unit_random_below(r, 32)
							 : unit_random_below(r, 64));
	for (uint32_t i = 0; n_tags < 6 && i < n_tags && length + 4 <= MAX_PACKET; i++) {
		memmove(b + 16, b + 12, length - 12);
		b[12] = i % 2 ? 0x88 : 0x81;
		b[13] = i % 2 ? 0xa8 : 0;
		length += 4;
	}
	for (uint32_t i = unit_random_below(r, 4); i > 0; i--)
		b[12 + unit_random_below(r, length - 12)] = (uint8_t)unit_random_below(r, 256);
	return unit_random_below(r, 3) ? length : unit_random_below(r, length + 1);
}

START_TEST(DM_14_a_million_bad_packets_never_prove_what_is_not_there)
{
	struct unit_random r = unit_random(0x5eed0d14 + (uint64_t)_i);
	uint32_t n_ipv4 = 0, n_ipv6 = 0, n_none = 0, n_l4 = 0;

	for (int round = 0; round < 250000; round++) {
		uint8_t b[MAX_PACKET];
		uint32_t flags, length = make_fuzz(b, &r);
		struct packet p;

		packet_make(&p, b, length, &r);
		flags = nbl_flags_parse(p.n);
		packet_done(&p);
		if (flags != reference_flags(b, length))
			ck_abort_msg("round %d: %#x instead of %#x", round, flags,
				     reference_flags(b, length));
		if ((flags & 3) == 3 || (flags & 12) == 12 || (flags & 12 && !(flags & 3)))
			ck_abort_msg("round %d: impossible flags %#x", round, flags);
		n_ipv4 += flags & NBL_FLAG_IS_IPV4;
		n_ipv6 += !!(flags & NBL_FLAG_IS_IPV6);
		n_l4 += !!(flags & 12);
		n_none += !flags;
	}
	/* the packets were neither all good nor all bad */
	ck_assert_uint_gt(n_ipv4, 1000);
	ck_assert_uint_gt(n_ipv6, 1000);
	ck_assert_uint_gt(n_l4, 1000);
	ck_assert_uint_gt(n_none, 1000);
}
END_TEST

START_TEST(AR_08_a_mac_header_in_two_segments_is_told)
{
	uint8_t b[64] = { 0 };

	b[12] = 0x81;
	b[16] = 0x08;
	for (uint32_t split = 0; split <= 20; split++) {
		uint32_t sizes[] = { 10 + split, 60 };
		struct nbl *n = unit_receive_over(10, sizes, 2, 60);

		for (uint32_t i = 0; i < 60; i++)
			*unit_byte(&n->nb, i) = b[i];
		ck_assert_uint_eq(nbl_nb_mac_header_length(&n->nb), 18);
		ck_assert_int_eq(nbl_nb_mac_header_is_contiguous(&n->nb), !split || split >= 18);
		nbl_release(n);
	}
	ck_assert_uint_eq(b[12], 0x81);
}
END_TEST

START_TEST(AR_08_a_packet_too_short_for_its_mac_header_has_none)
{
	struct nbl *n = unit_receive(64, 13);

	ck_assert_uint_eq(nbl_nb_mac_header_length(&n->nb), 0);
	ck_assert(!nbl_nb_mac_header_is_contiguous(&n->nb));
	nbl_release(n);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ DM_09_the_frame_type_is_what_lies_behind_the_tags, 7 },
		{ DM_09_too_many_tags_leave_no_frame_type, 1 },
		{ DM_14_whole_headers_prove_their_flags, 1 },
		{ DM_14_what_is_cut_short_inconsistent_or_a_later_fragment_proves_less, 1 },
		{ DM_14_flags_are_those_of_every_packet_of_the_nbl, 2 },
		{ DM_14_a_million_bad_packets_never_prove_what_is_not_there, 4 },
		{ AR_08_a_mac_header_in_two_segments_is_told, 1 },
		{ AR_08_a_packet_too_short_for_its_mac_header_has_none, 1 },
	};

	return unit_run("parse", tests, N_ELEMENTS(tests));
}
