/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/xattr.h - extended attributes of paths: rights, ACLs, notification (xattr(7))
 */
#ifndef SENTRY_VFS_XATTR_H
#define SENTRY_VFS_XATTR_H

#include "sentry/vfs/vfs.h"

#define XATTR_NAME_MAX 255
#define XATTR_SIZE_MAX 65536
#define XATTR_LIST_MAX 65536

#define LINUX_XATTR_CREATE  1u
#define LINUX_XATTR_REPLACE 2u

/* Names are Sentry strings, full ("user.x"); values and lists are Sentry memory; size 0 asks for the length.
 * Errors as in getxattr(2), setxattr(2), listxattr(2), removexattr(2). (sleep) */
long vfs_getxattr(const struct path *p, const char *name, void *val, size_t size, const struct cred *c);
long vfs_setxattr(const struct path *p, const char *name, const void *val, size_t size, uint32_t flags, const struct cred *c);
long vfs_listxattr(const struct path *p, char *out, size_t size, const struct cred *c);
long vfs_removexattr(const struct path *p, const char *name, const struct cred *c);

#endif
