// SPDX-License-Identifier: BSD-2-Clause
/* test_wfp_inject_bytes.c - headers, checksums and frames of what is injected. */
#include "filter/checksum.h"
#include "wfp_inject_fixture.h"

/* ---- IP paths ---- */

START_TEST(IN_13_a_packet_injected_above_mac_gets_its_headers_back_and_right_checksums)
{
	static const uint8_t protocols[] = { 6, 17, 1 };
	int version = _i & 1 ? 6 : 4, tags = _i / 2 % 3, kind = _i / 6 % 3;
	bool transport = _i / 18;
	struct recipe r = { .version = version,
			    .protocol = protocols[kind],
			    .n_tags = tags,
			    .vlan = 5,
			    .source_port = 1000,
			    .destination_port = 53,
			    .source = 1,
			    .destination = 2,
			    .payload = 21 };
	struct script s = { 0 };
	struct bytes_out expected;
	struct nbl *n;
	struct nbl_nb before;
	struct nbl_headers headers;
	struct nbl_inject_target to = { .port = 2, .headers = &headers };
	uint8_t storage[256], byte = 0;
	uint32_t h, skip;

	if (kind == 2 && version == 6)
		r.protocol = 58;
	begin(&s);
	done.frees = false;
	h = handle_new(ALL_TYPES);
	headers = headers_of(&r);
	skip = headers.mac_size + (transport ? headers.ip_size : 0u);
	n = clone_behind(&r, skip);
	before = n->nb;
	/* the callout edits the last byte and forgets the checksum */
	wfp_nb_write(&n->nb, n->nb.data_length - 1, &byte, 1);
	cook(&expected, &r);
	expected.b[expected.n - 1] = 0;
	uint32_t at = headers.mac_size + headers.ip_size + (uint32_t)check_at(&r);

	set16(&expected, at, 0);
	set16(&expected, at,
	      slow_checksum(expected.b + headers.mac_size, headers.ip_size,
			    expected.n - headers.mac_size - headers.ip_size, r.protocol));
	ck_assert_int_eq(
		transport ? nbl_inject_transport_send(fix.wfp, h, NULL, &to, n, completed, &done)
			  : nbl_inject_network_receive(fix.wfp, h, NULL, &to, n, completed, &done),
		0);
	ck_assert_uint_eq(n->nb.data_length, expected.n);
	ck_assert_mem_eq(nbl_nb_view(&n->nb, expected.n, storage, 1, 0), expected.b, expected.n);
	fix_complete(0, 0);
	ck_assert_mem_eq(&before, &n->nb, sizeof(before));	/* the window is back */
	ck_assert_uint_eq(unit_frames_free(unit.data), UNIT_N_DATA_FRAMES);
	nbl_free_clone(n);
}
END_TEST

START_TEST(IN_13_what_the_port_was_asked_to_compute_is_not_computed_twice)
{
	struct script s = { 0 };
	struct nbl_headers headers = headers_of(&RECIPE_UDP4);
	struct nbl_inject_target to = { .port = 2, .headers = &headers };
	struct nbl *n = clone_behind(&RECIPE_UDP4, 14);
	static const uint8_t wrong[] = { 0x12, 0x34 };
	uint8_t storage[64];
	const uint8_t *bytes;

	begin(&s);
	n->info[NBL_INFO_CHECKSUM] = NBL_CHECKSUM_REQUEST_TRANSPORT;
	wfp_nb_write(&n->nb, 26, wrong, 2);
	wfp_nb_write(&n->nb, 10, wrong, 2);
	ck_assert_int_eq(nbl_inject_network_send(fix.wfp, handle_new(ALL_TYPES), NULL, &to, n,
						 completed, &done),
			 0);
	bytes = nbl_nb_view(&n->nb, 60, storage, 1, 0);
	ck_assert_mem_eq(bytes + 14 + 26, wrong, 2);
	ck_assert_uint_eq(slow_sum(bytes + 14, 20, 0), 0xffff);
	fix_complete(0, 0);
}
END_TEST

