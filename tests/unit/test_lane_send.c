/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_lane_send.c - sending clones, copies, several packets; waiting, cancelling, ends by origin.
 */
#include "unit/lane_send.h"

/* ---- one NBL, several packets ---- */

/* Links the packets of 'n' NBLs into the first. */
static void join_packets(struct nbl **nbls, uint32_t n)
{
	for (uint32_t i = 0; i + 1 < n; i++)
		nbls[i]->first_nb->next = nbls[i + 1]->first_nb;
}

static void part_packets(struct nbl **nbls, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		nbls[i]->first_nb->next = NULL;
		free_any(nbls[i]);
	}
}

START_TEST(an_nbl_of_three_packets_ends_once_after_completions_in_any_order)
{
	static const int orders[6][3] = {
		{ 2, 0, 1 }, { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 1, 0 },
	};
	struct nbl *nbls[3];
	uint64_t addresses[3];

	begin_sends(RIG_SHAPE(0), no_modules);
	for (uint32_t i = 0; i < 3; i++)
		nbls[i] = fresh(100, i);
	join_packets(nbls, 3);
	transmit_one(nbls[0], NBL_LOWER);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_uint_eq(taken(0, 100, &addresses[i]), i);
	ck_assert(nothing_on(0));
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(ended.n_calls, 0);
		ck_assert(nbl_mem_port_complete_raw(rig.ports[0], addresses[orders[_i][i]]));
		rig_turn(&rig);
		nbl_lane_enter(&rig.lane);
		rig_check(&rig);
	}
	ck_assert_uint_eq(ended.n_calls, 1);
	ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), nbls[0]);
	ck_assert_int_eq(nbls[0]->status, NBL_STATUS_SUCCESS);
	ck_assert_uint_eq(rig.lane.figures.originated.sent, 1);
	ck_assert_uint_eq(rig.lane.figures.originated.packets, 3);
	ck_assert_uint_eq(rig.lane.figures.originated.bytes, 300);
	part_packets(nbls, 3);
	check_pool_is_whole();
	rig_check(&rig);
	end();
}
END_TEST

START_TEST(one_packet_the_device_refuses_fails_its_nbl_and_no_other)
{
	struct nbl *nbls[3], *other;

	begin_sends(RIG_SHAPE(0), no_modules);
	rig.world->calls_reach_kernel = true;
	rig.world->kick_takes = rig.world->kick_completes = 0;
	other = fresh(60, 9);
	for (uint32_t i = 0; i < 3; i++)
		nbls[i] = fresh(100, i);
	join_packets(nbls, 3);
	transmit_one(other, NBL_LOWER);
	transmit_one(nbls[0], NBL_LOWER);
	ck_assert_uint_eq(taken(0, 60, NULL), 9);
	ck_assert_uint_eq(taken(0, 100, NULL), 0);
	/* the second of the three is taken by the call that says it was refused */
	rig.world->kick_takes = 1;
	rig.world->kick_result = -EBUSY;
	nbl_lane_kick(&rig.lane, lane_queue(0));
	rig.world->kick_result = 0;
	rig_settle(&rig);
	ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), other);
	ck_assert_int_eq(other->status, NBL_STATUS_SUCCESS);
	ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), nbls[0]);
	ck_assert_int_eq(nbls[0]->status, NBL_STATUS_FAILURE);
	ck_assert_uint_eq(nbls[0]->outcome, NBL_OUTCOME_TX_DEVICE);
	nbl_lane_enter(&rig.lane);
	free_any(other);
	part_packets(nbls, 3);
	end_whole(0);
}
END_TEST

/* ---- one frame, several NBLs ---- */

START_TEST(one_frame_is_sent_for_four_clones_and_is_home_after_the_last)
{
	bool both_sides = _i & 1, returns_first = _i & 2;
	struct nbl *n, *clones[4];

	begin_sends(RIG_SHAPE(0), only_probe);
	receive_and_keep(1);
	n = nbl_chain_pop(&probe.kept);
	for (uint32_t i = 0; i < 4; i++) {
		clones[i] = clone_of(n);
		transmit_one(clones[i], both_sides && i % 2 ? NBL_UPPER : NBL_LOWER);
	}
	if (returns_first)
		return_one(n);
	ck_assert_uint_eq(frames_in(NBL_FRAME_TX), 1);
	ck_assert_uint_eq(nbl_ledger_get(&rig.memory.ledger, n->segment.frame).reason, 3);
	rig_check(&rig);
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t port = both_sides ? i % 2 : 0;
		struct nbl_mem_packet p;

		ck_assert(nbl_mem_port_take(rig.ports[port], &p));
		ck_assert_uint_eq(p.address >> 11, n->segment.frame);
		ck_assert_uint_eq(rig_complete(&rig, port, 1), 1);
		ck_assert_uint_eq(frames_in(NBL_FRAME_FREE) + frames_in(NBL_FRAME_FILL), 511);
		rig_turn(&rig);
		nbl_lane_enter(&rig.lane);
		ck_assert_uint_eq(ended.chains[NBL_ORIGIN_MODULE].n_nbls, 1);
		ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), clones[i]);
		rig_check(&rig);
		ck_assert_uint_eq(frames_in(i < 3 ? NBL_FRAME_TX : NBL_FRAME_HELD), 1);
		free_any(clones[i]);
	}
	if (!returns_first)
		return_one(n);
	ck_assert_uint_eq(rig.lane.figures.originated.copied, 0);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_RETURNED), 1);
	end_whole(0);
}
END_TEST

