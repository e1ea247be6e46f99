/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/fuse/inode.c - nodes and their attributes
 *
 * Model:   an inode for each number that the daemon gives out, found again by it. How often we were given it is counted and
 *          said back with FORGET when the inode goes. Attributes are believed as long as the daemon said, unless we changed
 *          the file after they were asked for.
 * Locks:   fuse_sb.mu for the hash and the counts; nothing is held while the daemon is asked, but what VFS holds.
 * Source:  linux/fuse.h, mount.fuse3(8) on default_permissions and allow_other.
 */
#include <stdlib.h>

#include "sentry/fs/fuse/fuse_internal.h"

#define TYPE(m) ((m) & LINUX_S_IFMT)

uint64_t fuse_deadline(uint64_t sec, uint32_t nsec)
{
	uint64_t ns, now = now_ns();

	if (!sec && !nsec)
		return 0;
	if (sec > INT64_MAX / 1000000000)
		return UINT64_MAX;
	ns = sec * 1000000000 + MIN(nsec, 999999999u);
	return ns > UINT64_MAX - now ? UINT64_MAX : now + ns;
}

static bool attr_ok(const struct fuse_attr *a)
{
	switch (TYPE(a->mode)) {
	case LINUX_S_IFREG:
	case LINUX_S_IFDIR:
	case LINUX_S_IFLNK:
	case LINUX_S_IFCHR:
	case LINUX_S_IFBLK:
	case LINUX_S_IFIFO:
	case LINUX_S_IFSOCK:
		return a->size <= INT64_MAX;
	}
	return false;
}

long fuse_entry_check(const struct fuse_entry_out *e, uint32_t mode)
{
	if (!e->nodeid || e->nodeid == FUSE_ROOT_ID || !attr_ok(&e->attr))
		return -LINUX_EIO;
	return mode && TYPE(mode) != TYPE(e->attr.mode) ? -LINUX_EIO : 0;
}

/* ---- attributes ---- */

static struct vtime time_of(uint64_t sec, uint32_t nsec)
{
	return (struct vtime){ (int64_t)sec, MIN(nsec, 999999999u) };
}

/* The size changed, or the time of the last change did, by somebody else's doing. */
static void content_changed(struct inode *i, uint64_t old_size, struct vtime old_mtime)
{
	struct fuse_conn *fc = fuse_conn_of(i);
	bool resized = old_size != i->size;
	bool touched = old_mtime.sec != i->mtime.sec || old_mtime.nsec != i->mtime.nsec;

	if (resized)
		fuse_pages_resize(i, i->size);
	if (resized ? !fc->explicit_inval : fc->auto_inval && touched)
		fuse_pages_invalidate(i, 0, UINT64_MAX);
}

static void attr_apply(struct inode *i, const struct fuse_attr *a)
{
	struct fnode *n = fnode_of(i);
	struct fuse_conn *fc = fuse_conn_of(i);
	uint64_t old_size = i->size;
	struct vtime old_mtime;

	n->mode = TYPE(i->mode) | (a->mode & 07777);
	n->nlink = a->nlink;
	n->blksize = a->blksize;
	/* Whether the sticky bit keeps others from removing names is the daemon's to say, unless we check rights. */
	i->mode = n->mode & (fc->default_permissions ? ~0u : ~LINUX_S_ISVTX);
	/* A directory that claims to have no names is not a removed one. */
	i->nlink = LINUX_S_ISDIR(i->mode) ? MAX(a->nlink, 1u) : a->nlink;
	i->uid = id_to_kernel(fc->user_ns, false, a->uid);
	i->gid = id_to_kernel(fc->user_ns, true, a->gid);
	i->ino = a->ino;
	i->blocks = a->blocks;
	mutex_lock(&i->mu);
	old_mtime = i->mtime;
	i->atime = time_of(a->atime, a->atimensec);
	i->mtime = time_of(a->mtime, a->mtimensec);
	i->ctime = time_of(a->ctime, a->ctimensec);
	i->btime = i->ctime;
	mutex_unlock(&i->mu);
	atomic_store_explicit(&i->size, a->size, memory_order_release);
	if (LINUX_S_ISREG(i->mode))
		content_changed(i, old_size, old_mtime);
}

long fuse_attr_take(struct inode *i, const struct fuse_attr *a, uint64_t valid_ns, uint64_t version)
{
	struct fnode *n = fnode_of(i);

	if (!attr_ok(a) || TYPE(a->mode) != TYPE(i->mode)) {
		atomic_store(&n->bad, true);
		return -LINUX_EIO;
	}
	if (version && atomic_load(&n->version) > version)
		return 0;	/* older than what we did */
	atomic_store(&n->valid_ns, valid_ns);
	atomic_store(&n->version, atomic_fetch_add(&fuse_conn_of(i)->attr_version, 1) + 1);
	attr_apply(i, a);
	return 0;
}

