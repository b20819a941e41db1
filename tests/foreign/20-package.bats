#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Debian packages as build jobs, in a Debian of the VM's own architecture: `make check-foreign`. On software emulation making that takes
# minutes; with INITVM_TEST_CACHE=/some/folder it is done once.

load ../lib/vm

agent=/usr/lib/initvm/initvm-agent
token=00000000000000000000000000000001

setup_file() {
	local cached=${INITVM_TEST_CACHE:+$INITVM_TEST_CACHE/bookworm-native.tar.zst}
	need_base
	guest sh -c 'systemctl stop "initvm-job-*.service"; rm -rf /var/lib/initvm/jobs'
	[[ " $(names)" != *' debian '* ]] || return 0
	if [ -n "$cached" ] && [ -e "$cached" ]; then
		chroot_ import debian "$cached"
		return
	fi
	chroot_ create debian --suite bookworm
	[ -z "$cached" ] || { mkdir -p "$INITVM_TEST_CACHE" && chroot_ export debian "$cached"; }
}

teardown_file() {
	guest rm -rf /var/lib/initvm/jobs
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
}

job() {
	local command=$1 id=$2
	shift 2
	guest "$agent" --job "$command" "$id" "$token" "$@"
}

# Job $1 of the description $2 with the inputs of the folder $3, if given, ends with the result $4; its log is in `log`.
ends() {
	{
		echo "$2"
		[ -z "$3" ] || tar -C "$3" -cf - .
	} | initvm exec -n base -- "$agent" --job create "$1" "$token"
	job start "$1"
	job follow "$1" 0 >log 2>/dev/null
	job status "$1" >status
	[ "$(json result.result <status) $(json result.status <status)" = "$4" ] || { cat status; tail -n 40 log; return 1; }
}

# Everything that job $1 has made, in the folder `made`, as its checksums say.
fetch() {
	rm -rf made
	mkdir made
	job artifacts "$1" 2>reports | tar --warning=no-unknown-keyword -C made -xf -
	[ "$(sed 's/.*"name":"\([^"]*\)".*"sha256":"\([^"]*\)".*/\2  \1/' reports | sort)" = "$(cd made && sha256sum -- * | sort)" ]
}

@test "packages are installed in the overlay only, with the network that the command does not get" {
	ends 1 '{"script": "hello; cat /proc/net/dev | grep -c :", "chroot": "debian", "packages": ["hello"], "network": false}' '' 'exited 0'
	[ "$(tail -n 2 log)" = 'Hello, world!
1' ]
	run -127 chroot_ run debian -- hello
	ends 2 '{"command": ["true"], "chroot": "debian", "packages": ["no-such-package"]}' '' 'chroot 0'
	grep -q 'packages could not be installed' status
	grep -q 'Unable to locate package no-such-package' log
}

@test "a package of a folder with debian/" {
	mkdir -p in/small/debian/source
	printf '%s\n' 'small (1.0) unstable; urgency=low' '' '  * First.' '' ' -- initvm <initvm@example.org>  Sun, 22 Nov 2026 00:00:00 +0000' \
		>in/small/debian/changelog
	printf '%s\n' 'Source: small' 'Section: misc' 'Priority: optional' 'Maintainer: initvm <initvm@example.org>' 'Standards-Version: 4.6.2' \
		'Build-Depends: bc' '' 'Package: small' 'Architecture: any' 'Description: small' >in/small/debian/control
	printf '%s\n' '#!/usr/bin/make -f' 'build build-arch build-indep:' 'clean:' '	rm -rf debian/tmp debian/files' 'binary: binary-arch' \
		'binary-arch:' '	mkdir -p debian/tmp/DEBIAN debian/tmp/usr/share/small' '	echo 6*7 | bc >debian/tmp/usr/share/small/answer' \
		'	id -un >debian/tmp/usr/share/small/builder' '	dpkg-gencontrol -psmall' '	dpkg-deb --build debian/tmp ..' 'binary-indep:' \
		>in/small/debian/rules
	chmod 755 in/small/debian/rules
	echo '3.0 (native)' >in/small/debian/source/format
	ends 3 '{"package": {"folder": "small"}, "chroot": "debian", "inputs": true}' in 'exited 0'
	fetch 3
	dpkg-deb -x made/small_1.0_*.deb unpacked
	[ "$(cat unpacked/usr/share/small/answer)" = 42 ]
	ls made/small_1.0_*.changes made/small_1.0_*.buildinfo
	sed -i 's/Build-Depends: bc/Build-Depends: no-such-package/' in/small/debian/control
	ends 4 '{"package": {"folder": "small"}, "chroot": "debian", "inputs": true}' in 'chroot 0'
	grep -q 'build dependencies could not be installed' status
}

@test "hello of its .dsc, built without a network" {
	mkdir -p apt/lists/partial in
	echo 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main' >apt/list
	options=(-q -o "Dir::Etc::SourceList=$PWD/apt/list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$PWD/apt/lists" -o APT::Sandbox::User=)
	apt-get "${options[@]}" update
	(cd in && apt-get "${options[@]}" source --download-only hello)
	ends 5 "{\"package\": {\"dsc\": \"$(cd in && echo hello_*.dsc)\"}, \"chroot\": \"debian\", \"inputs\": true, \"network\": false}" in 'exited 0'
	fetch 5
	[ "$(dpkg-deb -f made/hello_*.deb Package)" = hello ]
	dpkg-deb -x made/hello_*.deb unpacked
	[ "$(unpacked/usr/bin/hello)" = 'Hello, world!' ]
}
