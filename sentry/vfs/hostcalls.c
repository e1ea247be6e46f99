/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/hostcalls.c - host calls on descriptors that somebody gave us: donated files, memfds, stdio
 *
 * None of them takes a path.
 */
#include <sys/ioctl.h>
#include <termios.h>

#include "sentry/run/hostcalls.h"

SENTRY_HOST_CALL(pread64, "donated files, memfds");
SENTRY_HOST_CALL(pwrite64, "donated files, memfds");
SENTRY_HOST_CALL(preadv, "donated files, memfds");
SENTRY_HOST_CALL(pwritev, "donated files, memfds");
SENTRY_HOST_CALL(preadv2, "donated files, memfds");
SENTRY_HOST_CALL(pwritev2, "donated files, memfds");
SENTRY_HOST_CALL(lseek, "data and holes of donated files");
SENTRY_HOST_CALL(fstat, "size and kind of a descriptor");
SENTRY_HOST_CALL(newfstatat, "the same, as the C library spells it");
SENTRY_HOST_CALL(fallocate, "space and holes of donated files and memfds");
SENTRY_HOST_CALL(fsync, "donated files");
SENTRY_HOST_CALL(fdatasync, "donated files");
SENTRY_HOST_CALL(sync_file_range, "donated files");
SENTRY_HOST_CALL(copy_file_range, "between donated files");
SENTRY_HOST_CALL(msync, "windows of donated files");
SENTRY_HOST_CALL(dup, "stdio of a terminal");
SENTRY_HOST_CALL_EQ(ioctl, 1, TIOCGWINSZ, "size of the console");
SENTRY_HOST_CALL_EQ(ioctl, 1, TIOCSWINSZ, "size of the console");
SENTRY_HOST_CALL_EQ(ioctl, 1, FIONREAD, "bytes waiting in stdio");
SENTRY_HOST_CALL_EQ(ioctl, 1, TCGETS, "is stdio a terminal");

/* 9P, ttrpc and init channel; stdio may be a socket */
SENTRY_HOST_CALL(sendmsg, "9P, control");
SENTRY_HOST_CALL(recvmsg, "9P, control, zygote's handshake");
SENTRY_HOST_CALL(sendto, "9P, init channel");
SENTRY_HOST_CALL(recvfrom, "9P, init channel");
SENTRY_HOST_CALL(getsockopt, "kind of a socket");
SENTRY_HOST_CALL(shutdown, "end of a connection");
SENTRY_HOST_CALL(accept4, "control connections");

HOST_CALL_FILE(vfs);
