// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_wfp_models.c - the four model callouts on a stack that sends at once or later, in any order.
 */
#include "modules/callouts.h"
#include "wfp_fixture.h"

#define N_PACKETS 8
#define MAC_IN NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET
#define MAC_OUT NBL_LAYER_OUTBOUND_MAC_FRAME_ETHERNET

/* What left the stack, as bytes. */
static struct {
	struct bytes_out frames[64];
	enum nbl_inject_path paths[64];
	uint32_t n;
} sent;

static void sends(const struct nbl *n, enum nbl_inject_path path)
{
	uint8_t storage[512];
	struct bytes_out *o = &sent.frames[sent.n];

	ck_assert_uint_lt(sent.n, 64);
	o->n = n->first_nb->data_length;
	memcpy(o->b, nbl_nb_view(n->first_nb, o->n, storage, 1, 0), o->n);
	sent.paths[sent.n++] = path;
}

/* Classifies number 'i' of what is queued again, and sends it if it passes. */
static void stack_runs(uint32_t i)
{
	struct nbl *n = fix.queued[i].n;
	enum nbl_inject_path path = fix.queued[i].path;
	struct nbl_wfp_result r;

	memmove(&fix.queued[i], &fix.queued[i + 1], (--fix.n_queued - i) * sizeof(fix.queued[0]));
	r = nbl_wfp_classify_injected(fix.wfp, path, chain_of(n), &fix.env);
	if (r.passed.head)
		sends(r.passed.head, path);
	ck_assert_ptr_null(nbl_inject_complete_chain(fix.wfp, r.passed, 0).head);
	ck_assert_ptr_null(nbl_inject_complete_chain(fix.wfp, r.dropped, -EPERM).head);
	ck_assert_ptr_null(nbl_inject_complete_chain(fix.wfp, r.absorbed, 0).head);
}

/* Until nothing is queued; in a random order if 'random' is given. */
static void stack_runs_dry(struct unit_random *random)
{
	for (int rounds = 0; fix.n_queued; rounds++) {
		ck_assert_int_lt(rounds, 1000);
		stack_runs(random ? unit_random_below(random, fix.n_queued) : 0);
	}
}

static bool allow_all(void *arg, const struct nbl *n)
{
	return true;
}

/* By the last byte of the source address, which is in 'arg'. */
static bool allow_but(void *arg, const struct nbl *n)
{
	uint8_t storage[64];
	const uint8_t *frame = nbl_nb_view(n->first_nb, 30, storage, 1, 0);

	return frame[29] != *(const uint8_t *)arg;
}

static struct model_params model_params(void)
{
	memset(&sent, 0, sizeof(sent));
	return (struct model_params){
		.wfp = fix.wfp,
		.owner = FIX_OWNER,
		.pool = unit.pool,
		.data_pool = unit.data,
		.limit = 16,
		.dscp = 46,
		.mac_source = { 2, 0, 0, 0, 0, 0x77 },
		.allow = allow_all,
	};
}

static struct recipe numbered(int i)
{
	struct recipe r = RECIPE_UDP4;

	r.source = (uint8_t)(i + 1);
	r.n_tags = i % 3;
	r.payload = 10 + i;
	return r;
}

static uint64_t on(uint32_t id, enum nbl_layer layer)
{
	return add_filter(layer, WFP_ACTION_CALLOUT_UNKNOWN, id, 0, 1, 0);
}

/* True if a frame of exactly these bytes left, on that path; it is then counted as seen. */
static bool left(const struct bytes_out *o, enum nbl_inject_path path)
{
	for (uint32_t i = 0; i < sent.n; i++) {
		if (sent.frames[i].n == o->n && sent.paths[i] == path &&
		    !memcmp(sent.frames[i].b, o->b, o->n)) {
			sent.frames[i] = sent.frames[--sent.n];
			sent.paths[i] = sent.paths[sent.n];
			return true;
		}
	}
	return false;
}

