/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/simple_xattr.h - extended attributes kept in memory, for file systems without storage of their own
 */
#ifndef SENTRY_VFS_SIMPLE_XATTR_H
#define SENTRY_VFS_SIMPLE_XATTR_H

#include "base/list.h"
#include "base/mutex.h"

/* All of one inode. Names and values are copied. */
struct simple_xattrs {
	struct mutex mu;
	struct list list;	/* guarded by mu */
	size_t bytes;		/* guarded by mu; at most SIMPLE_XATTR_MAX_BYTES */
};
#define SIMPLE_XATTR_MAX_BYTES (256 * 1024)

void simple_xattrs_init(struct simple_xattrs *x);
void simple_xattrs_fini(struct simple_xattrs *x);
/* Results as inode_ops.getxattr & co. say; -LINUX_ENODATA, -LINUX_EEXIST, -LINUX_ERANGE, -LINUX_ENOSPC, -LINUX_ENOMEM. */
long simple_xattr_get(struct simple_xattrs *x, const char *name, void *val, size_t size);
long simple_xattr_set(struct simple_xattrs *x, const char *name, const void *val, size_t size, uint32_t flags);
long simple_xattr_list(struct simple_xattrs *x, char *out, size_t size);
long simple_xattr_remove(struct simple_xattrs *x, const char *name);

#endif
