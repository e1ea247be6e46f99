# SPDX-License-Identifier: Apache-2.0
# The other end of the wire for packet scripts: frames written and read one by one on an interface that has no address of its own, so
# that no kernel answers in between. What the stack under test does is written down as a trace of facts that must not depend on which
# stack it is; test/net/script.sh runs the same scripts against Linux and against ours and compares the traces.
# usage: driver.py INTERFACE SCRIPT-PREFIX AGENT-COMMAND...
import random
import select
import socket
import struct
import subprocess
import sys
import time

ME, SUT = "10.91.0.1", "10.91.0.2"
MAC = b"\x02\x00\x00\x00\x91\x01"
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
MSS, WSCALE, SACKOK, TS = 2, 3, 4, 8


def csum(b):
    if len(b) % 2:
        b += b"\0"
    s = sum(struct.unpack(f">{len(b) // 2}H", b))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


class Seg:
    def __init__(self, p, at):
        ihl = (p[0] & 15) * 4
        total = struct.unpack(">H", p[2:4])[0]
        t = p[ihl:total]
        self.at, self.sport, self.dport, self.seq, self.ack = (at, *struct.unpack(">HHII", t[:12]))
        off = (t[12] >> 4) * 4
        self.flags, self.win = t[13] & 0x3F, struct.unpack(">H", t[14:16])[0]
        self.data, self.opts, o = t[off:], {}, t[20:off]
        pseudo = p[12:20] + struct.pack(">BBH", 0, 6, len(t))
        self.good = csum(pseudo + t) == 0 and csum(p[:ihl]) == 0
        while o:
            if o[0] == 0:
                break
            if o[0] == 1:
                o = o[1:]
                continue
            self.opts[o[0]] = o[2:o[1]]
            o = o[o[1]:]

    def names(self):
        return "".join(n for b, n in ((SYN, "S"), (FIN, "F"), (RST, "R"), (ACK, "A")) if self.flags & b)


class Wire:
    def __init__(self, iface):
        self.s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.s.bind((iface, 0))
        self.peer = None
        self.icmp = []

    def frame(self, proto, payload):
        self.s.send(self.peer + MAC + struct.pack(">H", proto) + payload)

    def ip(self, proto, payload, src=ME):
        h = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), random.getrandbits(16), 0x4000, 64, proto, 0,
                        socket.inet_aton(src), socket.inet_aton(SUT))
        self.frame(0x800, h[:10] + struct.pack(">H", csum(h)) + h[12:] + payload)

    def arp(self, op, target):
        return (struct.pack(">HHBBH", 1, 0x800, 6, 4, op) + MAC + socket.inet_aton(ME) + target + socket.inet_aton(SUT))

    def find(self):
        self.peer = b"\xff" * 6
        for _ in range(50):
            self.frame(0x806, self.arp(1, b"\0" * 6))
            end = time.monotonic() + 0.2
            while time.monotonic() < end and self.peer == b"\xff" * 6:
                self.read(0.05)
            if self.peer != b"\xff" * 6:
                return
        sys.exit("the other side does not answer ARP")

    def read(self, timeout):
        """One TCP segment for us, or None. ARP is answered on the way."""
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            if left < 0 or not select.select([self.s], [], [], left)[0]:
                return None
            f, addr = self.s.recvfrom(70000)
            now = time.monotonic()
            if addr[2] == socket.PACKET_OUTGOING:
                continue
            proto, p = struct.unpack(">H", f[12:14])[0], f[14:]
            if proto == 0x806:
                if p[6:8] == b"\0\1" and p[24:28] == socket.inet_aton(ME):
                    self.peer = f[6:12]
                    self.frame(0x806, self.arp(2, p[8:14]))
                elif p[6:8] == b"\0\2":
                    self.peer = f[6:12]
                    return None
                continue
            if proto == 0x800 and p[9] == 6 and p[16:20] == socket.inet_aton(ME):
                return Seg(p, now)


