/* SPDX-License-Identifier: BSD-2-Clause */
/* test_core_forward.c - sending what was derived from received packets, over their own frames. */
#include <nbl/derive.h>
#include <nbl/pool.h>

#include "unit/lane_probe.h"

#define N_PACKETS 1000

static uint64_t n_parents_home;
static uint32_t n_copied_by_module, n_not_copied, n_freed, worst_child_count;

/* As end(), and nothing of the adapter's pool is out. */
static void end_with_pool(void)
{
	rig_down(&rig);
	ck_assert_uint_eq(rig.n_pools_lost, 0);
	rig_free(&rig);
}

/* ---- DV-12: a child goes on, its parent waits for it ---- */

static void send_children(struct nbl_filter *f, struct nbl_chain chain)
{
	struct nbl_chain children = NBL_CHAIN_EMPTY;

	for (struct nbl *n = chain.head; n; n = n->next) {
		struct nbl *child = nbl_alloc_clone(n, rig.pool);

		ck_assert_ptr_nonnull(child);
		ck_assert_ptr_eq(child->parent, n);
		nbl_filter_own(f, child);
		nbl_chain_append(&children, child);
	}
	nbl_chain_join(&probe.kept, &chain);
	nbl_filter_indicate(f, children, 0, 0);
}

/* A child is back: it is freed, and its parent given back. */
static void give_parents_back(struct nbl_filter *f, struct nbl_chain chain)
{
	struct nbl_chain parents = NBL_CHAIN_EMPTY;
	struct nbl *n;

	while ((n = nbl_chain_pop(&chain))) {
		struct nbl *parent = n->parent;

		ck_assert_int_eq(n->status, NBL_STATUS_SUCCESS);
		if (parent->child_ref_count > worst_child_count)
			worst_child_count = parent->child_ref_count;
		ck_assert_int_eq(nbl_free_clone(n), 0);
		ck_assert_ptr_eq(nbl_chain_pop(&probe.kept), parent);
		nbl_chain_append(&parents, parent);
		n_parents_home++;
	}
	nbl_filter_return(f, parents);
}

START_TEST(DV_12_received_packets_leave_as_children_without_a_copy_and_parents_follow)
{
	begin(RIG_SHAPE(0), only_watching_probe);
	probe.receive = send_children;
	probe.receive_return = give_parents_back;
	for (uint32_t n = 0; n < N_PACKETS; n += 20) {
		ck_assert_uint_eq(rig_deliver(&rig, 0, 20), 20);
		rig_turn(&rig);
		rig_run_kernel(&rig);
	}
	rig_settle(&rig);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	ck_assert_uint_eq(rig_left(&rig), N_PACKETS);
	ck_assert_uint_eq(n_parents_home, N_PACKETS);
	ck_assert_uint_eq(worst_child_count, 1);
	ck_assert_uint_eq(rig.lane.figures.originated.sent, N_PACKETS);
	ck_assert_uint_eq(rig.lane.figures.originated.copied, 0);
	ck_assert_uint_eq(rig_lost_frames(&rig), 0);
	end_with_pool();
}
END_TEST

/*
 * Returns the parent while its child is with the kernel: it may
 * not be posted before the child is home.
 */
static void return_parents_at_once(struct nbl_filter *f, struct nbl_chain chain)
{
	struct nbl_chain children = NBL_CHAIN_EMPTY;

	for (struct nbl *n = chain.head; n; n = n->next)
		nbl_chain_append(&children, nbl_alloc_clone(n, rig.pool));
	nbl_filter_return(f, chain);
	nbl_filter_indicate(f, children, 0, 0);
}

static void free_children(struct nbl_filter *f, struct nbl_chain chain)
{
	struct nbl *n;

	f->held -= chain.n_nbls;
	while ((n = nbl_chain_pop(&chain)))
		ck_assert_int_eq(nbl_free_clone(n), 0);
}

START_TEST(DV_12_a_frame_is_posted_again_only_when_the_child_that_was_sent_is_freed)
{
	begin(RIG_SHAPE(0), only_watching_probe);
	probe.receive = return_parents_at_once;
	probe.receive_return = free_children;
	rig_deliver(&rig, 0, 30);
	rig_turn(&rig);
	ck_assert_uint_eq(frames_in(NBL_FRAME_TX), 30);
	rig_turn(&rig);
	ck_assert_uint_eq(frames_in(NBL_FRAME_TX), 30);
	ck_assert_uint_eq(rig.lane.queues[0].n_free, 0);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	ck_assert_uint_eq(rig_left(&rig), 30);
	ck_assert_uint_eq(frames_in(NBL_FRAME_TX), 0);
	ck_assert_uint_eq(rig_lost_frames(&rig), 0);
	end_with_pool();
}
END_TEST

