/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_adopt_stepped.c - a lane may die at any instruction; its successor makes it good.
 *
 * A child is single-stepped through whole turns; after each instruction that
 * changed anything shared, what a death there would have left is copied, adopted
 * and run to its end. A death leaves exactly the stores made before it, so the
 * copy is what a successor would find.
 */
#include <sys/ptrace.h>

#include "unit/adopt_fixture.h"

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

static const struct nbl_module *const watch_and_count[] = { &watch, &nbl_module_count, NULL };
static const struct nbl_module *const only_sieve[] = { &sieve, NULL };
static const struct nbl_module *const only_delay[] = { &nbl_module_delay, NULL };

/* ---- what is stepped through ---- */

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
		{ death_at_any_instruction_of_a_turn_is_made_good, (int)N_ELEMENTS(scenarios) },
		{ death_at_any_instruction_of_an_adoption_is_made_good,
		  (int)N_ELEMENTS(second_scenarios) },
	};

	return rig_run("adopt_stepped", tests, N_ELEMENTS(tests));
}
