/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/perm.c - who may do what to an inode
 *
 * Source:  path_resolution(7) "Permissions", capabilities(7), user_namespaces(7), acl(5).
 */
#include "sentry/vfs/internal.h"

/* A capability counts for an inode only when both its ids are mapped in the caller's user namespace. */
bool capable_wrt_inode(const struct inode *i, const struct cred *c, int cap)
{
	struct user_ns *ns = c->user_ns;

	if (!cred_has_cap(c, ns, cap))
		return false;
	return ns == &init_user_ns || (id_from_kernel(ns, false, i->uid) != ID_INVALID && id_from_kernel(ns, true, i->gid) != ID_INVALID);
}

bool inode_owner_or_capable(const struct inode *i, const struct cred *c)
{
	return c->fsuid == i->uid || capable_wrt_inode(i, c, LINUX_CAP_FOWNER);
}

static bool cap_overrides(const struct inode *i, uint32_t mask, const struct cred *c)
{
	if (LINUX_S_ISDIR(i->mode)) {
		if (!(mask & LINUX_MAY_WRITE) && capable_wrt_inode(i, c, LINUX_CAP_DAC_READ_SEARCH))
			return true;
		return capable_wrt_inode(i, c, LINUX_CAP_DAC_OVERRIDE);
	}
	if (mask == LINUX_MAY_READ && capable_wrt_inode(i, c, LINUX_CAP_DAC_READ_SEARCH))
		return true;
	if (!(mask & LINUX_MAY_EXEC) || i->mode & 0111)
		return capable_wrt_inode(i, c, LINUX_CAP_DAC_OVERRIDE);
	return false;
}

static bool mode_allows(const struct inode *i, uint32_t mask, const struct cred *c)
{
	const struct posix_acl *acl = rcu_load(i->acl);
	uint32_t mode = i->mode;

	if (c->fsuid == i->uid)
		mode >>= 6;
	else if (acl && mode & 0070)
		return acl_permission(acl, i, mask, c) == 0;
	/* Both classes agree: membership does not matter. */
	else if ((mask & (mode ^ mode >> 3)) && cred_in_group(c, i->gid))
		mode >>= 3;
	return !(mask & ~mode & 7);
}

int permission_rcu(const struct inode *i, uint32_t mask, const struct cred *c)
{
	if (i->ops->permission)
		return -1;
	return mode_allows(i, mask, c) || cap_overrides(i, mask, c);
}

long generic_permission(struct inode *i, uint32_t mask, const struct cred *c)
{
	bool ok;

	mask &= 7;
	rcu_read_lock();	/* the ACL may be replaced under us */
	ok = mode_allows(i, mask, c);
	rcu_read_unlock();
	return ok || cap_overrides(i, mask, c) ? 0 : -LINUX_EACCES;
}

bool (*vfs_device_hook)(uint32_t mode, uint64_t rdev, uint32_t access);

static bool device_refused(const struct inode *i, uint32_t mask)
{
	return (LINUX_S_ISCHR(i->mode) || LINUX_S_ISBLK(i->mode)) && i->rdev && mask & (LINUX_MAY_READ | LINUX_MAY_WRITE) && vfs_device_hook &&
	       !vfs_device_hook(i->mode, i->rdev, mask & (LINUX_MAY_READ | LINUX_MAY_WRITE));
}

long vfs_permission(struct inode *i, uint32_t mask, const struct cred *c)
{
	long ret;

	if (mask & LINUX_MAY_WRITE) {
		if (i->iflags & I_IMMUTABLE)
			return -LINUX_EPERM;
		if (i->sb->flags & LINUX_MS_RDONLY &&
		    (LINUX_S_ISREG(i->mode) || LINUX_S_ISDIR(i->mode) || LINUX_S_ISLNK(i->mode)))
			return -LINUX_EROFS;
		/* Ids that the file system's namespace cannot express must not be written back. */
		if (i->uid == ID_INVALID || i->gid == ID_INVALID)
			return -LINUX_EACCES;
	}
	ret = i->ops->permission ? i->ops->permission(i, mask, c) : generic_permission(i, mask, c);
	return !ret && device_refused(i, mask) ? -LINUX_EPERM : ret;
}

long may_create(struct inode *dir, const struct cred *c)
{
	if (dir->nlink == 0)
		return -LINUX_ENOENT;	/* removed meanwhile */
	return vfs_permission(dir, LINUX_MAY_WRITE | LINUX_MAY_EXEC, c);
}

long may_delete(struct inode *dir, struct dentry *victim, bool isdir, const struct cred *c)
{
	struct inode *i = victim->inode;
	long ret;

	if (!i)
		return -LINUX_ENOENT;
	ret = vfs_permission(dir, LINUX_MAY_WRITE | LINUX_MAY_EXEC, c);
	if (ret)
		return ret;
	if (dir->iflags & I_APPEND)
		return -LINUX_EPERM;
	if (dir->mode & LINUX_S_ISVTX && c->fsuid != i->uid && c->fsuid != dir->uid && !capable_wrt_inode(i, c, LINUX_CAP_FOWNER))
		return -LINUX_EPERM;
	if (i->iflags & (I_APPEND | I_IMMUTABLE))
		return -LINUX_EPERM;
	if (isdir) {
		if (!LINUX_S_ISDIR(i->mode))
			return -LINUX_ENOTDIR;
		if (victim->flags & DENTRY_ROOT)
			return -LINUX_EBUSY;
	} else if (LINUX_S_ISDIR(i->mode)) {
		return -LINUX_EISDIR;
	}
	if (dir->nlink == 0)
		return -LINUX_ENOENT;
	return 0;
}
