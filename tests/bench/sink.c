// SPDX-License-Identifier: BSD-2-Clause
/*
 * sink.c - nbl-sink: counts nbl-gen's frames on one interface, and times them.
 *
 * Counting happens in sink.bpf.c; this half waits, asleep, and prints one JSON line.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_link.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bench_frame.h"
#include "bench_opt.h"
#include "sink.h"
#include "sink.skel.h"

#define NSEC 1000000000ULL
#define TICK_NS 10000000	/* how often ends other than a signal are looked for */

struct sink_conf {
	const char *ifname;
	const char *ready_file;
	int ready_fd;			/* -1 = none */
	unsigned int ifindex;
	unsigned int ether_type, n_flows; /* of the frames counted; 0 flows = not told apart */
	uint64_t seconds, count, idle_ms;	/* 0 = no such end */
};

static void usage(FILE *out)
{
	fprintf(out,
		"usage: nbl-sink --if IF [--seconds S] [--count N] [--idle-ms MS]\n"
		"                [--ready-fd FD | --ready-file FILE] [--ether-type NUMBER] "
		"[--flows N]\n"
		"  ends on SIGINT or SIGTERM, after S seconds, after N frames, or when none came\n"
		"  for MS milliseconds after the first; once attached, writes FD or makes FILE\n"
		"  --flows: as nbl-gen was told; says how many distinct frames of each came\n");
}

static void conf_parse(struct sink_conf *conf, int argc, char **argv)
{
	static const struct option options[] = {
		{ "if", required_argument, NULL, 'i' },
		{ "seconds", required_argument, NULL, 't' },
		{ "count", required_argument, NULL, 'n' },
		{ "idle-ms", required_argument, NULL, 'm' },
		{ "ready-fd", required_argument, NULL, 'r' },
		{ "ready-file", required_argument, NULL, 'R' },
		{ "ether-type", required_argument, NULL, 'e' },
		{ "flows", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'i': conf->ifname = optarg; break;
		case 't': conf->seconds = opt_number("seconds", optarg, 1, 86400); break;
		case 'n': conf->count = opt_number("count", optarg, 1, UINT64_MAX >> 1); break;
		case 'm': conf->idle_ms = opt_number("idle-ms", optarg, 1, 86400000); break;
		case 'r': conf->ready_fd = opt_number("ready-fd", optarg, 0, 1 << 20); break;
		case 'R': conf->ready_file = optarg; break;
		case 'e': conf->ether_type = opt_number("ether-type", optarg, 0x600, 0xffff); break;
		case 'f': conf->n_flows = opt_number("flows", optarg, 1, BENCH_MAX_FLOWS); break;
		case 'h': usage(stdout); exit(0);
		default: usage(stderr); exit(2);
		}
	}
	if (optind < argc || !conf->ifname) {
		usage(stderr);
		exit(2);
	}
	conf->ifindex = opt_ifindex(conf->ifname);
}

/* Attaches by link, so that the program leaves with this process. Returns the link, owned. */
static int program_attach(const struct sink_conf *conf, const struct sink_bpf *skel)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	int prog = bpf_program__fd(skel->progs.sink);
	int link = bpf_link_create(prog, conf->ifindex, BPF_XDP, &opts);

	if (link < 0 && errno != EBUSY) {
		warn("%s: native XDP refused, using generic", conf->ifname);
		opts.flags = XDP_FLAGS_SKB_MODE;
		link = bpf_link_create(prog, conf->ifindex, BPF_XDP, &opts);
	}
	if (link < 0)
		err(1, "%s: attach", conf->ifname);
	return link;
}

