// SPDX-License-Identifier: BSD-2-Clause
/* stack_inject.c - injected NBLs: into the lanes, and back to whoever injected them. */
#include <errno.h>
#include <time.h>

#include "core/nbl_internal.h"
#include "filter/stack_module_internal.h"
#include "filter/wfp_internal.h"

#define MOST_ENTERED 4096	/* injections that wait for one lane */

static bool is_sent(enum nbl_inject_path path)
{
	return path == NBL_PATH_MAC_SEND || path == NBL_PATH_NETWORK_SEND ||
	       path == NBL_PATH_TRANSPORT_SEND || path == NBL_PATH_FORWARD;
}

/* True if the lane has a queue on 'side' whose interface was there when it last sent. */
static bool lane_is_up(const struct nbl_lane *lane, enum nbl_side side)
{
	uint32_t first = side == NBL_LOWER ? 0 : lane->n_lower;
	uint32_t end = side == NBL_LOWER ? lane->n_lower : lane->n_queues;

	for (uint32_t i = first; i < end; i++) {
		if (!__atomic_load_n(&lane->queues[i].down, __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

static int ready(void *arg, enum nbl_inject_path path, const struct nbl_inject_target *target)
{
	struct filter *c = arg;
	enum nbl_side side = is_sent(path) ? NBL_LOWER : NBL_UPPER;

	/* the default port is the only one (IN-15) */
	if (target->port || target->interface)
		return -ENXIO;
	if (!c->lanes || atomic_load_explicit(&c->down[side], memory_order_relaxed))
		return -EAGAIN;
	for (uint32_t i = 0; i < c->n_lanes; i++) {
		if (lane_is_up(&c->lanes[i], side))
			return 0;
	}
	return -EAGAIN;
}

/* The lane this thread acts for, or n_lanes. */
static uint32_t lane_at_hand(const struct filter *c)
{
	uint32_t i = 0;

	while (i < c->n_lanes && !nbl_lane_is_current(&c->lanes[i]))
		i++;
	return i;
}

/* The lane 'n' or its ancestors came by, so that a flow keeps its order; else the caller's own. */
static uint32_t lane_for(const struct filter *c, const struct nbl *n)
{
	const struct nbl *root = n;

	while (root->parent)
		root = root->parent;
	if (root->kind == NBL_KIND_RECEIVE)
		return nbl_lane_home_queue(root)->lane->index;
	if (lane_at_hand(c) < c->n_lanes)
		return lane_at_hand(c);
	return nbl_lane_for(c->lanes, c->n_lanes, n);
}

/* What is gathered for lane 'l'. */
static struct nbl_chain *gathered(struct filter *c, uint32_t l, enum nbl_entry entry)
{
	struct filter_lane *state = atomic_load(&c->on)[l].f.lane_state;

	return &state->gathered[entry];
}

void filter_gather_entered(struct filter *c, uint32_t l)
{
	struct nbl_lane *lane = &c->lanes[l];

	for (int e = 0; e < NBL_N_ENTRIES; e++) {
		struct nbl *last = NULL, *next;

		/* latest first: turned round */
		for (struct nbl *n = nbl_returns_take(&lane->entries[e]); n; n = next) {
			next = n->next;
			n->next = last;
			last = n;
			atomic_fetch_sub(&lane->n_entered, 1);
		}
		for (struct nbl *n = last; n; n = next) {
			next = n->next;
			if (nbl_inject_is_pending(n))
				nbl_chain_append(gathered(c, l, (enum nbl_entry)e), n);
			else
				nbl_lane_enter_nbl(lane, (enum nbl_entry)e, n);
		}
	}
}

static int submit(void *arg, enum nbl_inject_path path, struct nbl *n)
{
	struct filter *c = arg;
	enum nbl_entry entry = is_sent(path) ? NBL_ENTRY_SEND : NBL_ENTRY_RECEIVE;
	struct nbl_lane *lane = &c->lanes[lane_for(c, n)];

	/* lanes are at rest, or this is the only one's thread */
	if (NBL_UNLIKELY(atomic_load_explicit(&c->gathers, memory_order_relaxed)) &&
	    lane_at_hand(c) < c->n_lanes) {
		nbl_chain_append(gathered(c, lane->index, entry), n);
		return 0;
	}
	if (atomic_load_explicit(&lane->n_entered, memory_order_relaxed) >= MOST_ENTERED)
		return -ENOBUFS;
	nbl_lane_enter_nbl(lane, entry, n);
	return 0;
}

/* How a received NBL left the stack, for its tags. Rule: TG-01. */
static uint8_t left(void *arg, const struct nbl *n)
{
	(void)arg;
	if (n->kind != NBL_KIND_RECEIVE ||
	    (n->outcome != NBL_OUTCOME_TO_WIRE && n->outcome != NBL_OUTCOME_TO_HOST))
		return NBL_TAG_REMOVED;
	return nbl_lane_queue_side(nbl_lane_home_queue(n)) == NBL_LOWER ? NBL_TAG_RECEIVE_COMPLETE
									: NBL_TAG_SEND_COMPLETE;
}

/* Around each call of a callout (CL-09); packets that call none never come here. */
static uint64_t clock_ns(void *arg)
{
	struct timespec now;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

struct nbl_wfp_ops filter_ops(struct filter *c)
{
	return (struct nbl_wfp_ops){ .ready = ready, .submit = submit, .clock = clock_ns,
				     .left = left, .arg = c };
}

/* ---- the end of paths ---- */

/* One that was injected once, or whose parents were, and is not now: its owner's claim ends. */
static void let_go(struct nbl_lane *lane, struct nbl *n)
{
	if (n->kind == NBL_KIND_RECEIVE)
		nbl_lane_mark_kept(lane, n);
	nbl_release(n);
}

/* Those that have in common how they ended, and whose they are. */
struct group {
	struct nbl_chain chain;
	struct nbl_wfp *wfp;
	int32_t status;
};

static void complete(struct group *g)
{
	if (g->chain.head)
		nbl_inject_complete_chain(g->wfp, nbl_chain_take(&g->chain),
					  nbl_inject_status(g->status));
}

/* Gives back injected NBLs, also those of an engine that is no longer in the stack. */
static void ended(void *arg, struct nbl_lane *lane, struct nbl_chain chain)
{
	struct filter *c = arg;
	struct group g = { .wfp = c->wfp };
	struct nbl *n;

	while ((n = nbl_chain_pop(&chain))) {
		if (!nbl_inject_is_pending(n)) {
			let_go(lane, n);
			continue;
		}
		if (n->kind == NBL_KIND_RECEIVE)
			nbl_lane_mark_kept(lane, n);
		if (n->status != g.status || wfp_engine(wfp_record_get(n).engine) != g.wfp)
			complete(&g);
		g.status = n->status;
		g.wfp = wfp_engine(wfp_record_get(n).engine);
		nbl_chain_append(&g.chain, n);
	}
	complete(&g);
	filter_end_pause(c);
}

static const struct nbl_stack *stack;

void filter_set_stack(const struct nbl_stack *s)
{
	stack = s;
}

void filter_join(struct filter *c)
{
	if (!c->lanes && stack) {
		c->lanes = stack->lanes;
		c->n_lanes = stack->n_lanes;
	}
	if (!c->lanes)
		return;
	for (uint32_t l = 0; l < c->n_lanes; l++)
		nbl_lane_set_end(&c->lanes[l], NBL_ORIGIN_WFP, ended, c);
	c->wfp->params.pool = c->lanes[0].pool;
	c->wfp->params.n_frames = nbl_memory_n_frames(&c->lanes[0].memory->shape);
}

/* ---- pausing ---- */

bool filter_is_idle(const struct filter *c)
{
	if (nbl_wfp_is_injecting(c->wfp))
		return false;
	for (uint32_t i = 0; i < NBL_MAX_CALLOUTS; i++) {
		if (atomic_load(&c->wfp->callouts[i].holds))
			return false;
	}
	return true;
}

void filter_end_pause(struct filter *c)
{
	struct nbl_lane_filter *on = atomic_load(&c->on);

	if (atomic_load_explicit(&c->pausing, memory_order_relaxed) && on && filter_is_idle(c) &&
	    atomic_exchange(&c->pausing, false))
		nbl_filter_pause_complete(&on[0].f);
}
