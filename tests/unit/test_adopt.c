/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_adopt.c - a lane may die at any instruction; its successor makes it good.
 *
 * Two ways to die. At random: a child runs the lane over shared memory while
 * this process plays the kernel, and is killed, hundreds of times. And at every
 * instruction: a child is single-stepped through whole turns; after each
 * instruction that changed anything shared, what a death there would have left
 * is copied, adopted and run to its end. A death leaves exactly the stores made
 * before it, so the copy is what a successor would find.
 */
#include <sys/prctl.h>
#include <sys/ptrace.h>

#include "unit/lane_fixture.h"

/* ---- modules ---- */

/* Sees packets on their way back too, so that frames pass through lane->done. */
static void watch_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			  uint32_t flags)
{
	nbl_filter_indicate(f, chain, port, flags);
}

static void watch_return(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)flags;
	nbl_filter_return(f, chain);
}

static void watch_send(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	nbl_filter_send(f, chain, port, flags);
}

static void watch_complete(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)flags;
	nbl_filter_complete(f, chain);
}

static const struct nbl_module watch = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "watch",
	.receive = watch_receive, .receive_return = watch_return,
	.send = watch_send, .send_complete = watch_complete,
	.status = nbl_filter_pass_status,
};

static bool is_unwanted(const struct nbl *n)
{
	struct rig_packet p;

	memcpy(&p, nbl_nb_data(&n->nb), sizeof(p));
	return p.sequence % 3 == 1;
}

/* Gives every third packet back. */
static void sieve_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			  uint32_t flags)
{
	struct nbl_chain wanted = NBL_CHAIN_EMPTY, unwanted = NBL_CHAIN_EMPTY;
	struct nbl *n;

	while ((n = nbl_chain_pop(&chain)))
		nbl_chain_append(is_unwanted(n) ? &unwanted : &wanted, n);
	if (unwanted.head)
		nbl_filter_return(f, unwanted);
	if (wanted.head)
		nbl_filter_indicate(f, wanted, port, flags);
}

static const struct nbl_module sieve = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "sieve",
	.receive = sieve_receive, .status = nbl_filter_pass_status,
};

/*
 * Sends by all ways there are: as it is; by a child; by two children on two queues; by a
 * copy. Parents are kept until their children are done.
 */
static struct {
	struct nbl_lane *lane;
	struct nbl_filter *filter;
} forker;

static void send_own(struct nbl *n, enum nbl_side side)
{
	struct nbl_chain own = NBL_CHAIN_EMPTY;

	n->source_handle = nbl_handle_of_module(9, 1);
	nbl_chain_append(&own, n);
	nbl_lane_transmit(forker.lane, own, side);
}

static void fork_one(struct nbl_filter *f, struct nbl *n, uint32_t n_children)
{
	struct nbl *children[2];

	for (uint32_t i = 0; i < n_children; i++)
		RIG_MUST((children[i] = nbl_alloc_clone(n, forker.lane->pool)));
	for (uint32_t i = 0; i < n_children; i++)
		send_own(children[i], i ? NBL_LOWER : NBL_UPPER);
	(void)f;
}

static void send_copy(struct nbl_filter *f, struct nbl *n)
{
	struct nbl_chain original = NBL_CHAIN_EMPTY;
	struct nbl *copy;

	if (nbl_alloc_copy(n, forker.lane->pool, forker.lane->pool, &copy) == 0)
		send_own(copy, NBL_UPPER);
	n->outcome = NBL_OUTCOME_CONSUMED;
	nbl_chain_append(&original, n);
	nbl_filter_return(f, original);
}

static void fork_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			 uint32_t flags)
{
	struct nbl_chain plain = NBL_CHAIN_EMPTY;
	struct rig_packet p;
	struct nbl *n;

	forker.filter = f;
	/* a borrowed one may not be kept, so it has no children */
	if (flags & NBL_RECEIVE_RESOURCES) {
		nbl_filter_indicate(f, chain, port, flags);
		return;
	}
	while ((n = nbl_chain_pop(&chain))) {
		memcpy(&p, nbl_nb_data(&n->nb), sizeof(p));
		if (p.sequence % 4 == 0)
			nbl_chain_append(&plain, n);
		else if (p.sequence % 4 == 3)
			send_copy(f, n);
		else
			fork_one(f, n, p.sequence % 4);
	}
	if (plain.head)
		nbl_filter_indicate(f, plain, port, flags);
}

