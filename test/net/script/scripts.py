# SPDX-License-Identifier: Apache-2.0
# Packet scripts: what a TCP does to segments that a well-behaved application would never make the other side send. Each writes down
# facts only; where two right stacks may differ (window sizes, how many acknowledgements, exact times) the fact is a coarser one.
import struct
import time

from driver import ACK, FIN, PSH, RST, SYN, MSS, SACKOK, TS, WSCALE


def opts_of(s):
    return "+".join(n for k, n in ((MSS, "mss"), (SACKOK, "sack"), (TS, "ts"), (WSCALE, "ws")) if k in s.opts)


def d(n, at=0):
    return bytes((i + at) % 251 for i in range(n))


# ---- handshake (RFC 9293 section 3.10, RFC 7323) -----------------------------------------------------------------------------
def handshake_all_options(t):
    t.app("listen", "L", 7000)
    c = t.conn(7000)
    s = c.open_passive()
    t.say(c.show(s), opts_of(s), "mss", struct.unpack(">H", s.opts[MSS])[0])
    t.say("accept", t.app("accept", "L", "A"))
    t.end(c)


def handshake_mss_only(t):
    t.app("listen", "L", 7000)
    c = t.conn(7000)
    s = c.open_passive(opts=False)
    t.say(c.show(s), opts_of(s))
    t.say("accept", t.app("accept", "L", "A"))
    t.end(c)


def handshake_syn_again(t):
    t.app("listen", "L", 7000)
    c = t.conn(7000)
    c.put(SYN, opts=struct.pack(">BBH", 2, 4, 1000))
    a = c.get()
    c.put(SYN, opts=struct.pack(">BBH", 2, 4, 1000))
    b = c.get()
    t.say(c.show(a), "|", c.show(b))
    t.say("accept", t.app("pending", "L"))
    c.nxt, c.rcv = 1, 1
    t.end(c)


def handshake_synack_repeats(t):
    t.app("listen", "L", 7000)
    c = t.conn(7000)
    c.put(SYN)
    a = c.get()
    b = c.get(2.5)
    t.say(c.show(a), "|", c.show(b), "after a second:", b is not None and 0.7 < b.at - a.at < 1.6)
    c.nxt, c.rcv = 1, 1
    t.end(c)


def handshake_bad_ack(t):
    t.app("listen", "L", 7000)
    c = t.conn(7000)
    c.put(SYN)
    c.get()
    c.nxt = 1
    c.put(ACK, ack=77)
    s = c.get()
    t.say(c.show(s) if s and s.flags & RST else "no reset", "seq is what was acknowledged:", bool(s) and s.rel == 77)
    c.rcv = 1
    t.end(c)


def handshake_data_with_ack(t):
    t.app("listen", "L", 7000)
    c = t.conn(7000)
    c.put(SYN)
    c.get()
    c.nxt, c.rcv = 1, 1
    c.put(ACK | PSH, d(100))
    t.say("accept", t.app("accept", "L", "A"), "recv", t.app("recv", "A", 1000))
    s = c.until_ack(101)
    t.say(c.show(s))
    c.nxt = 101
    t.end(c)


def handshake_closed_port(t):
    c = t.conn(7999)
    c.put(SYN, d(0))
    t.say(c.show(c.get()))
    c = t.conn(7999)
    c.irs = 0
    c.put(ACK, ack=500)
    s = c.get()
    t.say(s.names(), s.seq)
    c = t.conn(7999)
    c.put(FIN, d(10))
    s = c.get()
    t.say(s.names(), s.rack)
    c = t.conn(7999)
    c.put(RST)
    t.say(c.show(c.get(0.3)))


def active_open(t):
    t.say(t.app("connect", "C", "10.91.0.1", 6000, 6100))
    c = t.conn(6100)
    c.lport = 6000
    s = c.get()
    t.say(c.show(s), opts_of(s))
    c.rcv = 1
    c.put(SYN | ACK, ack=1, opts=struct.pack(">BBH", 2, 4, 1200))
    c.nxt = 1
    t.say(c.show(c.get()), t.app("connected", "C", 1000))
    t.say(t.app("send", "C", 3000))
    got = []
    while sum(got) < 3000:
        s = c.get()
        if s is None:
            break
        got.append(len(s.data))
        c.rcv = max(c.rcv, s.rel + len(s.data))
        c.put(ACK)
    t.say("segments", sorted(got))
    t.end(c)


