// SPDX-License-Identifier: BSD-2-Clause
/*
 * nfq_accept.c - nfq-accept: takes every packet of an NFQUEUE and accepts it.
 *
 * What nbld is compared with: one thread, whole packets copied to user space, a receive buffer
 * large enough not to lose any. GSO packets come in one piece, with --no-gso as the kernel cuts
 * them. Ends on SIGTERM.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netfilter.h>
#include <libnetfilter_queue/libnetfilter_queue.h>

#include "bench_opt.h"

#define RECEIVE_BUFFER (32 << 20)
#define MESSAGE_MAX (0xffff + 4096)
#define QUEUE_PACKETS 8192

struct count {
	uint64_t packets, bytes, failed;
};

static volatile sig_atomic_t stopped;

static void on_stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static int packet_accept(struct nfq_q_handle *queue, struct nfgenmsg *msg, struct nfq_data *data,
			 void *arg)
{
	const struct nfqnl_msg_packet_hdr *header = nfq_get_msg_packet_hdr(data);
	struct count *count = arg;
	unsigned char *payload;
	int len = nfq_get_payload(data, &payload);

	(void)msg;
	if (!header)
		return 0;
	count->packets++;
	count->bytes += len > 0 ? len : 0;
	if (nfq_set_verdict(queue, ntohl(header->packet_id), NF_ACCEPT, 0, NULL) < 0)
		count->failed++;
	return 0;
}

static void queue_configure(struct nfq_handle *handle, struct nfq_q_handle *queue, bool gso)
{
	const struct timeval second = { .tv_sec = 1 };	/* bounds a missed signal */
	int on = 1, fd = nfq_fd(handle);

	if (nfq_set_mode(queue, NFQNL_COPY_PACKET, 0xffff) < 0)
		err(1, "copy mode");
	if (nfq_set_queue_flags(queue, NFQA_CFG_F_GSO, gso ? NFQA_CFG_F_GSO : 0) < 0)
		err(1, "GSO flag");
	if (nfq_set_queue_maxlen(queue, QUEUE_PACKETS) < 0)
		err(1, "queue length");
	if (nfnl_rcvbufsiz(nfq_nfnlh(handle), RECEIVE_BUFFER) < RECEIVE_BUFFER)
		warnx("receive buffer smaller than %d bytes", RECEIVE_BUFFER);
	if (setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)))
		err(1, "socket options");
}

static void run(struct nfq_handle *handle)
{
	static char message[MESSAGE_MAX] __attribute__((aligned(8)));

	while (!stopped) {
		ssize_t len = recv(nfq_fd(handle), message, sizeof(message), 0);

		if (len >= 0)
			nfq_handle_packet(handle, message, len);
		else if (errno != EINTR && errno != EAGAIN && errno != ENOBUFS)
			err(1, "receive");
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "queue", required_argument, NULL, 'q' },
		{ "no-gso", no_argument, NULL, 'g' },
		{ NULL, 0, NULL, 0 },
	};
	struct sigaction stop = { .sa_handler = on_stop };
	struct count count = { 0 };
	struct nfq_q_handle *queue;
	struct nfq_handle *handle;
	uint16_t number = 0;
	bool gso = true;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'q': number = opt_number("queue", optarg, 0, UINT16_MAX); break;
		case 'g': gso = false; break;
		default: errx(2, "usage: nfq-accept [--queue N] [--no-gso]");
		}
	}
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	handle = nfq_open();
	if (!handle)
		err(1, "NFQUEUE");
	queue = nfq_create_queue(handle, number, packet_accept, &count);
	if (!queue)
		err(1, "queue %u", number);
	queue_configure(handle, queue, gso);
	warnx("ready");

	run(handle);
	printf("{\"packets\":%lu,\"bytes\":%lu,\"failed\":%lu}\n", count.packets, count.bytes,
	       count.failed);
	nfq_destroy_queue(queue);
	nfq_close(handle);
	return 0;
}
