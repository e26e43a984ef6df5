// SPDX-License-Identifier: BSD-2-Clause
/* stack_module.c - the filter engine as a module: what it is shown, what becomes of it. */
#include <nbl/holding.h>

#include "filter/stack_module_internal.h"
#include "filter/wfp_internal.h"

#define AGE_NS 1000000000ull	/* between two looks at idle flows, */
#define AGE_STEP_NS 1000000ull	/* and between the steps of one */

/* ---- classifying ---- */

/* What packets must have in common to be classified together. */
struct kind {
	bool injected;
	uint8_t path;			/* enum nbl_inject_path, if injected */
	uint32_t queue;
};

static uint32_t queue_of(const struct nbl *n)
{
	return n->kind == NBL_KIND_RECEIVE ? nbl_lane_home_queue(n)->q.index : 0;
}

static struct kind kind_of(const struct nbl *n)
{
	struct wfp_record r = wfp_record_get(n);

	return (struct kind){ .injected = r.pending, .path = r.pending ? r.path : 0,
			      .queue = queue_of(n) };
}

static bool same_kind(struct kind a, struct kind b)
{
	return a.injected == b.injected && a.path == b.path && a.queue == b.queue;
}

static void add(struct nbl_wfp_result *to, struct nbl_wfp_result from)
{
	nbl_chain_join(&to->passed, &from.passed);
	nbl_chain_join(&to->dropped, &from.dropped);
	nbl_chain_join(&to->absorbed, &from.absorbed);
}

/* The same for a chain with injected packets, or from several queues: run by run. Rule: IN-08. */
static struct nbl_wfp_result classify_runs(const struct filter *c, enum wfp_way way,
					   struct nbl_chain chain, struct nbl_wfp_env *env)
{
	struct nbl_wfp_result result = { 0 };

	while (chain.head) {
		struct kind kind = kind_of(chain.head);
		struct nbl_chain run = NBL_CHAIN_EMPTY;

		while (chain.head && same_kind(kind, kind_of(chain.head)))
			nbl_chain_append(&run, nbl_chain_pop(&chain));
		env->queue = kind.queue;
		if (kind.injected)
			add(&result, nbl_wfp_classify_injected(c->wfp,
							       (enum nbl_inject_path)kind.path,
							       run, env));
		else
			add(&result, nbl_wfp_classify_way(c->wfp, way, run, env));
	}
	return result;
}

static struct nbl_wfp_result classify(struct nbl_filter *f, enum wfp_way way,
				      struct nbl_chain chain, uint32_t port, bool borrowed)
{
	const struct filter *c = f->context;
	struct nbl_wfp_env env = {
		.slot = f->lane, .holder = f->id, .port = port, .now_ns = f->now_ns,
		.direction = way == WFP_WAY_SEND ? NBL_DIRECTION_OUTBOUND : NBL_DIRECTION_INBOUND,
		.queue = queue_of(chain.head), .borrowed = borrowed,
	};
	uint16_t before = nbl_holder_enter(f->id);
	struct nbl_wfp_result result;

	if (NBL_UNLIKELY(nbl_wfp_is_injecting(c->wfp) ||
			 (c->lanes && c->lanes[f->lane].n_queues > NBL_N_SIDES)))
		result = classify_runs(c, way, chain, &env);
	else
		result = nbl_wfp_classify_way(c->wfp, way, chain, &env);
	nbl_holder_enter(before);
	return result;
}

/* Notes where the module on lane 0 is: all lanes say the same. */
static void note_place(struct nbl_filter *f)
{
	struct filter *c = f->context;

	if (NBL_UNLIKELY(!atomic_load_explicit(&c->on, memory_order_relaxed)))
		atomic_store(&c->on, (struct nbl_lane_filter *)(void *)((uint8_t *)f -
				     offsetof(struct nbl_lane_filter, f)) - f->lane);
}

/* Has the timer of lane 0 run soon if there is something for it to do. */
static void call_timer(struct nbl_filter *f, bool absorbed)
{
	struct filter *c = f->context;

	note_place(f);
	if (NBL_LIKELY(!absorbed && !nbl_wfp_has_flows(c->wfp)))
		return;
	if (!absorbed && atomic_load(&c->ages))
		return;
	if (!f->lane)
		f->wake_ns = f->now_ns;
	else
		nbl_filter_wake(&atomic_load(&c->on)[0].f);
}

