/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * links.h - follows the interfaces of all adapters: down, up, renamed, gone. Workers read in
 * the adapter's memory which is down, and tell the modules (NX-08).
 *
 * poll() on an AF_XDP socket tells nothing of it; netlink does. On the
 * keeper's event loop.
 */
#ifndef KEEPER_LINKS_H
#define KEEPER_LINKS_H

#include <nbl/contract.h>

struct adapter;
struct keeper;

/*
 * Starts listening for the adapters of 'k' (borrows, for ever); gone() takes one of which an
 * interface is no more. Once; later calls do nothing. 0 or negative errno.
 */
NBL_MUST_CHECK int links_start(struct keeper *k, void (*gone)(struct adapter *a));

/* Follows the interfaces of 'a' (borrows) until links_forget(). 0 or negative errno. */
NBL_MUST_CHECK int links_follow(struct adapter *a);
void links_forget(const struct adapter *a);

#endif
