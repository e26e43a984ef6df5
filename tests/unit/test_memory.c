/* SPDX-License-Identifier: BSD-2-Clause */
/* test_memory.c - the memory a successor maps: the same, or refused. */
#include <fcntl.h>
#include <sys/stat.h>

#include "unit/lane_fixture.h"

#define HEADER_SIZE 36u		/* magic, layout, six numbers of shape, sum */

static const struct nbl_memory_shape good = {
	.frame_size = 2048, .n_queues = 3, .frames_per_queue = 33, .n_pool_frames = 2,
	.n_lanes = 1, .lane_block_size = 192,
};

static struct nbl_memory made(void)
{
	struct nbl_memory m = { .fd = -1 };

	ck_assert_int_eq(nbl_memory_create(&good, &m), 0);
	return m;
}

static uint32_t n_open_fds(void)
{
	uint32_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

START_TEST(a_successor_finds_every_part_where_it_was)
{
	struct nbl_memory m = made(), other = { .fd = -1 };
	uint32_t n_frames = nbl_memory_n_frames(&good);

	ck_assert_uint_eq(n_frames, 101);
	m.ledger.entries[0] = 1;
	m.ledger.entries[n_frames - 1] = 2;
	m.lane_blocks[0] = 3;
	m.lane_blocks[good.lane_block_size - 1] = 4;
	m.frames[0] = 5;
	m.frames[m.frames_size - 1] = 6;
	ck_assert_int_eq(nbl_memory_adopt(dup(m.fd), &other), 0);
	ck_assert_uint_eq(other.ledger.entries[0], 1);
	ck_assert_uint_eq(other.ledger.entries[n_frames - 1], 2);
	ck_assert_uint_eq(other.lane_blocks[0], 3);
	ck_assert_uint_eq(other.lane_blocks[good.lane_block_size - 1], 4);
	ck_assert_uint_eq(other.frames[0], 5);
	ck_assert_uint_eq(other.frames[other.frames_size - 1], 6);
	ck_assert_mem_eq(&other.shape, &good, sizeof(good));
	ck_assert_uint_eq((uintptr_t)other.frames % 4096, 0);
	nbl_memory_close(&other);
	nbl_memory_close(&m);
}
END_TEST

START_TEST(no_part_reaches_into_another)
{
	struct nbl_memory m = made();
	uint8_t *ledger = (uint8_t *)(uintptr_t)m.ledger.entries;

	ck_assert(ledger >= m.base + HEADER_SIZE);
	ck_assert(m.lane_blocks >= ledger + nbl_memory_n_frames(&good) * sizeof(uint64_t));
	ck_assert(m.frames >= m.lane_blocks + good.n_lanes * good.lane_block_size);
	ck_assert_uint_ge(m.frames_size, nbl_memory_n_frames(&good) * good.frame_size);
	ck_assert_ptr_eq(m.frames + m.frames_size, m.base + m.size);
	nbl_memory_close(&m);
}
END_TEST

START_TEST(a_header_with_any_byte_changed_is_refused_and_the_descriptor_closed)
{
	struct nbl_memory m = made(), other;
	uint32_t fds = n_open_fds();

	for (uint32_t at = 0; at < HEADER_SIZE; at++) {
		uint8_t right = m.base[at];

		for (uint32_t wrong = 0; wrong < 256; wrong++) {
			if (wrong == right)
				continue;
			m.base[at] = (uint8_t)wrong;
			if (nbl_memory_adopt(dup(m.fd), &other) != -EPROTO)
				ck_abort_msg("byte %u as %u, not %u, was accepted", at, wrong,
					     right);
		}
		m.base[at] = right;
	}
	ck_assert_uint_eq(n_open_fds(), fds);
	ck_assert_int_eq(nbl_memory_adopt(dup(m.fd), &other), 0);
	nbl_memory_close(&other);
	nbl_memory_close(&m);
}
END_TEST

START_TEST(a_file_of_another_size_is_refused)
{
	const off_t changes[] = { -4096, -1, 1, 4096 };
	struct nbl_memory m = made(), other;
	int fd = memfd_create("copy", MFD_CLOEXEC);

	for (size_t i = 0; i < N_ELEMENTS(changes); i++) {
		ck_assert_int_eq(ftruncate(fd, (off_t)m.size + changes[i]), 0);
		ck_assert_int_eq(pwrite(fd, m.base, HEADER_SIZE, 0), HEADER_SIZE);
		ck_assert_int_eq(nbl_memory_adopt(dup(fd), &other), -EPROTO);
	}
	ck_assert_int_eq(ftruncate(fd, (off_t)m.size), 0);
	ck_assert_int_eq(nbl_memory_adopt(dup(fd), &other), 0);
	nbl_memory_close(&other);
	close(fd);
	nbl_memory_close(&m);
}
END_TEST

START_TEST(what_is_no_memory_at_all_is_refused)
{
	struct nbl_memory other;
	int fds[2];

	ck_assert_int_eq(nbl_memory_adopt(memfd_create("empty", 0), &other), -EPROTO);
	ck_assert_int_eq(nbl_memory_adopt(open("/dev/null", O_RDWR), &other), -EPROTO);
	ck_assert_int_eq(nbl_memory_adopt(open("/", O_RDONLY), &other), -EPROTO);
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(nbl_memory_adopt(fds[0], &other), -EPROTO);
	ck_assert_int_eq(nbl_memory_adopt(-1, &other), -EPROTO);
	close(fds[1]);
}
END_TEST

static const struct nbl_memory_shape bad_shapes[] = {
	{ 0, 3, 33, 2, 1, 192 }, { 2047, 3, 33, 2, 1, 192 }, { 1024, 3, 33, 2, 1, 192 },
	{ 3072, 3, 33, 2, 1, 192 }, { 131072, 3, 33, 2, 1, 192 }, { 2048, 0, 33, 2, 1, 192 },
	{ 2048, 1025, 33, 2, 1, 192 }, { 2048, 3, 0, 2, 1, 192 },
	{ 2048, 3, UINT32_MAX, 2, 1, 192 },
	{ 2048, 3, 1u << 23, 2, 1, 192 }, { 2048, 3, 33, UINT32_MAX, 1, 192 },
	{ 2048, 3, 33, 2, 0, 192 },
	{ 2048, 3, 33, 2, 4, 192 }, { 2048, 3, 33, 2, 1, 0 }, { 2048, 3, 33, 2, 1, 100 },
	{ 2048, 3, 33, 2, 1, 2u << 20 },
};

START_TEST(an_impossible_shape_is_refused_and_nothing_made)
{
	struct nbl_memory m = { .fd = -77 };
	uint32_t fds = n_open_fds();

	ck_assert_int_eq(nbl_memory_create(&bad_shapes[_i], &m), -EINVAL);
	ck_assert_int_eq(m.fd, -77);
	ck_assert_uint_eq(n_open_fds(), fds);
}
END_TEST

START_TEST(nobody_can_change_the_size_of_the_memory)
{
	struct nbl_memory m = made();

	ck_assert_int_eq(ftruncate(m.fd, 4096), -1);
	ck_assert_int_eq(ftruncate(m.fd, (off_t)m.size * 2), -1);
	ck_assert_int_eq(fcntl(m.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	nbl_memory_close(&m);
}
END_TEST

START_TEST(closing_twice_is_closing_once)
{
	struct nbl_memory m = made(), never = { 0 };
	uint32_t fds = n_open_fds();

	nbl_memory_close(&m);
	ck_assert_uint_eq(n_open_fds(), fds - 1);
	nbl_memory_close(&m);
	nbl_memory_close(&never);
	ck_assert_uint_eq(n_open_fds(), fds - 1);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ a_successor_finds_every_part_where_it_was, 1 },
		{ no_part_reaches_into_another, 1 },
		{ a_header_with_any_byte_changed_is_refused_and_the_descriptor_closed, 1 },
		{ a_file_of_another_size_is_refused, 1 },
		{ what_is_no_memory_at_all_is_refused, 1 },
		{ an_impossible_shape_is_refused_and_nothing_made, (int)N_ELEMENTS(bad_shapes) },
		{ nobody_can_change_the_size_of_the_memory, 1 },
		{ closing_twice_is_closing_once, 1 },
	};

	return rig_run("memory", tests, N_ELEMENTS(tests));
}
