// SPDX-License-Identifier: BSD-2-Clause
/*
 * modify_oob.c - rewrites the source address of frames, later.
 *
 * Within classify: reference the original announcing writes, absorb it. Later, on
 * another thread, when its path has let go of it: clone, drop the reference (the
 * clone keeps the original alive), edit, inject. The library decides whether the
 * clone may share the bytes or needs its own: writing is safe either way (RF-06).
 */
#include "modules/callout_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "modules/oob_queue.h"

struct modify_oob {
	struct model model;
	struct oob_queue queue;
};

/*
 * Queues 'item' and references its packet, announcing writes. False if there is no room: then
 * none were announced, which would keep the filters below from blocking it (RF-08).
 */
static bool keep(struct modify_oob *m, struct oob_item item)
{
	struct nbl_wfp *wfp = m->model.params.wfp;
	bool kept;

	if (nbl_callout_reference(wfp, m->model.id, item.n, false) < 0)
		return false;
	/* whoever takes it out waits until it is let go, so not before we are done here */
	kept = oob_queue_put(&m->queue, item);
	if (!kept || !nbl_callout_reference(wfp, m->model.id, item.n, true))
		nbl_callout_dereference(wfp, m->model.id, item.n);
	return kept;
}

static void classify(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	struct modify_oob *m = in->context;
	struct oob_item item = {
		.n = in->n,
		.port = in->values->port,
		.inbound = in->values->direction == NBL_DIRECTION_INBOUND,
	};

	out->action = NBL_ACTION_CONTINUE;
	if (!model_may_answer(&m->model, in, out))
		return;
	if (!keep(m, item)) {
		atomic_fetch_add(&m->model.missed, 1);
		return;
	}
	model_absorb(out);
}

static void write_source(struct nbl *n, const uint8_t *mac)
{
	for (struct nbl_nb *nb = n->first_nb; nb; nb = nb->next) {
		if (nbl_nb_segment_room(nb) >= 14)
			memcpy(nbl_nb_data(nb) + 6, mac, 6);
	}
}

static void modify(struct modify_oob *m, struct oob_item item)
{
	struct nbl *clone = NULL;
	int r;

	r = nbl_callout_clone(m->model.params.wfp, m->model.id, item.n, m->model.params.pool,
			      &clone);
	nbl_callout_dereference(m->model.params.wfp, m->model.id, item.n);
	if (r < 0) {
		atomic_fetch_add(&m->model.missed, 1);
		return;
	}
	write_source(clone, m->model.params.mac_source);
	model_inject_frame(&m->model, clone, item.port, item.inbound);
}

uint32_t modify_oob_run(struct modify_oob *m)
{
	const struct oob_item *first;
	uint32_t n_done = 0;

	/* in order: what is behind one that is not let go waits, too */
	while ((first = oob_queue_first(&m->queue)) && nbl_is_let_go(first->n)) {
		struct oob_item item = *first;

		oob_queue_drop(&m->queue);
		modify(m, item);
		n_done++;
	}
	return n_done;
}

bool modify_oob_waits(struct modify_oob *m)
{
	return oob_queue_first(&m->queue);
}

int modify_oob_new(const struct model_params *params, struct modify_oob **ret)
{
	struct nbl_callout c = {
		.name = "modify-oob",
		.layers = MODEL_MAC_LAYERS,
		.classify = classify,
	};
	struct modify_oob *m = calloc(1, sizeof(*m));
	int r;

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

int modify_oob_free(struct modify_oob *m)
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

uint32_t modify_oob_id(const struct modify_oob *m)
{
	return m->model.id;
}

void modify_oob_get_counts(const struct modify_oob *m, struct nbl_callout_kind_counts *ret)
{
	model_get_counts(&m->model, ret);
}
