/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/fuse/dir.c - names: lookup, making, removing, moving, links
 *
 * Model:   each is one request. A name is believed as long as the daemon said (in dentry.priv, nanoseconds), also that it is
 *          not there; afterwards d_revalidate asks. CREATE makes a file and opens it: the handle waits in the node for the open
 *          that the same task is about to do.
 * Locks:   VFS holds the i_lock of the directories concerned, and of files that lose or get a name, as Linux does; revalidation
 *          holds nothing.
 * Source:  linux/fuse.h, path_resolution(7).
 */
#include <stdlib.h>

#include "sentry/fs/fuse/fuse_internal.h"

static uint64_t entry_until(const struct dentry *d)
{
	return (uint64_t)(uintptr_t)__atomic_load_n(&d->priv, __ATOMIC_RELAXED);
}

void fuse_d_release(struct dentry *d)
{
	struct fuse_sb *s = fuse_sb_of(d->sb);
	struct fnode *n;

	if (!d->inode || !s)
		return;
	n = fnode_of(d->inode);
	mutex_lock(&s->mu);
	if (n->dentry == d)
		n->dentry = NULL;
	mutex_unlock(&s->mu);
}

struct dentry *fuse_dentry_of(struct inode *dir)
{
	struct fuse_sb *s = fuse_sb_of(dir->sb);
	struct dentry *d;

	if (dir == dir->sb->root->inode)
		return d_get(dir->sb->root);
	mutex_lock(&s->mu);
	d = fnode_of(dir)->dentry;
	if (d && !ref_get_unless_zero(&d->ref))
		d = NULL;
	mutex_unlock(&s->mu);
	return d;
}

static uint32_t umask_now(void)
{
	struct task *t = task_current();

	return t && t->fs ? t->fs->umask : 0;
}

/* What an answer handed out to somebody who is gone. */
void fuse_late_entry(struct fuse_req *r)
{
	const struct fuse_entry_out *e = (const struct fuse_entry_out *)r->out;

	if (r->out_len >= sizeof(*e) && e->nodeid && e->nodeid != FUSE_ROOT_ID)
		fuse_forget(r->fc, NULL, e->nodeid, 1);
}

/* ---- looking names up ---- */

static long ask_name(struct inode *dir, const char *name, struct fuse_entry_out *e)
{
	const struct fuse_call c = { .opcode = FUSE_LOOKUP, .nodeid = fnode_of(dir)->nodeid, .nr_in = 1,
				     .in = { { name, strlen(name) + 1 } }, .out = e, .out_len = sizeof(*e), .late = fuse_late_entry };
	long ret = fnode_ok(dir);

	if (!ret)
		ret = fuse_call(fuse_conn_of(dir), &c);
	return MIN(ret, 0L);
}

