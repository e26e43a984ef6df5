/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state.c - what is changed on interfaces and outlives the keeper, in a file for its successor.
 *
 * Programs, sockets and promiscuous mode go with the processes that hold them.
 * What stays is the host leg and the wire with their tc filters, and a driver's
 * tag offload: written down before it is made, so it may not be there.
 */
#include "keeper/adapter_internal.h"

#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "edge/log.h"

#define SCHEMA 2		/* of the file: another with each change of it */
#define WORKER_ENDS_MS 300	/* one that is about to, by itself; then once more when killed */

static json_t *tc_to_json(const struct tc_note *n)
{
	return json_pack("{s:i s:i s:i}", "ifindex", (int)n->ifindex,
			 "clsact_made", (int)n->clsact_made, "prog_id", (int)n->prog_id);
}

static bool tc_from_json(json_t *o, struct tc_note *ret)
{
	int v[3];

	if (json_unpack(o, "{s:i s:i s:i}", "ifindex", &v[0], "clsact_made", &v[1],
			"prog_id", &v[2]))
		return false;
	*ret = (struct tc_note){ (uint32_t)v[0], (uint32_t)v[1], (uint32_t)v[2] };
	return true;
}

static json_t *wire_to_json(const struct wire *w)
{
	json_t *ends = json_array();

	for (int side = 0; side < NBL_N_SIDES; side++)
		json_array_append_new(ends, tc_to_json(&w->ends[side]));
	return ends;
}

static bool wire_from_json(json_t *ends, struct wire *ret)
{
	for (size_t side = 0; side < NBL_N_SIDES; side++)
		if (!tc_from_json(json_array_get(ends, side), &ret->ends[side]))
			return false;
	return true;
}

static json_t *leg_to_json(const struct leg *l)
{
	return json_pack("{s:s s:i s:s s:i s:s s:i s:o}",
			 "nic", l->nic, "nic_ifindex", (int)l->nic_ifindex,
			 "kernel_end", l->kernel_end, "kernel_ifindex", (int)l->kernel_ifindex,
			 "daemon_end", l->daemon_end, "daemon_ifindex", (int)l->daemon_ifindex,
			 "egress", tc_to_json(&l->egress));
}

static void copy_name(char dst[IFNAMSIZ], const char *src)
{
	snprintf(dst, IFNAMSIZ, "%s", src);
}

static bool leg_from_json(json_t *o, struct leg *ret)
{
	const char *nic, *kernel_end, *daemon_end;
	int v[3];

	*ret = (struct leg){ 0 };
	if (json_unpack(o, "{s:s s:i s:s s:i s:s s:i}", "nic", &nic, "nic_ifindex", &v[0],
			"kernel_end", &kernel_end, "kernel_ifindex", &v[1],
			"daemon_end", &daemon_end, "daemon_ifindex", &v[2]) ||
	    !tc_from_json(json_object_get(o, "egress"), &ret->egress))
		return false;
	ret->nic_ifindex = (uint32_t)v[0];
	ret->kernel_ifindex = (uint32_t)v[1];
	ret->daemon_ifindex = (uint32_t)v[2];
	copy_name(ret->nic, nic);
	copy_name(ret->kernel_end, kernel_end);
	copy_name(ret->daemon_end, daemon_end);
	return true;
}

static bool vlan_from_json(json_t *o, struct vlan_undo *ret)
{
	const char *ifname;
	int ifindex, ctag, stag;

	if (json_unpack(o, "{s:s s:i s:b s:b}", "ifname", &ifname, "ifindex", &ifindex,
			"ctag", &ctag, "stag", &stag))
		return false;
	*ret = (struct vlan_undo){ .ifindex = (uint32_t)ifindex, .ctag_was_on = ctag,
				   .stag_was_on = stag };
	copy_name(ret->ifname, ifname);
	return true;
}

