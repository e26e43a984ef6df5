/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * sink.h - what the sink's program counts and its user half reads.
 */
#ifndef BENCH_SINK_H
#define BENCH_SINK_H

#include <linux/types.h>

#define SINK_SEQUENCES	(1 << 25)	/* followed singly; higher ones are only counted */
#define SINK_MAX_NS	((1ULL << 37) - 1)
#define SINK_BUCKETS	(32 * 64)	/* 64 per power of two; fits one per-CPU value */

struct sink_count {
	__u64 received;
	__u64 bytes;
	__u64 duplicates;
	__u64 reordered;	/* below its flow's highest, and not a duplicate */
	__u64 untracked;	/* sequence beyond the bitmap: taken as distinct */
	__u64 next;		/* highest sequence, plus one */
	__u64 first_ns, last_ns;
	__u64 latency_max_ns;
};

struct sink_histogram {
	__u64 n[SINK_BUCKETS];
};

#endif
