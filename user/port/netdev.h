/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netdev.h - network interfaces: what one is like, and making, changing and removing links.
 *
 * Plain rtnetlink, one socket per call, in the network namespace of the calling
 * thread. Driver settings are in ethtool.h, news about interfaces in watch.h.
 * Control path only; any thread.
 */
#ifndef PORT_NETDEV_H
#define PORT_NETDEV_H

#include <net/if.h>

#include <nbl/contract.h>

#define NETDEV_KIND_MAX  16
#define NETDEV_ALIAS_MAX 64

/* How an XDP program sits on an interface. */
enum netdev_xdp_mode {
	NETDEV_XDP_NONE,
	NETDEV_XDP_NATIVE,
	NETDEV_XDP_GENERIC,
	NETDEV_XDP_OFFLOADED,
	NETDEV_XDP_SEVERAL,	/* more than one of these at once */
};

struct netdev {
	char name[IFNAMSIZ];
	uint32_t ifindex;
	uint8_t mac[6];
	uint32_t mtu;			/* bytes */
	uint32_t flags;			/* IFF_UP, IFF_NOARP ... */
	bool up;			/* administratively */
	bool carrier;
	uint32_t n_queues;		/* receive queues in use that a port can have */
	uint32_t n_tx_queues;
	char kind[NETDEV_KIND_MAX];	/* "veth", "bridge" ...; "" for a driver's own interface */
	char driver[32];		/* as `ethtool -i` names it; "" = unknown */
	char alias[NETDEV_ALIAS_MAX];	/* cut when longer */
	uint32_t master;		/* ifindex of its bridge or bond; 0 = none */
	uint32_t peer;			/* veth: ifindex of the other end; 0 = no veth, or gone */
	bool peer_elsewhere;		/* veth: the other end is in another namespace */
	enum netdev_xdp_mode xdp_mode;
	uint32_t xdp_prog_id;		/* 0 = none, or several */
};

/* Fills ret_n by name, alternative names included. -ENODEV: there is none. */
NBL_MUST_CHECK int netdev_get(const char *name, struct netdev *ret_n);

/* Fills ret_n by ifindex. -ENODEV: there is none. */
NBL_MUST_CHECK int netdev_get_index(uint32_t ifindex, struct netdev *ret_n);

/* What an interface's driver can do for XDP, as the kernel states it (6.3 and later). */
struct netdev_xdp {
	bool basic;		/* native XDP */
	bool redirect;		/* native XDP_REDIRECT from it */
	bool transmit;		/* native XDP_REDIRECT to it, as it stands now */
	bool zerocopy;		/* AF_XDP without copies */
	uint32_t zerocopy_segments;	/* ring entries one packet may be there; 0, 1: one */
	bool vlan_tag;		/* a bound program can read the tag that the driver took off */
};

/* Fills ret_x. -EOPNOTSUPP: the kernel cannot say. */
NBL_MUST_CHECK int netdev_get_xdp(uint32_t ifindex, struct netdev_xdp *ret_x);

/* What a new pair of veth interfaces is like. */
struct netdev_veth {
	const char *name, *peer;
	const uint8_t *mac;		/* 6 bytes for 'name'; NULL = the kernel's choice */
	uint32_t n_queues;		/* of each end, both ways */
	uint32_t mtu;			/* bytes */
	const char *alias;		/* of both */
};

/*
 * Makes a pair as 'v' says (borrows), down and without automatic IPv6 addresses.
 * -EEXIST: a name is taken. On error neither exists.
 */
NBL_MUST_CHECK int netdev_create_veth(const struct netdev_veth *v);

/* Removes a link (a veth takes its other end along). -ENODEV: there is none. */
int netdev_delete(uint32_t ifindex);

/* Sets those IFF_ flags that are 1 in 'mask' to their value in 'flags'. */
NBL_MUST_CHECK int netdev_set_flags(uint32_t ifindex, uint32_t flags, uint32_t mask);

/* Sets the MTU, in bytes. */
NBL_MUST_CHECK int netdev_set_mtu(uint32_t ifindex, uint32_t mtu);

/* Silences IPv6 on an interface: no address, no router or listener messages. Best effort. */
void netdev_disable_ipv6(const char *name);

/*
 * Makes the interface receive every frame for as long as the returned descriptor (owned:
 * close()) or a duplicate is open; others' wishes for the same are counted apart, so closing
 * restores exactly. What a pair needs of both its ports. Needs CAP_NET_RAW.
 */
NBL_MUST_CHECK int netdev_open_promiscuous(uint32_t ifindex);

#endif
