/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger.h - the state and the holder of every frame of an adapter.
 *
 * The ledger lies in memory that outlives the worker (memory.h). Its entry is
 * written by the lane that owns the frame, before the ring that publishes the
 * move, so that a successor can tell from the ledger and the rings alone where
 * each frame is: an entry in FILL or TX names the ring slot it was put in, and
 * a slot at or past the ring's producer was never published. For that the stores
 * must be made in the order of the program: a process may die between any two.
 * Ring indices are stored with release, entries behind a fence to the compiler;
 * the processor needs none, since a death is precise.
 *
 *   FREE -> FILL -> HAND -> TX -> FREE        forwarding
 *                   HAND -> HELD -> TX, FREE  kept by a module past its handler
 *                   HAND -> FREE              returned
 *   FREE -> HELD -> TX -> HELD -> FREE        frames of pools
 *
 * Clones share bytes, so a frame may be in several TX rings, or several times in
 * one: its entry counts the sends beside the newest, which it names. The count is
 * exact while its worker lives; a successor finds it too high, never too low, and
 * calls it unknown: see adopt.c.
 *
 * Any other move is impossible: it quarantines the frame and is counted. Which
 * ring a FILL frame (fill, kernel, rx) or a TX frame (tx, kernel, completion)
 * is in at the moment, the rings tell.
 */
#ifndef CORE_LEDGER_H
#define CORE_LEDGER_H

#include <stdatomic.h>

#include <nbl/contract.h>

enum nbl_frame_state {
	NBL_FRAME_FREE,		/* in its queue's cache, or its pool */
	NBL_FRAME_FILL,		/* posted for receive */
	NBL_FRAME_HAND,		/* taken from a ring, being worked on */
	NBL_FRAME_HELD,		/* kept by a module, or lent by a pool */
	NBL_FRAME_TX,		/* posted for sending */
	NBL_FRAME_QUARANTINE,	/* broke a rule; never used again until re-attach */
	NBL_N_FRAME_STATES
};

/* Why a frame is HELD. */
enum nbl_hold_reason {
	NBL_HOLD_PENDING,	/* its module did not pass it on */
	NBL_HOLD_REFERENCE,
	NBL_HOLD_CLONE,		/* it has children */
	NBL_HOLD_POOL,		/* it carries a copy */
};

/* One entry, 64 bits so that it is written and read whole. */
struct nbl_ledger_entry {
	uint8_t state;		/* enum nbl_frame_state */
	/*
	 * enum nbl_hold_reason, when HELD; sends in flight beside the newest, or as below, when TX
	 */
	uint8_t reason;
	uint16_t holder;	/* module id, when HELD; number of the queue, when TX */
	/* FILL, TX: ring slot. HAND: NBL_HAND_SENT or 0. HELD: monotonic ms when the hold began */
	uint32_t slot;
};

/* In HAND because it came back from being sent, so a successor must not send it again. */
#define NBL_HAND_SENT 1u

struct nbl_ledger {
	_Atomic uint64_t *entries;	/* one per frame */
	uint32_t n_frames;
	uint64_t violations;		/* impossible moves seen by this process */
};

static inline uint64_t nbl_ledger_pack(struct nbl_ledger_entry e)
{
	return (uint64_t)e.state | (uint64_t)e.reason << 8 | (uint64_t)e.holder << 16 |
	       (uint64_t)e.slot << 32;
}

/* The entry of 'frame', which must be < n_frames. Any thread or process. */
static inline struct nbl_ledger_entry nbl_ledger_get(const struct nbl_ledger *l, uint32_t frame)
{
	uint64_t v = atomic_load_explicit(&l->entries[frame], memory_order_relaxed);

	return (struct nbl_ledger_entry){
		.state = (uint8_t)v,
		.reason = (uint8_t)(v >> 8),
		.holder = (uint16_t)(v >> 16),
		.slot = (uint32_t)(v >> 32),
	};
}

