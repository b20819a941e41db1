#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Disks with more than a root file system: files are found where the running system has them, and what cannot grow is said.  The VM is a
# folder that looks like one; what is on its disk was never booted.

load ../lib/common
load ../lib/disk_image

setup_file() {
	new_home
	local root=$BATS_FILE_TMPDIR/root folder=$INITVM_HOME/vms/one raw=$BATS_FILE_TMPDIR/raw
	case $(dpkg --print-architecture) in
	amd64) make_root "$root" 076 ;;
	*) make_root "$root" 267 ;;
	esac
	mkdir -p "$root/home" "$root/media" "$BATS_FILE_TMPDIR/home/user" "$folder"
	chmod 711 "$INITVM_HOME/vms" "$folder"
	echo 'of the user' >"$BATS_FILE_TMPDIR/home/user/note"
	printf '%s\n' '/dev/sda1 / ext4 defaults 0 1' '/dev/sda2 /home ext4 defaults 0 2' '/dev/sr0 /media auto noauto 0 0' >"$root/etc/fstab"
	make_disk "$raw" 65 "$root" "$BATS_FILE_TMPDIR/home"
	qemu-img convert -O qcow2 "$raw" "$folder/buildenv.img"
	echo kernel >"$folder/kernel"
	echo initrd >"$folder/initrd"
	printf '{"name":"one","uuid":"%s","image":"none","suite":"none","architecture":"%s","commandLine":"root=UUID=%s ro","acceleration":"tcg","memory":268435456,"cpus":1,"size":68157440,"created":1}\n' \
		"$(cat /proc/sys/kernel/random/uuid)" "$(dpkg --print-architecture)" "$(blkid -p -O 1M -s UUID -o value "$raw")" >"$folder/vm.json"
}

teardown_file() { remove_home; }

# What debugfs(8) answers to $2 of partition $1.
look() {
	qemu-img convert -O raw "$INITVM_HOME/vms/one/buildenv.img" "$BATS_TEST_TMPDIR/raw"
	debugfs -R "$2" "$BATS_TEST_TMPDIR/raw?offset=$(((1 + ($1 - 1) * 32) << 20))" 2>/dev/null
}

@test "a file on another file system is read" {
	run --separate-stderr initvm disk cat -n one /home/user/note
	expect 0 'of the user'
}

@test "a file is written to the file system that is mounted there, not below it" {
	echo 'a new one' >"$BATS_TEST_TMPDIR/new"
	run initvm disk cp "$BATS_TEST_TMPDIR/new" one:/home/user/
	expect 0
	[ "$(look 2 'cat /user/new')" = 'a new one' ]
	[ -z "$(look 1 'ls -p /home' | grep user)" ]
}

@test "resize: a root file system that is not in the last partition stays, and the size that the disk has is told" {
	run initvm disk resize -n one 256M
	expect 1 'the root partition is not the last one of the disk'
	[[ $output == *'the disk has 256 MiB now'* ]]
	[ "$(initvm status -n one --json | json disk.virtual)" = 268435456 ]
}

@test "the sanitizers found nothing" {
	initvm daemon stop
	sanitizers_silent
	run ! grep -aE 'ERROR: (Address|Leak)Sanitizer|runtime error:' "$INITVM_HOME/vms/one/disk.log"
}
