#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Debian for armhf in the VM 'base': `make check-foreign`.  On software emulation its programs are emulated by what is emulated itself,
# and making it takes many minutes.  With INITVM_TEST_CACHE=/some/folder that is done once.

load ../lib/vm

terminal=$TREE/tests/lib/terminal.py
export TERMINAL_DEADLINE=120

setup_file() {
	need_base
	guest rm -rf /srv/shown
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
}

# Emulation of the emulation: once.
need_armhf() {
	local cached=${INITVM_TEST_CACHE:+$INITVM_TEST_CACHE/bookworm-armhf.tar.zst}
	[[ " $(names)" != *' armhf '* ]] || return 0
	if [ -n "$cached" ] && [ -e "$cached" ]; then
		chroot_ import armhf "$cached"
		return
	fi
	chroot_ create armhf --arch armhf --suite bookworm --variant apt
	[ -z "$cached" ] || { mkdir -p "$INITVM_TEST_CACHE" && chroot_ export armhf "$cached"; }
}

@test "Debian for armhf: it says so itself, the kernel is the VM's, su becomes another user" {
	need_armhf
	[ "$(chroot_ show armhf --json | json architecture)" = armhf ]
	run chroot_ run armhf -- sh -c 'uname -m; dpkg --print-architecture; uname -r'
	expect 0
	[[ ${lines[0]} == armv* ]]
	[ "${lines[1]}" = armhf ]
	[ "${lines[2]}" = "$(guest uname -r)" ]
	run chroot_ run armhf --user games -- sh -c 'id -u; setpriv --dump >/dev/null; stat -c %a /bin/su'
	expect 0
	[ "${lines[0]}" = "$(chroot_ run armhf -- id -u games)" ]
	# from an ordinary user to another, by a program that is set-user-ID root and a password
	chroot_ run armhf --save-as users -- sh -c 'useradd -m eve && useradd -m bob && echo bob:secret | chpasswd'
	run "$terminal" 'expect:assword' 'send:secret\r' 'expect:uid=\d+\(bob\)' status:0 -- \
		initvm chroot -n base run users --tty --user eve -- su bob -c id
	expect 0
	chroot_ remove users
}

@test "one more package in Debian for armhf, saved under a new name; the old one is untouched" {
	need_armhf
	# the package comes from the VM: reading Debian's lists takes minutes under emulation of the emulation
	fetch_packages "$PWD/hello" hello:armhf
	guest mkdir -p /srv/shown
	initvm cp -n base hello/hello_*.deb :/srv/shown/hello.deb
	run chroot_ run armhf --save-as armhf-hello --bind /srv/shown:/mnt -- apt-get -q -y install /mnt/hello.deb
	expect 0
	[ "$(chroot_ run armhf-hello -- hello)" = 'Hello, world!' ]
	run -127 chroot_ run armhf -- hello
	expect 127
	run chroot_ run armhf -- dpkg -s hello
	expect 1
	chroot_ remove armhf-hello
}
