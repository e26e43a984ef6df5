/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_modules.h - modules for network tests, in a worker of
 * their own: build/tests/modules/nbld-worker.
 */
#ifndef TESTS_TEST_MODULES_H
#define TESTS_TEST_MODULES_H

#include <nbl/module.h>

#define N_WITNESSES 3

extern const struct nbl_module hoard_module;			/* gives nothing back */
extern const struct nbl_module witness_modules[N_WITNESSES];	/* say what happens to them */

#endif
