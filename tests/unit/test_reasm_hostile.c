// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_reasm_hostile.c - the module reasm against fragments that overlap, lie, flood or never end.
 */
#include "reasm_fixture.h"

/* Bytes of a fragment before its payload. */
static uint32_t header_of(const struct fix_datagram *g)
{
	uint8_t scrap[256];

	return fix_mac(g, scrap) + (g->version == 6 ? 48 : 20) + g->n_options;
}

/* Changes 'n', a fragment of 'g', by 'change', and makes its IPv4 checksum right again. */
static struct nbl *fixed(const struct fix_datagram *g, struct nbl *n)
{
	uint8_t scrap[256], *ip = nbl_nb_data(&n->nb) + fix_mac(g, scrap);

	if (g->version != 6) {
		reasm_put16(ip + 10, 0);
		reasm_put16(ip + 10, reasm_header_sum(ip, 20));
	}
	return n;
}

/* ---- overlaps ---- */

/* What came second to what came first, by their ends. */
static enum reasm_reason relation(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	if (a == c && b == d)
		return REASM_DUPLICATE;
	return a < d && c < b ? REASM_OVERLAP : REASM_FINE;
}

static void try_overlap(const struct fix_datagram *g, const uint32_t e[4])
{
	enum reasm_reason reason = relation(e[0], e[1], e[2], e[3]);
	uint32_t before = fix.n_back[REASM_UP];
	uint64_t counted = dropped(reason), late = dropped(REASM_LATE);

	fix_give_part(g, 8 * e[0], 8 * (e[1] - e[0]));
	ck_assert_uint_eq(fix.n_back[REASM_UP] - before, 0);
	fix_give_part(g, 8 * e[2], 8 * (e[3] - e[2]));
	ck_assert_uint_eq(fix.n_back[REASM_UP] - before, reason == REASM_OVERLAP ? 2 :
							 reason == REASM_DUPLICATE);
	ck_assert_uint_eq(dropped(reason) - counted, reason == REASM_OVERLAP ? 2 :
						     reason == REASM_DUPLICATE);
	if (reason != REASM_OVERLAP)
		return;
	/* and nothing that comes later brings it back */
	for (uint32_t i = 0; i < 6; i++)
		fix_give_part(g, 8 * i, 8);
	ck_assert_uint_eq(dropped(REASM_LATE) - late, 6);
	ck_assert_uint_eq(fix.went[REASM_UP].n, 0);
}

START_TEST(RFC_5722_two_fragments_that_overlap_in_any_way_drop_the_datagram)
{
	struct fix_datagram g = { .version = _i ? 6 : 4, .length = 6 * 8, .protocol = 200 };
	uint32_t e[4], n = 0;

	fix_open("max-datagrams=1024");
	for (e[0] = 0; e[0] < 5; e[0]++)
		for (e[1] = e[0] + 1; e[1] < 6; e[1]++)
			for (e[2] = 0; e[2] < 5; e[2]++)
				for (e[3] = e[2] + 1; e[3] < 6; e[3]++, g.id++, n++)
					try_overlap(&g, e);
	ck_assert_uint_eq(n, 225);
	fix_close();
}
END_TEST

/*
 * The last fragment of 'g' begins at e[2], and there are two before: an overlap anywhere is found.
 */
START_TEST(an_overlap_is_found_wherever_in_the_datagram_it_is)
{
	static const uint32_t overlaps[][2] = {
		{ 0, 16 }, { 8, 16 }, { 8, 24 }, { 16, 32 }, { 24, 40 }, { 8, 48 }, { 32, 48 },
		{ 40, 48 },
	};
	struct fix_datagram g = { .version = 4, .length = 48, .protocol = 200, .id = 1 };

	fix_open("");
	fix_give_part(&g, 32, 16);
	fix_give_part(&g, 0, 16);
	fix_give_part(&g, 24, 8);	/* all but 16 .. 24 */
	fix_give_part(&g, overlaps[_i][0], overlaps[_i][1] - overlaps[_i][0]);
	if (_i == 0 || _i == 6)		/* the very same */
		ck_assert_uint_eq(dropped(REASM_DUPLICATE), 1);
	else
		ck_assert_uint_eq(dropped(REASM_OVERLAP), 4);
	fix_give_part(&g, 16, 8);
	ck_assert_uint_eq(fix.went[REASM_UP].n, _i == 0 || _i == 6);
	fix_close();
}
END_TEST