START_TEST(IN_13_construct_ip_header_makes_lengths_and_checksums_fit)
{
	struct recipe r = RECIPE_UDP4;
	struct nbl_headers headers;
	struct nbl *n;
	struct bytes_out expected;
	uint8_t storage[256];

	r.version = _i ? 6 : 4;
	headers = headers_of(&r);
	r.payload += 30;		/* longer than what the header was saved from */
	n = clone_behind(&r, headers.mac_size + headers.ip_size);
	cook(&expected, &r);
	n->info[NBL_INFO_CHECKSUM] =
		NBL_CHECKSUM_REQUEST_IP | NBL_CHECKSUM_REQUEST_TRANSPORT | 0x100;
	ck_assert_int_eq(nbl_construct_ip_header(n, &headers, NULL), -ENOBUFS);
	ck_assert_int_eq(nbl_construct_ip_header(n, &headers, unit.data), 0);
	ck_assert_uint_eq(n->info[NBL_INFO_CHECKSUM], 0x100);
	ck_assert_mem_eq(nbl_nb_view(&n->nb, expected.n - 14, storage, 1, 0), expected.b + 14,
			 expected.n - 14);
	ck_assert_int_eq(nbl_advance(n, headers.ip_size, true), 0);
	headers.ip[0] = 0x15;
	ck_assert_int_eq(nbl_construct_ip_header(n, &headers, unit.data), -EINVAL);
	headers.ip[0] = 0x45;
	headers.ip_size = 24;
	ck_assert_int_eq(nbl_construct_ip_header(n, &headers, unit.data), -EINVAL);
	headers.ip_size = 20;
	headers.ip[6] = 0x20;	/* of a fragment */
	ck_assert_int_eq(nbl_construct_ip_header(n, &headers, unit.data), -EINVAL);
	nbl_free_clone(n);
}
END_TEST

static void saves_headers(struct script *s, const struct nbl_classify_in *in)
{
	inject_inside = nbl_headers_save(in, &s->headers);
}

START_TEST(IN_13_headers_saved_in_classify_are_those_of_the_packet)
{
	struct recipe r = RECIPE_UDP4;
	struct script s = { .action = NBL_ACTION_CONTINUE, .more = saves_headers };
	struct nbl_headers expected;
	struct nbl *n;

	r.n_tags = 2;
	r.options = 8;
	expected = headers_of(&r);
	script_start(&s, _i ? NBL_LAYER_INBOUND_TRANSPORT_V4 : NBL_LAYER_OUTBOUND_IPPACKET_V4, 0,
		     1);
	n = cooked(&r, 64);
	ck_assert_int_eq(
		send_through(_i ? NBL_LAYER_INBOUND_TRANSPORT_V4 : NBL_LAYER_OUTBOUND_IPPACKET_V4,
			     n),
		PASSED);
	ck_assert_int_eq(inject_inside, 0);
	ck_assert_mem_eq(&s.headers, &expected, sizeof(expected));
	nbl_release(n);
}
END_TEST

START_TEST(IN_13_ip_injections_whose_parts_do_not_fit_are_refused)
{
	struct script s = { 0 };
	struct nbl_headers good = headers_of(&RECIPE_UDP4), h = good;
	struct nbl_inject_target to = { .port = 2, .headers = &h };
	struct nbl *n = clone_behind(&RECIPE_UDP4, 14), *original;
	struct script holder;
	uint32_t handle, v6 = 0;

	begin(&s);
	handle = handle_new(ALL_TYPES);
	ck_assert_int_eq(nbl_inject_handle_create(fix.wfp, NBL_FAMILY_V6, NBL_INJECT_NETWORK,
						  FIX_OWNER, &v6),
			 0);
	ck_assert_int_eq(nbl_inject_network_send(fix.wfp, v6, NULL, &to, n, completed, &done),
			 -EINVAL);
	h.mac_size = 13;
	ck_assert_int_eq(nbl_inject_network_send(fix.wfp, handle, NULL, &to, n, completed, &done),
			 -EINVAL);
	h.mac_size = 23;
	ck_assert_int_eq(nbl_inject_network_send(fix.wfp, handle, NULL, &to, n, completed, &done),
			 -EINVAL);
	h = good;
	h.mac[12] = 0x86;
	h.mac[13] = 0xdd;	/* another EtherType */
	ck_assert_int_eq(nbl_inject_network_send(fix.wfp, handle, NULL, &to, n, completed, &done),
			 -EINVAL);
	to.headers = NULL;
	ck_assert_int_eq(nbl_inject_network_send(fix.wfp, handle, NULL, &to, n, completed, &done),
			 -EINVAL);
	h = good;
	to.headers = &h;
	h.ip_size = 0;
	ck_assert_int_eq(nbl_inject_transport_send(fix.wfp, handle, NULL, &to, n, completed, &done),
			 -EINVAL);
	h = good;
	nbl_advance(n, 10, false);
	ck_assert_int_eq(nbl_inject_network_send(fix.wfp, handle, NULL, &to, n, completed, &done),
			 -EINVAL);
	ck_assert_int_eq(nbl_retreat(n, 10, 0, NULL), 0);
	ck_assert_int_eq(nbl_inject_network_send(fix.wfp, handle, NULL, NULL, n, completed, &done),
			 -EINVAL);
	original = absorbed_original(&holder);
	nbl_advance(original, 14, false);
	ck_assert_int_eq(
		nbl_inject_network_send(fix.wfp, handle, NULL, &to, original, completed, &done),
		-EINVAL);
	ck_assert_int_eq(nbl_retreat(original, 14, 0, NULL), 0);
	nbl_callout_dereference(fix.wfp, holder.id, original);
	ck_assert_uint_eq(done.n_calls, 0);
	nbl_free_clone(n);
}
END_TEST

