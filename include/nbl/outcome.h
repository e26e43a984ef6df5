/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * outcome.h - what became of a packet. Every packet ends in exactly one.
 *
 * An outcome is written into the NBL by whoever decides it and counted once,
 * where the NBL comes home (lane.h). Anything not named before it comes home
 * counts as dropped by the module that gave it back.
 */
#ifndef NBL_OUTCOME_H
#define NBL_OUTCOME_H

#include <nbl/contract.h>

enum nbl_outcome {
	NBL_OUTCOME_RETURNED,		/* a module gave it back undelivered: its drop */
	NBL_OUTCOME_TO_WIRE,		/* the kernel is done sending it on a NIC (TX-06) */
	NBL_OUTCOME_TO_HOST,		/* the kernel is done handing it to the host's stack */
	NBL_OUTCOME_CONSUMED,		/* a module wanted it for itself */
	NBL_OUTCOME_TX_RING_FULL,	/* no room to send, after bounded retries (TX-13) */
	NBL_OUTCOME_TX_INVALID,		/* failed the checks before sending (TX-12) */
	NBL_OUTCOME_TX_NO_FRAME,	/* it had to be copied, and the pool had no frame */
	NBL_OUTCOME_TX_DEVICE,		/* the device refused it: no carrier, too long */
	NBL_OUTCOME_BLOCKED,		/* the filter engine or a callout said so (CL-05) */
	NBL_OUTCOME_MODULE_LIMIT,	/* a module would hold more than its limit (HP-04) */
	NBL_OUTCOME_DETACHED,		/* its port went away */
	NBL_OUTCOME_WORKER_DIED,	/* it was in the hands of a worker that died */
	NBL_OUTCOME_QUARANTINED,	/* its frame broke a rule of the ledger */
	NBL_OUTCOME_UNWANTED,		/* nobody above the stack wants its type (RX-15) */
	NBL_N_OUTCOMES
};

/* The name of 'outcome' as commands print it, e.g. "tx-ring-full". Returns borrowed, for ever. */
NBL_API const char *nbl_outcome_name(enum nbl_outcome outcome);

/* True for the outcomes that count as dropped. */
static inline int nbl_outcome_is_drop(enum nbl_outcome outcome)
{
	return outcome != NBL_OUTCOME_TO_WIRE && outcome != NBL_OUTCOME_TO_HOST &&
	       outcome != NBL_OUTCOME_CONSUMED;
}

#endif
