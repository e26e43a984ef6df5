#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# reasm.sh - fragments are put together by reference on their way, and what overlaps never arrives.
#
#      peer                host                        src            dut               dst
#     +------+            +------+                    +------+       +-----------+     +------+
#     |  p0 -+------------+- v0  |   (nbld: reasm)    |  s0 -+-------+- v1   v2 -+-----+- d0  |
#     +------+    veth    +------+                    +------+       +-----------+     +------+
#
# FLOOD in the environment: how many fragments that never complete.
#
# The sending stack fragments datagrams of 8 KB; nbl-frags makes fragments that no stack would.
#
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/../lib/netlib.sh"

port=5998
N=30
FLOOD=${FLOOD:-1000000}	# ten million in tests/unit/test_reasm_bounds

# receiver_start NS: what arrives by UDP there, in $work/arrived
receiver_start()
{
	rm -f "$work/arrived"
	spawn "$1" "$work/socat.log" socat -u -b 65536 "UDP6-RECVFROM:$port,ipv6only=0,fork,rcvbuf=4000000" \
		"OPEN:$work/arrived,creat,append"
	receiver=$spawned
	wait_until "socat listens" 5 listening_udp "$1"
}

listening_udp()
{
	[ "$(in_ns "$1" ss -Hulna "sport = :$port")" ]
}

receiver_stop()
{
	stop "$receiver"
}

has_arrived()
{
	[ "$(stat -c %s "$work/arrived" 2>/dev/null || echo 0)" -ge "$1" ]
}

# consumed NAME: fragments that went on as part of what the module made of them
consumed()
{
	show "$1" .outcomes.consumed
}

has_consumed()
{
	[ "$(consumed "$1")" -ge "$2" ]
}

# datagrams FROM TO ADDRESS NAME: $N of 8 KB, each byte for byte, and all by way of the module
datagrams()
{
	local i before

	before=$(consumed "$4")
	receiver_start "$2"
	: >"$work/sent"
	for ((i = 1; i <= N; i++)); do
		head -c 8000 /dev/urandom >"$work/datagram"
		cat "$work/datagram" >>"$work/sent"
		in_ns "$1" socat -u -b 8000 "FILE:$work/datagram" "UDP:$3:$port"
		# one at a time: they are told apart by their order
		wait_until "arrival of datagram $i from $1 at $3" 3 has_arrived $((8000 * i))
	done
	receiver_stop
	expect_equal "SHA-256 of what arrived in $2" "$(sha256sum <"$work/sent")" "$(sha256sum <"$work/arrived")"
	# 8008 bytes of payload are six fragments; they are counted when all is sent that came with them
	wait_until "the worker's count" 3 has_consumed "$4" $((before + 6 * N))
	expect_equal "fragments that were put together" $((6 * N)) $(($(consumed "$4") - before))
}

datagrams_of_8_KB_arrive_byte_equal_from_and_to_the_host()
{
	datagrams peer host 10.99.0.2 v0
	datagrams host peer 10.99.0.1 v0
}

so_do_those_of_ipv6()
{
	datagrams peer host "[fd99::2]" v0
	datagrams host peer "[fd99::1]" v0
}

whole_datagrams_for_modules_above_arrive_too()
{
	ctl module remove v0 reasm
	ctl module add v0 reasm out=whole
	datagrams peer host 10.99.0.2 v0
	ctl module remove v0 reasm
	ctl module add v0 reasm
}

what_is_no_fragment_passes()
{
	in_ns peer ping -q -c 20 -i 0.01 -W 1 10.99.0.2
	in_ns peer ping -6 -q -c 20 -i 0.01 -W 1 fd99::2
	in_ns peer ping -q -c 20 -i 0.01 -W 1 -s 8000 10.99.0.2
	send_file peer host 10.99.0.2 8
	send_file host peer 10.99.0.1 8
}

# fragments HOW FROM TO OPTION...: of the file $work/datagram, from peer to host
fragments()
{
	local how=$1 from=$2 to=$3

	shift 3
	in_ns peer "$BUILD/tests/nbl-frags" --if p0 --to-mac "$(in_ns host ip -j link show dev v0 | jq -r ".[0].address")" \
		--from "$from" --to "$to" --port $port --how "$how" "$@" <"$work/datagram"
}

# one_way HOW FROM TO ARRIVES ID
one_way()
{
	rm -f "$work/arrived"
	fragments "$1" "$2" "$3" --id "$5"
	if [ "$4" = yes ]; then
		wait_until "arrival of $1 fragments at $3" 2 has_arrived 5000
		cmp "$work/datagram" "$work/arrived" || fail "what arrived at $3 is not what was sent"
	else
		sleep 0.3	# for what must not happen there is no event to wait for
		[ ! -s "$work/arrived" ] || fail "$1 fragments arrived at $3"
	fi
}

