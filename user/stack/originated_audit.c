/* SPDX-License-Identifier: BSD-2-Clause */
/* originated_audit.c - whether what is noted of NBLs that are being sent is true. */
#include "core/nbl_internal.h"
#include "stack/originated_internal.h"

/* What is wrong with what is noted of 'frame', or NULL. */
static const char *frame_fault(const struct nbl_lane *lane, uint32_t frame, uint32_t *n_notes,
			       uint32_t *n_plain)
{
	const struct nbl_lane_sends *s = lane->sends;
	struct nbl_ledger_entry e = nbl_ledger_get(&lane->memory->ledger, frame);
	const struct nbl *n = nbl_lane_is_pool_frame(lane, frame) ? NULL : &lane->nbls[frame];
	uint32_t n_here = 0;

	for (uint32_t i = s->first[frame]; i && n_here <= s->n_entries; n_here++) {
		*n_plain += s->entries[i - 1].send == UINT32_MAX;
		i = s->entries[i - 1].next;
	}
	*n_notes += n_here;
	/* of frames in quarantine nobody knows, and of a dead worker's sends nothing is noted */
	if (e.state == NBL_FRAME_QUARANTINE ||
	    (e.state == NBL_FRAME_TX && e.reason == NBL_SENDS_UNKNOWN))
		return NULL;
	if (n_here && e.state != NBL_FRAME_TX)
		return "it is noted as sent and is not";
	if (n_here && n_here > nbl_ledger_n_sends(e))
		return "it is noted as sent more often than it is";
	if (n_here && n && !nbl_lane_is_flagged(n, NBL_FLAG_LENT))
		return "it is sent for others and not marked so";
	/* once it may be by its own NBL, of which nothing is noted */
	if (n && n->home && nbl_lane_home_queue(n)->lane == lane && e.state == NBL_FRAME_TX &&
	    nbl_ledger_n_sends(e) > n_here + 1)
		return "it is sent more often than it is noted";
	return NULL;
}

const char *nbl_lane_sends_fault(const struct nbl_lane *lane, uint32_t *ret_frame)
{
	const struct nbl_lane_sends *s = lane->sends;
	uint32_t n_notes = 0, n_plain = 0, n_open = 0, n_waiting = 0;
	uint64_t n_entries = 0;

	*ret_frame = NBL_NO_FRAME;
	for (uint32_t f = 0; f < lane->memory->ledger.n_frames; f++) {
		const char *fault = frame_fault(lane, f, &n_notes, &n_plain);

		if (fault) {
			*ret_frame = f;
			return fault;
		}
	}
	for (uint32_t i = 0; i < s->n_entries; i++) {
		n_open += s->sends[i].n_open > 0;
		n_entries += s->sends[i].n_open;
	}
	for (uint32_t i = 0; i < lane->n_queues; i++)
		n_waiting += lane->queues[i].waiting.n_nbls;
	if (n_notes + s->n_free != s->n_entries)
		return "notes of sends are lost";
	if (n_entries + n_plain != n_notes || n_open != s->n_open)
		return "NBLs being sent have more or fewer entries than are noted";
	return n_waiting == s->n_waiting ? NULL : "NBLs that wait for room are not counted";
}
