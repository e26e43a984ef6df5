// SPDX-License-Identifier: BSD-2-Clause
/* test_filter_inject.c - injecting in a stack: in at an end, out of a port, and back. */
#include "filter/stack_module_internal.h"
#include "filter_fixture.h"

#include <nbl/pool.h>

static uint32_t handle;

/* What completion functions saw. */
static struct {
	uint32_t n_calls, n_nbls;
	int status;
	bool keeps;			/* does not free them */
	struct nbl_chain kept;
} done;

static void completed(void *context, struct nbl_chain chain, int status)
{
	struct nbl *n;

	ck_assert_ptr_eq(context, &done);
	ck_assert(nbl_chain_is_sound(&chain));
	done.n_calls++;
	done.n_nbls += chain.n_nbls;
	done.status = status;
	while ((n = nbl_chain_pop(&chain))) {
		if (done.keeps)
			nbl_chain_append(&done.kept, n);
		else if (n->kind == NBL_KIND_RECEIVE)
			ck_assert_int_eq(nbl_callout_dereference(fix.wfp, probe.id, n), 0);
		else
			ck_assert_int_eq(nbl_callout_free(fix.wfp, probe.id, n), 0);
	}
}

static void start(const char *rules, void (*classify)(const struct nbl_classify_in *in,
						      struct nbl_classify_out *out))
{
	memset(&done, 0, sizeof(done));
	probe.classify = classify;
	begin(rules, "probe");
	ck_assert_int_eq(nbl_inject_handle_create(fix.wfp, NBL_FAMILY_UNSPEC,
						  NBL_INJECT_L2 | NBL_INJECT_NETWORK, FILTER_OWNER,
						  &handle), 0);
}

static void finish_handle(void)
{
	settle();
	ck_assert_int_eq(nbl_inject_handle_destroy(fix.wfp, handle), 0);
	finish();
}

static struct nbl_chain chain_of(struct nbl *n)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	nbl_chain_append(&chain, n);
	return chain;
}

static const struct nbl_inject_target target = { .port = 0 };

static bool is_mine(const struct nbl_classify_in *in)
{
	enum nbl_injection_state state = nbl_inject_query(in->wfp, handle, in->n, NULL);

	return state == NBL_INJECTED_BY_SELF || state == NBL_PREVIOUSLY_INJECTED_BY_SELF;
}

static int inject(struct nbl_chain chain, bool inbound)
{
	return inbound ? nbl_inject_mac_receive(fix.wfp, handle, NULL, &target, chain, completed,
						&done)
		       : nbl_inject_mac_send(fix.wfp, handle, NULL, &target, chain, completed,
					     &done);
}

static struct nbl *clone_of(const struct nbl_classify_in *in)
{
	struct nbl *clone = NULL;
	int r;

	ck_assert_int_eq(nbl_retreat(in->n, in->metadata->data_offset, 0, NULL), 0);
	r = nbl_callout_clone(in->wfp, probe.id, in->n, NULL, &clone);
	nbl_advance(in->n, in->metadata->data_offset, false);
	return r < 0 ? NULL : clone;
}

/* ---- originals ---- */

static struct nbl_chain pended;

static void pend(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	if (is_mine(in))
		return;
	ck_assert_int_eq(nbl_callout_reference(in->wfp, probe.id, in->n, false), 0);
	absorb(out);
}

/* All received NBLs that have been let go, in the order of their numbers. */
static struct nbl_chain collect(uint32_t n)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	for (uint32_t number = 1; number <= n; number++) {
		for (uint32_t f = 0; f < rig.n_queues * rig.shape.n_frames; f++) {
			struct nbl *m = &rig.nbls[f];

			if (atomic_load(&m->claims) && nbl_is_let_go(m) &&
			    m->kind == NBL_KIND_RECEIVE && nbl_nb_data(&m->nb)[29] == number)
				nbl_chain_append(&chain, m);
		}
	}
	ck_assert_uint_eq(chain.n_nbls, n);
	return chain;
}

