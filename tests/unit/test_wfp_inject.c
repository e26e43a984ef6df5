// SPDX-License-Identifier: BSD-2-Clause
/* test_wfp_inject.c - handles, injecting, completing, lineage. */
#include "filter/checksum.h"
#include "wfp_fixture.h"

#define MAC_IN NBL_LAYER_INBOUND_MAC_FRAME_NATIVE
#define MAC_OUT NBL_LAYER_OUTBOUND_MAC_FRAME_NATIVE
#define ALL_TYPES (NBL_INJECT_L2 | NBL_INJECT_NETWORK | NBL_INJECT_FORWARD | NBL_INJECT_TRANSPORT)

static const struct nbl_inject_target target = { .port = 2 };

static uint32_t handle_new(uint32_t types)
{
	uint32_t handle = 0;

	ck_assert_int_eq(
		nbl_inject_handle_create(fix.wfp, NBL_FAMILY_UNSPEC, types, FIX_OWNER, &handle), 0);
	ck_assert_uint_ne(handle, 0);
	return handle;
}

/* What completion functions saw. */
static struct {
	uint32_t n_calls, n_nbls;
	int status;
	struct nbl *last;
	bool frees;
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
		done.last = n;
		ck_assert(!nbl_inject_is_pending(n));
		if (done.frees)
			ck_assert_int_eq(nbl_free_clone(n), 0);
	}
}

static struct nbl *clone_of(struct nbl *n)
{
	struct nbl *clone = unit_clone(n);

	nbl_release(n);
	return clone;
}

static struct nbl *fresh_clone(void)
{
	return clone_of(cooked(&RECIPE_UDP4, 64));
}

static int send_mac(uint32_t handle, struct nbl_chain chain)
{
	return nbl_inject_mac_send(fix.wfp, handle, &done.n_calls, &target, chain, completed,
				   &done);
}

static void begin(struct script *s)
{
	memset(&done, 0, sizeof(done));
	done.frees = true;
	script_register(s);
}

/* ---- IN-01, IN-02 ---- */

START_TEST(IN_01_a_handle_injects_what_it_was_made_for_and_answers_stale_for_the_rest)
{
	struct script s = { 0 };
	uint32_t types[] = { NBL_INJECT_L2, NBL_INJECT_NETWORK, NBL_INJECT_FORWARD,
			     NBL_INJECT_TRANSPORT };
	struct nbl_headers headers = { .mac_size = 14, .mac = { [12] = 8 } };
	struct nbl_inject_target to = { .port = 2, .headers = &headers };
	struct nbl *n = fresh_clone();

	begin(&s);
	for (int i = 0; i < 4; i++) {
		uint32_t h = handle_new(types[i]);
		int r[4] = {
			i == 0 ? -ESTALE : send_mac(h, chain_of(n)),
			i == 1 ? -ESTALE
			       : nbl_inject_network_send(fix.wfp, h, NULL, &to, n, completed,
							 &done),
			i == 2 ? -ESTALE
			       : nbl_inject_forward(fix.wfp, h, NULL, &to, chain_of(n), completed,
						    &done),
			i == 3 ? -ESTALE
			       : nbl_inject_transport_send(fix.wfp, h, NULL, &to, n, completed,
							   &done),
		};

		for (int k = 0; k < 4; k++)
			ck_assert_int_eq(r[k], -ESTALE);
		ck_assert_int_eq(nbl_inject_handle_destroy(fix.wfp, h), 0);
		ck_assert_int_eq(nbl_inject_handle_destroy(fix.wfp, h), -ESTALE);
		ck_assert_int_eq(send_mac(h, chain_of(n)), -ESTALE);
	}
	ck_assert_int_eq(send_mac(0, chain_of(n)), -ESTALE);
	ck_assert_uint_eq(done.n_calls, 0);
	nbl_free_clone(n);
}
END_TEST

START_TEST(IN_01_handles_that_make_no_sense_are_refused_and_64_are_the_most)
{
	uint32_t h = 0, first = 0;

	ck_assert_int_eq(
		nbl_inject_handle_create(fix.wfp, NBL_FAMILY_V4, NBL_INJECT_L2, FIX_OWNER, &h),
		-EINVAL);
	ck_assert_int_eq(nbl_inject_handle_create(fix.wfp, NBL_FAMILY_V6,
						  NBL_INJECT_L2 | NBL_INJECT_NETWORK, FIX_OWNER,
						  &h),
			 -EINVAL);
	ck_assert_int_eq(nbl_inject_handle_create(fix.wfp, NBL_FAMILY_V4, 1u << 9, FIX_OWNER, &h),
			 -EINVAL);
	ck_assert_int_eq(nbl_inject_handle_create(fix.wfp, (enum nbl_family)3, NBL_INJECT_NETWORK,
						  FIX_OWNER, &h),
			 -EINVAL);
	ck_assert_int_eq(
		nbl_inject_handle_create(fix.wfp, NBL_FAMILY_V4, NBL_INJECT_NETWORK, 0, &h),
		-EINVAL);
	ck_assert_uint_eq(h, 0);
	for (int i = 0; i < 64; i++) {
		ck_assert_int_eq(nbl_inject_handle_create(fix.wfp, NBL_FAMILY_V4, 0, FIX_OWNER, &h),
				 0);
		first = first ? first : h;
	}
	ck_assert_int_eq(nbl_inject_handle_create(fix.wfp, NBL_FAMILY_V4, 0, FIX_OWNER, &h),
			 -ENOSPC);
	ck_assert_int_eq(nbl_inject_handle_destroy(fix.wfp, first), 0);
	ck_assert_int_eq(nbl_inject_handle_create(fix.wfp, NBL_FAMILY_V4, 0, FIX_OWNER, &h), 0);
	ck_assert_uint_ne(h, first);	/* same place, another generation (SH-08) */
}
END_TEST

START_TEST(IN_01_zero_types_are_transport_stream_and_forward)
{
	struct script s = { 0 };
	struct nbl *n = fresh_clone();
	struct nbl_headers headers = { .mac_size = 14, .mac = { [12] = 8 } };
	struct nbl_inject_target to = { .port = 2, .headers = &headers };
	uint32_t h;

	begin(&s);
	h = handle_new(0);
	ck_assert_int_eq(send_mac(h, chain_of(n)), -ESTALE);
	ck_assert_int_eq(nbl_inject_network_send(fix.wfp, h, NULL, &to, n, completed, &done),
			 -ESTALE);
	ck_assert_int_eq(nbl_advance(n, 14, false), 0);
	ck_assert_int_eq(nbl_inject_forward(fix.wfp, h, NULL, &to, chain_of(n), completed, &done),
			 0);
	fix_complete_all();
}
END_TEST

START_TEST(IN_02_destroy_waits_for_the_last_completion_and_refuses_injections_meanwhile)
{
	struct script s = { 0 };
	uint32_t h;
	struct nbl *extra = fresh_clone();

	begin(&s);
	h = handle_new(NBL_INJECT_L2);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(send_mac(h, chain_of(fresh_clone())), 0);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(nbl_inject_handle_destroy(fix.wfp, h), -EINPROGRESS);
		ck_assert_int_eq(send_mac(h, chain_of(extra)), -ESHUTDOWN);
		fix_complete(fix.n_queued / 2, 0);
	}
	ck_assert_uint_eq(done.n_nbls, 10);
	ck_assert_int_eq(nbl_inject_handle_destroy(fix.wfp, h), 0);
	nbl_free_clone(extra);
}
END_TEST

