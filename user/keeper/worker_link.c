/* SPDX-License-Identifier: BSD-2-Clause */
/* worker_link.c - the keeper's end of an adapter's worker: start, ask, replace. */
#include "keeper/adapter_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edge/log.h"

#define START_MS	5000
/* as many crashes as fit in recent_crashes within this: wait before the next */
#define FLURRY_MS	10000
#define RETRY_MS	1000
/* What a command asks, it asks the successor of a worker that has ended. */
#define ENDED_PRIORITY	(SD_EVENT_PRIORITY_NORMAL - 10)

/* ---- handing over ---- */

static uint32_t fill_queues(const struct adapter *a, struct handover *h, int *fds)
{
	uint32_t n = 0;

	for (int side = 0; side < NBL_N_SIDES; side++) {
		const struct port *p = &a->ports[side];

		for (uint32_t i = 0; i < p->n_queues; i++, n++) {
			h->queues[n] = (struct handover_queue){
				.sizes = p->sizes, .max_length = port_max_length(p),
				.index = p->queues[i], .number = (uint16_t)n,
				.lane = (uint16_t)(i % a->n_lanes), .side = (uint8_t)side,
				.to_host = p->is_leg,
				.sg = nbl_xsk_max_segments(p->xsk[i]) > 1,
				.max_segments = (uint16_t)nbl_xsk_max_segments(p->xsk[i]),
				/* In copy mode no driver holds frames of its own. */
				.most_posted = nbl_xsk_is_zerocopy(p->xsk[i]) ? 0 : p->sizes.rx,
			};
			fds[n] = nbl_xsk_fd(p->xsk[i]);
		}
	}
	return n;
}

static int hand_over(struct adapter *a, enum nbl_takeover takeover)
{
	static struct handover h;
	struct programs_fds keep = programs_get_fds(a->programs);
	int fds[3 + HANDOVER_MAX_KEPT + HANDOVER_MAX_QUEUES];
	uint32_t n = 0;

	h = (struct handover){
		.version = HANDOVER_VERSION, .takeover = takeover, .n_lanes = a->n_lanes,
		.fail_closed = a->conf.fail_closed, .n_modules = a->conf.n_modules,
	};
	if (a->tap_fd) {
		h.n_modules--;		/* it is the last of the modules */
		h.has_tap = true;
		h.tap = a->tap;
	}
	memcpy(h.name, a->conf.name, sizeof(h.name));
	memcpy(h.modules, a->conf.modules, sizeof(h.modules));
	/* the figures that it goes on with name modules by them */
	memcpy(h.module_ids, a->module_ids, sizeof(h.module_ids));
	fds[n++] = a->memory.fd;
	fds[n++] = keep.progress;
	for (int side = 0; side < NBL_N_SIDES; side++)
		if (keep.link[side] >= 0)
			fds[n++] = keep.link[side];
	if (keep.tc_slot >= 0)
		fds[n++] = keep.tc_slot;
	h.n_kept = n - 2;
	h.n_queues = fill_queues(a, &h, fds + n);
	n += h.n_queues;
	if (h.has_tap)
		fds[n++] = a->tap_fd;
	return handover_send(a->worker.socket, &h, sizeof(h), fds, n);
}

static void forget_worker(struct adapter *a)
{
	a->worker_ended = sd_event_source_disable_unref(a->worker_ended);
	a->worker_says = sd_event_source_disable_unref(a->worker_says);
	close(a->worker.pidfd);
	close(a->worker.socket);
	a->worker = (struct spawned){ .pid = 0 };
}

static void kill_worker(struct adapter *a)
{
	siginfo_t info;

	kill(a->worker.pid, SIGKILL);
	waitid(P_PID, (id_t)a->worker.pid, &info, WEXITED);
	forget_worker(a);
}

/* ---- its stack ---- */

static bool is_named(const struct worker_reply *reply, const char *module)
{
	for (uint32_t i = 0; i < reply->n_modules && i < ADAPTER_MAX_MODULES; i++)
		if (!strncmp(reply->module_names[i], module, NBL_MODULE_NAME_MAX))
			return true;
	return false;
}

/*
 * Forgets modules that the worker has no more, but for the one 'removed'
 * by command (NULL: none). Rule: FS-10.
 */
