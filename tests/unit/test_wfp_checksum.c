// SPDX-License-Identifier: BSD-2-Clause
/* test_wfp_checksum.c - checksums against a reference that goes byte by byte. */
#include "filter/checksum.h"
#include "wfp_packets.h"

/* An NB over 'bytes' in segments of random sizes. */
struct cut {
	struct nbl_segment segments[64];
	struct nbl_nb nb;
};

static void cut_up(struct cut *c, uint8_t *bytes, uint32_t n, struct unit_random *random)
{
	uint32_t at = 0, k = 0;

	memset(c, 0, sizeof(*c));
	while (at < n || !k) {
		uint32_t room = n - at, size = k == 63 ? room : unit_random_below(random, 37);

		size = size < room ? size : room;
		c->segments[k] = (struct nbl_segment){ .base = bytes + at, .length = size };
		if (k)
			c->segments[k - 1].next = &c->segments[k];
		at += size;
		k++;
	}
	c->nb = (struct nbl_nb){ .first_segment = c->segments, .current_segment = c->segments,
				 .data_length = n };
	while (c->nb.current_segment->next && !c->nb.current_segment->length)
		c->nb.current_segment = c->nb.current_segment->next;
}

START_TEST(IN_13_sums_over_any_segments_are_those_of_the_bytes_one_by_one)
{
	struct unit_random random = unit_random(13);
	static uint8_t bytes[700];
	struct cut c;

	for (int i = 0; i < 5000; i++) {
		uint32_t n = unit_random_below(&random, 700),
			 at = unit_random_below(&random, n + 1);
		uint32_t length = unit_random_below(&random, n - at + 1);
		bool ones = !unit_random_below(&random, 8);

		for (uint32_t k = 0; k < n; k++)
			bytes[k] = ones ? 0xff : (uint8_t)unit_random_below(&random, 256);
		cut_up(&c, bytes, n, &random);
		ck_assert_uint_eq(wfp_sum_fold(wfp_sum_nb(&c.nb, at, length)),
				  slow_sum(bytes + at, length, 0));
	}
}
END_TEST

START_TEST(IN_13_replacing_a_word_gives_the_checksum_of_the_changed_bytes)
{
	struct unit_random random = unit_random(14);
	uint8_t bytes[40];

	for (int i = 0; i < 20000; i++) {
		uint32_t at = unit_random_below(&random, 18) * 2, old = 0, new = 0;
		uint16_t before, after;

		for (uint32_t k = 0; k < sizeof(bytes); k++)
			bytes[k] = (uint8_t)unit_random_below(&random, i & 1 ? 256 : 2) *
				   (i & 1 ? 1 : 255);
		bytes[39] = 1;		/* not all zero: then both zeros would be right */
		before = (uint16_t)~slow_sum(bytes, 40, 0);
		for (int k = 0; k < 4; k++)
			old = old << 8 | bytes[at + (uint32_t)k];
		for (uint32_t k = 0; k < 4; k++)
			bytes[at + k] = (uint8_t)unit_random_below(&random, 256);
		bytes[39] |= 1;
		for (int k = 0; k < 4; k++)
			new = new << 8 | bytes[at + (uint32_t)k];
		after = (uint16_t)~slow_sum(bytes, 40, 0);
		ck_assert_uint_eq(wfp_checksum_replace32(before, old, new) % 0xffff,
				  after % 0xffff);
	}
	ck_assert_uint_eq(wfp_checksum_replace16(0xdd2f, 0x5555, 0x3285), 0x0000); /* RFC 1624 */
}
END_TEST

START_TEST(IN_13_frames_with_right_checksums_are_left_alone_byte_for_byte)
{
	struct unit_random random = unit_random(15);
	static uint8_t copy[2048];
	struct bytes_out o;
	struct recipe r;
	struct cut c;

	for (int i = 0; recipe_number(i, &r); i++) {
		uint32_t mac;

		r.payload = i % 60;
		cook(&o, &r);
		if (!r.version)
			continue;
		mac = 14u + 4u * (uint32_t)r.n_tags;
		memcpy(copy, o.b, o.n);
		cut_up(&c, o.b + mac, o.n - mac, &random);
		ck_assert_msg(!wfp_checksum_fix(&c.nb, 0), "seed %d", i);
		ck_assert_mem_eq(copy, o.b, o.n);
	}
}
END_TEST

START_TEST(IN_13_after_any_edit_the_fix_restores_what_the_reference_says)
{
	struct unit_random random = unit_random(16);
	struct bytes_out o, expected;
	struct recipe r;
	struct cut c;
	int n_fixed = 0;

	for (int round = 0; round < 20 * 21; round++) {
		static const uint8_t protocols[] = { 6, 17, 1, 58 };
		uint32_t mac = 14, header;
		int r_fix;

		r = RECIPE_UDP4;
		r.version = round & 1 ? 6 : 4;
		r.protocol = protocols[round / 2 % 4];
		r.payload = (int)unit_random_below(&random, 200);
		r.options = r.version == 4 ? (int)unit_random_below(&random, 3) * 8 : 0;
		cook(&o, &r);
		header = r.version == 4 ? 20u + (uint32_t)r.options : 40u;
		r.destination_port = (uint16_t)(1 + unit_random_below(&random, 60000));
		r.source = (uint8_t)unit_random_below(&random, 256);
		cook(&expected, &r);
		/* the new contents under the old checksums */
		for (uint32_t k = mac; k < o.n; k++) {
			uint32_t ip_check = mac + 10,
				 t_check = mac + header + (uint32_t)check_at(&r);

			if (r.version == 4 && (k == ip_check || k == ip_check + 1))
				continue;
			if (check_at(&r) >= 0 && (k == t_check || k == t_check + 1))
				continue;
			o.b[k] = expected.b[k];
		}
		cut_up(&c, o.b + mac, o.n - mac, &random);
		r_fix = wfp_checksum_fix(&c.nb, 0);
		n_fixed += !!r_fix;
		ck_assert_mem_eq(o.b, expected.b, o.n);
		ck_assert_int_eq(wfp_checksum_fix(&c.nb, 0), 0);
	}
	ck_assert_int_gt(n_fixed, 300);
}
END_TEST

