#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# ssh and its like, and forwards, into the VM 'base' through the agent.

load ../lib/vm

setup_file() {
	need_base
	export CONFIG=$BATS_FILE_TMPDIR/config
	initvm ssh-config -n base >"$CONFIG"
}

setup() { pids=(); }
teardown() { end_pids; }

# ssh with the configuration that was printed, and nobody to answer a question.
over_ssh() { timeout 120 ssh -F "$CONFIG" initvm-base "$@" </dev/null; }

# Starts a forward; where it listens goes to $at.
forward() {
	initvm -n base forward "$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/errors" 3>&- &
	pids+=($!)
	wait_line "$BATS_TEST_TMPDIR/out" '^forwarding' 30 || { cat "$BATS_TEST_TMPDIR/errors"; return 1; }
	at=$(sed -nE '1s/^forwarding ([^ ]+).*/\1/p' "$BATS_TEST_TMPDIR/out")
}

@test "the key is private, and of this VM; the files of the guest's users are untouched" {
	local folder=$INITVM_HOME/vms/base/ssh
	[ "$(stat -c %a "$folder")" = 700 ]
	[ "$(stat -c %a "$folder/id_ed25519")" = 600 ]
	[ "$(guest cat /etc/ssh/initvm_authorized_keys)" = "$(cat "$folder/id_ed25519.pub")" ]
	guest test ! -e /root/.ssh/authorized_keys
	[ "$(cat "$folder/known_hosts")" = "initvm-base $(guest cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub)" ]
}

@test "ssh: output, input and exit status; nothing is asked, nothing is said" {
	[ "$(over_ssh id -un 2>&1)" = root ]
	run over_ssh 'exit 7'
	expect 7
	[ "$(echo in | timeout 120 ssh -F "$CONFIG" initvm-base cat)" = in ]
	[ "$(initvm -n base ssh hostname 2>&1 </dev/null)" = base ]
	run initvm -n base ssh 'exit 9' </dev/null
	expect 9
	run initvm -n base ssh -- -v true </dev/null
	expect 0 'Authenticated'
}

@test "scp, sftp, rsync and git" {
	local tree=$BATS_TEST_TMPDIR/tree
	mkdir -p "$tree/sub"
	head -c 300000 /dev/urandom >"$tree/sub/data"
	echo '#!/bin/sh' >"$tree/script"
	chmod 755 "$tree/script"
	guest rm -rf /srv/scp /srv/sftp /srv/rsync /srv/git
	timeout 120 scp -q -r -F "$CONFIG" "$tree" initvm-base:/srv/scp
	printf 'mkdir /srv/sftp\nput %s /srv/sftp/\nget /srv/sftp/data %s\n' "$tree/sub/data" "$BATS_TEST_TMPDIR/back" |
		timeout 120 sftp -q -b - -F "$CONFIG" initvm-base
	cmp "$tree/sub/data" "$BATS_TEST_TMPDIR/back"
	timeout 120 rsync -a -e "ssh -F $CONFIG" "$tree/" initvm-base:/srv/rsync
	[ "$(guest stat -c %a /srv/rsync/script)" = 755 ]
	[ "$(guest sh -c 'sha256sum </srv/rsync/sub/data; sha256sum </srv/scp/sub/data' | sort -u)" = "$(sha256sum <"$tree/sub/data")" ]
	guest sh -ec 'export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
		git init -q /srv/git; cd /srv/git; echo text >file; git add file; git commit -qm first'
	GIT_SSH_COMMAND="ssh -F $CONFIG" timeout 120 git clone -q initvm-base:/srv/git "$BATS_TEST_TMPDIR/clone"
	[ "$(cat "$BATS_TEST_TMPDIR/clone/file")" = text ]
}

@test "passwords are off, whatever else: what sshd itself says" {
	run guest sh -c 'sshd -T'
	expect 0
	grep -qx 'passwordauthentication no' <<<"$output"
	grep -qx 'kbdinteractiveauthentication no' <<<"$output"
	grep -qxE 'permitrootlogin (prohibit|without)-password' <<<"$output"
	run timeout 60 ssh -F "$CONFIG" -o PubkeyAuthentication=no -o BatchMode=yes -o PreferredAuthentications=password,keyboard-interactive \
		initvm-base true </dev/null
	expect 255 'Permission denied (publickey)'
}