START_TEST(IN_12_absorbed_originals_are_sent_on_without_a_clone_and_in_order)
{
	bool inbound = !_i;
	struct nbl_pool_counts before, after;
	struct recipe r;

	start(inbound ? "inbound-mac-native callout:probe" : "outbound-mac callout:probe", pend);
	for (int i = 0; i < 20; i++) {
		r = numbered(i);
		deliver(inbound ? LOWER : UPPER, &r);
	}
	settle();
	ck_assert_uint_eq(sent.n, 0);
	pended = collect(20);
	nbl_pool_get_counts(rig.pool, &before);
	ck_assert_int_eq(inject(pended, inbound), 0);
	nbl_pool_get_counts(rig.pool, &after);
	ck_assert_uint_eq(after.nbls_free, before.nbls_free);
	rig_check(&rig);
	settle();
	ck_assert_uint_eq(done.n_nbls, 20);
	ck_assert_uint_eq(rig.lane.figures.originated.copied, 0);
	for (int i = 0; i < 20; i++) {
		struct bytes_out o;

		r = numbered(i);
		cook(&o, &r);
		ck_assert_uint_eq(sent.packets[i].queue, inbound ? UPPER : LOWER);
		ck_assert_mem_eq(sent.packets[i].o.b, o.b, o.n);
	}
	/* it did leave, whoever had it meanwhile */
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TO_WIRE) + outcome(NBL_OUTCOME_TO_HOST), 20);
	finish_handle();
}
END_TEST

START_TEST(IN_07_an_original_may_go_without_a_completion_function_and_comes_home)
{
	struct recipe r = numbered(0);
	struct nbl *n;

	start("inbound-mac-native callout:probe", pend);
	deliver(LOWER, &r);
	settle();
	n = collect(1).head;
	ck_assert_int_eq(nbl_inject_mac_receive(fix.wfp, handle, NULL, &target, chain_of(n), NULL,
						NULL), 0);
	/* the engine has its own reference until the end */
	ck_assert_int_eq(nbl_callout_dereference(fix.wfp, probe.id, n), 0);
	rig_check(&rig);
	settle();
	ck_assert(recipe_left(UPPER, &r));
	finish_handle();
}
END_TEST

START_TEST(PE_01_a_pended_original_that_is_not_injected_was_discarded)
{
	struct recipe r = numbered(0);

	start("inbound-mac-native callout:probe", pend);
	deliver(LOWER, &r);
	settle();
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 1);
	ck_assert_int_eq(nbl_callout_dereference(fix.wfp, probe.id, collect(1).head), 0);
	settle();
	ck_assert_uint_eq(outcome(NBL_OUTCOME_CONSUMED), 1);
	ck_assert_uint_eq(counts().blocked, 0);
	finish_handle();
}
END_TEST

/* ---- clones ---- */

static struct nbl_chain clones;

static void clone_it(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	struct nbl *clone;

	if (is_mine(in))
		return;
	clone = clone_of(in);
	if (!clone)
		return;
	nbl_chain_append(&clones, clone);
	absorb(out);
}

/* 'n' packets came in from below and are clones now, in 'clones'. */
static void start_with_clones(uint32_t n)
{
	clones = NBL_CHAIN_EMPTY;
	start("inbound-mac callout:probe", clone_it);
	for (uint32_t i = 0; i < n; i++) {
		struct recipe r = numbered((int)i);

		deliver(LOWER, &r);
	}
	settle();
	ck_assert_uint_eq(clones.n_nbls, n);
	sent.n = 0;
}

