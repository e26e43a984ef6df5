/* SPDX-License-Identifier: BSD-2-Clause */
/* entry.c - NBLs that enter the stack by no ring, from any thread. */
#include "core/nbl_internal.h"
#include "stack/lane.h"

void nbl_lane_enter_nbl(struct nbl_lane *lane, enum nbl_entry entry, struct nbl *n)
{
	/* sequentially consistent: the lane looks at it after it said that it sleeps (lane.c) */
	atomic_fetch_add(&lane->n_entered, 1);
	if (nbl_returns_push(&lane->entries[entry], n) && !nbl_lane_is_current(lane))
		nbl_lane_wake(lane);
}

/* Takes what came by one entrance, oldest first. */
static struct nbl_chain take(struct nbl_returns *r)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	struct nbl *next;

	for (struct nbl *n = nbl_returns_take(r); n; n = next) {
		next = n->next;
		n->next = chain.head;
		if (!chain.head)
			chain.tail = n;
		chain.head = n;
		chain.n_nbls++;
	}
	return chain;
}

void nbl_lane_note_entered(struct nbl_lane *lane, const struct nbl_chain *chain)
{
	for (struct nbl *n = chain->head; n; n = n->next) {
		/* received packets have an outcome of their own, whatever way they take */
		if (n->kind == NBL_KIND_RECEIVE || n->has_entered)
			continue;
		n->has_entered = true;
		n->outcome = NBL_OUTCOME_RETURNED;	/* not that of its last time */
		lane->figures.originated.entered++;
		lane->figures.originated.in_flight++;
	}
}

void nbl_lane_note_ended(struct nbl_lane *lane, struct nbl *n)
{
	if (!n->has_entered)
		return;
	n->has_entered = false;
	lane->figures.originated.in_flight--;
	/* modules write it */
	lane->figures.originated.outcomes[n->outcome < NBL_N_OUTCOMES ? n->outcome
								      : NBL_OUTCOME_RETURNED]++;
}

static void run(struct nbl_lane *lane, enum nbl_entry entry, struct nbl_chain chain)
{
	const struct nbl_hop *first = entry == NBL_ENTRY_RECEIVE ? &lane->indicate_first
								 : &lane->send_first;

	while (!nbl_chain_is_empty(&chain)) {
		struct nbl_chain burst = NBL_CHAIN_EMPTY;

		while (burst.n_nbls < NBL_BURST && chain.head)
			nbl_chain_append(&burst, nbl_chain_pop(&chain));
		lane->n_burst = 0;
		first->handle(first->to, burst, 0, 0);
		nbl_lane_publish_tx(lane);
	}
}

uint32_t nbl_lane_run_entered(struct nbl_lane *lane)
{
	uint32_t n = 0;

	if (NBL_LIKELY(!atomic_load_explicit(&lane->n_entered, memory_order_relaxed)))
		return 0;
	for (int i = 0; i < NBL_N_ENTRIES; i++) {
		struct nbl_chain chain = take(&lane->entries[i]);

		n += chain.n_nbls;
		atomic_fetch_sub_explicit(&lane->n_entered, chain.n_nbls, memory_order_relaxed);
		nbl_lane_note_entered(lane, &chain);
		run(lane, (enum nbl_entry)i, chain);
	}
	return n;
}

uint32_t nbl_lane_for(const struct nbl_lane *lanes, uint32_t n_lanes, const struct nbl *n)
{
	const struct nbl_memory_shape *s = &lanes[0].memory->shape;

	for (uint32_t l = 0; n->port && l < n_lanes; l++)
		for (uint32_t i = 0; i < lanes[l].n_lower; i++)
			if (lanes[l].queues[i].q.number + 1u == n->port)
				return l;
	for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next) {
		for (const struct nbl_segment *seg = nb->current_segment; seg; seg = seg->next) {
			if (seg->frame >= s->n_queues * s->frames_per_queue)
				continue;
			for (uint32_t l = 0; l < n_lanes; l++)
				if (nbl_lane_home_queue(&lanes[0].nbls[seg->frame])->lane ==
				    &lanes[l])
					return l;
		}
	}
	return 0;
}
