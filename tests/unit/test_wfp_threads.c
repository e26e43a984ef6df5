// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_wfp_threads.c - lanes classify while filters change, flows come and go, and
 * other threads inject and complete. Meant for the thread sanitizer.
 */
#include "modules/callouts.h"
#include "wfp_fixture.h"

#define N_LANES 3
#define LAYER NBL_LAYER_INBOUND_MAC_FRAME_NATIVE

static _Atomic bool stop;

/* A lane's own packets: no other thread touches them. */
struct lane {
	pthread_t thread;
	struct nbl_wfp_env env;
	struct nbl nbls[16];
	uint8_t frames[16][128];
	struct nbl_home home;
	uint64_t n_passed, n_dropped, n_absorbed;
	_Atomic uint64_t n_turns;
	_Atomic uint64_t n_home;
};

static struct lane lanes[N_LANES];

static void lane_home(struct nbl_home *home, struct nbl *n)
{
	struct lane *l = (struct lane *)(void *)((char *)home - offsetof(struct lane, home));

	/* last: from here on the lane uses it again */
	atomic_fetch_add(&l->n_home, 1);
	atomic_store_explicit((_Atomic uint32_t *)&n->pool_slot, 0, memory_order_release);
}

static void lane_init(struct lane *l, uint32_t slot)
{
	memset(l, 0, sizeof(*l));
	l->env = (struct nbl_wfp_env){ .slot = slot, .port = 2, .now_ns = 1 };
	l->home.release = lane_home;
	for (uint32_t i = 0; i < 16; i++)
		nbl_init_receive(&l->nbls[i], &l->home, l->frames[i], 128, i);
}

static bool is_free(struct nbl *n)
{
	return !atomic_load_explicit((_Atomic uint32_t *)&n->pool_slot, memory_order_acquire);
}

/* The packets of the next turn: those of 16 that are home. */
static struct nbl_chain lane_receive(struct lane *l, uint32_t round)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	struct bytes_out o;

	for (uint32_t i = 0; i < 16; i++) {
		struct recipe r = RECIPE_UDP4;

		if (!is_free(&l->nbls[i]))
			continue;
		r.source_port = (uint16_t)(1 + (round + i) % 40);
		r.payload = 8;
		cook(&o, &r);
		memcpy(l->frames[i], o.b, o.n);
		nbl_arm_receive(&l->nbls[i], 0, o.n);
		atomic_store_explicit((_Atomic uint32_t *)&l->nbls[i].pool_slot, 1,
				      memory_order_relaxed);
		nbl_chain_append(&chain, &l->nbls[i]);
	}
	return chain;
}

static void release_all(struct nbl_chain chain)
{
	struct nbl *n;

	while ((n = nbl_chain_pop(&chain)))
		nbl_release(n);
}

static void *lane_main(void *arg)
{
	struct lane *l = arg;
	struct nbl_wfp_result r;

	for (uint32_t round = 0; !atomic_load(&stop); round++) {
		l->env.now_ns += 1000;
		r = nbl_wfp_classify_way(fix.wfp, WFP_WAY_RECEIVE, lane_receive(l, round), &l->env);
		l->n_passed += r.passed.n_nbls;
		l->n_dropped += r.dropped.n_nbls;
		l->n_absorbed += r.absorbed.n_nbls;
		release_all(r.passed);
		release_all(r.dropped);
		release_all(r.absorbed);
		atomic_fetch_add(&l->n_turns, 1);
	}
	return NULL;
}

static void lanes_start(void)
{
	atomic_store(&stop, false);
	for (uint32_t i = 0; i < N_LANES; i++) {
		lane_init(&lanes[i], i);
		ck_assert_int_eq(pthread_create(&lanes[i].thread, NULL, lane_main, &lanes[i]), 0);
	}
}

static void lanes_join(void)
{
	for (uint32_t i = 0; i < N_LANES; i++)
		pthread_join(lanes[i].thread, NULL);
}

