#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and runs the 9P fuzzers. usage: p9_run.sh [SECONDS each, default 20] [corpus directory]
set -eu
cd "$(dirname "$0")/../.."
secs=${1:-20} corpus=$(realpath -m "${2:-build/fuzz/corpus}") # absolute: a server changes its directory
command -v clang >/dev/null || { echo "skip fuzz/p9: clang is not installed"; exit 0; }
O=$PWD/build/fuzz
mkdir -p $O
FLAGS="-std=gnu17 -O1 -g -D_GNU_SOURCE -DSENTRY_ASAN=1 -I. -Iproto -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined"
BASE=$(ls proto/base/*.c)
VER='-DVERSION="fuzz"'
# shellcheck disable=SC2086
clang $FLAGS "$VER" -o $O/p9_server test/fuzz/p9_server.c proto/p9.c $BASE gofer/op_*.c gofer/{dispatch,fid,node,session}.c -pthread
# shellcheck disable=SC2086
clang $FLAGS "$VER" -o $O/p9_client test/fuzz/p9_client.c proto/p9.c proto/p9_client.c proto/p9_fs.c $BASE -pthread
python3 test/fuzz/p9_seeds.py "$corpus"
for t in p9_server p9_client; do
	# the server's tree is host files: one input must not be able to fill the disk
	if (ulimit -f 20480; exec timeout $((secs + 60)) $O/$t -max_total_time="$secs" -timeout=10 -rss_limit_mb=1024 \
		-max_len=16384 -print_final_stats=1 -artifact_prefix=$O/ "$corpus/$t") >$O/$t.log 2>&1; then
		grep -E 'DONE|number_of_executed' $O/$t.log | tail -2
		echo "ok fuzz/$t"
	else
		tail -40 $O/$t.log
		echo "not ok fuzz/$t: see $O"
		exit 1
	fi
done
