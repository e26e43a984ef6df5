/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - our ends of the rings an AF_XDP socket shares with the kernel.
 *
 * We produce into FILL and TX and consume from RX and COMPLETION. Each end has
 * a position of its own that runs ahead of the shared index, so that a burst is
 * published, or given back, by one store:
 *
 *   producer: entries are written first, then the index is stored with release,
 *             and the kernel loads it with acquire;
 *   consumer: the kernel's index is loaded with acquire before entries are read,
 *             and ours is stored with release after we are done with them.
 *
 * What was written but not published, or read but not given back, when a
 * process dies is exactly what lies between position and shared index.
 * An index of the kernel's farther from our position than the ring is long cannot be:
 * it is not believed, as if it had not moved.
 * One thread uses a ring. Nothing here calls the system.
 */
#ifndef PORT_RING_H
#define PORT_RING_H

#include <nbl/contract.h>

/* The shared words of one ring, wherever they lie. Size is a power of two. */
struct nbl_ring {
	uint32_t *producer;
	uint32_t *consumer;
	uint32_t *flags;
	void *entries;		/* uint64_t addresses, or struct xdp_desc */
	uint32_t size;
};

struct nbl_producer {
	struct nbl_ring ring;
	uint32_t next;		/* slot to write next; ring.producer is what is published */
	uint32_t seen_consumer;	/* the kernel's index when last looked */
};

struct nbl_consumer {
	struct nbl_ring ring;
	uint32_t next;		/* slot to read next; ring.consumer is what is given back */
	uint32_t seen_producer;
};

static inline uint32_t nbl_ring_load(const uint32_t *index)
{
	return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

/* Entries between the two shared indices now. Any thread or process may ask. */
static inline uint32_t nbl_ring_used(const struct nbl_ring *r)
{
	return nbl_ring_load(r->producer) - nbl_ring_load(r->consumer);
}

/* Takes over a ring whose former user published up to the shared index. */
static inline void nbl_producer_adopt(struct nbl_producer *p, const struct nbl_ring *ring)
{
	p->ring = *ring;
	p->next = nbl_ring_load(ring->producer);
	p->seen_consumer = nbl_ring_load(ring->consumer);
	if (p->next - p->seen_consumer > ring->size)
		p->seen_consumer = p->next - ring->size;
}

static inline void nbl_consumer_adopt(struct nbl_consumer *c, const struct nbl_ring *ring)
{
	c->ring = *ring;
	c->next = nbl_ring_load(ring->consumer);
	c->seen_producer = c->next;
}

/* Free slots, looking at the kernel's index only if fewer than 'wanted' are known. */
static inline uint32_t nbl_producer_room(struct nbl_producer *p, uint32_t wanted)
{
	uint32_t room = p->ring.size - (p->next - p->seen_consumer), consumer;

	if (room >= wanted)
		return room;
	consumer = nbl_ring_load(p->ring.consumer);
	if (NBL_LIKELY(p->next - consumer <= p->ring.size))
		p->seen_consumer = consumer;
	return p->ring.size - (p->next - p->seen_consumer);
}

static inline uint64_t *nbl_producer_address(struct nbl_producer *p, uint32_t slot)
{
	return (uint64_t *)p->ring.entries + (slot & (p->ring.size - 1));
}

static inline bool nbl_producer_is_published(const struct nbl_producer *p)
{
	return *p->ring.producer == p->next;
}

/* Shows the kernel all that was written. */
static inline void nbl_producer_publish(struct nbl_producer *p)
{
	__atomic_store_n(p->ring.producer, p->next, __ATOMIC_RELEASE);
}

/* The kernel sleeps until called for this ring. */
static inline bool nbl_producer_wants_wakeup(const struct nbl_producer *p)
{
	return __atomic_load_n(p->ring.flags, __ATOMIC_RELAXED) & 1u;	/* XDP_RING_NEED_WAKEUP */
}

/* Readable entries, at most 'wanted', looking at the kernel's index only if none is known. */
static inline uint32_t nbl_consumer_available(struct nbl_consumer *c, uint32_t wanted)
{
	uint32_t n = c->seen_producer - c->next;

	if (!n) {
		uint32_t producer = nbl_ring_load(c->ring.producer);

		if (NBL_LIKELY(producer - c->next <= c->ring.size))
			c->seen_producer = producer;
		n = c->seen_producer - c->next;
	}
	return n < wanted ? n : wanted;
}

static inline uint64_t nbl_consumer_address(const struct nbl_consumer *c, uint32_t slot)
{
	return ((const uint64_t *)c->ring.entries)[slot & (c->ring.size - 1)];
}

/* Gives all that was read back to the kernel. */
static inline void nbl_consumer_release(struct nbl_consumer *c)
{
	__atomic_store_n(c->ring.consumer, c->next, __ATOMIC_RELEASE);
}

#endif