static void end_own(void *arg, struct nbl_lane *lane, struct nbl_chain chain)
{
	struct nbl *n;

	(void)arg;
	(void)lane;
	while ((n = nbl_chain_pop(&chain))) {
		struct nbl_chain original = NBL_CHAIN_EMPTY;
		struct nbl *parent = n->parent;

		if (!parent) {
			RIG_MUST(!nbl_free(n));
			continue;
		}
		RIG_MUST(!nbl_free_clone(n));
		if (parent->child_ref_count)
			continue;
		parent->outcome = NBL_OUTCOME_CONSUMED;
		nbl_chain_append(&original, parent);
		nbl_filter_return(forker.filter, original);
	}
}

static void set_up_forker(struct rig *r)
{
	forker.lane = &r->lane;
	nbl_lane_set_end(&r->lane, NBL_ORIGIN_MODULE, end_own, NULL);
}

static const struct nbl_module forking = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "forking",
	.flags = NBL_MODULE_HOLDS, .receive = fork_receive,
	.status = nbl_filter_pass_status,
};

static const struct nbl_module *const only_forking[] = { &forking, NULL };
static const struct nbl_module *const forking_and_watch[] = { &forking, &watch, NULL };
static const struct nbl_module *const only_count[] = { &nbl_module_count, NULL };
static const struct nbl_module *const watch_and_count[] = { &watch, &nbl_module_count, NULL };
static const struct nbl_module *const only_sieve[] = { &sieve, NULL };
static const struct nbl_module *const only_delay[] = { &nbl_module_delay, NULL };

/* ---- death at random ---- */

#define LIVES 200
#define SECONDS 4
#define MOST_LOST 64	/* per death: the burst in hand */

/*
 * With the pool, and whoever ends what modules originate there
 * before the interrupted burst runs again.
 */
static void bring_up(struct rig *r, const struct nbl_module *const *modules,
		     enum nbl_takeover takeover)
{
	rig_prepare(r, modules);
	set_up_forker(r);
	RIG_MUST(!nbl_lanes_make_pool(&r->lane, 1, &r->memory, takeover, &r->pool));
	nbl_lane_adopt(&r->lane, takeover);
}

static bool pool_is_whole(struct rig *r)
{
	struct nbl_pool_counts c;

	nbl_pool_get_counts(r->pool, &c);
	return c.frames_free == c.n_frames && c.nbls_free == c.n_nbls;
}

static void note_audit(struct rig *r)
{
	struct nbl_audit audit = { 0 };

	RIG_MUST(!nbl_lane_audit(&r->lane, &audit));
	if (audit.mismatches && !r->world->mismatches)
		memcpy(r->world->first, audit.first, sizeof(audit.first));
	r->world->mismatches += audit.mismatches;
}

/* A life: adopts, looks around, works until killed. */
static void live(struct rig *r, const struct nbl_module *const *modules,
		 enum nbl_takeover takeover)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bring_up(r, modules, takeover);
	note_audit(r);
	nbl_lane_enter(&r->lane);
	r->world->ready = 1;
	for (;;) {
		nbl_lane_turn(&r->lane);
		r->world->turns++;
		r->world->violations = nbl_violations() - r->nbl_violations_before;
	}
}

static void play_kernel(struct rig *r, struct rig_random *random)
{
	uint32_t q = rig_random_below(random, r->n_queues);

	switch (rig_random_below(random, 4)) {
	case 0:
	case 1:
		rig_deliver(r, q, rig_random_below(random, 80));
		break;
	case 2:
		rig_take(r, q, rig_random_below(random, 100));
		break;
	case 3:
		rig_complete(r, q, rig_random_below(random, 100));
		break;
	}
}

