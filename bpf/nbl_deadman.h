/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * nbl_deadman.h - tells whether the lane behind a queue has stopped working.
 *
 * Progress is measured, not time: packets that wait while the lane's word does
 * not change. It trips on a packet; the lane's next turn ends it. The coarse
 * clock is enough: at most a tick behind, a tick that user space adds to the
 * limit, so the switch never acts early.
 */
#ifndef NBL_DEADMAN_H
#define NBL_DEADMAN_H

#include "nbl_maps.h"

/*
 * The lane that hangs at the upper port, for the tc program, which cannot know which queue a packet
 * will meet there: lane + 1 in the top byte, its progress word below. 0 = none.
 */
__u64 nbl_hung_lane;
__u64 nbl_hung_seen_ns;		/* when the XDP program saw it */

#define HUNG_LANE_SHIFT 56

static __always_inline __u64 hung_word(__u32 lane, __u64 turns)
{
	return (__u64)(lane + 1) << HUNG_LANE_SHIFT | (turns & ((1ULL << HUNG_LANE_SHIFT) - 1));
}

static __always_inline __u64 turns_of(struct nbl_progress *lane)
{
	return *(volatile __u64 *)&lane->turns;
}

/* Of a packet that met a hanging lane: true when it must fall back, false when it is the probe. */
static __always_inline int hung_falls_back(struct nbl_watch *watch, __u64 now)
{
	if (now - watch->probed_ns < NBL_PROBE_NS)
		return 1;
	watch->probed_ns = now;
	return 0;
}

/* For each packet to a socket: true when the lane hangs and the packet must fall back. */
static __always_inline int lane_is_hung(__u32 side, __u32 queue, __u64 limit_ns)
{
	__u32 key = side * NBL_MAX_QUEUES + queue;
	struct nbl_progress *lane;
	struct nbl_watch *watch;
	__u64 turns, now;
	__u32 *lane_of;

	if (!limit_ns)
		return 0;
	lane_of = bpf_map_lookup_elem(&nbl_lane_of, &key);
	watch = bpf_map_lookup_elem(&nbl_watch, &key);
	if (!lane_of || !watch)
		return 0;
	lane = bpf_map_lookup_elem(&nbl_progress, lane_of);
	if (!lane)
		return 0;

	turns = turns_of(lane);
	now = bpf_ktime_get_coarse_ns();
	if (turns != watch->progress || !watch->since_ns) {
		watch->progress = turns;
		watch->since_ns = now;
		return 0;
	}
	if (now - watch->since_ns <= limit_ns)
		return 0;
	if (side == NBL_UPPER) {
		nbl_hung_seen_ns = now;
		nbl_hung_lane = hung_word(*lane_of, turns);
	}
	return hung_falls_back(watch, now);
}

/* For the tc program: true while a lane that the XDP program saw hang has not moved since. */
static __always_inline int any_lane_is_hung(struct nbl_control *control)
{
	__u64 hung = *(volatile __u64 *)&nbl_hung_lane;
	struct nbl_progress *lane;
	__u32 index;

	if (!hung || !control->hang_limit_ns)
		return 0;
	index = (hung >> HUNG_LANE_SHIFT) - 1;
	lane = bpf_map_lookup_elem(&nbl_progress, &index);
	if (lane && hung_word(index, turns_of(lane)) == hung &&
	    bpf_ktime_get_coarse_ns() - nbl_hung_seen_ns < NBL_PROBE_NS)
		return 1;
	nbl_hung_lane = 0;
	return 0;
}

#endif
