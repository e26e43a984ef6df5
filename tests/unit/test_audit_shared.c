/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_audit_shared.c - the audit can fail where frames are sent for others, too.
 *
 * A frame is with the kernel for two clones, a copy in a frame of the pool, one has entered: all
 * is sound; then one thing is made wrong.
 */
#include "unit/audit_fixture.h"

static struct nbl *original, *clones[3], *copy;

static void send_one(struct nbl *n, enum nbl_side side)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	nbl_chain_append(&chain, n);
	nbl_lane_transmit(&rig.lane, chain, side);
}

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

int main(void)
{
	const struct unit_test tests[] = {
		{ every_corruption_of_what_is_sent_for_others_is_reported,
		  (int)N_ELEMENTS(shared_corruptions) },
	};

	return rig_run("audit_shared", tests, N_ELEMENTS(tests));
}
