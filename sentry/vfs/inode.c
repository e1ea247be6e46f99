/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/inode.c - inodes, super blocks, file system types; generic attributes
 *
 * Locks:   inode.i_lock for mode, ids, links, size; inode.mu for the times. Readers take single words without.
 * Source:  inode(7), stat(2), chmod(2), chown(2), utimensat(2).
 */
#include <stdlib.h>
#include <time.h>

#include "sentry/vfs/internal.h"

static struct mutex types_mu;
static struct list types = LIST_HEAD_INIT(types);	/* guarded by types_mu; entries are never removed */
static _Atomic uint32_t next_minor = 1;

/* ---- types ---- */

void fs_register(struct fs_type *t)
{
	BUG_ON(fs_find(t->name)); /* twice in the list would hide what comes after it */
	mutex_lock(&types_mu);
	list_add_tail(&types, &t->node);
	mutex_unlock(&types_mu);
}

const char *fs_subtype(const struct fs_type *t, const char *name)
{
	size_t n = strlen(t->name);

	return t->flags & FST_SUBTYPE && !strncmp(name, t->name, n) && name[n] == '.' && name[n + 1] ? name + n + 1 : NULL;
}

struct fs_type *fs_find(const char *name)
{
	struct fs_type *t, *found = NULL;

	mutex_lock(&types_mu);
	list_for_each_entry(t, &types, node)
		if (!strcmp(t->name, name) || fs_subtype(t, name)) {
			found = t;
			break;
		}
	mutex_unlock(&types_mu);
	return found;
}

struct fs_type *fs_next(struct fs_type *prev)
{
	struct list *n;

	mutex_lock(&types_mu);
	n = prev ? prev->node.next : types.next;
	mutex_unlock(&types_mu);
	return n == &types ? NULL : list_entry(n, struct fs_type, node);
}

/* ---- super blocks ---- */

struct super_block *sb_alloc(struct fs_type *t, const struct super_ops *ops, const struct fs_mount_args *a)
{
	struct super_block *sb = calloc(1, sizeof(*sb));

	if (!sb)
		return NULL;
	ref_init(&sb->ref, 1);
	sb->type = t;
	sb->ops = ops;
	sb->dev = LINUX_MKDEV(0, atomic_fetch_add(&next_minor, 1));
	sb->blksize = PAGE_SIZE;
	sb->next_ino = 1;
	sb->user_ns = user_ns_get(a && a->user_ns ? a->user_ns : &init_user_ns);
	if (a) {
		sb->flags = a->sb_flags;
		if (a->source)
			snprintf(sb->source, sizeof(sb->source), "%s", a->source);
		if (a->subtype)
			snprintf(sb->subtype, sizeof(sb->subtype), "%s", a->subtype);
	}
	sleeplock_init(&sb->rename_lock);
	return sb;
}

struct super_block *sb_get(struct super_block *sb)
{
	ref_get(&sb->ref);
	return sb;
}

static void free_sb_rcu(struct rcu_head *h)
{
	free(container_of(h, struct super_block, rcu));
}

void sb_put(struct super_block *sb)
{
	if (!sb || !ref_put(&sb->ref))
		return;
	if (sb->root) {
		d_invalidate_tree(sb->root);
		d_put(sb->root);
		sb->root = NULL;
	}
	if (sb->ops && sb->ops->put_super)
		sb->ops->put_super(sb);
	user_ns_put(sb->user_ns);
	rcu_defer(&sb->rcu, free_sb_rcu);
}

long sb_mount_root(struct super_block *sb, const struct fs_mount_args *a, struct dentry **out)
{
	long ret = 0;

	if (sb->type->mount_root)
		ret = sb->type->mount_root(sb, a, out);
	else
		*out = d_get(sb->root);
	if (ret)
		sb_put(sb);
	return ret;
}

/* ---- inodes ---- */

struct vtime vfs_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return (struct vtime){ .sec = ts.tv_sec, .nsec = ts.tv_nsec };
}

struct inode *inode_new(struct super_block *sb, uint32_t mode)
{
	struct inode *i = calloc(1, sizeof(*i));

	if (!i)
		return NULL;
	ref_init(&i->ref, 1);
	i->sb = sb;
	i->mode = mode;
	i->nlink = 1;
	i->ino = atomic_fetch_add_explicit(&sb->next_ino, 1, memory_order_relaxed);
	i->atime = i->mtime = i->ctime = i->btime = vfs_now();
	sleeplock_init(&i->i_lock);
	return i;
}

