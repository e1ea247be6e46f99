#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test/e2e/net_tools.sh - ip, ss, netstat, ifconfig, route and language runtimes inside, on links of the container's own; what they
# print is compared with what the same commands print in a network namespace of the host
set -u
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip net_tools "needs root"; exit 0; }
for t in ip ss busybox jq python3; do command -v $t >/dev/null || { skip net_tools "needs $t"; exit 0; }; done

work=$(mktemp -d); id=nt$$; n=ntn$$
rs=("$RUNSC" --root "$work/state" --overlay2=root:memory)
cleanup() {
	timeout 20 "${rs[@]}" delete --force $id >/dev/null 2>&1
	ip netns del $n 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT

# the host's own root file system: its tools, its libraries
EXTRA_JQ='.process.capabilities |= map_values(. + ["CAP_NET_ADMIN","CAP_SYS_ADMIN"])' \
	make_bundle "$work/b" / /bin/sh -c 'while :; do sleep 1; done'
timeout 60 "${rs[@]}" run --detach --bundle "$work/b" $id </dev/null >"$work/log" 2>&1 || { not_ok net_tools_run "$(tail -3 "$work/log")"; exit 1; }
ip netns add $n && ip -n $n link set lo up
inside() { timeout 30 "${rs[@]}" exec --cap CAP_NET_ADMIN --cap CAP_SYS_ADMIN --cap CAP_NET_RAW $id /bin/bash -c "$1" </dev/null 2>&1; }
native() { timeout 30 ip netns exec $n /bin/bash -c "$1" </dev/null 2>&1; }

# same NAME SCRIPT [FILTER]: the script's output is the same on both sides after the filter
same() {
	local f=${3:-cat} a b
	a=$(inside "$2" | eval "$f"); b=$(native "$2" | eval "$f")
	if [ "$a" = "$b" ] && [ -n "$b" ]; then
		ok "net_tools_$1"
	else
		not_ok "net_tools_$1" "$(diff <(echo "$b") <(echo "$a") | head -6 | tr '\n' '|')"
	fi
}

same lo 'ip -o addr show lo' "sed 's/ noprefixroute//'"
same address 'ip link add d0 type veth peer name d1 && ip link set d1 up && ip link set d0 address 02:00:00:00:00:07 mtu 1400 up && ip addr add 10.40.0.1/24 brd + dev d0 &&
	ip -o -4 addr show d0 && ip -o link show d0' "sed 's/qdisc [a-z_]*/qdisc/g; s/d0@[^:]*/d0/; s/^[0-9]*: //; s/\\\\.*valid/ valid/'"
same routes 'ip route add 10.50.0.0/16 via 10.40.0.9; ip route add unreachable 10.51.0.0/16; ip route add 10.52.0.0/16 dev d0 metric 7 mtu 1300
	ip route; ip route get 10.50.1.1; ip route get 10.52.3.4; ip route get 10.51.0.1; ip route del 10.52.0.0/16; ip route | grep -c 10.52' \
	"sed 's/ *$//; s/ linkdown//'"
same refused 'ip route add 10.60.0.0/16 via 10.99.0.1; ip route del 10.61.0.0/16; ip addr add 10.40.0.1/24 dev d0; ip addr del 10.41.0.1/24 dev d0
	ip link set nosuch up; ip link add d0 type veth; ip link del lo; ip route add 10.40.0.0/24 dev d0 proto kernel scope link src 10.40.0.1'
same neighbours 'ip neigh add 10.40.0.9 lladdr 02:00:00:00:00:09 dev d0 nud permanent; ip neigh show dev d0; ip neigh del 10.40.0.9 dev d0
	ip neigh show dev d0; ip neigh del 10.40.0.8 dev d0'
same rules 'ip rule add from 10.40.0.0/24 table 77 pref 100; ip rule add fwmark 5 table 78 pref 101; ip rule; ip rule del pref 100; ip rule; ip rule del pref 9'
same veth_bridge 'ip link add v0 type veth peer name v1; ip link add br0 type bridge; ip link set v0 master br0; ip link set v1 up; ip link set v0 up
	for l in v0 v1; do ip -o link show $l; done; ip link del v0; ip link show v1' \
	"sed 's/^[0-9]*: //; s/qdisc [a-z_]*/qdisc/; s/link.ether.*//; s/@[^:]*//; s/,M-DOWN//; s/state [A-Z]*//'"
same ifconfig 'busybox ifconfig d0 10.40.7.1 netmask 255.255.255.0; busybox ifconfig d0 | head -3; busybox route -n' \
	"sed 's/ *$//; s/  RUNNING/ RUNNING/'"
same listeners 'for p in 4001 4002; do busybox nc -l -p $p >/dev/null & done; sleep 0.5; ss -Htln | sort; ss -Htln sport = :4002; busybox netstat -tln | sort
	kill %1 %2' "sed 's/[ \t][ \t]*/ /g; s/ $//; s/^LISTEN [0-9]* [0-9]*//'"
same connection '(sleep 2) | busybox nc -l -p 4003 >/dev/null & sleep 0.4; (sleep 2) | busybox nc 127.0.0.1 4003 & sleep 0.4
	ss -Htn state established dport = :4003 | wc -l; grep -ci ":0FA3 01" /proc/net/tcp; wait' "tr -d ' '"
same python 'python3 -c "
import socket, fcntl, struct
print([n for i, n in socket.if_nameindex() if n in (\"lo\", \"d0\")])
s = socket.socket()
for name in (\"lo\", \"d0\"):
	r = struct.pack(\"256s\", name.encode())
	print(name, socket.inet_ntoa(fcntl.ioctl(s, 0x8915, r)[20:24]), struct.unpack(\"i\", fcntl.ioctl(s, 0x8921, r)[16:20])[0])
"'
same monitor '(timeout 1 ip -o monitor link addr route 2>/dev/null > /tmp/mon.$$ &) ; sleep 0.4; ip link add m0 type veth peer name m1; ip link set m1 up; ip link set m0 up; ip addr add 10.44.0.1/24 dev m0
	ip link del m0; sleep 1; grep -c "inet 10.44.0.1" /tmp/mon.$$; grep -c "^Deleted.*m0@" /tmp/mon.$$; grep "10.44.0.0/24" /tmp/mon.$$ | head -1; rm /tmp/mon.$$' \
	"sed 's/ *$//'"
same sysctl 'cat /proc/sys/net/ipv4/ip_default_ttl; echo 0 > /proc/sys/net/ipv4/ip_forward; cat /proc/sys/net/ipv4/conf/all/forwarding; echo 1 > /proc/sys/net/ipv4/ip_forward
	cat /proc/sys/net/ipv4/conf/all/forwarding; echo 0 > /proc/sys/net/ipv4/ip_forward; echo x > /proc/sys/net/ipv4/ip_forward || echo refused' \
	"grep -v rror"
