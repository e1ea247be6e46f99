#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every runsc command against the real Sentry: states, statuses, texts, and what is left afterwards.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip runsc_real "needs root"; exit 0; }
need_packages jq busybox-static || { skip runsc_real "packages"; exit 0; }
work=$(mktemp -d /tmp/runsc_real.XXXXXX)
rt() { timeout -k 2 30 "$RUNSC" --root "$work/state" "$@"; }
cleanup() {
	for id in a b t p v d x u m; do rt delete --force $id > /dev/null 2>&1; done
	rm -rf "$work"
}
trap cleanup EXIT
make_busybox_rootfs "$work/rootfs"
mkdir -p "$work/vol"
check() { local name=$1; shift; if "$@" > "$work/log" 2>&1; then ok "runsc_real/$name"; else not_ok "runsc_real/$name" "$(tail -2 "$work/log" | tr '\n' ' ')"; fi; }
bundle() { make_bundle "$work/$1" "$work/rootfs" "${@:2}"; }

# run: output and status
bundle a /bin/sh -c 'echo out; echo err >&2; exit 42'
rt run --bundle "$work/a" a > "$work/o" 2> "$work/e" < /dev/null; st=$?
check run_status test $st -eq 42
check run_stdout grep -qx out "$work/o"
check run_stderr grep -qx err "$work/e"
# images link their logs there (nginx, httpd)
bundle a /bin/sh -c 'echo 1 > /dev/stdout; echo 2 > /dev/stderr; echo 3 >> /proc/self/fd/1; sh -c "echo 4 > /dev/stdout"; echo 5; true < /dev/stdout || echo 6'
rt run --bundle "$work/a" a < /dev/null 2> "$work/e" | tr '\n' ' ' > "$work/o"
check reopen_pipe grep -qx '1 3 4 5 6 ' "$work/o"
check reopen_file grep -qx 2 "$work/e"
rt run --bundle "$work/a" a < /dev/null > "$work/o" 2> /dev/null
check reopen_shares_position test "$(tr '\n' ' ' < "$work/o")" = '1 3 4 5 6 '
check run_leaves_nothing test -z "$(ls -A "$work/state" 2> /dev/null | grep -v '^lock$')"
bundle a /bin/sh -c 'sleep 5 & kill -TERM $!; wait $!'
rt run --bundle "$work/a" a < /dev/null > /dev/null 2>&1; check run_signal test $? -eq 143
bundle a /bin/cat
check run_stdin test "$(echo through | rt run --bundle "$work/a" a)" = through
# without any of the three descriptors, as from some daemons: the program has /dev/null for them (so it is with runc), never a file of ours
bundle a /bin/sh -c 'cat > /tmp/in && [ ! -s /tmp/in ] && echo out && echo err >&2 && [ "$(readlink /proc/$$/fd/0)$(readlink /proc/$$/fd/1)$(readlink /proc/$$/fd/2)" = /dev/null/dev/null/dev/null ] && exit 42'
rt --log "$work/closed.log" run --bundle "$work/a" a <&- >&- 2>&-; check run_without_stdio test $? -eq 42
rt --log "$work/closed.log" run --bundle "$work/none" a <&- >&- 2>&-; check fail_without_stdio test $? -eq 1
check fail_without_stdio_logged test "$(grep -c "error: bundle" "$work/closed.log")" = 1
bundle a /bin/sleep 100
rt create --bundle "$work/a" a <&- >&- 2>&-; rt start a <&- >&- 2>&-
rt exec a sh -c 'echo x && [ "$(readlink /proc/$$/fd/0)$(readlink /proc/$$/fd/1)$(readlink /proc/$$/fd/2)" = /dev/null/dev/null/dev/null ] && exit 43' <&- >&- 2>&-; check exec_without_stdio test $? -eq 43
rt delete --force a <&- >&- 2>&-; check delete_without_stdio test $? -eq 0
# linux.sysctl: what is the container's own takes effect, a file that no kernel has or a value that is none ends it, one that only Linux has does not
sysctl() { EXTRA_JQ=".linux.sysctl = $1" bundle a /bin/sh -c "cd /proc/sys; $2"; rt run --bundle "$work/a" a < /dev/null 2> "$work/e" > "$work/o"; }
sysctl '{"net.ipv4.ip_unprivileged_port_start": "80", "net/core/somaxconn": "77", "net.ipv4.conf.lo.forwarding": "1", "kernel.sem": "1 2 3",
	"kernel.msgmax": "9000", "fs.mqueue.msg_max": "11", "kernel.domainname": "dom", "kernel.shm_rmid_forced": "1", "net.ipv4.tcp_retrans_collapse": "1"}' \
	'cat net/ipv4/ip_unprivileged_port_start net/core/somaxconn net/ipv4/conf/lo/forwarding kernel/sem kernel/msgmax fs/mqueue/msg_max kernel/domainname kernel/shm_rmid_forced'
