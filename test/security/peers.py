#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile peers. peers.py 9p SOCKET ROOT_OUTSIDE | control SOCKET | frames INTERFACE MAC: each prints BREACH lines, then "done"."""
import array
import os
import random
import re
import socket
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
rnd = random.Random(int(os.environ.get("SEED", "7")))
CANARY = b"HOST-CANARY"

# ---- 9P: a Sentry that wants out ------------------------------------------------------------------------------

src = open(os.path.join(HERE, "../../proto/p9_messages.h")).read().replace("\\\n", " ")
NR = {n: int(v) for v, n in re.findall(r"M\((\d+), (\w+)\)", src)}
FIELDS = {n: re.findall(r"F\((\w+), (\w+)\)", f) for n, f in re.findall(r"#define P9_FIELDS_(\w+)\(F\)(.*)", src)}
SIZES = {"u8": 1, "u16": 2, "u32": 4, "optu32": 4, "u64": 8, "qid": 13, "time": 16, "xstat": 120}
NAMES = [b"..", b".", b"", b"/", b"../canary", b"../../canary", b"inside", b"up", b"abs", b"d", b"d/../../canary", b"\0", b"x" * 300, b"dev",
         b"inside/..", b"/etc/passwd", b"..\0x", b"proc"] + [b"inside", b"d", b"x", b"up", b"abs", b"new", b"new2", b"dev"] * 3


def s(t):
    return struct.pack("<H", len(t)) + t


class Link:
    def __init__(self, path):
        self.path, self.sock, self.sent, self.fds = path, None, 0, 0
        self.open()

    def open(self):
        if self.sock:
            self.sock.close()
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(5)
        self.sock.connect(self.path)
        self.send(struct.pack("<IBHI", 7 + 4 + 2 + 15, NR["Tversion"], 0xFFFF, 65536) + s(b"9P2000.L.runsc2"))
        self.recv()
        self.send(self.message("Tattach", fid=1, afid=0xFFFFFFFF, uname=b"", aname=b"0", n_uname=0))
        self.recv()

    def message(self, name, tag=1, **over):
        body = b""
        for kind, field in FIELDS[name]:
            v = over.get(field)
            if kind == "str":
                body += s(v if v is not None else rnd.choice(NAMES))
            elif kind == "data":
                body += struct.pack("<I", 5) + b"wrote"
            elif kind == "names":
                v = v if v is not None else [rnd.choice(NAMES) for _ in range(rnd.randrange(0, 5))]
                body += struct.pack("<H", len(v)) + b"".join(s(x) for x in v)
            elif kind == "fids":
                v = v if v is not None else [rnd.randrange(2, 40) for _ in range(rnd.randrange(0, 65))]
                body += struct.pack("<H%dI" % len(v), len(v), *v)
            elif kind in ("qids", "xstats"):
                body += struct.pack("<H", 0)
            else:
                n = SIZES[kind]
                if v is None:
                    v = rnd.choice([0, 1, 2, 3, 5, 0o100666, 0xFFFFFFFF, 4096, 65536, rnd.getrandbits(n * 8)]) if n <= 8 else rnd.getrandbits(n * 8)
                    if field.endswith("fid"):
                        v = rnd.choice([1, 1, 1, 2, 2, 3, 3, 4, 5, 77, 0xFFFFFFFF])
                body += (v & ((1 << n * 8) - 1)).to_bytes(n, "little")
        return struct.pack("<IBH", 7 + len(body), NR[name], tag) + body

    def send(self, data, fds=()):
        self.sent += 1
        anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([data], anc)

    def recv(self):
        """One answer; whatever holds the canary is a breach, descriptors included."""
        data, anc, _, _ = self.sock.recvmsg(1 << 20, 1 << 12)
        for level, kind, d in anc:
            for fd in array.array("i", d[:len(d) - len(d) % 4]):
                self.fds += 1
                self.look(fd)
        if CANARY in data:
            print("BREACH the canary's text in an answer")
        return data

    def look(self, fd):
        try:
            where = os.readlink(f"/proc/self/fd/{fd}")
            if "canary" in where:
                print("BREACH a descriptor of", where)
            if os.fstat(fd).st_mode & 0o170000 == 0o100000 and CANARY in os.pread(fd, 4096, 0):
                print("BREACH the canary through a descriptor")
        except OSError:
            pass
        os.close(fd)


