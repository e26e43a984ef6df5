/* SPDX-License-Identifier: BSD-2-Clause */
/* engine.c - what modules call that is not on every packet's way: struct nbl_engine_ops. */
#include <errno.h>
#include <unistd.h>

#include "core/nbl_internal.h"
#include "stack/hops.h"

/* The position of 'f' among the filters of 'lane'; NULL: above, or below, them all. */
static int position(const struct nbl_lane *lane, const struct nbl_filter *f, int if_null)
{
	int i = 0;

	if (!f)
		return if_null;
	while (i < (int)lane->n_filters && &lane->filters[i]->f != f)
		i++;
	return i;
}

/* ---- originating ---- */

static bool may_originate(const struct nbl_module *m, bool is_send)
{
	return is_send ? m->flags & NBL_MODULE_ORIGINATES_SENDS && m->send_complete
		       : m->flags & NBL_MODULE_ORIGINATES_RECEIVES && m->receive_return;
}

/* Why 'n' is not one that 'f' may originate, or NULL. Rules: SH-02, TX-10, BUG-07. */
static const char *what_is_wrong(const struct nbl_filter *f, const struct nbl *n)
{
	struct nbl_pins pins;

	if (n->source_handle != f->handle)
		return "SH-02: originated without its handle";
	if (n->kind == NBL_KIND_RECEIVE)
		return "DV-12: a received NBL originated";
	if (n->is_out)
		return "BUG-07: originated again before it came back";
	nbl_get_pins(n, &pins);
	return pins.charged_to == f->id ? NULL : "TX-10: originated what is another's";
}

static int refuse(const struct nbl_chain *chain, int why)
{
	for (struct nbl *n = chain->head; n; n = n->next)
		n->status = NBL_STATUS_FAILURE;
	return why;
}

static void set_out(const struct nbl_chain *chain, bool is_out, bool is_borrowed)
{
	for (struct nbl *n = chain->head; n; n = n->next) {
		n->is_out = is_out;
		if (is_borrowed)
			__atomic_fetch_or(&n->nbl_flags, (uint32_t)NBL_FLAG_BORROWED,
					  __ATOMIC_RELAXED);
		else
			__atomic_fetch_and(&n->nbl_flags, ~(uint32_t)NBL_FLAG_BORROWED,
					   __ATOMIC_RELAXED);
	}
}

/* With RESOURCES they are its own again on return, and no handler is called. Rule: RX-12. */
static void indicate_lent(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			  uint32_t flags)
{
	struct nbl_lane *lane = nbl_engine_part(f)->lane;

	set_out(&chain, true, true);
	f->indicate.handle(f->indicate.to, chain, port, flags);
	set_out(&chain, false, false);
	for (struct nbl *n = chain.head; n; n = n->next)
		nbl_lane_note_ended(lane, n);
}

static int originate(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags,
		     bool is_send)
{
	const char *wrong = NULL;

	if (!may_originate(f->module, is_send))
		return refuse(&chain, -EOPNOTSUPP);
	if (f->state != NBL_MODULE_RUNNING)
		return refuse(&chain, -ESHUTDOWN);
	for (struct nbl *n = chain.head; n && !wrong; n = n->next)
		wrong = what_is_wrong(f, n);
	if (wrong) {
		nbl_blame(f, wrong);
		return refuse(&chain, -EPERM);
	}
	if (!chain.head)
		return 0;
	nbl_lane_note_entered(nbl_engine_part(f)->lane, &chain);
	if (!is_send && flags & NBL_RECEIVE_RESOURCES) {
		indicate_lent(f, chain, port, flags);
		return 0;
	}
	set_out(&chain, true, false);
	f->n_originated += chain.n_nbls;
	if (is_send) {
		f->n_originated_sends += chain.n_nbls;
		f->send.handle(f->send.to, chain, port, flags);
	} else {
		f->indicate.handle(f->indicate.to, chain, port, flags);
	}
	return 0;
}

static struct nbl_chain stop_own(struct nbl_filter *f, struct nbl_chain chain)
{
	struct nbl_chain others = NBL_CHAIN_EMPTY;
	struct nbl *n, *next;

	for (n = chain.head; n; n = next) {
		next = n->next;
		if (n->nbl_flags & NBL_FLAG_BORROWED)
			nbl_blame(f, "RX-04: gave back what it was only lent");
		else if (n->source_handle == f->handle)
			nbl_blame(f, "RX-11, TX-09: gave back what it originated itself");
		else
			nbl_chain_append(&others, n);
	}
	return others;
}

