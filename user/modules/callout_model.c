// SPDX-License-Identifier: BSD-2-Clause
/* callout_model.c - what the model callouts have in common. */
#include "modules/callout_model.h"

#include <errno.h>

int model_start(struct model *m, const struct model_params *params, struct nbl_callout *c,
		uint32_t types)
{
	int r;

	m->params = *params;
	c->version = NBL_CALLOUT_VERSION;
	c->size = sizeof(*c);
	c->owner = params->owner;
	c->context = m;
	r = nbl_inject_handle_create(params->wfp, NBL_FAMILY_UNSPEC, types, params->owner,
				     &m->handle);
	if (r < 0)
		return r;
	r = nbl_callout_register(params->wfp, c, &m->id);
	/* nothing was injected with it, so it is destroyed at once */
	if (r < 0 && nbl_inject_handle_destroy(params->wfp, m->handle) < 0)
		return -EINVAL;
	return r;
}

int model_stop(struct model *m)
{
	int r;

	/* the handle last: what is still held may be injected until then (CL-12) */
	if (m->id) {
		r = nbl_callout_unregister(m->params.wfp, m->id);
		if (r < 0)
			return r;
		m->id = 0;
	}
	return nbl_inject_handle_destroy(m->params.wfp, m->handle) < 0 ? -EBUSY : 0;
}

void model_get_counts(const struct model *m, struct nbl_callout_kind_counts *ret)
{
	*ret = (struct nbl_callout_kind_counts){
		.seen = atomic_load(&m->seen),
		.skipped = atomic_load(&m->skipped),
		.missed = atomic_load(&m->missed),
		.injected = atomic_load(&m->injected),
		.completed = atomic_load(&m->completed),
		.failed = atomic_load(&m->failed),
		.discarded = atomic_load(&m->discarded),
	};
}

bool model_may_answer(struct model *m, const struct nbl_classify_in *in,
		      const struct nbl_classify_out *out)
{
	enum nbl_injection_state state = nbl_inject_query(in->wfp, m->handle, in->n, NULL);

	if (!(out->rights & NBL_RIGHT_ACTION_WRITE) || state == NBL_INJECTED_BY_SELF ||
	    state == NBL_PREVIOUSLY_INJECTED_BY_SELF) {
		atomic_fetch_add_explicit(&m->skipped, 1, memory_order_relaxed);
		return false;
	}
	atomic_fetch_add_explicit(&m->seen, 1, memory_order_relaxed);
	return true;
}

void model_completed(void *context, struct nbl_chain chain, int status)
{
	struct model *m = context;
	struct nbl *n;

	while ((n = nbl_chain_pop(&chain))) {
		atomic_fetch_add(status < 0 ? &m->failed : &m->completed, 1);
		nbl_callout_free(m->params.wfp, m->id, n);
	}
}
