/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * freelist.h - a stack of free indexes 0..n-1 that any threads may take from and give to.
 *
 * Lock-free and without allocation: the storage is the caller's. The head holds
 * the top index and a tag that changes with every operation, so that a head
 * seen twice is the same head (no ABA). Who takes an index sees what its last
 * holder wrote. Whoever gives an index must hold it.
 */
#ifndef CORE_FREELIST_H
#define CORE_FREELIST_H

#include <nbl/contract.h>

#include <stdatomic.h>

#define FREELIST_NONE UINT32_MAX

struct freelist {
	_Atomic uint64_t head __attribute__((aligned(NBL_CACHE_LINE)));	/* tag << 32 | top index */
	_Atomic uint32_t n_out;		/* taken and not given back */
	uint32_t n;
	_Atomic uint32_t *next;		/* below each index */
};

static inline uint64_t freelist_head(uint64_t old, uint32_t top)
{
	return ((old >> 32) + 1) << 32 | top;
}

/* All of 0..n-1 are free, 0 on top. 'next' has n entries (borrows as long as 'f' is used). */
static inline void freelist_init(struct freelist *f, _Atomic uint32_t *next, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		atomic_init(&next[i], i + 1 < n ? i + 1 : FREELIST_NONE);
	atomic_init(&f->head, n ? 0 : FREELIST_NONE);
	atomic_init(&f->n_out, 0);
	f->n = n;
	f->next = next;
}

/* Returns an index, or FREELIST_NONE when all are out. Any thread. */
static inline uint32_t freelist_take(struct freelist *f)
{
	uint64_t head = atomic_load_explicit(&f->head, memory_order_acquire);
	uint32_t top, below;

	do {
		top = (uint32_t)head;
		if (top == FREELIST_NONE)
			return FREELIST_NONE;
		/* stale if another thread was faster, which the tag tells */
		below = atomic_load_explicit(&f->next[top], memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(&f->head, &head, freelist_head(head, below),
							memory_order_acquire,
							memory_order_acquire));
	atomic_fetch_add_explicit(&f->n_out, 1, memory_order_relaxed);
	return top;
}

/* Gives index 'i' back (takes). Any thread. Does not touch 'f' after the count says so. */
static inline void freelist_give(struct freelist *f, uint32_t i)
{
	uint64_t head = atomic_load_explicit(&f->head, memory_order_relaxed);

	do {
		atomic_store_explicit(&f->next[i], (uint32_t)head, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(&f->head, &head, freelist_head(head, i),
							memory_order_release,
							memory_order_relaxed));
	atomic_fetch_sub_explicit(&f->n_out, 1, memory_order_release);
}

/* How many are free: exact when no other thread is at it. */
static inline uint32_t freelist_n_free(const struct freelist *f)
{
	uint32_t n_out = atomic_load_explicit(&f->n_out, memory_order_acquire);

	/* another thread may have taken again what a third has not yet counted as given */
	return n_out < f->n ? f->n - n_out : 0;
}

static inline bool freelist_is_full(const struct freelist *f)
{
	return freelist_n_free(f) == f->n;
}

#endif
