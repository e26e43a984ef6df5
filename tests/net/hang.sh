#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# hang.sh - while a worker makes no progress, packets take another way; when it goes on, so does filtering.
#
#      src              dut               dst            peer             host
#     +------+         +-----------+     +------+       +------+         +------+
#     |  s0 -+---------+- v1   v2 -+-----+- d0  |  and  |  p0 -+---------+- v0  |
#     +------+  veth   +-----------+     +------+       +------+  veth   +------+
#
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/../lib/netlib.sh"

LIMIT_MS=100

# hung NAME: packets that went another way for want of progress, both directions
hung()
{
	show "$1" '.lower.hung + .upper.hung'
}

hung_more_than()
{
	[ "$(hung "$1")" -gt "$2" ]
}

# hang_under_load SECONDS: result in $work/flow
hang_under_load()
{
	local pid before

	pid=$(worker_of v1)
	before=$(hung v1)
	flow_start src s0 dst d0 --rate 5000 --seconds 30 --size 64
	sleep 0.3
	kill -STOP "$pid"
	wait_until "packets on the other way" 2 hung_more_than v1 "$before"
	sleep "$1"
	signal CONT "$pid"
	wait_until "filtering" 5 is_true v1 '.state == "running" and .bypass == null'
	sleep 0.3
	flow_stop
	flow_end
	note "hung for $1 s at 5000 packets/s: $(flow_figure '"\(.sent) sent, \(.lost) lost, \(.duplicates) duplicated, \(.reordered) reordered"')," \
		"$(($(hung v1) - before)) went past the worker, restarts: $(show v1 .worker.restarts)"
}

packets_of_a_pair_pass_a_hung_worker_on_the_wire()
{
	local before flawless='.lost == 0 and .duplicates == 0'	# on two ways some overtake others

	before=$(hung v1)
	on_a_calm_machine 20 hang_under_load 0.5
	# those that came before the limit wait in the rings and arrive when the worker goes on
	expect_equal "lost" 0 "$(flow_figure .lost)"
	expect_equal "duplicated" 0 "$(flow_figure .duplicates)"
	expect_at_least "packets past the worker" 1500 $(($(hung v1) - before))
	audit_clean v1
}

# past_the_worker: packets that went another way, for whatever reason
past_the_worker()
{
	show v1 '.lower.bypassed + .lower.hung + .upper.bypassed + .upper.hung'
}

# flow_by_the_worker RATE COUNT: none goes past it, unless it may have been held up for as long as the limit
flow_by_the_worker()
{
	local before past i

	for ((i = 0; i < 5; i++)); do
		before=$(past_the_worker)
		flow src s0 dst d0 --rate "$1" --count "$2" --size 64
		past=$(($(past_the_worker) - before))
		[ "$past" != 0 ] || break
		[ "$(flow_figure ".late_us / 1000 >= $LIMIT_MS / 2")" = true ] || break
		note "not counted: processes were held up for $(flow_figure '.late_us / 1000 | floor') ms"
	done
	[ "$i" != 5 ] || skip "this machine is too busy: it holds workers up"
	expect_flow_whole "$2"
	expect_equal "packets past the worker" 0 "$past"
}

filtering_resumes_after_the_hang()
{
	flow_by_the_worker 20000 10000
}

a_host_stays_reachable_while_its_worker_hangs()
{
	local pid received

	pid=$(worker_of v0)
	in_ns peer ping -q -c 5 -i 0.02 -W 1 10.99.0.2	# who is who on this link is known
	kill -STOP "$pid"
	# 10 ms apart: those within the limit wait in the rings, and their answers come after the hang
	in_ns peer ping -q -c 100 -i 0.01 -W 1 10.99.0.2 >"$work/ping" || true
	received=$(grep -o '[0-9]* received' "$work/ping")
	note "of 100 pings 10 ms apart, while the worker was stopped: $received"
	expect_at_least "pings answered" 70 "${received% received}"
	send_file peer dut 10.99.0.2 4
	send_file dut peer 10.99.0.1 4
	signal CONT "$pid"
	wait_until "filtering" 5 is_true v0 '.state == "running" and .bypass == null'
	in_ns peer ping -q -c 20 -i 0.01 -W 1 10.99.0.2
	audit_clean v0
}

a_worker_that_is_idle_or_busy_is_never_taken_for_hung()
{
	sleep 0.5
	flow_by_the_worker 50000 50000
	sleep 0.5
	flow_by_the_worker 10 5
}

with_fail_closed_a_hung_workers_packets_go_nowhere()
{
	local pid

	ctl detach v1
	ctl attach v1 pair v2 fail closed
	pid=$(worker_of v1)
	flow src s0 dst d0 --rate 5000 --count 1000 --size 64
	expect_flow_whole 1000
	kill -STOP "$pid"
	flow_start src s0 dst d0 --rate 5000 --count 5000 --size 64
	wait "$gen"
	expect_equal "processes stopped" 1 "$(grep -c 'State:.T' "/proc/$pid/status" || true)"
	signal TERM "$sink"
	flow_end
	expect_equal "packets that passed" 0 "$(flow_figure .distinct)"
	signal CONT "$pid"
	wait_until "filtering" 5 is_true v1 '.state == "running"'
	audit_clean v1
}

# What it does not read piles up until no more fits.
questions_to_a_worker_that_reads_none_do_not_stop_nbld()
{
	local pid began i

	ctl detach v1
	ctl attach v1 pair v2
	pid=$(worker_of v1)
	kill -STOP "$pid"
	for i in $(seq 100); do
		began=$SECONDS
		expect_status 8 ctl --timeout 10 nblpool v1
		expect_match "answer $i" "worker does not answer" "$(cat "$work/err")"
		[ $((SECONDS - began)) -gt 1 ] || break
	done
	note "$i questions fit"
	kill -CONT "$pid"
	wait_until "an answer" 5 ctl nblpool v1
	expect_equal "worker" "$pid" "$(worker_of v1)"
	audit_clean v1
}

test_begin socat ping ethtool nbl-gen nbl-sink
topology_pair 1
ns_add peer ipv6
veth peer p0 dut v0
as_wire peer p0
in_ns dut ethtool -K v0 gro on >/dev/null
address peer p0 10.99.0.1/24
address dut v0 10.99.0.2/24
nbld_start dut
ctl attach v1 pair v2 "hang-limit" "$LIMIT_MS" >/dev/null
ctl attach v0 host "hang-limit" "$LIMIT_MS" >/dev/null

claim packets_of_a_pair_pass_a_hung_worker_on_the_wire
claim filtering_resumes_after_the_hang
claim a_worker_that_is_idle_or_busy_is_never_taken_for_hung
claim a_host_stays_reachable_while_its_worker_hangs
claim with_fail_closed_a_hung_workers_packets_go_nowhere
claim questions_to_a_worker_that_reads_none_do_not_stop_nbld
