#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Deaths of all kinds: of the daemon, of QEMU, of the guest, of the agent.

load ../lib/vm

setup_file() { need_base; }

# The daemon dies as by kill -9.
kill_daemon() {
	local pid
	pid=$(daemon_pid)
	kill -KILL "$pid"
	wait_pid "$pid"
}

is_state() { [ "$(vm_get base state)" = "$1" ]; }

@test "kill -9 of the daemon with an exec running and a console attached: both say so, the VM goes on" {
	local qemu boot exec_pid
	qemu=$(vm_get base pid)
	boot=$(guest cat /proc/sys/kernel/random/boot_id)
	initvm exec -n base -- sh -c 'echo running; exec sleep 1002' >"$BATS_TEST_TMPDIR/exec" 2>"$BATS_TEST_TMPDIR/exec.err" 3>&- &
	exec_pid=$!
	wait_line "$BATS_TEST_TMPDIR/exec" running
	need_login
	TERMINAL_DEADLINE=120 "$TREE/tests/lib/terminal.py" raw 'expect:root@' status:3 restored -- initvm attach -n base \
		>"$BATS_TEST_TMPDIR/attach" 2>&1 3>&- &
	local attach_pid=$!
	wait_line "$BATS_TEST_TMPDIR/attach" 'root@' 120
	kill_daemon
	local code=0
	wait "$exec_pid" || code=$?
	[ "$code" -eq 125 ]
	grep -q 'daemon' "$BATS_TEST_TMPDIR/exec.err"
	wait "$attach_pid"
	grep -aq 'attach again' "$BATS_TEST_TMPDIR/attach"
	[ -d "/proc/$qemu" ]

	# The next command starts a daemon that takes the VM up again.
	[ "$(guest cat /proc/sys/kernel/random/boot_id)" = "$boot" ]
	[ "$(vm_get base state)" = running ]
	[ "$(vm_get base agent)" = connected ]
	[ "$(vm_get base pid)" = "$qemu" ]
	[ "$(qemus | wc -l)" -eq 1 ]
	run "$TREE/tests/lib/consoles.py" login base
	expect 0
}

@test "the command that was cut off has ended in the guest" {
	run guest sh -c 'pid=$(pgrep -f "[s]leep 1002" | head -n 1); [ -z "$pid" ] || timeout 60 tail --pid="$pid" -f /dev/null'
	expect 0
}

@test "kill -9 of the daemon in the middle of 200 MB: the next exec is in step again" {
	head -c 200M /dev/zero >"$BATS_TEST_TMPDIR/big"
	initvm exec -n base -- sh -c 'echo started; cat >/dev/null' <"$BATS_TEST_TMPDIR/big" >"$BATS_TEST_TMPDIR/out" 2>/dev/null 3>&- &
	local pid=$! i
	wait_line "$BATS_TEST_TMPDIR/out" started
	kill_daemon
	wait "$pid" || true
	for i in 1 2 3; do
		[ "$(echo "word $i" | guest cat)" = "word $i" ]
	done
}

@test "kill -9 of the daemon in the middle of output: the same" {
	(
		exec 3>&-
		initvm exec -n base -- sh -c 'echo started; exec cat /dev/zero' 2>/dev/null |
			{ head -c 8 >"$BATS_TEST_TMPDIR/out"; exec cat >/dev/null; }
	) &
	local pid=$!
	wait_line "$BATS_TEST_TMPDIR/out" started
	kill_daemon
	wait "$pid" || true
	[ "$(echo again | guest cat)" = again ]
}

@test "daemon stop leaves the VM running; the next daemon takes it up" {
	local qemu
	qemu=$(vm_get base pid)
	run initvm daemon stop
	expect 0
	[ -d "/proc/$qemu" ]
	guest true
	[ "$(vm_get base pid)" = "$qemu" ]
}

@test "the guest switches itself off: stopped, with that reason, and no QEMU" {
	local qemu
	qemu=$(vm_get base pid)
	guest systemctl poweroff || true
	wait_pid "$qemu" 120
	within 30 is_state stopped
	[ -n "$(vm_get base reason)" ]
	initvm start -n base
	guest true
}

# The VM answers, from another boot than $1.
has_rebooted() {
	local boot
	boot=$(guest cat /proc/sys/kernel/random/boot_id 2>/dev/null) && [ "$boot" != "$1" ]
}

@test "the guest reboots itself: the machine is there again" {
	local before
	before=$(guest cat /proc/sys/kernel/random/boot_id)
	guest systemctl reboot || true
	within 180 has_rebooted "$before"
	[ "$(vm_get base state)" = running ]
}

