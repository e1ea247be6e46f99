#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Peers that lie: a gofer to its Sentry, a Sentry to its gofer, somebody at the control socket, the network's other end. A canary of the
# host stays what it was, the honest container of the same pod answers, and the Sentry is the one that it was. SECS: per attack.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
need_packages gcc libc6-dev busybox-static jq python3 iproute2 || { skip peers "packages"; exit 0; }
[ "$(id -u)" -eq 0 ] || { skip peers "not root"; exit 0; }
[ -x "$RUNSC" ] || { skip peers "$RUNSC is not built"; exit 0; }
here=$TOP/test/security
export SECS=${SECS:-4}
work=$(mktemp -d /tmp/sec-peers.XXXXXX)
pod=peer$$ c=npc$$ h=nph$$ kids=()
rs() { timeout -k 5 "${T:-30}" "${BINARY:-$RUNSC}" --root "$work/state" --debug-log="$work/logs/" "$@"; }
cleanup() {
	for p in "${kids[@]}"; do kill "$p"; wait "$p"; done
	for i in $(rs list -q 2> /dev/null | grep -v "^$pod$"); do rs delete --force "$i"; done
	rs delete --force "$pod"
	ip netns del $c; ip netns del $h
	rm -rf "$work"
} > /dev/null 2>&1
trap cleanup EXIT
make_busybox_rootfs "$work/rootfs"
mkdir -p "$work/rootfs/data"
for i in $(seq 60); do head -c $((i * 700)) /dev/urandom > "$work/rootfs/data/f$i"; ln -s "f$i" "$work/rootfs/data/l$i"; done
echo "HOST-CANARY $RANDOM$RANDOM" > "$work/canary"
chmod 666 "$work/canary"
sum=$(sha256sum "$work/canary" | cut -d' ' -f1)

# the pod's first container, on a network of its own
ip netns add $c && ip netns add $h && ip -n $c link add eth0 type veth peer name up0 netns $h || { skip peers "no veth"; exit 0; }
ip -n $c addr add 10.88.9.2/24 dev eth0; ip -n $c -6 addr add fd09::2/64 dev eth0 nodad
ip -n $h addr add 10.88.9.1/24 dev up0
mac=$(ip -n $c -j link show eth0 | jq -r '.[0].address')
ip -n $c link set eth0 up; ip -n $h link set up0 up
note() { echo '.annotations = {"io.kubernetes.cri.container-type": "'"$1"'", "io.kubernetes.cri.sandbox-id": "'"$pod"'"}'; }
net='(.linux.namespaces[]|select(.type=="network")).path = "/run/netns/'$c'"'
EXTRA_JQ="$(note sandbox) | $net" make_bundle "$work/b" "$work/rootfs" /bin/sh -c 'httpd -p 8098 -h /etc; while :; do sleep 1; done'
rs run --detach --bundle "$work/b" "$pod" > "$work/run.log" 2>&1 < /dev/null || { not_ok peers "no pod: $(tail -1 "$work/run.log")"; exit 0; }
sentry=$(jq .sentry.pid "$work/state/$pod/state.json")
answers() { local i; for i in 1 2 3; do [ "$(T=20 rs exec "$pod" /bin/echo alive 2>&1 < /dev/null)" = alive ] && return 0; sleep 1; done; return 1; }

# after NAME: the part of the verdict that all have in common, with what is in $work/out
after() {
	local why=${2:-}
	grep -q BREACH "$work/out" && why+=" $(grep -m2 BREACH "$work/out" | tr '\n' ' ')"
	[ "$(sha256sum "$work/canary" | cut -d' ' -f1)" = "$sum" ] || why+=" the canary was changed;"
	answers || why+=" the honest container does not answer;"
	[ -d "/proc/$sentry" ] && [ "$(jq .sentry.pid "$work/state/$pod/state.json" 2> /dev/null)" = "$sentry" ] || why+=" the Sentry is gone;"
	if [ -z "$why" ]; then ok "peers/$1"; else not_ok "peers/$1" "$why"; fi
	grep '^#' "$work/out"
}

