#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# What create finds out only when it is at work: one clear sentence each, and nothing left behind.

load ../lib/vm

setup_file() {
	new_home
	own_temporary
	cat "$TREE/preseed/default.cfg" "$TREE/tests/vm/base.cfg" >"$BATS_FILE_TMPDIR/base.cfg"
	initvm list 2>/dev/null
	leftovers >"$BATS_FILE_TMPDIR/before"
}

teardown_file() { remove_home; }

# The sentence is the last line that the CLI prints; progress stands before it.
failed_with() {
	[ "$status" -eq 1 ] || [ "$status" -eq 2 ] || { echo "status $status: $output"; return 1; }
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

@test "a size that is no disk, or that the content does not fit in" {
	run create --size 300M
	failed_with 'size' '300'
	run create --size 1500M
	failed_with 'too small|does not fit|--size'
}

# Runs create with an INITVM_HOME on a file system of size $1; sets what `run` sets, and $found: what is left in it.
create_on_small() {
	local small
	small=$(mktemp -d /var/tmp/iv.XXXXXX)
	mount -t tmpfs -o "size=$1,mode=711" tmpfs "$small"
	local INITVM_HOME=$small
	shift
	"$@"
	found=$(entries vms; entries creating)
	initvm daemon stop
	umount "$small"
	rmdir "$small"
	echo "$output"
}

@test "too little space on the host is told before anything is made" {
	[ "$(id -u)" -eq 0 ] || skip 'needs root to mount a small file system'
	create_on_small 200M run create
	[ "$status" -eq 1 ]
	[ -z "$found" ]
	[[ $output == *space* ]]
}

# Takes all the space as soon as packages are being installed.
create_and_fill() {
	create --json >"$BATS_TEST_TMPDIR/progress" 2>"$BATS_TEST_TMPDIR/errors" 3>&- &
	local pid=$!
	wait_line "$BATS_TEST_TMPDIR/progress" '"bootstrap"' 60
	head -c "$(($(df --output=avail -B1 "$INITVM_HOME" | tail -n 1) - (20 << 20)))" /dev/zero >"$INITVM_HOME/filling" || true
	status=0
	wait "$pid" || status=$?
	output=$(cat "$BATS_TEST_TMPDIR/errors")
}

@test "no space left on the host in the middle of it" {
	[ "$(id -u)" -eq 0 ] || skip 'needs root to mount a small file system'
	create_on_small 3G create_and_fill
	[ "$status" -eq 1 ]
	[ -z "$found" ]
	[[ $output == *'o space left'* || $output == *'full'* || $output == *'too little space'* ]]
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
	[ -z "$(entries failed)" ]
}

@test "--keep: what a create that failed has made can be looked into, and the next one takes its place" {
	cat "$BATS_FILE_TMPDIR/base.cfg" - >"$BATS_TEST_TMPDIR/early.cfg" <<-'END'
		d-i preseed/early_command string echo so far and no further; exit 4
	END
	run initvm create -n bad --preseed "$BATS_TEST_TMPDIR/early.cfg" --size 8G --keep
	expect 1 early_command
	[[ $output == *"what was made so far is kept in '$INITVM_HOME/failed/bad'"* ]]
	[ -z "$(entries vms)" ]
	[ -z "$(entries creating)" ]
	[ -z "$(processes qemu-)" ]
	qemu-img check -q "$INITVM_HOME/failed/bad/buildenv.img"
	grep -q "so far and no further" "$INITVM_HOME/failed/bad/provision.log"
	[ -s "$INITVM_HOME/failed/bad/console.log" ]
	run create --mirror http://127.0.0.1:1/debian
	failed_with '127\.0\.0\.1:1'
	[ -z "$(entries failed)" ]
}

@test "a package that does not exist is named" {
	cat "$BATS_FILE_TMPDIR/base.cfg" - >"$BATS_TEST_TMPDIR/package.cfg" <<-'END'
		d-i pkgsel/include string no-such-package-at-all
	END
	run initvm create -n bad --preseed "$BATS_TEST_TMPDIR/package.cfg" --size 8G
	failed_with no-such-package-at-all
}
