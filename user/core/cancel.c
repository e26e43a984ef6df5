// SPDX-License-Identifier: BSD-2-Clause
/* cancel.c - the high bytes of cancel ids. */
#include <errno.h>

#include <nbl/cancel.h>

#include "core/nbl_internal.h"

/* One bit per id that is given; 0 is nobody's, because id 0 means none. */
static _Atomic uint64_t given[4] = { 1 };

int nbl_cancel_alloc_partial_id(void)
{
	for (int i = 0; i < 4; i++) {
		uint64_t bits = atomic_load_explicit(&given[i], memory_order_relaxed);

		while (~bits) {
			int bit = __builtin_ctzll(~bits);

			if (atomic_compare_exchange_weak(&given[i], &bits, bits | 1ull << bit))
				return i * 64 + bit;
		}
	}
	return -ENOSPC;
}

int nbl_cancel_free_partial_id(int partial_id)
{
	uint64_t bit;

	if (partial_id < 1 || partial_id > 255)
		return nbl_violation("CN-01: freed a partial cancel id that is none", 0);
	bit = 1ull << (partial_id % 64);
	if (!(atomic_fetch_and(&given[partial_id / 64], ~bit) & bit))
		return nbl_violation("CN-01: freed a partial cancel id nobody has", 0);
	return 0;
}