/* ---- handlers ---- */

/*
 * Shown and given back as it came: what passes is lent on, the rest stays in its
 * place with its outcome written, until its owner has it again. Rules: RX-05, RX-09.
 */
static void receive_borrowed(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			     uint32_t flags)
{
	struct nbl_chain as_it_was = NBL_CHAIN_EMPTY;
	bool absorbed = false;

	while (chain.head) {
		struct nbl *nbls[WFP_BURST];
		struct nbl_chain part = NBL_CHAIN_EMPTY;
		struct nbl_wfp_result r;
		uint32_t n = 0;

		while (n < WFP_BURST && chain.head) {
			nbls[n] = nbl_chain_pop(&chain);
			nbl_chain_append(&part, nbls[n++]);
		}
		r = classify(f, WFP_WAY_RECEIVE, part, port, true);
		absorbed |= r.absorbed.head != NULL;
		if (r.passed.head)
			nbl_filter_indicate(f, r.passed, port, flags);
		for (uint32_t i = 0; i < n; i++)
			nbl_chain_append(&as_it_was, nbls[i]);
	}
	call_timer(f, absorbed);
}

static void filter_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			   uint32_t flags)
{
	const struct filter *c = f->context;
	struct nbl_wfp_result r;

	if (!nbl_wfp_wants(c->wfp, WFP_WAY_RECEIVE)) {
		nbl_filter_indicate(f, chain, port, flags);
		return;
	}
	if (NBL_UNLIKELY(flags & NBL_RECEIVE_RESOURCES)) {
		receive_borrowed(f, chain, port, flags);
		return;
	}
	r = classify(f, WFP_WAY_RECEIVE, chain, port, false);
	call_timer(f, r.absorbed.head);
	if (r.dropped.head)
		nbl_filter_return(f, r.dropped);
	/* its owner's claim ends where it came from: what the callout has of it keeps it (CL-05) */
	if (r.absorbed.head)
		nbl_filter_return(f, r.absorbed);
	if (r.passed.head)
		nbl_filter_indicate(f, r.passed, port, flags);
}

static void filter_send(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	const struct filter *c = f->context;
	struct nbl_wfp_result r;

	if (!nbl_wfp_wants(c->wfp, WFP_WAY_SEND)) {
		nbl_filter_send(f, chain, port, flags);
		return;
	}
	r = classify(f, WFP_WAY_SEND, chain, port, false);
	call_timer(f, r.absorbed.head);
	if (r.dropped.head)
		nbl_filter_complete(f, r.dropped);
	if (r.absorbed.head)
		nbl_filter_complete(f, r.absorbed);
	if (r.passed.head)
		nbl_filter_send(f, r.passed, port, flags);
}

/* ---- what was absorbed ---- */

/* Has the callouts work off what is due. Returns when the next is. */
static uint64_t run_callouts(const struct filter *c, uint16_t holder, uint64_t now_ns)
{
	uint16_t before = nbl_holder_enter(holder);
	uint64_t next = 0;

	for (uint32_t i = 0; i < c->n_callouts; i++) {
		const struct filter_loaded *l = &c->callouts[i];
		uint64_t wanted = l->kind->run ? l->kind->run(l->context, now_ns) : 0;

		if (wanted && (!next || wanted < next))
			next = wanted;
	}
	nbl_holder_enter(before);
	return next;
}

/*
 * What was injected while the stack is closed at its ends goes on from here: shown once more,
 * as any injected packet, then past those beyond. It was handed to nobody, so it is not
 * counted as handed on. True if there was any.
 */
static bool pass_gathered(struct nbl_filter *f)
{
	const struct filter *c = f->context;
	struct filter_lane *state = f->lane_state;
	bool any = false;

	for (int e = 0; e < NBL_N_ENTRIES; e++) {
		bool sends = e == NBL_ENTRY_SEND;
		const struct nbl_hop *on = sends ? &f->send : &f->indicate;
		const struct nbl_hop *back = sends ? &f->complete : &f->give_back;
		struct nbl_chain chain = nbl_chain_take(&state->gathered[e]);
		struct nbl_wfp_result r;

		if (!chain.head)
			continue;
		any = true;
		nbl_lane_note_entered(&c->lanes[f->lane], &chain);
		r = classify(f, sends ? WFP_WAY_SEND : WFP_WAY_RECEIVE, chain, 0, false);
		nbl_chain_join(&r.dropped, &r.absorbed);
		if (r.dropped.head)
			back->handle(back->to, r.dropped, 0, 0);
		if (r.passed.head)
			on->handle(on->to, r.passed, 0, 0);
	}
	return any;
}

