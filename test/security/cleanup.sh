#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of each process of a sandbox in each lifecycle state, then `delete --force`: nothing of ours is left. A container whose gofer
# or zygote dies ends by itself. Then many starts and stops. CYCLES=50 by default.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
need_packages busybox-static jq || { skip cleanup "packages"; exit 0; }
[ "$(id -u)" -eq 0 ] || { skip cleanup "not root"; exit 0; }
[ -x "$RUNSC" ] || { skip cleanup "$RUNSC is not built"; exit 0; }
work=$(mktemp -d /tmp/sec-clean.XXXXXX)
trap 'rm -rf "$work"' EXIT
make_busybox_rootfs "$work/rootfs"
mkdir "$work/volume"
EXTRA_JQ='.mounts += [{destination: "/v", type: "bind", source: "'"$work"'/volume", options: ["rbind", "rw"]}]' \
	make_bundle "$work/b" "$work/rootfs" /bin/sh -c 'sleep 600 & sleep 600 & while :; do sleep 1; done'
tag=cl$$
rs() { timeout 30 "$RUNSC" --root "$work/state" "$@"; }

# traces ID: everything that this test can find of container ID or of the whole test: one line each
traces() {
	local id=$1 f cmd
	for f in /proc/[0-9]*; do
		cmd=$({ tr '\0' ' ' < "$f/cmdline"; } 2> /dev/null)
		[[ $cmd == *"$id"* ]] && echo "process ${f#/proc/}: ${cmd:0:80}"
		[ "$(readlink "$f/exe" 2> /dev/null)" = "/memfd:zygote (deleted)" ] && [[ " $known_zygotes " != *" ${f#/proc/} "* ]] &&
			grep -q "$id" "$f/cgroup" 2> /dev/null && echo "stub ${f#/proc/}"
	done
	find /sys/fs/cgroup -maxdepth 6 -type d -name "*$id*" 2> /dev/null | sed 's/^/cgroup /'
	grep -F "$work" /proc/self/mountinfo | sed 's/^/mount /'
	find "$work/state" -mindepth 1 -name "*$id*" 2> /dev/null | sed 's/^/file /'
}
# settled ID: waits up to 5 s until nothing is left; prints what is
settled() {
	local i left
	for i in $(seq 50); do
		left=$(traces "$1")
		[ -z "$left" ] && return 0
		sleep 0.1
	done
	echo "$left" | head -4 | tr '\n' ';'
	return 1
}
known_zygotes=
for f in /proc/[0-9]*; do
	[ "$(readlink "$f/exe" 2> /dev/null)" = "/memfd:zygote (deleted)" ] && known_zygotes+=" ${f#/proc/}"
done

pid_of() { jq -r ".$2.pid // 0" "$work/state/$1/state.json" 2> /dev/null || echo 0; }
alive() { [ -d "/proc/$1" ] && ! grep -q '^State:.*Z' "/proc/$1/status" 2> /dev/null; }

