/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_module_limits.c - how much a module may hold, how long, what
 * happens then, and taking it out by force.
 */
#include "unit/module_fixture.h"

#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1u << 0)
#endif

/* Module b with one option, over a; a and c see everything pass. */
static void begin_limited(const char *key, const char *value)
{
	const struct nbl_option o[] = { { key, value }, { "max-share", "100" } };
	char error[128];

	begin(1);
	ck_assert_int_eq(add_with(1, 1, o, strcmp(key, "max-share") ? 2 : 1, error, sizeof(error)),
			 0);
	actors[1].f = &rig.stack.modules[1].filters[0].f;
	add(2);
	actors[1].receive = keep_up;
	actors[1].send = keep_down;
}

static struct nbl_module_report report(void)
{
	struct nbl_module_report r;

	ck_assert_int_eq(nbl_stack_report(&rig.stack, 1, &r), 0);
	return r;
}

static uint32_t now_ms(void)
{
	return (uint32_t)(rig.lane.now_ns / 1000000);
}

/* Keeps nothing it was lent. */
static void keep_if_allowed(struct actor *a, struct nbl_chain c, uint32_t flags)
{
	if (flags & NBL_RECEIVE_RESOURCES)
		nbl_filter_indicate(a->f, c, 0, flags);
	else
		keep_up(a, c, flags);
}

static const struct { const char *key, *value; uint32_t most; } limits[] = {
	{ "max-held", "10", 10 }, { "max-share", "10", 25 }, { "max-share", "25", 64 },
};

START_TEST(at_its_limit_a_module_is_lent_what_comes_and_the_others_go_on)
{
	begin_limited(limits[_i].key, limits[_i].value);
	actors[1].receive = keep_if_allowed;
	for (uint32_t i = 0; i < limits[_i].most; i++) {
		rig_deliver(&rig, 0, 1);
		rig_turn(&rig);
	}
	ck_assert_int_eq(actors[1].f->held, limits[_i].most);
	ck_assert_uint_eq(actors[2].n_received, 0);
	rig_deliver(&rig, 0, 20);
	rig_turn(&rig);
	ck_assert_int_eq(actors[1].f->held, limits[_i].most);
	ck_assert_uint_eq(actors[2].n_received, 20);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_TX], 20);
	nbl_stack_check_limits(&rig.stack, now_ms());
	ck_assert_int_eq(report().health, NBL_HEALTH_LIMITED);
	ck_assert_uint_eq(report().lent, 20);
	/* and it gets its fill again when it let go */
	nbl_lane_enter(&rig.lane);
	let_go(&actors[1]);
	nbl_lane_enter(NULL);
	rig_run_kernel(&rig);
	rig_turn(&rig);
	nbl_stack_check_limits(&rig.stack, now_ms());
	ck_assert_int_eq(report().health, NBL_HEALTH_OK);
	rig_deliver(&rig, 0, 3);
	rig_turn(&rig);
	ck_assert_int_eq(actors[1].f->held, 3);
	actors[1].pause = let_go;
	rig_settle(&rig);
	ck_assert_uint_eq(violations(), 0);
	rig_check(&rig);
	end();
}
END_TEST

START_TEST(what_is_sent_goes_past_a_module_at_its_limit_or_is_dropped_if_nothing_may_pass_unseen)
{
	begin_limited("max-held", "10");
	rig.stack.fail_closed = _i;
	rig_deliver(&rig, 1, 10);
	rig_turn(&rig);
	rig_deliver(&rig, 1, 7);
	rig_turn(&rig);
	ck_assert_int_eq(actors[1].f->held, 10);
	ck_assert_uint_eq(actors[1].n_sent, 10);
	ck_assert_uint_eq(actors[0].n_sent, _i ? 0 : 7);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_MODULE_LIMIT), _i ? 7 : 0);
	ck_assert_uint_eq(drops_at(actors[1].f->id), _i ? 7 : 0);
	ck_assert_uint_eq(report().skipped, 7);
	if (_i)
		ck_assert_int_eq(actors[2].status, NBL_STATUS_RESOURCES);
	actors[1].pause = let_go;
	actors[1].send = NULL;
	rig_settle(&rig);
	rig_check(&rig);
	end();
}
END_TEST

