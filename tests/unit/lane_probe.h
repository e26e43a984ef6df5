/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lane_probe.h - a lane whose only module does what the test says, and short ways to ask about it.
 */
#ifndef LANE_PROBE_H
#define LANE_PROBE_H

#include "unit/lane_fixture.h"

static struct rig rig;

static struct {
	void (*receive)(struct nbl_filter *f, struct nbl_chain chain);
	void (*receive_return)(struct nbl_filter *f, struct nbl_chain chain);
	struct nbl_chain kept;
	struct nbl_filter *filter;
	uint64_t n_returned;
} probe;

static void probe_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			  uint32_t flags)
{
	(void)port;
	(void)flags;
	probe.filter = f;
	probe.receive(f, chain);
}

static void probe_return(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)flags;
	probe.n_returned += chain.n_nbls;
	if (probe.receive_return)
		probe.receive_return(f, chain);
	else
		nbl_filter_return(f, chain);
}

static const struct nbl_module probe_module = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "probe",
	.flags = NBL_MODULE_HOLDS, .receive = probe_receive, .status = nbl_filter_pass_status,
};

static const struct nbl_module watching_probe = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "probe",
	.flags = NBL_MODULE_HOLDS, .receive = probe_receive, .receive_return = probe_return,
	.status = nbl_filter_pass_status,
};

RIG_UNUSED static const struct nbl_module *const no_modules[] = { NULL };
RIG_UNUSED static const struct nbl_module *const only_probe[] = { &probe_module, NULL };
RIG_UNUSED static const struct nbl_module *const only_watching_probe[] = { &watching_probe, NULL };

RIG_UNUSED static void pass_up(struct nbl_filter *f, struct nbl_chain chain)
{
	nbl_filter_indicate(f, chain, 0, 0);
}

RIG_UNUSED static void keep(struct nbl_filter *f, struct nbl_chain chain)
{
	(void)f;
	nbl_chain_join(&probe.kept, &chain);
}

RIG_UNUSED static void begin(const struct rig_shape *shape, const struct nbl_module *const *modules)
{
	rig_make(&rig, shape);
	rig_up(&rig, modules, NBL_TAKEOVER_FRESH);
	rig_turn(&rig);		/* posts the frames */
}

RIG_UNUSED static void end(void)
{
	rig_down(&rig);
	rig_free(&rig);
}

RIG_UNUSED static uint64_t frames_in(enum nbl_frame_state state)
{
	return rig.lane.figures.frames[state];
}

RIG_UNUSED static uint64_t outcome(enum nbl_outcome o)
{
	return rig.lane.figures.outcomes[o];
}

RIG_UNUSED static struct nbl_lane_queue *lane_queue(uint32_t i)
{
	return &rig.lane.queues[i];
}

/* The first frame from 'first' on that the ledger has in 'state'. */
RIG_UNUSED static uint32_t frame_in(enum nbl_frame_state state, uint32_t first)
{
	uint32_t f = first;

	while (nbl_ledger_get(&rig.memory.ledger, f).state != state)
		ck_assert_uint_lt(++f, rig.memory.ledger.n_frames);
	return f;
}

RIG_UNUSED static uint64_t address_of(uint32_t frame)
{
	return (uint64_t)frame * rig.memory.shape.frame_size + RIG_HEADROOM;
}

#endif
