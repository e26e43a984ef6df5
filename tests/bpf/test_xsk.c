// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_xsk.c - sockets on a real kernel: packets of one entry and of several, and their
 * completions.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "netns_fixture.h"
#include "port/xsk.h"

#define FRAME 2048u
#define LENGTH 40u		/* of each entry */
#define TYPE 0x88b5		/* for experiments */

static struct nbl_memory memory;
static struct nbl_queue queue;
static struct nbl_xsk *xsk;
static int peer;

static const struct nbl_ring_sizes sizes = { 64, 64, 64, 64 };

static int refusal;		/* what a driver says to zero-copy; 0: it is really asked */

/* In the place of libc's, for libxdp too. */
__attribute__((visibility("default")))
int bind(int fd, const struct sockaddr *address, socklen_t size)
{
	struct sockaddr_xdp xdp = { 0 };

	if (refusal && address->sa_family == AF_XDP) {
		memcpy(&xdp, address, sizeof(xdp));
		if (xdp.sxdp_flags & XDP_ZEROCOPY) {
			errno = refusal;
			return -1;
		}
	}
	return (int)syscall(SYS_bind, fd, address, size);
}

static void start_with(enum nbl_zerocopy zerocopy)
{
	const struct nbl_memory_shape shape = {
		.frame_size = FRAME, .n_queues = 1, .frames_per_queue = 64, .n_pool_frames = 7,
		.n_lanes = 1, .lane_block_size = NBL_CACHE_LINE,
	};
	const struct nbl_xsk_params params = {
		.ifname = "nic", .memory = &memory, .sizes = sizes, .zerocopy = zerocopy };
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET, .sll_protocol = htons(TYPE), .sll_ifindex = (int)wire };
	char why[256] = "";

	ck_assert_int_eq(nbl_memory_create(&shape, &memory), 0);
	ck_assert_msg(nbl_xsk_open(&params, &xsk, why, sizeof(why)) == 0, "%s", why);
	ck_assert_int_eq(nbl_xsk_adopt(dup(nbl_xsk_fd(xsk)), &sizes, &queue), 0);
	peer = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(TYPE));
	ck_assert_int_eq(bind(peer, (const struct sockaddr *)&address, sizeof(address)), 0);
}

static void start(void)
{
	start_with(NBL_ZEROCOPY_OFF);
}

static void finish(void)
{
	close(peer);
	queue.ops->close(&queue);
	nbl_xsk_close(xsk);
	nbl_memory_close(&memory);
}

static uint8_t *frame_bytes(uint32_t frame)
{
	return memory.frames + (size_t)frame * FRAME;
}

/*
 * Puts one packet of 'n' entries on the ring, from the last
 * frames downward: those of the pool first.
 */
static void put(uint32_t n)
{
	static const uint8_t head[ETH_HLEN] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5 };

	for (uint32_t i = 0; i < n; i++) {
		uint32_t frame = memory.ledger.n_frames - 1 - i;

		memset(frame_bytes(frame), (int)(i + 1), LENGTH);
		if (!i)
			memcpy(frame_bytes(frame), head, sizeof(head));
		*nbl_queue_tx(&queue, queue.tx.next++) = (struct xdp_desc){
			.addr = (uint64_t)frame * FRAME, .len = LENGTH, .options = i + 1 < n };
	}
	nbl_producer_publish(&queue.tx);
	ck_assert_int_eq(queue.ops->kick(&queue), 0);
}

static void expect_packet(uint32_t n)
{
	struct pollfd pfd = { .fd = peer, .events = POLLIN };
	uint8_t bytes[32 * LENGTH];

	ck_assert_int_eq(poll(&pfd, 1, 1000), 1);
	ck_assert_int_eq(recv(peer, bytes, sizeof(bytes), 0), n * LENGTH);
	for (uint32_t i = ETH_HLEN; i < n * LENGTH; i++)
		ck_assert_uint_eq(bytes[i], i / LENGTH + 1);
}

/* One completion for each entry, in their order. */
static void expect_completions(uint32_t n)
{
	uint32_t done = 0;

	for (int tries = 0; done < n && tries < 1000; tries++) {
		uint32_t come = nbl_consumer_available(&queue.completion, n - done);

		for (uint32_t i = 0; i < come; i++, done++)
			ck_assert_uint_eq(nbl_consumer_address(&queue.completion,
							       queue.completion.next++) / FRAME,
					  memory.ledger.n_frames - 1 - done);
		nbl_consumer_release(&queue.completion);
		usleep(1000);
	}
	ck_assert_uint_eq(done, n);
}

START_TEST(a_packet_leaves_from_frames_of_the_pool)
{
	start();
	put(1);
	expect_packet(1);
	expect_completions(1);
	finish();
}
END_TEST

START_TEST(AR_08_a_packet_of_as_many_entries_as_told_leaves_whole_each_with_a_completion)
{
	struct xdp_statistics s;
	uint32_t most;

	start();
	most = nbl_xsk_max_segments(xsk);
	ck_assert_uint_ge(most, 1);
	for (uint32_t n = 1; n <= most; n++) {
		put(n);
		expect_packet(n);
		expect_completions(n);
	}
	ck_assert_int_eq(nbl_xsk_statistics(xsk, &s), 0);
	ck_assert_uint_eq(s.tx_invalid_descs, 0);
	finish();
}
END_TEST

/* A veth has no zero-copy: it is bound in copy mode, whether or not that was asked for. */
START_TEST(NX_09_the_mode_that_was_bound_is_told)
{
	static const enum nbl_zerocopy asked[] = { NBL_ZEROCOPY_OFF, NBL_ZEROCOPY_AUTO };

	start_with(asked[_i]);
	ck_assert(!nbl_xsk_is_zerocopy(xsk));
	finish();
}
END_TEST

START_TEST(where_zero_copy_is_refused_auto_is_copy_for_whatever_reason)
{
	static const int reasons[] = { 0, EOPNOTSUPP, EINVAL, ENOMEM, ENODEV, EBUSY, EIO };

	refusal = reasons[_i];
	start_with(NBL_ZEROCOPY_AUTO);
	ck_assert(!nbl_xsk_is_zerocopy(xsk));
	put(1);
	expect_packet(1);
	expect_completions(1);
	finish();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ a_packet_leaves_from_frames_of_the_pool, 1 },
		{ AR_08_a_packet_of_as_many_entries_as_told_leaves_whole_each_with_a_completion,
		  1 },
		{ NX_09_the_mode_that_was_bound_is_told, 2 },
		{ where_zero_copy_is_refused_auto_is_copy_for_whatever_reason, 7 },
	};

	return bpf_run("xsk", tests, N_ELEMENTS(tests), netns_setup, NULL);
}
