#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The shim under a real, private containerd: first over plain processes (fakelc.c: what the shim itself does), then
# the wire formats, then with the Sentry. CONTAINERD and CTR name other versions than Debian's.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
dir=$TOP/test/e2e/containerd
need_packages containerd containernetworking-plugins iproute2 busybox-static python3 || { skip containerd "its packages cannot be had"; exit 0; }
[ "$(id -u)" -eq 0 ] || { skip containerd "needs root"; exit 0; }
st=0
fake=$TOP/$("$dir/build.sh" | tail -1) || { not_ok containerd "the test shim does not build"; exit 1; }
LABEL="shim over processes" timeout 300 "$dir/shim_test.sh" "$fake" || st=1
LABEL="shim over processes" timeout 600 "$dir/cri_test.sh" "$fake" || st=1
timeout 600 "$dir/wire_test.sh" "$fake" || st=1
if [ -x "$TOP/bin/runsc" ]; then
	LABEL="shim and Sentry" timeout 600 "$dir/shim_test.sh" "$TOP/bin" || st=1
	LABEL="shim and Sentry" timeout 600 "$dir/cri_test.sh" "$TOP/bin" || st=1
	LABEL="shim and Sentry" timeout 600 "$dir/pod_test.sh" "$TOP/bin" || st=1
	LABEL="shim and Sentry" timeout 900 "$dir/scale_test.sh" "$TOP/bin" || st=1
	LABEL="shim and Sentry" timeout 3600 "$dir/critest.sh" "$TOP/bin" || st=1
else
	skip "shim and Sentry" "bin/runsc is not built"
fi
exit $st
