/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/limits.h"

#include <errno.h>
#include <string.h>

#include "core/holding_internal.h"
#include "stack/hops.h"

#define WARN_AGAIN_MS	10000
/* references beyond the limit, a lane: more were not taken unawares */
#define PAST_LIMIT	(2 * NBL_BURST)

/* ---- what there is ---- */

/* On account of 'sm' now: references, and clones of both kinds. */
static void get_pinned(const struct nbl_stack_module *sm, uint64_t *ret_references,
		       uint64_t *ret_clones)
{
	struct nbl_holding h;
	uint32_t clones;

	nbl_holding_get(sm->id, &h);
	clones = h.clones + h.deep_clones;
	*ret_references = h.references > sm->references_before ?
			  h.references - sm->references_before : 0;
	*ret_clones = clones > sm->clones_before ? clones - sm->clones_before : 0;
}

static uint64_t positive(int64_t n)
{
	return n > 0 ? (uint64_t)n : 0;
}

void nbl_limits_get_outstanding(const struct nbl_stack *s, const struct nbl_stack_module *sm,
				uint64_t ret_counts[NBL_N_OUTSTANDING])
{
	memset(ret_counts, 0, NBL_N_OUTSTANDING * sizeof(*ret_counts));
	for (uint32_t l = 0; l < s->n_lanes; l++) {
		const struct nbl_filter *f = &sm->filters[l].f;

		ret_counts[NBL_QUEUED_RECEIVE] += positive(f->held - f->held_sends);
		ret_counts[NBL_QUEUED_SEND] += positive(f->held_sends);
		ret_counts[NBL_ORIGINATED_SEND] += positive(f->n_originated_sends);
		ret_counts[NBL_ORIGINATED_RECEIVE] +=
			positive(f->n_originated - f->n_originated_sends);
	}
	get_pinned(sm, &ret_counts[NBL_REFERENCES], &ret_counts[NBL_CLONES]);
}

const char *nbl_outstanding_name(enum nbl_outstanding what)
{
	static const char *const names[] = {
		"queued receive", "queued send", "originated send", "originated receive",
		"references", "clones",
	};

	return what < NBL_N_OUTSTANDING ? names[what] : "?";
}

const char *nbl_health_name(enum nbl_module_health health)
{
	static const char *const names[] = { "ok", "warned", "limited", "unhealthy" };

	return health < NBL_N_HEALTHS ? names[health] : "?";
}

/* ---- limits ---- */

/*
 * Frames that a share is a share of: all it holds may have come by one queue, which must not
 * run dry. The whole is no limit: it is that of all queues.
 */
static uint64_t n_shared_frames(const struct nbl_lane *lane, uint32_t max_share)
{
	uint64_t sum = 0, least = UINT64_MAX;

	for (uint32_t i = 0; i < lane->n_queues; i++) {
		sum += lane->queues[i].n_frames;
		if (lane->queues[i].n_frames < least)
			least = lane->queues[i].n_frames;
	}
	return max_share < 100 ? least : sum;
}

/*
 * What a module may hold of one lane: its share of a queue's frames, and of max-held. At least 1.
 */
static int64_t most_on(const struct nbl_stack *s, const struct nbl_module_limits *limits,
		       const struct nbl_lane *lane)
{
	uint64_t most = n_shared_frames(lane, limits->max_share) * limits->max_share / 100;
	uint64_t share = (limits->max_held + s->n_lanes - 1) / s->n_lanes;

	if (limits->max_held && share < most)
		most = share;
	return most ? (int64_t)most : 1;
}

static uint64_t most_of_all(const struct nbl_stack *s, const struct nbl_stack_module *sm)
{
	uint64_t most = 0;

	for (uint32_t l = 0; l < s->n_lanes; l++)
		most += (uint64_t)sm->filters[l].most_held;
	return most;
}

static void tell_holding(const struct nbl_stack *s, const struct nbl_stack_module *sm,
			 bool copies_only)
{
	const struct nbl_holding_limits limits = {
		.max[NBL_TIER_HELD] = sm->references_before + (uint32_t)most_of_all(s, sm),
		.copies_only = copies_only,
	};

	nbl_holding_set_limits(sm->id, &limits);
}