check sysctl_effect test "$(xargs < "$work/o")" = "80 77 1 1 2 3 32000 9000 11 dom 1"
sysctl '{"net.ipv4.bogus": "1"}' true; check sysctl_unknown test $? -eq 1 -a "$(cat "$work/e")" = 'sysctl net/ipv4/bogus = "1": No such file or directory'
sysctl '{"net.core.somaxconn": "many"}' true; check sysctl_invalid test $? -eq 1 -a "$(cat "$work/e")" = 'sysctl net/core/somaxconn = "many": Invalid argument'
sysctl '{"net.ipv4.ping_group_range": "0 0", "net.ipv4.ip_local_port_range": "50000 50001"}' 'cat net/ipv4/ping_group_range; nc -l -p 0 & sleep 0.3; netstat -ltn | sed -n "s/.*:\(5000.\) .*/\1/p"'
check sysctl_port_range grep -qx '5000[01]' "$work/o"
bundle a /no/such/program
rt run --bundle "$work/a" a < /dev/null > "$work/o" 2>&1; st=$?
check missing_program_status test $st -ne 0
check missing_program_text grep -qiE 'no such file or directory|executable file not found' "$work/o"

# a terminal that nobody reads until its program has ended: what the host had no room for comes, too
EXTRA_JQ='.process.terminal = true' bundle t /bin/sh -c 'i=0; while [ $i -lt 200 ]; do echo "$i 0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"; i=$((i+1)); done; echo end'
cat > "$work/late.py" <<-'P'
	import json, os, socket, subprocess, sys, time
	runsc, work = sys.argv[1:]
	rt = lambda *a: subprocess.run([runsc, '--root', work + '/state', *a], stdin=subprocess.DEVNULL, check=True, stdout=subprocess.PIPE).stdout
	srv = socket.socket(socket.AF_UNIX)
	srv.bind(work + '/tty')
	srv.listen(1)
	rt('create', '--bundle', work + '/t', '--console-socket', work + '/tty', 't')
	fd = socket.recv_fds(srv.accept()[0], 64, 1)[1][0]
	rt('start', 't')
	while json.loads(rt('state', 't'))['status'] != 'stopped':
	    time.sleep(0.02)
	out = b''
	try:
	    while data := os.read(fd, 65536):
	        out += data
	except OSError:  # EIO: the other end is closed
	    pass
	lines = out.decode().split()
	if lines[-1] != 'end' or len(lines) != 401:
	    sys.exit(f'{len(out)} bytes, the last are {out[-20:]}')
P
check terminal_output_after_the_end timeout 30 python3 "$work/late.py" "$RUNSC" "$work"
rt delete --force t > /dev/null 2>&1

