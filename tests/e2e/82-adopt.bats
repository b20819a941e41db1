#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# initvm create --from: the images that are not taken over. Each is refused with one sentence, is as it was, and leaves nothing.

load ../lib/common
load ../lib/disk_image

setup_file() {
	new_home
	initvm list 2>/dev/null
	leftovers >"$BATS_FILE_TMPDIR/before"
	mkdir "$BATS_FILE_TMPDIR/empty"
	case $(dpkg --print-architecture) in
	amd64) export NATIVE=076 FOREIGN=267 FOREIGN_NAME=arm64 ;;
	*) export NATIVE=267 FOREIGN=076 FOREIGN_NAME=amd64 ;;
	esac
}

teardown_file() { remove_home; }

setup() { image=$BATS_TEST_TMPDIR/image; }

# The image is refused with exit status $1 and the text $2, by a create with the further arguments $3...
refused() {
	local before code=$1 text=$2
	shift 2
	before=$(sha256sum "$image")
	run --separate-stderr initvm create -n adopted --from "$image" "$@"
	output=$(grep '^initvm: ' <<<"$stderr" | grep -v -e '^initvm: warning: ')
	lines=("$output")
	expect_one_sentence "$code" "$text"
	[ "$(sha256sum "$image")" = "$before" ]
	leftovers | diff "$BATS_FILE_TMPDIR/before" -
	[ -z "$(entries creating)$(entries failed)" ]
}

@test "no image: nothing there, a folder, an empty file, a text" {
	run initvm create -n adopted --from "$image"
	expect_one_sentence 1 'cannot read the image'
	run initvm create -n adopted --from "$BATS_FILE_TMPDIR/empty"
	expect 2 'not an image of a disk: it is not a file'
	: >"$image"
	refused 2 'not an image of a disk: it is empty'
	seq 100000 >"$image"
	refused 2 'neither a partition table nor a file system'
}

@test "an image of another format, and one whose backing file is gone" {
	qemu-img create -q -f vmdk "$image" 10M
	refused 1 "of the format 'vmdk': make it one of qcow2 first"
	rm "$image"
	qemu-img create -q -f qcow2 "$BATS_TEST_TMPDIR/base" 10M
	qemu-img create -q -f qcow2 -F qcow2 -b "$BATS_TEST_TMPDIR/base" "$image"
	rm "$BATS_TEST_TMPDIR/base"
	refused 1 'needs a backing file that cannot be opened'
}

@test "an image that names a file of this host which is no disk, or is elsewhere" {
	echo secret >"$BATS_TEST_TMPDIR/secret"
	qemu-img create -q -f qcow2 -F raw -b "$BATS_TEST_TMPDIR/secret" "$image" 10M
	refused 2 "'$BATS_TEST_TMPDIR/secret' is not an image of a disk"
	rm "$image"
	qemu-img create -q -f qcow2 -F raw -b "$BATS_TEST_TMPDIR/secret" "$BATS_TEST_TMPDIR/middle" 10M
	qemu-img create -q -f qcow2 -F qcow2 -b middle "$image"
	refused 2 "'$BATS_TEST_TMPDIR/secret' is not an image of a disk"
	rm "$image"
	qemu-img create -q -f qcow2 -u -F raw -b nbd://127.0.0.1:1/x "$image" 10M
	refused 1 'not a file of this host'
	rm "$image"
	qemu-img create -q -f qcow2 -o "data_file=$BATS_TEST_TMPDIR/data,data_file_raw=on" "$image" 10M
	refused 1 'keeps its content in another file'
}

@test "encrypted as a whole: by LUKS, by qcow2" {
	truncate -s 32M "$image"
	echo secret | cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$image" -
	refused 1 'the image is encrypted'
	qemu-img create -q -f qcow2 --object secret,id=key,data=secret -o encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10 "$image" 10M
	refused 1 'the image is encrypted'
}

@test "in use by another program" {
	make_disk "$image" 16 "$BATS_FILE_TMPDIR/empty"
	coproc HOLDER { env -u INITVM_HOME qemu-io -f raw "$image"; } # none of ours
	local holder=$HOLDER_PID line=
	echo 'read 0 512' >&"${HOLDER[1]}"
	while [[ $line != *'read 512/512'* ]]; do
		read -r -t 10 line <&"${HOLDER[0]}"
	done
	refused 1 'in use by another program'
	echo quit >&"${HOLDER[1]}"
	wait_pid "$holder"
}

@test "smaller than it is, and options for a system that is made" {
	qemu-img create -q -f qcow2 "$image" 3000M
	refused 2 'a disk cannot become smaller: choose --size 3G or more' --size 2G
	refused 2 '--preseed is for one that is to be made' --preseed "$TREE/preseed/default.cfg"
	refused 2 '--mirror is for one that is to be made' --mirror http://mirror.example/debian
	refused 2 '--method is for one that is to be made' --method installer
}

@test "no space for the copy: told before anything is written, with the figures" {
	[ "$(id -u)" -eq 0 ] || skip 'needs root to mount a small home'
	make_disk "$image" 64 "$BATS_FILE_TMPDIR/empty"
	local home=$INITVM_HOME/small
	mkdir "$home"
	# shellcheck disable=SC2016
	run unshare -m sh -c 'mount -t tmpfs -o size=100M,mode=711 tmpfs "$1" && export INITVM_HOME=$1
		initvm create -n adopted --from "$2"; code=$?
		left=$(find "$1/creating" "$1/vms" -mindepth 1); echo "left: ${left:-nothing}"; initvm daemon stop; exit $code' - "$home" "$image"
	expect 1 'a copy of the image needs'
	[[ $output =~ needs\ [0-9.]+\ MiB,\ and\ only\ [0-9.]+\ MiB\ is\ free ]]
	[[ $output == *'left: nothing'* ]]
	rmdir "$home"
}

@test "without an operating system" {
	make_disk "$image" 16 "$BATS_FILE_TMPDIR/empty"
	refused 1 'no operating system was found on the image'
}

@test "with two of them" {
	make_root "$BATS_TEST_TMPDIR/root" "$NATIVE"
	make_disk "$image" 33 "$BATS_TEST_TMPDIR/root" "$BATS_TEST_TMPDIR/root"
	refused 1 'there are 2 operating systems on the image'
}

@test "of another architecture, as qcow2" {
	make_root "$BATS_TEST_TMPDIR/root" "$FOREIGN"
	make_disk "$image.raw" 33 "$BATS_TEST_TMPDIR/root"
	qemu-img convert -O qcow2 -c "$image.raw" "$image"
	refused 1 "the system on the image is for $FOREIGN_NAME, this host is"
}

@test "the sanitizers found nothing" {
	initvm daemon stop
	sanitizers_silent
}
