# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the bats files of tests/e2e and tests/vm share.  Each file gets an INITVM_HOME of its own and leaves nothing behind.

bats_require_minimum_version 1.5.0

TREE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export TREE
export INITVM_BIN=${INITVM_BIN:-$TREE/build/bin}
export PATH=$INITVM_BIN:$PATH
export NO_COLOR=1 LC_ALL=C.UTF-8
unset INITVM_NAME

source "$TREE/tests/lib/home.bash"

# What the sanitizers find in the programs under test fails the test through their exit status, and is kept.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:exitcode=99:fast_unwind_on_malloc=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
# Deep stacks, without which leaks of libraries cannot be told from ours.
export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$TREE/tests/lib/lsan.supp:print_suppressions=0}

# Waits until a line of the file matches the (Python) regular expression, also one that is not complete yet: a prompt is none.
# The file may not be there yet.
wait_line() {
	/usr/bin/python3 - "$1" "$2" "${3:-30}" <<-'END'
		import os, re, select, subprocess, sys, time
		tail = subprocess.Popen(["tail", "-c", "+1", "-F", sys.argv[1]], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
		text, end = b"", time.monotonic() + float(sys.argv[3])
		found = False
		while not found and select.select([tail.stdout], [], [], max(0, end - time.monotonic()))[0]:
		    chunk = os.read(tail.stdout.fileno(), 65536)
		    if not chunk:
		        break
		    text += chunk
		    found = re.search(sys.argv[2].encode(), text, re.MULTILINE)
		tail.kill()
		sys.exit(0 if found else 1)
	END
}

# Waits until the path is there; its folder must be.
wait_path() {
	/usr/bin/python3 - "$1" "${2:-30}" <<-'END'
		import ctypes, os, select, sys
		libc = ctypes.CDLL(None, use_errno=True)
		fd = libc.inotify_init1(os.O_CLOEXEC)
		libc.inotify_add_watch(fd, os.path.dirname(sys.argv[1]).encode(), 0x100 | 0x80)  # IN_CREATE, IN_MOVED_TO
		while not os.path.lexists(sys.argv[1]):
		    if not select.select([fd], [], [], float(sys.argv[2]))[0]:
		        sys.exit(1)
		    os.read(fd, 65536)
	END
}

# The pid of the daemon, as it says itself.
daemon_pid() {
	initvm daemon status --json | json pid
}

# Ends the processes that a test has put into `pids`.
end_pids() {
	local pid
	for pid in "${pids[@]}"; do
		kill -TERM "$pid" 2>/dev/null || true
		wait_pid "$pid"
	done
}

# For what nobody tells: asks again and again until the command $2... succeeds, for $1 seconds at most.
within() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
	done
}

# Prints one member of the JSON object on standard input: `json vm.disk.virtual`.
json() {
	/usr/bin/python3 -c '
import json, sys
value = json.loads(sys.stdin.readline())
for key in sys.argv[1].split("."):
    value = value.get(key) if isinstance(value, dict) else None
print("" if value is None else value if isinstance(value, str) else json.dumps(value))' "$1"
}

# After `run`: the status was $1, and the output has the fixed text $2, if given.  bats shows what was there instead.
expect() {
	if [ "$status" -ne "$1" ]; then
		printf 'exit status %d instead of %d; output:\n%s\n' "$status" "$1" "$output"
		return 1
	fi
	if [ $# -gt 1 ] && [[ $output != *"$2"* ]]; then
		printf "no '%s' in the output:\n%s\n" "$2" "$output"
		return 1
	fi
}

# After `run` of a command that failed on bad input: one sentence for people, on one line, and not a crash.
expect_one_sentence() {
	expect "$@" || return 1
	if [ "${#lines[@]}" -gt 2 ] || [[ ${lines[0]} != initvm:* ]] || [[ ${lines[0]} == *. ]]; then
		printf "not one clear sentence:\n%s\n" "$output"
		return 1
	fi
}

# The daemon's log has no report of a sanitizer; shows those that it has.
sanitizers_silent() {
	! grep -aE -A 20 'ERROR: (Address|Leak)Sanitizer|runtime error:' "$INITVM_HOME/initvmd.log"
}

# For a home whose leftovers() are compared: temporary folders of its own, because others make VMs at the same time.
own_temporary() {
	export TMPDIR=$INITVM_HOME/tmp
	mkdir -m 1777 "$TMPDIR"
}

# What a create must leave as it was: processes of ours, mounts, folders in vms/ and creating/, temporary folders of mmdebstrap.
leftovers() {
	printf 'processes: %s\n' "$("$TREE/tests/lib/processes.py" "$INITVM_HOME" | awk '$2 != "initvmd" { print $2 }' | tr '\n' ' ')"
	printf 'mounts: %s\n' "$(grep -cF -e "$INITVM_HOME" -e mmdebstrap /proc/self/mountinfo)"
	printf 'vms: %s\n' "$(entries vms | tr '\n' ' ')"
	printf 'creating: %s\n' "$(entries creating | tr '\n' ' ')"
	printf 'temporary: %s\n' "$(find "$INITVM_HOME/tmp" "$INITVM_HOME" -maxdepth 1 \( -name 'mmdebstrap*' -o -name 'initvm-[0-9]*' \) 2>/dev/null |
		sort | tr '\n' ' ')"
}
