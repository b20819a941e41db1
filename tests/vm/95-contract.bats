#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# What a VM must be after `create`: a preseed that changes every honoured answer, checked from outside and from inside.  As a link in
# tests/installer the same is asked of debian-installer.

load ../lib/vm
load ../lib/installer

by_installer() { [[ $BATS_TEST_FILENAME == */installer/* ]]; }

vm() { initvm exec -n contract -- "$@"; }

setup_file() {
	new_home
	local repository=$BATS_FILE_TMPDIR/repository kernel
	mkdir "$repository"
	(
		cd "$repository" || exit
		make_package contract-recommended
		make_package contract-probe 'Depends: debconf' 'Recommends: contract-recommended'
		make_repository "$repository" signed
	)
	start_mirror "$repository"
	echo "$mirror_pid" >"$BATS_FILE_TMPDIR/mirror"
	kernel=linux-image-$(dpkg --print-architecture)
	export PRESEED=$BATS_FILE_TMPDIR/contract.cfg
	sed "s|@PROXY@|$mirror_url|; s|@KERNEL@|$kernel|" "$TREE/tests/vm/contract.cfg" >"$PRESEED"
	local way=()
	if by_installer; then
		use_installer "$INSTALLER"
		way=(--method installer --image net)
	fi
	initvm create -n contract --preseed "$PRESEED" --size 20G --memory 1536M --cpus 2 "${way[@]}" >"$BATS_FILE_TMPDIR/create" 2>&1 ||
		{ cat "$BATS_FILE_TMPDIR/create"; return 1; }
}

teardown_file() {
	remove_home
	kill "$(cat "$BATS_FILE_TMPDIR/mirror")"
}

@test "create: what is not honoured was named with its line, and nothing else" {
	cat "$BATS_FILE_TMPDIR/create"
	if by_installer; then
		run ! grep 'contract.cfg:[0-9]' "$BATS_FILE_TMPDIR/create"
		return
	fi
	local line
	line=$(grep -n apt-setup/local0/options "$PRESEED" | cut -d : -f 1)
	grep -q "contract.cfg:$line: .*apt-setup/local0/options" "$BATS_FILE_TMPDIR/create"
	[ "$(grep -c 'contract.cfg:[0-9]' "$BATS_FILE_TMPDIR/create")" -eq 1 ]
}

@test "create: the machine is off, and its folder holds what it should and no more" {
	[ "$(vm_get contract state)" = stopped ]
	[ -z "$(qemus)" ]
	[ "$(entries vms)" = contract ]
	[ -z "$(entries creating)" ]
	run entries vms/contract
	[ "$(grep -cE '^(buildenv\.img|kernel|initrd|vm\.json)$' <<<"$output")" -eq 4 ]
	[ -z "$(grep -vE '^(buildenv\.img|kernel|initrd|vm\.json|disk\.lock|snapshots|.*\.log(\.1)?)$' <<<"$output")" ]
}

@test "outside: buildenv.img is one sound qcow2 without backing file, of the size asked for, thin" {
	local image=$INITVM_HOME/vms/contract/buildenv.img
	qemu-img info --output=json "$image" | /usr/bin/python3 -c '
import json, sys
i = json.load(sys.stdin)
assert i["format"] == "qcow2" and "backing-filename" not in i, i
assert i["virtual-size"] == 20 << 30, i
assert i["actual-size"] < 4 << 30, i'
	qemu-img check -q "$image"
}

@test "outside: partitions, file system and swap are what the recipe says" {
	local raw=$BATS_FILE_TMPDIR/raw
	qemu-img convert -O raw "$INITVM_HOME/vms/contract/buildenv.img" "$raw"
	sfdisk --json "$raw" | /usr/bin/python3 -c '
import json, sys
table = json.load(sys.stdin)["partitiontable"]
sector = table.get("sectorsize", 512)
for p in table["partitions"]:
    print(p["start"] * sector, p["size"] * sector, p["type"])' >"$BATS_FILE_TMPDIR/partitions"
	cat "$BATS_FILE_TMPDIR/partitions"
	local offset size root='' swap='' bytes
	while read -r offset size _; do
		case $(blkid --probe --offset "$offset" --size "$size" --match-tag TYPE --output value "$raw") in
		ext3) root=$offset ;;
		ext*) false ;;
		swap) swap=$size ;;
		esac
	done <"$BATS_FILE_TMPDIR/partitions"
	[ -n "$root" ]
	if [ -n "$swap" ]; then
		bytes=$swap
	else # a swap file
		bytes=$(debugfs -R 'stat /swapfile' "$raw?offset=$root" 2>/dev/null | sed -nE 's/.*Size: ([0-9]+).*/\1/p')
	fi
	[ "$bytes" -ge 280000000 ]
	[ "$bytes" -le 330000000 ]
	[ "$(debugfs -R 'cat /etc/hostname' "$raw?offset=$root" 2>/dev/null)" = contract-vm ]
	rm "$raw"
}

@test "outside: the image boots by itself under a plain QEMU" {
	[ "$(uname -m)" = x86_64 ] || skip 'booted on x86_64 only'
	boots_alone "$INITVM_HOME/vms/contract/buildenv.img" 'contract-vm login:|root@contract-vm'
}

@test "start: ready when it returns; exactly one QEMU process" {
	run initvm start -n contract
	expect 0
	[ "$(vm_get contract state)" = running ]
	[ "$(vm_get contract agent)" = connected ]
	[ "$(qemus | wc -l)" -eq 1 ]
	[ "$(vm_get contract pid)" = "$(qemus)" ]
	[ "$(vm_get contract hostname)" = contract-vm ]
	vm true
}

@test "inside: memory and CPUs are those asked for" {
	local kib cpus=2
	[ "$(vm_get contract acceleration) $(vm_get contract architecture)" != 'tcg amd64' ] || cpus=1 # see initvm/daemon/machine.c
	[ "$(vm nproc)" -eq "$cpus" ]
	kib=$(vm sed -nE 's/^MemTotal: *([0-9]+).*/\1/p' /proc/meminfo)
	[ "$kib" -gt 1300000 ]
	[ "$kib" -le 1572864 ]
}

@test "inside: systemd has come up without a failed unit" {
	run vm systemctl is-system-running --wait
	[ "$output" = running ] || { vm systemctl --failed; false; }
}

@test "inside: hostname and domain" {
	[ "$(vm hostname)" = contract-vm ]
	[ "$(vm hostname --fqdn)" = contract-vm.builds.example ]
}

@test "inside: locale, those supported, and the keyboard" {
	vm cat /etc/default/locale | grep -qE '^LANG="?de_AT\.UTF-8"?$'
	run vm locale -a
	[[ $output == *de_AT.utf8* && $output == *en_GB.utf8* && $output == *fr_FR.utf8* ]]
	run vm cat /etc/default/keyboard
	[[ $output == *XKBLAYOUT=\"ch\"* && $output == *XKBVARIANT=\"fr\"* ]]
}

@test "inside: time zone, hardware clock, time server" {
	[ "$(vm readlink -f /etc/localtime)" = /usr/share/zoneinfo/Europe/Vienna ]
	run vm date +%Z
	[[ $output == CE*T ]]
	local seconds
	seconds=$(($(vm date +%s) - $(date +%s)))
	[ "${seconds#-}" -le 30 ]
	vm sh -c '! tail -n 1 /etc/adjtime 2>/dev/null | grep -x LOCAL'
	vm sh -c 'cat /etc/systemd/timesyncd.conf /etc/systemd/timesyncd.conf.d/*.conf 2>/dev/null' | grep -qx 'NTP=ntp.contract.example'
	[ "$(vm systemctl is-enabled systemd-timesyncd)" = enabled ]
}

@test "inside: the root file system and swap" {
	[ "$(vm findmnt -n -o FSTYPE /)" = ext3 ]
	local bytes
	bytes=$(vm df -B1 --output=size / | tail -n 1)
	[ "$bytes" -gt 18000000000 ]
	bytes=$(vm swapon --show=SIZE --bytes --noheadings)
	[ "$bytes" -gt 280000000 ]
	[ "$bytes" -lt 330000000 ]
	vm sh -c 'mount | grep " / " | grep -qv nodiscard && fstrim -v /'
}

@test "inside: kernel, its modules policy and its options" {
	vm dpkg-query -W -f '${db:Status-Status}' "linux-image-$(dpkg --print-architecture)" | grep -qx installed
	run vm uname -r
	[[ $output != *cloud* ]]
	vm grep -qw contract.option=yes /proc/cmdline
	vm sh -c 'grep -hw contract.option=yes /etc/default/grub /etc/default/grub.d/* /boot/grub/grub.cfg | grep -q linux'
	vm sh -c 'cat /etc/initramfs-tools/initramfs.conf /etc/initramfs-tools/conf.d/* | sed -n "s/^MODULES=//p" | tail -n 1' | grep -qx most
}

@test "what boots the VM is what its /boot holds since the last command of the preseed" {
	local release
	release=$(vm uname -r)
	[ "$(vm sha256sum "/boot/vmlinuz-$release" | cut -d ' ' -f 1)" = "$(sha256sum <"$INITVM_HOME/vms/contract/kernel" | cut -d ' ' -f 1)" ]
	[ "$(vm sha256sum "/boot/initrd.img-$release" | cut -d ' ' -f 1)" = "$(sha256sum <"$INITVM_HOME/vms/contract/initrd" | cut -d ' ' -f 1)" ]
	cmp "$INITVM_HOME/vms/contract/initrd" "$INITVM_HOME/vms/contract/snapshots/created/initrd"
}

@test "inside: root's password is the hash that was given" {
	local hash
	hash=$(sed -n 's/^d-i passwd\/root-password-crypted password //p' "$PRESEED")
	[ "$(vm getent shadow root | cut -d : -f 2)" = "$hash" ]
}

@test "inside: the user with name, number, groups and password" {
	[ "$(vm getent passwd tester | cut -d : -f 3)" = 4242 ]
	vm getent passwd tester | grep -q 'Contract Tester'
	run vm id -nG tester
	[[ " $output " == *' audio '* && " $output " == *' video '* ]]
	[[ " $output " != *' cdrom '* ]]
	vm perl -e '$h = (getpwnam "tester")[1]; exit(crypt("geheim", $h) eq $h ? 0 : 1)'
	[ "$(vm stat -c %U /home/tester)" = tester ]
	[ "$(initvm exec -n contract --user tester -- id -un)" = tester ]
}

@test "inside: apt sources, with services, sections, sources and the local repository" {
	run vm sh -c 'cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null'
	[[ $output == *http://mirror.contract.example/mirror/debian* ]]
	[[ $output == *http://security.contract.example/debian-security* ]]
	[[ $output != *deb.debian.org* && $output != *security.debian.org* ]]
	[[ $output == *-updates* && $output == *-security* && $output == *-backports* ]]
	[[ $output == *contrib* && $output == *non-free-firmware* ]]
	[[ $output == *'deb-src'* ]]
	[[ $output == *http://packages.contract.example* && $output == *'packages of the contract'* ]]
	[ -z "$(vm apt-get indextargets --format '$(SITE)' 'Created-By: Sources' 'Site: http://packages.contract.example')" ]
	run vm apt-config dump Acquire::http::Proxy
	[[ $output == *"http://$(host_address):"* ]]
}

@test "inside: apt works with them, verified, through the network" {
	run vm apt-get -q -o APT::Update::Error-Mode=any update
	expect 0
	[[ $output != *'not signed'* && $output != *'NO_PUBKEY'* && $output != *$'\nW:'* ]]
	grep -q "http://packages.contract.example/dists/stable/InRelease" "$BATS_FILE_TMPDIR/repository/requests"
	run vm getent hosts deb.debian.org
	expect 0
}

@test "inside: packages, recommended ones, the task, and the update policy" {
	local package
	for package in contract-probe contract-recommended less openssh-server unattended-upgrades; do
		vm dpkg-query -W -f '${db:Status-Status}' "$package" | grep -qx installed
	done
	[ "$(vm cat /usr/share/contract-probe/here)" = contract-probe ]
	[ -z "$(vm dpkg --audit)" ]
	! by_installer || vm grep -rq "check-valid-until=no.*packages.contract.example" /etc/apt/sources.list /etc/apt/sources.list.d
}

@test "inside: other owners' answers were there before the packages were configured" {
	run vm sh -c 'echo get unattended-upgrades/enable_auto_updates | debconf-communicate'
	expect 0 '0 false'
	run vm sh -c 'echo get contract-probe/colour | debconf-communicate'
	expect 0 '0 dark green'
}

@test "inside: the commands ran, early before late, with /target and in-target" {
	[ "$(vm cat /root/contract-early)" = early ]
	[ "$(vm cat /root/contract-late)" = 'in target: contract-vm' ]
	[ "$(vm cat /root/contract-target)" = 'outside: contract-vm' ]
}

@test "inside: the agent is a service that comes up with the machine, and a login waits on the serial line" {
	[ "$(vm systemctl is-enabled initvm-agent)" = enabled ]
	[ "$(vm systemctl is-active initvm-agent)" = active ]
	local console=ttyS0
	[ "$(uname -m)" = x86_64 ] || console=ttyAMA0
	[ "$(vm systemctl is-active "serial-getty@$console")" = active ]
}

@test "inside: the SSH server that the preseed asks for takes keys only, has a host key of its own, and runs" {
	run vm sshd -T
	expect 0
	grep -qx 'passwordauthentication no' <<<"$output"
	grep -qx 'kbdinteractiveauthentication no' <<<"$output"
	grep -qxE 'permitrootlogin (prohibit|without)-password' <<<"$output"
	[ "$(vm sh -c 'ls /etc/ssh/ssh_host_*_key')" = /etc/ssh/ssh_host_ed25519_key ]
	[ "$(vm systemctl is-active ssh)" = active ]
}

@test "inside: foreign binaries are registered with qemu-user, for chroots too" {
	local foreign=aarch64
	[ "$(uname -m)" = x86_64 ] || foreign=x86_64
	run vm cat "/proc/sys/fs/binfmt_misc/qemu-$foreign"
	expect 0 enabled
	[[ $output =~ flags:\ [A-Z]*F ]]
}

@test "inside: nothing of the making is left" {
	run vm sh -c 'ls -d /target /tmp/* /var/tmp/* /etc/apt/apt.conf.d/*mmdebstrap* /usr/sbin/policy-rc.d /usr/sbin/*.REAL 2>/dev/null | grep -v systemd-private'
	[ -z "$output" ] || { echo "$output"; false; }
	[ -n "$(vm cat /etc/machine-id)" ]
}

@test "the mirror, its security host and the local repository were all asked through the proxy" {
	local requests=$BATS_FILE_TMPDIR/repository/requests
	grep -q 'http://mirror.contract.example/mirror/debian/' "$requests"
	grep -q 'http://security.contract.example/debian-security/' "$requests"
	grep -q 'http://packages.contract.example/key.asc' "$requests"
	! grep -qE 'http://(deb|security).debian.org/' "$requests"
}

@test "stop, start again: what was written is still there" {
	vm sh -c 'echo kept >/root/kept'
	run initvm stop -n contract
	expect 0
	[ -z "$(qemus)" ]
	[ "$(vm_get contract state)" = stopped ]
	initvm start -n contract
	[ "$(vm cat /root/kept)" = kept ]
	[ "$(vm systemctl is-system-running --wait)" = running ]
}

@test "destroy removes exactly what create made" {
	run initvm destroy -n contract </dev/null
	expect 2 '--yes'
	[ "$(vm_get contract state)" = running ]
	run initvm destroy --yes -n contract
	expect 0
	[ -z "$(qemus)" ]
	[ -z "$(entries vms)" ]
	run initvm destroy --yes -n contract
	expect 0
	run initvm status -n contract
	expect_one_sentence 1 "'contract'"
}
