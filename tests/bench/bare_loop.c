// SPDX-License-Identifier: BSD-2-Clause
/*
 * bare_loop.c - nbl-bare: two interfaces joined by a plain AF_XDP loop, nbld's yardstick.
 *
 * One thread, queue 0 of both ports, copy mode, need-wakeup. Both ports register the same memory,
 * so a frame received on one is transmitted by the other; from there it goes to one free stack.
 */
#include <getopt.h>
#include <linux/if_link.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <bpf/bpf.h>
#include <xdp/xsk.h>
#include "bare.skel.h"
#include "bench_opt.h"

#define CHUNK 4096ULL
#define BATCH 64
#define TX_SKB_BUDGET 9		/* XDP_MAX_TX_SKB_BUDGET: frames a kick sends, else 32 */

struct port {
	struct xsk_ring_cons rx, completion;
	struct xsk_ring_prod tx, fill;
	struct xsk_socket *xsk;
	struct xsk_umem *umem;
	const char *ifname;
	int fd;
	uint32_t unfinished;	/* submitted to TX and not completed */
	uint64_t received, kicks, again, failed;
};

struct loop {
	struct port ports[2];
	uint64_t *free, size;	/* stack of frame addresses; bytes of memory */
	uint32_t n_free, ring;
	void *memory;
	bool spin;
};

static volatile sig_atomic_t stopped;

static void on_stop(int sig)
{
	stopped = sig;
}

