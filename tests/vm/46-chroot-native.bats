#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Programs of the VM that stand in for those of a foreign chroot.  Here that is one of busybox whose dpkg database says it is foreign,
# and whose own dpkg-deb is a script, so that nothing is emulated; that real packages are unpacked in the same way is what
# tests/foreign shows.

load ../lib/vm

setup_file() {
	need_base
	guest rm -rf /var/lib/initvm/chroots
	make_foreign "$BATS_FILE_TMPDIR/foreign"
	chroot_ create foreign --from "$BATS_FILE_TMPDIR/foreign"
}

teardown_file() {
	for name in $(names); do
		chroot_ remove "$name"
	done
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
}

teardown() {
	[ -z "${client:-}" ] || kill -TERM "$client" 2>/dev/null || true
}

# Busybox of the VM's architecture, and the database of another one with the VM's versions.
make_foreign() {
	local package command
	fetch_packages "$BATS_FILE_TMPDIR/packages" "busybox-static:$(guest dpkg --print-architecture)"
	mkdir -p "$1"/{usr/bin,etc,root,tmp,var/lib/dpkg}
	ln -s usr/bin "$1/bin"
	cp "$BATS_FILE_TMPDIR/packages/bin/busybox" "$1/bin/busybox"
	for command in sh cat echo ls rm mkdir chmod sleep; do
		ln -s busybox "$1/bin/$command"
	done
	for command in dpkg-deb dpkg-split tar; do
		printf '#!/bin/sh\necho own "$@"\n' >"$1/bin/$command"
		chmod 755 "$1/bin/$command"
		touch -d @1700000000 "$1/bin/$command" # packages and images have whole seconds
	done
	echo root:x:0:0::/root:/bin/sh >"$1/etc/passwd"
	echo root:x:0: >"$1/etc/group"
	for package in dpkg tar; do
		printf 'Package: %s\nStatus: install ok installed\nArchitecture: armhf\nVersion: %s\n\n' "$package" \
			"$(guest dpkg-query -W -f '${Version}' "$package")"
	done >"$1/var/lib/dpkg/status"
}

@test "a program of the VM stands in, and not with --accelerate=no" {
	run chroot_ run foreign -- dpkg-deb --version
	expect 0 "package archive backend"
	run chroot_ run foreign --accelerate -- dpkg-deb --version
	expect 0 "package archive backend"
	run chroot_ run foreign --accelerate=no -- dpkg-deb --version
	expect 0
	[ "$output" = 'own --version' ]
	run chroot_ run foreign --accelerate=no -- ls /run
	expect 0
	[[ $output != *initvm* ]]
}

@test "it does what it is for: a package is made, read and unpacked, by the VM's tar as well" {
	chroot_ run foreign --save-as package -- sh -c '
		mkdir -p tree/DEBIAN tree/etc
		printf "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: p <p@example>\nDescription: p\n" >tree/DEBIAN/control
		echo content >tree/etc/file
		/run/initvm-native/bin/dpkg-deb --root-owner-group -b tree p.deb'
	run chroot_ run package -- sh -c 'n=/run/initvm-native/bin/dpkg-deb; $n -x p.deb out && cat out/etc/file && $n -f p.deb Package; /usr/bin/tar --version'
	expect 0
	[ "${lines[0]}" = content ]
	[ "${lines[1]}" = p ]
	[ "${lines[2]}" = 'own --version' ]
	chroot_ remove package
}

