// SPDX-License-Identifier: BSD-2-Clause
#include "port/rtnl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

static int receive_all(struct mnl_socket *nl, uint32_t seq, mnl_cb_t each, void *data)
{
	char *buffer = malloc(RTNL_BUFFER_SIZE);
	int r = MNL_CB_OK;

	if (!buffer)
		return -ENOMEM;
	while (r > MNL_CB_STOP) {
		ssize_t n = mnl_socket_recvfrom(nl, buffer, RTNL_BUFFER_SIZE);

		if (n < 0) {
			r = -1;
			break;
		}
		r = mnl_cb_run(buffer, (size_t)n, seq, mnl_socket_get_portid(nl), each, data);
	}
	r = r < 0 ? -errno : 0;
	free(buffer);
	return r;
}

int rtnl_talk(int bus, struct nlmsghdr *request, mnl_cb_t each, void *data)
{
	struct mnl_socket *nl = mnl_socket_open2(bus, SOCK_CLOEXEC);
	int r;

	if (!nl)
		return -errno;
	request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	request->nlmsg_seq = (uint32_t)time(NULL);
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, request, request->nlmsg_len) < 0)
		r = -errno;
	else
		r = receive_all(nl, request->nlmsg_seq, each, data);
	mnl_socket_close(nl);
	return r;
}

struct nlmsghdr *rtnl_link_request(void *buffer, uint16_t type, uint16_t flags, uint32_t ifindex)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *ifi;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = (int)ifindex;
	return nlh;
}
