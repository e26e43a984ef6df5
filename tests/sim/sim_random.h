/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim_random.h - numbers from one 64-bit seed, the same on every
 * machine: xoshiro256**, seeded by splitmix64.
 */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include <nbl/contract.h>

struct sim_random {
	uint64_t s[4];
};

/* One step of splitmix64: moves 'state' on (borrows) and returns a number. */
static inline uint64_t sim_split(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static inline struct sim_random sim_random(uint64_t seed)
{
	struct sim_random r;

	for (int i = 0; i < 4; i++)
		r.s[i] = sim_split(&seed);
	return r;
}

static inline uint64_t sim_next(struct sim_random *r)
{
	uint64_t *s = r->s, v = s[1] * 5, t = s[1] << 17;

	v = (v << 7 | v >> 57) * 9;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = s[3] << 45 | s[3] >> 19;
	return v;
}

/* A number below 'n', which must not be 0. */
static inline uint32_t sim_below(struct sim_random *r, uint32_t n)
{
	return (uint32_t)(((sim_next(r) >> 32) * n) >> 32);
}

/* True once in 'n' times. */
static inline bool sim_once_in(struct sim_random *r, uint32_t n)
{
	return !sim_below(r, n);
}

static inline bool sim_percent(struct sim_random *r, uint32_t percent)
{
	return sim_below(r, 100) < percent;
}

/* A digest of 'n' bytes (borrows): no two packets that differ are taken for the same by chance. */
static inline uint64_t sim_digest(const void *bytes, uint32_t n, uint64_t digest)
{
	const uint8_t *at = bytes;
	uint64_t word;

	for (; n >= 8; n -= 8, at += 8) {
		__builtin_memcpy(&word, at, 8);
		digest = (digest ^ word) * 0x9fb21c651e98df25ull;
		digest ^= digest >> 29;
	}
	word = n;
	for (; n; n--)
		word = word << 8 | *at++;
	digest = (digest ^ word) * 0x9fb21c651e98df25ull;
	return digest ^ digest >> 32;
}

#endif