START_TEST(the_same_fragment_again_is_dropped_alone)
{
	struct fix_datagram g = { .version = _i ? 6 : 4, .length = 3 * PART, .id = 1 };

	fix_open("");
	for (uint32_t i = 0; i < 3; i++)
		for (int times = 0; times < (i < 2 ? 3 : 1); times++)
			fix_give_part(&g, i * PART, PART);
	fix_check_datagram(&g, fix_only_one(REASM_UP), PART + (_i ? 48 : 20));
	ck_assert_uint_eq(dropped(REASM_DUPLICATE), 4);
	ck_assert_uint_eq(fix.n_back[REASM_UP], 4);
	fix_close();
}
END_TEST

START_TEST(the_same_place_with_other_bytes_is_an_overlap)
{
	struct fix_datagram g = { .version = 4, .length = 3 * PART, .id = 1 };
	struct nbl *n = fix_fragment(&g, PART, PART, true);

	fix_open("");
	fix_give_part(&g, PART, PART);
	if (_i)
		nbl_nb_data(&n->nb)[34 + PART - 1] ^= 1;
	else	/* the same bytes, but said to be the last */
		nbl_nb_data(&n->nb)[20] &= 0x1f;
	fix_give(REASM_UP, fixed(&g, n));
	ck_assert_uint_eq(dropped(REASM_OVERLAP), 2);
	fix_give_part(&g, 0, PART);
	fix_give_part(&g, 2 * PART, PART);
	ck_assert_uint_eq(fix.went[REASM_UP].n, 0);
	fix_close();
}
END_TEST

START_TEST(teardrop_and_its_kin_drop_the_datagram)
{
	/* offset and length of two; the second lies inside the first, or before its end */
	static const uint32_t pairs[][4] = {
		{ 0, 40, 24, 4 }, { 0, 1024, 1016, 8 }, { 0, 64, 8, 8 }, { 0, 1400, 1392, 100 },
	};
	struct fix_datagram g = { .version = 4, .length = pairs[_i][2] + pairs[_i][3], .id = 1 };

	fix_open("");
	fix_give(REASM_UP, fix_fragment(&g, pairs[_i][0], pairs[_i][1], true));
	fix_give(REASM_UP, fix_fragment(&g, pairs[_i][2], pairs[_i][3], false));
	ck_assert_uint_eq(dropped(REASM_OVERLAP), 2);
	ck_assert_uint_eq(fix.n_back[REASM_UP], 2);
	ck_assert_uint_eq(fix_figures()->n_held, 0);
	fix_close();
}
END_TEST

/* ---- lies ---- */

static const struct lie {
	uint32_t offset, length, more;
	uint8_t protocol;
	int32_t cut;			/* bytes less than the IP header says */
	enum reasm_reason reason;
} lies[] = {
	{ 0, 401, 1, 0, 0, REASM_LENGTH }, { 800, 7, 1, 0, 0, REASM_LENGTH },
	{ 0, 400, 1, 0, 1, REASM_LENGTH }, { 800, 400, 0, 0, 399, REASM_LENGTH },
	{ 0, 0, 1, 0, 0, REASM_EMPTY }, { 800, 0, 0, 0, 0, REASM_EMPTY },
	{ 65528, 8, 0, 0, 0, REASM_TOO_LONG }, { 65528, 1400, 1, 0, 0, REASM_TOO_LONG },
	{ 65000, 1000, 0, 0, 0, REASM_TOO_LONG },
	{ 0, 8, 1, IPPROTO_TCP, 0, REASM_TINY }, { 0, 16, 1, IPPROTO_TCP, 0, REASM_TINY },
	{ 0, 8, 1, IPPROTO_UDP, 0, REASM_FINE }, { 0, 24, 1, IPPROTO_TCP, 0, REASM_FINE },
	{ 65528, 7, 0, 0, 0, REASM_FINE },
};

