// SPDX-License-Identifier: BSD-2-Clause
/* arbitrate.c - how the answers of filters and callouts become one verdict. */
#include "filter/arbitrate.h"

static void decide(struct wfp_verdict *v, enum nbl_action action, bool hard, bool absorbed)
{
	v->action = action;
	v->write = !hard;
	v->absorbed = absorbed;
}

void wfp_arbitrate_filter(struct wfp_verdict *v, enum nbl_action action, bool clear_right)
{
	v->decided = true;
	if (v->write)
		decide(v, action, action == NBL_ACTION_BLOCK || clear_right, false);
}

/* An answer of someone who does not have the right: a veto, or nothing. */
static uint32_t without_right(struct wfp_verdict *v, const struct nbl_classify_out *out)
{
	uint32_t remarks = 0;

	if (out->rights & NBL_RIGHT_ACTION_WRITE)
		remarks |= WFP_REMARK_NO_RIGHT;
	if (out->action == NBL_ACTION_BLOCK && out->flags & NBL_CLASSIFY_ABSORB)
		remarks |= WFP_REMARK_PEND_REFUSED;
	if (out->action == NBL_ACTION_BLOCK && v->action != NBL_ACTION_BLOCK) {
		decide(v, NBL_ACTION_BLOCK, true, false);
		remarks |= WFP_REMARK_VETO;
	} else if (out->action == NBL_ACTION_PERMIT && v->action == NBL_ACTION_BLOCK) {
		remarks |= WFP_REMARK_NO_RIGHT;
	}
	return remarks;
}

static uint32_t blocks(struct wfp_verdict *v, const struct wfp_answer *a)
{
	bool absorbs = a->out.flags & NBL_CLASSIFY_ABSORB;
	bool soft = a->out.flags & NBL_CLASSIFY_SOFT;
	uint32_t remarks = 0;

	if (soft && (absorbs || a->modifies)) {
		remarks |= absorbs ? WFP_REMARK_PEND_REFUSED : WFP_REMARK_RIGHT_KEPT;
		soft = false;
		absorbs = false;
	} else if (!soft && a->out.rights & NBL_RIGHT_ACTION_WRITE) {
		remarks |= WFP_REMARK_RIGHT_KEPT;
	}
	decide(v, NBL_ACTION_BLOCK, !soft, absorbs);
	return remarks;
}

static uint32_t permits(struct wfp_verdict *v, const struct wfp_answer *a)
{
	bool keeps = a->out.rights & NBL_RIGHT_ACTION_WRITE, must_clear = a->clears || a->modifies;

	decide(v, NBL_ACTION_PERMIT, must_clear || !keeps, false);
	return keeps && must_clear ? WFP_REMARK_RIGHT_KEPT : 0;
}

/* No decision: the verdict stands, but who announced writes closes it for others (RF-08). */
static uint32_t abstains(struct wfp_verdict *v, const struct wfp_answer *a)
{
	bool keeps = a->out.rights & NBL_RIGHT_ACTION_WRITE;

	if (!a->modifies)	/* who inspects was not given it */
		return keeps || a->inspects ? 0 : WFP_REMARK_ACTION;
	v->write = false;
	return keeps ? WFP_REMARK_RIGHT_KEPT : 0;
}

/* What an answer amounts to: PERMIT, BLOCK or NONE. Adds to *remarks. */
static enum nbl_action decision(const struct wfp_answer *a, uint32_t *remarks)
{
	bool decides = a->out.action == NBL_ACTION_PERMIT || a->out.action == NBL_ACTION_BLOCK;

	if (a->out.action > NBL_ACTION_BLOCK || (decides && a->inspects) ||
	    (!decides && a->must_decide))
		*remarks |= WFP_REMARK_ACTION;
	if (a->out.flags & NBL_CLASSIFY_ABSORB &&
	    (a->out.action != NBL_ACTION_BLOCK || a->inspects))
		*remarks |= WFP_REMARK_PEND_REFUSED;
	return decides && !a->inspects ? a->out.action : NBL_ACTION_NONE;
}

uint32_t wfp_arbitrate_callout(struct wfp_verdict *v, const struct wfp_answer *a)
{
	uint32_t remarks = 0;
	enum nbl_action action = decision(a, &remarks);

	if (action != NBL_ACTION_NONE)
		v->decided = true;
	if (!v->write)
		return action == NBL_ACTION_NONE ? remarks : remarks | without_right(v, &a->out);
	if (action == NBL_ACTION_BLOCK)
		return remarks | blocks(v, a);
	if (action == NBL_ACTION_PERMIT)
		return remarks | permits(v, a);
	return remarks | abstains(v, a);
}
