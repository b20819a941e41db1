#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# initvm disk import: what is refused, and an import that is killed where it matters.  The VM is a folder that looks like one; what is on
# its disk was never booted.

load ../lib/common
load ../lib/disk_image
load ../lib/held_qemu_img

setup_file() {
	new_home
	local root=$BATS_FILE_TMPDIR/root folder=$INITVM_HOME/vms/one
	case $(dpkg --print-architecture) in
	amd64) make_root "$root" 076 ;;
	*) make_root "$root" 267 ;;
	esac
	mkdir -p "$root/usr/lib/initvm" "$root/etc/systemd/system" "$folder"
	chmod 711 "$INITVM_HOME/vms" "$folder"
	: >"$root/usr/lib/initvm/initvm-agent"
	: >"$root/etc/systemd/system/initvm-agent.service"
	disk_uuid=$(cat /proc/sys/kernel/random/uuid)
	make_image old "$folder/buildenv.img"
	make_image new "$BATS_FILE_TMPDIR/new.qcow2"
	make_image newer "$BATS_FILE_TMPDIR/newer.qcow2"
	echo 'kernel of old' >"$folder/kernel"
	echo 'initrd of old' >"$folder/initrd"
	qemu-img snapshot -c mine "$folder/buildenv.img"
	mkdir -p "$folder/snapshots/mine"
	printf '{"name":"one","uuid":"%s","image":"none","suite":"none","architecture":"%s","commandLine":"root=UUID=%s ro","acceleration":"tcg","memory":268435456,"cpus":1,"size":67108864,"created":1}\n' \
		"$(cat /proc/sys/kernel/random/uuid)" "$(dpkg --print-architecture)" "$disk_uuid" >"$folder/vm.json"
}

teardown_file() { remove_home; }

# The qcow2 $2 whose kernel, initrd and mark say $1.
make_image() {
	local root=$BATS_FILE_TMPDIR/root
	echo "kernel of $1" >"$root/boot/vmlinuz-1"
	echo "initrd of $1" >"$root/boot/initrd.img-1"
	make_disk "$BATS_FILE_TMPDIR/raw" 64 "$root"
	qemu-img convert -O qcow2 "$BATS_FILE_TMPDIR/raw" "$2"
	rm "$BATS_FILE_TMPDIR/raw"
}

disk() { echo "$INITVM_HOME/vms/one/buildenv.img"; }
sum() { qemu-img convert -O raw "$1" "$BATS_TEST_TMPDIR/sum.raw" && sha256sum <"$BATS_TEST_TMPDIR/sum.raw"; }

# The kernel that the VM would boot.
kernel() {
	local folder
	folder=$(json bootFolder <"$INITVM_HOME/vms/one/vm.json")
	cat "$INITVM_HOME/vms/one/${folder:-.}/kernel"
}

@test "what is no image, or damaged, or in use, does not become the disk" {
	local before
	before=$(sha256sum "$(disk)")
	run initvm disk import -n one "$BATS_TEST_TMPDIR/nothing"
	expect_one_sentence 1 'cannot read the image'
	seq 10000 >"$BATS_TEST_TMPDIR/text"
	run initvm disk import -n one "$BATS_TEST_TMPDIR/text"
	expect 2 'neither a partition table nor a file system'
	cp "$BATS_FILE_TMPDIR/new.qcow2" "$BATS_TEST_TMPDIR/damaged"
	dd if=/dev/urandom of="$BATS_TEST_TMPDIR/damaged" bs=64K seek=3 count=1 conv=notrunc status=none # its first tables
	run initvm disk import -n one "$BATS_TEST_TMPDIR/damaged"
	[ "$status" -ne 0 ]
	run initvm disk import -n one "$(disk)"
	expect 2 'is the disk of the VM itself'
	[ "$(sha256sum "$(disk)")" = "$before" ]
	[ ! -e "$INITVM_HOME/vms/one/import" ]
	[ ! -e "$(disk).new" ]
}

@test "kill -9 of initvm-image at the end of an import: disk and kernel are both old or both new; then it is imported" {
	local old new pid
	old=$(sum "$(disk)")
	new=$(sum "$BATS_FILE_TMPDIR/new.qcow2")
	[ "$old" != "$new" ]
	initvm disk import -n one "$BATS_FILE_TMPDIR/new.qcow2" --json >"$BATS_TEST_TMPDIR/progress" 2>&1 3>&- &
	pid=$!
	wait_line "$BATS_TEST_TMPDIR/progress" '"stage":"commit"' 300
	for child in $(processes initvm-image); do
		kill -KILL "$child" || true
	done
	wait "$pid" || true
	within 30 unlocked
	run initvm snapshot list -n one
	expect 0
	if [ "$(sum "$(disk)")" = "$old" ]; then
		[ "$(kernel)" = 'kernel of old' ]
		[ -d "$INITVM_HOME/vms/one/snapshots/mine" ]
		run initvm disk import -n one "$BATS_FILE_TMPDIR/new.qcow2"
		expect 0 "as the disk of 'one'"
	fi
	[ "$(sum "$(disk)")" = "$new" ]
	[ "$(kernel)" = 'kernel of new' ]
	[ ! -e "$INITVM_HOME/vms/one/import" ]
	[ ! -e "$(disk).new" ]
	[ "$(initvm snapshot list -n one --json | grep -c '"name":"created"')" -eq 1 ]
	qemu-img check -q "$(disk)"
}

@test "Ctrl-C when the new disk is in the place of the old one: it has been imported, and that is said" {
	local pid code=0
	hold_qemu_img before "'info '*/buildenv.img"
	initvm disk import -n one "$BATS_FILE_TMPDIR/newer.qcow2" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	pid=$!
	wait_qemu_img 300
	interrupt "$pid" "$BATS_TEST_TMPDIR/out"
	release_qemu_img
	wait "$pid" || code=$?
	[ "$code" -eq 130 ]
	grep -q 'it was finished before it could be cancelled' "$BATS_TEST_TMPDIR/out"
	[ "$(sum "$(disk)")" = "$(sum "$BATS_FILE_TMPDIR/newer.qcow2")" ]
	[ "$(kernel)" = 'kernel of newer' ]
	[ ! -e "$INITVM_HOME/vms/one/import" ]
}

unlocked() { flock -n "$INITVM_HOME/vms/one/disk.lock" true; }

@test "the sanitizers found nothing" {
	initvm daemon stop
	sanitizers_silent
	run ! grep -aE 'ERROR: (Address|Leak)Sanitizer|runtime error:' "$INITVM_HOME/vms/one/disk.log"
}