/* True if 'frame' is in a TX ring. We are its consumer, so it stays there while we look. */
static bool is_in_tx(struct rig *r, const struct nbl_queue *queues, uint64_t frame)
{
	for (uint32_t i = 0; i < r->n_queues; i++) {
		const struct nbl_ring *ring = &queues[i].tx.ring;
		uint32_t end = nbl_ring_load(ring->producer);

		for (uint32_t slot = *ring->consumer; slot != end; slot++)
			if (((const struct xdp_desc *)ring->entries)[slot & (ring->size - 1)].addr /
			    2048 == frame)
				return true;
	}
	return false;
}

/* The kernel would write the next frame of a fill ring while it is to be read from a TX ring. */
static const char *posted_while_sent(struct rig *r)
{
	struct nbl_queue queues[RIG_MAX_QUEUES];

	rig_adopt_queues(r, queues);
	for (uint32_t i = 0; i < r->n_queues; i++) {
		const struct nbl_ring *ring = &queues[i].fill.ring;
		uint32_t slot = *ring->consumer;

		if (nbl_ring_used(ring) &&
		    is_in_tx(r, queues,
			     ((const uint64_t *)ring->entries)[slot & (ring->size - 1)] / 2048))
			return "a frame is posted while it is being sent";
	}
	return NULL;
}

static void assert_no_fault(const char *fault, const char *when, int life)
{
	if (fault)
		ck_abort_msg("life %d, %s: %s", life, when, fault);
}