/* ---- IN-03, IN-04, IN-15 ---- */

static void leave_without_callout(struct script *s)
{
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, s->id), 0);
}

START_TEST(IN_04_every_refusal_leaves_the_nbl_with_its_owner_and_never_completes)
{
	struct script s = { 0 };
	struct nbl_inject_target to = target;
	struct nbl_chain chain = NBL_CHAIN_EMPTY, sent;
	nbl_inject_completed_fn fn = completed;
	int expected = 0, r;
	struct nbl *a = fresh_clone(), *b = fresh_clone();
	struct nbl before_a, before_b;
	uint32_t h;

	begin(&s);
	h = handle_new(NBL_INJECT_L2);
	nbl_chain_append(&chain, a);
	nbl_chain_append(&chain, b);
	sent = chain;
	switch (_i) {
	case 0: fix.ready = expected = -EAGAIN; break;			/* IN-03 */
	case 1: to.port = 4; expected = -ENXIO; break;			/* IN-15 */
	case 2: fix.submit = expected = -ENOBUFS; break;
	case 3: h ^= 1u << 6; expected = -ESTALE; break;		/* another generation */
	case 4: leave_without_callout(&s); expected = -ENOENT; break;	/* IN-11 */
	case 5: fn = NULL; expected = -EINVAL; break;			/* IN-07 */
	case 6: b->nb.data_length = 13; expected = -EINVAL; break;	/* IN-07 */
	case 7: b->nb.data_length = 5000; expected = -EINVAL; break;
	case 8: b->nb.current_offset++; expected = -EINVAL; break;
	case 9: sent.n_nbls = 3; expected = -EINVAL; break;
	case 10: sent = NBL_CHAIN_EMPTY; expected = -EINVAL; break;
	case 11: b->first_nb = NULL; expected = -EINVAL; break;
	case 12: b->segment.length = 13; b->segment.next = &a->segment; expected = -EINVAL; break;
	default: ck_abort();
	}
	memcpy(&before_a, a, sizeof(*a));
	memcpy(&before_b, b, sizeof(*b));
	r = nbl_inject_mac_send(fix.wfp, h, NULL, &to, sent, fn, &done);
	ck_assert_int_eq(r, expected);
	ck_assert_uint_eq(done.n_calls, 0);
	ck_assert_uint_eq(fix.n_queued, 0);
	ck_assert_mem_eq(&before_a, a, sizeof(*a));
	ck_assert_mem_eq(&before_b, b, sizeof(*b));
	ck_assert_int_eq(nbl_inject_handle_destroy(fix.wfp, h), _i == 3 ? -ESTALE : 0);
	/* what was broken on purpose is mended, so that the pool's seal holds */
	if (_i == 8)
		b->nb.current_offset--;
	b->first_nb = &b->nb;
	b->segment.next = NULL;
	b->segment.length = a->segment.length;
	nbl_free_clone(a);
	nbl_free_clone(b);
}
END_TEST

START_TEST(IN_04_what_cannot_follow_the_first_of_a_chain_completes_with_its_error)
{
	struct script s = { 0 };
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	begin(&s);
	for (int i = 0; i < 4; i++)
		nbl_chain_append(&chain, fresh_clone());
	fix.submit = -ENOBUFS;
	fix.submits_before_failure = 2;
	ck_assert_int_eq(send_mac(handle_new(NBL_INJECT_L2), chain), 0);
	ck_assert_uint_eq(done.n_nbls, 2);
	ck_assert_int_eq(done.status, -ENOBUFS);
	ck_assert_uint_eq(fix.n_queued, 2);
	fix_complete_all();
	ck_assert_uint_eq(done.n_nbls, 4);
}
END_TEST

/* A copy of the bytes behind the first 'skip' of 'r', without headroom. */
static struct nbl *clone_behind(const struct recipe *r, uint32_t skip)
{
	struct nbl *n = cooked(r, 64), *clone;

	nbl_advance(n, skip, false);
	clone = unit_clone(n);
	ck_assert_int_eq(nbl_retreat(n, skip, 0, NULL), 0);
	nbl_release(n);
	return clone;
}

static struct nbl_headers headers_of(const struct recipe *r)
{
	struct nbl_headers h = { 0 };
	struct bytes_out o;

	cook(&o, r);
	h.mac_size = (uint8_t)(14 + 4 * r->n_tags);
	memcpy(h.mac, o.b, h.mac_size);
	h.ip_size = (uint8_t)(r->version == 4 ? 20 + r->options : 40);
	memcpy(h.ip, o.b + h.mac_size, h.ip_size);
	return h;
}

START_TEST(IN_04_without_a_frame_for_headers_the_nbl_stays_its_owners_unchanged)
{
	struct script s = { 0 };
	struct nbl_headers headers = headers_of(&RECIPE_UDP4);
	struct nbl_inject_target to = { .port = 2, .headers = &headers };
	struct nbl *n = clone_behind(&RECIPE_UDP4, _i ? 34 : 14);
	struct nbl_nb before = n->nb;
	uint32_t taken[UNIT_N_DATA_FRAMES], n_taken, h;

	begin(&s);
	h = handle_new(ALL_TYPES);
	n_taken = unit_hog(&unit.data->free_frames, 0, taken);
	ck_assert_int_eq(_i ? nbl_inject_transport_send(fix.wfp, h, NULL, &to, n, completed, &done)
			    : nbl_inject_network_send(fix.wfp, h, NULL, &to, n, completed, &done),
			 -ENOBUFS);
	ck_assert_mem_eq(&before, &n->nb, sizeof(before));
	unit_unhog(&unit.data->free_frames, taken, n_taken);
	/* a full queue puts the headers away again */
	fix.submit = -ENOBUFS;
	ck_assert_int_eq(_i ? nbl_inject_transport_send(fix.wfp, h, NULL, &to, n, completed, &done)
			    : nbl_inject_network_send(fix.wfp, h, NULL, &to, n, completed, &done),
			 -ENOBUFS);
	ck_assert_mem_eq(&before, &n->nb, sizeof(before));
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES);
	ck_assert(!wfp_has_flag(n, WFP_FLAG_INJECTED));
	nbl_free_clone(n);
}
END_TEST

/* ---- IN-05, IN-06 ---- */

START_TEST(IN_05_completion_gets_its_context_the_nbl_and_a_status_below_zero_for_failure)
{
	static const struct { enum nbl_status status; int told; } cases[] = {
		{ NBL_STATUS_SUCCESS, 0 }, { NBL_STATUS_INVALID_LENGTH, -EMSGSIZE },
		{ NBL_STATUS_RESOURCES, -ENOBUFS }, { NBL_STATUS_FAILURE, -EIO },
		{ NBL_STATUS_SEND_ABORTED, -ECANCELED }, { NBL_STATUS_RESET_IN_PROGRESS, -ENETRESET },
		{ NBL_STATUS_PAUSED, -EAGAIN }, { (enum nbl_status)99, -EIO },
	};
	struct script s = { 0 };
	struct nbl *n = fresh_clone();

	begin(&s);
	ck_assert_int_eq(send_mac(handle_new(NBL_INJECT_L2), chain_of(n)), 0);
	ck_assert_uint_eq(done.n_calls, 0);
	fix_complete(0, nbl_inject_status(cases[_i].status));
	ck_assert_uint_eq(done.n_calls, 1);
	ck_assert_ptr_eq(done.last, n);
	ck_assert_int_eq(done.status, cases[_i].told);
	ck_assert_int_eq(nbl_inject_status(NBL_STATUS_INVALID_LENGTH) < 0, 1);
}
END_TEST

