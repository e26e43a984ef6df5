/* SPDX-License-Identifier: BSD-2-Clause */
/* xsk_open.c - all that nbld asks of libxdp's socket calls. */
#include "port/xsk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <xdp/xsk.h>

#ifndef XDP_MAX_TX_SKB_BUDGET		/* since 6.17 */
#define XDP_MAX_TX_SKB_BUDGET 9
#endif
#define TX_BUDGET	256 /* packets one kick sends in copy mode; the kernel's default is 32 */
/* in copy mode each packet on its way is charged to the socket */
#define SEND_BUFFER	(32 << 20)
#ifndef XDP_USE_SG			/* since 6.6 */
#define XDP_USE_SG (1 << 4)
#endif
/* entries of one packet in copy mode: MAX_SKB_FRAGS as kernels are built */
#define COPY_SEGMENTS	17
#define BUSY_RETRY_MS	20
#define BUSY_RETRIES	15		/* a queue just closed is busy for up to some 40 ms */

struct nbl_xsk {
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	struct xsk_ring_cons rx, completion;
	struct xsk_ring_prod tx, fill;
	bool zerocopy;
	uint32_t max_segments;
};

static int open_once(const struct nbl_xsk_params *p, uint16_t bind_flags, struct nbl_xsk *xsk)
{
	const struct xsk_umem_config umem_config = {
		.fill_size = p->sizes.fill,
		.comp_size = p->sizes.completion,
		.frame_size = p->memory->shape.frame_size,
	};
	const struct xsk_socket_config config = {
		.rx_size = p->sizes.rx,
		.tx_size = p->sizes.tx,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_USE_NEED_WAKEUP | bind_flags,
	};
	int r;

	r = xsk_umem__create(&xsk->umem, p->memory->frames, p->memory->frames_size, &xsk->fill,
			     &xsk->completion, &umem_config);
	if (r < 0)
		return r;
	r = xsk_socket__create(&xsk->socket, p->ifname, p->queue, xsk->umem, &xsk->rx, &xsk->tx,
			       &config);
	if (r < 0) {
		/* A failed bind leaves the UMEM of no further use (C4). */
		xsk_umem__delete(xsk->umem);
		xsk->umem = NULL;
	}
	return r;
}

static int open_patiently(const struct nbl_xsk_params *p, uint16_t bind_flags, struct nbl_xsk *xsk)
{
	const struct timespec pause = { .tv_nsec = BUSY_RETRY_MS * 1000000L };
	int r = open_once(p, bind_flags, xsk);

	for (int i = 0; r == -EBUSY && i < BUSY_RETRIES; i++) {
		nanosleep(&pause, NULL);
		r = open_once(p, bind_flags, xsk);
	}
	return r;
}

static int open_in_mode(const struct nbl_xsk_params *p, struct nbl_xsk *xsk)
{
	int r;

	if (p->generic && p->zerocopy == NBL_ZEROCOPY_REQUIRE)
		return -EOPNOTSUPP;
	if (p->generic || p->zerocopy == NBL_ZEROCOPY_OFF)
		return open_patiently(p, XDP_COPY, xsk);
	r = open_patiently(p, XDP_ZEROCOPY, xsk);
	if (!r || p->zerocopy == NBL_ZEROCOPY_REQUIRE)
		return r;
	/* Drivers refuse for many reasons; one that is not about zero-copy comes again. */
	return open_patiently(p, XDP_COPY, xsk);
}

static void say_why(const struct nbl_xsk_params *p, int error, char *why, size_t why_size)
{
	switch (-error) {
	case EBUSY:
		snprintf(why, why_size, "%s: queue %u is in use (EBUSY): another program has an "
			 "AF_XDP socket on it. Try: stop that program, or attach other queues "
			 "with 'queues LIST'", p->ifname, p->queue);
		break;
	case EPERM:
		snprintf(why, why_size, "%s: no AF_XDP socket (EPERM): CAP_NET_RAW is missing. "
			 "Try: run nbld as root or by its unit", p->ifname);
		break;
	case ENOBUFS:
		snprintf(why, why_size,
			 "%s: packet memory of %zu MiB not locked (ENOBUFS): over the memlock "
			 "limit. Try: LimitMEMLOCK=infinity in the unit, or fewer frames",
			 p->ifname, p->memory->frames_size >> 20);
		break;
	case EOPNOTSUPP:
		snprintf(why, why_size, "%s: zero-copy refused (EOPNOTSUPP): its driver has none. "
			 "Try: zerocopy auto", p->ifname);
		break;
	default:
		snprintf(why, why_size, "%s: AF_XDP socket on queue %u refused (%s). "
			 "Try: nblctl attach with 'queues LIST' of queues that exist, 'ethtool -l "
			 "%s'", p->ifname, p->queue, strerrorname_np(-error), p->ifname);
	}
}

