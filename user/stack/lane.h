/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lane.h - one thread that runs packets from its queues through the stack to
 * the queues across, and brings their frames home.
 *
 *   receive.c     RX ring -> chain -> first handler
 *   transmit.c    last handler -> TX ring; completion ring -> returns
 *   originated.c  the same for NBLs that are more, or other, than one received frame;
 *                 originated_notes.c: what is being sent of them
 *   homecoming.c  frames home, fill ring; from other threads too
 *   entry.c       NBLs that enter the paths by no ring: injected ones, a binding's
 *   adopt.c       what a successor does with what a dead lane left
 *   audit.c       ledger against rings
 *   lane.c        the turn, sleeping, parking
 *   stack.c       the modules and their states; link.c how their handlers are linked
 *   binding.c     receivers above the stack beside the upper port
 *
 * A lane owns whole queues of both ports, and each queue its run of frames: no
 * ring, free list or count here is touched by two threads.
 */
#ifndef STACK_LANE_H
#define STACK_LANE_H

#include <pthread.h>

#include <nbl/module.h>
#include "core/memory.h"
#include "core/returns.h"
#include "port/queue.h"
#include "stack/figures.h"
#include "stack/handle.h"

#define NBL_BURST 64
#define NBL_TURN_BURSTS 4	/* at most, of one queue in one turn */

struct nbl_lane;

struct nbl_lane_queue {
	struct nbl_queue q;
	struct nbl_home home;		/* of its frames' NBLs */
	struct nbl_lane *lane;
	struct nbl_lane_queue *across;	/* where its packets leave */
	struct nbl_queue_figures *figures;
	uint8_t *contexts;		/* room for contexts on its frames' NBLs */
	uint32_t *free;			/* its FREE frames, last in first out */
	uint32_t n_free;
	uint32_t n_posted;		/* of its frames, out for receive */
	uint32_t first_frame, n_frames;
	uint32_t handle;		/* SourceHandle of what it receives */
	uint64_t standing_ns;		/* since when its RX ring was not found empty; 0 = it was */
	struct nbl_chain waiting;	/* for room in its TX ring, in order (originated.c) */
	bool overloaded;		/* its RX ring stood for long: few frames are posted */
	bool short_of_frames;		/* nbl_lane_is_short() said so last */
	bool drained;			/* once since adoption the kernel had nothing (adopt.c) */
	bool down;			/* the interface was gone or down at the last kick */
	bool stuck;			/* the last kick got nothing sent */
};

/* How an NBL enters the stack by no ring (entry.c). */
enum nbl_entry {
	NBL_ENTRY_RECEIVE,		/* at the bottom, upward */
	NBL_ENTRY_SEND,			/* at the top, downward */
	NBL_N_ENTRIES
};

/*
 * Gets back (takes) NBLs of one origin that have come to the end of a path: sent and
 * completed, or returned. That of NBL_ORIGIN_WFP gets every NBL with NBL_FLAG_INJECTED, received
 * ones included, whatever their handle, and ends those not pending by nbl_release(). Lane thread.
 */
typedef void (*nbl_end_fn)(void *arg, struct nbl_lane *lane, struct nbl_chain chain);

struct nbl_stack;
struct nbl_stack_module;
struct nbl_bindings;
struct nbl_history;
struct nbl_ports;
struct nbl_lane_sends;

/* One module on one lane, with the engine's part. */
struct nbl_lane_filter {
	struct nbl_filter f;
	struct nbl_lane *lane;
	struct nbl_stack_module *of;	/* what all lanes share of it */
	struct nbl_stack *stack;
	struct nbl_lane_filter *below;	/* who indicates to it; NULL: the lane alone */
	uint32_t depth;			/* of its handlers within each other */
	int64_t complained;		/* packets that 'faults' has counted already */
	int64_t most_held;		/* on this lane, before it is only lent packets (HP-04) */
	uint8_t gate;			/* enum nbl_gate (hops.h): what comes to it now */
	_Atomic bool pause_pending;	/* its pause() is not done (FS-04) */
	_Atomic bool wake_wanted;	/* by nbl_filter_wake(): timer() is due */
	uint64_t lent, skipped;		/* packets, at its limit */
	uint64_t n_past;		/* of these at least, to go past it on their way back */
};

