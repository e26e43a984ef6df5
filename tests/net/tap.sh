#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tap.sh - a tap shows frame types on a device of its own, and sends what is sent there.
#
#      src              dut               dst
#     +------+         +-----------+     +------+
#     |  s0 -+---------+- v1   v2 -+-----+- d0  |
#     +------+  veth   |   mon0    |     +------+
#                      +-----------+
#
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/../lib/netlib.sh"

# stack: its modules from the lower port upward, as "count tap"
stack()
{
	ctl -j module list v1 | jq -r '[.modules[].name] | join(" ")'
}

# of MODULE FIGURE: of module list
of()
{
	ctl -j module list v1 | jq ".modules[] | select(.name == \"$1\") | .$2"
}

has_device()
{
	in_ns dut ip link show dev "$1" >/dev/null 2>&1
}

has_no_device()
{
	! has_device "$1"
}

is_listening()
{
	grep -q 'listening on' "$work/tcpdump.log"
}

# listen_start NS IF: what arrives there is in $work/seen, one line per frame
listen_start()
{
	: >"$work/tcpdump.log"
	spawn "$1" "$work/tcpdump.log" tcpdump -i "$2" -nn -e -l -U -w "$work/seen.pcap" --immediate-mode
	listener=$spawned
	wait_until "tcpdump listens" 5 is_listening
}

# listen_end REGEX N: when so many frames of what was sent last have been seen
listen_end()
{
	wait_until "$2 frames like \"$1\"" 5 has_seen "$1" "$2"
	sleep 0.1	# for what must not come there is no event to wait for
	stop "$listener" INT
	tcpdump -r "$work/seen.pcap" -nn -e 2>/dev/null >"$work/seen"
}

has_seen()
{
	[ "$(tcpdump -r "$work/seen.pcap" -nn -e 2>/dev/null | grep -cE "$1")" -ge "$2" ]
}

# seen REGEX: how many frames
seen()
{
	grep -cE "$1" "$work/seen" || true
}

# two requests for the address of dst, and some IPv4
some_traffic()
{
	in_ns src ip neigh flush dev s0
	in_ns src arping -q -c 2 -w 5 -I s0 10.98.0.2 || fail "no answer to arping"
	in_ns src ping -q -c 3 -i 0.05 -W 2 10.98.0.2 >/dev/null || fail "no answer to ping"
}

# no_tap: nor what else a claim that failed left in the stack
no_tap()
{
	local module

	for module in $(stack); do
		ctl module remove v1 "$module" >/dev/null
	done
}

# send_lldp IF COUNT: by a packet socket
send_lldp()
{
	local i

	for ((i = 0; i < $2; i++)); do
		printf '\x01\x80\xc2\x00\x00\x0e\x02\x00\x00\x00\x00\x01\x88\xcc%050d' "$i" |
			in_ns dut socat -u STDIN "INTERFACE:$1"
	done
}

a_tap_makes_its_device_and_is_listed_on_top()
{
	no_tap
	ctl module add v1 tap to=mon0 types=0x0806,ipv6
	has_device mon0 || fail "no mon0"
	in_ns dut ip -j link show dev mon0 | jq -e '.[0].flags | index("UP")' >/dev/null || fail "mon0 is not up"
	ctl module add v1 count
	expect_equal "modules" "count tap" "$(stack)"
	expect_equal "modules of show" "count tap" "$(show v1 '[.modules[].name] | join(" ")')"
	ctl module remove v1 count
	expect_equal "modules" tap "$(stack)"
	no_tap
}

counted_as_shown()
{
	[ $(($(of tap packets) - $1)) = "$(wc -l <"$work/seen")" ]
}

