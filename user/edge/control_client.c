/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "edge/control.h"

#define READ_STEP 65536

/* A connection and how long it may take. */
struct call {
	int fd;
	uint64_t deadline_ms;		/* monotonic */
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int call_wait(const struct call *c, short events)
{
	struct pollfd fd = { .fd = c->fd, .events = events };

	for (;;) {
		uint64_t now = now_ms();
		uint64_t left = now < c->deadline_ms ? c->deadline_ms - now : 0;
		int n = poll(&fd, 1, left > 60000 ? 60000 : (int)left);

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (!left)
			return -ETIMEDOUT;
	}
}

/* A UNIX socket has no "in progress": connect says EAGAIN while the server's backlog is full. */
static int call_connect(const struct call *c, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timespec pause = { .tv_nsec = 20000000 };

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	while (connect(c->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (now_ms() >= c->deadline_ms)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* A server that has answered already need not read on: EPIPE is no error here. */
static int call_send(const struct call *c, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = send(c->fd, bytes, size, MSG_NOSIGNAL);
		int r;

		if (n > 0) {
			bytes += n;
			size -= (size_t)n;
			continue;
		}
		if (errno == EPIPE || errno == ECONNRESET)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		r = call_wait(c, POLLOUT);
		if (r < 0)
			return r;
	}
	shutdown(c->fd, SHUT_WR);
	return 0;
}

static int call_receive(const struct call *c, char **ret_bytes, size_t *ret_size)
{
	char *bytes = NULL, *more;
	size_t size = 0;
	ssize_t n;
	int r = 0;

	for (;;) {
		more = size < CONTROL_REPLY_MAX ? realloc(bytes, size + READ_STEP) : NULL;
		if (!more) {
			r = size < CONTROL_REPLY_MAX ? -ENOMEM : -EPROTO;
			break;
		}
		bytes = more;
		n = recv(c->fd, bytes + size, READ_STEP, 0);
		/* a server that answered before it read all we said ends in a reset */
		if (n == 0 || (n < 0 && errno == ECONNRESET && size)) {
			*ret_bytes = bytes;
			*ret_size = size;
			return 0;
		}
		if (n > 0)
			size += (size_t)n;
		else if (errno == EAGAIN || errno == EINTR)
			r = call_wait(c, POLLIN);
		else
			r = -errno;
		if (r < 0)
			break;
	}
	free(bytes);
	return r;
}

static int reply_parse(const char *bytes, size_t size, struct control_reply *ret)
{
	json_t *root = json_loadb(bytes, size, 0, NULL);
	json_t *status = json_object_get(root, "status");

	if (!json_is_integer(status) ||
	    json_integer_value(json_object_get(root, "schema")) != CONTROL_SCHEMA) {
		json_decref(root);
		return -EPROTO;
	}
	*ret = (struct control_reply){
		.root = root,
		.status = (int)json_integer_value(status),
		.error = json_string_value(json_object_get(root, "error")),
		.data = json_object_get(root, "data"),
	};
	return 0;
}

/* Returns owned, free(); NULL with -EINVAL or -EMSGSIZE in ret_error (fills). */
static char *request_print(const char *const *words, size_t n_words, int *ret_error)
{
	json_t *command = json_array(), *request;
	char *bytes;

	*ret_error = -EINVAL;
	for (size_t i = 0; i < n_words; i++) {
		if (json_array_append_new(command, json_string(words[i])) < 0) {
			json_decref(command);
			return NULL;
		}
	}
	request = json_pack("{s:i, s:o}", "schema", CONTROL_SCHEMA, "command", command);
	bytes = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (bytes && strlen(bytes) > CONTROL_REQUEST_MAX) {
		*ret_error = -EMSGSIZE;
		free(bytes);
		return NULL;
	}
	return bytes;
}

static int call_do(const struct call *c, const char *path, const char *request,
		   struct control_reply *ret)
{
	char *bytes = NULL;
	size_t size = 0;
	int r;

	r = call_connect(c, path);
	if (r == 0)
		r = call_send(c, request, strlen(request));
	if (r == 0)
		r = call_receive(c, &bytes, &size);
	if (r == 0)
		r = reply_parse(bytes, size, ret);
	free(bytes);
	return r;
}

int control_call(const char *path, const char *const *words, size_t n_words, uint64_t timeout_ms,
		 struct control_reply *ret)
{
	struct call c = { .deadline_ms = now_ms() + timeout_ms };
	char *request;
	int r;

	request = request_print(words, n_words, &r);
	if (!request)
		return r;
	c.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c.fd < 0) {
		free(request);
		return -errno;
	}
	r = call_do(&c, path, request, ret);
	close(c.fd);
	free(request);
	return r;
}

void control_reply_done(struct control_reply *r)
{
	json_decref(r->root);
	*r = (struct control_reply){ .root = NULL };
}
