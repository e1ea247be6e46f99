# SPDX-License-Identifier: Apache-2.0
# test/e2e/filter/nft.sh - nft's tables, chains, rules, sets, maps, objects, transactions, monitor; run natively and inside
echo "--- rules"
nft add table ip t1
nft add table inet t2
nft add chain ip t1 c1 '{ type filter hook input priority 0; policy accept; }'
nft add chain ip t1 user
nft add chain inet t2 pre '{ type nat hook prerouting priority dstnat; }'
nft add chain inet t2 post '{ type nat hook postrouting priority srcnat; }'
nft add chain inet t2 fwd '{ type filter hook forward priority filter; policy drop; }'
nft add rule ip t1 c1 tcp dport 22 accept
nft add rule ip t1 c1 tcp dport '{ 80, 443, 8000-8100 }' counter accept comment '"web"'
nft add rule ip t1 c1 ct state established,related accept
nft add rule ip t1 c1 ct state vmap '{ invalid : drop, new : jump user }'
nft add rule ip t1 c1 ip saddr 10.0.0.0/8 ip daddr != 10.1.0.0/16 log prefix '"x: "' level info drop
nft add rule ip t1 c1 icmp type echo-request limit rate 10/second burst 20 packets accept
nft add rule ip t1 c1 udp dport 53 meta mark set 0x10 return
nft add rule ip t1 user meta iifname '"eth*"' reject with icmp type host-unreachable
nft add rule ip t1 user tcp flags '&' '(syn|ack)' == syn reject with tcp reset
nft add rule ip t1 user iif lo quota over 10 mbytes drop
nft add set ip t1 s1 '{ type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.168.1.1-192.168.1.9 }; }'
nft add set ip t1 s2 '{ type ipv4_addr . inet_service; elements = { 1.1.1.1 . 80, 2.2.2.2 . 443 }; }'
nft add set ip t1 s3 '{ type ipv4_addr; timeout 1h; size 100; }'
nft add element ip t1 s3 '{ 9.9.9.9 timeout 2h }'
nft add set ip t1 s4 '{ type ipv4_addr . inet_service; flags interval; elements = { 1.1.1.0/24 . 80-90 }; }'
nft add map ip t1 m1 '{ type inet_service : ipv4_addr; elements = { 80 : 10.0.0.1, 81 : 10.0.0.2 }; }'
nft add map ip t1 vm '{ type ifname : verdict; elements = { "lo" : accept, "eth0" : jump user }; }'
nft add rule ip t1 c1 ip saddr @s1 counter drop
nft add rule ip t1 c1 ip saddr . tcp dport @s2 drop
nft add rule ip t1 c1 iifname vmap @vm
nft add rule inet t2 pre tcp dport 8080 redirect to :80
nft add rule inet t2 pre ip protocol tcp dnat ip to tcp dport map '{ 1000 : 1.2.3.4, 1001 : 1.2.3.5 }'
nft add rule inet t2 pre ip6 daddr fd00::1 tcp dport 80 dnat ip6 to '[fd00::2]:8080'
nft add rule inet t2 post oifname '"eth0"' masquerade random
nft add rule inet t2 post ip saddr 10.0.0.0/24 snat ip to 1.2.3.4-1.2.3.9:1000-2000
nft add rule inet t2 fwd tcp option maxseg size set rt mtu
nft add rule inet t2 fwd fib daddr type local counter
nft add rule inet t2 fwd meta l4proto '{ tcp, udp }' th dport 53 accept
nft add rule inet t2 fwd ct mark and 0xff == 0x1 ct mark set meta mark
nft add rule inet t2 fwd numgen inc mod 3 vmap '{ 0 : accept, 1 : drop }'
nft add rule inet t2 fwd ip dscp cs1 ip ttl 64 reject with icmpx type admin-prohibited
nft add counter ip t1 cnt1
nft add quota ip t1 q1 over 100 mbytes
nft add limit ip t1 l1 rate 5/minute
nft add rule ip t1 c1 counter name cnt1 limit name '"l1"' quota name '"q1"'
nft insert rule ip t1 c1 position 8 tcp dport 1 drop 2>&1
nft add rule ip t1 nochain accept 2>&1 | head -1
nft add rule ip t1 user jump user 2>&1 | head -2
nft delete chain ip t1 user 2>&1 | head -1
nft delete set ip t1 s1 2>&1 | head -1
nft add element ip t1 s1 '{ 172.16.0.0/12 }'; nft delete element ip t1 s1 '{ 10.0.0.0/8 }'
nft get element ip t1 s1 '{ 172.16.5.5 }'
echo "--- listing"
nft -a list ruleset
echo "--- transaction"
nft -f - <<X
flush ruleset
table inet filter {
  set allow { type inet_service; elements = { 22, 80 } }
  chain input { type filter hook input priority 0; policy drop;
    ct state vmap { established : accept, related : accept, invalid : drop }
    iif lo accept
    tcp dport @allow accept
    icmp type { echo-request, destination-unreachable } accept
    ip6 nexthdr icmpv6 accept
    counter
  }
  chain out { type route hook output priority mangle; meta skuid 0 meta mark set 1 }
}
X
nft list ruleset
echo 'add table ip x; add chain ip x y; add rule ip x y jump nowhere' | nft -f - >/dev/null 2>&1; echo $?; nft list tables
nft -j list ruleset | head -c 300 | tr -d '0-9'; echo
nft flush ruleset; nft list ruleset
echo "--- monitor"
nft monitor > /run/mon & sleep 0.3; nft add table ip mon; nft add chain ip mon c; nft add rule ip mon c tcp dport 1 accept; nft delete table ip mon; sleep 0.3; kill %1; grep -v -e "^#" -e "^delete [rc]" /run/mon