START_TEST(a_fragment_that_cannot_be_drops_the_datagram_and_says_why)
{
	const struct lie *lie = &lies[_i / 2];
	struct fix_datagram g = { .version = _i % 2 ? 6 : 4, .id = 1, .length = 1200,
				  .protocol = lie->protocol };
	bool fine = lie->reason == REASM_FINE;
	struct nbl *n;

	fix_open("");
	fix_give(REASM_UP, fix_fragment(&g, 400, 8, true));
	g.salt = 0;
	n = fix_fragment(&g, lie->offset, lie->length, lie->more);
	n->nb.data_length -= (uint32_t)lie->cut;
	if (lie->protocol == IPPROTO_TCP)
		nbl_nb_data(&n->nb)[header_of(&g) + (lie->length > 12 ? 12 : 0)] = 0x50;
	fix_give(REASM_UP, n);
	ck_assert_uint_eq(fix_figures()->n_held, fine ? 2 : 0);
	ck_assert_uint_eq(dropped(lie->reason), fine ? 0 : 2);
	ck_assert_uint_eq(fix.n_back[REASM_UP], fine ? 0 : 2);
	if (!fine) {
		fix_give(REASM_UP, fix_fragment(&g, 408, 8, true));
		ck_assert_uint_eq(dropped(REASM_LATE), 1);
	}
	fix_close();
}
END_TEST

START_TEST(a_tcp_header_with_options_must_be_in_the_first_fragment_unless_tiny_ones_may_pass)
{
	struct fix_datagram g = { .version = _i % 2 ? 6 : 4, .id = 1, .length = 400,
				  .protocol = IPPROTO_TCP };
	struct nbl *n = fix_fragment(&g, 0, 32, true);

	nbl_nb_data(&n->nb)[header_of(&g) + 12] = 0x90;	/* 36 bytes */
	fix_open(_i / 2 ? "tiny=pass" : "tiny=drop");
	fix_give(REASM_UP, n);
	ck_assert_uint_eq(dropped(REASM_TINY), _i / 2 ? 0 : 1);
	fix_close();
}
END_TEST

START_TEST(RFC_7112_ipv6_extension_headers_must_end_in_the_first_fragment)
{
	struct fix_datagram g = { .version = 6, .id = 1, .length = 400,
				  .protocol = IPPROTO_DSTOPTS };
	struct nbl *n = fix_fragment(&g, 0, 24, true);
	uint8_t *options = nbl_nb_data(&n->nb) + header_of(&g);

	options[0] = IPPROTO_UDP;
	options[1] = (uint8_t)_i; /* 8, 16 bytes: UDP follows; 24: it does not; more: cut short */
	fix_open("");
	fix_give(REASM_UP, n);
	ck_assert_uint_eq(dropped(REASM_TINY), _i < 2 ? 0 : 1);
	fix_close();
}
END_TEST

START_TEST(RFC_7112_a_fragment_in_a_fragment_hides_the_transport_header)
{
	struct fix_datagram g = { .version = 6, .id = 1, .length = 400,
				  .protocol = _i ? IPPROTO_DSTOPTS : IPPROTO_FRAGMENT };
	struct nbl *n = fix_fragment(&g, 0, 24, true);

	memcpy(nbl_nb_data(&n->nb) + header_of(&g), "\x2c\0\0\0\0\0\0\0", 8);
	fix_open("");
	fix_give(REASM_UP, n);
	ck_assert_uint_eq(dropped(REASM_TINY), 1);
	fix_close();
}
END_TEST

/* Part 'i' of 'g' with an extension header in each 8 bytes of options. */
static struct nbl *part_with_headers(const struct fix_datagram *g, uint32_t i)
{
	struct nbl *n = part(g, i);
	uint8_t *options = nbl_nb_data(&n->nb) + 14 + 40;

	for (int at = 0; at < g->n_options; at += 8) {
		options[at] = at + 8 < g->n_options ? IPPROTO_DSTOPTS : IPPROTO_FRAGMENT;
		options[at + 1] = 0;
	}
	return n;
}

START_TEST(no_number_of_extension_headers_hides_a_fragment)
{
	struct fix_datagram g = { .version = 6, .id = 1, .length = 2 * PART,
				  .n_options = (uint8_t)(8 * (_i + 1)) };

	fix_open("");
	for (uint32_t i = 0; i < 2; i++)
		fix_give(REASM_UP, part_with_headers(&g, i));
	/* beyond REASM_MAX_HEADER they are dropped, but seen */
	ck_assert_uint_eq(fix_figures()->n_fragments, 2);
	ck_assert_uint_eq(fix_figures()->n_cut + dropped(REASM_HEADER) / 2, 1);
	fix_close();
}
END_TEST

