/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reasm_fixture.h - the module reasm between an engine that is the test, and the oracle.
 *
 * The engine gives it packets in frames of its own, notes what it passes on, and ends it when
 * the test says so. At the end of each test: every packet came home exactly once,
 * pools are full, no rule was broken, nothing is held and its figures add up.
 */
#ifndef REASM_FIXTURE_H
#define REASM_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <nbl/fragment.h>
#include <nbl/info.h>
#include <nbl/window.h>

#include "core/nbl_internal.h"
#include "core/pool_internal.h"
#include "modules/modules.h"
#include "modules/reasm.h"
#include "unit/run.h"

#define FIX_UNUSED __attribute__((unused))
#define FIX_N_FRAMES 6000u
#define FIX_FRAME_SIZE 2048u
#define FIX_HEADROOM 64u
#define FIX_ID 5
#define FIX_HANDLE 77u
#define FIX_MAX_WENT 8192
#define MS 1000000ull
#define PART 400u		/* bytes of a usual fragment's payload */

/* Asserts of Check are system calls: too slow where millions of packets come by. */
#define FIX_MUST(condition) do { \
	if (!(condition)) \
		ck_abort_msg("%s", #condition); \
} while (0)

/* What passed the module on one of its paths, in order. */
struct fix_went {
	struct nbl *nbls[FIX_MAX_WENT];
	uint32_t n;
};

static struct fix {
	struct nbl_home home;
	struct nbl *nbls;
	uint8_t *frames;
	uint32_t free[FIX_N_FRAMES];
	uint32_t n_free;
	struct nbl_segment seconds[FIX_N_FRAMES];	/* for packets of two segments */
	struct nbl_pool *pool;
	struct nbl_filter f;
	struct fix_went went[REASM_N_DIRECTIONS];	/* passed on or originated */
	uint32_t n_back[REASM_N_DIRECTIONS];	/* given back by the module */
	uint32_t outcomes[NBL_N_OUTCOMES];
	int32_t last_status;
	uint32_t n_paused;		/* calls of pause_complete */
	int originate_result;
	bool ends_at_once;		/* what is originated is back before the call returns */
	uint64_t violations_before;
} fix;

/* ---- the engine ---- */

static void fix_release(struct nbl_home *home, struct nbl *n)
{
	(void)home;
	n->nbl_flags = 0;
	fix.free[fix.n_free++] = n->segment.frame;
	FIX_MUST(fix.n_free <= FIX_N_FRAMES);
}

static void fix_went_on(enum reasm_direction direction, struct nbl_chain chain)
{
	struct fix_went *went = &fix.went[direction];
	struct nbl *n;

	while ((n = nbl_chain_pop(&chain))) {
		FIX_MUST(went->n < FIX_MAX_WENT);
		went->nbls[went->n++] = n;
	}
}

static void fix_indicated(struct nbl_filter *to, struct nbl_chain chain, uint32_t port,
			  uint32_t flags)
{
	(void)to;
	(void)port;
	if (!(flags & NBL_RECEIVE_RESOURCES))
		fix_went_on(REASM_UP, chain);
}

static void fix_sent(struct nbl_filter *to, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	(void)to;
	(void)port;
	(void)flags;
	fix_went_on(REASM_DOWN, chain);
}

static void fix_home(enum reasm_direction direction, struct nbl_chain chain)
{
	struct nbl *n;

	while ((n = nbl_chain_pop(&chain))) {
		fix.n_back[direction]++;
		fix.outcomes[n->outcome]++;
		fix.last_status = n->status;
		nbl_release(n);
	}
}

static void fix_returned(struct nbl_filter *to, struct nbl_chain chain, uint32_t port,
			 uint32_t flags)
{
	(void)to;
	(void)port;
	(void)flags;
	fix_home(REASM_UP, chain);
}

static void fix_completed(struct nbl_filter *to, struct nbl_chain chain, uint32_t port,
			  uint32_t flags)
{
	(void)to;
	(void)port;
	(void)flags;
	fix_home(REASM_DOWN, chain);
}

/* Brings what was passed on to its end: own ones and others each in calls of their own (SH-05). */
static void fix_end_some(enum reasm_direction direction, uint32_t first)
{
	struct fix_went *went = &fix.went[direction];
	const struct nbl_module *m = &nbl_module_reasm;
	uint32_t n = went->n;

	went->n = first;
	for (uint32_t i = first; i < n; i++) {
		struct nbl_chain chain = NBL_CHAIN_EMPTY;
		bool is_own = nbl_filter_is_own(&fix.f, went->nbls[i]);

		nbl_chain_append(&chain, went->nbls[i]);
		fix.f.held += !is_own;
		fix.f.n_originated -= is_own;
		if (direction == REASM_UP)
			m->receive_return(&fix.f, chain, 0);
		else
			m->send_complete(&fix.f, chain, 0);
	}
}

