/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/ledger.h"

#include <string.h>

void nbl_ledger_violation(struct nbl_ledger *l, uint32_t frame)
{
	__atomic_fetch_add(&l->violations, 1, __ATOMIC_RELAXED);	/* lanes share it */
	nbl_ledger_set(l, frame, (struct nbl_ledger_entry){ .state = NBL_FRAME_QUARANTINE });
}

bool nbl_ledger_hold(struct nbl_ledger *l, uint32_t frame, uint16_t holder,
		     enum nbl_hold_reason reason, uint32_t now_ms)
{
	if (nbl_ledger_get(l, frame).state != NBL_FRAME_HAND) {
		nbl_ledger_violation(l, frame);
		return false;
	}
	nbl_ledger_set(l, frame, (struct nbl_ledger_entry){
		.state = NBL_FRAME_HELD, .reason = reason, .holder = holder, .slot = now_ms });
	return true;
}

void nbl_ledger_count(const struct nbl_ledger *l, uint32_t first, uint32_t n,
		      uint32_t ret_counts[NBL_N_FRAME_STATES])
{
	memset(ret_counts, 0, NBL_N_FRAME_STATES * sizeof(*ret_counts));
	for (uint32_t frame = first; frame < first + n && frame < l->n_frames; frame++) {
		uint8_t state = nbl_ledger_get(l, frame).state;

		ret_counts[state < NBL_N_FRAME_STATES ? state : NBL_FRAME_QUARANTINE]++;
	}
}

const char *nbl_frame_state_name(enum nbl_frame_state state)
{
	static const char *const names[] = {
		[NBL_FRAME_FREE] = "free", [NBL_FRAME_FILL] = "fill", [NBL_FRAME_HAND] = "hand",
		[NBL_FRAME_HELD] = "held", [NBL_FRAME_TX] = "tx",
		[NBL_FRAME_QUARANTINE] = "quarantine",
	};

	return state < NBL_N_FRAME_STATES ? names[state] : "?";
}

int nbl_ledger_send(struct nbl_ledger *l, uint32_t frame, uint16_t queue, uint32_t slot)
{
	uint64_t old = atomic_load_explicit(&l->entries[frame], memory_order_relaxed);
	struct nbl_ledger_entry to = { .state = NBL_FRAME_TX, .holder = queue, .slot = slot };
	uint8_t was, sends;

	do {
		was = (uint8_t)old;
		sends = (uint8_t)(old >> 8);
		if (sends == NBL_SENDS_LAST)
			sends = 0;
		if (was == NBL_FRAME_TX && sends < NBL_MOST_SENDS) {
			to.reason = sends + 1;
		} else if (was == NBL_FRAME_HAND || was == NBL_FRAME_HELD) {
			to.reason = 0;
		} else {
			nbl_ledger_violation(l, frame);
			return -1 - was;
		}
		/* release: the death of this process is precise, see the header */
	} while (!atomic_compare_exchange_weak_explicit(&l->entries[frame], &old,
							nbl_ledger_pack(to), memory_order_release,
							memory_order_relaxed));
	return was;
}

int nbl_ledger_end_send(struct nbl_ledger *l, uint32_t frame, struct nbl_ledger_entry to)
{
	uint64_t old = atomic_load_explicit(&l->entries[frame], memory_order_relaxed), now;
	uint8_t sends;

	do {
		if ((uint8_t)old != NBL_FRAME_TX) {
			nbl_ledger_violation(l, frame);
			return -1 - (int)(uint8_t)old;
		}
		sends = (uint8_t)(old >> 8);
		if (sends == NBL_SENDS_UNKNOWN)
			return NBL_FRAME_TX;
		if (!sends || sends == NBL_SENDS_LAST)
			now = nbl_ledger_pack(to);
		else
			now = sends > 1 ? old - (1u << 8) :
			      (old & ~0xff00ull) | NBL_SENDS_LAST << 8;
	} while (!atomic_compare_exchange_weak_explicit(&l->entries[frame], &old, now,
							memory_order_release,
							memory_order_relaxed));
	return sends && sends != NBL_SENDS_LAST ? NBL_FRAME_TX : to.state;
}
