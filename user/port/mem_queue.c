/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/mem_queue.h"

#include <string.h>
#include <sys/mman.h>

#define HEADROOM 256	/* as the kernel leaves in copy mode */
#define NEED_WAKEUP 1u

struct ring_words {
	uint32_t producer, consumer, flags;
};

/* One mapping holds it all: this, then the entries of each ring, then 'taken'. */
struct nbl_mem_port {
	const struct nbl_memory *memory;
	size_t size;			/* of the mapping */
	struct ring_words words[4];
	struct nbl_ring rx, tx, fill, completion;
	uint64_t *taken;	/* addresses off TX, not completed: a ring of completion.size */
	uint32_t taken_first, taken_end;
	int kick_result;
	uint32_t kick_takes;
	uint32_t n_kicks;
};

static uint8_t *place_ring(struct nbl_mem_port *p, int i, struct nbl_ring *r, uint32_t n,
			   size_t entry_size, uint8_t *at)
{
	r->producer = &p->words[i].producer;
	r->consumer = &p->words[i].consumer;
	r->flags = &p->words[i].flags;
	r->size = n;
	r->entries = at;
	return at + n * entry_size;
}

/* Every pointer into the mapping. */
static void place(struct nbl_mem_port *p, const struct nbl_ring_sizes *sizes)
{
	uint8_t *at = (uint8_t *)(p + 1);

	at = place_ring(p, 0, &p->rx, sizes->rx, sizeof(struct xdp_desc), at);
	at = place_ring(p, 1, &p->tx, sizes->tx, sizeof(struct xdp_desc), at);
	at = place_ring(p, 2, &p->fill, sizes->fill, sizeof(uint64_t), at);
	at = place_ring(p, 3, &p->completion, sizes->completion, sizeof(uint64_t), at);
	p->taken = (uint64_t *)(void *)at;
}

static size_t mapping_size(const struct nbl_ring_sizes *sizes)
{
	return sizeof(struct nbl_mem_port) +
	       ((size_t)sizes->rx + sizes->tx) * sizeof(struct xdp_desc) +
	       ((size_t)sizes->fill + 2 * (size_t)sizes->completion) * sizeof(uint64_t);
}

struct nbl_mem_port *nbl_mem_port_new(const struct nbl_memory *memory,
				      const struct nbl_ring_sizes *sizes)
{
	size_t size = mapping_size(sizes);
	struct nbl_mem_port *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	p->memory = memory;
	p->size = size;
	place(p, sizes);
	*p->tx.flags = NEED_WAKEUP;
	return p;
}

void nbl_mem_port_free(struct nbl_mem_port *p)
{
	if (p)
		munmap(p, p->size);
}

void nbl_mem_port_start_at(struct nbl_mem_port *p, uint32_t index)
{
	for (int i = 0; i < 4; i++)
		p->words[i].producer = p->words[i].consumer = index;
}

void nbl_mem_port_copy(struct nbl_mem_port *to, const struct nbl_mem_port *from)
{
	const struct nbl_memory *memory = to->memory;
	const struct nbl_ring_sizes sizes = {
		.rx = from->rx.size, .tx = from->tx.size,
		.fill = from->fill.size, .completion = from->completion.size,
	};

	memcpy(to, from, from->size);
	to->memory = memory;
	place(to, &sizes);
}

static bool put(struct nbl_ring *r, uint32_t *ret_slot)
{
	if (nbl_ring_used(r) == r->size)
		return false;
	*ret_slot = *r->producer & (r->size - 1);
	return true;
}

static void publish(struct nbl_ring *r)
{
	__atomic_store_n(r->producer, *r->producer + 1, __ATOMIC_RELEASE);
}

static void consume(struct nbl_ring *r)
{
	__atomic_store_n(r->consumer, *r->consumer + 1, __ATOMIC_RELEASE);
}

