#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command on a terminal of its own and talks to it. Usage: onpty.py ROWSxCOLS [EXPECT SEND]... -- COMMAND...

Waits for each EXPECT (a regular expression over what came since the last match), then types SEND; a SEND of
@ROWSxCOLS changes the terminal's size instead, a second later: docker's client first sets the size, then begins to
listen for changes, and misses one that comes between the two. Prints all output without carriage returns; ends with the
command's status, or with 124 when something expected did not come in time."""
import fcntl, os, pty, re, select, signal, struct, sys, termios, time

LIMIT_S = 40

def resize(fd, size):
    rows, cols = (int(n) for n in size.split("x"))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

cut = sys.argv.index("--")
size, steps, command = sys.argv[1], sys.argv[2:cut], sys.argv[cut + 1:]
master, replica = pty.openpty()
resize(master, size)
pid = os.fork()
if pid == 0:
    os.close(master)
    os.login_tty(replica) if hasattr(os, "login_tty") else None
    if not hasattr(os, "login_tty"):
        os.setsid()
        fcntl.ioctl(replica, termios.TIOCSCTTY, 0)
        for fd in range(3):
            os.dup2(replica, fd)
    os.execvp(command[0], command)
os.close(replica)

deadline, out, seen = time.monotonic() + LIMIT_S, b"", 0

def more():
    """Reads once; False at the end of output or of the time."""
    global out
    left = deadline - time.monotonic()
    if left <= 0 or not select.select([master], [], [], left)[0]:
        return False
    try:
        data = os.read(master, 65536)
    except OSError:
        return False
    out += data
    return bool(data)

late = False
for expect, send in zip(steps[::2], steps[1::2]):
    while not (m := re.search(expect.encode(), out[seen:])):
        if not more():
            late = True
            break
    if late:
        break
    seen += m.end()
    if send.startswith("@"):
        time.sleep(1)
        resize(master, send[1:])
    else:
        os.write(master, send.encode().decode("unicode_escape").encode())
while not late and more():
    pass
if time.monotonic() >= deadline or late:
    os.kill(pid, signal.SIGKILL)
    late = True
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(out.replace(b"\r", b""))
sys.stdout.flush()
sys.exit(124 if late else os.waitstatus_to_exitcode(status) % 256)