/* One life and its death; the kernel goes on throughout. */
static void let_live_and_kill(struct rig *r, struct rig_random *random, int life,
			      const struct nbl_module *const *modules, enum nbl_takeover takeover)
{
	uint64_t end, life_ns = 20000 + rig_random_below(random, 1u << (10 + life % 14));
	pid_t child;

	r->world->ready = 0;
	child = fork();
	if (!child)
		live(r, modules, life ? takeover : NBL_TAKEOVER_FRESH);
	while (!r->world->ready) {
		if (life)
			play_kernel(r, random);
		if (waitpid(child, NULL, WNOHANG))
			ck_abort_msg("life %d ended by itself", life);
	}
	for (end = rig_now_ns() + life_ns; rig_now_ns() < end;) {
		play_kernel(r, random);
		assert_no_fault(rig_figures_fault(r), "alive", life);
		assert_no_fault(posted_while_sent(r), "alive", life);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_no_fault(rig_figures_fault(r), "dead", life);
	ck_assert_msg(!r->world->mismatches, "%s", r->world->first);
	ck_assert_uint_eq(r->world->violations, 0);
}

static int kill_many(struct rig *r, const struct nbl_module *const *modules,
		     enum nbl_takeover takeover)
{
	struct rig_random random = rig_random(0x5eed0001);
	uint64_t end = rig_now_ns() + SECONDS * 1000000000ull;
	int life;

	rig_make(r, RIG_SHAPE(.n_lower = 2, .n_upper = 2, .n_frames = 192, .n_pool_frames = 64,
			      .start_at = 0xffffff00u));
	for (life = 0; life < LIVES && rig_now_ns() < end; life++)
		let_live_and_kill(r, &random, life, modules, takeover);
	bring_up(r, modules, takeover);
	rig_settle(r);
	rig_check(r);
	ck_assert_uint_eq(nbl_figures_in_flight(&r->lane.figures), 0);
	ck_assert_uint_eq(rig_lost_frames(r), 0);
	ck_assert_uint_eq(r->lane.figures.received, rig_delivered(r));
	ck_assert_msg(pool_is_whole(r), "frames of the pool are lost");
	printf("%d lives, %llu turns, %llu packets, %llu lost\n", life,
	       (unsigned long long)r->world->turns, (unsigned long long)rig_delivered(r),
	       (unsigned long long)(rig_delivered(r) - rig_left(r)));
	ck_assert_uint_gt(rig_delivered(r), 1000);
	return life;
}

START_TEST(killed_at_random_with_replay_loses_and_duplicates_nothing_and_keeps_order)
{
	static struct rig r;

	kill_many(&r, only_count, NBL_TAKEOVER_REPLAY);
	rig_check_all_left(&r);
	ck_assert_uint_eq(r.lane.figures.outcomes[NBL_OUTCOME_WORKER_DIED], 0);
	rig_down(&r);
	rig_free(&r);
}
END_TEST

START_TEST(killed_at_random_with_drop_loses_at_most_a_burst_a_death_and_counts_it)
{
	static struct rig r;
	int deaths = kill_many(&r, only_count, NBL_TAKEOVER_DROP);
	uint64_t lost = rig_delivered(&r) - rig_left(&r);

	ck_assert_uint_eq(rig_wrong(&r), 0);
	ck_assert_uint_le(lost, (uint64_t)deaths * MOST_LOST);
	ck_assert_uint_eq(r.lane.figures.outcomes[NBL_OUTCOME_WORKER_DIED], lost);
	rig_down(&r);
	rig_free(&r);
}
END_TEST

START_TEST(killed_at_random_while_frames_are_shared_no_frame_is_lost_or_posted_while_sent)
{
	static struct rig r;

	kill_many(&r, _i ? forking_and_watch : only_forking,
		  _i ? NBL_TAKEOVER_DROP : NBL_TAKEOVER_REPLAY);
	rig_down(&r);
	rig_free(&r);
}
END_TEST

/* ---- death at every instruction ---- */

struct scenario {
	const char *name;
	struct rig_shape shape;
	const struct nbl_module *const *modules;
	/* in the child, lane up: brings about what is stepped through */
	void (*begin)(struct rig *r);
	uint32_t n_turns;
	bool replay_loses_nothing;
	uint32_t most_lost;		/* with drop, and with replay if that may lose */
	uint32_t n_sieved;	/* how many of three packets a module drops on purpose: 0 or 1 */
	bool originates; /* what leaves is not what came: only frames and figures are judged */
};

/* Packets in all stages: to receive on both sides, in TX, completed, and frames to post. */
static void begin_busy(struct rig *r)
{
	rig_deliver(r, 0, 20);
	rig_deliver(r, r->n_queues - 1, 12);
	rig_turn(r);
	rig_take(r, r->n_queues - 1, 15);
	rig_take(r, 0, 10);
	rig_complete(r, r->n_queues - 1, 9);
	rig_complete(r, 0, 10);
	rig_turn(r);
	rig_complete(r, r->n_queues - 1, 4);
	for (uint32_t q = 0; q < r->n_queues; q++)
		rig_deliver(r, q, 7);
}

/* The TX ring is full long before the burst ends; the kernel sends when called. */
static void begin_tight(struct rig *r)
{
	r->world->calls_reach_kernel = true;
	r->world->kick_takes = 3;
	r->world->kick_completes = 2;
	r->world->kick_result = -EAGAIN;
	rig_deliver(r, 0, 14);
	rig_deliver(r, 1, 11);
}

/* More than one burst waits. */
static void begin_full(struct rig *r)
{
	rig_deliver(r, 0, 130);
}

static void begin_sieved(struct rig *r)
{
	rig_deliver(r, 0, 16);
}

/* Held packets fall due while others come in. */
static void begin_due(struct rig *r)
{
	rig_deliver(r, 0, 9);
	rig_deliver(r, 1, 6);
	rig_turn(r);
	rig_sleep_ns(12000000);
	rig_deliver(r, 0, 5);
	rig_deliver(r, 1, 4);
}

/* Children, copies and packets as they are, in all stages; room is made inside the handler. */
static void begin_forking(struct rig *r)
{
	rig_deliver(r, 0, 8);
	rig_turn(r);
	for (uint32_t q = 0; q < 2; q++) {
		rig_take(r, q, 3);
		rig_complete(r, q, 2);
	}
	r->world->calls_reach_kernel = true;
	r->world->kick_takes = 3;
	r->world->kick_completes = 2;
	r->world->kick_result = -EAGAIN;
	rig_deliver(r, 0, 9);
}

#define FORK_RINGS { .rx = 32, .tx = 8, .fill = 32, .completion = 32 }
#define TIGHT { .rx = 32, .tx = 4, .fill = 32, .completion = 32 }

static const struct scenario scenarios[] = {
	{ "one queue each", { .n_frames = 48 }, only_count, begin_busy, 2, true, 64, 0, false },
	{ "indices past 2^32", { .n_frames = 48, .start_at = 0xffffffecu }, only_count, begin_busy,
	  2, true, 64, 0, false },
	{ "two lower queues, one upper", { .n_lower = 2, .n_frames = 48 }, only_count, begin_busy,
	  2, true, 64, 0, false },
	{ "returns seen by a module", { .n_frames = 48 }, watch_and_count, begin_busy, 2, true, 64,
	  0, false },
	{ "sending stuck inside the burst", { .n_frames = 32, .rings = TIGHT }, only_count,
	  begin_tight, 3, true, 64, 0, false },
	{ "stuck, and returns seen by a module", { .n_frames = 32, .rings = TIGHT },
	  watch_and_count, begin_tight, 3, true, 64, 0, false },
	{ "a module that drops", { .n_frames = 48 }, only_sieve, begin_sieved, 2, true, 64, 1,
	  false },
	{ "a module that holds", { .n_frames = 48 }, only_delay, begin_due, 2, false, 64, 0,
	  false },
	{ "a whole burst", { .n_frames = 160 }, only_count, begin_full, 1, true, 64, 0, false },
	{ "children and copies", { .n_frames = 64, .rings = FORK_RINGS }, only_forking,
	  begin_forking, 2, false, 64, 0, true },
	{ "children, and returns seen by a module", { .n_frames = 64, .rings = FORK_RINGS },
	  forking_and_watch, begin_forking, 2, false, 64, 0, true },
};

/* ---- stepping ---- */

struct stepper {
	pid_t child;
	uint64_t n_steps, n_judged;
	uint8_t *last;			/* what was shared when last judged */
	struct nbl_queue queues[RIG_MAX_QUEUES];
};

static size_t control_size(const struct rig *r)
{
	return (size_t)(r->memory.frames - r->memory.base);
}

/*
 * True if anything a successor looks at changed since the last
 * call. Ring entries show by their index.
 */
static bool has_changed(struct stepper *s, const struct rig *r)
{
	uint32_t words[RIG_MAX_QUEUES * 8];
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->n_queues; i++) {
		const struct nbl_queue *q = &s->queues[i];
		const struct nbl_ring *rings[] = { &q->rx.ring, &q->tx.ring, &q->fill.ring,
						   &q->completion.ring };

		for (int k = 0; k < 4; k++) {
			words[n++] = *rings[k]->producer;
			words[n++] = *rings[k]->consumer;
		}
	}
	if (!memcmp(s->last, r->memory.base, control_size(r)) &&
	    !memcmp(s->last + control_size(r), words, n * sizeof(words[0])))
		return false;
	memcpy(s->last, r->memory.base, control_size(r));
	memcpy(s->last + control_size(r), words, n * sizeof(words[0]));
	return true;
}

