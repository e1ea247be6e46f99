/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/open.c - opening: by path, by position, for execution; creating on the way
 *
 * Model:   find or make the dentry, check rights and the mount, make the file, let the file system open it, truncate. A plain
 *          open of what is cached needs the lock-free walk only.
 * Source:  open(2), openat2(2), execve(2) on ETXTBSY.
 */
#include <stdlib.h>

#include "sentry/vfs/internal.h"

static uint32_t acc_mask(uint32_t flags)
{
	static const uint8_t mask[4] = { LINUX_MAY_READ, LINUX_MAY_WRITE, LINUX_MAY_READ | LINUX_MAY_WRITE,
					 LINUX_MAY_READ | LINUX_MAY_WRITE };

	return mask[flags & LINUX_O_ACCMODE] | (flags & LINUX_O_TRUNC ? LINUX_MAY_WRITE : 0);
}

/* May this kind of file be opened so, by this caller, through this mount? */
static long may_open(const struct path *p, uint32_t flags, uint32_t mask, const struct cred *c)
{
	struct inode *i = p->dentry->inode;
	uint32_t mf = p->mnt ? atomic_load(&p->mnt->flags) : 0;
	long ret;

	switch (i->mode & LINUX_S_IFMT) {
	case LINUX_S_IFLNK:
		return -LINUX_ELOOP;
	case LINUX_S_IFDIR:
		if (mask & LINUX_MAY_WRITE)
			return -LINUX_EISDIR;
		if (mask & LINUX_MAY_EXEC)
			return -LINUX_EACCES;
		break;
	case LINUX_S_IFCHR:
	case LINUX_S_IFBLK:
		if (mf & LINUX_MS_NODEV || i->sb->nodev)
			return -LINUX_EACCES;
		/* fall through */
	case LINUX_S_IFIFO:
	case LINUX_S_IFSOCK:
		if (mask & LINUX_MAY_EXEC)
			return -LINUX_EACCES;
		break;
	default:
		if (mask & LINUX_MAY_EXEC && mf & LINUX_MS_NOEXEC)
			return -LINUX_EACCES;
	}
	ret = vfs_permission(i, mask, c);
	if (ret)
		return ret;
	if (i->iflags & I_APPEND) {
		if ((mask & LINUX_MAY_WRITE && !(flags & LINUX_O_APPEND)) || flags & LINUX_O_TRUNC)
			return -LINUX_EPERM;
	}
	if (flags & LINUX_O_NOATIME && !inode_owner_or_capable(i, c))
		return -LINUX_EPERM;
	return 0;
}

/* Counts a writer: not while the file is being executed, not on a read-only mount. */
static long get_write_access(struct file *f)
{
	struct inode *i = f->path.dentry->inode;
	int32_t n = atomic_load(&i->nr_writers);
	long ret;

	do {
		if (n < 0)
			return -LINUX_ETXTBSY;
	} while (!atomic_compare_exchange_weak(&i->nr_writers, &n, n + 1));
	ret = mnt_want_write(f->path.mnt);
	if (ret)
		atomic_fetch_sub(&i->nr_writers, 1);
	else
		f->fmode |= FMODE_WRITER;
	return ret;
}

static long pick_ops(struct file *f)
{
	struct inode *i = f->inode;

	switch (i->mode & LINUX_S_IFMT) {
	case LINUX_S_IFREG:
	case LINUX_S_IFDIR:
		f->fmode |= FMODE_PREAD | FMODE_PWRITE | FMODE_ATOMIC_POS;
		f->ops = i->fops;
		break;
	case LINUX_S_IFCHR:
		f->fmode |= FMODE_PREAD | FMODE_PWRITE;
		/* devpts names its terminals itself; a node made by mknod(2) finds its driver by number */
		f->ops = i->fops ? i->fops : chrdev_find(i->rdev);
		break;
	case LINUX_S_IFIFO:
		f->fmode |= FMODE_STREAM;
		f->ops = i->fops ? i->fops : vfs_fifo_ops; /* the host's pipes have their own */
		break;
	default:
		f->ops = NULL;
	}
	if (!f->ops && i->fops && !LINUX_S_ISSOCK(i->mode) && !LINUX_S_ISBLK(i->mode) && !LINUX_S_ISCHR(i->mode))
		f->ops = i->fops;
	return f->ops ? 0 : -LINUX_ENXIO;
}

