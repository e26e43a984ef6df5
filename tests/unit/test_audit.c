/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_audit.c - the audit can fail: every seeded corruption must be reported.
 *
 * A lane with frames in every state and packets in every ring is sound; then one
 * thing is made wrong.
 */
#include "unit/lane_fixture.h"

static struct rig rig;
static struct nbl_chain kept;

static void keep_some(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	struct nbl_chain pass = NBL_CHAIN_EMPTY;
	struct nbl *n;

	for (int i = 0; (n = nbl_chain_pop(&chain)); i++)
		nbl_chain_append(i % 2 ? &kept : &pass, n);
	if (pass.head)
		nbl_filter_indicate(f, pass, port, flags);
}

static void see_return(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)flags;
	nbl_filter_return(f, chain);
}

static const struct nbl_module keeper = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "keeper",
	.flags = NBL_MODULE_HOLDS, .receive = keep_some, .receive_return = see_return,
	.status = nbl_filter_pass_status,
};

static const struct nbl_module *const modules[] = { &keeper, NULL };

/* Frames free, posted, received, kept, sent, taken, completed, on both sides. */
static void begin(void)
{
	kept = NBL_CHAIN_EMPTY;
	rig_make(&rig, RIG_SHAPE(.n_lower = 2, .n_frames = 100,
				 .rings = { .rx = 64, .tx = 64, .fill = 64, .completion = 64 }));
	rig_up(&rig, modules, NBL_TAKEOVER_FRESH);
	rig_turn(&rig);
	for (uint32_t q = 0; q < 3; q++)
		rig_deliver(&rig, q, 30);
	rig_turn(&rig);
	for (uint32_t q = 0; q < 3; q++) {
		rig_take(&rig, q, 10);
		rig_complete(&rig, q, 5);
		rig_deliver(&rig, q, 6);
	}
}

static struct nbl_queue *queue(uint32_t i)
{
	return &rig.lane.queues[i].q;
}

static uint64_t *fill_entry(uint32_t i, uint32_t n)
{
	const struct nbl_ring *r = &queue(i)->fill.ring;

	return (uint64_t *)r->entries + ((*r->consumer + n) & (r->size - 1));
}

static struct xdp_desc *rx_entry(uint32_t i, uint32_t n)
{
	const struct nbl_ring *r = &queue(i)->rx.ring;

	return (struct xdp_desc *)r->entries + ((*r->consumer + n) & (r->size - 1));
}

static struct xdp_desc *tx_entry(uint32_t i, uint32_t n)
{
	const struct nbl_ring *r = &queue(i)->tx.ring;

	return (struct xdp_desc *)r->entries + ((*r->consumer + n) & (r->size - 1));
}

static uint64_t *completion_entry(uint32_t i, uint32_t n)
{
	const struct nbl_ring *r = &queue(i)->completion.ring;

	return (uint64_t *)r->entries + ((*r->consumer + n) & (r->size - 1));
}

static uint32_t frame_of(uint64_t address)
{
	return (uint32_t)(address / 2048);
}

static struct nbl_ledger_entry get(uint32_t frame)
{
	return nbl_ledger_get(&rig.memory.ledger, frame);
}

static void set(uint32_t frame, enum nbl_frame_state state, uint32_t slot)
{
	nbl_ledger_set(&rig.memory.ledger, frame,
		       (struct nbl_ledger_entry){ .state = (uint8_t)state, .slot = slot });
}

/* Changes the ledger and the figures too, as code that forgot something else would. */
static void move_consistently(uint32_t frame, enum nbl_frame_state to)
{
	rig.lane.figures.frames[get(frame).state]--;
	rig.lane.figures.frames[to]++;
	set(frame, to, 0);
}

static void swap_slots(uint32_t one, uint32_t other)
{
	struct nbl_ledger_entry a = get(one), b = get(other);

	set(one, (enum nbl_frame_state)a.state, b.slot);
	set(other, (enum nbl_frame_state)b.state, a.slot);
}

static void come_home_uncounted(struct nbl *n)
{
	nbl_lane_move(&rig.lane, n->segment.frame, NBL_IN_HANDS, NBL_FRAME_FREE, 0);
	rig.lane.figures.outcomes[NBL_OUTCOME_RETURNED]++;
}

/* ---- the corruptions ---- */

static void a_posted_frame_called_free(void)
{
	set(frame_of(*fill_entry(0, 3)), NBL_FRAME_FREE, 0);
}

