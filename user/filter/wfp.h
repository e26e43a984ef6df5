/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wfp.h - the filter engine of one adapter, as its stack and its control see it.
 *
 *   filters.c    sub-layers and filters, as added        snapshot.c  what lanes classify by
 *   classify*.c  packets through layers                  callout.c   registration, holding, figures
 *   flow.c       contexts of callouts on flows           inject*.c   handles, injecting, completing
 *   tag.c        numbers on NBLs              gate.c      packets no filter can match
 *   stack_*.c    the engine as a module of a stack; rule*.c filters as text
 *
 * The engine knows no lanes and rings. Each thread that classifies has a slot of
 * its own; what a slot may still be using is not freed (wfp_is_quiet()).
 */
#ifndef FILTER_WFP_H
#define FILTER_WFP_H

#include <nbl/inject.h>

#include "filter/layer.h"

#define WFP_BURST 64			/* packets classified together */
#define WFP_MAX_CONDITIONS 32		/* per filter */
#define WFP_N_TIMES 32			/* buckets of time: bucket i counts calls below 2^i ns */

/* What the stack does for the engine. */
struct nbl_wfp_ops {
	/*
	 * Whether 'path' to 'target' (borrows) can be used: 0; -EAGAIN if the port is not
	 * ready; -ENXIO if there is none. Any thread; must not block. Rules: IN-03, IN-15.
	 */
	int (*ready)(void *arg, enum nbl_inject_path path, const struct nbl_inject_target *target);
	/*
	 * Takes 'n' for 'path', if 0 is returned, and gives it back by
	 * nbl_inject_complete(): a queue of the lane of n->port, never the path itself.
	 * -ENOBUFS if it is full. Any thread; must not block. Rule: CL-14.
	 */
	int (*submit)(void *arg, enum nbl_inject_path path, struct nbl *n);
	/* Monotonic nanoseconds, for the time callouts take; NULL = not measured. */
	uint64_t (*clock)(void *arg);
	/*
	 * Which enum nbl_tag_event it is that 'n' (borrows) goes home; NULL = always REMOVED. Any
	 * thread.
	 */
	uint8_t (*left)(void *arg, const struct nbl *n);
	void *arg;
};

struct nbl_wfp_params {
	struct nbl_wfp_ops ops;
	uint32_t n_slots;		/* threads that classify, at least 1 */
	uint32_t n_flows;		/* places for flows with contexts; 0 = none */
	uint64_t flow_idle_ns;		/* a flow without packets for longer loses its contexts */
	uint32_t n_tag_contexts;	/* numbers on NBLs at most; 0 = none */
	struct nbl_pool *pool;	/* borrows: headers and copies for injections, may be NULL */
	/* frames below this can be sent by the adapter's ports; 0 = any (IN-14) */
	uint32_t n_frames;
	bool strict;			/* refuses what cannot be sent instead of copying it */
};

/*
 * Makes an engine (borrows 'params'; fills ret: owned,
 * nbl_wfp_free()). 0; -EINVAL; -ENOMEM. Control thread.
 */
NBL_MUST_CHECK int nbl_wfp_new(const struct nbl_wfp_params *params, struct nbl_wfp **ret);

/*
 * Frees 'wfp' (takes on success; NULL is fine). -EBUSY while
 * callouts, handles or tags exist. Lanes at rest.
 */
int nbl_wfp_free(struct nbl_wfp *wfp);

/* ---- filters: control thread; in force from the next nbl_wfp_commit() ---- */

/* Adds sub-layer 'id' (0 exists, with weight 0). -EEXIST; -ENOMEM. */
NBL_MUST_CHECK int nbl_wfp_sublayer_add(struct nbl_wfp *wfp, uint16_t id, uint16_t weight);
/* Deletes it. -ENOENT; -EBUSY while filters are in it. */
NBL_MUST_CHECK int nbl_wfp_sublayer_delete(struct nbl_wfp *wfp, uint16_t id);

enum nbl_wfp_match {
	WFP_MATCH_EQUAL,		/* number or address */
	WFP_MATCH_RANGE,		/* number: low .. high */
	WFP_MATCH_PREFIX,		/* IP address: its first prefix_size bits */
	WFP_MATCH_FLAGS_ALL_SET,	/* number: all bits of low */
	WFP_MATCH_FLAGS_ANY_SET,
	WFP_MATCH_FLAGS_NONE_SET,
};

