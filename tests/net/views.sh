#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# views.sh - an operator finds every packet that is not home, and who has it (HP-05).
#
#      src              dut               dst
#     +------+         +-----------+     +------+
#     |  s0 -+---------+- v1   v2 -+-----+- d0  |
#     +------+  veth   +-----------+     +------+
#
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/../lib/netlib.sh"

known=20	# packets that the module delay holds for a second

# empty_stack: whatever a claim that failed left in it
empty_stack()
{
	local module

	for module in $(ctl -j module list v1 | jq -r '.modules[].name'); do
		ctl module remove v1 "$module"
	done
}

# take NAME COMMAND...: its JSON, which must be sound, for told(). Packets are held for a second
# only, so claims take first and look then.
take()
{
	local name=$1

	shift
	ctl -j "$@" >"$work/$name"
	jq -e '.schema == 1 and (.adapters | length) == 1' "$work/$name" >/dev/null ||
		fail "$*: no sound JSON: $(head -c 200 "$work/$name")"
}

# told NAME FILTER: what jq finds in the adapter of what was taken
told()
{
	jq -r ".adapters[0] | $2" "$work/$1"
}

# figure FILTER COMMAND...: both at once
figure()
{
	local filter=$1

	shift
	take now "$@"
	told now "$filter"
}

delay='.modules[] | select(.name == "delay") |'

known_are_held()
{
	[ "$(figure "$delay .held" holds v1)" = "$known" ]
}

# hold_known OPTION...: the known packets are in the hands of delay, for a second
hold_known()
{
	empty_stack
	ctl module add v1 count
	ctl module add v1 delay ms=1000 "$@"
	take first holds v1
	flow_start src s0 dst d0 --rate 20000 --count "$known" --size 64
	wait_until "the known packets are held" 3 known_are_held
}

# end_known: they all arrive, and nothing is pending then
end_known()
{
	flow_end
	expect_flow_whole "$known"
	wait_until "every NBL is home" 3 all_home
}

# while_held LOOK OPTION...: hold_known, LOOK, and all were held still when LOOK ended: else it came too late
while_held()
{
	local look=$1 i

	shift
	for ((i = 0; i < 5; i++)); do
		hold_known "$@"
		"$look"
		! known_are_held || return 0
		note "not counted: looking took longer than packets were held"
		end_known
	done
	skip "this machine is too busy to look within a second"
}

all_home()
{
	[ "$(figure .total pendingnbls v1)" = 0 ]
}

look_at_pending()
{
	take pending pendingnbls v1
	ctl pendingnbls v1 >"$work/text"
}

HP_05_pendingnbls_lists_every_held_packet_with_its_holder()
{
	while_held look_at_pending
	expect_equal "rows of delay, received by v1, pending" "$known" \
		"$(told pending '[.nbls[] | select(.holders == ["delay"] and .port == "v1" and .kind == "receive" and
			.state == "held" and .owner_pending and .references == 1 and .frames == 1 and .length == 64)] | length')"
	expect_equal "all rows" "$known" "$(told pending '.nbls | length')"
	expect_equal "names" "$known" "$(told pending '[.nbls[].id] | unique | length')"
	expect_equal "groups" "delay v1 $known" \
		"$(told pending '[.holders[] | "\(.holder) \(.port) \(.nbls)"] | join(", ")')"
	expect_equal "rows of text" "$known" "$(grep -cE '^ +f[0-9]+ .* held +delay ' "$work/text")"
	end_known
}

look_at_holds()
{
	take before holds v1
	sleep 0.2
	take after holds v1
	ctl -j show v1 >"$work/show"
}

HP_05_holds_says_how_many_by_what_and_how_old()
{
	while_held look_at_holds
	expect_equal "held, reference, pending, clone, deep clone, copy" "$known $known $known 0 0 0" \
		"$(told after "$delay \"\\(.held) \\(.reference) \\(.pending) \\(.clone) \\(.deep_clone) \\(.copy)\"")"
	expect_between "age of the oldest after 200 ms more" $(($(told before "$delay .oldest_ms") + 150)) 2000 \
		"$(told after "$delay .oldest_ms")"
	expect_equal "a share of the frames" true "$(told after "$delay .share_percent > 0 and .share_percent < 1")"
	expect_equal "what count holds" 0 "$(told after '.modules[] | select(.name == "count") | .held')"
	expect_between "age of the oldest in show" 150 2000 "$(told show "$delay .oldest_ms")"
	end_known
	take after holds v1
	expect_equal "held, oldest after" "0 0" "$(told after "$delay \"\\(.held) \\(.oldest_ms)\"")"
}

