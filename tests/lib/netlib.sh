# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# netlib.sh - what the network tests share; sourced by each, and by the demo.
#
# A test makes its topology, then says `claim NAME` for each of its functions that claims something:
#
#     topology_host
#     nbld_start host
#     claim ping_is_answered
#
# A claim runs in a shell of its own: a command that fails, or an expect_ that is not met, ends it
# and the claim has FAILED; the next one runs. When the script ends, in whatever way, all processes
# it started are ended, its namespaces removed, and the last line says how many claims
# passed, failed and were skipped.
#
# Namespaces are named nblt-PID-NAME; everything else lies in $work. With ONLY=REGEX in the
# environment, only claims whose names match are judged.
set -euEo pipefail
export LC_ALL=C

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$top/$BUILD ;; esac

NBLD=nbld
prefix=nblt-$$
work=			# folder of this run
namespaces=()
passed=0 failed=0 skipped=0

# shellcheck source=tests/lib/claims.sh
. "$top/tests/lib/claims.sh"
# shellcheck source=tests/lib/traffic.sh
. "$top/tests/lib/traffic.sh"

# ---- beginning and end ----

# net_begin PROGRAM...: checks what is needed, takes charge of the end. Programs: see need().
net_begin()
{
	[ "$(id -u)" = 0 ] || { echo "needs root: it makes network namespaces. Try: sudo $0" >&2; exit 77; }
	work=$(mktemp -d "/tmp/$prefix-XXXXXX")
	chmod 755 "$work"
	: >"$work/started"
	: >"$work/nbld.log"
	: >"$work/nbld.conf"
	trap on_exit EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	trap 'exit 141' PIPE
	trap on_error ERR
	# claims about loss and time are about nbld, not about what else runs on this machine
	renice -n -15 -p $$ >/dev/null || true
	need nbld nbld-worker nblctl ip nsenter jq ss "$@"
}

# test_begin PROGRAM...: net_begin for a script that makes claims.
test_begin()
{
	reporting=1
	net_begin "$@"
}
reporting=

# need PROGRAM...: those of the build by name, others on the path. Skips the script without them.
need()
{
	local program

	for program in "$@"; do
		[ -x "$BUILD/$program" ] || [ -x "$BUILD/tests/$program" ] || command -v "$program" >/dev/null ||
			skip "$program is not there"
	done
}

# The first reason counts: what ends a shell within ends those around it.
on_error()
{
	local status=$? command=$BASH_COMMAND

	[ -s "$work/why" ] ||
		echo "line ${BASH_LINENO[0]} of ${BASH_SOURCE[1]##*/}: exit status $status of: $command" |
			head -n 1 >"$work/why"
}

on_exit()
{
	local status=$?

	trap - EXIT ERR
	trap '' INT TERM HUP PIPE
	set +e
	if [ "$status" = 77 ]; then
		skipped=$((skipped + 1))
		echo "skipped all: $(cat "$work/why")"
	elif [ "$status" != 0 ]; then
		failed=$((failed + 1))
		echo "FAILED the script itself: $(cat "$work/why" 2>/dev/null)"
		show_logs
	fi
	teardown
	if [ "$reporting" ]; then
		echo "$passed passed, $failed failed, $skipped skipped"
		exit $((failed > 0))
	fi
	exit "$status"
}

teardown()
{
	local pid start ns

	tac "$work/started" | while read -r pid start; do
		is_running "$pid" "$start" && stop "$pid"
	done
	for ns in "${namespaces[@]}"; do
		ip netns del "$ns" 2>/dev/null
	done
	rm -rf "$work"
}

# ---- processes ----

