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
 * Order: leg_create(), programs_load() with its ifindexes, programs_attach() of both
 * sides, leg_connect(); back: leg_remove(), then programs_free(). Works in the network
 * namespace of the calling thread. Keeper's thread only.
 *
 * Functions with 'why' write one sentence there on error:
 * "eth0: what happened (ERRNO): why. Try: command".
 */
#ifndef PORT_LEG_H
#define PORT_LEG_H

#include <net/if.h>

#include <nbl/contract.h>

struct programs;

/*
 * A leg, and all that is needed to undo it: plain, without pointers, so that it can be kept
 * in a file for a successor. Zero ifindexes and ids mean "not made".
 */
struct leg {
	char nic[IFNAMSIZ];
	uint32_t nic_ifindex;
	char kernel_end[IFNAMSIZ];
	uint32_t kernel_ifindex;
	char daemon_end[IFNAMSIZ];
	uint32_t daemon_ifindex;
	uint32_t clsact_made;		/* 1: the NIC had no clsact before */
	uint32_t filter_handle;		/* our filter at the NIC's egress */
	uint32_t filter_priority;
	uint32_t filter_prog_id;
};

/*
 * Makes the pair for 'nic' with 'n_queues' queues, sets it up and fills ret_l. No packet goes
 * through it yet. -EEXIST: the names belong to someone else; -EBUSY: to an nbld that runs.
 * A leftover of one that does not is replaced. On error nothing remains.
 */
NBL_MUST_CHECK int leg_create(const char *nic, uint32_t n_queues, struct leg *ret_l, char *why,
			      size_t why_size);

/*
 * Attaches the tc programs of 'p' (borrows) at both ends and at the NIC's egress, and completes
 * 'l': write it to the state file again. From here on what the host sends goes as nbl_control
 * says. On error 'l' is still good for leg_remove().
 */
NBL_MUST_CHECK int leg_connect(struct leg *l, const struct programs *p, char *why,
			       size_t why_size);

/*
 * Undoes leg_create() and leg_connect(), by the maker or by its successor: our filter (known by
 * handle, priority, program id and name), clsact if we made it and nobody else uses it, the
 * pair (known by names and mark). Leaves alone what is gone or was made anew by someone else.
 */
void leg_remove(const struct leg *l);

#endif
