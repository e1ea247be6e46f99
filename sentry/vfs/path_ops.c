/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/path_ops.c - calls that make and remove names: mkdir, mknod, symlink, link, unlink, rmdir
 *
 * Model:   find the parent, lock it, look the name up, check rights, let the file system do it, tell the name cache and the
 *          watchers. rename has a file of its own.
 * Locks:   parent's i_lock, then the victim's or target's.
 * Source:  mkdir(2), mknod(2), symlink(2), link(2), unlink(2), rmdir(2).
 */
#include <stdlib.h>

#include "sentry/vfs/internal.h"

/* Stale names of shared mounts are dropped before the directory is locked. */
static void revalidate_last(struct nd *nd)
{
	struct dentry *d;

	if (nd->cur.dentry->inode->ops->d_revalidate && nd->type == LAST_NORM &&
	    nd_lookup(nd, nd->last, nd->last_len, &d) == 0)
		d_put(d);
}

/* The last name as a dentry with a reference, its directory locked. @unseen: it need not be asked about. */
static long last_locked(const struct nd *nd, bool unseen, struct dentry **out)
{
	return (unseen ? lookup_unseen_locked : lookup_one_locked)(nd->cur.dentry, nd->last, nd->last_len, out);
}

/* Parent locked and writable, *out negative with a reference. Undo with create_end(). */
static long create_begin(struct nd *nd, const struct vfs_ctx *ctx, int dirfd, const char *path, bool isdir, struct dentry **out)
{
	struct inode *dir;
	long ret = nd_parent(nd, ctx, dirfd, path, WALK_PARENT), wr;
	bool unseen;

	if (ret)
		return ret;
	if (nd->type != LAST_NORM) {
		nd_fini(nd);
		return -LINUX_EEXIST;
	}
	unseen = (isdir || !nd->trailing) && may_create_unseen(nd);
	if (!unseen)
		revalidate_last(nd);
	dir = nd->cur.dentry->inode;
	wr = mnt_want_write(nd->cur.mnt);
	sleep_lock(&dir->i_lock);
	ret = last_locked(nd, unseen, out);
	if (ret == 0) {
		if (d_is_positive(*out))
			ret = -LINUX_EEXIST;
		else if (nd->trailing && !isdir)
			ret = -LINUX_ENOENT;
		else
			ret = wr ? wr : may_create(dir, ctx->cred);
		if (ret)
			d_put(*out);
	}
	if (ret == 0)
		return 0;
	sleep_unlock(&dir->i_lock);
	if (!wr)
		mnt_drop_write(nd->cur.mnt);
	nd_fini(nd);
	return ret;
}

static long create_end(struct nd *nd, struct dentry *d, long ret, uint32_t in_mask)
{
	struct inode *dir = nd->cur.dentry->inode;

	if (ret && dir->ops->unseen)
		d_drop(d); /* it may be there */
	sleep_unlock(&dir->i_lock);
	mnt_drop_write(nd->cur.mnt);
	if (ret == 0)
		fsnotify(dir, d->inode, d->name, in_mask, 0);
	d_put(d);
	nd_fini(nd);
	return ret;
}

long vfs_mkdir(const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t mode)
{
	struct nd nd;
	struct dentry *d;
	struct inode *dir;
	long ret = create_begin(&nd, ctx, dirfd, path, true, &d);

	if (ret)
		return ret;
	dir = nd.cur.dentry->inode;
	mode = umask_apply(dir, ctx->fs, mode & 01777);
	ret = dir->ops->mkdir ? dir->ops->mkdir(dir, d, LINUX_S_IFDIR | mode, ctx->cred) : -LINUX_EPERM;
	return create_end(&nd, d, ret, LINUX_IN_CREATE | LINUX_IN_ISDIR);
}

