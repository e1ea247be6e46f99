#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Kubernetes' own tests of a CRI runtime, critest, on containerd with runc and with our shim: what passes with runc
# must pass with us, save what critest_differs.txt gives a reason for. Usage: critest.sh BINDIR [HANDLER...]
# CRITEST names a built critest (go test -c of sigs.k8s.io/cri-tools/cmd/critest); otherwise it is built here where the
# module can be had. FOCUS and SKIP are passed on. Images come from a registry of our own (registry.py).
if [ -z "${IN_NETNS:-}" ]; then
	IN_NETNS=1 exec unshare -n -- "$0" "$@" # its ports, bridge and address translation are its own
fi
. "$(dirname "$0")/../../lib.sh"
. "$(dirname "$0")/lib.sh"
ip link set lo up
NS=k8s.io
VERSION=${CRITEST_VERSION:-v1.34.0}
bindir=$1
shift
[ $# -gt 0 ] || set -- runc runsc
need_packages runc nginx-light iptables socat containernetworking-plugins busybox-static gcc libc6-dev || { skip "$LABEL: critest" "its packages cannot be had"; exit 0; }
if [ -z "${CRITEST:-}" ]; then
	command -v go > /dev/null || { skip "$LABEL: critest" "no Go toolchain"; exit 0; }
	# outside of this network namespace: the host's
	mkdir -p "$T/src"
	if ! nsenter -t "$PPID" -n sh -c "cd '$T/src' && GOPATH='$T/go' GOFLAGS='-mod=mod -modcacherw' timeout 300 go mod init x && GOPATH='$T/go' GOFLAGS='-mod=mod -modcacherw' timeout 600 go get sigs.k8s.io/cri-tools@$VERSION &&
		GOPATH='$T/go' GOFLAGS='-mod=mod -modcacherw' timeout 900 go test -c -o '$T/critest' sigs.k8s.io/cri-tools/cmd/critest" > "$T/critest.log" 2>&1; then
		skip "$LABEL: critest" "it cannot be built here: $(tail -n 1 "$T/critest.log")"
		exit 0
	fi
	CRITEST=$T/critest
fi

make_busybox_rootfs "$T/base"
printf '#include <stdio.h>\n#include <unistd.h>\nint main(void) { printf("Effective uid: %%d\\n", (int)geteuid()); }\n' > "$T/nnp.c"
gcc -static -O2 -o "$T/nnp" "$T/nnp.c" || exit 1
port=5000
"$here/registry.py" "$T/base" "$T/nnp" $port > "$T/registry.log" 2>&1 &
registry=$!
wait_for 'grep -q ready "$T/registry.log"' 200 || { bad "$LABEL: critest" "no registry: $(tail -n 1 "$T/registry.log")"; exit 1; }
mkdir -p "$T/certs/_default"
printf '[host."http://127.0.0.1:%s"]\ncapabilities = ["pull", "resolve"]\n' $port > "$T/certs/_default/hosts.toml"
SHIM_TOML='[runsc_config]\noci-seccomp = "true"\n' # off by default, as with the peer
PORTMAP=1 CERTS=$T/certs setup_cri "$bindir"
echo "== $LABEL: $("$CONTAINERD" --version), critest ${CRITEST##*/}"
# a kubelet waits for the network to be ready
sleep 1
for h; do
	timeout "${LIMIT:-1500}" "$CRITEST" -ginkgo.no-color ${FOCUS:+-ginkgo.focus="$FOCUS"} ${SKIP:+-ginkgo.skip="$SKIP"} -runtime-handler="$h" -runtime-endpoint "unix://$T/containerd.sock" \
		-image-endpoint "unix://$T/containerd.sock" -ginkgo.junit-report "$T/report-$h.xml" > "${LOGDIR:-$T}/critest-$h.log" 2>&1
	# critest forgets pods of tests that fail early: those may live on
	left() { ctr container ls -q 'labels."io.cri-containerd.kind"==sandbox' | wc -l; }
	check "critest: no shim is left without a pod ($h)" "$(wait_for '[ "$(shims | wc -l)" -le "$(left)" ]' 200; [ "$(shims | wc -l)" -le "$(left)" ]; echo $?)" 0
done
"$here/critest_report.py" "$LABEL" "$here/critest_differs.txt" $(for h; do echo "$h=$T/report-$h.xml"; done) || fail=1
kill "$registry"
finish
