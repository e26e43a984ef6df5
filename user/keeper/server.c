/* SPDX-License-Identifier: BSD-2-Clause */
#include "keeper/server.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "edge/control.h"
#include "edge/log.h"
#include "keeper/commands.h"

#define MAX_CLIENTS	64
#define CLIENT_LIMIT_US	(10u * 1000 * 1000)
#define MAX_GROUPS	1024
#define MAX_ACCEPTS	1000u	/* per second: accept() that fails may not spin the loop */

/* Late, so that a client whose bytes have come while a command ran is read before it is judged. */
#define TIMEOUT_PRIORITY (SD_EVENT_PRIORITY_NORMAL + 100)

struct client {
	struct client *next;
	struct server *server;
	struct control_peer peer;
	sd_event_source *io, *timeout;
	struct commander commander;
};

struct server {
	struct keeper *keeper;
	int fd;
	gid_t gid;
	sd_event_source *accept;
	struct client *clients;
	unsigned int n_clients;
};

static void client_free(struct client *c)
{
	sd_event_source_disable_unref(c->io);
	sd_event_source_disable_unref(c->timeout);
	control_peer_done(&c->peer);
	free(c);
}

/* Hangs up, and listens again if it was the one too many. */
static void client_drop(struct client *c)
{
	struct server *s = c->server;

	for (struct client **at = &s->clients; *at; at = &(*at)->next) {
		if (*at == c) {
			*at = c->next;
			break;
		}
	}
	s->n_clients--;
	sd_event_source_set_enabled(s->accept, SD_EVENT_ON);
	client_free(c);
}

/* ---- who it is ---- */

static bool has_group(int fd, gid_t gid)
{
	static gid_t groups[MAX_GROUPS];
	socklen_t size = sizeof(groups);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof(gid_t); i++) {
		if (groups[i] == gid)
			return true;
	}
	return false;
}

static int commander_read(int fd, gid_t gid, struct commander *ret)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	ret->uid = peer.uid;
	ret->may_change = peer.uid == 0 || peer.uid == geteuid() || peer.gid == gid ||
			  has_group(fd, gid);
	return 0;
}

/* ---- what it says ---- */

static json_t *request_answer(struct client *c)
{
	struct control_request request;
	char error[256];
	json_t *reply;

	if (control_request_parse(c->peer.bytes, c->peer.size, &request, error, sizeof(error)) < 0)
		return control_reply_new(STATUS_USAGE, error, NULL);
	reply = command_run(c->server->keeper, &c->commander, request.words, request.n_words);
	control_request_done(&request);
	return reply;
}

static void on_writable(struct client *c)
{
	if (control_peer_send(&c->peer) != 0)
		client_drop(c);
}

/* Sends 'reply' (takes) as far as it goes and waits to send the rest. */
static void client_answer(struct client *c, json_t *reply)
{
	int r = control_peer_answer(&c->peer, reply);

	json_decref(reply);
	if (r == 0)
		r = sd_event_source_set_io_events(c->io, EPOLLOUT);
	if (r >= 0)
		r = sd_event_source_set_time_relative(c->timeout, CLIENT_LIMIT_US);
	if (r >= 0)
		on_writable(c);
	else
		client_drop(c);
}

static void on_readable(struct client *c)
{
	int r = control_peer_receive(&c->peer);

	if (r == 0)
		return;
	if (r == 1)
		client_answer(c, request_answer(c));
	else if (r == -EMSGSIZE)
		client_answer(c, control_reply_new(STATUS_USAGE, "the request is too long", NULL));
	else
		client_drop(c);
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct client *c = userdata;

	(void)source;
	(void)fd;
	if (events & EPOLLOUT)
		on_writable(c);
	else
		on_readable(c);
	return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct client *c = userdata;

	(void)source;
	(void)usec;
	log_warning("nbld: hung up on a client of user %u that took more than %u s",
		    c->commander.uid, CLIENT_LIMIT_US / 1000000);
	client_drop(c);
	return 0;
}

/* ---- coming in ---- */

static int client_watch(struct client *c)
{
	sd_event *event = c->server->keeper->event;
	int r;

	r = sd_event_add_io(event, &c->io, c->peer.fd, EPOLLIN, on_client, c);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &c->timeout, CLOCK_MONOTONIC,
					       CLIENT_LIMIT_US, 0, on_timeout, c);
	if (r >= 0)
		r = sd_event_source_set_priority(c->timeout, TIMEOUT_PRIORITY);
	return r;
}

/* Takes 'fd'. */
static int client_new(struct server *s, int fd)
{
	struct client *c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	c->server = s;
	control_peer_init(&c->peer, fd);
	r = commander_read(fd, s->gid, &c->commander);
	if (r >= 0)
		r = client_watch(c);
	if (r < 0) {
		client_free(c);
		return r;
	}
	c->next = s->clients;
	s->clients = c;
	if (++s->n_clients == MAX_CLIENTS)	/* others wait in the backlog */
		sd_event_source_set_enabled(s->accept, SD_EVENT_OFF);
	return 0;
}

static int on_connection(sd_event_source *source, int listen_fd, uint32_t events, void *userdata)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int r;

	(void)source;
	(void)events;
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			log_warning("nbld: a client could not be let in (%s)",
				    strerrorname_np(errno));
		return 0;
	}
	r = client_new(userdata, fd);
	if (r < 0)
		log_warning("nbld: a client could not be served (%s)", strerrorname_np(-r));
	return 0;
}

int server_new(struct keeper *keeper, int listen_fd, gid_t gid, struct server **ret_server)
{
	struct server *s = calloc(1, sizeof(*s));
	int r;

	if (!s) {
		close(listen_fd);
		return -ENOMEM;
	}
	s->keeper = keeper;
	s->fd = listen_fd;
	s->gid = gid;
	r = sd_event_add_io(keeper->event, &s->accept, listen_fd, EPOLLIN, on_connection, s);
	if (r >= 0)
		r = sd_event_source_set_ratelimit(s->accept, 1000000, MAX_ACCEPTS);
	if (r < 0) {
		server_free(s);
		return r;
	}
	*ret_server = s;
	return 0;
}

void server_free(struct server *s)
{
	struct client *next;

	if (!s)
		return;
	for (struct client *c = s->clients; c; c = next) {
		next = c->next;
		client_free(c);
	}
	sd_event_source_disable_unref(s->accept);
	close(s->fd);
	free(s);
}
