// SPDX-License-Identifier: BSD-2-Clause
/*
 * inspect_oob.c - takes packets aside, decides later whether they go on.
 *
 * Within classify: clone the whole frame, absorb the original. Later, on another
 * thread or by a timer: inject the clone or free it. The clone is ours at once; it pins the
 * original, whose bytes it shares.
 */
#include "modules/callout_model.h"

#include <errno.h>
#include <stdlib.h>

#include <nbl/window.h>

#include "modules/oob_queue.h"

struct inspect_oob {
	struct model model;
	struct oob_queue queue;
};

/* A clone of the whole frame: this layer's data may begin behind its headers (CL-15). */
static struct nbl *clone_frame(struct model *m, const struct nbl_classify_in *in)
{
	uint32_t front = in->metadata->data_offset;
	struct nbl *clone = NULL;

	if (nbl_retreat(in->n, front, 0, NULL) < 0)
		return NULL;
	if (nbl_callout_clone(in->wfp, m->id, in->n, m->params.pool, &clone) < 0)
		clone = NULL;
	nbl_advance(in->n, front, false);
	return clone;
}

static void classify(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	struct inspect_oob *m = in->context;
	struct oob_item item = {
		.port = in->values->port,
		.inbound = in->values->direction == NBL_DIRECTION_INBOUND,
		.due_ns = in->now_ns + m->model.params.hold_ns,
	};

	out->action = NBL_ACTION_CONTINUE;
	if (!model_may_answer(&m->model, in, out))
		return;
	item.n = clone_frame(&m->model, in);
	if (!item.n || !oob_queue_put(&m->queue, item)) {
		atomic_fetch_add(&m->model.missed, 1);
		nbl_callout_free(in->wfp, m->model.id, item.n);
		return;
	}
	model_absorb(out);
}

uint32_t inspect_oob_run(struct inspect_oob *m, uint64_t now_ns)
{
	const struct oob_item *first;
	uint32_t n_done = 0;

	while ((first = oob_queue_first(&m->queue)) && first->due_ns <= now_ns) {
		struct oob_item item = *first;

		oob_queue_drop(&m->queue);
		n_done++;
		if (m->model.params.allow(m->model.params.arg, item.n)) {
			model_inject_frame(&m->model, item.n, item.port, item.inbound);
			continue;
		}
		/* not injected: that is how a pended packet is discarded (PE-01) */
		atomic_fetch_add(&m->model.discarded, 1);
		nbl_callout_free(m->model.params.wfp, m->model.id, item.n);
	}
	return n_done;
}

uint64_t inspect_oob_next(struct inspect_oob *m)
{
	const struct oob_item *first = oob_queue_first(&m->queue);

	return first ? first->due_ns : 0;
}

int inspect_oob_new(const struct model_params *params, struct inspect_oob **ret)
{
	struct nbl_callout c = {
		.name = "inspect-oob",
		.layers = MODEL_MAC_LAYERS,
		.classify = classify,
	};
	struct inspect_oob *m;
	int r;

	if (!params->allow)
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	r = oob_queue_init(&m->queue, params->limit);
	if (!r)
		r = model_start(&m->model, params, &c, NBL_INJECT_L2);
	if (r < 0) {
		oob_queue_done(&m->queue);
		free(m);
		return r;
	}
	*ret = m;
	return 0;
}

int inspect_oob_free(struct inspect_oob *m)
{
	int r;

	if (!m)
		return 0;
	r = model_stop(&m->model);
	if (r < 0)
		return r;
	oob_queue_done(&m->queue);
	free(m);
	return 0;
}

uint32_t inspect_oob_id(const struct inspect_oob *m)
{
	return m->model.id;
}

void inspect_oob_get_counts(const struct inspect_oob *m, struct nbl_callout_kind_counts *ret)
{
	model_get_counts(&m->model, ret);
}
