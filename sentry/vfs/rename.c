/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/rename.c - rename(2), renameat2(2)
 *
 * Locks:   super_block.rename_lock when two directories are involved (the tree above them stands still), then both i_locks:
 *          an ancestor before its descendant, else by address; then the i_locks of the files, by address.
 * Source:  rename(2).
 */
#include "sentry/vfs/internal.h"

struct rename_args {
	struct nd from, to;
	struct dentry *od, *nd;
	uint32_t flags;
	uint32_t cookie;
};

static void lock_dirs(struct dentry *a, struct dentry *b)
{
	struct inode *first = a->inode, *second = b->inode;

	if (a == b) {
		sleep_lock(&first->i_lock);
		return;
	}
	sleep_lock(&a->sb->rename_lock);
	if (d_is_ancestor(b, a) || (!d_is_ancestor(a, b) && first > second)) {
		first = b->inode;
		second = a->inode;
	}
	sleep_lock(&first->i_lock);
	if (first != second)
		sleep_lock(&second->i_lock);
}

static void unlock_dirs(struct dentry *a, struct dentry *b)
{
	sleep_unlock(&a->inode->i_lock);
	if (a == b)
		return;
	if (a->inode != b->inode)
		sleep_unlock(&b->inode->i_lock);
	sleep_unlock(&a->sb->rename_lock);
}

static long rename_types_ok(const struct rename_args *r)
{
	struct inode *o = r->od->inode, *n = r->nd->inode;
	bool odir = o && LINUX_S_ISDIR(o->mode);

	if (!odir) {
		if (r->from.trailing || (!(r->flags & LINUX_RENAME_EXCHANGE) && r->to.trailing))
			return -LINUX_ENOTDIR;
	}
	if (r->flags & LINUX_RENAME_EXCHANGE && n && !LINUX_S_ISDIR(n->mode) && r->to.trailing)
		return -LINUX_ENOTDIR;
	return 0;
}

static long rename_rights(const struct rename_args *r, const struct cred *c)
{
	struct dentry *op = r->from.cur.dentry, *np = r->to.cur.dentry;
	struct inode *o = r->od->inode, *n = r->nd->inode;
	bool odir = LINUX_S_ISDIR(o->mode);
	long ret = may_delete(op->inode, r->od, odir, c);

	if (ret)
		return ret;
	if (!n)
		ret = may_create(np->inode, c);
	else if (r->flags & LINUX_RENAME_EXCHANGE)
		ret = may_delete(np->inode, r->nd, LINUX_S_ISDIR(n->mode), c);
	else
		ret = may_delete(np->inode, r->nd, odir, c);
	if (ret)
		return ret;
	/* A directory that moves gets another "..": that is a write to it. */
	if (op != np) {
		if (odir)
			ret = vfs_permission(o, LINUX_MAY_WRITE, c);
		if (!ret && r->flags & LINUX_RENAME_EXCHANGE && n && LINUX_S_ISDIR(n->mode))
			ret = vfs_permission(n, LINUX_MAY_WRITE, c);
	}
	return ret;
}

static void rename_tell(struct rename_args *r, struct inode *gone)
{
	struct inode *od = r->from.cur.dentry->inode, *nd = r->to.cur.dentry->inode, *i = r->od->inode;
	uint32_t isdir = LINUX_S_ISDIR(i->mode) ? LINUX_IN_ISDIR : 0;
	char name[NAME_MAX_BYTES + 1];

	if (likely(!atomic_load(&fsnotify_nr_marks)))
		return;
	memcpy(name, r->from.last, r->from.last_len);
	name[r->from.last_len] = 0;
	fsnotify(od, NULL, name, LINUX_IN_MOVED_FROM | isdir, r->cookie);
	memcpy(name, r->to.last, r->to.last_len);
	name[r->to.last_len] = 0;
	fsnotify(nd, NULL, name, LINUX_IN_MOVED_TO | isdir, r->cookie);
	fsnotify(NULL, i, NULL, LINUX_IN_MOVE_SELF, 0);
	if (gone) {
		fsnotify(NULL, gone, NULL, LINUX_IN_ATTRIB, 0);
		if (gone->nlink == 0)
			fsnotify(NULL, gone, NULL, LINUX_IN_DELETE_SELF, 0);
	}
}

