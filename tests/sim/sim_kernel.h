/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim_kernel.h - kernel, driver and peer of all queues of an adapter, in plain memory.
 *
 * It knows of each frame whether it has it, and in which ring; what the lane posts is
 * looked at before it is used, so that a frame posted twice, or while somebody has a
 * claim on it, or changed while it is being sent, is found at once. All it does is
 * drawn from one seed: when it takes what is posted, in which order it gives it back,
 * what calls answer, when the interface goes down. By default it keeps the rules of
 * AF_XDP; with lies it also names frames it was never given.
 */
#ifndef SIM_KERNEL_H
#define SIM_KERNEL_H

#include "core/memory.h"
#include "port/queue.h"
#include "sim/sim_random.h"

#define SIM_MAX_QUEUES	4
#define SIM_MAX_RING	128
#define SIM_HEADROOM	256u

/*
 * Where a frame is that was posted for receive. What is sent is counted apart: clones share frames.
 */
enum sim_place {
	SIM_OURS,		/* not the kernel's */
	SIM_FILL,		/* in the fill ring */
	SIM_DRIVER,		/* taken off it */
	SIM_RX,			/* delivered, the entry not given back */
};

struct sim_counts {
	uint64_t delivered, starved, sent, refused, lies, kicks;
};

/* What the kernel tells, and asks (borrows everything). */
struct sim_kernel_ops {
	/* a frame is in the fill ring, or the tx ring with a packet */
	void (*posted)(void *arg, uint32_t frame);
	void (*sent)(void *arg, uint32_t frame, const uint8_t *bytes, uint32_t length);
	void (*broke)(void *arg, int invariant, const char *what);
};

struct sim_queue {
	uint32_t words[4][3];		/* producer, consumer, flags; in the order of the rings */
	struct nbl_ring rx, tx, fill, completion;
	struct xdp_desc rx_entries[SIM_MAX_RING], tx_entries[SIM_MAX_RING];
	uint64_t fill_entries[SIM_MAX_RING], completion_entries[SIM_MAX_RING];
	uint32_t rx_back, tx_seen, fill_seen, completion_back;	/* looked at so far */
	uint32_t driver[SIM_MAX_RING], n_driver; /* frames taken off fill: order is the driver's */
	uint64_t tx_digests[SIM_MAX_RING];	/* of what is in the tx ring when it was posted */
	struct sim_sending {
		struct xdp_desc desc;
		uint64_t digest;
	} sending[SIM_MAX_RING];
	uint32_t n_sending;
	bool down, gone;
	bool zero_copy;			/* it takes frames early, and completes in any order */
	uint32_t first_frame, n_frames;
};

struct sim_kernel {
	const struct nbl_memory *memory;
	const struct sim_kernel_ops *ops;
	void *arg;
	struct sim_random random;
	struct sim_queue queues[SIM_MAX_QUEUES];
	uint32_t n_queues;
	uint8_t *places;		/* enum sim_place of each frame */
	uint32_t *sends;	/* entries of each frame in tx and completion rings, and between */
	uint64_t *digests;		/* of what was delivered */
	uint32_t *lengths;		/* of what was delivered last */
	bool is_within;			/* the lane is in the middle of something */
	bool lies, is_quiet;		/* quiet: nothing new comes, everything is done */
	bool has_lied;	/* there is a completion that must be read before anything is sent */
	struct sim_counts counts;
};

/*
 * A kernel that begins anew over 'memory' (borrows, with places, sends, digests and lengths, which
 * have an element per frame), with rings drawn from 'seed'.
 */
void sim_kernel_begin(struct sim_kernel *k, uint64_t seed, uint32_t n_queues);

/* Our side of queue i: fills ret at the shared indices. */
void sim_kernel_adopt(struct sim_kernel *k, uint32_t i, enum nbl_side side, struct nbl_queue *ret);

/* Looks at what was posted and given back since it last looked. */
void sim_kernel_look(struct sim_kernel *k);

/* Does one thing of its own accord. */
void sim_kernel_step(struct sim_kernel *k);

/* Delivers up to 'n' packets to queue i. Returns how many there were frames and room for. */
uint32_t sim_kernel_deliver(struct sim_kernel *k, uint32_t i, uint32_t n);

/* Sends and completes all that is posted. Returns how many entries moved. */
uint32_t sim_kernel_drain(struct sim_kernel *k);

/* Tells a lie, if there is room for it; false if none was told. */
bool sim_kernel_lie(struct sim_kernel *k);

#endif
