/* SPDX-License-Identifier: BSD-2-Clause */
/* view_history.c - the last transfers of an adapter, of all its lanes in the order of time. */
#include "keeper/views_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "edge/control.h"

/* The newest transfers of the lanes so far, as many as are wanted of each. */
struct transfers {
	struct numbered { struct nbl_transfer t; uint32_t number; } *all;	/* owned */
	uint32_t n;
	uint64_t n_noted;
	bool on;
};

static bool read_page(struct adapter *a, uint32_t lane, uint64_t first, struct worker_reply *reply,
		      struct refusal *refusal)
{
	const struct worker_request request = {
		.op = WORKER_VIEW_HISTORY, .view.lane = lane, .view.cursor = first };

	if (!worker_ask(a, &request, reply, refusal))
		return false;
	if (reply->history.n_transfers > NBL_HISTORY_PAGE)
		reply->history.n_transfers = 0;
	return true;
}

static bool read_lane(struct adapter *a, uint32_t lane, struct transfers *t,
		      struct refusal *refusal)
{
	struct worker_reply reply;
	uint64_t first, end;

	/* one beyond the end, only to hear how many there are */
	if (!read_page(a, lane, UINT64_MAX, &reply, refusal))
		return false;
	end = reply.history.n_noted;
	first = end > VIEW_MOST_TRANSFERS ? end - VIEW_MOST_TRANSFERS : 0;
	t->n_noted += end;
	t->on |= reply.history.on;
	while (first < end) {
		if (!read_page(a, lane, first, &reply, refusal))
			return false;
		if (!reply.history.n_transfers || reply.history.next <= first)
			break;
		for (uint32_t i = 0; i < reply.history.n_transfers &&
		     t->n < (lane + 1) * VIEW_MOST_TRANSFERS; i++, t->n++)
			t->all[t->n] = (struct numbered){ reply.history.transfers[i], t->n };
		first = reply.history.next;
	}
	return true;
}

static int by_time(const void *a, const void *b)
{
	const struct numbered *one = a, *other = b;

	if (one->t.time_ns != other->t.time_ns)
		return one->t.time_ns < other->t.time_ns ? -1 : 1;
	/* those of one turn in the order they were read in */
	return one->number < other->number ? -1 : one->number > other->number;
}

static json_t *report_transfer(const struct adapter *a, const struct nbl_transfer *t)
{
	static const char *const paths[] = {
		[NBL_TRANSFER_RECEIVE] = "receive", [NBL_TRANSFER_RETURN] = "return",
		[NBL_TRANSFER_SEND] = "send", [NBL_TRANSFER_COMPLETE] = "complete",
	};

	return json_pack("{s:o, s:o, s:o, s:o, s:s, s:o}",
			 "time_ns", view_number(t->time_ns),
			 "id", view_id(t->id),
			 "from", view_holder(a, t->from),
			 "to", view_holder(a, t->to),
			 "path", t->path < NBL_N_TRANSFER_PATHS ? paths[t->path] : "?",
			 "lane", view_number(t->lane));
}

static json_t *report_history(const struct adapter *a, struct transfers *t)
{
	json_t *list = json_array();

	qsort(t->all, t->n, sizeof(*t->all), by_time);
	for (uint32_t i = t->n > VIEW_MOST_TRANSFERS ? t->n - VIEW_MOST_TRANSFERS : 0; i < t->n;
	     i++)
		json_array_append_new(list, report_transfer(a, &t->all[i].t));
	return json_pack("{s:o, s:b, s:o, s:o}", "name", control_text(a->conf.name),
			 "on", t->on, "noted", view_number(t->n_noted), "transfers", list);
}

json_t *view_history(struct adapter *a, struct refusal *refusal)
{
	struct transfers t = {
		.all = calloc((size_t)a->n_lanes * VIEW_MOST_TRANSFERS, sizeof(*t.all)) };
	json_t *history = NULL;
	bool whole = t.all;

	if (!t.all)
		refuse(refusal, -ENOMEM, "out of memory (ENOMEM)");
	for (uint32_t lane = 0; whole && lane < a->n_lanes; lane++)
		whole = read_lane(a, lane, &t, refusal);
	if (whole)
		history = report_history(a, &t);
	free(t.all);
	return history;
}

bool view_switch_history(struct adapter *a, bool on, struct refusal *refusal)
{
	const struct worker_request request = { .op = WORKER_HISTORY, .view.on = on };
	struct worker_reply reply;

	return worker_ask(a, &request, &reply, refusal);
}
