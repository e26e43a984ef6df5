/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * nbl_maps.h - the maps that all programs of an adapter share; nbl_shared.h has the values.
 */
#ifndef NBL_MAPS_H
#define NBL_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "nbl_shared.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct nbl_control);
} nbl_control SEC(".maps");

/* (side * NBL_MAX_QUEUES + queue) -> lane that serves it */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NBL_N_SIDES * NBL_MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} nbl_lane_of SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NBL_N_SIDES * NBL_MAX_QUEUES);
	__type(key, __u32);
	__type(value, struct nbl_watch);
} nbl_watch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NBL_MAX_LANES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct nbl_progress);
} nbl_progress SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NBL_N_SIDES);
	__type(key, __u32);
	__type(value, struct nbl_path);
} nbl_path SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, NBL_MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} nbl_xsks_lower SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, NBL_MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} nbl_xsks_upper SEC(".maps");

/*
 * One slot for the program that takes over what the host sends. The kernel empties it when the
 * last process that has the map open is gone: then the host's packets go out as ever.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} nbl_tc_slot SEC(".maps");

static __always_inline struct nbl_control *control_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&nbl_control, &zero);
}

#endif
