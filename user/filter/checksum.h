/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * checksum.h - the Internet checksum over packets in any number of segments.
 *
 * Sums are kept unfolded in 32 bits, of 16-bit words in network order.
 */
#ifndef FILTER_CHECKSUM_H
#define FILTER_CHECKSUM_H

#include "filter/parse.h"

/* What wfp_checksum_fix() corrected. */
enum wfp_fixed {
	WFP_FIXED_IP		= 1 << 0,
	WFP_FIXED_TRANSPORT	= 1 << 1,
	WFP_FIX_NOTHING		= 1 << 2,	/* in 'skip': only says what is wrong */
};

/* Folds a sum into its 16 bits, not complemented. */
static inline uint16_t wfp_sum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* The sum of 'n' bytes at 'p' (borrows), added to 'sum', which must be folded or small. */
uint32_t wfp_sum_bytes(const uint8_t *p, uint32_t n, uint32_t sum);

/* The sum of 'n' used bytes of 'nb' from 'at' on, which must be there (borrows). */
uint32_t wfp_sum_nb(const struct nbl_nb *nb, uint32_t at, uint32_t n);

/* The checksum 'check' after one 16-bit word, or one 32-bit one, changed (RFC 1624). Host order. */
uint16_t wfp_checksum_replace16(uint16_t check, uint16_t old, uint16_t new);
uint16_t wfp_checksum_replace32(uint16_t check, uint32_t old, uint32_t new);

/*
 * Corrects the checksums of the IP packet 'nb' begins with that do not fit:
 * IPv4 header, and TCP, UDP, ICMP, ICMPv6 if the whole packet is there. A UDP
 * checksum of 0 stays 0 over IPv4 and is filled in over IPv6, and is never the
 * result. Writes to 'nb' only what is wrong. 'skip' has enum wfp_fixed bits to
 * leave alone. Returns enum wfp_fixed bits. Rule: IN-13.
 */
int wfp_checksum_fix(struct nbl_nb *nb, int skip);

/* Writes 'n' bytes over used data from 'at' on, which must be there (borrows both). */
void wfp_nb_write(struct nbl_nb *nb, uint32_t at, const uint8_t *bytes, uint32_t n);

#endif