static void reference_and_pass(struct actor *a, struct nbl_chain c, uint32_t flags)
{
	for (struct nbl *n = c.head; n; n = n->next)
		nbl_reference(n, false);
	nbl_filter_indicate(a->f, c, 0, flags);
}

START_TEST(references_count_towards_the_limit_as_packets_held_do)
{
	begin_limited("max-held", "40");
	actors[1].receive = reference_and_pass;
	for (int i = 0; i < 4; i++) {
		rig_deliver(&rig, 0, 10);
		rig_turn(&rig);
		rig_run_kernel(&rig);
		rig_turn(&rig);
	}
	ck_assert_uint_eq(report().outstanding[NBL_REFERENCES], 40);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 40);
	rig_deliver(&rig, 0, 1);
	rig_turn(&rig);
	ck_assert_uint_eq(report().lent, 1);
	nbl_stack_check_limits(&rig.stack, now_ms());
	ck_assert_int_eq(report().health, NBL_HEALTH_LIMITED);
	nbl_stack_evict(&rig.stack, 1);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 0);
	end();
}
END_TEST

/* Takes a reference even to what it was lent, and gives back what it was not. */
static void reference_and_drop(struct actor *a, struct nbl_chain c, uint32_t flags)
{
	for (struct nbl *n = c.head; n; n = n->next)
		nbl_reference(n, false);
	if (!(flags & NBL_RECEIVE_RESOURCES))
		nbl_filter_return(a->f, c);
}

START_TEST(a_module_that_references_what_it_is_lent_gets_nothing_more_and_the_others_go_on)
{
	uint64_t handed, held;

	begin_limited("max-held", "10");
	actors[1].receive = reference_and_drop;
	for (int i = 0; i < 16; i++) {
		rig_deliver(&rig, 0, 10);
		rig_turn(&rig);
	}
	held = rig.lane.figures.frames[NBL_FRAME_HELD];
	/* two bursts may be taken unawares */
	ck_assert_uint_ge(held, 10 + 2 * NBL_BURST);
	ck_assert_uint_lt(held, 10 + 3 * NBL_BURST);
	handed = report().packets;
	rig_deliver(&rig, 0, 10);
	rig_turn(&rig);
	ck_assert_uint_eq(actors[2].n_received, 160 + 10 - held);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], held);
	ck_assert_uint_eq(report().packets, handed);
	nbl_stack_check_limits(&rig.stack, now_ms());
	ck_assert_int_eq(report().health, NBL_HEALTH_UNHEALTHY);
	nbl_stack_evict(&rig.stack, 1);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 0);
	end();
}
END_TEST

START_TEST(a_clone_beyond_the_limit_is_a_copy)
{
	struct nbl_holding h;

	begin_limited("max-held", "10");
	rig_deliver(&rig, 0, 10);
	rig_turn(&rig);
	nbl_stack_check_limits(&rig.stack, now_ms());
	nbl_holder_enter(actors[1].f->id);
	ck_assert_ptr_nonnull(actors[1].own = nbl_alloc_clone(actors[1].up.head, rig.pool));
	nbl_holder_enter(NBL_HOLDER_OF_NBL);
	ck_assert_int_eq(actors[1].own->kind, NBL_KIND_DEEP_CLONE);
	nbl_holding_get(actors[1].f->id, &h);
	ck_assert_uint_eq(h.promoted, 1);
	nbl_free_clone(actors[1].own);
	actors[1].receive = NULL;
	actors[1].pause = let_go;
	rig_settle(&rig);
	rig_check(&rig);
	end();
}
END_TEST

/* ---- age ---- */

START_TEST(holding_longer_than_the_soft_age_is_one_warning_that_says_who_how_long_and_how_many)
{
	begin_limited("soft-age", "500");
	rig_deliver(&rig, 0, 30);
	rig_turn(&rig);
	nbl_stack_check_limits(&rig.stack, now_ms() + 400);
	ck_assert_int_eq(report().health, NBL_HEALTH_OK);
	ck_assert_uint_eq(report().warning.number, 0);
	for (uint32_t later = 600; later < 5000; later += 100)
		nbl_stack_check_limits(&rig.stack, now_ms() + later);
	ck_assert_int_eq(report().health, NBL_HEALTH_WARNED);
	ck_assert_uint_eq(report().warning.number, 1);
	ck_assert_uint_ge(report().warning.age_ms, 600);
	ck_assert_uint_lt(report().warning.age_ms, 700);
	ck_assert_uint_eq(report().warning.n_frames, 30);
	ck_assert_uint_eq(report().n_frames, 30);
	nbl_stack_check_limits(&rig.stack, now_ms() + 20000);
	ck_assert_uint_eq(report().warning.number, 2);
	actors[1].receive = NULL;
	actors[1].pause = let_go;
	rig_settle(&rig);
	nbl_stack_check_limits(&rig.stack, now_ms() + 20000);
	ck_assert_int_eq(report().health, NBL_HEALTH_OK);
	end();
}
END_TEST

