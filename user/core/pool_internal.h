/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool_internal.h - what a pool's NBL was made of, and taking the pieces.
 *
 * An NBL of a pool goes back by these records, never by its links: modules may
 * relink its NBs and segments, and what they put there is not the pool's
 * (RF-14). A record is complete at every moment, so giving back a half-made NBL
 * and freeing a whole one are the same call.
 */
#ifndef CORE_POOL_INTERNAL_H
#define CORE_POOL_INTERNAL_H

#include <nbl/pool.h>

#include "core/freelist.h"

#define POOL_NONE FREELIST_NONE
#define POOL_CONTEXT_SIZE 64		/* bytes of context per NBL (RF-10) */
#define POOL_NAME_MAX 32
#define POOL_MAX_POOLS 4095		/* per process: 12 bits of a segment's handle */
#define POOL_MAX_SEGMENTS (1u << 20)	/* per pool: the other 20 */

/* One segment an NBL was made with. */
struct segment_record {
	struct nbl_segment made;	/* as it was when the NBL was handed out */
	uint32_t frame;			/* slot of its frame in the NBL's data pool, or POOL_NONE */
};

/* What a retreat set aside; the NB is given it back when the prepended segment goes. */
struct retreat_record {
	struct nbl_segment *first_segment;
	uint32_t data_offset;
	uint32_t below;			/* handle of the segment prepended before this one */
	struct nbl_segment rest;	/* the segment the data began in, less its unused front */
};

/* A segment besides the built-in one: of an NB made of several, or prepended by a retreat. */
struct pool_segment {
	struct nbl_segment segment;
	struct segment_record record;
	struct retreat_record retreat;
	struct pool_segment *more;	/* the next of the same NB, or of a reservation */
	struct nbl *part;	/* referenced for the bytes here; of a reassembled NBL, else NULL */
	struct nbl_pool *pool;		/* set once */
	uint32_t slot;			/* set once */
};

/* One NB an NBL was made with, and its segments. */
struct nb_record {
	struct nbl_nb *nb;		/* set once */
	struct nbl_segment *segment;	/* set once: the segment that comes with 'nb' */
	struct segment_record built_in;	/* of that segment */
	struct pool_segment *segments;	/* those after it, any order */
	struct nb_record *more;		/* the next NB */
	struct nbl_nb *made_next;	/* links when the NBL was handed out */
	struct nbl_segment *made_first;
	uint32_t slot;			/* set once; POOL_NONE for the NB inside the NBL */
};

struct pool_nb {
	struct nbl_nb nb;
	struct nbl_segment segment;
	struct nb_record record;
} __attribute__((aligned(NBL_CACHE_LINE)));

struct pool_nbl {
	struct nbl nbl;
	struct nb_record record;	/* of nbl.nb, which leads to those of the other NBs */
	struct nbl_pool *data_pool;	/* whose frames its segments lie in */
	uint64_t sum;			/* of the bytes it shares, if has_sum (RF-07) */
	uint32_t since_ms;		/* when it was taken */
	uint32_t delta;			/* what its NBs were retreated by when made (DV-08) */
	uint16_t charged_to;		/* whose account it is on, with 'tier' */
	uint8_t tier;			/* enum nbl_tier */
	bool has_sum;
	uint8_t context[POOL_CONTEXT_SIZE] __attribute__((aligned(16)));
	uint8_t context_room[];		/* the pool's context_size */
};

struct nbl_pool {
	struct nbl_home home;
	uint8_t *slots;			/* pool_nbl by pool_slot, 'stride' apart */
	size_t stride;
	/* NBL_POOL_VERIFY: by pool_slot, where it lies now; else NULL */
	struct pool_nbl *_Atomic *live;
	size_t slots_size;		/* NBL_POOL_VERIFY: bytes mapped at 'slots' */
	_Atomic uint64_t n_lives;	/* NBL_POOL_VERIFY: places used up */
	uint64_t max_lives;
	struct pool_nb *nbs;
	struct pool_segment *segments;
	uint8_t *frames;
	uint8_t *heap;			/* 'frames' if they are the pool's own, else NULL */
	uint32_t frame_size;
	uint32_t headroom;
	uint32_t context_size;
	uint32_t max_segments;
	uint32_t protocol_id;
	uint32_t first_frame;
	uint32_t id;			/* in the table of pools, 1 upward */
	void (*frame_used)(void *arg, uint32_t frame, bool used);
	void *arg;
	_Atomic uint32_t *next;		/* storage of the four lists */
	char name[POOL_NAME_MAX];
	_Atomic uint64_t exhausted, retreats;
	struct freelist free_nbls, free_nbs, free_segments, free_frames;
};

static inline struct nbl_pool *pool_of(const struct nbl *n)
{
	return (struct nbl_pool *)((char *)n->home - offsetof(struct nbl_pool, home));
}

