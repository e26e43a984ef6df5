/* SPDX-License-Identifier: BSD-2-Clause */
#include "keeper/links.h"

#include <errno.h>
#include <string.h>

#include "edge/log.h"
#include "keeper/adapter_internal.h"
#include "port/watch.h"

static struct watch *watch;
static void (*adapter_gone)(struct adapter *a);

static struct port *find_port(struct keeper *k, uint32_t ifindex, struct adapter **ret_adapter)
{
	for (struct adapter *a = k->adapters; a; a = a->next)
		for (int side = 0; side < NBL_N_SIDES; side++)
			if (a->ports[side].dev.ifindex == ifindex) {
				*ret_adapter = a;
				return &a->ports[side];
			}
	return NULL;
}

/* A leg is the adapter's own: nobody else sets it down. */
static void tell_worker(struct adapter *a, const struct port *p)
{
	atomic_store_explicit(&a->memory.link_down[p->side],
			      !p->is_leg && !(p->up && p->dev.carrier), memory_order_relaxed);
}

static void rename_port(struct adapter *a, struct port *p, const char *name)
{
	log_notice("%s: interface %s is called %s now", a->conf.name, p->dev.name, name);
	memcpy(p->dev.name, name, sizeof(p->dev.name));
	if (!p->is_leg)
		memcpy(p->side == NBL_LOWER ? a->conf.lower : a->conf.upper, name, IFNAMSIZ);
}

static void handle(struct keeper *k, const struct watch_event *e)
{
	struct adapter *a;
	struct port *p = find_port(k, e->ifindex, &a);

	if (!p || (p->is_leg && e->what != WATCH_DELETED))
		return;
	switch (e->what) {
	case WATCH_UP:
	case WATCH_DOWN:
		p->up = e->what == WATCH_UP;
		tell_worker(a, p);
		log_notice("%s: interface %s is %s", a->conf.name, p->dev.name,
			   p->up ? "up" : "down");
		break;
	case WATCH_CARRIER_ON:
	case WATCH_CARRIER_OFF:
		p->dev.carrier = e->what == WATCH_CARRIER_ON;
		tell_worker(a, p);
		log_notice("%s: interface %s %s its carrier", a->conf.name, p->dev.name,
			   e->what == WATCH_CARRIER_ON ? "has" : "lost");
		break;
	case WATCH_RENAMED:
		rename_port(a, p, e->name);
		break;
	case WATCH_MTU:
		log_warning("%s: interface %s has an MTU of %u now; packets over the former %u are "
			    "not sent. Try: nblctl detach %s, and attach again", a->conf.name,
			    p->dev.name, e->mtu, p->dev.mtu, a->conf.name);
		break;
	case WATCH_DELETED:
		log_error("%s: interface %s is gone: detached", a->conf.name, p->dev.name);
		adapter_gone(a);
		break;
	case WATCH_CREATED:
		break;
	}
}

static int news(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct watch_event e;
	int r;

	(void)source;
	(void)fd;
	(void)events;
	while ((r = watch_next(watch, &e)) > 0)
		handle(userdata, &e);
	return r;
}

int links_start(struct keeper *k, void (*gone)(struct adapter *a))
{
	int r;

	if (watch)
		return 0;
	adapter_gone = gone;
	r = watch_open(&watch);
	if (r < 0)
		return r;
	return sd_event_add_io(k->event, NULL, watch_fd(watch), EPOLLIN, news, k);
}

int links_follow(struct adapter *a)
{
	int r = 0;

	for (int side = 0; side < NBL_N_SIDES && !r; side++) {
		struct port *p = &a->ports[side];
		struct netdev now;

		r = watch_add(watch, p->dev.ifindex);
		/* it may have changed since it was found; from here on changes are news */
		if (!r && !netdev_get_index(p->dev.ifindex, &now)) {
			p->up = now.up;
			p->dev.carrier = now.carrier;
		}
		tell_worker(a, p);
	}
	return r;
}

void links_forget(const struct adapter *a)
{
	for (int side = 0; watch && side < NBL_N_SIDES; side++)
		watch_remove(watch, a->ports[side].dev.ifindex);
}
