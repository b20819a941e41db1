#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# cp on a real guest: what tests/e2e/60-copy.bats cannot see.  Owners, a full disk, the daemon in between, volume.

load ../lib/vm

setup_file() {
	need_base
	mkdir -p "$BATS_FILE_TMPDIR/tree/sub/empty"
	cd "$BATS_FILE_TMPDIR/tree" || return 1
	head -c 20M /dev/urandom >random
	printf 'odd' >$'new\nline'
	printf 'bytes' >$'\xff\xfe'
	for i in {1..300}; do
		echo "$i" >"sub/$i"
	done
	ln -s ../random sub/link
	truncate -s 1G sub/sparse
	printf 'end' >>sub/sparse
	chmod 711 sub/empty
	chmod 4755 sub/1
	touch -d '2001-02-03 04:05:06.789' random sub/empty
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	guest rm -rf /var/tmp/copy
	guest mkdir /var/tmp/copy
}

# Everything that a copy keeps, one line each: $1 runs a command here or there, $2 is the folder.
state_of() {
	"$1" sh -c 'cd "$0" && export LC_ALL=C && find . -type d -printf "%p %m %T@\n" | sort && find . ! -type d -printf "%p %y %m %s %T@ %l\n" | sort &&
		find . -type f ! -name sparse -print0 | sort -z | xargs -0 cat | sha256sum && tail -c 3 sub/sparse' "$2"
}

@test "a tree into the VM and back: content, names, modes, times, links" {
	initvm cp "$BATS_FILE_TMPDIR/tree" base:/var/tmp/copy
	chmod 755 "$BATS_FILE_TMPDIR/tree/sub/1" # set-user-ID is not copied
	diff <(state_of command "$BATS_FILE_TMPDIR/tree") <(state_of guest /var/tmp/copy/tree)
	initvm cp -n base :/var/tmp/copy/tree back
	diff <(state_of command "$BATS_FILE_TMPDIR/tree") <(state_of command back)
	[ "$(guest find /var/tmp/copy ! -user root -o ! -group root)" = '' ]
	[ "$(find back ! -user "$(id -u)")" = '' ]
	[ "$(guest du -k /var/tmp/copy/tree/sub/sparse | cut -f1)" -lt 100 ]
	[ "$(du -k back/sub/sparse | cut -f1)" -lt 100 ]
}

@test "relative paths begin in the user's home; the user owns what is made" {
	echo x >copied
	initvm cp -n base copied :
	[ "$(guest cat /root/copied)" = x ]
	guest rm /root/copied
	guest chmod 777 /var/tmp/copy
	initvm cp --user nobody copied base:/var/tmp/copy
	[ "$(guest stat -c %U /var/tmp/copy/copied)" = nobody ]
	run initvm cp --user nobody copied base:/root
	expect 1 'Permission denied'
	run initvm cp --user nosuchuser copied base:/root
	expect_one_sentence 2 "'nosuchuser'"
}

@test "standard input and output, 50 MB" {
	head -c 50M /dev/urandom >random
	initvm cp - base:/var/tmp/copy/random <random
	initvm cp base:/var/tmp/copy/random - | cmp random -
}

@test "what is missing is named, on either side" {
	run initvm cp missing base:/var/tmp/copy
	expect_one_sentence 1 "cannot copy 'missing': No such file or directory"
	run initvm cp base:/no/such/file .
	expect_one_sentence 1 "VM 'base': cannot copy '/no/such/file': No such file or directory"
	run initvm cp nosuchvm:/etc/passwd .
	expect_one_sentence 1 "'nosuchvm'"
}

@test "a full disk in the VM: its error, no half file, no temporary one; what was there stays" {
	guest sh -c 'mount -t tmpfs -o size=4M none /var/tmp/copy && echo old >/var/tmp/copy/random'
	run initvm cp "$BATS_FILE_TMPDIR/tree/random" base:/var/tmp/copy
	expect_one_sentence 1 "VM 'base': cannot write '/var/tmp/copy/random': No space left on device"
	[ "$(guest sh -c 'ls -A /var/tmp/copy; cat /var/tmp/copy/random')" = $'random\nold' ]
	run initvm cp - base:/var/tmp/copy/input <"$BATS_FILE_TMPDIR/tree/random"
	expect_one_sentence 1 'No space left on device'
	[ "$(guest ls -A /var/tmp/copy)" = random ]
	guest umount /var/tmp/copy
}

something_there() { guest ls -A /var/tmp/copy | grep -q .; }
nothing_there() { ! something_there; }

@test "a copy whose command is killed leaves nothing; a lost daemon is told" {
	mkfifo input
	initvm cp - base:/var/tmp/copy/file <input 3>&- &
	local pid=$!
	exec 7>input
	head -c 1M /dev/zero >&7
	within 20 something_there
	kill -KILL "$pid"
	exec 7>&-
	within 20 nothing_there

	initvm cp - base:/var/tmp/copy/file <input >out 2>&1 3>&- &
	pid=$!
	exec 7>input
	head -c 1M /dev/zero >&7
	within 20 something_there
	kill -KILL "$(daemon_pid)"
	local code=0
	wait "$pid" || code=$?
	exec 7>&-
	[ "$code" -eq 3 ]
	grep -q 'connection to the VM was lost' out
	within 20 nothing_there
}

@test "the copier in the VM refuses what a hostile archive wants" {
	/usr/bin/python3 - hostile.tar <<-'END'
		import io, sys, tarfile
		with tarfile.open(sys.argv[1], "w") as tar:
		    link = tarfile.TarInfo("link")
		    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
		    tar.addfile(link)
		    tar.addfile(tarfile.TarInfo("link/initvm-was-here"))
	END
	run sh -c 'initvm exec -n base -- /usr/lib/initvm/initvm-agent --put /var/tmp/copy <hostile.tar'
	expect 1 "refused to unpack '/var/tmp/copy/link/initvm-was-here'"
	run -1 guest test -e /etc/initvm-was-here
}
