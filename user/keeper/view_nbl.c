/* SPDX-License-Identifier: BSD-2-Clause */
/* view_nbl.c - one NBL with all that is known of it. */
#include "keeper/views_internal.h"

#include <stdio.h>

#include "edge/control.h"

static json_t *report_flags(uint32_t flags)
{
	static const struct { uint32_t flag; const char *name; } names[] = {
		{ NBL_FLAG_IS_IPV4, "ipv4" }, { NBL_FLAG_IS_IPV6, "ipv6" },
		{ NBL_FLAG_IS_TCP, "tcp" }, { NBL_FLAG_IS_UDP, "udp" },
		{ NBL_FLAG_LOOPBACK, "loopback" },
		{ NBL_FLAG_SEND_READ_ONLY, "send-read-only" },
		{ NBL_FLAG_RECEIVE_READ_ONLY, "receive-read-only" },
		{ NBL_FLAG_WILL_MODIFY, "will-modify" }, { NBL_FLAG_FREED, "freed" },
		{ NBL_FLAG_HAS_INFO, "has-info" }, { NBL_FLAG_HAS_CONTEXT, "has-context" },
		{ NBL_FLAG_BORROWED, "borrowed" }, { NBL_FLAG_LENT, "lent" },
		{ NBL_FLAG_INJECTED, "injected" }, { NBL_FLAG_TAGGED, "tagged" },
	};
	json_t *list = json_array();
	uint32_t other = flags;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		other &= ~names[i].flag;
		if (flags & names[i].flag)
			json_array_append_new(list, json_string(names[i].name));
	}
	if (other)
		json_array_append_new(list, json_sprintf("0x%x", other));
	return list;
}

static json_t *report_info(const uint64_t info[NBL_N_INFO])
{
	static const char *const names[NBL_N_INFO] = {
		[NBL_INFO_CHECKSUM] = "checksum", [NBL_INFO_VLAN] = "vlan",
		[NBL_INFO_HASH] = "hash", [NBL_INFO_TIMESTAMP] = "timestamp",
		[NBL_INFO_CANCEL_ID] = "cancel_id", [NBL_INFO_WFP] = "wfp",
		[NBL_INFO_HASH_TYPE] = "hash_type", [NBL_INFO_METADATA] = "metadata",
		[NBL_INFO_TX_REQUEST] = "tx_request", [NBL_INFO_PROTOCOL_ID] = "protocol_id",
		[NBL_INFO_SEGMENTATION] = "segmentation", [NBL_INFO_MEDIA] = "media",
		[NBL_INFO_FILTERING] = "filtering",
	};
	json_t *set = json_object();

	for (int i = 0; i < NBL_N_INFO; i++) {
		/* the filter engine's slot is an address inside the worker: nobody's business */
		if (info[i] && i == NBL_INFO_WFP)
			json_object_set_new(set, names[i], json_true());
		else if (info[i])
			json_object_set_new(set, names[i], view_number(info[i]));
	}
	return set;
}

/* Who originated it, and so gets it back. */
static json_t *report_source(const struct adapter *a, uint32_t handle)
{
	static const char *const origins[NBL_N_ORIGINS] = {
		[NBL_ORIGIN_MODULE] = "module", [NBL_ORIGIN_PORT] = "port",
		[NBL_ORIGIN_BINDING] = "binding", [NBL_ORIGIN_WFP] = "filter-engine",
	};
	enum nbl_origin origin = nbl_handle_origin(handle);
	json_t *source = json_pack("{s:o, s:s}", "handle", json_sprintf("0x%08x", handle),
				   "origin", handle ? origins[origin] : "none");

	if (handle && origin == NBL_ORIGIN_MODULE)
		json_object_set_new(source, "module", view_holder(a, nbl_handle_module_id(handle)));
	if (origin == NBL_ORIGIN_PORT)
		json_object_set_new(source, "queue", view_number(handle & (NBL_HANDLE_PORT - 1)));
	return source;
}

static json_t *report_segments(const struct nbl_view_nbl *n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n->n_segments && i < NBL_VIEW_SEGMENTS; i++) {
		const struct nbl_view_segment *s = &n->segments[i];
		bool framed = s->frame != NBL_NO_FRAME;

		json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:b}",
			"packet", view_number(s->nb),
			"frame", framed ? view_number(s->frame) : json_null(),
			"length", view_number(s->length), "foreign", s->foreign));
	}
	return list;
}

static json_t *report_bytes(const struct nbl_view_nbl *n)
{
	char hex[2 * NBL_VIEW_BYTES + 1] = "";

	for (uint32_t i = 0; i < n->n_bytes && i < NBL_VIEW_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", n->bytes[i]);
	return json_string(hex);
}

static const char *status_name(uint32_t status)
{
	static const char *const names[] = {
		[NBL_STATUS_SUCCESS] = "success", [NBL_STATUS_INVALID_LENGTH] = "invalid-length",
		[NBL_STATUS_RESOURCES] = "resources", [NBL_STATUS_FAILURE] = "failure",
		[NBL_STATUS_SEND_ABORTED] = "send-aborted",
		[NBL_STATUS_RESET_IN_PROGRESS] = "reset-in-progress",
		[NBL_STATUS_PAUSED] = "paused",
	};

	return status < sizeof(names) / sizeof(names[0]) ? names[status] : "?";
}

static const char *outcome_name(const struct nbl_view_nbl *n)
{
	/* what nobody has decided yet counts as returned only when it is home */
	if (!n->is_home && n->outcome == NBL_OUTCOME_RETURNED)
		return "open";
	return n->outcome < NBL_N_OUTCOMES ? nbl_outcome_name((enum nbl_outcome)n->outcome) : "?";
}

static json_t *report_nbl(const struct adapter *a, const struct nbl_view_nbl *n)
{
	json_t *nbl = view_row(a, &n->row);
	json_t *more = json_pack("{s:b, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"home", n->is_home,
		"status", status_name(n->status),
		"outcome", outcome_name(n),
		"frame_type", json_sprintf("0x%04x", n->frame_type),
		"flags", report_flags(n->nbl_flags),
		"source", report_source(a, n->source_handle),
		"info", report_info(n->info),
		"packets", view_number(n->n_nbs),
		"data_offset", view_number(n->data_offset),
		"data_length", view_number(n->data_length),
		"segments", report_segments(n),
		"bytes", report_bytes(n));

	json_object_update(nbl, more);
	json_decref(more);
	return nbl;
}

json_t *view_nbl(struct adapter *a, uint32_t pool, uint32_t index, struct refusal *refusal)
{
	const struct worker_request request = { .op = WORKER_VIEW_NBL, .view.id = { pool, index } };
	struct worker_reply reply;

	if (!worker_ask(a, &request, &reply, refusal))
		return NULL;
	return json_pack("{s:o, s:o}", "name", control_text(a->conf.name),
			 "nbl", report_nbl(a, &reply.nbl));
}
