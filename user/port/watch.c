// SPDX-License-Identifier: BSD-2-Clause
#include "port/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "port/netdev.h"
#include "port/rtnl.h"

/* The last that is known of an interface, and what has been told of it. */
struct watched {
	uint32_t ifindex;
	bool deleted;
	bool up, carrier;
	uint32_t mtu;
	char name[IFNAMSIZ];
	struct {
		bool up, carrier;
		uint32_t mtu;
		char name[IFNAMSIZ];
	} told;
	struct watched *next;
};

#define MAX_CREATED 32

struct watch {
	struct mnl_socket *nl;
	struct watched *list;
	/* Interfaces that appeared and were not told yet; more than these are forgotten. */
	struct watch_event created[MAX_CREATED];
	uint32_t n_created;
	char buffer[RTNL_BUFFER_SIZE];
};

int watch_open(struct watch **ret_w)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!w->nl || mnl_socket_bind(w->nl, RTMGRP_LINK, MNL_SOCKET_AUTOPID) < 0) {
		int r = -errno;

		watch_close(w);
		return r;
	}
	*ret_w = w;
	return 0;
}

struct watch *watch_close(struct watch *w)
{
	if (!w)
		return NULL;
	if (w->nl)
		mnl_socket_close(w->nl);
	while (w->list)
		watch_remove(w, w->list->ifindex);
	free(w);
	return NULL;
}

int watch_fd(const struct watch *w)
{
	return mnl_socket_get_fd(w->nl);
}

static struct watched *find(struct watch *w, uint32_t ifindex)
{
	struct watched *i = w->list;

	while (i && i->ifindex != ifindex)
		i = i->next;
	return i;
}

int watch_add(struct watch *w, uint32_t ifindex)
{
	struct watched *i = find(w, ifindex);
	struct netdev n;
	int r;

	if (i && !i->deleted)
		return 0;
	r = netdev_get_index(ifindex, &n);
	if (r < 0)
		return r;
	/* Its end, not told yet, was another one's. */
	watch_remove(w, ifindex);
	i = calloc(1, sizeof(*i));
	if (!i)
		return -ENOMEM;
	i->ifindex = ifindex;
	i->up = i->told.up = n.up;
	i->carrier = i->told.carrier = n.carrier;
	i->mtu = i->told.mtu = n.mtu;
	memcpy(i->name, n.name, sizeof(i->name));
	memcpy(i->told.name, n.name, sizeof(i->told.name));
	i->next = w->list;
	w->list = i;
	return 0;
}

void watch_remove(struct watch *w, uint32_t ifindex)
{
	for (struct watched **link = &w->list; *link; link = &(*link)->next) {
		struct watched *i = *link;

		if (i->ifindex != ifindex)
			continue;
		*link = i->next;
		free(i);
		return;
	}
}

/* ---- news ---- */

static int parse_attribute(const struct nlattr *attr, void *data)
{
	struct watched *i = data;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		snprintf(i->name, sizeof(i->name), "%s", mnl_attr_get_str(attr));
		break;
	case IFLA_MTU:
		i->mtu = mnl_attr_get_u32(attr);
		break;
	case IFLA_CARRIER:
		i->carrier = mnl_attr_get_u8(attr);
		break;
	}
	return MNL_CB_OK;
}

static void note_created(struct watch *w, const struct nlmsghdr *nlh, uint32_t ifindex)
{
	struct watched fresh = { .ifindex = ifindex };
	struct watch_event *e;

	for (uint32_t i = 0; i < w->n_created; i++)
		if (w->created[i].ifindex == ifindex)
			return;
	if (w->n_created == MAX_CREATED ||
	    mnl_attr_parse(nlh, sizeof(struct ifinfomsg), parse_attribute, &fresh) < 0)
		return;
	e = &w->created[w->n_created++];
	*e = (struct watch_event){ .what = WATCH_CREATED, .ifindex = ifindex, .mtu = fresh.mtu };
	memcpy(e->name, fresh.name, sizeof(e->name));
}

