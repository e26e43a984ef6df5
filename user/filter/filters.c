// SPDX-License-Identifier: BSD-2-Clause
/* filters.c - sub-layers, filters and their conditions, as the control thread adds them. */
#include "filter/wfp_internal.h"

#include <stdlib.h>

/* ---- conditions ---- */

static bool is_address(uint8_t field)
{
	return field == NBL_FIELD_IP_SOURCE || field == NBL_FIELD_IP_DESTINATION ||
	       field == NBL_FIELD_IP_LOCAL || field == NBL_FIELD_IP_REMOTE;
}

int wfp_condition_check(const struct nbl_wfp_condition *c, const struct wfp_layer *layer)
{
	if (c->field >= NBL_N_FIELDS)
		return -EINVAL;
	if (!is_address(c->field)) {
		if (c->match == WFP_MATCH_PREFIX || c->match > WFP_MATCH_FLAGS_NONE_SET)
			return -EINVAL;
		return c->match == WFP_MATCH_RANGE && c->low > c->high ? -EINVAL : 0;
	}
	if (c->ip_version != 4 && c->ip_version != 6)
		return -EINVAL;
	if (layer->ip_version && layer->ip_version != c->ip_version)
		return -EINVAL;
	if (c->match == WFP_MATCH_PREFIX)
		return c->prefix_size > (c->ip_version == 4 ? 32 : 128) ? -EINVAL : 0;
	return c->match == WFP_MATCH_EQUAL ? 0 : -EINVAL;
}

/* What 'field' is called where source and destination are told apart. */
static enum nbl_field resolve(uint8_t field, uint8_t direction)
{
	bool inbound = direction == NBL_DIRECTION_INBOUND;

	switch (field) {
	case NBL_FIELD_MAC_LOCAL:
		return inbound ? NBL_FIELD_MAC_DESTINATION : NBL_FIELD_MAC_SOURCE;
	case NBL_FIELD_MAC_REMOTE:
		return inbound ? NBL_FIELD_MAC_SOURCE : NBL_FIELD_MAC_DESTINATION;
	case NBL_FIELD_IP_LOCAL:
		return inbound ? NBL_FIELD_IP_DESTINATION : NBL_FIELD_IP_SOURCE;
	case NBL_FIELD_IP_REMOTE:
		return inbound ? NBL_FIELD_IP_SOURCE : NBL_FIELD_IP_DESTINATION;
	case NBL_FIELD_PORT_LOCAL:
		return inbound ? NBL_FIELD_PORT_DESTINATION : NBL_FIELD_PORT_SOURCE;
	case NBL_FIELD_PORT_REMOTE:
		return inbound ? NBL_FIELD_PORT_SOURCE : NBL_FIELD_PORT_DESTINATION;
	default:
		return (enum nbl_field)field;
	}
}

static uint64_t mac_number(const uint8_t *mac)
{
	uint64_t v = 0;

	for (int i = 0; i < 6; i++)
		v = v << 8 | mac[i];
	return v;
}

static uint64_t number_of(const struct nbl_values *v, enum nbl_field field)
{
	switch (field) {
	case NBL_FIELD_MAC_SOURCE:
		return mac_number(v->mac_source);
	case NBL_FIELD_MAC_DESTINATION:
		return mac_number(v->mac_destination);
	case NBL_FIELD_ETHER_TYPE:
		return v->ether_type;
	case NBL_FIELD_VLAN_ID:
		return v->vlan_id;
	case NBL_FIELD_IP_VERSION:
		return v->ip_version;
	case NBL_FIELD_IP_PROTOCOL:
		return v->ip_protocol;
	case NBL_FIELD_IP_FRAGMENT:
		return v->ip_fragment;
	case NBL_FIELD_PORT_SOURCE:
		return v->port_source;
	case NBL_FIELD_PORT_DESTINATION:
		return v->port_destination;
	case NBL_FIELD_ICMP_TYPE:
		return v->icmp_type;
	case NBL_FIELD_ICMP_CODE:
		return v->icmp_code;
	case NBL_FIELD_TCP_FLAGS:
		return v->tcp_flags;
	case NBL_FIELD_DIRECTION:
		return v->direction;
	case NBL_FIELD_INTERFACE:
		return v->interface;
	case NBL_FIELD_QUEUE:
		return v->queue;
	default:
		return v->port;
	}
}

static bool number_matches(const struct nbl_wfp_condition *c, uint64_t n)
{
	switch (c->match) {
	case WFP_MATCH_EQUAL:
		return n == c->low;
	case WFP_MATCH_RANGE:
		return n >= c->low && n <= c->high;
	case WFP_MATCH_FLAGS_ALL_SET:
		return (n & c->low) == c->low;
	case WFP_MATCH_FLAGS_ANY_SET:
		return n & c->low;
	default:
		return !(n & c->low);
	}
}

static bool prefix_is_same(const uint8_t *a, const uint8_t *b, uint32_t bits)
{
	uint8_t mask = (uint8_t)(0xff00 >> bits % 8);

	if (memcmp(a, b, bits / 8))
		return false;
	return !(bits % 8) || !((a[bits / 8] ^ b[bits / 8]) & mask);
}

static bool address_matches(const struct nbl_wfp_condition *c, const struct nbl_values *v,
			    enum nbl_field field)
{
	uint32_t bits = c->match == WFP_MATCH_PREFIX ? c->prefix_size
			: c->ip_version == 4	     ? 32
						     : 128;

	return v->ip_version == c->ip_version &&
	       prefix_is_same(field == NBL_FIELD_IP_SOURCE ? v->ip_source : v->ip_destination,
			      c->address, bits);
}

