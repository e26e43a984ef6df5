/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flow.h - contexts of callouts on flows: a bounded table that classify reads without a lock.
 *
 * Adding, removing and ageing take a small lock per bucket: that is once per
 * flow, not per packet. What was removed stays as it is until every slot that may
 * have seen it has left; then its callout is told, once, and the place is free.
 */
#ifndef FILTER_FLOW_H
#define FILTER_FLOW_H

#include <stdatomic.h>

#include "filter/parse.h"

#define WFP_FLOW_WAYS 4			/* flows per bucket */
#define WFP_FLOW_CONTEXTS 4		/* contexts per flow */
/* nbl_wfp_age() stops behind the bucket in which it has told of so many ends, or seen so many */
#define WFP_FLOW_MOST_TOLD 64
#define WFP_FLOW_MOST_BUCKETS 1024

struct wfp_flow_context {
	_Atomic uint64_t owner;		/* callout << 32 | layer << 8 | state; 0 = free */
	_Atomic uint64_t context;
	uint64_t epoch;			/* when it ended. Under the lock */
};

struct wfp_flow {
	_Atomic uint64_t id;		/* 0: nobody finds it */
	_Atomic uint64_t key[5];	/* the same for both directions */
	_Atomic uint64_t last_ns;
	uint64_t epoch;	/* when it ended, 0 = it is free or in use. Under the lock */
	struct wfp_flow_context contexts[WFP_FLOW_CONTEXTS];
};

struct wfp_flow_bucket {
	_Atomic bool locked;
	struct wfp_flow flows[WFP_FLOW_WAYS];
};

struct wfp_flows {
	struct wfp_flow_bucket *buckets;
	uint32_t n_buckets;		/* a power of two, or 0 */
	uint32_t next;			/* bucket that is aged next */
	_Atomic uint32_t generation;
	_Atomic uint64_t n_flows, n_contexts, n_refused;
};

struct nbl_wfp;

/* Makes room for about 'n_flows'. 0 or -ENOMEM. */
int wfp_flows_init(struct wfp_flows *f, uint32_t n_flows);
/* Frees it. Lanes at rest. */
void wfp_flows_done(struct wfp_flows *f);

/*
 * The flow of 'p' (borrows), or NULL, marked as seen. Returns borrowed, while the
 * slot is entered.
 */
struct wfp_flow *wfp_flow_find(struct nbl_wfp *wfp, const struct wfp_packet *p, uint64_t now_ns);

/* The context of callout 'id' at 'layer' on 'flow', or 0. */
uint64_t wfp_flow_context(const struct wfp_flow *flow, uint32_t id, enum nbl_layer layer);

#endif
