#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The command line and the host side of a container's life, with a stand-in for the Sentry (test/e2e/runsc/fake_sentry.c): what
# callers of an OCI runtime rely on, bad configurations, and kills at any point. Needs root.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
cd "$TOP"
[ "$(id -u)" = 0 ] || { echo "skip runsc_cli: not root"; exit 0; }
out=${OUT:-build/rel}
make -s "$out/liblifecycle.a" "$out/libcni.a" "$out/libgofer.a" "$out/libproto.a" "$out/libbase.a" || exit 1
gcc -std=gnu17 -O1 -g -D_GNU_SOURCE -I. -Iproto -I"$out/gen" -idirafter /usr/include/libnl3 -pthread -static-pie -fPIE -w -o "$out/runsc-fake" runsc/*.c \
	test/e2e/runsc/fake_sentry.c -Wl,--start-group "$out"/lib{lifecycle,cni,gofer,proto,base}.a -Wl,--end-group \
	-lprotobuf-c -lseccomp -ljson-c -lnl-route-3 -lnl-3 2>/dev/null || { echo "not ok runsc_cli: build"; exit 1; }
exec python3 test/e2e/runsc/cli.py "$out/runsc-fake" "$@"
