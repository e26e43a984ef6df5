/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * originated_internal.h - what is noted of NBLs that are being sent: originated.c writes it,
 * originated_audit.c reads it.
 */
#ifndef STACK_ORIGINATED_INTERNAL_H
#define STACK_ORIGINATED_INTERNAL_H

#include "stack/lane.h"

/* One NBL with the kernel. */
struct send {
	struct nbl *nbl;		/* NULL: it was borrowed, and is its originator's again */
	uint32_t n_open;		/* entries not yet completed */
	uint32_t next_free;
	uint16_t port;			/* that it was sent on; 0 = none in particular */
	uint8_t side;
	bool failed;
};

/* One ring entry of it. */
struct entry {
	uint32_t send;	/* UINT32_MAX: the frame was sent by itself, see note_plain() */
	uint32_t frame;
	uint32_t next;			/* of the same frame, or free */
	uint32_t length;
	uint32_t slot;			/* of the TX ring */
	uint16_t queue;			/* its number */
	bool is_copy;			/* the frame is ours: it goes back to the pool */
	bool ends_packet;
};

struct nbl_lane_sends {
	struct send *sends;
	struct entry *entries;
	uint32_t *first;		/* by frame: its entry, plus one; 0 = none */
	uint32_t free_send, free_entry;
	uint32_t n_entries, n_free;
	uint32_t n_open;		/* sends */
	uint32_t n_waiting;		/* NBLs, for room on any queue */
};

#endif
