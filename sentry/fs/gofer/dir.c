/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/gofer/dir.c - directories: lookup, making and removing names
 *
 * Model:   exclusive: lookup reads the cached directory (dircache.c), changes go to the gofer and then into it.
 *          Shared: lookup and revalidation are a walk with attributes each.
 * Locks:   VFS holds the i_lock of the directories concerned.
 */
#include <string.h>

#include "base/hostcall.h"
#include "sentry/fs/gofer/gofer_internal.h"

/* ---- lookup ------------------------------------------------------------------------------------------- */

static long stat_name(struct inode *dir, const char *name, struct p9x_stat *out)
{
	uint32_t fid;
	long ret = ginode_fid(dir, &fid);

	return ret ? ret : p9_walk(client_of(dir), fid, &name, 1, NULL, out, NULL);
}

/* From the cached directory. Where things change through us, its attributes may be older than an inode that
 * was made of them and forgotten again: then they are asked for once more. */
static long lookup_cached(struct inode *dir, struct dentry *d)
{
	struct gent *e = gdir_find(ginode_of(dir)->dir, d->name, d->name_len);
	struct inode *i;
	long ret = 0;

	if (!e)
		return 0; /* known to be absent */
	i = ginode_find(dir->sb, &e->st);
	if (!i) {
		if ((e->handed || e->st.nlink > 1) && !gsb_of(dir->sb)->readonly)
			ret = stat_name(dir, d->name, &e->st);
		if (!ret)
			ret = ginode_get(dir->sb, &e->st, dir, d->name, e->target, &i);
		if (ret)
			return ret;
	}
	e->handed = true;
	d_instantiate(d, i);
	return 0;
}

static long gofer_lookup(struct inode *dir, struct dentry *d)
{
	struct p9x_stat st;
	struct inode *i;
	long ret;

	if (gsb_of(dir->sb)->exclusive) {
		ret = gdir_load(dir);
		if (ret)
			return ret;
		if (!ginode_of(dir)->dir->too_big)
			return lookup_cached(dir, d);
	}
	ret = stat_name(dir, d->name, &st);
	if (ret)
		return ret == -LINUX_ENOENT ? 0 : ret;
	ret = ginode_get(dir->sb, &st, dir, d->name, NULL, &i);
	if (!ret)
		d_instantiate(d, i);
	return ret;
}

/* The parent and the name, held still: a rename may move both meanwhile. */
static struct inode *parent_of(struct dentry *d, char name[NAME_MAX_BYTES + 1])
{
	struct dentry *p;
	struct inode *dir = NULL;

	rcu_read_lock();
	p = rcu_load(d->parent);
	if (!ref_get_unless_zero(&p->ref))
		p = NULL;
	rcu_read_unlock();
	if (!p)
		return NULL;
	mutex_lock(&p->mu);
	if (d->parent == p && p->inode && d->name_len <= NAME_MAX_BYTES) {
		memcpy(name, d->name, d->name_len + 1);
		dir = inode_get(p->inode);
	}
	mutex_unlock(&p->mu);
	d_put(p);
	return dir;
}

static bool gofer_revalidate(struct dentry *d)
{
	char name[NAME_MAX_BYTES + 1];
	struct inode *dir = parent_of(d, name);
	struct p9x_stat st;
	bool ok = false;
	long ret;

	if (!dir)
		return false;
	ret = stat_name(dir, name, &st);
	if (!d->inode) {
		ok = ret == -LINUX_ENOENT;
	} else if (!ret && ginode_is(d->inode, &st)) {
		ginode_seen(d->inode, &st, dir, name);
		ok = true;
	}
	inode_put(dir);
	return ok;
}

/* ---- making ------------------------------------------------------------------------------------------- */

static void new_owner(const struct inode *dir, uint32_t mode, const struct cred *c, struct p9_new *n)
{
	*n = (struct p9_new){ .mode = mode, .uid = c->fsuid, .gid = c->fsgid };
	if (dir->mode & LINUX_S_ISGID) {
		n->gid = dir->gid;
		if (LINUX_S_ISDIR(mode))
			n->mode |= LINUX_S_ISGID;
	}
}

/* A name was made: the directory knows it from now on. */
static void name_added(struct inode *dir, const char *name, const struct p9x_stat *st, const char *target)
{
	struct gdir *d = ginode_of(dir)->dir;

	if (d && !d->too_big && gdir_add(d, name, strlen(name), st, target, target ? strlen(target) : 0)) {
		gdir_free(d); /* no memory to remember it: ask again next time */
		ginode_of(dir)->dir = NULL;
	}
	inode_touch(dir, false, true, true);
}

static void name_removed(struct inode *dir, const char *name)
{
	struct gdir *d = ginode_of(dir)->dir;

	if (d && !d->too_big)
		gdir_remove(d, name);
	inode_touch(dir, false, true, true);
}

