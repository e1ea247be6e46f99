#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Podman: Debian's, as root, with conmon and runsc as its runtime; storage, state and settings of its own.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip podman "needs root"; exit 0; }
need_packages podman conmon busybox-static python3 || { skip podman "its packages cannot be had"; exit 0; }
[ -x "$RUNSC" ] || { not_ok podman "bin/runsc is not built"; exit 1; }
T=$(mktemp -d /tmp/e2e-podman.XXXXXX)
export CONTAINERS_CONF=$T/containers.conf CONTAINERS_STORAGE_CONF=$T/storage.conf
failed=0

pd() {
	timeout -k 5 "${LIMIT:-60}" podman --root "$T/root" --runroot "$T/rr" --tmpdir "$T/tmp" --storage-driver vfs \
		--cgroup-manager=cgroupfs --events-backend file --runtime "$(readlink -f "$RUNSC")" "$@"
}
ours() { pgrep -f -- "$T/(rr|root|tmp)" | grep -vx $$; }
cleanup() {
	local m p
	trap - EXIT INT TERM
	LIMIT=30 pd rm -f -t 0 -a > /dev/null 2>&1
	for p in $(ours); do kill -9 "$p" 2> /dev/null; done
	for m in $(awk -v t="$T" 'index($2, t) == 1 { print $2 }' /proc/mounts | sort -r); do umount -l "$m"; done
	[ "${KEEP:-0}" = 1 ] && echo "kept: $T" || rm -rf "$T"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

is() { if [ "$2" = "$3" ]; then ok "podman: $1"; else failed=1; not_ok "podman: $1" "got '${2//$'\n'/\\n}', wanted '$3'"; fi; }
run() { pd run --rm --network none "$@" 2>&1; }

: > "$CONTAINERS_CONF"
printf '[storage]\ndriver = "vfs"\nrunroot = "%s"\ngraphroot = "%s"\n' "$T/rr" "$T/root" > "$CONTAINERS_STORAGE_CONF"
make_busybox_rootfs "$T/rootfs"
tar -C "$T/rootfs" -c . | pd import - bb > /dev/null 2> "$T/err" || { not_ok "podman: import" "$(tail -1 "$T/err")"; exit 1; }
echo "== $(podman --version)"

is "run: it is the Sentry" "$(run bb sh -c 'dmesg | grep -c "Starting gVisor"')" 1
run bb sh -c 'exit 42' > /dev/null; st=$?
is "run: exit status" $st 42
is "run: output" "$(run bb echo to the world)" "to the world"
is "run: input" "$(echo through | run -i bb cat)" through
run bb /no/such/program > /dev/null; st=$?
is "run: status of a program that is not there" $st 127
is "run: --user, environment, directory" "$(run -u 65534 -e A=b -w /tmp bb sh -c 'echo $(id -u) $A $PWD')" "65534 b /tmp"
is "run: --read-only" "$(run --read-only --read-only-tmpfs=false bb sh -c 'touch /x 2> /dev/null || echo refused')" refused
mkdir "$T/vol"
is "run: -v" "$(run -v "$T/vol:/data" bb sh -c 'echo inside > /data/f'; cat "$T/vol/f")" inside
out=$(timeout 60 "$TOP/test/e2e/docker/onpty.py" 30x100 '# ' 'tty; echo; exit 9\n' -- podman --root "$T/root" --runroot "$T/rr" --tmpdir "$T/tmp" \
	--storage-driver vfs --cgroup-manager=cgroupfs --events-backend file --runtime "$(readlink -f "$RUNSC")" run --rm -it --network none bb sh)
st=$?
is "run -it: exit status and terminal" "$st $(grep -c '^/dev/pts/0$' <<< "$out")" "9 1"

pd run -d --name one --network none --memory 64m bb sh -c 'echo out; echo err >&2; trap "echo usr1" USR1; trap "exit 3" TERM; while :; do sleep 0.1; done' > /dev/null
for _ in $(seq 50); do pd logs one 2>&1 | grep -q err && break; sleep 0.1; done
is "logs" "$(pd logs one 2>&1 | sort)" $'err\nout'
pd exec one sh -c 'exit 11'; st=$?
is "exec: exit status" $st 11
is "exec: in the container" "$(pd exec one cat /proc/1/comm)" sh
is "exec -i" "$(echo in | pd exec -i one cat)" in
pd kill -s USR1 one > /dev/null
for _ in $(seq 50); do pd logs one 2>&1 | grep -q usr1 && break; sleep 0.1; done
is "kill -s USR1" "$(pd logs one 2> /dev/null | tail -n 1)" usr1
is "ps" "$(pd ps --format '{{.Names}}')" one
is "inspect: runtime" "$(pd inspect -f '{{.State.Status}}' one)" running
is "stop, wait" "$(pd stop -t 10 one > /dev/null; pd wait one)" 3
is "start again, kill" "$(pd start one > /dev/null; sleep 0.5; pd kill one > /dev/null; pd wait one)" 137
is "rm" "$(pd rm one > /dev/null; pd ps -aq)" ""
is "nothing is left" "$(for _ in $(seq 30); do [ -z "$(ours)" ] && break; sleep 0.1; done; ours)" ""
exit $failed
