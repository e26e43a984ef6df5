// SPDX-License-Identifier: BSD-2-Clause
/* slab.c - where the engine's NBLs lie. */
#include "core/slab.h"

#include <errno.h>
#include <pthread.h>

#include <nbl/checks.h>

#define MAX_RUNS 8192	/* pools, and lanes' queues that do not lie side by side */

/* NBLs 'stride' apart in [first, end); empty if first is end. */
struct run {
	_Atomic uintptr_t first, end;
	_Atomic size_t stride;
};

static struct run runs[MAX_RUNS];
static _Atomic uint32_t n_runs;		/* those after were never used */
static pthread_mutex_t writers = PTHREAD_MUTEX_INITIALIZER;

static bool is_in(const struct run *r, uintptr_t at)
{
	uintptr_t first = r->first;

	return at >= first && at < r->end && (at - first) % r->stride == 0;
}

bool nbl_is_known(const struct nbl *n)
{
	uint32_t count = atomic_load_explicit(&n_runs, memory_order_acquire);

	for (uint32_t i = 0; i < count; i++)
		if (is_in(&runs[i], (uintptr_t)n))
			return true;
	return false;
}

static void set_run(struct run *r, uintptr_t first, uintptr_t end, size_t stride)
{
	/* empty in between, so that a reader never sees the ends of two */
	r->end = 0;
	r->first = first;
	r->stride = stride;
	r->end = end;
}

/* Takes [first, end) out of 'r': all from there on, for what is cut through is gone as a whole. */
static void cut(struct run *r, uintptr_t first, uintptr_t end)
{
	uintptr_t from = r->first;

	if (first >= r->end || end <= from)
		return;
	r->end = first > from ? from + (first - from) / r->stride * r->stride : from;
}

static int add(uintptr_t first, uintptr_t end, size_t stride)
{
	struct run *free_run = NULL;

	for (uint32_t i = 0; i < n_runs; i++) {
		struct run *r = &runs[i];

		if (r->stride == stride && is_in(r, first) && end <= r->end)
			return 0;
		cut(r, first, end);
		if (r->end == first && r->first < first && r->stride == stride &&
		    stride == sizeof(struct nbl)) {
			r->end = end;
			return 0;
		}
		if (r->first >= r->end)
			free_run = r;
	}
	if (!free_run) {
		if (n_runs == MAX_RUNS)
			return -ENOSPC;
		free_run = &runs[n_runs];
		set_run(free_run, first, end, stride);
		n_runs++;
		return 0;
	}
	set_run(free_run, first, end, stride);
	return 0;
}

int nbl_slab_add(const void *first, size_t stride, size_t n)
{
	int r;

	pthread_mutex_lock(&writers);
	r = add((uintptr_t)first, (uintptr_t)first + n * stride, stride);
	pthread_mutex_unlock(&writers);
	return r;
}

void nbl_slab_remove(const void *first, size_t size)
{
	pthread_mutex_lock(&writers);
	for (uint32_t i = 0; i < n_runs; i++)
		cut(&runs[i], (uintptr_t)first, (uintptr_t)first + size);
	pthread_mutex_unlock(&writers);
}