#define NBL_MOST_SENDS		253u	/* of one frame at a time, beside the newest */
/* one is left of several: not always that which the entry names */
#define NBL_SENDS_LAST		254u
#define NBL_SENDS_UNKNOWN	255u	/* sent by a worker that died, nobody knows how often */

/* How often a frame in TX is being sent, unless that is unknown. */
static inline uint32_t nbl_ledger_n_sends(struct nbl_ledger_entry e)
{
	return e.reason == NBL_SENDS_LAST ? 1 : e.reason + 1u;
}

/*
 * Overwrites the entry of 'frame'. For start-up and adoption; moves go through nbl_ledger_move().
 */
static inline void nbl_ledger_set(struct nbl_ledger *l, uint32_t frame, struct nbl_ledger_entry e)
{
	atomic_signal_fence(memory_order_release);	/* after all stores before it, see above */
	atomic_store_explicit(&l->entries[frame], nbl_ledger_pack(e), memory_order_relaxed);
}

/* Quarantines 'frame' and counts the violation. Owning lane. */
void nbl_ledger_violation(struct nbl_ledger *l, uint32_t frame);

/* For 'from' masks below. */
#define NBL_FROM(state) (1u << (state))
#define NBL_IN_HANDS	(NBL_FROM(NBL_FRAME_HAND) | NBL_FROM(NBL_FRAME_HELD))

/*
 * Moves 'frame' (< n_frames) from a state in the mask 'from' to the entry 'to'. Returns
 * the state it was in; or, if that is not in 'from', -1 less that state, with the
 * frame quarantined and counted. Owning lane. Rule: INV-1.
 */
static inline int nbl_ledger_move_to(struct nbl_ledger *l, uint32_t frame, uint32_t from,
				     struct nbl_ledger_entry to)
{
	uint8_t was = (uint8_t)atomic_load_explicit(&l->entries[frame], memory_order_relaxed);

	/* the entry may be any value: it lies in memory that others write */
	if (NBL_UNLIKELY(was >= NBL_N_FRAME_STATES || !(from >> was & 1))) {
		nbl_ledger_violation(l, frame);
		return -1 - was;
	}
	nbl_ledger_set(l, frame, to);
	return was;
}

/* The same to state 'to', with its ring slot (0 if none). */
static inline int nbl_ledger_move(struct nbl_ledger *l, uint32_t frame, uint32_t from,
				  enum nbl_frame_state to, uint32_t slot)
{
	return nbl_ledger_move_to(l, frame, from,
				  (struct nbl_ledger_entry){ .state = (uint8_t)to, .slot = slot });
}

/*
 * Counts a send of 'frame', which is in hands or being sent for another NBL already, in
 * slot 'slot' of the TX ring of queue number 'queue'. Returns the state it was in, TX
 * included; -1 less it, quarantined and counted, if it may not be sent. Several lanes
 * may share a pool's frame. Rule: TX-18.
 */
int nbl_ledger_send(struct nbl_ledger *l, uint32_t frame, uint16_t queue, uint32_t slot);

/*
 * Ends a send of 'frame'. Returns TX if others go on, or may, else moves it to the entry 'to'
 * and returns to.state; negative, quarantined and counted, if it was not being sent.
 */
int nbl_ledger_end_send(struct nbl_ledger *l, uint32_t frame, struct nbl_ledger_entry to);

/* Moves 'frame' from HAND to HELD by module 'holder' since 'now_ms'. Owning lane. */
bool nbl_ledger_hold(struct nbl_ledger *l, uint32_t frame, uint16_t holder,
		     enum nbl_hold_reason reason, uint32_t now_ms);

/* Counts the frames [first, first + n) by state. Any thread or process; a snapshot only at rest. */
void nbl_ledger_count(const struct nbl_ledger *l, uint32_t first, uint32_t n,
		      uint32_t ret_counts[NBL_N_FRAME_STATES]);

/* The name of a state, "free" ... "quarantine". Returns borrowed, for ever. */
const char *nbl_frame_state_name(enum nbl_frame_state state);

#endif
