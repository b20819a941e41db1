#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# What `chroot create` has made is kept on the host, and taken again as long as nothing is new.  The mirror is this machine's, with
# one package: quick to install, and large enough to be interrupted while it is copied.

load ../lib/vm

setup_file() {
	need_base
	export repository=$BATS_FILE_TMPDIR/repository content=$BATS_FILE_TMPDIR/content
	mkdir -p "$repository" "$content/bin" "$content/usr/share"
	fetch_packages "$BATS_FILE_TMPDIR/packages" "busybox-static:$(guest dpkg --print-architecture)"
	cp "$BATS_FILE_TMPDIR/packages/bin/busybox" "$content/bin/"
	head -c 32M /dev/urandom >"$content/usr/share/large"
	release 1.0
	start_mirror "$repository"
	export mirror_url mirror_pid
	initvm cache prune --all
}

teardown_file() {
	[ -z "${mirror_pid:-}" ] || kill "$mirror_pid"
	initvm cache prune --all
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
}

teardown() {
	# shellcheck disable=SC2046 # names have no blanks
	[ -z "$(names)" ] || chroot_ remove $(names)
}

# The repository with the package in this version: busybox, and 32 MiB that cannot be compressed.
release() {
	rm -rf "$repository/dists" "$repository/pool"
	echo "$1" >"$content/usr/share/version"
	(cd "$repository" && version=$1 make_package probe)
	make_repository "$repository"
}

# `create_probe NAME [OPTION...]`: what it said goes to the file NAME.
create_probe() {
	local name=$1
	shift
	chroot_ create "$name" --suite stable --variant extract --include probe --mirror "deb [trusted=yes] $mirror_url stable main" "$@" >"$name" 2>&1 ||
		{ cat "$name"; return 1; }
}

entries_kept() { initvm cache list --json | wc -l; }

# Everything about the files of a chroot in the VM.
tree_of() { guest sh -c "cd /var/lib/initvm/chroots/$1/root && find . -path ./dev -prune -o -printf '%p %y %m %U %G %s %l\n' | sort && sha256sum usr/share/large bin/busybox"; }

origin() { chroot_ show "$1" --json | json origin; }

@test "the second one of the same comes from the cache: quicker, and equal; other packages are another one" {
	local begin between
	begin=${EPOCHREALTIME//[!0-9]/}
	create_probe first
	between=${EPOCHREALTIME//[!0-9]/}
	create_probe second
	end=${EPOCHREALTIME//[!0-9]/}
	echo "# made in $(((between - begin) / 1000)) ms, taken from the cache in $(((end - between) / 1000)) ms" >&3
	grep -q '^cache:' first
	grep -q '^unpack:' second
	[ $((end - between)) -lt $((between - begin)) ]
	[ "$(origin first) $(origin second)" = 'mmdebstrap cache' ]
	[ "$(chroot_ show first --json | json key)" = "$(chroot_ show second --json | json key)" ]
	[ "$(chroot_ show second --json | json packages)" = '["probe"]' ]
	diff <(tree_of first) <(tree_of second)
	[ "$(entries_kept)" = 1 ]
	[ "$(initvm cache list --json | json inputs.suite)" = stable ]
	chroot_ create none --suite stable --variant extract --mirror "deb [trusted=yes] $mirror_url stable main"
	[ "$(origin none)" = mmdebstrap ]
	[ "$(entries_kept)" = 2 ]
}

@test "one that was saved over is not what was made any more; a copy of it is" {
	create_probe box
	[ "$(origin box)" = cache ]
	chroot_ clone box copy
	chroot_ run box --save -- busybox rm /usr/share/version
	[ -n "$(chroot_ show copy --json | json key)" ]
	[ -z "$(chroot_ show box --json | json key)" ]
	create_probe fresh
	[ "$(guest cat /var/lib/initvm/chroots/fresh/root/usr/share/version)" = 1.0 ]
}

@test "a newer state of the mirror is another one, and the older goes" {
	local before
	create_probe box
	before=$(chroot_ show box --json | json key)
	release 2.0
	create_probe newer
	[ "$(origin newer)" = mmdebstrap ]
	[ "$(guest cat /var/lib/initvm/chroots/newer/root/usr/share/version)" = 2.0 ]
	[ "$(chroot_ show newer --json | json key)" != "$before" ]
	initvm cache list --json >kept
	run grep -c "$before" kept
	expect 1 0
	grep -q "$(chroot_ show newer --json | json key)" kept
}

@test "a broken copy is told about, removed, and made anew; without the cache nothing is taken and nothing kept" {
	local archive
	create_probe box
	archive=$INITVM_HOME/cache/chroots/$(chroot_ show box --json | json key)/root.tar.zst
	truncate -s 1M "$archive"
	create_probe again
	grep -q 'warning: the copy .* is broken and is removed' again
	[ "$(origin again)" = mmdebstrap ]
	[ "$(stat -c %s "$archive")" -gt $((32 << 20)) ]
	create_probe apart --no-cache
	[ "$(origin apart)" = mmdebstrap ]
	run grep -E '^(release|cache|unpack):' apart
	expect 1
}

@test "interrupted while the copy is made: the chroot is whole, no copy is kept, nothing is left" {
	local client status=0
	initvm cache prune --all
	create_probe box >/dev/null & # its output is in the file
	client=$!
	wait_line box '^cache:' 120
	kill -INT "$(pgrep -P "$client" -x initvm)"
	wait "$client" || status=$?
	[ "$status" -eq 1 ] # of create_probe
	grep -q 'cancelled, the chroot is there' box
	grep -q "^created 'box'" box
	[ "$(origin box)" = mmdebstrap ]
	[ "$(guest cat /var/lib/initvm/chroots/box/root/usr/share/version)" = 2.0 ]
	[ "$(entries_kept)" = 0 ]
	[ "$(find "$INITVM_HOME/cache/chroots" -name '.new-*' | wc -l)" = 0 ]

	create_probe killed >/dev/null &
	client=$!
	wait_line killed '^cache:' 120
	kill -KILL "$(pgrep -P "$client" -x initvm)"
	wait "$client" || true
	[ "$(origin killed)" = mmdebstrap ]
	[ "$(entries_kept)" = 0 ] # a command about the cache: it removes what was left
	[ "$(find "$INITVM_HOME/cache/chroots" -name '.new-*' | wc -l)" = 0 ]
	[ "$(guest ls -A /var/lib/initvm/overlays)" = '' ]
}

@test "another suite than the VM's own has its updates and security" {
	local own other=bookworm
	own=$(initvm status -n base --json | json suite)
	[ "$own" != bookworm ] || other=trixie
	guest /usr/lib/initvm/initvm-agent --chroot key --suite $other -- box >key
	grep -q "_dists_${other}_InRelease" key
	grep -q "_dists_$other-updates_InRelease" key
	grep -q "_dists_$other-security_InRelease" key
	run grep -c "_dists_$own" key
	expect 1 0
}
