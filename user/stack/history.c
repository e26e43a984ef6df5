/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int nbl_history_start(struct nbl_lane *lane)
{
	if (!lane->history)
		lane->history = calloc(1, sizeof(*lane->history));
	return lane->history ? 0 : -ENOMEM;
}

void nbl_history_stop(struct nbl_lane *lane)
{
	free(lane->history);
	lane->history = NULL;
}

void nbl_history_add(struct nbl_lane *lane, uint16_t from, uint16_t to,
		     enum nbl_transfer_path path, const struct nbl_chain *chain)
{
	struct nbl_history *h = lane->history;

	for (const struct nbl *n = chain->head; n; n = n->next)
		h->entries[h->n_noted++ % NBL_HISTORY_ENTRIES] = (struct nbl_transfer){
			.time_ns = lane->now_ns, .id = nbl_view_id_of(lane, n), .from = from,
			.to = to, .path = (uint16_t)path, .lane = (uint16_t)lane->index,
		};
}

void nbl_history_read(const struct nbl_lane *lane, uint64_t first, struct nbl_history_page *ret)
{
	const struct nbl_history *h = lane->history;
	uint64_t oldest;

	memset(ret, 0, sizeof(*ret));
	if (!h)
		return;
	oldest = h->n_noted > NBL_HISTORY_ENTRIES ? h->n_noted - NBL_HISTORY_ENTRIES : 0;
	if (first < oldest)
		first = oldest;
	ret->on = true;
	ret->n_noted = h->n_noted;
	for (; first < h->n_noted && ret->n_transfers < NBL_HISTORY_PAGE; first++)
		ret->transfers[ret->n_transfers++] = h->entries[first % NBL_HISTORY_ENTRIES];
	ret->next = first;
}
