// SPDX-License-Identifier: BSD-2-Clause
/*
 * reasm_parse.c - is it a fragment, of which datagram, and is it sane. Nothing outside the used
 * bytes is believed.
 */
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include <nbl/info.h>
#include <nbl/window.h>

#include "modules/reasm.h"

#define MAC_HEADER 14u
#define IPV4_HEADER 20u
#define IPV6_HEADER 40u
#define FRAGMENT_HEADER 8u
#define MAX_IPV4_HEADER 60u
#define LONGEST 65535u

const uint8_t *reasm_bytes_at(const struct nbl_nb *nb, uint32_t at, uint32_t length, void *storage)
{
	struct nbl_nb rest;

	if (at > nb->data_length || length > nb->data_length - at)
		return NULL;
	if (NBL_LIKELY(nb->current_segment && (uint64_t)at + length <= nbl_nb_segment_room(nb)))
		return nbl_nb_data(nb) + at;
	rest = *nb;	/* a window of its own to move, which owns nothing */
	if (nbl_nb_advance(&rest, at, false) < 0)
		return NULL;
	return nbl_nb_view(&rest, length, storage, 1, 0);
}

/* The MAC header's length, 0 if it is cut short; fills ret_type. */
static uint32_t mac_header(const struct nbl_nb *nb, uint16_t *ret_type)
{
	uint32_t length = nbl_nb_mac_header_length(nb);
	uint8_t storage[2];

	if (length)
		*ret_type = reasm_get16(reasm_bytes_at(nb, length - 2, 2, storage));
	return length;
}

static bool is_extension(uint8_t type)
{
	return type == IPPROTO_HOPOPTS || type == IPPROTO_ROUTING || type == IPPROTO_DSTOPTS;
}

/*
 * Steps over extension headers from 'at' on. Fills ret_at with where the first other one
 * begins, if that is before 'end', and ret_named_at with the byte that names it; both may be
 * the same. False if they are cut short. Only the packet's length bounds their number: hosts
 * take as many, so a bound here would be a way past this module.
 */
static bool skip_extensions(const struct nbl_nb *nb, uint32_t end, uint8_t *type, uint32_t *at,
			    uint32_t *named_at)
{
	struct nbl_nb rest = *nb;	/* moves along, so that no step begins in front again */
	uint32_t rest_at = 0;
	uint8_t storage[2];

	while (is_extension(*type)) {
		const uint8_t *header;

		if (NBL_UNLIKELY(*at - rest_at >= nbl_nb_segment_room(&rest))) {
			if (nbl_nb_advance(&rest, *at - rest_at, false) < 0)
				return false;
			rest_at = *at;
		}
		header = reasm_bytes_at(&rest, *at - rest_at, 2, storage);
		if (!header || (header[1] + 1u) * 8 > end - *at)
			return false;
		*type = header[0];
		*named_at = *at;
		*at += (header[1] + 1u) * 8;
	}
	return true;
}

/* Where the fragment header of an IPv6 packet begins, 0 if there is none; fills ret_named_at. */
static uint32_t find_fragment_header(const struct nbl_nb *nb, uint32_t ip_at,
				     uint32_t *ret_named_at)
{
	uint8_t storage[IPV6_HEADER], type;
	const uint8_t *ip = reasm_bytes_at(nb, ip_at, IPV6_HEADER, storage);
	uint32_t at = ip_at + IPV6_HEADER;

	if (!ip || ip[0] >> 4 != 6)
		return 0;
	type = ip[6];
	if (type != IPPROTO_FRAGMENT && !is_extension(type))
		return 0;
	*ret_named_at = ip_at + 6;
	if (!skip_extensions(nb, nb->data_length, &type, &at, ret_named_at))
		return 0;
	return type == IPPROTO_FRAGMENT ? at : 0;
}

/* True if it says so itself; fills where, of IPv4 the IP header's flags. */
static bool find(const struct nbl_nb *nb, uint32_t ip_at, uint16_t type, uint32_t *ret_at,
		 uint32_t *ret_named_at)
{
	uint8_t storage[IPV4_HEADER];
	const uint8_t *bytes;

	if (type == ETH_P_IP) {
		*ret_at = ip_at + 6;
		bytes = reasm_bytes_at(nb, ip_at, 8, storage);
		return bytes && bytes[0] >> 4 == 4 && reasm_get16(bytes + 6) & 0x3fff;
	}
	*ret_at = type == ETH_P_IPV6 ? find_fragment_header(nb, ip_at, ret_named_at) : 0;
	if (!*ret_at)
		return false;
	/* an atomic fragment is a whole datagram; a header that is cut short is a fault */
	bytes = reasm_bytes_at(nb, *ret_at, 4, storage);
	return !bytes || reasm_get16(bytes + 2) & 0xfff9;
}

bool reasm_is_fragment(const struct nbl *n)
{
	const struct nbl_nb *nb = n->first_nb;
	uint32_t ip_at, at, named_at;
	uint16_t type;

	if (!nb || nb->next)
		return false;
	ip_at = mac_header(nb, &type);
	return ip_at && find(nb, ip_at, type, &at, &named_at);
}

