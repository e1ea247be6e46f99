#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test/e2e/net_apps.sh - the network programs of the real world inside, each compared with the same program run natively in a
# network namespace of its own
#
# Four namespaces: the container's, a native twin of it, the host's side of both (servers and a router), and one more hop behind it.
#	inside $SELF=10.77.0.2 --- 10.77.0.1 \
#	                                       h --- 10.79.0.2 (far)
#	native $SELF=10.78.0.2 --- 10.78.0.1 /
# A script sees $SELF, $PEER, $SELF6, $PEER6, $FAR; in what it prints those addresses are replaced by their names before comparing.
# Usage: net_apps.sh [NAME-PREFIX...]; NET_APPS_ROWS=FILE: other rows than net/apps.sh
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip net_apps "needs root"; exit 0; }
need_packages jq python3 iproute2 iputils-ping iputils-arping iputils-tracepath traceroute mtr-tiny hping3 fping curl wget netcat-openbsd ncat \
	socat bind9-dnsutils dnsmasq-base openssh-server openssh-client rsync iperf3 nginx-light wrk apache2-utils redis-server redis-tools \
	openssl nmap net-tools tcpdump apt-utils || { skip net_apps "packages"; exit 0; }

only=("$@")
work=$(mktemp -d /tmp/net_apps.XXXXXX)
lib=$(cd "$(dirname "$0")/net" && pwd)
id=na$$; c=nac$$; n=nan$$; h=nah$$; f=naf$$
rs=("$RUNSC" --root "$work/state" --net-raw=true)
kids=()
cleanup() {
	timeout 30 "${rs[@]}" delete --force $id >/dev/null 2>&1
	for k in "${kids[@]}"; do kill "$k" 2>/dev/null; done
	for k in $(ip netns pids $h 2>/dev/null) $(ip netns pids $n 2>/dev/null); do kill -9 "$k" 2>/dev/null; done
	for k in $c $n $h $f; do ip netns del $k 2>/dev/null; done
	umount -l "$work/croot" "$work/nroot" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT

# ---- links ------------------------------------------------------------------------------------------------------------
for k in $c $n $h $f; do ip netns add $k && ip -n $k link set lo up || { skip net_apps "no network namespaces"; exit 0; }; done
link() { # NS IF PREFIX4 PREFIX6 PEERNS PEERIF: NS gets .2, the peer .1
	ip -n "$1" link add "$2" type veth peer name "$6" netns "$5" && ip -n "$1" addr add "$3.2/24" brd + dev "$2" &&
		ip -n "$1" addr add "$4::2/64" dev "$2" nodad && ip -n "$5" addr add "$3.1/24" brd + dev "$6" &&
		ip -n "$5" addr add "$4::1/64" dev "$6" nodad && ip -n "$1" link set "$2" up && ip -n "$5" link set "$6" up &&
		ip -n "$1" route add default via "$3.1" && ip -n "$1" -6 route add default via "$4::1"
}
link $c eth0 10.77.0 fd77 $h up0 && link $n eth0 10.78.0 fd78 $h up1 && link $f eth0 10.79.0 fd79 $h up2 ||
	{ skip net_apps "no veth"; exit 0; }
ip netns exec $h sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
	echo 0 > /proc/sys/net/ipv4/icmp_ratelimit'
ip netns exec $f sh -c 'echo 0 > /proc/sys/net/ipv4/icmp_ratelimit'
ip netns exec $n sh -c 'echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range; echo 0 > /proc/sys/net/ipv4/icmp_ratelimit'

# ---- roots: the host's own file system, with what the tests need on top -----------------------------------------------
root() { # DIR: an overlay that forgets
	mkdir -p "$work/$1" "$work/$1.up" "$work/$1.wk"
	mount -t overlay overlay -o "lowerdir=/,upperdir=$work/$1.up,workdir=$work/$1.wk" "$work/$1" || return 1
	mkdir -p "$work/$1"/{proc,sys,dev,tmp,run/sshd,root/.ssh} && chmod 700 "$work/$1/root/.ssh"
	ssh-keygen -A -f "$work/$1" >/dev/null 2>&1
	cp "$work/key" "$work/$1/root/.ssh/id_ed25519"; cp "$work/key.pub" "$work/$1/root/.ssh/authorized_keys"
	printf 'Host *\n\tStrictHostKeyChecking no\n\tUserKnownHostsFile /dev/null\n\tLogLevel ERROR\n' > "$work/$1/root/.ssh/config"
	printf 'PermitRootLogin yes\nStrictModes no\nUsePAM no\nPidFile none\nPrintMotd no\nPrintLastLog no\nSubsystem sftp internal-sftp\n' > "$work/$1/etc/ssh/sshd_config"
	echo "nameserver ${2}.1" > "$work/$1/etc/resolv.conf"
	mkdir -p "$work/$1/srv" && cp -r "$work/www/." "$work/$1/srv/"
}
mkdir -p "$work/www"
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
head -c 3000000 /dev/urandom > "$work/www/blob"; echo hello > "$work/www/hello.txt"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/www/key.pem" -out "$work/www/cert.pem" -days 30 -subj /CN=peer.test \
	-addext 'subjectAltName=DNS:peer.test' >/dev/null 2>&1
# A package and its index, for apt-get through the proxy.
mkdir -p "$work/p/DEBIAN" "$work/p/opt" "$work/www/debian" && echo probe > "$work/p/opt/probe"
printf 'Package: apps-probe\nVersion: 1\nArchitecture: all\nMaintainer: a <a@peer.test>\nDescription: probe\n' > "$work/p/DEBIAN/control"
dpkg-deb --root-owner-group -b "$work/p" "$work/www/debian/apps-probe_1_all.deb" >/dev/null
(cd "$work/www/debian" && apt-ftparchive packages . > Packages && gzip -k Packages && apt-ftparchive release . > ../Release && mv ../Release .)
root croot 10.77.0 && root nroot 10.78.0 || { skip net_apps "no overlayfs"; exit 0; }
pg=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)

