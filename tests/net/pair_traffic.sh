#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# pair_traffic.sh - the pair layout: a bump in the wire that nothing between its ends notices.
#
#      src                       dut                       dst
#     +--------------+          +-----------+          +--------------+
#     |          s0 -+----------+- v1   v2 -+----------+- d0          |
#     | 10.98.0.1/24 |   veth   |   nbld    |   veth   | 10.98.0.2/24 |
#     | fd98::1/64   |          +-----------+          | fd98::2/64   |
#     +--------------+                                 +--------------+
#
# LOAD_SECONDS in the environment: how long 200 000 packets/s last (3).
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/../lib/netlib.sh"

LOAD_SECONDS=${LOAD_SECONDS:-3}

ping_and_arp_pass_both_ways()
{
	in_ns src ping -q -c 20 -i 0.01 -W 1 10.98.0.2
	in_ns dst ping -q -c 20 -i 0.01 -W 1 10.98.0.1
	in_ns src arping -q -c 2 -w 5 -I s0 10.98.0.2
	in_ns dst arping -q -c 2 -w 5 -I d0 10.98.0.1
}

ipv6_neighbours_find_each_other()
{
	in_ns src ip -6 neigh flush dev s0
	in_ns src ping -6 -q -c 5 -i 0.02 -W 1 fd98::2
	in_ns dst ip -6 neigh flush dev d0
	in_ns dst ping -6 -q -c 5 -i 0.02 -W 1 fd98::1
}

tcp_runs_both_ways()
{
	local option gbits

	for option in "" -R; do
		# shellcheck disable=SC2086  # no option or one
		iperf3_run src 10.98.0.2 -t 2 $option
		gbits=$(jq '.end.sum_received.bits_per_second / 1e9' "$work/iperf3.json")
		expect_between "Gbit/s${option:+ reverse}" 0.05 1000 "$gbits"
		note "$(printf '%.2f Gbit/s%s' "$gbits" "${option:+, from dst}"), retransmitted:" \
			"$(jq .end.sum_sent.retransmits "$work/iperf3.json")"
	done
}

a_64_MiB_file_arrives_unchanged_each_way()
{
	send_file src dst 10.98.0.2 64
	send_file dst src 10.98.0.1 64
	send_file src dst "[fd98::2]" 8
}

udp_arrives_complete_both_ways()
{
	udp_arrives_complete src 10.98.0.2
	udp_arrives_complete src 10.98.0.2 -R
}

tagged_frames_keep_their_tag_both_ways()
{
	tagged_pass src s0 dst d0
	tagged_pass dst d0 src s0
}

vlan_interfaces_carry_traffic_both_ways()
{
	has_vlan_links src || skip "this kernel has no vlan links"
	in_ns src ip link add link s0 name s0.7 type vlan id 7
	in_ns dst ip link add link d0 name d0.7 type vlan id 7
	in_ns src ip link set s0.7 up
	in_ns dst ip link set d0.7 up
	address src s0.7 10.97.0.1/24
	address dst d0.7 10.97.0.2/24
	in_ns src ping -q -c 10 -i 0.02 -W 1 10.97.0.2
	in_ns dst ping -q -c 10 -i 0.02 -W 1 10.97.0.1
	send_file src dst 10.97.0.2 8
	in_ns src ip link del s0.7
	in_ns dst ip link del d0.7
}

frames_of_every_size_pass_whole()
{
	local size

	for size in 60 64 65 128 594 1024 1513 1514; do
		flow src s0 dst d0 --rate 20000 --count 2000 --size "$size"
		expect_flow_whole 2000
		expect_equal "bytes of 2000 frames" $((2000 * size)) "$(flow_figure .bytes)"
	done
}

the_other_way_is_as_good()
{
	flow dst d0 src s0 --rate 50000 --count 50000 --size 64
	expect_flow_whole 50000
}

# The issue's figure is 10 s; the quick run takes fewer.
at_200000_packets_a_second_none_is_lost_duplicated_or_reordered()
{
	readings_start v1
	# the rings hold 20 ms of this
	on_a_calm_machine 10 one_flow src s0 dst d0 --rate 200000 --count $((200000 * LOAD_SECONDS)) --size 64
	readings_end
	note "$((200000 * LOAD_SECONDS)) frames of 64 bytes: $(flow_figure '"\(.lost) lost, \(.duplicates) duplicated, \(.reordered) reordered, median latency \(.latency_us.p50) us, processes held up for \(.late_us | floor) us at most"')"
	expect_flow_whole $((200000 * LOAD_SECONDS))
}

at_100000_packets_a_second_full_frames_pass_whole()
{
	flow src s0 dst d0 --rate 100000 --count 100000 --size 1514
	expect_flow_whole 100000
}

every_frame_and_packet_is_accounted_for()
{
	audit_clean v1
	note "$(show v1 '"\(.received) received, \(.outcomes.to_host) up, \(.outcomes.to_wire) to wire, \(.outcomes.dropped) dropped"')"
}

test_begin iperf3 socat ping arping ethtool nbl-gen nbl-sink
topology_pair 1 ipv6
nbld_start dut
ctl attach v1 pair v2 >/dev/null
iperf3_serve dst

claim ping_and_arp_pass_both_ways
claim ipv6_neighbours_find_each_other
claim tcp_runs_both_ways
claim a_64_MiB_file_arrives_unchanged_each_way
claim udp_arrives_complete_both_ways
claim tagged_frames_keep_their_tag_both_ways
claim vlan_interfaces_carry_traffic_both_ways
claim frames_of_every_size_pass_whole
claim the_other_way_is_as_good
claim at_200000_packets_a_second_none_is_lost_duplicated_or_reordered
claim at_100000_packets_a_second_full_frames_pass_whole
claim every_frame_and_packet_is_accounted_for
