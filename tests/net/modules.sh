#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# modules.sh - modules come, go and hold packets while traffic runs, and none is lost by it.
#
#      src              dut               dst
#     +------+         +-----------+     +------+
#     |  s0 -+---------+- v1   v2 -+-----+- d0  |
#     +------+  veth   +-----------+     +------+
#
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/../lib/netlib.sh"

# The stack from the lower port upward, as "count delay".
stack()
{
	ctl -j module list v1 | jq -r '[.modules[].name] | join(" ")'
}

# empty_stack: whatever a claim that failed left in it
empty_stack()
{
	local module

	for module in $(stack); do
		ctl module remove v1 "$module"
	done
}

# of MODULE FIGURE: of module list
of()
{
	ctl -j module list v1 | jq ".modules[] | select(.name == \"$1\") | .$2"
}

# What the kernel counted as lost at the adapter's sockets.
lost_at_sockets()
{
	show v1 '[.lower, .upper | .kernel_rx_ring_full + .kernel_fill_empty + .kernel_rx_dropped] | add'
}

twenty_changes()
{
	local i before

	before=$(lost_at_sockets)
	flow_start src s0 dst d0 --rate 50000 --seconds 30 --size 64
	sleep 0.2
	for ((i = 0; i < 10; i++)); do
		ctl module add v1 count
		expect_equal "modules" count "$(stack)"
		sleep 0.05
		ctl module remove v1 count
		expect_equal "modules" "" "$(stack)"
	done
	flow_stop
	flow_end
	echo "$(flow_figure .lost) $(($(lost_at_sockets) - before))" >>"$work/changes"
}

modules_come_and_go_under_load_and_no_packet_is_lost()
{
	empty_stack
	readings_start v1
	on_a_calm_machine 20 twenty_changes
	readings_end
	note "20 changes at 50 000 packets/s: $(flow_figure '"\(.sent) sent, \(.lost) lost, \(.duplicates) duplicated, \(.reordered) reordered, none took longer than \(.latency_us.max / 1000 | floor) ms"')"
	expect_flow_whole "$(flow_figure .sent)"
}

# Of all rounds, also of those that a busy machine spoilt.
FS_14_what_changes_cost_is_what_is_counted_lost()
{
	local lost counted

	[ -s "$work/changes" ] || skip "there was no round"
	while read -r lost counted; do
		expect_equal "frames counted as lost in twenty changes" "$lost" "$counted"
	done <"$work/changes"
	note "lost and counted, by rounds of twenty changes: $(paste -s -d , "$work/changes")"
}

a_module_sees_each_packet_once()
{
	local before received

	empty_stack
	ctl module add v1 count
	before=$(of count packets)
	received=$(show v1 '.lower.rx_packets + .upper.rx_packets')
	flow src s0 dst d0 --rate 20000 --count 10000 --size 64
	expect_flow_whole 10000
	flow dst d0 src s0 --rate 20000 --count 5000 --size 64
	expect_flow_whole 5000
	received=$(($(show v1 '.lower.rx_packets + .upper.rx_packets') - received))
	expect_at_least "packets received" 15000 "$received"
	expect_equal "packets counted" "$received" $(($(of count packets) - before))
	ctl module remove v1 count
}

modules_stand_where_they_were_asked_to()
{
	empty_stack
	ctl module add v1 count
	ctl module add v1 delay before count ms=1
	expect_equal "delay before count" "delay count" "$(stack)"
	ctl module remove v1 delay
	ctl module add v1 delay after count ms=1
	expect_equal "delay after count" "count delay" "$(stack)"
	ctl module remove v1 count
	ctl module add v1 count
	expect_equal "count last" "delay count" "$(stack)"
	flow src s0 dst d0 --rate 20000 --count 5000 --size 64
	expect_flow_whole 5000
	ctl module remove v1 count
	ctl module remove v1 delay
	expect_equal "modules" "" "$(stack)"
}

delay_delays_by_as_much_as_it_says()
{
	empty_stack
	ctl module add v1 delay ms=20
	flow src s0 dst d0 --rate 20000 --count 20000 --size 64
	expect_flow_whole 20000
	note "delay ms=20: $(flow_figure '"median \(.latency_us.p50 / 1000) ms, p99 \(.latency_us.p99 / 1000) ms"')"
	expect_between "median latency in us" 20000 40000 "$(flow_figure .latency_us.p50)"
	ctl module remove v1 delay
}

# held FIGURE: of holds, for the module delay
held()
{
	ctl -j holds v1 | jq ".adapters[0].modules[] | select(.name == \"delay\") | .$1"
}

