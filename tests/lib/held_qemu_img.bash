# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A qemu-img that can be held up where it matters. Needs common.bash.

# Holds up every qemu-img whose words match $2, a pattern as bash(1) has it, right 'before' or right 'after' ($1) it is run, by a daemon that is
# started anew. wait_qemu_img waits for one.
hold_qemu_img() {
	local bin=$BATS_FILE_TMPDIR/bin
	mkdir -p "$bin"
	rm -f "$BATS_FILE_TMPDIR/held" "$BATS_FILE_TMPDIR/hold"
	mkfifo "$BATS_FILE_TMPDIR/hold"
	cat >"$bin/qemu-img" <<-END
		#!/bin/bash
		wait_here() {
			[ ! -p "$BATS_FILE_TMPDIR/hold" ] || { touch "$BATS_FILE_TMPDIR/held"; read -r <"$BATS_FILE_TMPDIR/hold"; }
		}
		if [[ "\$*" != $2 ]]; then
			exec $(command -v qemu-img) "\$@"
		fi
		[ $1 = after ] || wait_here
		$(command -v qemu-img) "\$@" || exit
		[ $1 = before ] || wait_here
	END
	chmod +x "$bin/qemu-img"
	initvm daemon stop
	PATH=$bin:$PATH initvm list
}

wait_qemu_img() { wait_path "$BATS_FILE_TMPDIR/held" "${1:-30}"; }

# Who is held goes on, and nobody is held any more.
release_qemu_img() {
	local fd
	exec {fd}<>"$BATS_FILE_TMPDIR/hold" # does not wait for a reader
	rm "$BATS_FILE_TMPDIR/hold"
	echo >&"$fd"
	exec {fd}>&-
}

# When who was held is gone.
hold_no_more() { rm "$BATS_FILE_TMPDIR/hold"; }

# Ctrl-C to the command with the pid $1, whose messages go to the file $2; returns when the daemon has heard of it.
interrupt() {
	kill -INT "$1"
	wait_line "$2" cancelling
	initvm list >/dev/null
}
