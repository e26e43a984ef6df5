/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loopback.c - what a binding sends and asked to see.
 *
 * A queue never receives what it sends, so this is done here. The mark is on the NBL: a
 * module that holds a send back, or passes it on, keeps it without knowing; one that does
 * the looping itself, because it changes the packet, takes it off (TX-17). The clones are
 * made where packets leave, enter at the bottom like any that arrive, and end at the
 * binding that sent.
 */
#include "core/build.h"
#include "core/nbl_internal.h"
#include "stack/binding.h"

#include <nbl/parse.h>

/*
 * A clone of one NB of 'n', for received packets have one each
 * (DM-02). NULL when the pool is exhausted.
 */
static struct nbl *clone_nb(struct nbl *n, const struct nbl_nb *nb, struct nbl_pool *pool,
			    uint16_t holder)
{
	struct nbl_builder build = { .nb = NULL };
	int r = nbl_pool_take_nbl(pool, NBL_KIND_CLONE, holder, &build.p);

	if (r < 0)
		return NULL;
	r = nbl_build_nb(&build);
	if (!r)
		r = nbl_build_share(&build, nb, 0, nb->data_length);
	if (r < 0) {
		nbl_pool_give(build.p);
		return NULL;
	}
	nbl_build_end(&build, nb->data_length);
	nbl_inherit(&build.p->nbl, n);
	return nbl_build_adopt(build.p, n, false) < 0 ? NULL : &build.p->nbl;
}

static void loop_nb(struct nbl_lane *lane, struct nbl_binding *b, struct nbl *n,
		    const struct nbl_nb *nb)
{
	struct nbl_binding_lane *bl = &b->lanes[lane->index];
	struct nbl *clone;

	if (!nbl_binding_wants(b, nbl_nb_frame_type(nb)) || !lane->pool)
		return;
	clone = clone_nb(n, nb, lane->pool, NBL_PLACE_UPPER);
	if (!clone)
		return;		/* the pool counts it as exhausted */
	nbl_parse(clone);
	clone->nbl_flags |= NBL_FLAG_LOOPBACK | NBL_FLAG_RECEIVE_READ_ONLY;
	clone->source_handle = b->handle;
	clone->port = 0;
	atomic_fetch_add_explicit(&bl->looping, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&bl->looped, 1, memory_order_relaxed);
	lane->figures.originated.looped++;
	nbl_lane_enter_nbl(lane, NBL_ENTRY_RECEIVE, clone);
}

void nbl_bindings_loop(struct nbl_lane *lane, struct nbl *n)
{
	struct nbl_binding *b;

	if (NBL_LIKELY(!(n->nbl_flags & NBL_FLAG_CHECK_FOR_LOOPBACK)) ||
	    nbl_handle_origin(n->source_handle) != NBL_ORIGIN_BINDING)
		return;
	b = nbl_bindings_find(lane->bindings, n->source_handle);
	n->nbl_flags &= ~NBL_FLAG_CHECK_FOR_LOOPBACK;
	for (const struct nbl_nb *nb = n->first_nb; b && nb; nb = nb->next)
		loop_nb(lane, b, n, nb);
}
