#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# The socket: introspection for those who ask well, limits and clear ends for those who do not.

load ../lib/common

varlink=$TREE/tests/lib/varlink.py

setup_file() {
	new_home
	initvm list
	daemon_pid >"$INITVM_HOME/pid"
}
teardown_file() { remove_home; }

# After whatever a test did, the same daemon still answers.
teardown() {
	[ "$(daemon_pid)" = "$(cat "$INITVM_HOME/pid")" ]
}

# Sends text, a format of printf, as it is.
raw() {
	# shellcheck disable=SC2059
	printf "$1" | timeout 30 "$varlink" raw
}

fds() { find "/proc/$(cat "$INITVM_HOME/pid")/fd" -mindepth 1 | wc -l; }

rss() {
	awk '/^VmRSS/ { print $2 }' "/proc/$(cat "$INITVM_HOME/pid")/status"
}

@test "GetInfo names the product and both interfaces" {
	run "$varlink" call org.varlink.service.GetInfo
	expect 0 '"product": "initvmd"'
	[[ $output == *org.varlink.service* && $output == *'"org.initvm"'* ]]
}

@test "GetInterfaceDescription returns the interfaces as they are in the sources" {
	local interface
	for interface in org.initvm org.varlink.service; do
		"$varlink" call org.varlink.service.GetInterfaceDescription "{\"interface\": \"$interface\"}" | json parameters.description \
			>"$BATS_TEST_TMPDIR/description"
		# Neither the shell nor the interface cares about empty lines at the end.
		[ "$(cat "$BATS_TEST_TMPDIR/description")" = "$(cat "$TREE/initvm/wire/$interface.varlink")" ]
	done
}

@test "unknown interfaces and methods get Varlink's own errors" {
	run "$varlink" call org.varlink.service.GetInterfaceDescription '{"interface": "org.example"}'
	expect 0 org.varlink.service.InterfaceNotFound
	run "$varlink" call org.initvm.NoSuchMethod
	expect 0 org.varlink.service.MethodNotFound
	run "$varlink" call org.example.Method
	[[ $output == *NotFound* ]]
}

@test "parameters of the wrong type, or unknown ones, are refused by name" {
	run "$varlink" call org.initvm.Status '{"name": 3}'
	expect 0 'name'
	[[ $output == *'"error"'* ]]
	run "$varlink" call org.initvm.Status '{"name": "a", "colour": "red"}'
	[[ $output == *'"error"'* && $output == *colour* ]]
	run "$varlink" call org.initvm.Status '{}'
	[[ $output == *'"error"'* && $output == *name* ]]
}

@test "the name is checked by the daemon too, whoever asks" {
	local method
	for method in Status Stop Destroy; do
		run "$varlink" call "org.initvm.$method" '{"name": "../../etc"}'
		[[ $output == *'"error"'* ]]
	done
}

@test "malformed messages end that connection only" {
	local text
	for text in 'not json\0' '[]\0' '"x"\0' '{}\0' '{"method":3}\0' '{"method":"a","method":"b"}\0' "{'method':'a'}\0" \
		'{"method":"a.b"} trailing\0' '\0' '\0\0\0\0' '{"method":"org.initvm.List","surprise":1}\0' '\377\376\0' \
		'{"method":"org.initvm.List","parameters":[]}\0' '{"method":"org.initvm.List"'; do
		run raw "$text"
		expect 0
		[[ $output != *'"vms"'* ]]
	done
}

@test "deep nesting is refused" {
	local brackets
	brackets=$(printf '[%.0s' {1..10000})
	run raw "{\"method\":\"org.initvm.List\",\"parameters\":$brackets${brackets//[/]}}\\0"
	expect 0
	[[ $output != *'"vms"'* ]]
}

@test "two calls in one write are both answered, in order" {
	run raw '{"method":"org.varlink.service.GetInfo"}\0{"method":"org.initvm.List"}\0'
	expect 0
	[[ ${lines[0]} == *product* ]]
	[[ ${lines[1]} == *vms* || $output == *product*vms* ]]
}

@test "a message without end is cut off, and costs no memory" {
	local before after sent
	before=$(rss)
	sent=$("$varlink" flood 200000000)
	after=$(rss)
	echo "sent $sent bytes; RSS $before -> $after KiB"
	[ "$sent" -lt 10000000 ]
	[ $((after - before)) -lt 20000 ]
}

@test "too many clients: the surplus is told so, the next one after them is served" {
	run "$varlink" crowd 300
	expect 0
	local answered refused
	read -r answered refused <<<"$output"
	[ "$answered" -ge 200 ]
	[ "$refused" -ge 40 ]
	run initvm list
	expect 0
}

@test "the daemon may have more files open than its clients and the streams of many VMs need" {
	local hard soft
	read -r soft hard < <(sed -nE 's/^Max open files +([0-9]+) +([0-9]+).*/\1 \2/p' "/proc/$(cat "$INITVM_HOME/pid")/limits")
	[ "$soft" -ge 16384 ] || [ "$soft" -eq "$hard" ]
}

@test "clients that come and go by the hundred leave no fd behind" {
	local before after
	initvm list
	before=$(fds)
	"$varlink" crowd 100
	raw '{"method":"org.initvm.List"'
	initvm list
	after=$(fds)
	[ "$after" -le $((before + 1)) ]
}

@test "the sanitizers had nothing to say" {
	sanitizers_silent
}
