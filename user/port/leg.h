/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * leg.h - the host leg: the veth pair that joins an adapter to the host's own stack.
 *
 *   host stack on the NIC
 *      ^            | egress, entry program: tail call, or on to the wire
 *      | ingress    v
 *   kernel end  nblh<ifindex> <===veth===> nblx<ifindex>  daemon end: XDP, AF_XDP
 *                                              | ingress: what no socket took
 *                                              +---> NIC egress, which lets it by
 *
 * Order: leg_plan(), leg_create(), programs_load() with its ifindexes, programs_attach() of
 * both sides, leg_plan_connection(), leg_connect(); back: leg_remove(), then programs_free().
 * All that is made stays when its maker dies: after each plan the leg is to be written down.
 * Works in the network namespace of the calling thread. Keeper's thread only.
 *
 * Functions with 'why' write one sentence there on error:
 * "eth0: what happened (ERRNO): why. Try: command".
 */
#ifndef PORT_LEG_H
#define PORT_LEG_H

#include <net/if.h>

#include <nbl/contract.h>
#include "port/tc.h"

struct programs;

/*
 * A leg, and all that is needed to undo it: plain, without pointers, so that it can be kept
 * in a file for a successor. An ifindex of an end that is 0: planned, perhaps made.
 */
struct leg {
	char nic[IFNAMSIZ];
	uint32_t nic_ifindex;
	char kernel_end[IFNAMSIZ];
	uint32_t kernel_ifindex;
	char daemon_end[IFNAMSIZ];
	uint32_t daemon_ifindex;
	struct tc_note egress;		/* our filter at the NIC; those at the ends go with them */
};

/*
 * Fills ret_l with the names of a pair for 'nic' that leg_create() will make, and sees that they
 * are free: -EEXIST: they belong to someone else; -EBUSY: to an nbld that runs. A leftover of
 * one that does not is removed.
 */
NBL_MUST_CHECK int leg_plan(const char *nic, struct leg *ret_l, char *why, size_t why_size);

/*
 * Makes the planned pair with 'n_queues' queues, sets it up and completes 'l'. No packet goes
 * through it yet. On error nothing remains, and 'l' is none.
 */
NBL_MUST_CHECK int leg_create(struct leg *l, uint32_t n_queues, char *why, size_t why_size);

/* Changes nothing; notes in 'l' what leg_connect() will do to the NIC. 'p': borrows. */
NBL_MUST_CHECK int leg_plan_connection(struct leg *l, const struct programs *p, char *why,
				       size_t why_size);

/*
 * Attaches the tc programs of 'p' (borrows) at both ends and, as planned, at the NIC's egress.
 * From here on what the host sends goes as nbl_control says. On error 'l' is still good for
 * leg_remove().
 */
NBL_MUST_CHECK int leg_connect(struct leg *l, const struct programs *p, char *why,
			       size_t why_size);

/*
 * Undoes what was planned, whether it was done or not, by the maker or by its successor: our
 * filter, clsact if we made it and nobody else uses it, the pair (known by names and mark).
 * Leaves alone what is gone or was made anew by someone else.
 */
void leg_remove(const struct leg *l);

#endif
