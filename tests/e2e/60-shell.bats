#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# shell and exec --tty without a VM: the CLI and the agent are the real ones, between them stands tests/lib/pretend_daemon.py.

load ../lib/common

terminal=$TREE/tests/lib/terminal.py
export TERMINAL_DEADLINE=30

setup() {
	new_home
	mkdir -m 700 "$INITVM_HOME/run"
	start_daemon
}

teardown() {
	kill -KILL "$daemon" 2>/dev/null || true
	remove_home
}

start_daemon() {
	"$TREE/tests/lib/pretend_daemon.py" "$@" >"$INITVM_HOME/pretend.log" 2>&1 3>&- &
	daemon=$!
	wait_path "$INITVM_HOME/run/socket"
}

# Ends the daemon as soon as the file is there.
kill_daemon_at() {
	wait_path "$1"
	kill -KILL "$daemon"
}

@test "a login shell on a terminal: its size, and that it changes, keys, exit status" {
	run "$terminal" raw 'send:echo name=$0 size=$(stty size) term=$TERM\r' 'expect:name=-\w*sh size=24 80 term=vt100' \
		'send:until [ "$(stty size)" = "50 132" ]; do sleep 0.1; done; echo size=$((2*25))\r' size:50x132 expect:size=50 'expect:[#$] ' \
		'send:sh -c "echo at=\$((50+5)); exec sleep 1000"\r' expect:at=55 'send:\x03' 'expect:[#$] ' 'send:echo sum=$((40+2))\r' expect:sum=42 \
		'send:exit 7\r' status:7 restored -- initvm shell
	expect 0
}

@test "Ctrl-D ends a shell with the status of its last command" {
	run "$terminal" raw 'send:(exit 9)\r' 'send:echo ready=$?\r' expect:ready=9 'send:(exit 9)\r' 'send:\x04' status:9 restored -- \
		initvm shell -- sh
	expect 0
}

@test "a normal end prints nothing" {
	run "$terminal" raw 'send:\r' status:0 restored -- initvm shell -- sh -c 'read -r go'
	expect 0
	[ "$output" = $'\r' ] # what was typed, echoed
}

@test "exec --tty gives a terminal, exec alone and shell behind a pipe do not" {
	run "$terminal" 'expect:/dev/pts/\d+' status:0 restored -- initvm exec -t -- tty
	expect 0
	run "$terminal" 'expect:not a tty' status:1 -- initvm exec -- tty
	expect 0
	run initvm shell -- tty </dev/null
	expect 1 'not a tty'
	# shellcheck disable=SC2016
	run initvm shell <<<'echo "name=$0"; exit 5'
	expect 5 name=-
}

@test "exec --tty without a terminal here: what is at its end stays at its end" {
	[ "$(printf 'line\n' | timeout 30 initvm exec -t -- sh -c 'stty -echo -onlcr; echo ready; cat; cat; echo end' | tail -n 1)" = end ]
	run timeout 30 initvm exec -t -- cat </dev/null
	expect 0
	run timeout 30 sh -c "echo 'sleep 0.5' | initvm exec -t -- bash --norc"
	expect 0
}

@test "the statuses of exec: the command's own, 127, 128+N" {
	run "$terminal" status:200 restored -- initvm shell -- sh -c 'exit 200'
	expect 0
	run "$terminal" "expect:initvm: .*'no-such-command'" status:127 restored -- initvm shell -- no-such-command
	expect 0
	run "$terminal" status:137 restored -- initvm shell -- sh -c 'kill -9 $$'
	expect 0
}

@test "a flood is interrupted by Ctrl-C" {
	run sh -c '"$@" | tail -c 100' - "$terminal" raw 'expect:y\r\ny' 'send:\x03' status:130 restored -- initvm exec -t -- yes
	expect 0 '^C'
}

@test "SIGTERM and SIGHUP reach the command, and end the session at once, whatever it does" {
	local signal file=$BATS_TEST_TMPDIR/pid
	for signal in TERM:143 HUP:129; do
		run "$terminal" raw expect:ready "signal:${signal%:*}" "status:${signal#*:}" restored -- \
			initvm shell -- sh -c "echo \$\$ >'$file'; trap '' HUP; trap 'echo ${signal%:*} >>$file; exit' ${signal%:*}; echo ready; while :; do sleep 0.1; done"
		expect 0
		wait_line "$file" "${signal%:*}"
		wait_pid "$(head -n 1 "$file")"
	done
}

@test "SIGTSTP stops it with the terminal restored; it goes on raw" {
	run "$terminal" raw expect:ready signal:TSTP cooked restored size:40x100 signal:CONT raw 'expect:40 100' 'send:x\r' status:3 restored -- \
		initvm shell -- sh -c 'trap "stty size" WINCH; echo ready; read -r x || read -r x; exit 3'
	expect 0
}

@test "a daemon that is killed: the terminal is restored, the status is 125, the command is hung up" {
	kill_daemon_at "$BATS_TEST_TMPDIR/pid" &
	run "$terminal" raw 'send:\r' 'expect:\ninitvm: the connection was lost' status:125 restored -- \
		initvm shell -- sh -c "read -r go; echo \$\$ >'$BATS_TEST_TMPDIR/new'; mv '$BATS_TEST_TMPDIR/new' '$BATS_TEST_TMPDIR/pid'; exec sleep 1000"
	expect 0
	wait_pid "$(cat "$BATS_TEST_TMPDIR/pid")"
}

@test "Ctrl-] three times within a second hangs up, also when nobody answers" {
	kill -KILL "$daemon"
	rm "$INITVM_HOME/run/socket"
	start_daemon --deaf
	run "$terminal" raw expect:ready 'send:\x1d\x1dx\x1d\x1d' 'send:\x1d' 'expect:initvm: you hung up' status:125 restored -- \
		initvm shell -- sh -c 'echo ready; exec sleep 1000'
	expect 0
}

@test "Ctrl-] is passed on" {
	run "$terminal" raw expect:ready 'send:\x1dx\x1d\x1dy\r' 'expect:1d 78 1d 1d 79' status:0 restored -- \
		initvm shell -- sh -c 'echo ready; read -r line; printf %s "$line" | od -An -tx1'
	expect 0
}

@test "a terminal that is closed hangs up" {
	local pid=$BATS_TEST_TMPDIR/pid
	/usr/bin/python3 - "$TREE/tests/lib" "$pid" <<-'END'
		import sys
		sys.path.insert(0, sys.argv[1])
		from terminal import Terminal
		t = Terminal(["initvm", "shell", "--", "sh", "-c", f"echo $$ >'{sys.argv[2]}'; echo ready; exec sleep 1000"])
		t.expect("ready")
		import os, select
		os.close(t.slave)
		os.close(t.master)
		sys.exit(0 if select.select([t.pidfd], [], [], 30)[0] else 1)
	END
	wait_pid "$(cat "$pid")"
}
