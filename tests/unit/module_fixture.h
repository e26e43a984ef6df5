/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * module_fixture.h - a lane with modules whose every handler does what the test says.
 *
 * Modules are "a", "b", "c" from the lower port upward; what a test does not set
 * passes on. All they are called with is noted in one trace.
 */
#ifndef MODULE_FIXTURE_H
#define MODULE_FIXTURE_H

#include <nbl/holding.h>
#include <nbl/info.h>

#include "unit/lane_fixture.h"
#include "stack/hops.h"

#define N_ACTORS 3

static struct rig rig;

struct actor {
	struct nbl_filter *f;		/* of the lane */
	void (*receive)(struct actor *a, struct nbl_chain c, uint32_t flags);
	void (*receive_return)(struct actor *a, struct nbl_chain c);
	void (*send)(struct actor *a, struct nbl_chain c);
	void (*send_complete)(struct actor *a, struct nbl_chain c);
	int (*restart)(struct actor *a, struct nbl_restart *r, char *error, size_t size);
	int (*pause)(struct actor *a);
	struct nbl_chain up, down;	/* kept, of each path */
	struct nbl *own;
	uint64_t n_returned, n_completed, n_received, n_sent;
	_Atomic uint64_t n_timers;	/* tests look while the lane runs */
	uint32_t headroom_below;
	enum nbl_status status;		/* of the last completed */
	int n_detached;
};

static struct actor actors[N_ACTORS];
static char trace[2048];

RIG_UNUSED static void note(const struct actor *a, const char *what)
{
	size_t n = strlen(trace);

	snprintf(trace + n, sizeof(trace) - n, "%c:%s ", (char)('a' + (a - actors)), what);
}

static struct actor *actor_of(struct nbl_filter *f)
{
	struct actor *a = f->context;

	/* written once only: other threads look at it */
	if (a->f != f)
		a->f = f;
	return a;
}

static void actor_receive(struct nbl_filter *f, struct nbl_chain c, uint32_t port, uint32_t flags)
{
	struct actor *a = actor_of(f);

	a->n_received += c.n_nbls;
	if (a->receive)
		a->receive(a, c, flags);
	else
		nbl_filter_indicate(f, c, port, flags);
}

static void actor_return(struct nbl_filter *f, struct nbl_chain c, uint32_t flags)
{
	struct actor *a = actor_of(f);

	(void)flags;
	a->n_returned += c.n_nbls;
	if (a->receive_return)
		a->receive_return(a, c);
	else
		nbl_filter_return(f, c);
}

static void actor_send(struct nbl_filter *f, struct nbl_chain c, uint32_t port, uint32_t flags)
{
	struct actor *a = actor_of(f);

	a->n_sent += c.n_nbls;
	if (a->send)
		a->send(a, c);
	else
		nbl_filter_send(f, c, port, flags);
}

static void actor_complete(struct nbl_filter *f, struct nbl_chain c, uint32_t flags)
{
	struct actor *a = actor_of(f);

	(void)flags;
	a->n_completed += c.n_nbls;
	if (c.head)
		a->status = (enum nbl_status)c.head->status;
	if (a->send_complete)
		a->send_complete(a, c);
	else
		nbl_filter_complete(f, c);
}

static int actor_pause(struct nbl_filter *f)
{
	struct actor *a = actor_of(f);

	note(a, "pause");
	return a->pause ? a->pause(a) : 0;
}

static int actor_restart(void *context, struct nbl_restart *r, char *error, size_t size)
{
	struct actor *a = context;

	note(a, "restart");
	a->headroom_below = r->headroom_below;
	return a->restart ? a->restart(a, r, error, size) : 0;
}

static void actor_status(struct nbl_filter *f, const struct nbl_status_indication *s)
{
	struct actor *a = actor_of(f);
	char what[16];

	snprintf(what, sizeof(what), "status%d", s->event);
	note(a, what);
	nbl_filter_pass_status(f, s);
}

static uint64_t actor_timer(struct nbl_filter *f, uint64_t now_ns)
{
	struct actor *a = actor_of(f);

	(void)now_ns;
	a->n_timers++;
	return 0;
}

static void actor_cancel(struct nbl_filter *f, uint64_t id)
{
	struct actor *a = actor_of(f);
	struct nbl_chain kept = NBL_CHAIN_EMPTY, gone = NBL_CHAIN_EMPTY;
	struct nbl *n;

	note(a, "cancel");
	while ((n = nbl_chain_pop(&a->down))) {
		bool is_it = nbl_info_get(n, NBL_INFO_CANCEL_ID) == id;

		if (is_it)
			n->status = NBL_STATUS_SEND_ABORTED;
		nbl_chain_append(is_it ? &gone : &kept, n);
	}
	a->down = kept;
	if (gone.head)
		nbl_filter_complete(f, gone);
}

static int actor_attach(const struct nbl_option *o, uint32_t n, void **ret, char *error,
			size_t size)
{
	if (n != 1 || strcmp(o->key, "as")) {
		snprintf(error, size, "options that are the engine's came through");
		return -EINVAL;
	}
	*ret = &actors[o->value[0] - 'a'];
	return 0;
}

