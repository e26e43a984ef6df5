// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_rules_fs.c - pausing under load: nothing is held or sent once it is done (BUG-01), all
 * is as before after it (BUG-09), and what it costs is known to the packet (FS-14).
 */
#include "unit/module_fixture.h"

#define N_EACH 5
#define LEAST 20		/* pauses, however long they take */

/* ---- BUG-09: whatever was changed, each module sees all that it should ---- */

static int fail_to_restart(struct actor *a, struct nbl_restart *r, char *error, size_t size)
{
	return -ENOSPC;
}

static int pend(struct actor *a)
{
	return NBL_PENDING;
}

static int position_of(uint32_t i)
{
	return nbl_stack_find(&rig.stack, actor_modules[i].name);
}

static void put_in(uint32_t i, uint32_t position, bool fails)
{
	const struct nbl_option all = { "max-share", "100" };
	char error[128];
	int r;

	actors[i].restart = fails ? fail_to_restart : NULL;
	r = add_with(i, position, &all, 1, error, sizeof(error));
	ck_assert_int_eq(r, fails ? -ENODEV : 0);
	actors[i].restart = NULL;
}

/* A pause that does not end in time: the stack goes on as if nothing had been. */
static void pause_in_vain(uint32_t i)
{
	actors[i].pause = pend;
	ck_assert_int_eq(nbl_stack_restart(&rig.stack), -EBUSY);
	actors[i].pause = NULL;
	nbl_filter_pause_complete(&rig.stack.modules[position_of(i)].filters[0].f);
}

static void change_something(struct rig_random *random)
{
	uint32_t i = rig_random_below(random, N_ACTORS);
	uint32_t what = rig_random_below(random, 6);
	int at = position_of(i);

	trace[0] = '\0';
	if (at < 0)
		put_in(i, rig_random_below(random, rig.stack.n_modules + 1), what == 0);
	else if (what < 2)
		ck_assert_int_eq(nbl_stack_remove(&rig.stack, (uint32_t)at), 0);
	else if (what == 2)
		pause_in_vain(i);
	else if (what == 3)
		ck_assert_int_eq(nbl_stack_restart(&rig.stack), 0);
	else
		ck_assert_int_eq(nbl_stack_set_bypass(&rig.stack, (uint32_t)at,
						      rig_random_below(random, 4)), 0);
}

static void check_what_each_sees(void)
{
	uint64_t received[N_ACTORS], sent[N_ACTORS];

	for (int i = 0; i < N_ACTORS; i++) {
		received[i] = actors[i].n_received;
		sent[i] = actors[i].n_sent;
	}
	ck_assert_uint_eq(rig_deliver(&rig, 0, N_EACH), N_EACH);
	ck_assert_uint_eq(rig_deliver(&rig, 1, N_EACH), N_EACH);
	rig_settle(&rig);
	for (uint32_t i = 0; i < N_ACTORS; i++) {
		int at = position_of(i);
		uint32_t bypass = at < 0 ? ~0u : rig.stack.modules[at].settings.bypass;

		ck_assert_uint_eq(actors[i].n_received - received[i],
				  bypass & NBL_MODULE_RECEIVE ? 0 : N_EACH);
		ck_assert_uint_eq(actors[i].n_sent - sent[i],
				  bypass & NBL_MODULE_SEND ? 0 : N_EACH);
		if (at >= 0) {
			ck_assert_int_eq(rig.stack.modules[at].life.state, NBL_MODULE_RUNNING);
			ck_assert_int_eq(rig.stack.modules[at].filters[0].f.state,
					 NBL_MODULE_RUNNING);
			ck_assert_uint_eq(rig.stack.modules[at].life.n_rejected, 0);
		}
	}
	rig_check_all_left(&rig);
}

START_TEST(BUG_09_after_any_changes_each_module_that_is_in_sees_every_packet)
{
	struct rig_random random = rig_random(0xb09u + (uint64_t)_i);

	begin(2);
	rig.stack.pause_timeout_ms = 1;
	for (int n = 0; n < 60; n++) {
		change_something(&random);
		check_what_each_sees();
	}
	end();
}
END_TEST

