/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtnl.h - one netlink request and its answer; for the files of this folder.
 *
 * A socket per call: requests are rare, and no state can go stale.
 */
#ifndef PORT_RTNL_H
#define PORT_RTNL_H

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include <nbl/contract.h>

/* Requests and answers about links with many queues or statistics need more than a page. */
#define RTNL_BUFFER_SIZE 32768

/*
 * Sends 'request' on a netlink bus (NETLINK_ROUTE, NETLINK_GENERIC) and calls 'each' (NULL = none)
 * with 'data' for every message of the answer. Asks for an acknowledgement itself.
 * 0 or negative errno: the kernel's own, or that of the socket.
 */
NBL_MUST_CHECK int rtnl_talk(int bus, struct nlmsghdr *request, mnl_cb_t each, void *data);

/* Starts a request about a link in 'buffer', which must have room for what is added to it. */
struct nlmsghdr *rtnl_link_request(void *buffer, uint16_t type, uint16_t flags, uint32_t ifindex);

#endif
