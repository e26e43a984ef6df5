// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_three_packets.c - NBLs of three packets through every bundled module and every
 * model callout, both ways: nothing on the way may take an NBL for one packet.
 */
#include "filter_fixture.h"

#include <nbl/holding.h>

#define N_NBLS	2
#define N_NBS	3
#define N_ALL	(N_NBLS * N_NBS)

static const uint8_t written_mac[6] = { 2, 0, 0, 0, 0, 0x77 };

/* ---- one who sends, or indicates, NBLs of three packets ---- */

static struct origin {
	struct nbl_filter *f;
	struct nbl *nbls[N_NBLS];
	struct nbl *parts[N_ALL];	/* whose NBs they have; nbls[i] is the first of three */
	struct nbl_nb before[N_ALL];
	uint32_t n_back[N_NBLS];
} origin;

/* Its own: linked as they were, windows and all, and by themselves. */
static void are_back(struct nbl_chain chain)
{
	uint32_t n_linked = 0;
	struct nbl *n;

	for (n = chain.head; n; n = n->next)
		n_linked++;
	ck_assert_uint_eq(n_linked, chain.n_nbls);
	while ((n = nbl_chain_pop(&chain))) {
		int i = n == origin.nbls[1];

		ck_assert_ptr_eq(n, origin.nbls[i]);
		origin.n_back[i]++;
		for (int k = 0; k < N_NBS; k++) {
			const struct nbl_nb *nb = origin.parts[i * N_NBS + k]->first_nb;
			const struct nbl_nb *before = &origin.before[i * N_NBS + k];

			ck_assert_ptr_eq(nb->next, before->next);
			ck_assert_ptr_eq(nb->current_segment, before->current_segment);
			ck_assert_uint_eq(nb->data_offset, before->data_offset);
			ck_assert_uint_eq(nb->data_length, before->data_length);
		}
		/* whoever references it has it still (RF-05) */
		ck_assert_int_eq(nbl_free(n), 0);
	}
}

/* What is not its own, clones that were injected, goes on. */
static void origin_complete(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	if (nbl_filter_is_own(f, chain.head))
		are_back(chain);
	else
		nbl_filter_complete(f, chain);
}

static void origin_return(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	if (nbl_filter_is_own(f, chain.head))
		are_back(chain);
	else
		nbl_filter_return(f, chain);
}

static const struct nbl_module origin_module = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "origin",
	.flags = NBL_MODULE_ORIGINATES_SENDS | NBL_MODULE_ORIGINATES_RECEIVES,
	.send_complete = origin_complete, .receive_return = origin_return,
	.status = nbl_filter_pass_status,
};

/* ---- what they go through ---- */

static void as_it_was(struct bytes_out *o)
{
	(void)o;
}

static void marked(struct bytes_out *o)
{
	o->b[15] = 46 << 2;
	set16(o, 24, 0);
	set16(o, 24, (uint16_t)~slow_sum(o->b + 14, 20, 0));
}

static void with_source(struct bytes_out *o)
{
	memcpy(o->b + 6, written_mac, 6);
}

static void turned_round(struct bytes_out *o)
{
	uint8_t destination[6];

	memcpy(destination, o->b, 6);
	memcpy(o->b, o->b + 6, 6);
	memcpy(o->b + 6, destination, 6);
}

static const struct way {
	const struct nbl_module *module;	/* NULL: the filter alone */
	struct nbl_option option;
	const char *rules, *callouts;		/* of the filter */
	void (*change)(struct bytes_out *o);	/* what it does to a packet */
	bool turns;				/* what comes in below leaves there */
} ways[] = {
	{ &nbl_module_count, { "max-share", "100" }, .change = as_it_was },
	{ &nbl_module_delay, { "ms", "1" }, .change = as_it_was },
	{ &nbl_module_reasm, { "max-share", "100" }, .change = as_it_was },
	{ &nbl_module_reflect, { "type", "all" }, .change = turned_round, .turns = true },
	{ .change = as_it_was },
	{ .rules = "inbound-mac inspect:inspect-inline; outbound-mac inspect:inspect-inline",
	  .callouts = "inspect-inline", .change = as_it_was },
	{ .rules = "inbound-ip4 callout:modify-inline; outbound-ip4 callout:modify-inline",
	  .callouts = "modify-inline dscp=46", .change = marked },
	{ .rules = "inbound-mac callout:inspect-oob; outbound-mac callout:inspect-oob",
	  .callouts = "inspect-oob hold-ms=1", .change = as_it_was },
	{ .rules = "inbound-mac callout:modify-oob; outbound-mac callout:modify-oob",
	  .callouts = "modify-oob mac=02:00:00:00:00:77", .change = with_source },
};

#define N_WAYS ((int)N_ELEMENTS(ways))

/* Packet number 'i', of one flow, told apart by its length. */
static struct recipe packet(int i)
{
	struct recipe r = RECIPE_UDP4;