START_TEST(IN_16_a_chain_is_not_forwarded)
{
	struct script s = { 0 };
	struct nbl_headers headers = headers_of(&RECIPE_UDP4);
	struct nbl_inject_target to = { .port = 2, .headers = &headers };
	struct nbl_chain chain = NBL_CHAIN_EMPTY;
	struct nbl *n;

	begin(&s);
	for (int i = 0; i < 2; i++)
		nbl_chain_append(&chain, clone_behind(&RECIPE_UDP4, 14));
	ck_assert_int_eq(
		nbl_inject_forward(fix.wfp, handle_new(0), NULL, &to, chain, completed, &done),
		-EOPNOTSUPP);
	while ((n = nbl_chain_pop(&chain)))
		nbl_free_clone(n);
}
END_TEST

/* ---- IN-14: frames the port does not have ---- */

START_TEST(IN_14_what_lies_in_frames_the_port_does_not_have_is_copied_and_given_back_as_it_was)
{
	struct nbl_wfp_params params = fix_params();
	struct script s = { 0 };
	struct nbl *n, *sent;
	struct bytes_out o;
	uint8_t storage[128];
	uint32_t h;

	fix_end();
	params.n_frames = 8;		/* the heap's segments have no frame number */
	fix_begin(&params);
	begin(&s);
	done.frees = false;
	h = handle_new(NBL_INJECT_L2);
	n = cooked(&RECIPE_UDP4, 64);
	n->segment.frame = 0;
	ck_assert_int_eq(nbl_alloc_copy(n, unit.pool, unit.data, &sent), 0);
	nbl_release(n);
	n = sent;
	cook(&o, &RECIPE_UDP4);
	ck_assert_int_eq(send_mac(h, chain_of(n)), 0);
	sent = fix.queued[0].n;
	ck_assert_ptr_ne(sent, n);
	ck_assert_ptr_eq(sent->parent, n);
	ck_assert_uint_eq(sent->source_handle, h);
	ck_assert_int_eq(nbl_inject_query(fix.wfp, h, sent, NULL), NBL_INJECTED_BY_SELF);
	ck_assert_mem_eq(nbl_nb_view(&sent->nb, o.n, storage, 1, 0), o.b, o.n);
	ck_assert_uint_eq(counts().copied, 1);
	fix_complete(0, -EIO);
	ck_assert_ptr_eq(done.last, n);
	ck_assert_int_eq(done.status, -EIO);
	ck_assert_uint_eq(n->child_ref_count, 0);
	/* a full queue frees the copy */
	fix.submit = -ENOBUFS;
	ck_assert_int_eq(send_mac(h, chain_of(n)), -ENOBUFS);
	ck_assert_uint_eq(n->child_ref_count, 0);
	nbl_free(n);
}
END_TEST

