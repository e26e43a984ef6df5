/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wfp_internal.h - what the parts of the engine share.
 *
 * Where the engine keeps what it knows of an NBL, valid only with the flag:
 *
 *   either             info[NBL_INFO_WFP]     struct wfp_record, packed
 *   WFP_FLAG_INJECTED  miniport_reserved[0]   handles that injected it or its ancestors, by bit
 *                      protocol_reserved[0]   completion function; [1] its context
 *                      protocol_reserved[2]   injection context
 *                      protocol_reserved[3]   source_handle before << 32 | handle
 *   WFP_FLAG_TAGGED    miniport_reserved[1]   first of its tag contexts
 *
 * Lineage is read through n->parent, which its children keep alive. When the NBL
 * goes home the core says so (struct nbl_lineage_ops): then numbers of tags are
 * taken off, and the flags are cleared.
 */
#ifndef FILTER_WFP_INTERNAL_H
#define FILTER_WFP_INTERNAL_H

#include <errno.h>
#include <string.h>

#include <nbl/tag.h>

#include "core/freelist.h"
#include "core/nbl_internal.h"
#include "filter/arbitrate.h"
#include "filter/flow.h"
#include "filter/gate.h"
#include "filter/wfp.h"

/* Of the engine's own range of nbl_flags (DM-15). */
#define WFP_FLAG_INJECTED	NBL_FLAG_INJECTED
#define WFP_FLAG_TAGGED		NBL_FLAG_TAGGED

#define WFP_DEFAULT_BUDGET_NS 1000000

/* ---- slots ---- */

/* Counted by the slot's own thread, read by any. */
struct wfp_counts {
	_Atomic uint64_t classified, blocked, absorbed, vetoes;
	_Atomic uint64_t rights_kept, no_right, pends_refused, wrong_actions, windows_left,
		batch_held;
};

struct wfp_slot {
	_Atomic uint64_t entered;	/* epoch when it began to classify, 0 = it does not */
	uint32_t depth;
	struct wfp_counts counts;
} __attribute__((aligned(NBL_CACHE_LINE)));

/* Adds to a counter that only this thread writes. */
static inline void wfp_count(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t v = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, v + n, memory_order_relaxed);
}

