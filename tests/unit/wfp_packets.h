/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wfp_packets.h - frames for the tests of the filter engine, and a checksum that
 * is obviously right.
 */
#ifndef WFP_PACKETS_H
#define WFP_PACKETS_H

#include "unit.h"

struct recipe {
	int n_tags;
	uint16_t vlan;
	int version;			/* 4, 6; 0: ARP */
	int options;			/* IPv4: bytes of options */
	uint8_t extensions[20];		/* IPv6: types in order, ended by 59 or n_extensions */
	int n_extensions;
	uint8_t protocol;
	uint16_t source_port, destination_port;
	uint8_t source, destination;	/* last byte of the addresses */
	uint8_t fragment;		/* 0 whole, 1 first, 2 later */
	int payload;			/* bytes behind the transport header */
};

struct bytes_out {
	uint8_t b[2048];
	uint32_t n;
};

static inline void put8(struct bytes_out *o, uint8_t v)
{
	o->b[o->n++] = v;
}

static inline void put16(struct bytes_out *o, uint16_t v)
{
	put8(o, (uint8_t)(v >> 8));
	put8(o, (uint8_t)v);
}

static inline void set16(struct bytes_out *o, uint32_t at, uint16_t v)
{
	o->b[at] = (uint8_t)(v >> 8);
	o->b[at + 1] = (uint8_t)v;
}

/* Byte by byte, one carry at a time. */
static inline uint16_t slow_sum(const uint8_t *p, uint32_t n, uint16_t sum)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t wide = sum + (i & 1 ? p[i] : (uint32_t)p[i] << 8);

		sum = (uint16_t)(wide > 0xffff ? wide - 0xffff : wide);
	}
	return sum;
}

/* The checksum the transport header of an IP packet should have; 'at' is where it is in 'ip'. */
static inline uint16_t slow_checksum(const uint8_t *ip, uint32_t header, uint32_t length,
				     uint8_t protocol)
{
	uint8_t tail[4] = { (uint8_t)(length >> 8), (uint8_t)length, 0, protocol };
	uint16_t sum = 0;

	if (protocol != 1) {
		sum = ip[0] >> 4 == 4 ? slow_sum(ip + 12, 8, 0) : slow_sum(ip + 8, 32, 0);
		sum = slow_sum(tail, 4, sum);
	}
	return (uint16_t)~slow_sum(ip + header, length, sum);
}

static inline void put_transport(struct bytes_out *o, const struct recipe *r)
{
	switch (r->protocol) {
	case 6:
		put16(o, r->source_port);
		put16(o, r->destination_port);
		for (int i = 0; i < 8; i++)
			put8(o, (uint8_t)(i * 17));
		put16(o, 0x5018);
		put16(o, 1000);
		put16(o, 0);
		put16(o, 0);
		break;
	case 17:
	case 136:
		put16(o, r->source_port);
		put16(o, r->destination_port);
		put16(o, (uint16_t)(8 + r->payload));
		put16(o, 0);
		break;
	case 132:
		put16(o, r->source_port);
		put16(o, r->destination_port);
		for (int i = 0; i < 8; i++)
			put8(o, (uint8_t)i);
		break;
	case 1:
	case 58:
		put8(o, r->version == 4 ? 8 : 128);
		put8(o, 3);
		put16(o, 0);
		put16(o, 77);
		put16(o, 1);
		break;
	default:
		break;
	}
}

static inline int check_at(const struct recipe *r)
{
	if (r->protocol == 6)
		return 16;
	if (r->protocol == 17)
		return 6;
	return (r->protocol == 1 && r->version == 4) || (r->protocol == 58 && r->version == 6) ? 2
											       : -1;
}

static inline void put_ipv4(struct bytes_out *o, const struct recipe *r)
{
	put8(o, (uint8_t)(0x45 + r->options / 4));
	put8(o, 0);
	put16(o, 0);
	put16(o, 0x1234);
	put16(o, r->fragment == 1 ? 0x2000 : r->fragment == 2 ? 0x2005 : 0x4000);
	put8(o, 64);
	put8(o, r->protocol);
	put16(o, 0);
	put16(o, 0x0a00);
	put16(o, r->source);
	put16(o, 0x0a00);
	put16(o, r->destination);
	for (int i = 0; i < r->options; i++)
		put8(o, 1);
}

