#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# hoard.sh - a module that never gives anything back costs others nothing, and its removal brings all home.
#
#      src              dut               dst
#     +------+         +-----------+     +------+
#     |  s0 -+---------+- v1   v2 -+-----+- d0  |      four flows; the module keeps the last
#     +------+  veth   +-----------+     +------+
#
# The module hoard (tests/modules) keeps packets as their owner and by references, takes references to
# those it is only lent, too, and does nothing when it is to pause.
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/../lib/netlib.sh"

NBLD=tests/modules/nbld
RATE=50000
COUNT=60000	# a quarter of these is more than a queue has frames
FLOWS=4
HOARDED=40003	# UDP source port of the last flow
sink_options="--flows $FLOWS"

# hoarder_in OPTION...: in the place of one that a failed claim left
hoarder_in()
{
	ctl module remove v1 hoard force >/dev/null 2>&1 || true
	ctl module add v1 hoard "port=$HOARDED" "$@"
}

# of_hoard FIGURE: of holds
of_hoard()
{
	ctl -j holds v1 | jq -r ".adapters[0].modules[] | select(.name == \"hoard\") | $1"
}

# How often the kernel found no frame to put a packet in.
fill_empty()
{
	show v1 '.lower.kernel_fill_empty + .upper.kernel_fill_empty'
}

# others_pass: what came of the three flows that nobody hoards, in percent of what was sent, is in $others
others_pass()
{
	one_flow src s0 dst d0 --rate "$RATE" --count "$COUNT" --size 64 --flows "$FLOWS"
	others=$(flow_figure ".flows[:-1] | add * 100 * $FLOWS / ($FLOWS - 1) / $COUNT")
}

# all_pass: all four do, whole
all_pass()
{
	on_a_calm_machine 20 others_pass
	expect_flow_whole "$COUNT"
	audit_clean v1
}

round()
{
	printf '%.1f' "$1"
}

# The reading is taken before it is looked at: when, is in $read_us.
is_home()
{
	ctl -j show v1 >"$work/reading"
	read_us=$(now_us)
	jq -e '.adapters[0] | .in_flight == 0 and .frames.held == 0' "$work/reading"
}

# forced_out: the module goes; all frames are home so many ms after that in $took_ms
forced_out()
{
	local began

	ctl module remove v1 hoard force
	began=$(now_us)
	wait_until "all frames home" 5 is_home
	took_ms=$(((read_us - began) / 1000))
}

HP_02_without_limits_a_hoarder_starves_everybody()
{
	local before

	# it is the queue that stands still: nobody is to take the worker for hung, and help
	ctl attach v1 pair v2 hang-limit 10000
	hoarder_in max-share=100
	before=$(fill_empty)
	others_pass
	note "without limits: $(round "$others") % of the others came through, the fill ring was empty $(($(fill_empty) - before)) times," \
		"$(of_hoard '"\(.held) frames hoarded"')"
	expect_between "percent of the others" 0 80 "$others"
	expect_at_least "times that the fill ring was empty" 1000 $(($(fill_empty) - before))
	# what comes now has no frame to be put in
	one_flow src s0 dst d0 --rate 5000 --count 1000 --size 64 --flows "$FLOWS"
	expect_equal "frames that pass a starved queue" 0 "$(flow_figure .distinct)"
	forced_out
	all_pass
	ctl detach v1
}

# Of the flow's figures only what the others lost is told: what is hoarded says nothing of the machine.
# How often the fill ring had been empty is in $before.
others_pass_a_new_hoarder()
{
	hoarder_in
	before=$(fill_empty)
	others_pass
	jq -c ".lost = $COUNT * ($FLOWS - 1) / $FLOWS - (.flows[:-1] | add)" "$work/flow" >"$work/flow.others"
	mv "$work/flow.others" "$work/flow"
}

with_limits_a_hoarder_costs_others_nothing()
{
	local before without

	ctl detach v1 || true	# as a failed claim left it
	ctl attach v1 pair v2
	all_pass
	without=$others
	on_a_calm_machine 20 others_pass_a_new_hoarder
	note "others: $(round "$without") % without the hoarder, $(round "$others") % with it; of the hoarded flow $(flow_figure '.flows[-1]') of $((COUNT / FLOWS)) passed"
	expect_at_least "percent of the others" 90 "$others"
	expect_equal "times that the fill ring was empty" "$before" "$(fill_empty)"
	audit_clean v1
}

