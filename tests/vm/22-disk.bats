#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# The disk of a stopped VM, seen from inside and from outside.  The appliance takes a minute under emulation, so that each of its
# starts has to prove several things.

load ../lib/vm

setup_file() {
	need_base
	guest cat /etc/machine-id >"$BATS_FILE_TMPDIR/machine-id"
	# Deleted without being given back to the host at once, as the mount option does it otherwise.
	guest sh -c 'rm -rf /srv/disk-test; echo from-the-guest >/srv/mark; head -c 200M /dev/urandom >/srv/filler; sync
		mount -o remount,nodiscard / && rm /srv/filler && sync'
	initvm stop -n base
}

teardown_file() {
	[ -z "${INITVM_HOME:-}" ] || initvm destroy --yes -n twin >/dev/null 2>&1 || true
}

image() { echo "$INITVM_HOME/vms/base/buildenv.img"; }
allocated() { stat -c %b "$(image)"; }

# The size of the root file system in MiB, from inside.
root_size() { guest sh -c 'df --output=size -BM / | tail -n 1 | tr -dc 0-9'; }

@test "info: the system and its file systems, as they are inside" {
	initvm disk info base --json >"$BATS_TEST_TMPDIR/info"
	tail -n 1 "$BATS_TEST_TMPDIR/info" >"$BATS_TEST_TMPDIR/disk"
	[ "$(json disk.system.distribution <"$BATS_TEST_TMPDIR/disk")" = debian ]
	[ "$(json disk.system.hostname <"$BATS_TEST_TMPDIR/disk")" = base ]
	[ "$(json disk.system.packages <"$BATS_TEST_TMPDIR/disk")" -gt 100 ]
	[ "$(json disk.virtual <"$BATS_TEST_TMPDIR/disk")" = "$(qemu-img info --output=json "$(image)" | tr -d '\n' | json virtual-size)" ]
	grep -q '"mountPoint":"/"' "$BATS_TEST_TMPDIR/disk"
	grep -q '"name":"created"' "$BATS_TEST_TMPDIR/disk"
}

@test "compact: what was deleted is given back to the host" {
	local before
	before=$(allocated)
	run initvm disk compact base
	expect 0 'gave back'
	[ $((before - $(allocated))) -gt $((150 * 2048)) ]
	qemu-img check -q "$(image)"
}

@test "cp into the disk: files, folders and links, with their modes" {
	mkdir -p "$BATS_FILE_TMPDIR/tree/sub"
	head -c 5M /dev/urandom >"$BATS_FILE_TMPDIR/tree/sub/big"
	echo script >"$BATS_FILE_TMPDIR/tree/run"
	chmod 750 "$BATS_FILE_TMPDIR/tree/run"
	ln -s run "$BATS_FILE_TMPDIR/tree/link"
	run initvm disk cp -n base "$BATS_FILE_TMPDIR/tree" :/srv/disk-test
	expect 0
}

@test "resize, killed while it grows the partition, and again: the size and what was copied are seen inside" {
	local size before pid appliance
	before=$(vm_get base disk.virtual)
	size=$((before + (1 << 30)))
	initvm disk resize -n base "$size" --json >"$BATS_TEST_TMPDIR/progress" 2>&1 3>&- &
	wait_line "$BATS_TEST_TMPDIR/progress" '"stage":"partition"' 300
	appliance=$(qemus)
	for pid in $(processes initvm-image); do
		kill -KILL "$pid" || true
	done
	wait "$!" || true
	wait_pid "$appliance" # libguestfs sees to that
	qemu-img check -q "$(image)" || [ $? -eq 3 ] # lost clusters are no errors
	run initvm disk resize -n base "$size"
	expect 0
	[ "$(vm_get base disk.virtual)" = "$size" ]
	initvm start -n base
	[ "$(root_size)" -gt $(((size >> 20) - 1024 - 400)) ]
	[ "$(guest stat -c '%a %U' /srv/disk-test/run)" = '750 root' ]
	[ "$(guest readlink /srv/disk-test/link)" = run ]
	[ "$(guest sha256sum /srv/disk-test/sub/big | cut -d ' ' -f 1)" = "$(sha256sum <"$BATS_FILE_TMPDIR/tree/sub/big" | cut -d ' ' -f 1)" ]
}