long vfs_mknod(const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t mode, uint64_t rdev)
{
	uint32_t type = mode & LINUX_S_IFMT ? mode & LINUX_S_IFMT : LINUX_S_IFREG;
	bool dev = type == LINUX_S_IFCHR || type == LINUX_S_IFBLK;
	struct nd nd;
	struct dentry *d;
	struct inode *dir;
	long ret;

	if (type == LINUX_S_IFDIR)
		return -LINUX_EPERM;
	if (!dev && type != LINUX_S_IFREG && type != LINUX_S_IFIFO && type != LINUX_S_IFSOCK)
		return -LINUX_EINVAL;
	ret = create_begin(&nd, ctx, dirfd, path, false, &d);
	if (ret)
		return ret;
	dir = nd.cur.dentry->inode;
	mode = type | (umask_apply(dir, ctx->fs, mode) & 07777);
	/* An overlay's whiteout is not a device that anybody could open. */
	if (dev && !(type == LINUX_S_IFCHR && rdev == 0) && !cred_has_cap(ctx->cred, &init_user_ns, LINUX_CAP_MKNOD))
		ret = -LINUX_EPERM;
	else if (dev && rdev && vfs_device_hook && !vfs_device_hook(type, rdev, 0))
		ret = -LINUX_EPERM;
	else if (type == LINUX_S_IFREG && dir->ops->create)
		ret = dir->ops->create(dir, d, mode, ctx->cred);
	else
		ret = dir->ops->mknod ? dir->ops->mknod(dir, d, mode, dev ? rdev : 0, ctx->cred) : -LINUX_EPERM;
	return create_end(&nd, d, ret, LINUX_IN_CREATE);
}

long vfs_symlink(const struct vfs_ctx *ctx, const char *target, int dirfd, const char *path)
{
	struct nd nd;
	struct dentry *d;
	struct inode *dir;
	long ret;

	if (!*target)
		return -LINUX_ENOENT;
	ret = create_begin(&nd, ctx, dirfd, path, false, &d);
	if (ret)
		return ret;
	dir = nd.cur.dentry->inode;
	ret = dir->ops->symlink ? dir->ops->symlink(dir, d, target, ctx->cred) : -LINUX_EPERM;
	return create_end(&nd, d, ret, LINUX_IN_CREATE);
}

static long link_target_ok(const struct path *old, const struct nd *nd, const struct cred *c)
{
	struct inode *i = old->dentry->inode;

	if (old->mnt != nd->cur.mnt)
		return -LINUX_EXDEV;
	if (i->iflags & (I_APPEND | I_IMMUTABLE) || LINUX_S_ISDIR(i->mode) || !nd->cur.dentry->inode->ops->link)
		return -LINUX_EPERM;
	if (i->iflags & I_NO_LINKAT)
		return -LINUX_ENOENT;
	/* A deleted file stays deleted, but one that never had a name (O_TMPFILE) may get one. */
	if (i->nlink == 0 && !(old->dentry->name[0] == '#'))
		return -LINUX_ENOENT;
	return 0;
}

long vfs_link(const struct vfs_ctx *ctx, int olddirfd, const char *old, int newdirfd, const char *new_, uint32_t at_flags)
{
	struct nd nd;
	struct dentry *d;
	struct path target;
	struct inode *dir, *i;
	uint32_t walk = (at_flags & LINUX_AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0) | (at_flags & LINUX_AT_EMPTY_PATH ? WALK_EMPTY_OK : 0);
	long ret = vfs_lookup(ctx, olddirfd, old, walk, &target);

	if (ret)
		return ret;
	i = target.dentry->inode;
	ret = i ? create_begin(&nd, ctx, newdirfd, new_, false, &d) : -LINUX_ENOENT;
	if (ret)
		goto out;
	dir = nd.cur.dentry->inode;
	ret = link_target_ok(&target, &nd, ctx->cred);
	if (ret == 0) {
		sleep_lock(&i->i_lock);
		ret = dir->ops->link(dir, d, i);
		sleep_unlock(&i->i_lock);
	}
	if (ret == 0)
		fsnotify(NULL, i, NULL, LINUX_IN_ATTRIB, 0);
	ret = create_end(&nd, d, ret, LINUX_IN_CREATE);
out:
	path_put(&target);
	return ret;
}

