/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * views.c - who holds what: asks the worker, page by page.
 *
 * The worker may be broken or hostile: whatever it says is bounded here.
 */
#include "keeper/views_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "edge/control.h"
#include "edge/text.h"

json_t *view_number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

json_t *view_id(struct nbl_view_id id)
{
	if (!id.pool)
		return json_sprintf("f%" PRIu32, id.index);
	return json_sprintf("p%" PRIu32 ":%" PRIu32, id.pool, id.index);
}

bool view_parse_id(const char *word, uint32_t *ret_pool, uint32_t *ret_index)
{
	char copy[32], *colon;
	unsigned long pool = 0, index;

	if ((*word != 'f' && *word != 'p') || strlen(word) >= sizeof(copy))
		return false;
	strcpy(copy, word + 1);
	colon = strchr(copy, ':');
	if ((*word == 'p') != !!colon)
		return false;
	if (colon) {
		*colon = '\0';
		if (!text_to_number(copy, 1, UINT32_MAX, &pool))
			return false;
	}
	if (!text_to_number(colon ? colon + 1 : copy, 0, UINT32_MAX, &index))
		return false;
	*ret_pool = (uint32_t)pool;
	*ret_index = (uint32_t)index;
	return true;
}

json_t *view_holder(const struct adapter *a, uint16_t holder)
{
	if (holder == NBL_VIEW_KERNEL)
		return json_string("kernel");
	if (holder >= NBL_N_PLACES)
		return json_sprintf("holder %u", holder);
	return control_text(adapter_place_name(a, holder));
}

/* ---- rows ---- */

static const char *kind_name(uint8_t kind)
{
	static const char *const names[] = {
		[NBL_KIND_RECEIVE] = "receive", [NBL_KIND_FRESH] = "fresh",
		[NBL_KIND_CLONE] = "clone", [NBL_KIND_DEEP_CLONE] = "deep-clone",
		[NBL_KIND_FRAGMENTS] = "fragments", [NBL_KIND_REASSEMBLED] = "reassembled",
	};

	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "?";
}

/* The owner while it has not given the NBL back, then those who reference it. */
static json_t *report_holders(const struct adapter *a, const struct nbl_view_row *row)
{
	json_t *holders = json_array();
	uint16_t first = nbl_view_holder(row);
	uint32_t n = row->n_reference_holders;

	json_array_append_new(holders, view_holder(a, first));
	for (uint32_t i = 0; i < n && i < 3; i++)
		if (row->reference_holders[i] != first)
			json_array_append_new(holders, view_holder(a, row->reference_holders[i]));
	return holders;
}

json_t *view_row(const struct adapter *a, const struct nbl_view_row *row)
{
	bool received = row->kind == NBL_KIND_RECEIVE && row->side < NBL_N_SIDES;
	json_t *port = received ? control_text(a->ports[row->side].dev.name) : json_null();
	json_t *parent = row->has_parent ? view_id(row->parent) : json_null();

	return json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "id", view_id(row->id),
			 "kind", kind_name(row->kind),
			 "state", nbl_frame_state_name((enum nbl_frame_state)row->state),
			 "holders", report_holders(a, row),
			 "port", port,
			 "queue", received ? view_number(row->queue) : json_null(),
			 "owner_pending", row->owner_pending,
			 "references", view_number(row->references),
			 "children", view_number(row->children),
			 "parent", parent,
			 "age_ms", view_number(row->age_ms),
			 "frames", view_number(row->n_frames),
			 "length", view_number(row->length));
}

/* ---- pendingnbls ---- */

static json_t *report_groups(const struct adapter *a, const struct nbl_view_page *page)
{
	json_t *groups = json_array();

	for (uint16_t h = 0; h <= NBL_VIEW_KERNEL; h++)
		for (int side = 0; side <= NBL_VIEW_POOLED; side++) {
			json_t *port = side < NBL_N_SIDES ?
				       control_text(a->ports[side].dev.name) : json_null();

			if (page->by_holder[h][side])
				json_array_append_new(groups, json_pack("{s:o, s:O, s:o}",
					"holder", view_holder(a, h), "port", port,
					"nbls", view_number(page->by_holder[h][side])));
			json_decref(port);
		}
	return groups;
}

json_t *view_pending(struct adapter *a, struct refusal *refusal)
{
	struct worker_request request = { .op = WORKER_VIEW_PENDING };
	json_t *nbls = json_array(), *groups = NULL;
	uint64_t total = 0, more;
	struct worker_reply reply;

	do {
		if (!worker_ask(a, &request, &reply, refusal)) {
			json_decref(nbls);
			json_decref(groups);
			return NULL;
		}
		if (!groups) {
			groups = report_groups(a, &reply.pending);
			total = reply.pending.n_total;
		}
		for (uint32_t i = 0; i < reply.pending.n_rows && i < NBL_VIEW_ROWS; i++)
			json_array_append_new(nbls, view_row(a, &reply.pending.rows[i]));
		/* a cursor only goes forward, and each page but the last one is full */
		if (reply.pending.cursor <= request.view.cursor || !reply.pending.n_rows)
			break;
		request.view.cursor = reply.pending.cursor;
	} while (json_array_size(nbls) < VIEW_MOST_NBLS);
	/* some may have come while we read */
	if (total < json_array_size(nbls))
		total = json_array_size(nbls);
	more = total - json_array_size(nbls);
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "name", control_text(a->conf.name),
			 "total", view_number(total), "more", view_number(more),
			 "holders", groups, "nbls", nbls);
}

