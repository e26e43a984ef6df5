#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# module_life.sh - the order in which modules pause and restart, those that do not restart, paths that go past.
#
#      src              dut               dst
#     +------+         +-----------+     +------+
#     |  s0 -+---------+- v1   v2 -+-----+- d0  |
#     +------+  veth   +-----------+     +------+
#
# The modules witness-a, -b and -c (tests/modules) say in the log what happens to them.
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/../lib/netlib.sh"

NBLD=tests/modules/nbld

# The stack from the lower port upward.
stack()
{
	ctl -j module list v1 | jq -r '[.modules[].name] | join(" ")'
}

empty_stack()
{
	local module

	for module in $(stack); do
		ctl module remove v1 "$module" force
	done
}

# said COMMAND...: what the witnesses say meanwhile, as "a pause, b pause", in $said
said()
{
	local lines

	lines=$(wc -l <"$work/nbld.log")
	"$@" >/dev/null
	said=$(tail -n +$((lines + 1)) "$work/nbld.log" | sed -n 's/^witness \([^:]*\): \(.*\)$/\1 \2/p' | paste -s -d , | sed 's/,/, /g')
}

# refused REGEX COMMAND...
refused()
{
	local what=$1

	shift
	expect_status 1 "$@"
	expect_match "refusal" "$what" "$(cat "$work/err")"
}

FS_08_putting_a_module_in_pauses_from_the_top_and_restarts_from_the_bottom()
{
	empty_stack
	ctl module add v1 witness-a tag=a
	ctl module add v1 witness-c tag=c
	said ctl module add v1 witness-b after witness-a tag=b
	expect_equal "putting b in" "b attach, c pause, a pause, a restart, b restart, c restart" "$said"
	expect_equal "modules" "witness-a witness-b witness-c" "$(stack)"
}

FS_08_taking_one_out_does_so_too()
{
	said ctl module remove v1 witness-b
	expect_equal "taking b out" "c pause, b pause, a pause, b detach, a restart, c restart" "$said"
	expect_equal "modules" "witness-a witness-c" "$(stack)"
	flow src s0 dst d0 --rate 20000 --count 5000 --size 64
	expect_flow_whole 5000
	audit_clean v1
}

FS_08_so_does_a_module_that_gets_other_options()
{
	said ctl module set v1 witness-a tag=x
	expect_equal "setting a's options" "c pause, a pause, a detach, c restart, x attach, c pause, x restart, c restart" "$said"
	expect_equal "modules" "witness-a witness-c" "$(stack)"
}

also_if_the_one_below_fails_to_restart_meanwhile()
{
	empty_stack
	ctl module add v1 witness-a tag=a fails-at=4
	ctl module add v1 witness-b tag=b
	ctl module add v1 witness-c tag=c
	said ctl module set v1 witness-b tag=x
	expect_equal "setting b's options" "c pause, b pause, a pause, b detach, a restart fails, a detach, c restart, x attach, c pause, x restart, c restart" "$said"
	expect_equal "modules" "witness-b witness-c" "$(stack)"
	audit_clean v1
}

FS_10_a_module_that_does_not_restart_is_not_put_in()
{
	empty_stack
	ctl module add v1 witness-a tag=a
	refused "module witness-b did not restart \(EAGAIN\): it does not want to" \
		ctl module add v1 witness-b tag=b fails-at=1
	expect_equal "modules" "witness-a" "$(stack)"
	flow src s0 dst d0 --rate 20000 --count 5000 --size 64
	expect_flow_whole 5000
}

FS_10_nor_is_a_mandatory_one_and_all_is_as_it_was()
{
	empty_stack
	ctl module add v1 witness-a tag=a
	refused "module witness-b did not restart \(EAGAIN\): it does not want to" \
		ctl module add v1 witness-b tag=b fails-at=1 mandatory=yes
	expect_equal "modules" "witness-a" "$(stack)"
	expect_equal "state" running "$(show v1 .state)"
	flow src s0 dst d0 --rate 20000 --count 5000 --size 64
	expect_flow_whole 5000
}

