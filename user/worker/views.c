/* SPDX-License-Identifier: BSD-2-Clause */
#include "worker/views.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static uint32_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
}

static int view_nbl(const struct worker *w, struct nbl_view_id id, struct worker_reply *ret)
{
	int r = nbl_view_nbl(w->lanes, w->n_lanes, id, now_ms(), &ret->nbl);

	if (r < 0)
		snprintf(ret->text, sizeof(ret->text), "there is no such NBL (ENOENT). "
			 "Try: nblctl pendingnbls");
	return r;
}

static int report_modules(struct worker *w, struct worker_reply *ret)
{
	int r = 0;

	for (uint32_t i = 0; i < w->stack.n_modules && i < ADAPTER_MAX_MODULES && !r; i++)
		r = nbl_stack_report(&w->stack, i, &ret->reports[i]);
	return r;
}

static int view_filter(const struct worker *w, uint64_t first, struct filter_view *ret)
{
	int i = nbl_stack_find(&w->stack, nbl_module_filter.name);

	if (i < 0)
		return -ENOENT;
	filter_view(w->stack.modules[i].context, (uint32_t)first, ret);
	return 0;
}

static int switch_history(struct worker *w, bool on)
{
	int r = 0;

	for (uint32_t i = 0; i < w->n_lanes; i++) {
		if (on && !r)
			r = nbl_history_start(&w->lanes[i]);
		else
			nbl_history_stop(&w->lanes[i]);
	}
	for (uint32_t i = 0; r < 0 && i < w->n_lanes; i++)
		nbl_history_stop(&w->lanes[i]);
	return r;
}

int worker_view(struct worker *w, const struct worker_request *request, struct worker_reply *ret)
{
	switch (request->op) {
	case WORKER_VIEW_PENDING:
		nbl_view_pending(w->lanes, w->n_lanes, request->view.cursor, now_ms(),
				 &ret->pending);
		return 0;
	case WORKER_VIEW_NBL:
		return view_nbl(w, request->view.id, ret);
	case WORKER_VIEW_HOLDS:
		nbl_view_holds(w->lanes, w->n_lanes, now_ms(), ret->holds);
		return report_modules(w, ret);
	case WORKER_VIEW_POOLS:
		nbl_view_pools(&ret->pools);
		return 0;
	case WORKER_VIEW_FILTER:
		return view_filter(w, request->view.cursor, &ret->filter);
	case WORKER_VIEW_HISTORY:
		if (request->view.lane >= w->n_lanes)
			return -EINVAL;
		nbl_history_read(&w->lanes[request->view.lane], request->view.cursor,
				 &ret->history);
		return 0;
	case WORKER_HISTORY:
		return switch_history(w, request->view.on);
	}
	return -EINVAL;
}