@test "another host key is refused loudly; the new one is pinned when that is asked for" {
	local known=$INITVM_HOME/vms/base/ssh/known_hosts
	ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/other"
	echo "initvm-base $(cut -d ' ' -f 1,2 "$BATS_TEST_TMPDIR/other.pub")" >"$known"
	run over_ssh true
	expect 255 'REMOTE HOST IDENTIFICATION HAS CHANGED'
	[[ $output == *'Host key verification failed'* ]]
	run initvm -n base ssh true </dev/null
	expect 255 'ssh-config --renew-host-key'
	[[ $output == *'REMOTE HOST IDENTIFICATION HAS CHANGED'* ]]
	initvm ssh-config -n base --renew-host-key >"$CONFIG"
	over_ssh true
}

@test "an SSH server that does not run is started; without one the error names the package" {
	guest systemctl stop ssh
	over_ssh true
	guest systemctl stop ssh
	guest mv /usr/sbin/sshd /usr/sbin/sshd.away
	run over_ssh true
	expect 255 'apt-get install openssh-server'
	run initvm ssh-config -n base
	expect_one_sentence 1 'apt-get install openssh-server'
	guest mv /usr/sbin/sshd.away /usr/sbin/sshd
}

@test "without any network in the guest, all the same" {
	guest ip link set enp1s0 down 2>/dev/null || guest sh -c 'ip -o link | grep -v lo: | cut -d : -f 2 | xargs -n 1 ip link set down dev'
	run over_ssh hostname
	guest networkctl reload
	guest sh -c 'ip -o link | grep -v lo: | cut -d : -f 2 | xargs -n 1 ip link set up dev'
	expect 0 base
}

@test "forward: TCP and a unix socket of the guest on the host; a closed port" {
	guest sh -c 'rm -f /run/test.sock
		setsid perl -MIO::Socket::UNIX -e "\$s = IO::Socket::UNIX->new(Local => q(/run/test.sock), Listen => 5) or die;
			while (\$c = \$s->accept) { print \$c qq(from the guest\n); close \$c }" </dev/null >/dev/null 2>&1 &
		while [ ! -S /run/test.sock ]; do :; done'
	forward 0:22
	[[ $(head -c 4 <"/dev/tcp/${at/://}") == SSH- ]]
	forward "$BATS_TEST_TMPDIR/here.sock:/run/test.sock"
	[ "$(timeout 30 socat -u "UNIX:$BATS_TEST_TMPDIR/here.sock" -)" = 'from the guest' ]
	guest pkill -f test.sock
	forward 0:4321
	run socat -t 20 - "TCP:$at" </dev/null
	wait_line "$BATS_TEST_TMPDIR/errors" 'nothing listens on port 4321 in the VM'
}

@test "forward --reverse: a server of the host in the guest" {
	mkdir "$BATS_TEST_TMPDIR/www"
	echo 'from the host' >"$BATS_TEST_TMPDIR/www/file"
	/usr/bin/python3 -u -m http.server 0 --bind 127.0.0.1 --directory "$BATS_TEST_TMPDIR/www" >"$BATS_TEST_TMPDIR/server" 2>&1 3>&- &
	pids+=($!)
	wait_line "$BATS_TEST_TMPDIR/server" 'port [0-9]+'
	forward --reverse "$(sed -nE 's/.*port ([0-9]+).*/\1/p' "$BATS_TEST_TMPDIR/server"):0"
	[ "$(guest bash -c 'exec 3<>"/dev/tcp/$0"; printf "GET /file HTTP/1.0\r\n\r\n" >&3; tail -n 1 <&3' "${at/://}")" = 'from the host' ]
}

@test "a daemon that is killed: what stood ends, the next connection works" {
	forward 0:22
	local pid
	pid=$(daemon_pid)
	kill -KILL "$pid"
	wait_pid "$pid"
	[[ $(timeout 60 head -c 4 <"/dev/tcp/${at/://}") == SSH- ]]
	over_ssh true
}
