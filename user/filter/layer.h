/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * layer.h - what sets the layers apart: direction, family, where used data begins.
 */
#ifndef FILTER_LAYER_H
#define FILTER_LAYER_H

#include <nbl/inject.h>

#include "filter/parse.h"

/* Where a layer shows a packet from (CL-15). */
enum wfp_position {
	WFP_AT_MAC,
	WFP_BEHIND_MAC,			/* what follows the MAC header, IP or not */
	WFP_AT_IP,
	WFP_AT_TRANSPORT,
	WFP_AT_PAYLOAD,
};

struct wfp_layer {
	const char *name;
	uint8_t direction;	/* enum nbl_direction; of a datagram layer: the way decides */
	uint8_t ip_version;		/* 0 = any packet */
	uint8_t position;		/* enum wfp_position */
	bool mac;
	bool transport;			/* shows packets with a transport layer only */
	bool datagram;			/* not TCP, both directions */
};

/* The layers in the order a packet meets them, ended by NBL_N_LAYERS. */
enum wfp_way {
	WFP_WAY_RECEIVE,
	WFP_WAY_SEND,
	WFP_WAY_FORWARD,
	WFP_N_WAYS
};

extern const struct wfp_layer wfp_layers[NBL_N_LAYERS];
extern const uint8_t wfp_ways[WFP_N_WAYS][NBL_N_LAYERS + 1];

/*
 * The layers an injected packet meets, as a part of a way. Returns
 * borrowed, for ever: ended by NBL_N_LAYERS.
 */
const uint8_t *wfp_injected_way(enum nbl_inject_path path);

/* NBL_LAYER_BITs of the layers a path injects to (IN-11), those of the other family left out. */
uint32_t wfp_injected_layers(enum nbl_inject_path path, uint8_t ip_version);

/*
 * True if 'layer' shows 'p'; fills ret_offset with how far
 * into the frame used data begins there then.
 */
bool wfp_layer_shows(const struct wfp_layer *layer, enum nbl_direction direction,
		     const struct wfp_packet *p, uint32_t *ret_offset);

#endif
