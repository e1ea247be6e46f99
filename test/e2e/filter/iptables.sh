# SPDX-License-Identifier: Apache-2.0
# test/e2e/filter/iptables.sh legacy|nft - rules of every kind in and out of iptables and ip6tables; run natively and inside
I=iptables-$1 I6=ip6tables-$1 S=iptables-$1-save S6=ip6tables-$1-save R=iptables-$1-restore
echo "--- rules"
$I -A INPUT -p tcp --dport 80 -j DROP
$I -t nat -A OUTPUT -p tcp --dport 8080 -j REDIRECT --to-ports 9090
$I -t nat -A POSTROUTING -s 10.0.0.0/8 ! -o lo -j MASQUERADE --random
$I -t nat -A PREROUTING -i eth+ -p udp --dport 53 -j DNAT --to-destination 10.1.2.3-10.1.2.9:5353
$I -t nat -A POSTROUTING -p tcp -d 9.9.9.9 -j SNAT --to-source 1.2.3.4:1000-2000
$I -N USER; $I -N USER2
$I -A USER -m limit --limit 5/min --limit-burst 7 -j LOG --log-prefix "x: " --log-level 4
$I -A USER -m mark --mark 0x5/0xff -j RETURN
$I -A USER -g USER2
$I -A USER2 -m owner --uid-owner 0 -j ACCEPT 2>&1
$I -A FORWARD -j USER
$I -A OUTPUT -m conntrack --ctstate NEW,ESTABLISHED -m comment --comment hi -j ACCEPT
$I -A INPUT -m state --state INVALID -j DROP
$I -A INPUT -m addrtype --dst-type LOCAL -m iprange --src-range 1.1.1.1-2.2.2.2 -j REJECT
$I -A INPUT -p icmp --icmp-type echo-request -m length --length 100:200 -j DROP
$I -A INPUT -m statistic --mode nth --every 3 --packet 0 -m pkttype --pkt-type broadcast -j ACCEPT
$I -A INPUT -m statistic --mode random --probability 0.5 -m mac --mac-source 00:11:22:33:44:55 -j ACCEPT
$I -A INPUT -m ttl --ttl-lt 5 -j DROP
$I -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
$I -t mangle -A PREROUTING -j MARK --set-xmark 0x1/0xff
$I -t mangle -A PREROUTING -j CONNMARK --save-mark
$I -t mangle -A OUTPUT -m tcp -p tcp -m tcpmss --mss 500:1000 -j DSCP --set-dscp 10
$I -t mangle -A OUTPUT -j TTL --ttl-set 33
$I -t mangle -A OUTPUT -m tos --tos 0x10/0x3f -j TOS --set-tos 0x08/0x3f
$I -t raw -A PREROUTING -m rpfilter --loose --invert -j DROP
$I -t raw -A PREROUTING -p udp --dport 53 -j CT --notrack
$I -t raw -A OUTPUT -p udp --dport 54 -j NOTRACK
$I -P FORWARD DROP
$I -A USER2 -j USER 2>&1
$I -X USER 2>&1
$I -D INPUT 1
$I -I INPUT 2 -p tcp -m multiport ! --sports 1,2:5 -j ACCEPT
$I -t nat -A INPUT -j SNAT --to 1.1.1.1
$I -C INPUT -m ttl --ttl-lt 5 -j DROP; echo check $?
$I6 -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j ACCEPT
$I6 -A INPUT -p tcp -m tcp --tcp-option 5 -m hl --hl-eq 64 -j REJECT --reject-with tcp-reset
$I6 -A INPUT -j REJECT --reject-with icmp6-adm-prohibited
$I6 -t nat -A POSTROUTING -s fd00::/8 -j MASQUERADE --to-ports 1-2 2>&1
$I6 -t nat -A POSTROUTING -s fd00::/8 -j MASQUERADE
$I6 -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination [fd00::1]:8080
echo "--- listing"
$S | grep -v "^#"; $S6 | grep -v '^#'
echo "--- restore"
$S > /run/sv; $I -F; $I -t nat -F; $R < /run/sv; echo restore $?
$S | grep -v "^#"
echo "--- counters"
$I -Z; $I -A OUTPUT -o lo -p icmp -j ACCEPT -c 5 500; $I -nvxL OUTPUT | grep -c ' 5 *500 '
echo "--- refused"
for a in "-A INPUT -p tcp --dport 1 -j NOSUCH" "-t nat -A INPUT -j DNAT --to 1.1.1.1" "-A FORWARD -j MASQUERADE" "-N INPUT" "-X NOCHAIN" "-D INPUT 99" "-P USER DROP"; do
	$I $a >/dev/null 2>&1; echo "$? $a"
done
