#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# initvm chroot build on a real guest, on a chroot of another architecture that holds nothing but busybox.

load ../lib/vm

setup_file() {
	need_base
	guest rm -rf /var/lib/initvm/chroots
	make_busybox "$BATS_FILE_TMPDIR/Box"
	chroot_ create Box --arch armhf --from "$BATS_FILE_TMPDIR/Box"
}

teardown_file() {
	for name in $(names); do
		chroot_ remove "$name"
	done
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	mkdir context
}

teardown() {
	[ -z "${client:-}" ] || kill -TERM "$client" 2>/dev/null || true
}

make_busybox() {
	local command
	fetch_packages "$BATS_FILE_TMPDIR/packages" busybox-static:armhf
	mkdir -p "$1"/{bin,etc,root,tmp}
	cp "$BATS_FILE_TMPDIR/packages/bin/busybox" "$1/bin/busybox"
	for command in sh cat echo ls touch rm mkdir uname sleep; do
		ln -s busybox "$1/bin/$command"
	done
	cp "$1/bin/busybox" "$1/bin/su"
	chmod 4755 "$1/bin/su"
	echo root:x:0:0::/root:/bin/sh >"$1/etc/passwd"
}

# What must be as before.
remains() {
	guest sh -c '
		echo "mounts $(grep -c -e /initvm/ -e buildah /proc/self/mountinfo)"
		echo "overlays $(ls -A /var/lib/initvm/overlays) chroots $(ls -A /var/lib/initvm/chroots)"
		echo "storage $(ls -A /var/lib/containers /run/containers /var/tmp 2>/dev/null | grep -v systemd-private)"
		echo "processes $(ps -e -o comm= | grep -c -e buildah -e busybox)"' | tr '\n' ' '
}

@test "a Dockerfile: RUN by emulation, COPY, ARG, stages, .dockerignore; the result is a chroot" {
	cat >context/Dockerfile <<-'END'
		ARG BASE=nothing
		FROM $BASE AS first
		ARG WHO=nobody
		ENV GREETING=hello
		COPY . /src/
		RUN echo "$GREETING $WHO on $(uname -m)" >/etc/built && \
		    ls -A /src
		FROM first
		RUN rm /src/taken && touch /src/new
	END
	echo taken >context/taken
	echo secret >context/secret
	echo secret >context/.dockerignore
	run chroot_ build made context --build-arg BASE=Box --build-arg WHO=me --json
	expect 0 '"step"'
	expect 0 '"origin":"built from Box"'
	run chroot_ run made -- sh -c 'cat /etc/built; ls -A /src; ls -ln /bin/su; ls -lnd /'
	expect 0
	[[ ${lines[0]} == 'hello me on armv'* ]]
	[ "${lines[1]} ${lines[2]} ${lines[3]}" = '.dockerignore Dockerfile new' ]
	[[ ${lines[4]} == -rwsr-xr-x*' 0 '* ]]
	[[ ${lines[5]} == drwxr-xr-x* ]]
	[ "$(chroot_ show made --json | json architecture)" = armhf ]
	run chroot_ run Box -- ls /src /etc/built
	expect 1
}

@test "errors tell the line of the Dockerfile, and leave nothing" {
	local before
	before=$(remains)
	while IFS='|' read -r text pattern; do
		printf '%b' "$text" >Dockerfile
		run chroot_ build made2 -f Dockerfile context
		[ "$status" -ne 0 ]
		[[ $output == *"$pattern"* ]] || { echo "$text: $output"; return 1; }
	done <<-'END'
		FROM Box\nRUN echo reason; exit 3\n|line 2 of the Dockerfile: the command ended with exit status 3 | reason
		FROM Box\n\nCOPY nothere /\n|line 3 of the Dockerfile
		FROM Box\nRUNN x\n|line 2 of the Dockerfile: 'RUNN'
		FROM debian:bookworm\n|there is no chroot 'debian:bookworm'
		RUN x\n|line 1 of the Dockerfile
	END
	run chroot_ build Box context
	expect 1 "no Dockerfile"
	echo FROM Box >context/Dockerfile
	run chroot_ build Box context
	expect 1 "there is a chroot 'Box'"
	[ "$(remains)" = "$before" ]
}

@test "a build that is interrupted or killed leaves nothing" {
	local before signal
	before=$(remains)
	printf 'FROM Box\nRUN sleep 1000\n' >context/Dockerfile
	for signal in INT KILL; do
		initvm chroot -n base build never context --json >out 2>&1 &
		client=$!
		wait_line out 'RUN sleep' 120
		if [ "$signal" = INT ]; then
			kill -INT "$client"
		else
			guest pkill -KILL -f -- '--chroot build -- never'
		fi
		wait "$client" && return 1
		client=
		chroot_ list >/dev/null
		[ "$(remains)" = "$before" ]
	done
}
