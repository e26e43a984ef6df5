/* SPDX-License-Identifier: BSD-2-Clause */
/* test_module_engine.c - what modules originate, cancel, tell and ask; whose drops are whose. */
#include "unit/module_fixture.h"

static void free_own(struct actor *a, struct nbl_chain c)
{
	struct nbl *n;

	while ((n = nbl_chain_pop(&c))) {
		ck_assert(nbl_filter_is_own(a->f, n));
		ck_assert_int_eq(nbl_free(n), 0);
	}
}

static uint32_t frames_out(void)
{
	struct nbl_pool_counts counts;

	nbl_pool_get_counts(rig.pool, &counts);
	return counts.n_frames - counts.frames_free + counts.n_nbls - counts.nbls_free;
}

/* ---- originating ---- */

START_TEST(an_originated_send_comes_back_to_its_originator_and_nobody_above)
{
	struct actor *b = &actors[1];

	begin(3);
	b->send_complete = free_own;
	nbl_lane_enter(&rig.lane);
	ck_assert_int_eq(nbl_filter_originate_send(b->f, one(own_packet(b)), 0, 0), 0);
	ck_assert_int_eq(b->f->n_originated, 1);
	ck_assert_int_eq(b->f->held, 0);
	ck_assert_uint_eq(actors[0].n_sent, 1);
	nbl_lane_publish_tx(&rig.lane);
	nbl_lane_enter(NULL);
	rig_run_kernel(&rig);
	rig_turn(&rig);
	ck_assert_uint_eq(actors[0].n_completed, 1);
	ck_assert_uint_eq(b->n_completed, 1);
	ck_assert_int_eq(b->status, NBL_STATUS_SUCCESS);
	ck_assert_uint_eq(rig.lane.figures.originated.entered, 1);
	ck_assert_uint_eq(rig.lane.figures.originated.outcomes[NBL_OUTCOME_TO_WIRE], 1);
	ck_assert_uint_eq(actors[2].n_completed, 0);
	ck_assert_int_eq(b->f->n_originated, 0);
	ck_assert_int_eq(b->f->held, 0);
	ck_assert_uint_eq(frames_out(), 0);
	rig_check(&rig);
	end();
}
END_TEST

START_TEST(an_originated_receive_comes_back_to_its_originator_and_nobody_below)
{
	struct actor *b = &actors[1];

	begin(3);
	b->receive_return = free_own;
	nbl_lane_enter(&rig.lane);
	ck_assert_int_eq(nbl_filter_originate_receive(b->f, one(own_packet(b)), 0, 0), 0);
	nbl_lane_publish_tx(&rig.lane);
	nbl_lane_enter(NULL);
	rig_run_kernel(&rig);
	rig_turn(&rig);
	ck_assert_uint_eq(actors[2].n_received, 1);
	ck_assert_uint_eq(actors[2].n_returned, 1);
	ck_assert_uint_eq(b->n_returned, 1);
	ck_assert_uint_eq(actors[0].n_returned, 0);
	ck_assert_int_eq(b->f->n_originated, 0);
	ck_assert_uint_eq(frames_out(), 0);
	rig_check(&rig);
	end();
}
END_TEST

/* Frees its own, passes on the others. */
static void sort_out(struct actor *a, struct nbl_chain c)
{
	bool own = nbl_filter_is_own(a->f, c.head);

	for (struct nbl *n = c.head; n; n = n->next)
		ck_assert_int_eq(nbl_filter_is_own(a->f, n), own);
	if (own)
		free_own(a, c);
	else
		nbl_filter_complete(a->f, c);
}

