/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * unit.h - the fixture of the core's unit tests, and the oracle at its end.
 *
 * setup makes two pools and a home with receive frames; teardown then claims:
 * every pool is full, every receive NBL came home exactly once per time it was
 * armed, no byte outside a segment was written, and the violations counted are
 * those the test expected.
 */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nbl/chain.h>
#include <nbl/derive.h>
#include <nbl/pool.h>
#include <nbl/window.h>

#include "core/nbl_internal.h"
#include "core/pool_internal.h"
#include "unit/run.h"

#define UNIT_N_RECEIVE 16
#define UNIT_FRAME_SIZE 4096
#define UNIT_MAX_SEGMENTS 8
#define UNIT_GAP 16			/* guard bytes between the segments of a frame */
#define UNIT_GUARD 0xee
#define UNIT_DATA_FRAME_SIZE 256
#define UNIT_DATA_HEADROOM 32
#define UNIT_N_DATA_FRAMES 24
#define UNIT_N_NBLS 12
#define UNIT_LOG_MAX 4096

#define UNIT_UNUSED __attribute__((unused))

/* Stands for the lane: receive frames, and who came home in which order. */
struct unit_home {
	struct nbl_home home;
	struct nbl nbls[UNIT_N_RECEIVE];
	struct nbl_segment segments[UNIT_N_RECEIVE][UNIT_MAX_SEGMENTS];
	uint8_t frames[UNIT_N_RECEIVE][UNIT_FRAME_SIZE];
	uint32_t in_use[UNIT_N_RECEIVE];	/* bytes that segments cover, with gaps */
	unsigned int armed[UNIT_N_RECEIVE];
	_Atomic unsigned int released[UNIT_N_RECEIVE];
	_Atomic unsigned int n_guards_broken;
};

struct unit {
	struct unit_home home;
	struct nbl_pool *pool;		/* descriptors only */
	struct nbl_pool *data;		/* descriptors and frames */
	uint64_t violations_before;
	uint64_t violations_expected;
};

static struct unit unit;

/* True if no byte of the frame of 'n' outside its first segments was written. */
static bool unit_guards_hold(const struct nbl *n, uint32_t i)
{
	const uint8_t *end = unit.home.frames[i];
	const struct nbl_segment *s = &n->segment;

	for (uint32_t k = 0; end < unit.home.frames[i] + unit.home.in_use[i]; k++) {
		end = s->base + s->length;
		for (uint32_t j = 0; j < UNIT_GAP; j++) {
			if (end[j] != UNIT_GUARD)
				return false;
		}
		end += UNIT_GAP;
		s = &unit.home.segments[i][k];
	}
	return true;
}

static void unit_home_release(struct nbl_home *home, struct nbl *n)
{
	uint32_t i = n->segment.frame;

	(void)home;
	if (!unit_guards_hold(n, i))
		unit.home.n_guards_broken++;
	unit.home.released[i]++;
}

UNIT_UNUSED static unsigned int unit_n_released(const struct nbl *n)
{
	return unit.home.released[n->segment.frame];
}

UNIT_UNUSED static bool unit_is_home(const struct nbl *n)
{
	return unit_n_released(n) == unit.home.armed[n->segment.frame];
}

/*
 * A receive NBL of 'length' pattern bytes that begin 'headroom' bytes into
 * 'n_segments' segments of 'sizes' bytes each. Owned: nbl_release().
 */