START_TEST(IN_06_a_chain_of_ten_is_completed_in_any_portions_until_ten_are_back)
{
	bool inbound = _i & 1;

	start_with_clones(10);
	random_state += (uint64_t)_i * 104729;
	ck_assert_int_eq(inject(clones, inbound), 0);
	settle();
	ck_assert_uint_eq(done.n_nbls, 10);
	ck_assert_uint_ge(done.n_calls, 1);
	ck_assert_int_eq(done.status, 0);
	ck_assert_uint_eq(sent.n, 10);
	for (int i = 0; i < 10; i++)
		ck_assert_uint_eq(sent.packets[i].queue, inbound ? UPPER : LOWER);
	finish_handle();
}
END_TEST

START_TEST(IN_05_what_can_not_be_sent_after_all_is_completed_with_a_negative_status)
{
	struct nbl *copy = NULL;

	start_with_clones(1);
	ck_assert_int_eq(nbl_callout_copy(fix.wfp, probe.id, clones.head, rig.pool, rig.pool,
					  &copy), 0);
	rig.lane.queues[rig.lane.n_lower].q.max_length = 40;
	ck_assert_int_eq(inject(chain_of(copy), true), 0);
	ck_assert_int_eq(inject(clones, true), 0);
	settle();
	ck_assert_uint_eq(done.n_nbls, 2);
	ck_assert_int_eq(done.status, -EMSGSIZE);
	ck_assert_uint_eq(sent.n, 0);
	finish_handle();
}
END_TEST

START_TEST(IN_02_destroying_waits_for_injections_that_are_out)
{
	start_with_clones(100);
	ck_assert_int_eq(inject(clones, true), 0);
	ck_assert_int_eq(nbl_inject_handle_destroy(fix.wfp, handle), -EINPROGRESS);
	settle();
	ck_assert_uint_eq(done.n_nbls, 100);
	ck_assert_int_eq(nbl_inject_handle_destroy(fix.wfp, handle), 0);
	finish();
}
END_TEST

static void no_status(struct nbl_filter *f, const struct nbl_status_indication *s)
{
}

static const struct nbl_engine_ops passes_on = { .status = no_status };

START_TEST(IN_03_while_the_port_is_down_nothing_can_be_injected_and_it_stays_the_callers)
{
	struct nbl_status_indication s = { .event = NBL_EVENT_LINK_DOWN, .side = NBL_UPPER };
	struct nbl *n;

	start_with_clones(1);
	n = clones.head;
	if (!filter()->engine)
		filter()->engine = &passes_on;
	if (_i)
		rig.lane.queues[rig.lane.n_lower].down = true;
	else
		nbl_module_filter.status(filter(), &s);
	ck_assert_int_eq(inject(clones, true), -EAGAIN);
	ck_assert_uint_eq(done.n_calls, 0);
	ck_assert(!nbl_inject_is_pending(n));
	rig.lane.queues[rig.lane.n_lower].down = false;
	s.event = NBL_EVENT_LINK_UP;
	nbl_module_filter.status(filter(), &s);
	ck_assert_int_eq(inject(clones, true), 0);
	finish_handle();
}
END_TEST

