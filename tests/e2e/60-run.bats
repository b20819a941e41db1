#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# run and binfmt, with the real agent but without a VM: the "VM" is this machine (tests/lib/here_vm.py). Nothing is registered here:
# what needs an emulator is in tests/vm.

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
	cd "$BATS_TEST_TMPDIR" || return 1
	rm -f "$INITVM_HOME"/guest.*
}

# What a program that runs says of its own folder is this.
no_folder_left() {
	[ -n "$1" ] && [ ! -e "$1" ] && [[ $1 == /tmp/initvm-run-* ]]
}

# The first bytes of a program: class, data, type and machine as octal escapes, and nothing behind the header.
elf() {
	# shellcheck disable=SC2059
	printf "\\177ELF$1$2\\001\\000\\000\\000\\000\\000\\000\\000\\000\\000$3$4\\001\\000\\000\\000"
	head -c 40 /dev/zero
}

binfmt_mounts() { grep -c binfmt_misc /proc/self/mountinfo || true; }

@test "a script: arguments, output and error apart, input, exit status, and nothing remains" {
	# shellcheck disable=SC2016
	printf '%s\n' '#!/bin/sh' 'echo "$0"' 'printf "<%s>" "$@"' 'echo err >&2' 'cat' 'exit 7' >script
	run --separate-stderr sh -c 'printf in | initvm run ./script "a b" "" --name -n'
	expect 7 '<a b><><--name><-n>in'
	# shellcheck disable=SC2154
	[ "$stderr" = err ]
	[[ ${lines[0]} == /tmp/initvm-run-*/script ]]
	no_folder_left "${lines[0]%/script}"
}

@test "a program of this machine, larger than any window, also when it cannot be executed on the host" {
	cp /bin/ls ./list
	head -c 3000000 /dev/zero >>list
	chmod 644 list
	run initvm run ./list -d /usr /etc
	expect 0 /usr
	# shellcheck disable=SC2016
	printf '%s\n' '#!/bin/sh' 'stat -c "%a %n" "$0" "${0%/*}"' >'odd name'
	run initvm run 'odd name'
	expect 0 "700 /tmp/initvm-run-"
}

@test "--env, --cwd, and a signal that ends it" {
	# shellcheck disable=SC2016
	printf '%s\n' '#!/bin/sh' 'echo "$A $(pwd)"; kill -TERM $$' >script
	run initvm run --env A=1 --cwd /usr script
	expect 143 '1 /usr'
}

@test "a terminal, when asked for" {
	printf '%s\n' '#!/bin/sh' 'tty' >script
	run initvm run -t script
	expect 0 /dev/pts/
	run initvm run script
	expect 1 'not a tty'
}

@test "killed half-way: the file goes, too" {
	local pid folder
	# shellcheck disable=SC2016
	printf '%s\n' '#!/bin/sh' 'echo "${0%/*}"' 'exec sleep 1000' >script
	initvm run script >output &
	pid=$!
	wait_line output '^/tmp/initvm-run-'
	folder=$(cat output)
	[ -d "$folder" ]
	kill -KILL "$pid"
	within 20 test ! -e "$folder"
}

@test "a connection that is lost while the file is on its way: an error, and nothing remains" {
	local before
	before=$(find /tmp -maxdepth 1 -name 'initvm-run-*' | sort)
	{ echo '#!/bin/sh'; head -c 3M /dev/zero; } >script
	echo 500000 >"$INITVM_HOME/guest.lose"
	run initvm run script
	expect_one_sentence 125
	rm "$INITVM_HOME/guest.lose"
	same_folders() { [ "$(find /tmp -maxdepth 1 -name 'initvm-run-*' | sort)" = "$before" ]; }
	within 20 same_folders
}

@test "what cannot be executed: 126, and what it is instead" {
	: >empty
	echo text >text
	echo '#!/no/such/interpreter' >script
	head -c 30 /bin/ls >beginning
	run initvm run empty
	expect_one_sentence 126 "'empty' is an empty file"
	run initvm run ./text
	expect_one_sentence 126 "'text' is neither a program (ELF) nor a script"
	run initvm run script
	expect_one_sentence 126 "a script for '/no/such/interpreter', which is not in the VM"
	run initvm run beginning
	expect_one_sentence 126 'cut off'
	run initvm run /tmp
	expect_one_sentence 126 'not a regular file'
	run -127 initvm run no-such-file
	expect_one_sentence 127 "no file 'no-such-file' here"
}

@test "a program of another architecture, for which nothing is registered, is called by name; nothing is changed for it" {
	local before
	before=$(binfmt_mounts)
	elf '\002' '\002' '\000\002' '\000\026' >s390x
	run initvm run s390x
	expect_one_sentence 126 "'s390x' is a program for s390x (64-bit, big-endian), and no emulator for it is registered in the VM"
	elf '\002' '\002' '\000\002' '\000\053' >sparc
	run initvm run sparc
	expect_one_sentence 126 'a program for sparc64'
	[ "$(binfmt_mounts)" = "$before" ]
}

@test "--arch: only a program of that architecture, by Debian's name or QEMU's" {
	elf '\001' '\001' '\002\000' '\050\000' >arm
	run initvm run --arch arm64 arm
	expect_one_sentence 126 "'arm' is a program for armel (32-bit, little-endian), and not a program for arm64 as --arch says"
	run initvm run --arch armhf arm
	expect_one_sentence 126 'no emulator'
	run initvm run --arch vax arm
	expect_one_sentence 125 "'vax' is not an architecture; there are amd64, "
	echo '#!/bin/sh' >script
	run initvm run --arch amd64 script
	expect_one_sentence 126 "a script for '/bin/sh', and not a program for amd64"
}

@test "a VM that does not run: 125" {
	printf '#!/bin/sh\n' >script
	run initvm run -n off script
	expect_one_sentence 125 "'off'"
	run initvm binfmt -n off
	expect_one_sentence 1 "'off'"
}

@test "binfmt: wrong words and architectures" {
	run initvm binfmt frobnicate
	expect_one_sentence 2 "'frobnicate' is none of list, show and test"
	run initvm binfmt show
	expect_one_sentence 2 'takes one architecture'
	run initvm binfmt show arm64 armhf
	expect_one_sentence 2 'takes one architecture'
	run initvm binfmt list armhf
	expect_one_sentence 2 'one word too many'
	run initvm binfmt show vax
	expect_one_sentence 2 "'vax' is not an architecture"
	run initvm binfmt test armhf vax
	expect_one_sentence 2 "'vax' is not an architecture"
}

@test "binfmt: an answer that is none, and an agent that does not know the question" {
	echo 'echo "[1]"' >"$INITVM_HOME/guest.instead"
	run initvm binfmt
	expect_one_sentence 1 'gave an answer that is none'
	echo 'echo nonsense' >"$INITVM_HOME/guest.instead"
	run initvm binfmt show arm
	expect_one_sentence 1 'gave an answer that is none'
	echo 'echo "initvm-agent: unrecognized option" >&2; exit 2' >"$INITVM_HOME/guest.instead"
	run initvm binfmt
	expect_one_sentence 1 'unrecognized option'
}
