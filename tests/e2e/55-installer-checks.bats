#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# What is found out before an installation begins, that would end it minutes later: one sentence each, nothing left behind.

load ../lib/common
load ../lib/packages
load ../lib/archive

setup_file() {
	[ "$(uname -m)" = x86_64 ] || skip 'the installer is there for amd64 only'
	new_home
	export SERVED=$BATS_FILE_TMPDIR/served KEY=$BATS_FILE_TMPDIR/key
	mkdir "$SERVED"
	make_key "$KEY"
	start_mirror "$SERVED"
	echo "$mirror_pid" >"$BATS_FILE_TMPDIR/mirror"
	export mirror_url
	initvm list
}

teardown_file() {
	remove_home
	[ ! -f "$BATS_FILE_TMPDIR/mirror" ] || kill "$(cat "$BATS_FILE_TMPDIR/mirror")"
}

setup() {
	name=a$BATS_TEST_NUMBER
	printf 'd-i apt-setup/services-select multiselect\nd-i apt-setup/enable-source-repositories boolean false\n' >"$BATS_TEST_TMPDIR/p.cfg"
}

teardown() {
	[ -z "$(entries creating)" ]
	[ -z "$(entries failed)" ]
	[ -z "$(processes qemu-)" ]
}

install_() { run initvm create -n x --method installer --image net --preseed "$BATS_TEST_TMPDIR/p.cfg" --size 4G "$@"; }

@test "a mirror that is signed with another key" {
	make_key "$BATS_TEST_TMPDIR/other"
	make_archive "$SERVED/$name" "$BATS_TEST_TMPDIR/other" "$INSTALLER_KERNEL"
	installer_image "$mirror_url/$name" "$KEY/keyring.gpg"
	install_
	expect 1 'signed with a key that is not known'
}

@test "a Release file that has expired" {
	make_archive "$SERVED/$name" "$KEY" "$INSTALLER_KERNEL" 'Date: Sat, 01 Jan 2022 00:00:00 UTC' 'Valid-Until: Sat, 08 Jan 2022 00:00:00 UTC'
	installer_image "$mirror_url/$name" "$KEY/keyring.gpg"
	install_
	expect 1 'Release file has expired'
}

@test "components for another kernel than the installer's: both are named" {
	make_archive "$SERVED/$name" "$KEY" 6.1.0-100-amd64
	installer_image "$mirror_url/$name" "$KEY/keyring.gpg"
	install_
	expect 1 "no components for the installer's kernel 6.1.0-99-amd64, but for: 6.1.0-100-amd64"
	[[ $output == *"--mirror"* ]]
}

@test "components that the index names and the mirror does not have" {
	make_archive "$SERVED/$name" "$KEY" "$INSTALLER_KERNEL"
	rm "$SERVED/$name/pool/ext4-modules-$INSTALLER_KERNEL-di.udeb"
	installer_image "$mirror_url/$name" "$KEY/keyring.gpg"
	install_
	expect 1 "cannot deliver 1 of the components"
	[[ $output == *"ext4-modules-$INSTALLER_KERNEL-di"* ]]
}

@test "a component whose content is not what the index says" {
	make_archive "$SERVED/$name" "$KEY" "$INSTALLER_KERNEL"
	echo changed >>"$SERVED/$name/pool/ext4-modules-$INSTALLER_KERNEL-di.udeb"
	installer_image "$mirror_url/$name" "$KEY/keyring.gpg"
	install_
	[ "$status" -eq 1 ]
	[[ $output == *"ext4-modules-$INSTALLER_KERNEL-di"* ]]
}

@test "a package of the preseed that does not exist" {
	make_archive "$SERVED/$name" "$KEY" "$INSTALLER_KERNEL"
	installer_image "$mirror_url/$name" "$KEY/keyring.gpg"
	echo 'd-i pkgsel/include string less no-such-package' >>"$BATS_TEST_TMPDIR/p.cfg"
	install_
	expect 2 'no-such-package'
	[[ $output == *'does not have a package'* ]]
}

@test "a proxy that is this host is told to the installer as the gateway, and one that does not answer is an error" {
	make_archive "$SERVED/$name" "$KEY" "$INSTALLER_KERNEL"
	installer_image "$mirror_url/$name" "$KEY/keyring.gpg"
	install_ --proxy http://localhost:9/
	expect 1 'cannot be reached'
	[[ $output == *"'http://localhost:9/' is this host, which the installer reaches as 'http://10.0.2.2:9/'"* ]]
	install_ --proxy proxy:3128
	expect 2 "'proxy:3128' is not a URL"
}

@test "an image without an installer" {
	make_archive "$SERVED/$name" "$KEY" "$INSTALLER_KERNEL"
	installer_image "$mirror_url/$name" "$KEY/keyring.gpg"
	/usr/bin/python3 - "$INITVM_HOME/config/images/net.json" <<-'END'
		import json, sys
		image = json.load(open(sys.argv[1]))
		del image["installer"]
		json.dump(image, open(sys.argv[1], "w"))
	END
	install_
	expect 1 "image 'net' names no installer"
}

@test "an installer whose initrd is none" {
	make_archive "$SERVED/$name" "$KEY" "$INSTALLER_KERNEL"
	installer_image "$mirror_url/$name" "$KEY/keyring.gpg"
	head -c 1000 /dev/urandom >"$BATS_TEST_TMPDIR/initrd.gz"
	install_
	expect 2 "$BATS_TEST_TMPDIR/initrd.gz"
	rm "$BATS_TEST_TMPDIR/linux"
	install_
	expect 1 "$BATS_TEST_TMPDIR/linux"
}

@test "a wrong method" {
	run initvm create --method magic
	expect 2 "bootstrap"
}
