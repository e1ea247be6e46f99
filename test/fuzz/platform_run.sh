#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and runs the fuzzers of call-site rewriting and of shared-page messages. usage: platform_run.sh [SECONDS, default 20] [corpus directory]
set -eu
cd "$(dirname "$0")/../.."
secs=${1:-20} corpus=$(realpath -m "${2:-build/fuzz/corpus}")
command -v clang >/dev/null || { echo "SKIP platform fuzzers: clang is not installed"; exit 0; }
O=$PWD/build/fuzz
mkdir -p "$O" "$corpus/site" "$corpus/slot"
flags=(-std=gnu17 -O1 -g -pthread -D_GNU_SOURCE -I. -Iproto -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined)
clang "${flags[@]}" -o "$O/platform_site" test/fuzz/platform_site.c sentry/platform/rewrite_match.c sentry/arch/x86_64/insn.c
# All of the platform is linked; the zygote's image is never started, so two empty symbols stand for it.
printf 'const char zygote_blob[1], zygote_blob_end[1];\n' > "$O/no_blob.c"
clang "${flags[@]}" -DSENTRY_ASAN=1 -o "$O/platform_slot" test/fuzz/platform_slot.c "$O/no_blob.c" \
	$(ls sentry/platform/*.c | grep -v guest_run.c) sentry/run/*.c sentry/arch/x86_64/*.c sentry/arch/x86_64/*.S \
	$(ls proto/base/*.c | grep -v version.c)
# Seeds: glibc's read, a plain wrapper; a call with a string segment.
printf '\x44%064d\x31\xc0\x0f\x05\x48\x3d\x00\xf0\xff\xff\x77\x02\xc3\x66\x0f\x1f\x44\x00\x00\x55' 0 > "$corpus/site/read"
printf '\x47%064d\xb8\x27\x00\x00\x00\x0f\x05\xc3%064d' 0 0 > "$corpus/site/getpid"
printf '\x01\x00\x00\x00\x01\x01\x00\x00\x01\x01\x00\x00' > "$corpus/slot/call"
status=0
for f in site slot; do
	if timeout $((secs + 60)) "$O/platform_$f" -max_total_time="$secs" -timeout=10 -rss_limit_mb=1024 -max_len=8192 \
		-print_final_stats=1 -artifact_prefix="$O/" "$corpus/$f" > "$O/platform_$f.log" 2>&1; then
		grep -E 'number_of_executed' "$O/platform_$f.log" | tail -1
		echo "ok fuzz/platform_$f"
	else
		tail -40 "$O/platform_$f.log"
		echo "not ok fuzz/platform_$f: see above"
		status=1
	fi
done
exit $status
