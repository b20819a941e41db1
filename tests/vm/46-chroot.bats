#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Chroots on a real guest, in one that holds nothing but busybox and a few accounts, which is there in a moment.  Debian for
# another architecture is in tests/foreign.

load ../lib/vm

terminal=$TREE/tests/lib/terminal.py
export TERMINAL_DEADLINE=120

setup_file() {
	need_base
	make_tiny "$BATS_FILE_TMPDIR/tiny"
	guest rm -rf /var/lib/initvm/chroots /srv/shown
	chroot_ create tiny --from "$BATS_FILE_TMPDIR/tiny"
}

teardown_file() {
	guest rm -rf /srv/shown
	for name in $(chroot_ list --json | sed 's/.*"name":"\([^"]*\)".*/\1/'); do
		chroot_ remove "$name"
	done
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
}

# What a test that has failed left running would fail the next ones.
teardown() {
	[ -z "${client:-}" ] || kill -TERM "$client" 2>/dev/null || true
}

# The client ends with the status $1.
ended() {
	local status=0
	wait "$client" || status=$?
	[ "$status" -eq "$1" ]
}

@test "run: input, output, error and exit status are the command's; the base is never changed" {
	run --separate-stderr chroot_ run tiny -- sh -c 'cat; echo new >/etc/state; rm /etc/group; echo error >&2; exit 7' <<<input
	expect 7 input
	[ "$stderr" = error ]
	run chroot_ run tiny -- cat /etc/state /etc/group
	expect 0 'old'
	expect 0 'staff'
	run chroot_ run tiny -- sh -c 'kill -9 $$'
	expect 137
	run -127 chroot_ run tiny -- nosuchcommand
	expect 127 "'nosuchcommand' was not found in the chroot"
	run chroot_ run tiny -- /etc/state
	expect 126
	run chroot_ run nosuchchroot -- true
	expect 125 "there is no chroot 'nosuchchroot'"
}

@test "run: user, groups, folder, environment; nothing of the VM is seen but what is bound" {
	run chroot_ run tiny --user eve -- sh -c 'id; pwd; echo "$HOME"'
	expect 0 'uid=1000(eve) gid=1000(eve)'
	expect 0 '50(staff)'
	[ "${lines[1]}" = /home/eve ]
	run chroot_ run tiny --user nobody2 -- true
	expect 125 "no user 'nobody2'"
	run chroot_ run tiny -C /etc -e A=b -- sh -c 'pwd; echo $A; hostname'
	expect 0
	[ "${lines[*]}" = '/etc b tiny' ]
	run chroot_ run tiny -- ls /var/lib/initvm /srv
	expect 1
	guest sh -c 'mkdir -p /srv/shown && echo seen >/srv/shown/file'
	run chroot_ run tiny --bind /srv/shown:/mnt -- sh -c 'cat /mnt/file; echo back >/mnt/out'
	expect 0 seen
	[ "$(guest cat /srv/shown/out)" = back ]
	run chroot_ run tiny -- busybox swapoff /etc/state
	expect 1 'Operation not permitted' # what is the whole VM's is denied to root, too
	run chroot_ run tiny --bind /nosuchfolder -- true
	expect 125 '/nosuchfolder'
	[ "$(chroot_ run tiny -- uname -r)" = "$(guest uname -r)" ]
}

@test "from the VM the files and processes of a chroot in use are seen" {
	initvm chroot -n base run tiny -- sh -c 'echo here >/root/file; echo ready; exec sleep 1000' >out &
	client=$!
	wait_line out ready
	[ "$(guest sh -c 'cat /run/initvm/chroots/tiny.*/root/root/file')" = here ]
	guest pgrep -f 'sleep 1000' >/dev/null
	run initvm ps -n base
	expect 0 'initvm-agent'
	grep -qE '^tiny +[0-9]+ +0 +sleep 1000$' <<<"$output"
	[ "$(initvm ps -n base --json | grep '"chroot":"tiny"' | grep -c '"command":"sleep 1000"')" = 1 ]
	kill -TERM "$client"
	ended 143
}

