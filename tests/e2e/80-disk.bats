#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Work on the disk of a VM that does not run, as far as nothing has to look into the image: snapshots, export, refusals, and deaths
# in the middle of it.  The VM is a folder that looks like one, with an image that was never booted.

load ../lib/common
load ../lib/held_qemu_img

setup_file() {
	new_home
	make_vm one
	cp "$(image)" "$BATS_FILE_TMPDIR/good"
}

# Whatever a test has done to it.
setup() { cp "$BATS_FILE_TMPDIR/good" "$(image)"; }

teardown_file() {
	local pid
	for pid in $(processes initvm-image); do
		kill -CONT "$pid" 2>/dev/null || true
	done
	remove_home
}

# The folder of a VM $1 with a disk of 256 MiB, of which 64 MiB are random.
make_vm() {
	local folder=$INITVM_HOME/vms/$1
	mkdir -p "$folder"
	chmod 711 "$INITVM_HOME/vms" "$folder"
	head -c 64M /dev/urandom >"$BATS_FILE_TMPDIR/raw"
	truncate -s 256M "$BATS_FILE_TMPDIR/raw"
	qemu-img convert -O qcow2 "$BATS_FILE_TMPDIR/raw" "$folder/buildenv.img"
	echo "kernel of $1" >"$folder/kernel"
	echo "initrd of $1" >"$folder/initrd"
	printf '{"name":"%s","uuid":"%s","image":"none","suite":"none","architecture":"%s","commandLine":"","acceleration":"tcg","memory":268435456,"cpus":1,"size":268435456,"created":1}\n' \
		"$1" "$(cat /proc/sys/kernel/random/uuid)" "$(dpkg --print-architecture)" >"$folder/vm.json"
}

image() { echo "$INITVM_HOME/vms/one/buildenv.img"; }
sum() { qemu-img convert -O raw "$1" "$BATS_TEST_TMPDIR/sum.raw" && sha256sum <"$BATS_TEST_TMPDIR/sum.raw"; }
snapshots() { initvm snapshot list -n one --json | sed 's/.*"name":"\([^"]*\)".*/\1/' | tr '\n' ' '; }

@test "a snapshot is made, listed and restored with the kernel that belongs to it, and removed" {
	local before
	before=$(sum "$(image)")
	run initvm snapshot create -n one first
	expect 0 "made the snapshot 'first'"
	[ "$(snapshots)" = 'first ' ]

	qemu-io -f qcow2 -c 'write -P 7 1M 5M' "$(image)" >/dev/null
	echo 'a later kernel' >"$INITVM_HOME/vms/one/kernel.new"
	mv "$INITVM_HOME/vms/one/kernel.new" "$INITVM_HOME/vms/one/kernel"
	[ "$(sum "$(image)")" != "$before" ]

	run initvm snapshot restore -n one first
	expect 0 "restored the snapshot 'first'"
	[ "$(sum "$(image)")" = "$before" ]
	grep -q 'kernel of one' "$INITVM_HOME/vms/one/$(json bootFolder <"$INITVM_HOME/vms/one/vm.json")/kernel"

	run initvm snapshot remove -n one first
	expect 0
	[ -z "$(snapshots)" ]
	[ -z "$(entries vms/one/snapshots)" ]
	qemu-img check -q "$(image)"
}

@test "snapshots: a name that is taken, that is not there, that is none; reset without the one it needs" {
	initvm snapshot create -n one taken 2>/dev/null
	run --separate-stderr initvm snapshot create -n one taken
	[ "$status" -eq 1 ]
	[[ $stderr == *"there is a snapshot 'taken' already"* ]]
	[ -f "$INITVM_HOME/vms/one/snapshots/taken/kernel" ]
	run initvm snapshot restore -n one other
	expect 1 "there is no snapshot 'other'"
	run initvm snapshot create -n one ../x
	expect_one_sentence 2 "cannot be a snapshot's name"
	run initvm reset one
	expect 1 'cannot be reset'
	initvm snapshot remove -n one taken 2>/dev/null
}

@test "reset goes back to the snapshot 'created'" {
	local before
	before=$(sum "$(image)")
	initvm snapshot create -n one created 2>/dev/null
	qemu-io -f qcow2 -c 'write -P 9 8M 1M' "$(image)" >/dev/null
	run initvm reset one
	expect 0 'as create has left it'
	[ "$(sum "$(image)")" = "$before" ]
	initvm snapshot remove -n one created 2>/dev/null
}

