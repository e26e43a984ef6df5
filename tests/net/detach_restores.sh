#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# detach_restores.sh - detach, and the end of nbld, leave interfaces byte for byte as they were found.
#
#      peer             host                   src          dut          dst
#     +------+         +------+               +------+     +---------+  +------+
#     |  p0 -+---------+- v0  |      and      |  s0 -+-----+- v1  v2 -+-+- d0  |
#     +------+  veth   +------+               +------+     +---------+  +------+
#
# v0 has, in half of the claims, a clsact and a filter that are somebody else's.
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/../lib/netlib.sh"

# restored NS IF...: what baseline says is still what $work/before says
restored()
{
	baseline "$@" >"$work/after"
	expect_same "$2" "$work/before" "$work/after"
}

# host_round END: attach, traffic, END
host_round()
{
	baseline host v0 >"$work/before"
	nbld_start host
	ctl attach v0 host
	in_ns peer ping -q -c 5 -i 0.02 -W 1 10.99.0.2
	"$@"
	restored host v0
	in_ns peer ping -q -c 5 -i 0.02 -W 1 10.99.0.2
}

detach_and_stop()
{
	audit_clean "$1"
	ctl detach "$1"
	restored "$2" "$1" "${@:3}"	# at once, not only when nbld ends
	nbld_stop
}

# nbld_stop: it ends with status 0
nbld_stop()
{
	local pid

	pid=$(nbld_pid)
	stop "$pid"
	expect_match "nbld's log" "stopping on signal 15" "$(cat "$work/nbld.log")"
}

detach_restores_a_host_interface()
{
	host_round detach_and_stop v0 host
}

sigterm_restores_a_host_interface()
{
	host_round nbld_stop
}

foreign_filter_add()
{
	in_ns host tc qdisc add dev v0 clsact || skip "no clsact here"
	# classic BPF that lets everything by: it needs no program file
	in_ns host tc filter add dev v0 egress prio 10 protocol all bpf bytecode '1,6 0 0 4294967295,' flowid 1:1 ||
		skip "no cls_bpf here"
	in_ns host tc filter add dev v0 ingress prio 10 protocol all bpf bytecode '1,6 0 0 4294967295,' flowid 1:1
}

detach_leaves_a_foreign_clsact_and_its_filters()
{
	foreign_filter_add
	host_round detach_and_stop v0 host
	expect_match "filters of v0" "bytecode" "$(in_ns host tc filter show dev v0 egress)"
}

sigterm_leaves_a_foreign_clsact_and_its_filters()
{
	host_round nbld_stop
	expect_match "filters of v0" "bytecode" "$(in_ns host tc filter show dev v0 egress)"
	in_ns host tc qdisc del dev v0 clsact
}

# Somebody who comes after nbld and uses its clsact keeps it.
a_filter_added_meanwhile_stays()
{
	nbld_start host
	ctl attach v0 host
	in_ns host tc filter add dev v0 egress prio 10 protocol all bpf bytecode '1,6 0 0 4294967295,' flowid 1:1 ||
		skip "no cls_bpf here"
	ctl detach v0
	expect_match "filters of v0" "bytecode" "$(in_ns host tc filter show dev v0 egress)"
	expect_equal "filters of v0" 1 "$(in_ns host tc filter show dev v0 egress | grep -c handle)"
	nbld_stop
	in_ns host tc qdisc del dev v0 clsact
}

detach_restores_both_interfaces_of_a_pair()
{
	baseline dut v1 v2 >"$work/before"
	nbld_start dut
	ctl attach v1 pair v2
	in_ns src ping -q -c 5 -i 0.02 -W 1 10.98.0.2
	detach_and_stop v1 dut v2
}

sigterm_restores_both_interfaces_of_a_pair()
{
	baseline dut v1 v2 >"$work/before"
	nbld_start dut
	ctl attach v1 pair v2
	in_ns src ping -q -c 5 -i 0.02 -W 1 10.98.0.2
	nbld_stop
	restored dut v1 v2
}

# open_things: counts of what an nbld that leaks has more of each time
open_things()
{
	local pid

	pid=$(nbld_pid)
	echo "descriptors $(find "/proc/$pid/fd" -type l | wc -l), threads $(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)," \
		"children $(pgrep -c -P "$pid" || true)," \
		"programs $(bpftool -j prog list | jq '[.[] | select((.name // "") | startswith("nbl_"))] | length')," \
		"maps $(bpftool -j map list | jq '[.[] | select((.name // "") | startswith("nbl_"))] | length')," \
		"links $(in_ns host ip -o link show | wc -l)"
}

has_open()
{
	[ "$(open_things)" = "$1" ]
}

twenty_attaches_and_detaches_leave_nothing_more()
{
	local i first memory

	baseline host v0 >"$work/before"
	nbld_start host
	for ((i = 0; i < 20; i++)); do
		ctl attach v0 host
		[ $((i % 5)) != 0 ] || in_ns peer ping -q -c 2 -i 0.01 -W 1 10.99.0.2
		ctl detach v0
		if [ "$i" = 1 ]; then
			sleep 0.5	# the kernel frees programs and maps some time after their last user
			first=$(open_things)
			memory=$(awk '/^VmRSS/ { print $2 }' "/proc/$(nbld_pid)/status")
		fi
	done
	note "after 2 rounds: $first"
	wait_until "as many open things as after 2 rounds ($first; now $(open_things))" 5 has_open "$first"
	expect_between "growth of memory in KiB" -100000 512 \
		$(($(awk '/^VmRSS/ { print $2 }' "/proc/$(nbld_pid)/status") - memory))
	restored host v0
	nbld_stop
}

an_adapter_is_attached_again_while_another_runs()
{
	nbld_start dut
	ctl attach v1 pair v2
	ctl attach v3 host
	ctl detach v1
	ctl attach v1 pair v2
	in_ns src ping -q -c 5 -i 0.02 -W 1 10.98.0.2
	ctl detach v3
	ctl attach v3 host
	audit_clean v1
	audit_clean v3
	ctl detach v1
	ctl detach v3
	nbld_stop
}

# While it comes and goes, packets that take the kernel's path may overtake those in its rings.
attach_and_detach_under_load_duplicate_nothing()
{
	local i sink_idle_ms

	baseline dut v1 v2 >"$work/before"
	nbld_start dut
	sink_idle_ms=1500
	flow_start src s0 dst d0 --rate 20000 --seconds 20 --size 64
	for ((i = 0; i < 5; i++)); do
		ctl attach v1 pair v2
		sleep 0.2
		audit_clean v1
		ctl detach v1
	done
	flow_stop
	flow_end
	note "5 times under load: $(flow_figure '"\(.distinct) arrived, \(.duplicates) duplicated, \(.reordered) reordered"')"
	expect_equal "duplicates" 0 "$(flow_figure .duplicates)"
	expect_at_least "frames that arrived" 10000 "$(flow_figure .distinct)"
	restored dut v1 v2
	nbld_stop
}

test_begin ping ethtool bpftool tc nbl-gen nbl-sink
topology_host
topology_pair 1
veth src s3 dut v3

claim detach_restores_a_host_interface
claim sigterm_restores_a_host_interface
claim detach_leaves_a_foreign_clsact_and_its_filters
claim sigterm_leaves_a_foreign_clsact_and_its_filters
claim a_filter_added_meanwhile_stays
claim detach_restores_both_interfaces_of_a_pair
claim sigterm_restores_both_interfaces_of_a_pair
claim twenty_attaches_and_detaches_leave_nothing_more
claim an_adapter_is_attached_again_while_another_runs
claim attach_and_detach_under_load_duplicate_nothing