void fuse_attr_stale(struct inode *i)
{
	atomic_store(&fnode_of(i)->valid_ns, 0);
}

static long ask_attr(struct inode *i)
{
	struct fuse_conn *fc = fuse_conn_of(i);
	const struct fuse_getattr_in in = { 0 };
	struct fuse_attr_out o;
	const struct fuse_call c = { .opcode = FUSE_GETATTR, .nodeid = fnode_of(i)->nodeid, .nr_in = 1, .in = { { &in, sizeof(in) } },
				     .out = &o, .out_len = sizeof(o) };
	uint64_t version = atomic_load(&fc->attr_version);
	long ret = fuse_call(fc, &c);

	return ret < 0 ? ret : fuse_attr_take(i, &o.attr, fuse_deadline(o.attr_valid, o.attr_valid_nsec), version);
}

long fuse_attr_refresh(struct inode *i, bool force)
{
	long ret = fnode_ok(i);

	if (ret || (!force && fuse_still_valid(atomic_load(&fnode_of(i)->valid_ns))))
		return ret;
	return ask_attr(i);
}

long fuse_getattr(struct inode *i, struct kstat *out)
{
	const struct cred *c = fuse_cred();
	struct fnode *n = fnode_of(i);
	long ret;

	if (c && !fuse_may_use(fuse_conn_of(i), c))
		return -LINUX_EACCES;
	ret = fuse_attr_refresh(i, false);
	if (ret)
		return ret;
	generic_getattr(i, out);
	out->mode = n->mode;
	out->nlink = n->nlink;
	out->has_btime = false;
	if (n->blksize)
		out->blksize = 1u << (31 - __builtin_clz(n->blksize));
	return 0;
}

static void fill_setattr(struct inode *i, const struct iattr *a, struct fuse_setattr_in *in)
{
	struct fuse_conn *fc = fuse_conn_of(i);
	static const struct {
		uint32_t attr, fattr;
	} map[] = {
		{ ATTR_MODE, FATTR_MODE },   { ATTR_UID, FATTR_UID },	  { ATTR_GID, FATTR_GID },
		{ ATTR_SIZE, FATTR_SIZE },   { ATTR_ATIME, FATTR_ATIME }, { ATTR_MTIME, FATTR_MTIME },
	};

	*in = (struct fuse_setattr_in){
		.size = a->size, .mode = TYPE(i->mode) | (a->mode & 07777),
		.uid = a->valid & ATTR_UID ? id_from_kernel(fc->user_ns, false, a->uid) : 0,
		.gid = a->valid & ATTR_GID ? id_from_kernel(fc->user_ns, true, a->gid) : 0,
		.atime = (uint64_t)a->atime.sec, .atimensec = a->atime.nsec,
		.mtime = (uint64_t)a->mtime.sec, .mtimensec = a->mtime.nsec,
	};
	for (size_t k = 0; k < ARRAY_SIZE(map); k++)
		if (a->valid & map[k].attr)
			in->valid |= map[k].fattr;
	if (a->valid & ATTR_ATIME && a->valid & ATTR_ATIME_NOW)
		in->valid |= FATTR_ATIME_NOW;
	if (a->valid & ATTR_MTIME && a->valid & ATTR_MTIME_NOW)
		in->valid |= FATTR_MTIME_NOW;
	/* The time of a truncation is the daemon's own. */
	if (a->valid & ATTR_SIZE)
		in->valid &= ~(uint32_t)(FATTR_MTIME | FATTR_MTIME_NOW);
}

long fuse_setattr(struct inode *i, const struct iattr *a)
{
	struct fuse_conn *fc = fuse_conn_of(i);
	struct fuse_setattr_in in;
	struct fuse_attr_out o;
	const struct fuse_call c = { .opcode = FUSE_SETATTR, .nodeid = fnode_of(i)->nodeid, .nr_in = 1, .in = { { &in, sizeof(in) } },
				     .out = &o, .out_len = sizeof(o) };
	const struct cred *cred = fuse_cred();
	uint64_t size;
	long ret = fnode_ok(i);

	if (!ret && cred && !fuse_may_use(fc, cred))
		ret = -LINUX_EACCES;
	if (ret)
		return ret;
	fill_setattr(i, a, &in);
	if (!in.valid)
		return 0;
	if ((in.valid & FATTR_UID && in.uid == ID_INVALID) || (in.valid & FATTR_GID && in.gid == ID_INVALID))
		return -LINUX_EOVERFLOW;
	ret = fuse_call(fc, &c);
	if (ret < 0) {
		if (ret == -LINUX_EINTR)
			fuse_attr_stale(i);
		return ret;
	}
	size = i->size;
	ret = fuse_attr_take(i, &o.attr, fuse_deadline(o.attr_valid, o.attr_valid_nsec), 0);
	if (!ret && a->valid & ATTR_SIZE && size != i->size)
		fuse_pages_resize(i, i->size);
	return ret;
}

