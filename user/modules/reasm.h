/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reasm.h - the parts of the module reasm, and its figures.
 *
 *   reasm.c        options, handlers, timer
 *   reasm_parse.c  is it a fragment, of which datagram, and is it sane
 *   reasm_table.c  the datagrams being put together: lookup, bounds, ages
 *   reasm_place.c  where a fragment belongs among those that are there
 *   reasm_out.c    a whole datagram goes on, and its fragments go home after it
 *
 * All lives in lane_state: nothing is allocated once packets come. A fragment that
 * waits is referenced, linked by its 'next' in order of its offset, and has its own
 * place and length in its scratch (struct reasm_place).
 */
#ifndef MODULES_REASM_H
#define MODULES_REASM_H

#include <nbl/module.h>
#include <nbl/parse.h>

#define REASM_MAX_PIECES	64	/* fragments of one datagram */
#define REASM_MAX_DATAGRAMS	1024	/* per lane */
#define REASM_MAX_FRAMES	4096	/* per lane */
#define REASM_MAX_HEADER	256	/* bytes of a fragment before its payload */
#define REASM_MAX_CHAIN		16	/* datagrams in one bucket */
#define REASM_N_BUCKETS		2048
#define REASM_ECN_CE		3	/* congestion was met */

/* Where a datagram is heading. */
enum reasm_direction {
	REASM_UP,			/* received */
	REASM_DOWN,			/* being sent */
	REASM_N_DIRECTIONS
};

/* Why fragments were dropped; each is counted once. */
enum reasm_reason {
	REASM_FINE,
	REASM_DUPLICATE,		/* the very same was there: dropped alone */
	/* of the IP header: dropped alone, as whose it is cannot be known */
	REASM_CHECKSUM,
	REASM_HEADER,			/* headers cut short, or too long: dropped alone */
	REASM_LATE,			/* of a datagram that was dropped before */
	REASM_LIMIT,			/* no room, and nothing left that could make some */
	/* from here on the whole datagram goes */
	REASM_OVERLAP,
	/* no multiple of 8, cut short, or beyond the datagram's end */
	REASM_LENGTH,
	REASM_EMPTY,			/* no payload */
	REASM_TOO_LONG,			/* ends beyond 65535 */
	REASM_TINY,			/* the first, and without the whole transport header */
	REASM_TOO_MANY,			/* beyond REASM_MAX_PIECES */
	REASM_ECN,			/* of one that can tell congestion and one that cannot */
	REASM_EVICTED,			/* the oldest, where others needed its room */
	REASM_TIMEOUT,
	REASM_CANCELLED,		/* by its sender */
	REASM_N_REASONS
};

/*
 * What reasm did on one lane. Fragments that came are passed on, gone with a whole datagram,
 * dropped, or held: n_fragments = n_passed + n_used + the sum of 'dropped' + n_held.
 */
struct reasm_figures {
	uint64_t n_fragments;		/* that came; not those of borrowed chains */
	uint64_t n_passed;		/* as they were: pausing, or no descriptors */
	uint64_t n_used;		/* whose datagram went on, and came back */
	uint64_t dropped[REASM_N_REASONS];	/* fragments */
	uint64_t n_datagrams;		/* begun */
	uint64_t n_whole;		/* went on in one piece */
	uint64_t n_cut;			/* went on in new fragments */
	/* complete, but passed on as they came: pool exhausted, or too many would go on */
	uint64_t n_fallbacks;
	uint64_t n_evicted;		/* datagrams dropped for the room they took */
	uint64_t n_timeouts;		/* datagrams dropped for their age */
	uint32_t n_held;		/* fragments now */
	uint32_t frames_held, frames_most;	/* frames now, and at most so far */
};

/*
 * The figures of 'f' (borrows), a filter of this module. Returns borrowed, until it detaches. Lane
 * thread.
 */
const struct reasm_figures *reasm_figures_of(const struct nbl_filter *f);

/* The name of 'reason', e.g. "too-many". Returns borrowed, for ever. */
const char *reasm_reason_name(enum reasm_reason reason);

/* ---- of the module's own parts from here on ---- */

/* From options and restart(). Shared by all lanes, which only read it. */
struct reasm {
	uint64_t timeout_ns;
	uint64_t seed[2];
	uint32_t max_frames, max_datagrams;
	uint32_t headroom_below;
	bool out_whole;
	bool drops_tiny;
};

