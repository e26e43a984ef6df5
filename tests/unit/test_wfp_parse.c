// SPDX-License-Identifier: BSD-2-Clause
/* test_wfp_parse.c - the parser: right, bounded, and the same for any segments. */
#include <sys/mman.h>
#include <unistd.h>

#include "filter/parse.h"
#include "wfp_packets.h"

/* ---- a second parser: over flat bytes, with signed room left, and nothing shared ---- */

struct simple {
	int mac, ip, transport, total, offset, fragment, version, protocol, type, vlan;
	int sport, dport, icmp, flags, shows;	/* -1: not there */
};

static int be(const uint8_t *p)
{
	return p[0] * 256 + p[1];
}

static void simple_transport(const uint8_t *p, int room, struct simple *s)
{
	int v = s->protocol, need = v == 6 ? 20 : v == 132 ? 12 : 8;
	bool ports = v == 6 || v == 17 || v == 136 || v == 132;
	bool icmp = (v == 1 && s->version == 4) || (v == 58 && s->version == 6);

	if (!ports && !icmp) {
		s->shows = 1;
		return;
	}
	if (room >= 4 && ports) {
		s->sport = be(p);
		s->dport = be(p + 2);
	}
	if (room >= 4 && icmp)
		s->icmp = be(p);
	if (room < need)
		return;
	if (v == 6) {
		need = (p[12] >> 4) * 4;
		if (need < 20 || need > room)
			return;
		s->flags = p[13];
	}
	s->transport = need;
	s->shows = 1;
}

static void simple_v6_rest(const uint8_t *p, int room, struct simple *s)
{
	int next = p[6];

	for (int i = 0;; i++) {
		int size = 0, left = s->total - s->ip;
		const uint8_t *h = p + s->ip;

		(void)room;
		if (next != 0 && next != 43 && next != 44 && next != 51 && next != 60 &&
		    next != 135 && next != 139 && next != 140)
			break;
		if (i == 16 || left < 8)
			return;
		size = next == 44 ? 8 : next == 51 ? (h[1] + 2) * 4 : (h[1] + 1) * 8;
		if (size > left)
			return;
		s->ip += size;
		if (next == 44) {
			s->offset = be(h + 2) / 8 * 8;
			s->fragment = s->offset ? 2 : h[3] & 1;
		}
		next = h[0];
		if (s->fragment == 2)
			break;
	}
	s->protocol = next;
	if (s->fragment != 2)
		simple_transport(p + s->ip, s->total - s->ip, s);
}

static struct simple simple_parse(const uint8_t *p, int n)
{
	struct simple s = { .protocol = -1, .type = -1, .vlan = -1, .sport = -1, .dport = -1,
			    .icmp = -1, .flags = -1 };
	int at = 12, tags = 0;

	if (n < 14)
		return s;
	while (be(p + at) == 0x8100 || be(p + at) == 0x88a8 || be(p + at) == 0x9100) {
		if (n < at + 6 || tags == 4)
			return s;
		if (!tags++)
			s.vlan = be(p + at + 2) % 4096;
		at += 4;
	}
	s.mac = at + 2;
	if (be(p + at) < 0x600)
		return s;
	s.type = be(p + at);
	p += s.mac;
	n -= s.mac;
	if (s.type == 0x800 && n >= 20 && p[0] / 16 == 4 && p[0] % 16 >= 5 && be(p + 2) <= n &&
	    be(p + 2) >= p[0] % 16 * 4) {
		s.version = 4;
		s.ip = p[0] % 16 * 4;
		s.total = be(p + 2);
		s.offset = be(p + 6) % 0x2000 * 8;
		s.fragment = s.offset ? 2 : (p[6] & 0x20) ? 1 : 0;
		s.protocol = p[9];
		if (s.fragment != 2)
			simple_transport(p + s.ip, s.total - s.ip, &s);
	}
	if (s.type == 0x86dd && n >= 40 && p[0] / 16 == 6 && be(p + 4) + 40 <= n) {
		s.version = 6;
		s.ip = 40;
		s.total = be(p + 4) + 40;
		simple_v6_rest(p, n, &s);
	}
	return s;
}

static int value_or(const struct wfp_packet *p, enum nbl_field field, int value)
{
	return p->values.present & NBL_FIELD_BIT(field) ? value : -1;
}

