#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test/e2e/net_veth.sh - a container on a veth pair: ping and TCP both ways, large transfers arrive intact, and everything is
# given back on delete
set -u
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip net_veth "needs root"; exit 0; }
command -v ip >/dev/null && command -v busybox >/dev/null && command -v jq >/dev/null || { skip net_veth "needs ip, busybox, jq"; exit 0; }

work=$(mktemp -d); c=nvc$$; h=nvh$$; id=nv$$
state=$work/state; rs=("$RUNSC" --root "$state")
cleanup() {
	timeout 20 "${rs[@]}" delete --force $id >/dev/null 2>&1
	[ -n "${srv:-}" ] && kill "$srv" 2>/dev/null
	ip netns del $c 2>/dev/null; ip netns del $h 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT

ip netns add $c && ip netns add $h && ip -n $c link add eth0 type veth peer name up0 netns $h || { skip net_veth "no veth"; exit 0; }
ip -n $c addr add 10.88.7.2/24 dev eth0; ip -n $c -6 addr add fd07::2/64 dev eth0 nodad
ip -n $h addr add 10.88.7.1/24 dev up0; ip -n $h -6 addr add fd07::1/64 dev up0 nodad
ip -n $c link set eth0 up; ip -n $h link set up0 up; ip -n $h link set lo up
ip -n $c route add default via 10.88.7.1
before=$(ip -n $c -o addr show dev eth0 scope global | sort; ip -n $c route)

make_busybox_rootfs "$work/rootfs"
head -c 20000000 /dev/urandom > "$work/rootfs/tmp.bin"; cp "$work/rootfs/tmp.bin" "$work/blob"
sum=$(sha256sum < "$work/blob")
EXTRA_JQ='(.linux.namespaces[]|select(.type=="network")).path = "/run/netns/'$c'"' \
	make_bundle "$work/b" "$work/rootfs" /bin/sh -c 'while :; do sleep 1; done'
timeout 60 "${rs[@]}" run --detach --bundle "$work/b" $id </dev/null >"$work/log" 2>&1 || { not_ok net_veth_run "$(tail -3 "$work/log")"; exit 1; }
inside() { timeout "${T:-30}" "${rs[@]}" exec $id "$@" </dev/null; }
host() { timeout "${T:-30}" ip netns exec $h "$@"; }
fetch() { host python3 -c "import sys,urllib.request as u; sys.stdout.buffer.write(u.urlopen(sys.argv[1], timeout=20).read())" "$1"; }
check() { # NAME COMMAND...
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then ok "$name"; else not_ok "$name" "$(echo "$out" | tail -2 | tr '\n' ' ')"; fi
}
same() { [ "$("${@:2}" | sha256sum)" = "$1" ]; }

check net_veth_host_silent test -z "$(ip -n $c -4 -o addr show dev eth0)"
check net_veth_ping_out inside ping -c 3 -i 0.2 -W 3 10.88.7.1
check net_veth_ping_in host busybox ping -c 3 -i 0.2 -W 3 10.88.7.2
check net_veth_ping_big host busybox ping -c 2 -i 0.2 -W 3 -s 20000 10.88.7.2
check net_veth_ping6_out inside ping -6 -c 3 -i 0.2 -W 3 fd07::1
check net_veth_ping6_in host busybox ping -6 -c 3 -i 0.2 -W 3 fd07::2

# TCP from inside: a web server of the host's side
mkdir "$work/www" && cp "$work/blob" "$work/www/blob"
ip netns exec $h python3 -m http.server --bind :: --directory "$work/www" 8099 >/dev/null 2>&1 & srv=$!
for i in $(seq 100); do [ -n "$(ip netns exec $h ss -Hltn 'sport = 8099')" ] && break; sleep 0.1; done
check net_veth_wget same "$sum" inside wget -q -O - http://10.88.7.1:8099/blob
check net_veth_wget6 same "$sum" inside wget -q -O - 'http://[fd07::1]:8099/blob'
# TCP to the inside
timeout 30 "${rs[@]}" exec --detach $id httpd -p 8098 -h / >/dev/null 2>&1
sleep 0.5
check net_veth_serve same "$sum" fetch http://10.88.7.2:8098/tmp.bin
check net_veth_serve6 same "$sum" fetch 'http://[fd07::2]:8098/tmp.bin'
check net_veth_refused bash -c "! ip netns exec $h timeout 5 busybox nc -w 2 10.88.7.2 9 2>&1 </dev/null | grep -qi timed"
check net_veth_mtu ip -n $h link set up0 mtu 1280

# a server that sends its end at once, many short connections
n=0
for i in $(seq 20); do [ "$(fetch http://10.88.7.2:8098/etc/hostname)" = sandbox ] && n=$((n + 1)); done
check net_veth_short_connections test $n -eq 20

timeout 20 "${rs[@]}" delete --force $id >/dev/null 2>&1
after=$(ip -n $c -o addr show dev eth0 scope global | sort; ip -n $c route)
check net_veth_given_back test "$before" = "$after"
