#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# refusals.sh - what cannot work is refused with one sentence, the right exit status, and no change.
#
#      src                   dut                   dst
#     +------+              +-----------+         +------+
#     |  s0 -+--------------+- v1   v2 -+---------+- d0  |
#     +------+     veth     +-----------+  veth   +------+
#
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/../lib/netlib.sh"

# unchanged: v1, v2 and the list of adapters are as before anything was refused
unchanged()
{
	baseline dut v1 v2 >"$work/after"
	expect_same "v1 and v2" "$work/before" "$work/after"
	expect_equal "adapters" 0 "$(ctl -j show | jq '.adapters | length')"
}

an_interface_that_is_not_there_is_refused()
{
	expect_refusal 1 'nosuch0: .*\((ENODEV|ENOENT)\)' ctl attach nosuch0 host
	expect_refusal 1 'nosuch0: .*\((ENODEV|ENOENT)\)' ctl attach v1 pair nosuch0
	unchanged
}

an_interface_paired_with_itself_is_refused()
{
	expect_status 2 ctl attach v1 pair v1
	unchanged
}

# native_program_on NS IF: the test's own program, attached as somebody else would
native_program_on()
{
	in_ns "$1" ip link set dev "$2" xdpdrv obj "$BUILD/tests/bpf/sink.bpf.o" sec xdp
}

generic_program_on()
{
	in_ns "$1" ip link set dev "$2" xdpgeneric obj "$BUILD/tests/bpf/sink.bpf.o" sec xdp
}

# foreign_stays IF COMMAND...: refused because of the program on IF, which stays what it was
foreign_stays()
{
	local program

	program=$(xdp_of dut "$1")
	[ "$program" != none ] || fail "no program on $1 to begin with"
	baseline dut v1 v2 >"$work/before.foreign"
	expect_refusal 1 "$1: .*\((EBUSY|EEXIST)\)" "${@:2}"
	expect_equal "program on $1" "$program" "$(xdp_of dut "$1")"
	baseline dut v1 v2 >"$work/after"
	expect_same "v1 and v2" "$work/before.foreign" "$work/after"
}

a_foreign_native_program_is_left_where_it_is()
{
	native_program_on dut v1
	foreign_stays v1 ctl attach v1 host
	foreign_stays v1 ctl attach v1 pair v2
	foreign_stays v1 ctl attach v2 pair v1
	foreign_stays v1 ctl attach v1 pair v2 xdp generic
	in_ns dut ip link set dev v1 xdpdrv off
	unchanged
}

a_foreign_generic_program_is_left_where_it_is()
{
	generic_program_on dut v1
	foreign_stays v1 ctl attach v1 host
	foreign_stays v1 ctl attach v1 pair v2
	foreign_stays v1 ctl attach v2 pair v1
	in_ns dut ip link set dev v1 xdpgeneric off
	unchanged
}

# A program that comes by a link, as of libxdp, and holds queue 0 with a socket.
a_foreign_program_with_a_socket_is_left_where_it_is()
{
	bare_start
	foreign_stays v1 ctl attach v1 pair v2
	stop "$bare"
	wait_until "release of v1 by its socket" 5 same_as_before
}

bare_start()
{
	: >"$work/bare.log"
	spawn dut "$work/bare.log" "$BUILD/tests/nbl-bare" v1 v2
	bare=$spawned
	wait_until "nbl-bare is ready" 5 grep -q ready "$work/bare.log"
}

same_as_before()
{
	baseline dut v1 v2 | cmp - "$work/before"
}

