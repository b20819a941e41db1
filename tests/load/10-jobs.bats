#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Very many build jobs, and a very long log: `make check-load`.  On software emulation not all of the jobs get their turn in the five
# minutes that they have; how many did is printed.

load ../lib/vm
load ../lib/jobs

clients=20
each=50
minutes=5

# What the daemon may grow by, in KiB: a job's record is a few, and a log is none of its business.
memory_max=$((32 * 1024))

setup_file() { need_base; }

setup() {
	export INITVM_NAME=base
	cd "$BATS_TEST_TMPDIR" || return 1
}

teardown() { initvm job prune --all >/dev/null; }

# One client: its jobs each write their number into a file of the guest.
client() {
	local i
	for ((i = 0; i < each; i++)); do
		initvm submit --detach --label load -- sh -c "echo $(($1 * each + i)) >>/var/tmp/load" >>"ids.$1" || return 1
	done
}

@test "a thousand short jobs of twenty clients at once: none is lost, none runs twice" {
	local i pids=() before deadline=$((SECONDS + minutes * 60)) submitted ran
	guest rm -f /var/tmp/load
	before=$(daemon_rss)
	for ((i = 0; i < clients; i++)); do
		client "$i" 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i"
	done
	submitted=$((SECONDS - deadline + minutes * 60))
	[ "$(sort -n -u ids.* | wc -l)" -eq $((clients * each)) ]
	printf '#   %d jobs of %d clients were taken in within %d s\n' $((clients * each)) "$clients" "$submitted" >&3

	# The last one to be run tells that all were; what has not begun at the end of the time is cancelled.
	timeout $((deadline - SECONDS)) initvm job wait "$(sort -n ids.* | tail -n 1)" || true
	initvm job list --open --json | sed 's/.*"id":\([0-9]*\).*/\1/' | sort -rn >open
	xargs -r -n 1 -a open initvm job cancel >/dev/null 2>&1 || true # which waits for its end; it may have come meanwhile
	[ -z "$(initvm job list --open --json)" ]

	guest cat /var/tmp/load | sort -n >ran
	ran=$(wc -l <ran)
	printf '#   %d of them ran within %d s; the daemon grew by %d KiB\n' "$ran" $((SECONDS - deadline + minutes * 60)) \
		$(($(daemon_rss) - before)) >&3
	[ "$ran" -gt 0 ]
	[ -z "$(uniq -d ran)" ]
	[ "$(initvm job list --label load --state succeeded --json | wc -l)" -eq "$ran" ]
	[ $(($(initvm job list --label load --state succeeded --json | wc -l) + $(initvm job list --label load --state cancelled --json | wc -l))) -eq \
		$((clients * each)) ]
	[ $(($(daemon_rss) - before)) -lt "$memory_max" ]
	initvm job prune --all >/dev/null
	within 60 none_left
}

@test "a log of 1 GB with two readers who do not read: it is cut at its limit, and the daemon does not grow" {
	local before id most=0 now readers=() i
	mkfifo gate.1 gate.2
	before=$(daemon_rss)
	id=$(initvm submit --detach --log-size 200M -- sh -c 'dd if=/dev/zero bs=1M count=1024 2>/dev/null; echo the end')
	for i in 1 2; do
		initvm job logs -f "$id" 3>&- | { read -r _ <"gate.$i"; cat; } >"log.$i" 3>&- &
		readers+=($!)
	done
	initvm job wait "$id" 3>&- &
	i=$!
	while kill -0 "$i" 2>/dev/null; do
		now=$(daemon_rss)
		[ "$now" -le "$most" ] || most=$now
	done
	wait "$i"
	printf '#   the daemon grew by %d KiB\n' $((most - before)) >&3
	[ $((most - before)) -lt "$memory_max" ]
	echo go >gate.1
	echo go >gate.2
	wait "${readers[@]}"
	cmp log.1 log.2
	[ "$(stat -c %s log.1)" -ge 200000000 ]
	[ "$(stat -c %s log.1)" -lt 220000000 ]
	tail -c 100000 log.1 | grep -a -q 'bytes are left out here'
	tail -c 8 log.1 | grep -q '^the end$'
}
