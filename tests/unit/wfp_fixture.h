/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wfp_fixture.h - an engine, a stack that only queues, and callouts that do as they are told.
 *
 * teardown then claims, besides what unit.h claims: nothing is registered, held
 * or queued any more, and every injection that was accepted was completed.
 */
#ifndef WFP_FIXTURE_H
#define WFP_FIXTURE_H

#include <nbl/tag.h>

#include "filter/wfp_internal.h"
#include "wfp_packets.h"

#define FIX_MAX_QUEUED 512
#define FIX_OWNER 7
#define FIX_IDLE_NS 1000000000ull
#define ALL_LAYERS ((1u << NBL_N_LAYERS) - 1)

struct fix {
	struct nbl_wfp *wfp;
	struct nbl_wfp_env env;
	/* what the stack was given, in order */
	struct { enum nbl_inject_path path; struct nbl *n; } queued[FIX_MAX_QUEUED];
	uint32_t n_queued;
	int ready, submit;		/* what the stack answers */
	uint32_t submits_before_failure;
	bool any_port;			/* the stack has them all */
	bool at_once;			/* completes in submit() */
	uint64_t now_ns;
};

static struct fix fix;

static int fix_ready(void *arg, enum nbl_inject_path path, const struct nbl_inject_target *target)
{
	if (target->port > 3 && !fix.any_port)
		return -ENXIO;
	return fix.ready;
}

static int fix_submit(void *arg, enum nbl_inject_path path, struct nbl *n)
{
	ck_assert(nbl_inject_is_pending(n));
	ck_assert_ptr_null(n->next);
	if (fix.submit && !fix.submits_before_failure)
		return fix.submit;
	if (fix.submits_before_failure)
		fix.submits_before_failure--;
	if (fix.at_once) {
		ck_assert_int_eq(nbl_inject_complete(fix.wfp, n, 0), 0);
		return 0;
	}
	ck_assert_uint_lt(fix.n_queued, FIX_MAX_QUEUED);
	fix.queued[fix.n_queued].path = path;
	fix.queued[fix.n_queued++].n = n;
	return 0;
}

static uint64_t fix_clock(void *arg)
{
	return fix.now_ns;
}

UNIT_UNUSED static struct nbl_wfp_params fix_params(void)
{
	return (struct nbl_wfp_params){
		.ops = { .ready = fix_ready, .submit = fix_submit, .clock = fix_clock },
		.n_slots = 4,
		.n_flows = 16,
		.flow_idle_ns = FIX_IDLE_NS,
		.n_tag_contexts = 8,
		.pool = unit.data,
	};
}

UNIT_UNUSED static void fix_begin(const struct nbl_wfp_params *params)
{
	memset(&fix, 0, sizeof(fix));
	fix.now_ns = 1000;
	fix.env = (struct nbl_wfp_env){ .holder = 9, .interface = 3, .queue = 1, .port = 2 };
	nbl_set_default_pools(unit.pool, unit.data);
	ck_assert_int_eq(nbl_wfp_new(params, &fix.wfp), 0);
}

UNIT_UNUSED static void fix_commit(void)
{
	struct wfp_snapshot *old = NULL;

	ck_assert_int_eq(nbl_wfp_commit(fix.wfp, &old), 0);
	ck_assert(nbl_wfp_is_quiet(fix.wfp, old));
	nbl_wfp_snapshot_free(old);
}

/* Completes number 'i' of what is queued. */
UNIT_UNUSED static void fix_complete(uint32_t i, int status)
{
	ck_assert_uint_lt(i, fix.n_queued);
	struct nbl *n = fix.queued[i].n;

	memmove(&fix.queued[i], &fix.queued[i + 1], (--fix.n_queued - i) * sizeof(fix.queued[0]));
	ck_assert_int_eq(nbl_inject_complete(fix.wfp, n, status), 0);
}

UNIT_UNUSED static void fix_complete_all(void)
{
	while (fix.n_queued)
		fix_complete(0, 0);
}

UNIT_UNUSED static struct nbl_wfp_counts counts(void)
{
	struct nbl_wfp_counts c;

	nbl_wfp_get_counts(fix.wfp, &c);
	return c;
}

