/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vlan.h - keeps VLAN tags inside the frames an interface receives.
 *
 * A driver may take the tag off a received frame and hand it over beside it; an
 * AF_XDP socket then sees the frame without it. Programs that read the tag and
 * put it back need no help (programs_reads_tags()); where none can, the driver's
 * tag offload is switched off here, and back on later.
 */
#ifndef PORT_VLAN_H
#define PORT_VLAN_H

#include <net/if.h>

#include <nbl/contract.h>

/* What is changed; plain, so that it can be kept in a file for a successor. */
struct vlan_undo {
	uint32_t ifindex;
	char ifname[IFNAMSIZ];
	bool ctag_was_on;	/* rx-vlan-hw-parse */
	bool stag_was_on;	/* rx-vlan-stag-hw-parse */
};

/*
 * Changes nothing; fills ret_u with what vlan_keep_in_band() will change: it stays when its maker
 * dies, so write it down before. -EOPNOTSUPP, with 'why' one sentence: it cannot be had there;
 * tagged frames would arrive without their tag.
 */
NBL_MUST_CHECK int vlan_plan(const char *ifname, struct vlan_undo *ret_u, char *why,
			     size_t why_size);

/*
 * Makes received frames of an interface carry their tags in band, as planned (borrows). Errors
 * and 'why' as vlan_plan()'s; then nothing is changed.
 */
NBL_MUST_CHECK int vlan_keep_in_band(const struct vlan_undo *u, char *why, size_t why_size);

/* Puts back what vlan_keep_in_band() changed (borrows). Nothing if that interface is gone. */
void vlan_restore(const struct vlan_undo *u);

#endif
