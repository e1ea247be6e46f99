/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/sys/sysfs_internal.h - what the files of sentry/fs/sys share
 */
#ifndef SENTRY_FS_SYSFS_INTERNAL_H
#define SENTRY_FS_SYSFS_INTERNAL_H

#include "sentry/fs/tmpfs/tmpfs.h"

/* What a read of a file with @text gets; @text is given back. Bytes or -LINUX_E*. */
long sys_read_text(struct buf *text, struct uio *io, uint64_t *pos);
/* A directory, file or symbolic link (@target, copied), owned by root; one reference. */
long sys_new_inode(struct super_block *sb, uint32_t mode, const char *target, struct inode **out);

/* net.c: makes directory inodes show the network's links: class/net (@links: symbolic links into the other), devices/virtual/net. */
void sysfs_net_dir(struct inode *dir, bool links);

#endif