FIX_UNUSED static void fix_end_all(void)
{
	fix_end_some(REASM_UP, 0);
	fix_end_some(REASM_DOWN, 0);
}

static int fix_originate(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			 uint32_t flags, bool is_send)
{
	enum reasm_direction direction = is_send ? REASM_DOWN : REASM_UP;
	uint32_t first = fix.went[direction].n;

	(void)port;
	(void)flags;
	ck_assert_uint_eq(f->state, NBL_MODULE_RUNNING);
	if (fix.originate_result)
		return fix.originate_result;
	for (const struct nbl *n = chain.head; n; n = n->next) {
		ck_assert_uint_eq(n->source_handle, FIX_HANDLE);
		ck_assert_uint_eq(n->frame_type_be, nbl_frame_type_parse(n));
		for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next)
			ck_assert(nbl_nb_is_sound(nb));
	}
	f->n_originated += chain.n_nbls;
	fix_went_on(direction, chain);
	if (fix.ends_at_once)
		fix_end_some(direction, first);
	return 0;
}

static struct nbl_chain fix_stop_own(struct nbl_filter *f, struct nbl_chain chain)
{
	for (const struct nbl *n = chain.head; n; n = n->next)
		FIX_MUST(!nbl_filter_is_own(f, n));
	return chain;
}

static void fix_pause_complete(struct nbl_filter *f)
{
	(void)f;
	fix.n_paused++;
}

static const struct nbl_engine_ops fix_engine = {
	.originate = fix_originate, .stop_own = fix_stop_own, .pause_complete = fix_pause_complete,
};

/* ---- making ---- */

FIX_UNUSED static struct nbl_pool *fix_pool_new(uint32_t n_nbls, uint32_t n_pieces)
{
	const struct nbl_pool_params params = {
		.name = "reasm", .n_nbls = n_nbls, .n_frames = n_pieces, .frame_size = 512,
		.n_extra_nbs = n_pieces, .n_extra_segments = n_pieces };
	struct nbl_pool *pool;

	ck_assert_int_eq(nbl_pool_new(&params, &pool), 0);
	return pool;
}

/* Attaches with 'options' ("key=value key=value") and runs. */
static void fix_open(const char *options)
{
	struct nbl_option o[8];
	char text[256], error[256] = "", *rest = text, *word;
	struct nbl_restart restart = { .headroom_below = 32 };
	uint32_t n = 0;

	snprintf(text, sizeof(text), "%s", options);
	while ((word = strsep(&rest, " "))) {
		if (!*word)
			continue;
		o[n].key = word;
		o[n].value = strchr(word, '=') + 1;
		*strchr(word, '=') = '\0';
		n++;
	}
	fix.f = (struct nbl_filter){
		.pool = fix.pool, .max_length = { 65536 + 64, 65536 + 64 }, .handle = FIX_HANDLE,
		.id = FIX_ID, .state = NBL_MODULE_RUNNING, .originates = true, .now_ns = 1000 * MS,
		.module = &nbl_module_reasm, .engine = &fix_engine,
		.lane_state = calloc(1, nbl_module_reasm.lane_state_size),
		.indicate = { fix_indicated, NULL }, .give_back = { fix_returned, NULL },
		.send = { fix_sent, NULL }, .complete = { fix_completed, NULL },
	};
	ck_assert_int_eq(nbl_module_reasm.attach(o, n, &fix.f.context, error, sizeof(error)), 0);
	ck_assert_int_eq(nbl_module_reasm.restart(fix.f.context, &restart, error, sizeof(error)),
			 0);
}

FIX_UNUSED static const struct reasm_figures *fix_figures(void)
{
	return reasm_figures_of(&fix.f);
}

FIX_UNUSED static uint64_t dropped(enum reasm_reason reason)
{
	return fix_figures()->dropped[reason];
}

static uint64_t fix_dropped(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < REASM_N_REASONS; i++)
		sum += fix_figures()->dropped[i];
	return sum;
}

FIX_UNUSED static void fix_assert_figures(void)
{
	const struct reasm_figures *g = fix_figures();

	ck_assert_uint_eq(g->n_fragments, g->n_passed + g->n_used + fix_dropped() + g->n_held);
}

