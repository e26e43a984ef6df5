/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tag.h - a callout's own number on an NBL, followed through what happens to it.
 *
 * A tag is a name for such numbers and the function to be told of events. The
 * number stays on the NBL until it is removed or the NBL leaves the stack, which
 * is told once. On a clone the callout decides whether to put it there too.
 */
#ifndef NBL_TAG_H
#define NBL_TAG_H

#include <nbl/callout.h>

#define NBL_MAX_TAGS 32				/* per engine */

enum nbl_tag_event {
	/* 'other' is a clone of either kind, made by nbl_callout_clone() or its like */
	NBL_TAG_CLONED,
	NBL_TAG_DUPLICATED,			/* 'other' is a copy without parent */
	NBL_TAG_SEND_COMPLETE,	/* it was sent; the number is gone when this returns */
	NBL_TAG_RECEIVE_COMPLETE,		/* it was received and returned; likewise */
	NBL_TAG_REMOVED,			/* it left any other way, or was freed; likewise */
};

/*
 * Told of 'event' on 'n' (borrows both NBLs) and the number there. 'other' is NULL
 * but for the first two events. Numbers may be put on either from here, and taken off: one
 * taken off before it was told is not. Thread of the event; must not block.
 */
typedef void (*nbl_tag_notify_fn)(void *arg, enum nbl_tag_event event, struct nbl *n,
				  struct nbl *other, uint64_t context);

/*
 * Makes a tag of callout 'id'. Fills ret_tag. 0; -EINVAL without 'notify';
 * -ENOENT for an unknown id; -ENOSPC when NBL_MAX_TAGS exist. Control thread.
 * Rule: TG-01. Restates FwpsNetBufferListGetTag (the part of the engine).
 */
NBL_API NBL_MUST_CHECK int nbl_tag_create(struct nbl_wfp *wfp, uint32_t id,
					  nbl_tag_notify_fn notify, void *arg, uint32_t *ret_tag);

/* Ends 'tag'. 0; -EBUSY while a number of it is on any NBL; -ENOENT. Control thread. TG-01. */
NBL_API NBL_MUST_CHECK int nbl_tag_destroy(struct nbl_wfp *wfp, uint32_t tag);

/*
 * Puts 'context' on 'n' (borrows). 0; -EEXIST if this tag has one there; -ENOBUFS
 * when the engine's table is full; -ENOENT. The thread that owns 'n'. Rule: TG-01.
 * Restates FwpsNetBufferListAssociateContext.
 */
NBL_API int nbl_tag_associate(struct nbl_wfp *wfp, uint32_t tag, struct nbl *n, uint64_t context);

/*
 * Fills ret_context, unless NULL, with the number of 'tag' on 'n' (borrows), and
 * with 'remove' takes it off without telling. 0 or -ENOENT. The thread that owns
 * 'n'. Restates FwpsNetBufferListRetrieveContext, FwpsNetBufferListRemoveContext.
 */
NBL_API int nbl_tag_retrieve(struct nbl_wfp *wfp, uint32_t tag, struct nbl *n, bool remove,
			     uint64_t *ret_context);

#endif
