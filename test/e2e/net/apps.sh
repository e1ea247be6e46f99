# SPDX-License-Identifier: Apache-2.0
# test/e2e/net/apps.sh - the rows of net_apps.sh; sourced by it
# shellcheck shell=bash disable=SC2016,SC2154

# ---- asking whether somebody is there -----------------------------------------------------------------------------------
noms="sed -E 's/time[ =<]*[0-9.]+ ?ms/TIME/g; s/rtt .*/RTT/; s/, pipe [0-9]+//; s/, ipg.*//'"
same ping 20 'ping -n -c 3 -i 0.2 -W 5 $PEER; echo $?' "$noms"
same ping6 20 'ping -n -c 3 -i 0.2 -W 5 $PEER6; echo $?' "$noms"
same ping-lo 20 'ping -n -c 2 -i 0.2 127.0.0.1; ping -n -c 2 -i 0.2 ::1; ping -n -q -c 2 -i 0.2 $SELF' "$noms"
same ping-far 20 'ping -n -c 2 -i 0.2 -W 5 $FAR; ping -n -c 2 -i 0.2 -W 5 -s 6000 $FAR; ping -n -c 1 -W 5 -s 6000 $FAR6' "$noms"
same ping-ttl 20 'ping -n -c 2 -i 0.2 -t 1 -W 5 $FAR; ping -n -c 1 -t 1 -W 5 $FAR6; echo $?' "$noms"
same ping-unreachable 30 'ping -n -c 1 -W 6 $OTHER; echo $?; ping -n -c 1 -W 2 10.200.0.1; echo $?' "$noms | sed 's/From .* icmp_seq=1 /From X /'"
same ping-df 20 'ping -n -c 1 -M do -s 4000 $PEER; echo $?; ping -n -c 1 -M do -s 1472 -W 5 $PEER; echo $?' "$noms"
same ping-flood 30 'ping -n -q -f -c 300 -W 5 $PEER; echo $?' "$noms"
same ping-options 20 'ping -n -c 1 -R -W 5 $PEER; ping -n -c 1 -I eth0 -W 5 $PEER; ping -n -c 1 -I $SELF -W 5 $PEER; ping -n -c 1 -p ff00 -W 5 $PEER; ping -c 1 nosuch.test; echo $?' "$noms"
same ping-timestamp 20 'ping -n -c 1 -T tsonly -W 5 $PEER | grep -c "TS:\|SELF\|bytes from"' "$noms"
same ping-user 20 'setpriv --reuid=1000 --regid=1000 --clear-groups --no-new-privs ping -n -c 2 -i 0.3 -W 5 $PEER; echo $?' "$noms"
same fping 20 'fping -c 2 -p 100 $PEER $FAR 127.0.0.1 2>/dev/null | cut -d, -f1,2 | sort; fping -a $PEER $FAR; fping6 $PEER6'
same arping 20 'arping -c 2 -I eth0 -w 5 $PEER | sed "s/\[.*//"; echo $?'
same traceroute 40 'traceroute -n -w 3 $PEER; traceroute -n -w 3 $FAR; traceroute -n -w 3 -I $FAR; traceroute -6 -n -w 3 $FAR6' "sed -E 's/ +[0-9.]+ ms/ ms/g'"
same traceroute-tcp 40 'traceroute -n -w 3 -T -p 8080 $PEER; traceroute -n -w 3 -T -p 81 $FAR; traceroute -n -w 3 -U -p 53 $FAR' "sed -E 's/ +[0-9.]+ ms/ ms/g'"
same tracepath 40 'tracepath -n -m 5 $FAR; tracepath -6 -n -m 5 $FAR6' "sed -E 's/ +[0-9.]+ms/ ms/g'"
same mtr 40 'mtr -n -r -c 2 -i 0.3 $FAR | grep -o "[0-9.|-]* *[A-Z0-9.]*  *[0-9.]*%"; mtr -n -r -c 2 -i 0.3 -u $FAR | grep -c "0.0%"' "sed -E 's/ +/ /g'"
same hping 30 'hping3 -n -c 2 -i u300000 -S -p 8080 $PEER 2>&1 | grep -o "flags=.. "; hping3 -n -c 1 -S -p 82 $PEER 2>&1 | grep -o "flags=.. "; hping3 -n -1 -c 1 $PEER 2>&1 | grep -o "^len=[0-9]*"; hping3 -n -2 -c 1 -p 99 $PEER 2>&1 | grep -io "port unreachable"'

