// SPDX-License-Identifier: BSD-2-Clause
/* layer.c - the table of layers and the order packets meet them in. */
#include "filter/layer.h"

#define IN NBL_DIRECTION_INBOUND
#define OUT NBL_DIRECTION_OUTBOUND
#define FORWARD NBL_DIRECTION_FORWARD
#define END NBL_N_LAYERS

#define MAC .mac = true
#define PACKET .mac = false
#define TRANSPORT .transport = true
#define DATAGRAM .transport = true, .datagram = true

const struct wfp_layer wfp_layers[NBL_N_LAYERS] = {
	[NBL_LAYER_INBOUND_MAC_FRAME_NATIVE] = { "inbound-mac-native", IN, 0, WFP_AT_MAC, MAC },
	[NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET] = { "inbound-mac", IN, 0, WFP_BEHIND_MAC, MAC },
	[NBL_LAYER_INBOUND_IPPACKET_V4] = { "inbound-ip4", IN, 4, WFP_AT_TRANSPORT, PACKET },
	[NBL_LAYER_INBOUND_IPPACKET_V6] = { "inbound-ip6", IN, 6, WFP_AT_TRANSPORT, PACKET },
	[NBL_LAYER_INBOUND_TRANSPORT_V4] = {
		"inbound-transport4", IN, 4, WFP_AT_PAYLOAD, TRANSPORT },
	[NBL_LAYER_INBOUND_TRANSPORT_V6] = {
		"inbound-transport6", IN, 6, WFP_AT_PAYLOAD, TRANSPORT },
	[NBL_LAYER_DATAGRAM_DATA_V4] = { "datagram4", IN, 4, WFP_AT_PAYLOAD, DATAGRAM },
	[NBL_LAYER_DATAGRAM_DATA_V6] = { "datagram6", IN, 6, WFP_AT_PAYLOAD, DATAGRAM },
	[NBL_LAYER_OUTBOUND_TRANSPORT_V4] = {
		"outbound-transport4", OUT, 4, WFP_AT_TRANSPORT, TRANSPORT },
	[NBL_LAYER_OUTBOUND_TRANSPORT_V6] = {
		"outbound-transport6", OUT, 6, WFP_AT_TRANSPORT, TRANSPORT },
	[NBL_LAYER_OUTBOUND_IPPACKET_V4] = { "outbound-ip4", OUT, 4, WFP_AT_IP, PACKET },
	[NBL_LAYER_OUTBOUND_IPPACKET_V6] = { "outbound-ip6", OUT, 6, WFP_AT_IP, PACKET },
	[NBL_LAYER_IPFORWARD_V4] = { "forward4", FORWARD, 4, WFP_AT_IP, PACKET },
	[NBL_LAYER_IPFORWARD_V6] = { "forward6", FORWARD, 6, WFP_AT_IP, PACKET },
	[NBL_LAYER_OUTBOUND_MAC_FRAME_ETHERNET] = { "outbound-mac", OUT, 0, WFP_AT_MAC, MAC },
	[NBL_LAYER_OUTBOUND_MAC_FRAME_NATIVE] = { "outbound-mac-native", OUT, 0, WFP_AT_MAC, MAC },
};

const uint8_t wfp_ways[WFP_N_WAYS][NBL_N_LAYERS + 1] = {
	[WFP_WAY_RECEIVE] = {
		NBL_LAYER_INBOUND_MAC_FRAME_NATIVE, NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET,
		NBL_LAYER_INBOUND_IPPACKET_V4, NBL_LAYER_INBOUND_IPPACKET_V6,
		NBL_LAYER_INBOUND_TRANSPORT_V4, NBL_LAYER_INBOUND_TRANSPORT_V6,
		NBL_LAYER_DATAGRAM_DATA_V4, NBL_LAYER_DATAGRAM_DATA_V6, END,
	},
	[WFP_WAY_SEND] = {
		NBL_LAYER_DATAGRAM_DATA_V4, NBL_LAYER_DATAGRAM_DATA_V6,
		NBL_LAYER_OUTBOUND_TRANSPORT_V4, NBL_LAYER_OUTBOUND_TRANSPORT_V6,
		NBL_LAYER_OUTBOUND_IPPACKET_V4, NBL_LAYER_OUTBOUND_IPPACKET_V6,
		NBL_LAYER_OUTBOUND_MAC_FRAME_ETHERNET, NBL_LAYER_OUTBOUND_MAC_FRAME_NATIVE, END,
	},
	[WFP_WAY_FORWARD] = {
		NBL_LAYER_INBOUND_MAC_FRAME_NATIVE, NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET,
		NBL_LAYER_INBOUND_IPPACKET_V4, NBL_LAYER_INBOUND_IPPACKET_V6,
		NBL_LAYER_IPFORWARD_V4, NBL_LAYER_IPFORWARD_V6,
		NBL_LAYER_OUTBOUND_IPPACKET_V4, NBL_LAYER_OUTBOUND_IPPACKET_V6,
		NBL_LAYER_OUTBOUND_MAC_FRAME_ETHERNET, NBL_LAYER_OUTBOUND_MAC_FRAME_NATIVE, END,
	},
};

