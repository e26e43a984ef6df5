/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * info.h - what is known about an NBL beside its bytes: information slots, flags, scratch.
 *
 * Always through these calls: they note that there is something to clear when
 * the NBL goes home, so that the next packet in the same descriptor starts with
 * zeros and forwarding pays nothing. All calls borrow; the owner's thread.
 */
#ifndef NBL_INFO_H
#define NBL_INFO_H

#include <nbl/nbl.h>

/* The value in 'slot', 0 if it is not known or no such slot exists. Rule: DM-08. */
static inline uint64_t nbl_info_get(const struct nbl *n, enum nbl_info slot)
{
	return (unsigned int)slot < NBL_N_INFO ? n->info[slot] : 0;
}

/*
 * Puts 'value' into 'slot'. -EINVAL for a slot that does not exist; -EPERM, counted as
 * a violation, for the filter engine's. Rules: DM-08, DM-10.
 */
NBL_API int nbl_info_set(struct nbl *n, enum nbl_info slot, uint64_t value);

/*
 * Copies what a filter that originates a packet in the place of another one takes
 * over: receive or send. Slots outside the list, the flags, lineage and
 * source_handle of 'to' stay as they are. Rule: DV-10. Restate
 * NdisCopyReceiveNetBufferListInfo and NdisCopySendNetBufferListInfo.
 *
 *   both       frame type, checksum, 802.1Q, hash and its type
 *   receive    time stamp, metadata, media specific, filtering
 *   send       segmentation, cancel id, protocol id, transmit request
 */
NBL_API void nbl_info_copy_receive(struct nbl *to, const struct nbl *from);
NBL_API void nbl_info_copy_send(struct nbl *to, const struct nbl *from);

/*
 * Sets the bits of nbl_flags in 'mask' to those of 'bits' and leaves the others.
 * -EPERM, counted as a violation, if 'mask' holds bits of the engine: nothing is
 * changed then. Rule: DM-15.
 */
NBL_API int nbl_flags_write(struct nbl *n, uint32_t mask, uint32_t bits);

/*
 * True if nobody but the caller, its owner, can see the bytes of 'n' and nobody
 * forbade to write them: then they may be changed in place. Rule: DM-14.
 */
NBL_API bool nbl_is_writable(const struct nbl *n);

/* A pointer for the owner's own use; NULL at first, and lost when 'n' moves on. Rule: DM-11. */
NBL_API void nbl_scratch_set(struct nbl *n, void *scratch);

/* That pointer, borrowed from whoever set it. Rule: DM-11. */
static inline void *nbl_scratch(const struct nbl *n)
{
	return n->scratch;
}

/* Which fields of struct nbl_metadata the XDP program filled. */
enum nbl_metadata_valid {
	NBL_METADATA_HASH	= 1u << 0,	/* and hash_type */
	NBL_METADATA_TIMESTAMP	= 1u << 1,
	NBL_METADATA_VLAN	= 1u << 2,
	NBL_METADATA_CHECKSUM	= 1u << 3,
	NBL_METADATA_COOKIE	= 1u << 4,
};

#define NBL_METADATA_MAGIC 0x6e626c6du	/* "nblm" */

/*
 * What an XDP program may leave right in front of a packet (bpf_xdp_adjust_meta),
 * in the processor's byte order: as large as every kernel allows.
 */
struct nbl_metadata {
	uint64_t timestamp;		/* nanoseconds */
	uint64_t cookie;		/* the program's own */
	uint32_t hash;
	uint16_t vlan_tci;
	uint8_t hash_type;
	uint8_t checksum;		/* enum nbl_checksum */
	uint32_t valid;			/* enum nbl_metadata_valid */
	uint32_t magic;			/* NBL_METADATA_MAGIC: the last thing before the packet */
};

_Static_assert(sizeof(struct nbl_metadata) == 32,
	       "XDP metadata is 32 bytes at most on older kernels");

/*
 * For the engine, before the first handler: moves what the XDP program left in
 * front of 'n', a packet just received, into the slots, since a retreat may
 * overwrite it there. True if there was something; it is taken out of the
 * headroom, so that the frame's next packet does not find it again. Rule: AR-07.
 */
NBL_API bool nbl_metadata_harvest(struct nbl *n);

#endif