	r.payload = 30 + i;
	return r;
}

static void make_nbls(void)
{
	for (int i = N_ALL - 1; i >= 0; i--) {
		struct recipe r = packet(i);
		struct bytes_out o;
		struct nbl *n;

		cook(&o, &r);
		ck_assert_int_eq(nbl_pool_alloc_data(rig.pool, rig.pool, o.n, &n), 0);
		memcpy(nbl_nb_data(n->first_nb), o.b, o.n);
		if (i % N_NBS < N_NBS - 1)
			n->first_nb->next = origin.parts[i + 1]->first_nb;
		origin.parts[i] = n;
		origin.before[i] = *n->first_nb;
		if (i % N_NBS == 0) {
			nbl_filter_own(origin.f, n);
			origin.nbls[i / N_NBS] = n;
		}
	}
}

/* Those that lent their NBs, which are not freed with the NBL they were put in (PL-03). */
static void free_parts(void)
{
	for (int i = 0; i < N_ALL; i++)
		if (i % N_NBS)
			ck_assert_int_eq(nbl_free(origin.parts[i]), 0);
}

/* The filter, on it the module, and who originates on top, or at the bottom. */
static void begin_way(const struct way *w, bool from_below)
{
	uint32_t position;
	char error[128];

	memset(&origin, 0, sizeof(origin));
	begin_shaped(RIG_SHAPE(.n_pool_frames = 64), w->rules, w->callouts);
	if (w->module)
		rig_add(&rig, w->module, &w->option, 1);
	position = from_below ? 0 : rig.stack.n_modules;
	ck_assert_int_eq(nbl_stack_insert(&rig.stack, &origin_module, NULL, 0, position, error,
					  sizeof(error)), 0);
	origin.f = &rig.stack.modules[position].filters[0].f;
	origin.f->pool = rig.pool;
	nbl_holder_enter(origin.f->id);
	make_nbls();
	nbl_holder_enter(NBL_HOLDER_OF_NBL);
}

/* _i: a way, sent; then all of them again, received. */
START_TEST(BUG_06_three_packets_in_one_nbl_pass_every_module_and_come_back_once_as_they_were)
{
	const struct way *w = &ways[_i % N_WAYS];
	bool up = _i >= N_WAYS;
	uint32_t out = up && !w->turns ? UPPER : LOWER;
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	begin_way(w, up);
	for (int i = 0; i < N_NBLS; i++)
		nbl_chain_append(&chain, origin.nbls[i]);
	nbl_lane_enter(&rig.lane);
	if (up)
		ck_assert_int_eq(nbl_filter_originate_receive(origin.f, chain, 0, 0), 0);
	else
		ck_assert_int_eq(nbl_filter_originate_send(origin.f, chain, 0, 0), 0);
	nbl_lane_publish_tx(&rig.lane);
	nbl_lane_enter(NULL);
	settle();
	for (int i = 0; i < N_NBLS; i++)
		ck_assert_uint_eq(origin.n_back[i], 1);
	ck_assert_int_eq(origin.f->n_originated, 0);
	/* each packet of each, in order, on the right side, changed as it should be */
	ck_assert_uint_eq(sent.n, N_ALL);
	for (int i = 0; i < N_ALL; i++) {
		struct recipe r = packet(i);
		struct bytes_out o;

		cook(&o, &r);
		if (up || !w->turns)
			w->change(&o);
		ck_assert_uint_eq(sent.packets[i].queue, out);
		ck_assert_uint_eq(sent.packets[i].o.n, o.n);
		ck_assert_mem_eq(sent.packets[i].o.b, o.b, o.n);
	}
	free_parts();
	finish();
}
END_TEST

START_TEST(BUG_06_count_counts_packets_not_nbls)
{
	const struct way *w = &ways[0];
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	const uint64_t *counted;
	uint64_t bytes = 0;

	begin_way(w, false);
	for (int i = 0; i < N_ALL; i++)
		bytes += origin.before[i].data_length;
	nbl_chain_append(&chain, origin.nbls[0]);
	nbl_chain_append(&chain, origin.nbls[1]);
	nbl_lane_enter(&rig.lane);
	ck_assert_int_eq(nbl_filter_originate_send(origin.f, chain, 0, 0), 0);
	nbl_lane_publish_tx(&rig.lane);
	nbl_lane_enter(NULL);
	settle();
	counted = rig.stack.modules[nbl_stack_find(&rig.stack, "count")].filters[0].f.lane_state;
	ck_assert_uint_eq(counted[2], N_ALL);
	ck_assert_uint_eq(counted[3], bytes);
	free_parts();
	finish();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ BUG_06_three_packets_in_one_nbl_pass_every_module_and_come_back_once_as_they_were,
		  2 * N_WAYS },
		{ BUG_06_count_counts_packets_not_nbls, 1 },
	};

	return rig_run("three_packets", tests, N_ELEMENTS(tests));
}