# a Sentry that lies to the gofer: messages straight to a gofer that serves one directory
mkdir -p "$work/root/d" "$work/root/dev"
echo inside > "$work/root/inside"; echo x > "$work/root/d/x"
ln -s .. "$work/root/up"; ln -s "$work/canary" "$work/root/abs"; mkfifo "$work/root/fifo"; mknod "$work/root/dev/mem" c 1 1
python3 "$TOP/test/e2e/gofer_accept.py" "$work/sock" "$RUNSC" gofer --no-init --mount "rw:$work/root" > "$work/gofer.log" 2>&1 &
kids+=($!)
for _ in $(seq 100); do [ -S "$work/sock" ] && break; sleep 0.1; done
timeout -k 5 120 python3 "$here/peers.py" 9p "$work/sock" "$work/root" > "$work/out" 2>&1
why=
grep -q '^done' "$work/out" || why="$(tail -1 "$work/out");"
[ "$(ls "$work" | grep -c canary)" = 1 ] || why+=" names beside the canary;"
after sentry-lies "$why"

# a gofer that lies to the Sentry: one container after another in the honest one's pod
if make -s -C "$TOP" build/rel/lying/runsc > "$work/make.log" 2>&1; then
	for i in $(seq "${LIARS:-4}"); do
		EXTRA_JQ="$(note container) | .root.readonly = false" make_bundle "$work/b$i" "$work/rootfs" /bin/sh -c \
			'for n in 1 2 3 4 5; do ls -lR / > /dev/null; cat /data/* | wc -c; cp -r /data /tmp/c$n; touch /data/n$n; mv /data/f$n /data/g$n; rm -rf /data/f2$n; stat /data/*; done 2>&1 | tail -1'
		T=12 BINARY=$TOP/build/rel/lying/runsc rs run --bundle "$work/b$i" "liar$i" > "$work/liar.out" 2>&1 < /dev/null
		T=40 rs delete --force "liar$i" > "$work/del.log" 2>&1 || echo "BREACH delete of liar$i: $(tail -1 "$work/del.log")" >> "$work/out2"
		answers || echo "BREACH after liar$i" >> "$work/out2"
		[ -d "/proc/$sentry" ] || break
	done
	touch "$work/out2"
	mv "$work/out2" "$work/out"
	after gofer-lies
else
	not_ok peers/gofer-lies "$(tail -1 "$work/make.log")"
fi

# the control socket
fds=$(ls "/proc/$sentry/fd" | wc -l)
timeout -k 5 120 python3 "$here/peers.py" control "$work/state/$pod/control.sock" > "$work/out" 2>&1
why=
grep -q '^done' "$work/out" || why="$(tail -1 "$work/out");"
for _ in $(seq 50); do [ "$(ls "/proc/$sentry/fd" 2> /dev/null | wc -l)" -le $((fds + 8)) ] && break; sleep 0.1; done
now=$(ls "/proc/$sentry/fd" 2> /dev/null | wc -l)
[ "$now" -le $((fds + 8)) ] || why+=" $fds descriptors before, $now after;"
after control-socket "$why"

# frames
get='import urllib.request as u; print(u.urlopen("http://10.88.9.2:8098/hostname", timeout=5).read().decode().strip())'
page() { # within two minutes: what the frames said of neighbours has to be unlearned
	for _ in $(seq "$1"); do
		[ "$(timeout 10 ip netns exec $h python3 -c "$get" 2> "$work/wget")" = sandbox ] && return 0
		sleep 1
	done
	return 1
}
page 30 || echo "BREACH no web page before the attack: $(tail -1 "$work/wget")" > "$work/early"
mem=$(awk '/^RssAnon/ {print $2}' "/proc/$sentry/status")
timeout -k 5 120 ip netns exec $h python3 "$here/peers.py" frames up0 "$mac" > "$work/out" 2>&1
why=
grep -q '^done' "$work/out" || why="$(tail -1 "$work/out");"
[ ! -s "$work/early" ] || cat "$work/early" >> "$work/out"
page 120 || why+=" no web page afterwards: $(tail -1 "$work/wget");"
now=$(awk '/^RssAnon/ {print $2}' "/proc/$sentry/status")
[ "${now:-0}" -le $((mem + 65536)) ] || why+=" $mem KiB before, $now after;"
after frames "$why"

found=$(grep -h -m1 -E 'runtime error:|ERROR: AddressSanitizer|BUG' -r "$work/logs" "$work/gofer.log" 2> /dev/null | head -1)
if [ -z "$found" ]; then ok peers/logs; else not_ok peers/logs "$found"; fi
