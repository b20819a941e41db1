#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# submit and job, without a VM: the command line, the queue and its methods are the real ones; the VM 'base' is a process of this machine
# (tests/lib/job_server.c, tests/lib/job_guest.py).

load ../lib/common

terminal=$TREE/tests/lib/terminal.py
export TERMINAL_DEADLINE=30

setup_file() {
	new_home
	chmod 700 "$INITVM_HOME"
	# The command line starts the initvmd that is beside it.
	mkdir "$INITVM_HOME/bin"
	cp "$INITVM_BIN/initvm" "$INITVM_HOME/bin/initvm"
	cp "$INITVM_BIN/../tests/job_server" "$INITVM_HOME/bin/initvmd"
	export INITVM_BIN=$INITVM_HOME/bin
}

teardown_file() {
	sanitizers_silent
	remove_home
}

setup() {
	initvm job list >/dev/null 2>&1 # so that the guest's folder is there
	cd "$BATS_TEST_TMPDIR" || return 1
	export INITVM_NAME=base
	rm -f "$INITVM_HOME"/guest/{hang,fail}.*
}

# Numbers of jobs in the state $1.
in_state() { initvm job list --state "$1" --json | sed 's/.*"id":\([0-9]*\).*/\1/'; }
state_of() { initvm job show "$1" --json | json job.state; }
some_are() { [ -n "$(in_state "$1")" ]; }
is_state() { [ "$(state_of "$1")" = "$2" ]; }
guest_jobs() { find "$INITVM_HOME/guest/jobs" -mindepth 1 -maxdepth 1 | wc -l; }

kill_daemon() {
	local pid
	for pid in $(processes initvmd); do
		kill -KILL "$pid"
		wait_pid "$pid"
	done
}

@test "a command: its output as it comes, its status, and what is said of it" {
	run --separate-stderr initvm submit -- sh -c 'echo out; echo err >&2'
	expect 0
	[ "$output" = $'out\nerr' ]
	# shellcheck disable=SC2154
	[[ $stderr == *"succeeded after"* ]]
	run --separate-stderr initvm submit -- sh -c 'exit 3'
	expect 3
	[[ $stderr == *"failed with exit status 3"* && $stderr == *"initvm job shell"* ]]
}

@test "the table of exit statuses" {
	run initvm submit -- sh -c 'kill -TERM $$'
	expect 143 'killed by signal 15'
	run initvm submit --timeout 1 -- sleep 1000
	expect 124 'timed out'
	run -127 initvm submit -- /no/such/command
	expect 127 'is not there'
	run initvm submit -- /etc/passwd
	expect 126 'is not executable'
	run initvm submit --chroot nowhere -- true
	expect 125 "there is no chroot 'nowhere'"
	run initvm submit -n nowhere -- true
	expect 125 "there is no VM 'nowhere'"
	echo 'NoSpace the disk of the VM is full' >"$INITVM_HOME/guest/fail.start"
	run initvm submit -- true
	expect 125 'the disk of the VM is full'
}