static void forget_modules(struct adapter *a, const struct worker_reply *reply,
			   const char *removed)
{
	struct adapter_conf *c = &a->conf;
	uint32_t i = 0;

	while (i < c->n_modules) {
		const char *name = c->modules[i].name;

		if (tap_conf_is_tap(&c->modules[i]) || is_named(reply, name) ||
		    (removed && !strcmp(removed, name))) {
			i++;
			continue;
		}
		log_warning("%s: module %s did not restart: it is out of the stack", c->name, name);
		c->n_modules--;
		memmove(&c->modules[i], &c->modules[i + 1],
			(c->n_modules - i) * sizeof(c->modules[0]));
	}
}

/* What the worker says of its stack: in each message. 'removed' as for forget_modules(). */
static void note_stack(struct adapter *a, const struct worker_reply *reply, const char *removed)
{
	memcpy(a->module_ids, reply->module_ids, sizeof(a->module_ids));
	forget_modules(a, reply, removed);
	if (reply->is_down == a->stack_is_down)
		return;
	a->stack_is_down = reply->is_down;
	adapter_set_bypass(a, reply->is_down ? "mandatory" : NULL);
	if (reply->is_down)
		log_error("%s: a mandatory module did not restart: nothing passes", a->conf.name);
	else
		log_notice("%s: its stack is up again", a->conf.name);
}

/* Modules that a restart which nobody commanded took out, say; or an answer that came too late. */
static int worker_says(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct adapter *a = userdata;
	struct worker_reply reply;
	int r = handover_receive(fd, &reply, sizeof(reply), 0, NULL, 0, NULL);

	(void)events;
	if (!r)
		note_stack(a, &reply, NULL);
	else if (r != -ETIMEDOUT && r != -EPROTO)
		sd_event_source_set_enabled(source, SD_EVENT_OFF);	/* it ended */
	return 0;
}

/* ---- starting ---- */

static int worker_has_ended(sd_event_source *source, int fd, uint32_t events, void *userdata);

static int start(struct adapter *a, enum nbl_takeover takeover, char *why, size_t why_size)
{
	struct worker_reply reply;
	int r = spawn_worker(&a->worker, why, why_size);

	if (r < 0)
		return r;
	/* Before it has the sockets: from then on a keeper's successor must know of it. */
	state_save(a->keeper);
	r = hand_over(a, takeover);
	if (!r)
		r = handover_receive(a->worker.socket, &reply, sizeof(reply), START_MS, NULL, 0,
				     NULL);
	if (!r && reply.result < 0) {
		r = reply.result;
		/* what it is, a worker wrote */
		snprintf(why, why_size, "%.*s", (int)sizeof(reply.text), reply.text);
	}
	if (!r)
		r = sd_event_add_io(a->keeper->event, &a->worker_ended, a->worker.pidfd, EPOLLIN,
				    worker_has_ended, a);
	if (r >= 0)
		r = sd_event_source_set_priority(a->worker_ended, ENDED_PRIORITY);
	if (r >= 0)
		r = sd_event_add_io(a->keeper->event, &a->worker_says, a->worker.socket, EPOLLIN,
				    worker_says, a);
	if (r < 0) {
		if (!why[0])
			snprintf(why, why_size, "the worker did not answer (%s)",
				 strerrorname_np(-r));
		kill_worker(a);
		return r;
	}
	a->stack_is_down = false;
	note_stack(a, &reply, NULL);
	a->generation++;
	return 0;
}

bool worker_begin(struct adapter *a, enum nbl_takeover takeover, struct refusal *refusal)
{
	char why[REASON_SIZE - ADAPTER_NAME_MAX] = "";
	char sentence[REASON_SIZE];
	int r = start(a, takeover, why, sizeof(why));

	if (!r)
		return true;
	snprintf(sentence, sizeof(sentence), "%s: %s", a->conf.name, why);
	refuse(refusal, r, sentence);
	return false;
}

/* ---- replacing ---- */

static int retry_now(sd_event_source *source, uint64_t usec, void *userdata);

/* Notes a crash; true if there were too many in a short time. */
static bool note_crash(struct adapter *a)
{
	uint32_t size = sizeof(a->recent_crashes) / sizeof(a->recent_crashes[0]);
	uint64_t now = monotonic_us() / 1000;
	uint64_t *oldest = &a->recent_crashes[a->n_crashes++ % size];
	bool flurry = *oldest && now - *oldest < FLURRY_MS;

	*oldest = now;
	return flurry;
}