# ---- the web ----------------------------------------------------------------------------------------------------------
same curl 30 'curl -s http://$PEER:8080/hello.txt; curl -s -w "%{http_code} %{size_download} %{local_ip} %{remote_ip}:%{remote_port}\n" -o /dev/null http://$PEER:8080/blob; curl -s "http://[$PEER6]:8080/blob" | md5sum
	curl -s -r 100-199 http://$PEER:8080/blob | md5sum; head -c 2000000 /srv/blob | curl -s --data-binary @- http://$PEER:8080/x | md5sum; curl -s -o /dev/null -w "%{http_code}\n" http://$PEER:8080/none
	curl -s http://$PEER:83/; echo $?; curl -s -m 2 http://10.77.1.1:83/; echo $?; curl -s --interface eth0 http://$PEER:8080/hello.txt; curl -s --local-port 5500-5600 http://$PEER:8080/hello.txt; curl -s http://peer.nosuch/; echo $?'
same curl-parallel 40 'seq 20 | sed "s,.*,url=http://$PEER:8080/blob?&\noutput=p&," > l; curl -s --no-progress-meter -Z -K l 2>/dev/null; md5sum p* | cut -c1-32 | sort | uniq -c | tr -s " "'
same curl-tls 30 'curl -s --cacert /srv/cert.pem --resolve peer.test:4433:$PEER https://peer.test:4433/ | grep -c "Cipher\|TLS"; curl -s --resolve peer.test:4433:$PEER https://peer.test:4433/; echo $?'
same wget 30 'wget -q -O - http://$PEER:8080/hello.txt; wget -q -O - http://$PEER:8080/blob | md5sum; wget -q "http://[$PEER6]:8080/blob"; md5sum < blob; wget -q -t 1 http://$PEER:84/; echo $?; http_proxy=http://$PEER:3128 wget -q -O - http://any.test/hello.txt'
same nginx 60 'printf "worker_processes 2; daemon on; pid /tmp/ngx.pid; error_log /tmp/ngx.err; events { worker_connections 256; } http { access_log off; sendfile on; tcp_nopush on; server { listen 8081; listen [::]:8081; root /srv; } server { listen 8082 reuseport; listen unix:/tmp/ngx.sock; location / { proxy_pass http://127.0.0.1:8081; } } }" > n.conf; nginx -c /tmp/n.conf 2>/dev/null; sleep 0.5
	for u in 127.0.0.1:8081 "[::1]:8081" 127.0.0.1:8082 $SELF:8081; do curl -s http://$u/blob | md5sum; done; curl -s --unix-socket /tmp/ngx.sock http://x/hello.txt; curl -s -r 5-9 http://127.0.0.1:8081/blob | md5sum
	ab -q -n 500 -c 10 -k http://127.0.0.1:8081/hello.txt 2>&1 | grep "Complete requests\|Failed requests"; ab -q -n 200 -c 10 http://127.0.0.1:8082/hello.txt 2>&1 | grep "Complete requests\|Failed requests"
	wrk -t 2 -c 20 -d 2s http://127.0.0.1:8081/hello.txt | grep -c "Socket errors\|Non-2xx"; wrk -t 2 -c 20 -d 1s http://127.0.0.1:8081/hello.txt | grep -c "requests in"; kill $(cat /tmp/ngx.pid); cat /tmp/ngx.err'
