#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# filter.sh - the filter module on real links: rules block, callouts hold, edit and send on.
#
#      src              dut               dst
#     +------+         +-----------+     +------+
#     |  s0 -+---------+- v1   v2 -+-----+- d0  |
#     +------+  veth   +-----------+     +------+
#
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/../lib/netlib.sh"

# put_in OPTION...: the module, in the place of one a failed claim left there
put_in()
{
	ctl module remove v1 filter >/dev/null 2>&1 || true
	ctl module add v1 filter "$@"
}

take_out()
{
	ctl module remove v1 filter
}

# Packets the module dropped for REASON.
dropped_for()
{
	ctl -j drops v1 |
		jq "[.adapters[0].drops[] | select(.place == \"filter\" and .reason == \"$1\") | .packets] | add // 0"
}

# has_dropped REASON N: packets for REASON, at least
has_dropped()
{
	[ "$(dropped_for "$1")" -ge "$2" ]
}

# datagrams PORT N: one line each, from src to dst
datagrams()
{
	# shellcheck disable=SC2016  # the inner shell's variables
	in_ns src bash -c 'for ((i = 0; i < $1; i++)); do echo "datagram $i" >/dev/udp/10.98.0.2/$0; done' "$1" "$2"
}

lines_are()
{
	[ "$(wc -l <"$1")" = "$2" ]
}

# pings N: as many come back; median time in $rtt (ms)
pings()
{
	in_ns src ping -n -c "$1" -i 0.05 -W 2 10.98.0.2 >"$work/ping" || fail "ping: $(tail -n 2 "$work/ping")"
	expect_match "ping" "$1 received" "$(cat "$work/ping")"
	rtt=$(sed -n 's/.*time=\([0-9.]*\).*/\1/p' "$work/ping" | sort -n | sed -n "$((($1 + 1) / 2))p")
}

# marked_end PATTERN N: so many of the frames captured match, then no more are captured
marked_end()
{
	wait_until "$2 packets like \"$1\"" 2 captured "$1" "$2"
	capture_end
	expect_equal "packets like \"$1\"" "$2" "$(grep -c "$1" "$work/captured")"
}

captured()
{
	[ "$(grep -c "$1" "$work/captured")" -ge "$2" ]
}

listening_udp()
{
	[ "$(in_ns dst ss -Hulna "sport = :$1")" ]
}

a_rule_blocks_one_port_and_nothing_else()
{
	local before

	: >"$work/blocked"
	: >"$work/open"
	put_in "rule=inbound-ip4 protocol=udp dport=7777 block; inbound-mac ether-type=lldp block"
	before=$(dropped_for blocked)
	spawn dst "$work/blocked" socat -u UDP4-RECV:7777 -
	spawn dst "$work/open" socat -u UDP4-RECV:7778 -
	wait_until "socat listens" 5 listening_udp 7777
	wait_until "socat listens" 5 listening_udp 7778
	datagrams 7777 20
	datagrams 7778 20
	wait_until "20 datagrams to the open port" 3 lines_are "$work/open" 20
	pings 3
	expect_equal "datagrams to the blocked port" 0 "$(wc -l <"$work/blocked")"
	expect_equal "packets the filter says it blocked" 20 $(($(dropped_for blocked) - before))
	take_out
	datagrams 7777 5
	wait_until "5 datagrams after the filter was taken out" 3 lines_are "$work/blocked" 5
	audit_clean v1
}

# of_rule I FIGURE: of the module's rules in their order, from 0
of_rule()
{
	ctl -j module list v1 | jq ".modules[] | select(.name == \"filter\") | .filters[$1].$2"
}

each_rule_tells_how_often_it_matched()
{
	put_in "callouts=inspect-inline" "rule1=inbound-ip4 protocol=udp dport=7777 inspect:inspect-inline weight=9" \
		"rule2=inbound-ip4 protocol=udp dport=7777 block; inbound-ip4 protocol=udp dport=7777,7778 permit" \
		"rule3=$(seq -s ';' -f 'inbound-ip4 sport=%g block' 1 9)"
	datagrams 7777 20
	datagrams 7778 5
	wait_until "25 datagrams are decided on" 3 is_rule 2 matched 5
	expect_equal "matched by the first rule" 20 "$(of_rule 0 matched)"
	expect_equal "decided by a rule that inspects" 0 "$(of_rule 0 blocked)"
	expect_equal "blocked by the second rule" 20 "$(of_rule 1 blocked)"
	expect_equal "permitted by the third rule" 5 "$(of_rule 2 permitted)"
	expect_equal "the last of 12 rules" '"inbound-ip4 sport=9 block"' "$(of_rule 11 rule)"
	expect_equal "rules" null "$(of_rule 12 rule)"
	expect_equal "calls of the callout" "inspect-inline 20 20" \
		"$(ctl -j module list v1 | jq -r '.modules[0].callouts[0] | "\(.name) \(.calls) \(.seen)"')"
	expect_match "a line for people" " 20 +0 +20 +0 +inbound-ip4 protocol=udp dport=7777 block" "$(ctl module list v1)"
	expect_match "a line for people" "inspect-inline +20 " "$(ctl module list v1)"
	kill -KILL "$(worker_of v1)"
	wait_until "figures of a new worker" 5 is_rule 0 matched 0
	ctl module remove v1 filter
	expect_equal "keys without the module" "" "$(ctl -j module list v1 | jq -r '.modules[] | .filters')"
}

is_rule()
{
	[ "$(of_rule "$1" "$2")" = "$3" ]
}