/* Which datagram a fragment is of. No padding: it is hashed and compared as bytes. */
struct reasm_key {
	uint8_t source[16], destination[16];	/* IPv4 in the first 4 */
	uint8_t tags[4 * NBL_MAX_VLAN_TAGS];
	uint8_t id[4];
	uint32_t port;
	uint16_t vlan;			/* the tag the device took off */
	uint8_t protocol;		/* 0 for IPv6: its fragments may differ there */
	uint8_t version;
	uint8_t direction;
	uint8_t zero[3];
};

_Static_assert(sizeof(struct reasm_key) == 64, "a key has no padding");

/* One fragment as parsed. Offsets without a word are from the start of the packet. */
struct reasm_fragment {
	struct reasm_key key;
	uint32_t ip_at;			/* length of the MAC header */
	uint32_t payload_at;
	/* IPv6: the byte that says that a fragment header follows */
	uint32_t named_at;
	uint16_t offset;		/* of the payload, in the datagram */
	uint32_t length;		/* of the payload */
	bool more;			/* it is not the last */
	uint8_t ecn;			/* codepoint of RFC 3168: 0 = Not-ECT, 3 = CE */
	uint8_t next;			/* protocol of the payload of the first fragment */
	enum reasm_reason fault;	/* REASM_FINE if it may be used */
};

/* What a fragment that waits has in its scratch. */
struct reasm_place {
	uint16_t offset, length;
	uint16_t payload_at;
	uint16_t n_frames;
};

enum reasm_state {
	REASM_UNUSED,
	REASM_COLLECTING,		/* listed, by age */
	REASM_DEAD,			/* dropped: its later fragments are, too; listed, by age */
	REASM_FLYING,			/* complete: no list; its own NBL is on its way */
};

struct reasm_datagram {
	struct reasm_key key;
	struct nbl_chain pieces;	/* by offset */
	struct nbl *whole;		/* flying: over all pieces */
	/* flying: what was originated, 'whole' or made of it */
	struct nbl *own;
	uint64_t deadline_ns;
	uint32_t received;		/* bytes of payload */
	uint32_t end;			/* length of the datagram's payload; 0 = not known yet */
	uint32_t longest;		/* IP length of the longest fragment */
	uint32_t n_frames;
	uint32_t delta, whole_delta;	/* flying: what both were made with */
	uint16_t older, newer;		/* in its list; numbers of datagrams, 0 = none */
	uint16_t next;			/* in its bucket, or unused */
	uint8_t state;			/* enum reasm_state */
	uint8_t ecn;			/* bit n: a fragment had the ECN codepoint n */
};

struct reasm_list {
	uint16_t oldest, newest;
};

struct reasm_lane {
	struct reasm_figures figures;
	struct reasm_list collecting, dead;
	uint16_t unused;		/* the first of those that were used before */
	uint16_t n_touched;		/* datagrams 1 .. n_touched were used at all */
	uint16_t n_datagrams;		/* in use */
	uint16_t n_flying;
	bool pausing;			/* pause() said NBL_PENDING */
	uint16_t buckets[REASM_N_BUCKETS];
	struct reasm_datagram datagrams[REASM_MAX_DATAGRAMS + 1];	/* [0] stands for none */
};

/* What goes back when the work is done: giving back may call handlers of this module again. */
struct reasm_batch {
	struct nbl_chain back[REASM_N_DIRECTIONS];
};

static inline struct reasm_lane *reasm_lane_of(const struct nbl_filter *f)
{
	return f->lane_state;
}

static inline enum reasm_direction reasm_direction_of(const struct reasm_datagram *d)
{
	return (enum reasm_direction)d->key.direction;
}

/* ---- reasm_parse.c ---- */

/*
 * True if 'n' (borrows) is a fragment, and not an atomic one; fills ret_fragment then, with
 * its key complete unless its fault is one it is dropped alone for. An NBL of several
 * packets is never one: it was made by a module here.
 */
bool reasm_parse(const struct nbl *n, bool drops_tiny, struct reasm_fragment *ret_fragment);

/* The same without asking which: what every packet has to bear. */
bool reasm_is_fragment(const struct nbl *n);

/*
 * 'length' used bytes of 'nb' from 'at' on: in the packet, or in 'storage' (borrows both). NULL if
 * there are fewer.
 */
const uint8_t *reasm_bytes_at(const struct nbl_nb *nb, uint32_t at, uint32_t length, void *storage);

static inline uint16_t reasm_get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline void reasm_put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* The ones' complement sum of an IPv4 header: 0 over one that is right. */
uint16_t reasm_header_sum(const uint8_t *header, uint32_t length);

