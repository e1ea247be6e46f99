#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and runs the fuzzer of netlink messages. usage: netlink_run.sh [SECONDS, default 20] [corpus directory]
set -eu
cd "$(dirname "$0")/../.."
secs=${1:-20} corpus=$(realpath -m "${2:-build/fuzz/corpus}")
command -v clang >/dev/null || { echo "SKIP netlink fuzzer: clang is not installed"; exit 0; }
O=$PWD/build/fuzz
mkdir -p "$O/netlink" "$corpus/netlink"
flags="-std=gnu17 -O1 -g -D_GNU_SOURCE -DSENTRY_ASAN=1 -I. -Iproto -pthread -fno-strict-aliasing
	-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined"
# a header changed: everything is stale
[ -e "$O/netlink/.headers" ] && [ -z "$(find sentry proto -name '*.h' -newer "$O/netlink/.headers" | head -1)" ] || rm -f "$O/netlink"/*.o
touch "$O/netlink/.headers"
objs=
for f in $(find sentry/net sentry/socket/netlink -name '*.c') proto/base/mutex.c proto/base/hostcall_fault.c proto/base/log.c proto/base/err.c proto/base/buf.c \
	test/fuzz/netlink_input.c; do
	o=$O/netlink/$(echo "$f" | tr / _).o
	[ "$o" -nt "$f" ] || clang $flags -w -c -o "$o" "$f"
	objs="$objs $o"
done
clang -fsanitize=fuzzer,address,undefined -pthread -o "$O/netlink_input" $objs
# one of each: a message that asks or makes something, for the mutations to start from
python3 - "$corpus/netlink" <<'PY'
import struct, sys
def attr(t, d): return struct.pack("HH", len(d) + 4, t) + d + b"\0" * (-len(d) % 4)
def msg(t, fl, body): return struct.pack("IHHII", 16 + len(body), t, fl, 1, 0) + body
ii = struct.pack("BxHiII", 0, 0, 0, 0, 0)
kind = lambda k, d=b"": attr(18, attr(1, k) + d)
seeds = [(0, msg(t, 0x301, ii)) for t in (18, 22, 26, 30, 34)]
seeds += [(0, msg(16, 0x605, ii + attr(3, b"x0\0") + kind(k))) for k in (b"dummy", b"bridge")]
seeds += [(0, msg(16, 0x605, ii + attr(3, b"v0\0") + kind(b"veth", attr(2, attr(1, ii + attr(3, b"v1\0"))))))]
seeds += [(0, msg(20, 0x605, struct.pack("BBBBI", 2, 24, 0, 0, 2) + attr(2, b"\x0a\1\1\1") + attr(1, b"\x0a\1\1\1")))]
seeds += [(0, msg(24, 0x605, struct.pack("BBBBBBBBI", 2, 16, 0, 0, 254, 3, 0, 1, 0) + attr(1, b"\x0a\2\0\0") + attr(5, b"\x0a\0\0\2") + attr(8, attr(2, struct.pack("I", 1300)))))]
seeds += [(0, msg(26, 1, struct.pack("BBBBBBBBI", 2, 32, 0, 0, 0, 0, 0, 0, 0) + attr(1, b"\x0a\0\0\7")))]
seeds += [(0, msg(28, 0x605, struct.pack("BxxxiHBB", 2, 2, 128, 0, 0) + attr(1, b"\x0a\0\0\2") + attr(2, b"\2\0\0\0\0\1")))]
seeds += [(0, msg(32, 0x605, struct.pack("BBBBBBBBI", 2, 0, 24, 0, 77, 0, 0, 1, 0) + attr(2, b"\x0a\0\0\0")))]
seeds += [(1, msg(20, 0x301, struct.pack("BBBBI", f, p, 0xff, 0, 0xfff) + b"\0" * 48 + attr(1, struct.pack("BBHBBH", 4, 8, 12, 0, 0, 80)))) for f in (2, 10) for p in (6, 17)]
seeds += [(2, msg(16, 1, struct.pack("BBH", 3, 1, 0) + attr(2, b"nlctrl\0")))]
be = lambda v, n=4: v.to_bytes(n, "big")
nf = lambda t, fl, body, fam=2: struct.pack("IHHII", 20 + len(body), t, fl, 1, 0) + struct.pack("BBH", fam, 0, 0) + body
nft = lambda t, body, fl=0x405, fam=2: nf(10 << 8 | t, fl, body, fam)
batch = lambda *ms: nf(16, 1, b"", 0) + b"".join(ms) + nf(17, 1, b"", 0)
ex = lambda name, d: attr(1, attr(1, name + b"\0") + attr(2, d))
val = lambda v: attr(1, v)
verdict = lambda c, chain=b"": attr(2, attr(1, be(c & 0xffffffff)) + (attr(2, chain + b"\0") if chain else b""))
table = nft(0, attr(1, b"t\0"))
hook = lambda n, ty: nft(3, attr(1, b"t\0") + attr(3, b"c\0") + attr(4, attr(1, be(n)) + attr(2, be(0))) + attr(7, ty + b"\0"))
chain = nft(3, attr(1, b"t\0") + attr(3, b"u\0"))
rule = lambda *es: nft(6, attr(1, b"t\0") + attr(2, b"c\0") + attr(4, b"".join(es)), 0xc05)
tcp = ex(b"payload", attr(1, be(1)) + attr(2, be(2)) + attr(3, be(2)) + attr(4, be(2))) + ex(b"cmp", attr(1, be(1)) + attr(2, be(0)) + attr(3, val(b"\0\x35")))
exprs = [tcp + ex(b"counter", b""), ex(b"immediate", attr(1, be(0)) + attr(2, verdict(-3, b"u"))), ex(b"meta", attr(1, be(8)) + attr(2, be(7))),
    ex(b"ct", attr(1, be(1)) + attr(2, be(0))) + ex(b"bitwise", attr(1, be(1)) + attr(2, be(1)) + attr(3, be(4)) + attr(4, val(b"\6\0\0\0")) + attr(5, val(bytes(4)))),
    ex(b"limit", attr(1, be(5, 8)) + attr(2, be(60, 8)) + attr(3, be(5))), ex(b"log", attr(2, b"x\0")), ex(b"reject", attr(1, be(0)) + attr(2, b"\3")),
    ex(b"fib", attr(1, be(1)) + attr(2, be(3)) + attr(3, be(2))), ex(b"exthdr", attr(1, be(1)) + attr(2, b"\2") + attr(3, be(2)) + attr(4, be(2)) + attr(6, be(1))),
    ex(b"quota", attr(1, be(9, 8))), ex(b"match", attr(1, b"state\0") + attr(2, be(0)) + attr(3, b"\2\0\0\0\0\0\0\0")), ex(b"notrack", b""),
    ex(b"payload", attr(5, be(1)) + attr(2, be(1)) + attr(3, be(8)) + attr(4, be(1)) + attr(6, be(1)) + attr(7, be(10)))]
seeds += [(3, batch(table, hook(h, b"filter"), chain, rule(e))) for h, e in zip([3, 1, 0, 4, 3] * 3, exprs)]
imm = lambda r, v: ex(b"immediate", attr(1, be(r)) + attr(2, val(v)))
seeds += [(3, batch(table, hook(3, b"nat"), rule(imm(1, b"\x0a\0\0\1"), imm(2, b"\0\x35"), ex(b"nat", attr(1, be(1)) + attr(2, be(2)) + attr(3, be(1)) + attr(5, be(2)))))),
    (3, batch(table, hook(3, b"nat"), rule(ex(b"redir", b"")))), (3, batch(table, hook(4, b"nat"), rule(ex(b"masq", b""))))]
sets = lambda fl, more=b"": nft(9, attr(1, b"t\0") + attr(2, b"s\0") + attr(3, be(fl)) + attr(4, be(13)) + attr(5, be(2)) + more + attr(10, be(1)))
elem = lambda *es: nft(12, attr(1, b"t\0") + attr(2, b"s\0") + attr(3, b"".join(attr(1, e) for e in es)))
key = lambda v: attr(1, val(v))
look = ex(b"lookup", attr(1, b"s\0") + attr(2, be(1)))
seeds += [(3, batch(table, hook(3, b"filter"), sets(0), elem(key(b"\0\x35"), key(b"\0\x50")), rule(tcp, look))),
    (3, batch(table, hook(3, b"filter"), sets(4), elem(key(b"\0\x35"), key(b"\0\x50") + attr(3, be(1))), rule(tcp, look))),
    (3, batch(table, hook(3, b"filter"), chain, sets(8, attr(6, be(0xffffff00))), elem(key(b"\0\x35") + attr(2, verdict(-3, b"u"))), rule(tcp, ex(b"lookup", attr(1, b"s\0") + attr(2, be(1)) + attr(3, be(0)))))),
    (3, batch(table, nft(18, attr(1, b"t\0") + attr(2, b"o\0") + attr(3, be(1)) + attr(4, b"")), hook(3, b"filter"), rule(ex(b"objref", attr(1, be(1)) + attr(2, b"o\0"))), nft(20, attr(1, b"t\0") + attr(2, b"o\0") + attr(3, be(1))))),
    (3, batch(table, hook(3, b"filter"), rule(tcp)) + batch(nft(2, attr(1, b"t\0"))))]
seeds += [(3, nft(t, b"", 0x301, 0)) for t in (1, 4, 7, 10, 16, 19, 23)] + [(3, nf(1 << 8 | t, 0x301, b"")) for t in (1, 2, 4)]
for i, (p, m) in enumerate(seeds):
    open("%s/seed%d" % (sys.argv[1], i), "wb").write(bytes([p]) + m)
PY
if timeout $((secs + 60)) "$O/netlink_input" -max_total_time="$secs" -timeout=20 -rss_limit_mb=2048 -max_len=4096 \
	-print_final_stats=1 -artifact_prefix="$O/" "$corpus/netlink" > "$O/netlink.log" 2>&1; then
	grep -E 'DONE|number_of_executed' "$O/netlink.log" | tail -2
	echo "ok fuzz/netlink_input"
else
	tail -40 "$O/netlink.log"
	echo "not ok fuzz/netlink_input: see above"
	exit 1
fi