static bool goes_on(pid_t child, int request)
{
	int status;

	RIG_MUST(!ptrace((enum __ptrace_request)request, child, NULL, NULL));
	RIG_MUST(waitpid(child, &status, 0) == child);
	if (WIFSTOPPED(status) && WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP)
		ck_abort_msg("the child was stopped by signal %d", WSTOPSIG(status));
	return WIFSTOPPED(status);
}

/* Between the two stops of the child: judges each state it goes through. */
static void step(struct stepper *s, struct rig *dying, void (*act)(struct rig *r, const void *arg),
		 const void *arg,
		 void (*judge)(struct stepper *s, struct rig *dying, const void *arg))
{
	rig_adopt_queues(dying, s->queues);
	s->last = calloc(1, control_size(dying) + RIG_MAX_QUEUES * 8 * sizeof(uint32_t));
	dying->world->ready = 0;
	s->child = fork();
	if (!s->child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		RIG_MUST(!ptrace(PTRACE_TRACEME, 0, NULL, NULL));
		act(dying, arg);
		_exit(0);
	}
	RIG_MUST(waitpid(s->child, NULL, 0) == s->child);
	/* 'ready' is set while what is stepped through goes on, and cleared at its end */
	while (!dying->world->ready)
		RIG_MUST(goes_on(s->child, PTRACE_SINGLESTEP));
	while (dying->world->ready) {
		if (!dying->world->in_kernel && has_changed(s, dying)) {
			judge(s, dying, arg);
			s->n_judged++;
		}
		RIG_MUST(goes_on(s->child, PTRACE_SINGLESTEP));
		s->n_steps++;
	}
	kill(s->child, SIGKILL);
	waitpid(s->child, NULL, 0);
	free(s->last);
}

