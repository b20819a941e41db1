#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# As an ordinary user, with an installed initvm: the commands of the README's section 'Use it', as they stand there.

load ../lib/vm

user=initvm-test

setup_file() {
	[ "$(id -u)" -eq 0 ] || skip 'needs root to add a user'
	export PLACE=$BATS_FILE_TMPDIR
	PLACE=$(mktemp -d /var/tmp/iv.XXXXXX)
	chmod 755 "$PLACE"
	make --no-print-directory -C "$TREE" -j"$(nproc)" BUILD="$PLACE/build" PREFIX="$PLACE/prefix" install >"$PLACE/install" 2>&1 ||
		{ tail "$PLACE/install"; return 1; }
	userdel --remove "$user" >/dev/null 2>&1 || true
	useradd --create-home --shell /bin/bash "$user"
	grep -q "^$user:" /etc/subuid /etc/subgid
}

teardown_file() {
	[ -n "${PLACE:-}" ] || return 0
	as_user initvm destroy --yes >/dev/null 2>&1 || true
	as_user initvm daemon stop >/dev/null 2>&1 || true
	local pid
	for pid in $(ps -o pid= -u "$user"); do
		kill -KILL "$pid" || true
		wait_pid "$pid" || true
	done
	userdel --remove "$user" >/dev/null 2>&1 || true
	rm -rf "$PLACE"
}

# Runs words as the user, with nothing of our environment.
as_user() {
	setpriv --reuid="$user" --regid="$user" --init-groups env -i -C "/home/$user" HOME="/home/$user" USER="$user" \
		PATH="$PLACE/prefix/bin:/usr/bin:/bin" LC_ALL=C.UTF-8 TERM=dumb "$@" 3>&-
}

# The README's command that begins with the words, without its comment.
readme() {
	sed -n '/^## Use it/,/^## /p' "$TREE/README.md" | sed -nE "s/^    ($*.*)/\1/p" | sed -E 's/ +#.*//' | head -n 1
}

@test "install puts programs, data, man page and completions below PREFIX" {
	local file
	for file in bin/initvm libexec/initvm/initvmd libexec/initvm/initvm-provision libexec/initvm/initvm-agent \
		share/initvm/images/debian-13-amd64.json share/initvm/preseed/default.cfg share/man/man1/initvm.1; do
		[ -e "$PLACE/prefix/$file" ] || { echo "no $file"; false; }
	done
}

@test "create, as the README has it" {
	local command begin=$SECONDS
	command=$(readme initvm create)
	[ "$command" = 'initvm create' ]
	as_user bash -c "$command" >"$BATS_FILE_TMPDIR/create" 2>&1 || { tail "$BATS_FILE_TMPDIR/create"; false; }
	echo "# create of the default preseed as a user: $((SECONDS - begin)) s" >&3
	[ -e "/home/$user/.local/state/initvm/vms/default/buildenv.img" ]
	[ "$(stat -c %U "/home/$user/.local/state/initvm/vms/default/buildenv.img")" = "$user" ]
	[ -z "$(find "/home/$user/.local/state/initvm/creating" -mindepth 1 2>/dev/null)" ]
}

@test "start" {
	local begin=$SECONDS
	run as_user bash -c "$(readme initvm start)"
	expect 0
	echo "# start: $((SECONDS - begin)) s" >&3
	[ "$(pgrep -c -u "$user" qemu-system)" -eq 1 ]
}

@test "exec" {
	run as_user bash -c "$(readme initvm exec)"
	expect 0 Linux
	run as_user initvm exec -- id -u
	expect 0 0
}

@test "attach" {
	TERMINAL_DEADLINE=60 run as_user /usr/bin/python3 - raw 'expect:root@' 'send:\x1d' expect:detached status:0 restored -- \
		bash -c "$(readme initvm attach)" <"$TREE/tests/lib/terminal.py"
	expect 0
}

@test "stop, and nothing of the user runs but the daemon" {
	run as_user bash -c "$(readme initvm stop)"
	expect 0
	run ps -o comm= -u "$user"
	[ "$output" = initvmd ]
}

@test "destroy leaves nothing of the VM" {
	as_user initvm destroy --yes
	[ -z "$(find "/home/$user/.local/state/initvm/vms" -mindepth 1)" ]
	[ -z "$(find /var/tmp /tmp -maxdepth 1 -user "$user")" ]
	as_user initvm daemon stop
}

@test "uninstall leaves no file" {
	make --no-print-directory -C "$TREE" BUILD="$PLACE/build" PREFIX="$PLACE/prefix" uninstall >/dev/null
	run find "$PLACE/prefix" -type f
	[ -z "$output" ]
}