/* Ends what is out, pauses, detaches: and then nothing is anywhere but home. */
static void fix_close(void)
{
	struct nbl_pool_counts c;

	fix_end_all();
	ck_assert_int_eq(nbl_module_reasm.pause(&fix.f), 0);
	fix_end_all();
	fix_assert_figures();
	ck_assert_uint_eq(fix_figures()->n_held, 0);
	ck_assert_uint_eq(fix_figures()->frames_held, 0);
	ck_assert_int_eq(fix.f.held, 0);
	ck_assert_int_eq(fix.f.n_originated, 0);
	ck_assert_uint_eq(fix.n_free, FIX_N_FRAMES);
	nbl_pool_get_counts(fix.pool, &c);
	ck_assert_uint_eq(c.nbls_free, c.n_nbls);
	ck_assert_uint_eq(c.frames_free, c.n_frames);
	ck_assert(freelist_is_full(&fix.pool->free_nbs));
	ck_assert(freelist_is_full(&fix.pool->free_segments));
	ck_assert_uint_eq(nbl_violations(), fix.violations_before);
	nbl_module_reasm.detach(fix.f.context);
	free(fix.f.lane_state);
}

static void fix_setup(void)
{
	memset(&fix, 0, sizeof(fix));
	fix.home.release = fix_release;
	fix.nbls = aligned_alloc(NBL_CACHE_LINE, FIX_N_FRAMES * sizeof(*fix.nbls));
	fix.frames = malloc(FIX_N_FRAMES * FIX_FRAME_SIZE);
	memset(fix.frames, 0, FIX_N_FRAMES * FIX_FRAME_SIZE);
	for (uint32_t i = 0; i < FIX_N_FRAMES; i++) {
		nbl_init_receive(&fix.nbls[i], &fix.home, fix.frames + i * FIX_FRAME_SIZE,
				 FIX_FRAME_SIZE, i);
		fix.free[fix.n_free++] = FIX_N_FRAMES - 1 - i;
	}
	fix.pool = fix_pool_new(64, 4096);
	fix.violations_before = nbl_violations();
}

static void fix_teardown(void)
{
	ck_assert_int_eq(nbl_pool_free(fix.pool), 0);
	free(fix.nbls);
	free(fix.frames);
}

/* ---- packets ---- */

/* What fragments of one datagram have in common. */
struct fix_datagram {
	uint8_t version;		/* 4 or 6; 0 = 4 */
	uint8_t n_tags;
	uint8_t protocol;		/* 0 = UDP */
	uint8_t n_options;		/* bytes of IPv4 options, or of an IPv6 extension header */
	uint32_t id;
	uint32_t salt;			/* of addresses, and of the payload */
	uint32_t length;		/* of the whole payload */
	uint8_t ecn;
};

static uint8_t fix_pattern(const struct fix_datagram *g, uint32_t i)
{
	return (uint8_t)(i * 7 + (i >> 8) * 13 + g->salt * 31 + 1);
}