static void a_posted_frame_called_sent(void)
{
	move_consistently(frame_of(*fill_entry(0, 3)), NBL_FRAME_TX);
}

static void fill_slots_swapped(void)
{
	swap_slots(frame_of(*fill_entry(0, 1)), frame_of(*fill_entry(0, 2)));
}

static void fill_entries_swapped(void)
{
	uint64_t one = *fill_entry(1, 0);

	*fill_entry(1, 0) = *fill_entry(1, 5);
	*fill_entry(1, 5) = one;
}

static void a_frame_posted_twice(void)
{
	*fill_entry(0, 1) = *fill_entry(0, 2);
}

static void a_frame_posted_that_is_none(void)
{
	*fill_entry(0, 1) = UINT64_MAX;
}

static void a_frame_of_the_pool_posted(void)
{
	*fill_entry(0, 1) = 300 * 2048;
}

static void a_frame_posted_on_another_queue(void)
{
	uint64_t other = *fill_entry(1, 4);

	*fill_entry(1, 4) = *fill_entry(0, 4);
	*fill_entry(0, 4) = other;
}

static void a_frame_received_twice(void)
{
	rx_entry(0, 1)->addr = rx_entry(0, 2)->addr;
}

static void a_frame_received_while_posted(void)
{
	rx_entry(0, 1)->addr = *fill_entry(0, 0);
}

static void a_frame_received_while_held(void)
{
	rx_entry(0, 1)->addr = (uint64_t)kept.head->segment.frame * 2048;
}

static void a_frame_received_that_is_none(void)
{
	rx_entry(2, 0)->addr = 1ull << 40;
}

static void a_received_frame_called_hand(void)
{
	move_consistently(frame_of(rx_entry(0, 0)->addr), NBL_FRAME_HAND);
}

static void a_frame_sent_twice(void)
{
	tx_entry(2, 1)->addr = tx_entry(2, 0)->addr;
}

static void tx_slots_swapped(void)
{
	swap_slots(frame_of(tx_entry(2, 0)->addr), frame_of(tx_entry(2, 1)->addr));
}

static void a_tx_entry_never_written(void)
{
	queue(2)->tx.next++;
}

static void a_frame_being_sent_called_free(void)
{
	set(frame_of(tx_entry(2, 3)->addr), NBL_FRAME_FREE, 0);
}

static void a_frame_being_sent_called_held(void)
{
	move_consistently(frame_of(tx_entry(2, 3)->addr), NBL_FRAME_HELD);
}

static void a_frame_completed_twice(void)
{
	*completion_entry(2, 1) = *completion_entry(2, 0);
}

static void a_frame_completed_while_being_sent(void)
{
	*completion_entry(2, 1) = tx_entry(2, 0)->addr;
}

static void a_frame_completed_that_was_not_sent(void)
{
	*completion_entry(2, 1) = (uint64_t)kept.head->segment.frame * 2048;
}

static void a_frame_completed_on_another_queue(void)
{
	uint64_t other = *completion_entry(0, 0);

	*completion_entry(0, 0) = *completion_entry(2, 0);
	*completion_entry(2, 0) = other;
}

static void a_frame_completed_that_is_none(void)
{
	*completion_entry(0, 0) = 301ull * 2048 * 2048;
}

static void a_frame_listed_twice(void)
{
	rig.lane.queues[0].free[0] = rig.lane.queues[0].free[1];
}

static void a_posted_frame_listed(void)
{
	rig.lane.queues[0].free[0] = frame_of(*fill_entry(0, 2));
}

static void a_frame_listed_by_another_queue(void)
{
	uint32_t other = rig.lane.queues[1].free[0];

	rig.lane.queues[1].free[0] = rig.lane.queues[0].free[0];
	rig.lane.queues[0].free[0] = other;
}

static void a_free_frame_not_listed(void)
{
	rig.lane.queues[0].n_free--;
}

static void a_return_skipped(void)
{
	come_home_uncounted(nbl_chain_pop(&kept));
}

static void a_return_skipped_that_nobody_holds(void)
{
	rig.stack.modules[0].filters[0].f.held--;
}

static void a_packet_lost_by_its_module(void)
{
	rig.stack.modules[0].filters[0].f.held++;
}

static void a_free_frame_called_held(void)
{
	struct nbl_lane_queue *lq = &rig.lane.queues[0];

	move_consistently(lq->free[--lq->n_free], NBL_FRAME_HELD);
	rig.lane.figures.received++;
}

