#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every fuzzer for a short while. usage: run.sh [SECONDS each, default 15]
cd "$(dirname "$0")" || exit 1
out=$(mktemp /tmp/fuzz.XXXXXX)
trap 'rm -f "$out"' EXIT
failed=0
for r in ./*_run.sh; do
	"$r" "${1:-15}" > "$out" 2>&1
	st=$?
	cat "$out"
	if grep -q '^not ok ' "$out"; then failed=1
	elif [ $st -ne 0 ]; then	# one that does not even build has no line of its own
		echo "not ok fuzz/$(basename "$r" _run.sh): status $st: $(tail -1 "$out")"
		failed=1
	fi
done
exit $failed
