/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/socket_internal.h - between socket.c, sockfs.c and netns.c
 */
#ifndef SENTRY_SOCKET_INTERNAL_H
#define SENTRY_SOCKET_INTERNAL_H

#include "sentry/socket/socket.h"
#include "sentry/task/pid.h"
#include "sentry/task/signal.h"

/* An open sockfs file "socket:[ino]" with @priv = the socket. */
long sockfs_file_new(const struct file_ops *ops, struct socket *s, uint32_t flags, const struct cred *c, struct file **out);

/* Abstract addresses of one network namespace (unix/). */
struct unix_table *unix_table_new(void);
void unix_table_free(struct unix_table *t);

/* Requests on network interfaces, which every socket takes; -LINUX_ENOTTY: none of them. (inet/inet_if.c) */
long inet_if_ioctl(struct net_ns_ref *net, struct task *t, uint32_t cmd, uint64_t arg);

/* One per family, registered by socket_init_families(). */
extern const struct socket_family unix_family;

#endif