START_TEST(IN_05_a_second_completion_is_refused_and_counted)
{
	struct script s = { 0 };
	struct nbl *n = fresh_clone();

	begin(&s);
	done.frees = false;
	ck_assert_int_eq(nbl_inject_complete(fix.wfp, n, 0), -EINVAL);
	ck_assert_int_eq(send_mac(handle_new(NBL_INJECT_L2), chain_of(n)), 0);
	fix_complete(0, 0);
	ck_assert_int_eq(nbl_inject_complete(fix.wfp, n, 0), -EINVAL);
	ck_assert_uint_eq(done.n_calls, 1);
	ck_assert_uint_eq(counts().completions_refused, 2);
	nbl_free_clone(n);
}
END_TEST

START_TEST(IN_06_a_chain_of_ten_completes_in_any_order_and_grouping_ten_in_all)
{
	struct unit_random random = unit_random((uint64_t)_i + 1);
	struct script s = { 0 };
	struct nbl_chain chain = NBL_CHAIN_EMPTY, part, rest;
	struct nbl *n, *foreign = cooked(&RECIPE_UDP4, 64);

	begin(&s);
	for (int i = 0; i < 10; i++)
		nbl_chain_append(&chain, fresh_clone());
	ck_assert_int_eq(send_mac(handle_new(NBL_INJECT_L2), chain), 0);
	ck_assert_uint_eq(fix.n_queued, 10);
	while (fix.n_queued) {
		uint32_t k = 1 + unit_random_below(&random, fix.n_queued);

		part = NBL_CHAIN_EMPTY;
		while (k--) {
			uint32_t i = unit_random_below(&random, fix.n_queued);

			n = fix.queued[i].n;
			fix.queued[i] = fix.queued[--fix.n_queued];
			nbl_chain_append(&part, n);
		}
		nbl_chain_append(&part, foreign);
		rest = nbl_inject_complete_chain(fix.wfp, part, 0);
		ck_assert_ptr_eq(rest.head, foreign);
		ck_assert_uint_eq(rest.n_nbls, 1);
	}
	ck_assert_uint_eq(done.n_nbls, 10);
	nbl_release(foreign);
}
END_TEST

START_TEST(IN_06_those_with_one_completion_function_come_back_together)
{
	struct script s = { 0 };
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	uint32_t h;

	begin(&s);
	h = handle_new(NBL_INJECT_L2);
	for (int i = 0; i < 3; i++)
		nbl_chain_append(&chain, fresh_clone());
	ck_assert_int_eq(send_mac(h, chain), 0);
	chain = NBL_CHAIN_EMPTY;
	for (int i = 0; i < 3; i++)
		nbl_chain_append(&chain, fix.queued[i].n);
	fix.n_queued = 0;
	chain = nbl_inject_complete_chain(fix.wfp, chain, 0);
	ck_assert_ptr_null(chain.head);
	ck_assert_uint_eq(done.n_calls, 1);
	ck_assert_uint_eq(done.n_nbls, 3);
}
END_TEST

/* ---- IN-07, IN-12 ---- */

/* Absorbed and let go, referenced by callout 's'. */
static struct nbl *absorbed_original(struct script *s)
{
	struct nbl *n = cooked(&RECIPE_UDP4, 64);

	n->source_handle = 0x55;
	n->port = 1;
	*s = (struct script){ .action = NBL_ACTION_BLOCK, .flags = NBL_CLASSIFY_ABSORB, .reference = 1,
			      .right = SCRIPT_CLEAR_RIGHT };
	script_start(s, MAC_IN, 0, 1);
	ck_assert_int_eq(send_through(MAC_IN, n), ABSORBED);
	ck_assert(!unit_is_home(n));
	return n;
}

START_TEST(IN_12_an_absorbed_original_is_injected_without_a_clone_and_goes_home_after_it)
{
	struct script s;
	struct nbl *n = absorbed_original(&s);
	struct nbl_pool_counts c;

	memset(&done, 0, sizeof(done));
	ck_assert_int_eq(send_mac(handle_new(NBL_INJECT_L2), chain_of(n)), 0);
	nbl_pool_get_counts(unit.pool, &c);
	ck_assert_uint_eq(c.nbls_free, c.n_nbls);
	ck_assert_ptr_eq(fix.queued[0].n, n);
	ck_assert_uint_eq(n->port, 2);
	/* its reference may go before the completion */
	if (_i)
		ck_assert_int_eq(nbl_callout_dereference(fix.wfp, s.id, n), 0);
	ck_assert(!unit_is_home(n));
	fix_complete(0, 0);
	ck_assert_uint_eq(done.n_calls, 1);
	if (!_i) {
		ck_assert(!unit_is_home(n));
		ck_assert_int_eq(nbl_callout_dereference(fix.wfp, s.id, n), 0);
	}
	ck_assert(unit_is_home(n));
	ck_assert_uint_eq(n->source_handle, 0x55);
	ck_assert_uint_eq(n->port, 1);
}
END_TEST

START_TEST(IN_07_an_original_needs_no_completion_function_and_a_clone_does)
{
	struct script s;
	struct nbl *n = absorbed_original(&s), *clone = fresh_clone();
	uint32_t h = handle_new(NBL_INJECT_L2);

	ck_assert_int_eq(
		nbl_inject_mac_send(fix.wfp, h, NULL, &target, chain_of(clone), NULL, NULL),
		-EINVAL);
	ck_assert_int_eq(nbl_inject_mac_send(fix.wfp, h, NULL, &target, chain_of(n), NULL, NULL),
			 0);
	ck_assert_int_eq(nbl_callout_dereference(fix.wfp, s.id, n), 0);
	ck_assert(!unit_is_home(n));
	fix_complete(0, 0);
	ck_assert(unit_is_home(n));
	nbl_free_clone(clone);
}
END_TEST

static int inject_inside;

static void injects_the_original(struct script *s, const struct nbl_classify_in *in)
{
	inject_inside = nbl_inject_mac_receive(in->wfp, (uint32_t)(uintptr_t)s->data, NULL, &target,
					       chain_of(in->n), NULL, NULL);
}

START_TEST(IN_12_an_original_that_its_path_still_has_cannot_be_injected)
{
	struct script s = { .action = NBL_ACTION_BLOCK,
			    .flags = NBL_CLASSIFY_ABSORB,
			    .reference = 1,
			    .more = injects_the_original,
			    .right = SCRIPT_CLEAR_RIGHT };
	struct nbl *n = cooked(&RECIPE_UDP4, 64);

	script_start(&s, MAC_IN, 0, 1);
	s.data = (void *)(uintptr_t)handle_new(NBL_INJECT_L2);
	ck_assert(!nbl_is_let_go(n));
	ck_assert_int_eq(send_through(MAC_IN, n), ABSORBED);
	ck_assert_int_eq(inject_inside, -EBUSY);
	ck_assert(nbl_is_let_go(n));
	ck_assert_int_eq(nbl_callout_dereference(fix.wfp, s.id, n), 0);
}
END_TEST

