#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Build jobs as the guest keeps them: the agent's own program with --job, as the daemon calls it.

load ../lib/vm

agent=/usr/lib/initvm/initvm-agent
jobs=/var/lib/initvm/jobs

setup_file() {
	need_base
	guest sh -c 'systemctl stop "initvm-job-*.service"; rm -rf /var/lib/initvm/jobs /var/lib/initvm/chroots'
	make_tiny "$BATS_FILE_TMPDIR/tiny"
	chroot_ create tiny --from "$BATS_FILE_TMPDIR/tiny"
}

teardown_file() {
	guest sh -c 'systemctl stop "initvm-job-*.service"; rm -rf /var/lib/initvm/jobs'
	chroot_ remove tiny
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
}

# The token of job $1 in these tests.
token() { printf '%032x' "$1"; }

# job COMMAND ID [ARGUMENT...]
job() {
	local command=$1 id=$2
	shift 2
	guest "$agent" --job "$command" "$id" "$(token "$id")" "$@"
}

# Makes and starts job $1 of the description $2.
submit() {
	job create "$1" <<<"$2"
	job start "$1"
}

# Member of the result of job $1: `result_of 1 status`.
result_of() { job status "$1" | json "result.$2"; }

# Job $1 of the description $2 ends with the result $3, the status $4 and a message with $5; its log is in `log`.
ends() {
	local status
	submit "$1" "$2"
	job follow "$1" 0 >log 2>reports || cat reports
	status=$(job status "$1")
	if [ "$(json result.result <<<"$status") $(json result.status <<<"$status")" != "$3 $4" ] || [[ $status != *"${5:-}"* ]]; then
		printf 'not %s %s %s: %s\n' "$3" "$4" "${5:-}" "$status"
		cat log
		return 1
	fi
}

# Nothing of the jobs runs any more, and no unit of them is known.
none_left() {
	[ -z "$(guest systemctl list-units --all --plain --no-legend 'initvm-job-*')" ] && ! guest pgrep -f '[-]-job-main|sleep 100[0-9]' >/dev/null
}

