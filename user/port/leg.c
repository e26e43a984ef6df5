// SPDX-License-Identifier: BSD-2-Clause
#include "port/leg.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "port/ethtool.h"
#include "port/netdev.h"
#include "port/programs.h"
#include "port/tc.h"
#include "port/why.h"

/* By this a leg is known as nbld's, also after its maker died. */
#define LEG_MARK "nbld host leg"

/* Frames may carry a second VLAN tag above what the NIC's MTU and veth allow for. */
#define LEG_MTU_ROOM 4

#define EGRESS_PROGRAM "nbl_tc_egress"

static bool is_ours(const struct netdev *n)
{
	return !strcmp(n->kind, "veth") && !strcmp(n->alias, LEG_MARK);
}

/* ---- create ---- */

/* Makes room for a name: nothing there, or a leg that nobody uses any more. */
static int claim_name(const char *nic, const char *name, char *why, size_t why_size)
{
	struct netdev n;
	int r = netdev_get(name, &n);

	if (r == -ENODEV)
		return 0;
	if (r < 0)
		return why_set(why, why_size, -r, "%s: cannot look for %s (%s)", nic, name,
			       why_errno(-r));
	if (!is_ours(&n))
		return why_set(why, why_size, EEXIST,
			       "%s: the host leg cannot be made (EEXIST): someone else has an "
			       "interface called %s. Try: ip link set dev %s name OTHER", nic, name,
			       name);
	/* A dead nbld's program is gone with its descriptor. */
	if (n.xdp_mode != NETDEV_XDP_NONE)
		return why_set(why, why_size, EBUSY,
			       "%s: the host leg cannot be made (EBUSY): an nbld that runs has it, "
			       "at %s. Try: nblctl detach %s", nic, name, nic);
	r = netdev_delete(n.ifindex);
	if (!r || r == -ENODEV)
		return 0;
	return why_set(why, why_size, -r,
		       "%s: the host leg cannot be made (%s): %s, left by an nbld that died, is "
		       "not to be removed. Try: ip link del dev %s", nic, why_errno(-r), name, name);
}

static int make_pair(const struct netdev *nic, uint32_t n_queues, struct leg *l, char *why,
		     size_t why_size)
{
	const struct netdev_veth veth = {
		.name = l->kernel_end,
		.peer = l->daemon_end,
		/* So that what is meant for the NIC is the host's there too. */
		.mac = nic->mac,
		.n_queues = n_queues,
		.mtu = nic->mtu + LEG_MTU_ROOM,
		.alias = LEG_MARK,
	};
	int r;

	snprintf(l->kernel_end, sizeof(l->kernel_end), "nblh%u", nic->ifindex);
	snprintf(l->daemon_end, sizeof(l->daemon_end), "nblx%u", nic->ifindex);
	r = claim_name(nic->name, l->daemon_end, why, why_size);
	if (r == 0)
		r = claim_name(nic->name, l->kernel_end, why, why_size);
	if (r < 0)
		return r;
	r = netdev_create_veth(&veth);
	if (r < 0)
		return why_set(why, why_size, -r,
			       "%s: the host leg cannot be made (%s): %s, for %s and %s with %u "
			       "queues. Try: %s", nic->name, why_errno(-r),
			       why_reason(-r, "the kernel refused a veth pair"), l->kernel_end,
			       l->daemon_end, n_queues,
			       r == -EPERM ? "systemctl start nbld" : "ip link add type veth");
	l->kernel_ifindex = if_nametoindex(l->kernel_end);
	l->daemon_ifindex = if_nametoindex(l->daemon_end);
	return 0;
}

/* Nobody but the tc programs and the sockets has any business with the leg. */
static int quiet_end(const char *name, uint32_t ifindex)
{
	netdev_disable_ipv6(name);
	return netdev_set_flags(ifindex, IFF_NOARP | IFF_UP, IFF_NOARP | IFF_MULTICAST | IFF_UP);
}

static int set_up(const struct leg *l)
{
	int r;

	/*
	 * The stack then finishes checksums, segments and tags before the worker sees a frame.
	 * GRO at this end was measured: no gain for TCP into the host, so it stays off.
	 */
	r = ethtool_finish_frames(l->kernel_end);
	if (r == 0)
		r = quiet_end(l->kernel_end, l->kernel_ifindex);
	if (r == 0)
		r = quiet_end(l->daemon_end, l->daemon_ifindex);
	return r;
}

