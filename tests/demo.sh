#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# demo.sh - nbld at work in half a minute: real traffic through both layouts; nothing is left behind.
#
#      peer             host                   src          dut          dst
#     +------+         +------+               +------+     +---------+  +------+
#     |  p0 -+---------+- v0  |      and      |  s0 -+-----+- v1  v2 -+-+- d0  |
#     +------+  veth   +------+               +------+     +---------+  +------+
#
# The two boxes in the middle are one: "host" and "dut" are the namespace nbld runs in.
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/lib/netlib.sh"

# say TEXT...: a step, explained
say()
{
	printf '\n>> %s\n' "$*"
}

# run NS COMMAND...: shown as it would be typed
run()
{
	local ns=$1

	shift
	printf '[%s] $ %s\n' "$ns" "$*"
	in_ns "$ns" "$@" | sed 's/^/    /'
}

# do_ctl WORD...: nblctl, shown as it would be typed
do_ctl()
{
	printf '[host] $ nblctl %s\n' "$*"
	ctl "$@" | sed 's/^/    /'
}

# tcp NS ADDRESS [OPTION]: two seconds of it, condensed
tcp()
{
	printf '[%s] $ iperf3 -c %s\n' "$1" "${*:2}"
	iperf3_run "$1" "$2" -t 2 "${@:3}"
	jq -r '"    \(.end.sum_received.bits_per_second / 1e7 | floor / 100) Gbit/s, \(.end.sum_received.bytes / 1e6 | floor) MB"' \
		"$work/iperf3.json"
}

net_begin iperf3 ping ethtool

say "Five network namespaces: a host with its peer, and a box between two others."
topology_host
ns_add src ipv6
ns_add dst ipv6
veth src s0 host v1
veth host v2 dst d0
as_wire src s0
as_wire dst d0
in_ns host sysctl -qw net.ipv6.conf.v1.disable_ipv6=1 net.ipv6.conf.v2.disable_ipv6=1
address src s0 10.98.0.1/24 fd98::1/64
address dst d0 10.98.0.2/24 fd98::2/64
baseline host v0 v1 v2 >"$work/before"

say "nbld starts, without a configuration: it waits for commands."
printf '[host] $ nbld &\n'
nbld_start host

say "Host layout: nbld goes between interface v0 and this machine's own network stack."
do_ctl attach v0 host
say "A module that counts what passes; then traffic of the host, both ways."
do_ctl module add v0 count
run peer ping -q -c 5 -i 0.05 10.99.0.2
run peer ping -6 -q -c 5 -i 0.05 fd99::2
iperf3_serve host
tcp peer 10.99.0.2
tcp peer 10.99.0.2 -R

say "Pair layout: v1 and v2 become the two ends of one wire, with nbld in it."
do_ctl attach v1 pair v2
do_ctl module add v1 delay ms=2
say "With a module that holds each packet for 2 ms, a ping takes 4; without it, next to nothing."
run src ping -q -c 5 -i 0.05 10.98.0.2
do_ctl holds v1
do_ctl module remove v1 delay
run src ping -q -c 5 -i 0.05 10.98.0.2
iperf3_serve dst
tcp src 10.98.0.2
tcp src 10.98.0.2 -R

say "What nbld says of it all. Every packet has exactly one outcome, every frame is accounted for:"
do_ctl show
do_ctl audit

say "The worker of the wire is killed in the middle of a ping; another carries on with its rings."
printf '[src] $ ping -q -c 100 -i 0.01 10.98.0.2 &\n[host] $ kill -9 %s\n' "$(worker_of v1)"
in_ns src ping -q -c 100 -i 0.01 10.98.0.2 >"$work/ping" &
pinging=$!
sleep 0.4
worker=$(worker_of v1)
kill -KILL "$worker"
wait "$pinging"
sed 's/^/    /' "$work/ping"
wait_until "a new worker" 5 is_true v1 ".worker.pid != 0 and .worker.pid != $worker"

say "Detached, everything is as it was."
do_ctl detach v1
do_ctl detach v0
baseline host v0 v1 v2 >"$work/after"
if cmp "$work/before" "$work/after"; then
	echo "    v0, v1, v2: programs, qdiscs, filters, offloads, queues and addresses byte for byte as before"
else
	diff "$work/before" "$work/after"
fi
run peer ping -q -c 3 -i 0.05 10.99.0.2

say "Done: nbld stops, and the namespaces go with it."