START_TEST(IN_12_the_order_of_held_originals_is_kept)
{
	struct script s = { .action = NBL_ACTION_BLOCK,
			    .flags = NBL_CLASSIFY_ABSORB,
			    .reference = 1,
			    .right = SCRIPT_CLEAR_RIGHT };
	struct nbl *n[8];
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	begin(&s);
	done.frees = false;
	add_filter(MAC_IN, WFP_ACTION_CALLOUT_UNKNOWN, s.id, 0, 1, 0);
	for (int i = 0; i < 8; i++) {
		n[i] = cooked(&RECIPE_UDP4, 64);
		ck_assert_int_eq(send_through(MAC_IN, n[i]), ABSORBED);
	}
	for (int i = 0; i < 8; i++)
		nbl_chain_append(&chain, n[i]);
	ck_assert_int_eq(send_mac(handle_new(NBL_INJECT_L2), chain), 0);
	for (int i = 0; i < 8; i++) {
		ck_assert_ptr_eq(fix.queued[i].n, n[i]);
		nbl_callout_dereference(fix.wfp, s.id, n[i]);
	}
	fix_complete_all();
	ck_assert_uint_eq(done.n_nbls, 8);
}
END_TEST

START_TEST(BUG_07_what_is_being_injected_cannot_be_injected_or_freed_again)
{
	struct script s = { 0 };
	struct nbl *n = cooked(&RECIPE_UDP4, 64), *clone = NULL;
	uint32_t h, other;

	begin(&s);
	ck_assert_int_eq(nbl_callout_clone(fix.wfp, s.id, n, unit.pool, &clone), 0);
	nbl_release(n);
	h = handle_new(NBL_INJECT_L2);
	other = handle_new(NBL_INJECT_L2);
	done.frees = false;
	ck_assert_int_eq(send_mac(h, chain_of(clone)), 0);
	ck_assert_int_eq(send_mac(h, chain_of(clone)), -EBUSY);
	ck_assert_int_eq(send_mac(other, chain_of(clone)), -EBUSY);
	ck_assert_int_eq(nbl_callout_free(fix.wfp, s.id, clone), -EINVAL);
	fix_complete(0, 0);
	ck_assert_int_eq(nbl_callout_free(fix.wfp, s.id, clone), 0);
}
END_TEST

/* ---- IN-08: going round again ---- */

static uint8_t met[64];
static uint32_t n_met;

static void notes_the_layer(struct script *s, const struct nbl_classify_in *in)
{
	met[n_met++ % 64] = (uint8_t)in->layer;
}

/* What the stack does with what it was given: classify again, then as if sent. */
static void run_stack_once(void)
{
	struct nbl *n = fix.queued[0].n;
	enum nbl_inject_path path = fix.queued[0].path;
	struct nbl_wfp_result r;

	memmove(&fix.queued[0], &fix.queued[1], --fix.n_queued * sizeof(fix.queued[0]));
	r = nbl_wfp_classify_injected(fix.wfp, path, chain_of(n), &fix.env);
	ck_assert_ptr_null(nbl_inject_complete_chain(fix.wfp, r.passed, 0).head);
	ck_assert_ptr_null(nbl_inject_complete_chain(fix.wfp, r.dropped, -EPERM).head);
	ck_assert_ptr_null(nbl_inject_complete_chain(fix.wfp, r.absorbed, 0).head);
}

START_TEST(IN_08_each_path_re_enters_at_its_layer_and_forwarded_packets_are_not_classified_again)
{
	static const struct { int n; uint8_t layers[8];
	} expected[NBL_N_INJECT_PATHS] = {
		[NBL_PATH_MAC_SEND] = { 2,
					{ NBL_LAYER_OUTBOUND_MAC_FRAME_ETHERNET,
					  NBL_LAYER_OUTBOUND_MAC_FRAME_NATIVE } },
		[NBL_PATH_MAC_RECEIVE] = { 5,
					   { NBL_LAYER_INBOUND_MAC_FRAME_NATIVE,
					     NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET,
					     NBL_LAYER_INBOUND_IPPACKET_V4,
					     NBL_LAYER_INBOUND_TRANSPORT_V4,
					     NBL_LAYER_DATAGRAM_DATA_V4 } },
		[NBL_PATH_NETWORK_SEND] = { 3,
					    { NBL_LAYER_OUTBOUND_IPPACKET_V4,
					      NBL_LAYER_OUTBOUND_MAC_FRAME_ETHERNET,
					      NBL_LAYER_OUTBOUND_MAC_FRAME_NATIVE } },
		[NBL_PATH_NETWORK_RECEIVE] = { 3,
					       { NBL_LAYER_INBOUND_IPPACKET_V4,
						 NBL_LAYER_INBOUND_TRANSPORT_V4,
						 NBL_LAYER_DATAGRAM_DATA_V4 } },
		[NBL_PATH_FORWARD] = { 0, { 0 } },
		[NBL_PATH_TRANSPORT_SEND] = { 5,
					      { NBL_LAYER_DATAGRAM_DATA_V4,
						NBL_LAYER_OUTBOUND_TRANSPORT_V4,
						NBL_LAYER_OUTBOUND_IPPACKET_V4,
						NBL_LAYER_OUTBOUND_MAC_FRAME_ETHERNET,
						NBL_LAYER_OUTBOUND_MAC_FRAME_NATIVE } },
		[NBL_PATH_TRANSPORT_RECEIVE] = { 2,
						 { NBL_LAYER_INBOUND_TRANSPORT_V4,
						   NBL_LAYER_DATAGRAM_DATA_V4 } },
	};
	struct script s = { .action = NBL_ACTION_CONTINUE, .more = notes_the_layer };
	struct nbl_headers headers = headers_of(&RECIPE_UDP4);
	struct nbl_inject_target to = { .port = 2, .headers = &headers };
	struct nbl *n = clone_behind(&RECIPE_UDP4, _i <= NBL_PATH_MAC_RECEIVE ? 0
						   : _i <= NBL_PATH_FORWARD   ? 14
									      : 34);
	uint32_t h;
	int r = -1;

	begin(&s);
	for (int i = 0; i < NBL_N_LAYERS; i++)
		add_filter((enum nbl_layer)i, WFP_ACTION_CALLOUT_UNKNOWN, s.id, 0, 1, 0);
	h = handle_new(ALL_TYPES);
	switch (_i) {
	case NBL_PATH_MAC_SEND: r = nbl_inject_mac_send(fix.wfp, h, NULL, &to, chain_of(n), completed, &done); break;
	case NBL_PATH_MAC_RECEIVE: r = nbl_inject_mac_receive(fix.wfp, h, NULL, &to, chain_of(n), completed, &done); break;
	case NBL_PATH_NETWORK_SEND: r = nbl_inject_network_send(fix.wfp, h, NULL, &to, n, completed, &done); break;
	case NBL_PATH_NETWORK_RECEIVE: r = nbl_inject_network_receive(fix.wfp, h, NULL, &to, n, completed, &done); break;
	case NBL_PATH_FORWARD: r = nbl_inject_forward(fix.wfp, h, NULL, &to, chain_of(n), completed, &done); break;
	case NBL_PATH_TRANSPORT_SEND: r = nbl_inject_transport_send(fix.wfp, h, NULL, &to, n, completed, &done); break;
	case NBL_PATH_TRANSPORT_RECEIVE: r = nbl_inject_transport_receive(fix.wfp, h, NULL, &to, n, completed, &done); break;
	default: break;
	}
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, h, n, NULL), NBL_INJECTED_BY_SELF);	/* AMB-06: also when forwarded */
	n_met = 0;
	run_stack_once();
	ck_assert_uint_eq(n_met, (uint32_t)expected[_i].n);
	ck_assert_mem_eq(met, expected[_i].layers, n_met);
	ck_assert_uint_eq(done.n_nbls, 1);
}
END_TEST

