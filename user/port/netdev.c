// SPDX-License-Identifier: BSD-2-Clause
#include "port/netdev.h"

#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>

#include "port/ethtool.h"
#include "port/rtnl.h"

static int parse_kind(const struct nlattr *attr, void *data)
{
	struct netdev *n = data;

	if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
		snprintf(n->kind, sizeof(n->kind), "%s", mnl_attr_get_str(attr));
	return MNL_CB_OK;
}

static int parse_xdp(const struct nlattr *attr, void *data)
{
	static const enum netdev_xdp_mode modes[] = {
		[XDP_ATTACHED_NONE] = NETDEV_XDP_NONE,
		[XDP_ATTACHED_DRV] = NETDEV_XDP_NATIVE,
		[XDP_ATTACHED_SKB] = NETDEV_XDP_GENERIC,
		[XDP_ATTACHED_HW] = NETDEV_XDP_OFFLOADED,
		[XDP_ATTACHED_MULTI] = NETDEV_XDP_SEVERAL,
	};
	uint16_t type = mnl_attr_get_type(attr);
	struct netdev *n = data;

	if (type == IFLA_XDP_ATTACHED && mnl_attr_get_u8(attr) <= XDP_ATTACHED_MULTI)
		n->xdp_mode = modes[mnl_attr_get_u8(attr)];
	else if (type == IFLA_XDP_PROG_ID)
		n->xdp_prog_id = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static int parse_attribute(const struct nlattr *attr, void *data)
{
	struct netdev *n = data;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		snprintf(n->name, sizeof(n->name), "%s", mnl_attr_get_str(attr));
		break;
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(attr) == sizeof(n->mac))
			memcpy(n->mac, mnl_attr_get_payload(attr), sizeof(n->mac));
		break;
	case IFLA_MTU:
		n->mtu = mnl_attr_get_u32(attr);
		break;
	case IFLA_NUM_RX_QUEUES:
		n->n_queues = mnl_attr_get_u32(attr);
		break;
	case IFLA_NUM_TX_QUEUES:
		n->n_tx_queues = mnl_attr_get_u32(attr);
		break;
	case IFLA_CARRIER:
		n->carrier = mnl_attr_get_u8(attr);
		break;
	case IFLA_MASTER:
		n->master = mnl_attr_get_u32(attr);
		break;
	case IFLA_LINK:
		n->peer = mnl_attr_get_u32(attr);
		break;
	case IFLA_LINK_NETNSID:
		n->peer_elsewhere = true;
		break;
	case IFLA_IFALIAS:
		snprintf(n->alias, sizeof(n->alias), "%s", mnl_attr_get_str(attr));
		break;
	case IFLA_LINKINFO:
		return mnl_attr_parse_nested(attr, parse_kind, n);
	case IFLA_XDP:
		return mnl_attr_parse_nested(attr, parse_xdp, n);
	}
	return MNL_CB_OK;
}

static int parse_link(const struct nlmsghdr *nlh, void *data)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct netdev *n = data;

	if (nlh->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	n->ifindex = (uint32_t)ifi->ifi_index;
	n->flags = ifi->ifi_flags;
	n->up = ifi->ifi_flags & IFF_UP;
	return mnl_attr_parse(nlh, sizeof(*ifi), parse_attribute, n);
}

/* netlink counts the queues that exist; the driver says how many of them are in use. */
static void ask_driver(struct netdev *n)
{
	struct ethtool_channels_state c;

	if (ethtool_get_driver(n->name, n->driver, sizeof(n->driver)) < 0)
		n->driver[0] = '\0';
	if (ethtool_get_channels(n->name, &c) < 0)
		return;
	if (c.combined + c.rx)
		n->n_queues = c.combined + c.rx;
	if (c.combined + c.tx)
		n->n_tx_queues = c.combined + c.tx;
}

static int get_link(struct nlmsghdr *request, struct netdev *ret_n)
{
	struct netdev n = { 0 };
	int r;

	mnl_attr_put_u32(request, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	r = rtnl_talk(NETLINK_ROUTE, request, parse_link, &n);
	if (r < 0)
		return r;
	if (!n.ifindex)
		return -ENODEV;
	if (strcmp(n.kind, "veth")) {
		n.peer = 0;
		n.peer_elsewhere = false;
	}
	ask_driver(&n);
	*ret_n = n;
	return 0;
}

int netdev_get(const char *name, struct netdev *ret_n)
{
	char buffer[MNL_NLMSG_HDRLEN + sizeof(struct ifinfomsg) + 256];
	struct nlmsghdr *request = rtnl_link_request(buffer, RTM_GETLINK, 0, 0);
	size_t length = strlen(name);

	if (!length || length >= 128)
		return -ENODEV;
	mnl_attr_put_strz(request, length < IFNAMSIZ ? IFLA_IFNAME : IFLA_ALT_IFNAME, name);
	return get_link(request, ret_n);
}

int netdev_get_index(uint32_t ifindex, struct netdev *ret_n)
{
	char buffer[MNL_NLMSG_HDRLEN + sizeof(struct ifinfomsg) + 64];

	if (!ifindex)
		return -ENODEV;
	return get_link(rtnl_link_request(buffer, RTM_GETLINK, 0, ifindex), ret_n);
}
