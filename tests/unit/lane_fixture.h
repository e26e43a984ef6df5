/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lane_fixture.h - a lane between ports whose kernel is the test, and the oracle.
 *
 * Packets carry the number of the queue they came in on and a sequence number.
 * Whatever leaves is judged at once: no packet twice, none out of order, none on
 * the wrong port, no byte changed; what is missing is counted. rig_check() then
 * claims that ledger, rings and figures agree (the audit), that every packet
 * received has one outcome or is in flight, and that frames sum to their total.
 *
 * Memory, rings and the judge's notes are shared with forked children, so that a
 * child can run the lane and die at it.
 */
#ifndef LANE_FIXTURE_H
#define LANE_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/nbl_internal.h"
#include "modules/modules.h"
#include "port/mem_queue.h"
#include "stack/stack.h"
#include "unit/run.h"

#define RIG_MAX_QUEUES 8
#define RIG_LENGTH 64u			/* bytes of a packet */
#define RIG_HEADROOM 256u		/* where the kernel puts it in its frame */
#define RIG_UNUSED __attribute__((unused))

/* What is 0 is chosen by rig_make(): one queue each of 256 frames, rings of 256 entries from 0. */
struct rig_shape {
	uint32_t n_lower, n_upper;
	uint32_t n_frames;		/* per queue */
	uint32_t n_pool_frames;		/* of the adapter's pool */
	struct nbl_ring_sizes rings;
	uint32_t start_at;		/* index at which all rings begin */
};

#define RIG_SHAPE(...) (&(const struct rig_shape){ __VA_ARGS__ })

/* The packets that came in on one queue. */
struct rig_flow {
	uint64_t delivered;		/* sequence numbers 0 .. delivered - 1 came */
	uint64_t next;			/* the lowest that may still leave */
	uint64_t left, missing;
	uint64_t wrong;			/* twice, out of order, changed, or on the wrong port */
};

/* What the kernel knows. Shared with children. */
struct rig_world {
	struct nbl_progress progress[2];
	struct rig_flow flows[RIG_MAX_QUEUES];
	/* what the kernel does when called, if 'calls_reach_kernel' */
	bool calls_reach_kernel;
	uint32_t kick_takes, kick_completes;
	int kick_result;
	_Atomic uint32_t n_kicks, n_wakes;
	_Atomic int in_kernel;		/* inside a call, which no death interrupts */
	/* for tests that die */
	_Atomic uint64_t turns;
	_Atomic int ready;
	_Atomic uint64_t mismatches, violations;
	char first[128];
};

struct rig {
	struct nbl_memory memory;
	struct nbl_mem_port *ports[RIG_MAX_QUEUES];
	struct rig_world *world;
	struct rig_shape shape;
	uint32_t n_queues;
	/* our side */
	struct nbl_lane lane;
	struct nbl_stack stack;
	struct nbl *nbls;
	struct nbl_pool *pool;		/* rig_up() makes it */
	uint32_t n_pools_lost;
	uint64_t nbl_violations_before;
};

struct rig_packet {
	uint64_t sequence;
	uint32_t queue;
	uint32_t magic;
	uint8_t body[RIG_LENGTH - 16];
};

/* Children use it too, so it is not Check's. */
#define RIG_MUST(condition) do { \
	if (!(condition)) { \
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
		abort(); \
	} \
} while (0)

/* ---- the judge ---- */

static void rig_write_packet(struct rig_packet *p, uint32_t queue, uint64_t sequence)
{
	p->sequence = sequence;
	p->queue = queue;
	p->magic = 0x6e626c21;
	for (uint32_t i = 0; i < sizeof(p->body); i++)
		p->body[i] = (uint8_t)(sequence * 31 + queue * 7 + i);
}

/* The number of the queue that packets of queue 'number' leave on. */
static uint32_t rig_across(const struct rig *r, uint32_t number)
{
	if (number < r->shape.n_lower)
		return r->shape.n_lower + number % r->shape.n_upper;
	return (number - r->shape.n_lower) % r->shape.n_lower;
}

