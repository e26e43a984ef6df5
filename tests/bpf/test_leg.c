// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_leg.c - programs and host leg on a real interface: refused politely, undone completely.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <unistd.h>

#include "netns_fixture.h"
#include "port/ethtool.h"
#include "port/leg.h"
#include "port/programs.h"
#include "port/tc.h"
#include "port/wire.h"

static char why[256];
static struct leg leg;
static struct programs *programs;

/* All that someone can see of the NIC and its surroundings (owned: free()). */
static char *look(void)
{
	static const char command[] =
		"ethtool -k nic; ethtool -l nic; tc qdisc show; tc filter show dev nic egress; "
		"tc filter show dev nic ingress; ip -d link show";
	FILE *f = popen(command, "r");
	char *text = calloc(1, 65536);
	size_t n;

	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(text);
	n = fread(text, 1, 65535, f);
	pclose(f);
	ck_assert_msg(strstr(text, "tx-checksumming") && strstr(text, "nic@wire"),
		      "ethtool, tc or ip is missing: %zu bytes", n);
	return text;
}

static void make_pair(void)
{
	ck_assert_msg(leg_plan("nic", &leg, why, sizeof(why)) == 0, "%s", why);
	ck_assert_msg(leg_create(&leg, 2, why, sizeof(why)) == 0, "%s", why);
}

static void make_leg(enum programs_xdp how)
{
	struct programs_conf conf = { .ifindex = { nic } };

	make_pair();
	conf.ifindex[NBL_UPPER] = leg.daemon_ifindex;
	conf.leg_kernel_ifindex = leg.kernel_ifindex;
	ck_assert_msg(programs_load(&conf, &programs, why, sizeof(why)) == 0, "%s", why);
	ck_assert_msg(programs_attach(programs, NBL_LOWER, how, why, sizeof(why)) == 0, "%s", why);
	ck_assert_msg(programs_attach(programs, NBL_UPPER, PROGRAMS_XDP_NATIVE, why,
				      sizeof(why)) == 0, "%s", why);
	ck_assert_msg(leg_plan_connection(&leg, programs, why, sizeof(why)) == 0, "%s", why);
	ck_assert_msg(leg_connect(&leg, programs, why, sizeof(why)) == 0, "%s", why);
}

static bool exists(const char *name)
{
	return if_nametoindex(name) != 0;
}

/* Someone else's program: passes everything. */
static int foreign_program(enum bpf_prog_type type, int result)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = result },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(type, "foreign", "GPL", insns, N_ELEMENTS(insns), NULL);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static const enum programs_xdp modes[] = { PROGRAMS_XDP_NATIVE, PROGRAMS_XDP_GENERIC };

START_TEST(attaching_and_detaching_leaves_the_nic_as_it_was)
{
	char *before = look(), *during, *after;

	make_leg(modes[_i]);
	during = look();
	leg_remove(&leg);
	programs_free(programs);
	after = look();
	ck_assert_str_ne(before, during);
	ck_assert_str_eq(before, after);
	free(before);
	free(during);
	free(after);
}
END_TEST

START_TEST(a_successor_undoes_what_a_dead_keeper_left)
{
	char *before = look(), *after;
	struct leg from_file;

	make_leg(modes[_i]);
	from_file = leg;
	/* Death closes descriptors; the leg and the filter stay. */
	programs_free(programs);
	ck_assert(exists(leg.kernel_end));
	leg_remove(&from_file);
	after = look();
	ck_assert_str_eq(before, after);
	leg_remove(&from_file);
	free(before);
	free(after);
}
END_TEST

START_TEST(a_pairs_wire_leaves_both_ports_as_they_were)
{
	const struct programs_conf conf = { .ifindex = { nic, wire }, .wire = true };
	char *before = look(), *during, *after;
	struct wire w;

	ck_assert_msg(programs_load(&conf, &programs, why, sizeof(why)) == 0, "%s", why);
	ck_assert_msg(wire_plan(programs, conf.ifindex, &w, why, sizeof(why)) == 0, "%s", why);
	ck_assert_msg(wire_connect(programs, &w, why, sizeof(why)) == 0, "%s", why);
	/* Once with the programs' owner dead. */
	if (_i)
		programs_free(programs);
	during = look();
	wire_remove(&w);
	wire_remove(&w);
	if (!_i)
		programs_free(programs);
	after = look();
	ck_assert_str_ne(before, during);
	ck_assert_str_eq(before, after);
	free(before);
	free(during);
	free(after);
}
END_TEST

START_TEST(a_plan_is_undone_whether_it_was_done_or_not)
{
	const struct netdev_veth veth = {
		.name = leg.kernel_end, .peer = leg.daemon_end, .n_queues = 1, .mtu = 1500,
		.alias = _i ? "nbld host leg" : "",
	};
	char *before = look(), *after;

	ck_assert_msg(leg_plan("nic", &leg, why, sizeof(why)) == 0, "%s", why);
	leg_remove(&leg);
	/* its maker died right after it, perhaps before it was marked */
	ck_assert_int_eq(netdev_create_veth(&veth), 0);
	leg_remove(&leg);
	after = look();
	ck_assert_str_eq(before, after);
	free(before);
	free(after);
}
END_TEST