START_TEST(extension_headers_are_seen_through_wherever_segments_part)
{
	struct fix_datagram g = { .version = 6, .id = 1, .length = 2 * PART, .n_options = 40 };

	fix_open("");
	for (uint32_t at = 1; at < header_of(&g) + 60; at++) {
		for (uint32_t i = 0; i < 2; i++)
			fix_give(REASM_UP, split(part_with_headers(&g, i), at));
		ck_assert_uint_eq(fix_figures()->n_fragments, 2 * at);
		ck_assert_uint_eq(fix_figures()->n_cut, at);
		fix_end_all();
	}
	fix_close();
}
END_TEST

START_TEST(fragments_must_agree_on_the_end)
{
	struct fix_datagram g = { .version = 4, .id = 1, .length = 9999 };

	fix_open("");
	switch (_i) {
	case 0:		/* two ends */
		fix_give(REASM_UP, fix_fragment(&g, 800, 100, false));
		fix_give(REASM_UP, fix_fragment(&g, 400, 100, false));
		break;
	case 1:		/* something behind the end, that came before it */
		fix_give(REASM_UP, fix_fragment(&g, 800, 96, true));
		fix_give(REASM_UP, fix_fragment(&g, 400, 100, false));
		break;
	case 2:		/* and after it */
		fix_give(REASM_UP, fix_fragment(&g, 400, 100, false));
		fix_give(REASM_UP, fix_fragment(&g, 800, 96, true));
		break;
	}
	ck_assert_uint_eq(dropped(REASM_LENGTH), 2);
	ck_assert_uint_eq(fix.n_back[REASM_UP], 2);
	fix_close();
}
END_TEST

START_TEST(a_whole_that_only_its_headers_make_too_long_is_dropped)
{
	struct fix_datagram g = { .version = _i ? 6 : 4, .id = 1, .n_options = 16,
				  .length = 65535 - 16 };
	uint32_t size = 1400, n = 0;

	fix_open("");
	for (uint32_t at = 0; at < g.length; at += size, n++)
		fix_give_part(&g, at, g.length - at < size ? g.length - at : size);
	/* IPv4 has 20 bytes more; IPv6 counts the extension header alone */
	ck_assert_uint_eq(fix.went[REASM_UP].n, _i ? 1 : 0);
	ck_assert_uint_eq(dropped(REASM_TOO_LONG), _i ? 0 : n);
	fix_close();
}
END_TEST

START_TEST(a_fragment_whose_header_lies_is_dropped_alone)
{
	struct fix_datagram g = { .version = _i < 3 ? 4 : 6, .id = 1, .length = 2 * PART };
	struct nbl *n = fix_fragment(&g, PART, PART, false);
	uint8_t *ip = nbl_nb_data(&n->nb) + 14;

	fix_open("");
	fix_give_part(&g, 0, PART);
	switch (_i) {
	case 0: ip[10] ^= 1; break;			/* checksum */
	case 1: ip[0] = 0x44; break;			/* header of 16 bytes */
	case 2: reasm_put16(ip + 2, 19); break;		/* less than a header in all */
	case 3: reasm_put16(ip + 4, 7); break;		/* no room for the fragment header */
	case 4: n->nb.data_length = 14 + 40 + 6; break;	/* cut short in it */
	}
	fix_give(REASM_UP, _i && _i < 3 ? fixed(&g, n) : n);
	ck_assert_uint_eq(dropped(_i ? REASM_HEADER : REASM_CHECKSUM), 1);
	ck_assert_uint_eq(fix_figures()->n_held, 1);
	fix_give_part(&g, PART, PART);
	fix_check_datagram(&g, fix_only_one(REASM_UP), PART + (_i < 3 ? 20 : 48));
	fix_close();
}
END_TEST

START_TEST(more_than_64_fragments_drop_the_datagram)
{
	struct fix_datagram g =
		{ .version = 4, .id = 1, .length = 8 * (REASM_MAX_PIECES + (uint32_t)_i) };

	fix_open("");
	for (uint32_t i = 0; i < REASM_MAX_PIECES + (uint32_t)_i; i++)
		fix_give_part(&g, 8 * i, 8);
	if (_i)
		ck_assert_uint_eq(dropped(REASM_TOO_MANY), REASM_MAX_PIECES + 1);
	else
		ck_assert_uint_eq(fix_check_datagram(&g, fix_only_one(REASM_UP), 28),
				  REASM_MAX_PIECES);
	fix_close();
}
END_TEST

