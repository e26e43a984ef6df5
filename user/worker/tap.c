/* SPDX-License-Identifier: BSD-2-Clause */
#include "worker/tap.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/pool_internal.h"

#define BUDGET		64	/* packets each way at a time: of one turn of a lane, of one wait */
#define NO_MEMORY_MS	1
#define MOST_SEGMENTS	16
#define SHORTEST_PACKET	14

/* What one lane has written. */
struct tap_lane {
	uint64_t turn_ns;		/* of its now_ns */
	uint32_t n_written;		/* in that turn */
} __attribute__((aligned(NBL_CACHE_LINE)));

struct tap {
	struct nbl_binding *binding;
	struct nbl_pool *pool;
	int fd;
	bool is_gone;			/* somebody deleted the device */
	bool lacks_memory;		/* for what waits there */
	struct tap_lane lanes[NBL_MAX_LANES];
};

/* ---- to the device: lane threads ---- */

static bool write_packet(int fd, const struct nbl_nb *nb)
{
	const struct nbl_segment *s = nb->current_segment;
	uint32_t offset = nb->current_offset, left = nb->data_length;
	struct iovec v[MOST_SEGMENTS];
	int n = 0;

	for (; left && s && n < MOST_SEGMENTS; s = s->next, offset = 0, n++) {
		uint32_t room = s->length - offset;

		v[n] = (struct iovec){ s->base + offset, room < left ? room : left };
		left -= (uint32_t)v[n].iov_len;
	}
	return !left && writev(fd, v, n) > 0;
}

/* Figures of module 0 are the tap's: modules count from 1. */
static void receive(void *arg, struct nbl_lane *lane, struct nbl_chain chain, uint32_t port,
		    uint32_t flags)
{
	struct tap *tap = arg;
	struct tap_lane *tl = &tap->lanes[lane->index];

	(void)port;
	(void)flags;
	if (tl->turn_ns != lane->now_ns)
		*tl = (struct tap_lane){ .turn_ns = lane->now_ns };
	for (const struct nbl *n = chain.head; n; n = n->next) {
		if (tl->n_written < BUDGET && write_packet(tap->fd, n->first_nb)) {
			tl->n_written++;
			lane->figures.modules[0].packets++;
		} else {
			lane->figures.originated.untapped++;
		}
	}
}

/* ---- from the device ---- */

static void send_complete(void *arg, struct nbl_lane *lane, struct nbl_chain chain)
{
	struct nbl *n;

	(void)arg;
	lane->figures.modules[0].packets += chain.n_nbls;
	while ((n = nbl_chain_pop(&chain)))
		nbl_free(n);
}

static int read_packet(struct tap *tap, struct nbl **ret)
{
	uint32_t room = tap->pool->frame_size - tap->pool->headroom;
	struct nbl *n;
	ssize_t length;
	int r = nbl_pool_alloc_data(tap->pool, tap->pool, room, &n);

	if (r < 0)
		return r;
	length = read(tap->fd, nbl_nb_data(n->first_nb), room);
	if (length < 0) {
		r = -errno;
		nbl_free(n);
		return r;
	}
	n->first_nb->data_length = (uint32_t)length;
	*ret = n;
	return 0;
}

static void send_burst(struct tap *tap)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	struct nbl *n = NULL;
	int r = 0;

	for (int i = 0; i < BUDGET; i++) {
		r = read_packet(tap, &n);
		if (r < 0)
			break;
		if (n->first_nb->data_length < SHORTEST_PACKET)
			nbl_free(n);
		else
			nbl_chain_append(&chain, n);
	}
	tap->lacks_memory = r == -ENOBUFS || r == -EDQUOT;
	if (!nbl_chain_is_empty(&chain) && nbl_binding_send(tap->binding, chain, 0) < 0)
		while ((n = nbl_chain_pop(&chain)))
			nbl_free(n);
}

void tap_wait(struct tap *tap, int socket, int timeout_ms)
{
	struct pollfd fds[2] = { { .fd = socket, .events = POLLIN },
				 { .fd = -1, .events = POLLIN } };

	if (tap && tap->lacks_memory)
		/* to be told that there is something to read is no use */
		timeout_ms = NO_MEMORY_MS;
	else if (tap && !tap->is_gone)
		fds[1].fd = tap->fd;
	if (poll(fds, 2, timeout_ms) < 0 || !tap || fds[0].revents)
		return;
	if (fds[1].revents & (POLLERR | POLLHUP | POLLNVAL))
		tap->is_gone = true;
	else if (fds[1].revents || tap->lacks_memory)
		send_burst(tap);
}

/* ---- opening and closing ---- */

int tap_open(struct nbl_bindings *bindings, struct nbl_pool *pool, const struct tap_conf *conf,
	     int fd, struct tap **ret_tap)
{
	struct tap *tap = aligned_alloc(NBL_CACHE_LINE, sizeof(*tap));
	const struct nbl_binding_params params = {
		.name = TAP_MODULE, .types = conf->types, .n_types = conf->n_types, .arg = tap,
		.receive = receive, .send_complete = send_complete,
	};
	int r = -ENOMEM;

	if (tap) {
		*tap = (struct tap){ .pool = pool, .fd = fd };
		r = nbl_binding_open(bindings, &params, &tap->binding);
	}
	if (r < 0) {
		free(tap);
		close(fd);
		return r;
	}
	*ret_tap = tap;
	return 0;
}

int tap_close(struct tap *tap)
{
	int r = tap ? nbl_binding_close(tap->binding) : 0;

	if (r < 0 || !tap)
		return r;
	close(tap->fd);
	free(tap);
	return 0;
}