START_TEST(a_planned_wire_is_undone_whether_it_was_done_or_not)
{
	const struct programs_conf conf = { .ifindex = { nic, wire }, .wire = true };
	char *before = look(), *after;
	struct wire planned, w;

	ck_assert_msg(programs_load(&conf, &programs, why, sizeof(why)) == 0, "%s", why);
	ck_assert_msg(wire_plan(programs, conf.ifindex, &planned, why, sizeof(why)) == 0, "%s",
		      why);
	wire_remove(&planned);
	w = planned;
	ck_assert_msg(wire_connect(programs, &w, why, sizeof(why)) == 0, "%s", why);
	programs_free(programs);
	wire_remove(&planned);
	after = look();
	ck_assert_str_eq(before, after);
	free(before);
	free(after);
}
END_TEST

START_TEST(undoing_is_harmless_when_the_nic_is_gone)
{
	make_leg(PROGRAMS_XDP_NATIVE);
	programs_free(programs);
	ck_assert_int_eq(netdev_delete(nic), 0);
	leg_remove(&leg);
	ck_assert(!exists(leg.kernel_end));
	ck_assert(!exists(leg.daemon_end));
}
END_TEST

START_TEST(undoing_leaves_a_filter_that_took_the_place_of_ours)
{
	int foreign = foreign_program(BPF_PROG_TYPE_SCHED_CLS, TC_ACT_UNSPEC);
	struct tc_note theirs;

	make_leg(PROGRAMS_XDP_NATIVE);
	ck_assert_int_eq(tc_plan(nic, foreign, &theirs), 0);
	ck_assert_int_eq(tc_detach(nic, TC_EGRESS, leg.egress.prog_id, "nbl_tc_egress"), 0);
	ck_assert_int_eq(tc_attach(nic, TC_EGRESS, foreign), 0);
	leg_remove(&leg);
	/* Found where it was, and its clsact too. */
	ck_assert_int_eq(tc_detach(nic, TC_EGRESS, theirs.prog_id, "foreign"), 0);
	programs_free(programs);
}
END_TEST

START_TEST(undoing_leaves_the_clsact_of_someone_else)
{
	bool made = false;

	ck_assert_int_eq(tc_prepare(nic, &made), 0);
	ck_assert(made);
	make_leg(PROGRAMS_XDP_NATIVE);
	leg_remove(&leg);
	ck_assert_int_eq(tc_prepare(nic, &made), 0);
	ck_assert_msg(!made, "clsact is gone");
	programs_free(programs);
}
END_TEST

START_TEST(undoing_leaves_an_interface_of_someone_else_with_the_legs_name)
{
	make_leg(PROGRAMS_XDP_NATIVE);
	programs_free(programs);
	ck_assert_int_eq(netdev_delete(leg.kernel_ifindex), 0);
	make_link(leg.kernel_end, "other");
	leg_remove(&leg);
	ck_assert(exists(leg.kernel_end));
}
END_TEST

START_TEST(a_name_of_someone_else_is_refused)
{
	char name[IFNAMSIZ];

	snprintf(name, sizeof(name), "nblx%u", nic);
	make_link(name, "other");
	ck_assert_int_eq(leg_plan("nic", &leg, why, sizeof(why)), -EEXIST);
	ck_assert_ptr_nonnull(strstr(why, name));
	ck_assert_ptr_nonnull(strstr(why, "Try: "));
	ck_assert(exists("other"));
}
END_TEST

START_TEST(a_leg_in_use_is_refused_and_one_left_behind_is_replaced)
{
	uint32_t old;

	make_leg(PROGRAMS_XDP_NATIVE);
	old = leg.kernel_ifindex;
	ck_assert_int_eq(leg_plan("nic", &leg, why, sizeof(why)), -EBUSY);
	programs_free(programs);
	make_pair();
	ck_assert_uint_ne(leg.kernel_ifindex, old);
	leg_remove(&leg);
}
END_TEST

START_TEST(the_leg_hands_over_finished_frames_and_says_nothing_itself)
{
	static const char *const features[] = {
		"tx-checksum-ip-generic", "tx-tcp-segmentation", "tx-generic-segmentation",
		"tx-vlan-hw-insert", "tx-udp-segmentation",
	};
	struct ethtool_feature_state state;
	struct netdev n, of_nic;

	make_pair();
	for (size_t i = 0; i < N_ELEMENTS(features); i++) {
		ck_assert_int_eq(ethtool_get_feature(leg.kernel_end, features[i], &state), 0);
		ck_assert_msg(!state.on, "%s is on", features[i]);
	}
	ck_assert_int_eq(netdev_get(leg.kernel_end, &n), 0);
	ck_assert_int_eq(netdev_get("nic", &of_nic), 0);
	ck_assert(n.up && (n.flags & IFF_NOARP) && !(n.flags & IFF_MULTICAST));
	ck_assert_mem_eq(n.mac, of_nic.mac, sizeof(n.mac));
	ck_assert_uint_eq(n.n_queues, 2);
	ck_assert_uint_ge(n.mtu, of_nic.mtu);
	leg_remove(&leg);
}
END_TEST

