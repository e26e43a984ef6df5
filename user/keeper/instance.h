/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * instance.h - being the one nbld on a control socket.
 *
 * A lock on SOCKET.lock decides between keepers that start at the same time;
 * what a dead one left in the socket's place is replaced.
 */
#ifndef KEEPER_INSTANCE_H
#define KEEPER_INSTANCE_H

#include <sys/types.h>

#include <nbl/contract.h>

#define INSTANCE_GROUP "nbld"	/* owns the socket, if there is such a group */

struct instance {
	const char *path;	/* borrowed */
	int lock_fd;		/* owned; -1 = none */
	int listen_fd;		/* -1 once given away */
	gid_t gid;		/* the socket's group */
};

/*
 * Becomes the one on 'path' (borrows until instance_close()): makes its folder,
 * takes the lock, listens. 0; or negative errno with a sentence in 'error' (fills).
 */
NBL_MUST_CHECK int instance_open(struct instance *in, const char *path, char *error,
				 size_t error_size);

/*
 * Removes the socket and gives up the lock. One that was never opened is fine if
 * zeroed with path NULL.
 */
void instance_close(struct instance *in);

#endif