struct nbl_lane {
	/* the turn's own */
	struct nbl_memory *memory;
	struct nbl *nbls;		/* of each frame; shared by lanes, each its own */
	struct nbl_lane_queue *queues;	/* lower ones first */
	uint32_t n_queues, n_lower;
	uint32_t frame_shift;		/* log2 of the frame size */
	uint32_t index;
	struct nbl_lane_figures figures;
	uint32_t drops_changed;		/* publications that still have to carry the drops */
	struct nbl_progress *progress;	/* read by the XDP programs */
	struct nbl_lane_block *block;

	/* how packets enter the stack, and leave it backwards (stack.c) */
	struct nbl_hop indicate_first, send_first, return_first, complete_first;
	bool returns_unseen, completes_unseen;	/* no module wants them: frames go straight home */
	struct nbl_lane_filter *filters[NBL_MAX_MODULES];	/* from the lower port upward */
	uint32_t n_filters;
	struct nbl_lane_filter edge;	/* stands for the ports where a hop needs a filter */
	/* who gets originated NBLs back */
	struct { nbl_end_fn end; void *arg; } ends[NBL_N_ORIGINS];
	struct nbl_pool *pool;		/* the adapter's, which its ports can send; NULL in tests */
	struct nbl_bindings *bindings;	/* NULL: only the upper port receives */
	struct nbl_history *history;	/* NULL: transfers are not noted */
	struct nbl_ports *ports;	/* that sends may name; NULL: only the default port */
	struct nbl_lane_sends *sends;	/* other than received frames by themselves */
	uint64_t (*clock_ns)(void);	/* NULL: CLOCK_MONOTONIC */
	bool parses;			/* somebody wants types before the first handler */
	bool harvests;			/* the XDP programs leave metadata */
	bool closed;			/* the stack is pausing: nothing is taken off RX rings */
	/* frames were inherited that were sent nobody knows how often: adopt.c */
	bool awaits_drain;
	_Atomic bool drained;		/* of this lane all that were sent before it are back */
	struct nbl_lane *peers;		/* all lanes over the pool, itself too */
	uint32_t n_peers;
	_Atomic bool pool_swept;	/* of the first of them: the pool's such frames are free */
	struct nbl_chain done[NBL_N_SIDES];	/* completed on that side, not yet handed back */
	struct { uint32_t frame; } burst[NBL_BURST];
	uint32_t n_burst;
	uint64_t now_ns;
	uint64_t busy_until_ns;		/* does not sleep before this */
	uint32_t idle_sleeps;		/* in a row, without work between */

	/* from other threads */
	struct nbl_returns returns __attribute__((aligned(NBL_CACHE_LINE)));
	struct nbl_returns entries[NBL_N_ENTRIES];
	_Atomic uint32_t n_entered;	/* NBLs in both, not yet run */
	_Atomic bool asleep;
	_Atomic bool park_wanted;
	_Atomic bool stop_wanted;
	int wake_fd;			/* eventfd */
	pthread_t thread;
	pthread_mutex_t mutex;		/* guards 'parked' only */
	pthread_cond_t cond;
	bool parked;
};

/* What became of the packets in the hands of the worker before. */
enum nbl_takeover {
	NBL_TAKEOVER_FRESH,		/* there was none */
	NBL_TAKEOVER_REPLAY,		/* it was ended from outside: its last burst runs again */
	NBL_TAKEOVER_DROP,		/* it crashed: its last burst, maybe why, is dropped */
};

/* What the audit found, over all lanes it was added up from. */
struct nbl_audit {
	uint64_t frames, mismatches, violations, quarantined;
	char first[128];
};

/* ---- lane.c: control thread unless said otherwise ---- */

/*
 * Makes a lane of 'n_queues' queues (takes their rings; 'queues' itself is
 * copied), n_lower of them lower ones, over 'memory' and 'nbls' (borrows both
 * until nbl_lane_done()). 0; -EINVAL if a side has no queue; -ENOMEM, -errno.
 */
NBL_MUST_CHECK int nbl_lane_init(struct nbl_lane *lane, uint32_t index, struct nbl_memory *memory,
				 struct nbl *nbls, const struct nbl_queue *queues,
				 uint32_t n_queues, uint32_t n_lower,
				 struct nbl_progress *progress);