static long fuse_lookup(struct inode *dir, struct dentry *d)
{
	uint64_t version = atomic_load(&fuse_conn_of(dir)->attr_version);
	struct fuse_entry_out e;
	struct inode *i;
	long ret = ask_name(dir, d->name, &e);

	fuse_entry_until(d, 0);
	if (ret == -LINUX_ENOENT)
		return 0;
	if (ret)
		return ret;
	if (!e.nodeid) {	/* it is not there, and that may be remembered */
		fuse_entry_until(d, fuse_deadline(e.entry_valid, e.entry_valid_nsec));
		return 0;
	}
	ret = fuse_entry_check(&e, 0);
	if (!ret)
		ret = fnode_get(d, &e, version, &i);
	if (ret)
		return ret;
	fuse_entry_until(d, fuse_deadline(e.entry_valid, e.entry_valid_nsec));
	d_instantiate(d, i);
	return 0;
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

static bool still_names(struct dentry *d, const struct fuse_entry_out *e, uint64_t version)
{
	struct fnode *n = fnode_of(d->inode);
	struct fuse_sb *s = fuse_sb_of(d->sb);

	if (fuse_entry_check(e, n->inode->mode) || e->nodeid != n->nodeid || e->generation != n->generation) {
		if (e->nodeid != FUSE_ROOT_ID)
			fuse_forget(s->fc, NULL, e->nodeid, 1);
		return false;
	}
	mutex_lock(&s->mu);
	n->nlookup++;
	mutex_unlock(&s->mu);
	fuse_attr_take(n->inode, &e->attr, fuse_deadline(e->attr_valid, e->attr_valid_nsec), version);
	fuse_entry_until(d, fuse_deadline(e->entry_valid, e->entry_valid_nsec));
	return !atomic_load(&n->bad);
}

static bool fuse_revalidate(struct dentry *d)
{
	char name[NAME_MAX_BYTES + 1];
	struct fuse_entry_out e;
	struct inode *dir;
	uint64_t version;
	long ret;

	if (d->inode && atomic_load(&fnode_of(d->inode)->bad))
		return false;
	if (fuse_still_valid(entry_until(d)))
		return true;
	if (!d->inode)
		return false;
	dir = parent_of(d, name);
	if (!dir)
		return false;
	version = atomic_load(&fuse_conn_of(dir)->attr_version);
	ret = ask_name(dir, name, &e);
	inode_put(dir);
	if (ret == -LINUX_EINTR || ret == -LINUX_ENOMEM)
		return true;	/* nothing is known against it, and the caller is ending or will see for itself */
	return !ret && e.nodeid && still_names(d, &e, version);
}

/* ---- making ---- */

/* The new name's node into @d. */
static long made(struct inode *dir, struct dentry *d, const struct fuse_entry_out *e, uint32_t mode)
{
	struct inode *i;
	long ret = fuse_entry_check(e, mode);

	if (ret) {
		if (e->nodeid && e->nodeid != FUSE_ROOT_ID)
			fuse_forget(fuse_conn_of(dir), NULL, e->nodeid, 1);
		return ret;
	}
	ret = fnode_get(d, e, 0, &i);
	if (ret)
		return ret;
	fuse_entry_until(d, fuse_deadline(e->entry_valid, e->entry_valid_nsec));
	fuse_attr_stale(dir);
	d_instantiate(d, i);
	return 0;
}

static long make_entry(struct inode *dir, struct dentry *d, uint32_t mode, struct fuse_call *c)
{
	struct fuse_entry_out e;
	long ret = fnode_ok(dir);

	c->nodeid = fnode_of(dir)->nodeid;
	c->out = &e;
	c->out_len = sizeof(e);
	c->late = fuse_late_entry;
	if (!ret)
		ret = fuse_call(fuse_conn_of(dir), c);
	if (ret < 0) {
		fuse_attr_stale(dir);
		return ret;
	}
	return made(dir, d, &e, mode);
}

static uint32_t rdev_out(uint64_t rdev)
{
	uint32_t maj = LINUX_MAJOR(rdev), min = LINUX_MINOR(rdev);

	return (min & 0xff) | maj << 8 | (min & ~0xffu) << 12;
}

static long fuse_mknod(struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev, const struct cred *c)
{
	const struct fuse_mknod_in in = { .mode = mode, .rdev = rdev_out(rdev), .umask = umask_now() };
	struct fuse_call call = { .opcode = FUSE_MKNOD, .cred = c, .nr_in = 2,
				  .in = { { &in, sizeof(in) }, { d->name, d->name_len + 1 } } };

	return make_entry(dir, d, mode, &call);
}

static long fuse_create(struct inode *dir, struct dentry *d, uint32_t mode, const struct cred *c)
{
	return fuse_mknod(dir, d, LINUX_S_IFREG | mode, 0, c);
}

static long fuse_mkdir(struct inode *dir, struct dentry *d, uint32_t mode, const struct cred *c)
{
	const struct fuse_mkdir_in in = { .mode = mode & 07777, .umask = umask_now() };
	struct fuse_call call = { .opcode = FUSE_MKDIR, .cred = c, .nr_in = 2,
				  .in = { { &in, sizeof(in) }, { d->name, d->name_len + 1 } } };

	return make_entry(dir, d, LINUX_S_IFDIR, &call);
}

static long fuse_symlink(struct inode *dir, struct dentry *d, const char *target, const struct cred *c)
{
	struct fuse_call call = { .opcode = FUSE_SYMLINK, .cred = c, .nr_in = 2,
				  .in = { { d->name, d->name_len + 1 }, { target, strlen(target) + 1 } } };

	return make_entry(dir, d, LINUX_S_IFLNK, &call);
}

static long fuse_link(struct inode *dir, struct dentry *d, struct inode *target)
{
	const struct fuse_link_in in = { .oldnodeid = fnode_of(target)->nodeid };
	struct fuse_call call = { .opcode = FUSE_LINK, .nr_in = 2, .in = { { &in, sizeof(in) }, { d->name, d->name_len + 1 } } };
	long ret = make_entry(dir, d, target->mode, &call);

	if (ret == -LINUX_EINTR)	/* what the daemon answers about the new name is news of the file, too, if it calls it the same */
		fuse_attr_stale(target);
	return ret;
}

struct create_out {
	struct fuse_entry_out e;
	struct fuse_open_out o;
};

/* CREATE was answered too late: its handle goes back, and the node. */
static void late_create(struct fuse_req *r)
{
	struct create_out *o = (struct create_out *)r->out;
	struct fuse_file *ff = fuse_file_new(r->fc, o->e.nodeid, false);

	if (ff) {
		ff->fh = o->o.fh;
		fuse_file_close(ff, 0);
	}
	fuse_late_entry(r);
}

static long create_ask(struct inode *dir, struct dentry *d, uint32_t mode, uint32_t flags, const struct cred *c,
		       struct create_out *o)
{
	const struct fuse_create_in in = { .flags = flags & ~LINUX_O_NOCTTY, .mode = LINUX_S_IFREG | (mode & 07777), .umask = umask_now() };
	const struct fuse_call call = { .opcode = FUSE_CREATE, .nodeid = fnode_of(dir)->nodeid, .cred = c, .nr_in = 2,
					.in = { { &in, sizeof(in) }, { d->name, d->name_len + 1 } },
					.out = o, .out_len = sizeof(*o), .late = late_create };
	long ret = fnode_ok(dir);

	if (!ret)
		ret = fuse_call(fuse_conn_of(dir), &call);
	return MIN(ret, 0L);
}

static long fuse_create_open(struct inode *dir, struct dentry *d, uint32_t mode, uint32_t flags, const struct cred *c)
{
	struct fuse_conn *fc = fuse_conn_of(dir);
	struct fuse_file *ff;
	struct create_out o;
	long ret;

	if (!fuse_knows(fc, FUSE_NO_CREATE))
		return fuse_create(dir, d, mode, c);
	ff = fuse_file_new(fc, 0, false);
	if (!ff)
		return -LINUX_ENOMEM;
	ret = create_ask(dir, d, mode, flags, c, &o);
	if (ret) {
		fuse_file_free(ff);
		fuse_attr_stale(dir);
		return fuse_is_missing(fc, FUSE_NO_CREATE, ret) ? fuse_create(dir, d, mode, c) : ret;
	}
	ff->fh = o.o.fh;
	ff->open_flags = o.o.open_flags;
	ff->maker = task_current();
	fuse_req_head(ff->release)->nodeid = o.e.nodeid;
	ret = made(dir, d, &o.e, LINUX_S_IFREG);
	if (!ret)
		ff = atomic_exchange(&fnode_of(d->inode)->created, ff);
	if (ff)
		fuse_file_close(ff, flags);
	return ret;
}

/* ---- removing and moving ---- */

static void lost_name(struct inode *i)
{
	if (!i)
		return;
	if (LINUX_S_ISDIR(i->mode))
		i->nlink = 0;
	else
		inode_dec_nlink(i);
	fuse_attr_stale(i);
	atomic_store(&fnode_of(i)->version, atomic_fetch_add(&fuse_conn_of(i)->attr_version, 1) + 1);
}

static long remove_name(struct inode *dir, struct dentry *d, uint32_t opcode)
{
	const struct fuse_call c = { .opcode = opcode, .nodeid = fnode_of(dir)->nodeid, .nr_in = 1, .in = { { d->name, d->name_len + 1 } } };
	long ret = fnode_ok(dir);

	if (!ret)
		ret = fuse_call(fuse_conn_of(dir), &c);
	fuse_attr_stale(dir);
	if (!ret)
		lost_name(d->inode);
	else if (ret == -LINUX_EINTR)
		fuse_entry_until(d, 0);
	return ret;
}

static long fuse_unlink(struct inode *dir, struct dentry *d)
{
	return remove_name(dir, d, FUSE_UNLINK);
}

static long fuse_rmdir(struct inode *dir, struct dentry *d)
{
	return remove_name(dir, d, FUSE_RMDIR);
}

static long ask_rename(struct inode *od, const struct dentry *a, struct inode *nd, const struct dentry *b, uint32_t flags)
{
	const struct fuse_rename2_in in2 = { .newdir = fnode_of(nd)->nodeid, .flags = flags };
	const struct fuse_rename_in in1 = { .newdir = fnode_of(nd)->nodeid };
	const struct fuse_call c = { .opcode = flags ? FUSE_RENAME2 : FUSE_RENAME, .nodeid = fnode_of(od)->nodeid, .nr_in = 3,
				     .in = { { flags ? (const void *)&in2 : &in1, flags ? sizeof(in2) : sizeof(in1) },
					     { a->name, a->name_len + 1 }, { b->name, b->name_len + 1 } } };
	struct fuse_conn *fc = fuse_conn_of(od);
	long ret;

	if (flags && (fc->minor < 23 || !fuse_knows(fc, FUSE_NO_RENAME2)))
		return -LINUX_EINVAL;
	ret = fuse_call(fc, &c);
	return flags && fuse_is_missing(fc, FUSE_NO_RENAME2, ret) ? -LINUX_EINVAL : ret;
}

static long fuse_rename(struct inode *od, struct dentry *a, struct inode *nd, struct dentry *b, uint32_t flags)
{
	long ret = fnode_ok(od);

	if (!ret)
		ret = fnode_ok(nd);
	if (!ret)
		ret = ask_rename(od, a, nd, b, flags);
	fuse_attr_stale(od);
	fuse_attr_stale(nd);
	if (a->inode)
		fuse_attr_stale(a->inode);
	if (b->inode)
		fuse_attr_stale(b->inode);
	if (!ret && !(flags & LINUX_RENAME_EXCHANGE))
		lost_name(b->inode);
	if (ret == -LINUX_EINTR) {	/* it may have happened */
		fuse_entry_until(a, 0);
		fuse_entry_until(b, 0);
	}
	return ret;
}

static long fuse_readlink(struct inode *i, char *out, size_t cap)
{
	const struct fuse_call c = { .opcode = FUSE_READLINK, .nodeid = fnode_of(i)->nodeid, .out = out,
				     .out_len = MIN(cap, (size_t)PAGE_SIZE) - 1, .out_var = true };
	const struct cred *cred = fuse_cred();
	long ret = fnode_ok(i);

	if (!ret && cred && !fuse_may_use(fuse_conn_of(i), cred))
		ret = -LINUX_EACCES;
	if (!ret)
		ret = fuse_call(fuse_conn_of(i), &c);
	if (ret < 0)
		return ret;
	out[ret] = '\0';
	return (long)strlen(out);
}

#define ATTR_OPS                                                                                       \
	.getattr = fuse_getattr, .setattr = fuse_setattr, .permission = fuse_permission, .getxattr = fuse_getxattr,      \
	.setxattr = fuse_setxattr, .listxattr = fuse_listxattr, .removexattr = fuse_removexattr, .plain_acl = true

const struct inode_ops fuse_dir_ops = {
	.lookup = fuse_lookup, .create = fuse_create, .create_open = fuse_create_open, .mkdir = fuse_mkdir, .mknod = fuse_mknod,
	.symlink = fuse_symlink, .link = fuse_link, .unlink = fuse_unlink, .rmdir = fuse_rmdir, .rename = fuse_rename,
	.d_revalidate = fuse_revalidate, ATTR_OPS
};
const struct inode_ops fuse_file_iops = { ATTR_OPS };
const struct inode_ops fuse_link_ops = { ATTR_OPS, .readlink = fuse_readlink };
const struct inode_ops fuse_special_ops = { ATTR_OPS };
