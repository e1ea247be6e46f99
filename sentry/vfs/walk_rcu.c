/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/walk_rcu.c - path walk on what is cached: no lock, no reference on the way, no allocation
 *
 * Model:   reads dentries and mounts under rcu_read_lock(), and believes what it saw only if neither a name nor a mount moved
 *          meanwhile (rename_seq, mount_seq). Anything that needs a file system's help, a lock, or an error other than ENOENT
 *          from a cached negative name ends in -LINUX_EAGAIN, and the caller walks the slow way (walk.c) from the start.
 * Source:  path_resolution(7), symlink(7).
 */
#include "sentry/vfs/internal.h"

#define LINK_BUF 512	/* link text plus rest of the path; longer goes the slow way */

struct rwalk {
	struct path root, cur;	/* no references */
	const char *p;
	unsigned nr_links, which;
	char buf[2][LINK_BUF];
};

static struct path fs_peek(struct fs_struct *fs, const struct path *which)
{
	struct path p;

	/* The only user of the structure is the caller itself: nobody else may write. */
	if (likely(atomic_load_explicit(&fs->ref.n, memory_order_relaxed) == 1))
		return *which;
	mutex_lock(&fs->mu);
	p = *which;
	mutex_unlock(&fs->mu);
	return p;
}

static bool rcu_dotdot(struct rwalk *w)
{
	for (;;) {
		struct mount *m = w->cur.mnt;

		if (path_eq(&w->cur, &w->root))
			return true;
		if (w->cur.dentry != m->root) {
			if (m->root != m->sb->root)
				return false;	/* part of a file system: must be checked for escapes */
			w->cur.dentry = rcu_load(w->cur.dentry->parent);
			break;
		}
		if (!rcu_load(m->parent))
			return true;
		w->cur.dentry = rcu_load(m->mountpoint);
		w->cur.mnt = rcu_load(m->parent);
		if (!w->cur.dentry || !w->cur.mnt)
			return false;
	}
	return true;
}

static bool rcu_cross(struct rwalk *w)
{
	while (unlikely(atomic_load_explicit(&w->cur.dentry->nr_mounts, memory_order_relaxed))) {
		struct mount *m = mnt_lookup(w->cur.mnt, w->cur.dentry);

		if (!m)
			break;
		w->cur.mnt = m;
		w->cur.dentry = m->root;
	}
	return true;
}

/* Puts the text of link @i before what is left. */
static bool rcu_link(struct rwalk *w, const struct inode *i, const char *rest)
{
	const char *text = rcu_load(i->link);
	char *buf = w->buf[w->which];
	size_t a, b;

	if (!text || ++w->nr_links > MAXSYMLINKS || w->cur.mnt->flags & LINUX_MS_NOSYMFOLLOW)
		return false;
	a = strlen(text);
	b = strlen(rest);
	if (a == 0 || a + b + 2 > LINK_BUF)
		return false;
	memcpy(buf, text, a);
	if (b || rest[-1] == '/')
		buf[a++] = '/';
	memcpy(buf + a, rest, b + 1);
	w->which ^= 1;
	w->p = buf;
	if (*text == '/') {
		w->cur = w->root;
		while (*w->p == '/')
			w->p++;
	}
	return true;
}

/* 0: w->cur is the end of the walk. */
static long rcu_components(struct rwalk *w, const struct cred *c, uint32_t walk)
{
	while (*w->p) {
		struct dentry *parent = w->cur.dentry, *d;
		const struct inode *dir = rcu_load(parent->inode), *i;
		const char *name, *rest;
		struct mount *mnt = w->cur.mnt;
		uint32_t len;

		if (unlikely(!dir || !LINUX_S_ISDIR(dir->mode) || dir->ops->d_revalidate))
			return -LINUX_EAGAIN;
		if (unlikely(!may_search_quick(dir)) && permission_rcu(dir, LINUX_MAY_EXEC, c) != 1)
			return -LINUX_EAGAIN;
		name = next_component(w->p, &len, &rest);
		if (unlikely(name[0] == '.' && len <= 2 && (len == 1 || name[1] == '.'))) {
			if (len == 2 && (!rcu_dotdot(w) || !rcu_cross(w)))
				return -LINUX_EAGAIN;
			w->p = rest;
			continue;
		}
		if (unlikely(len > NAME_MAX_BYTES))
			return -LINUX_EAGAIN;
		d = d_lookup_rcu(parent, name_hash(parent, name, len), name, len);
		if (unlikely(!d))
			return -LINUX_EAGAIN;
		w->cur.dentry = d;
		rcu_cross(w);
		i = rcu_load(w->cur.dentry->inode);
		if (unlikely(!i))
			return walk & WALK_CREATE && !*rest ? -LINUX_EAGAIN : -LINUX_ENOENT;
		if (unlikely(LINUX_S_ISLNK(i->mode)) && (*rest || rest[-1] == '/' || walk & WALK_FOLLOW)) {
			w->cur = (struct path){ mnt, parent };
			if (walk & WALK_NO_SYMLINKS || !rcu_link(w, i, rest))
				return -LINUX_EAGAIN;
			continue;
		}
		if (unlikely((rest[-1] == '/') && !*rest && !LINUX_S_ISDIR(i->mode)))
			return -LINUX_EAGAIN;
		w->p = rest;
	}
	return 0;
}

