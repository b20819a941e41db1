#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Bad input that is found before anything is made: one sentence each, nothing left behind.

load ../lib/common

setup_file() {
	new_home
	initvm list
}
teardown_file() { remove_home; }

setup() { leftovers >"$BATS_TEST_TMPDIR/before"; }

teardown() {
	leftovers | diff "$BATS_TEST_TMPDIR/before" -
}

preseed() {
	printf '%s\n' "$@" >"$BATS_TEST_TMPDIR/preseed.cfg"
	echo "$BATS_TEST_TMPDIR/preseed.cfg"
}

@test "unknown image: names it and what there is" {
	run initvm create --image debian-99-amd64
	expect_one_sentence 1 "'debian-99-amd64'"
	[[ $output == *debian-13-amd64* ]]
}

@test "preseed with a syntax error: file and line" {
	local file
	file=$(preseed '# fine' 'd-i time/zone string Europe/Vienna' 'd-i time/zone strong Europe/Vienna')
	run initvm create --preseed "$file"
	expect 2
	[[ $output == *"$file:3"* ]]
	file=$(preseed 'd-i')
	run initvm create --preseed "$file"
	[ "$status" -ne 0 ]
	[[ $output == *"$file:1"* ]]
}

@test "preseed with a wrong value: file, line and question" {
	local file
	file=$(preseed 'd-i passwd/make-user boolean perhaps')
	run initvm create --preseed "$file"
	[ "$status" -ne 0 ]
	[[ $output == *"$file:1"* && $output == *passwd/make-user* ]]
}

@test "preseed that is not there, is a folder, or is a disk image by mistake" {
	run initvm create --preseed /nowhere/preseed.cfg
	expect_one_sentence 1 "/nowhere/preseed.cfg"
	run initvm create --preseed /var
	[ "$status" -ne 0 ]
	[[ $output == *'/var'* ]]
	truncate -s 10M "$BATS_TEST_TMPDIR/big"
	run initvm create --preseed "$BATS_TEST_TMPDIR/big"
	[ "$status" -ne 0 ]
	[[ $output == *"$BATS_TEST_TMPDIR/big"* ]]
}

@test "a relative preseed path means the caller's folder, not the daemon's" {
	preseed 'd-i broken' >/dev/null
	cd "$BATS_TEST_TMPDIR"
	run initvm create --preseed preseed.cfg
	[ "$status" -ne 0 ]
	[[ $output == *'preseed.cfg:1'* ]]
}

@test "a mirror that is no URL" {
	run initvm create --mirror 'not a url'
	[ "$status" -ne 0 ]
	[[ $output == *"not a url"* ]]
}

@test "an image of another architecture than the host's" {
	local other=arm64
	[ "$(dpkg --print-architecture)" = amd64 ] || other=amd64
	run initvm create --image "debian-13-$other"
	[ "$status" -ne 0 ]
	[[ $output == *"$other"* ]]
}

@test "a VM that does not exist: status, start, stop, restart, attach say so" {
	local command
	for command in status start stop restart attach; do
		run timeout 30 initvm "$command" -n nothing </dev/null
		expect_one_sentence 1 "'nothing'"
	done
	run timeout 30 initvm exec -n nothing -- true
	expect_one_sentence 125 "'nothing'"
}

@test "destroy of nothing is fine" {
	run initvm destroy --yes -n nothing
	expect 0
	run initvm destroy --yes -n nothing
	expect 0
}

@test "list of nothing is empty, for people and for machines" {
	run initvm list
	expect 0
	run initvm list --json
	expect 0
	[ -z "$output" ]
}

@test "the sanitizers had nothing to say" {
	sanitizers_silent
}