void nbl_limits_begin(struct nbl_stack *s, struct nbl_stack_module *sm)
{
	struct nbl_holding h;

	nbl_holding_forget(sm->id);
	nbl_holding_get(sm->id, &h);
	sm->references_before = h.references;
	sm->clones_before = h.clones + h.deep_clones;
	for (uint32_t l = 0; l < s->n_lanes; l++)
		sm->filters[l].most_held = most_on(s, &sm->settings.limits, &s->lanes[l]);
	tell_holding(s, sm, false);
}

void nbl_limits_end(const struct nbl_stack_module *sm)
{
	const struct nbl_holding_limits none = { .copies_only = false };

	nbl_holding_set_limits(sm->id, &none);
}

/*
 * True if 'sm' took references to what it was only lent, and so pins more than it may. Nothing
 * can refuse a reference; a burst that was its own may have taken it past its limit.
 */
static bool takes_what_it_is_lent(const struct nbl_stack *s, const struct nbl_stack_module *sm)
{
	struct nbl_holding h;
	uint64_t most = most_of_all(s, sm) + (uint64_t)s->n_lanes * PAST_LIMIT;

	nbl_holding_get(sm->id, &h);
	return h.references > sm->references_before && h.references - sm->references_before >= most;
}

enum nbl_gate nbl_limits_gate(const struct nbl_lane_filter *lf)
{
	bool is_over = lf->f.held >= lf->most_held;
	uint64_t references, clones;

	if ((int64_t)lf->lane->figures.frames[NBL_FRAME_HELD] < lf->most_held)
		return is_over ? NBL_GATE_LIMITED : NBL_GATE_OPEN;
	if (takes_what_it_is_lent(lf->stack, lf->of))
		return NBL_GATE_PAST;
	get_pinned(lf->of, &references, &clones);
	is_over |= references + clones >= most_of_all(lf->stack, lf->of);
	return is_over ? NBL_GATE_LIMITED : NBL_GATE_OPEN;
}

void nbl_limits_set_gates(struct nbl_stack *s, struct nbl_stack_module *sm)
{
	enum nbl_gate gate = NBL_GATE_OPEN;

	if (!nbl_module_state_passes(sm->life.state))
		gate = NBL_GATE_SHUT;
	else if (sm->health == NBL_HEALTH_UNHEALTHY)
		gate = NBL_GATE_PAST;
	else if (sm->health == NBL_HEALTH_LIMITED)
		gate = NBL_GATE_LIMITED;
	for (uint32_t l = 0; l < s->n_lanes; l++)
		__atomic_store_n(&sm->filters[l].gate, (uint8_t)gate, __ATOMIC_RELAXED);
}

/* ---- checking ---- */

/* What the ledger says of one holder. */
struct hold {
	uint32_t n_frames, oldest_ms;
};

static void look_at_ledger(const struct nbl_stack *s, uint32_t now_ms,
			   struct hold ret_holds[NBL_MAX_MODULES + 1])
{
	for (uint32_t l = 0; l < s->n_lanes; l++) {
		const struct nbl_lane *lane = &s->lanes[l];

		for (uint32_t q = 0; q < lane->n_queues; q++) {
			uint32_t first = lane->queues[q].first_frame;

			for (uint32_t f = first; f < first + lane->queues[q].n_frames; f++) {
				struct nbl_ledger_entry e =
					nbl_ledger_get(&lane->memory->ledger, f);
				int32_t age = (int32_t)(now_ms - e.slot);

				if (e.state != NBL_FRAME_HELD || !e.holder ||
				    e.holder > NBL_MAX_MODULES)
					continue;
				ret_holds[e.holder].n_frames++;
				if (age > (int32_t)ret_holds[e.holder].oldest_ms)
					ret_holds[e.holder].oldest_ms = (uint32_t)age;
			}
		}
	}
}

