// SPDX-License-Identifier: BSD-2-Clause
/*
 * gen.c - nbl-gen: sends numbered, time-stamped UDP frames out of one interface.
 *
 * The frames are made by gen.bpf.c inside live-frame test runs, and redirected: on a
 * veth they arrive only if its peer has an XDP program or GRO on. Prints one JSON line.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <netinet/ether.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bench_frame.h"
#include "bench_opt.h"
#include "gen.skel.h"

#define NSEC 1000000000ULL
#define FIRST_PORT 40000
#define MIN_FRAME sizeof(struct bench_frame)
#define MAX_FRAME 1514
#define ALARM_LATE_US 40000
#define SETTLE_US 20000		/* until the far side has taken and counted what is queued */

struct gen_conf {
	const char *ifname;
	unsigned int ifindex;
	unsigned int size;
	unsigned int batch;		/* 0 = chosen by whether the rate is limited */
	unsigned int n_flows;
	unsigned int ether_type;
	int cpu;			/* -1 = where the scheduler likes */
	uint64_t rate;
	uint64_t count;
	uint64_t seconds;
	struct ether_addr dst, src;
};

struct link_count {
	uint32_t packets, dropped;	/* of transmission; they wrap, differences do not */
};

static volatile sig_atomic_t stopped;

static void on_stop(int sig)
{
	(void)sig;
	stopped = 1;
}

/* Only there to end a test run early: the program knows by itself when it is finished. */
static void on_alarm(int sig)
{
	(void)sig;
}

static void usage(FILE *out)
{
	fprintf(out,
		"usage: nbl-gen --if IF (--count N | --seconds S) [--rate PPS] [--size BYTES]\n"
		"               [--dst-mac MAC] [--flows N] [--cpu N] [--batch N]\n"
		"               [--ether-type NUMBER]\n"
		"  --rate 0 (default) sends as fast as possible; --size is %zu to %u, without FCS\n"
		"  gen_dropped: frames the interface's peer did not take\n"
		"  late_max_us: how far the sending was ever behind its plan\n",
		MIN_FRAME, MAX_FRAME);
}

static void conf_parse(struct gen_conf *conf, int argc, char **argv)
{
	static const struct option options[] = {
		{ "if", required_argument, NULL, 'i' },
		{ "size", required_argument, NULL, 's' },
		{ "rate", required_argument, NULL, 'r' },
		{ "count", required_argument, NULL, 'n' },
		{ "seconds", required_argument, NULL, 't' },
		{ "dst-mac", required_argument, NULL, 'd' },
		{ "flows", required_argument, NULL, 'f' },
		{ "cpu", required_argument, NULL, 'c' },
		{ "batch", required_argument, NULL, 'b' },
		{ "ether-type", required_argument, NULL, 'e' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'i': conf->ifname = optarg; break;
		case 's':
			conf->size = opt_number("size", optarg, MIN_FRAME, MAX_FRAME);
			break;
		case 'r': conf->rate = opt_number("rate", optarg, 0, NSEC); break;
		case 'n': conf->count = opt_number("count", optarg, 1, UINT64_MAX >> 1); break;
		case 't': conf->seconds = opt_number("seconds", optarg, 1, 86400); break;
		case 'd':
			if (!ether_aton_r(optarg, &conf->dst))
				errx(2, "--dst-mac %s: not a MAC address", optarg);
			break;
		case 'f': conf->n_flows = opt_number("flows", optarg, 1, BENCH_MAX_FLOWS); break;
		case 'c': conf->cpu = opt_number("cpu", optarg, 0, CPU_SETSIZE - 1); break;
		case 'b': conf->batch = opt_number("batch", optarg, 1, 256); break;
		case 'e': conf->ether_type = opt_number("ether-type", optarg, 0x600, 0xffff); break;
		case 'h': usage(stdout); exit(0);
		default: usage(stderr); exit(2);
		}
	}
	if (optind < argc || !conf->ifname || (!conf->count && !conf->seconds)) {
		usage(stderr);
		exit(2);
	}
	conf->ifindex = opt_ifindex(conf->ifname);
}

