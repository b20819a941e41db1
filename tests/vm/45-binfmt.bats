#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# binfmt and run: programs of other architectures in the guest, by name, by their emulator, in a chroot, and from the host. The
# program is Debian's own busybox for armhf, a single static file.

load ../lib/vm

setup_file() {
	[ "$(uname -m)" = x86_64 ] || skip 'a CPU of this architecture may run armhf by itself'
	need_base
	fetch_packages "$BATS_FILE_TMPDIR/armhf" busybox-static:armhf hello:armhf
	cp "$BATS_FILE_TMPDIR/armhf/bin/busybox" "$BATS_FILE_TMPDIR/busybox-arm"
	guest mkdir -p /srv/arm /srv/only-one-file
	initvm cp -n base "$BATS_FILE_TMPDIR/busybox-arm" :/srv/arm/
	initvm cp -n base "$BATS_FILE_TMPDIR/busybox-arm" :/srv/only-one-file/
}

teardown_file() {
	[ "$(uname -m)" != x86_64 ] || guest rm -rf /srv/arm /srv/only-one-file
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return 1
}

# Members of the row of an architecture: `row armhf state`.
row() {
	initvm binfmt list -n base --json | grep "\"architecture\":\"$1\"" | json "$2"
}

# Folders of programs that run: none, when none does.
kept() { guest find /tmp -maxdepth 1 -name 'initvm-run-*'; }
none_kept() { [ -z "$(kept)" ]; }

@test "every foreign architecture is registered with POCF and proven, and the host was told with Hello" {
	local arch
	run initvm binfmt -n base
	expect 0
	[[ ${lines[0]} =~ ^ARCH\ +NAME\ +STATE\ +INTERPRETER\ +FLAGS\ +PROOF$ ]]
	for arch in arm64 armhf armel loong64 mips64el mipsel ppc64el riscv64 s390x; do
		[[ $output =~ $arch\ +qemu-[a-z0-9]+\ +proven\ +/usr/libexec/qemu-binfmt/[a-z0-9]+-binfmt-P\ +POCF\ +exit\ status\ 42 ]] ||
			{ echo "$arch"; false; }
	done
	[[ $output =~ amd64\ +-\ +proven\ +-\ +-\ +exit\ status\ 42 ]]
	[[ $output =~ i386\ +-\ +proven ]]
	# Hello is said again when the proofs are there; the list has waited for them, the news of it may still be on its way.
	all_told() { [ "$("$TREE/tests/lib/varlink.py" call org.initvm.Binfmt '{"name": "base"}' | grep -o '"state": *"proven"' | wc -l)" -eq 11 ]; }
	within 10 all_told
}

