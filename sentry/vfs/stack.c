/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/stack.c - operations on the layers of a stacked file system, see stack.h
 *
 * Locks:   the lower directory's i_lock, then the file's. A caller may hold locks of the stacked file system above, never of a layer.
 */
#include "sentry/vfs/stack.h"

#include "sentry/vfs/internal.h"

static long make_locked(struct inode *dir, struct dentry *d, const struct stack_new *n)
{
	const struct inode_ops *o = dir->ops;

	switch (n->mode & LINUX_S_IFMT) {
	case LINUX_S_IFREG:
		return o->create ? o->create(dir, d, n->mode, n->cred) : -LINUX_EPERM;
	case LINUX_S_IFDIR:
		return o->mkdir ? o->mkdir(dir, d, n->mode, n->cred) : -LINUX_EPERM;
	case LINUX_S_IFLNK:
		return o->symlink ? o->symlink(dir, d, n->target, n->cred) : -LINUX_EPERM;
	default:
		return o->mknod ? o->mknod(dir, d, n->mode, n->rdev, n->cred) : -LINUX_EPERM;
	}
}

long stack_make(struct dentry *dir, const char *name, const struct stack_new *n, struct dentry **out)
{
	struct inode *i = dir->inode;
	struct dentry *d;
	long ret;

	sleep_lock(&i->i_lock);
	ret = lookup_one_locked(dir, name, strlen(name), &d);
	if (!ret) {
		ret = d->inode ? -LINUX_EEXIST : make_locked(i, d, n);
		if (ret)
			d_put(d);
		else
			*out = d;
	}
	sleep_unlock(&i->i_lock);
	return ret;
}

long stack_link(struct dentry *dir, const char *name, struct inode *target, struct dentry **out)
{
	struct inode *i = dir->inode;
	struct dentry *d;
	long ret;

	sleep_lock(&i->i_lock);
	ret = lookup_one_locked(dir, name, strlen(name), &d);
	if (!ret) {
		ret = d->inode ? -LINUX_EEXIST : i->ops->link ? 0 : -LINUX_EPERM;
		if (!ret) {
			sleep_lock(&target->i_lock);
			ret = i->ops->link(i, d, target);
			sleep_unlock(&target->i_lock);
		}
		if (ret)
			d_put(d);
		else
			*out = d;
	}
	sleep_unlock(&i->i_lock);
	return ret;
}

long stack_remove(struct dentry *dir, const char *name)
{
	struct inode *i = dir->inode, *v;
	struct dentry *d;
	bool isdir;
	long ret;

	sleep_lock(&i->i_lock);
	ret = lookup_one_locked(dir, name, strlen(name), &d);
	if (!ret) {
		v = d->inode ? inode_get(d->inode) : NULL;
		isdir = v && LINUX_S_ISDIR(v->mode);
		if (!v)
			ret = -LINUX_ENOENT;
		else if (!(isdir ? i->ops->rmdir : i->ops->unlink))
			ret = -LINUX_EPERM;
		if (!ret) {
			sleep_lock(&v->i_lock);
			ret = isdir ? i->ops->rmdir(i, d) : i->ops->unlink(i, d);
			sleep_unlock(&v->i_lock);
		}
		if (!ret)
			d_delete(d);
		inode_put(v);
		d_put(d);
	}
	sleep_unlock(&i->i_lock);
	return ret;
}

static long rename_locked(struct dentry *odir, const char *oname, struct dentry *ndir, const char *nname, uint32_t flags)
{
	struct dentry *od, *nd;
	long ret = lookup_one_locked(odir, oname, strlen(oname), &od);

	if (ret)
		return ret;
	ret = lookup_one_locked(ndir, nname, strlen(nname), &nd);
	if (ret) {
		d_put(od);
		return ret;
	}
	if (!od->inode)
		ret = -LINUX_ENOENT;
	else
		ret = odir->inode->ops->rename ? odir->inode->ops->rename(odir->inode, od, ndir->inode, nd, flags) : -LINUX_EPERM;
	if (!ret && flags & LINUX_RENAME_EXCHANGE) {
		d_exchange(od, nd);
	} else if (!ret) {
		struct dname *to = nd->dname;

		d_delete(nd);
		d_move(od, ndir, to);
	}
	d_put(od);
	d_put(nd);
	return ret;
}

long stack_rename(struct dentry *odir, const char *oname, struct dentry *ndir, const char *nname, uint32_t flags)
{
	struct inode *a = odir->inode, *b = ndir->inode;
	long ret;

	if (odir != ndir)
		sleep_lock(&odir->sb->rename_lock);
	if (odir != ndir && (d_is_ancestor(ndir, odir) || (!d_is_ancestor(odir, ndir) && a > b))) {
		a = ndir->inode;
		b = odir->inode;
	}
	sleep_lock(&a->i_lock);
	if (a != b)
		sleep_lock(&b->i_lock);
	ret = rename_locked(odir, oname, ndir, nname, flags);
	if (a != b)
		sleep_unlock(&b->i_lock);
	sleep_unlock(&a->i_lock);
	if (odir != ndir)
		sleep_unlock(&odir->sb->rename_lock);
	return ret;
}

long stack_setattr(struct inode *i, const struct iattr *a)
{
	long ret;

	sleep_lock(&i->i_lock);
	ret = i->ops->setattr ? i->ops->setattr(i, a) : generic_setattr(i, a);
	sleep_unlock(&i->i_lock);
	return ret;
}

long stack_open(struct dentry *d, uint32_t flags, const struct cred *c, struct file **out)
{
	struct path p = { .dentry = d_get(d) };
	struct file *f;
	long ret = file_alloc(&p, d->inode->fops, flags, c, &f);

	if (ret)
		return ret;
	f->fmode |= FMODE_NONOTIFY;
	f->fmode &= ~FMODE_OPENED;
	if (f->ops && f->ops->open)
		ret = f->ops->open(f->inode, f);
	if (ret || !f->ops) {
		file_free_unopened(f);
		return ret ? ret : -LINUX_ENXIO;
	}
	f->fmode |= FMODE_OPENED;
	*out = f;
	return 0;
}
