#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# The command line by itself: no daemon is started by anything here.

load ../lib/common

commands=(create start stop restart ensure destroy status list images disk snapshot reset clone exec shell cp attach ssh ssh-config proxy forward submit job chroot cache ps daemon help version
	completion)
chroot_commands=(create build list show shell run clone rename remove export import)
job_commands=(list show logs wait watch cancel fetch shell retry remove prune limit)

setup_file() { new_home; }
teardown_file() { remove_home; }

teardown() {
	# Asking for help, or asking wrongly, must not start anything.
	[ ! -e "$INITVM_HOME/run/socket" ]
}

@test "without arguments: the overview, and the exit status of wrong usage" {
	run initvm
	expect 2 'usage: initvm'
}

@test "help lists every command" {
	run initvm help
	expect 0
	local command
	for command in "${commands[@]}"; do
		grep -qE "^  $command " <<<"$output"
	done
}

@test "each command explains itself, by --help and by help" {
	local command
	for command in "${commands[@]}" console; do
		run initvm "$command" --help
		expect 0 'usage: initvm'
		local by_option=$output
		run initvm help "$command"
		expect 0 "$by_option"
	done
}

@test "subcommands explain themselves, and are found by help and by near misses" {
	local command
	run initvm help chroot
	expect 0 'usage: initvm chroot COMMAND'
	for command in "${chroot_commands[@]}"; do
		grep -qE "^  $command " <<<"$output"
	done
	for command in "${chroot_commands[@]}"; do
		run initvm chroot "$command" --help
		expect 0 "usage: initvm chroot $command"
		local by_option=$output
		run initvm help chroot "$command"
		expect 0 "$by_option"
	done
	for command in list prune; do
		run initvm help cache "$command"
		expect 0 "usage: initvm cache $command"
	done
	for command in info check resize compact ls cat cp export; do
		run initvm help disk "$command"
		expect 0 "usage: initvm disk $command"
	done
	for command in create list restore remove; do
		run initvm help snapshot "$command"
		expect 0 "usage: initvm snapshot $command"
	done
	run initvm chroot
	expect 2 "something is missing behind 'chroot'"
	run initvm chroot shel
	expect 2 "did you mean 'shell'"
	run initvm help list json
	expect 2 "'list' has no commands of its own"
	run initvm help chroot nothing
	expect 2 "'nothing' is not a command of 'chroot'"
}

@test "chroot run and shell: options stand before or behind the name, the command behind --; their own failures are 125" {
	run initvm chroot run box
	expect 125 'something is missing'
	run initvm chroot run
	expect 125 'something is missing'
	run initvm chroot run box ls
	expect 125 "'ls' is one word too many"
	run initvm chroot shell box --save --discard
	expect 125 'exclude one another'
	run initvm chroot run -n a/b box -- true
	expect 125 "'a/b'"
	run initvm chroot create box --variant huge
	expect 2 'huge'
	run initvm chroot create box --from x --no-cache
	expect 2 '--no-cache says how a chroot is made'
	run initvm chroot create box --from x --include git
	expect 2 '--include'
	run initvm chroot export box box.zip
	expect 2 '.tar.zst'
	run initvm chroot import box /nosuch/file
	expect 1 '/nosuch/file'
}

@test "--help wins over what else is wrong" {
	run initvm create --help extra words
	expect 0 'usage: initvm create'
}

@test "--version prints the version that the Makefile has" {
	run initvm --version
	expect 0 "$(sed -n 's/^VERSION := //p' "$TREE/Makefile")"
}

@test "unknown command: says so, with the nearest one" {
	run initvm crate
	expect 2 "did you mean 'create'"
	run initvm frobnicate
	expect 2 "'frobnicate' is not a command"
}

@test "unknown option, missing argument, wrong argument: usage errors that name the option" {
	run initvm create --sizes 3G
	expect 2 '--sizes'
	run initvm create --size
	expect 2 '--size'
	run initvm create --size 12Q
	expect 2 '12Q'
	run initvm create --size 12
	expect 2 '12'
	run initvm create --cpus 0
	expect 2 '--cpus'
	run initvm create --accel maybe
	expect 2 'maybe'
	run initvm create --channel pigeon
	expect 2 'pigeon'
	run initvm create --ssh-port 65536
	expect 2 '--ssh-port'
	run initvm create --ssh-port 0
	expect 2 '--ssh-port'
	run initvm start --timeout soon
	expect 2 'soon'
}

@test "a VM's name with a slash, empty, hidden, too long or with control characters is refused" {
	local name
	for name in a/b ../x '' .hidden -x "$(printf 'a\tb')" "$(printf 'a%.0s' {1..300})"; do
		run initvm create "--name=$name"
		expect 2 'initvm:'
		run initvm status "--name=$name"
		expect 2 'initvm:'
	done
	run initvm create -n a/b
	expect 2 "'a/b' cannot be a VM's name"
}

@test "exec keeps its own failures apart from the command's: 125" {
	run initvm exec
	expect 125
	run initvm exec -n a/b -- true
	expect 125 "'a/b'"
}

@test "control characters in the user's words do not reach the terminal" {
	run initvm "$(printf 'x\033[31my')"
	expect 2
	[[ $output != *$'\033'* ]]
}

@test "a full disk behind standard output is a failure" {
	run sh -c 'initvm help >/dev/full'
	expect 1 'No space left'
}

@test "closed standard fds do no harm" {
	run sh -c 'initvm help <&- >&- 2>&-'
	[ "$status" -le 1 ]
	run sh -c 'initvm status -n a/b <&- 2>&1 >&-'
	expect 2
}

