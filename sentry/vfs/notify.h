/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/notify.h - marks on inodes and the inotify groups that own them (inotify(7))
 */
#ifndef SENTRY_VFS_NOTIFY_H
#define SENTRY_VFS_NOTIFY_H

#include "sentry/vfs/vfs.h"

#define INOTIFY_MAX_EVENTS  16384 /* /proc/sys/fs/inotify/max_queued_events */
#define INOTIFY_MAX_WATCHES 65536 /* of one group */

/* inotify_init1(2): flags are LINUX_O_NONBLOCK or 0. */
long inotify_new(const struct cred *c, uint32_t flags, struct file **out);
/* inotify_add_watch(2): the watch descriptor. @p was found under the flags' rules. -LINUX_EINVAL: @f is no inotify file. */
long inotify_add(struct file *f, const struct path *p, uint32_t mask);
long inotify_rm(struct file *f, int wd);

#endif
