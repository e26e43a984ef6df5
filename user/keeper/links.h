/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * links.h - follows the interfaces of all adapters: down, up, renamed, gone.
 *
 * poll() on an AF_XDP socket tells nothing of it; netlink does. On the
 * keeper's event loop.
 */
#ifndef KEEPER_LINKS_H
#define KEEPER_LINKS_H

#include <nbl/contract.h>

struct keeper;

/*
 * Starts listening for the adapters of 'k' (borrows, for ever). Once;
 * later calls do nothing. 0 or negative errno.
 */
NBL_MUST_CHECK int links_start(struct keeper *k);

/* Follows an interface until links_forget(). 0 or negative errno. */
NBL_MUST_CHECK int links_follow(uint32_t ifindex);
void links_forget(uint32_t ifindex);

#endif