uint16_t reasm_header_sum(const uint8_t *header, uint32_t length)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i + 1 < length; i += 2)
		sum += reasm_get16(header + i);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static enum reasm_reason parse_ipv4(const struct nbl_nb *nb, struct reasm_fragment *r)
{
	uint8_t storage[MAX_IPV4_HEADER];
	const uint8_t *ip = reasm_bytes_at(nb, r->ip_at, IPV4_HEADER, storage);
	uint32_t length, total;

	length = ip ? (ip[0] & 15) * 4u : 0;
	if (length < IPV4_HEADER)
		return REASM_HEADER;
	ip = reasm_bytes_at(nb, r->ip_at, length, storage);
	if (!ip)
		return REASM_HEADER;
	if (reasm_header_sum(ip, length))
		return REASM_CHECKSUM;
	total = reasm_get16(ip + 2);
	if (total < length)
		return REASM_HEADER;
	memcpy(r->key.source, ip + 12, 4);
	memcpy(r->key.destination, ip + 16, 4);
	memcpy(r->key.id, ip + 4, 2);
	r->key.protocol = ip[9];
	r->ecn = ip[1] & 3;
	r->key.version = 4;
	r->next = ip[9];
	r->payload_at = r->ip_at + length;
	r->offset = (uint16_t)((reasm_get16(ip + 6) & 0x1fff) << 3);
	r->more = ip[6] & 0x20;
	r->length = total - length;
	return total > nb->data_length - r->ip_at ? REASM_LENGTH : REASM_FINE;
}

static enum reasm_reason parse_ipv6(const struct nbl_nb *nb, uint32_t fragment_at,
				    struct reasm_fragment *r)
{
	uint8_t storage[IPV6_HEADER], fragment_storage[FRAGMENT_HEADER];
	const uint8_t *ip = reasm_bytes_at(nb, r->ip_at, IPV6_HEADER, storage);
	const uint8_t *fragment = reasm_bytes_at(nb, fragment_at, FRAGMENT_HEADER,
						 fragment_storage);
	uint32_t end;

	r->payload_at = fragment_at + FRAGMENT_HEADER;
	if (!ip || !fragment || r->payload_at > REASM_MAX_HEADER)
		return REASM_HEADER;
	end = r->ip_at + IPV6_HEADER + reasm_get16(ip + 4);
	if (end < r->payload_at)
		return REASM_HEADER;
	memcpy(r->key.source, ip + 8, 16);
	memcpy(r->key.destination, ip + 24, 16);
	memcpy(r->key.id, fragment + 4, 4);
	r->key.version = 6;
	r->ecn = ip[1] >> 4 & 3;
	r->next = fragment[0];
	r->offset = reasm_get16(fragment + 2) & 0xfff8;
	r->more = fragment[3] & 1;
	r->length = end - r->payload_at;
	return end > nb->data_length ? REASM_LENGTH : REASM_FINE;
}

/* Bytes that 'header', of protocol 'next', has at least; TCP says so itself, if it can be read. */
static uint32_t transport_header(const struct nbl_nb *nb, uint32_t at, uint8_t next)
{
	uint8_t storage;
	const uint8_t *words;

	if (next == IPPROTO_UDP || next == IPPROTO_ICMP || next == IPPROTO_ICMPV6)
		return 8;
	if (next != IPPROTO_TCP)
		return 0;
	words = reasm_bytes_at(nb, at + 12, 1, &storage);
	return words && *words >> 4 > 5 ? (*words >> 4) * 4u : 20;
}

/*
 * True of a first fragment that leaves part of its transport header to another, or hides it in a
 * fragment of its own (RFC 1858, RFC 7112).
 */
static bool is_tiny(const struct nbl_nb *nb, const struct reasm_fragment *r)
{
	uint32_t at = r->payload_at, end = at + r->length, named_at;
	uint8_t next = r->next;

	if (r->offset)
		return false;
	if (r->key.version == 6 && !skip_extensions(nb, end, &next, &at, &named_at))
		return true;
	return next == IPPROTO_FRAGMENT || transport_header(nb, at, next) > end - at;
}

/* What of its lengths nothing that came before can excuse. */
static enum reasm_reason check(const struct nbl_nb *nb, bool drops_tiny,
			       const struct reasm_fragment *r)
{
	if (!r->length)
		return REASM_EMPTY;
	if (r->more && r->length % 8)
		return REASM_LENGTH;
	if (r->offset + r->length > LONGEST)
		return REASM_TOO_LONG;
	return drops_tiny && is_tiny(nb, r) ? REASM_TINY : REASM_FINE;
}

bool reasm_parse(const struct nbl *n, bool drops_tiny, struct reasm_fragment *ret_fragment)
{
	const struct nbl_nb *nb = n->first_nb;
	struct reasm_fragment *r = ret_fragment;
	uint32_t at, length;
	uint16_t type;

	if (!nb || nb->next)
		return false;
	*r = (struct reasm_fragment){ .fault = REASM_FINE };
	r->ip_at = mac_header(nb, &type);
	if (!r->ip_at || !find(nb, r->ip_at, type, &at, &r->named_at))
		return false;
	length = r->ip_at - MAC_HEADER;
	if (length) {
		const uint8_t *tags = reasm_bytes_at(nb, MAC_HEADER - 2, length, r->key.tags);

		if (tags != r->key.tags)
			memcpy(r->key.tags, tags, length);
	}
	r->key.vlan = (uint16_t)nbl_info_get(n, NBL_INFO_VLAN);
	r->fault = type == ETH_P_IP ? parse_ipv4(nb, r) : parse_ipv6(nb, at, r);
	if (!r->fault)
		r->fault = check(nb, drops_tiny, r);
	return true;
}
