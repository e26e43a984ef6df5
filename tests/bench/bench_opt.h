/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_opt.h - what the bench programs share on their command lines.
 *
 * Every helper ends the program with status 2 and one sentence when the user erred.
 */
#ifndef BENCH_OPT_H
#define BENCH_OPT_H

#include <err.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <bpf/libbpf.h>

/* A decimal number in [min, max]; 'name' (borrows) is the option, for the message. */
static inline uint64_t opt_number(const char *name, const char *text, uint64_t min, uint64_t max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || value < min || value > max)
		errx(2, "--%s %s: not a number from %llu to %llu", name, text,
		     (unsigned long long)min, (unsigned long long)max);
	return value;
}

/* The index of an interface of the current network namespace. */
static inline unsigned int opt_ifindex(const char *ifname)
{
	unsigned int ifindex = if_nametoindex(ifname);

	if (!ifindex)
		err(2, "%s: no such interface", ifname);
	return ifindex;
}

static inline void opt_pin(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(2, "--cpu %u", cpu);
}

/* libbpf print callback: warnings only, to standard error. */
__attribute__((format(printf, 2, 0)))
static inline int opt_libbpf_print(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

#endif