static const struct file_ops path_ops = { 0 };

/* @p's references are taken over, also on failure. @created: rights were settled by making it. */
static long open_taken(struct path *p, uint32_t flags, uint32_t mask, const struct cred *c, bool created, struct file **out)
{
	struct file *f = file_alloc_raw(flags, c);
	struct inode *i = p->dentry->inode, *real;
	long ret;

	if (!f) {
		path_put(p);
		return -LINUX_ENOMEM;
	}
	f->path = *p;
	*p = (struct path){ 0 };
	f->inode = i;
	if (flags & LINUX_O_PATH) {
		f->ops = &path_ops;
		*out = f;
		return 0;
	}
	if (!created) {
		ret = may_open(&f->path, flags, mask, c);
		if (ret)
			goto fail;
	}
	if (unlikely(rcu_load(i->locks)) && LINUX_S_ISREG(i->mode)) {
		ret = lease_break(i, flags, flags & LINUX_O_NONBLOCK);
		if (ret)
			goto fail;
	}
	if (f->fmode & FMODE_WRITE && (LINUX_S_ISREG(i->mode) || LINUX_S_ISDIR(i->mode))) {
		ret = get_write_access(f);
		if (ret)
			goto fail;
	}
	if (i->ops->open_real && LINUX_S_ISREG(i->mode)) {
		ret = i->ops->open_real(i, flags, &real);
		if (ret)
			goto fail;
		f->inode = real;
		f->fmode |= FMODE_REAL;
	}
	ret = pick_ops(f);
	if (!ret && f->ops->open)
		ret = f->ops->open(f->inode, f);
	if (ret)
		goto fail;
	f->fmode |= FMODE_OPENED | (created ? FMODE_CREATED : 0);
	if (flags & LINUX_O_DIRECT && LINUX_S_ISDIR(i->mode))
		ret = -LINUX_EINVAL;
	if (!ret && flags & LINUX_O_TRUNC && !created && LINUX_S_ISREG(i->mode)) {
		const struct vfs_ctx ctx = { .cred = c };

		ret = vfs_truncate(&ctx, NULL, f, 0);
	}
	if (ret) {
		file_put(f);
		return ret;
	}
	if (unlikely(atomic_load_explicit(&fsnotify_nr_marks, memory_order_relaxed)))
		fsnotify(f->path.dentry->parent->inode, i, f->path.dentry->name, LINUX_IN_OPEN, 0);
	*out = f;
	return 0;
fail:
	file_free_unopened(f);
	return ret;
}

long vfs_open_path(const struct vfs_ctx *ctx, const struct path *p, uint32_t flags, struct file **out)
{
	struct path q = *p;

	path_get(&q);
	return open_taken(&q, flags, acc_mask(flags), ctx->cred, false, out);
}

/* ---- creating ---- */

/* nd->cur is the directory, locked. *out: the child, positive, with a reference; *created. */
static long create_locked(struct nd *nd, uint32_t flags, uint32_t mode, bool unseen, struct dentry **out, bool *created)
{
	const struct cred *c = nd->ctx->cred;
	struct dentry *dir = nd->cur.dentry, *d;
	struct inode *i = dir->inode;
	long ret = (unseen ? lookup_unseen_locked : lookup_one_locked)(dir, nd->last, nd->last_len, &d);

	*created = false;
	if (ret)
		return ret;
	if (d_is_positive(d)) {
		*out = d;
		if (!(flags & LINUX_O_EXCL))
			return 0;
		d_put(d);
		return -LINUX_EEXIST;
	}
	ret = mnt_want_write(nd->cur.mnt);
	if (ret)
		goto fail;
	ret = may_create(i, c);
	if (!ret && !i->ops->create)
		ret = -LINUX_EACCES;
	if (!ret) {
		mode = LINUX_S_IFREG | (umask_apply(i, nd->ctx->fs, mode) & 07777);
		ret = i->ops->create_open ? i->ops->create_open(i, d, mode, flags, c) : i->ops->create(i, d, mode, c);
	}
	mnt_drop_write(nd->cur.mnt);
	if (ret)
		goto fail;
	fsnotify(i, d->inode, d->name, LINUX_IN_CREATE, 0);
	*created = true;
	*out = d;
	return 0;
fail:
	if (unseen)
		d_drop(d); /* it may be there */
	d_put(d);
	return ret;
}

