/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netns_fixture.h - a network namespace of the test's own, with a NIC and what it is wired to.
 *
 *   nic <===veth===> wire
 *
 * Check runs every test in a process of its own, so the namespace goes with the test.
 */
#ifndef NETNS_FIXTURE_H
#define NETNS_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port/netdev.h"
#include "port/why.h"

#define TEST_SKIPPED 77
#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

static uint32_t nic, wire;

static uint32_t make_link(const char *name, const char *peer)
{
	const struct netdev_veth veth = {
		.name = name, .peer = peer, .n_queues = 2, .mtu = 1500, .alias = "test",
	};

	ck_assert_int_eq(netdev_create_veth(&veth), 0);
	return if_nametoindex(name);
}

static void netns_setup(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	nic = make_link("nic", "wire");
	wire = if_nametoindex("wire");
	ck_assert_int_eq(netdev_set_flags(nic, IFF_UP, IFF_UP), 0);
	ck_assert_int_eq(netdev_set_flags(wire, IFF_UP, IFF_UP), 0);
}

static int run_suite(const char *name, TCase *tests)
{
	const char *missing = why_reason(EPERM, NULL);
	Suite *suite = suite_create(name);
	SRunner *runner;
	int n_failed;

	if (missing) {
		printf("SKIP: %s\n", missing);
		return TEST_SKIPPED;
	}
	tcase_add_checked_fixture(tests, netns_setup, NULL);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
