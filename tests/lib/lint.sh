#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# lint.sh - static analysis of everything; a tool that is not installed is left out with a note.
#
# Prints "ok TOOL", "FAILED TOOL: N findings" with the findings, or "skipped TOOL: why", and
# "N passed, N failed, N skipped". Needs the skeletons of the BPF programs: run make first.
set -uo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../.." || exit 1

BUILD=${BUILD:-build}
passed=0 failed=0 skipped=0
mapfile -t sources < <(find user -name '*.c' | sort)
mapfile -t tests < <(find tests -name '*.c' ! -name '*.bpf.c' | sort)
mapfile -t scripts < <(grep -rlE '^#!/bin/(ba|)sh|^# shellcheck shell=' tests .ci 2>/dev/null | sort)
flags=(-std=gnu17 -D_GNU_SOURCE '-DNBL_VERSION="lint"' '-DNBL_WORKER_PATH="/lint"'
	-Iinclude -Iuser -Ibpf -isystem "$BUILD/bpf")	# skeletons are not ours to judge
test_flags=("${flags[@]}" -Itests -Itests/bench -isystem "$BUILD/tests/bpf")

# Findings that were looked at and are none: "FILE: part of the message", and why.
known=(
	# enough() ends the program instead of returning NULL; the table owns what it is given
	'user/cli/table.c: leak of'
	# GCC 12 loses sight of what a structure that was copied owns, or of an element of an array
	'user/edge/conf_file.c: leak of .file.text'
	'user/stack/lane.c: leak of'
	'user/core/window.c: dereference of NULL .<unknown>'
	# NULL only when no words are left, and the loops end there; only names of one length are compared
	'user/edge/attach_words.c: use of NULL where non-null'
	'user/edge/verbs.c: use of NULL where non-null'
	# filled by handover_receive(), or its result is not 0
	'user/keeper/worker_link.c: Uninitialized struct member: reply'
	# constants: ten seconds in microseconds
	'user/keeper/server.c: performing an implicit widening'
)

# unknown_only: of "FILE:LINE[:COLUMN]: MESSAGE" those that are not known
unknown_only()
{
	local line plain k

	sed "s|^$PWD/||" | while read -r line; do
		plain=$(sed -E 's/^([^:]*):[0-9]+(:[0-9]+)?: ((warning|error|note): )?/\1: /' <<<"$line")
		for k in "${known[@]}"; do
			[[ $plain =~ ^$k ]] && continue 2
		done
		echo "$line"
	done
}

# judge TOOL COMMAND...: which prints one line per finding, or nothing
judge()
{
	local tool=$1 found

	shift
	if ! command -v "${tool%% *}" >/dev/null; then
		skipped=$((skipped + 1))
		echo "skipped $tool: not installed. Try: apt-get install ${tool%% *}"
		return
	fi
	found=$("$@" | unknown_only)
	if [ -z "$found" ]; then
		passed=$((passed + 1))
		echo "ok $tool"
	else
		failed=$((failed + 1))
		echo "FAILED $tool: $(wc -l <<<"$found") findings"
		printf '    | %s\n' "${found//$'\n'/$'\n'    | }"
	fi
}

# Checked as C with one configuration, as it is built; exhaustive would take minutes.
run_cppcheck()
{
	# style is left to the compiler's warnings; libraries' own macros are unknown to it
	cppcheck -q --enable=warning,performance,portability --std=c11 --inline-suppr -j "$(nproc)" \
		--suppress=missingInclude --suppress=unknownMacro --suppress=normalCheckLevelMaxBranches \
		-D_GNU_SOURCE '-DNBL_VERSION="lint"' '-DNBL_WORKER_PATH="/lint"' \
		-Iinclude -Iuser -Ibpf --template='{file}:{line}: {message} [{id}]' "${sources[@]}" 2>&1
}

# Off, and why: easily-swappable-parameters and narrowing-conversions flag every (size, count) pair;
# reserved-identifier the kernel's and our own _Atomic helpers; err33-c each unchecked printf();
# msc30/50 rand(); err34-c sscanf() of numbers whose width is bounded; assignment-in-if-condition
# while ((x = next())); suspicious-string-compare if (strcmp(a, b)); branch-clone one line per case of a
# table; dcl37/51 as reserved-identifier; multi-level-implicit-pointer-conversion every free() of a list.
TIDY_CHECKS='-*,bugprone-*,cert-*,-bugprone-easily-swappable-parameters,-bugprone-narrowing-conversions'
TIDY_CHECKS+=',-bugprone-reserved-identifier,-bugprone-assignment-in-if-condition'
TIDY_CHECKS+=',-cert-dcl37-c,-cert-dcl51-cpp,-cert-err33-c,-cert-err34-c,-cert-msc30-c,-cert-msc50-cpp'
TIDY_CHECKS+=',-bugprone-suspicious-string-compare,-bugprone-branch-clone'
TIDY_CHECKS+=',-bugprone-multi-level-implicit-pointer-conversion'

run_clang_tidy()
{
	printf '%s\0' "${sources[@]}" |
		xargs -0 -P "$(nproc)" -I FILE clang-tidy --quiet "--checks=$TIDY_CHECKS" FILE -- "${flags[@]}" 2>/dev/null |
		grep -E '(warning|error): ' | sort -u
}

run_analyzer()
{
	local f

	for f in "${sources[@]}"; do
		gcc "${flags[@]}" -O2 -fanalyzer -Wall -Wextra -S -o /dev/null "$f" 2>&1
	done | grep -E 'warning: |error: ' | sort -u
}

run_warnings()
{
	local f

	for f in "${sources[@]}"; do
		clang "${flags[@]}" -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
			-Wcast-qual -Wpointer-arith -Wvla -fsyntax-only "$f" 2>&1
	done | grep -E 'warning: |error: ' | sort -u
	for f in "${tests[@]}"; do
		gcc "${test_flags[@]}" -Wall -Wextra -Wno-unused-parameter -fsyntax-only "$f" 2>&1
	done | grep -E 'warning: |error: ' | grep -v '_GNU_SOURCE. redefined' | sort -u
}

run_shellcheck()
{
	shellcheck -x -f gcc "${scripts[@]}"
}

if [ ! -e "$BUILD/bpf/nbl_xdp.skel.h" ]; then
	echo "lint: $BUILD/bpf/nbl_xdp.skel.h is not there. Try: make" >&2
	exit 1
fi
judge shellcheck run_shellcheck
judge clang run_warnings
judge cppcheck run_cppcheck
judge "gcc -fanalyzer" run_analyzer
judge clang-tidy run_clang_tidy

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
