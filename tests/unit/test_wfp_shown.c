// SPDX-License-Identifier: BSD-2-Clause
/* test_wfp_shown.c - from where on each layer shows a packet; windows left elsewhere. */
#include "wfp_fixture.h"

#define NATIVE NBL_LAYER_INBOUND_MAC_FRAME_NATIVE

/* ---- CL-15 ---- */

static const struct {
	enum nbl_layer layer;
	uint8_t direction;
	char where;	/* m: MAC, b: behind it, t: transport header, p: payload, i: IP */
	int version;
} positions[] = {
	{ NBL_LAYER_INBOUND_MAC_FRAME_NATIVE, 0, 'm', 4 },
	{ NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET, 0, 'b', 4 },
	{ NBL_LAYER_INBOUND_IPPACKET_V4, 0, 't', 4 },
	{ NBL_LAYER_INBOUND_IPPACKET_V6, 0, 't', 6 },
	{ NBL_LAYER_INBOUND_TRANSPORT_V4, 0, 'p', 4 },
	{ NBL_LAYER_INBOUND_TRANSPORT_V6, 0, 'p', 6 },
	{ NBL_LAYER_DATAGRAM_DATA_V4, NBL_DIRECTION_INBOUND, 'p', 4 },
	{ NBL_LAYER_DATAGRAM_DATA_V6, NBL_DIRECTION_INBOUND, 'p', 6 },
	{ NBL_LAYER_DATAGRAM_DATA_V4, NBL_DIRECTION_OUTBOUND, 't', 4 },
	{ NBL_LAYER_DATAGRAM_DATA_V6, NBL_DIRECTION_OUTBOUND, 't', 6 },
	{ NBL_LAYER_OUTBOUND_TRANSPORT_V4, 0, 't', 4 },
	{ NBL_LAYER_OUTBOUND_TRANSPORT_V6, 0, 't', 6 },
	{ NBL_LAYER_OUTBOUND_IPPACKET_V4, 0, 'i', 4 },
	{ NBL_LAYER_OUTBOUND_IPPACKET_V6, 0, 'i', 6 },
	{ NBL_LAYER_IPFORWARD_V4, 0, 'i', 4 },
	{ NBL_LAYER_IPFORWARD_V6, 0, 'i', 6 },
	{ NBL_LAYER_OUTBOUND_MAC_FRAME_ETHERNET, 0, 'm', 4 },
	{ NBL_LAYER_OUTBOUND_MAC_FRAME_NATIVE, 0, 'm', 4 },
};

START_TEST(CL_15_each_layer_shows_the_packet_from_its_fixed_place_and_puts_it_back)
{
	int tags = _i % 3, at = _i / 3;
	struct recipe recipe = RECIPE_UDP4;
	struct script s = { .action = NBL_ACTION_CONTINUE };
	struct bytes_out o;
	struct nbl *n;
	struct nbl_nb before;
	uint32_t offset = 0;

	recipe.n_tags = tags;
	recipe.version = positions[at].version;
	recipe.options = recipe.version == 4 ? 12 : 0;
	recipe.n_extensions = recipe.version == 6 ? 2 : 0;
	recipe.extensions[1] = 60;
	cook(&o, &recipe);
	n = cooked(&recipe, 64);
	before = n->nb;
	if (positions[at].where != 'm')
		offset += 14 + 4 * (uint32_t)tags;
	if (positions[at].where == 't' || positions[at].where == 'p')
		offset += recipe.version == 4 ? 32 : 40 + 8 + 16;
	if (positions[at].where == 'p')
		offset += 8;
	script_start(&s, positions[at].layer, 0, 1);
	fix.env.direction = positions[at].direction;
	ck_assert_int_eq(send_through(positions[at].layer, n), PASSED);
	ck_assert_uint_eq(s.n_calls, 1);
	ck_assert_uint_eq(s.metadata.data_offset, offset);
	ck_assert_mem_eq(s.first_bytes, o.b + offset, 4);
	ck_assert_uint_eq(s.metadata.mac_header_size, 14 + 4 * tags);
	ck_assert_uint_eq(s.metadata.ip_header_size, recipe.version == 4 ? 32 : 64);
	ck_assert_uint_eq(s.metadata.transport_header_size, 8);
	ck_assert_mem_eq(&before, &n->nb, sizeof(before));
	nbl_release(n);
}
END_TEST