static void memory_open(struct loop *loop)
{
	loop->size = loop->ring * 4 * CHUNK;	/* all fill and TX rings full */
	loop->memory = mmap(NULL, loop->size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	loop->free = calloc(loop->ring * 4, sizeof(*loop->free));
	if (loop->memory == MAP_FAILED || !loop->free)
		err(1, "memory");
	for (uint64_t addr = 0; addr < loop->size; addr += CHUNK)
		loop->free[loop->n_free++] = addr;
}

static void port_refill(struct loop *loop, struct port *port, uint32_t max)
{
	uint32_t n = xsk_prod_nb_free(&port->fill, max), idx = 0;

	n = n < max ? n : max;
	n = xsk_ring_prod__reserve(&port->fill, n < loop->n_free ? n : loop->n_free, &idx);
	for (uint32_t i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&port->fill, idx + i) = loop->free[--loop->n_free];
	xsk_ring_prod__submit(&port->fill, n);
}

static void port_open(struct loop *loop, struct port *port)
{
	LIBBPF_OPTS(bpf_link_create_opts, native, .flags = XDP_FLAGS_DRV_MODE);
	const struct xsk_umem_config umem = {
		.fill_size = loop->ring, .comp_size = loop->ring, .frame_size = CHUNK,
	};
	const struct xsk_socket_config conf = {
		.rx_size = loop->ring, .tx_size = loop->ring,
		.libbpf_flags = XSK_LIBBPF_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_COPY | XDP_USE_NEED_WAKEUP,
	};
	struct bare_bpf *skel;

	errno = -xsk_umem__create(&port->umem, loop->memory, loop->size, &port->fill,
				  &port->completion, &umem);
	if (errno)
		err(1, "%s: UMEM", port->ifname);
	port_refill(loop, port, loop->ring);
	errno = -xsk_socket__create(&port->xsk, port->ifname, 0, port->umem, &port->rx,
				    &port->tx, &conf);
	if (errno)
		err(1, "%s: AF_XDP socket", port->ifname);
	port->fd = xsk_socket__fd(port->xsk);
	setsockopt(port->fd, SOL_XDP, TX_SKB_BUDGET, &(uint32_t){ BATCH }, sizeof(uint32_t));
	skel = bare_bpf__open_and_load();
	if (!skel || xsk_socket__update_xskmap(port->xsk, bpf_map__fd(skel->maps.sockets)) ||
	    bpf_link_create(bpf_program__fd(skel->progs.bare), opt_ifindex(port->ifname), BPF_XDP,
			    &native) < 0)
		err(1, "%s: native XDP program", port->ifname);
}

static void port_complete(struct loop *loop, struct port *port)
{
	uint32_t idx, n = xsk_ring_cons__peek(&port->completion, loop->ring, &idx);

	for (uint32_t i = 0; i < n; i++)
		loop->free[loop->n_free++] =
			*xsk_ring_cons__comp_addr(&port->completion, idx + i) & ~(CHUNK - 1);
	xsk_ring_cons__release(&port->completion, n);
	port->unfinished -= n;
}

/* Until the kernel took all of the TX ring. EAGAIN: budget or completion ring used up. */
static void port_kick(struct loop *loop, struct port *port)
{
	for (int i = 0; i < BATCH && xsk_ring_prod__needs_wakeup(&port->tx); i++) {
		port->kicks++;
		if (sendto(port->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
			break;
		port->again += errno == EAGAIN;
		port->failed += errno != EAGAIN;	/* one was refused: go on */
		port_complete(loop, port);
	}
}

/* One batch, or what TX has room for. Returns how many. */
static uint32_t forward(struct loop *loop, struct port *from, struct port *to)
{
	uint32_t room = xsk_prod_nb_free(&to->tx, BATCH), rx, tx = 0, n;

	n = xsk_ring_cons__peek(&from->rx, room < BATCH ? room : BATCH, &rx);
	if (n) {
		xsk_ring_prod__reserve(&to->tx, n, &tx);
		for (uint32_t i = 0; i < n; i++)
			*xsk_ring_prod__tx_desc(&to->tx, tx + i) =
				*xsk_ring_cons__rx_desc(&from->rx, rx + i);
		xsk_ring_prod__submit(&to->tx, n);
		xsk_ring_cons__release(&from->rx, n);
		from->received += n;
		to->unfinished += n;
	}
	if (n || !room)
		port_kick(loop, to);
	if (to->unfinished)
		port_complete(loop, to);
	port_refill(loop, from, BATCH);
	return n;
}

static void run(struct loop *loop)
{
	struct port *a = &loop->ports[0], *b = &loop->ports[1];
	struct pollfd fds[2] = { { a->fd, POLLIN, 0 }, { b->fd, POLLIN, 0 } };

	while (!stopped) {
		uint32_t n = forward(loop, a, b) + forward(loop, b, a);

		if (!n && !loop->spin)
			poll(fds, 2, 1000);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "spin", 0, NULL, 's' }, { "ring", 1, NULL, 'r' }, { NULL, 0, NULL, 0 },
	};
	struct loop loop = { .ring = 2048 };
	struct xdp_statistics stats = { 0 };
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 's': loop.spin = true; break;
		case 'r': loop.ring = opt_number("ring", optarg, 64, 1 << 16); break;
		default: exit(2);
		}
	}
	if (optind + 2 != argc || loop.ring & (loop.ring - 1))
		errx(2, "usage: nbl-bare [--spin] [--ring 2^N] IF IF2");
	libbpf_set_print(opt_libbpf_print);
	signal(SIGTERM, on_stop);
	memory_open(&loop);
	for (int i = 0; i < 2; i++) {
		loop.ports[i].ifname = argv[optind + i];
		port_open(&loop, &loop.ports[i]);
	}
	warnx("ready");
	run(&loop);
	for (struct port *p = loop.ports; p < loop.ports + 2; p++) {
		getsockopt(p->fd, SOL_XDP, XDP_STATISTICS, &stats, &(socklen_t){ sizeof(stats) });
		printf("{\"if\":\"%s\",\"received\":%lu,\"kicks\":%lu,\"again\":%lu,\"failed\":%lu,"
		       "\"rx_ring_full\":%llu,\"fill_empty\":%llu}\n", p->ifname, p->received,
		       p->kicks, p->again, p->failed, stats.rx_ring_full,
		       stats.rx_fill_ring_empty_descs);
	}
	return 0;	/* links, sockets and memory go with the process */
}
