#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# initvm cache by itself: it needs neither a daemon nor a VM.  What puts something in is in tests/vm.

load ../lib/common

setup() {
	new_home
	kept=$INITVM_HOME/cache/chroots
	mkdir -p "$kept"
}

teardown() {
	[ ! -e "$INITVM_HOME/run/socket" ]
	remove_home
}

# An entry as `chroot create` makes it: `put SUITE MEBIBYTES DAYS`, used last so many days ago. Sets key.
put() {
	key=$(printf '%s' "$1" | sha256sum | cut -d ' ' -f 1)
	mkdir "$kept/$key"
	head -c "${2}M" /dev/zero >"$kept/$key/root.tar.zst"
	touch -d "$3 days ago" "$kept/$key/root.tar.zst"
	printf '{"key":"%s","inputs":{"suite":"%s","architecture":"armhf","variant":"buildd","packages":["git","make"],"releases":[]},"digest":"%s","size":%d,"created":1}\n' \
		"$key" "$1" "$(sha256sum <"$kept/$key/root.tar.zst" | cut -d ' ' -f 1)" $(($2 << 20)) >"$kept/$key/entry.json"
}

suites() { initvm cache list --json | while read -r line; do json inputs.suite <<<"$line"; done | tr '\n' ' '; }

@test "list: what was used last comes first; nothing kept is no error" {
	run --separate-stderr initvm cache list
	expect 0
	[ -z "$output" ]
	[[ $stderr == *"nothing is kept in '$kept'"* ]]
	put trixie 2 3
	put sid 1 1
	run --separate-stderr initvm cache list
	expect 0
	[[ ${lines[0]} =~ ^KEY\ +ARCH\ +SUITE\ +VARIANT\ +PACKAGES\ +SIZE\ +USED$ ]]
	[[ ${lines[1]} =~ ^${key:0:12}\ +armhf\ +sid\ +buildd\ +git,make\ +1\ MiB\ .*\ ago$ ]]
	[[ ${lines[2]} =~ \ trixie\ .*\ 2\ MiB\ .*\ ago$ ]]
	[ "${#lines[@]}" = 3 ]
	[ "$(suites)" = 'sid trixie ' ]
	[ "$(initvm cache list --json | head -n 1 | json size)" = 1048576 ]
}

@test "prune by age, by size, by both, and everything; it says what it freed" {
	put old 1 40
	put middle 2 10
	put new 3 1
	run initvm cache prune
	expect 0 'removed 1, freed 1 MiB; 2 remain, 5 MiB'
	put old 1 40
	run initvm cache prune --unused 50
	expect 0 'removed 0, freed 0 B; 3 remain'
	run initvm cache prune --size 3M --json
	expect 0
	[ "$(json freed <<<"$output") $(json remaining <<<"$output") $(json size <<<"$output")" = '3145728 1 3145728' ]
	[[ $(json removed <<<"$output") == *"$key"* ]]
	[ "$(suites)" = 'new ' ]
	put middle 2 10
	run initvm cache prune --unused 5 --size 100M
	expect 0 'removed 1, freed 2 MiB; 1 remain'
	run initvm cache prune --all
	expect 0 'removed 1, freed 3 MiB; 0 remain'
	[ -z "$(ls "$kept")" ]
}

@test "prune removes what is broken; any command what was left half-made, and nothing else" {
	put broken 1 0
	: >"$kept/$key/entry.json"
	put whole 1 0
	mkdir "$kept/.new-abcdef" "$kept/theirs"
	head -c 100 /dev/zero >"$kept/.new-abcdef/root.tar.zst"
	run initvm cache list
	expect 0
	[ ! -e "$kept/.new-abcdef" ]
	mkdir "$kept/.new-locked"
	exec 8<"$kept/.new-locked"
	flock -n 8
	run initvm cache prune
	expect 0 'removed 1, freed 1 MiB; 1 remain'
	[ -e "$kept/.new-locked" ]
	[ -e "$kept/theirs" ]
	[ "$(suites)" = 'whole ' ]
	exec 8<&-
}

@test "what an entry says of itself is shown, and not believed" {
	put odd 1 0
	printf '{"key":"other","inputs":{"suite":7,"architecture":"\\u001b[31mred","packages":[1,null,{},"git"]},"size":"x"}\n' >"$kept/$key/entry.json"
	run initvm cache list
	expect 0
	[[ ${lines[1]} =~ ^${key:0:12}\ +\?\[31mred\ +-\ +-\ +git\ +1\ MiB ]]
	[ "$(initvm cache list --json | json key)" = "$key" ]
	printf '{"inputs":"x"}\n' >"$kept/$key/entry.json"
	run initvm cache list
	expect 0 "${key:0:12}"
	run initvm cache prune --all
	expect 0 'removed 1, freed 1 MiB; 0 remain'
}

@test "bad input" {
	run initvm cache
	expect 2 "something is missing behind 'cache': one of list|prune"
	run initvm cache prune --unused 0
	expect 2 'unused'
	run initvm cache prune --size 3
	expect 2 'size'
	run initvm cache prune everything
	expect 2
	rm -rf "$INITVM_HOME/cache"
	: >"$INITVM_HOME/cache"
	run initvm cache list
	expect_one_sentence 1 "$INITVM_HOME/cache"
	rm "$INITVM_HOME/cache"
}
