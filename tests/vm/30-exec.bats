#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# exec: exit statuses, streams, signals, volume, numbers.

load ../lib/vm

setup_file() {
	need_base
	head -c 200M /dev/urandom >"$BATS_FILE_TMPDIR/big"
	sha256sum <"$BATS_FILE_TMPDIR/big" >"$BATS_FILE_TMPDIR/big.sum"
}

@test "the command's own exit status" {
	local code
	for code in 0 1 3 77 124 125 255; do
		run guest sh -c "exit $code"
		expect "$code"
	done
}

@test "127: not found; 126: not executable; each in one sentence" {
	run -127 guest no-such-command
	expect_one_sentence 127 "'no-such-command'"
	run -127 guest /no/such/command
	expect_one_sentence 127
	run guest /etc/passwd
	expect_one_sentence 126 '/etc/passwd'
	run guest /etc
	expect_one_sentence 126
}

@test "killed by signal N: 128+N" {
	# shellcheck disable=SC2016
	for signal in 9 15 6; do
		run guest sh -c 'kill -$0 $$' "$signal"
		expect $((128 + signal))
	done
}

@test "stdout and stderr come apart, and in full" {
	guest sh -c 'echo out; echo err >&2' >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
	[ "$(cat "$BATS_TEST_TMPDIR/out")" = out ]
	[ "$(cat "$BATS_TEST_TMPDIR/err")" = err ]
}

@test "binary clean in both directions" {
	/usr/bin/python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(256)) * 999)' >"$BATS_TEST_TMPDIR/bytes"
	guest cat <"$BATS_TEST_TMPDIR/bytes" >"$BATS_TEST_TMPDIR/back"
	cmp "$BATS_TEST_TMPDIR/bytes" "$BATS_TEST_TMPDIR/back"
}

@test "arguments arrive as they are" {
	run guest printf '<%s>' 'a b' '' "it's" '"q"' '$HOME' '*' 'ü€𝄞' $'tab\tnewline\n' --name -n
	expect 0 "<a b><><it's><\"q\"><\$HOME><*><ü€𝄞><"$'tab\tnewline\n'"><--name><-n>"
}

@test "--cwd, --env, --user" {
	[ "$(initvm exec -n base --cwd /usr/share -- pwd)" = /usr/share ]
	[ "$(initvm exec -n base --env A=1 --env 'B=x y' -- sh -c 'echo $A $B')" = '1 x y' ]
	[ "$(initvm exec -n base --user nobody -- id -un)" = nobody ]
	run initvm exec -n base --user nobody -- sh -c 'echo $HOME; id -nG; touch /root/x'
	[ "$status" -ne 0 ]
	[[ $output == *nogroup* ]]
	run initvm exec -n base --cwd /no/such/folder -- true
	expect_one_sentence 125 '/no/such/folder'
	run initvm exec -n base --user nosuchuser -- true
	expect_one_sentence 125 "'nosuchuser'"
}

@test "root's environment is a login's: HOME, PATH, USER; nothing of the caller's leaks in" {
	LEAK=leaked run guest env
	expect 0 HOME=/root
	[[ $output == *PATH=*/usr/sbin* ]]
	[[ $output != *leaked* && $output != *INITVM_HOME* ]]
}

@test "without standard input, with /dev/null, and with a file that is shorter than a frame" {
	run sh -c 'initvm exec -n base -- cat <&-'
	expect 0
	run guest cat </dev/null
	expect 0
	[ "$(echo short | guest cat)" = short ]
}

@test "200 MB in, with a checksum" {
	local before after
	before=$(daemon_rss)
	guest sh -c 'cat >/var/tmp/big; sha256sum </var/tmp/big' <"$BATS_FILE_TMPDIR/big" >"$BATS_TEST_TMPDIR/sum"
	after=$(daemon_rss)
	diff "$BATS_TEST_TMPDIR/sum" "$BATS_FILE_TMPDIR/big.sum"
	echo "daemon: $before -> $after KiB"
	[ $((after - before)) -lt 10000 ]
}

@test "200 MB out, with a checksum" {
	local before after
	before=$(daemon_rss)
	guest cat /var/tmp/big | sha256sum >"$BATS_TEST_TMPDIR/sum"
	after=$(daemon_rss)
	diff "$BATS_TEST_TMPDIR/sum" "$BATS_FILE_TMPDIR/big.sum"
	[ $((after - before)) -lt 10000 ]
	guest rm /var/tmp/big
}

@test "both directions at once" {
	head -c 20M "$BATS_FILE_TMPDIR/big" | tee >(sha256sum >"$BATS_TEST_TMPDIR/in") | guest cat | sha256sum >"$BATS_TEST_TMPDIR/out"
	diff "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
}

