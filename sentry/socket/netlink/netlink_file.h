/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/netlink_file.h - a netlink socket as a place to leave a message, for mq_notify(3)
 */
#ifndef SENTRY_NETLINK_FILE_H
#define SENTRY_NETLINK_FILE_H

#include "sentry/vfs/vfs.h"

bool file_is_netlink(struct file *f);
/* Queues @len bytes as they are. 0, -LINUX_EINVAL (no netlink socket), -LINUX_ENOBUFS (full). */
long netlink_file_queue(struct file *f, const void *data, size_t len);

#endif
