#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# cp, with the real agent but without a VM: the "VM" is a folder of this machine (tests/lib/here_vm.py).

load ../lib/common

setup_file() {
	new_home
	chmod 700 "$INITVM_HOME"
	HERE_VERSION=$(initvm version | awk '{ print $2 }')
	export HERE_VERSION
	mkdir -m 700 "$INITVM_HOME/run"
	mkdir "$INITVM_HOME/guest"
	"$TREE/tests/lib/here_vm.py" "$INITVM_HOME/guest" >"$INITVM_HOME/here.log" 2>&1 3>&- &
	echo $! >"$INITVM_HOME/here.pid"
	wait_line "$INITVM_HOME/here.log" ready
}

teardown_file() {
	kill "$(cat "$INITVM_HOME/here.pid")"
	rm -rf --one-file-system "$INITVM_HOME"
}

setup() {
	guest=$INITVM_HOME/guest
	cd "$BATS_TEST_TMPDIR" || return 1
}

teardown() {
	rm -rf "$guest" "$guest".*
	mkdir "$guest"
}

make_tree() {
	mkdir -p "$1/sub/empty" "$1/closed"
	printf 'plain\n' >"$1/plain"
	printf 'odd' >"$1/"$'new\nline'
	printf 'bytes' >"$1/"$'\xff\xfe'
	head -c 300000 /dev/urandom >"$1/sub/random"
	printf '#!/bin/sh\n' >"$1/sub/script"
	chmod 755 "$1/sub/script"
	ln -s ../plain "$1/sub/link"
	ln -s /nowhere "$1/dangling"
	truncate -s 50M "$1/sub/sparse"
	touch -d '2001-02-03 04:05:06.789' "$1/sub/random" "$1/sub/empty"
	chmod 500 "$1/closed"
}

# Everything that a copy keeps, one line each.
state_of() {
	(cd "$1" && export LC_ALL=C && find . -printf '%p %y %m %s %T@ %l\n' | sort && find . -type f -print0 | sort -z | xargs -0 cat | sha256sum)
}

find_temporary() {
	find "$1" -name '.initvm-*' | grep -q .
}

no_temporary_left() {
	! find_temporary "$1"
}

@test "a tree into the VM and back: content, names, modes, times, links, holes" {
	make_tree tree
	run initvm cp tree :
	expect 0 ''
	[ -z "$output" ]
	diff <(state_of tree) <(state_of "$guest/tree")
	run initvm cp default:tree back
	expect 0
	diff <(state_of tree) <(state_of back)
	[ "$(du -k "$guest/tree/sub/sparse" | cut -f1)" -lt 100 ]
	[ "$(du -k back/sub/sparse | cut -f1)" -lt 100 ]
}

@test "the destination is cp's: a folder takes the name, another name renames, several need a folder" {
	echo a >a
	echo b >b
	mkdir "$guest/folder"
	initvm cp a :folder
	initvm cp a :folder/
	initvm cp a :folder/other
	initvm cp a b :folder
	[ "$(ls "$guest/folder")" = $'a\nb\nother' ]
	run initvm cp a b :new
	expect_one_sentence 1 "there is no folder 'new'"
	run initvm cp a :new/
	expect_one_sentence 1 "there is no folder 'new'"
	run initvm cp a :no/such/folder
	expect_one_sentence 1 "'no/such'"
	initvm cp :folder/. content
	[ "$(ls content)" = $'a\nb\nother' ]
	run initvm cp a folder/a :folder
	expect_one_sentence 2 "two sources are called 'a'"
	[ "$(ls "$guest")" = folder ]
}

@test "a file is replaced whole; a folder is not replaced by a file" {
	echo new >file
	echo old >"$guest/file"
	ln "$guest/file" "$guest/hard"
	initvm cp file :file
	[ "$(cat "$guest/file" "$guest/hard")" = $'new\nold' ]
	mkdir -p "$guest/folder/file"
	run initvm cp file :folder
	expect_one_sentence 1 "there is a folder of this name"
	no_temporary_left "$guest"
}

@test "standard input and output" {
	head -c 3000000 /dev/urandom >random
	initvm cp - :random <random
	cmp random "$guest/random"
	initvm cp :random - | cmp random -
	printf '' | initvm cp - :empty
	[ -f "$guest/empty" ] && [ ! -s "$guest/empty" ]
	truncate -s 5M "$guest/sparse"
	[ "$(initvm cp :sparse - | wc -c)" -eq $((5 << 20)) ]
	mkdir "$guest/folder"
	run initvm cp - :folder <random
	expect_one_sentence 2 "'folder' is a folder"
	run initvm cp :folder -
	expect_one_sentence 2 "is not a file"
	run -141 bash -c 'set -o pipefail; initvm cp :random - | head -c 1 >/dev/null'
	no_temporary_left "$guest"
}

@test "what is missing is named, on either side, and nothing is made" {
	run initvm cp missing :new
	expect_one_sentence 1 "cannot copy 'missing': No such file or directory"
	run initvm cp :missing new
	expect_one_sentence 1 "VM 'default': cannot copy 'missing': No such file or directory"
	run initvm cp off:x new
	expect_one_sentence 1 "VM 'off' is not running"
	run initvm cp /etc/passwd off:x
	expect_one_sentence 1 "VM 'off' is not running"
	[ ! -e new ] && [ -z "$(ls "$guest")" ]
}