/* Fills the interface's own address and its counters; either pointer may be NULL. */
static void link_read(const char *ifname, struct ether_addr *ret_mac, struct link_count *ret_count)
{
	struct ifaddrs *all, *ifa;

	if (getifaddrs(&all))
		err(1, "%s: interface list", ifname);
	for (ifa = all; ifa; ifa = ifa->ifa_next) {
		const struct rtnl_link_stats *stats = ifa->ifa_data;
		struct sockaddr_ll addr;

		if (!ifa->ifa_addr || ifa->ifa_addr->sa_family != AF_PACKET || !stats ||
		    strcmp(ifa->ifa_name, ifname))
			continue;
		memcpy(&addr, ifa->ifa_addr, sizeof(addr));
		if (ret_mac)
			memcpy(ret_mac, addr.sll_addr, sizeof(*ret_mac));
		if (ret_count)
			*ret_count = (struct link_count){ stats->tx_packets, stats->tx_dropped };
		break;
	}
	freeifaddrs(all);
}

static uint16_t ip_checksum(const struct iphdr *ip)
{
	uint16_t words[sizeof(*ip) / 2];
	uint32_t sum = 0;

	memcpy(words, ip, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

static struct bench_frame frame_template(const struct gen_conf *conf)
{
	struct bench_frame frame = {
		.eth.h_proto = htons((uint16_t)conf->ether_type),
		.ip = {
			.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP,
			.tot_len = htons(conf->size - sizeof(struct ethhdr)),
			.frag_off = htons(0x4000),		/* do not fragment */
			.saddr = htonl(0xc6120001),		/* 198.18.0.1: set apart for */
			.daddr = htonl(0xc6120002),		/* benchmarks by RFC 2544 */
		},
		.udp = {
			.source = htons(FIRST_PORT), .dest = htons(BENCH_PORT),
			.len = htons(conf->size - sizeof(struct ethhdr) - sizeof(struct iphdr)),
		},
		.magic = BENCH_MAGIC,
	};
	struct iphdr ip = frame.ip;

	frame.ip.check = ip_checksum(&ip);
	memcpy(frame.eth.h_dest, &conf->dst, ETH_ALEN);
	memcpy(frame.eth.h_source, &conf->src, ETH_ALEN);
	return frame;
}

static struct gen_bpf *program_load(const struct gen_conf *conf)
{
	struct gen_bpf *skel = gen_bpf__open();

	if (!skel)
		err(1, "generator program: open");
	skel->rodata->target_ifindex = conf->ifindex;
	skel->rodata->limit_frames = conf->count;
	skel->rodata->limit_ns = conf->seconds * NSEC;
	skel->rodata->n_flows = conf->n_flows;
	skel->rodata->first_port = FIRST_PORT;
	if (conf->rate) {
		skel->rodata->step_ns = NSEC / conf->rate;
		skel->rodata->step_frac = ((NSEC % conf->rate) << 32) / conf->rate;
	}
	skel->bss->template = frame_template(conf);
	errno = -gen_bpf__load(skel);
	if (errno)
		err(1, "generator program: load");
	return skel;
}

/*
 * A test run ends after 'repeat' calls or on a signal. To start one takes 10 ms and more, so there
 * should be one only: the alarm comes a little after the program should have finished. It repeats,
 * so that one which comes between two runs is no harm.
 */
static void alarm_set(const struct gen_conf *conf)
{
	struct itimerval timer = { .it_interval.tv_usec = ALARM_LATE_US };
	uint64_t us = conf->seconds * 1000000;

	if (conf->count && conf->rate) {
		uint64_t by_count = (double)conf->count / conf->rate * 1e6;

		us = us && us < by_count ? us : by_count;
	}
	if (!us)
		return;		/* unpaced by count: 'repeat' says when */
	us += ALARM_LATE_US;
	timer.it_value.tv_sec = us / 1000000;
	timer.it_value.tv_usec = us % 1000000;
	if (setitimer(ITIMER_REAL, &timer, NULL))
		err(1, "timer");
}

static bool is_finished(const struct gen_conf *conf, const struct gen_bpf *skel)
{
	return skel->bss->finished || (conf->count && skel->bss->sent >= conf->count);
}

static uint32_t runs_wanted(const struct gen_conf *conf, uint64_t sent)
{
	uint64_t left = 1U << 30;

	if (conf->count && !conf->rate && conf->count - sent < left)
		left = conf->count - sent;
	return left;
}

static void generate(const struct gen_conf *conf, struct gen_bpf *skel)
{
	static unsigned char frame[MAX_FRAME];
	unsigned int failures = 0;

	alarm_set(conf);
	while (!stopped && !is_finished(conf, skel)) {
		LIBBPF_OPTS(bpf_test_run_opts, opts,
			    .data_in = frame, .data_size_in = conf->size,
			    .repeat = runs_wanted(conf, skel->bss->sent),
			    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = conf->batch);
		int r = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.generate), &opts);

		if (!r || r == -EINTR) {
			failures = 0;
		} else if ((r != -EAGAIN && r != -ENOMEM) || ++failures > 100) {
			errno = -r;
			err(1, "%s: live-frame test run", conf->ifname);
		} else {
			usleep(1000);
		}
	}
}

