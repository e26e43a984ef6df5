/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbl.h - the packet descriptor: struct nbl, its NBs and their segments.
 *
 *   nbl  --first_nb-->  nbl_nb  --first_segment-->  nbl_segment --> bytes
 *   NET_BUFFER_LIST     NET_BUFFER                  MDL
 *
 * An NBL is the unit of transfer, completion and reference; an NB is one Ethernet
 * packet. Neighbours: chain.h strings NBLs together, window.h moves the used data,
 * derive.h references and clones, pool.h is where NBLs come from, info.h what is known
 * of them. No call on an NBL does I/O. One thread owns an NBL at a time; only the counts
 * marked atomic may change under it.
 */
#ifndef NBL_NBL_H
#define NBL_NBL_H

#include <stdatomic.h>

#include <nbl/contract.h>
#include <nbl/outcome.h>

struct nbl;
struct nbl_pool;

#define NBL_NO_FRAME UINT32_MAX	/* the segment's bytes belong to no frame */

/* A run of bytes, always mapped (NX-05). What Windows calls an MDL. */
struct nbl_segment {
	struct nbl_segment *next;
	uint8_t *base;			/* its first byte */
	uint32_t length;		/* bytes from base that belong to it */
	uint32_t frame;			/* index of the frame it lies in, or NBL_NO_FRAME */
};

/*
 * One Ethernet packet (NET_BUFFER): a window of data_length used bytes that
 * begins data_offset bytes into its segments. current_segment and
 * current_offset cache where that is (DM-04); the unused bytes in front may
 * hold live data of others.
 */
struct nbl_nb {
	struct nbl_nb *next;			/* the next NB of the same NBL */
	struct nbl_segment *first_segment;	/* MdlChain */
	struct nbl_segment *current_segment;	/* CurrentMdl */
	uint32_t current_offset;		/* CurrentMdlOffset */
	uint32_t data_offset;			/* DataOffset */
	uint32_t data_length;			/* DataLength */
	uint32_t flags;				/* the engine's: put in front by a retreat, or 0 */
};

/* The final result of sending an NBL (DM-07). */
enum nbl_status {
	NBL_STATUS_SUCCESS,
	NBL_STATUS_INVALID_LENGTH,
	NBL_STATUS_RESOURCES,
	NBL_STATUS_FAILURE,
	NBL_STATUS_SEND_ABORTED,
	/*
	 * Never given: while an adapter lives its queues are not made anew. What is sent on a link
	 * that is down waits for it, and where the interface is gone no NBL outlives the worker.
	 */
	NBL_STATUS_RESET_IN_PROGRESS,
	NBL_STATUS_PAUSED,
};

/*
 * nbl_flags: what is true of every packet of the NBL (DM-14, parse.h), and the engine's
 * own range (DM-15).
 */
enum nbl_flags {
	NBL_FLAG_IS_IPV4	= 1u << 0,
	NBL_FLAG_IS_IPV6	= 1u << 1,
	NBL_FLAG_IS_TCP		= 1u << 2,
	NBL_FLAG_IS_UDP		= 1u << 3,
	NBL_FLAG_LOOPBACK	= 1u << 4,
	NBL_FLAG_SEND_READ_ONLY	= 1u << 5,	/* its originator forbids writes on the way down */
	NBL_FLAG_RECEIVE_READ_ONLY = 1u << 6,	/* its indicator forbids writes on the way up */
	NBL_FLAG_CHECK_FOR_LOOPBACK = 1u << 8,	/* to be shown to its sender, then off (TX-14) */
	NBL_FLAG_BINDING_SENDS	= 1u << 11,	/* engine: a binding's, sent and not complete */
	NBL_FLAG_WENT_PAST	= 1u << 12,	/* engine: past modules at their limit */
	NBL_FLAG_IS_PART	= 1u << 13,	/* engine: a part of a reassembled NBL (RF-06) */
	NBL_FLAG_WILL_MODIFY	= 1u << 24,	/* engine: a holder announced writes (RF-06) */
	NBL_FLAG_FREED		= 1u << 25,	/* engine: back in its pool; use is a violation */
	NBL_FLAG_HAS_INFO	= 1u << 26,	/* engine: information or scratch was set */
	NBL_FLAG_HAS_CONTEXT	= 1u << 27,	/* engine: contexts are on the stack (context.h) */
	NBL_FLAG_BORROWED	= 1u << 28,	/* engine: lent with RESOURCES, not yet back */
	NBL_FLAG_LENT		= 1u << 29,	/* engine: its frame is sent for another NBL */
	NBL_FLAG_INJECTED	= 1u << 30,	/* filter engine: it or a parent was injected */
	NBL_FLAG_TAGGED		= 1u << 31,	/* filter engine: it has numbers of tags (tag.h) */
};

