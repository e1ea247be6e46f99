/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/walk.c - path walk with references: lookups that may sleep, links of all kinds, openat2's restrictions
 *
 * Model:   struct nd is a position (path with references) and the text that is left. A symbolic link puts its text before the
 *          rest; a magic link moves the position. Callers get the last component to do as they like (open, create, remove).
 * Locks:   a directory's i_lock during its lookup; nothing else is held while sleeping.
 * Source:  path_resolution(7), openat2(2), symlink(7).
 */
#include <stdlib.h>

#include "sentry/vfs/internal.h"

/* ---- one name ---- */

long lookup_one_locked(struct dentry *dir, const char *name, size_t len, struct dentry **out)
{
	struct inode *i = dir->inode;
	struct dentry *d = d_lookup_cached(dir, name, len);
	long ret;

	if (d) {
		*out = d;
		return 0;
	}
	if (!i || !i->ops->lookup)
		return -LINUX_ENOTDIR;
	if (atomic_load(&dir->flags) & DENTRY_DELETED)
		return -LINUX_ENOENT;
	d = d_alloc(dir, name, len);
	if (!d)
		return -LINUX_ENOMEM;
	ret = i->ops->lookup(i, d);
	if (ret) {
		d_put(d);
		return ret;
	}
	d_hash(d);
	*out = d;
	return 0;
}

long lookup_one(struct dentry *dir, const char *name, size_t len, struct dentry **out)
{
	struct inode *i = dir->inode;
	struct dentry *d;
	long ret;

	if (!i)
		return -LINUX_ENOENT;
	d = d_lookup_cached(dir, name, len);
	if (d) {
		if (!i->ops->d_revalidate || i->ops->d_revalidate(d)) {
			*out = d;
			return 0;
		}
		d_invalidate_tree(d);
		d_put(d);
	}
	sleep_lock(&i->i_lock);
	ret = lookup_one_locked(dir, name, len, out);
	sleep_unlock(&i->i_lock);
	return ret;
}

/* ---- paths ---- */

void path_get(struct path *p)
{
	if (p->mnt)
		mnt_get(p->mnt);
	if (p->dentry)
		d_get(p->dentry);
}

void path_put(struct path *p)
{
	if (p->dentry)
		d_put(p->dentry);
	if (p->mnt)
		mnt_put(p->mnt);
	*p = (struct path){ 0 };
}

static void path_set(struct path *p, struct path to)	/* takes over the references of @to */
{
	path_put(p);
	*p = to;
}

void follow_mounts(struct path *p)
{
	while (atomic_load_explicit(&p->dentry->nr_mounts, memory_order_relaxed)) {
		struct path next = { 0 };

		rcu_read_lock();
		next.mnt = mnt_lookup(p->mnt, p->dentry);
		if (next.mnt && !ref_get_unless_zero(&next.mnt->ref))
			next.mnt = NULL;
		rcu_read_unlock();
		if (!next.mnt)
			return;
		next.dentry = d_get(next.mnt->root);
		path_set(p, next);
	}
}

/* ---- nd ---- */

static void fs_take(struct fs_struct *fs, const struct path *which, struct path *out)
{
	mutex_lock(&fs->mu);
	*out = *which;
	path_get(out);
	mutex_unlock(&fs->mu);
}

static long start_dir(struct nd *nd, int dirfd, bool must_be_dir)
{
	struct file *f;
	bool need_put;

	if (dirfd == LINUX_AT_FDCWD) {
		fs_take(nd->ctx->fs, &nd->ctx->fs->pwd, &nd->cur);
		return 0;
	}
	f = nd->ctx->fds ? fdget_raw(nd->ctx->fds, dirfd, &need_put) : NULL;
	if (!f)
		return -LINUX_EBADF;
	if (!f->path.dentry || (must_be_dir && !LINUX_S_ISDIR(f->path.dentry->inode->mode))) {
		fdput(f, need_put);
		return f->path.dentry || must_be_dir ? -LINUX_ENOTDIR : -LINUX_EBADF;
	}
	nd->cur = f->path;
	path_get(&nd->cur);
	fdput(f, need_put);
	return 0;
}

