// SPDX-License-Identifier: BSD-2-Clause
/* context.c - filters' contexts on an NBL. */
#include <nbl/context.h>

#include <errno.h>
#include <string.h>

#include "core/nbl_internal.h"

#define MAGIC 0x43747874u

/* In front of each context. */
struct frame {
	void *below;		/* n->context before */
	uint32_t size;
	uint32_t magic;
};

_Static_assert(NBL_CONTEXT_SPACE(0) == sizeof(struct frame), "what context.h says it takes");

void nbl_bind_context(struct nbl *n, uint8_t *area, uint16_t size)
{
	n->context_area = area;
	n->context_size = size;
	n->context_used = 0;
}

int nbl_context_push(struct nbl *n, uint32_t size, void **ret_context)
{
	struct frame *f;

	if (!size || size % sizeof(void *))
		return -EINVAL;
	if (size > UINT16_MAX ||
	    NBL_CONTEXT_SPACE(size) > (uint32_t)(n->context_size - n->context_used))
		return -ENOBUFS;
	f = (struct frame *)(void *)(n->context_area + n->context_used);
	*f = (struct frame){ .below = n->context, .size = size, .magic = MAGIC };
	memset(f + 1, 0, size);
	n->context_used += (uint16_t)NBL_CONTEXT_SPACE(size);
	n->context = f + 1;
	/* others may set flags at this moment */
	__atomic_fetch_or(&n->nbl_flags, (uint32_t)NBL_FLAG_HAS_CONTEXT, __ATOMIC_RELAXED);
	*ret_context = n->context;
	return 0;
}

/* The frame of the top context if that is one of 'size' bytes, else NULL. */
static struct frame *top_of(const struct nbl *n, uint32_t size)
{
	struct frame *f;

	if (size > UINT16_MAX || n->context_used < NBL_CONTEXT_SPACE(size))
		return NULL;
	f = (struct frame *)(void *)(n->context_area + n->context_used - NBL_CONTEXT_SPACE(size));
	return n->context == f + 1 && f->size == size && f->magic == MAGIC ? f : NULL;
}

int nbl_context_pop(struct nbl *n, uint32_t size)
{
	struct frame *f = top_of(n, size);

	if (!f) {
		nbl_violation("DM-13: context popped that is not on top", n->holder);
		return -EINVAL;
	}
	n->context = f->below;
	n->context_used -= (uint16_t)NBL_CONTEXT_SPACE(size);
	f->magic = 0;
	if (!n->context_used)
		__atomic_fetch_and(&n->nbl_flags, ~(uint32_t)NBL_FLAG_HAS_CONTEXT,
				   __ATOMIC_RELAXED);
	return 0;
}

void nbl_context_drop(struct nbl *n)
{
	if (!n->context_used)
		return;
	nbl_violation("DM-13: context left on an NBL that went home", n->holder);
	n->context_used = 0;
	/* of receive NBLs only; a pool's starts anew with its next use */
	n->context = NULL;
}
