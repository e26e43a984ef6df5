// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_xdp.c - where the XDP programs send a packet, and what they count, in every situation.
 */
#include <linux/bpf.h>

#include "bpf_fixture.h"

static uint32_t run_once(enum nbl_side side)
{
	uint8_t frame[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = 1);
	int fd = bpf_program__fd(side == NBL_LOWER ? bpf->progs.nbl_xdp_lower :
						     bpf->progs.nbl_xdp_upper);

	ck_assert_int_eq(bpf_prog_test_run_opts(fd, &opts), 0);
	return opts.retval;
}

static void set_socket(enum nbl_side side)
{
	map_set(side == NBL_LOWER ? bpf->maps.nbl_xsks_lower : bpf->maps.nbl_xsks_upper, 0,
		&test_socket);
}

static void set_watch(enum nbl_side side, uint64_t progress, uint64_t since_ns, uint64_t probed_ns)
{
	const struct nbl_watch watch = {
		.progress = progress, .since_ns = since_ns, .probed_ns = probed_ns,
	};

	map_set(bpf->maps.nbl_watch, side * NBL_MAX_QUEUES, &watch);
}

static struct nbl_watch get_watch(enum nbl_side side)
{
	uint32_t key = side * NBL_MAX_QUEUES;
	struct nbl_watch watch;

	ck_assert_int_eq(bpf_map_lookup_elem(bpf_map__fd(bpf->maps.nbl_watch), &key, &watch), 0);
	return watch;
}

/* A packet came a second ago and the lane has not moved since. */
static void hang(enum nbl_side side)
{
	set_turns(5);
	set_watch(side, 5, clock_now() - 1000000000, clock_now());
}

enum { ABSENT, PRESENT };
enum { WORKS, HANGS };

static const struct {
	enum nbl_mode mode;
	int socket, lane;
	enum nbl_fallback fallback;
	uint32_t action;
	struct nbl_path counted;
} cases[] = {
	{ NBL_MODE_RUN, PRESENT, WORKS, NBL_FALLBACK_PASS, XDP_REDIRECT, { .redirected = 1 } },
	{ NBL_MODE_RUN, PRESENT, WORKS, NBL_FALLBACK_WIRE, XDP_REDIRECT, { .redirected = 1 } },
	{ NBL_MODE_RUN, PRESENT, WORKS, NBL_FALLBACK_DROP, XDP_REDIRECT, { .redirected = 1 } },
	{ NBL_MODE_RUN, PRESENT, HANGS, NBL_FALLBACK_PASS, XDP_PASS, { .hung = 1 } },
	{ NBL_MODE_RUN, PRESENT, HANGS, NBL_FALLBACK_WIRE, XDP_REDIRECT, { .hung = 1 } },
	{ NBL_MODE_RUN, PRESENT, HANGS, NBL_FALLBACK_DROP, XDP_DROP, { .hung = 1, .dropped = 1 } },
	{ NBL_MODE_RUN, ABSENT, WORKS, NBL_FALLBACK_PASS, XDP_PASS, { .bypassed = 1 } },
	{ NBL_MODE_RUN, ABSENT, WORKS, NBL_FALLBACK_WIRE, XDP_REDIRECT, { .bypassed = 1 } },
	{ NBL_MODE_RUN, ABSENT, WORKS, NBL_FALLBACK_DROP, XDP_DROP,
	  { .bypassed = 1, .dropped = 1 } },
	{ NBL_MODE_RUN, ABSENT, HANGS, NBL_FALLBACK_PASS, XDP_PASS, { .bypassed = 1 } },
	{ NBL_MODE_RUN, ABSENT, HANGS, NBL_FALLBACK_WIRE, XDP_REDIRECT, { .bypassed = 1 } },
	{ NBL_MODE_RUN, ABSENT, HANGS, NBL_FALLBACK_DROP, XDP_DROP,
	  { .bypassed = 1, .dropped = 1 } },
	{ NBL_MODE_BYPASS, PRESENT, WORKS, NBL_FALLBACK_PASS, XDP_PASS, { .bypassed = 1 } },
	{ NBL_MODE_BYPASS, PRESENT, WORKS, NBL_FALLBACK_WIRE, XDP_REDIRECT, { .bypassed = 1 } },
	{ NBL_MODE_BYPASS, PRESENT, WORKS, NBL_FALLBACK_DROP, XDP_DROP,
	  { .bypassed = 1, .dropped = 1 } },
	{ NBL_MODE_BYPASS, PRESENT, HANGS, NBL_FALLBACK_PASS, XDP_PASS, { .bypassed = 1 } },
	{ NBL_MODE_BYPASS, PRESENT, HANGS, NBL_FALLBACK_WIRE, XDP_REDIRECT, { .bypassed = 1 } },
	{ NBL_MODE_BYPASS, PRESENT, HANGS, NBL_FALLBACK_DROP, XDP_DROP,
	  { .bypassed = 1, .dropped = 1 } },
	{ NBL_MODE_BYPASS, ABSENT, WORKS, NBL_FALLBACK_PASS, XDP_PASS, { .bypassed = 1 } },
	{ NBL_MODE_BYPASS, ABSENT, WORKS, NBL_FALLBACK_WIRE, XDP_REDIRECT, { .bypassed = 1 } },
	{ NBL_MODE_BYPASS, ABSENT, WORKS, NBL_FALLBACK_DROP, XDP_DROP,
	  { .bypassed = 1, .dropped = 1 } },
	{ NBL_MODE_BYPASS, ABSENT, HANGS, NBL_FALLBACK_PASS, XDP_PASS, { .bypassed = 1 } },
	{ NBL_MODE_BYPASS, ABSENT, HANGS, NBL_FALLBACK_WIRE, XDP_REDIRECT, { .bypassed = 1 } },
	{ NBL_MODE_BYPASS, ABSENT, HANGS, NBL_FALLBACK_DROP, XDP_DROP,
	  { .bypassed = 1, .dropped = 1 } },
};