long nd_init(struct nd *nd, const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t walk)
{
	bool scoped = walk & (WALK_BENEATH | WALK_IN_ROOT);
	long ret;

	*nd = (struct nd){ .ctx = ctx, .walk = walk, .p = path };
	if (!*path && !(walk & WALK_EMPTY_OK))
		return -LINUX_ENOENT;
	nd->rseq = seq_read(&rename_seq);
	nd->mseq = seq_read(&mount_seq);
	if (*path == '/' && walk & WALK_BENEATH)
		return -LINUX_EXDEV;
	if (*path == '/' && !scoped) {
		fs_take(ctx->fs, &ctx->fs->root, &nd->root);
		nd->cur = nd->root;
		path_get(&nd->cur);
		return 0;
	}
	ret = start_dir(nd, dirfd, *path != 0);
	if (ret)
		return ret;
	if (scoped) {
		nd->root = nd->cur;
		path_get(&nd->root);
	} else {
		fs_take(ctx->fs, &ctx->fs->root, &nd->root);
	}
	return 0;
}

void nd_fini(struct nd *nd)
{
	nd_ahead_drop(nd);
	path_put(&nd->root);
	path_put(&nd->cur);
	free(nd->buf);
	nd->buf = NULL;
}

static bool inside_mount(const struct path *p, const struct dentry *d)
{
	bool ok = true;

	if (p->mnt->root == p->mnt->sb->root)
		return true;
	rcu_read_lock();
	for (;; d = rcu_load(d->parent)) {
		if (d == p->mnt->root)
			break;
		if (rcu_load(d->parent) == d) {
			ok = false;
			break;
		}
	}
	rcu_read_unlock();
	return ok;
}

/* From the root of a mount to where it is mounted. False: there is nothing above. */
static bool step_up_mount(struct path *p)
{
	struct path up;

	rcu_read_lock();
	up.mnt = rcu_load(p->mnt->parent);
	up.dentry = rcu_load(p->mnt->mountpoint);
	if (!up.mnt || !up.dentry || !ref_get_unless_zero(&up.mnt->ref)) {
		rcu_read_unlock();
		return false;
	}
	if (!ref_get_unless_zero(&up.dentry->ref)) {
		rcu_read_unlock();
		mnt_put(up.mnt);
		return false;
	}
	rcu_read_unlock();
	path_set(p, up);
	return true;
}

static long nd_dotdot(struct nd *nd)
{
	struct dentry *parent;

	nd_ahead_drop(nd);
	nd->fresh = false;
	for (;;) {
		if (path_eq(&nd->cur, &nd->root))
			return nd->walk & WALK_BENEATH ? -LINUX_EXDEV : 0;
		if (nd->cur.dentry != nd->cur.mnt->root)
			break;
		if (nd->walk & WALK_NO_XDEV && nd->cur.mnt->parent)
			return -LINUX_EXDEV;
		if (!step_up_mount(&nd->cur))
			return 0;
	}
	rcu_read_lock();
	parent = rcu_load(nd->cur.dentry->parent);
	if (!ref_get_unless_zero(&parent->ref))
		parent = NULL;
	rcu_read_unlock();
	if (!parent)
		return -LINUX_ENOENT;
	d_put(nd->cur.dentry);
	nd->cur.dentry = parent;
	if (!inside_mount(&nd->cur, parent))
		return -LINUX_ENOENT;
	follow_mounts(&nd->cur);
	/* The start directory may have been moved, and this ".." may be above it. */
	if (nd->walk & (WALK_BENEATH | WALK_IN_ROOT) && (seq_changed(&rename_seq, nd->rseq) || seq_changed(&mount_seq, nd->mseq)))
		return -LINUX_EAGAIN;
	return 0;
}

static long nd_magic(struct nd *nd, struct inode *i)
{
	struct path to;
	long ret;

	if (nd->walk & WALK_NO_MAGIC)
		return -LINUX_ELOOP;
	if (nd->walk & (WALK_BENEATH | WALK_IN_ROOT))
		return -LINUX_EXDEV;
	ret = i->ops->get_link(i, nd->ctx->cred, &to);
	if (ret)
		return ret;
	if (nd->walk & WALK_NO_XDEV && to.mnt != nd->cur.mnt) {
		path_put(&to);
		return -LINUX_EXDEV;
	}
	path_set(&nd->cur, to);
	return 0;
}