wanted nginx-from-host && {
	up 20 'printf "daemon on; pid /tmp/ngh.pid; error_log /tmp/ngh.err; events { } http { access_log off; sendfile on; server { listen 8083; listen [::]:8083; root /srv; } }" > nh.conf; nginx -c /tmp/nh.conf 2>/dev/null'
	check nginx-from-host bash -c "cmp <(ip netns exec $h curl -s http://10.77.0.2:8083/blob) $work/www/blob && cmp <(ip netns exec $f curl -s 'http://[fd77::2]:8083/blob') $work/www/blob"
	check nginx-wrk-from-host bash -c "ip netns exec $h timeout 20 wrk -t 2 -c 30 -d 2s http://10.77.0.2:8083/hello.txt | tee /dev/stderr | grep -q 'requests in' && ip netns exec $h timeout 30 ab -q -n 500 -c 20 http://10.77.0.2:8083/hello.txt | grep -q 'Failed requests: *0'"
	inside 10 'kill $(cat /tmp/ngh.pid)'
}
same openssl 40 'openssl s_server -accept 4500 -cert /srv/cert.pem -key /srv/key.pem -www -quiet >/dev/null 2>&1 & sleep 1; for v in -tls1_2 -tls1_3; do printf "GET / HTTP/1.0\r\n\r\n" | timeout 10 openssl s_client -connect 127.0.0.1:4500 -CAfile /srv/cert.pem $v -quiet 2>/dev/null | head -1; done; echo | timeout 10 openssl s_client -connect $PEER:4433 -CAfile /srv/cert.pem 2>/dev/null | grep "Verify return code" | head -1; kill %1' "grep -v Terminated"
same openssl-dtls 40 'sleep 8 | openssl s_server -dtls -accept 4501 -cert /srv/cert.pem -key /srv/key.pem > d.out 2>&1 & sleep 1; (sleep 1; echo over dtls; sleep 1) | timeout 10 openssl s_client -dtls -connect 127.0.0.1:4501 >/dev/null 2>&1; grep -c "over dtls" d.out; kill %1' "grep -v Terminated"
same apt 90 'mkdir -p a/{etc/apt.conf.d,etc/preferences.d,etc/trusted.gpg.d,lists/partial,cache/archives/partial,lib} && echo "deb [trusted=yes] http://archive.test/debian ./" > a/etc/sources.list; touch a/status
	o="-o Dir::Etc=/tmp/a/etc -o Dir::State::lists=/tmp/a/lists -o Dir::State::status=/tmp/a/status -o Dir::Cache=/tmp/a/cache -o Acquire::http::Proxy=http://$PEER:3128 -o APT::Sandbox::User=root -o Acquire::Languages=none -o APT::Architecture=amd64"
	apt-get $o update 2>&1 | grep -c "^Get:\|^Hit:"; apt-get $o install --download-only -y -qq apps-probe 2>&1 | grep -v "^[(WE]" | head -5; ls a/cache/archives | grep -c probe; dpkg-deb -c a/cache/archives/apps-probe*.deb | wc -l; dpkg-deb -x a/cache/archives/apps-probe*.deb x; cat x/opt/probe'