const uint8_t *wfp_injected_way(enum nbl_inject_path path)
{
	static const uint8_t none[] = { END };

	switch (path) {
	case NBL_PATH_MAC_RECEIVE:
		return wfp_ways[WFP_WAY_RECEIVE];
	case NBL_PATH_NETWORK_RECEIVE:
		return wfp_ways[WFP_WAY_RECEIVE] + 2;
	case NBL_PATH_TRANSPORT_RECEIVE:
		return wfp_ways[WFP_WAY_RECEIVE] + 4;
	case NBL_PATH_MAC_SEND:
		return wfp_ways[WFP_WAY_SEND] + 6;
	case NBL_PATH_NETWORK_SEND:
		return wfp_ways[WFP_WAY_SEND] + 4;
	case NBL_PATH_TRANSPORT_SEND:
		return wfp_ways[WFP_WAY_SEND];
	default:		/* forwarded: not classified again (AMB-06) */
		return none;
	}
}

static uint32_t layers_of_path(enum nbl_inject_path path)
{
#define BIT(layer) NBL_LAYER_BIT(NBL_LAYER_##layer)
	switch (path) {
	case NBL_PATH_MAC_SEND:
		return BIT(OUTBOUND_MAC_FRAME_ETHERNET) | BIT(OUTBOUND_MAC_FRAME_NATIVE);
	case NBL_PATH_MAC_RECEIVE:
		return BIT(INBOUND_MAC_FRAME_ETHERNET) | BIT(INBOUND_MAC_FRAME_NATIVE);
	case NBL_PATH_NETWORK_SEND:
		return BIT(OUTBOUND_IPPACKET_V4) | BIT(OUTBOUND_IPPACKET_V6);
	case NBL_PATH_NETWORK_RECEIVE:
		return BIT(INBOUND_IPPACKET_V4) | BIT(INBOUND_IPPACKET_V6);
	case NBL_PATH_FORWARD:
		return BIT(IPFORWARD_V4) | BIT(IPFORWARD_V6);
	case NBL_PATH_TRANSPORT_SEND:
		return BIT(OUTBOUND_TRANSPORT_V4) | BIT(OUTBOUND_TRANSPORT_V6) |
		       BIT(DATAGRAM_DATA_V4) | BIT(DATAGRAM_DATA_V6);
	case NBL_PATH_TRANSPORT_RECEIVE:
		return BIT(INBOUND_TRANSPORT_V4) | BIT(INBOUND_TRANSPORT_V6) |
		       BIT(DATAGRAM_DATA_V4) | BIT(DATAGRAM_DATA_V6);
	default:
		return 0;
	}
#undef BIT
}

uint32_t wfp_injected_layers(enum nbl_inject_path path, uint8_t ip_version)
{
	uint32_t layers = layers_of_path(path);

	for (int i = 0; i < NBL_N_LAYERS; i++) {
		if (wfp_layers[i].ip_version && wfp_layers[i].ip_version != ip_version)
			layers &= ~NBL_LAYER_BIT(i);
	}
	return layers;
}

static bool is_in_sight(const struct wfp_layer *layer, const struct wfp_packet *p)
{
	if (layer->position == WFP_AT_MAC)
		return true;
	if (layer->position == WFP_BEHIND_MAC)
		return p->mac_size;
	if (!p->ip_size || p->values.ip_version != layer->ip_version)
		return false;
	if (layer->transport && !p->transport)
		return false;
	return !layer->datagram || p->values.ip_protocol != WFP_TCP;
}

bool wfp_layer_shows(const struct wfp_layer *layer, enum nbl_direction direction,
		     const struct wfp_packet *p, uint32_t *ret_offset)
{
	uint32_t position = layer->position;

	if (!is_in_sight(layer, p))
		return false;
	if (layer->datagram && direction != NBL_DIRECTION_INBOUND)
		position = WFP_AT_TRANSPORT;
	*ret_offset = 0;
	if (position >= WFP_BEHIND_MAC)
		*ret_offset += p->mac_size;
	if (position >= WFP_AT_TRANSPORT)
		*ret_offset += p->ip_size;
	if (position >= WFP_AT_PAYLOAD)
		*ret_offset += p->transport_size;
	return true;
}