/* ---- judging ---- */

static struct rig dying, heir, dying_heir;

static const char *what_is_wrong(struct rig *r, const struct scenario *sc,
				 enum nbl_takeover takeover)
{
	const struct nbl_lane_figures *f = &r->lane.figures;
	uint64_t lost = rig_delivered(r) - rig_left(r), sieved = 0;
	uint64_t died = f->outcomes[NBL_OUTCOME_WORKER_DIED];

	if (sc->n_sieved)
		for (uint32_t i = 0; i < r->n_queues; i++)
			sieved += i < r->shape.n_lower ? (r->world->flows[i].delivered + 1) / 3 : 0;
	if (rig_wrong(r) && !sc->originates)
		return "a packet left twice, out of order, changed or on the wrong port";
	if (f->received != rig_delivered(r))
		return "received is not what was delivered";
	if (nbl_figures_in_flight(f))
		return "something stays in flight";
	if (f->frames[NBL_FRAME_QUARANTINE])
		return "a frame is in quarantine";
	if (rig_lost_frames(r))
		return "a frame is neither posted nor free";
	if (!pool_is_whole(r) || nbl_lane_n_originated(&r->lane))
		return "not all that was originated is back";
	if (sc->originates)
		return NULL;
	if (takeover == NBL_TAKEOVER_REPLAY && sc->replay_loses_nothing && lost != sieved)
		return "replay lost a packet";
	if (lost > sc->most_lost + sieved)
		return "more was lost than was in hand";
	if (f->outcomes[NBL_OUTCOME_TO_WIRE] + f->outcomes[NBL_OUTCOME_TO_HOST] != rig_left(r))
		return "the packets said to have left are not those that did";
	if (!sc->n_sieved && died != lost)
		return "what was lost is not what was said to be";
	return NULL;
}

/* Adopts what 'dead' left and runs it to its end. */
static void judge_death(struct stepper *s, struct rig *dead, const struct scenario *sc,
			enum nbl_takeover takeover)
{
	const char *fault;

	rig_copy(&heir, dead);
	heir.world->calls_reach_kernel = false;
	heir.world->kick_result = 0;
	fault = rig_figures_fault(&heir);
	if (!fault) {
		heir.world->calls_reach_kernel = !sc->originates;
		heir.world->kick_takes = heir.world->kick_completes = UINT32_MAX;
		bring_up(&heir, sc->modules, takeover);
		fault = rig_fault(&heir, 0);
		/* frames go round before the kernel has sent anything */
		for (int i = 0; sc->originates && i < 2 && !fault; i++) {
			rig_turn(&heir);
			fault = rig_fault(&heir, 0);
		}
		for (uint32_t q = 0; q < heir.n_queues; q++)
			rig_deliver(&heir, q, 3);
		rig_settle(&heir);
		if (!fault)
			fault = rig_fault(&heir, 0);
		if (!fault)
			fault = what_is_wrong(&heir, sc, takeover);
		rig_down(&heir);
	}
	if (fault)
		ck_abort_msg("%s: dead after %llu instructions, %s: %s", sc->name,
			     (unsigned long long)s->n_steps,
			     takeover == NBL_TAKEOVER_REPLAY ? "replay" : "drop", fault);
}

static void judge_both(struct stepper *s, struct rig *dead, const void *arg)
{
	judge_death(s, dead, arg, NBL_TAKEOVER_REPLAY);
	judge_death(s, dead, arg, NBL_TAKEOVER_DROP);
}

