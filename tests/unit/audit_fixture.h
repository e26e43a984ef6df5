/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit_fixture.h - a lane that is sound, with frames in every state and packets in every ring;
 * and what to take hold of to make one thing of it wrong.
 */
#ifndef AUDIT_FIXTURE_H
#define AUDIT_FIXTURE_H

#include "unit/lane_fixture.h"

static struct rig rig;
static struct nbl_chain kept;

static void keep_some(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	struct nbl_chain pass = NBL_CHAIN_EMPTY;
	struct nbl *n;

	for (int i = 0; (n = nbl_chain_pop(&chain)); i++)
		nbl_chain_append(i % 2 ? &kept : &pass, n);
	if (pass.head)
		nbl_filter_indicate(f, pass, port, flags);
}

static void see_return(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)flags;
	nbl_filter_return(f, chain);
}

static const struct nbl_module keeper = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "keeper",
	.flags = NBL_MODULE_HOLDS, .receive = keep_some, .receive_return = see_return,
	.status = nbl_filter_pass_status,
};

static const struct nbl_module *const modules[] = { &keeper, NULL };

/* Frames free, posted, received, kept, sent, taken, completed, on both sides. */
static void begin(void)
{
	kept = NBL_CHAIN_EMPTY;
	rig_make(&rig, RIG_SHAPE(.n_lower = 2, .n_frames = 100,
				 .rings = { .rx = 64, .tx = 64, .fill = 64, .completion = 64 }));
	rig_up(&rig, modules, NBL_TAKEOVER_FRESH);
	rig_turn(&rig);
	for (uint32_t q = 0; q < 3; q++)
		rig_deliver(&rig, q, 30);
	rig_turn(&rig);
	for (uint32_t q = 0; q < 3; q++) {
		rig_take(&rig, q, 10);
		rig_complete(&rig, q, 5);
		rig_deliver(&rig, q, 6);
	}
}

/* ---- its rings and its ledger ---- */

RIG_UNUSED static struct nbl_queue *queue(uint32_t i)
{
	return &rig.lane.queues[i].q;
}

RIG_UNUSED static struct xdp_desc *tx_entry(uint32_t i, uint32_t n)
{
	const struct nbl_ring *r = &queue(i)->tx.ring;

	return (struct xdp_desc *)r->entries + ((*r->consumer + n) & (r->size - 1));
}

RIG_UNUSED static struct nbl_ledger_entry get(uint32_t frame)
{
	return nbl_ledger_get(&rig.memory.ledger, frame);
}

RIG_UNUSED static void set(uint32_t frame, enum nbl_frame_state state, uint32_t slot)
{
	nbl_ledger_set(&rig.memory.ledger, frame,
		       (struct nbl_ledger_entry){ .state = (uint8_t)state, .slot = slot });
}

/* Changes the ledger and the figures too, as code that forgot something else would. */
RIG_UNUSED static void move_consistently(uint32_t frame, enum nbl_frame_state to)
{
	rig.lane.figures.frames[get(frame).state]--;
	rig.lane.figures.frames[to]++;
	set(frame, to, 0);
}

#endif