static void a_held_packet_without_a_claim(void)
{
	kept.head->claims = 0;
}

static void a_returned_packet_not_handed_back(void)
{
	nbl_lane_reap(&rig.lane, &rig.lane.queues[2]);
	ck_assert_ptr_nonnull(nbl_chain_pop(&rig.lane.done[NBL_UPPER]));
}

static void an_rx_entry_not_given_back(void)
{
	--*queue(0)->rx.ring.consumer;
}

static void a_completion_not_given_back(void)
{
	--*queue(2)->completion.ring.consumer;
}

static void a_fill_entry_not_published(void)
{
	--*queue(0)->fill.ring.producer;
}

static void a_posted_frame_not_counted(void)
{
	rig.lane.queues[1].n_posted--;
}

static void one_frame_too_many_counted(void)
{
	rig.lane.figures.frames[NBL_FRAME_HELD]++;
}

static void one_frame_counted_in_the_wrong_state(void)
{
	rig.lane.figures.frames[NBL_FRAME_FILL]--;
	rig.lane.figures.frames[NBL_FRAME_TX]++;
	rig.lane.figures.received++;
}

static void one_packet_too_many_received(void)
{
	rig.lane.figures.received++;
}

static void one_outcome_counted_twice(void)
{
	rig.lane.figures.outcomes[NBL_OUTCOME_TO_HOST]++;
}

static void a_state_that_does_not_exist(void)
{
	set(frame_of(*fill_entry(2, 2)), (enum nbl_frame_state)77, 0);
}

static void an_entry_wiped(void)
{
	rig.memory.ledger.entries[kept.head->segment.frame] = 0;
}

static const struct {
	const char *name;
	void (*corrupt)(void);
} corruptions[] = {
#define SEED(f) { #f, f }
	SEED(a_posted_frame_called_free), SEED(a_posted_frame_called_sent),
	SEED(fill_slots_swapped),
	SEED(fill_entries_swapped), SEED(a_frame_posted_twice), SEED(a_frame_posted_that_is_none),
	SEED(a_frame_of_the_pool_posted), SEED(a_frame_posted_on_another_queue),
	SEED(a_frame_received_twice), SEED(a_frame_received_while_posted),
	SEED(a_frame_received_while_held), SEED(a_frame_received_that_is_none),
	SEED(a_received_frame_called_hand), SEED(a_frame_sent_twice), SEED(tx_slots_swapped),
	SEED(a_tx_entry_never_written), SEED(a_frame_being_sent_called_free),
	SEED(a_frame_being_sent_called_held), SEED(a_frame_completed_twice),
	SEED(a_frame_completed_while_being_sent), SEED(a_frame_completed_that_was_not_sent),
	SEED(a_frame_completed_on_another_queue), SEED(a_frame_completed_that_is_none),
	SEED(a_frame_listed_twice), SEED(a_posted_frame_listed),
	SEED(a_frame_listed_by_another_queue),
	SEED(a_free_frame_not_listed), SEED(a_return_skipped),
	SEED(a_return_skipped_that_nobody_holds),
	SEED(a_packet_lost_by_its_module), SEED(a_free_frame_called_held),
	SEED(a_held_packet_without_a_claim), SEED(a_returned_packet_not_handed_back),
	SEED(an_rx_entry_not_given_back), SEED(a_completion_not_given_back),
	SEED(a_fill_entry_not_published), SEED(a_posted_frame_not_counted),
	SEED(one_frame_too_many_counted), SEED(one_frame_counted_in_the_wrong_state),
	SEED(one_packet_too_many_received), SEED(one_outcome_counted_twice),
	SEED(a_state_that_does_not_exist), SEED(an_entry_wiped),
#undef SEED
};

START_TEST(every_seeded_corruption_is_reported)
{
	struct nbl_audit audit = { 0 };

	begin();
	rig_check(&rig);
	corruptions[_i].corrupt();
	ck_assert_int_eq(nbl_lane_audit(&rig.lane, &audit), 0);
	ck_assert_msg(audit.mismatches, "%s was not noticed", corruptions[_i].name);
	ck_assert_str_ne(audit.first, "");
	printf("%s: %s\n", corruptions[_i].name, audit.first);
}
END_TEST

/* ---- frames that are sent for others ---- */

static struct nbl *original, *clones[3], *copy;

static void send_one(struct nbl *n, enum nbl_side side)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	nbl_chain_append(&chain, n);
	nbl_lane_transmit(&rig.lane, chain, side);
}

