#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# A disk that is damaged for real, checked and repaired, also by a repair that is killed; and an image that was exported, on its own.

load ../lib/vm

setup_file() {
	need_base
	guest sh -c 'mkdir -p /srv/damage && cd /srv/damage && echo sound | tee sound victim1 victim2 victim3 victim4 victim5 && sync'
	initvm stop -n base
	cp --sparse=always "$(image)" "$BATS_FILE_TMPDIR/sound.img"
}

# Whatever has become of it, the other files get a sound one.
teardown_file() {
	[ ! -e "$BATS_FILE_TMPDIR/sound.img" ] || [ -e "$BATS_FILE_TMPDIR/repaired" ] || cp --sparse=always "$BATS_FILE_TMPDIR/sound.img" "$(image)"
}

image() { echo "$SUITE_HOME/vms/base/buildenv.img"; }

@test "export: the copy boots by itself under a plain QEMU" {
	[ "$(uname -m)" = x86_64 ] || skip 'booted on x86_64 only'
	run initvm disk export -n base "$BATS_FILE_TMPDIR/exported.qcow2"
	expect 0
	boots_alone "$BATS_FILE_TMPDIR/exported.qcow2" 'base login:|root@base'
	rm "$BATS_FILE_TMPDIR/exported.qcow2"
}

@test "check: damage of the image and of its file system is found, and nothing is changed" {
	local before
	"$TREE/tests/lib/damage.py" inode "$(image)" /srv/damage/victim3
	"$TREE/tests/lib/damage.py" image "$(image)"
	before=$(sha256sum <"$(image)")
	run initvm disk check base
	expect 1 'initvm disk check --repair'
	grep -q '^image .* errors$' <<<"$output"
	grep -q 'errors (ext4)' <<<"$output"
	[ "$(sha256sum <"$(image)")" = "$before" ]
}

@test "a repair that is killed leaves the disk as it was" {
	local before stage pid
	before=$(sha256sum <"$(image)")
	for stage in image fsck; do
		initvm disk check --repair base --json >"$BATS_TEST_TMPDIR/progress" 2>&1 3>&- &
		wait_line "$BATS_TEST_TMPDIR/progress" "\"stage\": ?\"$stage\"" 300
		for pid in $(processes initvm-image); do
			kill -KILL "$pid" || true
		done
		wait "$!" || true
		for pid in $(qemus); do
			wait_pid "$pid"
		done
		[ "$(sha256sum <"$(image)")" = "$before" ]
	done
}

@test "repair: what was damaged is mended, the rest is there, and the VM starts" {
	run initvm disk check --repair base
	expect 0
	grep -q '^image *clean$' <<<"$output"
	grep -q 'clean (ext4)' <<<"$output"
	[ -z "$(find "$SUITE_HOME/vms/base" -name 'buildenv.img.*')" ]
	qemu-img check -q "$(image)"
	initvm start -n base
	[ "$(guest cat /srv/damage/sound)" = sound ]
	guest sh -c 'cat /srv/damage/victim5 && ! cat /srv/damage/victim3'
	[ "$(guest systemctl is-system-running --wait)" = running ]
	touch "$BATS_FILE_TMPDIR/repaired"
}