@test "completion scripts parse, and know every command" {
	local command
	initvm completion bash >"$BATS_TEST_TMPDIR/bash"
	run bash -n "$BATS_TEST_TMPDIR/bash"
	expect 0
	for command in "${commands[@]}"; do
		grep -qw -- "$command" "$BATS_TEST_TMPDIR/bash"
	done
	for command in "${chroot_commands[@]}"; do
		grep -qF "chroot\\ $command)" "$BATS_TEST_TMPDIR/bash"
	done
	grep -qF 'cache\ prune)' "$BATS_TEST_TMPDIR/bash"
	run initvm completion klingon
	expect 2 'klingon'
}

@test "bash completion offers commands, options and nothing else" {
	initvm completion bash >"$BATS_TEST_TMPDIR/bash"
	run env -i PATH="$PATH" INITVM_HOME="$INITVM_HOME" bash --norc -c '
		source "$1"
		function_name=$(complete -p initvm | sed "s/.*-F \([^ ]*\).*/\1/")
		COMP_WORDS=(initvm cr) COMP_CWORD=1 COMP_LINE="initvm cr" COMP_POINT=9
		"$function_name" initvm cr initvm
		echo "${COMPREPLY[*]}"
		COMP_WORDS=(initvm create --si) COMP_CWORD=2 COMP_LINE="initvm create --si" COMP_POINT=18
		"$function_name" initvm --si create
		echo "${COMPREPLY[*]}"
		COMP_WORDS=(initvm -n a chroot sh) COMP_CWORD=4
		"$function_name" initvm sh chroot
		echo "${COMPREPLY[*]}"
		COMP_WORDS=(initvm chroot create --va) COMP_CWORD=3
		"$function_name" initvm --va create
		echo "${COMPREPLY[*]}"
		COMP_WORDS=(initvm chroot create --variant min) COMP_CWORD=4
		"$function_name" initvm min --variant
		echo "${COMPREPLY[*]}"' - "$BATS_TEST_TMPDIR/bash"
	expect 0
	[[ ${lines[0]} =~ ^create\ *$ ]]
	[[ ${lines[1]} =~ ^--size\ *$ ]]
	[ "${lines[2]}" = 'show shell' ]
	[ "${lines[3]}" = --variant ]
	[ "${lines[4]}" = minbase ]
}

@test "initvm(1) has every command and every option" {
	local page command option
	page=$(find "$TREE/initvm" -name initvm.1)
	[ -e "$page" ]
	local text
	text=$(mandoc -T ascii "$page" | col -b)
	for command in "${commands[@]}"; do
		grep -qw -- "$command" <<<"$text"
		for option in $(initvm "$command" --help | grep -oE '^ +(-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+'); do
			grep -qF -- "$option" <<<"$text" || { echo "$command $option is not in initvm(1)"; false; }
		done
	done
	for command in "${chroot_commands[@]}"; do
		grep -qF -- "chroot $command" <<<"$text"
		for option in $(initvm chroot "$command" --help | grep -oE '^ +(-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+'); do
			grep -qF -- "$option" <<<"$text" || { echo "chroot $command $option is not in initvm(1)"; false; }
		done
	done
	for command in "${job_commands[@]}"; do
		grep -qF -- "job $command" <<<"$text"
		for option in $(initvm job "$command" --help | grep -oE '^ +(-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+'); do
			grep -qF -- "$option" <<<"$text" || { echo "job $command $option is not in initvm(1)"; false; }
		done
	done
	for command in list prune; do
		grep -qF -- "cache $command" <<<"$text"
		for option in $(initvm cache "$command" --help | grep -oE -- '--[a-z-]+'); do
			grep -qF -- "$option" <<<"$text" || { echo "cache $command $option is not in initvm(1)"; false; }
		done
	done
}

@test "what the README says exists: commands, options and make targets" {
	local line word
	while read -r line; do
		run initvm "$line" --help
		expect 0
	done < <(grep -oE '\binitvm( -n [a-z]+)? (create|start|exec|shell|cp|ssh-config|ssh|forward|attach|stop|destroy|list|status|images|help|submit|daemon)\b' "$TREE/README.md" |
		sed -E 's/initvm( -n [a-z]+)? //' | sort -u)
	local options
	options=$(for word in "${commands[@]}"; do initvm "$word" --help; done
		for word in "${chroot_commands[@]}"; do initvm chroot "$word" --help; done
		for word in "${job_commands[@]}"; do initvm job "$word" --help; done)
	for word in $(grep -oE '(^|[ `])--[a-z]+' "$TREE/README.md" | tr -d ' \`' | sort -u); do
		grep -qF -- "$word" <<<"$options" || { echo "README: $word"; false; }
	done
	for word in $(grep -oE '\bmake [a-z-]+' "$TREE/README.md" | sed 's/make //' | sort -u); do
		grep -qE "^$word:" "$TREE/Makefile" || { echo "README: make $word"; false; }
	done
}

@test "a switch stands alone, or with yes or no behind it" {
	run initvm chroot run box --accelerate=maybe -- true
	expect 125 "'--accelerate=maybe': must be yes or no"
	run initvm chroot create box --accelerate no # which is another operand
	expect 2
}

@test "chroot build: what is wrong with its operands is told before anything begins" {
	local folder=$BATS_TEST_TMPDIR/context
	run initvm chroot build box "$folder"
	expect 1 "cannot read '$folder'"
	touch "$folder"
	run initvm chroot build box "$folder"
	expect 2 'is no folder'
	rm "$folder"
	mkdir "$folder"
	run initvm chroot build box "$folder"
	expect 1 'no Dockerfile'
	echo FROM box >"$folder/Containerfile"
	run initvm chroot build box "$folder" --build-arg NAME
	expect 2 'must be NAME=VALUE'
	run initvm chroot build box "$folder" -f /nosuchfile
	expect 1 '/nosuchfile'
}