START_TEST(holding_longer_than_the_hard_age_makes_a_module_unhealthy_and_it_gets_no_more)
{
	begin_limited("hard-age", "800");
	rig_deliver(&rig, 0, 30);
	rig_turn(&rig);
	nbl_stack_check_limits(&rig.stack, now_ms() + 500);
	ck_assert_int_eq(report().health, NBL_HEALTH_WARNED);	/* half of it */
	nbl_stack_check_limits(&rig.stack, now_ms() + 900);
	ck_assert_int_eq(report().health, NBL_HEALTH_UNHEALTHY);
	rig_deliver(&rig, 0, 10);
	rig_deliver(&rig, 1, 10);
	rig_turn(&rig);
	ck_assert_uint_eq(actors[1].n_received, 30);
	ck_assert_uint_eq(actors[1].n_sent, 0);
	ck_assert_uint_eq(actors[2].n_received, 10);
	ck_assert_uint_eq(actors[0].n_sent, 10);
	rig_run_kernel(&rig);
	rig_turn(&rig);
	ck_assert_uint_eq(actors[0].n_returned, 10);
	ck_assert_uint_eq(actors[1].n_returned + actors[1].n_completed, 0);
	/* what it holds is its own still */
	ck_assert_int_eq(actors[1].f->held, 30);
	actors[1].pause = let_go;
	ck_assert_int_eq(nbl_stack_remove(&rig.stack, 1), 0);
	rig_settle(&rig);
	rig_check(&rig);
	end();
}
END_TEST

/* ---- by force ---- */

START_TEST(a_module_that_lets_nothing_go_is_taken_out_and_every_frame_comes_home)
{
	uint64_t before;
	struct nbl_pool_counts counts;
	uint16_t id;

	begin_limited("max-share", "100");
	id = actors[1].f->id;
	rig_deliver(&rig, 0, 64);
	rig_deliver(&rig, 1, 64);
	rig_turn(&rig);
	nbl_holder_enter(id);
	for (int i = 0; i < 3; i++) {
		struct nbl *n = actors[1].up.head->next;

		nbl_reference(n, false);
		ck_assert_ptr_nonnull(nbl_alloc_clone(n, rig.pool));
		ck_assert_int_eq(nbl_alloc_copy(n, rig.pool, rig.pool, &n), 0);
	}
	nbl_holder_enter(NBL_HOLDER_OF_NBL);
	actors[1].receive = reference_and_pass;
	rig_deliver(&rig, 0, 32);
	rig_turn(&rig);
	rig_run_kernel(&rig);
	rig_turn(&rig);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 64 + 64 + 32);
	ck_assert_int_eq(nbl_stack_remove(&rig.stack, 1), -EBUSY);
	before = rig_now_ns();
	nbl_stack_evict(&rig.stack, 1);
	rig_turn(&rig);
	ck_assert_uint_lt(rig_now_ns() - before, 100000000);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 0);
	ck_assert_uint_eq(nbl_figures_in_flight(&rig.lane.figures), 0);
	ck_assert_uint_eq(drops_at(id), 128);
	nbl_pool_get_counts(rig.pool, &counts);
	ck_assert_uint_eq(counts.nbls_free, counts.n_nbls);
	ck_assert_uint_eq(counts.frames_free, counts.n_frames);
	ck_assert_int_eq(actors[1].n_detached, 1);
	rig_deliver(&rig, 0, 10);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_lost_frames(&rig), 0);
	rig_check(&rig);
	end();
}
END_TEST

