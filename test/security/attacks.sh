#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Attack programs (guest/*.c) in one container of a pod: afterwards the pod's other container answers, a canary file of the host beside
# the volume is untouched, and the Sentry is the one that it was. ONLY=name runs one attack.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
need_packages gcc libc6-dev busybox-static jq || { skip attacks "packages"; exit 0; }
[ "$(id -u)" -eq 0 ] || { skip attacks "not root"; exit 0; }
[ -x "$RUNSC" ] || { skip attacks "$RUNSC is not built"; exit 0; }
work=$(mktemp -d /tmp/sec-att.XXXXXX)
pod=att$$
rs() { timeout -k 5 "${T:-30}" "$RUNSC" --root "$work/state" --debug-log="$work/logs/" "$@"; }
cleanup() {
	[ -z "${KEEP_OUT:-}" ] || cp "$work/out" "$KEEP_OUT" 2> /dev/null
	for c in $(rs list -q 2> /dev/null | grep -v "^$pod$"); do rs delete --force "$c"; done
	rs delete --force "$pod"
	rm -rf "$work"
} > /dev/null 2>&1
trap cleanup EXIT
make_busybox_rootfs "$work/rootfs"
for p in syscalls stub stubcalls files images hogs; do
	gcc -O1 -static -pthread -D_GNU_SOURCE -o "$work/rootfs/$p" "$TOP/test/security/guest/$p.c" 2> "$work/cc.log" ||
		{ not_ok attacks/build "$p: $(head -1 "$work/cc.log")"; exit 0; }
done
gcc -O1 -static -D_GNU_SOURCE -I"$TOP" -Wl,-Ttext-segment=0x30000000 -o "$work/rootfs/takeover" "$TOP/test/security/guest/takeover.c" 2> "$work/cc.log" ||
	{ not_ok attacks/build "takeover: $(head -1 "$work/cc.log")"; exit 0; }
for m in -suid:4755 -sgid:2755 -unreadable:711 :755; do
	cp "$work/rootfs/files" "$work/rootfs/victim${m%:*}"
	chown 0:0 "$work/rootfs/victim${m%:*}"
	chmod "${m#*:}" "$work/rootfs/victim${m%:*}"
done
echo "THE-SECRET-OF-ROOT" > "$work/rootfs/secret"
chown 0:555 "$work/rootfs/secret" # stubcalls.c knows that group
chmod 640 "$work/rootfs/secret"
cp "$work/rootfs/files" "$work/rootfs/suid"
chown 0:0 "$work/rootfs/suid"
chmod 4755 "$work/rootfs/suid"
mkdir "$work/volume"
chmod 777 "$work/volume"
echo inside > "$work/volume/inside"
echo inside2 > "$work/volume/inside2"
echo "HOST-CANARY $RANDOM$RANDOM" > "$work/canary"
chmod 666 "$work/canary"
sum=$(sha256sum "$work/canary" | cut -d' ' -f1)
host_before=$(hostname; cat /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe 2> /dev/null)

# the pod: a first container that only answers
note() { echo '.annotations = {"io.kubernetes.cri.container-type": "'"$1"'", "io.kubernetes.cri.sandbox-id": "'"$pod"'"}'; }
EXTRA_JQ=$(note sandbox) make_bundle "$work/b" "$work/rootfs" /bin/sleep 3000
new_pod() {
	rs delete --force "$pod" > /dev/null 2>&1
	rs run --detach --bundle "$work/b" "$pod" > "$work/run.log" 2>&1 < /dev/null && sentry=$(jq .sentry.pid "$work/state/$pod/state.json")
}
new_pod || { not_ok attacks "no pod: $(tail -1 "$work/run.log")"; exit 0; }

answers() { [ "$(T=${1:-10} rs exec "$pod" /bin/echo alive 2>&1 < /dev/null)" = alive ]; }