/*
 * Conditions on one field are alternatives; those on different fields must all
 * hold. A packet that does not have the field does not match. MAC addresses are
 * numbers of 48 bits, the first byte highest.
 */
struct nbl_wfp_condition {
	uint8_t field;			/* enum nbl_field */
	uint8_t match;			/* enum nbl_wfp_match */
	uint8_t ip_version;		/* of an IP address: 4 or 6 */
	uint8_t prefix_size;		/* bits */
	uint64_t low, high;
	uint8_t address[16];		/* as on the wire; IPv4: the first 4 bytes */
};

enum nbl_wfp_action {
	WFP_ACTION_PERMIT,		/* soft, or hard with NBL_WFP_CLEAR_ACTION_RIGHT */
	WFP_ACTION_BLOCK,		/* hard */
	WFP_ACTION_CALLOUT_TERMINATING,	/* its callout must decide */
	WFP_ACTION_CALLOUT_INSPECTION,	/* its callout may not decide */
	WFP_ACTION_CALLOUT_UNKNOWN,	/* it may or may not */
};

struct nbl_wfp_filter_spec {
	enum nbl_layer layer;
	uint16_t sublayer;
	uint16_t flags;			/* enum nbl_wfp_filter_flags */
	uint64_t weight;
	enum nbl_wfp_action action;
	uint32_t callout;		/* for the callout actions; need not be registered yet */
	uint64_t context;		/* handed to it */
	const struct nbl_wfp_condition *conditions;	/* borrows */
	uint32_t n_conditions;
};

/*
 * Adds a filter (borrows 'spec'; fills ret_id). 0; -EINVAL for a condition, flag or
 * action that makes no sense; -EOPNOTSUPP for a layer that is not offered, or that
 * the callout does not support; -ENOENT without the sub-layer; -ENOMEM.
 */
NBL_MUST_CHECK int nbl_wfp_filter_add(struct nbl_wfp *wfp, const struct nbl_wfp_filter_spec *spec,
				      uint64_t *ret_id);
/* Deletes filter 'id'. -ENOENT. */
NBL_MUST_CHECK int nbl_wfp_filter_delete(struct nbl_wfp *wfp, uint64_t id);

struct wfp_snapshot;

/*
 * Puts what was added and deleted in force, all at once, and tells the callouts
 * concerned. Fills ret_old: owned, nbl_wfp_snapshot_free() once
 * nbl_wfp_is_quiet(). 0; -ENOMEM, nothing changed.
 */
NBL_MUST_CHECK int nbl_wfp_commit(struct nbl_wfp *wfp, struct wfp_snapshot **ret_old);

/* True if no slot can still be classifying by 'old' (borrows): at once when lanes are parked. */
bool nbl_wfp_is_quiet(struct nbl_wfp *wfp, const struct wfp_snapshot *old);

/* Frees 'old' and the filters that went with it (takes; NULL is fine). */
void nbl_wfp_snapshot_free(struct wfp_snapshot *old);

/* ---- packets: the thread of env->slot ---- */

/* What is common to the packets of a chain. */
struct nbl_wfp_env {
	uint32_t slot;			/* of the calling thread, below n_slots */
	uint16_t holder;		/* written to dropped packets as the place */
	uint8_t direction;	/* enum nbl_direction: for the datagram layers, which have both */
	uint32_t interface;		/* ifindex they came by or leave by; 0 = not known */
	uint32_t queue;
	uint32_t port;			/* port number */
	/* NBL_RECEIVE_RESOURCES: clones are made copies, references are refused (RX-04) */
	bool borrowed;
	uint64_t now_ns;
};

/* Every packet is in one of the three, in the order it had. */
struct nbl_wfp_result {
	struct nbl_chain passed;	/* goes on */
	struct nbl_chain dropped;	/* blocked: outcome and holder are written */
	/* a callout has it: end the owner's claim, silently; outcome is consumed */
	struct nbl_chain absorbed;
};

/*
 * Runs 'chain' (takes) of frames that begin at the MAC header through one layer, or
 * through all layers of a way, or those an injected packet meets. Returns owned
 * what it is made of. Windows are as they were. Allocates nothing, locks nothing.
 * Rules: CL-06, CL-11, CL-15, IN-08.
 */
struct nbl_wfp_result nbl_wfp_classify_chain(struct nbl_wfp *wfp, enum nbl_layer layer,
					     struct nbl_chain chain, const struct nbl_wfp_env *env);