# create, state, start, exec, ps, pause, kill, wait, delete
bundle b /bin/sh -c 'trap "exit 7" TERM; echo up > /ready; while :; do sleep 1 & wait $!; done'
rt create --bundle "$work/b" --pid-file "$work/pid" b < /dev/null > /dev/null 2>&1
check create_state test "$(rt state b | jq -r .status)" = created
check create_pid kill -0 "$(cat "$work/pid")"
rt start b
check start_state test "$(rt state b | jq -r .status)" = running
for _ in $(seq 50); do rt exec b test -e /ready && break; sleep 0.1; done
check exec_status bash -c "$(declare -f rt); RUNSC=$RUNSC work=$work; rt exec b sh -c 'exit 9'; test \$? -eq 9"
check exec_env test "$(rt exec --env X=5 --cwd /tmp b sh -c 'echo $X $PWD')" = "5 /tmp"
check exec_user test "$(rt exec --user 65534:65534 b id -u)" = 65534
check exec_missing bash -c "$(declare -f rt); RUNSC=$RUNSC work=$work; ! rt exec b /nope"
check ps_json bash -c "test \$('$RUNSC' --root '$work/state' ps --format json b | jq length) -ge 1"
check ps_start bash -c "w=\$('$RUNSC' --root '$work/state' ps b | awk 'NR == 2 { print \$6 }'); for m in 0 1 2; do [ \"\$w\" = \"\$(date -d \"-\$m min\" +%H:%M)\" ] && exit 0; done; exit 1"
# options for ps(1): pids of the host, only the container's own
rt exec --detach b sleep 777 < /dev/null > /dev/null 2>&1
rt ps b -o ppid,pid,args > "$work/o"
check ps_host test "$(head -1 "$work/o" | xargs)" = "PPID PID COMMAND" -a "$(grep -c 'sleep 777' "$work/o")" = 1 -a "$(grep -c '/bin/sh -c trap' "$work/o")" -ge 1
check ps_host_pids test -n "$(comm -12 <(rt ps b -ef | awk 'NR > 1 && /sleep 777/ { print $2 }') <(rt ps -f json b | jq '.[]' | sort))" -a -z "$(rt ps b -ef | grep 'runsc\|kthreadd')"
rt ps b -o comm > /dev/null 2> "$work/e"; check ps_no_pid test $? -eq 1 -a "$(cat "$work/e")" = "couldn't find PID field in ps output"
rt ps b --nonsense > /dev/null 2> "$work/e"; check ps_bad_option test $? -eq 1 -a -n "$(grep -x 'ps: exit status 1: error: .*' "$work/e")"
rt ps -f xml b > /dev/null 2> "$work/e"; check ps_bad_format test $? -eq 1 -a "$(cat "$work/e")" = "invalid format option: xml"
check list_has test "$(rt list --quiet)" = b
check events bash -c "'$RUNSC' --root '$work/state' events --stats b | jq -e '.type == \"stats\" and .data.memory.usage.usage > 0'"
rt pause b
check paused_state test "$(rt state b | jq -r .status)" = paused
a=$(rt ps --format json b > /dev/null; cat /proc/"$(cat "$work/pid")"/stat 2> /dev/null | wc -l)
rt resume b
check resumed_state test "$(rt state b | jq -r .status)" = running
check delete_running bash -c "! '$RUNSC' --root '$work/state' delete b"
rt kill b TERM
check wait_status test "$(rt wait b | jq .exitStatus)" = 7
check stopped_state test "$(rt state b | jq -r .status)" = stopped
check delete_stopped rt delete b
check delete_force_unknown rt delete --force nobody
check state_unknown bash -c "! '$RUNSC' --root '$work/state' state nobody"

# a terminal: job control, window size, ^C
EXTRA_JQ='.process.terminal = true' bundle t /bin/sh
check terminal python3 - "$RUNSC" "$work" <<'PY'
import os, pty, select, struct, fcntl, termios, sys, time
runsc, work = sys.argv[1:]
pid, fd = pty.fork()
if pid == 0:
    os.execv(runsc, [runsc, '--root', work + '/state', 'run', '--bundle', work + '/t', 't'])
buf = b''
def until(what, secs=10):
    global buf
    end = time.time() + secs
    while what not in buf:
        assert time.time() < end, (what, buf)
        if select.select([fd], [], [], 0.2)[0]:
            buf += os.read(fd, 4096)
    buf = buf[buf.index(what) + len(what):]
until(b'#')
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 33, 101, 0, 0))
time.sleep(0.5)
os.write(fd, b'stty size; echo $((6*7)); tty\n'); until(b'33 101'); until(b'42'); until(b'/dev/pts/')
os.write(fd, b'sleep 1000\n'); time.sleep(0.5); os.write(fd, b'\x03'); os.write(fd, b'echo back $?\n'); until(b'back 130')
os.write(fd, b'exit 5\n')
end = time.time() + 10
while True:
    p, st = os.waitpid(pid, os.WNOHANG)
    if p: break
    assert time.time() < end
    if select.select([fd], [], [], 0.1)[0]:
        try: os.read(fd, 4096)
        except OSError: pass
