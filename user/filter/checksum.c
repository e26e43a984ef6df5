// SPDX-License-Identifier: BSD-2-Clause
/* checksum.c - the Internet checksum over packets in any number of segments. */
#include "filter/checksum.h"

#include <nbl/window.h>

uint32_t wfp_sum_bytes(const uint8_t *p, uint32_t n, uint32_t sum)
{
	uint64_t wide = sum;

	for (; n > 1; p += 2, n -= 2)
		wide += (uint32_t)(p[0] << 8 | p[1]);
	if (n)
		wide += (uint32_t)p[0] << 8;
	wide = (wide & 0xffffffff) + (wide >> 32);
	return wfp_sum_fold((uint32_t)wide);
}

/*
 * Where byte 'at' of the used data is: fills ret_room with how many bytes are there in one piece.
 */
static uint8_t *piece_at(const struct nbl_nb *nb, uint32_t at, uint32_t *ret_room)
{
	struct nbl_nb window = *nb;

	nbl_nb_advance(&window, at, false);
	*ret_room = nbl_nb_segment_room(&window);
	return nbl_nb_data(&window);
}

uint32_t wfp_sum_nb(const struct nbl_nb *nb, uint32_t at, uint32_t n)
{
	uint32_t done = 0, sum = 0, room;

	while (done < n) {
		const uint8_t *p = piece_at(nb, at + done, &room);
		uint32_t part;

		if (room > n - done)
			room = n - done;
		part = wfp_sum_bytes(p, room, 0);
		/* a piece that begins at an odd byte counts with its bytes swapped */
		if (done & 1)
			part = (part >> 8 | part << 8) & 0xffff;
		sum = wfp_sum_fold(sum + part);
		done += room;
	}
	return sum;
}

uint16_t wfp_checksum_replace16(uint16_t check, uint16_t old, uint16_t new)
{
	return (uint16_t)~wfp_sum_fold((uint32_t)(uint16_t)~check + (uint16_t)~old + new);
}

uint16_t wfp_checksum_replace32(uint16_t check, uint32_t old, uint32_t new)
{
	check = wfp_checksum_replace16(check, (uint16_t)(old >> 16), (uint16_t)(new >> 16));
	return wfp_checksum_replace16(check, (uint16_t)old, (uint16_t)new);
}

void wfp_nb_write(struct nbl_nb *nb, uint32_t at, const uint8_t *bytes, uint32_t n)
{
	while (n) {
		uint32_t room;
		uint8_t *p = piece_at(nb, at, &room);

		if (room > n)
			room = n;
		for (uint32_t i = 0; i < room; i++)
			p[i] = bytes[i];
		at += room;
		bytes += room;
		n -= room;
	}
}

static uint16_t read16(const struct nbl_nb *nb, uint32_t at)
{
	return (uint16_t)wfp_sum_nb(nb, at, 2);
}

static void write16(struct nbl_nb *nb, uint32_t at, uint16_t value)
{
	const uint8_t bytes[] = { (uint8_t)(value >> 8), (uint8_t)value };

	wfp_nb_write(nb, at, bytes, 2);
}

static int fix_ip(struct nbl_nb *nb, uint32_t size, int skip)
{
	uint16_t have = read16(nb, 10), want;

	want = (uint16_t)~wfp_sum_fold(wfp_sum_nb(nb, 0, size) + (uint16_t)~have);
	/* the two zeros of ones' complement: both fit */
	if (want == have || wfp_sum_nb(nb, 0, size) == 0xffff)
		return 0;
	if (!(skip & WFP_FIX_NOTHING))
		write16(nb, 10, want);
	return WFP_FIXED_IP;
}

static uint32_t pseudo_sum(const struct nbl_values *v, uint32_t length)
{
	uint32_t size = v->ip_version == 4 ? 4 : 16;
	uint32_t sum = wfp_sum_bytes(v->ip_source, size, 0);

	sum = wfp_sum_bytes(v->ip_destination, size, sum);
	return wfp_sum_fold(sum + (length >> 16) + (length & 0xffff) + v->ip_protocol);
}

/* Where the checksum is in the transport header, or 0 if it has none known here. */
static uint32_t check_offset(const struct wfp_packet *p)
{
	if (p->values.ip_protocol == WFP_TCP)
		return 16;
	if (p->values.ip_protocol == WFP_UDP)
		return 6;
	return p->values.present & NBL_FIELD_BIT(NBL_FIELD_ICMP_TYPE) ? 2 : 0;
}

static int fix_transport(struct nbl_nb *nb, const struct wfp_packet *p, int skip)
{
	uint32_t at = p->ip_size, length = p->ip_total - p->ip_size, where = check_offset(p),
		 sum = 0;
	bool udp = p->values.ip_protocol == WFP_UDP;
	uint16_t have, want;

	if (!where)
		return 0;
	have = read16(nb, at + where);
	if (udp) {
		uint32_t own = read16(nb, at + 4);

		if (own < 8 || own > length || (!have && p->values.ip_version == 4))
			return 0;
		length = own;
	}
	if (p->values.ip_protocol != WFP_ICMP)
		sum = pseudo_sum(&p->values, length);
	sum = wfp_sum_fold(sum + wfp_sum_nb(nb, at, length));
	want = (uint16_t)~wfp_sum_fold(sum + (uint16_t)~have);
	if (udp && !want)
		want = 0xffff;
	if (want == have || (sum == 0xffff && !(udp && !have)))
		return 0;
	if (!(skip & WFP_FIX_NOTHING))
		write16(nb, at + where, want);
	return WFP_FIXED_TRANSPORT;
}

int wfp_checksum_fix(struct nbl_nb *nb, int skip)
{
	struct wfp_packet p;
	int fixed = 0;

	wfp_parse_ip(nb, &p);
	if (p.values.ip_version == 4 && !(skip & WFP_FIXED_IP))
		fixed |= fix_ip(nb, p.ip_size, skip);
	if (p.transport_size && !p.values.ip_fragment && !p.routed && !(skip & WFP_FIXED_TRANSPORT))
		fixed |= fix_transport(nb, &p, skip);
	return fixed;
}