/*
 * Frames the redirect did not deliver: what the interface counts as dropped (peer's ring full),
 * or what it did not count as sent at all (peer without NAPI), whichever is more.
 */
static uint32_t undelivered(uint64_t sent, struct link_count before, struct link_count after)
{
	uint32_t dropped = after.dropped - before.dropped;
	uint32_t missing = (uint32_t)sent - (after.packets - before.packets);

	if (missing > INT32_MAX)	/* other traffic on the interface: more left than we sent */
		missing = 0;
	return missing > dropped ? missing : dropped;
}

static void report(const struct gen_bpf *skel, uint32_t dropped)
{
	uint64_t sent = skel->bss->sent;
	double seconds = (skel->bss->last_ns - skel->bss->first_ns) / 1e9;

	/* n frames lie n - 1 steps apart */
	printf("{\"sent\":%llu,\"seconds\":%.6f,\"pps\":%.1f,"
	       "\"gen_dropped\":%u,\"late_max_us\":%.1f}\n",
	       (unsigned long long)sent, seconds, seconds > 0 ? (sent - 1) / seconds : 0, dropped,
	       skel->bss->late_max_ns / 1e3);
}

int main(int argc, char **argv)
{
	struct gen_conf conf = {
		.size = 64, .n_flows = 4, .ether_type = ETH_P_IP, .cpu = -1,
		.dst = { { 2, 0, 0, 0, 0, 2 } },
	};
	struct sigaction stop = { .sa_handler = on_stop }, tick = { .sa_handler = on_alarm };
	struct link_count before = { 0 }, after = { 0 };
	struct gen_bpf *skel;

	conf_parse(&conf, argc, argv);
	libbpf_set_print(opt_libbpf_print);
	if (!conf.batch)
		conf.batch = conf.rate ? 8 : 64;	/* a frame leaves when its batch ends */
	if (conf.cpu >= 0)
		opt_pin(conf.cpu);
	link_read(conf.ifname, &conf.src, NULL);
	skel = program_load(&conf);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGALRM, &tick, NULL);

	link_read(conf.ifname, NULL, &before);
	generate(&conf, skel);
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	usleep(SETTLE_US);
	link_read(conf.ifname, NULL, &after);

	report(skel, undelivered(skel->bss->sent, before, after));
	gen_bpf__destroy(skel);
	return 0;
}
