// SPDX-License-Identifier: BSD-2-Clause
/*
 * netdev_xdp.c - asks the generic netlink family "netdev" what a driver can do for XDP.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <string.h>

#include "port/netdev.h"
#include "port/rtnl.h"

/* From linux/netdev.h, which the headers of Debian 12 (kernel 6.1) do not have yet. */
#define NETDEV_FAMILY			"netdev"
#define NETDEV_COMMAND_DEV_GET		1
#define NETDEV_ATTR_IFINDEX		1
#define NETDEV_ATTR_XDP_FEATURES	3
#define NETDEV_ATTR_XDP_ZC_MAX_SEGS	4
#define NETDEV_ATTR_XDP_RX_METADATA	5
#define NETDEV_FEATURE_BASIC		(1u << 0)
#define NETDEV_FEATURE_REDIRECT		(1u << 1)
#define NETDEV_FEATURE_TRANSMIT		(1u << 2)
#define NETDEV_FEATURE_ZEROCOPY		(1u << 3)
#define NETDEV_METADATA_VLAN_TAG	(1u << 2)

#define REQUEST_SIZE 256

static struct nlmsghdr *generic_request(void *buffer, uint16_t family, uint8_t command)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct genlmsghdr *genl;

	nlh->nlmsg_type = family;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = command;
	genl->version = 1;
	return nlh;
}

static int parse_family_id(const struct nlattr *attr, void *data)
{
	if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
		*(uint16_t *)data = mnl_attr_get_u16(attr);
	return MNL_CB_OK;
}

static int parse_family(const struct nlmsghdr *nlh, void *data)
{
	return mnl_attr_parse(nlh, sizeof(struct genlmsghdr), parse_family_id, data);
}

static int find_family(uint16_t *ret_family)
{
	char buffer[REQUEST_SIZE];
	struct nlmsghdr *nlh = generic_request(buffer, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	int r;

	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, NETDEV_FAMILY);
	r = rtnl_talk(NETLINK_GENERIC, nlh, parse_family, ret_family);
	return r == -ENOENT ? -EOPNOTSUPP : r;
}

static int parse_feature(const struct nlattr *attr, void *data)
{
	struct netdev_xdp *x = data;

	switch (mnl_attr_get_type(attr)) {
	case NETDEV_ATTR_XDP_FEATURES:
		x->basic = mnl_attr_get_u64(attr) & NETDEV_FEATURE_BASIC;
		x->redirect = mnl_attr_get_u64(attr) & NETDEV_FEATURE_REDIRECT;
		x->transmit = mnl_attr_get_u64(attr) & NETDEV_FEATURE_TRANSMIT;
		x->zerocopy = mnl_attr_get_u64(attr) & NETDEV_FEATURE_ZEROCOPY;
		break;
	case NETDEV_ATTR_XDP_ZC_MAX_SEGS:
		x->zerocopy_segments = mnl_attr_get_u32(attr);
		break;
	case NETDEV_ATTR_XDP_RX_METADATA:
		x->vlan_tag = mnl_attr_get_u64(attr) & NETDEV_METADATA_VLAN_TAG;
		break;
	}
	return MNL_CB_OK;
}

static int parse_device(const struct nlmsghdr *nlh, void *data)
{
	return mnl_attr_parse(nlh, sizeof(struct genlmsghdr), parse_feature, data);
}

int netdev_get_xdp(uint32_t ifindex, struct netdev_xdp *ret_x)
{
	struct netdev_xdp x = { 0 };
	char buffer[REQUEST_SIZE];
	struct nlmsghdr *nlh;
	uint16_t family = 0;
	int r;

	r = find_family(&family);
	if (r < 0)
		return r;
	nlh = generic_request(buffer, family, NETDEV_COMMAND_DEV_GET);
	mnl_attr_put_u32(nlh, NETDEV_ATTR_IFINDEX, ifindex);
	r = rtnl_talk(NETLINK_GENERIC, nlh, parse_device, &x);
	if (r < 0)
		return r;
	*ret_x = x;
	return 0;
}