/* ---- rights ---- */

/* A daemon learns what its users do, and can hold them up: others than who mounted it are kept away from it, even root. */
bool fuse_may_use(const struct fuse_conn *fc, const struct cred *c)
{
	if (fc->allow_other)
		return user_ns_is_below(c->user_ns, fc->user_ns);
	return c->euid == fc->user_id && c->suid == fc->user_id && c->uid == fc->user_id && c->egid == fc->group_id &&
	       c->sgid == fc->group_id && c->gid == fc->group_id;
}

static long ask_access(struct inode *i, uint32_t mask, const struct cred *c)
{
	struct fuse_conn *fc = fuse_conn_of(i);
	const struct fuse_access_in in = { .mask = mask & 7 };
	const struct fuse_call call = { .opcode = FUSE_ACCESS, .nodeid = fnode_of(i)->nodeid, .cred = c, .nr_in = 1,
					.in = { { &in, sizeof(in) } } };
	long ret;

	if (!fuse_knows(fc, FUSE_NO_ACCESS))
		return 0;
	ret = fuse_call(fc, &call);
	return fuse_is_missing(fc, FUSE_NO_ACCESS, ret) ? 0 : ret;
}

long fuse_permission(struct inode *i, uint32_t mask, const struct cred *c)
{
	struct fuse_conn *fc = fuse_conn_of(i);
	bool exec = mask & LINUX_MAY_EXEC && LINUX_S_ISREG(i->mode), fresh = false;
	long ret = fnode_ok(i);

	if (ret)
		return ret;
	if (!fuse_may_use(fc, c))
		return -LINUX_EACCES;
	if (fc->default_permissions || exec) {
		fresh = !fuse_still_valid(atomic_load(&fnode_of(i)->valid_ns));
		ret = fuse_attr_refresh(i, false);
		if (ret)
			return ret;
	}
	if (fc->default_permissions) {
		ret = generic_permission(i, mask, c);
		if (ret == -LINUX_EACCES && !fresh) {	/* somebody may have changed them meanwhile */
			ret = fuse_attr_refresh(i, true);
			if (!ret)
				ret = generic_permission(i, mask, c);
		}
		return ret;
	}
	if (mask & (LINUX_MAY_ACCESS | LINUX_MAY_CHDIR))
		return ask_access(i, mask, c);
	if (exec && !(i->mode & 0111)) {
		if (!fresh)
			ret = fuse_attr_refresh(i, true);
		if (!ret && !(i->mode & 0111))
			ret = -LINUX_EACCES;
	}
	return ret;
}

/* ---- nodes ---- */

static unsigned bucket_of(uint64_t nodeid)
{
	return (unsigned)((nodeid * 0x9e3779b97f4a7c15ull) >> 54);
}
_Static_assert(FUSE_HASH == 1 << 10, "the hash keeps ten bits");

static uint64_t rdev_of(uint32_t d)
{
	return LINUX_MKDEV((d >> 8) & 0xfff, (d & 0xff) | ((d >> 12) & 0xfff00));
}

static void set_ops(struct inode *i)
{
	switch (TYPE(i->mode)) {
	case LINUX_S_IFDIR:
		i->ops = &fuse_dir_ops;
		i->fops = &fuse_dir_fops;
		break;
	case LINUX_S_IFREG:
		i->ops = &fuse_file_iops;
		i->fops = &fuse_file_fops;
		break;
	case LINUX_S_IFLNK:
		i->ops = &fuse_link_ops;
		break;
	default:
		i->ops = &fuse_special_ops;
	}
}

static struct inode *node_make(struct super_block *sb, uint64_t nodeid, uint64_t generation, uint32_t mode, uint32_t rdev)
{
	struct fnode *n = calloc(1, sizeof(*n));
	struct inode *i;

	if (!n)
		return NULL;
	n->forget = malloc(sizeof(*n->forget));
	i = n->forget ? inode_new(sb, mode) : NULL;
	if (!i) {
		free(n->forget);
		free(n);
		return NULL;
	}
	n->inode = i;
	n->nodeid = nodeid;
	n->generation = generation;
	n->mode = mode;
	n->nlink = 1;
	fuse_pages_init(&n->pages);
	i->priv = n;
	i->rdev = rdev_of(rdev);
	set_ops(i);
	return i;
}