START_TEST(an_nbl_and_its_clone_are_sent_at_once_and_each_ends_once)
{
	bool clone_first = _i;
	struct nbl *n, *clone;

	begin_sends(RIG_SHAPE(0), only_probe);
	ended.frees = true;
	receive_and_keep(1);
	n = nbl_chain_pop(&probe.kept);
	clone = clone_of(n);
	probe.filter->held -= !clone_first;
	transmit_one(clone_first ? clone : n, NBL_UPPER);
	probe.filter->held -= clone_first;
	transmit_one(clone_first ? n : clone, NBL_UPPER);
	rig_check(&rig);
	ck_assert_uint_eq(nbl_ring_used(&lane_queue(1)->q.tx.ring), 2);
	rig_take(&rig, 1, 1);
	rig_complete(&rig, 1, 1);
	rig_turn(&rig);
	rig_check(&rig);
	ck_assert_uint_eq(frames_in(NBL_FRAME_TX), 1);
	rig_turn(&rig);
	ck_assert_uint_eq(nbl_ring_used(&lane_queue(1)->q.tx.ring), 1);
	/* the same packet twice is what was asked for: the judge would call it wrong */
	rig.world->flows[0].next = 0;
	rig_settle(&rig);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	ck_assert_uint_eq(ended.n_calls, 1);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TO_HOST), 1);
	end_whole(0);
}
END_TEST

#define MANY_SENDS 300u		/* more than a ledger entry counts */

START_TEST(beyond_what_the_ledger_counts_a_frame_is_copied)
{
	struct nbl *n;

	begin_sends(RIG_SHAPE(.n_pool_frames = 64, .rings = { 256, 512, 256, 512 }), only_probe);
	ended.frees = true;
	receive_and_keep(1);
	n = nbl_chain_pop(&probe.kept);
	for (uint32_t i = 0; i < MANY_SENDS; i++)
		transmit_one(clone_of(n), NBL_UPPER);
	ck_assert_uint_eq(rig.lane.figures.originated.copied, MANY_SENDS - NBL_MOST_SENDS - 1);
	rig_check(&rig);
	for (uint32_t i = 0; i < MANY_SENDS; i++) {
		rig.world->flows[0].next = 0;
		ck_assert_uint_eq(rig_take(&rig, 1, 1), 1);
	}
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	run_out();
	ck_assert_uint_eq(rig.lane.figures.originated.sent, MANY_SENDS);
	return_one(n);
	end_whole(0);
}
END_TEST

/*
 * 200 packets over one frame in one NBL, twice: the second half has to be copied, as was planned.
 */
START_TEST(an_nbl_that_shares_one_frame_many_times_is_sent_as_planned)
{
	struct nbl *n, *clones[200];

	begin_sends(RIG_SHAPE(.n_pool_frames = 256, .rings = { 256, 512, 256, 512 }), only_probe);
	receive_and_keep(1);
	n = nbl_chain_pop(&probe.kept);
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 200; i++)
			clones[i] = clone_of(n);
		join_packets(clones, 200);
		transmit_one(clones[0], NBL_UPPER);
		rig_check(&rig);
		if (!round)
			continue;
		ck_assert_uint_eq(rig.lane.figures.originated.copied, 400 - NBL_MOST_SENDS - 1);
		rig_run_kernel(&rig);
		rig_turn(&rig);
	}
	ck_assert_uint_eq(ended.chains[NBL_ORIGIN_MODULE].n_nbls, 2);
	rig_check(&rig);
	end();
}
END_TEST

/* ---- forwarding by children (DV-12) ---- */

#define N_FORWARDED 100000u

