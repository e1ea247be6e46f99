#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make demo: what a newcomer wants to see, in under two minutes, most of it apt. Cleans up after itself, also when interrupted.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

[ "$(id -u)" -eq 0 ] || { echo "make demo needs root (namespaces, cgroups)"; exit 1; }
say "packages and build"
need_packages gcc make git libc6-dev libprotobuf-c-dev protobuf-c-compiler libseccomp-dev libjson-c-dev libnl-3-dev libnl-route-3-dev \
	busybox-static jq
make -s -C "$TOP" -j"$(nproc)"

work=$(mktemp -d /tmp/demo.XXXXXX)
id=demo-$$
daemon= listener=
rt() { "$RUNSC" --root "$work/state" "$@"; }
cleanup() {
	trap - EXIT INT TERM
	rt delete --force $id > /dev/null 2>&1 || true
	if [ -n "$daemon" ]; then
		ctr task delete -f shown > /dev/null 2>&1 || true
		[ -z "$listener" ] || kill "$listener" 2> /dev/null || true
		kill "$daemon" 2> /dev/null || true
		wait "$daemon" 2> /dev/null || true
		# a shim outlives its containerd
		for p in $(pgrep -f -- "-address $work/c.sock" || true); do kill -9 "$p" 2> /dev/null || true; done
	fi
	for m in $(awk -v w="$work" 'index($2, w) == 1 { print $2 }' /proc/mounts | sort -r); do umount -l "$m"; done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say "a root file system: busybox"
make_busybox_rootfs "$work/rootfs"
make_bundle "$work/bundle" "$work/rootfs" /bin/sh -c 'dmesg | head -5; uname -a; echo; ps; echo hello > /written-inside; ls -l /written-inside; trap "exit 7" TERM; while :; do sleep 1 & wait; done'

say "runsc create, start: its kernel from inside"
rt create --bundle "$work/bundle" $id > "$work/out" 2>&1 < /dev/null
rt start $id
sleep 1
cat "$work/out"

say "the file that the container wrote is not on the host"
ls -l "$work/rootfs/written-inside" 2>&1 || true

say "runsc exec: a second process in it"
rt exec $id /bin/sh -c 'echo "in the container: pid $$, $(id)"; cat /written-inside'

say "runsc state, ps, events"
rt state $id
rt ps $id
rt events --stats $id | head -c 400; echo

say "its exit status"
rt kill $id TERM
st=0
rt wait $id || st=$?
echo "runsc wait: $st"
rt delete $id
say "a foreground run ends with the program's own status"
make_bundle "$work/bundle" "$work/rootfs" /bin/sh -c 'exit 42'
st=0
rt run --bundle "$work/bundle" $id || st=$?
echo "exit status $st"
[ $st -eq 42 ]

say "containerd of its own: an image built here, a pod of two containers through the shim"
need_packages containerd
CTR=$(command -v ctr)
ctr() { CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=1 timeout 30 "$CTR" -a "$work/c.sock" -n demo "$@"; }
image="$work/image"
mkdir -p "$image/blobs/sha256"
# blob FILE: moves it to its name in the image; prints "digest size"
blob() { local d; d=$(sha256sum < "$1" | cut -d ' ' -f 1); mv "$1" "$image/blobs/sha256/$d"; echo "$d $(stat -c %s "$image/blobs/sha256/$d")"; }
tar -C "$work/rootfs" -cf "$work/blob" .
read -r layer layer_size < <(blob "$work/blob")
jq -n --arg d "sha256:$layer" '{architecture: "amd64", os: "linux", config: {Cmd: ["/bin/sh"], Env: ["PATH=/bin:/sbin"]},
	rootfs: {type: "layers", diff_ids: [$d]}}' > "$work/blob"
read -r config config_size < <(blob "$work/blob")
type=application/vnd.oci.image
jq -n --arg t $type --arg c "sha256:$config" --arg l "sha256:$layer" --argjson cs "$config_size" --argjson ls "$layer_size" '{schemaVersion: 2,
	mediaType: ($t + ".manifest.v1+json"), config: {mediaType: ($t + ".config.v1+json"), digest: $c, size: $cs},
	layers: [{mediaType: ($t + ".layer.v1.tar"), digest: $l, size: $ls}]}' > "$work/blob"
read -r manifest manifest_size < <(blob "$work/blob")
jq -n --arg t $type --arg m "sha256:$manifest" --argjson ms "$manifest_size" '{schemaVersion: 2, manifests: [{mediaType: ($t + ".manifest.v1+json"),
	digest: $m, size: $ms, annotations: {"io.containerd.image.name": "docker.io/demo/busybox:1", "org.opencontainers.image.ref.name": "1"}}]}' > "$image/index.json"
echo '{"imageLayoutVersion": "1.0.0"}' > "$image/oci-layout"
tar -C "$image" -cf "$work/image.tar" .
cat > "$work/containerd.toml" <<C
version = 2
root = "$work/c/root"
state = "$work/c/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "$work/c.sock"
C
PATH="$(dirname "$(readlink -f "$RUNSC")"):$PATH" containerd -c "$work/containerd.toml" > "$work/containerd.log" 2>&1 < /dev/null &
daemon=$!
for _ in $(seq 100); do ctr version > /dev/null 2>&1 && break; sleep 0.1; done
"$CTR" -a "$work/c.sock" -n demo events > "$work/events" 2>&1 < /dev/null &
listener=$!
ctr images import "$work/image.tar"
# Two containers in one pod: the annotations are those that Kubernetes' runtimes write. One shim and one Sentry serve both.
pod=io.kubernetes.cri
in_pod() { ctr run -d --log-uri "file://$work/$2.log" --runtime io.containerd.runsc.v1 --annotation $pod.sandbox-id=pod --annotation $pod.container-type="$1" docker.io/demo/busybox:1 "${@:2}"; }
in_pod sandbox pod /bin/sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
in_pod container shown /bin/sh -c 'echo "a line for the log"; trap "exit 4" TERM; while :; do sleep 0.1; done'
ctr task ls
echo "shims: $(pgrep -c -P 1,$$ -f "containerd-shim-runsc-v1.*$work" || true)"
cat "$work/shown.log"
ctr task exec --exec-id e1 shown /bin/sh -c 'dmesg | head -1; ps'
ctr task metrics shown | head -8
for c in shown pod; do
	ctr task kill $c
	for _ in $(seq 50); do ctr task ls | grep -q "^$c .*STOPPED" && break; sleep 0.1; done
	ctr task delete $c 2>&1 | tee -a "$work/out"
	ctr container delete $c
done
say "the events of its life"
sleep 0.5
grep -o '/tasks/[a-z-]*' "$work/events" | tr '\n' ' '; echo
for st in 3 4; do grep -q -e "exit code $st" -e "exit status $st" "$work/out"; done