static long gofer_make(struct inode *dir, struct dentry *d, struct p9_new *n)
{
	struct p9x_stat st;
	struct inode *i;
	uint32_t fid;
	long ret = ginode_fid(dir, &fid);

	if (!ret)
		ret = p9_make(client_of(dir), fid, d->name, n, &st);
	if (ret)
		return ret;
	name_added(dir, d->name, &st, n->target);
	if (LINUX_S_ISDIR(n->mode))
		inode_inc_nlink(dir);
	ret = ginode_get(dir->sb, &st, dir, d->name, n->target, &i);
	if (!ret)
		d_instantiate(d, i);
	return ret;
}

static long gofer_mkdir(struct inode *dir, struct dentry *d, uint32_t mode, const struct cred *c)
{
	struct p9_new n;

	new_owner(dir, LINUX_S_IFDIR | (mode & 07777), c, &n);
	return gofer_make(dir, d, &n);
}

static long gofer_mknod(struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev, const struct cred *c)
{
	struct p9_new n;

	new_owner(dir, mode, c, &n);
	n.major = LINUX_MAJOR(rdev);
	n.minor = LINUX_MINOR(rdev);
	return gofer_make(dir, d, &n);
}

static long gofer_symlink(struct inode *dir, struct dentry *d, const char *target, const struct cred *c)
{
	struct p9_new n;

	new_owner(dir, LINUX_S_IFLNK | 0777, c, &n);
	n.target = target;
	return gofer_make(dir, d, &n);
}

/* The new file comes open for reading and writing, which the open that follows will want. */
static long make_file(struct inode *dir, const char *name, uint32_t mode, const struct cred *c, struct p9x_stat *st,
		      struct inode **out)
{
	struct p9_opened o;
	struct p9_new n;
	uint32_t dfid, fid;
	struct ginode *g;
	long ret;

	link_reap(gsb_of(dir->sb)->link);
	ret = ginode_fid(dir, &dfid);
	if (ret)
		return ret;
	new_owner(dir, LINUX_S_IFREG | (mode & 07777), c, &n);
	ret = p9_create(client_of(dir), dfid, name, 2 | P9_O_EXCL, &n, P9X_FD, &fid, &o);
	if (ret)
		return ret;
	*st = o.st;
	ret = ginode_get(dir->sb, &o.st, name ? dir : NULL, name ? name : "", NULL, out);
	if (ret) {
		p9_clunk(client_of(dir), fid);
		if (o.fd >= 0)
			host_call(close, o.fd);
		link_forget_fid(gsb_of(dir->sb)->link, o.fid);
		return ret;
	}
	g = ginode_of(*out);
	ginode_set_fid(*out, fid);
	if (o.fd >= 0) {
		atomic_store(&g->rw_fd, o.fd);
		if (gsb_of(dir->sb)->exclusive)
			atomic_fetch_add(&gsb_of(dir->sb)->link->nr_idle_fds, 1);
	}
	if (o.fid != P9_NOFID) {
		g->io_fid_rw = true;
		atomic_store(&g->io_fid, o.fid);
	}
	return 0;
}

static long gofer_create(struct inode *dir, struct dentry *d, uint32_t mode, const struct cred *c)
{
	struct p9x_stat st;
	struct inode *i;
	long ret = make_file(dir, d->name, mode, c, &st, &i);

	if (ret)
		return ret;
	name_added(dir, d->name, &st, NULL);
	d_instantiate(d, i);
	return 0;
}

static long gofer_tmpfile(struct inode *dir, uint32_t mode, const struct cred *c, struct inode **out)
{
	struct p9x_stat st;

	return make_file(dir, NULL, mode, c, &st, out);
}

static long gofer_link(struct inode *dir, struct dentry *d, struct inode *target)
{
	struct p9x_stat st;
	uint32_t dfid, fid;
	long ret = ginode_fid(dir, &dfid);

	if (!ret)
		ret = ginode_fid(target, &fid);
	if (!ret)
		ret = p9_link(client_of(dir), dfid, fid, d->name);
	if (!ret)
		ret = p9_getattr(client_of(dir), fid, &st);
	if (ret)
		return ret;
	ginode_update(target, &st);
	if (!ginode_of(target)->parent) /* an unnamed file got a name */
		ginode_moved(target, dir, d->name);
	name_added(dir, d->name, &st, target->link);
	d_instantiate(d, inode_get(target));
	return 0;
}

/* ---- removing and moving ------------------------------------------------------------------------------------- */

#define VICTIM_REFS 2u /* of a name: the cache's and the caller's; of its inode: the name's and the caller's */

/* What is in use must stay reachable when its last name goes: a shared file also for fstat(2) by a descriptor that is not an
 * open one (O_PATH, a working directory), or through another name. */
static void hold(struct dentry *d)
{
	struct inode *i = d->inode;
	bool used;
	uint32_t fid;

	if (!i)
		return;
	if (gsb_of(i->sb)->exclusive)
		used = ginode_of(i)->opens || i->nlink > 1;
	else
		used = ginode_of(i)->opens || atomic_load(&d->ref.n) > VICTIM_REFS || atomic_load(&i->ref.n) > VICTIM_REFS;
	if (used)
		ginode_fid(i, &fid); /* if it cannot be had, the name goes all the same */
}