FS_10_an_optional_one_that_fails_later_is_taken_out_and_the_others_go_on()
{
	empty_stack
	ctl module add v1 witness-a tag=a fails-at=3
	ctl module add v1 witness-b tag=b
	said ctl module add v1 witness-c tag=c
	expect_equal "putting c in" "c attach, b pause, a pause, a restart fails, a detach, b restart, c restart" "$said"
	expect_equal "modules" "witness-b witness-c" "$(stack)"
	expect_match "nbld's log" "module witness-a did not restart: it is out of the stack" "$(cat "$work/nbld.log")"
	flow src s0 dst d0 --rate 20000 --count 5000 --size 64
	expect_flow_whole 5000
	audit_clean v1
}

FS_10_a_mandatory_one_that_fails_later_keeps_the_stack_down_until_it_is_gone()
{
	empty_stack
	ctl module add v1 witness-a tag=a fails-at=2 mandatory=yes
	refused "module witness-a did not restart \(EAGAIN\): it does not want to" ctl module add v1 witness-b tag=b
	expect_equal "modules" "witness-a" "$(stack)"
	expect_equal "state and why" "down mandatory" "$(show v1 '"\(.state) \(.bypass)"')"
	expect_equal "the module's state" paused "$(show v1 '.modules[0].state')"
	one_flow src s0 dst d0 --rate 5000 --count 1000 --size 64
	expect_equal "frames that passed" 0 "$(flow_figure .distinct)"
	audit_clean v1
	ctl module remove v1 witness-a
	expect_equal "state" running "$(show v1 .state)"
	flow src s0 dst d0 --rate 20000 --count 5000 --size 64
	expect_flow_whole 5000
	audit_clean v1
}

stack_is()
{
	[ "$(stack)" = "$1" ]
}

FS_10_one_that_fails_when_a_module_asked_to_restart_is_told_soon()
{
	empty_stack
	ctl module add v1 witness-a tag=a fails-at=3
	ctl module add v1 witness-b tag=b asks=10
	flow src s0 dst d0 --rate 1000 --count 1 --size 64
	wait_until "the stack without it" 3 stack_is witness-b
	empty_stack
	ctl module add v1 witness-a tag=a fails-at=3 mandatory=yes
	ctl module add v1 witness-b tag=b asks=10
	flow src s0 dst d0 --rate 1000 --count 1 --size 64
	wait_until "the adapter told as down" 3 is_true v1 '.state == "down" and .bypass == "mandatory"'
	expect_equal "modules" "paused paused" "$(ctl -j module list v1 | jq -r '[.modules[].state] | join(" ")')"
	empty_stack
	expect_equal "state" running "$(show v1 .state)"
}

# The worker hears of it only when all have paused and restarted.
FS_10_one_that_fails_while_it_is_to_be_removed_is_gone()
{
	empty_stack
	ctl module add v1 witness-a tag=a fails-at=3
	ctl module add v1 witness-b tag=slow asks=10 slow=700
	flow_start src s0 dst d0 --rate 1000 --count 1 --size 64
	wait_until "the pause" 5 grep -q "^witness slow: pause" "$work/nbld.log"
	refused "module witness-a is not in the stack" ctl module remove v1 witness-a
	expect_equal "modules" witness-b "$(stack)"
	flow_end
	empty_stack
}

# A successor puts one after the other in, which restarts those that are in.
FS_10_one_that_fails_as_a_worker_begins_is_told_as_gone()
{
	local pid

	empty_stack
	pid=$(worker_of v1)
	ctl module add v1 witness-c tag=c
	ctl module add v1 witness-b before witness-c tag=b
	ctl module add v1 witness-a before witness-b tag=a fails-at=2
	expect_equal "modules" "witness-a witness-b witness-c" "$(stack)"
	kill -KILL "$pid"
	wait_until "a successor" 5 is_true v1 ".worker.pid != 0 and .worker.pid != $pid"
	expect_equal "modules" "witness-b witness-c" "$(stack)"
	flow src s0 dst d0 --rate 5000 --count 100 --size 64
	expect_flow_whole 100
	expect_equal "packets of the one above it" 100 "$(packets_of witness-b)"
	empty_stack
}

