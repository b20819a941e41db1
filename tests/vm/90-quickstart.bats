#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# `make quickstart`, the first thing that the README tells, and each command that it ends with.

load ../lib/vm

setup_file() { new_home; }
teardown_file() { remove_home; }

@test "make quickstart ends with a package and the next commands" {
	(cd "$TREE" && make quickstart) >"$BATS_FILE_TMPDIR/quickstart" 2>&1 3>&- || { tail -n 30 "$BATS_FILE_TMPDIR/quickstart"; false; }
	sed -n '/^== done/,/^next/s/^/# /p' "$BATS_FILE_TMPDIR/quickstart" >&3
	grep -qE "^built, in the VM 'quickstart': /.*/hello_.*\.deb$" "$BATS_FILE_TMPDIR/quickstart"
}

@test "the next commands work as they stand there" {
	cd "$BATS_TEST_TMPDIR"
	local command
	while read -r command; do
		echo "$command"
		case $command in
		*' attach '*)
			# shellcheck disable=SC2086  # words, as a shell would split them
			"$TREE/tests/lib/terminal.py" raw 'expect:root@' 'send:\x1d' status:0 restored -- $command >/dev/null
			;;
		*' destroy '*) bash -c "$command --yes" </dev/null ;;
		*) bash -c "$command" </dev/null >>"$BATS_TEST_TMPDIR/output" ;;
		esac
	done < <(sed -n '/^next:$/,$s/^  //p' "$BATS_FILE_TMPDIR/quickstart")
	grep -q 'Hello, world!' "$BATS_TEST_TMPDIR/output"
	dpkg-deb --info hello.deb >/dev/null
	[ -z "$(entries vms)" ]
}