START_TEST(CL_08_inspecting_inline_sees_every_packet_and_changes_none)
{
	struct model_params params = model_params();
	struct inspect_inline *m = NULL;
	struct nbl_callout_kind_counts c;
	struct bytes_out o;

	ck_assert_int_eq(inspect_inline_new(&params, &m), 0);
	for (int i = 0; i < NBL_N_LAYERS; i++)
		on(inspect_inline_id(m), (enum nbl_layer)i);
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = numbered(i);
		struct nbl *n = cooked(&r, 64);
		struct nbl_chain chain = chain_of(n);

		chain = nbl_wfp_classify_way(fix.wfp, WFP_WAY_FORWARD, chain, &fix.env).passed;
		ck_assert_ptr_eq(chain.head, n);
		cook(&o, &r);
		ck_assert_mem_eq(nbl_nb_data(&n->nb), o.b, o.n);
		nbl_release(n);
	}
	inspect_inline_get_counts(m, &c);
	ck_assert_uint_eq(c.seen, 7 * N_PACKETS);
	ck_assert_int_eq(inspect_inline_free(m), 0);
}
END_TEST

/* The frame as modify_inline should make it. */
static void marked(struct bytes_out *o, const struct recipe *r)
{
	uint32_t ip = 14 + 4 * (uint32_t)r->n_tags;

	cook(o, r);
	if (r->version == 4) {
		o->b[ip + 1] = 46 << 2;
		set16(o, ip + 10, 0);
		set16(o, ip + 10, (uint16_t)~slow_sum(o->b + ip, 20, 0));
	} else {
		o->b[ip] = 0x60 | 46 >> 2;
		o->b[ip + 1] = (46 & 3) << 6;
	}
}

START_TEST(CL_08_modifying_inline_sends_the_marked_packet_in_place_of_the_original)
{
	bool inbound = _i & 1, later = _i & 2;
	struct unit_random random = unit_random((uint64_t)_i + 1);
	struct model_params params = model_params();
	struct modify_inline *m = NULL;
	struct nbl_callout_kind_counts c;
	struct bytes_out o;
	static const enum nbl_layer layers[2][2] = {
		{ NBL_LAYER_OUTBOUND_IPPACKET_V4, NBL_LAYER_OUTBOUND_IPPACKET_V6 },
		{ NBL_LAYER_INBOUND_IPPACKET_V4, NBL_LAYER_INBOUND_IPPACKET_V6 },
	};

	ck_assert_int_eq(modify_inline_new(&params, &m), 0);
	for (int i = 0; i < 2; i++)
		on(modify_inline_id(m), layers[inbound][i]);
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = numbered(i);

		r.version = i & 1 ? 6 : 4;
		ck_assert_int_eq(send_through(layers[inbound][i & 1], cooked(&r, 64)), ABSORBED);
		if (!later)
			stack_runs_dry(NULL);
	}
	stack_runs_dry(&random);
	ck_assert_uint_eq(sent.n, N_PACKETS);
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = numbered(i);

		r.version = i & 1 ? 6 : 4;
		marked(&o, &r);
		ck_assert_msg(left(&o, inbound ? NBL_PATH_NETWORK_RECEIVE : NBL_PATH_NETWORK_SEND),
			      "packet %d", i);
	}
	modify_inline_get_counts(m, &c);
	ck_assert_uint_eq(c.injected, N_PACKETS);
	ck_assert_uint_eq(c.completed, N_PACKETS);
	ck_assert_uint_eq(c.skipped, N_PACKETS);	/* its own, seen again and left alone */
	ck_assert_uint_eq(counts().rights_kept + counts().windows_left, 0);
	ck_assert_int_eq(modify_inline_free(m), 0);
}
END_TEST

START_TEST(CL_08_modifying_inline_lets_the_original_pass_where_it_cannot_send_and_leaks_nothing)
{
	struct model_params params = model_params();
	uint32_t taken[UNIT_N_DATA_FRAMES], n_taken = 0;
	struct modify_inline *m = NULL;
	struct nbl_callout_kind_counts c;

	ck_assert_int_eq(modify_inline_new(&params, &m), 0);
	on(modify_inline_id(m), NBL_LAYER_INBOUND_IPPACKET_V4);
	if (_i == 0)
		fix.submit = -ENOBUFS;
	else if (_i == 1)
		fix.ready = -EAGAIN;
	else
		n_taken = unit_hog(&unit.data->free_frames, 0, taken);
	ck_assert_int_eq(classify_one(NBL_LAYER_INBOUND_IPPACKET_V4), PASSED);
	unit_unhog(&unit.data->free_frames, taken, n_taken);
	modify_inline_get_counts(m, &c);
	ck_assert_uint_eq(c.missed, 1);
	ck_assert_uint_eq(c.completed + c.failed, 0);
	ck_assert_int_eq(modify_inline_free(m), 0);
}
END_TEST