def active_open_syn_repeats(t):
    t.app("connect", "C", "10.91.0.1", 6000, 6101)
    c = t.conn(6101)
    c.lport = 6000
    a, b, e = c.get(), c.get(2.5), c.get(3.5)
    t.say(c.show(a), "|", c.show(b), "|", c.show(e))
    t.say("times", 0.7 < b.at - a.at < 1.6, 0.7 < e.at - b.at < 2.8)
    c.rcv = 1
    c.put(RST | ACK, seq=0, ack=1)
    t.say(t.app("connected", "C", 1000))
    t.end(c)


def active_open_refused(t):
    t.app("connect", "C", "10.91.0.1", 6000, 6102)
    c = t.conn(6102)
    c.lport = 6000
    c.get()
    c.put(RST, seq=0)                    # without ACK: not for us
    t.say(t.app("connected", "C", 200))
    c.put(RST | ACK, seq=0, ack=9)       # acknowledges nothing that was sent
    t.say(t.app("connected", "C", 200))
    c.put(RST | ACK, seq=0, ack=1)
    t.say(t.app("connected", "C", 1000))


def simultaneous_open(t):
    t.app("connect", "C", "10.91.0.1", 6000, 6103)
    c = t.conn(6103)
    c.lport = 6000
    t.say(c.show(c.get()))
    c.put(SYN)
    s = c.get()
    t.say(c.show(s))
    c.rcv, c.nxt = 1, 1
    c.put(SYN | ACK, seq=0, ack=1)
    t.say(t.app("connected", "C", 1500))
    t.end(c)


# ---- sending: retransmission, loss (RFC 6298, RFC 8985, RFC 6675) -----------------------------------------------------------------
def send_mss(t):
    c = t.established()
    t.app("send", "A", 5000)
    got, end = [], 0
    while end < 5001:
        s = c.get()
        if s is None:
            break
        if s.data:
            got.append(len(s.data))
            end = max(end, s.rel + len(s.data))
            c.rcv = end
            c.put(ACK)
    t.say("segments", got)
    t.end(c)


def rto_backoff(t):
    c = t.established(opts=False)
    c.quiet(0.1)
    t.app("send", "A", 100)
    at = []
    end = time.monotonic() + 4
    while time.monotonic() < end and len(at) < 5:
        s = c.get(max(0.01, end - time.monotonic()))
        if s is not None and s.data:
            at.append((s.at, s.rel, len(s.data)))
    t.say("same segment each time:", len({a[1:] for a in at}) == 1, "at least four:", len(at) >= 4)
    gaps = [b[0] - a[0] for a, b in zip(at, at[1:])]
    t.say("first within 0.15..0.5 s:", 0.15 < gaps[0] < 0.5, "doubling:", all(1.5 < y / x < 2.7 for x, y in list(zip(gaps, gaps[1:]))[1:]))
    c.rcv = 101
    c.put(ACK)
    t.say("then silence:", c.get(1.0) is None)
    t.end(c)


def read_burst(c, n, timeout=1.0):
    """Data segments of the first flight, without acknowledging."""
    segs, end = [], time.monotonic() + timeout
    while time.monotonic() < end and len(segs) < n:
        s = c.get(max(0.01, end - time.monotonic()))
        if s is not None and s.data:
            segs.append(s)
    return segs


def sack(c, *ranges):
    o = struct.pack(">BBBB", 1, 1, 5, 2 + 8 * len(ranges))
    for a, b in ranges:
        o += struct.pack(">II", (c.irs + a) & 0xFFFFFFFF, (c.irs + b) & 0xFFFFFFFF)
    return o