struct inode *inode_get(struct inode *i)
{
	ref_get(&i->ref);
	return i;
}

static void free_inode_rcu(struct rcu_head *h)
{
	struct inode *i = container_of(h, struct inode, rcu);

	acl_free(i->acl);
	acl_free(i->default_acl);
	free(i->link);
	free(i);
}

void inode_put(struct inode *i)
{
	if (!i || !ref_put(&i->ref))
		return;
	if (i->marks)
		fsnotify_inode_gone(i);
	if (i->locks)
		file_locks_free(i);
	if (i->sb->ops && i->sb->ops->free_inode)
		i->sb->ops->free_inode(i);
	rcu_defer(&i->rcu, free_inode_rcu);
}

void inode_touch(struct inode *i, bool atime, bool mtime, bool ctime)
{
	struct vtime now = vfs_now();

	mutex_lock(&i->mu);
	if (atime)
		i->atime = now;
	if (mtime)
		i->mtime = now;
	if (ctime)
		i->ctime = now;
	mutex_unlock(&i->mu);
}

void inode_init_owner(struct inode *i, const struct inode *dir, uint32_t mode, const struct cred *c)
{
	i->uid = c->fsuid;
	i->gid = c->fsgid;
	if (dir && dir->mode & LINUX_S_ISGID) {
		i->gid = dir->gid;
		if (LINUX_S_ISDIR(mode))
			mode |= LINUX_S_ISGID;
		else if ((mode & (LINUX_S_ISGID | 0010)) == (LINUX_S_ISGID | 0010) && !cred_in_group(c, i->gid) &&
			 !cred_has_cap(c, c->user_ns, LINUX_CAP_FSETID))
			mode &= ~LINUX_S_ISGID;
	}
	i->mode = mode;
}

/* ---- FS_IOC_GETFLAGS, FS_IOC_SETFLAGS: ioctl_iflags(2) ---- */

static const struct {
	uint32_t fl, iflag;
} flag_bits[] = { { 0x10, I_IMMUTABLE }, { 0x20, I_APPEND }, { 0x80, I_NOATIME } };

long generic_get_flags(struct inode *i, uint32_t *out)
{
	*out = 0;
	for (size_t k = 0; k < ARRAY_SIZE(flag_bits); k++)
		if (i->iflags & flag_bits[k].iflag)
			*out |= flag_bits[k].fl;
	return 0;
}

long generic_set_flags(struct inode *i, uint32_t flags)
{
	uint32_t known = 0;

	for (size_t k = 0; k < ARRAY_SIZE(flag_bits); k++)
		known |= flag_bits[k].fl;
	if (flags & ~known)
		return -LINUX_EOPNOTSUPP;
	for (size_t k = 0; k < ARRAY_SIZE(flag_bits); k++) {
		if (flags & flag_bits[k].fl)
			atomic_fetch_or(&i->iflags, flag_bits[k].iflag);
		else
			atomic_fetch_and(&i->iflags, ~flag_bits[k].iflag);
	}
	inode_touch(i, false, false, true);
	return 0;
}

/* ---- attributes ---- */

void inode_mirror(struct inode *i)
{
	const struct inode *r = rcu_load(i->real);

	if (!r)
		return;
	i->mode = r->mode;
	i->uid = r->uid;
	i->gid = r->gid;
}

void fill_kstat(const struct inode *i, struct kstat *out)
{
	const struct inode *top = i;

	if (rcu_load(i->real))
		i = rcu_load(i->real);
	out->ino = top->ino;
	out->size = atomic_load_explicit(&((struct inode *)i)->size, memory_order_relaxed);
	out->blocks = i->blocks;
	out->mnt_id = 0;
	out->dev = top->sb->dev;
	out->rdev = i->rdev;
	out->mode = i->mode;
	out->nlink = top->nlink;
	out->uid = i->uid;
	out->gid = i->gid;
	out->blksize = i->sb->blksize;
	out->attributes = (i->iflags & I_IMMUTABLE ? LINUX_STATX_ATTR_IMMUTABLE : 0) |
			  (i->iflags & I_APPEND ? LINUX_STATX_ATTR_APPEND : 0);
	out->attributes_mask = LINUX_STATX_ATTR_IMMUTABLE | LINUX_STATX_ATTR_APPEND;
	mutex_lock(&((struct inode *)i)->mu);
	out->atime = i->atime;
	out->mtime = i->mtime;
	out->ctime = i->ctime;
	out->btime = i->btime;
	mutex_unlock(&((struct inode *)i)->mu);
	out->has_btime = true;
}

