#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run_san_tty.py RUNSC STATE ID: execs with a terminal in a running container, in the orders that once broke the Sentry's heap:
the terminal's last file was closed while its session still pointed to it."""
import os
import pty
import select
import sys
import time

RUNSC = [sys.argv[1], "--root", sys.argv[2]]


def on_terminal(args, typed, kill=False, limit=15):
    """Runs runsc on a terminal of its own, types after the first silence. Returns (wait status, output)."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(RUNSC[0], RUNSC + args)
    out, sent, end = b"", False, time.time() + limit
    while time.time() < end:
        if select.select([fd], [], [], 0.3)[0]:
            try:
                data = os.read(fd, 4096)
            except OSError:
                break
            if not data:
                break
            out += data
        elif not sent:
            sent = True
            if kill:
                os.kill(pid, 9)
            else:
                os.write(fd, typed)
    else:
        os.kill(pid, 9)
    os.close(fd)
    return os.waitpid(pid, 0)[1], out


def expect(what, got, status, text):
    if got[0] != status or text not in got[1]:
        sys.exit(f"{what}: status {got[0]:#x}, output {got[1][-200:]!r}")


ct = sys.argv[3]
for _ in range(3):
    expect("shell", on_terminal(["exec", "-t", ct, "/bin/sh"], b"echo a$((40+2))b; exit 3\r"), 3 << 8, b"a42b")
    expect("plain", on_terminal(["exec", ct, "/bin/echo", "hello"], b""), 0, b"hello")
    expect("killed", on_terminal(["exec", "-t", ct, "/bin/sh"], b"", kill=True), 9, b"")
    expect("left behind", on_terminal(["exec", "-t", ct, "/bin/sh", "-c", "sleep 1 & exit 1"], b""), 1 << 8, b"")
expect("last", on_terminal(["exec", ct, "/bin/echo", "still here"], b""), 0, b"still here")
