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
#include "port/tc.h"

struct programs;

struct wire {
	struct tc_note ends[NBL_N_SIDES];	/* at the ingress of each port */
};

/*
 * Changes nothing; fills ret_w with what wire_connect() will do to the two ports. Write it down
 * before. 'p' (borrows) was loaded with 'wire' set. On error 'why' gets one sentence.
 */
NBL_MUST_CHECK int wire_plan(const struct programs *p, const uint32_t ifindex[NBL_N_SIDES],
			     struct wire *ret_w, char *why, size_t why_size);

/*
 * Attaches the tc programs of 'p' (borrows) as planned in 'w', which is good for wire_remove() on
 * error too. On error 'why' gets one sentence.
 */
NBL_MUST_CHECK int wire_connect(const struct programs *p, struct wire *w, char *why,
				size_t why_size);

/*
 * Undoes what was planned, whether it was done or not, by the maker or its successor; leaves alone
 * what is gone or someone else's.
 */
void wire_remove(const struct wire *w);

#endif