same python 60 'python3 -c "
import urllib.request as u, socket, hashlib, sys
b = \"http://\" + sys.argv[1] + \":8080/\"
print(hashlib.md5(u.urlopen(b + \"blob\", timeout=20).read()).hexdigest())
from concurrent.futures import ThreadPoolExecutor as T
print(sum(T(16).map(lambda i: len(u.urlopen(b + \"x\", data=bytes( i * 100 + 1), timeout=20).read()), range(60))))
s = socket.create_server((\"\", 0), family=socket.AF_INET6, dualstack_ipv6=True); c = socket.create_connection((\"127.0.0.1\", s.getsockname()[1])); a, n = s.accept(); print(n[0], a.getpeername()[0]); c.sendall(b\"y\" * 100000); c.close(); n = 0
while d := a.recv(65536): n += len(d)
print(n)
" $PEER 2>&1 | tail -5'

# ---- pipes over the network --------------------------------------------------------------------------------------------
same nc 40 'nc -l -N 5001 < /srv/hello.txt > got & sleep 0.4; echo to the server | nc -N 127.0.0.1 5001; wait; cat got; echo over v6 | nc -N -6 $PEER6 7000; nc -z -v -w 3 $PEER 8080; nc -z -v -w 3 $PEER 85; echo $?
	nc -u -l 5002 > gu & sleep 0.3; echo datagram | nc -u -w 1 127.0.0.1 5002; sleep 0.2; kill %1 2>/dev/null; wait 2>/dev/null; cat gu; echo shout | nc -u -w 1 $PEER 7001; nc -lU /tmp/ncs > gx & sleep 0.3; echo local | nc -NU /tmp/ncs; wait; cat gx; head -c 3000000 /srv/blob | nc -N $PEER 7000 | md5sum' "grep -v '^.*Terminated' | sed 's/\[tcp.*\]//; s/([0-9a-z.]*)//'"
same ncat 60 'up() { for i in $(seq 200); do ss -Hltn "sport = :$1" | grep -q . && return; sleep 0.1; done; }
	say() { : > $2; echo "$1"; for k in $(seq 200); do grep -q "$1" $2 && break; sleep 0.1; done; } # and holds the line until it has come
	ncat -l 5003 -k -e /bin/cat 2>/dev/null & up 5003; for i in 1 2 3; do say "ncat $i" o | ncat 127.0.0.1 5003 > o; cat o; done; ncat -l 5004 --ssl > ns & up 5004; say "over tls" ns | ncat --ssl 127.0.0.1 5004; cat ns; ncat --sctp -z 127.0.0.1 1 > /dev/null 2>&1; echo $?; kill %1 %2' "grep -v Terminated"
same socat-tcp 30 'socat TCP-LISTEN:5010,fork,reuseaddr SYSTEM:"rev" & socat TCP6-LISTEN:5012,ipv6only=0,reuseaddr,fork EXEC:"tr a b" & sleep 0.5
	echo abc | socat -t 2 - TCP:127.0.0.1:5010; echo aaa | socat -t 2 - TCP4:127.0.0.1:5012; echo aaa | socat -t 2 - "TCP6:[::1]:5012,nodelay,keepalive,rcvbuf=70000"
	echo x | socat -t 2 - TCP:$PEER:7000,sourceport=6111,reuseaddr,so-linger=1,tcp-cork,keepidle=10,keepcnt=3,keepintvl=5; socat -u /dev/null TCP:127.0.0.1:99 2>&1 | grep -o "Connection refused"; kill %1 %2' "grep -v Terminated"
same socat-udp 30 'socat UDP-LISTEN:5011,fork EXEC:cat & sleep 0.5; echo udp | socat -t 1 - UDP:127.0.0.1:5011; echo v6 | socat -t 2 - "UDP6:[$PEER6]:7000"; kill %1; socat -u UDP4-RECV:5014,broadcast,bind=0.0.0.0 STDOUT > bc & sleep 0.4; echo all | socat -u - UDP4-DATAGRAM:127.255.255.255:5014,broadcast; sleep 0.4; kill %2; cat bc' "grep -v Terminated"
same socat-multicast 30 'socat -u UDP4-RECVFROM:5013,ip-pktinfo,ip-recvttl,ip-add-membership=239.1.2.3:127.0.0.1,reuseaddr STDOUT > mc & sleep 0.5; echo group | socat -u - UDP4-DATAGRAM:239.1.2.3:5013,ip-multicast-if=127.0.0.1,ip-multicast-ttl=0; sleep 0.5; cat mc; kill %1 2>/dev/null' "grep -v Terminated"
same socat-raw 30 'socat -u IP4-RECV:200 STDOUT > rw & sleep 0.4; echo rawproto | socat -u - IP4-SENDTO:127.0.0.1:200; sleep 0.4; kill %1; cat rw; socat -u SCTP-LISTEN:1 - 2>&1 | grep -o "Protocol not supported\|Socket type not supported" ' "grep -v Terminated"
tun=$(wanted socat-tun && inside 40 'socat TUN:10.90.0.1/24,iff-up,tun-name=tn0 UDP4:127.0.0.1:5020,bind=127.0.0.1:5021 & sleep 0.7; ip -o -4 addr show tn0 | grep -o "10.90.0.1/24"; (timeout 4 socat -u UDP4-RECV:5020,bind=127.0.0.1 STDOUT > tp & sleep 0.5; ping -n -c 1 -W 1 10.90.0.9 > /dev/null; wait); head -c 44 tp | xxd -s 16 -l 8 -p; kill %1; socat TUN,tun-type=tap,tun-name=tp0,iff-up EXEC:"sleep 9" & sleep 0.5; ip -o link show tp0 | grep -o "link/ether"; kill %2
	ip tuntap add dev kept mode tap && ip -o link show kept | grep -o "kept"; socat TUN,tun-type=tap,tun-name=kept,iff-up EXEC:"sleep 9" & sleep 0.5; ip -o link show kept | grep -o ",UP"; kill %3; sleep 0.3; ip link del kept; ip link show kept 2>/dev/null; echo end' | grep -v 'Terminated\|no such job\|in bad state')
check socat-tun test "$tun" = "$(printf '10.90.0.1/24\n0a5a00010a5a0009\nlink/ether\nkept\n,UP\nend')"
same dig 30 'dig +short @$PEER peer.test; dig +short @$PEER peer.test AAAA; dig +short +tcp @$PEER peer.test; dig +short @$PEER text.test TXT; dig +short @$PEER -x 10.79.0.2; dig +short @$PEER6 peer.test; getent ahosts peer.test | sort; host -t A peer.test | tail -1; nslookup peer.test | tail -4; dig +time=1 +tries=1 @$PEER -p 86 peer.test | grep -o "timed out\|connection refused\|no servers could be reached" | tail -1; dig @$PEER none.example | grep -o "status: [A-Z]*"; dig @$PEER peer.test +noall +answer'

# ---- the secure shell ----------------------------------------------------------------------------------------------------
same ssh-out 40 'o="-p 2222 root@$PEER"; ssh $o "echo remote \$((6*7)); exit 3"; echo $?; head -c 2000000 /srv/blob | ssh $o md5sum; ssh -tt $o "tty > /dev/null && echo tty" | tr -d "\r"; scp -q -P 2222 root@$PEER:'"$work"'/www/hello.txt . && cat hello.txt; rsync -a -e "ssh -p 2222" root@$PEER:'"$work"'/www/ w/ && diff -r w /srv && echo same
	ssh -f -N -L 5030:127.0.0.1:8080 -R 5031:127.0.0.1:5032 -o ExitOnForwardFailure=yes -S /tmp/m -M $o; curl -s http://127.0.0.1:5030/hello.txt; nc -l -N 5032 < /srv/hello.txt > /dev/null & sleep 0.3; ssh -S /tmp/m $o "nc -w 2 127.0.0.1 5031 < /dev/null"; ssh -S /tmp/m -O exit $o 2>/dev/null; ssh -D 5033 -f -N -S /tmp/m2 -M $o; curl -s --socks5 127.0.0.1:5033 http://127.0.0.1:8080/hello.txt; ssh -S /tmp/m2 -O exit $o 2>/dev/null; echo done'
wanted ssh-in && {
	up 10 '/usr/sbin/sshd -p 2201'
	host_ssh=(ip netns exec $h timeout 30 ssh -F none -i "$work/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR)
	check ssh-in bash -c '[ "$(head -c 1000000 "$1" | "${@:2}" -p 2201 root@10.77.0.2 "md5sum; hostname")" = "$(head -c 1000000 "$1" | md5sum; echo sandbox)" ]' x "$work/www/blob" "${host_ssh[@]}"
	check ssh-in-status bash -c '"$@"; [ $? -eq 7 ]' x "${host_ssh[@]}" -p 2201 root@10.77.0.2 'exit 7'
	check ssh-in-tty bash -c '[ "$("$@" | tr -d "\r")" = "$(printf "on a tty\n24 80")" ]' x "${host_ssh[@]}" -tt -p 2201 root@10.77.0.2 'stty rows 24 cols 80; tty > /dev/null && echo on a tty; stty size'
	check rsync-in bash -c 'ip netns exec '$h' timeout 30 rsync -a -e "ssh -F none -p 2201 -i '"$work"'/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR" root@10.77.0.2:/srv/ '"$work"'/back/ && diff -r '"$work/back $work"'/www && ip netns exec '$h' timeout 30 rsync -a -e "ssh -F none -p 2201 -i '"$work"'/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR" '"$work"'/www/ root@10.77.0.2:/root/pushed/'
	up 10 'diff -r /root/pushed /srv && echo pushed' | grep -q pushed && ok net_apps/rsync-pushed || not_ok net_apps/rsync-pushed differs
}
same rsyncd 40 'printf "use chroot=no\nuid=0\ngid=0\n[m]\npath=/srv\n" > r.conf; rsync --daemon --no-detach --port=5040 --config=r.conf & sleep 0.5; rsync -a rsync://127.0.0.1:5040/m/ c/ && diff -r c /srv && echo same; kill %1' "grep -v Terminated"

# ---- measuring -----------------------------------------------------------------------------------------------------------
same iperf3 90 'j() { # the server may still be ending the client before
	for i in $(seq 100); do iperf3 -J -t 1 "$@" > j; grep -q "server is busy" j || break; sleep 0.2; done; jq -c "[(.error // \"fine\"), ((.end.sum_received.bytes // .end.sum.bytes) > 100000)]" j; }; j -c $PEER; j -c $PEER -R; j -c $PEER -P 4; j -c $PEER6; j -c $PEER -u -b 20M; j -c $PEER -u -b 20M -R; j -c $PEER --bidir; j -c $PEER -w 200K -M 1000; j -c $PEER -C reno; j -c $PEER -Z; iperf3 -s -1 -p 5050 >/dev/null & sleep 0.4; j -c 127.0.0.1 -p 5050'
wanted iperf3-in && {
	up 10 'iperf3 -s -D -p 5051'
	check iperf3-in bash -c "ip netns exec $h timeout 20 iperf3 -J -t 1 -c 10.77.0.2 -p 5051 | jq -e '.end.sum_received.bytes > 100000' && ip netns exec $h timeout 20 iperf3 -J -u -b 20M -t 1 -R -c 10.77.0.2 -p 5051 | jq -e '.end.sum.bytes > 100000'"
}

# ---- databases -------------------------------------------------------------------------------------------------------------
same redis 60 'redis-server --port 6400 --bind 0.0.0.0 :: --protected-mode no --save "" --daemonize yes --logfile /dev/null > /dev/null; for i in $(seq 50); do redis-cli -p 6400 ping > /dev/null 2>&1 && break; sleep 0.1; done; redis-cli -p 6400 set a 5; redis-cli -h ::1 -p 6400 incr a; redis-cli -h $SELF -p 6400 client list | grep -c addr=
	redis-benchmark -p 6400 -n 4000 -c 20 -q -t set,get,lpush,mset | tr "\r" "\n" | grep -c "requests per second"; redis-benchmark -p 6400 -n 4000 -P 16 -q -t get | tr "\r" "\n" | grep -c "requests per second"; : > sub; (timeout 20 redis-cli -p 6400 subscribe ch > sub 2> /dev/null & for i in $(seq 100); do grep -q subscribe sub && break; sleep 0.1; done; redis-cli -p 6400 publish ch hi; for i in $(seq 100); do grep -q ^hi sub && break; sleep 0.1; done); grep -c "^hi" sub; redis-cli -p 6400 shutdown nosave; echo done'
same postgres 120 'd=$(mktemp -d /tmp/pg.XXXXXX); chown postgres $d; cd $d; setpriv --reuid=postgres --regid=postgres --clear-groups bash -c "
$PG/initdb -D d -A trust > /dev/null 2>&1; echo initdb \$?; echo \"host all all 0.0.0.0/0 trust\" >> d/pg_hba.conf
$PG/pg_ctl -w -D d -o \"-p 5499 -k \$d -h 0.0.0.0,::\" -l log start > /dev/null; echo start \$?
for a in 127.0.0.1 ::1 $SELF; do $PG/psql -h \$a -p 5499 -d postgres -Atc \"select 6*7, inet_server_port(), family(inet_client_addr())\"; done
$PG/psql -h 127.0.0.1 -p 5499 -d postgres -Atc \"create table t as select generate_series(1,10000) a; select count(*), sum(a) from t; select count(*) from pg_stat_activity where client_port > 0\"
$PG/pgbench -h 127.0.0.1 -p 5499 -i -q postgres > /dev/null 2>&1; $PG/pgbench -h $SELF -p 5499 -c 4 -j 2 -t 50 postgres 2>/dev/null | grep -o \"processed: 200/200\"
$PG/psql -h 127.0.0.1 -p 5499 -d postgres -Atc \"copy (select generate_series(1,200000)) to stdout\" | md5sum
$PG/pg_ctl -w -D d stop > /dev/null; echo stop \$?"'

# ---- the three that were called impossible -----------------------------------------------------------------------------------
nm="sed -E 's/ ?\([0-9.]+s latency\)//; s/ in [0-9.]+ seconds/ in T/; /^Starting/d; s/MAC Address: .*/MAC/; s/Nmap scan report for .*\(/for (/; /rDNS/d'"
pre='(nc -l -k 127.0.0.1 9101 > /dev/null & nc -l -k 127.0.0.1 9103 > /dev/null & nc -u -l 127.0.0.1 9105 > /dev/null & echo $! > pids); jobs -p > /dev/null; nc -lk 127.0.0.1 9107 > /dev/null & sleep 0.4;'
same nmap-connect 60 "$pre"' nmap -n -sT -p 9100-9108 127.0.0.1; nmap -n -sT -p 8078-8082,2222 $PEER; nmap -n -sT -p 22,80 $FAR; nmap -6 -n -sT -p 8080,8081 $PEER6; pkill -f "nc -.*910" ' "$nm"
same nmap-syn 60 "$pre"' nmap -n -sS -p 9100-9108 127.0.0.1; nmap -n -sS -p 8078-8082,2222 $PEER; nmap -n -sS -p 22,80 $FAR; nmap -6 -n -sS -p 8080,8081 $PEER6; pkill -f "nc -.*910"' "$nm"
same nmap-udp 90 "$pre"' nmap -n -sU -p 9104-9106 127.0.0.1; nmap -n -sU -p 53,7000,87-88 $PEER; pkill -f "nc -.*910"' "$nm"
same nmap-more 90 'nmap -n -sn $PEER $FAR; nmap -n -sn -PE $FAR; nmap -n -sA -p 8080 $PEER; nmap -n -sF -p 88,8080 $PEER; nmap -n -sX -p 88 $PEER; nmap -n -sO -p 1,6,17 $PEER; nmap -n -sV -p 8080 $PEER | grep -o "http  *[A-Za-z]*"; nmap -n -sT --script=banner -p 2222 $PEER | grep -o "SSH-2.0"; nmap -n --traceroute -sn $FAR | grep -c "^[12] "; nmap --iflist | grep -o "^\(lo\|eth0\) "' "$nm"
same nping 40 'nping -c 2 --delay 200ms --icmp $FAR | grep -o "Rcvd: [0-9]*"; nping -c 1 --tcp -p 8080 $PEER | grep -o "Rcvd: [0-9]*"; nping -c 1 --arp $PEER | grep -o "Rcvd: [0-9]*"' 
same netstat 30 'nc -lk 127.0.0.1 9201 > /dev/null & nc -6 -lk ::1 9202 > /dev/null & nc -u -l 9203 > /dev/null & sleep 0.5; (sleep 5 | nc 127.0.0.1 9201 > /dev/null &) ; sleep 1; netstat -tuln | grep 920 | sort; netstat -tn | grep -c ":9201 .*ESTABLISHED"; netstat -tnp | grep "127.0.0.1:9201 .*EST" | grep -o "/nc" | sort -u; netstat -rn | tail -n +3 | sort; netstat -i | cut -c1-15 | sort; netstat -s | grep -E "^(Ip|Icmp|Tcp|Udp|TcpExt):" | sort; netstat -xl > /dev/null && echo unix; netstat -g | grep -c 224.0.0.1; kill %1 %2 %3' "grep -v Terminated | sed -E 's/ +/ /g; s/127.0.0.1:[0-9]{5}/X/' | grep -v '^tun\|^d0'"
td="sed -E 's/ptype [0-9]+//; s/(seq|ack|val|ecr|id) [0-9]+(:[0-9]+)?/\1 N/g; s/10\.7[78]\.0\.2\.[0-9]+/SELF.P/; s/SELF\.[0-9]{5}/SELF.P/g; s/127.0.0.1\.[0-9]{5}/LO.P/g; s/win [0-9]+/win W/; s/cksum 0x[0-9a-f]+/ck/; s/\(0x[0-9a-f]+\)//; s/id [0-9]+/id N/g'"
same tcpdump-live 40 'tcpdump -n -t -i eth0 -c 4 icmp 2> err > out & for i in $(seq 50); do grep -qs listening err && break; sleep 0.1; done; ping -n -c 2 -i 0.2 -W 3 $PEER > /dev/null; wait; cat out | grep -o "IP .*echo.*, seq"; grep -o "listening on eth0.*\|[0-9] packets captured\|[0-9]* packets dropped by kernel" err' "$td"
same tcpdump-any 40 'timeout 20 tcpdump -n -t -i any -c 4 "icmp and (host 127.0.0.1 or host $PEER)" 2> err > out & for i in $(seq 50); do grep -qs listening err && break; sleep 0.1; done; ping -n -c 1 127.0.0.1 > /dev/null; ping -n -c 1 -W 3 $PEER > /dev/null; wait; cut -d, -f1 out | sed "s/IP//" | tr -s " " | head -4; grep -o "listening on any.*\|[0-9] packets captured" err' "$td"
same tcpdump-file 60 'tcpdump -n -U -B 8192 -i eth0 -w f.pcap "tcp port 8080" 2> err & for i in $(seq 50); do grep -qs listening err && break; sleep 0.1; done; curl -s http://$PEER:8080/blob | md5sum; sleep 0.5; kill -INT %1; wait; tcpdump -n -t -r f.pcap "tcp[tcpflags] & tcp-syn != 0" 2>/dev/null | grep -o "Flags.*seq\|Flags .S...\|mss [0-9]*\|wscale" ; tcpdump -n -r f.pcap -A 2>/dev/null | grep -o "GET /blob HTTP/1.1" | head -1; grep -o "packets dropped by kernel" err; tcpdump -n -r f.pcap "greater 100000" 2>/dev/null | wc -l; python3 -c "
import struct
d = open(\"f.pcap\", \"rb\").read(); at = 24; n = 0; s = set()
while at + 16 <= len(d):
    sec, us, cap, ln = struct.unpack(\"<IIII\", d[at:at+16]); p = d[at+16:at+16+cap]; at += 16 + cap
    ihl = (p[14] & 15) * 4; tl = struct.unpack(\">H\", p[16:18])[0]; th = (p[14+ihl+12] >> 4) * 4; sp = struct.unpack(\">H\", p[14+ihl:14+ihl+2])[0]
    if sp == 8080: n += tl - ihl - th
print(\"most of it\" if n >= 2000000 else n)
"' "$td"
for o in "--immediate-mode" "-B 4096" "-p" "-s 60" "--time-stamp-precision=nano" "-Q in" "-Q out" "-e -xx"; do
	same "tcpdump$(echo "$o" | tr -d ' ')" 20 'timeout 8 tcpdump -n -t -i eth0 -c 1 '"$o"' icmp 2> err > out & for i in $(seq 50); do grep -qs listening err && break; sleep 0.1; done; ping -n -c 2 -i 0.3 -W 3 $PEER > /dev/null; wait; echo "$(grep -o "[0-9]* packets* captured" err) $(grep -o "length [0-9]*" out | head -1) $(grep -o "echo [a-z]*" out | head -1)"'
done
same tcpdump-list 20 'tcpdump -D | cut -d" " -f1 | grep "lo$\|eth0\|any" | cut -d. -f2 | sort; timeout 8 tcpdump -i lo -c 1 -y EN10MB -n icmp 2>err >out & for i in $(seq 50); do grep -qs listening err && break; sleep 0.1; done; ping -n -c 1 127.0.0.1 >/dev/null; wait; cut -d, -f2- out' "sed 's/id [0-9]*/id N/'"
same ip-ss 40 'ping -n -c 1 -W 3 $PEER > /dev/null; ip -4 -o addr show eth0 | grep -o "inet [0-9./]* brd [0-9.]*"; ip route get $FAR | head -1; ip -6 route get $FAR6 | grep -o "via .* dev"; ip neigh show $PEER | grep -o "dev eth0 lladdr"; nc -lk 9301 > /dev/null & sleep 0.3; (sleep 2 | nc 127.0.0.1 9301 &); sleep 0.4; ss -Htnl sport = :9301; ss -Htni dport = :9301 | grep -o "wscale:\|rto:" | sort; ss -s | grep -c "^TCP"; ss -tnlp | grep -o "9301.*nc" | sed "s/.*nc/nc/"; kill %1; ss -Htan dport = :9301 | cut -d" " -f1' "grep -v Terminated | tr -s ' ' | sed -E 's/ +$//; s/dev eth0 src.*/dev/; s/uid .*//'"