# ---- the host's side ------------------------------------------------------------------------------------------------
serve() { ip netns exec $h "$@" >>"$work/host.log" 2>&1 </dev/null & kids+=($!); }
serve python3 "$lib/apps_peer.py" "$work/www" 8080 3128
serve dnsmasq --keep-in-foreground --no-resolv --no-hosts --conf-file=/dev/null --bind-dynamic --interface=up0 --interface=up1 --user=root \
	--pid-file="$work/dnsmasq.pid" --address=/peer.test/10.79.0.2 --address=/peer.test/fd79::2 --txt-record=text.test,some-text \
	--host-record=self.test,10.77.0.2 --ptr-record=2.0.79.10.in-addr.arpa,peer.test
serve iperf3 -s
ssh-keygen -q -t ed25519 -N '' -f "$work/hostkey"
mkdir -p /run/sshd
serve /usr/sbin/sshd -D -e -f /dev/null -p 2222 -h "$work/hostkey" -o PidFile=none -o StrictModes=no -o UsePAM=no -o PrintMotd=no -o PermitRootLogin=yes \
	-o AuthorizedKeysFile="$work/key.pub" -o Subsystem='sftp internal-sftp'
serve openssl s_server -accept 4433 -cert "$work/www/cert.pem" -key "$work/www/key.pem" -www
serve socat TCP6-LISTEN:7000,fork,reuseaddr EXEC:cat
serve socat UDP6-RECVFROM:7000,fork EXEC:cat
serve socat UDP4-RECVFROM:7001,fork SYSTEM:'tr a-z A-Z'

# ---- running --------------------------------------------------------------------------------------------------------
caps='.process.capabilities |= map_values(. + ["CAP_NET_ADMIN","CAP_SYS_ADMIN","CAP_DAC_READ_SEARCH","CAP_SYS_RESOURCE"] | unique)'
EXTRA_JQ="$caps"' | (.linux.namespaces[]|select(.type=="network")).path = "/run/netns/'$c'" | .mounts += [{destination:"/run",type:"tmpfs",source:"tmpfs"}]' \
	make_bundle "$work/b" "$work/croot" /bin/sh -c 'mkdir -p /run/sshd; while :; do sleep 1; done'