START_TEST(CL_08_inspecting_out_of_band_lets_go_on_what_it_allows_and_nothing_else)
{
	bool inbound = _i & 1, later = _i & 2;
	struct unit_random random = unit_random((uint64_t)_i + 1);
	struct model_params params = model_params();
	struct inspect_oob *m = NULL;
	struct nbl_callout_kind_counts c;
	struct bytes_out o;
	uint8_t denied = 3;

	params.allow = allow_but;
	params.arg = &denied;
	ck_assert_int_eq(inspect_oob_new(&params, &m), 0);
	on(inspect_oob_id(m), inbound ? MAC_IN : MAC_OUT);
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = numbered(i);

		r.n_tags = 0;
		ck_assert_int_eq(send_through(inbound ? MAC_IN : MAC_OUT, cooked(&r, 64)),
				 ABSORBED);
		if (!later) {
			ck_assert_uint_eq(inspect_oob_run(m, fix.now_ns), 1);
			stack_runs_dry(NULL);
		}
	}
	ck_assert_uint_eq(inspect_oob_run(m, fix.now_ns), later ? N_PACKETS : 0);
	stack_runs_dry(&random);
	ck_assert_uint_eq(sent.n, N_PACKETS - 1);
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = numbered(i);

		r.n_tags = 0;
		cook(&o, &r);
		ck_assert_int_eq(left(&o, inbound ? NBL_PATH_MAC_RECEIVE : NBL_PATH_MAC_SEND),
				 i + 1 != denied);
	}
	inspect_oob_get_counts(m, &c);
	ck_assert_uint_eq(c.discarded, 1);
	ck_assert_uint_eq(c.completed, N_PACKETS - 1);
	ck_assert_int_eq(inspect_oob_free(m), 0);
}
END_TEST

START_TEST(CL_08_modifying_out_of_band_sends_the_edited_frame_in_any_order_of_completions)
{
	bool inbound = _i & 1, later = _i & 2;
	struct unit_random random = unit_random((uint64_t)_i + 1);
	struct model_params params = model_params();
	struct modify_oob *m = NULL;
	struct nbl_callout_kind_counts c;
	struct bytes_out o;

	ck_assert_int_eq(modify_oob_new(&params, &m), 0);
	on(modify_oob_id(m), inbound ? MAC_IN : MAC_OUT);
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = numbered(i);

		ck_assert_int_eq(send_through(inbound ? MAC_IN : MAC_OUT, cooked(&r, 64)),
				 ABSORBED);
		if (!later) {
			ck_assert_uint_eq(modify_oob_run(m), 1);
			stack_runs_dry(NULL);
		}
	}
	modify_oob_run(m);
	stack_runs_dry(&random);
	ck_assert_uint_eq(sent.n, N_PACKETS);
	for (int i = 0; i < N_PACKETS; i++) {
		struct recipe r = numbered(i);

		cook(&o, &r);
		memcpy(o.b + 6, params.mac_source, 6);
		ck_assert_msg(left(&o, inbound ? NBL_PATH_MAC_RECEIVE : NBL_PATH_MAC_SEND),
			      "packet %d", i);
	}
	modify_oob_get_counts(m, &c);
	ck_assert_uint_eq(c.completed, N_PACKETS);
	ck_assert_uint_eq(counts().rights_kept, 0);
	ck_assert_int_eq(modify_oob_free(m), 0);
}
END_TEST

