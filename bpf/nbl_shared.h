/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * nbl_shared.h - what the BPF programs and user space both compile.
 *
 * One set of maps serves an adapter: both of its ports' XDP programs and, in
 * the host layout, the tc programs. User space writes the control and progress
 * words; the programs write the rest.
 */
#ifndef NBL_SHARED_H
#define NBL_SHARED_H

#include <linux/types.h>

#define NBL_MAX_QUEUES 64	/* per port */
#define NBL_MAX_LANES  64	/* per adapter; each has at least one queue of each port */

/* An adapter's two ports; indexes every per-port array. */
enum nbl_side {
	NBL_LOWER,
	NBL_UPPER,
	NBL_N_SIDES
};

/* What the programs do with packets, written by the keeper. */
enum nbl_mode {
	NBL_MODE_BYPASS,	/* packets take the kernel's path */
	NBL_MODE_RUN,		/* packets go to the worker */
};

/* Where packets go that cannot go to the worker. */
enum nbl_fallback {
	NBL_FALLBACK_PASS,	/* to the interface's own stack (host layout) */
	NBL_FALLBACK_WIRE,	/* out of the other port (pair, fail open) */
	NBL_FALLBACK_DROP,	/* nowhere (fail closed) */
};

/* Element 0 of the map nbl_control. */
struct nbl_control {
	__u32 mode;		/* enum nbl_mode */
	__u32 fallback;		/* enum nbl_fallback */
	__u64 hang_limit_ns;	/* packets waiting this long without progress = bypass; 0 = never */
};

/* Element (side * NBL_MAX_QUEUES + queue) of the map nbl_watch: the dead-man switch's memory. */
struct nbl_watch {
	__u64 progress;		/* the lane's progress word when last seen to change */
	__u64 since_ns;		/* when the first packet since then came; 0 = none yet */
	__u64 probed_ns;	/* while hung: when a packet was last sent to the socket still */
	__u64 pad[5];		/* queues are served by different processors */
};

/*
 * While a lane hangs one packet in this time still goes to its socket. A lane that was taken for
 * hung because its packets were lost on the way to the ring is woken by it.
 */
#define NBL_PROBE_NS 1000000000ULL

/*
 * Element (lane) of the map nbl_progress, mapped by the worker: the lane adds
 * one each turn of its loop, after it has looked at its rings and before it may
 * sleep. So every packet is followed by a change of the word, unless the lane
 * hangs, and a lane that sleeps for want of packets is never taken for hung.
 * Elements are a page's fraction, so lanes do not share cache lines.
 */
struct nbl_progress {
	__u64 turns;
	__u64 pad[7];
};

/* Element (side) of the per-CPU map nbl_path: what the programs did, in packets. */
struct nbl_path {
	__u64 redirected;	/* to the worker's socket */
	__u64 bypassed;		/* by mode or missing socket, to the fallback */
	__u64 hung;		/* by the dead-man switch, to the fallback */
	__u64 dropped;		/* of these: the fallback is DROP, or no room for the VLAN tag */
};

#endif
