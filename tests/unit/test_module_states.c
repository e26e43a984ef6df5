/* SPDX-License-Identifier: BSD-2-Clause */
/* test_module_states.c - the life of a module, pausing and restarting the stack. */
#include "unit/module_fixture.h"

/* The linker has all of this program call these, so that memory can run out here. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);

static _Atomic bool no_memory;

void *__wrap_malloc(size_t size)
{
	return no_memory ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return no_memory ? NULL : __real_calloc(n, size);
}

/* ---- the table ---- */

static const struct {
	enum nbl_module_state from;
	enum nbl_module_event event;
	enum nbl_module_state to;
} valid[] = {
	{ NBL_MODULE_DETACHED, NBL_MODULE_ATTACH, NBL_MODULE_ATTACHING },
	{ NBL_MODULE_ATTACHING, NBL_MODULE_ATTACHED, NBL_MODULE_PAUSED },
	{ NBL_MODULE_ATTACHING, NBL_MODULE_ATTACH_FAILED, NBL_MODULE_DETACHED },
	{ NBL_MODULE_PAUSED, NBL_MODULE_RESTART, NBL_MODULE_RESTARTING },
	{ NBL_MODULE_PAUSED, NBL_MODULE_DETACH, NBL_MODULE_DETACHED },
	{ NBL_MODULE_RESTARTING, NBL_MODULE_RESTARTED, NBL_MODULE_RUNNING },
	{ NBL_MODULE_RESTARTING, NBL_MODULE_RESTART_FAILED, NBL_MODULE_PAUSED },
	{ NBL_MODULE_RUNNING, NBL_MODULE_PAUSE, NBL_MODULE_PAUSING },
	{ NBL_MODULE_PAUSING, NBL_MODULE_PAUSE_DONE, NBL_MODULE_PAUSED },
};

START_TEST(every_event_in_every_state_leads_where_the_rule_says_or_is_rejected_and_counted)
{
	int n_valid = 0;

	for (int s = 0; s < NBL_N_MODULE_STATES; s++) {
		for (int e = 0; e < NBL_N_MODULE_EVENTS; e++) {
			struct nbl_module_life one_life = { .state = (enum nbl_module_state)s };
			size_t i = 0;

			while (i < N_ELEMENTS(valid) && !(valid[i].from == one_life.state &&
							  (int)valid[i].event == e))
				i++;
			if (i < N_ELEMENTS(valid)) {
				n_valid++;
				ck_assert_int_eq(nbl_module_life_go(&one_life,
								    (enum nbl_module_event)e), 0);
				ck_assert_int_eq(one_life.state, valid[i].to);
				ck_assert_uint_eq(one_life.n_rejected, 0);
				continue;
			}
			ck_assert_int_eq(nbl_module_life_go(&one_life, (enum nbl_module_event)e),
					 -EINVAL);
			ck_assert_int_eq(one_life.state, s);
			ck_assert_uint_eq(one_life.n_rejected, 1);
			ck_assert_int_eq(one_life.rejected, e);
			ck_assert_int_eq(one_life.rejected_in, s);
		}
	}
	ck_assert_int_eq(n_valid, N_ELEMENTS(valid));
}
END_TEST

/* ---- pausing and restarting ---- */

START_TEST(attach_ends_in_paused_and_nothing_is_originated_before_running)
{
	struct nbl_module_life fresh = { .n_rejected = 0 };

	ck_assert_int_eq(nbl_module_life_go(&fresh, NBL_MODULE_ATTACH), 0);
	ck_assert_int_eq(nbl_module_life_go(&fresh, NBL_MODULE_ATTACHED), 0);
	ck_assert_int_eq(fresh.state, NBL_MODULE_PAUSED);
	begin(1);
	actors[0].own = own_packet(&actors[0]);
	for (int s = 0; s < NBL_N_MODULE_STATES; s++) {
		int r;

		actors[0].f->state = (uint8_t)s;
		if (s == NBL_MODULE_RUNNING)
			continue;
		r = nbl_filter_originate_send(actors[0].f, one(actors[0].own), 0, 0);
		ck_assert_int_eq(r, -ESHUTDOWN);
		ck_assert_int_eq(actors[0].own->status, NBL_STATUS_FAILURE);
		ck_assert_int_eq(actors[0].f->n_originated, 0);
	}
	actors[0].f->state = NBL_MODULE_RUNNING;
	nbl_free(actors[0].own);
	end();
}
END_TEST

