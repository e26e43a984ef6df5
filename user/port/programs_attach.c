// SPDX-License-Identifier: BSD-2-Clause
/*
 * programs_attach.c - puts the XDP programs on interfaces, and explains refusals.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "port/libbpf_log.h"
#include "port/netdev.h"
#include "port/programs_object.h"
#include "port/why.h"

#define REASON_SIZE 200

static const char *mode_name(enum netdev_xdp_mode mode)
{
	switch (mode) {
	case NETDEV_XDP_NATIVE:
		return "native";
	case NETDEV_XDP_GENERIC:
		return "generic";
	case NETDEV_XDP_OFFLOADED:
		return "offloaded";
	default:
		return "several";
	}
}

static int refuse_foreign(const struct netdev *n, char *why, size_t why_size)
{
	char name[BPF_OBJ_NAME_LEN] = "?";

	programs_name_of(n->xdp_prog_id, name, sizeof(name));
	return why_set(why, why_size, EBUSY,
		       "%s: an XDP program of someone else is attached (EBUSY): id %u \"%s\", %s. "
		       "Try: ip link set dev %s xdp off, if it may go", n->name, n->xdp_prog_id,
		       name, mode_name(n->xdp_mode), n->name);
}

/*
 * A link is refused with an errno alone; the older way of attaching tells the driver's reason.
 * It is asked only after a refusal, so it is refused again; should it not be, it is taken back.
 */
static void ask_driver(uint32_t ifindex, int prog_fd, uint32_t flags)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = prog_fd);

	libbpf_log_clear();
	if (bpf_xdp_attach((int)ifindex, prog_fd, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL) == 0)
		bpf_xdp_detach((int)ifindex, flags | XDP_FLAGS_REPLACE, &opts);
}

/* Where the driver says nothing. */
static const char *reason_of(int error)
{
	const char *said = libbpf_log_first();
	const char *colon = strstr(said, "message: ");

	if (colon)
		return colon + strlen("message: ");
	switch (error) {
	case EOPNOTSUPP:
		return "the driver has no such mode";
	case ERANGE:
		return "the MTU is larger than a frame can be";
	case ENOMEM:
	case ENOSPC:
		return "the driver lacks memory or queues for it";
	default:
		return "the driver refused";
	}
}

static int explain(const struct programs *p, enum nbl_side side, const struct netdev *n,
		   enum programs_xdp how, int error, char *why, size_t why_size)
{
	const char *word = how == PROGRAMS_XDP_NATIVE ? "native" : "generic";
	bool leg = side == NBL_UPPER && p->conf.leg_kernel_ifindex;
	char name[IFNAMSIZ];
	char remedy[64] = "dmesg | tail";

	/* Of the leg nobody knows but us; its MTU is that of the NIC. */
	if (!if_indextoname(p->conf.ifindex[leg ? NBL_LOWER : side], name))
		snprintf(name, sizeof(name), "%s", n->name);
	ask_driver(n->ifindex, programs_xdp_fd(p, side, false),
		   how == PROGRAMS_XDP_NATIVE ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
	if (error == ERANGE)
		snprintf(remedy, sizeof(remedy), "ip link set dev %s mtu 1500", name);
	else if (error == EPERM)
		snprintf(remedy, sizeof(remedy), "systemctl start nbld");
	else if (how == PROGRAMS_XDP_NATIVE && !leg)
		snprintf(remedy, sizeof(remedy), "nblctl attach with: xdp generic");
	return why_set(why, why_size, error, "%s: %s XDP refused%s (%s): %s. Try: %s", name, word,
		       leg ? " on the host leg" : "", why_errno(error),
		       why_reason(error, reason_of(error)), remedy);
}

static int link_create(struct programs *p, enum nbl_side side, enum programs_xdp how)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	bool native = how == PROGRAMS_XDP_NATIVE;
	bool tags = native && programs_xdp_fd(p, side, true) >= 0;
	int fd;

	opts.flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
	fd = bpf_link_create(programs_xdp_fd(p, side, tags), (int)p->conf.ifindex[side], BPF_XDP,
			     &opts);
	if (fd < 0)
		return fd;
	p->links[side].fd = fd;
	p->links[side].how = how;
	p->links[side].tags = tags;
	return 0;
}

/* Tries one mode. Whoever came in the meantime is found when the kernel says so. */
static int try_mode(struct programs *p, enum nbl_side side, enum programs_xdp how,
		    const struct netdev *n, char *why, size_t why_size)
{
	int r = link_create(p, side, how);
	struct netdev now;

	if (r == 0)
		return 0;
	if ((r == -EBUSY || r == -EEXIST) && netdev_get_index(n->ifindex, &now) == 0 &&
	    now.xdp_mode != NETDEV_XDP_NONE)
		return refuse_foreign(&now, why, why_size);
	return explain(p, side, n, how, -r, why, why_size);
}

static bool worth_trying_generic(int r)
{
	return r < 0 && r != -EBUSY && r != -EPERM && r != -ENODEV && r != -ERANGE;
}

int programs_attach(struct programs *p, enum nbl_side side, enum programs_xdp how, char *why,
		    size_t why_size)
{
	uint32_t ifindex = p->conf.ifindex[side];
	char reason[REASON_SIZE];
	struct netdev n;
	int r;

	if (p->links[side].fd >= 0)
		return why_set(why, why_size, EALREADY, "attached already (EALREADY)");
	r = netdev_get_index(ifindex, &n);
	if (r < 0)
		return why_set(why, why_size, -r,
			       "interface %u: cannot be read (%s): it may be gone. Try: ip link",
			       ifindex, why_errno(-r));
	if (n.xdp_mode != NETDEV_XDP_NONE)
		return refuse_foreign(&n, why, why_size);

	r = try_mode(p, side, how == PROGRAMS_XDP_GENERIC ? how : PROGRAMS_XDP_NATIVE, &n, why,
		     why_size);
	if (r == 0)
		why[0] = '\0';
	if (how != PROGRAMS_XDP_AUTO || !worth_trying_generic(r))
		return r;
	/* 'why' stays the reason for not being native. */
	r = try_mode(p, side, PROGRAMS_XDP_GENERIC, &n, reason, sizeof(reason));
	if (r < 0)
		snprintf(why, why_size, "%s", reason);
	return r;
}

void programs_detach(struct programs *p, enum nbl_side side)
{
	if (p->links[side].fd >= 0)
		close(p->links[side].fd);
	p->links[side].fd = -1;
	p->links[side].how = PROGRAMS_XDP_AUTO;
	p->links[side].tags = false;
}

enum programs_xdp programs_attached_as(const struct programs *p, enum nbl_side side)
{
	return p->links[side].how;
}

bool programs_reads_tags(const struct programs *p, enum nbl_side side)
{
	return p->links[side].tags;
}

bool programs_is_attached(const struct programs *p, enum nbl_side side)
{
	struct bpf_link_info info = { 0 };
	uint32_t length = sizeof(info);

	if (p->links[side].fd < 0)
		return false;
	if (bpf_obj_get_info_by_fd(p->links[side].fd, &info, &length) < 0)
		return false;
	return info.xdp.ifindex != 0;
}