static struct script *completing;

static void completed_for_script(void *context, struct nbl_chain chain, int status)
{
	struct nbl *n;

	done.n_nbls += chain.n_nbls;
	while ((n = nbl_chain_pop(&chain)))
		ck_assert_int_eq(nbl_callout_free(fix.wfp, completing->id, n), 0);
}

static void injects_in_its_name(struct script *s, const struct nbl_classify_in *in)
{
	struct nbl *clone = NULL;

	ck_assert_int_eq(nbl_callout_clone(in->wfp, s->id, in->n, unit.pool, &clone), 0);
	inject_inside = nbl_inject_mac_receive(in->wfp, (uint32_t)(uintptr_t)s->data, NULL, &target,
					       chain_of(clone), completed_for_script, s);
	if (inject_inside < 0)
		ck_assert_int_eq(nbl_callout_free(in->wfp, s->id, clone), 0);
}

static void free_copies(void *context, struct nbl_chain chain, int status)
{
	struct nbl *n;

	while ((n = nbl_chain_pop(&chain)))
		ck_assert_int_eq(nbl_free(n), 0);
}

/* Plain copies have no parent: they are found out through what is being classified. */
static void injects_copies_of_its_own(struct script *s, const struct nbl_classify_in *in)
{
	struct nbl *copy = NULL;

	ck_assert_int_eq(nbl_alloc_copy(in->n, unit.pool, unit.data, &copy), 0);
	inject_inside = nbl_inject_mac_receive(in->wfp, (uint32_t)(uintptr_t)s->data, NULL, &target,
					       chain_of(copy), free_copies, s);
	if (inject_inside < 0)
		nbl_free(copy);
}

START_TEST(IN_08_who_injects_without_asking_is_stopped_at_the_loop_cap_and_counted)
{
	struct script s = { .action = NBL_ACTION_BLOCK,
			    .flags = NBL_CLASSIFY_ABSORB,
			    .right = SCRIPT_CLEAR_RIGHT,
			    .more = _i ? injects_copies_of_its_own : injects_in_its_name };
	uint32_t rounds = 0;

	begin(&s);
	completing = &s;
	add_filter(MAC_IN, WFP_ACTION_CALLOUT_UNKNOWN, s.id, 0, 1, 0);
	s.data = (void *)(uintptr_t)handle_new(NBL_INJECT_L2);
	ck_assert_int_eq(classify_one(MAC_IN), ABSORBED);
	while (fix.n_queued && rounds++ < 100)
		run_stack_once();
	ck_assert_uint_eq(rounds, NBL_MAX_INJECTIONS);
	ck_assert_int_eq(inject_inside, -ELOOP);
	ck_assert_uint_eq(counts().loops, 1);
	ck_assert_uint_eq(s.n_calls, NBL_MAX_INJECTIONS + 1);
}
END_TEST

START_TEST(CL_14_injecting_inside_classify_classifies_nothing_before_it_returns)
{
	struct script s = { .action = NBL_ACTION_BLOCK,
			    .flags = NBL_CLASSIFY_ABSORB,
			    .right = SCRIPT_CLEAR_RIGHT,
			    .more = injects_in_its_name };

	begin(&s);
	completing = &s;
	add_filter(MAC_IN, WFP_ACTION_CALLOUT_UNKNOWN, s.id, 0, 1, 0);
	s.data = (void *)(uintptr_t)handle_new(NBL_INJECT_L2);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(classify_one(MAC_IN), ABSORBED);
	ck_assert_uint_eq(s.n_calls, 8);
	ck_assert_uint_eq(fix.n_queued, 8);
	fix_complete_all();
	/* and completing at once inside it does no harm */
	fix.at_once = true;
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(classify_one(MAC_IN), ABSORBED);
	ck_assert_uint_eq(done.n_nbls, 1008);
}
END_TEST

/* ---- IN-09, IN-10 ---- */

START_TEST(IN_09_self_other_and_previously_are_told_apart_through_a_foreign_clone)
{
	struct script s = { 0 };
	uint32_t a, b, c;
	struct nbl *n = cooked(&RECIPE_UDP4, 64), *first = unit_clone(n), *second, *third;
	void *context = &a;
	int tag_a, tag_b;

	begin(&s);
	done.frees = false;
	a = handle_new(NBL_INJECT_L2);
	b = handle_new(NBL_INJECT_L2);
	c = handle_new(NBL_INJECT_L2);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, a, n, &context), NBL_NOT_INJECTED);
	ck_assert_ptr_null(context);
	nbl_release(n);

	ck_assert_int_eq(
		nbl_inject_mac_send(fix.wfp, a, &tag_a, &target, chain_of(first), completed, &done),
		0);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, a, first, &context), NBL_INJECTED_BY_SELF);
	ck_assert_ptr_eq(context, &tag_a);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, b, first, &context), NBL_INJECTED_BY_OTHER);
	ck_assert_ptr_null(context);

	/* B clones what A injected; A's injection is over and its clone freed before B injects */
	second = unit_clone(first);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, a, second, &context), NBL_INJECTED_BY_SELF);
	fix_complete(0, 0);
	nbl_free_clone(first);
	ck_assert_int_eq(nbl_inject_mac_send(fix.wfp, b, &tag_b, &target, chain_of(second),
					     completed, &done),
			 0);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, a, second, &context),
			 NBL_PREVIOUSLY_INJECTED_BY_SELF);
	ck_assert_ptr_eq(context, &tag_a);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, b, second, &context), NBL_INJECTED_BY_SELF);
	ck_assert_ptr_eq(context, &tag_b);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, c, second, &context), NBL_INJECTED_BY_OTHER);
	ck_assert_ptr_null(context);

	/* and through a copy, which has no parent */
	third = NULL;
	ck_assert_int_eq(nbl_callout_copy(fix.wfp, s.id, second, unit.pool, unit.data, &third), 0);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, a, third, &context),
			 NBL_PREVIOUSLY_INJECTED_BY_SELF);
	ck_assert_ptr_eq(context, &tag_a);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, b, third, &context), NBL_INJECTED_BY_SELF);
	ck_assert_ptr_eq(context, &tag_b);
	ck_assert(!nbl_inject_is_pending(third));
	fix_complete(0, 0);
	nbl_free_clone(second);
	ck_assert_int_eq(nbl_callout_free(fix.wfp, s.id, third), 0);
}
END_TEST

