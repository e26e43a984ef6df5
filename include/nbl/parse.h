/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parse.h - what the bytes of a packet prove: its frame type, and the flags that follow.
 *
 * Nothing is believed that lies outside the used data, so packets may be cut
 * short, lie or be random. All calls borrow, read across segments and never block.
 */
#ifndef NBL_PARSE_H
#define NBL_PARSE_H

#include <nbl/nbl.h>

#define NBL_MAX_VLAN_TAGS 4	/* in a row; a packet with more has no frame type */

/*
 * The EtherType behind all VLAN tags, in network byte order; 0 if it is cut short,
 * or is a length (802.3). Rule: DM-09.
 */
NBL_API uint16_t nbl_nb_frame_type(const struct nbl_nb *nb);

/* The same of all packets of 'n': 0 if they differ. */
NBL_API uint16_t nbl_frame_type_parse(const struct nbl *n);

/*
 * The flags NBL_FLAG_IS_ that are proven for every packet of 'n': an IP header that is
 * whole and consistent, and for TCP and UDP a whole header of theirs, so not in later
 * fragments. Never both IP flags, never TCP or UDP without one. Rule: DM-14.
 */
NBL_API uint32_t nbl_flags_parse(const struct nbl *n);

/*
 * For whoever originates or indicates 'n': sets its frame_type_be and these flags as
 * parsed, and no others.
 */
NBL_API void nbl_parse(struct nbl *n);

/*
 * Bytes of the MAC header with its tags; 0 if it is cut short. It can be sent as it is
 * only if they lie in one segment. Rule: AR-08.
 */
NBL_API uint32_t nbl_nb_mac_header_length(const struct nbl_nb *nb);
NBL_API bool nbl_nb_mac_header_is_contiguous(const struct nbl_nb *nb);

#endif
