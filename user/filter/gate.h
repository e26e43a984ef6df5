/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gate.h - which packets no filter of a way can match, told by their EtherType alone.
 *
 * Most filters name one protocol, and most packets are of another. What cannot get
 * through the gate is neither parsed nor shown to anybody.
 */
#ifndef FILTER_GATE_H
#define FILTER_GATE_H

#include <nbl/chain.h>

#include "filter/layer.h"

#define WFP_GATE_RANGES 6

struct wfp_filter;

struct wfp_gate {
	/* only EtherTypes in 'ranges' can match; else any packet may */
	bool narrow;
	uint8_t n_ranges;
	/* with filters: they see every frame that has an EtherType */
	uint8_t n_mac_layers;
	struct { uint16_t low, high; } ranges[WFP_GATE_RANGES];
};

/* A gate nothing gets through: where no filter is. */
#define WFP_GATE_SHUT ((struct wfp_gate){ .narrow = true })

/* Widens 'g' to what 'f' (borrows) can match at its layer. */
void wfp_gate_admit(struct wfp_gate *g, const struct wfp_filter *f);

/* True if no filter can match 'n' (borrows); false also where that takes a closer look. */
bool wfp_gate_stops(const struct wfp_gate *g, const struct nbl *n);

/* True if that is so for all of 'chain' (borrows). */
bool wfp_gate_stops_all(const struct wfp_gate *g, const struct nbl_chain *chain);

#endif
