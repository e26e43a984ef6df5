/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ports.c - port numbers, their states, the queue of each. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "stack/ports.h"

#define N_QUEUES 4
#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

static struct nbl_ports ports;

static void begin(void)
{
	ck_assert_int_eq(nbl_ports_init(&ports, N_QUEUES), 0);
}

static void end(void)
{
	nbl_ports_done(&ports);
}

#define LIST(...) \
	(const uint32_t []){ __VA_ARGS__ }, N_ELEMENTS(((const uint32_t []){ __VA_ARGS__ }))

START_TEST(PT_01_the_default_port_is_usable_with_no_port_allocated)
{
	ck_assert_int_eq(nbl_ports_queue(&ports, 0), 0);
	ck_assert_int_eq(nbl_ports_activate(&ports, LIST(0)), 0);
	ck_assert_int_eq(nbl_ports_deactivate(&ports, LIST(0)), -EINVAL);
	ck_assert_int_eq(nbl_ports_free(&ports, 0), -EINVAL);
	ck_assert_int_eq(nbl_ports_queue(&ports, 0), 0);
}
END_TEST

START_TEST(PT_02_the_lowest_free_number_is_given)
{
	for (int port = 1; port <= 3; port++)
		ck_assert_int_eq(nbl_ports_alloc(&ports), port);
	ck_assert_int_eq(nbl_ports_free(&ports, 2), 0);
	ck_assert_int_eq(nbl_ports_free(&ports, 2), -EINVAL);
	ck_assert_int_eq(nbl_ports_free(&ports, 4), -EINVAL);
	ck_assert_int_eq(nbl_ports_free(&ports, UINT32_MAX), -EINVAL);
	ck_assert_int_eq(nbl_ports_alloc(&ports), 2);
	ck_assert_int_eq(nbl_ports_alloc(&ports), 4);
}
END_TEST

START_TEST(PT_02_numbers_run_to_0xffffff_and_then_are_refused)
{
	for (int port = 1; port <= (int)NBL_MAX_PORT; port++)
		if (nbl_ports_alloc(&ports) != port)
			ck_abort_msg("not %d", port);
	ck_assert_int_eq(nbl_ports_alloc(&ports), -ENOSPC);
	ck_assert_int_eq(nbl_ports_free(&ports, 0x123456), 0);
	ck_assert_int_eq(nbl_ports_alloc(&ports), 0x123456);
	ck_assert_int_eq(nbl_ports_alloc(&ports), -ENOSPC);
}
END_TEST

START_TEST(PT_03_a_port_is_used_only_while_active)
{
	ck_assert_int_eq(nbl_ports_queue(&ports, 1), -EINVAL);
	ck_assert_int_eq(nbl_ports_activate(&ports, LIST(1)), -EINVAL);
	ck_assert_int_eq(nbl_ports_alloc(&ports), 1);
	ck_assert_int_eq(nbl_ports_queue(&ports, 1), -ENETDOWN);
	ck_assert_int_eq(nbl_ports_deactivate(&ports, LIST(1)), -EINVAL);
	ck_assert_int_eq(nbl_ports_activate(&ports, LIST(1)), 0);
	ck_assert_int_eq(nbl_ports_queue(&ports, 1), 1);
	ck_assert_int_eq(nbl_ports_activate(&ports, LIST(1)), -EALREADY);
	ck_assert_int_eq(nbl_ports_free(&ports, 1), -EBUSY);
	ck_assert_int_eq(nbl_ports_deactivate(&ports, LIST(1)), 0);
	ck_assert_int_eq(nbl_ports_queue(&ports, 1), -ENETDOWN);
	ck_assert_int_eq(nbl_ports_free(&ports, 1), 0);
	ck_assert_int_eq(nbl_ports_queue(&ports, 1), -EINVAL);
	ck_assert_int_eq(nbl_ports_queue(&ports, UINT32_MAX), -EINVAL);
}
END_TEST

/* Ports 1 .. 5 are allocated, the last one without a queue; 3 is active. */
static const struct {
	uint32_t list[3];
	uint32_t n;
	int result;
} lists[] = {
	{ { 1, 2 }, 2, 0 },
	{ { 1, 2, 3 }, 3, -EALREADY },
	{ { 1, 2, 5 }, 3, -ENXIO },
	{ { 1, 2, 6 }, 3, -EINVAL },
	{ { 1, 2, 2 }, 3, -EINVAL },
	{ { 1, 0 }, 2, -EINVAL },
	{ { 0, 1 }, 2, -EINVAL },
	{ { 1 }, 0, -EINVAL },
};

