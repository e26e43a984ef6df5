/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * figures.h - what a lane has counted, where others can read it.
 *
 * The lane counts in a copy of its own and publishes it once a turn into its
 * block of the adapter's memory. The block holds two copies and a number that
 * tells which is whole: a reader in another process sees figures of one moment
 * (received = outcomes + in flight, always), and a lane killed while publishing
 * leaves the copy before intact for its successor.
 */
#ifndef STACK_FIGURES_H
#define STACK_FIGURES_H

#include <stdatomic.h>

#include <nbl/outcome.h>
#include "core/ledger.h"
#include "nbl_shared.h"

#define NBL_MAX_MODULES		16	/* in one stack; ids run from 1 to this */

/*
 * Places where packets are dropped: 0 the worker itself, module ids, the ports, and all modules
 * whose ids others have now.
 */
enum nbl_place {
	NBL_PLACE_WORKER = 0,
	NBL_PLACE_LOWER = NBL_MAX_MODULES + 1,
	NBL_PLACE_UPPER,
	NBL_PLACE_REMOVED,
	NBL_N_PLACES
};

struct nbl_queue_figures {
	uint64_t rx_packets, rx_bytes;
	uint64_t tx_packets, tx_bytes;	/* completed */
	uint64_t overloads;		/* times that more came than could be handled, for long */
	uint32_t rx_consumer;		/* ring indices at the moment of publishing, */
	uint32_t completion_consumer;	/* from which a successor counts what came after */
};

struct nbl_module_figures {
	uint64_t packets;
	int64_t held;
	uint64_t faults;		/* kept, or gave back, more than it may */
};

/*
 * NBLs that did not come by a ring, and copying: not among 'received' and the outcomes.
 * What was injected, sent by a binding, looped or originated by a module has entered, and ends
 * once: entered = outcomes + in flight, always. 'in_flight' is a sum over all lanes: what entered
 * one may end on another, and that one's is below 0 then.
 */
struct nbl_originated_figures {
	uint64_t entered;
	uint64_t outcomes[NBL_N_OUTCOMES];
	int64_t in_flight;
	/* all sends of originated.c, also of what was received and leaves by another way */
	uint64_t sent, failed;		/* NBLs the kernel completed; refused or not sent */
	uint64_t packets, bytes;	/* the kernel sent of them */
	uint64_t copied;		/* packets copied to be sent: segments, foreign frames */
	uint64_t borrowed;		/* packets indicated with RESOURCES */
	uint64_t looped;		/* loopback copies */
	uint64_t unwanted;		/* packets no binding wanted */
	uint64_t untapped;		/* copies the tap's device did not take */
};

struct nbl_lane_figures {
	struct nbl_originated_figures originated;
	uint64_t received;
	uint64_t outcomes[NBL_N_OUTCOMES];
	uint64_t frames[NBL_N_FRAME_STATES];
	uint64_t violations;		/* impossible ledger moves, unbelievable ring entries */
	uint64_t sleeps, kicks;
	struct nbl_module_figures modules[NBL_MAX_MODULES + 1];		/* by id */
	uint64_t drops[NBL_N_PLACES][NBL_N_OUTCOMES];
	/* of this lane, lower ones first */
	struct nbl_queue_figures queues[NBL_N_SIDES * NBL_MAX_QUEUES];
};

struct nbl_lane_block {
	_Atomic uint64_t published;	/* copies[published & 1] is whole */
	uint64_t pad[7];
	struct nbl_lane_figures copies[2];
};

/* Bytes of a lane block, rounded up to cache lines. */
#define NBL_LANE_BLOCK_SIZE \
	((uint32_t)((sizeof(struct nbl_lane_block) + NBL_CACHE_LINE - 1) / NBL_CACHE_LINE * \
		    NBL_CACHE_LINE))

/*
 * Publishes 'f' (borrows) with its first n_queues queues. 'with_drops': the drops
 * changed since the last two calls. The lane, or its successor.
 */
void nbl_figures_publish(struct nbl_lane_block *block, const struct nbl_lane_figures *f,
			 uint32_t n_queues, bool with_drops);

/*
 * Reads the figures of one moment (fills), with all queues. Any process; retries while the
 * lane publishes.
 */
void nbl_figures_read(const struct nbl_lane_block *block, struct nbl_lane_figures *ret);

/* Packets received whose outcome is open. */
static inline uint64_t nbl_figures_in_flight(const struct nbl_lane_figures *f)
{
	return f->frames[NBL_FRAME_HAND] + f->frames[NBL_FRAME_HELD] + f->frames[NBL_FRAME_TX];
}

#endif