@test "export: compressed, without snapshots, the same content; what is there is not replaced unasked" {
	initvm snapshot create -n one kept 2>/dev/null
	cd "$BATS_TEST_TMPDIR"
	run initvm disk export -n one out.qcow2
	expect 0 "to 'out.qcow2'"
	[ "$(sum out.qcow2)" = "$(sum "$(image)")" ]
	qemu-img info --output=json out.qcow2 >info
	run ! grep -q -e '"snapshots"' -e backing-filename info
	grep -q '"compression-type": "zstd"' info
	run initvm disk export -n one out.qcow2
	expect 1 'is there already'
	run initvm disk export -n one --force out.qcow2
	expect 0
	run initvm disk export -n one /nowhere/out.qcow2
	[ "$status" -eq 1 ]
	initvm snapshot remove -n one kept 2>/dev/null
}

@test "export: nothing but its file is touched, and two to one file do not harm each other" {
	make_vm two
	initvm daemon stop
	initvm list
	echo 'of the user' >"$BATS_TEST_TMPDIR/slow.qcow2.new"
	begin_export
	kill -INT "$export_pid"
	kill -CONT "$child"
	wait "$export_pid" || true
	grep -q 'of the user' "$BATS_TEST_TMPDIR/slow.qcow2.new"

	begin_export
	run initvm disk export -n two "$BATS_TEST_TMPDIR/slow.qcow2"
	expect 0
	[ "$(sum "$BATS_TEST_TMPDIR/slow.qcow2")" = "$(sum "$INITVM_HOME/vms/two/buildenv.img")" ]
	kill -CONT "$child"
	wait "$export_pid"
	[ "$(sum "$BATS_TEST_TMPDIR/slow.qcow2")" = "$(sum "$(image)")" ]
	grep -q 'of the user' "$BATS_TEST_TMPDIR/slow.qcow2.new"
	initvm destroy --yes -n two
}

@test "a disk is not made smaller" {
	run initvm disk resize -n one 100M
	expect 2 'cannot become smaller'
	run initvm disk resize -n one huge
	expect_one_sentence 2 "'huge' is no size of a disk"
	[ "$(vm_size)" = 268435456 ]
}

vm_size() { initvm status -n one --json | json disk.virtual; }

@test "an image that is in use elsewhere, that is missing, that is none, and one whose backing file is gone" {
	local image
	image=$(image)
	coproc HOLDER { qemu-io -f qcow2 "$image"; }
	local holder=$HOLDER_PID
	echo 'read 0 512' >&"${HOLDER[1]}"
	wait_held
	run initvm snapshot create -n one x
	expect 1 'in use by another program'
	echo quit >&"${HOLDER[1]}"
	wait_pid "$holder"

	rm "$image"
	run initvm snapshot list -n one
	expect 1 'is not there'
	echo 'not an image at all' >"$image"
	run initvm snapshot list -n one
	expect 2 'not an image'
	rm "$image"
	qemu-img create -q -f qcow2 "$BATS_TEST_TMPDIR/base.qcow2" 1M
	qemu-img create -q -f qcow2 -F qcow2 -b "$BATS_TEST_TMPDIR/base.qcow2" "$image"
	rm "$BATS_TEST_TMPDIR/base.qcow2"
	run initvm disk export -n one "$BATS_TEST_TMPDIR/x"
	expect 1 'backing file'
	[ ! -e "$BATS_TEST_TMPDIR/x" ]
}

# qemu-io has answered, so that it has the image open.
wait_held() {
	local line
	read -r line <&"${HOLDER[0]}"
	while [[ $line != *'read 512/512'* ]]; do
		read -r -t 10 line <&"${HOLDER[0]}" || return 1
	done
}

# Begins an export that cannot end, because its initvm-image is stopped; sets export_pid and child.
begin_export() {
	initvm disk export -n one --json "$BATS_TEST_TMPDIR/slow.qcow2" >"$BATS_TEST_TMPDIR/progress" 2>&1 3>&- &
	export_pid=$!
	wait_line "$BATS_TEST_TMPDIR/progress" '"stage":"export"'
	child=$(processes initvm-image)
	kill -STOP "$child"
}

@test "while a disk is worked on, everybody else is told what is going on" {
	begin_export
	run initvm status one
	expect 0 busy
	[[ $output == *'having its disk exported'* ]]
	run initvm start one
	expect 1 "VM 'one' is having its disk exported"
	run initvm snapshot create -n one x
	expect 1 'having its disk exported'
	run initvm destroy --yes one
	expect 1 'having its disk exported'
	kill -CONT "$child"
	wait "$export_pid"
	qemu-img check -q "$BATS_TEST_TMPDIR/slow.qcow2"
}

@test "Ctrl-C ends it, and leaves nothing" {
	begin_export
	kill -INT "$export_pid"
	kill -CONT "$child"
	local code=0
	wait "$export_pid" || code=$?
	[ "$code" -eq 130 ]
	[ -z "$(find "$BATS_TEST_TMPDIR" -name 'slow*')" ]
	run initvm snapshot list -n one
	expect 0
}