/* ---- reasm_table.c ---- */

/* SipHash-1-3 of a key: nobody who does not know the seed can make keys that meet. */
uint64_t reasm_hash(const struct reasm_key *key, const uint64_t seed[2]);

/* The datagram of 'key' that is collecting or dead, or NULL. */
struct reasm_datagram *reasm_find(struct reasm_lane *l, const struct reasm *c,
				  const struct reasm_key *key);

/*
 * A new one, collecting; makes room by dropping the oldest into 'batch'. NULL if all are
 * flying.
 */
struct reasm_datagram *reasm_open(struct reasm_lane *l, const struct reasm *c,
				  const struct reasm_key *key, uint64_t now_ns,
				  struct reasm_batch *batch);

/* Takes 'd' out of bucket and list: it flies, and is nobody's to drop any more. */
void reasm_take_off(struct reasm_lane *l, const struct reasm *c, struct reasm_datagram *d);

/* Ends 'd', whose pieces are gone, in whatever state it is. */
void reasm_close(struct reasm_lane *l, const struct reasm *c, struct reasm_datagram *d);

/* Drops all pieces of 'd' into 'batch', for 'reason', and closes it. */
void reasm_drop(struct reasm_lane *l, const struct reasm *c, struct reasm_datagram *d,
		enum reasm_reason reason, struct reasm_batch *batch);

/* The same, but it stays for its timeout, so that its later fragments are dropped, too. */
void reasm_kill(struct reasm_lane *l, const struct reasm *c, struct reasm_datagram *d,
		enum reasm_reason reason, uint64_t now_ns, struct reasm_batch *batch);

/* Drops 'n' (takes), which was not kept, into 'batch'. */
void reasm_refuse(struct reasm_lane *l, struct nbl *n, enum reasm_direction direction,
		  enum reasm_reason reason, struct reasm_batch *batch);

/* Drops the oldest that holds frames. False if there is none. */
bool reasm_evict(struct reasm_lane *l, const struct reasm *c, struct reasm_batch *batch);

/* Drops what is older than its time. Returns when to look again, 0 = never. */
uint64_t reasm_expire(struct reasm_lane *l, const struct reasm *c, uint64_t now_ns,
		      struct reasm_batch *batch);

/* When the next one has lived its time, 0 = never. */
uint64_t reasm_next_deadline(const struct reasm_lane *l);

/* Takes all pieces off 'd', dereferenced, in order (returns owned: to be passed on). */
struct nbl_chain reasm_take_pieces(struct reasm_lane *l, struct reasm_datagram *d);

/* ---- reasm_place.c ---- */

/* What 'n' (borrows), which waits, has in its scratch. */
struct reasm_place reasm_place_of(const struct nbl *n);

/*
 * Keeps 'n' (takes, with a reference, if REASM_FINE is returned) at its place in 'd'.
 * Else why not: 'n' is the caller's still, and 'd' unchanged.
 */
enum reasm_reason reasm_keep(struct reasm_lane *l, struct reasm_datagram *d, struct nbl *n,
			     const struct reasm_fragment *fragment);

/* Frames that keeping 'n' (borrows) costs. */
uint16_t reasm_n_frames(const struct nbl *n);

/* Takes the pieces with 'cancel_id' off 'd' into 'batch'. */
void reasm_cancel(struct reasm_lane *l, struct reasm_datagram *d, uint64_t cancel_id,
		  struct reasm_batch *batch);

static inline bool reasm_is_complete(const struct reasm_datagram *d)
{
	return d->end && d->received == d->end;
}

/* ---- reasm_out.c ---- */

/* Passes 'chain' (takes) on in its direction, or gives it back where it came from. */
void reasm_pass(struct nbl_filter *f, struct nbl_chain chain, enum reasm_direction direction,
		uint32_t port, uint32_t flags);
void reasm_give_back(struct nbl_filter *f, struct reasm_batch *batch);

/*
 * Sends 'd', complete and taken off, on: its pieces stay until what was originated comes
 * back. Where that cannot be, the pieces go on as they are. Rules: DV-08, DV-09.
 */
void reasm_go_on(struct nbl_filter *f, struct reasm_datagram *d, struct reasm_batch *batch);

/* The end of one that this module originated (takes): its pieces go into 'batch'. Rule: IN-05. */
void reasm_own_ended(struct nbl_filter *f, struct nbl *own, struct reasm_batch *batch);

#endif