/* Frees what the lane has; its thread must not run. */
void nbl_lane_done(struct nbl_lane *lane);

/* Starts the thread. 0 or negative errno. */
NBL_MUST_CHECK int nbl_lane_start(struct nbl_lane *lane);
void nbl_lane_stop(struct nbl_lane *lane);			/* ends it after its turn, waits */

/*
 * Brings the thread to rest between two turns, and lets it go on. While parked the caller acts
 * for the lane.
 */
void nbl_lane_park(struct nbl_lane *lane);
void nbl_lane_unpark(struct nbl_lane *lane);

/* One turn. Lane thread, or for tests. Returns the number of entries it moved. */
uint32_t nbl_lane_turn(struct nbl_lane *lane);

/*
 * Makes the calling thread act for 'lane' (NULL: none), so that frames come home directly.
 * Returns the one before.
 */
struct nbl_lane *nbl_lane_enter(struct nbl_lane *lane);
bool nbl_lane_is_current(const struct nbl_lane *lane);

/* Interrupts the lane's sleep. Any thread. */
void nbl_lane_wake(struct nbl_lane *lane);

/* Publishes the figures. Lane thread. */
void nbl_lane_publish(struct nbl_lane *lane);

/* Looks at the clock, for the lane and all its modules. Lane thread. */
void nbl_lane_set_time(struct nbl_lane *lane);

/* ---- the parts of a turn: lane thread ---- */

/*
 * Runs one burst from the RX ring of 'lq' through the stack. Returns the number of entries taken.
 * Entries linked by XDP_PKT_CONTD are one packet, one NBL with one NB of as many segments; without
 * room in the pool for its descriptor it is dropped whole. Rules: RX-01, DM-02.
 */
uint32_t nbl_lane_receive(struct nbl_lane *lane, struct nbl_lane_queue *lq);

/* A frame the kernel names must be one it was given: of this queue, with the packet inside. */
bool nbl_lane_believes(const struct nbl_lane *lane, const struct nbl_lane_queue *lq,
		       const struct xdp_desc *desc);

/*
 * Runs up to NBL_BURST packets (borrows 'descs'), whose frames are in state 'from',
 * through the stack. What they send is published on return.
 */
void nbl_lane_run_burst(struct nbl_lane *lane, struct nbl_lane_queue *lq,
			const struct xdp_desc *descs, uint32_t n, enum nbl_frame_state from);

/*
 * True while so many frames of 'lq' are in modules' hands that its fill ring may run dry: chains
 * are then indicated with NBL_RECEIVE_RESOURCES, until well below. Lane thread.
 * Rules: RX-06, HP-03.
 */
bool nbl_lane_is_short(const struct nbl_lane *lane, struct nbl_lane_queue *lq);

/*
 * Marks 'n' as HELD if it is in HAND; so all of the burst that its handlers kept, at no cost if
 * they kept none.
 */
void nbl_lane_mark_kept(struct nbl_lane *lane, const struct nbl *n);
void nbl_lane_mark_held(struct nbl_lane *lane);

/*
 * Sends 'chain' (takes) out of 'side', each packet on the queue across from its
 * home, in chain order (TX-04). What cannot be sent goes back at once, with the
 * outcome that says why (TX-12, TX-13).
 */
void nbl_lane_transmit(struct nbl_lane *lane, struct nbl_chain chain, enum nbl_side side);

/*
 * Puts 'n' (takes), which must not be a receive NBL somebody else still owns, at an end of the
 * stack; the lane's next turn runs it. When it has come to the end of its path it
 * goes to the end function of its origin. Any thread; never blocks.
 */
void nbl_lane_enter_nbl(struct nbl_lane *lane, enum nbl_entry entry, struct nbl *n);

/* Runs what was entered, and returns how many. Lane thread. */
uint32_t nbl_lane_run_entered(struct nbl_lane *lane);

/*
 * Counts those of 'chain' (borrows) that were not received in: their paths begin. Whoever has
 * them begin otherwise than by nbl_lane_enter_nbl() calls it. Lane thread.
 */
void nbl_lane_note_entered(struct nbl_lane *lane, const struct nbl_chain *chain);

