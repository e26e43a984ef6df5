/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_audit_seeded.c - the audit can fail: every seeded corruption must be reported.
 *
 * A lane with frames in every state and packets in every ring is sound; then one
 * thing is made wrong.
 */
#include "unit/audit_fixture.h"

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

static uint64_t *completion_entry(uint32_t i, uint32_t n)
{
	const struct nbl_ring *r = &queue(i)->completion.ring;

	return (uint64_t *)r->entries + ((*r->consumer + n) & (r->size - 1));
}

static uint32_t frame_of(uint64_t address)
{
	return (uint32_t)(address / 2048);
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

int main(void)
{
	const struct unit_test tests[] = {
		{ every_seeded_corruption_is_reported, (int)N_ELEMENTS(corruptions) },
	};

	return rig_run("audit_seeded", tests, N_ELEMENTS(tests));
}
