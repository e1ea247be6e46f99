/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/stack.h - what a stacked file system does on the ones below: no rights are checked, no mounts are seen
 *
 * All take the locks of the lower directories themselves. Errors as of the operations. (sleep)
 */
#ifndef SENTRY_VFS_STACK_H
#define SENTRY_VFS_STACK_H

#include "sentry/vfs/vfs.h"

struct stack_new {
	uint32_t mode;		/* with type */
	uint64_t rdev;
	const char *target;	/* of a symbolic link */
	const struct cred *cred;
};
/* Makes @name in @dir; *out has a reference. -LINUX_EEXIST. */
long stack_make(struct dentry *dir, const char *name, const struct stack_new *n, struct dentry **out);
long stack_link(struct dentry *dir, const char *name, struct inode *target, struct dentry **out);
long stack_remove(struct dentry *dir, const char *name);	/* file or empty directory */
long stack_rename(struct dentry *odir, const char *oname, struct dentry *ndir, const char *nname, uint32_t flags);
long stack_setattr(struct inode *i, const struct iattr *a);
/* An open file on @d, for reading directories and copying. */
long stack_open(struct dentry *d, uint32_t flags, const struct cred *c, struct file **out);

#endif
