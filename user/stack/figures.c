/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/figures.h"

#include <string.h>

#define READ_TRIES 10000	/* a lane publishes at most some million times a second */

void nbl_figures_publish(struct nbl_lane_block *block, const struct nbl_lane_figures *f,
			 uint32_t n_queues, bool with_drops)
{
	uint64_t number = atomic_load_explicit(&block->published, memory_order_relaxed) + 1;
	struct nbl_lane_figures *copy = &block->copies[number & 1];

	/* The number stored last time comes before what is written over the copy it retired. */
	atomic_thread_fence(memory_order_release);
	memcpy(copy, f, offsetof(struct nbl_lane_figures, drops));
	if (with_drops)
		memcpy(copy->drops, f->drops, sizeof(f->drops));
	memcpy(copy->queues, f->queues, n_queues * sizeof(f->queues[0]));
	atomic_store_explicit(&block->published, number, memory_order_release);
}

void nbl_figures_read(const struct nbl_lane_block *block, struct nbl_lane_figures *ret)
{
	for (int i = 0; i < READ_TRIES; i++) {
		uint64_t number = atomic_load_explicit(&block->published, memory_order_acquire);

		memcpy(ret, &block->copies[number & 1], sizeof(*ret));
		atomic_thread_fence(memory_order_acquire);
		/*
		 * The lane writes the other copy next; ours is
		 * touched only after it publishes that.
		 */
		if (atomic_load_explicit(&block->published, memory_order_relaxed) == number)
			return;
	}
}
