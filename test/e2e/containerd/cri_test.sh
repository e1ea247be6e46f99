#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Pods through containerd's CRI plugin, as a kubelet asks for them (cri/). Usage: cri_test.sh BINDIR
# CRI_CLIENT names a built cri/; otherwise it is built here, or the test skipped when its modules cannot be had.
. "$(dirname "$0")/lib.sh"
NS=k8s.io
NETNS=1
[ -x /usr/lib/cni/bridge ] || { echo "skip $LABEL: cri: no CNI plugins"; exit 0; }
if [ -z "${CRI_CLIENT:-}" ]; then
	command -v go >/dev/null || { echo "skip $LABEL: cri: no Go toolchain"; exit 0; }
	CRI_CLIENT=$T/cri-client
	(cd "$here/cri" && CGO_ENABLED=0 GOFLAGS=-buildvcs=false timeout 300 go build -o "$CRI_CLIENT" .) || { echo "skip $LABEL: cri: the Go modules cannot be had"; exit 0; }
fi
setup_cri "$1"
echo "== $LABEL: $("$CONTAINERD" --version)"
run_pod() { # HANDLER
	"$CRI_CLIENT" "$T/containerd.sock" "$1" docker.io/local/test:1 "$T" &
	local client=$! most=0 n
	while kill -0 $client 2>/dev/null; do n=$(shims | wc -l); [ "$n" -gt "$most" ] && most=$n; sleep 0.1; done
	wait $client || fail=$((fail + 1))
	check "cri: one shim for the pod ($1)" "$most" 1
	check "cri: no shim is left ($1)" "$(wait_for '[ -z "$(shims)" ]'; shims)" ""
}
run_pod runsc
# The Sandbox API came with containerd 2.
case "$("$CONTAINERD" --version)" in *" v2."* | *" 2."*) run_pod runsc-shim ;; esac
check "cri: no mount is left" "$(grep -c "$T/state.*rootfs" /proc/mounts)" 0
check "cri: no report of a sanitizer" "$(grep -E 'Sanitizer|runtime error' "$T/containerd.log" | head -3)" ""
finish
