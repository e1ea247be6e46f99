/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/xattr.c - extended attributes: rights by name space, ACLs, the calls on paths
 *
 * Source:  xattr(7), setxattr(2), acl(5), capabilities(7) "File capabilities".
 */
#include "sentry/vfs/xattr.h"

#include <stdlib.h>

#include "sentry/vfs/internal.h"

static bool has_prefix(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

/* Which ACL a name stands for: 0 none, 1 access, 2 default. */
static int acl_kind(const char *name)
{
	return !strcmp(name, "system.posix_acl_access") ? 1 : !strcmp(name, "system.posix_acl_default") ? 2 : 0;
}

static long name_ok(const char *name)
{
	static const char *const prefixes[] = { "user.", "trusted.", "security." };

	if (acl_kind(name))
		return 0;
	for (size_t k = 0; k < ARRAY_SIZE(prefixes); k++)
		if (has_prefix(name, prefixes[k]))
			return name[strlen(prefixes[k])] ? 0 : -LINUX_EINVAL;
	return -LINUX_EOPNOTSUPP;
}

static long xattr_permission(struct inode *i, const char *name, bool write, const struct cred *c)
{
	if (write && i->iflags & (I_IMMUTABLE | I_APPEND))
		return -LINUX_EPERM;
	if (acl_kind(name))
		return !write || inode_owner_or_capable(i, c) ? 0 : -LINUX_EPERM;
	if (has_prefix(name, "security.")) {
		if (!write)
			return 0;
		if (!strcmp(name, "security.capability"))
			return capable_wrt_inode(i, c, LINUX_CAP_SETFCAP) ? 0 : -LINUX_EPERM;
		return cred_has_cap(c, i->sb->user_ns, LINUX_CAP_SYS_ADMIN) ? 0 : -LINUX_EPERM;
	}
	if (has_prefix(name, "trusted."))
		return cred_has_cap(c, &init_user_ns, LINUX_CAP_SYS_ADMIN) ? 0 : write ? -LINUX_EPERM : -LINUX_ENODATA;
	if (!LINUX_S_ISREG(i->mode) && !LINUX_S_ISDIR(i->mode))
		return write ? -LINUX_EPERM : -LINUX_ENODATA;
	if (write && LINUX_S_ISDIR(i->mode) && i->mode & LINUX_S_ISVTX && !inode_owner_or_capable(i, c))
		return -LINUX_EPERM;
	return vfs_permission(i, write ? LINUX_MAY_WRITE : LINUX_MAY_READ, c);
}

long vfs_getxattr(const struct path *p, const char *name, void *val, size_t size, const struct cred *c)
{
	struct inode *i = p->dentry->inode;
	int acl = i->ops->plain_acl ? 0 : acl_kind(name);
	long ret = name_ok(name);

	if (!ret)
		ret = xattr_permission(i, name, false, c);
	if (ret)
		return ret;
	if (acl) {
		if (!i->ops->getxattr)
			return -LINUX_EOPNOTSUPP;
		rcu_read_lock();
		ret = acl_to_xattr(rcu_load(*(acl == 1 ? &i->acl : &i->default_acl)), val, size);
		rcu_read_unlock();
		return ret;
	}
	return i->ops->getxattr ? i->ops->getxattr(i, name, val, size) : -LINUX_EOPNOTSUPP;
}

static long set_acl(struct inode *i, int kind, const char *name, const void *val, size_t size)
{
	long ret;

	if (kind == 2 && val && !LINUX_S_ISDIR(i->mode))
		return -LINUX_EACCES;
	ret = inode_set_acl(i, kind == 2, val, size);
	if (ret == 0)
		inode_touch(i, false, false, true);
	return ret;
}

static long xattr_change(const struct path *p, const char *name, const void *val, size_t size, uint32_t flags, bool remove,
			 const struct cred *c)
{
	struct inode *i = p->dentry->inode;
	int acl = i->ops->plain_acl ? 0 : acl_kind(name);
	long ret = name_ok(name);

	if (ret)
		return ret;
	if (remove ? !i->ops->removexattr : !i->ops->setxattr)
		return -LINUX_EOPNOTSUPP;
	ret = mnt_want_write(p->mnt);
	if (ret)
		return ret;
	sleep_lock(&i->i_lock);
	ret = xattr_permission(i, name, true, c);
	/* A file system with storage of its own for ACLs is told too, and first. */
	if (!ret)
		ret = remove ? i->ops->removexattr(i, name) : i->ops->setxattr(i, name, val, size, flags);
	if (acl && (!ret || ret == -LINUX_ENODATA))
		ret = set_acl(i, acl, name, remove ? NULL : val, size);
	if (!ret && !strcmp(name, "security.capability") && !remove)
		atomic_fetch_or(&i->iflags, I_HAS_CAPS);
	sleep_unlock(&i->i_lock);
	mnt_drop_write(p->mnt);
	if (!ret)
		fsnotify(p->dentry->parent->inode, i, p->dentry->name, LINUX_IN_ATTRIB, 0);
	return ret;
}

long vfs_setxattr(const struct path *p, const char *name, const void *val, size_t size, uint32_t flags, const struct cred *c)
{
	if (flags & ~3u)
		return -LINUX_EINVAL;
	return xattr_change(p, name, val, size, flags, false, c);
}

long vfs_removexattr(const struct path *p, const char *name, const struct cred *c)
{
	return xattr_change(p, name, NULL, 0, 0, true, c);
}

/* Names that the caller may not know of are left out. */
static size_t filter_trusted(char *list, size_t len)
{
	size_t out = 0, n;

	for (size_t at = 0; at < len; at += n) {
		n = strnlen(list + at, len - at) + 1;
		if (has_prefix(list + at, "trusted."))
			continue;
		memmove(list + out, list + at, n);
		out += n;
	}
	return out;
}

long vfs_listxattr(const struct path *p, char *out, size_t size, const struct cred *c)
{
	static const char *const acl_names[] = { "system.posix_acl_access", "system.posix_acl_default" };
	struct inode *i = p->dentry->inode;
	const bool has[] = { i->acl != NULL, i->default_acl != NULL };
	char *buf;
	size_t len;
	long ret;

	if (!i->ops->listxattr)
		return -LINUX_EOPNOTSUPP;
	buf = malloc(XATTR_LIST_MAX);
	if (!buf)
		return -LINUX_ENOMEM;
	ret = i->ops->listxattr(i, buf, XATTR_LIST_MAX - 64);
	if (ret < 0)
		goto out;
	len = (size_t)ret;
	if (!cred_has_cap(c, &init_user_ns, LINUX_CAP_SYS_ADMIN))
		len = filter_trusted(buf, len);
	for (size_t k = 0; k < ARRAY_SIZE(has); k++) {
		size_t n = strlen(acl_names[k]) + 1;

		if (has[k] && !memmem(buf, len, acl_names[k], n)) {
			memcpy(buf + len, acl_names[k], n);
			len += n;
		}
	}
	ret = size && len > size ? -LINUX_ERANGE : (long)len;
	if (ret > 0 && size)
		memcpy(out, buf, len);
out:
	free(buf);
	return ret;
}