/* ---- under load ---- */

static _Atomic bool kernel_ends;
static _Atomic uint64_t n_refused;	/* packets the kernel had no frame or no room for */
static _Atomic uint32_t n_too_late; /* handlers called in another state than Running or Pausing */
static bool load_is_slow;		/* as fast as they leave, or as fast as they come */

static void *play_kernel(void *arg)
{
	while (!kernel_ends) {
		for (uint32_t q = 0; q < rig.n_queues; q++) {
			rig_take(&rig, q, 50);
			rig_complete(&rig, q, 50);
			if (load_is_slow && rig_delivered(&rig) - rig_left(&rig) >= 200)
				continue;
			n_refused += 20 - rig_deliver(&rig, q, 20);
		}
		sched_yield();
	}
	return NULL;
}

static void start_load(pthread_t *kernel, bool slow)
{
	kernel_ends = false;
	n_refused = 0;
	n_too_late = 0;
	load_is_slow = slow;
	rig.stack.pause_timeout_ms = 5000;
	rig.stack.drain_ms = 500;
	ck_assert_int_eq(nbl_lane_start(&rig.lane), 0);
	rig.stack.lanes_run = true;
	ck_assert_int_eq(pthread_create(kernel, NULL, play_kernel, NULL), 0);
}

static void end_load(pthread_t kernel)
{
	kernel_ends = true;
	pthread_join(kernel, NULL);
	nbl_lane_stop(&rig.lane);
	rig.stack.lanes_run = false;
	rig_settle(&rig);
}

static void look_at_state(const struct actor *a)
{
	n_too_late += a->f->state != NBL_MODULE_RUNNING && a->f->state != NBL_MODULE_PAUSING;
}

/* Sends one of its own, if there is one, when it may. */
static void send_own(struct actor *a)
{
	uint16_t before = nbl_holder_enter(a->f->id);
	struct nbl *n;

	if (!nbl_pool_alloc_data(rig.pool, rig.pool, RIG_LENGTH, &n)) {
		/* no packet of a flow: the judge is told so by its length */
		n->first_nb->data_length = RIG_LENGTH - 4;
		nbl_filter_own(a->f, n);
		if (nbl_filter_originate_send(a->f, one(n), 0, 0) < 0)
			nbl_free(n);
	}
	nbl_holder_enter(before);
}

/* Holds what came until more comes, and references it: each class of what is outstanding. */
static void hold_up(struct actor *a, struct nbl_chain c, uint32_t flags)
{
	struct nbl_chain before = nbl_chain_take(&a->up);

	look_at_state(a);
	if (flags & NBL_RECEIVE_RESOURCES) {
		a->up = before;
		nbl_filter_indicate(a->f, c, 0, flags);
		return;
	}
	a->up = c;
	if (before.head)
		nbl_filter_indicate(a->f, before, 0, 0);
	send_own(a);
}

static void hold_down(struct actor *a, struct nbl_chain c)
{
	struct nbl_chain before = nbl_chain_take(&a->down);

	look_at_state(a);
	a->down = c;
	if (before.head)
		nbl_filter_send(a->f, before, 0, 0);
}

static void end_own(struct actor *a, struct nbl_chain c)
{
	struct nbl *n;

	look_at_state(a);
	if (!nbl_filter_is_own(a->f, c.head)) {
		nbl_filter_complete(a->f, c);
		return;
	}
	while ((n = nbl_chain_pop(&c)))
		nbl_free(n);
}