/* The clones go up, their parents stay until they are done. */
static void forward(struct nbl_filter *f, struct nbl_chain chain)
{
	struct nbl *n;

	(void)f;
	while ((n = nbl_chain_pop(&chain))) {
		struct nbl *child = nbl_alloc_clone(n, rig.pool);

		ck_assert_ptr_nonnull(child);
		child->source_handle = OWN_HANDLE;
		nbl_lane_transmit(&rig.lane, one(child), NBL_UPPER);
	}
}

static void child_done(void *arg, struct nbl_lane *lane, struct nbl_chain chain)
{
	struct nbl *n;

	(void)arg;
	(void)lane;
	while ((n = nbl_chain_pop(&chain))) {
		struct nbl *parent = n->parent;

		ck_assert_uint_eq(parent->child_ref_count, 1);
		ck_assert_int_eq(nbl_free_clone(n), 0);
		parent->outcome = NBL_OUTCOME_CONSUMED;
		return_one(parent);
	}
}

START_TEST(a_hundred_thousand_packets_are_forwarded_by_children_without_a_copy)
{
	uint64_t n_nbls_before;
	struct nbl_pool_counts c;

	begin(RIG_SHAPE(0), only_probe);
	note_ends();
	nbl_lane_set_end(&rig.lane, NBL_ORIGIN_MODULE, child_done, NULL);
	probe.receive = forward;
	nbl_pool_get_counts(rig.pool, &c);
	n_nbls_before = c.nbls_free;
	while (rig_delivered(&rig) < N_FORWARDED) {
		rig_deliver(&rig, 0, 50);
		rig_turn(&rig);
		rig_run_kernel(&rig);
	}
	rig_settle(&rig);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	ck_assert_uint_eq(rig_left(&rig), rig_delivered(&rig));
	ck_assert_uint_eq(rig.lane.figures.originated.copied, 0);
	ck_assert_uint_eq(rig.lane.figures.originated.packets, rig_delivered(&rig));
	ck_assert_uint_eq(outcome(NBL_OUTCOME_CONSUMED), rig_delivered(&rig));
	nbl_pool_get_counts(rig.pool, &c);
	ck_assert_uint_eq(c.nbls_free, n_nbls_before);
	end_whole(0);
}
END_TEST

/* ---- several segments ---- */

/* A clone of a received packet with 14 bytes of its own in front. */
static struct nbl *with_header(struct nbl *n)
{
	struct nbl *clone = clone_of(n);

	ck_assert_int_eq(nbl_retreat(clone, 14, 0, rig.pool), 0);
	memset(nbl_nb_data(clone->first_nb), 0xa5, 14);
	return clone;
}

static void check_with_header(const uint8_t *bytes, uint32_t length)
{
	struct rig_packet expected;

	ck_assert_uint_eq(length, 14 + RIG_LENGTH);
	for (int i = 0; i < 14; i++)
		ck_assert_uint_eq(bytes[i], 0xa5);
	rig_write_packet(&expected, 0, 0);
	ck_assert_mem_eq(bytes + 14, &expected, sizeof(expected));
}

START_TEST(two_segments_are_two_ring_entries_where_the_queue_takes_that)
{
	struct nbl_mem_packet parts[2];
	const struct xdp_desc *desc;
	uint8_t whole[2048];
	struct nbl *n;

	begin_sends(RIG_SHAPE(0), only_probe);
	ended.frees = true;
	lane_queue(0)->q.sg = true;
	lane_queue(0)->q.max_segments = 2;
	receive_and_keep(1);
	n = nbl_chain_pop(&probe.kept);
	transmit_one(with_header(n), NBL_LOWER);
	ck_assert_uint_eq(nbl_ring_used(&lane_queue(0)->q.tx.ring), 2);
	desc = nbl_queue_tx(&lane_queue(0)->q, 0);
	ck_assert_uint_eq(desc[0].options, 1);
	ck_assert_uint_eq(desc[1].options, 0);
	for (int i = 0; i < 2; i++)
		ck_assert(nbl_mem_port_take(rig.ports[0], &parts[i]));
	memcpy(whole, parts[0].bytes, parts[0].length);
	memcpy(whole + parts[0].length, parts[1].bytes, parts[1].length);
	check_with_header(whole, parts[0].length + parts[1].length);
	ck_assert_uint_eq(parts[1].address >> 11, n->segment.frame);
	/* one packet, done when both entries are */
	rig_complete(&rig, 0, 1);
	rig_turn(&rig);
	rig_check(&rig);
	ck_assert_uint_eq(ended.n_calls, 0);
	rig_complete(&rig, 0, 1);
	rig_turn(&rig);
	ck_assert_uint_eq(ended.n_calls, 1);
	ck_assert_uint_eq(rig.lane.figures.originated.packets, 1);
	ck_assert_uint_eq(rig.lane.figures.originated.copied, 0);
	nbl_lane_enter(&rig.lane);
	return_one(n);
	end_whole(0);
}
END_TEST

