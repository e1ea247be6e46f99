# SPDX-License-Identifier: Apache-2.0
# test/e2e/filter/effects.sh legacy|nft - what rules do to packets: two namespaces with a router between them; run natively and inside
set -u
sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
for n in ca cb; do ip netns add $n || echo netnsfail; done
ip link add va type veth peer name eth0 netns ca
ip link add vb type veth peer name eth0 netns cb
ip addr add 10.7.1.1/24 dev va; ip addr add 10.7.2.1/24 dev vb; ip link set va up; ip link set vb up; ip link set lo up
ip -6 addr add fd07:1::1/64 dev va nodad; ip -6 addr add fd07:2::1/64 dev vb nodad
ip netns exec ca sh -c 'ip addr add 10.7.1.2/24 dev eth0; ip -6 addr add fd07:1::2/64 dev eth0 nodad; ip link set eth0 up; ip link set lo up; ip route add default via 10.7.1.1; ip -6 route add default via fd07:1::1'
ip netns exec cb sh -c 'ip addr add 10.7.2.2/24 dev eth0; ip -6 addr add fd07:2::2/64 dev eth0 nodad; ip link set eth0 up; ip link set lo up'
sh -c 'echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'
sleep 0.5
ip netns exec cb /usr/bin/python3 -c '
import socket,threading
def serve(f,t,p,a):
    s=socket.socket(f,t); s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1); s.bind((a,p))
    if t==socket.SOCK_STREAM:
        s.listen(5)
        while 1:
            c,ad=s.accept(); d=c.recv(100); c.sendall(("%s %s"%(ad[0],d.decode())).encode()); c.close()
    while 1:
        d,ad=s.recvfrom(100000); s.sendto(("%s %d"%(ad[0],len(d))).encode(),ad)
for f,a in ((socket.AF_INET,"0.0.0.0"),(socket.AF_INET6,"::")):
    if f==socket.AF_INET6:
        import os
    for t in (socket.SOCK_STREAM,socket.SOCK_DGRAM):
        s=threading.Thread(target=serve,args=(f,t,5000 if f==socket.AF_INET else 5006,a)); s.start()
' & srv=$!
sleep 1
cat > /run/cl.py <<'X'
import socket,sys
kind,host,port,msg=sys.argv[1:5]
f=socket.AF_INET6 if ":" in host else socket.AF_INET
s=socket.socket(f,socket.SOCK_STREAM if kind=="tcp" else socket.SOCK_DGRAM); s.settimeout(3)
try:
    s.connect((host,int(port))); s.send(msg.encode() if not msg.isdigit() else b"x"*int(msg)); print(kind,host,port,s.recv(1000).decode())
except Exception as e: print(kind,host,port,"ERR",type(e).__name__)
X
cl() { ip netns exec ca timeout 10 /usr/bin/python3 /run/cl.py "$@"; }
T=iptables-$1
echo "--- masq"; $T -t nat -A POSTROUTING -o vb -j MASQUERADE
cl tcp 10.7.2.2 5000 hi; cl udp 10.7.2.2 5000 hi; cl udp 10.7.2.2 5000 5000
ip netns exec ca ping -c 2 -i 0.2 -W 2 10.7.2.2 | grep transmitted | sed 's/, time.*//'
echo "--- conntrack"; conntrack -L 2>/dev/null | sed -E 's/(sport|dport|id)=[0-9]+/\1=X/g; s/(tcp|udp|icmp) +([0-9]+) [0-9]+/\1 \2 T/' | sort
echo "--- dnat"; $T -t nat -A PREROUTING -i va -p tcp --dport 80 -j DNAT --to-destination 10.7.2.2:5000
cl tcp 10.7.1.1 80 hello
echo "--- dnat to closed"; $T -t nat -A PREROUTING -i va -p udp --dport 81 -j DNAT --to-destination 10.7.2.2:9
cl udp 10.7.1.1 81 x
echo "--- snat"; $T -t nat -I POSTROUTING -o vb -p tcp -j SNAT --to-source 10.7.2.77; ip addr add 10.7.2.77/24 dev vb
cl tcp 10.7.2.2 5000 snat
echo "--- reject"; $T -A FORWARD -p tcp --dport 6000 -j REJECT --reject-with tcp-reset; $T -A FORWARD -p udp --dport 6000 -j REJECT
cl tcp 10.7.2.2 6000 x; cl udp 10.7.2.2 6000 x
$T -A FORWARD -p tcp --dport 6001 -j REJECT --reject-with icmp-host-unreachable; cl tcp 10.7.2.2 6001 x
echo "--- drop"; $T -A FORWARD -p tcp --dport 5000 -m conntrack --ctstate NEW -j DROP; cl tcp 10.7.2.2 5000 x; $T -D FORWARD -p tcp --dport 5000 -m conntrack --ctstate NEW -j DROP
echo "--- estab policy"; $T -P FORWARD DROP; $T -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; $T -A FORWARD -i va -o vb -p tcp --dport 5000 -j ACCEPT
cl tcp 10.7.2.2 5000 ok; cl udp 10.7.2.2 5000 no
$T -P FORWARD ACCEPT
echo "--- redirect"; /usr/bin/python3 -c '
import socket
s=socket.socket(); s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1); s.bind(("0.0.0.0",7777)); s.listen(5)
while 1:
    c,a=s.accept(); d=c.getsockopt(0,80,16); c.recv(10); c.sendall(("orig %s:%d" % (socket.inet_ntoa(d[4:8]), int.from_bytes(d[2:4],"big"))).encode()); c.close()
