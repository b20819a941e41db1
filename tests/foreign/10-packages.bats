#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Debian packages by `initvm submit`, from the command on the host to the files in its output folder: `make check-foreign`.  The chroot of
# the VM's own architecture is made by the first job.  On software emulation each test takes many minutes.

load ../lib/vm

setup_file() {
	need_base
	mkdir -p "$BATS_FILE_TMPDIR/hello/lists/partial"
	cd "$BATS_FILE_TMPDIR/hello" || return 1
	echo 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main' >list
	local options=(-q -o "Dir::Etc::SourceList=$PWD/list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$PWD/lists"
		-o APT::Sandbox::User=)
	apt-get "${options[@]}" update
	apt-get "${options[@]}" source --download-only hello
	# Made in a VM that is emulated itself it would take more than an hour.
	[[ " $(names)" = *' trixie-armhf '* ]] || chroot_ import trixie-armhf "$("$TREE/tests/lib/foreign-rootfs" --build "$PWD"/hello_*.dsc armhf | tail -n 1)"
}

setup() {
	export INITVM_NAME=base
	cd "$BATS_TEST_TMPDIR" || return 1
}

# What a package build leaves in the folder `out`: package $1 for the architecture $2, and what belongs to it.
whole() {
	[ "$(dpkg-deb -f out/"$1"_*_"$2".deb Package)" = "$1" ]
	[ "$(dpkg-deb -f out/"$1"_*_"$2".deb Architecture)" = "$2" ]
	ls out/"$1"_*_"$2".changes out/"$1"_*_"$2".buildinfo
	dpkg-deb -x out/"$1"_*_"$2".deb unpacked
}

# The source package `small`, whose build depends on $1 and writes what it was built by.
make_small() {
	mkdir -p small/debian/source
	printf '%s\n' 'small (1.0) unstable; urgency=low' '' '  * First.' '' ' -- initvm <initvm@example.org>  Sun, 22 Nov 2026 00:00:00 +0000' \
		>small/debian/changelog
	printf '%s\n' 'Source: small' 'Section: misc' 'Priority: optional' 'Maintainer: initvm <initvm@example.org>' 'Standards-Version: 4.6.2' \
		"Build-Depends: $1" '' 'Package: small' 'Architecture: any' 'Description: small' >small/debian/control
	printf '%s\n' '#!/usr/bin/make -f' 'build build-arch build-indep:' 'clean:' '	rm -rf debian/tmp debian/files' 'binary: binary-arch' \
		'binary-arch:' '	mkdir -p debian/tmp/DEBIAN debian/tmp/usr/share/small' '	echo 6*7 | bc >debian/tmp/usr/share/small/answer' \
		'	id -un >debian/tmp/usr/share/small/builder' '	uname -m >debian/tmp/usr/share/small/machine' '	dpkg-gencontrol -psmall' \
		'	dpkg-deb --build debian/tmp ..' 'binary-indep:' >small/debian/rules
	chmod 755 small/debian/rules
	echo '3.0 (native)' >small/debian/source/format
}

@test "packages are installed in the overlay only, with the network that the command does not get" {
	run initvm submit --suite trixie --package hello --no-network -- sh -c 'hello; grep -c : /proc/net/dev'
	expect 0 'Hello, world!
1'
	[[ $(initvm cache list) = *" $(vm_get base architecture) "*trixie* ]] # what the job has made is kept on the host
	chroot_ remove "trixie-$(vm_get base architecture)"
	run -127 initvm submit --suite trixie -- hello
	expect 127
	run initvm submit --suite trixie --package no-such-package -- true
	expect 125 'packages could not be installed'
	[[ "$output" = *'Unable to locate package no-such-package'* ]]
}

@test "a folder with debian/, and its build dependency" {
	make_small bc
	run initvm submit --suite trixie --output out small
	expect 0
	whole small "$(vm_get base architecture)"
	[ "$(cat unpacked/usr/share/small/answer)" = 42 ]
	[ "$(cat unpacked/usr/share/small/builder)" != root ]
	make_small no-such-package
	run initvm submit --suite trixie --output none small
	expect 125 'build dependencies could not be installed'
	[ ! -e none ]
}

@test "hello of its .dsc, built without a network" {
	run initvm submit --suite trixie --no-network --output out "$BATS_FILE_TMPDIR"/hello/hello_*.dsc
	expect 0
	whole hello "$(vm_get base architecture)"
	[ "$(unpacked/usr/bin/hello)" = 'Hello, world!' ]
}

@test "a folder with debian/ for armhf" {
	make_small bc
	run initvm submit --arch armhf --suite trixie --output out small
	expect 0
	whole small armhf
	[[ $(cat unpacked/usr/share/small/machine) = armv[78]l ]]
}

@test "hello of its .dsc for armhf" {
	run initvm submit --arch armhf --suite trixie --output out "$BATS_FILE_TMPDIR"/hello/hello_*.dsc
	expect 0
	whole hello armhf
	chroot_ show trixie-armhf
	initvm cp out/hello_*_armhf.deb :/root/hello.deb
	run chroot_ run trixie-armhf --bind /root/hello.deb -- sh -c 'dpkg -i /root/hello.deb && hello'
	expect 0 'Hello, world!'
}
