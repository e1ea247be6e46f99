/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/cgroup/cgroupfs.h - control groups as files: what others ask about their descriptors
 */
#ifndef SENTRY_FS_CGROUPFS_H
#define SENTRY_FS_CGROUPFS_H

#include "sentry/task/task.h"

/**
 * cgroupfs_clone_target() - the group in which clone3(2) shall make a child (CLONE_INTO_CGROUP)
 * @f:		what the caller's descriptor is
 * @thread:	a thread is asked for, which stays with its process
 * @out:	a reference
 *
 * Return: 0; -LINUX_EBADF no group; -LINUX_ENOENT removed, or out of sight; -LINUX_EACCES; -LINUX_EOPNOTSUPP another
 * group than the process's for a thread
 */
long cgroupfs_clone_target(struct task *t, struct file *f, bool thread, struct cgroup **out);

/* The group whose directory @f is: a reference. -LINUX_EBADF none; -LINUX_ENOENT removed */
long cgroupfs_group_of(struct file *f, struct cgroup **out);

#endif