static inline uint64_t wfp_read(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* ---- filters ---- */

struct wfp_sublayer {
	struct wfp_sublayer *next;
	uint16_t id, weight;
	uint32_t n_filters;
};

struct wfp_filter_slot_counts {
	_Atomic uint64_t matched, permitted, blocked, absorbed;
};

struct wfp_filter {
	struct wfp_filter *next;
	struct nbl_wfp_filter info;
	struct wfp_sublayer *sublayer;	/* there as long as a filter in force is in it */
	enum nbl_layer layer;
	enum nbl_wfp_action action;
	uint32_t callout;
	bool added, deleted;		/* since the last commit */
	uint32_t n_conditions;
	struct nbl_wfp_condition conditions[WFP_MAX_CONDITIONS];	/* by field */
	struct wfp_filter_slot_counts counts[];	/* one per slot */
};

struct wfp_callout;

struct wfp_entry {
	struct wfp_filter *filter;
	struct wfp_callout *callout;	/* NULL for actions without */
	bool begins_sublayer;
};

struct wfp_snapshot {
	struct wfp_filter *deleted;	/* freed with it: those the next one does not have */
	uint64_t epoch;	/* set when it is replaced: who entered later does not know it */
	uint32_t first[NBL_N_LAYERS + 1];	/* entries of layer i: first[i] .. first[i + 1] */
	struct wfp_gate gates[WFP_N_WAYS];
	struct wfp_entry entries[];
};

/* 0, or -EINVAL if 'c' (borrows) makes no sense at 'layer'. */
int wfp_condition_check(const struct nbl_wfp_condition *c, const struct wfp_layer *layer);
/* True if 'v' has what 'n' conditions, ordered by field, ask for (borrows). */
bool wfp_conditions_match(const struct nbl_wfp_condition *c, uint32_t n,
			  const struct nbl_values *v);

/* ---- callouts ---- */

struct wfp_callout_slot_counts {
	_Atomic uint64_t calls, over_budget, deviations, times[WFP_N_TIMES];
};

struct wfp_callout {
	_Atomic uint32_t id;		/* 0: not called for packets */
	_Atomic uint32_t closing;	/* the id while it goes away, else 0 */
	uint64_t closing_epoch;
	uint32_t generation;
	struct nbl_callout is;
	char name[NBL_CALLOUT_NAME_MAX];
	_Atomic uint32_t holds;
	_Atomic uint32_t flow_contexts;
	struct wfp_callout_slot_counts *counts;	/* one per slot */
};

#define WFP_INDEX_BITS 6
#define WFP_INDEX(id) ((id) & ((1u << WFP_INDEX_BITS) - 1))

/*
 * The callout with that id, also one that is closing, or NULL.
 * Returns borrowed, as long as it is registered.
 */
struct wfp_callout *wfp_callout_find(const struct nbl_wfp *wfp, uint32_t id);

/* What this thread is classifying, or NULL. */
struct wfp_current {
	const struct nbl_classify_in *in;	/* n_in of them */
	const struct wfp_packet *const *packets;	/* what is in each */
	uint32_t n_in;
	bool batch;			/* several at once */
	bool borrowed;			/* the packets are lent: copies only */
	bool may_hold;			/* reference, clone and their like are allowed */
	bool modifies;			/* one packet: it was referenced with intend_to_modify */
	uint32_t n_plain;		/* one packet: references without */
};

extern _Thread_local struct wfp_current *wfp_current;

/* ---- injection ---- */

#define WFP_HANDLE_FLAG 0x80000000u	/* sets handles apart from those of ports and modules */

struct wfp_handle {
	_Atomic uint32_t id;		/* 0: free */
	_Atomic uint32_t pending;
	_Atomic bool closing;
	_Atomic uint32_t layers;	/* where its owner has callouts */
	uint32_t generation;
	uint32_t owner;
	uint32_t types;
	uint8_t family;
};

/*
 * The state of an NBL's latest injection, and of its lineage. Never all zero while a flag is set.
 */
struct wfp_record {
	bool pending;
	bool original;			/* was absorbed: the engine has a reference */
	bool substitute;	/* a copy made to be sent; its parent is what was injected */
	uint8_t path;
	uint8_t engine;			/* number of the engine it is known to */
	uint8_t depth;			/* injections of it and its ancestors */
	uint16_t aside;	/* bytes put in front; an original has none: the port it came by */
	uint32_t older;	/* where contexts of earlier injections of this NBL are; 0 = none */
};

#define WFP_N_OLDER 1024		/* contexts of repeated injections kept; a power of two */

/* An injection of an NBL that was injected again since. */
struct wfp_older {
	_Atomic uint32_t sequence;	/* who looks for it knows it */
	_Atomic uint32_t handle;
	_Atomic uint32_t older;
	_Atomic uintptr_t n, context;
};

struct wfp_tag {
	_Atomic uint32_t id;		/* 0: free */
	uint32_t generation;
	_Atomic uint32_t n_contexts;
	nbl_tag_notify_fn notify;
	void *arg;
};

struct wfp_tag_context {
	uint32_t tag;
	uint32_t next;			/* index + 1, 0 = last */
	uint64_t context;
};

/* Reads and writes what the NBL carries; any thread that holds it may read. */
struct wfp_record wfp_record_get(const struct nbl *n);
void wfp_record_set(struct nbl *n, struct wfp_record r);
/* Ends what is pending: true for one caller only. */
bool wfp_injection_end(struct nbl *n);
bool wfp_has_flag(const struct nbl *n, uint32_t flag);
void wfp_set_flag(struct nbl *n, uint32_t flag, bool on);

/*
 * Handles of all injections of 'n' and its ancestors, by bit;
 * fills ret_depth with how many those are.
 */
uint64_t wfp_lineage(const struct nbl *n, uint8_t *ret_depth);
/* Makes the lineage of 'to', which has none, that of 'from' (borrows both). */
void wfp_lineage_inherit(struct nbl_wfp *wfp, struct nbl *to, const struct nbl *from);
/* Keeps the injection 'n' knows of before it is overwritten. Returns where. */
uint32_t wfp_older_keep(struct nbl_wfp *wfp, const struct nbl *n);

/* Puts IP and MAC headers in front of all NBs. 0 or negative errno, nothing changed then. */
int wfp_headers_push_mac(struct nbl *n, const struct nbl_headers *h, struct nbl_pool *pool);
int wfp_headers_push_ip(struct nbl *n, const struct nbl_headers *h, uint32_t backfill,
			struct nbl_pool *pool);
/*
 * Corrects the checksums of all NBs of 'n', which begin at the IP header; 'skip': as
 * wfp_checksum_fix(), besides what the port is asked for. True if any was wrong.
 */
bool wfp_headers_fix(struct nbl *n, int skip);

/* Makes and frees the table of numbers. 0 or -ENOMEM. */
int wfp_tags_init(struct nbl_wfp *wfp);
void wfp_tags_done(struct nbl_wfp *wfp);
/* Tells the tags of 'n' of 'event'. */
void wfp_tag_tell(struct nbl_wfp *wfp, struct nbl *n, enum nbl_tag_event event, struct nbl *other);

/* Recomputes where the owners of handles have callouts. Control thread. */
void wfp_handles_refresh(struct nbl_wfp *wfp);

/* ---- the engine ---- */

#define WFP_MAX_ENGINES 15		/* in one process */

struct nbl_wfp {
	struct nbl_wfp_params params;
	uint8_t number;			/* 1 .. WFP_MAX_ENGINES */
	struct wfp_snapshot *_Atomic snapshot;
	_Atomic uint32_t layers_wanted;	/* those with filters, by bit */
	_Atomic uint64_t epoch;	/* counts up with everything that readers may still be using */
	struct wfp_slot *slots;
	struct wfp_callout callouts[NBL_MAX_CALLOUTS];
	struct wfp_flows flows;

	struct wfp_handle handles[NBL_MAX_INJECT_HANDLES];
	uint32_t next_handle;		/* where to look for a free one: late reuse */
	struct wfp_older older[WFP_N_OLDER];
	_Atomic uint32_t older_sequence;
	_Atomic uint64_t injected, completed, loops, copied, completions_refused;

	struct wfp_tag tags[NBL_MAX_TAGS];
	struct wfp_tag_context *tag_contexts;
	_Atomic uint32_t *tag_next;
	struct freelist free_tag_contexts;

	/* the control thread's */
	struct wfp_sublayer *sublayers;
	struct wfp_filter *filters;
	uint64_t next_filter;
};

/* Tells the core whom to tell of NBLs that go home. */
void wfp_lineage_begin(void);
/* The engine of that number, or NULL. */
struct nbl_wfp *wfp_engine(uint8_t number);

/* Begins and ends a time in which 'slot' uses what the engine publishes. May nest. */
void wfp_enter(struct nbl_wfp *wfp, uint32_t slot);
void wfp_leave_slot(struct nbl_wfp *wfp, uint32_t slot);

/* Counts the epoch up: returns the one before, for wfp_is_past(). */
uint64_t wfp_next_epoch(struct nbl_wfp *wfp);
/* True if every slot that entered in 'epoch' or before has left. */
bool wfp_is_past(const struct nbl_wfp *wfp, uint64_t epoch);

#endif
