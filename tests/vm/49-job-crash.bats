#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# kill -9 of everyone who has to do with a job, in each of its states: four jobs, one of which waits in the queue, one is sent its
# inputs, one runs, and one has its artifacts fetched.  Each comes to its one true end, with a log that is whole to the byte and
# artifacts that are equal, and nothing is left over.

load ../lib/vm
load ../lib/jobs

# In the guest and in both directions: enough to be stopped in the middle.
size=32000000
half=$((size / 2))

setup_file() {
	need_base
	export INITVM_NAME=base # for this function
	make_tiny "$BATS_FILE_TMPDIR/tiny"
	chroot_ create tiny --from "$BATS_FILE_TMPDIR/tiny"
	guest sync
	head -c "$size" /dev/urandom >"$BATS_FILE_TMPDIR/random"
	seq -f 'line %g' 1000 >"$BATS_FILE_TMPDIR/lines"
	initvm job limit 3
}

teardown_file() {
	export INITVM_NAME=base
	initvm job limit cpus
	initvm job prune --all
	chroot_ remove tiny
}

setup() {
	export INITVM_NAME=base
	cd "$BATS_TEST_TMPDIR" || return 1
}

# After a failure nothing of it goes on.
teardown() {
	local id
	kill -KILL "${clients[@]}" 2>/dev/null || true
	for id in $(initvm job list --open --json | sed 's/.*"id":\([0-9]*\).*/\1/'); do
		initvm job cancel "$id" || true
	done
}

# Begins the job $1; with 'gate' as $2 it waits in the middle until open_gate. Its command line's pid is clients[$1].
declare -gA clients ids
begin() {
	initvm submit --chroot tiny --input "$BATS_FILE_TMPDIR/random" --artifact copy --output "out-$1" -- sh -c '
		lines() { while [ $i -lt $1 ]; do i=$((i + 1)); echo line $i; done; }
		i=0; lines 500
		[ -z "$1" ] || { busybox mkfifo gate && read line <gate; } || exit
		lines 1000; exec busybox mv random copy' job "${2:-}" >"$1.log" 2>"$1.err" 3>&- &
	clients[$1]=$!
	wait_line "$1.err" 'job [0-9]+ is queued'
	ids[$1]=$(number_in "$1.err")
}

open_gate() { guest sh -c "echo >/var/lib/initvm/jobs/${ids[$1]}/work/gate"; }

# Stops the next command $1 of a job in the guest when it has read more than $2 bytes.
freeze() {
	guest timeout 60 sh -c 'until pid=$(pgrep -f "[-]-job $0 "); do :; done
		until read -r _ n </proc/$pid/io && [ "$n" -gt "$1" ]; do :; done
		kill -STOP $pid' "$1" "$2" 3>&- &
}

# One job in each state, and all of them stay there.
four_jobs() {
	local frozen
	begin running gate
	begin fetching gate
	wait_line running.log '^line 500$' 60
	wait_line fetching.log '^line 500$' 60
	freeze create "$half"
	frozen=$!
	begin sending
	begin queued
	wait "$frozen"
	freeze artifacts $((size + half)) # the first time for the checksums
	frozen=$!
	open_gate fetching
	wait "$frozen"
	is_state "${ids[queued]}" queued
	is_state "${ids[sending]}" preparing
	is_state "${ids[running]}" running
	is_state "${ids[fetching]}" collecting
	[ -s "$INITVM_HOME/jobs/${ids[fetching]}/artifacts.tar.part" ]
}

go_on() {
	guest sh -c 'pkill -CONT -f "[-]-job (create|artifacts) "; true'
	open_gate running
}

# The job $1 has succeeded: who waits for it is told, and has its whole log and its artifact.
is_whole() {
	local status=0
	wait "${clients[$1]}" || status=$?
	[ "$status" -eq 0 ] || { echo "$1: exit status $status"; cat "$1.err"; return 1; }
	cmp "$BATS_FILE_TMPDIR/lines" "$1.log"
	cmp "$BATS_FILE_TMPDIR/random" "out-$1/copy"
}

# The job $1 is lost, for a reason that has the words $2; its log ends with line $3.
is_lost() {
	local status=0
	wait "${clients[$1]}" || status=$?
	[ "$status" -eq 125 ]
	grep "is lost.*$2" "$1.err" || { cat "$1.err"; return 1; }
	head -n "$3" "$BATS_FILE_TMPDIR/lines" | cmp - "$1.log"
	initvm job logs "${ids[$1]}" | cmp - "$1.log"
	[ ! -e "out-$1" ]
}

@test "kill -9 of the command lines" {
	local job
	four_jobs
	kill -KILL "${clients[@]}"
	for job in "${!ids[@]}"; do
		wait_pid "${clients[$job]}"
	done
	go_on
	for job in "${!ids[@]}"; do
		run initvm job wait "${ids[$job]}"
		expect 0
		initvm job logs "${ids[$job]}" | cmp - "$BATS_FILE_TMPDIR/lines"
		initvm job fetch "${ids[$job]}" --output "out-$job"
		cmp "$BATS_FILE_TMPDIR/random" "out-$job/copy"
	done
	within 30 none_left
}

@test "kill -9 of the daemon" {
	local job
	four_jobs
	kill_daemon
	go_on
	for job in "${!ids[@]}"; do
		is_whole "$job"
	done
	within 30 none_left
}

@test "kill -9 of the agent" {
	local job
	four_jobs
	guest sh -c 'kill -9 $(systemctl show -P MainPID initvm-agent)' || true
	go_on
	for job in "${!ids[@]}"; do
		is_whole "$job"
	done
	within 30 none_left
}

@test "the guest's kernel panics: its jobs are lost, and say so" {
	begin running gate
	wait_line running.log '^line 500$' 60
	guest sh -c 'echo c >/proc/sysrq-trigger' || true
	is_lost running "the guest's kernel panicked (sysrq triggered crash)" 500
	[[ $(initvm job show "${ids[running]}" --json | json job.message) == *'Kernel panic - not syncing: sysrq triggered crash' ]]
	run initvm status
	expect 0 'kernel panicked'
	tidy
}

@test "kill -9 of QEMU: what ran is lost, and what had not begun runs in the VM that is started for it" {
	four_jobs
	kill -KILL "$(qemus)"
	is_whole queued
	is_whole sending
	is_lost running 'QEMU ended unexpectedly' 500
	is_lost fetching 'artifacts are lost.*QEMU ended unexpectedly' 1000
	tidy
}