/* ---- holds ---- */

/* What the ledger tells, whether there is a worker or not. */
static json_t *report_hold(const struct module_snapshot *m, uint64_t n_frames)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f}",
			 "name", control_text(m->name),
			 "held", view_number(m->held),
			 "oldest_ms", view_number(m->oldest_ms),
			 "reference", view_number(m->held_reference),
			 "clone", view_number(m->held_clone),
			 "pending", view_number(m->held_pending),
			 "pool_frames", view_number(m->held_pool),
			 "share_percent", n_frames ? 100.0 * (double)m->held / (double)n_frames :
			 0.0);
}

/* What its account says instead: the ledger knows only why a frame was kept first. */
static void add_account(json_t *module, const struct nbl_view_hold *h, uint32_t oldest_ms)
{
	json_object_set_new(module, "pending", view_number(h->pending));
	json_object_set_new(module, "reference", view_number(h->references));
	json_object_set_new(module, "clone", view_number(h->clones));
	json_object_set_new(module, "deep_clone", view_number(h->deep_clones));
	json_object_set_new(module, "copy", view_number(h->copies));
	json_object_set_new(module, "oldest_ms",
			    view_number(h->oldest_ms > oldest_ms ? h->oldest_ms : oldest_ms));
	json_object_set_new(module, "refused", view_number(h->refused));
	json_object_set_new(module, "promoted", view_number(h->promoted));
	json_object_set_new(module, "over_limit", view_number(h->over_limit));
}

/* How much it may hold and how long, and what came of it. Rules: HP-01, HP-04. */
static void add_limits(json_t *module, const struct nbl_module_report *r)
{
	const struct nbl_module_limits *l = &r->settings.limits;
	const char *health = r->health < NBL_N_HEALTHS ? nbl_health_name(r->health) : "?";

	json_object_set_new(module, "health", json_string(health));
	json_object_set_new(module, "limits", json_pack("{s:o, s:o, s:o, s:o}",
		"held", view_number(l->max_held), "share_percent", view_number(l->max_share),
		"soft_age_ms", view_number(l->soft_age_ms),
		"hard_age_ms", view_number(l->hard_age_ms)));
	json_object_set_new(module, "warnings", view_number(r->warning.number));
	json_object_set_new(module, "lent", view_number(r->lent));
	json_object_set_new(module, "skipped", view_number(r->skipped));
}

json_t *view_holds(struct adapter *a)
{
	static struct adapter_snapshot s;	/* large; the keeper has one thread */
	const struct worker_request request = { .op = WORKER_VIEW_HOLDS };
	json_t *modules = json_array();
	struct refusal ignored;
	struct worker_reply reply;
	/* a hung one would keep us waiting */
	bool told = !a->bypass && worker_ask(a, &request, &reply, &ignored);

	adapter_snapshot(a, &s);
	for (uint32_t i = 0; i < s.n_modules; i++) {
		const struct module_snapshot *m = &s.modules[i];
		json_t *module = report_hold(m, s.frames.total - s.pool.frames);

		if (told && m->id < NBL_VIEW_HOLDERS)
			add_account(module, &reply.holds[m->id], m->oldest_ms);
		if (told && i < reply.n_modules && i < ADAPTER_MAX_MODULES)
			add_limits(module, &reply.reports[i]);
		json_array_append_new(modules, module);
	}
	return json_pack("{s:o, s:b, s:o}", "name", control_text(s.name), "worker_answered", told,
			 "modules", modules);
}

/* ---- nblpool ---- */

static json_t *report_pool_row(struct nbl_view_pool *p)
{
	p->name[sizeof(p->name) - 1] = '\0';
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o}",
			 "number", view_number(p->number),
			 "name", control_text(p->name),
			 "nbls", view_number(p->counts.n_nbls),
			 "nbls_free", view_number(p->counts.nbls_free),
			 "frames", view_number(p->counts.n_frames),
			 "frames_free", view_number(p->counts.frames_free),
			 "frame_size", view_number(p->frame_size),
			 "memory", p->is_heap ? "heap" : p->counts.n_frames ? "adapter" : "none",
			 "exhausted", view_number(p->counts.exhausted),
			 "retreats", view_number(p->counts.retreats));
}

json_t *view_pools(struct adapter *a, struct refusal *refusal)
{
	const struct worker_request request = { .op = WORKER_VIEW_POOLS };
	json_t *pools;
	struct worker_reply reply;

	if (!worker_ask(a, &request, &reply, refusal))
		return NULL;
	pools = json_array();
	for (uint32_t i = 0; i < reply.pools.n_pools && i < NBL_VIEW_POOLS; i++)
		json_array_append_new(pools, report_pool_row(&reply.pools.pools[i]));
	return json_pack("{s:o, s:o, s:o}", "name", control_text(a->conf.name), "pools", pools,
			 "hidden_copies", view_number(reply.pools.hidden_copies));
}