only_its_types_are_seen_and_all_pass_on()
{
	local before

	no_tap
	ctl module add v1 tap to=mon0 types=0x0806,ipv6
	before=$(of tap packets)
	listen_start dut mon0
	some_traffic
	listen_end 'ARP.*Request who-has 10.98.0.2' 2
	# 2 requests, and that of ping: all that v1 received; the answers came by v2
	expect_between "ARP requests on mon0" 2 4 "$(seen 'ARP.*Request who-has 10.98.0.2')"
	expect_equal "frames of other types on mon0" 0 "$(seen 'ethertype IPv4')"
	wait_until "as many packets counted as shown" 3 counted_as_shown "$before"
	audit_clean v1
	no_tap
}

a_tap_without_types_sees_everything()
{
	no_tap
	ctl module add v1 tap to=mon0
	listen_start dut mon0
	some_traffic
	listen_end 'ICMP echo request' 3
	expect_at_least "ARP on mon0" 2 "$(seen ARP)"
	expect_equal "pings on mon0" 3 "$(seen 'ICMP echo request')"
	no_tap
}

five_are_counted()
{
	[ "$(of tap packets)" -ge 5 ]
}

what_is_sent_to_the_device_leaves_by_the_lower_port()
{
	no_tap
	ctl module add v1 tap to=mon0 types=lldp
	ctl module add v1 count
	listen_start src s0
	send_lldp mon0 5
	listen_end '02:00:00:00:00:01 > 01:80:c2:00:00:0e' 5
	expect_equal "frames of mon0 at s0" 5 "$(seen '02:00:00:00:00:01 > 01:80:c2:00:00:0e')"
	expect_at_least "packets through the module below" 5 "$(of count packets)"
	wait_until "5 packets counted" 3 five_are_counted
	expect_equal "packets counted" 5 "$(of tap packets)"
	audit_clean v1
	ctl module remove v1 count
	no_tap
}

# read_tap: what it has shown, missed, and what the lower port received, of one reading, in $now
read_tap()
{
	mapfile -t now < <(show v1 '(.modules[] | select(.name == "tap") | .packets, .missed), .lower.rx_packets')
}

a_flood_is_never_held_up_by_the_tap()
{
	local packets missed before now

	no_tap
	ctl module add v1 tap to=mon0
	read_tap
	before=("${now[@]}")
	flow src s0 dst d0 --rate 50000 --count 50000 --size 64
	expect_flow_whole 50000
	read_tap
	packets=$((now[0] - before[0])) missed=$((now[1] - before[1]))
	expect_equal "shown and missed" $((now[2] - before[2])) $((packets + missed))
	note "at 50 000 packets/s $packets shown, $missed missed"
	audit_clean v1
	no_tap
}

a_tap_outlives_its_worker()
{
	local pid index

	no_tap
	ctl module add v1 tap to=mon0 types=arp
	index=$(in_ns dut cat /sys/class/net/mon0/ifindex 2>/dev/null || in_ns dut ip -j link show dev mon0 | jq '.[0].ifindex')
	listen_start dut mon0
	pid=$(worker_of v1)
	kill -KILL "$pid"
	wait_until "a new worker" 5 is_true v1 ".worker.pid != 0 and .worker.pid != $pid and .state == \"running\""
	expect_equal "modules" tap "$(stack)"
	some_traffic
	listen_end 'ARP.*Request' 2
	expect_equal "index of mon0" "$index" "$(in_ns dut ip -j link show dev mon0 | jq '.[0].ifindex')"
	expect_at_least "ARP on mon0, by the same listener" 2 "$(seen 'ARP.*Request')"
	expect_equal "frames of other types on mon0" 0 "$(seen 'ethertype IPv4')"
	audit_clean v1
	no_tap
}

removing_it_removes_the_device()
{
	no_tap
	ctl module add v1 tap to=mon0
	has_device mon0 || fail "no mon0"
	ctl module remove v1 tap
	wait_until "mon0's end" 3 has_no_device mon0
	expect_equal "modules" "" "$(stack)"
	ctl module add v1 tap to=mon0	# and it can come back
	has_device mon0 || fail "no mon0"
	no_tap
}