# The same without its program: only the sockets hold the queues.
a_busy_queue_is_refused()
{
	local interface id link

	bare_start
	for interface in v1 v2; do
		id=$(in_ns dut ip -j link show dev "$interface" | jq '.[0].xdp.prog.id')
		link=$(bpftool -j link list | jq ".[] | select(.prog_id == $id) | .id")
		bpftool link detach id "$link"
	done
	expect_equal "programs on v1, v2" "none none" "$(xdp_of dut v1) $(xdp_of dut v2)"
	baseline dut v1 v2 >"$work/before.busy"
	expect_refusal 1 'v1: .*queue 0.*\(EBUSY\)' ctl attach v1 pair v2
	expect_refusal 1 'v2: .*queue 0.*\(EBUSY\)' ctl attach v2 host
	baseline dut v1 v2 >"$work/after"
	expect_same "v1 and v2" "$work/before.busy" "$work/after"
	stop "$bare"
	ctl_until_attached v1 pair v2
	ctl detach v1
	unchanged
}

# ctl_until_attached WORD...: the kernel lets go of a queue some time after its last socket's end
ctl_until_attached()
{
	wait_until "attach $*" 5 ctl attach "$@"
}

zero_copy_that_a_veth_has_not_is_refused_when_required()
{
	expect_status_in "1 5" ctl attach v1 pair v2 zerocopy require
	expect_match "refusal" 'v1: .*Try: ' "$(cat "$work/err")"
	unchanged
}

NX_09_the_mode_that_was_bound_is_reported()
{
	ctl_until_attached v1 pair v2
	expect_equal "modes of both ports" "native copy native copy" \
		"$(show v1 '[.lower, .upper | .xdp, .copy] | join(" ")')"
	ctl detach v1
	unchanged
}

# expect_status_in LIST COMMAND...
expect_status_in()
{
	local list=$1 status=0

	shift
	"$@" >"$work/out" 2>"$work/err" || status=$?
	[[ " $list " == *" $status "* ]] ||
		fail "$*: expected an exit status of $list, found $status, saying: $(cat "$work/out" "$work/err")"
}

queues_that_are_not_there_are_refused()
{
	expect_refusal 1 'v1: .*queue' ctl attach v1 pair v2 queues 5
	unchanged
}

# nbld_without CAPABILITY...: started by root that lacks them
nbld_without()
{
	local drop

	printf -v drop -- ',-%s' "$@"
	in_ns dut setpriv --bounding-set "${drop#,}" "$BUILD/nbld" -c "$work/nbld.conf" -S "$work/other.sock"
}

missing_capabilities_end_nbld_with_77_and_one_sentence()
{
	expect_refusal 77 CAP_NET_ADMIN timeout 10 bash -c "$(declare -f nbld_without in_ns); prefix=$prefix BUILD=$BUILD work=$work nbld_without net_admin"
	expect_refusal 77 CAP_NET_RAW timeout 10 bash -c "$(declare -f nbld_without in_ns); prefix=$prefix BUILD=$BUILD work=$work nbld_without net_raw"
	expect_refusal 77 CAP_BPF timeout 10 bash -c "$(declare -f nbld_without in_ns); prefix=$prefix BUILD=$BUILD work=$work nbld_without bpf sys_admin"
	unchanged
}

a_wrong_configuration_is_told_by_file_and_line_and_changes_nothing()
{
	cat >"$work/bad.conf" <<-END
	# wrong in its fourth line
	adapter v1 {
	    layout = pair
	    uper   = v2
	}
	END
	expect_status 78 "$BUILD/nbld" --check -c "$work/bad.conf"
	expect_match "what --check says" "$work/bad.conf:4: .*uper" "$(cat "$work/err")"
	expect_status 78 in_ns dut "$BUILD/nbld" -c "$work/bad.conf" -S "$work/other.sock"
	expect_match "what nbld says" "$work/bad.conf:4: .*uper" "$(cat "$work/err")"
	unchanged
}

a_right_configuration_is_checked_without_change()
{
	cat >"$work/good.conf" <<-END
	adapter inline0 {
	    lower  = v1
	    layout = pair
	    upper  = v2
	    module delay { ms = 20 }
	}
	END
	expect_status 0 "$BUILD/nbld" --check -c "$work/good.conf"
	unchanged
}

