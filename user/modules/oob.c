// SPDX-License-Identifier: BSD-2-Clause
/* oob.c - what the out-of-band callouts have in common. */
#include "modules/oob.h"

int oob_start(struct oob *o, const struct model_params *params, struct nbl_callout *c)
{
	int r = oob_queue_init(&o->queue, params->limit);

	if (!r)
		r = model_start(&o->model, params, c, NBL_INJECT_L2);
	if (r < 0)
		oob_queue_done(&o->queue);
	return r;
}

int oob_stop(struct oob *o)
{
	int r = model_stop(&o->model);

	if (!r)
		oob_queue_done(&o->queue);
	return r;
}

bool oob_hold(struct oob *o, const struct nbl_classify_in *in, struct nbl *n)
{
	struct oob_item item = {
		.n = n,
		.port = in->values->port,
		.inbound = in->values->direction == NBL_DIRECTION_INBOUND,
		.due_ns = in->now_ns + o->model.params.hold_ns,
	};

	if (oob_queue_put(&o->queue, item))
		return true;
	atomic_fetch_add(&o->model.missed, 1);
	return false;
}

void oob_inject(struct oob *o, const struct oob_item *item, struct nbl *clone)
{
	const struct nbl_inject_target target = { .port = item->port };
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	struct model *m = &o->model;
	int r;

	nbl_chain_append(&chain, clone);
	if (item->inbound)
		r = nbl_inject_mac_receive(m->params.wfp, m->handle, NULL, &target, chain,
					   model_completed, m);
	else
		r = nbl_inject_mac_send(m->params.wfp, m->handle, NULL, &target, chain,
					model_completed, m);
	if (!r) {
		atomic_fetch_add(&m->injected, 1);
		return;
	}
	/* refused: it is still ours, and its completion will never come (IN-04) */
	atomic_fetch_add(&m->missed, 1);
	nbl_callout_free(m->params.wfp, m->id, clone);
}
