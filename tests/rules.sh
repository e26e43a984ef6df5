#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# rules.sh - joins the rules of the ownership model with the tests that prove them.
#
#     tests/rules.sh		every rule has a test, every test exists; of a full run: each ran and passed
#     tests/rules.sh table	the table of the last run: rule, priority, result, title, tests
#     tests/rules.sh count	how many rules the last run proved, in a line
#     tests/rules.sh merge	moves the lines of tests/rules/*.add into the section files
#
# tests/rules/SECTION.rules has a block per rule: "RX-05 P1 title", and under it, after a tab, the
# program as tests/run names it and the name of the test. tests/run leaves what each test did in
# $BUILD/results, and says with RULES_RAN=all that everything was run.
#
# RULES_STRICT=0 in the environment: what is wrong is told, and fails nothing.
set -uo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
RESULTS=${RESULTS:-$BUILD/results}
RULES_STRICT=${RULES_STRICT:-1}
RULES_RAN=${RULES_RAN:-}
SECTIONS=(DM PL AR DV RF HP RX TX SH PT CN FS CL IN PE TG INV NX AMB BUG)
passed=0 failed=0 skipped=0

section_files()
{
	local s

	for s in "${SECTIONS[@]}"; do
		[ ! -e "tests/rules/$s.rules" ] || echo "tests/rules/$s.rules"
	done
	find tests/rules -name '*.add' | sort
}

# parsed FILE...: per rule "R ID PRIORITY TITLE", per test "T ID PROGRAM TEST", per bad line "E WHERE WHAT"
parsed()
{
	awk -v OFS='\t' '
	FNR == 1 { id = ""; adds = FILENAME ~ /\.add$/ }
	/^#/ || /^[ \t]*$/ { next }
	/^\t/ {
		if (id == "" || NF != 2)
			print "E", FILENAME ":" FNR, "no \"PROGRAM TEST\" of a rule: " $0
		else if (!((id, $1, $2) in seen)) {
			seen[id, $1, $2] = 1
			print "T", id, $1, $2
		}
		next
	}
	{
		id = $1
		sub(/^INV-0/, "INV-", id)
		if (id !~ /^[A-Z]+-[0-9]+$/) {
			print "E", FILENAME ":" FNR, "no rule: " $0
			id = ""
		} else if (adds) {
			if (!(id in rules))
				print "E", FILENAME ":" FNR, "no such rule: " id
		} else if (id in rules || $2 !~ /^(P[123]|-)$/ || NF < 3) {
			print "E", FILENAME ":" FNR, id in rules ? id " is there twice" : "no priority or title: " $0
		} else {
			rules[id] = 1
			priority = $2
			sub(/^[^ ]+ +[^ ]+ +/, "")
			print "R", id, priority, $0
		}
	}' "$@"
}