/* The last component of an O_CREAT open. 0: *out set; 1: a link was followed. */
static long open_create_last(struct nd *nd, uint32_t flags, uint32_t mode, struct path *out, bool *created)
{
	struct path child;
	struct dentry *dir = nd->cur.dentry;
	bool unseen;
	long ret;

	*created = false;
	if (nd->type != LAST_NORM) {
		ret = nd_last(nd);
		if (ret)
			return ret;
		if (flags & LINUX_O_EXCL)
			return -LINUX_EEXIST;
		if (LINUX_S_ISDIR(nd->cur.dentry->inode->mode))
			return -LINUX_EISDIR;
		*out = nd->cur;
		path_get(out);
		return 0;
	}
	if (nd->trailing)
		return -LINUX_EISDIR;
	if (!dir->inode || !LINUX_S_ISDIR(dir->inode->mode))
		return -LINUX_ENOTDIR;
	unseen = flags & LINUX_O_EXCL && may_create_unseen(nd);
	if (!unseen && dir->inode->ops->d_revalidate) {	/* what is stale goes before the lock is taken */
		ret = nd_lookup(nd, nd->last, nd->last_len, &child.dentry);
		if (ret)
			return ret;
		d_put(child.dentry);
	}
	sleep_lock(&dir->inode->i_lock);
	ret = create_locked(nd, flags, mode, unseen, &child.dentry, created);
	sleep_unlock(&dir->inode->i_lock);
	if (ret)
		return ret;
	child.mnt = mnt_get(nd->cur.mnt);
	follow_mounts(&child);
	if (child.mnt != nd->cur.mnt && nd->walk & WALK_NO_XDEV) {
		path_put(&child);
		return -LINUX_EXDEV;
	}
	if (!*created && LINUX_S_ISLNK(child.dentry->inode->mode) && nd->walk & WALK_FOLLOW) {
		ret = nd_follow(nd, &child);
		return ret ? ret : 1;
	}
	if (!*created && LINUX_S_ISDIR(child.dentry->inode->mode)) {
		path_put(&child);
		return -LINUX_EISDIR;
	}
	*out = child;
	return 0;
}

static long open_create(const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t flags, uint32_t mode, uint32_t walk,
			struct path *out, bool *created)
{
	struct nd nd;
	long ret = nd_init(&nd, ctx, dirfd, path, walk | (flags & LINUX_O_EXCL ? WALK_PARENT : 0));

	do {
		if (ret >= 0)
			ret = nd_walk(&nd);
		if (ret == 0)
			ret = open_create_last(&nd, flags, mode, out, created);
	} while (ret == 1);
	nd_fini(&nd);
	return ret;
}

static long open_tmpfile(const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t flags, uint32_t mode, uint32_t walk,
			 struct file **out)
{
	struct path dir, p;
	struct inode *di, *i;
	char name[32];
	long ret = vfs_lookup(ctx, dirfd, path, walk | WALK_DIRECTORY, &dir);

	if (ret)
		return ret;
	di = dir.dentry->inode;
	ret = mnt_want_write(dir.mnt);
	if (ret)
		goto out;
	ret = may_create(di, ctx->cred);
	if (!ret && !di->ops->tmpfile)
		ret = -LINUX_EOPNOTSUPP;
	if (!ret) {
		mode = umask_apply(di, ctx->fs, mode);
		sleep_lock(&di->i_lock);
		ret = di->ops->tmpfile(di, LINUX_S_IFREG | (mode & 07777), ctx->cred, &i);
		sleep_unlock(&di->i_lock);
	}
	mnt_drop_write(dir.mnt);
	if (ret)
		goto out;
	snprintf(name, sizeof(name), "#%lu", (unsigned long)i->ino);
	p.dentry = d_alloc(dir.dentry, name, strlen(name));
	if (!p.dentry) {
		inode_put(i);
		ret = -LINUX_ENOMEM;
		goto out;
	}
	d_instantiate(p.dentry, i);
	atomic_fetch_or(&p.dentry->flags, DENTRY_DELETED);
	p.mnt = mnt_get(dir.mnt);
	ret = open_taken(&p, flags & ~(LINUX_O_TRUNC | LINUX_O_DIRECTORY), acc_mask(flags), ctx->cred, true, out);
	if (ret == 0 && flags & LINUX_O_EXCL)
		(*out)->inode->iflags |= I_NO_LINKAT;
out:
	path_put(&dir);
	return ret;
}