static long rcu_start(struct rwalk *w, const struct vfs_ctx *ctx, int dirfd, const char *path, struct file *f)
{
	w->root = fs_peek(ctx->fs, &ctx->fs->root);
	w->nr_links = w->which = 0;
	w->p = path;
	if (*path == '/') {
		w->cur = w->root;
		while (*w->p == '/')
			w->p++;
		/* The root directory itself may have something mounted on it since. */
		return 0;
	}
	w->cur = dirfd == LINUX_AT_FDCWD ? fs_peek(ctx->fs, &ctx->fs->pwd) : f->path;
	return *path && w->cur.dentry && w->cur.mnt ? 0 : -LINUX_EAGAIN;
}

/* Turns what was seen into references, if it still holds. */
static bool rcu_legitimize(struct rwalk *w, uint32_t rseq, uint32_t mseq)
{
	if (!ref_get_unless_zero(&w->cur.mnt->ref))
		return false;
	if (ref_get_unless_zero(&w->cur.dentry->ref)) {
		if (!seq_changed(&rename_seq, rseq) && !seq_changed(&mount_seq, mseq))
			return true;
		rcu_read_unlock();
		d_put(w->cur.dentry);
		rcu_read_lock();
	}
	rcu_read_unlock();
	mnt_put(w->cur.mnt);
	rcu_read_lock();
	return false;
}

long walk_rcu(const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t walk, struct path *out, struct kstat *st)
{
	UNINIT struct rwalk w;
	struct file *f = NULL;
	bool need_put = false;
	uint32_t rseq, mseq;
	long ret;

	if (walk & (WALK_NO_XDEV | WALK_BENEATH | WALK_IN_ROOT | WALK_REVAL))
		return -LINUX_EAGAIN;
	if (*path != '/' && dirfd != LINUX_AT_FDCWD) {
		f = ctx->fds ? fdget_raw(ctx->fds, dirfd, &need_put) : NULL;
		if (!f)
			return -LINUX_EAGAIN;
	}
	rcu_read_lock();
	rseq = seq_read(&rename_seq);
	mseq = seq_read(&mount_seq);
	ret = (rseq | mseq) & 1 ? -LINUX_EAGAIN : rcu_start(&w, ctx, dirfd, path, f);
	if (ret == 0)
		ret = rcu_components(&w, ctx->cred, walk);
	if (ret == 0) {
		const struct inode *i = rcu_load(w.cur.dentry->inode);

		if (!i || (walk & WALK_DIRECTORY && !LINUX_S_ISDIR(i->mode))) {
			ret = -LINUX_EAGAIN;
		} else if (st) {
			if (i->ops->getattr) {
				ret = -LINUX_EAGAIN;
			} else {
				fill_kstat(i, st);
				st->mnt_id = w.cur.mnt->id;
			}
		} else if (rcu_legitimize(&w, rseq, mseq)) {
			*out = w.cur;
		} else {
			ret = -LINUX_EAGAIN;
		}
	}
	if ((st || ret == -LINUX_ENOENT) && (seq_changed(&rename_seq, rseq) || seq_changed(&mount_seq, mseq)))
		ret = -LINUX_EAGAIN;
	rcu_read_unlock();
	if (f)
		fdput(f, need_put);
	return ret;
}