START_TEST(one_mixed_completion_is_split_by_who_originated_what)
{
	struct nbl_chain mixed = NBL_CHAIN_EMPTY;

	begin(3);
	actors[0].send = keep_down;
	actors[1].send_complete = actors[2].send_complete = sort_out;
	for (int i = 0; i < 4; i++) {
		struct actor *a = &actors[1 + i % 2];

		ck_assert_int_eq(nbl_filter_originate_send(a->f, one(own_packet(a)), 0, 0), 0);
	}
	ck_assert_uint_eq(actors[0].down.n_nbls, 4);
	rig_deliver(&rig, 1, 2);
	rig_turn(&rig);
	mixed = nbl_chain_take(&actors[0].down);
	ck_assert_uint_eq(mixed.n_nbls, 6);
	nbl_lane_enter(&rig.lane);
	nbl_filter_complete(actors[0].f, mixed);
	nbl_lane_enter(NULL);
	ck_assert_uint_eq(actors[1].n_completed, 6);
	ck_assert_uint_eq(actors[2].n_completed, 4);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(actors[i].f->n_originated, 0);
		ck_assert_int_eq(actors[i].f->n_originated_sends, 0);
		ck_assert_int_eq(actors[i].f->held, 0);
		ck_assert_int_eq(actors[i].f->held_sends, 0);
	}
	ck_assert_uint_eq(frames_out(), 0);
	rig_turn(&rig);
	rig_check(&rig);
	end();
}
END_TEST

static void sort_out_returned(struct actor *a, struct nbl_chain c)
{
	bool own = nbl_filter_is_own(a->f, c.head);

	for (struct nbl *n = c.head; n; n = n->next)
		ck_assert_int_eq(nbl_filter_is_own(a->f, n), own);
	if (own)
		free_own(a, c);
	else
		nbl_filter_return(a->f, c);
}

START_TEST(one_mixed_return_is_split_and_what_others_originated_goes_on_down)
{
	struct actor *b = &actors[1], *top = &actors[2];

	begin(3);
	b->receive_return = sort_out_returned;
	top->receive = keep_up;
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(nbl_filter_originate_receive(b->f, one(own_packet(b)), 0, 0), 0);
		rig_deliver(&rig, 0, 1);
		rig_turn(&rig);
	}
	ck_assert_uint_eq(top->up.n_nbls, 4);
	nbl_lane_enter(&rig.lane);
	nbl_filter_return(top->f, nbl_chain_take(&top->up));
	nbl_lane_enter(NULL);
	ck_assert_uint_eq(b->n_returned, 4);
	ck_assert_uint_eq(actors[0].n_returned, 2);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(actors[i].f->n_originated, 0);
		ck_assert_int_eq(actors[i].f->held, 0);
	}
	ck_assert_uint_eq(frames_out(), 0);
	rig_turn(&rig);
	rig_check(&rig);
	end();
}
END_TEST

START_TEST(what_may_not_be_originated_is_refused_and_nothing_moves)
{
	struct actor *a = &actors[0], *b = &actors[1];
	struct nbl *n, *first, *other;
	struct nbl_chain two;

	begin(2);
	n = own_packet(a);
	other = own_packet(b);
	n->source_handle = 0;
	ck_assert_int_eq(nbl_filter_originate_send(a->f, one(n), 0, 0), -EPERM);
	ck_assert_int_eq(n->status, NBL_STATUS_FAILURE);
	/* nor behind one that may */
	first = own_packet(a);
	two = one(first);
	nbl_chain_append(&two, n);
	ck_assert_int_eq(nbl_filter_originate_send(a->f, two, 0, 0), -EPERM);
	ck_assert_int_eq(first->status, NBL_STATUS_FAILURE);
	ck_assert(!first->is_out);
	nbl_free(first);
	n->next = NULL;
	nbl_filter_own(b->f, n);	/* with the handle of b */
	ck_assert_int_eq(nbl_filter_originate_send(a->f, one(n), 0, 0), -EPERM);
	ck_assert_uint_eq(violations(), 3);
	nbl_filter_own(a->f, other);	/* on the account of b */
	ck_assert_int_eq(nbl_filter_originate_send(a->f, one(other), 0, 0), -EPERM);
	ck_assert_uint_eq(violations(), 4);
	/* again before it came back */
	nbl_filter_own(b->f, other);
	a->send = keep_down;
	ck_assert_int_eq(nbl_filter_originate_send(b->f, one(other), 0, 0), 0);
	ck_assert_int_eq(nbl_filter_originate_send(b->f, one(other), 0, 0), -EPERM);
	ck_assert_int_eq(nbl_filter_originate_receive(b->f, one(other), 0, 0), -EPERM);
	ck_assert_uint_eq(violations(), 6);
	ck_assert_int_eq(b->f->n_originated, 1);
	b->send_complete = free_own;
	nbl_filter_complete(a->f, nbl_chain_take(&a->down));
	nbl_free(n);
	ck_assert_uint_eq(frames_out(), 0);
	end();
}
END_TEST

