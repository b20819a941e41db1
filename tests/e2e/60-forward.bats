#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# forward and proxy against the real agent, which runs on this machine: tests/lib/agent_bridge.py stands for daemon and VM.

load ../lib/common

setup_file() {
	new_home
	INITVM_VERSION=$(initvm --version | tail -n 1 | sed 's/.* //')
	export INITVM_VERSION
	start_bridge
}

teardown_file() {
	stop_bridge
	remove_home
}

start_bridge() {
	"$TREE/tests/lib/agent_bridge.py" "$INITVM_BIN/initvm-agent" >>"$INITVM_HOME/bridge.log" 2>&1 3>&- &
	echo $! >"$INITVM_HOME/bridge.pid"
	mkdir -p "$INITVM_HOME/run"
	wait_path "$INITVM_HOME/run/socket"
}

stop_bridge() {
	kill "$(cat "$INITVM_HOME/bridge.pid")"
	wait_pid "$(cat "$INITVM_HOME/bridge.pid")"
	rm -f "$INITVM_HOME/run/socket"
}

setup() { pids=(); }
teardown() { end_pids; }

# Starts `initvm -n here forward "$@"`; its lines are in $out, its errors in $errors, where it listens in $at.
forward() {
	out=$BATS_TEST_TMPDIR/out errors=$BATS_TEST_TMPDIR/errors
	initvm -n here forward "$@" >"$out" 2>"$errors" 3>&- &
	pids+=($!)
	forward_pid=$!
	wait_line "$out" '^forwarding ' 20 || { cat "$errors"; return 1; }
	at=$(sed -nE '1s/^forwarding ([^ ]+).*/\1/p' "$out")
}

# Serves the socat address $1 by the command $2; a TCP one on a port of its own choice, in $served.
serve() {
	local log=$BATS_TEST_TMPDIR/serve.$RANDOM
	socat -d -d "$1" "$2" 2>"$log" 3>&- &
	pids+=($!)
	wait_line "$log" 'listening on' 20
	served=$(sed -nE 's/.*listening on AF=[0-9]+ .*:([0-9]+)$/\1/p' "$log" | head -n 1)
}

@test "specifications that are not right: one sentence with the word, and status 2" {
	local spec
	while IFS='|' read -r spec text; do
		run initvm -n here forward "$spec"
		expect 2 "$text"
		[[ $output == *"'$spec'"* ]]
	done <<-'END'
		x|has no port
		99999|not a port
		1:2:3:4|one too many
		80:99999|not a port
		80:0|port 0
		0|port 0
		/tmp/x.sock|say where
		/tmp/x.sock:|say where
		:80|not an address
		0.0.0.0:8080:80|--any-address
		192.0.2.1:8080:80|--any-address
		[2001:db8::1]:8080:80|--any-address
		example.org:8080:80|not an address
		8080:example.org:80|names are not looked up
		8080:80:90|one too many
		8080:127.0.0.1:80:90|one too many
	END
	run initvm -n here forward --reverse 0:80
	expect 2 'port 0'
	run initvm -n here forward
	expect 2
}

@test "TCP: a free port is chosen and printed; what is sent comes back; Ctrl-C ends it with 0" {
	serve TCP-LISTEN:0,bind=127.0.0.1,fork,reuseaddr EXEC:cat
	forward "0:$served"
	[ "$(cat "$out")" = "forwarding $at to localhost:$served in 'here'" ]
	[[ $at == 127.0.0.1:* ]]
	[ "$(echo hello | socat -t 10 - "TCP:$at")" = hello ]
	kill -INT "$forward_pid"
	local code=0
	wait "$forward_pid" || code=$?
	[ "$code" -eq 0 ]
	[ ! -s "$errors" ]
}

@test "the same port on both sides when only one is said; --json" {
	serve TCP6-LISTEN:0,bind=[::1],fork,reuseaddr EXEC:cat
	initvm -n here forward --json "[::1]:$served" >"$BATS_TEST_TMPDIR/json" 3>&- &
	pids+=($!)
	wait_line "$BATS_TEST_TMPDIR/json" forward
	[ "$(json forward.from <"$BATS_TEST_TMPDIR/json")" = "127.0.0.1:$served" ]
	[ "$(json forward.to <"$BATS_TEST_TMPDIR/json")" = "[::1]:$served" ]
	[ "$(echo hello | socat -t 10 - "TCP:127.0.0.1:$served")" = hello ]
}

