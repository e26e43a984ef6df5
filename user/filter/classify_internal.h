/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * classify_internal.h - packets taken together, and what is asked about them.
 *
 *   classify.c          the packets of a chain, block by block, through their layers
 *   classify_filter.c   one filter at one layer, for all packets of a block
 */
#ifndef FILTER_CLASSIFY_INTERNAL_H
#define FILTER_CLASSIFY_INTERNAL_H

#include "filter/wfp_internal.h"

/* What becomes of a packet. */
enum fate {
	FATE_PASSED,
	FATE_DROPPED,
	FATE_ABSORBED,
};

/* One packet of a block. */
struct shown {
	struct nbl *n;
	struct wfp_packet packet;
	struct wfp_flow *flow;
	struct nbl_nb before;		/* its first NB, where the layer found it */
	uint64_t others;		/* a sum over the windows of its other NBs, as shown */
	uint32_t offset;		/* used data was moved by this */
	struct wfp_verdict verdict;
	uint8_t fate;
	bool visible;			/* at this layer */
	bool moved;			/* its window is where this layer shows it */
	bool beside;			/* the gate stopped it: not parsed, nobody sees it */
};

/* Some packets of a chain, and the layer they are at. */
struct block {
	struct nbl_wfp *wfp;
	const struct wfp_snapshot *snapshot;
	const struct wfp_gate *gate;	/* NULL: all get through */
	const struct nbl_wfp_env *env;
	struct wfp_counts *counts;
	enum nbl_layer layer;
	uint32_t n, n_beside;
	struct shown packets[WFP_BURST];
};

/* Moves the window to where the layer shows it. False if not all of its NBs are that long. */
bool wfp_window_move(struct shown *s);

/* Puts 'e' (borrows) to all packets of 'b' that are visible and undecided. */
void wfp_block_evaluate(struct block *b, const struct wfp_entry *e);

#endif
