/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/locks.h - flock(2), POSIX and OFD record locks, leases (fcntl(2))
 */
#ifndef SENTRY_VFS_LOCKS_H
#define SENTRY_VFS_LOCKS_H

#include "sentry/vfs/vfs.h"

#define LINUX_F_RDLCK 0
#define LINUX_F_WRLCK 1
#define LINUX_F_UNLCK 2

/* A range in absolute bytes, [start, end], end inclusive; INT64_MAX = to the end of the file. */
struct lock_range {
	int type;	/* LINUX_F_* */
	int64_t start, end;
	uint32_t pid;	/* set: the caller's process id; test: the holder's, UINT32_MAX for OFD locks */
};

/* @owner: the descriptor table for POSIX locks, the file for OFD locks. -LINUX_EAGAIN (not @wait), -LINUX_EDEADLK, -LINUX_ENOLCK,
 * -LINUX_EBADF (mode of @f does not allow the type), -ERESTARTSYS. (sleeps) */
long file_lock_set(struct file *f, const void *owner, bool ofd, const struct lock_range *r, bool wait);
/* What would stand in the way of @r: type F_UNLCK when nothing does. */
long file_lock_test(struct file *f, const void *owner, bool ofd, struct lock_range *r);
/* flock(2): type F_*; -LINUX_EAGAIN when not @wait. (sleeps) */
long file_flock(struct file *f, int type, bool wait);
/* F_SETLEASE, F_GETLEASE. */
long file_lease_set(struct file *f, int type);
long file_lease_get(struct file *f);
/* The text of /proc/locks. */
void file_locks_show(struct inode *i, struct buf *out);

#endif