a_rule_that_makes_no_sense_is_refused_by_the_word()
{
	ctl module remove v1 filter >/dev/null 2>&1 || true
	expect_status 1 ctl module add v1 filter "rule=inbound-ip4 dport=http block"
	expect_match "refusal" "'http' is not a value of dport" "$(cat "$work/err")"
	expect_equal "modules" 0 "$(ctl -j module list v1 | jq '.modules | length')"
}

rules_of_a_worker_that_does_not_answer_are_not_waited_for_long()
{
	local pid began

	put_in "rule=inbound-ip4 protocol=icmp block"
	pid=$(worker_of v1)
	kill -STOP "$pid"
	began=$SECONDS
	expect_match "module list" "no worker answers" "$(ctl --timeout 10 module list v1)"
	expect_between "seconds" 0 5 $((SECONDS - began))
	kill -CONT "$pid"
	wait_until "an answer" 5 ctl nblpool v1
	expect_equal "rules" 1 "$(ctl -j module list v1 | jq '.modules[] | select(.name == "filter") | .filters | length')"
	take_out
}

inspecting_out_of_band_holds_pings_and_lets_them_go_on()
{
	put_in "callouts=inspect-oob hold-ms=30" "rule=inbound-mac protocol=icmp callout:inspect-oob"
	pings 10
	note "inspect-oob hold-ms=30: median ping $rtt ms"
	expect_between "median ping in ms" 30 80 "$rtt"
	audit_clean v1
	take_out
}

inspecting_out_of_band_discards()
{
	put_in "callouts=inspect-oob verdict=discard" "rule=inbound-mac protocol=icmp callout:inspect-oob"
	in_ns src ping -n -c 3 -i 0.05 -W 1 10.98.0.2 >"$work/ping" && fail "pings came back"
	expect_match "ping" "0 received" "$(cat "$work/ping")"
	audit_clean v1
	take_out
}

what_a_callout_injects_and_a_rule_blocks_is_a_loss_with_a_name()
{
	put_in "callouts=inspect-oob" \
		"rule=inbound-mac protocol=icmp callout:inspect-oob; inbound-ip4 protocol=icmp block"
	in_ns src ping -n -c 3 -i 0.05 -W 1 10.98.0.2 >"$work/ping" && fail "pings came back"
	expect_equal "the callout's failed injections" 3 \
		"$(ctl -j module list v1 | jq '.modules[] | select(.name == "filter") | .callouts[0].failed')"
	expect_match "drops" "not among these:.*  blocked [0-9]" "$(ctl drops v1)"
	expect_equal "originated sum" 0 "$(show v1 '.originated | .entered - .to_wire - .to_host - .consumed - .dropped - .in_flight')"
	audit_clean v1
	take_out
}

modifying_out_of_band_writes_the_source_address()
{
	put_in "callouts=modify-oob mac=02:00:00:00:00:77" "rule=inbound-mac protocol=icmp callout:modify-oob"
	capture_start dst d0 -v -Q in icmp
	pings 10
	marked_end "02:00:00:00:00:77 >" 10
	audit_clean v1
	take_out
}

modifying_inline_marks_packets_and_the_peer_accepts_them()
{
	put_in "callouts=modify-inline dscp=46" \
		"rule=inbound-ip4 callout:modify-inline; outbound-ip4 callout:modify-inline"
	capture_start dst d0 -v -Q in icmp
	pings 10
	marked_end "tos 0xb8" 10
	send_file src dst 10.98.0.2 4
	audit_clean v1
	take_out
}

a_worker_that_dies_comes_back_with_its_rules()
{
	local pid before

	put_in "rule=inbound-ip4 protocol=udp dport=7777 block"
	pid=$(worker_of v1)
	kill -KILL "$pid"
	wait_until "a new worker" 5 is_true v1 ".worker.pid != 0 and .worker.pid != $pid and .state == \"running\""
	before=$(dropped_for blocked)
	datagrams 7777 5
	wait_until "the worker's count of 5" 3 has_dropped blocked $((before + 5))
	expect_equal "packets blocked" 5 $(($(dropped_for blocked) - before))
	take_out
}

five_changes()
{
	local i

	flow_start src s0 dst d0 --rate 5000 --seconds 20 --size 64
	for ((i = 0; i < 5; i++)); do
		ctl module add v1 filter "callouts=inspect-oob hold-ms=20" "rule=inbound-mac callout:inspect-oob"
		sleep 0.2
		ctl module remove v1 filter
		audit_clean v1
	done
	flow_stop
	flow_end
}

the_module_comes_and_goes_under_load_and_what_it_holds_goes_on()
{
	local flawless='.lost == 0 and .duplicates == 0'

	on_a_calm_machine 20 five_changes
	note "5 times in and out at 5 000 packets/s: $(flow_figure '"\(.sent) sent, \(.lost) lost, \(.reordered) reordered"')"
	expect_equal "frames lost" 0 "$(flow_figure .lost)"
	expect_equal "frames duplicated" 0 "$(flow_figure .duplicates)"
}

test_begin nbl-gen nbl-sink socat tcpdump ping
topology_pair 1
nbld_start dut
ctl attach v1 pair v2 >/dev/null

claim a_rule_blocks_one_port_and_nothing_else
claim each_rule_tells_how_often_it_matched
claim a_rule_that_makes_no_sense_is_refused_by_the_word
claim rules_of_a_worker_that_does_not_answer_are_not_waited_for_long
claim inspecting_out_of_band_holds_pings_and_lets_them_go_on
claim inspecting_out_of_band_discards
claim what_a_callout_injects_and_a_rule_blocks_is_a_loss_with_a_name
claim modifying_out_of_band_writes_the_source_address
claim modifying_inline_marks_packets_and_the_peer_accepts_them
claim a_worker_that_dies_comes_back_with_its_rules
claim the_module_comes_and_goes_under_load_and_what_it_holds_goes_on