holds_names_the_hoarder()
{
	note "$(of_hoard '"\(.held) frames, \(.pending) as owner, \(.reference) by reference, \(.share_percent * 10 | round / 10) % of all, \(.over_limit) beyond its limit, \(.health)"')"
	expect_match "health" "^(limited|unhealthy)$" "$(of_hoard .health)"
	expect_at_least "frames held" 1000 "$(of_hoard .held)"
	expect_at_least "as owner" 1000 "$(of_hoard .pending)"
	expect_at_least "by reference" 1000 "$(of_hoard .reference)"
	expect_between "percent of all frames" 5 50 "$(of_hoard .share_percent)"
	expect_match "as text" "hoard is (limited|unhealthy)" "$(ctl holds v1)"
}

its_removal_is_refused_naming_what_is_missing()
{
	expect_status 1 ctl module remove v1 hoard
	expect_match "refusal" "module hoard: [0-9]+ queued receive [0-9]+ references" "$(cat "$work/err")"
	expect_equal "it is still there" hoard "$(of_hoard .name)"
	audit_clean v1
}

removed_by_force_it_has_nothing_and_every_frame_is_home_within_100_ms()
{
	local i

	for ((i = 0; i < 5; i++)); do
		canary_start
		forced_out
		canary_end
		[ "$took_ms" -gt 100 ] || break
		[ "$late" -ge 20000 ] || break
		note "not counted: $took_ms ms, processes were held up for $((late / 1000)) ms"
		others_pass_a_new_hoarder
	done
	[ "$i" != 5 ] || skip "this machine is too busy to tell"
	note "all frames home $took_ms ms after the module was removed by force"
	expect_between "ms until all frames were home" 0 100 "$took_ms"
	expect_equal "modules" 0 "$(ctl -j module list v1 | jq '.modules | length')"
	audit_clean v1
}

and_all_passes_again()
{
	all_pass
}

lost_at_sockets()
{
	show v1 '[.lower, .upper | .kernel_rx_ring_full + .kernel_fill_empty + .kernel_rx_dropped] | add'
}

# The stack stays paused for as long as it waits for what does not come back.
FS_14_what_a_long_pause_loses_is_counted_packet_by_packet()
{
	local before sink_idle_ms=3000

	ctl detach v1
	ctl attach v1 pair v2 hang-limit 0
	hoarder_in max-held=100
	one_flow src s0 dst d0 --rate 20000 --count 2000 --size 64 --flows "$FLOWS"
	before=$(lost_at_sockets)
	flow_start src s0 dst d0 --rate 20000 --count 50000 --size 64 --flows 1
	sleep 0.2
	expect_status 1 ctl module remove v1 hoard
	flow_end
	note "$(flow_figure .lost) of 50000 lost in a long pause, $(($(lost_at_sockets) - before)) counted"
	expect_at_least "frames lost" 1000 "$(flow_figure .lost)"
	expect_equal "frames counted as lost" "$(flow_figure .lost)" $(($(lost_at_sockets) - before))
	forced_out
	audit_clean v1
}

worker_of_v1()
{
	show v1 .worker.pid
}

# What is taken out to get other options can be put in again only when all is at rest.
other_modules_keep_their_options_while_packets_are_hoarded()
{
	local worker

	ctl detach v1
	ctl attach v1 pair v2 hang-limit 0
	ctl module add v1 witness-a tag=a
	hoarder_in max-held=100
	one_flow src s0 dst d0 --rate 20000 --count 2000 --size 64 --flows "$FLOWS"
	worker=$(worker_of_v1)
	expect_status 1 ctl module set v1 witness-a tag=x
	expect_match "refusal" "module hoard: [0-9]+ queued receive [0-9]+ references" "$(cat "$work/err")"
	expect_equal "worker" "$worker" "$(worker_of_v1)"
	expect_equal "modules" "witness-a hoard" "$(ctl -j module list v1 | jq -r '[.modules[].name] | join(" ")')"
	forced_out
	ctl module set v1 witness-a tag=x
	audit_clean v1
}

test_begin tests/modules/nbld tests/modules/nbld-worker nbl-gen nbl-sink
topology_pair 1
nbld_start dut

claim HP_02_without_limits_a_hoarder_starves_everybody
claim with_limits_a_hoarder_costs_others_nothing
claim holds_names_the_hoarder
claim its_removal_is_refused_naming_what_is_missing
claim removed_by_force_it_has_nothing_and_every_frame_is_home_within_100_ms
claim and_all_passes_again
claim FS_14_what_a_long_pause_loses_is_counted_packet_by_packet
claim other_modules_keep_their_options_while_packets_are_hoarded