START_TEST(IN_14_strictly_it_is_refused_and_what_the_port_has_is_not_copied)
{
	struct nbl_wfp_params params = fix_params();
	struct script s = { 0 };
	struct nbl *n, *copy;
	uint32_t h;

	fix_end();
	params.n_frames = UNIT_N_RECEIVE;
	params.strict = true;
	fix_begin(&params);
	begin(&s);
	h = handle_new(NBL_INJECT_L2);
	n = cooked(&RECIPE_UDP4, 64);
	ck_assert_int_eq(nbl_alloc_copy(n, unit.pool, unit.data, &copy), 0);
	ck_assert_int_eq(send_mac(h, chain_of(copy)), -EINVAL);
	nbl_free(copy);
	ck_assert_int_eq(send_mac(h, chain_of(clone_of(n))), 0);
	ck_assert_uint_eq(counts().copied, 0);
	fix_complete_all();
}
END_TEST

/*
 * The bytes of a shallow clone are its parent's, too: what the engine writes is not seen by others
 * that hold the parent, unless writes were announced. _i: a checksum, the headers in front, or
 * either when it cannot be sent after all.
 */
START_TEST(INV_9_what_the_engine_writes_for_a_shallow_clone_is_not_seen_in_its_parent)
{
	struct script s = { 0 };
	struct nbl_headers headers = headers_of(&RECIPE_UDP4);
	struct nbl_inject_target to = { .port = 2, .headers = &headers };
	bool in_front = _i % 2;
	struct nbl *n, *clone;
	struct bytes_out o;
	uint8_t storage[256], wire[256];
	uint32_t before;

	begin(&s);
	n = cooked(&RECIPE_UDP4, 64);
	cook(&o, &RECIPE_UDP4);
	if (in_front)
		o.b[0] = headers.mac[0] = 0x02;
	else	/* as from a peer that leaves the checksum to its device */
		nbl_nb_data(&n->nb)[14 + 20 + 6] ^= 0x55;
	memcpy(wire, nbl_nb_data(&n->nb), o.n);
	nbl_reference(n, false);	/* somebody else looks at it */
	if (!in_front)
		nbl_advance(n, 14, false);
	clone = unit_clone(n);
	if (!in_front)
		ck_assert_int_eq(nbl_retreat(n, 14, 0, NULL), 0);
	else
		nbl_advance(clone, 14, false);
	before = clone->nb.data_length;
	fix.submit = _i / 2 ? -ENOBUFS : 0;
	ck_assert_int_eq(nbl_inject_network_send(fix.wfp, handle_new(ALL_TYPES), NULL, &to, clone,
						 completed, &done), fix.submit);
	ck_assert_mem_eq(nbl_nb_data(&n->nb), wire, o.n);
	if (fix.n_queued) {
		struct nbl_nb *sent = fix.queued[0].n->first_nb;

		ck_assert_mem_eq(nbl_nb_view(sent, o.n, storage, 1, 0), o.b, o.n);
		ck_assert_uint_eq(counts().copied, 1);
		done.frees = false;
		fix_complete(0, 0);
		ck_assert_ptr_eq(done.last, clone);
	}
	ck_assert_uint_eq(clone->nb.data_length, before);
	ck_assert_uint_eq(clone->child_ref_count, 0);
	if (in_front)
		ck_assert_int_eq(nbl_retreat(clone, 14, 0, NULL), 0);
	nbl_free_clone(clone);
	ck_assert_mem_eq(nbl_nb_data(&n->nb), wire, o.n);
	ck_assert_int_eq(nbl_dereference(n), 0);
	nbl_release(n);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ IN_13_a_packet_injected_above_mac_gets_its_headers_back_and_right_checksums, 36 },
		{ IN_13_what_the_port_was_asked_to_compute_is_not_computed_twice, 1 },
		{ IN_13_construct_ip_header_makes_lengths_and_checksums_fit, 2 },
		{ IN_13_headers_saved_in_classify_are_those_of_the_packet, 2 },
		{ IN_13_ip_injections_whose_parts_do_not_fit_are_refused, 1 },
		{ IN_16_a_chain_is_not_forwarded, 1 },
		{ INV_9_what_the_engine_writes_for_a_shallow_clone_is_not_seen_in_its_parent, 4 },
		{ IN_14_what_lies_in_frames_the_port_does_not_have_is_copied_and_given_back_as_it_was, 1 },
		{ IN_14_strictly_it_is_refused_and_what_the_port_has_is_not_copied, 1 },
	};

	return fix_run("wfp_inject_bytes", tests, N_ELEMENTS(tests));
}