class Conn:
    """One connection as this side sees it; sequence numbers are relative in the trace."""

    def __init__(self, t, lport, rport):
        self.t, self.lport, self.rport = t, lport, rport
        self.iss, self.irs = random.getrandbits(32), None
        self.nxt, self.rcv, self.win, self.tsval, self.tsecr, self.ts = 0, 0, 65535, 1000, 0, False

    def put(self, flags, data=b"", seq=None, ack=None, opts=b"", win=None, ts=True, tsval=None, bad=False):
        if self.ts and ts and not flags & SYN:
            opts = struct.pack(">BBBBII", 1, 1, 8, 10, self.tsval if tsval is None else tsval, self.tsecr) + opts
        opts += b"\0" * (-len(opts) % 4)
        seq = self.nxt if seq is None else seq
        ackn = (self.irs or 0) + (self.rcv if ack is None else ack) if flags & ACK else 0
        h = struct.pack(">HHIIBBHHH", self.lport, self.rport, (self.iss + seq) & 0xFFFFFFFF, ackn & 0xFFFFFFFF,
                        (20 + len(opts)) << 2, flags, self.win if win is None else win, 0, 0) + opts + data
        c = csum(socket.inet_aton(ME) + socket.inet_aton(SUT) + struct.pack(">BBH", 0, 6, len(h)) + h)
        if bad:
            c ^= 0x1234
        self.t.wire.ip(6, h[:16] + struct.pack(">H", c) + h[18:])
        self.tsval += 1

    def get(self, timeout=1.5):
        end = time.monotonic() + timeout
        while True:
            s = self.t.wire.read(max(0, end - time.monotonic()))
            if s is None:
                return None
            if (s.sport, s.dport) != (self.rport, self.lport):
                continue
            if not s.good:
                self.t.say("a segment with a wrong checksum")
            if TS in s.opts:
                self.tsecr = struct.unpack(">I", s.opts[TS][:4])[0]
            if self.irs is None:
                self.irs = s.seq
            s.rel = (s.seq - self.irs) & 0xFFFFFFFF
            s.rack = (s.ack - self.iss) & 0xFFFFFFFF
            return s

    def show(self, s, *more):
        """A line of the trace."""
        if s is None:
            return "silence"
        b = f"{s.names()} seq {s.rel} len {len(s.data)}" + (f" ack {s.rack}" if s.flags & ACK else "")
        if 5 in s.opts:
            v = struct.unpack(f">{len(s.opts[5]) // 4}I", s.opts[5])
            b += " sack " + ",".join(str((x - self.iss) & 0xFFFFFFFF) for x in v)
        return b

    def until_ack(self, n, timeout=2.0):
        """Reads until everything up to @n is acknowledged."""
        end, s = time.monotonic() + timeout, None
        while time.monotonic() < end:
            s = self.get(max(0.01, end - time.monotonic()))
            if s is not None and s.flags & ACK and s.rack >= n:
                return s
        return None

    def quiet(self, timeout=0.25):
        while self.get(timeout):
            pass

    # the usual openings
    def open_passive(self, opts=True, win=None):
        """The stack under test listens."""
        o = struct.pack(">BBH", 2, 4, 1460) + (struct.pack(">BBBBBBIIBBB", 4, 2, 1, 1, 8, 10, self.tsval, 0, 1, 3, 3)[0:] if opts else b"")
        self.put(SYN, opts=o)
        s = self.get()
        if s is None or s.names() != "SA":
            return s
        self.ts = TS in s.opts
        self.nxt, self.rcv = 1, 1
        self.put(ACK, win=win)
        return s


class Test:
    def __init__(self, wire, agent):
        self.wire, self.agent, self.lines = wire, agent, []
        self.port = random.randint(20000, 50000)

    def say(self, *w):
        self.lines.append("  " + " ".join(str(x) for x in w))

    def app(self, *words):
        self.agent.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.agent.stdin.flush()
        return self.agent.stdout.readline().strip()

    def conn(self, rport):
        self.port += 1
        return Conn(self, self.port, rport)

    def established(self, rport=7000, rcvbuf=None, opts=True, win=None):
        self.app("listen", "L", rport, *([rcvbuf] if rcvbuf else []))
        c = self.conn(rport)
        c.open_passive(opts, win)
        if self.app("accept", "L", "A") != "ok":
            self.say("no connection")
        return c

    def end(self, c):
        """Leaves nothing behind."""
        c.put(RST | ACK, seq=c.nxt)
        for n in ("A", "L", "C"):
            try:
                self.app("close", n)
            except Exception:
                pass
        c.quiet(0.05)


def main():
    import scripts
    iface, prefix, cmd = sys.argv[1], sys.argv[2], sys.argv[3:]
    wire = Wire(iface)
    for name, fn in scripts.all_scripts():
        if not name.startswith(prefix):
            continue
        agent = subprocess.Popen(cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        wire.find()
        t = Test(wire, agent)
        print(name, flush=True)
        try:
            fn(t)
        except Exception as e:  # a script that stumbles says so in the trace
            t.say("stumbled:", type(e).__name__, e)
        print("\n".join(t.lines), flush=True)
        try:
            agent.stdin.close()
        except OSError:
            pass
        try:
            agent.wait(5)
        except subprocess.TimeoutExpired:
            agent.kill()
        while wire.read(0.02):
            pass


if __name__ == "__main__":
    main()
