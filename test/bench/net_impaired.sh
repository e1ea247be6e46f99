#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goodput of our TCP against the host kernel's over a bad cable, beside the host kernel's own (CUBIC) over the same one.
# usage: net_impaired.sh [SECONDS per transfer, default 4 [PATTERN of cases]]. Needs root; makes and removes three network namespaces.
set -u
cd "$(dirname "$0")/../.."
B=$PWD/build/rel/test/net secs=${1:-4} only=${2:-*} id=$$
H=ih$id R=ir$id S=is$id
[ "$(id -u)" = 0 ] || { echo "skip net/impaired: needs root"; exit 0; }
[ -x "$B/relay" ] || test/net/build || exit 1
cleanup() {
	kill $(jobs -p) 2>/dev/null
	for n in $H $R $S; do ip netns del $n 2>/dev/null; done
}
trap cleanup EXIT
for n in $H $R $S; do ip netns add $n; done
ip link add name ah netns $H type veth peer name ar netns $R
ip link add bs netns $S type veth peer name br netns $R
ip -n $H addr add 10.9.0.1/24 dev ah
ip -n $S addr add 10.9.0.2/24 dev bs # the native peer; ours is 10.9.0.3
for x in "$H ah" "$R ar" "$R br" "$S bs"; do
	set -- $x
	ip netns exec $1 sysctl -qw net.ipv6.conf.$2.disable_ipv6=1
	ip -n $1 link set dev $2 up
	ip netns exec $1 "$B/relay" off $2
done
export HOSTPERF_CC=cubic # whatever this machine's default is
ip netns exec $S "$B/hostperf" serve > /dev/null &
NETHOST_PLAIN=1 ip netns exec $S "$B/netperf" bs 10.9.0.3/24 serve > /dev/null &
ip netns exec $H "$B/hostperf" serve > /dev/null &
sleep 0.5
mbit() { # DIRECTION ADDRESS: goodput of one transfer as seen by the host's end
	ip netns exec $H timeout $((secs + 20)) "$B/hostperf" $1 $2 $([ $1 = send ] && echo 9 || echo 19) $secs |
		awk '{ gsub(/[(]/, ""); printf "%.1f", $5 * 8 / $8 / 1e6 }'
}
status=0
while read -r name args; do
	[[ $name == $only ]] || continue
	ip netns exec $R "$B/relay" ar br $args &
	relay=$!
	sleep 0.2
	for dir in recv send; do
		n=$(mbit $dir 10.9.0.2) o=$(mbit $dir 10.9.0.3) n2=$(mbit $dir 10.9.0.2) o2=$(mbit $dir 10.9.0.3)
		r=$(awk -v a="$n" -v b="$n2" -v c="$o" -v d="$o2" 'BEGIN { printf "%.2f", (c + d) / (a + b + 0.001) }')
		echo "$name $([ $dir = recv ] && echo ours-sends || echo ours-receives): native $n $n2 Mbit/s, ours $o $o2, ratio $r"
	done
	kill $relay
	wait $relay 2>/dev/null
done <<EOT
clean-1ms 0 0 0 0 1
loss-0.1%-5ms 0.1 0 0 0 5
loss-1%-5ms 1 0 0 0 5
loss-5%-5ms 5 0 0 0 5
reorder-5%-5ms 0 0 0 5 5
reorder-5%-200Mbit-5ms 0 0 0 5 5 0 200
reorder-20%-100Mbit-20ms 0 0 0 20 20 0 100
dup-2%-corrupt-0.5%-5ms 0 2 0.5 0 5
bottleneck-100Mbit-10ms 0 0 0 0 10 0 100
loss-1%-50ms 1 0 0 0 50
EOT
exit $status