@test "kill -9 of the daemon: the disk belongs to the child until it is gone, and then to the next daemon" {
	begin_export
	local daemon lock=$INITVM_HOME/vms/one/disk.lock
	daemon=$(daemon_pid)
	[ -z "$(find "/proc/$daemon/fd" -lname "$lock")" ]
	[ -n "$(find "/proc/$child/fd" -lname "$lock")" ]
	run flock -n "$lock" true
	expect 1
	kill -KILL "$daemon"
	wait_pid "$daemon"
	wait_pid "$child" # the kernel wakes who was stopped
	wait "$export_pid" || true
	run initvm snapshot list -n one
	expect 0

	# As long as a child would be there.
	exec {lock_fd}<>"$lock"
	flock "$lock_fd"
	run initvm snapshot list -n one
	expect 1 'by a process of a daemon that was killed'
	run initvm start one
	expect 1 'by a process of a daemon that was killed'
	exec {lock_fd}>&-
	qemu-img check -q "$(image)"
}

@test "kill -9 of initvm-image at any point of its steps: the disk is as it was or as it should be" {
	local before i pid
	before=$(sum "$(image)")
	for i in {1..12}; do
		initvm snapshot create -n one "k$i" --json >"$BATS_TEST_TMPDIR/k" 2>&1 3>&- &
		pid=$!
		kill_a_moment_later "$i"
		wait "$pid" || true
		run initvm snapshot list -n one
		expect 0
		qemu-img check -q "$(image)" || [ $? -eq 3 ] # lost clusters are no errors
		[ "$(sum "$(image)")" = "$before" ]
	done
	for i in $(snapshots); do
		initvm snapshot remove -n one "$i" 2>/dev/null
	done
	[ -z "$(entries vms/one/snapshots)" ]
}

# Kills the daemon right before or after ($1) the snapshot 'first' is restored, and waits until its child has gone.
kill_while_restoring() {
	local cli
	hold_qemu_img "$1" "'snapshot -q -a '*"
	initvm snapshot restore -n one first >"$BATS_TEST_TMPDIR/restore" 2>&1 3>&- &
	cli=$!
	wait_qemu_img
	kill_daemon
	wait "$cli" || true
	hold_no_more
}

# With its child.
kill_daemon() {
	local daemon child
	daemon=$(daemon_pid)
	child=$(processes initvm-image)
	kill -KILL "$daemon"
	wait_pid "$daemon"
	wait_pid "$child"
}

@test "kill -9 of the daemon while a snapshot is restored: what is done next completes it, with the kernel and the size" {
	local before when
	local -A nexts=([before]=start [after]='snapshot list')
	before=$(sum "$(image)")
	initvm snapshot create -n one first 2>/dev/null
	for when in before after; do
		# As it would be after a resize and another kernel.
		qemu-img resize -q "$(image)" 512M
		qemu-io -f qcow2 -c 'write -P 7 1M 5M' -c 'write -P 8 300M 5M' "$(image)" >/dev/null
		initvm daemon stop
		/usr/bin/python3 - "$INITVM_HOME/vms/one" <<-'END'
			import json, os, sys
			record = json.load(open(sys.argv[1] + "/vm.json"))
			record.update(size=512 << 20, bootFolder="boot-later")
			json.dump(record, open(sys.argv[1] + "/vm.json", "w"))
			os.mkdir(sys.argv[1] + "/boot-later")
			for name in "kernel", "initrd":
			    open(f"{sys.argv[1]}/boot-later/{name}", "w").write("later\n")
		END
		kill_while_restoring "$when"
		# shellcheck disable=SC2086
		run initvm ${nexts[$when]} -n one # which does not boot: its kernel is none
		grep -q 'kernel of one' "$INITVM_HOME/vms/one/$(json bootFolder <"$INITVM_HOME/vms/one/vm.json")/kernel"
		[ "$(vm_size)" = 268435456 ]
		[ "$(sum "$(image)")" = "$before" ]
		qemu-img check -q "$(image)"
		[ ! -e "$(image).snapshot" ]
	done
	initvm snapshot remove -n one first 2>/dev/null
}

# The VM has another kernel $1, as after an upgrade.
new_kernel() {
	initvm daemon stop
	rm -rf "$INITVM_HOME"/vms/one/boot-*
	sed -i 's/,"bootFolder":"[^"]*"//' "$INITVM_HOME/vms/one/vm.json"
	echo "$1" >"$INITVM_HOME/vms/one/kernel.new"
	mv "$INITVM_HOME/vms/one/kernel.new" "$INITVM_HOME/vms/one/kernel"
	initvm list
}

