/* SPDX-License-Identifier: BSD-2-Clause */
#include "edge/handover.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FDS (3 + HANDOVER_MAX_KEPT + HANDOVER_MAX_QUEUES)

union fd_space {
	char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
	struct cmsghdr align;
};

/* The other end is gone: with messages unread or without, it is -EPIPE. */
static int why_not(void)
{
	return errno == ECONNRESET ? -EPIPE : -errno;
}

int handover_send(int socket, const void *message, size_t size, const int *fds, uint32_t n_fds)
{
	union fd_space space;
	struct iovec iov = { .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds > MAX_FDS)
		return -EINVAL;
	memcpy(&iov.iov_base, &message, sizeof(message));	/* sendmsg does not write there */
	if (n_fds) {
		struct cmsghdr *cmsg;

		msg.msg_control = space.bytes;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, n_fds * sizeof(int));
	}
	if (sendmsg(socket, &msg, MSG_NOSIGNAL) == (ssize_t)size)
		return 0;
	return why_not();
}

/* Moves the descriptors of 'msg' to 'fds', or closes those that do not fit. */
static uint32_t take_fds(struct msghdr *msg, int *fds, uint32_t max_fds)
{
	uint32_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (n < max_fds)
				fds[n++] = fd;
			else
				close(fd);
		}
	}
	return n;
}

static int wait_readable(int socket, int timeout_ms)
{
	struct pollfd pfd = { .fd = socket, .events = POLLIN };
	int r;

	do {
		r = poll(&pfd, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return r ? 0 : -ETIMEDOUT;
}

int handover_receive(int socket, void *message, size_t size, int timeout_ms, int *fds,
		     uint32_t max_fds, uint32_t *ret_n_fds)
{
	union fd_space space;
	struct iovec iov = { .iov_base = message, .iov_len = size };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = space.bytes, .msg_controllen = sizeof(space),
	};
	uint32_t n_fds;
	ssize_t got;
	int r = wait_readable(socket, timeout_ms);

	if (r < 0)
		return r;
	got = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	if (got < 0)
		return why_not();
	if (!got)
		return -EPIPE;
	n_fds = take_fds(&msg, fds, max_fds);
	if ((size_t)got != size || msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		for (uint32_t i = 0; i < n_fds; i++)
			close(fds[i]);
		return -EPROTO;
	}
	if (ret_n_fds)
		*ret_n_fds = n_fds;
	return 0;
}