/* ---- removing ---- */

static long remove_locked(struct nd *nd, const struct vfs_ctx *ctx, bool isdir, bool unseen, struct dentry **out_victim)
{
	struct inode *dir = nd->cur.dentry->inode, *i;
	struct dentry *d;
	long ret = last_locked(nd, unseen, &d);

	if (ret)
		return ret;
	i = d->inode;
	if (i && !isdir && nd->trailing)
		ret = LINUX_S_ISDIR(i->mode) ? -LINUX_EISDIR : -LINUX_ENOTDIR;
	else if (!i && unseen)
		ret = may_create(dir, ctx->cred); /* what is asked of the directory is the same */
	else
		ret = may_delete(dir, d, isdir, ctx->cred);
	if (!ret && atomic_load(&d->nr_mounts))
		ret = -LINUX_EBUSY;
	if (!ret && !(isdir ? dir->ops->rmdir : dir->ops->unlink))
		ret = -LINUX_EPERM;
	if (!ret) {
		if (i) {
			inode_get(i);
			sleep_lock(&i->i_lock);
		}
		ret = isdir ? dir->ops->rmdir(dir, d) : dir->ops->unlink(dir, d);
		if (i)
			sleep_unlock(&i->i_lock);
		if (ret == 0)
			d_delete(d);
		else if (!i)
			d_drop(d); /* it may be there */
		inode_put(i);
	}
	if (ret)
		d_put(d);
	else
		*out_victim = d;
	return ret;
}

/* A victim that was not looked at had no watcher (may_remove_unseen()). */
static void remove_tell(struct inode *dir, const struct dentry *victim, bool isdir)
{
	struct inode *i = victim->inode;

	if (i && !isdir)
		fsnotify(NULL, i, NULL, LINUX_IN_ATTRIB, 0);
	fsnotify(dir, NULL, victim->name, LINUX_IN_DELETE | (isdir ? LINUX_IN_ISDIR : 0), 0);
	if (i && (i->nlink == 0 || isdir))
		fsnotify(NULL, i, NULL, LINUX_IN_DELETE_SELF, 0);
}

static long remove_name(const struct vfs_ctx *ctx, int dirfd, const char *path, bool isdir)
{
	static const long dir_err[] = { [LAST_DOT] = -LINUX_EINVAL, [LAST_DOTDOT] = -LINUX_ENOTEMPTY, [LAST_SELF] = -LINUX_EBUSY };
	struct dentry *victim;
	struct inode *dir;
	struct nd nd;
	bool unseen;
	long ret = nd_parent(&nd, ctx, dirfd, path, WALK_PARENT);

	if (ret)
		return ret;
	if (nd.type != LAST_NORM) {
		ret = isdir ? dir_err[nd.type] : -LINUX_EISDIR;
		goto out;
	}
	unseen = may_remove_unseen(&nd, isdir);
	if (!unseen)
		revalidate_last(&nd);
	ret = mnt_want_write(nd.cur.mnt);
	if (ret)
		goto out;
	dir = nd.cur.dentry->inode;
	sleep_lock(&dir->i_lock);
	ret = remove_locked(&nd, ctx, isdir, unseen, &victim);
	sleep_unlock(&dir->i_lock);
	mnt_drop_write(nd.cur.mnt);
	if (ret == 0) {
		if (unlikely(atomic_load(&fsnotify_nr_marks)))
			remove_tell(dir, victim, isdir);
		d_put(victim);
	}
out:
	nd_fini(&nd);
	return ret;
}

long vfs_unlink(const struct vfs_ctx *ctx, int dirfd, const char *path)
{
	return remove_name(ctx, dirfd, path, false);
}

long vfs_rmdir(const struct vfs_ctx *ctx, int dirfd, const char *path)
{
	return remove_name(ctx, dirfd, path, true);
}