static void actor_detach(void *context)
{
	struct actor *a = context;

	note(a, "detach");
	a->n_detached++;
}

#define ACTOR(n, m) { \
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = n, \
	.flags = NBL_MODULE_HOLDS | NBL_MODULE_QUEUES_SENDS | NBL_MODULE_ORIGINATES_SENDS | \
		 NBL_MODULE_ORIGINATES_RECEIVES, \
	.attach = actor_attach, .detach = actor_detach, .restart = actor_restart, \
	.receive = actor_receive, .receive_return = actor_return, .send = actor_send, \
	.send_complete = actor_complete, .pause = actor_pause, .status = actor_status, \
	.timer = actor_timer, .cancel_send = actor_cancel, .request = m }

static int actor_request(struct nbl_filter *f, struct nbl_request *r);

static const struct nbl_module actor_modules[N_ACTORS] = {
	ACTOR("a", actor_request), ACTOR("b", actor_request), ACTOR("c", NULL),
};

/* Passes it on, and says 100 less. */
static int actor_request(struct nbl_filter *f, struct nbl_request *r)
{
	int result = nbl_filter_request(f, r);

	note(actor_of(f), "request");
	if (f->context == &actors[1] && !result && !r->set)
		r->value -= 100;
	return result;
}

/* Puts actor 'i' in at 'position' with its options beside "as". */
static int add_with(uint32_t i, uint32_t position, const struct nbl_option *options, uint32_t n,
		    char *error, size_t size)
{
	const char as[] = { (char)('a' + i), '\0' };
	struct nbl_option all[8] = { { "as", as } };

	if (n)
		memcpy(all + 1, options, n * sizeof(*all));
	return nbl_stack_insert(&rig.stack, &actor_modules[i], all, n + 1, position, error, size);
}

RIG_UNUSED static void add(uint32_t i)
{
	const struct nbl_option all = { "max-share", "100" };
	char error[128] = "";

	ck_assert_msg(!add_with(i, rig.stack.n_modules, &all, 1, error, sizeof(error)), "%s",
		      error);
	actors[i].f = &rig.stack.modules[rig.stack.n_modules - 1].filters[0].f;
}

RIG_UNUSED static void begin(uint32_t n)
{
	static const struct nbl_module *const none[] = { NULL };

	memset(actors, 0, sizeof(actors));
	rig_make(&rig, RIG_SHAPE(0));
	rig_up(&rig, none, NBL_TAKEOVER_FRESH);
	rig.stack.pause_timeout_ms = 20;
	rig.stack.drain_ms = 5;
	rig_turn(&rig);
	for (uint32_t i = 0; i < n; i++)
		add(i);
	trace[0] = '\0';
}

RIG_UNUSED static void end(void)
{
	rig_down(&rig);
	rig_free(&rig);
}

RIG_UNUSED static uint64_t outcome(enum nbl_outcome o)
{
	return rig.lane.figures.outcomes[o];
}

RIG_UNUSED static uint64_t drops_at(uint16_t place)
{
	uint64_t n = 0;

	for (int o = 0; o < NBL_N_OUTCOMES; o++)
		n += rig.lane.figures.drops[place][o];
	return n;
}

RIG_UNUSED static uint64_t violations(void)
{
	return nbl_violations() - rig.nbl_violations_before;
}

RIG_UNUSED static struct nbl_chain one(struct nbl *n)
{
	struct nbl_chain c = NBL_CHAIN_EMPTY;

	nbl_chain_append(&c, n);
	return c;
}

/* ---- things to do ---- */

RIG_UNUSED static void keep_up(struct actor *a, struct nbl_chain c, uint32_t flags)
{
	(void)flags;
	nbl_chain_join(&a->up, &c);
}

RIG_UNUSED static void keep_down(struct actor *a, struct nbl_chain c)
{
	nbl_chain_join(&a->down, &c);
}

RIG_UNUSED static void drop(struct actor *a, struct nbl_chain c, uint32_t flags)
{
	if (!(flags & NBL_RECEIVE_RESOURCES))
		nbl_filter_return(a->f, c);
}

RIG_UNUSED static int let_go(struct actor *a)
{
	if (a->up.head)
		nbl_filter_indicate(a->f, nbl_chain_take(&a->up), 0, 0);
	if (a->down.head)
		nbl_filter_send(a->f, nbl_chain_take(&a->down), 0, 0);
	return 0;
}

/* A packet of its own, of 64 bytes, marked as its own. */
RIG_UNUSED static struct nbl *own_packet(struct actor *a)
{
	uint16_t before = nbl_holder_enter(a->f->id);
	struct nbl *n;

	ck_assert_int_eq(nbl_pool_alloc_data(rig.pool, rig.pool, RIG_LENGTH, &n), 0);
	nbl_holder_enter(before);
	memset(nbl_nb_data(n->first_nb), 0xaa, RIG_LENGTH);
	nbl_filter_own(a->f, n);
	return n;
}

RIG_UNUSED static struct nbl_module_life *life(uint32_t i)
{
	return &rig.stack.modules[i].life;
}

#endif
