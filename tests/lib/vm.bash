# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the tests on real guests share.  Creating a VM takes minutes under emulation, so there is one VM 'base' for the whole
# run, made by the first file that needs it; setup_suite.bash makes its home and takes it away again.  With
# INITVM_TEST_HOME=/some/folder it is kept there, and the next run uses it again (for working on a single test).
#
# A file whose name ends in -by-ssh has its agent reached by SSH instead of the virtio-serial port.  Most of them are links to the
# files of the port: the same tests on the other carrier.

load "${BASH_SOURCE[0]%/*}/common"
load "${BASH_SOURCE[0]%/*}/packages"

# Gives the record of the VM 'base' the new members $1, as JSON; null takes one away.
edit_record() {
	initvm daemon stop
	/usr/bin/python3 - "$INITVM_HOME/vms/base/vm.json" "$1" <<-'END'
		import json, os, sys
		with open(sys.argv[1]) as f:
		    record = json.load(f)
		record.update(json.loads(sys.argv[2]))
		with open(sys.argv[1] + ".new", "w") as f:
		    json.dump({k: v for k, v in record.items() if v is not None}, f)
		os.rename(sys.argv[1] + ".new", sys.argv[1])
	END
}

# Switches the VM 'base' over: its record is given what `create --channel ssh` writes there, and the key and host key are prepared
# as its first boot does.
use_carrier() {
	[ "$(vm_get base channel)" != "$1" ] || return 0
	if [ "$1" = ssh ]; then
		initvm ensure -n base
		initvm ssh-config -n base >/dev/null
	fi
	initvm stop -n base
	case $1 in
	ssh) edit_record '{"channel": "ssh", "sshForward": true, "sshPort": 0}' ;;
	virtio) edit_record '{"channel": null, "sshForward": null, "sshPort": null}' ;;
	esac
}

# The suite's home becomes INITVM_HOME, and the VM 'base' is there and runs, with its agent reached as this file wants it.
need_base() {
	export INITVM_HOME=$SUITE_HOME
	if ! initvm status -n base >/dev/null 2>&1; then
		cat "$TREE/preseed/default.cfg" "$TREE/tests/vm/base.cfg" >"$INITVM_HOME/base.cfg"
		initvm create -n base --preseed "$INITVM_HOME/base.cfg" --size 8G --memory 1G --cpus 2 --json >"$INITVM_HOME/base.progress" ||
			{ tail -n 3 "$INITVM_HOME/base.progress"; return 1; }
	fi
	case $BATS_TEST_FILENAME in
	*-by-ssh.bats) use_carrier ssh ;;
	*) use_carrier virtio ;;
	esac
	initvm ensure -n base
}

# A command in the VM 'base'.
guest() { initvm exec -n base -- "$@"; }

# Root is logged in on the serial line, which is a little later than the agent's Hello: what is typed before is lost.
need_login() { within 120 guest pgrep -t ttyS0 -x bash >/dev/null; }

# initvm chroot in the VM 'base'; the names of its chroots.
chroot_() { initvm chroot -n base "$@"; }
names() { chroot_ list --json | sed 's/.*"name":"\([^"]*\)".*/\1/' | tr '\n' ' '; }

# Makes the root filesystem $1 of one static program, with root and an ordinary user, for chroots that are there in a moment.
make_tiny() {
	local architecture command
	architecture=$(initvm status -n base --json | json architecture)
	fetch_packages "$BATS_FILE_TMPDIR/packages" "busybox-static:${architecture:-$(dpkg --print-architecture)}"
	mkdir -p "$1/bin" "$1/etc" "$1/root" "$1/home/eve"
	cp "$BATS_FILE_TMPDIR/packages/bin/busybox" "$1/bin/busybox"
	for command in sh cat echo id ls touch rm mkdir sleep tail ifconfig sed true false hostname kill stty tty test uname pwd env wc; do
		ln -s busybox "$1/bin/$command"
	done
	printf '%s\n' root:x:0:0::/root:/bin/sh eve:x:1000:1000::/home/eve:/bin/sh >"$1/etc/passwd"
	printf '%s\n' root:x:0: eve:x:1000: staff:x:50:eve >"$1/etc/group"
	chown 1000:1000 "$1/home/eve"
	echo old >"$1/etc/state"
}