static long link_text(struct inode *i, char **out_owned, const char **out)
{
	char *buf;
	long n;

	*out_owned = NULL;
	if (i->link) {
		*out = i->link;
		return 0;
	}
	if (!i->ops->readlink)
		return -LINUX_EINVAL;
	buf = malloc(PATH_MAX_BYTES);
	if (!buf)
		return -LINUX_ENOMEM;
	n = i->ops->readlink(i, buf, PATH_MAX_BYTES);
	if (n < 0) {
		free(buf);
		return n;
	}
	buf[MIN(n, (long)PATH_MAX_BYTES - 1)] = 0;
	*out = *out_owned = buf;
	return 0;
}

long nd_follow(struct nd *nd, struct path *link)
{
	struct inode *i = link->dentry->inode;
	const char *text;
	char *owned = NULL, *buf;
	size_t a, b;
	bool slash;
	long ret;

	nd_ahead_drop(nd);
	nd->fresh = false;
	if (nd->walk & WALK_NO_SYMLINKS || ++nd->nr_links > MAXSYMLINKS || link->mnt->flags & LINUX_MS_NOSYMFOLLOW) {
		ret = -LINUX_ELOOP;
		goto out;
	}
	if (i->ops->get_link) {
		ret = nd_magic(nd, i);
		goto out;
	}
	ret = link_text(i, &owned, &text);
	if (ret)
		goto out;
	a = strlen(text);
	b = strlen(nd->p);
	slash = b || nd->trailing;
	ret = -LINUX_ENOENT;
	if (a == 0)
		goto out;
	ret = -LINUX_ENOMEM;
	buf = malloc(a + b + 2);
	if (!buf)
		goto out;
	memcpy(buf, text, a);
	if (slash)
		buf[a++] = '/';
	memcpy(buf + a, nd->p, b + 1);
	free(nd->buf);
	nd->buf = buf;
	nd->p = buf;
	ret = 0;
	if (*buf == '/') {
		struct path r = nd->root;

		ret = nd->walk & WALK_BENEATH || (nd->walk & WALK_NO_XDEV && nd->root.mnt != nd->cur.mnt) ? -LINUX_EXDEV : 0;
		path_get(&r);
		path_set(&nd->cur, r);
	}
out:
	free(owned);
	path_put(link);
	return ret;
}

static long nd_may_search(struct nd *nd)
{
	struct inode *i = nd->cur.dentry->inode;

	if (!i || !LINUX_S_ISDIR(i->mode))
		return -LINUX_ENOTDIR;
	return may_search_quick(i) ? 0 : vfs_permission(i, LINUX_MAY_EXEC, nd->ctx->cred);
}

/* The child of nd->cur with mounts crossed; negative: *out.dentry->inode == NULL. References are the caller's. */
static long nd_child(struct nd *nd, const char *name, uint32_t len, struct path *out)
{
	long ret = nd_lookup(nd, name, len, &out->dentry);

	if (ret)
		return ret;
	out->mnt = mnt_get(nd->cur.mnt);
	follow_mounts(out);
	nd->fresh &= out->mnt == nd->cur.mnt;
	if (out->mnt != nd->cur.mnt && nd->walk & WALK_NO_XDEV) {
		path_put(out);
		return -LINUX_EXDEV;
	}
	return 0;
}

static long nd_step(struct nd *nd, const char *name, uint32_t len)
{
	struct path child;
	long ret;

	if (name_is_dot(name, len))
		return 0;
	if (name_is_dotdot(name, len))
		return nd_dotdot(nd);
	ret = nd_child(nd, name, len, &child);
	if (ret)
		return ret;
	if (!d_is_positive(child.dentry)) {
		path_put(&child);
		return -LINUX_ENOENT;
	}
	if (LINUX_S_ISLNK(child.dentry->inode->mode)) {
		nd->trailing = true;	/* something follows: the link's end must be a directory */
		return nd_follow(nd, &child);
	}
	path_set(&nd->cur, child);
	return 0;
}

