#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# What create finds out only when it is at work: one clear sentence each, and nothing left behind.

load ../lib/vm

setup_file() {
	new_home
	cat "$TREE/preseed/default.cfg" "$TREE/tests/vm/base.cfg" >"$BATS_FILE_TMPDIR/base.cfg"
	initvm list 2>/dev/null
	leftovers >"$BATS_FILE_TMPDIR/before"
}

teardown_file() { remove_home; }

# The sentence is the last line that the CLI prints; progress stands before it.
failed_with() {
	[ "$status" -eq 1 ] || { echo "status $status: $output"; return 1; }
	local sentence=${lines[-1]} word
	echo "$sentence"
	for word in "$@"; do
		grep -qE -- "$word" <<<"$output" || { echo "no '$word' in: $output"; return 1; }
	done
	leftovers | diff "$BATS_FILE_TMPDIR/before" -
}

create() { initvm create -n bad --preseed "$BATS_FILE_TMPDIR/base.cfg" --size 8G "$@"; }

@test "a mirror that nobody answers on" {
	run create --mirror http://127.0.0.1:1/debian
	failed_with '127\.0\.0\.1:1'
}

@test "a mirror without a name" {
	run create --mirror http://no-such-host.invalid/debian
	failed_with 'no-such-host\.invalid'
}

@test "a mirror that is not signed" {
	local repository=$BATS_TEST_TMPDIR/repository suite
	mkdir "$repository"
	make_repository "$repository"
	for suite in trixie trixie-updates bookworm bookworm-updates; do
		cp -r "$repository/dists/stable" "$repository/dists/$suite"
	done
	start_mirror "$repository"
	(cd "$repository" && exec /usr/bin/python3 -m http.server --bind 127.0.0.1 0 >"$BATS_TEST_TMPDIR/http" 2>&1 3>&-) &
	local server=$!
	wait_line "$BATS_TEST_TMPDIR/http" 'port' 30 || true
	kill "$mirror_pid"
	local port
	port=$(ss -Hltnp 2>/dev/null | sed -nE "s/.*127\.0\.0\.1:([0-9]+) .*pid=$server,.*/\1/p")
	run create --mirror "http://127.0.0.1:$port"
	kill "$server"
	failed_with 'sign'
}

@test "a size that the content does not fit in" {
	run create --size 300M
	failed_with 'size|300M|too small'
}

@test "no space left on the host" {
	[ "$(id -u)" -eq 0 ] || skip 'needs root to mount a small file system'
	local small=$BATS_FILE_TMPDIR/small home=$INITVM_HOME
	small=$(mktemp -d /var/tmp/iv.XXXXXX)
	mount -t tmpfs -o size=200M,mode=711 tmpfs "$small"
	INITVM_HOME=$small run create
	echo "$output"
	local found
	found=$(INITVM_HOME=$small entries vms; INITVM_HOME=$small entries creating)
	INITVM_HOME=$small initvm daemon stop
	umount "$small"
	rmdir "$small"
	[ "$status" -eq 1 ]
	[ -z "$found" ]
	[[ $output == *'o space'* || $output == *full* ]]
	INITVM_HOME=$home
}

@test "--accel kvm where KVM does not work fails with the reason, and does not hang" {
	local begin=$SECONDS
	run timeout 300 initvm create -n bad --preseed "$BATS_FILE_TMPDIR/base.cfg" --size 8G --accel kvm
	if [ "$status" -eq 0 ]; then
		initvm destroy --yes -n bad
		skip 'KVM works on this host'
	fi
	[ $((SECONDS - begin)) -lt 290 ]
	failed_with 'KVM|kvm'
}

@test "early_command or late_command that fails: which one, its output, its exit status" {
	cat "$BATS_FILE_TMPDIR/base.cfg" - >"$BATS_TEST_TMPDIR/late.cfg" <<-'END'
		d-i preseed/late_command string echo this is the reason; exit 3
	END
	run initvm create -n bad --preseed "$BATS_TEST_TMPDIR/late.cfg" --size 8G
	failed_with late_command 'this is the reason' 3
}

@test "a package that does not exist is named" {
	cat "$BATS_FILE_TMPDIR/base.cfg" - >"$BATS_TEST_TMPDIR/package.cfg" <<-'END'
		d-i pkgsel/include string no-such-package-at-all
	END
	run initvm create -n bad --preseed "$BATS_TEST_TMPDIR/package.cfg" --size 8G
	failed_with no-such-package-at-all
}