/* Counts the one outcome of 'n' (borrows), if it was counted in: its path ended. Lane thread. */
void nbl_lane_note_ended(struct nbl_lane *lane, struct nbl *n);

/*
 * Says who gets NBLs of 'origin' back (borrows arg; for modules link.c does). Before the lane
 * runs, or while it is parked.
 */
void nbl_lane_set_end(struct nbl_lane *lane, enum nbl_origin origin, nbl_end_fn end, void *arg);

/*
 * Whose lane 'n' must be sent on, of 'lanes': that of the port it names, else, so that its
 * frames need no copy, that of its first received frame, else lane 0. Any thread that holds 'n'.
 */
uint32_t nbl_lane_for(const struct nbl_lane *lanes, uint32_t n_lanes, const struct nbl *n);

/* ---- originated.c, originated_notes.c: lane thread ---- */

/*
 * Room for all that the rings of 'lane' can hold; freed by nbl_lane_sends_free(), NULL is fine.
 * 0 or -ENOMEM.
 */
NBL_MUST_CHECK int nbl_lane_sends_new(struct nbl_lane *lane);
void nbl_lane_sends_free(struct nbl_lane_sends *s);

/*
 * Sends 'n' (takes, if NBL_OUTCOME_RETURNED is returned) out of 'side': each of its NBs is a
 * packet, of one ring entry, of several where the queue takes that, or else copied
 * into a frame of the pool. If the ring is full it waits, and can be cancelled. Out of the
 * lower port it leaves by the queue that n->port stands for, if it names one. Any other
 * outcome: nothing was sent, and why; DETACHED: that port is not active, or on another lane.
 * Rules: DM-03, TX-05, TX-12, TX-13, TX-18, AR-08, PT-03, PT-04.
 */
enum nbl_outcome nbl_lane_send_originated(struct nbl_lane *lane, struct nbl *n, enum nbl_side side);

/*
 * The kernel has sent 'frame' on 'lq' for an NBL noted here: when that was the last of it, the
 * NBL waits for nbl_lane_hand_back(). False if nothing is noted of it.
 */
bool nbl_lane_end_originated(struct nbl_lane *lane, struct nbl_lane_queue *lq, uint32_t frame);

/*
 * True if the completion of 'frame' on 'lq' is that of the frame sent by itself, and not of those
 * that it was sent for since, whose completions are still to come. Before
 * nbl_lane_end_originated().
 */
bool nbl_lane_end_plain(struct nbl_lane *lane, const struct nbl_lane_queue *lq, uint32_t frame);

/*
 * The device refused the entry in 'slot' of the TX ring of 'lq', of 'frame'. False if it is
 * not noted.
 */
bool nbl_lane_blame_originated(struct nbl_lane *lane, const struct nbl_lane_queue *lq,
			       uint32_t frame, uint32_t slot);

/* True if 'n', a received frame's (borrows), is itself being sent, and not only clones of it. */
bool nbl_lane_is_sending(const struct nbl_lane *lane, const struct nbl *n);

/*
 * For the audit, at rest: what is wrong with these notes, and of which frame; NULL: nothing.
 * Returns borrowed, for ever.
 */
const char *nbl_lane_sends_fault(const struct nbl_lane *lane, uint32_t *ret_frame);

/*
 * Tries what waits for room again, shows it to the kernel, and returns how many went or were
 * refused.
 */
uint32_t nbl_lane_send_waiting(struct nbl_lane *lane);

/* Completes what waits for room with this cancel id, SEND_ABORTED. Rules: CN-02, CN-04. */
void nbl_lane_cancel(struct nbl_lane *lane, uint64_t cancel_id);

/* NBLs noted here: with the kernel, or waiting. */
uint32_t nbl_lane_n_originated(const struct nbl_lane *lane);

/* True if 'frame' is a frame of the adapter's pool. */
static inline bool nbl_lane_is_pool_frame(const struct nbl_lane *lane, uint64_t frame)
{
	const struct nbl_memory_shape *s = &lane->memory->shape;

	return frame - (uint64_t)s->n_queues * s->frames_per_queue < s->n_pool_frames;
}

/* ---- pool_memory.c: control thread ---- */

