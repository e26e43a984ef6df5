#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# faults.sh - breaks rules one at a time, and asks whether the test that should notice does.
#
#     tests/faults.sh [PATTERN ...]	all of tests/faults, or names like 'core-0*' and '*-RX-*'
#
# The text before a patch names the program that must fail: tests/unit/test_x.c, test_x, test_x and
# one of its tests ("Caught by: test_x TEST"), the simulator (tests/sim, with "nbl-sim --seeds 1..5000"
# and the like where the usual seeds are too few), or a script of tests/net. For each patch: apply it
# to a copy of the sources, build that program, run it, and put the copy back. Prints "caught NAME by
# TEST", "MISSED NAME", "UNUSABLE NAME" or "skipped NAME", then a table by section. Exit status 1 if
# one was missed, does not apply, does not build, or names a program there is none of.
#
# In the environment: BUILD; JOBS, campaigns side by side (1); LIMIT, seconds a program may take (120);
# SIM_SEEDS, of the simulator (600); NET=1, as root: scripts of tests/net are run too.
set -uo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
JOBS=${JOBS:-1}
LIMIT=${LIMIT:-120}
SIM_SEEDS=${SIM_SEEDS:-600}
NET=${NET:-0}
FROM=$PWD
ulimit -c 0

mkdir -p "$BUILD" || exit 1
scratch=$(mktemp -d "$BUILD/faults.XXXXXX") || exit 1
scratch=$(realpath "$scratch")
trap 'rm -rf "$scratch"' EXIT

# Sources, and what is built of them already so that only what a patch touches is built anew.
make_pristine()
{
	local pristine=$scratch/pristine

	mkdir -p "$pristine/build"
	cp -a Makefile bpf include tests user "$pristine/"
	if [ "$BUILD" = build ]; then
		for part in user bpf tests/sim tests/sim-lane; do
			[ ! -d "build/$part" ] || {
				mkdir -p "$pristine/build/${part%/*}"
				cp -a "build/$part" "$pristine/build/$part"
			}
		done
	fi
}

# text_of PATCH: what stands before the first file
text_of()
{
	sed '/^--- /,$d' "$1"
}

# catcher_of PATCH: the program that must fail, as make names it: tests/test_x, tests/nbl-sim or tests/net/x.sh
catcher_of()
{
	text_of "$1" | grep -oE '\btests/net/[a-z0-9_]+\.sh|\btest_[a-z0-9_]+|\btests/sim\b|\bmake sim\b|\bnbl-sim\b' |
		head -n 1 | sed -E -e 's|^test_|tests/test_|' -e "s,^(tests/sim|make sim|nbl-sim)\$,tests/nbl-sim,"
}

# is_there PROGRAM: it has a source
is_there()
{
	case $1 in
	*.sh) [ -e "$1" ] ;;
	tests/nbl-sim) [ -e tests/sim/sim.c ] ;;
	*) [ -e "tests/unit/${1#tests/}.c" ] || [ -e "tests/bpf/${1#tests/}.c" ] ;;
	esac
}

# test_of PATCH: the one test it says must fail, if it names one
test_of()
{
	text_of "$1" | sed -nE 's/.*Caught by: [a-z0-9_]+ ([A-Za-z0-9_]+).*/\1/p' | head -n 1
}

# sim_options PATCH: a line for each run of the simulator
sim_options()
{
	local options

	options=$(text_of "$1" | grep -oE 'nbl-sim( --[a-z]+( [0-9a-fx.]+)?)+' | sed 's/^nbl-sim //')
	if [ -n "$options" ]; then
		echo "$options"
	elif text_of "$1" | grep -q '\bmake sim\b'; then
		echo "--seeds 1..10000"
	else
		printf -- "--seeds 1..$SIM_SEEDS%s\n" "" " --lies"
	fi
}

# rule_of NAME: core-31-AR-08 is of AR-08, AMB-08 too; lane-41-overload of none
rule_of()
{
	sed -nE 's/^.*-([A-Z]+-[0-9]+[a-z]?)$/\1/p' <<<"$1"
}

