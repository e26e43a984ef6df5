// SPDX-License-Identifier: BSD-2-Clause
/* inject_handle.c - the table of injection handles. */
#include "filter/wfp_internal.h"

#define ALL_TYPES                                                                                  \
	(NBL_INJECT_L2 | NBL_INJECT_NETWORK | NBL_INJECT_FORWARD | NBL_INJECT_TRANSPORT |          \
	 NBL_INJECT_STREAM)
#define GENERATIONS (1u << 24)

static uint32_t owner_layers(const struct nbl_wfp *wfp, uint32_t owner)
{
	uint32_t layers = 0;

	for (uint32_t i = 0; i < NBL_MAX_CALLOUTS; i++) {
		const struct wfp_callout *c = &wfp->callouts[i];

		if ((atomic_load(&c->id) || atomic_load(&c->closing)) && c->is.owner == owner)
			layers |= c->is.layers;
	}
	return layers;
}

void wfp_handles_refresh(struct nbl_wfp *wfp)
{
	for (uint32_t i = 0; i < NBL_MAX_INJECT_HANDLES; i++) {
		struct wfp_handle *h = &wfp->handles[i];

		if (atomic_load(&h->id))
			atomic_store(&h->layers, owner_layers(wfp, h->owner));
	}
}

/* A free handle, the one longest free: lineage may still name the last. */
static struct wfp_handle *handle_free(struct nbl_wfp *wfp, uint32_t *ret_index)
{
	for (uint32_t k = 0; k < NBL_MAX_INJECT_HANDLES; k++) {
		uint32_t i = (wfp->next_handle + k) % NBL_MAX_INJECT_HANDLES;

		if (!atomic_load(&wfp->handles[i].id)) {
			wfp->next_handle = i + 1;
			*ret_index = i;
			return &wfp->handles[i];
		}
	}
	return NULL;
}

int nbl_inject_handle_create(struct nbl_wfp *wfp, enum nbl_family family, uint32_t types,
			     uint32_t owner, uint32_t *ret_handle)
{
	struct wfp_handle *h;
	uint32_t i;

	if (!types)
		types = NBL_INJECT_TRANSPORT | NBL_INJECT_STREAM | NBL_INJECT_FORWARD;
	if (types & ~(uint32_t)ALL_TYPES || family > NBL_FAMILY_V6 || !owner ||
	    (types & NBL_INJECT_L2 && family != NBL_FAMILY_UNSPEC))
		return -EINVAL;
	h = handle_free(wfp, &i);
	if (!h)
		return -ENOSPC;
	h->family = (uint8_t)family;
	h->types = types;
	h->owner = owner;
	h->generation = (h->generation + 1) % GENERATIONS;
	atomic_store(&h->layers, owner_layers(wfp, owner));
	atomic_store(&h->closing, false);
	*ret_handle = WFP_HANDLE_FLAG | h->generation << WFP_INDEX_BITS | i;
	atomic_store(&h->id, *ret_handle);
	return 0;
}

int nbl_inject_handle_destroy(struct nbl_wfp *wfp, uint32_t handle)
{
	struct wfp_handle *h = &wfp->handles[WFP_INDEX(handle)];

	if (!handle || atomic_load(&h->id) != handle)
		return -ESTALE;
	atomic_store(&h->closing, true);
	/* who counted itself in before sees the flag or is seen here */
	if (atomic_load(&h->pending))
		return -EINPROGRESS;
	atomic_store(&h->id, 0);
	return 0;
}