START_TEST(PT_03_a_list_is_activated_whole_or_not_at_all)
{
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(nbl_ports_alloc(&ports), i + 1);
	ck_assert_int_eq(nbl_ports_activate(&ports, LIST(3)), 0);
	ck_assert_int_eq(nbl_ports_activate(&ports, lists[_i].list, lists[_i].n), lists[_i].result);
	for (uint32_t port = 1; port <= 2; port++)
		ck_assert_int_eq(nbl_ports_queue(&ports, port),
				 lists[_i].result ? -ENETDOWN : (int)port);
	ck_assert_int_eq(nbl_ports_queue(&ports, 3), 3);
	/* and deactivated in the same way */
	ck_assert_int_eq(nbl_ports_deactivate(&ports, LIST(3, 4)), -EINVAL);
	ck_assert_int_eq(nbl_ports_deactivate(&ports, LIST(3, 3)), -EINVAL);
	ck_assert_int_eq(nbl_ports_queue(&ports, 3), 3);
}
END_TEST

START_TEST(PT_03_deactivation_waits_for_sends_and_takes_no_more)
{
	ck_assert_int_eq(nbl_ports_alloc(&ports), 1);
	ck_assert_int_eq(nbl_ports_alloc(&ports), 2);
	ck_assert_int_eq(nbl_ports_activate(&ports, LIST(1, 2)), 0);
	nbl_ports_note_sent(&ports, 2);
	nbl_ports_note_sent(&ports, 2);
	ck_assert_int_eq(nbl_ports_deactivate(&ports, LIST(1, 2)), -EBUSY);
	ck_assert_int_eq(nbl_ports_queue(&ports, 1), -ENETDOWN);
	ck_assert_int_eq(nbl_ports_queue(&ports, 2), -ENETDOWN);
	ck_assert_int_eq(nbl_ports_free(&ports, 1), -EBUSY);
	nbl_ports_note_completed(&ports, 2);
	ck_assert_int_eq(nbl_ports_deactivate(&ports, LIST(1, 2)), -EBUSY);
	nbl_ports_note_completed(&ports, 2);
	ck_assert_int_eq(nbl_ports_deactivate(&ports, LIST(1, 2)), 0);
	ck_assert_int_eq(nbl_ports_free(&ports, 1), 0);
	ck_assert_int_eq(nbl_ports_free(&ports, 2), 0);
}
END_TEST

START_TEST(PT_03_a_port_that_is_closing_can_be_activated_again)
{
	ck_assert_int_eq(nbl_ports_alloc(&ports), 1);
	ck_assert_int_eq(nbl_ports_activate(&ports, LIST(1)), 0);
	nbl_ports_note_sent(&ports, 1);
	ck_assert_int_eq(nbl_ports_deactivate(&ports, LIST(1)), -EBUSY);
	ck_assert_int_eq(nbl_ports_activate(&ports, LIST(1)), 0);
	ck_assert_int_eq(nbl_ports_queue(&ports, 1), 1);
	nbl_ports_note_completed(&ports, 1);
}
END_TEST

START_TEST(PT_04_a_port_stands_for_the_queue_of_its_number)
{
	for (int i = 0; i < N_QUEUES; i++)
		ck_assert_int_eq(nbl_ports_alloc(&ports), i + 1);
	ck_assert_int_eq(nbl_ports_activate(&ports, LIST(4, 2, 3, 1)), 0);
	for (uint32_t port = 1; port <= N_QUEUES; port++)
		ck_assert_int_eq(nbl_ports_queue(&ports, port), (int)port);
	ck_assert_int_eq(nbl_ports_queue(&ports, 0), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ports");
	TCase *tc = tcase_create("ports");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, PT_01_the_default_port_is_usable_with_no_port_allocated);
	tcase_add_test(tc, PT_02_the_lowest_free_number_is_given);
	tcase_add_test(tc, PT_02_numbers_run_to_0xffffff_and_then_are_refused);
	tcase_add_test(tc, PT_03_a_port_is_used_only_while_active);
	tcase_add_loop_test(tc, PT_03_a_list_is_activated_whole_or_not_at_all, 0,
			    (int)N_ELEMENTS(lists));
	tcase_add_test(tc, PT_03_deactivation_waits_for_sends_and_takes_no_more);
	tcase_add_test(tc, PT_03_a_port_that_is_closing_can_be_activated_again);
	tcase_add_test(tc, PT_04_a_port_stands_for_the_queue_of_its_number);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