START_TEST(the_program_of_someone_else_is_named_and_stays)
{
	static const uint32_t flags[] = { XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE };
	struct programs_conf conf = { .ifindex = { nic, wire } };
	int foreign = foreign_program(BPF_PROG_TYPE_XDP, XDP_PASS);
	struct netdev before, after;

	ck_assert_int_eq(bpf_xdp_attach((int)nic, foreign, flags[_i], NULL), 0);
	ck_assert_int_eq(netdev_get("nic", &before), 0);
	ck_assert_msg(programs_load(&conf, &programs, why, sizeof(why)) == 0, "%s", why);
	for (enum programs_xdp how = PROGRAMS_XDP_AUTO; how <= PROGRAMS_XDP_GENERIC; how++) {
		ck_assert_int_eq(programs_attach(programs, NBL_LOWER, how, why, sizeof(why)),
				 -EBUSY);
		ck_assert_ptr_nonnull(strstr(why, "\"foreign\""));
		ck_assert_ptr_nonnull(strstr(why, _i ? "generic" : "native"));
	}
	programs_free(programs);
	ck_assert_int_eq(netdev_get("nic", &after), 0);
	ck_assert_uint_eq(before.xdp_prog_id, after.xdp_prog_id);
	ck_assert_uint_ne(after.xdp_prog_id, 0);
}
END_TEST

START_TEST(a_link_tells_when_its_interface_is_gone)
{
	struct programs_conf conf = { .ifindex = { nic, wire } };

	ck_assert_msg(programs_load(&conf, &programs, why, sizeof(why)) == 0, "%s", why);
	ck_assert(!programs_is_attached(programs, NBL_LOWER));
	ck_assert_msg(programs_attach(programs, NBL_LOWER, PROGRAMS_XDP_AUTO, why,
				      sizeof(why)) == 0, "%s", why);
	ck_assert_int_eq(programs_attached_as(programs, NBL_LOWER), PROGRAMS_XDP_NATIVE);
	ck_assert_str_eq(why, "");
	ck_assert(programs_is_attached(programs, NBL_LOWER));
	ck_assert_int_eq(netdev_delete(nic), 0);
	ck_assert(!programs_is_attached(programs, NBL_LOWER));
	programs_free(programs);
}
END_TEST

START_TEST(an_mtu_that_native_cannot_have_is_refused_with_the_remedy)
{
	struct programs_conf conf = { .ifindex = { nic, wire } };

	ck_assert_int_eq(netdev_set_mtu(wire, 9000), 0);
	ck_assert_msg(programs_load(&conf, &programs, why, sizeof(why)) == 0, "%s", why);
	ck_assert_int_eq(programs_attach(programs, NBL_LOWER, PROGRAMS_XDP_AUTO, why, sizeof(why)),
			 -ERANGE);
	ck_assert_ptr_nonnull(strstr(why, "(ERANGE): veth: Peer MTU is too large"));
	ck_assert_ptr_nonnull(strstr(why, "Try: ip link set dev nic mtu 1500"));
	programs_free(programs);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ attaching_and_detaching_leaves_the_nic_as_it_was, 2 },
		{ a_successor_undoes_what_a_dead_keeper_left, 2 },
		{ a_pairs_wire_leaves_both_ports_as_they_were, 2 },
		{ a_plan_is_undone_whether_it_was_done_or_not, 2 },
		{ a_planned_wire_is_undone_whether_it_was_done_or_not, 1 },
		{ undoing_is_harmless_when_the_nic_is_gone, 1 },
		{ undoing_leaves_a_filter_that_took_the_place_of_ours, 1 },
		{ undoing_leaves_the_clsact_of_someone_else, 1 },
		{ undoing_leaves_an_interface_of_someone_else_with_the_legs_name, 1 },
		{ a_name_of_someone_else_is_refused, 1 },
		{ a_leg_in_use_is_refused_and_one_left_behind_is_replaced, 1 },
		{ the_leg_hands_over_finished_frames_and_says_nothing_itself, 1 },
		{ the_program_of_someone_else_is_named_and_stays, 2 },
		{ a_link_tells_when_its_interface_is_gone, 1 },
		{ an_mtu_that_native_cannot_have_is_refused_with_the_remedy, 1 },
	};

	return bpf_run("leg", tests, N_ELEMENTS(tests), netns_setup, NULL);
}
