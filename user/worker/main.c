/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - nbld-worker: started by the keeper, one per adapter; not run by hand. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "worker/sandbox.h"
#include "worker/worker.h"

#define TICK_MS		100
#define FINISH_MS	1000	/* for packets in hand when told to stop */
#define GRACE_MS	50	/* after a keeper's death, for packets that are on their way here */

static int reply_to(int socket, const struct worker_reply *reply)
{
	return handover_send(socket, reply, sizeof(*reply), NULL, 0);
}

static int begin(struct worker *w, int socket)
{
	struct worker_reply reply = { .result = 0 };
	int r = worker_take_over(w, socket, reply.text, sizeof(reply.text));

	if (!r)
		r = worker_start(w);
	if (!r)
		r = sandbox_enter();
	if (r < 0 && !reply.text[0])
		snprintf(reply.text, sizeof(reply.text), "worker not started (%s)",
			 strerrorname_np(-r));
	worker_name_modules(w, &reply);
	reply.result = r;
	return reply_to(socket, &reply) < 0 ? -EPIPE : r;
}

/* A message that answers nothing: what the stack is now. */
static int tell_stack(const struct worker *w, int socket)
{
	struct worker_reply reply = { .number = 0 };

	worker_name_modules(w, &reply);
	return reply_to(socket, &reply);
}

/* Until told to stop, or the keeper is gone. True if told, by that request (fills). */
static bool serve(struct worker *w, int socket, struct worker_request *ret_stop)
{
	struct worker_request request;
	struct worker_reply reply;

	for (;;) {
		uint32_t n_fds = 0;
		int fd, r;

		tap_wait(w->tap, socket, TICK_MS);
		if (worker_tick(w) && tell_stack(w, socket) < 0)
			return false;
		r = handover_receive(socket, &request, sizeof(request), 0, &fd, 1, &n_fds);
		if (r == -ETIMEDOUT)
			continue;
		if (r < 0)
			return false;
		if (request.op == WORKER_STOP) {
			*ret_stop = request;
			return true;
		}
		worker_serve(w, &request, n_fds ? fd : -1, &reply);
		reply.number = request.number;
		if (reply_to(socket, &reply) < 0)
			return false;
	}
}

int main(void)
{
	static struct worker w;
	struct worker_request stop;

	/*
	 * Only the keeper ends a worker: what a terminal or a
	 * service sends to all is for the keeper.
	 */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (begin(&w, HANDOVER_FD) < 0)
		return EXIT_FAILURE;
	if (serve(&w, HANDOVER_FD, &stop)) {
		struct worker_reply reply = { .number = stop.number };
		uint32_t left = worker_time_left(stop.until_ms);

		worker_finish(&w, left < FINISH_MS ? left : FINISH_MS);
		return reply_to(HANDOVER_FD, &reply) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	/*
	 * The keeper is gone. Where nothing may pass unfiltered,
	 * filter on until its successor ends us.
	 */
	while (w.fail_closed) {
		poll(NULL, 0, TICK_MS);
		worker_tick(&w);
	}
	/* Otherwise bypass this worker first, so that ending it loses nothing. */
	worker_let_go(&w);
	poll(NULL, 0, GRACE_MS);
	worker_finish(&w, FINISH_MS);
	return EXIT_SUCCESS;
}