def sack_retransmit(t):
    c = t.established()
    c.quiet(0.1)
    t.app("send", "A", 14480)
    segs = read_burst(c, 10)
    n = len(segs[0].data)
    t.say("flight", len(segs), "segment", n)
    at = time.monotonic()
    for k in (2, 3, 4):                   # the second is missing
        c.rcv = 1 + n
        c.put(ACK, opts=sack(c, (1 + 2 * n, 1 + (k + 1) * n)))
    s = next((x for x in read_burst(c, 1, 1.0)), None)
    t.say("comes again:", s is not None and s.rel == 1 + n, "soon:", s is not None and s.at - at < 0.15)
    c.rcv = 14481
    c.put(ACK)
    t.say("then silence:", not read_burst(c, 1, 0.6))
    t.end(c)


def rack_reordering(t):
    """One segment later than the next: no retransmission within a quarter of the round trip time."""
    c = t.established()
    c.quiet(0.1)
    for i in range(4):                    # a round trip time that can be told from nothing
        t.app("send", "A", 100)
        s = read_burst(c, 1)[0]
        time.sleep(0.1)
        c.rcv = s.rel + 100
        c.put(ACK)
    base = c.rcv
    t.app("send", "A", 14480)
    segs = read_burst(c, 8, 0.4)
    n = len(segs[0].data)
    time.sleep(0.1)
    c.put(ACK, opts=sack(c, (base + n, base + 2 * n)))
    time.sleep(0.008)
    c.rcv = base + 2 * n
    c.put(ACK)
    again = [s for s in read_burst(c, 30, 0.15) if s.rel == base]
    t.say("nothing again:", not again)
    t.end(c)


def tail_loss_probe(t):
    c = t.established()
    c.quiet(0.1)
    t.app("send", "A", 2000)
    segs = read_burst(c, 2)
    c.rcv = 1 + len(segs[0].data)
    c.put(ACK)                            # the last one is lost, and nothing tells
    s = next(iter(read_burst(c, 1, 1.5)), None)
    t.say("the tail comes again:", s is not None and s.rel + len(s.data) == 2001)
    c.rcv = 2001
    c.put(ACK)
    t.end(c)


def fast_retransmit_reno(t):
    c = t.established(opts=False)
    c.quiet(0.1)
    t.app("send", "A", 14600)
    segs = read_burst(c, 10)
    n = len(segs[0].data)
    c.rcv = 1 + n
    at = time.monotonic()
    for _ in range(5):
        c.put(ACK)
    s = next(iter(read_burst(c, 1, 1.0)), None)
    t.say("third duplicate brings it:", s is not None and s.rel == 1 + n and s.at - at < 0.15)
    t.end(c)


def zero_window(t):
    c = t.established()
    c.quiet(0.1)
    c.put(ACK, win=0)
    time.sleep(0.05)
    t.app("send", "A", 1000)
    probes, end = [], time.monotonic() + 2.2
    while time.monotonic() < end:
        s = c.get(max(0.01, end - time.monotonic()))
        if s is None:
            break
        probes.append(s)
        c.put(ACK, win=0)
    t.say("probes:", len(probes) >= 2, "old byte, no data:", all(p.rel == 0 and not p.data for p in probes))
    gaps = [b.at - a.at for a, b in zip(probes, probes[1:])]
    t.say("slower each time:", all(y > x * 1.4 for x, y in zip(gaps, gaps[1:])))
    c.put(ACK, win=60000)
    s = next(iter(read_burst(c, 1)), None)
    t.say("opened:", c.show(s))
    t.end(c)


def small_window(t):
    c = t.established()
    c.quiet(0.1)
    c.put(ACK, win=62)                    # 496 bytes under our scale of 3
    time.sleep(0.05)
    t.app("send", "A", 3000)
    sent = sum(len(s.data) for s in read_burst(c, 10, 0.15))
    t.say("within the window:", sent <= 496)
    t.end(c)


def nagle(t):
    c = t.established()
    c.quiet(0.1)
    for _ in range(3):
        t.app("send", "A", 10)
    a = read_burst(c, 5, 0.15)
    t.say("first", [len(s.data) for s in a])
    c.rcv = 11
    c.put(ACK)
    t.say("then", [len(s.data) for s in read_burst(c, 1, 0.5)])
    c.rcv = 31
    c.put(ACK)
    t.app("set", "A", 6, 1, 1)
    for _ in range(3):
        t.app("send", "A", 10)
    t.say("without", [len(s.data) for s in read_burst(c, 3, 0.3)])
    t.end(c)


