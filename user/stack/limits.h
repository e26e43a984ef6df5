/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limits.h - what modules hold, how much and how long they may, and what happens then.
 *
 *   ok         within all limits
 *   warned     something is held longer than the soft age, or half the hard one
 *   limited    it holds as much as it may: it is lent what is received, and does not
 *              see what is sent; its clones are copies
 *   unhealthy  something is held longer than the hard age, or it goes on taking references to
 *              what it is only lent: it gets nothing more, until it is put in anew
 *
 * What it holds stays its own: only nbl_stack_evict() ends that. Rules: HP-01, HP-04, RF-16.
 */
#ifndef STACK_LIMITS_H
#define STACK_LIMITS_H

#include "stack/lane.h"
#include "stack/module_options.h"

struct nbl_stack;
struct nbl_stack_module;

enum nbl_module_health {
	NBL_HEALTH_OK,
	NBL_HEALTH_WARNED,
	NBL_HEALTH_LIMITED,
	NBL_HEALTH_UNHEALTHY,
	NBL_N_HEALTHS
};

/* Ways in which packets are in a module's hands; each must be 0 when it has paused (FS-05). */
enum nbl_outstanding {
	NBL_QUEUED_RECEIVE,
	NBL_QUEUED_SEND,
	NBL_ORIGINATED_SEND,
	NBL_ORIGINATED_RECEIVE,
	NBL_REFERENCES,
	NBL_CLONES,			/* shallow and deep */
	NBL_N_OUTSTANDING
};

/*
 * Warnings of packets held too long: how many there were, and
 * the last. At most one in 10 s a module.
 */
struct nbl_module_warning {
	uint32_t number;		/* 0 = none yet */
	uint32_t at_ms;			/* of the clock of nbl_stack_check_limits() */
	uint32_t age_ms, n_frames;
};

/* All that can be asked about one module. */
struct nbl_module_report {
	char name[NBL_MODULE_NAME_MAX];
	uint16_t id;
	enum nbl_module_state state;
	enum nbl_module_health health;
	struct nbl_module_settings settings;
	uint32_t bypass;		/* the paths that go past it now */
	uint64_t outstanding[NBL_N_OUTSTANDING];
	uint32_t deep_clones, fresh;	/* of the clones; of its pools' quota */
	uint64_t packets, faults;
	uint64_t lent, skipped;	/* packets only lent to it, and gone past it, at its limit */
	uint32_t n_frames, oldest_ms;	/* received frames it holds, as last checked */
	uint32_t n_rejected;		/* events that its state did not allow */
	struct nbl_module_warning warning;
};

/*
 * Looks how much each module holds and how long, judges its health and acts on it. About
 * every 100 ms. Control thread; lanes may run.
 */
void nbl_stack_check_limits(struct nbl_stack *s, uint32_t now_ms);

/*
 * Describes module number 'i' (fills ret). Control thread; exact when
 * lanes are at rest. -EINVAL if there is none.
 */
int nbl_stack_report(struct nbl_stack *s, uint32_t i, struct nbl_module_report *ret);

/* Names as commands print them: "ok", "queued receive". Return borrowed, for ever. */
const char *nbl_health_name(enum nbl_module_health health);
const char *nbl_outstanding_name(enum nbl_outstanding what);

/* ---- for the stack's own files ---- */

/* What comes to a module. */
enum nbl_gate {
	NBL_GATE_OPEN,
	NBL_GATE_LIMITED, /* what is received is lent to it, what is sent goes past it (HP-04) */
	NBL_GATE_PAST,		/* all goes past it: it is unhealthy */
	NBL_GATE_SHUT,		/* nothing may be on its way: its state (FS-03) */
};

/*
 * Settles the limits of 'sm', new on its lanes, from its settings; and takes them back from its id.
 */
void nbl_limits_begin(struct nbl_stack *s, struct nbl_stack_module *sm);
void nbl_limits_end(const struct nbl_stack_module *sm);

/* Adds up what 'sm' has in its hands on all lanes (fills). Lanes at rest, or a snapshot. */
void nbl_limits_get_outstanding(const struct nbl_stack *s, const struct nbl_stack_module *sm,
				uint64_t ret_counts[NBL_N_OUTSTANDING]);

/*
 * What the module of 'lf' is to be given by what it holds now: LIMITED if it must not hold more on
 * this lane, PAST if it keeps even what it is only lent. Lane thread. Rule: HP-04.
 */
enum nbl_gate nbl_limits_gate(const struct nbl_lane_filter *lf);

/* Settles from state and health which packets pass to the module: after either changed. */
void nbl_limits_set_gates(struct nbl_stack *s, struct nbl_stack_module *sm);

#endif