/* One error return each; what was not taken is freed by the caller, once. */
START_TEST(IN_04_after_each_error_the_caller_frees_it_and_no_completion_comes)
{
	static const struct nbl_inject_target nowhere = { .port = 7 },
		foreign = { .interface = 99 };
	struct nbl_inject_target to = _i == 1 ? nowhere : _i == 2 ? foreign : target;
	uint32_t h, other = 0;
	struct nbl *n;
	int r, wanted;

	start_with_clones(1);
	n = clones.head;
	h = handle;
	switch (_i) {
	case 0:
		h ^= 0x100;
		wanted = -ESTALE;
		break;
	case 1:
	case 2:
		wanted = -ENXIO;	/* IN-15 */
		break;
	case 3:
		ck_assert_int_eq(nbl_inject_handle_create(fix.wfp, NBL_FAMILY_UNSPEC, NBL_INJECT_L2,
							  99, &other), 0);
		h = other;
		wanted = -ENOENT;	/* IN-11: its owner has no callout */
		break;
	case 4:
		nbl_advance(n, n->first_nb->data_length - 10, false);
		wanted = -EINVAL;
		break;
	case 5:
		atomic_store(&rig.lane.n_entered, 1u << 20);
		wanted = -ENOBUFS;
		break;
	default:
		ck_assert_int_eq(nbl_inject_handle_create(fix.wfp, NBL_FAMILY_UNSPEC,
							  NBL_INJECT_NETWORK, FILTER_OWNER, &other),
							  0);
		h = other;
		wanted = -ESTALE;	/* IN-01: of another type */
		break;
	}
	r = nbl_inject_mac_receive(fix.wfp, h, NULL, &to, chain_of(n), completed, &done);
	if (_i == 5)
		atomic_store(&rig.lane.n_entered, 0);
	ck_assert_int_eq(r, wanted);
	settle();
	ck_assert_uint_eq(done.n_calls, 0);
	ck_assert_uint_eq(sent.n, 0);
	ck_assert_int_eq(nbl_callout_free(fix.wfp, probe.id, n), 0);
	if (other)
		ck_assert_int_eq(nbl_inject_handle_destroy(fix.wfp, other), 0);
	finish_handle();
}
END_TEST

static uint32_t n_rounds;

static void inject_again(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	struct nbl *clone = clone_of(in);

	n_rounds++;
	if (!clone)
		return;
	if (inject(chain_of(clone), true) < 0) {
		ck_assert_int_eq(nbl_callout_free(fix.wfp, probe.id, clone), 0);
		return;
	}
	absorb(out);
}

START_TEST(IN_08_who_does_not_ask_whose_injection_it_is_hits_the_loop_cap)
{
	struct recipe r = numbered(0);

	start("inbound-mac callout:probe", inject_again);
	n_rounds = 0;
	deliver(LOWER, &r);
	settle();
	ck_assert_uint_eq(n_rounds, NBL_MAX_INJECTIONS + 1);
	ck_assert_uint_eq(counts().loops, 1);
	ck_assert(recipe_left(UPPER, &r));
	finish_handle();
}
END_TEST

START_TEST(IN_11_injections_in_flight_are_completed_when_the_filters_go)
{
	struct wfp_snapshot *old = NULL;
	uint64_t rule;

	start_with_clones(30);
	rule = fix.wfp->filters->info.id;
	ck_assert_int_eq(inject(clones, true), 0);
	turn();
	ck_assert_uint_eq(done.n_nbls, 0);
	ck_assert_int_eq(nbl_wfp_filter_delete(fix.wfp, rule), 0);
	ck_assert_int_eq(nbl_wfp_commit(fix.wfp, &old), 0);
	nbl_wfp_snapshot_free(old);
	settle();
	ck_assert_uint_eq(done.n_nbls, 30);
	finish_handle();
}
END_TEST

START_TEST(IN_14_what_lies_in_other_memory_is_copied_once_to_be_sent)
{
	struct nbl_pool *heap = NULL;
	struct nbl_pool_params params = { .name = "heap", .n_nbls = 4, .n_frames = 4,
					  .frame_size = 2048 };
	struct nbl *copy = NULL;
	struct recipe r = numbered(0);

	start_with_clones(1);
	ck_assert_int_eq(nbl_pool_new(&params, &heap), 0);
	ck_assert_int_eq(nbl_callout_copy(fix.wfp, probe.id, clones.head, heap, heap, &copy), 0);
	ck_assert_int_eq(nbl_callout_free(fix.wfp, probe.id, clones.head), 0);
	ck_assert_int_eq(inject(chain_of(copy), true), 0);
	settle();
	ck_assert_uint_eq(done.n_nbls, 1);
	ck_assert_uint_eq(counts().copied, 1);
	ck_assert_uint_eq(rig.lane.figures.originated.copied, 0);
	ck_assert(recipe_left(UPPER, &r));
	ck_assert_int_eq(nbl_pool_free(heap), 0);
	finish_handle();
}
END_TEST