def wild_9p(path, secs):
    link, end, breaks = Link(path), time.time() + secs, 0
    names = [n for n in NR if n[0] == "T"]
    while time.time() < end:
        try:
            for _ in range(rnd.randrange(1, 30)):
                kind = rnd.randrange(16)
                if kind < 8:
                    m = link.message(rnd.choice(names), tag=rnd.choice([1, 2, 2, 0xFFFF]))
                elif kind == 8:
                    m = link.message("Twalk", fid=1, newfid=2, names=[rnd.choice(NAMES) for _ in range(rnd.randrange(1, 16))])
                elif kind == 9:
                    m = bytearray(link.message(rnd.choice(names)))
                    for _ in range(rnd.randrange(1, 4)):
                        m[rnd.randrange(4, len(m))] = rnd.getrandbits(8)
                elif kind == 10:
                    m = struct.pack("<IBH", rnd.choice([0, 3, 7, 8, 65537, 0x7FFFFFFF, 0xFFFFFFFF]), rnd.getrandbits(8), 1) + os.urandom(rnd.randrange(40))
                elif kind < 15:  # opens that may well succeed, and descriptors with them
                    m = link.message("Txopen", fid=1, newfid=rnd.choice([2, 3, 4, 0xFFFFFFFF]), flags=rnd.choice([0, 0, 2, 0o1000000, 0o100000]),
                                     want=rnd.choice([1, 2, 3, 7, 15]), inline_max=rnd.choice([0, 4096]), names=[rnd.choice(NAMES) for _ in range(rnd.choice([1, 1, 2, 3]))])
                else:
                    m = link.message("Tclunk", fid=rnd.choice([2, 3, 4]))
                fds = [os.open("/dev/null", os.O_RDONLY)] if not rnd.randrange(20) else []
                link.send(bytes(m), fds)
                for f in fds:
                    os.close(f)
                link.sock.settimeout(0.02)
                try:
                    if not link.recv():
                        raise ConnectionError
                except TimeoutError:
                    pass
                if kind == 10:
                    raise ConnectionError  # what follows would be the rest of a message that never comes
        except (OSError, ConnectionError):
            breaks += 1
            link.open()
    print(f"# {link.sent} messages, {breaks} connections given up, {link.fds} descriptors looked at")
    return link


def flipper(root, stop):
    """Somebody on the host's side renames directories to and from links while the walks go on."""
    while not os.path.exists(stop):
        for a, b in ((f"{root}/d", f"{root}/d.real"),):
            try:
                os.rename(a, b)
                os.symlink("../..", a)
                os.unlink(a)
                os.symlink(root + "/..", a)
                os.unlink(a)
                os.rename(b, a)
            except OSError:
                if os.path.islink(a):
                    os.unlink(a)
                if os.path.exists(b) and not os.path.exists(a):
                    os.rename(b, a)


def main_9p(path, root):
    stop = root + ".stop"
    pid = os.fork()
    if pid == 0:
        flipper(root, stop)
        os._exit(0)
    try:
        link = wild_9p(path, float(os.environ.get("SECS", "8")))
        link.open()
        link.sock.settimeout(10)
        link.send(link.message("Tgetattr", fid=1, mask=0x7FF))
        if len(link.recv()) < 100:
            print("BREACH the gofer serves no more")
    finally:
        open(stop, "w").close()
        os.waitpid(pid, 0)


# ---- ttrpc: somebody at the control socket ---------------------------------------------------------------------

