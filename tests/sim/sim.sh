#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# sim.sh - a few hundred seeds of the simulator (nbl-sim): quick enough for every change.
#
# `make sim` runs 10 000 of each. SEEDS in the environment: another number of each.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
SEEDS=${SEEDS:-1500}
passed=0 failed=0
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# judge NAME OPTION...
judge()
{
	local name=$1

	shift
	if "$BUILD/tests/nbl-sim" "$@" >"$output" 2>&1; then
		passed=$((passed + 1))
		echo "ok $name"
		sed -n 's/^[0-9]* runs of seeds/    # &/p' "$output"
	else
		failed=$((failed + 1))
		echo "FAILED $name: $(head -n 1 "$output")"
		sed 's/^/    | /' "$output"
	fi
}

judge all_invariants_hold_over_seeds_of_chaos --seeds "1..$SEEDS"
judge all_invariants_hold_when_the_kernel_lies --seeds "1..$SEEDS" --lies
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