is_warned()
{
	[ "$(figure "$delay .health" holds v1)" = warned ]
}

look_at_warning()
{
	wait_until "it is warned" 2 is_warned
	ctl holds v1 >"$work/text"
}

HP_01_holds_shows_limits_and_that_a_module_was_warned()
{
	while_held look_at_warning soft-age=200 max-share=7
	expect_equal "health at first" ok "$(told first "$delay .health")"
	expect_equal "limits" "7 200" "$(told first "$delay .limits | \"\(.share_percent) \(.soft_age_ms)\"")"
	expect_match "as text" "delay is warned; at most 7% of the frames; warned after 200 ms; 1 warnings" "$(cat "$work/text")"
	end_known
}

look_at_ages()
{
	take before pendingnbls v1
	sleep 0.3
	take after pendingnbls v1
}

HP_05_ages_grow_while_packets_are_held()
{
	local ages='[.nbls[].age_ms] | min'

	while_held look_at_ages
	expect_between "ms that the youngest aged in 300 ms" 250 1000 $(($(told after "$ages") - $(told before "$ages")))
	end_known
}

look_at_one()
{
	id=$(figure '.nbls[0].id' pendingnbls v1)
	take nbl nbl "$id" v1
	ctl nbl "$id" v1 >"$work/text"
}

HP_05_nbl_tells_everything_of_one()
{
	local id

	while_held look_at_one
	expect_equal "what it is" "receive held delay true 64 1 false" \
		"$(told nbl '.nbl | "\(.kind) \(.state) \(.holders[0]) \(.owner_pending) \(.length) \(.segments | length) \(.home)"')"
	expect_equal "its source" port "$(told nbl .nbl.source.origin)"
	expect_equal "bytes shown" 128 "$(told nbl '.nbl.bytes | length')"
	expect_match "the packet's addresses" "^020000000002$(in_ns src ip -j link show s0 | jq -r '.[0].address' | tr -d :)0800" \
		"$(told nbl .nbl.bytes)"
	expect_match "as text" "held by delay" "$(cat "$work/text")"
	end_known
	expect_equal "home afterwards" true "$(figure .nbl.home nbl "$id" v1)"
	expect_refusal 1 "no such NBL" ctl nbl f99999999 v1
	expect_equal "what is printed of it" "" "$(ctl nbl f99999999 v1 2>/dev/null || true)"
	expect_refusal 2 "no NBL's name" ctl nbl 12 v1
}

HP_05_nblpool_shows_quota_and_what_is_free()
{
	empty_stack
	expect_equal "the adapter's pool" "4096 4096 adapter 0" \
		"$(figure '.pools[] | select(.frames == 4096) | "\(.frames) \(.frames_free) \(.memory) \(.exhausted)"' nblpool v1)"
	expect_equal "the same in show" "4096 4096 0 0" "$(show v1 '.pool | "\(.frames) \(.free) \(.held) \(.tx)"')"
	expect_match "hidden copies" "  hidden copies $(figure .hidden_copies nblpool v1)$" "$(ctl nblpool v1)"
}

HP_05_nbllog_is_off_until_it_is_switched_on()
{
	empty_stack
	ctl module add v1 count
	expect_equal "at first" "false 0" "$(figure '"\(.on) \(.transfers | length)"' nbllog v1)"
	ctl nbllog v1 on
	expect_equal "switched on" true "$(figure .on nbllog v1)"
	flow src s0 dst d0 --rate 20000 --count "$known" --size 64
	expect_flow_whole "$known"
	# to the module and from it
	expect_equal "transfers" $((2 * known)) "$(figure .noted nbllog v1)"
	note "$(figure '"\(.noted) transfers noted, \(.transfers | length) shown"' nbllog v1)"
	ctl nbllog v1 off
	expect_equal "switched off" "false 0" "$(figure '"\(.on) \(.noted)"' nbllog v1)"
	expect_refusal 2 "neither on nor off" ctl nbllog v1 maybe
}

# Views while packets run: each in its rest of the lanes, none at the packets' cost.
looking_twenty_times()
{
	local i

	flow_start src s0 dst d0 --rate 20000 --seconds 20 --size 64
	sleep 0.2
	for ((i = 0; i < 20; i++)); do
		ctl -j holds v1 >/dev/null
		ctl -j pendingnbls v1 | jq -e '.adapters[0] | .total == .more + (.nbls | length) and (.nbls | length) <= 288'
		ctl -j nblpool v1 >/dev/null
	done
	flow_stop
	flow_end
}

