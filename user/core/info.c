// SPDX-License-Identifier: BSD-2-Clause
/* info.c - information slots, flags and scratch of an NBL. */
#include <nbl/info.h>

#include <errno.h>
#include <string.h>

#include "core/nbl_internal.h"

#define SLOT(name) (1u << NBL_INFO_##name)

/* What both directions copy, then what each adds (DV-10). */
#define COPIED_BOTH (SLOT(CHECKSUM) | SLOT(VLAN) | SLOT(HASH) | SLOT(HASH_TYPE))
#define COPIED_RECEIVE \
	(COPIED_BOTH | SLOT(TIMESTAMP) | SLOT(METADATA) | SLOT(MEDIA) | SLOT(FILTERING))
#define COPIED_SEND \
	(COPIED_BOTH | SLOT(SEGMENTATION) | SLOT(CANCEL_ID) | SLOT(PROTOCOL_ID) | SLOT(TX_REQUEST))

/* What describes the bytes, wherever they go. */
#define INHERITED COPIED_RECEIVE

/* What may be known of a packet that came; the other bits ask for something to be done to it. */
#define CHECKSUM_PROVED \
	((uint32_t)(NBL_CHECKSUM_IP_GOOD | NBL_CHECKSUM_L4_GOOD | NBL_CHECKSUM_IP_BAD | \
		    NBL_CHECKSUM_L4_BAD))

static const struct nbl_lineage_ops *_Atomic lineage_ops;

static void mark(struct nbl *n, uint32_t flag)
{
	/* others that hold it may set flags at this moment; most often it is set already */
	if (!(__atomic_load_n(&n->nbl_flags, __ATOMIC_RELAXED) & flag))
		__atomic_fetch_or(&n->nbl_flags, flag, __ATOMIC_RELAXED);
}

static void set(struct nbl *n, enum nbl_info slot, uint64_t value)
{
	n->info[slot] = value;
	mark(n, NBL_FLAG_HAS_INFO);
}

int nbl_info_set(struct nbl *n, enum nbl_info slot, uint64_t value)
{
	if ((unsigned int)slot >= NBL_N_INFO)
		return -EINVAL;
	if (slot == NBL_INFO_WFP) {
		nbl_violation("DM-10: the filter engine's slot set by another", n->holder);
		return -EPERM;
	}
	set(n, slot, value);
	return 0;
}

void nbl_info_set_lineage(struct nbl *n, uint64_t record)
{
	set(n, NBL_INFO_WFP, record);
}

void nbl_set_lineage_ops(const struct nbl_lineage_ops *ops)
{
	atomic_store(&lineage_ops, ops);
}

static void copy_slots(struct nbl *to, const struct nbl *from, uint32_t slots)
{
	for (int i = 0; i < NBL_N_INFO; i++)
		if (slots & 1u << i)
			to->info[i] = from->info[i];
}

void nbl_info_copy_receive(struct nbl *to, const struct nbl *from)
{
	to->frame_type_be = from->frame_type_be;
	copy_slots(to, from, COPIED_RECEIVE);
	mark(to, NBL_FLAG_HAS_INFO);
}

void nbl_info_copy_send(struct nbl *to, const struct nbl *from)
{
	to->frame_type_be = from->frame_type_be;
	copy_slots(to, from, COPIED_SEND);
	mark(to, NBL_FLAG_HAS_INFO);
}

void nbl_info_inherit(struct nbl *to, const struct nbl *from)
{
	copy_slots(to, from, INHERITED);
}

void nbl_info_inherit_lineage(struct nbl *to, const struct nbl *from)
{
	const struct nbl_lineage_ops *ops = atomic_load_explicit(&lineage_ops,
								 memory_order_acquire);

	if (from->info[NBL_INFO_WFP] && ops)
		to->info[NBL_INFO_WFP] = ops->inherit(from->info[NBL_INFO_WFP], from, to);
}

void nbl_info_drop_lineage(struct nbl *n)
{
	const struct nbl_lineage_ops *ops = atomic_load_explicit(&lineage_ops,
								 memory_order_acquire);
	uint64_t record = n->info[NBL_INFO_WFP];

	n->info[NBL_INFO_WFP] = 0;
	if (record && ops)
		ops->drop(record, n);
}

void nbl_info_clear(struct nbl *n)
{
	nbl_info_drop_lineage(n);
	memset(n->info, 0, sizeof(n->info));
	n->scratch = NULL;
}

int nbl_flags_write(struct nbl *n, uint32_t mask, uint32_t bits)
{
	uint32_t flags = __atomic_load_n(&n->nbl_flags, __ATOMIC_RELAXED);

	if (mask & NBL_FLAGS_OF_ENGINE) {
		nbl_violation("DM-15: the engine's flags written by another", n->holder);
		return -EPERM;
	}
	while (!__atomic_compare_exchange_n(&n->nbl_flags, &flags, (flags & ~mask) | (bits & mask),
					    true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	return 0;
}

bool nbl_is_writable(const struct nbl *n)
{
	uint32_t flags = __atomic_load_n(&n->nbl_flags, __ATOMIC_RELAXED);

	/* a shallow clone's bytes are its parent's, too */
	return atomic_load_explicit(&n->claims, memory_order_acquire) == 1 &&
	       !(flags & (NBL_FLAG_SEND_READ_ONLY | NBL_FLAG_RECEIVE_READ_ONLY)) &&
	       (n->kind == NBL_KIND_RECEIVE || n->kind == NBL_KIND_FRESH ||
		n->kind == NBL_KIND_DEEP_CLONE);
}

void nbl_scratch_set(struct nbl *n, void *scratch)
{
	n->scratch = scratch;
	mark(n, NBL_FLAG_HAS_INFO);
}

bool nbl_metadata_harvest(struct nbl *n)
{
	static const uint32_t none;
	struct nbl_metadata m;
	uint8_t *at;

	if (n->nb.current_offset < sizeof(m))
		return false;
	at = nbl_nb_data(&n->nb) - sizeof(m);
	memcpy(&m, at, sizeof(m));
	if (m.magic != NBL_METADATA_MAGIC)
		return false;
	memcpy(at + offsetof(struct nbl_metadata, magic), &none, sizeof(none));
	if (m.valid & NBL_METADATA_HASH) {
		n->info[NBL_INFO_HASH] = m.hash;
		n->info[NBL_INFO_HASH_TYPE] = m.hash_type;
	}
	if (m.valid & NBL_METADATA_TIMESTAMP)
		n->info[NBL_INFO_TIMESTAMP] = m.timestamp;
	if (m.valid & NBL_METADATA_VLAN)
		n->info[NBL_INFO_VLAN] = m.vlan_tci;
	if (m.valid & NBL_METADATA_CHECKSUM)
		n->info[NBL_INFO_CHECKSUM] = m.checksum & CHECKSUM_PROVED;
	if (m.valid & NBL_METADATA_COOKIE)
		n->info[NBL_INFO_METADATA] = m.cookie;
	/* nobody else has it yet */
	n->nbl_flags |= NBL_FLAG_HAS_INFO;
	return true;
}