def pmtu(t):
    c = t.established()
    c.quiet(0.1)
    t.app("send", "A", 1448)
    s = read_burst(c, 1)[0]
    quote = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 1500, 1, 0x4000, 64, 6, 0, bytes([10, 91, 0, 2]), bytes([10, 91, 0, 1])) + \
        struct.pack(">HHI", s.sport, s.dport, s.seq)
    from driver import csum
    m = struct.pack(">BBHHH", 3, 4, 0, 0, 1000) + quote
    t.wire.ip(1, m[:2] + struct.pack(">H", csum(m)) + m[4:])
    got = read_burst(c, 2, 1.0)
    t.say("smaller at once:", bool(got) and got[0].at - s.at < 0.2, "segment", [len(x.data) for x in got[:2]])
    t.end(c)


# ---- receiving (RFC 9293 section 3.10.7.4, RFC 2018, RFC 2883, RFC 5961, RFC 7323) -----------------------------------------------------
def recv_in_order(t):
    c = t.established()
    c.quiet(0.1)
    for i in range(4):
        c.put(ACK | PSH, d(500), seq=1 + i * 500)
    s = c.until_ack(2001)
    t.say(c.show(s), "recv", t.app("recv", "A", 10000))
    c.nxt = 2001
    t.end(c)


def recv_sack_blocks(t):
    c = t.established()
    c.quiet(0.1)
    for a in (1001, 3001, 2001):
        c.put(ACK, d(500), seq=a)
        t.say(c.show(c.get()))
    c.put(ACK, d(500), seq=501)
    t.say(c.show(c.get()))
    c.put(ACK, d(500), seq=1)
    t.say(c.show(c.until_ack(1501)))
    t.say("recv", t.app("recv", "A", 10000))
    c.nxt = 1501
    t.end(c)


def recv_dsack(t):
    c = t.established()
    c.quiet(0.1)
    c.put(ACK, d(500), seq=1)
    c.until_ack(501)
    c.put(ACK, d(500), seq=1)
    t.say(c.show(c.get()))
    c.put(ACK, d(800), seq=201)           # half old, half new
    t.say(c.show(c.until_ack(1001)), "recv", t.app("recv", "A", 10000))
    c.nxt = 1001
    t.end(c)


def recv_paws(t):
    c = t.established()
    c.quiet(0.1)
    c.tsval += 5000
    c.put(ACK, d(100), seq=1)
    c.until_ack(101)
    c.put(ACK, d(100), seq=101, tsval=10)
    s = c.get()
    t.say("old stamp:", c.show(s), "recv", t.app("recv", "A", 1000), t.app("recv", "A", 1000, 200))
    c.put(ACK, d(100), seq=101)
    t.say("new stamp:", c.show(c.until_ack(201)))
    c.nxt = 201
    t.end(c)


def recv_bad_checksum(t):
    c = t.established()
    c.quiet(0.1)
    c.put(ACK, d(100), bad=True)
    t.say(c.show(c.get(0.4)))
    t.end(c)


def recv_beyond_window(t):
    c = t.established()
    c.quiet(0.1)
    c.put(ACK, d(100), seq=0x20000000)
    t.say(c.show(c.get()), "recv", t.app("recv", "A", 100, 200))
    t.end(c)


def recv_window_closes(t):
    c = t.established(rcvbuf=8192, opts=False)
    c.quiet(0.1)
    win, s = 1, None
    for _ in range(200):
        c.put(ACK, d(500), seq=c.nxt)
        s = c.until_ack(c.nxt + 500, 0.5)
        if s is None:
            break
        c.nxt += 500
        win = s.win
    t.say("full:", c.nxt > 2000, "window is small:", win < 2500)
    got = 0
    while True:
        r = t.app("recv", "A", 100000, 200)
        if not r.isdigit():
            break
        got += int(r)
    t.say("everything acknowledged was read:", got >= c.nxt - 1)
    s, last = None, None
    while (last := c.get(0.3)) is not None:
        s = last
    t.say("opens again:", s is not None and s.win > 2000)
    t.end(c)