@test "a command that does not read its input ends all the same" {
	run timeout 60 sh -c 'yes | initvm exec -n base -- true'
	expect 0
	run timeout 60 sh -c 'yes | initvm exec -n base -- head -c 4 | tr -d "\n"'
	[ "$output" = yy ]
}

@test "standard input closed early by the command: the rest is dropped, the output comes" {
	run timeout 60 sh -c 'initvm exec -n base -- sh -c "head -c 1 >/dev/null; exec <&-; echo done" <"$1"' - "$BATS_FILE_TMPDIR/big"
	expect 0 'done'
}

@test "a reader that goes away ends the command" {
	run timeout 60 sh -c 'initvm exec -n base -- yes | head -n 2'
	[ "${#lines[@]}" -eq 2 ]
	run guest sh -c 'pgrep -x yes || echo none'
	[ "$output" = none ] || guest timeout 20 tail --pid="$(guest pgrep -x yes)" -f /dev/null
}

@test "a reader that does not read costs the daemon no memory, and holds up nobody else" {
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	initvm exec -n base -- cat /dev/zero >"$BATS_TEST_TMPDIR/fifo" 3>&- &
	local pid=$! before after
	exec 7<"$BATS_TEST_TMPDIR/fifo"
	head -c 1000000 <&7 >/dev/null
	before=$(daemon_rss)
	[ "$(echo through | guest cat)" = through ]
	after=$(daemon_rss)
	kill "$pid"
	exec 7<&-
	[ $((after - before)) -lt 4000 ]
}

@test "twenty at once, all alive together, each with its own status" {
	local i before with code
	before=$(daemon_rss)
	for i in {1..20}; do
		mkfifo "$BATS_TEST_TMPDIR/in.$i"
		initvm exec -n base -- sh -c 'echo ready; read -r word; echo "got $word"; exit "$word"' \
			<"$BATS_TEST_TMPDIR/in.$i" >"$BATS_TEST_TMPDIR/out.$i" 3>&- &
		echo $! >"$BATS_TEST_TMPDIR/pid.$i"
		eval "exec $((20 + i))>\"\$BATS_TEST_TMPDIR/in.\$i\""
	done
	for i in {1..20}; do
		wait_line "$BATS_TEST_TMPDIR/out.$i" ready 60
	done
	with=$(daemon_rss)
	echo "# initvmd: $before KiB at rest, $with KiB with 20 execs" >&3
	for i in {1..20}; do
		eval "echo $i >&$((20 + i)); exec $((20 + i))>&-"
	done
	for i in {1..20}; do
		code=0
		wait "$(cat "$BATS_TEST_TMPDIR/pid.$i")" || code=$?
		[ "$code" -eq "$i" ]
		grep -qx "got $i" "$BATS_TEST_TMPDIR/out.$i"
	done
	[ "$with" -lt 100000 ]
}

@test "Ctrl-C reaches the command" {
	TERMINAL_DEADLINE=60 run "$TREE/tests/lib/terminal.py" expect:ready 'send:\x03' expect:caught status:7 restored -- \
		initvm exec -n base -- sh -c 'trap "echo caught; exit 7" INT; echo ready; while :; do sleep 1; done'
	expect 0
}

@test "SIGTERM to the CLI reaches the command; without a trap it ends as killed by it" {
	TERMINAL_DEADLINE=60 run "$TREE/tests/lib/terminal.py" expect:ready signal:TERM status:143 -- \
		initvm exec -n base -- sh -c 'echo ready; exec sleep 1000'
	expect 0
}

@test "kill -9 of the CLI ends the command in the guest" {
	initvm exec -n base -- sh -c 'echo $$; exec sleep 1001' >"$BATS_TEST_TMPDIR/pid" 3>&- &
	local cli=$! inside
	wait_line "$BATS_TEST_TMPDIR/pid" '^[0-9]+$'
	inside=$(cat "$BATS_TEST_TMPDIR/pid")
	kill -KILL "$cli"
	run guest timeout 30 tail --pid="$inside" -f /dev/null
	expect 0
}

@test "an argument list of 60 kB passes; one beyond the bound is refused in one sentence" {
	local long
	long=$(printf 'x%.0s' {1..60000})
	[ "$(guest printf %s "$long" | wc -c)" -eq 60000 ]
	run guest true "$long" "$long"
	expect_one_sentence 125 '64 KiB'
	guest true
}

@test "a hundred in a row" {
	local i
	for i in {1..100}; do
		guest true
	done
}

@test "nothing is left behind: no processes of commands, no fds in daemon and agent" {
	# The agent is the parent of what it runs, by whichever carrier it is reached.
	run guest sh -c 'grep -qx initvm-agent /proc/$PPID/comm && ls /proc/$PPID/fd | wc -l'
	[ "$output" -lt 20 ]
	[ "$(find "/proc/$(daemon_pid)/fd" -mindepth 1 | wc -l)" -lt 60 ]
}
