#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and runs the fuzzer of the ELF and script parser. usage: elf_run.sh [SECONDS, default 20] [corpus directory]
set -eu
cd "$(dirname "$0")/../.."
secs=${1:-20} corpus=$(realpath -m "${2:-build/fuzz/corpus}")
command -v clang >/dev/null || { echo "SKIP elf fuzzer: clang is not installed"; exit 0; }
O=$PWD/build/fuzz
mkdir -p "$O" "$corpus/elf"
clang -std=gnu17 -O1 -g -D_GNU_SOURCE -I. -Iproto -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
	-o "$O/elf_parse" test/fuzz/elf_parse.c sentry/loader/elf_parse.c
# Seeds: the beginnings of real programs of every kind, and scripts.
for f in /bin/sh /bin/busybox /lib64/ld-linux-x86-64.so.2 /usr/bin/python3; do
	[ -r "$f" ] && head -c 4096 "$f" > "$corpus/elf/$(basename "$f")"
done
printf '#! /bin/sh -e x \nrest' > "$corpus/elf/script"
if timeout $((secs + 60)) "$O/elf_parse" -max_total_time="$secs" -timeout=10 -rss_limit_mb=512 -max_len=8192 \
	-print_final_stats=1 -artifact_prefix="$O/" "$corpus/elf" > "$O/elf.log" 2>&1; then
	grep -E 'DONE|number_of_executed' "$O/elf.log" | tail -2
	echo "ok fuzz/elf_parse"
else
	tail -40 "$O/elf.log"
	echo "not ok fuzz/elf_parse: see above"
	exit 1
fi
