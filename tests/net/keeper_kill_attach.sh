#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# keeper_kill_attach.sh - nbld killed outright while it attaches, at each call that changes something
# and right after it: the next nbld finds all that is to be cleared up.
#
#      peer             host                   src          dut          dst
#     +------+         +------+               +------+     +---------+  +------+
#     |  p0 -+---------+- v0  |      and      |  s0 -+-----+- v1  v2 -+-+- d0  |
#     +------+  veth   +------+               +------+     +---------+  +------+
#
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/../lib/netlib.sh"

host_is_as_before()
{
	baseline host v0 >"$work/v0.now"
	expect_same "v0" "$work/v0" "$work/v0.now"
}

pair_is_as_before()
{
	baseline dut v1 v2 >"$work/pair.now"
	expect_same "v1 and v2" "$work/pair" "$work/pair.now"
}

# Calls by which nbld changes what stays when it dies, or notes that it will.
changes='RTM_NEW|rename\('

# traced FILE OPTION...: lets strace follow the nbld that runs
traced()
{
	local log=$1

	shift
	spawn "$ns" "$work/nbld.log" strace -qq -o "$log" -e trace=sendto,sendmsg,bpf,rename "$@" -p "$(nbld_pid)"
	wait_until "strace follows nbld" 5 grep -q "TracerPid:[^0-9]*$spawned" "/proc/$(nbld_pid)/status"
}

# moments ATTACH...: calls of an attach, until it is answered, that change something, and those after them,
# as "sendto 3", the third of its kind. Whoever is killed at a call has not made it.
moments()
{
	nbld_start "$ns"
	traced "$work/calls"
	ctl attach "$@"
	stop "$(nbld_pid)"
	wait_until "strace's end" 5 has_ended "$spawned"
	awk -F '(' -v changes="$changes" '{ n[$1]++; is = $0 ~ changes } is || was { print $1, n[$1] } /schema/ { exit } { was = is }' \
		"$work/calls" >"$work/moments"
}

# dies_attaching NS CHECK ATTACH...: at each moment; a new nbld clears up each time, as CHECK finds
dies_attaching()
{
	local ns=$1 check=$2 call n

	shift 2
	moments "$@"
	nbld_start "$ns"
	while read -r call n; do
		traced "$work/strace" -e "inject=$call:signal=KILL:when=$n"
		! ctl attach "$@" || fail "not killed at $call $n"
		wait_until "nbld's end" 5 has_ended "$(nbld_pid)"
		nbld_start "$ns"
		"$check"
	done <"$work/moments"
	stop "$(nbld_pid)"
	"$check"
	expect_between "calls it was killed at" 3 99 "$(wc -l <"$work/moments")"
	note "killed at $(wc -l <"$work/moments") calls of $(wc -l <"$work/calls")"
}

a_pair_half_attached_is_cleared_up_wherever_it_ended()
{
	dies_attaching dut pair_is_as_before v1 pair v2
}

a_host_half_attached_is_cleared_up_wherever_it_ended()
{
	dies_attaching host host_is_as_before v0 host
}

# Its worker stays, with the queues.
a_pair_half_attached_fail_closed_leaves_its_queues_free()
{
	changes='rename\(|sendmsg\('
	dies_attaching dut pair_is_as_before v1 pair v2 fail closed
	nbld_start dut
	ctl attach v1 pair v2 fail closed
	flow src s0 dst d0 --rate 5000 --count 1000 --size 64
	expect_flow_whole 1000
	stop "$(nbld_pid)"
}

test_begin strace ethtool nbl-gen nbl-sink
topology_host
topology_pair 1
baseline host v0 >"$work/v0"
baseline dut v1 v2 >"$work/pair"

claim a_pair_half_attached_is_cleared_up_wherever_it_ended
claim a_host_half_attached_is_cleared_up_wherever_it_ended
claim a_pair_half_attached_fail_closed_leaves_its_queues_free
