/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nblctl - sends a command to nbld and prints the answer.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/print.h"
#include "edge/control.h"
#include "edge/text.h"

#define DEFAULT_TIMEOUT_S 30	/* attaching may reset the link, which takes some drivers long */
#define MAX_TIMEOUT_S 86400

struct options {
	const char *socket_path;
	bool json;
	bool statistics;
	unsigned long timeout_s;
};

/* Returns -1 to go on, or the exit status. */
static int options_parse(int argc, char **argv, struct options *o)
{
	enum { OPT_TIMEOUT = 256, OPT_VERSION };
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, 'S' },
		{ "json", no_argument, NULL, 'j' },
		{ "statistics", no_argument, NULL, 's' },
		{ "timeout", required_argument, NULL, OPT_TIMEOUT },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int option;

	while ((option = getopt_long(argc, argv, "+S:jsh", longs, NULL)) >= 0) {
		switch (option) {
		case 'S':
			o->socket_path = optarg;
			break;
		case 'j':
			o->json = true;
			break;
		case 's':
			o->statistics = true;
			break;
		case OPT_TIMEOUT:
			if (text_to_number(optarg, 1, MAX_TIMEOUT_S, &o->timeout_s))
				break;
			fprintf(stderr, "nblctl: --timeout takes seconds from 1 to %d. "
				"Try: nblctl help\n", MAX_TIMEOUT_S);
			return STATUS_USAGE;
		case OPT_VERSION:
			puts("nblctl " NBL_VERSION);
			return STATUS_DONE;
		case 'h':
			return help_print(NULL, 0, o->json);
		default:
			fputs("Try: nblctl help\n", stderr);
			return STATUS_USAGE;
		}
	}
	return -1;
}

/* ---- calling ---- */

static const struct trouble {
	int error;
	enum exit_status status;
	const char *what, *remedy;
} troubles[] = {
	{ ENOENT, STATUS_NOT_RUNNING, "nbld is not running", ". Try: systemctl start nbld" },
	{ ECONNREFUSED, STATUS_NOT_RUNNING, "nbld is not running", ". Try: systemctl start nbld" },
	{ EACCES, STATUS_PERMISSION, "no permission",
	  ": only root and the socket's group may connect. Try: sudo nblctl" },
	{ EPERM, STATUS_PERMISSION, "no permission",
	  ": only root and the socket's group may connect. Try: sudo nblctl" },
	{ ETIMEDOUT, STATUS_TIMED_OUT, "no answer in time",
	  ": nbld is busy or stuck. Try: systemctl status nbld, or a longer --timeout" },
	{ EINVAL, STATUS_USAGE, "a word is no UTF-8", "" },
	{ EMSGSIZE, STATUS_USAGE, "the command is too long", "" },
	{ ENAMETOOLONG, STATUS_USAGE, "no name for a socket", "" },
	{ EPROTO, STATUS_REFUSED, "what answers there is not nbld, or died answering",
	  ". Try: systemctl status nbld" },
	{ 0, STATUS_REFUSED, "no answer", ". Try: systemctl status nbld" },	/* any other */
};

static int trouble_tell(const struct options *o, int error)
{
	const struct trouble *t = troubles;
	const char *name = strerrorname_np(error);

	while (t->error && t->error != error)
		t++;
	fprintf(stderr, "nblctl: %s: %s (%s)%s\n", o->socket_path, t->what, name ? name : "?",
		t->remedy);
	return t->status;
}

static int call(const struct options *o, const char *const *words, size_t n_words,
		struct control_reply *ret)
{
	return control_call(o->socket_path, words, n_words, o->timeout_s * 1000, ret);
}

/* ---- printing ---- */

void json_print(json_t *data)
{
	size_t flags = isatty(STDOUT_FILENO) ? JSON_INDENT(2) : JSON_COMPACT;

	json_dumpf(data, stdout, flags);
	putchar('\n');
	json_decref(data);
}

static int reply_print(const struct options *o, enum verb_id id, const struct control_reply *reply,
		       struct answer *a)
{
	char clean[2048];

	a->data = reply->data;
	a->statistics = o->statistics;
	if (reply->data && o->json)
		json_print(json_incref(reply->data));
	else if (reply->data)
		answer_print(id, a);
	if (reply->error) {
		fflush(stdout);
		fprintf(stderr, "nblctl: %s\n", text_escape(clean, sizeof(clean), reply->error));
	}
	return reply->status;
}

/* ---- commands ---- */

static int run_plain(const struct options *o, enum verb_id id, const char *const *words,
		     size_t n_words)
{
	struct answer a = { .earlier = NULL };
	struct control_reply reply;
	int r = call(o, words, n_words, &reply);

	if (r < 0)
		return trouble_tell(o, -r);
	r = reply_print(o, id, &reply, &a);
	control_reply_done(&reply);
	return r;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Asks twice, a second apart, for the rates between. */
static int run_with_rates(const struct options *o, enum verb_id id, const char *const *words,
			  size_t n_words)
{
	struct control_reply before, reply;
	struct answer a = { .seconds = -now() };
	int r = call(o, words, n_words, &before);

	if (r < 0)
		return trouble_tell(o, -r);
	if (before.status == STATUS_DONE)
		sleep(1);
	r = call(o, words, n_words, &reply);
	if (r < 0) {
		control_reply_done(&before);
		return trouble_tell(o, -r);
	}
	a.seconds += now();
	a.earlier = before.data;
	r = reply_print(o, id, &reply, &a);
	control_reply_done(&before);
	control_reply_done(&reply);
	return r;
}

/* nblctl's own version needs nobody. */
static int run_version(const struct options *o)
{
	const char *const words[] = { "version" };
	struct control_reply reply = { .root = NULL };
	const char *daemon = NULL;

	if (call(o, words, 1, &reply) == 0)
		daemon = json_string_value(json_object_get(reply.data, "version"));
	if (o->json) {
		json_print(json_pack("{s:i, s:s, s:s?}", "schema", CONTROL_SCHEMA,
				     "version", NBL_VERSION, "nbld", daemon));
	} else {
		printf("nblctl %s\n", NBL_VERSION);
		printf("nbld %s\n", daemon ? daemon : "is not running");
	}
	control_reply_done(&reply);
	return STATUS_DONE;
}

static int run(const struct options *o, const char *const *words, size_t n_words)
{
	const struct verb *v;
	char error[256], clean[512];
	size_t used;

	v = verb_find(words, n_words, &used, error, sizeof(error));
	if (!v) {
		fprintf(stderr, "nblctl: %s\n", text_escape(clean, sizeof(clean), error));
		return STATUS_USAGE;
	}
	if (v->id == VERB_HELP)
		return help_print(words + used, n_words - used, o->json);
	if (v->id == VERB_VERSION)
		return run_version(o);
	if (v->id == VERB_SHOW && o->statistics && !o->json)
		return run_with_rates(o, v->id, words, n_words);
	return run_plain(o, v->id, words, n_words);
}

int main(int argc, char **argv)
{
	struct options o = { .socket_path = CONTROL_PATH, .timeout_s = DEFAULT_TIMEOUT_S };
	int status = options_parse(argc, argv, &o);

	if (status < 0 && optind == argc) {
		fputs("nblctl: which command? Try: nblctl help\n", stderr);
		status = STATUS_USAGE;
	}
	if (status < 0)
		status = run(&o, (const char *const *)argv + optind, (size_t)(argc - optind));
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "nblctl: the output could not be written (%s)\n",
			strerrorname_np(errno));
		return STATUS_REFUSED;
	}
	return status;
}
