/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_core_on_a_lane.c - what the core promises of an NBL,
 * kept on its way through modules and back.
 */
#include <nbl/checks.h>
#include <nbl/info.h>
#include <nbl/parse.h>
#include <nbl/pool.h>
#include <nbl/window.h>

#include "unit/lane_probe.h"

#define N_PACKETS 40

/* ---- modules that look, above each other ---- */

struct seen {
	struct nbl_shape shape;
	struct nbl *parent;
	uint32_t child_ref_count, flags;
	void *protocol_reserved[4];
};

#define N_FRAMES 512

static struct seen seen[3][N_FRAMES];	/* by module, from below, and frame */
static uint32_t n_seen[3], n_back[3];
static uint32_t n_differ;	/* parts of NBLs that were not as before, as the looker below saw */
static void (*meddle)(struct nbl *n);	/* what the module at 'meddler' does to what it passes on */
static uint32_t meddler;

static void look(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	uint32_t level = f->id - 1u;

	for (struct nbl *n = chain.head; n; n = n->next) {
		struct seen *s = &seen[level][n->segment.frame % N_FRAMES];

		if (meddle && level == meddler)
			meddle(n);
		nbl_shape_record(n, &s->shape);
		s->parent = n->parent;
		s->child_ref_count = n->child_ref_count;
		s->flags = flags;
		memcpy(s->protocol_reserved, n->protocol_reserved, sizeof(s->protocol_reserved));
		n_seen[level]++;
	}
}

static void look_again(struct nbl_filter *f, struct nbl_chain chain)
{
	uint32_t level = f->id - 1u;

	for (struct nbl *n = chain.head; n; n = n->next) {
		const struct seen *s = &seen[level][n->segment.frame % N_FRAMES];

		n_back[level]++;
		n_differ += nbl_shape_differs(&s->shape) != 0;
		n_differ += n->parent != s->parent || n->child_ref_count != s->child_ref_count;
		n_differ += !!memcmp(n->protocol_reserved, s->protocol_reserved,
				     sizeof(s->protocol_reserved));
	}
}

static void receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	look(f, chain, flags);
	nbl_filter_indicate(f, chain, port, flags);
}

static void receive_return(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)flags;
	look_again(f, chain);
	nbl_filter_return(f, chain);
}

static void send_down(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	look(f, chain, flags);
	nbl_filter_send(f, chain, port, flags);
}

static void send_complete(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)flags;
	look_again(f, chain);
	nbl_filter_complete(f, chain);
}

static void status(struct nbl_filter *f, const struct nbl_status_indication *s)
{
	nbl_filter_pass_status(f, s);
}

#define LOOKER(called, more) { \
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = called, \
	.flags = NBL_MODULE_HOLDS | (more), .receive = receive, \
	.receive_return = receive_return, .send = send_down, .send_complete = send_complete, \
	.status = status, \
}

static const struct nbl_module lookers[] = {
	LOOKER("below", NBL_MODULE_WANTS_TYPES), LOOKER("middle", 0), LOOKER("above", 0),
};
static const struct nbl_module *const three_lookers[] = {
	&lookers[0], &lookers[1], &lookers[2], NULL,
};

/* N_PACKETS each way, through all three and back. */
static void cross_both_ways(void)
{
	begin(RIG_SHAPE(0), three_lookers);
	rig_deliver(&rig, 0, N_PACKETS);
	rig_deliver(&rig, 1, N_PACKETS);
	rig_settle(&rig);
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(n_seen[i], 2 * N_PACKETS);
		ck_assert_uint_eq(n_back[i], 2 * N_PACKETS);
	}
}

START_TEST(DM_05_parent_and_child_count_pass_through_three_modules_unchanged)
{
	cross_both_ways();
	ck_assert_uint_eq(n_differ, 0);
	for (int i = 0; i < N_FRAMES; i++) {
		ck_assert_ptr_null(seen[2][i].parent);
		ck_assert_uint_eq(seen[2][i].child_ref_count, 0);
	}
	rig_check_all_left(&rig);
	end();
}
END_TEST

static void write_protocol_reserved(struct nbl *n)
{
	for (int i = 0; i < 4; i++)
		n->protocol_reserved[i] = (void *)(uintptr_t)(0x1000 + i);
}

