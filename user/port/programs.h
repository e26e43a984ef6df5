/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * programs.h - the BPF programs and maps of one adapter: load, attach, steer, count.
 *
 * The programs (bpf/nbl_xdp.bpf.c) send frames to the sockets or past them, as
 * struct nbl_control and the lanes' progress words say. Attachments are links
 * held by descriptors: they are gone with the last process that has them.
 * leg.h and wire.h attach the tc programs. Keeper's thread only.
 *
 * Functions with 'why' write one sentence there on error:
 * "eth0: what happened (ERRNO): why. Try: command".
 */
#ifndef PORT_PROGRAMS_H
#define PORT_PROGRAMS_H

#include <nbl/contract.h>
#include "nbl_shared.h"

struct programs;

struct programs_conf {
	uint32_t ifindex[NBL_N_SIDES];	/* NIC; second NIC, or the leg's daemon end */
	uint32_t leg_kernel_ifindex;	/* the leg's kernel end; 0 = pair, no leg */
	bool wire;			/* pair: wire_connect() will be called before attaching */
};

/* How to attach, and how it is attached. */
enum programs_xdp {
	PROGRAMS_XDP_AUTO,	/* native, else generic */
	PROGRAMS_XDP_NATIVE,
	PROGRAMS_XDP_GENERIC,
};

/* One of the tc programs, by the place where leg.h puts it. */
enum programs_tc {
	PROGRAMS_TC_EGRESS,	/* NIC, egress: calls into the program array */
	PROGRAMS_TC_TO_HOST,	/* leg's kernel end, ingress: on to the NIC's ingress */
	PROGRAMS_TC_MATCH,	/* the same place, when the NIC has generic XDP: for an action */
	PROGRAMS_TC_RETURN,	/* leg's daemon end, ingress: what no socket took, out of the NIC */
	PROGRAMS_TC_WIRE_LOWER,	/* pair, ingress of the lower port: out of the upper port */
	PROGRAMS_TC_WIRE_UPPER,	/* pair, ingress of the upper port: out of the lower port */
	PROGRAMS_N_TC
};

/* Descriptors (all borrowed, -1 = none) that must stay open for packets to reach the worker. */
struct programs_fds {
	int link[NBL_N_SIDES];	/* the XDP attachments */
	int tc_slot;		/* program array: the kernel empties it when nobody has it open */
	int progress;		/* map nbl_progress: PROGRAMS_PROGRESS_SIZE bytes, to map shared */
};

#define PROGRAMS_PROGRESS_SIZE (NBL_MAX_LANES * sizeof(struct nbl_progress))

/*
 * Loads the programs and maps for an adapter (borrows 'conf'): mode BYPASS, fallback PASS,
 * no sockets, every queue on lane 0, nothing attached. Fills ret_p: owned, release with
 * programs_free(). -EPERM names the capability that is missing.
 */
NBL_MUST_CHECK int programs_load(const struct programs_conf *conf, struct programs **ret_p,
				 char *why, size_t why_size);

/* Closes everything, this process's attachments included (takes; NULL is fine). Returns NULL. */
struct programs *programs_free(struct programs *p);

/*
 * Says what the programs do from the next packet on. 'hang_limit_ns' 0 = no dead-man switch;
 * the switch acts between that limit and two clock ticks (8 ms at 250 Hz) later.
 */
NBL_MUST_CHECK int programs_set_control(struct programs *p, enum nbl_mode mode,
					enum nbl_fallback fallback, uint64_t hang_limit_ns);

/* Names the lane that serves a queue (< NBL_MAX_QUEUES): the lane whose progress is watched. */
NBL_MUST_CHECK int programs_set_lane(struct programs *p, enum nbl_side side, uint32_t queue,
				     uint32_t lane);

/* Steers a queue to a bound AF_XDP socket (borrows 'fd'; its closing empties the slot). */
NBL_MUST_CHECK int programs_set_socket(struct programs *p, enum nbl_side side, uint32_t queue,
				       int fd);

/* Stops steering a queue to its socket. No error when there is none. */
void programs_clear_socket(struct programs *p, enum nbl_side side, uint32_t queue);

/*
 * Attaches a side's XDP program to its interface. Never replaces anyone's: -EBUSY then says
 * whose. -EOPNOTSUPP, -ERANGE (MTU), -EINVAL ...: the driver's refusal. 'why' is also filled,
 * with the reason native was refused, when AUTO ended in generic (returns 0); else "". AUTO does
 * not make up for a too large MTU: generic XDP would lose the large frames silently.
 */
NBL_MUST_CHECK int programs_attach(struct programs *p, enum nbl_side side, enum programs_xdp how,
				   char *why, size_t why_size);

/* Takes a side's program off its interface, unless another process holds the link too. */
void programs_detach(struct programs *p, enum nbl_side side);

/* NATIVE or GENERIC while attached, AUTO while not. */
enum programs_xdp programs_attached_as(const struct programs *p, enum nbl_side side);

/* True when the attached program puts back VLAN tags that the driver took off (see vlan.h). */
bool programs_reads_tags(const struct programs *p, enum nbl_side side);

/* True while the link of a side still holds an interface: false after the interface went. */
bool programs_is_attached(const struct programs *p, enum nbl_side side);

/* Adds up a side's counters over all CPUs (fills). Counts since load. */
NBL_MUST_CHECK int programs_read_path(const struct programs *p, enum nbl_side side,
				      struct nbl_path *ret_path);

/* The descriptors that the worker must hold too. */
struct programs_fds programs_get_fds(const struct programs *p);

/* A tc program's descriptor, borrowed from 'p'; -1 if it is not one of the layout's. */
int programs_get_tc_fd(const struct programs *p, enum programs_tc which);

/* Name of a loaded program by its id (fills, cut to 'size'); false if there is none. */
bool programs_name_of(uint32_t prog_id, char *name, size_t size);

#endif
