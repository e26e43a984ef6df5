/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arbitrate.h - how the answers of filters and callouts become one verdict (CL-06).
 *
 * One verdict per packet and layer. Sub-layers are taken by descending weight and
 * all are evaluated (AMB-16); within one, filters by descending weight until one
 * says PERMIT or BLOCK. A verdict without the write right is hard.
 *
 *   verdict \ next   soft permit  hard permit  soft block  hard block  veto
 *   none             soft permit  hard permit  soft block  hard block  -
 *   soft permit      soft permit  hard permit  soft block  hard block  -
 *   hard permit      as it was                                         hard block
 *   soft block       soft permit  hard permit  soft block  hard block  -
 *   hard block       as it was
 *
 * A veto is BLOCK by a callout that does not have the right. A callout's BLOCK is
 * hard unless it asks for a soft one (AMB-13); a filter's always is.
 */
#ifndef FILTER_ARBITRATE_H
#define FILTER_ARBITRATE_H

#include <nbl/callout.h>

struct wfp_verdict {
	uint8_t action;			/* NBL_ACTION_NONE, PERMIT or BLOCK */
	bool write;			/* the right is still there */
	bool absorbed;			/* by the callout that blocked */
	bool decided;			/* this sub-layer has answered */
};

#define WFP_VERDICT_NONE ((struct wfp_verdict){ .action = NBL_ACTION_NONE, .write = true })

/* What is known of a callout's answer besides what it filled in. */
struct wfp_answer {
	struct nbl_classify_out out;
	bool modifies;			/* it referenced the packet with intend_to_modify */
	bool inspects;			/* its filter's action is inspection: it may not decide */
	bool must_decide;		/* its filter's action is terminating */
	bool clears;			/* its filter has NBL_WFP_CLEAR_ACTION_RIGHT */
};

/* What went beside the rules; bits to be counted. */
enum wfp_remark {
	WFP_REMARK_VETO		= 1 << 0,	/* not a fault: an event (CL-06) */
	WFP_REMARK_RIGHT_KEPT	= 1 << 1,	/* did not clear the right: done (CL-04, RF-08) */
	WFP_REMARK_NO_RIGHT	= 1 << 2,	/* answered or took it without the right (CL-03) */
	/* absorbed without the right, or without a hard BLOCK (CL-07, AMB-04) */
	WFP_REMARK_PEND_REFUSED	= 1 << 3,
	WFP_REMARK_ACTION	= 1 << 4,	/* not allowed to its filter, or no action at all */
};

/* The answer of a filter without callout. */
void wfp_arbitrate_filter(struct wfp_verdict *v, enum nbl_action action, bool clear_right);

/* The answer of a callout (borrows it). Returns enum wfp_remark bits. */
uint32_t wfp_arbitrate_callout(struct wfp_verdict *v, const struct wfp_answer *a);

#endif
