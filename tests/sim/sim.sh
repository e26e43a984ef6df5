#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# sim.sh - a few hundred seeds of the simulator (nbl-sim): quick enough for every change.
#
# Every seed judges all nine invariants; a seed that breaks one names it, and only that one fails here.
# What ends in another way (a signal, no end) fails them all. `make sim` runs 10 000 seeds.
#
# SEEDS in the environment: another number of each kind. LIES=0: without a kernel that lies.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
SEEDS=${SEEDS:-500}
passed=0 failed=0
output=$(mktemp)
trap 'rm -f "$output"' EXIT

names=(
	INV_1_every_frame_is_in_exactly_one_place
	INV_2_references_and_children_are_those_that_live
	INV_3_a_frame_reaches_a_ring_only_when_nobody_has_a_claim_that_forbids_it
	INV_4_a_parent_outlives_its_children
	INV_5_what_is_sent_indicated_or_injected_ends_exactly_once
	INV_6_an_NBL_comes_back_as_it_was_handed_over
	INV_7_each_ring_is_touched_by_one_thread_and_a_seed_has_one_history
	INV_8_after_a_pause_and_at_the_end_all_counters_are_zero
	INV_9_bytes_that_nobody_announced_writes_to_do_not_change
)

# ended NAME STATUS
ended()
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
		echo "ok $1"
	else
		failed=$((failed + 1))
		echo "FAILED $1: seeds below break it"
	fi
}

# judge SUFFIX OPTION...: each invariant over these seeds
judge()
{
	local suffix=$1 status=0 broken others i

	shift
	"$BUILD/tests/nbl-sim" --actions 1000 "$@" >"$output" 2>&1 || status=1
	broken=$(sed -nE 's/^seed .*: invariant ([0-9]+):.*/\1/p' "$output" | sort -u)
	others=$(grep -cE '^seed .*: (ended|did not end)' "$output")
	for i in "${!names[@]}"; do
		if [ "$others" != 0 ] || { [ "$status" != 0 ] && [ -z "$broken" ]; } ||
			grep -qx "$((i + 1))" <<<"$broken"; then
			ended "${names[i]}$suffix" 1
		else
			ended "${names[i]}$suffix" 0
		fi
	done
	sed -n 's/^[0-9]* runs of seeds/    # &/p' "$output"
	[ "$status" = 0 ] || sed 's/^/    | /' "$output"
}

judge "" --seeds "1..$SEEDS"
[ "${LIES:-1}" = 0 ] || judge _when_the_kernel_lies --seeds "1..$SEEDS" --lies
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