static struct fnode *find_locked(struct fuse_sb *s, uint64_t nodeid) REQUIRES(s->mu)
{
	for (struct fnode *n = s->hash[bucket_of(nodeid)]; n; n = n->hash_next)
		if (n->nodeid == nodeid)
			return n;
	return NULL;
}

static void unhash_locked(struct fuse_sb *s, struct fnode *n) REQUIRES(s->mu)
{
	struct fnode **p;

	if (!n->hashed)
		return;
	for (p = &s->hash[bucket_of(n->nodeid)]; *p != n;)
		p = &(*p)->hash_next;
	*p = n->hash_next;
	n->hashed = false;
}

static void hash_locked(struct fuse_sb *s, struct fnode *n) REQUIRES(s->mu)
{
	n->hash_next = s->hash[bucket_of(n->nodeid)];
	s->hash[bucket_of(n->nodeid)] = n;
	n->hashed = true;
}

struct inode *fnode_find(struct super_block *sb, uint64_t nodeid)
{
	struct fuse_sb *s = fuse_sb_of(sb);
	struct inode *i = NULL;
	struct fnode *n;

	mutex_lock(&s->mu);
	n = find_locked(s, nodeid);
	if (n && ref_get_unless_zero(&n->inode->ref))
		i = n->inode;
	mutex_unlock(&s->mu);
	return i;
}

long fnode_get(struct dentry *d, const struct fuse_entry_out *e, uint64_t version, struct inode **out)
{
	struct super_block *sb = d->sb;
	struct fuse_sb *s = fuse_sb_of(sb);
	struct inode *mine = node_make(sb, e->nodeid, e->generation, e->attr.mode, e->attr.rdev), *i;
	struct fnode *n;
	bool known;

	if (!mine) {
		fuse_forget(s->fc, NULL, e->nodeid, 1);
		return -LINUX_ENOMEM;
	}
	mutex_lock(&s->mu);
	n = find_locked(s, e->nodeid);
	/* The number was given to another file: what is known by it is not it any more. */
	if (n && (n->generation != e->generation || TYPE(n->inode->mode) != TYPE(e->attr.mode))) {
		atomic_store(&n->bad, true);
		unhash_locked(s, n);
		n = NULL;
	}
	/* On its way out; or a directory with a name already, whose new place gets an inode of its own: with one for both, a daemon could
	 * make loops of them, and VFS would wait for a lock that it holds. */
	if (n && ((LINUX_S_ISDIR(e->attr.mode) && n->dentry) || !ref_get_unless_zero(&n->inode->ref))) {
		unhash_locked(s, n);
		n = NULL;
	}
	known = n;
	if (!known) {
		n = fnode_of(mine);
		hash_locked(s, n);
	}
	n->nlookup++;
	if (LINUX_S_ISDIR(e->attr.mode))
		n->dentry = d;
	mutex_unlock(&s->mu);
	i = n->inode;
	if (known)
		inode_put(mine);
	fuse_attr_take(i, &e->attr, fuse_deadline(e->attr_valid, e->attr_valid_nsec), known ? version : 0);
	*out = i;
	return 0;
}

long fnode_root(struct super_block *sb, uint32_t mode, struct inode **out)
{
	struct fuse_sb *s = fuse_sb_of(sb);
	struct inode *i = node_make(sb, FUSE_ROOT_ID, 0, mode, 0);

	if (!i)
		return -LINUX_ENOMEM;
	i->ino = FUSE_ROOT_ID;
	i->uid = s->fc->user_id;
	i->gid = s->fc->group_id;
	i->nlink = 2;
	mutex_lock(&s->mu);
	hash_locked(s, fnode_of(i));
	mutex_unlock(&s->mu);
	*out = i;
	return 0;
}

void fuse_free_inode(struct inode *i)
{
	struct fnode *n = fnode_of(i);
	struct fuse_sb *s = fuse_sb_of(i->sb);
	struct fuse_file *ff;

	mutex_lock(&s->mu);
	unhash_locked(s, n);
	mutex_unlock(&s->mu);
	ff = atomic_exchange(&n->created, NULL);
	if (ff)	/* its open never came */
		fuse_file_close(ff, 0);
	fuse_pages_drop(i);
	fuse_forget(s->fc, n->forget, n->nodeid, n->nodeid == FUSE_ROOT_ID ? 0 : n->nlookup);
	free(n);
	i->priv = NULL;
}