static long rename_do(struct rename_args *r)
{
	struct dentry *op = r->from.cur.dentry, *np = r->to.cur.dentry;
	struct inode *o = r->od->inode, *n = r->nd->inode, *a, *b;
	long ret;

	if (o == n && !(r->flags & LINUX_RENAME_EXCHANGE))
		return 0;	/* two names of one file: nothing is done */
	if (atomic_load(&r->od->nr_mounts) || atomic_load(&r->nd->nr_mounts))
		return -LINUX_EBUSY;
	if (!op->inode->ops->rename)
		return -LINUX_EPERM;
	inode_get(o);
	if (n)
		inode_get(n);
	/* Files by address. Directories are locked only when they go away. */
	a = LINUX_S_ISDIR(o->mode) ? NULL : o;
	b = n && (!LINUX_S_ISDIR(n->mode) || !(r->flags & LINUX_RENAME_EXCHANGE)) ? n : NULL;
	if (a > b) {
		struct inode *t = a;
		a = b;
		b = t;
	}
	if (a)
		sleep_lock(&a->i_lock);
	if (b && b != a)
		sleep_lock(&b->i_lock);
	ret = op->inode->ops->rename(op->inode, r->od, np->inode, r->nd, r->flags);
	if (b && b != a)
		sleep_unlock(&b->i_lock);
	if (a)
		sleep_unlock(&a->i_lock);
	if (ret == 0) {
		if (r->flags & LINUX_RENAME_EXCHANGE) {
			d_exchange(r->od, r->nd);
		} else {
			struct dname *to = r->nd->dname;

			d_delete(r->nd);	/* @r holds it: its name stays ours to read */
			d_move(r->od, np, to);
		}
		rename_tell(r, r->flags & LINUX_RENAME_EXCHANGE ? NULL : n);
	}
	inode_put(o);
	inode_put(n);
	return ret;
}

static long rename_locked(struct rename_args *r, const struct cred *c)
{
	struct dentry *op = r->from.cur.dentry, *np = r->to.cur.dentry;
	long ret = lookup_one_locked(op, r->from.last, r->from.last_len, &r->od);

	if (ret)
		return ret;
	ret = lookup_one_locked(np, r->to.last, r->to.last_len, &r->nd);
	if (ret) {
		d_put(r->od);
		return ret;
	}
	if (!r->od->inode)
		ret = -LINUX_ENOENT;
	else if (r->flags & LINUX_RENAME_NOREPLACE && r->nd->inode)
		ret = -LINUX_EEXIST;
	else if (r->flags & LINUX_RENAME_EXCHANGE && !r->nd->inode)
		ret = -LINUX_ENOENT;
	else
		ret = rename_types_ok(r);
	/* A directory cannot go below itself, nor replace one that it is in. */
	if (!ret && d_is_ancestor(r->od, np))
		ret = -LINUX_EINVAL;
	if (!ret && d_is_ancestor(r->nd, op))
		ret = r->flags & LINUX_RENAME_EXCHANGE ? -LINUX_EINVAL : -LINUX_ENOTEMPTY;
	if (!ret)
		ret = rename_rights(r, c);
	if (!ret)
		ret = rename_do(r);
	d_put(r->od);
	d_put(r->nd);
	return ret;
}

static void revalidate(struct nd *nd)
{
	struct dentry *d;

	if (nd->cur.dentry->inode->ops->d_revalidate && nd_lookup(nd, nd->last, nd->last_len, &d) == 0)
		d_put(d);
}

long vfs_rename(const struct vfs_ctx *ctx, int olddirfd, const char *old, int newdirfd, const char *new_, uint32_t flags)
{
	static _Atomic uint32_t next_cookie = 1;
	struct rename_args r = { .flags = flags };
	long ret;

	if (flags & ~(LINUX_RENAME_NOREPLACE | LINUX_RENAME_EXCHANGE | LINUX_RENAME_WHITEOUT) ||
	    (flags & LINUX_RENAME_EXCHANGE && flags & (LINUX_RENAME_NOREPLACE | LINUX_RENAME_WHITEOUT)))
		return -LINUX_EINVAL;
	ret = nd_parent(&r.from, ctx, olddirfd, old, 0);
	if (ret)
		return ret;
	ret = nd_parent(&r.to, ctx, newdirfd, new_, 0);
	if (ret)
		goto out_from;
	ret = -LINUX_EXDEV;
	if (r.from.cur.mnt != r.to.cur.mnt)
		goto out;
	ret = -LINUX_EBUSY;
	if (r.from.type != LAST_NORM)
		goto out;
	if (r.to.type != LAST_NORM) {
		ret = flags & LINUX_RENAME_NOREPLACE ? -LINUX_EEXIST : -LINUX_EBUSY;
		goto out;
	}
	r.cookie = atomic_fetch_add(&next_cookie, 1);
	revalidate(&r.from);
	revalidate(&r.to);
	ret = mnt_want_write(r.from.cur.mnt);
	if (ret)
		goto out;
	lock_dirs(r.from.cur.dentry, r.to.cur.dentry);
	ret = rename_locked(&r, ctx->cred);
	unlock_dirs(r.from.cur.dentry, r.to.cur.dentry);
	mnt_drop_write(r.from.cur.mnt);
out:
	nd_fini(&r.to);
out_from:
	nd_fini(&r.from);
	return ret;
}