UNIT_UNUSED static struct nbl *unit_receive_over(uint32_t headroom, const uint32_t *sizes,
						 uint32_t n_segments, uint32_t length)
{
	uint32_t i, at = 0, pos = 0;
	struct nbl_segment *s;
	struct nbl *n;

	for (i = 0; i < UNIT_N_RECEIVE && unit.home.armed[i] != unit.home.released[i]; i++)
		;
	ck_assert_msg(i < UNIT_N_RECEIVE, "the fixture has too few receive frames for this test");
	memset(unit.home.frames[i], UNIT_GUARD, UNIT_FRAME_SIZE);
	n = &unit.home.nbls[i];
	nbl_init_receive(n, &unit.home.home, unit.home.frames[i], sizes[0], i);
	nbl_arm_receive(n, headroom, length);
	unit.home.armed[i]++;
	s = &n->segment;
	for (uint32_t k = 0; k < n_segments; k++) {
		if (k) {
			s->next = &unit.home.segments[i][k - 1];
			s = s->next;
			*s = (struct nbl_segment){ .frame = i };
		}
		s->base = unit.home.frames[i] + at;
		s->length = sizes[k];
		for (uint32_t j = 0; j < sizes[k]; j++, pos++)
			s->base[j] = pos < headroom ? 0xaa : (uint8_t)((pos - headroom) * 7 + 1);
		at += sizes[k] + UNIT_GAP;
	}
	ck_assert_uint_le(at, UNIT_FRAME_SIZE);
	unit.home.in_use[i] = at;
	for (s = &n->segment; s->next && n->nb.current_offset >= s->length; s = s->next)
		n->nb.current_offset -= s->length;
	n->nb.current_segment = s;
	ck_assert(nbl_nb_is_sound(&n->nb));
	return n;
}

/* The same in one segment with 64 bytes of room behind. */
UNIT_UNUSED static struct nbl *unit_receive(uint32_t headroom, uint32_t length)
{
	uint32_t size = headroom + length + 64;

	return unit_receive_over(headroom, &size, 1, length);
}

/* Byte 'i' of the pattern above. */
UNIT_UNUSED static uint8_t unit_pattern(uint32_t i)
{
	return (uint8_t)(i * 7 + 1);
}

/* Used byte 'at' of 'nb', found without the library. */
UNIT_UNUSED static uint8_t *unit_byte(const struct nbl_nb *nb, uint32_t at)
{
	const struct nbl_segment *s = nb->first_segment;

	at += nb->data_offset;
	for (; at >= s->length; s = s->next)
		at -= s->length;
	return s->base + at;
}

/* True if the used bytes of 'nb' are the pattern. Asserts are system calls, so not one per byte. */
UNIT_UNUSED static bool unit_has_pattern(const struct nbl_nb *nb)
{
	for (uint32_t i = 0; i < nb->data_length; i++) {
		if (*unit_byte(nb, i) != unit_pattern(i))
			return false;
	}
	return true;
}

UNIT_UNUSED static void unit_assert_pattern(const struct nbl_nb *nb, uint32_t length)
{
	ck_assert_uint_eq(nb->data_length, length);
	ck_assert(nbl_nb_is_sound(nb));
	ck_assert(unit_has_pattern(nb));
}

UNIT_UNUSED static uint32_t unit_n_segments(const struct nbl_nb *nb)
{
	uint32_t n = 0;

	for (const struct nbl_segment *s = nb->first_segment; s; s = s->next)
		n++;
	return n;
}

/* Takes from 'f' until 'keep' are left. Fills 'taken'; returns how many. */
UNIT_UNUSED static uint32_t unit_hog(struct freelist *f, uint32_t keep, uint32_t *taken)
{
	uint32_t n = 0;

	while (freelist_n_free(f) > keep)
		taken[n++] = freelist_take(f);
	return n;
}

UNIT_UNUSED static void unit_unhog(struct freelist *f, const uint32_t *taken, uint32_t n)
{
	while (n)
		freelist_give(f, taken[--n]);
}

UNIT_UNUSED static struct nbl_pool *unit_pool_new(uint32_t n_nbls, uint32_t n_frames,
						  uint32_t frame_size, uint32_t headroom)
{
	struct nbl_pool_params params = {
		.name = "unit",
		.n_nbls = n_nbls,
		.n_frames = n_frames,
		.frame_size = frame_size,
		.headroom = headroom,
	};
	struct nbl_pool *pool = NULL;

	ck_assert_int_eq(nbl_pool_new(&params, &pool), 0);
	return pool;
}