struct nbl_wfp_result nbl_wfp_classify_way(struct nbl_wfp *wfp, enum wfp_way way,
					   struct nbl_chain chain, const struct nbl_wfp_env *env);
struct nbl_wfp_result nbl_wfp_classify_injected(struct nbl_wfp *wfp, enum nbl_inject_path path,
						struct nbl_chain chain,
						const struct nbl_wfp_env *env);

/* True if any layer of 'way' has filters: else the chain need not be shown. Any thread. */
bool nbl_wfp_wants(const struct nbl_wfp *wfp, enum wfp_way way);

/* True if any flow has contexts: nbl_wfp_age() is wanted. Any thread. */
bool nbl_wfp_has_flows(const struct nbl_wfp *wfp);

/* ---- the end of injections: any thread ---- */

/* True if injections are out: chains may have NBLs that are being injected. */
bool nbl_wfp_is_injecting(const struct nbl_wfp *wfp);

/* True if 'n' is being injected: it ends by nbl_inject_complete(), not by a return or a release. */
bool nbl_inject_is_pending(const struct nbl *n);

/*
 * Ends the injection of 'n' (takes): sent, delivered, dropped or absorbed. 'status'
 * is 0 or negative errno; for n->status there is nbl_inject_status(). Calls the
 * completion function once. 0; -EINVAL, counted, if 'n' is not being injected.
 * Rule: IN-05.
 */
int nbl_inject_complete(struct nbl_wfp *wfp, struct nbl *n, int status);

/*
 * The same for those of 'chain' (takes) that are injected, those with one
 * completion function together. Returns owned the others, in order. Rule: IN-06.
 */
struct nbl_chain nbl_inject_complete_chain(struct nbl_wfp *wfp, struct nbl_chain chain, int status);

/* enum nbl_status as a completion function is told it: 0 or negative errno. */
int nbl_inject_status(int32_t status);

/* ---- leaving the stack ---- */

/* True if 'n' has numbers of tags on it: then nbl_wfp_leave() is due when it leaves the stack. */
bool nbl_wfp_is_tagged(const struct nbl *n);

/*
 * Tells the tags of 'n' (borrows) that it leaves, by SEND_COMPLETE,
 * RECEIVE_COMPLETE or REMOVED, and takes them off.
 */
void nbl_wfp_leave(struct nbl_wfp *wfp, struct nbl *n, uint8_t event);

/* ---- upkeep and figures: control thread ---- */

/*
 * Ends contexts of flows that are idle at 'now_ns' and tells of contexts that ended, of
 * some flows, so that it takes no long time. True when it has been through all: then call it
 * again in about a second, else soon. One thread at a time.
 */
bool nbl_wfp_age(struct nbl_wfp *wfp, uint64_t now_ns);

struct nbl_wfp_counts {
	uint64_t classified;		/* packets times layers with filters */
	uint64_t blocked;		/* policy drops: each is worth a line */
	uint64_t absorbed;		/* silently; not in blocked */
	uint64_t vetoes;		/* events (CL-06) */
	/* deviations (CL-03, CL-04, CL-07) */
	uint64_t rights_kept, no_right, pends_refused, wrong_actions;
	uint64_t windows_left;		/* callouts that left the used data elsewhere: put back */
	uint64_t batch_held;	/* batch callouts that held behind the engine's back (CL-10) */
	uint64_t injected, completed, loops, copied, completions_refused;
	uint64_t flows, flow_contexts, flows_refused;
	uint64_t tag_contexts;
};

struct nbl_wfp_callout_counts {
	char name[NBL_CALLOUT_NAME_MAX];
	uint64_t calls, over_budget, deviations;
	uint64_t times[WFP_N_TIMES];	/* calls by time */
	uint64_t p50_ns, p99_ns;	/* upper ends of the buckets they are in */
	uint32_t holds;			/* references, clones and copies out */
	uint32_t flow_contexts;
};

struct nbl_wfp_filter_counts {
	uint64_t matched, permitted, blocked, absorbed;
};

/* Each fills what it is asked for; a snapshot only at rest. -ENOENT for an unknown id. */
void nbl_wfp_get_counts(const struct nbl_wfp *wfp, struct nbl_wfp_counts *ret);
int nbl_wfp_get_callout_counts(const struct nbl_wfp *wfp, uint32_t id,
			       struct nbl_wfp_callout_counts *ret);
int nbl_wfp_get_filter_counts(const struct nbl_wfp *wfp, uint64_t id,
			      struct nbl_wfp_filter_counts *ret);

#endif
