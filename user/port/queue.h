/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue.h - one queue of a port: four rings, and how to call the other side.
 *
 * The other side is the kernel (xsk_adopt.c) or a test (mem_queue.c); the rings
 * are the same, so a lane runs on either without knowing. A queue belongs to
 * one lane, and only that lane's thread touches it.
 */
#ifndef PORT_QUEUE_H
#define PORT_QUEUE_H

#include <linux/if_xdp.h>

#include "nbl_shared.h"
#include "port/ring.h"

struct nbl_queue;

/* Ring sizes in entries, each a power of two. */
struct nbl_ring_sizes {
	uint32_t rx, tx, fill, completion;
};

struct nbl_queue_ops {
	/*
	 * Makes the other side send what is published on TX. 0: went well.
	 * -EAGAIN: not all taken yet, call again. -EBUSY: the last entry taken was
	 * refused by the device. -ENETDOWN, -ENXIO: no interface. Never blocks.
	 */
	int (*kick)(struct nbl_queue *q);
	/* Tells the other side that FILL has entries again. Never blocks. */
	void (*wake_fill)(struct nbl_queue *q);
	/* Unmaps and closes what the queue holds. */
	void (*close)(struct nbl_queue *q);
};

struct nbl_queue {
	const struct nbl_queue_ops *ops;
	struct nbl_consumer rx;
	struct nbl_producer tx;
	struct nbl_producer fill;
	struct nbl_consumer completion;
	int fd;				/* to poll for receive, or -1 */
	uint8_t side;			/* enum nbl_side */
	uint16_t index;			/* the interface's queue number */
	/* among all queues of the adapter: its frames are number * frames_per_queue up */
	uint16_t number;
	uint32_t max_length;		/* longest packet it sends: MTU and link header */
	/* frames out for receive at most: in FILL, the driver, RX; 0 = no limit */
	uint32_t most_posted;
	/* a packet may be several entries, linked by XDP_PKT_CONTD */
	bool sg;
	uint16_t max_segments;		/* of such a packet */
	bool to_host;			/* what it sends goes to the host's stack, not a wire */
	void *mapping[4];		/* xsk_adopt.c's */
	size_t mapping_size[4];
};

static inline const struct xdp_desc *nbl_queue_rx(const struct nbl_queue *q, uint32_t slot)
{
	return (const struct xdp_desc *)q->rx.ring.entries + (slot & (q->rx.ring.size - 1));
}

static inline struct xdp_desc *nbl_queue_tx(struct nbl_queue *q, uint32_t slot)
{
	return (struct xdp_desc *)q->tx.ring.entries + (slot & (q->tx.ring.size - 1));
}

#endif
