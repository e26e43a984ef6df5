/* SPDX-License-Identifier: BSD-2-Clause */
#include "edge/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/text.h"

json_t *control_text(const char *s)
{
	size_t size = strlen(s) * 4 + 1;
	char *clean = malloc(size);
	json_t *text = clean ? json_string(text_escape(clean, size, s)) : NULL;

	free(clean);
	return text;
}

static int words_take(json_t *command, struct control_request *r)
{
	json_t *word;
	size_t i;

	if (json_array_size(command) < 1 || json_array_size(command) > CONTROL_MAX_WORDS)
		return -EPROTO;
	json_array_foreach(command, i, word) {
		r->words[i] = json_string_value(word);
		if (!r->words[i])
			return -EPROTO;
	}
	r->n_words = i;
	return 0;
}

int control_request_parse(const char *bytes, size_t size, struct control_request *ret,
			  char *error, size_t error_size)
{
	struct control_request r = { .n_words = 0 };
	json_error_t json_error;

	r.root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &json_error);
	if (!r.root) {
		snprintf(error, error_size, "the request is no JSON object: %s", json_error.text);
		return -EPROTO;
	}
	if (json_integer_value(json_object_get(r.root, "schema")) != CONTROL_SCHEMA) {
		snprintf(error, error_size, "the request's schema is not %d", CONTROL_SCHEMA);
		goto refused;
	}
	if (words_take(json_object_get(r.root, "command"), &r) < 0) {
		snprintf(error, error_size,
			 "the request's command is not an array of 1 to %d words",
			 CONTROL_MAX_WORDS);
		goto refused;
	}
	*ret = r;
	return 0;
refused:
	json_decref(r.root);
	return -EPROTO;
}

void control_request_done(struct control_request *r)
{
	json_decref(r->root);
	*r = (struct control_request){ .root = NULL };
}

json_t *control_reply_new(int status, const char *error, json_t *data)
{
	return json_pack("{s:i, s:i, s:o*, s:o*}", "schema", CONTROL_SCHEMA, "status", status,
			 "error", error ? control_text(error) : NULL, "data", data);
}

void control_peer_init(struct control_peer *p, int fd)
{
	*p = (struct control_peer){ .fd = fd };
}

void control_peer_done(struct control_peer *p)
{
	if (p->fd >= 0)
		close(p->fd);
	free(p->bytes);
	*p = (struct control_peer){ .fd = -1 };
}

int control_peer_receive(struct control_peer *p)
{
	if (!p->bytes)
		p->bytes = malloc(CONTROL_REQUEST_MAX + 1);
	if (!p->bytes)
		return -ENOMEM;
	for (;;) {
		/* one byte more than is allowed, to see that there is more */
		ssize_t n = recv(p->fd, p->bytes + p->size, CONTROL_REQUEST_MAX + 1 - p->size, 0);

		if (n == 0)
			return 1;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		p->size += (size_t)n;
		if (p->size > CONTROL_REQUEST_MAX)
			return -EMSGSIZE;
	}
}

int control_peer_answer(struct control_peer *p, const json_t *reply)
{
	char *bytes = reply ? json_dumps(reply, JSON_COMPACT) : NULL;

	if (!bytes)
		return -ENOMEM;
	free(p->bytes);
	p->bytes = bytes;
	p->size = strlen(bytes);
	p->sent = 0;
	return 0;
}

int control_peer_send(struct control_peer *p)
{
	while (p->sent < p->size) {
		ssize_t n = send(p->fd, p->bytes + p->sent, p->size - p->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		p->sent += (size_t)n;
	}
	return 1;
}