# The first pause may take a third of the time, and those after it share what is left.
pauses_that_take_long_do_not_cost_the_worker()
{
	local pid

	empty_stack
	pid=$(worker_of v1)
	ctl module add v1 witness-a tag=a slow=1000
	ctl module add v1 witness-b tag=b
	refused "module witness-a:.* pause is pending" ctl module set v1 witness-b tag=x
	ctl module remove v1 witness-b
	empty_stack
	ctl module add v1 witness-a tag=a slow=300
	ctl module add v1 witness-b tag=b
	said ctl module set v1 witness-b tag=x fails-at=1 || true
	expect_equal "modules" "witness-a witness-b" "$(stack)"
	empty_stack
	expect_equal "worker" "$pid" "$(worker_of v1)"
}

packets_of()
{
	ctl -j module list v1 | jq ".modules[] | select(.name == \"$1\") | .packets"
}

# bypassing PATHS UP DOWN: 1000 frames each way, of which the module sees so many
bypassing()
{
	local before received

	ctl module set v1 witness-a "bypass=$1"
	before=$(packets_of witness-a)
	flow src s0 dst d0 --rate 20000 --count 1000 --size 64
	expect_flow_whole 1000
	received=$(packets_of witness-a)
	expect_equal "received packets seen with bypass=$1" "$2" $((received - before))
	flow dst d0 src s0 --rate 20000 --count 1000 --size 64
	expect_flow_whole 1000
	expect_equal "sent packets seen with bypass=$1" "$3" $(($(packets_of witness-a) - received))
}

FS_11_paths_that_go_past_a_module_are_changed_by_an_option()
{
	empty_stack
	ctl module add v1 witness-a tag=a
	bypassing receive 0 1000
	bypassing send 1000 0
	bypassing both 0 0
	bypassing none 1000 1000
	refused "bypass must be receive, send, both or none, not 'up'" ctl module set v1 witness-a bypass=up
	bypassing none 1000 1000
	audit_clean v1
}

# heard TEXT COMMAND...: after it the witnesses say just that
heard()
{
	local text=$1 lines

	shift
	lines=$(wc -l <"$work/nbld.log")
	"$@"
	wait_until "modules told \"$text\"" 2 said_since "$lines" "$text"
}

said_since()
{
	[ "$(tail -n +$(($1 + 1)) "$work/nbld.log" | sed -n 's/^witness //p' | paste -s -d ,)" = "$2" ]
}

# In a quiet network: nobody sends. The other end of v1 takes its carrier.
NX_08_modules_are_told_of_a_link_without_sending_on_it()
{
	empty_stack
	ctl module add v1 witness-a tag=a
	ctl module add v1 witness-b tag=b
	heard "a: link down,b: link down" in_ns dut ip link set v2 down
	heard "a: link up,b: link up" in_ns dut ip link set v2 up
	heard "a: link down,b: link down" in_ns src ip link set s0 down
	heard "a: link up,b: link up" in_ns src ip link set s0 up
}

test_begin tests/modules/nbld tests/modules/nbld-worker nbl-gen nbl-sink
topology_pair 1
nbld_start dut
ctl attach v1 pair v2 >/dev/null

claim FS_08_putting_a_module_in_pauses_from_the_top_and_restarts_from_the_bottom
claim FS_08_taking_one_out_does_so_too
claim FS_08_so_does_a_module_that_gets_other_options
claim also_if_the_one_below_fails_to_restart_meanwhile
claim FS_10_a_module_that_does_not_restart_is_not_put_in
claim FS_10_nor_is_a_mandatory_one_and_all_is_as_it_was
claim FS_10_an_optional_one_that_fails_later_is_taken_out_and_the_others_go_on
claim FS_10_a_mandatory_one_that_fails_later_keeps_the_stack_down_until_it_is_gone
claim FS_10_one_that_fails_when_a_module_asked_to_restart_is_told_soon
claim FS_10_one_that_fails_while_it_is_to_be_removed_is_gone
claim FS_10_one_that_fails_as_a_worker_begins_is_told_as_gone
claim pauses_that_take_long_do_not_cost_the_worker
claim FS_11_paths_that_go_past_a_module_are_changed_by_an_option
claim NX_08_modules_are_told_of_a_link_without_sending_on_it