/* A frame with the kernel for two clones; a copy in a frame of the pool; one that entered. */
static void begin_shared(void)
{
	begin();
	nbl_lane_enter(&rig.lane);
	original = kept.head;
	for (int i = 0; i < 3; i++)
		clones[i] = nbl_alloc_clone(original, rig.pool);
	ck_assert_int_eq(nbl_alloc_copy(original, rig.pool, rig.pool, &copy), 0);
	send_one(clones[0], NBL_LOWER);
	send_one(clones[1], NBL_UPPER);
	send_one(copy, NBL_UPPER);
	nbl_lane_publish_tx(&rig.lane);
	nbl_lane_enter_nbl(&rig.lane, NBL_ENTRY_SEND, clones[2]);
	nbl_lane_enter(NULL);
}

static void a_shared_frame_called_held(void)
{
	move_consistently(original->segment.frame, NBL_FRAME_HELD);
}

static void set_sends(uint32_t frame, uint8_t reason)
{
	struct nbl_ledger_entry e = get(frame);

	e.reason = reason;
	nbl_ledger_set(&rig.memory.ledger, frame, e);
}

static void a_send_too_few_in_the_ledger(void)
{
	set_sends(original->segment.frame, 0);
}

static void two_sends_too_many_in_the_ledger(void)
{
	set_sends(original->segment.frame, 4);
}

static void a_shared_frame_not_marked_so(void)
{
	original->nbl_flags &= ~(uint32_t)NBL_FLAG_LENT;
}

static void a_note_lost(void)
{
	ck_assert(nbl_lane_end_originated(&rig.lane, &rig.lane.queues[0], original->segment.frame));
	nbl_ledger_send(&rig.memory.ledger, original->segment.frame, 0, 0);
	nbl_ledger_send(&rig.memory.ledger, original->segment.frame, 0, 0);
}

static void a_frame_of_the_pool_being_sent_called_free(void)
{
	set(copy->nb.first_segment->frame, NBL_FRAME_FREE, 0);
}

static void a_frame_of_the_pool_on_a_ring_twice(void)
{
	tx_entry(2, nbl_ring_used(&queue(2)->tx.ring) - 2)->addr =
		(uint64_t)copy->nb.first_segment->frame * 2048;
}

static void one_waiting_that_is_not_counted(void)
{
	nbl_chain_append(&rig.lane.queues[0].waiting, nbl_pool_alloc(rig.pool));
}

static void a_received_packet_that_vanished_on_its_way_in(void)
{
	struct nbl *n = kept.head->next;

	rig.stack.modules[0].filters[0].f.held--;
	nbl_lane_enter_nbl(&rig.lane, NBL_ENTRY_SEND, n);
	rig_check(&rig);	/* it is under way */
	rig.lane.entries[NBL_ENTRY_SEND].head = NULL;
}

static const struct {
	const char *name;
	void (*corrupt)(void);
} shared_corruptions[] = {
#define SEED(f) { #f, f }
	SEED(a_shared_frame_called_held), SEED(a_send_too_few_in_the_ledger),
	SEED(two_sends_too_many_in_the_ledger), SEED(a_shared_frame_not_marked_so),
	SEED(a_note_lost), SEED(a_frame_of_the_pool_being_sent_called_free),
	SEED(a_frame_of_the_pool_on_a_ring_twice), SEED(one_waiting_that_is_not_counted),
	SEED(a_received_packet_that_vanished_on_its_way_in),
#undef SEED
};

START_TEST(every_corruption_of_what_is_sent_for_others_is_reported)
{
	struct nbl_audit audit = { 0 };

	begin_shared();
	rig_check(&rig);
	shared_corruptions[_i].corrupt();
	ck_assert_int_eq(nbl_lane_audit(&rig.lane, &audit), 0);
	ck_assert_msg(audit.mismatches, "%s was not noticed", shared_corruptions[_i].name);
	printf("%s: %s\n", shared_corruptions[_i].name, audit.first);
}
END_TEST

/* A packet given back twice is stopped where it happens, so there is no mismatch but a count. */
START_TEST(a_double_return_is_counted)
{
	uint64_t before = nbl_violations();
	struct nbl_chain once = NBL_CHAIN_EMPTY;
	struct nbl *n;

	begin();
	n = nbl_chain_pop(&kept);
	nbl_chain_append(&once, n);
	nbl_lane_enter(&rig.lane);
	nbl_filter_return(&rig.stack.modules[0].filters[0].f, once);
	rig_check(&rig);
	nbl_release(n);
	ck_assert_uint_eq(nbl_violations(), before + 1);
}
END_TEST