static json_t *to_json(const struct keeper *k)
{
	json_t *legs = json_array(), *wires = json_array(), *vlans = json_array();
	json_t *workers = json_array();

	for (const struct adapter *a = k->adapters; a; a = a->next) {
		if (a->worker.pid)
			json_array_append_new(workers, json_integer(a->worker.pid));
		if (a->leg.nic_ifindex)
			json_array_append_new(legs, leg_to_json(&a->leg));
		if (a->wire.ends[NBL_LOWER].ifindex || a->wire.ends[NBL_UPPER].ifindex)
			json_array_append_new(wires, wire_to_json(&a->wire));
		for (int side = 0; side < NBL_N_SIDES; side++) {
			const struct vlan_undo *u = &a->ports[side].vlan;

			if (u->ifindex)
				json_array_append_new(vlans, json_pack("{s:s s:i s:b s:b}",
					"ifname", u->ifname, "ifindex", (int)u->ifindex,
					"ctag", u->ctag_was_on, "stag", u->stag_was_on));
		}
	}
	return json_pack("{s:i s:o s:o s:o s:o}", "schema", SCHEMA, "workers", workers,
			 "legs", legs, "wires", wires, "vlans", vlans);
}

void state_save(const struct keeper *k)
{
	char temporary[4096];
	json_t *o = to_json(k);
	bool nothing = !json_array_size(json_object_get(o, "workers")) &&
		       !json_array_size(json_object_get(o, "legs")) &&
		       !json_array_size(json_object_get(o, "wires")) &&
		       !json_array_size(json_object_get(o, "vlans"));

	if (nothing) {
		unlink(k->state_path);
	} else {
		/* Renamed whole into place: a torn file would undo nothing. */
		snprintf(temporary, sizeof(temporary), "%s.new", k->state_path);
		if (json_dump_file(o, temporary, JSON_INDENT(1)) < 0 ||
		    rename(temporary, k->state_path) < 0)
			log_error("%s: not written (%m): if nbld is killed now, its leg stays "
				  "behind", k->state_path);
	}
	json_decref(o);
}

/*
 * A worker that lost its keeper ends by itself, unless nothing may pass unfiltered:
 * then it waits for this. Its queues are free when it is gone.
 */
static void end_worker(pid_t pid)
{
	char path[64], name[32] = "";
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	FILE *f;

	if (pidfd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (f && fgets(name, sizeof(name), f) && !strcmp(name, "nbld-worker\n") &&
	    !poll(&ended, 1, WORKER_ENDS_MS)) {
		log_notice("nbld: ending worker %d of an nbld that died", pid);
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
		poll(&ended, 1, WORKER_ENDS_MS);
	}
	if (f)
		fclose(f);
	close(pidfd);
}

void keeper_restore_leftovers(struct keeper *k)
{
	json_t *o, *entry;
	size_t i;

	if (access(k->state_path, F_OK) < 0)
		return;
	o = json_load_file(k->state_path, 0, NULL);
	if (!o)
		log_error("%s: not readable: what an nbld before left on interfaces stays there",
			  k->state_path);
	else if (json_integer_value(json_object_get(o, "schema")) != SCHEMA)
		log_error("%s: written by another version of nbld: what that one left on "
			  "interfaces may stay there. Try: tc filter show dev IF, ingress and "
			  "egress, and ip link", k->state_path);
	json_array_foreach(json_object_get(o, "workers"), i, entry)
		end_worker((pid_t)json_integer_value(entry));
	json_array_foreach(json_object_get(o, "legs"), i, entry) {
		struct leg leg;

		if (!leg_from_json(entry, &leg))
			continue;
		log_notice("%s: removing what an nbld that died left here", leg.nic);
		leg_remove(&leg);
	}
	json_array_foreach(json_object_get(o, "wires"), i, entry) {
		struct wire wire;

		if (wire_from_json(entry, &wire))
			wire_remove(&wire);
	}
	json_array_foreach(json_object_get(o, "vlans"), i, entry) {
		struct vlan_undo undo;

		if (vlan_from_json(entry, &undo))
			vlan_restore(&undo);
	}
	json_decref(o);
	unlink(k->state_path);
}
