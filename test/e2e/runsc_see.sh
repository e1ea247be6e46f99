#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Seeing what happens: --strace, runsc debug, metrics.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip runsc_see "needs root"; exit 0; }
need_packages jq busybox-static python3 || { skip runsc_see "packages"; exit 0; }
work=$(mktemp -d /tmp/runsc_see.XXXXXX)
server=
rt() { timeout -k 2 30 "$RUNSC" --root "$work/state" "$@"; }
cleanup() {
	[ -n "$server" ] && kill "$server" 2> /dev/null
	for id in t l; do rt delete --force $id > /dev/null 2>&1; done
	rm -rf "$work"
}
trap cleanup EXIT
make_busybox_rootfs "$work/rootfs"
check() { local name=$1; shift; if "$@" > "$work/log" 2>&1; then ok "runsc_see/$name"; else not_ok "runsc_see/$name" "$(tail -2 "$work/log" | tr '\n' ' ')"; fi; }
bundle() { make_bundle "$work/$1" "$work/rootfs" "${@:2}"; }
has() { grep -qE -- "$1" "$work/trace"; }
trace() { # trace FLAGS... -- ARGV...: runs and leaves the trace
	local flags=()
	while [ "$1" != -- ]; do flags+=("$1"); shift; done
	shift
	bundle t "$@"
	rm -f "$work/trace"
	rt --debug-log="$work/trace" --strace "${flags[@]}" run --bundle "$work/t" t < /dev/null > /dev/null 2>&1
}

# lines as strace(1) writes them
trace -- /bin/sh -c 'cat /etc/hostname > /tmp/y; ls /nonexist; cat < /dev/null | wc; kill -USR1 $$'
check strace_open has 'cat: openat\(AT_FDCWD, "/etc/hostname", O_RDONLY\) = 3 <[0-9]+\.[0-9]{6}>$'
check strace_create has 'sh: openat\(AT_FDCWD, "/tmp/y", O_WRONLY\|O_CREAT\|O_TRUNC, 0666\) = 3'
check strace_errno has 'ls: (newfstatat\(AT_FDCWD|lstat\(|statx\(AT_FDCWD)[, ]*"/nonexist".* = -1 ENOENT \(No such file or directory\)'
check strace_execve has 'execve\("[^"]+", \["wc"\], 0x[0-9a-f]+\)$'
check strace_wait has 'wait4\(-1, \[\{WIFEXITED\(s\) && WEXITSTATUS\(s\) == 1\}\], 0, NULL\) = [0-9]+'
check strace_data has 'read\(0<pipe:\[[0-9]+\]>, "", [0-9]+\) = 0'
check strace_pipe has 'pipe2?\(\[[0-9]+, [0-9]+\]'
check strace_clone has '(clone\(.*SIGCHLD|fork\(|vfork\()'
check strace_kill has 'kill\(1, SIGUSR1\) = 0'
check strace_exit has 'exit_group\(0\)$'
check strace_stub_calls has 'getpid\(\) = [0-9]+'
trace --strace-syscalls=openat,mkdir --strace-log-size=4 -- /bin/sh -c 'mkdir /tmp/longname; cat /etc/hostname'
check strace_filter_has has 'mkdir\("/tmp"\.\.\., 0777\) = 0'
check strace_filter_only bash -c "! grep -E 'read\(|wait4\(|execve\(' '$work/trace'"
bundle t /bin/true
check strace_bad_name bash -c "! '$RUNSC' --root '$work/state' --debug-log='$work/trace' --strace --strace-syscalls=nosuchcall run --bundle '$work/t' t"
rm -f "$work/trace"
rt --debug-log="$work/trace" run --bundle "$work/t" t < /dev/null > /dev/null 2>&1
check no_strace_no_lines bash -c "! grep -E 'execve|brk' '$work/trace'"

