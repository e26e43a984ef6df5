// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * sink.bpf.c - counts the generator's frames as they arrive and drops them.
 *
 * Counters are per CPU, without atomics; the bitmap of sequence numbers and the
 * flows' highest are shared. Everything else on the interface goes to the stack.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "bench_frame.h"
#include "sink.h"

const volatile __u16 ether_type_be;	/* set before load */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sink_count);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sink_histogram);
} histogram SEC(".maps");

__u64 seen[SINK_SEQUENCES / 64];
__u64 flow_next[BENCH_MAX_FLOWS];	/* highest sequence of the flow, plus one */

/* Log-linear: exact below 64 ns, then 64 buckets per power of two, so at most 1.6 % wide. */
static __always_inline __u32 bucket_of(__u64 ns)
{
	__u32 shift = 0;

	if (ns > SINK_MAX_NS)
		ns = SINK_MAX_NS;
	if (ns >> (shift + 16 + 6))
		shift += 16;
	if (ns >> (shift + 8 + 6))
		shift += 8;
	if (ns >> (shift + 4 + 6))
		shift += 4;
	if (ns >> (shift + 2 + 6))
		shift += 2;
	if (ns >> (shift + 1 + 6))
		shift += 1;
	if (ns >> (shift + 6))
		shift += 1;
	return shift ? shift * 64 + ((ns >> (shift - 1)) & 63) : ns;
}

static __always_inline void time_count(struct sink_count *count, __u64 now, __u64 sent_ns)
{
	__u64 latency = now > sent_ns ? now - sent_ns : 0;
	struct sink_histogram *h;
	__u32 zero = 0, bucket;

	if (!count->first_ns)
		count->first_ns = now;
	count->last_ns = now;
	if (latency > count->latency_max_ns)
		count->latency_max_ns = latency;
	h = bpf_map_lookup_elem(&histogram, &zero);
	bucket = bucket_of(latency);
	if (h && bucket < SINK_BUCKETS)
		h->n[bucket]++;
}

static __always_inline void sequence_count(struct sink_count *count, __u64 seq, __u8 flow)
{
	__u64 bit = 1ULL << (seq & 63);

	if (seq >= SINK_SEQUENCES)
		count->untracked++;
	else if (__sync_fetch_and_or(&seen[(seq / 64) & (SINK_SEQUENCES / 64 - 1)], bit) & bit) {
		count->duplicates++;
		return;
	}
	if (seq >= count->next)
		count->next = seq + 1;
	if (seq >= flow_next[flow])
		flow_next[flow] = seq + 1;
	else
		count->reordered++;
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct bench_frame *frame = data;
	struct sink_count *count;
	__u32 zero = 0;

	if ((void *)(frame + 1) > data_end)
		return XDP_PASS;
	if (frame->eth.h_proto != ether_type_be || frame->ip.protocol != IPPROTO_UDP ||
	    frame->udp.dest != bpf_htons(BENCH_PORT) || frame->magic != BENCH_MAGIC)
		return XDP_PASS;
	count = bpf_map_lookup_elem(&counts, &zero);
	if (!count)
		return XDP_PASS;

	count->received++;
	count->bytes += data_end - data;
	time_count(count, bpf_ktime_get_ns(), frame->sent_ns);
	sequence_count(count, frame->seq, frame->flow);
	return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