/* Whose bits of nbl_flags are whose (DM-15). nbl_flags_write() in info.h keeps them apart. */
#define NBL_FLAGS_OF_PACKETS	0x000000ffu
#define NBL_FLAGS_OF_PROTOCOL	0x00000700u
#define NBL_FLAGS_OF_MINIPORT	0x0000c000u
#define NBL_FLAGS_SCRATCH	0x00ff0000u	/* the current owner's */
#define NBL_FLAGS_OF_ENGINE	0xff003800u

/*
 * Out-of-band information, common to all NBs of an NBL (DM-08); info.h reads and
 * sets it. Unknown is 0, and 0 is what nbld leaves in the slots that Windows has
 * and Linux cannot fill. The frame type is a field of its own.
 */
enum nbl_info {
	NBL_INFO_CHECKSUM,		/* enum nbl_checksum; bits 0..3 ask the port (inject.h) */
	NBL_INFO_VLAN,			/* 802.1Q tag control information */
	NBL_INFO_HASH,
	NBL_INFO_TIMESTAMP,		/* nanoseconds */
	NBL_INFO_CANCEL_ID,		/* cancel.h */
	NBL_INFO_WFP,			/* the filter engine's, nobody else's (DM-10) */
	NBL_INFO_HASH_TYPE,		/* the kernel's enum xdp_rss_hash_type */
	NBL_INFO_METADATA,		/* the XDP program's own eight bytes (AR-07) */
	NBL_INFO_TX_REQUEST,		/* enum nbl_tx_request */
	NBL_INFO_PROTOCOL_ID,		/* of the pool it was allocated from (PL-06) */
	NBL_INFO_SEGMENTATION,		/* large send; never filled */
	NBL_INFO_MEDIA,			/* media specific; never filled */
	NBL_INFO_FILTERING,		/* never filled */
	NBL_N_INFO
};

/* NBL_INFO_CHECKSUM: what the device proved; 0 = nothing. */
enum nbl_checksum {
	NBL_CHECKSUM_IP_GOOD	= 1u << 4,
	NBL_CHECKSUM_L4_GOOD	= 1u << 5,
	NBL_CHECKSUM_IP_BAD	= 1u << 6,
	NBL_CHECKSUM_L4_BAD	= 1u << 7,
};

/* NBL_INFO_TX_REQUEST: what else the sender asks of the device, where it can. */
enum nbl_tx_request {
	NBL_TX_TIMESTAMP	= 1u << 0,
};

/* Which function made an NBL, and so which releases it. */
enum nbl_kind {
	NBL_KIND_RECEIVE,		/* bound to a receive frame; goes home to a fill ring */
	NBL_KIND_FRESH,			/* nbl_pool_alloc...(), nbl_alloc_copy(): nbl_free() */
	NBL_KIND_CLONE,			/* nbl_alloc_clone(): nbl_free_clone() */
	NBL_KIND_DEEP_CLONE,		/* nbl_alloc_deep_clone(): nbl_free_clone() */
	NBL_KIND_FRAGMENTS,		/* nbl_alloc_fragments(): nbl_free_fragments() */
	NBL_KIND_REASSEMBLED,		/* nbl_alloc_reassembled(): nbl_free_reassembled() */
};

/*
 * Where an NBL goes when its owner is done with it and nobody references it or
 * has a child of it (RF-04): the lane of its receive frame, or its pool. All
 * calls may come on any thread (DV-06).
 */