@test "save-as makes a new one, save overwrites, a failed command saves nothing" {
	run chroot_ run tiny --save-as second -- sh -c 'echo new >/etc/state; rm /etc/group; mkdir /etc/d; touch /etc/d/f'
	expect 0 "saved as 'second'"
	run chroot_ run second -- sh -c 'cat /etc/state; ls /etc/d /etc/group'
	expect 1 new
	[ "$(chroot_ run tiny -- cat /etc/state)" = old ]
	run chroot_ run second --save -- sh -c 'echo newer >/etc/state'
	expect 0
	[ "$(chroot_ run second -- cat /etc/state)" = newer ]
	run chroot_ run second --save -- sh -c 'echo broken >/etc/state; false'
	expect 1 'nothing was saved, because the command failed'
	[ "$(chroot_ run second -- cat /etc/state)" = newer ]
	run chroot_ run tiny --save-as second -- true
	expect 125 "there is a chroot 'second' already"
	run chroot_ show second
	expect 0 'saved from tiny'
	chroot_ remove second
	[ "$(names)" = 'tiny ' ]
}

@test "shell asks under which name to save: a new one, Enter, Ctrl-C" {
	chroot_ clone tiny asked
	run "$terminal" raw 'expect:~ # ' 'send:echo one >/etc/state; stty size\r' 'expect:24 80' 'send:exit\r' 'expect:Save as' 'send:tiny\r' 'expect:already' \
		'send:third\r' "expect:saved as 'third'" status:0 restored -- initvm chroot -n base shell asked
	expect 0
	[ "$(chroot_ run third -- cat /etc/state) $(chroot_ run asked -- cat /etc/state)" = 'one old' ]
	run "$terminal" raw 'expect:~ # ' 'send:echo two >/etc/state\r' 'send:exit\r' 'expect:Save as' 'send:\x03' expect:discarded status:0 restored -- \
		initvm chroot -n base shell asked
	expect 0
	[ "$(chroot_ run asked -- cat /etc/state)" = old ]
	run "$terminal" raw 'expect:~ # ' 'send:echo three >/etc/state\r' 'send:exit\r' 'expect:Save as' 'send:\r' "expect:saved as 'asked'" status:0 restored -- \
		initvm chroot -n base shell asked
	expect 0
	[ "$(chroot_ run asked -- cat /etc/state)" = three ]
	run chroot_ shell asked --save-as fourth <<<'echo four >/etc/state'
	expect 0
	[ "$(chroot_ run fourth -- cat /etc/state)" = four ]
	chroot_ remove asked third fourth
}

@test "one that is in use is neither overwritten nor renamed nor removed, and it is said by whom; others may use it, too" {
	initvm chroot -n base run tiny -- sh -c 'echo ready; exec sleep 1000' >out &
	client=$!
	wait_line out ready
	run chroot_ remove tiny
	expect 1 "in use by 'run tiny -- sh -c"
	run chroot_ rename tiny other
	expect 1 'in use'
	run chroot_ run tiny --save -- true
	expect 125 'nothing was saved: the chroot'
	run chroot_ run tiny -- echo too
	expect 0 too
	kill -TERM "$client"
	ended 143
	chroot_ rename tiny other
	chroot_ rename other tiny
}

# Neither what ran in a chroot nor who looked after it is there any more.
none_in_use() { ! guest pgrep -f 'sleep 100[01]|[-]-chroot run|systemd-nspaw[n]' >/dev/null; }

@test "killed at any place, nothing is left" {
	local before victim
	chroot_ list >/dev/null
	before=$(remains)
	for victim in client helper nspawn; do
		initvm chroot -n base run tiny -- sh -c 'echo ready; sleep 1000 & exec sleep 1001' >"out.$victim" 2>/dev/null &
		client=$!
		wait_line "out.$victim" ready
		echo "victim: $victim"
		case $victim in
		client) kill -KILL "$client" ;;
		helper) guest pkill -KILL -f -- '--chroot run -- tiny' ;;
		nspawn) guest pkill -KILL -x systemd-nspawn ;;
		esac
		wait "$client" || true
		within 20 none_in_use
		chroot_ list >/dev/null
		same_remains "$before"
	done
}