static void lanes_stop(void)
{
	atomic_store(&stop, true);
	lanes_join();
}

static void pause_us(long us)
{
	const struct timespec t = { .tv_nsec = us * 1000 };

	nanosleep(&t, NULL);
}


static void permit(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	out->action = in->filter->context % 2 ? NBL_ACTION_PERMIT : NBL_ACTION_CONTINUE;
}

/* Waits until every lane has made another turn, so that what is tried is tried beside them. */
static void lanes_turn(void)
{
	for (int i = 0; i < N_LANES; i++) {
		uint64_t before = atomic_load(&lanes[i].n_turns);

		while (atomic_load(&lanes[i].n_turns) == before)
			pause_us(10);
	}
}

START_TEST(CL_06_filters_and_callouts_change_under_lanes_and_nothing_is_freed_in_use)
{
	struct script s = { 0 };
	struct nbl_callout c = script_callout(&s);
	struct wfp_snapshot *old;
	uint64_t ids[8] = { 0 };
	uint32_t id = 0;

	c.classify = permit;
	c.notify = NULL;
	lanes_start();
	for (int round = 0; round < 150; round++) {
		struct nbl_wfp_filter_spec spec = { .layer = (enum nbl_layer)(round % 3),
						    .weight = (uint64_t)round,
						    .action = round % 3 ? WFP_ACTION_CALLOUT_UNKNOWN
									: WFP_ACTION_BLOCK,
						    .flags = NBL_WFP_PERMIT_IF_UNREGISTERED,
						    .context = (uint64_t)round };
		uint64_t *place = &ids[round % 8];

		if (!id)
			ck_assert_int_eq(nbl_callout_register(fix.wfp, &c, &id), 0);
		spec.callout = round % 3 ? id : 0;
		if (*place)
			ck_assert_int_eq(nbl_wfp_filter_delete(fix.wfp, *place), 0);
		ck_assert_int_eq(nbl_wfp_filter_add(fix.wfp, &spec, place), 0);
		ck_assert_int_eq(nbl_wfp_commit(fix.wfp, &old), 0);
		while (!nbl_wfp_is_quiet(fix.wfp, old))
			pause_us(10);
		nbl_wfp_snapshot_free(old);
		if (round % 5 == 0)
			lanes_turn();
		if (round % 20 == 19) {
			while (nbl_callout_unregister(fix.wfp, id) == -EBUSY)
				pause_us(10);
			id = 0;
		}
	}
	lanes_stop();
	ck_assert_uint_gt(counts().classified, 0);
	for (int i = 0; i < N_LANES; i++)
		ck_assert_uint_eq(lanes[i].n_home,
				  lanes[i].n_passed + lanes[i].n_dropped + lanes[i].n_absorbed);
}
END_TEST

/* Contexts are made by malloc() and freed when told: use after that is an error, twice too. */
static _Atomic uint64_t n_made, n_told;

static void uses_context(const struct nbl_classify_in *in, struct nbl_classify_out *out)
{
	uint64_t flow;
	int *context;

	out->action = NBL_ACTION_CONTINUE;
	if (in->flow_context) {
		ck_assert(*(int *)(uintptr_t)in->flow_context == 42);
		if (in->now_ns % 64000 == 1)
			nbl_flow_remove(in->wfp, in->metadata->flow, in->layer, in->callout);
		return;
	}
	context = malloc(sizeof(*context));
	*context = 42;
	if (nbl_flow_associate(in, (uint64_t)(uintptr_t)context, &flow) < 0)
		free(context);
	else
		atomic_fetch_add(&n_made, 1);
}

static void frees_context(void *arg, enum nbl_layer layer, uint64_t context)
{
	*(int *)(uintptr_t)context = 0;
	free((void *)(uintptr_t)context);
	atomic_fetch_add(&n_told, 1);
}

