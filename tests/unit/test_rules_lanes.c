/* SPDX-License-Identifier: BSD-2-Clause */
/* test_rules_lanes.c - one module on two lanes at once; whose lane a port's sends are. */
#include "stack/ports.h"
#include "unit/lane_fixture.h"

#define N_LANES 2u

static struct rig rig;
static struct nbl_lane lanes[N_LANES];
static struct nbl_stack stack;

/* Shared by the lanes, as a module's context is. */
static struct {
	_Atomic uint32_t n_inside, n_together;
	_Atomic uint64_t n_packets;
} shared;

struct own_part {
	uint64_t n_packets;
	uint64_t lane;
};

/* Waits, once, until the other lane is in here too: only a second call at the same time ends it. */
static void meet(void)
{
	uint64_t until = rig_now_ns() + 5000000000ull;

	atomic_fetch_add(&shared.n_inside, 1);
	while (!atomic_load(&shared.n_together) && rig_now_ns() < until) {
		if (atomic_load(&shared.n_inside) == N_LANES)
			atomic_store(&shared.n_together, 1);
		sched_yield();
	}
	atomic_fetch_sub(&shared.n_inside, 1);
}

static void receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	struct own_part *own = f->lane_state;

	if (!atomic_load(&shared.n_together))
		meet();
	/* its own needs no lock, what is shared does */
	own->n_packets += chain.n_nbls;
	own->lane = f->lane;
	atomic_fetch_add(&shared.n_packets, chain.n_nbls);
	nbl_filter_indicate(f, chain, port, flags);
}

static const struct nbl_module module = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "meeting",
	.lane_state_size = sizeof(struct own_part), .receive = receive,
	.status = nbl_filter_pass_status,
};

static void begin(void)
{
	struct nbl_queue queues[RIG_MAX_QUEUES];
	uint32_t n_frames;

	memset(&shared, 0, sizeof(shared));
	rig_make(&rig, RIG_SHAPE(.n_lower = N_LANES, .n_upper = N_LANES));
	n_frames = nbl_memory_n_frames(&rig.memory.shape);
	rig.nbls = aligned_alloc(NBL_CACHE_LINE, n_frames * sizeof(*rig.nbls));
	memset(rig.nbls, 0, n_frames * sizeof(*rig.nbls));
	rig_adopt_queues(&rig, queues);
	for (uint32_t l = 0; l < N_LANES; l++) {
		const struct nbl_queue own[] = { queues[l], queues[N_LANES + l] };

		/* the memory has one block for figures, which both may publish to */
		ck_assert_int_eq(nbl_lane_init(&lanes[l], 0, &rig.memory, rig.nbls, own, 2, 1,
					       &rig.world->progress[l]), 0);
	}
	ck_assert_int_eq(nbl_lanes_make_pool(lanes, N_LANES, &rig.memory, NBL_TAKEOVER_FRESH,
					     &rig.pool), 0);
	nbl_stack_init(&stack, lanes, N_LANES);
	for (uint32_t l = 0; l < N_LANES; l++)
		nbl_lane_adopt(&lanes[l], NBL_TAKEOVER_FRESH);
}

static void end(void)
{
	nbl_stack_done(&stack);
	for (uint32_t l = 0; l < N_LANES; l++) {
		struct nbl_audit audit = { 0 };

		ck_assert_int_eq(nbl_lane_audit(&lanes[l], &audit), 0);
		ck_assert_msg(!audit.mismatches, "%s", audit.first);
	}
	/* not before: an audit looks at frames of the other lane, too */
	for (uint32_t l = 0; l < N_LANES; l++)
		nbl_lane_done(&lanes[l]);
	ck_assert_int_eq(nbl_pool_free(rig.pool), 0);
	free(rig.nbls);
	rig_free(&rig);
}

static void *run(void *arg)
{
	struct nbl_lane *lane = arg;

	nbl_lane_enter(lane);
	for (int i = 0; i < 100; i++)
		nbl_lane_turn(lane);
	nbl_lane_enter(NULL);
	return NULL;
}

