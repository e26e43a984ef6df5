/* SPDX-License-Identifier: BSD-2-Clause */
/* run.h - how a program of tests runs them, whatever fixture it has. */
#ifndef UNIT_RUN_H
#define UNIT_RUN_H

#include <check.h>
#include <stdlib.h>

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

struct unit_test {
	const TTest *test;
	int n_cases;			/* it is run with _i from 0 to this */
};

/*
 * Runs 'tests', each with 'setup' and 'teardown' around it (NULL: none) and for at most
 * timeout_s. Returns the exit status of the program.
 */
__attribute__((unused)) static int
unit_run_with(const char *name, const struct unit_test *tests, size_t n_tests, int timeout_s,
	      SFun setup, SFun teardown)
{
	Suite *suite = suite_create(name);
	TCase *tc = tcase_create(name);
	SRunner *runner;
	int n_failed;

	tcase_set_timeout(tc, timeout_s);
	if (setup)
		tcase_add_checked_fixture(tc, setup, teardown);
	for (size_t i = 0; i < n_tests; i++)
		tcase_add_loop_test(tc, tests[i].test, 0, tests[i].n_cases);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