@test "the chroot's own program runs when it was replaced, or another one comes first, or the environment might matter" {
	run chroot_ run foreign -- sh -c 'echo "echo replaced" >/usr/bin/dpkg-split; dpkg-split --version'
	expect 0
	[ "$output" = replaced ]
	run chroot_ run foreign -- sh -c 'mkdir /first && echo "echo first" >/first/dpkg-split && chmod 755 /first/dpkg-split
		PATH=/first:$PATH dpkg-split --version; PATH=$PATH:/first dpkg-split --version'
	expect 0 first
	expect 0 'package split/join tool'
	run chroot_ run foreign -- sh -c 'mkdir /local && echo "echo local" >/local/dpkg-split && chmod 755 /local/dpkg-split
		PATH=/run/initvm-native/bin:/local:/usr/bin dpkg-split --version'
	expect 0
	[ "$output" = local ]
	for assignment in LD_PRELOAD=libfakeroot.so LD_LIBRARY_PATH=/lib LANG=de_DE.UTF-8 LC_ALL=fr_FR; do
		run chroot_ run foreign -e "$assignment" -- dpkg-deb --version
		[ "$status" -eq 0 ]
		[ "${lines[-1]}" = 'own --version' ]
	done
	run chroot_ run foreign -e LANG=C.UTF-8 -- dpkg-deb --version
	expect 0 "package archive backend"
	run -127 chroot_ run foreign -- sh -c 'rm /usr/bin/dpkg-split; dpkg-split --version'
	expect 127
}

@test "nothing in it can be changed, and it is not in what is saved or exported" {
	run chroot_ run foreign --save-as saved -- sh -c 'ls /run/initvm-native; echo x >/run/initvm-native/bin/dpkg-deb; echo x >/run/initvm-native/new; true'
	expect 0 launcher
	expect 0 'Read-only file system'
	run chroot_ run saved -- cat /usr/bin/dpkg-deb
	expect 0 'echo own'
	run guest sh -c 'ls -A /var/lib/initvm/chroots/saved/root/run /var/lib/initvm/overlays; find /var/lib/initvm/chroots -path "*native*"'
	expect 0
	[[ $output != *native* ]]
	chroot_ export saved saved.tar
	run tar -tf saved.tar
	expect 0
	[[ $output != *native* ]]
	chroot_ remove saved
}

@test "nothing of it is left when the command is killed" {
	initvm chroot -n base run foreign -- sh -c 'ls /run/initvm-native; echo ready; exec sleep 1000' >out &
	client=$!
	wait_line out ready
	grep -q launcher out
	guest pkill -KILL -f -- '--chroot run -- foreign'
	wait "$client" && return 1
	client=
	chroot_ list >/dev/null
	[ -z "$(guest sh -c 'ls -A /var/lib/initvm/overlays /run/initvm/chroots | grep foreign; grep native /proc/mounts')" ]
}

@test "a chroot of another version, or of the VM's own architecture, is left alone" {
	for line in 's/^Version: .*/Version: 0.9/' "s/^Architecture: .*/Architecture: $(guest dpkg --print-architecture)/"; do
		rm -rf other
		cp -a "$BATS_FILE_TMPDIR/foreign" other
		sed -i "$line" other/var/lib/dpkg/status
		chroot_ create other --from other
		run chroot_ run other --accelerate -- dpkg-deb --version
		expect 0
		[ "$output" = 'own --version' ]
		chroot_ remove other
	done
}

@test "chroot build: apt is told of them, and nothing of them is in what was built" {
	mkdir context
	printf '%s\n' 'FROM foreign' 'RUN /run/initvm-native/bin/dpkg-deb --version >/said && cat "$APT_CONFIG" >>/said' >context/Dockerfile
	chroot_ build built context
	run chroot_ run built -- cat /said
	expect 0 'package archive backend'
	[[ $output == *'DPkg::Path "/run/initvm-native/bin:'* ]]
	run guest find /var/lib/initvm/chroots/built/root/run -mindepth 1
	expect 0
	[ -z "$output" ]
	printf '%s\n' 'FROM foreign' '' 'RUN exit 3' >context/Dockerfile
	run chroot_ build never context
	expect 1 'line 3 of the Dockerfile: the command ended with exit status 3'
	printf '%s\n' 'FROM foreign' 'RUN ls /run/initvm-native' >context/Dockerfile
	run chroot_ build never context --accelerate=no
	expect 1 'line 2 of the Dockerfile'
	chroot_ remove built
}