START_TEST(IN_10_an_original_injected_by_two_in_turn_keeps_both_contexts)
{
	struct script s;
	struct nbl *n = absorbed_original(&s);
	uint32_t a = handle_new(NBL_INJECT_L2), b = handle_new(NBL_INJECT_L2);
	void *context;
	int tag_a, tag_b;

	ck_assert_int_eq(nbl_inject_mac_send(fix.wfp, a, &tag_a, &target, chain_of(n), NULL, NULL),
			 0);
	fix_complete(0, 0);
	ck_assert_int_eq(nbl_inject_mac_send(fix.wfp, b, &tag_b, &target, chain_of(n), NULL, NULL),
			 0);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, a, n, &context),
			 NBL_PREVIOUSLY_INJECTED_BY_SELF);
	ck_assert_ptr_eq(context, &tag_a);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, b, n, &context), NBL_INJECTED_BY_SELF);
	ck_assert_ptr_eq(context, &tag_b);
	fix_complete(0, 0);
	nbl_callout_dereference(fix.wfp, s.id, n);
	/* used again, it is a packet like any other */
	n = cooked(&RECIPE_UDP4, 64);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, a, n, NULL), NBL_NOT_INJECTED);
	nbl_release(n);
}
END_TEST

START_TEST(SH_07_an_injected_clone_is_originated_by_its_injector_and_the_parent_is_not)
{
	struct script s = { 0 };
	struct nbl *n = cooked(&RECIPE_UDP4, 64), *clone;
	uint32_t h;

	begin(&s);
	n->source_handle = 0x77;
	clone = unit_clone(n);
	h = handle_new(NBL_INJECT_L2);
	ck_assert_int_eq(send_mac(h, chain_of(clone)), 0);
	ck_assert_uint_eq(clone->source_handle, h);
	ck_assert_uint_ne(h & WFP_HANDLE_FLAG, 0);
	ck_assert_uint_eq(n->source_handle, 0x77);
	fix_complete(0, 0);
	nbl_release(n);
}
END_TEST

/* ---- IN-11 ---- */

START_TEST(IN_11_an_owner_injects_only_where_it_has_a_callout)
{
	struct script s = { 0 };
	struct nbl_callout c = script_callout(&s);
	struct nbl_headers headers = headers_of(&RECIPE_UDP4);
	struct nbl_inject_target to = { .port = 2, .headers = &headers };
	struct nbl *frame = fresh_clone(), *packet = clone_behind(&RECIPE_UDP4, 14);
	uint32_t h, other = 0, id;

	memset(&done, 0, sizeof(done));
	done.frees = true;
	c.layers = NBL_LAYER_BIT(MAC_OUT) | NBL_LAYER_BIT(NBL_LAYER_INBOUND_IPPACKET_V6);
	ck_assert_int_eq(nbl_callout_register(fix.wfp, &c, &s.id), 0);
	h = handle_new(ALL_TYPES);
	ck_assert_int_eq(
		nbl_inject_mac_receive(fix.wfp, h, NULL, &to, chain_of(frame), completed, &done),
		-ENOENT);
	ck_assert_int_eq(
		nbl_inject_network_receive(fix.wfp, h, NULL, &to, packet, completed, &done),
		-ENOENT);
	ck_assert_int_eq(nbl_inject_handle_create(fix.wfp, NBL_FAMILY_UNSPEC, NBL_INJECT_L2,
						  FIX_OWNER + 1, &other),
			 0);
	ck_assert_int_eq(send_mac(other, chain_of(frame)), -ENOENT);
	ck_assert_int_eq(send_mac(h, chain_of(frame)), 0);
	/* one registered later counts too */
	c.layers = NBL_LAYER_BIT(NBL_LAYER_INBOUND_IPPACKET_V4);
	ck_assert_int_eq(nbl_callout_register(fix.wfp, &c, &id), 0);
	ck_assert_int_eq(
		nbl_inject_network_receive(fix.wfp, h, NULL, &to, packet, completed, &done), 0);
	fix_complete_all();
}
END_TEST

START_TEST(IN_11_filters_and_callouts_that_go_while_injections_are_out_lose_none)
{
	struct script s = { .action = NBL_ACTION_CONTINUE };
	uint64_t filter;
	uint32_t h;

	begin(&s);
	filter = add_filter(MAC_OUT, WFP_ACTION_CALLOUT_UNKNOWN, s.id, 0, 1, 0);
	h = handle_new(NBL_INJECT_L2);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(send_mac(h, chain_of(fresh_clone())), 0);
	run_stack_once();
	delete_filter(filter);
	run_stack_once();
	ck_assert_int_eq(nbl_callout_unregister(fix.wfp, s.id), 0);
	run_stack_once();
	fix_complete_all();
	ck_assert_uint_eq(done.n_nbls, 6);
}
END_TEST

/* ---- IP paths ---- */

START_TEST(IN_13_a_packet_injected_above_mac_gets_its_headers_back_and_right_checksums)
{
	static const uint8_t protocols[] = { 6, 17, 1 };
	int version = _i & 1 ? 6 : 4, tags = _i / 2 % 3, kind = _i / 6 % 3;
	bool transport = _i / 18;
	struct recipe r = { .version = version,
			    .protocol = protocols[kind],
			    .n_tags = tags,
			    .vlan = 5,
			    .source_port = 1000,
			    .destination_port = 53,
			    .source = 1,
			    .destination = 2,
			    .payload = 21 };
	struct script s = { 0 };
	struct bytes_out expected;
	struct nbl *n;
	struct nbl_nb before;
	struct nbl_headers headers;
	struct nbl_inject_target to = { .port = 2, .headers = &headers };
	uint8_t storage[256], byte = 0;
	uint32_t h, skip;

	if (kind == 2 && version == 6)
		r.protocol = 58;
	begin(&s);
	done.frees = false;
	h = handle_new(ALL_TYPES);
	headers = headers_of(&r);
	skip = headers.mac_size + (transport ? headers.ip_size : 0u);
	n = clone_behind(&r, skip);
	before = n->nb;
	/* the callout edits the last byte and forgets the checksum */
	wfp_nb_write(&n->nb, n->nb.data_length - 1, &byte, 1);
	cook(&expected, &r);
	expected.b[expected.n - 1] = 0;
	uint32_t at = headers.mac_size + headers.ip_size + (uint32_t)check_at(&r);

	set16(&expected, at, 0);
	set16(&expected, at,
	      slow_checksum(expected.b + headers.mac_size, headers.ip_size,
			    expected.n - headers.mac_size - headers.ip_size, r.protocol));
	ck_assert_int_eq(
		transport ? nbl_inject_transport_send(fix.wfp, h, NULL, &to, n, completed, &done)
			  : nbl_inject_network_receive(fix.wfp, h, NULL, &to, n, completed, &done),
		0);
	ck_assert_uint_eq(n->nb.data_length, expected.n);
	ck_assert_mem_eq(nbl_nb_view(&n->nb, expected.n, storage, 1, 0), expected.b, expected.n);
	fix_complete(0, 0);
	ck_assert_mem_eq(&before, &n->nb, sizeof(before));	/* the window is back */
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES);
	nbl_free_clone(n);
}
END_TEST

START_TEST(IN_13_what_the_port_was_asked_to_compute_is_not_computed_twice)
{
	struct script s = { 0 };
	struct nbl_headers headers = headers_of(&RECIPE_UDP4);
	struct nbl_inject_target to = { .port = 2, .headers = &headers };
	struct nbl *n = clone_behind(&RECIPE_UDP4, 14);
	static const uint8_t wrong[] = { 0x12, 0x34 };
	uint8_t storage[64];
	const uint8_t *bytes;

	begin(&s);
	n->info[NBL_INFO_CHECKSUM] = NBL_CHECKSUM_REQUEST_TRANSPORT;
	wfp_nb_write(&n->nb, 26, wrong, 2);
	wfp_nb_write(&n->nb, 10, wrong, 2);
	ck_assert_int_eq(nbl_inject_network_send(fix.wfp, handle_new(ALL_TYPES), NULL, &to, n,
						 completed, &done),
			 0);
	bytes = nbl_nb_view(&n->nb, 60, storage, 1, 0);
	ck_assert_mem_eq(bytes + 14 + 26, wrong, 2);
	ck_assert_uint_eq(slow_sum(bytes + 14, 20, 0), 0xffff);
	fix_complete(0, 0);
}
END_TEST