# What must be as before of chroots in the VM 'base': mounts, overlays, folders of all kinds, processes.
remains() {
	guest sh -c '
		echo "mounts $(grep -c -e /initvm/ -e mmdebstrap /proc/self/mountinfo)"
		echo "overlays $(ls -A /var/lib/initvm/overlays) chroots $(ls -A /var/lib/initvm/chroots)"
		echo "runtime $(ls -A /run/initvm/chroots) nspawn $(ls -A /run/systemd/nspawn/propagate /run/systemd/nspawn/unix-export 2>/dev/null)"
		echo "temporary $(ls -A /tmp /var/tmp | grep -e mmdebstrap -e initvm)"
		echo "machines $(ls -A /run/systemd/machines 2>/dev/null) cgroups $(ls -d /sys/fs/cgroup/machine.slice/* 2>/dev/null | grep -c -v -F .slice/cgroup.)"
		echo "processes $(ps -e -o comm= | grep -c -e nspawn -e mmdebstrap -e busybox)"' | tr '\n' ' '
}

same_remains() {
	local now
	now=$(remains)
	[ "$now" = "$1" ] || { printf 'before: %s\nnow:    %s\n' "$1" "$now"; return 1; }
}

# Member of `initvm status`: `vm_get base state`.
vm_get() { initvm status -n "$1" --json | json "$2"; }

# Resident memory of the daemon in KiB.
daemon_rss() { awk '/^VmRSS/ { print $2 }' "/proc/$(daemon_pid)/status"; }

# QEMU processes of this INITVM_HOME.
qemus() { processes qemu-; }

# The image $1 comes up under a plain QEMU, without changing it, until its serial line says $2.
boots_alone() {
	local serial=$BATS_TEST_TMPDIR/serial pid said=0
	# One CPU, and none of an instruction that QEMU 7.2 gets wrong: see initvm/daemon/machine.c.
	qemu-system-x86_64 -M q35 -accel tcg -cpu max,-cx16 -smp 1 -m 1024 -nodefaults -display none -no-reboot -snapshot \
		-drive "file=$1,if=virtio" -serial "file:$serial" 3>&- &
	pid=$!
	wait_line "$serial" "$2" 240 || said=$?
	kill "$pid"
	wait "$pid" || true
	[ "$said" -eq 0 ] || { tail -n 20 "$serial"; return 1; }
}

# Makes the unsigned or signed apt repository $1, with the packages in it; 'signed' as $2 adds InRelease and key.asc.
make_repository() {
	local folder=$1
	(
		cd "$folder" || exit
		mkdir -p dists/stable/main/binary-{amd64,arm64,armhf} pool
		mv ./*.deb pool/ 2>/dev/null || true
		local architecture
		for architecture in amd64 arm64 armhf; do
			dpkg-scanpackages --multiversion pool >"dists/stable/main/binary-$architecture/Packages" 2>/dev/null
		done
		cd dists/stable || exit
		{
			printf 'Origin: contract\nLabel: contract\nSuite: stable\nCodename: stable\nArchitectures: amd64 arm64 armhf\nComponents: main\n'
			printf 'Date: %s\nSHA256:\n' "$(LC_ALL=C date -Ru)"
			find main -name Packages | while read -r file; do
				printf ' %s %s %s\n' "$(sha256sum <"$file" | cut -d ' ' -f 1)" "$(stat -c %s "$file")" "$file"
			done
		} >Release
		[ "${2:-}" = signed ] || exit 0
		export GNUPGHOME=$folder/gnupg
		mkdir -m 700 "$GNUPGHOME"
		gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-gen-key 'contract <contract@example>' rsa3072 sign never
		gpg --batch --quiet --clearsign -o InRelease Release
		gpg --batch --quiet --armor --export >"$folder/key.asc"
		gpgconf --kill all
	)
}

# Makes the package $1 with the control lines $2... in the current folder, in the version `version` (1.0), with what is in the folder
# `content`, if any.
make_package() {
	local name=$1 tree
	shift
	tree=$(mktemp -d)
	chmod 755 "$tree"
	[ -z "${content:-}" ] || cp -a "$content/." "$tree/"
	mkdir -p "$tree/DEBIAN" "$tree/usr/share/$name"
	echo "$name" >"$tree/usr/share/$name/here"
	{
		printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: contract <contract@example>\n' "$name" "${version:-1.0}"
		[ $# -eq 0 ] || printf '%s\n' "$@"
		printf 'Description: %s\n' "$name"
	} >"$tree/DEBIAN/control"
	dpkg-deb --root-owner-group -Znone --build "$tree" "${name}_${version:-1.0}_all.deb" >/dev/null
	rm -rf "$tree"
}
