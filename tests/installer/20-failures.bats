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

# No VM has stayed, and the logs are where the message says.
no_vm() {
	[ -z "$(entries creating)" ]
	[ -z "$(entries vms)" ]
	[ -z "$(qemus)" ]
	[[ $output == *"'$INITVM_HOME/failed/x/console.log'"* && $output == *"'$INITVM_HOME/failed/x/installer.log'"* ]]
}

# Nothing but the logs has stayed.
only_logs() {
	no_vm
	[ "$(entries failed/x | tr '\n' ' ')" = 'console.log installer.log provision.log ' ]
}

# A command for early_command, after which the installer does $1 in the place of its steps $2..., which are those that take most of its
# time: each time it looks what is next, what there is of them is replaced.
replace_steps() {
	local command=$1 script=/lib/main-menu.d/50replaced
	shift
	# shellcheck disable=SC2016
	printf 'mkdir -p /lib/main-menu.d; echo '\''for step in %s; do f=/var/lib/dpkg/info/$step.postinst; [ ! -e $f ] || echo "%s" >$f; done'\'' >>%s; chmod +x %s; ' \
		"$*" "$command" "$script" "$script"
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

@test "a late_command that fails; with --keep the image stays as well" {
	use_installer "$INSTALLER"
	{
		preseed
		echo "d-i preseed/early_command string $(replace_steps 'exit 0' user-setup-udeb clock-setup tzsetup-udeb disk-detect \
			partman-base bootstrap-base apt-setup-udeb pkgsel grub-installer)"
		echo "d-i preseed/late_command string echo nothing works >&2; exit 3"
	} >"$BATS_TEST_TMPDIR/p.cfg"
	run initvm create -n x --method installer --image net --preseed "$BATS_TEST_TMPDIR/p.cfg" --size 8G --memory 1G --keep
	expect 1 "in the stage 'finish'"
	[[ $output == *"stopped with the message 'preseed/command_failed'"* && $output == *'exit code 3'* && $output == *'nothing works'* ]]
	no_vm
	[ -s "$INITVM_HOME/failed/x/installer.log" ]
	qemu-img check -q "$INITVM_HOME/failed/x/buildenv.img"
}

@test "a package that is in no repository, of a preseed with a repository of its own, so that nobody could tell before" {
	use_installer "$INSTALLER"
	mkdir "$BATS_TEST_TMPDIR/served"
	start_mirror "$BATS_TEST_TMPDIR/served"
	echo "$mirror_pid" >"$BATS_TEST_TMPDIR/mirror"
	mmdebstrap --quiet --variant=minbase trixie "$BATS_TEST_TMPDIR/served/root.tar" http://deb.debian.org/debian
	{
		preseed
		echo "d-i preseed/early_command string $(replace_steps 'exit 0' user-setup-udeb clock-setup tzsetup-udeb) \
			$(replace_steps "wget -q -O - http://10.0.2.2:${mirror_url##*:}/root.tar | tar -x -C /target" bootstrap-base)"
		echo 'd-i apt-setup/local0/repository string http://deb.debian.org/debian trixie main'
		echo 'd-i pkgsel/include string no-such-package'
	} >"$BATS_TEST_TMPDIR/p.cfg"
	run initvm create -n x --method installer --image net --preseed "$BATS_TEST_TMPDIR/p.cfg" --size 8G --memory 1G
	kill "$mirror_pid"
	expect 1 "in the stage 'packages'"
	[[ $output == *no-such-package* ]]
	only_logs
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
