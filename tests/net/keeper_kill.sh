#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# keeper_kill.sh - nbld killed outright: the host layout's packets take the kernel's path and
# connections live on; so do those through a pair, over the wire of tc programs that stays behind. The
# next nbld clears up. With fail closed the worker filters on until then.
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

a_transfer_survives_the_keepers_death()
{
	local worker iperf

	worker=$(worker_of v0)
	in_ns peer timeout 30 iperf3 -J -i 0.5 -c 10.99.0.2 -t 4 >"$work/iperf3.json" &
	iperf=$!
	adopt "$iperf"
	sleep 1.2
	nbld_kill
	wait_until "the worker's end" 5 has_ended "$worker"
	wait "$iperf" || fail "iperf3: $(jq -r .error "$work/iperf3.json")"
	# the last second is long after the kill
	expect_at_least "Gbit/s in the last half second" 0.05 \
		"$(jq '.intervals[-1].sum.bits_per_second / 1e9' "$work/iperf3.json")"
	note "Gbit/s by half seconds: $(jq -r '[.intervals[].sum.bits_per_second / 1e8 | floor / 10] | join(" ")' "$work/iperf3.json")"
}

new_connections_work_without_a_keeper()
{
	in_ns peer ping -q -c 5 -i 0.02 -W 1 10.99.0.2
	in_ns host ping -q -c 5 -i 0.02 -W 1 10.99.0.1
	send_file peer host 10.99.0.2 8
	send_file host peer 10.99.0.1 8
}

a_new_keeper_clears_up_what_the_dead_one_left()
{
	nbld_start host
	host_is_as_before
}

the_new_keeper_attaches_again()
{
	local before

	ctl attach v0 host
	before=$(show v0 .received)
	send_file peer host 10.99.0.2 8
	expect_at_least "packets through the new worker" 1000 $(($(show v0 .received) - before))
	audit_clean v0
}

a_host_with_both_keeper_and_worker_killed_stays_reachable()
{
	local worker

	worker=$(worker_of v0)
	nbld_kill
	kill -KILL "$worker" 2>/dev/null || true
	wait_until "the worker's end" 5 has_ended "$worker"
	in_ns peer ping -q -c 20 -i 0.01 -W 1 10.99.0.2
	in_ns host ping -q -c 20 -i 0.01 -W 1 10.99.0.1
	send_file peer host 10.99.0.2 8
	send_file host peer 10.99.0.1 8
	nbld_start host
	host_is_as_before
	stop "$(nbld_pid)"
}

# A ping over the pair, 100 a second, loses next to nothing when nbld dies, and goes on without it.
a_pair_passes_on_by_the_wire_without_a_keeper()
{
	local worker ping

	nbld_start dut
	ctl attach v1 pair v2
	worker=$(worker_of v1)
	in_ns src ping -q -c 300 -i 0.01 -W 1 10.98.0.2 >"$work/ping" &
	ping=$!
	sleep 1
	nbld_kill
	wait_until "the worker's end" 5 has_ended "$worker"
	wait "$ping"
	note "$(grep received "$work/ping")"
	expect_at_least "answers of 300" 295 "$(sed -n 's/.* \([0-9]*\) received.*/\1/p' "$work/ping")"
	expect_equal "programs on v1, v2" "none none" "$(xdp_of dut v1) $(xdp_of dut v2)"
	in_ns dst ping -q -c 5 -i 0.05 -W 1 10.98.0.1
}

a_new_keeper_brings_the_pair_back()
{
	nbld_start dut
	pair_is_as_before
	ctl attach v1 pair v2
	flow src s0 dst d0 --rate 50000 --count 20000 --size 64
	expect_flow_whole 20000
	audit_clean v1
}

# Nothing may pass unfiltered: the worker stays, and its module goes on counting.
a_worker_that_fails_closed_filters_on_without_a_keeper()
{
	local worker

	ctl detach v1
	ctl attach v1 pair v2 fail closed
	worker=$(worker_of v1)
	nbld_kill
	sleep 1.5
	kill -0 "$worker"
	in_ns src ping -q -c 20 -i 0.01 -W 1 10.98.0.2
	expect_equal "program on v1" "native" "$(xdp_of dut v1 | sed 's/none//; s/..*/native/')"
	nbld_start dut
	wait_until "the worker's end" 5 has_ended "$worker"
	pair_is_as_before
}

# Of what it does not understand it would not know what stays.
what_another_version_wrote_is_not_passed_over_in_silence()
{
	stop "$(nbld_pid)"
	echo '{"schema": 1, "workers": [], "legs": [{"nic": "v0", "nic_ifindex": 2}], "wires": [], "vlans": []}' \
		>"$work/nbld.sock.state"
	nbld_start host
	expect_match "nbld's log" "nbld.sock.state: written by another version of nbld.* Try: " "$(cat "$work/nbld.log")"
}

test_begin iperf3 socat ping ethtool nbl-gen nbl-sink
topology_host
topology_pair 1
baseline host v0 >"$work/v0"
baseline dut v1 v2 >"$work/pair"
iperf3_serve host
nbld_start host
ctl attach v0 host >/dev/null

claim a_transfer_survives_the_keepers_death
claim new_connections_work_without_a_keeper
claim a_new_keeper_clears_up_what_the_dead_one_left
claim the_new_keeper_attaches_again
claim a_host_with_both_keeper_and_worker_killed_stays_reachable
claim a_pair_passes_on_by_the_wire_without_a_keeper
claim a_new_keeper_brings_the_pair_back
claim a_worker_that_fails_closed_filters_on_without_a_keeper
claim what_another_version_wrote_is_not_passed_over_in_silence