static bool condition_matches(const struct nbl_wfp_condition *c, const struct nbl_values *v)
{
	enum nbl_field field = resolve(c->field, v->direction);

	if (!(v->present & NBL_FIELD_BIT(field)))
		return false;
	return is_address(c->field) ? address_matches(c, v, field)
				    : number_matches(c, number_of(v, field));
}

bool wfp_conditions_match(const struct nbl_wfp_condition *c, uint32_t n, const struct nbl_values *v)
{
	uint32_t i = 0;

	while (i < n) {
		uint8_t field = c[i].field;
		bool any = false;

		for (; i < n && c[i].field == field; i++)
			any = any || condition_matches(&c[i], v);
		if (!any)
			return false;
	}
	return true;
}

/* ---- sub-layers ---- */

static struct wfp_sublayer *sublayer_find(const struct nbl_wfp *wfp, uint16_t id)
{
	struct wfp_sublayer *s = wfp->sublayers;

	while (s && s->id != id)
		s = s->next;
	return s;
}

int nbl_wfp_sublayer_add(struct nbl_wfp *wfp, uint16_t id, uint16_t weight)
{
	struct wfp_sublayer *s;

	if (sublayer_find(wfp, id))
		return -EEXIST;
	s = malloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	*s = (struct wfp_sublayer){ .next = wfp->sublayers, .id = id, .weight = weight };
	wfp->sublayers = s;
	return 0;
}

int nbl_wfp_sublayer_delete(struct nbl_wfp *wfp, uint16_t id)
{
	struct wfp_sublayer **at = &wfp->sublayers, *s;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	s = *at;
	if (!s)
		return -ENOENT;
	if (s->n_filters || !id)
		return -EBUSY;
	*at = s->next;
	free(s);
	return 0;
}

/* ---- filters ---- */

static bool has_callout(enum nbl_wfp_action action)
{
	return action >= WFP_ACTION_CALLOUT_TERMINATING;
}

static int spec_check(const struct nbl_wfp *wfp, const struct nbl_wfp_filter_spec *spec)
{
	const struct wfp_callout *callout;

	if (spec->layer >= NBL_N_LAYERS)
		return -EOPNOTSUPP;
	if (spec->action > WFP_ACTION_CALLOUT_UNKNOWN || spec->n_conditions > WFP_MAX_CONDITIONS ||
	    spec->flags & ~(NBL_WFP_CLEAR_ACTION_RIGHT | NBL_WFP_PERMIT_IF_UNREGISTERED))
		return -EINVAL;
	for (uint32_t i = 0; i < spec->n_conditions; i++) {
		if (wfp_condition_check(&spec->conditions[i], &wfp_layers[spec->layer]) < 0)
			return -EINVAL;
	}
	if (!sublayer_find(wfp, spec->sublayer))
		return -ENOENT;
	if (!has_callout(spec->action))
		return spec->callout ? -EINVAL : 0;
	if (!spec->callout)
		return -EINVAL;
	callout = wfp_callout_find(wfp, spec->callout);
	if (callout && !(callout->is.layers & NBL_LAYER_BIT(spec->layer)))
		return -EOPNOTSUPP;
	return 0;
}

static int by_field(const void *a, const void *b)
{
	return ((const struct nbl_wfp_condition *)a)->field -
	       ((const struct nbl_wfp_condition *)b)->field;
}

int nbl_wfp_filter_add(struct nbl_wfp *wfp, const struct nbl_wfp_filter_spec *spec,
		       uint64_t *ret_id)
{
	struct wfp_filter *f;
	int r;

	r = spec_check(wfp, spec);
	if (r < 0)
		return r;
	f = calloc(1, sizeof(*f) + wfp->params.n_slots * sizeof(f->counts[0]));
	if (!f)
		return -ENOMEM;
	f->info = (struct nbl_wfp_filter){
		.id = wfp->next_filter++,
		.context = spec->context,
		.weight = spec->weight,
		.sublayer = spec->sublayer,
		.flags = spec->flags,
	};
	f->layer = spec->layer;
	f->action = spec->action;
	f->callout = spec->callout;
	f->added = true;
	f->n_conditions = spec->n_conditions;
	if (spec->n_conditions)
		memcpy(f->conditions, spec->conditions,
		       spec->n_conditions * sizeof(f->conditions[0]));
	qsort(f->conditions, f->n_conditions, sizeof(f->conditions[0]), by_field);
	f->sublayer = sublayer_find(wfp, spec->sublayer);
	f->sublayer->n_filters++;
	f->next = wfp->filters;
	wfp->filters = f;
	*ret_id = f->info.id;
	return 0;
}

static struct wfp_filter *filter_find(const struct nbl_wfp *wfp, uint64_t id)
{
	struct wfp_filter *f = wfp->filters;

	while (f && (f->info.id != id || f->deleted))
		f = f->next;
	return f;
}

int nbl_wfp_filter_delete(struct nbl_wfp *wfp, uint64_t id)
{
	struct wfp_filter *f = filter_find(wfp, id);

	if (!f)
		return -ENOENT;
	f->deleted = true;
	f->sublayer->n_filters--;
	return 0;
}

int nbl_wfp_get_filter_counts(const struct nbl_wfp *wfp, uint64_t id,
			      struct nbl_wfp_filter_counts *ret)
{
	const struct wfp_filter *f = filter_find(wfp, id);

	if (!f)
		return -ENOENT;
	memset(ret, 0, sizeof(*ret));
	for (uint32_t i = 0; i < wfp->params.n_slots; i++) {
		ret->matched += wfp_read(&f->counts[i].matched);
		ret->permitted += wfp_read(&f->counts[i].permitted);
		ret->blocked += wfp_read(&f->counts[i].blocked);
		ret->absorbed += wfp_read(&f->counts[i].absorbed);
	}
	return 0;
}
