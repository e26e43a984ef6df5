/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * bench_frame.h - the test frame, seen alike by the generator and the sink.
 *
 * 60 bytes of it are fixed, so that the shortest Ethernet frame holds all; what
 * lies behind is padding. A frame is recognised by UDP port and magic together.
 */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>

#define BENCH_PORT	28258	/* UDP destination port */
#define BENCH_MAGIC	0xb7
#define BENCH_MAX_FLOWS 256

struct bench_frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	__u8 magic;
	__u8 flow;
	__u64 seq;	/* from 0, one count over all flows; host byte order */
	__u64 sent_ns;	/* CLOCK_MONOTONIC at which the generator wrote the frame */
} __attribute__((packed));

#endif
