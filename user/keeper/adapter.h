/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * adapter.h - an adapter as the keeper knows it: attach, detach, its worker, its figures.
 *
 * adapter.c runs everything privileged: programs, sockets, memory, host leg,
 * worker. Commands (commands.c) call it and print what it says; report.c turns
 * snapshots into JSON. All on the keeper's one thread.
 */
#ifndef KEEPER_ADAPTER_H
#define KEEPER_ADAPTER_H

#include <sys/types.h>

#include "edge/adapter_conf.h"
#include "nbl_shared.h"
#include "stack/figures.h"

struct sd_event;
struct adapter;
struct keeper;

#define REASON_SIZE		512

/*
 * Why a command failed: an exit status of cli.md's list (1 refused, 4 permission, 5
 * unsupported, 8 timed out) and a sentence.
 */
struct refusal {
	int exit_status;
	char reason[REASON_SIZE];
};

/*
 * Makes an adapter run (borrows 'conf'; fills ret_adapter: owned by 'keeper' until
 * adapter_detach()). On any failure everything is as it was before. False with 'refusal' filled.
 */
bool adapter_attach(struct keeper *keeper, const struct adapter_conf *conf,
		    struct adapter **ret_adapter, struct refusal *refusal);

/*
 * Bypass, drain, take everything off the interfaces, restore what
 * was changed, free (takes). Cannot fail.
 */
void adapter_detach(struct adapter *a);

/*
 * Puts a module into the stack: last (nearest the upper port),
 * or before/after the module named 'other'.
 */
bool adapter_module_add(struct adapter *a, const struct module_conf *conf, const char *before,
			const char *after, struct refusal *refusal);
/* force: also if it does not let go of its packets, which are then dropped. */
bool adapter_module_remove(struct adapter *a, const char *module, bool force,
			   struct refusal *refusal);

/*
 * Gives the module named 'options' (borrows) those options; others it has stay. It keeps its place.
 */
bool adapter_module_set(struct adapter *a, const struct module_conf *options,
			struct refusal *refusal);

/* What it was asked to be, its modules as they are now. Returns borrowed, until the next change. */
const struct adapter_conf *adapter_get_conf(const struct adapter *a);

/* ---- figures ---- */

enum adapter_state { ADAPTER_RUNNING, ADAPTER_PAUSED, ADAPTER_BYPASS, ADAPTER_DOWN,
		     ADAPTER_DETACHED };

struct port_snapshot {
	char ifname[IFNAMSIZ];
	uint32_t ifindex;
	bool is_leg;
	uint32_t n_queues;
	bool native;
	bool zerocopy;
	bool up;
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	uint64_t overloads;		/* times that too much came, for long, for its workers */
	/* the kernel's own losses at this port's sockets; part of received and dropped */
	uint64_t kernel_rx_ring_full, kernel_fill_empty, kernel_rx_dropped;
	/* outside received: what the programs sent past the worker */
	uint64_t bypassed, hung;
};

struct module_snapshot {
	char name[NBL_MODULE_NAME_MAX];
	uint16_t id;
	const char *state;		/* "running", "paused", "removed" */
	uint64_t packets;
	uint64_t held, held_reference, held_clone, held_pending;	/* receive frames */
	uint64_t held_pool;		/* the pool's frames */
	uint32_t oldest_ms;		/* of all these */
	uint64_t faults;
	bool is_tap;
	uint64_t missed;		/* of a tap: packets its device did not take */
};

/* One row of `drops`: packets dropped for a reason at a place. */
struct drop_snapshot {
	char place[NBL_MODULE_NAME_MAX];	/* a port's interface, a module, "worker" */
	const char *reason; /* nbl_outcome_name(), or "rx-ring-full", "fill-empty", "too-long" */
	uint64_t packets;
};

#define ADAPTER_MAX_DROPS 64

/* All figures of one reading: received equals the outcomes plus in_flight, frames sum to total. */
struct adapter_snapshot {
	char name[ADAPTER_NAME_MAX];
	enum adapter_layout layout;
	enum adapter_state state;
	const char *bypass;		/* NULL, "command", "hang", "dead", "start" */
	bool fail_closed;
	pid_t worker_pid;		/* 0 = none */
	uint32_t generation, restarts;
	struct port_snapshot ports[NBL_N_SIDES];
	uint64_t received, in_flight;
	uint64_t to_wire, to_host, consumed, dropped, offloaded;
	struct {
		uint64_t total, free, fill, rx, held, tx, completion, kernel, quarantine;
		int64_t imbalance;
	} frames;
	struct {
		uint64_t frames, free, held, tx;	/* part of the frames above */
	} pool;
	struct nbl_originated_figures originated;
	uint32_t n_modules;
	struct module_snapshot modules[ADAPTER_MAX_MODULES];
	uint32_t n_drops;
	struct drop_snapshot drops[ADAPTER_MAX_DROPS];
};

/* Reads all figures of 'a' at once (fills). Cannot fail. */
void adapter_snapshot(struct adapter *a, struct adapter_snapshot *ret);

/* What the worker's audit of ledger against rings found. */
struct audit_result {
	uint64_t frames;		/* looked at */
	uint64_t mismatches;		/* frames whose ring and ledger disagree */
	uint64_t violations;		/* impossible moves since attach */
	uint64_t quarantined;
	char first[128];		/* the first mismatch in words, or "" */
};
bool adapter_audit(struct adapter *a, struct audit_result *ret, struct refusal *refusal);

/* ---- the keeper's list ---- */

struct keeper {
	struct sd_event *event;
	const char *state_path;	/* file in which changes to interfaces are kept for a successor */
	struct adapter *adapters;	/* in order of attaching */
	bool stopping;
};

struct adapter *keeper_find(struct keeper *k, const char *name); /* returns borrowed, or NULL */
struct adapter *adapter_next(struct adapter *a);	/* the one after it, or NULL */

/*
 * Puts back what a keeper that died left on interfaces, as its state file says; removes the file.
 */
void keeper_restore_leftovers(struct keeper *k);

#endif
