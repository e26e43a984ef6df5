/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.h - the control protocol: one request and its reply over a UNIX stream socket.
 *
 *   client: {"schema":1,"command":["show","eth0"]}, then shuts down writing
 *   server: {"schema":1,"status":0,"data":{...}} or
 *           {"schema":1,"status":1,"error":"eth0: ...","data":...}, then closes
 *
 * Statuses are nblctl's exit statuses. The server's half never blocks: the event
 * loop calls it when the socket is ready.
 */
#ifndef EDGE_CONTROL_H
#define EDGE_CONTROL_H

#include <jansson.h>

#include <nbl/contract.h>

#define CONTROL_PATH		"/run/nbld/nbld.sock"
#define CONTROL_SCHEMA		1
#define CONTROL_REQUEST_MAX	65536		/* bytes */
#define CONTROL_REPLY_MAX	(16u << 20)	/* bytes a client takes */
#define CONTROL_MAX_WORDS	64

/* Exit statuses of nblctl, and statuses of the control protocol. */
enum exit_status {
	STATUS_DONE = 0,
	STATUS_REFUSED = 1,
	STATUS_USAGE = 2,
	STATUS_NOT_RUNNING = 3,
	STATUS_PERMISSION = 4,
	STATUS_UNSUPPORTED = 5,
	STATUS_INVALID = 6,
	STATUS_PARTLY = 7,
	STATUS_TIMED_OUT = 8,
};

/* ---- both ---- */

/*
 * A JSON string of 's' (borrows), with what is not clean UTF-8 escaped. Returns owned,
 * json_decref().
 */
json_t *control_text(const char *s);

/* ---- the server's half ---- */

/* What a request says. */
struct control_request {
	json_t *root;				/* owns the words */
	const char *words[CONTROL_MAX_WORDS];
	size_t n_words;				/* at least 1 */
};

/*
 * Parses 'size' bytes (borrows) of a request (fills ret: owned, control_request_done()).
 * 0, or -EPROTO with a sentence in 'error' (fills).
 */
NBL_MUST_CHECK int control_request_parse(const char *bytes, size_t size,
					 struct control_request *ret, char *error,
					 size_t error_size);
void control_request_done(struct control_request *r);

/*
 * A reply with 'status' and, each unless NULL, 'error' (borrows) and 'data' (takes).
 * Returns owned, json_decref(); NULL for want of memory.
 */
json_t *control_reply_new(int status, const char *error, json_t *data);

/* A client at the server. */
struct control_peer {
	int fd;			/* owned, non-blocking; -1 = closed */
	char *bytes;		/* owned: the request, then the reply */
	size_t size;		/* of the request so far, or of the reply */
	size_t sent;
};

/* Makes 'p' of 'fd' (takes), which must not block; done closes it and frees what 'p' has. */
void control_peer_init(struct control_peer *p, int fd);
void control_peer_done(struct control_peer *p);

/*
 * Reads what has come. 1 when the request is complete (p->bytes, p->size), 0 when
 * there is more to wait for, -EMSGSIZE when it is too long, other negative errno.
 */
NBL_MUST_CHECK int control_peer_receive(struct control_peer *p);

/* Makes 'reply' (borrows) what is sent instead of the request read. 0 or -ENOMEM. */
NBL_MUST_CHECK int control_peer_answer(struct control_peer *p, const json_t *reply);

/* Sends what can be sent. 1 when all is, 0 when there is more to wait for, negative errno. */
NBL_MUST_CHECK int control_peer_send(struct control_peer *p);

/* ---- the client's half ---- */

struct control_reply {
	json_t *root;		/* owns the rest */
	int status;		/* enum exit_status */
	const char *error;	/* NULL = none */
	json_t *data;		/* NULL = none */
};

/*
 * Sends 'words' (borrows) to the server at 'path' and waits for the reply (fills
 * ret: owned, control_reply_done()), all within 'timeout_ms'. Returns 0.
 * -ENOENT, -ECONNREFUSED: nobody listens. -EACCES: may not connect. -ETIMEDOUT.
 * -EINVAL: a word is no UTF-8. -EMSGSIZE: words too long. -ENAMETOOLONG: the path.
 * -EPROTO: what came is no reply.
 */
NBL_MUST_CHECK int control_call(const char *path, const char *const *words, size_t n_words,
				uint64_t timeout_ms, struct control_reply *ret);
void control_reply_done(struct control_reply *r);

#endif