static inline struct pool_nbl *pool_nbl_of(struct nbl *n)
{
	return (struct pool_nbl *)((char *)n - offsetof(struct pool_nbl, nbl));
}

static inline const struct pool_nbl *pool_nbl_of_const(const struct nbl *n)
{
	return (const struct pool_nbl *)((const char *)n - offsetof(struct pool_nbl, nbl));
}

static inline struct pool_nbl *pool_slot(const struct nbl_pool *pool, uint64_t slot)
{
	return (struct pool_nbl *)(void *)(pool->slots + slot * pool->stride);
}

/*
 * Each takes one piece off 'pool' and returns it, owned: the nbl_pool_give_ call below; or
 * NULL (POOL_NONE), counted as exhaustion. Any thread.
 */
struct pool_nb *nbl_pool_take_nb(struct nbl_pool *pool);
struct pool_segment *nbl_pool_take_segment(struct nbl_pool *pool);
uint32_t nbl_pool_take_frame(struct nbl_pool *pool);

/* Gives the frame in 'slot' back (takes; POOL_NONE is fine). Any thread. */
void nbl_pool_give_frame(struct nbl_pool *pool, uint32_t slot);

/*
 * Keeps the frames of a new pool for which is_out(arg, number) is true from being taken, as if
 * they had been: nbl_pool_give_frame() ends that. Before the pool is used.
 */
void nbl_pool_withhold(struct nbl_pool *pool, bool (*is_out)(void *arg, uint32_t frame), void *arg);

/*
 * An NBL of 'kind', charged to 'holder' (fills ret_nbl: owned, nbl_pool_give()). Returns
 * 0; -ENOBUFS, counted as exhaustion; -EDQUOT beyond the holder's limit. Any thread.
 */
NBL_MUST_CHECK int nbl_pool_take_nbl(struct nbl_pool *pool, enum nbl_kind kind, uint16_t holder,
				     struct pool_nbl **ret_nbl);

/* Points 's' at the whole of the frame in 'slot'. */
void nbl_pool_map_frame(const struct nbl_pool *pool, uint32_t slot, struct nbl_segment *s);

/*
 * A segment over a frame of its own, both of 'pool'. Returns owned,
 * nbl_pool_give_frame_segment(); NULL, nothing taken, if either is out. Any thread.
 */
struct pool_segment *nbl_pool_take_frame_segment(struct nbl_pool *pool);

/* Gives back a segment and its frame (takes), both of one pool. */
void nbl_pool_give_frame_segment(struct pool_segment *s);

/* Gives back all 'p' was made of by its records, then 'p' (takes). Any thread. */
void nbl_pool_give(struct pool_nbl *p);

/* The way home of a pool's NBL (takes 'n'): nbl_home.release(). Any thread. */
void nbl_pool_release(struct nbl_home *home, struct nbl *n);

/*
 * Notes the links of 'p' as they are now: what its holder has to restore (RF-14);
 * and with check_bytes the bytes it shares, that its holder must not change (RF-07).
 */
void nbl_pool_seal(struct pool_nbl *p, bool check_bytes);

/* Compares 'p' with its seal, less what retreats prepended. Never follows its links. */
bool nbl_pool_is_as_made(struct pool_nbl *p);

/* Compares the bytes 'p' shares with those at its seal, once; a difference is counted. */
void nbl_pool_check_bytes(struct pool_nbl *p);

/* Sets 'p', whose slot is 'slot', up for life: what is set once. */
void nbl_pool_bind_slot(struct pool_nbl *p, uint32_t slot);

/*
 * A NBL_POOL_VERIFY pool's place for the NBL of 'slot': fresh memory (returns owned,
 * nbl_pool_verify_give()) or NULL; and making it trap (takes 'p').
 */
struct pool_nbl *nbl_pool_verify_take(struct nbl_pool *pool, uint32_t slot);
void nbl_pool_verify_give(struct nbl_pool *pool, struct pool_nbl *p, uint32_t slot);

/* Maps and unmaps the places of a NBL_POOL_VERIFY pool. 0 or negative errno. */
NBL_MUST_CHECK int nbl_pool_verify_open(struct nbl_pool *pool);
void nbl_pool_verify_close(struct nbl_pool *pool);

/*
 * The pool made into the place after that of 'pool', NULL: the first. NULL if there is
 * none. Returns borrowed. Control thread.
 */
struct nbl_pool *nbl_pool_next(const struct nbl_pool *pool);

/* A number that leads back to 's' in 32 bits, never 0, and the way back (returns borrowed). */
uint32_t nbl_pool_segment_handle(const struct pool_segment *s);
struct pool_segment *nbl_pool_segment_of_handle(uint32_t handle);

#endif
