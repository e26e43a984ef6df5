// SPDX-License-Identifier: BSD-2-Clause
/*
 * modify_inline.c - marks IP packets: writes the DSCP, at the IP layers.
 *
 * Within classify: deep clone from the IP header on, edit, inject at the network
 * layer, absorb the original. The engine puts the MAC header back and corrects
 * the checksum. Injecting only queues, so nothing is classified before we return.
 */
#include "modules/callout_model.h"

#include <errno.h>
#include <stdlib.h>

#include <nbl/window.h>

struct modify_inline {
	struct model model;
};

static bool is_inbound(const struct nbl_classify_in *in)
{
	return in->values->direction == NBL_DIRECTION_INBOUND;
}

/* A deep clone from the IP header on, which is in front of the window when inbound. */
static struct nbl *clone_packet(struct model *m, const struct nbl_classify_in *in)
{
	uint32_t front = is_inbound(in) ? in->metadata->ip_header_size : 0;
	struct nbl *clone = NULL;

	if (nbl_retreat(in->n, front, 0, NULL) < 0)
		return NULL;
	if (nbl_callout_deep_clone(in->wfp, m->id, in->n, m->params.pool, m->params.data_pool,
				   &clone) < 0)
		clone = NULL;
	nbl_advance(in->n, front, false);
	return clone;
}

/* The DSCP: bits 4 to 9 of an IPv6 header, the upper six of the second byte of IPv4's. */
static void write_dscp(struct nbl *n, uint8_t version, uint8_t dscp)
{
	for (struct nbl_nb *nb = n->first_nb; nb; nb = nb->next) {
		uint8_t *p = nbl_nb_data(nb);

		if (nbl_nb_segment_room(nb) < 2)
			continue;
		if (version == 4) {
			p[1] = (uint8_t)(dscp << 2 | (p[1] & 3));
		} else {
			p[0] = (uint8_t)(0x60 | dscp >> 2);
			p[1] = (uint8_t)((dscp & 3) << 6 | (p[1] & 0x3f));
		}
	}
}

static bool inject(struct model *m, const struct nbl_classify_in *in, struct nbl *clone)
{
	struct nbl_headers headers;
	const struct nbl_inject_target target = { .port = in->values->port, .headers = &headers };
	int r;

	r = nbl_headers_save(in, &headers);
	if (r < 0)
		return false;
	if (is_inbound(in))
		r = nbl_inject_network_receive(in->wfp, m->handle, NULL, &target, clone,
					       model_completed, m);
	else
		r = nbl_inject_network_send(in->wfp, m->handle, NULL, &target, clone,
					    model_completed, m);
	return !r;
}

static void classify(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	struct modify_inline *m = in->context;
	struct nbl *clone;

	out->action = NBL_ACTION_CONTINUE;
	if (!model_may_answer(&m->model, in, out))
		return;
	clone = clone_packet(&m->model, in);
	if (!clone) {
		atomic_fetch_add(&m->model.missed, 1);
		return;
	}
	write_dscp(clone, in->values->ip_version, m->model.params.dscp);
	if (!inject(&m->model, in, clone)) {
		/* still ours: the original passes unmarked */
		atomic_fetch_add(&m->model.missed, 1);
		nbl_callout_free(in->wfp, m->model.id, clone);
		return;
	}
	atomic_fetch_add(&m->model.injected, 1);
	model_absorb(out);
}

int modify_inline_new(const struct model_params *params, struct modify_inline **ret)
{
	struct nbl_callout c = {
		.name = "modify-inline",
		.layers = NBL_LAYER_BIT(NBL_LAYER_INBOUND_IPPACKET_V4) |
			  NBL_LAYER_BIT(NBL_LAYER_INBOUND_IPPACKET_V6) |
			  NBL_LAYER_BIT(NBL_LAYER_OUTBOUND_IPPACKET_V4) |
			  NBL_LAYER_BIT(NBL_LAYER_OUTBOUND_IPPACKET_V6),
		.classify = classify,
	};
	struct modify_inline *m;
	int r;

	if (params->dscp > 63)
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	r = model_start(&m->model, params, &c, NBL_INJECT_NETWORK);
	if (r < 0) {
		free(m);
		return r;
	}
	*ret = m;
	return 0;
}

int modify_inline_free(struct modify_inline *m)
{
	int r = m ? model_stop(&m->model) : 0;

	if (!r)
		free(m);
	return r;
}

uint32_t modify_inline_id(const struct modify_inline *m)
{
	return m->model.id;
}

void modify_inline_get_counts(const struct modify_inline *m, struct nbl_callout_kind_counts *ret)
{
	model_get_counts(&m->model, ret);
}
