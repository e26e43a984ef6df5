/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bpf_fixture.h - loads the programs for a test, and runs them on one packet without any interface.
 *
 * Every test gets fresh maps. Programs bound to an interface cannot be run this way and are left
 * out; test_leg.c has them on a real one.
 */
#ifndef BPF_FIXTURE_H
#define BPF_FIXTURE_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bpf_run.h"
#include "nbl_shared.h"
#include "nbl_xdp.skel.h"
#include "port/libbpf_log.h"

#define TEST_LANE 3		/* serves queue 0 of both sides */
#define TEST_NIC 1		/* interface indexes the programs are given */
#define TEST_DAEMON_END 42
#define TEST_KERNEL_END 43
#define TEST_LIMIT_NS 1000000

static struct nbl_xdp *bpf;
static int test_socket = -1;

static uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void map_set(struct bpf_map *map, uint32_t key, const void *value)
{
	ck_assert_int_eq(bpf_map_update_elem(bpf_map__fd(map), &key, value, BPF_ANY), 0);
}

static void set_control(enum nbl_mode mode, enum nbl_fallback fallback, uint64_t limit_ns)
{
	const struct nbl_control control = {
		.mode = mode, .fallback = fallback, .hang_limit_ns = limit_ns,
	};

	map_set(bpf->maps.nbl_control, 0, &control);
}

static void set_turns(uint64_t turns)
{
	const struct nbl_progress progress = { .turns = turns };

	map_set(bpf->maps.nbl_progress, TEST_LANE, &progress);
}

static struct nbl_path path_of(enum nbl_side side)
{
	int n_cpus = libbpf_num_possible_cpus();
	struct nbl_path *each = calloc((size_t)n_cpus, sizeof(*each));
	struct nbl_path sum = { 0 };
	uint32_t key = side;

	ck_assert_ptr_nonnull(each);
	ck_assert_int_eq(bpf_map_lookup_elem(bpf_map__fd(bpf->maps.nbl_path), &key, each), 0);
	for (int i = 0; i < n_cpus; i++) {
		sum.redirected += each[i].redirected;
		sum.bypassed += each[i].bypassed;
		sum.hung += each[i].hung;
		sum.dropped += each[i].dropped;
	}
	free(each);
	return sum;
}

static void bpf_setup(void)
{
	libbpf_log_clear();
	bpf = nbl_xdp__open();
	ck_assert_ptr_nonnull(bpf);
	bpf->rodata->nbl_ifindex[NBL_LOWER] = TEST_NIC;
	bpf->rodata->nbl_ifindex[NBL_UPPER] = TEST_DAEMON_END;
	bpf->rodata->nbl_leg_kernel_ifindex = TEST_KERNEL_END;
	/* Out of the lower port XDP can send, out of the upper it cannot. */
	bpf->rodata->nbl_wire_by_tc[NBL_LOWER] = 1;
	bpf_program__set_autoload(bpf->progs.nbl_xdp_lower_t, false);
	bpf_program__set_autoload(bpf->progs.nbl_xdp_upper_t, false);
	ck_assert_msg(nbl_xdp__load(bpf) == 0, "%s", libbpf_log_first());
	for (uint32_t side = 0; side < NBL_N_SIDES; side++)
		map_set(bpf->maps.nbl_lane_of, side * NBL_MAX_QUEUES, &(uint32_t){ TEST_LANE });
	/* Never bound: the programs ask only whether the slot has a socket. */
	test_socket = socket(AF_XDP, SOCK_RAW, 0);
	ck_assert_int_ge(test_socket, 0);
}

static void bpf_teardown(void)
{
	close(test_socket);
	nbl_xdp__destroy(bpf);
	bpf = NULL;
}

#endif
