/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * nbl_tag.h - puts a VLAN tag that the driver took off back into the frame.
 *
 * An AF_XDP socket gets the bytes only. Drivers hand the tag to programs that
 * are bound to their interface; for a veth this is the one way to keep a tag
 * that the other end's stack left beside the frame.
 */
#ifndef NBL_TAG_H
#define NBL_TAG_H

#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>

#include "nbl_maps.h"

/* Weak: kernels before 6.8 do not have it; the programs that call it are then left out. */
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *vlan_proto,
					__u16 *vlan_tci) __ksym __weak;

/* Two bytes aligned, as is all that is known of a frame. */
struct tagged_eth {
	__u16 mac[6];
	__be16 tag_proto;
	__be16 tag_tci;
};

/* True when the frame is whole: it had no tag beside it, or has it inside now. */
static __always_inline int tag_restore(struct xdp_md *ctx)
{
	struct tagged_eth *new_eth;
	__u16 *old;
	__be16 proto;
	__u16 tci;
	void *end;

	if (bpf_xdp_metadata_rx_vlan_tag(ctx, &proto, &tci))
		return 1;
	if (bpf_xdp_adjust_head(ctx, -4))
		return 0;
	new_eth = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	old = (void *)new_eth + 4;
	if ((void *)(old + 6) > end || (void *)(new_eth + 1) > end)
		return 0;

#pragma unroll
	for (int i = 0; i < 6; i++)
		new_eth->mac[i] = old[i];
	new_eth->tag_proto = proto;
	new_eth->tag_tci = bpf_htons(tci);
	return 1;
}

#endif