static void act_turns(struct rig *r, const void *arg)
{
	const struct scenario *sc = arg;

	bring_up(r, sc->modules, NBL_TAKEOVER_FRESH);
	rig_turn(r);
	sc->begin(r);
	nbl_lane_enter(&r->lane);
	raise(SIGSTOP);
	r->world->ready = 1;
	for (uint32_t i = 0; i < sc->n_turns; i++)
		nbl_lane_turn(&r->lane);
	r->world->ready = 0;
}

START_TEST(death_at_any_instruction_of_a_turn_is_made_good)
{
	const struct scenario *sc = &scenarios[_i];
	struct stepper s = { 0 };

	rig_make(&dying, &sc->shape);
	rig_make(&heir, &sc->shape);
	step(&s, &dying, act_turns, sc, judge_both);
	printf("%s: %llu instructions, %llu different deaths\n", sc->name,
	       (unsigned long long)s.n_steps, (unsigned long long)s.n_judged);
	ck_assert_uint_gt(s.n_judged, 40);
	rig_free(&heir);
	rig_free(&dying);
}
END_TEST

/* ---- death of the heir ---- */

#define SECOND_DEATHS_EVERY 17	/* of the first deaths, so many have an heir that dies too, */
#define SECOND_DEATHS_NS 1500000000ull	/* until so much time is spent */

struct heir_death {
	const struct scenario *sc;
	enum nbl_takeover takeover;
};

static void act_adopt(struct rig *r, const void *arg)
{
	const struct heir_death *h = arg;

	rig_prepare(r, h->sc->modules);
	set_up_forker(r);
	/* takes too long to be stepped through, and changes only what it may do again */
	RIG_MUST(!nbl_lanes_make_pool(&r->lane, 1, &r->memory, h->takeover, &r->pool));
	raise(SIGSTOP);
	r->world->ready = 1;
	nbl_lane_adopt(&r->lane, h->takeover);
	r->world->ready = 0;
}

static void judge_second(struct stepper *s, struct rig *dead, const void *arg)
{
	const struct heir_death *h = arg;

	judge_death(s, dead, h->sc, h->takeover);
}

static void kill_the_heir(struct stepper *s, struct rig *dead, const void *arg)
{
	static uint64_t n, spent_ns;
	uint64_t before = rig_now_ns();
	struct heir_death h = { .sc = arg };

	if (n++ % SECOND_DEATHS_EVERY || spent_ns > SECOND_DEATHS_NS)
		return;
	for (int i = 0; i < 2; i++) {
		struct stepper second = { 0 };

		h.takeover = i ? NBL_TAKEOVER_DROP : NBL_TAKEOVER_REPLAY;
		rig_copy(&dying_heir, dead);
		step(&second, &dying_heir, act_adopt, &h, judge_second);
		s->n_judged += second.n_judged;
	}
	spent_ns += rig_now_ns() - before;
}

static const int second_scenarios[] = { 0, 4, 5, 9 };

START_TEST(death_at_any_instruction_of_an_adoption_is_made_good)
{
	const struct scenario *sc = &scenarios[second_scenarios[_i]];
	struct stepper s = { 0 };

	rig_make(&dying, &sc->shape);
	rig_make(&heir, &sc->shape);
	rig_make(&dying_heir, &sc->shape);
	step(&s, &dying, act_turns, sc, kill_the_heir);
	printf("%s: %llu different deaths\n", sc->name, (unsigned long long)s.n_judged);
	ck_assert_uint_gt(s.n_judged, 20);
	rig_free(&dying_heir);
	rig_free(&heir);
	rig_free(&dying);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ killed_at_random_with_replay_loses_and_duplicates_nothing_and_keeps_order, 1 },
		{ killed_at_random_with_drop_loses_at_most_a_burst_a_death_and_counts_it, 1 },
		{ killed_at_random_while_frames_are_shared_no_frame_is_lost_or_posted_while_sent,
		  2 },
		{ death_at_any_instruction_of_a_turn_is_made_good, (int)N_ELEMENTS(scenarios) },
		{ death_at_any_instruction_of_an_adoption_is_made_good,
		  (int)N_ELEMENTS(second_scenarios) },
	};

	return rig_run("adopt", tests, N_ELEMENTS(tests));
}