static void check_case(enum nbl_side side, int i)
{
	/* See bpf_setup(): from the lower port to the upper the wire leads by way of tc. */
	bool by_tc = cases[i].fallback == NBL_FALLBACK_WIRE && side == NBL_LOWER &&
		     !cases[i].counted.redirected;
	struct nbl_path other, counted;

	set_control(cases[i].mode, cases[i].fallback, TEST_LIMIT_NS);
	if (cases[i].socket == PRESENT)
		set_socket(side);
	if (cases[i].lane == HANGS)
		hang(side);
	ck_assert_uint_eq(run_once(side), by_tc ? XDP_PASS : cases[i].action);
	counted = path_of(side);
	other = path_of(side == NBL_LOWER ? NBL_UPPER : NBL_LOWER);
	ck_assert_mem_eq(&counted, &cases[i].counted, sizeof(counted));
	ck_assert_mem_eq(&other, &(struct nbl_path){ 0 }, sizeof(other));
}

START_TEST(each_situation_at_the_lower_port_has_its_action_and_its_count)
{
	check_case(NBL_LOWER, _i);
}
END_TEST

START_TEST(each_situation_at_the_upper_port_has_its_action_and_its_count)
{
	check_case(NBL_UPPER, _i);
}
END_TEST

START_TEST(the_first_packet_after_progress_starts_the_clock)
{
	struct nbl_watch watch;

	set_control(NBL_MODE_RUN, NBL_FALLBACK_PASS, TEST_LIMIT_NS);
	set_socket(NBL_LOWER);
	set_turns(6);
	set_watch(NBL_LOWER, 5, 1, 0);
	ck_assert_uint_eq(run_once(NBL_LOWER), XDP_REDIRECT);
	watch = get_watch(NBL_LOWER);
	ck_assert_uint_eq(watch.progress, 6);
	ck_assert_uint_ge(clock_now() + 1, watch.since_ns);
	ck_assert_uint_gt(watch.since_ns, 1);
}
END_TEST

START_TEST(packets_that_wait_less_than_the_limit_go_to_the_socket)
{
	set_control(NBL_MODE_RUN, NBL_FALLBACK_PASS, 60000000000);
	set_socket(NBL_LOWER);
	hang(NBL_LOWER);
	ck_assert_uint_eq(run_once(NBL_LOWER), XDP_REDIRECT);
	ck_assert_uint_eq(path_of(NBL_LOWER).hung, 0);
}
END_TEST

START_TEST(without_a_limit_no_lane_is_ever_taken_for_hung)
{
	set_control(NBL_MODE_RUN, NBL_FALLBACK_PASS, 0);
	set_socket(NBL_LOWER);
	hang(NBL_LOWER);
	ck_assert_uint_eq(run_once(NBL_LOWER), XDP_REDIRECT);
}
END_TEST