def rst_exact(t):
    c = t.established()
    c.quiet(0.1)
    c.put(RST, seq=1)
    t.say(t.app("recv", "A", 10), c.show(c.get(0.3)))
    t.app("close", "A")
    t.app("close", "L")


def rst_in_window(t):
    c = t.established()
    c.quiet(0.1)
    c.put(RST, seq=101)
    t.say("challenge:", c.show(c.get()))
    c.put(ACK, d(10), seq=1)
    t.say("lives:", c.show(c.until_ack(11)))
    c.nxt = 11
    t.end(c)


def rst_outside(t):
    c = t.established()
    c.quiet(0.1)
    c.put(RST, seq=0x30000000)
    t.say(c.show(c.get(0.4)))
    c.put(ACK, d(10), seq=1)
    t.say("lives:", c.show(c.until_ack(11)))
    c.nxt = 11
    t.end(c)


def syn_in_established(t):
    c = t.established()
    c.quiet(0.1)
    c.put(SYN, seq=1)
    t.say("challenge:", c.show(c.get()))
    t.end(c)


def ack_of_future(t):
    c = t.established()
    c.quiet(0.1)
    c.put(ACK, d(10), ack=5000)
    s = c.get(0.6)
    t.say(c.show(s), "recv", t.app("recv", "A", 100, 300))
    t.end(c)


# ---- closing -----------------------------------------------------------------------------------------------------------------------
def close_active(t):
    c = t.established()
    c.quiet(0.1)
    t.app("close", "A")
    s = c.get()
    t.say(c.show(s))
    c.rcv = 2
    c.put(ACK)
    c.put(FIN | ACK)
    c.nxt = 2
    t.say(c.show(c.until_ack(2)))
    time.sleep(0.3)                       # TIME_WAIT: a repeated end is acknowledged again
    c.put(FIN | ACK, seq=1)
    t.say(c.show(c.get()))
    c.put(ACK, d(10), seq=2)              # data where there is nobody any more
    s = c.get(0.5)
    t.say("late data:", s.names() if s else "silence")
    t.app("close", "L")


def close_passive(t):
    c = t.established()
    c.quiet(0.1)
    c.put(FIN | ACK)
    c.nxt = 2
    t.say(c.show(c.until_ack(2)), "recv", t.app("recv", "A", 10))
    t.say("half open still sends:", t.app("send", "A", 10))
    s = read_burst(c, 1)[0]
    t.say(c.show(s))
    c.rcv = 11
    c.put(ACK)
    t.app("close", "A")
    s = c.get()
    t.say(c.show(s))
    c.rcv = 12
    c.put(ACK)
    t.say(c.show(c.get(0.3)))
    t.app("close", "L")


def close_simultaneous(t):
    c = t.established()
    c.quiet(0.1)
    t.app("shutdown", "A")
    t.say(c.show(c.get()))
    c.put(FIN | ACK)                      # does not acknowledge theirs
    c.nxt = 2
    t.say(c.show(c.until_ack(2)))
    c.rcv = 2
    c.put(ACK)
    t.say("recv", t.app("recv", "A", 10))
    t.app("close", "A")
    t.say(c.show(c.get(0.3)))
    t.app("close", "L")


def close_half(t):
    c = t.established()
    c.quiet(0.1)
    t.app("shutdown", "A")
    t.say(c.show(c.get()))
    c.rcv = 2
    c.put(ACK)
    c.put(ACK, d(100))
    t.say("still receives:", c.show(c.until_ack(101)), t.app("recv", "A", 1000))
    c.nxt = 101
    t.say("send", t.app("send", "A", 5))
    t.end(c)


def close_unread(t):
    c = t.established()
    c.quiet(0.1)
    c.put(ACK, d(100))
    c.until_ack(101)
    time.sleep(0.1)
    t.app("close", "A")
    s = c.get()
    t.say(s.names() if s else "silence")
    t.app("close", "L")


def close_linger0(t):
    c = t.established()
    c.quiet(0.1)
    t.app("linger0", "A")
    t.app("close", "A")
    s = c.get()
    t.say(s.names(), "seq", s.rel)
    t.app("close", "L")


