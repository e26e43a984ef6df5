// SPDX-License-Identifier: BSD-2-Clause
/*
 * netdev_link.c - making, changing and removing links.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/veth.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port/netdev.h"
#include "port/rtnl.h"

#define LINK_REQUEST_SIZE 1024

/* What both ends of a pair are told alike. */
static void put_end(struct nlmsghdr *nlh, const char *name, const struct netdev_veth *v)
{
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nlh, IFLA_MTU, v->mtu);
	mnl_attr_put_u32(nlh, IFLA_NUM_TX_QUEUES, v->n_queues);
	mnl_attr_put_u32(nlh, IFLA_NUM_RX_QUEUES, v->n_queues);
}

static int create_pair(const struct netdev_veth *v)
{
	char buffer[LINK_REQUEST_SIZE];
	struct nlmsghdr *nlh = rtnl_link_request(buffer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	struct nlattr *info, *data, *other;

	put_end(nlh, v->name, v);
	if (v->mac)
		mnl_attr_put(nlh, IFLA_ADDRESS, 6, v->mac);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	other = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	put_end(nlh, v->peer, v);
	mnl_attr_nest_end(nlh, other);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	return rtnl_talk(NETLINK_ROUTE, nlh, NULL, NULL);
}

static int set_alias(uint32_t ifindex, const char *alias)
{
	char buffer[LINK_REQUEST_SIZE];
	struct nlmsghdr *nlh = rtnl_link_request(buffer, RTM_NEWLINK, 0, ifindex);

	mnl_attr_put_str(nlh, IFLA_IFALIAS, alias);
	return rtnl_talk(NETLINK_ROUTE, nlh, NULL, NULL);
}

/* Refused where there is no IPv6, and then not needed either. */
static void set_no_addresses(uint32_t ifindex)
{
	char buffer[LINK_REQUEST_SIZE];
	struct nlmsghdr *nlh = rtnl_link_request(buffer, RTM_NEWLINK, 0, ifindex);
	struct nlattr *spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
	struct nlattr *inet6 = mnl_attr_nest_start(nlh, AF_INET6);

	mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(nlh, inet6);
	mnl_attr_nest_end(nlh, spec);
	if (rtnl_talk(NETLINK_ROUTE, nlh, NULL, NULL) < 0)
		return;
}

static int finish_end(uint32_t ifindex, const char *alias)
{
	if (!ifindex)
		return -ENODEV;
	set_no_addresses(ifindex);
	return set_alias(ifindex, alias);
}

int netdev_create_veth(const struct netdev_veth *v)
{
	uint32_t ifindex;
	int r;

	r = create_pair(v);
	if (r < 0)
		return r;
	ifindex = if_nametoindex(v->name);
	r = finish_end(ifindex, v->alias);
	if (r == 0)
		r = finish_end(if_nametoindex(v->peer), v->alias);
	if (r < 0 && ifindex)
		netdev_delete(ifindex);
	return r;
}

int netdev_delete(uint32_t ifindex)
{
	char buffer[LINK_REQUEST_SIZE];
	struct nlmsghdr *nlh = rtnl_link_request(buffer, RTM_DELLINK, 0, ifindex);

	/* Index 0 would stand for "by name", or for a whole group of links. */
	if (!ifindex)
		return -ENODEV;
	return rtnl_talk(NETLINK_ROUTE, nlh, NULL, NULL);
}

int netdev_set_flags(uint32_t ifindex, uint32_t flags, uint32_t mask)
{
	char buffer[LINK_REQUEST_SIZE];
	struct nlmsghdr *nlh = rtnl_link_request(buffer, RTM_NEWLINK, 0, ifindex);
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	ifi->ifi_flags = flags & mask;
	ifi->ifi_change = mask;
	return rtnl_talk(NETLINK_ROUTE, nlh, NULL, NULL);
}

int netdev_set_mtu(uint32_t ifindex, uint32_t mtu)
{
	char buffer[LINK_REQUEST_SIZE];
	struct nlmsghdr *nlh = rtnl_link_request(buffer, RTM_NEWLINK, 0, ifindex);

	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	return rtnl_talk(NETLINK_ROUTE, nlh, NULL, NULL);
}

void netdev_disable_ipv6(const char *name)
{
	char path[sizeof("/proc/sys/net/ipv6/conf//disable_ipv6") + IFNAMSIZ];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%.*s/disable_ipv6", IFNAMSIZ, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* A read-only /proc is no reason to fail: without addresses the link is quiet as well. */
	if (write(fd, "1", 1) < 0)
		errno = 0;
	close(fd);
}

int netdev_open_promiscuous(uint32_t ifindex)
{
	struct packet_mreq request = { .mr_ifindex = (int)ifindex, .mr_type = PACKET_MR_PROMISC };
	/* Protocol 0: the socket itself receives nothing. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}