int leg_create(const char *nic, uint32_t n_queues, struct leg *ret_l, char *why, size_t why_size)
{
	struct leg l = { 0 };
	struct netdev n;
	int r;

	r = netdev_get(nic, &n);
	if (r < 0)
		return why_set(why, why_size, -r, "%s: no such interface (%s). Try: ip link", nic,
			       why_errno(-r));
	memcpy(l.nic, n.name, sizeof(l.nic));
	l.nic_ifindex = n.ifindex;
	r = make_pair(&n, n_queues, &l, why, why_size);
	if (r < 0)
		return r;
	r = set_up(&l);
	if (r < 0) {
		leg_remove(&l);
		return why_set(why, why_size, -r,
			       "%s: the host leg cannot be set up (%s): %s of %s. Try: tc "
			       "filter show dev %s egress", nic, why_errno(-r),
			       why_reason(-r, "the kernel refused a setting"), l.kernel_end, nic);
	}
	*ret_l = l;
	return 0;
}

/* ---- connect ---- */

/* At the leg's ends nothing is recorded: it goes with them. */
static int attach_inside(uint32_t ifindex, const struct programs *p, enum programs_tc which)
{
	struct tc_filter filter;
	bool made;

	return tc_put(ifindex, TC_INGRESS, programs_get_tc_fd(p, which), &made, &filter);
}

/* Generic XDP on the NIC would take what comes out of the leg for received, again and again. */
static int attach_kernel_end(const struct leg *l, const struct programs *p)
{
	bool made;
	int r;

	if (programs_attached_as(p, NBL_LOWER) != PROGRAMS_XDP_GENERIC)
		return attach_inside(l->kernel_ifindex, p, PROGRAMS_TC_TO_HOST);
	r = tc_prepare(l->kernel_ifindex, &made);
	if (r < 0)
		return r;
	return tc_attach_mirred(l->kernel_ifindex, programs_get_tc_fd(p, PROGRAMS_TC_MATCH),
				l->nic_ifindex);
}

static int attach_nic(struct leg *l, const struct programs *p)
{
	struct tc_filter filter;
	bool made;
	int r;

	r = tc_put(l->nic_ifindex, TC_EGRESS, programs_get_tc_fd(p, PROGRAMS_TC_EGRESS), &made,
		   &filter);
	l->clsact_made = made;
	l->filter_handle = filter.handle;
	l->filter_priority = filter.priority;
	l->filter_prog_id = filter.prog_id;
	return r;
}

int leg_connect(struct leg *l, const struct programs *p, char *why, size_t why_size)
{
	const char *where = l->kernel_end;
	int r;

	/* The ways out of the leg before the way in. */
	r = attach_kernel_end(l, p);
	if (r == 0) {
		where = l->daemon_end;
		r = attach_inside(l->daemon_ifindex, p, PROGRAMS_TC_RETURN);
	}
	if (r == 0) {
		where = l->nic;
		r = attach_nic(l, p);
	}
	if (r < 0)
		return why_set(why, why_size, -r,
			       "%s: the host leg cannot be connected (%s): %s at %s. Try: tc qdisc "
			       "show dev %s", l->nic, why_errno(-r),
			       why_reason(-r, "the kernel refused a tc program"), where, where);
	return 0;
}

/* ---- remove ---- */

static void remove_pair(const char *name, uint32_t ifindex)
{
	struct netdev n;

	if (!ifindex || netdev_get(name, &n) < 0)
		return;
	if (n.ifindex == ifindex && is_ours(&n))
		netdev_delete(ifindex);
}

void leg_remove(const struct leg *l)
{
	const struct tc_filter filter = {
		.handle = l->filter_handle,
		.priority = l->filter_priority,
		.prog_id = l->filter_prog_id,
	};

	tc_take(l->nic_ifindex, TC_EGRESS, l->clsact_made, &filter, EGRESS_PROGRAM);
	remove_pair(l->kernel_end, l->kernel_ifindex);
	/* The other end, should the first have been renamed; else it is gone with it. */
	remove_pair(l->daemon_end, l->daemon_ifindex);
}
