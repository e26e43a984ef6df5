// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * gen.bpf.c - one call per candidate frame: writes it and sends it, or drops it.
 *
 * User space runs this through live-frame test runs, far more often than frames
 * are wanted; the program alone decides which calls are due, so the rate does not
 * depend on when user space gets to run. One thread calls it: plain globals do.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "bench_frame.h"

/* Set before load. */
const volatile __u32 target_ifindex;
const volatile __u64 step_ns;		/* between two frames; 0 with step_frac 0 = unpaced */
const volatile __u32 step_frac;		/* and 2^-32 ns of it, so that no rate is rounded */
const volatile __u64 limit_frames;	/* 0 = none */
const volatile __u64 limit_ns;		/* 0 = none */
const volatile __u32 n_flows = 1;
const volatile __u16 first_port;	/* flow i sends from UDP port first_port + i */

struct bench_frame template;		/* headers and magic, set before the first run */

/* Read by user space between and after runs. */
__u64 sent, first_ns, last_ns, late_max_ns;
__u8 finished;

static __u64 next_ns, next_frac;
static __u32 next_flow;

/* True when the slot of the next frame has come; then moves on to the following slot. */
static __always_inline int slot_due(__u64 now)
{
	if (finished)
		return 0;
	if (!first_ns)
		first_ns = next_ns = now;
	if ((limit_frames && sent >= limit_frames) || (limit_ns && now - first_ns >= limit_ns)) {
		finished = 1;
		return 0;
	}
	if (!step_ns && !step_frac)
		return 1;
	if (now < next_ns)
		return 0;
	if (now - next_ns > late_max_ns)
		late_max_ns = now - next_ns;
	next_frac += step_frac;
	next_ns += step_ns + (next_frac >> 32);
	next_frac &= 0xffffffff;
	return 1;
}

/* The page may hold what its last user left there: every field is written each time. */
static __always_inline void frame_write(struct bench_frame *frame, __u64 now)
{
	__u32 flow = next_flow;

	__builtin_memcpy(frame, &template, sizeof(*frame));
	frame->udp.source = bpf_htons(first_port + flow);
	frame->flow = flow;
	frame->seq = sent;
	frame->sent_ns = now;
	next_flow = flow + 1 < n_flows ? flow + 1 : 0;
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct bench_frame *frame = data;
	__u64 now;

	if ((void *)(frame + 1) > data_end)
		return XDP_ABORTED;

	now = bpf_ktime_get_ns();
	if (!slot_due(now))
		return XDP_DROP;

	frame_write(frame, now);
	sent++;
	last_ns = now;
	return bpf_redirect(target_ifindex, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