/* What cannot go as it is goes as one copy, and is right. */
START_TEST(segments_the_queue_does_not_take_are_copied_into_one_frame)
{
	struct nbl_mem_packet p;
	struct nbl *n, *clone;

	begin_sends(RIG_SHAPE(0), only_probe);
	ended.frees = true;
	lane_queue(0)->q.sg = _i > 0;
	lane_queue(0)->q.max_segments = _i == 1 ? 1 : _i == 2 ? 0 : 8;
	receive_and_keep(1);
	n = nbl_chain_pop(&probe.kept);
	clone = with_header(n);
	if (_i == 3) {
		/* the Ethernet header would be split between two entries */
		ck_assert_int_eq(nbl_advance(clone, 1, false), 0);
	}
	transmit_one(clone, NBL_LOWER);
	ck_assert_uint_eq(nbl_ring_used(&lane_queue(0)->q.tx.ring), 1);
	ck_assert_uint_eq(rig.lane.figures.originated.copied, 1);
	ck_assert(nbl_mem_port_take(rig.ports[0], &p));
	ck_assert(p.address >> 11 >= 512);
	if (_i == 3) {
		ck_assert_uint_eq(p.length, 13 + RIG_LENGTH);
		memmove(p.bytes + 1, p.bytes, p.length);
		p.bytes[0] = 0xa5;
		p.length++;
	}
	check_with_header(p.bytes, p.length);
	rig_check(&rig);
	run_out();
	ck_assert_uint_eq(ended.n_calls, 1);
	return_one(n);
	end_whole(0);
}
END_TEST

/* ---- what is not sent ---- */

static struct nbl *too_short(void)
{
	return fresh(13, 0);
}

static struct nbl *too_long(void)
{
	return fresh(1515, 0);
}

static struct nbl *longer_than_a_frame(void)
{
	lane_queue(0)->q.max_length = 9000;
	return fresh(2049, 0);
}

static struct nbl *with_no_bytes(void)
{
	struct nbl *n = nbl_pool_alloc(rig.pool);

	n->source_handle = OWN_HANDLE;
	return n;
}

static struct nbl *with_no_packet(void)
{
	struct nbl *n = with_no_bytes();

	n->first_nb = NULL;
	return n;
}

static struct nbl *with_a_window_that_lies(void)
{
	struct nbl *n = fresh(100, 0);

	n->first_nb->data_offset += 4096;
	return n;
}

/* The second packet of two is wrong: the first must not leave, either. */
static struct nbl *half_wrong(void)
{
	struct nbl *n = fresh(100, 0), *m = fresh(1515, 1);

	n->first_nb->next = m->first_nb;
	n->protocol_reserved[0] = m;
	return n;
}

static const struct {
	struct nbl *(*make)(void);
	enum nbl_status status;
} refusals[] = {
	{ too_short, NBL_STATUS_INVALID_LENGTH }, { too_long, NBL_STATUS_INVALID_LENGTH },
	{ longer_than_a_frame, NBL_STATUS_INVALID_LENGTH },
	{ with_no_bytes, NBL_STATUS_INVALID_LENGTH }, { with_no_packet, NBL_STATUS_INVALID_LENGTH },
	{ with_a_window_that_lies, NBL_STATUS_INVALID_LENGTH },
	{ half_wrong, NBL_STATUS_INVALID_LENGTH },
};

START_TEST(what_cannot_be_sent_ends_with_the_reason_and_nothing_on_the_ring)
{
	struct nbl *n, *rest;

	begin_sends(RIG_SHAPE(0), no_modules);
	n = refusals[_i].make();
	/* it is refused within the call: its end comes with it */
	nbl_lane_transmit(&rig.lane, one(n), NBL_LOWER);
	nbl_lane_publish_tx(&rig.lane);
	ck_assert(nothing_on(0) && nothing_on(1));
	ck_assert_uint_eq(ended.n_calls, 1);
	ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), n);
	ck_assert_int_eq(n->status, refusals[_i].status);
	ck_assert_uint_eq(n->outcome, NBL_OUTCOME_TX_INVALID);
	ck_assert_uint_eq(rig.lane.figures.originated.failed, 1);
	ck_assert_uint_eq(rig.lane.figures.originated.sent, 0);
	rest = n->protocol_reserved[0];
	n->first_nb = &n->nb;
	n->first_nb->next = NULL;
	free_any(n);
	if (rest)
		free_any(rest);
	end_whole(0);
}
END_TEST