a_configuration_that_is_not_there_is_told()
{
	expect_status 78 "$BUILD/nbld" --check -c "$work/absent.conf"
	expect_match "what --check says" "absent.conf" "$(cat "$work/err")"
}

unknown_modules_and_options_are_refused()
{
	ctl attach v1 pair v2
	expect_refusal 1 'nosuch' ctl module add v1 nosuch
	expect_refusal 1 'delay: .*ms.*banana' ctl module add v1 delay ms=banana
	expect_refusal 1 'delay: .*colour' ctl module add v1 delay colour=red
	expect_refusal 1 'count' ctl module add v1 count colour=red
	expect_refusal 1 'nosuch' ctl module add v1 count before nosuch
	expect_refusal 1 'nosuch' ctl module remove v1 nosuch
	expect_refusal 1 'nosuch' ctl module add nosuch count
	expect_equal "modules" 0 "$(ctl -j module list v1 | jq '.modules | length')"
	expect_equal "modules shown" 0 "$(show v1 '.modules | length')"
	in_ns src ping -q -c 3 -i 0.02 -W 1 10.98.0.2
	audit_clean v1
	ctl detach v1
	unchanged
}

v1_is_in_state()
{
	ctl -j show v1 | jq -e ".adapters[0].state == \"$1\""
}

attaching_twice_changes_nothing_or_is_refused()
{
	local worker

	ctl attach v1 pair v2
	worker=$(worker_of v1)
	expect_status 0 ctl attach v1 pair v2
	expect_equal "changed" false "$(ctl -j attach v1 pair v2 | jq .changed)"
	expect_refusal 1 'v1: .*EEXIST' ctl attach v1 host
	expect_refusal 1 'v[12]: ' ctl attach v1 host name other
	expect_refusal 1 'v[12]: ' ctl attach v2 host
	# by another name of the same interface; and the adapter goes on being followed
	in_ns dut ip link property add dev v2 altname other-v2
	expect_refusal 1 'v2: .*belongs to adapter v1' ctl attach other-v2 host
	in_ns dut ip link property del dev v2 altname other-v2
	in_ns dut ip link set v2 down
	wait_until "v1 told as down" 2 v1_is_in_state down
	in_ns dut ip link set v2 up
	wait_until "v1 told as running" 2 v1_is_in_state running
	expect_equal "worker" "$worker" "$(worker_of v1)"
	expect_equal "adapters" 1 "$(ctl -j show | jq '.adapters | length')"
	in_ns src ping -q -c 3 -i 0.02 -W 1 10.98.0.2
	ctl detach v1
	expect_refusal 1 'v1: .*ENOENT' ctl detach v1
	unchanged
}

a_second_nbld_on_the_same_socket_is_refused()
{
	expect_refusal 1 "nbld.sock" in_ns dut timeout 10 "$BUILD/nbld" -c "$work/nbld.conf" -S "$work/nbld.sock"
	ctl version
	unchanged
}

a_second_nbld_on_another_socket_cannot_have_the_same_interfaces()
{
	ctl attach v1 pair v2
	: >"$work/other.log"
	spawn dut "$work/other.log" "$BUILD/nbld" -c "$work/nbld.conf" -S "$work/other.sock"
	wait_until "the other nbld answers" 5 "$BUILD/nblctl" -S "$work/other.sock" -j show
	expect_refusal 1 'v1: ' "$BUILD/nblctl" -S "$work/other.sock" attach v1 pair v2
	expect_refusal 1 'v1: ' "$BUILD/nblctl" -S "$work/other.sock" attach v1 host
	stop "$spawned"
	in_ns src ping -q -c 3 -i 0.02 -W 1 10.98.0.2
	audit_clean v1
	ctl detach v1
	unchanged
}