static void rig_judge(struct rig *r, uint32_t port, const struct nbl_mem_packet *packet)
{
	struct rig_packet expected, got;
	struct rig_flow *flow;

	memcpy(&got, packet->bytes, sizeof(got));
	if (packet->length != RIG_LENGTH || got.queue >= r->n_queues) {
		r->world->flows[0].wrong++;
		return;
	}
	flow = &r->world->flows[got.queue];
	rig_write_packet(&expected, got.queue, got.sequence);
	if (memcmp(&expected, &got, sizeof(got)) || rig_across(r, got.queue) != port ||
	    got.sequence < flow->next || got.sequence >= flow->delivered) {
		flow->wrong++;
		return;
	}
	flow->missing += got.sequence - flow->next;
	flow->next = got.sequence + 1;
	flow->left++;
}

/* ---- the kernel ---- */

/* Delivers up to 'n' packets to queue 'number'. Returns how many there was a frame and room for. */
RIG_UNUSED static uint32_t rig_deliver(struct rig *r, uint32_t number, uint32_t n)
{
	struct rig_flow *flow = &r->world->flows[number];
	uint32_t done;

	for (done = 0; done < n; done++) {
		struct rig_packet p;

		rig_write_packet(&p, number, flow->delivered);
		/* counted first: the other process may have sent it before we come back */
		flow->delivered++;
		if (!nbl_mem_port_deliver(r->ports[number], &p, sizeof(p))) {
			flow->delivered--;
			break;
		}
	}
	return done;
}

/* Takes up to 'n' packets that queue 'number' sent, and judges them. */
RIG_UNUSED static uint32_t rig_take(struct rig *r, uint32_t number, uint32_t n)
{
	struct nbl_mem_packet packet;
	uint32_t done = 0;

	for (; done < n && nbl_mem_port_take(r->ports[number], &packet); done++)
		rig_judge(r, number, &packet);
	return done;
}

RIG_UNUSED static uint32_t rig_complete(struct rig *r, uint32_t number, uint32_t n)
{
	return nbl_mem_port_complete(r->ports[number], n);
}

/* Sends and completes all that is there, on every queue. Returns how many entries moved. */
RIG_UNUSED static uint32_t rig_run_kernel(struct rig *r)
{
	uint32_t moved = 0;

	for (uint32_t i = 0; i < r->n_queues; i++)
		moved += rig_take(r, i, UINT32_MAX) + rig_complete(r, i, UINT32_MAX);
	return moved;
}

static int rig_kick(struct nbl_queue *q)
{
	struct rig *r = q->mapping[1];
	struct rig_world *w = r->world;

	w->in_kernel = 1;
	w->n_kicks++;
	if (w->calls_reach_kernel) {
		rig_take(r, q->number, w->kick_takes);
		rig_complete(r, q->number, w->kick_completes);
	}
	w->in_kernel = 0;
	return w->kick_result;
}

static void rig_wake_fill(struct nbl_queue *q)
{
	struct rig *r = q->mapping[1];

	r->world->n_wakes++;
}

static void rig_close(struct nbl_queue *q)
{
	q->mapping[0] = NULL;
}

static const struct nbl_queue_ops rig_ops = {
	.kick = rig_kick, .wake_fill = rig_wake_fill, .close = rig_close,
};

/* ---- making ---- */