static struct cut one_piece(struct bytes_out *o, struct cut *c)
{
	c->segments[0] = (struct nbl_segment){ .base = o->b + 14, .length = o->n - 14 };
	c->nb = (struct nbl_nb){ .first_segment = c->segments, .current_segment = c->segments,
				 .data_length = o->n - 14 };
	return *c;
}

START_TEST(IN_13_a_udp_checksum_of_zero_stays_over_ipv4_and_is_filled_in_over_ipv6)
{
	struct recipe r = RECIPE_UDP4;
	struct bytes_out o;
	struct cut c;

	cook(&o, &r);
	set16(&o, 14 + 20 + 6, 0);
	one_piece(&o, &c);
	ck_assert_int_eq(wfp_checksum_fix(&c.nb, 0), 0);
	ck_assert_uint_eq(o.b[14 + 20 + 6] | o.b[14 + 20 + 7], 0);

	r.version = 6;
	cook(&o, &r);
	set16(&o, 14 + 40 + 6, 0);
	one_piece(&o, &c);
	ck_assert_int_eq(wfp_checksum_fix(&c.nb, 0), WFP_FIXED_TRANSPORT);
	ck_assert_uint_ne(o.b[14 + 40 + 6] | o.b[14 + 40 + 7], 0);
	ck_assert_uint_eq(slow_checksum(o.b + 14, 40, o.n - 54, 17), 0);
}
END_TEST

START_TEST(IN_13_a_udp_checksum_is_never_computed_as_zero)
{
	int n_ffff = 0;

	for (uint32_t port = 0; port < 65536; port++) {
		struct recipe r = RECIPE_UDP4;
		struct bytes_out o;
		struct cut c;
		uint16_t check;

		r.version = 6;
		r.payload = 0;
		r.destination_port = (uint16_t)port;
		cook(&o, &r);
		set16(&o, 14 + 40 + 6, (uint16_t)(port & 1 ? 0x1234 : 0));
		one_piece(&o, &c);
		wfp_checksum_fix(&c.nb, 0);
		check = (uint16_t)(o.b[60] << 8 | o.b[61]);
		if (!check)
			ck_abort_msg("checksum 0 for port %u", port);
		n_ffff += check == 0xffff;
	}
	ck_assert_int_eq(n_ffff, 1);
}
END_TEST

START_TEST(IN_13_fragments_and_requested_offloads_are_not_computed)
{
	struct recipe r = RECIPE_UDP4;
	struct bytes_out o;
	struct cut c;

	r.fragment = 1;
	cook(&o, &r);
	set16(&o, 14 + 20 + 6, 0x1111);
	one_piece(&o, &c);
	ck_assert_int_eq(wfp_checksum_fix(&c.nb, 0), 0);
	r.fragment = 0;
	cook(&o, &r);
	set16(&o, 14 + 20 + 6, 0x1111);
	set16(&o, 14 + 10, 0x2222);
	one_piece(&o, &c);
	ck_assert_int_eq(wfp_checksum_fix(&c.nb, WFP_FIXED_TRANSPORT | WFP_FIXED_IP), 0);
	ck_assert_int_eq(wfp_checksum_fix(&c.nb, WFP_FIXED_TRANSPORT), WFP_FIXED_IP);
	ck_assert_int_eq(wfp_checksum_fix(&c.nb, WFP_FIXED_IP), WFP_FIXED_TRANSPORT);
}
END_TEST

START_TEST(IN_13_packets_behind_a_routing_header_with_segments_left_are_left_alone)
{
	struct recipe r = RECIPE_UDP4;
	struct bytes_out o;
	struct cut c;

	r.version = 6;
	r.n_extensions = 1;
	r.extensions[0] = 43;
	cook(&o, &r);
	o.b[14 + 40 + 3] = 1;
	set16(&o, 14 + 48 + 6, 0x1111);
	one_piece(&o, &c);
	ck_assert_int_eq(wfp_checksum_fix(&c.nb, 0), 0);
	o.b[14 + 40 + 3] = 0;
	ck_assert_int_eq(wfp_checksum_fix(&c.nb, 0), WFP_FIXED_TRANSPORT);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ IN_13_sums_over_any_segments_are_those_of_the_bytes_one_by_one, 1 },
		{ IN_13_replacing_a_word_gives_the_checksum_of_the_changed_bytes, 1 },
		{ IN_13_frames_with_right_checksums_are_left_alone_byte_for_byte, 1 },
		{ IN_13_after_any_edit_the_fix_restores_what_the_reference_says, 1 },
		{ IN_13_a_udp_checksum_of_zero_stays_over_ipv4_and_is_filled_in_over_ipv6, 1 },
		{ IN_13_a_udp_checksum_is_never_computed_as_zero, 1 },
		{ IN_13_fragments_and_requested_offloads_are_not_computed, 1 },
		{ IN_13_packets_behind_a_routing_header_with_segments_left_are_left_alone, 1 },
	};

	return unit_run("wfp_checksum", tests, N_ELEMENTS(tests));
}
