#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test/e2e/net_host.sh - --network=host: sockets of the host's stack, in a network namespace of the test's own. Each script runs
# natively in that namespace first; inside it must print the same.
set -u
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip net_host "needs root"; exit 0; }
for t in ip jq python3; do command -v $t > /dev/null || { skip net_host "needs $t"; exit 0; }; done
work=$(mktemp -d); n=nh$$
rs=("$RUNSC" --root "$work/state" --overlay2=root:memory)
cleanup() {
	[ -n "${server:-}" ] && kill "$server" 2> /dev/null
	ip netns del $n 2> /dev/null
	rm -rf "$work"
}
trap cleanup EXIT
ip netns add $n && ip -n $n link set lo up && ip -n $n link add d0 type veth peer name d1 && ip -n $n addr add 10.77.0.1/24 dev d0 &&
	ip -n $n link set d0 up && ip -n $n link set d1 up || { not_ok net_host/setup "no namespace with a link"; exit 1; }
ip netns exec $n sysctl -qw net.ipv4.ip_unprivileged_port_start=1024

no_ns='.linux.namespaces |= map(select(.type != "network"))'
by_path='.linux.namespaces |= map(if .type == "network" then .path = "/run/netns/'$n'" else . end)'
# inside EDIT FLAGS SCRIPT
inside() {
	EXTRA_JQ="$1" make_bundle "$work/b" / /bin/bash -c "export PATH=$PATH; cd /tmp; $3"
	ip netns exec $n timeout -k 5 60 "${rs[@]}" $2 run --bundle "$work/b" nh$$-$RANDOM < /dev/null 2>&1
}
same() {
	local a b
	b=$(cd "$work" && ip netns exec $n timeout 60 bash -c "$2" < /dev/null 2>&1)
	a=$(inside "$no_ns" --network=host "$2")
	if [ "$a" = "$b" ] && [ -n "$b" ]; then ok "net_host/$1"
	else not_ok "net_host/$1" "$(diff <(echo "$b") <(echo "$a") | head -6 | cut -c1-200 | tr '\n' '|')"
	fi
}

head -c 3000000 /dev/urandom > "$work/file"
sum=$(md5sum < "$work/file")
ip netns exec $n python3 -m http.server 8000 --bind 10.77.0.1 --directory "$work" > /dev/null 2>&1 < /dev/null &
server=$!
for _ in $(seq 50); do ip netns exec $n bash -c ': < /dev/tcp/10.77.0.1/8000' 2> /dev/null && break; sleep 0.1; done
ip netns exec $n bash -c ': < /dev/tcp/10.77.0.1/8000' || { not_ok net_host/setup "no server"; exit 1; }

same fetch 'python3 -c "
import urllib.request, hashlib
print(hashlib.md5(urllib.request.urlopen(\"http://10.77.0.1:8000/file\").read()).hexdigest())"'
same stream 'python3 - <<X
import socket, threading
for fam, addr in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    l = socket.socket(fam); l.bind((addr, 0)); l.listen()
    def serve():
        s, a = l.accept()
        n = 0
        while True:
            d = s.recv(100000)
            if not d: break
            n += len(d)
        s.sendall(b"%d" % n); s.close()
    t = threading.Thread(target=serve); t.start()
    c = socket.create_connection(l.getsockname()[:2])
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    c.sendall(b"x" * 5000000); c.shutdown(socket.SHUT_WR)
    print(fam.name, c.recv(20), c.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), c.recv(5)); t.join()
X'
same datagrams 'python3 - <<X
import socket
a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); a.bind(("127.0.0.1", 4777))
b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
a.setsockopt(socket.IPPROTO_IP, socket.IP_PKTINFO if hasattr(socket, "IP_PKTINFO") else 8, 1)
b.sendto(b"y" * 9000, a.getsockname())
d, anc, fl, src = a.recvmsg(100, 200)
print(len(d), [(l, t, len(x)) for l, t, x in anc], bool(fl & socket.MSG_TRUNC), src[0])
b.connect(("127.0.0.1", 9))
for _ in range(2):
    try: b.send(b"z"); b.settimeout(2); b.recv(1)
    except OSError as e: print(e.errno)
    except Exception as e: print(type(e))
try: b.sendto(b"q" * 70000, a.getsockname())
except OSError as e: print(e.errno)
X'
same waiting 'python3 - <<X
import socket, select, time, errno
l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen(); l.setblocking(False)
p = select.poll(); p.register(l, select.POLLIN)
print(p.poll(50))
c = socket.socket(); c.setblocking(False)
e = c.connect_ex(l.getsockname()); print(e in (0, errno.EINPROGRESS), len(p.poll(5000)))
s, _ = l.accept(); ep = select.epoll(); ep.register(s, select.EPOLLIN | select.EPOLLRDHUP)
print(ep.poll(0.05)); c.send(b"k"); print([x[1] for x in ep.poll(5)]); c.close(); print([x[1] for x in ep.poll(5)])
r = socket.socket()
print(r.connect_ex(("127.0.0.1", 1)) == errno.ECONNREFUSED)
s.settimeout(0.1); s.recv(1); print(s.recv(1))
X'
same low_port 'setpriv --reuid=65534 --clear-groups --inh-caps=-all --bounding-set=-all python3 -c "
import socket
s = socket.socket()
try: s.bind((\"127.0.0.1\", 80))
except OSError as e: print(e.errno)"'
same addresses 'ip -o -4 addr show d0 | grep -o "inet [0-9./]*"'
a=$(inside "$no_ns" --network=host 'unshare -rn bash -c "ip link set lo up; python3 -c \"import socket; print(socket.socket().connect_ex((\\\"10.77.0.1\\\", 8000)))\""' )
[ "$a" = 101 ] && ok net_host/own_namespace_inside || not_ok net_host/own_namespace_inside "$a"
a=$(inside "$no_ns" "" true); [[ $a == *"--network=host"* ]] && ok net_host/not_by_default || not_ok net_host/not_by_default "$a"
# a namespace by path, entered from outside it
EXTRA_JQ="$by_path" make_bundle "$work/b" / /bin/bash -c "exec 3<> /dev/tcp/10.77.0.1/8000; printf 'GET /file HTTP/1.0\r\n\r\n' >&3; sed '1,/^\r/d' <&3 | md5sum"
a=$(timeout -k 5 60 "${rs[@]}" --network=host run --bundle "$work/b" nhp$$ < /dev/null 2>&1)
[ "$a" = "$sum" ] && ok net_host/by_path || not_ok net_host/by_path "$a"
