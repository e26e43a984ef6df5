#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# idle.sh - nbld and its workers sleep when there is nothing to do.
#
#      src              dut               dst
#     +------+         +-----------+     +------+
#     |  s0 -+---------+- v1   v2 -+-----+- d0  |      and a host adapter on v3
#     +------+  veth   +-----------+     +------+
#
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/../lib/netlib.sh"

SECONDS_IDLE=10
MOST_PERCENT=0.2

# used_us PID: processor time of all its threads so far, in microseconds
used_us()
{
	# nanoseconds, where the kernel keeps them; else ticks of a hundredth of a second
	if [ -r "/proc/$1/schedstat" ]; then
		cat "/proc/$1/task/"*/schedstat | awk '{ sum += $1 } END { printf "%d\n", sum / 1000 }'
	else
		sed 's/.*) //' "/proc/$1/stat" | awk '{ print ($12 + $13) * 10000 }'
	fi
}

idle_processes_use_hardly_any_processor()
{
	local pid most

	: >"$work/used"
	for pid in $sleepers; do
		echo "$pid $(used_us "$pid")" >>"$work/used"
	done
	sleep "$SECONDS_IDLE"
	most=$(while read -r pid before; do
		echo "$((($(used_us "$pid") - before) / SECONDS_IDLE))"
	done <"$work/used" | sort -n | tail -n 1)
	most=$(awk -v us="$most" 'BEGIN { printf "%.3f", us / 10000 }')
	note "of the keeper and two workers, the busiest used $most % of a processor"
	expect_between "percent of a processor" 0 "$MOST_PERCENT" "$most"
}

an_idle_worker_still_answers_at_once()
{
	flow src s0 dst d0 --rate 100 --count 50 --size 64
	expect_flow_whole 50
	expect_between "median latency in us" 0 5000 "$(flow_figure .latency_us.p50)"
	audit_clean v1
}

test_begin nbl-gen nbl-sink
ns_add src
ns_add dut
ns_add dst
veth src s0 dut v1
veth dut v2 dst d0
veth src s1 dut v3
nbld_start dut
ctl attach v1 pair v2 >/dev/null
ctl attach v3 host >/dev/null
ctl module add v1 count >/dev/null
sleepers="$(nbld_pid) $(worker_of v1) $(worker_of v3)"

claim idle_processes_use_hardly_any_processor
claim an_idle_worker_still_answers_at_once
