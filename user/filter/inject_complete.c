// SPDX-License-Identifier: BSD-2-Clause
/* inject_complete.c - the one end of every injection. */
#include "filter/wfp_internal.h"

#include <nbl/window.h>

/* What is left to do for an NBL whose injection has ended. */
struct ended {
	struct nbl *n;
	nbl_inject_completed_fn completed;
	void *context;
	struct wfp_handle *handle;
	bool original;
};

bool nbl_inject_is_pending(const struct nbl *n)
{
	return wfp_record_get(n).pending;
}

int nbl_inject_status(int32_t status)
{
	switch (status) {
	case NBL_STATUS_SUCCESS:
		return 0;
	case NBL_STATUS_INVALID_LENGTH:
		return -EMSGSIZE;
	case NBL_STATUS_RESOURCES:
		return -ENOBUFS;
	case NBL_STATUS_SEND_ABORTED:
		return -ECANCELED;
	case NBL_STATUS_RESET_IN_PROGRESS:
		return -ENETRESET;
	case NBL_STATUS_PAUSED:
		return -EAGAIN;
	default:
		return -EIO;
	}
}

static bool is_send(uint8_t path)
{
	return path == NBL_PATH_MAC_SEND || path == NBL_PATH_NETWORK_SEND ||
	       path == NBL_PATH_TRANSPORT_SEND || path == NBL_PATH_FORWARD;
}

/* Makes 'n' what it was when it was injected. False if it is not being injected. */
static bool end(struct nbl_wfp *wfp, struct nbl *n, struct ended *ret)
{
	struct wfp_record i = wfp_record_get(n);
	uint64_t handles;

	if (!wfp_injection_end(n)) {
		atomic_fetch_add(&wfp->completions_refused, 1);
		return false;
	}
	if (i.substitute) {
		struct nbl *copy = n;

		if (i.aside)
			nbl_advance(copy, i.aside, true);
		n = copy->parent;
		i = wfp_record_get(n);
		wfp_injection_end(n);
		if (nbl_wfp_is_tagged(copy))
			nbl_wfp_leave(wfp, copy, NBL_TAG_REMOVED);
		nbl_free_clone(copy);
	}
	handles = (uintptr_t)n->protocol_reserved[3];
	n->source_handle = (uint32_t)(handles >> 32);
	if (i.original)
		n->port = i.aside;
	else if (i.aside)
		nbl_advance(n, i.aside, true);
	if (nbl_wfp_is_tagged(n))
		nbl_wfp_leave(wfp, n,
			      is_send(i.path) ? NBL_TAG_SEND_COMPLETE : NBL_TAG_RECEIVE_COMPLETE);
	*ret = (struct ended){
		.n = n,
		.completed = (nbl_inject_completed_fn)(uintptr_t)n->protocol_reserved[0],
		.context = n->protocol_reserved[1],
		.handle = &wfp->handles[WFP_INDEX((uint32_t)handles)],
		.original = i.original,
	};
	return true;
}

/* Tells whoever injected 'chain', all like 'e'. After that they are no longer ours. */
static void tell(struct nbl_wfp *wfp, const struct ended *e, struct nbl_chain chain, int status)
{
	uint32_t n = chain.n_nbls;

	if (e->completed)
		e->completed(e->context, chain, status);
	if (e->original)
		nbl_dereference(e->n);
	atomic_fetch_add(&wfp->completed, n);
	/* last: the handle's destruction waits for it */
	atomic_fetch_sub(&e->handle->pending, n);
}

int nbl_inject_complete(struct nbl_wfp *wfp, struct nbl *n, int status)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	struct ended e;

	if (!end(wfp, n, &e))
		return -EINVAL;
	nbl_chain_append(&chain, e.n);
	tell(wfp, &e, chain, status);
	return 0;
}

/* Originals are told one by one: the engine's reference goes with each. */
static bool go_together(const struct ended *a, const struct ended *b)
{
	return !a->original && !b->original && a->completed == b->completed &&
	       a->context == b->context && a->handle == b->handle;
}

struct nbl_chain nbl_inject_complete_chain(struct nbl_wfp *wfp, struct nbl_chain chain, int status)
{
	struct nbl_chain others = NBL_CHAIN_EMPTY, together = NBL_CHAIN_EMPTY;
	struct ended group, e;
	struct nbl *n;

	while ((n = nbl_chain_pop(&chain))) {
		if (!nbl_inject_is_pending(n)) {
			nbl_chain_append(&others, n);
			continue;
		}
		if (!end(wfp, n, &e))
			continue;
		if (together.head && !go_together(&group, &e))
			tell(wfp, &group, nbl_chain_take(&together), status);
		group = e;
		nbl_chain_append(&together, e.n);
	}
	if (together.head)
		tell(wfp, &group, together, status);
	return others;
}
