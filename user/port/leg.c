// SPDX-License-Identifier: BSD-2-Clause
#include "port/leg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "port/ethtool.h"
#include "port/netdev.h"
#include "port/programs.h"
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

static int get_nic(const char *nic, struct netdev *ret_n, char *why, size_t why_size)
{
	int r = netdev_get(nic, ret_n);

	if (!r)
		return 0;
	return why_set(why, why_size, -r, "%s: no such interface (%s). Try: ip link", nic,
		       why_errno(-r));
}

int leg_plan(const char *nic, struct leg *ret_l, char *why, size_t why_size)
{
	struct leg l = { 0 };
	struct netdev n;
	int r = get_nic(nic, &n, why, why_size);

	if (r < 0)
		return r;
	memcpy(l.nic, n.name, sizeof(l.nic));
	l.nic_ifindex = n.ifindex;
	snprintf(l.kernel_end, sizeof(l.kernel_end), "nblh%u", n.ifindex);
	snprintf(l.daemon_end, sizeof(l.daemon_end), "nblx%u", n.ifindex);
	r = claim_name(l.nic, l.daemon_end, why, why_size);
	if (r == 0)
		r = claim_name(l.nic, l.kernel_end, why, why_size);
	if (r == 0)
		*ret_l = l;
	return r;
}

static int make_pair(struct leg *l, uint32_t n_queues, char *why, size_t why_size)
{
	struct netdev nic;
	struct netdev_veth veth = {
		.name = l->kernel_end,
		.peer = l->daemon_end,
		/* So that what is meant for the NIC is the host's there too. */
		.mac = nic.mac,
		.n_queues = n_queues,
		.alias = LEG_MARK,
	};
	int r = get_nic(l->nic, &nic, why, why_size);

	if (r < 0)
		return r;
	veth.mtu = nic.mtu + LEG_MTU_ROOM;
	r = netdev_create_veth(&veth);
	if (r < 0)
		return why_set(why, why_size, -r,
			       "%s: the host leg cannot be made (%s): %s, for %s and %s with %u "
			       "queues. Try: %s", l->nic, why_errno(-r),
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

int leg_create(struct leg *l, uint32_t n_queues, char *why, size_t why_size)
{
	int r = make_pair(l, n_queues, why, why_size);

	if (r < 0) {
		*l = (struct leg){ 0 };
		return r;
	}
	r = set_up(l);
	if (r == 0)
		return 0;
	why_set(why, why_size, -r,
		"%s: the host leg cannot be set up (%s): %s of %s. Try: tc filter show dev %s "
		"egress", l->nic, why_errno(-r), why_reason(-r, "the kernel refused a setting"),
		l->kernel_end, l->nic);
	leg_remove(l);
	*l = (struct leg){ 0 };
	return r;
}

/* ---- connect ---- */

/* At the leg's ends nothing is noted: it goes with them. */
static int attach_inside(uint32_t ifindex, const struct programs *p, enum programs_tc which)
{
	bool made;
	int r = tc_prepare(ifindex, &made);

	return r < 0 ? r : tc_attach(ifindex, TC_INGRESS, programs_get_tc_fd(p, which));
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

static int explain_connection(const struct leg *l, const char *where, int r, char *why,
			      size_t why_size)
{
	return why_set(why, why_size, -r,
		       "%s: the host leg cannot be connected (%s): %s at %s. Try: tc qdisc "
		       "show dev %s", l->nic, why_errno(-r),
		       why_reason(-r, "the kernel refused a tc program"), where, where);
}

int leg_plan_connection(struct leg *l, const struct programs *p, char *why, size_t why_size)
{
	int r = tc_plan(l->nic_ifindex, programs_get_tc_fd(p, PROGRAMS_TC_EGRESS), &l->egress);

	return r < 0 ? explain_connection(l, l->nic, r, why, why_size) : 0;
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
		r = tc_put(&l->egress, TC_EGRESS, programs_get_tc_fd(p, PROGRAMS_TC_EGRESS));
	}
	return r < 0 ? explain_connection(l, where, r, why, why_size) : 0;
}

/* ---- remove ---- */

/*
 * Of one that was planned, and then perhaps made: the mark comes right after
 * the pair, the program of an nbld that runs later.
 */
static bool is_as_planned(const struct netdev *n, const char *other)
{
	return !strcmp(n->kind, "veth") && n->peer && n->peer == if_nametoindex(other) &&
	       (!n->alias[0] || is_ours(n)) && n->xdp_mode == NETDEV_XDP_NONE;
}

static void remove_pair(const char *name, uint32_t ifindex, const char *other)
{
	struct netdev n;

	if (netdev_get(name, &n) < 0)
		return;
	if (ifindex ? n.ifindex == ifindex && is_ours(&n) : is_as_planned(&n, other))
		netdev_delete(n.ifindex);
}

void leg_remove(const struct leg *l)
{
	tc_take(&l->egress, TC_EGRESS, EGRESS_PROGRAM);
	remove_pair(l->kernel_end, l->kernel_ifindex, l->daemon_end);
	/* The other end, should the first have been renamed; else it is gone with it. */
	remove_pair(l->daemon_end, l->daemon_ifindex, l->kernel_end);
}
