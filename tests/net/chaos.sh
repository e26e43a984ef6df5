#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# chaos.sh - modules that do everything a module may do, under load, in workers that are killed.
#
#      src              dut               dst
#     +------+         +-----------+     +------+
#     |  s0 -+---------+- v1   v2 -+-----+- d0  |     three chaos modules in the stack
#     +------+  veth   +-----------+     +------+
#
# The modules of the simulator (tests/sim) in a real worker: what they break counts as a violation,
# which the audit shows. What arrives is not judged: they drop and change packets.
#
# SEED in the environment: another history. KILLS: how often a worker dies (3).
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/../lib/netlib.sh"

SEED=${SEED:-$RANDOM}
KILLS=${KILLS:-3}
ACTIONS=200000	# at least: each packet a module is handed is one or more

# The keeper beside the worker that knows the chaos modules.
nbld_start()
{
	spawn "$1" "$work/nbld.log" "$BUILD/tests/chaos/nbld" -c "$work/nbld.conf" -S "$work/nbld.sock"
	disown "$spawned"
	echo "$spawned" >"$work/nbld.pid"
	wait_until "nbld answers" 10 nbld_answers
}

# Packets that the modules of the worker that runs now were handed.
handed()
{
	ctl -j module list v1 | jq '[.modules[].packets] | add // 0'
}

load_start()
{
	local i

	generators=()
	for i in "src s0" "dst d0"; do
		# shellcheck disable=SC2086  # two words
		set -- $i
		nsenter --net="/run/netns/$prefix-$1" "$BUILD/tests/nbl-gen" --if "$2" --cpu 0 \
			--rate 15000 --seconds 60 --size 128 >"$work/gen.$1" 2>&1 &
		generators+=($!)
		adopt $!
	done
}

load_end()
{
	local pid

	for pid in "${generators[@]}"; do
		stop "$pid"
	done
}

has_successor()
{
	is_true v1 ".worker.pid != 0 and .worker.pid != $1 and .state == \"running\""
}

# seen N: they were handed so many
seen()
{
	[ "$(handed)" -ge "$1" ]
}

chaos_under_load_breaks_no_rule()
{
	local i pid total=0 some=$((ACTIONS / (KILLS + 1) + 1))

	note "SEED=$SEED"
	load_start
	for ((i = 0; i <= KILLS; i++)); do
		wait_until "$some packets handed to modules" 30 seen "$some"
		audit_clean v1
		total=$((total + $(handed)))
		[ "$i" != "$KILLS" ] || break
		pid=$(worker_of v1)
		if ((i % 2)); then kill -SEGV "$pid"; else kill -KILL "$pid"; fi
		wait_until "a new worker" 5 has_successor "$pid"
	done
	load_end
	note "$total packets handed to chaos modules, $KILLS workers killed"
	expect_at_least "packets handed to chaos modules" "$ACTIONS" "$total"
}

module_is_removed()
{
	ctl module remove v1 "$1"
}

is_at_rest()
{
	is_true v1 '.in_flight == 0'
}

all_that_the_modules_had_comes_home()
{
	local module

	for module in chaos-b chaos-a chaos-c; do
		wait_until "removal of $module" 5 module_is_removed "$module"
		audit_clean v1
	done
	wait_until "nothing in flight" 5 is_at_rest
	audit_clean v1
	expect_equal "frames held" 0 "$(show v1 .frames.held)"
}

traffic_passes_whole_after_it()
{
	flow src s0 dst d0 --rate 20000 --count 10000 --size 64
	expect_flow_whole 10000
	audit_clean v1
}

test_begin tests/chaos/nbld tests/chaos/nbld-worker nbl-gen nbl-sink
topology_pair 1
nbld_start dut
ctl attach v1 pair v2 >/dev/null
for module in chaos-a chaos-b chaos-c; do
	ctl module add v1 "$module" "seed=$SEED" >/dev/null
done

claim chaos_under_load_breaks_no_rule
claim all_that_the_modules_had_comes_home
claim traffic_passes_whole_after_it
