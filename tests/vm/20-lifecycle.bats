#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# start, stop, restart, ensure, status, list, on the VM that all share.

load ../lib/vm

setup_file() { need_base; }

@test "status of a running VM, for people and for machines" {
	run initvm status -n base
	expect 0 running
	local key
	for key in name state agent image suite architecture memory cpus disk acceleration pid uptime created folder consoleLog; do
		[ -n "$(vm_get base "$key")" ] || { echo "no '$key'"; false; }
	done
	[ "$(vm_get base memory)" = $((1 << 30)) ]
	[ "$(vm_get base disk.virtual)" -ge $((8 << 30)) ] # other files may have resized it
}

@test "list shows it, one object a line with --json" {
	run initvm list
	expect 0 base
	initvm list --json | grep -c . | grep -qx 1
	[ "$(initvm list --json | json name)" = base ]
}

@test "start and ensure of a running VM leave it as it is" {
	local pid
	pid=$(vm_get base pid)
	run initvm ensure -n base
	expect 0
	[ "$(vm_get base pid)" = "$pid" ]
	run initvm start -n base
	[ "$(vm_get base pid)" = "$pid" ]
}

@test "create of a VM that is there is refused, and leaves it alone" {
	run initvm create -n base
	expect_one_sentence 1 "'base'"
	guest true
}

@test "restart is a new boot of the same machine" {
	local before
	before=$(guest cat /proc/sys/kernel/random/boot_id)
	run initvm restart -n base
	expect 0
	[ "$(guest cat /proc/sys/kernel/random/boot_id)" != "$before" ]
}

@test "stop shuts the guest down; stop of a stopped VM is fine; status says stopped" {
	guest sh -c 'echo synced >/root/synced'
	run initvm stop -n base
	expect 0
	[ -z "$(qemus)" ]
	[ "$(vm_get base state)" = stopped ]
	run initvm stop -n base
	expect 0
}

@test "exec and attach on a stopped VM say what to do" {
	run initvm exec -n base -- true
	expect_one_sentence 125 start
	run timeout 30 initvm attach -n base </dev/null
	expect_one_sentence 1 start
}

@test "start with a timeout that cannot be met: the phase, the console's last lines, the log's path" {
	run initvm start -n base --timeout 2
	expect 1
	[[ $output == *"$INITVM_HOME"* ]]
	[[ $output == *console* ]]
}

@test "start after that: running, with what was written" {
	run initvm ensure -n base
	expect 0
	[ "$(guest cat /root/synced)" = synced ]
}

@test "stop --force is immediate, and the next start works" {
	local begin=$SECONDS
	run initvm stop --force -n base
	expect 0
	[ $((SECONDS - begin)) -le 10 ]
	[ -z "$(qemus)" ]
	run initvm start -n base
	expect 0
	guest true
}

@test "stop of a guest whose systemctl fails: by the power button, and not only when the time is up" {
	need_login # whoever hears the power button is there, too
	guest mount --bind /bin/false /usr/bin/systemctl
	run initvm stop -n base
	expect 0
	[[ $output != *killed* ]]
	[[ $(cat "$INITVM_HOME/initvmd.log") == *"power button"* ]]
	initvm start -n base
}

@test "stop of a guest that reboots instead: stopped, and not only when the time is up" {
	guest sh -c 'printf "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStop=sh -c \"echo b >/proc/sysrq-trigger\"\n" >/run/systemd/system/again.service
		systemctl start again'
	run initvm stop -n base
	expect 0
	[[ $output != *killed* ]]
	[ "$(vm_get base state)" = stopped ]
	initvm start -n base
}

@test "a kernel or an initrd that is new in the guest is what the next start boots" {
	local folder old new
	folder=$(dirname "$(vm_get base consoleLog)")
	# As after an upgrade: a newer release, and an initrd with something more behind it (which begins at a multiple of four bytes).
	guest sh -c 'cd /boot; for f in vmlinuz initrd.img; do cp "$(ls -v $f-* | tail -n 1)" $f-99.9-new; done
		truncate -s %4 initrd.img-99.9-new; echo /boot/grub | cpio -o -H newc >>initrd.img-99.9-new'
	new=$(guest sha256sum /boot/initrd.img-99.9-new | cut -d ' ' -f 1)
	run initvm stop -n base
	expect 0
	old=$(echo "$folder"/boot-*)
	[ "$(sha256sum "$old/initrd" | cut -d ' ' -f 1)" = "$new" ]
	run initvm start -n base
	expect 0
	[[ $(tr '\0' ' ' <"/proc/$(vm_get base pid)/cmdline") == *"-initrd $old/initrd "* ]]
	# Nothing is fetched again, and nothing is left when it goes back to the old ones.
	initvm stop -n base
	[ "$(echo "$folder"/boot-*)" = "$old" ]
	initvm start -n base
	guest rm /boot/vmlinuz-99.9-new /boot/initrd.img-99.9-new
	initvm stop -n base
	[ "$(echo "$folder"/boot-*)" != "$old" ]
	[ "$(ls -d "$folder"/boot-* | wc -l)" -eq 1 ]
	initvm start -n base
	guest true
}

@test "Ctrl-C during start ends the command, and the VM is either up or down, not stuck" {
	initvm stop --force -n base
	TERMINAL_DEADLINE=120 run "$TREE/tests/lib/terminal.py" 'expect:boot|start' signal:INT eof -- initvm start -n base
	run initvm ensure -n base
	expect 0
	guest true
}