/* The module that has 'handle' on 'lane', or NULL: nobody, or gone (SH-08). */
static struct nbl_filter *find_handle(const struct nbl_lane *lane, uint32_t handle)
{
	for (uint32_t i = 0; i < lane->n_filters; i++)
		if (lane->filters[i]->f.handle == handle)
			return &lane->filters[i]->f;
	return NULL;
}

void nbl_end_of_modules(void *arg, struct nbl_lane *lane, struct nbl_chain chain)
{
	struct nbl *n;

	(void)arg;
	while ((n = nbl_chain_pop(&chain))) {
		struct nbl_filter *f = n->is_out ? find_handle(lane, n->source_handle) : NULL;

		if (f) {
			f->n_originated--;
			nbl_blame(f, "SH-05: what it originated went past it");
		}
		n->is_out = false;
		nbl_release(n);
	}
}

/* ---- cancelling ---- */

void nbl_lane_cancel_sends(struct nbl_lane *lane, struct nbl_filter *from, uint64_t cancel_id)
{
	for (int i = position(lane, from, (int)lane->n_filters) - 1; i >= 0; i--) {
		struct nbl_filter *f = &lane->filters[i]->f;
		struct nbl_call before;

		if (!f->module->cancel_send || !nbl_module_state_passes(f->state))
			continue;
		before = nbl_call_begin(f, false);
		f->module->cancel_send(f, cancel_id);
		nbl_call_end(f, before);
	}
	nbl_lane_cancel(lane, cancel_id);
}

static void cancel(struct nbl_filter *f, uint64_t cancel_id)
{
	nbl_lane_cancel_sends(nbl_engine_part(f)->lane, f, cancel_id);
}

/* ---- status and requests ---- */

void nbl_lane_pass_status(struct nbl_lane *lane, struct nbl_filter *from,
			  const struct nbl_status_indication *si)
{
	struct nbl_stack *s = lane->edge.stack;

	for (int i = position(lane, from, -1) + 1; i < (int)lane->n_filters; i++) {
		struct nbl_filter *f = &lane->filters[i]->f;
		struct nbl_call before;

		if (!f->module->status || !nbl_module_state_answers(f->state))
			continue;
		before = nbl_call_begin(f, false);
		f->module->status(f, si);	/* passes it on, if others are to know */
		nbl_call_end(f, before);
		return;
	}
	if (s && s->ends.status)
		s->ends.status(s->ends.arg, lane, si);
}

int nbl_lane_pass_request(struct nbl_lane *lane, struct nbl_stack *s, struct nbl_filter *from,
			  struct nbl_request *r)
{
	for (int i = position(lane, from, (int)lane->n_filters) - 1; i >= 0; i--) {
		struct nbl_filter *f = &lane->filters[i]->f;
		struct nbl_call before;
		int result;

		if (!f->module->request || !nbl_module_state_answers(f->state))
			continue;
		before = nbl_call_begin(f, false);
		result = f->module->request(f, r);
		nbl_call_end(f, before);
		return result;
	}
	return s->ends.request ? s->ends.request(s->ends.arg, r) : -EOPNOTSUPP;
}

static void status(struct nbl_filter *f, const struct nbl_status_indication *si)
{
	nbl_lane_pass_status(nbl_engine_part(f)->lane, f, si);
}

static int request(struct nbl_filter *f, struct nbl_request *r)
{
	return nbl_lane_pass_request(nbl_engine_part(f)->lane, nbl_engine_part(f)->stack, f, r);
}

/* ---- the rest: any thread ---- */

static void pause_complete(struct nbl_filter *f)
{
	atomic_store(&nbl_engine_part(f)->pause_pending, false);
}

/* The lane may be about to sleep: it is woken whether it says so or not. */
static void wake(struct nbl_filter *f)
{
	const struct nbl_lane *lane = nbl_engine_part(f)->lane;
	uint64_t one = 1;

	atomic_store(&nbl_engine_part(f)->wake_wanted, true);
	if (write(lane->wake_fd, &one, sizeof(one)) < 0)
		return;		/* EAGAIN: it is being woken already */
}

static void want_restart(struct nbl_filter *f)
{
	atomic_store(&nbl_engine_part(f)->stack->restart_wanted, true);
}

const struct nbl_engine_ops nbl_engine = {
	.originate = originate,
	.stop_own = stop_own,
	.cancel = cancel,
	.pause_complete = pause_complete,
	.wake = wake,
	.status = status,
	.request = request,
	.want_restart = want_restart,
};