/* True if both say the same of 'bytes'. */
static bool agree(const struct wfp_packet *p, const uint8_t *bytes, int n)
{
	const struct nbl_values *v = &p->values;
	struct simple s = simple_parse(bytes, n);
	const uint8_t *ip = bytes + s.mac;

	if (n >= 14 &&
	    (memcmp(v->mac_destination, bytes, 6) || memcmp(v->mac_source, bytes + 6, 6)))
		return false;
	if (s.version &&
	    memcmp(v->ip_source, ip + (s.version == 4 ? 12 : 8), s.version == 4 ? 4 : 16))
		return false;
	if (s.version && memcmp(v->ip_destination, ip + (s.version == 4 ? 16 : 24),
				s.version == 4 ? 4 : 16))
		return false;
	return p->mac_size == s.mac && p->ip_size == s.ip && (int)p->ip_total == s.total &&
	       p->transport_size == s.transport && p->fragment_offset == s.offset &&
	       v->ip_fragment == s.fragment && v->ip_version == s.version &&
	       p->transport == s.shows &&
	       value_or(p, NBL_FIELD_IP_PROTOCOL, v->ip_protocol) == s.protocol &&
	       value_or(p, NBL_FIELD_ETHER_TYPE, v->ether_type) == s.type &&
	       value_or(p, NBL_FIELD_VLAN_ID, v->vlan_id) == s.vlan &&
	       value_or(p, NBL_FIELD_PORT_SOURCE, v->port_source) == s.sport &&
	       value_or(p, NBL_FIELD_PORT_DESTINATION, v->port_destination) == s.dport &&
	       value_or(p, NBL_FIELD_ICMP_TYPE, v->icmp_type * 256 + v->icmp_code) == s.icmp &&
	       value_or(p, NBL_FIELD_TCP_FLAGS, v->tcp_flags) == s.flags;
}

/* ---- frames that end where memory ends ---- */

/* The first byte that may not be read. */
static uint8_t *edge_of_memory(void)
{
	static uint8_t *edge;
	long page = sysconf(_SC_PAGESIZE);
	uint8_t *p;

	if (edge)
		return edge;
	p = mmap(NULL, (size_t)page * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0);
	ck_assert_ptr_ne(p, MAP_FAILED);
	edge = p + page;
	ck_assert_int_eq(mprotect(edge, (size_t)page, PROT_NONE), 0);
	return edge;
}

static struct wfp_packet parse_at_edge(const uint8_t *bytes, uint32_t n)
{
	uint8_t *base = edge_of_memory() - n;
	struct nbl_segment segment = { .base = base, .length = n };
	struct nbl_nb nb = { .first_segment = &segment,
			     .current_segment = &segment,
			     .data_length = n };
	struct wfp_packet p;

	memcpy(base, bytes, n);
	wfp_parse_frame(&nb, &p);
	return p;
}

/* In three segments, each flush with the page; bytes of an earlier one are not near the next. */
static struct wfp_packet parse_cut(const uint8_t *bytes, uint32_t n, uint32_t first,
				   uint32_t second)
{
	static uint8_t storage[3][4096];
	struct nbl_segment s[3];
	struct nbl_nb nb = { .first_segment = s, .current_segment = s, .data_length = n };
	uint32_t at[4] = { 0, first, second, n };
	struct wfp_packet p;

	for (int i = 0; i < 3; i++) {
		uint32_t length = at[i + 1] - at[i];

		memset(storage[i], 0xee, sizeof(storage[i]));
		s[i] = (struct nbl_segment){ .base = storage[i] + 100, .length = length };
		s[i].next = i < 2 ? &s[i + 1] : NULL;
		memcpy(s[i].base, bytes + at[i], length);
	}
	while (nb.current_segment->next && !nb.current_segment->length)
		nb.current_segment = nb.current_segment->next;
	wfp_parse_frame(&nb, &p);
	return p;
}

START_TEST(CL_15_known_frames_are_understood_field_by_field)
{
	struct recipe r = { .n_tags = 2,
			    .vlan = 100,
			    .version = 6,
			    .protocol = 6,
			    .source_port = 4242,
			    .destination_port = 80,
			    .source = 7,
			    .destination = 9,
			    .payload = 5,
			    .n_extensions = 2,
			    .extensions = { 0, 60 } };
	struct bytes_out o;
	struct wfp_packet p;

	cook(&o, &r);
	p = parse_at_edge(o.b, o.n);
	ck_assert_uint_eq(p.mac_size, 22);
	ck_assert_uint_eq(p.values.vlan_id, 100);
	ck_assert_uint_eq(p.values.ether_type, 0x86dd);
	ck_assert_uint_eq(p.ip_size, 40 + 8 + 16);
	ck_assert_uint_eq(p.values.ip_protocol, 6);
	ck_assert_uint_eq(p.transport_size, 20);
	ck_assert_uint_eq(p.values.port_source, 4242);
	ck_assert_uint_eq(p.values.port_destination, 80);
	ck_assert_uint_eq(p.values.tcp_flags, 0x18);
	ck_assert_uint_eq(p.values.ip_source[15], 7);
	ck_assert_uint_eq(p.values.ip_destination[15], 9);
	ck_assert_uint_eq(p.ip_total, o.n - 22);
	ck_assert(p.transport);
}
END_TEST

START_TEST(CL_15_every_truncation_of_every_seed_stays_inside_and_agrees_with_a_second_parser)
{
	struct bytes_out o;
	struct recipe r;
	int n_seeds;

	for (n_seeds = 0; recipe_number(n_seeds, &r); n_seeds++) {
		cook(&o, &r);
		for (uint32_t n = 0; n <= o.n; n++) {
			struct wfp_packet p = parse_at_edge(o.b, n);

			ck_assert_msg(agree(&p, o.b, (int)n), "seed %d cut to %u bytes", n_seeds,
				      n);
		}
	}
	ck_assert_int_ge(n_seeds, 200);
}
END_TEST

