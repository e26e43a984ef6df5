/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rules_modules.c - what a module may do with what it sends, or what others send through it.
 */
#include <nbl/context.h>
#include <nbl/window.h>

#include "unit/module_fixture.h"

static uint64_t frames_in(enum nbl_frame_state state)
{
	return rig.lane.figures.frames[state];
}

static uint32_t frames_of_pool_out(void)
{
	struct nbl_pool_counts counts;

	nbl_pool_get_counts(rig.pool, &counts);
	return counts.n_frames - counts.frames_free;
}

static void originate(struct actor *a, struct nbl *n, uint32_t flags)
{
	nbl_lane_enter(&rig.lane);
	ck_assert_int_eq(nbl_filter_originate_send(a->f, one(n), 0, flags), 0);
	nbl_lane_publish_tx(&rig.lane);
	nbl_lane_enter(NULL);
}

static void free_own(struct actor *a, struct nbl_chain c)
{
	struct nbl *n;

	while ((n = nbl_chain_pop(&c))) {
		ck_assert(nbl_filter_is_own(a->f, n));
		ck_assert_int_eq(nbl_free(n), 0);
	}
}

/* ---- TX-01 ---- */

START_TEST(TX_01_what_was_sent_can_neither_be_freed_nor_sent_again_before_it_completes)
{
	struct actor *a = &actors[0];
	uint32_t frame;
	struct nbl *n;

	begin(1);
	a->send_complete = keep_down;
	n = own_packet(a);
	frame = n->first_nb->first_segment->frame;
	originate(a, n, 0);
	ck_assert_int_eq(nbl_free(n), -EINVAL);
	ck_assert_int_eq(nbl_filter_originate_send(a->f, one(n), 0, 0), -EPERM);
	ck_assert_uint_eq(violations(), 2);
	/* the kernel's from publication to completion: nobody gets the frame */
	ck_assert_uint_eq(nbl_ledger_get(&rig.memory.ledger, frame).state, NBL_FRAME_TX);
	ck_assert_uint_eq(frames_of_pool_out(), 1);
	rig_turn(&rig);
	ck_assert_uint_eq(a->n_completed, 0);
	rig_run_kernel(&rig);
	ck_assert_int_eq(nbl_free(n), -EINVAL);	/* the kernel is done, and the module not told */
	rig_turn(&rig);
	ck_assert_uint_eq(a->n_completed, 1);
	ck_assert_ptr_eq(nbl_chain_pop(&a->down), n);
	ck_assert_int_eq(nbl_free(n), 0);
	ck_assert_uint_eq(frames_of_pool_out(), 0);
	ck_assert_uint_eq(violations(), 3);
	end();
}
END_TEST

/* ---- TX-08: four choices ---- */

static void pass_edited(struct actor *a, struct nbl_chain c)
{
	for (struct nbl *n = c.head; n; n = n->next)
		nbl_nb_data(n->first_nb)[40] ^= 0xff;
	nbl_filter_send(a->f, c, 0, 0);
}

static void reject(struct actor *a, struct nbl_chain c)
{
	for (struct nbl *n = c.head; n; n = n->next)
		n->status = NBL_STATUS_FAILURE;
	nbl_filter_complete(a->f, c);
}

static void copy_and_originate(struct actor *a, struct nbl_chain c)
{
	uint16_t before = nbl_holder_enter(a->f->id);

	for (struct nbl *n = c.head; n; n = n->next) {
		struct nbl *copy;

		ck_assert_int_eq(nbl_alloc_copy(n, a->f->pool, a->f->pool, &copy), 0);
		nbl_filter_own(a->f, copy);
		ck_assert_int_eq(nbl_filter_originate_send(a->f, one(copy), 0, 0), 0);
		n->status = NBL_STATUS_SUCCESS;
		n->outcome = NBL_OUTCOME_CONSUMED;
	}
	nbl_holder_enter(before);
	nbl_filter_complete(a->f, c);
}

