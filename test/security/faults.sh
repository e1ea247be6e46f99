#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What fails around us: host calls of the Sentry that end in ENOMEM, ENOSPC, EMFILE or EIO, a full disk below a
# volume and below our own state, a gofer that is stopped, containers that come and go in one pod (CYCLES=1000 for the long run).
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
need_packages busybox-static jq binutils python3 || { skip faults "packages"; exit 0; }
[ "$(id -u)" -eq 0 ] || { skip faults "not root"; exit 0; }
real=$RUNSC
RUNSC=$TOP/build/san/bin/runsc # where host calls can be made to fail
nice -n 10 make -s -C "$TOP" -j"$(nproc)" SAN=1 build/san/bin/runsc > /dev/null 2>&1 || { not_ok faults "the sanitizer build fails"; exit 0; }
work=$(mktemp -d /tmp/sec-flt.XXXXXX)
pod=flt$$
rs() { timeout -k 5 "${T:-30}" "$RUNSC" --root "$work/state" --debug-log="$work/logs/" "$@"; }
cleanup() {
	for p in $(jq -r '.gofer.pid' "$work"/state/*/state.json); do kill -CONT "$p"; done
	for i in $(rs list -q | grep -v "^$pod$"); do rs delete --force "$i"; done
	rs delete --force "$pod"
	umount "$work/small" "$work/tiny"
	rm -rf "$work"
} > /dev/null 2>&1
trap cleanup EXIT
make_busybox_rootfs "$work/rootfs"
mkdir -p "$work/rootfs/data" "$work/rootfs/big" "$work/small" "$work/tiny" "$work/vol"
mount -t tmpfs -o size=1m,mode=777 none "$work/small" || { skip faults "no mount"; exit 0; }
note() { echo '.annotations = {"io.kubernetes.cri.container-type": "'"$1"'", "io.kubernetes.cri.sandbox-id": "'"$pod"'"}'; }
bind() { echo "| .mounts += [{destination: \"$2\", type: \"bind\", source: \"$1\", options: [\"rbind\", \"rw\"]}]"; }
pid_of() { jq -r ".$2.pid // 0" "$work/state/$1/state.json" 2> /dev/null || echo 0; }
alive() { [ "$(T=20 rs exec "$1" /bin/echo alive 2>&1 < /dev/null)" = alive ]; }

head -c 3000000 /dev/urandom > "$work/rootfs/big/f"
# all that a script can do, again and again, whatever the answers are
cat > "$work/rootfs/busy.sh" <<'SH'
while :; do
	for n in 1 2 3; do
		echo x$n > /tmp/a$n; head -c 300000 /dev/zero > /tmp/b$n; cp /tmp/b$n /data/c$n; cat /tmp/b$n | cat | wc -c; mkdir -p /data/d/e$n
		mv /data/c$n /data/d/e$n/x; ls -lR /data; rm -rf /data/d /tmp/b$n; fallocate -l 1m /tmp/f$n; fallocate -p -l 8k /tmp/f$n; cat /big/f | head -c 200000 | wc -c; echo y > /v/y$n; cat /v/y$n; rm -f /v/y$n; truncate -s 5000000 /tmp/t
		(sleep 0.01; echo z) | tail -n 1; stat /etc/passwd
	done > /dev/null 2>&1
	sleep 0.05
done
SH
EXTRA_JQ="$(note sandbox) $(bind "$work/vol" /v)" make_bundle "$work/b" "$work/rootfs" /bin/sleep 3000
rs run --detach --bundle "$work/b" "$pod" > "$work/run.log" 2>&1 < /dev/null || { not_ok faults "no container: $(tail -1 "$work/run.log")"; exit 0; }
sentry=$(pid_of "$pod" sentry) gofer=$(pid_of "$pod" gofer)

# poke PID NR ERROR EVERY: host_call_fault of that process (proto/base/hostcall.h); prints how many calls have failed so far
at=$(nm "$RUNSC" | awk '$3 == "host_call_fault" {print $1}')
poke() {
	python3 - "$at" "$@" << 'PY'
import struct, sys
at, pid, nr, err, every = int(sys.argv[1], 16), *sys.argv[2:3], *map(int, sys.argv[3:6])
base = next(int(l.split("-")[0], 16) for l in open(f"/proc/{pid}/maps") if "/runsc" in l)
with open(f"/proc/{pid}/mem", "r+b", buffering=0) as m:
    m.seek(base + at)
    done = struct.unpack("iiIII", m.read(20))[4]
    m.seek(base + at)
    m.write(struct.pack("iiIII", -1, err, every, 0, 0))
    m.seek(base + at)
    m.write(struct.pack("i", nr))
print(done)
PY
}
# inject NAME PID CALL NUMBER ERROR EVERY: for three seconds
inject() {
	local name=$1 pid=$2 call=$3 err=$4 every=$5 n why=
	rs exec "$pod" pgrep -f busy.sh > /dev/null 2>&1 < /dev/null || rs exec --detach "$pod" /bin/sh /busy.sh > /dev/null 2>&1 < /dev/null
	poke "$pid" "$call" "$err" "$every" > /dev/null 2>&1
	sleep 1
	n=$(poke "$pid" -1 "$err" "$every" 2>&1)
	[[ $n =~ ^[0-9]+$ ]] || n=some
	[ "$n" != 0 ] || { skip "faults/$name" "no such call was made"; return; }
	[ -d "/proc/$sentry" ] && [ -d "/proc/$gofer" ] || why="a process is gone: $(grep -a -h -v ' info:' "$work"/logs/* | tail -2 | tr '\n' ' ');"
	[ -n "$why" ] || alive "$pod" || alive "$pod" || why="does not answer;"
	if [ -n "$why" ]; then not_ok "faults/$name" "$why after $n injections"; else ok "faults/$name $n"; fi
}
# numbers of calls: asm/unistd_64.h; errors: EIO 5, ENOMEM 12, EMFILE 24, ENOSPC 28
inject sentry-memfd_create "$sentry" 319 12 3
inject sentry-ftruncate "$sentry" 77 28 2
inject sentry-fallocate "$sentry" 285 28 2
inject sentry-mmap "$sentry" 9 12 3
inject sentry-pwrite64 "$sentry" 18 28 2
inject sentry-pread64 "$sentry" 17 5 4
inject sentry-pidfd_open "$sentry" 434 24 3
inject sentry-process_vm_readv "$sentry" 310 12 9
inject sentry-process_vm_writev "$sentry" 311 12 9
inject sentry-munmap "$sentry" 11 12 2
[ -d "/proc/$sentry" ] || { not_ok faults "the Sentry did not survive"; exit 0; }

# from here on the real thing
rs delete --force "$pod" > /dev/null 2>&1
found=$(grep -a -h -m1 -E 'runtime error:|ERROR: AddressSanitizer|BUG' -r "$work/logs" 2> /dev/null | head -1)
if [ -z "$found" ]; then ok faults/logs; else not_ok faults/logs "$found"; fi
RUNSC=$real
rs run --detach --bundle "$work/b" "$pod" > "$work/run.log" 2>&1 < /dev/null || { not_ok faults "no container: $(tail -1 "$work/run.log")"; exit 0; }
sentry=$(pid_of "$pod" sentry)

# a full disk below a volume: the guest is told so, and goes on when there is room again
EXTRA_JQ="$(note container) $(bind "$work/small" /v)" make_bundle "$work/b1" "$work/rootfs" /bin/sh -c \
	'dd if=/dev/zero of=/v/big bs=64k count=48 2> /tmp/err; grep -c "No space" /tmp/err; rm /v/big; echo room > /v/small && cat /v/small'
out=$(rs run --bundle "$work/b1" "$pod-full" 2>&1 < /dev/null | tr '\n' ' ')
if [ "$out" = "1 room " ]; then ok faults/full-volume; else not_ok faults/full-volume "$out"; fi
rs delete --force "$pod-full" > /dev/null 2>&1

# no room for our own state: an error that says so, and nothing stays
mount -t tmpfs -o size=64k none "$work/tiny"
head -c 1m /dev/zero > "$work/tiny/fill" 2> /dev/null
make_bundle "$work/b2" "$work/rootfs" /bin/true
before=$(pgrep -c -f "$pod-nostate")
out=$(timeout 30 "$RUNSC" --root "$work/tiny/state" run --bundle "$work/b2" "$pod-nostate" 2>&1 < /dev/null)
st=$?
sleep 0.3
left=$(pgrep -f -- "--id=$pod-nostate" | wc -l)
if [ $st -ne 0 ] && [[ $out == *"o space left"* ]] && [ "$left" -eq "$before" ]; then ok faults/full-state
else not_ok faults/full-state "status $st, $left processes: $(tail -1 <<< "$out")"; fi
rm -f "$work/tiny/fill"
timeout 30 "$RUNSC" --root "$work/tiny/state" delete --force "$pod-nostate" > /dev/null 2>&1
out=$(timeout 30 "$RUNSC" --root "$work/tiny/state" run --bundle "$work/b2" "$pod-nostate" 2>&1 < /dev/null) &&
	ok faults/state-again || not_ok faults/state-again "$(tail -1 <<< "$out")"
timeout 30 "$RUNSC" --root "$work/tiny/state" delete --force "$pod-nostate" > /dev/null 2>&1

# a stopped gofer: its container waits, the others do not; it goes on; and it can be deleted while it waits
EXTRA_JQ="$(note container) $(bind "$work/vol" /v)" make_bundle "$work/b3" "$work/rootfs" /bin/sh -c 'n=0; while :; do n=$((n + 1)); echo $n > /v/n; cat /v/n > /dev/null; done'
rs run --detach --bundle "$work/b3" "$pod-stop" > "$work/run.log" 2>&1 < /dev/null
g=$(pid_of "$pod-stop" gofer)
for _ in $(seq 100); do [ -s "$work/vol/n" ] && break; sleep 0.1; done
kill -STOP "$g"
sleep 0.3
was=$(cat "$work/vol/n")
why=
alive "$pod" || why+=" the neighbour does not answer;"
[ "$(cat "$work/vol/n")" = "$was" ] || why+=" the volume is still written;"
kill -CONT "$g"
for _ in $(seq 100); do [ "$(cat "$work/vol/n")" != "$was" ] && break; sleep 0.1; done
[ "$(cat "$work/vol/n")" != "$was" ] || why+=" it does not go on;"
kill -STOP "$g"
T=60 rs delete --force "$pod-stop" > "$work/del.log" 2>&1 || why+=" delete: $(tail -1 "$work/del.log");"
alive "$pod" || why+=" the neighbour does not answer after the delete;"
if [ -z "$why" ]; then ok faults/stopped-gofer; else not_ok faults/stopped-gofer "$why"; fi
kill -CONT "$g" 2> /dev/null

# containers that come and go in one sandbox: what lives long does not grow
EXTRA_JQ="$(note container) $(bind "$work/vol" /v)" make_bundle "$work/b4" "$work/rootfs" /bin/sh -c 'ls -lR / > /dev/null; echo x > /tmp/x; sleep 0.01 | cat'
held() { echo "$(ls "/proc/$sentry/fd" | wc -l) $(awk '/^RssAnon/ {print $2}' "/proc/$sentry/status") $(wc -l < "/proc/$sentry/maps") $(ls "/proc/$sentry/task" | wc -l)"; }
cycles=${CYCLES:-30} bad=
for i in $(seq "$cycles"); do
	rs run --bundle "$work/b4" "$pod-c$i" > "$work/log" 2>&1 < /dev/null || bad="run $i: $(tail -1 "$work/log")"
	rs delete --force "$pod-c$i" > /dev/null 2>&1
	[ "$i" -ne 15 ] || read -r fd0 kb0 map0 thr0 <<< "$(held)"
	[ -z "$bad" ] || break
done
sleep 1
read -r fd1 kb1 map1 thr1 <<< "$(held)"
[ -n "$bad" ] || [ "$fd1" -le $((fd0 + 6)) ] || bad="descriptors: $fd0, then $fd1;"
[ -n "$bad" ] || [ "$kb1" -le $((kb0 + 8192)) ] || bad+=" memory: $kb0 KiB, then $kb1;"
[ -n "$bad" ] || [ "$map1" -le $((map0 + 60)) ] || bad+=" mappings: $map0, then $map1;"
[ -n "$bad" ] || [ "$thr1" -le $((thr0 + 4)) ] || bad+=" threads: $thr0, then $thr1;"
if [ -z "$bad" ]; then ok faults/come-and-go; else not_ok faults/come-and-go "$bad"; fi
echo "# $cycles: descriptors $fd0 $fd1, KiB $kb0 $kb1, mappings $map0 $map1, threads $thr0 $thr1"