static void check_nothing_is_out(void)
{
	for (uint32_t i = 0; i < rig.stack.n_modules; i++) {
		const struct nbl_filter *f = &rig.stack.modules[i].filters[0].f;
		struct nbl_module_report report;

		ck_assert_int_eq(rig.stack.modules[i].life.state, NBL_MODULE_PAUSED);
		ck_assert_int_eq(f->held, 0);
		ck_assert_int_eq(f->held_sends, 0);
		ck_assert_int_eq(f->n_originated, 0);
		ck_assert_int_eq(nbl_stack_report(&rig.stack, i, &report), 0);
		for (int c = 0; c < NBL_N_OUTSTANDING; c++)
			ck_assert_uint_eq(report.outstanding[c], 0);
		ck_assert_ptr_null(actors[i].up.head);
		ck_assert_ptr_null(actors[i].down.head);
	}
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 0);
}

START_TEST(BUG_01_a_pause_under_load_ends_with_nothing_held_and_nothing_is_sent_after_it)
{
	uint64_t until = rig_now_ns() + 500000000, n_pauses = 0, n_own = 0;
	pthread_t kernel;

	begin(2);
	for (int i = 0; i < 2; i++) {
		actors[i].receive = hold_up;
		actors[i].send = hold_down;
		actors[i].send_complete = end_own;
		actors[i].pause = let_go;
	}
	start_load(&kernel, true);
	rig.stack.drain_ms = 0;		/* it is the pause that has to wait */
	for (; n_pauses < LEAST || rig_now_ns() < until; n_pauses++) {
		uint32_t sent[2];

		ck_assert_msg(nbl_stack_pause_all(&rig.stack, 5000), "%s", rig.stack.why);
		check_nothing_is_out();
		for (int q = 0; q < 2; q++)
			sent[q] = rig.lane.queues[q].q.tx.next;
		rig_sleep_ns(300000);
		for (int q = 0; q < 2; q++)
			ck_assert_uint_eq(rig.lane.queues[q].q.tx.next, sent[q]);
		check_nothing_is_out();
		ck_assert_int_eq(nbl_stack_restart_all(&rig.stack, NULL), 0);
		rig_sleep_ns(1000000);
	}
	end_load(kernel);
	n_own = rig.lane.figures.originated.sent;
	ck_assert_uint_gt(n_own, 10);
	ck_assert_uint_eq(n_too_late, 0);
	/* what they sent themselves is of no flow; of the flows nothing is missing */
	ck_assert_uint_eq(rig_wrong(&rig), n_own);
	ck_assert_uint_eq(rig_left(&rig), rig_delivered(&rig));
	rig_check(&rig);
	end();
}
END_TEST

/* _i: as fast as packets leave, or as fast as they come, which is more than there are frames for */
START_TEST(FS_14_changing_the_stack_loses_what_the_kernel_counts_and_not_one_packet_more)
{
	uint64_t until = rig_now_ns() + 500000000, n_changes = 0;
	pthread_t kernel;

	begin(1);
	start_load(&kernel, !_i);
	for (; n_changes < LEAST || rig_now_ns() < until; n_changes++) {
		trace[0] = '\0';
		if (position_of(1) < 0)
			put_in(1, n_changes / 2 % 2, false);
		else
			ck_assert_int_eq(nbl_stack_remove(&rig.stack, (uint32_t)position_of(1)), 0);
		rig_sleep_ns(2000000);
	}
	end_load(kernel);
	ck_assert_uint_gt(rig_delivered(&rig), 1000);
	if (_i)
		ck_assert_uint_gt(n_refused, 0);
	/* what the kernel took has left, all of it; what it did not take it counts itself */
	rig_check_all_left(&rig);
	for (int o = 0; o < NBL_N_OUTCOMES; o++)
		ck_assert(!nbl_outcome_is_drop((enum nbl_outcome)o) ||
			  !outcome((enum nbl_outcome)o));
	end();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ BUG_09_after_any_changes_each_module_that_is_in_sees_every_packet, 8 },
		{ BUG_01_a_pause_under_load_ends_with_nothing_held_and_nothing_is_sent_after_it,
		  1 },
		{ FS_14_changing_the_stack_loses_what_the_kernel_counts_and_not_one_packet_more,
		  2 },
	};

	return rig_run("rules_fs", tests, N_ELEMENTS(tests));
}