START_TEST(a_module_that_did_not_say_it_originates_is_refused)
{
	static struct nbl_module m;
	char error[128];
	struct nbl *n;

	begin(0);
	m = actor_modules[0];
	m.flags = NBL_MODULE_HOLDS;
	ck_assert_int_eq(nbl_stack_insert(&rig.stack, &m, &(struct nbl_option){ "as", "a" }, 1, 0,
					  error, sizeof(error)), 0);
	actors[0].f = &rig.stack.modules[0].filters[0].f;
	n = own_packet(&actors[0]);
	ck_assert_int_eq(nbl_filter_originate_send(actors[0].f, one(n), 0, 0), -EOPNOTSUPP);
	ck_assert_int_eq(nbl_filter_originate_receive(actors[0].f, one(n), 0, 0), -EOPNOTSUPP);
	ck_assert_int_eq(n->status, NBL_STATUS_FAILURE);
	nbl_free(n);
	end();
}
END_TEST

START_TEST(originated_with_resources_it_is_back_on_return_and_no_handler_is_called)
{
	struct actor *a = &actors[0];
	struct nbl *n;

	begin(2);
	actors[1].receive = drop;
	n = own_packet(a);
	nbl_lane_enter(&rig.lane);
	ck_assert_int_eq(nbl_filter_originate_receive(a->f, one(n), 0, NBL_RECEIVE_RESOURCES), 0);
	nbl_lane_enter(NULL);
	ck_assert_uint_eq(actors[1].n_received, 1);
	ck_assert_uint_eq(a->n_returned, 0);
	ck_assert_int_eq(a->f->n_originated, 0);
	ck_assert(!n->is_out && !(n->nbl_flags & NBL_FLAG_BORROWED));
	ck_assert_int_eq(nbl_free(n), 0);
	ck_assert_uint_eq(violations(), 0);
	end();
}
END_TEST

static void complete_own_upward(struct actor *a, struct nbl_chain c)
{
	struct nbl *n = c.head;

	nbl_filter_complete(a->f, c);	/* which it may not (TX-09) */
	ck_assert_int_eq(nbl_free(n), 0);
}

START_TEST(own_ones_completed_upward_stay_and_are_counted)
{
	struct actor *a = &actors[0];

	begin(2);
	a->send_complete = complete_own_upward;
	nbl_lane_enter(&rig.lane);
	ck_assert_int_eq(nbl_filter_originate_send(a->f, one(own_packet(a)), 0, 0), 0);
	nbl_lane_publish_tx(&rig.lane);
	nbl_lane_enter(NULL);
	rig_run_kernel(&rig);
	rig_turn(&rig);
	ck_assert_uint_eq(a->n_completed, 1);
	ck_assert_uint_eq(actors[1].n_completed, 0);
	ck_assert_uint_eq(violations(), 1);
	ck_assert_int_eq(a->f->held, 0);
	ck_assert_uint_eq(frames_out(), 0);
	end();
}
END_TEST

static void return_own_downward(struct actor *a, struct nbl_chain c)
{
	struct nbl *n = c.head;

	nbl_filter_return(a->f, c);	/* which it may not (RX-11) */
	ck_assert_int_eq(nbl_free(n), 0);
}

START_TEST(own_ones_returned_downward_stay_and_are_counted)
{
	struct actor *b = &actors[1];

	begin(3);
	b->receive_return = return_own_downward;
	nbl_lane_enter(&rig.lane);
	ck_assert_int_eq(nbl_filter_originate_receive(b->f, one(own_packet(b)), 0, 0), 0);
	nbl_lane_publish_tx(&rig.lane);
	nbl_lane_enter(NULL);
	rig_run_kernel(&rig);
	rig_turn(&rig);
	ck_assert_uint_eq(b->n_returned, 1);
	ck_assert_uint_eq(actors[0].n_returned, 0);
	ck_assert_uint_eq(violations(), 1);
	ck_assert_int_eq(b->f->held, 0);
	ck_assert_uint_eq(frames_out(), 0);
	end();
}
END_TEST