# Restores it, and prints the kernel that the VM boots then.
restored_kernel() {
	initvm snapshot restore -n one "$1" 2>/dev/null >&2
	cat "$INITVM_HOME/vms/one/$(json bootFolder <"$INITVM_HOME/vms/one/vm.json")/kernel"
}

# Begins to make the snapshot $1, and gives that up with Ctrl-C while qemu-img, whose words match $3, is held up $2 it.
cancel_creation() {
	local cli code=0
	hold_qemu_img "$2" "$3"
	initvm snapshot create -n one "$1" >"$BATS_TEST_TMPDIR/create" 2>&1 3>&- &
	cli=$!
	wait_qemu_img
	interrupt "$cli" "$BATS_TEST_TMPDIR/create"
	wait "$cli" || code=$?
	[ "$code" -eq 130 ]
	hold_no_more
}

@test "Ctrl-C before a name is seen to be taken, and when the snapshot is made: each has the kernel that belongs to it" {
	new_kernel 'an early kernel'
	initvm snapshot create -n one first 2>/dev/null
	new_kernel 'a later kernel'
	cancel_creation first before "'info '*"
	[ "$(restored_kernel first)" = 'an early kernel' ]

	new_kernel 'a later kernel'
	cancel_creation second after "'snapshot -q -c '*"
	new_kernel 'the last kernel'
	[ "$(restored_kernel second)" = 'a later kernel' ]
	initvm snapshot remove -n one first 2>/dev/null
	initvm snapshot remove -n one second 2>/dev/null
	[ -z "$(entries vms/one/snapshots)" ]
}

@test "kill -9 of the daemon before a snapshot is made, and when it is removed: the next one of that name has its own kernel" {
	local cli words
	for words in "'snapshot -q -c '*" "'snapshot -q -d '*"; do
		new_kernel 'an early kernel'
		[[ $words != *-d* ]] || initvm snapshot create -n one again 2>/dev/null
		hold_qemu_img "$([[ $words == *-d* ]] && echo after || echo before)" "$words"
		initvm snapshot "$([[ $words == *-d* ]] && echo remove || echo create)" -n one again >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
		cli=$!
		wait_qemu_img
		kill_daemon
		wait "$cli" || true
		hold_no_more

		new_kernel 'a later kernel'
		initvm snapshot create -n one again 2>/dev/null
		new_kernel 'the last kernel'
		[ "$(restored_kernel again)" = 'a later kernel' ]
		initvm snapshot remove -n one again 2>/dev/null
		[ -z "$(entries vms/one/snapshots)" ]
	done
}

@test "kill -9 of initvm-image at any point of a restore: the disk is as it was or restored, and its kernel fits" {
	local old new i kernel pid seen=
	new_kernel 'kernel of one'
	new=$(sum "$(image)")
	initvm snapshot create -n one first 2>/dev/null
	for i in {1..6}; do
		qemu-io -f qcow2 -c 'write -P 7 1M 5M' "$(image)" >/dev/null
		old=$(sum "$(image)")
		new_kernel 'a later kernel'
		initvm snapshot restore -n one first --json >"$BATS_TEST_TMPDIR/k" 2>&1 3>&- &
		pid=$!
		kill_a_moment_later $((2 * i))
		wait "$pid" || true
		run initvm snapshot list -n one
		expect 0
		kernel=$(cat "$INITVM_HOME/vms/one/$(json bootFolder <"$INITVM_HOME/vms/one/vm.json")/kernel")
		case "$(sum "$(image)") $kernel" in
		"$old a later kernel") seen+=o ;;
		"$new kernel of one") seen+=n ;;
		*) false ;;
		esac
		qemu-img check -q "$(image)"
	done
	echo "# old and new: $seen" >&3
	initvm snapshot remove -n one first 2>/dev/null
}

# Each time a little later after it has come into being.
kill_a_moment_later() {
	/usr/bin/python3 - "$TREE" "$INITVM_HOME" "$1" <<-'END'
		import os, signal, subprocess, sys, time
		tree, home, step = sys.argv[1], sys.argv[2], int(sys.argv[3])
		end = time.monotonic() + 20
		while time.monotonic() < end:
		    out = subprocess.run([tree + "/tests/lib/processes.py", home], capture_output=True, text=True).stdout
		    pids = [int(l.split()[0]) for l in out.splitlines() if l.split()[1].startswith("initvm-image")]
		    if pids:
		        time.sleep(step * 0.015)
		        try:
		            os.kill(pids[0], signal.SIGKILL)
		        except ProcessLookupError:
		            pass
		        break
	END
}

@test "the sanitizers found nothing" {
	initvm daemon stop
	sanitizers_silent
	run ! grep -aE 'ERROR: (Address|Leak)Sanitizer|runtime error:' "$INITVM_HOME/vms/one/disk.log"
}