START_TEST(IN_13_construct_ip_header_makes_lengths_and_checksums_fit)
{
	struct recipe r = RECIPE_UDP4;
	struct nbl_headers headers;
	struct nbl *n;
	struct bytes_out expected;
	uint8_t storage[256];

	r.version = _i ? 6 : 4;
	headers = headers_of(&r);
	r.payload += 30;		/* longer than what the header was saved from */
	n = clone_behind(&r, headers.mac_size + headers.ip_size);
	cook(&expected, &r);
	n->info[NBL_INFO_CHECKSUM] =
		NBL_CHECKSUM_REQUEST_IP | NBL_CHECKSUM_REQUEST_TRANSPORT | 0x100;
	ck_assert_int_eq(nbl_construct_ip_header(n, &headers, NULL), -ENOBUFS);
	ck_assert_int_eq(nbl_construct_ip_header(n, &headers, unit.data), 0);
	ck_assert_uint_eq(n->info[NBL_INFO_CHECKSUM], 0x100);
	ck_assert_mem_eq(nbl_nb_view(&n->nb, expected.n - 14, storage, 1, 0), expected.b + 14,
			 expected.n - 14);
	ck_assert_int_eq(nbl_advance(n, headers.ip_size, true), 0);
	headers.ip[0] = 0x15;
	ck_assert_int_eq(nbl_construct_ip_header(n, &headers, unit.data), -EINVAL);
	headers.ip[0] = 0x45;
	headers.ip_size = 24;
	ck_assert_int_eq(nbl_construct_ip_header(n, &headers, unit.data), -EINVAL);
	headers.ip_size = 20;
	headers.ip[6] = 0x20;	/* of a fragment */
	ck_assert_int_eq(nbl_construct_ip_header(n, &headers, unit.data), -EINVAL);
	nbl_free_clone(n);
}
END_TEST

static void saves_headers(struct script *s, const struct nbl_classify_in *in)
{
	inject_inside = nbl_headers_save(in, &s->headers);
}

START_TEST(IN_13_headers_saved_in_classify_are_those_of_the_packet)
{
	struct recipe r = RECIPE_UDP4;
	struct script s = { .action = NBL_ACTION_CONTINUE, .more = saves_headers };
	struct nbl_headers expected;
	struct nbl *n;

	r.n_tags = 2;
	r.options = 8;
	expected = headers_of(&r);
	script_start(&s, _i ? NBL_LAYER_INBOUND_TRANSPORT_V4 : NBL_LAYER_OUTBOUND_IPPACKET_V4, 0,
		     1);
	n = cooked(&r, 64);
	ck_assert_int_eq(
		send_through(_i ? NBL_LAYER_INBOUND_TRANSPORT_V4 : NBL_LAYER_OUTBOUND_IPPACKET_V4,
			     n),
		PASSED);
	ck_assert_int_eq(inject_inside, 0);
	ck_assert_mem_eq(&s.headers, &expected, sizeof(expected));
	nbl_release(n);
}
END_TEST

START_TEST(IN_13_ip_injections_whose_parts_do_not_fit_are_refused)
{
	struct script s = { 0 };
	struct nbl_headers good = headers_of(&RECIPE_UDP4), h = good;
	struct nbl_inject_target to = { .port = 2, .headers = &h };
	struct nbl *n = clone_behind(&RECIPE_UDP4, 14), *original;
	struct script holder;
	uint32_t handle, v6 = 0;

	begin(&s);
	handle = handle_new(ALL_TYPES);
	ck_assert_int_eq(nbl_inject_handle_create(fix.wfp, NBL_FAMILY_V6, NBL_INJECT_NETWORK,
						  FIX_OWNER, &v6),
			 0);
	ck_assert_int_eq(nbl_inject_network_send(fix.wfp, v6, NULL, &to, n, completed, &done),
			 -EINVAL);
	h.mac_size = 13;
	ck_assert_int_eq(nbl_inject_network_send(fix.wfp, handle, NULL, &to, n, completed, &done),
			 -EINVAL);
	h.mac_size = 23;
	ck_assert_int_eq(nbl_inject_network_send(fix.wfp, handle, NULL, &to, n, completed, &done),
			 -EINVAL);
	h = good;
	h.mac[12] = 0x86;
	h.mac[13] = 0xdd;	/* another EtherType */
	ck_assert_int_eq(nbl_inject_network_send(fix.wfp, handle, NULL, &to, n, completed, &done),
			 -EINVAL);
	to.headers = NULL;
	ck_assert_int_eq(nbl_inject_network_send(fix.wfp, handle, NULL, &to, n, completed, &done),
			 -EINVAL);
	h = good;
	to.headers = &h;
	h.ip_size = 0;
	ck_assert_int_eq(nbl_inject_transport_send(fix.wfp, handle, NULL, &to, n, completed, &done),
			 -EINVAL);
	h = good;
	nbl_advance(n, 10, false);
	ck_assert_int_eq(nbl_inject_network_send(fix.wfp, handle, NULL, &to, n, completed, &done),
			 -EINVAL);
	ck_assert_int_eq(nbl_retreat(n, 10, 0, NULL), 0);
	ck_assert_int_eq(nbl_inject_network_send(fix.wfp, handle, NULL, NULL, n, completed, &done),
			 -EINVAL);
	original = absorbed_original(&holder);
	nbl_advance(original, 14, false);
	ck_assert_int_eq(
		nbl_inject_network_send(fix.wfp, handle, NULL, &to, original, completed, &done),
		-EINVAL);
	ck_assert_int_eq(nbl_retreat(original, 14, 0, NULL), 0);
	nbl_callout_dereference(fix.wfp, holder.id, original);
	ck_assert_uint_eq(done.n_calls, 0);
	nbl_free_clone(n);
}
END_TEST

START_TEST(IN_16_a_chain_is_not_forwarded)
{
	struct script s = { 0 };
	struct nbl_headers headers = headers_of(&RECIPE_UDP4);
	struct nbl_inject_target to = { .port = 2, .headers = &headers };
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	struct nbl *n;

	begin(&s);
	for (int i = 0; i < 2; i++)
		nbl_chain_append(&chain, clone_behind(&RECIPE_UDP4, 14));
	ck_assert_int_eq(
		nbl_inject_forward(fix.wfp, handle_new(0), NULL, &to, chain, completed, &done),
		-EOPNOTSUPP);
	while ((n = nbl_chain_pop(&chain)))
		nbl_free_clone(n);
}
END_TEST

/* ---- IN-14: frames the port does not have ---- */

