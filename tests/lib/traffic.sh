# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# traffic.sh - what the tests send: TCP, files, numbered frames, tagged frames; part of netlib.sh.
#
# "Numbered frames" come from nbl-gen and end in nbl-sink, which tells how many were lost,
# duplicated or reordered, and how long each was on its way.
# shellcheck disable=SC2154  # netlib.sh's variables

# listening NS PORT
listening()
{
	[ "$(in_ns "$1" ss -Htln "sport = :$2")" ]
}

# iperf3_serve NS
iperf3_serve()
{
	spawn "$1" "$work/iperf3.log" iperf3 -s
	wait_until "iperf3 listens" 5 listening "$1" 5201
}

# iperf3_run NS ADDRESS OPTION...: its report is in $work/iperf3.json. A server that has not yet heard that
# the client before is done says it is busy, which ends iperf3 with 0: it is asked again, for five seconds.
iperf3_run()
{
	local ns=$1 address=$2 end

	shift 2
	end=$(($(now_us) + 5000000))
	until in_ns "$ns" timeout 30 iperf3 -J -c "$address" "$@" >"$work/iperf3.json" &&
		jq -e '.error == null' "$work/iperf3.json" >/dev/null; do
		if [ "$(now_us)" -ge "$end" ] || ! grep -q 'server is busy' "$work/iperf3.json"; then
			fail "iperf3 from $ns to $address: $(jq -r '.error // "timed out"' "$work/iperf3.json")"
		fi
		sleep 0.05
	done
}

# udp_arrives_complete NS ADDRESS OPTION...: 10 Mbit/s for a second, unless somebody was held up for longer
# than the sockets of iperf3 can wait
udp_arrives_complete()
{
	local i lost

	for ((i = 0; i < 5; i++)); do
		canary_start
		iperf3_run "$1" "$2" -u -b 10M -l 1200 -t 1 "${@:3}"
		canary_end
		lost=$(jq .end.sum.lost_packets "$work/iperf3.json")
		[ "$lost" != 0 ] || break
		[ "$late" -ge 20000 ] || break
		note "not counted: processes were held up for $((late / 1000)) ms, $lost datagrams lost"
	done
	[ "$i" != 5 ] || skip "this machine is too busy for that rate"
	expect_equal "datagrams lost from $1 to $2 ${*:3}" 0 "$lost"
	expect_at_least "datagrams" 900 "$(jq .end.sum.packets "$work/iperf3.json")"
}

# send_file NS NS2 ADDRESS-OF-NS2 MEBIBYTES: over TCP; it must arrive unchanged
send_file()
{
	local from=$1 to=$2 address=$3 pid

	head -c "${4}M" /dev/urandom >"$work/sent"
	spawn "$to" "$work/socat.log" socat -u TCP6-LISTEN:5999,ipv6only=0,reuseaddr "CREATE:$work/arrived"
	pid=$spawned
	wait_until "socat listens" 5 listening "$to" 5999
	in_ns "$from" timeout 60 socat -u "FILE:$work/sent" "TCP:$address:5999" || fail "sending a file from $from to $address"
	wait "$pid" || fail "receiving a file in $to: $(tail -n 1 "$work/socat.log")"
	expect_equal "SHA-256 of the file that arrived in $to" \
		"$(sha256sum <"$work/sent")" "$(sha256sum <"$work/arrived")"
	rm "$work/sent" "$work/arrived"
}

# has_vlan_links: whether this kernel can make links of type vlan
has_vlan_links()
{
	in_ns "$1" ip link add link lo name vlan-probe type vlan id 1 2>/dev/null &&
		in_ns "$1" ip link del vlan-probe
}

# capture_start NS IF OPTION... [EXPRESSION]: tcpdump; what it says is in $work/captured
capture_start()
{
	local ns=$1 interface=$2

	shift 2
	: >"$work/tcpdump.log"
	# not by in_ns: to end the shell of a function is not to end what runs in it
	nsenter --net="/run/netns/$prefix-$ns" tcpdump -i "$interface" -Z root -nn -e -l "$@" \
		>"$work/captured" 2>"$work/tcpdump.log" &
	capture=$!
	adopt "$capture"
	wait_until "tcpdump listens" 5 grep -q "listening on" "$work/tcpdump.log"
}

capture_end()
{
	kill -TERM "$capture"
	wait "$capture" || true
}

# tagged_pass NS IF NS2 IF2: 20 frames of 64 bytes with a tag of VLAN 7 arrive, each with its tag
tagged_pass()
{
	local from=$1 from_if=$2 to=$3 to_if=$4 i frame

	# to all, from 02:00:00:00:00:07; tag; ethertype for experiments; 46 bytes
	frame='\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\x07\x81\0\0\x07\x88\xb5'
	frame+=$(printf '%046d' 0)
	capture_start "$to" "$to_if" -Q in "ether src 02:00:00:00:00:07"
	for ((i = 0; i < 20; i++)); do
		# shellcheck disable=SC2059  # the format is the frame
		printf "$frame" | in_ns "$from" socat -u - "INTERFACE:$from_if"
	done
	wait_until "arrival in $to of 20 tagged frames from $from" 3 tagged_arrived 20
	capture_end
}

tagged_arrived()
{
	[ "$(grep -c '802.1Q (0x8100).*vlan 7,.*0x88b5' "$work/captured")" = "$1" ]
}

