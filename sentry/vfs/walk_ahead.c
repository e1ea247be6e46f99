/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/walk_ahead.c - trees that others change: a whole path in one question, and names not looked at first
 *
 * Model:   where each name must be asked about again (inode_ops.d_revalidate), the first step of a walk asks about all that
 *          follow, up to a ".." or the end, and the steps take their answers one after another. Permissions, links and mounts are
 *          seen to at each step as ever; a step that leads elsewhere throws the other answers away. An answer that
 *          does not agree with what is cached counts for nothing: the name is asked about by itself then, since somebody
 *          may have changed it here meanwhile.
 *          What the file system finds out by itself when it makes or removes a name (inode_ops.unseen) is not asked at all.
 * Locks:   none while asking; the directory's i_lock while an answer makes a dentry.
 */
#include "sentry/vfs/internal.h"

void nd_ahead_drop(struct nd *nd)
{
	if (nd->ahead)
		nd->ahead->ops->end(nd->ahead);
	nd->ahead = NULL;
}

/* @name and what follows it in the path. Return: they reach to its end */
static bool collect(const struct nd *nd, const char *name, uint32_t len, struct walk_names *out)
{
	const char *p = nd->p, *rest;

	out->v[0].p = name;
	out->v[0].len = len;
	for (out->n = 1; *p; p = rest) {
		while (*p == '/')
			p++;
		if (!*p)
			break;
		name = next_component(p, &len, &rest);
		if (name_is_dot(name, len))
			continue;
		if (name_is_dotdot(name, len) || len > NAME_MAX_BYTES || out->n == WALK_AHEAD_MAX ||
		    (!*rest && nd->walk & WALK_PARENT))
			return false;
		out->v[out->n].p = name;
		out->v[out->n++].len = len;
	}
	return true;
}

/* The answers of which the next one is about @name in nd->cur; NULL: there are none. */
static struct walk_ahead *ahead_for(struct nd *nd, const char *name, uint32_t len)
{
	struct dentry *dir = nd->cur.dentry;
	struct walk_names names;
	bool whole;

	if (nd->ahead && nd->ahead->at < nd->ahead->n && nd->ahead->dir == dir)
		return nd->ahead;
	nd_ahead_drop(nd);
	whole = collect(nd, name, len, &names);
	nd->ahead = dir->inode->ops->ahead->ask(dir->inode, &names, whole && nd->walk & WALK_READ);
	if (nd->ahead) {
		nd->ahead->at = 0;
		nd->ahead->dir = dir;
	}
	return nd->ahead;
}

static long lookup_answered_locked(struct dentry *dir, const char *name, uint32_t len, struct walk_ahead *a, unsigned k,
				   struct dentry **out)
{
	struct dentry *d = d_lookup_cached(dir, name, len);
	long ret = 0;

	if (!d) {
		if (atomic_load(&dir->flags) & DENTRY_DELETED)
			return -LINUX_ENOENT;
		d = d_alloc(dir, name, len);
		if (!d)
			return -LINUX_ENOMEM;
		if (a)
			ret = a->ops->lookup(a, k, dir->inode, d);
		if (ret) {
			d_put(d);
			return ret;
		}
		d_hash(d);
	}
	*out = d;
	return 0;
}

long lookup_unseen_locked(struct dentry *dir, const char *name, size_t len, struct dentry **out)
{
	return lookup_answered_locked(dir, name, (uint32_t)len, NULL, 0, out);
}

long nd_lookup(struct nd *nd, const char *name, uint32_t len, struct dentry **out)
{
	struct dentry *dir = nd->cur.dentry, *d;
	struct walk_ahead *a;
	unsigned k;
	long ret = 0;

	nd->fresh = false;
	if (!dir->inode || likely(!dir->inode->ops->ahead))
		return lookup_one(dir, name, len, out);
	a = ahead_for(nd, name, len);
	if (!a)
		return lookup_one(dir, name, len, out);
	k = a->at++;
	d = d_lookup_cached(dir, name, len);
	if (d && !a->ops->same(a, k, d)) {
		d_put(d);
		nd_ahead_drop(nd);
		return lookup_one(dir, name, len, out);
	}
	if (!d) {
		sleep_lock(&dir->inode->i_lock);
		ret = lookup_answered_locked(dir, name, len, a, k, &d);
		sleep_unlock(&dir->inode->i_lock);
	}
	if (ret)
		return ret;
	a->dir = d;
	nd->fresh = true;
	*out = d;
	return 0;
}

/* ---- names not looked at ---- */

bool may_create_unseen(const struct nd *nd)
{
	struct inode *dir = nd->cur.dentry->inode;
	struct dentry *d;
	bool ok;

	/* a reason not to make it yields to "it exists", which only a look can tell */
	if (!dir->ops->unseen || may_create(dir, nd->ctx->cred) || mnt_want_write(nd->cur.mnt))
		return false;
	mnt_drop_write(nd->cur.mnt);
	d = d_lookup_cached(nd->cur.dentry, nd->last, nd->last_len);
	ok = !d || !d_is_positive(d);
	d_put(d);
	return ok;
}

bool may_remove_unseen(const struct nd *nd, bool isdir)
{
	struct inode *dir = nd->cur.dentry->inode, *i;
	struct dentry *d;
	bool ok = true;

	/* Whose it is matters in a sticky directory, what it is when slashes follow or somebody watches it, and a name that is
	 * not there goes before a directory that may not be written. */
	if (!dir->ops->unseen || atomic_load(&fsnotify_nr_marks) || dir->mode & LINUX_S_ISVTX || nd->trailing || may_create(dir, nd->ctx->cred))
		return false;
	d = d_lookup_cached(nd->cur.dentry, nd->last, nd->last_len);
	i = d ? rcu_load(d->inode) : NULL;
	if (i)
		ok = LINUX_S_ISDIR(i->mode) == isdir;
	d_put(d);
	return ok;
}
