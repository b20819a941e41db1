#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# What is special about an agent that is reached by SSH instead of its virtio-serial port.

load ../lib/vm

setup_file() { need_base; }

@test "the agent answers by SSH; the guest has no agent port, and status says so" {
	[ "$(vm_get base channel)" = ssh ]
	[ "$(vm_get base agent)" = connected ]
	run guest ls /dev/virtio-ports/org.initvm.agent.0
	expect 2
	run guest systemctl is-active initvm-agent
	expect 3
	run initvm status -n base
	expect 0 "127.0.0.1 port $(vm_get base sshPort)"
}

@test "the port is one of the loopback only" {
	local port
	port=$(vm_get base sshPort)
	run ss -Hltn "sport = :$port"
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == *"127.0.0.1:$port"* ]]
}

@test "exec by SSH: status, streams, signals" {
	run -7 guest sh -c 'exit 7'
	run -127 guest no-such-command
	run -137 guest sh -c 'kill -9 $$'
	guest sh -c 'echo out; echo err >&2' >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
	[ "$(cat "$BATS_TEST_TMPDIR/out")" = out ]
	[ "$(cat "$BATS_TEST_TMPDIR/err")" = err ]
}

@test "20 MB each way at once by SSH, with a checksum; the daemon and initvm-ssh stay small" {
	local before
	head -c 20M /dev/urandom >"$BATS_TEST_TMPDIR/big"
	before=$(daemon_rss)
	guest cat <"$BATS_TEST_TMPDIR/big" >"$BATS_TEST_TMPDIR/back"
	cmp "$BATS_TEST_TMPDIR/back" "$BATS_TEST_TMPDIR/big"
	[ $(($(daemon_rss) - before)) -lt 10000 ]
	[ "$(awk '/^VmRSS/ { print $2 }' "/proc/$(processes initvm-ssh)/status")" -lt 40000 ]
}

@test "kill -9 of the daemon: initvm-ssh ends with it, the VM goes on, and the next daemon reaches it by SSH" {
	local boot pid ssh qemu
	boot=$(guest cat /proc/sys/kernel/random/boot_id)
	qemu=$(vm_get base pid)
	pid=$(daemon_pid)
	ssh=$(processes initvm-ssh)
	[ -n "$ssh" ]
	kill -KILL "$pid"
	wait_pid "$pid"
	wait_pid "$ssh"
	[ -d "/proc/$qemu" ]
	[ "$(guest cat /proc/sys/kernel/random/boot_id)" = "$boot" ]
	[ "$(vm_get base channel)" = ssh ]
}

@test "the SSH server restarts under a command: the command's caller is told, and the next one runs" {
	run timeout 120 initvm exec -n base -- sh -c 'systemctl restart ssh; pkill -f "[s]shd.*root@notty"; sleep 1000'
	expect 125
	guest true
}

@test "another host key: nothing is sent there, and who asks is told loudly" {
	local known=$INITVM_HOME/vms/base/ssh/known_hosts
	cp "$known" "$BATS_TEST_TMPDIR/known"
	ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/other"
	echo "initvm-base $(cut -d ' ' -f 1,2 "$BATS_TEST_TMPDIR/other.pub")" >"$known"
	initvm daemon stop
	run guest true
	cp "$BATS_TEST_TMPDIR/known" "$known"
	expect 125 'HOST KEY'
	[[ $output == *SHA256:*SHA256:* ]]
	# Whoever asks next begins anew.
	guest true
}