/* What did not happen can not be forgotten: all is over, in whatever order it was made. */
static void fix_end(void)
{
	ck_assert_uint_eq(fix.n_queued, 0);
	ck_assert_uint_eq(counts().injected, counts().completed);
	ck_assert_uint_eq(counts().tag_contexts, 0);
	for (uint32_t i = 0; i < NBL_MAX_TAGS; i++) {
		uint32_t id = atomic_load(&fix.wfp->tags[i].id);

		ck_assert_int_eq(id ? nbl_tag_destroy(fix.wfp, id) : 0, 0);
	}
	ck_assert_uint_eq(counts().flow_contexts, 0);
	for (uint32_t i = 0; i < NBL_MAX_CALLOUTS; i++) {
		uint32_t id = atomic_load(&fix.wfp->callouts[i].id);

		ck_assert_msg(!id || !nbl_callout_unregister(fix.wfp, id), "callout %u still holds",
			      i);
	}
	for (uint32_t i = 0; i < NBL_MAX_INJECT_HANDLES; i++) {
		uint32_t id = atomic_load(&fix.wfp->handles[i].id);

		ck_assert_int_eq(id ? nbl_inject_handle_destroy(fix.wfp, id) : 0, 0);
	}
	ck_assert_int_eq(nbl_wfp_free(fix.wfp), 0);
}

static void fix_setup(void)
{
	struct nbl_wfp_params params;

	unit_setup();
	params = fix_params();
	fix_begin(&params);
}

static void fix_teardown(void)
{
	fix_end();
	unit_teardown();
}

/* ---- chains ---- */

UNIT_UNUSED static struct nbl_chain chain_of(struct nbl *n)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	nbl_chain_append(&chain, n);
	return chain;
}

enum fate_of { PASSED, DROPPED, ABSORBED };

/* One packet through 'layer'; what is not passed is released as the stack does. */
UNIT_UNUSED static enum fate_of send_through(enum nbl_layer layer, struct nbl *n)
{
	struct nbl_wfp_result r = nbl_wfp_classify_chain(fix.wfp, layer, chain_of(n), &fix.env);

	ck_assert_uint_eq(r.passed.n_nbls + r.dropped.n_nbls + r.absorbed.n_nbls, 1);
	if (r.passed.head)
		return PASSED;
	nbl_release(r.dropped.head ? r.dropped.head : r.absorbed.head);
	return r.dropped.head ? DROPPED : ABSORBED;
}

UNIT_UNUSED static enum fate_of classify_one(enum nbl_layer layer)
{
	struct nbl *n = cooked(&RECIPE_UDP4, 64);
	enum fate_of fate = send_through(layer, n);

	if (fate == PASSED)
		nbl_release(n);
	return fate;
}

/* ---- filters ---- */

UNIT_UNUSED static uint64_t add_spec(const struct nbl_wfp_filter_spec *spec)
{
	uint64_t id = 0;

	ck_assert_int_eq(nbl_wfp_filter_add(fix.wfp, spec, &id), 0);
	fix_commit();
	return id;
}

UNIT_UNUSED static uint64_t add_filter(enum nbl_layer layer, enum nbl_wfp_action action,
				       uint32_t callout, uint16_t sublayer, uint64_t weight,
				       uint16_t flags)
{
	struct nbl_wfp_filter_spec spec = { .layer = layer,
					    .action = action,
					    .callout = callout,
					    .sublayer = sublayer,
					    .weight = weight,
					    .flags = flags };

	return add_spec(&spec);
}

UNIT_UNUSED static void delete_filter(uint64_t id)
{
	ck_assert_int_eq(nbl_wfp_filter_delete(fix.wfp, id), 0);
	fix_commit();
}

/* ---- callouts that do as they are told ---- */

#define SCRIPT_KEEP_RIGHT 0		/* leaves the right as it was */
#define SCRIPT_CLEAR_RIGHT 1
#define SCRIPT_SET_RIGHT 2

struct script {
	uint32_t id;
	enum nbl_action action;
	uint32_t flags;
	int right;
	int reference;			/* 1: plainly, 2: with intend_to_modify; in its own name */
	int raw_reference;		/* the same, without telling the engine */
	void (*more)(struct script *s, const struct nbl_classify_in *in);
	/* seen */
	uint32_t n_calls, n_packets;
	uint32_t rights;		/* on the last entry */
	enum nbl_action previous;
	struct nbl *n;
	uint8_t first_bytes[4];
	struct nbl_classify_metadata metadata;
	struct nbl_values values;
	uint64_t flow_context;
	struct nbl_wfp_filter filter;
	struct nbl_headers headers;
	uint32_t n_notified[2], n_flow_deleted;
	uint64_t last_flow_deleted;
	void *data;
};