@test "kill -9 of QEMU: status says so, exec says so, start works" {
	local qemu
	qemu=$(vm_get base pid)
	initvm exec -n base -- sh -c 'echo running; exec sleep 1003' >"$BATS_TEST_TMPDIR/exec" 2>"$BATS_TEST_TMPDIR/exec.err" 3>&- &
	local pid=$! code=0
	wait_line "$BATS_TEST_TMPDIR/exec" running
	kill -KILL "$qemu"
	wait_pid "$qemu"
	wait "$pid" || code=$?
	[ "$code" -eq 125 ]
	[ -s "$BATS_TEST_TMPDIR/exec.err" ]
	within 30 is_state stopped
	run initvm status -n base
	expect 0 stopped
	[[ $(vm_get base reason) =~ QEMU|crash|killed ]]
	run initvm exec -n base -- true
	expect_one_sentence 125 start
	run initvm start -n base
	expect 0
	guest true
}

@test "kill -9 of QEMU and of the daemon: the next daemon sees a stopped VM, start works" {
	local qemu
	qemu=$(vm_get base pid)
	kill_daemon
	kill -KILL "$qemu"
	wait_pid "$qemu"
	[ "$(vm_get base state)" = stopped ]
	initvm start -n base
	guest true
}

@test "the agent is killed: systemd starts it again, exec works" {
	local before
	before=$(guest systemctl show -P MainPID initvm-agent)
	guest sh -c 'kill -KILL "$(systemctl show -P MainPID initvm-agent)"' || true
	run initvm ensure -n base
	expect 0
	[ "$(guest systemctl show -P MainPID initvm-agent)" != "$before" ]
}

@test "garbage of 1 MiB in the port: the next call is in step again" {
	local before
	before=$(guest systemctl show -P MainPID initvm-agent)
	# The port has one owner at a time: a unit of its own stops the agent, writes, and starts it.
	guest systemd-run --quiet --no-block --unit=garbage sh -c '
		systemctl stop initvm-agent
		head -c 1M /dev/urandom >/dev/virtio-ports/org.initvm.agent.0
		systemctl start initvm-agent'
	within 60 agent_is_another_than "$before"
	[ "$(echo word | guest cat)" = word ]
	[ "$(guest systemctl show -P ExecMainStatus garbage.service)" = 0 ]
}

agent_is_another_than() {
	local pid
	pid=$(guest systemctl show -P MainPID initvm-agent 2>/dev/null) && [ "$pid" != "$1" ] && [ "$pid" != 0 ]
}

# libvirt's own tool in the daemon's place; as root with the daemon's view of /dev/kvm, see libvirt_connection.c.
in_place_of_daemon() {
	unshare --mount sh -c '[ ! -e /dev/kvm ] || mount --bind "$INITVM_HOME/no-kvm" /dev/kvm
		exec virsh --quiet --connect "qemu:///embed?root=$INITVM_HOME/libvirt" "$1"' - "$1"
}

@test "saved and restored with output on its way: the same boot goes on, the next call is in step" {
	[ "$(id -u)" -eq 0 ] || skip 'needs root for a /dev without KVM'
	local boot pid
	boot=$(guest cat /proc/sys/kernel/random/boot_id)
	# Nobody reads: credits are spent, and frames wait everywhere on the way.
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	initvm exec -n base -- sh -c 'echo begun >&2; exec cat /dev/zero' >"$BATS_TEST_TMPDIR/fifo" 2>"$BATS_TEST_TMPDIR/errors" 3>&- &
	pid=$!
	exec 7<"$BATS_TEST_TMPDIR/fifo"
	wait_line "$BATS_TEST_TMPDIR/errors" begun
	kill_daemon
	in_place_of_daemon "save base $INITVM_HOME/saved; restore $INITVM_HOME/saved"
	rm "$INITVM_HOME/saved"
	[ "$(guest cat /proc/sys/kernel/random/boot_id)" = "$boot" ]
	[ "$(echo word | guest cat)" = word ]
	exec 7<&-
	wait "$pid" || true
}

@test "QEMU stands still: what asks is told so in time, the daemon answers, and everything goes on afterwards" {
	local qemu exec_pid code=0
	qemu=$(vm_get base pid)
	mkfifo "$BATS_TEST_TMPDIR/go"
	(
		exec 3>&-
		{ echo one; cat "$BATS_TEST_TMPDIR/go"; } | initvm exec -n base -- cat >"$BATS_TEST_TMPDIR/out"
	) &
	exec_pid=$!
	wait_line "$BATS_TEST_TMPDIR/out" one
	kill -STOP "$qemu"
	run timeout 10 initvm list
	expect 0 base
	run timeout 10 initvm status -n base
	expect 0
	# A minute: the bound of the agent's answer to a new command.
	run timeout 90 initvm exec -n base -- true
	kill -CONT "$qemu"
	expect_one_sentence 124 'did not answer'
	echo two >"$BATS_TEST_TMPDIR/go"
	wait "$exec_pid" || code=$?
	[ "$code" -eq 0 ]
	[ "$(cat "$BATS_TEST_TMPDIR/out")" = $'one\ntwo' ]
	guest true
}

@test "the daemon's log has no trace of trouble of its own" {
	run grep -aE 'runtime error|Sanitizer|assert|abort' "$INITVM_HOME/initvmd.log"
	[ "$status" -eq 1 ]
}