static int parse_message(const struct nlmsghdr *nlh, void *data)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct watch *w = data;
	struct watched *i;

	/* Bridges and others talk of their members in messages of their own families. */
	if (ifi->ifi_family != AF_UNSPEC)
		return MNL_CB_OK;
	i = find(w, (uint32_t)ifi->ifi_index);
	if (nlh->nlmsg_type == RTM_DELLINK) {
		if (i)
			i->deleted = true;
		return MNL_CB_OK;
	}
	if (nlh->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	if (!i) {
		/* Only a new interface's first message says that all has changed. */
		if (ifi->ifi_change == ~0U)
			note_created(w, nlh, (uint32_t)ifi->ifi_index);
		return MNL_CB_OK;
	}
	i->up = ifi->ifi_flags & IFF_UP;
	return mnl_attr_parse(nlh, sizeof(*ifi), parse_attribute, i);
}

static void discard_queued(struct watch *w)
{
	ssize_t n;

	/* Not for ever, should someone fill it as fast. */
	for (int i = 0; i < 10000; i++) {
		n = mnl_socket_recvfrom(w->nl, w->buffer, sizeof(w->buffer));
		if (n < 0 && errno != ENOBUFS)
			return;
	}
}

/* After the kernel had to drop messages: those still queued are older than the lost ones. */
static void ask_anew(struct watch *w)
{
	discard_queued(w);
	for (struct watched *i = w->list; i; i = i->next) {
		struct netdev n;
		int r = netdev_get_index(i->ifindex, &n);

		if (r == -ENODEV)
			i->deleted = true;
		if (r < 0)
			continue;
		i->up = n.up;
		i->carrier = n.carrier;
		i->mtu = n.mtu;
		memcpy(i->name, n.name, sizeof(i->name));
	}
}

/* Takes one message off the socket: 1, or 0 when there is none. */
static int receive(struct watch *w)
{
	ssize_t n = mnl_socket_recvfrom(w->nl, w->buffer, sizeof(w->buffer));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0 && errno == ENOBUFS) {
		ask_anew(w);
		return 1;
	}
	if (n < 0)
		return -errno;
	if (mnl_cb_run(w->buffer, (size_t)n, 0, 0, parse_message, w) < 0)
		return -errno;
	return 1;
}

/* The first difference between what is known and what was told, which it settles. */
static bool take_difference(struct watched *i, enum watch_what *ret_what)
{
	if (strcmp(i->name, i->told.name)) {
		memcpy(i->told.name, i->name, sizeof(i->told.name));
		*ret_what = WATCH_RENAMED;
	} else if (i->deleted) {
		*ret_what = WATCH_DELETED;
	} else if (i->up != i->told.up) {
		i->told.up = i->up;
		*ret_what = i->up ? WATCH_UP : WATCH_DOWN;
	} else if (i->carrier != i->told.carrier) {
		i->told.carrier = i->carrier;
		*ret_what = i->carrier ? WATCH_CARRIER_ON : WATCH_CARRIER_OFF;
	} else if (i->mtu != i->told.mtu) {
		i->told.mtu = i->mtu;
		*ret_what = WATCH_MTU;
	} else {
		return false;
	}
	return true;
}

static bool take_event(struct watch *w, struct watch_event *ret_e)
{
	for (struct watched *i = w->list; i; i = i->next) {
		enum watch_what what;

		if (!take_difference(i, &what))
			continue;
		*ret_e = (struct watch_event){ .what = what, .ifindex = i->ifindex, .mtu = i->mtu };
		memcpy(ret_e->name, i->name, sizeof(ret_e->name));
		if (what == WATCH_DELETED)
			watch_remove(w, i->ifindex);
		return true;
	}
	if (!w->n_created)
		return false;
	*ret_e = w->created[0];
	memmove(w->created, w->created + 1, --w->n_created * sizeof(w->created[0]));
	return true;
}

int watch_next(struct watch *w, struct watch_event *ret_e)
{
	for (;;) {
		int r;

		if (take_event(w, ret_e))
			return 1;
		r = receive(w);
		if (r <= 0)
			return r;
	}
}
