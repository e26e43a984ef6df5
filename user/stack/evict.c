/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * evict.c - taking out a module that does not let go (HP-04).
 *
 * What it has is known four ways: as the owner of received packets, by the holder noted in
 * them; as the one who referenced them, by their reference holders; by the account that clones
 * and copies are on; and of others' NBLs that were handed to it, by the holder noted in those.
 * Its own code is asked first: detach() may free what it knows of.
 */
#include "core/nbl_internal.h"
#include "stack/hops.h"

#define PATIENCE_MS 20

static bool references(const struct nbl *n, uint16_t id)
{
	struct nbl_pins pins;

	nbl_get_pins(n, &pins);
	for (uint32_t i = 0; i < pins.n_reference_holders; i++)
		if (pins.reference_holders[i] == id)
			return true;
	return false;
}

static bool is_owned_by(const struct nbl_lane *lane, const struct nbl *n, uint32_t frame,
			uint16_t id)
{
	struct nbl_ledger_entry e = nbl_ledger_get(&lane->memory->ledger, frame);
	uint32_t claims = atomic_load_explicit(&n->claims, memory_order_relaxed);

	return e.state == NBL_FRAME_HELD && e.holder == id && claims &&
	       !(claims & NBL_CLAIM_OWNER_GONE);
}

/* Ends its claims on the received packets of 'lane'. Acts for the lane, and for the module. */
static void take_from(struct nbl_lane *lane, uint16_t id)
{
	for (uint32_t q = 0; q < lane->n_queues; q++) {
		const struct nbl_lane_queue *lq = &lane->queues[q];

		for (uint32_t f = lq->first_frame; f < lq->first_frame + lq->n_frames; f++) {
			struct nbl *n = &lane->nbls[f];
			bool is_owner = is_owned_by(lane, n, f, id);

			while (references(n, id) && !nbl_dereference(n))
				continue;
			if (!is_owner)
				continue;
			n->outcome = NBL_OUTCOME_MODULE_LIMIT;
			n->holder = id;
			nbl_release(n);
		}
	}
}

/* Some NBLs of the adapter's pool that it has. */
struct left {
	struct nbl *nbls[NBL_BURST];
	uint32_t n;
	uint16_t id;
};

/* True if 'n' is not its own, and in its hands: received in pieces, injected, or a binding's. */
static bool was_handed_to(const struct nbl *n, uint16_t id)
{
	bool is_in_pieces = n->kind == NBL_KIND_REASSEMBLED &&
			    nbl_handle_origin(n->source_handle) == NBL_ORIGIN_PORT;

	/* what another module originated only that one could end (SH-05) */
	return n->holder == id && (is_in_pieces || (n->has_entered && !n->is_out));
}

static void note_left(void *arg, const struct nbl *n, const struct nbl_pins *pins)
{
	struct left *left = arg;
	/* what it originated or injected comes back by itself, and ends then */
	bool is_own = pins->charged_to == left->id && !n->has_entered;

	if (left->n < NBL_BURST && pins->owner_pending && (is_own || was_handed_to(n, left->id)))
		left->nbls[left->n++] = (struct nbl *)(uintptr_t)n;
}

static void let_go(struct nbl_lane *lane, struct nbl *n, uint16_t id)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	if (!was_handed_to(n, id)) {
		nbl_release(n);
		return;
	}
	n->outcome = NBL_OUTCOME_MODULE_LIMIT;
	n->status = NBL_STATUS_FAILURE;
	nbl_chain_append(&chain, n);
	nbl_lane_bring_home(lane, chain, id);
}

/*
 * They must not go home while they are visited: some at a
 * time, and without memory of its own (FS-07).
 */
static void take_from_pool(struct nbl_lane *lane, uint16_t id)
{
	struct left left = { .id = id };

	do {
		left.n = 0;
		nbl_pool_visit(lane->pool, note_left, &left);
		for (uint32_t i = 0; i < left.n; i++)
			let_go(lane, left.nbls[i], id);
	} while (left.n == NBL_BURST);
}

void nbl_stack_take_back(struct nbl_stack *s, uint16_t id)
{
	uint16_t before = nbl_holder_enter(id);

	for (uint32_t l = 0; l < s->n_lanes; l++) {
		struct nbl_lane *lane_before = nbl_lane_enter(&s->lanes[l]);

		if (!l && s->lanes[l].pool)
			take_from_pool(&s->lanes[l], id);
		take_from(&s->lanes[l], id);
		nbl_lane_enter(lane_before);
	}
	nbl_holder_enter(before);
}

void nbl_stack_evict(struct nbl_stack *s, uint32_t i)
{
	uint16_t id;

	pthread_mutex_lock(&s->mutex);
	id = s->modules[i].id;
	nbl_stack_pause_all(s, s->pause_timeout_ms < PATIENCE_MS ? s->pause_timeout_ms
								 : PATIENCE_MS);
	nbl_stack_drop(s, i);
	nbl_stack_take_back(s, id);
	nbl_stack_restart_all(s, NULL);
	pthread_mutex_unlock(&s->mutex);
}
