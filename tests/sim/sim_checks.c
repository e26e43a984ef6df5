/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_checks.c - what is claimed after each turn, now and then, and at rest. */
#include "sim/sim_world.h"

#include <stdio.h>

#include <nbl/pool.h>

/* Broken rules that nobody broke. */
static void check_violations(struct sim_world *w)
{
	struct nbl_violation last;
	char text[160];

	if (w->options.lies)
		return;
	if (w->lane.figures.violations)
		sim_broke(w, 1, "the lane counts a violation that nobody provoked");
	if (nbl_violations() == w->violations_before)
		return;
	nbl_get_last_violation(&last);
	snprintf(text, sizeof(text), "a violation that nobody provoked: %s (module %u)", last.what,
		 last.holder);
	sim_broke(w, 2, text);
}

void sim_check_turn(struct sim_world *w)
{
	sim_kernel_look(&w->kernel);
	model_check(&w->model);
	check_violations(w);
}

static uint64_t explained(const struct nbl_lane_figures *f)
{
	uint64_t sum = nbl_figures_in_flight(f);

	for (int i = 0; i < NBL_N_OUTCOMES; i++)
		sum += f->outcomes[i];
	return sum;
}

void sim_check_all(struct sim_world *w)
{
	struct nbl_audit audit = { 0 };
	struct nbl_lane_figures f;
	uint64_t frames = 0;

	sim_check_turn(w);
	if (nbl_lane_audit(&w->lane, &audit) < 0)
		sim_broke(w, 1, "no memory for the audit");
	nbl_pool_memory_audit(&w->lane, &audit);
	/* what lies say stands in the rings until it was read */
	if (audit.mismatches && (!w->options.lies || w->at_rest))
		sim_broke(w, 1, audit.first);
	nbl_lane_publish(&w->lane);
	nbl_figures_read(w->lane.block, &f);
	for (int i = 0; i < NBL_N_FRAME_STATES; i++)
		frames += f.frames[i];
	if (frames != (uint64_t)w->n_queues * w->memory->shape.frames_per_queue)
		sim_broke(w, 1, "frames do not sum to their total");
	if (f.received != explained(&f))
		sim_broke(w, 5, "received is not the sum of outcomes and what is in flight");
	if (audit.quarantined > w->kernel.counts.lies)
		sim_broke(w, 1, "more frames are in quarantine than lies were told");
}

/* ---- at rest ---- */

uint32_t sim_n_unknown(const struct sim_world *w)
{
	uint32_t n = 0;

	for (uint32_t f = 0; w->options.lies && f < w->model.n_frames; f++) {
		struct nbl_ledger_entry e = nbl_ledger_get(&w->memory->ledger, f);

		n += e.state == NBL_FRAME_TX && e.reason == NBL_SENDS_UNKNOWN;
	}
	return n;
}

static void check_modules(struct sim_world *w)
{
	for (uint32_t i = 0; i < w->stack.n_modules; i++) {
		const struct nbl_filter *f = &w->stack.modules[i].filters[0].f;
		struct chaos_stock stock;
		const struct nbl_holding *before = &w->holdings[f->id];
		struct nbl_holding now;

		chaos_get_stock(f, &stock);
		if (stock.held || stock.references || stock.own)
			sim_broke(w, 5, "a module did not get back what it originated");
		if ((f->held && !w->options.lies) || f->n_originated)
			sim_broke(w, 8, "a module's counters are not zero after its pause");
		nbl_holding_get(f->id, &now);
		if ((now.references != before->references || now.clones != before->clones ||
		     now.deep_clones != before->deep_clones || now.fresh != before->fresh) &&
		    !w->options.lies)
			sim_broke(w, 8, "a module's account is not empty after its pause");
	}
}

static void check_frames(struct sim_world *w)
{
	uint64_t quarantined = w->lane.figures.frames[NBL_FRAME_QUARANTINE];
	uint64_t home = 0;

	for (uint32_t i = 0; i < w->n_queues; i++) {
		const struct sim_queue *q = &w->kernel.queues[i];

		home += w->lane.queues[i].n_free + nbl_ring_used(&q->fill) + q->n_driver;
	}
	if (w->options.lies ? home + quarantined + sim_n_unknown(w) < w->model.n_frames
			    : home != w->model.n_frames)
		sim_broke(w, 1, "a frame is neither free nor posted at rest");
}

static void check_pool(struct sim_world *w)
{
	struct nbl_pool_counts counts;

	nbl_pool_get_counts(w->pool, &counts);
	if (counts.nbls_free != counts.n_nbls && !w->options.lies)
		sim_broke(w, 8, "an NBL of the pool is not home at rest");
	if (counts.frames_free != counts.n_frames && !w->options.lies)
		sim_broke(w, 1, "a frame of the pool is not home at rest");
}

static void check_figures(struct sim_world *w)
{
	const struct nbl_lane_figures *f = &w->lane.figures;
	uint64_t sent;

	if (w->options.lies && !w->lives && f->violations < w->kernel.counts.lies)
		sim_broke(w, 1, "a lie of the kernel was believed");
	if (w->options.lies)
		return;
	if (f->originated.in_flight)
		sim_broke(w, 5, "an NBL that entered has no outcome at rest");
	if (f->received != w->kernel.counts.delivered)
		sim_broke(w, 5, "received is not what the kernel delivered");
	if (f->outcomes[NBL_OUTCOME_WORKER_DIED] && !w->lives)
		sim_broke(w, 5, "a packet died with a worker that lives");
	/* a received packet that is sent as a clone would be is in both */
	sent = f->outcomes[NBL_OUTCOME_TO_WIRE] + f->outcomes[NBL_OUTCOME_TO_HOST] +
	       f->outcomes[NBL_OUTCOME_TX_DEVICE];
	if (!w->lives && (sent > w->kernel.counts.sent ||
			  sent + f->originated.packets < w->kernel.counts.sent))
		sim_broke(w, 5, "the packets said to be sent are not those the kernel sent");
}

void sim_check_end(struct sim_world *w)
{
	w->at_rest = true;
	sim_check_all(w);
	w->at_rest = false;
	model_check_empty(&w->model);
	check_modules(w);
	check_frames(w);
	check_pool(w);
	check_figures(w);
}