long nd_walk(struct nd *nd)
{
	nd->trailing = false;
	for (;;) {
		const char *name, *rest;
		uint32_t len;
		long ret;

		while (*nd->p == '/') {
			nd->p++;
			nd->trailing = true;
		}
		if (!*nd->p) {
			nd->type = LAST_SELF;
			return 0;
		}
		ret = nd_may_search(nd);
		if (ret)
			return ret;
		name = next_component(nd->p, &len, &rest);
		if (len > NAME_MAX_BYTES)
			return -LINUX_ENAMETOOLONG;
		nd->p = rest;
		if (!*rest) {
			nd->last = name;
			nd->last_len = len;
			nd->trailing = rest[-1] == '/';
			nd->type = name_is_dot(name, len) ? LAST_DOT : name_is_dotdot(name, len) ? LAST_DOTDOT : LAST_NORM;
			return 0;
		}
		ret = nd_step(nd, name, len);
		if (ret)
			return ret;
		nd->trailing = false;
	}
}

static long nd_check_dir(struct nd *nd)
{
	struct inode *i = nd->cur.dentry->inode;

	if (!i)
		return -LINUX_ENOENT;
	return (nd->trailing || nd->walk & WALK_DIRECTORY) && !LINUX_S_ISDIR(i->mode) ? -LINUX_ENOTDIR : 0;
}

long nd_last(struct nd *nd)
{
	struct path child;
	long ret;

	if (nd->type == LAST_SELF || nd->type == LAST_DOT)
		return nd_check_dir(nd);
	if (nd->type == LAST_DOTDOT) {
		ret = nd_dotdot(nd);
		return ret ? ret : nd_check_dir(nd);
	}
	ret = nd_child(nd, nd->last, nd->last_len, &child);
	if (ret)
		return ret;
	if (d_is_positive(child.dentry) && LINUX_S_ISLNK(child.dentry->inode->mode) && (nd->walk & WALK_FOLLOW || nd->trailing)) {
		ret = nd_follow(nd, &child);
		return ret ? ret : 1;
	}
	path_set(&nd->cur, child);
	return nd_check_dir(nd);
}

/* *out_fresh: the attributes came with it. */
static long lookup_slow(const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t walk, struct path *out, bool *out_fresh)
{
	struct nd nd;
	long ret = nd_init(&nd, ctx, dirfd, path, walk);

	do {
		if (ret >= 0)
			ret = nd_walk(&nd);
		if (ret == 0)
			ret = nd_last(&nd);
	} while (ret == 1);
	if (ret == 0) {
		*out = nd.cur;
		*out_fresh = nd.fresh;
		nd.cur = (struct path){ 0 };
	}
	nd_fini(&nd);
	return ret;
}

long vfs_lookup(const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t walk, struct path *out)
{
	long ret = walk_rcu(ctx, dirfd, path, walk, out, NULL);
	bool fresh;

	if (likely(ret != -LINUX_EAGAIN))
		return ret;
	if (walk & WALK_CACHED)
		return -LINUX_EAGAIN;
	return lookup_slow(ctx, dirfd, path, walk, out, &fresh);
}

long vfs_stat(const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t walk, struct kstat *out)
{
	struct path p;
	long ret = walk_rcu(ctx, dirfd, path, walk, NULL, out);
	bool fresh = false;

	if (likely(ret != -LINUX_EAGAIN))
		return ret;
	ret = walk_rcu(ctx, dirfd, path, walk, &p, NULL);
	if (ret == -LINUX_EAGAIN)
		ret = lookup_slow(ctx, dirfd, path, walk, &p, &fresh);
	if (ret)
		return ret;
	if (fresh) {
		fill_kstat(p.dentry->inode, out);
		out->mnt_id = p.mnt->id;
	} else {
		ret = vfs_getattr(&p, out);
	}
	path_put(&p);
	return ret;
}

long nd_parent(struct nd *nd, const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t walk)
{
	long ret = nd_init(nd, ctx, dirfd, path, walk);

	if (ret == 0)
		ret = nd_walk(nd);
	if (ret == 0 && (!nd->cur.dentry->inode || !LINUX_S_ISDIR(nd->cur.dentry->inode->mode)))
		ret = -LINUX_ENOTDIR;
	if (ret)
		nd_fini(nd);
	return ret;
}
