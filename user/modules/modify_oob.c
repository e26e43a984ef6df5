// SPDX-License-Identifier: BSD-2-Clause
/*
 * modify_oob.c - rewrites the source address of frames, later.
 *
 * Within classify: reference the original announcing writes, absorb it. Later, on
 * another thread, when its path has let go of it: clone, drop the reference (the
 * clone keeps the original alive), edit, inject. The library decides whether the
 * clone may share the bytes or needs its own: writing is safe either way (RF-06).
 */
#include "modules/callouts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "modules/oob.h"

struct modify_oob {
	struct oob oob;
};

/*
 * Holds the packet of 'in', references it and announces writes. False if there is no room: then
 * none were announced, which would keep the filters below from blocking it (RF-08).
 */
static bool keep(struct modify_oob *m, const struct nbl_classify_in *in)
{
	struct model *model = &m->oob.model;
	bool held;

	if (nbl_callout_reference(in->wfp, model->id, in->n, false) < 0) {
		atomic_fetch_add(&model->missed, 1);
		return false;
	}
	/* whoever takes it out waits until it is let go, so not before we are done here */
	held = oob_hold(&m->oob, in, in->n);
	/* the reference that announces takes the place of the first */
	if (!held || !nbl_callout_reference(in->wfp, model->id, in->n, true))
		nbl_callout_dereference(in->wfp, model->id, in->n);
	return held;
}

static void classify(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	struct modify_oob *m = in->context;

	out->action = NBL_ACTION_CONTINUE;
	if (model_may_answer(&m->oob.model, in, out) && keep(m, in))
		model_absorb(out);
}

/* The second address of the MAC header. A header that is cut short is left as it is. */
static void write_source(struct nbl *n, const uint8_t *mac)
{
	for (struct nbl_nb *nb = n->first_nb; nb; nb = nb->next) {
		if (nbl_nb_segment_room(nb) >= 14)
			memcpy(nbl_nb_data(nb) + 6, mac, 6);
	}
}

static void modify(struct modify_oob *m, const struct oob_item *item)
{
	struct model *model = &m->oob.model;
	const struct model_params *params = &model->params;
	struct nbl *clone = NULL;
	int r;

	r = nbl_callout_clone(params->wfp, model->id, item->n, params->pool, &clone);
	nbl_callout_dereference(params->wfp, model->id, item->n);
	if (r < 0) {
		atomic_fetch_add(&model->missed, 1);
		return;
	}
	write_source(clone, params->mac_source);
	oob_inject(&m->oob, item, clone);
}

uint32_t modify_oob_run(struct modify_oob *m)
{
	const struct oob_item *first;
	uint32_t n_done = 0;

	/* in order: what is behind one that is not let go waits, too */
	while ((first = oob_queue_first(&m->oob.queue)) && nbl_is_let_go(first->n)) {
		struct oob_item item = *first;

		oob_queue_drop(&m->oob.queue);
		modify(m, &item);
		n_done++;
	}
	return n_done;
}

bool modify_oob_waits(struct modify_oob *m)
{
	return oob_queue_first(&m->oob.queue);
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
	r = oob_start(&m->oob, params, &c);
	if (r < 0) {
		free(m);
		return r;
	}
	*ret = m;
	return 0;
}

int modify_oob_free(struct modify_oob *m)
{
	int r = m ? oob_stop(&m->oob) : 0;

	if (!r)
		free(m);
	return r;
}

uint32_t modify_oob_id(const struct modify_oob *m)
{
	return m->oob.model.id;
}

void modify_oob_get_counts(const struct modify_oob *m, struct nbl_callout_kind_counts *ret)
{
	model_get_counts(&m->oob.model, ret);
}
