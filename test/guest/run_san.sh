#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds everything with ASan and UBSan (make SAN=1) and runs the guest tests, terminals and execs inside that build: what a sanitizer
# says in any log is a failure. Usage: run_san.sh [name-prefix]; below 6 minutes with a warm compiler cache
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
cd "$TOP" || exit 1
need_packages gcc make busybox-static jq python3 || { skip san "packages"; exit 0; }
[ "$(id -u)" -eq 0 ] || { skip san "not root"; exit 0; }
work=$(mktemp -d /tmp/san.XXXXXX)
trap 'rm -rf "$work"' EXIT
if ! timeout 900 make -s -j"$(nproc)" SAN=1 > "$work/build.log" 2>&1; then
	not_ok san/build "$(grep -m1 -E 'error|undefined' "$work/build.log")"
	exit 0
fi
ok san/build
export RUNSC=$TOP/build/san/bin/runsc
FLAGS="--debug-log=$work/logs/" GUEST_TIMEOUT=60 timeout 240 test/guest/run.sh "${1:-}" > "$work/guest.log" 2>&1
[ $? -ne 124 ] || not_ok san/guest "not finished after 240 s"
sed -n -E 's/^(ok|not ok|skip) guest/\1 san\/guest/p' "$work/guest.log"

# Terminals: execs with one that end, are killed, or leave somebody behind, with execs without one in between
make_busybox_rootfs "$work/rootfs"
make_bundle "$work/b" "$work/rootfs" /bin/sleep 300
id=san$$
if timeout 60 "$RUNSC" --root "$work/state" --debug-log="$work/logs/" run --detach --bundle "$work/b" $id > "$work/run.log" 2>&1 < /dev/null; then
	if timeout 100 python3 test/guest/run_san_tty.py "$RUNSC" "$work/state" $id > "$work/tty.log" 2>&1; then ok san/terminals
	else not_ok san/terminals "$(tail -1 "$work/tty.log")"; fi
else
	not_ok san/terminals "no container: $(tail -1 "$work/run.log")"
fi
timeout 30 "$RUNSC" --root "$work/state" delete --force $id > /dev/null 2>&1

# A sanitizer that says nothing because it cannot is noticed: the runtime is there, and it is ours that is searched
if grep -q __asan_report < <(nm -D "$RUNSC" 2>/dev/null); then ok san/runtime; else not_ok san/runtime "the build has no sanitizer in it"; fi
found=$(grep -l -E 'runtime error:|ERROR: AddressSanitizer|SUMMARY: (Address|UndefinedBehavior)Sanitizer' -r "$work" 2> /dev/null)
if [ -n "$found" ]; then
	for f in $found; do not_ok "san/report $(basename "$f")" "$(grep -h -m1 -E 'runtime error:|ERROR: AddressSanitizer' "$f")"; done
else
	ok san/no-report
fi