assert os.waitstatus_to_exitcode(st) == 5, st
PY
# what was typed before the container ran reaches it (runc's terminal keeps it too)
check typed_ahead bash -c "printf 'echo ahead; exit 4\\n' | timeout 60 script -qec \"'$RUNSC' --root '$work/state' run --bundle '$work/t' ta\" /dev/null > '$work/ta.out'; [ \$? -eq 4 ] && grep -q '^ahead' '$work/ta.out'"

# mounts: a volume both ways, read-only root, tmpfs
EXTRA_JQ='.mounts += [{destination: "/vol", type: "bind", source: "'"$work/vol"'", options: ["rbind","rw"]}, {destination: "/ro", type: "bind", source: "'"$work/vol"'", options: ["rbind","ro"]}]' \
	bundle v /bin/sh -c 'cat /vol/in; echo fromguest > /vol/out; echo x > /ro/y && exit 3; cat /ro/in; ln -s /etc/passwd /vol/link; exit 0'
echo fromhost > "$work/vol/in"
check volume test "$(rt run --bundle "$work/v" v 2> /dev/null < /dev/null | tr '\n' ' ')" = "fromhost fromhost "
check volume_write grep -qx fromguest "$work/vol/out"
EXTRA_JQ='.root.readonly = true' bundle p /bin/sh -c 'echo x > /newfile && exit 3; echo y > /tmp/f && cat /tmp/f'
check readonly_root test "$(rt run --bundle "$work/p" p 2> /dev/null < /dev/null)" = y
# a directory of many pages on a volume ends (ext4 gives the last entry the highest position there is)
mkdir "$work/vol/many"; (cd "$work/vol/many" && seq 1500 | xargs touch)
EXTRA_JQ='.mounts += [{destination: "/vol", type: "bind", source: "'"$work/vol"'", options: ["rbind","rw"]}]' \
	bundle v /bin/sh -c 'ls /vol/many | head -n 100000 | sort -u | wc -l; ls -a /vol/many | head -n 100000 | wc -l; rm -r /vol/many; test ! -e /vol/many && echo gone'
check volume_long_directory test "$(rt run --bundle "$work/v" v 2> /dev/null < /dev/null | tr '\n' ' ')" = "1500 1502 gone "
check rootfs_untouched test ! -e "$work/rootfs/ready"

# devices of the configuration; what is read-only in memory is so only after all that lies below it was made
EXTRA_JQ='.mounts[1].options += ["ro"] | .mounts += [{destination: "/rt", type: "tmpfs", source: "t", options: ["ro"]}, {destination: "/rt/a/b", type: "tmpfs", source: "t"}] |
	.linux.devices = [{path: "/dev/nul", type: "c", major: 1, minor: 3, fileMode: 416, uid: 1, gid: 2}, {path: "/dev/dri/card0", type: "c", major: 226, minor: 0},
		{path: "/dev/pipe", type: "p"}, {path: "/dev/null", type: "c", major: 1, minor: 3}]' \
	bundle d /bin/sh -c 'stat -c "%F %a %u %g %t,%T" /dev/nul /dev/dri/card0 /dev/pipe; echo x > /dev/nul && cat /dev/nul; touch /dev/new 2> /dev/null || echo ro
	touch /rt/new 2> /dev/null || echo ro; touch /rt/a/b/new /dev/shm/new && echo rw; echo > /dev/dri/card0'
check devices test "$(rt run --bundle "$work/d" d 2> "$work/e" < /dev/null | tr '\n' ';')" = \
	'character special file 640 1 2 1,3;character special file 666 0 0 e2,0;fifo 666 0 0 0,0;ro;ro;rw;'
check device_without_driver grep -q 'No such device or address' "$work/e"