held() { awk '/^RssAnon/ {n = int($2 / 1024)} END {print n + 0}' "/proc/$sentry/status" 2> /dev/null; } # MiB
# attack NAME SECONDS JQ ARGV...: its output is in $work/out; a canary, a neighbour and the Sentry are looked at afterwards
attack() {
	local name=$1 secs=$2 jq=$3 id="$pod-$1" st rss before why=
	shift 3
	[ -z "${ONLY:-}" ] || [ "$ONLY" = "$name" ] || return 0
	EXTRA_JQ="$(note container) | .mounts += [{destination: \"/v\", type: \"bind\", source: \"$work/volume\", options: [\"rbind\", \"rw\"]}] | $jq" \
		make_bundle "$work/b-$name" "$work/rootfs" "$@"
	rm -f "$work/volume/go"
	T=$secs rs run --bundle "$work/b-$name" "$id" > "$work/out" 2>&1 < /dev/null &
	local runner=$!
	before=$(held)
	if [ -n "${DURING:-}" ]; then
		for _ in $(seq 100); do grep -q ' then ' "$work/out" && break; sleep 0.1; done
		answers 15 || why+=" the neighbour does not answer meanwhile;"
		rss=$(($(held) - before))
		[ "$rss" -le "${HOLDS:-100000}" ] || why+=" the Sentry holds $rss MiB for it;"
		touch "$work/volume/go"
	fi
	wait $runner
	st=$?
	T=30 rs delete --force "$id" > "$work/del.log" 2>&1 || why+=" delete: $(tail -1 "$work/del.log");"
	grep -q BREACH "$work/out" && why+=" $(grep -m2 BREACH "$work/out" | tr '\n' ' ')"
	if [ $st -eq 77 ]; then skip "attacks/$name" "$(tail -1 "$work/out")"; return; fi
	grep -q '^done' "$work/out" || why+=" it did not finish (status $st): $(tail -2 "$work/out" | tr '\n' ' ');"
	[ "$(sha256sum "$work/canary" | cut -d' ' -f1)" = "$sum" ] || why+=" the canary was changed;"
	[ "$(ls "$work" | grep -c canary)" = 1 ] || why+=" files beside the canary;"
	answers || why+=" the neighbour does not answer: $(grep -h -v ' info:\| debug:' "$work"/logs/* 2> /dev/null | tail -2 | tr '\n' ' ');"
	[ "$(jq .sentry.pid "$work/state/$pod/state.json" 2> /dev/null)" = "$sentry" ] && [ -d "/proc/$sentry" ] || why+=" the Sentry is gone;"
	if [ -z "$why" ]; then ok "attacks/$name"; else not_ok "attacks/$name" "$why"; fi
	[ -d "/proc/$sentry" ] || new_pod
}

all_caps='["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FOWNER","CAP_MKNOD","CAP_SYS_ADMIN","CAP_SYS_PTRACE","CAP_SYS_RAWIO","CAP_NET_ADMIN","CAP_SETUID","CAP_SETGID","CAP_SYS_CHROOT","CAP_KILL","CAP_SYS_TIME","CAP_SYS_BOOT","CAP_SYS_MODULE","CAP_SYS_RESOURCE"]'
caps=".process.capabilities = {bounding: $all_caps, effective: $all_caps, permitted: $all_caps}"
attack syscalls 240 . /syscalls
attack syscalls-privileged 240 "$caps" /syscalls
attack stub 60 . /stub
attack stubcalls 200 . /stubcalls
attack takeover-exec 60 '.process.noNewPrivileges = false | .process.user = {uid: 1000, gid: 1000}' /takeover exec
attack takeover-forks 60 . /takeover forks
attack images 200 . /images
attack races 60 . /files races "$work/canary"
attack devices 60 "$caps" /files devices
attack memory 60 "$caps" /files memory
attack setuid 60 '.process.noNewPrivileges = true | .process.user = {uid: 1000, gid: 1000}' /suid privileges
# What a hog makes the Sentry hold is bounded by half of its memory limit (sentry/run/budget.h): 64 MiB here
hog_limit=".process.rlimits = [] | .linux.resources.memory.limit = 134217728 | $caps"
for h in fds pipes maps inotify watches sockets unix eventfds timerfds epolls locks signals timers files threads tcp udp netlink rights shm \
	msgs sems mqueues memfds dirs names xattrs epitems events ptys mounts namespaces filters; do
	DURING=1 HOLDS=$((64 + 32)) attack "hog-$h" 60 "$hog_limit" /hogs $h
	[ -n "${ONLY:-}" ] || sed -n 's/^[a-z]*: [0-9]* then/# &/p' "$work/out"
done
DURING=1 attack fork-bomb 60 '.linux.resources.pids.limit = 64' /hogs forks
DURING=1 attack memory-hog 60 '.linux.resources.memory.limit = 67108864' /bin/sh -c \
	'echo memory: 0 then; (head -c 300m /dev/zero | tail -c 300m > /dev/null); echo done'

if [ -z "${ONLY:-}" ]; then
	now=$(held)
	if [ "$now" -le 100 ]; then ok attacks/held; else not_ok attacks/held "the Sentry still has $now MiB when all attackers are gone"; fi
fi
found=$(grep -h -m1 -E 'runtime error:|ERROR: AddressSanitizer|BUG' -r "$work/logs" 2> /dev/null | head -1) # with RUNSC of a SAN=1 build, too
if [ -z "$found" ]; then ok attacks/logs; else not_ok attacks/logs "$found"; fi
after=$(hostname; cat /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe 2> /dev/null)
if [ "$after" = "$host_before" ]; then ok attacks/host-settings; else not_ok attacks/host-settings "changed to $after"; fi