@test "what makes no sense is said" {
	run initvm cp a b
	expect_one_sentence 2 'neither side is in a VM'
	run initvm cp - -
	expect 2
	run initvm cp a
	expect 2 'something is missing'
	run initvm cp 'bad name:x' .
	expect_one_sentence 2 "'./bad name:x'"
	run initvm cp :a one:b .
	expect_one_sentence 2 'the sources must all be'
	run initvm cp - a :x
	expect 2
	run initvm cp :x /dev/null
	echo x >"$guest/x"
	run initvm cp :x /dev/null
	expect_one_sentence 2 "'/dev/null'"
	[ -c /dev/null ]
}

@test "a name with a colon on the host is written with ./" {
	echo colon >a:b
	initvm cp ./a:b :x
	[ "$(cat "$guest/x")" = colon ]
}

@test "from one VM to another" {
	make_tree "$guest/tree"
	run initvm cp one:tree two:copied
	expect 0
	diff <(state_of "$guest/tree") <(state_of "$guest/copied")
	run initvm cp one:missing two:new
	expect_one_sentence 1 "VM 'one': cannot copy 'missing'"
	run initvm cp one:tree two:no/such/folder
	expect_one_sentence 1 "VM 'two'"
	run initvm cp off:tree two:new
	expect 1 "'off' is not running"
	[ "$(ls "$guest")" = $'copied\ntree' ]
}

@test "what has no place in a copy is told and left out; the status is 1" {
	mkdir tree
	echo a >tree/a
	mkfifo tree/fifo "$guest/fifo"
	run initvm cp tree :
	expect 1 "initvm: warning: left out 'tree/fifo'"
	[ "$(ls "$guest/tree")" = a ]
	run initvm cp :tree/../fifo .
	expect_one_sentence 2 "neither a file nor a folder"
	mkfifo "$guest/tree/fifo"
	run initvm cp :tree copied
	expect 1 "warning: VM 'default': left out 'tree/fifo'"
	[ "$(ls copied)" = a ]
}

@test "a killed copy leaves nothing under the final name: into the VM, out of it" {
	mkfifo input
	initvm cp - :file <input 3>&- &
	local pid=$!
	exec 7>input
	head -c 2000000 /dev/zero >&7
	within 20 find_temporary "$guest"
	kill -KILL "$pid"
	within 20 no_temporary_left "$guest"
	exec 7>&-
	[ -z "$(ls -A "$guest")" ]

	fallocate -l 1G "$guest/big"
	mkdir out
	initvm cp :big out 3>&- &
	pid=$!
	within 20 find_temporary out
	kill -KILL "$pid"
	within 20 no_temporary_left out
	[ -z "$(ls -A out)" ]
}

@test "Ctrl-C ends a copy and cleans up" {
	fallocate -l 1G "$guest/big"
	mkdir out
	initvm cp :big out 3>&- &
	local pid=$! code=0
	within 20 find_temporary out
	kill -INT "$pid"
	wait "$pid" || code=$?
	[ "$code" -eq 130 ]
	[ -z "$(ls -A out)" ]
}

@test "a lost connection is an error, and nothing half is left" {
	head -c 5000000 /dev/urandom >big
	echo 2000000 >"$guest.lose"
	run initvm cp big :big
	expect_one_sentence 3 'the connection to the VM was lost'
	within 20 no_temporary_left "$guest"
	[ -z "$(ls -A "$guest")" ]
}

# What a guest may send that was taken over.
hostile() {
	/usr/bin/python3 - "$guest.tar" "$@" <<-'END'
		import sys, tarfile
		with tarfile.open(sys.argv[1], "w") as tar:
		    for word in sys.argv[2:]:
		        name, _, link = word.partition("->")
		        entry = tarfile.TarInfo(name)
		        if link:
		            entry.type, entry.linkname = tarfile.SYMTYPE, link
		        tar.addfile(entry)
	END
	echo "cat '$guest.tar'" >"$guest.instead"
}

@test "a hostile guest cannot write outside of the destination, nor under other names" {
	mkdir -p out outside
	local name
	for name in ../outside/x "$PWD/outside/x" .bashrc b a/../../outside/x; do
		hostile "$name"
		run initvm cp :a out
		expect_one_sentence 1 'refused to unpack'
	done
	hostile "a->../outside" a/x
	run initvm cp :a out
	expect_one_sentence 1 'refused to unpack'
	[ -z "$(ls -A outside)" ]
	[ "$(ls -A out)" = a ] && [ -L out/a ]
	echo 'head -c 100000 /dev/urandom' >"$guest.instead"
	run initvm cp :a out
	expect_one_sentence 1
}

@test "an agent that cannot copy says so" {
	echo 'echo "initvm-agent: unrecognized option --get" >&2; exit 2' >"$guest.instead"
	run initvm cp :a out
	expect_one_sentence 1 "the agent in VM 'default' could not copy: initvm-agent: unrecognized option"
	echo 'kill -SEGV $$' >"$guest.instead"
	run initvm cp :a out
	expect_one_sentence 1 'killed by signal 11'
	[ ! -e out ]
}

@test "progress on a terminal only, and not with --quiet" {
	fallocate -l 400M big
	TERMINAL_DEADLINE=60 run "$TREE/tests/lib/terminal.py" 'expect:%' 'expect:/s' 'expect: in ' status:0 restored -- initvm cp big :
	expect 0
	TERMINAL_DEADLINE=60 run "$TREE/tests/lib/terminal.py" 'expect:done' status:0 -- sh -c 'initvm cp -q :big small; echo done'
	[[ $output != *%* && $output != */s* ]]
}

@test "as another user" {
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	chmod 755 "$INITVM_HOME" "$guest"
	echo x >x
	run initvm cp --user nobody x :
	expect 1 'Permission denied'
	chmod 777 "$guest"
	initvm cp --user nobody x :
	[ "$(stat -c %U "$guest/x")" = nobody ]
	chmod 700 "$INITVM_HOME"
}
