// SPDX-License-Identifier: BSD-2-Clause
/* test_wfp_inject.c - handles, injecting, completing, originals. */
#include "wfp_inject_fixture.h"

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
	case 13: fix.any_port = true; to.port = 1u << 16; expected = -ENXIO; break;	/* IN-15 */
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
		{ NBL_STATUS_SEND_ABORTED, -ECANCELED },
		{ NBL_STATUS_RESET_IN_PROGRESS, -ENETRESET },
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
	uint32_t h;

	begin(&s);
	h = handle_new(NBL_INJECT_L2);
	for (int i = 0; i < 10; i++)
		nbl_chain_append(&chain, fresh_clone());
	ck_assert_int_eq(send_mac(h, chain), 0);
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
	ck_assert_int_eq(nbl_inject_handle_destroy(fix.wfp, h), 0);
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

static void told(uint32_t *n, struct nbl_chain chain)
{
	*n += chain.n_nbls;
	while (chain.head)
		ck_assert_int_eq(nbl_free_clone(nbl_chain_pop(&chain)), 0);
}

static void told_first(void *context, struct nbl_chain chain, int status)
{
	ck_assert_int_eq(status, 0);
	told(context, chain);
}

static void told_second(void *context, struct nbl_chain chain, int status)
{
	ck_assert_int_eq(status, 0);
	told((uint32_t *)context + 1, chain);
}

/* Every other one has: another context; another function; another handle. */
START_TEST(IN_06_what_several_injected_is_completed_together_and_told_to_each)
{
	nbl_inject_completed_fn functions[] = { told_first, _i == 1 ? told_second : told_first };
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	uint32_t n_told[2][2] = { 0 }, handles[2];
	struct script s = { 0 };

	begin(&s);
	for (int i = 0; i < 2; i++)
		handles[i] = handle_new(NBL_INJECT_L2);
	for (int i = 0; i < 6; i++) {
		int k = i % 2;

		ck_assert_int_eq(nbl_inject_mac_send(fix.wfp, handles[_i == 2 && k], NULL, &target,
						     chain_of(fresh_clone()), functions[k],
						     n_told[_i == 0 && k]), 0);
		nbl_chain_append(&chain, fix.queued[i].n);
	}
	fix.n_queued = 0;
	chain = nbl_inject_complete_chain(fix.wfp, chain, 0);
	ck_assert_ptr_null(chain.head);
	ck_assert_uint_eq(n_told[0][0], _i == 2 ? 6 : 3);
	ck_assert_uint_eq(n_told[0][1], _i == 1 ? 3 : 0);
	ck_assert_uint_eq(n_told[1][0], _i == 0 ? 3 : 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(nbl_inject_handle_destroy(fix.wfp, handles[i]), 0);
}
END_TEST

/* ---- IN-07, IN-12 ---- */

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
		{ IN_04_every_refusal_leaves_the_nbl_with_its_owner_and_never_completes, 14 },
		{ IN_04_what_cannot_follow_the_first_of_a_chain_completes_with_its_error, 1 },
		{ IN_04_without_a_frame_for_headers_the_nbl_stays_its_owners_unchanged, 2 },
		{ IN_05_completion_gets_its_context_the_nbl_and_a_status_below_zero_for_failure,
		  8 },
		{ IN_05_a_second_completion_is_refused_and_counted, 1 },
		{ IN_06_a_chain_of_ten_completes_in_any_order_and_grouping_ten_in_all, 20 },
		{ IN_06_those_with_one_completion_function_come_back_together, 1 },
		{ IN_06_what_several_injected_is_completed_together_and_told_to_each, 3 },
		{ IN_12_an_absorbed_original_is_injected_without_a_clone_and_goes_home_after_it,
		  2 },
		{ IN_07_an_original_needs_no_completion_function_and_a_clone_does, 1 },
		{ IN_12_an_original_that_its_path_still_has_cannot_be_injected, 1 },
		{ IN_12_the_order_of_held_originals_is_kept, 1 },
		{ BUG_07_what_is_being_injected_cannot_be_injected_or_freed_again, 1 },
		{ AMB_14_dereference_and_free_in_completion_may_come_in_either_order, 2 },
	};

	return fix_run("wfp_inject", tests, N_ELEMENTS(tests));
}
