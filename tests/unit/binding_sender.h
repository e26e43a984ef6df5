/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * binding_sender.h - a module in the way of what bindings send: it queues, and aborts what is
 * cancelled; or it changes the packets, and so does the looping itself.
 */
#ifndef BINDING_SENDER_H
#define BINDING_SENDER_H

#include <nbl/info.h>

#include "unit/binding_sends.h"

static struct {
	struct nbl_chain queued;
	struct nbl_filter *filter;
	uint32_t n_received, n_returned;
	bool supplies;		/* changes packets, so does the looping itself; else it queues */
} sender;

static void supply_loopback(struct nbl_filter *f, struct nbl *n)
{
	struct nbl *clone;

	ck_assert(n->nbl_flags & NBL_FLAG_CHECK_FOR_LOOPBACK);
	nbl_nb_data(n->first_nb)[6] = 0xaa;	/* the source address */
	ck_assert_int_eq(nbl_flags_write(n, NBL_FLAG_CHECK_FOR_LOOPBACK, 0), 0);
	clone = nbl_alloc_clone(n, rig.lane.pool);
	ck_assert_ptr_nonnull(clone);
	ck_assert_int_eq(nbl_flags_write(clone, NBL_FLAG_LOOPBACK, NBL_FLAG_LOOPBACK), 0);
	nbl_filter_own(f, clone);
	f->held++;
	nbl_filter_indicate(f, only(clone), 0, 0);
}

static void sender_send(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	sender.filter = f;
	if (!sender.supplies) {
		nbl_chain_join(&sender.queued, &chain);
		return;
	}
	for (struct nbl *n = chain.head; n; n = n->next)
		supply_loopback(f, n);
	nbl_filter_send(f, chain, port, flags);
}

static void sender_complete(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	nbl_filter_complete(f, chain);
}

static void sender_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			   uint32_t flags)
{
	sender.n_received += chain.n_nbls;
	nbl_filter_indicate(f, chain, port, flags);
}

static void sender_return(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	struct nbl_chain others = NBL_CHAIN_EMPTY;
	struct nbl *n;

	while ((n = nbl_chain_pop(&chain))) {
		sender.n_returned++;
		if (nbl_filter_is_own(f, n)) {
			f->held--;
			ck_assert_int_eq(nbl_free_clone(n), 0);
		} else {
			nbl_chain_append(&others, n);
		}
	}
	if (others.head)
		nbl_filter_return(f, others);
}

static void sender_cancel(struct nbl_filter *f, uint64_t id)
{
	struct nbl_chain kept = NBL_CHAIN_EMPTY, aborted = NBL_CHAIN_EMPTY;
	struct nbl *n;

	while ((n = nbl_chain_pop(&sender.queued))) {
		bool match = nbl_info_get(n, NBL_INFO_CANCEL_ID) == id;

		if (match)
			n->status = NBL_STATUS_SEND_ABORTED;
		nbl_chain_append(match ? &aborted : &kept, n);
	}
	sender.queued = kept;
	if (aborted.head)
		nbl_filter_complete(f, aborted);
}

static void sender_status(struct nbl_filter *f, const struct nbl_status_indication *s)
{
}

static const struct nbl_module sender_module = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "sender",
	.flags = NBL_MODULE_HOLDS | NBL_MODULE_QUEUES_SENDS, .receive = sender_receive,
	.receive_return = sender_return, .send = sender_send, .send_complete = sender_complete,
	.cancel_send = sender_cancel, .status = sender_status,
};

static const struct nbl_module *const only_sender[] = { &sender_module, NULL };

static void release_queued(void)
{
	struct nbl_lane *before = nbl_lane_enter(&rig.lane);

	if (sender.queued.head)
		nbl_filter_send(sender.filter, nbl_chain_take(&sender.queued), 0, 0);
	nbl_lane_publish_tx(&rig.lane);
	nbl_lane_enter(before);
}

#endif
