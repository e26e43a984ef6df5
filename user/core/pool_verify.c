// SPDX-License-Identifier: BSD-2-Clause
/*
 * pool_verify.c - pools whose NBLs are used once and trap afterwards (PL-07).
 *
 * A long run of places is mapped without access, each on pages of its own. Taking
 * an NBL opens the next one; freeing closes it for good and gives its memory back.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core/pool_internal.h"
#include "core/slab.h"

#define PAGE_SIZE 4096ul

int nbl_pool_verify_open(struct nbl_pool *pool)
{
	void *at;
	int r;

	pool->stride = (pool->stride + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	pool->slots_size = pool->max_lives * pool->stride;
	at = mmap(NULL, pool->slots_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		  -1, 0);
	if (at == MAP_FAILED)
		return -errno;
	pool->slots = at;
	r = nbl_slab_add(pool->slots, pool->stride, pool->max_lives);
	return r;
}

void nbl_pool_verify_close(struct nbl_pool *pool)
{
	if (pool->slots) {
		nbl_slab_remove(pool->slots, pool->slots_size);
		munmap(pool->slots, pool->slots_size);
	}
	free((void *)(uintptr_t)pool->live);	/* without _Atomic */
}

struct pool_nbl *nbl_pool_verify_take(struct nbl_pool *pool, uint32_t slot)
{
	uint64_t life = atomic_fetch_add_explicit(&pool->n_lives, 1, memory_order_relaxed);
	struct pool_nbl *p;

	if (life >= pool->max_lives)
		return NULL;
	p = pool_slot(pool, life);
	if (mprotect(p, pool->stride, PROT_READ | PROT_WRITE) < 0)
		return NULL;
	nbl_pool_bind_slot(p, slot);
	pool->live[slot] = p;
	return p;
}

void nbl_pool_verify_give(struct nbl_pool *pool, struct pool_nbl *p, uint32_t slot)
{
	pool->live[slot] = NULL;
	madvise(p, pool->stride, MADV_DONTNEED);
	mprotect(p, pool->stride, PROT_NONE);
}
