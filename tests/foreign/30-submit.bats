#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Debian packages by `initvm submit`, from the command on the host to the files in its output folder: `make check-foreign`.  On
# software emulation each takes many minutes, most of them for the build dependencies.

load ../lib/vm

setup_file() { need_base; }

setup() {
	export INITVM_NAME=base
	cd "$BATS_TEST_TMPDIR" || return 1
}

# What a package build leaves in the folder `out`: package $1 for the architecture $2, and what belongs to it.
whole() {
	[ "$(dpkg-deb -f out/"$1"_*_"$2".deb Package)" = "$1" ]
	[ "$(dpkg-deb -f out/"$1"_*_"$2".deb Architecture)" = "$2" ]
	ls out/"$1"_*_"$2".changes out/"$1"_*_"$2".buildinfo
}

@test "hello of its .dsc for the VM's architecture, in a chroot that the job makes" {
	mkdir -p apt/lists/partial in
	echo 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main' >apt/list
	options=(-q -o "Dir::Etc::SourceList=$PWD/apt/list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$PWD/apt/lists" -o APT::Sandbox::User=)
	apt-get "${options[@]}" update
	(cd in && apt-get "${options[@]}" source --download-only hello)
	run initvm submit --output out in/hello_*.dsc
	expect 0
	whole hello "$(vm_get base architecture)"
	dpkg-deb -x out/hello_*.deb unpacked
	[ "$(unpacked/usr/bin/hello)" = 'Hello, world!' ]
}

@test "a folder with debian/ for armhf" {
	local archive
	archive=$("$TREE/tests/lib/foreign-rootfs" armhf | tail -n 1)
	chroot_ import bookworm-armhf "$archive"
	mkdir -p small/debian/source
	printf '%s\n' 'small (1.0) unstable; urgency=low' '' '  * First.' '' ' -- initvm <initvm@example.org>  Sun, 22 Nov 2026 00:00:00 +0000' \
		>small/debian/changelog
	printf '%s\n' 'Source: small' 'Section: misc' 'Priority: optional' 'Maintainer: initvm <initvm@example.org>' 'Standards-Version: 4.6.2' \
		'' 'Package: small' 'Architecture: any' 'Description: small' >small/debian/control
	printf '%s\n' '#!/usr/bin/make -f' 'build build-arch build-indep:' 'clean:' '	rm -rf debian/tmp debian/files' 'binary: binary-arch' \
		'binary-arch:' '	mkdir -p debian/tmp/DEBIAN debian/tmp/usr/share/small' '	uname -m >debian/tmp/usr/share/small/machine' \
		'	dpkg-gencontrol -psmall' '	dpkg-deb --build debian/tmp ..' 'binary-indep:' >small/debian/rules
	chmod 755 small/debian/rules
	echo '3.0 (native)' >small/debian/source/format
	run initvm submit --arch armhf --suite bookworm --output out small
	expect 0
	whole small armhf
	dpkg-deb -x out/small_*.deb unpacked
	[[ $(cat unpacked/usr/share/small/machine) = armv[78]l ]]
}
