#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# bench.sh - nbld's pair layout beside a bare AF_XDP loop: capacity, loss, latency.
#
#     src                dut                dst
#    +------+       +-------------+       +------+
#    | s0 --+-------+- v1     v2 -+-------+- d0  |
#    +------+ veth  +-------------+ veth  +------+
#    nbl-gen          nbld or bare         nbl-sink
#    CPU 0               CPU 1             in CPU 1's softirq
#
# nbl-gen redirects frames out of s0. A redirect to a veth arrives only when the peer's NAPI runs:
# on v1 the forwarder's own XDP program sees to that. What the forwarder transmits on v2 takes the
# socket's skb path, and meets the sink's XDP program in the NAPI of d0.
#
# The forwarders take turns (A B A B ...), so that a disturbance meets them alike; the table shows
# medians over the rounds. It compares two programs on one machine: veth speed is no product speed.
# What else the machine does shows as "kept waiting": 4096 ring entries bridge 20 ms at 200 000 pps.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=bench_lib.sh
. "$(dirname "$0")/bench_lib.sh"

rounds=3
seconds=3
ring=4096	# entries of each ring, the same for all: it decides how much memory they wear through
forwarders=(nbld stack bare)

usage()
{
	cat <<-END
	usage: bench.sh [--only LIST] [--rounds N] [--seconds S] [--ring N]
	  LIST   forwarders, separated by commas: nbld (with count), stack (nbld with three modules that
	         pass all on, and the filter engine with a filter that never matches), bare (sleeps when
	         idle), spin (bare --spin); ratios are against the last one; default nbld,stack,bare
	  BUILD  environment: the folder of the programs, default build/ of this tree
	END
}

parse()
{
	while [ $# -gt 0 ]; do
		case $1 in
		--only) IFS=, read -ra forwarders <<<"${2:?}"; shift 2 ;;
		--rounds) rounds=${2:?}; shift 2 ;;
		--ring) ring=${2:?}; shift 2 ;;
		--seconds) seconds=${2:?}; shift 2 ;;
		--help) usage; exit 0 ;;
		*) usage >&2; exit 2 ;;
		esac
	done
}

link_up()
{
	in_ns "$1" ip link set "$2" arp off up
}

topology()
{
	ns_add src
	ns_add dut
	ns_add dst
	ip link add s0 netns "$PREFIX-src" type veth peer name v1 netns "$PREFIX-dut"
	ip link add v2 netns "$PREFIX-dut" type veth peer name d0 netns "$PREFIX-dst"
	link_up src s0
	link_up dut v1
	link_up dut v2
	link_up dst d0
	dst_mac=$(in_ns dst ip -j link show d0 | jq -r '.[0].address')
}

# module MODULE OPTION...
module()
{
	nbld_ctl module add v1 "$@" >/dev/null || die "nbld: module $1 not added"
}

start_nbld()
{
	nbld_start dut
	nbld_attach v1 pair v2 ring "$ring"
	module count
	forwarder=$worker_pid
	taskset -a -p -c 1 "$forwarder" >/dev/null
}

stop_nbld()
{
	nbld_stop
}

# reflect and reasm look at each packet, and want none of these
start_stack()
{
	start_nbld
	module reflect
	module reasm
	module filter "rule=inbound-mac ether-type=0x88cc block"
}

stop_stack()
{
	stop_nbld
}

# The kernel lets go of a queue some time after its last socket's end: busy means try again.
start_bare()
{
	local try

	for ((try = 0; try < 50; try++)); do
		spawn dut bare taskset -c 1 "$BUILD/tests/nbl-bare" --ring "$ring" "$@" v1 v2
		forwarder=$spawned
		wait_for "the bare loop's start" grep . "$work/bare.err"
		grep -q busy "$work/bare.err" || break
		sleep 0.1
	done
	grep -q ready "$work/bare.err" || die "bare: $(cat "$work/bare.err")"
}

stop_bare()
{
	stop "$forwarder"
}

start_spin()
{
	start_bare --spin
}

stop_spin()
{
	stop_bare
}

# Milliseconds in which the forwarder could have run, but its processor was given to others.
waited_ms()
{
	cat "/proc/$forwarder/task/"*/schedstat | awk '{ ns += $2 } END { printf "%d", ns / 1000000 }'
}