# listed_under RULE: tests that tests/rules joins with it
listed_under()
{
	cat tests/rules/*.rules tests/rules/*.add 2>/dev/null |
		awk -v id="$1" '/^[A-Z]/ { on = $1 == id } on && /^\t/ { print $2 }'
}

# build_program TREE PROGRAM: scripts need all there is
build_program()
{
	local program=build/$2

	[[ $program != *.sh ]] || program="test-programs"
	make --no-print-directory -s -C "$1" "$program" BUILD=build
}

# run_program TREE PROGRAM PATCH
run_program()
(
	program=build/$2
	[[ $2 != *.sh ]] || program=$2
	options=("")
	[ "$2" != tests/nbl-sim ] || mapfile -t options < <(sim_options "$3")
	cd "$1" || exit 1
	for o in "${options[@]}"; do
		# several words
		# shellcheck disable=SC2086
		BUILD=build CK_VERBOSITY=verbose timeout -k 10 "$LIMIT" "$program" $o </dev/null || exit
	done
)

# failing_tests OUTPUT: names, of Check programs and of scripts; of the simulator, broken invariants as INV-5
failing_tests()
{
	sed -nE -e 's/^[^ :]*:[0-9]+:[FE]:[^:]*:([^:]*):[0-9]+: ?.*$/\1/p' -e 's/^FAILED ([^ :]+).*/\1/p' \
		-e 's/^seed .*: invariant ([0-9]+): .*/INV-\1/p' "$1" | uniq
}

# put_back TREE PATCH: sources as they were, objects built since out of the pristine tree
put_back()
{
	local tree=$1 patch=$2 file

	sed -nE 's/^(---|\+\+\+) [ab]\/([^\t ]+).*/\2/p' "$patch" | sort -u | while read -r file; do
		cp -p "$scratch/pristine/$file" "$tree/$file" 2>/dev/null || rm -f "$tree/$file"
	done
	find "$tree/build" -type f -newer "$tree/stamp" -printf '%P\n' | while read -r file; do
		cp -p "$scratch/pristine/build/$file" "$tree/build/$file" 2>/dev/null || rm -f "$tree/build/$file"
	done
	find "$tree/user" "$tree/include" "$tree/bpf" -name '*.orig' -delete
}

