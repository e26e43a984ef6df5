/* SPDX-License-Identifier: BSD-2-Clause */
/* test_shipped_bugs.c - faults that others shipped, where no other test is about them. */
#include "unit/wfp_fixture.h"

#define MAC_IN NBL_LAYER_INBOUND_MAC_FRAME_NATIVE

static const struct nbl_inject_target target = { .port = 2 };
static uint32_t n_completed;

static void completed(void *context, struct nbl_chain chain, int status)
{
	n_completed += chain.n_nbls;
}

/* Absorbed by callout 's', let go of by its path, held by one reference of 's'. */
static struct nbl *absorbed_original(struct script *s)
{
	struct nbl *n = cooked(&RECIPE_UDP4, 64);

	*s = (struct script){ .action = NBL_ACTION_BLOCK, .flags = NBL_CLASSIFY_ABSORB,
			      .reference = 1, .right = SCRIPT_CLEAR_RIGHT };
	script_start(s, MAC_IN, 0, 1);
	ck_assert_int_eq(send_through(MAC_IN, n), ABSORBED);
	ck_assert(nbl_is_let_go(n));
	return n;
}

static uint32_t new_handle(void)
{
	uint32_t handle = 0;

	ck_assert_int_eq(nbl_inject_handle_create(fix.wfp, NBL_FAMILY_UNSPEC, NBL_INJECT_L2,
						  FIX_OWNER, &handle), 0);
	return handle;
}

/* _i: it is refused by the port, before that, or accepted */
START_TEST(BUG_03_an_original_whose_injection_failed_is_held_by_nobody_but_its_callout)
{
	struct script s;
	struct nbl *n = absorbed_original(&s);
	uint32_t h = new_handle();
	int r;

	fix.submit = _i == 0 ? -ENOBUFS : 0;
	fix.ready = _i == 1 ? -EAGAIN : 0;
	r = nbl_inject_mac_send(fix.wfp, h, NULL, &target, chain_of(n), completed, NULL);
	ck_assert_int_eq(r, _i == 0 ? -ENOBUFS : _i == 1 ? -EAGAIN : 0);
	ck_assert_uint_eq(n->references, _i == 2 ? 2 : 1);
	if (_i == 2)
		fix_complete(0, -EIO);
	ck_assert_uint_eq(n_completed, _i == 2);
	ck_assert_uint_eq(n->references, 1);
	ck_assert(!nbl_inject_is_pending(n));
	ck_assert_int_eq(nbl_callout_dereference(fix.wfp, s.id, n), 0);
	ck_assert(unit_is_home(n));
	ck_assert_uint_eq(holds(&s), 0);
	ck_assert_int_eq(nbl_inject_handle_destroy(fix.wfp, h), 0);
}
END_TEST

/* The second of two cannot follow: it completes, and nothing is left of it. */
START_TEST(BUG_03_originals_of_a_chain_that_broke_off_all_go_home)
{
	struct script s;
	struct nbl *n[2] = { absorbed_original(&s), cooked(&RECIPE_UDP4, 64) };
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	uint32_t h = new_handle();

	ck_assert_int_eq(send_through(MAC_IN, n[1]), ABSORBED);
	nbl_chain_append(&chain, n[0]);
	nbl_chain_append(&chain, n[1]);
	fix.submit = -ENOBUFS;
	fix.submits_before_failure = 1;
	ck_assert_int_eq(nbl_inject_mac_send(fix.wfp, h, NULL, &target, chain, completed, NULL), 0);
	ck_assert_uint_eq(n_completed, 1);
	ck_assert_uint_eq(n[1]->references, 1);
	fix_complete_all();
	ck_assert_uint_eq(n_completed, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(nbl_callout_dereference(fix.wfp, s.id, n[i]), 0);
		ck_assert(unit_is_home(n[i]));
	}
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ BUG_03_an_original_whose_injection_failed_is_held_by_nobody_but_its_callout, 3 },
		{ BUG_03_originals_of_a_chain_that_broke_off_all_go_home, 1 },
	};

	return fix_run("shipped_bugs", tests, N_ELEMENTS(tests));
}