static uint32_t fix_mac(const struct fix_datagram *g, uint8_t *to)
{
	uint32_t at = 12;

	memcpy(to, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
	for (uint32_t i = 0; i < g->n_tags; i++, at += 4)
		memcpy(to + at, i ? "\x81\x00\x00\x07" : "\x88\xa8\x00\x05", 4);
	reasm_put16(to + at, g->version == 6 ? 0x86dd : 0x0800);
	return at + 2;
}

static uint32_t fix_ipv4(const struct fix_datagram *g, uint8_t *ip, uint32_t offset,
			 uint32_t length, bool more)
{
	uint32_t header = 20 + g->n_options;

	memset(ip, 0, header);
	ip[0] = (uint8_t)(0x40 | header / 4);
	ip[1] = g->ecn;
	reasm_put16(ip + 2, header + length);
	reasm_put16(ip + 4, g->id);
	reasm_put16(ip + 6, (more ? 0x2000 : 0) | offset >> 3);
	ip[8] = 64;
	ip[9] = g->protocol ? g->protocol : IPPROTO_UDP;
	memcpy(ip + 12, "\x0a\x00\x00\x01\x0a", 5);
	memcpy(ip + 17, &g->salt, 3);
	/* one that is copied, one that is not, ... */
	for (uint32_t i = 0; i < g->n_options; i += 4)
		memcpy(ip + 20 + i, i % 8 ? "\x07\x04\x04\x00" : "\x94\x04\x00\x00", 4);
	reasm_put16(ip + 10, reasm_header_sum(ip, header));
	return header;
}

static uint32_t fix_ipv6(const struct fix_datagram *g, uint8_t *ip, uint32_t offset,
			 uint32_t length, bool more)
{
	uint8_t *fragment = ip + 40 + g->n_options;

	memset(ip, 0, 48u + g->n_options);
	ip[0] = 0x60;
	ip[1] = (uint8_t)(g->ecn << 4);
	reasm_put16(ip + 4, 8 + g->n_options + length);
	ip[6] = g->n_options ? IPPROTO_HOPOPTS : IPPROTO_FRAGMENT;
	ip[7] = 64;
	memcpy(ip + 8, "\xfd\x99", 2);
	memcpy(ip + 24, "\xfd\x99", 2);
	memcpy(ip + 30, &g->salt, 4);
	if (g->n_options) {
		ip[40] = IPPROTO_FRAGMENT;
		ip[41] = (uint8_t)(g->n_options / 8 - 1);
	}
	fragment[0] = g->protocol ? g->protocol : IPPROTO_UDP;
	reasm_put16(fragment + 2, offset | more);
	memcpy(fragment + 4, &g->id, 4);
	return 48u + g->n_options;
}

/* An unused receive NBL over 'length' bytes, not yet written. */
static struct nbl *fix_receive(uint32_t length)
{
	uint32_t i;
	struct nbl *n;

	FIX_MUST(fix.n_free);
	i = fix.free[--fix.n_free];
	n = &fix.nbls[i];
	n->segment.base = fix.frames + i * FIX_FRAME_SIZE;
	n->segment.length = FIX_FRAME_SIZE;
	FIX_MUST(FIX_HEADROOM + length <= FIX_FRAME_SIZE);
	nbl_arm_receive(n, FIX_HEADROOM, length);
	n->holder = FIX_ID;
	return n;
}

/* A fragment of 'g'; its bytes follow the pattern from 'offset' on. */
static struct nbl *fix_fragment(const struct fix_datagram *g, uint32_t offset, uint32_t length,
				bool more)
{
	uint8_t header[512];
	uint32_t at = fix_mac(g, header);
	struct nbl *n;

	at += g->version == 6 ? fix_ipv6(g, header + at, offset, length, more)
			      : fix_ipv4(g, header + at, offset, length, more);
	n = fix_receive(at + length);
	memcpy(nbl_nb_data(&n->nb), header, at);
	for (uint32_t i = 0; i < length; i++)
		nbl_nb_data(&n->nb)[at + i] = fix_pattern(g, offset + i);
	return n;
}

/* A packet that is no fragment, with 'tag' in its payload. */
FIX_UNUSED static struct nbl *fix_plain(uint32_t tag)
{
	struct fix_datagram g = { .salt = tag };

	return fix_fragment(&g, 0, 40, false);
}

/* Number i of the parts of usual size. */
static uint32_t part_length(const struct fix_datagram *g, uint32_t i)
{
	return g->length - i * PART < PART ? g->length - i * PART : PART;
}

FIX_UNUSED static struct nbl *part(const struct fix_datagram *g, uint32_t i)
{
	uint32_t length = part_length(g, i);

	return fix_fragment(g, i * PART, length, i * PART + length != g->length);
}

/* 'n' with everything from byte 'at' on in a second segment. */
FIX_UNUSED static struct nbl *split(struct nbl *n, uint32_t at)
{
	struct nbl_segment *second = &fix.seconds[n->segment.frame];
	uint32_t length = n->nb.data_length - at;
	uint8_t *base = n->segment.base + FIX_HEADROOM + at;

	memmove(base + 16, base, length);
	memset(base, 0xee, 16);
	*second = (struct nbl_segment){ .base = base + 16, .length = length,
					.frame = n->segment.frame };
	n->segment.length = FIX_HEADROOM + at;
	n->segment.next = second;
	ck_assert(nbl_nb_is_sound(&n->nb));
	return n;
}

/* IP length of the longest of these. */
FIX_UNUSED static uint32_t longest(const struct fix_datagram *g)
{
	return PART + (g->version == 6 ? 48u : 20u) + g->n_options;
}

/* ---- giving ---- */

FIX_UNUSED static void fix_give_chain(enum reasm_direction direction, struct nbl_chain chain,
				      uint32_t flags)
{
	fix.f.held += chain.n_nbls;
	if (direction == REASM_UP)
		nbl_module_reasm.receive(&fix.f, chain, 0, flags);
	else
		nbl_module_reasm.send(&fix.f, chain, 0, flags);
}

FIX_UNUSED static void fix_give(enum reasm_direction direction, struct nbl *n)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	nbl_chain_append(&chain, n);
	fix_give_chain(direction, chain, 0);
}

