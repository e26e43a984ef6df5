// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_watch.c - every change of a watched interface is told, once.
 */
#include <poll.h>
#include <unistd.h>

#include "netns_fixture.h"
#include "port/watch.h"

static struct watch *watch;

static void start(void)
{
	struct watch_event e;
	struct netdev n;

	/* Carrier comes a moment after both ends are up. */
	do {
		usleep(1000);
		ck_assert_int_eq(netdev_get("nic", &n), 0);
	} while (!n.carrier);
	ck_assert_int_eq(watch_open(&watch), 0);
	ck_assert_int_eq(watch_add(watch, nic), 0);
	while (watch_next(watch, &e) > 0)
		;
}

/* The next event, within a second. */
static struct watch_event expect(enum watch_what what)
{
	struct pollfd pfd = { .fd = watch_fd(watch), .events = POLLIN };
	struct watch_event e = { 0 };
	int r;

	while ((r = watch_next(watch, &e)) == 0)
		ck_assert_msg(poll(&pfd, 1, 1000) == 1, "event %d did not come", what);
	ck_assert_int_eq(r, 1);
	ck_assert_int_eq(e.what, what);
	return e;
}

static void expect_nothing(void)
{
	struct watch_event e;

	usleep(50000);
	ck_assert_int_eq(watch_next(watch, &e), 0);
}

START_TEST(down_and_up_are_told)
{
	start();
	ck_assert_int_eq(netdev_set_flags(nic, 0, IFF_UP), 0);
	ck_assert_uint_eq(expect(WATCH_DOWN).ifindex, nic);
	expect(WATCH_CARRIER_OFF);
	ck_assert_int_eq(netdev_set_flags(nic, IFF_UP, IFF_UP), 0);
	expect(WATCH_UP);
	expect(WATCH_CARRIER_ON);
	expect_nothing();
	watch_close(watch);
}
END_TEST

START_TEST(carrier_is_told_when_the_other_end_goes)
{
	start();
	ck_assert_int_eq(netdev_set_flags(wire, 0, IFF_UP), 0);
	expect(WATCH_CARRIER_OFF);
	expect_nothing();
	watch_close(watch);
}
END_TEST

START_TEST(deletion_is_told_and_ends_the_watching)
{
	struct watch_event e;

	start();
	ck_assert_int_eq(netdev_delete(nic), 0);
	do
		ck_assert_int_eq(watch_next(watch, &e), 1);
	while (e.what != WATCH_DELETED);
	ck_assert_uint_eq(e.ifindex, nic);
	expect_nothing();
	watch_close(watch);
}
END_TEST

START_TEST(a_new_mtu_is_told)
{
	start();
	ck_assert_int_eq(netdev_set_mtu(nic, 1400), 0);
	ck_assert_uint_eq(expect(WATCH_MTU).mtu, 1400);
	expect_nothing();
	watch_close(watch);
}
END_TEST

START_TEST(a_new_name_is_told)
{
	start();
	ck_assert_int_eq(system("ip link set dev nic name nic9"), 0);
	ck_assert_str_eq(expect(WATCH_RENAMED).name, "nic9");
	expect_nothing();
	watch_close(watch);
}
END_TEST

START_TEST(a_new_interface_is_told_once)
{
	struct watch_event e;

	start();
	make_link("new0", "new1");
	e = expect(WATCH_CREATED);
	ck_assert(!strcmp(e.name, "new0") || !strcmp(e.name, "new1"));
	expect(WATCH_CREATED);
	expect_nothing();
	watch_close(watch);
}
END_TEST

START_TEST(what_the_kernel_had_no_room_to_tell_is_found_out)
{
	struct watch_event e = { 0 };

	start();
	/* Far more messages than a socket holds, the one that matters last. */
	for (int i = 0; i < 4000; i++)
		ck_assert_int_eq(netdev_set_mtu(nic, 1400 + i % 2), 0);
	ck_assert_int_eq(netdev_set_mtu(nic, 1300), 0);
	while (watch_next(watch, &e) > 0)
		ck_assert_int_eq(e.what, WATCH_MTU);
	ck_assert_uint_eq(e.mtu, 1300);
	watch_close(watch);
}
END_TEST

START_TEST(one_watched_again_before_its_end_was_told_is_watched_once)
{
	struct watch_event e = { 0 };
	char command[128];

	start();
	ck_assert_int_eq(watch_add(watch, wire), 0);
	/* So many that the end of both is found out at once, and told one after the other. */
	for (int i = 0; i < 4000; i++)
		ck_assert_int_eq(netdev_set_mtu(nic, 1400 + i % 2), 0);
	ck_assert_int_eq(netdev_delete(nic), 0);
	while (e.what != WATCH_DELETED)
		ck_assert_int_eq(watch_next(watch, &e), 1);
	ck_assert_uint_eq(e.ifindex, wire);
	snprintf(command, sizeof(command), "ip link add nic index %u type veth peer name wire",
		 nic);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(watch_add(watch, nic), 0);
	while (watch_next(watch, &e) > 0)
		ck_assert_int_ne(e.what, WATCH_DELETED);
	ck_assert_int_eq(netdev_set_mtu(nic, 1300), 0);
	ck_assert_uint_eq(expect(WATCH_MTU).mtu, 1300);
	watch_close(watch);
}
END_TEST

START_TEST(others_are_not_told_of)
{
	start();
	ck_assert_int_eq(netdev_set_mtu(wire, 1400), 0);
	expect_nothing();
	watch_remove(watch, nic);
	ck_assert_int_eq(netdev_set_mtu(nic, 1400), 0);
	expect_nothing();
	watch_close(watch);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ down_and_up_are_told, 1 },
		{ carrier_is_told_when_the_other_end_goes, 1 },
		{ deletion_is_told_and_ends_the_watching, 1 },
		{ a_new_mtu_is_told, 1 },
		{ a_new_name_is_told, 1 },
		{ a_new_interface_is_told_once, 1 },
		{ what_the_kernel_had_no_room_to_tell_is_found_out, 1 },
		{ one_watched_again_before_its_end_was_told_is_watched_once, 1 },
		{ others_are_not_told_of, 1 },
	};

	return bpf_run("watch", tests, N_ELEMENTS(tests), netns_setup, NULL);
}