/*
 * The pool over the pool's part of 'memory', for 'lanes' (borrows both until it is freed):
 * frames that a dead worker's kernel is still sending stay out until they come back.
 * Fills ret_pool: owned, nbl_pool_free(); every lane's pool is it. Before nbl_lane_adopt(). 0 or
 * negative errno.
 */
NBL_MUST_CHECK int nbl_lanes_make_pool(struct nbl_lane *lanes, uint32_t n_lanes,
				       struct nbl_memory *memory, enum nbl_takeover takeover,
				       struct nbl_pool **ret_pool);

/* ---- transmit.c ---- */

/*
 * In the status of a received NBL that was sent while it was lent with RESOURCES: it goes home
 * when it completes, and no module gets it back (RX-04).
 */
#define NBL_STATUS_SENT_WHILE_LENT INT32_MIN

/*
 * 'n' (takes, unless it is borrowed), sent out of 'side', has come to the end of that: it waits for
 * nbl_lane_hand_back(), or if modules were only lent it (was_lent), is home.
 */
void nbl_lane_end_send(struct nbl_lane *lane, struct nbl *n, enum nbl_side side, bool was_lent);

/*
 * Tries to get a free TX slot of 'lq', by a call to the kernel if need be (A16). Runs no
 * handler. False if there is none.
 */
bool nbl_lane_make_room(struct nbl_lane *lane, struct nbl_lane_queue *lq);

/* Notes in 'n' why it was not sent out of 'side'. */
void nbl_lane_refuse(struct nbl *n, enum nbl_outcome why, enum nbl_side side);

/* Shows the kernel what was written to the TX rings; sends nothing yet. */
void nbl_lane_publish_tx(struct nbl_lane *lane);

/*
 * Has the kernel send what is published, in as many calls as that needs. Returns how many
 * entries it took.
 */
uint32_t nbl_lane_kick(struct nbl_lane *lane, struct nbl_lane_queue *lq);

/*
 * Takes all completions of 'lq', and returns how many. Calls no handler: frames no
 * module wants to see go home, the others wait for nbl_lane_hand_back().
 */
uint32_t nbl_lane_reap(struct nbl_lane *lane, struct nbl_lane_queue *lq);

/* Hands completed packets back through the stack: returns down, completions up. */
void nbl_lane_hand_back(struct nbl_lane *lane);

/*
 * Ends the owner's claim on each of 'chain' (takes): the end of return and
 * completion paths. 'place' (enum nbl_place) is who dropped those that have no
 * outcome yet.
 */
void nbl_lane_bring_home(struct nbl_lane *lane, struct nbl_chain chain, uint16_t place);

/*
 * Counts the one outcome of 'n' (takes), whose frame was moved to FREE, and lists
 * the frame as free.
 */
void nbl_lane_finish(struct nbl_lane *lane, struct nbl *n);

/* Brings home what other threads released, and returns how many. Rule: DV-06. */
uint32_t nbl_lane_take_returns(struct nbl_lane *lane);

#define NBL_OVERLOAD_NS 100000000ull	/* what stands for so long is no burst */

/*
 * The RX ring of 'lq' stands if a turn did not empty it. When it has stood for NBL_OVERLOAD_NS
 * it is in overload: a fraction of its frames is posted, until a turn empties it. Packets then
 * wait a fraction of the time, in memory that caches hold. Counted in its figures.
 */
void nbl_lane_note_backlog(const struct nbl_lane *lane, struct nbl_lane_queue *lq, bool stands);

/* Posts free frames of 'lq' for receive, as many as are wanted. Returns how many. */
uint32_t nbl_lane_fill(struct nbl_lane *lane, struct nbl_lane_queue *lq);

/*
 * The release() of receive NBLs (takes): home at once on the lane's thread, else by
 * nbl_returns_push(). Any thread.
 */
void nbl_lane_release_home(struct nbl_home *home, struct nbl *n);

/* ---- adopt.c, audit.c: lane at rest ---- */

/* Brings ledger, free lists and figures to what rings and ledger prove, before the first turn. */
void nbl_lane_adopt(struct nbl_lane *lane, enum nbl_takeover takeover);

/*
 * Looks whether the kernel has nothing of 'lq' just now. Once it has had nothing of each queue,
 * what lane->awaits_drain waits for is free. Lane thread.
 */