START_TEST(an_nbl_of_more_packets_than_the_ring_holds_is_refused_and_stops_nobody)
{
	struct nbl *nbls[9];

	begin_sends(RIG_SHAPE(.rings = { 256, 8, 256, 256 }), no_modules);
	for (uint32_t i = 0; i < 9; i++)
		nbls[i] = fresh(60, i);
	join_packets(nbls, 9);
	nbl_lane_transmit(&rig.lane, one(nbls[0]), NBL_LOWER);
	ck_assert_int_eq(popped(NBL_ORIGIN_MODULE)->status, NBL_STATUS_INVALID_LENGTH);
	part_packets(nbls, 9);
	ended.frees = true;
	transmit_one(fresh(60, 1), NBL_LOWER);
	ck_assert_uint_eq(taken(0, 60, NULL), 1);
	end_whole(0);
}
END_TEST

START_TEST(without_a_free_frame_nothing_is_half_sent)
{
	struct nbl *n, *clones[2], *hoard[32];
	uint32_t n_hoarded = 0;

	begin_sends(RIG_SHAPE(0), only_probe);
	receive_and_keep(1);
	n = nbl_chain_pop(&probe.kept);
	for (int i = 0; i < 2; i++)
		clones[i] = with_header(n);
	join_packets(clones, 2);
	/* one frame is left, and two are needed */
	while (n_hoarded < 29)
		hoard[n_hoarded++] = fresh(60, 0);
	nbl_lane_transmit(&rig.lane, one(clones[0]), NBL_LOWER);
	nbl_lane_publish_tx(&rig.lane);
	ck_assert(nothing_on(0));
	ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), clones[0]);
	ck_assert_int_eq(clones[0]->status, NBL_STATUS_RESOURCES);
	ck_assert_uint_eq(clones[0]->outcome, NBL_OUTCOME_TX_NO_FRAME);
	ck_assert_uint_eq(rig.lane.figures.originated.copied, 0);
	hoard[n_hoarded++] = fresh(60, 0);	/* the one that was left is there still */
	rig_check(&rig);
	while (n_hoarded)
		free_any(hoard[--n_hoarded]);
	part_packets(clones, 2);
	return_one(n);
	end_whole(0);
}
END_TEST

/* ---- waiting for room, and calling back ---- */

START_TEST(a_full_ring_is_waited_for_in_order_up_to_a_limit_and_then_refused)
{
	uint32_t n = 1024 + 4 + 3;

	begin_sends(RIG_SHAPE(.n_pool_frames = 1100, .rings = { 256, 4, 256, 4 }), no_modules);
	lane_queue(0)->q.tx.ring.flags = (uint32_t[]){ 0 };	/* nobody to call */
	for (uint32_t i = 0; i < n; i++)
		nbl_lane_transmit(&rig.lane, one(fresh(60, i)), NBL_LOWER);
	nbl_lane_publish_tx(&rig.lane);
	ck_assert_uint_eq(ended.chains[NBL_ORIGIN_MODULE].n_nbls, 3);
	for (int i = 0; i < 3; i++) {
		struct nbl *refused = popped(NBL_ORIGIN_MODULE);

		ck_assert_int_eq(refused->status, NBL_STATUS_RESOURCES);
		ck_assert_uint_eq(refused->outcome, NBL_OUTCOME_TX_RING_FULL);
		free_any(refused);
	}
	ck_assert_uint_eq(nbl_lane_n_originated(&rig.lane), n - 3);
	rig_check(&rig);
	ended.frees = true;
	for (uint32_t i = 0; i < n - 3; i++) {
		if (nothing_on(0))
			rig_turn(&rig);
		nbl_lane_enter(&rig.lane);
		ck_assert_uint_eq(taken(0, 60, NULL), i);
		rig_complete(&rig, 0, 1);
	}
	end_whole(0);
}
END_TEST

/* Takes what is there, and up to 'most'; each came later in the chain than the one before. */
static uint32_t take_in_order(uint32_t most, uint32_t *next)
{
	uint32_t n = 0;

	for (; n < most && nbl_ring_used(&lane_queue(1)->q.tx.ring); n++) {
		uint32_t sequence = taken(1, RIG_LENGTH, NULL);

		ck_assert_uint_ge(sequence, *next);
		*next = sequence + 1;
		rig_complete(&rig, 1, 1);
	}
	return n;
}

