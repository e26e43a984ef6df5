// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * nbl_xdp.bpf.c - the programs of one adapter: XDP on both ports, tc on the host leg.
 *
 * They decide where a packet goes and count it; they never read its payload.
 * What the host sends takes this way:
 *
 *   NIC egress: tc_egress -> tc_send -> leg: XDP upper -> socket
 *                               |             |
 *                               |             +- no socket, bypass, hang: XDP_PASS -> tc_return
 *                               |                                                       |
 *                               +- bypass, hang: on to the wire <---- NIC egress again -+
 *
 * Which queue a packet will meet in the leg, tc_send cannot know; so while any of the leg's
 * lanes hangs, as XDP upper found, it sends all packets on. The way by tc_return is for those few
 * that were in the leg already: other people's egress filters see them twice.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "nbl_deadman.h"
#include "nbl_maps.h"
#include "nbl_tag.h"

/* Set before load; 0 = there is none. */
const volatile __u32 nbl_ifindex[NBL_N_SIDES];		/* the ports */
const volatile __u32 nbl_leg_kernel_ifindex;		/* the leg's kernel end */
const volatile __u32 nbl_wire_by_tc[NBL_N_SIDES];	/* 1: XDP cannot send to the other port */

static __always_inline int fallback(struct nbl_control *control, struct nbl_path *path, __u32 side)
{
	switch (control->fallback) {
	case NBL_FALLBACK_WIRE:
		if (nbl_wire_by_tc[side])
			return XDP_PASS;
		return bpf_redirect(nbl_ifindex[side == NBL_LOWER ? NBL_UPPER : NBL_LOWER], 0);
	case NBL_FALLBACK_DROP:
		path->dropped++;
		return XDP_DROP;
	default:
		return XDP_PASS;
	}
}

/* True when the packet is on its way to a socket; else it is counted and must fall back. */
static __always_inline int to_socket(struct xdp_md *ctx, __u32 side, void *xsks,
				     struct nbl_control *control, struct nbl_path *path)
{
	__u32 queue = ctx->rx_queue_index;

	if (control->mode != NBL_MODE_RUN || queue >= NBL_MAX_QUEUES)
		goto bypassed;
	/* An empty slot gives the flags back: here XDP_ABORTED, for "not redirected". */
	if (bpf_redirect_map(xsks, queue, XDP_ABORTED) != XDP_REDIRECT)
		goto bypassed;
	if (lane_is_hung(side, queue, control->hang_limit_ns)) {
		path->hung++;
		return 0;
	}
	path->redirected++;
	return 1;

bypassed:
	path->bypassed++;
	return 0;
}

static __always_inline int steer(struct xdp_md *ctx, __u32 side, void *xsks, int read_tag)
{
	struct nbl_control *control = control_get();
	/* A copy, so that 'side' stays a constant to the compiler and the verifier. */
	__u32 key = side;
	struct nbl_path *path = bpf_map_lookup_elem(&nbl_path, &key);
	int act = XDP_REDIRECT;

	if (!path || !control)
		return XDP_PASS;
	if (!to_socket(ctx, side, xsks, control, path))
		act = fallback(control, path, side);
	/* A frame that is passed keeps its tag where the stack looks for it. */
	if (read_tag && act == XDP_REDIRECT && !tag_restore(ctx)) {
		path->dropped++;
		return XDP_DROP;
	}
	return act;
}

SEC("xdp")
int nbl_xdp_lower(struct xdp_md *ctx)
{
	return steer(ctx, NBL_LOWER, &nbl_xsks_lower, 0);
}

SEC("xdp")
int nbl_xdp_upper(struct xdp_md *ctx)
{
	return steer(ctx, NBL_UPPER, &nbl_xsks_upper, 0);
}

/* The same for interfaces that tell a program of their own about tags. */
SEC("xdp")
int nbl_xdp_lower_t(struct xdp_md *ctx)
{
	return steer(ctx, NBL_LOWER, &nbl_xsks_lower, 1);
}

SEC("xdp")
int nbl_xdp_upper_t(struct xdp_md *ctx)
{
	return steer(ctx, NBL_UPPER, &nbl_xsks_upper, 1);
}

/* NIC, egress. Stays behind when nbld dies, and then lets everything by. */
SEC("tc")
int nbl_tc_egress(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &nbl_tc_slot, 0);
	return TC_ACT_UNSPEC;
}

static __always_inline int send_on(struct __sk_buff *skb, struct nbl_control *control,
				   struct nbl_path *path, __u64 *count)
{
	__u64 n = skb->gso_segs ? skb->gso_segs : 1;

	*count += n;
	if (control->fallback != NBL_FALLBACK_DROP)
		return TC_ACT_UNSPEC;
	path->dropped += n;
	return TC_ACT_SHOT;
}

/* In nbl_tc_slot: what the host sends, into the leg. */
SEC("tc")
int nbl_tc_send(struct __sk_buff *skb)
{
	struct nbl_control *control = control_get();
	__u32 side = NBL_UPPER;
	struct nbl_path *path;

	/* It has been in the leg already. */
	if (skb->ingress_ifindex == nbl_ifindex[NBL_UPPER])
		return TC_ACT_UNSPEC;
	path = bpf_map_lookup_elem(&nbl_path, &side);
	if (!path || !control)
		return TC_ACT_UNSPEC;
	if (control->mode != NBL_MODE_RUN)
		return send_on(skb, control, path, &path->bypassed);
	if (any_lane_is_hung(control))
		return send_on(skb, control, path, &path->hung);
	return bpf_redirect(nbl_leg_kernel_ifindex, 0);
}

/* Leg's kernel end, ingress: what the worker gives the host arrives on the NIC. */
SEC("tc")
int nbl_tc_to_host(struct __sk_buff *skb)
{
	return bpf_redirect(nbl_ifindex[NBL_LOWER], BPF_F_INGRESS);
}

/*
 * The same place, when the NIC has generic XDP: that runs again on what bpf_redirect() puts there,
 * but not on what the action mirred does. This only says to it: every packet.
 */
SEC("tc")
int nbl_tc_match(struct __sk_buff *skb)
{
	return -1;
}

/* Leg's daemon end, ingress: what no socket took goes where it was going. */
SEC("tc")
int nbl_tc_return(struct __sk_buff *skb)
{
	struct nbl_control *control = control_get();

	if (control && control->fallback == NBL_FALLBACK_DROP)
		return TC_ACT_SHOT;
	return bpf_redirect(nbl_ifindex[NBL_LOWER], 0);
}

/*
 * Pair, ingress of both ports: what XDP passes is the other port's, and so is everything once nbld
 * is dead and its XDP programs are gone. That is what failing open means there.
 */
static __always_inline int to_other_port(__u32 ifindex)
{
	struct nbl_control *control = control_get();

	if (!control || control->fallback == NBL_FALLBACK_PASS)
		return TC_ACT_UNSPEC;
	if (control->fallback == NBL_FALLBACK_DROP)
		return TC_ACT_SHOT;
	return bpf_redirect(ifindex, 0);
}

SEC("tc")
int nbl_tc_wire_l(struct __sk_buff *skb)
{
	return to_other_port(nbl_ifindex[NBL_UPPER]);
}

SEC("tc")
int nbl_tc_wire_u(struct __sk_buff *skb)
{
	return to_other_port(nbl_ifindex[NBL_LOWER]);
}

char _license[] SEC("license") = "Dual BSD/GPL";