static void end_own_and_pass(struct actor *a, struct nbl_chain c)
{
	if (nbl_filter_is_own(a->f, c.head))
		free_own(a, c);
	else
		nbl_filter_complete(a->f, c);
}

static const struct choice {
	void (*send)(struct actor *a, struct nbl_chain c);
	uint32_t n_on_ring;		/* of 4 that are sent, at once */
	uint32_t n_at_top;		/* completed at once */
	enum nbl_status status;
	uint32_t n_changed, n_left;	/* on the wire in the end */
} choices[] = {
	{ pass_edited, 4, 0, NBL_STATUS_SUCCESS, 4, 4 },
	{ reject, 0, 4, NBL_STATUS_FAILURE, 0, 0 },
	{ keep_down, 0, 0, NBL_STATUS_SUCCESS, 0, 4 },
	{ copy_and_originate, 4, 4, NBL_STATUS_SUCCESS, 0, 4 },
};

START_TEST(TX_08_a_filter_passes_rejects_queues_or_copies_and_originates)
{
	const struct choice *c = &choices[_i];
	struct actor *b = &actors[1];

	begin(3);
	b->send = c->send;
	b->send_complete = end_own_and_pass;
	b->pause = let_go;
	rig_deliver(&rig, 1, 4);
	rig_turn(&rig);
	ck_assert_uint_eq(nbl_ring_used(&rig.lane.queues[0].q.tx.ring), c->n_on_ring);
	ck_assert_uint_eq(actors[2].n_completed, c->n_at_top);
	ck_assert_uint_eq(actors[0].n_sent, c->n_on_ring);
	ck_assert_uint_eq(b->down.n_nbls, c->send == keep_down ? 4 : 0);
	rig_settle(&rig);
	ck_assert_uint_eq(actors[2].n_completed, 4);
	ck_assert_int_eq(actors[2].status, c->status);
	ck_assert_uint_eq(rig_left(&rig), c->n_left - c->n_changed);
	ck_assert_uint_eq(rig_wrong(&rig), c->n_changed); /* as the judge calls a changed byte */
	ck_assert_int_eq(b->f->n_originated, 0);
	ck_assert_uint_eq(rig.lane.figures.modules[b->f->id].faults, 0);
	ck_assert_uint_eq(frames_of_pool_out(), 0);
	ck_assert_uint_eq(rig_lost_frames(&rig), 0);
	rig_check(&rig);
	end();
}
END_TEST

/* ---- TX-11: out-of-band data is set above and acted on below ---- */

static void ask_for_a_tag(struct actor *a, struct nbl_chain c)
{
	for (struct nbl *n = c.head; n; n = n->next)
		ck_assert_int_eq(nbl_info_set(n, NBL_INFO_VLAN, 0x2042), 0);
	nbl_filter_send(a->f, c, 0, 0);
}

static void insert_tags(struct actor *a, struct nbl_chain c)
{
	for (struct nbl *n = c.head; n; n = n->next) {
		uint16_t tci = (uint16_t)nbl_info_get(n, NBL_INFO_VLAN);
		uint8_t *p;

		if (!tci)
			continue;
		ck_assert_int_eq(nbl_nb_retreat(n->first_nb, 4, 0, NULL), 0);
		p = nbl_nb_data(n->first_nb);
		memmove(p, p + 4, 12);
		memcpy(p + 12, "\x81\x00", 2);
		p[14] = (uint8_t)(tci >> 8);
		p[15] = (uint8_t)tci;
		nbl_info_set(n, NBL_INFO_VLAN, 0);
	}
	nbl_filter_send(a->f, c, 0, 0);
}