static void warn(struct nbl_stack_module *sm, uint32_t now_ms)
{
	struct nbl_module_warning *w = &sm->warning;

	if (w->number && now_ms - w->at_ms < WARN_AGAIN_MS)
		return;
	*w = (struct nbl_module_warning){
		.number = w->number + 1, .at_ms = now_ms, .age_ms = sm->oldest_ms,
		.n_frames = sm->n_frames,
	};
}

/* Half the hard age warns too: whoever is warned has time left. */
static bool is_too_old(const struct nbl_module_limits *limits, uint32_t age_ms)
{
	return (limits->soft_age_ms && age_ms > limits->soft_age_ms) ||
	       (limits->hard_age_ms && age_ms > limits->hard_age_ms / 2);
}

static enum nbl_module_health judge(const struct nbl_stack *s, const struct nbl_stack_module *sm)
{
	const struct nbl_module_limits *limits = &sm->settings.limits;
	uint64_t counts[NBL_N_OUTSTANDING];
	uint64_t most = most_of_all(s, sm);

	if (sm->health == NBL_HEALTH_UNHEALTHY || takes_what_it_is_lent(s, sm) ||
	    (limits->hard_age_ms && sm->oldest_ms > limits->hard_age_ms))
		return NBL_HEALTH_UNHEALTHY;
	nbl_limits_get_outstanding(s, sm, counts);
	if (counts[NBL_QUEUED_RECEIVE] + counts[NBL_QUEUED_SEND] >= most ||
	    counts[NBL_REFERENCES] + counts[NBL_CLONES] >= most)
		return NBL_HEALTH_LIMITED;
	return is_too_old(limits, sm->oldest_ms) ? NBL_HEALTH_WARNED : NBL_HEALTH_OK;
}

void nbl_stack_check_limits(struct nbl_stack *s, uint32_t now_ms)
{
	struct hold holds[NBL_MAX_MODULES + 1] = { { 0 } };

	pthread_mutex_lock(&s->mutex);
	look_at_ledger(s, now_ms, holds);
	for (uint32_t i = 0; i < s->n_modules; i++) {
		struct nbl_stack_module *sm = &s->modules[i];
		enum nbl_module_health health;

		sm->n_frames = holds[sm->id].n_frames;
		sm->oldest_ms = holds[sm->id].oldest_ms;
		if (is_too_old(&sm->settings.limits, sm->oldest_ms))
			warn(sm, now_ms);
		health = judge(s, sm);
		if (health == sm->health)
			continue;
		sm->health = health;
		tell_holding(s, sm, health >= NBL_HEALTH_LIMITED);
		nbl_limits_set_gates(s, sm);
	}
	pthread_mutex_unlock(&s->mutex);
}

/* ---- telling ---- */

int nbl_stack_report(struct nbl_stack *s, uint32_t i, struct nbl_module_report *ret)
{
	const struct nbl_stack_module *sm = &s->modules[i];
	struct nbl_holding h;

	if (i >= s->n_modules)
		return -EINVAL;
	pthread_mutex_lock(&s->mutex);
	nbl_holding_get(sm->id, &h);
	*ret = (struct nbl_module_report){
		.id = sm->id, .state = sm->life.state, .health = sm->health,
		.settings = sm->settings, .bypass = sm->bypass, .deep_clones = h.deep_clones,
		.fresh = h.fresh, .n_frames = sm->n_frames, .oldest_ms = sm->oldest_ms,
		.n_rejected = sm->life.n_rejected, .warning = sm->warning,
	};
	strncpy(ret->name, sm->module->name, sizeof(ret->name) - 1);
	nbl_limits_get_outstanding(s, sm, ret->outstanding);
	for (uint32_t l = 0; l < s->n_lanes; l++) {
		ret->packets += sm->filters[l].f.packets;
		ret->faults += s->lanes[l].figures.modules[sm->id].faults;
		ret->lent += sm->filters[l].lent;
		ret->skipped += sm->filters[l].skipped;
	}
	pthread_mutex_unlock(&s->mutex);
	return 0;
}