holds_nothing()
{
	[ "$(held held)" = 0 ]
}

holds_something()
{
	[ "$(held held)" -gt 0 ]
}

# 10 000 a second for 50 ms are 500, while nobody is held up
holds_some_500()
{
	ctl -j holds v1 >"$work/holds"
	jq -e '.adapters[0].modules[] | select(.name == "delay") | .held >= 100 and .held <= 1024 and
		.reference >= 100 and .oldest_ms >= 10 and .oldest_ms <= 200' "$work/holds"
}

holds_under_load()
{
	flow_start src s0 dst d0 --rate 10000 --seconds 20 --size 64
	wait_until "some 500 packets held, for some 50 ms" 10 holds_some_500
	audit_clean v1
	flow_stop
	flow_end
}

holds_says_how_many_packets_a_module_holds_and_how_long()
{
	empty_stack
	ctl module add v1 delay ms=50
	on_a_calm_machine 20 holds_under_load
	note "$(jq -c '.adapters[0].modules[] | select(.name == "delay")' "$work/holds")"
	wait_until "nothing held after the traffic" 2 holds_nothing
	expect_equal "age of none" 0 "$(held oldest_ms)"
	expect_flow_whole "$(flow_figure .sent)"
	ctl module remove v1 delay
}

five_removals()
{
	local i

	flow_start src s0 dst d0 --rate 10000 --seconds 20 --size 64
	for ((i = 0; i < 5; i++)); do
		ctl module add v1 delay ms=50
		wait_until "packets held" 3 holds_something
		ctl module remove v1 delay
		audit_clean v1
	done
	flow_stop
	flow_end
}

removing_a_module_lets_what_it_holds_go_on()
{
	empty_stack
	on_a_calm_machine 20 five_removals
	note "5 removals at 10 000 packets/s: $(flow_figure '"\(.sent) sent, \(.lost) lost, \(.reordered) reordered"')"
	expect_flow_whole "$(flow_figure .sent)"
}

# The limit: 10 of 50 ms at 10 000 packets/s fit, the others are dropped and say so.
what_a_module_drops_is_counted_as_its_own()
{
	empty_stack
	ctl module add v1 delay ms=50 limit=10
	one_flow src s0 dst d0 --rate 10000 --count 5000 --size 64
	expect_between "lost to the limit" 1000 4990 "$(flow_figure .lost)"
	expect_equal "drops of delay for module-limit" "$(flow_figure .lost)" \
		"$(ctl -j drops v1 | jq '[.adapters[0].drops[] | select(.place == "delay" and .reason == "module-limit") | .packets] | add')"
	ctl module remove v1 delay
}

detach_with_packets_held_loses_none_of_them()
{
	empty_stack
	ctl module add v1 delay ms=1000
	flow_start src s0 dst d0 --rate 5000 --count 400 --size 64
	wait "$gen"
	expect_at_least "packets held" 100 "$(held held)"
	ctl detach v1
	flow_end
	expect_flow_whole 400
	ctl attach v1 pair v2
}

modules_survive_the_death_of_their_worker()
{
	local pid

	empty_stack
	ctl module add v1 count
	ctl module add v1 delay ms=5
	pid=$(worker_of v1)
	kill -KILL "$pid"
	wait_until "a new worker" 5 is_true v1 ".worker.pid != 0 and .worker.pid != $pid and .state == \"running\""
	expect_equal "modules" "count delay" "$(stack)"
	flow src s0 dst d0 --rate 20000 --count 5000 --size 64
	expect_flow_whole 5000
	expect_between "median latency in us" 5000 20000 "$(flow_figure .latency_us.p50)"
	ctl module remove v1 count
	ctl module remove v1 delay
}

every_frame_and_packet_is_accounted_for()
{
	audit_clean v1
}

test_begin nbl-gen nbl-sink
topology_pair 1
nbld_start dut
ctl attach v1 pair v2 >/dev/null

claim modules_come_and_go_under_load_and_no_packet_is_lost
claim FS_14_what_changes_cost_is_what_is_counted_lost
claim a_module_sees_each_packet_once
claim modules_stand_where_they_were_asked_to
claim delay_delays_by_as_much_as_it_says
claim holds_says_how_many_packets_a_module_holds_and_how_long
claim removing_a_module_lets_what_it_holds_go_on
claim what_a_module_drops_is_counted_as_its_own
claim modules_survive_the_death_of_their_worker
claim every_frame_and_packet_is_accounted_for
claim detach_with_packets_held_loses_none_of_them
