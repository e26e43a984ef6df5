#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# multi_queue.sh - several queues a port, also where the ports' numbers differ.
#
#      src                   dut                   dst
#     +------+   2 queues   +-----------+   N     +------+
#     |  s0 -+--------------+- v1   v2 -+---------+- d0  |     N = 2, then 1
#     +------+     veth     +-----------+  veth   +------+
#
# A frame that nbl-gen redirects into a veth arrives in the queue of the processor it runs on.
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/../lib/netlib.sh"

# xdp_packets QUEUE: of v1, that met its XDP program in this queue
xdp_packets()
{
	in_ns dut ethtool -S v1 | awk -v key="rx_queue_$1_xdp_packets:" '$1 == key { print $2 }'
}

# each_queue_passes NAME: 20 000 frames through queue 0, then as many through queue 1
each_queue_passes()
{
	local queue before other

	for queue in 0 1; do
		before=$(xdp_packets "$queue")
		other=$(xdp_packets $((1 - queue)))
		gen_cpu=$queue flow src s0 dst d0 --rate 50000 --count 20000 --size 64
		expect_flow_whole 20000
		expect_at_least "frames in queue $queue" 20000 $(($(xdp_packets "$queue") - before))
		expect_between "frames in the other queue" 0 100 $(($(xdp_packets $((1 - queue))) - other))
	done
	audit_clean "$1"
}

each_of_two_queues_passes_frames_whole()
{
	expect_equal "queues of v1, v2" "2 2" "$(show v1 '"\(.lower.queues) \(.upper.queues)"')"
	each_queue_passes v1
}

flows_spread_over_the_queues_arrive_complete()
{
	iperf3_run src 10.98.0.2 -P 8 -t 1
	iperf3_run src 10.98.0.2 -P 8 -t 1 -R
	send_file src dst 10.98.0.2 16
	send_file dst src 10.98.0.1 16
	audit_clean v1
}

two_queues_below_and_one_above_pass_frames_whole()
{
	ctl detach v1
	in_ns dut ethtool -L v2 rx 1 tx 1 || skip "a veth's queues cannot be reduced here"
	in_ns dst ethtool -L d0 rx 1 tx 1
	ctl attach v1 pair v2
	expect_equal "queues of v1, v2" "2 1" "$(show v1 '"\(.lower.queues) \(.upper.queues)"')"
	each_queue_passes v1
	send_file src dst 10.98.0.2 8
	send_file dst src 10.98.0.1 8
}

one_queue_below_and_two_above_pass_frames_whole()
{
	ctl detach v1
	ctl attach v2 pair v1 name turned
	expect_equal "queues of v2, v1" "1 2" "$(show turned '"\(.lower.queues) \(.upper.queues)"')"
	each_queue_passes turned
	ctl detach turned
}

a_host_interface_with_two_queues_runs_tcp()
{
	address dut v1 10.98.0.9/24
	ctl attach v1 host
	expect_equal "queues of v1" 2 "$(show v1 .lower.queues)"
	iperf3_run dut 10.98.0.1 -P 4 -t 1
	iperf3_run dut 10.98.0.1 -P 4 -t 1 -R
	send_file src dut 10.98.0.9 16
	audit_clean v1
}

test_begin iperf3 socat ethtool nbl-gen nbl-sink
topology_pair 2
nbld_start dut
ctl attach v1 pair v2 >/dev/null
iperf3_serve dst
iperf3_serve src

claim each_of_two_queues_passes_frames_whole
claim flows_spread_over_the_queues_arrive_complete
claim two_queues_below_and_one_above_pass_frames_whole
claim one_queue_below_and_two_above_pass_frames_whole
claim a_host_interface_with_two_queues_runs_tcp
