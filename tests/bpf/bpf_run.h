/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_run.h - runs the tests that the kernel has to have a part in, where it will. */
#ifndef BPF_RUN_H
#define BPF_RUN_H

#include <errno.h>
#include <stdio.h>

#include "port/why.h"
#include "unit/run.h"

#define TEST_SKIPPED 77
#define TEST_SECONDS 20		/* each may take, on a busy machine too */

/* unit_run_with(), or the status for "skipped" where the kernel will not let it load anything. */
static int bpf_run(const char *name, const struct unit_test *tests, size_t n_tests, SFun setup,
		   SFun teardown)
{
	const char *missing = why_reason(EPERM, NULL);

	if (missing) {
		printf("SKIP: %s\n", missing);
		return TEST_SKIPPED;
	}
	return unit_run_with(name, tests, n_tests, TEST_SECONDS, setup, teardown);
}

#endif
