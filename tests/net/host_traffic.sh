#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# host_traffic.sh - the host layout: this machine's own traffic goes through nbld and stays whole.
#
#      peer                              host
#     +------------------+              +------------------+
#     |              p0 -+--------------+- v0  (nbld)      |   10.99.0.x/24, fd99::x/64,
#     |                  |              |                  |   and VLAN 7: 10.97.0.x/24
#     |              p1 -+--------------+- v1  (untouched) |   10.96.0.x/24
#     +------------------+     veth     +------------------+
#
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/../lib/netlib.sh"

# handled NAME: packets the worker has taken from both ports
handled()
{
	show "$1" .received
}

ping_is_answered_both_ways()
{
	local before

	before=$(handled v0)
	in_ns peer ping -q -c 20 -i 0.01 -W 1 10.99.0.2
	in_ns host ping -q -c 20 -i 0.01 -W 1 10.99.0.1
	# 40 requests and 40 replies: that they came through the worker is part of the claim
	expect_at_least "packets through the worker" 80 $(($(handled v0) - before))
}

arp_is_answered_both_ways()
{
	in_ns peer ip neigh flush dev p0
	in_ns host ip neigh flush dev v0
	in_ns peer arping -q -c 2 -w 5 -I p0 10.99.0.2
	in_ns host arping -q -c 2 -w 5 -I v0 10.99.0.1
	in_ns peer ping -q -c 1 -W 1 10.99.0.2
}

tcp_runs_both_ways()
{
	local before option gbits

	readings_start v0
	for option in "" -R; do
		before=$(handled v0)
		# shellcheck disable=SC2086  # no option or one
		iperf3_run peer 10.99.0.2 -t 2 $option
		gbits=$(jq '.end.sum_received.bits_per_second / 1e9' "$work/iperf3.json")
		expect_between "Gbit/s${option:+ reverse}" 0.05 1000 "$gbits"
		note "$(printf '%.2f Gbit/s%s' "$gbits" "${option:+, from the host}"), retransmitted:" \
			"$(jq .end.sum_sent.retransmits "$work/iperf3.json")"
		expect_at_least "packets through the worker" 1000 $(($(handled v0) - before))
	done
	readings_end
}

a_64_MiB_file_arrives_unchanged_each_way()
{
	send_file peer host 10.99.0.2 64
	send_file host peer 10.99.0.1 64
}

udp_arrives_complete_both_ways()
{
	udp_arrives_complete peer 10.99.0.2
	udp_arrives_complete peer 10.99.0.2 -R
}

ipv6_finds_its_neighbours_and_runs_tcp()
{
	in_ns peer ip -6 neigh flush dev p0
	in_ns host ip -6 neigh flush dev v0
	in_ns peer ping -6 -q -c 5 -i 0.02 -W 1 fd99::2
	in_ns host ip -6 neigh flush dev v0
	in_ns host ping -6 -q -c 5 -i 0.02 -W 1 fd99::1
	expect_match "the host's neighbours" "fd99::1 .*lladdr" "$(in_ns host ip -6 neigh show dev v0)"
	send_file peer host "[fd99::2]" 8
	send_file host peer "[fd99::1]" 8
}

tagged_frames_keep_their_tag_both_ways()
{
	tagged_pass peer p0 host v0
	tagged_pass host v0 peer p0
}

vlan_interfaces_carry_traffic_both_ways()
{
	has_vlan_links host || skip "this kernel has no vlan links"
	in_ns peer ip link add link p0 name p0.7 type vlan id 7
	in_ns host ip link add link v0 name v0.7 type vlan id 7
	in_ns peer ip link set p0.7 up
	in_ns host ip link set v0.7 up
	address peer p0.7 10.97.0.1/24
	address host v0.7 10.97.0.2/24
	capture_start peer p0 -vv "vlan 7"
	in_ns peer ping -q -c 10 -i 0.02 -W 1 10.97.0.2
	in_ns host ping -q -c 10 -i 0.02 -W 1 10.97.0.1
	lines_captured "vlan 7.*10.97.0.1 > 10.97.0.2: ICMP echo reply" 10
	expect_at_least "tagged replies on the wire" 10 \
		"$(grep -c 'vlan 7.*10.97.0.2 > 10.97.0.1: ICMP echo reply' "$work/capture")"
	send_file peer host 10.97.0.2 8
	send_file host peer 10.97.0.1 8
	in_ns host ip link del v0.7
	in_ns peer ip link del p0.7
}

