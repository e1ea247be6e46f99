#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and runs the fuzzer of packet input. usage: net_run.sh [SECONDS, default 20] [corpus directory]
set -eu
cd "$(dirname "$0")/../.."
secs=${1:-20} corpus=$(realpath -m "${2:-build/fuzz/corpus}")
command -v clang >/dev/null || { echo "SKIP net fuzzer: clang is not installed"; exit 0; }
O=$PWD/build/fuzz
mkdir -p "$O/net" "$corpus/net"
flags="-std=gnu17 -O1 -g -D_GNU_SOURCE -DSENTRY_ASAN=1 -I. -Iproto -pthread -fno-strict-aliasing
	-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined"
objs=
for f in $(find sentry/net -name '*.c') proto/base/mutex.c proto/base/hostcall_fault.c proto/base/log.c proto/base/err.c proto/base/buf.c \
	test/unit/net/wirelab.c test/fuzz/net_packet.c; do
	o=$O/net/$(echo "$f" | tr / _).o
	[ "$o" -nt "$f" ] || clang $flags -c -o "$o" "$f"
	objs="$objs $o"
done
clang -fsanitize=fuzzer,address,undefined -pthread -o "$O/net_packet" $objs
if timeout $((secs + 60)) "$O/net_packet" -max_total_time="$secs" -timeout=20 -rss_limit_mb=2048 -max_len=4096 \
	-print_final_stats=1 -artifact_prefix="$O/" "$corpus/net" > "$O/net.log" 2>&1; then
	grep -E 'DONE|number_of_executed' "$O/net.log" | tail -2
	echo "ok fuzz/net_packet"
else
	tail -40 "$O/net.log"
	echo "not ok fuzz/net_packet: see above"
	exit 1
fi