long generic_getattr(struct inode *i, struct kstat *out)
{
	fill_kstat(i, out);
	return 0;
}

long vfs_getattr(const struct path *p, struct kstat *out)
{
	struct inode *i = p->dentry->inode;
	long ret = i->ops->getattr ? i->ops->getattr(i, out) : generic_getattr(i, out);

	if (ret == 0 && p->mnt)
		out->mnt_id = p->mnt->id;
	return ret;
}

long generic_setattr(struct inode *i, const struct iattr *a)
{
	struct vtime now = vfs_now();

	if (a->valid & ATTR_MODE && (i->acl || LINUX_S_ISDIR(i->mode))) {
		long ret = acl_chmod(i, a->mode);

		if (ret)
			return ret;
	}
	if (a->valid & ATTR_UID)
		i->uid = a->uid;
	if (a->valid & ATTR_GID)
		i->gid = a->gid;
	if (a->valid & ATTR_MODE)
		i->mode = (i->mode & LINUX_S_IFMT) | (a->mode & 07777);
	mutex_lock(&i->mu);
	if (a->valid & ATTR_ATIME)
		i->atime = a->valid & ATTR_ATIME_NOW ? now : a->atime;
	if (a->valid & ATTR_MTIME)
		i->mtime = a->valid & ATTR_MTIME_NOW ? now : a->mtime;
	i->ctime = now;
	mutex_unlock(&i->mu);
	return 0;
}

/* Bits that a change of owner or content takes away (chown(2), write(2) NOTES). */
static uint32_t killed_mode(const struct inode *i, const struct cred *c)
{
	uint32_t mode = i->mode;

	if (!LINUX_S_ISREG(mode))
		return mode;
	mode &= ~LINUX_S_ISUID;
	if (mode & 0010 || (!cred_in_group(c, i->gid) && !cred_has_cap(c, c->user_ns, LINUX_CAP_FSETID)))
		mode &= ~LINUX_S_ISGID;
	return mode;
}

static long chown_ok(struct inode *i, const struct iattr *a, const struct cred *c)
{
	if (a->valid & ATTR_UID && (c->fsuid != i->uid || a->uid != i->uid) && !capable_wrt_inode(i, c, LINUX_CAP_CHOWN))
		return -LINUX_EPERM;
	if (a->valid & ATTR_GID && !(c->fsuid == i->uid && (a->gid == i->gid || cred_in_group(c, a->gid))) &&
	    !capable_wrt_inode(i, c, LINUX_CAP_CHOWN))
		return -LINUX_EPERM;
	return 0;
}

static long times_ok(struct inode *i, const struct iattr *a, const struct cred *c)
{
	bool explicit_ = (a->valid & ATTR_ATIME && !(a->valid & ATTR_ATIME_NOW)) ||
			 (a->valid & ATTR_MTIME && !(a->valid & ATTR_MTIME_NOW)) ||
			 !(a->valid & ATTR_ATIME) != !(a->valid & ATTR_MTIME);

	if (!(a->valid & (ATTR_ATIME | ATTR_MTIME)))
		return 0;
	if (explicit_ && i->iflags & I_APPEND)
		return -LINUX_EPERM;
	if (inode_owner_or_capable(i, c))
		return 0;
	return explicit_ ? -LINUX_EPERM : vfs_permission(i, LINUX_MAY_WRITE, c);
}

long setattr_prepare(struct inode *i, struct iattr *a, const struct cred *c)
{
	long ret;

	if (i->iflags & I_IMMUTABLE || (i->iflags & I_APPEND && a->valid & (ATTR_MODE | ATTR_UID | ATTR_GID)))
		return -LINUX_EPERM;
	ret = i->sb->fs_rights ? 0 : chown_ok(i, a, c);
	if (!ret && !i->sb->fs_rights)
		ret = times_ok(i, a, c);
	if (ret)
		return ret;
	if (a->valid & (ATTR_UID | ATTR_GID)) {
		uint32_t was = i->mode & 07777, mode;

		/* Directories keep their bits; an executable group bit makes set-group-id a privilege, else it marks locking. */
		mode = was;
		if (!LINUX_S_ISDIR(i->mode)) {
			mode &= ~LINUX_S_ISUID;
			if (mode & 0010)
				mode &= ~LINUX_S_ISGID;
			else
				mode = killed_mode(i, c) & 07777;
		}
		if (mode != was && !(a->valid & ATTR_MODE)) {
			a->valid |= ATTR_MODE;
			a->mode = mode;
		}
		if (i->iflags & I_HAS_CAPS)
			a->valid |= ATTR_KILL_PRIV;
	} else if (a->valid & ATTR_MODE && !i->sb->fs_rights) {
		if (!inode_owner_or_capable(i, c))
			return -LINUX_EPERM;
		if (a->mode & LINUX_S_ISGID && !cred_in_group(c, i->gid) && !capable_wrt_inode(i, c, LINUX_CAP_FSETID))
			a->mode &= ~LINUX_S_ISGID;
	}
	return 0;
}

