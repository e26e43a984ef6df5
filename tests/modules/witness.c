/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * witness.c - modules that say in the log what happens to them, restart as often as they are
 * told, and take as long to pause.
 *
 * Three of a kind, as one name is in a stack once. Packets pass.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "modules/test_modules.h"

struct witness {
	char tag[16];
	unsigned int restarts;		/* so far */
	unsigned int fails_at;		/* the first that fails, as all after it; 0 = none */
	unsigned int slow_ms;		/* it takes for each pause */
	unsigned int asks_ms;		/* after a packet it asks to restart; 0 = no */
	bool pausing;
};

static uint64_t in_ms(unsigned int ms)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + ms * 1000000ull;
}

/* In one call, so that lines of two processes do not mix. */
static void say(const struct witness *w, const char *what)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "witness %s: %s\n", w->tag, what);

	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;		/* nobody reads it */
}

static int witness_attach(const struct nbl_option *options, uint32_t n_options, void **ret_context,
			  char *error, size_t error_size)
{
	struct witness *w = calloc(1, sizeof(*w));

	for (uint32_t i = 0; w && i < n_options; i++) {
		if (!strcmp(options[i].key, "tag"))
			snprintf(w->tag, sizeof(w->tag), "%s", options[i].value);
		else if (!strcmp(options[i].key, "fails-at"))
			w->fails_at = (unsigned int)strtoul(options[i].value, NULL, 10);
		else if (!strcmp(options[i].key, "slow"))
			w->slow_ms = (unsigned int)strtoul(options[i].value, NULL, 10);
		else if (!strcmp(options[i].key, "asks"))
			w->asks_ms = (unsigned int)strtoul(options[i].value, NULL, 10);
	}
	if (!w || !w->tag[0]) {
		free(w);
		snprintf(error, error_size, "witness: it takes tag=TEXT");
		return -EINVAL;
	}
	say(w, "attach");
	*ret_context = w;
	return 0;
}

static int witness_restart(void *context, struct nbl_restart *r, char *error, size_t error_size)
{
	struct witness *w = context;

	(void)r;
	if (w->fails_at && ++w->restarts >= w->fails_at) {
		say(w, "restart fails");
		snprintf(error, error_size, "it does not want to");
		return -EAGAIN;
	}
	say(w, "restart");
	return 0;
}

static void witness_detach(void *context)
{
	say(context, "detach");
	free(context);
}

static int witness_pause(struct nbl_filter *f)
{
	struct witness *w = f->context;

	say(w, "pause");
	if (!w->slow_ms)
		return 0;
	w->pausing = true;
	f->wake_ns = in_ms(w->slow_ms);
	return NBL_PENDING;
}

static uint64_t witness_timer(struct nbl_filter *f, uint64_t now_ns)
{
	struct witness *w = f->context;

	(void)now_ns;
	if (!w->pausing)
		nbl_filter_want_restart(f);
	else
		nbl_filter_pause_complete(f);
	w->pausing = false;
	return 0;
}

static void witness_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			    uint32_t flags)
{
	const struct witness *w = f->context;

	if (w->asks_ms && !f->wake_ns)
		f->wake_ns = in_ms(w->asks_ms);
	nbl_filter_indicate(f, chain, port, flags);
}

static void witness_send(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			 uint32_t flags)
{
	nbl_filter_send(f, chain, port, flags);
}

static void witness_status(struct nbl_filter *f, const struct nbl_status_indication *s)
{
	if (!f->lane)
		say(f->context, s->event == NBL_EVENT_LINK_DOWN ? "link down" : "link up");
	nbl_filter_pass_status(f, s);
}

#define WITNESS(NAME) {						\
	.version = NBL_MODULE_VERSION,				\
	.size = sizeof(struct nbl_module),			\
	.name = NAME,						\
	.help = "says what happens to it",			\
	.options_help = "tag=TEXT fails-at=NUMBER slow=MS asks=MS",	\
	.attach = witness_attach,				\
	.restart = witness_restart,				\
	.detach = witness_detach,				\
	.receive = witness_receive,				\
	.send = witness_send,					\
	.pause = witness_pause,					\
	.timer = witness_timer,					\
	.status = witness_status,				\
}

const struct nbl_module witness_modules[N_WITNESSES] = {
	WITNESS("witness-a"), WITNESS("witness-b"), WITNESS("witness-c"),
};
