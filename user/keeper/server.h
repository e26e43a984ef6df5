/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server.h - the control socket: takes requests, knows who sends them, answers.
 *
 * Whoever may connect may look; root and the members of the socket's group may
 * change things. At most 64 clients at a time, each for at most 10 seconds beside
 * the time its command takes; none of them can hold up the event loop.
 */
#ifndef KEEPER_SERVER_H
#define KEEPER_SERVER_H

#include "keeper/adapter.h"

struct server;

/*
 * Serves on 'listen_fd' (takes, on success and failure) in the event loop of
 * 'keeper' (borrows until server_free()). 'gid' is the group with full control.
 * Fills ret_server: owned, server_free(). 0 or negative errno.
 */
NBL_MUST_CHECK int server_new(struct keeper *keeper, int listen_fd, gid_t gid,
			      struct server **ret_server);

/* Hangs up on all clients and stops listening. NULL is fine. */
void server_free(struct server *s);

#endif
