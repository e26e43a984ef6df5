/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.h - one side of an adapter as the keeper holds it: interface, queues, sockets.
 *
 * Opened in the order interface, program (programs.h), sockets; closed in reverse.
 */
#ifndef KEEPER_PORT_H
#define KEEPER_PORT_H

#include "keeper/adapter.h"
#include "port/netdev.h"
#include "port/programs.h"
#include "port/vlan.h"
#include "port/xsk.h"

struct port {
	enum nbl_side side;
	struct netdev dev;
	bool is_leg;
	bool native;
	bool up;			/* as last heard from the kernel */
	uint32_t n_queues;
	uint16_t queues[NBL_MAX_QUEUES];	/* the interface's numbers */
	struct nbl_xsk *xsk[NBL_MAX_QUEUES];
	struct nbl_ring_sizes sizes;
	struct vlan_undo vlan;		/* vlan.ifindex 0: nothing to undo */
	int promiscuous;		/* -1: not */
	uint64_t hung_seen;		/* programs' count of hung packets at the last tick */
};

/*
 * Finds the interface and its queues: those of 'wanted' (bit per queue; 0 = all).
 * False with 'refusal' filled. Changes nothing.
 */
bool port_find(struct port *p, enum nbl_side side, const char *ifname, uint64_t wanted,
	       struct refusal *refusal);

/* Attaches the side's program, in the mode asked for or the one there is; logs a fall-back. */
bool port_attach_program(struct port *p, struct programs *programs, enum xdp_choice choice,
			 struct refusal *refusal);

/*
 * Notes in p->vlan what port_keep_tags() will change so that received frames keep their tags, to be
 * written down before. What cannot be is logged.
 */
void port_plan_tags(struct port *p, const struct programs *programs);
void port_keep_tags(struct port *p);

/* Opens a socket on each queue over 'memory' (borrows until port_close()) and steers it there. */
bool port_open_sockets(struct port *p, struct programs *programs, const struct nbl_memory *memory,
		       enum zerocopy_choice zerocopy, struct refusal *refusal);

/* Takes sockets, program and settings off the interface. Fine at any stage. */
void port_close(struct port *p, struct programs *programs);

/* The longest packet the interface sends: MTU, Ethernet header, one tag. */
uint32_t port_max_length(const struct port *p);

/* Adds the kernel's own losses at the port's sockets into 'ret' (fills the kernel_ fields). */
void port_read_kernel_drops(const struct port *p, struct port_snapshot *ret);

/*
 * Fills a refusal from a negative errno and its sentence: 4 for
 * EPERM, 5 for EOPNOTSUPP and ENOTSUP, else 1.
 */
void refuse(struct refusal *refusal, int error, const char *why);

#endif