# When process PID began, in ticks; nothing if it has ended.
start_of()
{
	local stat

	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
	stat=${stat##*) }
	[ "${stat%% *}" = Z ] || cut -d ' ' -f 20 <<<"$stat"
}

# is_running PID [START]: and is the one that began then
is_running()
{
	local start

	start=$(start_of "$1")
	[ "$start" ] && [ "${2:-$start}" = "$start" ]
}

has_ended()
{
	! is_running "$1"
}

# adopt PID...: so that they end with this script, too
adopt()
{
	local pid

	for pid in "$@"; do
		echo "$pid $(start_of "$pid")" >>"$work/started"
	done
}

# in_ns NS COMMAND...: nsenter, as `ip netns exec` would hide the BPF file system
in_ns()
{
	local ns=$1

	shift
	nsenter --net="/run/netns/$prefix-$ns" "$@"
}

# spawn NS LOG COMMAND...: in the background; its process id is in $spawned
spawn()
{
	local ns=$1 log=$2

	shift 2
	nsenter --net="/run/netns/$prefix-$ns" "$@" >>"$log" 2>&1 </dev/null &
	spawned=$!
	adopt "$spawned"
}

# signal SIGNAL PID: to a process that may end by itself at any time
signal()
{
	kill -"$1" "$2" 2>/dev/null || true
}

# stop PID [SIGNAL]: it and its children, by force after 5 seconds
stop()
{
	local pid=$1 children end

	children=$(pgrep -P "$pid" || true)
	kill -"${2:-TERM}" "$pid" 2>/dev/null || return 0
	signal CONT "$pid"
	end=$(($(now_us) + 5000000))
	for pid in "$pid" $children; do
		while is_running "$pid"; do
			if [ "$(now_us)" -ge "$end" ]; then
				signal KILL "$pid"
			fi
			sleep 0.01
		done
	done
}

# ---- namespaces and links ----

# ns_add NAME [ipv6]: without IPv6 unless asked, as its own chatter would be counted
ns_add()
{
	local off=1

	[ "${2:-}" != ipv6 ] || off=0
	ip netns add "$prefix-$1"
	namespaces+=("$prefix-$1")
	in_ns "$1" sysctl -qw "net.ipv6.conf.all.disable_ipv6=$off" "net.ipv6.conf.default.disable_ipv6=$off"
	in_ns "$1" sysctl -qw net.ipv6.conf.default.accept_dad=0	# no addresses that are tentative yet
	in_ns "$1" ip link set lo up
}

# veth NS IF NS2 IF2 [QUEUES [QUEUES2]]: up at both ends
veth()
{
	local n=${5:-1} n2=${6:-${5:-1}}

	ip link add "$2" netns "$prefix-$1" numtxqueues "$n" numrxqueues "$n2" type veth \
		peer name "$4" netns "$prefix-$3" numtxqueues "$n2" numrxqueues "$n"
	in_ns "$1" ip link set "$2" up
	in_ns "$3" ip link set "$4" up
}

# as_wire NS IF: finished checksums and MTU-sized frames, as they come from a cable
as_wire()
{
	in_ns "$1" ethtool -K "$2" tx off tso off gso off >/dev/null
}

# address NS IF ADDRESS...
address()
{
	local ns=$1 interface=$2 a

	shift 2
	for a in "$@"; do
		case $a in
		*:*) in_ns "$ns" ip address add "$a" dev "$interface" nodad ;;
		*) in_ns "$ns" ip address add "$a" dev "$interface" ;;
		esac
	done
}

# topology_host:
#
#      peer                              host
#     +------------------+              +------------------+
#     |              p0 -+--------------+- v0      nbld    |
#     |  10.99.0.1/24    |     veth     |  10.99.0.2/24    |
#     |  fd99::1/64      |              |  fd99::2/64      |
#     +------------------+              +------------------+
#
# v0 has GRO on, as a NIC would.
topology_host()
{
	ns_add peer ipv6
	ns_add host ipv6
	veth peer p0 host v0
	as_wire peer p0
	in_ns host ethtool -K v0 gro on >/dev/null
	address peer p0 10.99.0.1/24 fd99::1/64
	address host v0 10.99.0.2/24 fd99::2/64
}

# topology_pair QUEUES [ipv6]:
#
#      src                       dut                       dst
#     +--------------+          +-----------+          +--------------+
#     |          s0 -+----------+- v1   v2 -+----------+- d0          |
#     | 10.98.0.1/24 |   veth   |   nbld    |   veth   | 10.98.0.2/24 |
#     |              |          +-----------+          |              |     with ipv6 also
#     +--------------+                                 +--------------+     fd98::1/64, fd98::2/64
topology_pair()
{
	ns_add src "${2:-}"
	ns_add dst "${2:-}"
	ns_add dut
	veth src s0 dut v1 "$1"
	veth dut v2 dst d0 "$1"
	as_wire src s0
	as_wire dst d0
	address src s0 10.98.0.1/24 ${2:+fd98::1/64}
	address dst d0 10.98.0.2/24 ${2:+fd98::2/64}
}

# baseline NS IF...: all that an attach may not leave changed
baseline()
{
	local ns=$1 interface

	shift
	echo "links:"
	in_ns "$ns" ip -o link show | awk -F ': ' '{ print $2 }' | sort
	for interface in "$@"; do
		echo "$interface:"
		in_ns "$ns" ip -d link show dev "$interface"
		in_ns "$ns" ip address show dev "$interface"
		in_ns "$ns" ethtool -k "$interface"
		in_ns "$ns" ethtool -l "$interface" 2>&1
		in_ns "$ns" tc qdisc show dev "$interface"
		in_ns "$ns" tc filter show dev "$interface" ingress
		in_ns "$ns" tc filter show dev "$interface" egress
	done
}