@test "a source folder and a .dsc: what belongs to them arrives, their results come" {
	mkdir -p hello-1.0/debian
	echo 'Source: hello' >hello-1.0/debian/control
	(cd hello-1.0 && run initvm submit --output ../out . && expect 0 building)
	[ -f out/work_1.deb ]
	echo orig >hello_1.0.orig.tar.gz
	echo debian >hello_1.0-1.debian.tar.xz
	printf '%s\n' 'Format: 3.0 (quilt)' 'Checksums-Sha256:' ' aa 5 hello_1.0.orig.tar.gz' ' bb 7 hello_1.0-1.debian.tar.xz' 'Files:' \
		' aa 5 hello_1.0.orig.tar.gz' ' bb 7 hello_1.0-1.debian.tar.xz' >hello_1.0-1.dsc
	run initvm submit hello_1.0-1.dsc --suite sid --arch riscv64 --keep
	expect 0 building
	compgen -G 'initvm-build-*/work_1.deb'
	[ -d "$INITVM_HOME/guest/chroots/sid-riscv64" ]
	[ "$(cd "$(ls -d "$INITVM_HOME"/guest/jobs/*/work | sort -V | tail -n 1)" && ls)" = $'hello_1.0-1.debian.tar.xz\nhello_1.0-1.dsc\nhello_1.0.orig.tar.gz\nwork_1.deb' ]
	rm hello_1.0.orig.tar.gz
	run initvm submit hello_1.0-1.dsc
	expect_one_sentence 125 "'hello_1.0.orig.tar.gz', which belongs to 'hello_1.0-1.dsc', is not there"
}

@test "a JSON file: every field, paths relative to it, options on top" {
	mkdir sub
	echo content >sub/in
	cat >sub/job.json <<-'END'
		{"name": "of a file", "script": "cat in; echo $A $B >result; exit 0", "inputs": ["in"], "artifacts": ["result"],
		 "environment": {"A": "1"}, "labels": ["nightly"], "limits": {"timeout": 60000, "cpus": 1.5, "memory": 1000000},
		 "priority": 70, "network": false, "keep": true, "vm": "base", "output": "of-file"}
	END
	run initvm submit sub/job.json --env B=2 --label extra
	expect 0 content
	[ "$(cat of-file/result)" = '1 2' ]
	run initvm job list --label nightly --json
	expect 0 '"priority":70'
	[[ $output == *'"labels":["nightly","extra"]'* && $output == *'"name":"of a file"'* ]]
}

@test "artifacts: equal by checksum, modes kept, replaced when fetched again; none is a failure unless allowed" {
	head -c 3000000 /dev/urandom >random
	run initvm submit --input random --artifact 'r*' --artifact sub --output out -- sh -c 'chmod 755 random; mkdir sub; cp random sub/b'
	expect 0
	cmp random out/random && cmp random out/sub/b
	[ -x out/random ]
	echo spoiled >out/random
	run initvm job fetch "$(in_state succeeded | tail -n 1)" --output out
	expect 0
	cmp random out/random
	run initvm submit --artifact 'no*' -- true
	expect 1 "matches nothing"
	run initvm submit --artifact 'no*' --allow-empty -- true
	expect 0
}

@test "bad input is one sentence that names it, and nothing is left of it" {
	local before
	before=$(initvm job list --json | wc -l)
	echo '{"command": ["true"], "colour": "red"}' >unknown.json
	run initvm submit unknown.json
	expect_one_sentence 125 "'colour' is not a known field"
	echo '{"command": "true"}' >type.json
	run initvm submit type.json
	expect_one_sentence 125 "'command' must be an array of strings"
	echo '{"command": ["true"], "limits": {"timeout": "1h"}}' >limit.json
	run initvm submit limit.json
	expect_one_sentence 125 "'limits': 'timeout' must be a number"
	echo '{"command": ["true"]' >broken.json
	run initvm submit broken.json
	expect 125 broken.json
	run initvm submit --input no-such-file -- true
	expect_one_sentence 125 "'no-such-file'"
	run initvm submit --artifact ../secret -- true
	expect_one_sentence 125 "'../secret'"
	run initvm submit --label $'a\007b' -- true
	expect_one_sentence 125 "'labels'"
	touch in-the-way
	run initvm submit --artifact x --output in-the-way -- true
	expect_one_sentence 125 "'in-the-way' is in the way"
	mkdir a b
	touch a/x b/x
	run initvm submit --input a/x --input b/x -- true
	expect_one_sentence 125 "two inputs are called 'x'"
	run initvm submit --cpus many -- true
	expect_one_sentence 125 --cpus
	run initvm submit
	expect_one_sentence 125 'something is missing'
	run initvm submit unknown.json -- true
	expect_one_sentence 125 either
	run initvm submit a
	expect_one_sentence 125 'is no source package'
	run initvm job show 9999
	expect_one_sentence 1 'there is no job 9999'
	run initvm job show abc
	expect_one_sentence 2 "'abc' is not the number of a job"
	[ "$(initvm job list --json | wc -l)" -eq "$before" ]
	! compgen -G "$INITVM_HOME/jobs/.new-*"
}

@test "a log: any number of readers, from any offset, slow ones as well, byte by byte; times; compressed afterwards" {
	local id
	seq 200000 >expected
	id=$(initvm submit --detach -- sh -c 'seq 100000; sleep 1; seq 100001 200000')
	initvm job logs -f "$id" >one &
	pids=($!)
	initvm job logs -f "$id" | { read -r first; echo "$first"; exec /usr/bin/python3 -c 'import sys, time; time.sleep(2); sys.stdout.write(sys.stdin.read())'; } >slow &
	pids+=($!)
	initvm job logs -f --offset 1000 "$id" >behind
	wait "${pids[@]}"
	cmp expected one
	cmp expected slow
	tail -c +1001 expected | cmp - behind
	within 20 test -e "$INITVM_HOME/jobs/$id/log.zst"
	[ ! -e "$INITVM_HOME/jobs/$id/log" ]
	initvm job logs "$id" | cmp expected -
	[ "$(initvm job logs --offset 1288888 "$id")" = 200000 ]
	run initvm job logs --timestamps "$id"
	[[ ${lines[0]} =~ ^20[0-9-]+T[0-9:]+\.[0-9]{3}\ 1$ ]]
	run initvm job logs --since 3600 "$id"
	[ "${#lines[@]}" -eq 200000 ]
}

@test "cancelled in each state: 130, and nothing is left in the VM" {
	local id hang
	for hang in create start none artifacts; do
		touch "$INITVM_HOME/guest/hang.$hang"
		case $hang in
		artifacts) id=$(initvm submit --detach --artifact a -- touch a) ;;
		*) id=$(initvm submit --detach -- sleep 1000) ;;
		esac
		case $hang in
		create) within 10 is_state "$id" preparing ;;
		artifacts) within 10 is_state "$id" collecting ;;
		*) within 10 is_state "$id" running ;;
		esac
		initvm job cancel "$id" >/dev/null &
		within 10 grep -q '"cancel":true' "$INITVM_HOME/jobs/$id/job.json"
		rm "$INITVM_HOME/guest/hang.$hang"
		wait $!
		run initvm job wait "$id"
		expect 130 cancelled
		[ ! -e "$INITVM_HOME/guest/jobs/$id" ]
	done
	run initvm job cancel "$id"
	expect_one_sentence 1 'has ended already'
}

@test "SIGTERM cancels, also Ctrl-C where there is no terminal" {
	local pid
	initvm submit -- sh -c 'echo begun; exec sleep 1000' >log 2>&1 &
	pid=$!
	within 20 grep -q begun log
	kill -TERM "$pid"
	wait "$pid" && return 1
	[ $? -eq 130 ]
	grep -q 'was cancelled' log
}

@test "Ctrl-C on a terminal detaches: the job goes on, and it is said how to go on" {
	local id
	run "$terminal" 'expect:begun' 'send:\x03' 'expect:goes on' 'expect:initvm job cancel' status:130 -- \
		initvm submit -- sh -c 'echo begun; sleep 2; echo ended'
	expect 0
	id=$(in_state running)
	run initvm job wait "$id"
	expect 0
	run initvm job logs "$id"
	[ "$output" = $'begun\nended' ]
}

@test "kill -9 of the command line: the job goes on" {
	local pid id
	initvm submit --job-name survivor -- sh -c 'sleep 1; echo done' >log 2>&1 &
	pid=$!
	within 20 grep -q 'is queued' log
	kill -KILL "$pid"
	id=$(sed -n 's/.*job \([0-9]*\) is queued.*/\1/p' log)
	run initvm job wait "$id"
	expect 0
}

@test "kill -9 of the command line while it packs: nothing is left once the next one comes" {
	local pid
	mkfifo endless
	truncate -s 20G large
	initvm submit --input large -- true &
	pid=$!
	packing() { compgen -G "$INITVM_HOME/jobs/.new-*" >/dev/null; }
	within 20 packing
	kill -KILL "$pid"
	wait "$pid" || true
	initvm submit -- true
	! packing
}

@test "kill -9 of the daemon in each state, while somebody follows: whole log, same artifacts, run once" {
	local hang pid
	for hang in create start none artifacts times remove; do
		touch "$INITVM_HOME/guest/hang.$hang"
		rm -rf out
		initvm submit --artifact sum --output out -- sh -c \
			'i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line $i; [ $i != 1000 ] || sleep 1; done; echo '"$hang"' >>sum' \
			>log 2>err &
		pid=$!
		case $hang in
		create) within 20 some_are preparing ;;
		start) within 20 some_are running ;;
		none) within 20 grep -q 'line 1000' log ;;
		artifacts | times | remove) within 20 some_are collecting ;;
		esac
		kill_daemon
		rm -f "$INITVM_HOME/guest/hang.$hang"
		wait "$pid" || { echo "hung in $hang"; cat err; return 1; }
		seq -f 'line %g' 2000 | cmp - log
		[ "$(cat out/sum)" = "$hang" ]
	done
	[ -z "$(initvm job list --open --json)" ]
}

