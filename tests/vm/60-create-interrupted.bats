#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# create killed at every stage, in every way: nothing half-made stays, and the next create works.  The stages are not listed
# here: they are those that the creation of the VM 'base' has reported.

load ../lib/vm

setup_file() {
	need_base
	stages <"$SUITE_HOME/base.progress" >"$BATS_FILE_TMPDIR/stages"
	cp "$SUITE_HOME/base.cfg" "$BATS_FILE_TMPDIR/base.cfg"
	# Its memory and its processor are wanted now.
	initvm stop -n base
	new_home
	own_temporary
	initvm list 2>/dev/null
	leftovers >"$BATS_FILE_TMPDIR/before"
}

teardown_file() { remove_home; }

# A test that failed must not be the next one's failure.
teardown() {
	[ "${BATS_TEST_COMPLETED:-}" = 1 ] && return
	if [ -n "${create_pid:-}" ] && kill -INT "$create_pid" 2>/dev/null; then
		wait "$create_pid" || true
	fi
	initvm destroy --yes -n interrupted >/dev/null 2>&1 || true
}

# The names of the stages in a --json progress, in their order.
stages() {
	/usr/bin/python3 -c '
import json, sys
seen = []
for line in sys.stdin:
    stage = json.loads(line).get("stage")
    if stage and stage not in seen:
        seen.append(stage)
print(*seen, sep="\n")'
}

# Starts a create in the background and waits until it has begun stage $1; sets create_pid.
create_until() {
	: >"$BATS_TEST_TMPDIR/progress"
	initvm create -n interrupted --preseed "$BATS_FILE_TMPDIR/base.cfg" --size 8G --json >"$BATS_TEST_TMPDIR/progress" \
		2>"$BATS_TEST_TMPDIR/errors" 3>&- &
	create_pid=$!
	wait_line "$BATS_TEST_TMPDIR/progress" "\"stage\": ?\"$1\"" 400
	[ -z "${told:-}" ] || grep -q "half-made VM 'interrupted'" "$BATS_TEST_TMPDIR/progress"
	told=
}

# The pid of the provisioning child.
provision_pid() { processes initvm-provisio | head -n 1; }

# The pid of the VM's emulator: libvirt may be asking another one for its capabilities at the same time.
emulator_pid() { pgrep -f '^/usr/bin/qemu-system-[^ ]+ -name guest=interrupted,'; }

# Waits until nothing of ours but the daemon runs any more, and compares what is there with what was there before.
settled() {
	local pid
	for pid in $("$TREE/tests/lib/processes.py" "$INITVM_HOME" | awk '$2 != "initvmd" { print $1 }'); do
		wait_pid "$pid" 60
	done
	initvm list >/dev/null 2>"$BATS_TEST_TMPDIR/recovered"
	leftovers | diff "$BATS_FILE_TMPDIR/before" -
	run initvm status -n interrupted
	expect 1 "'interrupted'"
}

# Interrupts a create at every stage whose number modulo 4 is $1, in the way of the function $2.
at_stages() {
	local number=0 stage
	while read -r stage; do
		if [ $((number++ % 4)) -eq "$1" ]; then
			echo "stage $stage"
			create_until "$stage"
			"$2"
			settled
		fi
	done <"$BATS_FILE_TMPDIR/stages"
	[ "$number" -ge 4 ]
}

by_ctrl_c() {
	local code=0
	kill -INT "$create_pid"
	wait "$create_pid" || code=$?
	[ "$code" -eq 130 ]
	grep -q cancelled "$BATS_TEST_TMPDIR/errors"
}

by_kill_of_cli() {
	kill -KILL "$create_pid"
	wait "$create_pid" || true
}

by_kill_of_provision_or_qemu() {
	local code=0
	local -a pids
	mapfile -t pids < <(provision_pid)
	if [ ${#pids[@]} -eq 0 ]; then
		within 60 emulator_pid >/dev/null
		mapfile -t pids < <(emulator_pid)
	fi
	kill -KILL "${pids[@]}"
	wait "$create_pid" || code=$?
	[ "$code" -eq 1 ]
	cat "$BATS_TEST_TMPDIR/errors"
	[ "$(grep -c '^initvm:' "$BATS_TEST_TMPDIR/errors")" -ge 1 ]
}

by_kill_of_daemon() {
	local code=0 pid
	pid=$(daemon_pid)
	kill -KILL "$pid"
	wait_pid "$pid"
	wait "$create_pid" || code=$?
	[ "$code" -eq 3 ]
	# What it left is cleaned up by the next one, which knows what that was.
	initvm list 2>/dev/null
	run initvm daemon status
	expect 0 "'interrupted'"
	# That is told by the next create.
	told=yes
}

@test "Ctrl-C at some of the stages: cancelled, 130, nothing left" {
	at_stages 0 by_ctrl_c
}

@test "kill -9 of the CLI at others: the same" {
	at_stages 1 by_kill_of_cli
}

@test "kill -9 of what does the work at others: failed, nothing left" {
	at_stages 2 by_kill_of_provision_or_qemu
}

@test "kill -9 of the daemon at the rest: the next one cleans up, the next create says so" {
	at_stages 3 by_kill_of_daemon
}

@test "two creates of one name at once: one makes it, the other is told" {
	create_until "$(head -n 1 "$BATS_FILE_TMPDIR/stages")"
	run initvm create -n interrupted --preseed "$BATS_FILE_TMPDIR/base.cfg"
	expect_one_sentence 1 "'interrupted'"
	run initvm start -n interrupted
	expect_one_sentence 1 'still being created'
	run initvm status -n interrupted --json
	expect 0
	[ "$(json state <<<"$output")" = creating ]
	[ "$(initvm list --json | json state)" = creating ]
	run initvm destroy --yes -n interrupted
	expect_one_sentence 1 "'interrupted'"
	kill -INT "$create_pid"
	wait "$create_pid" || true
	settled
}

@test "after all that a create that nobody interrupts works" {
	run initvm create -n interrupted --preseed "$BATS_FILE_TMPDIR/base.cfg" --size 8G --memory 1G --cpus 2
	expect 0
	[ -z "$(entries creating)" ]
	[ "$(entries vms)" = interrupted ]
	initvm start -n interrupted
	initvm exec -n interrupted -- true
	initvm stop --force -n interrupted
	run initvm destroy --yes -n interrupted
	expect 0
	leftovers | diff "$BATS_FILE_TMPDIR/before" -
}