# debug, while it runs
cat > "$work/rootfs/loop" <<'EOF'
#!/bin/sh
while :; do cat /etc/passwd > /tmp/x; usleep 50000; done
EOF
chmod +x "$work/rootfs/loop"
rm -f "$work/trace"
bundle l /loop
rt --debug-log="$work/trace" run --detach --bundle "$work/l" l < /dev/null > /dev/null 2>&1
for _ in $(seq 100); do rt debug --show=syscalls l 2> /dev/null | grep -q sendfile && break; sleep 0.1; done
check debug_dmesg bash -c "'$RUNSC' --root '$work/state' debug --show=dmesg l | grep -q 'Starting gVisor'"
calls=$(rt debug --show=counters l | sed -n 's/^host calls allowed: //p')
check debug_host_calls test "${calls:-999}" -lt 80 -a "${calls:-0}" -gt 20
check debug_host_calls_as_listed test "$calls" = "$("$RUNSC" boot --list-host-calls | sed -n 's/^\([0-9]*\) calls, .*/\1/p' | head -1)"
count() { rt debug --show=syscalls l | awk -v c="$1" '$3 == c { print $1 }'; }
a=$(count openat); sleep 1; b=$(count openat)
check debug_counts_grow test "$b" -gt "$a"
check debug_tasks bash -c "'$RUNSC' --root '$work/state' debug --stacks l | grep -qE '^ +1 +1 [SR] loop .*(wait4|waitid|clone|fork)?'"
check debug_unknown bash -c "! '$RUNSC' --root '$work/state' debug --show=nonsense l"
check debug_strace_on rt debug --strace=openat l
for _ in $(seq 100); do grep -q 'openat(' "$work/trace" && break; sleep 0.1; done
check debug_strace_lines has 'cat: openat\(AT_FDCWD, "/etc/passwd", O_RDONLY\) = 3'
check debug_strace_only bash -c "! grep -E 'execve\(|sendfile\(' '$work/trace'"
rt debug --strace=off l; sleep 0.5; a=$(wc -l < "$work/trace"); sleep 0.5
check debug_strace_off test "$(wc -l < "$work/trace")" -eq "$a"
check debug_log_level rt debug --log-level=debug l
check debug_bad_level bash -c "! '$RUNSC' --root '$work/state' debug --log-level=loud l"

# memory, and the table of calls
check usage_total bash -c "'$RUNSC' --root '$work/state' usage l | jq -e '.Total > 0'"
check usage_full bash -c "'$RUNSC' --root '$work/state' usage --full l | jq -e '.Anonymous + .PageCache + .Unknown == .Total'"
check syscalls_table bash -c "'$RUNSC' syscalls | grep -qE '^ *257 +openat +full'"
check syscalls_csv bash -c "'$RUNSC' syscalls --format=csv | grep -q '^0,read,full,'"

# metrics: one exposition that a parser takes, and that counts
cat > "$work/parse.py" <<'EOF'
import re, sys
types, seen, done, values = {}, set(), set(), {}
last = None
for line in sys.stdin.read().splitlines():
    if line.startswith('# TYPE '):
        _, _, name, kind = line.split(' ')
        assert name not in types and kind in ('counter', 'gauge'), line
        types[name] = kind
    elif not line.startswith('# HELP '):
        m = re.fullmatch(r'([a-z_][a-z0-9_]*)\{([a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*)\} ([0-9.]+)', line)
        assert m and m[1] in types, line
        assert m[1] == last or m[1] not in done, 'samples apart: ' + line
        done.add(m[1]); last = m[1]
        assert (m[1], m[2]) not in seen, 'twice: ' + line
        seen.add((m[1], m[2])); values[m[1] + '{' + m[2] + '}'] = float(m[3])
for want in sys.argv[1:]:
    assert values.get(want, 0) > 0, (want, [v for v in values if v.startswith(want.split('{')[0])])
EOF
rt export-metrics l > "$work/m1"
check metrics_parse bash -c "python3 '$work/parse.py' 'runsc_processes{sandbox=\"l\",container=\"l\"}' 'runsc_syscalls_total{sandbox=\"l\",container=\"l\",call=\"openat\"}' 'runsc_fs_opens_total{sandbox=\"l\",container=\"l\"}' 'runsc_container_memory_bytes{sandbox=\"l\",container=\"l\"}' < '$work/m1'"
check metrics_prefix bash -c "'$RUNSC' --root '$work/state' export-metrics --exporter-prefix=my_ l | grep -q '^my_processes{'"
rt run --detach --bundle "$work/l" t < /dev/null > /dev/null 2>&1
"$RUNSC" --root "$work/state" --metric-server="$work/sock" metric-server --pid-file "$work/pid" & server=$!
for _ in $(seq 100); do [ -S "$work/sock" ] && break; sleep 0.1; done
get() {
	python3 - "$work/sock" "$1" <<'EOF'
import http.client, socket, sys
c = http.client.HTTPConnection('localhost', timeout=20)
c.sock = socket.socket(socket.AF_UNIX); c.sock.settimeout(20); c.sock.connect(sys.argv[1])
c.request('GET', sys.argv[2]); r = c.getresponse()
sys.stdout.write(r.read().decode()); sys.exit(0 if r.status == 200 else 1)
EOF
}
get /metrics > "$work/m2"
check metric_server bash -c "python3 '$work/parse.py' 'runsc_processes{sandbox=\"l\",container=\"l\"}' 'runsc_processes{sandbox=\"t\",container=\"t\"}' 'runsc_sandbox_running{sandbox=\"t\"}' < '$work/m2'"
check metric_server_health test "$(get /runsc-metrics/healthcheck)" = runsc-metrics:OK
check metric_server_pid test "$(get /runsc-metrics/pid)" = "$server" -a "$(cat "$work/pid")" = "$server"
check metric_server_404 bash -c "! curl -sf --unix-socket '$work/sock' http://localhost/nothing"