fragments_that_overlap_never_arrive()
{
	local before

	head -c 5000 /dev/urandom >"$work/datagram"
	receiver_start host
	before=$(show v0 .outcomes.dropped)
	one_way good 10.99.0.1 10.99.0.2 yes 100
	one_way reverse 10.99.0.1 10.99.0.2 yes 101
	one_way overlap 10.99.0.1 10.99.0.2 no 102
	one_way good fd99::1 fd99::2 yes 100
	one_way reverse fd99::1 fd99::2 yes 101
	one_way overlap fd99::1 fd99::2 no 102
	one_way good 10.99.0.1 10.99.0.2 yes 103
	receiver_stop
	# the six of each, the one that overlapped among them
	expect_equal "fragments dropped" 12 $(($(show v0 .outcomes.dropped) - before))
	audit_clean v0
}

held()
{
	ctl -j module list v0 | jq '.modules[] | select(.name == "reasm") | .held'
}

holds_nothing()
{
	[ "$(held)" = 0 ]
}

holds_many()
{
	[ "$(held)" -gt 100 ]
}

# What the kernel dropped because nobody took it in time.
lost_at_sockets()
{
	show v0 '[.lower, .upper | .kernel_rx_ring_full + .kernel_fill_empty] | add'
}

a_flood_of_fragments_that_never_complete_leaves_others_alone()
{
	local flood ping began before most=0 now

	head -c 5000 /dev/urandom >"$work/datagram"
	began=$EPOCHREALTIME
	before=$(lost_at_sockets)
	fragments first 10.99.0.1 10.99.0.2 --count "$FLOOD" --rate 50000 &
	flood=$!
	adopt "$flood"
	canary_start
	wait_until "fragments held" 3 holds_many
	spawn peer "$work/ping" ping -q -i 0.02 -W 1 10.99.0.2
	ping=$spawned
	while is_running "$flood"; do
		now=$(held)
		[ "$now" -le "$most" ] || most=$now
		sleep 0.05
	done
	wait "$flood"
	stop "$ping" INT
	canary_end
	note "$FLOOD fragments at 50 000/s in $(awk -v b="$began" -v e="$EPOCHREALTIME" 'BEGIN { printf "%.0f", e - b }') s; held at most $most; ping: $(grep -o '.*packet loss' "$work/ping")"
	now=$(($(lost_at_sockets) - before))
	[ "$now" = 0 ] || [ "$late" -lt 20000 ] || skip "this machine is too busy for that rate: $now lost, held up for $((late / 1000)) ms"
	expect_equal "packets that nobody took in time" 0 "$now"
	# one may have been on its way when ping was ended
	expect_between "pings lost under the flood" 0 1 \
		"$(sed -nE 's/^([0-9]+) packets transmitted, ([0-9]+) received.*/\1 \2/p' "$work/ping" | awk '{ print $1 - $2 }')"
	expect_between "fragments held" 1 1024 "$most"
	wait_until "nothing held after its time" 5 holds_nothing
	audit_clean v0
}

detach_with_fragments_held_is_clean()
{
	head -c 5000 /dev/urandom >"$work/datagram"
	fragments first 10.99.0.1 10.99.0.2 --count 50
	audit_clean v0
	ctl detach v0
	in_ns peer ping -q -c 5 -i 0.01 -W 1 10.99.0.2
	baseline host v0 >"$work/v0.now"
	expect_same "v0" "$work/v0" "$work/v0.now"
	ctl attach v0 host
	ctl module add v0 reasm
}

a_pair_passes_datagrams_of_8_KB_byte_equal_both_ways()
{
	datagrams src dst 10.98.0.2 v1
	datagrams dst src 10.98.0.1 v1
	datagrams src dst "[fd98::2]" v1
	audit_clean v1
}

test_begin socat ping nbl-frags
topology_host
baseline host v0 >"$work/v0"
nbld_start host
ctl attach v0 host >/dev/null
ctl module add v0 reasm >/dev/null

claim datagrams_of_8_KB_arrive_byte_equal_from_and_to_the_host
claim so_do_those_of_ipv6
claim whole_datagrams_for_modules_above_arrive_too
claim what_is_no_fragment_passes
claim fragments_that_overlap_never_arrive
claim a_flood_of_fragments_that_never_complete_leaves_others_alone
claim detach_with_fragments_held_is_clean

topology_pair 1 ipv6
nbld_start dut
ctl attach v1 pair v2 >/dev/null
ctl module add v1 reasm >/dev/null
claim a_pair_passes_datagrams_of_8_KB_byte_equal_both_ways