# Where a program's tests are written.
source_of()
{
	case $1 in
	unit/* | bpf/*) echo "tests/$1.c" ;;
	*.sh) echo "tests/$1" ;;
	*) find "tests/$1" "tests/$1.c" -name '*.[ch]' 2>/dev/null ;;
	esac
}

# exists PROGRAM TEST: it is written, and named a second time, where it is run
exists()
{
	local sources

	mapfile -t sources < <(source_of "$1")
	[ "${#sources[@]}" != 0 ] && [ -e "${sources[0]}" ] || return 1
	case $1 in
	# a claim, or one of a list that is gone through, with a word behind that tells which time
	*.sh)
		grep -qE "^(claim|judge) ([^ ]* )*$2( |\$)" "${sources[@]}" ||
			grep -qxE "[[:space:]]+${2%_when_the_kernel_lies}" "${sources[@]}"
		;;
	unit/* | bpf/*)
		grep -qE "^START_TEST\\($2\\)" "${sources[@]}" &&
			grep -hwE "$2" "${sources[@]}" | grep -qv '^START_TEST'
		;;
	*) grep -qw "$2" "${sources[@]}" ;;
	esac
}

rules_without_a_test()
{
	awk -F '\t' '$1 == "R" { order[++n] = $2 } $1 == "T" { has[$2] = 1 }
	END { for (i = 1; i <= n; i++) if (!(order[i] in has)) print order[i] }' <<<"$parsed"
}

lines_that_cannot_be_read()
{
	sed -n 's/^E\t\([^\t]*\)\t/\1: /p' <<<"$parsed"
}

tests_that_do_not_exist()
{
	local program test

	sed -n 's/^T\t[^\t]*\t//p' <<<"$parsed" | sort -u | while IFS=$'\t' read -r program test; do
		exists "$program" "$test" || echo "$program $test"
	done
}

# judged: the table "ID PRIORITY RESULT TITLE", and of each test "  RESULT PROGRAM TEST"
#
# A rule has failed if one of its tests failed or did not run; without any that ran it is not proved.
judged()
{
	awk -F '\t' -v OFS='\t' '
	results { result[$1, $2] = $3; next }
	$1 == "R" { id[++n] = $2; priority[$2] = $3; title[$2] = $4 }
	$1 == "T" { tests[$2] = tests[$2] $3 OFS $4 "\n" }
	function of_test(program, name) {
		if ((program, name) in result)
			return result[program, name]
		if ((program, "*") in result)		# the program as a whole
			return result[program, "*"]
		return "not run"
	}
	END {
		for (i = 1; i <= n; i++) {
			all = split(tests[id[i]], t, "\n") - 1
			ok = bad = idle = 0
			lines = ""
			for (k = 1; k <= all; k++) {
				split(t[k], p, OFS)
				r = of_test(p[1], p[2])
				ok += r == "ok"
				bad += r == "FAILED"
				idle += r == "not run"
				lines = lines "  " OFS r OFS p[1] " " p[2] "\n"
			}
			r = all < 1 ? "no test" : bad ? "FAILED" : idle ? "not run" : ok ? "ok" : "skipped"
			printf "%s", id[i] OFS priority[id[i]] OFS r OFS title[id[i]] "\n" lines
		}
	}' results=1 "$1" results=0 - <<<"$parsed"
}

table()
{
	local results=$RESULTS

	[ -e "$results" ] || results=/dev/null
	judged "$results" | awk -F '\t' '
	BEGIN {
		print "Each rule of nbl(7), and indented the tests that prove it: result, program, test. A"
		print "rule is ok if all of its tests ran, none failed and one passed; \"not run\": make test"
		print "runs them all. P1: without it there is no ownership model; P2: whoever knows NDIS or WFP"
		print "expects it; P3: a refusal may do; -: Linux has no such thing, or the documents are unclear."
		print ""
		printf "%-7s %-3s %-8s %s\n", "RULE", "P", "RESULT", "WHAT IT SAYS, AND ITS TESTS"
	}
	$1 ~ /^ / { printf "                        %-8s %s\n", $2, $3; next }
	{
		n++
		count[$3]++
		printf "%-7s %-3s %-8s %s\n", $1, $2, $3, $4
	}
	END {
		printf "\n%d rules: %d ok, %d failed, %d not run, %d skipped, %d without a test\n",
			n, count["ok"], count["FAILED"], count["not run"], count["skipped"], count["no test"]
		exit n != count["ok"]
	}'
}

count()
{
	table | tail -n 1
}

rules_not_proved()
{
	judged "$RESULTS" | awk -F '\t' '
	$1 !~ /^ / { rule = $1; if ($3 == "skipped") print rule ": its tests were skipped" }
	$1 ~ /^ / && ($2 == "FAILED" || $2 == "not run") { print rule ": " $2 ": " $3 }'
}

# judge NAME COMMAND...: what it prints is what is wrong
judge()
{
	local name=$1 wrong

	shift
	wrong=$("$@")
	if [ -z "$wrong" ]; then
		passed=$((passed + 1))
		echo "ok $name"
	elif [ "$RULES_STRICT" = 0 ]; then
		skipped=$((skipped + 1))
		echo "skipped $name: $(wc -l <<<"$wrong"), the first: $(head -n 1 <<<"$wrong"); RULES_STRICT=1 tells all, and fails"
	else
		failed=$((failed + 1))
		echo "FAILED $name: $(wc -l <<<"$wrong"), the first: $(head -n 1 <<<"$wrong")"
		printf '    | %s\n' "${wrong//$'\n'/$'\n'    | }"
	fi
}

check()
{
	judge every_line_can_be_read lines_that_cannot_be_read
	judge every_rule_has_a_test rules_without_a_test
	judge every_test_of_a_rule_exists tests_that_do_not_exist
	if [ "$RULES_RAN" = all ]; then
		judge every_rule_is_proved rules_not_proved
		table >"$BUILD/rules.txt"
	fi
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ]
}

# put_under RULE LINE: behind the last test of the rule
put_under()
{
	local file=tests/rules/${1%-*}.rules

	awk -v id="$1" -v line="$2" '
	on && !/^\t/ { print "\t" line; on = 0 }
	$1 == id && !/^\t/ { on = 1 }
	{ print }
	END { if (on) print "\t" line }' "$file" >"$file.new" && mv "$file.new" "$file"
}

merge()
{
	local files id program test n=0

	mapfile -t files < <(find tests/rules -name '*.add' | sort)
	[ "${#files[@]}" != 0 ] || { echo "rules: there is no tests/rules/*.add"; return; }
	if lines_that_cannot_be_read | grep .; then
		return 1
	fi
	while IFS=$'\t' read -r id program test; do
		put_under "$id" "$program $test"
		n=$((n + 1))
	done < <(comm -13 <(parsed tests/rules/*.rules | grep '^T' | sort) <(grep '^T' <<<"$parsed" | sort) | cut -f 2-)
	rm -f "${files[@]}"
	echo "rules: $n lines of ${#files[@]} files moved"
}

mapfile -t all_files < <(section_files)
parsed=$(parsed "${all_files[@]}")
case ${1:-check} in
check | table | count | merge) "${1:-check}" ;;
*)
	sed -n '3,/^set/s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