/* Sets module 0 to 'state', whatever its life allows. */
static void force_state(enum nbl_module_state state)
{
	life(0)->state = state;
	rig.stack.modules[0].filters[0].f.state = (uint8_t)state;
	nbl_limits_set_gates(&rig.stack, &rig.stack.modules[0]);
}

START_TEST(packets_come_to_a_module_in_running_and_pausing_only)
{
	enum nbl_module_state state = (enum nbl_module_state)_i;
	bool passes = state == NBL_MODULE_RUNNING || state == NBL_MODULE_PAUSING;

	begin(1);
	force_state(state);
	rig_deliver(&rig, 0, 5);
	rig_deliver(&rig, 1, 5);
	rig_turn(&rig);
	ck_assert_uint_eq(actors[0].n_received, passes ? 5 : 0);
	ck_assert_uint_eq(actors[0].n_sent, passes ? 5 : 0);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_RETURNED), passes ? 0 : 10);
	force_state(NBL_MODULE_RUNNING);
	rig_settle(&rig);
	rig_check(&rig);
	end();
}
END_TEST

static enum nbl_status status_seen;

static void see_status(struct actor *a, struct nbl_chain c)
{
	status_seen = (enum nbl_status)c.head->status;
	nbl_filter_complete(a->f, c);
}

START_TEST(a_send_into_a_paused_stack_is_completed_paused_and_the_ring_untouched)
{
	begin(2);
	rig_deliver(&rig, 1, 1);
	ck_assert(nbl_stack_pause_all(&rig.stack, 0));
	ck_assert(rig.lane.closed);
	rig_turn(&rig);
	ck_assert_uint_eq(rig.lane.figures.received, 0);	/* left on the ring (FS-14) */
	/* by another way than a ring */
	actors[0].own = own_packet(&actors[0]);
	actors[0].own->source_handle = 0;
	nbl_lane_enter(&rig.lane);
	rig.lane.send_first.handle(rig.lane.send_first.to, one(actors[0].own), 0, 0);
	nbl_lane_enter(NULL);
	ck_assert_uint_eq(actors[0].n_sent + actors[1].n_sent, 0);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_TX], 0);
	ck_assert_int_eq(nbl_stack_restart_all(&rig.stack, NULL), 0);
	/* a module that is paused by itself */
	actors[1].send_complete = see_status;
	force_state(NBL_MODULE_PAUSED);
	rig_turn(&rig);
	ck_assert_int_eq(status_seen, NBL_STATUS_PAUSED);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_TX], 0);
	force_state(NBL_MODULE_RUNNING);
	rig_settle(&rig);
	rig_check(&rig);
	end();
}
END_TEST

static void ends_pause(void *arg) { strcat(trace, "top:pause "); }
static void ends_restart(void *arg) { strcat(trace, "top:restart "); }

START_TEST(putting_in_and_taking_out_pauses_from_the_top_down_and_restarts_from_the_bottom_up)
{
	char error[128];

	begin(2);
	rig.stack.ends.pause = ends_pause;
	rig.stack.ends.restart = ends_restart;
	ck_assert_int_eq(add_with(2, 1, NULL, 0, error, sizeof(error)), 0);
	ck_assert_str_eq(trace,
			 "top:pause b:pause a:pause a:restart c:restart b:restart top:restart ");
	trace[0] = '\0';
	ck_assert_int_eq(nbl_stack_remove(&rig.stack, 0), 0);
	ck_assert_str_eq(trace, "top:pause b:pause c:pause a:pause a:detach c:restart b:restart "
				"top:restart ");
	rig_deliver(&rig, 0, 10);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

static int fail_to_restart(struct actor *a, struct nbl_restart *r, char *error, size_t size)
{
	snprintf(error, size, "no room");
	return -ENOSPC;
}

START_TEST(an_optional_module_that_fails_to_restart_is_detached_and_the_stack_is_up)
{
	begin(3);
	actors[1].restart = fail_to_restart;
	ck_assert_int_eq(nbl_stack_restart(&rig.stack), 0);
	ck_assert_uint_eq(rig.stack.n_modules, 2);
	ck_assert_int_eq(actors[1].n_detached, 1);
	ck_assert_str_eq(rig.stack.why, "module b did not restart (ENOSPC): no room");
	rig_deliver(&rig, 0, 10);
	rig_settle(&rig);
	ck_assert_uint_eq(actors[0].n_received, 10);
	ck_assert_uint_eq(actors[2].n_received, 10);
	ck_assert_uint_eq(actors[1].n_received, 0);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(one_that_fails_to_restart_while_it_holds_packets_leaves_none_of_them_behind)
{
	uint16_t id;

	begin(3);
	id = actors[1].f->id;
	actors[1].receive = keep_up;
	rig_deliver(&rig, 0, 10);
	rig_turn(&rig);
	nbl_holder_enter(id);
	nbl_reference(actors[1].up.head, false);
	nbl_holder_enter(NBL_HOLDER_OF_NBL);
	actors[1].restart = fail_to_restart;
	ck_assert_int_eq(nbl_stack_restart(&rig.stack), -EBUSY);
	ck_assert_uint_eq(rig.stack.n_modules, 2);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 0);
	ck_assert_uint_eq(drops_at(id), 10);
	rig_deliver(&rig, 0, 10);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_lost_frames(&rig), 0);
	rig_check(&rig);
	end();
}
END_TEST