# measure FORWARDER TEST GENERATOR-OPTION...: one line of JSON to $work/results
measure()
{
	local name=$1 test=$2 waited

	shift 2
	rm -f "$work/ready"
	spawn dst sink taskset -c 0 "$BUILD/tests/nbl-sink" --if d0 --seconds $((seconds + 60)) \
		--ready-file "$work/ready"
	wait_for "the sink's start" test -e "$work/ready"
	waited=$(waited_ms)
	in_ns src "$BUILD/tests/nbl-gen" --if s0 --cpu 0 --dst-mac "$dst_mac" "$@" >"$work/gen.out" ||
		die "$name, $test: the generator failed"
	sleep 0.3	# what is still queued; the longest queue is 10 ms
	stop "$spawned"
	jq -e '.received > 0' "$work/sink.out" >/dev/null || die "$name, $test: nothing came through"
	waited=$(($(waited_ms) - waited))
	jq -c -s --arg forwarder "$name" --arg test "$test" --argjson waited_ms "$waited" \
		'.[0] as $gen | .[1] as $sink | {
		$forwarder, $test, $waited_ms, sent: $gen.sent, late_max_us: $gen.late_max_us,
		gen_pps: $gen.pps, gen_dropped: $gen.gen_dropped, pps: $sink.pps,
		lost: ($gen.sent - $gen.gen_dropped - $sink.distinct),
		duplicates: $sink.duplicates, reordered: $sink.reordered
		} + $sink.latency_us' "$work/gen.out" "$work/sink.out" >>"$work/results"
}

measure_all()
{
	measure "$1" capacity_64 --seconds "$seconds" --size 64
	measure "$1" capacity_1514 --seconds "$seconds" --size 1514
	measure "$1" loss --count $((200000 * seconds)) --rate 200000 --size 64
	measure "$1" latency --count $((50000 * seconds)) --rate 50000 --size 64
}

# value FORWARDER TEST FIELD median|worst: over the rounds
value()
{
	jq -s --arg forwarder "$1" --arg test "$2" --arg field "$3" --arg pick "$4" \
		'[.[] | select(.forwarder == $forwarder and .test == $test) | .[$field]] | sort |
		if $pick == "worst" then last else .[(length - 1) / 2 | floor] end' "$work/results"
}

# row LABEL TEST FIELD DIVISOR FORMAT [worst]
row()
{
	local label=$1 test=$2 field=$3 divisor=$4 format=$5 pick=${6:-median} name values=()

	for name in "${forwarders[@]}"; do
		values+=("$(value "$name" "$test" "$field" "$pick")")
	done
	awk -v label="$label" -v divisor="$divisor" -v format="%12$format" -v list="${values[*]}" '
	BEGIN {
		n = split(list, v, " ")
		printf "%-40s", label
		for (i = 1; i <= n; i++)
			printf format, v[i] / divisor
		for (i = 1; i < n; i++)
			printf v[n] ? "%10.3f" : "%10s", v[n] ? v[i] / v[n] : "-"
		printf "\n"
	}'
}

table()
{
	local last=$((${#forwarders[@]} - 1)) name

	printf '\n%-40s' "medians of $rounds rounds"
	printf '%12s' "${forwarders[@]}"
	for name in "${forwarders[@]:0:last}"; do
		printf ' %9s' "$name/${forwarders[last]}"
	done
	printf '\n'
	row "capacity, 64 bytes, Mpps" capacity_64 pps 1000000 .3f
	row "capacity, 1514 bytes, Mpps" capacity_1514 pps 1000000 .3f
	row "  offered at 64 bytes, Mpps" capacity_64 gen_pps 1000000 .3f
	row "at 200 000 pps: lost of $((200000 * seconds)), median" loss lost 1 d
	row "  lost, worst round" loss lost 1 d worst
	row "  duplicated, worst round" loss duplicates 1 d worst
	row "  reordered, worst round" loss reordered 1 d worst
	row "  lost before it, worst round" loss gen_dropped 1 d worst
	row "  generator late by, us, worst" loss late_max_us 1 .1f worst
	row "  forwarder kept waiting, ms, worst" loss waited_ms 1 d worst
	row "at 50 000 pps: latency p50, us" latency p50 1 .2f
	row "  p90, us" latency p90 1 .2f
	row "  p99, us" latency p99 1 .2f
	row "  p99.9, us" latency p999 1 .2f
	row "  max, us" latency max 1 .2f
}

parse "$@"
bench_begin awk
need_programs tests/nbl-gen tests/nbl-sink
for name in "${forwarders[@]}"; do
	case $name in
	nbld | stack) need_programs nbld nblctl nbld-worker ;;
	bare | spin) need_programs tests/nbl-bare ;;
	*) die "$name: no such forwarder" ;;
	esac
done
topology
echo "$(uname -sr), $(nproc) processors, load $(cut -d' ' -f1-3 /proc/loadavg)," \
	"$rounds rounds of $seconds s"
for ((round = 1; round <= rounds; round++)); do
	for name in "${forwarders[@]}"; do
		"start_$name"
		measure_all "$name"
		"stop_$name"
		echo "round $round, $name: done" >&2
	done
done
table