static void clones_the_frame(struct script *s, const struct nbl_classify_in *in)
{
	uint32_t front = in->metadata->mac_header_size;
	struct nbl *clone = NULL;

	ck_assert_int_eq(nbl_retreat(in->n, front, 0, NULL), 0);
	ck_assert_int_eq(nbl_callout_clone(in->wfp, s->id, in->n, unit.pool, &clone), 0);
	ck_assert_int_eq(nbl_advance(in->n, front, false), 0);
	s->data = clone;
}

START_TEST(CL_15_the_canonical_inbound_clone_and_reinject_keeps_all_header_bytes)
{
	struct recipe recipe = RECIPE_UDP4;
	struct script s = { .action = NBL_ACTION_BLOCK, .flags = NBL_CLASSIFY_ABSORB,
			    .right = SCRIPT_CLEAR_RIGHT, .more = clones_the_frame };
	struct nbl *n, *clone;
	struct bytes_out o;
	uint8_t storage[200];

	recipe.n_tags = _i;
	cook(&o, &recipe);
	n = cooked(&recipe, 64);
	script_start(&s, NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET, 0, 1);
	ck_assert_int_eq(send_through(NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET, n), ABSORBED);
	clone = s.data;
	ck_assert_uint_eq(clone->nb.data_length, o.n);
	ck_assert_mem_eq(nbl_nb_view(&clone->nb, o.n, storage, 1, 0), o.b, o.n);
	ck_assert_uint_eq(counts().windows_left, 0);
	ck_assert_int_eq(nbl_callout_free(fix.wfp, s.id, clone), 0);
}
END_TEST

static void forgets_to_advance(struct script *s, const struct nbl_classify_in *in)
{
	ck_assert_int_eq(nbl_retreat(in->n, 14, 0, NULL), 0);
}

static void takes_a_segment(struct script *s, const struct nbl_classify_in *in)
{
	ck_assert_int_eq(nbl_retreat(in->n, 200, 0, unit.data), 0);
}

static void advances_far(struct script *s, const struct nbl_classify_in *in)
{
	ck_assert_int_eq(nbl_advance(in->n, 20, false), 0);
}

START_TEST(CL_15_a_window_left_elsewhere_is_put_back_and_counted)
{
	void (*const how[])(struct script *, const struct nbl_classify_in *) = {
		forgets_to_advance, takes_a_segment, advances_far,
	};
	struct script bad = { .action = NBL_ACTION_CONTINUE, .more = how[_i] };
	struct script next = { .action = NBL_ACTION_CONTINUE };
	struct nbl *n = cooked(&RECIPE_UDP4, 64);
	struct nbl_nb before = n->nb;

	script_start(&bad, NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET, 0, 2);
	script_start(&next, NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET, 0, 1);
	ck_assert_int_eq(send_through(NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET, n), PASSED);
	ck_assert_uint_eq(counts().windows_left, 1);
	ck_assert_uint_eq(next.first_bytes[0], 0x45);
	ck_assert_mem_eq(&before, &n->nb, sizeof(before));
	nbl_release(n);
}
END_TEST

