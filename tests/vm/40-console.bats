#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# attach: the serial console, its viewers, its replay and its log.

load ../lib/vm

consoles=$TREE/tests/lib/consoles.py

setup_file() {
	need_base
	need_login
}

is_starting() { [ "$(vm_get base state)" = starting ]; }

@test "root is logged in; the detach key is told, works, and restores the terminal" {
	run "$consoles" login base
	expect 0
}

@test "two viewers: the second one replays, watches, and cannot type" {
	run "$consoles" two base
	expect 0
}

@test "--force takes the keyboard over" {
	run "$consoles" take_over base
	expect 0
}

@test "the keyboard is free when its writer has gone" {
	run "$consoles" writer_leaves base
	expect 0
}

@test "--read-only never types" {
	run "$consoles" read_only base
	expect 0
}

@test "SIGTERM restores the terminal" {
	run "$consoles" killed base
	expect 0
}

@test "a long output arrives in full" {
	run "$consoles" volume base
	expect 0
}

@test "attach is console is attach; --log prints what was recorded, without a terminal" {
	run initvm console --log -n base
	expect 0 'sum=1001'
	[ -s "$(vm_get base consoleLog)" ]
}

@test "attach without a terminal: input from a pipe, output to a pipe" {
	printf '\003\recho sum=$((9000+1))\r' >"$BATS_TEST_TMPDIR/keys"
	initvm attach -n base <"$BATS_TEST_TMPDIR/keys" >"$BATS_TEST_TMPDIR/output" 2>/dev/null 3>&- &
	local pid=$!
	wait_line "$BATS_TEST_TMPDIR/output" 'sum=9001'
	kill "$pid"
	wait_pid "$pid"
}

@test "a viewer that does not read holds up neither the guest nor the other viewers" {
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	initvm attach -n base --read-only </dev/null >"$BATS_TEST_TMPDIR/fifo" 2>/dev/null 3>&- &
	local pid=$!
	exec 7<"$BATS_TEST_TMPDIR/fifo"
	run "$consoles" volume base
	kill "$pid"
	exec 7<&-
	expect 0
}

# The units show the rotation: 16 MiB through an emulated serial port would take minutes.
@test "the log on disk has what nobody has watched" {
	local log before
	log=$(vm_get base consoleLog)
	before=$(stat -c %s "$log")
	guest sh -c 'head -c 300000 /dev/zero | tr "\0" "x" | fold -w 200 >/dev/ttyS0; echo the end of it >/dev/ttyS0'
	wait_line "$log" 'the end of it' 60
	[ "$(stat -c %s "$log")" -ge $((before + 300000)) ]
}

@test "attach to a VM that is stopped says so; attach while it boots shows the boot" {
	initvm stop --force -n base
	run timeout 30 initvm attach -n base
	expect 1 start
	initvm start -n base >"$BATS_TEST_TMPDIR/start" 2>&1 3>&- &
	local pid=$!
	within 60 is_starting
	run "$consoles" boot base
	wait "$pid"
	expect 0
}

@test "the console ends with the VM: the viewer is told and ends" {
	TERMINAL_DEADLINE=120 "$TREE/tests/lib/terminal.py" 'expect:detaches' eof restored -- initvm attach -n base \
		>"$BATS_TEST_TMPDIR/viewer" 2>&1 3>&- &
	local pid=$!
	wait_line "$BATS_TEST_TMPDIR/viewer" detaches
	initvm stop -n base
	wait "$pid"
	initvm start -n base
}