START_TEST(CL_13_contexts_come_and_go_on_all_lanes_and_each_end_is_told_once)
{
	struct script s = { 0 };
	struct nbl_callout c = script_callout(&s);
	uint32_t id;

	n_made = n_told = 0;
	c.classify = uses_context;
	c.flow_deleted = frees_context;
	ck_assert_int_eq(nbl_callout_register(fix.wfp, &c, &id), 0);
	add_filter(NBL_LAYER_INBOUND_IPPACKET_V4, WFP_ACTION_CALLOUT_UNKNOWN, id, 0, 1, 0);
	lanes_start();
	for (int i = 0; i < 400; i++) {
		/* every now and then as if all were idle */
		nbl_wfp_age(fix.wfp, i % 10 ? 1 : UINT64_MAX);
		pause_us(100);
	}
	lanes_stop();
	nbl_wfp_age(fix.wfp, UINT64_MAX);
	nbl_wfp_age(fix.wfp, UINT64_MAX);
	ck_assert_uint_gt(n_made, 0);
	ck_assert_uint_eq(n_made, n_told);
	ck_assert_uint_eq(counts().flows, 0);
}
END_TEST

/* ---- injections: queued by one lane, completed by another thread ---- */

#define N_RING 64

static struct {
	pthread_mutex_t mutex;
	struct nbl *n[N_RING];
	uint32_t head, tail;
} ring = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static int ring_submit(void *arg, enum nbl_inject_path path, struct nbl *n)
{
	int r = -ENOBUFS;

	pthread_mutex_lock(&ring.mutex);
	if (ring.head - ring.tail < N_RING) {
		ring.n[ring.head++ % N_RING] = n;
		r = 0;
	}
	pthread_mutex_unlock(&ring.mutex);
	return r;
}

static struct nbl *ring_take(void)
{
	struct nbl *n = NULL;

	pthread_mutex_lock(&ring.mutex);
	if (ring.head != ring.tail)
		n = ring.n[ring.tail++ % N_RING];
	pthread_mutex_unlock(&ring.mutex);
	return n;
}

static _Atomic bool stop_stack;

/* The lane that has the slot of its own: classifies what was injected, and completes it. */
static void *stack_main(void *arg)
{
	const struct nbl_wfp_env env = { .slot = N_LANES, .port = 2, .now_ns = 1 };
	struct nbl *n;

	while (!atomic_load(&stop_stack)) {
		struct nbl_wfp_result r;

		n = ring_take();
		if (!n) {
			pause_us(10);
			continue;
		}
		r = nbl_wfp_classify_injected(fix.wfp, NBL_PATH_MAC_RECEIVE, chain_of(n), &env);
		nbl_inject_complete_chain(fix.wfp, r.passed, 0);
		nbl_inject_complete_chain(fix.wfp, r.absorbed, 0);
	}
	return NULL;
}

static void *inspect_main(void *arg)
{
	while (!atomic_load(&stop))
		inspect_oob_run(arg, UINT64_MAX);
	return NULL;
}

static void *modify_main(void *arg)
{
	while (!atomic_load(&stop))
		modify_oob_run(arg);
	return NULL;
}

static bool allow_all(void *arg, const struct nbl *n)
{
	return true;
}

static void inspect_counts(void *m, struct nbl_callout_kind_counts *ret)
{
	inspect_oob_get_counts(m, ret);
}

static void modify_counts(void *m, struct nbl_callout_kind_counts *ret)
{
	modify_oob_get_counts(m, ret);
}