@test "the VM ends: running jobs are lost, what had not begun goes on, and --retry-lost runs it again" {
	local id pid other
	id=$(initvm submit --detach -- sleep 1000)
	other=$(initvm submit --detach --retry-lost 1 --env "FLAG=$PWD/flag" -- sh -c 'echo begun; [ -e $FLAG ] || { touch $FLAG; exec sleep 1000; }')
	within 20 test -e flag
	pid=$(pgrep -f "job_guest.py $INITVM_HOME/guest")
	kill -KILL "$pid"
	run initvm job wait "$id"
	expect 125 'is lost'
	run initvm job wait "$other"
	expect 0
	run initvm job logs "$other"
	[[ $output == "begun"*"initvm: attempt 1 was lost"*"begun" ]]
}

@test "many clients at once: no job is lost, none is run twice" {
	local i
	for i in 1 2 3 4 5; do
		{
			for j in 1 2 3 4 5 6; do
				initvm submit --detach --label load --env "X=$i.$j" -- sh -c 'echo $X >>'"$PWD/ran" || exit 1
			done
		} &
		eval "client$i=$!"
	done
	for i in 1 2 3 4 5; do
		eval "wait \$client$i"
	done
	no_more() { [ -z "$(initvm job list --open --json)" ]; }
	within 60 no_more
	[ "$(initvm job list --label load --state succeeded --json | wc -l)" -eq 30 ]
	[ "$(sort -u ran | wc -l)" -eq 30 ] && [ "$(wc -l <ran)" -eq 30 ]
}

