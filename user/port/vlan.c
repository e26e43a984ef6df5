// SPDX-License-Identifier: BSD-2-Clause
#include "port/vlan.h"

#include <errno.h>
#include <string.h>

#include "port/ethtool.h"
#include "port/netdev.h"
#include "port/why.h"

#define CTAG_FEATURE "rx-vlan-hw-parse"
#define STAG_FEATURE "rx-vlan-stag-hw-parse"

/* Fills ret_is_on: it is on, and can be switched off. */
static int look_at(const char *ifname, const char *feature, bool *ret_is_on)
{
	struct ethtool_feature_state state = { 0 };
	int r = ethtool_get_feature(ifname, feature, &state);

	if (r == -ENOENT || (r == 0 && !state.on))
		return 0;
	if (r < 0)
		return r;
	*ret_is_on = state.changeable;
	return state.changeable ? 0 : -EOPNOTSUPP;
}

static int refuse_driver(const char *ifname, int r, char *why, size_t why_size)
{
	return why_set(why, why_size, -r,
		       "%s: received frames lose their VLAN tags (%s): the driver takes tags off "
		       "and does not let that be switched. Try: ethtool -K %s rxvlan off", ifname,
		       why_errno(-r), ifname);
}

/* A veth hands over what its other end left beside the frame, whatever its own settings say. */
static int refuse_veth(const struct netdev *n, char *why, size_t why_size)
{
	struct ethtool_feature_state state;
	char peer[IFNAMSIZ] = "PEER";

	if (!n->peer_elsewhere && if_indextoname(n->peer, peer) &&
	    ethtool_get_feature(peer, "tx-vlan-hw-insert", &state) == 0 && !state.on)
		return 0;
	return why_set(why, why_size, EOPNOTSUPP,
		       "%s: received frames lose their VLAN tags (EOPNOTSUPP): the other end of "
		       "the veth leaves tags to the driver. Try: ethtool -K %s txvlan off, at the "
		       "other end", n->name, peer);
}

int vlan_plan(const char *ifname, struct vlan_undo *ret_u, char *why, size_t why_size)
{
	struct vlan_undo u = { 0 };
	struct netdev n;
	int r;

	r = netdev_get(ifname, &n);
	if (r < 0)
		return why_set(why, why_size, -r, "%s: no such interface (%s)", ifname,
			       why_errno(-r));
	u.ifindex = n.ifindex;
	memcpy(u.ifname, n.name, sizeof(u.ifname));
	if (!strcmp(n.kind, "veth")) {
		r = refuse_veth(&n, why, why_size);
	} else {
		r = look_at(n.name, CTAG_FEATURE, &u.ctag_was_on);
		if (r == 0)
			r = look_at(n.name, STAG_FEATURE, &u.stag_was_on);
		if (r < 0)
			refuse_driver(n.name, r, why, why_size);
	}
	if (r == 0)
		*ret_u = u;
	return r;
}

int vlan_keep_in_band(const struct vlan_undo *u, char *why, size_t why_size)
{
	int r = 0;

	if (u->ctag_was_on)
		r = ethtool_set_feature(u->ifname, CTAG_FEATURE, false);
	if (r == 0 && u->stag_was_on)
		r = ethtool_set_feature(u->ifname, STAG_FEATURE, false);
	if (r == 0)
		return 0;
	vlan_restore(u);
	return refuse_driver(u->ifname, r, why, why_size);
}

void vlan_restore(const struct vlan_undo *u)
{
	struct netdev n;

	if (!u->ctag_was_on && !u->stag_was_on)
		return;
	/* It may have a new name; an ifindex is not given to another one while the machine runs. */
	if (netdev_get_index(u->ifindex, &n) < 0)
		return;
	if (u->ctag_was_on && ethtool_set_feature(n.name, CTAG_FEATURE, true) < 0)
		errno = 0;
	if (u->stag_was_on && ethtool_set_feature(n.name, STAG_FEATURE, true) < 0)
		errno = 0;
}