/* _i: a module below acts on it; nobody does: then the engine sends the bytes as they are. */
START_TEST(TX_11_information_set_above_is_seen_below_and_acted_on_by_who_knows_it)
{
	struct nbl_mem_packet p;

	begin(3);
	actors[2].send = ask_for_a_tag;
	if (!_i)
		actors[0].send = insert_tags;
	rig_deliver(&rig, 1, 1);
	rig_turn(&rig);
	ck_assert(nbl_mem_port_take(rig.ports[0], &p));
	ck_assert_uint_eq(p.length, RIG_LENGTH + (_i ? 0 : 4));
	if (!_i)
		ck_assert_mem_eq(p.bytes + 12, "\x81\x00\x20\x42", 4);
	rig_run_kernel(&rig);
	rig_turn(&rig);
	ck_assert_uint_eq(actors[2].n_completed, 1);
	ck_assert_int_eq(actors[2].status, NBL_STATUS_SUCCESS);
	/* it does not stay for the descriptor's next packet */
	for (uint32_t i = 0; i < 2 * 256; i++)
		ck_assert_uint_eq(nbl_info_get(&rig.nbls[i], NBL_INFO_VLAN), 0);
	end();
}
END_TEST

/* ---- TX-15: the switch's hints ---- */

static struct { uint32_t send_flags, complete_flags, n_calls; } hints;

static void hint_send(struct nbl_filter *f, struct nbl_chain c, uint32_t port, uint32_t flags)
{
	hints.send_flags = flags;
	nbl_filter_send(f, c, port, flags);
}

static void hint_complete(struct nbl_filter *f, struct nbl_chain c, uint32_t flags)
{
	hints.complete_flags |= flags;
	hints.n_calls++;
	nbl_filter_complete(f, c);
}

static const struct nbl_module hinted = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "hinted",
	.send = hint_send, .send_complete = hint_complete,
};

START_TEST(TX_15_the_switchs_hints_go_down_as_they_are_and_no_merged_completion_promises_them)
{
	const uint32_t both = NBL_SEND_SWITCH_SINGLE_SOURCE | NBL_SEND_SWITCH_DESTINATION_GROUP;
	char error[128];

	begin(0);
	memset(&hints, 0, sizeof(hints));
	ck_assert_int_eq(nbl_stack_insert(&rig.stack, &hinted, NULL, 0, 0, error, sizeof(error)),
			 0);
	add(1);
	actors[1].send_complete = end_own_and_pass;
	originate(&actors[1], own_packet(&actors[1]), both);
	ck_assert_uint_eq(hints.send_flags & both, both);
	/* mixed with one of another source: one completion list, which must not say it is of one */
	rig_deliver(&rig, 1, 1);
	rig_turn(&rig);
	ck_assert_uint_eq(hints.send_flags & both, 0);
	rig_run_kernel(&rig);
	rig_turn(&rig);
	ck_assert_uint_eq(hints.n_calls, 1);
	ck_assert_uint_eq(actors[1].n_completed, 2);
	ck_assert_uint_eq(hints.complete_flags & NBL_SEND_COMPLETE_SWITCH_SINGLE_SOURCE, 0);
	end();
}
END_TEST

/* ---- SH-06: an intermediate ---- */

static bool forgets;

static void take_over(struct actor *a, struct nbl_chain c, uint32_t flags)
{
	for (struct nbl *n = c.head; n; n = n->next) {
		void *saved;

		ck_assert_int_eq(nbl_context_push(n, 8, &saved), 0);
		memcpy(saved, &n->source_handle, sizeof(n->source_handle));
		n->source_handle = a->f->handle;
	}
	nbl_filter_indicate(a->f, c, 0, flags);
}

static void give_up(struct actor *a, struct nbl_chain c)
{
	for (struct nbl *n = c.head; n; n = n->next) {
		ck_assert_uint_eq(n->source_handle, a->f->handle);
		if (!forgets)
			memcpy(&n->source_handle, n->context, sizeof(n->source_handle));
		ck_assert_int_eq(nbl_context_pop(n, 8), 0);
	}
	nbl_filter_return(a->f, c);
}

