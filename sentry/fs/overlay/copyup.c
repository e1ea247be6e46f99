/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/overlay/copyup.c - bringing a lower file into the upper layer before it changes
 *
 * Model:   parents first. A regular file is made without a name (O_TMPFILE), filled, given its attributes, then linked, so that
 *          nobody sees half of it; directories, links and nodes are made in place.
 * Locks:   onode.copy_lock of the file; parents were done before it was taken.
 */
#include <stdio.h>
#include <string.h>

#include "sentry/fs/overlay/overlay.h"
#include "sentry/vfs/stack.h"
#include "sentry/vfs/xattr.h"

#define COPY_CHUNK (256 * 1024)

static long copy_xattrs(struct inode *from, struct inode *to)
{
	char *list, *val;
	long len, ret = 0;

	if (!from->ops->listxattr || !to->ops->setxattr)
		return 0;
	list = malloc(XATTR_LIST_MAX);
	val = malloc(XATTR_SIZE_MAX);
	len = list && val ? from->ops->listxattr(from, list, XATTR_LIST_MAX) : -LINUX_ENOMEM;
	if (len == -LINUX_EOPNOTSUPP)
		len = 0;
	for (long at = 0; at < len && !ret;) {
		const char *name = list + at;
		long n;

		at += (long)strnlen(name, (size_t)(len - at)) + 1;
		if (ovl_is_private_xattr(name) || !strncmp(name, "system.posix_acl", 16))
			continue;
		n = from->ops->getxattr(from, name, val, XATTR_SIZE_MAX);
		if (n >= 0)
			ret = to->ops->setxattr(to, name, val, (size_t)n, 0);
		else if (n != -LINUX_ENODATA)
			ret = n;
	}
	free(list);
	free(val);
	return len < 0 ? len : ret;
}

static long copy_data(struct ovl_sb *o, struct dentry *from, struct dentry *to)
{
	struct file *in, *out = NULL;
	uint8_t *buf = malloc(COPY_CHUNK);
	long ret = buf ? stack_open(from, LINUX_O_RDONLY, o->cred, &in) : -LINUX_ENOMEM;

	if (ret) {
		free(buf);
		return ret;
	}
	ret = stack_open(to, LINUX_O_WRONLY, o->cred, &out);
	while (ret >= 0) {
		struct uio io;
		long n;

		uio_init_kernel(&io, buf, COPY_CHUNK);
		n = ret = vfs_read(in, &io, NULL, 0);
		if (ret <= 0)
			break;
		uio_init_kernel(&io, buf, (size_t)n);
		ret = vfs_write(out, &io, NULL, 0, UINT64_MAX);
		if (ret >= 0 && ret < n)
			ret = -LINUX_ENOSPC;
	}
	file_put(out);
	file_put(in);
	free(buf);
	return ret;
}

static long copy_attrs(struct inode *from, struct inode *to)
{
	struct iattr a = {
		.valid = ATTR_UID | ATTR_GID | ATTR_MODE | ATTR_ATIME | ATTR_MTIME,
		.mode = from->mode & 07777,
		.uid = from->uid,
		.gid = from->gid,
	};
	long ret = copy_xattrs(from, to);

	if (!ret)
		ret = inode_copy_acl(to, from);
	mutex_lock(&from->mu);
	a.atime = from->atime;
	a.mtime = from->mtime;
	mutex_unlock(&from->mu);
	return ret ? ret : stack_setattr(to, &a);
}

/* A regular file without a name in @updir; a dentry for it that has no place. */
static long make_unnamed(struct ovl_sb *o, struct dentry *updir, uint32_t mode, struct dentry **out)
{
	struct inode *di = updir->inode, *i;
	long ret;

	if (!di->ops->tmpfile)
		return -LINUX_EOPNOTSUPP;
	sleep_lock(&di->i_lock);
	ret = di->ops->tmpfile(di, mode, o->cred, &i);
	sleep_unlock(&di->i_lock);
	if (ret)
		return ret;
	*out = d_alloc_anon(updir->sb, i, "#overlay");
	return *out ? 0 : -LINUX_ENOMEM;
}

static long copy_regular(struct ovl_sb *o, struct onode *n, struct dentry *updir, bool with_data, struct dentry **out)
{
	struct dentry *low = n->lower[0], *tmp, *linked;
	long ret = make_unnamed(o, updir, low->inode->mode, &tmp);

	if (ret)
		return ret;
	if (with_data && atomic_load(&low->inode->size))
		ret = copy_data(o, low, tmp);
	if (!ret)
		ret = copy_attrs(low->inode, tmp->inode);
	if (!ret && !n->unlinked) {
		ret = stack_link(updir, n->name, tmp->inode, &linked);
		if (!ret) {
			d_put(tmp);
			tmp = linked;
		}
	}
	if (ret)
		d_put(tmp);
	else
		*out = tmp;
	return ret;
}

static long copy_other(struct ovl_sb *o, struct onode *n, struct dentry *updir, struct dentry **out)
{
	struct inode *low = n->lower[0]->inode;
	struct stack_new s = { .mode = low->mode, .rdev = low->rdev, .cred = o->cred };
	char *target = NULL;
	long ret = 0;

	if (LINUX_S_ISLNK(low->mode)) {
		target = malloc(PATH_MAX_BYTES);
		if (!target)
			return -LINUX_ENOMEM;
		if (low->link)
			snprintf(target, PATH_MAX_BYTES, "%s", low->link);
		else
			ret = low->ops->readlink ? low->ops->readlink(low, target, PATH_MAX_BYTES) : -LINUX_EINVAL;
		target[PATH_MAX_BYTES - 1] = 0;
		s.target = target;
	}
	if (ret >= 0)
		ret = stack_make(updir, n->name, &s, out);
	free(target);
	if (ret)
		return ret;
	ret = copy_attrs(low, (*out)->inode);
	if (ret) {
		stack_remove(updir, n->name);
		d_put(*out);
	}
	return ret;
}

static long copy_one(struct inode *i, bool with_data)
{
	struct ovl_sb *o = ovl_of(i->sb);
	struct onode *n = onode_of(i);
	struct dentry *updir = n->parent ? onode_upper(onode_of(n->parent)) : NULL, *up;
	bool reg = LINUX_S_ISREG(i->mode);
	long ret;

	sleep_lock(&n->copy_lock);
	ret = 0;
	if (!onode_upper(n)) {
		if (!updir)
			ret = -LINUX_EROFS;
		else if (n->unlinked && !reg)
			ret = -LINUX_ENOENT;
		else
			ret = reg ? copy_regular(o, n, updir, with_data, &up) : copy_other(o, n, updir, &up);
		if (!ret) {
			rcu_store(n->upper, up);
			rcu_store(i->real, up->inode);
			/* Other names of it in the lower layer must find this copy from now on. */
			if (reg && n->lower[0]->inode->nlink > 1 && !n->pinned) {
				n->pinned = true;
				inode_get(i);
			}
		}
	}
	sleep_unlock(&n->copy_lock);
	return ret;
}

long ovl_copy_up(struct inode *i, bool with_data)
{
	if (likely(onode_upper(onode_of(i)) != NULL))
		return 0;
	if (!ovl_of(i->sb)->upper.path.dentry)
		return -LINUX_EROFS;
	/* Always the highest one that is missing, until it is @i's turn. */
	for (;;) {
		struct inode *p = i, *up;
		long ret;

		while ((up = onode_of(p)->parent) && !onode_upper(onode_of(up)))
			p = up;
		ret = copy_one(p, p == i ? with_data : true);
		if (ret || p == i)
			return ret;
	}
}