/* Memory, ports, notes. No lane yet: rig_up(). */
RIG_UNUSED static void rig_make(struct rig *r, const struct rig_shape *shape)
{
	struct nbl_memory_shape m = { .frame_size = 2048, .n_lanes = 1,
				      .lane_block_size = NBL_LANE_BLOCK_SIZE };

	memset(r, 0, sizeof(*r));
	r->shape = *shape;
	r->shape.n_lower += !shape->n_lower;
	r->shape.n_upper += !shape->n_upper;
	if (!shape->n_frames)
		r->shape.n_frames = 256;
	if (!shape->n_pool_frames)
		r->shape.n_pool_frames = 32;
	if (!shape->rings.rx)
		r->shape.rings = (struct nbl_ring_sizes){ 256, 256, 256, 256 };
	m.n_queues = r->n_queues = r->shape.n_lower + r->shape.n_upper;
	m.frames_per_queue = r->shape.n_frames;
	m.n_pool_frames = r->shape.n_pool_frames;
	RIG_MUST(!nbl_memory_create(&m, &r->memory));
	r->world = mmap(NULL, sizeof(*r->world), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	RIG_MUST(r->world != MAP_FAILED);
	for (uint32_t i = 0; i < r->n_queues; i++) {
		r->ports[i] = nbl_mem_port_new(&r->memory, &r->shape.rings);
		RIG_MUST(r->ports[i]);
		nbl_mem_port_start_at(r->ports[i], r->shape.start_at);
	}
}

RIG_UNUSED static void rig_free(struct rig *r)
{
	for (uint32_t i = 0; i < r->n_queues; i++)
		nbl_mem_port_free(r->ports[i]);
	munmap(r->world, sizeof(*r->world));
	nbl_memory_close(&r->memory);
}

/* Makes 'to', of the same shape and without a lane, what 'from' is at this moment. */
RIG_UNUSED static void rig_copy(struct rig *to, const struct rig *from)
{
	memcpy(to->memory.base, from->memory.base, from->memory.size);
	memcpy(to->world, from->world, sizeof(*to->world));
	for (uint32_t i = 0; i < from->n_queues; i++)
		nbl_mem_port_copy(to->ports[i], from->ports[i]);
}

static void rig_adopt_queues(struct rig *r, struct nbl_queue *queues)
{
	for (uint32_t i = 0; i < r->n_queues; i++) {
		nbl_mem_port_adopt(r->ports[i], i < r->shape.n_lower ? NBL_LOWER : NBL_UPPER,
				   (uint16_t)i, &queues[i]);
		queues[i].ops = &rig_ops;
		queues[i].mapping[1] = r;
		queues[i].to_host = i >= r->shape.n_lower;
	}
}

/* Puts 'module' in on top; it may hold all there is. */
RIG_UNUSED static void rig_add(struct rig *r, const struct nbl_module *module,
			       const struct nbl_option *options, uint32_t n_options)
{
	struct nbl_option all[8] = { { "max-share", "100" } };
	char error[128] = "";

	RIG_MUST(n_options < 8);
	for (uint32_t i = 0; i < n_options; i++)
		all[i + 1] = options[i];
	RIG_MUST(!nbl_stack_insert(&r->stack, module, all, n_options + 1, r->stack.n_modules,
				   error, sizeof(error)));
}

/* The lane, with 'modules' (ended by NULL) from the lower port upward, before it adopts. */
RIG_UNUSED static void rig_prepare(struct rig *r, const struct nbl_module *const *modules)
{
	uint32_t n_frames = nbl_memory_n_frames(&r->memory.shape);
	struct nbl_queue queues[RIG_MAX_QUEUES];

	r->nbls = aligned_alloc(NBL_CACHE_LINE, n_frames * sizeof(*r->nbls));
	RIG_MUST(r->nbls);
	memset(r->nbls, 0, n_frames * sizeof(*r->nbls));
	rig_adopt_queues(r, queues);
	RIG_MUST(!nbl_lane_init(&r->lane, 0, &r->memory, r->nbls, queues, r->n_queues,
				r->shape.n_lower, &r->world->progress[0]));
	nbl_stack_init(&r->stack, &r->lane, 1);
	for (; modules && *modules; modules++)
		rig_add(r, *modules, NULL, 0);
	r->nbl_violations_before = nbl_violations();
}

RIG_UNUSED static void rig_up(struct rig *r, const struct nbl_module *const *modules,
			      enum nbl_takeover takeover)
{
	rig_prepare(r, modules);
	RIG_MUST(!nbl_lanes_make_pool(&r->lane, 1, &r->memory, takeover, &r->pool));
	nbl_set_default_pools(r->pool, r->pool);
	nbl_lane_adopt(&r->lane, takeover);
}

/* As a process that ended: nothing is handed on. */
RIG_UNUSED static void rig_down(struct rig *r)
{
	nbl_stack_done(&r->stack);
	nbl_lane_done(&r->lane);
	nbl_set_default_pools(NULL, NULL);
	/* -EBUSY if the process "died" with NBLs out: they are lost with it */
	if (r->pool && nbl_pool_free(r->pool) < 0)
		r->n_pools_lost++;
	r->pool = NULL;
	free(r->nbls);
	r->nbls = NULL;
}

/* ---- running ---- */

RIG_UNUSED static uint32_t rig_turn(struct rig *r)
{
	struct nbl_lane *before = nbl_lane_enter(&r->lane);
	uint32_t moved = nbl_lane_turn(&r->lane);

	nbl_lane_enter(before);
	return moved;
}

/* Turns and kernel in turn until both have nothing to do and nothing is held. */
RIG_UNUSED static void rig_settle(struct rig *r)
{
	uint32_t moved, tries = 0;

	do {
		moved = rig_turn(r);
		if (nbl_stack_flush(&r->stack))
			moved++;
		moved += rig_run_kernel(r);
		RIG_MUST(++tries < 10000);	/* it settles */
	} while (moved);
	nbl_lane_publish(&r->lane);
}

/* ---- the oracle ---- */

RIG_UNUSED static uint64_t rig_outcomes(const struct nbl_lane_figures *f)
{
	uint64_t sum = 0;

	for (int i = 0; i < NBL_N_OUTCOMES; i++)
		sum += f->outcomes[i];
	return sum;
}

RIG_UNUSED static bool rig_balances(const struct rig *r, const struct nbl_lane_figures *f)
{
	uint64_t frames = 0;

	for (int i = 0; i < NBL_N_FRAME_STATES; i++)
		frames += f->frames[i];
	return f->received == rig_outcomes(f) + nbl_figures_in_flight(f) &&
	       frames == r->n_queues * r->shape.n_frames;
}

RIG_UNUSED static void rig_read(const struct rig *r, struct nbl_lane_figures *ret)
{
	nbl_figures_read(nbl_memory_lane_block(&r->memory, 0), ret);
}

/* Drops by place sum to the outcomes that are drops. */
static bool rig_drops_agree(const struct nbl_lane_figures *f)
{
	for (int o = 0; o < NBL_N_OUTCOMES; o++) {
		uint64_t drops = 0;

		for (int p = 0; p < NBL_N_PLACES; p++)
			drops += f->drops[p][o];
		if (nbl_outcome_is_drop((enum nbl_outcome)o) && drops != f->outcomes[o])
			return false;
	}
	return true;
}

/* What is wrong with what is published, or NULL. */
RIG_UNUSED static const char *rig_figures_fault(const struct rig *r)
{
	struct nbl_lane_figures f;

	rig_read(r, &f);
	if (!rig_balances(r, &f))
		return "figures do not balance";
	return rig_drops_agree(&f) ? NULL : "drops by place do not sum to outcomes";
}

/*
 * What the audit finds, or NULL. 'violations' is how many broken rules the lane
 * and the core should have counted. No Check call, for it runs very often.
 */
RIG_UNUSED static const char *rig_fault(struct rig *r, uint64_t violations)
{
	static struct nbl_audit audit, pool;
	static char text[96];

	audit = (struct nbl_audit){ 0 };
	if (nbl_lane_audit(&r->lane, &audit))
		return "no memory for the audit";
	if (audit.mismatches)
		return audit.first;
	pool = (struct nbl_audit){ 0 };
	nbl_pool_memory_audit(&r->lane, &pool);
	if (pool.mismatches)
		return pool.first;
	if (audit.frames != r->n_queues * r->shape.n_frames)
		return "the audit did not look at all frames";
	audit.violations += nbl_violations() - r->nbl_violations_before;
	if (audit.violations != violations) {
		snprintf(text, sizeof(text), "%llu violations counted, %llu expected",
			 (unsigned long long)audit.violations, (unsigned long long)violations);
		return text;
	}
	nbl_lane_publish(&r->lane);
	return rig_figures_fault(r);
}

RIG_UNUSED static void rig_check_with(struct rig *r, uint64_t violations)
{
	const char *fault = rig_fault(r, violations);

	ck_assert_msg(!fault, "%s", fault);
}

RIG_UNUSED static void rig_check(struct rig *r)
{
	rig_check_with(r, 0);
	ck_assert_uint_eq(r->lane.figures.frames[NBL_FRAME_QUARANTINE], 0);
}

RIG_UNUSED static uint64_t rig_delivered(const struct rig *r)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->n_queues; i++)
		n += r->world->flows[i].delivered;
	return n;
}