timeout 60 "${rs[@]}" run --detach --bundle "$work/b" $id </dev/null >"$work/log" 2>&1 || { not_ok net_apps_run "$(tail -3 "$work/log")"; exit 1; }

vars() { echo "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root TERM=xterm SELF=$1.2 PEER=$1.1 SELF6=$2::2 PEER6=$2::1 FAR=10.79.0.2 FAR6=fd79::2 PG=$pg OTHER=$1.99; cd /tmp;"; }
# up SECONDS SCRIPT: inside; what it starts may stay. Output goes through a file, as a process that stays keeps a pipe open.
up() {
	timeout -k 5 "$1" "${rs[@]}" exec $id /bin/bash -c "$(vars 10.77.0 fd77) $2" </dev/null >"$work/up.out" 2>&1
	cat "$work/up.out"
}
# inside SECONDS SCRIPT: and everything that it started ends with it
inside() {
	up "$@"
	timeout 20 "${rs[@]}" exec $id /bin/sh -c 'kill -9 -1; rm -rf /tmp/*' </dev/null >/dev/null 2>&1
}
native() {
	timeout -k 5 "$1" ip netns exec $n unshare --mount --pid --fork --kill-child /bin/bash -c "mount -t proc proc $work/nroot/proc; mount --rbind /dev $work/nroot/dev
		mount -t sysfs none $work/nroot/sys; mount -t tmpfs none $work/nroot/tmp; mount -t tmpfs none $work/nroot/run; mkdir -p $work/nroot/run/sshd
		exec chroot $work/nroot /bin/bash -c \"\$1\"" x "$(vars 10.78.0 fd78) $2" </dev/null >"$work/native.out" 2>&1
	cat "$work/native.out"
}
names() { sed -E 's/10\.7[78]\.0\.1\b/PEER/g; s/10\.7[78]\.0\.2\b/SELF/g; s/10\.7[78]\.0\.99\b/OTHER/g; s/fd7[78]::1\b/PEER6/g; s/fd7[78]::2\b/SELF6/g; s/10\.7[78]\.0\.0/NET/g; s/10\.7[78]\.0\.255/BRD/g'; }

wanted() {
	local w
	[ ${#only[@]} -eq 0 ] && return 0
	for w in "${only[@]}"; do [[ $1 == $w* ]] && return 0; done
	return 1
}
# same NAME SECONDS SCRIPT [FILTER]: what it prints is the same on both sides after the filter
same() {
	local name=$1 secs=$2 script=$3 f=${4:-cat} a b try first=
	wanted "$name" || return
	b=$(native "$secs" "$script" | names | eval "$f")
	[ -n "$b" ] || { not_ok "net_apps/$name" "natively: no output"; return; }
	for try in 1 2; do
		a=$(inside $((secs * 2)) "$script" | names | eval "$f")
		[ "$a" = "$b" ] && { ok "net_apps/$name$first"; return; }
		first=" (second try; first: $(diff <(echo "$b") <(echo "$a") | head -3 | cut -c1-100 | tr '\n' '|'))"
	done
	not_ok "net_apps/$name" "$(diff <(echo "$b") <(echo "$a") | head -10 | cut -c1-160 | tr '\n' '|')"
}
# check NAME COMMAND...
check() {
	local name=$1 out
	wanted "$name" || return
	shift
	if out=$("$@" 2>&1); then ok "net_apps/$name"; else not_ok "net_apps/$name" "$(echo "$out" | tail -3 | cut -c1-200 | tr '\n' '|')"; fi
}
for _ in $(seq 50); do ip netns exec $h ss -Hltn | grep -q :3128 && ip netns exec $h ss -Hltn | grep -q :2222 && break; sleep 0.1; done
. "${NET_APPS_ROWS:-$lib/apps.sh}"