START_TEST(a_handle_is_never_used_again_and_a_stale_one_reaches_nobody)
{
	uint32_t first, second;
	struct nbl *n;

	begin(1);
	first = actors[0].f->handle;
	n = own_packet(&actors[0]);
	ck_assert_int_eq(nbl_stack_remove(&rig.stack, 0), 0);
	add(0);
	second = actors[0].f->handle;
	ck_assert_uint_ne(first, second);
	ck_assert_uint_eq(nbl_handle_module_id(first), nbl_handle_module_id(second));
	n->source_handle = first;
	n->is_out = true;
	nbl_lane_bring_home(&rig.lane, one(n), 0);
	ck_assert_uint_eq(frames_out(), 0);
	ck_assert_uint_eq(actors[0].n_completed + actors[0].n_returned, 0);
	end();
}
END_TEST

START_TEST(a_bypassed_originator_gets_its_own_and_no_others)
{
	struct actor *a = &actors[0];

	begin(2);
	a->send_complete = free_own;
	ck_assert_int_eq(nbl_stack_set_bypass(&rig.stack, 0, NBL_MODULE_SEND), 0);
	ck_assert_int_eq(nbl_filter_originate_send(a->f, one(own_packet(a)), 0, 0), 0);
	rig_deliver(&rig, 1, 5);
	rig_turn(&rig);
	rig_run_kernel(&rig);
	rig_turn(&rig);
	ck_assert_uint_eq(a->n_completed, 1);
	ck_assert_uint_eq(actors[1].n_completed, 5);
	ck_assert_uint_eq(frames_out(), 0);
	end();
}
END_TEST

/* ---- cancelling ---- */

START_TEST(a_cancel_completes_what_is_queued_with_that_id_and_goes_on_down)
{
	begin(3);
	actors[0].send = actors[1].send = keep_down;
	rig_deliver(&rig, 1, 10);
	rig_turn(&rig);
	ck_assert_uint_eq(actors[1].down.n_nbls, 10);
	for (struct nbl *n = actors[1].down.head; n; n = n->next)
		if (n->segment.frame % 5 < 2)
			nbl_info_set(n, NBL_INFO_CANCEL_ID, 77);
	nbl_lane_enter(&rig.lane);
	nbl_filter_cancel(actors[2].f, 77);
	nbl_lane_enter(NULL);
	ck_assert_str_eq(trace, "b:cancel a:cancel ");
	ck_assert_uint_eq(actors[2].n_completed, 4);
	ck_assert_int_eq(actors[2].status, NBL_STATUS_SEND_ABORTED);
	ck_assert_uint_eq(actors[1].down.n_nbls, 6);
	ck_assert_int_eq(actors[1].f->held_sends, 6);
	actors[0].send = NULL;
	nbl_lane_enter(&rig.lane);
	let_go(&actors[1]);
	nbl_lane_enter(NULL);
	rig_settle(&rig);
	ck_assert_uint_eq(actors[2].n_completed, 10);
	ck_assert_int_eq(actors[2].status, NBL_STATUS_SUCCESS);
	rig_check(&rig);
	end();
}
END_TEST

/* ---- status and requests ---- */

static int answer(void *arg, struct nbl_request *r)
{
	uint64_t *mtu = arg;

	if (r->kind != NBL_REQUEST_MTU)
		return -EOPNOTSUPP;
	if (r->set)
		*mtu = r->value;
	else
		r->value = *mtu;
	return 0;
}

START_TEST(a_request_passes_all_modules_and_one_in_the_middle_may_change_the_answer)
{
	struct nbl_request r = { .kind = NBL_REQUEST_MTU };
	uint64_t mtu = 1500;

	begin(3);
	ck_assert_int_eq(nbl_stack_request(&rig.stack, &r), -EOPNOTSUPP);
	rig.stack.ends.arg = &mtu;
	rig.stack.ends.request = answer;
	trace[0] = '\0';
	ck_assert_int_eq(nbl_stack_request(&rig.stack, &r), 0);
	ck_assert_uint_eq(r.value, 1400);
	ck_assert_str_eq(trace, "a:request b:request ");	/* as they return */
	r = (struct nbl_request){ .kind = NBL_REQUEST_MTU, .set = true, .value = 9000 };
	ck_assert_int_eq(nbl_stack_request(&rig.stack, &r), 0);
	ck_assert_uint_eq(mtu, 9000);
	r.kind = NBL_REQUEST_MAC;
	ck_assert_int_eq(nbl_stack_request(&rig.stack, &r), -EOPNOTSUPP);
	end();
}
END_TEST