START_TEST(a_module_that_fails_to_restart_is_not_said_to_be_in_if_another_fails_after_it)
{
	char error[128];

	begin(2);
	actors[1].restart = fail_to_restart;
	actors[2].restart = fail_to_restart;
	ck_assert_int_eq(add_with(2, 0, NULL, 0, error, sizeof(error)), -ENODEV);
	ck_assert_uint_eq(rig.stack.n_modules, 1);
	ck_assert_ptr_nonnull(strstr(error, "module c did not restart"));
	end();
}
END_TEST

START_TEST(a_removal_that_is_refused_says_what_is_missing_whoever_fails_to_restart_then)
{
	begin(3);
	actors[1].receive = keep_up;
	rig_deliver(&rig, 0, 10);
	rig_turn(&rig);
	actors[2].restart = fail_to_restart;
	ck_assert_int_eq(nbl_stack_remove(&rig.stack, 1), -EBUSY);
	ck_assert_ptr_nonnull(strstr(rig.stack.why, "module b: 10 queued receive"));
	ck_assert_uint_eq(rig.stack.n_modules, 2);
	actors[1].receive = NULL;
	actors[1].pause = let_go;
	rig_settle(&rig);
	rig_check(&rig);
	end();
}
END_TEST

START_TEST(a_mandatory_module_that_fails_to_restart_keeps_the_stack_down_with_the_reason)
{
	const struct nbl_option mandatory = { "mandatory", "yes" };
	char error[128];

	begin(1);
	ck_assert_int_eq(add_with(1, 1, &mandatory, 1, error, sizeof(error)), 0);
	actors[1].restart = fail_to_restart;
	ck_assert_int_eq(nbl_stack_restart(&rig.stack), -ENODEV);
	ck_assert(rig.stack.is_down && rig.lane.closed);
	ck_assert_str_eq(rig.stack.why, "module b did not restart (ENOSPC): no room");
	ck_assert_uint_eq(rig.stack.n_modules, 2);
	ck_assert_int_eq(life(1)->state, NBL_MODULE_PAUSED);
	rig_deliver(&rig, 0, 10);
	rig_turn(&rig);
	ck_assert_uint_eq(rig.lane.figures.received, 0);
	actors[1].restart = NULL;
	ck_assert_int_eq(nbl_stack_restart(&rig.stack), 0);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

static int settle_restart(struct actor *a, struct nbl_restart *r, char *error, size_t size)
{
	r->headroom = 10u + (uint32_t)(a - actors);
	r->bypass = a == &actors[1] ? NBL_MODULE_RECEIVE : 0;
	return 0;
}

START_TEST(a_restart_tells_the_headroom_below_and_settles_bypass)
{
	begin(3);
	for (int i = 0; i < 3; i++)
		actors[i].restart = settle_restart;
	nbl_filter_want_restart(actors[0].f);
	nbl_stack_tick(&rig.stack, 1);
	ck_assert_uint_eq(actors[0].headroom_below, 0);
	ck_assert_uint_eq(actors[1].headroom_below, 10);
	ck_assert_uint_eq(actors[2].headroom_below, 21);
	rig_deliver(&rig, 0, 7);
	rig_deliver(&rig, 1, 7);
	rig_settle(&rig);
	ck_assert_uint_eq(actors[1].n_received, 0);
	ck_assert_uint_eq(actors[1].n_returned, 0);
	ck_assert_uint_eq(actors[1].n_sent, 7);
	ck_assert_uint_eq(actors[2].n_received, 7);
	/* and a second time not wanted */
	trace[0] = '\0';
	nbl_stack_tick(&rig.stack, 2);
	ck_assert_str_eq(trace, "");
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(a_bypassed_module_sees_nothing_and_the_change_goes_through_pause_and_restart)
{
	begin(2);
	ck_assert_int_eq(nbl_stack_set_bypass(&rig.stack, 0, NBL_MODULE_RECEIVE | NBL_MODULE_SEND),
			 0);
	ck_assert_str_eq(trace, "b:pause a:pause a:restart b:restart ");
	rig_deliver(&rig, 0, 7);
	rig_deliver(&rig, 1, 7);
	rig_settle(&rig);
	ck_assert_uint_eq(actors[0].f->packets, 0);
	ck_assert_uint_eq(actors[1].n_received + actors[1].n_sent, 14);
	ck_assert_int_eq(nbl_stack_set_bypass(&rig.stack, 0, 0), 0);
	rig_deliver(&rig, 0, 7);
	rig_settle(&rig);
	ck_assert_uint_eq(actors[0].n_received, 7);
	rig_check_all_left(&rig);
	end();
}
END_TEST

/* ---- what is outstanding ---- */

static struct nbl *pinned;

static int no_pause(struct actor *a)
{
	return 0;
}

/*
 * Gets one packet of class 'what' outstanding at module b; a, below,
 * keeps what is sent, and c what goes up.
 */
static void hold_one(enum nbl_outstanding what)
{
	struct actor *b = &actors[1];

	for (int i = 0; i < 3; i++)
		actors[i].pause = no_pause;
	switch (what) {
	case NBL_QUEUED_RECEIVE:
		b->receive = keep_up;
		rig_deliver(&rig, 0, 1);
		break;
	case NBL_QUEUED_SEND:
		b->send = keep_down;
		rig_deliver(&rig, 1, 1);
		break;
	case NBL_ORIGINATED_SEND:
		actors[0].send = keep_down;
		ck_assert_int_eq(nbl_filter_originate_send(b->f, one(own_packet(b)), 0, 0), 0);
		break;
	case NBL_ORIGINATED_RECEIVE:
		actors[2].receive = keep_up;
		ck_assert_int_eq(nbl_filter_originate_receive(b->f, one(own_packet(b)), 0, 0), 0);
		break;
	default:
		nbl_holder_enter(b->f->id);
		pinned = own_packet(b);
		if (what == NBL_REFERENCES)
			nbl_reference(pinned, false);
		else
			pinned = nbl_alloc_clone(pinned, rig.pool);
		ck_assert_ptr_nonnull(pinned);
		nbl_holder_enter(NBL_HOLDER_OF_NBL);
		break;
	}
	rig_turn(&rig);
}

static void free_own(struct actor *a, struct nbl_chain c)
{
	struct nbl *n;

	while ((n = nbl_chain_pop(&c))) {
		ck_assert(nbl_filter_is_own(a->f, n));
		ck_assert_int_eq(nbl_free(n), 0);
	}
}

static void release_one(enum nbl_outstanding what)
{
	nbl_lane_enter(&rig.lane);
	switch (what) {
	case NBL_ORIGINATED_SEND:
		actors[1].send_complete = free_own;
		nbl_filter_complete(actors[0].f, nbl_chain_take(&actors[0].down));
		break;
	case NBL_ORIGINATED_RECEIVE:
		actors[1].receive_return = free_own;
		nbl_filter_return(actors[2].f, nbl_chain_take(&actors[2].up));
		break;
	case NBL_REFERENCES:
		ck_assert_int_eq(nbl_dereference(pinned), 0);
		nbl_free(pinned);
		break;
	case NBL_CLONES: {
		struct nbl *parent = pinned->parent;

		nbl_free_clone(pinned);
		nbl_free(parent);
		break;
	}
	default:
		let_go(&actors[1]);
		break;
	}
	nbl_lane_enter(NULL);
}

START_TEST(a_pause_waits_for_every_class_and_its_report_names_the_one_missing)
{
	struct nbl_module_report report;
	char missing[64];

	begin(3);
	hold_one((enum nbl_outstanding)_i);
	ck_assert(!nbl_stack_pause_all(&rig.stack, 3));
	snprintf(missing, sizeof(missing), " 1 %s", nbl_outstanding_name((enum nbl_outstanding)_i));
	ck_assert_ptr_nonnull(strstr(rig.stack.why, missing));
	ck_assert_int_eq(nbl_stack_report(&rig.stack, 1, &report), 0);
	for (int c = 0; c < NBL_N_OUTSTANDING; c++)
		ck_assert_uint_eq(report.outstanding[c], c == _i);
	ck_assert_int_eq(nbl_stack_restart_all(&rig.stack, NULL), 0);
	ck_assert_int_eq(nbl_stack_remove(&rig.stack, 1), -EBUSY);
	ck_assert_uint_eq(rig.stack.n_modules, 3);
	release_one((enum nbl_outstanding)_i);
	actors[0].send = NULL;
	actors[2].receive = NULL;
	ck_assert_int_eq(nbl_stack_remove(&rig.stack, 1), 0);
	rig_settle(&rig);
	rig_check(&rig);
	end();
}
END_TEST

static int pend(struct actor *a)
{
	return NBL_PENDING;
}

static void *complete_later(void *arg)
{
	rig_sleep_ns(100000000);
	nbl_filter_pause_complete(actors[0].f);
	return NULL;
}

START_TEST(a_pending_pause_is_waited_for_until_its_module_says_so)
{
	uint64_t before = rig_now_ns();
	pthread_t thread;

	begin(2);
	rig.stack.pause_timeout_ms = 5000;
	actors[0].pause = pend;
	ck_assert_int_eq(pthread_create(&thread, NULL, complete_later, NULL), 0);
	ck_assert(nbl_stack_pause_all(&rig.stack, 5000));
	ck_assert_uint_ge(rig_now_ns() - before, 100000000);
	pthread_join(thread, NULL);
	nbl_stack_restart_all(&rig.stack, NULL);
	/* and not for ever */
	ck_assert(!nbl_stack_pause_all(&rig.stack, 5));
	ck_assert_ptr_nonnull(strstr(rig.stack.why, "its pause is pending"));
	nbl_filter_pause_complete(actors[0].f);
	nbl_stack_restart_all(&rig.stack, NULL);
	end();
}
END_TEST

START_TEST(all_of_the_stack_passes_on_what_it_holds_when_one_is_put_in)
{
	char error[128];

	begin(2);
	for (int i = 0; i < 2; i++) {
		actors[i].receive = keep_up;
		actors[i].send = keep_down;
		actors[i].pause = let_go;
	}
	rig_deliver(&rig, 0, 50);
	rig_deliver(&rig, 1, 50);
	rig_turn(&rig);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 100);
	ck_assert_int_eq(add_with(2, 1, NULL, 0, error, sizeof(error)), 0);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 0);
	for (int i = 0; i < 2; i++) {
		actors[i].receive = NULL;
		actors[i].send = NULL;
	}
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

START_TEST(detaching_allocates_nothing)
{
	void *volatile nothing;
	int r;

	begin(3);
	rig_deliver(&rig, 0, 10);
	rig_turn(&rig);
	rig_run_kernel(&rig);
	no_memory = true;
	nothing = malloc(1);
	r = nbl_stack_remove(&rig.stack, 1);
	nbl_stack_evict(&rig.stack, 0);
	no_memory = false;
	ck_assert_ptr_null(nothing);
	ck_assert_int_eq(r, 0);
	ck_assert_uint_eq(rig.stack.n_modules, 1);
	rig_settle(&rig);
	rig_check_all_left(&rig);
	end();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ every_event_in_every_state_leads_where_the_rule_says_or_is_rejected_and_counted,
		  1 },
		{ attach_ends_in_paused_and_nothing_is_originated_before_running, 1 },
		{ packets_come_to_a_module_in_running_and_pausing_only, NBL_N_MODULE_STATES },
		{ a_send_into_a_paused_stack_is_completed_paused_and_the_ring_untouched, 1 },
		{ putting_in_and_taking_out_pauses_from_the_top_down_and_restarts_from_the_bottom_up, 1 },
		{ an_optional_module_that_fails_to_restart_is_detached_and_the_stack_is_up, 1 },
		{ one_that_fails_to_restart_while_it_holds_packets_leaves_none_of_them_behind, 1 },
		{ a_module_that_fails_to_restart_is_not_said_to_be_in_if_another_fails_after_it, 1 },
		{ a_removal_that_is_refused_says_what_is_missing_whoever_fails_to_restart_then, 1 },
		{ a_mandatory_module_that_fails_to_restart_keeps_the_stack_down_with_the_reason, 1 },
		{ a_restart_tells_the_headroom_below_and_settles_bypass, 1 },
		{ a_bypassed_module_sees_nothing_and_the_change_goes_through_pause_and_restart, 1 },
		{ a_pause_waits_for_every_class_and_its_report_names_the_one_missing,
		  NBL_N_OUTSTANDING },
		{ a_pending_pause_is_waited_for_until_its_module_says_so, 1 },
		{ all_of_the_stack_passes_on_what_it_holds_when_one_is_put_in, 1 },
		{ detaching_allocates_nothing, 1 },
	};

	return rig_run("module_states", tests, N_ELEMENTS(tests));
}
