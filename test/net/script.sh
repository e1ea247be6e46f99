#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test/net/script.sh - packet scripts (test/net/script/) against the host kernel's TCP in a namespace, and against ours inside: the
# traces must be the same
# Usage: script.sh [SCRIPT-PREFIX]
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip net_script "needs root"; exit 0; }
need_packages jq python3 iproute2 ethtool || { skip net_script "packages"; exit 0; }

work=$(mktemp -d /tmp/net_script.XXXXXX); c=nsc$$; n=nsn$$; d=nsd$$; id=ns$$
rs=("$RUNSC" --root "$work/state" --overlay2=root:memory)
cleanup() {
	timeout 20 "${rs[@]}" delete --force $id >/dev/null 2>&1
	for k in $c $n $d; do ip netns del $k 2>/dev/null; done
	rm -rf "$work"
}
trap cleanup EXIT
for k in $c $n $d; do ip netns add $k && ip -n $k link set lo up || { skip net_script "no network namespaces"; exit 0; }; done
for p in "$c up0" "$n up1"; do
	set -- $p "$@"
	ip -n "$1" link add eth0 type veth peer name "$2" netns $d || { skip net_script "no veth"; exit 0; }
	# every frame is seen as it would go over a wire: no segments larger than it carries, no sums left to do
	ip netns exec "$1" ethtool -K eth0 tso off gso off gro off tx off sg off >/dev/null 2>&1
	ip netns exec $d sh -c "echo 1 > /proc/sys/net/ipv6/conf/$2/disable_ipv6"
	ip netns exec "$1" sh -c 'echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6'
	ip -n "$1" addr add 10.91.0.2/24 dev eth0 && ip -n "$1" link set eth0 up && ip -n $d link set "$2" up
	shift 2
done
# what our stack has by default and this kernel may not: the congestion control is no part of what is compared
ip netns exec $n sysctl -q -w net.ipv4.tcp_congestion_control=cubic 2>/dev/null || ip netns exec $n sysctl -q -w net.ipv4.tcp_congestion_control=reno
cp "$TOP/test/net/script/agent.py" "$work/agent.py"

EXTRA_JQ='(.linux.namespaces[]|select(.type=="network")).path = "/run/netns/'$c'" | .mounts += [{destination:"/mnt",type:"bind",source:"'$work'",options:["rbind","ro"]}]' \
	make_bundle "$work/b" / /bin/sh -c 'while :; do sleep 1; done'
timeout 60 "${rs[@]}" run --detach --bundle "$work/b" $id </dev/null >"$work/log" 2>&1 || { not_ok net_script_run "$(tail -3 "$work/log")"; exit 1; }
drive() { PYTHONPATH="$TOP/test/net/script" timeout -k 5 280 ip netns exec $d python3 -B "$TOP/test/net/script/driver.py" "$@"; }
want=${1:-}
drive up1 "$want" ip netns exec $n python3 -B "$work/agent.py" >"$work/linux.txt" 2>"$work/linux.err" & pid=$!
drive up0 "$want" "${rs[@]}" exec $id python3 -B /mnt/agent.py >"$work/ours.txt" 2>"$work/ours.err"
wait $pid

# one script's lines
part() { awk -v n="$2" '/^[a-z]/{on=($1==n)} on' "$1"; }
for s in $(grep -h '^[a-z]' "$work/linux.txt" "$work/ours.txt" | sort -u); do
	a=$(part "$work/linux.txt" "$s"); b=$(part "$work/ours.txt" "$s")
	if [ "$a" = "$b" ] && ! grep -q stumbled <<<"$a"; then
		ok "net_script/$s"
	else
		# timing can go wrong on a crowded machine: both once more
		a=$(drive up1 "$s" ip netns exec $n python3 -B "$work/agent.py" 2>&1); b=$(drive up0 "$s" "${rs[@]}" exec $id python3 -B /mnt/agent.py 2>&1)
		a=$(part /dev/stdin "$s" <<<"$a"); b=$(part /dev/stdin "$s" <<<"$b")
		if [ "$a" = "$b" ] && ! grep -q stumbled <<<"$a"; then
			ok "net_script/$s (second try)"
		else
			not_ok "net_script/$s" "$(diff <(echo "$a") <(echo "$b") | grep '^[<>]' | head -6 | tr '\n' '|')$(grep stumbled <<<"$a" | head -1)"
		fi
	fi
done
[ -s "$work/linux.txt" ] && [ -s "$work/ours.txt" ] || not_ok net_script_output "$(tail -2 "$work/linux.err" "$work/ours.err" | tr '\n' '|')"
