#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and runs the ttrpc fuzzers. usage: ttrpc_run.sh [SECONDS each, default 20] [corpus directory]
set -eu
cd "$(dirname "$0")/../.."
secs=${1:-20} corpus=$(realpath -m "${2:-build/fuzz/corpus}")
command -v clang >/dev/null || { echo "skip ttrpc fuzzers: clang is not installed"; exit 0; }
O=$PWD/build/fuzz
mkdir -p "$O/gen" "$corpus/ttrpc_frame" "$corpus/ttrpc_shim"
(cd proto && protoc-c --proto_path=. --c_out="$O/gen" ./*.proto)
FLAGS="-std=gnu17 -O1 -g -D_GNU_SOURCE -DSENTRY_ASAN=1 -I. -Iproto -I$O/gen -Wno-unknown-warning-option -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined"
BASE=$(ls proto/base/*.c proto/ttrpc*.c "$O"/gen/*.c)
SHIM=$(ls shim/*.c | grep -v -E '/(main|daemon|start|delete|info|logger)\.c')
LIFE="runsc/lib/flags.c runsc/lib/names.c runsc/lib/idmap.c"
# shellcheck disable=SC2086
clang $FLAGS '-DVERSION="fuzz"' -o "$O/ttrpc_frame" test/fuzz/ttrpc_frame.c $BASE -lprotobuf-c -pthread
# shellcheck disable=SC2086
clang $FLAGS '-DVERSION="fuzz"' -o "$O/ttrpc_shim" test/fuzz/ttrpc_shim.c $BASE $SHIM $LIFE -lprotobuf-c -ljson-c -pthread
# Seeds: one request of each method that names what is there (field 1 "c", field 2 "e"), one raw stream.
python3 - "$corpus" <<'P'
import sys, struct
d = sys.argv[1]
for i in range(45):
    open(f'{d}/ttrpc_shim/m{i}', 'wb').write(bytes([i + 1]) + b'\x0a\x01c\x12\x01e')
    open(f'{d}/ttrpc_shim/i{i}', 'wb').write(bytes([i + 1]) + b'\x0a\x01c')
def s(n, v): return bytes([n << 3 | 2, len(v)]) + v
def frame(stream, body, typ=1, flags=0): return struct.pack('>IIBB', len(body), stream, typ, flags) + body
any_ = lambda t, v: s(1, t) + s(2, v)
req = s(1, b'containerd.services.streaming.v1.Streaming') + s(2, b'Stream')
raw = frame(1, req, 1, 2) + frame(1, any_(b'containerd.services.streaming.v1.StreamInit', s(1, b's')), 3) \
    + frame(1, any_(b'containerd.types.transfer.WindowUpdate', b'\x08\x03'), 3) + frame(1, b'', 3, 5)
open(f'{d}/ttrpc_shim/stream', 'wb').write(b'\0' + raw)
# once a leak: a stream whose second message does not decode
open(f'{d}/ttrpc_shim/stream_bad', 'wb').write(b'\0' + frame(1, req, 1, 2) + frame(1, b'\xff\xff', 3))
# once a null pointer read: an update whose resources, an exec whose specification has no bytes
for i in range(45):
    for field in (2, 6):
        open(f'{d}/ttrpc_shim/empty{i}_{field}', 'wb').write(bytes([i + 1]) + s(1, b'c') + s(field, s(1, b'LinuxResources')))
open(f'{d}/ttrpc_frame/stream', 'wb').write(b'\x05' + raw)
P
# Without privileges: the handlers open, make and mount what their input names.
work=$(mktemp -d /tmp/ttrpc-fuzz.XXXXXX)
trap 'rm -rf "$work"' EXIT
cp -r "$O/ttrpc_frame" "$O/ttrpc_shim" "$work"
mkdir "$work/corpus" && cp -r "$corpus/ttrpc_frame" "$corpus/ttrpc_shim" "$work/corpus"
chmod -R a+rwX "$work"
run=(env)
[ "$(id -u)" -ne 0 ] || run=(setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs env)
for t in ttrpc_frame ttrpc_shim; do
	if (cd "$work" && ulimit -f 20480 && exec timeout $((secs + 60)) "${run[@]}" HOME="$work" "./$t" -max_total_time="$secs" -timeout=20 \
		-rss_limit_mb=1024 -max_len=8192 -print_final_stats=1 -artifact_prefix="$work/" "corpus/$t") >"$O/$t.log" 2>&1; then
		grep -E 'number_of_executed' "$O/$t.log" | tail -1
		cp -n "$work/corpus/$t"/* "$corpus/$t/" 2>/dev/null || true
		echo "ok fuzz/$t"
	else
		tail -40 "$O/$t.log"
		cp "$work"/crash-* "$work"/timeout-* "$work"/oom-* "$work"/leak-* "$O/" 2>/dev/null || true
		echo "not ok fuzz/$t: see $O/$t.log"
		exit 1
	fi
done