' & r=$!
sleep 0.7; $T -t nat -A PREROUTING -p tcp --dport 7000 -j REDIRECT --to-ports 7777; cl tcp 10.7.2.2 7000 x; cl tcp 10.7.1.1 7000 x
$T -t nat -A OUTPUT -p tcp --dport 7001 -j REDIRECT --to-ports 7777; timeout 9 /usr/bin/python3 /run/cl.py tcp 10.7.2.2 7001 x
echo "--- original destination of a dual-stack server"; /usr/bin/python3 -c '
import socket
s=socket.socket(socket.AF_INET6); s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1); s.bind(("::",7778)); s.listen(5)
c,a=s.accept(); d=c.getsockopt(0,80,16); c.recv(10); c.sendall(("orig %s:%d" % (socket.inet_ntoa(d[4:8]), int.from_bytes(d[2:4],"big"))).encode()); c.close()
' & sleep 0.7; $T -t nat -A PREROUTING -p tcp --dport 7100 -j REDIRECT --to-ports 7778; cl tcp 10.7.2.2 7100 x
echo "--- output reject/drop"; $T -A OUTPUT -p tcp --dport 7002 -j REJECT;  timeout 9 /usr/bin/python3 /run/cl.py tcp 10.7.2.2 7002 x; $T -A OUTPUT -p udp --dport 7003 -j DROP;  timeout 9 /usr/bin/python3 /run/cl.py udp 10.7.2.2 7003 x; $T -A OUTPUT -p udp --dport 7004 -j REJECT;  timeout 9 /usr/bin/python3 /run/cl.py udp 10.7.2.2 7004 x
echo "--- owner"; $T -A OUTPUT -p tcp --dport 5000 -m owner --uid-owner 1234 -j REJECT; timeout 9 /usr/bin/python3 /run/cl.py tcp 10.7.2.2 5000 root;  timeout 9 setpriv --reuid 1234 --clear-groups /usr/bin/python3 /run/cl.py tcp 10.7.2.2 5000 user
echo "--- counters"; $T -A INPUT -p icmp -m comment --comment cnt; ip netns exec ca ping -c 3 -i 0.2 -W 2 10.7.1.1 >/dev/null; $T -nvxL INPUT | grep cnt | awk '{print $1,$2}'
echo "--- notrack"; $T -t raw -A PREROUTING -p icmp -j CT --notrack;  $T -A INPUT -m conntrack --ctstate UNTRACKED -m comment --comment untr; ip netns exec ca ping -c 3 -i 0.2 -W 2 10.7.1.1 >/dev/null; $T -nvxL INPUT | grep untr | awk '{print $1}'
echo "--- mark+limit"; $T -t mangle -A PREROUTING -p icmp -j MARK --set-mark 7; $T -I INPUT -m mark --mark 7 -m comment --comment mk; $T -I INPUT -p icmp -m limit --limit 1/min --limit-burst 2 -m comment --comment lim; ip netns exec ca ping -c 4 -i 0.2 -W 2 10.7.1.1 >/dev/null; $T -nvxL INPUT | egrep 'mk|lim' | awk '{print $1}'
echo "--- mss";  $T -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 600; cl tcp 10.7.2.2 5000 mss
T6=ip6tables-$1
echo "--- v6"; cl tcp fd07:2::2 5006 none;  ip netns exec cb ip -6 route add fd07:1::/64 via fd07:2::1; cl tcp fd07:2::2 5006 routed
$T6 -t nat -A POSTROUTING -o vb -j MASQUERADE; cl tcp fd07:2::2 5006 masq; cl udp fd07:2::2 5006 4000
$T6 -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination [fd07:2::2]:5006; cl tcp fd07:1::1 80 dnat
$T6 -A FORWARD -p tcp --dport 6000 -j REJECT --reject-with tcp-reset; cl tcp fd07:2::2 6000 x; $T6 -A FORWARD -p udp --dport 6000 -j REJECT; cl udp fd07:2::2 6000 x
ip netns exec ca ping -6 -c 2 -i 0.2 -W 2 fd07:2::2 | grep transmitted | sed 's/, time.*//'
echo "--- traceroute/mtu"; ip netns exec ca ping -t 1 -c 1 -W 2 10.7.2.2 | grep -ci exceeded
echo "--- log"; $T -I FORWARD -p udp --dport 6009 -j LOG --log-prefix "nftest "; cl udp 10.7.2.2 6009 x >/dev/null; # natively a namespace of its own does not log
[ -e /proc/sys/kernel/ngroups_max ] && ! dmesg 2>/dev/null | head -1 | grep -q gVisor || dmesg | grep -c "nftest IN=va OUT=vb .*SRC=10.7.1.2 DST=10.7.2.2 .*PROTO=UDP .*DPT=6009" | sed 's/^0$/nothing logged/; s/^[1-9].*//' | grep . || true
echo "--- flush"; conntrack -F 2>/dev/null; conntrack -C; 
kill $srv $r; ip netns del ca; ip netns del cb