START_TEST(a_lane_that_slept_for_want_of_packets_is_not_taken_for_hung)
{
	set_control(NBL_MODE_RUN, NBL_FALLBACK_PASS, TEST_LIMIT_NS);
	set_socket(NBL_LOWER);
	set_turns(5);
	ck_assert_uint_eq(run_once(NBL_LOWER), XDP_REDIRECT);
	/* The turn that took that packet, then a second of nothing. */
	set_turns(6);
	set_watch(NBL_LOWER, 5, clock_now() - 1000000000, 0);
	ck_assert_uint_eq(run_once(NBL_LOWER), XDP_REDIRECT);
	ck_assert_uint_eq(path_of(NBL_LOWER).hung, 0);
}
END_TEST

START_TEST(a_lane_that_turns_again_ends_the_bypass)
{
	set_control(NBL_MODE_RUN, NBL_FALLBACK_PASS, TEST_LIMIT_NS);
	set_socket(NBL_LOWER);
	hang(NBL_LOWER);
	ck_assert_uint_eq(run_once(NBL_LOWER), XDP_PASS);
	set_turns(6);
	ck_assert_uint_eq(run_once(NBL_LOWER), XDP_REDIRECT);
	ck_assert_uint_eq(run_once(NBL_LOWER), XDP_REDIRECT);
}
END_TEST

START_TEST(one_packet_in_a_while_probes_a_hung_lane)
{
	struct nbl_path path;

	set_control(NBL_MODE_RUN, NBL_FALLBACK_PASS, TEST_LIMIT_NS);
	set_socket(NBL_LOWER);
	set_turns(5);
	set_watch(NBL_LOWER, 5, 1, clock_now() - NBL_PROBE_NS - 1);
	ck_assert_uint_eq(run_once(NBL_LOWER), XDP_REDIRECT);
	for (int i = 0; i < 10; i++)
		ck_assert_uint_eq(run_once(NBL_LOWER), XDP_PASS);
	path = path_of(NBL_LOWER);
	ck_assert_uint_eq(path.redirected, 1);
	ck_assert_uint_eq(path.hung, 10);
}
END_TEST

START_TEST(only_a_hang_at_the_upper_port_is_told_to_the_tc_program)
{
	set_control(NBL_MODE_RUN, NBL_FALLBACK_PASS, TEST_LIMIT_NS);
	set_socket(NBL_LOWER);
	set_socket(NBL_UPPER);
	hang(NBL_LOWER);
	run_once(NBL_LOWER);
	ck_assert_uint_eq(bpf->bss->nbl_hung_lane, 0);
	hang(NBL_UPPER);
	run_once(NBL_UPPER);
	ck_assert_uint_eq(bpf->bss->nbl_hung_lane >> 56, TEST_LANE + 1);
}
END_TEST

/* Counted in the object, so that the programs bound to interfaces, not loaded here, count too. */
START_TEST(no_program_has_more_than_300_instructions)
{
	struct bpf_program *program;
	int n = 0;

	bpf_object__for_each_program(program, bpf->obj) {
		ck_assert_msg(bpf_program__insn_cnt(program) <= 300, "%s has %zu",
			      bpf_program__name(program), bpf_program__insn_cnt(program));
		n++;
	}
	ck_assert_int_ge(n, 9);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ each_situation_at_the_lower_port_has_its_action_and_its_count,
		  (int)N_ELEMENTS(cases) },
		{ each_situation_at_the_upper_port_has_its_action_and_its_count,
		  (int)N_ELEMENTS(cases) },
		{ the_first_packet_after_progress_starts_the_clock, 1 },
		{ packets_that_wait_less_than_the_limit_go_to_the_socket, 1 },
		{ without_a_limit_no_lane_is_ever_taken_for_hung, 1 },
		{ a_lane_that_slept_for_want_of_packets_is_not_taken_for_hung, 1 },
		{ a_lane_that_turns_again_ends_the_bypass, 1 },
		{ one_packet_in_a_while_probes_a_hung_lane, 1 },
		{ only_a_hang_at_the_upper_port_is_told_to_the_tc_program, 1 },
		{ no_program_has_more_than_300_instructions, 1 },
	};

	return bpf_run("xdp", tests, N_ELEMENTS(tests), bpf_setup, bpf_teardown);
}
