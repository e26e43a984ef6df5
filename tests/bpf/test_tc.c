// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_tc.c - where the host leg's tc programs send a packet, and what they count.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "bpf_fixture.h"

static int run_fd(int fd, uint32_t ingress_ifindex, uint32_t gso_segs)
{
	uint8_t frame[64] = { 0 };
	struct __sk_buff skb = { .ingress_ifindex = ingress_ifindex, .gso_segs = gso_segs };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .ctx_in = &skb, .ctx_size_in = sizeof(skb), .repeat = 1);

	ck_assert_int_eq(bpf_prog_test_run_opts(fd, &opts), 0);
	return (int)opts.retval;
}

static int run_once(const struct bpf_program *program)
{
	return run_fd(bpf_program__fd(program), 0, 0);
}

/* As the XDP program at the leg leaves it after a packet that met a hanging lane. */
static void tell_hung(uint64_t turns, uint64_t seen_ns)
{
	bpf->bss->nbl_hung_seen_ns = seen_ns;
	bpf->bss->nbl_hung_lane = (uint64_t)(TEST_LANE + 1) << 56 | turns;
}

enum { WORKS, HANGS };

static const struct {
	enum nbl_mode mode;
	int lane;
	enum nbl_fallback fallback;
	int action;
	struct nbl_path counted;
} cases[] = {
	/* What goes into the leg is counted there, by the XDP program. */
	{ NBL_MODE_RUN, WORKS, NBL_FALLBACK_PASS, TC_ACT_REDIRECT, { 0 } },
	{ NBL_MODE_RUN, WORKS, NBL_FALLBACK_WIRE, TC_ACT_REDIRECT, { 0 } },
	{ NBL_MODE_RUN, WORKS, NBL_FALLBACK_DROP, TC_ACT_REDIRECT, { 0 } },
	{ NBL_MODE_RUN, HANGS, NBL_FALLBACK_PASS, TC_ACT_UNSPEC, { .hung = 1 } },
	{ NBL_MODE_RUN, HANGS, NBL_FALLBACK_WIRE, TC_ACT_UNSPEC, { .hung = 1 } },
	{ NBL_MODE_RUN, HANGS, NBL_FALLBACK_DROP, TC_ACT_SHOT, { .hung = 1, .dropped = 1 } },
	{ NBL_MODE_BYPASS, WORKS, NBL_FALLBACK_PASS, TC_ACT_UNSPEC, { .bypassed = 1 } },
	{ NBL_MODE_BYPASS, WORKS, NBL_FALLBACK_WIRE, TC_ACT_UNSPEC, { .bypassed = 1 } },
	{ NBL_MODE_BYPASS, WORKS, NBL_FALLBACK_DROP, TC_ACT_SHOT, { .bypassed = 1, .dropped = 1 } },
	{ NBL_MODE_BYPASS, HANGS, NBL_FALLBACK_PASS, TC_ACT_UNSPEC, { .bypassed = 1 } },
	{ NBL_MODE_BYPASS, HANGS, NBL_FALLBACK_WIRE, TC_ACT_UNSPEC, { .bypassed = 1 } },
	{ NBL_MODE_BYPASS, HANGS, NBL_FALLBACK_DROP, TC_ACT_SHOT, { .bypassed = 1, .dropped = 1 } },
};

START_TEST(each_situation_at_the_nic_has_its_action_and_its_count)
{
	struct nbl_path counted;

	set_control(cases[_i].mode, cases[_i].fallback, TEST_LIMIT_NS);
	set_turns(5);
	if (cases[_i].lane == HANGS)
		tell_hung(5, clock_now());
	ck_assert_int_eq(run_once(bpf->progs.nbl_tc_send), cases[_i].action);
	counted = path_of(NBL_UPPER);
	ck_assert_mem_eq(&counted, &cases[_i].counted, sizeof(counted));
}
END_TEST

START_TEST(a_lane_that_turned_since_ends_the_bypass)
{
	set_control(NBL_MODE_RUN, NBL_FALLBACK_PASS, TEST_LIMIT_NS);
	set_turns(6);
	tell_hung(5, clock_now());
	ck_assert_int_eq(run_once(bpf->progs.nbl_tc_send), TC_ACT_REDIRECT);
	ck_assert_uint_eq(bpf->bss->nbl_hung_lane, 0);
}
END_TEST

START_TEST(a_hang_seen_long_ago_is_looked_at_anew)
{
	set_control(NBL_MODE_RUN, NBL_FALLBACK_PASS, TEST_LIMIT_NS);
	set_turns(5);
	tell_hung(5, clock_now() - NBL_PROBE_NS - 1);
	ck_assert_int_eq(run_once(bpf->progs.nbl_tc_send), TC_ACT_REDIRECT);
}
END_TEST

START_TEST(without_a_limit_no_hang_is_believed)
{
	set_control(NBL_MODE_RUN, NBL_FALLBACK_PASS, 0);
	set_turns(5);
	tell_hung(5, clock_now());
	ck_assert_int_eq(run_once(bpf->progs.nbl_tc_send), TC_ACT_REDIRECT);
}
END_TEST

START_TEST(a_packet_that_was_in_the_leg_already_is_let_by_uncounted)
{
	struct nbl_path counted;

	set_control(_i ? NBL_MODE_RUN : NBL_MODE_BYPASS, NBL_FALLBACK_PASS, TEST_LIMIT_NS);
	ck_assert_int_eq(run_fd(bpf_program__fd(bpf->progs.nbl_tc_send), TEST_DAEMON_END, 0),
			 TC_ACT_UNSPEC);
	counted = path_of(NBL_UPPER);
	ck_assert_mem_eq(&counted, &(struct nbl_path){ 0 }, sizeof(counted));
}
END_TEST