START_TEST(what_others_hold_stays_theirs_when_one_is_taken_out_by_force)
{
	begin_limited("max-share", "100");
	actors[1].receive = NULL;
	actors[2].receive = keep_up;
	rig_deliver(&rig, 0, 10);
	rig_turn(&rig);
	actors[1].receive = keep_up;
	rig_deliver(&rig, 0, 20);
	rig_turn(&rig);
	nbl_stack_evict(&rig.stack, 1);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 10);
	ck_assert_int_eq(actors[2].f->held, 10);
	actors[2].receive = NULL;
	actors[2].pause = let_go;
	rig_settle(&rig);
	rig_check(&rig);
	end();
}
END_TEST

#define N_OTHERS 20u

/* Packets of two ring entries each. */
static void deliver_in_two(uint32_t n)
{
	struct nbl_ring *rx = &rig.lane.queues[0].q.rx.ring;
	uint8_t bytes[600] = { 0 };

	for (uint32_t i = 0; i < 2 * n; i++) {
		uint32_t slot = *rx->producer & (rx->size - 1);

		ck_assert(nbl_mem_port_deliver(rig.ports[0], bytes, sizeof(bytes)));
		if (i % 2 == 0)
			((struct xdp_desc *)rx->entries)[slot].options = XDP_PKT_CONTD;
	}
}

static void count_failed(void *arg, struct nbl_lane *lane, struct nbl_chain chain)
{
	struct nbl *n;

	while ((n = nbl_chain_pop(&chain))) {
		*(uint32_t *)arg += n->status == NBL_STATUS_FAILURE;
		ck_assert_int_eq(nbl_free(n), 0);
	}
}

static void enter_sends(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct nbl *one;

		ck_assert_int_eq(nbl_pool_alloc_data(rig.pool, rig.pool, 60, &one), 0);
		one->source_handle = NBL_HANDLE_BINDING;
		nbl_lane_enter_nbl(&rig.lane, NBL_ENTRY_SEND, one);
	}
}

/* _i: received in pieces, or sent by a binding. */
START_TEST(what_is_no_received_frame_comes_home_too_when_its_holder_is_taken_out_by_force)
{
	uint32_t n_failed = 0;
	struct nbl_pool_counts counts;
	uint16_t id;

	begin_limited("max-share", "100");
	id = actors[1].f->id;
	nbl_lane_set_end(&rig.lane, NBL_ORIGIN_BINDING, count_failed, &n_failed);
	if (_i)
		enter_sends(N_OTHERS);
	else
		deliver_in_two(N_OTHERS);
	rig_turn(&rig);
	ck_assert_int_eq(actors[1].f->held, N_OTHERS);
	nbl_stack_evict(&rig.stack, 1);
	rig_turn(&rig);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 0);
	ck_assert_uint_eq(drops_at(id), _i ? 0 : N_OTHERS);
	ck_assert_int_eq(rig.lane.figures.originated.in_flight, 0);
	ck_assert_uint_eq(rig.lane.figures.originated.outcomes[NBL_OUTCOME_MODULE_LIMIT],
			  _i ? N_OTHERS : 0);
	ck_assert_uint_eq(n_failed, _i ? N_OTHERS : 0);
	nbl_pool_get_counts(rig.pool, &counts);
	ck_assert_uint_eq(counts.nbls_free, counts.n_nbls);
	rig_check(&rig);
	end();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ at_its_limit_a_module_is_lent_what_comes_and_the_others_go_on,
		  (int)N_ELEMENTS(limits) },
		{ what_is_sent_goes_past_a_module_at_its_limit_or_is_dropped_if_nothing_may_pass_unseen, 2 },
		{ references_count_towards_the_limit_as_packets_held_do, 1 },
		{ a_module_that_references_what_it_is_lent_gets_nothing_more_and_the_others_go_on,
		  1 },
		{ a_clone_beyond_the_limit_is_a_copy, 1 },
		{ holding_longer_than_the_soft_age_is_one_warning_that_says_who_how_long_and_how_many, 1 },
		{ holding_longer_than_the_hard_age_makes_a_module_unhealthy_and_it_gets_no_more,
		  1 },
		{ a_module_that_lets_nothing_go_is_taken_out_and_every_frame_comes_home, 1 },
		{ what_others_hold_stays_theirs_when_one_is_taken_out_by_force, 1 },
		{ what_is_no_received_frame_comes_home_too_when_its_holder_is_taken_out_by_force, 2 },
	};

	return rig_run("module_limits", tests, N_ELEMENTS(tests));
}
