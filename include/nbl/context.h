/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * context.h - a filter's own bytes on a packet that passes it: a stack, last in first out.
 *
 * A filter pushes on the way down and pops on the way back, so each finds its own
 * on top. The room is reserved with the NBL (nbl_pool_params.context_size; for
 * receive NBLs by the engine), so no call allocates. All calls borrow 'n'; the
 * owner's thread.
 */
#ifndef NBL_CONTEXT_H
#define NBL_CONTEXT_H

#include <nbl/nbl.h>

/* What a context of 'size' bytes takes of the room. */
#define NBL_CONTEXT_SPACE(size) ((size) + 16u)

/*
 * Puts a zeroed context of 'size' bytes on top; n->context is it. Fills
 * ret_context: borrowed until it is popped. -EINVAL if 'size' is 0 or no multiple of a
 * pointer's; -ENOBUFS if the room does not suffice: nothing is changed then.
 * Rule: DM-13. Restates NdisAllocateNetBufferListContext.
 */
NBL_API NBL_MUST_CHECK int nbl_context_push(struct nbl *n, uint32_t size, void **ret_context);

/*
 * Takes the top context off; n->context is what it was before the push. -EINVAL,
 * counted as a violation, if there is none, it is not of 'size' bytes, or its
 * frame was overwritten: nothing is changed then.
 * Rule: DM-13. Restates NdisFreeNetBufferListContext.
 */
NBL_API int nbl_context_pop(struct nbl *n, uint32_t size);

#endif
