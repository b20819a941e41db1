#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# debian-installer from the default preseed to an agent that says Hello, and what it leaves behind compared with what bootstrap makes
# of the same preseed: what differs is a defect.  All that is installed comes through a proxy of the test's own on this host, of which
# nothing may be left.

load ../lib/installer

setup_file() {
	new_home
	use_installer "$INSTALLER"
	preseed >"$INITVM_HOME/both.cfg"
	mkdir "$BATS_FILE_TMPDIR/served"
	start_mirror "$BATS_FILE_TMPDIR/served"
	echo "$mirror_pid" >"$BATS_FILE_TMPDIR/mirror"
	initvm create -n installed --method installer --image net --preseed "$INITVM_HOME/both.cfg" --size 8G --memory 1G --json \
		--proxy "http://localhost:${mirror_url##*:}" >"$BATS_FILE_TMPDIR/progress" || { tail -n 3 "$BATS_FILE_TMPDIR/progress"; return 1; }
	initvm create -n bootstrapped --image net --preseed "$INITVM_HOME/both.cfg" --size 8G --memory 1G
}

teardown_file() {
	remove_home
	[ ! -e "$BATS_FILE_TMPDIR/mirror" ] || kill "$(cat "$BATS_FILE_TMPDIR/mirror")"
}

# What facts prints of the VM $1, which is off again afterwards.
facts_of() {
	initvm start -n "$1" >&2 || return 1
	initvm exec -n "$1" -- sh -s <"$TREE/tests/installer/facts"
	initvm stop -n "$1" >&2
}

@test "create: all stages of the installer were shown in their order, each with its time" {
	/usr/bin/python3 - "$BATS_FILE_TMPDIR/progress" <<-'END' >"$BATS_FILE_TMPDIR/stages"
		import json, sys
		for line in open(sys.argv[1]):
		    event = json.loads(line)
		    if event.get("state") == "end":
		        print(event["stage"], event["elapsed"] // 1000)
	END
	sed 's/^/# /; s/$/ s/' "$BATS_FILE_TMPDIR/stages" >&3
	run cut -d ' ' -f 1 "$BATS_FILE_TMPDIR/stages"
	[ "${output//$'\n'/ }" = 'check mirror installer components boot settings network components users-clock disks partitions base-system apt packages boot-loader finish first-boot' ]
	grep -q '"stage":"components","state":"update","text":"Loading additional components".*"percent"' "$BATS_FILE_TMPDIR/progress"
}

@test "create: everything came through the proxy, the host knows its address in the guest, and that there is no KVM is said once" {
	grep -q '/pool/main/.*\.udeb$' "$BATS_FILE_TMPDIR/served/requests"
	grep -q '/pool/main/.*\.deb$' "$BATS_FILE_TMPDIR/served/requests"
	grep -q 'is this host, which the installer reaches as' "$BATS_FILE_TMPDIR/progress"
	[ "$(grep -c 'no KVM' "$BATS_FILE_TMPDIR/progress")" -le 1 ]
}

@test "create: the machine is off, and its folder holds what it should and no more" {
	[ "$(vm_get installed state)" = stopped ]
	[ -z "$(qemus)" ]
	[ -z "$(entries creating)" ]
	[ -z "$(entries failed)" ]
	run entries vms/installed
	[ "$(grep -cE '^(buildenv\.img|kernel|initrd|vm\.json)$' <<<"$output")" -eq 4 ]
	[ -z "$(grep -vE '^(buildenv\.img|kernel|initrd|vm\.json|disk\.lock|snapshots|.*\.log(\.1)?)$' <<<"$output")" ]
	qemu-img check -q "$INITVM_HOME/vms/installed/buildenv.img"
}

@test "what the installer has made is what bootstrap makes" {
	facts_of bootstrapped >"$BATS_FILE_TMPDIR/bootstrapped"
	facts_of installed >"$BATS_FILE_TMPDIR/installed"
	cat "$BATS_FILE_TMPDIR/installed"
	grep -q '^names base base$' "$BATS_FILE_TMPDIR/installed"
	grep -q '^proxy , ' "$BATS_FILE_TMPDIR/installed"
	grep -q '^commands in target: base, outside: base$' "$BATS_FILE_TMPDIR/installed"
	grep -q 'state running, failed 0' "$BATS_FILE_TMPDIR/installed"
	diff "$BATS_FILE_TMPDIR/bootstrapped" "$BATS_FILE_TMPDIR/installed"
}

@test "the installed machine executes programs of other architectures, and its logs hold no answer of the preseed" {
	initvm start -n installed
	initvm binfmt -n installed | grep -q '^arm64.*'
	initvm exec -n installed -- sh -c 'test -s /var/log/installer/syslog && ! grep -q "debconf: --> SET" /var/log/installer/syslog'
	run ! grep -q 'debconf: --> SET' "$INITVM_HOME/vms/installed/installer.log"
	initvm stop -n installed
}