/* Lent packets cannot be kept: their bytes go on in frames of the module's own. */
static void send_copies_of_what_is_lent(struct nbl_filter *f, struct nbl_chain chain)
{
	struct nbl_chain copies = NBL_CHAIN_EMPTY;

	if (!(chain.head->nbl_flags & NBL_FLAG_BORROWED)) {
		keep(f, chain);
		return;
	}
	for (struct nbl *n = chain.head; n; n = n->next) {
		struct nbl *copy = NULL;

		if (nbl_alloc_copy(n, rig.pool, rig.pool, &copy) < 0) {
			n_not_copied++;
			continue;
		}
		n_copied_by_module++;
		nbl_chain_append(&copies, copy);
	}
	nbl_filter_indicate(f, copies, 0, 0);
	f->held += copies.n_nbls;
}

static void free_copies(struct nbl_filter *f, struct nbl_chain chain)
{
	struct nbl *n;

	f->held -= chain.n_nbls;
	while ((n = nbl_chain_pop(&chain))) {
		ck_assert_int_eq(nbl_free(n), 0);
		n_freed++;
	}
}

static void keep_sent(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	(void)port;
	(void)flags;
	keep(f, chain);
}

static void complete(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)flags;
	nbl_filter_complete(f, chain);
}

static const struct nbl_module hoarder = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "hoarder",
	.flags = NBL_MODULE_HOLDS, .receive = probe_receive, .receive_return = probe_return,
	.send = keep_sent, .send_complete = complete, .status = nbl_filter_pass_status,
};

START_TEST(DV_12_what_is_lent_is_sent_as_copies_and_its_frame_is_free_at_once)
{
	static const struct nbl_module *const modules[] = { &hoarder, NULL };
	uint64_t held;

	begin(RIG_SHAPE(.n_frames = 64), modules);
	probe.receive = send_copies_of_what_is_lent;
	probe.receive_return = free_copies;
	/* the module keeps all it may, until the lane is short and lends */
	while (frames_in(NBL_FRAME_HELD) <= 64 - 64 / 8) {
		ck_assert_uint_gt(rig_deliver(&rig, 0, 3), 0);
		rig_turn(&rig);
		rig_run_kernel(&rig);
	}
	held = frames_in(NBL_FRAME_HELD);
	ck_assert_uint_eq(n_copied_by_module, 0);
	rig_deliver(&rig, 0, 3);
	rig_turn(&rig);
	ck_assert_uint_eq(n_copied_by_module, 3);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), held);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HAND), 0);
	nbl_lane_enter(&rig.lane);
	nbl_filter_return(probe.filter, nbl_chain_take(&probe.kept));
	nbl_lane_enter(NULL);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	ck_assert_uint_eq(rig_lost_frames(&rig), 0);
	end_with_pool();
}
END_TEST

/* _i: so many frames the pool has; few, and copies fail; many, and queueing does */
START_TEST(BUG_02_nothing_leaks_where_packets_are_lent_and_queueing_or_copying_fails)
{
	static const struct nbl_module *const modules[] = { &hoarder, NULL };
	struct rig_random random = rig_random(0x5eed0002u + (uint64_t)_i);
	uint64_t n_refused;

	begin(RIG_SHAPE(.n_frames = 64, .n_pool_frames = _i ? 2048 : 8,
			.rings = { .rx = 64, .tx = 4, .fill = 64, .completion = 4 }), modules);
	probe.receive = send_copies_of_what_is_lent;
	probe.receive_return = free_copies;
	while (frames_in(NBL_FRAME_HELD) <= 64 - 64 / 8) {
		ck_assert_uint_gt(rig_deliver(&rig, 0, 3), 0);
		rig_turn(&rig);
	}
	for (int i = 0; i < 3000; i++) {
		rig_deliver(&rig, 0, rig_random_below(&random, 8));
		rig_turn(&rig);
		/* the kernel is slow */
		if (!rig_random_below(&random, 10))
			rig_run_kernel(&rig);
	}
	n_refused = rig.lane.figures.originated.failed + n_not_copied;
	ck_assert_uint_gt(n_copied_by_module, 100);
	ck_assert_uint_gt(n_refused, 100);
	ck_assert_uint_gt(_i ? rig.lane.figures.originated.failed : n_not_copied, 100);
	nbl_lane_enter(&rig.lane);
	nbl_filter_return(probe.filter, nbl_chain_take(&probe.kept));
	nbl_lane_enter(NULL);
	rig_settle(&rig);
	ck_assert_uint_eq(n_freed, n_copied_by_module);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	ck_assert_uint_eq(rig_lost_frames(&rig), 0);
	rig_check(&rig);
	end_with_pool();
}
END_TEST

/* ---- DM-03: three packets in one NBL ---- */

static struct nbl_nb more_nbs[2];
static struct nbl *three, *received[3];
static uint32_t n_completions;

