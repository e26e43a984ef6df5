/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire.h - the wire between the two ports of a pair, for packets that go past the worker.
 *
 *   lower port, ingress ---> out of the upper port
 *   lower port  <--- ingress, upper port
 *
 * tc programs at both ports take what XDP passes where it cannot send out of the other port
 * itself, and everything once the XDP programs are gone with a dead nbld; both only as long as the
 * fallback is WIRE. They stay until wire_remove(). Namespace of the calling thread; keeper's
 * thread only.
 */
#ifndef PORT_WIRE_H
#define PORT_WIRE_H

#include <nbl/contract.h>
#include "nbl_shared.h"

struct programs;

/*
 * What was attached, by side: plain, so that it can be kept in a file for a successor. Zero means
 * "not made".
 */
struct wire {
	struct {
		uint32_t ifindex;
		uint32_t clsact_made;		/* 1: the port had no clsact before */
		uint32_t filter_handle;		/* our filter at the port's ingress */
		uint32_t filter_priority;
		uint32_t filter_prog_id;
	} ends[NBL_N_SIDES];
};

/*
 * Attaches the tc programs of 'p' (borrows, loaded with 'wire' set) at the two ports and fills
 * ret_w, on error too, as far as it came: good for wire_remove(). On error 'why' gets one sentence.
 */
NBL_MUST_CHECK int wire_connect(const struct programs *p, const uint32_t ifindex[NBL_N_SIDES],
				struct wire *ret_w, char *why, size_t why_size);

/* Undoes it, by the maker or its successor; leaves alone what is gone or someone else's. */
void wire_remove(const struct wire *w);

#endif
