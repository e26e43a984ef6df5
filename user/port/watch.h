/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch.h - news about interfaces, from rtnetlink.
 *
 * poll() on an AF_XDP socket says nothing when its interface goes down or away;
 * this does. Remembers the last state of each watched interface and tells only
 * changes; messages lost by the kernel are made up for by asking anew. One thread.
 */
#ifndef PORT_WATCH_H
#define PORT_WATCH_H

#include <net/if.h>

#include <nbl/contract.h>

struct watch;

enum watch_what {
	WATCH_UP,		/* set up by the administrator */
	WATCH_DOWN,
	WATCH_CARRIER_ON,
	WATCH_CARRIER_OFF,
	WATCH_RENAMED,		/* 'name' is the new one */
	WATCH_MTU,		/* 'mtu' is the new one */
	WATCH_DELETED,		/* deleted or moved to another namespace; watched no longer */
	WATCH_CREATED,		/* an interface that is not watched appeared: 'name', 'ifindex' */
};

struct watch_event {
	enum watch_what what;
	uint32_t ifindex;
	char name[IFNAMSIZ];
	uint32_t mtu;
};

/* Opens the netlink socket. Fills ret_w: owned, release with watch_close(). */
NBL_MUST_CHECK int watch_open(struct watch **ret_w);

/* Takes; NULL is fine. Returns NULL. */
struct watch *watch_close(struct watch *w);

/* The descriptor to poll for reading; borrowed until watch_close(). */
int watch_fd(const struct watch *w);

/* Watches an interface from its present state on. -ENODEV, -ENOMEM. Twice is once. */
NBL_MUST_CHECK int watch_add(struct watch *w, uint32_t ifindex);

/* No error if it is not watched. */
void watch_remove(struct watch *w, uint32_t ifindex);

/*
 * The next change, without waiting: 1 and fills ret_e, or 0 when there is none.
 * Call until 0. Negative errno: the socket is broken.
 */
NBL_MUST_CHECK int watch_next(struct watch *w, struct watch_event *ret_e);

#endif
