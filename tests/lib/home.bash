# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A home for VMs that is made for tests, and its end.  Needs TREE, the source tree, and initvm in PATH.

# Sets INITVM_HOME to a new folder: short, for the sockets below it, and one that QEMU's own user can pass through.
new_home() {
	INITVM_HOME=$(mktemp -d /var/tmp/iv.XXXXXX)
	export INITVM_HOME
	chmod 711 "$INITVM_HOME"
	mkdir -p "$INITVM_HOME/config/images"
}

# Pids of the processes that work for this INITVM_HOME; only those of a name that begins with $1, if given.
# shellcheck disable=SC2120 # only tests give a name
processes() {
	"$TREE/tests/lib/processes.py" "$INITVM_HOME" | awk -v name="${1:-}" 'index($2, name) == 1 { print $1 }'
}

# Names in a folder of the state, which may not be there.
entries() {
	find "$INITVM_HOME/$1" -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort
}

# Ends everything below INITVM_HOME, by pid, and removes it.
remove_home() {
	local pid name
	[ -n "${INITVM_HOME:-}" ] && [ -d "$INITVM_HOME" ] || return 0
	if [ "${INITVM_TEST_KEEP:-}" = 1 ]; then
		echo "# kept: $INITVM_HOME" >&3
		return 0
	fi
	for name in $(entries vms); do
		timeout 60 initvm destroy --yes -n "$name" >/dev/null 2>&1 || true
	done
	timeout 20 initvm daemon stop >/dev/null 2>&1 || true
	# shellcheck disable=SC2119
	for pid in $(processes); do
		kill -KILL "$pid" 2>/dev/null || true
		wait_pid "$pid" 20 || true
	done
	rm -rf --one-file-system "$INITVM_HOME"
}

# Waits for the process to be gone, without asking again and again; fails when it is still there after $2 seconds.
wait_pid() {
	/usr/bin/python3 - "$1" "${2:-30}" <<-'END'
		import os, select, sys
		try:
		    fd = os.pidfd_open(int(sys.argv[1]))
		except ProcessLookupError:
		    sys.exit(0)
		sys.exit(0 if select.select([fd], [], [], float(sys.argv[2]))[0] else 1)
	END
}
