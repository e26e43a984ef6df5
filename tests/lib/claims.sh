# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# claims.sh - claims, what they expect, and waiting; part of netlib.sh, which explains them.
#
# Uses $work, the folder of the run, and show_logs.
# shellcheck disable=SC2154  # netlib.sh's variables

claim()
{
	local name=$1 status

	[[ $name =~ ${ONLY:-} ]] || return 0
	: >"$work/why"
	: >"$work/notes"
	set +e
	trap - ERR
	(
		trap on_error ERR
		set -e
		"$@"
	) >"$work/output" 2>&1
	status=$?
	trap on_error ERR
	set -e
	case $status in
	0)
		passed=$((passed + 1))
		echo "ok $name"
		;;
	77)
		skipped=$((skipped + 1))
		echo "skipped $name: $(head -n 1 "$work/why")"
		;;
	*)
		failed=$((failed + 1))
		echo "FAILED $name: $(head -n 1 "$work/why")"
		sed 's/^/    | /' "$work/output"
		show_logs
		;;
	esac
	sed 's/^/    # /' "$work/notes"
	: >"$work/why"
}

# What helps to understand a failure.
show_logs()
{
	[ -s "$work/nbld.log" ] || return 0
	{
		echo "nbld's log ends:"
		tail -n 12 "$work/nbld.log" | sed 's/^/  /'
		echo "nblctl drops:"
		ctl drops 2>&1 | sed 's/^/  /' || true
	} | sed 's/^/    | /'
}

# note TEXT...: a figure worth reading, shown under the claim.
note()
{
	echo "$*" >>"$work/notes"
}

fail()
{
	[ -s "$work/why" ] || echo "$*" | tr '\n' ' ' >"$work/why"
	exit 1
}

skip()
{
	echo "$*" >"$work/why"
	exit 77
}

# expect_equal WHAT EXPECTED FOUND
expect_equal()
{
	[ "$2" = "$3" ] || fail "$1: expected $2, found $3"
}

# expect_between WHAT LEAST MOST FOUND: numbers, also with a point
expect_between()
{
	awk -v least="$2" -v most="$3" -v found="$4" \
		'BEGIN { exit !(found ~ /^-?[0-9]/ && found + 0 >= least + 0 && found + 0 <= most + 0) }' ||
		fail "$1: expected $2 to $3, found ${4:-nothing}"
}

# expect_at_least WHAT LEAST FOUND
expect_at_least()
{
	expect_between "$1" "$2" 1e18 "$3"
}

# expect_match WHAT REGEX TEXT
expect_match()
{
	[[ $3 =~ $2 ]] || fail "$1: expected something like \"$2\", found \"$3\""
}

# expect_same WHAT FILE FILE2: byte for byte
expect_same()
{
	diff -u "$2" "$3" >"$work/diff" && return 0
	cat "$work/diff"
	fail "$1: not as it was: $(sed -n '4,${/^[-+]/{p;q}}' "$work/diff")"
}

# expect_status STATUS COMMAND...: what it printed is in $work/out and $work/err
expect_status()
{
	local expected=$1 status=0

	shift
	"$@" >"$work/out" 2>"$work/err" || status=$?
	[ "$status" = "$expected" ] ||
		fail "$*: expected exit status $expected, found $status, saying: $(cat "$work/out" "$work/err")"
}

# expect_refusal STATUS REGEX COMMAND...: one sentence on standard error, saying what to do instead
expect_refusal()
{
	local status=$1 regex=$2

	shift 2
	expect_status "$status" "$@"
	expect_equal "lines of the refusal of: $*" 1 "$(grep -c . "$work/err")"
	expect_match "refusal of: $*" "$regex" "$(cat "$work/err")"
	expect_match "refusal of: $*" "(Try|Usage): " "$(cat "$work/err")"
}

# ---- time ----

now_us()
{
	echo "${EPOCHREALTIME/./}"
}

# wait_until WHAT SECONDS COMMAND...: until it succeeds
wait_until()
{
	local what=$1 seconds=$2 end

	shift 2
	end=$(($(now_us) + seconds * 1000000))
	until "$@" >/dev/null 2>&1; do
		[ "$(now_us)" -lt "$end" ] || fail "$what: not within $seconds seconds"
		sleep 0.01
	done
}
