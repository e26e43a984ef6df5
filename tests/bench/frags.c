// SPDX-License-Identifier: BSD-2-Clause
/*
 * frags.c - nbl-frags: sends one UDP datagram in fragments of its own making, as no stack would.
 *
 * Its payload is read from standard input. In which fragments it goes, --how says:
 *
 *   good      in order            reverse   the last first
 *   overlap   with one more that overlaps its neighbours, before the last
 *   first     the first alone, --count times, each of another datagram: none will ever be whole
 *
 * IPv4 or IPv6, by the addresses. Frames go out by a packet socket, so no route is needed.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <linux/if_packet.h>
#include <netinet/ether.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench_opt.h"

#define NSEC 1000000000ull
#define BATCH 64u		/* fragments between two looks at the clock */
#define PART 1200u		/* payload of a fragment */
#define UDP_HEADER 8u
#define MOST 60000u
#define MAX_HEADERS (14u + 40u + 8u)

enum how { GOOD, REVERSE, OVERLAP, FIRST, N_HOWS };

static const char *const hows[N_HOWS] = { "good", "reverse", "overlap", "first" };

struct frags {
	const char *ifname;
	struct ether_addr from_mac, to_mac;
	uint8_t from[16], to[16];
	bool is_ipv6;
	uint16_t port;
	enum how how;
	uint64_t count;
	uint64_t rate;			/* at most, a second; 0 = as fast as can be */
	uint32_t id;
	int fd;
	uint8_t datagram[UDP_HEADER + MOST];
	uint32_t length;
};