# lines_captured REGEX N: when it has so many of what was sent last: one line per packet, in $work/capture,
# for -vv breaks them
lines_captured()
{
	wait_until "tcpdump's $2 lines like \"$1\"" 5 are_captured "$1" "$2"
	capture_end
	lines_of_packets >"$work/capture"
}

are_captured()
{
	[ "$(lines_of_packets | grep -c "$1")" -ge "$2" ]
}

lines_of_packets()
{
	awk '/^[0-9]/ { printf "%s%s", sep, $0; sep = "\n"; next } { printf " %s", $0 } END { print "" }' \
		"$work/captured"
}

checksums_on_the_wire_are_right()
{
	capture_start peer p0 -vv "src host 10.99.0.2 or src host fd99::2"
	iperf3_run peer 10.99.0.2 -R -n 2M
	iperf3_run peer 10.99.0.2 -R -u -b 20M -l 1000 -n 200K
	iperf3_run peer fd99::2 -R -n 512K
	in_ns peer ping -q -c 5 -i 0.02 10.99.0.2
	in_ns peer ping -6 -q -c 5 -i 0.02 fd99::2
	lines_captured "fd99::2 > fd99::1.*icmp6 sum ok.*echo reply" 5
	expect_at_least "right TCP checksums" 500 "$(grep -c 'cksum 0x[0-9a-f]* (correct)' "$work/capture")"
	expect_at_least "right UDP checksums" 100 "$(grep -c 'udp sum ok' "$work/capture")"
	expect_at_least "right ICMPv6 checksums" 5 "$(grep -c 'icmp6 sum ok' "$work/capture")"
	expect_equal "wrong checksums" 0 "$(grep -c -i -E 'incorrect|bad (udp|icmp6|ip)? ?(ck)?sum|wrong' "$work/capture" || true)"
}

frames_on_the_wire_are_no_longer_than_the_mtu()
{
	local longest

	# of the capture above; tcpdump's "length" behind the ethertype is that of the whole frame
	longest=$(grep -o 'ethertype [^,]*, length [0-9]*' "$work/capture" | grep -o '[0-9]*$' | sort -n | tail -n 1)
	expect_between "longest frame from the host" 1000 1514 "$longest"
}

offload_settings_stay_as_they_were()
{
	in_ns host ethtool -k v0 >"$work/offloads.now"
	expect_same "ethtool -k v0" "$work/offloads" "$work/offloads.now"
}

a_second_interface_is_left_alone()
{
	local before

	baseline host v1 | grep -v 'nbl[hx]' >"$work/v1.now"
	expect_same "v1" "$work/v1" "$work/v1.now"
	before=$(handled v0)
	in_ns peer ping -q -c 200 -i 0.002 10.96.0.2
	send_file peer host 10.96.0.2 8
	expect_between "packets the worker took meanwhile" 0 50 $(($(handled v0) - before))
}

every_frame_and_packet_is_accounted_for()
{
	audit_clean v0
	note "$(show v0 '"\(.received) received, \(.outcomes.to_host) to host, \(.outcomes.to_wire) to wire, \(.outcomes.dropped) dropped"')"
}

test_begin iperf3 socat tcpdump ping arping ethtool
topology_host
veth peer p1 host v1
address peer p1 10.96.0.1/24
address host v1 10.96.0.2/24
in_ns host ethtool -k v0 >"$work/offloads"
baseline host v1 >"$work/v1"
nbld_start host
ctl attach v0 host >/dev/null
iperf3_serve host

claim ping_is_answered_both_ways
claim arp_is_answered_both_ways
claim tcp_runs_both_ways
claim a_64_MiB_file_arrives_unchanged_each_way
claim udp_arrives_complete_both_ways
claim ipv6_finds_its_neighbours_and_runs_tcp
claim tagged_frames_keep_their_tag_both_ways
claim vlan_interfaces_carry_traffic_both_ways
claim checksums_on_the_wire_are_right
claim frames_on_the_wire_are_no_longer_than_the_mtu
claim offload_settings_stay_as_they_were
claim a_second_interface_is_left_alone
claim every_frame_and_packet_is_accounted_for
