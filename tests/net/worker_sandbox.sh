#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# worker_sandbox.sh - who handles packets may do nothing else.
#
#      dut: v1 <-- veth --> v2, joined by one pair adapter, and v3, v4 by another
#
# shellcheck source=tests/lib/netlib.sh
. "$(dirname "$0")/../lib/netlib.sh"

# status FIELD: of the worker, as /proc tells it
status()
{
	awk -v field="$1:" '$1 == field { $1 = ""; print substr($0, 2) }' "/proc/$worker/status"
}

the_worker_runs_as_nobody()
{
	expect_equal "Uid" "65534 65534 65534 65534" "$(status Uid)"
	expect_match "Gid" '^[1-9][0-9]* ' "$(status Gid)"
	expect_equal "Groups" "" "$(status Groups | tr -d ' 65534')"
}

the_worker_has_no_capability()
{
	local set

	for set in CapInh CapPrm CapEff CapAmb; do
		expect_equal "$set" 0000000000000000 "$(status "$set")"
	done
	expect_equal "NoNewPrivs" 1 "$(status NoNewPrivs)"
}

the_workers_system_calls_are_filtered_in_each_thread()
{
	local thread

	for thread in "/proc/$worker/task/"*; do
		expect_equal "Seccomp of thread ${thread##*/}" 2 \
			"$(awk '$1 == "Seccomp:" { print $2 }' "$thread/status")"
	done
}

the_worker_has_a_network_namespace_to_itself()
{
	local mine

	mine=$(readlink "/proc/$worker/ns/net")
	[ "$mine" != "$(readlink "/proc/$(nbld_pid)/ns/net")" ] || fail "it shares nbld's network namespace"
	[ "$mine" != "$(readlink /proc/self/ns/net)" ] || fail "it is in the first network namespace"
	expect_equal "links it sees" "lo" "$(nsenter --target "$worker" --net ip -o link show | awk -F ': ' '{ print $2 }')"
}

the_worker_holds_no_file_beside_its_log()
{
	expect_equal "files it holds" "" "$(readlink "/proc/$worker/fd/"* | grep '^/' |
		grep -v -E '^(/dev/null|/memfd:.*|.*/nbld\.log)$' || true)"
}

# sockets_of PID: by their inode
sockets_of()
{
	readlink "/proc/$1/fd/"* | grep '^socket:' | sort -u
}

two_workers_have_no_socket_in_common()
{
	local other common

	ctl attach v3 pair v4
	other=$(worker_of v3)
	common=$(comm -12 <(sockets_of "$worker") <(sockets_of "$other"))
	expect_equal "sockets in common" "" "$common"
	expect_between "sockets of the second worker" 2 4 "$(sockets_of "$other" | wc -l)"
	ctl detach v3
}

a_forbidden_call_ends_the_worker_and_not_the_adapter()
{
	# gdb and strace cannot be relied on; that the filter kills is shown by its mode, checked above
	local pid=$worker

	kill -SYS "$pid"
	wait_until "a new worker" 5 is_true v1 ".worker.pid != 0 and .worker.pid != $pid and .state == \"running\""
	worker=$(worker_of v1)
	the_worker_has_no_capability
	expect_equal "Seccomp" 2 "$(status Seccomp)"
	audit_clean v1
}

test_begin comm
ns_add dut
veth dut v1 dut v2
veth dut v3 dut v4
nbld_start dut
ctl attach v1 pair v2 >/dev/null
worker=$(worker_of v1)

claim the_worker_runs_as_nobody
claim the_worker_has_no_capability
claim the_workers_system_calls_are_filtered_in_each_thread
claim the_worker_has_a_network_namespace_to_itself
claim the_worker_holds_no_file_beside_its_log
claim two_workers_have_no_socket_in_common
claim a_forbidden_call_ends_the_worker_and_not_the_adapter
