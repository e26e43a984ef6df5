/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * originated_internal.h - what is noted of NBLs that are being sent: originated.c has it noted,
 * originated_notes.c keeps it, originated_audit.c reads it.
 */
#ifndef STACK_ORIGINATED_INTERNAL_H
#define STACK_ORIGINATED_INTERNAL_H

#include "stack/lane.h"
#include "stack/ports.h"

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
	uint32_t send;	/* UINT32_MAX: the frame was sent by itself, nbl_sends_note_plain() */
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

/* ---- lane thread ---- */

/* Begins a send of 'n' (borrows until it ends; NULL: it was borrowed) on 'side': its number. */
uint32_t nbl_sends_open(struct nbl_lane_sends *s, struct nbl *n, enum nbl_side side);

/*
 * Notes an entry of 'frame' for that send. Returns borrowed, until it completes, for the caller
 * to fill in. The caller has seen to it that there is a free one.
 */
struct entry *nbl_sends_note(struct nbl_lane_sends *s, uint32_t send, uint32_t frame);

/*
 * If received frame 'frame' is being sent by itself (transmit.c): it is about to be sent for
 * others, too, and from now on it matters of which of them a completion is.
 */
void nbl_sends_note_plain(struct nbl_lane *lane, uint32_t frame);

/* A send on 'port' (0: none), counted when it was taken, is over. */
static inline void nbl_sends_end_on_port(struct nbl_lane *lane, uint32_t port)
{
	if (port)
		nbl_ports_note_completed(lane->ports, port);
}

#endif