def close_data_after(t):
    """Data for an application that closed: reset."""
    c = t.established()
    c.quiet(0.1)
    t.app("close", "A")
    c.get()
    c.rcv = 2
    c.put(ACK)
    c.put(ACK, d(10))
    s = c.get()
    t.say(s.names() if s else "silence")
    t.app("close", "L")


def close_fin_repeats(t):
    c = t.established(opts=False)
    c.quiet(0.1)
    t.app("close", "A")
    a, b = c.get(), c.get(1.5)
    t.say(c.show(a), "|", c.show(b), "soon:", b is not None and 0.1 < b.at - a.at < 0.6)
    t.end(c)


def close_listener_backlog(t):
    """A listener that goes away resets what nobody accepted."""
    t.app("listen", "L", 7000)
    c = t.conn(7000)
    c.open_passive()
    t.app("pending", "L")
    t.app("close", "L")
    s = c.get()
    t.say(s.names() if s else "silence")


def keepalive(t):
    c = t.established()
    c.quiet(0.1)
    for level, opt, v in ((6, 4, 1), (6, 5, 1), (6, 6, 2), (1, 9, 1)):
        t.app("set", "A", level, opt, v)
    a = c.get(2.5)
    t.say("probe:", c.show(a))
    c.put(ACK)
    b = c.get(2.5)
    t.say("again:", c.show(b))
    e = c.get(2.5)
    t.say("unanswered:", c.show(e))
    f = c.get(2.5)
    t.say("gives up:", f.names() if f else "silence", t.app("error", "A", 1500))
    t.end(c)


# ---- fast open (RFC 7413) -----------------------------------------------------------------------------------------------------------
TFO = 34


def tfo(cookie=b""):
    return struct.pack(">BBH", 2, 4, 1460) + struct.pack(">BB", TFO, 2 + len(cookie)) + cookie


def tfo_listen(t, queue=3):
    t.say("sysctl", t.app("sysctl", "ipv4/tcp_fastopen", 3))
    t.app("listen", "L", 7000)
    t.say("option", t.app("set", "L", 6, 23, queue))


def tfo_cookie(t):
    """A cookie of the listener's, by a connection that asks for one."""
    c = t.conn(7000)
    c.put(SYN, opts=tfo())
    s = c.get()
    k = s.opts.get(TFO, b"")
    t.say("asked:", c.show(s), "cookie of", len(k))
    c.nxt, c.rcv = 1, 1
    c.put(RST | ACK)
    c.quiet(0.05)
    return k


def tfo_server(t):
    tfo_listen(t)
    k = tfo_cookie(t)
    c = t.conn(7000)
    c.put(SYN, d(100), opts=tfo(k))
    s = c.get()
    t.say(c.show(s), "cookie" if TFO in s.opts else "no cookie")
    t.say("accept", t.app("accept", "L", "A"), "state", t.app("state", "A"), "recv", t.app("recv", "A", 1000), t.app("syndata", "A"))
    c.nxt, c.rcv = 101, 1
    t.say("send", t.app("send", "A", 50))
    t.say(c.show(c.get()))
    c.rcv = 51
    c.put(ACK | PSH, d(20))
    c.nxt = 121
    t.say("recv", t.app("recv", "A", 1000), "state", t.app("state", "A"))
    t.end(c)


def tfo_server_bad_cookie(t):
    tfo_listen(t)
    k = tfo_cookie(t)
    for bad in (bytes(x ^ 1 for x in k), k[:4], k + k, k[:7], k + b"x", k + k + k[:2]):
        c = t.conn(7000)
        c.put(SYN, d(100), opts=tfo(bad))
        s = c.get()
        t.say(len(bad), c.show(s), "the right cookie" if s.opts.get(TFO) == k else "no cookie", t.app("pending", "L"))
        c.nxt, c.rcv = 1, 1
        c.put(RST | ACK)
        c.quiet(0.05)
    t.app("close", "L")