/* Until callouts have nothing left to decide. What is injected meanwhile is gathered. */
static void work_off(struct nbl_filter *f)
{
	struct filter *c = f->context;

	atomic_store(&c->gathers, true);
	for (int i = 0; i <= NBL_MAX_INJECTIONS; i++) {
		if (!f->lane)
			run_callouts(c, f->id, UINT64_MAX);
		if (!pass_gathered(f))
			break;
	}
	atomic_store(&c->gathers, false);
}

#define PAUSE_LOOK_NS 1000000ull	/* while a pause waits for what others hold */

static uint64_t filter_timer(struct nbl_filter *f, uint64_t now_ns)
{
	struct filter *c = f->context;
	bool pausing = atomic_load_explicit(&c->pausing, memory_order_relaxed);
	uint64_t next;

	if (f->lane)
		return 0;
	if (pausing) {
		/* with several lanes the others run: what is gathered for them would be theirs */
		if (c->n_lanes == 1)
			work_off(f);
		else
			run_callouts(c, f->id, UINT64_MAX);
		filter_end_pause(c);
		return now_ns + PAUSE_LOOK_NS;
	}
	next = run_callouts(c, f->id, now_ns);
	/* before the look: who adds the first flow behind it sees that it has to call */
	atomic_store(&c->ages, false);
	if (!nbl_wfp_has_flows(c->wfp))
		return next;
	atomic_store(&c->ages, true);
	if (c->age_ns <= now_ns)
		c->age_ns = now_ns + (nbl_wfp_age(c->wfp, now_ns) ? AGE_NS : AGE_STEP_NS);
	return next && next < c->age_ns ? next : c->age_ns;
}

/*
 * What callouts keep is decided, injected, and sent from here, for the stack may be closed
 * at its ends; what is then with the kernel, or held by somebody, is waited for.
 * Rules: CL-12, FS-04.
 */
static int filter_pause(struct nbl_filter *f)
{
	struct filter *c = f->context;

	note_place(f);
	if (c->lanes) {
		filter_gather_entered(c, f->lane);
		work_off(f);
	}
	if (f->lane || filter_is_idle(c))
		return 0;
	atomic_store(&c->pausing, true);
	f->wake_ns = f->now_ns + PAUSE_LOOK_NS;
	return NBL_PENDING;
}

static int filter_restart(void *context, struct nbl_restart *r, char *error, size_t error_size)
{
	struct filter *c = context;

	(void)error;
	(void)error_size;
	filter_join(c);
	atomic_store(&c->pausing, false);
	if (!nbl_wfp_wants(c->wfp, WFP_WAY_RECEIVE))
		r->bypass |= NBL_MODULE_RECEIVE;
	if (!nbl_wfp_wants(c->wfp, WFP_WAY_SEND))
		r->bypass |= NBL_MODULE_SEND;
	return 0;
}

static void filter_status(struct nbl_filter *f, const struct nbl_status_indication *s)
{
	struct filter *c = f->context;

	if (s->side < NBL_N_SIDES && s->event != NBL_EVENT_RESET)
		atomic_store_explicit(&c->down[s->side], s->event == NBL_EVENT_LINK_DOWN,
				      memory_order_relaxed);
	nbl_filter_pass_status(f, s);
}

const struct nbl_module nbl_module_filter = {
	.version = NBL_MODULE_VERSION,
	.size = sizeof(struct nbl_module),
	.name = "filter",
	.help = "permits, blocks or shows to callouts what matches its rules",
	.options_help = "rule=LAYER [FIELD=VALUE ...] permit|block|callout:NAME|inspect:NAME "
			"[weight=N] [sublayer=N] [hard]; ... (also rule1= and so on) "
			"callouts=NAME [KEY=VALUE ...], ...: inspect-inline, modify-inline, "
			"inspect-oob, modify-oob",
	.lane_state_size = sizeof(struct filter_lane),
	.attach = filter_attach,
	.restart = filter_restart,
	.detach = filter_detach,
	.receive = filter_receive,
	.send = filter_send,
	.timer = filter_timer,
	.pause = filter_pause,
	.status = filter_status,
};
