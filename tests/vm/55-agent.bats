#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# An agent that is older than its host.

load ../lib/vm

setup_file() { need_base; }

agent_pid() { guest systemctl show -P MainPID initvm-agent; }

@test "an older agent is replaced by ours, in the same process, and commands go on" {
	local version before old exec_pid code=0
	version=$(initvm-agent --version | sed -E 's/^initvm-agent ([0-9.]+) .*/\1/')
	LC_ALL=C sed "s/$version\\x00/0.0.9\\x00/g" "$INITVM_BIN/initvm-agent" >"$BATS_TEST_TMPDIR/old"
	chmod 755 "$BATS_TEST_TMPDIR/old"
	[[ $("$BATS_TEST_TMPDIR/old" --version) == *' 0.0.9 '* ]]
	guest sh -c 'cat >/usr/lib/initvm/old && chmod 755 /usr/lib/initvm/old && mv /usr/lib/initvm/old /usr/lib/initvm/initvm-agent' \
		<"$BATS_TEST_TMPDIR/old"
	before=$(agent_pid)
	guest kill "$before" || true

	# The next call finds the old one, or what has become of it: this one goes through the change, or comes after it.
	mkfifo "$BATS_TEST_TMPDIR/input"
	initvm exec -n base -- sh -c 'echo "$PPID"; cat; exit 5' <"$BATS_TEST_TMPDIR/input" >"$BATS_TEST_TMPDIR/output" 3>&- &
	exec_pid=$!
	exec 7>"$BATS_TEST_TMPDIR/input"
	wait_line "$BATS_TEST_TMPDIR/output" '^[0-9]+$' 60
	wait_line "$INITVM_HOME/initvmd.log" "replacing agent 0\.0\.9 by ${version}[\s\S]*agent ${version}" 60
	old=$(head -n 1 "$BATS_TEST_TMPDIR/output")
	[ "$(agent_pid)" = "$old" ]
	[ "$old" != "$before" ]
	echo 'through the change' >&7
	exec 7>&-
	wait "$exec_pid" || code=$?
	[ "$code" -eq 5 ]
	grep -q 'through the change' "$BATS_TEST_TMPDIR/output"
	[[ $(guest /usr/lib/initvm/initvm-agent --version) == *" $version "* ]]
}
