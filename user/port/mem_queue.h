/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mem_queue.h - a queue whose other side is a test: the in-memory port.
 *
 * The rings outlive the struct nbl_queue that uses them, as the kernel's do, and
 * lie in memory that forked processes share, so that a worker can be killed and
 * its rings adopted. The test plays the kernel: it takes frames from FILL,
 * delivers packets, takes what is sent and completes it, in any order and at any
 * time it likes.
 */
#ifndef PORT_MEM_QUEUE_H
#define PORT_MEM_QUEUE_H

#include "core/memory.h"
#include "port/queue.h"

struct nbl_mem_port;

/*
 * The kernel's side of one queue over 'memory' (borrows).
 * Returns owned, nbl_mem_port_free(), or NULL.
 */
struct nbl_mem_port *nbl_mem_port_new(const struct nbl_memory *memory,
				      const struct nbl_ring_sizes *sizes);
void nbl_mem_port_free(struct nbl_mem_port *p);

/* Has the empty rings of a new port begin at 'index', near 2^32 for instance. */
void nbl_mem_port_start_at(struct nbl_mem_port *p, uint32_t index);

/*
 * Makes 'to' what 'from' (borrows) is at this moment, over its own memory. Both of the same sizes.
 */
void nbl_mem_port_copy(struct nbl_mem_port *to, const struct nbl_mem_port *from);

/* Our side: fills 'q' at the shared indices, like nbl_xsk_adopt(). The port must outlive it. */
void nbl_mem_port_adopt(struct nbl_mem_port *p, enum nbl_side side, uint16_t number,
			struct nbl_queue *q);

/*
 * Takes a frame from FILL, writes 'bytes' into it and puts it on RX.
 * False without a frame or room: dropped.
 */
bool nbl_mem_port_deliver(struct nbl_mem_port *p, const void *bytes, uint32_t length);

/* Puts an arbitrary entry on RX, or completes an arbitrary address: a kernel that lies. */
bool nbl_mem_port_deliver_raw(struct nbl_mem_port *p, uint64_t address, uint32_t length);
bool nbl_mem_port_complete_raw(struct nbl_mem_port *p, uint64_t address);

/* What a packet on TX looked like when taken. */
struct nbl_mem_packet {
	uint64_t address;
	uint32_t length;
	uint8_t bytes[2048];
};

/*
 * Takes the next packet off TX (fills). False if there is none, or no place for
 * its completion, which nbl_mem_port_complete() makes.
 */
bool nbl_mem_port_take(struct nbl_mem_port *p, struct nbl_mem_packet *ret);

/* Completes up to 'n' taken packets, oldest first. Returns how many. */
uint32_t nbl_mem_port_complete(struct nbl_mem_port *p, uint32_t n);

/*
 * What kick() answers from now on, e.g. -ENETDOWN, and how many
 * packets it takes (and drops) by itself first.
 */
void nbl_mem_port_set_kick(struct nbl_mem_port *p, int result, uint32_t takes);

/* How often our side called. */
uint32_t nbl_mem_port_kicks(const struct nbl_mem_port *p);

#endif
