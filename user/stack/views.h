/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * views.h - who has which NBL: what an operator asks when packets do not come home.
 *
 *   nbl_view_pending   every NBL that is not home, page by page
 *   nbl_view_nbl       everything of one
 *   nbl_view_holds     how much each module holds, and by what
 *   nbl_view_pools     the pools
 *
 * Snapshots while the lanes rest. Other threads may go on with what they hold, so links are
 * followed only to memory that is the engine's, and bytes read only from frames: what a
 * module hung in is told as foreign. A page goes on at a cursor, a place and not a
 * number, so that nothing is told twice however much comes and goes between pages. All on
 * the control thread. Rules: HP-05, HP-01, RF-16.
 */
#ifndef STACK_VIEWS_H
#define STACK_VIEWS_H

#include "stack/lane.h"

#define NBL_VIEW_ROWS		32	/* in a page */
#define NBL_VIEW_POOLS		64	/* that are looked at */
#define NBL_VIEW_SEGMENTS	16	/* of one NBL that are told */
#define NBL_VIEW_BYTES		64	/* of one NBL that are told */
#define NBL_VIEW_HOLDERS	(NBL_MAX_MODULES + 1)	/* by module id; 0: no module */
#define NBL_VIEW_KERNEL		NBL_N_PLACES		/* a holder: it is only being sent */
#define NBL_VIEW_POOLED		NBL_N_SIDES		/* a port: it came by none */

/* Names an NBL: the place it lies in, which is its own for ever. */
struct nbl_view_id {
	uint32_t pool;		/* number of its pool; 0 = it belongs to a receive frame */
	uint32_t index;		/* that frame, or its slot in the pool */
};

/* One NBL that is not home. */
struct nbl_view_row {
	struct nbl_view_id id;
	struct nbl_view_id parent;	/* if has_parent */
	uint32_t references, children;
	uint32_t age_ms;	/* since it was kept, or taken off its pool; 0 if it was not kept */
	uint32_t n_frames;		/* its own */
	uint32_t length;		/* used bytes of all its packets */
	uint16_t holder;		/* who had it last: enum nbl_place */
	uint16_t charged_to;		/* who made it; of NBLs of pools */
	uint16_t kept_by;		/* who had it when it was kept, or made it */
	uint16_t reference_holders[3];
	uint16_t queue;			/* it came by; of receive NBLs: the interface's number, */
	uint8_t side;			/* and enum nbl_side */
	uint8_t n_reference_holders;
	uint8_t kind;			/* enum nbl_kind */
	uint8_t state;	/* enum nbl_frame_state of its first frame; HELD if it has none */
	bool owner_pending;		/* its owner has not given it back */
	bool has_parent;
};

/* True if a module, not the kernel, keeps the NBL of 'row' (borrows) from going home. */
static inline bool nbl_view_is_held(const struct nbl_view_row *row)
{
	return row->state != NBL_FRAME_TX || row->references || row->children;
}

/*
 * Who the NBL of 'row' (borrows) waits for first, enum nbl_place or NBL_VIEW_KERNEL: its owner;
 * else somebody who references it; else who kept it, by clones.
 */
static inline uint16_t nbl_view_holder(const struct nbl_view_row *row)
{
	if (!nbl_view_is_held(row))
		return NBL_VIEW_KERNEL;
	if (row->owner_pending && row->holder)
		return row->holder;
	return row->n_reference_holders ? row->reference_holders[0] : row->kept_by;
}

struct nbl_view_page {
	uint64_t cursor;		/* where the next page begins; 0 = there is none */
	uint32_t n_total;		/* of all pages, as it is now */
	uint32_t by_holder[NBL_N_PLACES + 1][NBL_N_SIDES + 1];	/* of them, by holder and port */
	uint32_t n_rows;
	struct nbl_view_row rows[NBL_VIEW_ROWS];
};

struct nbl_view_segment {
	uint32_t nb;			/* number of the packet it is part of */
	uint32_t frame;			/* or NBL_NO_FRAME */
	uint32_t length;
	bool foreign;	/* not the engine's: neither it nor what follows is looked at */
};

struct nbl_view_nbl {
	bool is_home;			/* what follows is what its last use left */
	struct nbl_view_row row;
	uint32_t nbl_flags;		/* enum nbl_flags */
	uint32_t source_handle;		/* handle.h */
	uint32_t status;		/* enum nbl_status */
	uint16_t frame_type;		/* EtherType */
	uint8_t outcome;		/* enum nbl_outcome */
	uint8_t n_nbs;
	uint32_t data_offset, data_length;	/* the first packet's window */
	uint32_t n_segments;
	struct nbl_view_segment segments[NBL_VIEW_SEGMENTS];
	uint64_t info[NBL_N_INFO];
	uint32_t n_bytes;		/* of the first packet, in 'bytes' */
	uint8_t bytes[NBL_VIEW_BYTES];
};

/* What one module keeps, by why. */
struct nbl_view_hold {
	uint32_t frames;		/* receive frames that wait for it */
	uint32_t pending;		/* of them, those it was given and has not passed on */
	uint32_t references, clones, deep_clones, copies;	/* struct nbl_holding */
	uint32_t oldest_ms;
	uint64_t refused, promoted, over_limit;
};

struct nbl_view_pool {
	uint32_t number;
	char name[32];
	uint32_t frame_size;
	bool is_heap;			/* its frames cannot be sent without a copy */
	struct nbl_pool_counts counts;
};

struct nbl_view_pools {
	uint32_t n_pools;
	struct nbl_view_pool pools[NBL_VIEW_POOLS];
	uint64_t hidden_copies;		/* clones made deep for an announced write (AMB-03) */
};

/*
 * The NBLs of 'lanes' and of all pools that are not home (borrows), from 'cursor' on (0 = the
 * first), those held before those being sent; now_ms: monotonic. Fills ret.
 */
void nbl_view_pending(const struct nbl_lane *lanes, uint32_t n_lanes, uint64_t cursor,
		      uint32_t now_ms, struct nbl_view_page *ret);

/* Describes one NBL (fills ret). -ENOENT if there is no such place. */
int nbl_view_nbl(const struct nbl_lane *lanes, uint32_t n_lanes, struct nbl_view_id id,
		 uint32_t now_ms, struct nbl_view_nbl *ret);

/* What each holder keeps (fills ret). */
void nbl_view_holds(const struct nbl_lane *lanes, uint32_t n_lanes, uint32_t now_ms,
		    struct nbl_view_hold ret[NBL_VIEW_HOLDERS]);

/* All pools of the process, at most NBL_VIEW_POOLS (fills ret). */
void nbl_view_pools(struct nbl_view_pools *ret);

/* The name of 'n', whichever thread has it, of the lane's adapter (borrows both). */
struct nbl_view_id nbl_view_id_of(const struct nbl_lane *lane, const struct nbl *n);

#endif
