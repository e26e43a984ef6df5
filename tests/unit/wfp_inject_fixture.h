/* SPDX-License-Identifier: BSD-2-Clause */
/* wfp_inject_fixture.h - handles, clones and originals to inject, and what completions saw. */
#ifndef WFP_INJECT_FIXTURE_H
#define WFP_INJECT_FIXTURE_H

#include "wfp_fixture.h"

#define MAC_IN NBL_LAYER_INBOUND_MAC_FRAME_NATIVE
#define MAC_OUT NBL_LAYER_OUTBOUND_MAC_FRAME_NATIVE
#define ALL_TYPES (NBL_INJECT_L2 | NBL_INJECT_NETWORK | NBL_INJECT_FORWARD | NBL_INJECT_TRANSPORT)

UNIT_UNUSED static const struct nbl_inject_target target = { .port = 2 };

UNIT_UNUSED static uint32_t handle_new(uint32_t types)
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

UNIT_UNUSED static void completed(void *context, struct nbl_chain chain, int status)
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

UNIT_UNUSED static struct nbl *clone_of(struct nbl *n)
{
	struct nbl *clone = unit_clone(n);

	nbl_release(n);
	return clone;
}

UNIT_UNUSED static struct nbl *fresh_clone(void)
{
	return clone_of(cooked(&RECIPE_UDP4, 64));
}

UNIT_UNUSED static int send_mac(uint32_t handle, struct nbl_chain chain)
{
	return nbl_inject_mac_send(fix.wfp, handle, &done.n_calls, &target, chain, completed,
				   &done);
}

UNIT_UNUSED static void begin(struct script *s)
{
	memset(&done, 0, sizeof(done));
	done.frees = true;
	script_register(s);
}

/* Of the last injection inside a classify. */
UNIT_UNUSED static int inject_inside;

/* A clone of the bytes behind the first 'skip' of 'r', to be written to, without headroom. */
UNIT_UNUSED static struct nbl *clone_behind(const struct recipe *r, uint32_t skip)
{
	struct nbl *n = cooked(r, 64), *clone;

	nbl_reference(n, true);
	nbl_advance(n, skip, false);
	clone = unit_clone(n);
	ck_assert_int_eq(nbl_retreat(n, skip, 0, NULL), 0);
	ck_assert_int_eq(nbl_dereference(n), 0);
	nbl_release(n);
	return clone;
}

UNIT_UNUSED static struct nbl_headers headers_of(const struct recipe *r)
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

/* Absorbed and let go, referenced by callout 's'. */
UNIT_UNUSED static struct nbl *absorbed_original(struct script *s)
{
	struct nbl *n = cooked(&RECIPE_UDP4, 64);

	n->source_handle = 0x55;
	n->port = 1;
	*s = (struct script){ .action = NBL_ACTION_BLOCK, .flags = NBL_CLASSIFY_ABSORB,
			      .reference = 1, .right = SCRIPT_CLEAR_RIGHT };
	script_start(s, MAC_IN, 0, 1);
	ck_assert_int_eq(send_through(MAC_IN, n), ABSORBED);
	ck_assert(!unit_is_home(n));
	return n;
}

#endif