views_cost_no_packet()
{
	empty_stack
	ctl module add v1 delay ms=50
	on_a_calm_machine 20 looking_twenty_times
	note "60 views at 20 000 packets/s: $(flow_figure '"\(.sent) sent, \(.lost) lost"')"
	expect_flow_whole "$(flow_figure .sent)"
}

module_set_changes_options_at_the_same_place()
{
	empty_stack
	ctl module add v1 delay ms=1 limit=100
	ctl module add v1 count
	ctl module set v1 delay ms=20
	expect_equal "the stack" "delay count" "$(ctl -j module list v1 | jq -r '[.modules[].name] | join(" ")')"
	flow src s0 dst d0 --rate 1000 --count 200 --size 64
	expect_flow_whole 200
	expect_between "median latency in us" 20000 60000 "$(flow_figure .latency_us.p50)"
	# the other option stayed: 10 000 a second for 20 ms are more than 100
	one_flow src s0 dst d0 --rate 10000 --count 5000 --size 64
	expect_at_least "lost to the limit" 100 "$(flow_figure .lost)"
}

a_module_that_refuses_new_options_keeps_the_old_ones()
{
	empty_stack
	ctl module add v1 delay ms=20
	ctl module add v1 count
	expect_refusal 1 "ms" ctl module set v1 delay ms=0
	expect_refusal 1 "no option 'colour'" ctl module set v1 delay colour=red
	expect_refusal 1 "no module" ctl module set v1 ghost ms=1
	expect_refusal 2 "keeps its place" ctl module set v1 delay before count ms=1
	expect_equal "the stack" "delay count" "$(ctl -j module list v1 | jq -r '[.modules[].name] | join(" ")')"
	flow src s0 dst d0 --rate 1000 --count 200 --size 64
	expect_flow_whole 200
	expect_between "median latency in us" 20000 60000 "$(flow_figure .latency_us.p50)"
}

views_work_after_the_death_of_a_worker()
{
	local pid

	empty_stack
	pid=$(worker_of v1)
	kill -KILL "$pid"
	wait_until "a new worker" 5 is_true v1 ".worker.pid != 0 and .worker.pid != $pid and .state == \"running\""
	HP_05_pendingnbls_lists_every_held_packet_with_its_holder
}

# A worker that does not answer is not harmed by the question, nor a later question by its late answer.
a_question_given_up_harms_nobody()
{
	local pid

	empty_stack
	pid=$(worker_of v1)
	kill -STOP "$pid"
	expect_refusal 8 "does not answer" ctl pendingnbls v1
	kill -CONT "$pid"
	expect_equal "rows" 0 "$(figure .total pendingnbls v1)"
	expect_equal "pools" 1 "$(figure '.pools | length' nblpool v1)"
	expect_equal "mismatches" 0 "$(figure .mismatches audit v1)"
	expect_equal "the worker" "$pid" "$(worker_of v1)"
}

every_frame_and_packet_is_accounted_for()
{
	empty_stack
	audit_clean v1
	ctl detach v1
	ctl attach v1 pair v2 pool 0
	expect_equal "no pool" "0 0" "$(show v1 '.pool | "\(.frames) \(.free)"')"
	flow src s0 dst d0 --rate 20000 --count 1000 --size 64
	expect_flow_whole 1000
	audit_clean v1
}

prefix=vw-$$
test_begin nbl-gen nbl-sink
topology_pair 1
nbld_start dut
ctl attach v1 pair v2 >/dev/null

claim HP_05_pendingnbls_lists_every_held_packet_with_its_holder
claim HP_05_holds_says_how_many_by_what_and_how_old
claim HP_01_holds_shows_limits_and_that_a_module_was_warned
claim HP_05_ages_grow_while_packets_are_held
claim HP_05_nbl_tells_everything_of_one
claim HP_05_nblpool_shows_quota_and_what_is_free
claim HP_05_nbllog_is_off_until_it_is_switched_on
claim views_cost_no_packet
claim module_set_changes_options_at_the_same_place
claim a_module_that_refuses_new_options_keeps_the_old_ones
claim a_question_given_up_harms_nobody
claim views_work_after_the_death_of_a_worker
claim every_frame_and_packet_is_accounted_for
