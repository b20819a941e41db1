#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Build jobs from the command line to a real guest and back.

load ../lib/vm
load ../lib/jobs

setup_file() {
	need_base
	export INITVM_NAME=base # for this function
	make_tiny "$BATS_FILE_TMPDIR/tiny"
	chroot_ create tiny --from "$BATS_FILE_TMPDIR/tiny"
}

teardown_file() {
	chroot_ remove tiny
	initvm job prune --all
}

setup() {
	export INITVM_NAME=base
	cd "$BATS_TEST_TMPDIR" || return 1
}

@test "a command with inputs and artifacts, in the VM and in a chroot: equal by checksum, and nothing remains" {
	local where
	head -c 2000000 /dev/urandom >random
	mkdir -p tree/sub
	echo text >tree/sub/file
	for where in '' '--chroot tiny'; do
		rm -rf out
		# shellcheck disable=SC2086
		run --separate-stderr initvm submit $where --input random --input tree --artifact 'copy*' --artifact made --output out -- \
			sh -c 'cat random >copy1; mkdir made; cat tree/sub/file >made/file; echo out; echo err >&2'
		expect 0
		[ "$output" = $'out\nerr' ]
		cmp random out/copy1
		cmp tree/sub/file out/made/file
	done
	within 30 none_left
}

@test "the table of exit statuses" {
	run initvm submit -- sh -c 'exit 3'
	expect 3 'exit status 3'
	run initvm submit -- sh -c 'kill -TERM $$'
	expect 143 'killed by signal 15'
	run initvm submit --timeout 2 -- sleep 1000
	expect 124 'timed out'
	run initvm submit --silence-timeout 2 -- sh -c 'echo once; sleep 1000'
	expect 124 'timed out'
	run initvm submit --memory 40M -- sh -c 'head -c 300M /dev/zero | tail'
	expect 137 memory
	run -127 initvm submit -- /no/such/command
	run initvm submit -- /etc/passwd
	expect 126
	run initvm submit --chroot nowhere -- true
	expect 125 nowhere
	run initvm submit --artifact 'no*' -- true
	expect 1 'no*'
	run initvm submit --no-network -- sh -c 'ls /sys/class/net'
	expect 0 lo
	tidy
}

@test "what a failed job has left can be looked into, and goes with the job" {
	local id
	run initvm submit --chroot tiny -- sh -c 'echo trace >left; exit 5'
	expect 5 'initvm job shell'
	id=$(initvm job list --state failed --json | tail -n 1 | json id)
	run initvm job shell "$id" -- sh -c 'cat left; pwd' </dev/null
	expect 0 trace
	[ "$(initvm job logs --timestamps "$id" | wc -l)" -eq 0 ]
	initvm job remove "$id"
	within 30 none_left
}

@test "four jobs on two CPUs: two at once, each on a pristine overlay of one chroot" {
	local ids=() id
	for id in 1 2 3 4; do
		ids+=("$(initvm submit --detach --chroot tiny -- sh -c '[ ! -e /mark ] && echo mine >/mark && sleep 2 && echo "$(cat /mark)"')")
	done
	for id in "${ids[@]}"; do
		run initvm job wait "$id"
		expect 0
		[ "$(initvm job logs "$id")" = mine ]
	done
	/usr/bin/python3 - "${ids[@]}" <<-'END'
		import json, subprocess, sys
		jobs = [json.loads(subprocess.check_output(["initvm", "job", "show", "--json", i]))["job"] for i in sys.argv[1:]]
		times = [(j["prepared"], j["ended"]) for j in jobs]
		most = max(sum(a <= t < b for a, b in times) for t, _ in times)
		sys.exit(0 if most == 2 else "%d at once" % most)
	END
	within 30 none_left
}

@test "kill -9 of the command line and of the daemon, while a job runs: whole log, artifacts, run once" {
	local pid id
	initvm submit --artifact sum --output out -- sh -c \
		'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; [ $((i % 1000)) != 0 ] || sleep 2; done; echo once >>sum' >log 2>err &
	pid=$!
	within 60 grep -q 'line 1000' log
	kill -KILL "$pid"
	wait "$pid" || true
	kill_daemon
	id=$(number_in err)
	initvm job logs -f "$id" >log &
	pid=$!
	within 60 grep -q 'line 2000' log
	kill_daemon
	wait "$pid"
	seq -f 'line %g' 3000 | cmp - log
	run initvm job wait "$id"
	expect 0
	initvm job fetch "$id" --output out
	[ "$(cat out/sum)" = once ]
	within 30 none_left
}

@test "kill -9 of the agent in the guest: the job goes on, and its log is whole" {
	local pid
	initvm submit -- sh -c 'i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line $i; [ $i != 1000 ] || sleep 3; done' >log 2>err &
	pid=$!
	within 60 grep -q 'line 1000' log
	initvm exec -- sh -c 'kill -9 $(systemctl show -P MainPID initvm-agent)' || true
	wait "$pid"
	seq -f 'line %g' 2000 | cmp - log
	within 30 none_left
}

@test "SIGTERM cancels; a cancelled job leaves nothing" {
	local pid
	initvm submit --chroot tiny -- sh -c 'echo begun; sleep 1000' >log 2>err &
	pid=$!
	within 60 grep -q begun log
	kill -TERM "$pid"
	wait "$pid" && return 1
	[ $? -eq 130 ]
	within 30 none_left
}

@test "QEMU killed: what ran is lost, or runs again with --retry-lost; what waited is run by the VM that is started for it" {
	local lost again waits qemu
	lost=$(initvm submit --detach -- sh -c 'echo begun; sleep 1000')
	again=$(initvm submit --detach --retry-lost 1 --artifact a -- sh -c 'echo begun >>a; [ ! -e /var/tmp/flag ] && touch /var/tmp/flag && sync && sleep 1000; true')
	waits=$(initvm submit --detach -- echo waited)
	within 60 initvm exec -- test -e /var/tmp/flag
	within 60 grep -q begun "$INITVM_HOME/jobs/$lost/log"
	qemu=$(qemus)
	kill -KILL "$qemu"
	run initvm job wait "$lost"
	expect 125 'is lost'
	run initvm job wait "$waits"
	expect 0
	run initvm job wait "$again"
	expect 0
	[ "$(initvm job show "$again" --json | json job.attempt)" -eq 2 ]
	guest rm /var/tmp/flag
	tidy
}

smaller_than() { [ "$(vm_get base disk.allocated)" -lt "$1" ]; }

@test "prune gives the disk's space back to the host" {
	local before
	run initvm submit --keep -- sh -c 'head -c 100M /dev/urandom >big; sync'
	expect 0
	before=$(vm_get base disk.allocated)
	initvm job prune --all
	within 60 smaller_than $((before - 90 * 1024 * 1024))
	within 30 none_left
}