wrong_words_end_with_2()
{
	expect_refusal 2 'frobnicate' ctl frobnicate
	expect_refusal 2 'attach' ctl attach
	expect_refusal 2 'sideways' ctl attach v1 sideways
	expect_refusal 2 'colour' ctl attach v1 host colour red
	expect_refusal 2 'hang-limit' ctl attach v1 host hang-limit soon
	expect_status 2 "$BUILD/nblctl" -S
	expect_status 2 "$BUILD/nbld" --frobnicate
	expect_status 2 "$BUILD/nbld" frobnicate
	expect_status 0 "$BUILD/nbld" --help
	expect_status 0 "$BUILD/nbld" --version
	expect_status 0 ctl help
	expect_status 0 ctl help attach
	unchanged
}

# json COMMAND...: prints one JSON object, and says which schema it has
json()
{
	ctl -j "$@" >"$work/json"
	expect_equal "objects of schema 1 from $*" 1 "$(jq -s 'map(.schema == 1) | if all then length else 0 end' "$work/json")"
}

what_is_asked_for_as_json_is_one_object()
{
	local verb

	json attach v1 pair v2
	json module add v1 count
	json module set v1 count mandatory=yes
	json nbllog v1 on
	for verb in show drops holds pendingnbls nbllog nblpool audit "module list"; do
		# shellcheck disable=SC2086  # two words
		json $verb v1
	done
	for verb in show drops holds pendingnbls nbllog nblpool audit version help "help attach" "help module"; do
		# shellcheck disable=SC2086  # two words
		json $verb
	done
	json -s show
	expect_equal "commands explained" 1 "$(ctl -j help attach | jq '[.commands[] | select(.details)] | length')"
	json module remove v1 count
	json detach v1
	unchanged
	# and what is refused prints none
	expect_refusal 1 'v1: .*ENOENT' ctl -j detach v1
	expect_refusal 2 'frobnicate' ctl -j help frobnicate
	expect_refusal 2 'frobnicate' ctl -j frobnicate
	expect_equal "bytes printed by a refusal" 0 "$(ctl -j detach v1 2>"$work/err" | wc -c || true)"
}

without_nbld_nblctl_ends_with_3()
{
	expect_refusal 3 'not running' "$BUILD/nblctl" -S "$work/absent.sock" show
	expect_refusal 3 'not running' "$BUILD/nblctl" -S "$work/absent.sock" attach v1 host
}

others_than_root_may_not_change_things()
{
	expect_refusal 4 '(EPERM|EACCES)' setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$BUILD/nblctl" -S "$work/nbld.sock" attach v1 host
	unchanged
}

test_begin ping ethtool bpftool setpriv nbl-bare
topology_pair 1
baseline dut v1 v2 >"$work/before"
nbld_start dut

claim an_interface_that_is_not_there_is_refused
claim an_interface_paired_with_itself_is_refused
claim a_foreign_native_program_is_left_where_it_is
claim a_foreign_generic_program_is_left_where_it_is
claim a_foreign_program_with_a_socket_is_left_where_it_is
claim a_busy_queue_is_refused
claim zero_copy_that_a_veth_has_not_is_refused_when_required
claim NX_09_the_mode_that_was_bound_is_reported
claim queues_that_are_not_there_are_refused
claim missing_capabilities_end_nbld_with_77_and_one_sentence
claim a_wrong_configuration_is_told_by_file_and_line_and_changes_nothing
claim a_right_configuration_is_checked_without_change
claim a_configuration_that_is_not_there_is_told
claim unknown_modules_and_options_are_refused
claim attaching_twice_changes_nothing_or_is_refused
claim a_second_nbld_on_the_same_socket_is_refused
claim a_second_nbld_on_another_socket_cannot_have_the_same_interfaces
claim wrong_words_end_with_2
claim what_is_asked_for_as_json_is_one_object
claim without_nbld_nblctl_ends_with_3
claim others_than_root_may_not_change_things
