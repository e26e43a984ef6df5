// SPDX-License-Identifier: BSD-2-Clause
/* parse.c - Ethernet, VLAN tags, IP, extension headers, ports. */
#include "filter/parse.h"

#include <string.h>

#include <nbl/window.h>


/* Used data, of which the first part is in one piece. */
struct bytes {
	const struct nbl_nb *nb;
	const uint8_t *piece;
	uint32_t n_piece, n;
};

static struct bytes bytes_of(const struct nbl_nb *nb)
{
	struct bytes b = { .nb = nb };

	if (!nb->current_segment)
		return b;
	b.n = nb->data_length;
	b.piece = nbl_nb_data(nb);
	b.n_piece = nbl_nb_segment_room(nb);
	if (b.n_piece > b.n)
		b.n_piece = b.n;
	return b;
}

/*
 * 'size' bytes from 'at' on, in 'storage' if they are in several pieces. NULL if there are fewer.
 */
static const uint8_t *look(const struct bytes *b, uint32_t at, uint32_t size, uint8_t *storage)
{
	struct nbl_nb window;

	if (at > b->n || size > b->n - at)
		return NULL;
	if (NBL_LIKELY(at + size <= b->n_piece))
		return b->piece + at;
	window = *b->nb;
	nbl_nb_advance(&window, at, false);
	return nbl_nb_view(&window, size, storage, 1, 0);
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void know(struct wfp_packet *p, enum nbl_field field)
{
	p->values.present |= NBL_FIELD_BIT(field);
}

static bool is_tag(uint16_t type)
{
	return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

static bool parse_mac(const struct bytes *b, struct wfp_packet *p)
{
	uint8_t storage[14];
	const uint8_t *h = look(b, 0, 14, storage);
	uint16_t type, size = 14;

	if (!h)
		return false;
	memcpy(p->values.mac_destination, h, 6);
	memcpy(p->values.mac_source, h + 6, 6);
	know(p, NBL_FIELD_MAC_DESTINATION);
	know(p, NBL_FIELD_MAC_SOURCE);
	type = get16(h + 12);
	for (int i = 0; is_tag(type); i++, size += 4) {
		h = look(b, size, 4, storage);
		if (!h || i == WFP_MAX_TAGS)
			return false;
		if (!i) {
			p->values.vlan_id = get16(h) & 0xfff;
			know(p, NBL_FIELD_VLAN_ID);
		}
		type = get16(h + 2);
	}
	p->mac_size = size;
	if (type < 0x600)	/* a length: no EtherType */
		return false;
	p->values.ether_type = type;
	know(p, NBL_FIELD_ETHER_TYPE);
	return true;
}

static void parse_ports(const uint8_t *h, struct wfp_packet *p)
{
	p->values.port_source = get16(h);
	p->values.port_destination = get16(h + 2);
	know(p, NBL_FIELD_PORT_SOURCE);
	know(p, NBL_FIELD_PORT_DESTINATION);
}

/* The part of the header that counts, and how long it is: 0 = it is not complete. */
static uint16_t tcp_size(const struct bytes *b, uint32_t at, uint32_t room, struct wfp_packet *p)
{
	uint8_t storage[20];
	const uint8_t *h = room >= 20 ? look(b, at, 20, storage) : NULL;
	uint16_t size;

	if (!h)
		return 0;
	size = (uint16_t)((h[12] >> 4) * 4);
	if (size < 20 || size > room)
		return 0;
	p->values.tcp_flags = h[13];
	know(p, NBL_FIELD_TCP_FLAGS);
	return size;
}

static bool is_icmp(const struct nbl_values *v)
{
	return (v->ip_version == 4 && v->ip_protocol == WFP_ICMP) ||
	       (v->ip_version == 6 && v->ip_protocol == WFP_ICMPV6);
}

static void parse_icmp(const uint8_t *h, struct wfp_packet *p)
{
	p->values.icmp_type = h[0];
	p->values.icmp_code = h[1];
	know(p, NBL_FIELD_ICMP_TYPE);
	know(p, NBL_FIELD_ICMP_CODE);
}

/* What begins 'at', with 'room' bytes left of the IP packet. */
static void parse_transport(const struct bytes *b, uint32_t at, uint32_t room,
			    struct wfp_packet *p)
{
	uint8_t storage[4];
	const uint8_t *h = room >= 4 ? look(b, at, 4, storage) : NULL;

	switch (p->values.ip_protocol) {
	case WFP_TCP:
		p->transport_size = tcp_size(b, at, room, p);
		break;
	case WFP_UDP:
	case WFP_UDPLITE:
		p->transport_size = room >= 8 ? 8 : 0;
		break;
	case WFP_SCTP:
		p->transport_size = room >= 12 ? 12 : 0;
		break;
	default:
		if (!is_icmp(&p->values)) {
			p->transport = true;
			return;
		}
		p->transport_size = room >= 8 ? 8 : 0;
		if (h)
			parse_icmp(h, p);
		p->transport = p->transport_size;
		return;
	}
	if (h)
		parse_ports(h, p);
	p->transport = p->transport_size;
}

static void know_ip(struct wfp_packet *p, uint8_t version, const uint8_t *source,
		    const uint8_t *destination, uint32_t size)
{
	p->values.ip_version = version;
	memcpy(p->values.ip_source, source, size);
	memcpy(p->values.ip_destination, destination, size);
	know(p, NBL_FIELD_IP_VERSION);
	know(p, NBL_FIELD_IP_SOURCE);
	know(p, NBL_FIELD_IP_DESTINATION);
}

static void know_protocol(struct wfp_packet *p, uint8_t protocol)
{
	p->values.ip_protocol = protocol;
	know(p, NBL_FIELD_IP_PROTOCOL);
	know(p, NBL_FIELD_IP_FRAGMENT);
}

/* From the 16 bits that hold the offset in units of 8 bytes above the flags. */
static void know_fragment(struct wfp_packet *p, uint16_t offset, bool more)
{
	p->fragment_offset = offset;
	if (offset)
		p->values.ip_fragment = NBL_FRAGMENT_LATER;
	else if (more)
		p->values.ip_fragment = NBL_FRAGMENT_FIRST;
}

static void parse_ipv4(const struct bytes *b, uint32_t at, struct wfp_packet *p)
{
	uint8_t storage[20];
	const uint8_t *h = look(b, at, 20, storage);
	uint16_t size, total;

	if (!h || h[0] >> 4 != 4)
		return;
	size = (uint16_t)((h[0] & 15) * 4);
	total = get16(h + 2);
	if (size < 20 || total < size || total > b->n - at)
		return;
	p->ip_size = size;
	p->ip_total = total;
	know_ip(p, 4, h + 12, h + 16, 4);
	know_fragment(p, (uint16_t)((get16(h + 6) & 0x1fff) * 8), h[6] & 0x20);
	know_protocol(p, h[9]);
	if (p->values.ip_fragment != NBL_FRAGMENT_LATER)
		parse_transport(b, at + size, total - size, p);
}

/* The size of the extension header of type 'next' that begins with 'h', or 0 if it is none. */
static uint32_t extension_size(uint8_t next, const uint8_t *h)
{
	switch (next) {
	case 0:		/* hop-by-hop options */
	case 43:	/* routing */
	case 60:	/* destination options */
	case 135:	/* mobility */
	case 139:	/* host identity */
	case 140:	/* shim6 */
		return (h[1] + 1u) * 8;
	case 44:	/* fragment */
		return 8;
	case 51:	/* authentication */
		return (h[1] + 2u) * 4;
	default:
		return 0;
	}
}

static bool is_extension(uint8_t next)
{
	static const uint8_t none[2];

	return extension_size(next, none);
}

/* Walks the extension headers of the packet 'at'. False if their end is not in sight. */
static bool walk_extensions(const struct bytes *b, uint32_t at, uint8_t next, struct wfp_packet *p)
{
	uint8_t storage[8];
	const uint8_t *h;

	for (int i = 0; is_extension(next); i++) {
		uint32_t size;

		if (i == WFP_MAX_EXTENSIONS || p->ip_total - p->ip_size < 8)
			return false;
		h = look(b, at + p->ip_size, 8, storage);
		size = h ? extension_size(next, h) : 0;
		if (!size || size > p->ip_total - p->ip_size)
			return false;
		if (next == 44)
			know_fragment(p, get16(h + 2) & 0xfff8, h[3] & 1);
		if (next == 43 && h[3])
			p->routed = true;
		next = h[0];
		p->ip_size = (uint16_t)(p->ip_size + size);
		if (p->values.ip_fragment == NBL_FRAGMENT_LATER)
			break;
	}
	know_protocol(p, next);
	return true;
}

static void parse_ipv6(const struct bytes *b, uint32_t at, struct wfp_packet *p)
{
	uint8_t storage[40];
	const uint8_t *h = look(b, at, 40, storage);
	uint32_t total;

	if (!h || h[0] >> 4 != 6)
		return;
	total = 40u + get16(h + 4);
	if (total > b->n - at)
		return;
	p->ip_size = 40;
	p->ip_total = total;
	know_ip(p, 6, h + 8, h + 24, 16);
	if (walk_extensions(b, at, h[6], p) && p->values.ip_fragment != NBL_FRAGMENT_LATER)
		parse_transport(b, at + p->ip_size, total - p->ip_size, p);
}

void wfp_parse_frame(const struct nbl_nb *nb, struct wfp_packet *ret)
{
	struct bytes b = bytes_of(nb);

	memset(ret, 0, sizeof(*ret));
	if (!parse_mac(&b, ret))
		return;
	if (ret->values.ether_type == 0x0800)
		parse_ipv4(&b, ret->mac_size, ret);
	else if (ret->values.ether_type == 0x86dd)
		parse_ipv6(&b, ret->mac_size, ret);
}

void wfp_parse_ip(const struct nbl_nb *nb, struct wfp_packet *ret)
{
	struct bytes b = bytes_of(nb);
	uint8_t storage[1];
	const uint8_t *h = look(&b, 0, 1, storage);

	memset(ret, 0, sizeof(*ret));
	if (h && *h >> 4 == 4)
		parse_ipv4(&b, 0, ret);
	else if (h && *h >> 4 == 6)
		parse_ipv6(&b, 0, ret);
}