void nbl_lane_note_drained(struct nbl_lane *lane, struct nbl_lane_queue *lq);

/*
 * Compares the ledger with rings, free lists, claims and figures, and adds to
 * 'audit'. The kernel, and other threads that hold references, may go on. 0 or -ENOMEM.
 */
int nbl_lane_audit(struct nbl_lane *lane, struct nbl_audit *audit);

/*
 * The same of the pool of 'lane' (borrows), which all lanes share: what the ledger says of its
 * frames against its own count; and how many NBLs of all pools have entered and not ended. All
 * lanes at rest, and no other thread at it.
 */
void nbl_pool_memory_audit(const struct nbl_lane *lane, struct nbl_audit *audit);

/* ---- small, shared by the parts ---- */

/* nbl_flags, of which others may set some meanwhile. */
static inline bool nbl_lane_is_flagged(const struct nbl *n, enum nbl_flags flag)
{
	return __atomic_load_n(&n->nbl_flags, __ATOMIC_RELAXED) & (uint32_t)flag;
}

static inline struct nbl_lane_queue *nbl_lane_home_queue(const struct nbl *n)
{
	return (struct nbl_lane_queue *)(void *)((uint8_t *)n->home -
						 offsetof(struct nbl_lane_queue, home));
}

/*
 * Counts a move the ledger refused of a frame in state 'was': quarantined, its packet with it.
 * Lane thread.
 */
void nbl_lane_refused(struct nbl_lane *lane, uint32_t frame, int was);

/*
 * Moves 'frame' in the ledger, and leaves it to the caller to count the move with
 * nbl_lane_count(), once for many. False, with all counted, if it may not move.
 */
static inline bool nbl_lane_shift(struct nbl_lane *lane, uint32_t frame, uint32_t from,
				  enum nbl_frame_state to, uint32_t slot)
{
	int was = nbl_ledger_move(&lane->memory->ledger, frame, from, to, slot);

	if (NBL_LIKELY(was >= 0))
		return true;
	nbl_lane_refused(lane, frame, -1 - was);
	return false;
}

/* Counts that 'n' frames moved. */
static inline void nbl_lane_count(struct nbl_lane *lane, enum nbl_frame_state from,
				  enum nbl_frame_state to, uint32_t n)
{
	lane->figures.frames[from] -= n;
	lane->figures.frames[to] += n;
}

/*
 * Moves 'frame' to the entry 'to', in ledger and figures. False, with its packet counted as
 * quarantined, if it may not.
 */
static inline bool nbl_lane_move_to(struct nbl_lane *lane, uint32_t frame, uint32_t from,
				    struct nbl_ledger_entry to)
{
	int was = nbl_ledger_move_to(&lane->memory->ledger, frame, from, to);

	if (NBL_LIKELY(was >= 0)) {
		nbl_lane_count(lane, (enum nbl_frame_state)was, (enum nbl_frame_state)to.state, 1);
		return true;
	}
	nbl_lane_refused(lane, frame, -1 - was);
	return false;
}

/*
 * Moves 'frame' in ledger and figures. False, with its packet counted as quarantined, if it may
 * not.
 */
static inline bool nbl_lane_move(struct nbl_lane *lane, uint32_t frame, uint32_t from,
				 enum nbl_frame_state to, uint32_t slot)
{
	return nbl_lane_move_to(lane, frame, from,
				(struct nbl_ledger_entry){ .state = (uint8_t)to, .slot = slot });
}

/* Brings what a ring entry's frame will need into the cache: a burst ahead of its use. */
static inline void nbl_lane_prefetch(const struct nbl_lane *lane, uint64_t address)
{
	uint64_t frame = address >> lane->frame_shift;

	/* Prefetching never faults, so an address that lies does no harm yet. */
	__builtin_prefetch(&lane->nbls[frame], 1);
	__builtin_prefetch(&lane->nbls[frame].nb, 1);
	__builtin_prefetch(&lane->memory->ledger.entries[frame], 1);
}

static inline enum nbl_side nbl_lane_queue_side(const struct nbl_lane_queue *lq)
{
	return (enum nbl_side)lq->q.side;
}

#endif
