/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * adapter.c - attach in order, detach in the reverse order.
 *
 * What outlives the keeper is planned, saved and then done: a keeper killed at any point leaves
 * nothing of which its successor does not know. It is saved once more when it is done, as it
 * may have become another than planned.
 */
#include "keeper/adapter_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "edge/log.h"
#include "keeper/links.h"
#include "keeper/tap.h"
#include "port/why.h"

#define FRAME_SIZE	4096u
#define SMALL_FRAME	2048u
#define HEADROOM	256u	/* the kernel leaves in front of each packet */

uint64_t monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- the list ---- */

struct adapter *keeper_find(struct keeper *k, const char *name)
{
	for (struct adapter *a = k->adapters; a; a = a->next)
		if (!strcmp(a->conf.name, name))
			return a;
	return NULL;
}

struct adapter *adapter_next(struct adapter *a)
{
	return a->next;
}

const struct adapter_conf *adapter_get_conf(const struct adapter *a)
{
	return &a->conf;
}

static void list_append(struct keeper *k, struct adapter *a)
{
	struct adapter **end = &k->adapters;

	while (*end)
		end = &(*end)->next;
	*end = a;
}

static void list_remove(struct keeper *k, struct adapter *a)
{
	struct adapter **at = &k->adapters;

	while (*at && *at != a)
		at = &(*at)->next;
	if (*at)
		*at = a->next;
}

/* ---- attach ---- */

/*
 * True if no port of any adapter, 'p' aside, is that
 * interface: by its index, as it has several names.
 */
static bool interface_is_free(const struct adapter *self, const struct port *p,
			      struct refusal *refusal)
{
	char why[REASON_SIZE];

	for (const struct adapter *a = self->keeper->adapters; a; a = a->next)
		for (int side = 0; side < NBL_N_SIDES; side++) {
			const struct port *other = &a->ports[side];

			if (other == p || other->dev.ifindex != p->dev.ifindex)
				continue;
			snprintf(why, sizeof(why), "%s: not attached (EBUSY): it belongs to "
				 "adapter %s. Try: nblctl detach %s", p->dev.name, a->conf.name,
				 a->conf.name);
			refuse(refusal, -EBUSY, why);
			return false;
		}
	return true;
}

/*
 * Finds a port that no adapter has; on failure 'p' names no
 * interface, so that nothing is undone there.
 */
static bool find_free_port(struct adapter *a, enum nbl_side side, const char *ifname,
			   uint64_t queues, struct refusal *refusal)
{
	struct port *p = &a->ports[side];

	if (port_find(p, side, ifname, queues, refusal) && interface_is_free(a, p, refusal))
		return true;
	*p = (struct port){ .side = side, .promiscuous = -1 };
	return false;
}

static bool name_is_free(struct keeper *k, const char *name, struct refusal *refusal)
{
	char why[REASON_SIZE];

	if (!keeper_find(k, name))
		return true;
	snprintf(why, sizeof(why), "%s: not attached (EEXIST): an adapter has that name. "
		 "Try: nblctl detach %s, or 'name NAME'", name, name);
	refuse(refusal, -EEXIST, why);
	return false;
}

static bool create_leg(struct adapter *a, struct refusal *refusal)
{
	char why[REASON_SIZE] = "";
	int r = leg_plan(a->conf.lower, &a->leg, why, sizeof(why));

	if (!r) {
		state_save(a->keeper);
		r = leg_create(&a->leg, a->ports[NBL_LOWER].n_queues, why, sizeof(why));
		state_save(a->keeper);
	}
	if (r < 0)
		refuse(refusal, r, why);
	return !r;
}

static bool find_ports(struct adapter *a, struct refusal *refusal)
{
	const struct adapter_conf *c = &a->conf;

	if (!find_free_port(a, NBL_LOWER, c->lower, c->queues, refusal))
		return false;
	if (c->layout == LAYOUT_PAIR)
		return find_free_port(a, NBL_UPPER, c->upper, 0, refusal);
	if (!create_leg(a, refusal) ||
	    !find_free_port(a, NBL_UPPER, a->leg.daemon_end, 0, refusal))
		return false;
	a->ports[NBL_UPPER].is_leg = true;
	return true;
}

