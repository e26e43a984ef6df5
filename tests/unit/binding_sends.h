/* SPDX-License-Identifier: BSD-2-Clause */
/* binding_sends.h - what bindings of a test send: packets of the adapter's pool. */
#ifndef BINDING_SENDS_H
#define BINDING_SENDS_H

#include "unit/binding_fixture.h"

/* A packet of the adapter's pool. */
static struct nbl *new_packet(uint16_t type, uint32_t number)
{
	struct frame f;
	struct nbl *n;

	make_frame(&f, type, number);
	ck_assert_int_eq(nbl_pool_alloc_data(rig.lane.pool, rig.lane.pool, sizeof(f), &n), 0);
	memcpy(nbl_nb_data(n->first_nb), &f, sizeof(f));
	return n;
}

RIG_UNUSED static struct nbl_chain packets(const uint16_t *types, uint32_t n, uint32_t first)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	for (uint32_t i = 0; i < n; i++)
		nbl_chain_append(&chain, new_packet(types[i], first + i));
	return chain;
}

RIG_UNUSED static struct nbl_chain only(struct nbl *n)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	nbl_chain_append(&chain, n);
	return chain;
}

static void free_chain(struct nbl_chain *chain)
{
	struct nbl *n;

	while ((n = nbl_chain_pop(chain)))
		ck_assert_int_eq(nbl_free(n), 0);
}

RIG_UNUSED static void free_completed(struct receiver *r)
{
	free_chain(&r->completed);
}

#endif