START_TEST(a_packet_yet_to_be_segmented_counts_as_its_segments)
{
	set_control(NBL_MODE_BYPASS, NBL_FALLBACK_DROP, 0);
	ck_assert_int_eq(run_fd(bpf_program__fd(bpf->progs.nbl_tc_send), 0, 17), TC_ACT_SHOT);
	ck_assert_uint_eq(path_of(NBL_UPPER).bypassed, 17);
	ck_assert_uint_eq(path_of(NBL_UPPER).dropped, 17);
}
END_TEST

START_TEST(the_entry_calls_the_program_in_the_slot)
{
	int fd = bpf_program__fd(bpf->progs.nbl_tc_send);

	set_control(NBL_MODE_RUN, NBL_FALLBACK_PASS, 0);
	map_set(bpf->maps.nbl_tc_slot, 0, &fd);
	ck_assert_int_eq(run_once(bpf->progs.nbl_tc_egress), TC_ACT_REDIRECT);
}
END_TEST

START_TEST(the_entry_lets_packets_by_when_the_slot_is_empty)
{
	set_control(NBL_MODE_RUN, NBL_FALLBACK_DROP, 0);
	ck_assert_int_eq(run_once(bpf->progs.nbl_tc_egress), TC_ACT_UNSPEC);
}
END_TEST

/* When nbld and its worker are both dead, the filter stays and nobody has the map open. */
START_TEST(the_entry_lets_packets_by_once_nobody_has_the_slot_open)
{
	int target = bpf_program__fd(bpf->progs.nbl_tc_send);
	int entry, last = TC_ACT_REDIRECT;

	set_control(NBL_MODE_RUN, NBL_FALLBACK_DROP, 0);
	map_set(bpf->maps.nbl_tc_slot, 0, &target);
	entry = dup(bpf_program__fd(bpf->progs.nbl_tc_egress));
	ck_assert_int_eq(run_fd(entry, 0, 0), TC_ACT_REDIRECT);
	nbl_xdp__destroy(bpf);
	bpf = NULL;
	/* The kernel lets go of descriptors a little later than close(). */
	for (int i = 0; i < 100 && last != TC_ACT_UNSPEC; i++) {
		last = run_fd(entry, 0, 0);
		usleep(10000);
	}
	ck_assert_int_eq(last, TC_ACT_UNSPEC);
	close(entry);
}
END_TEST

START_TEST(what_comes_out_of_the_leg_goes_to_the_nic)
{
	set_control(NBL_MODE_RUN, NBL_FALLBACK_DROP, 0);
	ck_assert_int_eq(run_once(bpf->progs.nbl_tc_to_host), TC_ACT_REDIRECT);
	ck_assert_int_eq(run_once(bpf->progs.nbl_tc_match), -1);
}
END_TEST

START_TEST(what_no_socket_took_goes_to_the_wire_unless_the_fallback_is_drop)
{
	set_control(NBL_MODE_RUN, NBL_FALLBACK_PASS, 0);
	ck_assert_int_eq(run_once(bpf->progs.nbl_tc_return), TC_ACT_REDIRECT);
	set_control(NBL_MODE_RUN, NBL_FALLBACK_DROP, 0);
	ck_assert_int_eq(run_once(bpf->progs.nbl_tc_return), TC_ACT_SHOT);
}
END_TEST

START_TEST(the_wire_of_a_pair_joins_only_while_the_fallback_is_wire)
{
	static const int actions[] = {
		[NBL_FALLBACK_PASS] = TC_ACT_UNSPEC,
		[NBL_FALLBACK_WIRE] = TC_ACT_REDIRECT,
		[NBL_FALLBACK_DROP] = TC_ACT_SHOT,
	};

	set_control(NBL_MODE_RUN, (enum nbl_fallback)_i, 0);
	ck_assert_int_eq(run_once(bpf->progs.nbl_tc_wire_l), actions[_i]);
	ck_assert_int_eq(run_once(bpf->progs.nbl_tc_wire_u), actions[_i]);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ each_situation_at_the_nic_has_its_action_and_its_count, (int)N_ELEMENTS(cases) },
		{ a_lane_that_turned_since_ends_the_bypass, 1 },
		{ a_hang_seen_long_ago_is_looked_at_anew, 1 },
		{ without_a_limit_no_hang_is_believed, 1 },
		{ a_packet_that_was_in_the_leg_already_is_let_by_uncounted, 2 },
		{ a_packet_yet_to_be_segmented_counts_as_its_segments, 1 },
		{ the_entry_calls_the_program_in_the_slot, 1 },
		{ the_entry_lets_packets_by_when_the_slot_is_empty, 1 },
		{ the_entry_lets_packets_by_once_nobody_has_the_slot_open, 1 },
		{ what_comes_out_of_the_leg_goes_to_the_nic, 1 },
		{ what_no_socket_took_goes_to_the_wire_unless_the_fallback_is_drop, 1 },
		{ the_wire_of_a_pair_joins_only_while_the_fallback_is_wire, 3 },
	};

	return bpf_run("tc", tests, N_ELEMENTS(tests), bpf_setup, bpf_teardown);
}