/*
 * The first fragment's headers go in front of all that are made. Where they leave almost no room
 * in the longest that came, a few fragments would become a flood: they go on as they came.
 */
START_TEST(long_headers_of_the_first_fragment_do_not_multiply_the_others)
{
	struct fix_datagram first = { .version = _i ? 6 : 4, .id = 1, .n_options = _i ? 160 : 40,
				      .protocol = 200 };
	struct fix_datagram rest = first;
	uint32_t part = first.n_options, n = REASM_MAX_PIECES, n_packets = 0;

	rest.n_options = 0;
	first.length = rest.length = 8 + (n - 1) * part;
	fix_open("");
	fix_give_part(&first, 0, 8);
	for (uint32_t i = 0; i < n - 1; i++)
		fix_give_part(&rest, 8 + i * part, part);
	for (uint32_t i = 0; i < fix.went[REASM_UP].n; i++) {
		for (const struct nbl_nb *nb = fix.went[REASM_UP].nbls[i]->first_nb; nb; nb = nb->next)
			n_packets++;
	}
	ck_assert_uint_eq(fix_dropped(), 0);
	ck_assert_uint_gt(n_packets, 0);
	ck_assert_uint_le(n_packets, REASM_MAX_PIECES);
	fix_close();
}
END_TEST

/* ---- random ---- */

/*
 * A fragment of one of a few datagrams, often the right one, often with bytes changed or cut off.
 */
static struct nbl *random_fragment(struct fix_datagram *gs, uint32_t n_gs)
{
	struct fix_datagram *g = &gs[(uint32_t)rand() % n_gs];
	uint32_t units = g->length / 8, at = (uint32_t)rand() % units, n = 1 + (uint32_t)rand() % 4;
	struct nbl *r;

	n = at + n > units ? units - at : n;
	if (rand() % 20)
		at = at / 4 * 4, n = units - at < 4 ? units - at : 4;	/* without overlaps */
	r = fix_fragment(g, 8 * at, 8 * n, at + n != units);
	for (int changes = rand() % 6 ? 0 : 1 + rand() % 4; changes; changes--)
		nbl_nb_data(&r->nb)[(uint32_t)rand() % r->nb.data_length] = (uint8_t)rand();
	if (rand() % 2)
		fixed(g, r);
	if (!(rand() % 30))
		r->nb.data_length = (uint32_t)rand() % (r->nb.data_length + 1);
	if (!(rand() % 100))
		*g = (struct fix_datagram){ .version = rand() % 2 ? 6 : 4,
					    .n_tags = (uint8_t)(rand() % 3),
					    .id = (uint32_t)rand() & 0xffff,
					    .salt = (uint32_t)rand() % 4,
					    .protocol = 200,
					    .length = 8 * (2 + (uint32_t)rand() % 100) };
	return r;
}

START_TEST(INV_1_random_and_mutated_fragments_never_lose_or_double_a_packet)
{
	struct fix_datagram gs[12];
	const char *seed = getenv("UNIT_SEED");

	srand(seed ? (unsigned int)atoi(seed) : 1);
	for (uint32_t i = 0; i < N_ELEMENTS(gs); i++)
		gs[i] = (struct fix_datagram){ .version = i % 2 ? 6 : 4, .id = i,
					       .length = 64 + 8 * i, .protocol = 200 };
	fix_open(_i ? "out=whole max-frames=40 max-datagrams=9 timeout=20" :
		 "max-frames=100 timeout=5");
	for (uint32_t i = 0; i < 200000; i++) {
		fix.ends_at_once = rand() % 2;
		fix_give(rand() % 2 ? REASM_UP : REASM_DOWN, random_fragment(gs, N_ELEMENTS(gs)));
		if (!(rand() % 50))
			fix_wait(1);
		if (!(rand() % 200))
			fix_end_all();
		if (!(rand() % 2000)) {
			nbl_module_reasm.pause(&fix.f);
			fix_end_all();
			fix_assert_figures();
		}
		fix.originate_result = rand() % 100 ? 0 : -ESHUTDOWN;
	}
	printf("%llu cut, %llu whole, %llu evicted, %llu in time out\n",
	       (unsigned long long)fix_figures()->n_cut, (unsigned long long)fix_figures()->n_whole,
	       (unsigned long long)fix_figures()->n_evicted,
	       (unsigned long long)fix_figures()->n_timeouts);
	ck_assert_uint_gt(fix_figures()->n_cut + fix_figures()->n_whole, 300);
	fix_close();
}
END_TEST