/* Received packets and originated ones, in one chain, through a ring of four. */
START_TEST(what_waits_is_overtaken_by_nobody)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	uint32_t next = 0, n_left = 0, n_refused;

	begin_sends(RIG_SHAPE(.rings = { 256, 4, 256, 64 }), only_probe);
	receive_and_keep(40);
	for (uint32_t i = 0; i < 40; i++) {
		struct nbl *n = nbl_chain_pop(&probe.kept), *copy;

		/* the number in the packet says where it is in the chain */
		fill_bytes(nbl_nb_data(&n->nb), RIG_LENGTH, i);
		if (i % 5 == 3) {
			ck_assert_int_eq(nbl_alloc_copy(n, rig.pool, rig.pool, &copy), 0);
			copy->source_handle = OWN_HANDLE;
			return_one(n);
			n = copy;
		}
		nbl_chain_append(&chain, n);
	}
	ended.frees = true;
	/*
	 * room comes up, one at a time, and the next call is made: number 8 is the first that waits
	 */
	for (uint32_t i = 0; i < 40; i++) {
		probe.filter->held -= chain.head->kind == NBL_KIND_RECEIVE;
		transmit_one(nbl_chain_pop(&chain), NBL_UPPER);
		if (i >= 8 && i % 2)
			n_left += take_in_order(1, &next);
		rig_check(&rig);
	}
	n_refused = (uint32_t)outcome(NBL_OUTCOME_TX_RING_FULL);
	ck_assert_uint_eq(n_refused, 4);	/* 4 to 7, before anything waited */
	for (int turns = 0; nbl_lane_n_originated(&rig.lane); turns++) {
		ck_assert_int_lt(turns, 100);
		rig_turn(&rig);
		n_left += take_in_order(4, &next);
	}
	ck_assert_uint_eq(n_left + n_refused, 40);
	ck_assert_uint_eq(next, 40);
	end_whole(0);
}
END_TEST

START_TEST(what_waited_is_shown_to_the_kernel_though_nothing_else_is_sent)
{
	begin_sends(RIG_SHAPE(.rings = { 256, 2, 256, 64 }), no_modules);
	ended.frees = true;
	for (uint32_t i = 0; i < 3; i++)
		transmit_one(fresh(60, i), NBL_LOWER);
	for (uint32_t i = 0; i < 2; i++)
		ck_assert_uint_eq(taken(0, 60, NULL), i);
	/* room, but no completion that would have handlers run */
	rig_turn(&rig);
	rig_turn(&rig);
	ck_assert_uint_eq(nbl_ring_used(&lane_queue(0)->q.tx.ring), 1);
	ck_assert_uint_eq(taken(0, 60, NULL), 2);
	rig_complete(&rig, 0, 3);
	end_whole(0);
}
END_TEST

START_TEST(what_waits_can_be_called_back_and_what_is_sent_cannot)
{
	const uint64_t id = nbl_cancel_id(7, 1), other = nbl_cancel_id(7, 2);
	struct nbl *nbls[14];

	begin_sends(RIG_SHAPE(.rings = { 256, 4, 256, 64 }), no_modules);
	for (uint32_t i = 0; i < 14; i++) {
		nbls[i] = fresh(60, i);
		/* 10 wait, of which 4 are tagged; of the 4 sent one is, too */
		nbl_info_set(nbls[i], NBL_INFO_CANCEL_ID, i % 3 == 1 ? id : other);
		transmit_one(nbls[i], NBL_LOWER);
	}
	ck_assert_uint_eq(nbl_lane_n_originated(&rig.lane), 14);
	nbl_lane_cancel(&rig.lane, 0);
	nbl_lane_cancel(&rig.lane, nbl_cancel_id(7, 3));
	ck_assert_uint_eq(nbl_lane_n_originated(&rig.lane), 14);
	nbl_lane_cancel(&rig.lane, id);
	ck_assert_uint_eq(nbl_lane_n_originated(&rig.lane), 10);
	rig_check(&rig);
	nbl_lane_hand_back(&rig.lane);
	ck_assert_uint_eq(ended.chains[NBL_ORIGIN_MODULE].n_nbls, 4);
	for (uint32_t i = 4; i < 14; i += 3) {
		struct nbl *n = popped(NBL_ORIGIN_MODULE);

		ck_assert_ptr_eq(n, nbls[i]);
		ck_assert_int_eq(n->status, NBL_STATUS_SEND_ABORTED);
		ck_assert_uint_eq(nbl_info_get(n, NBL_INFO_CANCEL_ID), 0);
	}
	ck_assert(nbl_chain_is_empty(&ended.chains[NBL_ORIGIN_MODULE]));
	rig_settle(&rig);
	for (uint32_t i = 0; i < 14; i++) {
		if (i >= 4 && i % 3 == 1)
			continue;
		ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), nbls[i]);
		ck_assert_int_eq(nbls[i]->status, NBL_STATUS_SUCCESS);
		ck_assert_uint_eq(nbl_info_get(nbls[i], NBL_INFO_CANCEL_ID), 0);
	}
	/* sent again, the old id finds nothing */
	nbl_lane_enter(&rig.lane);
	for (uint32_t i = 0; i < 14; i++)
		transmit_one(nbls[i], NBL_LOWER);
	nbl_lane_cancel(&rig.lane, id);
	nbl_lane_cancel(&rig.lane, other);
	ck_assert_uint_eq(nbl_lane_n_originated(&rig.lane), 14);
	ended.frees = true;
	end_whole(0);
}
END_TEST