START_TEST(CL_15_packets_without_the_header_of_a_layer_are_not_shown_there_and_pass)
{
	struct script s = { .action = NBL_ACTION_BLOCK, .right = SCRIPT_CLEAR_RIGHT };
	struct recipe arp = { .payload = 30 }, cut = RECIPE_UDP4;
	struct nbl *n;

	for (int i = 0; i < NBL_N_LAYERS; i++) {
		if (!wfp_layers[i].mac)
			add_filter((enum nbl_layer)i, WFP_ACTION_BLOCK, 0, 0, 1, 0);
	}
	script_start(&s, NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET, 0, 1);
	for (int i = 0; i < NBL_N_LAYERS; i++) {
		if (wfp_layers[i].mac)
			continue;
		n = cooked(&arp, 64);
		ck_assert_int_eq(send_through((enum nbl_layer)i, n), PASSED);
		n->nb.data_length = 14 + 19;	/* an IP header cut short */
		nbl_release(n);
	}
	n = cooked(&cut, 64);
	n->nb.data_length = 10;
	ck_assert_int_eq(send_through(NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET, n), PASSED);
	ck_assert_uint_eq(s.n_calls, 0);
	nbl_release(n);
}
END_TEST

START_TEST(DM_03_a_send_with_three_nbs_is_shown_once_with_all_windows_moved_and_put_back)
{
	struct script s = { .action = NBL_ACTION_CONTINUE };
	struct nbl *n = cooked(&RECIPE_UDP4, 64), *more[2];
	struct nbl_nb before[3];

	for (int i = 0; i < 2; i++)
		more[i] = cooked(&RECIPE_UDP4, (uint32_t)(40 + i));
	n->nb.next = &more[0]->nb;
	more[0]->nb.next = &more[1]->nb;
	before[0] = n->nb;
	before[1] = more[0]->nb;
	before[2] = more[1]->nb;
	script_start(&s, NBL_LAYER_OUTBOUND_TRANSPORT_V4, 0, 1);
	ck_assert_int_eq(send_through(NBL_LAYER_OUTBOUND_TRANSPORT_V4, n), PASSED);
	ck_assert_uint_eq(s.n_calls, 1);
	ck_assert_mem_eq(&before[0], &n->nb, sizeof(before[0]));
	ck_assert_mem_eq(&before[1], &more[0]->nb, sizeof(before[1]));
	ck_assert_mem_eq(&before[2], &more[1]->nb, sizeof(before[2]));
	ck_assert_uint_eq(counts().windows_left, 0);
	n->nb.next = more[0]->nb.next = NULL;
	nbl_release(n);
	nbl_release(more[0]);
	nbl_release(more[1]);
}
END_TEST

static void moves_the_last_nb(struct script *s, const struct nbl_classify_in *in)
{
	nbl_nb_advance(in->n->first_nb->next, 3, false);
}

START_TEST(DM_03_a_later_nb_left_elsewhere_is_counted_and_the_packet_goes_nowhere)
{
	struct script s = { .action = NBL_ACTION_PERMIT, .more = moves_the_last_nb };
	struct nbl *n = cooked(&RECIPE_UDP4, 64), *more = cooked(&RECIPE_UDP4, 64);

	n->nb.next = &more->nb;
	script_start(&s, NBL_LAYER_OUTBOUND_IPPACKET_V4, 0, 1);
	ck_assert_int_eq(send_through(NBL_LAYER_OUTBOUND_IPPACKET_V4, n), DROPPED);
	ck_assert_uint_eq(counts().windows_left, 1);
	n->nb.next = NULL;
	nbl_release(more);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ CL_15_each_layer_shows_the_packet_from_its_fixed_place_and_puts_it_back,
		  3 * N_ELEMENTS(positions) },
		{ CL_15_the_canonical_inbound_clone_and_reinject_keeps_all_header_bytes, 3 },
		{ CL_15_a_window_left_elsewhere_is_put_back_and_counted, 3 },
		{ CL_15_packets_without_the_header_of_a_layer_are_not_shown_there_and_pass, 1 },
		{ DM_03_a_send_with_three_nbs_is_shown_once_with_all_windows_moved_and_put_back,
		  1 },
		{ DM_03_a_later_nb_left_elsewhere_is_counted_and_the_packet_goes_nowhere, 1 },
	};

	return fix_run("wfp_shown", tests, N_ELEMENTS(tests));
}
