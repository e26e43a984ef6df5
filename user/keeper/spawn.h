/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spawn.h - starts a worker process: as nobody, without capabilities, alone in a network namespace.
 */
#ifndef KEEPER_SPAWN_H
#define KEEPER_SPAWN_H

#include <sys/types.h>

#include <nbl/contract.h>

struct spawned {
	pid_t pid;
	int pidfd;		/* owned; readable when the process has ended */
	int socket;	/* owned; SOCK_SEQPACKET, the worker's HANDOVER_FD is the other end */
};

/* Starts nbld-worker (fills ret). 0 or negative errno, with a sentence in 'why'. */
NBL_MUST_CHECK int spawn_worker(struct spawned *ret, char *why, size_t why_size);

#endif
