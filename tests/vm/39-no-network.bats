#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# A guest without any network: the channel does not need one, and neither does what goes through it.

load ../lib/vm

setup_file() {
	need_base
	guest systemctl stop systemd-networkd.socket systemd-networkd.service
	guest sh -c 'for link in /sys/class/net/e*; do ip link set dev "${link##*/}" down; done'
}

teardown_file() {
	export INITVM_HOME=$SUITE_HOME
	guest systemctl start systemd-networkd.service
}

@test "there is none" {
	run guest ip -4 route
	expect 0
	[ -z "$output" ]
}

@test "exec, shell, cp" {
	[ "$(echo word | guest cat)" = word ]
	"$TREE/tests/lib/terminal.py" raw 'send:echo sum=$((40+2))\r' expect:sum=42 'send:exit 7\r' status:7 restored -- initvm shell -n base
	head -c 1M /dev/urandom >"$BATS_TEST_TMPDIR/file"
	initvm cp "$BATS_TEST_TMPDIR/file" base:/root/no-network
	initvm cp base:/root/no-network "$BATS_TEST_TMPDIR/back"
	cmp "$BATS_TEST_TMPDIR/file" "$BATS_TEST_TMPDIR/back"
	guest rm /root/no-network
}

@test "ssh, attach" {
	run initvm ssh -n base 'echo sum=$((40+2))'
	expect 0 sum=42
	need_login
	run "$TREE/tests/lib/consoles.py" login base
	expect 0
}
