/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/fuse/fuse.h - file systems that a process inside serves through /dev/fuse
 */
#ifndef SENTRY_FS_FUSE_H
#define SENTRY_FS_FUSE_H

/* Makes /dev/fuse and the type "fuse" known. 0 or -LINUX_E*. */
long fuse_fs_init(void);

#endif
