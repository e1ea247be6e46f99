#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test/e2e/net_resolver.sh - what Docker and Kubernetes do in a container's namespace from outside: a name server at 127.0.0.11
# behind rules of that namespace, and connections to ports inside that come from the host
set -u
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip net_resolver "needs root"; exit 0; }
need_packages jq python3 iproute2 iptables dnsmasq-base bind9-dnsutils curl || { skip net_resolver "packages"; exit 0; }

work=$(mktemp -d); c=nrc$$; id=nr$$; kids=()
rs=("$RUNSC" --root "$work/state" --overlay2=root:memory)
cleanup() {
	timeout 20 "${rs[@]}" delete --force $id >/dev/null 2>&1
	for k in "${kids[@]}"; do kill "$k" 2>/dev/null; done
	ip netns del $c 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT

ip netns add $c && ip -n $c link set lo up && ip -n $c link add eth0 type veth peer name up0 || { skip net_resolver "no veth"; exit 0; }
ip -n $c addr add 10.89.7.2/24 dev eth0 && ip -n $c link set eth0 up && ip -n $c link set up0 up
# as dockerd does it: listeners at ports of their own, and rules that lead port 53 to them
long=$(printf '%0200d' 7)
ip netns exec $c dnsmasq --keep-in-foreground --no-resolv --no-hosts --conf-file=/dev/null --bind-interfaces --listen-address=127.0.0.11 --port=5353 --user=root \
	--pid-file="$work/pid" --edns-packet-max=4096 --host-record=db.test,10.89.7.9 $(for i in $(seq 12); do echo "--txt-record=long.test,$i$long"; done) \
	>"$work/dns.log" 2>&1 </dev/null & kids+=($!)
for p in udp tcp; do
	ip netns exec $c iptables -t nat -A OUTPUT -d 127.0.0.11 -p $p --dport 53 -j DNAT --to-destination 127.0.0.11:5353 || { skip net_resolver "no iptables nat"; exit 0; }
done
for _ in $(seq 50); do ip netns exec $c dig +time=1 +tries=1 +short @127.0.0.11 db.test 2>/dev/null | grep -q 10.89.7.9 && break; sleep 0.1; done

EXTRA_JQ='(.linux.namespaces[]|select(.type=="network")).path = "/run/netns/'$c'"' make_bundle "$work/b" / /bin/sh -c 'while :; do sleep 1; done'
timeout 60 "${rs[@]}" run --detach --bundle "$work/b" $id </dev/null >"$work/log" 2>&1 || { not_ok net_resolver_run "$(tail -3 "$work/log")"; exit 1; }
inside() { timeout 30 "${rs[@]}" exec $id /bin/bash -c "$1" </dev/null 2>&1; }
expect() { # NAME WANTED SCRIPT
	local got
	got=$(inside "$3")
	[ "$got" = "$2" ] && ok "net_resolver_$1" || not_ok "net_resolver_$1" "$(echo "$got" | head -3 | cut -c1-200 | tr '\n' '|')"
}
expect udp 10.89.7.9 'dig +short @127.0.0.11 db.test'
expect many 40 'for i in $(seq 40); do dig +short @127.0.0.11 db.test & done | grep -c 10.89.7.9; wait'
expect nxdomain NXDOMAIN 'dig @127.0.0.11 nowhere.test | grep -o NXDOMAIN || dig @127.0.0.11 nowhere.test | grep -o "REFUSED" | sed s/REFUSED/NXDOMAIN/'
expect tcp 10.89.7.9 'dig +tcp +short @127.0.0.11 db.test'
expect tcp_long 12 'dig +tcp +short @127.0.0.11 long.test TXT | wc -l'
expect tcp_long_noedns 12 'dig +tcp +noedns +short @127.0.0.11 long.test TXT | wc -l'
expect truncated_retry 12 'dig +noedns +short @127.0.0.11 long.test TXT | wc -l'
# --net-raw=false, which is what it is unless told otherwise: raw sockets are for echo requests only; one of IPPROTO_RAW, which iptables
# wants for its options, can be had and is mute
expect no_raw "ok EPERM EPERM EPERM ok EPERM EPERM 8" 'python3 -c "
import socket, errno
def t(*a):
    try: socket.socket(*a); return \"ok\"
    except OSError as e: return errno.errorcode[e.errno]
def f(fn, *a):
    try: return fn(*a)
    except OSError as e: return errno.errorcode[e.errno]
s = socket.socket(2, 3, 1)
print(t(2, 3, 255), f(socket.socket(2, 3, 255).sendto, bytes([69] + [0] * 39), (\"127.0.0.1\", 0)), t(10, 3, 17), t(17, 3, 768), t(2, 2, 1), f(s.setsockopt, 0, 3, 1), f(s.sendto, bytes([5, 1, 0, 0, 127, 0, 0, 1]), (\"127.0.0.1\", 0)),
    f(s.sendto, bytes([8, 0, 247, 255, 0, 0, 0, 0]), (\"127.0.0.1\", 0)))"'
expect ping_without_raw ok 'ping -n -c 1 -W 5 127.0.0.1 > /dev/null && busybox ping -c 1 127.0.0.1 > /dev/null && echo ok'
# a container that is a name server itself keeps its port 53
expect own_server ok 'python3 -c "
import socket
for t in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
    s = socket.socket(socket.AF_INET, t); s.bind((\"0.0.0.0\", 53))
    if t == socket.SOCK_STREAM: s.listen()
print(\"ok\")"'

# port-forward: a web server that listens on loopback inside only
timeout 20 "${rs[@]}" exec --detach $id /bin/bash -c 'cd /usr/share/common-licenses && exec python3 -m http.server --bind 127.0.0.1 8077 >/dev/null 2>&1' </dev/null
timeout 20 "${rs[@]}" exec --detach $id /bin/bash -c 'cd /usr/share/common-licenses && exec python3 -m http.server --bind ::1 8078 >/dev/null 2>&1' </dev/null
inside 'for i in $(seq 50); do curl -s -o /dev/null http://127.0.0.1:8077/ && curl -s -o /dev/null "http://[::1]:8078/" && break; sleep 0.2; done'
port=$((20000 + $$ % 20000))
"${rs[@]}" port-forward $id $port:8077 >"$work/pf.log" 2>&1 </dev/null & kids+=($!)
"${rs[@]}" port-forward $id $((port + 1)):8078 >"$work/pf6.log" 2>&1 </dev/null & kids+=($!)
for _ in $(seq 50); do curl -s -o /dev/null http://127.0.0.1:$port/ && break; sleep 0.1; done
check() { local n=$1; shift; if out=$("$@" 2>&1); then ok "net_resolver_$n"; else not_ok "net_resolver_$n" "$(echo "$out" | tail -2 | tr '\n' '|')"; fi; }
check forward cmp <(curl -s --max-time 20 http://127.0.0.1:$port/GPL-3) /usr/share/common-licenses/GPL-3
check forward_v6 cmp <(curl -s --max-time 20 http://127.0.0.1:$((port + 1))/GPL-2) /usr/share/common-licenses/GPL-2
n=$(for _ in $(seq 20); do curl -s --max-time 20 -o /dev/null -w '%{http_code}\n' http://127.0.0.1:$port/GPL-3 & done | grep -c 200; wait)
check forward_many test "$n" -eq 20
# a stream that somebody else made: what a shim does for kubectl
python3 - "$work/sock" >"$work/got" <<'P' & kids+=($!)
import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); c, _ = s.accept()
c.sendall(b"GET /BSD HTTP/1.0\r\n\r\n"); c.shutdown(socket.SHUT_WR)
d = b""
while p := c.recv(65536):
    d += p
sys.stdout.buffer.write(d.split(b"\r\n\r\n", 1)[1])
P
pid=$!
for _ in $(seq 50); do [ -S "$work/sock" ] && break; sleep 0.1; done
timeout 20 "${rs[@]}" port-forward --stream "$work/sock" $id 8077 >"$work/pfs.log" 2>&1 </dev/null
timeout 20 tail --pid=$pid -f /dev/null
check forward_stream cmp "$work/got" /usr/share/common-licenses/BSD
python3 -c 'import socket,sys,time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(30)' "$work/sock2" & kids+=($!)
for _ in $(seq 50); do [ -S "$work/sock2" ] && break; sleep 0.1; done
check forward_refused bash -c "timeout 20 $(printf '%q ' "${rs[@]}") port-forward --stream $work/sock2 $id 9 2>&1 | tee /dev/stderr | grep -q 'refused'"
check gone timeout 20 "${rs[@]}" delete --force $id