@test "binfmt show arm: what the kernel's file prints" {
	run initvm binfmt -n base show arm
	expect 0
	[ "$output" = "enabled
interpreter /usr/libexec/qemu-binfmt/arm-binfmt-P
flags: POCF
offset 0
magic 7f454c4601010100000000000000000002002800
mask ffffffffffffff00fffffffffffffffffeffffff" ]
	[ "$output" = "$(guest cat /proc/sys/fs/binfmt_misc/qemu-arm)" ]
	[ "$output" = "$(initvm binfmt -n base show armhf)" ]
	[[ $(guest readlink /usr/libexec/qemu-binfmt/arm-binfmt-P) == ../../bin/qemu-arm* ]]
	run initvm binfmt -n base show amd64
	expect_one_sentence 1 "the VM's CPU runs it"
}

@test "busybox for armhf by name, and explicitly through its emulator" {
	run guest sh -c 'cd /srv/arm && ./busybox-arm ls'
	expect 0
	[ "$output" = busybox-arm ]
	# Debian 12 and 13 call it differently.
	# shellcheck disable=SC2016
	run guest sh -c 'cd /srv/arm && "$(command -v qemu-arm-static || command -v qemu-arm)" ./busybox-arm ls'
	expect 0
	[ "$output" = busybox-arm ]
	[ "$(guest /srv/arm/busybox-arm uname -m)" = armv7l ]
}

@test "in a chroot that holds only that one file it still runs" {
	run guest chroot /srv/only-one-file /busybox-arm ls /
	expect 0
	[ "$output" = busybox-arm ]
}

@test "initvm run: output, input, status, user, and an emulated program that executes itself again" {
	run initvm run -n base --cwd /srv/arm ./busybox-arm ls
	expect 0
	[ "$output" = busybox-arm ]
	[ "$(echo in | initvm run -n base ./busybox-arm sed s/in/out/)" = out ]
	run initvm run -n base --arch armhf ./busybox-arm sh -c 'ls -d /usr; uname -m; exit 7'
	expect 7 $'/usr\narmv7l'
	run initvm run -n base ./busybox-arm sh -c 'kill -9 $$'
	expect 137
	run initvm run -n base --user nobody ./busybox-arm id -un
	expect 0
	[ "$output" = nobody ]
	run initvm run -n base -t ./busybox-arm tty
	expect 0 /dev/pts/
	none_kept
}

@test "initvm run: what it is is said when it cannot be executed" {
	run initvm run -n base "$BATS_FILE_TMPDIR/armhf/usr/bin/hello"
	expect_one_sentence 126 "'hello' is a program for armhf (32-bit, little-endian) that is linked dynamically"
	[[ $output == *"'/lib/ld-linux-armhf.so.3' is not in the VM"* ]]
	run initvm run -n base --arch arm64 ./busybox-arm
	expect_one_sentence 126 'and not a program for arm64'
	none_kept
}

@test "initvm run, killed: the program ends and its file goes; the same with the daemon, once the next one is there" {
	local pid
	initvm run -n base ./busybox-arm sh -c 'echo begun; exec sleep 1234' >"$BATS_TEST_TMPDIR/output" &
	pid=$!
	wait_line "$BATS_TEST_TMPDIR/output" begun
	[ -n "$(kept)" ]
	kill -KILL "$pid"
	within 30 none_kept
	initvm run -n base ./busybox-arm sh -c 'echo begun; exec sleep 1234' >"$BATS_TEST_TMPDIR/output2" 2>/dev/null &
	pid=$!
	wait_line "$BATS_TEST_TMPDIR/output2" begun
	kill -KILL "$(daemon_pid)"
	wait_pid "$pid"
	within 60 none_kept
	nobody_sleeps() { [ -z "$(guest pgrep -f 'sleep 1234')" ]; }
	within 30 nobody_sleeps
}

@test "an entry that is gone, or without the flags, is made anew from a file of this boot" {
	guest sh -c 'echo -1 >/proc/sys/fs/binfmt_misc/qemu-arm'
	run initvm run -n base ./busybox-arm true
	expect_one_sentence 126 'no emulator for it is registered'
	run initvm binfmt -n base test arm armel
	expect 0
	[ "$(row armhf flags)" = POCF ]
	# as the distribution has it, without C
	guest sh -c 'echo -1 >/proc/sys/fs/binfmt_misc/qemu-aarch64 && cat /usr/lib/binfmt.d/qemu-aarch64.conf >/proc/sys/fs/binfmt_misc/register'
	[[ $(guest cat /proc/sys/fs/binfmt_misc/qemu-aarch64) == *$'flags: POF\n'* ]]
	[ "$(row arm64 flags)" = POCF ]
	[ "$(row arm64 state)" = proven ]
	run guest cat /run/binfmt.d/qemu-aarch64.conf
	expect 0 ':/usr/libexec/qemu-binfmt/aarch64-binfmt-P:POCF'
}

@test "an emulator that does not work: failed, 1, why, and the daemon knows; then proven again" {
	# The entry that was made last is the one that counts.
	guest sh -c 'sed "s|qemu-riscv64:|a-wrong-riscv64:|; s|:/usr/libexec/.*|:/bin/false:POCF|" /usr/lib/binfmt.d/qemu-riscv64.conf >/proc/sys/fs/binfmt_misc/register'
	run initvm binfmt -n base test riscv64
	expect 1 'exit status 1 instead of exit status 42'
	says_failed() {
		"$TREE/tests/lib/varlink.py" call org.initvm.Binfmt '{"name": "base"}' | grep -q '"state": *"failed"'
	}
	within 10 says_failed
	guest sh -c 'echo -1 >/proc/sys/fs/binfmt_misc/a-wrong-riscv64'
	run initvm binfmt -n base test riscv64
	expect 0 'exit status 42'
	never_failed() { ! says_failed; }
	within 10 never_failed
}

@test "a proof is kept for the boot: an agent that is started again does not repeat it" {
	local before
	before=$(guest stat -c '%i %Y' /run/initvm-agent/binfmt.json)
	# This command loses its agent, sooner or later.
	run guest systemctl restart --no-block initvm-agent
	within 60 guest true
	[ "$(row armhf state)" = proven ]
	[ "$(guest stat -c '%i %Y' /run/initvm-agent/binfmt.json)" = "$before" ]
}
