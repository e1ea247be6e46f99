#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test/e2e/net_opts.sh - every option of every kind of socket, asked and set natively and inside: the answers are the same but for the
# options that test/net/optdump.differ names
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip net_opts "needs root"; exit 0; }
need_packages gcc libc6-dev busybox-static jq python3 || { skip net_opts "packages"; exit 0; }
# which options there are, and some of their answers, change from release to release
[[ $(uname -r) == 6.18* ]] || { skip net_opts "the list of differences was made on Linux 6.18"; exit 0; }
work=$(mktemp -d /tmp/net_opts.XXXXXX); id=no$$
trap 'timeout 10 "$RUNSC" --root "$work/state" delete --force $id >/dev/null 2>&1; rm -rf "$work"' EXIT
make_busybox_rootfs "$work/rootfs"
gcc -O1 -static -D_GNU_SOURCE -o "$work/rootfs/bin/optdump" "$TOP/test/net/optdump.c" 2>"$work/cc" || { not_ok net_opts_compile "$(head -3 "$work/cc" | tr '\n' ' ')"; exit 1; }
timeout 100 unshare -n sh -c 'echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range; exec "$1"' x "$work/rootfs/bin/optdump" >"$work/native" 2>&1 ||
	{ skip net_opts "natively: $(tail -1 "$work/native")"; exit 0; }
EXTRA_JQ='.process.capabilities |= map_values(. + ["CAP_NET_ADMIN","CAP_SYS_ADMIN"])' make_bundle "$work/b" "$work/rootfs" /bin/optdump
timeout -k 5 200 "$RUNSC" --root "$work/state" --net-raw=true run --bundle "$work/b" $id </dev/null >"$work/inside" 2>&1 ||
	{ not_ok net_opts_run "$(tail -1 "$work/inside")"; exit 1; }
python3 - "$TOP/test/net/optdump.differ" "$work/native" "$work/inside" <<'P'
import sys
known = {(w[0], n) for l in open(sys.argv[1]) if not l.startswith("#") for w in [l.split()] for n in w[1:]}
a, b = (open(f).read().splitlines() for f in sys.argv[2:])
bad, differ, seen = {}, set(), {}
if len(a) != len(b):
    print(f"not ok net_opts_lines: {len(a)} natively, {len(b)} inside")
for x, y in zip(a, b):
    key = tuple(x.split(" ")[1:3])
    seen.setdefault(key[0], set()).add(key)
    if x != y:
        differ.add(key)
        if key not in known:
            bad.setdefault(key, f"{x} | {y}")
for level, keys in seen.items():
    wrong = [bad[k] for k in sorted(keys) if k in bad]
    same = len(keys - differ)
    if wrong:
        print(f"not ok net_opts/{level}: {len(wrong)} options, the first: {wrong[0][:200]}")
    else:
        print(f"ok net_opts/{level}: {same} of {len(keys)} options are the same")
for k in sorted(known - differ):
    print(f"note: {k[0]} {k[1]} does not differ any more")
P