@test "resize while it runs: the guest has it at once, and again is no error; smaller is refused" {
	local size boot
	size=$(($(vm_get base disk.virtual) + (1 << 30)))
	boot=$(guest cat /proc/sys/kernel/random/boot_id)
	run initvm disk resize -n base "$size" --json
	expect 0
	[ "$(json disk.virtual <<<"${lines[-1]}")" = "$size" ]
	[ "$(json disk.filesystem <<<"${lines[-1]}")" = "$(guest df --output=size -B1 / | tail -n 1 | tr -dc 0-9)" ]
	[ "$(root_size)" -gt $(((size >> 20) - 1024 - 400)) ]
	[ "$(vm_get base disk.virtual)" = "$size" ]
	[ "$(qemu-img info -U --output=json "$(image)" | tr -d '\n' | json virtual-size)" = "$size" ]
	[ "$(guest cat /proc/sys/kernel/random/boot_id)" = "$boot" ]
	[ "$(guest sha256sum /srv/disk-test/sub/big | cut -d ' ' -f 1)" = "$(sha256sum <"$BATS_FILE_TMPDIR/tree/sub/big" | cut -d ' ' -f 1)" ]
	run initvm disk resize -n base "$size"
	expect 0
	run initvm disk resize -n base 1G
	expect_one_sentence 2 'cannot become smaller'
}

@test "while it runs nothing else is done to its disk" {
	local words
	for words in 'disk info' 'disk check' 'disk compact' 'snapshot list' reset; do
		# shellcheck disable=SC2086
		run initvm $words base
		expect_one_sentence 1 'initvm -n base stop'
	done
	run initvm clone base twin
	expect 1 'initvm -n base stop'
	[ -z "$(entries creating)" ]
}

@test "check after the VM was killed: the journal is no error" {
	guest sh -c 'for i in $(seq 200); do echo $i >/srv/disk-test/$i; done'
	initvm stop --force -n base
	run initvm disk check base
	expect 0 clean
}

@test "a snapshot that was taken before a change brings the state back" {
	initvm snapshot create -n base before
	initvm start -n base
	guest sh -c 'echo changed >/srv/mark; rm -rf /srv/disk-test; sync'
	initvm stop -n base
	initvm snapshot restore -n base before
	initvm snapshot remove -n base before
	run --separate-stderr initvm disk cat -n base /srv/mark /srv/disk-test/run
	expect 0
	[ "$output" = from-the-guest$'\n'script ]
}

@test "clone: a machine of its own, which the host reaches by SSH with the key that was pinned" {
	run initvm clone base twin
	expect 0 "cloned 'base' as 'twin'"
	[ -z "$(entries creating)" ]
	initvm start -n twin
	[ "$(initvm exec -n twin -- hostname)" = twin ]
	[ "$(initvm exec -n twin -- cat /srv/mark)" = from-the-guest ]
	[ "$(initvm exec -n twin -- cat /etc/machine-id)" != "$(cat "$BATS_FILE_TMPDIR/machine-id")" ]
	run initvm ssh -n twin hostname # with the key that was pinned: no warning
	expect 0
	[ "$output" = twin ]
	initvm stop -n twin
	run initvm reset twin
	expect 0
	initvm destroy --yes -n twin
}

@test "nothing is left: no copies, no children, and the VM starts" {
	[ -z "$(processes initvm-image)" ]
	[ ! -e "$(image).new" ] && [ ! -e "$(image).snapshot" ]
	initvm ensure -n base
}
