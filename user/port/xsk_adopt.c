/* SPDX-License-Identifier: BSD-2-Clause */
/* xsk_adopt.c - maps the rings of an AF_XDP socket that another process opened. */
#include "port/xsk.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Sends what is on the TX ring. In copy mode the call does the sending itself,
 * some packets at a time; a full send buffer is as good as "call again".
 */
static int kick(struct nbl_queue *q)
{
	if (sendto(q->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
		return 0;
	return errno == ENOBUFS || errno == EINTR ? -EAGAIN : -errno;
}

static void wake_fill(struct nbl_queue *q)
{
	recvfrom(q->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static void unmap(struct nbl_queue *q)
{
	for (int i = 0; i < 4; i++)
		if (q->mapping[i])
			munmap(q->mapping[i], q->mapping_size[i]);
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
}

static const struct nbl_queue_ops xsk_ops = {
	.kick = kick,
	.wake_fill = wake_fill,
	.close = unmap,
};

static int map_ring(struct nbl_queue *q, int i, const struct xdp_ring_offset *offset,
		    uint32_t n_entries, size_t entry_size, off_t page_offset, struct nbl_ring *ret)
{
	size_t size = offset->desc + n_entries * entry_size;
	uint8_t *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, q->fd,
			     page_offset);

	if (base == MAP_FAILED)
		return errno == EINVAL || errno == EBUSY ? -ENOTSUP : -errno;
	q->mapping[i] = base;
	q->mapping_size[i] = size;
	*ret = (struct nbl_ring){
		.producer = (uint32_t *)(void *)(base + offset->producer),
		.consumer = (uint32_t *)(void *)(base + offset->consumer),
		.flags = (uint32_t *)(void *)(base + offset->flags),
		.entries = base + offset->desc,
		.size = n_entries,
	};
	return 0;
}

static int map_all(struct nbl_queue *q, const struct nbl_ring_sizes *sizes,
		   struct nbl_ring rings[4])
{
	struct xdp_mmap_offsets offsets;
	socklen_t length = sizeof(offsets);
	int r;

	if (getsockopt(q->fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &length) < 0)
		return -errno;
	if (length != sizeof(offsets))
		return -ENOTSUP;	/* a kernel before 5.4: no wake-up flags */
	r = map_ring(q, 0, &offsets.rx, sizes->rx, sizeof(struct xdp_desc), XDP_PGOFF_RX_RING,
		     &rings[0]);
	if (!r)
		r = map_ring(q, 1, &offsets.tx, sizes->tx, sizeof(struct xdp_desc),
			     XDP_PGOFF_TX_RING, &rings[1]);
	if (!r)
		r = map_ring(q, 2, &offsets.fr, sizes->fill, sizeof(uint64_t),
			     (off_t)XDP_UMEM_PGOFF_FILL_RING, &rings[2]);
	if (!r)
		r = map_ring(q, 3, &offsets.cr, sizes->completion, sizeof(uint64_t),
			     (off_t)XDP_UMEM_PGOFF_COMPLETION_RING, &rings[3]);
	return r;
}

int nbl_xsk_adopt(int fd, const struct nbl_ring_sizes *sizes, struct nbl_queue *q)
{
	struct nbl_ring rings[4];
	int r;

	q->fd = fd;
	q->ops = &xsk_ops;
	r = map_all(q, sizes, rings);
	if (r < 0) {
		unmap(q);
		return r;
	}
	nbl_consumer_adopt(&q->rx, &rings[0]);
	nbl_producer_adopt(&q->tx, &rings[1]);
	nbl_producer_adopt(&q->fill, &rings[2]);
	nbl_consumer_adopt(&q->completion, &rings[3]);
	return 0;
}
