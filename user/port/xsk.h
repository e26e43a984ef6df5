/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xsk.h - AF_XDP sockets: opened by the keeper, adopted by each worker in turn.
 *
 * Opening (xsk_open.c) is all that depends on libxdp; it needs CAP_NET_RAW.
 * Adopting (xsk_adopt.c) maps the rings of a socket that someone else opened:
 * libxdp has no call for it. It needs no capability, and a kernel that lets
 * rings be mapped after bind (about 6.4; older ones answer EINVAL).
 */
#ifndef PORT_XSK_H
#define PORT_XSK_H

#include "core/memory.h"
#include "port/queue.h"

struct nbl_xsk;			/* an open socket with its UMEM registration */

enum nbl_zerocopy { NBL_ZEROCOPY_AUTO, NBL_ZEROCOPY_REQUIRE, NBL_ZEROCOPY_OFF };

struct nbl_xsk_params {
	const char *ifname;
	uint32_t queue;
	const struct nbl_memory *memory;	/* borrows until nbl_xsk_close() */
	struct nbl_ring_sizes sizes;
	enum nbl_zerocopy zerocopy;
	bool generic;				/* the port's XDP program runs in generic mode */
	/* what the driver sends of one packet without copying; 0, 1: one entry */
	uint32_t zerocopy_segments;
};

/*
 * Opens and binds a socket and registers the memory as its UMEM (borrows
 * 'params'; fills ret_xsk: owned, nbl_xsk_close()). -EBUSY: the queue has another
 * socket. 'why' (why_size bytes) gets a sentence on failure. Needs CAP_NET_RAW.
 */
NBL_MUST_CHECK int nbl_xsk_open(const struct nbl_xsk_params *params, struct nbl_xsk **ret_xsk,
				char *why, size_t why_size);

/*
 * Unmaps, closes, frees (takes; NULL is fine). The kernel lets go of the queue some ms later.
 */
void nbl_xsk_close(struct nbl_xsk *xsk);

/* The socket's descriptor. Returns borrowed, until nbl_xsk_close(). */
int nbl_xsk_fd(const struct nbl_xsk *xsk);

/* True if the kernel bound it in zero-copy mode (XDP_OPTIONS, not what was asked). */
bool nbl_xsk_is_zerocopy(const struct nbl_xsk *xsk);

/*
 * How many TX entries one packet may be, linked by XDP_PKT_CONTD, each with a completion of
 * its own; 1 if this kernel or driver takes only whole ones. Rule: AR-08.
 */
uint32_t nbl_xsk_max_segments(const struct nbl_xsk *xsk);

/*
 * The fill of each ring at this moment, as the shared indices say: for figures, from any process.
 */
struct nbl_ring_sizes nbl_xsk_ring_fill(const struct nbl_xsk *xsk);

/* The kernel's own counts for the socket (fills). 0 or negative errno. */
int nbl_xsk_statistics(const struct nbl_xsk *xsk, struct xdp_statistics *ret);

/*
 * Maps the rings of socket 'fd' (takes, also on error) into 'q' (fills), at the
 * shared indices where the former user left them. -ENOTSUP if this kernel does not
 * map rings of a bound socket; other negative errno. Release with q->ops->close(q).
 */
NBL_MUST_CHECK int nbl_xsk_adopt(int fd, const struct nbl_ring_sizes *sizes, struct nbl_queue *q);

#endif
