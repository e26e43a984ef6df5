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
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf_run.h"
#include "port/netdev.h"

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

#endif