@test "export and import: owners and set-user-ID are kept, in any compression; into a folder of the host's and back" {
	local format
	chroot_ run tiny --save-as owned -- sh -c 'touch /home/eve/f /root/s; busybox chown eve:staff /home/eve/f; busybox chmod 4755 /root/s'
	for format in tar tar.gz tar.xz tar.zst; do
		chroot_ export owned "box.$format"
		chroot_ import again "box.$format"
		run chroot_ run again -- ls -ln /home/eve/f /root/s
		expect 0
		[[ ${lines[0]} == *' 1000 '*' 50 '* && ${lines[1]} == -rwsr-xr-x* ]]
		chroot_ remove again
	done
	chroot_ export owned - | tar -t >list
	grep -qx ./bin/busybox list
	chroot_ import again - <box.tar.xz
	chroot_ remove again owned
}

@test "broken and hostile archives are refused, and nothing is left" {
	local before
	before=$(remains)
	chroot_ export tiny whole.tar.zst
	head -c 20000 whole.tar.zst >cut.tar.zst
	run chroot_ import bad cut.tar.zst
	expect 1 'broken'
	run chroot_ import bad /etc/passwd
	expect 1 'no tar archive'
	run chroot_ import bad /dev/null
	expect 1 'incomplete'
	tar -P --transform 's,.*,../../../../../etc/hostile,' -cf up.tar /etc/passwd
	tar -P --transform 's,.*,/etc/hostile,' -cf absolute.tar /etc/passwd
	ln -s /etc link
	tar -cf through.tar link
	tar -P --transform 's,.*,link/hostile,' -rf through.tar /etc/passwd
	for archive in up absolute through; do
		run chroot_ import bad "$archive.tar"
		expect 1 'refused to unpack'
	done
	run guest test -e /etc/hostile
	expect 1
	for name in ../bad .bad a/b '' "$(printf 'a%.0s' {1..65})"; do
		run chroot_ import "$name" whole.tar.zst
		expect 2 "cannot be a chroot's name"
	done
	run chroot_ import tiny whole.tar.zst
	expect 1 "there is a chroot 'tiny' already"
	same_remains "$before"
	run chroot_ export nosuchchroot new.tar.zst
	expect 1
	[ ! -e new.tar.zst ]
}

# A signed repository with the package probe, in the current folder; sets mirror_pid and line.
make_mirror() {
	mkdir repository
	(cd repository && make_package probe)
	make_repository "$PWD/repository" signed
	start_mirror "$PWD/repository"
	line="deb $mirror_url stable main"
}

@test "create: from a mirror; unknown architecture and suite, a mirror that vanishes half-way: one reason, nothing left" {
	local before options=(--suite stable --variant extract --include probe)
	make_mirror
	chroot_ create made "${options[@]}" --mirror "$line" --keyring repository/key.asc --json --no-cache >events
	[ "$(tail -n 1 events | json chroot.name)" = made ]
	[ "$(guest cat /var/lib/initvm/chroots/made/root/usr/share/probe/here)" = probe ]
	chroot_ remove made
	before=$(remains)
	run chroot_ create bad "${options[@]}" --mirror "$line"
	expect 1 'mmdebstrap could not make the chroot' # nobody has signed it whom the VM trusts
	line="deb [trusted=yes] $mirror_url stable main"
	run chroot_ create bad --arch klingon --suite stable --mirror "$line"
	expect 1 'klingon can neither be executed natively'
	run chroot_ create bad --suite nosuchsuite --mirror "deb [trusted=yes] $mirror_url nosuchsuite main"
	expect 1 'nosuchsuite'
	run chroot_ create bad "${options[@]}" --include nosuchpackage --mirror "$line"
	expect 1 'nosuchpackage'
	echo probe_1.0_all.deb >repository/vanish-at
	run chroot_ create bad "${options[@]}" --mirror "$line"
	expect 1 'mmdebstrap could not make the chroot'
	wait_pid "$mirror_pid" # it was asked for that file
	run chroot_ create bad "${options[@]}" --mirror "$line"
	expect 1 'Could not connect'
	same_remains "$before"
	[ -z "$(initvm cache list --json)" ]
}