static inline void put_ipv6(struct bytes_out *o, const struct recipe *r)
{
	uint32_t next_at = o->n + 6;

	put16(o, 0x6000);
	put16(o, 0);
	put16(o, 0);
	put8(o, r->protocol);
	put8(o, 64);
	for (int k = 0; k < 2; k++) {
		put16(o, 0xfd00);
		for (int i = 0; i < 13; i++)
			put8(o, 0);
		put8(o, k ? r->destination : r->source);
	}
	for (int i = 0; i < r->n_extensions; i++) {
		uint8_t type = r->extensions[i];
		uint32_t at = o->n;

		o->b[next_at] = type;
		next_at = at;
		put8(o, r->protocol);
		put8(o, type == 44 ? 0 : type == 51 ? 2 : (uint8_t)(i & 1));
		if (type == 44)
			put16(o, r->fragment == 1 ? 1 : r->fragment == 2 ? 0x0028 : 0);
		while (o->n < at + (type == 44 ? 8 : type == 51 ? 16 : 8u * (1 + (i & 1))))
			put8(o, 0);
	}
}

/* Checksums and lengths are right. */
static inline void cook(struct bytes_out *o, const struct recipe *r)
{
	uint32_t ip, transport, length;

	o->n = 0;
	for (int i = 0; i < 6; i++)
		put8(o, (uint8_t)(0x20 + i));
	for (int i = 0; i < 6; i++)
		put8(o, (uint8_t)(0x40 + i));
	for (int i = 0; i < r->n_tags; i++) {
		put16(o, i ? 0x8100 : r->n_tags > 1 ? 0x88a8 : 0x8100);
		put16(o, (uint16_t)(0x6000 | ((r->vlan + i) & 0xfff)));
	}
	put16(o, r->version == 4 ? 0x0800 : r->version == 6 ? 0x86dd : 0x0806);
	ip = o->n;
	if (r->version == 4)
		put_ipv4(o, r);
	else if (r->version == 6)
		put_ipv6(o, r);
	transport = o->n;
	if (r->version && r->fragment != 2)
		put_transport(o, r);
	for (int i = 0; i < r->payload; i++)
		put8(o, (uint8_t)(i * 7 + 1));
	length = o->n - transport;
	if (r->version == 4) {
		set16(o, ip + 2, (uint16_t)(o->n - ip));
		set16(o, ip + 10, (uint16_t)~slow_sum(o->b + ip, transport - ip, 0));
	} else if (r->version == 6) {
		set16(o, ip + 4, (uint16_t)(o->n - ip - 40));
	}
	if (r->version && r->fragment != 2 && check_at(r) >= 0) {
		uint16_t check = slow_checksum(o->b + ip, transport - ip, length, r->protocol);

		set16(o, transport + (uint32_t)check_at(r),
		      check || r->protocol != 17 ? check : 0xffff);
	}
}

/* Every kind of frame there is: number 'i', or false behind the last. */
static inline bool recipe_number(int i, struct recipe *ret)
{
	static const uint8_t protocols[] = { 6, 17, 1, 58, 132, 136, 47 };
	static const struct { int n; uint8_t types[20]; } chains[] = {
		{ 0, { 0 } }, { 1, { 0 } }, { 2, { 0, 60 } }, { 1, { 44 } }, { 3, { 0, 43, 44 } },
		{ 2, { 51, 60 } }, { 3, { 135, 139, 140 } },
		{ 16, { 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60 } },
		{ 17, { 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60 } },
	};
	int n_shapes = 3 * 3 + 9 * 1 + 1;
	int shape = i % n_shapes, rest = i / n_shapes;

	*ret = (struct recipe){ .source_port = 1000, .destination_port = 53, .source = 1,
				.destination = 2, .payload = 12, .vlan = 100 };
	ret->protocol = protocols[rest % 7];
	ret->n_tags = rest / 7 % 6;
	if (rest >= 42)
		return false;
	if (shape < 9) {
		ret->version = 4;
		ret->options = shape / 3 * 20;
		ret->fragment = (uint8_t)(shape % 3);
	} else if (shape < 18) {
		ret->version = 6;
		ret->n_extensions = chains[shape - 9].n;
		memcpy(ret->extensions, chains[shape - 9].types, 20);
		for (int k = 0; k < ret->n_extensions; k++) {
			if (ret->extensions[k] == 44)
				ret->fragment = (uint8_t)(rest % 3);
		}
	}
	return true;
}

/* The frame in a receive NBL of the fixture, with 'headroom'. Owned: nbl_release(). */
static inline struct nbl *cooked(const struct recipe *r, uint32_t headroom)
{
	struct bytes_out o;
	struct nbl *n;

	cook(&o, r);
	n = unit_receive(headroom, o.n);
	memcpy(nbl_nb_data(&n->nb), o.b, o.n);
	return n;
}

#define RECIPE_UDP4 ((struct recipe){ .version = 4, .protocol = 17, .source_port = 1000, \
	.destination_port = 53, .source = 1, .destination = 2, .payload = 20 })

#endif