@test "unix sockets on either side; the local one is private, and goes with the forward" {
	local here=$BATS_TEST_TMPDIR/here.sock there=$BATS_TEST_TMPDIR/there.sock
	serve "UNIX-LISTEN:$there,fork" EXEC:cat
	forward "$here:$there"
	[ "$(stat -c %a "$here")" = 600 ]
	[ "$(echo hello | socat -t 10 - "UNIX:$here")" = hello ]
	kill -TERM "$forward_pid"
	wait "$forward_pid"
	[ ! -e "$here" ]
	forward "0:$there"
	[ "$(echo hello | socat -t 10 - "TCP:$at")" = hello ]
}

@test "all that a client sends arrives, also when it closes at once" {
	local here=$BATS_TEST_TMPDIR/here.sock there=$BATS_TEST_TMPDIR/there.sock
	serve "UNIX-LISTEN:$there" "SYSTEM:cat >$BATS_TEST_TMPDIR/arrived"
	forward "$here:$there"
	head -c 150000 /dev/urandom >"$BATS_TEST_TMPDIR/sent"
	/usr/bin/python3 - "$here" "$BATS_TEST_TMPDIR/sent" <<-'END'
		import socket, sys
		peer = socket.socket(socket.AF_UNIX)
		peer.connect(sys.argv[1])
		peer.sendall(open(sys.argv[2], "rb").read())
		peer.close()
	END
	within 20 cmp -s "$BATS_TEST_TMPDIR/sent" "$BATS_TEST_TMPDIR/arrived"
}

@test "a closed port is told once for each connection, and the next one is served" {
	serve TCP-LISTEN:0,bind=127.0.0.1,fork,reuseaddr EXEC:cat
	local port=$served
	kill "${pids[0]}"
	wait_pid "${pids[0]}"
	forward "0:$port"
	run socat -t 10 - "TCP:$at" </dev/null
	run socat -t 10 - "TCP:$at" </dev/null
	within 10 test "$(wc -l <"$errors")" -eq 2
	grep -qx "initvm: $at: nothing listens on port $port in the VM" "$errors"
	socat "TCP-LISTEN:$port,bind=127.0.0.1,fork,reuseaddr" EXEC:cat 3>&- &
	pids+=($!)
	within 10 sh -c "echo hello | socat -t 10 - TCP:$at | grep -q hello"
}

@test "a port that is taken on the host: status 1 and one sentence" {
	serve TCP-LISTEN:0,bind=127.0.0.1 EXEC:cat
	run initvm -n here forward "$served:80"
	expect_one_sentence 1 "in use already"
}

@test "volume both ways, with checksums, fifty at once" {
	serve TCP-LISTEN:0,bind=127.0.0.1,fork,reuseaddr,backlog=100 EXEC:cat
	forward "0:$served"
	run /usr/bin/python3 - "$at" <<-'END'
		import hashlib, os, socket, sys, threading
		host, port = sys.argv[1].rsplit(":", 1)
		failed = []
		def one(number):
		    data = os.urandom(400000 + number)
		    peer = socket.create_connection((host, int(port)), 30)
		    peer.settimeout(60)
		    def send():
		        peer.sendall(data)
		        peer.shutdown(socket.SHUT_WR)
		    sender = threading.Thread(target=send)
		    sender.start()
		    received = hashlib.sha256()
		    while part := peer.recv(65536):
		        received.update(part)
		    sender.join()
		    if received.digest() != hashlib.sha256(data).digest():
		        failed.append(number)
		threads = [threading.Thread(target=one, args=(i,)) for i in range(50)]
		[t.start() for t in threads]
		[t.join() for t in threads]
		print("failed:", failed)
	END
	expect 0 'failed: []'
	[ ! -s "$errors" ] || { cat "$errors"; false; }
}