/* ---- inside classify ---- */

static uintptr_t lowest, highest;
static uint32_t n_inside;

static void clone_and_inject(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	struct nbl *clone;

	lowest = !lowest || here < lowest ? here : lowest;
	highest = here > highest ? here : highest;
	if (is_mine(in))
		return;
	clone = clone_of(in);
	if (!clone)
		return;
	if (inject(chain_of(clone), true) < 0) {
		nbl_callout_free(fix.wfp, probe.id, clone);
		return;
	}
	absorb(out);
}

static void inject_here(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	ck_assert_uint_eq(n_inside++, 0);	/* nothing is classified within */
	clone_and_inject(in, out);
	n_inside--;
}

START_TEST(CL_14_a_million_injections_from_inside_classify_do_not_grow_the_stack)
{
	struct recipe r = numbered(0);
	struct bytes_out o;
	uint64_t n_in = 0;

	start("inbound-mac callout:probe", inject_here);
	lowest = highest = 0;
	cook(&o, &r);
	while (counts().injected < 1000000) {
		for (int i = 0; i < 64; i++)
			n_in += nbl_mem_port_deliver(rig.ports[LOWER], o.b, o.n);
		turn();
		kernel(true);
	}
	settle();
	ck_assert_uint_eq(sent.n_all, n_in);
	/* the same depth every time, but for where the chain came from */
	ck_assert_uint_lt(highest - lowest, 65536);
	finish_handle();
}
END_TEST

/* ---- tags ---- */

static struct {
	uint32_t tag;
	uint32_t n[NBL_TAG_REMOVED + 1];
	uint64_t last;
} tagged;

static void tag_event(void *arg, enum nbl_tag_event event, struct nbl *n, struct nbl *other,
		      uint64_t context)
{
	tagged.n[event]++;
	tagged.last = context;
	if (event == NBL_TAG_CLONED)
		ck_assert_int_eq(nbl_tag_associate(fix.wfp, tagged.tag, other, context + 1), 0);
}

static void tag_it(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	if (!is_mine(in))
		ck_assert_int_eq(nbl_tag_associate(in->wfp, tagged.tag, in->n, 500), 0);
}

static void tag_and_clone(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	if (is_mine(in))
		return;
	tag_it(in, out);
	inject_here(in, out);
}

static void start_tags(const char *rules, void (*classify)(const struct nbl_classify_in *in,
							   struct nbl_classify_out *out))
{
	memset(&tagged, 0, sizeof(tagged));
	start(rules, classify);
	ck_assert_int_eq(nbl_tag_create(fix.wfp, probe.id, tag_event, NULL, &tagged.tag), 0);
}

static void finish_tags(void)
{
	ck_assert_uint_eq(counts().tag_contexts, 0);
	ck_assert_int_eq(nbl_tag_destroy(fix.wfp, tagged.tag), 0);
	finish_handle();
}

START_TEST(TG_01_a_packet_that_passes_is_told_sent_or_received_once_and_its_number_is_gone)
{
	bool sends = _i;
	struct recipe r = numbered(0);

	start_tags(sends ? "outbound-mac callout:probe" : "inbound-mac callout:probe", tag_it);
	deliver(sends ? UPPER : LOWER, &r);
	settle();
	ck_assert(recipe_left(sends ? LOWER : UPPER, &r));
	ck_assert_uint_eq(tagged.n[sends ? NBL_TAG_SEND_COMPLETE : NBL_TAG_RECEIVE_COMPLETE], 1);
	ck_assert_uint_eq(tagged.n[sends ? NBL_TAG_RECEIVE_COMPLETE : NBL_TAG_SEND_COMPLETE], 0);
	ck_assert_uint_eq(tagged.n[NBL_TAG_REMOVED], 0);
	ck_assert_uint_eq(tagged.last, 500);
	finish_tags();
}
END_TEST

