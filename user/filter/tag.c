// SPDX-License-Identifier: BSD-2-Clause
/* tag.c - numbers of callouts on NBLs. */
#include "filter/wfp_internal.h"

#include <stdlib.h>

/*
 * The numbers of an NBL are a list that hangs on it, so the thread that owns the
 * NBL needs no lock; places in the table are taken and given by any thread.
 */

int wfp_tags_init(struct nbl_wfp *wfp)
{
	uint32_t n = wfp->params.n_tag_contexts;

	wfp->tag_contexts = calloc(n + 1u, sizeof(*wfp->tag_contexts));
	wfp->tag_next = calloc(n + 1u, sizeof(*wfp->tag_next));
	if (!wfp->tag_contexts || !wfp->tag_next)
		return -ENOMEM;
	freelist_init(&wfp->free_tag_contexts, wfp->tag_next, n);
	return 0;
}

void wfp_tags_done(struct nbl_wfp *wfp)
{
	free(wfp->tag_contexts);
	free(wfp->tag_next);
}

static uint32_t first_of(const struct nbl *n)
{
	return wfp_has_flag(n, WFP_FLAG_TAGGED) ? (uint32_t)(uintptr_t)n->miniport_reserved[1] : 0;
}

static void set_first(const struct nbl_wfp *wfp, struct nbl *n, uint32_t first)
{
	struct wfp_record r = wfp_record_get(n);

	n->miniport_reserved[1] = (void *)(uintptr_t)first;
	r.engine = wfp->number;
	wfp_record_set(n, r);
	wfp_set_flag(n, WFP_FLAG_TAGGED, first);
}

static struct wfp_tag *tag_find(struct nbl_wfp *wfp, uint32_t tag)
{
	struct wfp_tag *t = &wfp->tags[WFP_INDEX(tag) % NBL_MAX_TAGS];

	return tag && atomic_load(&t->id) == tag ? t : NULL;
}

int nbl_tag_create(struct nbl_wfp *wfp, uint32_t id, nbl_tag_notify_fn notify, void *arg,
		   uint32_t *ret_tag)
{
	if (!notify)
		return -EINVAL;
	if (!wfp_callout_find(wfp, id))
		return -ENOENT;
	for (uint32_t i = 0; i < NBL_MAX_TAGS; i++) {
		struct wfp_tag *t = &wfp->tags[i];

		if (atomic_load(&t->id))
			continue;
		t->notify = notify;
		t->arg = arg;
		*ret_tag = ++t->generation << WFP_INDEX_BITS | i;
		atomic_store(&t->id, *ret_tag);
		return 0;
	}
	return -ENOSPC;
}

int nbl_tag_destroy(struct nbl_wfp *wfp, uint32_t tag)
{
	struct wfp_tag *t = tag_find(wfp, tag);

	if (!t)
		return -ENOENT;
	if (atomic_load(&t->n_contexts))
		return -EBUSY;
	atomic_store(&t->id, 0);
	return 0;
}

int nbl_tag_associate(struct nbl_wfp *wfp, uint32_t tag, struct nbl *n, uint64_t context)
{
	struct wfp_tag *t = tag_find(wfp, tag);
	uint32_t slot;

	if (!t)
		return -ENOENT;
	if (!nbl_tag_retrieve(wfp, tag, n, false, NULL))
		return -EEXIST;
	slot = freelist_take(&wfp->free_tag_contexts);
	if (slot == FREELIST_NONE)
		return -ENOBUFS;
	wfp->tag_contexts[slot] = (struct wfp_tag_context){
		.tag = tag,
		.next = first_of(n),
		.context = context,
	};
	atomic_fetch_add(&t->n_contexts, 1);
	set_first(wfp, n, slot + 1);
	return 0;
}

/* Gives place 'index' + 1 back. */
static void context_give(struct nbl_wfp *wfp, uint32_t place)
{
	struct wfp_tag *t = tag_find(wfp, wfp->tag_contexts[place - 1].tag);

	atomic_fetch_sub(&t->n_contexts, 1);
	freelist_give(&wfp->free_tag_contexts, place - 1);
}

int nbl_tag_retrieve(struct nbl_wfp *wfp, uint32_t tag, struct nbl *n, bool remove,
		     uint64_t *ret_context)
{
	uint32_t place = first_of(n), before = 0;

	for (; place; before = place, place = wfp->tag_contexts[place - 1].next) {
		struct wfp_tag_context *c = &wfp->tag_contexts[place - 1];

		if (c->tag != tag)
			continue;
		if (ret_context)
			*ret_context = c->context;
		if (remove) {
			if (before)
				wfp->tag_contexts[before - 1].next = c->next;
			else
				set_first(wfp, n, c->next);
			context_give(wfp, place);
		}
		return 0;
	}
	return -ENOENT;
}

void wfp_tag_tell(struct nbl_wfp *wfp, struct nbl *n, enum nbl_tag_event event, struct nbl *other)
{
	uint32_t tags[NBL_MAX_TAGS], n_tags = 0;
	uint64_t context;

	for (uint32_t place = first_of(n); place; place = wfp->tag_contexts[place - 1].next)
		tags[n_tags++] = wfp->tag_contexts[place - 1].tag;
	/* who is told may take any number off, and put others on */
	for (uint32_t i = 0; i < n_tags; i++) {
		const struct wfp_tag *t = tag_find(wfp, tags[i]);

		if (!nbl_tag_retrieve(wfp, tags[i], n, false, &context))
			t->notify(t->arg, event, n, other, context);
	}
}

bool nbl_wfp_is_tagged(const struct nbl *n)
{
	return __atomic_load_n(&n->nbl_flags, __ATOMIC_RELAXED) & WFP_FLAG_TAGGED;
}

void nbl_wfp_leave(struct nbl_wfp *wfp, struct nbl *n, uint8_t event)
{
	uint32_t place, next;

	wfp_tag_tell(wfp, n, (enum nbl_tag_event)event, NULL);
	for (place = first_of(n); place; place = next) {
		next = wfp->tag_contexts[place - 1].next;
		context_give(wfp, place);
	}
	set_first(wfp, n, 0);
}