START_TEST(RX_13_handlers_of_one_module_run_on_two_lanes_at_the_same_time)
{
	const struct nbl_option all = { "max-share", "100" };
	pthread_t threads[N_LANES];
	char error[128];

	begin();
	ck_assert_int_eq(nbl_stack_insert(&stack, &module, &all, 1, 0, error, sizeof(error)), 0);
	for (uint32_t l = 0; l < N_LANES; l++) {
		nbl_lane_turn(&lanes[l]);
		ck_assert_uint_eq(rig_deliver(&rig, l, 200), 200);
	}
	for (uint32_t l = 0; l < N_LANES; l++)
		ck_assert_int_eq(pthread_create(&threads[l], NULL, run, &lanes[l]), 0);
	for (uint32_t l = 0; l < N_LANES; l++)
		pthread_join(threads[l], NULL);
	ck_assert_uint_eq(shared.n_together, 1);
	ck_assert_uint_eq(shared.n_packets, 400);
	for (uint32_t l = 0; l < N_LANES; l++) {
		const struct own_part *own = stack.modules[0].filters[l].f.lane_state;

		ck_assert_uint_eq(own->n_packets, 200);
		ck_assert_uint_eq(own->lane, l);
	}
	while (rig_run_kernel(&rig))
		for (uint32_t l = 0; l < N_LANES; l++)
			nbl_lane_turn(&lanes[l]);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	ck_assert_uint_eq(rig_left(&rig), 400);
	end();
}
END_TEST

static struct nbl_chain kept;

/* Keeps what comes by lane 0, and gives it back by the other. */
static void keep_or_give(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	(void)port;
	(void)flags;
	nbl_chain_join(&kept, &chain);
	if (!f->lane)
		return;
	nbl_filter_return(f, kept);
	kept = NBL_CHAIN_EMPTY;
}

static const struct nbl_module mixing = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "mixing",
	.flags = NBL_MODULE_HOLDS, .receive = keep_or_give, .status = nbl_filter_pass_status,
};

static void turn(uint32_t lane)
{
	struct nbl_lane *before = nbl_lane_enter(&lanes[lane]);

	nbl_lane_turn(&lanes[lane]);
	nbl_lane_enter(before);
}

static uint64_t held_on(uint32_t lane)
{
	return lanes[lane].figures.frames[NBL_FRAME_HELD];
}

START_TEST(RX_10_what_came_by_one_lane_and_is_returned_by_another_comes_home_on_its_own)
{
	char error[128];

	begin();
	ck_assert_int_eq(nbl_stack_insert(&stack, &mixing, NULL, 0, 0, error, sizeof(error)), 0);
	for (uint32_t l = 0; l < N_LANES; l++)
		turn(l);
	rig_deliver(&rig, 0, 10);
	turn(0);
	ck_assert_uint_eq(held_on(0), 10);
	rig_deliver(&rig, 1, 3);
	turn(1);
	/* lane 0 alone moves its frames, and it has not had its turn */
	ck_assert_uint_eq(held_on(0), 10);
	ck_assert_uint_eq(held_on(1), 0);
	ck_assert_uint_eq(lanes[1].figures.outcomes[NBL_OUTCOME_CONSUMED] +
			  lanes[1].figures.outcomes[NBL_OUTCOME_RETURNED], 3);
	turn(0);
	ck_assert_uint_eq(held_on(0), 0);
	ck_assert_uint_eq(lanes[0].figures.outcomes[NBL_OUTCOME_RETURNED], 10);
	end();
}
END_TEST

START_TEST(PT_04_a_send_goes_to_the_lane_of_its_port)
{
	struct nbl_ports ports;
	struct nbl *n;

	begin();
	ck_assert_int_eq(nbl_ports_init(&ports, N_LANES), 0);
	for (uint32_t l = 0; l < N_LANES; l++)
		lanes[l].ports = &ports;
	n = nbl_pool_alloc(rig.pool);
	ck_assert_uint_eq(nbl_lane_for(lanes, N_LANES, n), 0);
	for (uint16_t port = 1; port <= N_LANES; port++) {
		n->port = port;
		ck_assert_uint_eq(nbl_lane_for(lanes, N_LANES, n), port - 1);
	}
	n->port = N_LANES + 1;	/* an upper port's queue: no port */
	ck_assert_uint_eq(nbl_lane_for(lanes, N_LANES, n), 0);
	ck_assert_int_eq(nbl_free(n), 0);
	nbl_ports_done(&ports);
	end();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ RX_13_handlers_of_one_module_run_on_two_lanes_at_the_same_time, 1 },
		{ RX_10_what_came_by_one_lane_and_is_returned_by_another_comes_home_on_its_own, 1 },
		{ PT_04_a_send_goes_to_the_lane_of_its_port, 1 },
	};

	return rig_run("rules_lanes", tests, N_ELEMENTS(tests));
}