def tfo_server_syn_again(t):
    tfo_listen(t)
    k = tfo_cookie(t)
    c = t.conn(7000)
    c.put(SYN, d(100), opts=tfo(k))
    t.say(c.show(c.get()))
    c.put(SYN, opts=struct.pack(">BBH", 2, 4, 1460))
    t.say(c.show(c.get()))
    s = c.get(2.5)
    t.say("by itself:", c.show(s))
    c.nxt, c.rcv = 101, 1
    c.put(ACK)
    t.say("accept", t.app("accept", "L", "A"), "recv", t.app("recv", "A", 1000), "pending", t.app("pending", "L"))
    t.end(c)


def tfo_server_limit(t):
    tfo_listen(t, 2)
    k = tfo_cookie(t)
    cs = [t.conn(7000) for _ in range(3)]
    for c in cs:
        c.put(SYN, d(10), opts=tfo(k))
        t.say(c.show(c.get()))
        c.rcv = 1
    cs[0].nxt = 11
    cs[0].put(ACK)                       # a place is free
    c = t.conn(7000)
    cs.append(c)
    c.put(SYN, d(10), opts=tfo(k))
    t.say(c.show(c.get()))
    c.rcv = 1
    for c in cs:
        c.put(RST | ACK, seq=1 if c is cs[2] else 11)
    t.app("close", "L")
    cs[0].quiet(0.1)


def tfo_server_bad_ack(t):
    tfo_listen(t)
    k = tfo_cookie(t)
    c = t.conn(7000)
    c.put(SYN, d(10), opts=tfo(k))
    t.say(c.show(c.get()))
    c.nxt, c.rcv = 11, 1
    c.put(ACK, ack=0)                    # does not acknowledge the SYN
    s = c.get()
    t.say(c.show(s) if s and s.flags & RST else "no reset")
    t.end(c)


def tfo_server_off(t):
    t.app("sysctl", "ipv4/tcp_fastopen", 1)
    t.app("listen", "L", 7000)
    t.say("option", t.app("set", "L", 6, 23, 3))
    c = t.conn(7000)
    c.put(SYN, d(100), opts=tfo())
    s = c.get()
    t.say(c.show(s), "cookie" if TFO in s.opts else "no cookie")
    c.nxt, c.rcv = 1, 1
    t.end(c)


def tfo_client(t):
    t.app("sysctl", "ipv4/tcp_fastopen", 1)
    k = d(8, 40)
    for i, (port, taken) in enumerate(((6201, 0), (6202, 100), (6203, 0), (6204, 40), (6205, 100))):
        t.say(t.app("early", "C", "10.91.0.1", 6200, port, 100))
        c = t.conn(port)
        c.lport = 6200
        s = c.get()
        t.say(c.show(s), "option", s.opts[TFO] == k if s.opts.get(TFO) else len(s.opts.get(TFO, b"none")))
        c.rcv = 1 + len(s.data)
        n = 1 + min(taken, len(s.data))
        c.rcv = n
        c.put(SYN | ACK, ack=n, opts=tfo(k) if i == 0 else struct.pack(">BBH", 2, 4, 1460))
        c.nxt = 1
        if i == 0:
            t.say(t.app("connected", "C", 1000))
        got = c.get()
        while got is not None and not got.data and n < 1 + len(s.data):
            got = c.get(0.5)
        t.say(c.show(got), t.app("syndata", "C"))
        t.end(c)


def tfo_client_syn_repeats(t):
    t.app("sysctl", "ipv4/tcp_fastopen", 1)
    t.say(t.app("early", "C", "10.91.0.1", 6200, 6210, 100))
    c = t.conn(6210)
    c.lport = 6200
    for _ in range(2):
        s = c.get(2.5)
        t.say(c.show(s), "option" if TFO in s.opts else "no option")
    c.rcv = 1
    c.put(SYN | ACK, ack=1, opts=struct.pack(">BBH", 2, 4, 1460))
    c.nxt = 1
    s = c.get()
    while s is not None and not s.data:
        s = c.get(0.5)
    t.say(c.show(s), t.app("syndata", "C"))
    t.end(c)


def all_scripts():
    return [(n, f) for n, f in globals().items() if callable(f) and getattr(f, "__module__", "") == __name__ and n not in
            ("opts_of", "d", "read_burst", "sack", "tfo", "tfo_listen", "tfo_cookie", "all_scripts")]
