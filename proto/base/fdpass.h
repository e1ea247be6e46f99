/* SPDX-License-Identifier: Apache-2.0
 * proto/base/fdpass.h - bytes and descriptors over an AF_UNIX socket (unix(7), SCM_RIGHTS)
 */
#ifndef BASE_FDPASS_H
#define BASE_FDPASS_H

#include <sys/types.h>

#include "base/util.h"

#define FDPASS_MAX 64 /* descriptors in one message; the kernel's own limit is 253 */

/* Sends @len bytes with @nfds borrowed descriptors in one message.
 * Return: bytes sent, or -errno. */
ssize_t fd_send(int sock, const void *buf, size_t len, const int *fds, size_t nfds);

/* Receives at most @cap bytes and at most *@nfds descriptors (all close-on-exec, owned by the caller);
 * *@nfds becomes how many came. Descriptors beyond the caller's room make it fail with -EPROTO, all closed.
 * Return: bytes received, 0 at end of stream, or -errno. */
ssize_t fd_recv(int sock, void *buf, size_t cap, int *fds, size_t *nfds, int flags);

/* All of it, restarting after signals and short transfers. Return: 0, or -errno; -EPIPE at end of stream. */
int write_full(int fd, const void *buf, size_t len);
int read_full(int fd, void *buf, size_t len);

#endif
