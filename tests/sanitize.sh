#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# sanitize.sh - the unit tests, and the simulator, under AddressSanitizer, UBSan and ThreadSanitizer.
#
#     tests/sanitize.sh [asan|tsan] [PROGRAM ...]	both, and all of the programs, if none is named
#
# Builds into $BUILD/asan and $BUILD/tsan. A report fails, also one of a child whose end nobody asks
# for; the reports are left in $BUILD/asan/reports. Exit status 1 if anything failed.
#
# In the environment: BUILD; CC; SIM_SEEDS, of the simulator (300); CK_TIMEOUT_MULTIPLIER; LIMIT.
set -uo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
CC=${CC:-gcc}
export CK_TIMEOUT_MULTIPLIER=${CK_TIMEOUT_MULTIPLIER:-20} LIMIT=${LIMIT:-1800}
failed=0

flags_of()
{
	case $1 in
	asan) echo "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -O1" ;;
	tsan) echo "-fsanitize=thread -fno-omit-frame-pointer -O1 $(says_tsan)" ;;
	esac
}

# ThreadSanitizer sees atomics but not fences; gcc says so at each.
says_tsan()
{
	! "$CC" -Wno-tsan -fsyntax-only -x c /dev/null 2>/dev/null || echo -Wno-tsan
}

# Not for ThreadSanitizer: processes of one thread over shared memory, killed or stepped an instruction at a time.
is_for()
{
	[ "$1" != tsan ] || [[ $2 != test_adopt_* ]]
}

say_what_is_left_out()
{
	[ "$1" != tsan ] || echo "left out: test_adopt_killed, test_adopt_stepped: they kill and step processes of one thread"
}

# programs_of KIND [NAME...]: as make names them
programs_of()
{
	local kind=$1 into=$BUILD/$1 f

	shift
	if [ $# != 0 ]; then
		printf "$into/tests/%s\n" "$@"
		return
	fi
	for f in tests/unit/test_*.c; do
		f=${f##*/}
		f=${f%.c}
		! is_for "$kind" "$f" || echo "$into/tests/$f"
	done
}

# simulate KIND: the simulator; it says itself how it went
simulate()
{
	local program=$BUILD/$1/tests/nbl-sim options status=0

	make --no-print-directory -s -j"$(nproc)" "$program" BUILD="$BUILD/$1" CC="$CC" EXTRA_CFLAGS="$(flags_of "$1")" || return 1
	for options in "" --lies; do
		echo "== $1: $program $options"
		# shellcheck disable=SC2086	# none, or one
		setarch -R timeout -k 20 "$LIMIT" "$program" --seeds "1..${SIM_SEEDS:-300}" $options || status=1
	done
	return "$status"
}

# sanitize KIND [NAME...]
sanitize()
{
	local kind=$1 into=$BUILD/$1 programs status=0 report

	mapfile -t programs < <(programs_of "$@")
	echo "== $kind: ${#programs[@]} programs"
	[ $# != 1 ] || say_what_is_left_out "$kind"
	make --no-print-directory -s -j"$(nproc)" BUILD="$into" CC="$CC" EXTRA_CFLAGS="$(flags_of "$kind")" "${programs[@]}" || return 1
	rm -rf "$into/reports"
	mkdir -p "$into/reports"
	# Signals are for the tests, some of which provoke one. Children that are killed leave what they had.
	export ASAN_OPTIONS="log_path=$PWD/$into/reports/report:handle_segv=0:handle_sigbus=0:allocator_may_return_null=1"
	export UBSAN_OPTIONS="log_path=$PWD/$into/reports/report:print_stacktrace=1"
	export TSAN_OPTIONS="log_path=$PWD/$into/reports/report:handle_segv=0:handle_sigbus=0:suppressions=$PWD/tests/lib/tsan.supp"
	# setarch: where memory lies must be where ThreadSanitizer expects it
	BUILD=$into setarch -R tests/run "${programs[@]}" || status=1
	[ $# != 1 ] || simulate "$kind" || status=1
	for report in "$into"/reports/report.*; do
		[ -s "$report" ] || continue
		status=1
		echo "FAILED $kind: $report: $(grep -m 1 -E 'SUMMARY|runtime error|WARNING|ERROR' "$report")"
	done
	return "$status"
}

kinds=(asan tsan)
case ${1:-} in
asan | tsan)
	kinds=("$1")
	shift
	;;
-*)
	sed -n '3,/^set/s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
for kind in "${kinds[@]}"; do
	sanitize "$kind" "$@" || failed=1
done
exit "$failed"
