#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Real Debian of other architectures as chroots, made on this machine (tests/lib/foreign-rootfs), and one more package in it.  On
# software emulation their programs are emulated by what is emulated itself: what can be is done in one command.

load ../lib/vm

terminal=$TREE/tests/lib/terminal.py
export TERMINAL_DEADLINE=300

setup_file() {
	local archives archive
	[ "$(uname -m)" = x86_64 ] || skip 'a CPU of this architecture may run armhf and arm64 by itself'
	archives=$("$TREE/tests/lib/foreign-rootfs" armhf arm64 2>"$BATS_FILE_TMPDIR/reason") || {
		[ $? -eq 77 ] && skip "$(tail -n 1 "$BATS_FILE_TMPDIR/reason")"
		cat "$BATS_FILE_TMPDIR/reason"
		return 1
	}
	need_base
	for archive in $archives; do
		archive=${archive#*/bookworm-}
		chroot_ import "${archive%%-*}" "${INITVM_TEST_CACHE:-$TREE/build/test-cache}/bookworm-$archive"
	done
}

teardown_file() {
	[ "$(uname -m)" = x86_64 ] || return 0
	# shellcheck disable=SC2046 # names have no blanks
	[ -z "$(names)" ] || chroot_ remove $(names)
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
}

teardown() { [ -z "${mirror_pid:-}" ] || kill "$mirror_pid"; }

@test "it says itself of which architecture it is; kernel and devices are the VM's" {
	local architecture
	for architecture in armhf arm64; do
		[ "$(chroot_ show $architecture --json | json architecture)" = $architecture ]
		[ "$(chroot_ show $architecture --json | json suite)" = bookworm ]
		run chroot_ run $architecture -- sh -c 'uname -m; dpkg --print-architecture; uname -r; cat /proc/partitions'
		expect 0 "$(guest cat /proc/partitions)" # kernel and devices
		case $architecture in
		armhf) [ "${lines[0]}" = armv7l ] ;;
		arm64) [ "${lines[0]}" = aarch64 ] ;;
		esac
		[ "${lines[1]}" = $architecture ]
		[ "${lines[2]}" = "$(guest uname -r)" ]
	done
}

@test "a job in it: its statistics tell how much of its time was under emulation" {
	local id
	id=$(initvm submit -n base --chroot armhf --detach -- sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done')
	initvm job wait "$id"
	[ "$(initvm job show "$id" --json | json job.result.stats.emulated)" -ge 50 ]
	[[ $(initvm job show "$id") = *' % of the time under emulation'* ]]
	initvm job remove "$id"
}

@test "su from an ordinary user to another: programs that are set-user-ID keep their rights" {
	local architecture
	for architecture in armhf arm64; do
		run chroot_ run $architecture --user eve -- id -un
		expect 0
		[ "$output" = eve ]
		run "$terminal" 'expect:assword' 'send:secret\r' 'expect:uid=1001\(bob\)' status:0 -- \
			initvm chroot -n base run $architecture --tty --user eve -- su bob -c id
		expect 0
	done
	run "$terminal" 'expect:assword' 'send:wrong\r' 'expect:failure' status:1 -- \
		initvm chroot -n base run armhf --tty --user eve -- su bob -c id
	expect 0
}

@test "a shell with one more package, saved under a new name at its end; the old one is untouched" {
	mkdir repository
	fetch_packages "$PWD/hello" hello:armhf >/dev/null
	mv hello/hello_*.deb repository/
	make_repository "$PWD/repository"
	start_mirror "$PWD/repository"
	run "$terminal" 'expect:# ' "send:echo 'deb [trusted=yes] $mirror_url stable main' >/etc/apt/sources.list; apt-get update && echo up-to-\$((1+1))\\r" \
		'expect:up-to-2' 'send:apt-get install hello && echo installed-$((1+1))\r' 'expect:installed-2' 'send:exit\r' \
		'expect:Save as' 'send:armhf-hello\r' "expect:saved as 'armhf-hello'" status:0 -- initvm chroot -n base shell armhf
	expect 0
	[ "$(chroot_ run armhf-hello -- sh -c 'hello; dpkg-query -W -f "\${Architecture}" hello')" = $'Hello, world!\narmhf' ]
	run -127 chroot_ run armhf -- hello
	expect 127
	run guest grep -c 'Package: hello' /var/lib/initvm/chroots/armhf/root/var/lib/dpkg/status
	expect 1 0
	[ "$(chroot_ show armhf-hello --json | json origin)" = 'saved from armhf' ]
}

@test "from the VM the processes and files of such a chroot are seen; from inside nothing of the VM" {
	local client status=0
	initvm chroot -n base run arm64 --user eve -- sh -c 'echo here >/home/eve/file; ls -d /var/lib/initvm /usr/lib/initvm; echo ready; exec sleep 1000' >out 2>&1 &
	client=$!
	wait_line out ready
	[ "$(guest sh -c 'cat /run/initvm/chroots/arm64.*/root/home/eve/file')" = here ]
	initvm ps -n base >processes
	grep -qE '^arm64 +[0-9]+ +1000 +.*sleep 1000$' processes
	[ "$(grep -c 'No such file' out)" = 2 ]
	[ "$(qemus | wc -l)" -eq 1 ] # which is all that is seen on the host
	kill -TERM "$client"
	wait "$client" || status=$?
	[ "$status" -eq 143 ]
}

@test "a static program for riscv64: from the host, and in a chroot that holds only it" {
	suite=trixie fetch_packages "$PWD/riscv64" busybox-static:riscv64 >/dev/null # the first release for riscv64
	run initvm run -n base riscv64/usr/bin/busybox uname -m
	expect 0
	[ "$output" = riscv64 ]
	mkdir -p only/bin
	cp riscv64/usr/bin/busybox only/bin/
	chroot_ create only --from only --arch riscv64
	run chroot_ run only -- busybox uname -m
	expect 0
	[ "$output" = riscv64 ]
	[ "$(chroot_ show only --json | json architecture)" = riscv64 ]
}