/* Gives [offset, offset + length) of 'g', which is its end if it ends there. */
FIX_UNUSED static void fix_give_part(const struct fix_datagram *g, uint32_t offset, uint32_t length)
{
	fix_give(REASM_UP, fix_fragment(g, offset, length, offset + length != g->length));
}

/* Lets 'ms' go by. */
FIX_UNUSED static void fix_wait(uint64_t ms)
{
	fix.f.now_ns += ms * MS;
	if (fix.f.wake_ns && fix.f.now_ns >= fix.f.wake_ns)
		fix.f.wake_ns = nbl_module_reasm.timer(&fix.f, fix.f.now_ns);
}

/* ---- judging ---- */

/* True if the bytes lie in frames that were received: nobody copied them. */
static bool fix_is_shared(const uint8_t *bytes)
{
	return bytes >= fix.frames && bytes < fix.frames + FIX_N_FRAMES * FIX_FRAME_SIZE;
}

/*
 * One packet of what went on: its headers are right, its payload is the pattern from 'from' on, by
 * reference. Returns its payload's length.
 */
static uint32_t fix_check_packet(const struct fix_datagram *g, const struct nbl_nb *nb,
				 uint32_t from, bool more, bool whole)
{
	uint8_t expected[256], storage[4];
	struct fix_datagram as = *g;
	uint32_t header = fix_mac(g, expected), length, at = header;

	header += g->version == 6 ? 48u + g->n_options : 20u + g->n_options;
	header -= whole && g->version == 6 ? 8 : 0;
	ck_assert_uint_eq(from % 8, 0);
	ck_assert_uint_gt(nb->data_length, header);
	length = nb->data_length - header;
	ck_assert_uint_ge(nbl_nb_segment_room(nb), header);
	if (g->version == 6)
		fix_ipv6(&as, expected + at, from, length, more);
	else
		fix_ipv4(&as, expected + at, from, length, more);
	if (g->version == 6 && whole) {
		reasm_put16(expected + at + 4, g->n_options + length);
		expected[at + (g->n_options ? 40 : 6)] = g->protocol ? g->protocol : IPPROTO_UDP;
	}
	if (g->version != 6 && g->n_options && from) {
		for (uint32_t i = 4; i < g->n_options; i += 8)
			memset(expected + at + 20 + i, 1, 4);
		reasm_put16(expected + at + 10, 0);
		reasm_put16(expected + at + 10,
			    reasm_header_sum(expected + at, 20u + g->n_options));
	}
	ck_assert_mem_eq(nbl_nb_data(nb), expected, header);
	for (uint32_t i = 0; i < length; i++) {
		const uint8_t *byte = reasm_bytes_at(nb, header + i, 1, storage);

		if (*byte != fix_pattern(g, from + i) || !fix_is_shared(byte))
			ck_abort_msg("byte %u of %u is wrong, or a copy", from + i, g->length);
	}
	return length;
}

/*
 * 'n' is all of 'g', in packets whose IP length is at most 'longest' (0: in one). Returns how many.
 */
FIX_UNUSED static uint32_t fix_check_datagram(const struct fix_datagram *g, const struct nbl *n,
					      uint32_t longest)
{
	uint32_t at = 0, n_packets = 0;
	uint8_t scrap[256];

	ck_assert(nbl_filter_is_own(&fix.f, n));
	ck_assert_uint_eq(n->kind, longest ? NBL_KIND_FRAGMENTS : NBL_KIND_REASSEMBLED);
	for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next, n_packets++) {
		if (longest)
			ck_assert_uint_le(nb->data_length - fix_mac(g, scrap), longest);
		at += fix_check_packet(g, nb, at, nb->next, !longest);
	}
	ck_assert_uint_eq(at, g->length);
	return n_packets;
}

FIX_UNUSED static struct nbl *fix_only_one(enum reasm_direction direction)
{
	ck_assert_uint_eq(fix.went[direction].n, 1);
	return fix.went[direction].nbls[0];
}

static int fix_run(const char *name, const struct unit_test *tests, size_t n_tests)
{
	return unit_run_with(name, tests, n_tests, 120, fix_setup, fix_teardown);
}

#endif