# mmdebstrap has ended with all that it started, which the kernel does on its own time.
none_made() { ! guest pgrep -f 'mmdebstra[p]' >/dev/null; }

@test "create: interrupted or killed half-way, nothing is left" {
	local before signal
	make_mirror
	line="deb [trusted=yes] $mirror_url stable main"
	before=$(remains)
	for signal in INT KILL; do
		initvm chroot -n base create "bad$signal" --suite stable --variant extract --include probe --mirror "$line" --no-cache >"out.$signal" 2>&1 &
		client=$!
		wait_line "out.$signal" '^(update|download)' 60
		kill "-$signal" "$client"
		case $signal in
		INT) ended 130 ;;
		KILL) ended 137 ;;
		esac
		within 30 none_made
		chroot_ list >/dev/null
		same_remains "$before"
	done
	kill "$mirror_pid"
}

@test "no space in the VM: said as that, nothing left, and it works again" {
	local before filler=/var/filler
	before=$(remains)
	mkdir large
	cp -a "$BATS_FILE_TMPDIR/tiny/." large/
	head -c 64M /dev/zero >large/zero
	guest sh -c "fallocate -l \$((\$(stat -f -c '%f * %S' /var) - (24 << 20))) $filler"
	run chroot_ import bad large
	expect 1 'o space'
	run chroot_ run tiny -- sh -c 'cat /dev/zero >/file'
	expect 1 'No space left'
	run chroot_ run tiny --save-as bad -- sh -c 'cat /dev/zero >/file'
	expect 1 'nothing was saved'
	content=$PWD/large make_mirror
	run chroot_ create bad --suite stable --variant extract --include probe --mirror "deb [trusted=yes] $mirror_url stable main" --no-cache
	guest rm -f $filler
	kill "$mirror_pid"
	expect 1 'space'
	same_remains "$before"
	chroot_ import again large
	chroot_ remove again
}

@test "an architecture whose proof has failed: create, run and shell say so, and begin nothing" {
	local before proof=0
	[ "$(uname -m)" = x86_64 ] || skip 'a CPU of this architecture may run it by itself'
	mkdir -p only/bin
	cp "$BATS_FILE_TMPDIR/tiny/bin/busybox" only/bin/
	chroot_ create foreign --from only --arch riscv64
	before=$(remains)
	# the entry that was made last is the one that counts
	guest sh -c 'sed "s|qemu-riscv64:|a-wrong-riscv64:|; s|:/usr/libexec/.*|:/bin/false:POCF|" /usr/lib/binfmt.d/qemu-riscv64.conf >/proc/sys/fs/binfmt_misc/register'
	initvm binfmt -n base test riscv64 >/dev/null 2>&1 || proof=$?
	run chroot_ create bad --arch riscv64
	echo "$output" >create
	run chroot_ shell foreign </dev/null
	echo "$output" >shell
	run chroot_ run foreign -- busybox true
	guest sh -c 'echo -1 >/proc/sys/fs/binfmt_misc/a-wrong-riscv64'
	initvm binfmt -n base test riscv64 >/dev/null
	expect 125 "programs for riscv64 cannot be executed in this VM: exit status 1 instead of exit status 42"
	[ "$proof" = 1 ]
	grep -q "programs for riscv64 cannot be executed in this VM" create
	grep -q "programs for riscv64 cannot be executed in this VM" shell
	same_remains "$before"
	chroot_ remove foreign
}
