#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# host_tcp.sh - TCP of a host whose interface is plain, behind nbld, or behind NFQUEUE.
#
#     peer                        host
#    +-----------------+         +-------------------------------------+
#    | p0 10.77.0.1 ---+---------+--- v0 10.77.0.2                     |
#    +-----------------+  veth   +-------------------------------------+
#    iperf3 client                iperf3 server, and one of
#                                 plain  nothing
#                                 nbld   attach v0 host
#                                 nfq    rules queue input and output to nfq-accept
#                                 nfq_mtu  the same, packet by packet (nfq-accept --no-gso)
#
# p0 stands for the wire: it sends frames of MTU size with finished checksums (its offloads are
# off), and v0 has GRO on, as a NIC would. v0 keeps its segmentation offload, so nfq sees packets
# of up to 64 KB in both directions, where nfq_mtu and nbld see each by itself. All take turns; the
# table shows medians, Gbit/s.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=bench_lib.sh
. "$(dirname "$0")/bench_lib.sh"

rounds=3
seconds=3
ways=(plain nbld nfq nfq_mtu)

usage()
{
	cat <<-END
	usage: host_tcp.sh [--only LIST] [--rounds N] [--seconds S]
	  LIST   of plain, nbld, nfq, nfq_mtu, separated by commas; default all
	  BUILD  environment: the folder of the programs, default build/ of this tree
	END
}

parse()
{
	while [ $# -gt 0 ]; do
		case $1 in
		--only) IFS=, read -ra ways <<<"${2:?}"; shift 2 ;;
		--rounds) rounds=${2:?}; shift 2 ;;
		--seconds) seconds=${2:?}; shift 2 ;;
		--help) usage; exit 0 ;;
		*) usage >&2; exit 2 ;;
		esac
	done
}

topology()
{
	ns_add peer
	ns_add host
	ip link add p0 netns "$PREFIX-peer" type veth peer name v0 netns "$PREFIX-host"
	in_ns peer ip address add 10.77.0.1/24 dev p0
	in_ns host ip address add 10.77.0.2/24 dev v0
	in_ns peer ip link set p0 up
	in_ns host ip link set v0 up
	in_ns host ip link set lo up
	in_ns peer ethtool -K p0 tx off tso off gso off >/dev/null
	in_ns host ethtool -K v0 gro on >/dev/null
	spawn host iperf3 iperf3 -s
	wait_for "an answer from the host" in_ns peer iperf3 -c 10.77.0.2 -n 1K
}

start_plain() { :; }
stop_plain() { :; }

start_nbld()
{
	nbld_start host
	nbld_attach v0 host
}

stop_nbld()
{
	nbld_stop
}

start_nfq()
{
	spawn host nfq "$BUILD/tests/nfq-accept" --queue 0 "$@"
	program=$spawned
	wait_for "the queue's start" grep -q ready "$work/nfq.err"
	queue_by_nft || queue_by_iptables || die "nfq: no rule can queue here: the kernel lacks" \
		"nft's queue expression, and iptables is missing. Try: apt install iptables"
}

queue_by_nft()
{
	in_ns host nft -f - 2>/dev/null <<-END
	table inet bench {
		chain in { type filter hook input priority 0; iifname "v0" queue num 0; }
		chain out { type filter hook output priority 0; oifname "v0" queue num 0; }
	}
	END
}

queue_by_iptables()
{
	in_ns host iptables -A INPUT -i v0 -j NFQUEUE --queue-num 0 &&
		in_ns host iptables -A OUTPUT -o v0 -j NFQUEUE --queue-num 0
}

stop_nfq()
{
	in_ns host nft delete table inet bench 2>/dev/null || in_ns host iptables -F
	stop "$program"
	grep -q '"packets":[1-9]' "$work/nfq.out" || die "nfq: no packet went through the queue"
}

start_nfq_mtu() { start_nfq --no-gso; }
stop_nfq_mtu() { stop_nfq; }

# measure WAY DIRECTION IPERF3-OPTION...: bits per second, a line in $work/rate.WAY.DIRECTION
measure()
{
	local file=$work/rate.$1.$2

	shift 2
	in_ns peer timeout $((seconds + 20)) iperf3 -c 10.77.0.2 -t "$seconds" -J "$@" \
		>"$work/iperf3.json" || die "${file##*/rate.}: $(jq -r .error "$work/iperf3.json")"
	jq -e '.end.sum_received.bits_per_second' "$work/iperf3.json" >>"$file"
}

# median WAY DIRECTION: Gbit/s
median()
{
	jq -s 'sort | .[(length - 1) / 2 | floor] / 1e9' "$work/rate.$1.$2"
}

table()
{
	local way

	printf '\n%-10s%14s%14s\n' "Gbit/s" "peer to host" "host to peer"
	for way in "${ways[@]}"; do
		printf '%-10s%14.2f%14.2f\n' "$way" "$(median "$way" in)" "$(median "$way" out)"
	done
	for way in nfq nfq_mtu; do
		ratio "$way"
	done
}

# ratio WAY: one line, if both nbld and WAY were measured
ratio()
{
	[ -e "$work/rate.nbld.in" ] && [ -e "$work/rate.$1.in" ] || return 0
	printf '%-14s%10.2f%14.2f\n' "nbld/$1" \
		"$(jq -n "$(median nbld in) / $(median "$1" in)")" \
		"$(jq -n "$(median nbld out) / $(median "$1" out)")"
}

parse "$@"
bench_begin iperf3 ethtool
for way in "${ways[@]}"; do
	case $way in
	plain) ;;
	nbld) need_programs nbld nblctl nbld-worker ;;
	nfq | nfq_mtu) need_programs tests/nfq-accept ;;
	*) die "$way: no such way" ;;
	esac
done
topology
echo "$(uname -sr), $(nproc) processors, load $(cut -d' ' -f1-3 /proc/loadavg)," \
	"$rounds rounds of $seconds s each direction"
for ((round = 1; round <= rounds; round++)); do
	for way in "${ways[@]}"; do
		"start_$way"
		measure "$way" in
		measure "$way" out -R
		"stop_$way"
		echo "round $round, $way: done" >&2
	done
done
table