/* One NBL over the bytes of three received ones, which stay until it is back. */
static void send_three_as_one(struct nbl_filter *f, struct nbl_chain chain)
{
	struct nbl_chain one = NBL_CHAIN_EMPTY;
	struct nbl *n = chain.head;

	ck_assert_uint_eq(chain.n_nbls, 3);
	for (int i = 0; i < 3; i++, n = n->next)
		received[i] = n;
	nbl_chain_join(&probe.kept, &chain);
	ck_assert_int_eq(nbl_pool_alloc_over(rig.pool, &received[0]->segment,
					     received[0]->nb.data_offset, RIG_LENGTH, &three), 0);
	for (int i = 0; i < 2; i++) {
		more_nbs[i] = received[i + 1]->nb;
		more_nbs[i].next = i ? NULL : &more_nbs[1];
	}
	three->nb.next = &more_nbs[0];
	nbl_chain_append(&one, three);
	nbl_filter_indicate(f, one, 0, 0);
}

static void three_are_back(struct nbl_filter *f, struct nbl_chain chain)
{
	if (chain.head != three) {
		nbl_filter_return(f, chain);
		return;
	}
	n_completions++;
	ck_assert_uint_eq(chain.n_nbls, 1);
	ck_assert_int_eq(three->status, NBL_STATUS_SUCCESS);
	ck_assert_ptr_eq(three->nb.next, &more_nbs[0]);	/* TX-07 */
	ck_assert_ptr_eq(more_nbs[0].next, &more_nbs[1]);
	f->held--;
	three->nb.next = NULL;
	ck_assert_int_eq(nbl_free(three), 0);
	nbl_filter_return(f, nbl_chain_take(&probe.kept));
}

START_TEST(DM_03_one_nbl_of_three_packets_is_three_frames_in_order_and_completes_once)
{
	begin(RIG_SHAPE(0), only_watching_probe);
	probe.receive = send_three_as_one;
	probe.receive_return = three_are_back;
	rig_deliver(&rig, 0, 3);
	rig_turn(&rig);
	/* sent and completed one by one */
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(n_completions, 0);
		ck_assert_uint_eq(rig_take(&rig, 1, 1), 1);
		ck_assert_uint_eq(rig_complete(&rig, 1, 1), 1);
		rig_turn(&rig);
		rig_turn(&rig);
	}
	ck_assert_uint_eq(n_completions, 1);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	ck_assert_uint_eq(rig_left(&rig), 3);
	ck_assert_uint_eq(rig.lane.figures.originated.copied, 0);
	rig_settle(&rig);
	ck_assert_uint_eq(n_completions, 1);
	ck_assert_uint_eq(rig_lost_frames(&rig), 0);
	end_with_pool();
}
END_TEST

/* ---- DM-07: statuses, so far as the lane decides them ---- */

static int last_status;

static void send_wrong(struct nbl_filter *f, struct nbl_chain chain)
{
	for (struct nbl *n = chain.head; n; n = n->next)
		if (probe.n_returned == UINT64_MAX)
			n->nb.data_length = 13;
	nbl_filter_indicate(f, chain, 0, 0);
}

static void note_status(struct nbl_filter *f, struct nbl_chain chain)
{
	last_status = chain.head->status;
	nbl_filter_return(f, chain);
}

/* _i: sent; too short; no room in the ring; refused by the device */
START_TEST(DM_07_the_status_says_why_a_send_ended)
{
	static const int expected[] = { NBL_STATUS_SUCCESS, NBL_STATUS_INVALID_LENGTH,
					NBL_STATUS_RESOURCES, NBL_STATUS_FAILURE };
	const struct rig_shape small = { .rings = { .rx = 256, .tx = 4, .fill = 256,
						    .completion = 4 } };

	begin(_i == 2 ? &small : RIG_SHAPE(0), only_watching_probe);
	last_status = -1;
	probe.receive = send_wrong;
	probe.receive_return = note_status;
	probe.n_returned = _i == 1 ? UINT64_MAX : 0;
	if (_i == 3) {
		rig.world->calls_reach_kernel = true;
		rig.world->kick_takes = rig.world->kick_completes = 1;
		rig.world->kick_result = -EBUSY;
	}
	rig_deliver(&rig, 0, _i == 2 ? 5 : 1);
	for (int i = 0; i < 3; i++)
		rig_turn(&rig);
	ck_assert_int_eq(_i == 0 ? -1 : expected[_i], last_status);
	rig.world->kick_result = 0;
	if (_i == 0)
		rig_settle(&rig);
	ck_assert_int_eq(last_status, expected[_i]);
	end();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ DV_12_received_packets_leave_as_children_without_a_copy_and_parents_follow, 1 },
		{ DV_12_a_frame_is_posted_again_only_when_the_child_that_was_sent_is_freed, 1 },
		{ DV_12_what_is_lent_is_sent_as_copies_and_its_frame_is_free_at_once, 1 },
		{ BUG_02_nothing_leaks_where_packets_are_lent_and_queueing_or_copying_fails, 2 },
		{ DM_03_one_nbl_of_three_packets_is_three_frames_in_order_and_completes_once, 1 },
		{ DM_07_the_status_says_why_a_send_ended, 4 },
	};

	return rig_run("core_forward", tests, N_ELEMENTS(tests));
}