struct nbl_home {
	/* takes the NBL; its segment.frame is NBL_NO_FRAME if release_frame() had its frames */
	void (*release)(struct nbl_home *home, struct nbl *n);
	/*
	 * Optional: takes the frames of 'n' but not 'n', which is left without
	 * bytes, because only deep clones still need it (AMB-01). Without it the
	 * frames stay until release().
	 */
	void (*release_frame)(struct nbl_home *home, struct nbl *n);
	/*
	 * Optional: true if 'n' (borrows) waits to be sent, so that others read its bytes (RF-06).
	 */
	bool (*is_queued)(const struct nbl_home *home, const struct nbl *n);
	uint32_t memory;	/* which memory its frames lie in (PL-06); 0 = the only one */
};

/* The first 64 bytes are all that forwarding touches, beside the built-in NB. */
struct nbl {
	struct nbl *next;			/* Next: the chain, relinked by any owner (DM-01) */
	struct nbl_nb *first_nb;		/* FirstNetBuffer */
	struct nbl *parent;			/* ParentNetBufferList: its source (DM-05) */
	struct nbl_home *home;
	_Atomic uint32_t claims;		/* owner + references + children; engine bits */
	_Atomic uint32_t references;		/* by nbl_reference() (RF-01) */
	_Atomic uint32_t child_ref_count;	/* ChildRefCount: live NBLs whose parent this is */
	uint32_t nbl_flags;			/* NblFlags */
	uint32_t source_handle;			/* SourceHandle: who originated it (SH-01) */
	uint16_t frame_type_be;			/* NetBufferListFrameType, behind tags (DM-09) */
	uint8_t kind;				/* enum nbl_kind */
	uint8_t outcome;			/* enum nbl_outcome, counted when it comes home */
	uint16_t holder;			/* id of the module that has or had it last */
	uint16_t port;				/* number of the port to leave by, 0 = the default */
	int32_t status;				/* Status: enum nbl_status */

	/* the NB and segment every NBL comes with: one cache line */
	struct nbl_nb nb __attribute__((aligned(NBL_CACHE_LINE)));
	struct nbl_segment segment;

	/* cold */
	void *scratch;				/* the owner's; lost when it moves (DM-11) */
	void *context;				/* Context: NULL on a shallow clone (RF-10) */
	void *miniport_reserved[2];		/* the engine's on receive (DM-12) */
	void *protocol_reserved[4];		/* the originator's on send (DM-12) */
	uint64_t info[NBL_N_INFO];		/* NetBufferListInfo */
	uint8_t *context_area;			/* for nbl_context_push() */
	uint16_t context_size;
	uint16_t context_used;
	uint32_t pool_slot;			/* its pool's own index */
	_Atomic uint64_t reference_holders;	/* who references it (holding.h) */
	_Atomic uintptr_t intent_thread;	/* where writes were announced (RF-06) */
	uint8_t parent_claim;			/* the engine's: which claim of its parent it has */
	uint8_t clone_flags;			/* enum nbl_clone_flags (raw.h) */
	uint16_t went_past;			/* modules not to get it back, bit id-1 (HP-04) */
	bool is_out;				/* the engine's: not back at its originator yet */
	bool has_entered;			/* the engine's: counted in, and not yet out */
};

_Static_assert(sizeof(struct nbl_nb) + sizeof(struct nbl_segment) == NBL_CACHE_LINE,
	       "an NB and its segment fill one cache line");
_Static_assert(offsetof(struct nbl, nb) == NBL_CACHE_LINE, "the hot part fills one cache line");

/*
 * The first used byte of 'nb' (borrows): returns borrowed, while the window stays.
 * nbl_nb_segment_room() bytes from there are contiguous. DM-04.
 */
static inline uint8_t *nbl_nb_data(const struct nbl_nb *nb)
{
	return nb->current_segment->base + nb->current_offset;
}

/* Bytes from nbl_nb_data() of 'nb' (borrows) to the end of that segment, used or not. DM-04. */
static inline uint32_t nbl_nb_segment_room(const struct nbl_nb *nb)
{
	return nb->current_segment->length - nb->current_offset;
}

/* Used bytes of all NBs of 'n' (borrows). DM-03. */
static inline uint64_t nbl_size(const struct nbl *n)
{
	uint64_t size = 0;

	for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next)
		size += nb->data_length;
	return size;
}

#endif
