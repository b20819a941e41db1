#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# A very large file, written and deleted in a guest: what it took on the host is given back.

load ../lib/vm

size=20000000000

# Of that much the file system may use some for itself, and leave some where it cannot be given back.
slack=300000000

setup_file() {
	local free
	need_base
	free=$(df --output=avail -B1 "$SUITE_HOME" | tail -n 1)
	[ "$free" -gt $((size + 5000000000)) ] || skip "$free bytes are too few"
	initvm stop -n base
	initvm clone base big
	initvm disk resize -n big 32G
	initvm start -n big
}

teardown_file() { initvm destroy --yes -n big; }

allocated() { echo $(($(stat -c %b "$SUITE_HOME/vms/big/buildenv.img") * 512)); }

@test "20 GB written and deleted in the guest are given back to the host" {
	local before full after seconds=$SECONDS
	before=$(allocated)
	initvm exec -n big -- sh -c "yes initvm | head -c $size >/srv/large && sync" # no zeros: those would take nothing
	full=$(allocated)
	echo "# took $((full - before)) bytes, in $((SECONDS - seconds)) s" >&3
	[ $((full - before)) -gt $((size - slack)) ]
	initvm exec -n big -- sh -c 'rm /srv/large && sync'
	initvm stop -n big
	after=$(allocated)
	echo "# left $((after - before)) bytes" >&3
	[ $((after - before)) -lt "$slack" ]
	qemu-img check -q "$SUITE_HOME/vms/big/buildenv.img"
}