# flow_start NS IF NS2 IF2 OPTION...: numbered frames from IF to IF2, until they are all sent or flow_stop.
# The sink ends after a silence of sink_idle_ms; sink_options are some more words for it.
flow_start()
{
	local from=$1 from_if=$2 to=$3 to_if=$4

	shift 4
	flow_clear
	rm -f "$work/sink.ready" "$work/gen.json" "$work/sink.json" "$work/gen.log"
	# shellcheck disable=SC2086  # words
	nsenter --net="/run/netns/$prefix-$to" "$BUILD/tests/nbl-sink" --if "$to_if" --seconds 60 --idle-ms "${sink_idle_ms:-400}" \
		--ready-file "$work/sink.ready" ${sink_options:-} >"$work/sink.json" 2>>"$work/gen.log" &
	sink=$!
	adopt "$sink"
	wait_until "the sink is attached" 5 test -e "$work/sink.ready"
	nsenter --net="/run/netns/$prefix-$from" "$BUILD/tests/nbl-gen" --if "$from_if" --cpu "${gen_cpu:-0}" "$@" \
		>"$work/gen.json" 2>>"$work/gen.log" &
	gen=$!
	adopt "$gen"
	canary_start
	echo "$gen $sink $canary" >"$work/flow.pids"
}

# flow_clear: ends the flow of a claim that failed before its end
flow_clear()
{
	local pid pids

	[ -e "$work/flow.pids" ] || return 0
	mapfile -t pids < <(tr ' ' '\n' <"$work/flow.pids")
	for pid in "${pids[@]}"; do
		[ -z "$pid" ] || stop "$pid"
	done
	rm "$work/flow.pids"
}

# canary_start: a process that wants to run every 2 ms on the other processor. How late it was at most,
# says canary_end, as $late in microseconds: what nbld cannot have done in time then, is not its fault.
canary_start()
{
	# shellcheck disable=SC2016  # Perl's variables
	taskset -c 1 perl -MTime::HiRes=time,sleep -e '
		my ($late, $on) = (0, 1);
		$SIG{TERM} = sub { $on = 0 };
		for (my $last = time; $on; ) {
			sleep 0.002;
			my $now = time;
			$late = $now - $last - 0.002 if $on && $now - $last - 0.002 > $late;
			$last = $now;
		}
		printf "%d\n", $late * 1e6;' >"$work/canary" 2>/dev/null &
	canary=$!
	adopt "$canary"
}

canary_end()
{
	kill -TERM "$canary" 2>/dev/null || true
	wait "$canary" || true
	late=$(cat "$work/canary")
	late=${late:-0}		# it was ended before it began
}

# flow_stop: stops sending now; flow_end says what came
flow_stop()
{
	kill -TERM "$gen"
}

# flow_end: waits until all frames were sent and none comes any more; result in $work/flow
flow_end()
{
	local end

	wait "$gen" || fail "the generator: $(cat "$work/gen.log")"
	canary_end
	end=$(($(now_us) + 2000000))
	while is_running "$sink"; do	# it ends by itself, unless no frame ever came
		[ "$(now_us)" -lt "$end" ] || signal TERM "$sink"
		sleep 0.02
	done
	wait "$sink" || fail "the sink: $(cat "$work/gen.log")"
	rm "$work/flow.pids"
	jq -c -s --argjson late "$late" '.[0] as $gen | .[1] + {
		sent: ($gen.sent - $gen.gen_dropped), late_us: ([$gen.late_max_us, $late] | max),
		lost: ($gen.sent - $gen.gen_dropped - .[1].distinct) }' \
		"$work/gen.json" "$work/sink.json" >"$work/flow"
	cat "$work/flow"
}

# flow NS IF NS2 IF2 OPTION...: both, one after the other, on a calm machine
flow()
{
	on_a_calm_machine 20 one_flow "$@"
}

one_flow()
{
	flow_start "$@"
	flow_end
}

# on_a_calm_machine MS COMMAND...: COMMAND, which ends a flow, until what came of it can be judged: it
# was lossless and in order (or what $flawless says of it), or nobody was held up for longer than that by
# what else runs here. A generator that was held up makes up for it in a burst, and a worker that does not
# run empties no ring; neither is what was asked for. After five times there is nothing to judge.
on_a_calm_machine()
{
	local most=$1 i

	shift
	for ((i = 0; i < 5; i++)); do
		"$@"
		[ "$(flow_figure ".late_us / 1000 < $most or (${flawless:-.lost == 0 and .reordered == 0})")" != true ] || return 0
		note "not counted: processes were held up for $(flow_figure '.late_us / 1000 | floor') ms, $(flow_figure .lost) frames lost"
	done
	skip "this machine is too busy for that rate"
}

# flow_figure FILTER
flow_figure()
{
	jq -r "$1" "$work/flow"
}

# expect_flow_whole SENT: so many were sent, none was lost, duplicated or reordered
expect_flow_whole()
{
	expect_equal "frames sent" "$1" "$(flow_figure .sent)"
	expect_equal "frames lost of $1" 0 "$(flow_figure .lost)"
	expect_equal "frames duplicated of $1" 0 "$(flow_figure .duplicates)"
	expect_equal "frames reordered of $1" 0 "$(flow_figure .reordered)"
}