@test "more at once than a forward carries: the surplus waits, and is served" {
	serve TCP-LISTEN:0,bind=127.0.0.1,fork,reuseaddr,backlog=400 EXEC:cat
	forward "0:$served"
	run /usr/bin/python3 - "$at" <<-'END'
		import socket, sys
		host, port = sys.argv[1].rsplit(":", 1)
		peers = [socket.create_connection((host, int(port)), 30) for _ in range(230)]
		def ask(peer):
		    peer.settimeout(30)
		    peer.sendall(b"x")
		    return peer.recv(1)
		answers = [ask(peer) for peer in peers[:200]]
		for peer in peers[:200]:
		    peer.close()
		answers += [ask(peer) for peer in peers[200:]]
		print(answers.count(b"x"))
	END
	expect 0 230
	[ ! -s "$errors" ] || { cat "$errors"; false; }
}

@test "a client that resets resets the other end; a server that resets resets the client" {
	run /usr/bin/python3 - "$INITVM_BIN/initvm" <<-'END'
		import socket, struct, subprocess, sys
		def reset(peer):
		    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
		    peer.close()
		def gets_reset(peer):
		    peer.settimeout(20)
		    try:
		        return peer.recv(1) != b""
		    except ConnectionResetError:
		        return True
		server = socket.create_server(("127.0.0.1", 0))
		forward = subprocess.Popen([sys.argv[1], "-n", "here", "forward", f"0:{server.getsockname()[1]}"], stdout=subprocess.PIPE,
		                           stderr=subprocess.PIPE, text=True)
		at = ("127.0.0.1", int(forward.stdout.readline().split()[1].rsplit(":", 1)[1]))
		client = socket.create_connection(at)
		peer, _ = server.accept()
		reset(client)
		assert gets_reset(peer), "the server saw an end"
		client = socket.create_connection(at)
		peer, _ = server.accept()
		peer.sendall(b"x")
		assert client.recv(1) == b"x"  # the VM's side knows that it is connected
		reset(peer)
		assert gets_reset(client), "the client saw an end"
		forward.terminate()
		errors = forward.communicate()[1]
		assert errors.count("\n") == 1 and "reset in the VM" in errors, errors
		assert forward.returncode == 0, forward.returncode
		print("passed")
	END
	expect 0 passed
}

@test "one direction ends before the other, both ways round" {
	serve TCP-LISTEN:0,bind=127.0.0.1,reuseaddr,fork 'SYSTEM:cat >/dev/null; echo after the end'
	forward "0:$served"
	[ "$(echo question | socat -t 20 - "TCP:$at")" = 'after the end' ]
}

@test "a client that does not read does not cost memory" {
	serve TCP-LISTEN:0,bind=127.0.0.1,reuseaddr,fork 'SYSTEM:cat /dev/zero'
	forward "0:$served"
	exec 7<>"/dev/tcp/${at/://}"
	head -c 1000000 <&7 >/dev/null
	local before after
	before=$(awk '/^VmRSS/ { print $2 }' "/proc/$forward_pid/status")
	[ "$(head -c 3 <(socat -u "TCP:$at" - 2>/dev/null) | wc -c)" -eq 3 ]
	after=$(awk '/^VmRSS/ { print $2 }' "/proc/$forward_pid/status")
	exec 7<&-
	[ $((after - before)) -lt 8000 ]
}

@test "reverse: connections that come in the VM go to the host" {
	serve TCP-LISTEN:0,bind=127.0.0.1,reuseaddr,fork EXEC:cat
	forward --reverse "$served:0"
	[ "$(cat "$out")" = "forwarding $at in 'here' to localhost:$served" ]
	[ "$(echo hello | socat -t 10 - "TCP:$at")" = hello ]
	local socket=$BATS_TEST_TMPDIR/there.sock
	initvm -n here forward --reverse "$served:$socket" 3>&- &
	pids+=($!)
	wait_path "$socket"
	within 10 sh -c "echo hello | socat -t 10 - UNIX:$socket | grep -q hello"
}

@test "reverse: nothing listens on the host: told, and only that connection ends" {
	serve TCP-LISTEN:0,bind=127.0.0.1 EXEC:cat
	local port=$served
	kill "${pids[0]}"
	wait_pid "${pids[0]}"
	forward --reverse "$port:0"
	run timeout 9 socat - "TCP:$at"
	[ "$status" -ne 124 ]
	wait_line "$errors" "initvm: $at in 'here': nothing listens on port $port on the host"
	socat "TCP-LISTEN:$port,bind=127.0.0.1,fork,reuseaddr" EXEC:cat 3>&- &
	pids+=($!)
	within 10 sh -c "echo hello | socat -t 10 - TCP:$at | grep -q hello"
}