def main_control(path):
    def conn():
        c = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        c.settimeout(2)
        c.connect(path)
        return c

    end = time.time() + float(os.environ.get("SECS", "8"))
    idle, n = [], 0
    for _ in range(300):  # connections that say nothing
        try:
            idle.append(conn())
        except OSError:
            break
    methods = [b"CreateContainer", b"StartContainer", b"Exec", b"Wait", b"Signal", b"Processes", b"Stats", b"Nothing", b"DestroyContainer"]
    while time.time() < end:
        try:
            c = conn()
            for _ in range(rnd.randrange(1, 10)):
                n += 1
                svc = rnd.choice([b"runsc.control.v1.Sentry", b"x", b""])
                m = rnd.choice(methods)
                # of containers that are not: what is may be destroyed by whoever has the socket
                payload = rnd.choice([b"", b"\x0a\x04none", os.urandom(rnd.randrange(200)), b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x80" * 50])
                req = b"\x0a" + bytes([len(svc)]) + svc + b"\x12" + bytes([len(m)]) + m
                if len(payload) < 128:
                    req += b"\x1a" + bytes([len(payload)]) + payload
                if not rnd.randrange(3):
                    req = bytearray(req)
                    for _ in range(rnd.randrange(1, 5)):
                        req[rnd.randrange(len(req))] = rnd.getrandbits(8)
                size = rnd.choice([len(req)] * 6 + [0, 0xFFFFFFFF, 4 << 20, len(req) + 1000])
                frame = struct.pack(">IIBB", size, rnd.choice([1, 3, 2, 0, 0xFFFFFFFF]), rnd.choice([1, 1, 1, 2, 3, 99]), rnd.choice([0, 0, 1, 2, 4, 255])) + bytes(req)
                fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(rnd.choice([0, 0, 1, 60, 200]))]
                try:
                    c.sendmsg([frame[:rnd.choice([len(frame)] * 5 + [rnd.randrange(len(frame))])]],
                              [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
                finally:  # also when the Sentry has hung up
                    for f in fds:
                        os.close(f)
            if rnd.randrange(2):
                c.settimeout(0.02)
                try:
                    c.recv(4096)
                except OSError:
                    pass
            c.close()
        except OSError:
            pass
    for c in idle:
        c.close()
    print(f"# {n} frames")


# ---- packets ------------------------------------------------------------------------------------------------------

def checksum(b):
    if len(b) % 2:
        b += b"\0"
    t = sum(struct.unpack(f">{len(b) // 2}H", b))
    while t >> 16:
        t = (t & 0xFFFF) + (t >> 16)
    return ~t & 0xFFFF


def frame(mac):
    me, kind = b"\x02\x00\x00\x00\x00\x07", rnd.randrange(9)
    src4, dst4 = bytes([10, 88, 9, 1]), bytes([10, 88, 9, 2])
    body = os.urandom(rnd.randrange(0, 200))
    if kind == 0:
        return mac + me + struct.pack(">H", rnd.getrandbits(16)) + body
    if kind == 1:
        return rnd.choice([mac, b"\xff" * 6]) + me + b"\x08\x06" + struct.pack(">HHBBH", 1, 0x800, 6, 4, rnd.randrange(4)) + me + src4 + os.urandom(6) + dst4
    if kind in (2, 3, 4, 5):
        proto = rnd.choice([1, 6, 17, 2, 47, rnd.getrandbits(8)])
        if proto == 6:
            off = rnd.choice([5, 5, 5, 15, 0])
            body = struct.pack(">HHIIBBHHH", rnd.getrandbits(16), rnd.choice([8098, 1, rnd.getrandbits(16)]), rnd.getrandbits(32), rnd.getrandbits(32), off << 4,
                               rnd.getrandbits(8), rnd.getrandbits(16), 0, rnd.getrandbits(16)) + os.urandom(rnd.randrange(0, 60))
            c = checksum(src4 + dst4 + struct.pack(">BBH", 0, 6, len(body)) + body)
            body = body[:16] + struct.pack(">H", c) + body[18:]
        elif proto == 17:
            body = struct.pack(">HHHH", rnd.getrandbits(16), rnd.choice([53, 8098, rnd.getrandbits(16)]), rnd.choice([len(body) + 8, 0, 7, 0xFFFF]), 0) + body
        elif proto == 1:
            body = struct.pack(">BBHHH", rnd.choice([0, 3, 5, 8, 11, 12, 13, rnd.getrandbits(8)]), rnd.randrange(16), 0, 1, 1) + body
            body = body[:2] + struct.pack(">H", checksum(body)) + body[4:]
        opts = os.urandom(4 * rnd.choice([0, 0, 0, 1, 10]))
        h = struct.pack(">BBHHHBBH", 0x40 | (5 + len(opts) // 4), 0, rnd.choice([20 + len(opts) + len(body)] * 4 + [0, 19, 0xFFFF]), rnd.randrange(4),
                        rnd.choice([0, 0, 0, 0x2000, 0x2000 | rnd.randrange(100), rnd.getrandbits(13), 0x1FFF]), 64, proto, 0) + src4 + dst4 + opts
        h = h[:10] + struct.pack(">H", checksum(h)) + h[12:]
        f = bytearray(mac + me + b"\x08\x00" + h + body)
        if not rnd.randrange(4):
            f[rnd.randrange(14, len(f))] = rnd.getrandbits(8)
        return bytes(f)
    six = rnd.choice([6, 17, 58, 0, 43, 44, 60, 59, rnd.getrandbits(8)])
    if six == 58:
        body = struct.pack(">BBH", rnd.choice([128, 133, 134, 135, 136, 137, 130, 1, 2, 3, 4]), 0, 0) + body
    ext = b"".join(struct.pack(">BB", rnd.choice([0, 43, 60, 44, 58]), rnd.randrange(3)) + os.urandom(6) for _ in range(rnd.randrange(6)))
    src6, dst6 = b"\xfe\x80" + bytes(13) + b"\x01", rnd.choice([b"\xfd\x09" + bytes(13) + b"\x02", b"\xff\x02" + bytes(13) + b"\x01"])
    return mac + me + b"\x86\xdd" + struct.pack(">IHBB", 0x60000000, rnd.choice([len(ext + body)] * 4 + [0, 0xFFFF]), six, 255) + src6 + dst6 + ext + body


def main_frames(dev, mac):
    s_ = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s_.bind((dev, 0))
    mac = bytes.fromhex(mac.replace(":", ""))
    end, n = time.time() + float(os.environ.get("SECS", "8")), 0
    while time.time() < end:
        try:
            s_.send(frame(mac)[:1514])
            n += 1
        except OSError:
            time.sleep(0.001)
    print(f"# {n} frames")


{"9p": main_9p, "control": main_control, "frames": main_frames}[sys.argv[1]](*sys.argv[2:])
print("done")