static bool load_programs(struct adapter *a, struct refusal *refusal)
{
	const struct programs_conf conf = {
		.ifindex = { a->ports[NBL_LOWER].dev.ifindex, a->ports[NBL_UPPER].dev.ifindex },
		.leg_kernel_ifindex = a->leg.kernel_ifindex,
		.wire = a->conf.layout == LAYOUT_PAIR && !a->conf.fail_closed,
	};
	char why[REASON_SIZE] = "";
	int r = programs_load(&conf, &a->programs, why, sizeof(why));

	if (r < 0) {
		refuse(refusal, r, why);
		return false;
	}
	adapter_set_bypass(a, "start");
	for (int side = 0; side < NBL_N_SIDES; side++)
		for (uint32_t i = 0; i < a->ports[side].n_queues && !r; i++)
			r = programs_set_lane(a->programs, (enum nbl_side)side,
					      a->ports[side].queues[i], i % a->n_lanes);
	if (r < 0)
		refuse(refusal, r, "programs not set up");
	return !r;
}

/*
 * Small frames where the longest packet fits: frames a page apart fall into few
 * sets of the cache, and each needs an entry of the TLB. Drivers that fill frames
 * themselves may want whole pages.
 */
static uint32_t frame_size(const struct adapter *a)
{
	for (int side = 0; side < NBL_N_SIDES; side++) {
		const struct port *p = &a->ports[side];
		struct netdev_xdp can = { .zerocopy = true };

		if (port_max_length(p) > SMALL_FRAME - HEADROOM)
			return FRAME_SIZE;
		if (p->is_leg || a->conf.zerocopy == ZEROCOPY_OFF)
			continue;
		if (netdev_get_xdp(p->dev.ifindex, &can) < 0 || can.zerocopy)
			return FRAME_SIZE;
	}
	return SMALL_FRAME;
}

/* Half of a queue's frames can be posted for receive; the rest is being sent, or held. */
static bool make_memory(struct adapter *a, struct refusal *refusal)
{
	const struct port *lower = &a->ports[NBL_LOWER], *upper = &a->ports[NBL_UPPER];
	uint32_t ring = a->conf.ring_size;
	const struct nbl_memory_shape shape = {
		.frame_size = frame_size(a),
		.n_queues = lower->n_queues + upper->n_queues,
		.frames_per_queue = a->conf.n_frames ? a->conf.n_frames : 2 * ring,
		.n_pool_frames = a->conf.n_pool_frames,
		.n_lanes = a->n_lanes,
		.lane_block_size = NBL_LANE_BLOCK_SIZE,
	};
	char why[REASON_SIZE];
	int r = nbl_memory_create(&shape, &a->memory);

	for (int side = 0; side < NBL_N_SIDES; side++)
		a->ports[side].sizes = (struct nbl_ring_sizes){ ring, ring, ring, ring };
	if (!r)
		return true;
	snprintf(why, sizeof(why), "%s: no memory for %u frames (%s). Try: fewer 'frames', or a "
		 "smaller 'pool'", a->conf.name, nbl_memory_n_frames(&shape), why_errno(-r));
	refuse(refusal, r, why);
	return false;
}

static bool open_ports(struct adapter *a, struct refusal *refusal)
{
	for (int side = 0; side < NBL_N_SIDES; side++) {
		struct port *p = &a->ports[side];

		if (!port_attach_program(p, a->programs, a->conf.xdp, refusal))
			return false;
		port_plan_tags(p, a->programs);
		state_save(a->keeper);
		port_keep_tags(p);
		if (!port_open_sockets(p, a->programs, &a->memory, a->conf.zerocopy, refusal))
			return false;
		if (a->conf.layout == LAYOUT_PAIR) {
			p->promiscuous = netdev_open_promiscuous(p->dev.ifindex);
			if (p->promiscuous < 0)
				log_warning("%s: not promiscuous (%s): it passes only frames for "
					    "its own address", p->dev.name,
					    why_errno(-p->promiscuous));
		}
	}
	return true;
}

static bool connect_leg(struct adapter *a, struct refusal *refusal)
{
	char why[REASON_SIZE] = "";
	int r;

	if (a->conf.layout != LAYOUT_HOST)
		return true;
	r = leg_plan_connection(&a->leg, a->programs, why, sizeof(why));
	if (!r) {
		state_save(a->keeper);
		r = leg_connect(&a->leg, a->programs, why, sizeof(why));
		state_save(a->keeper);
	}
	if (r < 0)
		refuse(refusal, r, why);
	return !r;
}