START_TEST(CL_08_modifying_out_of_band_waits_until_the_path_has_let_go)
{
	struct model_params params = model_params();
	struct modify_oob *m = NULL;
	struct nbl *n = cooked(&RECIPE_UDP4, 64);
	struct nbl_wfp_result r;

	ck_assert_int_eq(modify_oob_new(&params, &m), 0);
	on(modify_oob_id(m), MAC_IN);
	r = nbl_wfp_classify_chain(fix.wfp, MAC_IN, chain_of(n), &fix.env);
	ck_assert_ptr_eq(r.absorbed.head, n);
	ck_assert_uint_eq(modify_oob_run(m), 0);
	nbl_release(n);
	ck_assert_uint_eq(modify_oob_run(m), 1);
	stack_runs_dry(NULL);
	ck_assert(unit_is_home(n));
	ck_assert_int_eq(modify_oob_free(m), 0);
}
END_TEST

START_TEST(CL_07_of_two_out_of_band_callouts_on_one_packet_one_takes_it_and_it_is_sent_once)
{
	struct model_params params = model_params();
	struct inspect_oob *inspect = NULL;
	struct modify_oob *modify = NULL;
	struct nbl_callout_kind_counts c;
	struct nbl *n = cooked(&RECIPE_UDP4, 64);

	ck_assert_int_eq(nbl_wfp_sublayer_add(fix.wfp, 1, 50), 0);
	ck_assert_int_eq(inspect_oob_new(&params, &inspect), 0);
	ck_assert_int_eq(modify_oob_new(&params, &modify), 0);
	add_filter(MAC_IN, WFP_ACTION_CALLOUT_UNKNOWN, inspect_oob_id(inspect), 1, 1, 0);
	add_filter(MAC_IN, WFP_ACTION_CALLOUT_UNKNOWN, modify_oob_id(modify), 0, 1, 0);
	ck_assert_int_eq(send_through(MAC_IN, n), ABSORBED);
	modify_oob_get_counts(modify, &c);
	ck_assert_uint_eq(c.skipped, 1);
	ck_assert_uint_eq(modify_oob_run(modify), 0);
	ck_assert_uint_eq(inspect_oob_run(inspect, fix.now_ns), 1);
	/* the clone comes round: now the second one may have it */
	stack_runs(0);
	ck_assert_uint_eq(sent.n, 0);
	ck_assert_uint_eq(modify_oob_run(modify), 1);
	stack_runs_dry(NULL);
	ck_assert_uint_eq(sent.n, 1);
	ck_assert(unit_is_home(n));
	inspect_oob_get_counts(inspect, &c);
	ck_assert_uint_eq(c.injected, 1);
	ck_assert_uint_eq(c.skipped, 2);	/* its own clone, and the other's clone of it */
	ck_assert_int_eq(inspect_oob_free(inspect), 0);
	ck_assert_int_eq(modify_oob_free(modify), 0);
}
END_TEST

START_TEST(PE_01_hold_50_ms_then_inject_or_discard_and_every_frame_is_accounted_for)
{
	struct model_params params = model_params();
	struct inspect_oob *m = NULL;
	struct nbl *n[4];
	uint8_t all = 1;
	uint64_t filter;

	params.allow = _i ? allow_but : allow_all;
	params.arg = &all;
	ck_assert_int_eq(inspect_oob_new(&params, &m), 0);
	filter = on(inspect_oob_id(m), MAC_IN);
	for (int i = 0; i < 4; i++) {
		n[i] = cooked(&RECIPE_UDP4, 64);
		ck_assert_int_eq(send_through(MAC_IN, n[i]), ABSORBED);
		ck_assert(!unit_is_home(n[i]));
	}
	fix.now_ns += 50000000;
	delete_filter(filter);
	ck_assert_int_eq(inspect_oob_free(m), -EBUSY);	/* CL-12: it holds packets */
	ck_assert_uint_eq(inspect_oob_run(m, fix.now_ns), 4);
	stack_runs_dry(NULL);
	ck_assert_uint_eq(sent.n, _i ? 0 : 4);
	for (int i = 0; i < 4; i++)
		ck_assert(unit_is_home(n[i]));
	ck_assert_int_eq(inspect_oob_free(m), 0);
}
END_TEST

