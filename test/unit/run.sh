#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the Criterion program and turns its verbose lines into ok / not ok lines.
set -uo pipefail
cd "$(dirname "$0")/../.."
make -s -j"$(nproc)" build/rel/unit || exit 1
out=$(mktemp /tmp/unit.XXXXXX)
trap 'rm -f "$out"' EXIT
timeout 500 build/rel/unit --verbose --timeout 60 --color=never > "$out" 2>&1
st=$?
sed -n 's/^\[PASS\] \([^:]*\)::\([^:]*\):.*/ok unit\/\1\/\2/p; s/^\[FAIL\] \([^:]*\)::\([^:]*\):.*/not ok unit\/\1\/\2: see below/p; s/^\[SKIP\] \([^:]*\)::\([^:]*\): *\(.*\)/skip unit\/\1\/\2: \3/p' "$out" | sort -u
grep -q 'Synthesis' "$out" || { tail -20 "$out"; exit 1; }
[ $st -eq 0 ] || grep -E '^\[(FAIL|----)\]' "$out" | head -60
exit 0