static void replace(struct adapter *a, enum nbl_takeover takeover)
{
	struct refusal refusal;

	if (worker_begin(a, takeover, &refusal)) {
		adapter_set_bypass(a, NULL);
		return;
	}
	adapter_set_bypass(a, "dead");
	log_error("%s; bypassed, next try in %d ms", refusal.reason, RETRY_MS);
	sd_event_add_time_relative(a->keeper->event, &a->retry, CLOCK_MONOTONIC,
				   RETRY_MS * 1000ull, 0, retry_now, a);
}

static int retry_now(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct adapter *a = userdata;

	(void)source;
	(void)usec;
	a->retry = sd_event_source_disable_unref(a->retry);
	replace(a, NBL_TAKEOVER_DROP);
	return 0;
}

/*
 * A worker that was ended from outside is not to blame: its last burst runs again.
 * One that crashed may have done so over a packet: that burst is dropped, so that
 * it cannot crash the next one too.
 */
static enum nbl_takeover judge(const siginfo_t *info, char *how, size_t how_size)
{
	bool from_outside = info->si_code == CLD_KILLED &&
			    (info->si_status == SIGKILL || info->si_status == SIGTERM);

	if (info->si_code == CLD_EXITED)
		snprintf(how, how_size, "exited with %d", info->si_status);
	else
		snprintf(how, how_size, "ended by SIG%s", sigabbrev_np(info->si_status));
	return from_outside ? NBL_TAKEOVER_REPLAY : NBL_TAKEOVER_DROP;
}

static int worker_has_ended(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct adapter *a = userdata;
	siginfo_t info = { .si_pid = 0 };
	pid_t pid = a->worker.pid;
	enum nbl_takeover takeover;
	uint64_t began;
	char how[48];

	(void)source;
	(void)fd;
	(void)events;
	if (waitid(P_PIDFD, (id_t)a->worker.pidfd, &info, WEXITED | WNOHANG) < 0 || !info.si_pid)
		return 0;
	takeover = judge(&info, how, sizeof(how));
	forget_worker(a);
	a->n_deaths++;
	if (takeover == NBL_TAKEOVER_DROP && note_crash(a)) {
		adapter_set_bypass(a, "dead");
		log_error("%s: worker %d %s, and too many before it: bypassed, next try in %d ms",
			  a->conf.name, pid, how, RETRY_MS);
		return sd_event_add_time_relative(a->keeper->event, &a->retry, CLOCK_MONOTONIC,
						  RETRY_MS * 1000ull, 0, retry_now, a);
	}
	began = monotonic_us();
	replace(a, takeover);
	if (a->worker.pid)
		log_warning("%s: worker %d %s; replaced by %d in %.1f ms", a->conf.name, pid, how,
			    a->worker.pid, (double)(monotonic_us() - began) / 1000);
	return 0;
}

/* ---- asking, ending ---- */

/*
 * Other messages, late answers to questions given up among them, are not taken for the answer; what
 * they say of the stack is noted as that of the answer is.
 */
static int exchange(struct adapter *a, const struct worker_request *request,
		    struct worker_reply *ret)
{
	struct worker_request numbered = *request;
	uint64_t end = monotonic_us() / 1000 + HANDOVER_ANSWER_MS, now;
	bool is_answer = false;
	int r;

	numbered.until_ms = end;
	numbered.number = ++a->n_asked ? a->n_asked : ++a->n_asked;
	r = handover_send(a->worker.socket, &numbered, sizeof(numbered), &a->tap_fd,
			  request->op == WORKER_TAP_OPEN);
	if (r == -EAGAIN)
		r = -ETIMEDOUT;		/* it has not read what was asked before */
	do {
		now = monotonic_us() / 1000;
		if (!r && now >= end)
			r = -ETIMEDOUT;		/* also if it says other things all the time */
		if (!r)
			r = handover_receive(a->worker.socket, ret, sizeof(*ret), (int)(end - now),
					     NULL, 0, NULL);
		is_answer = !r && ret->number == numbered.number;
		/* one that is to end has no stack to speak of, and nothing may begin anew with it */
		if (!r && request->op != WORKER_STOP)
			note_stack(a, ret, is_answer && !ret->result &&
					   request->op == WORKER_MODULE_REMOVE ?
					   request->module.name : NULL);
	} while (!r && !is_answer);
	/* what it is, a worker wrote */
	ret->text[sizeof(ret->text) - 1] = '\0';
	return r;
}