one_that_a_stopped_worker_does_not_take_is_not_left_behind()
{
	local pid

	no_tap
	pid=$(worker_of v1)
	kill -STOP "$pid"
	expect_status 8 ctl module add v1 tap to=mon0
	wait_until "mon0's end" 3 has_no_device mon0
	ctl module add v1 tap to=mon0	# the successor is there by then
	has_device mon0 || fail "no mon0"
	[ "$(worker_of v1)" != "$pid" ] || fail "the stopped worker was not replaced"
	no_tap
}

# refused_with REGEX COMMAND...: fails, and says so
refused_with()
{
	local regex=$1 status=0

	shift
	ctl "$@" 2>"$work/refusal" >/dev/null || status=$?
	[ "$status" != 0 ] || fail "not refused: $*"
	grep -qE "$regex" "$work/refusal" || fail "refused with: $(cat "$work/refusal")"
	grep -q 'Try: ' "$work/refusal" || fail "no remedy in: $(cat "$work/refusal")"
}

what_cannot_be_is_refused_in_a_sentence()
{
	no_tap
	refused_with 'mon0.*EEXIST|v2: no tap on v1 \(EEXIST\)' module add v1 tap to=v2
	refused_with 'to: missing' module add v1 tap
	refused_with 'no name for a network device' module add v1 tap to=a/b
	refused_with 'no name for a network device' module add v1 tap to=much-too-long-a-name
	refused_with 'neither a frame type' module add v1 tap to=mon0 types=arp,ipx
	refused_with 'neither a frame type' module add v1 tap to=mon0 types=0x5dc
	refused_with "no option 'from'" module add v1 tap to=mon0 from=v1
	ctl module add v1 count
	refused_with 'above all modules' module add v1 tap before count to=mon0
	has_no_device mon0 || fail "mon0 is there"
	ctl module add v1 tap to=mon0
	refused_with 'above all modules' module add v1 delay after tap ms=1
	refused_with 'EEXIST' module add v1 tap to=mon1
	refused_with 'keeps its options' module set v1 tap types=arp
	refused_with "no module 'm+' in its stack" module remove v1 "$(printf 'm%.0s' {1..2000})"
	refused_with "'f+' makes no sense" module remove v1 count "$(printf 'f%.0s' {1..2000})"
	has_no_device mon1 || fail "mon1 is there"
	ctl module remove v1 tap
	ctl module remove v1 count
	expect_equal "modules" "" "$(stack)"
}

detach_removes_the_device_and_the_configuration_makes_it()
{
	no_tap
	ctl module add v1 tap to=mon0
	ctl detach v1
	wait_until "mon0's end" 3 has_no_device mon0
	cat >"$work/nbld.conf" <<-'CONF'
		adapter "v1" {
			layout = pair
			upper = v2
			module count {}
			module tap { to = mon3  types = "arp" }
		}
	CONF
	stop "$(nbld_pid)"
	nbld_start dut
	wait_until "v1 attached" 5 is_true v1 '.state == "running"'
	expect_equal "modules" "count tap" "$(stack)"
	has_device mon3 || fail "no mon3"
	listen_start dut mon3
	some_traffic
	listen_end 'ARP.*Request' 2
	expect_at_least "ARP on mon3" 2 "$(seen 'ARP.*Request')"
	ctl detach v1
	wait_until "mon3's end" 3 has_no_device mon3
}

[ -c /dev/net/tun ] || { echo "skipped all: no /dev/net/tun"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
test_begin nbl-gen nbl-sink tcpdump arping ping socat
topology_pair 1
nbld_start dut
ctl attach v1 pair v2 >/dev/null

claim a_tap_makes_its_device_and_is_listed_on_top
claim only_its_types_are_seen_and_all_pass_on
claim a_tap_without_types_sees_everything
claim what_is_sent_to_the_device_leaves_by_the_lower_port
claim a_flood_is_never_held_up_by_the_tap
claim a_tap_outlives_its_worker
claim removing_it_removes_the_device
claim one_that_a_stopped_worker_does_not_take_is_not_left_behind
claim what_cannot_be_is_refused_in_a_sentence
claim detach_removes_the_device_and_the_configuration_makes_it
