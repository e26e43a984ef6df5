// SPDX-License-Identifier: BSD-2-Clause
/* parse.c - what the bytes of a packet prove. */
#include <nbl/parse.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include <nbl/window.h>

#define MAC_HEADER 14u
#define TAG 4u
#define MAX_HEADER (MAC_HEADER + TAG * NBL_MAX_VLAN_TAGS)
#define FIRST_ETHERTYPE 0x600	/* less is a length */
#define IPV4_HEADER 20u
#define IPV6_HEADER 40u
#define TCP_HEADER 20u
#define UDP_HEADER 8u
#define MAX_IPV4_HEADER 60u
#define MAX_EXTENSIONS 8

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/*
 * 'length' used bytes from 'offset' on, in the packet or in
 * 'storage'; NULL if there are not so many.
 */
static const uint8_t *bytes_at(const struct nbl_nb *nb, uint32_t offset, uint32_t length,
			       void *storage)
{
	struct nbl_nb rest = *nb;

	/* moves a copy of the window, which owns nothing */
	if (offset > nb->data_length || nbl_nb_advance(&rest, offset, false) < 0)
		return NULL;
	return nbl_nb_view(&rest, length, storage, 1, 0);
}

static bool is_tag(uint16_t type)
{
	return type == ETH_P_8021Q || type == ETH_P_8021AD || type == ETH_P_QINQ1;
}

/* The MAC header's length, 0 if it is cut short; fills ret_type, in the processor's byte order. */
static uint32_t parse_mac(const struct nbl_nb *nb, uint16_t *ret_type)
{
	uint8_t storage[MAX_HEADER];
	uint32_t length = MAC_HEADER;

	for (int tags = 0;; tags++, length += TAG) {
		const uint8_t *header = nbl_nb_view(nb, length, storage, 1, 0);

		if (!header)
			return 0;
		*ret_type = get16(header + length - 2);
		if (!is_tag(*ret_type))
			return length;
		if (tags == NBL_MAX_VLAN_TAGS)
			return 0;
	}
}

uint16_t nbl_nb_frame_type(const struct nbl_nb *nb)
{
	uint16_t type;

	if (!parse_mac(nb, &type) || type < FIRST_ETHERTYPE)
		return 0;
	return htons(type);
}

uint16_t nbl_frame_type_parse(const struct nbl *n)
{
	uint16_t type = n->first_nb ? nbl_nb_frame_type(n->first_nb) : 0;

	for (const struct nbl_nb *nb = n->first_nb; nb && type; nb = nb->next)
		if (nbl_nb_frame_type(nb) != type)
			return 0;
	return type;
}

/* The flag of 'protocol' if its header is whole in [offset, end). */
static uint32_t parse_l4(const struct nbl_nb *nb, uint32_t offset, uint32_t end, uint8_t protocol)
{
	uint8_t storage[TCP_HEADER];
	const uint8_t *header;
	uint32_t length;

	if (protocol == IPPROTO_UDP) {
		header = end - offset < UDP_HEADER ? NULL :
			 bytes_at(nb, offset, UDP_HEADER, storage);
		return header && get16(header + 4) >= UDP_HEADER ? NBL_FLAG_IS_UDP : 0;
	}
	if (protocol != IPPROTO_TCP || end - offset < TCP_HEADER)
		return 0;
	header = bytes_at(nb, offset, TCP_HEADER, storage);
	length = header ? (header[12] >> 4) * 4u : 0;
	return length >= TCP_HEADER && length <= end - offset ? NBL_FLAG_IS_TCP : 0;
}

static uint32_t parse_ipv4(const struct nbl_nb *nb, uint32_t offset)
{
	uint8_t storage[MAX_IPV4_HEADER];
	const uint8_t *header = bytes_at(nb, offset, IPV4_HEADER, storage);
	uint32_t length, total;

	if (!header || header[0] >> 4 != 4)
		return 0;
	length = (header[0] & 15) * 4u;
	total = get16(header + 2);
	if (length < IPV4_HEADER || total < length || total > nb->data_length - offset)
		return 0;
	/* later fragments begin anywhere in the payload */
	if (get16(header + 6) & 0x1fff)
		return NBL_FLAG_IS_IPV4;
	return NBL_FLAG_IS_IPV4 | parse_l4(nb, offset + length, offset + total, header[9]);
}

/*
 * Steps over one extension header at 'offset'. Returns its length; 0 if there is none
 * to step over, or it is cut short or of a later fragment. Fills ret_next.
 */
static uint32_t skip_extension(const struct nbl_nb *nb, uint32_t offset, uint32_t end,
			       uint8_t type, uint8_t *ret_next)
{
	uint8_t storage[8];
	const uint8_t *header;
	uint32_t length;

	if (type != IPPROTO_HOPOPTS && type != IPPROTO_ROUTING && type != IPPROTO_DSTOPTS &&
	    type != IPPROTO_FRAGMENT)
		return 0;
	header = end - offset < 8 ? NULL : bytes_at(nb, offset, 8, storage);
	if (!header)
		return 0;
	if (type == IPPROTO_FRAGMENT && get16(header + 2) & 0xfff8)
		return 0;
	length = type == IPPROTO_FRAGMENT ? 8 : (header[1] + 1u) * 8;
	if (length > end - offset)
		return 0;
	*ret_next = header[0];
	return length;
}

static uint32_t parse_ipv6(const struct nbl_nb *nb, uint32_t offset)
{
	uint8_t storage[IPV6_HEADER], next;
	const uint8_t *header = bytes_at(nb, offset, IPV6_HEADER, storage);
	uint32_t end, length;

	if (!header || header[0] >> 4 != 6)
		return 0;
	next = header[6];
	offset += IPV6_HEADER;
	if (get16(header + 4) > nb->data_length - offset)
		return 0;
	end = offset + get16(header + 4);
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		length = skip_extension(nb, offset, end, next, &next);
		if (!length)
			break;
		offset += length;
	}
	return NBL_FLAG_IS_IPV6 | parse_l4(nb, offset, end, next);
}

static uint32_t parse_flags(const struct nbl_nb *nb)
{
	uint32_t offset;
	uint16_t type;

	offset = parse_mac(nb, &type);
	if (!offset)
		return 0;
	if (type == ETH_P_IP)
		return parse_ipv4(nb, offset);
	return type == ETH_P_IPV6 ? parse_ipv6(nb, offset) : 0;
}

uint32_t nbl_flags_parse(const struct nbl *n)
{
	uint32_t flags = n->first_nb ? parse_flags(n->first_nb) : 0;

	/* once the IP version differs, what lies above is of no use */
	for (const struct nbl_nb *nb = n->first_nb; nb && flags; nb = nb->next)
		flags &= parse_flags(nb);
	return flags & (NBL_FLAG_IS_IPV4 | NBL_FLAG_IS_IPV6) ? flags : 0;
}

void nbl_parse(struct nbl *n)
{
	const uint32_t proven =
		NBL_FLAG_IS_IPV4 | NBL_FLAG_IS_IPV6 | NBL_FLAG_IS_TCP | NBL_FLAG_IS_UDP;

	n->frame_type_be = nbl_frame_type_parse(n);
	n->nbl_flags = (n->nbl_flags & ~proven) | nbl_flags_parse(n);
}

uint32_t nbl_nb_mac_header_length(const struct nbl_nb *nb)
{
	uint16_t type;

	return parse_mac(nb, &type);
}

bool nbl_nb_mac_header_is_contiguous(const struct nbl_nb *nb)
{
	uint32_t length = nbl_nb_mac_header_length(nb);

	return length && nbl_nb_segment_room(nb) >= length;
}