@test "reverse: an address that is taken in the VM: status 1 and one sentence" {
	serve TCP-LISTEN:0,bind=127.0.0.1 EXEC:cat
	run timeout 20 initvm -n here forward --reverse "80:$served"
	expect_one_sentence 1 "in use already"
}

@test "restart of the VM: what stood is told, and both ways work again by themselves" {
	serve TCP-LISTEN:0,bind=127.0.0.1,reuseaddr,fork EXEC:cat
	forward "0:$served"
	local forth=$at
	mv "$out" "$out.forth"
	forward --reverse "$served:0"
	exec 7<>"/dev/tcp/${forth/://}"
	echo before >&7
	[ "$(head -n 1 <&7)" = before ]
	kill -USR1 "$(cat "$INITVM_HOME/bridge.pid")"
	within 20 sh -c "[ \$(grep -c '^forwarding' '$out') -eq 2 ]"
	exec 7<&-
	[ "$(sort -u "$out" | wc -l)" -eq 1 ]
	[ "$(echo hello | socat -t 10 - "TCP:$at")" = hello ]
	[ "$(echo hello | socat -t 10 - "TCP:$forth")" = hello ]
}

@test "proxy: the SSH server on standard input and output; ends when either side does" {
	[ "$(id -u)" -eq 0 ] || skip 'needs root for port 22'
	! socat -u OPEN:/dev/null TCP:127.0.0.1:22 2>/dev/null || skip 'port 22 of this machine is in use'
	run initvm -n here proxy </dev/null
	expect_one_sentence 1 'does not listen on 127.0.0.1:22'
	serve TCP-LISTEN:22,bind=127.0.0.1,fork,reuseaddr EXEC:cat
	[ "$(echo hello | initvm -n here proxy ignored)" = hello ]
	pids+=($!)
	kill "${pids[0]}"
	wait_pid "${pids[0]}"
	serve TCP-LISTEN:22,bind=127.0.0.1,fork,reuseaddr 'EXEC:echo banner'
	mkfifo "$BATS_TEST_TMPDIR/open"
	exec 8<>"$BATS_TEST_TMPDIR/open"
	[ "$(timeout 10 initvm -n here proxy <&8)" = banner ]
	exec 8<&-
}

@test "ssh-config: ssh reads each path as it is, blanks, quotes and per cent signs too" {
	local folder="$INITVM_HOME/of a VM's \"100%\""
	mkdir -p "$folder"
	initvm -n here ssh-config >"$BATS_TEST_TMPDIR/config"
	run ssh -G -F "$BATS_TEST_TMPDIR/config" initvm-here
	expect 0
	grep -qxF "identityfile $folder/id_ed25519" <<<"${output//%%/%}"
	grep -qF "$folder/known_hosts" <<<"${output//%%/%}"
	grep -qx 'user root' <<<"$output"
	grep -qx 'hostkeyalias initvm-here' <<<"$output"
	grep -qix 'stricthostkeychecking true' <<<"$output"
	grep -qx 'identitiesonly yes' <<<"$output"
	grep -qF "proxycommand env INITVM_HOME='$INITVM_HOME' '$INITVM_BIN/initvm' -n here proxy" <<<"$output"
}

@test "ssh: becomes ssh, which uses the proxy and checks the host key" {
	[ "$(id -u)" -eq 0 ] || skip 'needs root for port 22'
	! socat -u OPEN:/dev/null TCP:127.0.0.1:22 2>/dev/null || skip 'port 22 of this machine is in use'
	serve TCP-LISTEN:22,bind=127.0.0.1,fork,reuseaddr 'SYSTEM:echo SSH-2.0-Nobody; read -r line; echo "$line" >&2'
	run initvm -n here ssh true
	expect 255
	[[ $output != *'Bad configuration'* ]]
	[ -f "$INITVM_HOME/of a VM's \"100%\"/config" ]
	PATH=$INITVM_BIN run initvm -n here ssh true
	expect 125 openssh-client
}