static long notify_change(struct inode *i, const struct iattr *a)
{
	long ret;

	if (a->valid & ATTR_KILL_PRIV && i->ops->removexattr) {
		ret = i->ops->removexattr(i, "security.capability");
		if (ret && ret != -LINUX_ENODATA && ret != -LINUX_EOPNOTSUPP)
			return ret;
		atomic_fetch_and(&i->iflags, ~I_HAS_CAPS);
	}
	return i->ops->setattr ? i->ops->setattr(i, a) : generic_setattr(i, a);
}

long vfs_setattr(const struct vfs_ctx *ctx, const struct path *p, struct iattr *a)
{
	struct inode *i = p->dentry->inode;
	long ret = mnt_want_write(p->mnt);

	if (ret)
		return ret;
	sleep_lock(&i->i_lock);
	ret = setattr_prepare(i, a, ctx->cred);
	if (!ret && a->valid)
		ret = notify_change(i, a);
	sleep_unlock(&i->i_lock);
	mnt_drop_write(p->mnt);
	if (!ret)
		fsnotify(p->dentry->parent->inode, i, p->dentry->name, LINUX_IN_ATTRIB, 0);
	return ret;
}

long file_modified(struct file *f)
{
	struct inode *i = f->inode;
	struct vtime now = vfs_now();
	long ret = 0;

	if (unlikely(i->mode & (LINUX_S_ISUID | LINUX_S_ISGID) || i->iflags & I_HAS_CAPS) &&
	    !cred_has_cap(f->cred, f->cred->user_ns, LINUX_CAP_FSETID)) {
		struct iattr a = { .valid = ATTR_MODE | ATTR_KILL_PRIV, .mode = killed_mode(i, f->cred) & 07777 };

		if (a.mode != (i->mode & 07777) || i->iflags & I_HAS_CAPS)
			ret = notify_change(i, &a);
		if (f->fmode & FMODE_REAL)
			inode_mirror(file_inode(f));
	}
	mutex_lock(&i->mu);
	i->mtime = i->ctime = now;
	mutex_unlock(&i->mu);
	return ret;
}

long vfs_truncate(const struct vfs_ctx *ctx, const struct path *p, struct file *f, uint64_t size)
{
	struct inode *i = f ? f->inode : p->dentry->inode, *real = NULL;
	struct iattr a = { .valid = ATTR_SIZE | ATTR_MTIME | ATTR_MTIME_NOW, .size = size };
	struct mount *mnt = f ? f->path.mnt : p->mnt;
	long ret = mnt ? mnt_want_write(mnt) : 0;

	if (ret)
		return ret;
	if (!f && i->ops->open_real) {	/* the content is another inode's */
		ret = i->ops->open_real(i, LINUX_O_WRONLY, &real);
		if (ret)
			goto out;
		i = real;
	}
	sleep_lock(&i->i_lock);
	if (i->iflags & (I_IMMUTABLE | I_APPEND)) {
		ret = -LINUX_EPERM;
	} else {
		if (i->mode & (LINUX_S_ISUID | LINUX_S_ISGID) && !cred_has_cap(ctx->cred, ctx->cred->user_ns, LINUX_CAP_FSETID)) {
			a.mode = killed_mode(i, ctx->cred) & 07777;
			a.valid |= ATTR_MODE;
		}
		if (i->iflags & I_HAS_CAPS)
			a.valid |= ATTR_KILL_PRIV;
		ret = f && f->ops->truncate ? f->ops->truncate(f, size) : notify_change(i, &a);
	}
	sleep_unlock(&i->i_lock);
	if (f || (p && p->dentry))
		inode_mirror(f ? file_inode(f) : p->dentry->inode);
	if (!ret && p && p->dentry)
		fsnotify(p->dentry->parent->inode, p->dentry->inode, p->dentry->name, LINUX_IN_MODIFY, 0);
	inode_put(real);
out:
	if (mnt)
		mnt_drop_write(mnt);
	return ret;
}