/* _i: it restores the handle, or forgets to. */
START_TEST(SH_06_an_intermediate_saves_the_handle_and_restores_it_or_is_found_out)
{
	struct nbl_chain rest = NBL_CHAIN_EMPTY;

	begin(3);
	forgets = _i;
	actors[1].receive = take_over;
	actors[1].receive_return = give_up;
	rig_deliver(&rig, 0, 5);
	rig_turn(&rig);
	rig_run_kernel(&rig);
	rig_turn(&rig);
	ck_assert_uint_eq(actors[1].n_returned, 5);
	ck_assert_uint_eq(actors[0].n_returned, _i ? 0 : 5);
	ck_assert_uint_eq(violations(), _i ? 5 : 0);
	ck_assert_int_eq(actors[1].f->held, _i ? 5 : 0);	/* they stay with who forgot */
	for (uint32_t i = 0; i < 256; i++) {
		if (rig.nbls[i].source_handle != actors[1].f->handle)
			continue;
		rig.nbls[i].source_handle = nbl_handle_of_queue(0);
		nbl_chain_append(&rest, &rig.nbls[i]);
	}
	ck_assert_uint_eq(rest.n_nbls, _i ? 5 : 0);
	nbl_lane_enter(&rig.lane);
	if (_i)
		nbl_filter_return(actors[1].f, rest);
	nbl_lane_enter(NULL);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_left(&rig), 5);
	ck_assert_uint_eq(rig_lost_frames(&rig), 0);
	rig_check_with(&rig, _i ? 5 : 0);
	end();
}
END_TEST

/* ---- NX-08 ---- */