/* ---- options ---- */

static const struct {
	const char *key, *value, *error;
} options[] = {
	{ "max-frames", "1", NULL }, { "max-frames", "4096", NULL },
	{ "max-datagrams", "1024", NULL },
	{ "timeout", "60000", NULL }, { "out", "whole", NULL }, { "out", "fragments", NULL },
	{ "tiny", "pass", NULL }, { "tiny", "drop", NULL },
	{ "max-frames", "4097", "reasm: max-frames must be a number from 1 to 4096, not '4097'" },
	{ "max-frames", "0", "reasm: max-frames must be a number from 1 to 4096, not '0'" },
	{ "max-datagrams", "1025",
	  "reasm: max-datagrams must be a number from 1 to 1024, not '1025'" },
	{ "timeout", "1s", "reasm: timeout must be a number from 1 to 60000, not '1s'" },
	{ "timeout", "", "reasm: timeout must be a number from 1 to 60000, not ''" },
	{ "out", "both", "reasm: out must be whole or fragments, not 'both'" },
	{ "tiny", "", "reasm: tiny must be drop or pass, not ''" },
	{ "ms", "1",
	  "reasm: no option 'ms' (EINVAL). Try: max-frames=N max-datagrams=N timeout=MS out=whole "
	  "tiny=pass" },
};

START_TEST(reasm_takes_or_refuses_an_option_with_one_sentence)
{
	const struct nbl_option o = { options[_i].key, options[_i].value };
	char error[128] = "";
	void *context = NULL;

	ck_assert_int_eq(nbl_module_reasm.attach(&o, 1, &context, error, sizeof(error)),
			 options[_i].error ? -EINVAL : 0);
	ck_assert_str_eq(error, options[_i].error ? options[_i].error : "");
	ck_assert(!context == !!options[_i].error);
	nbl_module_reasm.detach(context);
}
END_TEST

START_TEST(every_reason_has_a_name_of_its_own)
{
	for (int i = 0; i < REASM_N_REASONS; i++)
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(reasm_reason_name((enum reasm_reason)i),
					 reasm_reason_name((enum reasm_reason)j));
	ck_assert_str_eq(reasm_reason_name(REASM_N_REASONS), "?");
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ RFC_5722_two_fragments_that_overlap_in_any_way_drop_the_datagram, 2 },
		{ an_overlap_is_found_wherever_in_the_datagram_it_is, 8 },
		{ the_same_fragment_again_is_dropped_alone, 2 },
		{ the_same_place_with_other_bytes_is_an_overlap, 2 },
		{ teardrop_and_its_kin_drop_the_datagram, 4 },
		{ a_fragment_that_cannot_be_drops_the_datagram_and_says_why,
		  2 * (int)N_ELEMENTS(lies) },
		{ a_tcp_header_with_options_must_be_in_the_first_fragment_unless_tiny_ones_may_pass,
		  4 },
		{ RFC_7112_ipv6_extension_headers_must_end_in_the_first_fragment, 5 },
		{ RFC_7112_a_fragment_in_a_fragment_hides_the_transport_header, 2 },
		{ no_number_of_extension_headers_hides_a_fragment, 30 },
		{ extension_headers_are_seen_through_wherever_segments_part, 1 },
		{ fragments_must_agree_on_the_end, 3 },
		{ a_whole_that_only_its_headers_make_too_long_is_dropped, 2 },
		{ a_fragment_whose_header_lies_is_dropped_alone, 5 },
		{ more_than_64_fragments_drop_the_datagram, 2 },
		{ long_headers_of_the_first_fragment_do_not_multiply_the_others, 2 },
		{ INV_1_random_and_mutated_fragments_never_lose_or_double_a_packet, 2 },
		{ reasm_takes_or_refuses_an_option_with_one_sentence, (int)N_ELEMENTS(options) },
		{ every_reason_has_a_name_of_its_own, 1 },
	};

	return fix_run("reasm against liars", tests, N_ELEMENTS(tests));
}