static void script_see(struct script *s, const struct nbl_classify_in *in,
		       const struct nbl_classify_out *out)
{
	uint8_t storage[4];
	const uint8_t *first = nbl_nb_view(in->n->first_nb, 4, storage, 1, 0);

	s->n_packets++;
	s->rights = out->rights;
	s->previous = in->previous;
	s->n = in->n;
	s->metadata = *in->metadata;
	s->values = *in->values;
	s->flow_context = in->flow_context;
	s->filter = *in->filter;
	if (first)
		memcpy(s->first_bytes, first, 4);
}

static void script_act(struct script *s, const struct nbl_classify_in *in,
		       struct nbl_classify_out *out)
{
	script_see(s, in, out);
	ck_assert_uint_eq(in->callout, s->id);
	ck_assert_int_eq(out->action, NBL_ACTION_NONE);
	if (s->reference)
		nbl_callout_reference(in->wfp, s->id, in->n, s->reference == 2);
	if (s->raw_reference)
		nbl_reference(in->n, s->raw_reference == 2);
	out->action = s->action;
	out->flags = s->flags;
	if (s->right == SCRIPT_CLEAR_RIGHT)
		out->rights = 0;
	else if (s->right == SCRIPT_SET_RIGHT)
		out->rights = NBL_RIGHT_ACTION_WRITE;
	if (s->more)
		s->more(s, in);
}

static void script_classify(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	struct script *s = in->context;

	s->n_calls++;
	script_act(s, in, out);
}

UNIT_UNUSED static void script_classify_batch(const struct nbl_classify_in *in,
					      struct nbl_classify_out *out, uint32_t n)
{
	struct script *s = in->context;

	s->n_calls++;
	for (uint32_t i = 0; i < n; i++)
		script_act(s, &in[i], &out[i]);
}

UNIT_UNUSED static void script_notify(void *context, enum nbl_callout_event event,
				      const struct nbl_wfp_filter *filter)
{
	struct script *s = context;

	s->n_notified[event]++;
	s->filter = *filter;
}

UNIT_UNUSED static void script_flow_deleted(void *context, enum nbl_layer layer,
					    uint64_t flow_context)
{
	struct script *s = context;

	s->n_flow_deleted++;
	s->last_flow_deleted = flow_context;
}

UNIT_UNUSED static struct nbl_callout script_callout(struct script *s)
{
	return (struct nbl_callout){
		.version = NBL_CALLOUT_VERSION,
		.size = sizeof(struct nbl_callout),
		.name = "script",
		.layers = ALL_LAYERS,
		.owner = FIX_OWNER,
		.context = s,
		.classify = script_classify,
		.notify = script_notify,
		.flow_deleted = script_flow_deleted,
	};
}

UNIT_UNUSED static uint32_t script_register(struct script *s)
{
	struct nbl_callout c = script_callout(s);

	ck_assert_int_eq(nbl_callout_register(fix.wfp, &c, &s->id), 0);
	return s->id;
}

/* Registers it and puts it behind a filter of its own. */
UNIT_UNUSED static uint64_t script_start(struct script *s, enum nbl_layer layer, uint16_t sublayer,
					 uint64_t weight)
{
	script_register(s);
	return add_filter(layer, WFP_ACTION_CALLOUT_UNKNOWN, s->id, sublayer, weight, 0);
}

UNIT_UNUSED static uint64_t deviations(const struct script *s)
{
	struct nbl_wfp_callout_counts c;

	ck_assert_int_eq(nbl_wfp_get_callout_counts(fix.wfp, s->id, &c), 0);
	return c.deviations;
}

UNIT_UNUSED static uint32_t holds(const struct script *s)
{
	struct nbl_wfp_callout_counts c;

	ck_assert_int_eq(nbl_wfp_get_callout_counts(fix.wfp, s->id, &c), 0);
	return c.holds;
}

/* Runs 'tests' with the fixture around each. */
static int fix_run(const char *name, const struct unit_test *tests, size_t n_tests)
{
	return unit_run_with(name, tests, n_tests, 120, fix_setup, fix_teardown);
}

#endif
