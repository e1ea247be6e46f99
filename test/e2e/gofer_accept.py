#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# gofer_accept.py SOCKET COMMAND... - listens on a unix socket and runs COMMAND once for each connection, which
# it gets as descriptor 3: so that stock 9P clients, which connect, can talk to a gofer, which inherits.
import os, signal, socket, sys

path, cmd = sys.argv[1], sys.argv[2:]
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.bind(path)
s.listen(8)
while True:
    c, _ = s.accept()
    if os.fork() == 0:
        fd = os.dup(c.fileno())
        os.dup2(fd, 3, inheritable=True)
        for other in (4, 5, 6):
            try:
                os.close(other)
            except OSError:
                pass
        os.execvp(cmd[0], cmd)
    c.close()