static void usage(FILE *out)
{
	fprintf(out, "usage: nbl-frags --if IF --to-mac MAC --from ADDRESS --to ADDRESS --port N\n"
		     "                 [--how good|reverse|overlap|first] [--count N] [--rate N] "
		     "[--id N] <PAYLOAD\n");
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t sum_add(uint32_t sum, const uint8_t *bytes, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	return sum;
}

static uint16_t sum_end(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void address_parse(const struct frags *f, const char *text, uint8_t *to)
{
	if (inet_pton(f->is_ipv6 ? AF_INET6 : AF_INET, text, to) != 1)
		errx(2, "%s: not an address, or not of the same family", text);
}

static enum how how_parse(const char *text)
{
	for (int i = 0; i < N_HOWS; i++)
		if (!strcmp(hows[i], text))
			return (enum how)i;
	errx(2, "--how %s: must be good, reverse, overlap or first", text);
}

static void conf_parse(struct frags *f, int argc, char **argv)
{
	static const struct option options[] = {
		{ "if", required_argument, NULL, 'i' }, { "to-mac", required_argument, NULL, 'm' },
		{ "from", required_argument, NULL, 'f' }, { "to", required_argument, NULL, 't' },
		{ "port", required_argument, NULL, 'p' }, { "how", required_argument, NULL, 'h' },
		{ "count", required_argument, NULL, 'n' }, { "id", required_argument, NULL, 'd' },
		{ "rate", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	const char *from = NULL, *to = NULL;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'i': f->ifname = optarg; break;
		case 'm':
			if (!ether_aton_r(optarg, &f->to_mac))
				errx(2, "--to-mac %s: not a MAC address", optarg);
			break;
		case 'f': from = optarg; break;
		case 't': to = optarg; break;
		case 'p': f->port = (uint16_t)opt_number("port", optarg, 1, 65535); break;
		case 'h': f->how = how_parse(optarg); break;
		case 'n': f->count = opt_number("count", optarg, 1, 1000000000); break;
		case 'r': f->rate = opt_number("rate", optarg, 1, NSEC); break;
		case 'd': f->id = (uint32_t)opt_number("id", optarg, 0, UINT32_MAX); break;
		default: usage(stderr); exit(2);
		}
	}
	if (optind < argc || !f->ifname || !from || !to || !f->port) {
		usage(stderr);
		exit(2);
	}
	f->is_ipv6 = strchr(to, ':');
	address_parse(f, from, f->from);
	address_parse(f, to, f->to);
}

static void socket_open(struct frags *f)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_ifindex = (int)opt_ifindex(f->ifname) };

	f->fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (f->fd < 0 || bind(f->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err(1, "packet socket on %s", f->ifname);
	memcpy(&f->from_mac, "\2\0\0\0\0\x99", 6);
}

/* Reads the payload and puts a UDP header with its checksum in front. */
static void datagram_read(struct frags *f)
{
	uint32_t sum = IPPROTO_UDP, alen = f->is_ipv6 ? 16 : 4;
	uint8_t *udp = f->datagram;
	ssize_t n;

	f->length = UDP_HEADER;
	while ((n = read(STDIN_FILENO, udp + f->length, UDP_HEADER + MOST - f->length)) > 0)
		f->length += (uint32_t)n;
	if (n < 0)
		err(1, "standard input");
	put16(udp, 9999);
	put16(udp + 2, f->port);
	put16(udp + 4, f->length);
	sum = sum_add(sum + f->length, f->from, alen);
	sum = sum_add(sum, f->to, alen);
	put16(udp + 6, sum_end(sum_add(sum, udp, f->length)));
}

static uint32_t headers_write(const struct frags *f, uint8_t *to, uint32_t offset, uint32_t length,
			      bool more)
{
	uint8_t *ip = to + 14;

	memset(to, 0, MAX_HEADERS);
	memcpy(to, &f->to_mac, 6);
	memcpy(to + 6, &f->from_mac, 6);
	put16(to + 12, f->is_ipv6 ? 0x86dd : 0x0800);
	if (f->is_ipv6) {
		ip[0] = 0x60;
		put16(ip + 4, 8 + length);
		ip[6] = IPPROTO_FRAGMENT;
		ip[7] = 64;
		memcpy(ip + 8, f->from, 16);
		memcpy(ip + 24, f->to, 16);
		ip[40] = IPPROTO_UDP;
		put16(ip + 42, offset | more);
		put16(ip + 44, f->id >> 16);
		put16(ip + 46, f->id & 0xffff);
		return 14 + 48;
	}
	ip[0] = 0x45;
	put16(ip + 2, 20 + length);
	put16(ip + 4, f->id & 0xffff);
	put16(ip + 6, (more ? 0x2000 : 0) | offset >> 3);
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, f->from, 4);
	memcpy(ip + 16, f->to, 4);
	put16(ip + 10, sum_end(sum_add(0, ip, 20)));
	return 14 + 20;
}

static void part_send(const struct frags *f, uint32_t offset, uint32_t length)
{
	uint8_t frame[MAX_HEADERS + PART + 16];
	uint32_t n;

	if (length > f->length - offset)
		length = f->length - offset;
	n = headers_write(f, frame, offset, length, offset + length < f->length);
	memcpy(frame + n, f->datagram + offset, length);
	while (send(f->fd, frame, n + length, 0) < 0)
		if (errno != ENOBUFS)
			err(1, "send");
}

static void all_send(const struct frags *f)
{
	uint32_t n = (f->length + PART - 1) / PART;

	for (uint32_t i = 0; i < n; i++) {
		if (f->how == OVERLAP && i == n - 1)
			part_send(f, (i - 1) * PART - 8, PART);
		part_send(f, (f->how == REVERSE ? n - 1 - i : i) * PART, PART);
	}
}

/* Sleeps until a batch is due. One that is late is not made up for: that would be a burst. */
static void pace(const struct frags *f, uint64_t *next_ns)
{
	struct timespec now;
	uint64_t now_ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = (uint64_t)now.tv_sec * NSEC + (uint64_t)now.tv_nsec;
	*next_ns += BATCH * NSEC / f->rate;
	if (*next_ns <= now_ns) {
		*next_ns = now_ns;
		return;
	}
	now.tv_sec = (time_t)(*next_ns / NSEC);
	now.tv_nsec = (long)(*next_ns % NSEC);
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &now, NULL);
}

int main(int argc, char **argv)
{
	static struct frags f = { .count = 1, .id = 1 };
	uint64_t next_ns = 0;

	conf_parse(&f, argc, argv);
	socket_open(&f);
	datagram_read(&f);
	if (f.length < 3 * PART)
		errx(2, "the payload must be %u bytes at least", 3 * PART);
	for (uint64_t i = 0; i < f.count; i++, f.id++) {
		if (f.how != FIRST) {
			all_send(&f);
			continue;
		}
		/* other addresses, too: an identification of 16 bits is soon used up */
		put16(f.is_ipv6 ? f.from + 14 : f.from + 2, (uint32_t)(i >> 16) + 256);
		part_send(&f, 0, PART);
		if (f.rate && i % BATCH == BATCH - 1)
			pace(&f, &next_ns);
	}
	return 0;
}
