// SPDX-License-Identifier: BSD-2-Clause
/* gate.c - which packets no filter can match, told by their EtherType alone. */
#include "filter/gate.h"

#include "filter/wfp_internal.h"

#define IPV4 0x0800
#define IPV6 0x86dd

static void admit(struct wfp_gate *g, uint64_t low, uint64_t high)
{
	if (low > UINT16_MAX)
		return;
	if (g->n_ranges == WFP_GATE_RANGES) {
		g->narrow = false;
		return;
	}
	g->ranges[g->n_ranges].low = (uint16_t)low;
	g->ranges[g->n_ranges++].high = high > UINT16_MAX ? UINT16_MAX : (uint16_t)high;
}

/* Only packets of IP have it. */
static bool is_of_ip(uint8_t field)
{
	switch (field) {
	case NBL_FIELD_IP_VERSION:
	case NBL_FIELD_IP_SOURCE:
	case NBL_FIELD_IP_DESTINATION:
	case NBL_FIELD_IP_LOCAL:
	case NBL_FIELD_IP_REMOTE:
	case NBL_FIELD_IP_PROTOCOL:
	case NBL_FIELD_IP_FRAGMENT:
	case NBL_FIELD_PORT_SOURCE:
	case NBL_FIELD_PORT_DESTINATION:
	case NBL_FIELD_PORT_LOCAL:
	case NBL_FIELD_PORT_REMOTE:
	case NBL_FIELD_ICMP_TYPE:
	case NBL_FIELD_ICMP_CODE:
	case NBL_FIELD_TCP_FLAGS:
		return true;
	default:
		return false;
	}
}

/* Widens 'g' by the conditions on EtherType, of which one must hold. False if there are none. */
static bool admit_types(struct wfp_gate *g, const struct wfp_filter *f)
{
	bool any = false;

	for (uint32_t i = 0; i < f->n_conditions; i++) {
		const struct nbl_wfp_condition *c = &f->conditions[i];

		if (c->field != NBL_FIELD_ETHER_TYPE)
			continue;
		any = true;
		if (c->match == WFP_MATCH_EQUAL)
			admit(g, c->low, c->low);
		else if (c->match == WFP_MATCH_RANGE)
			admit(g, c->low, c->high);
		else
			g->narrow = false;
	}
	return any;
}

void wfp_gate_admit(struct wfp_gate *g, const struct wfp_filter *f)
{
	uint8_t version = wfp_layers[f->layer].ip_version;

	if (version) {
		admit(g, version == 4 ? IPV4 : IPV6, version == 4 ? IPV4 : IPV6);
		return;
	}
	if (admit_types(g, f))
		return;
	for (uint32_t i = 0; i < f->n_conditions; i++) {
		if (is_of_ip(f->conditions[i].field)) {
			admit(g, IPV4, IPV4);
			admit(g, IPV6, IPV6);
			return;
		}
	}
	g->narrow = false;
}

/* The EtherType behind VLAN tags, if there is no doubt about it; else 0. */
static uint16_t type_of(const struct nbl *n)
{
	const struct nbl_nb *nb = n->first_nb;
	const uint8_t *p;
	uint32_t room, at = 12;
	uint16_t type;

	if (NBL_UNLIKELY(!nb || nb->next || !nb->current_segment))
		return 0;
	room = nbl_nb_segment_room(nb);
	if (room > nb->data_length)
		room = nb->data_length;
	p = nbl_nb_data(nb);
	for (;;) {
		if (NBL_UNLIKELY(at + 2 > room || at > 12 + 4 * WFP_MAX_TAGS))
			return 0;
		type = (uint16_t)(p[at] << 8 | p[at + 1]);
		if (NBL_LIKELY(type != 0x8100 && type != 0x88a8 && type != 0x9100))
			return type < 0x600 ? 0 : type;
		at += 4;
	}
}

bool wfp_gate_stops(const struct wfp_gate *g, const struct nbl *n)
{
	uint16_t type = type_of(n);

	for (uint32_t i = 0; i < g->n_ranges; i++) {
		if (type >= g->ranges[i].low && type <= g->ranges[i].high)
			return false;
	}
	return type;
}

bool wfp_gate_stops_all(const struct wfp_gate *g, const struct nbl_chain *chain)
{
	/* the bytes of a packet just received are in no cache: all of them are asked for at once */
	for (const struct nbl *n = chain->head; n; n = n->next) {
		if (n->first_nb && n->first_nb->current_segment)
			__builtin_prefetch(nbl_nb_data(n->first_nb) + 12);
	}
	for (const struct nbl *n = chain->head; n; n = n->next) {
		if (!wfp_gate_stops(g, n))
			return false;
	}
	return true;
}
