#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test/e2e/net_filter.sh - iptables-legacy, iptables-nft, ip6tables, nft and conntrack: the same scripts natively and inside, each in a
# network namespace of its own; what the tools print and what happens to packets must be the same
set -u
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip net_filter "needs root"; exit 0; }
need_packages iptables nftables conntrack iproute2 iputils-ping python3 jq || { skip net_filter "needs iptables, nftables, conntrack, iproute2, ping, python3, jq"; exit 0; }
for t in iptables-legacy nft; do
	unshare -n sh -c "$t -t filter -L || $t list ruleset" >/dev/null 2>&1 || { skip net_filter "the host's kernel has no $t"; exit 0; }
done

here=$(dirname "$(realpath "$0")") work=$(mktemp -d); id=nf$$
rs=("$RUNSC" --root "$work/state" --network=none --overlay2=root:memory)
caps=(--cap CAP_NET_ADMIN --cap CAP_SYS_ADMIN --cap CAP_NET_RAW --cap CAP_SYSLOG --cap CAP_SETUID --cap CAP_SETGID)
cleanup() {
	timeout 20 "${rs[@]}" delete --force $id >/dev/null 2>&1
	rm -rf "$work"
}
trap cleanup EXIT

# the host's own root file system: its tools, its libraries
EXTRA_JQ='.process.capabilities |= map_values(. + ["CAP_NET_ADMIN","CAP_SYS_ADMIN","CAP_SYSLOG"])' \
	make_bundle "$work/b" / /bin/sh -c 'while :; do sleep 1; done'
timeout 60 "${rs[@]}" run --detach --bundle "$work/b" $id </dev/null >"$work/log" 2>&1 || { not_ok net_filter_run "$(tail -3 "$work/log")"; exit 1; }
apart='mount -t tmpfs none /run && bash -c "$1" test "$2"'	# ip netns keeps its names below /run
inside() { timeout -k 5 150 "${rs[@]}" exec "${caps[@]}" $id unshare -nm /bin/bash -c "$apart" x "$(cat "$1")" "${2:-}" </dev/null 2>&1; }
native() { timeout -k 5 150 unshare -nm /bin/bash -c "$apart" x "$(cat "$1")" "${2:-}" </dev/null 2>&1; }

# compare NAME SCRIPT [ARG]: section by section; times that pass are not compared
compare() {
	local s d
	native "$here/filter/$2" "${3:-}" | sed -E 's/expires [0-9hms]+/expires T/' > "$work/native"
	inside "$here/filter/$2" "${3:-}" | sed -E 's/expires [0-9hms]+/expires T/' > "$work/inside"
	while read -r s; do
		d=$(diff <(section "$s" native) <(section "$s" inside) | head -6 | tr '\n' '|')
		if [ -z "$d" ]; then ok "net_filter_$1_$s"; else not_ok "net_filter_$1_$s" "$d"; fi
	done < <(sed -n 's/^--- //p' "$work/native" | tr ' /+' ___)
	[ "$(grep -c '^--- ' "$work/native")" -ge 3 ] || not_ok "net_filter_$1" "the native run said: $(tail -3 "$work/native" | tr '\n' '|')"
}
section() { tr '\r' ' ' < "$work/$2" | awk -v want="$1" '/^--- /{n=substr($0,5); gsub(/[ \/+]/,"_",n); on=(n==want); next} on'; }

compare legacy iptables.sh legacy
compare iptables_nft iptables.sh nft
compare nft nft.sh
compare effects_legacy effects.sh legacy
compare effects_nft effects.sh nft

# without the capability nothing may be changed or seen
denied() { timeout 20 "${rs[@]}" exec $id /bin/sh -c 'capsh --drop=cap_net_admin -- -c "iptables-legacy -L" || setpriv --bounding-set -net_admin iptables-legacy -L' </dev/null 2>&1; }
if denied | grep -qi "permission denied\|must be root\|not permitted"; then ok net_filter_denied; else not_ok net_filter_denied "$(denied | tail -2 | tr '\n' '|')"; fi
