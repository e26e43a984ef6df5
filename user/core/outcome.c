// SPDX-License-Identifier: BSD-2-Clause
/* outcome.c - the names of what becomes of packets. */
#include <nbl/outcome.h>

static const char *const names[NBL_N_OUTCOMES] = {
	[NBL_OUTCOME_RETURNED] = "returned",
	[NBL_OUTCOME_TO_WIRE] = "to-wire",
	[NBL_OUTCOME_TO_HOST] = "to-host",
	[NBL_OUTCOME_CONSUMED] = "consumed",
	[NBL_OUTCOME_TX_RING_FULL] = "tx-ring-full",
	[NBL_OUTCOME_TX_INVALID] = "tx-invalid",
	[NBL_OUTCOME_TX_NO_FRAME] = "tx-no-frame",
	[NBL_OUTCOME_TX_DEVICE] = "tx-device",
	[NBL_OUTCOME_BLOCKED] = "blocked",
	[NBL_OUTCOME_MODULE_LIMIT] = "module-limit",
	[NBL_OUTCOME_DETACHED] = "detached",
	[NBL_OUTCOME_WORKER_DIED] = "worker-died",
	[NBL_OUTCOME_QUARANTINED] = "quarantined",
	[NBL_OUTCOME_UNWANTED] = "unwanted",
};

const char *nbl_outcome_name(enum nbl_outcome outcome)
{
	return (unsigned int)outcome < NBL_N_OUTCOMES ? names[outcome] : "unknown";
}