/* _i: the originator's own words, above all others; or words of one in the middle */
START_TEST(DM_12_protocol_reserved_is_the_same_before_sending_and_after_completion)
{
	uint32_t sent = N_FRAMES / 2;	/* the first frame of the upper queue */

	meddle = write_protocol_reserved;
	meddler = _i ? 1 : 2;
	begin(RIG_SHAPE(0), three_lookers);
	rig_deliver(&rig, 1, N_PACKETS);
	rig_settle(&rig);
	ck_assert_uint_eq(n_back[2], N_PACKETS);
	ck_assert_ptr_eq(seen[0][sent].protocol_reserved[3], (void *)0x1003);
	ck_assert_ptr_eq(seen[2][sent].protocol_reserved[3], _i ? NULL : (void *)0x1003);
	/* who sent finds what somebody else wrote */
	ck_assert_uint_eq(n_differ, _i ? 2 * N_PACKETS : 0);
	rig_check_with(&rig, _i ? N_PACKETS : 0);
	end();
}
END_TEST

START_TEST(DV_11_nbs_and_segments_come_back_as_they_were_handed_over)
{
	uint64_t before = nbl_violations();

	cross_both_ways();
	ck_assert_uint_eq(n_differ, 0);
	ck_assert_uint_eq(nbl_violations(), before);
	rig_check_all_left(&rig);
	end();
}
END_TEST

static void write_all_scratch(struct nbl *n)
{
	nbl_flags_write(n, NBL_FLAGS_SCRATCH, ~0u);
	nbl_scratch_set(n, n);
	nbl_info_set(n, NBL_INFO_SEGMENTATION, 7);
	nbl_info_set(n, NBL_INFO_MEDIA, 7);
	nbl_info_set(n, NBL_INFO_FILTERING, 7);
}

static uint32_t n_known;	/* slots of packets just received that were not 0 */

static void count_known(struct nbl_filter *f, struct nbl_chain chain)
{
	for (struct nbl *n = chain.head; n; n = n->next) {
		for (int i = 0; i < NBL_N_INFO; i++)
			n_known += nbl_info_get(n, (enum nbl_info)i) != 0;
		n_known += nbl_scratch(n) != NULL;
		n_known += (n->nbl_flags & NBL_FLAGS_SCRATCH) != 0;
		write_all_scratch(n);
	}
	nbl_filter_indicate(f, chain, 0, 0);
}

START_TEST(NX_12_slots_that_linux_cannot_fill_are_taken_and_are_0_in_every_packet_received)
{
	begin(RIG_SHAPE(0), only_probe);
	probe.receive = count_known;
	/* each frame is used several times over */
	for (int i = 0; i < 30; i++) {
		rig_deliver(&rig, 0, 50);
		rig_settle(&rig);
	}
	ck_assert_uint_eq(rig.lane.figures.received, 1500);
	ck_assert_uint_eq(n_known, 0);
	rig_check_all_left(&rig);
	end();
}
END_TEST

static uint32_t given_flags;

static void give_flags(struct nbl_filter *f, struct nbl_chain chain)
{
	nbl_filter_indicate(f, chain, 0, given_flags);
}

static uint32_t flags_above[2];	/* that were there of all, or of any packet */

static void see_flags(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	flags_above[0] &= flags;
	flags_above[1] |= flags;
	nbl_filter_indicate(f, chain, port, flags);
}

static const struct nbl_module flags_seer = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "seer",
	.receive = see_flags, .status = nbl_filter_pass_status,
};

START_TEST(NX_01_the_dispatch_hint_is_passed_through_and_changes_nothing)
{
	static const struct nbl_module *const modules[] = { &probe_module, &flags_seer, NULL };

	given_flags = _i ? NBL_RECEIVE_DISPATCH : 0;
	flags_above[0] = ~0u;
	begin(RIG_SHAPE(0), modules);
	probe.receive = give_flags;
	rig_deliver(&rig, 0, N_PACKETS);
	rig_settle(&rig);
	ck_assert_uint_eq(flags_above[0] & NBL_RECEIVE_DISPATCH, given_flags);
	ck_assert_uint_eq(flags_above[1] & NBL_RECEIVE_DISPATCH, given_flags);
	rig_check_all_left(&rig);
	end();
}
END_TEST

/* ---- dereferencing here and there ---- */

static struct nbl *held[8];
static uint32_t n_held;

static void hold_some(struct nbl_filter *f, struct nbl_chain chain)
{
	for (struct nbl *n = chain.head; n && n_held < 8; n = n->next) {
		nbl_reference(n, false);
		held[n_held++] = n;
	}
	nbl_filter_indicate(f, chain, 0, 0);
}

static void *dereference_all(void *arg)
{
	uint32_t *n_refused = arg;

	for (uint32_t i = 0; i < n_held; i++)
		*n_refused += nbl_dereference(held[i]) != 0;
	return NULL;
}