START_TEST(NX_08_a_link_that_goes_down_and_comes_up_is_told_to_all_modules_once_each)
{
	begin(2);
	nbl_stack_tick(&rig.stack, 0);
	ck_assert_str_eq(trace, "");
	rig.world->kick_result = _i ? -ENXIO : -ENETDOWN;
	rig_deliver(&rig, 0, 1);
	rig_turn(&rig);
	for (int i = 0; i < 3; i++)
		nbl_stack_tick(&rig.stack, 0);
	ck_assert_str_eq(trace, "a:status1 b:status1 ");
	trace[0] = '\0';
	rig.world->kick_result = 0;
	rig_turn(&rig);
	for (int i = 0; i < 3; i++)
		nbl_stack_tick(&rig.stack, 0);
	ck_assert_str_eq(trace, "a:status0 b:status0 ");
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(NX_08_what_the_keeper_knows_of_a_link_modules_are_told_though_nothing_is_sent)
{
	char expected[64];

	begin(2);
	for (int down = 1; down >= 0; down--) {
		trace[0] = '\0';
		rig.memory.link_down[_i] = down;
		for (int i = 0; i < 3; i++)
			nbl_stack_tick(&rig.stack, 0);
		snprintf(expected, sizeof(expected), "a:status%d b:status%d ", down, down);
		ck_assert_str_eq(trace, expected);
		ck_assert(rig.stack.link_down[_i] == down && !rig.stack.link_down[!_i]);
	}
	ck_assert_uint_eq(rig.lane.figures.kicks, 0);
	end();
}
END_TEST

START_TEST(NX_08_a_link_is_up_when_the_kernel_takes_what_waits_by_itself)
{
	begin(2);
	rig.world->kick_result = -ENETDOWN;
	rig_deliver(&rig, 0, 1);
	rig_turn(&rig);
	nbl_stack_tick(&rig.stack, 0);
	ck_assert_str_eq(trace, "a:status1 b:status1 ");
	trace[0] = '\0';
	ck_assert_uint_eq(rig_take(&rig, 1, 1), 1);
	rig_turn(&rig);
	nbl_stack_tick(&rig.stack, 0);
	ck_assert_str_eq(trace, "a:status0 b:status0 ");
	rig.world->kick_result = 0;
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(NX_08_a_module_put_in_while_a_link_is_down_is_told_and_all_when_it_is_up)
{
	begin(2);
	rig.memory.link_down[_i] = true;
	nbl_stack_tick(&rig.stack, 0);
	add(2);
	trace[0] = '\0';
	for (int i = 0; i < 3; i++)
		nbl_stack_tick(&rig.stack, 0);
	ck_assert_str_eq(trace, "a:status1 b:status1 c:status1 ");
	/* up again before anybody looked: those that were told it is down are told */
	ck_assert_int_eq(nbl_stack_remove(&rig.stack, 2), 0);
	add(2);
	rig.memory.link_down[_i] = false;
	trace[0] = '\0';
	for (int i = 0; i < 3; i++)
		nbl_stack_tick(&rig.stack, 0);
	ck_assert_str_eq(trace, "a:status0 b:status0 c:status0 ");
	end();
}
END_TEST

/* ---- BUG-01, AMB-08 ---- */

static int keep_on(struct actor *a)
{
	(void)a;
	return 0;
}

static void send_after_pause(struct actor *a)
{
	struct nbl *n = own_packet(a);

	ck_assert_int_eq(nbl_filter_originate_send(a->f, one(n), 0, 0), -ESHUTDOWN);
	ck_assert_int_eq(nbl_free(n), 0);
}

/* _i: received packets held; sends held; nothing held. */
START_TEST(BUG_01_a_pause_is_not_done_while_packets_are_held_and_nothing_is_sent_after_it)
{
	struct actor *a = &actors[0];

	begin(1);
	a->receive = keep_up;
	a->send = keep_down;
	a->pause = keep_on;
	if (_i < 2)
		rig_deliver(&rig, (uint32_t)_i, 3);
	rig_turn(&rig);
	nbl_lane_enter(&rig.lane);
	ck_assert_int_eq(nbl_stack_pause_all(&rig.stack, 10), _i == 2);
	send_after_pause(a);
	/* nor does anything come in (AMB-08) */
	rig_deliver(&rig, 0, 4);
	rig_turn(&rig);
	ck_assert_uint_eq(a->n_received, _i == 0 ? 3 : 0);
	ck_assert_uint_eq(frames_in(NBL_FRAME_TX), 0);
	ck_assert_int_eq(nbl_stack_restart_all(&rig.stack, NULL), 0);
	rig_turn(&rig);
	ck_assert_uint_eq(a->n_received, _i == 0 ? 7 : 4);
	a->pause = let_go;
	a->send = NULL;
	a->receive = NULL;
	nbl_lane_enter(NULL);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ TX_01_what_was_sent_can_neither_be_freed_nor_sent_again_before_it_completes, 1 },
		{ TX_08_a_filter_passes_rejects_queues_or_copies_and_originates,
		  (int)N_ELEMENTS(choices) },
		{ TX_11_information_set_above_is_seen_below_and_acted_on_by_who_knows_it, 2 },
		{ TX_15_the_switchs_hints_go_down_as_they_are_and_no_merged_completion_promises_them, 1 },
		{ SH_06_an_intermediate_saves_the_handle_and_restores_it_or_is_found_out, 2 },
		{ NX_08_a_link_that_goes_down_and_comes_up_is_told_to_all_modules_once_each, 2 },
		{ NX_08_what_the_keeper_knows_of_a_link_modules_are_told_though_nothing_is_sent, 2 },
		{ NX_08_a_link_is_up_when_the_kernel_takes_what_waits_by_itself, 1 },
		{ NX_08_a_module_put_in_while_a_link_is_down_is_told_and_all_when_it_is_up, 2 },
		{ BUG_01_a_pause_is_not_done_while_packets_are_held_and_nothing_is_sent_after_it,
		  3 },
	};

	return rig_run("rules_modules", tests, N_ELEMENTS(tests));
}
