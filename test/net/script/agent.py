# SPDX-License-Identifier: Apache-2.0
# The application under a packet script: makes the socket calls that the script asks for, one line each, and answers in one line.
# It runs natively and inside; the stack below it is what is tested.
import errno
import select
import socket
import struct
import sys

socks = {}


def call(fn, *args):
    try:
        r = fn(*args)
        return "ok" if r is None else str(r)
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e.errno))


def wait(s, ms, out=False):
    p = select.poll()
    p.register(s, select.POLLOUT if out else select.POLLIN)
    return bool(p.poll(ms))


def run(words):
    cmd, name = words[0], words[1]
    s = socks.get(name)
    if s is None and cmd not in ("listen", "connect", "early", "sysctl", "close"):
        return "no such socket"
    if cmd == "listen":
        s = socks[name] = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if len(words) > 3:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, int(words[3]))
        return call(lambda: (s.bind(("0.0.0.0", int(words[2]))), s.listen(16)) and None)
    if cmd == "accept":
        if not wait(s, 3000):
            return "nobody"
        socks[words[2]], _ = s.accept()
        return "ok"
    if cmd == "pending":
        return "yes" if wait(s, 200) else "no"
    if cmd == "connect":
        s = socks[name] = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.setblocking(False)
        if len(words) > 4:
            s.bind(("0.0.0.0", int(words[4])))
        return call(s.connect, (words[2], int(words[3])))
    if cmd == "early":  # connect and send in one
        s = socks[name] = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.setblocking(False)
        s.bind(("0.0.0.0", int(words[4])))
        return call(s.sendto, bytes(i % 251 for i in range(int(words[5]))), socket.MSG_FASTOPEN, (words[2], int(words[3])))
    if cmd == "sysctl":
        try:
            with open("/proc/sys/net/" + name, "w") as f:
                f.write(words[2])
        except OSError as e:
            return errno.errorcode.get(e.errno, str(e.errno))
        return "ok"
    if cmd == "connected":
        if not wait(s, int(words[2]), True):
            return "not yet"
        e = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        s.setblocking(True)
        return errno.errorcode[e] if e else "ok"
    if cmd == "send":
        return call(s.sendall, bytes(i % 251 for i in range(int(words[2]))))
    if cmd == "recv":
        if not wait(s, int(words[3]) if len(words) > 3 else 2000):
            return "nothing"
        return call(lambda: len(s.recv(int(words[2]))))
    if cmd == "error":
        wait(s, int(words[2]))
        return errno.errorcode.get(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "none")
    if cmd == "set":
        return call(s.setsockopt, int(words[2]), int(words[3]), int(words[4]))
    if cmd == "linger0":
        return call(s.setsockopt, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if cmd == "shutdown":
        return call(s.shutdown, socket.SHUT_WR)
    if cmd == "close":
        if name in socks:
            socks.pop(name).close()
        return "ok"
    if cmd == "state":
        return str(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0])
    if cmd == "syndata":  # TCPI_OPT_SYN_DATA
        return "yes" if s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5] & 32 else "no"
    return "what?"


for line in sys.stdin:
    print(run(line.split()), flush=True)
