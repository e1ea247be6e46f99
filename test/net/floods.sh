#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test/net/floods.sh - SYNs from invented addresses, and frames of nonsense, as fast as the host can send them: a connection
# that is there keeps answering, new ones come about, and afterwards all is as before
set -u
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip floods "needs root"; exit 0; }
command -v ip >/dev/null && command -v busybox >/dev/null && command -v jq >/dev/null || { skip floods "needs ip, busybox, jq"; exit 0; }

work=$(mktemp -d); c=flc$$; h=flh$$; id=fl$$
state=$work/state; rs=("$RUNSC" --root "$state")
cleanup() {
	[ -n "${flood:-}" ] && kill "$flood" 2>/dev/null
	timeout 20 "${rs[@]}" delete --force $id >/dev/null 2>&1
	ip netns del $c 2>/dev/null; ip netns del $h 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT

load=$work/netload
gcc -std=gnu17 -D_GNU_SOURCE -O2 -static -pthread -o "$load" "$TOP/test/net/netload.c" || { not_ok floods_build "netload.c"; exit 1; }
ip netns add $c && ip netns add $h && ip -n $c link add eth0 type veth peer name up0 netns $h || { skip floods "no veth"; exit 0; }
ip -n $c addr add 10.88.9.2/24 dev eth0; ip -n $h addr add 10.88.9.1/24 dev up0
ip -n $c link set eth0 up; ip -n $h link set up0 up; ip -n $h link set lo up; ip -n $c link set lo up
ip -n $c route add default via 10.88.9.1
mac=$(ip -n $c -j link show eth0 | jq -r '.[0].address')
make_busybox_rootfs "$work/rootfs"; cp "$load" "$work/rootfs/bin/"
EXTRA_JQ='(.linux.namespaces[]|select(.type=="network")).path = "/run/netns/'$c'"' \
	make_bundle "$work/b" "$work/rootfs" /bin/netload serve 7007
timeout 60 "${rs[@]}" run --detach --bundle "$work/b" $id </dev/null >"$work/log" 2>&1 || { not_ok floods_run "$(tail -3 "$work/log")"; exit 1; }
inside() { timeout 30 "${rs[@]}" exec $id "$@" </dev/null; }
counter() { inside cat /proc/net/netstat /proc/net/snmp | awk -v name="$1" '!(NR % 2) { for (i = 2; i <= NF; i++) if (h[i] == name) print $i } { split($0, h) }'; }
rr() { timeout 60 ip netns exec $h "$load" rr 10.88.9.2 7007 "$1"; }

rr 0.5 >"$work/before" && ok floods_quiet || not_ok floods_quiet "no answer"
# run_flood NAME ARGS...: during the flood an old connection answers (rr's own), and several new ones come about one after another
run_flood() {
	local name=$1 sent
	shift
	ip netns exec $h "$load" "$@" > "$work/sent" & flood=$!
	sleep 0.5
	if rr 2 >"$work/during"; then ok "floods_$name"; else not_ok "floods_$name" "a connection did not answer during the flood"; fi
	rr 0.1 >/dev/null && rr 0.1 >/dev/null && rr 0.1 >/dev/null && ok "floods_${name}_new" || not_ok "floods_${name}_new" "no new connection during the flood"
	wait "$flood"; flood=
	sent=$(cat "$work/sent")
	[ "$sent" -gt 5000 ] && ok "floods_${name}_sent" || not_ok "floods_${name}_sent" "only $sent frames in the flood's time"
	rr 0.5 >/dev/null && ok "floods_${name}_after" || not_ok "floods_${name}_after" "no answer when it was over"
}
run_flood syn syn up0 "$mac" 10.88.9.2 7007 6
cookies=$(counter SyncookiesSent)
[ "${cookies:-0}" -gt 0 ] && ok floods_cookies || not_ok floods_cookies "no SYN cookie was sent (${cookies:-no counter})"
run_flood garbage garbage up0 "$mac" 10.88.9.2 6
# what half-open connections are left does not grow with the flood
n=$(inside cat /proc/net/tcp | awk '$4 == "03"' | wc -l)
[ "$n" -le 4096 ] && ok floods_bounded || not_ok floods_bounded "$n half-open connections"
