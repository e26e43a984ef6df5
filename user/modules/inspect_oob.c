// SPDX-License-Identifier: BSD-2-Clause
/*
 * inspect_oob.c - takes packets aside, decides later whether they go on.
 *
 * Within classify: clone the whole frame, absorb the original. Later, on another
 * thread or by a timer: inject the clone or free it. The clone is ours at once; it pins the
 * original, whose bytes it shares.
 */
#include "modules/callouts.h"

#include <errno.h>
#include <stdlib.h>

#include <nbl/window.h>

#include "modules/oob.h"

struct inspect_oob {
	struct oob oob;
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
	struct model *model = &m->oob.model;
	struct nbl *clone;

	out->action = NBL_ACTION_CONTINUE;
	if (!model_may_answer(model, in, out))
		return;
	clone = clone_frame(model, in);
	if (!clone) {
		atomic_fetch_add(&model->missed, 1);
		return;
	}
	if (!oob_hold(&m->oob, in, clone)) {
		nbl_callout_free(in->wfp, model->id, clone);
		return;
	}
	model_absorb(out);
}

static void decide(struct inspect_oob *m, const struct oob_item *item)
{
	struct model *model = &m->oob.model;

	if (model->params.allow(model->params.arg, item->n)) {
		oob_inject(&m->oob, item, item->n);
		return;
	}
	/* not injected: that is how a pended packet is discarded (PE-01) */
	atomic_fetch_add(&model->discarded, 1);
	nbl_callout_free(model->params.wfp, model->id, item->n);
}

uint32_t inspect_oob_run(struct inspect_oob *m, uint64_t now_ns)
{
	const struct oob_item *first;
	uint32_t n_done = 0;

	while ((first = oob_queue_first(&m->oob.queue)) && first->due_ns <= now_ns) {
		struct oob_item item = *first;

		oob_queue_drop(&m->oob.queue);
		decide(m, &item);
		n_done++;
	}
	return n_done;
}

uint64_t inspect_oob_next(struct inspect_oob *m)
{
	const struct oob_item *first = oob_queue_first(&m->oob.queue);

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
	r = oob_start(&m->oob, params, &c);
	if (r < 0) {
		free(m);
		return r;
	}
	*ret = m;
	return 0;
}

int inspect_oob_free(struct inspect_oob *m)
{
	int r = m ? oob_stop(&m->oob) : 0;

	if (!r)
		free(m);
	return r;
}

uint32_t inspect_oob_id(const struct inspect_oob *m)
{
	return m->oob.model.id;
}

void inspect_oob_get_counts(const struct inspect_oob *m, struct nbl_callout_kind_counts *ret)
{
	model_get_counts(&m->oob.model, ret);
}