/* _i: on the lane, inside its turn; on the lane's thread between turns; on another thread */
START_TEST(RF_03_a_dereference_does_the_same_wherever_it_is_made)
{
	uint32_t n_refused = 0;
	struct nbl_lane *before;
	pthread_t thread;

	begin(RIG_SHAPE(0), only_probe);
	probe.receive = hold_some;
	rig_deliver(&rig, 0, 8);
	rig_settle(&rig);
	ck_assert_uint_eq(n_held, 8);
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 8);
	if (_i == 0) {
		before = nbl_lane_enter(&rig.lane);
		dereference_all(&n_refused);
		nbl_lane_enter(before);
	} else if (_i == 1) {
		dereference_all(&n_refused);
	} else {
		ck_assert_int_eq(pthread_create(&thread, NULL, dereference_all, &n_refused), 0);
		pthread_join(thread, NULL);
	}
	ck_assert_uint_eq(n_refused, 0);
	rig_settle(&rig);
	for (int i = 0; i < 8; i++) {
		ck_assert_uint_eq(held[i]->references, 0);
		ck_assert_uint_eq(held[i]->nbl_flags & NBL_FLAG_FREED, 0);
	}
	ck_assert_uint_eq(frames_in(NBL_FRAME_HELD), 0);
	rig_check_all_left(&rig);
	end();
}
END_TEST

/* ---- a MAC header in two pieces (AR-08) ---- */

static struct nbl_segment second_pieces[N_FRAMES];
static uint32_t cut_at;

static void cut(struct nbl_filter *f, struct nbl_chain chain)
{
	for (struct nbl *n = chain.head; n; n = n->next) {
		struct nbl_segment *s = &n->segment, *rest = &second_pieces[s->frame % N_FRAMES];
		uint32_t at = n->nb.current_offset + cut_at;

		*rest = (struct nbl_segment){ .base = s->base + at, .length = s->length - at,
					      .frame = s->frame };
		s->next = rest;
		s->length = at;
		ck_assert(nbl_nb_is_sound(&n->nb));
		ck_assert_int_eq(nbl_nb_mac_header_is_contiguous(&n->nb), cut_at >= 14);
	}
	nbl_filter_indicate(f, chain, 0, 0);
}

static void join(struct nbl_filter *f, struct nbl_chain chain)
{
	for (struct nbl *n = chain.head; n; n = n->next) {
		n->segment.length += n->segment.next->length;
		n->segment.next = NULL;
	}
	nbl_filter_return(f, chain);
}

/* With no frames to copy into; with some; and where the port takes packets in pieces. */
enum ability { NO_POOL, POOL, PIECES, N_ABILITIES };

START_TEST(AR_08_a_packet_with_its_mac_header_in_two_pieces_leaves_whole_or_not_at_all)
{
	enum ability ability = (enum ability)(_i % N_ABILITIES);

	cut_at = (uint32_t)_i / N_ABILITIES + 1;
	rig_make(&rig, RIG_SHAPE(0));
	if (ability == NO_POOL) {
		rig_prepare(&rig, only_watching_probe);
		nbl_lane_adopt(&rig.lane, NBL_TAKEOVER_FRESH);
	} else {
		rig_up(&rig, only_watching_probe, NBL_TAKEOVER_FRESH);
	}
	lane_queue(1)->q.sg = ability == PIECES;
	lane_queue(1)->q.max_segments = 4;
	rig_turn(&rig);
	probe.receive = cut;
	probe.receive_return = join;
	rig_deliver(&rig, 0, 3);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_wrong(&rig), 0);
	/* copied into one piece, or refused for want of a frame */
	ck_assert_uint_eq(rig_left(&rig), ability == NO_POOL ? 0 : 3);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_TX_NO_FRAME), (ability == NO_POOL ? 3u : 0u));
	ck_assert_uint_eq(rig_lost_frames(&rig), 0);
	rig_down(&rig);
	ck_assert_uint_eq(rig.n_pools_lost, 0);
	rig_free(&rig);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ DM_05_parent_and_child_count_pass_through_three_modules_unchanged, 1 },
		{ DM_12_protocol_reserved_is_the_same_before_sending_and_after_completion, 2 },
		{ DV_11_nbs_and_segments_come_back_as_they_were_handed_over, 1 },
		{ NX_12_slots_that_linux_cannot_fill_are_taken_and_are_0_in_every_packet_received,
		  1 },
		{ NX_01_the_dispatch_hint_is_passed_through_and_changes_nothing, 2 },
		{ RF_03_a_dereference_does_the_same_wherever_it_is_made, 3 },
		{ AR_08_a_packet_with_its_mac_header_in_two_pieces_leaves_whole_or_not_at_all,
		  13 * N_ABILITIES },
	};

	return rig_run("core_on_a_lane", tests, N_ELEMENTS(tests));
}
