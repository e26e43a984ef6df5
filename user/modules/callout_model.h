/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * callout_model.h - what the model callouts have in common: registering, counting, one question.
 */
#ifndef MODULES_CALLOUT_MODEL_H
#define MODULES_CALLOUT_MODEL_H

#include <stdatomic.h>

#include "modules/callouts.h"

#define MODEL_MAC_LAYERS \
	(NBL_LAYER_BIT(NBL_LAYER_INBOUND_MAC_FRAME_NATIVE) | \
	 NBL_LAYER_BIT(NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET) | \
	 NBL_LAYER_BIT(NBL_LAYER_OUTBOUND_MAC_FRAME_NATIVE) | \
	 NBL_LAYER_BIT(NBL_LAYER_OUTBOUND_MAC_FRAME_ETHERNET))

struct model {
	struct model_params params;
	uint32_t id;			/* of the callout */
	uint32_t handle;		/* to inject with, and to know again what it injected */
	_Atomic uint64_t seen, skipped, missed, injected, completed, failed, discarded;
};

/*
 * Registers 'c' (borrows), adding what all models have in common, and makes the
 * handle. 0 or an error, nothing left then.
 */
NBL_MUST_CHECK int model_start(struct model *m, const struct model_params *params,
			       struct nbl_callout *c, uint32_t types);

/* Undoes it: 0, or -EBUSY: call again. */
int model_stop(struct model *m);

void model_get_counts(const struct model *m, struct nbl_callout_kind_counts *ret); /* fills ret */

/*
 * True if this packet is ours to answer for: the right is there (FWPS_RIGHT_ACTION_WRITE), and we
 * did not inject it ourselves, else it would go round for ever (FwpsQueryPacketInjectionState).
 * Counts it. What is not ours gets CONTINUE.
 */
bool model_may_answer(struct model *m, const struct nbl_classify_in *in,
		      const struct nbl_classify_out *out);

/* The answer of one that has taken the packet: BLOCK, silently, and for good (CL-05, CL-07). */
static inline void model_absorb(struct nbl_classify_out *out)
{
	out->action = NBL_ACTION_BLOCK;
	out->flags |= NBL_CLASSIFY_ABSORB;
	out->rights &= ~(uint32_t)NBL_RIGHT_ACTION_WRITE;
}

/* Completion function of them all: counts, and frees the clones (takes 'chain'). */
void model_completed(void *context, struct nbl_chain chain, int status);

#endif