# exec: the options' effect, and what it says when it cannot
bundle x /bin/sleep 1000
rt run --detach --bundle "$work/x" x < /dev/null > /dev/null 2>&1
says() { local want=$1; shift; rt exec "$@" < /dev/null > /dev/null 2> "$work/e"; [ $? -eq 255 ] && grep -qF -- "$want" "$work/e"; }
check exec_cwd_missing says 'chdir to cwd ("/no") set in config.json failed: no such file or directory' --cwd /no x pwd
check exec_cwd_file says 'chdir to cwd ("/etc/passwd") set in config.json failed: not a directory' --cwd /etc/passwd x pwd
check exec_below_file says 'stat /bin/sh/x: not a directory' x /bin/sh/x
check exec_no_new_privs test "$(rt exec --no-new-privs x grep NoNewPrivs /proc/self/status | tr -d '\t')" = NoNewPrivs:1
caps() { rt exec "$@" x grep Cap /proc/self/status 2> /dev/null | cut -f2 | cut -c9- | tr '\n' ' '; }
bounding=$(caps | cut -d' ' -f4)
check exec_cap test "$(caps --cap CAP_SYS_ADMIN)" = "$(printf '00000000 %08x %08x %08x 00000000 ' $((0x$bounding | 0x200000)){,,})"
check exec_cap_user test "$(caps --user 1000 --cap CAP_SYS_ADMIN)" = "$(printf '00000000 00000000 00000000 %08x 00000000 ' $((0x$bounding | 0x200000)))"
check exec_cap_unknown rt exec --cap CAP_NONESUCH x true
rt pause x
check exec_paused says 'cannot exec in a paused container' x true
(sleep 1; rt resume x) &
check exec_ignore_paused rt exec --ignore-paused x true
wait $!

# a user namespace of its own: what it writes to a volume belongs to the mapped ids on the host
mkdir "$work/mapped" && chown 100000:100000 "$work/mapped" && chmod 711 "$work"
EXTRA_JQ='.linux |= (.namespaces += [{type: "user"}] | .uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .gidMappings = .uidMappings) |
	.mounts += [{destination: "/vol", type: "bind", source: "'"$work/mapped"'", options: ["bind", "rw"]}]' \
	bundle u /bin/sh -c 'id -u; touch /vol/root; su nobody -s /bin/sh -c "id -u; touch /vol/no"; chown 5:6 /vol/root; stat -c "%u:%g" /vol /vol/root; sleep 1000'
rt run --detach --bundle "$work/u" u < /dev/null > "$work/o" 2>&1
for _ in $(seq 100); do [ "$(wc -l < "$work/o")" -ge 4 ] && break; sleep 0.1; done
check userns_inside test "$(grep -v denied "$work/o" | tr '\n' ' ')" = '0 65534 0:0 5:6 '
check userns_host test "$(stat -c %u:%g "$work/mapped/root")" = 100005:100006 -a ! -e "$work/mapped/no"
check userns_exec test "$(rt exec --user 7 u id -u)" = 7
rt kill u KILL
check userns_status test "$(rt wait u | jq .exitStatus)" = 137
check userns_delete rt delete u

# a memory limit that nothing can start with
for limit in 1 1048576; do
	EXTRA_JQ=".linux.resources = {memory: {limit: $limit}}" bundle m /bin/true
	rt run --bundle "$work/m" m < /dev/null > "$work/o" 2>&1
	check memory_limit_$limit test $? -eq 1 -a "$(grep -c 'too low' "$work/o")" -eq 1 -a ! -e "$work/state/m"
done
# a low one: it starts or says why not, and a program that wants more is killed, as with runc
EXTRA_JQ=".linux.resources = {memory: {limit: 4194304}}" bundle m /bin/sh -c 'exit 3'
rt run --bundle "$work/m" m < /dev/null > "$work/o" 2>&1; st=$?
check memory_limit_low test $st -eq 3 -o "$st $(grep -c 'too low' "$work/o")" = "1 1"
EXTRA_JQ=".linux.resources = {memory: {limit: 8388608}}" bundle m /bin/sh -c 'x=$(yes | head -c 60000000); exit 3'
rt run --bundle "$work/m" m < /dev/null > "$work/o" 2>&1; check memory_limit_reached test $? -eq 137 -a ! -e "$work/state/m"
# paths of the configuration below /sys/class/net are walked at boot, when no task is there whose network it would show
EXTRA_JQ='.linux.maskedPaths = ["/sys/class/net/lo", "/sys/firmware"] | .linux.readonlyPaths = ["/sys/devices/virtual/net/lo/mtu"]' bundle m /bin/ls /sys/class/net
rt run --bundle "$work/m" m < /dev/null > "$work/o" 2>&1; check masked_net test $? -eq 0 -a "$(cat "$work/o")" = lo