START_TEST(CL_15_damaged_frames_stay_inside_and_agree_with_a_second_parser)
{
	struct unit_random random = unit_random(20261121);
	struct bytes_out o;
	struct recipe r;

	for (int i = 0; i < 200000; i++) {
		uint32_t n;

		recipe_number((int)unit_random_below(&random, 798), &r);
		cook(&o, &r);
		for (uint32_t k = 1 + unit_random_below(&random, 6); k; k--) {
			/* most damage near the front, where the lengths are */
			uint32_t at = unit_random_below(&random, 2)
					      ? unit_random_below(&random, 64)
					      : unit_random_below(&random, o.n);

			if (at < o.n)
				o.b[at] = (uint8_t)unit_random_below(&random, 256);
		}
		n = unit_random_below(&random, 4) ? o.n : unit_random_below(&random, o.n + 1);
		if (!agree(&(struct wfp_packet){ 0 }, o.b, 0))
			ck_abort_msg("nothing is not nothing");
		struct wfp_packet p = parse_at_edge(o.b, n);

		if (!agree(&p, o.b, (int)n))
			ck_abort_msg("damaged frame number %d disagrees", i);
	}
}
END_TEST

START_TEST(CL_15_any_cut_into_segments_parses_the_same)
{
	struct unit_random random = unit_random(77);
	struct bytes_out o;
	struct recipe r;

	for (int i = 0; recipe_number(i, &r); i++) {
		cook(&o, &r);
		struct wfp_packet whole = parse_at_edge(o.b, o.n);

		for (uint32_t first = 0; first <= o.n; first++) {
			uint32_t second = first + unit_random_below(&random, o.n - first + 1);
			struct wfp_packet cut = parse_cut(o.b, o.n, first, second);

			if (memcmp(&whole, &cut, sizeof(cut)))
				ck_abort_msg("seed %d cut at %u and %u", i, first, second);
		}
	}
}
END_TEST

START_TEST(CL_15_parsing_from_the_ip_header_finds_what_parsing_the_frame_finds)
{
	struct bytes_out o;
	struct recipe r;

	for (int i = 0; recipe_number(i, &r); i++) {
		struct wfp_packet frame, ip;
		struct nbl_segment segment;
		struct nbl_nb nb = { .first_segment = &segment, .current_segment = &segment };

		cook(&o, &r);
		frame = parse_at_edge(o.b, o.n);
		segment = (struct nbl_segment){ .base = o.b + frame.mac_size,
						.length = o.n - frame.mac_size };
		nb.data_length = segment.length;
		wfp_parse_ip(&nb, &ip);
		ck_assert_uint_eq(ip.ip_size, frame.ip_size);
		ck_assert_uint_eq(ip.transport_size, frame.transport_size);
		ck_assert_uint_eq(ip.values.ip_protocol, frame.values.ip_protocol);
		ck_assert_uint_eq(ip.mac_size, 0);
	}
}
END_TEST

START_TEST(DM_14_no_packet_is_both_ipv4_and_ipv6_and_ports_need_an_ip_header)
{
	struct unit_random random = unit_random(5);
	uint8_t bytes[96];

	for (int i = 0; i < 100000; i++) {
		struct wfp_packet p;

		for (uint32_t k = 0; k < sizeof(bytes); k++)
			bytes[k] = (uint8_t)unit_random_below(&random, 256);
		bytes[12] = i & 1 ? 0x08 : 0x86;
		bytes[13] = i & 1 ? 0x00 : 0xdd;
		bytes[14] = (uint8_t)(i & 1 ? 0x45 : 0x60);
		p = parse_at_edge(bytes, unit_random_below(&random, sizeof(bytes) + 1));
		if (p.values.ip_version == 4 && p.values.ether_type != 0x0800)
			ck_abort_msg("IPv4 behind another EtherType");
		if (p.values.ip_version == 6 && p.values.ether_type != 0x86dd)
			ck_abort_msg("IPv6 behind another EtherType");
		if (!p.ip_size && (p.values.present >> NBL_FIELD_IP_VERSION & 0x1ff))
			ck_abort_msg("IP fields without an IP header");
	}
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ CL_15_known_frames_are_understood_field_by_field, 1 },
		{ CL_15_every_truncation_of_every_seed_stays_inside_and_agrees_with_a_second_parser,
		  1 },
		{ CL_15_damaged_frames_stay_inside_and_agree_with_a_second_parser, 1 },
		{ CL_15_any_cut_into_segments_parses_the_same, 1 },
		{ CL_15_parsing_from_the_ip_header_finds_what_parsing_the_frame_finds, 1 },
		{ DM_14_no_packet_is_both_ipv4_and_ipv6_and_ports_need_an_ip_header, 1 },
	};

	return unit_run("wfp_parse", tests, N_ELEMENTS(tests));
}
