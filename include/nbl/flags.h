/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flags.h - what a call that moves a chain says about the whole chain.
 *
 * The values are those of NDIS, and differ by direction: translate, do not copy
 * (PT-09). RESOURCES and CHECK_FOR_LOOPBACK are orders; the others are promises
 * that may always be left out, and must be by whoever merges chains or changes
 * packets, unless still certain (PT-08, TX-15). Completions are merged ones of several sends
 * (TX-03), so the engine sets no flag on them: a switch's hints end where a send does (TX-15).
 */
#ifndef NBL_FLAGS_H
#define NBL_FLAGS_H

#include <nbl/contract.h>

/* NDIS_RECEIVE_FLAGS_ */
enum nbl_receive_flags {
	NBL_RECEIVE_DISPATCH			= 0x1,	/* a hint, passed through (NX-01) */
	NBL_RECEIVE_RESOURCES			= 0x2,	/* lent: the same chain is back (RX-04) */
	NBL_RECEIVE_SINGLE_ETHER_TYPE		= 0x100,
	NBL_RECEIVE_SINGLE_VLAN			= 0x200,
	NBL_RECEIVE_PERFECT_FILTERED		= 0x400,
	NBL_RECEIVE_SINGLE_QUEUE		= 0x800,	/* all came by one queue */
	NBL_RECEIVE_SHARED_MEMORY_INFO_VALID	= 0x1000,	/* never set */
	NBL_RECEIVE_MORE_NBLS			= 0x2000,	/* never set */
	NBL_RECEIVE_SWITCH_DESTINATION_GROUP	= 0x4000,
	NBL_RECEIVE_SWITCH_SINGLE_SOURCE	= 0x8000,
};

/* NDIS_RETURN_FLAGS_ */
enum nbl_return_flags {
	NBL_RETURN_DISPATCH			= 0x1,
	NBL_RETURN_SINGLE_QUEUE			= 0x2,
	NBL_RETURN_SWITCH_SINGLE_SOURCE		= 0x4,
};

/* NDIS_SEND_FLAGS_ */
enum nbl_send_flags {
	NBL_SEND_DISPATCH			= 0x1,
	NBL_SEND_CHECK_FOR_LOOPBACK		= 0x2,	/* shown to its sender if it asks (TX-14) */
	NBL_SEND_SINGLE_QUEUE			= 0x4,
	NBL_SEND_SWITCH_DESTINATION_GROUP	= 0x10,
	NBL_SEND_SWITCH_SINGLE_SOURCE		= 0x20,
};

/* NDIS_SEND_COMPLETE_FLAGS_ */
enum nbl_send_complete_flags {
	NBL_SEND_COMPLETE_DISPATCH		= 0x1,
	NBL_SEND_COMPLETE_SINGLE_QUEUE		= 0x2,
	NBL_SEND_COMPLETE_SWITCH_SINGLE_SOURCE	= 0x4,
};

#endif