START_TEST(IN_14_what_lies_in_frames_the_port_does_not_have_is_copied_and_given_back_as_it_was)
{
	struct nbl_wfp_params params = fix_params();
	struct script s = { 0 };
	struct nbl *n, *sent;
	struct bytes_out o;
	uint8_t storage[128];
	uint32_t h;

	fix_end();
	params.n_frames = 8;		/* the heap's segments have no frame number */
	fix_begin(&params);
	begin(&s);
	done.frees = false;
	h = handle_new(NBL_INJECT_L2);
	n = cooked(&RECIPE_UDP4, 64);
	n->segment.frame = 0;
	ck_assert_int_eq(nbl_alloc_copy(n, unit.pool, unit.data, &sent), 0);
	nbl_release(n);
	n = sent;
	cook(&o, &RECIPE_UDP4);
	ck_assert_int_eq(send_mac(h, chain_of(n)), 0);
	sent = fix.queued[0].n;
	ck_assert_ptr_ne(sent, n);
	ck_assert_ptr_eq(sent->parent, n);
	ck_assert_uint_eq(sent->source_handle, h);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, h, sent, NULL), NBL_INJECTED_BY_SELF);
	ck_assert_mem_eq(nbl_nb_view(&sent->nb, o.n, storage, 1, 0), o.b, o.n);
	ck_assert_uint_eq(counts().copied, 1);
	fix_complete(0, -EIO);
	ck_assert_ptr_eq(done.last, n);
	ck_assert_int_eq(done.status, -EIO);
	ck_assert_uint_eq(n->child_ref_count, 0);
	/* a full queue frees the copy */
	fix.submit = -ENOBUFS;
	ck_assert_int_eq(send_mac(h, chain_of(n)), -ENOBUFS);
	ck_assert_uint_eq(n->child_ref_count, 0);
	nbl_free(n);
}
END_TEST

START_TEST(IN_14_strictly_it_is_refused_and_what_the_port_has_is_not_copied)
{
	struct nbl_wfp_params params = fix_params();
	struct script s = { 0 };
	struct nbl *n, *copy;
	uint32_t h;

	fix_end();
	params.n_frames = UNIT_N_RECEIVE;
	params.strict = true;
	fix_begin(&params);
	begin(&s);
	h = handle_new(NBL_INJECT_L2);
	n = cooked(&RECIPE_UDP4, 64);
	ck_assert_int_eq(nbl_alloc_copy(n, unit.pool, unit.data, &copy), 0);
	ck_assert_int_eq(send_mac(h, chain_of(copy)), -EINVAL);
	nbl_free(copy);
	ck_assert_int_eq(send_mac(h, chain_of(clone_of(n))), 0);
	ck_assert_uint_eq(counts().copied, 0);
	fix_complete_all();
}
END_TEST

START_TEST(AMB_14_dereference_and_free_in_completion_may_come_in_either_order)
{
	struct script s = { .action = NBL_ACTION_BLOCK,
			    .flags = NBL_CLASSIFY_ABSORB,
			    .reference = 1,
			    .right = SCRIPT_CLEAR_RIGHT };
	struct nbl *n = cooked(&RECIPE_UDP4, 64), *clone = NULL;

	begin(&s);
	done.frees = false;
	add_filter(MAC_IN, WFP_ACTION_CALLOUT_UNKNOWN, s.id, 0, 1, 0);
	ck_assert_int_eq(send_through(MAC_IN, n), ABSORBED);
	ck_assert_int_eq(nbl_callout_clone(fix.wfp, s.id, n, unit.pool, &clone), 0);
	ck_assert_int_eq(send_mac(handle_new(NBL_INJECT_L2), chain_of(clone)), 0);
	fix_complete(0, 0);
	if (_i) {
		ck_assert_int_eq(nbl_callout_dereference(fix.wfp, s.id, n), 0);
		ck_assert(!unit_is_home(n));
		ck_assert_int_eq(nbl_callout_free(fix.wfp, s.id, clone), 0);
	} else {
		ck_assert_int_eq(nbl_callout_free(fix.wfp, s.id, clone), 0);
		ck_assert(!unit_is_home(n));
		ck_assert_int_eq(nbl_callout_dereference(fix.wfp, s.id, n), 0);
	}
	ck_assert(unit_is_home(n));
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ IN_01_a_handle_injects_what_it_was_made_for_and_answers_stale_for_the_rest, 1 },
		{ IN_01_handles_that_make_no_sense_are_refused_and_64_are_the_most, 1 },
		{ IN_01_zero_types_are_transport_stream_and_forward, 1 },
		{ IN_02_destroy_waits_for_the_last_completion_and_refuses_injections_meanwhile, 1 },
		{ IN_04_every_refusal_leaves_the_nbl_with_its_owner_and_never_completes, 13 },
		{ IN_04_what_cannot_follow_the_first_of_a_chain_completes_with_its_error, 1 },
		{ IN_04_without_a_frame_for_headers_the_nbl_stays_its_owners_unchanged, 2 },
		{ IN_05_completion_gets_its_context_the_nbl_and_a_status_below_zero_for_failure, 8 },
		{ IN_05_a_second_completion_is_refused_and_counted, 1 },
		{ IN_06_a_chain_of_ten_completes_in_any_order_and_grouping_ten_in_all, 20 },
		{ IN_06_those_with_one_completion_function_come_back_together, 1 },
		{ IN_07_an_original_needs_no_completion_function_and_a_clone_does, 1 },
		{ IN_08_each_path_re_enters_at_its_layer_and_forwarded_packets_are_not_classified_again, NBL_N_INJECT_PATHS },
		{ IN_08_who_injects_without_asking_is_stopped_at_the_loop_cap_and_counted, 2 },
		{ IN_09_self_other_and_previously_are_told_apart_through_a_foreign_clone, 1 },
		{ IN_10_an_original_injected_by_two_in_turn_keeps_both_contexts, 1 },
		{ IN_11_an_owner_injects_only_where_it_has_a_callout, 1 },
		{ IN_11_filters_and_callouts_that_go_while_injections_are_out_lose_none, 1 },
		{ IN_12_an_absorbed_original_is_injected_without_a_clone_and_goes_home_after_it, 2 },
		{ IN_12_an_original_that_its_path_still_has_cannot_be_injected, 1 },
		{ IN_12_the_order_of_held_originals_is_kept, 1 },
		{ IN_13_a_packet_injected_above_mac_gets_its_headers_back_and_right_checksums, 36 },
		{ IN_13_what_the_port_was_asked_to_compute_is_not_computed_twice, 1 },
		{ IN_13_construct_ip_header_makes_lengths_and_checksums_fit, 2 },
		{ IN_13_headers_saved_in_classify_are_those_of_the_packet, 2 },
		{ IN_13_ip_injections_whose_parts_do_not_fit_are_refused, 1 },
		{ IN_14_what_lies_in_frames_the_port_does_not_have_is_copied_and_given_back_as_it_was, 1 },
		{ IN_14_strictly_it_is_refused_and_what_the_port_has_is_not_copied, 1 },
		{ IN_16_a_chain_is_not_forwarded, 1 },
		{ AMB_14_dereference_and_free_in_completion_may_come_in_either_order, 2 },
		{ BUG_07_what_is_being_injected_cannot_be_injected_or_freed_again, 1 },
		{ CL_14_injecting_inside_classify_classifies_nothing_before_it_returns, 1 },
		{ SH_07_an_injected_clone_is_originated_by_its_injector_and_the_parent_is_not, 1 },
	};

	return fix_run("wfp_inject", tests, N_ELEMENTS(tests));
}
