/* SPDX-License-Identifier: BSD-2-Clause */
#include "keeper/port.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "edge/log.h"
#include "port/why.h"

#define ETHERNET_HEADER 14
#define VLAN_TAG 4

void refuse(struct refusal *refusal, int error, const char *why)
{
	switch (-error) {
	case EPERM: case EACCES: refusal->exit_status = 4; break;
	case EOPNOTSUPP: refusal->exit_status = 5; break;
	default: refusal->exit_status = 1;
	}
	snprintf(refusal->reason, sizeof(refusal->reason), "%s", why);
}

static bool choose_queues(struct port *p, uint64_t wanted, struct refusal *refusal)
{
	char why[REASON_SIZE];

	for (uint32_t q = 0; q < p->dev.n_queues && q < NBL_MAX_QUEUES; q++)
		if (!wanted || wanted >> q & 1)
			p->queues[p->n_queues++] = (uint16_t)q;
	if (p->n_queues && (!wanted || p->n_queues == (uint32_t)__builtin_popcountll(wanted)))
		return true;
	snprintf(why, sizeof(why), "%s: queue %d does not exist (EINVAL): it has %u. "
		 "Try: ethtool -l %s", p->dev.name, wanted ? 63 - __builtin_clzll(wanted) : 0,
		 p->dev.n_queues, p->dev.name);
	refuse(refusal, -EINVAL, why);
	return false;
}

bool port_find(struct port *p, enum nbl_side side, const char *ifname, uint64_t wanted,
	       struct refusal *refusal)
{
	char why[REASON_SIZE];
	int r;

	*p = (struct port){ .side = side, .promiscuous = -1 };
	r = netdev_get(ifname, &p->dev);
	if (r < 0) {
		snprintf(why, sizeof(why),
			 "%s: not attached (%s): no interface has that name here. Try: ip -br link",
			 ifname, why_errno(-r));
		refuse(refusal, r, why);
		return false;
	}
	if (p->dev.flags & IFF_LOOPBACK) {
		snprintf(why, sizeof(why), "%s: not attached (EOPNOTSUPP): a loopback carries no "
			 "Ethernet frames. Try: ip -br link, for one that does", ifname);
		refuse(refusal, -EOPNOTSUPP, why);
		return false;
	}
	p->up = p->dev.up;
	return choose_queues(p, wanted, refusal);
}

bool port_attach_program(struct port *p, struct programs *programs, enum xdp_choice choice,
			 struct refusal *refusal)
{
	static const enum programs_xdp how[] = {
		[XDP_CHOICE_AUTO] = PROGRAMS_XDP_AUTO,
		[XDP_CHOICE_NATIVE] = PROGRAMS_XDP_NATIVE,
		[XDP_CHOICE_GENERIC] = PROGRAMS_XDP_GENERIC,
	};
	char why[REASON_SIZE] = "";
	/* The leg is ours and can native XDP; the choice is about the NIC. */
	int r = programs_attach(programs, p->side, p->is_leg ? PROGRAMS_XDP_AUTO : how[choice],
				why, sizeof(why));

	if (r < 0) {
		refuse(refusal, r, why);
		return false;
	}
	if (why[0])
		log_warning("%s", why);
	p->native = programs_attached_as(programs, p->side) == PROGRAMS_XDP_NATIVE;
	return true;
}

/* Tags that the driver takes off frames must come back, or tagged traffic would break. */
void port_plan_tags(struct port *p, const struct programs *programs)
{
	char why[REASON_SIZE] = "";

	if (!p->is_leg && !programs_reads_tags(programs, p->side) &&
	    vlan_plan(p->dev.name, &p->vlan, why, sizeof(why)) < 0)
		log_warning("%s", why);
}

void port_keep_tags(struct port *p)
{
	char why[REASON_SIZE] = "";

	if (p->vlan.ifindex && vlan_keep_in_band(&p->vlan, why, sizeof(why)) < 0) {
		p->vlan.ifindex = 0;
		log_warning("%s", why);
	}
}

bool port_open_sockets(struct port *p, struct programs *programs, const struct nbl_memory *memory,
		       enum zerocopy_choice zerocopy, struct refusal *refusal)
{
	static const enum nbl_zerocopy choices[] = {
		[ZEROCOPY_AUTO] = NBL_ZEROCOPY_AUTO,
		[ZEROCOPY_REQUIRE] = NBL_ZEROCOPY_REQUIRE,
		[ZEROCOPY_OFF] = NBL_ZEROCOPY_OFF,
	};
	struct netdev_xdp can = { 0 };
	char why[REASON_SIZE] = "";

	if (netdev_get_xdp(p->dev.ifindex, &can) < 0)
		can.zerocopy_segments = 1;
	for (uint32_t i = 0; i < p->n_queues; i++) {
		const struct nbl_xsk_params params = {
			.ifname = p->dev.name, .queue = p->queues[i], .memory = memory,
			.sizes = p->sizes, .generic = !p->native,
			.zerocopy_segments = can.zerocopy_segments,
			.zerocopy = p->is_leg ? NBL_ZEROCOPY_OFF : choices[zerocopy],
		};
		int r = nbl_xsk_open(&params, &p->xsk[i], why, sizeof(why));

		if (!r)
			r = programs_set_socket(programs, p->side, p->queues[i],
						nbl_xsk_fd(p->xsk[i]));
		if (r < 0) {
			if (!why[0])
				why_set(why, sizeof(why), -r, "%s: queue %u not steered (%s)",
					p->dev.name, p->queues[i], why_errno(-r));
			refuse(refusal, r, why);
			return false;
		}
	}
	return true;
}

void port_close(struct port *p, struct programs *programs)
{
	if (programs) {
		programs_detach(programs, p->side);
		for (uint32_t i = 0; i < p->n_queues; i++)
			programs_clear_socket(programs, p->side, p->queues[i]);
	}
	for (uint32_t i = 0; i < p->n_queues; i++) {
		nbl_xsk_close(p->xsk[i]);
		p->xsk[i] = NULL;
	}
	if (p->vlan.ifindex)
		vlan_restore(&p->vlan);
	p->vlan.ifindex = 0;
	if (p->promiscuous >= 0)
		close(p->promiscuous);
	p->promiscuous = -1;
}

uint32_t port_max_length(const struct port *p)
{
	return p->dev.mtu + ETHERNET_HEADER + VLAN_TAG;
}

void port_read_kernel_drops(const struct port *p, struct port_snapshot *ret)
{
	for (uint32_t i = 0; i < p->n_queues; i++) {
		struct xdp_statistics s;
		uint64_t empty;

		if (!p->xsk[i] || nbl_xsk_statistics(p->xsk[i], &s) < 0)
			continue;
		/* Without a FILL entry both counters move for one packet. */
		empty = s.rx_fill_ring_empty_descs < s.rx_dropped ? s.rx_fill_ring_empty_descs
								  : s.rx_dropped;
		ret->kernel_rx_ring_full += s.rx_ring_full;
		ret->kernel_fill_empty += empty;
		ret->kernel_rx_dropped += s.rx_dropped - empty;
	}
}