static void lost_name(struct inode *dir, struct inode *i)
{
	if (!i)
		return;
	inode_dec_nlink(i);
	if (LINUX_S_ISDIR(i->mode)) {
		i->nlink = 0;
		inode_dec_nlink(dir);
	}
	inode_touch(i, false, false, true);
}

static long remove_name(struct inode *dir, struct dentry *d, bool isdir)
{
	uint32_t fid;
	long ret;

	link_reap(gsb_of(dir->sb)->link);
	link_offer_drop(gsb_of(dir->sb)->link); /* it may be of this file, whose space is to be free again */
	ret = ginode_fid(dir, &fid);
	if (ret)
		return ret;
	hold(d);
	ret = p9_unlink(client_of(dir), fid, d->name, isdir);
	if (ret)
		return ret;
	name_removed(dir, d->name);
	lost_name(dir, d->inode);
	return 0;
}

static long gofer_unlink(struct inode *dir, struct dentry *d)
{
	return remove_name(dir, d, false);
}

static long gofer_rmdir(struct inode *dir, struct dentry *d)
{
	return remove_name(dir, d, true);
}

/* The cached directory takes an inode's current attributes for @name. */
static void name_now_is(struct inode *dir, const char *name, struct inode *i)
{
	struct p9x_stat st;
	uint32_t fid;

	if (!ginode_of(dir)->dir || ginode_of(dir)->dir->too_big) {
		inode_touch(dir, false, true, true);
		return;
	}
	if (ginode_fid(i, &fid) || p9_getattr(client_of(i), fid, &st)) {
		gdir_free(ginode_of(dir)->dir);
		ginode_of(dir)->dir = NULL;
		return;
	}
	name_added(dir, name, &st, i->link);
}

static void count_moved_dir(struct inode *from, struct inode *to, const struct inode *moved)
{
	if (from == to || !LINUX_S_ISDIR(moved->mode))
		return;
	inode_dec_nlink(from);
	inode_inc_nlink(to);
}

static long gofer_rename(struct inode *old_dir, struct dentry *old_d, struct inode *new_dir, struct dentry *new_d,
			 uint32_t flags)
{
	struct inode *moved = old_d->inode, *other = new_d->inode;
	struct p9x_stat st;
	uint32_t from, to, fid = P9_NOFID;
	long ret = ginode_fid(old_dir, &from);

	if (!ret)
		ret = ginode_fid(new_dir, &to);
	if (!ret && !gsb_of(old_dir->sb)->link->ext)
		ret = ginode_fid(moved, &fid); /* before its way changes; ours is told the new one */
	if (ret)
		return ret;
	hold(new_d);
	ret = p9_rename(client_of(old_dir), from, old_d->name, fid, to, new_d->name, flags);
	if (ret)
		return ret;
	name_removed(old_dir, old_d->name);
	ginode_moved(moved, new_dir, new_d->name);
	name_now_is(new_dir, new_d->name, moved);
	count_moved_dir(old_dir, new_dir, moved);
	inode_touch(moved, false, false, true);
	if (flags & LINUX_RENAME_EXCHANGE && other) {
		ginode_moved(other, old_dir, old_d->name);
		name_now_is(old_dir, old_d->name, other);
		count_moved_dir(new_dir, old_dir, other);
	} else {
		lost_name(new_dir, other);
	}
	if (flags & LINUX_RENAME_WHITEOUT && !stat_name(old_dir, old_d->name, &st))
		name_added(old_dir, old_d->name, &st, NULL);
	return 0;
}

#define NAME_OPS                                                                                   \
	.lookup = gofer_lookup, .create = gofer_create, .mkdir = gofer_mkdir, .mknod = gofer_mknod,        \
	.symlink = gofer_symlink, .link = gofer_link, .unlink = gofer_unlink, .rmdir = gofer_rmdir,        \
	.rename = gofer_rename, .tmpfile = gofer_tmpfile
#define ATTR_OPS                                                                                   \
	.setattr = gofer_setattr, .getxattr = gofer_getxattr, .setxattr = gofer_setxattr,                  \
	.listxattr = gofer_listxattr, .removexattr = gofer_removexattr

const struct inode_ops gofer_dir_ops = { NAME_OPS, ATTR_OPS };
const struct inode_ops gofer_dir_shared_ops = { NAME_OPS, ATTR_OPS, .getattr = gofer_getattr,
						.d_revalidate = gofer_revalidate, .ahead = &gofer_ahead,
						.unseen = true };
const struct inode_ops gofer_file_iops = { ATTR_OPS };
const struct inode_ops gofer_file_shared_iops = { ATTR_OPS, .getattr = gofer_getattr };
const struct inode_ops gofer_special_ops = { ATTR_OPS };
const struct inode_ops gofer_special_shared_ops = { ATTR_OPS, .getattr = gofer_getattr };
const struct inode_ops gofer_link_ops = { ATTR_OPS, .readlink = gofer_readlink };
