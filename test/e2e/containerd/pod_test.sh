#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What pods ask of the shim beyond a program and its output: volumes by hint, owners that are mapped, a log for the user, settings
# by file and by annotation. Usage: pod_test.sh BINDIR (with the Sentry).
. "$(dirname "$0")/lib.sh"
setup "$1"
echo "== $LABEL: $("$CONTAINERD" --version)"
state() { ctr task ls | awk -v c="$1" '$1 == c { print $3 }'; }
gone() { ctr task rm -f "$@" > /dev/null 2>&1; for c; do ctr c rm "$c" > /dev/null 2>&1; done; }
in_c() { local c=$1; shift; ctr task exec --exec-id "x$((++execs))$RANDOM" "$c" sh -c "$*" 2>&1; }
execs=0

# ---- volumes: the kubelet's directories, hints without their source as an admission controller writes them
vol=$T/pods/uid1/volumes/kubernetes.io~empty-dir
mkdir -p "$vol/mem" "$vol/own" "$vol/out" "$vol/disk" "$vol/forced"
chmod 0777 "$vol"/*
hint() { echo --annotation "dev.gvisor.spec.mount.$1.type=$2" --annotation "dev.gvisor.spec.mount.$1.share=$3"; }
mounts=()
for v in mem own out disk forced; do mounts+=(--mount "type=bind,src=$vol/$v,dst=/$v,options=rbind:rw"); done
# the pod's own container has the hints, those that join need none of their own
run -d $(hint mem tmpfs pod) $(hint own tmpfs container) $(hint out tmpfs shared) $(hint disk bind pod) $(hint forced tmpfs pod) \
	--annotation dev.gvisor.spec.mount.mem.options=rw,size=1m --annotation dev.gvisor.empty-dir.forced.force-shared=true \
	--annotation io.kubernetes.cri.container-type=sandbox --annotation io.kubernetes.cri.sandbox-id=vp "${mounts[@]}" "$IMG" vp sleep 1000
for c in va vb; do
	run -d --annotation io.kubernetes.cri.container-type=container --annotation io.kubernetes.cri.sandbox-id=vp "${mounts[@]}" "$IMG" $c sleep 1000
done
for v in mem own out disk forced; do in_c va "echo from a > /$v/f"; done
check "a volume of the pod is inside the sandbox" "$(ls "$vol/mem")" ""
check "its containers share it" "$(in_c vb cat /mem/f) $(in_c vp cat /mem/f)" "from a from a"
check "it is as the kubelet made it" "$(in_c vb 'ls -ld /mem' | cut -c1-10)" drwxrwxrwx
check "it has the size of its options" "$(in_c vb 'rm /mem/f; dd if=/dev/zero of=/mem/big bs=1k count=2000 2> /dev/null; wc -c < /mem/big')" 1048576
check "a volume of one container is its own" "$(in_c va cat /own/f; in_c vb 'cat /own/f 2> /dev/null || echo none'; ls "$vol/own")" $'from a\nnone'
check "a shared volume is the host's" "$(cat "$vol/out/f") $(in_c vb cat /out/f)" "from a from a"
check "so is a bind mount of the pod" "$(cat "$vol/disk/f") $(in_c vb cat /disk/f)" "from a from a"
check "and one that is forced to be shared" "$(cat "$vol/forced/f")" "from a"
gone va vb vp
check "a hint with a value that is not known is refused" "$(run -d $(hint mem tmpfs everybody) "${mounts[@]}" "$IMG" vx sleep 1000 2>&1 | grep -c 'share: "everybody" is not')" 1
gone vx

# ---- owners: a root file system and a volume with mapped owners, in a pod with a user namespace
# (ctr 2 wants runc's options here, so there can be no file of ours)
userns() { ctr run --runtime io.containerd.runsc.v1 --uidmap 0:200000:65536 --gidmap 0:200000:65536 "$@"; }
mkdir -p "$T/mapped"
echo data > "$T/mapped/f"
chown 7:8 "$T/mapped/f"
check "a user namespace: owners inside" "$(userns --rm "$IMG" u1 sh -c 'ls -ln /bin/busybox | tr -s " " | cut -d" " -f3,4; cat /proc/self/uid_map | tr -s " "')" \
	$'0 0\n 0 200000 65536'
check "a volume with idmap" "$(userns --rm --mount "type=bind,src=$T/mapped,dst=/m,options=rbind:rw:idmap" "$IMG" u2 \
	sh -c 'ls -ln /m/f | tr -s " " | cut -d" " -f3,4; echo new > /m/g; cat /m/f /m/g')" $'7 8\ndata\nnew'
check "what is written there belongs to root on disk" "$(stat -c %u:%g "$T/mapped/g")" 0:0
check "idmap without a mapping is refused" "$(run --rm --mount "type=bind,src=$T/mapped,dst=/m,options=rbind:rw:idmap" "$IMG" u3 true 2>&1 | grep -c 'idmap needs')" 1
gone u3

# ---- read-only binds: the mount itself, and with rro what is below it, too
mkdir -p "$T/tree/below" "$T/tree/be low"
mount -t tmpfs sub "$T/tree/below"
mount -t tmpfs sub "$T/tree/be low"
tryout='touch /m/a 2> /dev/null || echo ro; touch /m/below/a "/m/be low/a" 2> /dev/null && echo rw below'
check "a read-only recursive bind: submounts stay writable" "$(run --rm --mount "type=bind,src=$T/tree,dst=/m,options=rbind:ro" "$IMG" r1 sh -c "$tryout")" $'ro\nrw below'
check "and what is written there is the host's" "$(ls "$T/tree/below" "$T/tree/be low" | grep -c '^a$')" 2
check "rro: they do not" "$(run --rm --mount "type=bind,src=$T/tree,dst=/m,options=rbind:rro" "$IMG" r2 sh -c "$tryout")" ro
check "bind: they are not there" "$(run --rm --mount "type=bind,src=$T/tree,dst=/m,options=bind:ro" "$IMG" r3 ls /m/below)" ""
umount "$T/tree/below" "$T/tree/be low"

# ---- the user's log
mkdir -p "$T/podlogs"
run --rm --annotation io.kubernetes.cri.container-type=sandbox --annotation io.kubernetes.cri.sandbox-id=ul \
	--annotation "io.kubernetes.cri.sandbox-log-directory=$T/podlogs" "$IMG" ul true
check "a pod's user log is where the kubelet looks" "$(ls "$T/podlogs")" gvisor.log

# ---- the weight of the pod's own container, which a kubelet makes as light as can be, with the Sentry in it
weight() { cat /sys/fs/cgroup/cpu/$NS/"$1"/cpu.shares 2> /dev/null || cat /sys/fs/cgroup/$NS/"$1"/cpu.weight; }
run -d --cpu-shares 1024 "$IMG" w1 sleep 1000
run -d --cpu-shares 2 --annotation io.kubernetes.cri.container-type=sandbox --annotation io.kubernetes.cri.sandbox-id=w2 "$IMG" w2 sleep 1000
run -d --cpu-shares 2 --annotation io.kubernetes.cri.container-type=container --annotation io.kubernetes.cri.sandbox-id=w2 "$IMG" w3 sleep 1000
check "a pod's own container weighs as much as any" "$(weight w2)" "$(weight w1)"
check "and its others what they are given" "$(weight w3 | sed 's/^[12]$/least/')" least
gone w1 w3 w2

check "no mount is left" "$(grep -c "$T/state" /proc/mounts)" 0
check "no shim is left" "$(wait_for '[ -z "$(shims)" ]' 300; shims)" ""
finish