UNIT_UNUSED static void unit_assert_full(const struct nbl_pool *pool)
{
	struct nbl_pool_counts c;

	nbl_pool_get_counts(pool, &c);
	ck_assert_uint_eq(c.nbls_free, c.n_nbls);
	ck_assert_uint_eq(c.frames_free, c.n_frames);
	ck_assert(freelist_is_full(&pool->free_nbs));
	ck_assert(freelist_is_full(&pool->free_segments));
}

UNIT_UNUSED static uint32_t unit_frames_free(const struct nbl_pool *pool)
{
	struct nbl_pool_counts c;

	nbl_pool_get_counts(pool, &c);
	return c.frames_free;
}

/* The test has broken 'n' rules so far, each of them was counted, and that is as it should be. */
UNIT_UNUSED static void unit_expect_violations(uint64_t n)
{
	unit.violations_expected = n;
	ck_assert_uint_eq(nbl_violations() - unit.violations_before, n);
}

/* Derived in the fixture's pools. Owned: nbl_free_clone(). */
UNIT_UNUSED static struct nbl *unit_deep_clone(struct nbl *n)
{
	struct nbl *clone = NULL;

	ck_assert_int_eq(nbl_alloc_deep_clone(n, unit.pool, unit.data, &clone), 0);
	ck_assert_ptr_nonnull(clone);
	return clone;
}

UNIT_UNUSED static struct nbl *unit_clone(struct nbl *n)
{
	struct nbl *clone = nbl_alloc_clone(n, unit.pool);

	ck_assert_ptr_nonnull(clone);
	return clone;
}

static void unit_setup(void)
{
	memset(&unit, 0, sizeof(unit));
	unit.home.home.release = unit_home_release;
	unit.pool = unit_pool_new(UNIT_N_NBLS, 0, 0, 0);
	unit.data = unit_pool_new(UNIT_N_NBLS, UNIT_N_DATA_FRAMES, UNIT_DATA_FRAME_SIZE,
				  UNIT_DATA_HEADROOM);
	nbl_set_default_pools(NULL, NULL);
	unit.violations_before = nbl_violations();
}

static void unit_teardown(void)
{
	for (uint32_t i = 0; i < UNIT_N_RECEIVE; i++)
		ck_assert_msg(unit.home.armed[i] == unit.home.released[i],
			      "receive NBL %u was armed %u times and came home %u times", i,
			      unit.home.armed[i], unit.home.released[i]);
	ck_assert_uint_eq(unit.home.n_guards_broken, 0);
	unit_assert_full(unit.pool);
	unit_assert_full(unit.data);
	ck_assert_int_eq(nbl_pool_free(unit.pool), 0);
	ck_assert_int_eq(nbl_pool_free(unit.data), 0);
	ck_assert_uint_eq(nbl_violations() - unit.violations_before, unit.violations_expected);
}

/* A repeatable stream of numbers: xorshift64. */
struct unit_random {
	uint64_t state;
};

UNIT_UNUSED static struct unit_random unit_random(uint64_t seed)
{
	const char *s = getenv("UNIT_SEED");

	if (s)
		seed = strtoull(s, NULL, 0);
	printf("seed %#llx (UNIT_SEED to change)\n", (unsigned long long)seed);
	return (struct unit_random){ .state = seed ? seed : 1 };
}

UNIT_UNUSED static uint32_t unit_random_below(struct unit_random *r, uint32_t n)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return (uint32_t)(r->state >> 11) % n;
}

/* Runs 'tests' with the fixture around each; returns the exit status of the program. */
UNIT_UNUSED static int unit_run(const char *name, const struct unit_test *tests, size_t n_tests)
{
	return unit_run_with(name, tests, n_tests, 60, unit_setup, unit_teardown);
}

#endif