# unharmed TREE PROGRAM PATCH: it passes as long as nothing is broken; asked once per program
unharmed()
{
	local tree=$1 program=$2 known=$1/known.${2//\//_}

	[ "$program" != tests/nbl-sim ] || known+=.$(sim_options "$3" | tr -dc 'a-z0-9')
	if [ ! -e "$known" ]; then
		build_program "$tree" "$program" >"$tree/output" 2>&1 &&
			run_program "$tree" "$program" "$3" >"$tree/output" 2>&1
		echo $? >"$known"
	fi
	[ "$(cat "$known")" = 0 ]
}

# by_whom RULE OUTPUT STATUS: the failing test to name, one that is listed under the rule if there is;
# a fault of something the rules do not say has no RULE
by_whom()
{
	local tests listed

	tests=$(failing_tests "$2")
	listed=$(grep -Fxf <(echo "$1"; listed_under "$1") <<<"$tests" | head -n 1)
	if [ -n "$listed" ]; then
		echo "$listed"
	elif [ -n "$tests" ]; then
		echo "$(head -n 1 <<<"$tests") ($([ -n "$1" ] && echo "not listed under $1" || echo "of no rule"))"
	elif [ "$3" = 124 ] || [ "$3" = 137 ]; then
		echo "its time: $LIMIT s"
	else
		echo "status $3"
	fi
}

# judge TREE NAME PROGRAM PATCH: of a program that failed with status $5, or passed
judge()
{
	local tree=$1 name=$2 program=$3 test status=$5

	test=$(test_of "$4")
	if [ "$status" = 0 ]; then
		echo "MISSED $name: $program passes"
	elif [ "$status" = 77 ]; then
		echo "UNUSABLE $name: $program skips itself here"
	elif [ -n "$test" ] && ! failing_tests "$tree/output" | grep -qFx "$test"; then
		echo "MISSED $name: $test passes; caught by $(by_whom "$(rule_of "$name")" "$tree/output" "$status")"
	else
		echo "caught $name by $(by_whom "$(rule_of "$name")" "$tree/output" "$status")"
	fi
}

# try TREE PATCH: one line
try()
{
	local tree=$1 patch=$2 name program status=0

	name=$(basename "$patch" .patch)
	program=$(catcher_of "$patch")
	if [ -z "$program" ]; then
		echo "UNUSABLE $name: it names no program that must catch it. Try: a first line that ends in \"tests/unit/test_x.c must catch it\""
		return
	elif ! is_there "$program"; then
		echo "UNUSABLE $name: $program, which must catch it, has no source. Try: $(basename "$program" .sh) as it is called now"
		return
	elif [[ $program == *.sh && $NET != 1 ]]; then
		echo "skipped $name: $program must catch it. Try: as root, NET=1 make faults FAULTS=$name"
		return
	elif ! unharmed "$tree" "$program" "$patch"; then
		echo "UNUSABLE $name: $program fails with nothing broken: $(grep -m 1 -E ':[FE]:|FAILED|[Ee]rror|^seed ' "$tree/output" || echo "status $(cat "$tree/known.${program//\//_}"*)")"
		return
	fi
	touch "$tree/stamp"
	sleep 0.02
	if ! patch -d "$tree" -p1 -s -f <"$patch" >"$tree/output" 2>&1; then
		echo "UNUSABLE $name: it does not apply: $(head -n 1 "$tree/output")"
	elif ! build_program "$tree" "$program" >"$tree/output" 2>&1; then
		echo "UNUSABLE $name: it does not build: $(grep -m 1 -E 'error|Error' "$tree/output")"
	else
		run_program "$tree" "$program" "$patch" >"$tree/output" 2>&1 || status=$?
		judge "$tree" "$name" "$program" "$patch" "$status"
	fi
	find "$tree" -maxdepth 4 -name '*.rej' -delete
	put_back "$tree" "$patch"
}

# campaign NUMBER: every JOBS-th patch, in a tree of its own
campaign()
{
	local tree=$scratch/tree$1 i

	cp -a "$scratch/pristine" "$tree"
	for ((i = $1; i < ${#patches[@]}; i += JOBS)); do
		try "$tree" "$FROM/${patches[i]}"
	done
}

chosen()
{
	local pattern

	for pattern in "${@:-*}"; do
		# the pattern is one of the shell's on purpose
		# shellcheck disable=SC2231
		for f in tests/faults/$pattern.patch; do
			[ ! -e "$f" ] || echo "$f"
		done
	done | sort -u
}

table()
{
	awk '
	{
		section = $2
		sub(/:$/, "", section)
		sub(/-[0-9]+[a-z]?$/, "", section)
		sub(/.*-/, "", section)
		if (section !~ /^[A-Z]+$/)
			section = "no rule"
		n[section]++; all++
		if ($1 == "caught") { caught[section]++; good++ }
		if ($1 == "skipped") { skipped[section]++; idle++ }
	}
	END {
		printf "section  faults  caught  skipped\n"
		order = split("DM,PL,AR,DV,RF,HP,RX,TX,SH,PT,CN,FS,CL,IN,PE,TG,INV,NX,AMB,BUG,no rule", o, ",")
		for (i = 1; i <= order; i++)
			if (o[i] in n)
				printf "%-7s  %6d  %6d  %7d\n", o[i], n[o[i]], caught[o[i]], skipped[o[i]]
		printf "%-7s  %6d  %6d  %7d\n", "all", all, good, idle
		exit good + idle != all
	}' "$scratch/lines"
}

mapfile -t patches < <(chosen "$@")
if [ "${#patches[@]}" = 0 ]; then
	echo "faults: no patch of tests/faults is named like that. Try: ls tests/faults" >&2
	exit 2
fi
started=$EPOCHSECONDS
make_pristine
for ((job = 0; job < JOBS; job++)); do
	campaign "$job" &
done | tee "$scratch/lines"
echo
table
status=$?
echo "${#patches[@]} faults in $((EPOCHSECONDS - started)) s"
exit "$status"