long vfs_open(const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t flags, uint32_t mode, uint32_t walk, struct file **out)
{
	struct path p;
	bool created = false;
	long ret;

	if (!(flags & LINUX_O_NOFOLLOW) && (flags & (LINUX_O_CREAT | LINUX_O_EXCL)) != (LINUX_O_CREAT | LINUX_O_EXCL))
		walk |= WALK_FOLLOW;
	if ((flags & LINUX_O_TMPFILE) == LINUX_O_TMPFILE)
		return open_tmpfile(ctx, dirfd, path, flags, mode, walk, out);
	if (flags & LINUX_O_DIRECTORY)
		walk |= WALK_DIRECTORY;
	if (flags & LINUX_O_CREAT && !(flags & LINUX_O_PATH)) {
		ret = flags & LINUX_O_EXCL ? -LINUX_EAGAIN : walk_rcu(ctx, dirfd, path, walk | WALK_CREATE, &p, NULL);
		if (ret == 0 && LINUX_S_ISDIR(p.dentry->inode->mode)) {
			path_put(&p);
			return -LINUX_EISDIR;
		}
		if (ret == -LINUX_EAGAIN)
			ret = walk & WALK_CACHED ? -LINUX_EAGAIN :
						   open_create(ctx, dirfd, path, flags, mode, walk, &p, &created);
		if (ret == 0 && walk & WALK_DIRECTORY && !LINUX_S_ISDIR(p.dentry->inode->mode)) {
			path_put(&p);
			ret = -LINUX_ENOTDIR;
		}
	} else {
		if (!(flags & (LINUX_O_ACCMODE | LINUX_O_PATH | LINUX_O_TRUNC)))
			walk |= WALK_READ;
		ret = vfs_lookup(ctx, dirfd, path, walk, &p);
		if (ret == 0 && unlikely(!p.dentry->inode)) {
			path_put(&p);
			ret = -LINUX_ENOENT;
		}
	}
	if (ret)
		return ret;
	if (unlikely(LINUX_S_ISLNK(p.dentry->inode->mode)) && !(flags & LINUX_O_PATH)) {
		path_put(&p);
		return -LINUX_ELOOP;
	}
	return open_taken(&p, flags, acc_mask(flags), ctx->cred, created, out);
}

long vfs_open_exec(const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t walk, struct file **out)
{
	struct path p;
	struct inode *i;
	struct file *f;
	int32_t n;
	long ret = vfs_lookup(ctx, dirfd, path, walk | WALK_READ, &p);

	if (ret)
		return ret;
	i = p.dentry->inode;
	if (LINUX_S_ISLNK(i->mode)) {
		path_put(&p);
		return -LINUX_ELOOP;
	}
	if (!LINUX_S_ISREG(i->mode)) {
		path_put(&p);
		return -LINUX_EACCES;
	}
	/* Reading is not asked for: a program may be executable only. */
	ret = open_taken(&p, LINUX_O_RDONLY | LINUX_O_LARGEFILE, LINUX_MAY_EXEC, ctx->cred, false, &f);
	if (ret)
		return ret;
	n = atomic_load(&i->nr_writers);
	do {
		if (n > 0) {
			file_put(f);
			return -LINUX_ETXTBSY;
		}
	} while (!atomic_compare_exchange_weak(&i->nr_writers, &n, n - 1));
	f->fmode |= FMODE_EXEC | FMODE_EXEC_DENY;
	*out = f;
	return 0;
}
