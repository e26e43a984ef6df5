# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# bench_lib.sh - namespaces and processes of the bench scripts, all removed when the script ends.
#
# Names its namespaces bn-PID-NAME and keeps its files in $work.

# Only as a sourced file.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BUILD=${BUILD:-$here/../../build}
PREFIX=bn-$$
work=
namespaces=()
started=()
nbld_pid=
worker_pid=

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

# Whether a process is a running child of this script, and not a stranger with a number used again.
is_running()
{
	[[ " $(jobs -pr | tr '\n' ' ')" == *" $1 "* ]]
}

# Ends one process this script started, and waits for it; harmless when it has ended already.
stop()
{
	local pid=$1 i

	for ((i = 0; i < 100; i++)); do
		is_running "$pid" || break
		[ "$i" -gt 0 ] || kill -TERM "$pid" || true
		sleep 0.05
	done
	! is_running "$pid" || kill -KILL "$pid" || true
	wait "$pid" 2>/dev/null || true
}

cleanup()
{
	local status=$? pid ns

	trap - EXIT
	trap '' INT TERM HUP
	nbld_stop
	for pid in "${started[@]}"; do
		stop "$pid"
	done
	for ns in "${namespaces[@]}"; do
		ip netns del "$ns" 2>/dev/null || true
	done
	[ -z "$work" ] || rm -rf "$work"
	exit "$status"
}

# bench_begin TOOL...: checks what is needed, then makes $work and takes charge of the end.
bench_begin()
{
	local tool

	[ "$(id -u)" = 0 ] || die "must be run as root: it makes network namespaces"
	[ "$(nproc)" -ge 2 ] || die "needs two processors: one generates load, one forwards"
	for tool in ip nsenter taskset jq "$@"; do
		command -v "$tool" >/dev/null || die "$tool is not there"
	done
	trap cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	work=$(mktemp -d)
}

# ns_add NAME: a namespace without IPv6, whose own chatter would be counted.
ns_add()
{
	ip netns add "$PREFIX-$1"
	namespaces+=("$PREFIX-$1")
	in_ns "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
}

# nsenter, not ip netns exec: that one hides the BPF file system.
in_ns()
{
	local ns=$1

	shift
	nsenter --net="/run/netns/$PREFIX-$ns" "$@"
}

# spawn NS NAME COMMAND...: in the background, its output in $work/NAME.out and $work/NAME.err, its
# process id in $spawned. Not by in_ns: the process behind a function would be a shell.
spawn()
{
	local ns=$1 name=$2

	shift 2
	rm -f "$work/$name.out" "$work/$name.err"	# else an earlier one's could be read
	nsenter --net="/run/netns/$PREFIX-$ns" "$@" >"$work/$name.out" 2>"$work/$name.err" &
	spawned=$!
	started+=("$spawned")
}

# wait_for WHAT COMMAND...: until it succeeds, 10 seconds at most.
wait_for()
{
	local what=$1 i

	shift
	for ((i = 0; i < 200; i++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	tail -n 20 "$work"/*.err >&2 || true
	die "$what did not happen within 10 seconds"
}

need_programs()
{
	local program

	for program in "$@"; do
		[ -x "$BUILD/$program" ] || die "$BUILD/$program is not there: build it first"
	done
}

# nbld_start NS: nbld without a configuration; nbld_ctl talks to it.
nbld_start()
{
	: >"$work/nbld.conf"
	spawn "$1" nbld "$BUILD/nbld" -c "$work/nbld.conf" -S "$work/nbld.sock"
	nbld_pid=$spawned
	wait_for "nbld answering" nbld_ctl show
}

# nbld_attach ARGUMENT...: 'nblctl attach'; $worker_pid is then the adapter's worker.
nbld_attach()
{
	nbld_ctl attach "$@" >/dev/null || die "nbld: attach $* failed"
	worker_pid=$(nbld_ctl -j show "$1" | jq -er '.adapters[0].worker.pid') ||
		die "nbld: show $1 names no worker"
}

# By its program's path, which a process that only waits to be reaped no longer has.
worker_is_there()
{
	[[ -n $worker_pid && $(readlink "/proc/$worker_pid/exe") == */nbld-worker* ]]
}

# A worker outlives a keeper that dies, by design: one that is left here would forward for ever.
nbld_stop()
{
	local i

	[ -n "$nbld_pid" ] || return 0
	stop "$nbld_pid"
	for ((i = 0; i < 20; i++)); do
		worker_is_there || break
		sleep 0.05
	done
	if worker_is_there; then
		echo "${0##*/}: nbld ended and left its worker; ending that, too" >&2
		kill -KILL "$worker_pid" || true
	fi
	nbld_pid=
	worker_pid=
}

nbld_ctl()
{
	"$BUILD/nblctl" -S "$work/nbld.sock" "$@"
}
