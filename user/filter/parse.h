/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parse.h - what is in a frame: Ethernet, VLAN tags, IP, extension headers, ports.
 *
 * One bounded parser: it never reads behind the used data, whatever the lengths
 * in it claim, and does not care how the data is cut into segments. What it
 * could not prove is absent: the bit in values.present is clear and the size 0.
 */
#ifndef FILTER_PARSE_H
#define FILTER_PARSE_H

#include <nbl/callout.h>
#include <nbl/parse.h>

/* VLAN tags it looks behind; with more there is no MAC header */
#define WFP_MAX_TAGS NBL_MAX_VLAN_TAGS
#define WFP_MAX_EXTENSIONS 16		/* IPv6 extension headers it looks behind */

enum wfp_protocol {
	WFP_ICMP = 1,
	WFP_TCP = 6,
	WFP_UDP = 17,
	WFP_ICMPV6 = 58,
	WFP_SCTP = 132,
	WFP_UDPLITE = 136,
};

/* A frame as understood. Offsets count from its MAC header. */
struct wfp_packet {
	struct nbl_values values;	/* direction, interface, queue and port are the caller's */
	uint16_t mac_size;		/* 0: no complete MAC header */
	uint16_t ip_size; /* 0: no sound IP header; counts what was walked of the extensions */
	uint16_t transport_size;	/* 0: none, or not complete */
	uint16_t fragment_offset;
	uint32_t ip_total;
	bool transport;	/* a transport layer begins behind ip_size, complete if it is a known one */
	bool routed;	/* a routing header with segments left: pseudo header unknown */
};

/* Understands the frame 'nb', whose used data begins at the MAC header (borrows; fills ret). */
void wfp_parse_frame(const struct nbl_nb *nb, struct wfp_packet *ret);

/* The same for an IP packet: used data begins at the IP header, mac_size is 0. */
void wfp_parse_ip(const struct nbl_nb *nb, struct wfp_packet *ret);

#endif