START_TEST(BUG_03_neither_clone_nor_original_leaks_when_the_injection_fails)
{
	struct model_params params = model_params();
	struct inspect_oob *inspect = NULL;
	struct modify_oob *modify = NULL;
	struct nbl *n = cooked(&RECIPE_UDP4, 64);
	struct nbl_callout_kind_counts c;

	fix.submit = -ENOBUFS;
	if (_i) {
		ck_assert_int_eq(modify_oob_new(&params, &modify), 0);
		on(modify_oob_id(modify), MAC_IN);
		ck_assert_int_eq(send_through(MAC_IN, n), ABSORBED);
		ck_assert_uint_eq(modify_oob_run(modify), 1);
		modify_oob_get_counts(modify, &c);
		ck_assert_int_eq(modify_oob_free(modify), 0);
	} else {
		ck_assert_int_eq(inspect_oob_new(&params, &inspect), 0);
		on(inspect_oob_id(inspect), MAC_IN);
		ck_assert_int_eq(send_through(MAC_IN, n), ABSORBED);
		ck_assert_uint_eq(inspect_oob_run(inspect, fix.now_ns), 1);
		inspect_oob_get_counts(inspect, &c);
		ck_assert_int_eq(inspect_oob_free(inspect), 0);
	}
	ck_assert_uint_eq(c.missed, 1);
	ck_assert(unit_is_home(n));
}
END_TEST

START_TEST(CL_08_a_full_queue_lets_packets_pass)
{
	struct model_params params = model_params();
	struct modify_oob *m = NULL;
	struct nbl_callout_kind_counts c;
	uint32_t n_passed = 0;

	params.limit = 4;
	ck_assert_int_eq(modify_oob_new(&params, &m), 0);
	on(modify_oob_id(m), MAC_IN);
	for (int i = 0; i < 6; i++)
		n_passed += classify_one(MAC_IN) == PASSED;
	ck_assert_uint_eq(n_passed, 2);
	modify_oob_get_counts(m, &c);
	ck_assert_uint_eq(c.missed, 2);
	ck_assert_uint_eq(modify_oob_run(m), 4);
	stack_runs_dry(NULL);
	ck_assert_int_eq(modify_oob_free(m), 0);
}
END_TEST

START_TEST(CL_08_models_that_make_no_sense_are_refused)
{
	struct model_params params = model_params();
	struct modify_inline *modify = NULL;
	struct inspect_oob *inspect = NULL;

	params.dscp = 64;
	ck_assert_int_eq(modify_inline_new(&params, &modify), -EINVAL);
	params.allow = NULL;
	ck_assert_int_eq(inspect_oob_new(&params, &inspect), -EINVAL);
	params.allow = allow_all;
	params.limit = 0;
	ck_assert_int_eq(inspect_oob_new(&params, &inspect), -EINVAL);
	params.limit = 4;
	params.owner = 0;
	ck_assert_int_eq(inspect_oob_new(&params, &inspect), -EINVAL);
	ck_assert_ptr_null(inspect);
	ck_assert_ptr_null(modify);
	ck_assert_int_eq(inspect_oob_free(NULL), 0);
	ck_assert_int_eq(modify_inline_free(NULL), 0);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ CL_08_inspecting_inline_sees_every_packet_and_changes_none, 1 },
		{ CL_08_modifying_inline_sends_the_marked_packet_in_place_of_the_original, 4 },
		{ CL_08_modifying_inline_lets_the_original_pass_where_it_cannot_send_and_leaks_nothing, 3 },
		{ CL_08_inspecting_out_of_band_lets_go_on_what_it_allows_and_nothing_else, 4 },
		{ CL_08_modifying_out_of_band_sends_the_edited_frame_in_any_order_of_completions,
		  4 },
		{ CL_08_modifying_out_of_band_waits_until_the_path_has_let_go, 1 },
		{ CL_08_a_full_queue_lets_packets_pass, 1 },
		{ CL_08_models_that_make_no_sense_are_refused, 1 },
		{ CL_07_of_two_out_of_band_callouts_on_one_packet_one_takes_it_and_it_is_sent_once,
		  1 },
		{ PE_01_hold_50_ms_then_inject_or_discard_and_every_frame_is_accounted_for, 2 },
		{ BUG_03_neither_clone_nor_original_leaks_when_the_injection_fails, 2 },
	};

	return fix_run("wfp_models", tests, N_ELEMENTS(tests));
}