START_TEST(IN_05_packets_held_on_one_thread_injected_on_another_and_completed_on_a_third_all_come_home)
{
	struct nbl_wfp_params params = fix_params();
	struct model_params model = {
		.owner = FIX_OWNER, .pool = NULL, .limit = 32, .allow = allow_all
	};
	struct nbl_pool *pool = unit_pool_new(128, 128, 256, 32);
	void (*get_counts)(void *, struct nbl_callout_kind_counts *) = _i ? modify_counts :
		inspect_counts;
	struct inspect_oob *inspect = NULL;
	struct modify_oob *modify = NULL;
	struct nbl_callout_kind_counts c;
	pthread_t stack, worker;
	uint32_t n_done;
	void *m;

	fix_end();
	params.ops.submit = ring_submit;
	params.ops.clock = NULL;
	fix_begin(&params);
	model.wfp = fix.wfp;
	model.pool = model.data_pool = pool;
	ring.head = ring.tail = 0;
	if (_i)
		ck_assert_int_eq(modify_oob_new(&model, &modify), 0);
	else
		ck_assert_int_eq(inspect_oob_new(&model, &inspect), 0);
	m = _i ? (void *)modify : (void *)inspect;
	add_filter(LAYER, WFP_ACTION_CALLOUT_UNKNOWN, _i ? modify_oob_id(m) : inspect_oob_id(m), 0,
		   1, NBL_WFP_PERMIT_IF_UNREGISTERED);
	atomic_store(&stop_stack, false);
	lanes_start();
	ck_assert_int_eq(pthread_create(&stack, NULL, stack_main, NULL), 0);
	ck_assert_int_eq(pthread_create(&worker, NULL, _i ? modify_main : inspect_main, m), 0);
	pause_us(300000);
	lanes_stop();
	pthread_join(worker, NULL);
	/* what is left is worked off, while the stack still runs */
	do {
		n_done = _i ? modify_oob_run(m) : inspect_oob_run(m, UINT64_MAX);
		get_counts(m, &c);
	} while (n_done || c.injected != c.completed + c.failed);
	while ((_i ? modify_oob_free(m) : inspect_oob_free(m)) == -EBUSY)
		pause_us(10);
	atomic_store(&stop_stack, true);
	pthread_join(stack, NULL);
	ck_assert_uint_gt(c.injected, 0);
	for (int i = 0; i < N_LANES; i++)
		ck_assert_uint_eq(lanes[i].n_home,
				  lanes[i].n_passed + lanes[i].n_dropped + lanes[i].n_absorbed);
	unit_assert_full(pool);
	ck_assert_int_eq(nbl_pool_free(pool), 0);
}
END_TEST

/* ---- destroying a handle while others inject by it ---- */

static _Atomic uint64_t n_accepted, n_completed, n_shut;
static uint32_t shared_handle;

static void counts_completion(void *context, struct nbl_chain chain, int status)
{
	struct nbl *n;

	atomic_fetch_add(&n_completed, chain.n_nbls);
	while ((n = nbl_chain_pop(&chain)))
		nbl_free(n);
}

static void *injector_main(void *arg)
{
	const struct nbl_inject_target target = { .port = 2 };
	struct nbl_pool *pool = arg;
	struct recipe recipe = RECIPE_UDP4;
	struct bytes_out o;
	struct nbl source;
	uint8_t frame[128];
	static struct nbl_home home;

	cook(&o, &recipe);
	memcpy(frame, o.b, o.n);
	nbl_init_receive(&source, &home, frame, 128, 0);
	nbl_arm_receive(&source, 0, o.n);
	for (;;) {
		struct nbl *n = NULL;
		int r;

		if (nbl_alloc_copy(&source, pool, pool, &n) < 0)
			continue;
		r = nbl_inject_mac_send(fix.wfp, shared_handle, NULL, &target, chain_of(n),
					counts_completion, NULL);
		if (!r) {
			atomic_fetch_add(&n_accepted, 1);
			continue;
		}
		nbl_free(n);
		if (r == -ESHUTDOWN)
			atomic_fetch_add(&n_shut, 1);
		if (r == -ESTALE)
			return NULL;
	}
}

