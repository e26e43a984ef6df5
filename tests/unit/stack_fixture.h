/* SPDX-License-Identifier: BSD-2-Clause */
/* stack_fixture.h - a lane with an empty stack, and modules to put into it that leave a trace. */
#ifndef STACK_FIXTURE_H
#define STACK_FIXTURE_H

#include "unit/lane_fixture.h"

static struct rig rig;

#define HEAD(n) .version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = n

static const struct nbl_module *const no_modules[] = { NULL };

static void begin(void)
{
	rig_make(&rig, RIG_SHAPE(0));
	rig_up(&rig, no_modules, NBL_TAKEOVER_FRESH);
	rig.stack.pause_timeout_ms = 20;
	rig_turn(&rig);
}

static void end(void)
{
	rig_down(&rig);
	rig_free(&rig);
}

RIG_UNUSED static struct nbl_filter *filter(uint32_t i)
{
	return &rig.stack.modules[i].filters[0].f;
}

static void insert(const struct nbl_module *m, uint32_t position)
{
	const struct nbl_option all = { "max-share", "100" };
	char error[64];

	ck_assert_int_eq(nbl_stack_insert(&rig.stack, m, &all, 1, position, error, sizeof(error)),
			 0);
}

/* ---- modules that leave a trace ---- */

#define N_TRACERS 4

static char trace[256];

static void note(const struct nbl_filter *f, char path)
{
	size_t n = strlen(trace);

	snprintf(trace + n, sizeof(trace) - n, "%c%c ", f->module->name[0], path);
}

static void trace_receive(struct nbl_filter *f, struct nbl_chain c, uint32_t port, uint32_t flags)
{
	note(f, 'r');
	nbl_filter_indicate(f, c, port, flags);
}

static void trace_return(struct nbl_filter *f, struct nbl_chain c, uint32_t flags)
{
	(void)flags;
	note(f, 'b');
	nbl_filter_return(f, c);
}

static void trace_send(struct nbl_filter *f, struct nbl_chain c, uint32_t port, uint32_t flags)
{
	note(f, 's');
	nbl_filter_send(f, c, port, flags);
}

static void trace_complete(struct nbl_filter *f, struct nbl_chain c, uint32_t flags)
{
	(void)flags;
	note(f, 'c');
	nbl_filter_complete(f, c);
}

static const struct nbl_module tracers[N_TRACERS] = {
	{ HEAD("a"), .receive = trace_receive, .receive_return = trace_return, .send = trace_send,
	  .send_complete = trace_complete, .status = nbl_filter_pass_status },
	{ HEAD("b"), .receive = trace_receive, .receive_return = trace_return, .send = trace_send,
	  .send_complete = trace_complete, .status = nbl_filter_pass_status },
	{ HEAD("c"), .receive = trace_receive, .send_complete = trace_complete,
	  .status = nbl_filter_pass_status },
	{ HEAD("d"), .receive_return = trace_return, .send = trace_send,
	  .status = nbl_filter_pass_status },
};

#endif
