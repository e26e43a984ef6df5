#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# reflect.sh - what is forwarded by a child NBL goes back over the same bytes, uncopied, and is counted.
#
#      src              dut               dst
#     +------+         +-----------+     +------+
#     |  s0 -+---------+- v1   v2 -+-----+- d0  |      reflect sends back what came in on v1
#     +------+  veth   +-----------+     +------+
#
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/../lib/netlib.sh"

TYPE=36864	# 0x9000: the EtherType that reflect takes by itself
COUNT=200000

# outcome NAME: packets that ended so
outcome()
{
	show v1 ".outcomes.$1"
}

# read_figures: those that the claims compare, in $figures
read_figures()
{
	figures=$(show v1 '[.received, .outcomes.consumed, .originated.sent, .originated.failed, .copies, .outcomes.dropped, .upper.tx_packets] | join(" ")')
}

there_and_back()
{
	read_figures
	before=$figures
	flow_start src s0 src s0 --rate 50000 --count "$COUNT" --size 64 --ether-type "$TYPE"
	flow_end
	read_figures
}

# gained N: of the figures' Nth
gained()
{
	echo $(($(cut -d ' ' -f "$1" <<<"$figures") - $(cut -d ' ' -f "$1" <<<"$before")))
}

DV_12_200_000_frames_come_back_and_none_is_copied()
{
	local sink_options="--ether-type $TYPE"

	on_a_calm_machine 20 there_and_back
	note "$(flow_figure '"\(.sent) sent, \(.distinct) came back, median \(.latency_us.p50) us there and back"'), $(gained 5) copied"
	expect_flow_whole "$COUNT"
	expect_equal "received" "$COUNT" "$(gained 1)"
	expect_equal "consumed" "$COUNT" "$(gained 2)"
	expect_equal "children sent" "$COUNT" "$(gained 3)"
	expect_equal "children not sent" 0 "$(gained 4)"
	expect_equal "copies" 0 "$(gained 5)"
	expect_equal "dropped" 0 "$(gained 6)"
	expect_equal "sent to the other side" 0 "$(gained 7)"
	audit_clean v1
}

arrived_back()
{
	[ "$(grep -c "$1" "$work/captured")" -ge 20 ]
}

they_come_back_with_their_addresses_swapped()
{
	local mac

	mac=$(in_ns src ip -j link show dev s0 | jq -r '.[0].address')
	capture_start src s0 -Q in "ether proto $TYPE"
	in_ns src "$BUILD/tests/nbl-gen" --if s0 --rate 1000 --count 20 --size 64 --ether-type "$TYPE"
	wait_until "20 frames to $mac" 3 arrived_back "02:00:00:00:00:02 > $mac"
	capture_end
	expect_equal "frames that came back" 20 "$(grep -c 'ethertype' "$work/captured")"
}

all_else_passes()
{
	local before

	before=$(outcome consumed)
	flow src s0 dst d0 --rate 50000 --count 50000 --size 64
	expect_flow_whole 50000
	in_ns src ping -q -c 20 -i 0.01 -W 1 10.98.0.2
	expect_equal "consumed" "$before" "$(outcome consumed)"
	audit_clean v1
}

it_goes_while_frames_are_on_their_way_back_and_none_is_missing()
{
	local i sink_options="--ether-type $TYPE"

	flow_start src s0 src s0 --rate 20000 --seconds 20 --size 64 --ether-type "$TYPE"
	for ((i = 0; i < 5; i++)); do
		sleep 0.1
		ctl module remove v1 reflect
		audit_clean v1
		ctl module add v1 reflect
	done
	flow_stop
	flow_end
	# what came while it was out went on to dst
	expect_at_least "frames that came back" 1000 "$(flow_figure .distinct)"
	expect_equal "frames duplicated" 0 "$(flow_figure .duplicates)"
	expect_equal "children not sent" 0 "$(show v1 .originated.failed)"
	audit_clean v1
	expect_equal "frames of the pool in use" 0 "$(show v1 '.pool.frames - .pool.free')"
}

test_begin nbl-gen nbl-sink tcpdump ping
topology_pair 1
nbld_start dut
ctl attach v1 pair v2 >/dev/null
ctl module add v1 reflect >/dev/null

claim DV_12_200_000_frames_come_back_and_none_is_copied
claim they_come_back_with_their_addresses_swapped
claim all_else_passes
claim it_goes_while_frames_are_on_their_way_back_and_none_is_missing