@test "what a job writes, when it wrote it, how it ended and what it used; a command that comes again does no harm" {
	local spec='{"command": ["sh", "-c", "echo one; sleep 1; echo two >&2; pwd; touch made; exit 3"]}'
	[ "$(job status 1)" = '{"state":"absent"}' ]
	job create 1 <<<"$spec"
	job create 1 <<<"$spec"
	[ "$(job status 1)" = '{"state":"created","log":0}' ]
	job start 1
	job start 1
	job follow 1 0 >log
	[ "$(cat log)" = "one
two
$jobs/1/work" ]
	job start 1
	[ "$(job follow 1 4)" = "$(tail -c +5 log)" ]
	[ "$(job status 1 | json state)" = ended ]
	[ "$(result_of 1 result) $(result_of 1 status)" = 'exited 3' ]
	[ "$(result_of 1 stats.wall)" -ge 1000 ]
	[ "$(result_of 1 stats.cpu)" -gt 0 ]
	[ "$(result_of 1 stats.memoryPeak)" -gt 0 ]
	[ "$(result_of 1 stats.disk)" -gt 0 ]
	job times 1 | awk '{ at[NR] = $1; ms[NR] = $2 } END { exit !(at[1] == 0 && at[2] == 4 && ms[2] - ms[1] >= 900) }'
	[ "$(guest "$agent" --job list | json token)" = "$(token 1)" ]
	job cancel 1
	[ "$(result_of 1 result)" = exited ]
	run guest "$agent" --job follow 1 "$(token 2)" 0
	expect 1 'there is no job 1'
	guest "$agent" --job remove 1 "$(token 2)"
	[ "$(job status 1 | json state)" = ended ]
	job remove 1
	job remove 1
	# What is left when the machine is switched off before a job's files have reached the disk.
	guest sh -c "mkdir -p $jobs/2/work $jobs/3/work; : >$jobs/2/spec.json"
	job remove 2
	guest "$agent" --job list
	[ -z "$(guest ls "$jobs")" ]
	[ "$(job status 1)" = '{"state":"absent"}' ]
	[ -z "$(guest ls -A "$jobs")" ]
}

@test "each way to end has a result of its own" {
	ends 10 '{"command": ["true"]}' exited 0 'succeeded'
	ends 11 '{"command": ["sh", "-c", "kill -USR1 $$"]}' signaled 10
	ends 12 '{"command": ["nosuchcommand"]}' no-command 0 "'nosuchcommand' was not found in the VM"
	ends 13 '{"command": ["/etc/passwd"]}' not-executable 0
	ends 14 '{"command": ["true"], "user": "nosuchuser"}' chroot 0 "no user 'nosuchuser'"
	ends 15 '{"command": ["sleep", "1001"], "limits": {"timeout": 1500}}' timeout 0 'within 1.500 s'
	ends 16 '{"script": "for i in 1 2 3 4; do echo $i; sleep 0.7; done; sleep 1002", "limits": {"silenceTimeout": 2000}}' silence 0 'for 2 s'
	[ "$(tr '\n' ' ' <log)" = '1 2 3 4 ' ]
	ends 17 '{"command": ["tail", "/dev/zero"], "limits": {"memory": 30000000}}' oom 0 'raise it with --memory'
	ends 18 '{"script": "trap \"echo told; exit 5\" TERM; sleep 1003 & wait", "limits": {"timeout": 1000}}' timeout 5
	[ "$(cat log)" = told ]
	ends 19 '{"script": "dd if=/dev/zero of=/dev/full count=1"}' disk-full 1 'disk is full'
	none_left
}

@test "one that is cancelled ends, also when it does not want to; one that has not begun never does" {
	submit 20 '{"script": "trap \"\" TERM; echo ready; sleep 1004; sleep 1004"}'
	initvm exec -n base -- "$agent" --job follow 20 "$(token 20)" 0 >log 3>&- &
	wait_line log ready
	SECONDS=0
	job cancel 20
	[ "$SECONDS" -ge 9 ]
	wait $!
	[ "$(result_of 20 result)" = cancelled ]
	job create 21 <<<'{"command": ["true"]}'
	job cancel 21
	job cancel 21
	job start 21
	[ "$(result_of 21 result)" = cancelled ]
	job follow 21 0 >log
	[ ! -s log ]
	none_left
}

@test "user, variables, script and CPU limit; without a network there is a loopback; what is left running ends" {
	ends 30 '{"script": "id -un; echo $A; touch own; sleep 1005 &", "user": "nobody", "environment": {"A": "b c"}}' exited 0
	[ "$(cat log)" = "nobody
b c" ]
	none_left
	ends 31 '{"command": ["sed", "-n", "s/^ *\\([a-z0-9]*\\):.*/\\1/p", "/proc/net/dev"], "network": false}' exited 0
	[ "$(cat log)" = lo ]
	submit 32 '{"command": ["sh", "-c", "echo ready; sleep 1006"], "limits": {"cpus": 0.5}}'
	[ "$(guest systemctl show -P CPUQuotaPerSecUSec initvm-job-32)" = 500ms ]
	job cancel 32
}

@test "a log is cut at its limit, with its end behind the mark; a slow reader gets all of it" {
	ends 40 '{"script": "seq 1 200000", "limits": {"log": 100000}}' exited 0
	[ "$(result_of 40 logCut)" = true ]
	head -c 100000 log | cmp - <(seq 1 200000 | head -c 100000)
	tail -c 65536 log | cmp - <(seq 1 200000 | tail -c 65536)
	grep -q '^initvm: the log is cut here, at its limit of' log
	grep -q '^initvm: [0-9]* bytes are left out here' log
	[ "$(wc -c <log)" -lt 166000 ]
	submit 41 '{"script": "seq 1 500000"}'
	cmp <(job follow 41 0) <(seq 1 500000)
}

@test "the keeper is killed: a result that says so, and nothing is left" {
	submit 50 '{"script": "echo ready; sleep 1007 & sleep 1008"}'
	initvm exec -n base -- "$agent" --job follow 50 "$(token 50)" 0 >log 3>&- &
	wait_line log ready
	guest pkill -KILL -f -- '--job-main 50'
	wait $!
	[ "$(result_of 50 result)" = machine ]
	[[ $(result_of 50 message) == *KILL* ]]
	within 20 none_left
}

@test "the agent is killed: the job goes on, and its log is there to the last byte" {
	submit 51 '{"script": "for i in $(seq 1 30); do echo $i; sleep 0.1; done"}'
	guest sh -c 'kill -KILL "$(systemctl show -P MainPID initvm-agent)"' || true
	within 60 guest true
	cmp <(job follow 51 0) <(seq 1 30)
	[ "$(result_of 51 result)" = exited ]
}

stopped() { [ "$(vm_get base state)" = stopped ]; }

@test "a job whose machine was switched off is lost, one that had not begun is made anew" {
	submit 52 '{"command": ["sleep", "1009"]}'
	job create 53 <<<'{"command": ["true"]}'
	guest sync
	qemu=$(vm_get base pid)
	kill -KILL "$qemu"
	within 60 stopped
	initvm ensure -n base
	[ "$(job status 52 | json state)" = lost ]
	[[ $(job status 52 | json reason) == *'started anew'* ]]
	run job follow 52 0
	expect 1
	[ "$(job status 53)" = '{"state":"absent"}' ]
	job create 53 <<<'{"command": ["true"]}'
	[ "$(job status 53 | json state)" = created ]
	job remove 52
	job remove 53
}

@test "in a chroot: inputs, what the command makes of them, artifacts with their checksums" {
	mkdir -p in/folder
	head -c 300000 /dev/urandom >in/random
	echo text >in/folder/file
	{
		echo '{"script": "mkdir -p out/sub; busybox cp random folder/file out/sub; pwd; id -u; ls -ln random >listed",
			"chroot": "tiny", "user": "eve", "inputs": true, "artifacts": ["out", "l*d"]}' | tr '\n\t' '  '
		echo
		tar -C in -cf - .
	} >stream
	initvm exec -n base -- "$agent" --job create 70 "$(token 70)" <stream
	job start 70
	[ "$(job follow 70 0)" = "/work
1000" ]
	[ "$(result_of 70 result) $(result_of 70 status)" = 'exited 0' ]
	job artifacts 70 >artifacts.tar 2>reports
	mkdir got
	tar --warning=no-unknown-keyword -C got -xf artifacts.tar
	cmp got/out/sub/random in/random
	grep -q ' 1000 ' got/listed
	[ "$(sed 's/.*"name":"\([^"]*\)","size":\([0-9]*\),"sha256":"\([^"]*\)".*/\3  \1/' reports | sort)" = \
		"$(cd got && sha256sum listed out/sub/file out/sub/random | sort)" ]
	job create 71 <<<'{"command": ["true"], "artifacts": ["*.deb"]}'
	run job artifacts 71
	expect 1 "'*.deb' matches nothing"
	job artifacts 71 --allow-empty | tar -t
}

@test "in a chroot: each way to end; nobody sees what another one changed; nothing is left" {
	local before
	before=$(remains)
	ends 80 '{"script": "echo changed >/etc/state; cat /etc/state; exit 3", "chroot": "tiny"}' exited 3
	ends 81 '{"script": "cat /etc/state; kill -9 $$", "chroot": "tiny"}' signaled 9
	[ "$(cat log)" = old ]
	ends 82 '{"command": ["nosuchcommand"], "chroot": "tiny"}' no-command 0 'was not found in the chroot'
	ends 83 '{"command": ["true"], "chroot": "nosuchchroot"}' chroot 0 "no chroot 'nosuchchroot'"
	ends 84 '{"script": "trap \"echo told; exit 5\" TERM; sleep 1003 & wait", "chroot": "tiny", "limits": {"timeout": 4000}}' timeout 5
	[ "$(cat log)" = told ]
	ends 85 '{"command": ["sleep", "1001"], "chroot": "tiny", "limits": {"silenceTimeout": 3000}}' silence 0
	ends 86 '{"command": ["tail", "-c", "1000000000", "/dev/zero"], "chroot": "tiny", "limits": {"memory": 40000000}}' oom 0
	ends 87 '{"script": "ifconfig -a | sed -n \"s/ *Link.*//p\"", "chroot": "tiny", "network": false}' exited 0
	[ "$(cat log)" = lo ]
	ends 88 '{"script": "echo $A; sleep 1005 &", "chroot": "tiny", "environment": {"A": "b"}}' exited 0
	submit 89 '{"script": "echo ready; sleep 1004", "chroot": "tiny"}'
	initvm exec -n base -- "$agent" --job follow 89 "$(token 89)" 0 >log 3>&- &
	wait_line log ready
	run chroot_ remove tiny
	expect 1 "in use by 'job 89'"
	job cancel 89
	wait $!
	[ "$(result_of 89 result)" = cancelled ]
	within 20 none_left
	same_remains "$before"
}

@test "four at the same time in one chroot: each sees its own changes" {
	local id
	for id in 121 122 123 124; do
		job create "$id" <<<'{"script": "echo $ID >/etc/state; echo $ID >file; sleep 3; cat /etc/state file", "chroot": "tiny", "environment": {"ID": "'"$id"'"}}'
	done
	for id in 121 122 123 124; do
		initvm exec -n base -- "$agent" --job start "$id" "$(token "$id")" 3>&- &
		pids[id]=$!
	done
	for id in 121 122 123 124; do
		wait "${pids[id]}"
		[ "$(job follow "$id" 0 2>/dev/null | tr '\n' ' ')" = "$id $id " ]
		[ "$(result_of "$id" result)" = exited ]
	done
}

@test "what a job takes on the disk is limited: its workspace, and in a chroot everything that it changes" {
	ends 110 '{"script": "head -c 20000000 /dev/zero >big", "limits": {"disk": 10000000}}' disk-full 1 'raise it with --disk'
	[ "$(guest du -sk "$jobs/110/work" | cut -f 1)" -le 9800 ]
	ends 111 '{"script": "cd /root; busybox dd if=/dev/zero of=big bs=1000 count=20000", "chroot": "tiny", "limits": {"disk": 10000000}}' disk-full 1
	ends 112 '{"script": "busybox dd if=/dev/zero of=big bs=1000 count=6000; cd /root; busybox dd if=/dev/zero of=big bs=1000 count=6000", "chroot": "tiny", "limits": {"disk": 10000000}}' disk-full 1
	ends 113 '{"script": "busybox dd if=/dev/zero of=/root/big bs=1000 count=8000", "chroot": "tiny", "limits": {"disk": 10000000}}' exited 0
	job remove 110
	ends 110 '{"script": "head -c 20000000 /dev/zero >big"}' exited 0
}

@test "a shell in the kept workspace, and in the same chroot" {
	ends 90 '{"script": "echo kept >file", "chroot": "tiny", "user": "eve", "environment": {"A": "b"}}' exited 0
	run job run 90 -- sh -c 'pwd; cat file; id -u; echo $A; exit 7'
	expect 7
	[ "${lines[*]}" = '/work kept 1000 b' ]
	run job run 90 <<<'cat file'
	expect 0 kept
	run "$TREE/tests/lib/terminal.py" raw 'expect:/work [$#] ' 'send:stty size; exit 3\r' 'expect:24 80' status:3 restored -- \
		initvm exec -t -n base -- "$agent" --job run 90 "$(token 90)" --terminal
	expect 0
	run -127 job run 90 -- nosuchcommand
	expect 127
}

@test "in a chroot, whoever of its keepers is killed: a true result, and nothing is left" {
	local before victim id=100
	before=$(remains)
	for victim in keeper runner first nspawn; do
		id=$((id + 1))
		submit "$id" '{"script": "echo ready; sleep 1007 & sleep 1008", "chroot": "tiny"}'
		initvm exec -n base -- "$agent" --job follow "$id" "$(token "$id")" 0 >"log.$victim" 3>&- &
		wait_line "log.$victim" ready
		echo "victim: $victim"
		guest sh -c '
			keeper=$(pgrep -f -- "--job-main '"$id"'$" | head -n 1)
			runner=$(pgrep -P "$keeper")
			first=$(pgrep -P "$runner")
			nspawn=$(pgrep -P "$first")
			kill -KILL "$'"$victim"'"'
		wait $!
		case $victim in
		keeper | runner) [ "$(result_of "$id" result)" = machine ] ;;
		*) [ "$(result_of "$id" result)" = chroot ] ;;
		esac
		within 20 none_left
	done
	chroot_ list >/dev/null
	same_remains "$before"
}

@test "bad calls and descriptions are refused in one sentence" {
	run job create 60 <<<'{"command": ["true"], "limits": {"memory": "1G"}}'
	expect 2 "'limits'"
	run job create 60 <<<'{"command": ["true"], "script": "true"}'
	expect 2 "one of 'command', 'script' and 'package'"
	run job create 60 <<<'{"command": ["true"], "packages": ["hello"]}'
	expect 2 "needs a 'chroot'"
	run job create 60 <<<'nonsense'
	expect 2 'description'
	run job create 60 </dev/null
	expect 3 'broke off'
	run guest "$agent" --job status ../1 "$(token 60)"
	expect 2 'decimal number'
	run guest "$agent" --job status 60 1234
	expect 2 'hexadecimal digits'
	run guest "$agent" --job nosuch
	expect 1 "does not know '--job nosuch'"
	[ "$(job status 60)" = '{"state":"absent"}' ]
	[ -z "$(guest ls -A "$jobs" | grep -e new)" ]
}
