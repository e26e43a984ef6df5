// SPDX-License-Identifier: BSD-2-Clause
/*
 * inspect_inline.c - looks at packets as they pass, and answers CONTINUE.
 *
 * The whole of the pattern: read values and bytes, keep nothing, change nothing.
 */
#include "modules/callout_model.h"

#include <errno.h>
#include <stdlib.h>

struct inspect_inline {
	struct model model;
};

static void classify(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	struct inspect_inline *m = in->context;

	atomic_fetch_add_explicit(&m->model.seen, 1, memory_order_relaxed);
	out->action = NBL_ACTION_CONTINUE;
}

int inspect_inline_new(const struct model_params *params, struct inspect_inline **ret)
{
	struct nbl_callout c = {
		.name = "inspect-inline",
		.layers = (1u << NBL_N_LAYERS) - 1,	/* it may be asked at each of them */
		.classify = classify,
	};
	struct inspect_inline *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	/* it never injects: all models have a handle, whatever for */
	r = model_start(&m->model, params, &c, NBL_INJECT_L2);
	if (r < 0) {
		free(m);
		return r;
	}
	*ret = m;
	return 0;
}

int inspect_inline_free(struct inspect_inline *m)
{
	int r = m ? model_stop(&m->model) : 0;

	if (!r)
		free(m);
	return r;
}

uint32_t inspect_inline_id(const struct inspect_inline *m)
{
	return m->model.id;
}

void inspect_inline_get_counts(const struct inspect_inline *m, struct nbl_callout_kind_counts *ret)
{
	model_get_counts(&m->model, ret);
}