static void follow_links(struct adapter *a)
{
	int r = links_start(a->keeper, adapter_detach);

	if (!r)
		r = links_follow(a);
	if (r < 0)
		log_warning("%s: its interfaces are not followed (%s): that one goes down or away "
			    "will not be noticed", a->conf.name, why_errno(-r));
}

/* The way of packets past the worker; in a pair it must be there before the first one is passed. */
static bool connect_wire(struct adapter *a, struct refusal *refusal)
{
	const uint32_t ifindex[NBL_N_SIDES] = {
		a->ports[NBL_LOWER].dev.ifindex, a->ports[NBL_UPPER].dev.ifindex };
	char why[REASON_SIZE] = "";
	int r;

	if (a->conf.layout != LAYOUT_PAIR || a->conf.fail_closed)
		return true;
	r = wire_plan(a->programs, ifindex, &a->wire, why, sizeof(why));
	if (!r) {
		state_save(a->keeper);
		r = wire_connect(a->programs, &a->wire, why, sizeof(why));
		state_save(a->keeper);
	}
	if (r < 0)
		refuse(refusal, r, why);
	return !r;
}

static bool set_up(struct adapter *a, struct refusal *refusal)
{
	uint32_t n_lower, n_upper;

	if (!name_is_free(a->keeper, a->conf.name, refusal))
		return false;
	list_append(a->keeper, a);
	if (!find_ports(a, refusal))
		return false;
	n_lower = a->ports[NBL_LOWER].n_queues;
	n_upper = a->ports[NBL_UPPER].n_queues;
	a->n_lanes = n_lower < n_upper ? n_lower : n_upper;
	return load_programs(a, refusal) && make_memory(a, refusal) && connect_wire(a, refusal) &&
	       open_ports(a, refusal) && tap_open_configured(a, refusal) &&
	       worker_begin(a, NBL_TAKEOVER_FRESH, refusal) && connect_leg(a, refusal);
}

bool adapter_attach(struct keeper *keeper, const struct adapter_conf *conf,
		    struct adapter **ret_adapter, struct refusal *refusal)
{
	struct adapter *a = calloc(1, sizeof(*a));

	if (!a) {
		refuse(refusal, -ENOMEM, "out of memory (ENOMEM)");
		return false;
	}
	a->keeper = keeper;
	a->conf = *conf;
	a->ports[NBL_LOWER].promiscuous = -1;
	a->ports[NBL_UPPER].promiscuous = -1;
	if (!set_up(a, refusal)) {
		adapter_detach(a);
		return false;
	}
	adapter_set_bypass(a, NULL);
	follow_links(a);
	bypass_watch(keeper);
	log_info("%s: attached, %s and %s, %u lane%s, %zu MiB, worker %d", a->conf.name,
		 a->ports[NBL_LOWER].dev.name, a->ports[NBL_UPPER].dev.name, a->n_lanes,
		 a->n_lanes == 1 ? "" : "s", a->memory.size >> 20, a->worker.pid);
	*ret_adapter = a;
	return true;
}

/*
 * Packets first take the kernel's path, then the worker finishes those it has,
 * then sockets close: no program steers to a socket that is being closed (C17).
 */
void adapter_detach(struct adapter *a)
{
	if (a->programs)
		adapter_set_bypass(a, "start");
	worker_end(a);
	if (a->leg.nic_ifindex)
		leg_remove(&a->leg);
	a->leg.nic_ifindex = 0;
	wire_remove(&a->wire);
	a->wire = (struct wire){ 0 };
	links_forget(a);
	for (int side = NBL_N_SIDES - 1; side >= 0; side--)
		port_close(&a->ports[side], a->programs);
	tap_close(a);
	programs_free(a->programs);
	nbl_memory_close(&a->memory);
	list_remove(a->keeper, a);
	state_save(a->keeper);
	free(a);
}

bool adapter_audit(struct adapter *a, struct audit_result *ret, struct refusal *refusal)
{
	const struct worker_request request = { .op = WORKER_AUDIT };
	struct worker_reply reply;

	if (!worker_ask(a, &request, &reply, refusal))
		return false;
	*ret = (struct audit_result){
		.frames = reply.audit.frames, .mismatches = reply.audit.mismatches,
		.violations = reply.audit.violations, .quarantined = reply.audit.quarantined,
	};
	/* what it is, a worker wrote */
	snprintf(ret->first, sizeof(ret->first), "%.*s", (int)sizeof(reply.audit.first) - 1,
		 reply.audit.first);
	return true;
}