static bool only_looks(uint32_t op)
{
	return op != WORKER_MODULE_ADD && op != WORKER_MODULE_REMOVE && op != WORKER_MODULE_SET &&
	       op != WORKER_TAP_OPEN && op != WORKER_TAP_CLOSE;
}

/*
 * Whether it has made the change that it was asked for nobody knows: its successor
 * begins with the stack that the keeper knows. Waits until it has ended, for
 * then the next command, however soon, finds the successor (worker_has_ended() is before it).
 */
static void kill_undecided(struct adapter *a)
{
	struct pollfd ended = { .fd = a->worker.pidfd, .events = POLLIN };

	kill(a->worker.pid, SIGKILL);
	poll(&ended, 1, HANDOVER_ANSWER_MS);
}

static void refuse_unanswered(const struct adapter *a, int error, struct refusal *refusal)
{
	char sentence[REASON_SIZE];
	const char *why = "it is hung", *remedy = "nblctl show ";

	if (!a->worker.pid) {
		why = "it is not running";
	} else if (error == -EPIPE) {
		why = "it just ended, and is replaced";
		remedy = "the same again, or nblctl show ";
	}
	snprintf(sentence, sizeof(sentence),
		 "%s: the worker does not answer (%s): %s. Try: %s%s", a->conf.name,
		 strerrorname_np(-error), why, remedy, a->conf.name);
	refuse(refusal, error, sentence);
	if (error == -ETIMEDOUT)
		refusal->exit_status = 8;
}

/*
 * True if the worker, whose end was seen before its death, was ended from outside and has a
 * successor now. One that crashed may have done so over what it was asked.
 */
static bool is_replaced(struct adapter *a)
{
	struct pollfd ended = { .fd = a->worker.pidfd, .events = POLLIN };
	uint32_t n_crashes = a->n_crashes;

	if (poll(&ended, 1, HANDOVER_ANSWER_MS) != 1)
		return false;
	worker_has_ended(a->worker_ended, a->worker.pidfd, EPOLLIN, a);
	return a->worker.pid && a->n_crashes == n_crashes;
}

bool worker_ask(struct adapter *a, const struct worker_request *request, struct worker_reply *ret,
		struct refusal *refusal)
{
	char sentence[REASON_SIZE];
	int r = -ESRCH;

	*ret = (struct worker_reply){ .n_modules = 0 };
	if (a->worker.pid)
		r = exchange(a, request, ret);
	/* A change it made went with it. A tap's device the successor would have been handed. */
	if (r == -EPIPE && request->op != WORKER_TAP_OPEN && is_replaced(a))
		r = exchange(a, request, ret);
	if (r < 0) {
		refuse_unanswered(a, r, refusal);
		if (r == -ETIMEDOUT && !only_looks(request->op))
			kill_undecided(a);
		return false;
	}
	if (ret->result < 0) {
		if (strstr(ret->text, "Try: "))
			snprintf(sentence, sizeof(sentence), "%s: %s", a->conf.name, ret->text);
		else
			snprintf(sentence, sizeof(sentence), "%s: %s (%s). Try: nblctl help module",
				 a->conf.name, ret->text[0] ? ret->text : "the worker refused",
				 strerrorname_np(-ret->result));
		refuse(refusal, ret->result, sentence);
		return false;
	}
	return true;
}

void worker_end(struct adapter *a)
{
	const struct worker_request stop = { .op = WORKER_STOP };
	struct pollfd ended = { .fd = a->worker.pidfd, .events = POLLIN };
	struct worker_reply reply;
	siginfo_t info;

	a->retry = sd_event_source_disable_unref(a->retry);
	if (!a->worker.pid)
		return;
	/* It answers when the last packet is out of its hands, and exits; its word alone is not waited for. */
	if (exchange(a, &stop, &reply) < 0 || poll(&ended, 1, HANDOVER_ANSWER_MS) != 1) {
		log_warning("%s: worker %d did not stop; killed", a->conf.name, a->worker.pid);
		kill_worker(a);
		return;
	}
	waitid(P_PIDFD, (id_t)a->worker.pidfd, &info, WEXITED);
	forget_worker(a);
}
