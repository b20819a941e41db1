#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Installations that fail: at once, with the reason, and with the logs that say more.

load ../lib/installer

setup_file() {
	new_home
	initvm list
}

teardown_file() { remove_home; }

# Nothing but the logs has stayed.
only_logs() {
	[ -z "$(entries creating)" ]
	[ -z "$(entries vms)" ]
	[ -z "$(qemus)" ]
	[[ $output == *"'$INITVM_HOME/failed/x/console.log'"* && $output == *"'$INITVM_HOME/failed/x/installer.log'"* ]]
	[ "$(entries failed/x | tr '\n' ' ')" = 'console.log installer.log provision.log ' ]
}

@test "the installer's kernel panics" {
	mkdir -p "$BATS_TEST_TMPDIR/net" "$BATS_TEST_TMPDIR/tree/var/lib/dpkg"
	cp "$INSTALLER/linux" "$BATS_TEST_TMPDIR/net/"
	# The list of components is there, and nothing that could be started.
	cp "$INSTALLER/status" "$BATS_TEST_TMPDIR/tree/var/lib/dpkg/"
	(cd "$BATS_TEST_TMPDIR/tree" && find . | cpio --quiet -o -H newc | gzip -1 >"$BATS_TEST_TMPDIR/net/initrd.gz")
	use_installer "$BATS_TEST_TMPDIR/net"
	preseed >"$BATS_TEST_TMPDIR/p.cfg"
	run initvm create -n x --method installer --image net --preseed "$BATS_TEST_TMPDIR/p.cfg" --size 8G --memory 1G
	expect 1 "in the stage 'boot'"
	[[ $output == *"the installer's kernel panicked: "* ]]
	only_logs
	grep -q 'Kernel panic' "$INITVM_HOME/failed/x/console.log"
}

@test "a question that the preseed does not answer is named, with its words" {
	use_installer "$INSTALLER"
	preseed '/^d-i keyboard-configuration/d' >"$BATS_TEST_TMPDIR/p.cfg"
	run initvm create -n x --method installer --image net --preseed "$BATS_TEST_TMPDIR/p.cfg" --size 8G --memory 1G --show
	expect 1 "waits for an answer to 'keyboard-configuration/xkb-keymap'"
	[[ $output == *"which the preseed does not give"* && $output == *$'\nit shows:\n'* && $output == *$'\nthe log ends with:\n'* ]]
	only_logs
}

@test "a mirror that goes away while components are loaded through a proxy on this host" {
	use_installer "$INSTALLER"
	preseed >"$BATS_TEST_TMPDIR/p.cfg"
	mkdir "$BATS_TEST_TMPDIR/served"
	start_mirror "$BATS_TEST_TMPDIR/served"
	rm -rf "$INITVM_HOME/failed"
	initvm create -n x --method installer --image net --preseed "$BATS_TEST_TMPDIR/p.cfg" --size 8G --memory 1G --json \
		--proxy "http://127.0.0.1:${mirror_url##*:}" >"$BATS_TEST_TMPDIR/progress" 2>&1 3>&- &
	local create=$!
	wait_line "$BATS_TEST_TMPDIR/progress" '"text":"Loading additional components".*"percent": ?[1-9]' 500
	grep -q 'http://deb.debian.org/.*\.udeb$' "$BATS_TEST_TMPDIR/served/requests"
	kill "$mirror_pid"
	wait_pid "$mirror_pid"
	status=0
	wait "$create" || status=$?
	output=$(cat "$BATS_TEST_TMPDIR/progress")
	expect 1 "in the stage 'components'"
	only_logs
}

@test "a disk that is too small for the preseed's partitions" {
	use_installer "$INSTALLER"
	preseed >"$BATS_TEST_TMPDIR/p.cfg"
	run initvm create -n x --method installer --image net --preseed "$BATS_TEST_TMPDIR/p.cfg" --size 3G --memory 1G
	expect 1 "in the stage 'partitions'"
	[[ $output == *"the preseed's partitions need "*" MB: make it larger with --size"* ]]
	only_logs
}

# A whole installation.
@test "a late_command that fails: its exit status and what it has said; --keep keeps the disk too" {
	use_installer "$INSTALLER"
	preseed '$a d-i preseed/late_command string echo this is the reason; exit 3' >"$BATS_TEST_TMPDIR/p.cfg"
	run initvm create -n x --method installer --image net --preseed "$BATS_TEST_TMPDIR/p.cfg" --size 8G --memory 1G --keep
	expect 1 "in the stage 'finish'"
	[[ $output == *"stopped with the message 'preseed/command_failed'"* && $output == *'exit code 3'* && $output == *'this is the reason'* ]]
	[[ $output == *"what was made so far is kept in '$INITVM_HOME/failed/x'"* ]]
	[ -z "$(entries creating)" ]
	[ -z "$(entries vms)" ]
	[ -z "$(qemus)" ]
	qemu-img check -q "$INITVM_HOME/failed/x/buildenv.img"
	grep -q 'this is the reason' "$INITVM_HOME/failed/x/installer.log"
}

@test "cancelled in the middle: nothing is left, not even logs" {
	use_installer "$INSTALLER"
	preseed >"$BATS_TEST_TMPDIR/p.cfg"
	rm -rf "$INITVM_HOME/failed"
	initvm create -n y --method installer --image net --preseed "$BATS_TEST_TMPDIR/p.cfg" --size 8G --memory 1G --json \
		>"$BATS_TEST_TMPDIR/progress" 2>"$BATS_TEST_TMPDIR/error" 3>&- &
	local pid=$! status
	wait_line "$BATS_TEST_TMPDIR/progress" '"stage":"settings"' 400
	kill -INT "$pid"
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 130 ] || { cat "$BATS_TEST_TMPDIR/error"; false; }
	[ -z "$(entries creating)" ]
	[ -z "$(entries failed)" ]
	[ -z "$(qemus)" ]
}
