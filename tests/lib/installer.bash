# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the tests of real installations share.

load "${BASH_SOURCE[0]%/*}/common"
load "${BASH_SOURCE[0]%/*}/packages"

# The image 'net': Debian 13 with the installer in the folder $1, which has linux and initrd.gz.
use_installer() {
	[ "$(uname -m)" = x86_64 ] || skip 'the installer is there for amd64 only'
	/usr/bin/python3 - "$TREE/images/debian-13-amd64.json" "$INITVM_HOME/config/images/net.json" "$1" <<-'END'
		import json, sys
		image = json.load(open(sys.argv[1]))
		image["installer"] = {"kernel": sys.argv[3] + "/linux", "initrd": sys.argv[3] + "/initrd.gz"}
		json.dump(image, open(sys.argv[2], "w"))
	END
}

# The preseed of the tests: the shipped one, with little installed, and a command at the end. $1 is a sed expression that changes it.
preseed() {
	cat "$TREE/preseed/default.cfg" "$TREE/tests/vm/base.cfg" "$TREE/tests/installer/installed.cfg" | sed -E "${1:-}"
}

# Member of `initvm status`: `vm_get base state`.
vm_get() { initvm status -n "$1" --json | json "$2"; }

qemus() { processes qemu-; }