/* ---- who gets it back ---- */

START_TEST(one_completion_list_of_all_origins_is_split_by_source_handle)
{
	static const uint32_t handles[] = {
		NBL_HANDLE_BINDING | 5, 0, NBL_HANDLE_WFP | 1, 77, NBL_HANDLE_BINDING | 6,
		0 /* the packet of a port */,
	};
	struct nbl *n, *sent[N_ELEMENTS(handles)];

	begin_sends(RIG_SHAPE(0), only_probe);
	receive_and_keep(1);
	n = nbl_chain_pop(&probe.kept);
	probe.filter->held--;
	for (uint32_t i = 0; i < N_ELEMENTS(handles); i++) {
		sent[i] = i + 1 < N_ELEMENTS(handles) ? clone_of(n) : n;
		if (sent[i] != n)
			sent[i]->source_handle = handles[i];
		transmit_one(sent[i], NBL_UPPER);
	}
	rig_take(&rig, 1, 10);
	rig_complete(&rig, 1, 10);
	rig_turn(&rig);
	nbl_lane_enter(&rig.lane);
	ck_assert_ptr_eq(popped(NBL_ORIGIN_BINDING), sent[0]);
	ck_assert_ptr_eq(popped(NBL_ORIGIN_BINDING), sent[4]);
	ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), sent[1]);
	ck_assert_ptr_eq(popped(NBL_ORIGIN_MODULE), sent[3]);
	ck_assert_ptr_eq(popped(NBL_ORIGIN_WFP), sent[2]);
	for (int i = 0; i < NBL_N_ORIGINS; i++)
		ck_assert(nbl_chain_is_empty(&ended.chains[i]));
	ck_assert_uint_eq(ended.n_calls, 3);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 1);	/* until the last child is freed */
	for (uint32_t i = 0; i + 1 < N_ELEMENTS(handles); i++)
		free_any(sent[i]);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TO_HOST), 1);
	rig.world->flows[0].wrong = 0;	/* one packet six times */
	end_whole(0);
}
END_TEST

START_TEST(a_source_handle_that_was_changed_is_counted_and_put_right)
{
	struct nbl *n;
	uint32_t right;

	begin_sends(RIG_SHAPE(0), only_probe);
	receive_and_keep(1);
	n = nbl_chain_pop(&probe.kept);
	right = n->source_handle;
	ck_assert_uint_eq(right, nbl_handle_of_queue(0));
	n->source_handle = _i ? NBL_HANDLE_BINDING | 2 : nbl_handle_of_queue(1);
	return_one(n);
	ck_assert_uint_eq(ended.n_calls, 0);
	ck_assert_uint_eq(rig.lane.figures.violations, 1);
	ck_assert_uint_eq(n->source_handle, right);
	ck_assert_uint_eq(lane_queue(0)->n_free + lane_queue(0)->n_posted, 256);
	end_whole(1);
}
END_TEST

START_TEST(no_end_is_called_while_something_is_being_sent)
{
	struct nbl *n;

	begin_sends(RIG_SHAPE(.rings = { 256, 4, 256, 64 }), only_probe);
	ended.frees = true;
	receive_and_keep(8);
	rig.world->calls_reach_kernel = true;
	rig.world->kick_takes = rig.world->kick_completes = 3;
	/* room is made in the middle of it, and completions of injected originals are found */
	while ((n = nbl_chain_pop(&probe.kept))) {
		n->nbl_flags |= NBL_FLAG_INJECTED;
		probe.filter->held--;
		transmit_one(n, NBL_UPPER);
	}
	ck_assert_uint_eq(ended.n_inside, 0);
	rig_settle(&rig);
	ck_assert_uint_ge(ended.n_calls, 1);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TO_HOST), 8);
	ck_assert_uint_eq(rig_left(&rig), 8);
	end_whole(0);
}
END_TEST

