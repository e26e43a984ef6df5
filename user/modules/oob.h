/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * oob.h - what the out-of-band callouts have in common: packets are held, decided about later,
 * and injected back to the path they came from.
 */
#ifndef MODULES_OOB_H
#define MODULES_OOB_H

#include "modules/callout_model.h"
#include "modules/oob_queue.h"

struct oob {
	struct model model;
	struct oob_queue queue;
};

/* Room for params->limit packets, then model_start() for frames. 0 or an error, nothing left. */
NBL_MUST_CHECK int oob_start(struct oob *o, const struct model_params *params,
			     struct nbl_callout *c);

/* Undoes it: 0, or -EBUSY: call again. */
int oob_stop(struct oob *o);

/*
 * Holds 'n' (keeps if true), the packet of 'in' or a clone of it; due when params->hold_ns are
 * over. False, and counted as missed: there are as many as may be. Any thread.
 */
bool oob_hold(struct oob *o, const struct nbl_classify_in *in, struct nbl *n);

/*
 * Injects the whole frame 'clone' (takes) back to the path that 'item' came from; freed and
 * counted as missed if that fails.
 */
void oob_inject(struct oob *o, const struct oob_item *item, struct nbl *clone);

#endif
