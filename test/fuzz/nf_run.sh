#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and runs the fuzzer of iptables' tables. usage: nf_run.sh [SECONDS, default 20] [corpus directory]
set -eu
cd "$(dirname "$0")/../.."
secs=${1:-20} corpus=$(realpath -m "${2:-build/fuzz/corpus}")
command -v clang >/dev/null || { echo "SKIP nf fuzzer: clang is not installed"; exit 0; }
O=$PWD/build/fuzz
mkdir -p "$O/nf" "$corpus/nf"
flags="-std=gnu17 -O1 -g -D_GNU_SOURCE -DSENTRY_ASAN=1 -I. -Iproto -pthread -fno-strict-aliasing
	-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined"
# a header changed: everything is stale
[ -e "$O/nf/.headers" ] && [ -z "$(find sentry proto -name '*.h' -newer "$O/nf/.headers" | head -1)" ] || rm -f "$O/nf"/*.o
touch "$O/nf/.headers"
objs=
for f in $(find sentry/net -name '*.c') proto/base/mutex.c proto/base/hostcall_fault.c proto/base/log.c proto/base/err.c proto/base/buf.c \
	test/unit/net/wirelab.c test/fuzz/nf_blob.c; do
	o=$O/nf/$(echo "$f" | tr / _).o
	[ "$o" -nt "$f" ] || clang $flags -w -c -o "$o" "$f"
	objs="$objs $o"
done
clang -fsanitize=fuzzer,address,undefined -pthread -o "$O/nf_blob" $objs
# for each table and family: a rule with a match and a target, a jump, a policy
python3 - "$corpus/nf" <<'PY'
import sys
for t in range(8):
    for k in range(24):
        open("%s/seed%d_%d" % (sys.argv[1], t, k), "wb").write(bytes([t, 1, 10, 2 * k, 0, 0, 0xff, 0xff, 0, 80] + [0] * 40 + [2 * k + t % 2, 1, 2, 3] + [0] * 60))
PY
if timeout $((secs + 60)) "$O/nf_blob" -max_total_time="$secs" -timeout=20 -rss_limit_mb=2048 -max_len=4096 \
	-print_final_stats=1 -artifact_prefix="$O/" "$corpus/nf" > "$O/nf.log" 2>&1; then
	grep -E 'DONE|number_of_executed' "$O/nf.log" | tail -2
	echo "ok fuzz/nf_blob"
else
	tail -40 "$O/nf.log"
	echo "not ok fuzz/nf_blob: see above"
	exit 1
fi
