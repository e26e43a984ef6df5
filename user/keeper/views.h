/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * views.h - what an adapter's worker says of ownership, as JSON.
 *
 * NBLs are named f1234, by their receive frame, or p2:17, by pool number and slot.
 * Each borrows 'a', and all but view_filter_add() return one element of "adapters", owned,
 * json_decref(); NULL with 'refusal' filled. Rule: HP-05.
 */
#ifndef KEEPER_VIEWS_H
#define KEEPER_VIEWS_H

#include <jansson.h>

#include "keeper/adapter.h"

#define VIEW_MOST_NBLS		256	/* listed in one answer; the others are counted */
#define VIEW_MOST_TRANSFERS	256

/* Parses "f1234" or "p2:17" (fills). False if it is neither. */
bool view_parse_id(const char *word, uint32_t *ret_pool, uint32_t *ret_index);

/* Who holds how much and by what, without what only a worker knows if none answers. Never NULL. */
json_t *view_holds(struct adapter *a);

/*
 * Adds to 'modules', of `module list` (borrows), what the module "filter" did by rule and callout,
 * if it is there and one worker tells all of it in time.
 */
void view_filter_add(struct adapter *a, json_t *modules);

/* What `pendingnbls`, `nbl`, `nblpool` and `nbllog` print of it. */
json_t *view_pending(struct adapter *a, struct refusal *refusal);
json_t *view_nbl(struct adapter *a, uint32_t pool, uint32_t index, struct refusal *refusal);
json_t *view_pools(struct adapter *a, struct refusal *refusal);
json_t *view_history(struct adapter *a, struct refusal *refusal);

/* Begins to note transfers, or ends it. False with 'refusal' filled. */
bool view_switch_history(struct adapter *a, bool on, struct refusal *refusal);

#endif