# stubs_of PID: descendants of the zygote (of every thread: /proc/PID/task/TID/children)
stubs_of() { cat /proc/"$1"/task/*/children 2> /dev/null; }

# one STATE VICTIM
one() {
	local state=$1 victim=$2 id="$tag-$1-$2" v z left st i
	if ! rs create --bundle "$work/b" "$id" < /dev/null > "$work/log" 2>&1; then
		not_ok "cleanup/$state/$victim" "create: $(tail -1 "$work/log")"
		return
	fi
	if [ "$state" != created ]; then
		rs start "$id" > "$work/log" 2>&1
		sleep 0.4 # its children are there
	fi
	[ "$state" != paused ] || rs pause "$id" > "$work/log" 2>&1
	z=$(pid_of "$id" zygote)
	case $victim in
	stub) v=$(stubs_of "$z" | awk '{print $NF}') ;;
	*) v=$(pid_of "$id" "$victim") ;;
	esac
	if [ -z "$v" ] || [ "$v" = 0 ] || ! kill -9 "$v" 2> /dev/null; then
		not_ok "cleanup/$state/$victim" "no such process ($v)"
		rs delete --force "$id" > /dev/null 2>&1
		return
	fi
	# Without a gofer or zygote or Sentry there is no container: it must end without being asked (a stub's death ends its process).
	if [ "$victim" != stub ]; then
		for i in $(seq 50); do
			[ -z "$(stubs_of "$z")" ] && { ! alive "$z" || [ "$victim" = gofer ]; } && break
			sleep 0.1
		done
		if [ "$i" -eq 50 ]; then not_ok "cleanup/$state/$victim/ends" "guests still run 5 s after the $victim was killed: $(stubs_of "$z")"
		else ok "cleanup/$state/$victim/ends"; fi
		for i in $(seq 50); do # the Sentry has to see it first
			st=$(rs state "$id" 2> /dev/null | jq -r .status)
			[ "$st" = stopped ] && break
			sleep 0.1
		done
		if [ "$st" = stopped ]; then ok "cleanup/$state/$victim/state"; else not_ok "cleanup/$state/$victim/state" "state says $st"; fi
	fi
	if ! rs delete --force "$id" > "$work/log" 2>&1; then
		not_ok "cleanup/$state/$victim" "delete --force: $(tail -1 "$work/log")"
		return
	fi
	if left=$(settled "$id"); then ok "cleanup/$state/$victim"; else not_ok "cleanup/$state/$victim" "left: $left"; fi
}

for state in created running paused; do
	for victim in sentry gofer zygote stub; do
		[ "$state/$victim" = created/stub ] && continue # the init's process exists only with its program
		one $state $victim
	done
done

# what the host sends to the process that stands for the init reaches the init; an exec ends with its keeper
make_bundle "$work/b3" "$work/rootfs" /bin/sh -c 'trap "exit 42" TERM; while :; do sleep 0.1; done'
id=$tag-holder
if rs run --detach --bundle "$work/b3" "$id" < /dev/null > "$work/log" 2>&1; then
	rs exec --detach --pid-file "$work/keeper" "$id" /bin/sleep 777 < /dev/null > "$work/log" 2>&1
	sleep 0.4
	rs ps "$id" > "$work/ps1" 2>&1
	kill -9 "$(cat "$work/keeper")" 2> /dev/null
	sleep 0.4
	rs ps "$id" > "$work/ps2" 2>&1
	if grep -q 'sleep 777' "$work/ps1" && ! grep -q 'sleep 777' "$work/ps2"; then ok cleanup/holder/exec
	else not_ok cleanup/holder/exec "before: $(grep -c 'sleep 777' "$work/ps1"), after: $(grep -c 'sleep 777' "$work/ps2")"; fi
	kill -TERM "$(pid_of "$id" gofer)"
	st=$(rs wait "$id" 2> /dev/null | tr -dc '0-9,:{}a-zA-Z"')
	if [[ $st == *42* ]]; then ok cleanup/holder/signal; else not_ok cleanup/holder/signal "wait says $st"; fi
else
	not_ok cleanup/holder "$(tail -1 "$work/log")"
fi
rs delete --force "$id" > /dev/null 2>&1

# runsc itself, killed at moments spread over a run: whatever exists by then is deletable, what does not is not there
for ms in 5 20 40 70 120 200; do
	id="$tag-cli-$ms"
	"$RUNSC" --root "$work/state" run --bundle "$work/b" "$id" < /dev/null > "$work/log" 2>&1 &
	cli=$!
	sleep "0.$(printf %03d $ms)"
	kill -9 $cli 2> /dev/null
	wait $cli 2> /dev/null
	rs delete --force "$id" > "$work/log" 2>&1
	if left=$(settled "$id"); then ok "cleanup/runsc/$ms"; else not_ok "cleanup/runsc/$ms" "left: $left"; fi
done

# starts and stops
cycles=${CYCLES:-50}
make_bundle "$work/b2" "$work/rootfs" /bin/true
bad=
mounts=$(wc -l < /proc/self/mountinfo)
for i in $(seq "$cycles"); do
	rs run --bundle "$work/b2" "$tag-n$i" < /dev/null > "$work/log" 2>&1 || { bad="run $i: $(tail -1 "$work/log")"; break; }
done
if [ -z "$bad" ]; then ok "cleanup/cycles"; else not_ok "cleanup/cycles" "$bad"; fi
if left=$(settled "$tag-n"); then ok "cleanup/cycles/nothing-left"; else not_ok "cleanup/cycles/nothing-left" "$left"; fi
now=$(wc -l < /proc/self/mountinfo)
if [ "$now" -le "$mounts" ]; then ok "cleanup/cycles/mounts"; else not_ok "cleanup/cycles/mounts" "$mounts before, $now after"; fi

# execs in one long-lived container: descriptors and memory of the Sentry do not grow with them
id=$tag-execs
if rs run --detach --bundle "$work/b" "$id" < /dev/null > "$work/log" 2>&1; then
	s=$(pid_of "$id" sentry)
	for i in $(seq 10); do rs exec "$id" /bin/true > /dev/null 2>&1 < /dev/null; done
	fds=$(ls "/proc/$s/fd" | wc -l); rss=$(awk '/^VmRSS/ {print $2}' "/proc/$s/status")
	for i in $(seq 40); do rs exec "$id" /bin/true > /dev/null 2>&1 < /dev/null; done
	fds2=$(ls "/proc/$s/fd" | wc -l); rss2=$(awk '/^VmRSS/ {print $2}' "/proc/$s/status")
	if [ "$fds2" -le $((fds + 4)) ]; then ok "cleanup/execs/descriptors"; else not_ok "cleanup/execs/descriptors" "$fds after 10, $fds2 after 50"; fi
	if [ "$rss2" -le $((rss + 4096)) ]; then ok "cleanup/execs/memory"; else not_ok "cleanup/execs/memory" "$rss KiB after 10, $rss2 after 50"; fi
else
	not_ok cleanup/execs "$(tail -1 "$work/log")"
fi
rs delete --force "$id" > /dev/null 2>&1
if left=$(settled "$tag"); then ok cleanup/end; else not_ok cleanup/end "$left"; fi