RIG_UNUSED static uint64_t rig_left(const struct rig *r)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->n_queues; i++)
		n += r->world->flows[i].left;
	return n;
}

RIG_UNUSED static uint64_t rig_wrong(const struct rig *r)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->n_queues; i++)
		n += r->world->flows[i].wrong;
	return n;
}

/*
 * The kernel having nothing left to do: frames that are neither posted nor on a free list are lost.
 */
RIG_UNUSED static uint64_t rig_lost_frames(const struct rig *r)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->n_queues; i++)
		n += r->lane.queues[i].n_frames - r->lane.queues[i].n_free -
		     nbl_ring_used(&r->lane.queues[i].q.fill.ring);
	return n;
}

/* Everything delivered has left, once, in order, unchanged; all frames are home; all is said so. */
RIG_UNUSED static void rig_check_all_left(struct rig *r)
{
	const struct nbl_lane_figures *f = &r->lane.figures;

	ck_assert_uint_eq(rig_wrong(r), 0);
	ck_assert_uint_eq(rig_left(r), rig_delivered(r));
	rig_check(r);
	ck_assert_uint_eq(nbl_figures_in_flight(f), 0);
	ck_assert_uint_eq(rig_lost_frames(r), 0);
	ck_assert_uint_eq(f->received, rig_delivered(r));
	ck_assert_uint_eq(f->outcomes[NBL_OUTCOME_TO_WIRE] + f->outcomes[NBL_OUTCOME_TO_HOST],
			  rig_delivered(r));
}

/* ---- numbers, time, programs ---- */

struct rig_random {
	uint64_t state;
};

RIG_UNUSED static struct rig_random rig_random(uint64_t seed)
{
	const char *s = getenv("UNIT_SEED");

	if (s)
		seed = strtoull(s, NULL, 0);
	printf("seed %#llx (UNIT_SEED to change)\n", (unsigned long long)seed);
	return (struct rig_random){ .state = seed ? seed : 1 };
}

RIG_UNUSED static uint32_t rig_random_below(struct rig_random *r, uint32_t n)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return (uint32_t)(r->state >> 11) % n;
}

RIG_UNUSED static uint64_t rig_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

RIG_UNUSED static void rig_sleep_ns(uint64_t ns)
{
	const struct timespec t = { .tv_sec = (time_t)(ns / 1000000000),
				    .tv_nsec = (long)(ns % 1000000000) };

	nanosleep(&t, NULL);
}

/* Runs 'tests'; returns the exit status of the program. */
RIG_UNUSED static int rig_run(const char *name, const struct unit_test *tests, size_t n_tests)
{
	return unit_run_with(name, tests, n_tests, 60, NULL, NULL);
}

#endif
