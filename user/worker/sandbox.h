/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sandbox.h - the worker gives up what it does not need.
 *
 * The keeper starts it as nobody, without capabilities, in a network namespace
 * of its own with nothing in it (keeper/spawn.c); this is the rest: no new
 * privileges, no core dumps with packet bytes, and a short list of system calls.
 */
#ifndef WORKER_SANDBOX_H
#define WORKER_SANDBOX_H

#include <nbl/contract.h>

/*
 * Limits all threads of the process, for good, to the system calls of a running
 * worker; any other ends it. Call when all threads run. 0 or negative errno.
 */
NBL_MUST_CHECK int sandbox_enter(void);

#endif