START_TEST(IN_02_a_handle_destroyed_while_others_inject_completes_all_it_accepted)
{
	struct nbl_wfp_params params = fix_params();
	struct nbl_pool *pool = unit_pool_new(64, 64, 256, 0);
	struct script s = { 0 };
	pthread_t injectors[3], stack;

	fix_end();
	params.ops.submit = ring_submit;
	params.ops.clock = NULL;
	fix_begin(&params);
	script_register(&s);
	n_accepted = n_completed = n_shut = 0;
	ring.head = ring.tail = 0;
	ck_assert_int_eq(nbl_inject_handle_create(fix.wfp, NBL_FAMILY_UNSPEC, NBL_INJECT_L2,
						  FIX_OWNER, &shared_handle),
			 0);
	atomic_store(&stop_stack, false);
	ck_assert_int_eq(pthread_create(&stack, NULL, stack_main, NULL), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&injectors[i], NULL, injector_main, pool), 0);
	pause_us(50000);
	while (nbl_inject_handle_destroy(fix.wfp, shared_handle) == -EINPROGRESS)
		pause_us(10);
	/* from here on: nothing of it is out */
	ck_assert_uint_eq(ring.head, ring.tail);
	for (int i = 0; i < 3; i++)
		pthread_join(injectors[i], NULL);
	ck_assert_uint_eq(n_accepted, n_completed);
	ck_assert_uint_gt(n_accepted, 0);
	atomic_store(&stop_stack, true);
	pthread_join(stack, NULL);
	unit_assert_full(pool);
	ck_assert_int_eq(nbl_pool_free(pool), 0);
}
END_TEST

/* ---- asking whether anything is injected ---- */

static _Atomic uint64_t n_rounds;

/* Injects and completes, one at a time. */
static void *coming_and_going_main(void *arg)
{
	while (!atomic_load(&stop)) {
		atomic_fetch_add(&fix.wfp->injected, 1);
		atomic_fetch_add(&fix.wfp->completed, 1);
		atomic_fetch_add(&n_rounds, 1);
	}
	return NULL;
}

/* Lanes classify an injected packet as one only if they are told that there is any. */
START_TEST(IN_08_while_one_is_injected_nobody_is_told_there_is_none_whatever_comes_and_goes_beside_it)
{
	struct timespec began, now;
	uint64_t n_missed = 0, n_asked = 0;
	pthread_t other;

	atomic_store(&stop, false);
	atomic_store(&n_rounds, 0);
	atomic_fetch_add(&fix.wfp->injected, 1);
	ck_assert_int_eq(pthread_create(&other, NULL, coming_and_going_main, NULL), 0);
	clock_gettime(CLOCK_MONOTONIC, &began);
	do {
		for (int i = 0; i < 10000; i++, n_asked++)
			n_missed += !nbl_wfp_is_injecting(fix.wfp);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - began.tv_sec) * 1000 + (now.tv_nsec - began.tv_nsec) / 1000000 < 500);
	atomic_store(&stop, true);
	pthread_join(other, NULL);
	ck_assert_uint_gt(n_rounds, 1000);
	ck_assert_msg(!n_missed, "%lu of %lu times", (unsigned long)n_missed, (unsigned long)n_asked);
	atomic_fetch_add(&fix.wfp->completed, 1);
	ck_assert(!nbl_wfp_is_injecting(fix.wfp));
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ CL_06_filters_and_callouts_change_under_lanes_and_nothing_is_freed_in_use, 1 },
		{ CL_13_contexts_come_and_go_on_all_lanes_and_each_end_is_told_once, 1 },
		{ IN_05_packets_held_on_one_thread_injected_on_another_and_completed_on_a_third_all_come_home, 2 },
		{ IN_02_a_handle_destroyed_while_others_inject_completes_all_it_accepted, 1 },
		{ IN_08_while_one_is_injected_nobody_is_told_there_is_none_whatever_comes_and_goes_beside_it, 1 },
	};

	return fix_run("wfp_threads", tests, N_ELEMENTS(tests));
}
