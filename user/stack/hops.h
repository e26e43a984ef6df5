/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hops.h - what stands between one module's call and the next one's handler, and at the
 * edges. All on lane threads; each takes its chain as the path it is on says.
 */
#ifndef STACK_HOPS_H
#define STACK_HOPS_H

#include <nbl/holding.h>

#include "stack/stack.h"

/*
 * A drop whose place is known: n->holder. No enum nbl_outcome, and so counted as RETURNED; what
 * passes it on cannot take the blame.
 */
#define NBL_OUTCOME_DROP_NOTED 0x80

static inline struct nbl_lane_filter *nbl_engine_part(struct nbl_filter *f)
{
	return (struct nbl_lane_filter *)(void *)((uint8_t *)f -
						  offsetof(struct nbl_lane_filter, f));
}

/* Around every call of a module: on whose account it is, and whose drops are what it gives back. */
struct nbl_call {
	uint16_t holder, giver;
};

static inline struct nbl_call nbl_call_begin(struct nbl_filter *f, bool is_way_back)
{
	struct nbl_call before = { nbl_holder_enter(f->id), f->giver };

	f->giver = is_way_back ? 0 : f->id;
	return before;
}

static inline void nbl_call_end(struct nbl_filter *f, struct nbl_call before)
{
	f->giver = before.giver;
	nbl_holder_enter(before.holder);
}

/* Counts a broken rule, 'what' (borrows for ever), of the module of 'f'. */
void nbl_blame(struct nbl_filter *f, const char *what);

typedef void nbl_hop_fn(struct nbl_filter *to, struct nbl_chain chain, uint32_t port,
			uint32_t flags);

/* To the handlers of 'to'. */
nbl_hop_fn nbl_hop_receive, nbl_hop_receive_return, nbl_hop_send, nbl_hop_send_complete;

/* On the way back past a module that is bypassed: only its own stop there. */
nbl_hop_fn nbl_hop_own_return, nbl_hop_own_complete;

/* The ends of the paths; 'from' is who passed the chain there. */
nbl_hop_fn nbl_edge_upper, nbl_edge_lower, nbl_edge_home;

/* What enters a stack that is not open goes back: a send is completed PAUSED (FS-06). */
nbl_hop_fn nbl_closed_receive, nbl_closed_send;

/*
 * borrow.c: shows 'chain', lent by whoever indicated it, to 'to'. Its links are as
 * they were on return. Rules: RX-04, RX-05.
 */
void nbl_hop_lent(struct nbl_filter *to, struct nbl_chain chain, uint32_t port, uint32_t flags);

/*
 * borrow.c: lends 'chain' (takes) to 'to', which may not keep it, then
 * gives back what was not sent. Rule: HP-04.
 */
void nbl_hop_lend(struct nbl_filter *to, struct nbl_chain chain, uint32_t port, uint32_t flags);

/* hops.c: 'n' goes past 'lf' now, and so on its way back. */
void nbl_hop_note_past(struct nbl_lane_filter *lf, struct nbl *n);

/* hops.c: the accounts before and after receive(), for borrow.c. */
struct nbl_call nbl_hop_enter(struct nbl_filter *to, const struct nbl_chain *chain,
			      bool is_way_back);
void nbl_hop_leave(struct nbl_filter *to, struct nbl_call before);

/* engine.c: what modules call besides. */
extern const struct nbl_engine_ops nbl_engine;

/*
 * engine.c: the end of NBLs that modules originated, if none of them
 * took them (takes 'chain'): nbl_end_fn. 'arg' is the stack. Lane thread.
 */
void nbl_end_of_modules(void *arg, struct nbl_lane *lane, struct nbl_chain chain);

/*
 * engine.c: has modules below 'from' (NULL: all), then the lower port, complete queued sends with
 * this cancel id as SEND_ABORTED. Lane thread. Rules: CN-02, CN-04.
 */
void nbl_lane_cancel_sends(struct nbl_lane *lane, struct nbl_filter *from, uint64_t cancel_id);

/*
 * engine.c: tells the modules of 'lane' above 'from' (NULL: all)
 * (borrows 'si'). Lane thread. Rule: FS-13.
 */
void nbl_lane_pass_status(struct nbl_lane *lane, struct nbl_filter *from,
			  const struct nbl_status_indication *si);

/*
 * engine.c: asks the modules of 'lane' below 'from' (NULL: all), then the lower port. Rule: FS-13.
 */
int nbl_lane_pass_request(struct nbl_lane *lane, struct nbl_stack *s, struct nbl_filter *from,
			  struct nbl_request *r);

#endif