/* Both only help: a kernel that refuses them works all the same. */
static void tune(int fd, uint32_t tx_size)
{
	int budget = tx_size < TX_BUDGET ? (int)tx_size : TX_BUDGET, buffer = SEND_BUFFER;

	setsockopt(fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
}

/*
 * True if this kernel (6.6 and later) takes a packet in several TX entries. It looks at the
 * flags of bind() before it looks for the interface. The flag itself is not wanted: it is about
 * receiving, where packets longer than a frame would then come in pieces.
 */
static bool knows_segments(void)
{
	const struct sockaddr_xdp nowhere = { .sxdp_family = AF_XDP, .sxdp_flags = XDP_USE_SG };
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	bool known;

	if (fd < 0)
		return false;
	known = bind(fd, (const struct sockaddr *)&nowhere, sizeof(nowhere)) < 0 && errno != EINVAL;
	close(fd);
	return known;
}

static uint32_t most_segments(const struct nbl_xsk_params *p, bool zerocopy)
{
	uint32_t most = zerocopy ? p->zerocopy_segments : COPY_SEGMENTS;

	return most > 1 && knows_segments() ? most : 1;
}

static bool is_zerocopy(int fd)
{
	struct xdp_options options = { 0 };
	socklen_t size = sizeof(options);

	return !getsockopt(fd, SOL_XDP, XDP_OPTIONS, &options, &size) &&
	       (options.flags & XDP_OPTIONS_ZEROCOPY);
}

int nbl_xsk_open(const struct nbl_xsk_params *params, struct nbl_xsk **ret_xsk, char *why,
		 size_t why_size)
{
	struct nbl_xsk *xsk = calloc(1, sizeof(*xsk));
	int r;

	if (!xsk) {
		snprintf(why, why_size, "%s: out of memory (ENOMEM)", params->ifname);
		return -ENOMEM;
	}
	r = open_in_mode(params, xsk);
	if (r < 0) {
		say_why(params, r, why, why_size);
		free(xsk);
		return r;
	}
	tune(xsk_socket__fd(xsk->socket), params->sizes.tx);
	xsk->zerocopy = is_zerocopy(xsk_socket__fd(xsk->socket));
	xsk->max_segments = most_segments(params, xsk->zerocopy);
	*ret_xsk = xsk;
	return 0;
}

void nbl_xsk_close(struct nbl_xsk *xsk)
{
	if (!xsk)
		return;
	xsk_socket__delete(xsk->socket);
	xsk_umem__delete(xsk->umem);
	free(xsk);
}

int nbl_xsk_fd(const struct nbl_xsk *xsk)
{
	return xsk_socket__fd(xsk->socket);
}

bool nbl_xsk_is_zerocopy(const struct nbl_xsk *xsk)
{
	return xsk->zerocopy;
}

uint32_t nbl_xsk_max_segments(const struct nbl_xsk *xsk)
{
	return xsk->max_segments;
}

static uint32_t used(const uint32_t *producer, const uint32_t *consumer)
{
	return nbl_ring_load(producer) - nbl_ring_load(consumer);
}

struct nbl_ring_sizes nbl_xsk_ring_fill(const struct nbl_xsk *xsk)
{
	return (struct nbl_ring_sizes){
		.rx = used(xsk->rx.producer, xsk->rx.consumer),
		.tx = used(xsk->tx.producer, xsk->tx.consumer),
		.fill = used(xsk->fill.producer, xsk->fill.consumer),
		.completion = used(xsk->completion.producer, xsk->completion.consumer),
	};
}

int nbl_xsk_statistics(const struct nbl_xsk *xsk, struct xdp_statistics *ret)
{
	struct xdp_statistics statistics = { 0 };
	socklen_t size = sizeof(statistics);

	if (getsockopt(nbl_xsk_fd(xsk), SOL_XDP, XDP_STATISTICS, &statistics, &size) < 0)
		return -errno;
	*ret = statistics;
	return 0;
}