START_TEST(a_received_packet_sent_back_leaves_on_the_side_it_was_sent_out_of)
{
	struct nbl *n;

	begin_sends(RIG_SHAPE(0), only_probe);
	receive_and_keep(1);
	n = nbl_chain_pop(&probe.kept);
	probe.filter->held--;
	fill_bytes(nbl_nb_data(&n->nb), RIG_LENGTH, 42);
	transmit_one(n, NBL_LOWER);
	ck_assert(nothing_on(1));
	ck_assert_uint_eq(taken(0, RIG_LENGTH, NULL), 42);
	rig_complete(&rig, 0, 1);
	rig_settle(&rig);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TO_WIRE), 1);
	end_whole(0);
}
END_TEST

/* ---- threads ---- */

#define N_CHILDREN 8

static struct nbl *children[N_CHILDREN];
static pthread_barrier_t together;

static void *free_child(void *arg)
{
	pthread_barrier_wait(&together);
	nbl_free_clone(*(struct nbl **)arg);
	return NULL;
}

START_TEST(eight_threads_free_eight_children_and_the_frame_is_posted_once)
{
	pthread_t threads[N_CHILDREN];

	begin_sends(RIG_SHAPE(0), only_probe);
	for (int round = 0; round < 50; round++) {
		uint32_t posted_before;
		struct nbl *n;

		receive_and_keep(1);
		n = nbl_chain_pop(&probe.kept);
		pthread_barrier_init(&together, NULL, N_CHILDREN);
		for (int i = 0; i < N_CHILDREN; i++)
			children[i] = clone_of(n);
		return_one(n);
		posted_before = *lane_queue(0)->q.fill.ring.producer;
		for (int i = 0; i < N_CHILDREN; i++)
			ck_assert_int_eq(pthread_create(&threads[i], NULL, free_child,
							&children[i]), 0);
		for (int i = 0; i < N_CHILDREN; i++)
			pthread_join(threads[i], NULL);
		ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 1);
		ck_assert_uint_eq(*lane_queue(0)->q.fill.ring.producer, posted_before);
		rig_turn(&rig);
		ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 0);
		ck_assert_uint_eq(*lane_queue(0)->q.fill.ring.producer, posted_before + 1);
		pthread_barrier_destroy(&together);
	}
	end_whole(0);
}
END_TEST

int main(void)
{
	const struct rig_test tests[] = {
		{ an_nbl_of_three_packets_ends_once_after_completions_in_any_order, 6 },
		{ one_packet_the_device_refuses_fails_its_nbl_and_no_other, 1 },
		{ one_frame_is_sent_for_four_clones_and_is_home_after_the_last, 4 },
		{ an_nbl_and_its_clone_are_sent_at_once_and_each_ends_once, 2 },
		{ beyond_what_the_ledger_counts_a_frame_is_copied, 1 },
		{ an_nbl_that_shares_one_frame_many_times_is_sent_as_planned, 1 },
		{ a_hundred_thousand_packets_are_forwarded_by_children_without_a_copy, 1 },
		{ two_segments_are_two_ring_entries_where_the_queue_takes_that, 1 },
		{ segments_the_queue_does_not_take_are_copied_into_one_frame, 4 },
		{ what_cannot_be_sent_ends_with_the_reason_and_nothing_on_the_ring,
		  (int)N_ELEMENTS(refusals) },
		{ an_nbl_of_more_packets_than_the_ring_holds_is_refused_and_stops_nobody, 1 },
		{ without_a_free_frame_nothing_is_half_sent, 1 },
		{ a_full_ring_is_waited_for_in_order_up_to_a_limit_and_then_refused, 1 },
		{ what_waits_is_overtaken_by_nobody, 1 },
		{ what_waited_is_shown_to_the_kernel_though_nothing_else_is_sent, 1 },
		{ what_waits_can_be_called_back_and_what_is_sent_cannot, 1 },
		{ one_completion_list_of_all_origins_is_split_by_source_handle, 1 },
		{ a_source_handle_that_was_changed_is_counted_and_put_right, 2 },
		{ no_end_is_called_while_something_is_being_sent, 1 },
		{ a_received_packet_sent_back_leaves_on_the_side_it_was_sent_out_of, 1 },
		{ eight_threads_free_eight_children_and_the_frame_is_posted_once, 1 },
	};

	return rig_run("lane_send", tests, N_ELEMENTS(tests));
}