START_TEST(what_was_found_adds_up_over_lanes_and_the_first_is_told)
{
	struct nbl_audit audit = { .mismatches = 1, .first = "another lane's", .frames = 1000 };

	begin();
	one_packet_too_many_received();
	ck_assert_int_eq(nbl_lane_audit(&rig.lane, &audit), 0);
	ck_assert_uint_eq(audit.mismatches, 2);
	ck_assert_uint_eq(audit.frames, 1300);
	ck_assert_str_eq(audit.first, "another lane's");
}
END_TEST

START_TEST(frames_in_quarantine_are_told_and_are_no_mismatch)
{
	struct nbl_audit audit = { 0 };

	begin();
	nbl_lane_move(&rig.lane, kept.head->segment.frame, 0, NBL_FRAME_FREE, 0);
	ck_assert_int_eq(nbl_lane_audit(&rig.lane, &audit), 0);
	ck_assert_msg(!audit.mismatches, "%s", audit.first);
	ck_assert_uint_eq(audit.quarantined, 1);
	ck_assert_uint_eq(audit.violations, 1);
}
END_TEST

static void *run_kernel(void *arg)
{
	struct rig *r = arg;

	while (!r->world->ready)
		for (uint32_t q = 0; q < r->n_queues; q++) {
			rig_take(r, q, 3);
			rig_complete(r, q, 3);
			rig_deliver(r, q, 2);
		}
	return NULL;
}

START_TEST(the_kernel_may_go_on_while_the_audit_looks)
{
	pthread_t kernel;

	rig_make(&rig, RIG_SHAPE(.n_lower = 2, .n_frames = 128));
	rig_up(&rig, NULL, NBL_TAKEOVER_FRESH);
	rig_turn(&rig);
	ck_assert_int_eq(pthread_create(&kernel, NULL, run_kernel, &rig), 0);
	for (int i = 0; i < 20000; i++) {
		const char *fault;

		rig_turn(&rig);
		fault = rig_fault(&rig, 0);
		if (fault)
			ck_abort_msg("after %d audits: %s", i, fault);
	}
	rig.world->ready = 1;
	pthread_join(kernel, NULL);
	rig_settle(&rig);
	rig_check_all_left(&rig);
}
END_TEST

START_TEST(frames_of_the_pool_are_audited_against_its_own_count)
{
	struct nbl_audit audit = { 0 };
	struct nbl *n;

	rig_make(&rig, RIG_SHAPE(0));
	rig_up(&rig, NULL, NBL_TAKEOVER_FRESH);
	ck_assert_int_eq(nbl_pool_alloc_data(rig.pool, rig.pool, 100, &n), 0);
	nbl_pool_memory_audit(&rig.lane, &audit);
	ck_assert_uint_eq(audit.frames, 32);
	ck_assert_msg(!audit.mismatches, "%s", audit.first);
	/* a frame that is out, and the ledger says it is free */
	nbl_ledger_set(&rig.memory.ledger, n->segment.frame,
		       (struct nbl_ledger_entry){ .state = NBL_FRAME_FREE });
	nbl_pool_memory_audit(&rig.lane, &audit);
	ck_assert_uint_eq(audit.mismatches, 1);
	nbl_ledger_set(&rig.memory.ledger, n->segment.frame,
		       (struct nbl_ledger_entry){ .state = NBL_FRAME_FILL });
	nbl_pool_memory_audit(&rig.lane, &audit);
	ck_assert_uint_eq(audit.mismatches, 2);
	ck_assert_int_eq(nbl_free(n), 0);
	rig_down(&rig);
	rig_free(&rig);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ frames_of_the_pool_are_audited_against_its_own_count, 1 },
		{ every_seeded_corruption_is_reported, (int)N_ELEMENTS(corruptions) },
		{ every_corruption_of_what_is_sent_for_others_is_reported,
		  (int)N_ELEMENTS(shared_corruptions) },
		{ a_double_return_is_counted, 1 },
		{ what_was_found_adds_up_over_lanes_and_the_first_is_told, 1 },
		{ frames_in_quarantine_are_told_and_are_no_mismatch, 1 },
		{ the_kernel_may_go_on_while_the_audit_looks, 1 },
	};

	return rig_run("audit", tests, N_ELEMENTS(tests));
}