bool nbl_mem_port_deliver_raw(struct nbl_mem_port *p, uint64_t address, uint32_t length)
{
	uint32_t slot;

	if (!put(&p->rx, &slot))
		return false;
	((struct xdp_desc *)p->rx.entries)[slot] =
		(struct xdp_desc){ .addr = address, .len = length };
	publish(&p->rx);
	return true;
}

bool nbl_mem_port_deliver(struct nbl_mem_port *p, const void *bytes, uint32_t length)
{
	uint64_t address;

	if (!nbl_ring_used(&p->fill) || nbl_ring_used(&p->rx) == p->rx.size)
		return false;
	address = ((uint64_t *)p->fill.entries)[*p->fill.consumer & (p->fill.size - 1)] + HEADROOM;
	consume(&p->fill);
	memcpy(p->memory->frames + address, bytes, length);
	return nbl_mem_port_deliver_raw(p, address, length);
}

bool nbl_mem_port_complete_raw(struct nbl_mem_port *p, uint64_t address)
{
	uint32_t slot;

	if (!put(&p->completion, &slot))
		return false;
	((uint64_t *)p->completion.entries)[slot] = address;
	publish(&p->completion);
	return true;
}

bool nbl_mem_port_take(struct nbl_mem_port *p, struct nbl_mem_packet *ret)
{
	const struct xdp_desc *desc;

	/* as the kernel does: none is sent without a place for its completion */
	if (!nbl_ring_used(&p->tx) ||
	    p->taken_end - p->taken_first + nbl_ring_used(&p->completion) == p->completion.size)
		return false;
	desc = (const struct xdp_desc *)p->tx.entries + (*p->tx.consumer & (p->tx.size - 1));
	ret->address = desc->addr;
	ret->length = desc->len;
	memcpy(ret->bytes, p->memory->frames + desc->addr,
	       desc->len < sizeof(ret->bytes) ? desc->len : sizeof(ret->bytes));
	p->taken[p->taken_end++ & (p->completion.size - 1)] = desc->addr;
	consume(&p->tx);
	return true;
}

uint32_t nbl_mem_port_complete(struct nbl_mem_port *p, uint32_t n)
{
	uint32_t done = 0;

	while (done < n && p->taken_first != p->taken_end &&
	       nbl_mem_port_complete_raw(p, p->taken[p->taken_first & (p->completion.size - 1)])) {
		p->taken_first++;
		done++;
	}
	return done;
}

/* ---- our side ---- */

static struct nbl_mem_port *port_of(const struct nbl_queue *q)
{
	return q->mapping[0];
}

static int kick(struct nbl_queue *q)
{
	struct nbl_mem_port *p = port_of(q);
	struct nbl_mem_packet packet;

	p->n_kicks++;
	for (uint32_t i = 0; i < p->kick_takes && nbl_mem_port_take(p, &packet); i++)
		nbl_mem_port_complete(p, 1);
	return p->kick_result;
}

static void wake_fill(struct nbl_queue *q)
{
	port_of(q)->n_kicks++;
}

static void close_queue(struct nbl_queue *q)
{
	q->mapping[0] = NULL;
}

static const struct nbl_queue_ops mem_ops = {
	.kick = kick,
	.wake_fill = wake_fill,
	.close = close_queue,
};

void nbl_mem_port_adopt(struct nbl_mem_port *p, enum nbl_side side, uint16_t number,
			struct nbl_queue *q)
{
	*q = (struct nbl_queue){
		.ops = &mem_ops, .fd = -1, .side = (uint8_t)side, .number = number,
		.max_length = 1514, .mapping = { p },
	};
	nbl_consumer_adopt(&q->rx, &p->rx);
	nbl_producer_adopt(&q->tx, &p->tx);
	nbl_producer_adopt(&q->fill, &p->fill);
	nbl_consumer_adopt(&q->completion, &p->completion);
}

void nbl_mem_port_set_kick(struct nbl_mem_port *p, int result, uint32_t takes)
{
	p->kick_result = result;
	p->kick_takes = takes;
}

uint32_t nbl_mem_port_kicks(const struct nbl_mem_port *p)
{
	return p->n_kicks;
}