START_TEST(TG_01_a_blocked_packet_is_told_removed)
{
	struct recipe r = numbered(0);

	start_tags("inbound-mac callout:probe weight=2; inbound-mac block", tag_it);
	deliver(LOWER, &r);
	settle();
	ck_assert_uint_eq(tagged.n[NBL_TAG_REMOVED], 1);
	ck_assert_uint_eq(tagged.n[NBL_TAG_RECEIVE_COMPLETE], 0);
	finish_tags();
}
END_TEST

START_TEST(TG_01_a_clone_is_told_of_and_its_number_ends_with_its_injection)
{
	struct recipe r = numbered(0);

	start_tags("inbound-mac callout:probe", tag_and_clone);
	deliver(LOWER, &r);
	settle();
	ck_assert(recipe_left(UPPER, &r));
	ck_assert_uint_eq(tagged.n[NBL_TAG_CLONED], 1);
	ck_assert_uint_eq(tagged.n[NBL_TAG_RECEIVE_COMPLETE], 1);	/* the clone */
	ck_assert_uint_eq(tagged.n[NBL_TAG_REMOVED], 1);		/* the original, absorbed */
	finish_tags();
}
END_TEST

START_TEST(CL_12_an_engine_that_goes_while_a_callout_holds_something_stays_for_it_and_that_is_counted)
{
	uint64_t before = nbl_violations();
	struct nbl_violation last;
	struct nbl *clone;

	start_with_clones(1);
	clone = clones.head;
	ck_assert_int_eq(nbl_inject_handle_destroy(fix.wfp, handle), 0);
	nbl_stack_evict(&rig.stack, (uint32_t)nbl_stack_find(&rig.stack, "filter"));
	ck_assert_uint_eq(nbl_violations(), before + 1);
	nbl_get_last_violation(&last);
	ck_assert_ptr_nonnull(strstr(last.what, "CL-12"));
	/* who comes late still finds it */
	ck_assert_int_eq(nbl_callout_free(fix.wfp, probe.id, clone), -EINVAL);
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, probe.id), -EBUSY);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ IN_12_absorbed_originals_are_sent_on_without_a_clone_and_in_order, 2 },
		{ IN_07_an_original_may_go_without_a_completion_function_and_comes_home, 1 },
		{ PE_01_a_pended_original_that_is_not_injected_was_discarded, 1 },
		{ IN_06_a_chain_of_ten_is_completed_in_any_portions_until_ten_are_back, 16 },
		{ IN_05_what_can_not_be_sent_after_all_is_completed_with_a_negative_status, 1 },
		{ IN_02_destroying_waits_for_injections_that_are_out, 1 },
		{ IN_03_while_the_port_is_down_nothing_can_be_injected_and_it_stays_the_callers,
		  2 },
		{ IN_04_after_each_error_the_caller_frees_it_and_no_completion_comes, 7 },
		{ IN_08_who_does_not_ask_whose_injection_it_is_hits_the_loop_cap, 1 },
		{ IN_11_injections_in_flight_are_completed_when_the_filters_go, 1 },
		{ IN_14_what_lies_in_other_memory_is_copied_once_to_be_sent, 1 },
		{ CL_14_a_million_injections_from_inside_classify_do_not_grow_the_stack, 1 },
		{ TG_01_a_packet_that_passes_is_told_sent_or_received_once_and_its_number_is_gone,
		  2 },
		{ TG_01_a_blocked_packet_is_told_removed, 1 },
		{ TG_01_a_clone_is_told_of_and_its_number_ends_with_its_injection, 1 },
		{ CL_12_an_engine_that_goes_while_a_callout_holds_something_stays_for_it_and_that_is_counted,
		  1 },
	};

	return rig_run("filter_inject", tests, N_ELEMENTS(tests));
}
