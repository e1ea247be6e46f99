#!/usr/bin/env bash
# make bench: the same programs under runc, under runsc and any runtime named in RUNTIMES, in turn; see bench.py.
# usage: run.sh [--rounds N] [ROW...]; BENCH_ARGS holds the same for make.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
need_packages runc busybox-static jq gcc libc6-dev python3 iproute2
need_packages iperf3 redis-server redis-tools nginx-light wrk || echo "some rows of the network will be missing" >&2
args=()
for r in ${RUNTIMES:-}; do args+=(--runtime "$r"); done
exec python3 "$TOP/test/bench/bench.py" --runsc "$RUNSC" "${args[@]}" ${BENCH_ARGS:-} "$@"
