#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# initvm create --from: an image that another tool has made becomes a VM; and what is left of one that is interrupted.

load ../lib/vm
load ../lib/disk_image

setup_file() {
	[ "$(id -u)" -eq 0 ] || skip 'needs root to make an image as another tool does'
	export INITVM_HOME=$SUITE_HOME IMAGE=$BATS_FILE_TMPDIR/other.qcow2
	initvm stop -n base >/dev/null 2>&1 || true # its memory and its processor are wanted now
	"$TREE/tests/lib/other-image" "$IMAGE"
	sha256sum "$IMAGE" >"$BATS_FILE_TMPDIR/image.sha256"
	initvm list 2>/dev/null
	leftovers >"$BATS_FILE_TMPDIR/before"
	others >"$BATS_FILE_TMPDIR/others"
}

teardown_file() {
	[ -z "${INITVM_HOME:-}" ] || initvm destroy --yes -n adopted >/dev/null 2>&1 || true
}

adopted() { initvm exec -n adopted -- "$@"; }

# Starts a create in the background and waits until it has begun stage $1; sets create_pid.
adopt_until() {
	initvm create -n adopted --from "$IMAGE" --size 8G --json >"$BATS_TEST_TMPDIR/progress" 2>"$BATS_TEST_TMPDIR/errors" 3>&- &
	create_pid=$!
	wait_line "$BATS_TEST_TMPDIR/progress" "\"stage\":\"$1\"" 300
}

# Processes that work for this home, but for the daemon.
others() { "$TREE/tests/lib/processes.py" "$INITVM_HOME" | awk '$2 != "initvmd" { print $1 }' | sort; }

# Nothing of it runs any more, and nothing is left but what was there before.
settled() {
	local pid
	for pid in $(others | comm -23 - "$BATS_FILE_TMPDIR/others"); do
		wait_pid "$pid" 60
	done
	initvm list >/dev/null 2>&1
	leftovers | diff "$BATS_FILE_TMPDIR/before" -
	sha256sum --quiet -c "$BATS_FILE_TMPDIR/image.sha256"
}

@test "Ctrl-C while the appliance starts, and kill -9 of the daemon: nothing is left" {
	local code=0 pid
	adopt_until appliance
	kill -INT "$create_pid"
	wait "$create_pid" || code=$?
	[ "$code" -eq 130 ]
	settled
	adopt_until appliance
	pid=$(daemon_pid)
	kill -KILL "$pid"
	wait_pid "$pid"
	wait "$create_pid" || true
	settled
	run initvm daemon status
	expect 0 "'adopted'" # that it was removed
}

@test "kill -9 of initvm-image and its appliance while they change the system: failed, nothing left" {
	local pid code=0
	adopt_until agent
	for pid in $(processes initvm-image); do
		kill -KILL "$pid" || true
	done
	wait "$create_pid" || code=$?
	[ "$code" -eq 1 ]
	settled
}

@test "a system on an encrypted partition is refused" {
	truncate -s 32M "$BATS_TEST_TMPDIR/part"
	echo secret | cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$BATS_TEST_TMPDIR/part" -
	truncate -s 34M "$BATS_TEST_TMPDIR/disk"
	printf 'label: gpt\nstart=1MiB, size=32MiB\n' | sfdisk -q "$BATS_TEST_TMPDIR/disk"
	dd if="$BATS_TEST_TMPDIR/part" of="$BATS_TEST_TMPDIR/disk" bs=1M seek=1 conv=notrunc,sparse status=none
	run initvm create -n adopted --from "$BATS_TEST_TMPDIR/disk"
	expect 1 'the image is encrypted'
	settled
}

@test "another tool's image is taken over: the same system, with the agent, on a larger disk" {
	run initvm create -n adopted --from "$IMAGE" --size 8G --memory 1G --cpus 2
	expect 0 "created 'adopted' from other.qcow2"
	[[ $output == *'cloud-init of the image is off'* ]]
	sha256sum --quiet -c "$BATS_FILE_TMPDIR/image.sha256"
	[ -z "$(entries creating)" ]
	qemu-img info --output=json "$INITVM_HOME/vms/adopted/buildenv.img" >"$BATS_TEST_TMPDIR/info"
	run ! grep -q backing-filename "$BATS_TEST_TMPDIR/info"
	grep -q '"virtual-size": 8589934592' "$BATS_TEST_TMPDIR/info"

	initvm start -n adopted
	[ "$(adopted cat /root/mark)" = from-elsewhere ]
	[ "$(adopted hostname)" = adopted ]
	[ "$(vm_get adopted suite)" = bookworm ]
	[ "$(adopted sh -c 'df --output=size -BM / | tail -n 1 | tr -dc 0-9')" -gt 7600 ]
	grep -q -w of.the.menu=1 <<<"$(adopted cat /proc/cmdline)"
	[ "$(adopted systemctl --failed --no-legend)" = '' ]
	[ "$(adopted systemctl is-active cloud-init.target || true)" = inactive ]
	[ -n "$(adopted ip -4 -o addr show scope global)" ]
	adopted grep -q console=ttyS0 /boot/grub/grub.cfg || adopted grep -q console=ttyAMA0 /boot/grub/grub.cfg
	within 60 adopted pgrep -t "$(adopted sh -c 'basename $(ls -d /sys/class/tty/ttyAMA0 /sys/class/tty/ttyS0 2>/dev/null | head -n 1)')" -x bash >/dev/null
}

@test "its SSH server lets no password in, and is reached with the key that was pinned" {
	[ "$(adopted sshd -T | grep -c -x -e 'passwordauthentication no' -e 'kbdinteractiveauthentication no')" -eq 2 ]
	run --separate-stderr initvm ssh -n adopted cat /root/mark
	expect 0
	[ "$output" = from-elsewhere ]
	[ -z "$stderr" ]
}

@test "what is written inside is seen outside and after a reboot; reset goes back to the beginning" {
	adopted sh -c 'echo written >/root/mark && sync'
	initvm restart -n adopted
	[ "$(adopted cat /root/mark)" = written ]
	initvm stop -n adopted
	run --separate-stderr initvm disk cat -n adopted /root/mark
	expect 0
	[ "$output" = written ]
	run initvm reset adopted
	expect 0
}

@test "an image that was exported is imported again: what came in between is gone, the rest is the same machine" {
	local kernel
	initvm disk export -n adopted "$BATS_TEST_TMPDIR/exported.qcow2"
	initvm start -n adopted
	[ "$(adopted cat /root/mark)" = from-elsewhere ]
	kernel=$(adopted uname -r)
	adopted sh -c 'rm /root/mark; sync'
	initvm stop -n adopted
	run initvm disk import -n adopted "$BATS_TEST_TMPDIR/exported.qcow2"
	expect 0 "as the disk of 'adopted', 8 GiB"
	initvm start -n adopted
	[ "$(adopted cat /root/mark)" = from-elsewhere ]
	[ "$(adopted uname -r)" = "$kernel" ]
	initvm destroy --yes -n adopted
	run initvm disk import -n adopted "$BATS_TEST_TMPDIR/exported.qcow2"
	expect_one_sentence 1 "there is no VM 'adopted'"
}
