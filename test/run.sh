#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make test: installs what it needs, builds, runs every test, ends with a plain count.
# Each stage prints lines "ok NAME", "not ok NAME: why", "skip NAME: why"; Criterion's own closing line is turned into them.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$TOP"
# Whoever starts this may have closed standard input, or left descriptors open: tests count them, name them and wait for them.
exec < /dev/null
for fd in /proc/self/fd/*; do
	fd=${fd##*/}
	[ "$fd" -le 2 ] || [ "$fd" -eq 255 ] || eval "exec $fd>&-"	# 255: this script
done
log=$(mktemp /tmp/test.XXXXXX) one=$(mktemp /tmp/test.XXXXXX) again=$(mktemp /tmp/test.XXXXXX)
trap 'rm -f "$log" "$one" "$again"' EXIT

need_packages gcc make git libc6-dev libcriterion-dev libprotobuf-c-dev protobuf-c-compiler libseccomp-dev libjson-c-dev \
	libnl-3-dev libnl-route-3-dev busybox-static jq python3 iproute2 runc || exit 1
need_packages clang libclang-rt-14-dev diod || true	# fuzzers and stock peers: their tests say why they skip
make -s -j"$(nproc)" || { echo "build failed"; echo "0 passed, 1 failed"; exit 1; }
make -s -j"$(nproc)" "build/rel/unit" || { echo "unit tests do not build"; echo "0 passed, 1 failed"; exit 1; }

# try_stage NAME SECONDS COMMAND...: runs it once, its lines in $one; dying or timing out is a failure of its own
try_stage() {
	local name=$1 secs=$2 st
	shift 2
	timeout -k 10 "$secs" "$@" 2>&1 | tee "$one"
	st=${PIPESTATUS[0]}
	[ "$st" -eq 0 ] || grep -q '^not ok ' "$one" || echo "not ok stage/$name: status $st" | tee -a "$one"
	! grep -q '^not ok ' "$one"
}

# stage NAME SECONDS COMMAND...: a stage that fails is run once more, since the machines are shared and stall for seconds; the
# second run counts, and the closing lines name the stage and what failed the first time, so that a rare race stays visible.
stage() {
	[ -e "$3" ] || return 0
	echo "== $1"
	if ! try_stage "$@"; then
		grep '^not ok ' "$one" | sed "s/^not ok /again $1: /" >> "$again"
		echo "== $1 (second try)"
		try_stage "$@"
	fi
	cat "$one" >> "$log"
}

stage layers 60 test/layers.sh
stage hostcalls 60 test/hostcalls.sh
stage unit 600 test/unit/run.sh
stage guest 1200 test/guest/run.sh
stage sanitizers 1200 test/guest/run_san.sh
for t in test/e2e/*.sh test/security/*.sh test/net/*.sh test/fuzz/run.sh; do
	stage "$(basename "$t" .sh)" 1200 "$t"
done

p=$(grep -c '^ok ' "$log"); f=$(grep -c '^not ok ' "$log"); s=$(grep -c '^skip ' "$log")
cat "$again"
grep '^not ok ' "$log"
echo "$p passed, $f failed, $s skipped"
[ "$f" -eq 0 ] && [ "$p" -gt 0 ]
