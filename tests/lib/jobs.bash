# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the tests of build jobs on real guests share, beside tests/lib/vm.bash.

state_of() { initvm job show "$1" --json | json job.state; }
is_state() { [ "$(state_of "$1")" = "$2" ]; }

# No unit, process (but one that trims the disk), overlay, mount or workspace of a job is in the guest; on the host no job is open, and there is nothing that was
# not finished.
none_left() {
	[ -z "$(initvm job list --open --json)" ] &&
		[ -z "$(find "$INITVM_HOME/jobs" -name '.new-*' -o -name '.removed-*' -o -name '*.part' -o -name '*.new' 2>/dev/null)" ] &&
		guest sh -c '
		units=$(systemctl list-units --all --plain --no-legend "initvm-job-*")
		[ -z "$units" ] && ! pgrep -f "[-]-job( [^t]|-main)" >&2 && ! grep -q /run/initvm/chroots /proc/self/mounts &&
			[ -z "$(ls -A /var/lib/initvm/jobs /var/lib/initvm/overlays /run/initvm/chroots 2>/dev/null | grep -v :)" ]' >/dev/null 2>&1
}

# Removes what failed jobs have kept.
tidy() {
	initvm job prune --all >/dev/null
	within 60 none_left
}

kill_daemon() {
	local pid
	pid=$(daemon_pid)
	kill -KILL "$pid"
	wait_pid "$pid"
}

# The number behind "initvm: job N is queued" in the file $1.
number_in() { sed -n 's/^initvm: job \([0-9]*\) is queued.*/\1/p' "$1"; }
