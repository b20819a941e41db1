#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# shell and exec --tty on a real guest.  What does not need one is in tests/e2e/60-shell.bats and tests/unit/test_agent_pty.c.

load ../lib/vm

terminal=$TREE/tests/lib/terminal.py

setup_file() { need_base; }

setup() { export INITVM_NAME=base; }

no_such_process() { ! guest pgrep -f "$1" >/dev/null; }

@test "root's login shell: prompt, home, size, resize, Ctrl-C, job control, exit status" {
	# It tells when it has the terminal: keys that come earlier are the shell's, which loses them between its commands.
	# It starts nothing: a child of vfork(2) that is stopped before it executes holds its parent.  And it waits for nothing: the
	# trap of a signal that comes right before a read(2) is only run when that returns.
	local job="sh -c 'trap \"echo cont=\$((2+2))\" CONT; trap \"echo int=\$((3+3)); exit 5\" INT; echo run=\$((1+1)); while :; do :; done'"
	run "$terminal" 'expect:root@\S+:~#' 'send:stty size; tty; echo name=$0; pwd\r' 'expect:24 80' 'expect:/dev/pts/' expect:name=-bash \
		expect:/root 'send:until [ "$(stty size)" = "50 132" ]; do sleep 0.2; done; echo size=$((2*25))\r' size:50x132 expect:size=50 \
		"send:$job\r" expect:run=2 'send:\x1a' expect:Stopped 'send:fg\r' expect:cont=4 'send:\x03' expect:int=6 \
		'send:echo status=$?\r' expect:status=5 "send:PS1='now\$((3*3))> '; (exit 9)\r" 'expect:now9>' 'send:\x04' status:9 restored -- \
		initvm shell
	expect 0
	[[ $output != *'job control'* ]]
}

@test "the terminal belongs to the user, as a login's does" {
	run "$terminal" 'expect:root tty 6[02]0' status:0 -- initvm exec -t -- sh -c 'stat -c "%U %G %a" "$(tty)"'
	expect 0
	run "$terminal" 'expect:nobody tty 6[02]0' status:0 -- initvm shell --user nobody --cwd /tmp -- sh -c 'stat -c "%U %G %a" "$(tty)"; echo >"$(tty)"'
	expect 0
}

@test "programs that take the terminal over: login hangs it up for a moment, su makes its own" {
	run "$terminal" 'expect:root@\S+:~#' 'send:tty; exit 4\r' 'expect:/dev/pts/' eof restored -- initvm shell -- login -f root
	expect 0
	run "$terminal" 'expect:/dev/pts/' status:5 restored -- initvm shell -- su --pty -s /bin/sh -c 'tty; exit 5' - nobody
	expect 0
}

@test "shell without a terminal reads its script from standard input" {
	# shellcheck disable=SC2016
	run initvm shell <<<'echo "name=$0"; tty; exit 6'
	expect 6 name=-bash
	[[ $output == *'not a tty'* ]]
}

@test "a flood is interrupted by Ctrl-C" {
	run sh -c '"$@" | tail -c 100' - "$terminal" raw 'expect:y\r\ny' 'send:\x03' status:130 restored -- initvm exec -t -- yes
	expect 0 '^C'
}

@test "SIGTERM ends the session, restores the terminal, and hangs up" {
	run "$terminal" expect:ready signal:TERM status:143 restored -- initvm shell -- sh -c 'echo ready; exec sleep 1002'
	expect 0
	within 20 no_such_process 'sleep 1002'
}

@test "a daemon that is killed: the terminal is restored, 125, and what ran is hung up" {
	(
		wait_line "$BATS_TEST_TMPDIR/output" ready
		kill -KILL "$(daemon_pid)"
	) 3>&- &
	"$terminal" raw expect:ready 'expect:\ninitvm: the connection was lost' status:125 restored -- \
		initvm shell -- sh -c 'echo ready; exec sleep 1003' >"$BATS_TEST_TMPDIR/output"
	wait
	initvm ensure -n base
	within 20 no_such_process 'sleep 1003'
}

@test "a VM that hangs keeps nobody: neither the hang-up key nor SIGTERM waits for it" {
	/usr/bin/python3 - "$TREE/tests/lib" "$(vm_get base pid)" <<-'END'
		import os, signal, sys
		sys.path.insert(0, sys.argv[1])
		from terminal import Terminal
		qemu = int(sys.argv[2])
		command = ["initvm", "shell", "--", "sh", "-c", "echo ready; exec sleep 1004"]
		with Terminal(command) as one, Terminal(command) as other:
		    one.expect("ready")
		    other.expect("ready")
		    os.kill(qemu, signal.SIGSTOP)
		    try:
		        one.send("x" * 1000 + "\x1d" * 3)
		        one.expect("you hung up", 10)
		        other.kill(signal.SIGTERM)
		        results = one.wait(10), other.wait(10), one.restored(), other.restored()
		    finally:
		        os.kill(qemu, signal.SIGCONT)
		    assert results == (125, 143, True, True), results
	END
	within 20 no_such_process 'sleep 1004'
}

@test "a hundred shells at once" {
	local before with
	before=$(daemon_rss)
	run "$TREE/tests/lib/shells.py" 100 base
	expect 0
	with=${lines[0]}
	echo "# initvmd: $before KiB at rest, $with KiB with 100 shells" >&3
	[ $((with - before)) -lt 50000 ]
	run guest sh -c 'ls /dev/pts'
	[ "$output" = ptmx ]
	run guest sh -c 'ls /proc/$(pgrep -o -x initvm-agent)/fd | wc -l'
	[ "$output" -lt 20 ]
}