# xdp_of NS IF: mode and id of the XDP program attached, as "1 12"; "none"
xdp_of()
{
	in_ns "$1" ip -j link show dev "$2" | jq -r '.[0].xdp | if . then "\(.mode) \(.prog.id)" else "none" end'
}

# ---- nbld ----

# nbld_start NS: until it answers; its socket is $work/nbld.sock. One that a failed claim left is ended.
# $NBLD: the product, or a build for tests with a worker of its own beside it.
nbld_start()
{
	[ ! -e "$work/nbld.pid" ] || ! is_running "$(nbld_pid)" || stop "$(nbld_pid)"
	spawn "$1" "$work/nbld.log" "$BUILD/$NBLD" -c "$work/nbld.conf" -S "$work/nbld.sock"
	disown "$spawned"	# else the shell has something to say when it is killed
	echo "$spawned" >"$work/nbld.pid"
	wait_until "nbld answers" 10 nbld_answers
}

# The process id of the nbld started last.
nbld_pid()
{
	cat "$work/nbld.pid"
}

nbld_answers()
{
	is_running "$(nbld_pid)" || fail "nbld ended: $(tail -n 1 "$work/nbld.log")"
	ctl -j show
}

# nbld_kill: as by the OOM killer; its workers will end with this script
nbld_kill()
{
	local pid

	pid=$(nbld_pid)
	# shellcheck disable=SC2046  # a list of process ids
	adopt $(pgrep -P "$pid" || true)
	kill -KILL "$pid"
	wait_until "nbld's end" 5 has_ended "$pid"
}

ctl()
{
	"$BUILD/nblctl" -S "$work/nbld.sock" "$@"
}

# show NAME FILTER: what jq finds in an adapter's show
show()
{
	ctl -j show "$1" | jq -r ".adapters[0] | $2"
}

# is_true NAME CONDITION: of an adapter's show
is_true()
{
	ctl -j show "$1" | jq -e ".adapters[0] | $2"
}

worker_of()
{
	show "$1" .worker.pid
}

# For jq: whether an adapter's reading adds up.
balanced='(.received == (.outcomes | .to_wire + .to_host + .consumed + .dropped + .offloaded) + .in_flight)
	and (.frames | .imbalance == 0 and .total ==
	     .free + .fill + .rx + .held + .tx + .completion + .kernel + .quarantine)'

# audit_clean NAME: the oracle. Every frame is where the ledger says, every packet has one outcome.
audit_clean()
{
	local audit reading drops

	audit=$(ctl -j audit "$1")
	jq -e '.adapters[0] | .frames > 0 and .mismatches == 0 and .violations == 0 and .quarantined == 0' \
		<<<"$audit" || fail "audit of $1: $(jq -c '.adapters[0]' <<<"$audit")"
	reading=$(ctl -j show "$1")
	jq -e ".adapters[0] | $balanced" <<<"$reading" ||
		fail "figures of $1 do not add up: $(jq -c '.adapters[0] | { received, in_flight, outcomes, frames }' <<<"$reading")"
	drops=$(ctl -j drops "$1")
	jq -e '.adapters[0] | ([.drops[].packets] | add // 0) == .outcomes.dropped' <<<"$drops" ||
		fail "drops of $1 do not add up: $(jq -c '.adapters[0]' <<<"$drops")"
}

# readings_start NAME: reads its figures every 20 ms until readings_end
readings_start()
{
	: >"$work/readings"
	(
		trap - ERR
		set +e
		until [ -e "$work/readings.stop" ]; do
			ctl -j show "$1" >>"$work/readings"
			sleep 0.02
		done
	) &
	readings=$!
	adopt "$readings"
}

# readings_end: each of them adds up
readings_end()
{
	local bad n

	touch "$work/readings.stop"
	wait "$readings"
	rm "$work/readings.stop"
	n=$(jq -s length "$work/readings")
	expect_at_least "readings" 10 "$n"
	bad=$(jq -c ".adapters[0] | select($balanced | not) | { received, in_flight, outcomes, frames }" "$work/readings")
	[ -z "$bad" ] || fail "$(wc -l <<<"$bad") of $n readings do not add up, the first: $(head -n 1 <<<"$bad")"
	note "$n readings under load, all add up"
}