static void top_status(void *arg, struct nbl_lane *lane, const struct nbl_status_indication *s)
{
	strcat(trace, "top");
}

START_TEST(a_status_indication_goes_up_through_all_that_may_hear_it)
{
	const struct nbl_status_indication down = { .event = NBL_EVENT_LINK_DOWN };

	begin(3);
	rig.stack.ends.status = top_status;
	nbl_stack_indicate_status(&rig.stack, &down);
	ck_assert_str_eq(trace, "a:status1 b:status1 c:status1 top");
	trace[0] = '\0';
	rig.stack.modules[1].filters[0].f.state = NBL_MODULE_ATTACHING;
	nbl_stack_indicate_status(&rig.stack, &down);
	ck_assert_str_eq(trace, "a:status1 c:status1 top");
	rig.stack.modules[1].filters[0].f.state = NBL_MODULE_PAUSED;
	trace[0] = '\0';
	nbl_stack_indicate_status(&rig.stack, &down);
	ck_assert_str_eq(trace, "a:status1 b:status1 c:status1 top");
	end();
}
END_TEST

START_TEST(a_wake_from_another_thread_has_the_timer_called_soon)
{
	uint64_t until = rig_now_ns() + 3000000000ull;

	begin(1);
	ck_assert_int_eq(nbl_lane_start(&rig.lane), 0);
	for (uint64_t i = 1; i <= 20; i++) {
		nbl_filter_wake(actors[0].f);
		while (actors[0].n_timers < i) {
			ck_assert_uint_lt(rig_now_ns(), until);
			rig_sleep_ns(100000);
		}
	}
	nbl_lane_stop(&rig.lane);
	end();
}
END_TEST

/* ---- whose drop it is ---- */

START_TEST(a_drop_counts_where_it_was_made_whoever_hands_it_on)
{
	begin(3);
	actors[_i].receive = drop;
	rig_deliver(&rig, 0, 9);
	rig_turn(&rig);
	rig_settle(&rig);
	ck_assert_uint_eq(drops_at(actors[_i].f->id), 9);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_RETURNED), 9);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(actors[i].n_returned, i < _i ? 9 : 0);
	rig_check(&rig);
	end();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ an_originated_send_comes_back_to_its_originator_and_nobody_above, 1 },
		{ an_originated_receive_comes_back_to_its_originator_and_nobody_below, 1 },
		{ one_mixed_completion_is_split_by_who_originated_what, 1 },
		{ one_mixed_return_is_split_and_what_others_originated_goes_on_down, 1 },
		{ what_may_not_be_originated_is_refused_and_nothing_moves, 1 },
		{ a_module_that_did_not_say_it_originates_is_refused, 1 },
		{ originated_with_resources_it_is_back_on_return_and_no_handler_is_called, 1 },
		{ own_ones_completed_upward_stay_and_are_counted, 1 },
		{ own_ones_returned_downward_stay_and_are_counted, 1 },
		{ a_handle_is_never_used_again_and_a_stale_one_reaches_nobody, 1 },
		{ a_bypassed_originator_gets_its_own_and_no_others, 1 },
		{ a_cancel_completes_what_is_queued_with_that_id_and_goes_on_down, 1 },
		{ a_request_passes_all_modules_and_one_in_the_middle_may_change_the_answer, 1 },
		{ a_status_indication_goes_up_through_all_that_may_hear_it, 1 },
		{ a_wake_from_another_thread_has_the_timer_called_soon, 1 },
		{ a_drop_counts_where_it_was_made_whoever_hands_it_on, N_ACTORS },
	};

	return rig_run("module_engine", tests, N_ELEMENTS(tests));
}
