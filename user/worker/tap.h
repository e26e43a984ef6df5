/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap.h - a binding whose far end is a network device.
 *
 * What the adapter receives of its types is copied to the device, on the lane threads; what
 * is sent to the device is sent by the binding from the top of the stack, read on the
 * worker's main thread. Neither side ever waits for the other: what the device does not
 * take is dropped and counted, what the stack has no memory for waits in the device.
 */
#ifndef WORKER_TAP_H
#define WORKER_TAP_H

#include "edge/tap_conf.h"

struct tap;

/*
 * Opens the binding over 'fd' (takes, on error too), with frames of 'pool' (borrows) for what
 * is sent (fills ret_tap: owned, tap_close()). Lanes at rest. 0 or negative errno.
 */
NBL_MUST_CHECK int tap_open(struct nbl_bindings *bindings, struct nbl_pool *pool,
			    const struct tap_conf *conf, int fd, struct tap **ret_tap);

/*
 * Closes it (takes on success; NULL is fine). Lanes at rest. -EBUSY while what it sent is not
 * complete: let the lanes run and ask again.
 */
int tap_close(struct tap *tap);

/*
 * Waits until 'socket' is readable, at most timeout_ms (-1: for ever), and sends what was sent
 * to the device of 'tap' (borrows; NULL is fine): returns after each burst of it, too. Main
 * thread, lanes running.
 */
void tap_wait(struct tap *tap, int socket, int timeout_ms);

#endif