static void ready_tell(const struct sink_conf *conf)
{
	int fd = conf->ready_fd;

	if (conf->ready_file) {
		fd = open(conf->ready_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			err(1, "%s", conf->ready_file);
	}
	if (fd >= 0 && write(fd, "ready\n", 6) != 6)
		err(1, "ready descriptor");
	if (conf->ready_file)
		close(fd);
}

/* Fills the sum of all CPUs' counters. */
static void counts_read(const struct sink_bpf *skel, struct sink_count *ret_sum)
{
	int n_cpus = libbpf_num_possible_cpus();
	struct sink_count *cpus = calloc(n_cpus, sizeof(*cpus));
	struct sink_count sum = { 0 };
	uint32_t zero = 0;

	if (!cpus || bpf_map_lookup_elem(bpf_map__fd(skel->maps.counts), &zero, cpus))
		err(1, "counters");
	for (struct sink_count *c = cpus; c < cpus + n_cpus; c++) {
		if (!c->received)
			continue;
		if (!sum.received || c->first_ns < sum.first_ns)
			sum.first_ns = c->first_ns;
		if (c->last_ns > sum.last_ns)
			sum.last_ns = c->last_ns;
		if (c->next > sum.next)
			sum.next = c->next;
		if (c->latency_max_ns > sum.latency_max_ns)
			sum.latency_max_ns = c->latency_max_ns;
		sum.received += c->received;
		sum.bytes += c->bytes;
		sum.duplicates += c->duplicates;
		sum.reordered += c->reordered;
		sum.untracked += c->untracked;
	}
	free(cpus);
	*ret_sum = sum;
}

static void histogram_read(const struct sink_bpf *skel, struct sink_histogram *ret_sum)
{
	int n_cpus = libbpf_num_possible_cpus();
	struct sink_histogram *cpus = calloc(n_cpus, sizeof(*cpus));
	uint32_t zero = 0;

	if (!cpus || bpf_map_lookup_elem(bpf_map__fd(skel->maps.histogram), &zero, cpus))
		err(1, "histogram");
	memset(ret_sum, 0, sizeof(*ret_sum));
	for (int cpu = 0; cpu < n_cpus; cpu++)
		for (unsigned int i = 0; i < SINK_BUCKETS; i++)
			ret_sum->n[i] += cpus[cpu].n[i];
	free(cpus);
}

/* The middle of a bucket of sink.bpf.c's bucket_of(). */
static double bucket_ns(unsigned int bucket)
{
	unsigned int octave = bucket / 64;

	if (octave < 2)
		return bucket;
	return (64 + bucket % 64 + 0.5) * (1ULL << (octave - 1));
}

static double percentile_us(const struct sink_histogram *h, uint64_t total, double percent)
{
	double wanted = total * percent / 100;
	uint64_t below = 0;

	for (unsigned int i = 0; i < SINK_BUCKETS; i++) {
		below += h->n[i];
		if (below && below >= wanted)
			return bucket_ns(i) / 1e3;
	}
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

static bool end_reached(const struct sink_conf *conf, const struct sink_bpf *skel, uint64_t start)
{
	struct sink_count sum;
	uint64_t now;

	counts_read(skel, &sum);
	now = now_ns();
	if (conf->seconds && now - start >= conf->seconds * NSEC)
		return true;
	if (conf->count && sum.received >= conf->count)
		return true;
	return conf->idle_ms && sum.received && now > sum.last_ns &&
	       now - sum.last_ns >= conf->idle_ms * 1000000;
}

/* 'stop_set' (borrows) is blocked: a stop signal is taken here and nowhere else. */
static void wait_for_end(const struct sink_conf *conf, const struct sink_bpf *skel,
			 const sigset_t *stop_set)
{
	const struct timespec tick = { .tv_nsec = TICK_NS };
	uint64_t start = now_ns();
	int sig;

	if (!conf->seconds && !conf->count && !conf->idle_ms) {
		sigwait(stop_set, &sig);
		return;
	}
	while (!end_reached(conf, skel, start))
		if (sigtimedwait(stop_set, NULL, &tick) > 0)
			return;
}

/* Frames are numbered in one count, and go to the flows in turn. */
static void report_flows(const struct sink_conf *conf, const struct sink_bpf *skel, uint64_t end)
{
	unsigned long long flows[BENCH_MAX_FLOWS] = { 0 };

	for (uint64_t seq = 0; seq < end && seq < SINK_SEQUENCES; seq++)
		flows[seq % conf->n_flows] += skel->bss->seen[seq / 64] >> (seq % 64) & 1;
	for (unsigned int i = 0; i < conf->n_flows; i++)
		printf("%s%llu", i ? "," : ",\"flows\":[", flows[i]);
	printf("]");
}

static void report(const struct sink_conf *conf, const struct sink_bpf *skel)
{
	struct sink_histogram h;
	struct sink_count sum;
	uint64_t distinct;
	double seconds;

	counts_read(skel, &sum);
	histogram_read(skel, &h);
	distinct = sum.received - sum.duplicates;
	seconds = (sum.last_ns - sum.first_ns) / 1e9;
	printf("{\"received\":%llu,\"distinct\":%llu,\"lost\":%llu,\"duplicates\":%llu,"
	       "\"reordered\":%llu,\"highest\":%lld,\"untracked\":%llu,\"bytes\":%llu,"
	       "\"seconds\":%.6f,\"pps\":%.1f,",
	       sum.received, (unsigned long long)distinct,
	       (unsigned long long)(sum.next > distinct ? sum.next - distinct : 0),
	       sum.duplicates, sum.reordered, (long long)sum.next - 1, sum.untracked, sum.bytes,
	       seconds, seconds > 0 ? (sum.received - 1) / seconds : 0);
	printf("\"latency_us\":{\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"p999\":%.2f,"
	       "\"max\":%.2f}",
	       percentile_us(&h, sum.received, 50), percentile_us(&h, sum.received, 90),
	       percentile_us(&h, sum.received, 99), percentile_us(&h, sum.received, 99.9),
	       sum.latency_max_ns / 1e3);
	if (conf->n_flows)
		report_flows(conf, skel, sum.next);
	printf("}\n");
}

int main(int argc, char **argv)
{
	struct sink_conf conf = { .ready_fd = -1, .ether_type = ETH_P_IP };
	struct sink_bpf *skel;
	sigset_t stop_set;
	int link;

	conf_parse(&conf, argc, argv);
	libbpf_set_print(opt_libbpf_print);
	sigemptyset(&stop_set);
	sigaddset(&stop_set, SIGINT);
	sigaddset(&stop_set, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop_set, NULL);

	skel = sink_bpf__open();
	if (!skel)
		err(1, "sink program: open");
	skel->rodata->ether_type_be = htons((uint16_t)conf.ether_type);
	errno = -sink_bpf__load(skel);
	if (errno)
		err(1, "sink program: load");
	link = program_attach(&conf, skel);
	ready_tell(&conf);
	wait_for_end(&conf, skel, &stop_set);
	close(link);		/* first, so that what is reported no longer moves */
	report(&conf, skel);
	sink_bpf__destroy(skel);
	return 0;
}
