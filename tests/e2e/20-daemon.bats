#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# The daemon's life: started when needed, by one of many, killed, replaced; whom it serves.

load ../lib/common

setup_file() { new_home; }
teardown_file() { remove_home; }

# Pids of the daemons of this INITVM_HOME.
daemons() { processes initvmd; }

@test "status without a daemon says so and starts none" {
	run initvm daemon status
	expect 1
	[ -z "$(daemons)" ]
}

@test "stop without a daemon is fine" {
	run initvm daemon stop
	expect 0
}

@test "ten commands at once start exactly one daemon" {
	local i pids=()
	for i in {1..10}; do
		initvm list --json >"$BATS_TEST_TMPDIR/$i" 2>&1 &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i"
	done
	cat "$BATS_TEST_TMPDIR"/[0-9]*
	[ "$(daemons | wc -l)" -eq 1 ]
}

@test "status tells the pid, the version and where things are" {
	run initvm daemon status
	expect 0 "$INITVM_HOME"
	initvm daemon status --json >"$BATS_TEST_TMPDIR/status"
	[ "$(json pid <"$BATS_TEST_TMPDIR/status")" = "$(daemons)" ]
	[ "$(json socket <"$BATS_TEST_TMPDIR/status")" = "$INITVM_HOME/run/socket" ]
	[ "$(json version <"$BATS_TEST_TMPDIR/status")" = "$(initvm --version | grep -oE '[0-9]+\.[0-9.]+')" ]
}

@test "its folders and its socket are private" {
	[ "$(stat -c %a "$INITVM_HOME/run")" = 700 ]
	[ "$(stat -c %u "$INITVM_HOME/run/socket")" = "$(id -u)" ]
}

@test "another user is not served" {
	[ "$(id -u)" -eq 0 ] || skip 'needs root to become another user'
	chmod 711 "$INITVM_HOME/run"
	chmod 666 "$INITVM_HOME/run/socket"
	run setpriv --reuid=65534 --regid=65534 --clear-groups "$TREE/tests/lib/varlink.py" call org.varlink.service.GetInfo
	chmod 600 "$INITVM_HOME/run/socket"
	chmod 700 "$INITVM_HOME/run"
	[[ $output != *product* ]]
	run initvm list
	expect 0
}

@test "kill -9: the next command starts a new one over the stale socket" {
	local pid
	pid=$(daemon_pid)
	kill -KILL "$pid"
	wait_pid "$pid"
	[ -e "$INITVM_HOME/run/socket" ]
	run initvm list
	expect 0
	[ "$(daemon_pid)" != "$pid" ]
}

@test "a second daemon by hand ends at once and leaves the first one alone" {
	local pid
	pid=$(daemon_pid)
	run timeout 30 initvmd
	[ "$status" -ne 0 ]
	[ "$status" -ne 124 ]
	[ "$(daemon_pid)" = "$pid" ]
}

@test "log prints what it logged" {
	run initvm daemon log
	expect 0
	[ -s "$INITVM_HOME/initvmd.log" ]
	[[ $output == *"$(tail -n 1 "$INITVM_HOME/initvmd.log")"* ]]
}

@test "SIGTERM ends it cleanly" {
	local pid
	pid=$(daemon_pid)
	kill -TERM "$pid"
	wait_pid "$pid"
	[ ! -e "$INITVM_HOME/run/socket" ]
}

@test "stop ends it, and its socket is gone" {
	initvm list
	local pid
	pid=$(daemon_pid)
	run initvm daemon stop
	expect 0
	wait_pid "$pid"
	[ ! -e "$INITVM_HOME/run/socket" ]
}

@test "the sanitizers had nothing to say" {
	sanitizers_silent
}

@test "a runtime folder that belongs to another user is refused" {
	[ "$(id -u)" -eq 0 ] || skip 'needs root to give a folder away'
	chown 65534:65534 "$INITVM_HOME/run"
	run initvm list
	chown 0:0 "$INITVM_HOME/run"
	expect_one_sentence 1 'another user'
}

@test "a socket that somebody else listens on is refused" {
	[ "$(id -u)" -eq 0 ] || skip 'needs root to become another user'
	chmod 777 "$INITVM_HOME/run"
	setpriv --reuid=65534 --regid=65534 --clear-groups \
		socat "UNIX-LISTEN:$INITVM_HOME/run/socket,fork" EXEC:cat >/dev/null 2>&1 3>&- &
	local foreign=$!
	wait_path "$INITVM_HOME/run/socket"
	chmod 700 "$INITVM_HOME/run"
	run timeout 30 initvm list
	kill "$foreign"
	rm -f "$INITVM_HOME/run/socket"
	expect_one_sentence 1 'another user'
}

@test "a home too long for sockets is refused with what to do" {
	INITVM_HOME=/var/tmp/$(printf 'x%.0s' {1..100}) run initvm list
	expect_one_sentence 2 'INITVM_HOME'
	INITVM_HOME=relative run initvm list
	expect_one_sentence 2 'absolute'
}

@test "a state folder that cannot be written is told in one sentence" {
	INITVM_HOME=/proc/nothing run initvm list
	expect_one_sentence 1 '/proc/nothing'
}

has_socket() { find "/proc/$1/fd" -lname 'socket:*' 2>/dev/null | grep -q .; }

@test "status of a daemon that is killed before it has answered: it does not run" {
	local pid client code=0
	initvm daemon start
	pid=$(daemon_pid)
	kill -STOP "$pid"
	initvm daemon status >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	client=$!
	within 10 has_socket "$client"
	kill -KILL "$pid"
	wait "$client" || code=$?
	[ "$code" -eq 1 ]
	grep -q 'does not run' "$BATS_TEST_TMPDIR/out"
}

@test "a command that a daemon has not answered when it is killed is answered by the next one" {
	local pid client
	initvm daemon start
	pid=$(daemon_pid)
	kill -STOP "$pid" # its socket takes connections all the same
	initvm list --json >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	client=$!
	within 10 has_socket "$client"
	kill -KILL "$pid"
	wait "$client"
	[ "$(daemon_pid)" != "$pid" ]
}