@test "how many run at once: as many as CPUs, or as was said, also after the daemon's end" {
	local id
	[ "$(initvm job limit --json)" = '{"limit":0}' ]
	run initvm job limit 3
	expect 0 '3 jobs at once'
	run initvm job limit many
	expect_one_sentence 2 "'many'"
	kill_daemon
	for id in 1 2 3 4; do
		initvm submit --detach -- sleep 1000
	done
	three_run() { [ "$(in_state running | wc -l)" -eq 3 ]; }
	within 20 three_run
	[ "$(in_state queued | wc -l)" -eq 1 ]
	initvm job limit cpus
	for id in $(initvm job list --open --json | sed 's/.*"id":\([0-9]*\).*/\1/' | sort -rn); do
		initvm job cancel "$id"
	done
}

@test "watch tells events as JSON; retry runs the same again; remove and prune leave nothing" {
	local id watcher
	id=$(initvm submit --detach -- sleep 1000)
	initvm job watch >events &
	watcher=$!
	wait_line events "\"id\":$id,"
	initvm job cancel "$id"
	run initvm submit --label again -- sh -c 'exit 4'
	expect 4
	id=$(in_state failed | tail -n 1)
	wait_line events '"state":"failed"'
	kill "$watcher"
	grep -q '"event":"state".*"state":"running"' events
	run initvm job retry "$id" --json
	expect 0 "\"retryOf\":$id"
	run initvm job wait "$(echo "$output" | json job.id)"
	expect 4
	run initvm job remove "$id"
	expect 0
	run initvm job show "$id"
	expect 1 'there is no job'
	run initvm job prune
	expect_one_sentence 2 'which jobs'
	run initvm job prune --all --dry-run
	expect 0 'would be removed'
	[ ! -e "$INITVM_HOME/guest/trimmed" ]
	run initvm job prune --all
	expect 0 removed
	[ -z "$(initvm job list --json)" ]
	no_workspaces() { [ "$(guest_jobs)" -eq 0 ]; }
	within 20 no_workspaces
	wait_path "$INITVM_HOME/guest/trimmed"
	[ "$(cat "$INITVM_HOME/guest/trimmed")" -eq 0 ] # not before all of them had gone
	[ -z "$(find "$INITVM_HOME/jobs" -mindepth 1 ! -name last ! -name limits.json)" ]
}
